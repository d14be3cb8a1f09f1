//! GitHub, and GitHub Enterprise Server (<https://docs.github.com/en/rest/issues/comments>): a pull request is an issue too, and
//! the comments on it as a whole are those of the issue.

use std::fs::File;
use std::io::Read as _;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Call, Comment, Host, HostError, PER_PAGE, PullRequest, api, number, token};

const API: &str = "https://api.github.com";
/// "body is too long (maximum is 65536 characters)".
const MOST_CHARACTERS: usize = 65_536;
/// Bytes of the event of a job: GitHub sends 25 MB at most ("Webhook events and payloads").
const MOST_EVENT: u64 = 26 << 20;

pub(super) struct GitHub {
    /// `owner/name`.
    repository: String,
    number: u64,
    /// Below the address of the API: Enterprise Server has it beside `/api/v3`.
    graphql: &'static str,
}

impl GitHub {
    /// <https://docs.github.com/en/actions/reference/variables-reference>
    pub(super) fn of_job(
        repository: &str,
        given: &dyn Fn(&str) -> Option<String>,
    ) -> Result<PullRequest, HostError> {
        let lost = |why: &str, hint| HostError::NoRequest { why: why.to_owned(), hint };
        if !is_repository(repository) {
            return Err(lost("GITHUB_REPOSITORY is no `owner/name`", "GitHub Actions sets it"));
        }
        let number = of_reference(given).or_else(|| of_event(given)).ok_or_else(|| {
            let hint = "the workflow has to be one of `pull_request`";
            lost("neither GITHUB_REF nor the event of GITHUB_EVENT_PATH names one", hint)
        })?;
        let token = token(given, "GITHUB_TOKEN").ok_or_else(|| {
            lost("there is no token", "give the step GITHUB_TOKEN: ${{ github.token }}, or GITHUB_TOKEN_FILE")
        })?;
        let address = given("GITHUB_API_URL").unwrap_or_else(|| API.to_owned());
        let api = api(&address, "GITHUB_API_URL")?;
        let is_enterprise = api.url().path().trim_end_matches('/').ends_with("/v3");
        let graphql = if is_enterprise { "../graphql" } else { "graphql" };
        let host = Self { repository: repository.to_owned(), number, graphql };
        Ok(PullRequest { host: Box::new(host), api, token })
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

    fn title(&self) -> String {
        format!("pull request {}#{}", self.repository, self.number)
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
        Call { method: Method::POST, path: self.graphql.to_owned(), body: Some(body) }
    }

    fn me(&self, answer: &Value) -> Option<u64> {
        answer["data"]["viewer"]["databaseId"].as_u64()
    }

    fn comments(&self, page: usize) -> Call {
        let Self { repository, number, .. } = self;
        let path = format!("repos/{repository}/issues/{number}/comments?per_page={PER_PAGE}&page={page}");
        Call { method: Method::GET, path, body: None }
    }

    fn comment(&self, listed: &Value) -> Option<Comment> {
        let text = listed["body"].as_str()?.to_owned();
        Some(Comment { id: listed["id"].as_u64()?, author: listed["user"]["id"].as_u64()?, text })
    }

    fn create(&self, text: &str) -> Call {
        let path = format!("repos/{}/issues/{}/comments", self.repository, self.number);
        Call { method: Method::POST, path, body: Some(json!({"body": text})) }
    }

    fn update(&self, comment: u64, text: &str) -> Call {
        let path = format!("repos/{}/issues/comments/{comment}", self.repository);
        Call { method: Method::PATCH, path, body: Some(json!({"body": text})) }
    }

    fn hint(&self, status: Option<StatusCode>) -> &'static str {
        match status {
            Some(StatusCode::UNAUTHORIZED) => {
                "check GITHUB_TOKEN: ${{ github.token }} is good for this job alone"
            }
            Some(StatusCode::FORBIDDEN) => {
                "the job needs `permissions: pull-requests: write`, which a fork is not given; a locked conversation takes no comment"
            }
            Some(StatusCode::NOT_FOUND | StatusCode::GONE) => {
                "the token does not reach this repository, or it has no such pull request"
            }
            _ => "the plan is printed all the same",
        }
    }
}
