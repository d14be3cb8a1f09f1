//! Success is steady: what AWS calls successful is believed once its tasks have run for a while without a failure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::{Outcome, SweepResult};
use trueup::model::{Health, Phase, Status, Sync};
use trueup::plan::Step;
use trueup_simulator::{Api, Fault, ReadKind};

use crate::news::Listener;
use crate::stage::{Breaker, SERVICE, Stage, TICK, said};

/// A group whose old tasks end at once: CodeDeploy says that a deployment succeeded as soon as the traffic has shifted.
pub fn at_once() -> Value {
    json!({"blueGreenDeploymentConfiguration": {
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 0}}})
}

/// Declares commit bbbbbbb, whose tasks die so many seconds after each start.
fn declare_dying(stage: &mut Stage, after_seconds: u64) {
    let digest = stage.build("bbbbbbb");
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds });
    stage.environment = "  policy: {progressDeadline: 2m}\n".to_owned();
    stage.declare("bbbbbbb");
}

fn status(swept: &[SweepResult]) -> &Status {
    &swept[0].plan.status
}

/// Nobody was told at any time that what dies has succeeded.
#[track_caller]
fn check_no_false_success(stage: &Stage, swept: &[SweepResult]) {
    let status = status(swept);
    assert_ne!(status.sync, Sync::Synced, "{:?}", status.conditions);
    assert!(
        status
            .last_deployment
            .as_ref()
            .is_none_or(|last| { last.phase != Phase::Succeeded || last.commit.is_none() })
    );
    assert_eq!(stage.digest("test"), stage.digest("aaaaaaa"), "the environment tag");
}

/// It ends held and rolled back, after so many deployments; each end is told once, and why.
async fn check_failure(stage: &Stage, deployments: usize, cause: &str) {
    let mut running = stage.process(BTreeMap::new());
    let mut told = Listener::default();
    let see = |swept: &[SweepResult]| {
        check_no_false_success(stage, swept);
        told.hear(swept);
    };
    let last = running.watch(stage, 480, see).await;
    assert_eq!(said(&last[0]), "Held");
    stage.check_deployments(deployments);
    stage.check_runs(SERVICE, "aaaaaaa");
    // With CodeDeploy all traffic was on it at first.
    told.alerts.retain(|alert| alert.event.name() != "traffic.shifted");
    assert_eq!(told.events(), ["deployment.started", "deployment.rolled_back", "commit.held"]);
    for alert in &told.alerts[1..] {
        assert!(alert.causes.iter().any(|known| known.text.contains(cause)), "{alert:?}");
    }
    // Another process knows as much, and does as little.
    let again = stage.process(BTreeMap::new()).run(stage, 60).await;
    assert_eq!((said(&again).as_str(), stage.revisions()), ("Held", 2));
    let status = again.plan.status;
    assert!(status.causes.iter().any(|known| known.text.contains(cause)), "{:?}", status.causes);
    assert_eq!(status.health, Health::Healthy);
    stage.check_deployments(deployments);
}

#[tokio::test]
async fn a_commit_whose_tasks_die_after_its_success_is_held_and_rolled_back() {
    for (breaker, after) in [(Breaker::On, 45), (Breaker::Off, 45), (Breaker::On, 60)] {
        let mut stage = Stage::new(breaker);
        declare_dying(&mut stage, after);
        check_failure(&stage, 3, "exited with 1").await;
    }
}

#[tokio::test]
async fn the_first_deployment_by_codedeploy_whose_tasks_die_is_held_and_rolled_back() {
    for after in [20, 45, 60] {
        let mut stage = Stage::blue_green(&at_once());
        declare_dying(&mut stage, after);
        check_failure(&stage, 2, "exited with 1").await;
    }
}

#[tokio::test]
async fn a_failure_without_a_breaker_is_told_as_with_one() {
    for (breaker, after) in [(Breaker::On, 0), (Breaker::Off, 0), (Breaker::Off, 20)] {
        let mut stage = Stage::new(breaker);
        declare_dying(&mut stage, after);
        let deployments = if breaker == Breaker::On { 2 } else { 3 };
        check_failure(&stage, deployments, "exited with 1").await;
    }
}

#[tokio::test]
async fn a_failure_that_is_left_is_told_and_held() {
    let mut stage = Stage::new(Breaker::On);
    let digest = stage.build("bbbbbbb");
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 45 });
    stage.environment = "  policy: {progressDeadline: 2m, onFailure: leave}\n".to_owned();
    stage.declare("bbbbbbb");
    let mut told = Listener::default();
    let last = stage.process(BTreeMap::new()).watch(&stage, 400, |swept| told.hear(swept)).await;
    assert_eq!(said(&last[0]), "Held");
    stage.check_deployments(2);
    assert_eq!(told.events(), ["deployment.started", "deployment.failed", "commit.held"]);
    assert!(told.alerts[1].causes[0].text.contains("exited with 1"), "{:?}", told.alerts[1]);
}

#[tokio::test]
async fn a_success_is_told_and_tagged_after_a_minute_also_by_processes_that_die() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let mut succeeded_for = 0;
    for _ in 0..60 {
        // Each knows nothing of the one before.
        let mut running = stage.process(BTreeMap::new());
        running.run(&stage, 4).await;
        let list = json!({"cluster": "mco", "service": SERVICE});
        let newest = stage.call(Api::Ecs, "ListServiceDeployments", &list)["serviceDeployments"][0].clone();
        let by_aws = stage.deployments() == 2 && newest["status"] == "SUCCESSFUL";
        succeeded_for += if by_aws { 4 } else { 0 };
        let tagged = stage.digest("test") == stage.digest("bbbbbbb");
        assert!(!tagged || succeeded_for >= 60, "tagged after {succeeded_for} s");
    }
    assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"));
    stage.check_deployments(2);
}

#[tokio::test]
async fn what_a_person_or_the_scheduler_stops_makes_no_success_a_failure() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    running.until(&stage, |_, swept| said(swept) == "Settling").await;
    let list = json!({"cluster": "mco", "serviceName": SERVICE});
    let task = stage.call(Api::Ecs, "ListTasks", &list)["taskArns"][0].clone();
    stage.call(Api::Ecs, "StopTask", &json!({"cluster": "mco", "task": task}));
    stage.update(&json!({"desiredCount": 1}));
    let last = running.run(&stage, 90).await;
    assert_eq!(said(&last), "Settled");
    assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"));
}

#[tokio::test]
async fn a_newer_commit_does_not_wait_for_one_that_goes_on_dying() {
    for blue_green in [false, true] {
        let mut stage = if blue_green { Stage::blue_green(&at_once()) } else { Stage::new(Breaker::On) };
        declare_dying(&mut stage, 45);
        let mut running = stage.process(BTreeMap::new());
        running.until(&stage, |_, swept| said(swept) == "Settling").await;
        stage.build("ccccccc");
        stage.declare("ccccccc");
        let last = running.run(&stage, 280).await;
        assert_eq!(said(&last), "Settled", "codeDeploy: {blue_green}");
        assert_eq!(stage.digest("test"), stage.digest("ccccccc"));
    }
}

#[tokio::test]
async fn a_rollback_between_two_looks_is_found_out_where_the_list_of_deployments_stays_silent() {
    let mut stage = Stage::new(Breaker::On);
    declare_dying(&mut stage, 0);
    stage.inject(Fault::Stale { kind: ReadKind::ServiceDeployments, seconds: 100_000 });
    let mut running = stage.process(BTreeMap::new());
    for _ in 0..24 {
        let swept = running.pass(&stage).await;
        // Until the next look all is over.
        let is_started = matches!(swept[0].outcome, Outcome::Wrote(Step::Deploy { .. }));
        stage.advance(if is_started { 900 } else { TICK });
    }
    let last = running.pass(&stage).await;
    assert_eq!((said(&last[0]).as_str(), stage.revisions()), ("Held", 2));
    let another = stage.process(BTreeMap::new()).run(&stage, 600).await;
    assert_eq!((said(&another).as_str(), stage.revisions()), ("Held", 2));
    stage.heal();
    assert_eq!((said(&running.run(&stage, 60).await).as_str(), stage.deployments()), ("Held", 4));
    assert_eq!(stage.digest("test"), stage.digest("aaaaaaa"));
}

#[tokio::test]
async fn a_rollback_is_believed_where_the_list_of_deployments_stays_silent() {
    let mut stage = Stage::new(Breaker::On);
    declare_dying(&mut stage, 0);
    stage.inject(Fault::Stale { kind: ReadKind::ServiceDeployments, seconds: 100_000 });
    let mut running = stage.process(BTreeMap::new());
    let last = running.run(&stage, 600).await;
    assert_eq!((said(&last).as_str(), stage.revisions()), ("Held", 2));
    let retry = last.plan.retry.unwrap();
    stage.process(BTreeMap::new()).controller.write_one(&stage.declaration, "test/api", retry).await.unwrap();
    let last = running.run(&stage, 600).await;
    assert_eq!((said(&last).as_str(), stage.revisions()), ("Held", 2));
    // Now it speaks: one deployment, and the one that was asked for.
    stage.heal();
    assert_eq!((said(&running.run(&stage, 60).await).as_str(), stage.deployments()), ("Held", 3));
    assert_eq!(stage.digest("test"), stage.digest("aaaaaaa"));
}
