//! Changes of the infrastructure repository that are proposed in a pull request: a bare repository that is pushed to over HTTP, and
//! a git host beside it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::fake_host::{FakeHost, JOB, PROJECT, Request};
use crate::git_server::{Door, serve_at};
use crate::promote::{run, start};
use crate::rig::Rig;

/// What was said: the code, stdout and stderr.
type Said = (i32, String, String);

struct Proposals {
    rig: Rig,
    host: FakeHost,
    all: tempfile::TempDir,
    /// Of the bare repository.
    url: String,
    kind: &'static str,
}

impl Proposals {
    fn new() -> Self {
        Self::at("github")
    }

    /// A service that runs aaaaaaa, which is declared, and an image of bbbbbbb and one of ccccccc.
    fn at(kind: &'static str) -> Self {
        let rig = Rig::new();
        rig.build("bbbbbbb");
        rig.build("ccccccc");
        let all = tempfile::tempdir().unwrap();
        let from = rig.folder.path().display().to_string();
        run(all.path(), "git", &["clone", "-q", "--bare", &from, "upstream"]);
        let upstream = all.path().join("upstream");
        run(&upstream, "git", &["config", "http.receivepack", "true"]);
        let host = FakeHost::start();
        host.state.lock().unwrap().repository = Some(upstream.clone());
        let url = serve_at(&upstream, Door::default(), "/mco/infrastructure");
        Self { rig, host, all, url, kind }
    }

    fn upstream(&self) -> PathBuf {
        self.all.path().join("upstream")
    }

    fn clone_to(&self, name: &str) -> PathBuf {
        run(self.all.path(), "git", &["clone", "-q", &self.url, name]);
        let folder = self.all.path().join(name);
        run(&folder, "git", &["config", "user.name", "t"]);
        run(&folder, "git", &["config", "user.email", "t@example.com"]);
        folder
    }

    fn command(&self, repository: &str, arguments: &[&str]) -> Command {
        let token = if self.kind == "github" { JOB.0 } else { PROJECT.0 };
        let api =
            if self.kind == "github" { self.host.url.clone() } else { format!("{}/api/v4", self.host.url) };
        let mut command = self.rig.command_on(repository, arguments);
        command.env("PATH", std::env::var("PATH").unwrap());
        command.envs([("TRUEUP_TOKEN", token), ("TRUEUP_GIT_HOST", self.kind), ("TRUEUP_GIT_API", &api)]);
        command
    }

    fn propose(&self, arguments: &[&str]) -> Said {
        self.propose_in(&self.url, arguments)
    }

    fn propose_in(&self, repository: &str, arguments: &[&str]) -> Said {
        said(&mut self.command(repository, &[arguments, &["--pull-request"]].concat()))
    }

    fn promote(&self, commit: &str) -> Said {
        self.propose(&["promote", "test/api", "--commit", commit])
    }

    /// The branches of ours, with their newest commits.
    fn branches(&self) -> Vec<(String, String)> {
        let format = "--format=%(refname:short) %(objectname)";
        let listed = run(&self.upstream(), "git", &["for-each-ref", format, "refs/heads/trueup/"]).stdout;
        let split =
            |line: &str| line.split_once(' ').map(|(name, commit)| (name.to_owned(), commit.to_owned()));
        String::from_utf8(listed).unwrap().lines().filter_map(split).collect()
    }

    fn requests(&self) -> Vec<Request> {
        self.host.state.lock().unwrap().requests.clone()
    }

    fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8(run(&self.upstream(), "git", arguments).stdout).unwrap().trim().to_owned()
    }

    /// As somebody does who merges it on the host's pages.
    fn merge(&self, number: usize) {
        let mut state = self.host.state.lock().unwrap();
        let one = &mut state.requests[number - 1];
        one.is_open = false;
        self.git(&["update-ref", "refs/heads/main", &format!("refs/heads/{}", one.branch)]);
    }
}

#[track_caller]
fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!format!("{out}{err}").contains("hunter2"), "{out}{err}");
    (output.status.code().unwrap(), out, err)
}

fn page(number: usize) -> String {
    format!("https://host.example.com/mco/infrastructure/requests/{number}\n")
}

#[test]
fn a_promotion_is_proposed_with_its_plan_and_a_later_one_takes_its_place() {
    for (kind, title) in [("github", "pull request mco/infrastructure#"), ("gitlab", "merge request !")] {
        let all = Proposals::at(kind);
        let main = all.git(&["rev-parse", "main"]);
        let (code, out, err) = all.promote("bbbbbbb");
        assert_eq!((code, out), (0, page(1)), "{err}");
        assert!(err.contains(&format!("opened {title}1: promote test/api to bbbbbbb\n")), "{err}");
        let [Request { branch, base, title: named, text, .. }] = &all.requests()[..] else { panic!() };
        assert_eq!((base.as_str(), named.as_str()), ("main", "promote test/api to bbbbbbb"));
        assert!(
            text.starts_with("<!-- trueup:plan ") && text.contains("\n**trueup plan** of test/api\n"),
            "{text}"
        );
        assert!(text.contains("| test/api | aaaaaaa | bbbbbbb |  |\n"), "{text}");
        assert!(text.contains("1 of 1 applications change"), "{text}");
        // One commit, with one changed line, and the branch that is followed is as before.
        let [(pushed, tip)] = &all.branches()[..] else { panic!() };
        assert_eq!((pushed, all.git(&["rev-parse", "main"])), (branch, main.clone()));
        assert_eq!(all.git(&["rev-parse", &format!("{tip}^")]), main);
        assert_eq!(
            all.git(&["diff", "--shortstat", "main", tip]),
            "1 file changed, 1 insertion(+), 1 deletion(-)"
        );

        let (code, out, err) = all.promote("bbbbbbb");
        assert_eq!((code, out, &all.branches()[0].1), (0, page(1), tip), "{err}");
        assert!(err.contains(&format!("{title}1 says so already")), "{err}");

        let (code, out, err) = all.promote("ccccccc");
        assert_eq!((code, out), (0, page(1)), "{err}");
        assert!(
            err.contains(&format!("brought {title}1 up to date: promote test/api to ccccccc\n")),
            "{err}"
        );
        let requests = all.requests();
        assert_eq!((requests.len(), requests[0].title.as_str()), (1, "promote test/api to ccccccc"));
        assert!(requests[0].text.contains("| test/api | aaaaaaa | ccccccc |  |\n"), "{}", requests[0].text);
        let [(_, tip)] = &all.branches()[..] else { panic!() };
        assert_eq!(
            all.git(&["rev-parse", &format!("{tip}^")]),
            main,
            "one commit takes the place of the other"
        );

        all.merge(1);
        assert_eq!(all.promote("ccccccc").1, "", "it is declared already");
        let (code, out, err) = all.promote("bbbbbbb");
        assert_eq!((code, out), (0, page(2)), "{err}");
        assert!(all.requests()[1].text.contains("| test/api | ccccccc | bbbbbbb |  |\n"));
    }
}

#[test]
fn what_is_checked_out_stays_as_it_is() {
    let all = Proposals::new();
    let mine = all.clone_to("mine");
    let test = std::fs::read_to_string(mine.join("test.yaml")).unwrap();
    std::fs::write(mine.join("notes"), "not pushed").unwrap();
    run(&mine, "git", &["add", "notes"]);
    run(&mine, "git", &["commit", "-qm", "not pushed"]);
    std::fs::write(mine.join("test.yaml"), format!("{test}# not committed\n")).unwrap();
    let theirs = all.clone_to("theirs");
    std::fs::write(theirs.join("theirs"), "newer").unwrap();
    run(&theirs, "git", &["add", "-A"]);
    run(&theirs, "git", &["commit", "-qm", "newer"]);
    run(&theirs, "git", &["push", "-q", "origin", "HEAD:main"]);
    let before = ["rev-parse HEAD", "status --porcelain", "branch --list"]
        .map(|line| run(&mine, "git", &line.split(' ').collect::<Vec<_>>()).stdout);
    let folder = mine.display().to_string();
    let (code, out, err) = all.propose_in(&folder, &["promote", "test/api", "--commit", "bbbbbbb"]);
    assert_eq!((code, out), (0, page(1)), "{err}");
    let after = ["rev-parse HEAD", "status --porcelain", "branch --list"]
        .map(|line| run(&mine, "git", &line.split(' ').collect::<Vec<_>>()).stdout);
    assert_eq!(before, after);
    let worktrees = String::from_utf8(run(&mine, "git", &["worktree", "list"]).stdout).unwrap();
    assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
    // It is based on what is pushed, not on what is here.
    let [(branch, _)] = &all.branches()[..] else { panic!() };
    assert_eq!(all.git(&["rev-list", "--count", &format!("main..{branch}")]), "1");
    assert_eq!(all.git(&["log", "-1", "--format=%s", &format!("{branch}^")]), "newer");
    // As a runner has it: a commit is checked out, and no branch.
    run(&mine, "git", &["checkout", "-qf", "--detach"]);
    let (code, _, err) = all.propose_in(&folder, &["promote", "test/api", "--commit", "ccccccc"]);
    assert!(code == 1 && err.contains("name the one to merge into with --branch"), "{err}");
    let arguments = ["promote", "test/api", "--commit", "ccccccc", "--branch", "main"];
    let (code, out, err) = all.propose_in(&folder, &arguments);
    assert_eq!((code, out), (0, page(1)), "{err}");
}

#[test]
fn where_the_host_refuses_it_is_said_what_is_done_and_a_second_run_finishes_it() {
    let all = Proposals::new();
    let refused = json!({"message": "GitHub Actions is not permitted to create or approve pull requests."});
    all.host.fail("POST /repos", "403 Forbidden", refused);
    let (code, out, err) = all.promote("bbbbbbb");
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    let [(branch, _)] = &all.branches()[..] else { panic!() };
    let expected = format!(
        "error: the branch {branch} is pushed and has no pull request that says so; run the same command again"
    );
    assert!(err.contains(&expected), "{err}");
    assert!(err.contains("GitHub: it answers 403 Forbidden: GitHub Actions is not permitted"), "{err}");
    assert!(err.contains("Allow GitHub Actions to create and approve pull requests"), "{err}");
    let (code, out, err) = all.promote("bbbbbbb");
    assert_eq!((code, out, all.requests().len()), (0, page(1), 1), "{err}");
}

#[test]
fn what_the_host_does_not_let_in_pushes_nothing() {
    let all = Proposals::new();
    let nothing = |said: Said, expected: &str| {
        let (code, out, err) = said;
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(expected), "{err}");
        assert_eq!((all.branches().len(), all.requests().len()), (0, 0), "{err}");
    };
    for (status, expected) in [
        ("401 Unauthorized", "it answers 401 Unauthorized: no\n  hint  check the token, in TRUEUP_TOKEN"),
        ("404 Not Found", "does not reach this repository"),
        ("403 Forbidden\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 4000000000", "asks for a rest of"),
    ] {
        all.host.fail("GET /repos", status, json!({"message": "no"}));
        nothing(all.promote("bbbbbbb"), expected);
    }
    for nonsense in [json!("x"), json!({"message": "hello"}), Value::Null] {
        all.host.fail("GET /repos/mco/infrastructure/pulls", "200 OK", nonsense);
        nothing(all.promote("bbbbbbb"), "its answer names no pull requests");
    }
    let arguments = ["promote", "test/api", "--commit", "bbbbbbb", "--pull-request"];
    nothing(said(all.command(&all.url, &arguments).env("TRUEUP_GIT_HOST", "")), "may be of any kind");
    nothing(said(all.command(&all.url, &arguments).env("TRUEUP_TOKEN", "")), "there is no token for it");
    let upstream = all.upstream().display().to_string();
    run(all.all.path(), "git", &["clone", "-q", &upstream, "mine"]);
    let mine = all.all.path().join("mine").display().to_string();
    nothing(said(&mut all.command(&mine, &arguments)), "the address of the repository is not one of a host");
    let both = all.propose(&["promote", "test/api", "--commit", "bbbbbbb", "--push"]);
    nothing(both, "cannot be used with");
}

#[cfg(unix)]
#[test]
fn a_push_that_is_refused_changes_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let all = Proposals::new();
    let hook = all.upstream().join("hooks/update");
    std::fs::write(&hook, "#!/bin/sh\necho not allowed >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (code, out, err) = all.promote("bbbbbbb");
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("cannot be pushed; nothing was changed: ") && err.contains("not allowed"), "{err}");
    assert_eq!((all.branches().len(), all.host.writes()), (0, Vec::new()));
}

#[test]
fn what_others_have_made_of_it_is_left_alone() {
    let all = Proposals::new();
    all.promote("bbbbbbb");
    let [(branch, _)] = &all.branches()[..] else { panic!() };
    // A text of theirs.
    "why we need it".clone_into(&mut all.host.state.lock().unwrap().requests[0].text);
    let (code, out, err) = all.promote("ccccccc");
    assert_eq!((code, out), (0, page(1)), "{err}");
    assert!(err.contains("somebody else wrote its text, which stays"), "{err}");
    assert_eq!(all.requests()[0].text, "why we need it");
    assert!(all.git(&["show", &format!("{branch}:test.yaml")]).contains("ccccccc"));
    // A commit of theirs.
    let theirs = all.clone_to("theirs");
    run(&theirs, "git", &["checkout", "-q", branch]);
    std::fs::write(theirs.join("more"), "more").unwrap();
    run(&theirs, "git", &["add", "-A"]);
    run(&theirs, "git", &["commit", "-qm", "more memory"]);
    run(&theirs, "git", &["push", "-q", "origin", branch]);
    let before = all.branches();
    let (code, out, err) = all.promote("bbbbbbb");
    assert_eq!((code, out.as_str(), all.branches()), (1, "", before), "{err}");
    assert!(err.contains("has a commit of somebody else, \"more memory\"; nothing was pushed"), "{err}");
    // A fork with a branch of the same name.
    let all = Proposals::new();
    let mut theirs = Request {
        of: 9,
        branch: branch.clone(),
        base: "main".to_owned(),
        title: "theirs".to_owned(),
        text: String::new(),
        is_open: true,
        merged: None,
    };
    "<!-- trueup:plan".clone_into(&mut theirs.text);
    all.host.state.lock().unwrap().requests.push(theirs);
    let (code, out, err) = all.promote("bbbbbbb");
    assert_eq!((code, out), (0, page(2)), "{err}");
    assert_eq!(all.requests()[0].title, "theirs");
}

#[test]
fn troubles_are_waited_for_and_none_opens_a_second_one() {
    let all = Proposals::new();
    all.host.fail("GET /repos", "503 Service Unavailable\r\nretry-after: 0", Value::Null);
    let limit = json!({"message": "You have exceeded a secondary rate limit"});
    all.host.fail("POST /repos", "403 Forbidden\r\nretry-after: 0", limit);
    all.host.state.lock().unwrap().loses_an_answer = true;
    let (code, out, err) = all.promote("bbbbbbb");
    assert_eq!((code, out, all.requests().len()), (0, page(1), 1), "{err}");
    // Somebody opened it between our look and our call.
    let all = Proposals::new();
    let listing = "GET /repos/mco/infrastructure/pulls";
    all.promote("bbbbbbb");
    all.host.fail(listing, "200 OK", json!([]));
    all.host.fail(listing, "200 OK", json!([]));
    let (code, out, err) = all.promote("ccccccc");
    assert_eq!((code, out, all.requests().len()), (0, page(1), 1), "{err}");
    assert_eq!(all.requests()[0].title, "promote test/api to ccccccc");
}

#[test]
fn what_is_done_to_a_target_has_a_request_of_its_own() {
    let all = Proposals::new();
    let expected = [
        (&["promote", "test/api", "--commit", "bbbbbbb"][..], "promote test/api to bbbbbbb"),
        (&["rollback", "test/api", "--to", "ccccccc", "--force"], "roll back test/api to ccccccc"),
        (&["suspend", "test/api", "--reason", "a migration"], "suspend test/api"),
        (&["suspend", "test", "--reason", "a migration"], "suspend test"),
    ];
    for (number, (arguments, title)) in (1..).zip(expected) {
        let (code, out, err) = all.propose(arguments);
        assert_eq!((code, out), (0, page(number)), "{err}");
        assert_eq!(all.requests()[number - 1].title, title);
    }
    assert_eq!(all.branches().len(), 4);
    let text = &all.requests()[2].text;
    assert!(
        text.contains("\nReason: a migration\n") && text.contains("\nTo suspend test/api again before"),
        "{text}"
    );
    all.merge(3);
    let (code, out, err) = all.propose(&["resume", "test/api"]);
    assert_eq!((code, out), (0, page(5)), "{err}");
    assert_eq!(all.requests()[4].title, "resume test/api");
}

#[test]
fn a_way_back_is_found_out_and_proposed() {
    let all = Proposals::new();
    all.rig.declare("bbbbbbb");
    run(all.rig.folder.path(), "git", &["push", "-q", &all.url, "main"]);
    all.rig.expect(&["reconcile"], 0);
    let (code, out, err) = all.propose(&["rollback", "test/api"]);
    assert_eq!((code, out), (0, page(1)), "{err}");
    let requests = all.requests();
    assert_eq!(requests[0].title, "roll back test/api to aaaaaaa");
    assert!(requests[0].text.contains("| test/api | bbbbbbb | aaaaaaa |  |\n"), "{}", requests[0].text);
}

#[test]
fn without_aws_it_is_proposed_and_says_that_there_is_no_plan() {
    let all = Proposals::new();
    let mut command =
        all.command(&all.url, &["promote", "test/api", "--commit", "bbbbbbb", "--pull-request"]);
    let (code, out, err) = said(command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1"));
    assert_eq!((code, out), (0, page(1)), "{err}");
    let text = &all.requests()[0].text;
    assert!(
        text.contains("| test/api | aaaaaaa | bbbbbbb |  |\n") && text.contains("AWS could not be reached"),
        "{text}"
    );
}

#[test]
fn a_repository_that_was_renamed_is_followed() {
    let all = Proposals::new();
    let url = serve_at(&all.upstream(), Door::default(), "/mco/old");
    let (code, out, err) = all.propose_in(&url, &["promote", "test/api", "--commit", "bbbbbbb"]);
    assert_eq!((code, out), (0, page(1)), "{err}");
    assert_eq!(start(&all.upstream(), "git", &["rev-parse", "trueup"]).status.code(), Some(128));
}
