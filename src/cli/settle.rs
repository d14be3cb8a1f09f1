//! `trueup settle` and `trueup run-task`: a person's word about the run of a task. No controller is contacted; one that a schedule starts
//! is started from here, since no controller ever starts it.

use anyhow::bail;

use super::source::InfraRepository;
use super::{End, RepositoryArgs, controller, look_at};
use crate::controller::Controller;
use crate::model::{Declaration, OutcomeKind, RunAnswer, Waiting};
use crate::plan::Step;
use crate::ports::CloudError;
use crate::view::words::in_brackets;

/// Writes down how a run ended of which that can no longer be found out.
pub(super) async fn settle(
    arguments: &RepositoryArgs,
    name: &str,
    result: OutcomeKind,
    reason: &str,
) -> anyhow::Result<End> {
    if reason.trim().is_empty() {
        bail!("--reason is empty: say how it was found out")
    }
    let source = InfraRepository::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let (Some(unsettled), Some(Waiting::OutcomeUnknown { commit, .. })) = (&plan.unsettled, &plan.waiting)
    else {
        bail!("{name} has no run whose outcome is unknown{}; nothing to settle", in_brackets(&plan))
    };
    controller.write_one(&declaration, name, unsettled.settle(result, reason)).await?;
    let word = if result == OutcomeKind::Succeeded { "succeeded" } else { "failed" };
    say!("{name}: {} counts as {word}", commit.short());
    Ok(End::Good)
}

/// How often a call is made that may have started a task: by its token AWS answers with the same one (chosen).
const TRIES: usize = 3;

/// Asks for the declared task once more, however it ended before; one that a schedule starts is started now.
pub(super) async fn run_task(arguments: &RepositoryArgs, name: &str) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let commit = plan.status.declared.as_ref().map_or("it", |commit| commit.short()).to_owned();
    let is_scheduled = declaration
        .readable()
        .any(|desired| desired.target.to_string() == name && desired.scheduled_task().is_some());
    let Some(step) = plan.run_again.clone() else {
        if is_scheduled {
            bail!(
                "{name} cannot be run now{}: its first target must run what is declared, with an input that does not come from an event",
                in_brackets(&plan)
            )
        }
        bail!("{name} has no run that has ended{}; nothing to run again", in_brackets(&plan))
    };
    if is_scheduled {
        let task = start(&mut controller, &declaration, name, &step).await?;
        say!("{name}: task {task} of {commit} starts; `trueup status {name}` tells how it ends");
        return Ok(End::Good);
    }
    controller.write_one(&declaration, name, step).await?;
    say!("{name}: {commit} will be run once more");
    Ok(End::Good)
}

/// Starts it, once: while the answer is lost, the same call is made again.
async fn start(
    controller: &mut Controller,
    declaration: &Declaration,
    name: &str,
    step: &Step,
) -> anyhow::Result<String> {
    let mut tries = 1;
    loop {
        match controller.write_one(declaration, name, step.clone()).await {
            Ok(Some(RunAnswer::Started(task))) => return Ok(task),
            Ok(Some(RunAnswer::NoPlace(why))) => bail!("AWS found no place for the task: {why}"),
            Ok(None) => bail!("the answer names no task"),
            Err(CloudError::Ambiguous(_)) if tries < TRIES => tries += 1,
            Err(CloudError::Ambiguous(why)) => {
                bail!(
                    "whether it was started is not known, so look at its tasks before you say it again: {why}"
                )
            }
            Err(error) => return Err(error.into()),
        }
    }
}
