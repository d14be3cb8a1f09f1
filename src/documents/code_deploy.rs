//! What CodeDeploy is asked for.

use serde_json::{Value, json};

use crate::model::{CodeDeploy, Desired, NewDeployment, NewGroup};

/// Characters of a name that `aws ecs deploy` makes of the names of cluster and service (aws-cli).
const NAME: usize = 46;

/// The names of application and group.
pub fn names(settings: &CodeDeploy, desired: &Desired) -> (String, String) {
    let default = |prefix: &str| {
        let name = format!("{prefix}-{}-{}", desired.cluster, desired.name_in_cluster());
        name.chars().take(NAME).collect::<String>()
    };
    (
        settings.application.clone().unwrap_or_else(|| default("AppECS")),
        settings.group.clone().unwrap_or_else(|| default("DgpECS")),
    )
}

/// The input of `CreateDeployment`.
pub fn deployment_input(new: &NewDeployment) -> Value {
    let mut input = json!({
        "applicationName": new.application,
        "deploymentGroupName": new.group,
        "description": new.description,
        "autoRollbackConfiguration": rollback(),
        "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": new.app_spec}},
    });
    if let Some(configuration) = &new.configuration {
        input["deploymentConfigName"] = json!(configuration);
    }
    input
}

/// The input of `CreateDeploymentGroup`.
pub fn group_input(new: &NewGroup, application: &str, group: &str, desired: &Desired) -> Value {
    let mut pair = json!({
        "targetGroups": new.target_groups.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "prodTrafficRoute": {"listenerArns": [new.production_listener]},
    });
    if let Some(test) = &new.test_listener {
        pair["testTrafficRoute"] = json!({"listenerArns": [test]});
    }
    let ready = match new.ready_wait {
        Some(minutes) => json!({"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": minutes}),
        None => json!({"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0}),
    };
    let mut input = json!({
        "applicationName": application,
        "deploymentGroupName": group,
        "serviceRoleArn": new.service_role,
        "ecsServices": [{"serviceName": desired.name_in_cluster(), "clusterName": desired.cluster.as_str()}],
        "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "blueGreenDeploymentConfiguration": {
            "deploymentReadyOption": ready,
            "terminateBlueInstancesOnDeploymentSuccess":
                {"action": "TERMINATE", "terminationWaitTimeInMinutes": new.termination_wait},
        },
        "loadBalancerInfo": {"targetGroupPairInfoList": [pair]},
        "autoRollbackConfiguration": rollback(),
    });
    if !new.alarms.is_empty() {
        let alarms: Vec<Value> = new.alarms.iter().map(|name| json!({"name": name})).collect();
        input["alarmConfiguration"] = json!({"enabled": true, "alarms": alarms});
    }
    input
}

/// What every deployment of ours asks for, whatever its group says.
fn rollback() -> Value {
    json!({
        "enabled": true,
        "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
    })
}
