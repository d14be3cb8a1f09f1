//! The phase of a deployment, derived from what AWS says on every pass.

use crate::model::{
    DeploymentId, Millis, Phase, ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn,
};

/// The phase of one service deployment. A rollback is a failure, not a success; `STOPPED` also means superseded, and
/// is a failure only where a breaker or an alarm ended it (Amazon ECS API reference, `ServiceDeployment`).
pub fn of(deployment: &ServiceDeployment) -> Phase {
    match deployment.status {
        ServiceDeploymentStatus::Pending => Phase::Pending,
        ServiceDeploymentStatus::InProgress | ServiceDeploymentStatus::StopRequested => Phase::InProgress,
        ServiceDeploymentStatus::Successful => Phase::Succeeded,
        ServiceDeploymentStatus::Stopped if deployment.monitor_triggered => Phase::Failed,
        ServiceDeploymentStatus::Stopped => Phase::Superseded,
        ServiceDeploymentStatus::RollbackRequested | ServiceDeploymentStatus::RollbackInProgress => {
            Phase::RollingBack
        }
        ServiceDeploymentStatus::RollbackSuccessful => Phase::RolledBack,
        ServiceDeploymentStatus::RollbackFailed => Phase::Failed,
        ServiceDeploymentStatus::Unknown => Phase::Unknown,
    }
}

/// Whether AWS has undone it itself: nobody else had to, and what comes after it is a deployment of its own.
pub(super) fn is_undone_by_aws(deployment: &ServiceDeployment) -> bool {
    of(deployment) == Phase::RolledBack
}

/// The last part of the ARN: short enough for a tag, unique within a service.
pub fn id(deployment: &ServiceDeployment) -> String {
    deployment.arn.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What deployments here have brought that AWS calls successful, whoever started them; the newest first.
pub fn successes(history: &[ServiceDeployment]) -> impl Iterator<Item = &TaskDefinitionArn> {
    let good = history.iter().filter(|deployment| of(deployment) == Phase::Succeeded);
    good.filter_map(|one| one.target.as_ref())
}

/// What ran before the newest deployment whose source is known.
pub fn last_source(history: &[ServiceDeployment]) -> Option<&TaskDefinitionArn> {
    history.iter().find_map(|deployment| deployment.sources.first())
}

/// The newest deployment of a service, and what is live now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The id under which the outcome of the newest deployment is remembered.
    pub id: String,
    /// What the newest deployment was asked to bring.
    pub target: TaskDefinitionArn,
    /// How the newest deployment goes.
    pub phase: Phase,
    /// When the newest deployment began.
    pub started_at: Millis,
    /// The entry of `deployments[]` that is live: the PRIMARY, where traffic is not shifted. After a rollback it is not the
    /// target.
    pub live: DeploymentId,
    pub live_revision: TaskDefinitionArn,
    pub live_phase: Phase,
    /// As AWS lists the newest deployment; `None` while it does not.
    pub name: Option<String>,
    /// What AWS would go back to at once, since its tasks still run.
    pub stands_by: Option<TaskDefinitionArn>,
}

/// What trueup says of a deployment beyond what AWS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// AWS calls it successful, and it is too early to believe that. `until`: when it is steady if nothing fails.
    Settling { until: Millis },
    /// AWS calls it successful, and its tasks went on failing.
    Unsteady,
    /// It made no progress for longer than the deadline.
    Stuck,
}
