//! The deployment in flight, and a newer one: whether it was replaced, how it is replaced, and what it waits for.

use serde_json::Value;

use super::carriers::{Newer, Replacement, Way};
use super::facts::Facts;
use super::initiator::Initiator;
use super::phase::{self, Current, Judgement};
use super::step::{Approval, DeploymentName, Step};
use crate::documents::memory::Stamp;
use crate::model::{
    InFlight, Memory, Outcome, OutcomeKind, Pause, Phase, ServiceDeployment, Shift, Undo, Waiting, Word,
};

/// Replacements of one another in a row after which the one in flight is allowed to finish.
const MOST_REPLACEMENTS: usize = 3;

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

    /// What a person may say to the deployment that goes on: to what waits for a word whoever started it, and that one of
    /// ours is to be undone. Nobody can be asked before it is known that the account is the declared one.
    pub(super) fn approval(&self) -> Option<Approval> {
        self.account_is_right().ok()?;
        let current = self.current.as_ref()?;
        let (shift, deployment) = (self.shift(current)?, self.carrier.name_of(current)?);
        if current.phase == Phase::RollingBack {
            return None;
        }
        let answer = |pause: &Pause, word| Step::Answer {
            deployment: deployment.clone(),
            pause: pause.id.clone(),
            word,
        };
        let reject = match shift.pauses.first() {
            Some(pause) => vec![answer(pause, Word::Back)],
            None => self.brake(current, shift, &deployment),
        };
        let approve: Vec<Step> = shift.pauses.iter().map(|pause| answer(pause, Word::Go)).collect();
        if approve.is_empty() && reject.is_empty() {
            return None;
        }
        let commit = self.commit_of(&current.target);
        Some(Approval { commit, shift: shift.clone(), approve, reject })
    }

    /// A deployment of ours that waits for nobody is undone and held by a person's word.
    fn brake(&self, current: &Current, shift: &Shift, deployment: &DeploymentName) -> Vec<Step> {
        let memory = self.ours.get(&current.target);
        let is_ours = memory.is_some() && self.initiator(current) != Initiator::Other;
        if !is_ours || shift.undo != Undo::Fast {
            return Vec::new();
        }
        let outcome = Outcome { result: OutcomeKind::Failed, deployment: current.id.clone() };
        let stamp = Stamp::Outcome { outcome, generation: memory.map(Memory::generation) };
        let stamp = Step::Stamp { revision: current.target.clone(), stamp };
        vec![stamp, Step::Undo { deployment: deployment.clone() }]
    }

    /// What goes on is undone where that is the way to what is declared: back to what stands by, or out of the way of
    /// something newer.
    pub(super) fn undo_in_flight(
        &self,
        current: &Current,
        rendered: &Value,
    ) -> Result<Option<Vec<Step>>, Waiting> {
        let has_traffic = current.target == current.live_revision;
        let is_wanted = self.equals_by_effect(&current.target, rendered);
        if has_traffic && is_wanted {
            return Ok(None);
        }
        let stays = if self.hold().is_some() || is_wanted || self.initiator(current) == Initiator::Other {
            Err(self.still_deploying(current))
        } else {
            self.way_to_replace(current, self.newer(current, rendered))
        };
        match stays {
            Ok(Way::Undo) => {}
            // What else keeps the newer one from being deployed is said before that.
            Ok(Way::Start | Way::EndStandby) => return Ok(None),
            Err(_) if has_traffic => return Ok(None),
            Err(waiting) => return Err(waiting),
        }
        let Some(deployment) = self.carrier.name_of(current) else {
            return Err(self.still_deploying(current));
        };
        self.running_is_known()?;
        self.newest()?;
        self.source_is_current(self.highest().as_ref())?;
        self.undo(current, deployment, OutcomeKind::Superseded).map(Some)
    }

    /// The stamp is written before: AWS reports a stopped deployment like a failed one.
    pub(super) fn undo(
        &self,
        current: &Current,
        deployment: DeploymentName,
        result: OutcomeKind,
    ) -> Result<Vec<Step>, Waiting> {
        let outcome = Outcome { result, deployment: current.id.clone() };
        let memory = self.ours.get(&current.target);
        if memory.is_some_and(|memory| memory.outcome.as_ref() != Some(&outcome)) {
            return self.record(current, result);
        }
        self.unless_just_written(vec![Step::Undo { deployment }])
    }

    /// The deployment in flight has all the traffic, and its old tasks stand in the way of any other.
    pub(super) fn end_standby(
        &self,
        current: &Current,
        rendered: &Value,
    ) -> Result<Option<Vec<Step>>, Waiting> {
        if current.phase.is_over() {
            return Ok(None);
        }
        match self.way_to_replace(current, self.newer(current, rendered))? {
            Way::Start | Way::Undo => Ok(None),
            Way::EndStandby => match current.name.clone() {
                Some(deployment) => self.unless_just_written(vec![Step::EndStandby { deployment }]).map(Some),
                None => Err(self.still_deploying(current)),
            },
        }
    }

    /// What is declared, as the deployment in flight sees it.
    pub(super) fn newer(&self, current: &Current, rendered: &Value) -> Newer {
        let stands_by = current.stands_by.as_ref();
        let is_it = stands_by.is_some_and(|stands_by| self.equals_by_effect(stands_by, rendered));
        if is_it { Newer::StandsBy } else { Newer::Another }
    }

    /// How the deployment in flight may be replaced: one of our own by the policy, anybody else's not at all.
    pub(super) fn way_to_replace(&self, current: &Current, newer: Newer) -> Result<Way, Waiting> {
        // Where it makes no progress it has been judged, and is over.
        if self.initiator(current) == Initiator::Other {
            return Err(self.still_deploying(current));
        }
        let finishing = || Waiting::FinishingFirst { shift: self.shift(current).cloned().map(Box::new) };
        let (otherwise, way) = match self.carrier.may_be_replaced(current, self.shift(current), newer) {
            Replacement::Possible(way) => return Ok(way),
            Replacement::Impossible => return Err(finishing()),
            Replacement::AsDeclared { otherwise, way } => (otherwise, way),
        };
        // The list may not show the one in flight yet.
        let older = self.history().skip_while(|one| phase::id(one) == current.id);
        let replaced = older.take_while(|older| self.phase_of(older) == Phase::Superseded).count();
        let in_flight = match self.input.desired.policy.in_flight {
            InFlight::Unspecified => otherwise,
            declared => declared,
        };
        let finishes = in_flight == InFlight::Finish || replaced >= MOST_REPLACEMENTS;
        if finishes { Err(finishing()) } else { Ok(way) }
    }
}
