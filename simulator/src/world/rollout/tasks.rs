//! Starting and stopping tasks, whoever asks for it.

use serde_json::Value;

use super::{Around, EVENTS};
use crate::world::ecs::{
    Check, Container, Deployment, Service, Status, Task, TaskDefinition, find_definition,
};
use crate::world::ids;
use crate::world::input::Tags;

/// The most seconds that a seed adds to the start of a task.
const MOST_DELAY: u64 = 8;

impl Service {
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

    /// As many tasks of a deployment as wanted, whatever else there is; the newest go first.
    pub(super) fn keep(&mut self, of: &Deployment, wanted: u64, around: &mut Around) {
        let mine = self.indices(|task| task.wanted && task.deployment == of.id);
        let have = mine.len() as u64;
        if have > wanted {
            let surplus = usize::try_from(have - wanted).unwrap_or(usize::MAX);
            let newest: Vec<usize> = mine.into_iter().rev().take(surplus).collect();
            self.stop_tasks(&newest, around);
        } else if around.now >= of.not_before {
            self.start(of, wanted - have, around);
        }
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

    /// A deleted service stops its tasks and is INACTIVE when they have stopped. Its service deployments are deleted with it
    /// (developer guide, "View service history using Amazon ECS service deployments").
    pub(super) fn drain(&mut self, around: &mut Around) {
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
