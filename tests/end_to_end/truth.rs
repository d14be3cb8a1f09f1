//! What CI learns from exit codes and from `wait`: each command in a process of its own.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::git_server::{Door, serve};
use crate::rig::Rig;

#[track_caller]
fn ends(output: &Output, code: i32, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
}

#[test]
fn another_commit_than_the_declared_one_is_no_success() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    rig.expect(&["status", "--exit-code"], 4);
    for withheld in ["  mode: observe\n", "  suspend: {reason: a freeze}\n"] {
        rig.replace("test.yaml", "  cluster: mco\n", &format!("  cluster: mco\n{withheld}"));
        let before = rig.writes();
        for command in [&["plan"][..], &["reconcile", "--timeout", "60"], &["status", "--exit-code"]] {
            rig.expect(command, 4);
        }
        rig.expect(&["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "1"], 4);
        assert_eq!(rig.writes(), before);
        rig.replace("test.yaml", withheld, "");
    }
    rig.declare("aaaaaaa");
    for command in [&["plan"][..], &["reconcile"], &["status", "--exit-code"]] {
        rig.expect(command, 0);
    }
    rig.world.lock().unwrap().inject(Fault::Deny { operation: "DescribeServices".to_owned(), times: 1000 });
    let unread = rig.expect(&["status", "--exit-code"], 1);
    assert!(unread.contains("cannot read the service"), "{unread}");
    rig.expect(&["reconcile", "--timeout", "1"], 1);
    assert!(rig.expect(&["plan"], 1).contains("trueup iam-policy"));
}

#[test]
fn a_typing_error_hides_nothing_that_runs() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    let good = std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap();
    let before = rig.writes();
    for broken in [good.replace("commit:", "comit:"), good.replace("{ commit", "{{ commit")] {
        rig.write("test.yaml", &broken);
        rig.commit("broken");
        shows_what_runs(&rig);
        assert_eq!(rig.writes(), before);
    }
}

fn shows_what_runs(rig: &Rig) {
    let status = rig.status();
    assert_eq!(status["running"][0]["commits"], json!(["aaaaaaa"]), "{status:#}");
    assert_eq!((status["declared"]["commit"].clone(), &status["sync"]), (Value::Null, &json!("Unknown")));
    assert_eq!(status["waiting"]["reason"], "Frozen");
    for command in [&["plan"][..], &["reconcile", "--timeout", "60"], &["status", "--exit-code"]] {
        rig.expect(command, 1);
    }
}

#[test]
fn a_wait_ends_at_once_where_the_answer_is_known() {
    let rig = Rig::new();
    for commit in ["bbbbbbb", "ccccccc"] {
        rig.build(commit);
        rig.declare(commit);
    }
    let wait = |commit: &str| {
        let started = Instant::now();
        let output = rig.trueup(&["wait", "test/api", "--commit", commit, "--timeout", "600"]);
        assert!(started.elapsed() < Duration::from_mins(1), "{output:?}");
        output
    };
    ends(&wait("bbbbbbb"), 4, "test/api: bbbbbbb was superseded: ccccccc is declared now");
    ends(&wait("eeeeeee"), 4, "test/api: eeeeeee is not declared: ccccccc is declared now");
    ends(&rig.trueup(&["wait", "tset/api", "--commit", "ccccccc"]), 1, "did you mean test/api?");
    rig.expect(&["reconcile", "--timeout", "120"], 0);
    ends(&wait("ccccccc"), 0, "test/api: ccccccc succeeded; tag \"test\" is on it");
    let service = json!({"cluster": "mco", "service": "mco-api-test", "desiredCount": 0});
    rig.call(Api::Ecs, "UpdateService", &service);
    rig.world.lock().unwrap().advance(120);
    ends(&wait("ccccccc"), 0, "ccccccc is deployed and unproven");
}

#[test]
fn a_failed_commit_has_failed_also_when_its_image_is_gone() {
    let rig = Rig::new();
    let digest = rig.build("bbbbbbb");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    rig.declare("bbbbbbb");
    rig.expect(&["reconcile", "--timeout", "120"], 3);
    let gone = json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": "bbbbbbb"}]});
    rig.call(Api::Ecr, "BatchDeleteImage", &gone);
    ends(&rig.trueup(&["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "60"]), 3, "failed here");
}

/// The write is nobody's here: no controller runs.
#[test]
fn a_wait_says_what_it_waits_for_and_ends_at_its_timeout() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    let started = Instant::now();
    let output = rig.trueup(&["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "3"]);
    assert!(started.elapsed() < Duration::from_secs(20), "{output:?}");
    ends(&output, 4, "next: register a task definition for bbbbbbb");
    ends(&output, 4, "bbbbbbb not reached after 3 s: a controller has yet to: register");
}

#[test]
fn a_wait_ends_at_its_timeout_also_where_nobody_answers() {
    let rig = Rig::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let started = Instant::now();
    let mut command = rig.command(&["wait", "test/api", "--commit", "aaaaaaa", "--timeout", "1"]);
    let output = command.env("AWS_ENDPOINT_URL", &address).output().unwrap();
    ends(&output, 4, "not reached after 1 s");
    let git = format!("{address}/infra");
    let output =
        rig.command_on(&git, &["wait", "test/api", "--commit", "aaaaaaa", "--timeout", "1"]).output();
    ends(&output.unwrap(), 4, "not reached after 1 s");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_remote_history_is_searched_before_a_commit_is_waited_for() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    let url = serve(&rig.folder.path().join(".git"), Door::default());
    let wait = |commit: &str, more: &[&str]| {
        let arguments = [&["wait", "test/api", "--timeout", "600", "--commit", commit], more].concat();
        rig.command_on(&url, &arguments).output().unwrap()
    };
    ends(&wait("aaaaaaa", &[]), 4, "aaaaaaa was superseded: bbbbbbb is declared now");
    let output = wait("eeeeeee", &["--declared-within", "1"]);
    ends(&output, 4, "eeeeeee is not declared");
}

#[test]
fn a_rewritten_history_is_accepted_by_one_stamp() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    rig.expect(&["reconcile", "--timeout", "120"], 0);
    rig.expect(&["accept-history"], 0);
    rig.git(&["checkout", "-q", "--orphan", "anew"]);
    rig.build("ccccccc");
    rig.declare("ccccccc");
    rig.git(&["branch", "-qM", "main"]);
    let before = rig.writes();
    let plan = rig.expect(&["plan"], 1);
    assert!(plan.contains("trueup accept-history test") && plan.contains("untag-resource"), "{plan}");
    ends(&rig.trueup(&["accept-history", "tset"]), 1, "no application is declared in environment tset");
    let shown = rig.expect(&["accept-history", "test"], 2);
    assert!(shown.contains("test/api: applied infra commit"), "{shown}");
    rig.expect(&["reconcile", "--timeout", "60"], 1);
    assert_eq!(rig.writes(), before, "without --yes nothing is written");
    rig.expect(&["accept-history", "test", "--yes"], 0);
    assert_eq!(rig.writes(), before + 1, "one stamp");
    rig.expect(&["plan"], 2);
    rig.expect(&["reconcile", "--timeout", "120"], 0);
    assert_eq!(rig.status()["running"][0]["commits"], json!(["ccccccc"]));
}

#[test]
fn what_failed_or_has_not_succeeded_is_not_promoted_without_force() {
    let rig = Rig::new();
    let staging = std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap();
    rig.write("staging.yaml", &staging.replace("name: test", "name: staging").replace("aaaaaaa", "9999999"));
    let digest = rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    let promote = |more: &[&str]| -> Output {
        let arguments = [&["promote", "--from", "test", "--to", "staging", "api"], more].concat();
        let mut command: Command = rig.command(&arguments);
        command.env("PATH", std::env::var("PATH").unwrap()).output().unwrap()
    };
    let declares = |commit: &str| {
        std::fs::read_to_string(rig.folder.path().join("staging.yaml")).unwrap().contains(commit)
    };
    ends(&promote(&[]), 4, "test/api declares bbbbbbb, which has not succeeded there");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    rig.expect(&["reconcile", "test/*", "--timeout", "120"], 3);
    let refused = promote(&[]);
    ends(&refused, 3, "test/api declares bbbbbbb, which failed there and is on hold: not promoted");
    ends(&refused, 3, "--commit aaaaaaa");
    assert!(declares("9999999"));
    rig.declare("aaaaaaa");
    rig.expect(&["reconcile", "test/*", "--timeout", "120"], 0);
    ends(&promote(&[]), 0, "9999999 -> aaaaaaa");
    rig.declare("bbbbbbb");
    ends(&promote(&["--force"]), 0, "aaaaaaa -> bbbbbbb");
    rig.declare("aaaaaaa");
    rig.world.lock().unwrap().inject(Fault::Deny { operation: "DescribeServices".to_owned(), times: 1000 });
    ends(&promote(&[]), 0, "taking aaaaaaa as declared: whether it runs well there is not known");
}

#[test]
fn a_release_is_waited_for_as_one() {
    let rig = Rig::new();
    rig.build("v1.1");
    rig.replace("test.yaml", "commit: aaaaaaa", "release: v1.1");
    rig.expect(&["reconcile"], 0);
    rig.expect(&["wait", "test/api", "--release", "v1.1"], 0);
    rig.expect(&["wait", "test/api", "--release", "v1.2", "--timeout", "1"], 4);
    rig.expect(&["wait", "test/api"], 1);
}
