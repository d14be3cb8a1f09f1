//! What a change of the infrastructure repository would do, before it is merged.

use serde_json::{Value, json};

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
