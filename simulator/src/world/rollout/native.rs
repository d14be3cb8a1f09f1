//! Blue/green, canary and linear deployments, stage by stage: both revisions run side by side while the traffic moves
//! (developer guide, "Amazon ECS blue/green service deployments workflow"). A stage is over when its own work and all
//! its hooks are. How one fails and goes back is in `backing_out`.

use super::Around;
use super::causes::Cause;
use crate::world::ecs::{ALL, Service, Shift, Stage, alarms, breaker};

/// Seconds of a stage that has nothing to do but its hooks, of rewriting the rules, and of a test shift without a rule.
const HOOKS_ALONE: u64 = 2;
pub(super) const REWRITING: u64 = 5;
const NO_RULE: u64 = 1;
/// What a Network Load Balancer adds to both shifts (developer guide: 10 minutes).
pub(super) const NETWORK_ADDS: u64 = 600;
/// The least that `RECONCILE_SERVICE` takes, beside the tasks that it waits for.
const RECONCILING: u64 = 5;
/// How long after SUCCESSFUL the classic entry is COMPLETED (measured).
const CLASSIC_LAGS: u64 = 38;
/// "Each stage can last up to 24 hours", one with a pause as long as that; the whole deployment 30 days.
const LONGEST_STAGE: u64 = 24 * 3600;
const LONGEST: u64 = 30 * 24 * 3600;

impl Service {
    /// The new revision has its tasks from `SCALE_UP` on, the old one until the clean-up; a rollback is the other way
    /// round. What else is there is drained when the service is reconciled.
    pub(super) fn schedule_native(&mut self, around: &mut Around) {
        if self.deployments.first().is_some_and(|primary| primary.rollout == "FAILED") {
            return;
        }
        let failing = self.indices(crate::world::ecs::Task::is_failing);
        self.stop_tasks(&failing, around);
        for index in 0..self.deployments.len() {
            let Some(deployment) = self.deployments.get(index).cloned() else { continue };
            let wanted =
                self.wanted_of(deployment.revision, deployment.primary).unwrap_or(deployment.desired);
            if let Some(deployment) = self.deployments.get_mut(index) {
                deployment.desired = wanted;
            }
            self.keep(&deployment, wanted, around);
        }
    }

    /// How many tasks a revision is to have; None for what it has.
    fn wanted_of(&self, revision: usize, primary: bool) -> Option<u64> {
        let newest = self.history.first()?;
        let open = newest.shift.as_ref().filter(|_| newest.finished_at.is_none());
        let Some(shift) = open else {
            return Some(if primary { self.desired } else { 0 });
        };
        let cleans_up = shift.stage == Some(Stage::CleanUp);
        let runs = if revision == newest.target {
            shift.is_placed && !(shift.goes_back && cleans_up)
        } else if shift.blue == Some(revision) {
            shift.goes_back || !cleans_up
        } else if shift.stage.is_none() {
            return None;
        } else {
            false
        };
        Some(if runs { self.desired } else { 0 })
    }

    pub(super) fn judge_native(&mut self, around: &mut Around) {
        self.begin_and_stop(around.now);
        self.turn_failed(around.now);
        self.complete_classic(around);
        let Some(newest) = self.history.first_mut().filter(|newest| newest.finished_at.is_none()) else {
            self.drop_drained();
            return self.tell_steady(around);
        };
        let (status, created_at) = (newest.status, newest.created_at);
        let Some(mut shift) = newest.shift.take() else { return };
        let cause = if status == "ROLLBACK_REQUESTED" && shift.stage != Some(Stage::CleanUp) {
            Some(Cause::Stopped)
        } else if shift.goes_back || shift.stage == Some(Stage::CleanUp) {
            None
        } else {
            self.native_failure(&shift, created_at, around)
        };
        match cause {
            Some(cause) => self.back_out(&mut shift, &cause, around),
            None if status == "PENDING" => {}
            None if shift.goes_back => self.go_back(&mut shift, around),
            None => {
                if let Err(cause) = self.go_on(&mut shift, around) {
                    self.back_out(&mut shift, &cause, around);
                }
            }
        }
        if let Some(newest) = self.history.first_mut() {
            newest.shift = Some(shift);
        }
        self.drop_drained();
    }

    /// What ends a deployment from outside of its stages.
    fn native_failure(&self, shift: &Shift, created_at: u64, around: &Around) -> Option<Cause> {
        let now = around.now;
        let primary = self.deployments.first()?;
        if let Some((names, _)) = alarms(self.rules()) {
            // "If an alarm is in ALARM when the deployment starts, ECS will not monitor alarms for the duration of
            // that deployment": none of them.
            let ignores = names.iter().any(|name| primary.ignored_alarms.contains(name));
            let on: Vec<String> = names.into_iter().filter(|name| around.alarms.contains(name)).collect();
            if !ignores && !on.is_empty() {
                return Some(Cause::Alarms(on));
            }
        }
        let stage = shift.stage?;
        let breaker = breaker(self.rules(), self.desired);
        if stage == Stage::ScaleUp && breaker.enabled && primary.failed_tasks >= breaker.threshold {
            return Some(Cause::Breaker);
        }
        if now - created_at > LONGEST {
            return Some(Cause::Shift("it took longer than 30 days.".to_owned()));
        }
        let paused = shift.hooks.iter().any(|hook| hook.function.is_none());
        (!paused && now - shift.entered_at > LONGEST_STAGE)
            .then(|| Cause::Shift(format!("{} took longer than 24 hours.", stage.name())))
    }

    /// The next stage, if this one is over.
    fn go_on(&mut self, shift: &mut Shift, around: &mut Around) -> Result<(), Cause> {
        let Some(stage) = shift.stage else {
            let first = if shift.reconciles { Stage::ReconcileService } else { Stage::PreScaleUp };
            return self.enter(shift, first, around);
        };
        let hooks_are_done = shift.run_hooks(stage, around)?;
        let work_is_done = self.work(shift, stage, around);
        if !(hooks_are_done && work_is_done) {
            return Ok(());
        }
        let next = match stage {
            Stage::ReconcileService => Stage::PreScaleUp,
            Stage::PreScaleUp => Stage::ScaleUp,
            Stage::ScaleUp => Stage::PostScaleUp,
            Stage::PostScaleUp => Stage::TestTrafficShift,
            Stage::TestTrafficShift => Stage::PostTestTrafficShift,
            Stage::PostTestTrafficShift => Stage::PreProductionTrafficShift,
            Stage::PreProductionTrafficShift => Stage::ProductionTrafficShift,
            Stage::ProductionTrafficShift if shift.is_last_step() => Stage::PostProductionTrafficShift,
            Stage::ProductionTrafficShift => {
                shift.step += 1;
                Stage::PreProductionTrafficShift
            }
            Stage::PostProductionTrafficShift => Stage::BakeTime,
            Stage::BakeTime => Stage::CleanUp,
            Stage::CleanUp => {
                self.succeed(around);
                return Ok(());
            }
        };
        self.enter(shift, next, around)
    }

    fn enter(&mut self, shift: &mut Shift, stage: Stage, around: &mut Around) -> Result<(), Cause> {
        self.begin_stage(shift, stage, around);
        match stage {
            Stage::ReconcileService => self.give_traffic_to_blue(shift, around),
            Stage::ScaleUp => self.choose_groups(shift, around)?,
            Stage::TestTrafficShift => shift.test = ALL,
            Stage::ProductionTrafficShift => {
                shift.production = shift.steps.get(shift.step).copied().unwrap_or(ALL);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn begin_stage(&mut self, shift: &mut Shift, stage: Stage, around: &mut Around) {
        shift.stage = Some(stage);
        shift.entered_at = around.now;
        if let Some(newest) = self.history.first_mut() {
            newest.updated_at = around.now;
            shift.begin_hooks(stage, &newest.configuration, around);
        }
    }

    /// The work of a stage itself; whether it is done.
    fn work(&mut self, shift: &Shift, stage: Stage, around: &mut Around) -> bool {
        let age = around.now - shift.entered_at;
        match stage {
            Stage::ReconcileService => {
                let blue = |id: &String| self.revision_of(id) == shift.blue;
                let settled = self.tasks.iter().all(|task| task.has_stopped() || blue(&task.deployment));
                age >= RECONCILING && settled
            }
            Stage::ScaleUp => self.is_scaled_up(around),
            Stage::TestTrafficShift if shift.has_no_test_rule() => age >= NO_RULE,
            Stage::TestTrafficShift => shift.rewrite_rules(age, around),
            Stage::ProductionTrafficShift => {
                let rests = if shift.is_last_step() { 0 } else { shift.step_bake };
                let written = shift.rewrite_rules(age, around);
                written && age >= shift.rewriting_takes() + rests
            }
            Stage::BakeTime => age >= shift.bake,
            Stage::CleanUp => {
                let target = self.history.first().map(|newest| newest.target);
                let is_new = |id: &String| self.revision_of(id) == target;
                self.tasks.iter().all(|task| task.has_stopped() || is_new(&task.deployment))
            }
            _ => age >= HOOKS_ALONE,
        }
    }

    fn revision_of(&self, deployment: &str) -> Option<usize> {
        self.deployments.iter().find(|one| one.id == deployment).map(|one| one.revision)
    }

    /// "all green tasks are running and healthy".
    fn is_scaled_up(&self, around: &Around) -> bool {
        let Some(primary) = self.deployments.first() else { return false };
        let mine = self.tasks.iter().filter(|task| task.deployment == primary.id);
        primary.desired == self.desired
            && mine.filter(|task| self.is_ready(task, around)).count() as u64 >= self.desired
    }

    /// The clean-up is over. The classic entry is COMPLETED a while later.
    fn succeed(&mut self, around: &Around) {
        self.end_newest("SUCCESSFUL", around.now);
        // What failed before stays listed until a deployment is done.
        self.deployments.truncate(1);
        if let Some(primary) = self.deployments.first_mut() {
            primary.completes_at = Some(around.now + CLASSIC_LAGS);
        }
    }

    fn complete_classic(&mut self, around: &mut Around) {
        let Some(primary) = self.deployments.first_mut() else { return };
        if primary.completes_at.take_if(|at| *at <= around.now).is_none() {
            return;
        }
        primary.rollout = "COMPLETED";
        primary.reason = format!("ECS deployment {} completed.", primary.id);
        primary.updated_at = around.now;
        let completed = format!("(deployment {}) deployment completed.", primary.id);
        self.tell(around, &completed);
    }

    /// The next second in which anything can happen: pauses and bakes take days in which nothing does.
    pub(super) fn native_wakes_at(&self, around: &Around) -> u64 {
        let soon = around.now + 1;
        let newest = self.history.first().filter(|newest| newest.finished_at.is_none());
        let idle = self.tasks.iter().all(|task| task.has_stopped() || self.is_ready(task, around));
        let Some((newest, shift)) = newest.and_then(|newest| Some((newest, newest.shift.as_ref()?))) else {
            return soon;
        };
        let waits = matches!(shift.stage, Some(stage) if !matches!(stage, Stage::ReconcileService | Stage::ScaleUp | Stage::CleanUp));
        let requested =
            newest.status == "ROLLBACK_REQUESTED" || shift.hooks.iter().any(|hook| hook.failure.is_some());
        if !idle || !waits || requested || around.faults.has_any() {
            return soon;
        }
        let entered = shift.entered_at;
        let own = [
            NO_RULE,
            HOOKS_ALONE,
            REWRITING,
            shift.rewriting_takes(),
            shift.rewriting_takes() + shift.step_bake,
            shift.bake,
            LONGEST_STAGE + 1,
        ];
        let hooks = shift.hooks.iter().flat_map(|hook| [hook.answers_at, hook.expires_at]);
        let times =
            own.iter().map(|seconds| entered + seconds).chain(hooks).chain([newest.created_at + LONGEST + 1]);
        times.filter(|at| *at > around.now).min().unwrap_or(soon)
    }

    pub(super) fn native_is_quiet(&self) -> bool {
        self.rolling_is_quiet() && self.deployments.iter().all(|one| one.completes_at.is_none())
    }
}
