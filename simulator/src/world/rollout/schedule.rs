//! Starting and stopping tasks between the minimum and the maximum percent (Amazon ECS API reference,
//! `DeploymentConfiguration`).

use serde_json::Value;

use super::{Around, EVENTS};
use crate::world::ecs::{
    Check, Container, Deployment, Service, Status, Task, TaskDefinition, find_definition, percents,
};
use crate::world::ids;
use crate::world::input::Tags;

/// The most seconds that a seed adds to the start of a task.
const MOST_DELAY: u64 = 8;

/// What a service has of tasks that are to run.
#[derive(Debug, Default)]
struct Counts {
    alive: u64,
    new: u64,
    new_ready: u64,
    ready: u64,
    settled: bool,
}

impl Service {
    pub(super) fn schedule(&mut self, around: &mut Around) {
        if self.status == Status::Draining {
            return self.drain(around);
        }
        if self.controller != "ECS" {
            return self.schedule_sets(around);
        }
        let desired = self.desired;
        let Some(primary) = self.deployments.first_mut() else { return };
        // "A service deployment will transition to a failed state and stop launching new tasks"
        // (`DeploymentCircuitBreaker`): what runs is left as it is.
        if primary.rollout == "FAILED" {
            return;
        }
        primary.desired = desired;
        let primary = primary.id.clone();
        self.stop_unproven(around);
        let counts = self.count(&primary, around);
        let stopped = self.stop_replaced(&primary, &counts, around) + self.scale_in(&primary, around);
        let started = self.start_missing(around);
        let stopped = stopped + self.stop_failing(around);
        if counts.new < desired && started == 0 && stopped == 0 && counts.settled {
            self.tell_stuck(around);
        }
    }

    fn count(&self, primary: &str, around: &Around) -> Counts {
        let mut counts = Counts { settled: true, ..Counts::default() };
        for task in &self.tasks {
            let ready = self.is_ready(task, around);
            counts.settled &= task.has_stopped() || ready;
            let new = task.wanted && task.deployment == primary;
            counts.alive += u64::from(task.wanted);
            counts.new += u64::from(new);
            counts.new_ready += u64::from(new && ready);
            counts.ready += u64::from(ready);
        }
        counts
    }

    /// Whether tasks of the deployment that die or get unhealthy are replaced: "using the same service revision they belong
    /// to" (developer guide). One that was replaced before it completed only gives up what it has.
    fn is_kept_up(&self, deployment: &str) -> bool {
        let carrier = self.deployments.iter().find(|one| one.id == deployment);
        carrier.is_some_and(|carrier| carrier.primary || carrier.rollout == "COMPLETED")
    }

    fn stop_unproven(&mut self, around: &mut Around) {
        let unproven =
            |task: &Task| task.wanted && !self.is_kept_up(&task.deployment) && !self.is_ready(task, around);
        let chosen = self.indices(unproven);
        self.give_up(&chosen, around);
    }

    /// Old tasks go when new ones are healthy, or earlier if there is no room for the new ones: first those that are not
    /// healthy, and never below the minimum.
    fn stop_replaced(&mut self, primary: &str, counts: &Counts, around: &mut Around) -> usize {
        let least = self.bounds().0;
        let old = counts.alive - counts.new;
        let replaced = old.saturating_sub(self.desired.saturating_sub(counts.new_ready));
        let in_the_way = self.desired.saturating_sub(counts.new).saturating_sub(self.room());
        let (mut wanted, mut spare) = (replaced.max(in_the_way), counts.ready.saturating_sub(least));
        let mut old = self.indices(|task| task.wanted && task.deployment != primary);
        let ready = |index: &usize| self.tasks.get(*index).is_some_and(|task| self.is_ready(task, around));
        old.sort_by_key(ready);
        old.retain(|index| {
            let cost = u64::from(ready(index));
            let goes = wanted > 0 && spare >= cost;
            wanted -= u64::from(goes);
            spare -= if goes { cost } else { 0 };
            goes
        });
        self.give_up(&old, around)
    }

    /// Stops tasks that are not to be replaced.
    fn give_up(&mut self, chosen: &[usize], around: &mut Around) -> usize {
        for task in chosen.iter().filter_map(|index| self.tasks.get(*index)) {
            if let Some(carrier) = self.deployments.iter_mut().find(|one| one.id == task.deployment) {
                carrier.desired = carrier.desired.saturating_sub(1);
            }
        }
        self.stop_tasks(chosen, around)
    }

    /// Stops tasks of the present deployment beyond the desired count: first those that do not run yet, then the newest.
    fn scale_in(&mut self, primary: &str, around: &mut Around) -> usize {
        let mut mine = self.indices(|task| task.is_sound() && task.deployment == primary);
        let surplus = (mine.len() as u64).saturating_sub(self.desired);
        mine.sort_by_key(|index| {
            let task = self.tasks.get(*index);
            (task.is_some_and(Task::is_running), std::cmp::Reverse(*index))
        });
        mine.truncate(usize::try_from(surplus).unwrap_or(usize::MAX));
        self.stop_tasks(&mine, around)
    }

    /// Starts what the deployments miss, the oldest first, within the maximum.
    fn start_missing(&mut self, around: &mut Around) -> u64 {
        let room = self.room();
        let mut left = room;
        for deployment in self.deployments.clone().iter().rev() {
            let starts = self.missing(deployment).min(left);
            if self.is_kept_up(&deployment.id) && around.now >= deployment.not_before {
                self.start(deployment, starts, around);
                left -= starts;
            }
        }
        room - left
    }

    fn missing(&self, deployment: &Deployment) -> u64 {
        let sound = self.tasks.iter().filter(|task| task.is_sound() && task.deployment == deployment.id);
        deployment.desired.saturating_sub(sound.count() as u64)
    }

    /// Unhealthy tasks are stopped when their replacements are healthy ("What's new" of 2023-10-23). Without room for these
    /// it is one at a time.
    fn stop_failing(&mut self, around: &mut Around) -> usize {
        let mut stopped = 0;
        for deployment in self.deployments.clone() {
            let mine = |task: &Task| task.wanted && task.deployment == deployment.id;
            let mut failing = self.indices(|task| mine(task) && task.is_failing());
            let ready = self.indices(|task| mine(task) && self.is_ready(task, around)).len();
            let wanted = usize::try_from(deployment.desired).unwrap_or(usize::MAX);
            let replaced = (failing.len() + ready).saturating_sub(wanted);
            let in_the_way = usize::from(self.missing(&deployment) > 0 && self.room() == 0);
            failing.truncate(replaced.max(in_the_way));
            stopped += self.stop_tasks(&failing, around);
        }
        stopped
    }

    /// How many tasks may be started now.
    fn room(&self) -> u64 {
        let alive = self.tasks.iter().filter(|task| task.wanted).count() as u64;
        self.bounds().1.saturating_sub(alive)
    }

    /// The fewest healthy and the most running tasks.
    fn bounds(&self) -> (u64, u64) {
        let (least, most) = percents(self);
        (least, most.max(u64::from(self.desired > 0)))
    }

    pub(super) fn indices(&self, chosen: impl Fn(&Task) -> bool) -> Vec<usize> {
        let all = self.tasks.iter().enumerate().filter(|(_, task)| chosen(task));
        all.map(|(index, _)| index).collect()
    }

    pub(super) fn stop_tasks(&mut self, chosen: &[usize], around: &mut Around) -> usize {
        let mut stopped = Vec::new();
        for index in chosen {
            let Some(task) = self.tasks.get_mut(*index) else { continue };
            if task.is_running() {
                stopped.push(short_id(&task.arn).to_owned());
            }
            let scaling = || format!("Scaling activity initiated by (deployment {})", task.deployment);
            let (reason, failed) = (task.failing.clone().unwrap_or_else(scaling), task.failing.is_some());
            task.stop(around.now, "ServiceSchedulerInitiated", reason);
            let deployment = task.deployment.clone();
            if failed {
                self.count_failure(&deployment, around.now);
            }
        }
        if !stopped.is_empty() {
            let ids = listed(&stopped);
            self.tell(around, &format!("has stopped {} running tasks: {ids}.", stopped.len()));
        }
        if !chosen.is_empty() {
            self.steady = false;
        }
        chosen.len()
    }

    pub(super) fn start(&mut self, of: &Deployment, starts: u64, around: &mut Around) {
        let Some(definition) = find_definition(around.families, &of.task_definition) else { return };
        let mut started = Vec::new();
        for _ in 0..starts {
            let number = around.id();
            let arn = format!("{}task/{}/{}", around.arns, self.cluster, ids::hexadecimal(number));
            started.push(short_id(&arn).to_owned());
            self.tasks.push(Task {
                arn,
                deployment: of.id.clone(),
                task_definition: of.task_definition.clone(),
                containers: definition.containers().map(container).collect(),
                tags: self.tags_of_task(definition),
                status: "PROVISIONING",
                wanted: true,
                version: 1,
                delay: delay(around.seed, number),
                was_ready: false,
                failing: None,
                created_at: around.now,
                pull_started_at: None,
                pull_stopped_at: None,
                started_at: None,
                stopping_at: None,
                stopped_at: None,
                stop_code: None,
                reason: None,
            });
        }
        if !started.is_empty() {
            self.steady = false;
            let ids = listed(&started);
            self.tell(around, &format!("has started {} tasks: {ids}.", started.len()));
        }
    }

    /// `propagateTags` and `enableECSManagedTags` act when a task is made, never later.
    fn tags_of_task(&self, definition: &TaskDefinition) -> Tags {
        let mut tags = match self.settings.get("propagateTags").and_then(Value::as_str) {
            Some("SERVICE") => self.tags.clone(),
            Some("TASK_DEFINITION") => definition.tags.clone(),
            _ => Tags::new(),
        };
        if self.settings.get("enableECSManagedTags").and_then(Value::as_bool) == Some(true) {
            tags.insert("aws:ecs:clusterName".to_owned(), self.cluster.clone());
            tags.insert("aws:ecs:serviceName".to_owned(), self.name.clone());
        }
        tags
    }

    fn tell_stuck(&mut self, around: &mut Around) {
        let Some(primary) = self.deployments.first_mut().filter(|primary| !primary.told_stuck) else {
            return;
        };
        if primary.not_before > around.now {
            return;
        }
        primary.told_stuck = true;
        self.tell(
            around,
            "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.",
        );
    }

    /// A deleted service stops its tasks and is INACTIVE when they have stopped. Its service deployments are deleted with it
    /// (developer guide, "View service history using Amazon ECS service deployments").
    fn drain(&mut self, around: &mut Around) {
        let alive = self.indices(|task| task.wanted);
        self.stop_tasks(&alive, around);
        if self.tasks.iter().all(Task::has_stopped) {
            self.status = Status::Inactive(around.now);
            self.ran = self.deployments.first().map(|primary| primary.task_definition.clone());
            self.deployments.clear();
            self.history.clear();
            self.events.truncate(EVENTS);
        }
    }
}

fn short_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn listed(ids: &[String]) -> String {
    ids.iter().map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ")
}

fn container(definition: &crate::world::input::Input) -> Container {
    let text = |key: &str| definition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let check = definition.get("healthCheck").map(|check| {
        let number = |key: &str, default| check.get(key).and_then(Value::as_u64).unwrap_or(default);
        Check {
            interval: number("interval", 30).max(1),
            retries: number("retries", 3).max(1),
            start_period: number("startPeriod", 0),
            failures: 0,
            status: "UNKNOWN",
        }
    });
    Container {
        name: text("name"),
        image: text("image"),
        essential: definition.get("essential") != Some(&Value::Bool(false)),
        consistent: definition.get("versionConsistency").and_then(Value::as_str) != Some("disabled"),
        digest: None,
        exit_code: None,
        reason: None,
        check,
    }
}

/// The same for a seed and a task in every run; none for seed 0.
fn delay(seed: u64, number: u64) -> u64 {
    if seed == 0 { 0 } else { ids::mixed(seed ^ ids::mixed(number)) % (MOST_DELAY + 1) }
}
