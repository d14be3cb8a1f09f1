//! What AWS `CodeDeploy` says about a service that it deploys (AWS `CodeDeploy` API reference).

use super::{ClusterName, Millis, ServiceName, TaskDefinitionArn};

/// What is found under the names of an application and a deployment group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    Found(DeploymentGroup),
    NoGroup,
    NoApplication,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentGroup {
    pub is_for_ecs: bool,
    pub services: Vec<(ClusterName, ServiceName)>,
    /// Names of the two target groups.
    pub target_groups: Vec<String>,
    pub has_production_listener: bool,
    pub has_test_listener: bool,
    /// Names of the alarms that stop its deployments.
    pub alarms: Vec<String>,
    /// The ARN of the role by which CodeDeploy acts.
    pub service_role: Option<String>,
    /// When the last deployment that succeeded was created.
    pub last_success: Option<Millis>,
}

/// One deployment of a group, as described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeDeployment {
    /// `d-` and nine letters or digits.
    pub id: String,
    pub status: CodeDeployStatus,
    /// Made by `CodeDeploy` itself to undo another one (`creator` is `codeDeployRollback`).
    pub is_rollback: bool,
    /// The deployment that this one undoes.
    pub undoes: Option<String>,
    pub description: Option<String>,
    /// Names the `AppSpec` content that is deployed.
    pub sha256: Option<String>,
    pub error: Option<CodeDeployError>,
    /// The deployment that undoes this one.
    pub rolled_back_by: Option<String>,
    /// Whether the group had a good revision before. CodeDeploy was seen to undo a first deployment as well, by going
    /// back to the old task set; its guide only promises to go back to a revision.
    pub has_previous: bool,
    /// All traffic is on the new tasks; the old ones still stand by.
    pub termination_started: bool,
    /// Minutes that a ready deployment waits for somebody to let the traffic shift.
    pub ready_wait: Option<i32>,
    pub created_at: Millis,
    pub completed_at: Option<Millis>,
}

/// The values of `DeploymentStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeDeployStatus {
    Created,
    Queued,
    InProgress,
    Baking,
    Ready,
    Succeeded,
    Failed,
    Stopped,
    /// A value newer than this program: neither ended nor a success.
    Unknown,
}

impl CodeDeployStatus {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeDeployError {
    /// Such as `HOOK_EXECUTION_FAILURE`.
    pub code: String,
    pub message: String,
    /// The lifecycle event that failed, where that was read.
    pub event: Option<String>,
}

/// How far the one target of a deployment is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The lifecycle event that goes on, or comes next.
    pub event: Option<String>,
    /// The lifecycle event that failed.
    pub failed: Option<String>,
    /// Percent of the production traffic on the new tasks.
    pub traffic: Option<u8>,
    /// When the last event ended.
    pub since: Option<Millis>,
}

/// One deployment that is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeployment {
    pub application: String,
    pub group: String,
    /// The text of the `AppSpec`, as JSON.
    pub app_spec: String,
    /// Says whose it is; at most 512 characters.
    pub description: String,
    /// `None`: what the group has.
    pub configuration: Option<String>,
    pub revision: TaskDefinitionArn,
}

/// Which wait of a deployment is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Ready,
    Termination,
}
