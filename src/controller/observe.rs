//! One reading of AWS for one target. A read that fails is `Unavailable`, never absence.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use crate::manifest;
use crate::model::{
    AccountId, Deployment, DeploymentGroup, DeploymentStatus, Desired, DesiredImage, Digest, Group, Image,
    ImageReference, InfraCommit, Millis, Observed, ObservedImage, OutcomeKind, Phase, Reading, Registry,
    Repository, RepositoryName, Revision, RolloutState, Service, ServiceDeployment, Target, Task,
    TaskDefinitionArn, TaskDefinitionSource,
};
use crate::plan::{blue_green, container_images, memory, phase};
use crate::ports::{Clock, CloudError, CodeDeploy, Ecr, Ecs, History, Sts, Tasks};

/// Revisions of the family that are searched for content and stamps.
const NEWEST: usize = 20;
/// Service deployments that are read: enough for three replacements in a row and the last good one.
const DEPLOYMENTS: usize = 20;
/// Of those, the ones whose revisions are read even where nothing changes.
const NEWEST_DEPLOYMENTS: usize = 3;
/// Deployments of CodeDeploy that are read: those since the last one that succeeded.
const CODE_DEPLOYMENTS: usize = 100;
/// Tasks that are described of one service.
const TASKS: usize = 500;
/// Stopped tasks that are described to find out why.
const STOPPED_TASKS: usize = 100;
/// Images of one repository that are looked up because a revision at hand is pinned to them; what could be gone back to
/// comes first, and the rest is only told of.
const MOST_PINNED: usize = 5;
/// How long the settings of a repository are kept, in milliseconds.
const REPOSITORY: Millis = 600_000;
/// Revisions kept in memory; beyond this many the cache starts afresh, at the cost of calls.
const MOST_CACHED: usize = 20_000;

/// How much one reading asks of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Also the newest revisions of the family: to find what was registered and stamped before.
    pub deep: bool,
    /// Tags and status of the revisions at hand are read again: before a write, and when the deployments have changed.
    pub fresh: bool,
}

/// Reads AWS in one region.
pub struct Observer<'a> {
    pub ecs: &'a dyn Ecs,
    /// The registry's region may be another.
    pub ecr: &'a dyn Ecr,
    pub code_deploy: &'a dyn CodeDeploy,
    pub sts: &'a dyn Sts,
    pub history: &'a dyn History,
    pub clock: &'a dyn Clock,
    pub remembered: &'a Remembered,
}

/// What was read once: the account, and revisions.
#[derive(Default)]
pub struct Remembered {
    account: Mutex<Option<AccountId>>,
    revisions: Mutex<HashMap<TaskDefinitionArn, Revision>>,
    repositories: Mutex<HashMap<(Registry, RepositoryName), (Repository, Millis)>>,
    /// Task definitions by application and the SHA-256 of the `AppSpec` that names them.
    app_specs: Mutex<HashMap<(String, String), TaskDefinitionArn>>,
}

impl Observer<'_> {
    /// Reads what a decision about `desired` rests on. `service` may come, with its time, from a sweep that read ten at once;
    /// `registered` is a revision that may not be in the list of its family yet.
    pub async fn observe(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        service: Option<(Reading<Service>, Millis)>,
        registered: Option<&TaskDefinitionArn>,
        look: Look,
    ) -> Observed {
        let facts_checked_at = self.clock.now();
        let account = self.account().await;
        let (service, checked_at) = match service {
            Some(service) => service,
            None => (self.service(desired).await, facts_checked_at),
        };
        let (group, service_deployments) = self.deployments(desired, &service).await;
        let tasks = self.tasks_of(desired, &service, &service_deployments).await;
        let newest = if look.deep { Some(self.newest(desired, &service).await) } else { None };
        let mut at_hand = at_hand(&service, &service_deployments);
        at_hand.extend(registered.cloned());
        let listed = newest.iter().filter_map(Reading::known).flatten().cloned();
        let others: BTreeSet<TaskDefinitionArn> = listed.filter(|arn| !at_hand.contains(arn)).collect();
        let mut revisions = self.revisions(desired, at_hand, |_| look.fresh).await;
        // Of the others, those that a write may be about.
        let others = self.revisions(desired, others, |kept| look.fresh && is_of_commit(desired, kept)).await;
        revisions.extend(others);
        let images = self.images(desired, tasks.known(), look.fresh).await;
        let images = if is_failing(&service) {
            let history = service_deployments.known().map(Vec::as_slice).unwrap_or_default();
            self.pinned_images(desired, images, &best_first(&desired.target, &revisions, history)).await
        } else {
            images
        };
        let mut observed = Observed {
            checked_at,
            facts_checked_at,
            account,
            service,
            revisions,
            newest,
            group,
            service_deployments,
            tasks,
            images,
            ancestry: BTreeMap::new(),
        };
        self.relate(desired, head, &mut observed);
        observed
    }

    /// Says how the infra commits on record relate to this one.
    pub fn relate(&self, desired: &Desired, head: Option<&InfraCommit>, observed: &mut Observed) {
        observed.ancestry =
            head.map(|head| self.ancestry(desired, &observed.revisions, head)).unwrap_or_default();
    }

    /// Asks for the images alone again, for those who wait for one to be built.
    pub async fn observe_images(&self, desired: &Desired, observed: &mut Observed) {
        observed.images = self.images(desired, observed.tasks.known(), false).await;
    }

    async fn deployments(
        &self,
        desired: &Desired,
        service: &Reading<Service>,
    ) -> (Option<Reading<Group>>, Reading<Vec<ServiceDeployment>>) {
        let service = match service {
            Reading::Known(service) => service,
            Reading::Absent => return (None, Reading::Absent),
            Reading::Unavailable(why) => return (None, Reading::Unavailable(why.clone())),
        };
        let Some(settings) = blue_green::settings(desired, service) else {
            let (cluster, name) = (&desired.cluster, &desired.service);
            return (None, reading(self.ecs.service_deployments(cluster, name, DEPLOYMENTS).await));
        };
        let (application, group) = blue_green::names(&settings, desired);
        let found = reading(self.code_deploy.group(&application, &group).await);
        let history = match &found {
            Reading::Known(Group::Found(known)) => {
                reading(self.code_deploy_history(desired, service, (&application, &group), known).await)
            }
            Reading::Known(_) | Reading::Absent => Reading::Known(Vec::new()),
            Reading::Unavailable(why) => Reading::Unavailable(why.clone()),
        };
        (Some(found), history)
    }

    async fn code_deploy_history(
        &self,
        desired: &Desired,
        service: &Service,
        (application, group): (&str, &str),
        found: &DeploymentGroup,
    ) -> Result<Vec<ServiceDeployment>, CloudError> {
        let since = found.last_success;
        let deployments = self.code_deploy.deployments(application, group, since, CODE_DEPLOYMENTS).await?;
        let mut targets = BTreeMap::new();
        for sha256 in deployments.iter().filter_map(|deployment| deployment.sha256.as_ref()) {
            if let Some(target) = self.target_of(application, sha256).await? {
                targets.insert(sha256.clone(), target);
            }
        }
        let in_flight = deployments.iter().find(|one| !one.is_rollback && !one.status.is_over());
        // Without it the deployment is still told of; that its stage is unknown keeps it from being stopped.
        let progress = match in_flight {
            Some(one) => self.code_deploy.progress(&one.id, &desired.cluster, &desired.service).await.ok(),
            None => None,
        };
        Ok(blue_green::history(&deployments, &targets, progress.as_ref(), service))
    }

    /// What an `AppSpec` deploys never changes and is read once.
    async fn target_of(
        &self,
        application: &str,
        sha256: &str,
    ) -> Result<Option<TaskDefinitionArn>, CloudError> {
        let key = (application.to_owned(), sha256.to_owned());
        let kept = self.remembered.app_specs.lock().ok().and_then(|kept| kept.get(&key).cloned());
        if kept.is_some() {
            return Ok(kept);
        }
        let content = match self.code_deploy.app_spec(application, sha256).await {
            Ok(content) => content,
            Err(CloudError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let target = manifest::app_spec_task_definition(&content).map(TaskDefinitionArn::new);
        if let (Some(target), Ok(mut kept)) = (&target, self.remembered.app_specs.lock()) {
            if kept.len() >= MOST_CACHED {
                kept.clear();
            }
            kept.insert(key, target.clone());
        }
        Ok(target)
    }

    async fn tasks_of(
        &self,
        desired: &Desired,
        service: &Reading<Service>,
        deployments: &Reading<Vec<ServiceDeployment>>,
    ) -> Reading<Vec<Task>> {
        match service {
            Reading::Known(service) => self.tasks(desired, is_quiet(service, deployments)).await,
            Reading::Absent => Reading::Absent,
            Reading::Unavailable(why) => Reading::Unavailable(why.clone()),
        }
    }

    /// The running tasks, and the stopped ones where they may say what goes wrong.
    async fn tasks(&self, desired: &Desired, quiet: bool) -> Reading<Vec<Task>> {
        let (cluster, name) = (&desired.cluster, &desired.service);
        let running = match self.ecs.tasks(cluster, name, Tasks::Running, TASKS).await {
            Ok(tasks) => tasks,
            Err(error) => return reading(Err(error)),
        };
        if quiet {
            return Reading::Known(running);
        }
        let stopped = self.ecs.tasks(cluster, name, Tasks::Stopped, STOPPED_TASKS).await;
        reading(stopped.map(|stopped| running.into_iter().chain(stopped).collect()))
    }

    async fn account(&self) -> Reading<AccountId> {
        let known = self.remembered.account.lock().ok().and_then(|account| account.clone());
        if let Some(account) = known {
            return Reading::Known(account);
        }
        let account = reading(self.sts.account().await);
        if let (Reading::Known(account), Ok(mut kept)) = (&account, self.remembered.account.lock()) {
            *kept = Some(account.clone());
        }
        account
    }

    async fn service(&self, desired: &Desired) -> Reading<Service> {
        let names = std::slice::from_ref(&desired.service);
        match self.ecs.services(&desired.cluster, names).await {
            Ok(mut found) => found.remove(&desired.service).map_or(Reading::Absent, Reading::Known),
            Err(error) => reading(Err(error)),
        }
    }

    async fn newest(&self, desired: &Desired, service: &Reading<Service>) -> Reading<Vec<TaskDefinitionArn>> {
        let declared = match &desired.task_definition {
            TaskDefinitionSource::File { input, .. } => {
                input.get("family").and_then(|family| family.as_str())
            }
            TaskDefinitionSource::Family(family) => Some(family.as_str()),
            TaskDefinitionSource::Service => None,
        };
        let live = service.known().and_then(Service::primary).map(|primary| primary.task_definition.family());
        match declared.or(live) {
            Some(family) => reading(self.ecs.newest_revisions(family, NEWEST).await),
            None => Reading::Absent,
        }
    }

    /// What a revision declares never changes and is read once. Its tags and its status do: they are read again where
    /// `again` says so, and where they hold back the declared commit, since a person may ask for another try.
    async fn revisions(
        &self,
        desired: &Desired,
        arns: BTreeSet<TaskDefinitionArn>,
        again: impl Fn(&Revision) -> bool,
    ) -> BTreeMap<TaskDefinitionArn, Reading<Revision>> {
        let mut revisions = BTreeMap::new();
        for arn in arns {
            let kept =
                self.remembered.revision(&arn).filter(|kept| !again(kept) && !holds_back(desired, kept));
            let revision = match kept {
                Some(revision) => Reading::Known(revision),
                None => reading(self.ecs.revision(&arn).await),
            };
            if let Reading::Known(revision) = &revision {
                self.remembered.keep(revision.clone());
            }
            revisions.insert(arn, revision);
        }
        revisions
    }

    fn ancestry(
        &self,
        desired: &Desired,
        revisions: &BTreeMap<TaskDefinitionArn, Reading<Revision>>,
        head: &InfraCommit,
    ) -> BTreeMap<InfraCommit, crate::model::Ancestry> {
        let ours = revisions.values().filter_map(|reading| memory::of(reading.known()?, &desired.target));
        let commits = ours.filter_map(|memory| memory.applied?.infra_commit);
        commits.map(|commit| (commit.clone(), self.history.ancestry(&commit, head))).collect()
    }

    async fn images(&self, desired: &Desired, tasks: Option<&Vec<Task>>, fresh: bool) -> Vec<ObservedImage> {
        let mut images = Vec::new();
        for wanted in &desired.images {
            let repository = self.repository(desired, wanted, fresh).await;
            images.push(self.image(desired, wanted, repository, tasks).await);
        }
        images
    }

    async fn image(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        repository: Reading<Repository>,
        tasks: Option<&Vec<Task>>,
    ) -> ObservedImage {
        let (built, tagged) = match &repository {
            Reading::Known(_) => self.built_and_tagged(desired, wanted).await,
            Reading::Absent => (Reading::Absent, Reading::Absent),
            Reading::Unavailable(why) => {
                (Reading::Unavailable(why.clone()), Reading::Unavailable(why.clone()))
            }
        };
        let known = self.running_images(desired, wanted, &repository, [&built, &tagged], tasks).await;
        let stated = match &wanted.stated {
            Some(reference) => Some(self.stated(desired, wanted, reference).await),
            None => None,
        };
        ObservedImage { repository, built, tagged, stated, known }
    }

    /// One call where the environment tag is on the image of the declared commit, which is how things rest.
    async fn built_and_tagged(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
    ) -> (Reading<Image>, Reading<Image>) {
        let registry = desired.registry.account.as_ref();
        let by_tag = |tag| self.ecr.image_by_tag(registry, &wanted.repository, tag);
        let built = reading(by_tag(&wanted.commit_tag).await);
        let same = built.known().is_some_and(|image| image.tags.contains(&desired.environment_tag));
        let tagged = if same { built.clone() } else { reading(by_tag(&desired.environment_tag).await) };
        (built, tagged)
    }

    /// Where something fails it matters whether the images that could be gone back to are still there.
    async fn pinned_images(
        &self,
        desired: &Desired,
        mut images: Vec<ObservedImage>,
        revisions: &[&Revision],
    ) -> Vec<ObservedImage> {
        for (wanted, image) in desired.images.iter().zip(&mut images) {
            let Some(uri) = image.repository.known().map(|repository| repository.uri.clone()) else {
                continue;
            };
            let pinned = pinned_digests(revisions, &uri);
            let unknown = pinned.into_iter().filter(|digest| !image.known.contains_key(digest));
            for digest in unknown.take(MOST_PINNED).collect::<Vec<_>>() {
                let registry = desired.registry.account.as_ref();
                let found = reading(self.ecr.image_by_digest(registry, &wanted.repository, &digest).await);
                image.known.insert(digest, found);
            }
        }
        images
    }

    async fn stated(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        reference: &ImageReference,
    ) -> Reading<Image> {
        let registry = desired.registry.account.as_ref();
        reading(match reference {
            ImageReference::Tag(tag) => self.ecr.image_by_tag(registry, &wanted.repository, tag).await,
            ImageReference::Digest(digest) => {
                self.ecr.image_by_digest(registry, &wanted.repository, digest).await
            }
        })
    }

    /// Whose tags may move changes rarely: it is kept for a while, and asked before a write.
    async fn repository(&self, desired: &Desired, wanted: &DesiredImage, fresh: bool) -> Reading<Repository> {
        let key = (desired.registry.clone(), wanted.repository.clone());
        let now = self.clock.now();
        let kept = self.remembered.repositories.lock().ok().and_then(|kept| kept.get(&key).cloned());
        if let Some((repository, _)) = kept.filter(|(_, read_at)| !fresh && now - read_at < REPOSITORY) {
            return Reading::Known(repository);
        }
        let registry = desired.registry.account.as_ref();
        let repository = reading(self.ecr.repository(registry, &wanted.repository).await);
        if let (Reading::Known(repository), Ok(mut kept)) = (&repository, self.remembered.repositories.lock())
        {
            if kept.len() >= MOST_CACHED {
                kept.clear();
            }
            kept.insert(key, (repository.clone(), now));
        }
        repository
    }

    /// Digests that run and are neither built nor tagged are looked up, so that their commits can be named.
    async fn running_images(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        repository: &Reading<Repository>,
        seen: [&Reading<Image>; 2],
        tasks: Option<&Vec<Task>>,
    ) -> BTreeMap<Digest, Reading<Image>> {
        let Some(repository) = repository.known() else { return BTreeMap::new() };
        let containers = tasks.into_iter().flatten().flat_map(|task| &task.containers);
        let from_here = containers.filter(|container| container.image.starts_with(&repository.uri));
        let digests: BTreeSet<Digest> = from_here.filter_map(|container| container.digest.clone()).collect();
        let is_seen = |digest: &Digest| {
            seen.iter().filter_map(|image| image.known()).any(|image| {
                image.digest == *digest
                    || image.platforms.iter().any(|child| child.digest.as_ref() == Some(digest))
            })
        };
        let mut known = BTreeMap::new();
        // Few digests run at once; the bound is for a service that is broken in a new way.
        for digest in digests.into_iter().filter(|digest| !is_seen(digest)).take(10) {
            let registry = desired.registry.account.as_ref();
            let image = reading(self.ecr.image_by_digest(registry, &wanted.repository, &digest).await);
            known.insert(digest, image);
        }
        known
    }
}

/// The revisions that were read: first those that a failure may be undone by, in the order in which they are chosen.
fn best_first<'a>(
    target: &Target,
    revisions: &'a BTreeMap<TaskDefinitionArn, Reading<Revision>>,
    history: &[ServiceDeployment],
) -> Vec<&'a Revision> {
    let succeeded = |revision: &Revision| {
        let memory = memory::of(revision, target)?;
        let outcome = memory.outcome.filter(|outcome| outcome.result == OutcomeKind::Succeeded);
        outcome.map(|_| memory.applied.map(|applied| applied.generation))
    };
    let mut all: Vec<&Revision> = revisions.values().filter_map(Reading::known).collect();
    all.sort_by_cached_key(|revision| {
        let is = |arn: Option<&TaskDefinitionArn>| arn == Some(&revision.arn);
        let is_source = is(phase::last_source(history));
        Reverse((is(phase::last_success(history)), succeeded(revision), is_source))
    });
    all
}

/// The digests of a repository that the revisions are pinned to, each once, in their order.
fn pinned_digests(revisions: &[&Revision], uri: &str) -> Vec<Digest> {
    let references = revisions.iter().flat_map(|revision| container_images(&revision.input));
    let pinned = references.filter_map(|(_, reference)| reference.split_once('@'));
    let mut seen = BTreeSet::new();
    let from_here = pinned.filter(|(name, _)| *name == uri).map(|(_, digest)| Digest::new(digest));
    from_here.filter(|digest| seen.insert(digest.clone())).collect()
}

/// Whether the newest deployment has tasks that failed.
fn is_failing(service: &Reading<Service>) -> bool {
    service.known().and_then(Service::primary).is_some_and(|primary| primary.failed_tasks > 0)
}

/// Whether nothing goes on, nothing drains, and the last deployment ended well.
fn is_quiet(service: &Service, history: &Reading<Vec<ServiceDeployment>>) -> bool {
    let newest = history.known().and_then(|history| history.first());
    let ended_well = newest.is_none_or(|newest| phase::of(newest) == Phase::Succeeded);
    let quiet = |deployment: &Deployment| {
        deployment.status != DeploymentStatus::Inactive
            && deployment.rollout == Some(RolloutState::Completed)
            && deployment.failed_tasks == 0
    };
    ended_well && service.running_count >= service.desired_count && service.deployments.iter().all(quiet)
}

/// Revisions that take part in what goes on: those of the live deployments, and of the newest service deployments.
fn at_hand(
    service: &Reading<Service>,
    service_deployments: &Reading<Vec<ServiceDeployment>>,
) -> BTreeSet<TaskDefinitionArn> {
    let live = service.known().into_iter().flat_map(|service| &service.deployments);
    let mut arns: BTreeSet<_> = live.map(|deployment| deployment.task_definition.clone()).collect();
    let history = service_deployments.known().map(Vec::as_slice).unwrap_or_default();
    let newest = history.iter().take(NEWEST_DEPLOYMENTS);
    arns.extend(newest.flat_map(|deployment| deployment.target.iter().chain(&deployment.sources)).cloned());
    arns.extend(phase::last_success(history).into_iter().chain(phase::last_source(history)).cloned());
    arns
}

/// Whether a revision that was read before holds back the declared commit.
fn holds_back(desired: &Desired, kept: &Revision) -> bool {
    memory::of(kept, &desired.target).is_some_and(|memory| {
        let failed = memory.outcome.is_some_and(|outcome| outcome.result == OutcomeKind::Failed);
        failed && memory.commit.matches(desired.commit())
    })
}

fn is_of_commit(desired: &Desired, kept: &Revision) -> bool {
    memory::of(kept, &desired.target).is_some_and(|memory| memory.commit.matches(desired.commit()))
}

impl Remembered {
    fn revision(&self, arn: &TaskDefinitionArn) -> Option<Revision> {
        self.revisions.lock().ok()?.get(arn).cloned()
    }

    fn keep(&self, revision: Revision) {
        let Ok(mut revisions) = self.revisions.lock() else { return };
        if revisions.len() >= MOST_CACHED {
            revisions.clear();
        }
        revisions.insert(revision.arn.clone(), revision);
    }
}

fn reading<T>(result: Result<T, CloudError>) -> Reading<T> {
    match result {
        Ok(value) => Reading::Known(value),
        Err(CloudError::NotFound(_)) => Reading::Absent,
        Err(error) => Reading::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ApplicationName, Applied, Commit, DeploymentId, EnvironmentName, Outcome, ServiceDeploymentStatus,
    };
    use serde_json::json;

    fn target() -> Target {
        Target { environment: EnvironmentName::new("test"), application: ApplicationName::new("api") }
    }

    fn arn(number: u64) -> TaskDefinitionArn {
        TaskDefinitionArn::new(format!("arn:aws:ecs:eu-west-2:1:task-definition/api:{number}"))
    }

    /// Our revision, pinned to a digest that sorts the later the older the revision is.
    fn revision(number: u64, succeeded: bool) -> Revision {
        let image = format!("registry/api@sha256:{}", 99 - number);
        let input = json!({"family": "api", "containerDefinitions": [{"name": "api", "image": image}]});
        let content = memory::content_hash(&target(), &input);
        let stamp =
            Applied { generation: number, infra_commit: None, live_then: DeploymentId::new("ecs-svc/0") };
        let commit = Commit::new("aaaaaaa");
        let mut tags = memory::registration(&target(), &commit, &BTreeMap::new(), &content, &stamp);
        if succeeded {
            let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "d".to_owned() };
            tags.extend([memory::outcome_tag(&outcome)]);
        }
        Revision { arn: arn(number), active: true, input, tags }
    }

    fn deployment(target: u64, source: u64, status: ServiceDeploymentStatus) -> ServiceDeployment {
        ServiceDeployment {
            arn: "d".to_owned(),
            status,
            reason: None,
            target: Some(arn(target)),
            sources: vec![arn(source)],
            digests: BTreeMap::new(),
            monitor_triggered: false,
            target_running: 0,
            shift: None,
            created_at: 0,
            finished_at: None,
        }
    }

    /// Revisions 1 to 20; 2, 3 and 4 succeeded.
    #[track_caller]
    fn check(history: &[ServiceDeployment], expected: &[u64]) {
        let all = (1..=20).map(|number| revision(number, (2..5).contains(&number)));
        let revisions = all.map(|revision| (revision.arn.clone(), Reading::Known(revision))).collect();
        let digests = pinned_digests(&best_first(&target(), &revisions, history), "registry/api");
        let expected: Vec<Digest> =
            expected.iter().map(|number| Digest::new(format!("sha256:{}", 99 - number))).collect();
        assert_eq!(digests[..expected.len()], expected);
        assert_eq!(digests.len(), 20, "each once");
    }

    #[test]
    fn what_could_be_gone_back_to_is_looked_up_first() {
        use ServiceDeploymentStatus::{InProgress, Successful};
        check(&[], &[4, 3, 2]);
        let failing = deployment(20, 1, InProgress);
        check(std::slice::from_ref(&failing), &[4, 3, 2, 1]);
        check(&[failing.clone(), deployment(1, 5, Successful)], &[1, 4, 3, 2]);
        check(&[failing, deployment(3, 1, Successful)], &[3, 4, 2, 1]);
    }
}
