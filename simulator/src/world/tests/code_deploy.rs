//! Deployments by `CodeDeploy`: how they go on and how they end.

use serde_json::{Value, json};

use super::{SETTLED, World, laid_over, world};
use crate::faults::Fault;
use crate::world::Api;

const MINUTE: u64 = 60;

/// A world whose service `api` belongs to `CodeDeploy`, with the group `API`/`test` that ends the old tasks after five
/// minutes and rolls back on everything; `more` is laid over what creates the group.
struct BlueGreen {
    world: World,
    production: String,
    test: String,
    groups: [String; 2],
}

impl BlueGreen {
    fn new(more: &Value) -> Self {
        let mut world = world();
        let mut elb = |operation: &str, input: &Value| world.call(Api::Elb, operation, input).unwrap();
        let balancer =
            elb("CreateLoadBalancer", &json!({"Name": "mco"}))["LoadBalancers"][0]["LoadBalancerArn"].clone();
        let groups = ["api-1", "api-2"].map(|name| {
            let created = elb("CreateTargetGroup", &json!({"Name": name, "TargetType": "ip", "Port": 8080}));
            created["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned()
        });
        let mut listener = |port: u64| {
            let actions = json!([{"Type": "forward", "TargetGroupArn": groups[0]}]);
            let input = json!({"LoadBalancerArn": balancer, "Port": port, "DefaultActions": actions});
            elb("CreateListener", &input)["Listeners"][0]["ListenerArn"].as_str().unwrap().to_owned()
        };
        let (production, test) = (listener(80), listener(8080));
        world.begin(&json!({"deploymentController": {"type": "CODE_DEPLOY"},
            "loadBalancers": [{"targetGroupArn": groups[0], "containerName": "api", "containerPort": 8080}]}));
        world.advance(SETTLED);
        let mut made = Self { world, production, test, groups };
        made.code_deploy("CreateApplication", &json!({"applicationName": "API", "computePlatform": "ECS"}));
        let group = laid_over(made.group(), more);
        made.code_deploy("CreateDeploymentGroup", &group);
        made
    }

    fn group(&self) -> Value {
        json!({
            "applicationName": "API",
            "deploymentGroupName": "test",
            "serviceRoleArn": "arn:aws:iam::123456789012:role/codedeploy",
            "ecsServices": [{"clusterName": "mco", "serviceName": "api"}],
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "blueGreenDeploymentConfiguration": {
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
                "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
            },
            "autoRollbackConfiguration": {"enabled": true,
                "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]},
            "loadBalancerInfo": {"targetGroupPairInfoList": [{
                "targetGroups": [{"name": "api-1"}, {"name": "api-2"}],
                "prodTrafficRoute": {"listenerArns": [self.production]},
                "testTrafficRoute": {"listenerArns": [self.test]},
            }]},
        })
    }

    #[track_caller]
    fn code_deploy(&mut self, operation: &str, input: &Value) -> Value {
        self.world.call(Api::CodeDeploy, operation, input).unwrap()
    }

    /// Starts a deployment of the tag with these hooks; its id.
    fn begin(&mut self, tag: &str, hooks: &Value) -> String {
        self.world.push(tag);
        self.begin_image(tag, hooks)
    }

    /// The same with an image that is there.
    fn begin_image(&mut self, tag: &str, hooks: &Value) -> String {
        let arn = self.world.register(tag);
        let input = deployment(&arn, hooks);
        self.code_deploy("CreateDeployment", &input)["deploymentId"].as_str().unwrap().to_owned()
    }

    /// A deployment of the tag that has succeeded and whose old tasks are gone.
    fn deployed(&mut self, tag: &str) -> String {
        let id = self.begin(tag, &json!([]));
        self.world.advance(20 * MINUTE);
        assert_eq!(self.status(&id), "Succeeded");
        id
    }

    fn info(&mut self, id: &str) -> Value {
        self.code_deploy("GetDeployment", &json!({"deploymentId": id}))["deploymentInfo"].clone()
    }

    fn status(&mut self, id: &str) -> String {
        self.info(id)["status"].as_str().unwrap().to_owned()
    }

    /// The status with the error's code and whether somebody rolls it back.
    fn end(&mut self, id: &str) -> (String, Value, bool) {
        let info = self.info(id);
        let status = info["status"].as_str().unwrap().to_owned();
        (
            status,
            info["errorInformation"]["code"].clone(),
            info["rollbackInfo"]["rollbackDeploymentId"].is_string(),
        )
    }

    fn target(&mut self, id: &str) -> Value {
        let input = json!({"deploymentId": id, "targetId": "mco:api"});
        self.code_deploy("GetDeploymentTarget", &input)["deploymentTarget"]["ecsTarget"].clone()
    }

    /// `Install Succeeded, ...`, without those that are still to come.
    fn events(&mut self, id: &str) -> String {
        let target = self.target(id);
        let events = target["lifecycleEvents"].as_array().unwrap().iter();
        let told = events.filter(|event| event["status"] != "Pending").map(|event| {
            format!("{} {}", event["lifecycleEventName"].as_str().unwrap(), event["status"].as_str().unwrap())
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// Percent of the production traffic on green.
    fn traffic(&mut self, id: &str) -> u64 {
        let sets = self.target(id)["taskSetsInfo"].clone();
        let green = sets.as_array().unwrap().iter().find(|set| set["taskSetLabel"] == "Green");
        green.map_or(0, |green| green["trafficWeight"].as_u64().unwrap())
    }

    /// Weights of the two target groups on a listener.
    fn weights(&mut self, listener: &str) -> [u64; 2] {
        let described =
            self.world.call(Api::Elb, "DescribeListeners", &json!({"ListenerArns": [listener]})).unwrap();
        let groups = described["Listeners"][0]["DefaultActions"][0]["ForwardConfig"]["TargetGroups"].clone();
        let of = |arn: &String| {
            let mut all = groups.as_array().unwrap().iter();
            all.find(|group| group["TargetGroupArn"] == **arn)
                .map_or(0, |group| group["Weight"].as_u64().unwrap())
        };
        [of(&self.groups[0]), of(&self.groups[1])]
    }

    /// Status and revision of each task set.
    fn sets(&mut self) -> Vec<(String, String)> {
        let service = self.world.service();
        let text = |value: &Value| value.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let sets = service["taskSets"].as_array().unwrap().iter();
        sets.map(|set| (text(&set["status"]), text(&set["taskDefinition"]))).collect()
    }

    fn refused(&mut self, operation: &str, input: &Value) -> String {
        self.world.refused(Api::CodeDeploy, operation, input)
    }
}

fn app_spec(arn: &str, hooks: &Value) -> String {
    let properties =
        json!({"TaskDefinition": arn, "LoadBalancerInfo": {"ContainerName": "api", "ContainerPort": 8080}});
    json!({
        "version": 0.0,
        "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}],
        "Hooks": hooks,
    })
    .to_string()
}

fn deployment(arn: &str, hooks: &Value) -> Value {
    json!({"applicationName": "API", "deploymentGroupName": "test",
        "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": app_spec(arn, hooks)}}})
}

fn set(status: &str, revision: &str) -> (String, String) {
    (status.to_owned(), format!("mco-api:{revision}"))
}

fn no_hooks() -> Value {
    json!([])
}

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
    // Everybody is on the new tasks, and yet it is in progress.
    assert_eq!((made.status(&id).as_str(), made.traffic(&id)), ("InProgress", 100));
    assert_eq!(made.info(&id)["instanceTerminationWaitTimeStarted"], true);
    assert_eq!(made.sets(), [set("PRIMARY", "2"), set("ACTIVE", "1")]);
    let (production, test) = (made.production.clone(), made.test.clone());
    assert_eq!((made.weights(&production), made.weights(&test)), ([0, 100], [0, 100]));
    assert!(made.world.service()["loadBalancers"][0]["targetGroupArn"].as_str().unwrap().contains("/api-2/"));
    made.world.advance(5 * MINUTE);
    assert_eq!(made.end(&id), ("Succeeded".to_owned(), Value::Null, false));
    assert_eq!(made.sets(), [set("PRIMARY", "2")]);
    assert_eq!(made.world.tasks("RUNNING").len(), 2);
    let group = made
        .code_deploy("GetDeploymentGroup", &json!({"applicationName": "API", "deploymentGroupName": "test"}));
    assert_eq!(group["deploymentGroupInfo"]["lastSuccessfulDeployment"]["deploymentId"], json!(id));
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
fn a_hook_that_fails_before_the_shift_leaves_everything_as_it_was() {
    let mut made = BlueGreen::new(&json!({}));
    made.world.inject(Fault::HookFails { function: "smoke".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"AfterAllowTestTraffic": "smoke"}]));
    made.world.advance(45);
    assert_eq!(made.end(&id), ("Failed".to_owned(), json!("HOOK_EXECUTION_FAILURE"), false));
    let told = made.events(&id);
    assert!(told.contains("AfterAllowTestTraffic Failed, BeforeAllowTraffic Skipped"), "{told}");
    assert!(made.info(&id)["rollbackInfo"]["rollbackMessage"].is_string());
    made.world.advance(10);
    assert_eq!(made.sets(), [set("PRIMARY", "1")]);
    let (production, test) = (made.production.clone(), made.test.clone());
    assert_eq!((made.weights(&production), made.weights(&test)), ([1, 0], [100, 0]));
}

#[test]
fn a_failure_after_the_shift_is_rolled_back_by_a_deployment_of_the_last_good_revision() {
    let mut made = BlueGreen::new(&json!({}));
    let good = made.deployed("bbbbbbb");
    made.world.inject(Fault::HookFails { function: "check".to_owned() });
    let id = made.begin("ccccccc", &json!([{"AfterAllowTraffic": "check"}]));
    made.world.advance(50);
    let (status, code, rolled_back) = made.end(&id);
    assert_eq!((status.as_str(), code, rolled_back), ("Failed", json!("HOOK_EXECUTION_FAILURE"), true));
    let rollback = made.info(&id)["rollbackInfo"]["rollbackDeploymentId"].as_str().unwrap().to_owned();
    let info = made.info(&rollback);
    assert_eq!(
        (&info["creator"], &info["rollbackInfo"]["rollbackTriggeringDeploymentId"]),
        (&json!("codeDeployRollback"), &json!(id))
    );
    let good = made.info(&good)["revision"].clone();
    assert_eq!(info["revision"], good);
    made.world.advance(MINUTE);
    assert_eq!(made.status(&rollback), "Succeeded");
    assert_eq!(made.sets(), [set("PRIMARY", "2")]);
}

#[test]
fn the_first_deployment_of_a_group_has_nothing_to_go_back_to() {
    let mut made = BlueGreen::new(&json!({}));
    made.world.inject(Fault::HookFails { function: "check".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"AfterAllowTraffic": "check"}]));
    made.world.advance(2 * MINUTE);
    assert_eq!(made.end(&id), ("Failed".to_owned(), json!("HOOK_EXECUTION_FAILURE"), false));
    assert_eq!(made.sets(), [set("PRIMARY", "2"), set("ACTIVE", "1")]);
    // What is left over does not stop the next one.
    made.deployed("ccccccc");
    assert_eq!(made.sets(), [set("PRIMARY", "3")]);
}

#[test]
fn without_a_rollback_everything_stays_as_the_failure_left_it() {
    let mut made = BlueGreen::new(&json!({"autoRollbackConfiguration": {"enabled": false}}));
    made.world.inject(Fault::HookFails { function: "smoke".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"BeforeAllowTraffic": "smoke"}]));
    made.world.advance(2 * MINUTE);
    assert_eq!(made.end(&id).0, "Failed");
    assert_eq!(made.sets(), [set("PRIMARY", "1"), set("ACTIVE", "2")]);
}

#[test]
fn tasks_that_never_get_healthy_fail_it_after_an_hour() {
    let mut made = BlueGreen::new(&json!({}));
    let digest = made.world.push("bbbbbbb");
    made.world.inject(Fault::Unhealthy { digest });
    let id = made.begin_image("bbbbbbb", &no_hooks());
    made.world.advance(59 * MINUTE);
    assert_eq!(made.status(&id), "InProgress");
    made.world.advance(2 * MINUTE);
    assert_eq!(made.end(&id), ("Failed".to_owned(), json!("HEALTH_CONSTRAINTS"), false));
}

#[test]
fn a_function_that_never_answers_fails_it_after_an_hour_unless_somebody_answers_for_it() {
    let mut made = BlueGreen::new(&json!({}));
    made.world.inject(Fault::HookSilent { function: "smoke".to_owned() });
    let hooks = json!([{"BeforeInstall": "smoke"}]);
    let id = made.begin("bbbbbbb", &hooks);
    made.world.advance(50 * MINUTE);
    assert_eq!(made.events(&id), "BeforeInstall InProgress");
    made.world.advance(11 * MINUTE);
    assert_eq!(made.end(&id).1, "HOOK_EXECUTION_FAILURE");
    for (status, end) in [("Succeeded", "Succeeded"), ("Failed", "Failed")] {
        let id = made.begin_image("bbbbbbb", &hooks);
        made.world.advance(MINUTE);
        let answer = json!({"deploymentId": id, "lifecycleEventHookExecutionId": format!("{id}:BeforeInstall"), "status": status});
        made.code_deploy("PutLifecycleEventHookExecutionStatus", &answer);
        made.world.advance(10 * MINUTE);
        assert_eq!(made.status(&id), end);
    }
}

#[test]
fn an_alarm_stops_it_and_rolls_it_back() {
    let alarms = json!({"alarmConfiguration": {"enabled": true, "alarms": [{"name": "errors"}]}});
    let mut made = BlueGreen::new(&alarms);
    made.deployed("bbbbbbb");
    let id = made.begin("ccccccc", &no_hooks());
    made.world.advance(2 * MINUTE);
    made.world.set_alarm("errors", true);
    made.world.advance(1);
    assert_eq!(made.end(&id), ("Stopped".to_owned(), json!("ALARM_ACTIVE"), true));
    made.world.advance(MINUTE);
    assert_eq!(made.sets(), [set("PRIMARY", "2")]);
}

#[test]
fn stopping_rolls_back_as_the_group_or_the_request_says() {
    for (asked, rolled_back) in [(json!({}), true), (json!({"autoRollbackEnabled": false}), false)] {
        let mut made = BlueGreen::new(&json!({}));
        made.deployed("bbbbbbb");
        let id = made.begin("ccccccc", &no_hooks());
        made.world.advance(2 * MINUTE);
        let stopped = made.code_deploy("StopDeployment", &laid_over(json!({"deploymentId": id}), &asked));
        assert_eq!((stopped["status"].as_str(), made.status(&id).as_str()), (Some("Pending"), "InProgress"));
        made.world.advance(1);
        assert_eq!(made.end(&id), ("Stopped".to_owned(), json!("MANUAL_STOP"), rolled_back));
        assert_eq!(
            made.refused("StopDeployment", &json!({"deploymentId": id})),
            "DeploymentAlreadyCompletedException"
        );
        made.world.advance(MINUTE);
        let left = if rolled_back {
            vec![set("PRIMARY", "2")]
        } else {
            vec![set("PRIMARY", "3"), set("ACTIVE", "2")]
        };
        assert_eq!(made.sets(), left);
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
    assert_eq!(made.end(&id), ("Stopped".to_owned(), Value::Null, false));
    made.world.advance(MINUTE);
    assert_eq!(made.sets(), [set("PRIMARY", "2")]);
}

#[test]
fn what_cannot_be_deployed_is_refused_or_fails_at_once() {
    let mut made = BlueGreen::new(&json!({}));
    let garbage = |content: &str| {
        json!({"applicationName": "API", "deploymentGroupName": "test",
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}})
    };
    for content in
        ["", "{", "version: 0.0", "version: 1.0\nResources: []", &app_spec("x", &json!([{"Install": "f"}]))]
    {
        assert_eq!(
            made.refused("CreateDeployment", &garbage(content)),
            "InvalidRevisionException",
            "{content}"
        );
    }
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
    let missing = made.code_deploy("CreateDeployment", &deployment("mco-api:99", &no_hooks()));
    made.world.advance(10);
    let id = missing["deploymentId"].as_str().unwrap().to_owned();
    assert_eq!(made.end(&id).1, "INVALID_REVISION");
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

#[test]
fn targets_are_healthy_when_their_tasks_are() {
    let mut made = BlueGreen::new(&json!({}));
    let group = made.groups[0].clone();
    let described =
        made.world.call(Api::Elb, "DescribeTargetHealth", &json!({"TargetGroupArn": group})).unwrap();
    let states: Vec<_> = described["TargetHealthDescriptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["TargetHealth"]["State"])
        .collect();
    assert_eq!(states, [&json!("healthy"), &json!("healthy")]);
    assert_eq!(
        made.world.refused(Api::Elb, "DescribeTargetHealth", &json!({"TargetGroupArn": "x"})),
        "TargetGroupNotFound"
    );
    assert_eq!(
        made.world.refused(Api::Elb, "DeleteTargetGroup", &json!({"TargetGroupArn": group})),
        "ResourceInUse"
    );
}

#[test]
fn every_deployment_goes_to_the_target_group_that_is_free() {
    let mut made = BlueGreen::new(&json!({}));
    let production = made.production.clone();
    for (tag, weights) in [("bbbbbbb", [0, 100]), ("ccccccc", [100, 0]), ("ddddddd", [0, 100])] {
        made.deployed(tag);
        assert_eq!(made.weights(&production), weights, "{tag}");
    }
}

#[test]
fn a_group_is_not_free_before_what_failed_is_cleared_away() {
    let mut made = BlueGreen::new(&json!({}));
    made.world.inject(Fault::HookFails { function: "smoke".to_owned() });
    let id = made.begin("bbbbbbb", &json!([{"AfterInstall": "smoke"}]));
    while made.status(&id) != "Failed" {
        made.world.advance(1);
    }
    let again = deployment("mco-api:1", &no_hooks());
    assert_eq!(made.refused("CreateDeployment", &again), "DeploymentLimitExceededException");
    made.world.advance(10);
    made.code_deploy("CreateDeployment", &again);
}
