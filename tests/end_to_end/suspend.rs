//! `suspend` and `resume`: changes of the repository that every controller obeys.

use crate::promote::{Repositories, run, start};
use crate::rig::Rig;

fn trueup(folder: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    start(folder, env!("CARGO_BIN_EXE_trueup"), arguments)
}

fn file(rig: &Rig) -> String {
    std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap()
}

#[test]
fn nothing_is_written_for_what_is_suspended_until_it_is_resumed() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    let before = file(&rig);
    for name in ["test/api", "test"] {
        rig.expect(&["suspend", name, "--reason", "a \"migration\"", "--for", "2h"], 0);
        let plan = rig.expect(&["plan"], 4);
        assert!(plan.contains("suspended until 20") && plan.contains(": a \"migration\""), "{plan}");
        assert!(plan.contains(&format!("trueup resume {name} --push")), "{plan}");
        let writes = rig.writes();
        rig.expect(&["reconcile", "--timeout", "60"], 4);
        rig.expect(&["status", "--exit-code"], 4);
        assert_eq!(rig.writes(), writes);
        rig.expect(&["resume", name], 0);
        assert_eq!(file(&rig), before);
        rig.expect(&["plan"], 2);
    }
    // Of one that is over nothing is left but the words.
    rig.expect(&["suspend", "test/api", "--reason", "a migration", "--for", "30m"], 0);
    rig.world.lock().unwrap().advance(1800);
    rig.expect(&["plan"], 2);
    rig.expect(&["reconcile"], 0);
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb"], 0);
}

#[test]
fn a_suspension_is_a_commit_of_one_line_that_is_pushed_on_what_others_pushed() {
    let all = Repositories::new();
    let (mine, theirs) = (all.path("mine"), all.clone_to("theirs"));
    let before = all.upstream("test.yaml");
    run(&theirs, env!("CARGO_BIN_EXE_trueup"), &["promote", "test/api", "--commit", "bbbbbbb", "--push"]);
    let suspend = ["suspend", "test/api", "--reason", "incident 4711", "--push"];
    let done = trueup(&mine, &suspend);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let expected = before.replace("aaaaaaa }", "\"bbbbbbb\", suspend: { reason: \"incident 4711\" } }");
    assert_eq!(all.upstream("test.yaml"), expected);
    let message = run(&all.path("upstream"), "git", &["log", "-1", "--format=%B", "main"]).stdout;
    assert_eq!(String::from_utf8(message).unwrap().trim_end(), "suspend test/api\n\nincident 4711");
    let again = trueup(&mine, &suspend);
    assert!(again.status.success() && said(&again).contains("suspended so already"), "{again:?}");
    // The environment too, and then the application alone goes on: it stays suspended by the environment.
    run(&theirs, env!("CARGO_BIN_EXE_trueup"), &["suspend", "test", "--reason", "a freeze", "--push"]);
    let done = trueup(&mine, &["resume", "test/api", "--push"]);
    assert!(said(&done).contains("its environment is: trueup resume test"), "{done:?}");
    run(&mine, env!("CARGO_BIN_EXE_trueup"), &["resume", "test", "--push"]);
    assert_eq!(all.upstream("test.yaml"), before.replace("aaaaaaa", "\"bbbbbbb\""));
    let again = trueup(&mine, &["resume", "test", "--push"]);
    assert!(again.status.success() && said(&again).contains("not suspended"), "{again:?}");
}

#[test]
fn what_cannot_be_suspended_is_refused_and_changes_nothing() {
    let all = Repositories::new();
    let mine = all.path("mine");
    for (arguments, expected) in [
        (&["suspend", "test/api"][..], "--reason"),
        (&["suspend", "test/api", "--reason", " "], "say why"),
        (&["suspend", "test/api", "--reason", "x", "--for", "90d"], "expected a number with s, m or h"),
        (&["suspend", "test/api", "--reason", "x", "--until", "2020-01-01T00:00:00Z"], "is over already"),
        (&["suspend", "test/web", "--reason", "x"], "no application test/web"),
        (&["suspend", "tset", "--reason", "x"], "did you mean test?"),
        (&["resume", "prod"], "no environment prod"),
    ] {
        let done = trueup(&mine, arguments);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        assert!(said(&done).contains(expected), "{}", said(&done));
    }
    assert_eq!(run(&mine, "git", &["rev-list", "--count", "HEAD"]).stdout, b"1\n");
    assert_eq!(run(&mine, "git", &["status", "--porcelain"]).stdout, b"");
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
