//! Each test is named by the guarantee that it holds.

mod balancing;
mod blue_green;
mod breaker;
mod code_deploy;
mod deployments;
mod ends;
mod faults;
mod health;
mod images;
mod layers;
mod listeners;
mod lists;
mod logs;
mod native;
mod native_ends;
mod native_hooks;
mod native_refusals;
mod publishing;
mod rates;
mod registration;
mod removal;
mod rollbacks;
mod runs;
mod scaling;
mod schedules;
mod services;
mod shifting;
mod surroundings;
mod tagging;
mod tasks;

use serde_json::{Value, json};

use super::{Api, World};

const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";
/// Longer than any deployment that nothing holds up.
const SETTLED: u64 = 90;
/// Until a new service deployment can be seen.
const LISTED: u64 = 3;

/// A cluster `mco`, a repository `mco/api` with the image `aaaaaaa`, and revision 1 of `mco-api` that runs it.
fn world() -> World {
    let mut world = World::new("123456789012", "eu-west-2");
    world.ecs_call("CreateCluster", &json!({"clusterName": "mco"}));
    world.ecr_call("CreateRepository", &json!({"repositoryName": "mco/api"}));
    world.push("aaaaaaa");
    world.register("aaaaaaa");
    world
}

/// The world with the service `api` of two tasks, settled; `more` is laid over what creates it.
fn world_with_service(more: &Value) -> World {
    let mut world = world();
    world.begin(more);
    world.advance(SETTLED);
    world
}

fn breaker(rollback: bool) -> Value {
    json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": rollback}}})
}

/// A time of ECS, which has milliseconds, in whole seconds.
fn seconds(time: &Value) -> u64 {
    let time = time.as_f64().unwrap();
    assert!(time.fract() > 0.0, "{time}");
    std::time::Duration::from_secs_f64(time).as_secs()
}

fn balanced() -> Value {
    json!({"loadBalancers": [{"targetGroupArn": "tg", "containerName": "api", "containerPort": 8080}]})
}

fn laid_over(mut below: Value, above: &Value) -> Value {
    for (key, value) in above.as_object().into_iter().flatten() {
        below[key] = value.clone();
    }
    below
}

impl World {
    #[track_caller]
    fn ecs_call(&mut self, operation: &str, input: &Value) -> Value {
        self.call(Api::Ecs, operation, input).unwrap()
    }

    #[track_caller]
    fn ecr_call(&mut self, operation: &str, input: &Value) -> Value {
        self.call(Api::Ecr, operation, input).unwrap()
    }

    /// The code of the error.
    #[track_caller]
    fn refused(&mut self, api: Api, operation: &str, input: &Value) -> String {
        self.call(api, operation, input).unwrap_err().code
    }

    /// The text of the error.
    #[track_caller]
    fn why_refused(&mut self, operation: &str, input: &Value) -> String {
        self.call(Api::Ecs, operation, input).unwrap_err().message
    }

    /// Pushes an image without layers under the tag; its digest.
    fn push(&mut self, tag: &str) -> String {
        let manifest = json!({"schemaVersion": 2, "about": tag, "layers": []}).to_string();
        let input = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": tag});
        let put = self.ecr_call("PutImage", &input);
        put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
    }

    /// Registers a revision of `mco-api` that runs the tag; its ARN.
    fn register(&mut self, tag: &str) -> String {
        self.register_with(tag, &json!({}))
    }

    /// The same, with more members of the container.
    fn register_with(&mut self, tag: &str, more: &Value) -> String {
        let container = json!({"name": "api", "image": format!("{REGISTRY}/mco/api:{tag}"), "memory": 512,
            "portMappings": [{"containerPort": 8080}]});
        let containers = json!([laid_over(container, more)]);
        let input = json!({"family": "mco-api", "containerDefinitions": containers});
        let registered = self.ecs_call("RegisterTaskDefinition", &input);
        registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
    }

    fn begin(&mut self, more: &Value) {
        let service =
            json!({"cluster": "mco", "serviceName": "api", "taskDefinition": "mco-api", "desiredCount": 2});
        self.ecs_call("CreateService", &laid_over(service, more));
    }

    fn update(&mut self, more: &Value) -> Value {
        let answer =
            self.ecs_call("UpdateService", &laid_over(json!({"cluster": "mco", "service": "api"}), more));
        answer["service"].clone()
    }

    /// Pushes, registers and deploys the tag; the digest.
    fn deploy(&mut self, tag: &str) -> String {
        let digest = self.push(tag);
        let arn = self.register(tag);
        self.update(&json!({"taskDefinition": arn}));
        digest
    }

    fn service(&mut self) -> Value {
        let described = self.ecs_call("DescribeServices", &json!({"cluster": "mco", "services": ["api"]}));
        described["services"][0].clone()
    }

    /// Status, rollout state and running tasks of each deployment.
    fn deployments(&mut self) -> Vec<(String, String, u64)> {
        let service = self.service();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let all = service["deployments"].as_array().unwrap().iter();
        all.map(|one| {
            (text(&one["status"]), text(&one["rolloutState"]), one["runningCount"].as_u64().unwrap())
        })
        .collect()
    }

    /// The statuses of the service deployments, newest first.
    fn statuses(&mut self) -> Vec<String> {
        let listed = self.ecs_call("ListServiceDeployments", &json!({"cluster": "mco", "service": "api"}));
        let all = listed["serviceDeployments"].as_array().unwrap().iter();
        all.map(|one| one["status"].as_str().unwrap().to_owned()).collect()
    }

    fn newest(&mut self) -> Value {
        let listed = self.ecs_call("ListServiceDeployments", &json!({"cluster": "mco", "service": "api"}));
        let arn = listed["serviceDeployments"][0]["serviceDeploymentArn"].clone();
        let described = self.ecs_call("DescribeServiceDeployments", &json!({"serviceDeploymentArns": [arn]}));
        described["serviceDeployments"][0].clone()
    }

    /// The tasks whose desired status is this, in no order.
    fn tasks(&mut self, desired: &str) -> Vec<Value> {
        let (mut tasks, mut input) = (Vec::new(), json!({"cluster": "mco", "desiredStatus": desired}));
        loop {
            let listed = self.ecs_call("ListTasks", &input);
            if listed["taskArns"].as_array().unwrap().is_empty() {
                return tasks;
            }
            let describe = json!({"cluster": "mco", "tasks": listed["taskArns"], "include": ["TAGS"]});
            tasks.extend(self.ecs_call("DescribeTasks", &describe)["tasks"].as_array().unwrap().clone());
            if listed["nextToken"].is_null() {
                return tasks;
            }
            input["nextToken"] = listed["nextToken"].clone();
        }
    }

    fn events(&mut self) -> String {
        let service = self.service();
        let all = service["events"].as_array().unwrap().iter();
        all.map(|event| event["message"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }
}
