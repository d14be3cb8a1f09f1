//! A declared count, and an autoscaler that may set it too.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use trueup::controller::SweepResult;
use trueup_simulator::{Api, Fault};

use crate::account::Need;
use crate::stage::{Breaker, SERVICE, Stage, said};

const HEAL: &str = "  policy: {drift: heal}\n";

/// A service that runs commit aaaaaaa, with this count declared in YAML; bbbbbbb and ccccccc are built.
fn stage(policy: &str, count: &str) -> Stage {
    let mut stage = Stage::new(Breaker::On);
    stage.environment = policy.to_owned();
    stage.application = declaring(count);
    stage.build("bbbbbbb");
    stage.build("ccccccc");
    stage
}

fn declaring(count: &str) -> String {
    format!("  repository: mco/api\n  service: {SERVICE}\n  serviceSettings: {{desiredCount: {count}}}\n")
}

/// Application Auto Scaling looks after the service from now on.
fn register_target(stage: &Stage, least: u32, most: u32) {
    let target = json!({"ServiceNamespace": "ecs", "ResourceId": format!("service/mco/{SERVICE}"),
        "ScalableDimension": "ecs:service:DesiredCount", "MinCapacity": least, "MaxCapacity": most});
    stage.call(Api::Scaling, "RegisterScalableTarget", &target);
}

fn autoscale(stage: &Stage, count: u64) {
    assert!(stage.account.world(Need::Faults).autoscale("mco", SERVICE, count));
    stage.advance(60);
}

fn deny(stage: &Stage) {
    stage.inject(Fault::Deny { operation: "DescribeScalableTargets".to_owned(), times: u32::MAX });
}

fn live_count(stage: &Stage) -> Value {
    let asked = json!({"cluster": "mco", "services": [SERVICE]});
    stage.call(Api::Ecs, "DescribeServices", &asked)["services"][0]["desiredCount"].clone()
}

/// The service rests where it should, with this many tasks.
#[track_caller]
fn check(stage: &Stage, swept: &SweepResult, commit: &str, count: u32) {
    assert_eq!(said(swept), "Settled", "{:#?}", swept.plan);
    assert_eq!(live_count(stage), count);
    stage.check_runs(SERVICE, commit);
}

/// What is found about the declared count.
fn findings(swept: &SweepResult) -> Vec<&str> {
    swept.plan.findings.iter().map(|finding| finding.message.as_str()).collect()
}

#[tokio::test]
async fn the_count_of_an_autoscaled_service_is_never_changed() {
    for policy in ["", HEAL] {
        let mut stage = stage(policy, "2");
        register_target(&stage, 2, 10);
        autoscale(&stage, 5);
        for commit in ["bbbbbbb", "ccccccc"] {
            stage.declare(commit);
            let mut running = stage.process(BTreeMap::new());
            // Every look on the way, not only the last.
            running.watch(&stage, 300, |_| assert_eq!(live_count(&stage), 5)).await;
            let swept = running.run(&stage, 60).await;
            check(&stage, &swept, commit, 5);
            assert_eq!(
                findings(&swept),
                [format!(
                    "an autoscaler sets the count of {SERVICE} between 2 and 10, and the declared count of 2 is left to it"
                )]
            );
        }
        let mut running = stage.process(BTreeMap::new());
        running.run(&stage, 10).await;
        autoscale(&stage, 8);
        let swept = running.run(&stage, 900).await;
        check(&stage, &swept, "ccccccc", 8);
        assert_eq!(swept.plan.differences, [], "no difference is left");
    }
}

#[tokio::test]
async fn an_autoscaler_that_came_a_moment_ago_is_seen_before_the_next_write() {
    let mut stage = stage("", "2");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 300).await;
    register_target(&stage, 2, 10);
    autoscale(&stage, 5);
    stage.declare("ccccccc");
    let swept = running.run(&stage, 300).await;
    check(&stage, &swept, "ccccccc", 5);
}

#[tokio::test]
async fn without_an_autoscaler_a_declared_count_is_sent_and_guarded() {
    for (policy, said_then, count_then) in [("", "Drifted", 2), (HEAL, "Settled", 3)] {
        let mut stage = stage(policy, "3");
        stage.declare("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        let swept = running.run(&stage, 300).await;
        check(&stage, &swept, "bbbbbbb", 3);
        assert_eq!(findings(&swept), [""; 0]);
        stage.update(&json!({"desiredCount": 2}));
        let swept = running.run(&stage, 300).await;
        assert_eq!((said(&swept).as_str(), live_count(&stage)), (said_then, json!(count_then)));
    }
}

#[tokio::test]
async fn a_count_within_declared_bounds_is_left_alone_and_one_outside_is_brought_to_the_nearest() {
    for with_target in [false, true] {
        let mut stage = stage(HEAL, "{min: 2, max: 4}");
        if with_target {
            register_target(&stage, 1, 10);
        }
        stage.update(&json!({"desiredCount": 3}));
        stage.advance(60);
        stage.declare("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        let swept = running.run(&stage, 300).await;
        check(&stage, &swept, "bbbbbbb", 3);
        assert_eq!(findings(&swept).len(), usize::from(with_target), "two owners bound the count");
        for (count, expected) in [(4, 4), (6, 4), (2, 2), (1, 2)] {
            stage.update(&json!({"desiredCount": count}));
            let swept = running.run(&stage, 300).await;
            check(&stage, &swept, "bbbbbbb", expected);
        }
    }
}

#[tokio::test]
async fn outside_of_declared_bounds_is_drift_and_the_next_deployment_brings_it_back() {
    let mut stage = stage("", "{max: 4}");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    let swept = running.run(&stage, 300).await;
    check(&stage, &swept, "bbbbbbb", 2);
    stage.update(&json!({"desiredCount": 6}));
    let swept = running.run(&stage, 120).await;
    assert_eq!((said(&swept).as_str(), live_count(&stage)), ("Drifted", json!(6)));
    stage.declare("ccccccc");
    let swept = running.run(&stage, 300).await;
    check(&stage, &swept, "ccccccc", 4);
}

#[tokio::test]
async fn who_may_not_ask_for_the_autoscaler_deploys_all_the_same_and_says_so() {
    for (count, live) in [("2", 5), ("{min: 2, max: 4}", 4)] {
        let mut stage = stage("", count);
        register_target(&stage, 2, 10);
        autoscale(&stage, 5);
        deny(&stage);
        stage.declare("bbbbbbb");
        let swept = stage.process(BTreeMap::new()).run(&stage, 300).await;
        check(&stage, &swept, "bbbbbbb", live);
        let found = findings(&swept).join(" ");
        assert!(found.starts_with("it could not be told whether an autoscaler sets the count"), "{found}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_autoscaler_is_asked_for_many_services_at_once_and_only_where_a_count_is_declared() {
    let mut stage = Stage::new(Breaker::On);
    let application = |number: usize, settings: &str| {
        format!("  repository: mco/api\n  service: fleet-{number}\n{settings}")
    };
    let applications: Vec<(String, String)> = (0..60)
        .map(|number| {
            let service = json!({"cluster": "mco", "serviceName": format!("fleet-{number}"),
                "taskDefinition": "mco-api:1", "desiredCount": 1});
            stage.call(Api::Ecs, "CreateService", &service);
            let settings = if number < 40 { "  serviceSettings: {desiredCount: 1}\n" } else { "" };
            (format!("fleet{number}"), application(number, settings))
        })
        .collect();
    stage.advance(130);
    let declared: Vec<(&str, &str, &str)> =
        applications.iter().map(|(name, text)| (name.as_str(), "aaaaaaa", text.as_str())).collect();
    stage.write(&declared);
    let mut running = stage.process_far_away(Duration::from_millis(25));
    let asked = |calls: &[String]| calls.iter().filter(|call| *call == "DescribeScalableTargets").count();
    running.pass(&stage).await;
    let first = asked(&running.process().calls());
    assert!((1..=4).contains(&first), "{first} calls for 40 services of 60");
    running.pass(&stage).await;
    assert_eq!(asked(&running.process().calls()), first);
}
