//! The deployment in flight, and a newer one: whether it was replaced, how it is replaced, and what it waits for.

use serde_json::Value;

use super::facts::Facts;
use super::initiator::Initiator;
use super::phase::{self, Current, Judgement};
use super::step::{Approval, Step};
use crate::model::{DeploymentStatus, Outcome, OutcomeKind, Phase, Service, ServiceDeployment, Waiting};

impl Facts<'_> {
    /// A deployment that we stopped for a newer one did not fail.
    pub(super) fn mark_superseded(&mut self) {
        let newest = self.history().next().filter(|newest| self.was_superseded(newest)).map(phase::id);
        let Some(current) = self.current.as_mut().filter(|current| newest.as_ref() == Some(&current.id))
        else {
            return;
        };
        if current.phase.is_over() {
            if current.target == current.live_revision {
                current.live_phase = Phase::Superseded;
            }
            current.phase = Phase::Superseded;
        }
    }

    pub(super) fn was_superseded(&self, deployment: &ServiceDeployment) -> bool {
        let by_hand = deployment.shift.as_ref().is_some_and(|shift| shift.stopped_by_hand);
        let memory = deployment.target.as_ref().and_then(|target| self.ours.get(target));
        let outcome = memory.and_then(|memory| memory.outcome.as_ref());
        by_hand
            && outcome.is_some_and(|outcome| {
                outcome.result == OutcomeKind::Superseded && outcome.deployment == phase::id(deployment)
            })
    }

    /// The phase that AWS gives it, or what trueup has found it to be.
    pub(super) fn phase_of(&self, deployment: &ServiceDeployment) -> Phase {
        let (phase, id) = (phase::of(deployment), phase::id(deployment));
        if phase.is_over() && self.was_superseded(deployment) {
            return Phase::Superseded;
        }
        let is_newest = self.current.as_ref().is_some_and(|current| current.id == id);
        match self.judgement.filter(|_| is_newest) {
            Some(Judgement::Settling { .. }) => return Phase::InProgress,
            Some(Judgement::Unsteady | Judgement::Stuck) => return Phase::Failed,
            None => {}
        }
        let memory = deployment.target.as_ref().and_then(|target| self.ours.get(target));
        let recorded =
            memory.and_then(|memory| memory.outcome.as_ref()).filter(|known| known.deployment == id);
        let has_failed = recorded.is_some_and(|outcome| outcome.result == OutcomeKind::Failed);
        match phase {
            Phase::Succeeded | Phase::Superseded if has_failed => Phase::Failed,
            phase => phase,
        }
    }

    /// The deployment whose traffic shifts when somebody says so, whoever started it. Nobody can be asked before it is
    /// known that the account is the declared one.
    pub(super) fn approval(&self) -> Option<Approval> {
        self.account_is_right().ok()?;
        let current = self.current.as_ref()?;
        self.carrier.approval(current, self.shift(current))
    }

    /// The deployment in flight has not got the traffic yet: it brings what is declared and is followed, or it is stopped.
    pub(super) fn replace_before_shift(
        &self,
        current: &Current,
        rendered: &Value,
    ) -> Result<Vec<Step>, Waiting> {
        if self.hold().is_some()
            || self.equals_by_effect(&current.target, rendered)
            || self.initiator(current) == Initiator::Other
        {
            return Err(self.still_deploying(current));
        }
        // Where what is declared still has the traffic, stopping it changes nothing for users: no policy is asked.
        if !self.equals_by_effect(&current.live_revision, rendered) {
            self.may_interrupt(current)?;
        }
        let stop = self.carrier.stop(current, self.shift(current))?;
        self.running_is_known()?;
        self.newest()?;
        self.source_is_current(self.highest().as_ref())?;
        self.stop(current, stop)
    }

    /// The stamp is written before the stop: AWS reports a stopped deployment like a failed one.
    fn stop(&self, current: &Current, stop: Step) -> Result<Vec<Step>, Waiting> {
        let outcome = Outcome { result: OutcomeKind::Superseded, deployment: current.id.clone() };
        let memory = self.ours.get(&current.target);
        if memory.is_some_and(|memory| memory.outcome.as_ref() != Some(&outcome)) {
            return self.record(current, OutcomeKind::Superseded);
        }
        self.unless_just_written(vec![stop])
    }

    /// The deployment in flight has all the traffic and only waits before it ends its old tasks. Where those are what is
    /// declared, stopping it brings them back at once; any other content can be deployed only after that wait.
    pub(super) fn replace_after_shift(
        &self,
        service: &Service,
        current: &Current,
        rendered: &Value,
    ) -> Result<Option<Vec<Step>>, Waiting> {
        if current.phase.is_over() {
            return Ok(None);
        }
        let Some(end) = self.carrier.finish_early(current) else { return Ok(None) };
        let mut others = service.deployments.iter().filter(|set| set.status == DeploymentStatus::Active);
        // Should it not be rollback, a deployment brings the old content all the same.
        if others.any(|set| self.equals_by_effect(&set.task_definition, rendered)) {
            let stop = self.carrier.stop(current, self.shift(current))?;
            return self.stop(current, stop).map(Some);
        }
        self.unless_just_written(vec![end]).map(Some)
    }
}
