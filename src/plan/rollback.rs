//! A rollback by trueup, reported like one by AWS: the failed deployment is rolling back, and then it has been rolled back.
//! To AWS such a rollback is a deployment like any other.

use super::facts::Facts;
use super::initiator::Initiator;
use super::phase::{self, Judgement};
use crate::model::{
    Applied, OnFailure, OutcomeKind, Phase, ServiceDeployment, StartedBy, TaskDefinitionArn, Waiting,
};

/// The failed deployment, and how its rollback goes.
pub(super) struct Rollback<'a> {
    pub id: String,
    pub target: TaskDefinitionArn,
    pub phase: Phase,
    /// As AWS lists it, where it does.
    pub listed: Option<&'a ServiceDeployment>,
}

impl Facts<'_> {
    /// The failed deployment that the newest one undoes, or that trueup is about to undo.
    pub(super) fn rollback(&self) -> Option<Rollback<'_>> {
        self.rollback_to_come().or_else(|| self.rollback_by_newest())
    }

    /// While trueup undoes a deployment there is nothing to do but to follow that.
    pub(super) fn rollback_in_progress(&self) -> Option<Waiting> {
        let rollback = self.rollback().filter(|rollback| rollback.phase == Phase::RollingBack)?;
        let commit = self.ours.get(&rollback.target).map(|memory| memory.commit.clone());
        let shift = self.current.as_ref().and_then(|current| self.shift(current)).cloned().map(Box::new);
        Some(Waiting::Deploying { phase: rollback.phase, commit, by: StartedBy::Trueup, shift })
    }

    fn rollback_to_come(&self) -> Option<Rollback<'_>> {
        let current = self.current.as_ref()?;
        self.judgement.filter(|judged| matches!(judged, Judgement::Unsteady | Judgement::Stuck))?;
        // What somebody else has deployed is left to them, even where the revision is ours.
        let is_ours = self.ours.contains_key(&current.target) && self.initiator(current) != Initiator::Other;
        let undoes = self.input.desired.policy.on_failure == OnFailure::Rollback && self.withheld().is_none();
        let good = self.last_good().filter(|good| *good != current.target)?;
        let has_way_back = self.failure_of(&good).is_none()
            && !self.image_is_gone(&good)
            && !self.is_retried(&current.target, &current.id);
        (is_ours && undoes && has_way_back).then(|| Rollback {
            id: current.id.clone(),
            target: current.target.clone(),
            phase: Phase::RollingBack,
            listed: self.listed(&current.id),
        })
    }

    /// The failed revision carries the newest stamp, and the deployment that came next is one back to what was good.
    fn rollback_by_newest(&self) -> Option<Rollback<'_>> {
        let current = self.current.as_ref()?;
        let generation = |applied: Option<&Applied>| applied.map(|applied| applied.generation);
        let newest = self.ours.iter().max_by_key(|(_, memory)| generation(memory.applied.as_ref()));
        let (failed, memory) = newest.filter(|(arn, _)| ***arn != current.target)?;
        let outcome = memory.outcome.as_ref().filter(|known| known.result == OutcomeKind::Failed)?;
        let is_next = match self.history().position(|one| phase::id(one) == outcome.deployment) {
            Some(place) => self.history().take(place).all(|later| phase::id(later) == current.id),
            None => self.history().all(|one| phase::id(one) == current.id),
        };
        let is_it = current.id != outcome.deployment
            && is_next
            && !self.is_retried(failed, &outcome.deployment)
            && !self.listed(&outcome.deployment).is_some_and(phase::is_undone_by_aws)
            && self.was_good_before(&current.target, &outcome.deployment);
        is_it.then(|| Rollback {
            id: outcome.deployment.clone(),
            target: (*failed).clone(),
            phase: self.rollback_phase(current.phase),
            listed: self.listed(&outcome.deployment),
        })
    }

    fn rollback_phase(&self, phase: Phase) -> Phase {
        match (phase, self.judgement) {
            (Phase::Succeeded, None) => Phase::RolledBack,
            (Phase::Succeeded | Phase::InProgress | Phase::Pending, _) => Phase::RollingBack,
            (other, _) => other,
        }
    }

    /// Whether the revision is one that a failed deployment may be rolled back to: it ran before, or a deployment to it ended
    /// well.
    fn was_good_before(&self, revision: &TaskDefinitionArn, failed: &str) -> bool {
        let is_source = self.listed(failed).is_some_and(|failed| failed.sources.contains(revision))
            || self.source_of_failed() == Some(revision);
        let succeeded = || {
            let older = self.history().skip_while(|one| phase::id(one) != failed).skip(1);
            older
                .filter(|one| one.target.as_ref() == Some(revision))
                .any(|one| self.phase_of(one) == Phase::Succeeded)
        };
        is_source || self.is_proven_by_record(revision) || succeeded()
    }

    /// What was live when the newest stamp was written, if what it was written for has failed.
    pub(super) fn source_of_failed(&self) -> Option<&TaskDefinitionArn> {
        let generation = |applied: Option<&Applied>| applied.map(|applied| applied.generation);
        let newest = self.ours.iter().max_by_key(|(_, memory)| generation(memory.applied.as_ref()));
        let (stamped, memory) = newest?;
        let failed = memory.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeKind::Failed);
        let from = memory.applied.as_ref()?.from.as_ref()?;
        (failed && from != *stamped && self.failure_of(from).is_none()).then_some(from)
    }

    fn listed(&self, id: &str) -> Option<&ServiceDeployment> {
        self.history().find(|one| phase::id(one) == id)
    }
}
