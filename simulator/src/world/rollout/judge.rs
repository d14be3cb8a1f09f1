//! How a rolling deployment ends: it completes, the circuit breaker trips, an alarm goes off, somebody stops it (developer
//! guide: "How the Amazon ECS deployment circuit breaker detects failures", "How `CloudWatch` alarms detect Amazon ECS
//! deployment failures", "Stopping Amazon ECS service deployments").

use super::Around;
use super::causes::Cause;
use crate::world::ecs::{ALL, Rollback, Service, TRIGGERS, VOLUMES, alarms, breaker};
use crate::world::input::last_part;

/// Seconds that a deployment with alarms goes on watching them after all is in place. AWS computes it: "less than
/// five minutes by default".
const BAKE: u64 = 180;
/// Seconds from the beginning of a rollback until what it undoes is FAILED, and until it may be over where the old tasks
/// still run. About 100 and 80 were measured.
const FAILED_AFTER: u64 = 20;
const ROLLED_BACK_AFTER: u64 = 30;

/// Developer guide, "Troubleshooting with Amazon ECS Action Logs".
pub(super) const NO_CANDIDATE: &str = "No rollback candidate was found to run the rollback.";

impl Service {
    pub(super) fn judge_rolling(&mut self, around: &mut Around) {
        self.begin_and_stop(around.now);
        self.turn_failed(around.now);
        self.drop_drained();
        let Some(primary) = self.deployments.first() else { return };
        if primary.rollout != "IN_PROGRESS" {
            return self.tell_steady(around);
        }
        if self.history.first().is_some_and(|newest| newest.status == "ROLLBACK_REQUESTED") {
            return self.fail(&Cause::Stopped, around);
        }
        if let Some(names) = self.triggered_alarms(around) {
            return self.fail(&Cause::Alarms(names), around);
        }
        if self.is_in_place(around) {
            if self.has_baked(around.now) {
                self.complete(around);
            }
            return;
        }
        let breaker = breaker(self.rules(), self.desired);
        let Some(primary) = self.deployments.first_mut() else { return };
        primary.baking_since = None;
        if breaker.enabled && primary.failed_tasks >= breaker.threshold {
            self.fail(&Cause::Breaker, around);
        }
    }

    /// PENDING becomes `IN_PROGRESS`, and what was replaced has stopped.
    pub(super) fn begin_and_stop(&mut self, now: u64) {
        let open = self.history.iter().enumerate().filter(|(_, one)| one.finished_at.is_none());
        let open: Vec<_> = open.map(|(index, one)| (index, self.snapshot(&one.carried_by))).collect();
        for (index, end) in open {
            let Some(deployment) = self.history.get_mut(index) else { continue };
            deployment.threshold = breaker(&deployment.configuration, self.desired).threshold;
            if index == 0 && deployment.status == "PENDING" {
                deployment.status = "IN_PROGRESS";
                deployment.started_at = Some(now);
                deployment.updated_at = now;
            }
            if index > 0 {
                let rolling_back = deployment.status == "ROLLBACK_IN_PROGRESS";
                deployment.end(if rolling_back { "ROLLBACK_FAILED" } else { "STOPPED" }, now);
                deployment.stopped_at = Some(now);
                deployment.ended_with = Some(end);
            }
        }
    }

    pub(super) fn turn_failed(&mut self, now: u64) {
        for deployment in &mut self.deployments {
            if let Some((_, reason)) = deployment.fails.take_if(|(at, _)| *at <= now) {
                deployment.rollout = "FAILED";
                deployment.reason = reason.to_owned();
                deployment.updated_at = now;
            }
        }
    }

    /// What was replaced is no longer listed when its tasks have stopped; what failed stays until the next one is done.
    pub(super) fn drop_drained(&mut self) {
        let tasks = &self.tasks;
        self.deployments.retain(|deployment| {
            deployment.primary
                || deployment.rollout == "FAILED"
                || deployment.fails.is_some()
                || tasks.iter().any(|task| task.deployment == deployment.id && !task.has_stopped())
        });
    }

    /// "reaches a steady state": as many healthy tasks as wanted, and none of another deployment.
    fn is_in_place(&self, around: &Around) -> bool {
        let Some(primary) = self.deployments.first() else { return false };
        let (mut ready, mut others) = (0, 0);
        for task in self.tasks.iter().filter(|task| !task.has_stopped()) {
            if task.deployment != primary.id {
                others += 1;
            } else if self.is_ready(task, around) {
                ready += 1;
            }
        }
        let rollback = self.history.first().and_then(|newest| newest.rollback.as_ref());
        let just_begun =
            rollback.is_some_and(|rollback| around.now < rollback.started_at + ROLLED_BACK_AFTER);
        ready >= self.desired && others == 0 && !just_begun
    }

    fn has_baked(&mut self, now: u64) -> bool {
        let watched = alarms(self.rules()).is_some() && !self.rolls_back();
        let Some(primary) = self.deployments.first_mut() else { return false };
        let since = *primary.baking_since.get_or_insert(now);
        !watched || now >= since + BAKE
    }

    fn rolls_back(&self) -> bool {
        self.history.first().is_some_and(|newest| newest.status == "ROLLBACK_IN_PROGRESS")
    }

    /// An alarm that was in ALARM when the deployment began is ignored for the whole of it.
    fn triggered_alarms(&self, around: &Around) -> Option<Vec<String>> {
        let ignored = &self.deployments.first()?.ignored_alarms;
        let (mut names, _) = alarms(self.rules()).filter(|_| !self.rolls_back())?;
        names.retain(|name| around.alarms.contains(name) && !ignored.contains(name));
        (!names.is_empty()).then_some(names)
    }

    fn complete(&mut self, around: &mut Around) {
        let now = around.now;
        self.deployments.truncate(1);
        let Some(primary) = self.deployments.first_mut() else { return };
        primary.rollout = "COMPLETED";
        primary.reason = format!("ECS deployment {} completed.", primary.id);
        primary.updated_at = now;
        let completed = format!("(deployment {}) deployment completed.", primary.id);
        let rolling_back = self.rolls_back();
        if self.history.first().is_some_and(|newest| newest.finished_at.is_none()) {
            self.end_newest(if rolling_back { "ROLLBACK_SUCCESSFUL" } else { "SUCCESSFUL" }, now);
        }
        self.tell(around, &completed);
        self.tell_steady(around);
    }

    pub(super) fn tell_steady(&mut self, around: &mut Around) {
        let (running, pending) = self.counts(None);
        let is_steady = pending == 0
            && running as u64 == self.desired
            && self.tasks.iter().all(|task| task.wanted || task.has_stopped());
        if is_steady && !self.steady {
            self.steady = true;
            self.tell(around, "has reached a steady state.");
        }
    }

    /// The deployment has failed; where it is to roll back, the last one that completed becomes PRIMARY again.
    fn fail(&mut self, cause: &Cause, around: &mut Around) {
        let now = around.now;
        let Some(failed) = self.deployments.first_mut() else { return };
        failed.fails = Some((now, cause.rollout_reason()));
        let event = format!("(deployment {}) deployment failed: {}", failed.id, cause.event());
        self.tell(around, &event);
        if let Some(newest) = self.history.first_mut() {
            newest.mark(cause, now);
        }
        let was_rollback = self.rolls_back();
        match self.rollback_candidate() {
            _ if was_rollback => self.end_newest("ROLLBACK_FAILED", now),
            _ if !self.is_to_roll_back(cause) => self.end_newest("STOPPED", now),
            Some(revision) => self.roll_back(revision, cause, around),
            None if matches!(cause, Cause::Stopped) => self.end_newest("STOPPED", now),
            None => {
                self.end_newest("ROLLBACK_FAILED", now);
                if let Some(newest) = self.history.first_mut() {
                    newest.reason = Some(NO_CANDIDATE.to_owned());
                }
            }
        }
        self.turn_failed(now);
    }

    pub(super) fn end_newest(&mut self, status: &'static str, now: u64) {
        let end = self.history.first().map(|newest| self.snapshot(&newest.carried_by));
        let Some(newest) = self.history.first_mut() else { return };
        newest.end(status, now);
        newest.stopped_at = (status == "STOPPED").then_some(now);
        newest.ended_with = end;
    }

    pub(super) fn is_to_roll_back(&self, cause: &Cause) -> bool {
        match cause {
            Cause::Breaker => breaker(self.rules(), self.desired).rolls_back,
            Cause::Alarms(_) => alarms(self.rules()).is_some_and(|(_, rolls_back)| rolls_back),
            Cause::Stopped | Cause::Shift(_) => true,
        }
    }

    /// The revision of the newest deployment that is COMPLETED. What is rolled back to is `IN_PROGRESS` again, and no
    /// candidate before it has completed: "Deployment 3 starts and there is no deployment in the COMPLETED state, so
    /// Deployment 3 cannot roll back" (developer guide, on the circuit breaker).
    fn rollback_candidate(&self) -> Option<usize> {
        let mut older = self.history.iter().skip(1);
        older.find(|older| !matches!(older.status, "STOP_REQUESTED" | "STOPPED"))?.brought()
    }

    /// The revision that has the traffic: that of a task set, the last one that completed, or where a shift is under way
    /// the one that has most of it.
    pub(super) fn live_revision(&self) -> Option<usize> {
        let Some(newest) = self.history.first() else {
            return self.deployments.first().map(|set| set.revision);
        };
        match &newest.shift {
            Some(shift) if shift.production * 2 >= ALL => Some(newest.target),
            Some(shift) => shift.blue,
            None => self.history.iter().find_map(|one| one.finished_at.and(one.brought())),
        }
    }

    /// No new revision is made; the deployment of the good one is taken up again under its id. The other one goes on for a
    /// while, as far as one can see.
    fn roll_back(&mut self, revision: usize, cause: &Cause, around: &mut Around) {
        let now = around.now;
        if let Some((at, _)) = self.deployments.first_mut().and_then(|failed| failed.fails.as_mut()) {
            *at = now + FAILED_AFTER;
        }
        let Some(target) = self.revisions.get(revision) else { return };
        let (id, created_at) = (format!("ecs-svc/{}", last_part(&target.arn)), target.created_at);
        let listed = self.deployments.iter().position(|deployment| deployment.id == id);
        let desired = listed.map_or(0, |index| self.deployments.remove(index).desired);
        self.restore_settings(revision);
        if let Some(newest) = self.history.first_mut() {
            newest.status = "ROLLBACK_IN_PROGRESS";
            newest.reason = Some(cause.rollback_reason());
            newest.rollback = Some(Rollback { reason: cause.rollback_reason(), started_at: now, revision });
        }
        let event = format!("rolling back to deployment {id}.");
        let reason = match cause {
            Cause::Breaker => format!("ECS deployment circuit breaker: rolling back to deploymentId {id}."),
            _ => format!("ECS deployment rolling back to deploymentId {id}."),
        };
        self.make_primary(id, revision, around.alarms.clone(), now);
        if let Some(primary) = self.deployments.first_mut() {
            primary.created_at = created_at;
            primary.desired = desired;
            primary.reason = reason;
        }
        self.tell(around, &event);
    }

    pub(super) fn restore_settings(&mut self, revision: usize) {
        let Some(target) = self.revisions.get(revision) else { return };
        for key in TRIGGERS.iter().chain([&VOLUMES]) {
            match target.settings.get(*key) {
                Some(value) => self.settings.insert((*key).to_owned(), value.clone()),
                None => self.settings.shift_remove(*key),
            };
        }
    }
}
