//! The truth about a target, from the same facts as the decision: what is declared, tagged, deployed and running.

use std::collections::BTreeMap;

use super::commits::commits_of;
use super::facts::Facts;
use super::step::Step;
use super::waiting::{describe, is_stalled, reason};
use super::{phase, render, shown};
use crate::masking;
use crate::model::{
    Commit, CommitSource, Condition, ConditionKind, DesiredImage, Difference, Digest, Health, Image,
    LastDeployment, Millis, Mode, ObservedImage, Phase, Reading, Running, ServiceStatus, StartedBy, Status,
    Sync, Target, Task, TaskContainer, Waiting,
};

pub(super) fn of(
    facts: &Facts<'_>,
    differences: &[Difference],
    next: Option<&Step>,
    waiting: Option<&Waiting>,
) -> Status {
    let desired = facts.input.desired;
    let is_frozen = desired.mode == Mode::Frozen;
    let running = running(facts);
    let sync = sync(facts, differences, &running);
    let health = health(facts, waiting);
    Status {
        target: desired.target.clone(),
        checked_at: facts.input.observed.checked_at,
        facts_checked_at: facts.input.observed.facts_checked_at,
        declared: (!is_frozen).then(|| desired.commit().clone()),
        tagged: tagged(facts),
        deployed: facts.current.as_ref().map(|current| current.live_revision.clone()),
        desired_count: facts.service.map_or(0, |service| service.desired_count),
        conditions: conditions(facts, sync, health, next, waiting),
        last_deployment: last_deployment(facts),
        drift: if !is_frozen && facts.has_drifted() { differences.to_vec() } else { Vec::new() },
        is_recorded: facts.is_recorded(),
        causes: without_secrets(facts, causes(facts, health)),
        waiting: waiting.cloned(),
        running,
        sync,
        health,
    }
}

/// What is said of a frozen target of which it is not known where it runs.
pub fn unknown(target: &Target, now: Millis) -> Status {
    let waiting = Waiting::Frozen;
    let condition =
        |kind, is_true| Condition { kind, is_true, reason: reason(&waiting), message: describe(&waiting) };
    Status {
        target: target.clone(),
        checked_at: now,
        facts_checked_at: now,
        declared: None,
        tagged: None,
        deployed: None,
        running: Vec::new(),
        desired_count: 0,
        sync: Sync::Unknown,
        health: Health::Unknown,
        conditions: vec![condition(ConditionKind::Ready, false), condition(ConditionKind::Stalled, true)],
        waiting: Some(waiting.clone()),
        last_deployment: None,
        drift: Vec::new(),
        is_recorded: true,
        causes: Vec::new(),
    }
}

/// AWS repeats what a container was given, such as its command: nothing of it is told that is shown nowhere else.
fn without_secrets(facts: &Facts<'_>, causes: Vec<String>) -> Vec<String> {
    if causes.is_empty() {
        return causes;
    }
    let declared = facts.rendered.as_ref().ok().filter(|_| render::owns_every_field(facts.input.desired));
    let current = facts.current.iter().flat_map(|current| [&current.target, &current.live_revision]);
    let revisions = current.filter_map(|arn| facts.revision(arn));
    let hidden: Vec<&str> =
        revisions.flat_map(|revision| shown::hidden_texts(&revision.input, declared)).collect();
    causes.into_iter().map(|cause| masking::without(&cause, &hidden)).collect()
}

fn tagged(facts: &Facts<'_>) -> Option<Commit> {
    let observed = facts.images.first()?;
    let image = observed.tagged.known()?;
    commits_of(facts.input.desired.images.first()?, observed, image).into_iter().next()
}

/// What runs, by digest, of the first image; the tasks are asked, not the tag.
fn running(facts: &Facts<'_>) -> Vec<Running> {
    let (Some(wanted), Some(observed)) = (facts.input.desired.images.first(), facts.images.first()) else {
        return Vec::new();
    };
    let mut groups: BTreeMap<Option<Digest>, Running> = BTreeMap::new();
    let tasks = facts.input.observed.tasks.known().filter(|_| facts.service.is_some());
    let all = tasks.into_iter().flatten();
    for task in all.filter(|task| task.is_running() || task.is_draining()) {
        let digest = digest_of(facts, task, wanted, observed);
        let group = groups.entry(digest.clone()).or_insert_with(|| {
            let (commits, source) = match &digest {
                Some(digest) => facts.commits_running(wanted, observed, digest, &task.task_definition),
                None => (Vec::new(), CommitSource::Registry),
            };
            Running { commits, source, digest, tasks: 0, draining: 0 }
        });
        *(if task.is_running() { &mut group.tasks } else { &mut group.draining }) += 1;
    }
    // The lists of tasks lag behind the service, or cannot be read: so many run, and nobody knows what.
    let listed: usize = groups.values().map(|group| group.tasks).sum();
    let told = facts.service.map_or(0, |service| service.running_count);
    if listed == 0 && told > 0 {
        let unknown = Running {
            commits: Vec::new(),
            source: CommitSource::Registry,
            digest: None,
            tasks: usize::try_from(told).unwrap_or_default(),
            draining: groups.get(&None).map_or(0, |group| group.draining),
        };
        groups.insert(None, unknown);
    }
    let mut running: Vec<Running> = groups.into_values().collect();
    running.sort_by_key(|group| {
        (!group.commits.iter().any(|commit| commit.matches(&wanted.commit)), std::cmp::Reverse(group.tasks))
    });
    running
}

/// The digest of the application's container in a task; a child of the built index counts as the index.
fn digest_of(
    facts: &Facts<'_>,
    task: &Task,
    wanted: &DesiredImage,
    observed: &ObservedImage,
) -> Option<Digest> {
    let revision = facts.revision(&task.task_definition)?;
    let names = render::containers(wanted, &revision.input).ok().or_else(|| {
        let rendered = facts.rendered.as_ref().ok()?;
        render::containers(wanted, rendered).ok()
    });
    let container = match &names {
        Some(names) => task.containers.iter().find(|container| names.contains(&container.name))?,
        None => task.containers.first()?,
    };
    let digest = container.digest.clone()?;
    let index_of = |image: &Image| {
        image
            .platforms
            .iter()
            .any(|platform| platform.digest.as_ref() == Some(&digest))
            .then(|| image.digest.clone())
    };
    let images = [&observed.built, &observed.tagged].into_iter().chain(observed.known.values());
    let parent = images.filter_map(Reading::known).find_map(index_of);
    Some(parent.unwrap_or(digest))
}

fn sync(facts: &Facts<'_>, differences: &[Difference], running: &[Running]) -> Sync {
    if facts.input.desired.mode == Mode::Frozen {
        return Sync::Unknown;
    }
    if is_deleted(facts) {
        return Sync::OutOfSync;
    }
    let Some(current) = &facts.current else { return Sync::Unknown };
    if facts.rendered.is_err() {
        let declared = facts.input.desired.commit();
        let known = !running.is_empty() && running.iter().all(|group| !group.commits.is_empty());
        // What only a revision says of itself is no proof that the declared commit runs.
        let same = running.iter().all(|group| {
            group.source == CommitSource::Registry
                && group.commits.iter().any(|commit| commit.matches(declared))
        });
        return if known && !same { Sync::OutOfSync } else { Sync::Unknown };
    }
    let settled = current.live_phase == Phase::Succeeded;
    if differences.is_empty() && settled && facts.revision(&current.live_revision).is_some() {
        Sync::Synced
    } else {
        Sync::OutOfSync
    }
}

/// Whether there is no such service. AWS goes on describing a deleted one for a while: DRAINING, then INACTIVE.
fn is_deleted(facts: &Facts<'_>) -> bool {
    match facts.service {
        Some(service) => service.status != ServiceStatus::Active,
        None => matches!(facts.input.observed.service, Reading::Absent),
    }
}

fn health(facts: &Facts<'_>, waiting: Option<&Waiting>) -> Health {
    if is_deleted(facts) {
        // Where the files have errors, the service may have another name or another cluster.
        let is_sure = facts.service.is_some() || facts.input.desired.mode != Mode::Frozen;
        return if is_sure { Health::Missing } else { Health::Unknown };
    }
    let Some(service) = facts.service else { return Health::Unknown };
    let failing = service
        .primary()
        .is_some_and(|primary| primary.failed_tasks > 0 && primary.running < service.desired_count);
    match (waiting, facts.current.as_ref().map(|current| current.phase)) {
        (Some(Waiting::Held { .. }), _) => Health::Degraded,
        (_, Some(Phase::Failed | Phase::RollingBack)) => Health::Degraded,
        (_, Some(Phase::InProgress | Phase::Pending)) => Health::Progressing,
        _ if service.desired_count == 0 => Health::Suspended,
        _ if failing => Health::Degraded,
        _ if service.running_count >= service.desired_count => Health::Healthy,
        _ => Health::Progressing,
    }
}

fn conditions(
    facts: &Facts<'_>,
    sync: Sync,
    health: Health,
    next: Option<&Step>,
    waiting: Option<&Waiting>,
) -> Vec<Condition> {
    let condition = |kind, is_true, reason, message: String| Condition { kind, is_true, reason, message };
    let ready = sync == Sync::Synced && matches!(health, Health::Healthy | Health::Suspended);
    let mut conditions = vec![match (ready, health) {
        (true, Health::Suspended) => {
            condition(ConditionKind::Ready, true, "Unproven", "the desired count is 0".to_owned())
        }
        (true, _) => condition(ConditionKind::Ready, true, "Synced", "what is declared runs".to_owned()),
        (false, _) => {
            let why = waiting.map_or("NotSynced", reason);
            condition(ConditionKind::Ready, false, why, waiting.map_or_else(String::new, describe))
        }
    }];
    if let Some(step) = next {
        conditions.push(condition(ConditionKind::Reconciling, true, step_reason(step), String::new()));
    } else if let Some(Waiting::Deploying { .. }) = waiting {
        conditions.push(condition(
            ConditionKind::Reconciling,
            true,
            "Deploying",
            waiting.map_or_else(String::new, describe),
        ));
    }
    if let Some(waiting) = waiting.filter(|waiting| is_stalled(waiting)) {
        conditions.push(condition(ConditionKind::Stalled, true, reason(waiting), describe(waiting)));
    }
    // While something else goes on, or what runs is what the tag is on now, it stops nothing.
    for moved in facts.moved_commit_tags().filter(|moved| waiting != Some(moved)) {
        conditions.push(condition(ConditionKind::Stalled, false, reason(&moved), describe(&moved)));
    }
    conditions
}

fn step_reason(step: &Step) -> &'static str {
    match step {
        Step::Register { .. } => "Registering",
        Step::Stamp { .. } => "Recording",
        Step::Deploy { .. } => "Deploying",
        Step::UpdateSettings { .. } => "UpdatingSettings",
        Step::Stop { .. } => "Stopping",
        Step::Continue { .. } => "Continuing",
        Step::CreateApplication { .. } | Step::CreateGroup { .. } => "CreatingGroup",
        Step::MoveTag { .. } => "MovingTag",
    }
}

fn last_deployment(facts: &Facts<'_>) -> Option<LastDeployment> {
    let current = facts.current.as_ref()?;
    let memory = facts.ours.get(&current.target);
    let history = facts.input.observed.service_deployments.known();
    let listed = history.and_then(|history| history.first());
    let newest = listed.filter(|newest| phase::id(newest) == current.id);
    // Services at rest for long have an empty list; what goes on will be in it.
    let lags = newest.is_none() && (listed.is_some() || !current.phase.is_over());
    let is_unlisted = history.is_some() && facts.code_deploy.is_none() && lags;
    let primary = facts.service.and_then(|service| service.primary());
    let applied = memory.and_then(|memory| memory.applied.as_ref());
    let started_at =
        newest.map(|newest| newest.created_at).or_else(|| primary.map(|primary| primary.created_at));
    Some(LastDeployment {
        id: (!is_unlisted).then(|| current.id.clone()),
        commit: facts.commit_of(&current.target),
        phase: current.phase,
        shift: facts.shift(current).cloned(),
        started_by: if applied.is_some() { StartedBy::Trueup } else { StartedBy::Other },
        started_at: started_at.unwrap_or_default(),
        ended_at: newest.and_then(|newest| newest.finished_at),
    })
}

/// Grouped reasons why tasks of the newest target stopped, the most frequent first.
fn causes(facts: &Facts<'_>, health: Health) -> Vec<String> {
    let Some(current) = &facts.current else { return Vec::new() };
    // A rollback that has just ended leaves a healthy service, and an alert that must say why it was needed.
    let is_news = matches!(current.phase, Phase::Failed | Phase::RolledBack) && !facts.is_recorded();
    if health != Health::Degraded && !is_news {
        return Vec::new();
    }
    let tasks = facts.input.observed.tasks.known().into_iter().flatten();
    let mut grouped: BTreeMap<String, usize> = BTreeMap::new();
    for task in tasks.filter(|task| {
        task.task_definition == current.target && task.last_status == "STOPPED" && failed(task)
    }) {
        let exits: Vec<String> = task.containers.iter().filter_map(end_of_container).collect();
        let text =
            if exits.is_empty() { task.stopped_reason.clone().unwrap_or_default() } else { exits.join("; ") };
        *grouped.entry(text).or_default() += 1;
    }
    let failure = facts.input.observed.service_deployments.known().and_then(|history| history.first());
    let failure = failure.and_then(|newest| newest.shift.as_ref()?.failure.clone());
    let mut grouped: Vec<(String, usize)> =
        grouped.into_iter().filter(|(text, _)| !text.is_empty()).collect();
    grouped.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let grouped = grouped.into_iter().map(|(text, count)| format!("{count} x {text}"));
    failure.into_iter().chain(grouped).take(5).collect()
}

/// What a container says of its end: one that never started has a reason alone.
fn end_of_container(container: &TaskContainer) -> Option<String> {
    let name = &container.name;
    match (container.exit_code, &container.reason) {
        (Some(code), Some(reason)) => Some(format!("container {name} exited with {code}, {reason}")),
        (Some(code), None) => Some(format!("container {name} exited with {code}")),
        (None, Some(reason)) => Some(format!("container {name}: {reason}")),
        (None, None) => None,
    }
}

/// Whether a stopped task says anything about its image: the scheduler and people stop healthy ones too.
fn failed(task: &Task) -> bool {
    !matches!(task.stop_code.as_deref(), Some("ServiceSchedulerInitiated" | "UserInitiated"))
}
