//! Tasks that rules and schedules start.

use super::*;
use crate::model::{MoveTag, ScheduleName};

const FILE: &str = r#"{"family": "nightly-<FAMILY>", "containerDefinitions": [{"name": "job", "image": "<IMAGE_NAME>", "memory": 64}]}"#;

/// The specification of a task with this strategy, and more lines.
fn application(name: &str, strategy: &str, more: &str) -> String {
    format!(
        "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  repository: mco/api\n  taskDefinition: nightly.json\n  strategy: {strategy}\n  values: {{FAMILY: {name}}}\n{more}"
    )
}

fn read_task(strategy: &str) -> Declaration {
    read_files(&[
        ("api.yaml", &application("api", strategy, "")),
        ("test.yaml", ENVIRONMENT),
        ("nightly.json", FILE),
    ])
}

#[track_caller]
fn refused(strategy: &str, more: &str, finding: &str) {
    let application = application("api", strategy, more);
    check(
        &[("api.yaml", &application), ("test.yaml", ENVIRONMENT), ("nightly.json", FILE)],
        &[finding],
        &["test/api"],
    );
}

#[test]
fn rules_and_schedules_are_named_each_in_its_group() {
    let declaration =
        read_task("{schedule: {rules: [\"nightly-{environment}\"], schedules: [jobs/a, b], success: [job]}}");
    let desired = desired(&declaration, "test/api");
    let task = desired.scheduled_task().unwrap();
    let schedule =
        |group: &str, name: &str| ScheduleName::Schedule { group: group.to_owned(), name: name.to_owned() };
    let expected =
        [ScheduleName::Rule("nightly-test".to_owned()), schedule("jobs", "a"), schedule("default", "b")];
    assert_eq!(
        (task.schedules.as_slice(), task.success.as_deref()),
        (&expected[..], Some(&["job".to_owned()][..]))
    );
    assert_eq!((desired.service(), desired.policy.move_tag), (None, MoveTag::Never));
}

#[test]
fn what_cannot_be_a_schedule_is_told() {
    let nobody = "expected `rules` or `schedules`: who starts the task | such as {schedule: {rules: [\"nightly-{environment}\"]}}";
    refused("schedule", "", &format!("api.yaml:7:13 {nobody}"));
    refused("{schedule: {rules: []}}", "", &format!("api.yaml:7:13 {nobody}"));
    refused(
        "{schedule: {rules: [a b]}}",
        "",
        "api.yaml:7:33 `a b` cannot be a rule of EventBridge | 1 to 64 letters, digits and `.-_`",
    );
    refused(
        "{schedule: {schedules: [jobs/a/b]}}",
        "",
        "api.yaml:7:37 `a/b` cannot be a schedule of EventBridge Scheduler | 1 to 64 letters, digits and `.-_`",
    );
    refused("{schedule: {rules: [a, a]}}", "", "api.yaml:7:36 rule a is named twice");
    refused("{schedule: {schedules: [a, default/a]}}", "", "api.yaml:7:40 schedule default/a is named twice");
    refused(
        "{schedule: {rule: [a], rules: [b]}}",
        "",
        "api.yaml:7:25 unknown field `rule` | did you mean `rules`?",
    );
    refused(
        "{schedule: {rules: [a], success: [web]}}",
        "",
        "api.yaml:7:13 the task definition has no container web | it has job",
    );
    refused(
        "{schedule: {rules: [a]}}",
        "  service: api\n",
        "api.yaml:9:12 `service` has no effect on a task that is scheduled | remove it, or the strategy `schedule`",
    );
}

#[test]
fn it_needs_a_task_definition_of_its_own() {
    let application = application("api", "{schedule: {rules: [a]}}", "");
    let application =
        application.replace("  taskDefinition: nightly.json\n", "").replace("  values: {FAMILY: api}\n", "");
    let finding =
        "api.yaml:6:13 a task needs a task definition of its own | name a file under `taskDefinition`";
    check(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)], &[finding], &["test/api"]);
}

/// Two applications with these strategies and what the second comes after; who is frozen by which findings.
#[track_caller]
fn both(strategies: [&str; 2], after: &str, findings: &[&str], frozen: &[&str]) {
    let [api, web] = [("api", ""), ("web", after)];
    let (api, web) = (application(api.0, strategies[0], api.1), application(web.0, strategies[1], web.1));
    let environment = entry("{ commit: 3f2c1ab }\n    web: { commit: 3f2c1ab }");
    check(
        &[("api.yaml", &api), ("web.yaml", &web), ("test.yaml", &environment), ("nightly.json", FILE)],
        findings,
        frozen,
    );
}

#[test]
fn one_rule_has_one_owner_and_nothing_should_wait_for_the_next_run() {
    let rules = |name: &str| format!("{{schedule: {{rules: [{name}]}}}}");
    both([&rules("a"), &rules("b")], "", &[], &[]);
    both(
        [&rules("a"), &rules("a")],
        "",
        &[
            "test.yaml:7:5 the rule a is claimed by test/api (test.yaml:7) and test/web (test.yaml:8) | it can belong to only one application in one environment",
        ],
        &["test/api", "test/web"],
    );
    both(
        [&rules("a"), &rules("b")],
        "  after: [api]\n",
        &[
            "test.yaml:8:5 it waits for the next run of api, which a schedule starts | tasks come before services, and services before what is scheduled",
        ],
        &[],
    );
    both([&rules("a"), "task"], "", &[], &[]);
    let circle = "comes after itself";
    let api = application("api", &rules("a"), "  after: [web]\n");
    let web = application("web", "task", "  after: [api]\n");
    let environment = entry("{ commit: 3f2c1ab }\n    web: { commit: 3f2c1ab }");
    let files =
        [("api.yaml", api.as_str()), ("web.yaml", &web), ("test.yaml", &environment), ("nightly.json", FILE)];
    let told = said(&read_files(&files));
    assert!(told.iter().filter(|line| line.contains(circle)).count() == 2, "{told:?}");
}
