//! A rolling deployment starts and stops tasks between the minimum and the maximum percent (Amazon ECS API reference,
//! `DeploymentConfiguration`).

use super::Around;
use crate::world::ecs::{Deployment, Service, Task, percents};

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
    pub(super) fn schedule_rolling(&mut self, around: &mut Around) {
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

    pub(super) fn rolling_is_quiet(&self) -> bool {
        self.deployments.first().is_none_or(|primary| match primary.rollout {
            "COMPLETED" => self.tasks.iter().filter(|task| task.wanted).count() as u64 == self.desired,
            "FAILED" => true,
            _ => false,
        })
    }
}
