//! Tasks that run once.

use serde_json::json;

use super::*;
use crate::model::{MoveTag, RunCapacity, RunNetwork, ServiceName, Severity, TaskDefinitionSource};

const FILE: &str = r#"{"family": "migrate", "networkMode": "awsvpc", "containerDefinitions": [
  {"name": "api", "image": "<IMAGE_NAME>", "memory": 64, "environment": [{"name": "ROLE", "value": "web"}]},
  {"name": "proxy", "image": "envoy:1", "memory": 64}]}"#;

/// A task with these lines behind `strategy:`, and more lines of the specification.
fn files_with(strategy: &str, more: &str) -> [(&'static str, String); 3] {
    let application = format!(
        "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: api}}\nspec:\n  repository: mco/api\n  taskDefinition: migrate.json\n  strategy: {strategy}\n{more}"
    );
    [("api.yaml", application), ("test.yaml", ENVIRONMENT.to_owned()), ("migrate.json", FILE.to_owned())]
}

fn read_task(strategy: &str) -> Desired {
    let files = files_with(strategy, "");
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    desired(&read_files(&files), "test/api")
}

#[track_caller]
fn refused(strategy: &str, more: &str, finding: &str) {
    let files = files_with(strategy, more);
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    check(&files, &[finding], &["test/api"]);
}

#[test]
fn what_a_task_runs_is_part_of_its_task_definition_and_where_it_runs_is_not() {
    let desired = read_task(
        "{task: {command: {api: [db, migrate]}, environment: {api: {ROLE: migrate, A: b}}, network: {like: mco-api-{environment}}, timeout: 30m, success: [api]}}"
            .replace("mco-api-{environment}", "\"mco-api-{environment}\"")
            .as_str(),
    );
    let task = desired.task().unwrap();
    assert_eq!(task.network, RunNetwork::Like(ServiceName::new("mco-api-test")));
    assert_eq!(
        (task.timeout.unwrap().as_secs(), task.success.as_deref()),
        (1800, Some(["api".to_owned()].as_slice()))
    );
    assert_eq!((desired.service(), desired.policy.move_tag), (None, MoveTag::Never));
    let TaskDefinitionSource::File { input, .. } = desired.task_definition else { panic!() };
    let api = &input["containerDefinitions"][0];
    assert_eq!(api["command"], json!(["db", "migrate"]));
    assert_eq!(
        api["environment"],
        json!([{"name": "ROLE", "value": "migrate"}, {"name": "A", "value": "b"}])
    );
}

#[test]
fn network_and_capacity_are_read_as_aws_takes_them() {
    let network = "network: {subnets: [subnet-1], securityGroups: [sg-1], assignPublicIp: ENABLED}";
    for (capacity, expected) in [
        ("FARGATE", RunCapacity::LaunchType("FARGATE".to_owned())),
        ("{providers: [mine]}", RunCapacity::Providers(vec!["mine".to_owned()])),
    ] {
        let desired = read_task(&format!("{{task: {{{network}, capacity: {capacity}}}}}"));
        let task = desired.task().unwrap();
        let declared =
            json!({"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"});
        assert_eq!((&task.network, &task.capacity), (&RunNetwork::Declared(declared), &expected));
    }
}

#[test]
fn what_cannot_be_a_task_is_told() {
    let network = "network: {subnets: [subnet-1]}";
    refused(
        "task",
        "",
        "api.yaml:7:13 `network` is missing | the network mode awsvpc needs one: {like: SERVICE}, or subnets and securityGroups",
    );
    let task = |more: &str| format!("{{task: {{{network}{more}}}}}");
    refused(
        &task(", command: {web: [x]}"),
        "",
        "api.yaml:7:13 the task definition has no container web | it has api, proxy",
    );
    refused(
        &task(", success: [web]"),
        "",
        "api.yaml:7:13 the task definition has no container web | it has api, proxy",
    );
    refused(
        &task(""),
        "  service: api\n",
        "api.yaml:8:12 `service` has no effect on a task | remove it, or the strategy `task`",
    );
    refused(
        &task(", capacity: SPOT"),
        "",
        "api.yaml:7:63 expected FARGATE, FARGATE_SPOT, EC2, EXTERNAL or {providers: [NAME]}",
    );
    refused(
        "{task: {network: {like: a, subnets: [b]}}}",
        "",
        "api.yaml:7:30 `like` takes all of the network from a service: nothing stands beside it",
    );
}

/// A service after a task, the task after what a schedule starts, and that after the service.
#[test]
fn an_order_in_a_circle_is_told_whatever_kinds_are_in_it() {
    let document = |name: &str, lines: &str| {
        format!(
            "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  repository: mco/api\n{lines}"
        )
    };
    let files = [
        ("api.yaml", document("api", "  service: api\n  after: [migrate]\n")),
        (
            "migrate.yaml",
            document("migrate", "  taskDefinition: migrate.json\n  strategy: task\n  after: [nightly]\n"),
        ),
        (
            "nightly.yaml",
            document(
                "nightly",
                "  taskDefinition: nightly.json\n  strategy: {schedule: {rules: [nightly]}}\n  after: [api]\n",
            ),
        ),
        (
            "test.yaml",
            ENVIRONMENT.replace(
                "applications:\n",
                "applications:\n    migrate: { commit: 3f2c1ab }\n    nightly: { commit: 3f2c1ab }\n",
            ),
        ),
        ("migrate.json", FILE.replace("\"networkMode\": \"awsvpc\", ", "")),
        (
            "nightly.json",
            FILE.replace("\"networkMode\": \"awsvpc\", ", "").replace("\"migrate\"", "\"nightly\""),
        ),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let declaration = read_files(&files);
    let errors = declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let found: Vec<&str> = errors.map(|finding| finding.message.as_str()).collect();
    let circle = |name| format!("dependency cycle: test/{name} comes after itself");
    assert_eq!(found, ["migrate", "nightly", "api"].map(circle));
}
