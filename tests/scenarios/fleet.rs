//! Many services at once, 25 ms away, within the rates of AWS: what it takes in calls and in time.
//!
//! Time is tokio's and stands still while anybody works, so the seconds are exact, however slow the machine is.
//! `cargo test --test scenarios fleet -- --nocapture` prints what it comes to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use trueup::aws::{self, Budgeted, Budgets, Caller, Category};
use trueup::controller::{Controller, Writes};
use trueup::model::{InfraCommit, Sync};
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
    controller: Controller,
    names: Vec<(String, String)>,
}

impl Fleet {
    /// So many services of one task that run commit aaaaaaa.
    fn new(services: usize, environment: &str) -> Self {
        let mut stage = Stage::new(Breaker::On);
        environment.clone_into(&mut stage.environment);
        stage.build("bbbbbbb");
        let name = |number| {
            let specification = format!("  repository: mco/api\n  service: fleet-{number}\n  environmentTag: fleet-{number}\n");
            (format!("fleet{number}"), specification)
        };
        let names: Vec<(String, String)> = (0..services).map(name).collect();
        for number in 0..services {
            let containers = json!([{"name": "api", "image": format!("{}/mco/api:aaaaaaa", crate::stage::REGISTRY), "memory": 128}]);
            let family = format!("fleet-{number}");
            stage.call(Api::Ecs, "RegisterTaskDefinition", &json!({"family": family, "containerDefinitions": containers}));
            let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
            let service = json!({"cluster": "mco", "serviceName": family, "taskDefinition": family,
                "desiredCount": 1, "deploymentConfiguration": breaker});
            stage.call(Api::Ecs, "CreateService", &service);
        }
        stage.advance(200);
        let process = Process::far_away(&stage.account.shared(), AWAY);
        let reach = Paced { process: process.clone(), budgets: Budgets::default() };
        let clock = Arc::new(WorldClock(stage.account.shared()));
        let controller = Controller::new(Box::new(reach), Box::new(stage.commits.clone()), clock);
        let mut fleet = Self { stage, process, controller, names };
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
        println!("{} due, rest {:?} {:?}", due.len(), self.controller.rest(), self.waiting());
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
            assert!(began.elapsed() < Duration::from_mins(20), "{:?}", self.waiting());
        }
    }

    fn waiting(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for status in self.controller.statuses() {
            *all.entry(format!("{:?} {:?}", status.sync, status.waiting)).or_default() += 1;
        }
        all
    }

    fn calls(&self) -> usize {
        self.process.log().len()
    }
}

#[tokio::test(start_paused = true)]
async fn promotion() {
    for services in [100] {
        let mut fleet = Fleet::new(services, &format!("  rollout: {{maxInFlight: {services}}}\n"));
        let cold = fleet.settle().await;
        println!("cold {cold} s, {} calls", fleet.calls());
        let before = fleet.calls();
        fleet.declare("bbbbbbb");
        let seconds = fleet.settle().await;
        println!("promoted in {seconds} s, {} calls", fleet.calls() - before);
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for call in &fleet.process.calls()[before..] {
            *counts.entry(call.clone()).or_default() += 1;
        }
        println!("{counts:#?}");
    }
}
