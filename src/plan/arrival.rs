//! What remains to be done where the declared content is live: it is recorded, its settings are applied, and its tags move.

use std::collections::BTreeMap;

use super::carriers::Newer;
use super::drift::is_spent;
use super::facts::{Facts, unreadable};
use super::initiator::Initiator;
use super::phase::{self, Current, Judgement};
use super::step::{Step, Why};
use crate::documents::{containers, memory::Stamp, service_settings};
use crate::model::{
    DesiredImage, Digest, Memory, MoveTag, ObservedImage, OnDrift, OutcomeKind, Phase, Reading,
    RepositoryName, ServiceDeployment, SettingsStamp, TaskDefinitionArn, Waiting,
};

/// How often settings are sent again whose effect is not seen.
const MOST_REPEATED: u32 = 2;

impl Facts<'_> {
    /// The live or coming content is the desired one.
    pub(super) fn finish_after_deploy(&self, current: &Current) -> Result<Vec<Step>, Waiting> {
        let live = &current.live_revision;
        match (current.live_phase, self.failure_of(live)) {
            (Phase::Succeeded | Phase::Superseded, None) => self.is_steady(current)?,
            (phase, Some(id)) if phase.is_over() => return Err(self.waiting_on_hold(phase, id)),
            (Phase::Failed | Phase::RolledBack, None) if self.is_retried(live, &current.id) => {
                return self.retry_what_is_live(current);
            }
            (phase @ (Phase::Failed | Phase::RolledBack), None) => {
                return Err(self.waiting_on_hold(phase, current.id.clone()));
            }
            _ => return Err(self.still_deploying(current)),
        }
        if let Some(memory) = self.ours.get(live) {
            let highest = self.highest();
            if memory.applied.as_ref().map(|applied| applied.generation)
                < highest.map(|applied| applied.generation)
            {
                let stamp = self.next_stamp(current, Why::Interrupted);
                return self.stamp(live, Stamp::Applied(stamp));
            }
            let sent = self.input.desired.service_settings.as_ref();
            let sent =
                sent.map(|settings| SettingsStamp { hash: service_settings::hash(settings), done: true });
            if let Some(sent) = sent.filter(|sent| memory.settings.as_ref() != Some(sent)) {
                return self.stamp(live, Stamp::Settings(sent));
            }
        }
        // What runs is on the tag now, but nothing more of the commit could be deployed.
        self.commit_tags_stand(current)?;
        self.move_tags(current)
    }

    /// Another try of the very revision that is live. Like any deployment of ours it is stamped first.
    fn retry_what_is_live(&self, current: &Current) -> Result<Vec<Step>, Waiting> {
        let live = &current.live_revision;
        if self.ours.get(live).is_some_and(is_spent) {
            return self.stamp(live, Stamp::Applied(self.next_stamp(current, Why::Retry)));
        }
        self.deploy(live, Why::Retry)
    }

    /// What runs has ended well: that is recorded and its tags move, whatever is declared by now. What keeps a tag from
    /// moving keeps nothing else from being done.
    pub(super) fn record_and_tag_success(&self, current: &Current) -> Result<Option<Vec<Step>>, Waiting> {
        let Some(memory) = self.ours.get(&current.live_revision).filter(|_| self.is_good(current)) else {
            return Ok(None);
        };
        if self.commit_tags_stand(current).is_err()
            || self.source_is_current(self.highest().as_ref()).is_err()
        {
            return Ok(None);
        }
        let is_newest = current.target == current.live_revision;
        let outcome = memory.outcome.as_ref().filter(|outcome| outcome.result == OutcomeKind::Succeeded);
        let is_told = outcome.is_some_and(|outcome| {
            let is_theirs = outcome.deployment == current.id && self.initiator(current) == Initiator::Other;
            !is_newest || is_spent(memory) || is_theirs
        });
        if !is_told && self.is_proven() {
            let ended = if is_newest { Some(current.clone()) } else { self.success_of_live(current) };
            if let Some(ended) = ended {
                self.may_be_finished(memory)?;
                return self.record(&ended, OutcomeKind::Succeeded).map(Some);
            }
        }
        let moves = self.move_tags(current).ok().filter(|steps| !steps.is_empty());
        if moves.is_some() {
            self.may_be_finished(memory)?;
        }
        Ok(moves)
    }

    /// What is declared no more may be a write of ours that came too late, which only a look at the newest of ours tells.
    fn may_be_finished(&self, memory: &Memory) -> Result<(), Waiting> {
        let is_declared = memory.declared == self.declared && self.is_of_the_commits(memory);
        if is_declared { Ok(()) } else { self.newest().map(drop) }
    }

    /// Whether what is live ended well, nothing is on its way, and no write of ours has come too late.
    fn is_good(&self, current: &Current) -> bool {
        current.phase.is_over()
            && self.judgement.is_none()
            && current.live_phase == Phase::Succeeded
            && self.failure_of(&current.live_revision).is_none()
            && self.initiator(current) != Initiator::Late
    }

    /// The deployment that brought what is live again after a newer one was undone.
    fn success_of_live(&self, current: &Current) -> Option<Current> {
        let of_live = |one: &&ServiceDeployment| one.target.as_ref() == Some(&current.live_revision);
        let ended = self.history().find(|one| of_live(one) && self.phase_of(one) == Phase::Succeeded)?;
        let (id, started_at) = (phase::id(ended), ended.created_at);
        let target = current.live_revision.clone();
        Some(Current { id, target, phase: Phase::Succeeded, started_at, ..current.clone() })
    }

    /// What last succeeded here and runs, by repository: what the environment tag belongs on. Others move a tag that they
    /// share by it, so that half a reading says nothing.
    pub(super) fn good_digests(&self) -> BTreeMap<RepositoryName, Digest> {
        if self.reading_is_whole().is_err() || self.running_is_known().is_err() {
            return BTreeMap::new();
        }
        let Some(current) = self.current.as_ref().filter(|current| self.is_good(current)) else {
            return BTreeMap::new();
        };
        let memory = self.ours.get(&current.live_revision);
        let outcome = memory.and_then(|memory| memory.outcome.as_ref());
        let was_proven = outcome.is_some_and(|outcome| outcome.result == OutcomeKind::Succeeded);
        if !was_proven && !self.is_proven() {
            return BTreeMap::new();
        }
        let images = self.input.desired.images.iter().zip(self.images);
        images
            .filter_map(|(wanted, observed)| {
                let digest = self.live_digest(&current.live_revision, wanted, observed)?;
                Some((wanted.repository.clone(), digest))
            })
            .collect()
    }

    pub(super) fn is_steady(&self, current: &Current) -> Result<(), Waiting> {
        let Some(Judgement::Settling { until }) = self.judgement else { return Ok(()) };
        self.running_is_known()?;
        let commit = self.ours.get(&current.target).map(|memory| memory.commit.clone());
        let (by, steady) = (self.initiator(current).started_by(), self.input.desired.policy.steady);
        Err(Waiting::Settling { commit, by, steady, until })
    }

    /// Our revision is live and the service's own fields differ from what is declared. The stamp says whether they were
    /// never sent, sent and not seen yet, or seen and changed by somebody else since.
    pub(super) fn apply_settings(&self, current: &Current, memory: &Memory) -> Result<Vec<Step>, Waiting> {
        self.may_interrupt(current, Newer::Another)?;
        let live = &current.live_revision;
        let declared =
            self.input.desired.service_settings.as_ref().map(service_settings::hash).unwrap_or_default();
        let stamped = memory.settings.as_ref().filter(|stamp| stamp.hash == declared);
        let drifted = stamped.is_some_and(|stamp| stamp.done);
        if drifted && self.input.desired.policy.drift != OnDrift::Heal {
            return Err(Waiting::Drifted);
        }
        if let Some(why) = self.input.turn {
            return Err(Waiting::Turn { why: why.to_owned() });
        }
        match stamped {
            Some(stamp) if !stamp.done => {
                let steps = match self.settings_alone() {
                    Some(settings) => self.update_settings(settings),
                    None => self.deploy(live, Why::GitChanged),
                }?;
                self.settings_are_taken(&steps)?;
                Ok(steps)
            }
            _ => self.stamp(live, Stamp::Settings(SettingsStamp { hash: declared, done: false })),
        }
    }

    /// What AWS was sent several times and still describes otherwise it would be sent for ever.
    fn settings_are_taken(&self, steps: &[Step]) -> Result<(), Waiting> {
        let (Some(recent), Some(step)) = (self.input.recent, steps.first()) else { return Ok(()) };
        if recent.repeated < MOST_REPEATED || !recent.step.repeats(step) {
            return Ok(());
        }
        let fields = self.settings_differences().into_iter().take(3).map(|difference| difference.field);
        Err(Waiting::SettingsNotTaken { fields: fields.collect() })
    }

    /// The tag is on what last succeeded here and runs, not on what is declared. Empty where it is there, or does not move:
    /// what somebody else registered and deployed does not move it, unless what others change is restored here.
    fn move_tags(&self, current: &Current) -> Result<Vec<Step>, Waiting> {
        let desired = self.input.desired;
        let is_foreign = !self.ours.contains_key(&current.live_revision);
        if desired.policy.move_tag == MoveTag::Never
            || !self.is_proven()
            || (is_foreign && desired.policy.drift != OnDrift::Heal)
        {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for (wanted, observed) in desired.images.iter().zip(self.images) {
            let Some(digest) = self.live_digest(&current.live_revision, wanted, observed) else { continue };
            match &observed.tagged {
                Reading::Known(tagged) if tagged.digest == digest => continue,
                Reading::Unavailable(why) => return Err(unreadable("the environment tag", why)),
                Reading::Known(_) | Reading::Absent => {}
            }
            // What the registry has lost cannot be tagged.
            if observed.known.get(&digest) == Some(&Reading::Absent) {
                continue;
            }
            let peers = self.input.tag_peers.get(&wanted.repository);
            let others = peers.into_iter().flatten().find(|peer| peer.digest.as_ref() != Some(&digest));
            if let Some(peer) = others {
                let (tag, with) = (desired.environment_tag.to_string(), peer.target.to_string());
                return Err(Waiting::TagShared { tag, with });
            }
            self.tag_can_move(observed)?;
            steps.push(Step::MoveTag {
                repository: wanted.repository.clone(),
                digest,
                tag: desired.environment_tag.clone(),
            });
        }
        self.unless_just_written(steps)
    }

    /// The digest in the registry that the live revision runs of an image.
    fn live_digest(
        &self,
        live: &TaskDefinitionArn,
        wanted: &DesiredImage,
        observed: &ObservedImage,
    ) -> Option<Digest> {
        let revision = self.revision(live)?;
        let names = self.container_names(wanted, &revision.input);
        if names.is_empty() {
            return None;
        }
        if names.iter().all(|name| self.runs(live, &revision.input, name, observed)) {
            return observed.built.known().map(|image| image.digest.clone());
        }
        let name = names.first()?;
        let (_, image) = containers::images(&revision.input).find(|(known, _)| known == name)?;
        let uri = &observed.repository.known()?.uri;
        image.strip_prefix(uri.as_str()).filter(|rest| rest.starts_with(['@', ':']))?;
        let digest = self.digest_of_container(live, &revision.input, name)?;
        let all = [&observed.built, &observed.tagged].into_iter().chain(observed.known.values());
        let index = all
            .filter_map(Reading::known)
            .find(|image| image.platforms.iter().any(|platform| platform.digest.as_ref() == Some(&digest)));
        Some(index.map_or(digest, |index| index.digest.clone()))
    }

    pub(super) fn tag_can_move(&self, observed: &ObservedImage) -> Result<(), Waiting> {
        let (Some(repository), tag) = (observed.repository.known(), &self.input.desired.environment_tag)
        else {
            return Ok(());
        };
        let movable =
            self.input.desired.policy.move_tag == MoveTag::Never || repository.mutability.can_move(tag);
        if movable {
            return Ok(());
        }
        Err(Waiting::TagImmutable { repository: repository.name.to_string(), tag: tag.to_string() })
    }
}
