//! Who carries out the deployments of a service (Amazon ECS API reference, `DeploymentController`).

use serde_json::Value;

use crate::world::AwsError;
use crate::world::input::{Input, invalid};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) enum Controller {
    /// ECS itself: rolling, or with a shift of traffic.
    Ecs,
    CodeDeploy,
    External,
}

impl Controller {
    /// The controller that a request names, if it names one.
    pub(super) fn sent(input: &Input) -> Result<Option<Self>, AwsError> {
        let controller = input.get("deploymentController").and_then(|controller| controller.get("type"));
        match controller.and_then(Value::as_str) {
            None => Ok(None),
            Some("ECS") => Ok(Some(Self::Ecs)),
            Some("CODE_DEPLOY") => Ok(Some(Self::CodeDeploy)),
            Some("EXTERNAL") => Ok(Some(Self::External)),
            Some(_) => Err(invalid("Invalid deployment controller.")),
        }
    }

    /// On the wire and in texts.
    pub(in crate::world) fn name(self) -> &'static str {
        match self {
            Self::Ecs => "ECS",
            Self::CodeDeploy => "CODE_DEPLOY",
            Self::External => "EXTERNAL",
        }
    }
}
