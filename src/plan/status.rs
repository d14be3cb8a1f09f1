//! The truth about a target, from the same facts as the decision: what is declared, tagged, deployed and running.

use std::collections::{BTreeMap, BTreeSet};

use super::commits::{self, commits_of};
use super::facts::Facts;
use super::phase::Judgement;
use super::rollback::Rollback;
use super::step::Step;
use super::waiting::{describe, is_stalled, reason};
use super::{causes, phase};
use crate::documents::containers;
use crate::model::{
    Commit, CommitSource, Condition, ConditionKind, DesiredImage, Difference, Digest, Health, Hold, Image,
    LastDeployment, Millis, Mode, ObservedImage, Phase, Proof, Reading, Running, ServiceStatus, Share,
    StartedBy, Status, Sync, Target, Task, TaskDefinitionArn, Traffic, Truth, Waiting,
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
    let health = health(facts);
    let (last_deployment, failing_since) = (last_deployment(facts), facts.failing_since());
    let subject = facts.rollback().map(|rollback| rollback.target);
    let subject = subject.or_else(|| Some(facts.current.as_ref()?.target.clone()));
    Status {
        target: desired.target.clone(),
        checked_at: facts.input.observed.checked_at,
        facts_checked_at: facts.input.observed.facts_checked_at,
        declared: (!is_frozen).then(|| desired.commit().clone()),
        stands_for: commits::stands_for(desired, facts.images),
        tagged: tagged(facts),
        deployed: facts.current.as_ref().map(|current| current.live_revision.clone()),
        desired_count: facts.service.map_or(0, |service| service.desired_count),
        conditions: conditions(facts, sync, health, next, waiting),
        drift: if !is_frozen && facts.has_drifted() { differences.to_vec() } else { Vec::new() },
        is_recorded: facts.is_recorded(),
        good: facts.good_digests(),
        is_observed: true,
        proof: if facts.was_proven() { Proof::Proven } else { Proof::Unproven },
        last_run: None,
        since: since(last_deployment.as_ref(), failing_since),
        hold: hold(facts, waiting),
        unread: unread(facts),
        kept: facts.kept(subject.as_ref().zip(last_deployment.as_ref())),
        last_deployment,
        failing_since,
        failing_causes: causes::of_live(facts),
        causes: causes::of(facts, health, waiting),
        waiting: waiting.cloned(),
        running,
        sync,
        health,
    }
}

/// What is said of a frozen target of which it is not known where it runs.
pub fn unobserved(target: &Target, now: Millis) -> Status {
    let waiting = Waiting::Frozen;
    let condition =
        |kind, is_true| Condition { kind, is_true, reason: reason(&waiting), message: describe(&waiting) };
    Status {
        target: target.clone(),
        checked_at: now,
        facts_checked_at: now,
        declared: None,
        stands_for: Vec::new(),
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
        proof: Proof::Unproven,
        last_run: None,
        failing_since: None,
        failing_causes: Vec::new(),
        causes: Vec::new(),
        good: BTreeMap::new(),
        is_observed: false,
        since: None,
        hold: None,
        unread: BTreeSet::new(),
        kept: Vec::new(),
    }
}

/// What fails has failed since the first of its failures; all else is told of the newest deployment: of one that goes on since
/// when, of one that has ended when it had.
pub(super) fn since(last: Option<&LastDeployment>, failing_since: Option<Millis>) -> Option<Millis> {
    let of_last = || last.and_then(|last| last.ended_at.or(Some(last.started_at)));
    failing_since.or_else(of_last).filter(|at| *at > 0)
}

/// What was tried last and failed, also while something else keeps it from being tried again.
pub(super) fn hold(facts: &Facts<'_>, waiting: Option<&Waiting>) -> Option<Hold> {
    if facts.input.desired.mode == Mode::Frozen {
        return None;
    }
    let deployment = match waiting {
        Some(Waiting::Held { deployment, .. }) => deployment.clone(),
        _ => Some(facts.failure()?),
    };
    let listed = facts.history().find(|one| Some(phase::id(one)) == deployment);
    Some(Hold {
        commit: facts.input.desired.commit().clone(),
        since: listed.and_then(|one| one.finished_at),
        deployment,
    })
}

/// What nobody knows because it could not be read.
pub(super) fn unread(facts: &Facts<'_>) -> BTreeSet<Truth> {
    let observed = facts.input.observed;
    let is_reached = facts.account_is_right().is_ok();
    let service = !is_reached || observed.service.is_unavailable();
    // Where the image is known and its other tags are not, nobody can say which commit it is.
    let tagged = facts.images.first().is_none_or(|image| match &image.tagged {
        Reading::Known(_) => tagged(facts).is_none(),
        reading => reading.is_unavailable(),
    });
    let found = [
        (Truth::Tagged, !is_reached || tagged),
        (Truth::Deployed, service),
        (Truth::Running, service || observed.tasks.is_unavailable()),
    ];
    found.into_iter().filter(|(_, is_unread)| *is_unread).map(|(truth, _)| truth).collect()
}

fn tagged(facts: &Facts<'_>) -> Option<Commit> {
    let observed = facts.images.first()?;
    let image = observed.tagged.known()?;
    commits_of(facts.input.desired.images.first()?, observed, image).into_iter().next()
}

/// What runs, by digest, of the first image; the tasks are asked, not the tag.
pub(super) fn running(facts: &Facts<'_>) -> Vec<Running> {
    let (Some(wanted), Some(observed)) = (facts.input.desired.images.first(), facts.images.first()) else {
        return Vec::new();
    };
    let mut groups: BTreeMap<Option<Digest>, Running> = BTreeMap::new();
    // What has the name of the service in another account is another one.
    let is_here = facts.service.is_some() || facts.input.desired.service().is_none();
    let tasks = facts.input.observed.tasks.known().filter(|_| is_here);
    let all = tasks.into_iter().flatten();
    // A share is that of a revision, whatever the number of its tasks.
    let mut shared: Vec<&TaskDefinitionArn> = Vec::new();
    for task in all.filter(|task| task.is_running() || task.is_draining()) {
        let digest = digest_of(facts, task, wanted, observed);
        let group = groups.entry(digest.clone()).or_insert_with(|| {
            let (commits, source) = match &digest {
                Some(digest) => facts.commits_running(wanted, observed, digest, &task.task_definition),
                None => (Vec::new(), CommitSource::Registry),
            };
            Running { commits, source, digest, tasks: 0, draining: 0, production: None }
        });
        if !shared.contains(&&task.task_definition)
            && let Some(share) = facts.share_of(&task.task_definition)
        {
            shared.push(&task.task_definition);
            group.production = Some(group.production.map_or(share, |others| others.and(share)));
        }
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
            production: None,
        };
        groups.insert(None, unknown);
    }
    let mut running: Vec<Running> = groups.into_values().collect();
    running.sort_by_key(|group| {
        (!group.commits.iter().any(|commit| commit.matches(&wanted.commit)), std::cmp::Reverse(group.tasks))
    });
    running
}

impl Facts<'_> {
    /// What a revision gets of the production traffic while that is shifted.
    fn share_of(&self, revision: &TaskDefinitionArn) -> Option<Share> {
        let current = self.current.as_ref()?;
        let share = self.shift(current)?.production?;
        if *revision == current.target {
            return Some(share);
        }
        (current.stands_by.as_ref() == Some(revision)).then(|| share.rest())
    }
}

/// The digest of the application's container in a task; a child of the built index counts as the index.
fn digest_of(
    facts: &Facts<'_>,
    task: &Task,
    wanted: &DesiredImage,
    observed: &ObservedImage,
) -> Option<Digest> {
    let revision = facts.revision(&task.task_definition)?;
    let names = containers::of_image(wanted, &revision.input).ok().or_else(|| {
        let rendered = facts.rendered.as_ref().ok()?;
        containers::of_image(wanted, rendered).ok()
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
    let settled = current.live_phase == Phase::Succeeded && facts.judgement.is_none();
    // What has failed is not in sync, although another deployment may have begun since and it is still live.
    let good = settled && facts.failure_of(&current.live_revision).is_none();
    if differences.is_empty() && good && facts.revision(&current.live_revision).is_some() {
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

/// That of what runs: a commit that is on hold says nothing about it.
fn health(facts: &Facts<'_>) -> Health {
    if is_deleted(facts) {
        // Where the files have errors, the service may have another name or another cluster.
        let is_sure = facts.service.is_some() || facts.input.desired.mode != Mode::Frozen;
        return if is_sure { Health::Missing } else { Health::Unknown };
    }
    let Some(service) = facts.service else { return Health::Unknown };
    let rollback = facts.rollback().map(|rollback| rollback.phase);
    match rollback.or(facts.current.as_ref().map(|current| current.phase)) {
        Some(Phase::Failed | Phase::RollingBack) => Health::Degraded,
        Some(Phase::InProgress | Phase::Pending) if waits_for_a_word(facts) => Health::Suspended,
        Some(Phase::InProgress | Phase::Pending) => Health::Progressing,
        _ if facts.judgement.is_some() => Health::Progressing,
        _ if service.desired_count == 0 => Health::Suspended,
        _ if facts.failing_since().is_some() => Health::Degraded,
        _ if service.running_count >= service.desired_count => Health::Healthy,
        _ => Health::Progressing,
    }
}

/// Whether a person is waited for, before any traffic is on what is new.
fn waits_for_a_word(facts: &Facts<'_>) -> bool {
    let shift = facts.current.as_ref().and_then(|current| facts.shift(current));
    shift.is_some_and(|shift| !shift.pauses.is_empty() && shift.traffic() == Traffic::OnOld)
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
        (false, Health::Degraded) if waiting == Some(&Waiting::Settled) => {
            let why = causes::of(facts, health, waiting);
            let why = why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            condition(ConditionKind::Ready, false, "Degraded", why)
        }
        (true, Health::Suspended) => {
            condition(ConditionKind::Ready, true, "Unproven", "the desired count is 0".to_owned())
        }
        (true, _) => condition(ConditionKind::Ready, true, "Synced", "what is declared runs".to_owned()),
        (false, _) => {
            let why = waiting.map_or("NotSynced", reason);
            condition(ConditionKind::Ready, false, why, waiting.map_or_else(String::new, describe))
        }
    }];
    conditions.extend(reconciling_or_stalled(next, waiting));
    // While something else goes on, it stops nothing.
    for moved in facts.moved_commit_tags().filter(|moved| waiting != Some(moved)) {
        conditions.push(condition(ConditionKind::Stalled, false, reason(&moved), describe(&moved)));
    }
    conditions
}

/// What goes on, or that only a person can end what does not.
pub(super) fn reconciling_or_stalled(
    next: Option<&Step>,
    waiting: Option<&Waiting>,
) -> impl Iterator<Item = Condition> {
    let condition = |kind, reason, message| Condition { kind, is_true: true, reason, message };
    let reconciling = match (next, waiting) {
        (Some(step), _) => Some(condition(ConditionKind::Reconciling, step_reason(step), String::new())),
        (
            None,
            Some(waiting @ (Waiting::Deploying { .. } | Waiting::Settling { .. } | Waiting::Running { .. })),
        ) => Some(condition(ConditionKind::Reconciling, reason(waiting), describe(waiting))),
        _ => None,
    };
    let stalled = waiting.filter(|waiting| is_stalled(waiting));
    let stalled =
        stalled.map(|waiting| condition(ConditionKind::Stalled, reason(waiting), describe(waiting)));
    reconciling.into_iter().chain(stalled)
}

fn step_reason(step: &Step) -> &'static str {
    match step {
        Step::Register { .. } => "Registering",
        Step::Stamp { .. } => "Recording",
        Step::Deploy { .. } => "Deploying",
        Step::UpdateSettings { .. } => "UpdatingSettings",
        Step::Undo { .. } => "Stopping",
        Step::Answer { .. } | Step::EndStandby { .. } => "Continuing",
        Step::CreateApplication { .. } | Step::CreateGroup { .. } => "CreatingGroup",
        Step::MoveTag { .. } => "MovingTag",
        Step::Run { .. } => "Running",
        Step::Retarget { .. } => "Deploying",
        Step::StopRun { .. } => "Stopping",
    }
}

fn last_deployment(facts: &Facts<'_>) -> Option<LastDeployment> {
    let current = facts.current.as_ref()?;
    if let Some(rollback) = facts.rollback() {
        return Some(of_rollback(facts, rollback));
    }
    let history = facts.input.observed.service_deployments.known();
    let listed = history.and_then(|history| history.first());
    let newest = listed.filter(|newest| phase::id(newest) == current.id);
    // Services at rest for long have an empty list; what goes on will be in it.
    let lags = newest.is_none() && (listed.is_some() || !current.phase.is_over());
    let is_unlisted = history.is_some() && facts.carrier.has_provisional_ids() && lags;
    let primary = facts.service.and_then(|service| service.primary());
    let started_at =
        newest.map(|newest| newest.created_at).or_else(|| primary.map(|primary| primary.created_at));
    let started_by = facts.initiator(current).started_by();
    Some(LastDeployment {
        id: (!is_unlisted).then(|| current.id.clone()),
        commit: facts.commit_of(&current.target),
        phase: match facts.judgement {
            Some(Judgement::Settling { .. }) => Phase::InProgress,
            _ => current.phase,
        },
        shift: facts.shift(current).cloned(),
        started_by,
        infra: facts.infra_of(&current.target).filter(|_| started_by == StartedBy::Trueup),
        started_at: started_at.unwrap_or_default(),
        ended_at: newest.and_then(|newest| newest.finished_at),
        replaces: replaced(facts, &current.target),
        causes: causes::of_deployment(facts),
    })
}

/// What ran when a revision of ours was stamped for its deployment, unless that was to undo what another hand had done.
fn replaced(facts: &Facts<'_>, revision: &TaskDefinitionArn) -> Option<Commit> {
    let applied = facts.ours.get(revision)?.applied.as_ref().filter(|applied| applied.rounds == 0)?;
    facts.ours.get(applied.from.as_ref()?).map(|before| before.commit.clone())
}

/// To people it is one story: it failed, it is rolled back, it has been.
fn of_rollback(facts: &Facts<'_>, rollback: Rollback<'_>) -> LastDeployment {
    LastDeployment {
        id: Some(rollback.id),
        commit: facts.commit_of(&rollback.target),
        phase: rollback.phase,
        shift: None,
        started_by: StartedBy::Trueup,
        infra: facts.infra_of(&rollback.target),
        started_at: rollback.listed.map_or(0, |listed| listed.created_at),
        ended_at: rollback.listed.and_then(|listed| listed.finished_at),
        replaces: replaced(facts, &rollback.target),
        causes: causes::of_deployment(facts),
    }
}
