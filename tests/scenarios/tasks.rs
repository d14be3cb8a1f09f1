//! Tasks that run once: how often AWS was made to start one, whatever is lost, and whoever else is at it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Mutex;
use trueup::controller::SweepResult;
use trueup::model::{CauseKind, OutcomeKind, Sync, Waiting};
use trueup::plan::{Plan, Step};
use trueup_simulator::{Api, Fault, Program};

use crate::account::Need;
use crate::news::Listener;
use crate::process::{Other, Trouble};
use crate::stage::{Breaker, Running, Stage, TICK, said};

/// The specification of the service that comes after the task.
const API: &str =
    "  repository: mco/api\n  service: mco-api-{environment}\n  policy: {steady: 0s}\n  after: [migrate]\n";
const MIGRATE: &str = "  repository: mco/api\n  taskDefinition: migrate.json\n  strategy: {task: {command: {migrate: [db, migrate]}}}\n";
const FILE: &str = r#"{"family": "migrate", "containerDefinitions": [{"name": "migrate", "image": "<IMAGE_NAME>", "memory": 64}]}"#;
const HOUR: u64 = 3600;

/// The service runs aaaaaaa, the task has run for it, and both declare bbbbbbb, which is built.
async fn stage() -> Stage {
    let mut stage = bare();
    stage.write(&[("api", "aaaaaaa", API), ("migrate", "aaaaaaa", MIGRATE)]);
    let mut running = stage.process(BTreeMap::new());
    running.watch(&stage, 60, |_| {}).await;
    stage.write(&[("api", "bbbbbbb", API), ("migrate", "bbbbbbb", MIGRATE)]);
    stage
}

/// Nothing of the task has ever been seen.
fn bare() -> Stage {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.files.insert("migrate.json".to_owned(), Ok(FILE.to_owned()));
    stage
}

fn runs(stage: &Stage) -> u64 {
    stage.account.world(Need::Clock).runs_started()
}

fn program(stage: &Stage, exit_code: i64, after_seconds: u64) {
    let program = Program::Ends { exit_code, after_seconds };
    stage.account.world(Need::Faults).set_program("migrate", program);
}

fn of<'s>(swept: &'s [SweepResult], application: &str) -> &'s SweepResult {
    swept.iter().find(|one| one.target.application.as_str() == application).unwrap()
}

/// Why nothing is done for the task, or the next step.
fn said_of_task(swept: &[SweepResult]) -> String {
    said(of(swept, "migrate"))
}

/// Looks for so many seconds; what was said of the task, each thing once in a row, and the last plans.
async fn watch(stage: &Stage, running: &mut Running, seconds: u64) -> (Vec<String>, Vec<SweepResult>) {
    let mut all: Vec<String> = Vec::new();
    let see = |swept: &[SweepResult]| {
        let now = said_of_task(swept);
        let now = now.split(['(', ' ']).nth(usize::from(now.starts_with("Some("))).unwrap_or(&now).to_owned();
        if all.last() != Some(&now) {
            all.push(now);
        }
    };
    let swept = running.watch(stage, seconds, see).await;
    (all, swept)
}

/// A person's word, as `trueup retry`, `settle` and `run-task` give it.
async fn write(stage: &Stage, step: Step) {
    let mut running = stage.process(BTreeMap::new());
    running.controller.write_one(&stage.declaration, "test/migrate", step).await.unwrap();
}

async fn look(stage: &Stage) -> Plan {
    let mut running = stage.process(BTreeMap::new());
    let swept =
        running.controller.sweep(&stage.declaration, trueup::controller::Writes::Withheld, |_| true).await;
    of(&swept, "migrate").plan.clone()
}

#[tokio::test]
async fn a_task_runs_once_and_lets_its_followers_go() {
    let stage = stage().await;
    let mut running = stage.process(BTreeMap::new());
    let (mut ran, mut deployed_before) = (false, false);
    let see = |swept: &[SweepResult]| {
        let task = &of(swept, "migrate").plan;
        ran |= matches!(task.waiting, Some(Waiting::Running { .. }));
        let is_deployed = stage.service_deployments().is_some_and(|all| all.len() > 1);
        deployed_before |= task.status.sync != Sync::Synced && is_deployed;
    };
    let swept = running.watch(&stage, 300, see).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
    assert!(ran && !deployed_before, "api is deployed when the task has ended well");
    assert_eq!(stage.running(), vec![stage.digest("bbbbbbb").unwrap(); 2]);
    let last = of(&swept, "migrate").plan.status.last_deployment.clone().unwrap();
    assert_eq!(last.phase, trueup::model::Phase::Succeeded);
}

/// A service whose tasks have a network of their own, which they lend.
fn lends_its_network(stage: &Stage) {
    let image = format!("{}/mco/api:aaaaaaa", stage.account.registry());
    let definition = json!({"family": "lender", "networkMode": "awsvpc",
        "containerDefinitions": [{"name": "lender", "image": image, "memory": 64}]});
    stage.call(Api::Ecs, "RegisterTaskDefinition", &definition);
    let (_, subnets) = stage.account.network();
    let service = json!({"cluster": "mco", "serviceName": "lender", "taskDefinition": "lender", "desiredCount": 1,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": subnets}}});
    stage.call(Api::Ecs, "CreateService", &service);
    stage.advance(130);
}

#[tokio::test]
async fn a_task_borrows_its_network_from_a_service_that_is_there() {
    let like = MIGRATE.replace("{task: {", "{task: {network: {like: lender}, ");
    let file = FILE.replace("\"family\"", "\"networkMode\": \"awsvpc\", \"family\"");
    for is_there in [true, false] {
        let mut stage = Stage::new(Breaker::On);
        stage.build("bbbbbbb");
        stage.files.insert("migrate.json".to_owned(), Ok(file.clone()));
        if is_there {
            lends_its_network(&stage);
        }
        stage.write(&[("migrate", "bbbbbbb", &like)]);
        let mut running = stage.process(BTreeMap::new());
        let (_, swept) = watch(&stage, &mut running, 120).await;
        // AWS runs nothing of such a task definition without a network.
        let expected = if is_there { ("Settled", 1) } else { ("NoNetwork", 0) };
        assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), expected);
        if !is_there {
            // It goes on by itself once the service is there.
            lends_its_network(&stage);
            let (_, swept) = watch(&stage, &mut running, 240).await;
            assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
        }
    }
}

/// Who names a family alone runs whatever was registered last.
#[tokio::test]
async fn what_runs_is_the_revision_of_ours_and_not_the_newest_of_its_family() {
    let stage = stage().await;
    let mut running = stage.process(BTreeMap::new());
    let other = json!({"family": "migrate", "containerDefinitions": [{"name": "migrate", "image": "other", "memory": 64}]});
    let mut passes = 0..30;
    while runs(&stage) == 0 && passes.next().is_some() {
        stage.call(Api::Ecs, "RegisterTaskDefinition", &other);
        running.pass(&stage).await;
        stage.advance(TICK);
    }
    let listed = |status: &str| {
        let list = json!({"cluster": "mco", "family": "migrate", "desiredStatus": status});
        stage.call(Api::Ecs, "ListTasks", &list)["taskArns"].as_array().unwrap().clone()
    };
    let tasks = [listed("RUNNING"), listed("STOPPED")].concat();
    assert_eq!((tasks.len(), runs(&stage)), (1, 1));
    let described = stage.call(Api::Ecs, "DescribeTasks", &json!({"cluster": "mco", "tasks": tasks}));
    let image = described["tasks"][0]["containers"][0]["image"].as_str().unwrap();
    assert!(image.ends_with(&stage.digest("bbbbbbb").unwrap()), "{image}");
}

#[tokio::test]
async fn a_task_whose_followers_run_already_is_taken_for_done() {
    let mut stage = bare();
    stage.write(&[("api", "aaaaaaa", API), ("migrate", "aaaaaaa", MIGRATE)]);
    let mut running = stage.process(BTreeMap::new());
    let (_, swept) = watch(&stage, &mut running, 60).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 0));
    // Without anybody who comes after it, declaring a task is asking for it.
    let mut stage = bare();
    stage.write(&[("migrate", "aaaaaaa", MIGRATE)]);
    let mut running = stage.process(BTreeMap::new());
    let (_, swept) = watch(&stage, &mut running, 120).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
}

#[tokio::test]
async fn a_failed_task_is_held_with_its_followers_and_nobody_else_until_somebody_says_retry() {
    let stage = stage().await;
    program(&stage, 1, 5);
    let mut running = stage.process(BTreeMap::new());
    let (_, swept) = watch(&stage, &mut running, 300).await;
    let (task, api) = (of(&swept, "migrate"), of(&swept, "api"));
    assert_eq!((said(task).as_str(), runs(&stage)), ("Held", 1));
    let why = Waiting::Turn { why: "after test/migrate, which has failed".to_owned() };
    assert_eq!(api.plan.waiting, Some(why));
    assert_eq!(stage.running(), vec![stage.digest("aaaaaaa").unwrap(); 2]);
    assert_eq!(task.plan.status.causes[0].to_string(), "container migrate exited with 1");
    // A new process, and another one an hour later, remember it.
    stage.advance(2 * HOUR);
    let mut running = stage.process(BTreeMap::new());
    let (_, swept) = watch(&stage, &mut running, 60).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Held", 1));
    program(&stage, 0, 5);
    write(&stage, look(&stage).await.retry.unwrap()).await;
    let (_, swept) = watch(&stage, &mut running, 400).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 2));
    assert_eq!(stage.running(), vec![stage.digest("bbbbbbb").unwrap(); 2]);
}

#[tokio::test]
async fn without_a_place_it_is_asked_for_again_with_another_token() {
    let stage = stage().await;
    stage.inject(Fault::NoCapacity { reason: "RESOURCE:MEMORY".to_owned(), times: 3 });
    let mut running = stage.process(BTreeMap::new());
    let (said, swept) = watch(&stage, &mut running, 600).await;
    assert!(said.contains(&"NoCapacity".to_owned()), "{said:?}");
    assert!(of(&swept, "migrate").plan.status.causes.is_empty(), "it has found one");
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
    let asked = stage.account.world(Need::Clock).calls("RunTask");
    assert_eq!(asked, 4, "thirty seconds, a minute and two minutes apart");
}

/// While it goes on asking, and once that needs a person.
#[tokio::test]
async fn what_a_task_finds_no_place_for_is_told_with_what_is_missing() {
    let mut stage = stage().await;
    stage.write(&[("migrate", "bbbbbbb", MIGRATE)]);
    stage.inject(Fault::NoCapacity { reason: "RESOURCE:MEMORY".to_owned(), times: 100 });
    let mut running = stage.process(BTreeMap::new());
    let mut told = Listener::default();
    for seconds in [20, 1200] {
        let swept = running.watch(&stage, seconds, |swept| told.hear(swept)).await;
        let cause = &of(&swept, "migrate").plan.status.causes[0];
        let hint = cause.hint.clone().unwrap_or_default();
        assert_eq!(cause.to_string(), "no place was found for the task: RESOURCE:MEMORY");
        assert!(hint.starts_with("no instance has as much memory left"), "{hint}");
    }
    assert_eq!(runs(&stage), 0);
    let alert = told.alerts.iter().find(|alert| alert.event.name() == "reconcile.stalled");
    let causes = alert.map(|alert| alert.causes.clone());
    assert_eq!(causes.unwrap()[0].kind, CauseKind::Placement, "{:?}", told.events());
}

#[tokio::test]
async fn a_task_that_goes_on_for_too_long_is_stopped_once_and_has_failed() {
    let mut stage = stage().await;
    stage.account.world(Need::Faults).set_program("migrate", Program::Stays);
    let limited = MIGRATE.replace("{task: {", "{task: {timeout: 2m, ");
    stage.write(&[("api", "bbbbbbb", API), ("migrate", "bbbbbbb", &limited)]);
    let mut running = stage.process(BTreeMap::new());
    let (_, swept) = watch(&stage, &mut running, 300).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Held", 1));
    assert_eq!(stage.account.world(Need::Clock).calls("StopTask"), 1);
    let causes = &of(&swept, "migrate").plan.status.causes;
    assert_eq!(causes[0].text, "trueup: it ran for longer than 120 s", "{causes:?}");
}

#[tokio::test]
async fn what_nobody_saw_end_is_left_to_a_person() {
    let stage = stage().await;
    let mut running = stage.process(BTreeMap::new());
    watch(&stage, &mut running, 20).await;
    assert_eq!(runs(&stage), 1);
    drop(running);
    // It ends, and is forgotten by AWS, while nobody looks.
    stage.advance(90 * 24 * HOUR);
    let mut running = stage.process(BTreeMap::new());
    let (_, swept) = watch(&stage, &mut running, 60).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("OutcomeUnknown", 1));
    let why = "after test/migrate, of which nobody knows how it ended".to_owned();
    assert_eq!(of(&swept, "api").plan.waiting, Some(Waiting::Turn { why }));
    let (unsettled, again) = (look(&stage).await.unsettled.unwrap(), stage.clone());
    write(&stage, unsettled.settle(OutcomeKind::Succeeded, "seen in the log")).await;
    let (_, swept) = watch(&stage, &mut running, 300).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
    assert_eq!(stage.running(), vec![stage.digest("bbbbbbb").unwrap(); 2]);
    // However it ended, a person may have it run again.
    write(&stage, look(&stage).await.run_again.unwrap()).await;
    let (_, swept) = watch(&stage, &mut running, 300).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 2));
    // Or it is run once more.
    write(&again, look(&again).await.retry.unwrap()).await;
    let mut running = again.process(BTreeMap::new());
    let (_, swept) = watch(&again, &mut running, 300).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&again)), ("Settled", 2));
}

#[tokio::test]
async fn what_ran_before_does_not_run_again_when_it_is_declared_again() {
    let mut stage = stage().await;
    let mut running = stage.process(BTreeMap::new());
    watch(&stage, &mut running, 300).await;
    stage.write(&[("api", "aaaaaaa", API), ("migrate", "aaaaaaa", MIGRATE)]);
    let (_, swept) = watch(&stage, &mut running, 300).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1), "no way back by itself");
    assert_eq!(stage.running(), vec![stage.digest("aaaaaaa").unwrap(); 2]);
    stage.write(&[("api", "bbbbbbb", API), ("migrate", "bbbbbbb", MIGRATE)]);
    stage.advance(30 * 24 * HOUR);
    let mut running = stage.process(BTreeMap::new());
    let (_, swept) = watch(&stage, &mut running, 300).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
    // What it runs makes it another one; where it runs does not.
    let elsewhere = MIGRATE.replace("{task: {", "{task: {capacity: EC2, ");
    stage.write(&[("api", "bbbbbbb", API), ("migrate", "bbbbbbb", &elsewhere)]);
    watch(&stage, &mut running, 120).await;
    assert_eq!(runs(&stage), 1);
    let other = MIGRATE.replace("[db, migrate]", "[db, seed]");
    stage.write(&[("api", "bbbbbbb", API), ("migrate", "bbbbbbb", &other)]);
    watch(&stage, &mut running, 120).await;
    assert_eq!(runs(&stage), 2);
}

/// The task alone, which is to run for the first time.
pub fn alone() -> Stage {
    let mut stage = bare();
    stage.write(&[("migrate", "bbbbbbb", MIGRATE)]);
    program(&stage, 0, 4);
    stage
}

/// Looks until nothing more happens, and leaves who crashes alone for a while before another one comes.
async fn play(stage: &Stage, plan: BTreeMap<usize, Trouble>, away: u64) -> (String, Vec<String>) {
    let mut running = stage.process(plan);
    let (mut last, mut rests) = (String::new(), 0);
    for _ in 0..100 {
        let swept = running.pass(stage).await;
        if running.process().has_crashed() {
            stage.advance(away);
            running = stage.process(BTreeMap::new());
        } else {
            last = said_of_task(&swept);
            rests = if matches!(last.as_str(), "Settled" | "OutcomeUnknown") { rests + 1 } else { 0 };
        }
        if rests > 3 {
            break;
        }
        stage.advance(TICK);
    }
    (last, running.process().calls())
}

#[tokio::test]
async fn whatever_is_lost_and_whoever_crashes_no_attempt_has_two_tasks() {
    let stage = alone();
    let (plain, calls) = play(&stage.clone(), BTreeMap::new(), 0).await;
    assert_eq!(plain, "Settled");
    let is_write = |index: usize| crate::stage::WRITES.contains(&calls[index].as_str());
    let (soon, late) = ([600].as_slice(), [600, 50 * 60, 2 * HOUR, 3 * 24 * HOUR].as_slice());
    for (trouble, aways) in [
        (Trouble::CrashBefore, late),
        (Trouble::CrashAfter, late),
        (Trouble::LoseRequest, soon),
        (Trouble::LoseAnswer, soon),
        (Trouble::Throttle, soon),
        (Trouble::ServerError, soon),
    ] {
        for call in (0..calls.len()).filter(|index| is_write(*index)) {
            for away in aways {
                let stage = stage.clone();
                let (said, _) = play(&stage, BTreeMap::from([(call, trouble)]), *away).await;
                let place = format!("{trouble:?} at {call} ({}), back after {away} s", calls[call]);
                let ran = runs(&stage);
                assert!(ran <= 1, "{place}: {ran} tasks");
                let may_be_unknown = aways == late && *away > 45 * 60;
                match said.as_str() {
                    "Settled" => assert_eq!(ran, 1, "{place}"),
                    "OutcomeUnknown" => assert!(may_be_unknown, "{place}"),
                    other => panic!("{place}: {other}"),
                }
            }
        }
    }
}

/// A second controller, with a memory of its own.
struct Beside {
    stage: Stage,
    running: Mutex<Running>,
}

#[async_trait]
impl Other for Beside {
    async fn act(&self) {
        self.running.lock().await.pass(&self.stage).await;
    }
}

#[tokio::test]
async fn two_controllers_start_one_task_between_them() {
    let stage = alone();
    let (_, calls) = play(&stage.clone(), BTreeMap::new(), 0).await;
    let is_write =
        |index: usize| calls.get(index).is_some_and(|call| crate::stage::WRITES.contains(&call.as_str()));
    for first in (0..calls.len()).filter(|index| is_write(*index) || is_write(index + 1)) {
        // The other one has a whole pass of its own before each of these calls.
        for second in [first + 1, first + 4] {
            let stage = stage.clone();
            let beside =
                Beside { stage: stage.beside(), running: Mutex::new(stage.process(BTreeMap::new())) };
            let plan = BTreeMap::from([(first, Trouble::Elsewhere), (second, Trouble::Elsewhere)]);
            let mut running = stage.process_beside(plan, Some(Arc::new(beside)));
            let (_, swept) = watch(&stage, &mut running, 50).await;
            let place = format!("between {first} and {second}");
            assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1), "{place}");
        }
    }
}

/// Time that passes in the middle of a reading, as where the lid of a laptop is closed.
struct Sleeps {
    stage: Stage,
}

#[async_trait]
impl Other for Sleeps {
    async fn act(&self) {
        self.stage.advance(2 * 60);
    }
}

#[tokio::test]
async fn a_task_is_not_run_on_a_reading_that_is_older_than_a_minute() {
    let stage = alone();
    let (_, calls) = play(&stage.clone(), BTreeMap::new(), 0).await;
    let run = calls.iter().position(|call| call == "RunTask").unwrap();
    let sleeps = Sleeps { stage: stage.beside() };
    let plan = BTreeMap::from([(run - 1, Trouble::Elsewhere)]);
    let mut running = stage.process_beside(plan, Some(Arc::new(sleeps)));
    let (_, swept) = watch(&stage, &mut running, 60).await;
    let calls = running.process().calls();
    assert_ne!(calls[run], "RunTask", "it is read again first");
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
}

#[tokio::test]
async fn what_was_asked_for_otherwise_with_the_same_token_is_adopted() {
    let mut stage = alone();
    let (_, calls) = play(&stage.clone(), BTreeMap::new(), 0).await;
    let run = calls.iter().position(|call| call == "RunTask").unwrap();
    let mut running = stage.process(BTreeMap::from([(run, Trouble::LoseAnswer)]));
    loop {
        running.pass(&stage).await;
        if runs(&stage) > 0 {
            break;
        }
        stage.advance(TICK);
    }
    // Nobody heard of it, lists do not show it, and where it runs is declared otherwise, which makes it no other task.
    stage.inject(Fault::Stale { kind: trueup_simulator::ReadKind::Tasks, seconds: 40 });
    let elsewhere = MIGRATE.replace("{task: {", "{task: {capacity: EC2, ");
    stage.write(&[("migrate", "bbbbbbb", &elsewhere)]);
    let (_, swept) = watch(&stage, &mut running, 180).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
    assert!(
        running.process().calls().iter().filter(|call| *call == "RunTask").count() > 1,
        "it was asked for again"
    );
}

#[tokio::test]
async fn a_task_that_ends_within_a_second_has_succeeded() {
    let stage = alone();
    program(&stage, 0, 0);
    let mut running = stage.process(BTreeMap::new());
    let (_, swept) = watch(&stage, &mut running, 120).await;
    assert_eq!((said_of_task(&swept).as_str(), runs(&stage)), ("Settled", 1));
}
