//! A service whose traffic ECS shifts, for the tests of it.

use serde_json::{Value, json};

use super::{World, laid_over, world};
use crate::world::Api;

pub const MINUTE: u64 = 60;
pub const ROLE: &str = "arn:aws:iam::123456789012:role/ecs";

/// A load balancer whose production and test listener lead to two target groups, and the service `api` behind the first.
pub struct Shifting {
    pub world: World,
    /// The default rules of two listeners.
    pub production: String,
    pub test: String,
    pub groups: [String; 2],
    /// A listener of its own, for what a Network Load Balancer would have.
    pub listener: String,
}

impl Shifting {
    /// With a service of this configuration, whose first deployment is over.
    pub fn new(configuration: &Value) -> Self {
        let mut made = Self::without_service("application");
        made.create(configuration);
        made.world.advance(20 * MINUTE);
        assert_eq!(made.world.statuses(), ["SUCCESSFUL"]);
        made
    }

    pub fn without_service(kind: &str) -> Self {
        let mut world = world();
        let mut elb = |operation: &str, input: &Value| world.call(Api::Elb, operation, input).unwrap();
        let balancer = elb("CreateLoadBalancer", &json!({"Name": "mco", "Type": kind}));
        let balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"].clone();
        let groups = ["api-1", "api-2"].map(|name| {
            let created = elb("CreateTargetGroup", &json!({"Name": name, "TargetType": "ip", "Port": 8080}));
            created["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned()
        });
        let mut listener = |port: u64| {
            let actions = forward(&groups, [1, 0]);
            let input = json!({"LoadBalancerArn": balancer, "Port": port, "DefaultActions": actions});
            let created = elb("CreateListener", &input)["Listeners"][0]["ListenerArn"].clone();
            let rules = elb("DescribeRules", &json!({"ListenerArn": created}))["Rules"].clone();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&created), text(&rules[0]["RuleArn"]))
        };
        let ((listener, production), (_, test)) = (listener(80), listener(8080));
        Self { world, production, test, groups, listener }
    }

    pub fn create(&mut self, configuration: &Value) {
        let service = self.settings();
        self.world.begin(&laid_over(service, &json!({"deploymentConfiguration": configuration})));
    }

    pub fn settings(&self) -> Value {
        json!({"loadBalancers": [self.balancer()]})
    }

    pub fn balancer(&self) -> Value {
        json!({"targetGroupArn": self.groups[0], "containerName": "api", "containerPort": 8080,
            "advancedConfiguration": {"alternateTargetGroupArn": self.groups[1],
                "productionListenerRule": self.production, "testListenerRule": self.test, "roleArn": ROLE}})
    }

    /// Weights of the two target groups in a rule.
    pub fn weights(&mut self, rule: &str) -> [u64; 2] {
        let described = self.world.call(Api::Elb, "DescribeRules", &json!({"RuleArns": [rule]})).unwrap();
        let groups = described["Rules"][0]["Actions"][0]["ForwardConfig"]["TargetGroups"].clone();
        self.groups.clone().map(|arn| {
            let mut all = groups.as_array().unwrap().iter();
            all.find(|group| group["TargetGroupArn"] == *arn)
                .map_or(0, |group| group["Weight"].as_u64().unwrap())
        })
    }

    pub fn live(&mut self) -> [[u64; 2]; 2] {
        let (production, test) = (self.production.clone(), self.test.clone());
        [self.weights(&production), self.weights(&test)]
    }

    /// Another hand rewrites the listener behind the production rule.
    pub fn reset(&mut self, weights: [u64; 2]) {
        let actions = forward(&self.groups, weights);
        let input = json!({"ListenerArn": self.listener, "DefaultActions": actions});
        self.world.call(Api::Elb, "ModifyListener", &input).unwrap();
    }

    /// The listener behind the test rule: the second of the load balancer.
    pub fn test_listener(&mut self) -> String {
        let balancers = self.world.call(Api::Elb, "DescribeLoadBalancers", &json!({})).unwrap();
        let input = json!({"LoadBalancerArn": balancers["LoadBalancers"][0]["LoadBalancerArn"]});
        let listeners = self.world.call(Api::Elb, "DescribeListeners", &input).unwrap()["Listeners"].clone();
        let mut all = listeners.as_array().unwrap().iter();
        let found = all.find(|listener| listener["Port"] == 8080).unwrap();
        found["ListenerArn"].as_str().unwrap().to_owned()
    }

    /// Addresses that are registered with the two target groups.
    pub fn registered(&mut self) -> [usize; 2] {
        self.groups.clone().map(|group| {
            let input = json!({"TargetGroupArn": group});
            let health = self.world.call(Api::Elb, "DescribeTargetHealth", &input).unwrap();
            health["TargetHealthDescriptions"].as_array().unwrap().len()
        })
    }

    pub fn begin(&mut self, tag: &str) {
        self.world.deploy(tag);
        self.world.advance(super::LISTED);
    }

    /// Status, and after a colon the stage.
    pub fn stands(&mut self) -> String {
        let newest = self.world.newest();
        let text = |key: &str| newest[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", text("status"), text("lifecycleStage"))
    }

    pub fn until(&mut self, stands: &str) {
        for _ in 0..6 * 60 * MINUTE {
            if self.stands() == stands {
                return;
            }
            self.world.advance(1);
        }
        panic!("it never was {stands}: {}", self.world.newest());
    }

    /// The stages of the newest deployment from now on until it is over: how long each takes, and the weights of the target
    /// in production and test at its end.
    pub fn course(&mut self) -> Vec<String> {
        let mut course: Vec<(String, u64, String)> = Vec::new();
        for _ in 0..60 * MINUTE {
            let newest = self.world.newest();
            if !newest["finishedAt"].is_null() {
                return course
                    .into_iter()
                    .map(|(stage, took, weights)| format!("{stage} {took}{weights}"))
                    .collect();
            }
            let stage = newest["lifecycleStage"].as_str().unwrap_or("-").to_owned();
            let weight = |kind: &str| {
                newest["targetServiceRevision"][format!("requested{kind}TrafficWeight")].as_f64()
            };
            let weights = weight("Production").zip(weight("Test"));
            let weights =
                weights.map(|(production, test)| format!(" {production}/{test}")).unwrap_or_default();
            match course.last_mut() {
                Some((last, took, at)) if *last == stage => {
                    *took += 1;
                    *at = weights;
                }
                _ => course.push((stage, 1, weights)),
            }
            self.world.advance(1);
        }
        panic!("it never ended: {course:?}");
    }

    pub fn answer(&mut self, action: &str) {
        let newest = self.world.newest();
        self.world.ecs_call(
            "ContinueServiceDeployment",
            &json!({
                "serviceDeploymentArn": newest["serviceDeploymentArn"],
                "hookId": newest["lifecycleHookDetails"][0]["hookId"],
                "action": action,
            }),
        );
    }

    /// Asks for the end of the newest deployment.
    pub fn stop(&mut self) {
        let arn = self.world.newest()["serviceDeploymentArn"].clone();
        self.world.ecs_call("StopServiceDeployment", &json!({"serviceDeploymentArn": arn}));
    }
}

pub fn forward(groups: &[String; 2], weights: [u64; 2]) -> Value {
    let groups = groups.iter().zip(weights);
    let groups = groups.map(|(arn, weight)| json!({"TargetGroupArn": arn, "Weight": weight}));
    json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": groups.collect::<Vec<_>>()}}])
}

pub fn blue_green() -> Value {
    json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1})
}

pub fn canary() -> Value {
    json!({"strategy": "CANARY", "bakeTimeInMinutes": 1,
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 2}})
}

pub fn pause(stage: &str) -> Value {
    json!({"targetType": "PAUSE", "lifecycleStages": [stage]})
}

pub fn function(stage: &str) -> Value {
    json!({"hookTargetArn": "arn:aws:lambda:eu-west-2:123456789012:function:smoke", "roleArn": ROLE, "lifecycleStages": [stage]})
}

pub fn with_hooks(configuration: Value, hooks: &[Value]) -> Value {
    laid_over(configuration, &json!({"lifecycleHooks": hooks}))
}
