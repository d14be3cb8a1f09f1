//! Starting and stopping tasks, whoever asks for it.

use serde_json::Value;

use super::{Around, EVENTS};
use crate::world::ecs::{Deployment, Service, Status, Task, TaskDefinition, find_definition};
use crate::world::ids;
use crate::world::input::Tags;

/// Seconds after which a place is looked for again where there was none (chosen).
const PLACED_AGAIN_AFTER: u64 = 60;
/// "Duplicate event messages are omitted until either the cause is resolved or six hours passes" (developer guide, "Amazon ECS
/// service event messages").
const SAID_AGAIN_AFTER: u64 = 6 * 3600;

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
        let unplaced = around.faults.no_place().filter(|_| starts > 0 && !self.is_fargate());
        if let Some(why) = unplaced.map(str::to_owned) {
            self.find_no_place(&of.id, &why, around);
            return;
        }
        let mut started = Vec::new();
        for _ in 0..starts {
            let number = around.id();
            let arn = format!("{}task/{}/{}", around.arns, self.cluster, ids::hexadecimal(number));
            started.push(short_id(&arn).to_owned());
            let mut task = Task::new(&of.id, definition, self.tags_of_task(definition), around.now);
            task.arn = arn;
            task.delay = ids::delay(around.seed, number);
            self.tasks.push(task);
        }
        if !started.is_empty() {
            self.steady = false;
            let ids = listed(&started);
            self.tell(around, &format!("has started {} tasks: {ids}.", started.len()));
        }
    }

    /// No task comes to be, so that none has failed. It is said once, until it is resolved or six hours have passed.
    fn find_no_place(&mut self, deployment: &str, closest: &str, around: &mut Around) {
        let said = format!(
            "was unable to place a task because no container instance met all of its requirements. {closest}"
        );
        let since = around.now.saturating_sub(SAID_AGAIN_AFTER);
        let is_known = |(_, at, event): &(u64, u64, String)| *at >= since && event.ends_with(said.trim_end());
        if let Some(carrier) = self.deployments.iter_mut().find(|one| one.id == deployment) {
            carrier.not_before = around.now + PLACED_AGAIN_AFTER;
        }
        if !self.events.iter().any(is_known) {
            self.tell(around, said.trim_end());
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
