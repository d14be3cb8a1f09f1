//! The phase of a deployment, derived from what AWS says on every pass.

use super::windows;
use crate::model::{
    Controller, Deployment, DeploymentId, DeploymentStatus, DeploymentStrategy, Millis, Observed, Phase,
    RolloutState, Service, ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn,
};

/// The phase of one service deployment. A rollback is a failure, not a success; `STOPPED` also means superseded, and
/// is a failure only where a breaker or an alarm ended it (Amazon ECS API reference, `ServiceDeployment`).
pub fn of(deployment: &ServiceDeployment) -> Phase {
    match deployment.status {
        ServiceDeploymentStatus::Pending => Phase::Pending,
        ServiceDeploymentStatus::InProgress | ServiceDeploymentStatus::StopRequested => Phase::InProgress,
        ServiceDeploymentStatus::Successful => Phase::Succeeded,
        ServiceDeploymentStatus::Stopped if deployment.monitor_triggered => Phase::Failed,
        ServiceDeploymentStatus::Stopped => Phase::Superseded,
        ServiceDeploymentStatus::RollbackRequested | ServiceDeploymentStatus::RollbackInProgress => {
            Phase::RollingBack
        }
        ServiceDeploymentStatus::RollbackSuccessful => Phase::RolledBack,
        ServiceDeploymentStatus::RollbackFailed => Phase::Failed,
        ServiceDeploymentStatus::Unknown => Phase::Unknown,
    }
}

/// The last part of the ARN: short enough for a tag, unique within a service.
pub fn id(deployment: &ServiceDeployment) -> String {
    deployment.arn.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What deployments here have brought that AWS calls successful, whoever started them; the newest first.
pub fn successes(history: &[ServiceDeployment]) -> impl Iterator<Item = &TaskDefinitionArn> {
    let good = history.iter().filter(|deployment| of(deployment) == Phase::Succeeded);
    good.filter_map(|one| one.target.as_ref())
}

/// What ran before the newest deployment whose source is known.
pub fn last_source(history: &[ServiceDeployment]) -> Option<&TaskDefinitionArn> {
    history.iter().find_map(|deployment| deployment.sources.first())
}

/// The newest deployment of a service, and what is live now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The id under which the outcome of the newest deployment is remembered.
    pub id: String,
    /// What the newest deployment was asked to bring.
    pub target: TaskDefinitionArn,
    /// How the newest deployment goes.
    pub phase: Phase,
    /// When the newest deployment began.
    pub started_at: Millis,
    /// The PRIMARY entry of `deployments[]`: what AWS works towards. After a rollback it is not the target.
    pub live: DeploymentId,
    pub live_revision: TaskDefinitionArn,
    pub live_phase: Phase,
}

/// What trueup says of a deployment beyond what AWS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// AWS calls it successful, and it is too early to believe that. `until`: when it is steady if nothing fails.
    Settling { until: Millis },
    /// AWS calls it successful, and its tasks went on failing.
    Unsteady,
    /// It made no progress for longer than the deadline.
    Stuck,
}

/// The newest deployment of the service. Both histories are asked, since either may be stale: a rollout that one of
/// them still sees going on is going on.
pub fn current(service: &Service, observed: &Observed) -> Option<Current> {
    let primary = service.primary()?;
    if service.controller == Controller::CodeDeploy {
        return Some(by_code_deploy(service, primary, observed));
    }
    // While ECS shifts traffic the PRIMARY is what it works towards, and nobody here knows how far that is.
    let is_rolling = service.strategy == DeploymentStrategy::Rolling;
    if !is_rolling && (service.deployments.len() > 1 || goes_on(primary)) {
        return None;
    }
    let rollout = match primary.rollout {
        Some(RolloutState::Completed) => Phase::Succeeded,
        Some(RolloutState::Failed) => Phase::Failed,
        Some(RolloutState::InProgress) => Phase::InProgress,
        None if service.deployments.len() == 1 && primary.running == service.desired_count => {
            Phase::Succeeded
        }
        None => Phase::InProgress,
    };
    let by_primary = Current {
        id: primary.id.to_string(),
        target: primary.task_definition.clone(),
        phase: rollout,
        started_at: primary.created_at,
        live: primary.id.clone(),
        live_revision: primary.task_definition.clone(),
        live_phase: rollout,
    };
    let undone = undone(service, primary);
    let by_service = undone.map_or_else(
        || by_primary.clone(),
        |undone| Current {
            id: undone.id.to_string(),
            target: undone.task_definition.clone(),
            phase: if goes_on(primary) { Phase::RollingBack } else { Phase::RolledBack },
            started_at: undone.created_at,
            ..by_primary.clone()
        },
    );
    let Some(newest) = observed.service_deployments.known().and_then(|history| history.first()) else {
        return Some(by_service);
    };
    let told = of(newest);
    if told.is_over() && (goes_on(primary) || undone.is_some_and(|undone| is_unlisted(undone, newest))) {
        return Some(by_service);
    }
    let id = id(newest);
    match &newest.target {
        Some(target) if *target == primary.task_definition => Some(Current {
            id,
            phase: told,
            started_at: newest.created_at,
            live_phase: if told.is_over() { told.settled(rollout) } else { told },
            ..by_primary
        }),
        // Another revision is PRIMARY: a rollback explains it, anything else is a list that lags behind.
        Some(target) if matches!(told, Phase::RollingBack | Phase::RolledBack | Phase::Failed) => {
            let (target, started_at) = (target.clone(), newest.created_at);
            Some(Current { id, phase: told, target, started_at, ..by_primary })
        }
        _ => Some(by_service),
    }
}

fn goes_on(deployment: &Deployment) -> bool {
    deployment.rollout == Some(RolloutState::InProgress)
}

/// The deployment that is rolled back or has been, as the service itself tells it: what AWS goes back to is PRIMARY again
/// under its old id, and older than what it replaces. What failed stays in the list until the next one has ended well.
fn undone<'a>(service: &'a Service, primary: &Deployment) -> Option<&'a Deployment> {
    let newer = service.deployments.iter().filter(|one| one.created_at > primary.created_at);
    let newest = newer.max_by_key(|one| one.created_at)?;
    (goes_on(primary) || newest.rollout == Some(RolloutState::Failed)).then_some(newest)
}

/// Whether the list ends before the deployment began.
fn is_unlisted(undone: &Deployment, newest: &ServiceDeployment) -> bool {
    let is_it = newest.target.as_ref() == Some(&undone.task_definition);
    let margin = if is_it { windows::DEPLOYMENT } else { 0 };
    newest.created_at.saturating_add(margin) < undone.created_at
}

/// With `CodeDeploy` the target becomes PRIMARY when all traffic is on it, and not before. Service and deployments are
/// two readings, of which either may lag behind: what only one of them knows of is going on.
fn by_code_deploy(service: &Service, primary: &Deployment, observed: &Observed) -> Current {
    // What drains has no part in anything any more.
    let alone = service.deployments.iter().all(|set| set.status != DeploymentStatus::Active);
    let by_primary = |phase| Current {
        id: primary.id.to_string(),
        target: primary.task_definition.clone(),
        phase,
        started_at: primary.created_at,
        live: primary.id.clone(),
        live_revision: primary.task_definition.clone(),
        live_phase: phase,
    };
    let of_sets = by_primary(if alone { Phase::Succeeded } else { Phase::InProgress });
    let newest = observed.service_deployments.known().and_then(|history| history.first());
    let Some(newest) = newest else { return of_sets };
    let target = newest.target.clone().unwrap_or_else(|| TaskDefinitionArn::new("unknown"));
    let phase = of(newest);
    if target.names(&primary.task_definition) {
        // The same revision once more: a task set that was there before is as good as it was.
        let was_before = phase.is_over() && primary.created_at < newest.created_at;
        let live_phase = if was_before { Phase::Succeeded } else { phase };
        let started_at = newest.created_at;
        return Current { id: id(newest), live_phase, started_at, ..by_primary(phase) };
    }
    let phase = match phase {
        Phase::Succeeded if primary.created_at >= newest.created_at => return of_sets,
        Phase::Succeeded => Phase::InProgress,
        other => other,
    };
    // What is PRIMARY beside a deployment to something else is what was good before.
    Current { id: id(newest), target, phase, started_at: newest.created_at, ..by_primary(Phase::Succeeded) }
}

impl Phase {
    /// A deployment that the list calls superseded while it is still PRIMARY is judged by its rollout.
    fn settled(self, rollout: Self) -> Self {
        if self == Self::Superseded { rollout } else { self }
    }
}
