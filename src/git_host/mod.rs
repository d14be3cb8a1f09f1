//! The host of the infrastructure repository, GitHub or GitLab: which pull request a job of CI is about, and the one comment
//! on it. What each host is asked, in its own form, is in a file of its own, and pure.

mod exchange;
mod github;
mod gitlab;
#[cfg(test)]
mod tests;

use std::fmt;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::address::WebAddress;
use crate::secret::Secret;

pub use exchange::Pace;
use exchange::{Exchange, Failure};
use github::GitHub;
use gitlab::GitLab;

/// Comments that are read to find our own: GitLab takes 5,000 on a merge request, GitHub half of it.
const MOST_PAGES: usize = 50;
const PER_PAGE: usize = 100;

/// Why there is no comment.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("no pull request is known here: {why}\n  hint  {hint}")]
    NoRequest { why: String, hint: &'static str },
    #[error("{host}: {why}\n  hint  {hint}")]
    Refused { host: &'static str, why: String, hint: &'static str },
    #[error("{host} was tried {tries} times: {why}\n  hint  run the job again later")]
    GivenUp { host: &'static str, tries: usize, why: String },
    #[error("{host}: more than {} comments were read, and ours is not among them", MOST_PAGES * PER_PAGE)]
    TooMany { host: &'static str },
}

/// What becomes of the comment where there is none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is written.
    Wanted,
    /// Only one that is there is brought up to date.
    IfThere,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commented {
    Created,
    Updated,
    /// None was there, and none was wanted.
    Left,
}

/// A pull request of GitHub, or a merge request of GitLab, and what reaches it.
pub struct PullRequest {
    host: Box<dyn Host>,
    api: WebAddress,
    token: Secret,
}

impl fmt::Display for PullRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host.title())
    }
}

/// How one kind of host is spoken to.
trait Host: Send + Sync {
    fn name(&self) -> &'static str;
    /// What people call the request.
    fn title(&self) -> String;
    /// Characters of one comment.
    fn most_characters(&self) -> usize;
    /// What goes along with each call; the first one holds the token.
    fn headers(&self, token: &str) -> Vec<(&'static str, String)>;
    fn who_am_i(&self) -> Call;
    fn me(&self, answer: &Value) -> Option<u64>;
    /// Pages count from 1, and have `PER_PAGE` comments, the oldest first.
    fn comments(&self, page: usize) -> Call;
    fn comment(&self, listed: &Value) -> Option<Comment>;
    fn create(&self, text: &str) -> Call;
    fn update(&self, comment: u64, text: &str) -> Call;
    /// What may mend a refusal.
    fn hint(&self, status: Option<StatusCode>) -> &'static str;
}

/// One call of an API, by its path below the address of the API.
struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
}

struct Comment {
    id: u64,
    author: u64,
    text: String,
}

impl PullRequest {
    /// The one that this job of GitHub Actions or GitLab CI is about, by the variables that it was given.
    pub fn of_job(variables: &dyn Fn(&str) -> Option<String>) -> Result<Self, HostError> {
        let given = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
        if let Some(repository) = given("GITHUB_REPOSITORY") {
            return GitHub::of_job(&repository, &given);
        }
        if let Some(project) = given("CI_PROJECT_ID") {
            return GitLab::of_job(&project, &given);
        }
        Err(HostError::NoRequest {
            why: "neither GITHUB_REPOSITORY nor CI_PROJECT_ID is set".to_owned(),
            hint: "run it in a job of GitHub Actions for `pull_request`, or of a merge request pipeline of GitLab",
        })
    }

    /// Characters that a comment may have.
    pub fn most_characters(&self) -> usize {
        self.host.most_characters()
    }

    /// Writes the one comment that begins with `mark` and is ours, or another text into it. Who else writes that mark
    /// is not ours.
    pub async fn comment(
        &self,
        mark: &str,
        text: &str,
        presence: Presence,
        pace: Pace,
    ) -> Result<Commented, HostError> {
        let host = self.host.name();
        let refused = |status, why| HostError::Refused { host, why, hint: self.host.hint(status) };
        let token = self.token.read();
        let token = token.map_err(|error| refused(None, format!("the token cannot be read: {error}")))?;
        let exchange =
            Exchange::new(&self.api, self.host.headers(&token), token).map_err(|why| refused(None, why))?;
        let mut rests = pace.rests();
        let mut tries = 0;
        loop {
            tries += 1;
            // A write whose answer was lost may have been made: whatever is done again begins with a look.
            let (asked, why) = match self.try_once(&exchange, mark, text, presence).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => return Err(HostError::TooMany { host }),
                Err(Failure::Refused { status, why }) => return Err(refused(status, why)),
                Err(Failure::Later { asked, why }) => (asked, why),
            };
            match pace.rest(asked, &mut rests) {
                Some(rest) => tokio::time::sleep(rest).await,
                None => return Err(HostError::GivenUp { host, tries, why }),
            }
        }
    }

    /// `None` where there are too many comments to know.
    async fn try_once(
        &self,
        exchange: &Exchange,
        mark: &str,
        text: &str,
        presence: Presence,
    ) -> Result<Option<Commented>, Failure> {
        let unclear =
            |what: &str| Failure::Refused { status: None, why: format!("its answer names no {what}") };
        let me = exchange.ask(&self.host.who_am_i()).await?;
        let me = self.host.me(&me).ok_or_else(|| unclear("user"))?;
        for page in 1..=MOST_PAGES {
            let answer = exchange.ask(&self.host.comments(page)).await?;
            let listed = answer.as_array().ok_or_else(|| unclear("comments"))?;
            let mut comments = listed.iter().filter_map(|listed| self.host.comment(listed));
            if let Some(ours) = comments.find(|one| one.author == me && one.text.starts_with(mark)) {
                exchange.ask(&self.host.update(ours.id, text)).await?;
                return Ok(Some(Commented::Updated));
            }
            if listed.len() < PER_PAGE {
                if presence == Presence::IfThere {
                    return Ok(Some(Commented::Left));
                }
                exchange.ask(&self.host.create(text)).await?;
                return Ok(Some(Commented::Created));
            }
        }
        Ok(None)
    }
}

/// The token that a variable holds, or the file that another one names.
fn token(given: &dyn Fn(&str) -> Option<String>, variable: &str) -> Option<Secret> {
    let file = given(&format!("{variable}_FILE")).map(|path| Secret::File(path.into()));
    file.or_else(|| given(variable).map(Secret::Given))
}

/// Where the API is; why it is not used does not repeat it.
fn api(address: &str, variable: &str) -> Result<WebAddress, HostError> {
    WebAddress::parse(address).map_err(|why| HostError::NoRequest {
        why: format!("{variable} cannot be used: {why}"),
        hint: "the host sets it",
    })
}

/// A number of the host's own.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}
