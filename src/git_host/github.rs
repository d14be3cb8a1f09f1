//! GitHub, and GitHub Enterprise Server (<https://docs.github.com/en/rest/pulls/pulls>, <https://docs.github.com/en/rest/issues/comments>):
//! a pull request is an issue too, and the comments on it as a whole are those of the issue.

use std::fs::File;
use std::io::Read as _;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::exchange::Failure;
use super::{
    Call, Comment, Host, HostError, HostedRepository, OpenRequest, PER_PAGE, Proposal, PullRequest, Purpose,
    Report, State, Token, api, cut, encoded, number, token,
};
use crate::address::WebAddress;

pub(super) const API: &str = "https://api.github.com";
/// "body is too long (maximum is 65536 characters)".
const MOST_CHARACTERS: usize = 65_536;
/// "description is too long (maximum is 140 characters)".
const MOST_DESCRIPTION: usize = 140;
/// Bytes of the event of a job: GitHub sends 25 MB at most ("Webhook events and payloads").
const MOST_EVENT: u64 = 26 << 20;

pub(super) struct GitHub {
    /// `owner/name`.
    repository: String,
    /// Below the address of the API: Enterprise Server has it beside `/api/v3`.
    graphql: &'static str,
}

impl GitHub {
    /// `None` where that is no `owner/name`.
    pub(super) fn new(repository: &str, api: &WebAddress) -> Option<Self> {
        let is_enterprise = api.url().path().trim_end_matches('/').ends_with("/v3");
        let graphql = if is_enterprise { "../graphql" } else { "graphql" };
        is_repository(repository).then(|| Self { repository: repository.to_owned(), graphql })
    }

    /// <https://docs.github.com/en/actions/reference/variables-reference>
    pub(super) fn of_job(
        repository: &str,
        given: &dyn Fn(&str) -> Option<String>,
    ) -> Result<PullRequest, HostError> {
        let lost = |why: &str, hint| HostError::NoRequest { why: why.to_owned(), hint };
        let number = of_reference(given).or_else(|| of_event(given)).ok_or_else(|| {
            let hint = "the workflow has to be one of `pull_request`";
            lost("neither GITHUB_REF nor the event of GITHUB_EVENT_PATH names one", hint)
        })?;
        let token = token(given, "GITHUB_TOKEN").ok_or_else(|| {
            lost("there is no token", "give the step GITHUB_TOKEN: ${{ github.token }}, or GITHUB_TOKEN_FILE")
        })?;
        let address = given("GITHUB_API_URL").unwrap_or_else(|| API.to_owned());
        let api = api(&address, "GITHUB_API_URL")?;
        let host = Self::new(repository, &api)
            .ok_or_else(|| lost("GITHUB_REPOSITORY is no `owner/name`", "GitHub Actions sets it"))?;
        Ok(PullRequest {
            repository: HostedRepository { host: Box::new(host), api, token: Token::Given(token) },
            number,
        })
    }
}

impl GitHub {
    fn path(&self, below: &str) -> String {
        format!("repos/{}/{below}", self.repository)
    }
}

fn is_repository(name: &str) -> bool {
    let plain = |part: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !part.is_empty() && !part.starts_with("..") && part != "." && part.chars().all(is_plain)
    };
    name.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name))
}

/// `refs/pull/<number>/merge`
fn of_reference(given: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let reference = given("GITHUB_REF")?;
    number(reference.strip_prefix("refs/pull/")?.split('/').next()?)
}

fn of_event(given: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let mut text = String::new();
    File::open(given("GITHUB_EVENT_PATH")?).ok()?.take(MOST_EVENT).read_to_string(&mut text).ok()?;
    let event: Value = serde_json::from_str(&text).ok()?;
    event["pull_request"]["number"].as_u64()
}

impl Host for GitHub {
    fn name(&self) -> &'static str {
        "GitHub"
    }

    fn title(&self, request: u64) -> String {
        format!("pull request {}#{request}", self.repository)
    }

    fn most_characters(&self) -> usize {
        MOST_CHARACTERS
    }

    fn headers(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![
            ("authorization", format!("Bearer {token}")),
            ("accept", "application/vnd.github+json".to_owned()),
            ("x-github-api-version", "2022-11-28".to_owned()),
        ]
    }

    /// `GET /user` is not for the token of a job ("Resource not accessible by integration"); GraphQL's `viewer` is for every token
    /// (<https://docs.github.com/en/graphql/reference/queries#user>).
    fn who_am_i(&self) -> Call {
        let body = json!({"query": "query { viewer { databaseId } }"});
        Call::with(Method::POST, self.graphql.to_owned(), body)
    }

    fn me(&self, answer: &Value) -> Option<u64> {
        answer["data"]["viewer"]["databaseId"].as_u64()
    }

    fn comments(&self, request: u64, page: usize) -> Call {
        let below = format!("issues/{request}/comments?per_page={PER_PAGE}&page={page}");
        Call::get(self.path(&below))
    }

    fn comment(&self, listed: &Value) -> Option<Comment> {
        let text = listed["body"].as_str()?.to_owned();
        Some(Comment { id: listed["id"].as_u64()?, author: listed["user"]["id"].as_u64()?, text })
    }

    fn create_comment(&self, request: u64, text: &str) -> Call {
        let path = self.path(&format!("issues/{request}/comments"));
        Call::with(Method::POST, path, json!({"body": text}))
    }

    fn update_comment(&self, _: u64, comment: u64, text: &str) -> Call {
        let path = self.path(&format!("issues/comments/{comment}"));
        Call::with(Method::PATCH, path, json!({"body": text}))
    }

    fn about(&self) -> Call {
        Call::get(format!("repos/{}", self.repository))
    }

    /// The filter wants the owner's present name.
    fn open_requests(&self, about: &Value, branch: &str, base: &str) -> Call {
        let owner = about["owner"]["login"].as_str().or_else(|| self.repository.split('/').next());
        let head = encoded(&format!("{}:{branch}", owner.unwrap_or_default()));
        let filter = format!("state=open&head={head}&base={}&per_page={PER_PAGE}", encoded(base));
        Call::get(self.path(&format!("pulls?{filter}")))
    }

    fn request(&self, listed: &Value, branch: &str) -> Option<OpenRequest> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (head, base) = (&listed["head"], &listed["base"]);
        let repository = head["repo"]["id"].as_u64();
        let is_of_branch =
            head["ref"] == branch && repository.is_some() && repository == base["repo"]["id"].as_u64();
        Some(OpenRequest {
            number: listed["number"].as_u64().filter(|_| is_of_branch)?,
            page: text(&listed["html_url"])?,
            title: text(&listed["title"]).unwrap_or_default(),
            text: text(&listed["body"]).unwrap_or_default(),
        })
    }

    fn create_request(&self, proposal: &Proposal<'_>) -> Call {
        let Proposal { branch, base, title, text, .. } = proposal;
        let body = json!({"title": title, "head": branch, "base": base, "body": text});
        Call::with(Method::POST, self.path("pulls"), body)
    }

    fn update_request(&self, request: u64, proposal: &Proposal<'_>) -> Call {
        let body = json!({"title": proposal.title, "body": proposal.text});
        Call::with(Method::PATCH, self.path(&format!("pulls/{request}")), body)
    }

    /// <https://docs.github.com/en/rest/commits/statuses>: a thousand for each commit and context.
    fn create_status(&self, report: &Report<'_>) -> Call {
        let state = match report.state {
            State::Pending => "pending",
            State::Success => "success",
            State::Failure => "failure",
            // There is no word for it, and good it is not.
            State::Replaced => "error",
        };
        let description = cut(report.description, MOST_DESCRIPTION);
        let body = json!({"state": state, "context": report.context, "description": description,
            "target_url": report.page});
        Call::with(Method::POST, self.path(&format!("statuses/{}", report.commit)), body)
    }

    fn is_known_status(&self, _: &Failure) -> bool {
        false
    }

    /// <https://docs.github.com/en/rest/commits/commits#list-pull-requests-associated-with-a-commit>
    fn requests_of(&self, commit: &str) -> Call {
        Call::get(self.path(&format!("commits/{commit}/pulls?per_page={PER_PAGE}")))
    }

    fn merged(&self, listed: &Value) -> Option<u64> {
        listed["number"].as_u64().filter(|_| listed["merged_at"].is_string())
    }

    fn page_to_open(&self, web: &str, branch: &str, base: &str) -> String {
        format!("{web}/compare/{base}...{branch}?expand=1")
    }

    fn hint(&self, purpose: Purpose, status: Option<StatusCode>) -> &'static str {
        match (purpose, status) {
            (Purpose::Comment, Some(StatusCode::UNAUTHORIZED)) => {
                "check GITHUB_TOKEN: ${{ github.token }} is good for this job alone"
            }
            (Purpose::Comment, Some(StatusCode::FORBIDDEN)) => {
                "the job needs `permissions: pull-requests: write`, which a fork is not given; a locked conversation takes no comment"
            }
            (Purpose::Comment, Some(StatusCode::NOT_FOUND | StatusCode::GONE)) => {
                "the token does not reach this repository, or it has no such pull request"
            }
            (Purpose::Comment, _) => "the plan is printed all the same",
            (Purpose::Request, Some(StatusCode::UNAUTHORIZED)) => {
                "check the token, in TRUEUP_TOKEN or GITHUB_TOKEN: it may have expired"
            }
            (Purpose::Request, Some(StatusCode::FORBIDDEN)) => {
                "the token needs to write pull requests; that of a job also needs \"Allow GitHub Actions to create and approve pull requests\" in the settings of the repository"
            }
            (Purpose::Request, Some(StatusCode::NOT_FOUND | StatusCode::GONE)) => {
                "the token, in TRUEUP_TOKEN or GITHUB_TOKEN, does not reach this repository"
            }
            (Purpose::Status, Some(StatusCode::UNAUTHORIZED)) => "check the token: it may have expired",
            (Purpose::Status, Some(StatusCode::FORBIDDEN)) => "the token needs to write commit statuses",
            (Purpose::Status, Some(StatusCode::NOT_FOUND)) => {
                "the token does not reach the repository, or may not write commit statuses"
            }
            (Purpose::Status, Some(StatusCode::UNPROCESSABLE_ENTITY)) => {
                "GitHub must have the commit, and takes 1,000 statuses of it for each application"
            }
            (Purpose::Outcome, Some(StatusCode::FORBIDDEN)) => {
                "the token needs to write pull requests; a locked conversation takes no comment"
            }
            (Purpose::Status | Purpose::Outcome, _) => "the log tells it all the same",
            (Purpose::Request, _) => "run it again, or open the pull request on GitHub's pages",
        }
    }
}
