//! Deployments by `CodeDeploy`: how they go on, and what is said of them.

use serde_json::{Value, json};

use super::blue_green::{BlueGreen, MINUTE, app_spec, deployment, no_hooks, set};
use super::laid_over;
use crate::faults::Fault;
use crate::world::Api;

#[test]
fn traffic_shifts_and_the_old_tasks_end_after_their_wait() {
    let mut made = BlueGreen::new(&json!({}));
    let id = made.begin("bbbbbbb", &no_hooks());
    assert_eq!(made.status(&id), "Created");
    assert_eq!(
        made.refused("ListDeploymentTargets", &json!({"deploymentId": id})),
        "DeploymentNotStartedException"
    );
    made.world.advance(10);
    assert_eq!(made.events(&id), "BeforeInstall Succeeded, Install InProgress");
    assert_eq!(made.sets(), [set("PRIMARY", "1"), set("ACTIVE", "2")]);
    made.world.advance(MINUTE);
    // Everybody is on the new tasks, its target has succeeded, and yet it is in progress.
    assert_eq!((made.status(&id).as_str(), made.traffic(&id)), ("InProgress", 100));
    assert_eq!(made.target(&id)["status"], "Succeeded");
    assert_eq!(made.info(&id)["instanceTerminationWaitTimeStarted"], true);
    assert_eq!(made.sets(), [set("PRIMARY", "2"), set("ACTIVE", "1")]);
    let (production, test) = (made.production.clone(), made.test.clone());
    assert_eq!((made.weights(&production), made.weights(&test)), ([0, 100], [0, 100]));
    assert!(made.world.service()["loadBalancers"][0]["targetGroupArn"].as_str().unwrap().contains("/api-2/"));
    made.until(&id, "Succeeded");
    assert_eq!(made.end(&id), ("Succeeded".to_owned(), Value::Null, false));
    let group = made
        .code_deploy("GetDeploymentGroup", &json!({"applicationName": "API", "deploymentGroupName": "test"}));
    assert_eq!(group["deploymentGroupInfo"]["lastSuccessfulDeployment"]["deploymentId"], json!(id));
}

#[test]
fn it_has_succeeded_when_its_old_tasks_begin_to_drain() {
    let mut made = BlueGreen::new(&json!({}));
    let id = made.begin("bbbbbbb", &no_hooks());
    made.until(&id, "Succeeded");
    made.world.advance(4 * MINUTE);
    assert_eq!(made.sets(), [set("PRIMARY", "2"), set("DRAINING", "1")]);
    let old = made.world.service()["taskSets"][1].clone();
    assert_eq!((&old["scale"]["value"], &old["runningCount"]), (&json!(0.0), &json!(0)));
    let draining = made.world.tasks("STOPPED");
    assert_eq!(draining.len(), 2);
    assert!(draining.iter().all(|task| task["lastStatus"] == "DEACTIVATING"), "{draining:#?}");
    assert!(draining.iter().all(|task| task["containers"][0]["exitCode"].is_null()), "{draining:#?}");
    // The group takes the next one meanwhile.
    let next = made.begin("ccccccc", &no_hooks());
    made.world.advance(2 * MINUTE);
    assert_eq!(made.status(&next), "InProgress");
    assert_eq!(made.sets(), [set("PRIMARY", "3"), set("ACTIVE", "2")]);
}

#[test]
fn old_tasks_that_are_kept_alive_start_no_termination_wait() {
    let keeps = json!({"blueGreenDeploymentConfiguration": {
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "KEEP_ALIVE"}}});
    let mut made = BlueGreen::new(&keeps);
    let id = made.begin("bbbbbbb", &no_hooks());
    made.world.advance(2 * MINUTE);
    assert_eq!(made.status(&id), "Succeeded");
    assert_eq!(made.info(&id)["instanceTerminationWaitTimeStarted"], false);
    assert_eq!(made.sets(), [set("PRIMARY", "2"), set("ACTIVE", "1")]);
}

#[test]
fn targets_are_counted_when_it_has_ended() {
    let mut made = BlueGreen::new(&json!({}));
    let id = made.begin("bbbbbbb", &no_hooks());
    made.world.advance(30);
    assert_eq!(made.info(&id)["deploymentOverview"], Value::Null);
    made.until(&id, "Succeeded");
    let counts =
        json!({"Pending": 0, "InProgress": 0, "Succeeded": 1, "Failed": 0, "Skipped": 0, "Ready": 0});
    assert_eq!(made.info(&id)["deploymentOverview"], counts);
    let labels = |made: &mut BlueGreen| {
        let sets = made.target(&id)["taskSetsInfo"].clone();
        sets.as_array().unwrap().iter().map(|set| set["taskSetLabel"].clone()).collect::<Vec<_>>()
    };
    made.world.advance(20 * MINUTE);
    assert_eq!(labels(&mut made), ["Blue", "Green"]);
    let target = made.target(&id);
    let last = target["lifecycleEvents"].as_array().unwrap().last().unwrap()["endTime"].clone();
    assert_eq!(target["lastUpdatedAt"], last);
}

#[test]
fn without_a_test_listener_there_are_no_tests() {
    let mut made = BlueGreen::new(&json!({}));
    let routes = made.without_test_listener();
    made.update_group(&json!({"loadBalancerInfo": routes}));
    made.world.inject(Fault::HookFails { function: "smoke".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"AfterAllowTestTraffic": "smoke"}]));
    made.until(&id, "Succeeded");
    assert_eq!(
        made.events(&id),
        "BeforeInstall Succeeded, Install Succeeded, AfterInstall Succeeded, BeforeAllowTraffic Succeeded, AllowTraffic Succeeded, AfterAllowTraffic Succeeded"
    );
}

#[test]
fn a_group_has_one_deployment_at_a_time_until_the_wait_is_over() {
    let mut made = BlueGreen::new(&json!({}));
    let id = made.begin("bbbbbbb", &no_hooks());
    let again = deployment("mco-api:2", &no_hooks());
    made.world.advance(2 * MINUTE);
    let error = made.world.call(Api::CodeDeploy, "CreateDeployment", &again).unwrap_err();
    assert_eq!(error.code, "DeploymentLimitExceededException");
    assert!(error.message.contains(&format!("'{id}'")), "{}", error.message);
    made.code_deploy(
        "ContinueDeployment",
        &json!({"deploymentId": id, "deploymentWaitType": "TERMINATION_WAIT"}),
    );
    made.world.advance(10);
    assert_eq!(made.status(&id), "Succeeded");
    made.code_deploy("CreateDeployment", &again);
}

#[test]
fn canary_and_linear_move_the_traffic_in_steps() {
    for (configuration, steps) in [
        ("CodeDeployDefault.ECSCanary10Percent5Minutes", [10, 10, 10, 10, 10, 100]),
        ("CodeDeployDefault.ECSLinear10PercentEvery1Minutes", [10, 20, 30, 40, 50, 60]),
    ] {
        let mut made = BlueGreen::new(&json!({"deploymentConfigName": configuration}));
        let id = made.begin("bbbbbbb", &no_hooks());
        made.world.advance(45);
        let seen = steps.map(|_| {
            let traffic = made.traffic(&id);
            made.world.advance(MINUTE);
            traffic
        });
        assert_eq!(seen, steps, "{configuration}");
        made.world.advance(20 * MINUTE);
        assert_eq!(made.status(&id), "Succeeded");
    }
}

#[test]
fn a_group_that_asks_first_waits_until_somebody_says_so_or_time_is_up() {
    let asks = json!({"blueGreenDeploymentConfiguration": {
        "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 30},
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 0}}});
    let mut made = BlueGreen::new(&asks);
    let id = made.begin("bbbbbbb", &no_hooks());
    assert_eq!(
        made.refused("ContinueDeployment", &json!({"deploymentId": id})),
        "DeploymentIsNotInReadyStateException"
    );
    made.world.advance(MINUTE);
    assert_eq!((made.status(&id).as_str(), made.traffic(&id)), ("Ready", 0));
    made.code_deploy("ContinueDeployment", &json!({"deploymentId": id, "deploymentWaitType": "READY_WAIT"}));
    made.world.advance(MINUTE);
    assert_eq!(made.status(&id), "Succeeded");
    let id = made.begin("ccccccc", &no_hooks());
    made.world.advance(32 * MINUTE);
    assert_eq!(made.end(&id), ("Stopped".to_owned(), json!("TIMEOUT"), true));
    assert!(
        made.error(&id)
            .contains("waiting for a notification to continue. This time out period is 30 minutes.")
    );
    made.world.advance(10 * MINUTE);
    assert_eq!(made.sets(), [set("PRIMARY", "2")]);
}

#[test]
fn what_cannot_be_deployed_is_refused() {
    let mut made = BlueGreen::new(&json!({}));
    let mut wrong = deployment("mco-api:1", &no_hooks());
    wrong["revision"]["appSpecContent"]["sha256"] = json!("00");
    assert_eq!(made.refused("CreateDeployment", &wrong), "InvalidRevisionException");
    let good = deployment("mco-api:1", &no_hooks());
    for (more, code) in [
        (json!({"applicationName": "NOPE"}), "ApplicationDoesNotExistException"),
        (json!({"applicationName": null}), "ApplicationNameRequiredException"),
        (json!({"deploymentGroupName": "nope"}), "DeploymentGroupDoesNotExistException"),
        (json!({"revision": null}), "RevisionRequiredException"),
        (json!({"deploymentConfigName": "nope"}), "DeploymentConfigDoesNotExistException"),
        (json!({"description": "x".repeat(513)}), "DescriptionTooLongException"),
        (
            json!({"autoRollbackConfiguration": {"enabled": true, "events": ["NOPE"]}}),
            "InvalidAutoRollbackConfigException",
        ),
    ] {
        assert_eq!(made.refused("CreateDeployment", &laid_over(good.clone(), &more)), code);
    }
    assert_eq!(
        made.refused("GetDeployment", &json!({"deploymentId": "d-ABCDEFGHI"})),
        "DeploymentDoesNotExistException"
    );
}

#[test]
fn an_app_spec_that_says_nothing_useful_is_taken_and_then_fails() {
    let mut made = BlueGreen::new(&json!({}));
    for content in
        ["{", "version: 0.0", "version: 1.0\nResources: []", &app_spec("x", &json!([{"Install": "f"}]))]
    {
        let input = json!({"applicationName": "API", "deploymentGroupName": "test",
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}});
        let id = made.code_deploy("CreateDeployment", &input)["deploymentId"].as_str().unwrap().to_owned();
        made.world.advance(5);
        assert_eq!(made.end(&id), ("Failed".to_owned(), json!("INVALID_REVISION"), false), "{content}");
        assert!(made.target(&id)["lifecycleEvents"][0]["startTime"].is_null());
    }
    assert_eq!(made.sets(), [set("PRIMARY", "1")]);
}

#[test]
fn what_ecs_refuses_is_told_in_its_words() {
    let mut made = BlueGreen::new(&json!({}));
    let arn = made.world.register("aaaaaaa");
    let other = |old: &str, new: &str| app_spec(&arn, &no_hooks()).replace(old, new);
    for (content, told) in [
        (app_spec("mco-api:99", &no_hooks()), "TaskDefinition not found."),
        (other("\"api\"", "\"web\""), "The container web does not exist in the task definition."),
        (other("8080", "443"), "The container api did not have a container port 443 defined."),
    ] {
        let input = json!({"applicationName": "API", "deploymentGroupName": "test",
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}});
        let id = made.code_deploy("CreateDeployment", &input)["deploymentId"].as_str().unwrap().to_owned();
        made.until(&id, "Failed");
        let error = made.error(&id);
        let prefix = format!(
            "ECS_UPDATE_ERROR: The ECS service cannot be updated due to an unexpected error: {told} (Service: AmazonECS; Status Code: 400;"
        );
        assert!(error.starts_with(&prefix), "{error}");
        assert_eq!(made.events(&id).split(", ").nth(1), Some("Install Failed"));
    }
}

#[test]
fn a_group_is_for_one_service_of_codedeploy_with_everything_it_needs() {
    let mut made = BlueGreen::new(&json!({}));
    made.world.begin(&json!({"serviceName": "rolling"}));
    let other = laid_over(made.group(), &json!({"deploymentGroupName": "other"}));
    for (more, code) in [
        (json!({}), "ECSServiceMappingLimitExceededException"),
        (json!({"deploymentGroupName": "test"}), "DeploymentGroupAlreadyExistsException"),
        (
            json!({"ecsServices": [{"clusterName": "mco", "serviceName": "rolling"}]}),
            "InvalidECSServiceException",
        ),
        (
            json!({"ecsServices": [{"clusterName": "mco", "serviceName": "nope"}]}),
            "InvalidECSServiceException",
        ),
        (json!({"deploymentStyle": null}), "InvalidDeploymentStyleException"),
        (json!({"serviceRoleArn": null}), "RoleRequiredException"),
        (
            json!({"blueGreenDeploymentConfiguration": null}),
            "InvalidBlueGreenDeploymentConfigurationException",
        ),
    ] {
        assert_eq!(made.refused("CreateDeploymentGroup", &laid_over(other.clone(), &more)), code);
    }
    made.code_deploy(
        "DeleteDeploymentGroup",
        &json!({"applicationName": "API", "deploymentGroupName": "test"}),
    );
    assert_eq!(
        made.refused("CreateDeploymentGroup", &laid_over(other.clone(), &json!({"loadBalancerInfo": null}))),
        "InvalidLoadBalancerInfoException"
    );
    made.code_deploy("CreateDeploymentGroup", &other);
}

#[test]
fn a_group_keeps_its_deployments_under_another_name_and_takes_nobody_elses() {
    let mut made = BlueGreen::new(&json!({}));
    let balancers =
        json!([{"targetGroupArn": made.groups[0], "containerName": "api", "containerPort": 8080}]);
    made.world.begin(&json!({"serviceName": "web", "loadBalancers": balancers,
        "deploymentController": {"type": "CODE_DEPLOY"}}));
    let web =
        json!({"deploymentGroupName": "web", "ecsServices": [{"clusterName": "mco", "serviceName": "web"}]});
    let web = laid_over(made.group(), &web);
    made.code_deploy("CreateDeploymentGroup", &web);
    let rename = |new: &str| json!({"applicationName": "API", "currentDeploymentGroupName": "test", "newDeploymentGroupName": new});
    assert_eq!(
        made.refused("UpdateDeploymentGroup", &rename("web")),
        "DeploymentGroupAlreadyExistsException"
    );
    let id = made.begin("bbbbbbb", &no_hooks());
    made.code_deploy("UpdateDeploymentGroup", &rename("renamed"));
    let renamed = json!({"applicationName": "API", "deploymentGroupName": "renamed"});
    let next = laid_over(deployment("mco-api:1", &no_hooks()), &renamed);
    assert_eq!(made.refused("CreateDeployment", &next), "DeploymentLimitExceededException");
    made.until(&id, "Succeeded");
    assert_eq!(made.info(&id)["deploymentGroupName"], "renamed");
    let group = made.code_deploy("GetDeploymentGroup", &renamed)["deploymentGroupInfo"].clone();
    assert_eq!(group["lastSuccessfulDeployment"]["deploymentId"], json!(id));
    assert_eq!(made.code_deploy("ListDeployments", &renamed)["deployments"], json!([id]));
    // Another one of the old name is another group.
    made.code_deploy("DeleteDeploymentGroup", &renamed);
    let group = made.group();
    made.code_deploy("CreateDeploymentGroup", &group);
    let named = json!({"applicationName": "API", "deploymentGroupName": "test"});
    assert_eq!(made.code_deploy("ListDeployments", &named)["deployments"], json!([]));
}

#[test]
fn a_network_load_balancer_shifts_all_at_once() {
    let mut made = BlueGreen::new(&json!({}));
    let balancer = json!({"Name": "net", "Type": "network"});
    let balancer = made.world.call(Api::Elb, "CreateLoadBalancer", &balancer).unwrap();
    let listener = json!({"LoadBalancerArn": balancer["LoadBalancers"][0]["LoadBalancerArn"], "Port": 80,
        "Protocol": "TCP", "DefaultActions": [{"Type": "forward", "TargetGroupArn": made.groups[0]}]});
    let listener = made.world.call(Api::Elb, "CreateListener", &listener).unwrap();
    made.production = listener["Listeners"][0]["ListenerArn"].as_str().unwrap().to_owned();
    let routes = made.without_test_listener();
    made.update_group(&json!({"loadBalancerInfo": routes}));
    let canary = json!({"deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes"});
    let update = laid_over(json!({"applicationName": "API", "currentDeploymentGroupName": "test"}), &canary);
    let create = laid_over(deployment("mco-api:1", &no_hooks()), &canary);
    for (operation, input) in [("UpdateDeploymentGroup", update), ("CreateDeployment", create)] {
        let error = made.world.call(Api::CodeDeploy, operation, &input).unwrap_err();
        assert!(error.message.starts_with("Only ALB supports gradual traffic routing"), "{error:?}");
    }
    made.deployed("bbbbbbb");
}

#[test]
fn every_refusal_has_a_code_that_the_operation_declares() {
    let mut made = BlueGreen::new(&json!({}));
    let id = made.begin("bbbbbbb", &json!([{"BeforeInstall": "f"}]));
    made.world.advance(5);
    let target = |ids: Value| json!({"deploymentId": id, "targetIds": ids});
    let hook = |event: &str| json!({"deploymentId": id, "lifecycleEventHookExecutionId": format!("{id}:{event}"), "status": "Succeeded"});
    for (operation, input, code) in [
        ("ListApplications", json!({"nextToken": "x"}), "InvalidNextToken"),
        ("ListDeployments", json!({"nextToken": "x"}), "InvalidNextToken"),
        ("ListDeployments", json!({"includeOnlyStatuses": ["Done"]}), "InvalidDeploymentStatus"),
        ("ListDeployments", json!({"createTimeRange": {"start": 2, "end": 1}}), "InvalidTimeRange"),
        ("ListDeployments", json!({"applicationName": "API"}), "DeploymentGroupNameRequired"),
        ("ListDeployments", json!({"deploymentGroupName": "test"}), "ApplicationNameRequired"),
        ("GetDeploymentConfig", json!({}), "DeploymentConfigNameRequired"),
        ("DeleteDeploymentConfig", json!({}), "DeploymentConfigNameRequired"),
        (
            "DeleteDeploymentConfig",
            json!({"deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce"}),
            "InvalidOperation",
        ),
        ("DeleteDeploymentGroup", json!({}), "ApplicationNameRequired"),
        ("DeleteDeploymentGroup", json!({"applicationName": "API"}), "DeploymentGroupNameRequired"),
        ("BatchGetDeployments", json!({"deploymentIds": ["x"]}), "InvalidDeploymentId"),
        ("BatchGetDeploymentTargets", target(json!([])), "DeploymentTargetIdRequired"),
        (
            "BatchGetDeploymentTargets",
            target(json!(["mco:api", "mco:web"])),
            "DeploymentTargetListSizeExceeded",
        ),
        ("BatchGetDeploymentTargets", target(json!(["mco:web"])), "DeploymentTargetDoesNotExist"),
        ("GetDeploymentTarget", json!({"deploymentId": id, "targetId": "api"}), "InvalidDeploymentTargetId"),
        ("GetDeploymentTarget", json!({"deploymentId": id}), "DeploymentTargetIdRequired"),
        (
            "PutLifecycleEventHookExecutionStatus",
            hook("AfterInstall"),
            "InvalidLifecycleEventHookExecutionId",
        ),
        ("CreateDeployment", json!({"fileExistsBehavior": "MERGE"}), "InvalidFileExistsBehavior"),
        ("CreateDeployment", json!({"deploymentMode": "RESTART"}), "InvalidInput"),
    ] {
        let input = match operation {
            "CreateDeployment" => laid_over(deployment("mco-api:1", &no_hooks()), &input),
            _ => input,
        };
        assert_eq!(made.refused(operation, &input), format!("{code}Exception"), "{operation} {input}");
    }
    made.world.advance(30);
    assert_eq!(
        made.refused("PutLifecycleEventHookExecutionStatus", &hook("BeforeInstall")),
        "LifecycleEventAlreadyCompletedException"
    );
}

#[test]
fn times_have_milliseconds_and_ids_no_order() {
    let mut made = BlueGreen::new(&json!({}));
    let id = made.deployed("bbbbbbb");
    let created = made.info(&id)["createTime"].as_f64().unwrap();
    assert!(created.fract() != 0.0, "{created}");
    let since = |made: &mut BlueGreen, start: f64| {
        made.code_deploy("ListDeployments", &json!({"createTimeRange": {"start": start}}))["deployments"]
            .clone()
    };
    assert_eq!(since(&mut made, created), json!([id]));
    assert_eq!(since(&mut made, created + 0.001), json!([]));
    let group = made
        .code_deploy("GetDeploymentGroup", &json!({"applicationName": "API", "deploymentGroupName": "test"}));
    let uuid = group["deploymentGroupInfo"]["deploymentGroupId"].as_str().unwrap().to_owned();
    assert!(uuid.len() == 36 && !uuid.starts_with("0000"), "{uuid}");
}

#[test]
fn an_app_spec_is_read_in_any_case_and_its_network_is_the_task_sets_own() {
    let mut made = BlueGreen::new(&json!({}));
    let content = "version: 0.0\nresources:\n- targetService:\n    type: AWS::ECS::Service\n    properties:\n      taskDefinition: mco-api:1\n      loadBalancerInfo: {containerName: api, containerPort: 8080}\n      platformVersion: '1.4.0'\n";
    let input = json!({"applicationName": "API", "deploymentGroupName": "test",
        "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}});
    let id = made.code_deploy("CreateDeployment", &input)["deploymentId"].as_str().unwrap().to_owned();
    made.world.advance(10);
    let sets = made.world.service()["taskSets"].clone();
    assert_eq!(
        (&sets[1]["platformVersion"], &sets[1]["externalId"], &sets[1]["startedBy"]),
        (&json!("1.4.0"), &json!(id), &json!("CODE_DEPLOY"))
    );
    let sha256 = made.info(&id)["revision"]["appSpecContent"]["sha256"].clone();
    assert_eq!(made.info(&id)["revision"]["appSpecContent"]["content"], Value::Null);
    let revision = json!({"applicationName": "API", "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": sha256}}});
    let found = made.code_deploy("GetApplicationRevision", &revision);
    assert_eq!(found["revision"]["appSpecContent"]["content"], json!(content));
    assert!(found["revisionInfo"]["firstUsedTime"].is_number());
    assert_eq!(found["revisionInfo"]["deploymentGroups"], json!([]));
    made.until(&id, "Succeeded");
    let found = made.code_deploy("GetApplicationRevision", &revision);
    assert_eq!(found["revisionInfo"]["deploymentGroups"], json!(["test"]));
}

#[test]
fn deployments_are_listed_by_status_and_time_in_no_order() {
    let mut made = BlueGreen::new(&json!({}));
    let mut ids: Vec<String> =
        ["bbbbbbb", "ccccccc", "ddddddd", "eeeeeee"].iter().map(|tag| made.deployed(tag)).collect();
    let running = made.begin("fffffff", &no_hooks());
    let list = |made: &mut BlueGreen, more: &Value| {
        let input = laid_over(json!({"applicationName": "API", "deploymentGroupName": "test"}), more);
        let listed = made.code_deploy("ListDeployments", &input)["deployments"].clone();
        let mut ids: Vec<String> =
            listed.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let in_order = ids.clone();
    ids.sort();
    assert_ne!(ids, in_order);
    assert_eq!(list(&mut made, &json!({"includeOnlyStatuses": ["Succeeded"]})), ids);
    assert_eq!(list(&mut made, &json!({"includeOnlyStatuses": ["Created", "InProgress"]})), [running]);
    let now = made.world.now();
    assert!(list(&mut made, &json!({"createTimeRange": {"start": now + 1}})).is_empty());
    let described = made.code_deploy("BatchGetDeployments", &json!({"deploymentIds": ids}));
    assert_eq!(described["deploymentsInfo"].as_array().unwrap().len(), 4);
}
