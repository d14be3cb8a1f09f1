//! A service that `CodeDeploy` deploys, for the tests of it.

use serde_json::{Value, json};

use super::{SETTLED, World, laid_over, world};
use crate::world::Api;

pub const MINUTE: u64 = 60;

/// A world whose service `api` belongs to `CodeDeploy`, with the group `API`/`test` that ends the old tasks after five
/// minutes and rolls back on everything; `more` is laid over what creates the group.
pub struct BlueGreen {
    pub world: World,
    pub production: String,
    pub test: String,
    pub groups: [String; 2],
}

impl BlueGreen {
    pub fn new(more: &Value) -> Self {
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

    pub fn group(&self) -> Value {
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
    pub fn code_deploy(&mut self, operation: &str, input: &Value) -> Value {
        self.world.call(Api::CodeDeploy, operation, input).unwrap()
    }

    #[track_caller]
    pub fn elb(&mut self, operation: &str, input: &Value) -> Value {
        self.world.call(Api::Elb, operation, input).unwrap()
    }

    /// Starts a deployment of the tag with these hooks; its id.
    pub fn begin(&mut self, tag: &str, hooks: &Value) -> String {
        self.world.push(tag);
        self.begin_image(tag, hooks)
    }

    /// The same with an image that is there.
    pub fn begin_image(&mut self, tag: &str, hooks: &Value) -> String {
        let arn = self.world.register(tag);
        let input = deployment(&arn, hooks);
        self.code_deploy("CreateDeployment", &input)["deploymentId"].as_str().unwrap().to_owned()
    }

    /// A deployment of the tag that has succeeded and whose old tasks are gone.
    pub fn deployed(&mut self, tag: &str) -> String {
        let id = self.begin(tag, &json!([]));
        self.world.advance(20 * MINUTE);
        assert_eq!(self.status(&id), "Succeeded");
        id
    }

    pub fn info(&mut self, id: &str) -> Value {
        self.code_deploy("GetDeployment", &json!({"deploymentId": id}))["deploymentInfo"].clone()
    }

    pub fn status(&mut self, id: &str) -> String {
        self.info(id)["status"].as_str().unwrap().to_owned()
    }

    /// The status with the error's code and whether somebody rolls it back.
    pub fn end(&mut self, id: &str) -> (String, Value, bool) {
        let info = self.info(id);
        let status = info["status"].as_str().unwrap().to_owned();
        (
            status,
            info["errorInformation"]["code"].clone(),
            info["rollbackInfo"]["rollbackDeploymentId"].is_string(),
        )
    }

    pub fn target(&mut self, id: &str) -> Value {
        let input = json!({"deploymentId": id, "targetId": "mco:api"});
        self.code_deploy("GetDeploymentTarget", &input)["deploymentTarget"]["ecsTarget"].clone()
    }

    /// `Install Succeeded, ...`, without those that are still to come.
    pub fn events(&mut self, id: &str) -> String {
        let target = self.target(id);
        let events = target["lifecycleEvents"].as_array().unwrap().iter();
        let told = events.filter(|event| event["status"] != "Pending").map(|event| {
            format!("{} {}", event["lifecycleEventName"].as_str().unwrap(), event["status"].as_str().unwrap())
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// Percent of the production traffic on green.
    pub fn traffic(&mut self, id: &str) -> u64 {
        let sets = self.target(id)["taskSetsInfo"].clone();
        let green = sets.as_array().unwrap().iter().find(|set| set["taskSetLabel"] == "Green");
        green.map_or(0, |green| green["trafficWeight"].as_u64().unwrap())
    }

    /// Weights of the two target groups on a listener.
    pub fn weights(&mut self, listener: &str) -> [u64; 2] {
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
    pub fn sets(&mut self) -> Vec<(String, String)> {
        let service = self.world.service();
        let text = |value: &Value| value.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let sets = service["taskSets"].as_array().unwrap().iter();
        sets.map(|set| (text(&set["status"]), text(&set["taskDefinition"]))).collect()
    }

    /// The error that it ended with.
    pub fn error(&mut self, id: &str) -> String {
        let error = self.info(id)["errorInformation"].clone();
        format!("{}: {}", error["code"].as_str().unwrap(), error["message"].as_str().unwrap())
    }

    /// The deployment that undoes it.
    pub fn undone_by(&mut self, id: &str) -> String {
        self.info(id)["rollbackInfo"]["rollbackDeploymentId"].as_str().unwrap().to_owned()
    }

    /// Lets time pass until it has this status.
    pub fn until(&mut self, id: &str, status: &str) {
        for _ in 0..2 * 60 * MINUTE {
            if self.status(id) == status {
                return;
            }
            self.world.advance(1);
        }
        panic!("{id} never was {status}: {}", self.info(id));
    }

    /// The pair of target groups of the deployment group, without the test listener.
    pub fn without_test_listener(&self) -> Value {
        json!({"targetGroupPairInfoList": [{
            "targetGroups": [{"name": "api-1"}, {"name": "api-2"}],
            "prodTrafficRoute": {"listenerArns": [self.production]},
        }]})
    }

    pub fn update_group(&mut self, change: &Value) {
        let named = json!({"applicationName": "API", "currentDeploymentGroupName": "test"});
        self.code_deploy("UpdateDeploymentGroup", &laid_over(named, change));
    }

    pub fn refused(&mut self, operation: &str, input: &Value) -> String {
        self.world.refused(Api::CodeDeploy, operation, input)
    }
}

pub fn app_spec(arn: &str, hooks: &Value) -> String {
    let properties =
        json!({"TaskDefinition": arn, "LoadBalancerInfo": {"ContainerName": "api", "ContainerPort": 8080}});
    json!({
        "version": 0.0,
        "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}],
        "Hooks": hooks,
    })
    .to_string()
}

pub fn deployment(arn: &str, hooks: &Value) -> Value {
    json!({"applicationName": "API", "deploymentGroupName": "test",
        "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": app_spec(arn, hooks)}}})
}

pub fn set(status: &str, revision: &str) -> (String, String) {
    (status.to_owned(), format!("mco-api:{revision}"))
}

pub fn no_hooks() -> Value {
    json!([])
}
