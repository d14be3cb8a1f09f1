//! `trueup settle` and `trueup run-task`: a person's word about the run of a task. No controller is contacted.

use anyhow::bail;

use super::source::InfraRepository;
use super::{End, RepositoryArgs, controller, look_at};
use crate::model::{OutcomeKind, Waiting};
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

/// Asks for the declared task once more, however it ended before.
pub(super) async fn run_task(arguments: &RepositoryArgs, name: &str) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let commit = plan.status.declared.as_ref().map_or("it", |commit| commit.short()).to_owned();
    let Some(step) = plan.run_again.clone() else {
        bail!("{name} has no run that has ended{}; nothing to run again", in_brackets(&plan))
    };
    controller.write_one(&declaration, name, step).await?;
    say!("{name}: {commit} will be run once more");
    Ok(End::Good)
}
