//! Many services at once, 25 ms away, within the rates of AWS: what it takes in calls and in time.
//!
//! Time is tokio's and stands still while anybody works, so the seconds are exact, however slow the machine is.
//! `cargo test --test scenarios fleet -- --nocapture` prints what it comes to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use trueup::aws::{self, Budgeted, Budgets, Caller};
use trueup::controller::{Controller, Writes};
use trueup::model::Sync;
use trueup::ports::{Place, Ports, Reach};
use trueup_simulator::Api;

use crate::process::{Process, WorldClock};
use crate::stage::{Breaker, Stage};

const AWAY: Duration = Duration::from_millis(25);

/// Reaches the world within the rates of AWS.
struct Paced {
    process: Process,
    budgets: Budgets,
}

impl Reach for Paced {
    fn ports(&self, place: &Place) -> Ports {
        let process: Arc<dyn Caller> = Arc::new(self.process.clone());
        let caller: Arc<dyn Caller> = Arc::new(Budgeted::new(place.clone(), process, self.budgets.clone()));
        aws::ports(&caller)
    }
}

struct Fleet {
    stage: Stage,
    process: Process,
    budgets: Budgets,
    controller: Controller,
    names: Vec<(String, String)>,
}

impl Fleet {
    /// So many services of one task that run commit aaaaaaa.
    fn new(services: usize, environment: &str) -> Self {
        let mut stage = Stage::new(Breaker::On);
        let world = stage.account.shared();
        environment.clone_into(&mut stage.environment);
        stage.build("bbbbbbb");
        let name = |number| {
            let specification = format!(
                "  repository: mco/api\n  service: fleet-{number}\n  environmentTag: fleet-{number}\n"
            );
            (format!("fleet{number}"), specification)
        };
        let names: Vec<(String, String)> = (0..services).map(name).collect();
        for number in 0..services {
            let containers = json!([{"name": "api", "image": format!("{}/mco/api:aaaaaaa", crate::stage::REGISTRY), "memory": 128}]);
            let family = format!("fleet-{number}");
            stage.tag("aaaaaaa", &family);
            stage.call(
                Api::Ecs,
                "RegisterTaskDefinition",
                &json!({"family": family, "containerDefinitions": containers}),
            );
            let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
            let service = json!({"cluster": "mco", "serviceName": family, "taskDefinition": family,
                "desiredCount": 1, "deploymentConfiguration": breaker});
            stage.call(Api::Ecs, "CreateService", &service);
        }
        stage.advance(200);
        let process = Process::far_away(&world, AWAY);
        let budgets = Budgets::default();
        let reach = Paced { process: process.clone(), budgets: budgets.clone() };
        let clock = Arc::new(WorldClock(world));
        let controller = Controller::new(Box::new(reach), Box::new(stage.commits.clone()), clock);
        let mut fleet = Self { stage, process, budgets, controller, names };
        fleet.declare("aaaaaaa");
        fleet
    }

    fn declare(&mut self, commit: &str) {
        let all: Vec<(&str, &str, &str)> =
            self.names.iter().map(|(name, text)| (name.as_str(), commit, text.as_str())).collect();
        self.stage.write(&all);
    }

    /// Looks at whom it is time to look at, once.
    async fn round(&mut self) {
        let due = self.controller.due(&self.stage.declaration);
        let declaration = &self.stage.declaration;
        self.controller.sweep(declaration, Writes::Allowed, |target| due.contains(target)).await;
        tokio::time::sleep(self.controller.rest().max(Duration::from_millis(10))).await;
        self.process.catch_up();
    }

    /// Until all run what is declared; the seconds it took.
    async fn settle(&mut self) -> u64 {
        let began = Instant::now();
        loop {
            self.round().await;
            if self.controller.statuses().all(|one| one.sync == Sync::Synced && one.waiting.is_some())
                && self.controller.statuses().count() == self.names.len()
            {
                return began.elapsed().as_secs();
            }
            assert!(began.elapsed() < Duration::from_hours(1), "{:?}", self.waiting());
        }
    }

    fn waiting(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for status in self.controller.statuses() {
            *all.entry(format!("{:?} {:?}", status.sync, status.waiting)).or_default() += 1;
        }
        all
    }
}

#[expect(clippy::print_stdout, reason = "a measurement is read by people")]
fn print(what: &str, seconds: u64, calls: &[String]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(call).or_default() += 1;
    }
    println!("{what}: {seconds} s, {} calls: {counts:?}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_promotes_many_keeps_within_the_rates_and_takes_little_longer_than_the_registrations() {
    const SERVICES: usize = 60;
    let mut fleet = Fleet::new(SERVICES, &format!("  rollout: {{maxInFlight: {SERVICES}}}\n"));
    let cold = fleet.settle().await;
    print("the first look at 60 services and a rest", cold, &fleet.process.calls());
    assert!(fleet.process.calls().len() < 2 * SERVICES);
    let before = fleet.process.calls().len();
    fleet.declare("bbbbbbb");
    let seconds = fleet.settle().await;
    let calls = fleet.process.calls().split_off(before);
    print("60 services promoted in one merge", seconds, &calls);
    let made = |operation: &str| calls.iter().filter(|call| *call == operation).count();
    assert_eq!((made("RegisterTaskDefinition"), made("UpdateService")), (SERVICES, SERVICES));
    // 18 at once, and the others at 0.9 a second; then a rollout and its minute.
    let registrations = (SERVICES - 18) * 10 / 9;
    assert!((registrations..registrations + 180).contains(&usize::try_from(seconds).unwrap()), "{seconds}");
    assert!(calls.len() < 40 * SERVICES, "{}", calls.len());
    // The first ones do not wait for the last ones.
    let log = fleet.process.log().split_off(before);
    let updated = log.iter().find(|call| call.operation == "UpdateService").unwrap().at;
    assert!(updated - log[0].at < 30, "{} s", updated - log[0].at);
    let refused: u64 = fleet.budgets.costs().iter().map(|(.., cost)| cost.refusals).sum();
    assert_eq!(refused, 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_costs_little_and_takes_the_slot_that_becomes_free() {
    const SERVICES: usize = 20;
    let mut fleet = Fleet::new(SERVICES, "  rollout: {maxInFlight: 2}\n");
    fleet.settle().await;
    let before = fleet.process.calls().len();
    fleet.declare("bbbbbbb");
    let seconds = fleet.settle().await;
    let calls = fleet.process.calls().split_off(before);
    print("20 services promoted two at a time", seconds, &calls);
    // Ten rounds of a rollout and its minute.
    assert!(seconds < 10 * 160, "{seconds}");
    assert!(calls.len() < 70 * SERVICES, "{}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_newer_head_stops_the_writes_of_a_merge_that_promotes_many() {
    let mut fleet = Fleet::new(40, "  rollout: {maxInFlight: 40}\n");
    fleet.settle().await;
    let before = fleet.process.calls().len();
    fleet.declare("bbbbbbb");
    let process = fleet.process.clone();
    let written = move || {
        let calls = process.calls();
        let writes = calls[before..]
            .iter()
            .filter(|call| ["RegisterTaskDefinition", "UpdateService"].contains(&call.as_str()));
        writes.count()
    };
    let is_newest = AtomicBool::new(true);
    let look = || is_newest.load(Ordering::Relaxed);
    let sweep =
        fleet.controller.sweep_while(&fleet.stage.declaration, Writes::Allowed, |_| true, &look, |_| ());
    let merge = async {
        while written() < 12 {
            tokio::time::sleep(AWAY).await;
        }
        is_newest.store(false, Ordering::Relaxed);
        // What is on its way by now arrives.
        tokio::time::sleep(AWAY).await;
        written()
    };
    let (swept, by_then) = tokio::join!(sweep, merge);
    assert!((12..30).contains(&by_then), "{by_then}");
    assert_eq!(written(), by_then, "nothing more is written for what is no longer declared");
    assert_eq!(swept.len(), 40);
    assert_eq!(fleet.controller.rest(), Duration::ZERO, "and who was left is looked at next");
}
