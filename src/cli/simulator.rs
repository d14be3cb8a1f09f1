//! `trueup simulator`: the simulated AWS as a server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use trueup_simulator::{World, http};

use super::End;
use crate::aws::MachineClock;
use crate::ports::Clock;

pub(super) async fn run(listen: SocketAddr, speed: f64, world: World) -> anyhow::Result<End> {
    if !(0.0..=100_000.0).contains(&speed) {
        bail!("--speed must lie between 0 and 100000");
    }
    let listener =
        tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let now = u64::try_from(MachineClock.now() / 1000).unwrap_or_default();
    let world = Arc::new(Mutex::new(world.starting_at(now)));
    outln!("http://{}", listener.local_addr()?);
    tokio::select! {
        served = http::serve(listener, world, speed) => served?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(End::Good)
}
