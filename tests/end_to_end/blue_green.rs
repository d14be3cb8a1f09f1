//! CodeDeploy, from the files of `examples/infrastructure`, each command in a process of its own.

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::rig::{REGISTRY, Rig};

const WHOLE: &str = "240";

impl Rig {
    /// The worker, which ECS replaces task by task, and the API, which CodeDeploy deploys, both on commit 0000000; the
    /// repository is the example. `more` is laid over what creates the deployment group.
    pub fn seed(more: &Value) -> Self {
        let rig = Self::bare();
        for name in ["worker", "api"] {
            if name != "api" {
                rig.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": "mco/worker"}));
            }
            rig.push(name, "0000000");
        }
        let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}});
        let definition = |name: &str| {
            json!({"family": format!("mco-{name}-test"), "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
                "cpu": "256", "memory": "512", "executionRoleArn": "arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
                "containerDefinitions": [{"name": name, "image": format!("{REGISTRY}/mco/{name}:0000000"),
                    "portMappings": [{"containerPort": 8080}]}]})
        };
        let service = |name: &str| {
            json!({"cluster": "mco", "serviceName": format!("mco-{name}-test"), "taskDefinition": format!("mco-{name}-test"),
                "desiredCount": 2, "launchType": "FARGATE", "networkConfiguration": network})
        };
        rig.call(Api::Ecs, "RegisterTaskDefinition", &definition("worker"));
        rig.call(Api::Ecs, "CreateService", &service("worker"));
        rig.call(Api::Ecs, "RegisterTaskDefinition", &definition("api"));
        let balancer = rig.call(Api::Elb, "CreateLoadBalancer", &json!({"Name": "mco"}));
        let balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"].clone();
        let groups = ["api-1", "api-2"].map(|name| {
            rig.call(Api::Elb, "CreateTargetGroup", &json!({"Name": name, "TargetType": "ip"}))["TargetGroups"][0]
                ["TargetGroupArn"]
                .clone()
        });
        let actions = json!([{"Type": "forward", "TargetGroupArn": groups[0]}]);
        let listener = json!({"LoadBalancerArn": balancer, "Port": 80, "DefaultActions": actions});
        let listener = rig.call(Api::Elb, "CreateListener", &listener)["Listeners"][0]["ListenerArn"].clone();
        let mut api = service("api");
        api["deploymentController"] = json!({"type": "CODE_DEPLOY"});
        api["loadBalancers"] =
            json!([{"targetGroupArn": groups[0], "containerName": "api", "containerPort": 8080}]);
        rig.call(Api::Ecs, "CreateService", &api);
        let application = json!({"applicationName": "API", "computePlatform": "ECS"});
        rig.call(Api::CodeDeploy, "CreateApplication", &application);
        let mut group = json!({
            "applicationName": "API",
            "deploymentGroupName": "API-test",
            "serviceRoleArn": "arn:aws:iam::123456789012:role/codedeploy",
            "ecsServices": [{"clusterName": "mco", "serviceName": "mco-api-test"}],
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "blueGreenDeploymentConfiguration": waits("CONTINUE_DEPLOYMENT"),
            "loadBalancerInfo": {"targetGroupPairInfoList": [{
                "targetGroups": [{"name": "api-1"}, {"name": "api-2"}],
                "prodTrafficRoute": {"listenerArns": [listener]},
            }]},
        });
        for (key, value) in more.as_object().unwrap() {
            group[key] = value.clone();
        }
        rig.call(Api::CodeDeploy, "CreateDeploymentGroup", &group);
        rig.world.lock().unwrap().advance(60);
        rig.copy_example();
        rig
    }

    fn push(&self, name: &str, commit: &str) -> String {
        let manifest =
            json!({"schemaVersion": 2, "config": {"digest": format!("{name} {commit}")}, "layers": []});
        let input = json!({"repositoryName": format!("mco/{name}"), "imageManifest": manifest.to_string(), "imageTag": commit});
        let put = self.call(Api::Ecr, "PutImage", &input);
        put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
    }

    fn copy_example(&self) {
        let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/infrastructure");
        let copied =
            std::process::Command::new("cp").arg("-r").arg(from).arg(self.folder.path()).status().unwrap();
        assert!(copied.success());
        // What runs was declared before what the example declares: that is a change of git's, and no drift.
        self.declare_both("3f2c1ab", "0000000");
        self.declare_both("0000000", "3f2c1ab");
    }

    /// Declares another commit of both applications in `test`.
    fn declare_both(&self, from: &str, to: &str) {
        self.replace("infrastructure/environments/test.yaml", from, to);
    }

    fn code_deployments(&self) -> usize {
        self.call(Api::CodeDeploy, "ListDeployments", &json!({}))["deployments"].as_array().unwrap().len()
    }

    /// Asks every moment until the status says so.
    #[track_caller]
    fn until(&self, target: &str, stage: &str) -> Value {
        self.until_it_is(target, stage, |deployment| deployment["stage"] == stage)
    }
}

fn waits(action: &str) -> Value {
    json!({
        "deploymentReadyOption": {"actionOnTimeout": action, "waitTimeInMinutes": if action.starts_with("STOP") { 60 } else { 0 }},
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 2},
    })
}

#[test]
fn worker_and_api_are_deployed_together_by_one_commit() {
    let rig = Rig::seed(&json!({}));
    let digests = ["worker", "api"].map(|name| rig.push(name, "3f2c1ab"));
    let plan = rig.expect(&["plan", "test/*"], 2);
    assert!(plan.contains("test/api   0000000 -> 3f2c1ab   codeDeploy"), "{plan}");
    assert!(plan.contains("test/worker   0000000 -> 3f2c1ab   rolling"), "{plan}");
    rig.expect(&["reconcile", "test/*", "--timeout", WHOLE], 0);
    for (name, digest) in ["worker", "api"].into_iter().zip(&digests) {
        let status = rig.status_of(&format!("test/{name}"));
        assert_eq!(status["tagged"]["commit"], "3f2c1ab");
        let runs = json!({"commits": ["3f2c1ab"], "commitsFrom": "Registry", "digest": digest, "tasks": 2, "draining": 0, "production": null});
        assert_eq!(status["running"][0], runs);
        // Behind the load balancer the old tasks may drain yet.
        let others = status["running"].as_array().unwrap().iter().skip(1);
        assert!(others.clone().all(|other| name == "api" && other["tasks"] == 0), "{status:#}");
        assert_eq!(
            (status["sync"].as_str(), status["lastDeployment"]["phase"].as_str()),
            (Some("Synced"), Some("Succeeded"))
        );
    }
    assert_eq!(rig.code_deployments(), 1);
    let settled = rig.writes();
    rig.expect(&["reconcile", "test/*"], 0);
    assert_eq!(rig.writes(), settled);
    rig.expect(&["wait", "test/api", "--commit", "3f2c1ab"], 0);
    // The next commit fails its last check: it is undone, and held.
    let spec =
        std::fs::read_to_string(rig.folder.path().join("infrastructure/applications/api/appspec.json"))
            .unwrap();
    let mut spec: Value = serde_json::from_str(&spec).unwrap();
    spec["Hooks"] = json!([{"AfterAllowTraffic": "check"}]);
    rig.write("infrastructure/applications/api/appspec.json", &spec.to_string());
    rig.world.lock().unwrap().inject(Fault::HookFails { function: "check".to_owned() });
    for name in ["worker", "api"] {
        rig.push(name, "bad0bad");
    }
    rig.declare_both("3f2c1ab", "bad0bad");
    rig.expect(&["reconcile", "test/*", "--timeout", WHOLE], 3);
    let status = rig.status_of("test/api");
    assert_eq!(status["waiting"]["reason"], "Held");
    assert_eq!(
        (&status["tagged"]["commit"], &status["lastDeployment"]["phase"]),
        (&json!("3f2c1ab"), &json!("RolledBack"))
    );
    assert!(status["causes"].to_string().contains("HOOK_EXECUTION_FAILURE"), "{status:#}");
    assert_eq!(rig.status_of("test/worker")["tagged"]["commit"], "bad0bad");
    rig.expect(&["wait", "test/api", "--commit", "bad0bad"], 3);
    assert_eq!(rig.code_deployments(), 3, "one good, one bad, one that undoes it");
}

#[test]
fn traffic_shifts_when_somebody_approves_and_what_is_rejected_is_held() {
    let rig = Rig::seed(&json!({"blueGreenDeploymentConfiguration": waits("STOP_DEPLOYMENT")}));
    for commit in ["3f2c1ab", "8c1f0aa"] {
        rig.push("api", commit);
    }
    rig.expect(&["approve", "test/api"], 1);
    rig.expect(&["reconcile", "test/api", "--timeout", "4"], 4);
    let status = rig.until_it_waits("test/api");
    assert_eq!((&status["lastDeployment"]["traffic"], &status["sync"]), (&json!(0), &json!("OutOfSync")));
    assert!(
        status["waiting"]["message"].as_str().unwrap().contains("waits for approval until"),
        "{status:#}"
    );
    rig.expect(&["approve", "test/api"], 0);
    let status = rig.until("test/api", "Standby");
    assert_eq!(status["lastDeployment"]["traffic"], 100);
    rig.expect(&["reconcile", "test/api", "--timeout", WHOLE], 0);
    assert_eq!(rig.status_of("test/api")["tagged"]["commit"], "3f2c1ab");

    rig.declare_both("3f2c1ab", "8c1f0aa");
    rig.expect(&["reconcile", "test/api", "--timeout", "4"], 4);
    rig.until_it_waits("test/api");
    rig.expect(&["reject", "test/api"], 0);
    rig.expect(&["reconcile", "test/api", "--timeout", WHOLE], 3);
    let status = rig.status_of("test/api");
    assert_eq!(
        (&status["waiting"]["reason"], &status["tagged"]["commit"]),
        (&json!("Held"), &json!("3f2c1ab"))
    );
    assert_eq!(rig.code_deployments(), 3, "one good, one rejected, one that undoes it");
}

#[test]
fn what_would_be_sent_is_rendered_without_aws() {
    let rig = Rig::bare();
    rig.copy_example();
    let rendered: Value = serde_json::from_str(&rig.expect(&["render", "test/*"], 0)).unwrap();
    let api = &rendered["test/api"];
    assert_eq!(api["taskDefinition"]["family"], "mco-api-test");
    let properties = &api["appSpec"]["Resources"][0]["TargetService"]["Properties"];
    assert_eq!(
        (&properties["TaskDefinition"], &properties["LoadBalancerInfo"]["ContainerPort"]),
        (&json!("<TASK_DEFINITION>"), &json!(8080))
    );
    assert_eq!(rendered["test/worker"], json!({"taskDefinition": {"from": "service"}}));
}

#[test]
fn the_way_from_codedeploy_to_ecs_is_told_and_nothing_is_written() {
    let rig = Rig::seed(&json!({}));
    let told = |names: &[&str]| {
        let output = rig.trueup(names);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, told_of_api, said) = told(&["plan", "--as", "blueGreen", "test/api"]);
    assert_eq!(code, Some(0), "{told_of_api}{said}");
    for part in [
        "test/api   from CodeDeploy to blueGreen by ECS, which trueup leaves to you",
        "no deployment goes on",
        "api-1 with weight 1, api-2 with weight 0",
        "\"strategy\": \"BLUE_GREEN\"",
        "\"type\": \"ECS\"",
    ] {
        assert!(told_of_api.contains(part), "{part}: {told_of_api}");
    }
    let (code, _, said) = told(&["plan", "--as", "canary", "test/worker"]);
    assert!(code == Some(1) && said.contains("is not deployed by CodeDeploy"), "{said}");
    let (code, _, said) = told(&["plan", "--as", "linear"]);
    assert!(code == Some(1) && said.contains("name one application"), "{said}");
}
