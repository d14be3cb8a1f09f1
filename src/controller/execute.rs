//! The only function that writes to AWS, and what may be said where that fails.

use std::collections::BTreeMap;

use crate::documents::shown;
use crate::model::{
    Desired, Reading, Revision, ScheduleName, TaskDefinitionArn, TaskDefinitionSource, Wait, Word,
};
use crate::plan::{By, DeploymentName, Reply, Step, Why};
use crate::ports::{CloudError, Ecr, Ports};

/// Makes one write, as it was decided.
pub(super) async fn execute(
    ports: &Ports,
    registry: &dyn Ecr,
    desired: &Desired,
    step: &Step,
) -> Result<Reply, CloudError> {
    let (ecs, code_deploy) = (&ports.ecs, &ports.code_deploy);
    match step {
        Step::Register { input, tags, .. } => return ecs.register(input, tags).await.map(Reply::Registered),
        Step::Run { input, .. } => return ecs.run_task(input).await.map(Reply::Run),
        Step::Retarget { schedule, input, .. } => ports.schedules.retarget(schedule, input).await,
        Step::StopRun { cluster, task, reason } => ecs.stop_task(cluster, task, reason).await,
        Step::Stamp { revision, stamp } => ecs.tag_revision(revision, &stamp.tags()).await,
        Step::Deploy { cluster, service, revision, by: By::UpdateService { settings }, why } => {
            let settings = settings.as_ref();
            let started = ecs.deploy(cluster, service, revision, settings, *why == Why::Retry).await?;
            return Ok(started.map_or(Reply::Done, Reply::Deploying));
        }
        Step::Deploy { by: By::CodeDeploy(new), .. } => code_deploy.create_deployment(new).await,
        Step::UpdateSettings { cluster, service, settings } => {
            ecs.update_settings(cluster, service, settings).await
        }
        Step::Undo { deployment: DeploymentName::Ecs(arn) } => ecs.stop_deployment(arn).await,
        Step::Answer { deployment: DeploymentName::Ecs(arn), pause, word } => {
            ecs.answer_pause(arn, pause, *word).await
        }
        Step::Undo { deployment: DeploymentName::CodeDeploy(id) }
        | Step::Answer { deployment: DeploymentName::CodeDeploy(id), word: Word::Back, .. } => {
            code_deploy.stop(id).await
        }
        Step::Answer { deployment: DeploymentName::CodeDeploy(id), word: Word::Go, .. } => {
            code_deploy.end_wait(id, Wait::Ready).await
        }
        Step::EndStandby { deployment } => code_deploy.end_wait(deployment, Wait::Termination).await,
        Step::CreateApplication { application } => code_deploy.create_application(application).await,
        Step::CreateGroup { input, .. } => code_deploy.create_group(input).await,
        Step::MoveTag { repository, digest, tag } => {
            registry.move_tag(desired.registry.account.as_ref(), repository, digest, tag).await
        }
    }
    .map(|()| Reply::Done)
}

/// The operation that moves a tag, in the registry of the image.
pub(super) const MOVE_TAG: &str = "PutImage";

/// The operation of AWS that a step comes to.
pub(super) fn operation(step: &Step) -> &'static str {
    match step {
        Step::Register { .. } => "RegisterTaskDefinition",
        Step::Stamp { .. } => "TagResource",
        Step::Deploy { by: By::UpdateService { .. }, .. } | Step::UpdateSettings { .. } => "UpdateService",
        Step::Deploy { by: By::CodeDeploy(_), .. } => "CreateDeployment",
        Step::Undo { deployment: DeploymentName::Ecs(_) } => "StopServiceDeployment",
        Step::Answer { deployment: DeploymentName::Ecs(_), .. } => "ContinueServiceDeployment",
        Step::Undo { .. } | Step::Answer { word: Word::Back, .. } => "StopDeployment",
        Step::Answer { word: Word::Go, .. } | Step::EndStandby { .. } => "ContinueDeployment",
        Step::CreateApplication { .. } => "CreateApplication",
        Step::CreateGroup { .. } => "CreateDeploymentGroup",
        Step::MoveTag { .. } => MOVE_TAG,
        Step::Run { .. } => "RunTask",
        Step::Retarget { schedule: ScheduleName::Rule(_), .. } => "PutTargets",
        Step::Retarget { schedule: ScheduleName::Schedule { .. }, .. } => "UpdateSchedule",
        Step::StopRun { .. } => "StopTask",
    }
}

/// What AWS says of a write that failed, without what it may repeat of the task definition that was sent, and of those that
/// are known: it is logged, shown and alerted. What git declares is no secret to whoever reads it.
pub(super) fn without_secrets(
    error: CloudError,
    desired: &Desired,
    step: &Step,
    known: &BTreeMap<TaskDefinitionArn, Reading<Revision>>,
) -> CloudError {
    let sent = match step {
        Step::Register { input, .. } => Some(input),
        _ => None,
    };
    let declared = match &desired.task_definition {
        TaskDefinitionSource::File { input, .. } => Some(sent.unwrap_or(input)),
        TaskDefinitionSource::Service | TaskDefinitionSource::Family(_) => None,
    };
    let known = known.values().filter_map(Reading::known).map(|revision| &revision.input);
    error.reworded(|said| shown::without_hidden(said, known.chain(sent), declared))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Commit;

    #[test]
    fn what_is_said_of_a_failure_repeats_nothing_that_was_sent_or_is_live() {
        let input = |value: &str| {
            serde_json::json!({"executionRoleArn": "arn:aws:iam::123456789012:role/tasks",
            "containerDefinitions": [{"name": "api", "environment": [{"name": "GREETING", "value": value}]}]})
        };
        let register = |value| Step::Register {
            input: input(value),
            tags: BTreeMap::new(),
            commit: Commit::new("aaaaaaa"),
        };
        let arn = TaskDefinitionArn::new("arn:aws:ecs:eu-west-2:123456789012:task-definition/api:1");
        let live = Revision {
            arn: arn.clone(),
            active: true,
            input: input("canary-live"),
            tags: BTreeMap::new(),
            registered_by: None,
        };
        let known = BTreeMap::from([(arn, Reading::Known(live))]);
        let file =
            || TaskDefinitionSource::File { path: "t.json".to_owned(), input: input("canary-sent").into() };
        let stop = Step::Undo { deployment: DeploymentName::CodeDeploy("d".to_owned()) };
        for (source, step, expected) in [
            (TaskDefinitionSource::Service, register("canary-sent"), "(hidden), (hidden)"),
            (TaskDefinitionSource::Service, stop.clone(), "(hidden), canary-sent"),
            // Whoever reads the repository reads it there.
            (file(), register("canary-sent"), "(hidden), canary-sent"),
            (file(), stop, "(hidden), canary-sent"),
        ] {
            let desired = Desired { task_definition: source, ..crate::manifest::example::desired() };
            let said = "canary-live, canary-sent for arn:aws:iam::123456789012:role/tasks".to_owned();
            let told = without_secrets(CloudError::Rejected(said), &desired, &step, &known);
            let expected = format!("refused: {expected} for arn:aws:iam::123456789012:role/tasks");
            assert_eq!(told.to_string(), expected);
        }
    }
}
