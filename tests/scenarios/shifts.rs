//! Where a deployment stands is told by one reading, and only ever goes forward, unless it is undone: for strategies, hooks, pauses
//! and troubles drawn by chance, from the same seeds wherever it runs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::SweepResult;
use trueup::model::{Phase, Shift, Stage as At};
use trueup_simulator::{Api, Function};

use crate::native::{function, pause, with};
use crate::stage::{Running, Stage};

const SEEDS: u64 = 24;
/// Virtual seconds after which each of them is over.
const LONG: u64 = 1200;
const STEP: u64 = 5;

fn drawn(random: &mut fastrand::Rng) -> Value {
    let mut drawn = json!({"bakeTimeInMinutes": random.u8(0..2)});
    match random.u8(0..3) {
        0 => drawn["strategy"] = json!("BLUE_GREEN"),
        1 => {
            drawn["strategy"] = json!("CANARY");
            let share = f64::from(random.u16(1..999)) / 10.0;
            drawn["canaryConfiguration"] =
                json!({"canaryPercent": share, "canaryBakeTimeInMinutes": random.u8(0..2)});
        }
        _ => {
            drawn["strategy"] = json!("LINEAR");
            let share = f64::from(random.u16(150..999)) / 10.0;
            drawn["linearConfiguration"] =
                json!({"stepPercent": share, "stepBakeTimeInMinutes": random.u8(0..2)});
        }
    }
    let at = |random: &mut fastrand::Rng| {
        *random
            .choice(&[
                "PRE_SCALE_UP",
                "POST_SCALE_UP",
                "POST_TEST_TRAFFIC_SHIFT",
                "POST_PRODUCTION_TRAFFIC_SHIFT",
            ])
            .unwrap()
    };
    let hooks =
        [pause(at(random), 1, random.choice(&["ROLLBACK", "CONTINUE"]).unwrap()), function(at(random))];
    let kept: Vec<Value> = hooks.into_iter().filter(|_| random.bool()).collect();
    with(drawn, &kept)
}

/// How far a stage is on the way of a deployment. The steps of a shift differ in their shares.
fn place(stage: At) -> u8 {
    match stage {
        At::Pending => 0,
        At::Reconciling => 1,
        At::Installing => 2,
        At::Testing => 3,
        At::Shifting => 4,
        At::Checking => 5,
        At::Standby => 6,
        At::CleaningUp => 7,
        At::Ended => 8,
        At::Unknown => unreachable!("everything is read here"),
    }
}

/// By a process that has read nothing before.
async fn look(stage: &Stage) -> SweepResult {
    stage.process(BTreeMap::new()).pass(stage).await.swap_remove(0)
}

fn stands(swept: &SweepResult) -> Option<(Phase, Shift)> {
    let last = swept.plan.status.last_deployment.clone()?;
    Some((last.phase, last.shift?))
}

#[tokio::test]
async fn stages_and_shares_never_go_back_but_on_the_way_back() {
    let (mut seen, mut undone) = (0, 0);
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let configuration = drawn(&mut random);
        // Only all at once needs no load balancer.
        let may_be_headless = configuration["strategy"] == "BLUE_GREEN";
        let mut stage = Stage::native(&configuration, !may_be_headless || random.bool());
        stage.bring("bbbbbbb");
        stage.function_does(
            *random.choice(&[Function::Succeeds, Function::Succeeds, Function::Fails]).unwrap(),
        );
        let stop = random.bool().then(|| random.u64(40..200) / STEP);
        let mut running: Running = stage.process(BTreeMap::new());
        let mut before: Option<(u8, f64)> = None;
        for number in 0..LONG / STEP {
            running.pass(&stage).await;
            let place_of = |at| place(at);
            let now = look(&stage).await;
            if let Some((phase, shift)) = stands(&now) {
                assert_eq!(
                    stands(&look(&stage).await),
                    Some((phase, shift.clone())),
                    "seed {seed}: one reading says it all"
                );
                let share = shift.production.map_or(0.0, trueup::model::Share::percent);
                let is_undone = matches!(phase, Phase::RollingBack | Phase::RolledBack | Phase::Failed);
                let (at, had) = before.unwrap_or((0, 0.0));
                let goes_on = place_of(shift.stage) >= at && share >= had;
                assert!(
                    goes_on || is_undone,
                    "seed {seed} {configuration}: {at} {had} before, now {shift:?}"
                );
                undone += usize::from(is_undone && before.is_some());
                seen += 1;
                before = (!is_undone).then_some((place_of(shift.stage), share));
            }
            if stop == Some(number) && stage.newest()["finishedAt"].is_null() {
                let arn = stage.newest()["serviceDeploymentArn"].clone();
                stage.call(Api::Ecs, "StopServiceDeployment", &json!({"serviceDeploymentArn": arn}));
            }
            if number > 3 && !stage.newest()["finishedAt"].is_null() {
                break;
            }
            stage.advance(STEP);
        }
        assert!(!stage.newest()["finishedAt"].is_null(), "seed {seed} {configuration}: not over");
    }
    assert!(seen > 300 && undone > 4, "{seen} readings, {undone} that go back");
}
