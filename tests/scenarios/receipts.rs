//! What must arrive of the alerts: told again until it is on record that it was taken, whatever happens in between.

use std::collections::{BTreeMap, BTreeSet};

use trueup::controller::SweepResult;
use trueup::model::alert::Alert;
use trueup::model::{Declared, Mark, Matter};
use trueup::notify::transition;
use trueup_simulator::{Api, Fault};

use crate::frugality::run_as_due;
use crate::native::{blue_green, pause, with};
use crate::process::Trouble;
use crate::stage::{Breaker, Running, Stage, TICK, WRITES, said};

/// A failing commit is declared; somebody wants to be told everything that must arrive.
fn failing() -> Stage {
    let mut stage = Stage::new(Breaker::On);
    let digest = stage.build("bbbbbbb");
    stage.inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 });
    stage.declare("bbbbbbb");
    somebody_listens(&mut stage);
    stage
}

fn somebody_listens(stage: &mut Stage) {
    for declared in &mut stage.declaration.applications {
        if let Declared::Readable(desired) = declared {
            desired.alerts = Matter::ALL.into();
        }
    }
}

/// A process with a receiver that takes everything at once.
struct Teller {
    running: Running,
    before: Option<transition::AlertHistory>,
    /// Taken, and not on record yet.
    taken: Vec<Alert>,
}

impl Teller {
    fn new(stage: &Stage, plan: BTreeMap<usize, Trouble>) -> Self {
        Self { running: stage.process(plan), before: None, taken: Vec::new() }
    }

    /// The keys of what it tells after a look.
    fn tell(&mut self, swept: &[SweepResult]) -> Vec<String> {
        let status = &swept[0].plan.status;
        let (alerts, told) = transition::of_target(self.before.as_ref(), status, status.checked_at);
        self.before = Some(told);
        let due: Vec<Alert> = alerts.into_iter().filter(|alert| alert.receipt.is_some()).collect();
        self.taken.extend(due.clone());
        due.into_iter().map(|alert| alert.key).collect()
    }

    async fn note(&mut self, stage: &Stage) {
        let Some(last) = self.taken.last() else { return };
        let (target, receipt) = (last.target.clone().unwrap(), last.receipt.clone().unwrap());
        let marks = self.taken.iter().filter_map(|alert| alert.receipt.clone());
        let marks =
            marks.map(|one| (one.matter, Mark::Taken { about: one.about, owed: BTreeSet::new() })).collect();
        let note = self.running.controller.note(&stage.declaration, &target, &receipt.revision, &marks);
        if matches!(note.await, Ok(true)) {
            self.taken.clear();
        }
    }
}

/// What was told, in order, and the calls of the first process. `dies_untold`: it does so when it has told something the first time,
/// before that is on record.
async fn play(
    stage: &Stage,
    plan: BTreeMap<usize, Trouble>,
    dies_untold: bool,
) -> (Vec<String>, Vec<String>) {
    let mut teller = Teller::new(stage, plan);
    let (mut told, mut calls, mut dies) = (Vec::new(), None, dies_untold);
    for _ in 0..200 / TICK {
        let swept = teller.running.pass(stage).await;
        let has_crashed = teller.running.process().has_crashed();
        let news = if has_crashed { Vec::new() } else { teller.tell(&swept) };
        let dies_now = dies && !news.is_empty();
        told.extend(news);
        if has_crashed || dies_now {
            calls.get_or_insert_with(|| teller.running.process().calls());
            dies &= !dies_now;
            teller = Teller::new(stage, BTreeMap::new());
            continue;
        }
        teller.note(stage).await;
        stage.advance(TICK);
    }
    assert_eq!(teller.taken, [], "what was taken is on record");
    (told, calls.unwrap_or_else(|| teller.running.process().calls()))
}

#[tokio::test]
async fn an_outcome_and_a_hold_are_told_under_one_key_whenever_the_process_dies() {
    let plain = failing();
    let (expected, calls) = play(&plain, BTreeMap::new(), false).await;
    let kinds: Vec<&str> = expected.iter().filter_map(|key| key.split('/').next()).collect();
    assert_eq!(kinds, ["deployment.rolled_back", "commit.held"]);
    let is_write = |index: usize| calls.get(index).is_some_and(|call| WRITES.contains(&call.as_str()));
    let near = (0..calls.len()).filter(|index| (index.saturating_sub(1)..index + 2).any(is_write));
    let mut cases: Vec<(BTreeMap<usize, Trouble>, bool)> = vec![(BTreeMap::new(), true)];
    for index in near {
        let lost = [Trouble::CrashAfter, Trouble::LoseRequest, Trouble::LoseAnswer];
        let troubles = lost.into_iter().filter(|_| is_write(index)).chain([Trouble::CrashBefore]);
        cases.extend(troubles.map(|trouble| (BTreeMap::from([(index, trouble)]), false)));
    }
    for (plan, dies_untold) in cases {
        let stage = failing();
        let (told, _) = play(&stage, plan.clone(), dies_untold).await;
        let different = |keys: &[String]| keys.iter().map(|key| kind(key)).collect::<BTreeSet<String>>();
        assert_eq!(different(&told), different(&expected), "{plan:?}: {told:?}");
        let keys: BTreeSet<&String> = told.iter().collect();
        assert_eq!(keys.len(), 2, "{plan:?}: again under its own key: {told:?}");
        assert!(!dies_untold || told.len() > 2, "{told:?}");
        let (again, _) = play(&stage, BTreeMap::new(), false).await;
        assert_eq!(again, [] as [String; 0], "{plan:?}: what is on record is told no more");
        assert_eq!(stage.deployments(), plain.deployments(), "{plan:?}");
    }
}

fn kind(key: &str) -> String {
    key.split('/').next().unwrap_or_default().to_owned()
}

/// Where nobody receives anything nothing is stamped, and nothing is told one day of what began then.
#[tokio::test]
async fn what_was_deployed_while_nobody_listened_is_told_to_nobody_later() {
    let mut stage = failing();
    for declared in &mut stage.declaration.applications {
        if let Declared::Readable(desired) = declared {
            desired.alerts = BTreeSet::new();
        }
    }
    let mut teller = Teller::new(&stage, BTreeMap::new());
    assert_eq!(said(&teller.running.run(&stage, 200).await), "Held");
    let newest = serde_json::json!({"taskDefinition": "mco-api", "include": ["TAGS"]});
    assert!(!stage.call(Api::Ecs, "DescribeTaskDefinition", &newest).to_string().contains("trueup:told"));
    somebody_listens(&mut stage);
    teller = Teller::new(&stage, BTreeMap::new());
    let swept = teller.running.pass(&stage).await;
    assert_eq!(teller.tell(&swept), [] as [String; 0]);
}

/// The record begins with the stamp of the deployment, and a mark is one call.
#[tokio::test]
async fn that_an_alert_was_taken_costs_one_call_and_what_leads_to_it_none() {
    let mut costs = Vec::new();
    for listens in [false, true] {
        let mut stage = Stage::new(Breaker::On);
        let mut teller = Teller::new(&stage, BTreeMap::new());
        run_as_due(&mut teller.running, &stage, 60).await;
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        if listens {
            somebody_listens(&mut stage);
        }
        let before = teller.running.process().calls().len();
        assert_eq!(run_as_due(&mut teller.running, &stage, 180).await, "Settled");
        costs.push(teller.running.process().calls().len() - before);
        if listens {
            let swept = teller.running.pass(&stage).await;
            assert_eq!(teller.tell(&swept).len(), 1);
            let before = teller.running.process().calls().len();
            teller.note(&stage).await;
            assert_eq!(teller.running.process().calls()[before..], ["TagResource"]);
        }
    }
    assert_eq!(costs[0], costs[1]);
}

/// Neither knows of the other: what the other has put on record is in the world, and what it is about to is not.
#[tokio::test]
async fn two_controllers_tell_each_thing_under_one_key_and_a_third_nothing() {
    let stage = failing();
    let mut both = [Teller::new(&stage, BTreeMap::new()), Teller::new(&stage, BTreeMap::new())];
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..200 / TICK {
        for teller in &mut both {
            let swept = teller.running.pass(&stage).await;
            for key in teller.tell(&swept) {
                *told.entry(key).or_default() += 1;
            }
        }
        for teller in &mut both {
            teller.note(&stage).await;
        }
        stage.advance(TICK);
    }
    assert_eq!(
        told.keys().map(|key| kind(key)).collect::<Vec<_>>(),
        ["commit.held", "deployment.rolled_back"]
    );
    assert!(told.values().all(|times| (1..=2).contains(times)), "{told:?}");
    let (again, _) = play(&stage, BTreeMap::new(), false).await;
    assert_eq!(again, [] as [String; 0]);
}

#[tokio::test]
async fn that_a_word_is_waited_for_is_told_by_whoever_comes_until_it_was_taken() {
    let waits = with(blue_green(), &[pause("PRE_PRODUCTION_TRAFFIC_SHIFT", 60, "ROLLBACK")]);
    let mut stage = Stage::native(&waits, true);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    somebody_listens(&mut stage);
    let (first, _) = play(&stage, BTreeMap::new(), true).await;
    let kinds: Vec<String> = first.iter().map(|key| kind(key)).collect();
    assert_eq!(kinds, ["approval.needed", "approval.needed"], "it died before that was on record");
    assert_eq!(first[0], first[1]);
    let (again, _) = play(&stage, BTreeMap::new(), false).await;
    assert_eq!(again, [] as [String; 0]);
}
