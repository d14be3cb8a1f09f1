//! Why the live content differs from what is declared: git has changed, or somebody outside trueup changed the service.

use serde_json::Value;

use super::commits;
use super::facts::{Facts, HISTORY, unreadable};
use super::initiator::Initiator;
use super::phase::Current;
use super::step::Why;
use crate::documents::{containers, memory};
use crate::model::{
    Commit, ContentHash, FirstContact, Memory, Millis, OnDrift, Outcome, OutcomeKind, TaskDefinitionSource,
    Waiting,
};

/// How often in a row what is declared is restored before it is left to people: two owners fight.
const MOST_ROUNDS: u32 = 3;
/// How long after somebody else's deployment it is restored: at once, and later the more often it has happened.
const PAUSES: [Millis; MOST_ROUNDS as usize] = [0, 300_000, 900_000];
/// A change that comes later than this after the last restoration is a round of its own.
const IN_A_ROW: Millis = 86_400_000;

impl Facts<'_> {
    /// Who changed what: the stamps tell. Whether first contact means that git has changed, [`Facts::git_has_changed`] says.
    pub(super) fn why(&self, content: &ContentHash, current: &Current) -> Why {
        let Some(highest) = self.highest() else { return Why::FirstContact };
        let newest = || self.ours.values().filter(|memory| memory.generation() == highest.generation);
        let Some(memory) = newest().find(|memory| memory.content == *content && self.is_declared(memory))
        else {
            return if newest().any(|memory| self.has_brought(memory) && !is_retried(memory)) {
                Why::Drift
            } else {
                Why::GitChanged
            };
        };
        let retried = is_retried(memory);
        let is_superseded =
            memory.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeKind::Superseded);
        if retried && is_spent(memory) {
            return Why::GitChanged;
        }
        if highest.live_then == current.live && !memory.has_ended() {
            return Why::Interrupted;
        }
        // What we stopped for a newer commit is declared again; a late write of ours hides what is declared.
        let undone_by_us = is_superseded || self.initiator(current) == Initiator::Late;
        if retried || undone_by_us || self.was_declared_since(current) { Why::GitChanged } else { Why::Drift }
    }

    /// Whether git had followed what somebody else did, so that what runs was declared after what is declared now had been brought.
    fn was_declared_since(&self, current: &Current) -> bool {
        self.input.observed.interim.iter().any(|commits| self.live_is_of(current, commits))
    }

    /// Whether the revision was registered for what is declared now. One by 0.1 does not say.
    fn is_declared(&self, memory: &Memory) -> bool {
        memory.declared.is_none() || memory.declared == self.declared
    }

    /// Whether what is declared had already succeeded here as another content: then it is what nobody declares that has
    /// changed, by somebody else.
    fn has_brought(&self, newest: &Memory) -> bool {
        let succeeded =
            newest.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeKind::Succeeded);
        if !succeeded || !matches!(self.input.desired.task_definition, TaskDefinitionSource::Service) {
            return false;
        }
        if newest.declared.is_some() {
            return newest.declared == self.declared && self.is_of_the_commits(newest);
        }
        let same = self.ours.iter().filter(|(_, memory)| *memory == newest);
        same.filter_map(|(arn, _)| self.revision(arn)).any(|revision| {
            self.runs_every_image(revision) && self.changed_by_overlay(&revision.input).is_empty()
        })
    }

    pub(super) fn is_of_the_commits(&self, memory: &Memory) -> bool {
        let mut images = self.input.desired.images.iter();
        images.all(|wanted| memory.commit_of(&wanted.name).matches(&wanted.commit))
    }

    /// Whether it is git that has changed where nothing of ours is stamped: what runs was declared before, or is no build of
    /// this application at all. First contact is no licence: everything else was somebody else, or nobody knows.
    pub(super) fn git_has_changed(&self, current: &Current, rendered: &Value) -> Result<bool, Waiting> {
        if self.input.desired.first_contact == FirstContact::Adopt || self.runs_a_placeholder(current) {
            return Ok(true);
        }
        let older = self.history().skip_while(|one| one.target.as_ref() == Some(&current.live_revision));
        if older.filter_map(|one| one.target.as_ref()).any(|arn| self.equals_by_effect(arn, rendered)) {
            return Ok(false);
        }
        let Some(earlier) = &self.input.observed.earlier else { return Err(Waiting::LookDeeper) };
        if earlier.declarations.iter().any(|commits| self.live_is_of(current, commits)) {
            return Ok(true);
        }
        if !earlier.is_complete {
            return Err(unreadable(HISTORY, "it does not reach back to what runs"));
        }
        Ok(false)
    }

    /// Whether no container of the live revision runs an image of the declared repositories.
    fn runs_a_placeholder(&self, current: &Current) -> bool {
        let Some(live) = self.revision(&current.live_revision) else { return false };
        let uris: Option<Vec<&str>> = self
            .images
            .iter()
            .map(|image| image.repository.known().map(|repository| repository.uri.as_str()))
            .collect();
        // A repository that cannot be read may be the one.
        let Some(uris) = uris else { return false };
        !containers::images(&live.input).any(|(_, reference)| {
            let name = reference.split('@').next().unwrap_or_default();
            uris.iter()
                .any(|uri| name == *uri || name.strip_prefix(uri).is_some_and(|rest| rest.starts_with(':')))
        })
    }

    /// Whether the images of the live revision were built from these commits.
    fn live_is_of(&self, current: &Current, commits: &std::collections::BTreeMap<String, Commit>) -> bool {
        let Some(live) = self.revision(&current.live_revision) else { return false };
        let mut images = self.input.desired.images.iter().zip(self.images);
        images.all(|(wanted, observed)| {
            let Some(declared) = commits.get(&wanted.name) else { return false };
            let found = self.live_commits(live, wanted, observed);
            found.iter().any(|commit| commit.matches(declared))
        })
    }

    /// The commits that ECR names for what a revision runs of an image, and the one in the name that it is called by.
    fn live_commits(
        &self,
        live: &crate::model::Revision,
        wanted: &crate::model::DesiredImage,
        observed: &crate::model::ObservedImage,
    ) -> Vec<Commit> {
        let mut commits = Vec::new();
        for container in self.container_names(wanted, &live.input) {
            let image = containers::images(&live.input).find(|(name, _)| *name == container);
            if let Some((_, tag)) = image.and_then(|(_, image)| image.split('@').next()?.rsplit_once(':')) {
                commits.extend(commits::commit_in_tag(wanted, tag));
            }
            if let Some(digest) = self.digest_of_container(&live.arn, &live.input, &container) {
                commits.extend(commits::commits_of_digest(wanted, observed, &digest));
            }
        }
        commits
    }

    /// Whether what somebody else undid may be restored once more, and now.
    pub(super) fn may_heal(&self, current: &Current) -> Result<(), Waiting> {
        self.may_restore(self.rounds(current), current.started_at)
    }

    /// The same after so many rounds, the last of which began then.
    pub(super) fn may_restore(&self, rounds: u32, since: Millis) -> Result<(), Waiting> {
        let Some(pause) = usize::try_from(rounds).ok().and_then(|rounds| PAUSES.get(rounds)) else {
            return Err(Waiting::Contested { rounds });
        };
        let until = since.saturating_add(*pause);
        if self.input.now < until { Err(Waiting::HealingPaused { until }) } else { Ok(()) }
    }

    /// How often in a row somebody else has already undone what is declared.
    pub(super) fn rounds(&self, current: &Current) -> u32 {
        let highest = self.highest();
        let recent = highest
            .filter(|applied| applied.at.is_some_and(|at| current.started_at.saturating_sub(at) <= IN_A_ROW));
        recent.map_or(0, |applied| applied.rounds)
    }

    /// Whether somebody else has taken the service away from what is declared, and somebody wants to know.
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
        // The commit tag was taken elsewhere, and the service is as it was deployed.
        if self.moved_commit_tags().any(|moved| matches!(moved, Waiting::CommitTagMoved(moved) if moved.revision == current.live_revision)) {
            return false;
        }
        let content = memory::content_hash(&desired.target, rendered);
        let behind = self.source_is_current(self.highest().as_ref()).is_err();
        let by_another_hand = || match self.why(&content, current) {
            Why::FirstContact => self.git_has_changed(current, rendered) == Ok(false),
            why => why == Why::Drift,
        };
        current.phase.is_over() && self.hold().is_none() && !behind && by_another_hand()
    }
}

/// Whether a person asked for another try that has not come to an end since.
fn is_retried(memory: &Memory) -> bool {
    let ended =
        memory.outcome.as_ref().is_some_and(|outcome| Some(&outcome.deployment) != memory.retry.as_ref());
    memory.retry.is_some() && !ended
}

/// Whether the deployment that the stamp was written for has been. 0.1 recorded outcomes without saying after which
/// stamp, and wrote stamps without a time: there, any outcome is about the stamp at hand.
pub(super) fn is_spent(memory: &Memory) -> bool {
    let by_older = memory.applied.as_ref().is_some_and(|applied| applied.at.is_none());
    let by_older_too = |outcome: &Outcome| by_older && !memory.has_brought(&outcome.deployment);
    memory.has_ended() || memory.outcome.as_ref().is_some_and(by_older_too)
}
