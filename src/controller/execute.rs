//! The only function that writes to AWS.

use crate::model::{Desired, TaskDefinitionArn};
use crate::plan::{By, Step, Why};
use crate::ports::{CloudError, Ecr, Ports};

/// Makes one write, as it was decided. A registration is answered with its revision.
pub(super) async fn execute(
    ports: &Ports,
    registry: &dyn Ecr,
    desired: &Desired,
    step: &Step,
) -> Result<Option<TaskDefinitionArn>, CloudError> {
    let (ecs, code_deploy) = (&ports.ecs, &ports.code_deploy);
    match step {
        Step::Register { input, tags, .. } => return ecs.register(input, tags).await.map(Some),
        Step::Stamp { revision, stamp } => ecs.tag_revision(revision, &stamp.tags()).await,
        Step::Deploy { cluster, service, revision, by: By::UpdateService { settings }, why } => {
            ecs.deploy(cluster, service, revision, settings.as_ref(), *why == Why::Retry).await
        }
        Step::Deploy { by: By::CodeDeploy(new), .. } => code_deploy.create_deployment(new).await,
        Step::UpdateSettings { cluster, service, settings } => {
            ecs.update_settings(cluster, service, settings).await
        }
        Step::Stop { deployment } => code_deploy.stop(deployment).await,
        Step::Continue { deployment, wait } => code_deploy.end_wait(deployment, *wait).await,
        Step::CreateApplication { application } => code_deploy.create_application(application).await,
        Step::CreateGroup { input, .. } => code_deploy.create_group(input).await,
        Step::MoveTag { repository, digest, tag } => {
            registry.move_tag(desired.registry.account.as_ref(), repository, digest, tag).await
        }
    }
    .map(|()| None)
}
