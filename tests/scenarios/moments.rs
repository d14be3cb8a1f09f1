//! What another hand does at any moment of a deployment of ours, and how it all ends.
//!
//! A learning run lists the calls of the deployment. Then the hand acts just before each of them, in a world of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::faults::{Beside, End, check_rest, run};
use crate::process::{Call, Kind, Other, Trouble};
use crate::stage::{Breaker, SERVICE, Stage, TICK, WRITES, said};
use crate::steady::at_once;

pub fn is_write(call: &Call) -> bool {
    WRITES.contains(&call.operation.as_str())
}

/// Whether it tells of the service, or changes something.
fn sees(call: &Call) -> bool {
    is_write(call) || Kind::of(&call.operation).is_some_and(|kind| Kind::OF_THE_SERVICE.contains(&kind))
}

/// The calls before which a hand may change the service. A call that reads nothing of the service does not see it, so the
/// next one stands for it; a look that writes nothing reads a world that stands still, so its first call stands for all of
/// it; and one moment at rest is like another.
pub fn moments(calls: &[Call]) -> Vec<usize> {
    let near =
        |index: usize| calls[index.saturating_sub(14)..(index + 14).min(calls.len())].iter().any(is_write);
    let begins = |index: usize| index == 0 || calls[index - 1].at != calls[index].at;
    let last = calls.iter().rposition(is_write).unwrap();
    (0..(last + 14).min(calls.len()))
        .filter(|index| begins(*index) || (near(*index) && sees(&calls[*index])))
        .collect()
}

/// The calls before the first of this operation that were made after the last reading of the service before it, and of CodeDeploy's
/// list, and itself: what happens there the process cannot know when it writes.
fn unseen_by(calls: &[Call], operation: &str) -> std::ops::RangeInclusive<usize> {
    let write = calls.iter().position(|call| call.operation == operation).unwrap();
    let tells = |call: &Call| ["DescribeServices", "ListDeployments"].contains(&call.operation.as_str());
    let read = calls[..write].iter().rposition(tells).unwrap();
    read + 1..=write
}

pub struct Hand<F>(pub F);

#[async_trait]
impl<F: Fn() + Send + Sync> Other for Hand<F> {
    async fn act(&self) {
        (self.0)();
    }
}

/// The world after the hand has acted before this call of the stage's deployment, what came of the hand's own deployment
/// where it tells which that is, and how the process ended.
pub async fn with_hand<T: Send + 'static>(
    stage: &Stage,
    index: usize,
    hand: impl Fn(&Stage) -> T + Send + Sync + 'static,
) -> (Stage, Option<T>, End) {
    let stage = stage.clone();
    let (beside, told) = (stage.beside(), Arc::new(Mutex::new(None)));
    let tells = Arc::clone(&told);
    let hand: Arc<dyn Other> = Arc::new(Hand(move || *tells.lock().unwrap() = Some(hand(&beside))));
    let end = run(&stage, BTreeMap::from([(index, Trouble::Elsewhere)]), Some(hand)).await;
    let told = told.lock().unwrap().take();
    (stage, told, end)
}

/// Commits bbbbbbb and ccccccc were promoted as revisions 2 and 3; now ddddddd is declared.
async fn promoted(mut stage: Stage, drift: &str) -> Stage {
    stage.environment = format!("  policy: {{drift: {drift}, steady: 0s}}\n");
    for commit in ["bbbbbbb", "ccccccc"] {
        stage.build(commit);
        stage.declare(commit);
        assert_eq!(run(&stage, BTreeMap::new(), None).await.said, "Settled");
    }
    stage.build("ddddddd");
    stage.declare("ddddddd");
    stage
}

/// The console's "update service" to revision 2.
fn go_back(stage: &Stage) {
    stage.update(&json!({"taskDefinition": "mco-api:2"}));
}

/// How the newest deployment to revision 2 stands.
fn newest_to_revision_2(stage: &Stage) -> String {
    let list = json!({"cluster": "mco", "service": SERVICE, "maxResults": 100});
    let listed = stage.call(Api::Ecs, "ListServiceDeployments", &list)["serviceDeployments"].clone();
    let brings = |one: &&Value| {
        let named = json!({"serviceRevisionArns": [one["targetServiceRevisionArn"]]});
        let revisions = stage.call(Api::Ecs, "DescribeServiceRevisions", &named);
        let definition = revisions["serviceRevisions"][0]["taskDefinition"].as_str().unwrap();
        definition.ends_with("/mco-api:2")
    };
    let newest = listed.as_array().unwrap().iter().find(brings).unwrap();
    newest["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_who_goes_back_at_any_moment_is_never_stopped_and_then_judged_as_drift() {
    for drift in ["alert", "heal"] {
        let stage = promoted(Stage::new(Breaker::On), drift).await;
        let plain = stage.clone();
        let calls = run(&plain, BTreeMap::new(), None).await.calls;
        let first = *unseen_by(&calls, "RegisterTaskDefinition").start();
        let in_the_way = unseen_by(&calls, "UpdateService");
        // The policy is asked when theirs has ended: by then only what we had written before matters.
        let worth = |index: &usize| drift == "alert" || is_write(&calls[*index]);
        for index in moments(&calls).into_iter().filter(worth) {
            let (stage, _, end) = with_hand(&stage, index, go_back).await;
            let place = format!("{drift}: before call {index}, {}", calls[index].operation);
            // Before ours was stamped git has changed since; an update that is on its way by then nobody holds back.
            let ours_comes_last = index < first || in_the_way.contains(&index);
            let (said, runs) = if ours_comes_last || drift == "heal" {
                ("Settled", "ddddddd")
            } else {
                ("Drifted", "bbbbbbb")
            };
            assert_eq!(end.said, said, "{place}");
            check_rest(&stage, runs, &place);
            let ended = if in_the_way.contains(&index) { "STOPPED" } else { "SUCCESSFUL" };
            assert_eq!(newest_to_revision_2(&stage), ended, "{place}");
            let more = if drift == "heal" { 2 } else { 1 };
            assert!(stage.deployments() <= plain.deployments() + more, "{place}");
            assert_eq!(stage.registered(), plain.registered(), "{place}");
        }
    }
}

/// A hand that acts once, and a second controller that looks as often as the first.
struct HandBesideTwo {
    hand: Arc<dyn Other>,
    second: Arc<Beside>,
}

#[async_trait]
impl Other for HandBesideTwo {
    async fn act(&self) {
        self.hand.act().await;
    }

    async fn look(&self) {
        self.second.look().await;
    }
}

/// Which of the two controllers has written what is a matter of moments: what counts is how far they had come together.
#[tokio::test]
async fn a_person_who_goes_back_at_any_moment_of_two_controllers_is_never_stopped() {
    for drift in ["alert", "heal"] {
        let stage = promoted(Stage::new(Breaker::On), drift).await;
        let (registered, deployments) = (stage.registered(), stage.deployments());
        let plain = stage.clone();
        let calls = run(&plain, BTreeMap::new(), Some(Beside::new(&plain))).await.calls;
        let writes = 3 * TICK;
        let is_worth = |index: &usize| {
            let since = calls[*index].at - calls[0].at;
            let begins = *index == 0 || calls[*index - 1].at != calls[*index].at;
            begins && since.is_multiple_of(3 * TICK)
                || drift == "alert" && since <= writes && sees(&calls[*index])
        };
        for index in (0..calls.len()).filter(is_worth) {
            let stage = stage.clone();
            let (beside, before) = (stage.beside(), Arc::new(Mutex::new((0, 0))));
            let tells = Arc::clone(&before);
            let hand = Hand(move || {
                *tells.lock().unwrap() = (beside.registered(), beside.deployments());
                go_back(&beside);
            });
            let other = HandBesideTwo { hand: Arc::new(hand), second: Beside::new(&stage) };
            let plan = BTreeMap::from([(index, Trouble::Elsewhere)]);
            let end = run(&stage, plan, Some(Arc::new(other))).await;
            let place = format!("{drift}: before call {index}, {}", calls[index].operation);
            let (known, started) = *before.lock().unwrap();
            let runs = if end.said == "Drifted" { "bbbbbbb" } else { "ddddddd" };
            assert!(["Drifted", "Settled"].contains(&end.said.as_str()), "{place}: {}", end.said);
            // Until ours has begun it is a matter of what was read last.
            if drift == "heal" {
                assert_eq!(runs, "ddddddd", "{place}");
            } else if started > deployments {
                assert_eq!(runs, "bbbbbbb", "{place}");
            }
            if known == registered || started > deployments || runs == "bbbbbbb" {
                assert_eq!(newest_to_revision_2(&stage), "SUCCESSFUL", "{place}");
            }
            check_rest(&stage, runs, &place);
            let more = if drift == "heal" { 2 } else { 1 };
            assert!(stage.deployments() <= plain.deployments() + more, "{place}");
            assert!(stage.registered() <= plain.registered() + 1, "{place}");
        }
    }
}

/// The console's "stop deployment" if there is one, and then a deployment of revision 2; its id.
fn go_back_by_code_deploy(stage: &Stage) -> String {
    let ended = |one: &Value| ["Succeeded", "Failed", "Stopped"].contains(&one["status"].as_str().unwrap());
    for one in stage.code_deployments().iter().filter(|one| !ended(one)) {
        let stop = json!({"deploymentId": one["deploymentId"], "autoRollbackEnabled": false});
        stage.call(Api::CodeDeploy, "StopDeployment", &stop);
        stage.advance(1);
    }
    stage.deploy_revision_by_hand("mco-api:2", None);
    let newest = stage.code_deployments().pop().unwrap();
    newest["deploymentId"].as_str().unwrap().to_owned()
}

/// What a person stops has failed: it is held, as if a hook had refused it.
#[tokio::test]
async fn a_person_who_goes_back_by_codedeploy_at_any_moment_is_never_stopped() {
    let stage = promoted(Stage::blue_green(&at_once()), "alert").await;
    let plain = stage.clone();
    let calls = run(&plain, BTreeMap::new(), None).await.calls;
    let first = *unseen_by(&calls, "RegisterTaskDefinition").start();
    let start = calls.iter().position(|call| call.operation == "CreateDeployment").unwrap();
    let over = stage.code_deployments().len();
    for index in moments(&calls) {
        let (stage, theirs, end) = with_hand(&stage, index, go_back_by_code_deploy).await;
        let place = format!("before call {index}, {}", calls[index].operation);
        let all = stage.code_deployments();
        let status = |id: &str| all.iter().find(|one| one["deploymentId"] == id).unwrap()["status"].clone();
        assert_eq!(status(&theirs.unwrap()), "Succeeded", "{place}");
        let stopped = all[over]["status"] == "Stopped";
        let (said, runs) = match () {
            () if index < first => ("Settled", "ddddddd"),
            () if stopped => ("Held", "bbbbbbb"),
            () => ("Drifted", "bbbbbbb"),
        };
        assert!(!stopped || index > start, "{place}");
        assert_eq!(end.said, said, "{place}");
        check_rest(&stage, runs, &place);
        assert!(stage.deployments() <= plain.deployments() + 1, "{place}");
        assert_eq!(stage.registered(), plain.registered(), "{place}");
    }
}

/// A controller hangs in the call that starts its deployment, and another one deploys a newer commit meanwhile.
#[tokio::test]
async fn a_write_of_ours_that_arrives_at_any_moment_of_a_newer_one_is_put_right() {
    for (mut stage, starts, more) in [
        // It replaces the newer one, which is then brought once more.
        (Stage::new(Breaker::On), "UpdateService", 2),
        // While the newer one goes on, CodeDeploy refuses it.
        (Stage::blue_green(&at_once()), "CreateDeployment", 1),
    ] {
        stage.build("bbbbbbb");
        stage.build("ccccccc");
        stage.environment = "  policy: {steady: 0s}\n".to_owned();
        stage.declare("bbbbbbb");
        let calls = run(&stage.clone(), BTreeMap::new(), None).await.calls;
        let start = calls.iter().position(|call| call.operation == starts).unwrap();
        let mut first = stage.process(BTreeMap::from([(start, Trouble::Hang)]));
        while !first.process().has_crashed() {
            first.pass(&stage).await;
            stage.advance(TICK);
        }
        stage.declare("ccccccc");
        let plain = stage.clone();
        let calls = run(&plain, BTreeMap::new(), None).await.calls;
        for index in moments(&calls) {
            let late = first.process().clone();
            let (stage, _, end) = with_hand(&stage, index, move |stage| late.deliver(stage)).await;
            let place = format!("{starts} arrives before call {index}, {}", calls[index].operation);
            assert_eq!(end.said, "Settled", "{place}");
            check_rest(&stage, "ccccccc", &place);
            assert!(stage.deployments() <= plain.deployments() + more, "{place}");
            assert_eq!(stage.registered(), plain.registered(), "{place}");
        }
    }
}

/// Commit bbbbbbb is on its way, and after so many looks ccccccc is declared, which fails.
async fn bad_after(stage: &Stage, by_code_deploy: bool, looks: usize) -> Stage {
    let mut stage = stage.clone();
    let mut running = stage.process(BTreeMap::new());
    for _ in 0..looks {
        running.pass(&stage).await;
        stage.advance(TICK);
    }
    if by_code_deploy {
        stage.hook("AfterAllowTestTraffic", "check");
        stage.hook_fails("check");
    }
    stage.declare("ccccccc");
    let held = running.until(&stage, |_, swept| said(swept) == "Held").await;
    let rests = running.run(&stage, 20).await;
    assert_eq!((said(&held).as_str(), said(&rests).as_str()), ("Held", "Held"));
    stage
}

/// Looks until commit bbbbbbb has started, and until it has settled.
async fn looks_of(stage: &Stage) -> std::ops::RangeInclusive<usize> {
    let stage = stage.clone();
    let mut running = stage.process(BTreeMap::new());
    let (mut started, before) = (None, stage.deployments());
    for look in 0..200 {
        let swept = running.pass(&stage).await;
        if stage.deployments() > before {
            started.get_or_insert(look + 1);
        }
        if said(&swept[0]) == "Settled" {
            return started.unwrap()..=look + 1;
        }
        stage.advance(TICK);
    }
    unreachable!("it never settles");
}

#[tokio::test]
async fn a_success_is_recorded_and_tagged_whenever_a_bad_commit_is_declared_after_its_start() {
    for by_code_deploy in [false, true] {
        let mut stage = if by_code_deploy { Stage::blue_green(&at_once()) } else { Stage::new(Breaker::On) };
        stage.build("bbbbbbb");
        let digest = stage.build("ccccccc");
        if !by_code_deploy {
            stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
        }
        stage.environment = "  policy: {inFlight: finish}\n".to_owned();
        stage.declare("bbbbbbb");
        let before = stage.deployments();
        for looks in looks_of(&stage).await {
            let stage = bad_after(&stage, by_code_deploy, looks).await;
            let place = format!("codeDeploy: {by_code_deploy}, declared after {looks} looks");
            check_rest(&stage, "bbbbbbb", &place);
            assert_eq!((stage.deployments(), stage.registered()), (before + 2, 2), "{place}");
        }
    }
}

/// Two controllers have followed bbbbbbb for so many looks. Then ccccccc is declared, which fails; the second hears of it three looks
/// later than the first.
async fn bad_for_two_after(stage: &Stage, looks: usize) -> Stage {
    let mut stage = stage.clone();
    let mut behind = stage.beside();
    let (mut first, mut second) = (stage.process(BTreeMap::new()), stage.process(BTreeMap::new()));
    for look in 0..=looks + 3 {
        if look == looks {
            stage.declare("ccccccc");
        }
        if look == looks + 3 {
            behind = stage.beside();
        }
        first.pass(&stage).await;
        second.pass(&behind).await;
        stage.advance(TICK);
    }
    let mut last = (String::new(), String::new());
    for _ in 0..200 {
        last = (said(&first.pass(&stage).await[0]), said(&second.pass(&behind).await[0]));
        if last == ("Held".to_owned(), "Held".to_owned()) {
            break;
        }
        stage.advance(TICK);
    }
    assert_eq!(last, ("Held".to_owned(), "Held".to_owned()), "declared after {looks} looks");
    stage
}

#[tokio::test]
async fn a_bad_commit_at_any_moment_of_the_other_controllers_success_leaves_that_recorded_and_tagged() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    let digest = stage.build("ccccccc");
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    stage.environment = "  policy: {inFlight: finish}\n".to_owned();
    stage.declare("bbbbbbb");
    let before = stage.deployments();
    for looks in looks_of(&stage).await {
        let stage = bad_for_two_after(&stage, looks).await;
        let place = format!("declared after {looks} looks");
        check_rest(&stage, "bbbbbbb", &place);
        assert_eq!(stage.deployments(), before + 2, "{place}");
        assert!(stage.registered() <= 3, "{place}");
    }
}
