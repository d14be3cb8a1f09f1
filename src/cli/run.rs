//! `trueup run`: the controller. It watches the repository, looks, writes, tells, and rests, until it is stopped. A fetch
//! goes on beside it: the sweeps go on with what was read last.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::source::{Fetch, Opened, print_findings};
use super::{End, RepositoryArgs, controller, jittered, show};
use crate::controller::{Controller, News, Writes, observe_only};
use crate::git::Watch;
use crate::http::{self, Board};
use crate::model::Declaration;
use crate::notify::{
    Notifier,
    webhook::{self, Webhook},
};

/// How long a turn may go on after the process was asked to end. With the farewell of the alerts it stays below the five
/// seconds that are promised.
const GRACE: Duration = Duration::from_secs(3);
/// How long the first sweep waits for the first fetch: what is declared now is better than what was declared when the
/// process last ran, but a git host that hangs must not keep the services from being looked at.
const FIRST_FETCH: Duration = Duration::from_secs(10);
/// How long a fetch has to end what it has started, when the process ends.
const FETCH_ENDS: Duration = Duration::from_millis(500);

pub(super) async fn run(
    arguments: &RepositoryArgs,
    observe: bool,
    listen: Option<SocketAddr>,
) -> anyhow::Result<End> {
    let mut stop = std::pin::pin!(stopped()?);
    let settings = arguments.settings()?;
    let board = Board::default();
    if let Some(address) = listen.or(settings.listen) {
        let listener = http::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(event = "http.listening", address = %listener.local_addr()?);
        tokio::spawn(board.clone().serve(listener));
    }
    let source = Opened::beside(&settings)?;
    let webhook = settings.webhook.map(|to| Webhook::start(to, &webhook::RESTS)).transpose()?;
    let mut watch = source.watch();
    // AWS is asked for the time, and may not answer.
    let controller = tokio::select! {
        made = controller(source.clone()) => made,
        () = &mut stop => return Ok(End::Good),
    };
    let mut looped = Loop {
        controller,
        notifier: Notifier::new(webhook),
        source,
        board,
        observe,
        declared: None,
        unreachable: None,
        fetched: None,
        fetch: None,
    };
    if turned(looped.first_fetch(), &mut stop, Duration::ZERO).await {
        while turned(Box::pin(looped.turn()), &mut stop, GRACE).await {
            let rest = looped.rest();
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = looped.end_of_fetch() => {}
                () = commit(watch.as_mut()) => {}
                () = &mut stop => break,
            }
        }
    }
    looped.source.stop();
    let _ = tokio::time::timeout(FETCH_ENDS, looped.end_of_fetch()).await;
    looped.notifier.finish().await;
    Ok(End::Good)
}

/// Makes a turn; whether there may be another one. Cut off, a turn is as safe as a crash; finished, it leaves the next
/// process less to find out.
async fn turned(
    turn: impl Future<Output = ()>,
    stop: &mut (impl Future<Output = ()> + Unpin),
    grace: Duration,
) -> bool {
    let mut turn = std::pin::pin!(turn);
    tokio::select! {
        () = &mut turn => true,
        () = stop => {
            let _ = tokio::time::timeout(grace, turn).await;
            false
        }
    }
}

struct Loop {
    source: Opened,
    controller: Controller,
    notifier: Notifier,
    board: Board,
    observe: bool,
    declared: Option<Declaration>,
    /// Why the last fetch failed, until one succeeds.
    unreachable: Option<String>,
    /// When the last fetch began.
    fetched: Option<Instant>,
    /// The one that goes on; there is never a second.
    fetch: Option<Fetch>,
}

impl Loop {
    /// A repository on this machine has none.
    async fn first_fetch(&mut self) {
        self.begin_fetch();
        if self.fetch.is_some() {
            let _ = tokio::time::timeout(FIRST_FETCH, self.end_of_fetch()).await;
        }
    }

    async fn turn(&mut self) {
        if let Some(ended) = self.fetch.as_mut().and_then(Fetch::ended) {
            self.fetch_ended(ended);
        }
        self.begin_fetch();
        self.read();
        self.sweep().await;
    }

    fn begin_fetch(&mut self) {
        if self.fetch.is_none() && self.until_fetch().is_zero() {
            self.fetched = Some(Instant::now());
            self.fetch = self.source.fetch_beside();
        }
    }

    /// Returns when the fetch that goes on is over; never, if there is none.
    async fn end_of_fetch(&mut self) {
        match &mut self.fetch {
            Some(fetch) => {
                let ended = fetch.end().await;
                self.fetch_ended(ended);
            }
            None => std::future::pending().await,
        }
    }

    fn fetch_ended(&mut self, ended: Result<(), String>) {
        self.fetch = None;
        self.unreachable = ended.err();
    }

    fn until_fetch(&self) -> Duration {
        if self.unreachable.is_none() && self.source.asks_for_more() {
            return Duration::ZERO;
        }
        let since = self.fetched.map_or(Duration::MAX, |fetched| fetched.elapsed());
        self.source.poll_interval.saturating_sub(since)
    }

    fn rest(&self) -> Duration {
        // While a fetch goes on, its end is what is waited for.
        let until_fetch = if self.fetch.is_some() { Duration::MAX } else { jittered(self.until_fetch()) };
        jittered(self.controller.rest()).min(until_fetch)
    }

    /// What the branch declares now. What was read before stays good while it cannot be read.
    fn read(&mut self) {
        let news = self.source.changed_since(self.declared.as_ref());
        // A clone that was never filled cannot be read either, and its fetch says why.
        if self.declared.is_none() && news.is_err() && self.unreachable.is_none() && self.fetch.is_some() {
            self.board.source(Some("the first fetch goes on".to_owned()));
            return;
        }
        let unreadable = || news.as_ref().err().map(|error| format!("{error:#}"));
        let broken = self.unreachable.clone().or_else(unreadable);
        self.board.source(broken.clone());
        self.notifier.source(broken, self.controller.clock().now());
        let Ok(Some((head, mut declaration))) = news else { return };
        tracing::info!(event = "source.changed", commit = %head.commit, summary = %head.summary);
        print_findings(&declaration);
        if self.observe {
            observe_only(&mut declaration);
        }
        self.declared = Some(declaration);
    }

    async fn sweep(&mut self) {
        let Some(declaration) = &self.declared else { return };
        let due = self.controller.due(declaration);
        let (board, notifier, clock) = (&self.board, &mut self.notifier, self.controller.clock());
        let tell = |news: News<'_>| {
            board.news(news);
            let News::Swept(one) = news else { return };
            show::outcome(one);
            notifier.target(&one.plan.status, clock.now());
        };
        let wanted = |target: &_| due.contains(target);
        self.controller.sweep_and_tell(declaration, Writes::Allowed, wanted, tell).await;
        let declared = declaration.applications.iter().map(crate::model::Declared::target);
        self.notifier.retain(declared);
        self.board.swept(self.controller.statuses());
    }
}

/// Returns when a watched repository has got a commit.
async fn commit(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Resolves when the process is asked to end. It listens from now on, not from the first poll.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_lets_a_turn_end_and_cuts_off_one_that_hangs() {
        let mut asked = std::pin::pin!(async {});
        assert!(!turned(std::future::pending(), &mut asked, Duration::ZERO).await);
        let (mut asked, mut steps) = (std::pin::pin!(async {}), 0);
        let turn = async {
            for step in 1..=100 {
                tokio::task::yield_now().await;
                steps = step;
            }
        };
        assert!(!turned(turn, &mut asked, Duration::MAX).await);
        assert_eq!(steps, 100);
        assert!(turned(std::future::ready(()), &mut std::pin::pin!(std::future::pending()), GRACE).await);
    }
}
