//! Applications of one environment that owe each other something: a shared tag, limits, an order.

use std::collections::BTreeMap;

use serde_json::json;
use trueup::controller::SweepResult;
use trueup_simulator::{Api, Fault};

use crate::stage::{Breaker, Running, Stage, TICK};

fn of(service: &str, more: &str) -> String {
    format!("  repository: mco/api\n  service: {service}\n{more}")
}

/// Beside `mco-api-test`, these services of one task, all on commit aaaaaaa; commit bbbbbbb is built.
fn stage(services: &[&str]) -> Stage {
    let stage = Stage::new(Breaker::On);
    for service in services {
        let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
        let input = json!({"cluster": "mco", "serviceName": service, "taskDefinition": "mco-api:1", "desiredCount": 1, "deploymentConfiguration": breaker});
        stage.call(Api::Ecs, "CreateService", &input);
    }
    stage.advance(60);
    stage.build("bbbbbbb");
    stage
}

/// How many services have a deployment in flight.
fn in_flight(stage: &Stage, services: &[&str]) -> usize {
    let input = json!({"cluster": "mco", "services": services});
    let described = stage.call(Api::Ecs, "DescribeServices", &input);
    let services = described["services"].as_array().unwrap();
    let moving = |service: &&serde_json::Value| {
        service["deployments"].as_array().unwrap().iter().any(|one| one["rolloutState"] == "IN_PROGRESS")
    };
    services.iter().filter(moving).count()
}

/// Looks for so many seconds; the most that were in flight at once.
async fn run(stage: &Stage, running: &mut Running, services: &[&str], seconds: u64) -> usize {
    let mut most = 0;
    running.watch(stage, seconds, |_| most = most.max(in_flight(stage, services))).await;
    most
}

#[tokio::test]
async fn a_shared_tag_does_not_move_before_the_last_one_has_succeeded() {
    let mut stage = stage(&["mco-worker-test"]);
    let (api, worker) = (of("mco-api-test", ""), of("mco-worker-test", ""));
    stage.write(&[("api", "bbbbbbb", &api), ("worker", "aaaaaaa", &worker)]);
    let mut running = stage.process(BTreeMap::new());
    run(&stage, &mut running, &["mco-worker-test"], 300).await;
    // api has succeeded on bbbbbbb; now worker is to follow, and nobody has looked at it since.
    stage.write(&[("api", "bbbbbbb", &api), ("worker", "bbbbbbb", &worker)]);
    let see = |_: &[SweepResult]| {
        if stage.digest("test") == stage.digest("bbbbbbb") {
            stage.check_runs("mco-worker-test", "bbbbbbb");
        }
    };
    running.watch(&stage, 300, see).await;
    assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"));
}

#[tokio::test]
async fn no_more_deployments_go_on_at_once_than_the_environment_allows() {
    let names = ["one", "two", "three", "four"];
    let mut stage = stage(&names);
    stage.environment = "  rollout: {maxInFlight: 2}\n".to_owned();
    let specifications: Vec<String> =
        names.iter().map(|name| of(name, &format!("  environmentTag: {name}\n"))).collect();
    for commit in ["aaaaaaa", "bbbbbbb"] {
        let applications = names.iter().zip(&specifications);
        let applications: Vec<_> = applications.map(|(name, text)| (*name, commit, text.as_str())).collect();
        stage.write(&applications);
    }
    let mut running = stage.process(BTreeMap::new());
    assert_eq!(run(&stage, &mut running, &names, 500).await, 2);
    for name in names {
        assert_eq!(stage.digest(name), stage.digest("bbbbbbb"), "{name}");
    }
}

#[tokio::test]
async fn a_new_process_sees_the_failures_of_all_before_it_starts_anything() {
    let names = ["one", "two"];
    let mut stage = stage(&names);
    stage.environment = "  rollout: {stopAfterFailures: 1}\n".to_owned();
    let (one, two) = (of("one", "  environmentTag: one\n"), of("two", "  environmentTag: two\n"));
    let digest = stage.build("ccccccc");
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    stage.write(&[("one", "aaaaaaa", &one), ("two", "aaaaaaa", &two)]);
    stage.write(&[("one", "aaaaaaa", &one), ("two", "ccccccc", &two)]);
    run(&stage, &mut stage.process(BTreeMap::new()), &names, 600).await;
    let before = stage.writes();
    // `one` comes before `two`, which is held.
    stage.write(&[("one", "bbbbbbb", &one), ("two", "ccccccc", &two)]);
    run(&stage, &mut stage.process(BTreeMap::new()), &names, 60).await;
    assert_eq!(stage.writes(), before);
}

#[tokio::test]
async fn what_comes_first_is_there_before_the_next_begins() {
    let names = ["first", "second"];
    let mut stage = stage(&names);
    let first = of("first", "  environmentTag: first\n");
    let second = of("second", "  environmentTag: second\n  after: [first]\n");
    stage.write(&[("second", "aaaaaaa", &second), ("first", "aaaaaaa", &first)]);
    stage.write(&[("second", "bbbbbbb", &second), ("first", "bbbbbbb", &first)]);
    // Nobody asked for `first`: it is looked at because `second` depends on it.
    let mut only = stage.process(BTreeMap::new());
    for _ in 0..30 {
        let wanted = |target: &trueup::model::Target| target.application.as_str() == "second";
        let writes = trueup::controller::Writes::Allowed;
        only.controller.sweep(&stage.declaration, writes, wanted).await;
        stage.advance(TICK);
    }
    assert_eq!(in_flight(&stage, &names), 0);
    assert_eq!(run(&stage, &mut stage.process(BTreeMap::new()), &names, 400).await, 1);
    assert_eq!(stage.digest("second"), stage.digest("bbbbbbb"));
}

#[tokio::test]
async fn a_controller_without_anything_to_look_at_rests() {
    let mut stage = Stage::new(Breaker::On);
    let mut running = stage.process(BTreeMap::new());
    for applications in [&[][..], &[("api", "aaaaaaa", "  service: {}\n")]] {
        stage.write_broken(applications);
        let due = running.controller.due(&stage.declaration);
        let writes = trueup::controller::Writes::Allowed;
        running.controller.sweep(&stage.declaration, writes, |target| due.contains(target)).await;
        assert!(running.controller.rest().as_secs() > 10, "{applications:?}");
    }
}
