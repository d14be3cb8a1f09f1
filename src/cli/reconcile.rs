//! `trueup reconcile`, `run` and `wait`: the loop, until everything is settled, for ever, or only looking.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::source::{Opened, print_findings};
use super::{End, Names, RepositoryArgs, SystemClock, controller, show};
use crate::controller::{Requeue, Swept, Writes, is_settled, observe_only};
use crate::git::Watch;
use crate::http::{self, Board};
use crate::model::{Commit, Declaration, Health, Phase, Sync, Waiting};
use crate::notify::{
    Notifier,
    webhook::{self, Webhook},
};
use crate::ports::Clock;

/// How long a sweep may go on after the process was asked to end.
const GRACE: Duration = Duration::from_secs(4);

pub(super) async fn until_settled(
    arguments: &RepositoryArgs,
    names: &Names,
    timeout: Duration,
) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let broken = print_findings(&declaration);
    let selection = names.selection()?;
    let mut controller = controller(source).await;
    let started = Instant::now();
    loop {
        let swept = controller.sweep(&declaration, Writes::Allowed, |target| selection.holds(target)).await;
        tell(&swept);
        if swept.iter().all(is_settled) {
            let end = verdict(&swept);
            show::complaints(&swept);
            return Ok(if broken && end == End::Good { End::Error } else { end });
        }
        if started.elapsed() > timeout {
            show::complaints(&swept);
            eprintln!("not settled after {} s", timeout.as_secs());
            return Ok(End::NotReached);
        }
        rest(&swept).await;
    }
}

pub(super) async fn for_ever(
    arguments: &RepositoryArgs,
    observe: bool,
    listen: Option<SocketAddr>,
) -> anyhow::Result<End> {
    let settings = arguments.settings()?;
    let board = Board::default();
    if let Some(address) = listen.or(settings.listen) {
        let listener = http::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(event = "http.listening", address = %listener.local_addr()?);
        tokio::spawn(board.clone().serve(listener));
    }
    let source = Opened::with(&settings)?;
    let mut controller = controller(source.clone()).await;
    let webhook = settings.webhook.map(|to| Webhook::start(to, &webhook::RESTS)).transpose()?;
    let mut notifier = Notifier::new(webhook);
    // Why the last fetch failed, until one succeeds.
    let mut unreachable: Option<String> = None;
    let mut watch = source.watch();
    let mut declared: Option<Declaration> = None;
    let mut asked = Instant::now();
    let mut stop = std::pin::pin!(stopped()?);
    let mut stopping = false;
    while !stopping {
        let news = source.changed_since(declared.as_ref());
        let broken = news.as_ref().err().map(|error| format!("{error:#}")).or_else(|| unreachable.clone());
        board.source(broken.clone());
        notifier.source(broken, SystemClock.now());
        if let Ok(Some((head, mut declaration))) = news {
            tracing::info!(event = "source.changed", commit = %head.commit, summary = %head.summary);
            print_findings(&declaration);
            if observe {
                observe_only(&mut declaration);
            }
            declared = Some(declaration);
        }
        if let Some(declaration) = &declared {
            let due = controller.due(declaration);
            let swept = {
                let sweep = controller.sweep(declaration, Writes::Allowed, |target| due.contains(target));
                let mut sweep = std::pin::pin!(sweep);
                tokio::select! {
                    swept = &mut sweep => swept,
                    () = &mut stop => {
                        stopping = true;
                        // Cut off, it is as safe as a crash; finished, the next process has less to find out.
                        tokio::time::timeout(GRACE, sweep).await.unwrap_or_default()
                    }
                }
            };
            tell(&swept);
            board.swept(&swept, controller.statuses().values());
            let statuses = swept.iter().filter_map(|one| one.plan.as_ref()).map(|plan| &plan.status);
            notifier.targets(statuses, SystemClock.now());
        }
        if stopping {
            break;
        }
        let poll = jittered(source.poll_interval).saturating_sub(asked.elapsed());
        tokio::select! {
            () = tokio::time::sleep(jittered(controller.rest()).min(poll)) => {}
            () = commit(watch.as_mut()) => {}
            () = &mut stop => break,
        }
        if asked.elapsed() >= source.poll_interval {
            asked = Instant::now();
            unreachable = source.fetch().await.err().map(|error| format!("{error:#}"));
        }
    }
    notifier.finish().await;
    Ok(End::Good)
}

/// Returns when a watched repository has got a commit.
async fn commit(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn wait(
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
        source.fetch().await?;
        let (_, declaration) = source.committed()?;
        let swept =
            controller.sweep(&declaration, Writes::Withheld, |target| target.to_string() == name).await;
        let plan = swept
            .first()
            .and_then(|swept| swept.plan.as_ref())
            .with_context(|| format!("no readable application {name}"))?;
        let status = &plan.status;
        if status.declared.as_ref().is_some_and(|declared| declared.matches(&commit)) {
            let succeeded = status.sync == Sync::Synced && status.health == Health::Healthy;
            match &plan.waiting {
                _ if succeeded => return Ok(End::Good),
                Some(Waiting::Held { .. } | Waiting::RollbackFailed) => {
                    eprintln!("{name}: {} failed here and is held", commit.short());
                    return Ok(End::Failed);
                }
                _ if status.last_deployment.as_ref().is_some_and(|last| {
                    matches!(last.phase, Phase::Failed | Phase::RolledBack)
                        && last.commit.as_ref().is_some_and(|failed| failed.matches(&commit))
                }) =>
                {
                    return Ok(End::Failed);
                }
                _ => {}
            }
        }
        if started.elapsed() > timeout {
            eprintln!("{name}: {} not reached after {} s", commit.short(), timeout.as_secs());
            return Ok(End::NotReached);
        }
        rest(&swept).await;
    }
}

/// Says what was written and what failed.
fn tell(swept: &[Swept]) {
    for one in swept {
        show::outcome(one);
    }
}

fn verdict(swept: &[Swept]) -> End {
    let waits = || swept.iter().filter_map(|one| one.plan.as_ref()?.waiting.as_ref());
    if waits().any(|waiting| matches!(waiting, Waiting::Held { .. } | Waiting::RollbackFailed)) {
        return End::Failed;
    }
    let fine = |waiting: &Waiting| {
        matches!(
            waiting,
            Waiting::Settled | Waiting::Observing | Waiting::Drifted | Waiting::Suspended { .. }
        )
    };
    if waits().all(fine) { End::Good } else { End::NotReached }
}

/// The shortest rest that any target asks for.
fn pause(swept: &[Swept]) -> Duration {
    let asked = swept.iter().map(|one| match one.requeue {
        Requeue::Now => Duration::ZERO,
        Requeue::After(delay) => delay,
    });
    jittered(asked.min().unwrap_or(Duration::from_secs(30)))
}

/// Up to a tenth more, so that many controllers do not fall into step.
fn jittered(rest: Duration) -> Duration {
    rest + rest.mul_f64(fastrand::f64() / 10.0)
}

async fn rest(swept: &[Swept]) {
    tokio::time::sleep(pause(swept)).await;
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
