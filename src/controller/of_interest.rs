//! Which images and revisions are worth a question to the registry: what runs, what was deployed, what could be gone back to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::documents::{containers, memory};
use crate::model::{
    Desired, Digest, OutcomeKind, Reading, Repository, Revision, Service, ServiceDeployment, Task,
    TaskDefinitionArn,
};
use crate::plan::{commits, phase};

/// The digests of a repository that tasks run or that deployed revisions are pinned to, each once, what runs first.
pub(super) fn running_and_deployed(
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
pub(super) fn pinned_digests(revisions: &[&Revision], uri: &str) -> Vec<Digest> {
    let references = revisions.iter().flat_map(|revision| containers::images(&revision.input));
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
        let applied = Applied {
            generation: number,
            infra_commit: None,
            live_then,
            from: None,
            at: Some(0),
            rounds: 0,
            receipts: None,
        };
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
        Revision { arn: arn(number), active: true, input, tags, registered_by: None }
    }

    fn deployment(target: u64, source: u64, status: ServiceDeploymentStatus) -> ServiceDeployment {
        ServiceDeployment {
            arn: "d".to_owned(),
            status,
            reason: None,
            target: Some(arn(target)),
            sources: vec![arn(source)],
            digests: BTreeMap::new(),
            failure: None,
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
