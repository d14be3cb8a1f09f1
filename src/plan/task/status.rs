//! What is said of a task: what is declared, what ran last and how it ended.

use std::collections::{BTreeMap, BTreeSet};

use super::{ASSUMED, Job, NOTHING, Open, outcome};
use crate::documents::{containers, memory};
use crate::model::{
    Cause, CauseKind, CommitSource, Condition, ConditionKind, Digest, Health, Hold, LastDeployment, Memory,
    Mode, OutcomeKind, Phase, Proof, Report, Running, StartedBy, Status, Sync, Task, TaskDefinitionArn,
    Waiting,
};
use crate::plan::causes::{self, End};
use crate::plan::step::Step;
use crate::plan::{commits, hidden, status, waiting as words};

pub(super) fn of(job: &Job<'_, '_>, next: Option<&Step>, waiting: Option<&Waiting>) -> Status {
    let (desired, observed) = (job.facts.input.desired, job.facts.input.observed);
    let is_frozen = desired.mode == Mode::Frozen;
    let last = last_deployment(job);
    let (sync, health) = (sync(job), health(job, last.as_ref(), waiting));
    Status {
        target: desired.target.clone(),
        checked_at: observed.checked_at,
        facts_checked_at: observed.facts_checked_at,
        declared: (!is_frozen).then(|| desired.commit().clone()),
        stands_for: commits::stands_for(desired, &observed.images),
        tagged: None,
        deployed: subject(job).map(|(revision, _)| revision.clone()),
        running: running(job),
        desired_count: 0,
        sync,
        health,
        conditions: conditions(sync, next, waiting),
        causes: unplaced(job, waiting)
            .or_else(|| last.as_ref().map(|last| last.causes.clone()))
            .unwrap_or_default(),
        is_recorded: job.open().is_none(),
        since: status::since(last.as_ref(), None),
        hold: held(job, last.as_ref(), waiting),
        unread: BTreeSet::new(),
        kept: job.facts.kept(subject(job).map(|(revision, _)| revision).zip(last.as_ref())),
        last_deployment: last,
        waiting: waiting.cloned(),
        drift: Vec::new(),
        proof: Proof::Proven,
        last_run: None,
        failing_since: None,
        failing_causes: Vec::new(),
        good: BTreeMap::new(),
        is_observed: true,
    }
}

/// The revision that is told of: that of the attempt that is open, of what is declared, or else of the last one.
fn subject<'j>(job: &'j Job<'_, '_>) -> Option<(&'j TaskDefinitionArn, &'j Memory)> {
    if let Some(open) = job.open() {
        return job.facts.ours.get_key_value(open.revision).map(|(arn, memory)| (*arn, memory));
    }
    let declared = job.content.as_ref().ok().and_then(|content| job.remembered(content));
    declared.or_else(|| {
        let ran = job.facts.ours.iter().filter(|(_, memory)| memory.outcome.is_some());
        ran.max_by_key(|(_, memory)| memory.generation()).map(|(arn, memory)| (*arn, memory))
    })
}

fn held(job: &Job<'_, '_>, last: Option<&LastDeployment>, waiting: Option<&Waiting>) -> Option<Hold> {
    let Some(Waiting::Held { deployment, .. }) = waiting else { return None };
    let commit = job.facts.input.desired.commit().clone();
    Some(Hold { commit, deployment: deployment.clone(), since: last.and_then(|last| last.ended_at) })
}

fn sync(job: &Job<'_, '_>) -> Sync {
    let Ok(content) = &job.content else { return Sync::Unknown };
    if job.facts.input.desired.mode == Mode::Frozen || job.facts.memory_is_complete().is_err() {
        return Sync::Unknown;
    }
    let outcome = job.remembered(content).and_then(|(_, memory)| memory.outcome_of(memory.attempt()));
    match outcome.map(|outcome| outcome.result) {
        Some(OutcomeKind::Succeeded) if job.open().is_none() => Sync::Synced,
        _ => Sync::OutOfSync,
    }
}

fn health(job: &Job<'_, '_>, last: Option<&LastDeployment>, waiting: Option<&Waiting>) -> Health {
    match (waiting, last.map(|last| last.phase)) {
        (Some(Waiting::Held { .. } | Waiting::OutcomeUnknown { .. }), _) | (_, Some(Phase::Failed)) => {
            Health::Degraded
        }
        (_, Some(Phase::Pending | Phase::InProgress)) => Health::Progressing,
        (_, Some(Phase::Succeeded)) => Health::Healthy,
        _ if job.facts.account_is_right().is_err() => Health::Unknown,
        _ => Health::Progressing,
    }
}

fn conditions(sync: Sync, next: Option<&Step>, waiting: Option<&Waiting>) -> Vec<Condition> {
    let condition = |kind, is_true, reason, message: String| Condition { kind, is_true, reason, message };
    let ready = sync == Sync::Synced;
    let mut conditions = vec![if ready {
        condition(ConditionKind::Ready, true, "Synced", "what is declared has run".to_owned())
    } else {
        let why = waiting.map_or("NotSynced", words::reason);
        condition(ConditionKind::Ready, false, why, waiting.map_or_else(String::new, words::describe))
    }];
    conditions.extend(status::reconciling_or_stalled(next, waiting));
    conditions
}

/// The attempt as a deployment: it begins, and ends well or not.
fn last_deployment(job: &Job<'_, '_>) -> Option<LastDeployment> {
    let (revision, memory) = subject(job)?;
    let run = memory.run.as_ref();
    let attempt = job.open().map_or_else(|| memory.attempt(), |open: Open<'_, '_>| open.run.attempt);
    let task = run.filter(|run| run.attempt == attempt).and_then(|run| job.task_of(memory, run));
    let recorded = memory.outcome_of(attempt);
    if run.is_none() && recorded.is_none() {
        return None;
    }
    let id = task.map(|task| task.id().to_owned());
    let id = id.or_else(|| recorded.map(|outcome| outcome.deployment.clone()).filter(|id| id != NOTHING));
    let seen = task.filter(|task| task.last_status == "STOPPED");
    let ends = seen.map(|task| ends_of(job, task, revision));
    let phase = match (recorded.map(|outcome| outcome.result), &ends) {
        (Some(OutcomeKind::Succeeded), _) | (None, Some(Ok(()))) => Phase::Succeeded,
        (Some(OutcomeKind::Failed), _) | (None, Some(Err(_))) => Phase::Failed,
        (Some(OutcomeKind::Superseded), _) => Phase::Superseded,
        (None, None) if task.is_some_and(Task::is_running) => Phase::InProgress,
        (None, None) => Phase::Pending,
    };
    let causes = if phase == Phase::Failed {
        why_failed(job, revision, id.as_deref(), ends.and_then(Result::err))
    } else {
        Vec::new()
    };
    Some(LastDeployment {
        id: id.or_else(|| Some(ASSUMED.to_owned()).filter(|_| run.is_none())),
        commit: Some(memory.commit.clone()),
        phase,
        shift: None,
        started_by: StartedBy::Trueup,
        infra: memory.applied.as_ref().and_then(|applied| applied.infra_commit.clone()),
        started_at: run.map_or(0, |run| run.asked_at),
        ended_at: task.and_then(|task| task.stopped_at),
        replaces: None,
        causes,
    })
}

fn ends_of(job: &Job<'_, '_>, task: &Task, revision: &TaskDefinitionArn) -> Result<(), Vec<End>> {
    let input = job.facts.revision(revision).map(|revision| &revision.input);
    outcome::of(task, &outcome::success(job.task.success.as_deref(), job.facts, revision), input)
}

/// As AWS tells it, or as it was told before; or what a person has said.
fn why_failed(
    job: &Job<'_, '_>,
    revision: &TaskDefinitionArn,
    task: Option<&str>,
    ends: Option<Vec<End>>,
) -> Vec<Cause> {
    let causes = task.map(|task| causes::of_ends(job.facts, task, ends.unwrap_or_default()));
    causes.filter(|causes| !causes.is_empty()).unwrap_or_else(|| {
        let said = job.facts.revision(revision).and_then(memory::reason);
        let said = said.map(|said| Cause::new(CauseKind::Other, said));
        hidden::in_causes(job.facts, said.into_iter().collect())
    })
}

/// Why AWS finds no place for the task.
fn unplaced(job: &Job<'_, '_>, waiting: Option<&Waiting>) -> Option<Vec<Cause>> {
    let Some(Waiting::NoCapacity { why, .. }) = waiting else { return None };
    let cause = Cause::new(CauseKind::Placement, format!("no place was found for the task: {why}"));
    Some(hidden::in_causes(job.facts, vec![causes::hinting(cause)]))
}

/// The failure of the last task, and the logs that may say more of it.
pub(super) fn report(job: &Job<'_, '_>) -> Option<Report> {
    let last = last_deployment(job).filter(|last| last.phase == Phase::Failed)?;
    let (revision, memory) = subject(job)?;
    let id = last.id?;
    let task = memory.run.as_ref().and_then(|run| job.task_of(memory, run)).filter(|task| task.id() == id);
    let ends = task.and_then(|task| ends_of(job, task, revision).err()).unwrap_or_default();
    Some(causes::report(job.facts, &id, ends))
}

/// The tasks of ours that run, by the digest of the first image.
fn running(job: &Job<'_, '_>) -> Vec<Running> {
    let Some(open) = job.open() else { return Vec::new() };
    let Some(task) = job.task_of(open.memory, open.run).filter(|task| task.is_running()) else {
        return Vec::new();
    };
    let commits = vec![open.memory.commit.clone()];
    let digest = digest_of(job, task);
    vec![Running { commits, source: CommitSource::Registry, digest, tasks: 1, draining: 0, production: None }]
}

fn digest_of(job: &Job<'_, '_>, task: &Task) -> Option<Digest> {
    let revision = job.facts.revision(&task.task_definition)?;
    let wanted = job.facts.input.desired.images.first()?;
    let names = containers::of_image(wanted, &revision.input).ok()?;
    task.containers.iter().find(|container| names.contains(&container.name))?.digest.clone()
}
