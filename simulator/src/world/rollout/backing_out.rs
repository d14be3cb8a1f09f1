//! How a shift of traffic fails and goes back: one course for every cause (developer guide, "Amazon ECS service
//! deployment rollback"). The traffic returns to the old revision, which still runs, and the new tasks stop.

use super::Around;
use super::causes::Cause;
use super::judge::NO_CANDIDATE;
use crate::world::ecs::{Rollback, Service, Shift, Stage};

impl Service {
    pub(super) fn back_out(&mut self, shift: &mut Shift, cause: &Cause, around: &mut Around) {
        let now = around.now;
        shift.hooks.clear();
        if let Some(newest) = self.history.first_mut() {
            newest.mark(cause, now);
        }
        let Some(failed) = self.deployments.first_mut() else { return };
        failed.fails = Some((now, cause.rollout_reason()));
        let event = format!("(deployment {}) deployment failed: {}", failed.id, cause.rollback_reason());
        self.tell(around, &event);
        match shift.blue {
            _ if !self.is_to_roll_back(cause) => self.end_newest("STOPPED", now),
            Some(blue) => self.return_to(shift, blue, cause, around),
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

    /// No new revision is made: the entry of the old one is PRIMARY again.
    fn return_to(&mut self, shift: &mut Shift, blue: usize, cause: &Cause, around: &mut Around) {
        self.restore_settings(blue);
        for deployment in &mut self.deployments {
            deployment.primary = deployment.revision == blue;
        }
        self.deployments.sort_by_key(|deployment| !deployment.primary);
        self.steady = false;
        if let Some(newest) = self.history.first_mut() {
            newest.status = "ROLLBACK_IN_PROGRESS";
            newest.reason = Some(cause.rollback_reason());
            let reason = cause.rollback_reason();
            newest.rollback = Some(Rollback { reason, started_at: around.now, revision: blue });
        }
        shift.goes_back = true;
        let stage = if shift.production > 0 {
            Stage::ProductionTrafficShift
        } else if shift.test > 0 {
            Stage::TestTrafficShift
        } else {
            Stage::CleanUp
        };
        self.begin_going_back(shift, stage, around);
        let id = self.deployments.first().map(|primary| primary.id.clone()).unwrap_or_default();
        self.tell(around, &format!("rolling back to deployment {id}."));
    }

    fn begin_going_back(&mut self, shift: &mut Shift, stage: Stage, around: &mut Around) {
        match stage {
            Stage::ProductionTrafficShift => shift.production = 0,
            Stage::TestTrafficShift => shift.test = 0,
            _ => {}
        }
        self.begin_stage(shift, stage, around);
        // Other hooks belong to the way forward.
        if stage == Stage::CleanUp {
            shift.hooks.clear();
        }
    }

    /// A hook that fails now holds nothing up, but the rollback has failed.
    pub(super) fn go_back(&mut self, shift: &mut Shift, around: &mut Around) {
        let Some(stage) = shift.stage else { return };
        let hooks = shift.run_hooks(stage, around);
        shift.has_failed |= hooks.is_err();
        let age = around.now - shift.entered_at;
        let is_done = match stage {
            Stage::CleanUp => self.is_cleaned_up(),
            _ => shift.rewrite_rules(age, around) && hooks.unwrap_or(true),
        };
        if !is_done {
            return;
        }
        match stage {
            Stage::ProductionTrafficShift => self.begin_going_back(shift, Stage::TestTrafficShift, around),
            Stage::CleanUp => {
                let status = if shift.has_failed { "ROLLBACK_FAILED" } else { "ROLLBACK_SUCCESSFUL" };
                self.end_newest(status, around.now);
                self.deployments.truncate(1);
            }
            _ => self.begin_going_back(shift, Stage::CleanUp, around),
        }
    }

    /// Whether the tasks of the revision that failed are gone.
    fn is_cleaned_up(&self) -> bool {
        let primary = self.deployments.first().map(|primary| primary.id.as_str());
        self.tasks.iter().all(|task| task.has_stopped() || Some(task.deployment.as_str()) == primary)
    }
}
