//! Deployments: creating, stopping and continuing them (`CodeDeploy` API reference).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::applications::{revision, words};
use super::{Deployment, Failure, Wait, exception, name, page};
use crate::world::input::{Input, optional, texts, with_token};
use crate::world::times::moment;
use crate::world::{Answer, AwsError, World};

/// The values of `DeploymentStatus`.
const STATUSES: [&str; 8] =
    ["Created", "Queued", "InProgress", "Baking", "Succeeded", "Failed", "Stopped", "Ready"];

/// "The Deployment Group 'x' already has an active Deployment 'd-ABC'" (aws/aws-cli, issues).
fn limit(group: &str, active: &str) -> AwsError {
    let message = format!("The Deployment Group '{group}' already has an active Deployment '{active}'");
    exception("DeploymentLimitExceeded", message)
}

impl World {
    pub(super) fn create_deployment(&mut self, input: &Input) -> Answer {
        let application = name(input, "applicationName", "Application")?.to_owned();
        let group = name(input, "deploymentGroupName", "DeploymentGroup")?.to_owned();
        let found = self.group(&application, &group)?.clone();
        check_options(input)?;
        let description = optional(input, "description")?;
        if description.is_some_and(|text| text.chars().count() > 512) {
            return Err(exception("DescriptionTooLong", "The description is longer than 512 characters"));
        }
        let (content, sha256) = revision(input.get("revision"))?;
        let named = found.sent.get("deploymentConfigName").and_then(Value::as_str).unwrap_or_default();
        let configuration = optional(input, "deploymentConfigName")?.unwrap_or(named).to_owned();
        self.check_service(&found.service)?;
        let settings = found.sent;
        let route = self.route(&settings)?;
        let routing = self.can_shift(&route, &configuration)?;
        let own = input.get("autoRollbackConfiguration").filter(|own| !own.is_null());
        let rollback = own.or(settings.get("autoRollbackConfiguration"));
        let rolls_back_on = rolls_back_on(rollback)?;
        if let Some(active) = self.active_deployment(&found.id) {
            return Err(limit(&group, &active.id));
        }
        let id = self.deployment_id();
        self.use_revision(&application, &content, &sha256);
        let deployment = Deployment {
            id: id.clone(),
            application,
            group,
            group_id: found.id,
            service: found.service,
            creator: "user",
            description: description.map(str::to_owned),
            configuration,
            routing,
            content: Some(content),
            sha256: Some(sha256),
            previous: found.target,
            rolls_back_on,
            settings,
            route,
            status: "Created",
            created_at: self.now,
            ..Deployment::default()
        };
        self.add_deployment(deployment);
        Ok(json!({"deploymentId": id}))
    }

    pub(super) fn add_deployment(&mut self, mut deployment: Deployment) {
        deployment.schedule();
        if let Some(group) = self.group_of_mut(&deployment) {
            group.last_attempted = Some(deployment.id.clone());
        }
        self.code_deploy.deployments.insert(deployment.id.clone(), deployment);
    }

    /// The deployment that keeps the group from another one.
    fn active_deployment(&self, group: &str) -> Option<&Deployment> {
        let mut all = self.code_deploy.deployments.values();
        all.find(|deployment| deployment.group_id == group && deployment.is_active())
    }

    /// Whether a deployment of the service goes on.
    pub(in crate::world) fn has_active_deployment(&self, service: &crate::world::ecs::ServiceKey) -> bool {
        let mut all = self.code_deploy.deployments.values();
        all.any(|deployment| deployment.service == *service && deployment.is_active())
    }

    pub(super) fn deployment(&self, input: &Input) -> Result<&Deployment, AwsError> {
        let id = optional(input, "deploymentId")?.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| exception("DeploymentIdRequired", "Deployment ID is missing"))?;
        check_id(id)?;
        let found = self.code_deploy.deployments.get(id);
        let missing = || format!("The deployment {id} could not be found");
        found.ok_or_else(|| exception("DeploymentDoesNotExist", missing()))
    }

    pub(super) fn list_deployments(&mut self, input: &Input) -> Answer {
        let group = match (optional(input, "applicationName")?, optional(input, "deploymentGroupName")?) {
            (Some(application), Some(group)) => Some(self.group(application, group)?.id.as_str()),
            (None, None) => None,
            (Some(_), None) => {
                return Err(exception("DeploymentGroupNameRequired", "Both names are needed, or none"));
            }
            (None, Some(_)) => {
                return Err(exception("ApplicationNameRequired", "Both names are needed, or none"));
            }
        };
        let statuses: Vec<&str> = texts(input, "includeOnlyStatuses").collect();
        if let Some(unknown) = statuses.iter().find(|status| !STATUSES.contains(status)) {
            return Err(exception("InvalidDeploymentStatus", format!("{unknown} is no deployment status")));
        }
        let (start, end) = time_range(input)?;
        let chosen = self.code_deploy.deployments.values().filter(|deployment| {
            let at = moment(deployment.created_at).as_f64().unwrap_or_default();
            group.is_none_or(|group| group == deployment.group_id)
                && (statuses.is_empty() || statuses.contains(&deployment.status))
                && start.is_none_or(|start| at >= start)
                && end.is_none_or(|end| at <= end)
        });
        let ids = chosen.map(|deployment| deployment.id.clone()).collect();
        let (ids, token) = page(ids, input)?;
        Ok(with_token(json!({"deployments": ids}), token))
    }

    /// The answer comes before the effect.
    pub(super) fn stop_deployment(&mut self, input: &Input) -> Answer {
        let found = self.deployment(input)?;
        if !found.is_active() {
            return Err(completed(&found.id));
        }
        let asked = input.get("autoRollbackEnabled").and_then(Value::as_bool);
        let rolls_back = asked.unwrap_or_else(|| found.rolls_back_on.contains("DEPLOYMENT_STOP_ON_REQUEST"));
        let message = "The deployment was stopped at the request of a user.".to_owned();
        let stop = Failure { status: "Stopped", code: "MANUAL_STOP", message, rolls_back };
        let id = found.id.clone();
        if let Some(deployment) = self.code_deploy.deployments.get_mut(&id) {
            deployment.stop.get_or_insert(stop);
        }
        Ok(json!({"status": "Pending", "statusMessage": "Stopping the deployment"}))
    }

    pub(super) fn continue_deployment(&mut self, input: &Input) -> Answer {
        let found = self.deployment(input)?;
        if !found.is_active() {
            return Err(completed(&found.id));
        }
        let (id, waits) = (found.id.clone(), found.wait);
        match (optional(input, "deploymentWaitType")?.unwrap_or("READY_WAIT"), waits) {
            ("READY_WAIT", Wait::Ready(_)) => self.end_ready_wait(&id),
            ("READY_WAIT", _) => {
                let message = format!("The deployment {id} is not in a ready state");
                return Err(exception("DeploymentIsNotInReadyState", message));
            }
            ("TERMINATION_WAIT", Wait::Termination(_)) => self.end_termination_wait(&id),
            ("TERMINATION_WAIT", _) => {
                let message =
                    format!("The deployment {id} does not wait for the termination of its original task set");
                return Err(exception("InvalidDeploymentStatus", message));
            }
            (other, _) => {
                return Err(exception("InvalidDeploymentWaitType", format!("{other} is no wait type")));
            }
        }
        Ok(json!({}))
    }

    /// The execution id of a hook is the id of the deployment and the event, with a colon between them.
    pub(super) fn put_hook_status(&mut self, input: &Input) -> Answer {
        let found = self.deployment(input)?;
        let execution = optional(input, "lifecycleEventHookExecutionId")?.unwrap_or_default();
        let (id, now) = (found.id.clone(), self.now);
        let event = execution.strip_prefix(&format!("{id}:")).unwrap_or_default().to_owned();
        let status = match optional(input, "status")? {
            Some("Succeeded") => "Succeeded",
            Some("Failed") => "Failed",
            _ => {
                let message = "The status must be Succeeded or Failed";
                return Err(exception("InvalidLifecycleEventHookExecutionStatus", message));
            }
        };
        let deployment = self.code_deploy.deployments.get_mut(&id);
        let mut events = deployment.into_iter().flat_map(|deployment| &mut deployment.events);
        let running = match events.find(|one| one.name == event) {
            Some(found) if found.status == "InProgress" => found,
            Some(found) if found.status != "Pending" => {
                let message = format!("The lifecycle event {event} has already completed");
                return Err(exception("LifecycleEventAlreadyCompleted", message));
            }
            _ => {
                let message = format!("{execution} is not a hook that is being executed");
                return Err(exception("InvalidLifecycleEventHookExecutionId", message));
            }
        };
        running.status = status;
        running.ended_at = Some(now);
        if status == "Failed" {
            running.failure = Some(("ScriptFailed", "The validation function reported a failure".to_owned()));
        }
        Ok(json!({"lifecycleEventHookExecutionId": execution}))
    }

    fn end_termination_wait(&mut self, id: &str) {
        if let Some(deployment) = self.code_deploy.deployments.get_mut(id) {
            deployment.wait = Wait::Over;
        }
    }
}

pub(super) fn check_id(id: &str) -> Result<(), AwsError> {
    if id.len() == 11 && id.starts_with("d-") {
        return Ok(());
    }
    Err(exception("InvalidDeploymentId", format!("Deployment ID is not valid: {id}")))
}

/// Options that are not for ECS and are looked at all the same (`CreateDeployment`).
fn check_options(input: &Input) -> Result<(), AwsError> {
    let behaviour = optional(input, "fileExistsBehavior")?.unwrap_or("DISALLOW");
    if !["DISALLOW", "OVERWRITE", "RETAIN"].contains(&behaviour) {
        let message = format!("{behaviour} is no behavior for files that exist");
        return Err(exception("InvalidFileExistsBehavior", message));
    }
    match optional(input, "deploymentMode")? {
        None | Some("STANDARD") => Ok(()),
        Some(mode) => {
            Err(exception("InvalidInput", format!("The deployment mode {mode} is not supported for ECS")))
        }
    }
}

fn time_range(input: &Input) -> Result<(Option<f64>, Option<f64>), AwsError> {
    let bound = |side: &str| input.get("createTimeRange").and_then(|range| range.get(side)?.as_f64());
    match (bound("start"), bound("end")) {
        (Some(start), Some(end)) if start > end => {
            Err(exception("InvalidTimeRange", "The start of the time range is after its end"))
        }
        range => Ok(range),
    }
}

fn completed(id: &str) -> AwsError {
    exception("DeploymentAlreadyCompleted", format!("The deployment {id} has already completed"))
}

fn rolls_back_on(configuration: Option<&Value>) -> Result<BTreeSet<String>, AwsError> {
    const EVENTS: [&str; 3] =
        ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"];
    let events: BTreeSet<String> = words(configuration, "events").into_iter().collect();
    let enabled = configuration.and_then(|one| one.get("enabled")) == Some(&json!(true));
    if events.iter().any(|event| !EVENTS.contains(&event.as_str())) || (enabled && events.is_empty()) {
        return Err(exception(
            "InvalidAutoRollbackConfig",
            "The automatic rollback configuration is not valid",
        ));
    }
    Ok(if enabled { events } else { BTreeSet::new() })
}
