//! Every fault at every call of a promotion, and the bounds of what it may cost.
//!
//! A learning run lists the calls. Then each call is hit by each fault in a world of its own; after a crash a new
//! process with an empty memory goes on. Looks come every two virtual seconds, over rollouts of thirty looks and more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use trueup_simulator::{Api, Fault};

use crate::process::{Call, Kind, Other, Trouble};
use crate::stage::{Breaker, Running, Stage, TICK, WRITES, check_truth, said};
use crate::steady::at_once;

/// Virtual seconds after which everything must have come to rest.
const LONG: u64 = 400;
/// How many times in a row a process must find nothing to do once the service is at rest.
const STEADY: usize = 18;

/// A second controller, with a memory of its own.
pub struct Beside {
    stage: Stage,
    running: Mutex<Running>,
}

impl Beside {
    pub fn new(stage: &Stage) -> Arc<Self> {
        Arc::new(Self { stage: stage.beside(), running: Mutex::new(stage.process(BTreeMap::new())) })
    }
}

#[async_trait]
impl Other for Beside {
    async fn act(&self) {
        let swept = self.running.lock().await.pass(&self.stage).await;
        check_truth(&self.stage, &swept);
    }

    async fn look(&self) {
        self.act().await;
    }
}

/// The end of a run.
pub struct End {
    pub said: String,
    pub calls: Vec<Call>,
    crashes: usize,
}

/// Runs until nothing has been done for long, starting a new process after each crash. `other` looks as often, and acts
/// between two processes.
pub async fn run(stage: &Stage, plan: BTreeMap<usize, Trouble>, other: Option<Arc<dyn Other>>) -> End {
    let mut running = stage.process_beside(plan, other.clone());
    let (mut steady, mut crashes, mut calls) = (0, 0, Vec::new());
    let mut last = String::new();
    for _ in 0..LONG / TICK {
        let swept = running.pass(stage).await;
        if running.process().has_crashed() {
            crashes += 1;
            calls.extend(running.process().log());
            running = stage.process(BTreeMap::new());
            if let Some(other) = &other {
                other.act().await;
            }
        } else {
            check_truth(stage, &swept);
            let now = said(&swept[0]);
            let rests = matches!(now.as_str(), "Settled" | "Held" | "Drifted") && stage.running().len() == 2;
            steady = if now == last && rests { steady + 1 } else { 0 };
            last = now;
        }
        if let Some(other) = &other {
            other.look().await;
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
            Trouble::LoseRequest | Trouble::Throttle | Trouble::Elsewhere | Trouble::Hang => near(index),
        }
    };
    (0..calls.len()).filter(is_worth).collect()
}

/// A world in which something was just declared, and what it must come to.
pub struct Case {
    pub name: &'static str,
    pub stage: Stage,
    is_good: bool,
}

impl Case {
    fn good(name: &'static str, stage: Stage) -> Self {
        Self { name, stage, is_good: true }
    }

    fn bad(name: &'static str, stage: Stage) -> Self {
        Self { is_good: false, ..Self::good(name, stage) }
    }

    /// It came to rest as it must, the tag tells of it, and it cost no more than the plain run and a little.
    #[track_caller]
    fn check(&self, stage: &Stage, end: &End, plain: &Stage, most: &Bounds, place: &str) {
        let (said, runs) = if self.is_good { ("Settled", "bbbbbbb") } else { ("Held", "aaaaaaa") };
        assert_eq!(end.said, said, "{place}");
        check_rest(stage, runs, place);
        let (deployments, revisions) = (stage.deployments(), stage.registered());
        assert!(deployments <= plain.deployments() + most.deployments, "{place}: {deployments} deployments");
        assert!(revisions <= plain.registered() + most.revisions, "{place}: {revisions} revisions");
        assert!(end.crashes <= 1, "{place}");
    }
}

/// Two tasks of this commit run, and the environment tag is on it.
#[track_caller]
pub fn check_rest(stage: &Stage, commit: &str, place: &str) {
    let expected = stage.digest(commit);
    assert_eq!(stage.digest("test"), expected, "{place}: the environment tag");
    let running = stage.running();
    assert_eq!(running.len(), 2, "{place}");
    assert!(running.iter().all(|digest| Some(digest) == expected.as_ref()), "{place}: what runs");
}

/// AWS's success is believed at once, which makes the runs short: what a fault does to a deployment is the same.
///
/// A commit that comes up, and one that fails: where ECS rolls back, where trueup does, and where CodeDeploy does before
/// and after the shift.
fn cases() -> [Case; 6] {
    let bad = Case::bad;
    [
        Case::good("good", rolling(Breaker::On, None)),
        bad("bad, breaker", rolling(Breaker::On, Some(0))),
        bad("bad, deadline", rolling(Breaker::Off, Some(0))),
        Case::good("good, codeDeploy", blue_green(None)),
        bad("bad, codeDeploy", blue_green(Some("AfterAllowTestTraffic"))),
        bad("bad after the shift, codeDeploy", blue_green(Some("AfterAllowTraffic"))),
    ]
}

/// With a minute in which nothing may fail: a commit that comes up, and one that dies after AWS's success.
fn steady_cases() -> [Case; 2] {
    let steady = |mut stage: Stage| {
        stage.environment = "  policy: {progressDeadline: 1m, steady: 1m}\n".to_owned();
        stage.declare("bbbbbbb");
        stage
    };
    [
        Case::good("good, steady", steady(rolling(Breaker::On, None))),
        Case::bad("bad after its success", steady(rolling(Breaker::On, Some(45)))),
    ]
}

/// A canary that waits for a word before its shift, a linear shift that comes up, and one whose last check fails.
fn native_cases() -> [Case; 3] {
    let short = |strategy: &str, more: Value| {
        let mut configuration = json!({"strategy": strategy, "bakeTimeInMinutes": 0});
        configuration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut stage = Stage::native(&configuration, true);
        stage.build("bbbbbbb");
        stage.environment = "  policy: {steady: 0s}\n".to_owned();
        stage.declare("bbbbbbb");
        stage
    };
    let linear = json!({"stepPercent": 50.0, "stepBakeTimeInMinutes": 0});
    let canary = json!({"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1});
    let pause = json!([{"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}]);
    let fails = json!([{"targetType": "AWS_LAMBDA", "hookTargetArn": "arn:aws:lambda:eu-west-2:123456789012:function:check",
        "roleArn": "arn:aws:iam::123456789012:role/ecs", "lifecycleStages": ["POST_PRODUCTION_TRAFFIC_SHIFT"]}]);
    let bad = short("LINEAR", json!({"linearConfiguration": linear, "lifecycleHooks": fails}));
    bad.hook_fails("check");
    [
        Case::good(
            "good, canary",
            short("CANARY", json!({"canaryConfiguration": canary, "lifecycleHooks": pause})),
        ),
        Case::good("good, linear", short("LINEAR", json!({"linearConfiguration": linear}))),
        Case::bad("bad, linear", bad),
    ]
}

/// Somebody who approves whatever waits, and a second controller beside, if there is one.
struct Approver {
    stage: Stage,
    beside: Option<Arc<dyn Other>>,
}

#[async_trait]
impl Other for Approver {
    async fn act(&self) {
        if let Some(beside) = &self.beside {
            beside.act().await;
        }
    }

    async fn look(&self) {
        let newest = self.stage.newest();
        let all = newest["lifecycleHookDetails"].as_array().cloned().unwrap_or_default();
        for pause in all.iter().filter(|pause| pause["status"] == "AWAITING_ACTION") {
            let answer =
                json!({"serviceDeploymentArn": newest["serviceDeploymentArn"], "hookId": pause["hookId"]});
            self.stage.call(Api::Ecs, "ContinueServiceDeployment", &answer);
        }
        if let Some(beside) = &self.beside {
            beside.look().await;
        }
    }
}

/// Nothing that trueup does answers a pause, and nothing is started over traffic that is divided.
#[track_caller]
fn check_shift(stage: &Stage, calls: &[Call], place: &str) {
    assert!(calls.iter().all(|call| call.operation != "ContinueServiceDeployment"), "{place}");
    for one in stage.described_deployments() {
        let share = &one["targetServiceRevision"]["requestedProductionTrafficWeight"];
        assert!(one["status"] != "STOPPED" || *share == 0.0 || *share == 100.0, "{place}: {one}");
    }
}

async fn sweep_native(trouble: Trouble, most: &Bounds) {
    for case in &native_cases() {
        let approver = |stage: &Stage, beside| -> Option<Arc<dyn Other>> {
            Some(Arc::new(Approver { stage: stage.beside(), beside }))
        };
        let plain = case.stage.clone();
        let learned = run(&plain, BTreeMap::new(), approver(&plain, None)).await;
        case.check(&plain, &learned, &plain, &NOTHING, case.name);
        for index in interesting(&learned.calls, trouble) {
            let stage = case.stage.clone();
            let beside = (trouble == Trouble::Elsewhere).then(|| Beside::new(&stage) as Arc<dyn Other>);
            let end = run(&stage, BTreeMap::from([(index, trouble)]), approver(&stage, beside)).await;
            let place =
                format!("{}: {trouble:?} at call {index}, {}", case.name, learned.calls[index].operation);
            check_shift(&stage, &end.calls, &place);
            case.check(&stage, &end, &plain, most, &place);
        }
    }
}

/// In a family with sixty revisions of another pipeline.
fn crowded_cases() -> [Case; 3] {
    let crowded = |stage: Stage| {
        (0..60).for_each(|_| drop(stage.register("aaaaaaa")));
        stage
    };
    [
        Case::good("good, crowded", crowded(rolling(Breaker::On, None))),
        Case::bad("bad, crowded", crowded(rolling(Breaker::Off, Some(0)))),
        Case::good("good, codeDeploy, crowded", crowded(blue_green(None))),
    ]
}

/// Commit bbbbbbb, whose tasks end so many seconds after each start if they do.
pub fn rolling(breaker: Breaker, dies_after: Option<u64>) -> Stage {
    let mut stage = Stage::new(breaker);
    stage.build("bbbbbbb");
    if let Some(seconds) = dies_after {
        crash(&mut stage, seconds);
    }
    let deadline = if breaker == Breaker::Off { "1m" } else { "15m" };
    stage.environment = format!("  policy: {{progressDeadline: {deadline}, steady: 0s}}\n");
    stage.declare("bbbbbbb");
    stage
}

fn crash(stage: &mut Stage, after_seconds: u64) {
    let digest = stage.digest("bbbbbbb").unwrap();
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds });
}

/// Commit bbbbbbb by a group whose old tasks end at once, so that a run is short.
fn blue_green(failing_hook: Option<&str>) -> Stage {
    let mut stage = Stage::blue_green(&at_once());
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

/// Hits every interesting call of every case with the trouble. The plain run is the measure.
async fn sweep(trouble: Trouble, most: &Bounds) {
    sweep_over(&cases(), trouble, most).await;
}

async fn sweep_over(cases: &[Case], trouble: Trouble, most: &Bounds) {
    for case in cases {
        let plain = case.stage.clone();
        let learned = run(&plain, BTreeMap::new(), None).await;
        for index in interesting(&learned.calls, trouble) {
            let stage = case.stage.clone();
            let beside = (trouble == Trouble::Elsewhere).then(|| Beside::new(&stage) as Arc<dyn Other>);
            let end = run(&stage, BTreeMap::from([(index, trouble)]), beside).await;
            let place =
                format!("{}: {trouble:?} at call {index}, {}", case.name, learned.calls[index].operation);
            case.check(&stage, &end, &plain, most, &place);
        }
    }
}

/// Another pipeline registers, and a clean-up job keeps the newest five: nothing of ours, if it comes at the wrong moment.
struct CleanUp(Stage);

#[async_trait]
impl Other for CleanUp {
    async fn act(&self) {
        (0..6).for_each(|_| drop(self.0.register("aaaaaaa")));
        self.0.deregister_old(5);
    }
}

/// Hits the calls that tell of revisions, or write, with the trouble; the clean-up comes right after it. What reads
/// something else sees nothing of it. What the clean-up took is registered once more: what is declared, and where that
/// fails what was good before.
async fn sweep_with_clean_up(trouble: Trouble) {
    for case in &crowded_cases() {
        let plain = case.stage.clone();
        let learned = run(&plain, BTreeMap::new(), None).await;
        let tells = |index: &usize| {
            let operation = learned.calls[*index].operation.as_str();
            let kind = Kind::of(operation);
            WRITES.contains(&operation)
                || [Kind::Families, Kind::Revisions, Kind::TagIndex].map(Some).contains(&kind)
        };
        for index in interesting(&learned.calls, trouble).into_iter().filter(tells) {
            let stage = case.stage.clone();
            let plan = BTreeMap::from([(index + 1, Trouble::Elsewhere), (index, trouble)]);
            let plan = if trouble == Trouble::Elsewhere { BTreeMap::from([(index, trouble)]) } else { plan };
            let mut end = run(&stage, plan, Some(Arc::new(CleanUp(stage.beside())))).await;
            let operation = &learned.calls[index].operation;
            let place = format!("{}: {trouble:?} at call {index}, {operation}", case.name);
            let mut most = Bounds { deployments: 0, revisions: if case.is_good { 1 } else { 2 } };
            // CodeDeploy takes what is gone by then, and fails. Who tries again registers it anew. A reading that lags hides that
            // it is gone, too.
            let is_hidden = case.is_good && matches!(trouble, Trouble::Stale(Kind::Revisions, _));
            if (operation == "CreateDeployment" || is_hidden) && end.said == "Held" {
                check_rest(&stage, "aaaaaaa", &place);
                retry(&stage).await;
                end.said = run(&stage, BTreeMap::new(), None).await.said;
                most.deployments = 1;
            }
            case.check(&stage, &end, &plain, &most, &place);
        }
    }
}

/// As a person does it with `trueup retry`.
pub async fn retry(stage: &Stage) {
    let held = stage.process(BTreeMap::new()).run(stage, 2 * TICK).await;
    let retry = held.plan.retry.unwrap();
    stage.process(BTreeMap::new()).controller.write_one(&stage.declaration, "test/api", retry).await.unwrap();
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
    sweep_over(&steady_cases(), Trouble::CrashAfter, &ONE_REVISION).await;
}

#[tokio::test]
async fn a_lost_answer_in_the_minute_after_a_success_costs_nothing() {
    sweep_over(&steady_cases(), Trouble::LoseAnswer, &NOTHING).await;
}

#[tokio::test]
async fn a_clean_up_at_any_moment_costs_what_it_took_once_more() {
    for trouble in [
        Trouble::Elsewhere,
        Trouble::CrashBefore,
        Trouble::CrashAfter,
        Trouble::LoseAnswer,
        Trouble::Stale(Kind::Families, 4),
        Trouble::Stale(Kind::Revisions, 4),
        Trouble::Stale(Kind::TagIndex, 4),
    ] {
        sweep_with_clean_up(trouble).await;
    }
}

#[tokio::test]
async fn a_fault_at_any_call_of_a_native_shift_costs_at_most_one_revision() {
    for trouble in [
        Trouble::CrashBefore,
        Trouble::CrashAfter,
        Trouble::LoseAnswer,
        Trouble::LoseRequest,
        Trouble::Throttle,
        Trouble::ServerError,
        Trouble::Stale(Kind::Services, 4),
        Trouble::Stale(Kind::Deployments, 4),
    ] {
        let most = if trouble == Trouble::CrashAfter { &ONE_REVISION } else { &NOTHING };
        sweep_native(trouble, most).await;
    }
}

/// Each of the two readings that tell of a shift lags for longer than any window.
#[tokio::test]
async fn a_reading_of_a_native_shift_that_lags_for_long_costs_at_most_one_of_each() {
    for kind in [Kind::Services, Kind::Deployments] {
        sweep_native(Trouble::Stale(kind, 40), &Bounds { deployments: 1, revisions: 1 }).await;
    }
}

#[tokio::test]
async fn two_controllers_at_once_over_a_native_shift_cost_at_most_one_revision() {
    sweep_native(Trouble::Elsewhere, &ONE_REVISION).await;
}

#[tokio::test]
async fn two_controllers_at_once_cost_at_most_one_revision() {
    sweep(Trouble::Elsewhere, &ONE_REVISION).await;
}

#[tokio::test]
async fn two_controllers_in_a_crowded_family_cost_at_most_one_revision() {
    sweep_over(&crowded_cases(), Trouble::Elsewhere, &ONE_REVISION).await;
}

#[tokio::test]
async fn two_controllers_cost_at_most_one_revision_also_where_a_success_crashes() {
    sweep_over(&steady_cases(), Trouble::Elsewhere, &ONE_REVISION).await;
}
