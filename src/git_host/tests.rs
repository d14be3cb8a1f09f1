use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::exchange::{Meaning, meaning};
use super::{
    Access, Commented, HostError, HostSettings, HostedRepository, Kind, Pace, Presence, PullRequest, Report,
    State, Trouble,
};
use crate::address::WebAddress;
use crate::secret::Secret;

use super::fake_host::{FakeHost, JOB, PROJECT, Request};

/// Headers, or variables, by their names.
type Given<'g> = [(&'g str, &'g str)];

const MARK: &str = "<!-- trueup:plan 0 -->";

fn of_job(variables: &[(&str, &str)]) -> Result<PullRequest, HostError> {
    let known =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    PullRequest::of_job(&known)
}

fn at_github(host: &FakeHost, repository: &str) -> PullRequest {
    let variables = [
        ("GITHUB_REPOSITORY", repository),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_API_URL", &host.url),
        ("GITHUB_TOKEN", JOB.0),
    ];
    of_job(&variables).unwrap()
}

fn at_gitlab(host: &FakeHost) -> PullRequest {
    let api = format!("{}/api/v4", host.url);
    let variables = [
        ("CI_PROJECT_ID", "5"),
        ("CI_MERGE_REQUEST_IID", "3"),
        ("CI_API_V4_URL", &api),
        ("GITLAB_TOKEN", PROJECT.0),
    ];
    of_job(&variables).unwrap()
}

async fn comment(request: &PullRequest, text: &str) -> Result<Commented, HostError> {
    let text = format!("{MARK}\n{text}");
    request.comment(MARK, &text, Presence::Wanted, Pace::AT_ONCE).await
}

#[test]
fn the_variables_of_a_job_name_its_pull_request_or_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event.json");
    std::fs::write(&event, r#"{"pull_request": {"number": 9}}"#).unwrap();
    let (event, token) = (event.to_str().unwrap(), ("GITHUB_TOKEN", "t"));
    let (infra, of_7) = (("GITHUB_REPOSITORY", "mco/infra"), ("GITHUB_REF", "refs/pull/7/merge"));
    let (project, of_3) = (("CI_PROJECT_ID", "5"), ("CI_MERGE_REQUEST_IID", "3"));
    let api = ("CI_API_V4_URL", "https://gitlab.com/api/v4");
    let cases: [(&[(&str, &str)], &str); 14] = [
        (&[infra, of_7, token], "pull request mco/infra#7"),
        (&[infra, of_7, ("GITHUB_TOKEN_FILE", "/run/token")], "pull request mco/infra#7"),
        (
            &[infra, ("GITHUB_REF", "refs/heads/main"), ("GITHUB_EVENT_PATH", event), token],
            "pull request mco/infra#9",
        ),
        (&[infra, ("GITHUB_REF", "refs/heads/main"), token], "has to be one of `pull_request`"),
        (&[infra, of_7, ("GITHUB_TOKEN", " ")], "GITHUB_TOKEN: ${{ github.token }}"),
        (&[("GITHUB_REPOSITORY", "mco/../x"), of_7, token], "is no `owner/name`"),
        (&[("GITHUB_REPOSITORY", "mco/x?y"), of_7, token], "is no `owner/name`"),
        (
            &[infra, of_7, token, ("GITHUB_API_URL", "http://github.example.com/hunter2")],
            "it is not encrypted",
        ),
        (&[project, of_3, api, ("GITLAB_TOKEN", "t")], "merge request !3"),
        (&[project, api, ("GITLAB_TOKEN", "t")], "merge_request_event"),
        (&[project, of_3, api, ("CI_JOB_TOKEN", "t")], "CI_JOB_TOKEN may not write notes"),
        (&[project, of_3, ("GITLAB_TOKEN", "t")], "CI_API_V4_URL is not set"),
        (&[("CI_PROJECT_ID", "5/../6"), of_3, api, ("GITLAB_TOKEN", "t")], "CI_PROJECT_ID is no number"),
        (&[], "neither GITHUB_REPOSITORY nor CI_PROJECT_ID is set"),
    ];
    for (variables, expected) in cases {
        let said = of_job(variables).map_or_else(|error| error.to_string(), |request| request.to_string());
        assert!(said.contains(expected) && !said.contains("hunter2"), "{variables:?}: {said}");
    }
}

#[test]
fn an_answer_means_what_its_host_documents() {
    let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let reset = (now.as_second() + 40).to_string();
    let past = (now.as_second() - 40).to_string();
    let later = |seconds| Meaning::Later(Some(Duration::from_secs(seconds)));
    let cases: [(u16, &Given, Meaning); 17] = [
        (200, &[], Meaning::Good),
        (201, &[("x-ratelimit-remaining", "0")], Meaning::Good),
        (301, &[], Meaning::Moved),
        (303, &[], Meaning::Refused),
        (307, &[], Meaning::Moved),
        (401, &[("retry-after", "1")], Meaning::Refused),
        (403, &[], Meaning::Refused),
        (403, &[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", &reset)], Meaning::Refused),
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], later(40)),
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &past)], later(0)),
        (403, &[("retry-after", "7")], later(7)),
        (404, &[("retry-after", "7")], Meaning::Refused),
        (422, &[], Meaning::Refused),
        (429, &[("ratelimit-remaining", "0"), ("ratelimit-reset", &reset)], later(40)),
        (429, &[("retry-after", "7"), ("ratelimit-remaining", "0"), ("ratelimit-reset", &reset)], later(7)),
        (429, &[], Meaning::Later(None)),
        (502, &[], Meaning::Later(None)),
    ];
    for (status, given, expected) in cases {
        let mut headers = HeaderMap::new();
        headers.extend(
            given.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())),
        );
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(meaning(status, &headers, now), expected, "{status} {given:?}");
    }
}

#[tokio::test]
async fn there_is_one_comment_of_ours_whoever_else_writes_its_mark() {
    for (host, author) in [(FakeHost::start(), JOB.1), (FakeHost::start(), PROJECT.1)] {
        let request = if author == JOB.1 { at_github(&host, "mco/infrastructure") } else { at_gitlab(&host) };
        host.chatter(150, &format!("{MARK}\nnot by us"));
        assert_eq!(comment(&request, "one").await.unwrap(), Commented::Created);
        host.chatter(3, &format!("{MARK}\nnot by us"));
        assert_eq!(comment(&request, "two").await.unwrap(), Commented::Updated);
        assert_eq!(host.comments_of(author), [format!("{MARK}\ntwo")]);
        assert!(host.comments_of(7).iter().all(|text| text.ends_with("not by us")));
        // One of ours about something else is left as it is.
        let other = "<!-- trueup:plan 1 -->";
        let done = request.comment(other, &format!("{other}\nthree"), Presence::IfThere, Pace::AT_ONCE).await;
        assert_eq!(done.unwrap(), Commented::Left);
        let done = request.comment(other, &format!("{other}\nthree"), Presence::Wanted, Pace::AT_ONCE).await;
        assert_eq!(done.unwrap(), Commented::Created);
        assert_eq!(host.comments_of(author).len(), 2);
    }
}

#[tokio::test]
async fn reading_ends_where_there_are_more_comments_than_a_host_takes() {
    let host = FakeHost::start();
    host.chatter(5_000, "chatter");
    let error = comment(&at_gitlab(&host), "one").await.unwrap_err();
    assert!(matches!(error, HostError::TooMany { .. }), "{error}");
    assert_eq!(host.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_passes_is_tried_again_within_bounds_and_a_lost_answer_makes_no_second_comment() {
    let host = FakeHost::start();
    let request = at_github(&host, "mco/infrastructure");
    host.fail("POST /graphql", "500 Oops", Value::Null);
    host.state.lock().unwrap().loses_an_answer = true;
    assert_eq!(comment(&request, "one").await.unwrap(), Commented::Updated);
    assert_eq!(host.comments_of(JOB.1).len(), 1);
    for _ in 0..3 {
        host.fail("GET /repos", "502 Bad Gateway", json!({"message": "Server Error"}));
    }
    let error = comment(&request, "two").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "GitHub was tried 3 times: it answers 502 Bad Gateway: Server Error\n  hint  run it again later"
    );
    host.fail("PATCH", "403 Forbidden\r\nretry-after: 61", json!({"message": "a secondary rate limit"}));
    let error = comment(&request, "two").await.unwrap_err().to_string();
    assert!(error.contains("tried 1 times") && error.contains("asks for a rest of 61 s"), "{error}");
}

#[tokio::test]
async fn a_renamed_repository_is_followed_at_its_host_and_the_token_goes_nowhere_else() {
    let (host, other) = (FakeHost::start(), FakeHost::start());
    let request = at_github(&host, "mco/old");
    assert_eq!(comment(&request, "one").await.unwrap(), Commented::Created);
    // What is written to is where the redirect leads, with its method.
    assert_eq!(comment(&request, "two").await.unwrap(), Commented::Updated);
    assert_eq!(host.comments_of(JOB.1), [format!("{MARK}\ntwo")]);
    host.state.lock().unwrap().moved_to = other.url.clone();
    let error = comment(&request, "three").await.unwrap_err().to_string();
    assert!(error.contains("it redirects to another host, which the token is not sent to"), "{error}");
    assert_eq!(other.state.lock().unwrap().heard, Vec::<String>::new());
    for _ in 0..5 {
        host.fail("POST /graphql", "307 Again\r\nlocation: /graphql", Value::Null);
    }
    let error = comment(&request, "three").await.unwrap_err().to_string();
    assert!(error.contains("it redirects again and again"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_a_line_with_a_hint_and_never_holds_the_token() {
    let host = FakeHost::start();
    let (github, gitlab) = (at_github(&host, "mco/infrastructure"), at_gitlab(&host));
    for (request, calls, status, hint) in [
        (&github, "POST /graphql", "401 Unauthorized", "check GITHUB_TOKEN"),
        (&github, "POST /repos", "403 Forbidden", "permissions: pull-requests: write"),
        (&github, "GET /repos", "404 Not Found", "does not reach this repository"),
        (&github, "POST /repos", "410 Gone", "does not reach this repository"),
        (&github, "POST /repos", "422 Unprocessable Entity", "the plan is printed all the same"),
        (&gitlab, "GET /api/v4/user", "401 Unauthorized", "CI_JOB_TOKEN may not write notes"),
        (&gitlab, "POST /api", "403 Forbidden", "the scope `api`"),
        (&gitlab, "GET /api/v4/projects", "404 Not Found", "no such merge request"),
    ] {
        let echoed = format!("no {} and {}\n\u{1b}[2J{}", JOB.0, PROJECT.0, "x".repeat(500));
        host.fail(calls, status, json!({"message": echoed}));
        let error = comment(request, "one").await.unwrap_err().to_string();
        let own = if request.repository.host.name() == "GitHub" { JOB.0 } else { PROJECT.0 };
        assert!(error.contains(&format!("it answers {status}: no ")) && error.contains(hint), "{error}");
        assert!(!error.contains(own) && !error.contains('\u{1b}'), "{error}");
        assert!(error.lines().count() == 2 && error.len() < 600, "{error}");
    }
    for said in [json!({}), json!([]), json!("x"), Value::Null] {
        host.fail("POST /graphql", "200 OK", said);
        let error = comment(&github, "one").await.unwrap_err().to_string();
        assert!(error.contains("its answer names no user"), "{error}");
    }
    host.fail("GET /repos", "200 OK", json!({"message": "hello"}));
    let error = comment(&github, "one").await.unwrap_err().to_string();
    assert!(error.contains("its answer names no comments"), "{error}");
    assert_eq!(host.comments_of(JOB.1), Vec::<String>::new());
}

const COMMIT: &str = "8c1f0aa8c1f0aa8c1f0aa8c1f0aa8c1f0aa8c1f0";

fn hosted(host: &FakeHost, kind: Kind, path: &str, access: Access) -> HostedRepository {
    let api = if kind == Kind::GitHub { host.url.clone() } else { format!("{}/api/v4", host.url) };
    let settings = HostSettings { kind: Some(kind), api: Some(WebAddress::parse(&api).unwrap()) };
    HostedRepository::at(&format!("https://git.example.com/{path}"), &settings, Some(access), &|_| None)
        .unwrap()
}

fn by_token(host: &FakeHost, kind: Kind) -> HostedRepository {
    let token = if kind == Kind::GitHub { JOB.0 } else { PROJECT.0 };
    hosted(host, kind, "mco/infrastructure", Access::Token(Secret::Given(token.to_owned())))
}

async fn report(repository: &HostedRepository, state: State, text: &str) -> Result<(), Trouble> {
    let comment = |there: Option<&str>| {
        let before = there.and_then(|there| there.strip_prefix(MARK)).unwrap_or_default();
        format!("{MARK}{before} {text}")
    };
    let description = "x".repeat(300);
    let report = Report {
        commit: COMMIT,
        context: "trueup/test/api",
        state,
        description: &description,
        page: Some("https://example.com/page"),
        mark: MARK,
        comment: &comment,
    };
    repository.report(&report).await
}

fn merged(host: &FakeHost) {
    let (branch, base) = ("b".to_owned(), "main".to_owned());
    let request = Request {
        of: 1,
        branch,
        base,
        title: String::new(),
        text: String::new(),
        is_open: false,
        merged: Some(COMMIT.to_owned()),
    };
    let open = Request { is_open: true, merged: None, ..request.clone() };
    host.state.lock().unwrap().requests.extend([open, request]);
}

#[tokio::test]
async fn a_commit_gets_a_status_and_its_merged_request_one_comment() {
    for (kind, author, states) in
        [(Kind::GitHub, JOB.1, ["pending", "success"]), (Kind::GitLab, PROJECT.1, ["running", "success"])]
    {
        let host = FakeHost::start();
        let repository = by_token(&host, kind);
        // Pushed without a request: no comment.
        assert_eq!(report(&repository, State::Pending, "one").await, Ok(()));
        assert_eq!(host.comments_of(author), Vec::<String>::new());
        merged(&host);
        // The same twice is as once.
        assert_eq!(report(&repository, State::Pending, "one").await, Ok(()));
        assert_eq!(report(&repository, State::Success, "two").await, Ok(()));
        assert_eq!(host.comments_of(author), [format!("{MARK} one two")]);
        let statuses = host.state.lock().unwrap().statuses.clone();
        let mut told: Vec<&str> = statuses.iter().map(|(_, one)| one["state"].as_str().unwrap()).collect();
        told.dedup();
        assert_eq!(told, states);
        assert!(statuses.iter().all(|(commit, one)| commit == COMMIT && one["target_url"].is_string()));
        let writes = host.writes();
        assert!(
            writes.iter().all(|call| !call.contains("/1/comments") && !call.contains("/1/notes ")),
            "{writes:?}"
        );
    }
}

#[tokio::test]
async fn what_a_host_says_against_a_report_is_a_line_without_the_token() {
    let host = FakeHost::start();
    merged(&host);
    let (github, gitlab) = (by_token(&host, Kind::GitHub), by_token(&host, Kind::GitLab));
    for (repository, calls, status, expected) in [
        (&github, "POST /repos", "401 Unauthorized", "it may have expired"),
        (&github, "POST /repos", "403 Forbidden", "needs to write commit statuses"),
        (&github, "POST /repos", "404 Not Found", "does not reach the repository"),
        (&github, "POST /repos", "422 Unprocessable Entity", "1,000 statuses"),
        (&github, "GET /repos", "404 Not Found", "the status is set, and the comment is not: it answers 404"),
        (&gitlab, "POST /api", "403 Forbidden", "the role Developer"),
        (&gitlab, "POST /api", "400 Bad Request", "it answers 400 Bad Request"),
    ] {
        host.fail(calls, status, json!({"message": format!("no {} {}\n\u{1b}[2J", JOB.0, PROJECT.0)}));
        let Err(Trouble::Refused(why)) = report(repository, State::Failure, "one").await else {
            panic!("{status}")
        };
        let own = if repository.host.name() == "GitHub" { JOB.0 } else { PROJECT.0 };
        assert!(why.contains(expected) && !why.contains(own) && why.lines().count() == 1, "{why}");
    }
    for (status, rest) in [("503 Busy\r\nretry-after: 7", Some(7)), ("429 Slow", None), ("502 Bad", None)] {
        host.fail("POST /repos", status, Value::Null);
        let Err(Trouble::Later { asked, .. }) = report(&github, State::Failure, "one").await else {
            panic!("{status}")
        };
        assert_eq!(asked, rest.map(Duration::from_secs));
    }
    for nonsense in [json!({}), json!("x"), Value::Null] {
        host.fail("GET /repos/mco/infrastructure/commits", "200 OK", nonsense);
        let Err(Trouble::Refused(why)) = report(&github, State::Failure, "one").await else { panic!() };
        assert!(why.contains("its answer names no pull requests"), "{why}");
    }
    // A locked conversation: the status is there all the same.
    host.state.lock().unwrap().is_locked = true;
    let before = host.state.lock().unwrap().statuses.len();
    let Err(Trouble::Refused(why)) = report(&github, State::Success, "one").await else { panic!() };
    assert!(why.contains("the comment is not: ") && why.contains("issue is locked"), "{why}");
    assert_eq!(host.state.lock().unwrap().statuses.len(), before + 1);
    // A repository that moved.
    host.state.lock().unwrap().is_locked = false;
    let token = || Access::Token(Secret::Given(JOB.0.to_owned()));
    let moved = hosted(&host, Kind::GitHub, "mco/old", token());
    assert_eq!(report(&moved, State::Success, "one").await, Ok(()));
    host.state.lock().unwrap().moved_to = "http://127.0.0.1:1".to_owned();
    let Err(Trouble::Refused(why)) = report(&moved, State::Success, "one").await else { panic!() };
    assert!(why.contains("another host, which the token is not sent to"), "{why}");
    let gone =
        hosted(&FakeHost { url: "http://127.0.0.1:1".to_owned(), ..host }, Kind::GitHub, "mco/x", token());
    assert!(matches!(report(&gone, State::Success, "one").await, Err(Trouble::Later { .. })));
}

#[tokio::test]
async fn an_app_signs_who_it_is_and_uses_a_token_of_an_hour() {
    let host = FakeHost::start();
    let app = |key: &str| Access::App {
        id: "Iv23x".to_owned(),
        installation: None,
        key: Secret::Given(key.to_owned()),
    };
    let repository = hosted(&host, Kind::GitHub, "mco/infrastructure", app(&super::app::tests::pem()));
    for _ in 0..2 {
        assert_eq!(report(&repository, State::Success, "one").await, Ok(()));
    }
    let heard = host.state.lock().unwrap().heard.clone();
    let asked = |call: &str| heard.iter().filter(|heard| heard.contains(call)).count();
    assert_eq!((asked("/installation"), asked("access_tokens"), asked("/statuses/")), (2, 1, 2), "{heard:?}");
    let wrong = hosted(&host, Kind::GitHub, "mco/infrastructure", app("hunter2"));
    let Err(Trouble::Refused(why)) = report(&wrong, State::Success, "one").await else { panic!() };
    assert!(why.starts_with("the private key is not one of RSA in PEM") && !why.contains("hunter2"), "{why}");
    let elsewhere = hosted(&host, Kind::GitHub, "mco/other", app(&super::app::tests::pem()));
    let Err(Trouble::Refused(why)) = report(&elsewhere, State::Success, "one").await else { panic!() };
    assert!(why.contains("it answers 404 Not Found"), "{why}");
}
