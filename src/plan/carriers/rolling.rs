//! Rolling deployments by ECS: old tasks are replaced by new ones, and both take traffic meanwhile. What is deployed is live
//! from its first task on.

use std::collections::BTreeSet;

use super::{Carrier, Listing, Newer, Replacement, Way, alarms};
use crate::model::{
    Deployment, Desired, Group, InFlight, Observed, Phase, Reading, RolloutState, Service, ServiceDeployment,
    Shift,
};
use crate::plan::phase::{self, Current};
use crate::plan::step::DeploymentName;
use crate::plan::windows;

#[derive(Clone, Copy, Debug)]
pub(super) struct Rolling;

impl Carrier for Rolling {
    fn name(&self) -> String {
        "rolling".to_owned()
    }

    fn listing(&self) -> Listing {
        Listing::ServiceDeployments
    }

    fn current(&self, service: &Service, observed: &Observed) -> Option<Current> {
        current(service, observed)
    }

    fn has_provisional_ids(&self) -> bool {
        true
    }

    fn needs_deadline(&self, service: &Service, _: Option<&Shift>) -> bool {
        !service.rolls_back_by_itself()
    }

    fn undoes_by_itself(&self, service: &Service) -> bool {
        service.rolls_back_by_itself()
    }

    fn risks(&self, service: &Service, observed: &Observed) -> Vec<String> {
        let unguarded = !service.rolls_back_by_itself();
        let unguarded = unguarded.then(|| "no circuit breaker with rollback".to_owned());
        unguarded.into_iter().chain(alarms::risk(observed)).collect()
    }

    fn alarms(&self, desired: &Desired, service: &Service, _: Option<&Reading<Group>>) -> BTreeSet<String> {
        alarms::of_ecs(desired, service)
    }

    /// To ECS a newer deployment is the usual way of ending one.
    fn may_be_replaced(&self, _: &Current, _: Option<&Shift>, _: Newer) -> Replacement {
        Replacement::AsDeclared { otherwise: InFlight::Replace, way: Way::Start }
    }

    /// A newer deployment is all that acts on it.
    fn name_of(&self, _: &Current) -> Option<DeploymentName> {
        None
    }
}

/// The newest deployment of the service. Both histories are asked, since either may be stale: a rollout that one of
/// them still sees going on is going on.
pub(super) fn current(service: &Service, observed: &Observed) -> Option<Current> {
    let primary = service.primary()?;
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
        name: None,
        stands_by: None,
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
    let told = phase::of(newest);
    if told.is_over() && (goes_on(primary) || undone.is_some_and(|undone| is_unlisted(undone, newest))) {
        return Some(by_service);
    }
    let id = phase::id(newest);
    match &newest.target {
        Some(target) if *target == primary.task_definition => Some(Current {
            id,
            phase: told,
            started_at: newest.created_at,
            live_phase: if told.is_over() { settled(told, rollout) } else { told },
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

pub(super) fn goes_on(deployment: &Deployment) -> bool {
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

/// A deployment that the list calls superseded while it is still PRIMARY is judged by its rollout.
fn settled(told: Phase, rollout: Phase) -> Phase {
    if told == Phase::Superseded { rollout } else { told }
}
