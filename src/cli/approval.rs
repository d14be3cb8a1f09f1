//! `trueup approve` and `trueup reject`: a person's word to the deployment that goes on. No controller is contacted.

use anyhow::bail;

use super::source::Opened;
use super::{End, RepositoryArgs, controller, look_at};
use crate::model::Commit;
use crate::plan::Approval;
use crate::plan::shift::describe;
use crate::view::words::in_brackets;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Approve,
    Reject,
}

/// Answers what it found, and nothing that came since: each step of a shift is asked for anew.
pub(super) async fn run(
    arguments: &RepositoryArgs,
    name: &str,
    answer: Answer,
    commit: Option<&Commit>,
) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let Some(approval) = plan.approval.as_ref().filter(|approval| approval.takes(answer)) else {
        bail!("{name} does not wait for approval{}", in_brackets(&plan))
    };
    if let Some(wanted) = commit
        && !approval.commit.as_ref().is_some_and(|commit| commit.matches(wanted))
    {
        let found = approval.commit.as_ref().map_or("another task definition", Commit::short);
        bail!("{name} brings {found}, and not {}: nothing was answered", wanted.short())
    }
    let brings = approval.commit.as_ref().map_or("it", Commit::short).to_owned();
    let stage = describe(&approval.shift).unwrap_or_default();
    say!("{name}: {brings}: {stage}");
    let (steps, said) = match answer {
        Answer::Approve => (&approval.approve, format!("{name}: {brings} goes on")),
        Answer::Reject => (&approval.reject, format!("{name}: {brings} is rolled back and will be held")),
    };
    for step in steps.clone() {
        controller.write_one(&declaration, name, step).await?;
    }
    say!("{said}");
    Ok(End::Good)
}

impl Approval {
    fn takes(&self, answer: Answer) -> bool {
        match answer {
            Answer::Approve => !self.approve.is_empty(),
            Answer::Reject => !self.reject.is_empty(),
        }
    }
}
