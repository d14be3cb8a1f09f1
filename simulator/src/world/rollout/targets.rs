//! Tasks as targets of a load balancer: what is told of their coming and going, and how long they drain (the texts and times
//! are those that accounts with little traffic show).

use std::collections::BTreeMap;

use super::Around;
use super::carriers::Carrier;
use crate::world::ecs::{Service, Task};

/// Seconds from the order to stop until a target is deregistered, and how long it drains with next to no connections. The
/// attribute `deregistration_delay` of the target group plays no part.
const DEREGISTERED_AFTER: u64 = 2;
const DRAINS_FOR: u64 = 30;
/// The same for a task set that CodeDeploy ends: the default of `deregistration_delay.timeout_seconds` (Elastic Load
/// Balancing API reference, `TargetGroupAttribute`). No deployment waits for it.
const SET_DRAINS_FOR: u64 = 300;

impl Service {
    /// The target group that the task is registered with, if there is a load balancer.
    pub(super) fn target(&self, task: &Task) -> Option<String> {
        let carrier = self.deployments.iter().find(|one| one.id == task.deployment);
        let revision = carrier.and_then(|carrier| self.revisions.get(carrier.revision));
        let settings = revision.map_or(&self.settings, |revision| &revision.settings);
        if let Some((group, _)) = revision.and_then(|revision| revision.groups.first()) {
            return Some(group.clone());
        }
        let balancer = settings.get("loadBalancers")?.as_array()?.first()?;
        let named = balancer.get("targetGroupArn").or_else(|| balancer.get("loadBalancerName"))?;
        named.as_str().map(str::to_owned)
    }

    /// The seconds that an orderly stop waits for the target.
    pub(super) fn drains_for(&self, task: &Task) -> u64 {
        let is_orderly = matches!(task.stop_code, Some("ServiceSchedulerInitiated" | "UserInitiated"));
        let has_target = task.started_at.is_some() && self.target(task).is_some();
        match self.carrier() {
            _ if !is_orderly || !has_target => 0,
            Carrier::Rolling | Carrier::Native => DRAINS_FOR,
            Carrier::TaskSets => SET_DRAINS_FOR,
        }
    }

    pub(super) fn tell_of_targets(&mut self, around: &mut Around) {
        if !self.is_deployed_by_ecs() {
            return;
        }
        let now = around.now;
        for (target, tasks) in self.targets(|task| task.started_at == Some(now)) {
            self.tell(around, &format!("registered {} targets in (target-group {target})", tasks.len()));
        }
        let leaves = |task: &Task| task.stopping_at == now.checked_sub(DEREGISTERED_AFTER);
        for (target, tasks) in self.targets(|task| task.started_at.is_some() && leaves(task)) {
            self.tell(around, &format!("deregistered {} targets in (target-group {target})", tasks.len()));
            for (deployment, count) in counted(tasks) {
                self.tell_of_set(
                    around,
                    &deployment,
                    &format!("has begun draining connections on {count} tasks."),
                );
            }
        }
    }

    /// The deployments of the tasks that are chosen, by target group.
    fn targets(&self, chosen: impl Fn(&Task) -> bool) -> BTreeMap<String, Vec<String>> {
        let mut targets: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for task in self.tasks.iter().filter(|task| chosen(task)) {
            if let Some(target) = self.target(task) {
                targets.entry(target).or_default().push(task.deployment.clone());
            }
        }
        targets
    }
}

fn counted(names: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}
