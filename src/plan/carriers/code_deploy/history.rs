//! The deployments of a CodeDeploy group in the words of all deployments.

use std::collections::BTreeMap;

use super::deployment::described_target;
use crate::model::{
    Cause, CauseKind, CodeDeployError, CodeDeployStatus, CodeDeployment, Millis, OnTimeout, Pause, Progress,
    Service, ServiceDeployment, ServiceDeploymentStatus, Share, Shift, Stage, TaskDefinitionArn, Undo,
};

/// `errorInformation.code` of a deployment that somebody stopped.
const MANUAL_STOP: &str = "MANUAL_STOP";
/// That of one that a function failed which the `AppSpec` names for an event.
const HOOK_FAILED: &str = "HOOK_EXECUTION_FAILURE";
/// What the wait of a ready deployment goes by: there is one at most.
pub(super) const READY: &str = "ready";

/// The deployments of a group as service deployments, newest first. One that `CodeDeploy` made to undo another is no
/// deployment of its own: it says how the other one's rollback goes.
///
/// `targets` are the task definitions by the `AppSpec` that names them; `progress` is that of the newest one, where it was
/// read.
pub fn history(
    deployments: &[CodeDeployment],
    targets: &BTreeMap<String, TaskDefinitionArn>,
    progress: Option<&Progress>,
    service: &Service,
) -> Vec<ServiceDeployment> {
    let mut newest_first: Vec<&CodeDeployment> =
        deployments.iter().filter(|deployment| !deployment.is_rollback).collect();
    newest_first.sort_by_key(|deployment| std::cmp::Reverse((deployment.created_at, &deployment.id)));
    let mut history: Vec<ServiceDeployment> = newest_first
        .into_iter()
        .map(|deployment| {
            let named = deployment.sha256.as_ref().and_then(|sha256| targets.get(sha256));
            let described = || deployment.description.as_deref().and_then(described_target);
            let undone = deployment
                .rolled_back_by
                .as_ref()
                .and_then(|id| deployments.iter().find(|one| one.id == *id));
            ServiceDeployment {
                arn: deployment.id.clone(),
                status: status(deployment, undone),
                reason: deployment.error.as_ref().map(|error| error.message.clone()),
                target: named.cloned().or_else(described),
                sources: Vec::new(),
                digests: BTreeMap::new(),
                failure: deployment.error.as_ref().map(failure),
                // Whatever ends a deployment of CodeDeploy but success is a failure of it.
                monitor_triggered: true,
                target_running: 0,
                shift: Some(shift(deployment, None)),
                created_at: deployment.created_at,
                finished_at: undone.unwrap_or(deployment).completed_at,
            }
        })
        .collect();
    if let Some(newest) = history.first_mut() {
        let described = deployments.iter().find(|one| one.id == newest.arn);
        newest.shift = described.map(|described| shift(described, progress));
        let others = service.deployments.iter().map(|set| &set.task_definition);
        newest.sources = others.filter(|arn| newest.target.as_ref() != Some(*arn)).cloned().collect();
    }
    history
}

/// Whether a function of it has failed: which one is told by its target alone.
pub fn has_failed_hook(deployment: &CodeDeployment) -> bool {
    let is_of_hook = |error: &CodeDeployError| error.code == HOOK_FAILED;
    deployment.status.is_over() && deployment.error.as_ref().is_some_and(is_of_hook)
}

fn status(deployment: &CodeDeployment, undone: Option<&CodeDeployment>) -> ServiceDeploymentStatus {
    match (deployment.status, undone.map(|undone| undone.status)) {
        (CodeDeployStatus::Created | CodeDeployStatus::Queued, _) => ServiceDeploymentStatus::Pending,
        (CodeDeployStatus::InProgress | CodeDeployStatus::Baking | CodeDeployStatus::Ready, _) => {
            ServiceDeploymentStatus::InProgress
        }
        (CodeDeployStatus::Succeeded, _) => ServiceDeploymentStatus::Successful,
        (CodeDeployStatus::Failed | CodeDeployStatus::Stopped, None)
            if deployment.rolled_back_by.is_some() =>
        {
            ServiceDeploymentStatus::RollbackInProgress
        }
        (CodeDeployStatus::Failed | CodeDeployStatus::Stopped, None) => ServiceDeploymentStatus::Stopped,
        (CodeDeployStatus::Failed | CodeDeployStatus::Stopped, Some(undone)) => match undone {
            CodeDeployStatus::Succeeded => ServiceDeploymentStatus::RollbackSuccessful,
            undone if undone.is_over() => ServiceDeploymentStatus::RollbackFailed,
            _ => ServiceDeploymentStatus::RollbackInProgress,
        },
        (CodeDeployStatus::Unknown, _) => ServiceDeploymentStatus::Unknown,
    }
}

fn shift(deployment: &CodeDeployment, progress: Option<&Progress>) -> Shift {
    let stage = match deployment.status {
        status if status.is_over() => Stage::Ended,
        CodeDeployStatus::Ready => Stage::Testing,
        _ if deployment.termination_started => Stage::Standby,
        CodeDeployStatus::Created | CodeDeployStatus::Queued => Stage::Installing,
        _ => progress.map_or(Stage::Unknown, stage),
    };
    let error = deployment.error.as_ref();
    let is_ready = deployment.status == CodeDeployStatus::Ready;
    let pause = || Pause {
        id: READY.to_owned(),
        until: progress.and_then(|progress| deadline(deployment, progress)),
        then: OnTimeout::Rollback,
    };
    let event = progress.filter(|_| !deployment.status.is_over()).and_then(|progress| progress.event.clone());
    Shift {
        aws_stage: event,
        production: progress
            .and_then(|progress| progress.traffic)
            .and_then(|traffic| Share::of_percent(traffic.into())),
        pauses: is_ready.then(pause).into_iter().collect(),
        since: progress.and_then(|progress| progress.since),
        undo: if deployment.has_previous { Undo::Fast } else { Undo::No },
        stopped_by_hand: deployment.status == CodeDeployStatus::Stopped
            && error.is_some_and(|error| error.code == MANUAL_STOP),
        ..Shift::at(stage)
    }
}

/// AWS CodeDeploy API reference, `ErrorInformation`.
fn failure(error: &CodeDeployError) -> Cause {
    let kind = match error.code.as_str() {
        HOOK_FAILED => CauseKind::Hook,
        "ALARM_ACTIVE" => CauseKind::Alarm,
        MANUAL_STOP => CauseKind::StoppedByHand,
        "TIMEOUT" | "HEALTH_CONSTRAINTS" => CauseKind::Deadline,
        "ELASTIC_LOAD_BALANCING_INVALID"
        | "ELB_INVALID_INSTANCE"
        | "IAM_ROLE_MISSING"
        | "IAM_ROLE_PERMISSIONS" => CauseKind::Network,
        _ => CauseKind::Other,
    };
    match error.event.as_deref().filter(|_| kind == CauseKind::Hook) {
        Some(event) => Cause::new(kind, format!("{} at {event}: {}", error.code, error.message))
            .hinting(format!("see what the function logged that the AppSpec names for {event}")),
        None => Cause::new(kind, format!("{}: {}", error.code, error.message)),
    }
}

/// Where a deployment in progress stands, by the lifecycle event that goes on.
fn stage(progress: &Progress) -> Stage {
    match (progress.event.as_deref(), progress.traffic) {
        (Some("BeforeInstall" | "Install" | "AfterInstall"), _) | (None, None | Some(0)) => Stage::Installing,
        (Some("AllowTestTraffic" | "AfterAllowTestTraffic"), _) => Stage::Testing,
        (Some("BeforeAllowTraffic" | "AllowTraffic"), _) => Stage::Shifting,
        // All events are over, and the termination wait has not been announced yet.
        (Some("AfterAllowTraffic"), _) | (None, Some(100)) => Stage::Checking,
        _ => Stage::Unknown,
    }
}

fn deadline(deployment: &CodeDeployment, progress: &Progress) -> Option<Millis> {
    let wait = Millis::from(deployment.ready_wait?).saturating_mul(60_000);
    progress.since.map(|since| since.saturating_add(wait))
}
