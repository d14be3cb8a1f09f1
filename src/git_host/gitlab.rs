//! GitLab (<https://docs.gitlab.com/api/notes/#merge-requests>): comments are notes of the merge request.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Call, Comment, Host, HostError, PER_PAGE, PullRequest, api, number, token};

/// About a million ("GitLab application limits", "Size of comments and descriptions").
const MOST_CHARACTERS: usize = 1_000_000;

pub(super) struct GitLab {
    project: u64,
    number: u64,
}

impl GitLab {
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
        Ok(PullRequest { host: Box::new(Self { project, number }), api, token })
    }

    fn notes(&self) -> String {
        format!("projects/{}/merge_requests/{}/notes", self.project, self.number)
    }
}

impl Host for GitLab {
    fn name(&self) -> &'static str {
        "GitLab"
    }

    fn title(&self) -> String {
        format!("merge request !{}", self.number)
    }

    fn most_characters(&self) -> usize {
        MOST_CHARACTERS
    }

    fn headers(&self, token: &str) -> Vec<(&'static str, String)> {
        vec![("private-token", token.to_owned())]
    }

    fn who_am_i(&self) -> Call {
        Call { method: Method::GET, path: "user".to_owned(), body: None }
    }

    fn me(&self, answer: &Value) -> Option<u64> {
        answer["id"].as_u64()
    }

    fn comments(&self, page: usize) -> Call {
        let order = "order_by=created_at&sort=asc";
        let path = format!("{}?{order}&per_page={PER_PAGE}&page={page}", self.notes());
        Call { method: Method::GET, path, body: None }
    }

    fn comment(&self, listed: &Value) -> Option<Comment> {
        let text = listed["body"].as_str()?.to_owned();
        Some(Comment { id: listed["id"].as_u64()?, author: listed["author"]["id"].as_u64()?, text })
    }

    fn create(&self, text: &str) -> Call {
        Call { method: Method::POST, path: self.notes(), body: Some(json!({"body": text})) }
    }

    fn update(&self, comment: u64, text: &str) -> Call {
        let path = format!("{}/{comment}", self.notes());
        Call { method: Method::PUT, path, body: Some(json!({"body": text})) }
    }

    fn hint(&self, status: Option<StatusCode>) -> &'static str {
        match status {
            Some(StatusCode::UNAUTHORIZED) => {
                "check GITLAB_TOKEN: it may have expired; CI_JOB_TOKEN may not write notes"
            }
            Some(StatusCode::FORBIDDEN) => {
                "GITLAB_TOKEN needs the scope `api` and the role Reporter; a locked discussion takes notes of members alone"
            }
            Some(StatusCode::NOT_FOUND) => {
                "GITLAB_TOKEN does not reach this project, or it has no such merge request"
            }
            _ => "the plan is printed all the same",
        }
    }
}
