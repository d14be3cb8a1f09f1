//! Hooks of a stage: functions that ECS calls, and pauses that a person answers (developer guide, "Lifecycle hooks for
//! Amazon ECS service deployments"). All of a stage run at once.

use serde_json::Value;

use super::Around;
use super::causes::Cause;
use crate::faults::Hook;
use crate::world::Function;
use crate::world::ecs::{HookRun, Shift, Stage, hooks_of};
use crate::world::ids;

/// Seconds until a function answers.
const ANSWERS_AFTER: u64 = 1;
const TIMEOUT_MINUTES: u64 = 1440;

impl Shift {
    pub(super) fn begin_hooks(
        &mut self,
        stage: Stage,
        configuration: &crate::world::input::Input,
        around: &mut Around,
    ) {
        // "No ROLLBACK stage": on the way back the hooks of the two shifts run again, and no pause can stand there.
        let hooks = hooks_of(configuration, stage).map(|hook| {
            let number = around.id();
            let pauses = hook.get("targetType").and_then(Value::as_str) == Some("PAUSE");
            let timeout = hook.get("timeoutConfiguration");
            let minutes = timeout.and_then(|timeout| timeout.get("timeoutInMinutes")?.as_u64());
            let action = timeout.and_then(|timeout| timeout.get("action")?.as_str());
            let function = hook.get("hookTargetArn").and_then(Value::as_str).unwrap_or_default();
            HookRun {
                id: hook_id(if pauses { "pause" } else { "lambda" }, number),
                function: (!pauses).then(|| function.to_owned()),
                status: if pauses { "AWAITING_ACTION" } else { "IN_PROGRESS" },
                answers_at: around.now + ANSWERS_AFTER,
                invocations: 1,
                expires_at: around.now + minutes.unwrap_or(TIMEOUT_MINUTES) * 60,
                continues_on_timeout: action == Some("CONTINUE"),
                failure: None,
            }
        });
        self.hooks = hooks.collect();
    }

    /// Whether all of them have come to their end.
    pub(super) fn run_hooks(&mut self, stage: Stage, around: &Around) -> Result<bool, Cause> {
        for hook in &mut self.hooks {
            if matches!(hook.status, "AWAITING_ACTION" | "IN_PROGRESS") {
                hook.go_on(around);
            }
            if let Some(failure) = &hook.failure {
                return Err(Cause::Shift(format!("{} {failure}", stage.name())));
            }
        }
        Ok(self.hooks.iter().all(|hook| matches!(hook.status, "SUCCEEDED" | "TIMED_OUT")))
    }
}

impl HookRun {
    fn go_on(&mut self, around: &Around) {
        if let Some(function) = self.function.clone().filter(|_| around.now >= self.answers_at) {
            self.invoke(&function, around);
        }
        let is_open = matches!(self.status, "AWAITING_ACTION" | "IN_PROGRESS");
        if is_open && around.now >= self.expires_at {
            self.status = "TIMED_OUT";
            if !self.continues_on_timeout {
                self.failure = Some(match &self.function {
                    Some(function) => {
                        format!("lifecycle hook(s) failed. Lifecycle hook target {function} timed out.")
                    }
                    None => "pause hook timed out.".to_owned(),
                });
            }
        }
    }

    fn invoke(&mut self, function: &str, around: &Around) {
        let failure = match behaviour(function, around) {
            Function::Succeeds => {
                self.status = "SUCCEEDED";
                return;
            }
            Function::Polls { times, delay } if self.invocations <= times => {
                self.invocations += 1;
                self.answers_at = around.now + delay.max(1);
                return;
            }
            Function::Polls { .. } => {
                self.status = "SUCCEEDED";
                return;
            }
            // It is not asked again: its own timeout ends it.
            Function::Silent => {
                self.answers_at = self.expires_at;
                return;
            }
            Function::Fails => format!("Lifecycle hook target {function} returned FAILED status."),
            Function::Throws => {
                format!(
                    "ECS was unable to parse the response from {function} due to: HookStatus must not be null"
                )
            }
        };
        self.status = "FAILED";
        self.failure = Some(format!("lifecycle hook(s) failed. {failure}"));
    }
}

/// By its ARN or its name: set by a hand, or by a fault.
fn behaviour(function: &str, around: &Around) -> Function {
    let name = function.rsplit(':').next().unwrap_or(function);
    let set = around.functions.get(function).or_else(|| around.functions.get(name));
    match around.faults.hook(function).or_else(|| around.faults.hook(name)) {
        Some(Hook::Fails) => Function::Fails,
        Some(Hook::Silent) => Function::Silent,
        None => set.copied().unwrap_or(Function::Succeeds),
    }
}

/// `ecs-{hookType}-{id}`, with 43 characters at the end.
fn hook_id(kind: &str, number: u64) -> String {
    let (first, second) = (ids::letters(number), ids::letters(!number));
    format!("ecs-{kind}-{first}{second}k")
}
