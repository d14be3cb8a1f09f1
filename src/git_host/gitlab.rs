//! GitLab (<https://docs.gitlab.com/api/merge_requests/>, <https://docs.gitlab.com/api/notes/#merge-requests>): a pull request is a merge
//! request, and comments are its notes.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::exchange::Failure;
use super::{
    Call, Comment, Host, HostError, HostedRepository, OpenRequest, PER_PAGE, Proposal, PullRequest, Purpose,
    Report, State, Token, api, cut, encoded, number, token,
};

/// About a million ("GitLab application limits", "Size of comments and descriptions").
const MOST_CHARACTERS: usize = 1_000_000;
/// Characters of the description and of the address of a status.
const MOST_DESCRIPTION: usize = 255;

pub(super) struct GitLab {
    /// Its number, or its path as one part of a path.
    project: String,
}

impl GitLab {
    /// `None` where that is no path of a project in a group.
    pub(super) fn new(path: &str) -> Option<Self> {
        let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.');
        let is_one = path.contains('/') && path.split('/').all(is_plain);
        is_one.then(|| Self { project: encoded(path) })
    }

    /// <https://docs.gitlab.com/ci/variables/predefined_variables/>; a token of the job (`CI_JOB_TOKEN`) may not write notes
    /// (<https://docs.gitlab.com/ci/jobs/ci_job_token/#job-token-access>).
    pub(super) fn of_job(
        project: &str,
        given: &dyn Fn(&str) -> Option<String>,
    ) -> Result<PullRequest, HostError> {
        let lost = |why: &str, hint| HostError::NoRequest { why: why.to_owned(), hint };
        let project =
            number(project).ok_or_else(|| lost("CI_PROJECT_ID is no number", "GitLab CI sets it"))?;
        let number =
            given("CI_MERGE_REQUEST_IID").and_then(|number| self::number(&number)).ok_or_else(|| {
                let hint = "the job has to run for `$CI_PIPELINE_SOURCE == \"merge_request_event\"`";
                lost("CI_MERGE_REQUEST_IID is not set", hint)
            })?;
        let token = token(given, "GITLAB_TOKEN").ok_or_else(|| {
            let hint = "set GITLAB_TOKEN, or GITLAB_TOKEN_FILE, to a project access token with the scope `api` and the role Reporter; CI_JOB_TOKEN may not write notes";
            lost("there is no token", hint)
        })?;
        let address =
            given("CI_API_V4_URL").ok_or_else(|| lost("CI_API_V4_URL is not set", "GitLab CI sets it"))?;
        let api = api(&address, "CI_API_V4_URL")?;
        let host = Box::new(Self { project: project.to_string() });
        Ok(PullRequest { repository: HostedRepository { host, api, token: Token::Given(token) }, number })
    }

    fn path(&self, below: &str) -> String {
        format!("projects/{}/{below}", self.project)
    }
}

impl Host for GitLab {
    fn name(&self) -> &'static str {
        "GitLab"
    }

    fn title(&self, request: u64) -> String {
        format!("merge request !{request}")
    }

    fn most_characters(&self) -> usize {
        MOST_CHARACTERS
    }

    fn headers(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![("private-token", token.to_owned())]
    }

    fn who_am_i(&self) -> Call {
        Call::get("user".to_owned())
    }

    fn me(&self, answer: &Value) -> Option<u64> {
        answer["id"].as_u64()
    }

    fn comments(&self, request: u64, page: usize) -> Call {
        let order = "order_by=created_at&sort=asc";
        let below = format!("merge_requests/{request}/notes?{order}&per_page={PER_PAGE}&page={page}");
        Call::get(self.path(&below))
    }

    fn comment(&self, listed: &Value) -> Option<Comment> {
        let text = listed["body"].as_str()?.to_owned();
        Some(Comment { id: listed["id"].as_u64()?, author: listed["author"]["id"].as_u64()?, text })
    }

    fn create_comment(&self, request: u64, text: &str) -> Call {
        let path = self.path(&format!("merge_requests/{request}/notes"));
        Call::with(Method::POST, path, json!({"body": text}))
    }

    fn update_comment(&self, request: u64, comment: u64, text: &str) -> Call {
        let path = self.path(&format!("merge_requests/{request}/notes/{comment}"));
        Call::with(Method::PUT, path, json!({"body": text}))
    }

    fn about(&self) -> Call {
        Call::get(format!("projects/{}", self.project))
    }

    fn open_requests(&self, _: &Value, branch: &str, base: &str) -> Call {
        let branches = format!("source_branch={}&target_branch={}", encoded(branch), encoded(base));
        Call::get(self.path(&format!("merge_requests?state=opened&{branches}&per_page={PER_PAGE}")))
    }

    fn request(&self, listed: &Value, branch: &str) -> Option<OpenRequest> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let source = listed["source_project_id"].as_u64();
        let is_of_branch = listed["source_branch"] == branch
            && source.is_some()
            && source == listed["target_project_id"].as_u64();
        Some(OpenRequest {
            number: listed["iid"].as_u64().filter(|_| is_of_branch)?,
            page: text(&listed["web_url"])?,
            title: text(&listed["title"]).unwrap_or_default(),
            text: text(&listed["description"]).unwrap_or_default(),
        })
    }

    fn create_request(&self, proposal: &Proposal<'_>) -> Call {
        let Proposal { branch, base, title, text, .. } = proposal;
        let body = json!({"source_branch": branch, "target_branch": base, "title": title, "description": text,
            "remove_source_branch": true});
        Call::with(Method::POST, self.path("merge_requests"), body)
    }

    fn update_request(&self, request: u64, proposal: &Proposal<'_>) -> Call {
        let body = json!({"title": proposal.title, "description": proposal.text});
        Call::with(Method::PUT, self.path(&format!("merge_requests/{request}")), body)
    }

    /// <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>
    fn create_status(&self, report: &Report<'_>) -> Call {
        let state = match report.state {
            State::Pending => "running",
            State::Success => "success",
            State::Failure => "failed",
            State::Replaced => "canceled",
        };
        let page = report.page.filter(|page| page.len() <= MOST_DESCRIPTION);
        let description = cut(report.description, MOST_DESCRIPTION);
        let body =
            json!({"state": state, "name": report.context, "description": description, "target_url": page});
        Call::with(Method::POST, self.path(&format!("statuses/{}", report.commit)), body)
    }

    /// `Cannot transition status via :run from :running`: the same state twice was a bad request for long (issue 556757 of GitLab).
    fn is_known_status(&self, failure: &Failure) -> bool {
        let is_so = |why: &str| why.contains("Cannot transition status");
        matches!(failure, Failure::Refused { status: Some(StatusCode::BAD_REQUEST), why } if is_so(why))
    }

    fn requests_of(&self, commit: &str) -> Call {
        Call::get(self.path(&format!("repository/commits/{commit}/merge_requests?per_page={PER_PAGE}")))
    }

    fn merged(&self, listed: &Value) -> Option<u64> {
        listed["iid"].as_u64().filter(|_| listed["state"] == "merged")
    }

    fn page_to_open(&self, web: &str, branch: &str, base: &str) -> String {
        let [branch, base] = [branch, base].map(encoded);
        let [source, target] = ["source", "target"].map(|which| format!("merge_request%5B{which}_branch%5D"));
        format!("{web}/-/merge_requests/new?{source}={branch}&{target}={base}")
    }

    fn hint(&self, purpose: Purpose, status: Option<StatusCode>) -> &'static str {
        match (purpose, status) {
            (Purpose::Comment, Some(StatusCode::UNAUTHORIZED)) => {
                "check GITLAB_TOKEN: it may have expired; CI_JOB_TOKEN may not write notes"
            }
            (Purpose::Comment, Some(StatusCode::FORBIDDEN)) => {
                "GITLAB_TOKEN needs the scope `api` and the role Reporter; a locked discussion takes notes of members alone"
            }
            (Purpose::Comment, Some(StatusCode::NOT_FOUND)) => {
                "GITLAB_TOKEN does not reach this project, or it has no such merge request"
            }
            (Purpose::Comment, _) => "the plan is printed all the same",
            (Purpose::Request, Some(StatusCode::UNAUTHORIZED)) => {
                "check the token, in TRUEUP_TOKEN or GITLAB_TOKEN: it may have expired; CI_JOB_TOKEN opens no merge requests"
            }
            (Purpose::Request, Some(StatusCode::FORBIDDEN)) => {
                "the token needs the scope `api` and the role Developer"
            }
            (Purpose::Request, Some(StatusCode::NOT_FOUND)) => {
                "the token, in TRUEUP_TOKEN or GITLAB_TOKEN, does not reach this project"
            }
            (Purpose::Status, Some(StatusCode::UNAUTHORIZED)) => "check the token: it may have expired",
            (Purpose::Status, Some(StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)) => {
                "the token needs the scope `api` and the role Developer, and GitLab must have the commit"
            }
            (Purpose::Outcome, Some(StatusCode::FORBIDDEN)) => {
                "a locked discussion takes notes of members alone"
            }
            (Purpose::Status | Purpose::Outcome, _) => "the log tells it all the same",
            (Purpose::Request, _) => "run it again, or open the merge request on GitLab's pages",
        }
    }
}
