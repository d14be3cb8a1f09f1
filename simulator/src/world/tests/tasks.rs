//! The life of a task, why it stopped, and its replacement.

use serde_json::{Value, json};

use super::super::Api;
use super::{REGISTRY, SETTLED, laid_over, seconds, world, world_with_service};
use crate::faults::Fault;

#[test]
fn a_task_goes_through_every_state_of_its_life() {
    let mut world = world();
    world.begin(&json!({"desiredCount": 1}));
    let (mut seen, mut of_container): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for second in 0..40 {
        if second == 25 {
            world.update(&json!({"desiredCount": 0}));
        }
        world.advance(1);
        for task in world.tasks("RUNNING").iter().chain(&world.tasks("STOPPED")) {
            for (seen, one) in [(&mut seen, task), (&mut of_container, &task["containers"][0])] {
                if seen.last() != Some(&one["lastStatus"]) {
                    seen.push(one["lastStatus"].clone());
                }
            }
        }
    }
    let life = [
        "PROVISIONING",
        "PENDING",
        "ACTIVATING",
        "RUNNING",
        "DEACTIVATING",
        "STOPPING",
        "DEPROVISIONING",
        "STOPPED",
    ];
    assert_eq!(seen, life);
    assert_eq!(of_container, ["PENDING", "RUNNING", "STOPPED"]);
    let stopped = world.tasks("STOPPED").remove(0);
    assert_eq!(stopped["stopCode"], "ServiceSchedulerInitiated");
    assert!(
        stopped["stoppedReason"]
            .as_str()
            .unwrap()
            .starts_with("Scaling activity initiated by (deployment ecs-svc/")
    );
    assert_eq!(stopped["containers"][0]["exitCode"], 143);
    let order = ["createdAt", "pullStartedAt", "pullStoppedAt", "startedAt", "stoppingAt", "stoppedAt"];
    let times = order.map(|key| seconds(&stopped[key]));
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(stopped["version"], 8, "one a state");
}

#[test]
fn a_container_that_was_pulled_and_never_started_has_no_exit_code() {
    let mut world = world();
    world.begin(&json!({"desiredCount": 1}));
    world.advance(10);
    assert_eq!(world.tasks("RUNNING")[0]["lastStatus"], "ACTIVATING");
    world.update(&json!({"desiredCount": 0}));
    world.advance(10);
    let container = world.tasks("STOPPED")[0]["containers"][0].clone();
    assert_eq!((&container["lastStatus"], &container["exitCode"]), (&json!("STOPPED"), &Value::Null));
}

#[test]
fn a_task_names_its_service_deployment_and_digest() {
    let mut world = world_with_service(&json!({}));
    let (service, task) = (world.service(), world.tasks("RUNNING").remove(0));
    assert_eq!(task["startedBy"], service["deployments"][0]["id"]);
    assert_eq!(task["group"], "service:api");
    let described = world.ecr_call("DescribeImages", &json!({"repositoryName": "mco/api"}));
    assert_eq!(task["containers"][0]["imageDigest"], described["imageDetails"][0]["imageDigest"]);
}

#[test]
fn an_image_that_cannot_be_pulled_says_so_and_has_no_exit_code() {
    let mut pulled = world_with_service(&json!({}));
    let digest = pulled.deploy("bbbbbbb");
    pulled.inject(Fault::CannotPull { digest: digest.clone() });
    let mut expired = world_with_service(&json!({}));
    expired.deploy("bbbbbbb");
    assert!(expired.expire_image("mco/api", &digest));
    let mut archived = world_with_service(&json!({}));
    archived.deploy("bbbbbbb");
    assert!(archived.archive_image("mco/api", &digest));
    for mut world in [pulled, expired, archived] {
        world.advance(14);
        let stopped = world.tasks("STOPPED").remove(0);
        assert_eq!(stopped["stopCode"], "TaskFailedToStart");
        assert_eq!(stopped["stoppedReason"], "Task failed to start");
        let reason = stopped["containers"][0]["reason"].as_str().unwrap();
        assert!(reason.starts_with("CannotPullContainerError: "), "{reason}");
        assert_eq!(stopped["containers"][0]["exitCode"], Value::Null);
        assert_eq!(stopped["containers"][0]["imageDigest"], Value::Null);
    }
}

#[test]
fn fargate_tries_to_pull_for_a_while_and_says_why_it_could_not() {
    let mut world = world();
    let image = format!("{REGISTRY}/mco/api:later");
    let definition = json!({"family": "mco-api", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "containerDefinitions": [{"name": "api", "image": image}]});
    world.ecs_call("RegisterTaskDefinition", &definition);
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    world.begin(&json!({"launchType": "FARGATE", "networkConfiguration": network, "desiredCount": 1}));
    world.advance(1 + 89);
    assert_eq!(world.tasks("RUNNING")[0]["lastStatus"], "PENDING");
    world.advance(1);
    let stopped = world.tasks("STOPPED").remove(0);
    let reason = stopped["stoppedReason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("CannotPullContainerError: pull image manifest has been retried 7 time(s): "));
    assert_eq!(
        (&stopped["stopCode"], &stopped["containers"][0]["reason"]),
        (&json!("TaskFailedToStart"), &Value::Null)
    );
    assert!(world.events().contains(&format!("was unable to place a task. Reason: {reason}.")));
    // The second time in a row is the beginning of a row, and what comes while it tries is found.
    assert!(!world.events().contains("consistently"));
    world.advance(30 + 90);
    assert!(world.events().contains("(service api) is unable to consistently start tasks successfully."));
    world.advance(240 + 10);
    assert_eq!(world.tasks("RUNNING")[0]["lastStatus"], "PENDING");
    world.push("later");
    world.advance(SETTLED);
    assert_eq!(world.service()["deployments"][0]["rolloutState"], "COMPLETED");
}

#[test]
fn without_its_log_group_a_task_cannot_start_unless_aws_makes_it() {
    for (launch_type, is_made) in [("EC2", false), ("FARGATE", false), ("EC2", true)] {
        let mut world = world();
        let options = json!({"awslogs-group": "/mco/api", "awslogs-create-group": is_made.to_string(), "awslogs-stream-prefix": "ecs"});
        let definition = json!({"family": "mco-api", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
            "containerDefinitions": [{"name": "api", "image": "nginx",
                "logConfiguration": {"logDriver": "awslogs", "options": options}}]});
        world.ecs_call("RegisterTaskDefinition", &definition);
        world.inject(Fault::NoLogGroup { name: "/mco/api".to_owned() });
        let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
        world.begin(&json!({"launchType": launch_type, "networkConfiguration": network, "desiredCount": 1}));
        world.advance(14);
        let Some(stopped) = world.tasks("STOPPED").pop() else {
            assert!(is_made, "{launch_type}");
            continue;
        };
        assert_eq!((&stopped["stopCode"], is_made), (&json!("TaskFailedToStart"), false));
        let said = [&stopped["stoppedReason"], &stopped["containers"][0]["reason"]];
        let said: Vec<&str> = said.iter().filter_map(|said| said.as_str()).collect();
        let said = said.join(" ");
        assert!(said.contains("The specified log group does not exist."), "{said}");
        let begins =
            if launch_type == "FARGATE" { "ResourceInit" } else { "Task failed to start CannotStart" };
        assert!(said.starts_with(begins), "{said}");
    }
}

#[test]
fn without_a_place_fargate_stops_the_task_and_elsewhere_none_comes_to_be() {
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let definition = json!({"family": "mco-api", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "containerDefinitions": [{"name": "api", "image": "nginx"}]});
    let begun = |launch_type: &str, reason: &str| {
        let mut world = world();
        world.ecs_call("RegisterTaskDefinition", &definition);
        world.inject(Fault::NoPlace { reason: reason.to_owned() });
        world.begin(&json!({"launchType": launch_type, "networkConfiguration": network, "desiredCount": 1}));
        world.advance(25);
        world
    };
    let mut fargate = begun("FARGATE", "Capacity is unavailable at this time");
    let stopped = fargate.tasks("STOPPED").remove(0);
    assert_eq!(stopped["stoppedReason"], "Capacity is unavailable at this time");
    let event = "was unable to place a task. Reason: Capacity is unavailable at this time.";
    assert!(fargate.events().contains(event));
    let mut instances =
        begun("EC2", "The closest matching container-instance 1 has insufficient memory available.");
    instances.advance(300);
    assert_eq!((instances.tasks("STOPPED").len(), instances.tasks("RUNNING").len()), (0, 0));
    let event = "was unable to place a task because no container instance met all of its requirements. The closest matching container-instance 1 has insufficient memory available.";
    assert_eq!(instances.events().matches(event).count(), 1, "said once");
    assert_eq!(instances.service()["deployments"][0]["failedTasks"], 0);
    for world in [&mut fargate, &mut instances] {
        world.heal();
        world.advance(600);
        assert_eq!(world.service()["runningCount"], 1);
    }
}

#[test]
fn a_crash_tells_the_exit_code_and_out_of_memory_the_reason() {
    for (code, reason) in
        [(1, Value::Null), (137, json!("OutOfMemoryError: Container killed due to memory usage"))]
    {
        let mut world = world_with_service(&json!({}));
        let digest = world.deploy("bbbbbbb");
        world.inject(Fault::Crash { digest, exit_code: code, after_seconds: 0 });
        world.advance(13);
        assert_eq!(world.service()["deployments"][0]["runningCount"], 2, "it runs first");
        world.advance(7);
        let stopped = world.tasks("STOPPED").remove(0);
        assert_eq!(stopped["stopCode"], "EssentialContainerExited");
        assert_eq!(stopped["stoppedReason"], "Essential container in task exited");
        let container = &stopped["containers"][0];
        assert_eq!((&container["exitCode"], &container["reason"]), (&json!(code), &reason));
        assert!(stopped["startedAt"].is_number() && stopped["pullStoppedAt"].is_number());
    }
}

#[test]
fn a_crash_may_come_a_while_after_the_start() {
    let mut world = world_with_service(&json!({}));
    let digest = world.deploy("bbbbbbb");
    world.inject(Fault::Crash { digest, exit_code: 2, after_seconds: 20 });
    world.advance(1 + 12 + 19);
    assert_eq!((world.service()["runningCount"].clone(), world.tasks("STOPPED")), (json!(4), Vec::new()));
    world.advance(1);
    assert_eq!(world.tasks("STOPPED")[0]["containers"][0]["exitCode"], 2);
}

#[test]
fn a_container_that_is_not_essential_may_exit() {
    let mut world = world();
    let digest = world.push("sidecar");
    let image = |tag: &str| format!("{REGISTRY}/mco/api:{tag}");
    let containers = json!([
        {"name": "api", "image": image("aaaaaaa"), "memory": 64},
        {"name": "once", "image": image("sidecar"), "memory": 64, "essential": false},
    ]);
    let definition = json!({"family": "mco-api", "containerDefinitions": containers});
    world.ecs_call("RegisterTaskDefinition", &definition);
    world.inject(Fault::Crash { digest, exit_code: 3, after_seconds: 0 });
    world.begin(&json!({}));
    world.advance(SETTLED);
    assert_eq!(world.service()["runningCount"], 2);
    let task = world.tasks("RUNNING").remove(0);
    assert_eq!(task["containers"][1]["exitCode"], 3);
    assert_eq!(task["containers"][1]["lastStatus"], "STOPPED");
}

#[test]
fn a_task_that_dies_later_is_replaced_without_a_deployment() {
    let mut world = world_with_service(&json!({}));
    let task = world.tasks("RUNNING")[0]["taskArn"].as_str().unwrap().to_owned();
    assert!(world.exit_task(&task, 137));
    assert!(!world.exit_task(&task, 137), "it is stopping already");
    assert_eq!(world.service()["runningCount"], 1);
    world.advance(SETTLED);
    assert_eq!(world.service()["runningCount"], 2);
    assert_eq!(world.statuses().len(), 1);
    assert_eq!(world.tasks("STOPPED")[0]["containers"][0]["exitCode"], 137);
}

#[test]
fn a_task_that_a_user_stops_says_why_and_is_replaced() {
    let mut world = world_with_service(&json!({}));
    let tasks: Vec<Value> = world.tasks("RUNNING").iter().map(|task| task["taskArn"].clone()).collect();
    world.ecs_call("StopTask", &json!({"cluster": "mco", "task": tasks[0]}));
    world.ecs_call("StopTask", &json!({"cluster": "mco", "task": tasks[1], "reason": "why not"}));
    let mut reasons: Vec<Value> =
        world.tasks("STOPPED").iter().map(|task| task["stoppedReason"].clone()).collect();
    reasons.sort_by_key(Value::to_string);
    assert_eq!(reasons, ["Task stopped by user", "why not"]);
    assert_eq!(world.tasks("STOPPED")[0]["stopCode"], "UserInitiated");
    world.advance(SETTLED);
    assert_eq!(world.service()["runningCount"], 2);
    let unknown = json!({"cluster": "mco", "task": "none"});
    assert_eq!(world.refused(Api::Ecs, "StopTask", &unknown), "InvalidParameterException");
}

#[test]
fn a_stopped_task_is_told_of_for_about_an_hour() {
    let mut world = world_with_service(&json!({}));
    world.update(&json!({"desiredCount": 1}));
    world.advance(SETTLED);
    let arn = world.tasks("STOPPED")[0]["taskArn"].clone();
    world.advance(3600);
    assert_eq!(world.tasks("STOPPED"), Vec::<Value>::new());
    let described = world.ecs_call("DescribeTasks", &json!({"cluster": "mco", "tasks": [arn]}));
    assert_eq!(described["failures"][0]["reason"], "MISSING");
}

#[test]
fn tags_reach_only_tasks_that_start_later() {
    let tags = json!({"tags": [{"key": "team", "value": "a"}]});
    let mut world = world_with_service(&laid_over(tags, &json!({"desiredCount": 1})));
    let settings = json!({"propagateTags": "SERVICE", "enableECSManagedTags": true, "desiredCount": 2});
    world.update(&settings);
    world.advance(SETTLED);
    let mut tasks = world.tasks("RUNNING");
    tasks.sort_by_key(|task| seconds(&task["createdAt"]));
    assert_eq!(tasks[0]["tags"], json!([]));
    let expected = json!([
        {"key": "aws:ecs:clusterName", "value": "mco"},
        {"key": "aws:ecs:serviceName", "value": "api"},
        {"key": "team", "value": "a"},
    ]);
    assert_eq!(tasks[1]["tags"], expected);
}

#[test]
fn images_of_other_registries_exist_and_those_of_other_accounts_cannot_be_pulled() {
    let run = |image: &str| {
        let mut world = world();
        let containers = json!([{"name": "a", "image": image, "memory": 64}]);
        world.ecs_call(
            "RegisterTaskDefinition",
            &json!({"family": "mco-api", "containerDefinitions": containers}),
        );
        world.begin(&json!({}));
        world.advance(20);
        world.service()["runningCount"].as_u64().unwrap()
    };
    assert_eq!(run("nginx:1"), 2);
    assert_eq!(run("public.ecr.aws/nginx/nginx@sha256:00"), 2);
    assert_eq!(run("999999999999.dkr.ecr.eu-west-2.amazonaws.com/mco/api:aaaaaaa"), 0);
}
