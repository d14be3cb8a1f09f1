//! Tasks that rules and schedules of EventBridge start: what their targets run, and what of them stays as it was.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::Swept;
use trueup::model::{Health, OutcomeKind, Proof, Sync};
use trueup_simulator::Api;

use crate::account::Need;
use crate::stage::{Breaker, Running, Stage, said};

const NIGHTLY: &str =
    "  repository: mco/api\n  taskDefinition: nightly.json\n  strategy: {schedule: {rules: [nightly]}}\n";
const FILE: &str = r#"{"family": "nightly", "containerDefinitions": [{"name": "nightly", "image": "<IMAGE_NAME>", "memory": 64}]}"#;
const CLUSTER: &str = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";
const ROLE: &str = "arn:aws:iam::123456789012:role/events";
const HOUR: u64 = 3600;

/// The rule `nightly` runs aaaaaaa, which another hand has registered; aaaaaaa was declared first, and bbbbbbb is now.
fn stage() -> Stage {
    let mut stage = bare();
    let revision = register(&stage, "nightly", "aaaaaaa");
    put_rule(&stage, "nightly", &[target("nightly", &revision)]);
    stage.write(&[("nightly", "aaaaaaa", NIGHTLY)]);
    stage.write(&[("nightly", "bbbbbbb", NIGHTLY)]);
    stage
}

fn bare() -> Stage {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.files.insert("nightly.json".to_owned(), Ok(FILE.to_owned()));
    stage
}

/// A revision by another hand, with the image by tag; its ARN.
fn register(stage: &Stage, family: &str, tag: &str) -> String {
    let image = format!("{}/mco/api:{tag}", stage.account.registry());
    let container = json!({"name": "nightly", "image": image, "memory": 64});
    let input = json!({"family": family, "containerDefinitions": [container]});
    let registered = stage.call(Api::Ecs, "RegisterTaskDefinition", &input);
    registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
}

fn target(id: &str, revision: &str) -> Value {
    json!({"Id": id, "Arn": CLUSTER, "RoleArn": ROLE, "Input": "{\"containerOverrides\":[]}",
        "RetryPolicy": {"MaximumRetryAttempts": 2}, "MemberOfTomorrow": {"ratio": 0.1},
        "EcsParameters": {"TaskDefinitionArn": revision, "TaskCount": 1, "LaunchType": "EC2", "NewerYet": [1]}})
}

fn put_rule(stage: &Stage, name: &str, targets: &[Value]) {
    stage.call(Api::Events, "PutRule", &json!({"Name": name, "ScheduleExpression": "rate(1 day)"}));
    if !targets.is_empty() {
        let put = stage.call(Api::Events, "PutTargets", &json!({"Rule": name, "Targets": targets}));
        assert_eq!(put["FailedEntryCount"], 0);
    }
}

fn targets(stage: &Stage, rule: &str) -> Vec<Value> {
    let listed = stage.call(Api::Events, "ListTargetsByRule", &json!({"Rule": rule}));
    listed["Targets"].as_array().unwrap().clone()
}

/// The image that the first target of a rule runs.
fn image(stage: &Stage, rule: &str) -> String {
    let arn = targets(stage, rule)[0]["EcsParameters"]["TaskDefinitionArn"].clone();
    let described = stage.call(Api::Ecs, "DescribeTaskDefinition", &json!({"taskDefinition": arn}));
    described["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap().to_owned()
}

#[track_caller]
fn check_runs(stage: &Stage, rule: &str, commit: &str) {
    let (image, digest) = (image(stage, rule), stage.digest(commit).unwrap());
    assert!(image.ends_with(&digest), "{image} is not {commit}");
}

fn of<'s>(swept: &'s [Swept], application: &str) -> &'s Swept {
    swept.iter().find(|one| one.target.application.as_str() == application).unwrap()
}

async fn watch(stage: &Stage, running: &mut Running, seconds: u64) -> Vec<Swept> {
    running.watch(stage, seconds, |_| {}).await
}

fn calls(stage: &Stage, operation: &str) -> u64 {
    stage.account.world(Need::Clock).calls(operation)
}

#[tokio::test]
async fn a_rule_runs_what_is_declared_and_all_else_of_it_stays() {
    let stage = stage();
    let before = targets(&stage, "nightly");
    let mut running = stage.process(BTreeMap::new());
    let swept = watch(&stage, &mut running, 120).await;
    let plan = &of(&swept, "nightly").plan;
    assert_eq!(said(of(&swept, "nightly")), "Settled");
    check_runs(&stage, "nightly", "bbbbbbb");
    assert_eq!(calls(&stage, "PutTargets"), 2, "that of another hand, and one");
    let mut after = targets(&stage, "nightly");
    after[0]["EcsParameters"]["TaskDefinitionArn"] = before[0]["EcsParameters"]["TaskDefinitionArn"].clone();
    assert_eq!(after, before);
    assert_eq!((plan.status.sync, plan.status.proof), (Sync::Synced, Proof::Unproven));
    // A run of it proves it.
    assert!(stage.account.world(Need::Clock).fire("nightly"));
    let swept = watch(&stage, &mut running, HOUR).await;
    let status = &of(&swept, "nightly").plan.status;
    assert_eq!((status.health, status.proof), (Health::Healthy, Proof::Proven));
    assert_eq!(status.last_run.as_ref().unwrap().result, OutcomeKind::Succeeded);
}
