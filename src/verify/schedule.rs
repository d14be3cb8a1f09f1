//! The rules and schedules that start a task: whether they are there, and whether they name the revision that they start.

use super::{Check, Subject, What};
use crate::model::{Reading, Schedule, ScheduleName, ScheduleTarget, ScheduledTask, Waiting};
use crate::plan::declared_family;

pub(super) fn checks(subject: &Subject<'_>) -> Vec<Check> {
    let Some(task) = subject.desired.scheduled_task() else { return Vec::new() };
    task.schedules.iter().filter_map(|name| of_schedule(name, subject)).collect()
}

/// `None`: it starts nothing of what is declared, of which the decision says why.
fn of_schedule(name: &ScheduleName, subject: &Subject<'_>) -> Option<Check> {
    let schedule = match subject.observed.schedules.get(name) {
        Some(Reading::Known(schedule)) => schedule,
        Some(Reading::Absent) => {
            let missing = Waiting::ScheduleMissing { schedule: name.to_string() };
            return Some(Check::waiting(What::Schedule, &missing, subject));
        }
        Some(Reading::Unavailable(why)) => {
            return Some(Check::unseen(What::Schedule, format!("{name}: {why}")));
        }
        None => return Some(Check::unseen(What::Schedule, format!("{name}: it was not asked for"))),
    };
    let started: Vec<_> =
        starting(schedule, subject).filter_map(|target| target.task_definition.as_ref()).collect();
    let unnamed = started.iter().find(|arn| arn.revision().is_none());
    let state = if schedule.is_enabled { "" } else { ", and is disabled" };
    match (unnamed, started.first()) {
        (_, None) => None,
        (Some(family), _) => Some(Check::risk(
            What::Schedule,
            format!(
                "{name} names {} without a revision{state}: it starts whatever is registered last, proven or not",
                family.family()
            ),
            "trueup names the revision with the next write, once git declares another commit",
        )),
        (None, Some(revision)) => {
            Some(Check::good(What::Schedule, format!("{name} starts {}{state}", revision.short())))
        }
    }
}

/// The targets that start what is declared, where they are known.
pub(super) fn targets<'s>(
    task: &'s ScheduledTask,
    subject: &'s Subject<'_>,
) -> impl Iterator<Item = (&'s ScheduleName, &'s ScheduleTarget)> {
    task.schedules.iter().flat_map(|name| {
        let read = subject.observed.schedules.get(name).and_then(Reading::known);
        read.into_iter().flat_map(|schedule| starting(schedule, subject)).map(move |target| (name, target))
    })
}

fn starting<'s>(
    schedule: &'s Schedule,
    subject: &'s Subject<'_>,
) -> impl Iterator<Item = &'s ScheduleTarget> {
    let family = declared_family(subject.desired).unwrap_or_default();
    schedule.targets.iter().filter(move |target| target.runs(&subject.desired.cluster, family))
}
