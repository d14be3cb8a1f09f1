//! What is frozen is looked at and never written to.

use std::collections::BTreeMap;

use serde_json::json;
use trueup::model::{Commit, Health, Sync, Waiting};
use trueup_simulator::Fault;

use crate::stage::{Breaker, Stage};

/// The application of the stage, with a key that does not exist.
const BROKEN: &str = "  repository: mco/api\n  service: mco-api-{environment}\n  polizy: {}\n";

/// A new process tells the truth for a minute, and writes nothing.
async fn check(stage: &Stage, runs: &str) {
    let before = stage.writes();
    let mut process = stage.process(BTreeMap::new());
    let mut last = None;
    for _ in 0..30 {
        last = process.pass(stage).await.pop();
        stage.advance(2);
    }
    let plan = last.unwrap().plan;
    assert_eq!(
        (plan.waiting, plan.status.sync, plan.status.declared),
        (Some(Waiting::Frozen), Sync::Unknown, None)
    );
    assert_eq!(plan.status.running[0].commits, [Commit::new(runs)]);
    assert_eq!((plan.retry, plan.approval, plan.accept_history, plan.outlook), (None, None, None, None));
    assert_eq!(stage.writes(), before);
}

#[tokio::test]
async fn a_frozen_application_shows_what_runs_and_is_not_healed() {
    let mut stage = Stage::new(Breaker::On);
    stage.environment = "  policy: {drift: heal}\n".to_owned();
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    stage.process(BTreeMap::new()).run(&stage, 160).await;
    stage.write_broken(&[("api", "bbbbbbb", BROKEN)]);
    check(&stage, "bbbbbbb").await;
    let other = stage.register("aaaaaaa");
    stage.update(&json!({"taskDefinition": other}));
    stage.advance(120);
    check(&stage, "aaaaaaa").await;
}

/// Without a breaker trueup itself would record the failure and go back.
#[tokio::test]
async fn what_fails_while_it_is_frozen_is_not_undone() {
    let mut stage = Stage::new(Breaker::Off);
    let digest = stage.build("bbbbbbb");
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    stage.declare("bbbbbbb");
    stage.process(BTreeMap::new()).run(&stage, 20).await;
    stage.write_broken(&[("api", "bbbbbbb", BROKEN)]);
    let before = stage.writes();
    let mut process = stage.process(BTreeMap::new());
    for _ in 0..40 {
        process.pass(&stage).await;
        stage.advance(60);
    }
    assert_eq!(stage.writes(), before);
}

#[tokio::test]
async fn a_deleted_service_is_missing() {
    let stage = Stage::new(Breaker::On);
    let delete = json!({"cluster": "mco", "service": "mco-api-test", "force": true});
    stage.call(trueup_simulator::Api::Ecs, "DeleteService", &delete);
    for _ in 0..3 {
        let swept = stage.process(BTreeMap::new()).pass(&stage).await;
        let status = &swept[0].plan.status;
        assert_eq!((status.health, status.sync), (Health::Missing, Sync::OutOfSync), "{status:#?}");
        stage.advance(600);
    }
}
