//! `trueup approve` and `trueup reject`: the word that a deployment waits for. No controller is contacted.

use anyhow::bail;

use super::source::Opened;
use super::{End, RepositoryArgs, controller, look_at};
use crate::model::{Commit, Stage, Wait};
use crate::plan::Step;

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
    let last = plan.status.last_deployment.as_ref();
    let waits = |stage: Stage| matches!(stage, Stage::AwaitingApproval { .. });
    let waiting = last.filter(|last| last.shift.as_ref().is_some_and(|shift| waits(shift.stage)));
    let Some(last) = waiting else { bail!("{name} does not wait for approval") };
    let deployment = last.id.clone();
    let commit = last.commit.as_ref().map_or("it", Commit::short);
    let (step, said) = match answer {
        Answer::Approve => (
            Step::Continue { deployment, wait: Wait::Ready },
            format!("{name}: the traffic of {commit} shifts"),
        ),
        Answer::Reject => {
            (Step::Stop { deployment }, format!("{name}: {commit} is stopped and will be held"))
        }
    };
    controller.write_one(&declaration, name, step).await?;
    eprintln!("{said}");
    Ok(End::Good)
}
