//! What a team has before it meets trueup, as its own tools have made it.

use serde_json::{Value, json};
use trueup_simulator::Api;

use super::files::{ACCOUNT, REGION};
use super::stage::Stage;

/// What a team has before it meets trueup: a cluster, an image repository and two services.
pub(super) fn furnish(stage: &Stage) -> anyhow::Result<()> {
    stage.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}))?;
    for application in ["api", "shop"] {
        stage.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": format!("mco/{application}")}))?;
        stage.build(application, "3f2c1ab")?;
    }
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    for environment in ["test", "staging"] {
        stage.tag("api", "3f2c1ab", environment)?;
        create_service(stage, "api", environment, &json!({"deploymentConfiguration": breaker}))?;
    }
    stage.tag("shop", "3f2c1ab", "test")?;
    furnish_blue_green(stage)?;
    stage.with(|world| world.advance(60));
    Ok(())
}

fn create_service(stage: &Stage, application: &str, environment: &str, more: &Value) -> anyhow::Result<()> {
    let name = format!("mco-{application}-{environment}");
    let definition = json!({"family": name, "containerDefinitions": [
        {"name": application, "image": image(application, "3f2c1ab"), "memory": 512,
            "portMappings": [{"containerPort": 8080}], "environment": [{"name": "LOG_LEVEL", "value": "info"}]}]});
    stage.call(Api::Ecs, "RegisterTaskDefinition", &definition)?;
    let mut service =
        json!({"cluster": "mco", "serviceName": name, "taskDefinition": name, "desiredCount": 4});
    for (key, value) in more.as_object().into_iter().flatten() {
        service[key] = value.clone();
    }
    stage.call(Api::Ecs, "CreateService", &service).map(drop)
}

/// A load balancer, and a group that shifts traffic in steps.
fn furnish_blue_green(stage: &Stage) -> anyhow::Result<()> {
    let made = |operation: &str, input: &Value, path: &str| -> anyhow::Result<Value> {
        Ok(stage.call(Api::Elb, operation, input)?.pointer(path).cloned().unwrap_or_default())
    };
    let balancer = json!({"Name": "mco"});
    let balancer = made("CreateLoadBalancer", &balancer, "/LoadBalancers/0/LoadBalancerArn")?;
    let mut groups = Vec::new();
    for name in ["shop-1", "shop-2"] {
        let group = json!({"Name": name, "TargetType": "ip"});
        groups.push(made("CreateTargetGroup", &group, "/TargetGroups/0/TargetGroupArn")?);
    }
    let forward = json!([{"Type": "forward", "TargetGroupArn": groups.first()}]);
    let listener = json!({"LoadBalancerArn": balancer, "Port": 80, "DefaultActions": forward});
    let listener = made("CreateListener", &listener, "/Listeners/0/ListenerArn")?;
    let balancers =
        json!([{"targetGroupArn": groups.first(), "containerName": "shop", "containerPort": 8080}]);
    let controller = json!({"deploymentController": {"type": "CODE_DEPLOY"}, "loadBalancers": balancers});
    create_service(stage, "shop", "test", &controller)?;
    let deploy = |operation: &str, input: &Value| stage.call(Api::CodeDeploy, operation, input).map(drop);
    deploy("CreateApplication", &json!({"applicationName": "shop", "computePlatform": "ECS"}))?;
    let linear = json!({"linearPercentage": 25, "linearInterval": 1});
    let steps = json!({"type": "TimeBasedLinear", "timeBasedLinear": linear});
    deploy(
        "CreateDeploymentConfig",
        &json!({"deploymentConfigName": "steps-of-25", "computePlatform": "ECS", "trafficRoutingConfig": steps}),
    )?;
    let pair = json!({"targetGroups": [{"name": "shop-1"}, {"name": "shop-2"}],
        "prodTrafficRoute": {"listenerArns": [listener]}});
    deploy(
        "CreateDeploymentGroup",
        &json!({
            "applicationName": "shop",
            "deploymentGroupName": "shop-test",
            "deploymentConfigName": "steps-of-25",
            "serviceRoleArn": "arn:aws:iam::123456789012:role/codedeploy",
            "ecsServices": [{"clusterName": "mco", "serviceName": "mco-shop-test"}],
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "blueGreenDeploymentConfiguration": {
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
                "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 1},
            },
            "loadBalancerInfo": {"targetGroupPairInfoList": [pair]},
        }),
    )
}

fn image(application: &str, tag: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mco/{application}:{tag}")
}
