//! One reading of AWS for one target. A read that fails is `Unavailable`, never absence.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use crate::model::{
    AccountId, Desired, DesiredImage, Digest, Image, InfraCommit, Observed, ObservedImage, Reading,
    Repository, Revision, Service, Task, TaskDefinitionArn, TaskDefinitionSource,
};
use crate::plan::memory;
use crate::ports::{Clock, CloudError, Ecr, Ecs, History, Sts};

/// Revisions of the family that are searched for content and stamps.
const NEWEST: usize = 20;
/// Service deployments that are read: enough for three replacements in a row and the last good one.
const DEPLOYMENTS: usize = 20;
/// Tasks that are described of one service.
const TASKS: usize = 500;
/// Revisions kept in memory; beyond this many the cache starts afresh, at the cost of calls.
const MOST_CACHED: usize = 20_000;

/// Whether what is immutable but for its tags may come from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// To find what needs work.
    Remembered,
    /// Before a write.
    Fresh,
}

/// Reads AWS in one region.
pub struct Observer<'a> {
    pub ecs: &'a dyn Ecs,
    /// The registry's region may be another.
    pub ecr: &'a dyn Ecr,
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
}

impl Observer<'_> {
    /// Reads everything a decision about `desired` rests on. `service` may come from a sweep that read ten at once;
    /// `registered` is a revision that may not be in the list of its family yet.
    pub async fn observe(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        service: Option<Reading<Service>>,
        registered: Option<&TaskDefinitionArn>,
        freshness: Freshness,
    ) -> Observed {
        let checked_at = self.clock.now();
        let account = self.account().await;
        let service = match service {
            Some(service) => service,
            None => self.service(desired).await,
        };
        let (cluster, name) = (&desired.cluster, &desired.service);
        let (service_deployments, tasks) = match &service {
            Reading::Known(_) => (
                reading(self.ecs.service_deployments(cluster, name, DEPLOYMENTS).await),
                reading(self.ecs.tasks(cluster, name, TASKS).await),
            ),
            Reading::Absent => (Reading::Absent, Reading::Absent),
            Reading::Unavailable(why) => {
                (Reading::Unavailable(why.clone()), Reading::Unavailable(why.clone()))
            }
        };
        let newest = self.newest(desired, &service).await;
        let mut arns: BTreeSet<TaskDefinitionArn> = newest.known().into_iter().flatten().cloned().collect();
        arns.extend(registered.cloned());
        arns.extend(service.known().into_iter().flat_map(|service| {
            service.deployments.iter().map(|deployment| deployment.task_definition.clone())
        }));
        for deployment in service_deployments.known().into_iter().flatten() {
            arns.extend(deployment.target.iter().chain(&deployment.sources).cloned());
        }
        let revisions = self.revisions(arns, freshness).await;
        let ancestry = head.map(|head| self.ancestry(desired, &revisions, head)).unwrap_or_default();
        let images = self.images(desired, tasks.known()).await;
        Observed {
            checked_at,
            account,
            service,
            revisions,
            newest,
            service_deployments,
            tasks,
            images,
            ancestry,
        }
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
            Err(error) => Reading::Unavailable(error.to_string()),
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

    async fn revisions(
        &self,
        arns: BTreeSet<TaskDefinitionArn>,
        freshness: Freshness,
    ) -> BTreeMap<TaskDefinitionArn, Reading<Revision>> {
        let mut revisions = BTreeMap::new();
        for arn in arns {
            let kept = (freshness == Freshness::Remembered).then(|| self.remembered.revision(&arn)).flatten();
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

    async fn images(&self, desired: &Desired, tasks: Option<&Vec<Task>>) -> Vec<ObservedImage> {
        let mut images = Vec::new();
        for wanted in &desired.images {
            images.push(self.image(desired, wanted, tasks).await);
        }
        images
    }

    async fn image(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        tasks: Option<&Vec<Task>>,
    ) -> ObservedImage {
        let registry = desired.registry.account.as_ref();
        let repository = reading(self.ecr.repository(registry, &wanted.repository).await);
        let (built, tagged) = match &repository {
            Reading::Known(_) => (
                reading(self.ecr.image_by_tag(registry, &wanted.repository, &wanted.commit_tag).await),
                reading(self.ecr.image_by_tag(registry, &wanted.repository, &desired.environment_tag).await),
            ),
            Reading::Absent => (Reading::Absent, Reading::Absent),
            Reading::Unavailable(why) => {
                (Reading::Unavailable(why.clone()), Reading::Unavailable(why.clone()))
            }
        };
        let known = self.running_images(desired, wanted, &repository, [&built, &tagged], tasks).await;
        ObservedImage { repository, built, tagged, known }
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
