//! Why a service deployment ended badly, as ECS says it (Amazon ECS API reference, `ServiceDeployment`).

use serde_json::Value;

use crate::aws::answer::{member, text};
use crate::documents::reasons;
use crate::model::{Cause, CauseKind, ServiceDeploymentStatus};

/// Also what is only on its way there. `STOPPED` says as well that a newer one came.
pub(super) fn has_ended_badly(status: ServiceDeploymentStatus) -> bool {
    matches!(
        status,
        ServiceDeploymentStatus::Stopped
            | ServiceDeploymentStatus::RollbackSuccessful
            | ServiceDeploymentStatus::RollbackFailed
            | ServiceDeploymentStatus::RollbackInProgress
            | ServiceDeploymentStatus::RollbackRequested
    )
}

/// What has watched it and ended it.
pub(super) fn triggered(described: &Value) -> Option<CauseKind> {
    let is_triggered = |monitor: &str| text(member(described, monitor), "status") == Some("TRIGGERED");
    match () {
        () if is_triggered("deploymentCircuitBreaker") => Some(CauseKind::Breaker),
        () if is_triggered("alarms") => Some(CauseKind::Alarm),
        () => None,
    }
}

/// In ECS's words; the monitors say more surely than those what has ended it, but for whether there was anything to go back to.
pub(super) fn of(described: &Value, status: ServiceDeploymentStatus) -> Option<Cause> {
    let said = text(described, "statusReason").filter(|said| !said.is_empty() && has_ended_badly(status))?;
    let kind = match (reasons::of_deployment(said), triggered(described)) {
        (CauseKind::RolledBackWithoutCandidate, _) | (_, None) => reasons::of_deployment(said),
        (_, Some(monitor)) => monitor,
    };
    Some(Cause::new(kind, said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_ended_it_is_told_apart() {
        use CauseKind::{Alarm, Breaker, Hook, Network, RolledBackWithoutCandidate, StoppedByHand};
        let nothing_to_go_back_to = "No rollback candidate was found to run the rollback.";
        let rolled_back = "Service deployment rolled back because ";
        for (monitor, said, kind) in [
            (None, format!("{rolled_back}PRE_SCALE_UP lifecycle hook(s) failed. …"), Hook),
            (None, format!("{rolled_back}of invalid networking configuration. …"), Network),
            (None, "Service deployment stopped by a user.".to_owned(), StoppedByHand),
            (Some("deploymentCircuitBreaker"), format!("{rolled_back}…"), Breaker),
            (Some("alarms"), format!("{rolled_back}…"), Alarm),
            (Some("deploymentCircuitBreaker"), nothing_to_go_back_to.to_owned(), RolledBackWithoutCandidate),
        ] {
            let mut ended = json!({"statusReason": said});
            if let Some(monitor) = monitor {
                ended[monitor] = json!({"status": "TRIGGERED"});
            }
            let told = of(&ended, ServiceDeploymentStatus::RollbackSuccessful);
            assert_eq!(told, Some(Cause::new(kind, said)));
            assert_eq!(of(&ended, ServiceDeploymentStatus::Successful), None);
        }
    }
}
