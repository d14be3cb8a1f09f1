//! Blue/green by AWS `CodeDeploy`: its deployments in the words of all deployments, and what is sent to start one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::documents::{app_spec, code_deploy};
use crate::model::{
    CodeDeploy, CodeDeployStatus, CodeDeployment, Commit, Controller, DeclarationHash, DeploymentGroup,
    Desired, LoadBalancer, Millis, NewDeployment, Progress, Service, ServiceDeployment,
    ServiceDeploymentStatus, Shift, Stage, Strategy, TaskDefinitionArn, Waiting,
};

/// Characters of a description (AWS `CodeDeploy` user guide, quotas).
const DESCRIPTION: usize = 512;
/// `errorInformation.code` of a deployment that somebody stopped.
const MANUAL_STOP: &str = "MANUAL_STOP";

/// The declared settings, or the defaults where none are declared and the service belongs to `CodeDeploy`.
pub fn settings(desired: &Desired, service: &Service) -> Option<CodeDeploy> {
    match (&desired.strategy, service.controller) {
        (Strategy::CodeDeploy(declared), Controller::CodeDeploy) => Some(declared.as_ref().clone()),
        (Strategy::Unspecified, Controller::CodeDeploy) => Some(CodeDeploy::default()),
        _ => None,
    }
}

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
        CodeDeployStatus::Ready => {
            Stage::AwaitingApproval { until: progress.and_then(|progress| deadline(deployment, progress)) }
        }
        _ if deployment.termination_started => Stage::AwaitingTermination,
        CodeDeployStatus::Created | CodeDeployStatus::Queued => Stage::Installing,
        _ => progress.map_or(Stage::Unknown, stage),
    };
    let error = deployment.error.as_ref();
    Shift {
        stage,
        traffic: progress.and_then(|progress| progress.traffic),
        can_be_undone: deployment.has_previous,
        stopped_by_hand: deployment.status == CodeDeployStatus::Stopped
            && error.is_some_and(|error| error.code == MANUAL_STOP),
        failure: error.map(|error| format!("{}: {}", error.code, error.message)),
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

/// What a deployment of ours says of itself: `trueup <environment>/<application> <commit> <task definition> <declaration>`.
pub fn description(
    desired: &Desired,
    (commit, declared): (Option<&Commit>, Option<&DeclarationHash>),
    revision: &TaskDefinitionArn,
) -> String {
    let commit = commit.map_or("-", Commit::as_str);
    let declared = declared.map_or("-", DeclarationHash::as_str);
    let text = format!("trueup {} {commit} {revision} {declared}", desired.target);
    text.chars().take(DESCRIPTION).collect()
}

fn described_target(description: &str) -> Option<TaskDefinitionArn> {
    let mut words = description.split(' ');
    (words.next() == Some("trueup")).then_some(())?;
    words.nth(2).filter(|arn| arn.starts_with("arn:")).map(TaskDefinitionArn::new)
}

/// The deployment that brings `revision`.
pub fn new_deployment(
    settings: &CodeDeploy,
    desired: &Desired,
    service: &Service,
    revision: &TaskDefinitionArn,
    declared: (Option<&Commit>, Option<&DeclarationHash>),
) -> Result<NewDeployment, Waiting> {
    let (application, group) = code_deploy::names(settings, desired);
    Ok(NewDeployment {
        app_spec: app_spec(settings, service, revision, &group)?.to_string(),
        description: description(desired, declared, revision),
        configuration: settings.configuration.clone(),
        revision: revision.clone(),
        application,
        group,
    })
}

/// The declared file with the task definition filled in, or one made from what the primary task set has.
fn app_spec(
    settings: &CodeDeploy,
    service: &Service,
    revision: &TaskDefinitionArn,
    group: &str,
) -> Result<Value, Waiting> {
    if let Some(declared) = &settings.app_spec {
        return Ok(app_spec::filled_in(&declared.content, revision.as_str()));
    }
    let balancer = service.primary().and_then(|primary| primary.load_balancer.as_ref());
    let unfit = || Waiting::GroupUnfit {
        group: group.to_owned(),
        why: "the primary task set has no load balancer, so that no AppSpec can be made from it".to_owned(),
    };
    let balancer = balancer.ok_or_else(unfit)?;
    Ok(json!({
        "version": 0.0,
        "Resources": [{"TargetService": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "TaskDefinition": revision.as_str(),
                "LoadBalancerInfo": {"ContainerName": balancer.container, "ContainerPort": balancer.port},
            },
        }}],
    }))
}

/// Whether the group can deploy this service, before anything is written.
pub fn fits(
    group: &DeploymentGroup,
    name: &str,
    desired: &Desired,
    service: &Service,
) -> Result<(), Waiting> {
    let unfit = |why: String| Err(Waiting::GroupUnfit { group: name.to_owned(), why });
    if !group.is_for_ecs {
        return unfit("its compute platform is not ECS".to_owned());
    }
    let own = (desired.cluster.clone(), desired.service.clone());
    if !group.services.contains(&own) {
        let others =
            group.services.iter().map(|(cluster, service)| format!("{service} in cluster {cluster}"));
        let others: Vec<String> = others.collect();
        return unfit(format!("it deploys {} and not {} in cluster {}", others.join(", "), own.1, own.0));
    }
    if group.target_groups.len() != 2 {
        return unfit(format!("it has {} target groups instead of two", group.target_groups.len()));
    }
    if !group.has_production_listener {
        return unfit("it has no production listener".to_owned());
    }
    let balancer = service.primary().and_then(|primary| primary.load_balancer.as_ref());
    match balancer.map(LoadBalancer::target_group_name) {
        Some(used) if !group.target_groups.iter().any(|known| known == used) => unfit(format!(
            "the service uses the target group {used}, which is none of {}",
            group.target_groups.join(", ")
        )),
        _ => Ok(()),
    }
}
