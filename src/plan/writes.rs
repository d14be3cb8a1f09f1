//! The writes of a decision, and what keeps one from being made twice.

use serde_json::Value;

use super::carriers::{self, Start};
use super::facts::{Facts, unreadable};
use super::initiator::Initiator;
use super::phase::Current;
use super::step::{Step, Why};
use super::windows;
use crate::documents::{
    memory::{self, Registration, Stamp},
    service_settings, tags,
};
use crate::model::{
    Applied, ContentHash, Memory, Outcome, OutcomeKind, Receipts, Service, ServiceName, TaskDefinitionArn,
    Waiting,
};

impl Facts<'_> {
    pub(super) fn registration(&self, rendered: &Value, content: &ContentHash, applied: &Applied) -> Step {
        let desired = self.input.desired;
        let others = desired.images.iter().filter(|image| image.commit != *desired.commit());
        let others = others.map(|image| (image.name.clone(), image.commit.clone())).collect();
        let (commit, declared) = (desired.commit(), self.declared.as_ref());
        let registration = Registration { commit, others, content, declared, applied };
        let tags = self.with_kept_tags(memory::registration(desired, &registration));
        Step::Register { input: rendered.clone(), tags, commit: commit.clone() }
    }

    pub(super) fn next_stamp(&self, current: &Current, why: Why) -> Applied {
        Applied {
            generation: self.highest().map_or(1, |highest| highest.generation.saturating_add(1)),
            infra_commit: self.input.infra_commit.cloned(),
            live_then: current.live.clone(),
            from: Some(current.live_revision.clone()),
            at: Some(self.input.now),
            rounds: if why == Why::Drift { self.rounds(current).saturating_add(1) } else { 0 },
            receipts: self.receipts(None),
        }
    }

    /// What is kept of the alerts from now on, where somebody receives any and there is room for it. Where nobody does any more, it
    /// says so on a revision that has such a record: nothing is to be told one day of what begins now.
    pub(super) fn receipts(&self, revision: Option<&TaskDefinitionArn>) -> Option<Receipts> {
        let desired = self.input.desired;
        let memory = revision.and_then(|revision| self.ours.get(revision)?.applied.as_ref());
        let is_there = memory.is_some_and(|applied| applied.receipts.is_some());
        let others = || match revision.and_then(|revision| self.revision(revision)) {
            Some(revision) => tags::foreign(&revision.tags).len(),
            None => self.foreign_tags().len(),
        };
        let begins =
            !desired.alerts.is_empty() && tags::has_room_for_receipts(others(), desired.images.len());
        (is_there || begins).then(|| Receipts::new(&desired.alerts))
    }

    /// The stamp with which a person makes this history the one that was applied: on the live revision, with the
    /// highest generation. Where a revision is live that is not ours, it goes to ours with the highest stamp, and keeps the
    /// deployment that was live then: what came since stays drift, and is no start that was interrupted.
    pub(super) fn accept_history(&self, waiting: Option<&Waiting>) -> Option<Step> {
        let Some(Waiting::SourceBehind { .. }) = waiting else { return None };
        let current = self.current.as_ref()?;
        let (carrier, applied) = self.highest_stamp()?;
        let next = self.next_stamp(current, Why::GitChanged);
        let live = &current.live_revision;
        let (revision, next) = if self.ours.contains_key(live) {
            (live, next)
        } else {
            (carrier, Applied { live_then: applied.live_then.clone(), ..next })
        };
        Some(Step::Stamp { revision: revision.clone(), stamp: Stamp::Applied(next) })
    }

    pub(super) fn stamp(&self, revision: &TaskDefinitionArn, stamp: Stamp) -> Result<Vec<Step>, Waiting> {
        let stamp = match stamp {
            Stamp::Applied(applied) => {
                Stamp::Applied(Applied { receipts: self.receipts(Some(revision)), ..applied })
            }
            stamp => stamp,
        };
        self.unless_just_written(vec![Step::Stamp { revision: revision.clone(), stamp }])
    }

    /// Writes down how the newest deployment ended, with the stamp that it followed where it was ours.
    pub(super) fn record(&self, current: &Current, result: OutcomeKind) -> Result<Vec<Step>, Waiting> {
        let outcome = Outcome { result, deployment: current.id.clone() };
        let generation = self.ours.get(&current.target).map(Memory::generation);
        let generation = generation.filter(|_| self.initiator(current) != Initiator::Other);
        self.stamp(&current.target, Stamp::Outcome { outcome, generation })
    }

    pub(super) fn deploy(&self, revision: &TaskDefinitionArn, why: Why) -> Result<Vec<Step>, Waiting> {
        let desired = self.input.desired;
        let service = self.service.ok_or_else(|| unreadable("the service", "it was not read"))?;
        let start = Start {
            revision,
            commit: self.commit_of(revision),
            declared: self.declared.as_ref(),
            settings: if why == Why::Rollback { None } else { self.settings_to_send(service)? },
        };
        // Whatever it is started for: a rule that leads astray has ECS start tasks among those that serve.
        if why == Why::Rollback {
            carriers::can_shift_back(service, self.input.observed)?;
        } else {
            carriers::can_shift(desired, service, self.input.observed)?;
        }
        let by = self.carrier.start(desired, service, start)?;
        let (cluster, service) = (desired.cluster.clone(), self.service_name()?);
        self.unless_just_written(vec![Step::Deploy { cluster, service, revision: revision.clone(), by, why }])
    }

    /// Of a task nobody asks.
    fn service_name(&self) -> Result<ServiceName, Waiting> {
        self.input.desired.service().cloned().ok_or(Waiting::ServiceNotActive)
    }

    /// What is sent of the declared settings where that starts no deployment.
    pub(super) fn settings_alone(&self) -> Option<Value> {
        self.carrier.settings_alone(&self.settled_settings()?, &self.service?.settings)
    }

    pub(super) fn update_settings(&self, settings: Value) -> Result<Vec<Step>, Waiting> {
        let (cluster, service) = (self.input.desired.cluster.clone(), self.service_name()?);
        self.unless_just_written(vec![Step::UpdateSettings { cluster, service, settings }])
    }

    /// Those that `UpdateService` accepts of this service.
    pub(super) fn declared_settings(&self) -> Option<Value> {
        Some(self.carrier.service_settings(self.settled_settings()?))
    }

    /// A changed strategy goes along with the deployment that is started anyway.
    fn settings_to_send(&self, service: &Service) -> Result<Option<Value>, Waiting> {
        let declared = self.settled_settings();
        let settings = declared.map(|declared| service_settings::to_send(&declared, &service.settings));
        let strategy = carriers::strategy_to_send(self.input.desired, service, self.input.observed)?;
        Ok(match (settings, strategy) {
            (Some(Value::Object(mut settings)), Some(Value::Object(strategy))) => {
                settings.extend(strategy);
                Some(Value::Object(settings))
            }
            (settings, strategy) => strategy.or(settings),
        })
    }

    /// Nothing of a kind is written again inside its window. A write whose effect stays unseen waits twice as long each
    /// time: reads that lag behind for long must not fill a family with revisions.
    pub(super) fn unless_just_written(&self, steps: Vec<Step>) -> Result<Vec<Step>, Waiting> {
        let (Some(recent), Some(step)) = (self.input.recent, steps.first()) else { return Ok(steps) };
        let doublings = recent.repeated.min(windows::MOST_DOUBLINGS);
        let age = self.input.now.saturating_sub(recent.at) >> doublings;
        let what = match (&recent.step, step) {
            (Step::Register { .. }, _) if age < windows::REGISTRATION => "the new revision",
            (Step::Stamp { .. }, Step::Stamp { .. }) if recent.step.repeats(step) && age < windows::STAMP => {
                "the stamp"
            }
            (Step::Deploy { revision: one, .. }, Step::Deploy { revision: two, .. })
                if one == two && age < windows::DEPLOYMENT =>
            {
                "the deployment"
            }
            (
                Step::UpdateSettings { .. }
                | Step::Undo { .. }
                | Step::Answer { .. }
                | Step::EndStandby { .. }
                | Step::CreateApplication { .. }
                | Step::CreateGroup { .. },
                _,
            ) if recent.step == *step && age < windows::DEPLOYMENT => "what was asked for",
            (
                Step::Retarget { schedule: one, revision: first, .. },
                Step::Retarget { schedule: two, revision, .. },
            ) if (one, first) == (two, revision) && age < windows::SCHEDULE => "the schedule",
            (Step::Run { .. } | Step::StopRun { .. }, _) if recent.step == *step && age < windows::RUN => {
                "the task"
            }
            (Step::MoveTag { .. }, Step::MoveTag { .. }) if recent.step == *step && age < windows::TAG => {
                "the tag"
            }
            _ => return Ok(steps),
        };
        Err(Waiting::Consistency { what })
    }
}
