//! Task sets of services whose deployments somebody else carries out: each keeps its own count, and nothing replaces
//! anything (Amazon ECS API reference: `TaskSet`, `CreateTaskSet`, `UpdateServicePrimaryTaskSet`, `DeleteTaskSet`).

use super::{Around, Service};
use crate::world::World;
use crate::world::ecs::{Deployment, ServiceKey, Task};
use crate::world::input::Input;

impl World {
    /// A task set beside the others; its id. `over` is laid over the settings of the service for this set alone.
    pub(in crate::world) fn create_task_set(
        &mut self,
        key: &ServiceKey,
        task_definition: &str,
        over: &Input,
        external_id: &str,
    ) -> String {
        let primary = self.services.get(key).and_then(|service| service.deployments.first()).cloned();
        let present = self.services.get(key).map(|service| service.settings.clone());
        if let Some(service) = self.services.get_mut(key) {
            service.settings.extend(over.clone());
        }
        self.start_deployment(key, task_definition);
        let Some(service) = self.services.get_mut(key) else { return String::new() };
        service.settings = present.unwrap_or_default();
        let Some(created) = service.deployments.first_mut() else { return String::new() };
        created.external_id = Some(external_id.to_owned());
        let id = created.id.clone();
        if let Some(primary) = primary {
            service.make_first(&primary.id);
        }
        id
    }

    /// From now on this task set is the PRIMARY, and what the service shows is what the set has.
    pub(in crate::world) fn make_primary_set(&mut self, key: &ServiceKey, id: &str) {
        let Some(service) = self.services.get_mut(key) else { return };
        service.make_first(id);
        let revision = service.deployments.first().and_then(|first| service.revisions.get(first.revision));
        if let Some(settings) = revision.map(|revision| revision.settings.clone()) {
            service.settings.extend(settings);
        }
    }

    pub(in crate::world) fn drain_task_set(&mut self, key: &ServiceKey, id: &str) {
        if let Some(set) = self.task_set_mut(key, id) {
            set.draining = true;
        }
    }

    /// Whether all tasks of the set are there and healthy; `None` if there is no such set any more.
    pub(in crate::world) fn is_set_steady(&self, key: &ServiceKey, id: &str) -> Option<bool> {
        let set = self.services.get(key)?.deployments.iter().find(|set| set.id == id)?;
        Some(!set.draining && set.rollout == "COMPLETED")
    }

    fn task_set_mut(&mut self, key: &ServiceKey, id: &str) -> Option<&mut Deployment> {
        self.services.get_mut(key)?.deployments.iter_mut().find(|set| set.id == id)
    }
}

impl Service {
    fn make_first(&mut self, id: &str) {
        for set in &mut self.deployments {
            set.primary = set.id == id;
        }
        self.deployments.sort_by_key(|set| !set.primary);
        self.steady = false;
    }

    /// How many tasks a set is to have: `scale` is 100 percent for every set that CodeDeploy makes.
    pub(in crate::world) fn wanted_of_set(&self, set: &Deployment) -> u64 {
        if set.draining { 0 } else { self.desired }
    }

    pub(super) fn schedule_sets(&mut self, around: &mut Around) {
        let failing = self.indices(Task::is_failing);
        self.stop_tasks(&failing, around);
        for set in self.deployments.clone() {
            self.keep(&set, self.wanted_of_set(&set), around);
        }
    }

    /// A set is steady with all its tasks healthy and none on the way (`stabilityStatus`); a drained one is gone.
    pub(super) fn judge_sets(&mut self, around: &mut Around) {
        let tasks = &self.tasks;
        self.deployments.retain(|set| {
            !set.draining || tasks.iter().any(|task| task.deployment == set.id && !task.has_stopped())
        });
        let steady: Vec<bool> = self.deployments.iter().map(|set| self.is_steady_set(set, around)).collect();
        for (set, steady) in self.deployments.iter_mut().zip(steady) {
            let rollout = if steady { "COMPLETED" } else { "IN_PROGRESS" };
            if set.rollout != rollout {
                set.rollout = rollout;
                set.updated_at = around.now;
            }
        }
        self.tell_steady(around);
    }

    fn is_steady_set(&self, set: &Deployment, around: &Around) -> bool {
        let mine = self.tasks.iter().filter(|task| task.wanted && task.deployment == set.id);
        let ready = mine.clone().filter(|task| self.is_ready(task, around)).count() as u64;
        ready == mine.count() as u64 && ready == self.wanted_of_set(set)
    }

    /// The target group whose health counts. While no listener or rule forwards to it, if only with weight 0, no load
    /// balancer looks at its targets, and a task set is steady without them (`CodeDeploy` user guide, "Troubleshoot
    /// Amazon ECS deployment issues": "the replacement task set fails the ELB health checks, and my application is
    /// down"; aws/containers-roadmap, issue 1941).
    pub(super) fn checked_target(&self, task: &Task, around: &Around) -> Option<String> {
        let counts = |group: &String| self.is_deployed_by_ecs() || around.balancing.is_in_use(group);
        self.target(task).filter(counts)
    }

    pub(super) fn sets_are_quiet(&self) -> bool {
        self.deployments.iter().all(|set| !set.draining && set.rollout == "COMPLETED")
    }
}
