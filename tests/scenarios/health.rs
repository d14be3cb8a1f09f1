//! Health without a deployment: a service that ran well begins to fail, and recovers.

use std::collections::BTreeMap;

use serde_json::json;
use trueup::model::{Health, Sync};
use trueup_simulator::{Api, Fault};

use crate::news::Listener;
use crate::stage::{Breaker, SERVICE, Stage, said};

/// Runs commit aaaaaaa, which another hand has deployed long ago.
fn old() -> Stage {
    let stage = Stage::new(Breaker::On);
    stage.advance(4000);
    stage
}

#[tokio::test]
async fn a_service_whose_tasks_begin_to_die_is_degraded_and_recovers_each_told_once_with_causes() {
    for after_seconds in [20, 100] {
        let stage = old();
        let mut running = stage.process(BTreeMap::new());
        let mut told = Listener::default();
        running.watch(&stage, 60, |swept| told.hear(swept)).await;
        let before = stage.writes();
        let digest = stage.digest("aaaaaaa").unwrap();
        stage.inject(Fault::Crash { digest, exit_code: 137, after_seconds });
        let last = running.watch(&stage, 600, |swept| told.hear(swept)).await;
        assert_eq!(said(&last[0]), "Settled", "there is nothing to deploy");
        let status = &last[0].plan.status;
        assert_eq!((status.sync, status.health), (Sync::Synced, Health::Degraded));
        assert_eq!(status.conditions[0].reason, "Degraded");
        assert!(status.causes[0].text.contains("exited with 137"), "{:?}", status.causes);
        assert_eq!(told.events(), ["service.degraded"], "{after_seconds}");
        assert!(told.alerts[0].causes[0].text.contains("exited with 137"), "{:?}", told.alerts[0]);
        stage.heal();
        running.watch(&stage, 900, |swept| told.hear(swept)).await;
        assert_eq!(told.events(), ["service.degraded", "service.recovered"], "{after_seconds}");
        assert_eq!(stage.writes(), before);
    }
}

#[tokio::test]
async fn a_new_process_finds_a_failing_service_degraded_too() {
    let stage = old();
    let digest = stage.digest("aaaaaaa").unwrap();
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 20 });
    stage.advance(300);
    let mut told = Listener::default();
    let last = stage.process(BTreeMap::new()).watch(&stage, 20, |swept| told.hear(swept)).await;
    assert_eq!(told.events(), ["service.degraded"]);
    assert_eq!(last[0].plan.status.health, Health::Degraded);
}

#[tokio::test]
async fn tasks_that_are_scaled_or_stopped_by_hand_degrade_nothing() {
    let stage = old();
    let mut running = stage.process(BTreeMap::new());
    let mut told = Listener::default();
    for count in [5, 1, 3] {
        stage.update(&json!({"desiredCount": count}));
        running.watch(&stage, 120, |swept| told.hear(swept)).await;
    }
    let list = json!({"cluster": "mco", "serviceName": SERVICE});
    let task = stage.call(Api::Ecs, "ListTasks", &list)["taskArns"][0].clone();
    stage.call(Api::Ecs, "StopTask", &json!({"cluster": "mco", "task": task}));
    running.watch(&stage, 300, |swept| told.hear(swept)).await;
    assert!(told.alerts.is_empty(), "{:?}", told.events());
}

#[tokio::test]
async fn what_comes_after_a_service_without_tasks_waits_for_its_first_healthy_one() {
    let mut stage = Stage::new(Breaker::On);
    let second =
        json!({"cluster": "mco", "serviceName": "second", "taskDefinition": "mco-api:1", "desiredCount": 1});
    stage.call(Api::Ecs, "CreateService", &second);
    stage.update(&json!({"desiredCount": 0}));
    stage.advance(60);
    stage.build("bbbbbbb");
    let first = "  repository: mco/api\n  service: mco-api-{environment}\n";
    let second = "  repository: mco/api\n  service: second\n  environmentTag: second\n  after: [api]\n";
    stage.write(&[("api", "aaaaaaa", first), ("second", "aaaaaaa", second)]);
    stage.write(&[("api", "bbbbbbb", first), ("second", "bbbbbbb", second)]);
    let mut running = stage.process(BTreeMap::new());
    let last = running.watch(&stage, 300, |_| ()).await;
    assert_eq!((said(&last[0]).as_str(), said(&last[1]).as_str()), ("Settled", "Turn"));
    assert_eq!(last[0].plan.status.health, Health::Suspended);
    stage.update(&json!({"desiredCount": 1}));
    let last = running.watch(&stage, 1000, |_| ()).await;
    assert_eq!((said(&last[0]).as_str(), said(&last[1]).as_str()), ("Settled", "Settled"));
    assert_eq!(stage.digest("second"), stage.digest("bbbbbbb"));
}
