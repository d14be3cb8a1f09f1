//! What a reading says of the images: those declared and tagged, those that run, and those that could be gone back to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::observe::Observer;
use crate::model::{
    Desired, DesiredImage, Digest, Image, ImageReference, Millis, MoveTag, Mutability, ObservedImage,
    OutcomeKind, Reading, Repository, Revision, Service, ServiceDeployment, TagMatch, Task,
    TaskDefinitionArn,
};
use crate::plan::{commits, container_images, memory, phase};
use crate::ports::CloudError;

/// Images of one repository that are looked up because a revision at hand is pinned to them; what could be gone back to
/// comes first, and the rest is only told of.
const MOST_PINNED: usize = 5;
/// How long the answer of a search through the tags of a repository is good, in milliseconds for each page it took: it is
/// searched no more often than who waits for a build looks for it.
const SEARCH: Millis = 30_000;
/// Images that are looked up because something runs them: few run at once, and the bound is for a service that is broken
/// in a new way.
const MOST_RUNNING: usize = 10;

impl Observer<'_> {
    pub(super) async fn images(
        &self,
        desired: &Desired,
        tasks: Option<&Vec<Task>>,
        deployed: &[&Revision],
        fresh: bool,
    ) -> Vec<ObservedImage> {
        let mut images = Vec::new();
        for wanted in &desired.images {
            let repository = self.repository(desired, wanted, fresh).await;
            images.push(self.image(desired, wanted, repository, tasks, deployed).await);
        }
        images
    }

    /// What the declared images were built for, where no index says so. It is asked before a change alone.
    pub(super) async fn tell_platforms(&self, desired: &Desired, images: &mut [ObservedImage]) {
        let registry = desired.registry.account.as_ref();
        for (wanted, image) in desired.images.iter().zip(images) {
            let Reading::Known(built) = &mut image.built else { continue };
            if built.platforms.is_empty() && !built.archived {
                built.platforms.extend(self.ecr.platform(registry, &wanted.repository, &built.digest).await);
            }
        }
    }

    async fn image(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        repository: Reading<Repository>,
        tasks: Option<&Vec<Task>>,
        deployed: &[&Revision],
    ) -> ObservedImage {
        let ((built, tag_match), tagged) = match &repository {
            Reading::Known(_) => self.built_and_tagged(desired, wanted).await,
            Reading::Absent => ((Reading::Absent, TagMatch::Exact), Reading::Absent),
            Reading::Unavailable(why) => {
                let unavailable = || Reading::Unavailable(why.clone());
                ((unavailable(), TagMatch::Exact), unavailable())
            }
        };
        let digests = running_and_deployed(&repository, tasks, deployed);
        let known = self.other_images(desired, wanted, digests, [&built, &tagged]).await;
        let stated = match &wanted.stated {
            Some(reference) => Some(self.stated(desired, wanted, reference).await),
            None => None,
        };
        ObservedImage { repository, built, tag_match, tagged, stated, known }
    }

    /// One call where the environment tag is on the image of the declared commit, which is how things rest.
    async fn built_and_tagged(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
    ) -> ((Reading<Image>, TagMatch), Reading<Image>) {
        let registry = desired.registry.account.as_ref();
        let by_tag = |tag| self.ecr.image_by_tag(registry, &wanted.repository, tag);
        let (built, tag_match) = match Reading::from(by_tag(&wanted.commit_tag).await) {
            Reading::Absent => self.built_by_digits(desired, wanted).await,
            exact => (exact, TagMatch::Exact),
        };
        let same = built.known().is_some_and(|image| image.tags.contains(&desired.environment_tag));
        let tagged = if same { built.clone() } else { Reading::from(by_tag(&desired.environment_tag).await) };
        ((built, tag_match), tagged)
    }

    /// The image of a commit whose commit tag is not there, by a tag with more of its digits.
    async fn built_by_digits(&self, desired: &Desired, wanted: &DesiredImage) -> (Reading<Image>, TagMatch) {
        let registry = desired.registry.account.as_ref();
        match self.tag_match(desired, wanted).await {
            Ok(TagMatch::Longer(tag)) => {
                let built = Reading::from(self.ecr.image_by_tag(registry, &wanted.repository, &tag).await);
                (built, TagMatch::Longer(tag))
            }
            Ok(other) => (Reading::Absent, other),
            // Who may not look for other tags goes by the commit tag alone.
            Err(CloudError::Denied(_) | CloudError::NotFound(_) | CloudError::Rejected(_)) => {
                (Reading::Absent, TagMatch::Exact)
            }
            Err(error) => (Reading::from(Err(error)), TagMatch::Exact),
        }
    }

    /// Searches the tags of the repository, at most one page in [`SEARCH`] on average.
    async fn tag_match(&self, desired: &Desired, wanted: &DesiredImage) -> Result<TagMatch, CloudError> {
        let Some(beginning) = commits::tag_beginning(wanted) else { return Ok(TagMatch::Exact) };
        let key = (desired.registry.clone(), wanted.repository.clone(), wanted.commit_tag.clone());
        let now = self.clock.now();
        if let Some(kept) = self.remembered.tag_match(&key, now) {
            return Ok(kept);
        }
        let registry = desired.registry.account.as_ref();
        let tags = self.ecr.tags(registry, &wanted.repository, &beginning).await?;
        let tag_match = commits::tag_match(wanted, &tags);
        let until = now.saturating_add(SEARCH.saturating_mul(Millis::from(tags.pages)));
        self.remembered.keep_tag_match(key, tag_match.clone(), until);
        Ok(tag_match)
    }

    /// Where something fails it matters whether the images that could be gone back to are still there.
    pub(super) async fn pinned_images(
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
                let found =
                    Reading::from(self.ecr.image_by_digest(registry, &wanted.repository, &digest).await);
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
        Reading::from(match reference {
            ImageReference::Tag(tag) => self.ecr.image_by_tag(registry, &wanted.repository, tag).await,
            ImageReference::Digest(digest) => {
                self.ecr.image_by_digest(registry, &wanted.repository, digest).await
            }
        })
    }

    /// What is known of a repository that only lets itself be pulled from, where that is enough: no tag is moved there, so
    /// its settings play no part.
    fn pull_only(&self, desired: &Desired, wanted: &DesiredImage) -> Option<Repository> {
        let uri = self.ecr.address(desired.registry.account.as_ref(), &wanted.repository)?;
        let mutability = Mutability { mutable_by_default: true, exceptions: Vec::new() };
        let known = Repository { name: wanted.repository.clone(), uri, mutability };
        (desired.policy.move_tag == MoveTag::Never).then_some(known)
    }

    /// Its settings are asked anew before a write.
    async fn repository(&self, desired: &Desired, wanted: &DesiredImage, fresh: bool) -> Reading<Repository> {
        let key = (desired.registry.clone(), wanted.repository.clone());
        let now = self.clock.now();
        if let Some(repository) = self.remembered.repository(&key, now).filter(|_| !fresh) {
            return Reading::Known(repository);
        }
        let registry = desired.registry.account.as_ref();
        let found = self.ecr.repository(registry, &wanted.repository).await;
        let repository = match (found, self.pull_only(desired, wanted)) {
            (Err(CloudError::Denied(_)), Some(known)) => Reading::Known(known),
            (found, _) => Reading::from(found),
        };
        if let Reading::Known(repository) = &repository {
            self.remembered.keep_repository(key, repository.clone(), now);
        }
        repository
    }

    /// Digests that run or were deployed and are neither built nor tagged are looked up, so that their commits can be
    /// named, and it is seen where an image has been removed.
    async fn other_images(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        digests: Vec<Digest>,
        seen: [&Reading<Image>; 2],
    ) -> BTreeMap<Digest, Reading<Image>> {
        let is_seen =
            |digest: &Digest| seen.iter().filter_map(|image| image.known()).any(|image| image.is(digest));
        let mut known = BTreeMap::new();
        for digest in digests.into_iter().filter(|digest| !is_seen(digest)).take(MOST_RUNNING) {
            let registry = desired.registry.account.as_ref();
            let image = Reading::from(self.ecr.image_by_digest(registry, &wanted.repository, &digest).await);
            known.insert(digest, image);
        }
        known
    }
}

/// The digests of a repository that tasks run or that deployed revisions are pinned to, each once, what runs first.
fn running_and_deployed(
    repository: &Reading<Repository>,
    tasks: Option<&Vec<Task>>,
    deployed: &[&Revision],
) -> Vec<Digest> {
    let Some(uri) = repository.known().map(|repository| repository.uri.as_str()) else { return Vec::new() };
    let containers = tasks.into_iter().flatten().flat_map(|task| &task.containers);
    let from_here = containers.filter(|container| container.image.starts_with(uri));
    let running: BTreeSet<Digest> = from_here.filter_map(|container| container.digest.clone()).collect();
    let pinned = pinned_digests(deployed, uri).into_iter().filter(|digest| !running.contains(digest));
    running.iter().cloned().chain(pinned).collect()
}

/// The revisions whose images tell what a deployment here brought, where a tag alone might lie: the live ones, that of the newest
/// deployment, and those that name a declared commit.
pub(super) fn deployed<'a>(
    desired: &Desired,
    service: &'a Reading<Service>,
    deployments: &'a Reading<Vec<ServiceDeployment>>,
    revisions: &'a BTreeMap<TaskDefinitionArn, Reading<Revision>>,
) -> Vec<&'a Revision> {
    let service = service.known();
    let history = deployments.known().map(Vec::as_slice).unwrap_or_default();
    let live = service.map_or(0, |service| service.deployments.len());
    let is_declared = |revision: &Revision| {
        memory::of(revision, desired).is_some_and(|memory| {
            desired.images.iter().any(|image| memory.commit_of(&image.name).matches(&image.commit))
        })
    };
    let read = commits::deployed_here(service, history).enumerate().filter_map(|(place, arn)| {
        let (_, revision) = revisions.iter().find(|(known, _)| arn.names(known))?;
        let revision = revision.known()?;
        (place <= live || is_declared(revision)).then_some(revision)
    });
    read.collect()
}

/// The revisions that were read: first those that a failure may be undone by, in the order in which they are chosen.
pub(super) fn best_first<'a>(
    desired: &Desired,
    revisions: &'a BTreeMap<TaskDefinitionArn, Reading<Revision>>,
    history: &[ServiceDeployment],
) -> Vec<&'a Revision> {
    let succeeded = |revision: &Revision| {
        let memory = memory::of(revision, desired)?;
        let outcome = memory.outcome.filter(|outcome| outcome.result == OutcomeKind::Succeeded);
        outcome.map(|_| memory.applied.map(|applied| applied.generation))
    };
    let mut all: Vec<&Revision> = revisions.values().filter_map(Reading::known).collect();
    all.sort_by_cached_key(|revision| {
        let is = |arn: Option<&TaskDefinitionArn>| arn == Some(&revision.arn);
        let is_source = is(phase::last_source(history));
        Reverse((is(phase::successes(history).next()), succeeded(revision), is_source))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::example::desired;
    use crate::model::{Applied, Commit, DeploymentId, Outcome, ServiceDeploymentStatus};
    use serde_json::json;

    fn arn(number: u64) -> TaskDefinitionArn {
        TaskDefinitionArn::new(format!("arn:aws:ecs:eu-west-2:1:task-definition/api:{number}"))
    }

    /// Our revision, pinned to a digest that sorts the later the older the revision is.
    fn revision(number: u64, succeeded: bool) -> Revision {
        let image = format!("registry/api@sha256:{}", 99 - number);
        let input = json!({"family": "api", "containerDefinitions": [{"name": "api", "image": image}]});
        let desired = desired();
        let content = memory::content_hash(&desired.target, &input);
        let live_then = DeploymentId::new("ecs-svc/0");
        let applied =
            Applied { generation: number, infra_commit: None, live_then, from: None, at: Some(0), rounds: 0 };
        let commit = Commit::new("aaaaaaa");
        let registration = memory::Registration {
            commit: &commit,
            others: BTreeMap::new(),
            content: &content,
            declared: None,
            applied: &applied,
        };
        let mut tags = memory::registration(&desired, &registration);
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
        let digests = pinned_digests(&best_first(&desired(), &revisions, history), "registry/api");
        let expected: Vec<Digest> =
            expected.iter().map(|number| Digest::new(format!("sha256:{}", 99 - number))).collect();
        assert_eq!(digests[..expected.len()], expected);
        assert_eq!(digests.len(), 20, "each once");
    }

    #[test]
    fn what_could_be_gone_back_to_is_looked_up_first() {
        use ServiceDeploymentStatus::{InProgress, Successful};
        check(&[], &[4, 3, 2]);
        let failing = deployment(20, 7, InProgress);
        check(std::slice::from_ref(&failing), &[4, 3, 2, 7]);
        check(&[failing.clone(), deployment(5, 6, Successful)], &[5, 4, 3, 2, 7]);
        check(&[failing, deployment(3, 1, Successful)], &[3, 4, 2, 7]);
    }
}
