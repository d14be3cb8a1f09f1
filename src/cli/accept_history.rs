//! `trueup accept-history`: the way out where the branch was rewritten, moved or begun anew. It stamps this history on
//! live revisions, for every controller to see, and writes nothing else. No controller is contacted.

use anyhow::ensure;

use super::end::{self, End};
use super::source::{InfraRepository, print_findings};
use super::{RepositoryArgs, controller, messages, progress};
use crate::controller::{SweepResult, Writes};
use crate::model::{Declared, InfraCommit, Target, Waiting};
use crate::plan::Step;
use crate::plan::waiting::{Class, class};
use crate::view::words::step_line;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    NotYet,
}

pub(super) async fn run(
    arguments: &RepositoryArgs,
    environment: Option<&str>,
    answer: Answer,
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (head, declaration) = source.committed()?;
    print_findings(&declaration);
    let is_meant =
        |target: &Target| environment.is_none_or(|environment| target.environment.as_str() == environment);
    ensure!(
        declaration.applications.iter().map(Declared::target).any(is_meant),
        "no application is declared in environment {}",
        environment.unwrap_or("-")
    );
    let mut controller = controller(source).await;
    let swept = progress::sweep(&mut controller, &declaration, Writes::Withheld, is_meant).await;
    let unread: Vec<SweepResult> = swept.iter().filter(|one| is_unread(one)).cloned().collect();
    messages::complaints(&unread);
    let mut ends = vec![if unread.is_empty() { End::Good } else { End::Error }];
    let offered: Vec<(&Target, String, Step)> =
        swept.iter().filter_map(|one| offer(one, &head.commit)).collect();
    for (target, what, step) in offered {
        outln!("{target}: {what}");
        if answer == Answer::NotYet {
            ends.push(End::Changes);
        } else if let Err(error) = controller.write_one(&declaration, &target.to_string(), step).await {
            say!("{target}: not accepted: {error}");
            ends.push(End::Error);
        } else {
            ends.push(End::Good);
        }
    }
    say!("{}", conclusion(answer, ends.len() - 1));
    Ok(end::lowest(ends))
}

/// Whether nobody can tell from which history it was applied.
fn is_unread(one: &SweepResult) -> bool {
    !one.plan.status.is_observed || one.plan.waiting.as_ref().map(class) == Some(Class::Unreadable)
}

/// What is accepted for one application, and the write that does it.
fn offer<'s>(one: &'s SweepResult, head: &InfraCommit) -> Option<(&'s Target, String, Step)> {
    let plan = &one.plan;
    let (Some(Waiting::SourceBehind { applied, revision }), Some(step)) =
        (&plan.waiting, &plan.accept_history)
    else {
        return None;
    };
    let what = format!(
        "applied infra commit {} (on {}) -> {}; then: {}",
        short(applied),
        revision.short(),
        short(head.as_str()),
        step_line(step)
    );
    Some((&one.target, what, step.clone()))
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

fn conclusion(answer: Answer, offered: usize) -> &'static str {
    match (offered, answer) {
        (0, _) => "nothing to accept: no application waits for another history",
        (_, Answer::NotYet) => "nothing was written; to accept this history, run it again with --yes",
        (_, Answer::Yes) => {
            "the controller acts on this history from now on; `trueup plan` shows what that changes"
        }
    }
}
