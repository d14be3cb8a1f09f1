//! The rules, in the order in which they are asked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::outlook::{self, Outlook};
use super::phase::{self, Current};
use super::{blue_green, diff, memory, render, service_settings, status, windows};
use crate::model::{
    Ancestry, Applied, ClusterName, CodeDeploy, Commit, ContentHash, Controller, Desired, DesiredImage,
    Difference, Digest, Image, InFlight, InfraCommit, Memory, Millis, Mode, MoveTag, NewDeployment, Observed,
    ObservedImage, OnDrift, OnFailure, Outcome, OutcomeKind, Phase, Reading, RepositoryName, Revision,
    Service, ServiceDeployment, ServiceDeploymentStatus, ServiceName, ServiceStatus, SettingsStamp, Shift,
    Stage, StartedBy, Status, Strategy, Tag, TaskDefinitionArn, TaskDefinitionSource, TaskHealth, Wait,
    Waiting,
};

/// Replacements of one another in a row after which the one in flight is allowed to finish.
const MOST_REPLACEMENTS: usize = 3;
/// How the reason begins of a task that a deployment has stopped (Amazon ECS developer guide, "stopped tasks error messages").
const SCALED_IN: &str = "Scaling activity initiated by";
/// A task without a health check counts as progress once it has run this long.
const STEADY_AFTER: Millis = 120_000;

/// All that one decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    /// The commit of the infrastructure repository that declared it; `None` for a working tree.
    pub infra_commit: Option<&'a InfraCommit>,
    /// The last write of this process for this target.
    pub recent: Option<&'a Recent>,
    /// Why this target must wait for others (`rollout` limits, `after:`).
    pub turn: Option<&'a str>,
    /// Repositories whose environment tag must not move yet, and the application that is waited for.
    pub tag_blockers: &'a BTreeMap<RepositoryName, String>,
    pub now: Millis,
}

/// A write that this process made, or may have made.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent {
    pub step: Step,
    pub at: Millis,
    /// The revision that a registration was answered with.
    pub registered: Option<TaskDefinitionArn>,
    /// How often the same write was made before without its effect being seen.
    pub repeated: u32,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Register {
        input: Value,
        tags: BTreeMap<String, String>,
        commit: Commit,
    },
    Stamp {
        revision: TaskDefinitionArn,
        key: String,
        value: String,
    },
    Deploy {
        cluster: ClusterName,
        service: ServiceName,
        revision: TaskDefinitionArn,
        by: By,
        why: Why,
    },
    /// Members of `UpdateService` alone, where that starts no deployment.
    UpdateSettings {
        cluster: ClusterName,
        service: ServiceName,
        settings: Value,
    },
    /// Stops a deployment of ours and has it undone.
    Stop {
        deployment: String,
    },
    /// Ends a wait of a deployment of ours.
    Continue {
        deployment: String,
        wait: Wait,
    },
    CreateApplication {
        application: String,
    },
    CreateGroup {
        application: String,
        group: String,
        input: Value,
    },
    MoveTag {
        repository: RepositoryName,
        digest: Digest,
        tag: Tag,
    },
}

impl Step {
    /// Whether both would leave the same behind; two registrations of one content differ in their stamps only.
    pub fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Register { input: one, .. }, Self::Register { input: two, .. }) => one == two,
            _ => self == other,
        }
    }
}

/// What carries a deployment out.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// ECS itself; members of `UpdateService` that are owned are sent in the same call.
    UpdateService {
        settings: Option<Value>,
    },
    CodeDeploy(Box<NewDeployment>),
}

/// Why a deployment is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    GitChanged,
    /// A start that was interrupted goes on.
    Interrupted,
    FirstContact,
    Drift,
    Rollback,
    /// A person asked for another try of what is live but failed: a new deployment of the same revision.
    Retry,
}

/// The writes of the two answers that a deployment waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    pub approve: Step,
    pub reject: Step,
}

/// The decision about one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is to be written, in order. Only the first is executed; then the world is read again.
    pub steps: Vec<Step>,
    /// Why nothing is written; set exactly when `steps` is empty.
    pub waiting: Option<Waiting>,
    pub differences: Vec<Difference>,
    /// What the first step leads to; set where that is a deployment.
    pub outlook: Option<Outlook>,
    /// The failed deployment for which what is declared is not tried again, on record already or not.
    pub failure: Option<String>,
    /// The write that lets a held commit be tried once more; only where it is held.
    pub retry: Option<Step>,
    /// What a person may answer; only where a deployment waits for it.
    pub approval: Option<Approval>,
    pub status: Status,
}

/// What cannot be read where nobody can tell whether the applied infra commit came first.
pub(super) const HISTORY: &str = "the history of the infrastructure repository";

/// Decides about one target.
pub fn plan(input: &Input<'_>) -> Plan {
    let facts = Facts::new(input);
    let decision = facts.decide();
    let differences = diff::listed(facts.differences());
    let (steps, waiting) = match decision {
        Ok(steps) => (steps, None),
        Err(waiting) => (Vec::new(), Some(waiting)),
    };
    let (steps, waiting) = withhold(&input.desired.mode, input.now, steps, waiting);
    let status = status::of(&facts, &differences, steps.first(), waiting.as_ref());
    let retry = facts.retry(waiting.as_ref());
    let approval = facts.approval();
    let outlook = outlook::of(&facts, steps.first(), status.tagged.as_ref());
    Plan { steps, waiting, differences, outlook, failure: facts.failure(), retry, approval, status }
}

/// `mode: observe` and `suspend` keep the decision and drop the writes.
fn withhold(
    mode: &Mode,
    now: Millis,
    steps: Vec<Step>,
    waiting: Option<Waiting>,
) -> (Vec<Step>, Option<Waiting>) {
    if steps.is_empty() {
        return (steps, waiting);
    }
    match mode {
        Mode::Apply => (steps, waiting),
        Mode::Observe => (Vec::new(), Some(Waiting::Observing)),
        Mode::Suspended { until, .. } if until.is_some_and(|until| until.saturating_mul(1000) <= now) => {
            (steps, waiting)
        }
        Mode::Suspended { reason, .. } => (Vec::new(), Some(Waiting::Suspended { reason: reason.clone() })),
    }
}

/// A reading together with what follows from it at once.
pub(super) struct Facts<'a> {
    pub input: &'a Input<'a>,
    /// `None` also where the credentials belong to another account: what has the name there is another service.
    pub service: Option<&'a Service>,
    pub current: Option<Current>,
    /// Set where CodeDeploy carries the deployments out.
    pub code_deploy: Option<CodeDeploy>,
    /// Our revisions, by ARN.
    pub ours: BTreeMap<&'a TaskDefinitionArn, Memory>,
    /// The desired images, each with the digest that the commit was first resolved to.
    pub images: Vec<ObservedImage>,
    /// The task definition that should run, or why it cannot be told.
    pub rendered: Result<Value, Waiting>,
}

impl<'a> Facts<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let observed = input.observed;
        let service = observed.service.known().filter(|_| wrong_account(input).is_none());
        let ours: BTreeMap<_, _> = observed
            .revisions
            .iter()
            .filter_map(|(arn, reading)| Some((arn, memory::of(reading.known()?, &input.desired.target)?)))
            .collect();
        let mut facts = Self {
            input,
            service,
            current: service.and_then(|service| phase::current(service, observed)),
            code_deploy: service.and_then(|service| blue_green::settings(input.desired, service)),
            ours,
            images: observed.images.clone(),
            rendered: Err(Waiting::Settled),
        };
        facts.tell_superseded();
        facts.keep_first_digests();
        facts.rendered = facts.render();
        facts
    }

    /// The digest first resolved for a commit stays: a commit tag that was moved later is a finding, not a redeploy.
    fn keep_first_digests(&mut self) {
        for (index, wanted) in self.input.desired.images.iter().enumerate() {
            let Some(uri) = self.images[index].repository.known().map(|repository| repository.uri.clone())
            else {
                continue;
            };
            let Some(digest) = self.remembered_digest(wanted, &uri) else { continue };
            if let Reading::Known(image) = &mut self.images[index].built {
                image.digest = digest;
            }
        }
    }

    fn remembered_digest(&self, wanted: &DesiredImage, uri: &str) -> Option<Digest> {
        let prefix = format!("{uri}@");
        self.ours
            .iter()
            .filter(|(_, memory)| memory.commit_of(&wanted.name).matches(&wanted.commit))
            .filter_map(|(arn, memory)| {
                let revision = self.input.observed.revisions.get(*arn)?.known()?;
                let names = render::containers(wanted, &revision.input).ok()?;
                let (_, image) = render::container_images(&revision.input)
                    .find(|(name, _)| names.iter().any(|n| n == name))?;
                Some((memory.applied.as_ref()?.generation, Digest::new(image.strip_prefix(&prefix)?)))
            })
            .max_by_key(|(generation, _)| *generation)
            .map(|(_, digest)| digest)
    }

    /// Whether a commit tag points at another digest than when the commit was first deployed.
    pub fn moved_commit_tags(&self) -> impl Iterator<Item = &DesiredImage> {
        let moved = |(index, _): &(usize, &DesiredImage)| {
            let now = self.input.observed.images.get(*index).and_then(|image| image.built.known());
            let first = self.images[*index].built.known();
            now.map(|image| &image.digest) != first.map(|image| &image.digest)
        };
        self.input.desired.images.iter().enumerate().filter(moved).map(|(_, image)| image)
    }

    /// Whether a revision of ours carries the commit: its image was there once.
    fn was_deployed(&self, wanted: &DesiredImage) -> bool {
        self.ours.values().any(|memory| memory.commit_of(&wanted.name).matches(&wanted.commit))
    }

    fn render(&self) -> Result<Value, Waiting> {
        self.images_are_there()?;
        let base = self.base()?;
        render::task_definition(self.input.desired, &self.images, &base)
    }

    fn images_are_there(&self) -> Result<(), Waiting> {
        for (wanted, observed) in self.input.desired.images.iter().zip(&self.images) {
            let repository = wanted.repository.to_string();
            let tag = wanted.commit_tag.to_string();
            match &observed.repository {
                Reading::Known(_) => {}
                Reading::Absent => return Err(Waiting::RepositoryMissing { repository }),
                Reading::Unavailable(why) => return Err(unreadable("the ECR repository", why)),
            }
            match &observed.built {
                Reading::Known(image) if image.archived => {
                    return Err(Waiting::ImageArchived { repository, tag });
                }
                Reading::Known(image) => match &observed.stated {
                    Some(Reading::Known(stated)) if stated.digest == image.digest => {}
                    Some(Reading::Unavailable(why)) => {
                        return Err(unreadable("the image that a file names", why));
                    }
                    Some(_) => return Err(Waiting::ImageDisagrees { repository, tag }),
                    None => {}
                },
                Reading::Absent if self.was_deployed(wanted) => {
                    return Err(Waiting::ImageRemoved { repository, tag });
                }
                Reading::Absent => return Err(Waiting::ImageNotBuilt { repository, tag }),
                Reading::Unavailable(why) => return Err(unreadable("the image", why)),
            }
        }
        Ok(())
    }

    fn base(&self) -> Result<Value, Waiting> {
        let revisions = &self.input.observed.revisions;
        match &self.input.desired.task_definition {
            TaskDefinitionSource::File { input, .. } => Ok(input.clone()),
            TaskDefinitionSource::Service => {
                let arn = self.last_good().or_else(|| self.ended_live());
                let arn = arn
                    .ok_or_else(|| Waiting::NoBase { why: "no deployment here ever succeeded".to_owned() })?;
                match revisions.get(&arn) {
                    Some(Reading::Known(revision)) => Ok(revision.input.clone()),
                    Some(Reading::Unavailable(why)) => Err(unreadable("the live task definition", why)),
                    Some(Reading::Absent) => Err(Waiting::NoBase { why: format!("{} is gone", arn.short()) }),
                    None => Err(unreadable("the live task definition", "this look did not ask for it")),
                }
            }
            TaskDefinitionSource::Family(family) => {
                let newest = self
                    .newest()?
                    .ok_or_else(|| Waiting::NoBase { why: format!("family {family} has no revision") })?;
                for arn in newest {
                    match revisions.get(arn) {
                        Some(Reading::Known(revision)) if !memory::is_tagged(revision) => {
                            return Ok(revision.input.clone());
                        }
                        Some(Reading::Unavailable(why)) => return Err(unreadable("the family", why)),
                        _ => {}
                    }
                }
                Err(Waiting::NoBase { why: format!("family {family} has no revision of another registrar") })
            }
        }
    }

    /// The newest revisions of the family; `None` where it has none.
    pub(super) fn newest(&self) -> Result<Option<&'a Vec<TaskDefinitionArn>>, Waiting> {
        match &self.input.observed.newest {
            Some(Reading::Known(newest)) => Ok(Some(newest)),
            Some(Reading::Absent) => Ok(None),
            Some(Reading::Unavailable(why)) => Err(unreadable("the family", why)),
            None => Err(Waiting::LookDeeper),
        }
    }

    /// What is live, once nothing goes on: where no deployment ever succeeded, nothing else describes the service.
    fn ended_live(&self) -> Option<TaskDefinitionArn> {
        let current = self.current.as_ref()?;
        (current.phase.is_over() && current.live_phase.is_over()).then(|| current.live_revision.clone())
    }

    /// Newest first.
    pub(super) fn history(&self) -> std::slice::Iter<'_, ServiceDeployment> {
        self.input.observed.service_deployments.known().map(Vec::as_slice).unwrap_or_default().iter()
    }

    /// The revision of the last deployment here that ended well, whoever started it; else the source of the last one.
    pub fn last_good(&self) -> Option<TaskDefinitionArn> {
        let remembered = || {
            let done = self.ours.iter().filter(|(_, memory)| {
                memory.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeKind::Succeeded)
            });
            let generation = |memory: &Memory| memory.applied.as_ref().map(|applied| applied.generation);
            done.max_by_key(|(_, memory)| generation(memory)).map(|(arn, _)| (*arn).clone())
        };
        let source = || phase::last_source(self.history().as_slice()).cloned();
        phase::last_success(self.history().as_slice()).cloned().or_else(remembered).or_else(source)
    }

    /// The failed deployment for which `arn` is held, unless a person asked for another try after it.
    ///
    /// A recorded failure counts until a later success is seen: a stale or shortened list errs towards holding.
    pub fn failure_of(&self, arn: &TaskDefinitionArn) -> Option<String> {
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

    fn failure(&self) -> Option<String> {
        let rendered = self.rendered.as_ref().ok()?;
        let content = memory::content_hash(&self.input.desired.target, rendered);
        self.failure_of(self.revision_with(&content)?)
    }

    fn decide(&self) -> Result<Vec<Step>, Waiting> {
        let service = self.readable_service()?;
        let current = self.current.as_ref().ok_or(Waiting::ServiceNotActive)?;
        let observed = self.input.observed;
        if let Reading::Unavailable(why) = &observed.service_deployments {
            return Err(unreadable("the service deployments", why));
        }
        if let Some((_, Reading::Unavailable(why))) =
            observed.revisions.iter().find(|(_, reading)| reading.is_unavailable())
        {
            return Err(unreadable("a task definition", why));
        }
        if let Some(steps) = self.finish_a_failure(service, current)? {
            return Ok(steps);
        }
        if current.phase == Phase::RollingBack {
            return Err(self.following(current));
        }
        let rendered = match &self.rendered {
            Ok(rendered) => rendered,
            Err(_) if !current.phase.is_over() => return Err(self.following(current)),
            Err(waiting) => return Err(waiting.clone()),
        };
        if current.target != current.live_revision && !current.phase.is_over() {
            return self.on_its_way(service, current, rendered);
        }
        if self.equals_by_effect(&current.live_revision, rendered) {
            if self.settings_differences().is_empty() {
                return self.arrived(current);
            }
            if let Some(memory) = self.ours.get(&current.live_revision) {
                return self.apply_settings(service, current, memory);
            }
        }
        self.go_there(service, current, rendered)
    }

    fn readable_service(&self) -> Result<&'a Service, Waiting> {
        let desired = self.input.desired;
        self.account_is_right()?;
        let service = match &self.input.observed.service {
            Reading::Known(service) => service,
            Reading::Absent => {
                return Err(Waiting::ServiceMissing {
                    service: desired.service.to_string(),
                    cluster: desired.cluster.to_string(),
                });
            }
            Reading::Unavailable(why) => return Err(unreadable("the service", why)),
        };
        match (service.status, service.controller) {
            (ServiceStatus::Active, Controller::External) => {
                Err(Waiting::UnsupportedController(Controller::External))
            }
            (ServiceStatus::Active, controller) => match (&desired.strategy, controller) {
                (Strategy::CodeDeploy(_), Controller::Ecs) => {
                    Err(Waiting::StrategyMismatch { declared: "codeDeploy", controller })
                }
                (Strategy::Rolling, Controller::CodeDeploy) => {
                    Err(Waiting::StrategyMismatch { declared: "rolling", controller })
                }
                _ => Ok(service),
            },
            (ServiceStatus::Draining | ServiceStatus::Inactive, _) => Err(Waiting::ServiceNotActive),
        }
    }

    pub(super) fn account_is_right(&self) -> Result<(), Waiting> {
        if let Reading::Unavailable(why) = &self.input.observed.account {
            return Err(unreadable("the account", why));
        }
        wrong_account(self.input).map_or(Ok(()), Err)
    }

    /// A failed deployment is written down, and then undone where AWS does not do it.
    fn finish_a_failure(&self, service: &Service, current: &Current) -> Result<Option<Vec<Step>>, Waiting> {
        let primary_is_target = current.live_revision == current.target;
        let stuck = self.is_stuck(service, current);
        let failed = matches!(current.phase, Phase::Failed | Phase::RolledBack) || stuck;
        let Some(memory) = self.ours.get(&current.target) else { return Ok(None) };
        let recorded = memory
            .outcome
            .as_ref()
            .is_some_and(|outcome| outcome.result == OutcomeKind::Failed && outcome.deployment == current.id);
        if failed && !recorded && memory.retry.as_ref() != Some(&current.id) {
            let outcome = Outcome { result: OutcomeKind::Failed, deployment: current.id.clone() };
            return Ok(Some(self.stamp(&current.target, memory::outcome_tag(&outcome))?));
        }
        // What AWS has rolled back is not PRIMARY any more: a reading that says so lags behind.
        let undo = recorded
            && primary_is_target
            && !matches!(current.phase, Phase::RollingBack | Phase::RolledBack)
            && self.failed_rollback().is_none()
            && !service.rolls_back_by_itself()
            && memory.retry.as_ref() != Some(&current.id)
            && self.input.desired.policy.on_failure == OnFailure::Rollback;
        if !undo {
            return Ok(None);
        }
        let good = self.last_good().filter(|good| *good != current.target && self.failure_of(good).is_none());
        match good {
            Some(good) => Ok(Some(self.roll_back(&good, current)?)),
            None => Ok(None),
        }
    }

    /// Whether a digest that the revision is pinned to is no longer in the registry.
    fn image_is_gone(&self, arn: &TaskDefinitionArn) -> bool {
        let Some(revision) = self.revision(arn) else { return false };
        let pinned: Vec<Digest> = render::container_images(&revision.input)
            .filter_map(|(_, image)| image.split_once('@').map(|(_, digest)| Digest::new(digest)))
            .collect();
        let absent = |digest: &Digest| {
            self.images.iter().any(|image| image.known.get(digest) == Some(&Reading::Absent))
        };
        pinned.iter().any(absent)
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
        let stamp = self.next_stamp(current);
        let tags = memory::registration(&desired.target, &commit, &others, &content, &stamp);
        self.once(vec![Step::Register { input: revision.input.clone(), tags, commit }])
    }

    /// No progress for longer than the deadline, and nothing at AWS that would end it.
    fn is_stuck(&self, service: &Service, current: &Current) -> bool {
        // Without the tasks nobody knows whether there was progress.
        if self.input.observed.tasks.is_unavailable() {
            return false;
        }
        let Some(primary) = service.primary() else { return false };
        let complete = primary.running >= service.desired_count && primary.failed_tasks == 0;
        // CodeDeploy has deadlines of its own for everything.
        let ends_by_itself = service.rolls_back_by_itself() || self.code_deploy.is_some();
        if current.phase != Phase::InProgress || ends_by_itself || complete {
            return false;
        }
        let deadline =
            Millis::try_from(self.input.desired.policy.progress_deadline.as_millis()).unwrap_or(Millis::MAX);
        self.input.now.saturating_sub(self.last_progress(primary)) > deadline
    }

    fn last_progress(&self, primary: &crate::model::Deployment) -> Millis {
        let tasks = self.input.observed.tasks.known().into_iter().flatten();
        let progress = tasks.filter_map(|task| {
            // An old task that dies is replaced from its own revision: only one that is scaled in is progress.
            if task.task_definition != primary.task_definition {
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
        progress.max().unwrap_or(primary.created_at).max(primary.created_at)
    }

    pub(super) fn following(&self, current: &Current) -> Waiting {
        let memory = self.ours.get(&current.target);
        Waiting::Deploying {
            phase: current.phase,
            commit: memory.map(|memory| memory.commit.clone()),
            by: if memory.is_some() { StartedBy::Trueup } else { StartedBy::Other },
            shift: self.shift(current).cloned(),
        }
    }

    /// The live or coming content is the desired one.
    fn arrived(&self, current: &Current) -> Result<Vec<Step>, Waiting> {
        let live = &current.live_revision;
        match (current.live_phase, self.failure_of(live)) {
            (Phase::Succeeded | Phase::Superseded, None) => {}
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

    /// Where the newest deployment stands, if traffic is shifted by it.
    pub fn shift(&self, current: &Current) -> Option<&Shift> {
        let newest = self.history().next().filter(|newest| phase::id(newest) == current.id)?;
        newest.shift.as_ref().filter(|shift| shift.stage != Stage::Ended)
    }

    /// The newest deployment, if AWS could not undo it.
    fn failed_rollback(&self) -> Option<&ServiceDeployment> {
        self.history().next().filter(|newest| newest.status == ServiceDeploymentStatus::RollbackFailed)
    }

    /// Whether a person asked for another try after this very failure.
    fn is_retried(&self, revision: &TaskDefinitionArn, failed: &str) -> bool {
        self.ours.get(revision).is_some_and(|memory| memory.retry.as_deref() == Some(failed))
    }

    fn held(&self, phase: Phase, id: String) -> Waiting {
        let failed = self.failed_rollback().filter(|_| phase == Phase::Failed);
        Waiting::Held {
            commit: self.input.desired.commit().clone(),
            deployment: Some(id),
            stranded: failed.map(|failed| failed.reason.clone().unwrap_or_default()),
        }
    }

    /// The stamp with which a person lets the held revision be tried again. It names the failed deployment, so that
    /// saying it twice is saying it once. A revision of another hand takes no stamp: it is deployed at once.
    fn retry(&self, waiting: Option<&Waiting>) -> Option<Step> {
        let Some(Waiting::Held { deployment: Some(failed), .. }) = waiting else { return None };
        let Some(held) = self.ours.keys().find(|arn| self.failure_of(arn).as_ref() == Some(failed)) else {
            let live = &self.current.as_ref()?.live_revision;
            return self.deploy(live, Why::Retry).ok()?.into_iter().next();
        };
        let (key, value) = memory::retry_tag(failed);
        Some(Step::Stamp { revision: (*held).clone(), key, value })
    }

    /// At least one task of the service runs: a deployment to a count of zero proves nothing.
    pub fn is_proven(&self) -> bool {
        self.service.is_some_and(|service| service.running_count > 0)
    }

    fn move_tags(&self) -> Result<Vec<Step>, Waiting> {
        let desired = self.input.desired;
        if desired.policy.move_tag == MoveTag::Never || !self.is_proven() {
            return Err(Waiting::Settled);
        }
        let mut steps = Vec::new();
        for (wanted, observed) in desired.images.iter().zip(&self.images) {
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

    fn tag_can_move(&self, observed: &ObservedImage) -> Result<(), Waiting> {
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

    /// Our revision is live and the service's own fields differ from what is declared. The stamp says whether they were
    /// never sent, sent and not seen yet, or seen and changed by another hand since.
    fn apply_settings(
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
            Some(stamp) if !stamp.done && self.code_deploy.is_some() => self.update_settings(),
            Some(stamp) if !stamp.done => self.deploy(live, Why::GitChanged),
            _ => self.stamp(live, memory::settings_tag(&SettingsStamp { hash: declared, done: false })),
        }
    }

    fn settings_to_send(&self) -> Option<Value> {
        let declared = self.input.desired.service_settings.as_ref()?;
        let live = self.service.map_or(&Value::Null, |service| &service.settings);
        Some(service_settings::to_send(declared, live))
    }

    fn settings_differences(&self) -> Vec<Difference> {
        match (self.declared_settings(), self.service) {
            (Some(declared), Some(service)) => service_settings::differences(&declared, &service.settings),
            _ => Vec::new(),
        }
    }

    /// The live content is another one: who changed what decides.
    fn go_there(&self, service: &Service, current: &Current, rendered: &Value) -> Result<Vec<Step>, Waiting> {
        let content = memory::content_hash(&self.input.desired.target, rendered);
        let revision = self.revision_with(&content);
        if let Some(id) = revision.and_then(|revision| self.failure_of(revision)) {
            return Err(self.held(current.phase, id));
        }
        self.may_interrupt(service, current)?;
        self.running_is_known()?;
        self.newest()?;
        let highest = self.highest();
        self.source_is_current(highest.as_ref())?;
        let why = self.why(revision, current);
        if why == Why::Drift && self.input.desired.policy.drift != OnDrift::Heal {
            return Err(Waiting::Drifted);
        }
        if let Some(why) = self.input.turn {
            return Err(Waiting::Turn { why: why.to_owned() });
        }
        for image in &self.images {
            self.tag_can_move(image)?;
        }
        if let Some(step) = self.group_is_ready(service)? {
            return self.once(vec![step]);
        }
        if self.code_deploy.is_some() && !current.phase.is_over() {
            return self.clear_the_way(service, current, rendered);
        }
        match (revision, why) {
            (None, _) => {
                self.is_described_as_sent(rendered, &content)?;
                self.once(vec![self.registration(rendered, &content, current)])
            }
            (Some(revision), Why::Interrupted) => self.deploy(revision, why),
            (Some(revision), _) => self.stamp(revision, memory::applied_tag(&self.next_stamp(current))),
        }
    }

    /// A revision of ours that AWS describes otherwise than it was sent would be registered again and again.
    fn is_described_as_sent(&self, rendered: &Value, content: &ContentHash) -> Result<(), Waiting> {
        let known = self.input.observed.revisions.values().filter_map(Reading::known);
        let otherwise = known
            .filter(|revision| revision.active)
            .find(|revision| memory::is_described_otherwise(revision, &self.input.desired.target, content));
        let Some(revision) = otherwise else { return Ok(()) };
        let fields = diff::task_definitions(&revision.input, rendered);
        let fields = fields.into_iter().take(3).map(|difference| difference.field).collect();
        Err(Waiting::DescribedOtherwise { revision: revision.arn.short().to_owned(), fields })
    }

    /// Who changed what: the stamps tell.
    fn why(&self, revision: Option<&TaskDefinitionArn>, current: &Current) -> Why {
        let memory = revision.and_then(|revision| self.ours.get(revision));
        let highest = self.highest();
        let stamp = memory.and_then(|memory| memory.applied.as_ref());
        let newest = stamp
            .filter(|stamp| highest.as_ref().is_some_and(|highest| stamp.generation == highest.generation));
        // A try that was asked for and has come to an end since is over.
        let retried = memory.is_some_and(|memory| {
            let ended = |outcome: &Outcome| Some(&outcome.deployment) != memory.retry.as_ref();
            memory.retry.is_some() && !memory.outcome.as_ref().is_some_and(ended)
        });
        match (newest, &highest) {
            (Some(stamp), _) if stamp.live_then == current.live => Why::Interrupted,
            (Some(_), _) if retried => Why::GitChanged,
            (Some(_), _) => Why::Drift,
            (None, Some(highest)) if self.has_brought(highest) => Why::Drift,
            (None, Some(_)) => Why::GitChanged,
            (None, None) => Why::FirstContact,
        }
    }

    /// Whether only images are owned, and those that are declared had already succeeded here: then it is the rest of the
    /// task definition that has changed, by another hand.
    fn has_brought(&self, highest: &Applied) -> bool {
        if !matches!(self.input.desired.task_definition, TaskDefinitionSource::Service) {
            return false;
        }
        let last = self.ours.iter().find(|(_, memory)| memory.applied.as_ref() == Some(highest));
        last.is_some_and(|(arn, memory)| {
            let outcome = memory.outcome.as_ref().map(|outcome| outcome.result);
            outcome == Some(OutcomeKind::Succeeded)
                && self.revision(arn).is_some_and(|revision| self.runs_every_image(revision))
        })
    }

    fn runs_every_image(&self, revision: &Revision) -> bool {
        self.input.desired.images.iter().zip(&self.images).all(|(wanted, observed)| {
            let names = render::containers(wanted, &revision.input).unwrap_or_default();
            !names.is_empty()
                && names.iter().all(|name| self.runs(&revision.arn, &revision.input, name, observed))
        })
    }

    /// Whether another hand has taken the service away from what is declared, and somebody wants to know.
    pub fn has_drifted(&self) -> bool {
        let (Some(current), Ok(rendered)) = (&self.current, &self.rendered) else { return false };
        let desired = self.input.desired;
        if desired.policy.drift == OnDrift::Ignore {
            return false;
        }
        if self.equals_by_effect(&current.live_revision, rendered) {
            let stamp = self.ours.get(&current.live_revision).and_then(|memory| memory.settings.as_ref());
            return stamp.is_some_and(|stamp| stamp.done) && !self.settings_differences().is_empty();
        }
        let revision = self.revision_with(&memory::content_hash(&desired.target, rendered));
        let held = revision.is_some_and(|revision| self.failure_of(revision).is_some());
        let behind = self.source_is_current(self.highest().as_ref()).is_err();
        current.phase.is_over() && !held && !behind && self.why(revision, current) == Why::Drift
    }

    /// Whether the outcome of the newest deployment is on record: then it has been told.
    pub fn is_recorded(&self) -> bool {
        let Some(current) = &self.current else { return true };
        let outcome = self.ours.get(&current.target).and_then(|memory| memory.outcome.as_ref());
        outcome.is_some_and(|outcome| outcome.deployment == current.id)
    }

    /// Our own deployment of something else may be replaced; anybody else's is followed until it ends.
    pub(super) fn may_interrupt(&self, service: &Service, current: &Current) -> Result<(), Waiting> {
        if current.phase.is_over() {
            return Ok(());
        }
        let ours = self.ours.contains_key(&current.target);
        if !ours {
            let stalled = self.is_stuck(service, current);
            return if stalled { Ok(()) } else { Err(self.following(current)) };
        }
        // All traffic is on it: what is left of it is only the time in which it could be undone.
        if self.code_deploy.is_some() && current.target == current.live_revision {
            let waits = self.shift(current).is_some_and(|shift| shift.stage == Stage::AwaitingTermination);
            return if waits { Ok(()) } else { Err(Waiting::FinishingFirst) };
        }
        // The list may not show the one in flight yet.
        let older = self.history().skip_while(|one| phase::id(one) == current.id);
        let replaced = older.take_while(|older| self.phase_of(older) == Phase::Superseded).count();
        let finish = match self.input.desired.policy.in_flight {
            InFlight::Finish => true,
            InFlight::Replace => false,
            InFlight::Unspecified => self.code_deploy.is_some(),
        };
        if finish || replaced >= MOST_REPLACEMENTS { Err(Waiting::FinishingFirst) } else { Ok(()) }
    }

    /// Where only the tasks tell which image a tag stood for, what was not read would look like another image.
    pub(super) fn running_is_known(&self) -> Result<(), Waiting> {
        match &self.input.observed.tasks {
            Reading::Unavailable(why) => Err(unreadable("the tasks", why)),
            Reading::Known(_) | Reading::Absent => Ok(()),
        }
    }

    pub(super) fn source_is_current(&self, highest: Option<&Applied>) -> Result<(), Waiting> {
        let (Some(applied), Some(head)) =
            (highest.and_then(|stamp| stamp.infra_commit.as_ref()), self.input.infra_commit)
        else {
            return Ok(());
        };
        match self.input.observed.ancestry.get(applied) {
            _ if applied == head => Ok(()),
            Some(Ancestry::Ancestor) => Ok(()),
            Some(Ancestry::NotAncestor) => Err(Waiting::SourceBehind { applied: applied.to_string() }),
            Some(Ancestry::Unknown) | None => Err(unreadable(HISTORY, applied.as_str())),
        }
    }

    /// The stamp with the highest generation among all revisions that were read.
    pub fn highest(&self) -> Option<Applied> {
        self.ours
            .values()
            .filter_map(|memory| memory.applied.clone())
            .max_by_key(|applied| applied.generation)
    }

    fn next_stamp(&self, current: &Current) -> Applied {
        Applied {
            generation: self.highest().map_or(1, |highest| highest.generation.saturating_add(1)),
            infra_commit: self.input.infra_commit.cloned(),
            live_then: current.live.clone(),
        }
    }

    /// Our ACTIVE revision with this content; where a race made several, the lowest: two controllers meet there.
    pub fn revision_with(&self, content: &ContentHash) -> Option<&'a TaskDefinitionArn> {
        let active = |arn: &TaskDefinitionArn| {
            self.input
                .observed
                .revisions
                .get(arn)
                .and_then(Reading::known)
                .is_some_and(|revision| revision.active)
        };
        let same = self.ours.iter().filter(|(arn, memory)| memory.content == *content && active(arn));
        same.map(|(arn, _)| *arn).min_by_key(|arn| arn.revision())
    }

    fn registration(&self, rendered: &Value, content: &ContentHash, current: &Current) -> Step {
        let desired = self.input.desired;
        let others = desired.images.iter().filter(|image| image.commit != *desired.commit());
        let others = others.map(|image| (image.name.clone(), image.commit.clone())).collect();
        let stamp = self.next_stamp(current);
        let tags = memory::registration(&desired.target, desired.commit(), &others, content, &stamp);
        Step::Register { input: rendered.clone(), tags, commit: desired.commit().clone() }
    }

    pub(super) fn stamp(
        &self,
        revision: &TaskDefinitionArn,
        (key, value): (String, String),
    ) -> Result<Vec<Step>, Waiting> {
        self.once(vec![Step::Stamp { revision: revision.clone(), key, value }])
    }

    fn deploy(&self, revision: &TaskDefinitionArn, why: Why) -> Result<Vec<Step>, Waiting> {
        let desired = self.input.desired;
        let by = match (&self.code_deploy, self.service) {
            (Some(settings), Some(service)) => {
                let commit = self.ours.get(revision).map(|memory| &memory.commit);
                let new = blue_green::new_deployment(settings, desired, service, revision, commit)?;
                By::CodeDeploy(Box::new(new))
            }
            _ => By::UpdateService { settings: self.settings_to_send().filter(|_| why != Why::Rollback) },
        };
        let (cluster, service) = (desired.cluster.clone(), desired.service.clone());
        self.once(vec![Step::Deploy { cluster, service, revision: revision.clone(), by, why }])
    }

    /// Nothing of a kind is written again inside its window. A write whose effect stays unseen waits twice as long each
    /// time: reads that lag behind for long must not fill a family with revisions.
    pub(super) fn once(&self, steps: Vec<Step>) -> Result<Vec<Step>, Waiting> {
        let (Some(recent), Some(step)) = (self.input.recent, steps.first()) else { return Ok(steps) };
        let doublings = recent.repeated.min(windows::MOST_DOUBLINGS);
        let age = self.input.now.saturating_sub(recent.at) >> doublings;
        let what = match (&recent.step, step) {
            (Step::Register { .. }, _) if age < windows::REGISTRATION => "the new revision",
            (Step::Stamp { .. }, Step::Stamp { .. }) if recent.step == *step && age < windows::STAMP => {
                "the stamp"
            }
            (Step::Deploy { revision: one, .. }, Step::Deploy { revision: two, .. })
                if one == two && age < windows::DEPLOYMENT =>
            {
                "the deployment"
            }
            (
                Step::UpdateSettings { .. }
                | Step::Stop { .. }
                | Step::Continue { .. }
                | Step::CreateApplication { .. }
                | Step::CreateGroup { .. },
                _,
            ) if recent.step == *step && age < windows::DEPLOYMENT => "what was asked for",
            (Step::MoveTag { .. }, Step::MoveTag { .. }) if recent.step == *step && age < windows::TAG => {
                "the tag"
            }
            _ => return Ok(steps),
        };
        Err(Waiting::Consistency { what })
    }

    /// Equality by effect: every owned field equal, and the images those that the tasks run.
    pub fn equals_by_effect(&self, arn: &TaskDefinitionArn, rendered: &Value) -> bool {
        self.revision(arn).is_some_and(|live| self.owned_differences(live, rendered).is_empty())
    }

    pub fn revision(&self, arn: &TaskDefinitionArn) -> Option<&'a Revision> {
        self.input.observed.revisions.get(arn).and_then(Reading::known)
    }

    fn differences(&self) -> Vec<Difference> {
        let live = self.current.as_ref().and_then(|current| self.revision(&current.live_revision));
        let mut differences = match (live, &self.rendered) {
            (Some(live), Ok(rendered)) => self.owned_differences(live, rendered),
            _ => return Vec::new(),
        };
        differences.extend(self.settings_differences());
        differences
    }

    fn owned_differences(&self, live: &Revision, rendered: &Value) -> Vec<Difference> {
        let mut same_images = live.input.clone();
        for (wanted, observed) in self.input.desired.images.iter().zip(&self.images) {
            let names = render::containers(wanted, rendered).unwrap_or_default();
            for name in names {
                if self.runs(&live.arn, &live.input, &name, observed) {
                    let image = render::container_images(rendered).find(|(known, _)| *known == name);
                    let image = image.map(|(_, image)| image.to_owned()).unwrap_or_default();
                    render::set_image(&mut same_images, &name, &image);
                }
            }
        }
        let all = diff::task_definitions(&same_images, rendered);
        if render::owns_every_field(self.input.desired)
            || matches!(self.input.desired.task_definition, TaskDefinitionSource::Family(_))
        {
            return all;
        }
        all.into_iter().filter(|difference| difference.field.rsplit('.').next() == Some("image")).collect()
    }

    /// Whether the container of this revision runs the desired image, under whatever name.
    fn runs(
        &self,
        arn: &TaskDefinitionArn,
        input: &Value,
        container: &str,
        observed: &ObservedImage,
    ) -> bool {
        let Some(built) = observed.built.known() else { return false };
        let same = |digest: &Digest| {
            *digest == built.digest
                || built.platforms.iter().any(|platform| platform.digest.as_ref() == Some(digest))
        };
        let declared =
            render::container_images(input).find(|(name, _)| *name == container).map(|(_, image)| image);
        if let Some((_, digest)) = declared.and_then(|image| image.split_once('@')) {
            let repository = declared.and_then(|image| image.split(['@']).next()).unwrap_or_default();
            let uri = observed.repository.known().map_or("", |repository| repository.uri.as_str());
            return same(&Digest::new(digest))
                && (repository == uri || repository.starts_with(&format!("{uri}:")));
        }
        let resolved = self.resolved_digests(arn, container);
        let named = || named_digest(declared?, observed).cloned();
        resolved.or_else(named).is_some_and(|digest| same(&digest))
    }

    /// The digest ECS resolved for a container of the newest deployment to a revision, or that its tasks run.
    fn resolved_digests(&self, arn: &TaskDefinitionArn, container: &str) -> Option<Digest> {
        let of_deployment = self
            .history()
            .filter(|deployment| deployment.target.as_ref() == Some(arn))
            .find_map(|deployment| deployment.digests.get(container).cloned());
        of_deployment.or_else(|| {
            let tasks = self.input.observed.tasks.known().into_iter().flatten();
            let running =
                tasks.filter(|task| task.task_definition == *arn && task.desired_status == "RUNNING");
            running
                .flat_map(|task| &task.containers)
                .find(|c| c.name == container)
                .and_then(|c| c.digest.clone())
        })
    }
}

/// Whether the credentials belong to another account than the declared one.
fn wrong_account(input: &Input<'_>) -> Option<Waiting> {
    let (actual, expected) = (input.observed.account.known()?, input.desired.account.as_ref()?);
    (actual != expected)
        .then(|| Waiting::WrongAccount { expected: expected.to_string(), actual: actual.to_string() })
}

/// What a tag that no task has resolved yet, or that nobody has told the digest of, means now.
fn named_digest<'i>(image: &str, observed: &'i ObservedImage) -> Option<&'i Digest> {
    let (uri, tag) = image.rsplit_once(':')?;
    if observed.repository.known()?.uri != uri {
        return None;
    }
    let by_tag = |reading: &'i Reading<Image>| {
        reading.known().filter(|image| image.tags.iter().any(|known| known.as_str() == tag))
    };
    by_tag(&observed.built).or_else(|| by_tag(&observed.tagged)).map(|image| &image.digest)
}

pub(super) fn unreadable(what: &'static str, why: &str) -> Waiting {
    Waiting::Unreadable { what, why: why.to_owned() }
}
