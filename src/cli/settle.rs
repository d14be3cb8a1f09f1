//! `trueup settle` and `trueup run-task`: a person's word about the run of a task. No controller is contacted.

use anyhow::bail;

use super::source::Opened;
use super::{End, RepositoryArgs, controller, look_at};
use crate::documents::memory::Stamp;
use crate::model::{Outcome, OutcomeKind, Waiting};
use crate::plan::Step;
use crate::view::words::in_brackets;

/// Stands for the task where nobody knows of any.
const SETTLED: &str = "settled";

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
    let source = Opened::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let (Some(Waiting::OutcomeUnknown { commit, attempt, task, .. }), Some(last)) =
        (&plan.waiting, &plan.last_run)
    else {
        bail!("{name} has no run whose outcome is unknown{}; nothing to settle", in_brackets(&plan))
    };
    let deployment = task.clone().unwrap_or_else(|| SETTLED.to_owned());
    let (outcome, why) = (Outcome { result, deployment }, Some(reason.to_owned()));
    let stamp = Stamp::Ran { outcome, attempt: *attempt, why };
    let commit = commit.short().to_owned();
    controller.write_one(&declaration, name, Step::Stamp { revision: last.revision.clone(), stamp }).await?;
    let word = if result == OutcomeKind::Succeeded { "succeeded" } else { "failed" };
    say!("{name}: {commit} counts as {word}");
    Ok(End::Good)
}

/// Asks for the declared task once more, however it ended before.
pub(super) async fn run_task(arguments: &RepositoryArgs, name: &str) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let commit = plan.status.declared.as_ref().map_or("it", |commit| commit.short()).to_owned();
    let ended = matches!(
        plan.waiting,
        Some(Waiting::Settled | Waiting::Held { .. } | Waiting::OutcomeUnknown { .. })
    );
    let Some(last) = plan.last_run.as_ref().filter(|last| ended && !last.goes_on) else {
        bail!("{name} has no run that has ended{}; nothing to run again", in_brackets(&plan))
    };
    let stamp = Stamp::Retry(last.attempt.to_string());
    controller.write_one(&declaration, name, Step::Stamp { revision: last.revision.clone(), stamp }).await?;
    say!("{name}: {commit} will be run once more, as attempt {}", last.attempt.saturating_add(1));
    Ok(End::Good)
}
