//! Whether tasks run steadily: one rule for the success of a deployment and for the health of what runs.
//!
//! AWS calls a deployment successful as soon as all its tasks run. Tasks that die a little later are replaced for ever,
//! and nobody at AWS says a word. So a success counts once all wanted tasks run and none has failed for a while
//! (`policy.steady`); one that does not get there by `policy.progressDeadline` has failed. What the scheduler, a person
//! or the platform stops says nothing about an image and restarts nothing.

use std::time::Duration;

use super::facts::Facts;
use super::phase::{self, Current, Judgement};
use crate::model::{
    Millis, Outcome, OutcomeKind, Phase, Service, ServiceDeployment, Task, TaskDefinitionArn, TaskHealth,
};

/// Stopped tasks stay visible for about an hour (Amazon ECS API reference, `DescribeTasks`): what ended before that can
/// no longer be judged, and stands.
pub const VISIBLE: Millis = 3_600_000;
/// Tasks that are described of one service.
pub const MOST_LISTED: usize = 500;
/// So many times as long a task must have run that has ended since, to have run long enough: AWS says when a task had
/// stopped, which is later than when its container exited. Also how long a success may always take to become steady.
const MARGIN: Millis = 2;
/// Each failure within the hour makes recovery take longer, so often at most: what fails every few minutes is degraded
/// all the time, and not told anew each time.
const MOST_HOLDS: Millis = 10;
/// How a stopped task begins to say that its checks failed (Amazon ECS developer guide, "stopped tasks error messages").
const FAILED_CHECKS: [&str; 2] = ["Task failed container health checks", "Task failed ELB health checks"];

/// How a task has ended, or is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// An essential container exited.
    Crashed,
    /// The checks of a container or of the load balancer failed.
    Unhealthy,
    /// It never came to run.
    NotStarted,
    /// The scheduler, a person or the platform stopped it: it says nothing about its image.
    Stopped,
}

/// `None` while the task is to run.
pub fn ending(task: &Task) -> Option<Ending> {
    if task.desired_status != "STOPPED" && task.last_status != "STOPPED" {
        return None;
    }
    let reason = task.stopped_reason.as_deref().unwrap_or_default();
    Some(match task.stop_code.as_deref() {
        Some("EssentialContainerExited") => Ending::Crashed,
        Some("TaskFailedToStart") => Ending::NotStarted,
        _ if FAILED_CHECKS.iter().any(|words| reason.starts_with(words)) => Ending::Unhealthy,
        Some(_) => Ending::Stopped,
        None if task.started_at.is_none() => Ending::NotStarted,
        None => Ending::Crashed,
    })
}

impl Ending {
    /// Whether it restarts the time in which nothing may fail.
    fn is_failure_of_what_ran(self) -> bool {
        matches!(self, Self::Crashed | Self::Unhealthy)
    }

    pub fn is_failure(self) -> bool {
        self != Self::Stopped
    }
}

/// A task that failed, and when the next one ran in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failure {
    at: Millis,
    replaced_at: Option<Millis>,
}

impl Failure {
    /// From when on it is over.
    fn ended_at(self) -> Millis {
        self.replaced_at.unwrap_or(self.at)
    }
}

/// The failures of one revision after a point in time, oldest first. The tasks that started after a failure take the
/// places of those that failed in the order of both.
fn failures(
    tasks: &[&Task],
    after: Millis,
    read_at: Millis,
    counts: impl Fn(Ending) -> bool,
) -> Vec<Failure> {
    // One that is ending has no time yet.
    let failed = tasks.iter().filter(|task| ending(task).is_some_and(&counts));
    let mut failed: Vec<Millis> = failed.map(|task| task.stopped_at.unwrap_or(read_at)).collect();
    failed.retain(|at| *at > after);
    failed.sort_unstable();
    let mut starts: Vec<Millis> = tasks.iter().filter_map(|task| task.started_at).collect();
    starts.sort_unstable();
    let mut starts = starts.into_iter().peekable();
    failed
        .into_iter()
        .map(|at| {
            while starts.next_if(|start| *start <= at).is_some() {}
            Failure { at, replaced_at: starts.next() }
        })
        .collect()
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// Whether the stopped tasks are to be read although all wanted tasks run: while a success is young, while somebody may
/// ask why the deployment before it failed, where a task runs that is not one of those it began with, and where one is missing:
/// the service may still count what has just died. `listed`: the tasks that are to run.
pub fn is_doubtful(
    service: &Service,
    history: &[ServiceDeployment],
    listed: &[Task],
    steady: Duration,
    now: Millis,
) -> bool {
    let newest = history.first();
    let changed_at = newest.map(ended_or_began).or(service.primary().map(|primary| primary.updated_at));
    let Some(changed_at) = changed_at else { return false };
    let is_young = now.saturating_sub(changed_at) <= millis(steady).saturating_mul(MARGIN);
    let is_replaced = |task: &Task| {
        task.started_at.is_some_and(|started| started > changed_at && now.saturating_sub(started) < VISIBLE)
    };
    is_young || is_visible(history.get(1), now) || listed.iter().any(is_replaced) || is_short(service, listed)
}

fn is_short(service: &Service, listed: &[Task]) -> bool {
    let running = listed.iter().filter(|task| task.is_running()).count();
    let wanted = usize::try_from(service.desired_count).unwrap_or_default();
    // Of more tasks than are listed nobody knows which is missing.
    running < wanted && listed.len() < MOST_LISTED
}

/// Whether AWS still shows the tasks that a deployment left behind.
pub fn is_visible(deployment: Option<&ServiceDeployment>, now: Millis) -> bool {
    deployment.is_some_and(|one| now.saturating_sub(ended_or_began(one)) < VISIBLE)
}

fn ended_or_began(deployment: &ServiceDeployment) -> Millis {
    deployment.finished_at.unwrap_or(deployment.created_at)
}

impl Facts<'_> {
    /// Where trueup's own word goes beyond that of AWS: what it has found to have failed has failed from then on.
    pub(super) fn judge(&mut self) {
        self.judgement = self.judgement();
        let failed = matches!(self.judgement, Some(Judgement::Unsteady | Judgement::Stuck));
        if let Some(current) = self.current.as_mut().filter(|_| failed) {
            if current.target == current.live_revision {
                current.live_phase = Phase::Failed;
            }
            current.phase = Phase::Failed;
        }
    }

    fn judgement(&self) -> Option<Judgement> {
        let (service, current) = (self.service?, self.current.as_ref()?);
        let recorded = self.outcome_of(&current.target).filter(|outcome| outcome.deployment == current.id);
        let is_live = current.target == current.live_revision;
        match (current.phase, recorded.map(|outcome| outcome.result)) {
            (Phase::Succeeded, _) if !is_live => None,
            (Phase::Succeeded, Some(OutcomeKind::Succeeded)) => None,
            (Phase::Succeeded, Some(OutcomeKind::Failed)) => Some(Judgement::Unsteady),
            (Phase::Succeeded, _) => self.of_success(service, current),
            // Where AWS has the last word, what it says may lag behind what is on record.
            (Phase::InProgress | Phase::Pending, Some(OutcomeKind::Failed)) => (is_live
                || self.carrier.needs_deadline(service, self.shift(current)))
            .then_some(Judgement::Stuck),
            (Phase::InProgress | Phase::Pending, _) => {
                self.is_stuck(service, current).then_some(Judgement::Stuck)
            }
            _ => None,
        }
    }

    fn outcome_of(&self, revision: &TaskDefinitionArn) -> Option<&Outcome> {
        self.ours.get(revision)?.outcome.as_ref()
    }

    /// Nothing is on record of a deployment that AWS calls successful.
    fn of_success(&self, service: &Service, current: &Current) -> Option<Judgement> {
        let policy = &self.input.desired.policy;
        let steady = millis(policy.steady);
        // Where no task is wanted there is none to judge it by; it is called unproven.
        if steady == 0 || service.desired_count == 0 {
            return None;
        }
        let read_at = self.input.observed.facts_checked_at;
        let ended_at = self.ended_at(service, current);
        let is_unproven =
            self.ours.contains_key(&current.target) && !self.is_proven_by_record(&current.target);
        if read_at.saturating_sub(ended_at) >= VISIBLE && !is_unproven {
            return None;
        }
        // Nobody can say how its tasks fare.
        if self.input.observed.tasks.is_unavailable() {
            return Some(Judgement::Settling { until: read_at });
        }
        let tasks = self.tasks_of(&current.target);
        // What had no task at first is judged by those that it got later.
        let first_start = tasks.iter().filter_map(|task| task.started_at).min();
        let began_at = first_start.filter(|_| is_unproven).map_or(ended_at, |start| start.max(ended_at));
        let failures = failures(&tasks, began_at, read_at, Ending::is_failure_of_what_ran);
        let since = failures.iter().map(|failure| failure.ended_at()).max().unwrap_or(began_at);
        if self.all_run(service, current) && read_at.saturating_sub(since) > steady {
            return None;
        }
        let longest = steady.saturating_mul(MARGIN);
        if ran_for(&tasks, began_at) >= longest {
            return None;
        }
        if read_at.saturating_sub(began_at) > millis(policy.progress_deadline).max(longest) {
            return Some(Judgement::Unsteady);
        }
        Some(Judgement::Settling { until: since.saturating_add(steady).saturating_add(1) })
    }

    /// When AWS said that the deployment had succeeded. Where its list does not tell, the service has changed since at
    /// the latest; a task that failed before is no reason to wait for longer.
    fn ended_at(&self, service: &Service, current: &Current) -> Millis {
        let listed = self.history().find(|one| phase::id(one) == current.id);
        if let Some(finished_at) = listed.and_then(|one| one.finished_at) {
            return finished_at;
        }
        let Some(primary) = service.primary() else { return 0 };
        let failed = self
            .tasks_of(&current.target)
            .into_iter()
            .filter(|task| ending(task).is_some_and(Ending::is_failure_of_what_ran));
        let failed = failed.filter_map(|task| task.stopped_at).filter(|at| *at >= primary.created_at);
        failed.chain([primary.updated_at]).min().unwrap_or(primary.updated_at)
    }

    pub(super) fn tasks_of(&self, revision: &TaskDefinitionArn) -> Vec<&Task> {
        let tasks = self.input.observed.tasks.known().into_iter().flatten();
        tasks.filter(|task| task.task_definition == *revision).collect()
    }

    /// All wanted tasks run, and none of them is unhealthy.
    fn all_run(&self, service: &Service, current: &Current) -> bool {
        let tasks = self.tasks_of(&current.live_revision).into_iter();
        let unhealthy =
            tasks.filter(|task| task.is_running() && task.health == TaskHealth::Unhealthy).count();
        let unhealthy = i32::try_from(unhealthy).unwrap_or(i32::MAX);
        running(service).saturating_sub(unhealthy) >= service.desired_count
    }

    /// The newest deployment here that ended well, whoever started it: steady, and one of tasks if there is any such.
    pub(super) fn last_success(&self) -> Option<&TaskDefinitionArn> {
        let good = || self.history().filter(|one| self.phase_of(one) == Phase::Succeeded);
        let proven = |one: &&ServiceDeployment| {
            one.target_running > 0
                || one.target.as_ref().is_some_and(|target| self.is_proven_by_record(target))
        };
        good().find(proven).or_else(|| good().next())?.target.as_ref()
    }

    pub(super) fn is_proven_by_record(&self, revision: &TaskDefinitionArn) -> bool {
        self.outcome_of(revision).is_some_and(|outcome| outcome.result == OutcomeKind::Succeeded)
    }

    /// Whether what is live has ever had a healthy task.
    pub(super) fn was_proven(&self) -> bool {
        let Some(current) = &self.current else { return false };
        let live = &current.live_revision;
        let listed = || {
            let same = |one: &&ServiceDeployment| one.target.as_ref() == Some(live);
            self.history().filter(same).any(|one| one.target_running > 0)
        };
        self.is_proven() || self.is_proven_by_record(live) || listed()
    }

    /// Since when tasks of what is live fail, without any deployment being to blame.
    pub(super) fn failing_since(&self) -> Option<Millis> {
        let (service, current) = (self.service?, self.current.as_ref()?);
        let is_at_rest = current.phase.is_over() && current.live_phase == Phase::Succeeded;
        if !is_at_rest || self.judgement.is_some() || service.desired_count == 0 {
            return None;
        }
        let read_at = self.input.observed.facts_checked_at;
        let tasks = self.tasks_of(&current.live_revision);
        let visible = read_at.saturating_sub(VISIBLE);
        let is_newest = current.target == current.live_revision;
        let began_at = if is_newest { self.ended_at(service, current).max(visible) } else { visible };
        let failures = failures(&tasks, began_at, read_at, Ending::is_failure);
        let is_short = !self.all_run(service, current);
        let Some(last) = failures.last() else {
            return is_short.then(|| self.starved_since(&tasks, service)).flatten();
        };
        let hold = |count: usize| {
            let holds = Millis::try_from(count).unwrap_or(MOST_HOLDS).min(MOST_HOLDS);
            millis(self.input.desired.policy.steady).saturating_mul(holds)
        };
        let waits_for_a_task = is_short && last.replaced_at.is_none();
        if !waits_for_a_task && read_at.saturating_sub(last.ended_at()) > hold(failures.len()) {
            return None;
        }
        // It began with the first one since it had recovered.
        let recovered = |(index, pair): &(usize, &[Failure])| {
            let [before, next] = pair else { return false };
            next.at.saturating_sub(before.ended_at()) > hold(index + 1)
        };
        let last_recovery = failures.windows(2).enumerate().rfind(recovered);
        let first = last_recovery.and_then(|(_, pair)| pair.last()).or(failures.first());
        first.map(|first| first.at)
    }

    /// Fewer tasks run than are wanted, and none of them is known to have failed: since when nothing has moved, once that
    /// is too long.
    fn starved_since(&self, tasks: &[&Task], service: &Service) -> Option<Millis> {
        let primary = service.primary()?;
        if primary.failed_tasks > 0 {
            return Some(primary.updated_at);
        }
        let moves = tasks.iter().flat_map(|task| [task.started_at, task.stopped_at]).flatten();
        let moved_at = moves.chain([primary.created_at]).max()?;
        let deadline = millis(self.input.desired.policy.progress_deadline);
        let is_long = self.input.observed.facts_checked_at.saturating_sub(moved_at) > deadline;
        (is_long && service.pending_count == 0).then_some(moved_at)
    }
}

/// How many tasks of what is live run. The service counts those of older deployments, too.
fn running(service: &Service) -> i32 {
    service.primary().map_or(0, |primary| primary.running)
}

/// How long all tasks certainly ran that a success began with: until the first of them ended, for whatever reason. Zero
/// where none is known to have ended.
fn ran_for(tasks: &[&Task], began_at: Millis) -> Millis {
    let ends = tasks.iter().filter_map(|task| task.stopped_at).filter(|at| *at > began_at);
    ends.min().map_or(0, |end| end.saturating_sub(began_at))
}
