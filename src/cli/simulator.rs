//! `trueup simulator`: the simulated AWS as a server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use trueup_simulator::{World, http};

use super::End;
use crate::aws::MachineClock;
use crate::manifest::NameKind;
use crate::ports::Clock;

/// An account as it may be declared.
pub(super) fn account(text: &str) -> Result<String, String> {
    named(NameKind::Account, text)
}

/// A region as it may be declared.
pub(super) fn region(text: &str) -> Result<String, String> {
    named(NameKind::Region, text)
}

fn named(kind: NameKind, text: &str) -> Result<String, String> {
    if kind.allows(text) {
        return Ok(text.to_owned());
    }
    let (message, hint) = kind.complaint(text);
    Err(format!("{message}\n  hint  {hint}"))
}

pub(super) async fn run(
    listen: SocketAddr,
    speed: f64,
    latency: Duration,
    world: World,
) -> anyhow::Result<End> {
    if !(0.0..=100_000.0).contains(&speed) {
        bail!("--speed must lie between 0 and 100000");
    }
    let listener =
        tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let now = u64::try_from(MachineClock.now() / 1000).unwrap_or_default();
    let world = Arc::new(Mutex::new(world.starting_at(now)));
    outln!("http://{}", listener.local_addr()?);
    tokio::select! {
        served = http::serve_far_away(listener, world, speed, latency) => served?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(End::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_and_a_region_are_those_that_may_be_declared() {
        for (taken, text) in
            [(account("123456789012"), "123456789012"), (region("us-gov-west-1"), "us-gov-west-1")]
        {
            assert_eq!(taken.as_deref(), Ok(text));
        }
        for (refused, expected) in [
            (account("abc"), "`abc` cannot be an AWS account\n  hint  twelve digits"),
            (account("12345678901"), "`12345678901` cannot be an AWS account\n  hint  twelve digits"),
            (region("nonsense"), "`nonsense` cannot be an AWS region\n  hint  such as eu-west-2"),
            (region(""), "`` cannot be an AWS region\n  hint  such as eu-west-2"),
        ] {
            assert_eq!(refused, Err(expected.to_owned()));
        }
    }
}
