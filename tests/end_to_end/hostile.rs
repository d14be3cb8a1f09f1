//! Text from outside that would act on whatever shows it: none of it leaves any command as it came.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};

use crate::restart::{Controller, until};
use crate::rig::Rig;

/// Clears a screen, writes to the clipboard, turns the direction of text, hides, begins a line of its own, and means
/// something in markdown. Written as YAML and JSON write it.
const HOSTILE: &str = r"x\u001b[2J\u001b]52;c;aGk=\u0007\u009b31m\u202e\u2066\u200b\u2028\rerror: forged\n# heading\n@team [a](https://evil.example) `b` <img src=x> | c |";

/// The same, as it is when it has been read.
fn hostile() -> String {
    serde_json::from_str(&format!("\"{HOSTILE}\"")).unwrap()
}

/// A repository with it in names, keys, values, reasons, file names and the commit.
fn rig() -> Rig {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.write(
        "test.yaml",
        &format!(
            "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec:\n  account: \"123456789012\"\n  region: eu-west-2\n  cluster: mco\n  suspend: {{until: 2099-01-01T00:00:00Z, reason: \"{HOSTILE}\"}}\n  applications:\n    api: {{ commit: bbbbbbb }}\n"
        ),
    );
    rig.write(
        "hostile.yaml",
        &format!(
            "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: \"{HOSTILE}\"}}\nspec:\n  cluster: \"{HOSTILE}\"\n  \"{HOSTILE}\": 1\n  applications:\n    api: {{ commit: \"{HOSTILE}\" }}\n    \"{HOSTILE}\": {{ commit: bbbbbbb }}\n"
        ),
    );
    let named = "apiVersion: trueup.dev/v1\nkind: Nothing\n";
    rig.write("\u{1b}[2J\u{202e}\nerror: forged.yaml", named);
    rig.commit(&hostile());
    rig
}

/// What people are shown, and machines are told.
fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn is_harmless(what: &str, text: &str) {
    let active = |c: &char| c.is_control() && *c != '\n' || "\u{202e}\u{2066}\u{200b}\u{2028}".contains(*c);
    assert_eq!(text.chars().find(active), None, "{what}: {text:?}");
    let forged = |line: &&str| {
        line.starts_with("error: forged") || line.starts_with("# heading") || line.starts_with("@team")
    };
    assert_eq!(text.lines().find(forged), None, "{what}: {text}");
}

#[test]
fn nothing_from_a_repository_acts_on_what_shows_it() {
    let rig = rig();
    let argument = hostile();
    for arguments in [
        &["lint"][..],
        &["render"],
        &["plan"],
        &["plan", "-o", "json"],
        &["plan", "-o", "markdown"],
        &["status"],
        &["status", "-o", "json"],
        &["status", "-o", "wide"],
        &["status", "test/api"],
        &["history"],
        &["history", "-o", "json"],
        &["events", "--since", "720h"],
        &["reconcile", "--timeout", "1"],
        &["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "0"],
        &["retry", "test/api"],
        &["approve", "test/api"],
        &["reject", "test/api"],
        &["iam-policy"],
        &["iam-policy", "--read-only"],
        &["promote", "test/api", "--commit", "aaaaaaa"],
        &["promote", "test/nobody", "--commit", "aaaaaaa"],
        &["status", &argument],
        &["retry", &argument],
        &["wait", &argument, "--commit", &argument],
        &["status", "--branch", &argument],
    ] {
        for format in ["text", "json"] {
            let output = rig.trueup(&[arguments, &["--log-format", format]].concat());
            let text = shown(&output);
            assert!(!text.contains("panicked"), "{arguments:?}: {text}");
            is_harmless(&format!("{arguments:?} {format}"), &text);
        }
    }
}

#[test]
fn nothing_from_a_repository_acts_on_a_log() {
    for format in ["text", "json"] {
        let rig = rig();
        let mut run = rig.command(&["run", "--log-format", format]);
        let mut controller = Controller(run.stderr(Stdio::piped()).spawn().unwrap());
        until("a look", || rig.world.lock().unwrap().calls("DescribeServices") > 0);
        let mut log = controller.0.stderr.take().unwrap();
        drop(controller);
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        assert!(text.contains("source.changed"), "{text}");
        is_harmless(format, &text);
    }
}

#[test]
fn a_pull_request_shows_a_reason_as_it_was_written() {
    let output = rig().trueup(&["plan", "-o", "markdown"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text.lines().find(|line| line.starts_with("| test/api |")).unwrap();
    for written in ["@team", "[a]", "https://evil", "`b`", "<img", "# heading"] {
        assert!(!row.contains(written), "{written}: {row}");
    }
    assert_eq!(row.matches('|').count(), 4, "{row}");
    assert!(row.contains("team") && row.contains("evil.example"), "{row}");
}

#[test]
fn nothing_that_a_git_server_says_acts_on_what_shows_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/infra", listener.local_addr().unwrap());
    let said = format!("ERR {}", hostile());
    let refs = format!("001e# service=git-upload-pack\n0000{:04x}{said}", said.len() + 4);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\nconnection: close\r\n";
            let _ = write!(stream, "{head}content-length: {}\r\n\r\n{refs}", refs.len());
        }
    });
    let rig = Rig::new();
    for format in ["text", "json"] {
        let output = rig.command_on(&url, &["status", "--log-format", format]).output().unwrap();
        let text = shown(&output);
        assert!(text.contains("cannot fetch"), "{text}");
        is_harmless(format, &text);
    }
}
