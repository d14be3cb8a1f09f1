//! Who started a deployment. The stamp says so, not the revision: anybody can deploy a revision of ours.
//!
//! Before each deployment trueup stamps its target. Ours is the first deployment to that revision after the stamp; so
//! is the one that goes back to the last good revision right after a failure that we recorded. Everything else was
//! started outside trueup, and is never stopped.

use super::facts::Facts;
use super::phase::{self, Current};
use crate::model::{Memory, Millis, OutcomeKind, Phase, ServiceDeployment, StartedBy};

/// Times of a stamp, of `deployments[]` and of the list of service deployments come from three clocks of AWS, the first in
/// whole seconds.
const SKEW: Millis = 5_000;
/// How long after its stamp a write of ours may still arrive: longer than any client waits for an answer and tries
/// again, short against the time in which people think of going back.
const LATEST: Millis = 600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initiator {
    Ours,
    /// A write of ours that arrived after a newer one: another controller hung in it.
    Late,
    Other,
}

impl Initiator {
    pub(super) fn started_by(self) -> StartedBy {
        match self {
            Self::Ours | Self::Late => StartedBy::Trueup,
            Self::Other => StartedBy::Other,
        }
    }
}

impl Facts<'_> {
    /// Who started the newest deployment.
    pub(super) fn initiator(&self, current: &Current) -> Initiator {
        let stamped = self.ours.get(&current.target).filter(|memory| memory.applied.is_some());
        let by_stamp = stamped.map_or(Initiator::Other, |memory| self.initiator_by_stamp(current, memory));
        match by_stamp {
            Initiator::Other if self.undoes_a_failure(current) => Initiator::Ours,
            hand => hand,
        }
    }

    fn initiator_by_stamp(&self, current: &Current, memory: &Memory) -> Initiator {
        let Some(applied) = &memory.applied else { return Initiator::Other };
        // The stamp names what was live when it was written: that one began before it.
        let began_before = current.target == current.live_revision && applied.live_then == current.live;
        if memory.has_brought(&current.id) {
            return Initiator::Ours;
        }
        let newest = self.highest().is_none_or(|highest| highest.generation == applied.generation);
        let Some(at) = applied.at else {
            // 0.1 did not write when. Its newest stamp is about the newest deployment, unless that only repeats one.
            let follows_another = newest && !began_before && !self.repeats_the_one_before(current);
            return if follows_another { Initiator::Ours } else { Initiator::Other };
        };
        if began_before
            || memory.has_ended()
            || self.came_between(current, at)
            || current.started_at + SKEW < at
        {
            return Initiator::Other;
        }
        match (newest, current.started_at - at <= LATEST) {
            (true, _) => Initiator::Ours,
            (false, true) => Initiator::Late,
            (false, false) => Initiator::Other,
        }
    }

    /// Who started one that is not the newest any more: ours is the first deployment to the revision after its stamp. `None`: the
    /// stamp is of a later one.
    pub(super) fn starter_by_stamp(&self, one: &ServiceDeployment, memory: &Memory) -> Option<StartedBy> {
        let at = memory.applied.as_ref()?.at?;
        let since = |one: &&ServiceDeployment| one.created_at + SKEW >= at;
        let mut of_revision = self.history().filter(|other| other.target == one.target);
        let first = of_revision.rfind(since)?;
        let is_in_time = one.created_at - at <= LATEST;
        let by = if phase::id(first) == phase::id(one) && is_in_time {
            StartedBy::Trueup
        } else {
            StartedBy::Other
        };
        since(&one).then_some(by)
    }

    /// Whether another deployment to the same revision began after the stamp and before the newest one.
    fn came_between(&self, current: &Current, at: Millis) -> bool {
        self.history().any(|one| {
            one.target.as_ref() == Some(&current.target)
                && phase::id(one) != current.id
                && one.created_at + SKEW >= at
                && one.created_at + SKEW < current.started_at
        })
    }

    /// Whether the newest deployment brings back what was good, right after a failure that we have recorded and AWS has not
    /// undone.
    fn undoes_a_failure(&self, current: &Current) -> bool {
        let mut older = self.history().skip_while(|one| phase::id(one) == current.id);
        let Some(before) = older.next().filter(|before| !phase::is_undone_by_aws(before)) else {
            return false;
        };
        let good = older.find(|one| self.phase_of(one) == Phase::Succeeded);
        let brings_it = good.is_none_or(|good| good.target.as_ref() == Some(&current.target));
        brings_it && before.target.as_ref() != Some(&current.target) && self.recorded_as_failed(before)
    }

    fn recorded_as_failed(&self, deployment: &ServiceDeployment) -> bool {
        let memory = deployment.target.as_ref().and_then(|target| self.ours.get(target));
        memory.and_then(|memory| memory.outcome.as_ref()).is_some_and(|outcome| {
            outcome.result == OutcomeKind::Failed && outcome.deployment == phase::id(deployment)
        })
    }

    fn repeats_the_one_before(&self, current: &Current) -> bool {
        let before = self.history().find(|one| phase::id(one) != current.id);
        before.is_some_and(|before| before.target.as_ref() == Some(&current.target))
    }
}
