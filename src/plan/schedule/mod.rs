//! The decision about an application whose tasks rules and schedules start: their targets run what is declared.
//!
//! Of a target only the task definition is written; all else of it is somebody else's. AWS has no deployment that could be
//! followed: what is declared is there with the write, and is proven once a run of it has ended well. How a run has ended starts
//! nothing and undoes nothing: the way back is a change in git. What the targets run is told as one in `current`, which rules and schedules fit is in `fit`, what is said of
//! them in `status`.

mod current;
mod fit;
mod status;

use super::causes::{self, End};
use super::decide::{Plan, next};
use super::facts::{Facts, unreadable};
use super::phase::Current;
use super::rules::Answer;
use super::step::{Step, Why};
use crate::documents::memory::{self, Stamp};
use crate::documents::schedules;
use crate::model::{
    LastRun, Memory, Millis, OnDrift, Outcome, OutcomeKind, Reading, Report, ScheduleName, ScheduleTarget,
    ScheduledTask, Task, TaskDefinitionArn, Waiting,
};

/// A run that ended like the one on record is recorded again after so long: that of a nightly job is, and not each one of a
/// job that runs every minute. Chosen.
const RECORDED_AGAIN: Millis = 12 * 3_600_000;

pub(super) fn plan(facts: &Facts<'_>, task: &ScheduledTask) -> Plan {
    let timetable = Timetable { facts, task };
    let (steps, waiting) = next(facts, timetable.decide());
    let differences = timetable.differences();
    let status = status::of(&timetable, &differences, steps.first(), waiting.as_ref());
    Plan {
        retry: facts.retry(waiting.as_ref()),
        accept_history: facts.accept_history(waiting.as_ref()),
        unsettled: None,
        run_again: timetable.run_now(waiting.as_ref()),
        failure: None,
        steps,
        waiting,
        rule: None,
        differences,
        outlook: None,
        approval: None,
        migration: None,
        reports: timetable.report().into_iter().collect(),
        findings: timetable.findings(),
        status,
    }
}

/// The rules and schedules of one application, with everything that a decision about them rests on.
struct Timetable<'f, 'a> {
    facts: &'f Facts<'a>,
    task: &'f ScheduledTask,
}

impl<'f, 'a> Timetable<'f, 'a> {
    /// In this order: whether the rules and schedules can be told and are what they should be, before anything is concluded
    /// from them; then what was done is recorded, before anything newer is begun; then what is declared is compared, and only
    /// where it differs it matters who made the difference.
    fn decide(&self) -> Result<Answer, Waiting> {
        let facts = self.facts;
        facts.account_is_right()?;
        self.reading_is_whole()?;
        self.schedules_fit()?;
        let current = facts.current.as_ref().ok_or_else(|| unreadable(fit::SCHEDULE, "it runs nothing"))?;
        if let Some(steps) = self.record(current)? {
            return Ok(Answer::Write(steps));
        }
        facts.rendered.as_ref().map_err(Clone::clone)?;
        if self.is_as_declared() {
            return self.finish(current).map(|steps| steps.map_or(Answer::Done, Answer::Write));
        }
        self.change(current).map(Answer::Write)
    }

    fn reading_is_whole(&self) -> Result<(), Waiting> {
        let unread = self.facts.input.observed.revisions.values().find_map(|reading| match reading {
            Reading::Unavailable(why) => Some(why),
            Reading::Known(_) | Reading::Absent => None,
        });
        unread.map_or(Ok(()), |why| Err(unreadable("a task definition", why)))
    }

    /// The targets that run the declared family in the declared cluster, in the order of the rules and schedules.
    fn targets(&self) -> impl Iterator<Item = (&'f ScheduleName, &'a ScheduleTarget)> {
        let (observed, desired) = (self.facts.input.observed, self.facts.input.desired);
        let family = super::declared_family(desired).unwrap_or_default();
        self.task.schedules.iter().flat_map(move |name| {
            let read = observed.schedules.get(name).and_then(Reading::known);
            let targets = read.into_iter().flat_map(|schedule| &schedule.targets);
            targets.filter(|target| target.runs(&desired.cluster, family)).map(move |target| (name, target))
        })
    }

    fn running(&self) -> impl Iterator<Item = &'a TaskDefinitionArn> {
        self.targets().filter_map(|(_, target)| target.task_definition.as_ref())
    }

    /// Whether a revision amounts to what is declared. One that is not named may be another one at any time.
    fn is_declared(&self, arn: &TaskDefinitionArn) -> bool {
        let rendered = self.facts.rendered.as_ref();
        arn.revision().is_some() && rendered.is_ok_and(|rendered| self.facts.equals_by_effect(arn, rendered))
    }

    fn is_as_declared(&self) -> bool {
        self.running().all(|arn| self.is_declared(arn))
    }

    /// Writes down that what was to be brought is there, and how a run of it has ended.
    fn record(&self, current: &Current) -> Result<Option<Vec<Step>>, Waiting> {
        let (facts, live) = (self.facts, &current.live_revision);
        let Some(memory) = facts.ours.get(live).filter(|memory| memory.applied.is_some()) else {
            return Ok(None);
        };
        let is_everywhere = self.running().all(|arn| arn == live) || self.is_as_declared();
        if !is_everywhere || facts.source_is_current(facts.highest().as_ref()).is_err() {
            return Ok(None);
        }
        let is_newest = facts.highest().is_some_and(|highest| highest.generation == memory.generation());
        if is_newest && !memory.has_ended() {
            let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: current.id.clone() };
            let stamp = Stamp::Outcome { outcome, generation: Some(memory.generation()) };
            return facts.stamp(live, stamp).map(Some);
        }
        let seen = self.seen_run(live).filter(|seen| is_news(memory.last_run.as_ref(), seen));
        seen.map(|run| facts.stamp(live, Stamp::LastRun(run))).transpose()
    }

    /// What is declared is there. Where something else was begun in the meantime, it is stamped as the newest.
    fn finish(&self, current: &Current) -> Result<Option<Vec<Step>>, Waiting> {
        let (facts, live) = (self.facts, &current.live_revision);
        let highest = facts.highest().map(|applied| applied.generation);
        let stamped = facts.ours.get(live).map(Memory::generation);
        if stamped.is_none() || stamped >= highest {
            return Ok(None);
        }
        facts.memory_is_complete()?;
        facts.source_is_current(facts.highest().as_ref())?;
        facts.stamp(live, Stamp::Applied(facts.next_stamp(current, Why::Interrupted))).map(Some)
    }

    /// Has the targets run what is declared: it is registered or stamped first, so that whoever comes next knows whose write it
    /// is. What speaks against it is asked before that.
    fn change(&self, current: &Current) -> Result<Vec<Step>, Waiting> {
        let facts = self.facts;
        let rendered = facts.rendered.as_ref().map_err(Clone::clone)?;
        facts.commit_tag_moved_since_it_ran().map_or(Ok(()), Err)?;
        facts.memory_is_complete()?;
        facts.source_is_current(facts.highest().as_ref())?;
        let content = memory::content_hash(&facts.input.desired.target, rendered);
        let why = facts.why(&content, current);
        self.may_change(current, why)?;
        facts.roles_are_allowed(rendered)?;
        self.roles_of_targets_are_allowed()?;
        facts.fits_together(rendered)?;
        facts.repositories_are_allowed(rendered)?;
        if let Some(why) = facts.input.turn {
            return Err(Waiting::Turn { why: why.to_owned() });
        }
        match (facts.revision_with(&content), why) {
            (None, _) => {
                facts.is_described_as_sent(rendered, &content)?;
                facts.tags_fit()?;
                let stamp = facts.next_stamp(current, why);
                facts.unless_just_written(vec![facts.registration(rendered, &content, &stamp)])
            }
            (Some(revision), Why::Interrupted) => self.retarget(revision),
            (Some(revision), _) => facts.stamp(revision, Stamp::Applied(facts.next_stamp(current, why))),
        }
    }

    /// Whether it is git that has changed, or what another hand did is to be restored. At first contact a target without a
    /// number is no other hand's choice of a revision: it runs whatever is registered next.
    fn may_change(&self, current: &Current, why: Why) -> Result<(), Waiting> {
        let facts = self.facts;
        let rendered = facts.rendered.as_ref().map_err(Clone::clone)?;
        let is_drift = match why {
            Why::FirstContact if current.live_revision.revision().is_none() => false,
            Why::FirstContact => !facts.git_has_changed(current, rendered)?,
            why => why == Why::Drift,
        };
        match (is_drift, facts.input.desired.policy.drift) {
            (false, _) => Ok(()),
            (true, OnDrift::Heal) => {
                let since = facts.highest().and_then(|applied| applied.at).unwrap_or_default();
                facts.may_restore(facts.rounds(current), since)
            }
            (true, OnDrift::Alert | OnDrift::Ignore) => Err(Waiting::Drifted),
        }
    }

    /// One write: of the first rule or schedule that does not run the revision.
    fn retarget(&self, revision: &TaskDefinitionArn) -> Result<Vec<Step>, Waiting> {
        let amiss = self.targets().find(|(_, target)| target.task_definition.as_ref() != Some(revision));
        let Some((name, _)) = amiss else { return Ok(Vec::new()) };
        let observed = self.facts.input.observed.schedules.get(name).and_then(Reading::known);
        let Some(schedule) = observed else { return Err(unreadable(fit::SCHEDULE, "it was not read")) };
        let cluster = &self.facts.input.desired.cluster;
        let input = schedules::retargeted(name, schedule, cluster, revision);
        let (schedule, revision) = (name.clone(), revision.clone());
        self.facts.unless_just_written(vec![Step::Retarget { schedule, revision, input }])
    }

    /// The write by which a person has now started what the first of the targets starts at its time, once what is declared is
    /// there. The next word is another one.
    fn run_now(&self, waiting: Option<&Waiting>) -> Option<Step> {
        let (facts, desired) = (self.facts, self.facts.input.desired);
        let is_there = matches!(waiting?, Waiting::Settled) && self.is_as_declared();
        let (_, target) = self.targets().next().filter(|_| is_there)?;
        let revision = target.task_definition.clone()?;
        let mut input = schedules::run_now(target, &desired.cluster)?;
        let (token, started_by) = super::task::of_word(&desired.target, &revision, facts.input.now);
        input.insert("clientToken".to_owned(), token.into());
        input.insert("startedBy".to_owned(), started_by.into());
        Some(Step::Run { revision, input: input.into() })
    }

    /// The last task of a revision that has ended, as far as AWS tells.
    fn last_seen(&self, revision: &TaskDefinitionArn) -> Option<&'a Task> {
        let tasks = self.facts.input.observed.tasks.known()?.iter();
        let ended = tasks.filter(|task| task.task_definition == *revision && task.last_status == "STOPPED");
        ended.max_by_key(|task| task.stopped_at)
    }

    /// What it died of; nothing where it ended well.
    fn ends(&self, task: &Task) -> Vec<End> {
        let revision = &task.task_definition;
        let success = super::task::success(self.task.success.as_deref(), self.facts, revision);
        let input = self.facts.revision(revision).map(|revision| &revision.input);
        super::task::ending(task, &success, input).err().unwrap_or_default()
    }

    fn seen_run(&self, revision: &TaskDefinitionArn) -> Option<LastRun> {
        let last = self.last_seen(revision)?;
        let ends = self.ends(last);
        let result = if ends.is_empty() { OutcomeKind::Succeeded } else { OutcomeKind::Failed };
        let causes = causes::of_ends(self.facts, last.id(), ends);
        Some(LastRun { result, ended_at: last.stopped_at?, task: last.id().to_owned(), causes })
    }

    /// The failure of the last run, and the logs that may say more of it.
    fn report(&self) -> Option<Report> {
        let last = self.last_run().filter(|run| run.result == OutcomeKind::Failed)?;
        let seen = self.last_seen(&self.facts.current.as_ref()?.live_revision);
        let seen = seen.filter(|seen| seen.id() == last.task);
        Some(causes::report(self.facts, &last.task, seen.map(|seen| self.ends(seen)).unwrap_or_default()))
    }

    /// The same with what is on record of it, of which AWS may tell no more.
    fn last_run(&self) -> Option<LastRun> {
        let live = &self.facts.current.as_ref()?.live_revision;
        let recorded = self.facts.ours.get(live).and_then(|memory| memory.last_run.clone());
        self.seen_run(live).into_iter().chain(recorded).max_by_key(|run| run.ended_at)
    }
}

/// Whether a run is worth a record.
fn is_news(recorded: Option<&LastRun>, seen: &LastRun) -> bool {
    recorded.is_none_or(|recorded| {
        let is_later = seen.ended_at.div_euclid(1000) > recorded.ended_at.div_euclid(1000);
        let age = seen.ended_at.saturating_sub(recorded.ended_at);
        is_later && (recorded.result != seen.result || age >= RECORDED_AGAIN)
    })
}
