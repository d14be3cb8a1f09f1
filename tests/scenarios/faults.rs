//! Every fault at every call of a promotion, and the bounds of what it may cost.
//!
//! A learning run lists the calls. Then each call is hit by each fault in a world of its own; after a crash a new
//! process with an empty memory goes on. Looks come every two virtual seconds, over rollouts of thirty looks and more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Mutex;
use trueup_simulator::Fault;

use crate::process::{Call, Kind, Other, Trouble};
use crate::stage::{Breaker, Running, Stage, TICK, WRITES, check_truth, said};

/// Virtual seconds after which everything must have come to rest.
const LONG: u64 = 400;
/// How many times in a row a process must find nothing to do once the service is at rest.
const STEADY: usize = 18;

/// A second controller, with a memory of its own.
struct Beside {
    stage: Stage,
    running: Mutex<Running>,
}

impl Beside {
    fn new(stage: &Stage) -> Arc<Self> {
        Arc::new(Self { stage: stage.beside(), running: Mutex::new(stage.process(BTreeMap::new())) })
    }
}

#[async_trait]
impl Other for Beside {
    async fn pass(&self) {
        let swept = self.running.lock().await.pass(&self.stage).await;
        check_truth(&self.stage, &swept);
    }
}

/// The end of a run.
struct End {
    said: String,
    calls: Vec<Call>,
    crashes: usize,
}

/// Runs until nothing has been done for long, starting a new process after each crash. `beside` looks as often.
async fn run(stage: &Stage, plan: BTreeMap<usize, Trouble>, beside: Option<Arc<Beside>>) -> End {
    let other = beside.clone().map(|beside| beside as Arc<dyn Other>);
    let mut running = stage.process_beside(plan, other);
    let (mut steady, mut crashes, mut calls) = (0, 0, Vec::new());
    let mut last = String::new();
    for _ in 0..LONG / TICK {
        let swept = running.pass(stage).await;
        if running.process().has_crashed() {
            crashes += 1;
            calls.extend(running.process().log());
            running = stage.process(BTreeMap::new());
        } else {
            check_truth(stage, &swept);
            let now = said(&swept[0]);
            let rests = matches!(now.as_str(), "Settled" | "Held") && stage.running().len() == 2;
            steady = if now == last && rests { steady + 1 } else { 0 };
            last = now;
        }
        if let Some(beside) = &beside {
            beside.pass().await;
        }
        if steady >= STEADY {
            break;
        }
        stage.advance(TICK);
    }
    calls.extend(running.process().log());
    End { said: last, calls, crashes }
}

/// The calls worth hitting: every write, and every call of the looks in which something was written or had just been,
/// but for those at which the trouble comes to the same as at another call or as another trouble.
fn interesting(calls: &[Call], trouble: Trouble) -> Vec<usize> {
    let is_write = |index: usize| WRITES.contains(&calls[index].operation.as_str());
    let wrote = |range: std::ops::Range<usize>| (range.start..range.end.min(calls.len())).any(is_write);
    let near = |index: usize| wrote(index.saturating_sub(14)..index + 14);
    let writes_before = |index: usize| (0..index).filter(|index| is_write(*index)).count();
    let mut left_behind = BTreeSet::new();
    let mut remembered = BTreeSet::new();
    let is_worth = |index: &usize| {
        let index = *index;
        match trouble {
            // A process that dies leaves only the world behind.
            Trouble::CrashBefore => {
                near(index) && left_behind.insert((calls[index].at, writes_before(index)))
            }
            // After a read the world is as before it, and every error of a read but throttling is a lost request to trueup.
            Trouble::CrashAfter | Trouble::LoseAnswer | Trouble::ServerError => is_write(index),
            // A world that no read remembers while it lags changes nothing; between two writes a few calls are enough.
            Trouble::Stale(kind, seconds) => {
                let reads = |call: &&Call| Kind::of(&call.operation) == Some(kind);
                let lags = |call: &&Call| call.at < calls[index].at + seconds;
                (wrote(index.saturating_sub(1)..index + 1) || index.is_multiple_of(29))
                    && calls[index..].iter().take_while(lags).any(|call| reads(&call))
                    && remembered.insert((calls[index].at, writes_before(index)))
            }
            Trouble::LoseRequest | Trouble::Throttle | Trouble::Elsewhere => near(index),
        }
    };
    (0..calls.len()).filter(is_worth).collect()
}

/// With a minute in which nothing may fail: a commit that comes up, and one that dies after AWS's success.
fn steady_stages() -> [(&'static str, Stage); 2] {
    [false, true].map(|dies| {
        let mut stage = Stage::new(Breaker::On);
        let digest = stage.build("bbbbbbb");
        if dies {
            stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 45 });
        }
        stage.environment = "  policy: {progressDeadline: 1m, steady: 1m}\n".to_owned();
        stage.declare("bbbbbbb");
        (if dies { "bad after its success" } else { "good, steady" }, stage)
    })
}

/// AWS's success is believed at once, which makes the runs short: what a fault does to a deployment is the same.
///
/// A commit that comes up, and one that fails: where ECS rolls back, where trueup does, and where CodeDeploy does before
/// and after the shift.
fn stages() -> [(&'static str, Stage); 6] {
    let stage = |breaker, crashes: bool| {
        let mut stage = Stage::new(breaker);
        let digest = stage.build("bbbbbbb");
        if crashes {
            stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
        }
        let deadline = if breaker == Breaker::Off { "1m" } else { "15m" };
        stage.environment = format!("  policy: {{progressDeadline: {deadline}, steady: 0s}}\n");
        stage.declare("bbbbbbb");
        stage
    };
    [
        ("good", stage(Breaker::On, false)),
        ("bad, breaker", stage(Breaker::On, true)),
        ("bad, deadline", stage(Breaker::Off, true)),
        ("good, codeDeploy", blue_green(None)),
        ("bad, codeDeploy", blue_green(Some("AfterAllowTestTraffic"))),
        ("bad after the shift, codeDeploy", blue_green(Some("AfterAllowTraffic"))),
    ]
}

/// A group whose old tasks end at once, so that a run is short.
fn blue_green(failing_hook: Option<&str>) -> Stage {
    let soon = json!({"blueGreenDeploymentConfiguration": {
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 0}}});
    let mut stage = Stage::blue_green(&soon);
    if let Some(event) = failing_hook {
        stage.hook(event, "check");
        stage.hook_fails("check");
    }
    stage.build("bbbbbbb");
    stage.environment = "  policy: {steady: 0s}\n".to_owned();
    stage.declare("bbbbbbb");
    stage
}

/// What one fault may cost beyond the undisturbed run.
struct Bounds {
    deployments: usize,
    revisions: usize,
}

/// Hits every interesting call of every stage with the trouble. The plain run is the measure.
async fn sweep(trouble: Trouble, most: &Bounds) {
    sweep_over(&stages(), trouble, most).await;
}

async fn sweep_over(stages: &[(&'static str, Stage)], trouble: Trouble, most: &Bounds) {
    for (name, stage) in stages {
        let plain = stage.clone();
        let learned = run(&plain, BTreeMap::new(), None).await;
        let good = name.starts_with("good");
        for index in interesting(&learned.calls, trouble) {
            let stage = stage.clone();
            let beside = (trouble == Trouble::Elsewhere).then(|| Beside::new(&stage));
            let end = run(&stage, BTreeMap::from([(index, trouble)]), beside).await;
            let place = format!("{name}: {trouble:?} at call {index}, {}", learned.calls[index].operation);
            assert_eq!(end.said, if good { "Settled" } else { "Held" }, "{place}");
            assert!(
                stage.deployments() <= plain.deployments() + most.deployments,
                "{place}: {} deployments",
                stage.deployments()
            );
            assert!(
                stage.revisions() <= plain.revisions() + most.revisions,
                "{place}: {} revisions",
                stage.revisions()
            );
            let expected = stage.digest(if good { "bbbbbbb" } else { "aaaaaaa" });
            assert_eq!(stage.digest("test"), expected, "{place}: the environment tag");
            let running = stage.running();
            assert_eq!(running.len(), 2, "{place}");
            assert!(running.iter().all(|digest| Some(digest) == expected.as_ref()), "{place}: what runs");
            assert!(end.crashes <= 1, "{place}");
        }
    }
}

const NOTHING: Bounds = Bounds { deployments: 0, revisions: 0 };
const ONE_REVISION: Bounds = Bounds { deployments: 0, revisions: 1 };

#[tokio::test]
async fn a_crash_before_a_call_costs_nothing() {
    sweep(Trouble::CrashBefore, &NOTHING).await;
}

#[tokio::test]
async fn a_crash_after_a_call_costs_at_most_one_revision() {
    sweep(Trouble::CrashAfter, &ONE_REVISION).await;
}

#[tokio::test]
async fn a_lost_answer_costs_nothing() {
    sweep(Trouble::LoseAnswer, &NOTHING).await;
}

#[tokio::test]
async fn a_lost_request_costs_nothing() {
    sweep(Trouble::LoseRequest, &NOTHING).await;
}

#[tokio::test]
async fn throttling_costs_nothing() {
    sweep(Trouble::Throttle, &NOTHING).await;
}

#[tokio::test]
async fn a_server_error_costs_nothing() {
    sweep(Trouble::ServerError, &NOTHING).await;
}

#[tokio::test]
async fn a_stale_read_inside_the_windows_costs_nothing() {
    for kind in Kind::ALL {
        sweep(Trouble::Stale(kind, 4), &NOTHING).await;
    }
}

/// Staler than any window: one more deployment of the same content at worst, and the truth in the end.
#[tokio::test]
async fn a_read_that_lags_for_long_costs_at_most_one_of_each() {
    for kind in Kind::ALL {
        sweep(Trouble::Stale(kind, 40), &Bounds { deployments: 1, revisions: 1 }).await;
    }
}

#[tokio::test]
async fn a_crash_in_the_minute_after_a_success_costs_at_most_one_revision() {
    sweep_over(&steady_stages(), Trouble::CrashAfter, &ONE_REVISION).await;
}

#[tokio::test]
async fn two_controllers_at_once_cost_at_most_one_revision() {
    sweep(Trouble::Elsewhere, &ONE_REVISION).await;
}
