//! What the account allows to everybody together: its rate of writes, and a clean-up of its revisions.

use std::collections::BTreeMap;

use trueup::controller::{Outcome, SweepResult, Writes, is_settled};
use trueup::plan::waiting;
use trueup_simulator::Fault;

use crate::news::Listener;
use crate::stage::{Breaker, Running, SERVICE, Stage, said};

/// Longer than a deployment takes that is watched until it is steady.
const SETTLED: u64 = 240;

/// Virtual seconds until the step has been made, looking when something is due as `trueup run` does, and the outcomes
/// other than "nothing" on the way.
async fn until_written(running: &mut Running, stage: &Stage, step: &str) -> (u64, Vec<Outcome>) {
    let mut outcomes = Vec::new();
    for seconds in 0..600 {
        let due = running.controller.due(&stage.declaration);
        let wanted = |target: &_| due.contains(target);
        for one in running.controller.sweep(&stage.declaration, Writes::Allowed, wanted).await {
            if one.outcome != Outcome::Nothing {
                outcomes.push(one.outcome);
            }
        }
        if outcomes.last().is_some_and(|last| format!("{last:?}").starts_with(&format!("Wrote({step}"))) {
            return (seconds, outcomes);
        }
        stage.advance(1);
    }
    panic!("{step} was never made: {outcomes:?}");
}

#[tokio::test]
async fn throttled_writes_are_tried_again_by_the_pace_of_the_account() {
    let mut stage = Stage::new(Breaker::On);
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 30).await;
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    stage.inject(Fault::Throttle { operation: "RegisterTaskDefinition".to_owned(), times: 5 });
    let (seconds, outcomes) = until_written(&mut running, &stage, "Register").await;
    assert!(seconds <= 40, "{seconds} s");
    let attempts: Vec<u32> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Throttled { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!((attempts, outcomes.len()), (vec![1, 2, 3, 4, 5], 6), "{outcomes:?}");
    // A row that is over is over.
    stage.inject(Fault::Throttle { operation: "UpdateService".to_owned(), times: 1 });
    let (_, outcomes) = until_written(&mut running, &stage, "Deploy").await;
    assert!(outcomes.iter().any(|one| matches!(one, Outcome::Throttled { attempt: 1, .. })), "{outcomes:?}");
}

#[tokio::test]
async fn a_clean_up_of_old_revisions_changes_nothing_that_runs() {
    let mut stage = Stage::new(Breaker::On);
    let mut running = stage.process(BTreeMap::new());
    for commit in ["bbbbbbb", "ccccccc", "ddddddd"] {
        stage.build(commit);
        stage.declare(commit);
        assert_eq!(said(&running.run(&stage, SETTLED).await), "Settled");
    }
    stage.clean_up("mco-api", 1);
    stage.advance(700);
    assert_eq!(said(&stage.process(BTreeMap::new()).run(&stage, 60).await), "Settled");
    stage.check_runs(SERVICE, "ddddddd");
    stage.build("eeeeeee");
    stage.declare("eeeeeee");
    assert_eq!(said(&stage.process(BTreeMap::new()).run(&stage, SETTLED).await), "Settled");
    stage.check_runs(SERVICE, "eeeeeee");
}

#[tokio::test]
async fn a_write_that_aws_refuses_is_told_and_goes_on_once_it_is_let() {
    for (operation, times) in [("RegisterTaskDefinition", 4), ("UpdateService", 4)] {
        let mut stage = Stage::new(Breaker::On);
        let mut running = stage.process(BTreeMap::new());
        running.run(&stage, 30).await;
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        stage.inject(Fault::Deny { operation: operation.to_owned(), times });
        let before = running.process().calls().len();
        let mut told = Listener::default();
        let stalled = |swept: &SweepResult| {
            let plan = &swept.plan;
            said(swept) == "WriteRefused" && waiting::class(plan.waiting.as_ref().unwrap()).is_rest()
        };
        let refused = running.until(&stage, |_, swept| stalled(swept)).await;
        let text = waiting::describe(refused.plan.waiting.as_ref().unwrap());
        assert!(text.contains(operation), "{text}");
        assert!(is_settled(&refused), "{operation}: a command that runs once ends with it");
        told.hear(&[refused]);
        assert_eq!(told.events(), ["reconcile.stalled"], "{operation}");
        let last = running.watch(&stage, 400, |swept| told.hear(swept)).await;
        assert_eq!(said(&last[0]), "Settled", "{operation}");
        let calls = running.process().calls().split_off(before);
        let tries = calls.iter().filter(|call| *call == operation).count();
        assert_eq!(tries, times as usize + 1, "{operation}: a try at each pause");
        assert_eq!(told.events().iter().filter(|event| **event == "reconcile.stalled").count(), 1);
    }
}
