//! Deployments are counted once each, whichever processes have followed them.

use std::collections::BTreeMap;

use serde_json::json;
use trueup::http::deployments::{Deployments, Ended};
use trueup::model::OutcomeKind::{self, Failed, Succeeded};
use trueup_simulator::Fault;

use crate::process::Trouble;
use crate::stage::{Breaker, Running, Stage, TICK, said};

/// A process, and what it has counted so far.
struct Counter {
    running: Running,
    deployments: Deployments,
}

impl Counter {
    fn new(stage: &Stage, plan: BTreeMap<usize, Trouble>) -> Self {
        Self { running: stage.process(plan), deployments: Deployments::default() }
    }

    /// Looks until there have been so many deployments, and counts none of them.
    async fn starts(&mut self, stage: &Stage, deployments: usize) {
        for _ in 0..30 {
            assert_eq!(self.look(stage).await, []);
            if stage.deployments() == deployments {
                return;
            }
            stage.advance(TICK);
        }
        unreachable!("it starts no deployment");
    }

    /// A look, and what it counts. Who has died counts nothing.
    async fn look(&mut self, stage: &Stage) -> Vec<Ended> {
        let swept = self.running.pass(stage).await;
        if self.running.process().has_crashed() {
            return Vec::new();
        }
        swept.iter().filter_map(|one| self.deployments.look(one)).collect()
    }
}

/// What was counted by all processes, one after the other, and the calls of the first.
async fn play(stage: &Stage, plan: BTreeMap<usize, Trouble>) -> (Vec<OutcomeKind>, Vec<String>) {
    let mut counter = Counter::new(stage, plan);
    let (mut counted, mut calls) = (Vec::new(), None);
    for _ in 0..200 / TICK {
        counted.extend(counter.look(stage).await.into_iter().map(|ended| ended.outcome));
        if counter.running.process().has_crashed() {
            calls.get_or_insert_with(|| counter.running.process().calls());
            counter = Counter::new(stage, BTreeMap::new());
            continue;
        }
        stage.advance(TICK);
    }
    (counted, calls.unwrap_or_else(|| counter.running.process().calls()))
}

fn declared(crashes: bool) -> Stage {
    let mut stage = Stage::new(Breaker::On);
    let digest = stage.build("bbbbbbb");
    if crashes {
        stage.inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 });
    }
    stage.declare("bbbbbbb");
    stage
}

/// Only between the record and the count nobody counts it: the counters of who died there are gone with it.
#[tokio::test]
async fn an_outcome_is_counted_once_whenever_the_process_dies() {
    for (crashes, expected) in [(false, Succeeded), (true, Failed)] {
        let (counted, calls) = play(&declared(crashes), BTreeMap::new()).await;
        assert_eq!(counted, [expected]);
        let begins_or_stamps = |call: &str| ["UpdateService", "TagResource"].contains(&call);
        let mut uncounted = Vec::new();
        for index in (0..calls.len()).filter(|index| begins_or_stamps(&calls[*index])) {
            let troubles =
                [Trouble::CrashBefore, Trouble::CrashAfter, Trouble::LoseRequest, Trouble::LoseAnswer];
            for trouble in troubles {
                let stage = declared(crashes);
                let (counted, _) = play(&stage, BTreeMap::from([(index, trouble)])).await;
                match counted.as_slice() {
                    [] => uncounted.push((calls[index].as_str(), trouble)),
                    counted => assert_eq!(counted, [expected], "{trouble:?} at {index}"),
                }
                let mut next = Counter::new(&stage, BTreeMap::new());
                for _ in 0..3 {
                    assert_eq!(next.look(&stage).await, [], "{trouble:?} at {index}: it was counted");
                }
            }
        }
        assert_eq!(uncounted, [("TagResource", Trouble::CrashAfter)]);
    }
}

#[tokio::test]
async fn what_ended_while_no_process_ran_is_counted_by_the_next() {
    let stage = declared(false);
    let mut counter = Counter::new(&stage, BTreeMap::new());
    counter.starts(&stage, 2).await;
    stage.advance(600);
    assert_eq!(play(&stage, BTreeMap::new()).await.0, [Succeeded]);
}

/// The commits that have arrived by now, and the time of their deployments.
async fn arrivals(stage: &Stage, counter: &mut Counter) -> Vec<(String, bool)> {
    let mut arrived = Vec::new();
    for _ in 0..300 / TICK {
        for ended in counter.look(stage).await {
            let took = ended.took.unwrap();
            assert!((1_000..300_000).contains(&took), "{took}");
            arrived.extend(ended.arrival.map(|one| (one.commit.short().to_owned(), one.at > 0)));
        }
        stage.advance(TICK);
    }
    arrived
}

#[tokio::test]
async fn a_commit_arrives_once_and_what_is_restored_does_not() {
    let mut stage = declared(false);
    let mut counter = Counter::new(&stage, BTreeMap::new());
    assert_eq!(
        arrivals(&stage, &mut counter).await,
        [],
        "nobody knows since when what ran before was declared"
    );
    stage.build("ccccccc");
    stage.environment = "  policy: {drift: heal}\n".to_owned();
    stage.declare("ccccccc");
    // Half of it is seen by one process, the rest by another.
    counter.starts(&stage, 3).await;
    counter = Counter::new(&stage, BTreeMap::new());
    assert_eq!(arrivals(&stage, &mut counter).await, [("ccccccc".to_owned(), true)]);
    stage.update(&json!({"taskDefinition": "mco-api:2"}));
    assert_eq!(arrivals(&stage, &mut counter).await, [], "it was declared and ran before");
    assert_eq!(said(&counter.running.run(&stage, 10).await), "Settled");
    stage.check_deployments(5);
}
