//! What a team that uses CodeDeploy has before it meets trueup: a load balancer, and a group that shifts traffic in steps.

use serde_json::{Value, json};
use trueup_simulator::Api;

use super::stage::Stage;

pub(super) const APP_SPEC: &str = "version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo: {ContainerName: shop, ContainerPort: 8080}
";

pub(super) fn furnish(stage: &Stage) -> anyhow::Result<()> {
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
    stage.create_service("shop", "test", &controller)?;
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

/// How many deployments CodeDeploy was asked for.
pub(super) fn deployments(stage: &Stage) -> anyhow::Result<usize> {
    let list = stage.call(Api::CodeDeploy, "ListDeployments", &json!({}))?;
    Ok(list.get("deployments").and_then(Value::as_array).map_or(0, Vec::len))
}
