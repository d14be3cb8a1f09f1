//! Failed deployments: how one is recorded and rolled back, to which revision, and what is held.

use std::collections::BTreeMap;

use super::commits::deployed_here;
use super::facts::Facts;
use super::initiator::Initiator;
use super::phase::{self, Current, Judgement};
use super::step::{Reply, Step, Why};
use crate::documents::{
    containers,
    memory::{self, Registration, Stamp},
};
use crate::model::{
    Commit, ContentHash, Digest, Memory, Millis, OnFailure, Outcome, OutcomeKind, Phase, Reading, Service,
    ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn, TaskDefinitionSource, TaskHealth, Traffic,
    Waiting,
};

/// How the reason begins of a task that a deployment has stopped (Amazon ECS developer guide, "stopped tasks error messages").
const SCALED_IN: &str = "Scaling activity initiated by";
/// How often a deployment is started again of which AWS shows nothing.
const MOST_UNSEEN: u32 = 2;
/// A task without a health check counts as progress once it has run this long.
const STEADY_AFTER: Millis = 120_000;

impl Facts<'_> {
    /// A failed deployment is recorded, and then rolled back where AWS does not do it.
    pub(super) fn record_and_undo_failure(
        &self,
        service: &Service,
        current: &Current,
    ) -> Result<Option<Vec<Step>>, Waiting> {
        let primary_is_target = current.live_revision == current.target;
        // Where AWS's list does not know the deployment, nothing may tell of it when its rollback is over.
        let is_silent = !self.history().any(|one| phase::id(one) == current.id);
        let failed = matches!(current.phase, Phase::Failed | Phase::RolledBack)
            || (current.phase == Phase::RollingBack && is_silent);
        let Some(memory) = self.ours.get(&current.target) else { return Ok(None) };
        let recorded = memory
            .outcome
            .as_ref()
            .is_some_and(|outcome| outcome.result == OutcomeKind::Failed && outcome.deployment == current.id);
        if failed && !recorded && memory.retry.as_ref() != Some(&current.id) {
            return Ok(Some(self.record(current, OutcomeKind::Failed)?));
        }
        if recorded && self.judgement == Some(Judgement::Stuck) && self.undoes_failures(current, memory) {
            // While it shifts traffic AWS brings back what stands by; to deploy over it would divide the traffic anew.
            if let Some(deployment) = self.carrier.name_of(current) {
                return self.undo(current, deployment, OutcomeKind::Failed).map(Some);
            }
        }
        // What AWS has rolled back is not PRIMARY any more: a reading that says so lags behind.
        let undo = recorded
            && primary_is_target
            && !matches!(current.phase, Phase::RollingBack | Phase::RolledBack)
            && self.failed_rollback().is_none()
            // The watch of a breaker or an alarm has ended with what AWS calls a success.
            && (self.judgement == Some(Judgement::Unsteady) || !self.carrier.undoes_by_itself(service))
            && self.undoes_failures(current, memory);
        if !undo {
            return Ok(None);
        }
        let good = self.last_good().filter(|good| self.failure_of(good).is_none());
        match good {
            Some(good) => Ok(Some(self.roll_back(&good, current)?)),
            // It may be on record on a revision that this look did not ask for.
            None => self.newest().map(|_| None),
        }
    }

    /// A start that came to nothing is made up for. One that AWS has answered several times and shows no trace of has failed: the
    /// list of deployments is silent, and what they were undone by was over before the next look.
    pub(super) fn start_once_more(&self, revision: &TaskDefinitionArn) -> Result<Vec<Step>, Waiting> {
        let steps = self.deploy(revision, Why::Interrupted)?;
        let (Some(recent), Some(step)) = (self.input.recent, steps.first()) else { return Ok(steps) };
        match &recent.reply {
            Some(Reply::Deploying(id)) if recent.repeated >= MOST_UNSEEN && recent.step.repeats(step) => {
                let outcome = Outcome { result: OutcomeKind::Failed, deployment: id.to_string() };
                let generation = self.ours.get(revision).map(Memory::generation);
                self.stamp(revision, Stamp::Outcome { outcome, generation })
            }
            _ => Ok(steps),
        }
    }

    /// Whether a failure of this deployment is undone by trueup: of ours, where the policy says so, and until a person says
    /// otherwise.
    fn undoes_failures(&self, current: &Current, memory: &Memory) -> bool {
        self.initiator(current) != Initiator::Other
            && memory.retry.as_ref() != Some(&current.id)
            && self.input.desired.policy.on_failure == OnFailure::Rollback
    }

    /// Whether what goes on has made no progress for longer than the deadline, and nothing at AWS would end it.
    pub(super) fn is_stuck(&self, service: &Service, current: &Current) -> bool {
        // Without the tasks nobody knows whether there was progress.
        if self.input.observed.tasks.is_unavailable() {
            return false;
        }
        let Some(primary) = service.primary() else { return false };
        let shift = self.shift(current);
        // Where traffic is shifted AWS says itself that its tasks are not there yet.
        let complete = primary.running >= service.desired_count
            && primary.failed_tasks == 0
            && shift.is_none_or(|shift| shift.traffic() == Traffic::OnNew);
        if !self.carrier.needs_deadline(service, shift) || complete {
            return false;
        }
        // Where hooks came first, its tasks had no time until AWS last told of something new.
        let since = shift.filter(|shift| shift.has_hooks_first).and_then(|shift| shift.since);
        let since = since.unwrap_or_default();
        let deadline =
            Millis::try_from(self.input.desired.policy.progress_deadline.as_millis()).unwrap_or(Millis::MAX);
        self.input.now.saturating_sub(self.last_progress(primary, current).max(since)) > deadline
    }

    /// A service that lags behind may not know of the deployment yet, which has begun all the same.
    fn last_progress(&self, primary: &crate::model::Deployment, current: &Current) -> Millis {
        let tasks = self.input.observed.tasks.known().into_iter().flatten();
        let progress = tasks.filter_map(|task| {
            // An old task that dies is replaced from its own revision: only one that is scaled in is progress.
            if task.task_definition != current.target {
                let reason = task.stopped_reason.as_deref().unwrap_or_default();
                return task.stopped_at.filter(|_| reason.starts_with(SCALED_IN));
            }
            let since = task.started_at.filter(|_| task.last_status == "RUNNING")?;
            let proven = match task.health {
                TaskHealth::Healthy => true,
                TaskHealth::Unhealthy => false,
                TaskHealth::Unknown => self.input.now - since >= STEADY_AFTER,
            };
            proven.then_some(since)
        });
        let began_at = primary.created_at.max(current.started_at);
        progress.max().unwrap_or(began_at).max(began_at)
    }

    /// Back to the last good revision; its content is registered again where the revision itself is INACTIVE.
    fn roll_back(&self, good: &TaskDefinitionArn, current: &Current) -> Result<Vec<Step>, Waiting> {
        if self.image_is_gone(good) {
            return Err(Waiting::LastGoodGone { revision: good.short().to_owned() });
        }
        let Some(revision) = self.revision(good).filter(|revision| !revision.active) else {
            return self.deploy(good, Why::Rollback);
        };
        let desired = self.input.desired;
        let content = memory::content_hash(&desired.target, &revision.input);
        self.newest()?;
        if let Some(again) = self.revision_with(&content) {
            return self.deploy(again, Why::Rollback);
        }
        let (commit, others) = match self.ours.get(good) {
            Some(memory) => (memory.commit.clone(), memory.commits.clone()),
            None => (Commit::new("unknown"), BTreeMap::new()),
        };
        let declared = self.ours.get(good).and_then(|memory| memory.declared.as_ref());
        let applied = &self.next_stamp(current, Why::Rollback);
        let registration = Registration { commit: &commit, others, content: &content, declared, applied };
        let tags = memory::registration(desired, &registration);
        self.unless_just_written(vec![Step::Register { input: revision.input.clone(), tags, commit }])
    }

    /// The revision of the last deployment here that ended well, whoever started it; else the source of the last one.
    pub(super) fn last_good(&self) -> Option<TaskDefinitionArn> {
        // Anybody may register a revision and write an outcome on it: one counts where AWS says that it was deployed here.
        let history = self.history().as_slice();
        let remembered = || {
            let done = self.ours.iter().filter(|(arn, memory)| {
                memory.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeKind::Succeeded)
                    && deployed_here(self.service, history).any(|deployed| deployed == **arn)
            });
            let generation = |memory: &Memory| memory.applied.as_ref().map(|applied| applied.generation);
            done.max_by_key(|(_, memory)| generation(memory)).map(|(arn, _)| (*arn).clone())
        };
        let source = || phase::last_source(history).cloned();
        let known = self.last_success().or_else(|| self.source_of_failed()).cloned();
        known.or_else(remembered).or_else(source)
    }

    /// Whether a digest that the revision is pinned to is no longer in the registry.
    pub(super) fn image_is_gone(&self, arn: &TaskDefinitionArn) -> bool {
        let Some(revision) = self.revision(arn) else { return false };
        let pinned: Vec<Digest> = containers::images(&revision.input)
            .filter_map(|(_, image)| image.split_once('@').map(|(_, digest)| Digest::new(digest)))
            .collect();
        let absent = |digest: &Digest| {
            self.images.iter().any(|image| image.known.get(digest) == Some(&Reading::Absent))
        };
        pinned.iter().any(absent)
    }

    /// The newest deployment, if AWS could not undo it.
    fn failed_rollback(&self) -> Option<&ServiceDeployment> {
        self.history().next().filter(|newest| newest.status == ServiceDeploymentStatus::RollbackFailed)
    }

    /// The failed deployment for which what is declared is held.
    pub(super) fn failure(&self) -> Option<String> {
        self.hold().map(|(_, id)| id)
    }

    /// The revision and the failed deployment for which what is declared is not tried again. The newest try of a declaration
    /// decides: what somebody else changed in an undeclared base, or a clean-up took away, is no reason for another one.
    pub(super) fn hold(&self) -> Option<(&TaskDefinitionArn, String)> {
        let rendered = self.rendered.as_ref().ok();
        let content = rendered.map(|rendered| memory::content_hash(&self.input.desired.target, rendered));
        let same = |(arn, memory): &(&&TaskDefinitionArn, &Memory)| {
            self.is_same_declaration(arn, memory, content.as_ref())
        };
        let tries: Vec<_> = self.ours.iter().filter(same).collect();
        let Some(newest) = tries.iter().map(|(_, memory)| memory.generation()).max() else {
            return self.forgotten_failure();
        };
        let mut newest = tries.into_iter().filter(|(_, memory)| memory.generation() == newest);
        newest.find_map(|(arn, _)| Some((*arn, self.failure_of(arn)?)))
    }

    /// The last deployment of the very images that are declared, where it failed and nobody can tell any more what it was of: its
    /// revision was deleted, or has lost some of our tags. A clean-up is no reason for another try.
    fn forgotten_failure(&self) -> Option<(&TaskDefinitionArn, String)> {
        let last = self.history().find(|one| self.brought_declared_images(one))?;
        let arn = last.target.as_ref().filter(|arn| !self.ours.contains_key(*arn))?;
        let is_forgotten = match self.input.observed.revisions.get(arn)? {
            Reading::Absent => true,
            Reading::Known(revision) => memory::is_tagged_in_part(revision),
            Reading::Unavailable(_) => false,
        };
        is_forgotten.then(|| Some((arn, self.failure_of(arn)?)))?
    }

    /// By what ECS resolved for it: of every declared image the one that is built from its commit.
    fn brought_declared_images(&self, deployment: &ServiceDeployment) -> bool {
        !self.images.is_empty()
            && self.images.iter().all(|image| {
                let built = image.built.known();
                built.is_some_and(|built| deployment.digests.values().any(|digest| built.is(digest)))
            })
    }

    /// Whether a revision was registered for what is declared now. 0.1 did not write what was declared: there, equal
    /// content is, or equal images where git declares nothing else.
    fn is_same_declaration(
        &self,
        arn: &TaskDefinitionArn,
        memory: &Memory,
        content: Option<&ContentHash>,
    ) -> bool {
        if memory.declared.is_some() {
            // Another commit may be the very image that has failed.
            let is_same = self.is_of_the_commits(memory) || content == Some(&memory.content);
            return memory.declared == self.declared && is_same;
        }
        // Where nothing can be rendered, such as for an image that is gone, the commit is all that is left.
        let Some(content) = content else { return self.is_of_the_commits(memory) };
        let only_images = matches!(self.input.desired.task_definition, TaskDefinitionSource::Service);
        *content == memory.content
            || (only_images && self.revision(arn).is_some_and(|revision| self.runs_every_image(revision)))
    }

    /// The failed deployment for which `arn` is held, unless a person asked for another try after it.
    ///
    /// A recorded failure counts until a later success is seen: a stale or shortened list errs towards holding.
    pub(super) fn failure_of(&self, arn: &TaskDefinitionArn) -> Option<String> {
        let memory = self.ours.get(arn);
        let outcome = memory.and_then(|memory| memory.outcome.as_ref());
        let recorded = outcome
            .filter(|outcome| outcome.result == OutcomeKind::Failed)
            .map(|outcome| outcome.deployment.clone());
        let entries: Vec<_> =
            self.history().filter(|deployment| deployment.target.as_ref() == Some(arn)).collect();
        let mut failure = recorded.clone();
        for (index, entry) in entries.iter().enumerate() {
            let id = phase::id(entry);
            if recorded.as_ref() == Some(&id) {
                break;
            }
            let recorded_before = |id: &String| entries[index..].iter().any(|older| phase::id(older) == *id);
            match self.phase_of(entry) {
                Phase::Succeeded if recorded.as_ref().is_none_or(recorded_before) => failure = None,
                Phase::RolledBack | Phase::Failed => failure = Some(id),
                Phase::Succeeded => {}
                _ => continue,
            }
            break;
        }
        let retried = memory.and_then(|memory| memory.retry.as_ref());
        failure.filter(|id| retried != Some(id))
    }

    pub(super) fn waiting_on_hold(&self, phase: Phase, id: String) -> Waiting {
        if let Some(rolling_back) = self.rollback_in_progress() {
            return rolling_back;
        }
        let failed = self.failed_rollback().filter(|_| phase == Phase::Failed);
        Waiting::Held {
            commit: self.input.desired.commit().clone(),
            deployment: Some(id),
            stranded: failed.map(|failed| failed.reason.clone().unwrap_or_default()),
        }
    }

    /// Whether a person asked for another try after this very failure.
    pub(super) fn is_retried(&self, revision: &TaskDefinitionArn, failed: &str) -> bool {
        self.ours.get(revision).is_some_and(|memory| memory.retry.as_deref() == Some(failed))
    }

    /// The stamp with which a person lets the held revision be tried again. It names the failed deployment, so that
    /// saying it twice is saying it once. A revision that is not ours takes no stamp: it is deployed at once. Where somebody
    /// else has undone it too often, it names what trueup deployed last: that is restored, and counted anew.
    pub(super) fn retry(&self, waiting: Option<&Waiting>) -> Option<Step> {
        if let Some(Waiting::Contested { .. }) = waiting {
            let (revision, _) = self.highest_stamp()?;
            let ended = self.ours.get(revision)?.outcome.as_ref()?.deployment.clone();
            return Some(Step::Stamp { revision: revision.clone(), stamp: Stamp::Retry(ended) });
        }
        let Some(Waiting::Held { deployment: Some(failed), .. }) = waiting else { return None };
        let held = self.ours.keys().copied().find(|arn| self.failure_of(arn).as_ref() == Some(failed));
        let Some(held) = held else {
            let live = &self.current.as_ref()?.live_revision;
            if self.forgotten_failure().is_some_and(|(_, forgotten)| forgotten == *failed) {
                // What failed takes no stamp any more. A new revision of what is declared is a try of its own.
                let rendered = self.rendered.as_ref().ok()?;
                let content = memory::content_hash(&self.input.desired.target, rendered);
                let applied = self.next_stamp(self.current.as_ref()?, Why::Retry);
                return Some(self.registration(rendered, &content, &applied));
            }
            return self.deploy(live, Why::Retry).ok()?.into_iter().next();
        };
        Some(Step::Stamp { revision: held.clone(), stamp: Stamp::Retry(failed.clone()) })
    }
}
