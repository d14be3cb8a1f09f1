//! Tasks that no service starts: `RunTask`, its tokens, and how such tasks end.

use serde_json::{Value, json};

use super::super::{Api, Program, World};
use super::{laid_over, world};
use crate::faults::Fault;

/// Until a run has ended whose containers do what is usual.
const ENDED: u64 = 60;

fn asked(more: &Value) -> Value {
    laid_over(json!({"cluster": "mco", "taskDefinition": "mco-api"}), more)
}

impl World {
    fn run_asked(&mut self, more: &Value) -> Value {
        self.ecs_call("RunTask", &asked(more))
    }

    fn run_one(&mut self, more: &Value) -> String {
        self.run_asked(more)["tasks"][0]["taskArn"].as_str().unwrap().to_owned()
    }

    fn listed(&mut self, more: &Value) -> Vec<String> {
        let listed = self.ecs_call("ListTasks", &laid_over(json!({"cluster": "mco"}), more));
        let arns = listed["taskArns"].as_array().unwrap().iter();
        arns.map(|arn| arn.as_str().unwrap().to_owned()).collect()
    }

    fn task_of(&mut self, task: &str) -> Value {
        let input = json!({"cluster": "mco", "tasks": [task], "include": ["TAGS"]});
        self.ecs_call("DescribeTasks", &input)["tasks"][0].clone()
    }

    /// Registers revisions of `job` with these containers.
    fn register_job(&mut self, containers: &Value, more: &Value) {
        let job = json!({"family": "job", "containerDefinitions": containers});
        self.ecs_call("RegisterTaskDefinition", &laid_over(job, more));
    }
}

fn container(name: &str, more: &Value) -> Value {
    let image = format!("{}/mco/api:aaaaaaa", super::REGISTRY);
    laid_over(json!({"name": name, "image": image, "memory": 64}), more)
}

#[test]
fn a_run_ends_by_itself_and_nobody_starts_it_again() {
    let mut world = world();
    let task = world.run_one(&json!({"startedBy": "me"}));
    world.advance(ENDED);
    let stopped = world.task_of(&task);
    assert_eq!((&stopped["lastStatus"], &stopped["desiredStatus"]), (&json!("STOPPED"), &json!("STOPPED")));
    assert_eq!(stopped["stopCode"], "EssentialContainerExited");
    assert_eq!(stopped["containers"][0]["exitCode"], 0);
    assert_eq!((&stopped["group"], &stopped["startedBy"]), (&json!("family:mco-api"), &json!("me")));
    assert_eq!(world.listed(&json!({})), Vec::<String>::new());
    assert_eq!(
        world.listed(&json!({"startedBy": "me", "desiredStatus": "STOPPED"})),
        std::slice::from_ref(&task)
    );
    assert_eq!(
        world.listed(&json!({"family": "mco-api", "desiredStatus": "STOPPED"})),
        std::slice::from_ref(&task)
    );
    world.advance(3600);
    assert_eq!(world.task_of(&task), Value::Null, "an hour later");
}

#[test]
fn a_run_appears_in_lists_a_moment_after_the_call() {
    let mut world = world();
    let task = world.run_one(&json!({}));
    world.advance(1);
    assert!(world.listed(&json!({})).is_empty());
    assert_eq!(world.task_of(&task), Value::Null);
    world.advance(1);
    assert_eq!(world.listed(&json!({})), std::slice::from_ref(&task));
    assert_eq!(world.task_of(&task)["lastStatus"], "PROVISIONING");
}

#[test]
fn a_container_ends_as_it_was_told_and_the_others_with_it() {
    let mut world = world();
    world.register_job(
        &json!([
            container("migrate", &json!({})),
            container("proxy", &json!({"essential": true})),
            container("setup", &json!({"essential": false})),
        ]),
        &json!({}),
    );
    world.set_program("migrate", Program::Ends { exit_code: 3, after_seconds: 100 });
    world.set_program("proxy", Program::Stays);
    world.set_program("setup", Program::Ends { exit_code: 0, after_seconds: 5 });
    let task = world.run_one(&json!({"taskDefinition": "job"}));
    world.advance(100);
    assert_eq!(world.task_of(&task)["lastStatus"], "RUNNING", "one that is not essential ends no task");
    world.advance(30);
    let stopped = world.task_of(&task);
    let codes: Vec<&Value> = [0, 1, 2].iter().map(|at| &stopped["containers"][*at]["exitCode"]).collect();
    assert_eq!(codes, [3, 143, 0]);
}

#[test]
fn a_run_that_cannot_start_says_why_and_has_no_exit_code() {
    let secrets = json!({"secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:eu-west-2:123456789012:parameter/key"}]});
    let mut world = world();
    world.register_job(&json!([container("api", &secrets)]), &json!({}));
    world.inject(Fault::NoSecret { name: "arn:aws:ssm:eu-west-2:123456789012:parameter/key".to_owned() });
    let task = world.run_one(&json!({"taskDefinition": "job"}));
    world.register_job(
        &json!([container("api", &json!({"image": format!("{}/mco/api:gone", super::REGISTRY)}))]),
        &json!({}),
    );
    let unpulled = world.run_one(&json!({"taskDefinition": "job"}));
    world.advance(ENDED);
    let (task, unpulled) = (world.task_of(&task), world.task_of(&unpulled));
    for stopped in [&task, &unpulled] {
        assert_eq!(stopped["stopCode"], "TaskFailedToStart");
        assert_eq!(stopped["containers"][0]["exitCode"], Value::Null);
    }
    assert!(
        task["stoppedReason"]
            .as_str()
            .unwrap()
            .starts_with("ResourceInitializationError: unable to pull secrets")
    );
    assert!(unpulled["containers"][0]["reason"].as_str().unwrap().starts_with("CannotPullContainerError: "));
}

#[test]
fn a_run_is_stopped_by_a_user_or_by_spot() {
    let mut world = world();
    world.ecs_call(
        "CreateCluster",
        &json!({"clusterName": "spot", "capacityProviders": ["FARGATE_SPOT"],
        "defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]}),
    );
    world.register_job(
        &json!([container("api", &json!({}))]),
        &json!({"networkMode": "awsvpc", "cpu": "256", "memory": "512"}),
    );
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-9"]}});
    let by_user = world.run_one(&json!({}));
    let by_spot =
        world.run_one(&json!({"cluster": "spot", "taskDefinition": "job", "networkConfiguration": network}));
    world.advance(20);
    world.ecs_call("StopTask", &json!({"cluster": "mco", "task": by_user, "reason": "too long"}));
    assert!(!world.interrupt_task(&by_user), "it is on no Spot capacity");
    assert!(world.interrupt_task(&by_spot));
    world.advance(10);
    let stopped = world.task_of(&by_user);
    assert_eq!(
        (&stopped["stopCode"], &stopped["stoppedReason"]),
        (&json!("UserInitiated"), &json!("too long"))
    );
    assert_eq!(stopped["containers"][0]["exitCode"], 143);
    let stopped =
        world.ecs_call("DescribeTasks", &json!({"cluster": "spot", "tasks": [by_spot]}))["tasks"][0].clone();
    assert_eq!(
        (&stopped["stopCode"], &stopped["capacityProviderName"]),
        (&json!("SpotInterruption"), &json!("FARGATE_SPOT"))
    );
    assert_eq!(stopped["attachments"][0]["details"][0]["value"], "subnet-9");
}

#[test]
fn the_same_token_and_parameters_start_nothing_more() {
    let mut world = world();
    let once = json!({"clientToken": "one", "startedBy": "me"});
    let task = world.run_one(&once);
    assert_eq!(world.run_one(&once), task);
    world.ecs_call("CreateCluster", &json!({"clusterName": "other"}));
    let elsewhere = world.run_one(&laid_over(once.clone(), &json!({"cluster": "other"})));
    assert_ne!(elsewhere, task, "a token belongs to its cluster");
    assert_ne!(world.run_one(&json!({"startedBy": "me"})), task, "without a token every call starts one");
    world.advance(ENDED);
    let replayed = world.run_asked(&once)["tasks"][0].clone();
    assert_eq!(replayed, json!({"taskArn": task, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}));
}

#[test]
fn the_same_token_with_other_parameters_is_a_conflict_that_names_the_tasks() {
    let mut world = world();
    let task = world.run_one(&json!({"clientToken": "one"}));
    let other = asked(&json!({"clientToken": "one", "startedBy": "me"}));
    let refused = world.call(Api::Ecs, "RunTask", &other).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.resource_ids), ("ConflictException", vec![task]));
}

#[test]
fn a_token_lives_an_hour_longer_than_its_task_and_a_day_at_most() {
    let once = json!({"clientToken": "one"});
    let starts_again = |program: Program, after: u64| {
        let mut world = world();
        world.set_program("api", program);
        let task = world.run_one(&once);
        world.advance(after);
        world.run_one(&once) != task
    };
    // It runs after 12 s, ends 10 s later and has stopped after 4 more.
    let short = Program::Ends { exit_code: 0, after_seconds: 10 };
    assert!(!starts_again(short, 26 + 3599));
    assert!(starts_again(short, 26 + 3601));
    assert!(!starts_again(Program::Stays, 24 * 3600 - 1));
    assert!(starts_again(Program::Stays, 24 * 3600));
}

#[test]
fn a_token_that_met_no_capacity_is_used_up() {
    let mut world = world();
    world.inject(Fault::NoCapacity { reason: "RESOURCE:MEMORY".to_owned(), times: 1 });
    let once = json!({"clientToken": "one"});
    let failed = json!({"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]});
    assert_eq!(world.run_asked(&once), failed);
    assert_eq!(world.run_asked(&once), failed, "the failure is what is repeated");
    assert_eq!(world.run_asked(&json!({"clientToken": "two"}))["failures"], json!([]));
    world.advance(3600);
    assert_eq!(world.run_asked(&once), json!({"tasks": [], "failures": [{}]}), "an hour later only how many");
}

#[test]
fn started_by_is_the_only_filter_or_all_but_the_status() {
    let mut world = world();
    world.run_one(&json!({"startedBy": "me"}));
    world.advance(2);
    assert_eq!(world.listed(&json!({"startedBy": "me", "desiredStatus": "RUNNING"})).len(), 1);
    let with = |more: &Value| laid_over(json!({"cluster": "mco", "startedBy": "me"}), more);
    let refused = world.why_refused("ListTasks", &with(&json!({"family": "mco-api"})));
    assert_eq!(refused, "startedBy must be the only filter.");
    world.inject(Fault::StrictStartedBy);
    let refused = world.why_refused("ListTasks", &with(&json!({"desiredStatus": "STOPPED"})));
    assert_eq!(refused, "startedBy must be the only filter.");
    assert_eq!(world.listed(&json!({"startedBy": "me"})).len(), 1);
}

#[test]
fn a_run_has_the_tags_it_was_given_and_those_of_its_revision_if_asked() {
    let mut world = world();
    world.register_job(
        &json!([container("api", &json!({}))]),
        &json!({"tags": [{"key": "team", "value": "a"}]}),
    );
    let tags = json!([{"key": "trueup:commit", "value": "aaaaaaa"}]);
    let own = json!({"taskDefinition": "job", "tags": tags});
    let (plain, both) = (
        world.run_one(&own),
        world.run_one(&laid_over(
            own,
            &json!({"propagateTags": "TASK_DEFINITION", "enableECSManagedTags": true}),
        )),
    );
    world.advance(2);
    assert_eq!(world.task_of(&plain)["tags"], tags);
    let keys: Vec<Value> =
        world.task_of(&both)["tags"].as_array().unwrap().iter().map(|tag| tag["key"].clone()).collect();
    assert_eq!(keys, ["aws:ecs:clusterName", "team", "trueup:commit"]);
}

#[test]
fn what_cannot_be_run_is_refused() {
    let mut world = world();
    world.register_job(&json!([container("api", &json!({}))]), &json!({"networkMode": "awsvpc"}));
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let cases = [
        (json!({"launchType": "FARGATE"}), "Task definition does not support launch_type FARGATE."),
        (
            json!({"taskDefinition": "job"}),
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ),
        (
            json!({"networkConfiguration": network}),
            "Network Configuration is not valid for the given networkMode of this task definition.",
        ),
        (
            json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]}),
            "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.",
        ),
        (
            json!({"launchType": "EC2", "capacityProviderStrategy": [{"capacityProvider": "x"}]}),
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ),
        (
            json!({"overrides": {"containerOverrides": [{"name": "ghost"}]}}),
            "Override for container named ghost is not a container in the TaskDefinition.",
        ),
        (
            json!({"platformVersion": "1.4.0"}),
            "The platform version must be null when specifying an EC2 launch type.",
        ),
        (json!({"count": 11}), "count must be between 1 and 10."),
        (json!({"propagateTags": "SERVICE"}), "Invalid value for propagateTags."),
        (json!({"group": "service:api"}), "The group cannot begin with family: or service:."),
        (
            json!({"clientToken": "a b"}),
            "clientToken must have from 1 to 64 characters of the ASCII codes 33 to 126.",
        ),
        (json!({"startedBy": "x".repeat(129)}), "startedBy cannot be longer than 128 characters."),
        (json!({"taskDefinition": "nope"}), "TaskDefinition not found."),
        (json!({"cluster": "nope"}), "Cluster not found."),
    ];
    for (more, why) in cases {
        assert_eq!(world.why_refused("RunTask", &asked(&more)), why);
    }
    world.advance(2);
    assert!(world.listed(&json!({})).is_empty(), "none of them has started anything");
}

#[test]
fn a_cluster_counts_its_runs_and_stays_as_long_as_one_goes_on() {
    let mut world = world();
    let tasks = world.run_asked(&json!({"count": 3}))["tasks"].as_array().unwrap().len();
    let cluster = |world: &mut World| {
        world.ecs_call("DescribeClusters", &json!({"clusters": ["mco"], "include": ["STATISTICS"]}))["clusters"][0].clone()
    };
    assert_eq!((tasks, cluster(&mut world)["pendingTasksCount"].clone()), (3, json!(3)));
    world.advance(20);
    assert_eq!(cluster(&mut world)["runningTasksCount"], 3);
    let statistics = cluster(&mut world)["statistics"].clone();
    assert!(statistics.as_array().unwrap().contains(&json!({"name": "runningEC2TasksCount", "value": "3"})));
    let named = json!({"cluster": "mco"});
    assert_eq!(world.refused(Api::Ecs, "DeleteCluster", &named), "ClusterContainsTasksException");
    world.advance(ENDED);
    world.ecs_call("DeleteCluster", &named);
}

#[test]
fn a_revision_that_is_to_be_deleted_stays_while_a_run_needs_it() {
    let mut world = world();
    world.run_one(&json!({}));
    world.ecs_call("DeregisterTaskDefinition", &json!({"taskDefinition": "mco-api:1"}));
    world.ecs_call("DeleteTaskDefinitions", &json!({"taskDefinitions": ["mco-api:1"]}));
    let named = json!({"taskDefinition": "mco-api:1"});
    world.advance(20);
    assert_eq!(
        world.ecs_call("DescribeTaskDefinition", &named)["taskDefinition"]["status"],
        "DELETE_IN_PROGRESS"
    );
    world.advance(ENDED);
    assert_eq!(world.refused(Api::Ecs, "DescribeTaskDefinition", &named), "ClientException");
}
