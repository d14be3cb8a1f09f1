//! `trueup approve` and `trueup reject`: the word that a deployment waits for. No controller is contacted.

use anyhow::bail;

use super::source::Opened;
use super::{End, RepositoryArgs, controller, look_at};
use crate::model::Commit;
use crate::view::words::in_brackets;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Approve,
    Reject,
}

pub(super) async fn run(arguments: &RepositoryArgs, name: &str, answer: Answer) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let Some(approval) = plan.approval else {
        bail!("{name} does not wait for approval{}", in_brackets(&plan))
    };
    let last = plan.status.last_deployment.and_then(|last| last.commit);
    let commit = last.as_ref().map_or("it", Commit::short);
    let (step, said) = match answer {
        Answer::Approve => (approval.approve, format!("{name}: the traffic of {commit} shifts")),
        Answer::Reject => (approval.reject, format!("{name}: {commit} is stopped and will be held")),
    };
    controller.write_one(&declaration, name, step).await?;
    say!("{said}");
    Ok(End::Good)
}
