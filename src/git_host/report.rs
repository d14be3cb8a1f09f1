//! What became of a commit of the repository: a status on it, and a line in one comment on the request that brought it.

use std::time::Duration;

use super::comment::Presence;
use super::exchange::{Exchange, Failure};
use super::{HostedRepository, Purpose, unclear};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Success,
    Failure,
    /// Another commit took its place before it ended.
    Replaced,
}

/// What is told of one commit.
pub struct Report<'r> {
    /// All digits of it.
    pub commit: &'r str,
    /// What it is about, the same for each report that takes the place of an earlier one.
    pub context: &'r str,
    pub state: State,
    /// One line, which is cut to what the host takes.
    pub description: &'r str,
    /// Where there is more.
    pub page: Option<&'r str>,
    /// Begins the comment, and finds it again.
    pub mark: &'r str,
    /// The new text of the comment, from the one that is there.
    pub comment: &'r (dyn Fn(Option<&str>) -> String + Sync),
}

/// Why it was not taken, in a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is tried again, after a rest if the host asks for one.
    Later {
        asked: Option<Duration>,
        why: String,
    },
    Refused(String),
}

impl HostedRepository {
    /// Tries once. What is told twice is as if it was told once.
    pub async fn report(&self, report: &Report<'_>) -> Result<(), Trouble> {
        let exchange = self.opened().await.map_err(|failure| self.trouble(Purpose::Status, failure))?;
        match exchange.ask(&self.host.create_status(report)).await {
            Err(failure) if !self.host.is_known_status(&failure) => {
                return Err(self.trouble(Purpose::Status, failure));
            }
            _ => {}
        }
        self.comment_on_merged(&exchange, report)
            .await
            .map_err(|failure| self.trouble(Purpose::Outcome, failure))
    }

    /// Whether the token reaches the repository. Nothing is written.
    pub async fn reach(&self) -> Result<(), Trouble> {
        let asked = async {
            let exchange = self.opened().await?;
            exchange.ask(&self.host.about()).await?;
            let me = exchange.ask(&self.host.who_am_i()).await?;
            self.host.me(&me).map(drop).ok_or_else(|| unclear("user"))
        };
        asked.await.map_err(|failure| self.trouble(Purpose::Status, failure))
    }

    /// A commit that was pushed without a request has no comment.
    async fn comment_on_merged(&self, exchange: &Exchange, report: &Report<'_>) -> Result<(), Failure> {
        let answer = exchange.ask(&self.host.requests_of(report.commit)).await?;
        let listed = answer.as_array().ok_or_else(|| unclear("pull requests"))?;
        let Some(request) = listed.iter().find_map(|listed| self.host.merged(listed)) else { return Ok(()) };
        let done =
            self.comment_once(exchange, request, report.mark, report.comment, Presence::Wanted).await?;
        let too_many = || Failure::Refused { status: None, why: "it has too many comments".to_owned() };
        done.map(drop).ok_or_else(too_many)
    }

    fn trouble(&self, purpose: Purpose, failure: Failure) -> Trouble {
        let what =
            if purpose == Purpose::Outcome { "the status is set, and the comment is not: " } else { "" };
        match failure {
            Failure::Later { asked, why } => Trouble::Later { asked, why: format!("{what}{why}") },
            Failure::Refused { status, why } => {
                Trouble::Refused(format!("{what}{why}; {}", self.host.hint(purpose, status)))
            }
        }
    }
}
