//! Rolling deployments and the life of tasks, one second at a time (Amazon ECS developer guide, "Deploy Amazon ECS
//! services by replacing tasks" and "How the Amazon ECS deployment circuit breaker detects failures").

use super::World;
use super::ecs::{Deployment, Service, ServiceDeployment, ServiceRevision, Task};

/// Seconds from creation until a task has reached the state. AWS publishes no figures; Fargate tasks take about this.
const PENDING_AFTER: u64 = 3;
const PULLED_AFTER: u64 = 8;
const RUNNING_AFTER: u64 = 12;
const STOPPED_AFTER: u64 = 4;

impl Task {
    pub(super) fn stop(&mut self, now: u64, code: &'static str, reason: String) {
        if self.wanted {
            self.wanted = false;
            self.status = "DEACTIVATING";
            self.stopping_at = Some(now);
            self.stop_code = Some(code);
            self.reason = Some(reason);
        }
    }
}

impl World {
    /// Makes a new PRIMARY deployment; the one before drains.
    pub(super) fn start_deployment(&mut self, key: &(String, String), task_definition: &str) {
        let number = 1_000_000_000_000_000_000 + self.id();
        let (now, path) = (self.now, format!("{}/{}", key.0, key.1));
        let revision_arn = self.arn("ecs", &format!("service-revision/{path}/{number}"));
        let deployment_arn = self.arn("ecs", &format!("service-deployment/{path}/{number}"));
        let Some(service) = self.services.get_mut(key) else { return };
        let sources = service.deployments.iter().map(|deployment| deployment.revision).collect();
        service.revisions.push(ServiceRevision {
            arn: revision_arn,
            task_definition: task_definition.to_owned(),
            digests: std::collections::BTreeMap::new(),
        });
        let revision = service.revisions.len() - 1;
        if let Some(newest) = service.history.first_mut().filter(|newest| newest.finished_at.is_none()) {
            newest.status = "STOPPED";
            newest.finished_at = Some(now);
        }
        let id = format!("ecs-svc/{number}");
        service.history.insert(
            0,
            ServiceDeployment {
                arn: deployment_arn,
                status: "IN_PROGRESS",
                target: revision,
                sources,
                breaker: if breaker(service).0 { "MONITORING" } else { "DISABLED" },
                created_at: now,
                finished_at: None,
                carried_by: id.clone(),
            },
        );
        make_primary(service, id, task_definition.to_owned(), revision, now);
    }

    pub(super) fn tick(&mut self) {
        self.move_tasks();
        let keys: Vec<_> = self.services.keys().cloned().collect();
        for key in keys {
            self.schedule(&key);
            self.judge(&key);
        }
    }

    fn move_tasks(&mut self) {
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in &mut tasks {
            self.move_task(task);
        }
        self.tasks = tasks;
    }

    fn move_task(&mut self, task: &mut Task) {
        let (now, age) = (self.now, self.now - task.created_at);
        if !task.wanted {
            if task.stopped_at.is_none() && task.stopping_at.is_some_and(|since| now >= since + STOPPED_AFTER)
            {
                task.status = "STOPPED";
                task.stopped_at = Some(now);
            }
            return;
        }
        match age {
            PENDING_AFTER => task.status = "PENDING",
            PULLED_AFTER => self.pull(task),
            RUNNING_AFTER => self.run(task),
            _ => {}
        }
    }

    /// The first task of a deployment resolves the digest; later ones use the same ("version consistency").
    fn pull(&mut self, task: &mut Task) {
        task.status = "ACTIVATING";
        let images: Vec<(String, String)> = self
            .definition(&task.task_definition)
            .into_iter()
            .flat_map(|definition| {
                definition.images().map(|(name, image)| (name.to_owned(), image.to_owned()))
            })
            .collect();
        for (name, image) in images {
            let kept = self.revision_of(task).and_then(|revision| revision.digests.get(&name).cloned());
            let digest =
                kept.or_else(|| self.resolve(&image)).filter(|digest| self.can_be_pulled(&image, digest));
            match digest {
                Some(digest) => {
                    task.digests.insert(name.clone(), digest.clone());
                    if let Some(revision) = self.revision_of(task) {
                        revision.digests.insert(name, digest);
                    }
                }
                None => {
                    let reason = format!(
                        "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref {image}: not found"
                    );
                    task.stop(self.now, "TaskFailedToStart", reason);
                    return self.count_failure(task);
                }
            }
        }
    }

    fn can_be_pulled(&self, image: &str, digest: &str) -> bool {
        let repository = image.split(['@']).next().unwrap_or(image);
        let repository = repository.rsplit_once(':').map_or(repository, |(name, _)| name);
        !self.faults.cannot_pull(digest) && self.resolve(&format!("{repository}@{digest}")).is_some()
    }

    fn run(&mut self, task: &mut Task) {
        let crash = self.faults.crash(task.digests.values());
        if let Some(code) = crash {
            task.exit_code = Some(code);
            task.stop(self.now, "EssentialContainerExited", "Essential container in task exited".to_owned());
            return self.count_failure(task);
        }
        task.status = "RUNNING";
        task.started_at = Some(self.now);
        // One healthy task sets the count back (`resetOnHealthyTask`, on by default).
        self.with_deployment(task, |deployment, now| {
            deployment.failed_tasks = 0;
            deployment.updated_at = now;
        });
    }

    fn count_failure(&mut self, task: &Task) {
        self.with_deployment(task, |deployment, now| {
            deployment.failed_tasks += 1;
            deployment.updated_at = now;
        });
    }

    fn with_deployment(&mut self, task: &Task, change: impl FnOnce(&mut Deployment, u64)) {
        let now = self.now;
        let service = self.services.get_mut(&task.service);
        let deployment =
            service.and_then(|service| service.deployments.iter_mut().find(|d| d.id == task.deployment));
        if let Some(deployment) = deployment {
            change(deployment, now);
        }
    }

    fn revision_of(&mut self, task: &Task) -> Option<&mut ServiceRevision> {
        let service = self.services.get_mut(&task.service)?;
        let index = service.deployments.iter().find(|deployment| deployment.id == task.deployment)?.revision;
        service.revisions.get_mut(index)
    }

    /// Starts and stops tasks between the minimum and the maximum percent.
    fn schedule(&mut self, key: &(String, String)) {
        let Some(service) = self.services.get(key).cloned() else { return };
        let Some(primary) = service.deployments.first() else { return };
        let now = self.now;
        let percent = |key: &str, default| {
            service.configuration.get(key).and_then(serde_json::Value::as_u64).unwrap_or(default)
        };
        let most =
            (service.desired * percent("maximumPercent", 200) / 100).max(u64::from(service.desired > 0));
        let least = (service.desired * percent("minimumHealthyPercent", 100)).div_ceil(100);
        let mine = |task: &&mut Task| task.service == *key && task.wanted;
        let alive = self.tasks.iter_mut().filter(mine).count() as u64;
        let new =
            self.tasks.iter_mut().filter(mine).filter(|task| task.deployment == primary.id).count() as u64;
        let running =
            self.tasks.iter_mut().filter(mine).filter(|task| task.status == "RUNNING").count() as u64;
        let mut spare = running.saturating_sub(least);
        let mut surplus = new.saturating_sub(service.desired);
        for task in self.tasks.iter_mut().filter(|task| task.service == *key && task.wanted) {
            let old = task.deployment != primary.id;
            let is_running = task.status == "RUNNING";
            let stops = (old && (!is_running || spare > 0)) || (!old && surplus > 0);
            if stops {
                spare = spare.saturating_sub(u64::from(is_running));
                surplus = surplus.saturating_sub(u64::from(!old));
                let reason = format!("Scaling activity initiated by (deployment {})", task.deployment);
                task.stop(now, "ServiceSchedulerInitiated", reason);
            }
        }
        if primary.rollout == "FAILED" {
            return;
        }
        let starts = service.desired.saturating_sub(new).min(most.saturating_sub(alive));
        for _ in 0..starts {
            let id = self.id();
            let arn = self.arn("ecs", &format!("task/{}/{id:032x}", key.0));
            self.tasks.push(Task {
                arn,
                service: key.clone(),
                deployment: primary.id.clone(),
                task_definition: primary.task_definition.clone(),
                created_at: now,
                status: "PROVISIONING",
                wanted: true,
                started_at: None,
                stopping_at: None,
                stopped_at: None,
                stop_code: None,
                reason: None,
                exit_code: None,
                digests: std::collections::BTreeMap::new(),
            });
        }
    }

    /// Ends a deployment that is complete, and trips the circuit breaker.
    fn judge(&mut self, key: &(String, String)) {
        let now = self.now;
        let Some(service) = self.services.get(key) else { return };
        let Some(primary) = service.deployments.first().cloned() else { return };
        if primary.rollout != "IN_PROGRESS" {
            return;
        }
        let alive = self.tasks.iter().filter(|task| task.service == *key && task.stopped_at.is_none());
        let (mut running, mut others) = (0, 0);
        for task in alive {
            match (task.deployment == primary.id, task.status, task.wanted) {
                (true, "RUNNING", true)
                    if !task.digests.values().any(|digest| self.faults.is_unhealthy(digest)) =>
                {
                    running += 1;
                }
                (true, ..) => {}
                (false, ..) => others += 1,
            }
        }
        let Some(service) = self.services.get_mut(key) else { return };
        if running >= service.desired && others == 0 {
            complete(service, now);
        } else if breaker(service).0 && primary.failed_tasks >= threshold(service.desired) {
            trip(service, now);
        }
    }
}

fn make_primary(service: &mut Service, id: String, task_definition: String, revision: usize, now: u64) {
    for deployment in &mut service.deployments {
        deployment.primary = false;
    }
    let reason = format!("ECS deployment {id} in progress.");
    let primary = Deployment {
        id,
        primary: true,
        task_definition,
        revision,
        rollout: "IN_PROGRESS",
        reason,
        failed_tasks: 0,
        created_at: now,
        updated_at: now,
    };
    service.deployments.insert(0, primary);
}

/// Whether the circuit breaker is on, and whether it rolls back.
fn breaker(service: &Service) -> (bool, bool) {
    let breaker = service.configuration.get("deploymentCircuitBreaker");
    let flag = |key: &str| {
        breaker.and_then(|breaker| breaker.get(key)).and_then(serde_json::Value::as_bool) == Some(true)
    };
    (flag("enable"), flag("rollback"))
}

/// Half of the desired count, at least 3 and at most 200 (`BOUNDED_PERCENT` with 50, the default).
fn threshold(desired: u64) -> u64 {
    desired.div_ceil(2).clamp(3, 200)
}

fn complete(service: &mut Service, now: u64) {
    service.deployments.truncate(1);
    let Some(primary) = service.deployments.first_mut() else { return };
    primary.rollout = "COMPLETED";
    primary.reason = format!("ECS deployment {} completed.", primary.id);
    primary.updated_at = now;
    let message = format!("(service {}) (deployment {}) deployment completed.", service.name, primary.id);
    if let Some(newest) = service.history.first_mut().filter(|newest| newest.finished_at.is_none()) {
        newest.status =
            if newest.status == "ROLLBACK_IN_PROGRESS" { "ROLLBACK_SUCCESSFUL" } else { "SUCCESSFUL" };
        if newest.breaker == "MONITORING" {
            newest.breaker = "MONITORING_COMPLETE";
        }
        newest.finished_at = Some(now);
    }
    service.events.insert(0, (now, message));
    service.events.truncate(100);
}

/// The deployment is FAILED; with rollback the last one that completed becomes PRIMARY again.
fn trip(service: &mut Service, now: u64) {
    let rolls_back = breaker(service).1;
    let good = service
        .history
        .iter()
        .skip(1)
        .find(|older| older.status == "SUCCESSFUL")
        .map(|older| older.target)
        .filter(|_| rolls_back);
    if let Some(failed) = service.deployments.first_mut() {
        failed.rollout = "FAILED";
        failed.reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
        failed.updated_at = now;
    }
    let message = format!("(service {}) deployment failed: tasks failed to start.", service.name);
    service.events.insert(0, (now, message));
    let Some(newest) = service.history.first_mut() else { return };
    newest.breaker = "TRIGGERED";
    match good {
        Some(revision) => {
            newest.status = "ROLLBACK_IN_PROGRESS";
            let task_definition = service.revisions[revision].task_definition.clone();
            let back = service.deployments.iter().position(|deployment| deployment.revision == revision);
            let id = match back {
                Some(index) => service.deployments.remove(index).id,
                None => format!("ecs-svc/{}", now * 1_000_000_000 + service.revisions.len() as u64),
            };
            newest.carried_by.clone_from(&id);
            make_primary(service, id, task_definition, revision, now);
        }
        None => {
            newest.status = "STOPPED";
            newest.finished_at = Some(now);
        }
    }
}
