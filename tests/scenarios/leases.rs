//! A lease that is lost at every call of a promotion: who lost it writes nothing more, and who has taken it ends where one
//! alone would have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trueup::controller::{SweepResult, Writes};

use crate::faults::{check_rest, rolling, run};
use crate::moments::{Hand, is_write, moments};
use crate::process::Trouble;
use crate::stage::{Breaker, Running, Stage, TICK, check_truth, said};

/// Who may write: the first replica, until it has lost the lease to the second one.
#[derive(Clone)]
struct Lease(Arc<AtomicBool>);

impl Lease {
    fn is_of_first(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// A look, as the loop of an account and region makes it: the permit is asked again before each write.
    async fn look(&self, running: &mut Running, stage: &Stage, is_first: bool) -> Vec<SweepResult> {
        let permit = || self.is_of_first() == is_first;
        let writes = if permit() { Writes::Allowed } else { Writes::Withheld };
        running.controller.sweep_while(&stage.declaration, writes, |_| true, &permit, |_| ()).await
    }
}

/// Virtual seconds after which everything must have come to rest.
const LONG: u64 = 400;

/// Loses the lease before this call of the first replica; what the first one had written by the end, and the second one's
/// last word.
async fn lost_at(stage: &Stage, index: usize) -> (usize, String) {
    let lease = Lease(Arc::new(AtomicBool::new(true)));
    let loses = lease.clone();
    let hand = Arc::new(Hand(move || loses.0.store(false, Ordering::SeqCst)));
    let mut first = stage.process_beside(BTreeMap::from([(index, Trouble::Elsewhere)]), Some(hand));
    let mut second = stage.process(BTreeMap::new());
    let mut last = String::new();
    for _ in 0..LONG / TICK {
        check_truth(stage, &lease.look(&mut first, stage, true).await);
        let swept = lease.look(&mut second, stage, false).await;
        check_truth(stage, &swept);
        last = said(&swept[0]);
        if !lease.is_of_first() && last == "Settled" && stage.running().len() == 2 {
            break;
        }
        stage.advance(TICK);
    }
    (first.process().log().iter().filter(|call| is_write(call)).count(), last)
}

#[tokio::test]
async fn a_lease_that_is_lost_at_every_call_ends_the_writes_of_one_and_begins_those_of_the_other() {
    let stage = rolling(Breaker::On, None);
    let plain = stage.clone();
    let calls = run(&plain, BTreeMap::new(), None).await.calls;
    let last = calls.iter().rposition(is_write).unwrap();
    for index in moments(&calls).into_iter().filter(|index| *index <= last) {
        let stage = stage.clone();
        // The write itself is on its way when the lease is lost; that of a tag begins with the manifest.
        let on_its_way = if calls[index].operation == "BatchGetImage" { index + 1 } else { index };
        let before = calls[..=on_its_way].iter().filter(|call| is_write(call)).count();
        let place = format!("lost before call {index}, {}", calls[index].operation);
        assert_eq!(lost_at(&stage, index).await, (before, "Settled".to_owned()), "{place}");
        check_rest(&stage, "bbbbbbb", &place);
        assert_eq!(stage.deployments(), plain.deployments(), "{place}");
        assert_eq!(stage.registered(), plain.registered(), "{place}");
    }
}
