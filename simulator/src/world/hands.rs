//! Changes by another hand that no call of the simulated APIs makes: the autoscaler, alarms, the kernel, a
//! lifecycle policy. All else goes through [`World::call`] like everybody's calls.
//!
//! Each says whether it found what it was to change.

use super::World;
use super::ecs::{Container, Program};

/// What a function answers that a hook of ECS calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Succeeds,
    /// `FAILED`.
    Fails,
    /// An error of its own, so that the answer has no `hookStatus`.
    Throws,
    /// Nothing: the timeout of the hook ends it.
    Silent,
    /// `IN_PROGRESS` so many times, each with a `callBackDelay` of so many seconds, then SUCCEEDED.
    Polls {
        times: u32,
        delay: u64,
    },
}

impl World {
    /// What the function does from now on, by its name or its ARN.
    pub fn set_function(&mut self, function: &str, behaviour: Function) {
        self.functions.insert(function.to_owned(), behaviour);
    }

    /// Application Auto Scaling sets the count. "During a deployment scale-in is suspended and scale-out continues"
    /// (developer guide, "Automatically scale your Amazon ECS service"). Within the bounds of a scalable target.
    pub fn autoscale(&mut self, cluster: &str, service: &str, desired: u64) -> bool {
        let desired = self.scalable(cluster, service, desired);
        let key = (cluster.to_owned(), service.to_owned());
        let Some(service) = self.services.get_mut(&key).filter(|service| service.is_active()) else {
            return false;
        };
        let deploying = service.deployments.first().is_some_and(|primary| primary.rollout == "IN_PROGRESS");
        if service.daemon || (deploying && desired < service.desired) {
            return false;
        }
        // "applies scale-out to both service revisions" ("What's new" of 2025-11).
        let more = desired.saturating_sub(service.desired);
        for old in service.deployments.iter_mut().filter(|old| !old.primary && old.rollout == "COMPLETED") {
            old.desired += more;
        }
        service.desired = desired;
        service.steady = false;
        true
    }

    /// An alarm of `CloudWatch` moves into or out of ALARM. Any name will do.
    pub fn set_alarm(&mut self, name: &str, in_alarm: bool) {
        let state = if in_alarm { "ALARM" } else { "OK" };
        self.alarms.set(name, state, "set by hand", self.now);
    }

    /// What containers of this name do from now on in tasks that no service has started.
    pub fn set_program(&mut self, container: &str, program: Program) {
        self.programs.insert(container.to_owned(), program);
    }

    /// Fargate takes back what a run of Spot capacity runs on (developer guide, "Amazon ECS clusters for Fargate").
    pub fn interrupt_task(&mut self, task: &str) -> bool {
        let (id, now) = (task.rsplit('/').next().unwrap_or(task), self.now);
        let mut runs = self.runs.iter_mut().filter(|run| run.task.wanted);
        let found = runs.find(|run| run.task.arn.rsplit('/').next() == Some(id));
        let spot = found.filter(|run| run.provider.as_deref() == Some("FARGATE_SPOT"));
        spot.map(|run| run.task.stop(now, "SpotInterruption", "Your Spot Task was interrupted.")).is_some()
    }

    /// The essential containers of a running task exit: by its ARN or id.
    pub fn exit_task(&mut self, task: &str, exit_code: i64) -> bool {
        let (id, now) = (task.rsplit('/').next().unwrap_or(task), self.now);
        let mut runs = self.runs.iter_mut().filter(|run| run.task.wanted && run.task.is_running());
        if let Some(run) = runs.find(|run| run.task.arn.rsplit('/').next() == Some(id)) {
            run.exit(exit_code, now);
            return true;
        }
        for service in self.services.values_mut() {
            let mut tasks = std::mem::take(&mut service.tasks);
            let mut found = tasks.iter_mut().filter(|task| task.wanted && task.is_running());
            let found = found.find(|task| task.arn.rsplit('/').next() == Some(id));
            let exited = found.is_some_and(|task| {
                let essential = task.containers.iter_mut().filter(|container| container.essential);
                essential.for_each(|container: &mut Container| container.exit(exit_code));
                service.has_exited(task, now)
            });
            service.tasks = tasks;
            if exited {
                return true;
            }
        }
        false
    }

    /// Another account lets this one make these calls of a repository of its own, which has the name and the images of one
    /// that is here: `BatchGetImage` alone is a registry that lets itself be pulled from (Amazon ECR user guide, "Private
    /// repository policies").
    pub fn share_repository(&mut self, account: &str, repository: &str, operations: &[&str]) -> bool {
        self.registry.share(account, repository, operations)
    }

    /// A lifecycle policy removes an image with all its tags. What an index refers to stays while the index is there
    /// (Amazon ECR user guide, "Automate the cleanup of images by using lifecycle policies").
    pub fn expire_image(&mut self, repository: &str, digest: &str) -> bool {
        self.registry.expire(repository, digest)
    }

    /// A lifecycle policy moves an image to the archive, where it cannot be pulled.
    pub fn archive_image(&mut self, repository: &str, digest: &str) -> bool {
        let now = self.now;
        self.registry.archive(repository, digest, now)
    }
}
