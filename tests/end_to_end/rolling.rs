//! The main job, each command in a process of its own.

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::git_server::{Door, serve};
use crate::health::serving_from;
use crate::restart::until;
use crate::rig::Rig;
use crate::stopping::ends_well;

#[test]
fn a_plan_explains_which_rule_decided() {
    let rig = Rig::new();
    let told = rig.expect(&["plan", "--explain", "test/api"], 0);
    let lines: Vec<&str> = told.lines().map(str::trim_start).collect();
    assert!(lines.iter().any(|line| line.starts_with("passed     service ")), "{told}");
    assert!(
        lines.iter().any(|line| line.starts_with("answered   arrival ") && line.ends_with("nothing to do")),
        "{told}"
    );
    rig.declare("bbbbbbb");
    let told = rig.expect(&["plan", "--explain", "test/api"], 4);
    assert!(told.contains("answered   content          waiting for image mco/api:bbbbbbb"), "{told}");
    rig.build("bbbbbbb");
    let told = rig.expect(&["plan", "--explain", "test/api"], 2);
    assert!(told.contains("passed     drift ") && told.contains("answered   registration "), "{told}");
}

#[test]
fn a_promotion_that_a_new_controller_finds_is_told_from_drift_by_a_deeper_clone() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    // The first fetch brings the newest commit alone, which does not say that aaaaaaa was declared before.
    let url = serve(&rig.folder.path().join(".git"), Door::default());
    let (controller, _) = serving_from(&rig, &url, &[("TRUEUP_POLL_INTERVAL", "5s")]);
    until("the deployment", || rig.deployments() == 2);
    ends_well(controller);
}

#[test]
fn what_is_settled_when_the_time_is_up_is_not_called_unsettled() {
    let rig = Rig::new();
    let said = |code| {
        let output = rig.trueup(&["reconcile", "--timeout", "0"]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(said(0), "");
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    assert!(said(4).contains("not settled after 0 s"));
}

#[test]
fn a_changed_commit_is_deployed_tagged_and_told_truly() {
    let rig = Rig::new();
    let before = rig.writes();
    rig.expect(&["reconcile"], 0);
    assert_eq!(rig.writes(), before, "what already runs is not touched");

    rig.declare("bbbbbbb");
    rig.expect(&["plan"], 4);
    assert_eq!(rig.status()["waiting"]["reason"], "ImageNotBuilt");
    let digest = rig.build("bbbbbbb");
    assert!(rig.expect(&["plan"], 2).contains("aaaaaaa -> bbbbbbb"));
    rig.expect(&["reconcile", "--timeout", "120"], 0);

    let status = rig.status();
    assert_eq!(status["declared"]["commit"], "bbbbbbb");
    assert_eq!(status["tagged"]["commit"], "bbbbbbb");
    assert_eq!(
        status["running"],
        json!([{"commits": ["bbbbbbb"], "commitsFrom": "Registry", "digest": digest, "tasks": 2, "draining": 0, "production": null}])
    );
    assert_eq!((status["sync"].as_str(), status["health"].as_str()), (Some("Synced"), Some("Healthy")));
    assert_eq!(status["lastDeployment"]["phase"], "Succeeded");
    assert_eq!(status["lastDeployment"]["startedBy"], "trueup");
    assert_eq!(rig.deployments(), 2);
    let settled = rig.writes();
    rig.expect(&["reconcile"], 0);
    assert_eq!(rig.writes(), settled, "a settled service is not written to");
    // Its name alone is enough.
    rig.expect(&["wait", "api", "--commit", "bbbbbbb"], 0);
}

#[test]
fn a_bad_commit_is_rolled_back_held_and_tried_once_more_only_after_retry() {
    let rig = Rig::new();
    let digest = rig.build("bbbbbbb");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 });
    rig.declare("bbbbbbb");
    rig.expect(&["reconcile", "--timeout", "120"], 3);
    assert_eq!(rig.deployments(), 2);

    let status = rig.status();
    assert_eq!(status["waiting"]["reason"], "Held");
    assert_eq!(status["running"][0]["commits"], json!(["aaaaaaa"]));
    assert_eq!(status["tagged"]["commit"], Value::Null, "the tag never moved");
    assert_eq!(status["lastDeployment"]["phase"], "RolledBack");
    assert!(status["causes"][0]["text"].as_str().unwrap().contains("exited with 137"), "{status:#}");

    rig.expect(&["reconcile"], 3);
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb"], 3);
    assert_eq!(rig.deployments(), 2, "a new process does not try again");

    rig.expect(&["retry", "test/api"], 0);
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "1"], 4);
    rig.expect(&["reconcile", "--timeout", "120"], 3);
    assert_eq!(rig.deployments(), 3, "exactly one more");

    rig.declare("aaaaaaa");
    rig.expect(&["reconcile", "--timeout", "120"], 0);
    assert_eq!(rig.deployments(), 3, "what the revert declares runs already");
}

#[test]
fn a_lost_answer_and_throttling_lead_to_one_deployment() {
    for operation in ["RegisterTaskDefinition", "UpdateService", "PutImage"] {
        let rig = Rig::new();
        rig.build("bbbbbbb");
        rig.declare("bbbbbbb");
        {
            let mut world = rig.world.lock().unwrap();
            world.inject(Fault::LoseAnswer { operation: operation.to_owned() });
            world.inject(Fault::Throttle { operation: operation.to_owned(), times: 1 });
        }
        rig.expect(&["reconcile", "--timeout", "200"], 0);
        assert_eq!(rig.deployments(), 2, "{operation}");
        assert_eq!(rig.status()["tagged"]["commit"], "bbbbbbb", "{operation}");
    }
}

#[test]
fn the_demo_comes_out_as_told() {
    let (said, code) = demo(&["--script"]);
    assert_eq!(code, Some(0), "{said}");
    for expected in [
        "% of the traffic is on it",
        "on hold: bad0bad failed here",
        "exited with 137",
        "test/api drifted: containers[api].image",
        "promote api c0ffee1 to staging",
    ] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
}

/// What `trueup demo` prints, and its exit code.
fn demo(arguments: &[&str]) -> (String, Option<i32>) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_trueup"))
        .arg("demo")
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (said.concat(), output.status.code())
}

#[test]
fn a_scene_of_the_demo_is_played_without_those_before_it() {
    // It rests on scenes 1 and 3, and scene 2 is about another application.
    let (said, code) = demo(&["--scene", "4"]);
    assert_eq!(code, Some(0), "{said}");
    let titles: Vec<&str> = said.lines().filter(|line| line.starts_with("── ")).collect();
    assert_eq!(titles.len(), 1, "{said}");
    assert!(titles[0].starts_with("── 4  the fix ─"), "{said}");
    assert!(
        said.contains("bad0bad -> c0ffee1") && said.contains("register a task definition for c0ffee1"),
        "{said}"
    );
    assert!(!said.contains("on hold") && !said.contains("of the traffic"), "{said}");
}

#[test]
fn the_demo_names_its_scenes_and_refuses_others() {
    let listed = "  1  a commit lands in test\n  2  blue/green\n";
    let (help, code) = demo(&["--help"]);
    assert!(help.contains(listed) && code == Some(0), "{help}");
    for number in ["0", "9", "the fix"] {
        let (said, code) = demo(&["--scene", number]);
        assert!(said.contains("there is no such scene") && said.contains(listed), "{said}");
        assert_eq!(code, Some(1), "{said}");
    }
}

#[test]
fn a_commit_that_is_declared_again_is_deployed_after_git_had_followed_another_hand() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    rig.expect(&["reconcile", "--timeout", "120"], 0);
    let by_hand = json!({"cluster": "mco", "service": "mco-api-test", "taskDefinition": "mco-api:1"});
    rig.call(Api::Ecs, "UpdateService", &by_hand);
    rig.world.lock().unwrap().advance(180);
    rig.expect(&["plan"], 4);
    rig.declare("aaaaaaa");
    rig.expect(&["reconcile", "--timeout", "60"], 0);
    rig.declare("bbbbbbb");
    rig.expect(&["plan"], 2);
    rig.expect(&["reconcile", "--timeout", "120"], 0);
    assert_eq!(rig.status()["running"][0]["commits"], json!(["bbbbbbb"]));
}
