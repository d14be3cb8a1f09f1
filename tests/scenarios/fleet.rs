//! Many services at once, 25 ms away, within the rates of AWS: what it takes in calls and in time.
//!
//! Time is tokio's and stands still while anybody works, so the seconds are exact, however slow the machine is.
//! `cargo test --test scenarios fleet -- --nocapture` prints what it comes to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use trueup::archive::Archive;
use trueup::aws::{self, Budgeted, Budgets, Caller};
use trueup::controller::{Controller, Writes};
use trueup::model::{Status, Sync};
use trueup::ports::{Place, Ports, Reach};
use trueup_simulator::Api;

use crate::process::{Process, WorldClock};
use crate::stage::{Breaker, Stage};

const AWAY: Duration = Duration::from_millis(25);
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Reaches the world within the rates of AWS.
struct Paced {
    process: Process,
    budgets: Budgets,
    archive: Archive,
}

impl Reach for Paced {
    fn ports(&self, place: &Place) -> Ports {
        let process: Arc<dyn Caller> = Arc::new(self.process.clone());
        let caller: Arc<dyn Caller> = Arc::new(Budgeted::new(place.clone(), process, self.budgets.clone()));
        aws::ports(&caller, &self.archive)
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
    /// So many services of one task that run commit [`A`], each with a repository and a task definition of its own.
    fn new(services: usize, environment: &str) -> Self {
        let mut stage = Stage::new(Breaker::On);
        // Fails at once where there is no simulated world, before anything is created.
        drop(stage.account.shared());
        environment.clone_into(&mut stage.environment);
        let name = |number| {
            (format!("fleet{number}"), format!("  repository: fleet-{number}\n  service: fleet-{number}\n"))
        };
        let names: Vec<(String, String)> = (0..services).map(name).collect();
        for number in 0..services {
            let name = format!("fleet-{number}");
            stage.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": name}));
            for commit in [A, B] {
                stage.build_in(&name, "amd64", commit);
            }
            stage.tag_in(&name, A, "test");
            let image = format!("{}/{name}:{A}", crate::stage::REGISTRY);
            let containers = json!([{"name": "api", "image": image, "memory": 128}]);
            let definition = json!({"family": name, "containerDefinitions": containers});
            stage.call(Api::Ecs, "RegisterTaskDefinition", &definition);
            let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
            let service = json!({"cluster": "mco", "serviceName": name, "taskDefinition": name,
                "desiredCount": 1, "deploymentConfiguration": breaker});
            stage.call(Api::Ecs, "CreateService", &service);
        }
        stage.advance(200);
        let (process, budgets, controller) = start(&stage, Archive::default());
        let mut fleet = Self { stage, process, budgets, controller, names };
        fleet.declare(A);
        fleet
    }

    /// Another process takes the place of this one.
    fn restart(&mut self, archive: Archive) {
        (self.process, self.budgets, self.controller) = start(&self.stage, archive);
    }

    /// The first look of this process: the seconds it took, in tenths, and its calls.
    async fn first_look(&mut self) -> (u128, Vec<String>) {
        let began = Instant::now();
        self.controller.sweep(&self.stage.declaration, Writes::Withheld, |_| true).await;
        (began.elapsed().as_millis() / 100, self.process.calls())
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

    /// Registrations and deployments so far.
    fn made(&self) -> usize {
        let writes = ["RegisterTaskDefinition", "UpdateService"];
        self.process.calls().iter().filter(|call| writes.contains(&call.as_str())).count()
    }

    /// Looks until so many writes are made, and then knows of a newer head; how many were made when the last of them has arrived.
    async fn until_made(&mut self, writes: usize) -> usize {
        let (process, controller) = (self.process.clone(), &mut self.controller);
        let made = || {
            let of = ["RegisterTaskDefinition", "UpdateService"];
            process.calls().iter().filter(|call| of.contains(&call.as_str())).count()
        };
        let is_newest = || made() < writes;
        while is_newest() {
            let due = controller.due(&self.stage.declaration);
            let declaration = &self.stage.declaration;
            controller
                .sweep_while(declaration, Writes::Allowed, |target| due.contains(target), &is_newest, |_| ())
                .await;
            tokio::time::sleep(controller.rest().max(Duration::from_millis(10))).await;
            process.catch_up();
        }
        let arrived = self.made();
        // Those that were on their way when the head was known.
        assert!(arrived < writes + 20, "{arrived}");
        arrived
    }

    async fn rounds(&mut self, how_long: Duration) {
        let began = Instant::now();
        while began.elapsed() < how_long {
            self.round().await;
        }
    }

    fn service(&self, number: usize) -> Value {
        let asked = json!({"cluster": "mco", "services": [format!("fleet-{number}")]});
        self.stage.call(Api::Ecs, "DescribeServices", &asked)["services"][0].clone()
    }

    fn deployments_of(&self, number: usize) -> usize {
        let asked = json!({"cluster": "mco", "service": format!("fleet-{number}")});
        let list = self.stage.call(Api::Ecs, "ListServiceDeployments", &asked);
        list["serviceDeployments"].as_array().unwrap().len()
    }

    /// Whether the tag of the environment is on the image of this commit, and what is live names it.
    fn runs(&self, number: usize, commit: &str) -> bool {
        let repository = format!("fleet-{number}");
        let digest = |tag: &str| {
            let ids = json!({"repositoryName": repository, "imageIds": [{"imageTag": tag}]});
            self.stage.call(Api::Ecr, "DescribeImages", &ids)["imageDetails"][0]["imageDigest"].clone()
        };
        let live = json!({"taskDefinition": self.service(number)["taskDefinition"]});
        let live = self.stage.call(Api::Ecs, "DescribeTaskDefinition", &live);
        let image = live["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap().to_owned();
        let built = digest(commit);
        digest("test") == built && (image.ends_with(commit) || image.ends_with(built.as_str().unwrap()))
    }

    /// Without the times, which go on.
    fn said(&self) -> Vec<String> {
        let said = |one: &Status| {
            let Status { target, sync, health, deployed, running, hold, .. } = one;
            format!("{target} {sync:?} {health:?} {deployed:?} {running:?} {hold:?}")
        };
        self.controller.statuses().map(said).collect()
    }

    fn waiting(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for status in self.controller.statuses() {
            *all.entry(format!("{:?} {:?}", status.sync, status.waiting)).or_default() += 1;
        }
        all
    }
}

fn start(stage: &Stage, archive: Archive) -> (Process, Budgets, Controller) {
    let world = stage.account.shared();
    let process = Process::far_away(&world, AWAY);
    let budgets = Budgets::default();
    let reach = Paced { process: process.clone(), budgets: budgets.clone(), archive };
    let clock = Arc::new(WorldClock(world));
    (process, budgets, Controller::new(Box::new(reach), Box::new(stage.commits.clone()), clock))
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
    assert!(fleet.process.calls().len() <= SERVICES * 5 / 2);
    let before = fleet.process.calls().len();
    fleet.declare(B);
    let seconds = fleet.settle().await;
    let calls = fleet.process.calls().split_off(before);
    print("60 services promoted in one merge", seconds, &calls);
    let made = |operation: &str| calls.iter().filter(|call| *call == operation).count();
    assert_eq!((made("RegisterTaskDefinition"), made("UpdateService")), (SERVICES, SERVICES));
    // 18 at once, and the others at 0.9 a second; then a rollout and its minute.
    let registrations = (SERVICES - 18) * 10 / 9;
    assert!((registrations..registrations + 180).contains(&usize::try_from(seconds).unwrap()), "{seconds}");
    assert!(calls.len() < 46 * SERVICES, "{}", calls.len());
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
    fleet.declare(B);
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
    fleet.declare(B);
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

/// Every service has a task definition of its own, and AWS answers twenty questions about them a second.
#[tokio::test(start_paused = true)]
async fn a_first_look_at_a_thousand_services_keeps_within_the_rates_and_is_quick_with_the_folder_of_an_earlier_one()
 {
    const SERVICES: usize = 1000;
    let mut fleet = Fleet::new(SERVICES, "");
    let folder = tempfile::tempdir().unwrap();
    let archive = || Archive::open(folder.path(), "simulated");
    fleet.restart(archive());
    let (tenths, calls) = fleet.first_look().await;
    print("the first look at 1,000 services", u64::try_from(tenths / 10).unwrap(), &calls);
    assert!(tenths <= 750, "{tenths}");
    assert!(calls.len() * 2 <= SERVICES * 5, "{}", calls.len());
    let said = fleet.said();
    fleet.restart(archive());
    let (tenths, calls) = fleet.first_look().await;
    print("the same with the folder of an earlier process", u64::try_from(tenths / 10).unwrap(), &calls);
    assert!(tenths <= 100, "{tenths}");
    assert!(!calls.contains(&"DescribeTaskDefinition".to_owned()));
    assert_eq!(fleet.said(), said);
    let refused: u64 = fleet.budgets.costs().iter().map(|(.., cost)| cost.refusals).sum();
    assert_eq!(refused, 0);
}

/// Somebody changes their mind three times while a merge of many is under way.
#[tokio::test(start_paused = true)]
async fn a_suspend_a_better_commit_and_a_revert_each_stop_a_promotion_of_three_hundred_where_it_is() {
    const SERVICES: usize = 300;
    const BETTER: &str = "cccccccccccccccccccccccccccccccccccccccc";
    const ROLLOUT: &str = "  rollout: {maxInFlight: 300}\n";
    let mut fleet = Fleet::new(SERVICES, ROLLOUT);
    for number in 0..SERVICES {
        fleet.stage.build_in(&format!("fleet-{number}"), "amd64", BETTER);
    }
    fleet.settle().await;
    let before = fleet.made();
    fleet.declare(B);
    let promoted = fleet.until_made(before + 80).await;

    fleet.stage.environment =
        format!("{ROLLOUT}  suspend: {{reason: a moment, until: 2100-01-01T00:00:00Z}}\n");
    fleet.declare(B);
    fleet.rounds(Duration::from_mins(2)).await;
    assert_eq!(fleet.made(), promoted, "nothing is registered or deployed during the suspension");

    ROLLOUT.clone_into(&mut fleet.stage.environment);
    fleet.declare(BETTER);
    let better = fleet.until_made(promoted + 80).await;

    fleet.declare(A);
    let seconds = fleet.settle().await;
    let reverted = fleet.made() - better;
    let moved = (0..SERVICES).filter(|number| fleet.deployments_of(*number) > 1).count();
    print(&format!("{moved} of 300 services moved and back again"), seconds, &fleet.process.calls());
    // A registration and a deployment each, for those alone that had begun to move.
    assert!(moved <= 80 && reverted <= 2 * moved, "{moved} {reverted}");
    assert!((0..SERVICES).all(|number| fleet.runs(number, A)));
}
