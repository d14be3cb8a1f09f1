//! Starting and stopping tasks between the minimum and the maximum percent (Amazon ECS API reference,
//! `DeploymentConfiguration`).

use serde_json::Value;

use super::{Around, EVENTS};
use crate::world::ecs::{
    Check, Container, Deployment, Service, Status, Task, TaskDefinition, find_definition, percents,
};
use crate::world::input::Tags;

/// The most seconds that a seed adds to the start of a task.
const MOST_DELAY: u64 = 8;

/// What a service has of tasks that are to run.
#[derive(Debug, Default)]
struct Counts {
    alive: u64,
    new: u64,
    ready: u64,
    ready_old: u64,
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
        let target = primary.clone();
        let (primary, not_before) = (target.id.clone(), target.not_before);
        let counts = self.count(&primary, around);
        let (least, most) = percents(self);
        let most = most.max(u64::from(self.desired > 0));
        let missing = self.desired.saturating_sub(counts.new);
        let room = most.saturating_sub(counts.alive);
        // Old tasks go when new ones are healthy, or earlier if there is no room for the new ones; never below the
        // minimum.
        let surplus = (counts.ready).saturating_sub(self.desired).min(counts.ready_old);
        let in_the_way = missing.saturating_sub(room);
        let spare = counts.ready.saturating_sub(least).min(surplus.max(in_the_way));
        let stopped = self.stop_old(&primary, spare, around) + self.scale_in(&primary, &counts, around);
        let alive = self.tasks.iter().filter(|task| task.wanted).count() as u64;
        let starts = missing.min(most.saturating_sub(alive));
        if around.now >= not_before {
            self.start(&target, starts, around);
        }
        if missing > 0 && starts == 0 && stopped == 0 && counts.settled {
            self.tell_stuck(around);
        }
    }

    fn count(&self, primary: &str, around: &Around) -> Counts {
        let mut counts = Counts { settled: true, ..Counts::default() };
        for task in &self.tasks {
            counts.settled &= task.has_stopped() || task.is_running();
            if !task.wanted {
                continue;
            }
            let (new, ready) = (task.deployment == primary, self.is_ready(task, around));
            counts.alive += 1;
            counts.new += u64::from(new);
            counts.ready += u64::from(ready);
            counts.ready_old += u64::from(ready && !new);
        }
        counts
    }

    /// Stops what is left of older deployments: at once what is not healthy, and `spare` healthy tasks.
    fn stop_old(&mut self, primary: &str, mut spare: u64, around: &mut Around) -> usize {
        let mut chosen = Vec::new();
        for (index, task) in self.tasks.iter().enumerate() {
            if task.wanted && task.deployment != primary {
                let ready = self.is_ready(task, around);
                if ready && spare == 0 {
                    continue;
                }
                spare -= u64::from(ready);
                chosen.push(index);
                let carrier = self.deployments.iter_mut().find(|one| one.id == task.deployment);
                if let Some(carrier) = carrier {
                    carrier.desired = carrier.desired.saturating_sub(1);
                }
            }
        }
        self.stop_tasks(&chosen, around)
    }

    /// Stops tasks of the present deployment beyond the desired count: first those that do not run yet, then the newest.
    fn scale_in(&mut self, primary: &str, counts: &Counts, around: &mut Around) -> usize {
        let surplus = usize::try_from(counts.new.saturating_sub(self.desired)).unwrap_or(usize::MAX);
        if surplus == 0 {
            return 0;
        }
        let mine = |task: &Task| task.wanted && task.deployment == primary;
        let mut mine: Vec<usize> =
            self.tasks.iter().enumerate().filter(|(_, task)| mine(task)).map(|(index, _)| index).collect();
        mine.sort_by_key(|index| {
            let task = self.tasks.get(*index);
            (task.is_some_and(Task::is_running), std::cmp::Reverse(*index))
        });
        mine.truncate(surplus);
        self.stop_tasks(&mine, around)
    }

    pub(super) fn stop_tasks(&mut self, chosen: &[usize], around: &mut Around) -> usize {
        let mut stopped = Vec::new();
        for index in chosen {
            let Some(task) = self.tasks.get_mut(*index) else { continue };
            if task.is_running() {
                stopped.push(short_id(&task.arn).to_owned());
            }
            let reason = format!("Scaling activity initiated by (deployment {})", task.deployment);
            task.stop(around.now, "ServiceSchedulerInitiated", reason);
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
            let arn = format!("{}task/{}/{number:032x}", around.arns, self.cluster);
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

    /// A deleted service stops its tasks and is INACTIVE when they have stopped.
    fn drain(&mut self, around: &mut Around) {
        let alive: Vec<usize> =
            self.tasks.iter().enumerate().filter(|(_, task)| task.wanted).map(|(index, _)| index).collect();
        self.stop_tasks(&alive, around);
        if self.tasks.iter().all(Task::has_stopped) {
            self.status = Status::Inactive(around.now);
            self.deployments.clear();
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

/// The same for a seed and a task in every run (`SplitMix64`); none for seed 0.
fn delay(seed: u64, number: u64) -> u64 {
    if seed == 0 {
        return 0;
    }
    let mut mixed = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) % (MOST_DELAY + 1)
}
