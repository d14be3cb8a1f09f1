//! `trueup reconcile`: until everything is settled, and not longer.

use std::time::{Duration, Instant};

use super::end::{self, Asked, End, Standing};
use super::source::{InfraRepository, print_findings};
use super::{Names, RepositoryArgs, controller, jittered, messages, pause, progress};
use crate::controller::{Controller, SweepResult, Writes, adopt, is_settled};
use crate::model::{FirstContact, Health};
use crate::plan::waiting::{Class, class};

/// Looks in a row in which nobody moves, before those who wait for others are left waiting.
const STANDSTILL: u32 = 2;

pub(super) async fn run(
    arguments: &RepositoryArgs,
    names: &Names,
    timeout: Duration,
    first_contact: FirstContact,
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (_, mut declaration) = source.committed()?;
    if first_contact == FirstContact::Adopt {
        adopt(&mut declaration);
    }
    print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let broken = selection.is_broken(&declaration);
    let mut controller = controller(source).await;
    let started = Instant::now();
    let mut still = 0;
    loop {
        let swept =
            progress::sweep(&mut controller, &declaration, Writes::Allowed, |target| selection.holds(target))
                .await;
        swept.iter().for_each(messages::outcome);
        still = if nobody_moves(&swept, &controller) { still + 1 } else { 0 };
        let left = timeout.saturating_sub(started.elapsed());
        let is_over = still >= STANDSTILL || swept.iter().all(rests);
        if left.is_zero() || is_over {
            messages::complaints(&swept);
            if !is_over {
                say!("not settled after {} s", timeout.as_secs());
            }
            return Ok(end::lowest([broken, end::of(Asked::Reconcile, &swept)]));
        }
        tokio::time::sleep(jittered(pause(&swept)).min(left)).await;
    }
}

/// Whether nothing more will happen by itself; tasks that are still to start will.
fn rests(one: &SweepResult) -> bool {
    let starts =
        end::standing(&one.plan) == Standing::NotHealthy && one.plan.status.health == Health::Progressing;
    is_settled(one) && !starts
}

fn waits_for_others(one: &SweepResult) -> bool {
    matches!(end::standing(&one.plan), Standing::Others | Standing::TagWaits)
}

/// Whether all are at rest but for those who wait for others that are at rest too.
fn nobody_moves(swept: &[SweepResult], controller: &Controller) -> bool {
    let mut statuses = controller.statuses();
    swept.iter().all(|one| rests(one) || waits_for_others(one))
        && statuses.all(|status| {
            let class = status.waiting.as_ref().map(class);
            class.is_some_and(|class| class.is_rest() || class == Class::Others)
        })
}
