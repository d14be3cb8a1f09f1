//! Traffic that ECS shifts, each command in a process of its own.

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::rig::{APPLICATION, Rig};

const WHOLE: &str = "240";
/// Longer than any of these tests, in the world's seconds; a test ends it by letting them pass.
const BAKE: u64 = 24 * 60;

impl Rig {
    /// A canary, with a pause before any traffic and a bake that ends when time is made to pass.
    fn canary() -> Self {
        let rig = Self::bare();
        let made = |operation: &str, input: &Value, path: &str| {
            rig.call(Api::Elb, operation, input).pointer(path).cloned().unwrap()
        };
        let balancer =
            made("CreateLoadBalancer", &json!({"Name": "mco"}), "/LoadBalancers/0/LoadBalancerArn");
        let groups = ["api-1", "api-2"].map(|name| {
            made(
                "CreateTargetGroup",
                &json!({"Name": name, "TargetType": "ip"}),
                "/TargetGroups/0/TargetGroupArn",
            )
        });
        let weights =
            json!([{"TargetGroupArn": groups[0], "Weight": 1}, {"TargetGroupArn": groups[1], "Weight": 0}]);
        let forward = json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]);
        let listener = json!({"LoadBalancerArn": balancer, "Port": 80, "DefaultActions": forward});
        let listener = made("CreateListener", &listener, "/Listeners/0/ListenerArn");
        let rule = made("DescribeRules", &json!({"ListenerArn": listener}), "/Rules/0/RuleArn");
        let mut configuration = json!({"strategy": "CANARY", "bakeTimeInMinutes": 0,
            "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 0}});
        let containers = json!([{"name": "api", "image": format!("{}/mco/api:aaaaaaa", crate::rig::REGISTRY), "memory": 512,
            "portMappings": [{"containerPort": 8080}]}]);
        rig.call(
            Api::Ecs,
            "RegisterTaskDefinition",
            &json!({"family": "mco-api", "containerDefinitions": containers}),
        );
        let service = json!({"cluster": "mco", "serviceName": "mco-api-test", "taskDefinition": "mco-api", "desiredCount": 2,
            "deploymentConfiguration": configuration, "loadBalancers": [{"targetGroupArn": groups[0], "containerName": "api",
                "containerPort": 8080, "advancedConfiguration": {"alternateTargetGroupArn": groups[1],
                    "productionListenerRule": rule, "roleArn": "arn:aws:iam::123456789012:role/ecs"}}]});
        rig.call(Api::Ecs, "CreateService", &service);
        rig.world.lock().unwrap().advance(300);
        configuration["bakeTimeInMinutes"] = json!(BAKE);
        configuration["lifecycleHooks"] =
            json!([{"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"]}]);
        let update =
            json!({"cluster": "mco", "service": "mco-api-test", "deploymentConfiguration": configuration});
        rig.call(Api::Ecs, "UpdateService", &update);
        rig.tag("aaaaaaa", "test");
        rig.write("api.yaml", &format!("{APPLICATION}  strategy: canary\n"));
        rig.declare("aaaaaaa");
        rig
    }

    /// Declares a commit that is built, and lets it come to its pause.
    fn bring(&self, commit: &str) {
        self.build(commit);
        self.declare(commit);
        self.expect(&["reconcile", "--timeout", "4"], 4);
        self.until_it_waits("test/api");
    }

    fn calls(&self, operation: &str) -> u64 {
        self.world.lock().unwrap().calls(operation)
    }

    fn waits_because(&self) -> (Value, Value, usize) {
        let status = self.status();
        (status["waiting"]["reason"].clone(), status["tagged"]["commit"].clone(), self.deployments())
    }
}

#[test]
fn the_commit_that_was_meant_is_approved_and_traffic_is_not_yet_success() {
    let rig = Rig::canary();
    rig.bring("bbbbbbb");
    rig.expect(&["approve", "test/api", "--commit", "ccccccc"], 1);
    assert_eq!(rig.calls("ContinueServiceDeployment"), 0, "a word for another commit answers nothing");
    rig.expect(&["approve", "test/api", "--commit", "bbbbbbb"], 0);
    assert_eq!(rig.calls("ContinueServiceDeployment"), 1);
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb", "--until", "traffic", "--timeout", WHOLE], 0);
    let status = rig.status();
    let last = &status["lastDeployment"];
    assert_eq!(
        (&last["phase"], &last["traffic"], &status["tagged"]["commit"]),
        (&json!("InProgress"), &json!(100), &json!("aaaaaaa"))
    );
    // It succeeds, and the tag moves, when its bake is over.
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "1"], 4);
    rig.world.lock().unwrap().advance(BAKE * 60);
    rig.expect(&["reconcile", "--timeout", WHOLE], 0);
    assert_eq!(rig.waits_because(), (json!("Settled"), json!("bbbbbbb"), 2));
}

#[test]
fn a_pause_is_rejected_and_so_is_a_bake_which_is_the_emergency_brake() {
    let rig = Rig::canary();
    rig.expect(&["reject", "test/api"], 1);
    rig.bring("bbbbbbb");
    rig.expect(&["reject", "test/api"], 0);
    rig.expect(&["reconcile", "--timeout", WHOLE], 3);
    assert_eq!(rig.waits_because(), (json!("Held"), json!("aaaaaaa"), 2));
    assert_eq!(rig.calls("StopServiceDeployment"), 0, "the pause was answered");
    rig.bring("ccccccc");
    // The first answer has its effect and is lost, so that the next one finds nobody waiting: as if somebody had been faster.
    let lost = Fault::LoseAnswer { operation: "ContinueServiceDeployment".to_owned() };
    rig.world.lock().unwrap().inject(lost);
    rig.expect(&["approve", "test/api"], 0);
    rig.until_it_is("test/api", "its bake", |deployment| deployment["stage"] == "Standby");
    rig.expect(&["reject", "test/api", "--commit", "bbbbbbb"], 1);
    rig.expect(&["reject", "test/api", "--commit", "ccccccc"], 0);
    assert_eq!(rig.calls("StopServiceDeployment"), 1);
    rig.expect(&["reconcile", "--timeout", WHOLE], 3);
    assert_eq!(rig.waits_because(), (json!("Held"), json!("aaaaaaa"), 3));
    assert_eq!(rig.status()["running"][0]["commits"], json!(["aaaaaaa"]));
}
