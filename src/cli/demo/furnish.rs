//! What a team has before it meets trueup, as its own tools have made it.

use serde_json::{Value, json};
use trueup_simulator::Api;

use super::files::{ACCOUNT, REGION};
use super::stage::Stage;

/// A cluster, image repositories and services.
pub(super) fn furnish(stage: &Stage) -> anyhow::Result<()> {
    stage.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}))?;
    for application in ["api", "shop", "web"] {
        stage.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": format!("mco/{application}")}))?;
        stage.build(application, "3f2c1ab")?;
    }
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    for environment in ["test", "staging"] {
        stage.tag("api", "3f2c1ab", environment)?;
        create_service(stage, "api", environment, &json!({"deploymentConfiguration": breaker}))?;
    }
    stage.tag("shop", "3f2c1ab", "test")?;
    stage.tag("web", "3f2c1ab", "test")?;
    let balancer =
        made(stage, "CreateLoadBalancer", &json!({"Name": "mco"}), "/LoadBalancers/0/LoadBalancerArn")?;
    furnish_blue_green(stage, &balancer)?;
    furnish_canary(stage, &balancer)
}

/// What load balancing calls something that it made.
fn made(stage: &Stage, operation: &str, input: &Value, path: &str) -> anyhow::Result<Value> {
    Ok(stage.call(Api::Elb, operation, input)?.pointer(path).cloned().unwrap_or_default())
}

fn target_groups(stage: &Stage, names: [&str; 2]) -> anyhow::Result<[Value; 2]> {
    let [first, second] = names.map(|name| {
        made(
            stage,
            "CreateTargetGroup",
            &json!({"Name": name, "TargetType": "ip"}),
            "/TargetGroups/0/TargetGroupArn",
        )
    });
    Ok([first?, second?])
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

/// A group that shifts traffic in steps.
fn furnish_blue_green(stage: &Stage, balancer: &Value) -> anyhow::Result<()> {
    let groups = target_groups(stage, ["shop-1", "shop-2"])?;
    let forward = json!([{"Type": "forward", "TargetGroupArn": groups.first()}]);
    let listener = json!({"LoadBalancerArn": balancer, "Port": 80, "DefaultActions": forward});
    let listener = made(stage, "CreateListener", &listener, "/Listeners/0/ListenerArn")?;
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

/// A service whose traffic ECS shifts: a tenth of it for a minute, once somebody has approved.
fn furnish_canary(stage: &Stage, balancer: &Value) -> anyhow::Result<()> {
    let [live, other] = target_groups(stage, ["web-1", "web-2"])?;
    let weights = json!([{"TargetGroupArn": live, "Weight": 1}, {"TargetGroupArn": other, "Weight": 0}]);
    let forward = json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]);
    let listener = json!({"LoadBalancerArn": balancer, "Port": 81, "DefaultActions": forward});
    let listener = made(stage, "CreateListener", &listener, "/Listeners/0/ListenerArn")?;
    let rule = made(stage, "DescribeRules", &json!({"ListenerArn": listener}), "/Rules/0/RuleArn")?;
    let advanced = json!({"alternateTargetGroupArn": other, "productionListenerRule": rule,
        "roleArn": "arn:aws:iam::123456789012:role/ecs"});
    let balancers = json!([{"targetGroupArn": live, "containerName": "web", "containerPort": 8080,
        "advancedConfiguration": advanced}]);
    let mut canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 0,
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1}});
    create_service(
        stage,
        "web",
        "test",
        &json!({"deploymentConfiguration": canary, "loadBalancers": balancers}),
    )?;
    // Its own first deployment is over before anybody has to approve one.
    stage.with(|world| world.advance(300));
    canary["lifecycleHooks"] =
        json!([{"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}]);
    let update = json!({"cluster": "mco", "service": "mco-web-test", "deploymentConfiguration": canary});
    stage.call(Api::Ecs, "UpdateService", &update).map(drop)
}

fn image(application: &str, tag: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mco/{application}:{tag}")
}
