//! What the process writes, and what comes of it when a stream is closed, full, or has nobody who reads it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::restart::{Controller, until};
use crate::rig::Rig;

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// Every command that prints, and its exit code where all of it arrives.
const PRINTING: [(&[&str], i32); 12] = [
    (&["--help"], 0),
    (&["--version"], 0),
    (&["completions", "bash"], 0),
    (&["schema"], 0),
    (&["iam-policy"], 0),
    (&["render"], 0),
    (&["plan"], 2),
    (&["plan", "-o", "json"], 2),
    (&["plan", "-o", "markdown"], 2),
    (&["status"], 0),
    (&["status", "-o", "json"], 0),
    (&["status", "--watch"], 0),
];

/// Something would change, and there is a finding to be told.
fn rig() -> Rig {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    rig
}

fn command(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = rig.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn output_that_is_lost_is_an_error_and_never_a_panic() {
    let rig = rig();
    for (arguments, _) in PRINTING {
        let output = command(&rig, arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("error: the output could not be written"), "{arguments:?}: {said}");
        let silent = command(&rig, arguments).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(silent.code(), Some(1), "{arguments:?} with no stream at all");
    }
}

/// The command as a shell starts it, with its streams as `redirections` say.
fn redirected(rig: &Rig, arguments: &[&str], redirections: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("exec \"$@\" {redirections}"), "sh", env!("CARGO_BIN_EXE_trueup")])
        .args(arguments)
        .args(["--repo".as_ref(), rig.folder.path().as_os_str()])
        .env_clear()
        .envs([("AWS_ENDPOINT_URL", rig.endpoint.as_str()), ("AWS_REGION", "eu-west-2")])
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
}

#[test]
fn output_is_lost_where_stdout_is_closed_and_not_where_nobody_wants_it() {
    let rig = rig();
    for (arguments, code) in PRINTING {
        let closed = redirected(&rig, arguments, "<&- >&-").output().unwrap();
        let said = String::from_utf8_lossy(&closed.stderr).into_owned();
        assert_eq!(closed.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("error: the output could not be written: stdout is closed"), "{said}");
        if arguments.contains(&"--watch") {
            continue;
        }
        // The second is how Python and Node.js say that nobody wants it.
        for unwanted in [">/dev/null", "1<>/dev/null"] {
            let status = redirected(&rig, arguments, unwanted).stderr(Stdio::null()).status().unwrap();
            assert_eq!(status.code(), Some(code), "{arguments:?} {unwanted}");
        }
    }
    // Without a word for stdout nothing is lost.
    rig.declare("aaaaaaa");
    let silent = redirected(&rig, &["lint"], "<&- >&-").stderr(Stdio::null()).status().unwrap();
    assert_eq!(silent.code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let rig = rig();
    for (arguments, code) in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = command(&rig, arguments).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn messages_that_nobody_can_get_change_nothing() {
    let rig = rig();
    rig.write("broken.yaml", "apiVersion: trueup.dev/v1\nkind: Nothing\n");
    for (arguments, code) in [
        (&["lint"][..], 1),
        (&["plan"], 1),
        (&["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "0"], 4),
        (&["frobnicate"], 1),
    ] {
        for format in ["text", "json"] {
            let arguments = [arguments, &["--log-format", format]].concat();
            let status = command(&rig, &arguments).stderr(full()).status().unwrap();
            assert_eq!(status.code(), Some(code), "{arguments:?} on a full stream");
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let status = command(&rig, &arguments).stderr(writer).status().unwrap();
            assert_eq!(status.code(), Some(code), "{arguments:?} without a reader");
            let closed = redirected(&rig, &arguments, "<&- >&- 2>&-").status().unwrap();
            assert_eq!(closed.code(), Some(code), "{arguments:?} on closed streams");
        }
    }
}

#[test]
fn a_controller_whose_log_cannot_be_written_goes_on() {
    for format in ["text", "json"] {
        let rig = rig();
        let mut run = command(&rig, &["run", "--log-format", format]);
        let mut controller = Controller(run.stderr(full()).stdout(full()).spawn().unwrap());
        until("the promotion", || rig.deployments() == 2);
        assert_eq!(controller.0.try_wait().unwrap(), None, "it lives");
    }
}

#[test]
fn every_message_is_an_object_where_json_is_asked_for() {
    let rig = rig();
    rig.write(
        "broken.yaml",
        "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: other}\nspec: {comit: 1}\n",
    );
    rig.commit("broken");
    for arguments in [
        &["lint"][..],
        &["plan"],
        &["retry", "test/api"],
        &["status", "--branch", "nothing"],
        &["wait", "test/api", "--commit", "aaaaaaa", "--timeout", "0"],
        &["run", "--frobnicate"],
        &["promote", "nobody/api", "--commit", "bbbbbbb"],
    ] {
        let output = rig.trueup(&[arguments, &["--log-format", "json"]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.is_empty(), "{arguments:?}");
        said.lines().for_each(|line| drop(is_an_entry(line)));
    }
    let lint = rig.trueup(&["lint", "--log-format=json"]);
    let said = String::from_utf8(lint.stderr).unwrap();
    let findings = said.lines().map(is_an_entry).filter(|entry| entry["fields"]["event"] == "finding");
    let found: Vec<Value> = findings.collect();
    let unknown =
        found.iter().find(|entry| entry["fields"]["message"].as_str().unwrap().contains("comit")).unwrap();
    assert_eq!((&unknown["level"], &unknown["fields"]["file"]), (&"ERROR".into(), &"broken.yaml".into()));
    assert_eq!(unknown["fields"]["line"], 4);

    let mut run = rig.command(&["run"]);
    run.env("TRUEUP_LOG_FORMAT", "json").stderr(Stdio::piped());
    let mut controller = Controller(run.spawn().unwrap());
    let mut log = BufReader::new(controller.0.stderr.take().unwrap());
    until("the registration", || rig.world.lock().unwrap().calls("RegisterTaskDefinition") > 1);
    let mut line = String::new();
    while !line.contains("register a task definition") {
        line.clear();
        log.read_line(&mut line).unwrap();
        is_an_entry(&line);
    }
    drop(controller);
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    rest.lines().for_each(|line| drop(is_an_entry(line)));
}

#[track_caller]
fn is_an_entry(line: &str) -> Value {
    let entry: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}")).unwrap();
    for key in ["timestamp", "level", "fields"] {
        assert!(entry.get(key).is_some(), "no {key}: {line}");
    }
    entry
}
