//! What is left to do where the declared content is live: it is recorded, its settings are applied, and its tags move.

use super::facts::{Facts, unreadable};
use super::phase::Current;
use super::steady::Judgement;
use super::step::{Step, Why};
use super::{memory, service_settings};
use crate::model::{
    Memory, MoveTag, ObservedImage, OnDrift, Outcome, OutcomeKind, Phase, Reading, Service, SettingsStamp,
    Waiting,
};

/// How often settings are sent again whose effect is not seen.
const MOST_REPEATED: u32 = 2;

impl Facts<'_> {
    /// The live or coming content is the desired one.
    pub(super) fn arrived(&self, current: &Current) -> Result<Vec<Step>, Waiting> {
        let live = &current.live_revision;
        match (current.live_phase, self.failure_of(live)) {
            (Phase::Succeeded | Phase::Superseded, None) => self.is_steady(current)?,
            (phase, Some(id)) if phase.is_over() => return Err(self.held(phase, id)),
            (Phase::Failed | Phase::RolledBack, None) if self.is_retried(live, &current.id) => {
                return self.deploy(live, Why::Retry);
            }
            (phase @ (Phase::Failed | Phase::RolledBack), None) => {
                return Err(self.held(phase, current.id.clone()));
            }
            _ => return Err(self.following(current)),
        }
        if let Some(memory) = self.ours.get(live) {
            let highest = self.highest();
            if memory.applied.as_ref().map(|applied| applied.generation)
                < highest.map(|applied| applied.generation)
            {
                return self.stamp(live, memory::applied_tag(&self.next_stamp(current)));
            }
            let sent = self.input.desired.service_settings.as_ref();
            let sent =
                sent.map(|settings| SettingsStamp { hash: service_settings::hash(settings), done: true });
            if let Some(sent) = sent.filter(|sent| memory.settings.as_ref() != Some(sent)) {
                return self.stamp(live, memory::settings_tag(&sent));
            }
            let told =
                memory.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeKind::Succeeded);
            if !told && self.is_proven() {
                let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: current.id.clone() };
                return self.stamp(live, memory::outcome_tag(&outcome));
            }
        }
        self.move_tags()
    }

    fn is_steady(&self, current: &Current) -> Result<(), Waiting> {
        let Some(Judgement::Settling { until }) = self.judgement else { return Ok(()) };
        self.running_is_known()?;
        let commit = self.ours.get(&current.target).map(|memory| memory.commit.clone());
        Err(Waiting::Settling { commit, steady: self.input.desired.policy.steady, until })
    }

    /// Our revision is live and the service's own fields differ from what is declared. The stamp says whether they were
    /// never sent, sent and not seen yet, or seen and changed by another hand since.
    pub(super) fn apply_settings(
        &self,
        service: &Service,
        current: &Current,
        memory: &Memory,
    ) -> Result<Vec<Step>, Waiting> {
        self.may_interrupt(service, current)?;
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
                let by_code_deploy = self.code_deploy.is_some();
                let steps =
                    if by_code_deploy { self.update_settings() } else { self.deploy(live, Why::GitChanged) }?;
                self.settings_are_taken(&steps)?;
                Ok(steps)
            }
            _ => self.stamp(live, memory::settings_tag(&SettingsStamp { hash: declared, done: false })),
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

    fn move_tags(&self) -> Result<Vec<Step>, Waiting> {
        let desired = self.input.desired;
        if desired.policy.move_tag == MoveTag::Never || !self.is_proven() {
            return Err(Waiting::Settled);
        }
        let mut steps = Vec::new();
        for (wanted, observed) in desired.images.iter().zip(self.images) {
            let Some(built) = observed.built.known() else { continue };
            match &observed.tagged {
                Reading::Known(tagged) if tagged.digest == built.digest => continue,
                Reading::Unavailable(why) => return Err(unreadable("the environment tag", why)),
                Reading::Known(_) | Reading::Absent => {}
            }
            // Where trueup never deployed anything, the tag is somebody else's.
            if self.highest().is_none() && desired.policy.drift != OnDrift::Heal {
                self.newest()?;
                return Err(Waiting::Settled);
            }
            if let Some(with) = self.input.tag_blockers.get(&wanted.repository) {
                return Err(Waiting::TagShared {
                    tag: desired.environment_tag.to_string(),
                    with: with.clone(),
                });
            }
            self.tag_can_move(observed)?;
            steps.push(Step::MoveTag {
                repository: wanted.repository.clone(),
                digest: built.digest.clone(),
                tag: desired.environment_tag.clone(),
            });
        }
        if steps.is_empty() {
            return Err(Waiting::Settled);
        }
        self.once(steps)
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
