//! How a change of the infrastructure repository leaves this machine: not yet, by a push, or in a pull request.

use super::change::{Change, Push, Start, Work};
use super::end::End;
use super::proposal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It is committed, and somebody pushes it.
    Commit,
    Push,
    PullRequest,
}

impl Delivery {
    /// Where the change begins.
    pub(super) fn start(self) -> Start {
        match self {
            Self::Commit | Self::Push => Start::CheckedOut,
            Self::PullRequest => Start::Upstream,
        }
    }

    pub(super) async fn carry_out(self, work: &Work, change: &dyn Change) -> anyhow::Result<End> {
        match self {
            Self::Commit => work.make(change, Push::No).await,
            Self::Push => work.make(change, Push::Yes).await,
            Self::PullRequest => Box::pin(proposal::propose(work, change)).await,
        }
    }
}
