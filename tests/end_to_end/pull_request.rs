//! What a change of the infrastructure repository would do, before it is merged.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::fake_host::{FakeHost, JOB, PROJECT};
use crate::git_server::{Door, serve};
use crate::rig::Rig;

/// A branch that promotes `test/api` to bbbbbbb, off a main that has gone on since.
fn proposed() -> Rig {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    let staging = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: staging}\nspec: {cluster: mco, applications: {api: {commit: aaaaaaa}}}\n";
    rig.write("staging.yaml", staging);
    rig.commit("staging");
    rig.git(&["checkout", "-qb", "proposal"]);
    rig.replace("test.yaml", "aaaaaaa", "bbbbbbb");
    rig.git(&["checkout", "-q", "main"]);
    rig.write("staging.yaml", &staging.replace("aaaaaaa", "bbbbbbb"));
    rig.commit("main goes on");
    rig.git(&["checkout", "-q", "proposal"]);
    rig
}

#[test]
fn only_what_a_branch_touches_is_planned_with_what_was_declared_before() {
    let rig = proposed();
    let plan: Value =
        serde_json::from_str(&rig.expect(&["plan", "--base", "main", "-o", "json"], 2)).unwrap();
    assert_eq!(plan["base"]["ref"], "main");
    let expected = json!([{"environment": "test", "application": "api", "before": {"commit": "aaaaaaa"},
        "after": {"commit": "bbbbbbb"}, "differences": []}]);
    assert_eq!(plan["changes"], expected);
    let planned: Vec<&Value> = plan["plans"].as_array().unwrap().iter().collect();
    assert_eq!((planned.len(), &planned[0]["environment"]), (1, &json!("test")));
    let text = rig.expect(&["plan", "--base", "main"], 2);
    assert!(
        text.contains("\"staging\" of main: 1 changed, 1 as before\n~ test/api   aaaaaaa -> bbbbbbb\n"),
        "{text}"
    );
    assert!(text.contains("1 of 1 applications change") && !text.contains("staging/api"), "{text}");
    let markdown = rig.expect(&["plan", "--base", "main", "-o", "markdown"], 2);
    assert!(markdown.contains("| test/api | aaaaaaa | bbbbbbb |  |\n"), "{markdown}");
    assert!(
        markdown.contains("1 of 1 applications change") && !markdown.contains("staging/api"),
        "{markdown}"
    );
}

#[test]
fn a_shared_file_touches_all_that_use_it_and_what_is_removed_is_told() {
    let rig = proposed();
    rig.replace("api.yaml", "  service", "  policy: {drift: heal}\n  service");
    rig.git(&["rm", "-q", "staging.yaml"]);
    rig.commit("staging is no more");
    let text = rig.expect(&["plan", "--base", "main"], 2);
    assert!(text.contains(": 1 changed, 1 removed\n"), "{text}");
    assert!(text.contains("- staging/api   removed, was aaaaaaa; what runs stays as it is\n"), "{text}");
    assert!(text.contains("~ test/api   aaaaaaa -> bbbbbbb\n    ~ policy.drift  alert -> heal\n"), "{text}");
    rig.git(&["checkout", "-q", "main"]);
    // Uncommitted changes count as well.
    let api = crate::rig::APPLICATION.replace("  service", "  policy: {drift: heal}\n  service");
    rig.write("api.yaml", &api);
    let text = rig.trueup(&["plan", "--base", "HEAD"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains(": 2 changed\n") && text.contains("~ staging/api   bbbbbbb, declared in another way"),
        "{text}"
    );
}

#[test]
fn a_change_that_touches_nothing_says_so_and_asks_aws_nothing() {
    let rig = proposed();
    rig.git(&["checkout", "-q", "main"]);
    rig.write(
        "test.yaml",
        &std::fs::read_to_string(rig.folder.path().join("test.yaml"))
            .unwrap()
            .replace("spec:", "# why\nspec:"),
    );
    let before = rig.world.lock().unwrap().calls("DescribeServices");
    let text = rig.expect(&["plan", "--base", "proposal~0", "-o", "text"], 1);
    assert_eq!(text, "");
    let text = rig.expect(&["plan", "--base", "HEAD"], 0);
    assert!(
        text.trim_end().ends_with("\"main goes on\" of HEAD: nothing is declared in another way"),
        "{text}"
    );
    let data: Value =
        serde_json::from_str(&rig.expect(&["plan", "--base", "HEAD", "-o", "json"], 0)).unwrap();
    assert_eq!((&data["changes"], &data["plans"]), (&json!([]), &json!([])));
    assert_eq!(rig.world.lock().unwrap().calls("DescribeServices"), before);
}

#[test]
fn a_base_that_is_not_here_is_told_with_how_it_comes_here() {
    let rig = proposed();
    let said = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let text = said(&mut rig.command(&["plan", "--base", "mian\u{1b}[2J"]));
    assert!(
        text.contains("cannot compare with mian\\u{1b}[2J: the repository has no branch, tag or commit"),
        "{text}"
    );
    assert!(text.contains("  hint  git branch --all"), "{text}");
    let remote = format!("file://{}", rig.folder.path().display());
    let elsewhere = serve(&rig.folder.path().join(".git"), Door::default());
    let text = said(&mut rig.command_on(&elsewhere, &["plan", "--base", "main"]));
    assert!(text.contains("--base needs a clone"), "{text}");
    // As a runner has it: one branch, and one commit of it.
    let clone = tempfile::tempdir().unwrap();
    let clone_of = ["clone", "-q", "--depth=1", "--branch", "proposal", &remote, "clone"];
    let done = std::process::Command::new("git").current_dir(clone.path()).args(clone_of).status().unwrap();
    assert!(done.success());
    let clone = clone.path().join("clone");
    let text = said(&mut rig.command_on(&clone, &["plan", "--base", "main"]));
    assert!(text.contains("  hint  this clone is shallow: git fetch --unshallow origin; with actions/checkout `fetch-depth: 0`"), "{text}");
    // The tip of main is here, and nothing between the two.
    let fetch = ["fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main"];
    let done = std::process::Command::new("git").current_dir(&clone).args(fetch).status().unwrap();
    assert!(done.success());
    let text = said(&mut rig.command_on(&clone, &["plan", "--base", "main"]));
    assert!(text.contains("the two have no commit in common\n  hint  this clone is shallow"), "{text}");
}

#[test]
fn what_is_broken_elsewhere_does_not_fail_the_plan_of_a_change() {
    let rig = proposed();
    rig.git(&["checkout", "-q", "main"]);
    rig.replace("staging.yaml", "{commit: bbbbbbb}", "{comit: bbbbbbb}");
    rig.git(&["checkout", "-q", "proposal"]);
    rig.git(&["-c", "user.name=t", "-c", "user.email=t@example.com", "rebase", "-q", "main"]);
    rig.expect(&["plan", "--base", "main"], 2);
    rig.expect(&["plan"], 1);
    rig.replace("test.yaml", "commit: bbbbbbb", "comit: bbbbbbb");
    let text = rig.expect(&["plan", "--base", "main"], 1);
    assert!(text.contains("~ test/api   aaaaaaa -> its files have errors"), "{text}");
}

/// What a job said: its code, stdout and stderr. Whatever comes of it, no token is in them.
fn job(rig: &Rig, host: &FakeHost, arguments: &[&str]) -> (i32, String, String) {
    let variables = [
        ("GITHUB_REPOSITORY", "mco/infrastructure"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_API_URL", &host.url),
        ("GITHUB_TOKEN", JOB.0),
    ];
    job_with(rig, &variables, arguments)
}

fn job_with(rig: &Rig, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let mut command = rig.command(&["plan", "--base", "main", "--comment"]);
    let output = command.args(arguments).envs(variables.iter().copied()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!format!("{out}{err}").contains("hunter2"), "{out}{err}");
    (output.status.code().unwrap(), out, err)
}

#[test]
fn a_pull_request_has_one_comment_that_is_kept_up_to_date() {
    let (rig, host) = (proposed(), FakeHost::start());
    let (code, out, err) = job(&rig, &host, &["-o", "markdown"]);
    assert_eq!((code, err.contains("commented on pull request mco/infrastructure#7\n")), (2, true), "{err}");
    let comments = host.comments_of(JOB.1);
    assert!(
        comments[0].starts_with("<!-- trueup:plan ") && comments[0].ends_with(&out),
        "{comments:?}\n{out}"
    );
    assert!(comments[0].contains("| test/api | aaaaaaa | bbbbbbb |  |\n"), "{comments:?}");
    let mark = comments[0].lines().next().unwrap().to_owned();
    host.chatter(1, &format!("{mark}\na reader repeats it"));
    rig.replace("test.yaml", "steady: 0s", "steady: 0s, drift: heal");
    let (code, _, err) = job(&rig, &host, &[]);
    assert_eq!((code, err.contains("brought the comment on pull request")), (2, true), "{err}");
    let comments = host.comments_of(JOB.1);
    assert!(comments.len() == 1 && comments[0].contains("policy.drift"), "{comments:?}");
    // Another job, about other targets, has another comment.
    let (code, ..) = job(&rig, &host, &["test/*"]);
    let comments = host.comments_of(JOB.1);
    assert_eq!((code, comments.len()), (2, 2));
    assert!(
        !comments[1].starts_with(&mark) && comments[1].contains("**trueup plan** of test/&#42;\n"),
        "{comments:?}"
    );
}

#[test]
fn a_merge_request_has_one_note_that_is_kept_up_to_date() {
    let (rig, host) = (proposed(), FakeHost::start());
    let token = rig.folder.path().join("../token-of-a-test");
    let token = tempfile::NamedTempFile::new_in(token.parent().unwrap()).unwrap();
    std::fs::write(token.path(), format!("{}\n", PROJECT.0)).unwrap();
    let api = format!("{}/api/v4", host.url);
    let variables = [
        ("CI_PROJECT_ID", "5"),
        ("CI_MERGE_REQUEST_IID", "3"),
        ("CI_API_V4_URL", api.as_str()),
        ("GITLAB_TOKEN_FILE", token.path().to_str().unwrap()),
    ];
    for expected in ["commented on merge request !3", "brought the comment on merge request !3 up to date"] {
        let (code, _, err) = job_with(&rig, &variables, &[]);
        assert_eq!((code, err.contains(expected)), (2, true), "{err}");
    }
    assert_eq!(host.comments_of(PROJECT.1).len(), 1);
    assert_eq!(
        host.writes(),
        ["POST /api/v4/projects/5/merge_requests/3/notes", "PUT /api/v4/projects/5/merge_requests/3/notes/1"]
    );
}

#[test]
fn a_change_that_touches_nothing_makes_no_comment_and_mends_the_one_that_is_there() {
    let (rig, host) = (proposed(), FakeHost::start());
    job(&rig, &host, &[]);
    rig.replace("test.yaml", "bbbbbbb", "aaaaaaa");
    let (code, ..) = job(&rig, &host, &[]);
    assert_eq!(code, 0);
    let comments = host.comments_of(JOB.1);
    assert!(
        comments.len() == 1 && comments[0].contains("nothing is declared in another way"),
        "{comments:?}"
    );
    let host = FakeHost::start();
    let (code, _, err) = job(&rig, &host, &[]);
    assert_eq!((code, err.contains("no comment on pull request")), (0, true), "{err}");
    assert_eq!(host.writes(), Vec::<String>::new());
}

#[test]
fn limits_and_troubles_of_a_host_are_waited_for() {
    let (rig, host) = (proposed(), FakeHost::start());
    host.fail("POST /graphql", "503 Service Unavailable\r\nretry-after: 0", Value::Null);
    host.fail(
        "GET /repos",
        "403 Forbidden\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1700000000",
        json!({"message": "API rate limit exceeded"}),
    );
    host.fail(
        "POST /repos",
        "429 Too Many Requests\r\nretry-after: 0",
        json!({"message": "You have exceeded a secondary rate limit"}),
    );
    let (code, _, err) = job(&rig, &host, &[]);
    assert_eq!((code, host.comments_of(JOB.1).len()), (2, 1), "{err}");
}

#[test]
fn where_no_comment_can_be_written_the_plan_is_printed_and_the_job_fails_with_a_hint() {
    let (rig, host) = (proposed(), FakeHost::start());
    let refused = json!({"message": "Resource not accessible by integration"});
    host.fail("POST /repos", "403 Forbidden", refused);
    let (code, out, err) = job(&rig, &host, &[]);
    assert!(out.contains("1 of 1 applications change"), "{out}");
    let expected = "error: there is no comment: GitHub: it answers 403 Forbidden: Resource not accessible by integration\n  hint  the job needs `permissions: pull-requests: write`, which a fork is not given;";
    assert!(code == 1 && err.contains(expected), "{err}");
    host.fail(
        "GET /repos",
        "403 Forbidden\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 4000000000",
        json!({"message": "API rate limit exceeded"}),
    );
    let (code, _, err) = job(&rig, &host, &[]);
    assert!(code == 1 && err.contains("GitHub was tried 1 times: it answers 403 Forbidden: API rate limit exceeded, and asks for a rest of "), "{err}");
    let wrong = [
        ("GITHUB_REPOSITORY", "mco/infrastructure"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_API_URL", host.url.as_str()),
        ("GITHUB_TOKEN", "not-hunter"),
    ];
    let (code, _, err) = job_with(&rig, &wrong, &[]);
    assert!(
        code == 1 && err.contains("it answers 401 Unauthorized: Bad credentials\n  hint  check GITHUB_TOKEN"),
        "{err}"
    );
    let (code, out, err) = job_with(&rig, &[], &["-o", "json"]);
    assert!(code == 1 && err.contains("no pull request is known here") && out.contains("\"plans\""), "{err}");
    assert_eq!(host.comments_of(JOB.1), Vec::<String>::new());
}

#[test]
fn a_plan_that_is_too_long_for_a_comment_is_cut_where_it_can_be_and_says_so() {
    let (rig, host) = (proposed(), FakeHost::start());
    let tags: Vec<String> = (0..30).map(|number| format!("t{number:02}: \"{}\"", "x".repeat(200))).collect();
    let (mut applications, mut entries) = (String::new(), String::new());
    for number in 0..20 {
        let named = crate::rig::APPLICATION.replace("name: api", &format!("name: api-{number:02}"));
        let named = named.replace("mco-api-", &format!("mco-api-{number:02}-"));
        let _ = write!(applications, "---\n{named}  tags: {{{}}}\n", tags.join(", "));
        let _ = writeln!(entries, "    api-{number:02}: {{commit: aaaaaaa}}");
    }
    rig.write("others.yaml", &applications.replace(", t", ", u"));
    let text = std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap();
    rig.write("test.yaml", &format!("{text}{entries}"));
    rig.commit("many");
    rig.git(&["branch", "-f", "main"]);
    rig.write("others.yaml", &applications);
    let (_, out, err) = job(&rig, &host, &["-o", "markdown"]);
    assert!(out.chars().count() > 100_000, "{out} {err}");
    let comments = host.comments_of(JOB.1);
    assert_eq!(comments.len(), 1, "{err}");
    assert!(
        comments[0].contains("**This comment is not complete:** a comment may have 65536 characters, and "),
        "{comments:?}"
    );
    assert_eq!(comments[0].matches("<details>").count(), comments[0].matches("</details>").count());
    assert!(comments[0].contains("| test/api-19 | aaaaaaa | aaaaaaa |"), "the table is whole");
}
