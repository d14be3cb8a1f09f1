//! Every way in and out of a deployment whose traffic ECS itself shifts: blue/green, canary and linear.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::SweepResult;
use trueup::model::{Health, Phase, Share, Shift, Stage as At, Sync};
use trueup::plan::Step;
use trueup_simulator::{Api, Fault, Function};

use crate::account::Need;
use crate::stage::{Running, SERVICE, Stage, said};

const MINUTE: u64 = 60;
/// Longer than a deployment with all its bakes, and the minute after it.
const WHOLE: u64 = 8 * MINUTE;
const LAMBDA: &str = "arn:aws:lambda:eu-west-2:123456789012:function:smoke";
const ROLE: &str = "arn:aws:iam::123456789012:role/ecs";
pub fn blue_green() -> Value {
    json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1})
}

pub fn canary() -> Value {
    json!({"strategy": "CANARY", "bakeTimeInMinutes": 1,
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1}})
}

pub fn linear() -> Value {
    json!({"strategy": "LINEAR", "bakeTimeInMinutes": 1,
        "linearConfiguration": {"stepPercent": 40.0, "stepBakeTimeInMinutes": 1}})
}

/// The same with hooks.
pub fn with(mut configuration: Value, hooks: &[Value]) -> Value {
    configuration["lifecycleHooks"] = json!(hooks);
    configuration
}

pub fn function(stage: &str) -> Value {
    json!({"targetType": "AWS_LAMBDA", "hookTargetArn": LAMBDA, "roleArn": ROLE, "lifecycleStages": [stage]})
}

pub fn pause(stage: &str, minutes: u64, action: &str) -> Value {
    json!({"targetType": "PAUSE", "lifecycleStages": [stage],
        "timeoutConfiguration": {"timeoutInMinutes": minutes, "action": action}})
}

/// Every pattern, and the one that has no traffic to shift.
pub fn ways() -> [(&'static str, Value, bool); 4] {
    [
        ("blueGreen", blue_green(), true),
        ("canary", canary(), true),
        ("linear", linear(), true),
        ("headless", blue_green(), false),
    ]
}

/// What a script ends with: the reason for doing nothing, deployments (the first is that of `CreateService`), revisions, and
/// the commit that runs and is tagged.
#[track_caller]
fn check(stage: &Stage, said: &str, expected: (&str, usize, usize, &str)) {
    let seen = (said, stage.deployments(), stage.revisions());
    assert_eq!(seen, (expected.0, expected.1, expected.2), "{:#?}", stage.ends());
    stage.check_runs(SERVICE, expected.3);
    assert_eq!(stage.digest("test"), stage.digest(expected.3), "the environment tag");
}

impl Stage {
    /// Of the service deployments, the oldest first.
    pub fn ends(&self) -> Vec<String> {
        let all = self.service_deployments().unwrap();
        let status = |one: &Value| one["status"].as_str().unwrap().to_owned();
        all.iter().rev().map(status).collect()
    }

    pub fn newest(&self) -> Value {
        self.described_deployments()[0].clone()
    }

    /// Newest first.
    pub fn described_deployments(&self) -> Vec<Value> {
        let arns = self.service_deployments().unwrap().into_iter();
        let arns: Vec<Value> = arns.map(|one| one["serviceDeploymentArn"].clone()).collect();
        let asked = json!({"serviceDeploymentArns": arns});
        let described = self.call(Api::Ecs, "DescribeServiceDeployments", &asked);
        described["serviceDeployments"].as_array().unwrap().clone()
    }

    pub fn function_does(&self, does: Function) {
        self.account.world(Need::Functions).set_function("smoke", does);
    }

    pub fn bring(&mut self, commit: &str) {
        self.build(commit);
        self.declare(commit);
    }
}

pub fn shift_of(swept: &SweepResult) -> Option<Shift> {
    swept.plan.status.last_deployment.as_ref()?.shift.clone()
}

fn stands(swept: &SweepResult) -> Option<At> {
    shift_of(swept).map(|shift| shift.stage)
}

fn waits_for_approval(swept: &SweepResult) -> bool {
    shift_of(swept).is_some_and(|shift| !shift.pauses.is_empty())
}

fn percent(share: Option<Share>) -> Option<f64> {
    share.map(Share::percent)
}

fn calls(running: &Running, operation: &str) -> usize {
    running.process().calls().iter().filter(|call| *call == operation).count()
}

impl Running {
    /// Until the newest deployment is over and nothing is left to do.
    pub async fn rest(&mut self, stage: &Stage) -> SweepResult {
        let rests = |stage: &Stage, swept: &SweepResult| {
            let is_rest = matches!(said(swept).as_str(), "Settled" | "Held" | "Drifted" | "RollbackFailed");
            is_rest && !stage.newest()["finishedAt"].is_null()
        };
        self.run(stage, 30).await;
        self.until(stage, rests).await;
        self.run(stage, 10).await
    }

    /// Looks until AWS is at a stage, and then once more by a new process, which has read nothing before.
    async fn until_stage(&mut self, stage: &Stage, word: &str) -> SweepResult {
        let is_there = |stage: &Stage, _: &SweepResult| {
            let newest = stage.newest();
            newest["lifecycleStage"] == word && newest["finishedAt"].is_null()
        };
        self.until(stage, is_there).await;
        *self = stage.process(BTreeMap::new());
        self.run(stage, 0).await
    }

    /// As a person at the command line does.
    pub async fn say(&mut self, stage: &Stage, steps: Vec<Step>) {
        assert!(!steps.is_empty());
        for step in steps {
            self.controller.write_one(&stage.declaration, "test/api", step).await.unwrap();
        }
    }

    async fn approve(&mut self, stage: &Stage, swept: &SweepResult) {
        self.say(stage, swept.plan.approval.clone().unwrap().approve).await;
    }

    async fn reject(&mut self, stage: &Stage, swept: &SweepResult) {
        self.say(stage, swept.plan.approval.clone().unwrap().reject).await;
    }
}

/// A second commit is declared over aaaaaaa, which was deployed by another hand.
fn pushed(configuration: &Value) -> (Stage, Running) {
    let mut stage = Stage::native(configuration, true);
    stage.bring("bbbbbbb");
    let running = stage.process(BTreeMap::new());
    (stage, running)
}

#[tokio::test]
async fn first_contact_disturbs_nothing() {
    for (_, configuration, has_traffic) in ways() {
        let stage = Stage::native(&configuration, has_traffic);
        let before = stage.writes();
        let swept = stage.process(BTreeMap::new()).run(&stage, 2 * MINUTE).await;
        assert_eq!((said(&swept).as_str(), stage.deployments(), stage.writes()), ("Settled", 1, before));
    }
}

#[tokio::test]
async fn a_new_commit_gets_the_traffic_then_succeeds_then_is_tagged() {
    for (way, configuration, has_traffic) in ways() {
        let mut stage = Stage::native(&configuration, has_traffic);
        let old = stage.digest("test");
        stage.bring("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        let mut seen = Vec::new();
        let see = |swept: &[SweepResult]| {
            let status = &swept[0].plan.status;
            let Some(deployment) = &status.last_deployment else { return };
            let share = deployment.shift.as_ref().and_then(|shift| percent(shift.production));
            let now = (deployment.phase, stands(&swept[0]), share, status.sync);
            if seen.last() != Some(&now) {
                seen.push(now);
            }
            if deployment.phase == Phase::InProgress {
                assert_eq!(stage.digest("test"), old, "{way}: the tag moves after success");
            }
        };
        running.watch(&stage, WHOLE, see).await;
        let in_progress = |stage, share| (Phase::InProgress, Some(stage), share, Sync::OutOfSync);
        let share = |percent| has_traffic.then_some(percent);
        for expected in [
            in_progress(At::Installing, share(0.0)),
            in_progress(At::Standby, share(100.0)),
            (Phase::Succeeded, None, None, Sync::Synced),
        ] {
            assert!(seen.contains(&expected), "{way}: {expected:?} in {seen:#?}");
        }
        check(&stage, "", ("", 2, 2, "bbbbbbb"));
        let said = said(&stage.process(BTreeMap::new()).run(&stage, MINUTE).await);
        check(&stage, &said, ("Settled", 2, 2, "bbbbbbb"));
    }
}

#[tokio::test]
async fn what_is_live_is_what_has_most_of_the_traffic() {
    let (stage, mut running) = pushed(&linear());
    let mut seen = Vec::new();
    let see = |swept: &[SweepResult]| {
        let Some(shift) = shift_of(&swept[0]).filter(|shift| shift.stage == At::Shifting) else { return };
        let live = swept[0].plan.status.deployed.clone().unwrap().revision();
        let now = (percent(shift.production).unwrap(), shift.step.map(|step| (step.number, step.of)), live);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    };
    running.watch(&stage, WHOLE, see).await;
    let steps: Vec<_> = seen.into_iter().filter(|(share, ..)| *share > 0.0).collect();
    // The last step is over within seconds.
    assert_eq!(steps[..2], [(40.0, Some((1, 3)), Some(1)), (80.0, Some((2, 3)), Some(2))]);
}

#[tokio::test]
async fn after_a_hook_has_failed_nothing_is_tried_again_and_the_fix_goes_on_from_there() {
    // At the second one it is called again on the way back, and fails again.
    for (at, held) in [("PRE_SCALE_UP", "Held"), ("PRODUCTION_TRAFFIC_SHIFT", "RollbackFailed")] {
        let mut stage = Stage::native(&with(canary(), &[function(at)]), true);
        stage.function_does(Function::Fails);
        stage.bring("bbbbbbb");
        stage.process(BTreeMap::new()).rest(&stage).await;
        let again = stage.process(BTreeMap::new()).run(&stage, MINUTE).await;
        check(&stage, &said(&again), (held, 2, 2, "aaaaaaa"));
        stage.function_does(Function::Succeeds);
        stage.bring("ccccccc");
        let swept = stage.process(BTreeMap::new()).rest(&stage).await;
        check(&stage, &said(&swept), ("Settled", 3, 3, "ccccccc"));
    }
}

#[tokio::test]
async fn a_pause_that_a_person_approves_goes_on() {
    let asks = with(canary(), &[pause("POST_TEST_TRAFFIC_SHIFT", 480, "ROLLBACK")]);
    let (stage, mut running) = pushed(&asks);
    let swept = running.until(&stage, |_, swept| waits_for_approval(swept)).await;
    let shift = shift_of(&swept).unwrap();
    assert_eq!((shift.stage, shift.aws_stage.as_deref()), (At::Testing, Some("POST_TEST_TRAFFIC_SHIFT")));
    assert_eq!((percent(shift.production), percent(shift.test)), (Some(0.0), Some(100.0)));
    assert_eq!(swept.plan.status.health, Health::Suspended, "it waits for a person, not for AWS");
    // Nobody but a person answers it, and no deadline ends it.
    let swept = running.run(&stage, 20 * MINUTE).await;
    assert_eq!((said(&swept).as_str(), stage.deployments()), ("Deploying", 2));
    running.approve(&stage, &swept).await;
    let now = said(&running.rest(&stage).await);
    check(&stage, &now, ("Settled", 2, 2, "bbbbbbb"));
}

#[tokio::test]
async fn all_pauses_of_a_stage_are_answered_and_the_next_step_asks_anew() {
    let asks = [
        pause("PRE_PRODUCTION_TRAFFIC_SHIFT", 480, "ROLLBACK"),
        pause("PRE_PRODUCTION_TRAFFIC_SHIFT", 60, "ROLLBACK"),
    ];
    let (stage, mut running) = pushed(&with(linear(), &asks));
    let mut steps = Vec::new();
    for _ in 0..3 {
        let swept = running.until(&stage, |_, swept| waits_for_approval(swept)).await;
        let shift = shift_of(&swept).unwrap();
        assert_eq!(shift.pauses.len(), 2);
        steps.push((percent(shift.production).unwrap(), shift.pauses[0].id.clone()));
        running.approve(&stage, &swept).await;
        running = stage.process(BTreeMap::new());
        running.run(&stage, 10).await;
    }
    let shares: Vec<f64> = steps.iter().map(|(share, _)| *share).collect();
    assert_eq!(shares, [0.0, 40.0, 80.0]);
    let ids: std::collections::BTreeSet<_> = steps.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 3, "what was approved once is not what is asked for now");
    let now = said(&running.rest(&stage).await);
    check(&stage, &now, ("Settled", 2, 2, "bbbbbbb"));
}

#[tokio::test]
async fn an_answer_to_what_no_longer_waits_is_refused_and_changes_nothing() {
    let asks = with(canary(), &[pause("PRE_PRODUCTION_TRAFFIC_SHIFT", 480, "ROLLBACK")]);
    let (stage, mut running) = pushed(&asks);
    let swept = running.until(&stage, |_, swept| waits_for_approval(swept)).await;
    let first = swept.plan.approval.clone().unwrap().approve;
    running.say(&stage, first.clone()).await;
    let second = running
        .until(&stage, |_, swept| {
            shift_of(swept)
                .is_some_and(|shift| !shift.pauses.is_empty() && percent(shift.production) == Some(10.0))
        })
        .await;
    for step in first {
        let answered = running.controller.write_one(&stage.declaration, "test/api", step).await;
        assert!(answered.is_err(), "the word was for the step before");
    }
    let now = running.run(&stage, MINUTE).await;
    assert_eq!(shift_of(&now).unwrap().pauses, shift_of(&second).unwrap().pauses);
}

#[tokio::test]
async fn no_deadline_of_ours_ends_a_pause_a_hook_or_a_bake() {
    let mut long = canary();
    long["canaryConfiguration"]["canaryBakeTimeInMinutes"] = json!(20);
    for (configuration, does) in [
        (with(canary(), &[pause("PRE_SCALE_UP", 20, "CONTINUE")]), Function::Succeeds),
        (with(canary(), &[function("PRE_SCALE_UP")]), Function::Polls { times: 10, delay: 120 }),
        (long, Function::Succeeds),
    ] {
        let (stage, mut running) = pushed(&configuration);
        stage.function_does(does);
        running.run(&stage, 20 * MINUTE).await;
        let now = said(&running.rest(&stage).await);
        check(&stage, &now, ("Settled", 2, 2, "bbbbbbb"));
    }
}

#[tokio::test]
async fn what_never_gets_healthy_is_recorded_and_undone_by_aws_own_stop() {
    let mut stage = Stage::native(&canary(), true);
    let digest = stage.build("bbbbbbb");
    stage.inject(Fault::Unhealthy { digest });
    stage.environment = "  policy: {progressDeadline: 3m}\n".to_owned();
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    let swept = running.rest(&stage).await;
    check(&stage, &said(&swept), ("Held", 2, 2, "aaaaaaa"));
    assert_eq!(stage.ends()[1], "ROLLBACK_SUCCESSFUL");
    assert_eq!(calls(&running, "UpdateService"), 1, "the way back is no deployment");
    assert_eq!(calls(&running, "StopServiceDeployment"), 1);
}

#[tokio::test]
async fn a_deployment_stopped_by_hand_is_held_until_somebody_says_retry() {
    let (stage, mut running) = pushed(&canary());
    running.until_stage(&stage, "BAKE_TIME").await;
    let arn = stage.newest()["serviceDeploymentArn"].clone();
    stage.call(Api::Ecs, "StopServiceDeployment", &json!({"serviceDeploymentArn": arn}));
    let swept = running.rest(&stage).await;
    check(&stage, &said(&swept), ("Held", 2, 2, "aaaaaaa"));
    running.say(&stage, vec![swept.plan.retry.unwrap()]).await;
    let now = said(&running.rest(&stage).await);
    check(&stage, &now, ("Settled", 3, 2, "bbbbbbb"));
}

#[tokio::test]
async fn the_emergency_brake_undoes_and_holds_at_every_stage_until_the_old_tasks_end() {
    for at in ["SCALE_UP", "POST_TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME"] {
        let (stage, mut running) = pushed(&canary());
        let swept = running.until_stage(&stage, at).await;
        running.reject(&stage, &swept).await;
        let swept = running.rest(&stage).await;
        check(&stage, &said(&swept), ("Held", 2, 2, "aaaaaaa"));
        assert_eq!(stage.ends()[1], "ROLLBACK_SUCCESSFUL", "{at:?}");
    }
    let (stage, mut running) = pushed(&canary());
    let swept = running.until_stage(&stage, "CLEAN_UP").await;
    assert_eq!(swept.plan.approval, None, "the old tasks end");
}

#[tokio::test]
async fn going_back_to_what_stands_by_is_an_undo_at_every_stage() {
    let asks = with(linear(), &[pause("POST_PRODUCTION_TRAFFIC_SHIFT", 480, "ROLLBACK")]);
    let plain = linear();
    for (at, share, configuration) in [
        ("SCALE_UP", 0.0, &plain),
        ("TEST_TRAFFIC_SHIFT", 0.0, &plain),
        ("PRODUCTION_TRAFFIC_SHIFT", 40.0, &plain),
        ("PRODUCTION_TRAFFIC_SHIFT", 80.0, &plain),
        ("POST_PRODUCTION_TRAFFIC_SHIFT", 100.0, &asks),
        ("BAKE_TIME", 100.0, &plain),
    ] {
        let (mut stage, mut running) = pushed(configuration);
        let is_there = |stage: &Stage, _: &SweepResult| {
            let newest = stage.newest();
            newest["lifecycleStage"] == at
                && newest["targetServiceRevision"]["requestedProductionTrafficWeight"] == share
        };
        running.until(&stage, is_there).await;
        stage.declare("aaaaaaa");
        let now = said(&running.rest(&stage).await);
        assert_eq!(stage.ends()[1], "ROLLBACK_SUCCESSFUL", "{at} {share}");
        check(&stage, &now, ("Settled", 2, 2, "aaaaaaa"));
        // It was superseded, not held: asked for again, it is deployed again.
        stage.declare("bbbbbbb");
        running.run(&stage, MINUTE).await;
        assert_eq!(stage.deployments(), 3, "{at} {share}");
    }
}

/// (policy, stage of the one in flight, statuses in the end)
#[tokio::test]
async fn a_newer_commit_waits_or_replaces_by_the_table() {
    let undone = ["SUCCESSFUL", "ROLLBACK_SUCCESSFUL", "SUCCESSFUL"];
    let finished = ["SUCCESSFUL", "SUCCESSFUL", "SUCCESSFUL"];
    let stopped = ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"];
    for (policy, at, expected) in [
        ("", "SCALE_UP", finished),
        ("finish", "SCALE_UP", finished),
        ("replace", "SCALE_UP", undone),
        ("", "PRODUCTION_TRAFFIC_SHIFT", finished),
        ("replace", "PRODUCTION_TRAFFIC_SHIFT", undone),
        ("", "BAKE_TIME", finished),
        ("replace", "BAKE_TIME", stopped),
        ("replace", "CLEAN_UP", finished),
    ] {
        let mut stage = Stage::native(&canary(), true);
        if !policy.is_empty() {
            stage.environment = format!("  policy: {{inFlight: {policy}}}\n");
        }
        stage.bring("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        running.until_stage(&stage, at).await;
        stage.bring("ccccccc");
        let now = said(&running.rest(&stage).await);
        assert_eq!(stage.ends(), expected, "{policy} {at:?}");
        check(&stage, &now, ("Settled", 3, 3, "ccccccc"));
    }
}

#[tokio::test]
async fn nobody_has_to_answer_for_what_is_no_longer_declared_before_any_traffic_is_on_it() {
    for (at, policy, expected) in [
        ("POST_TEST_TRAFFIC_SHIFT", "", "ROLLBACK_SUCCESSFUL"),
        ("PRE_PRODUCTION_TRAFFIC_SHIFT", "", "ROLLBACK_SUCCESSFUL"),
        ("PRE_SCALE_UP", "finish", "IN_PROGRESS"),
        ("POST_PRODUCTION_TRAFFIC_SHIFT", "", "IN_PROGRESS"),
    ] {
        let mut stage = Stage::native(&with(canary(), &[pause(at, 480, "ROLLBACK")]), true);
        if !policy.is_empty() {
            stage.environment = format!("  policy: {{inFlight: {policy}}}\n");
        }
        stage.bring("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        running.until(&stage, |_, swept| waits_for_approval(swept)).await;
        stage.bring("ccccccc");
        running.run(&stage, 3 * MINUTE).await;
        assert_eq!(stage.ends()[1], expected, "{at} {policy}");
    }
}

#[tokio::test]
async fn what_another_hand_deploys_is_followed_and_then_judged() {
    for (policy, end, deployments, runs) in
        [("alert", "Drifted", 3, "ccccccc"), ("heal", "Settled", 4, "bbbbbbb")]
    {
        let (mut stage, mut running) = pushed(&canary());
        running.rest(&stage).await;
        stage.environment = format!("  policy: {{drift: {policy}, inFlight: replace}}\n");
        stage.declare("bbbbbbb");
        stage.build("ccccccc");
        let definition = stage.register("ccccccc");
        let update = json!({"cluster": "mco", "service": SERVICE, "taskDefinition": definition});
        stage.call(Api::Ecs, "UpdateService", &update);
        let swept = running.run(&stage, 3 * MINUTE).await;
        assert_eq!(said(&swept), "Deploying", "{policy}");
        assert_eq!(swept.plan.approval, None, "nobody pulls the brake of what others deploy");
        let now = said(&running.rest(&stage).await);
        assert_eq!((now.as_str(), stage.deployments()), (end, deployments), "{policy}: {:?}", stage.ends());
        stage.check_runs(SERVICE, runs);
    }
}

/// Whoever restarts a controller means the controller alone.
#[tokio::test]
async fn a_controller_that_is_stopped_in_a_shift_undoes_nothing() {
    let (stage, mut running) = pushed(&canary());
    running.until_stage(&stage, "PRODUCTION_TRAFFIC_SHIFT").await;
    drop(running);
    stage.advance(10 * MINUTE);
    let mut running = stage.process(BTreeMap::new());
    let now = said(&running.run(&stage, 2 * MINUTE).await);
    check(&stage, &now, ("Settled", 2, 2, "bbbbbbb"));
    assert_eq!(calls(&running, "StopServiceDeployment"), 0);
}

/// No job of CI lives as long, and nothing of trueup ends it.
#[tokio::test]
async fn a_pause_of_nearly_two_weeks_is_waited_for_and_then_approved() {
    let (stage, mut running) = pushed(&with(canary(), &[pause("PRE_SCALE_UP", 14 * 24 * 60, "ROLLBACK")]));
    running.until(&stage, |_, swept| waits_for_approval(swept)).await;
    for _ in 0..13 {
        stage.advance(24 * 60 * MINUTE);
        let swept = running.run(&stage, 10).await;
        assert_eq!((said(&swept).as_str(), stage.deployments()), ("Deploying", 2));
    }
    let swept = running.run(&stage, 10).await;
    running.approve(&stage, &swept).await;
    let now = said(&running.rest(&stage).await);
    check(&stage, &now, ("Settled", 2, 2, "bbbbbbb"));
}
