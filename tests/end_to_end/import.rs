//! `trueup import`, and the plan of what it writes.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::rig::Rig;

fn import(rig: &Rig, folder: &Path, more: &[&str]) -> Output {
    let mut command = rig.command_on(rig.folder.path(), &[]);
    command.arg("import").arg(folder).args(more).output().unwrap()
}

/// The plan of what was written: the targets, none of which has anything to do.
#[track_caller]
fn check_nothing_to_do(rig: &Rig, folder: &Path) -> Vec<String> {
    let output = rig.command_on(folder, &["plan", "-o", "json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{plan:#}\n{said}");
    let plans = plan["plans"].as_array().unwrap();
    for plan in plans {
        assert_eq!((&plan["steps"], &plan["differences"]), (&json!([]), &json!([])), "{plan:#}");
        assert_eq!(plan["waiting"]["reason"], "Settled", "{plan:#}");
    }
    plans
        .iter()
        .map(|plan| format!("{}/{}", plan["environment"], plan["application"]).replace('"', ""))
        .collect()
}

#[test]
fn what_runs_is_imported_and_the_plan_right_after_it_is_empty() {
    let rig = Rig::new();
    rig.world.lock().unwrap().advance(120);
    let (writes, folder) = (rig.writes(), rig.folder.path().join("new/infrastructure"));
    let output = import(&rig, &folder, &[]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("test/api     aaaaaaa  mco/mco-api-test"), "{out}");
    let test = std::fs::read_to_string(folder.join("environments/test.yaml")).unwrap();
    assert!(test.contains("    api: { commit: aaaaaaa }\n"), "{test}");
    crate::promote::run(&folder, "git", &["init", "-q", "-b", "main"]);
    assert_eq!(check_nothing_to_do(&rig, &folder), ["test/api"]);
    assert_eq!(rig.writes(), writes);
    // What is there already stays as it is.
    let again = import(&rig, &folder, &[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"), "{again:?}");
    assert_eq!(std::fs::read_to_string(folder.join("environments/test.yaml")).unwrap(), test);
}
