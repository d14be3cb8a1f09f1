//! The decision about an application that is a task: it runs once for each content, and never twice for one attempt.
//!
//! Every write is safe to repeat. That a task is asked for is written down first; asked for again it is with the same
//! token, for which AWS answers with the same task as long as the token lives. What cannot be found out any more is
//! left to a person: a doubt never runs anything.

mod identity;
mod outcome;
mod request;
mod status;

use std::time::Duration;

use super::decide::{Plan, next};
use super::facts::{Facts, unreadable};
use super::input::Followers;
use super::rules::Answer;
use super::step::{Reply, Step, Unsettled};
use super::windows;
use crate::documents::memory::{self, Stamp};
use crate::model::{
    Applied, ContentHash, DeploymentId, Desired, Difference, Memory, Millis, ObservedImage, OneShot, Outcome,
    OutcomeKind, Reading, RunAnswer, RunStamp, RunStanding, Task, TaskDefinitionArn, TaskDefinitionSource,
    Waiting,
};

pub(super) use identity::of_word;
pub use identity::started_by;
pub(super) use outcome::{of as ending, success};

/// Stands for the task in an outcome that no task of ours has brought: its followers ran what is declared already.
pub const ASSUMED: &str = "assumed";

/// What is live when the stamp of a task is written: nothing ever is.
const NOTHING: &str = "-";

/// The content that a reading of the registry amounts to; `None` where that cannot be told.
pub fn content(desired: &Desired, images: &[ObservedImage]) -> Option<ContentHash> {
    let TaskDefinitionSource::File { input, .. } = &desired.task_definition else { return None };
    let rendered = super::render::task_definition(desired, images, input).ok()?;
    Some(memory::content_hash(&desired.target, &rendered))
}

pub(super) fn plan(facts: &Facts<'_>, task: &OneShot) -> Plan {
    let job = Job::of(facts, task);
    let (steps, waiting) = next(facts, job.decide());
    let status = status::of(&job, steps.first(), waiting.as_ref());
    Plan {
        reports: status::report(&job).into_iter().collect(),
        retry: job.retry(waiting.as_ref()),
        accept_history: facts.accept_history_of_a_task(waiting.as_ref()),
        unsettled: job.unsettled(waiting.as_ref()),
        run_again: job.run_again(waiting.as_ref()),
        failure: job.failed().map(|(_, _, outcome)| outcome.deployment.clone()),
        steps,
        waiting,
        rule: None,
        differences: Vec::<Difference>::new(),
        outlook: None,
        approval: None,
        migration: None,
        findings: Vec::new(),
        status,
    }
}

/// A task with everything that a decision about it rests on.
struct Job<'f, 'a> {
    facts: &'f Facts<'a>,
    task: &'f OneShot,
    /// Of what is declared; or why it cannot be told.
    content: Result<ContentHash, Waiting>,
}

/// An attempt of which no end is on record.
struct Open<'f, 'a> {
    revision: &'a TaskDefinitionArn,
    memory: &'f Memory,
    run: &'f RunStamp,
}

impl<'f, 'a> Job<'f, 'a> {
    fn of(facts: &'f Facts<'a>, task: &'f OneShot) -> Self {
        let rendered = facts.rendered.as_ref().map_err(Clone::clone);
        let content = rendered.map(|rendered| memory::content_hash(&facts.input.desired.target, rendered));
        Self { facts, task, content }
    }

    /// In this order: what was begun is followed to its end before anything is compared, since nothing else may run
    /// beside it; then what is declared is looked for in what is remembered; what could speak against a run comes before
    /// its registration.
    fn decide(&self) -> Result<Answer, Waiting> {
        let facts = self.facts;
        facts.account_is_right()?;
        self.reading_is_whole()?;
        facts.memory_is_complete()?;
        facts.source_is_current(facts.highest().as_ref())?;
        if let Some(open) = self.open() {
            return self.follow(&open).map(Answer::Write);
        }
        let content = self.content.clone()?;
        self.commit_tags_stand()?;
        if let Some((revision, memory)) = self.remembered(&content) {
            match memory.outcome_of(memory.attempt()) {
                Some(outcome) if outcome.result == OutcomeKind::Succeeded => return Ok(Answer::Done),
                Some(outcome) if outcome.result == OutcomeKind::Failed => {
                    return Err(held(memory, outcome));
                }
                _ => {}
            }
            self.may_begin()?;
            if facts.revision(revision).is_some_and(|revision| revision.active) {
                return self.begin(revision, memory).map(Answer::Write);
            }
        }
        self.may_begin()?;
        self.register(&content).map(Answer::Write)
    }

    fn reading_is_whole(&self) -> Result<(), Waiting> {
        let observed = self.facts.input.observed;
        let unread = observed.revisions.values().find_map(|reading| match reading {
            Reading::Unavailable(why) => Some(why),
            Reading::Known(_) | Reading::Absent => None,
        });
        if let Some(why) = unread {
            return Err(unreadable("a task definition", why));
        }
        match &observed.tasks {
            Reading::Unavailable(why) => Err(unreadable("the task", why)),
            Reading::Known(_) | Reading::Absent => Ok(()),
        }
    }

    /// What keeps something new from being begun; not what was begun from being finished.
    fn may_begin(&self) -> Result<(), Waiting> {
        let facts = self.facts;
        let rendered = facts.rendered.as_ref().map_err(Clone::clone)?;
        facts.roles_are_allowed(rendered)?;
        facts.fits_together(rendered)?;
        facts.repositories_are_allowed(rendered)?;
        request::place(self.task, facts.input.observed)?;
        match facts.input.turn {
            Some(why) if !self.is_assumed() => Err(Waiting::Turn { why: why.to_owned() }),
            _ => Ok(()),
        }
    }

    /// The oldest attempt that is not over. There is one at most, unless somebody else writes our tags. One that a person
    /// has answered with another try is over, however it ended.
    fn open(&self) -> Option<Open<'f, 'a>> {
        let runs = self.facts.ours.iter().filter_map(|(revision, memory)| {
            let is_open =
                |run: &&RunStamp| run.attempt >= memory.attempt() && memory.outcome_of(run.attempt).is_none();
            let run = memory.run.as_ref().filter(is_open)?;
            Some(Open { revision, memory, run })
        });
        runs.min_by_key(|open| (open.memory.generation(), open.revision.revision()))
    }

    /// Our revision with this content whose memory counts: where a race made several, the one that knows more of the
    /// task; of equals the lowest, where two controllers meet.
    fn remembered(&self, content: &ContentHash) -> Option<(&'a TaskDefinitionArn, &'f Memory)> {
        let same = self.facts.ours.iter().filter(|(_, memory)| memory.content == *content);
        let knows = |memory: &Memory| (memory.attempt(), memory.outcome.is_some(), memory.run.is_some());
        let most = same.clone().map(|(_, memory)| knows(memory)).max()?;
        let best = same.filter(|(_, memory)| knows(memory) == most);
        best.min_by_key(|(arn, _)| arn.revision()).map(|(arn, memory)| (*arn, memory))
    }

    /// Goes on with an attempt that was begun.
    fn follow(&self, open: &Open<'_, '_>) -> Result<Vec<Step>, Waiting> {
        let found = self.task_of(open.memory, open.run);
        match (&open.run.standing, found) {
            (RunStanding::Started(_), Some(task)) => self.follow_task(open, task),
            (RunStanding::Started(_), None) if self.age(open.run) > windows::TASKS_STAY => Err(unknown(open)),
            (RunStanding::Started(_), None) => Err(Waiting::Consistency { what: "the task" }),
            // However old the stamp is: it is the one.
            (RunStanding::Asked | RunStanding::Refused, Some(task)) => {
                self.stamp_run(open, RunStanding::Started(task.id().to_owned()), None)
            }
            (RunStanding::Asked, None) => self.ask(open),
            (RunStanding::Refused, None) => self.ask_again(open),
        }
    }

    fn follow_task(&self, open: &Open<'_, '_>, task: &Task) -> Result<Vec<Step>, Waiting> {
        if task.last_status == "STOPPED" {
            let success = outcome::success(self.task.success.as_deref(), self.facts, open.revision);
            let result =
                outcome::of(task, &success, None).map_or(OutcomeKind::Failed, |()| OutcomeKind::Succeeded);
            return self.end(open, result, task.id());
        }
        let since = task.started_at.unwrap_or(open.run.asked_at);
        let is_late = self.task.timeout.is_some_and(|timeout| self.facts.input.now - since > millis(timeout));
        if is_late && task.desired_status != "STOPPED" {
            let timeout = self.task.timeout.unwrap_or_default();
            return self.facts.unless_just_written(vec![Step::StopRun {
                cluster: open.run.cluster.clone(),
                task: task.id().to_owned(),
                reason: outcome::timed_out(timeout),
            }]);
        }
        Err(Waiting::Running {
            task: task.id().to_owned(),
            commit: open.memory.commit.clone(),
            since: task.started_at,
            timeout: self.task.timeout,
        })
    }

    /// It is written down that the task is asked for, and no task of it is known.
    fn ask(&self, open: &Open<'_, '_>) -> Result<Vec<Step>, Waiting> {
        match self.answer_to(open) {
            Some(RunAnswer::Started(task)) => {
                return self.stamp_run(open, RunStanding::Started(task.clone()), None);
            }
            Some(RunAnswer::NoPlace(why)) => return self.stamp_run(open, RunStanding::Refused, Some(why)),
            None => {}
        }
        let age = self.age(open.run);
        if age >= windows::RUN_TOKEN {
            return Err(unknown(open));
        }
        if self.is_declared(open.memory) {
            let input = request::input(self, open)?;
            return self
                .facts
                .unless_just_written(vec![Step::Run { revision: open.revision.clone(), input }]);
        }
        // Something else is declared by now. Had it been started, it would be listed.
        if age < windows::RUN_REQUEST {
            return Err(Waiting::Consistency { what: "the task" });
        }
        self.end(open, OutcomeKind::Superseded, NOTHING)
    }

    /// AWS had no place for it, and its token stands for that. The next try has a token of its own, and is written down
    /// first like the one before.
    fn ask_again(&self, open: &Open<'_, '_>) -> Result<Vec<Step>, Waiting> {
        if !self.is_declared(open.memory) {
            return self.end(open, OutcomeKind::Superseded, NOTHING);
        }
        let until = open.run.asked_at.saturating_add(millis(patience(open.run.refusals)));
        if self.facts.input.now < until {
            let said = self.facts.revision(open.revision).and_then(memory::reason);
            let why = said.unwrap_or("it does not say why").to_owned();
            return Err(Waiting::NoCapacity { why, times: open.run.refusals, until });
        }
        self.stamp_run(open, RunStanding::Asked, None)
    }

    /// Writes down that the task is asked for.
    fn begin(&self, revision: &TaskDefinitionArn, memory: &Memory) -> Result<Vec<Step>, Waiting> {
        if self.is_assumed() {
            let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: ASSUMED.to_owned() };
            let stamp = Stamp::Ran { outcome, attempt: memory.attempt(), why: None };
            return self.facts.stamp(revision, stamp);
        }
        let run = RunStamp {
            attempt: memory.attempt(),
            refusals: 0,
            asked_at: self.facts.input.now,
            standing: RunStanding::Asked,
            cluster: self.facts.input.desired.cluster.clone(),
        };
        self.facts.stamp(revision, Stamp::Run { run, why: None })
    }

    fn register(&self, content: &ContentHash) -> Result<Vec<Step>, Waiting> {
        let facts = self.facts;
        let rendered = facts.rendered.as_ref().map_err(Clone::clone)?;
        facts.is_described_as_sent(rendered, content)?;
        facts.tags_fit()?;
        let step = facts.registration(rendered, content, &facts.next_stamp_of_a_task());
        facts.unless_just_written(vec![step])
    }

    /// With this standing from now on.
    fn stamp_run(
        &self,
        open: &Open<'_, '_>,
        standing: RunStanding,
        why: Option<&str>,
    ) -> Result<Vec<Step>, Waiting> {
        let before = open.run;
        let (refusals, asked_at) = match standing {
            RunStanding::Asked | RunStanding::Refused => {
                let more = u32::from(standing == RunStanding::Refused);
                (before.refusals.saturating_add(more), self.facts.input.now)
            }
            RunStanding::Started(_) => (before.refusals, before.asked_at),
        };
        let run = RunStamp { refusals, asked_at, standing, ..before.clone() };
        self.facts.stamp(open.revision, Stamp::Run { run, why: why.map(str::to_owned) })
    }

    fn end(&self, open: &Open<'_, '_>, result: OutcomeKind, task: &str) -> Result<Vec<Step>, Waiting> {
        let outcome = Outcome { result, deployment: task.to_owned() };
        let attempt = open.run.attempt;
        self.facts.stamp(open.revision, Stamp::Ran { outcome, attempt, why: None })
    }

    /// What this process was answered when it asked for the task of this very stamp.
    fn answer_to(&self, open: &Open<'_, '_>) -> Option<&'f RunAnswer> {
        let recent = self.facts.input.recent?;
        let Step::Run { input, .. } = &recent.step else { return None };
        let token = identity::token(&self.facts.input.desired.target, &open.memory.content, open.run);
        match &recent.reply {
            Some(Reply::Run(answer)) if input["clientToken"] == token => Some(answer),
            _ => None,
        }
    }

    /// The task of an attempt, if it was found.
    fn task_of(&self, memory: &Memory, run: &RunStamp) -> Option<&'a Task> {
        let mut tasks = self.facts.input.observed.tasks.known()?.iter();
        if let RunStanding::Started(id) = &run.standing {
            return tasks.find(|task| task.id() == id);
        }
        let name = started_by(&self.facts.input.desired.target, &memory.content, run.attempt);
        tasks.find(|task| task.started_by.as_ref().map(DeploymentId::as_str) == Some(name.as_str()))
    }

    fn is_declared(&self, memory: &Memory) -> bool {
        self.content.as_ref().is_ok_and(|content| memory.content == *content)
    }

    fn age(&self, run: &RunStamp) -> Millis {
        self.facts.input.now.saturating_sub(run.asked_at)
    }

    /// Nothing of ours was ever asked for, and all who come after it run what they declare already.
    fn is_assumed(&self) -> bool {
        let has_run = self.facts.ours.values().any(|memory| memory.run.is_some() || memory.outcome.is_some());
        !has_run && self.facts.input.followers == Followers::RunDeclared
    }

    /// A commit whose tag was pushed over is not run again with the new image.
    fn commit_tags_stand(&self) -> Result<(), Waiting> {
        self.facts.commit_tag_moved_since_it_ran().map_or(Ok(()), Err)
    }

    /// What is declared and has failed, with the attempt and its outcome.
    fn failed(&self) -> Option<(&'a TaskDefinitionArn, &'f Memory, &'f Outcome)> {
        let (revision, memory) = self.remembered(self.content.as_ref().ok()?)?;
        let outcome = memory.outcome_of(memory.attempt())?;
        (outcome.result == OutcomeKind::Failed).then_some((revision, memory, outcome))
    }

    /// The write by which a person asks for another attempt, where this one has failed or nobody knows.
    fn retry(&self, waiting: Option<&Waiting>) -> Option<Step> {
        let revision = match waiting? {
            Waiting::Held { .. } => self.failed()?.0,
            Waiting::OutcomeUnknown { .. } => {
                let open = self.open().filter(|open| self.is_declared(open.memory))?;
                open.revision
            }
            _ => return None,
        };
        Some(again(revision, self.facts.ours.get(revision)?))
    }

    /// The same where it ended well, too.
    fn run_again(&self, waiting: Option<&Waiting>) -> Option<Step> {
        match waiting? {
            Waiting::Settled => {
                let (revision, memory) = self.remembered(self.content.as_ref().ok()?)?;
                Some(again(revision, memory))
            }
            _ => self.retry(waiting),
        }
    }

    fn unsettled(&self, waiting: Option<&Waiting>) -> Option<Unsettled> {
        let Waiting::OutcomeUnknown { attempt, task, .. } = waiting? else { return None };
        let revision = self.open()?.revision.clone();
        Some(Unsettled { revision, attempt: *attempt, task: task.clone() })
    }
}

/// Lets one more attempt follow the last one.
fn again(revision: &TaskDefinitionArn, memory: &Memory) -> Step {
    Step::Stamp { revision: revision.clone(), stamp: Stamp::Retry(memory.attempt().to_string()) }
}

fn held(memory: &Memory, outcome: &Outcome) -> Waiting {
    let commit = memory.commit.clone();
    Waiting::Held { commit, deployment: Some(outcome.deployment.clone()), stranded: None }
}

fn unknown(open: &Open<'_, '_>) -> Waiting {
    Waiting::OutcomeUnknown {
        commit: open.memory.commit.clone(),
        attempt: open.run.attempt,
        task: match &open.run.standing {
            RunStanding::Started(task) => Some(task.clone()),
            RunStanding::Asked | RunStanding::Refused => None,
        },
        asked_at: open.run.asked_at,
    }
}

/// How long it is before AWS is asked again, after so many times without a place.
fn patience(refusals: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(30);
    const LONGEST: Duration = Duration::from_mins(10);
    FIRST.saturating_mul(1 << refusals.saturating_sub(1).min(8)).min(LONGEST)
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

impl Facts<'_> {
    pub(super) fn next_stamp_of_a_task(&self) -> Applied {
        Applied {
            generation: self.highest().map_or(1, |highest| highest.generation.saturating_add(1)),
            infra_commit: self.input.infra_commit.cloned(),
            live_then: DeploymentId::new(NOTHING),
            from: None,
            at: Some(self.input.now),
            rounds: 0,
            receipts: self.receipts(None),
        }
    }

    /// The stamp with which a person makes this history the one that was applied: on the revision with the highest one.
    fn accept_history_of_a_task(&self, waiting: Option<&Waiting>) -> Option<Step> {
        let Some(Waiting::SourceBehind { .. }) = waiting else { return None };
        let (revision, _) = self.highest_stamp()?;
        let stamp = Stamp::Applied(self.next_stamp_of_a_task());
        Some(Step::Stamp { revision: revision.clone(), stamp })
    }
}
