//! When to look again, and how long what was read stays good. Pure.

use std::time::Duration;

use super::outcome::{Outcome, Requeue, SweepResult};
use crate::model::{
    DeploymentId, DeploymentStatus, Millis, Phase, Reading, RolloutState, Service, Shift, Target, Waiting,
};
use crate::plan::{Plan, Refusal, Step, waiting};
use crate::ports::CloudError;

/// How long a settled target rests.
pub(super) const REST: Duration = Duration::from_secs(30);
/// The longest rest in which nothing moves by itself: in a bake, and while somebody is asked. A shift takes minutes, and a person more.
const STILL: Duration = Duration::from_mins(1);
/// How soon a target is looked at again while something goes on, and how much later for each other deployment that goes on:
/// with two hundred of them it is every fifteen seconds.
const SOON: Duration = Duration::from_secs(5);
const SOON_FOR_EACH: Duration = Duration::from_millis(50);
/// Times at which targets are looked at again, in milliseconds: who is due at about the same time shares calls.
const TOGETHER: Millis = 5_000;
/// How often it is asked whether an image has been built.
const BUILD: Duration = Duration::from_secs(15);
/// The longest back-off after refusals and readings that failed.
const LONGEST: Duration = Duration::from_mins(5);
/// The first and the longest rest after a write that met the rate of the account. AWS gives a registration a second and
/// more of everything else (Amazon ECS API reference, "Request throttling"): seconds later there is room again.
const THROTTLED: Duration = Duration::from_secs(1);
const LONGEST_THROTTLED: Duration = Duration::from_secs(16);
/// How long facts live, in milliseconds: while nothing is expected, and while a deployment goes on without a change.
const QUIET_FACTS: Millis = 600_000;
pub(super) const MOVING_FACTS: Millis = 30_000;
/// The same while nothing moves by itself: the service itself shows an end before its time.
const STILL_FACTS: Millis = 600_000;
const IMAGES: Millis = 60_000;

/// Whether this pass came to nothing because AWS could not be read or refused a write.
pub(super) fn is_setback(plan: &Plan, outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(..))
        || plan.waiting.as_ref().map(waiting::class) == Some(waiting::Class::Unreadable)
}

/// `setbacks`: how many passes in a row were one, this one included.
pub(super) fn requeue(
    target: &Target,
    plan: &Plan,
    outcome: &Outcome,
    setbacks: u32,
    in_flight: usize,
) -> Requeue {
    if let Outcome::Throttled { attempt, .. } = outcome {
        return Requeue::After(throttled(target, *attempt));
    }
    if is_setback(plan, outcome) {
        return Requeue::After(back_off(setbacks));
    }
    match (outcome, &plan.waiting) {
        (Outcome::Wrote(step), _) if leads_to_a_write_at_once(step) => Requeue::Now,
        (Outcome::Wrote(_), _) => Requeue::After(SOON),
        (_, None) => Requeue::After(REST),
        (_, Some(waiting)) if waiting::class(waiting) == waiting::Class::Build => Requeue::After(BUILD),
        (_, Some(Waiting::Settling { until, .. })) => {
            Requeue::After(left_until(*until, plan).clamp(SOON, BUILD))
        }
        (_, Some(waiting)) if let Some(until) = stands_still_until(waiting) => {
            Requeue::After(left_until(until, plan).clamp(SOON, STILL))
        }
        (_, Some(Waiting::Refused { until, .. })) => Requeue::After(left_until(*until, plan).min(REST)),
        // Who waits for others is woken when it has its turn.
        (_, Some(waiting)) if waiting::class(waiting).is_rest() || awaits_others(plan) => {
            Requeue::After(REST)
        }
        (_, Some(_)) => {
            let others = u32::try_from(in_flight.saturating_sub(1)).unwrap_or(u32::MAX);
            Requeue::After((SOON + SOON_FOR_EACH.saturating_mul(others)).min(REST))
        }
    }
}

/// About when that is over in which nothing moves by itself: a bake, or a pause that nobody has answered yet.
fn stands_still_until(waiting: &Waiting) -> Option<Millis> {
    let shift = shift(waiting)?;
    if shift.pauses.is_empty() {
        return shift.until.filter(|_| !shift.waits_for_others());
    }
    Some(shift.pauses.iter().filter_map(|pause| pause.until).min().unwrap_or(Millis::MAX))
}

/// Whether somebody is asked: that he has answered shows in the list of deployments alone.
pub(super) fn awaits_answer(plan: &Plan) -> bool {
    plan.waiting.as_ref().and_then(shift).is_some_and(|shift| !shift.pauses.is_empty())
}

fn shift(waiting: &Waiting) -> Option<&Shift> {
    let (Waiting::Deploying { shift, .. } | Waiting::FinishingFirst { shift }) = waiting else { return None };
    shift.as_deref()
}

fn left_until(time: Millis, plan: &Plan) -> Duration {
    Duration::from_millis(time.saturating_sub(plan.status.checked_at).max(0).unsigned_abs())
}

/// What is to be known of a write that failed; `before`: of the last one that AWS refused. What did not reach AWS was not
/// refused, and is as any reading that failed.
pub(super) fn refusal(
    before: Option<&Refusal>,
    step: &Step,
    error: &CloudError,
    setbacks: u32,
    now: Millis,
) -> Option<Refusal> {
    match error {
        CloudError::Denied(_) | CloudError::NotFound(_) | CloudError::Rejected(_) => {}
        CloudError::Throttled(_) | CloudError::Ambiguous(_) | CloudError::Unavailable(_) => return None,
    }
    let same = before.filter(|before| before.step.repeats(step));
    let times = same.map_or(0, |before| before.times).saturating_add(1);
    let until = due_at(now, Requeue::After(back_off(setbacks)));
    Some(Refusal { step: step.clone(), why: error.to_string(), times, until })
}

/// How long it is before the next try, after so many setbacks in a row.
fn back_off(setbacks: u32) -> Duration {
    let doublings = setbacks.saturating_sub(1).min(8);
    SOON.saturating_mul(1 << doublings).min(LONGEST)
}

/// Twice as long each time, and within the second half of that by the name: those that met the rate together do not meet
/// it together again.
fn throttled(target: &Target, attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(8);
    let longest = THROTTLED.saturating_mul(1 << doublings).min(LONGEST_THROTTLED);
    longest / 2 + longest.mul_f64(share(target, attempt) / 2.0)
}

/// Between 0 and 1, evenly over names however alike they are, and another one each time (FNV-1a).
fn share(target: &Target, attempt: u32) -> f64 {
    let name = target.to_string();
    let bytes = name.bytes().chain(attempt.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    f64::from(u16::try_from(hash >> 48).unwrap_or_default()) / f64::from(u16::MAX)
}

/// Until when the facts behind a plan stay good while the service itself does not change. `stalled_for`: how long it has been
/// waiting for a person, in milliseconds.
pub(super) fn facts_are_good_until(plan: &Plan, outcome: &Outcome, stalled_for: Option<Millis>) -> Millis {
    let read_at = plan.status.facts_checked_at;
    match &plan.waiting {
        // They say whether anything has failed by then, and not before.
        Some(Waiting::Settling { until, .. }) if *outcome == Outcome::Nothing => *until,
        Some(waiting)
            if let Some(until) = stands_still_until(waiting).filter(|_| *outcome == Outcome::Nothing) =>
        {
            let longest = read_at.saturating_add(spread(STILL_FACTS, &plan.status.target));
            until.max(read_at.saturating_add(MOVING_FACTS / 2)).min(longest)
        }
        _ => read_at.saturating_add(spread(life_of_facts(plan, outcome, stalled_for), &plan.status.target)),
    }
}

/// In milliseconds.
fn life_of_facts(plan: &Plan, outcome: &Outcome, stalled_for: Option<Millis>) -> Millis {
    match &plan.waiting {
        // It says nothing about anything else.
        _ if matches!(outcome, Outcome::Wrote(Step::MoveTag { .. })) => MOVING_FACTS,
        _ if *outcome != Outcome::Nothing => 0,
        Some(waiting) if goes_on(plan) && waiting::class(waiting) != waiting::Class::Moving => MOVING_FACTS,
        // What a person mends is seen soon while somebody is likely to be at it.
        _ if let Some(stalled_for) = stalled_for => (stalled_for / 4).clamp(MOVING_FACTS, QUIET_FACTS),
        Some(Waiting::ImageNotBuilt { .. } | Waiting::Frozen) => QUIET_FACTS,
        Some(Waiting::Deploying { .. } | Waiting::FinishingFirst { .. }) => MOVING_FACTS,
        // What fails is told by what stopped, and that comes and goes between two looks.
        Some(Waiting::Settled) if plan.status.failing_since.is_some() && plan.status.last_run.is_none() => {
            MOVING_FACTS
        }
        Some(waiting) if waiting::class(waiting) == waiting::Class::Settled || awaits_others(plan) => {
            QUIET_FACTS
        }
        _ => 0,
    }
}

/// Whether a deployment goes on, whatever is waited for: the service alone does not tell when it ends.
fn goes_on(plan: &Plan) -> bool {
    let phase = plan.status.last_deployment.as_ref().map(|last| last.phase);
    matches!(phase, Some(Phase::Pending | Phase::InProgress | Phase::RollingBack))
}

/// The name of what only a person can end.
pub(super) fn stall(plan: &Plan) -> Option<&'static str> {
    let waiting = plan.waiting.as_ref()?;
    let class = waiting::class(waiting);
    matches!(class, waiting::Class::Stalled | waiting::Class::Failed).then(|| waiting::reason(waiting))
}

/// Until when the images need not be read again: while a deployment goes on, its progress is what is looked for. Before a write
/// they are read all the same.
pub(super) fn images_are_good_until(plan: &Plan, outcome: &Outcome, now: Millis) -> Millis {
    match (outcome, &plan.waiting) {
        (Outcome::Wrote(Step::MoveTag { .. }), _) => 0,
        (Outcome::Wrote(_), _)
        | (_, Some(Waiting::Deploying { .. } | Waiting::FinishingFirst { .. } | Waiting::Settling { .. })) => {
            now.saturating_add(IMAGES)
        }
        _ => 0,
    }
}

/// Within the second half of the time, by the name, so that a fleet is not read anew all at once.
fn spread(life: Millis, target: &Target) -> Millis {
    let place = target.to_string().bytes().fold(0_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 1000);
    life / 2 + life / 2 * place / 1000
}

/// Also where it lies further ahead than any rest: then the clock was set back.
pub(super) fn is_due(due: Millis, now: Millis) -> bool {
    due <= now || due_with_others(now, Requeue::After(LONGEST)) < due
}

/// The same for who can wait a little: the times fall together, and so do the calls.
pub(super) fn due_with_others(now: Millis, requeue: Requeue) -> Millis {
    match requeue {
        Requeue::Now => now,
        Requeue::After(_) => {
            let due = due_at(now, requeue);
            due.saturating_add(TOGETHER - 1) / TOGETHER * TOGETHER
        }
    }
}

pub(super) fn due_at(now: Millis, requeue: Requeue) -> Millis {
    match requeue {
        Requeue::Now => now,
        Requeue::After(delay) => {
            now.saturating_add(Millis::try_from(delay.as_millis()).unwrap_or(Millis::MAX))
        }
    }
}

/// Whether two readings of a service differ in nothing that says that more has changed.
pub(super) fn is_unchanged(before: &Reading<Service>, now: &Reading<Service>) -> bool {
    match (before, now) {
        (Reading::Known(before), Reading::Known(now)) => news(before) == news(now),
        _ => before == now,
    }
}

/// The service without the scheduler's messages; and without its task counts while a deployment goes on: they say how far it is and
/// no more. Tasks that failed are news.
fn news(service: &Service) -> Service {
    let mut news = Service { events: Vec::new(), ..service.clone() };
    if news.deployments.iter().any(|one| one.rollout == Some(RolloutState::InProgress)) {
        (news.running_count, news.pending_count) = (0, 0);
        for deployment in &mut news.deployments {
            (deployment.running, deployment.updated_at) = (0, 0);
        }
    }
    news
}

/// Whether two readings show the same deployments, apart from how far they are.
pub(super) fn shows_same_deployments(before: &Reading<Service>, now: &Reading<Service>) -> bool {
    deployments(before) == deployments(now)
}

fn deployments(service: &Reading<Service>) -> Vec<(&DeploymentId, DeploymentStatus, Option<RolloutState>)> {
    let all = service.known().into_iter().flat_map(|service| &service.deployments);
    all.map(|deployment| (&deployment.id, deployment.status, deployment.rollout)).collect()
}

/// Whether a write is likely to come of what is read next.
pub(super) fn awaits_write(plan: &Plan, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Wrote(step) => leads_to_a_write_at_once(step) || matches!(step, Step::Register { .. }),
        Outcome::Nothing => {
            matches!(plan.waiting, Some(Waiting::Settling { .. } | Waiting::Consistency { .. }))
        }
        Outcome::Failed(..) | Outcome::Throttled { .. } => false,
    }
}

/// Whether another write follows that waits for nothing. What was registered is deployed when its window is over.
fn leads_to_a_write_at_once(step: &Step) -> bool {
    matches!(step, Step::Stamp { .. } | Step::CreateApplication { .. } | Step::CreateGroup { .. })
}

/// Whether another application has to come first.
pub(super) fn awaits_others(plan: &Plan) -> bool {
    plan.waiting.as_ref().map(waiting::class) == Some(waiting::Class::Others)
}

/// Whether nothing more will happen to this target by itself.
pub fn is_settled(swept: &SweepResult) -> bool {
    // What was refused is told by the plan that came after it.
    matches!(swept.outcome, Outcome::Nothing | Outcome::Failed(..))
        && swept.plan.waiting.as_ref().is_some_and(|waiting| waiting::class(waiting).is_rest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ApplicationName, CircuitBreaker, Controller, Deployment, DeploymentStrategy, EnvironmentName,
        Scheduling, ServiceStatus, TaskDefinitionArn,
    };
    use crate::plan::DeploymentName;

    fn target(name: &str) -> Target {
        Target { environment: EnvironmentName::new("test"), application: ApplicationName::new(name) }
    }

    #[test]
    fn a_throttled_write_is_tried_again_within_a_second_and_never_later_than_sixteen() {
        for (attempt, longest) in [(1, 1000), (2, 2000), (3, 4000), (4, 8000), (5, 16_000), (1000, 16_000)] {
            let rests: Vec<u128> = (0..50)
                .map(|number| throttled(&target(&format!("app{number}")), attempt).as_millis())
                .collect();
            assert!(rests.iter().all(|rest| (longest / 2..=longest).contains(rest)), "{attempt}: {rests:?}");
            let (least, most) = (rests.iter().min().unwrap(), rests.iter().max().unwrap());
            assert!(most - least > longest / 8, "{attempt}: all alike");
        }
    }

    #[test]
    fn only_what_aws_answered_was_refused_and_the_same_write_is_counted() {
        let step = |id: &str| Step::Undo { deployment: DeploymentName::CodeDeploy(id.to_owned()) };
        let why = || "x".to_owned();
        let refused = |error, before: Option<&Refusal>| refusal(before, &step("d"), &error, 1, 1000);
        for error in [CloudError::Denied(why()), CloudError::NotFound(why()), CloudError::Rejected(why())] {
            let first = refused(error.clone(), None).unwrap();
            assert_eq!((first.times, first.until), (1, 6000));
            let second = refused(error.clone(), Some(&first)).unwrap();
            assert_eq!(second.times, 2);
            let other = Refusal { step: step("e"), ..second };
            assert_eq!(refused(error, Some(&other)).unwrap().times, 1);
        }
        for error in
            [CloudError::Throttled(why()), CloudError::Ambiguous(why()), CloudError::Unavailable(why())]
        {
            assert_eq!(refused(error, None), None);
        }
    }

    #[test]
    fn task_counts_are_no_news_while_a_deployment_goes_on_and_failed_tasks_are() {
        let service = |rollout, running, failed_tasks| {
            let deployment = Deployment {
                id: DeploymentId::new("ecs-svc/1"),
                status: DeploymentStatus::Primary,
                task_definition: TaskDefinitionArn::new("api:1"),
                rollout: Some(rollout),
                running,
                failed_tasks,
                load_balancer: None,
                created_at: 0,
                updated_at: running.into(),
            };
            Reading::Known(Service {
                arn: "a".to_owned(),
                status: ServiceStatus::Active,
                controller: Controller::Ecs,
                strategy: DeploymentStrategy::Rolling,
                scheduling: Scheduling::Replica,
                launch_type: None,
                task_definition: TaskDefinitionArn::new("api:1"),
                desired_count: 2,
                running_count: running,
                pending_count: 2 - running,
                circuit_breaker: CircuitBreaker::default(),
                alarms_roll_back: false,
                deployments: vec![deployment],
                settings: serde_json::Value::Null,
                newest_deployment: None,
                events: vec![running.to_string()],
            })
        };
        for (before, now, expected) in [
            ((RolloutState::InProgress, 0, 0), (RolloutState::InProgress, 1, 0), true),
            ((RolloutState::InProgress, 1, 0), (RolloutState::InProgress, 1, 1), false),
            ((RolloutState::InProgress, 1, 0), (RolloutState::Completed, 1, 0), false),
            ((RolloutState::Completed, 2, 0), (RolloutState::Completed, 1, 0), false),
        ] {
            let reading = |(rollout, running, failed)| service(rollout, running, failed);
            assert_eq!(is_unchanged(&reading(before), &reading(now)), expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn who_can_wait_a_little_is_looked_at_together_with_the_others() {
        for (now, seconds, expected) in
            [(0, 5, 5_000), (1, 5, 10_000), (4_999, 30, 35_000), (5_000, 30, 35_000)]
        {
            let rest = Requeue::After(Duration::from_secs(seconds));
            assert_eq!(due_with_others(now, rest), expected, "{now} {seconds}");
        }
        assert_eq!(due_with_others(1, Requeue::Now), 1);
    }

    #[test]
    fn nothing_waits_for_a_time_that_a_clock_set_back_has_taken_away() {
        for (due, now, expected) in
            [(1000, 999, false), (1000, 1000, true), (305_000, 1000, false), (305_001, 1000, true)]
        {
            assert_eq!(is_due(due, now), expected, "{due} at {now}");
        }
    }
}
