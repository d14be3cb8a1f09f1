//! Deployments: creating, stopping and continuing them (`CodeDeploy` API reference).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::applications::{revision, words};
use super::{AppSpec, Deployment, Failure, RollbackInfo, Wait, exception, name};
use crate::world::input::{Input, optional, page_of, texts, with_token};
use crate::world::{Answer, AwsError, World};

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
        let description = optional(input, "description")?;
        if description.is_some_and(|text| text.chars().count() > 512) {
            return Err(exception("DescriptionTooLong", "The description is longer than 512 characters"));
        }
        let (content, sha256) = revision(input.get("revision"))?;
        let named = found.sent.get("deploymentConfigName").and_then(Value::as_str).unwrap_or_default();
        let configuration = optional(input, "deploymentConfigName")?.unwrap_or(named).to_owned();
        let routing = self.routing(&configuration)?;
        self.check_service(&found.service)?;
        let settings = found.sent;
        let own = input.get("autoRollbackConfiguration").filter(|own| !own.is_null());
        let rollback = own.or(settings.get("autoRollbackConfiguration"));
        let rolls_back_on = rolls_back_on(rollback)?;
        if let Some(active) = self.active_deployment(&application, &group) {
            return Err(limit(&group, &active.id));
        }
        let route = self.route(&settings)?;
        let id = self.deployment_id();
        self.keep_revision(&application, &content, &sha256, true);
        let deployment = Deployment {
            id: id.clone(),
            application: application.clone(),
            group: group.clone(),
            service: found.service,
            creator: "user",
            description: description.map(str::to_owned),
            configuration,
            routing,
            content: Some(content),
            sha256: Some(sha256),
            spec: AppSpec::default(),
            previous: found.target,
            rolls_back_on,
            settings,
            route,
            status: "Created",
            error: None,
            created_at: self.now,
            started_at: None,
            completed_at: None,
            events: Vec::new(),
            wait: Wait::None,
            termination_wait_started: false,
            blue: None,
            green: None,
            weight: 0,
            stop: None,
            rollback: RollbackInfo::default(),
            last_sets: Vec::new(),
        };
        self.add_deployment(deployment);
        Ok(json!({"deploymentId": id}))
    }

    pub(super) fn add_deployment(&mut self, mut deployment: Deployment) {
        deployment.schedule();
        let id = deployment.id.clone();
        if let Some(group) = self.group_mut(&deployment.application, &deployment.group) {
            group.last_attempted = Some(id.clone());
        }
        self.code_deploy.deployments.insert(id, deployment);
    }

    /// The deployment that keeps the group from another one.
    fn active_deployment(&self, application: &str, group: &str) -> Option<&Deployment> {
        self.code_deploy.deployments.values().find(|deployment| {
            deployment.application == application && deployment.group == group && deployment.is_active()
        })
    }

    pub(super) fn deployment(&self, input: &Input) -> Result<&Deployment, AwsError> {
        let id = optional(input, "deploymentId")?.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| exception("DeploymentIdRequired", "Deployment ID is missing"))?;
        if id.len() != 11 || !id.starts_with("d-") {
            return Err(exception("InvalidDeploymentId", format!("Deployment ID is not valid: {id}")));
        }
        let found = self.code_deploy.deployments.get(id);
        let missing = || format!("The deployment {id} could not be found");
        found.ok_or_else(|| exception("DeploymentDoesNotExist", missing()))
    }

    pub(super) fn list_deployments(&mut self, input: &Input) -> Answer {
        let (application, group) =
            (optional(input, "applicationName")?, optional(input, "deploymentGroupName")?);
        if let (Some(application), Some(group)) = (application, group) {
            self.group(application, group)?;
        } else if application.is_some() != group.is_some() {
            return Err(exception("DeploymentGroupNameRequired", "Both names are needed, or none"));
        }
        let statuses: Vec<&str> = texts(input, "includeOnlyStatuses").collect();
        let bound = |side: &str| input.get("createTimeRange").and_then(|range| range.get(side)?.as_f64());
        let (start, end) = (bound("start"), bound("end"));
        let chosen = self.code_deploy.deployments.values().filter(|deployment| {
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
            let at = deployment.created_at as f64;
            application.is_none_or(|name| name == deployment.application)
                && group.is_none_or(|name| name == deployment.group)
                && (statuses.is_empty() || statuses.contains(&deployment.status))
                && start.is_none_or(|start| at >= start)
                && end.is_none_or(|end| at <= end)
        });
        let ids = chosen.map(|deployment| deployment.id.clone()).collect();
        let (ids, token) = page_of(ids, input, 100)?;
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
        let running = deployment.and_then(|deployment| {
            deployment.events.iter_mut().find(|one| one.name == event && one.status == "InProgress")
        });
        let Some(running) = running else {
            let message = format!("{execution} is not a hook that is being executed");
            return Err(exception("InvalidLifecycleEventHookExecutionId", message));
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
