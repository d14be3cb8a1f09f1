//! What is said of a task that rules and schedules start: what they run, and how its last run ended.

use std::collections::{BTreeMap, BTreeSet};

use super::Timetable;
use crate::model::{
    Condition, ConditionKind, Difference, Health, LastDeployment, LastRun, Millis, OnDrift, OutcomeKind,
    Phase, Proof, Reading, StartedBy, Status, Sync, Waiting,
};
use crate::plan::step::Step;
use crate::plan::{commits, hidden, status, waiting as words};

pub(super) fn of(
    timetable: &Timetable<'_, '_>,
    differences: &[Difference],
    next: Option<&Step>,
    waiting: Option<&Waiting>,
) -> Status {
    let facts = timetable.facts;
    let (desired, observed) = (facts.input.desired, facts.input.observed);
    let last_run = timetable.last_run().map(|run| {
        let causes = hidden::in_causes(facts, run.causes);
        LastRun { causes, ..run }
    });
    let failed = last_run.as_ref().filter(|run| run.result == OutcomeKind::Failed);
    let (sync, health) = (sync(timetable), health(timetable, failed.is_some()));
    let is_proven = last_run.as_ref().is_some_and(|run| run.result == OutcomeKind::Succeeded);
    let failing_causes = failed.map(|run| run.causes.clone()).unwrap_or_default();
    let last_deployment = last_deployment(timetable);
    let has_drifted = waiting == Some(&Waiting::Drifted) && desired.policy.drift != OnDrift::Ignore;
    Status {
        target: desired.target.clone(),
        checked_at: observed.checked_at,
        facts_checked_at: observed.facts_checked_at,
        declared: Some(desired.commit().clone()),
        stands_for: commits::stands_for(desired, &observed.images),
        tagged: None,
        deployed: facts.current.as_ref().map(|current| current.live_revision.clone()),
        running: status::running(facts),
        desired_count: 0,
        sync,
        health,
        conditions: conditions(sync, is_proven, next, waiting),
        waiting: waiting.cloned(),
        drift: if has_drifted { differences.to_vec() } else { Vec::new() },
        is_recorded: is_recorded(timetable),
        proof: if is_proven { Proof::Proven } else { Proof::Unproven },
        since: status::since(last_deployment.as_ref(), failed.map(|run| run.ended_at)),
        hold: None,
        unread: BTreeSet::new(),
        kept: facts
            .kept(facts.current.as_ref().map(|current| &current.live_revision).zip(last_deployment.as_ref())),
        last_deployment,
        failing_since: failed.map(|run| run.ended_at),
        causes: failing_causes.clone(),
        failing_causes,
        last_run,
        good: BTreeMap::new(),
        is_observed: true,
    }
}

impl Timetable<'_, '_> {
    /// Of what is live from what is declared.
    pub(super) fn differences(&self) -> Vec<Difference> {
        let unpinned = self.running().find(|arn| arn.revision().is_none());
        let unpinned = unpinned.map(|arn| Difference {
            field: "revision".to_owned(),
            live: Some(format!("the newest of {}", arn.family())),
            desired: Some("one that is named".to_owned()),
        });
        let fields = crate::documents::differences::listed(self.facts.differences());
        unpinned.into_iter().chain(fields).collect()
    }
}

fn sync(timetable: &Timetable<'_, '_>) -> Sync {
    if timetable.facts.account_is_right().is_err() || timetable.reading_is_whole().is_err() {
        return Sync::Unknown;
    }
    match timetable.schedules_fit() {
        Err(Waiting::ScheduleMissing { .. } | Waiting::ScheduleUnfit { .. }) => Sync::OutOfSync,
        Err(_) => Sync::Unknown,
        Ok(()) if timetable.facts.rendered.is_err() => Sync::Unknown,
        Ok(()) if timetable.is_as_declared() => Sync::Synced,
        Ok(()) => Sync::OutOfSync,
    }
}

/// Where some are enabled, those count.
fn health(timetable: &Timetable<'_, '_>, has_failed: bool) -> Health {
    let observed = timetable.facts.input.observed;
    let read = |name| observed.schedules.get(name);
    let names = &timetable.task.schedules;
    if names.iter().any(|name| matches!(read(name), Some(Reading::Absent))) {
        return Health::Missing;
    }
    if names.iter().any(|name| !matches!(read(name), Some(Reading::Known(_)))) {
        return Health::Unknown;
    }
    if names.iter().all(|name| timetable.is_disabled(name)) {
        return Health::Suspended;
    }
    if has_failed { Health::Degraded } else { Health::Healthy }
}

fn conditions(sync: Sync, is_proven: bool, next: Option<&Step>, waiting: Option<&Waiting>) -> Vec<Condition> {
    let condition = |kind, is_true, reason, message: String| Condition { kind, is_true, reason, message };
    let mut conditions = vec![match (sync == Sync::Synced, is_proven) {
        (true, true) => {
            condition(ConditionKind::Ready, true, "Synced", "what is declared is started".to_owned())
        }
        (true, false) => {
            let message = "no run of what is declared has ended well so far".to_owned();
            condition(ConditionKind::Ready, true, "Unproven", message)
        }
        (false, _) => {
            let why = waiting.map_or("NotSynced", words::reason);
            condition(ConditionKind::Ready, false, why, waiting.map_or_else(String::new, words::describe))
        }
    }];
    conditions.extend(status::reconciling_or_stalled(next, waiting));
    conditions
}

/// The write as a deployment: it ends well at once.
fn last_deployment(timetable: &Timetable<'_, '_>) -> Option<LastDeployment> {
    let facts = timetable.facts;
    let current = facts.current.as_ref()?;
    let brought = facts.highest_stamp().filter(|(revision, _)| **revision == current.live_revision);
    let at: Option<Millis> = brought.and_then(|(_, applied)| applied.at);
    Some(LastDeployment {
        id: Some(current.id.clone()),
        commit: facts.commit_of(&current.live_revision),
        phase: Phase::Succeeded,
        shift: None,
        started_by: if brought.is_some() { StartedBy::Trueup } else { StartedBy::Other },
        infra: brought.and_then(|(_, applied)| applied.infra_commit.clone()),
        started_at: at.unwrap_or_default(),
        ended_at: at,
        replaces: None,
        causes: Vec::new(),
    })
}

fn is_recorded(timetable: &Timetable<'_, '_>) -> bool {
    let facts = timetable.facts;
    let live = facts.current.as_ref().and_then(|current| facts.ours.get(&current.live_revision));
    live.is_none_or(crate::model::Memory::has_ended)
}
