//! What carries the deployments of a service out. Each carrier has a module of its own; who asks which one it is stands
//! here alone.

use super::Around;
use crate::world::ecs::{Controller, Service, Status};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// ECS replaces tasks (`rolling`, `judge`).
    Rolling,
    /// ECS moves the traffic to tasks beside the old ones (`native`).
    Native,
    /// Somebody else makes task sets and moves the traffic (`task_sets`).
    TaskSets,
}

impl Service {
    pub(super) fn carrier(&self) -> Carrier {
        match self.controller {
            Controller::Ecs if self.history.first().is_some_and(|newest| newest.shift.is_some()) => {
                Carrier::Native
            }
            Controller::Ecs => Carrier::Rolling,
            Controller::CodeDeploy | Controller::External => Carrier::TaskSets,
        }
    }

    /// Starts and stops tasks.
    pub(super) fn schedule(&mut self, around: &mut Around) {
        if self.status == Status::Draining {
            return self.drain(around);
        }
        match self.carrier() {
            Carrier::Rolling => self.schedule_rolling(around),
            Carrier::Native => self.schedule_native(around),
            Carrier::TaskSets => self.schedule_sets(around),
        }
    }

    /// Looks whether a deployment has come further, or has ended.
    pub(super) fn judge(&mut self, around: &mut Around) {
        match self.carrier() {
            Carrier::Rolling => self.judge_rolling(around),
            Carrier::Native => self.judge_native(around),
            Carrier::TaskSets => self.judge_sets(around),
        }
    }

    /// When time must pass second by second again; None if nothing is under way.
    pub(super) fn wakes_at(&self, around: &Around) -> Option<u64> {
        match self.carrier() {
            _ if self.is_quiet(around) => None,
            Carrier::Native => Some(self.native_wakes_at(around)),
            Carrier::Rolling | Carrier::TaskSets => Some(around.now + 1),
        }
    }

    /// Whether another second would change nothing.
    fn is_quiet(&self, around: &Around) -> bool {
        let settled = match self.carrier() {
            Carrier::Rolling => self.rolling_is_quiet(),
            Carrier::Native => self.native_is_quiet(),
            Carrier::TaskSets => self.sets_are_quiet(),
        };
        settled
            && self.is_active()
            && self.history.iter().all(|deployment| deployment.finished_at.is_some())
            && self.tasks.iter().all(|task| task.has_stopped() || self.is_ready(task, around))
    }

    /// Whether ECS itself deploys: then it resolves an image once a deployment, looks at targets before anything
    /// forwards to them, and tells of their coming and going.
    pub(super) fn is_deployed_by_ecs(&self) -> bool {
        self.controller == Controller::Ecs
    }
}
