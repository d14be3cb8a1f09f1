//! The life of a task: it starts, pulls its images, runs, is checked, stops (developer guide, "Amazon ECS task
//! lifecycle" and "Amazon ECS stopped tasks error messages").

use serde_json::Value;

use super::Around;
use crate::world::ecs::{Check, Container, Service, ServiceDeployment, Task, breaker};
use crate::world::input::list;

/// Seconds from creation until a task has reached the state. AWS publishes no figures; Fargate tasks take about this.
const PENDING_AFTER: u64 = 3;
const PULLED_AFTER: u64 = 8;
const RUNNING_AFTER: u64 = 12;
/// Seconds from the order to stop until the task has.
const STOPPED_AFTER: u64 = 4;
/// Seconds of running until a task counts that nothing checks (Amazon ECS API reference, `DeploymentConfiguration`).
const UNCHECKED_AFTER: u64 = 40;
/// Seconds of running until a load balancer finds a target healthy, or gives up on it: two or more checks.
const TARGET_HEALTHY_AFTER: u64 = 10;
const TARGET_FAILED_AFTER: u64 = 60;
/// Seconds for which Fargate tries to pull an image. Ninety-two were measured.
const FARGATE_PULLS_FOR: u64 = 90;
/// Seconds before tasks are started again after the first round that did not come to run, how it grows, and at most
/// (developer guide, "Amazon ECS service throttle logic": "up to a maximum of 27 minutes"; 40 and 280 were measured).
const FIRST_PAUSE: u64 = 30;
const PAUSE_GROWS: u64 = 8;
const LONGEST_PAUSE: u64 = 27 * 60;
/// What `CloudWatch` Logs answers whoever makes a stream in a group that is not there.
const NO_LOG_GROUP: &str = "ResourceNotFoundException: The specified log group does not exist.";
/// The exit code of a container that ends by SIGTERM.
const TERMINATED: i64 = 143;

/// What a starting task comes to next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Pending,
    Pulled,
    Running,
}

/// What keeps a task from starting.
pub(super) enum Missing {
    Image(String),
    Secret(String),
    LogGroup,
    /// A place for it, on Fargate: why there is none.
    Place(String),
}

pub(super) fn due(task: &Task, now: u64) -> Option<Due> {
    let age = now - task.created_at;
    let pulled = task.pull_stopped_at.unwrap_or(now);
    match task.status {
        "PROVISIONING" if age >= PENDING_AFTER => Some(Due::Pending),
        "PENDING" if age >= PULLED_AFTER + task.delay => Some(Due::Pulled),
        "ACTIVATING" if now - pulled >= RUNNING_AFTER - PULLED_AFTER => Some(Due::Running),
        _ => None,
    }
}

pub(super) fn begin_to_pull(task: &mut Task, now: u64) {
    task.status = "PENDING";
    task.pull_started_at = Some(now);
}

pub(super) fn end_pull(task: &mut Task, now: u64) {
    task.status = "ACTIVATING";
    task.pull_stopped_at = Some(now);
}

/// Stops a task that cannot start, and says why; nothing while Fargate goes on trying to pull.
pub(super) fn give_up(task: &mut Task, missing: &Missing, is_fargate: bool, now: u64) -> Option<String> {
    let reason = match missing {
        Missing::Secret(secret) => format!(
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {secret} from secrets manager"
        ),
        Missing::Place(why) => why.clone(),
        Missing::LogGroup if is_fargate => format!(
            "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: {NO_LOG_GROUP} : exit status 1"
        ),
        Missing::LogGroup => {
            if let Some(container) = task.containers.first_mut() {
                container.reason = Some(format!(
                    "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: {NO_LOG_GROUP}"
                ));
            }
            "Task failed to start".to_owned()
        }
        Missing::Image(_) if is_fargate && now - task.created_at < FARGATE_PULLS_FOR => return None,
        Missing::Image(image) if is_fargate => format!(
            "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref {image}: {image}: not found"
        ),
        Missing::Image(image) => {
            let mut unpulled = task.containers.iter_mut().filter(|container| container.digest.is_none());
            if let Some(container) = unpulled.next() {
                container.reason = Some(format!(
                    "CannotPullContainerError: Error response from daemon: manifest for {image} not found: manifest unknown: Requested image not found"
                ));
            }
            "Task failed to start".to_owned()
        }
    };
    task.stop(now, "TaskFailedToStart", reason.clone());
    Some(reason)
}

impl Service {
    pub(super) fn live(&mut self, around: &mut Around) {
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in tasks.iter_mut().filter(|task| !task.has_stopped()) {
            if !task.wanted {
                go_on_stopping(task, around.now, self.drains_for(task));
            } else if task.is_running() {
                self.check(task, around);
            } else {
                self.go_on_starting(task, around);
            }
        }
        self.tasks = tasks;
        self.tell_of_targets(around);
    }

    fn go_on_starting(&mut self, task: &mut Task, around: &mut Around) {
        let status = task.status;
        match due(task, around.now) {
            None => {}
            Some(Due::Pending) => match around.faults.no_place().filter(|_| self.is_fargate()) {
                Some(why) => self.fail_to_start(task, &Missing::Place(why.to_owned()), around),
                None => begin_to_pull(task, around.now),
            },
            Some(Due::Pulled) => self.pull(task, around),
            Some(Due::Running) => self.run(task, around),
        }
        task.version += u64::from(task.status != status);
    }

    fn pull(&mut self, task: &mut Task, around: &mut Around) {
        let secret = around.missing_secret(task).map(Missing::Secret);
        let missing = secret
            .or_else(|| self.resolve(task, around).map(Missing::Image))
            .or_else(|| around.misses_log_group(task).then_some(Missing::LogGroup));
        match missing {
            Some(missing) => self.fail_to_start(task, &missing, around),
            None => end_pull(task, around.now),
        }
    }

    fn fail_to_start(&mut self, task: &mut Task, missing: &Missing, around: &mut Around) {
        let Some(reason) = give_up(task, missing, self.is_fargate(), around.now) else { return };
        if self.is_fargate() {
            self.tell(around, &format!("was unable to place a task. Reason: {reason}."));
        }
        self.throttle(&task.deployment, around);
    }

    /// Gives the containers their digests; the image that cannot be had. The first task of a deployment resolves the digest
    /// and later ones use the same (developer guide, "Container image resolution"), unless the container asks for no version
    /// consistency, or somebody else than ECS deploys.
    fn resolve(&mut self, task: &mut Task, around: &Around) -> Option<String> {
        let by_ecs = self.is_deployed_by_ecs();
        let revision = self.deployments.iter().find(|one| one.id == task.deployment).map(|one| one.revision);
        let revision = revision.and_then(|index| self.revisions.get_mut(index));
        let mut resolved = revision.map(|revision| &mut revision.digests).filter(|_| by_ecs);
        for container in &mut task.containers {
            let kept = resolved.as_ref().and_then(|digests| digests.get(&container.name));
            let kept = kept.filter(|_| container.consistent).cloned();
            match around.registry.pull(&container.image, kept.as_deref(), around.now) {
                Some(digest) if !around.faults.cannot_pull(&digest) => {
                    if let Some(digests) = resolved.as_mut().filter(|_| container.consistent) {
                        digests.insert(container.name.clone(), digest.clone());
                    }
                    container.digest = Some(digest);
                }
                _ => return Some(container.image.clone()),
            }
        }
        None
    }

    fn run(&mut self, task: &mut Task, around: &Around) {
        task.status = "RUNNING";
        task.started_at = Some(around.now);
        if let Some(deployment) = self.deployments.iter_mut().find(|one| one.id == task.deployment) {
            deployment.failed_rounds = 0;
            deployment.updated_at = around.now;
        }
        self.count_success(task, around);
    }

    /// Health checks of containers and of a target; the grace period holds for both.
    fn check(&mut self, task: &mut Task, around: &mut Around) {
        let age = around.now - task.started_at.unwrap_or(around.now);
        crash(task, age, around);
        if self.has_exited(task, around.now) {
            return;
        }
        let health = task.health();
        for container in &mut task.containers {
            let passes = !container.digest.iter().any(|digest| around.faults.is_unhealthy(digest));
            if let Some(check) =
                container.check.as_mut().filter(|check| age > 0 && age.is_multiple_of(check.interval))
            {
                check.run(passes, age);
            }
        }
        task.version += u64::from(task.health() != health);
        let grace =
            self.settings.get("healthCheckGracePeriodSeconds").and_then(Value::as_u64).unwrap_or_default();
        if age >= grace && task.is_sound() {
            self.look_for_failure(task, age, around);
        }
        self.count_success(task, around);
    }

    /// The scheduler replaces a task whose checks or target have failed.
    fn look_for_failure(&mut self, task: &mut Task, age: u64, around: &mut Around) {
        let id = task.arn.rsplit('/').next().unwrap_or_default().to_owned();
        let port = list(&self.settings, "loadBalancers").find_map(|one| one.get("containerPort")?.as_u64());
        let port = port.map(|port| format!(" (port {port})")).unwrap_or_default();
        let passes = !task.digests().any(|digest| around.faults.is_unhealthy(digest));
        let target = self.checked_target(task, around).filter(|_| !passes && age >= TARGET_FAILED_AFTER);
        let event = if task.health() == "UNHEALTHY" {
            task.failing = Some("Task failed container health checks".to_owned());
            format!("(task {id}) failed container health checks.")
        } else if let Some(target) = target {
            task.failing = Some(format!("Task failed ELB health checks in (target-group {target})"));
            let is_silent = task.digests().any(|digest| around.faults.is_silent(digest));
            let (_, reason) = around.balancing.failure(&target, is_silent);
            format!("(task {id}){port} is unhealthy in (target-group {target}) due to (reason {reason})")
        } else {
            return;
        };
        self.tell(around, &event);
    }

    /// A task ends with its essential containers. It has failed if it was never healthy; restarts are not slowed
    /// (developer guide, "Amazon ECS service throttle logic").
    pub(in crate::world) fn has_exited(&mut self, task: &mut Task, now: u64) -> bool {
        let exited = |container: &Container| container.essential && container.exit_code.is_some();
        if !task.containers.iter().any(exited) {
            return false;
        }
        task.stop(now, "EssentialContainerExited", "Essential container in task exited");
        self.steady = false;
        if !task.was_ready {
            self.count_failure(&task.deployment, now);
        }
        true
    }

    /// Running, with its health checks and its target healthy; for a while where it has neither.
    pub(super) fn is_ready(&self, task: &Task, around: &Around) -> bool {
        let Some(started) = task.started_at.filter(|_| task.is_sound() && task.is_running()) else {
            return false;
        };
        let passes = !task.digests().any(|digest| around.faults.is_unhealthy(digest));
        let (has_target, age) = (self.checked_target(task, around).is_some(), around.now - started);
        let checked = !task.has_checks() || (task.health() == "HEALTHY" && passes);
        let reached = !has_target || (passes && age >= TARGET_HEALTHY_AFTER);
        // Of a task set nothing is asked but that its tasks run (Amazon ECS API reference, `TaskSet`, `stabilityStatus`).
        let is_looked_at = has_target || task.has_checks() || !self.is_deployed_by_ecs();
        checked && reached && (is_looked_at || age >= UNCHECKED_AFTER)
    }

    /// One healthy task sets the count of failures back (`resetOnHealthyTask`, on by default).
    fn count_success(&mut self, task: &mut Task, around: &Around) {
        if task.was_ready || !self.is_ready(task, around) {
            return;
        }
        task.was_ready = true;
        if !breaker(self.rules(), self.desired).resets {
            return;
        }
        if let Some(deployment) = self.deployments.iter_mut().find(|one| one.id == task.deployment) {
            deployment.failed_tasks = 0;
            deployment.updated_at = around.now;
        }
        if let Some(newest) = self.watched(&task.deployment) {
            newest.failures = 0;
        }
    }

    /// The service deployment that a deployment carries out, as long as its failures decide anything.
    fn watched(&mut self, deployment: &str) -> Option<&mut ServiceDeployment> {
        let newest = self.history.first_mut()?;
        let counts = newest.carried_by == deployment && newest.finished_at.is_none();
        (counts && newest.rollback.is_none()).then_some(newest)
    }

    /// Counts a task that has failed, for the circuit breaker.
    pub(super) fn count_failure(&mut self, deployment: &str, now: u64) {
        if let Some(newest) = self.watched(deployment) {
            newest.failures += 1;
            newest.updated_at = now;
        }
        if let Some(deployment) = self.deployments.iter_mut().find(|one| one.id == deployment) {
            deployment.failed_tasks += 1;
            deployment.updated_at = now;
        }
    }

    /// A task that never came to run has failed and makes the next ones wait.
    fn throttle(&mut self, deployment: &str, around: &mut Around) {
        let now = around.now;
        self.count_failure(deployment, now);
        // Tasks that fail in the same second are one round.
        let carrier = self.deployments.iter_mut().find(|one| one.id == deployment);
        let Some(carrier) = carrier.filter(|carrier| carrier.not_before <= now) else { return };
        let pause = FIRST_PAUSE.saturating_mul(PAUSE_GROWS.saturating_pow(carrier.failed_rounds));
        carrier.not_before = now + pause.min(LONGEST_PAUSE);
        carrier.failed_rounds += 1;
        if carrier.failed_rounds == 2 {
            self.tell(around, "is unable to consistently start tasks successfully.");
        }
    }
}

pub(super) fn crash(task: &mut Task, age: u64, around: &Around) {
    for container in task.containers.iter_mut().filter(|container| container.exit_code.is_none()) {
        let code = container.digest.as_ref().and_then(|digest| around.faults.crash(digest, age));
        if let Some(code) = code {
            container.exit(code);
        }
    }
}

impl Container {
    /// What the container says when it has ended.
    pub(in crate::world) fn exit(&mut self, code: i64) {
        self.exit_code = Some(code);
        // Developer guide, "Amazon ECS stopped tasks error messages": killed by the kernel for its memory.
        if code == 137 {
            self.reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
        }
    }
}

impl Check {
    /// Failures count after the start period, and a row of `retries` makes the container unhealthy (Amazon ECS API
    /// reference, `HealthCheck`).
    fn run(&mut self, passes: bool, age: u64) {
        if passes {
            self.failures = 0;
            self.status = "HEALTHY";
        } else if age > self.start_period {
            self.failures += 1;
            if self.failures >= self.retries {
                self.status = "UNHEALTHY";
            }
        }
    }
}

/// It stays DEACTIVATING for so long, and then stops.
pub(super) fn go_on_stopping(task: &mut Task, now: u64, drains_for: u64) {
    let since = (now - task.stopping_at.unwrap_or(now)).saturating_sub(drains_for);
    let status = match since {
        0 => return,
        1 | 2 => "STOPPING",
        3 => "DEPROVISIONING",
        _ => "STOPPED",
    };
    if since == 1 && task.started_at.is_some() {
        for container in task.containers.iter_mut().filter(|container| container.exit_code.is_none()) {
            container.exit_code = Some(TERMINATED);
        }
    }
    task.version += u64::from(task.status != status);
    task.status = status;
    if since >= STOPPED_AFTER {
        task.stopped_at = Some(now);
    }
}
