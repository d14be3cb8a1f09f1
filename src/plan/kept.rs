//! Deployments whose alerts are to arrive, and what is on record of that. For the telling: nothing is decided by it.

use std::collections::BTreeMap;

use super::decide::withheld;
use super::facts::Facts;
use super::phase;
use super::step::Step;
use crate::documents::memory::{self, Stamp};
use crate::model::{
    About, Desired, InfraCommit, LastDeployment, Mark, Matter, Memory, Millis, Owed, Phase, ReceiptRecord,
    Revision, TaskDefinitionArn,
};

/// The write that puts on record who has taken which alerts; `None` where nothing may be written, or there is no record to be kept.
/// Nothing rests on it: what is lost of it is told again.
pub fn note(
    desired: &Desired,
    now: Millis,
    revision: &Revision,
    taken: &BTreeMap<Matter, Mark>,
) -> Option<Step> {
    if withheld(desired, now).is_some() {
        return None;
    }
    let mut receipts = memory::of(revision, desired)?.applied?.receipts?;
    receipts.0.extend(taken.iter().map(|(matter, mark)| (*matter, mark.clone())));
    Some(Step::Stamp { revision: revision.arn.clone(), stamp: Stamp::Told(receipts) })
}

impl Facts<'_> {
    /// `last`: the newest deployment and the revision that it brought. With it that for which a commit is on hold, and those that ended
    /// before the newest began and are still to be told of.
    pub(super) fn kept(&self, last: Option<(&TaskDefinitionArn, &LastDeployment)>) -> Vec<ReceiptRecord> {
        let last = last.and_then(|(revision, last)| Some((revision, last.id.clone()?)));
        let held = self.hold();
        let mut kept: Vec<ReceiptRecord> = last
            .into_iter()
            .chain(held)
            .filter_map(|(revision, deployment)| self.kept_of(revision, deployment, None))
            .collect();
        let late = self.ours.iter().filter_map(|(revision, memory)| self.late(revision, memory));
        let late: Vec<ReceiptRecord> =
            late.filter(|late| kept.iter().all(|known| known.deployment != late.deployment)).collect();
        kept.extend(late);
        kept
    }

    /// What a revision of ours was stamped with.
    pub(super) fn infra_of(&self, revision: &TaskDefinitionArn) -> Option<InfraCommit> {
        self.ours.get(revision)?.applied.as_ref()?.infra_commit.clone()
    }

    /// `None`: no record is kept on the revision.
    fn kept_of(
        &self,
        revision: &TaskDefinitionArn,
        deployment: String,
        ended: Option<Phase>,
    ) -> Option<ReceiptRecord> {
        let memory = self.ours.get(revision)?;
        let receipts = memory.applied.as_ref()?.receipts.clone()?;
        let infra = self.infra_of(revision);
        Some(ReceiptRecord {
            revision: revision.clone(),
            commit: memory.commit.clone(),
            infra,
            deployment,
            ended,
            receipts,
        })
    }

    /// Whoever may register revisions can write an outcome on one: it counts where AWS says that it was deployed here.
    fn late(&self, revision: &TaskDefinitionArn, memory: &Memory) -> Option<ReceiptRecord> {
        let outcome = memory.outcome.as_ref()?;
        let listed = self.history().find(|one| phase::id(one) == outcome.deployment)?;
        let ended = self.phase_of(listed);
        let matter = match ended {
            Phase::Succeeded => Matter::Succeeded,
            Phase::Failed | Phase::RolledBack => Matter::Failed,
            _ => return None,
        };
        let late = self.kept_of(revision, outcome.deployment.clone(), Some(ended))?;
        let is_owed = late.receipts.owed(matter, &About::of(&late.deployment)) != Owed::Nobody;
        (is_owed && listed.target.as_ref() == Some(revision)).then_some(late)
    }
}
