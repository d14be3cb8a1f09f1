//! The host of the infrastructure repository, GitHub or GitLab: the one comment on a pull request, and pull requests of our own.
//! What each host is asked, in its own form, is in a file of its own, and pure.

mod app;
mod comment;
mod exchange;
#[cfg(test)]
#[path = "../../tests/end_to_end/fake_host.rs"]
pub(crate) mod fake_host;
mod github;
mod gitlab;
mod place;
mod proposal;
mod report;
#[cfg(test)]
mod tests;

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::address::WebAddress;
use crate::secret::Secret;

use app::App;
pub use comment::{Commented, Presence};
pub use exchange::Pace;
use exchange::{Exchange, Failure};
use github::GitHub;
use gitlab::GitLab;
pub use place::{Access, HostSettings, Kind};
pub use proposal::{OpenRequest, Proposal, Proposed};
pub use report::{Report, State, Trouble};

const PER_PAGE: usize = 100;

/// Why a host did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("no pull request is known here: {why}\n  hint  {hint}")]
    NoRequest { why: String, hint: &'static str },
    #[error("the git host is not known: {why}\n  hint  {hint}")]
    NoHost { why: String, hint: &'static str },
    #[error("{host}: {why}\n  hint  {hint}")]
    Refused { host: &'static str, why: String, hint: &'static str },
    #[error("{host} was tried {tries} times: {why}\n  hint  run it again later")]
    GivenUp { host: &'static str, tries: usize, why: String },
    #[error("{host}: more than {most} comments were read, and ours is not among them")]
    TooMany { host: &'static str, most: usize },
}

/// What a host is asked for: a refusal means something else for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Comment,
    Request,
    Status,
    /// The comment that tells what became of a commit.
    Outcome,
}

/// A repository of GitHub, or a project of GitLab, and what reaches it.
pub struct HostedRepository {
    host: Box<dyn Host>,
    api: WebAddress,
    token: Token,
}

/// What lets it in.
enum Token {
    Given(Secret),
    OfApp(App),
}

/// One of its pull requests, or merge requests.
pub struct PullRequest {
    repository: HostedRepository,
    number: u64,
}

impl fmt::Display for PullRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository.host.title(self.number))
    }
}

/// How one kind of host is spoken to.
trait Host: Send + Sync {
    fn name(&self) -> &'static str;
    /// What people call a request.
    fn title(&self, request: u64) -> String;
    /// Characters of one comment, and of the text of a request.
    fn most_characters(&self) -> usize;
    /// What goes along with each call; the first one holds the token.
    fn headers(&self, token: &str) -> Vec<(&'static str, String)>;
    /// What may mend a refusal.
    fn hint(&self, purpose: Purpose, status: Option<StatusCode>) -> &'static str;

    fn who_am_i(&self) -> Call;
    fn me(&self, answer: &Value) -> Option<u64>;
    /// Pages count from 1, and have `PER_PAGE` comments, the oldest first.
    fn comments(&self, request: u64, page: usize) -> Call;
    fn comment(&self, listed: &Value) -> Option<Comment>;
    fn create_comment(&self, request: u64, text: &str) -> Call;
    fn update_comment(&self, request: u64, comment: u64, text: &str) -> Call;

    fn about(&self) -> Call;
    /// Open requests from a branch to another one. `about`: what the host says of the repository, which may have been renamed.
    fn open_requests(&self, about: &Value, branch: &str, base: &str) -> Call;
    /// `None` where it is of another repository, such as a fork with a branch of the same name.
    fn request(&self, listed: &Value, branch: &str) -> Option<OpenRequest>;
    fn create_request(&self, proposal: &Proposal<'_>) -> Call;
    fn update_request(&self, request: u64, proposal: &Proposal<'_>) -> Call;
    fn create_status(&self, report: &Report<'_>) -> Call;
    /// Whether a refusal only says that the status is so already.
    fn is_known_status(&self, failure: &Failure) -> bool;
    fn requests_of(&self, commit: &str) -> Call;
    /// The number of a request of this repository that was merged.
    fn merged(&self, listed: &Value) -> Option<u64>;
    /// The page on which a person opens one.
    fn page_to_open(&self, web: &str, branch: &str, base: &str) -> String;
}

/// One call of an API, by its path below the address of the API.
struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Call {
    fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    fn with(method: Method, path: String, body: Value) -> Self {
        Self { method, path, body: Some(body) }
    }
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
        self.repository.most_characters()
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
        self.repository.comment(self.number, mark, text, presence, pace).await
    }
}

impl HostedRepository {
    /// Characters that a comment, or the text of a request, may have.
    pub fn most_characters(&self) -> usize {
        self.host.most_characters()
    }

    /// With the token that is good now: a file with one is read each time.
    async fn opened(&self) -> Result<Exchange, Failure> {
        let token = match &self.token {
            Token::Given(secret) => secret.read().map_err(|error| Failure::Refused {
                status: None,
                why: format!("the token cannot be read: {error}"),
            })?,
            Token::OfApp(app) => app.token(&self.api, &*self.host).await?,
        };
        Exchange::new(&self.api, self.host.headers(&token), token)
            .map_err(|why| Failure::Refused { status: None, why })
    }

    fn refused(&self, purpose: Purpose, status: Option<StatusCode>, why: String) -> HostError {
        HostError::Refused { host: self.host.name(), why, hint: self.host.hint(purpose, status) }
    }

    /// Tries until it is done, is refused, or the tries are used up. A write whose answer was lost may have been made: each try
    /// begins with a look.
    async fn persist<T>(
        &self,
        purpose: Purpose,
        pace: Pace,
        mut attempt: impl AsyncFnMut(&Exchange) -> Result<T, Failure>,
    ) -> Result<T, HostError> {
        let mut rests = pace.rests();
        let mut tries = 0;
        loop {
            tries += 1;
            let done = match self.opened().await {
                Ok(exchange) => attempt(&exchange).await,
                Err(failure) => Err(failure),
            };
            let (asked, why) = match done {
                Ok(done) => return Ok(done),
                Err(Failure::Refused { status, why }) => return Err(self.refused(purpose, status, why)),
                Err(Failure::Later { asked, why }) => (asked, why),
            };
            match pace.rest(asked, &mut rests) {
                Some(rest) => tokio::time::sleep(rest).await,
                None => return Err(HostError::GivenUp { host: self.host.name(), tries, why }),
            }
        }
    }
}

/// Where an answer does not say what was asked.
fn unclear(what: &str) -> Failure {
    Failure::Refused { status: None, why: format!("its answer names no {what}") }
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

/// No longer than this, and it says where it was cut.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A number of the host's own.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// What RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One part of a path or of a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
