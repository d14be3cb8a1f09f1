//! GitHub and GitLab over HTTP on loopback, as far as comments and pull requests go: the documented paths, answers and refusals. The
//! tests of `src/git_host` use it too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The tokens that are known, and whose they are.
pub const JOB: (&str, u64) = ("ghs_hunter2", 41_898_282);
pub const PROJECT: (&str, u64) = ("glpat-hunter2", 99);
/// As GitHub counts them.
const MOST_CHARACTERS: usize = 65_536;

pub struct FakeHost {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

/// A pull request, or a merge request. Its number is its place, from 1 on.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where its branch is: 1 is the repository itself, another one a fork.
    pub of: u64,
    pub branch: String,
    pub base: String,
    pub title: String,
    pub text: String,
    pub is_open: bool,
    /// The commit that it was merged as.
    pub merged: Option<String>,
}

#[derive(Default)]
pub struct State {
    pub requests: Vec<Request>,
    /// Of which commit, and what was posted.
    pub statuses: Vec<(String, Value)>,
    /// A locked conversation takes no new comment.
    pub is_locked: bool,
    /// Where the branches are.
    pub repository: Option<PathBuf>,
    /// Id, author and text, in the order in which they were made.
    pub comments: Vec<(u64, u64, String)>,
    /// Method and path of each call.
    pub heard: Vec<String>,
    /// Answers to the next calls that begin so: the status with headers, and the body.
    pub faults: Vec<(&'static str, String, Value)>,
    /// Where what is asked of `mco/old` is now.
    pub moved_to: String,
    /// The next write is made, and its answer does not arrive.
    pub loses_an_answer: bool,
}

impl FakeHost {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State { moved_to: url.clone(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let kept = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &kept);
            }
        });
        Self { url, state }
    }

    pub fn fail(&self, calls: &'static str, status: &str, body: Value) {
        self.state.lock().unwrap().faults.push((calls, status.to_owned(), body));
    }

    /// So many comments of others, who know our mark.
    pub fn chatter(&self, count: u64, text: &str) {
        let mut state = self.state.lock().unwrap();
        for _ in 0..count {
            let id = state.comments.len() as u64 + 1;
            state.comments.push((id, 7, text.to_owned()));
        }
    }

    /// The texts of one author.
    pub fn comments_of(&self, author: u64) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.comments.iter().filter(|one| one.1 == author).map(|one| one.2.clone()).collect()
    }

    /// Calls that change something.
    pub fn writes(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let writes = state.heard.iter().filter(|call| !call.starts_with("GET") && !call.contains("graphql"));
        writes.cloned().collect()
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or_default() == 0 {
            return;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let call = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let token = header("authorization").map(|value| value.replace("Bearer ", ""));
    let token = token.or_else(|| header("private-token"));
    let (status, said) = state.lock().unwrap().answer(&call, token.as_deref(), &body);
    let text = said.to_string();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
}

impl State {
    fn answer(&mut self, call: &str, token: Option<&str>, body: &Value) -> (String, Value) {
        self.heard.push(call.to_owned());
        let plain = |status: &str, said: Value| (status.to_owned(), said);
        if let Some(place) = self.faults.iter().position(|(calls, ..)| call.starts_with(calls)) {
            let (_, status, said) = self.faults.remove(place);
            return (status, said);
        }
        let author = [JOB, PROJECT].into_iter().find(|(known, _)| Some(*known) == token);
        if token.is_some_and(|token| token.starts_with("ey") && token.split('.').count() == 3) {
            return answer_to_app(call);
        }
        let Some((_, author)) = author else {
            return plain("401 Unauthorized", json!({"message": "Bad credentials"}));
        };
        let (method, path) = call.split_once(' ').unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if let Some(rest) = path.strip_prefix("/repos/mco/old") {
            let to = format!("{}/repositories/1{rest}?{query}", self.moved_to);
            return (
                format!("301 Moved Permanently\r\nlocation: {to}"),
                json!({"message": "Moved Permanently"}),
            );
        }
        let path = path.replace("/repos/mco/infrastructure", "/repositories/1");
        let path = path.replace("/projects/mco%2Finfrastructure", "/projects/5");
        match (method, path.as_str()) {
            ("POST", "/graphql" | "/api/graphql") => {
                plain("200 OK", json!({"data": {"viewer": {"databaseId": author}}}))
            }
            ("GET", "/user") => {
                plain("403 Forbidden", json!({"message": "Resource not accessible by integration"}))
            }
            ("GET", "/api/v4/user") => plain("200 OK", json!({"id": author, "username": "project_5_bot"})),
            ("GET", path) if is_of_comments(path) => plain("200 OK", self.page(query)),
            ("POST", path) if is_of_comments(path) && self.is_locked => plain(
                "403 Forbidden",
                json!({"message": "Unable to create comment because issue is locked."}),
            ),
            ("POST", path) if is_of_comments(path) => self.write(None, author, body),
            ("POST", path) if path.contains("/statuses/") => self.note(path, body),
            ("GET", path) if path.contains("/commits/") => self.merged(path),
            ("GET", "/repositories/1") => plain(
                "200 OK",
                json!({"id": 1, "full_name": "mco/infrastructure", "owner": {"login": "mco"}}),
            ),
            ("GET", "/api/v4/projects/5") => {
                plain("200 OK", json!({"id": 5, "path_with_namespace": "mco/infrastructure"}))
            }
            ("GET", "/repositories/1/pulls") => plain("200 OK", self.listed(query, "head", "base", "mco:")),
            ("GET", "/api/v4/projects/5/merge_requests") => {
                plain("200 OK", self.listed(query, "source_branch", "target_branch", ""))
            }
            ("POST", "/repositories/1/pulls") => {
                self.open(["head", "base", "title", "body"].map(|key| body[key].as_str()))
            }
            ("POST", "/api/v4/projects/5/merge_requests") => {
                let keys = ["source_branch", "target_branch", "title", "description"];
                self.open(keys.map(|key| body[key].as_str()))
            }
            ("PATCH" | "PUT", path) => match path.rsplit_once('/') {
                Some(("/repositories/1/pulls" | "/api/v4/projects/5/merge_requests", number)) => {
                    self.edit(number.parse().unwrap_or(0), body)
                }
                Some((comments, id))
                    if comments == "/repositories/1/issues/comments" || is_of_comments(comments) =>
                {
                    self.write(id.parse().ok(), author, body)
                }
                _ => plain("404 Not Found", json!({"message": "Not Found"})),
            },
            _ => plain("404 Not Found", json!({"message": "Not Found"})),
        }
    }

    /// The open ones of a branch, by the host's own names for it.
    fn listed(&self, query: &str, head: &str, base: &str, owner: &str) -> Value {
        let value = |name: &str| {
            let given = query.split('&').find_map(|one| one.strip_prefix(&format!("{name}=")))?;
            Some(given.replace("%2F", "/").replace("%3A", ":"))
        };
        let is_asked_for = |one: &Request| {
            value(head).is_none_or(|head| head == format!("{owner}{}", one.branch))
                && value(base).is_none_or(|base| base == one.base)
                && one.is_open
        };
        let numbered = (1..).zip(&self.requests).filter(|(_, one)| is_asked_for(one));
        numbered.map(|(number, one)| shown(number, one)).collect()
    }

    fn open(&mut self, given: [Option<&str>; 4]) -> (String, Value) {
        let [Some(branch), Some(base), Some(title), Some(text)] = given else {
            return ("422 Unprocessable Entity".to_owned(), json!({"message": "Validation Failed"}));
        };
        let is_there =
            |one: &&Request| one.of == 1 && one.is_open && one.branch == branch && one.base == base;
        let why = if self.requests.iter().any(|one| is_there(&one)) {
            Some(format!("A pull request already exists for mco:{branch}."))
        } else if text.encode_utf16().count() > MOST_CHARACTERS {
            Some("body is too long (maximum is 65536 characters)".to_owned())
        } else {
            self.repository.as_deref().and_then(|repository| cannot_be_merged(repository, branch, base))
        };
        if let Some(why) = why {
            let said =
                json!({"message": "Validation Failed", "errors": [{"code": "custom", "message": why}]});
            return ("422 Unprocessable Entity".to_owned(), said);
        }
        let [branch, base, title, text] = [branch, base, title, text].map(str::to_owned);
        self.requests.push(Request { of: 1, branch, base, title, text, is_open: true, merged: None });
        if std::mem::take(&mut self.loses_an_answer) {
            return ("504 Gateway Timeout".to_owned(), Value::Null);
        }
        let number = self.requests.len();
        ("201 Created".to_owned(), shown(number, &self.requests[number - 1]))
    }

    fn edit(&mut self, number: usize, body: &Value) -> (String, Value) {
        let Some(one) = number.checked_sub(1).and_then(|place| self.requests.get_mut(place)) else {
            return ("404 Not Found".to_owned(), json!({"message": "Not Found"}));
        };
        let text = body["body"].as_str().or_else(|| body["description"].as_str());
        for (into, given) in [(&mut one.title, body["title"].as_str()), (&mut one.text, text)] {
            if let Some(given) = given {
                given.clone_into(into);
            }
        }
        ("200 OK".to_owned(), shown(number, one))
    }

    /// A status, as far as its host takes it.
    fn note(&mut self, path: &str, body: &Value) -> (String, Value) {
        let (before, commit) = path.rsplit_once('/').unwrap();
        let is_github = before.starts_with("/repositories/");
        let (keys, states, most): ([&str; 4], &[&str], usize) = if is_github {
            (
                ["state", "context", "description", "target_url"],
                &["error", "failure", "pending", "success"],
                140,
            )
        } else {
            let states = &["pending", "running", "success", "failed", "canceled", "skipped"];
            (["state", "name", "description", "target_url"], states, 255)
        };
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        let is_valid = body.as_object().is_some_and(|all| all.keys().all(|key| keys.contains(&key.as_str())))
            && states.contains(&text("state"))
            && !text(keys[1]).is_empty()
            && text("description").chars().count() <= most
            && (is_github || text("target_url").len() <= 255)
            && commit.len() == 40;
        if !is_valid {
            return ("422 Unprocessable Entity".to_owned(), json!({"message": "Validation Failed"}));
        }
        let newest =
            self.statuses.iter().rev().find(|(of, one)| of == commit && one[keys[1]] == body[keys[1]]);
        if !is_github && newest.is_some_and(|(_, newest)| newest["state"] == body["state"]) {
            let why = "Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")";
            return ("400 Bad Request".to_owned(), json!({"message": why}));
        }
        self.statuses.push((commit.to_owned(), body.clone()));
        ("201 Created".to_owned(), json!({"id": self.statuses.len()}))
    }

    /// The requests that a commit came by.
    fn merged(&self, path: &str) -> (String, Value) {
        let commit = path.split('/').rev().nth(1).unwrap();
        let numbered = (1..).zip(&self.requests);
        let of = numbered.filter(|(_, one)| one.merged.as_deref() == Some(commit) || one.is_open);
        let shown = of.map(|(number, one)| {
            let mut shown = shown(number, one);
            if one.merged.is_some() {
                (shown["state"], shown["merged_at"]) = (json!("merged"), json!("2026-11-24T12:00:00Z"));
            }
            shown
        });
        ("200 OK".to_owned(), shown.collect())
    }

    fn page(&self, query: &str) -> Value {
        let value = |name: &str| {
            let given = query.split('&').find_map(|one| one.strip_prefix(&format!("{name}=")));
            given.and_then(|value| value.parse().ok())
        };
        let (size, page): (usize, usize) =
            (value("per_page").unwrap_or(30).min(100), value("page").unwrap_or(1));
        let listed = self.comments.iter().skip((page - 1) * size).take(size);
        // Both hosts' forms at once: each reads its own members.
        listed
            .map(|(id, author, text)| {
                json!({"id": id, "user": {"id": author}, "author": {"id": author}, "body": text, "system": false})
            })
            .collect()
    }

    fn write(&mut self, id: Option<u64>, author: u64, body: &Value) -> (String, Value) {
        let text = body["body"].as_str().unwrap_or_default().to_owned();
        if author == JOB.1 && text.chars().count() > MOST_CHARACTERS {
            let errors = json!([{"message": "body is too long (maximum is 65536 characters)"}]);
            let said = json!({"message": "Validation Failed", "errors": errors});
            return ("422 Unprocessable Entity".to_owned(), said);
        }
        if let Some(id) = id {
            let Some(known) = self.comments.iter_mut().find(|one| one.0 == id) else {
                return ("404 Not Found".to_owned(), json!({"message": "Not Found"}));
            };
            known.2 = text;
            return ("200 OK".to_owned(), json!({"id": id}));
        }
        let id = self.comments.len() as u64 + 1;
        self.comments.push((id, author, text));
        if std::mem::take(&mut self.loses_an_answer) {
            return ("504 Gateway Timeout".to_owned(), Value::Null);
        }
        ("201 Created".to_owned(), json!({"id": id}))
    }
}

/// In both hosts' forms at once: each reads its own members.
fn shown(number: usize, one: &Request) -> Value {
    let Request { of, branch, base, title, text, .. } = one;
    let page = format!("https://host.example.com/mco/infrastructure/requests/{number}");
    json!({"number": number, "iid": number, "html_url": page, "web_url": page, "title": title, "body": text,
        "description": text, "state": "open", "head": {"ref": branch, "repo": {"id": of}},
        "base": {"ref": base, "repo": {"id": 1}}, "source_branch": branch, "target_branch": base,
        "source_project_id": of, "target_project_id": 1})
}

/// Why a host takes no request for these branches, in its words.
fn cannot_be_merged(repository: &Path, branch: &str, base: &str) -> Option<String> {
    let range = format!("{base}..{branch}");
    let count =
        Command::new("git").current_dir(repository).args(["rev-list", "--count", &range, "--"]).output();
    match String::from_utf8(count.unwrap().stdout).unwrap().trim() {
        "" => Some("head is invalid".to_owned()),
        "0" => Some(format!("No commits between {base} and {branch}")),
        _ => None,
    }
}

/// Those of all requests are in one list.
fn is_of_comments(path: &str) -> bool {
    let number = path
        .strip_prefix("/repositories/1/issues/")
        .and_then(|rest| rest.strip_suffix("/comments"))
        .or_else(|| path.strip_prefix("/api/v4/projects/5/merge_requests/")?.strip_suffix("/notes"));
    number.is_some_and(|number| number.parse::<u64>().is_ok())
}

/// What an app may ask that has said who it is.
fn answer_to_app(call: &str) -> (String, Value) {
    let ends = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 3600;
    let ends = jiff::Timestamp::from_second(i64::try_from(ends).unwrap()).unwrap();
    match call {
        "GET /repos/mco/infrastructure/installation" => ("200 OK".to_owned(), json!({"id": 12})),
        "POST /app/installations/12/access_tokens" => {
            ("201 Created".to_owned(), json!({"token": JOB.0, "expires_at": ends.to_string()}))
        }
        _ => ("404 Not Found".to_owned(), json!({"message": "Not Found"})),
    }
}
