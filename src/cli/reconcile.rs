//! `trueup reconcile`: until everything is settled, and not longer.

use std::time::{Duration, Instant};

use super::source::{Opened, print_findings};
use super::{End, Names, RepositoryArgs, controller, jittered, pause, show};
use crate::controller::{Controller, Swept, Writes, is_settled};
use crate::plan::waiting::{Class, class};

/// Looks in a row in which nobody moves, before those who wait for others are left waiting.
const STANDSTILL: u32 = 2;

pub(super) async fn run(arguments: &RepositoryArgs, names: &Names, timeout: Duration) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let broken = print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let mut controller = controller(source).await;
    let started = Instant::now();
    let mut still = 0;
    loop {
        let swept = controller.sweep(&declaration, Writes::Allowed, |target| selection.holds(target)).await;
        swept.iter().for_each(show::outcome);
        still = if nobody_moves(&swept, &controller) { still + 1 } else { 0 };
        let late = started.elapsed() > timeout;
        if late || still >= STANDSTILL || swept.iter().all(is_settled) {
            show::complaints(&swept);
            if late {
                say!("not settled after {} s", timeout.as_secs());
            }
            let end = verdict(&swept);
            return Ok(if broken && end == End::Good { End::Error } else { end });
        }
        tokio::time::sleep(jittered(pause(&swept))).await;
    }
}

/// Whether all are at rest but for those who wait for others that are at rest too.
fn nobody_moves(swept: &[Swept], controller: &Controller) -> bool {
    let waits = |one: &Swept| classes(std::slice::from_ref(one)).any(|class| class == Class::Others);
    let mut statuses = controller.statuses().values();
    swept.iter().all(|one| is_settled(one) || waits(one))
        && statuses.all(|status| {
            let class = status.waiting.as_ref().map(class);
            class.is_some_and(|class| class.is_rest() || class == Class::Others)
        })
}

fn classes(swept: &[Swept]) -> impl Iterator<Item = Class> {
    swept.iter().filter_map(|one| one.plan.as_ref()?.waiting.as_ref()).map(class)
}

fn verdict(swept: &[Swept]) -> End {
    let writes = swept.iter().any(|one| one.plan.as_ref().is_some_and(|plan| plan.waiting.is_none()));
    if classes(swept).any(|class| class == Class::Failed) {
        End::Failed
    } else if !writes && classes(swept).all(|class| class == Class::Settled) {
        End::Good
    } else {
        End::NotReached
    }
}
