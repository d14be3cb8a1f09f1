//! What things cost in calls to AWS. The counts are exact, so they are asserted; `docs/performance.md` repeats them.
//!
//! `cargo test --test scenarios frugality -- --nocapture` prints them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use trueup_simulator::Api;

use crate::native::{blue_green, pause, with};
use crate::stage::{Breaker, Running, Stage, TICK, said};

/// Calls by operation, and how many in all.
fn counted(running: &Running, from: usize) -> (BTreeMap<String, usize>, usize) {
    let calls = running.process().calls();
    let mut counts = BTreeMap::new();
    for call in &calls[from..] {
        *counts.entry(call.clone()).or_default() += 1;
    }
    (counts, calls.len() - from)
}

#[expect(clippy::print_stdout, reason = "a measurement is read by people")]
fn print(what: &str, counts: &BTreeMap<String, usize>, all: usize) {
    println!("{what}: {all} calls");
    for (operation, count) in counts {
        println!("  {count:>6} {operation}");
    }
}

/// Looks when something is due, as `trueup run` does.
pub async fn run_as_due(running: &mut Running, stage: &Stage, seconds: u64) -> String {
    let mut last = String::new();
    for _ in 0..seconds / TICK {
        let due = running.controller.due(&stage.declaration);
        let swept = running
            .controller
            .sweep(&stage.declaration, trueup::controller::Writes::Allowed, |target| due.contains(target))
            .await;
        if let Some(one) = swept.first() {
            last = said(one);
        }
        stage.advance(TICK);
    }
    last
}

#[tokio::test]
async fn one_promotion() {
    let mut stage = Stage::new(Breaker::On);
    let mut running = stage.process(BTreeMap::new());
    run_as_due(&mut running, &stage, 60).await;
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let before = running.process().calls().len();
    assert_eq!(run_as_due(&mut running, &stage, 180).await, "Settled");
    let (counts, all) = counted(&running, before);
    print("one promotion, from the commit until three minutes later", &counts, all);
    assert_eq!(counts["RegisterTaskDefinition"] + counts["UpdateService"] + counts["PutImage"], 3);
    assert_eq!(all, 68);
}

#[tokio::test]
async fn one_blue_green_promotion() {
    let mut stage = Stage::blue_green(&json!({}));
    let mut running = stage.process(BTreeMap::new());
    run_as_due(&mut running, &stage, 60).await;
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let before = running.process().calls().len();
    assert_eq!(run_as_due(&mut running, &stage, 720).await, "Settled");
    let (counts, all) = counted(&running, before);
    print(
        "one blue/green promotion with five minutes of termination wait and five of draining, until twelve minutes later",
        &counts,
        all,
    );
    assert_eq!(counts["RegisterTaskDefinition"] + counts["CreateDeployment"] + counts["PutImage"], 3);
    assert_eq!(all, 193);
}

/// An hour: half of it with a tenth of the traffic, half of it with all. Nothing is to be seen in a bake, so it costs hardly more than
/// a rolling deployment that is over by then.
#[tokio::test]
async fn one_canary_of_an_hour() {
    let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 30,
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 30}});
    let mut found = Vec::new();
    for mut stage in [Stage::new(Breaker::On), Stage::native(&canary, true)] {
        let mut running = stage.process(BTreeMap::new());
        run_as_due(&mut running, &stage, 60).await;
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        let before = running.process().calls().len();
        assert_eq!(run_as_due(&mut running, &stage, 4200).await, "Settled");
        let (counts, all) = counted(&running, before);
        print("70 minutes, with a rolling deployment, and with a canary of an hour", &counts, all);
        assert_eq!(counts["RegisterTaskDefinition"] + counts["UpdateService"] + counts["PutImage"], 3);
        found.push(all);
    }
    assert_eq!(found, [254, 221]);
}

/// A day in which nobody answers: it is looked at once a minute whether somebody has.
#[tokio::test]
async fn one_pause_of_a_day() {
    let asks = with(blue_green(), &[pause("PRE_SCALE_UP", 24 * 60, "ROLLBACK")]);
    let mut stage = Stage::native(&asks, true);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    run_as_due(&mut running, &stage, 120).await;
    let before = running.process().calls().len();
    assert_eq!(run_as_due(&mut running, &stage, 3600).await, "Deploying");
    let (counts, all) = counted(&running, before);
    print("an hour of a pause", &counts, all);
    assert_eq!(all, 151);
}

/// A task of a minute, and the next commit of the service that comes after it is not asked for.
#[tokio::test]
async fn one_task() {
    let stage = crate::tasks::alone();
    let mut running = stage.process(BTreeMap::new());
    assert_eq!(run_as_due(&mut running, &stage, 180).await, "Settled");
    let (counts, all) = counted(&running, 0);
    print("one task, until three minutes later", &counts, all);
    assert_eq!(counts["RegisterTaskDefinition"] + counts["RunTask"], 2);
    assert_eq!(all, 48);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_services_that_rest() {
    const SERVICES: usize = 1000;
    let mut stage = Stage::new(Breaker::On);
    let names: Vec<(String, String)> = (0..SERVICES)
        .map(|number| {
            (format!("fleet{number}"), format!("  repository: mco/api\n  service: fleet-{number}\n"))
        })
        .collect();
    for number in 0..SERVICES {
        let service = json!({"cluster": "mco", "serviceName": format!("fleet-{number}"), "taskDefinition": "mco-api:1", "desiredCount": 1});
        stage.call(Api::Ecs, "CreateService", &service);
    }
    stage.advance(60);
    let applications: Vec<(&str, &str, &str)> =
        names.iter().map(|(name, text)| (name.as_str(), "aaaaaaa", text.as_str())).collect();
    stage.write(&applications);
    let mut running = stage.process_far_away(Duration::from_millis(25));
    let began = Instant::now();
    running.pass(&stage).await;
    let (counts, cold) = counted(&running, 0);
    let seconds = began.elapsed().as_secs();
    print(&format!("the first look at 1,000 services 25 ms away, in {seconds} s"), &counts, cold);
    let before = running.process().calls().len();
    running.pass(&stage).await;
    let (counts, warm) = counted(&running, before);
    print("the second look", &counts, warm);
    assert_eq!(warm, SERVICES / 10);
    assert!(cold < SERVICES * 7 / 10, "{cold}");
    assert!(seconds < 6, "{seconds}");
}
