//! What a target has run well before, for whoever goes back to it.

use std::collections::BTreeSet;

use super::commits::{self, deployed_here};
use super::facts::Facts;
use super::input::Input;
use crate::documents::containers;
use crate::model::{Commit, Desired, InfraCommit, Millis, Observed, Phase, TaskDefinitionArn};

/// A revision with which a deployment here ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedWell {
    pub commit: Commit,
    pub revision: TaskDefinitionArn,
    /// `None` where AWS lists the deployment no more, and only our record of it is left.
    pub ended_at: Option<Millis>,
}

/// What ended well here, the newest first, each commit once; and the commits that have failed since. `observed` is a reading
/// with all that is remembered.
pub fn ended_well(
    desired: &Desired,
    observed: &Observed,
    infra_commit: Option<&InfraCommit>,
    now: Millis,
) -> Outcomes {
    Facts::new(&Input::of_reading(desired, observed, infra_commit, now)).outcomes()
}

/// What became of the commits that were deployed here, as far as AWS and our stamps tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// The newest first.
    pub well: Vec<EndedWell>,
    /// Whose last deployment here has failed.
    pub failed: BTreeSet<Commit>,
}

impl Facts<'_> {
    fn outcomes(&self) -> Outcomes {
        let listed = self.history().filter(|one| self.phase_of(one) == Phase::Succeeded);
        let listed = listed.filter_map(|one| Some((one.target.as_ref()?, one.finished_at)));
        // What AWS lists only as a source, and our record calls good.
        let recorded = deployed_here(self.service, self.history().as_slice());
        let recorded = recorded.filter(|arn| self.is_proven_by_record(arn)).map(|arn| (arn, None));
        let mut outcomes = Outcomes::default();
        for (arn, ended_at) in listed.chain(recorded) {
            let Some(commit) = self.commit_deployed(arn) else { continue };
            if self.failure_of(arn).is_some()
                || outcomes.well.iter().any(|known| known.commit.matches(&commit))
            {
                continue;
            }
            outcomes.well.push(EndedWell { commit, revision: arn.clone(), ended_at });
        }
        let failed = self.ours.keys().filter(|arn| self.failure_of(arn).is_some());
        outcomes.failed = failed.filter_map(|arn| self.commit_deployed(arn)).collect();
        outcomes.failed.retain(|failed| !outcomes.well.iter().any(|good| good.commit.matches(failed)));
        outcomes
    }

    /// As ECR names it; else as we wrote it on a revision of ours; else by the tag that the revision is written with.
    fn commit_deployed(&self, arn: &TaskDefinitionArn) -> Option<Commit> {
        let ours = || self.ours.get(arn).map(|memory| memory.commit.clone());
        let commit = self.commit_of(arn).or_else(ours).or_else(|| {
            let wanted = self.input.desired.images.first()?;
            let revision = self.revision(arn)?;
            let names = containers::of_image(wanted, &revision.input).ok()?;
            let mut images = containers::images(&revision.input);
            let (_, image) = images.find(|(name, _)| names.iter().any(|known| known == name))?;
            commits::by_tag(wanted, image)
        });
        commit.filter(|commit| !commit.as_str().is_empty())
    }
}
