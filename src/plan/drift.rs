//! Git or another hand: whose change it is that the live content is another one.

use super::facts::Facts;
use super::memory;
use super::phase::Current;
use super::step::Why;
use crate::model::{Applied, OnDrift, Outcome, OutcomeKind, TaskDefinitionArn, TaskDefinitionSource};

impl Facts<'_> {
    /// Who changed what: the stamps tell.
    pub(super) fn why(&self, revision: Option<&TaskDefinitionArn>, current: &Current) -> Why {
        let memory = revision.and_then(|revision| self.ours.get(revision));
        let highest = self.highest();
        let stamp = memory.and_then(|memory| memory.applied.as_ref());
        let newest = stamp
            .filter(|stamp| highest.as_ref().is_some_and(|highest| stamp.generation == highest.generation));
        // A try that was asked for and has come to an end since is over.
        let retried = memory.is_some_and(|memory| {
            let ended = |outcome: &Outcome| Some(&outcome.deployment) != memory.retry.as_ref();
            memory.retry.is_some() && !memory.outcome.as_ref().is_some_and(ended)
        });
        match (newest, &highest) {
            (Some(stamp), _) if stamp.live_then == current.live => Why::Interrupted,
            (Some(_), _) if retried => Why::GitChanged,
            (Some(_), _) => Why::Drift,
            (None, Some(highest)) if self.has_brought(highest) => Why::Drift,
            (None, Some(_)) => Why::GitChanged,
            (None, None) => Why::FirstContact,
        }
    }

    /// Whether only images are owned and what is laid over, and both had already succeeded here as they are declared: then it
    /// is the rest of the task definition that has changed, by another hand.
    fn has_brought(&self, highest: &Applied) -> bool {
        if !matches!(self.input.desired.task_definition, TaskDefinitionSource::Service) {
            return false;
        }
        let last = self.ours.iter().find(|(_, memory)| memory.applied.as_ref() == Some(highest));
        last.is_some_and(|(arn, memory)| {
            let outcome = memory.outcome.as_ref().map(|outcome| outcome.result);
            outcome == Some(OutcomeKind::Succeeded)
                && self.revision(arn).is_some_and(|revision| {
                    self.runs_every_image(revision) && self.changed_by_overlay(&revision.input).is_empty()
                })
        })
    }

    /// Whether another hand has taken the service away from what is declared, and somebody wants to know.
    pub(super) fn has_drifted(&self) -> bool {
        let (Some(current), Ok(rendered)) = (&self.current, &self.rendered) else { return false };
        let desired = self.input.desired;
        if desired.policy.drift == OnDrift::Ignore {
            return false;
        }
        if self.equals_by_effect(&current.live_revision, rendered) {
            let stamp = self.ours.get(&current.live_revision).and_then(|memory| memory.settings.as_ref());
            return stamp.is_some_and(|stamp| stamp.done) && !self.settings_differences().is_empty();
        }
        let revision = self.revision_with(&memory::content_hash(&desired.target, rendered));
        let held = revision.is_some_and(|revision| self.failure_of(revision).is_some());
        let behind = self.source_is_current(self.highest().as_ref()).is_err();
        current.phase.is_over() && !held && !behind && self.why(revision, current) == Why::Drift
    }
}
