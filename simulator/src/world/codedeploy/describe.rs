//! How deployments and their targets are described (`CodeDeploy` API reference: `DeploymentInfo`, `ECSTarget`).

use serde_json::{Value, json};

use super::applications::location;
use super::deployments::check_id;
use super::{Deployment, Event, exception};
use crate::world::input::{Input, optional, texts};
use crate::world::times::moment;
use crate::world::{Answer, AwsError, World};

/// The most that one call may ask for.
const MOST: usize = 25;

impl World {
    pub(super) fn get_deployment(&mut self, input: &Input) -> Answer {
        Ok(json!({"deploymentInfo": described(self.deployment(input)?)}))
    }

    /// Ids that do not exist are left out.
    pub(super) fn batch_get_deployments(&mut self, input: &Input) -> Answer {
        let ids: Vec<&str> = texts(input, "deploymentIds").collect();
        if ids.is_empty() {
            return Err(exception("DeploymentIdRequired", "Deployment ID is missing"));
        }
        if ids.len() > MOST {
            return Err(exception(
                "BatchLimitExceeded",
                format!("at most {MOST} deployments can be asked for"),
            ));
        }
        ids.iter().try_for_each(|id| check_id(id))?;
        let found = ids.iter().filter_map(|id| self.code_deploy.deployments.get(*id));
        Ok(json!({"deploymentsInfo": found.map(described).collect::<Vec<_>>()}))
    }

    pub(super) fn list_deployment_targets(&mut self, input: &Input) -> Answer {
        let deployment = self.started(input)?;
        Ok(json!({"targetIds": [target_id(deployment)]}))
    }

    pub(super) fn get_deployment_target(&mut self, input: &Input) -> Answer {
        let deployment = self.started(input)?;
        check_target(deployment, optional(input, "targetId")?)?;
        Ok(json!({"deploymentTarget": self.describe_target(deployment)}))
    }

    pub(super) fn batch_get_deployment_targets(&mut self, input: &Input) -> Answer {
        let deployment = self.started(input)?;
        let mut asked = texts(input, "targetIds");
        check_target(deployment, asked.next())?;
        if asked.next().is_some() {
            let message = "The target list of an ECS deployment must have exactly one item";
            return Err(exception("DeploymentTargetListSizeExceeded", message));
        }
        Ok(json!({"deploymentTargets": [self.describe_target(deployment)]}))
    }

    fn started(&self, input: &Input) -> Result<&Deployment, AwsError> {
        let deployment = self.deployment(input)?;
        if deployment.started_at.is_none() {
            let message = format!("Deployment {} has not started", deployment.id);
            return Err(exception("DeploymentNotStarted", message));
        }
        Ok(deployment)
    }

    fn describe_target(&self, deployment: &Deployment) -> Value {
        let (cluster, service) = &deployment.service;
        let sets = if deployment.is_active() {
            self.described_sets(deployment)
        } else {
            deployment.last_sets.clone()
        };
        json!({
            "deploymentTargetType": "ECSTarget",
            "ecsTarget": {
                "deploymentId": deployment.id,
                "targetId": target_id(deployment),
                "targetArn": self.arn("ecs", &format!("service/{cluster}/{service}")),
                "lastUpdatedAt": moment(last_updated(deployment)),
                "lifecycleEvents": deployment.events.iter().map(describe_event).collect::<Vec<_>>(),
                "status": target_status(deployment),
                "taskSetsInfo": sets,
            },
        })
    }

    pub(super) fn described_sets(&self, deployment: &Deployment) -> Vec<Value> {
        let Some(service) = self.services.get(&deployment.service) else { return Vec::new() };
        let pair = [
            (&deployment.blue, "Blue", 100 - deployment.weight, &deployment.route.blue),
            (&deployment.green, "Green", deployment.weight, &deployment.route.green),
        ];
        let mut described = Vec::new();
        for (id, label, weight, group) in pair {
            let Some(set) = service.deployments.iter().find(|set| Some(&set.id) == id.as_ref()) else {
                continue;
            };
            let (running, pending) = service.counts(Some(&set.id));
            let status = match (set.draining, set.primary) {
                (true, _) => "DRAINING",
                (_, true) => "PRIMARY",
                _ => "ACTIVE",
            };
            described.push(json!({
                "identifer": set.id,
                "desiredCount": service.wanted_of_set(set),
                "pendingCount": pending,
                "runningCount": running,
                "status": status,
                "trafficWeight": weight,
                "targetGroup": {"name": group_name(group)},
                "taskSetLabel": label,
            }));
        }
        described
    }
}

/// A target has succeeded when all its events have: the deployment goes on with its termination wait.
fn target_status(deployment: &Deployment) -> &'static str {
    match deployment.status {
        "Failed" | "Stopped" => "Failed",
        "Ready" => "Ready",
        "Created" => "Pending",
        _ if deployment.events.iter().all(|event| event.status == "Succeeded") => "Succeeded",
        _ => "InProgress",
    }
}

fn last_updated(deployment: &Deployment) -> u64 {
    let events = deployment.events.iter().filter_map(|event| event.ended_at.or(event.started_at));
    events.chain(deployment.started_at).max().unwrap_or(deployment.created_at)
}

/// `targetgroup/<name>/<number>`
fn group_name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

fn target_id(deployment: &Deployment) -> String {
    format!("{}:{}", deployment.service.0, deployment.service.1)
}

/// Whether it is the one target of the deployment.
fn check_target(deployment: &Deployment, asked: Option<&str>) -> Result<(), AwsError> {
    let asked = asked.ok_or_else(|| exception("DeploymentTargetIdRequired", "Target ID is missing"))?;
    let is_valid = asked.split(':').filter(|part| !part.is_empty()).count() == 2;
    if !is_valid {
        let message = format!(
            "Invalid id {asked} for ECS deployment, valid Id should be in format <cluster-name>:<service-name>"
        );
        return Err(exception("InvalidDeploymentTargetId", message));
    }
    if asked == target_id(deployment) {
        return Ok(());
    }
    Err(exception("DeploymentTargetDoesNotExist", format!("The deployment target {asked} does not exist")))
}

fn describe_event(event: &Event) -> Value {
    let mut described = json!({"lifecycleEventName": event.name, "status": event.status});
    if let Some(at) = event.started_at {
        described["startTime"] = moment(at);
    }
    if let Some(at) = event.ended_at {
        described["endTime"] = moment(at);
    }
    if let Some((code, message)) = &event.failure {
        described["diagnostics"] =
            json!({"errorCode": code, "scriptName": event.name, "message": message, "logTail": ""});
    }
    described
}

/// Counts of targets, of which there is one. A deployment that goes on has none.
fn overview(deployment: &Deployment) -> Option<Value> {
    let count = |status: &str| u64::from(target_status(deployment) == status);
    (!deployment.is_active()).then(|| {
        json!({
            "Pending": 0,
            "InProgress": 0,
            "Succeeded": count("Succeeded"),
            "Failed": count("Failed"),
            "Skipped": 0,
            "Ready": 0,
        })
    })
}

/// The content of the revision never comes back here.
fn described(deployment: &Deployment) -> Value {
    let mut info = json!({
        "applicationName": deployment.application,
        "deploymentGroupName": deployment.group,
        "deploymentConfigName": deployment.configuration,
        "deploymentId": deployment.id,
        "status": deployment.status,
        "createTime": moment(deployment.created_at),
        "creator": deployment.creator,
        "ignoreApplicationStopFailures": false,
        "updateOutdatedInstancesOnly": false,
        "instanceTerminationWaitTimeStarted": deployment.termination_wait_started,
        "autoRollbackConfiguration": {
            "enabled": !deployment.rolls_back_on.is_empty(),
            "events": deployment.rolls_back_on,
        },
        "fileExistsBehavior": "DISALLOW",
        "deploymentStatusMessages": [],
        "computePlatform": "ECS",
    });
    let optional = [
        ("startTime", deployment.started_at.map(moment)),
        ("completeTime", deployment.completed_at.map(moment)),
        ("deploymentOverview", overview(deployment)),
        ("description", deployment.description.clone().map(Value::from)),
        ("revision", deployment.sha256.as_deref().map(location)),
        ("previousRevision", deployment.previous.as_deref().map(location)),
        ("deploymentStyle", deployment.settings.get("deploymentStyle").cloned()),
        (
            "blueGreenDeploymentConfiguration",
            deployment.settings.get("blueGreenDeploymentConfiguration").cloned(),
        ),
        ("loadBalancerInfo", deployment.settings.get("loadBalancerInfo").cloned()),
        (
            "errorInformation",
            deployment.error.as_ref().map(|(code, message)| json!({"code": code, "message": message})),
        ),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            info[key] = value;
        }
    }
    let rollback = [
        ("rollbackDeploymentId", &deployment.rollback.deployment),
        ("rollbackTriggeringDeploymentId", &deployment.rollback.triggering),
        ("rollbackMessage", &deployment.rollback.message),
    ];
    for (key, value) in rollback {
        if let Some(value) = value {
            info["rollbackInfo"][key] = json!(value);
        }
    }
    info
}
