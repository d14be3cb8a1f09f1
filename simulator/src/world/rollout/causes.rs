//! Why a deployment fails, in the words of AWS, and how its service deployment ends.

use crate::world::ecs::ServiceDeployment;

/// Why a deployment fails.
pub(super) enum Cause {
    Breaker,
    Alarms(Vec<String>),
    Stopped,
    /// Of a shift of traffic: what follows "Service deployment rolled back because".
    Shift(String),
}

impl Cause {
    pub(super) fn rollout_reason(&self) -> &'static str {
        match self {
            Self::Breaker => "ECS deployment circuit breaker: tasks failed to start.",
            Self::Alarms(_) => "ECS deployment failed: alarm detected.",
            Self::Stopped => "ECS deployment stopped by a user.",
            Self::Shift(_) => "ECS deployment failed: service deployment rolled back.",
        }
    }

    pub(super) fn event(&self) -> &'static str {
        match self {
            Self::Breaker => "tasks failed to start.",
            Self::Alarms(_) => "alarm detected.",
            Self::Stopped => "stopped by a user.",
            Self::Shift(_) => "service deployment rolled back.",
        }
    }

    pub(super) fn status_reason(&self) -> String {
        match self {
            Self::Breaker => "Service deployment failed: circuit breaker threshold exceeded.".to_owned(),
            Self::Alarms(names) => {
                format!("Service deployment failed: alarm {} triggered.", names.join(", "))
            }
            Self::Stopped => "Service deployment stopped by a user.".to_owned(),
            Self::Shift(why) => format!("Service deployment rolled back because {why}"),
        }
    }

    /// The same where it is rolled back.
    pub(super) fn rollback_reason(&self) -> String {
        match self {
            Self::Breaker => {
                "Service deployment rolled back because the circuit breaker threshold was exceeded."
                    .to_owned()
            }
            _ => self.status_reason(),
        }
    }
}

impl ServiceDeployment {
    /// The revision that runs since it ended well.
    pub(super) fn brought(&self) -> Option<usize> {
        match self.status {
            "SUCCESSFUL" => Some(self.target),
            "ROLLBACK_SUCCESSFUL" => self.rollback.as_ref().map(|rollback| rollback.revision),
            _ => None,
        }
    }

    pub(super) fn end(&mut self, status: &'static str, now: u64) {
        self.status = status;
        self.finished_at = Some(now);
        self.updated_at = now;
        for monitor in [&mut self.breaker, &mut self.alarms] {
            if *monitor == "MONITORING" {
                *monitor = "MONITORING_COMPLETE";
            }
        }
    }

    pub(super) fn mark(&mut self, cause: &Cause, now: u64) {
        self.reason = Some(cause.status_reason());
        self.updated_at = now;
        match cause {
            Cause::Breaker => self.breaker = "TRIGGERED",
            Cause::Alarms(names) => {
                self.alarms = "TRIGGERED";
                self.triggered_alarms.clone_from(names);
            }
            Cause::Stopped | Cause::Shift(_) => {}
        }
    }
}
