//! When to look again, and how long what was read stays good. Pure.

use std::time::Duration;

use super::sweep::{Outcome, Requeue, Swept};
use crate::model::{DeploymentId, DeploymentStatus, Millis, Reading, RolloutState, Service, Target, Waiting};
use crate::plan::{Plan, waiting};

/// How long a settled target rests.
pub(super) const REST: Duration = Duration::from_secs(30);
/// How soon a target is looked at again while something goes on.
const SOON: Duration = Duration::from_secs(5);
/// How often it is asked whether an image has been built.
const BUILD: Duration = Duration::from_secs(15);
/// The longest back-off after refusals and readings that failed.
const LONGEST: Duration = Duration::from_mins(5);
/// How long facts live, in milliseconds: while nothing is expected, and while a deployment goes on without a change.
const QUIET_FACTS: Millis = 600_000;
const MOVING_FACTS: Millis = 30_000;

/// Whether this pass came to nothing because AWS could not be read or refused a write.
pub(super) fn is_setback(plan: &Plan, outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(..))
        || plan.waiting.as_ref().map(waiting::class) == Some(waiting::Class::Unreadable)
}

/// `setbacks`: how many passes in a row were one, this one included.
pub(super) fn requeue(plan: &Plan, outcome: &Outcome, setbacks: u32) -> Requeue {
    if is_setback(plan, outcome) {
        let doublings = setbacks.saturating_sub(1).min(8);
        return Requeue::After(SOON.saturating_mul(1 << doublings).min(LONGEST));
    }
    match (outcome, &plan.waiting) {
        (Outcome::Wrote(_), _) => Requeue::Now,
        (_, None) => Requeue::After(REST),
        (_, Some(waiting)) if waiting::class(waiting) == waiting::Class::Build => Requeue::After(BUILD),
        (_, Some(Waiting::Settling { until, .. })) => {
            let left = until.saturating_sub(plan.status.checked_at).max(0);
            Requeue::After(Duration::from_millis(left.unsigned_abs()).clamp(SOON, BUILD))
        }
        (_, Some(waiting)) if waiting::class(waiting).is_rest() => Requeue::After(REST),
        (_, Some(_)) => Requeue::After(SOON),
    }
}

/// Until when the facts behind a plan stay good while the service itself does not change.
pub(super) fn facts_are_good_until(plan: &Plan, outcome: &Outcome) -> Millis {
    let read_at = plan.status.facts_checked_at;
    match &plan.waiting {
        // They say whether anything has failed by then, and not before.
        Some(Waiting::Settling { until, .. }) if *outcome == Outcome::Nothing => *until,
        _ => read_at.saturating_add(spread(life_of_facts(plan, outcome), &plan.status.target)),
    }
}

/// In milliseconds.
fn life_of_facts(plan: &Plan, outcome: &Outcome) -> Millis {
    match &plan.waiting {
        _ if *outcome != Outcome::Nothing => 0,
        Some(Waiting::ImageNotBuilt { .. } | Waiting::Frozen) => QUIET_FACTS,
        Some(Waiting::Deploying { .. } | Waiting::FinishingFirst) => MOVING_FACTS,
        // What fails is told by what stopped, and that comes and goes between two looks.
        Some(Waiting::Settled) if plan.status.failing_since.is_some() => MOVING_FACTS,
        Some(waiting) if waiting::class(waiting) == waiting::Class::Settled => QUIET_FACTS,
        _ => 0,
    }
}

/// Within the second half of the time, by the name, so that a fleet is not read anew all at once.
fn spread(life: Millis, target: &Target) -> Millis {
    let place = target.to_string().bytes().fold(0_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 1000);
    life / 2 + life / 2 * place / 1000
}

pub(super) fn due_at(now: Millis, requeue: Requeue) -> Millis {
    match requeue {
        Requeue::Now => now,
        Requeue::After(delay) => {
            now.saturating_add(Millis::try_from(delay.as_millis()).unwrap_or(Millis::MAX))
        }
    }
}

/// Whether two readings of a service say the same but for the scheduler's messages.
pub(super) fn is_unchanged(before: &Reading<Service>, now: &Reading<Service>) -> bool {
    match (before, now) {
        (Reading::Known(before), Reading::Known(now)) => {
            *before == Service { events: before.events.clone(), ..now.clone() }
        }
        _ => before == now,
    }
}

/// Whether two readings show the same deployments, apart from how far they are.
pub(super) fn shows_same_deployments(before: &Reading<Service>, now: &Reading<Service>) -> bool {
    deployments(before) == deployments(now)
}

fn deployments(service: &Reading<Service>) -> Vec<(&DeploymentId, DeploymentStatus, Option<RolloutState>)> {
    let all = service.known().into_iter().flat_map(|service| &service.deployments);
    all.map(|deployment| (&deployment.id, deployment.status, deployment.rollout)).collect()
}

/// Whether nothing more will happen to this target by itself.
pub fn is_settled(swept: &Swept) -> bool {
    let Some(plan) = &swept.plan else { return true };
    swept.outcome == Outcome::Nothing
        && plan.waiting.as_ref().is_some_and(|waiting| waiting::class(waiting).is_rest())
}
