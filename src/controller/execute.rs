//! The only function that writes to AWS.

use crate::model::{Desired, TaskDefinitionArn};
use crate::plan::{Step, Why};
use crate::ports::{CloudError, Ecr, Ecs};

/// Makes one write, as it was decided. A registration is answered with its revision.
pub(super) async fn execute(
    ecs: &dyn Ecs,
    ecr: &dyn Ecr,
    desired: &Desired,
    step: &Step,
) -> Result<Option<TaskDefinitionArn>, CloudError> {
    match step {
        Step::Register { input, tags, .. } => return ecs.register(input, tags).await.map(Some),
        Step::Stamp { revision, key, value } => ecs.tag_revision(revision, key, value).await,
        Step::Deploy { cluster, service, revision, settings, why } => {
            ecs.deploy(cluster, service, revision, settings.as_ref(), *why == Why::Retry).await
        }
        Step::MoveTag { repository, digest, tag } => {
            ecr.move_tag(desired.registry.account.as_ref(), repository, digest, tag).await
        }
    }
    .map(|()| None)
}
