//! Service deployments and service revisions (Amazon ECS API reference: `ListServiceDeployments`,
//! `DescribeServiceDeployments`, `StopServiceDeployment`, `DescribeServiceRevisions`; developer guide, "View service
//! history using Amazon ECS service deployments").

use serde_json::{Value, json};

use super::configuration::alarms;
use super::describe::describe_platform;
use super::services::{Service, ServiceDeployment, ServiceRevision, not_found};
use super::{Stage, precise, time};
use crate::world::input::{Input, batch, invalid, optional, page, text, texts, with_token};
use crate::world::{Answer, AwsError, World};

/// Service deployments are kept for 90 days.
const KEPT: u64 = 90 * 24 * 3600;
/// Seconds until a new one can be seen. AWS publishes no figure; "a moment" is what people see.
const LISTED_AFTER: u64 = 3;

impl World {
    fn is_listed(&self, deployment: &ServiceDeployment) -> bool {
        let age = self.now - deployment.created_at;
        age >= LISTED_AFTER && (deployment.finished_at.is_none() || age < KEPT)
    }

    /// The newest service deployment, once it can be seen.
    pub(super) fn current_service_deployment<'a>(&self, service: &'a Service) -> Option<&'a str> {
        service.history.first().filter(|newest| self.is_listed(newest)).map(|newest| newest.arn.as_str())
    }

    pub(super) fn list_service_deployments(&mut self, input: &Input) -> Answer {
        let key = self.named_service(input, "service")?;
        let service = self.services.get(&key).ok_or_else(not_found)?;
        let wanted: Vec<&str> = texts(input, "status").collect();
        let bound =
            |side: &str| input.get("createdAt").and_then(|bounds| bounds.get(side)).and_then(Value::as_f64);
        let (after, before) = (bound("after"), bound("before"));
        let chosen = service.history.iter().filter(|deployment| {
            let at = precise(deployment.created_at);
            self.is_listed(deployment)
                && (wanted.is_empty() || wanted.contains(&deployment.status))
                && after.is_none_or(|after| at >= after)
                && before.is_none_or(|before| at <= before)
        });
        let briefs = chosen.map(|deployment| {
            let mut brief = json!({
                "serviceDeploymentArn": deployment.arn,
                "serviceArn": self.service_arn(service),
                "clusterArn": self.cluster_arn(&service.cluster),
                "createdAt": time(deployment.created_at),
                "status": deployment.status,
                "targetServiceRevisionArn": service.revisions.get(deployment.target).map(|revision| &revision.arn),
            });
            set(&mut brief, "startedAt", deployment.started_at.map(time));
            set(&mut brief, "finishedAt", deployment.finished_at.map(time));
            set(&mut brief, "statusReason", deployment.reason.as_deref());
            brief
        });
        let (briefs, token) = page(briefs.collect(), input, 20, 100)?;
        Ok(with_token(json!({"serviceDeployments": briefs}), token))
    }

    pub(super) fn describe_service_deployments(&mut self, input: &Input) -> Answer {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in batch(input, "serviceDeploymentArns", 20)? {
            let services = self.services.values();
            let mut all = services.flat_map(|service| service.history.iter().map(move |one| (service, one)));
            match all.find(|(_, deployment)| deployment.arn == arn && self.is_listed(deployment)) {
                Some((service, deployment)) => {
                    found.push(self.describe_service_deployment(service, deployment));
                }
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"serviceDeployments": found, "failures": failures}))
    }

    fn describe_service_deployment(&self, service: &Service, deployment: &ServiceDeployment) -> Value {
        let arn = |index: usize| service.revisions.get(index).map(|revision| &revision.arn);
        // Once it has ended, the counts are those of its end.
        let target = deployment.ended_with.unwrap_or_else(|| service.snapshot(&deployment.carried_by));
        let sources = deployment.sources.iter().map(|index| {
            let carrier = service.deployments.iter().find(|other| other.revision == *index);
            let (running, pending) = carrier.map_or((0, 0), |carrier| service.counts(Some(&carrier.id)));
            let requested = carrier.map_or(0, |carrier| carrier.desired);
            let mut source = json!({"arn": arn(*index), "requestedTaskCount": requested, "runningTaskCount": running, "pendingTaskCount": pending});
            match &deployment.shift {
                Some(shift) if shift.blue == Some(*index) => shift.describe_weights(false, &mut source),
                Some(shift) if shift.has_traffic => {
                    source["requestedProductionTrafficWeight"] = json!(0.0);
                    source["requestedTestTrafficWeight"] = json!(0.0);
                }
                _ => {}
            }
            source
        });
        let mut described = json!({
            "serviceDeploymentArn": deployment.arn,
            "serviceArn": self.service_arn(service),
            "clusterArn": self.cluster_arn(&service.cluster),
            "createdAt": time(deployment.created_at),
            "updatedAt": time(deployment.updated_at),
            "status": deployment.status,
            "sourceServiceRevisions": sources.collect::<Vec<_>>(),
            "targetServiceRevision": {
                "arn": arn(deployment.target),
                "requestedTaskCount": target.requested,
                "runningTaskCount": target.running,
                "pendingTaskCount": target.pending,
            },
            "deploymentConfiguration": deployment.configuration,
            "deploymentCircuitBreaker": {
                "status": deployment.breaker,
                "failureCount": deployment.failures,
                "threshold": deployment.threshold,
            },
            "alarms": {"status": deployment.alarms},
        });
        if let Some((names, _)) = alarms(&deployment.configuration) {
            described["alarms"]["alarmNames"] = json!(names);
            described["alarms"]["triggeredAlarmNames"] = json!(deployment.triggered_alarms);
        }
        set(&mut described, "startedAt", deployment.started_at.map(time));
        set(&mut described, "stoppedAt", deployment.stopped_at.map(time));
        set(&mut described, "finishedAt", deployment.finished_at.map(time));
        set(&mut described, "statusReason", deployment.reason.as_deref());
        if let Some(shift) = &deployment.shift {
            shift.describe_weights(true, &mut described["targetServiceRevision"]);
            set(&mut described, "lifecycleStage", shift.stage.map(Stage::name));
            described["lifecycleHookDetails"] = shift.describe_hooks(time);
        }
        if let Some(rollback) = &deployment.rollback {
            described["rollback"] = json!({
                "reason": rollback.reason,
                "startedAt": time(rollback.started_at),
                "serviceRevisionArn": arn(rollback.revision),
            });
        }
        described
    }

    /// Only rolling back is offered ("The valid values are `ROLLBACK`"), also where no rollback is configured. What is
    /// stopping or rolling back goes on as it does (developer guide, "Stopping Amazon ECS service deployments").
    pub(super) fn stop_service_deployment(&mut self, input: &Input) -> Answer {
        let (arn, now) = (text(input, "serviceDeploymentArn")?.to_owned(), self.now);
        match optional(input, "stopType")? {
            None | Some("ROLLBACK") => {}
            Some(_) => return Err(invalid("stopType must be ROLLBACK.")),
        }
        let all = self.services.values_mut().flat_map(|service| &mut service.history);
        let Some(deployment) = all.into_iter().find(|deployment| deployment.arn == arn) else {
            let message = "Service deployment not found.";
            return Err(AwsError::client("ServiceDeploymentNotFoundException", message));
        };
        match deployment.status {
            "PENDING" | "IN_PROGRESS" => {
                deployment.status = "ROLLBACK_REQUESTED";
                deployment.reason = Some("Service deployment stopped by a user.".to_owned());
                deployment.updated_at = now;
            }
            "STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => {}
            ended => {
                let message = format!("Service deployment in status {ended} cannot be stopped.");
                return Err(AwsError::client("ConflictException", message));
            }
        }
        Ok(json!({"serviceDeploymentArn": arn}))
    }

    /// Answers a pause. What stands in the texts is from the developer guide, "Continue an Amazon ECS service deployment".
    pub(super) fn continue_service_deployment(&mut self, input: &Input) -> Answer {
        let (arn, id) = (text(input, "serviceDeploymentArn")?, text(input, "hookId")?);
        let rolls_back = match optional(input, "action")? {
            None | Some("CONTINUE") => false,
            Some("ROLLBACK") => true,
            Some(_) => return Err(invalid("action must be CONTINUE or ROLLBACK.")),
        };
        let mut parts = id.splitn(3, '-');
        if parts.next() != Some("ecs") || parts.any(str::is_empty) || id.matches('-').count() < 2 {
            return Err(invalid("Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}"));
        }
        let mut all = self.services.values_mut().flat_map(|service| &mut service.history);
        let Some(deployment) = all.find(|deployment| deployment.arn == arn) else {
            let message = "The service deployment does not exist.";
            return Err(AwsError::client("ServiceDeploymentNotFoundException", message));
        };
        if deployment.finished_at.is_some() {
            let message =
                "Continuing a service deployment is not allowed for service deployment in terminal states.";
            return Err(invalid(message));
        }
        let hooks = deployment.shift.iter_mut().flat_map(|shift| &mut shift.hooks);
        let mut awaiting = hooks.filter(|hook| hook.status == "AWAITING_ACTION" && hook.id == id);
        match awaiting.next().filter(|_| deployment.status == "IN_PROGRESS") {
            Some(hook) => hook.answer(rolls_back),
            None => {
                return Err(invalid(
                    "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN",
                ));
            }
        }
        Ok(json!({"serviceDeploymentArn": arn}))
    }

    pub(super) fn describe_service_revisions(&mut self, input: &Input) -> Answer {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in batch(input, "serviceRevisionArns", 20)? {
            let services = self.services.values();
            let mut all =
                services.flat_map(|service| service.revisions.iter().map(move |one| (service, one)));
            match all.find(|(_, revision)| revision.arn == arn) {
                Some((service, revision)) => found.push(self.describe_service_revision(service, revision)),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"serviceRevisions": found, "failures": failures}))
    }

    fn describe_service_revision(&self, service: &Service, revision: &ServiceRevision) -> Value {
        let images = revision.images.iter().map(|(name, image)| {
            let mut entry = json!({"containerName": name, "image": image});
            set(&mut entry, "imageDigest", revision.digests.get(name).map(String::as_str));
            entry
        });
        let mut described = json!({
            "serviceRevisionArn": revision.arn,
            "serviceArn": self.service_arn(service),
            "clusterArn": self.cluster_arn(&service.cluster),
            "taskDefinition": revision.task_definition,
            "containerImages": images.collect::<Vec<_>>(),
            "createdAt": time(revision.created_at),
        });
        for (key, value) in &revision.settings {
            described[key] = value.clone();
        }
        if !revision.groups.is_empty() {
            let groups = revision.groups.iter();
            let groups =
                groups.map(|(group, rule)| json!({"targetGroupArn": group, "productionListenerRule": rule}));
            described["resolvedConfiguration"] = json!({"loadBalancers": groups.collect::<Vec<_>>()});
        }
        describe_platform(service, Some(&revision.settings), &mut described);
        set(&mut described, "launchType", service.launch_type());
        described
    }
}

fn set(described: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        described[key] = value.into();
    }
}
