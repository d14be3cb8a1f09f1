//! `trueup wait`: for CI. Writes nothing; looks until a commit has succeeded, has failed or is held.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::source::Opened;
use super::{End, RepositoryArgs, controller, jittered, pause};
use crate::controller::Writes;
use crate::model::{Commit, Health, Sync};
use crate::plan::Plan;

pub(super) async fn run(
    arguments: &RepositoryArgs,
    name: &str,
    commit: &str,
    timeout: Duration,
) -> anyhow::Result<End> {
    let commit = Commit::new(commit);
    let source = Opened::open(arguments)?;
    let mut controller = controller(source.clone()).await;
    let started = Instant::now();
    loop {
        let (_, declaration) = source.committed()?;
        let swept =
            controller.sweep(&declaration, Writes::Withheld, |target| target.to_string() == name).await;
        let plan = swept.first().and_then(|swept| swept.plan.as_ref());
        match verdict(plan.with_context(|| format!("no readable application {name}"))?, &commit) {
            Some(End::Failed) => {
                say!("{name}: {} failed here; trueup status {name} says why", commit.short());
                return Ok(End::Failed);
            }
            Some(end) => return Ok(end),
            None => {}
        }
        if started.elapsed() > timeout {
            say!("{name}: {} not reached after {} s", commit.short(), timeout.as_secs());
            return Ok(End::NotReached);
        }
        tokio::time::sleep(jittered(pause(&swept))).await;
        // What was read before stays good while the repository cannot be reached.
        if let Err(error) = source.fetch().await {
            say!("{error:#}");
        }
    }
}

/// How the commit ended here; `None` while it may still come.
fn verdict(plan: &Plan, commit: &Commit) -> Option<End> {
    let status = &plan.status;
    let is_declared = status.declared.as_ref().is_some_and(|declared| declared.matches(commit));
    match (is_declared, status.sync, status.health) {
        (false, ..) => None,
        (true, Sync::Synced, Health::Healthy) => Some(End::Good),
        _ => plan.failure.as_ref().map(|_| End::Failed),
    }
}
