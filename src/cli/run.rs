//! `trueup run`: the controller. It watches the repository, looks, writes, tells, and rests, until it is stopped. A fetch
//! goes on beside it: the sweeps go on with what was read last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use super::lead_times::LeadTimes;
use super::source::{Fetch, InfraRepository, print_findings};
use super::unit_loop::{self, FleetReport};
use super::{End, RepositoryArgs, jittered};
use super::{figures, replicas};
use crate::aws::Aws;
use crate::controller::{observe_only, place_of};
use crate::git::Watch;
use crate::http::{self, Board};
use crate::lease::Leases;
use crate::model::Declaration;
use crate::notify::Notifier;
use crate::notify::outbox::{Outbox, Pace};
use crate::ports::{Clock as _, Place};

/// How long a turn may go on after the process was asked to end. With the farewell of the alerts it stays below the five
/// seconds that are promised.
const GRACE: Duration = Duration::from_secs(3);
/// How long the first sweep waits for the first fetch: what is declared now is better than what was declared when the
/// process last ran, but a git host that hangs must not keep the services from being looked at.
const FIRST_FETCH: Duration = Duration::from_secs(10);
/// How long a fetch has to end what it has started, when the process ends.
const FETCH_ENDS: Duration = Duration::from_millis(500);
/// How long the loop rests at most.
const REST: Duration = Duration::from_secs(30);
/// How often the repository is asked for something newer while writes go on.
const WHILE_WRITING: Duration = Duration::from_secs(2);

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
    let source = InfraRepository::beside(&settings)?;
    let mut watch = source.watch();
    // AWS is asked for the time, and may not answer.
    let aws = tokio::select! {
        aws = super::aws_of(&source) => aws,
        () = &mut stop => return Ok(End::Good),
    };
    if !aws.home().is_known() {
        tokio::spawn(learn_home(aws.clone()));
    }
    let budgets = aws.budgets();
    board.figures(move || figures::calls(&budgets));
    board.figures(figures::memory);
    let outbox = Outbox::start(settings.sinks, Some(&aws), Pace::NORMAL)?;
    let deliveries = outbox.deliveries();
    board.figures(move || figures::deliveries(&deliveries));
    let leases = match &settings.lease {
        Some(lease) => replicas::leases(lease, &aws)?,
        None => Leases::none(),
    };
    let standings = leases.clone();
    board.figures(move || figures::leases(&standings));
    let told = FleetReport::new(board.clone(), Notifier::new(outbox));
    let mut looped = Loop {
        keeper: tokio::spawn(leases.clone().keep()),
        leases,
        aws,
        told,
        lead_times: LeadTimes::start(source.clone(), board.clone()),
        source,
        board,
        observe,
        knew_home: false,
        declared: None,
        units: BTreeMap::new(),
        unreachable: None,
        fetched: None,
        fetch: None,
    };
    tokio::select! {
        () = looped.watch(watch.as_mut()) => {}
        () = &mut stop => {}
    }
    looped.end().await;
    Ok(End::Good)
}

/// Asks until it is known whose the credentials are.
async fn learn_home(aws: Aws) {
    while !aws.home().is_known() {
        tokio::time::sleep(jittered(REST)).await;
        aws.learn_time().await;
    }
}

struct Loop {
    source: InfraRepository,
    aws: Aws,
    told: FleetReport,
    lead_times: LeadTimes,
    board: Board,
    observe: bool,
    /// Whether it was known whose the credentials are when the units were made.
    knew_home: bool,
    /// What is declared now; every unit hears of it.
    declared: Option<watch::Sender<Arc<Declaration>>>,
    /// The loops, which end when nothing is declared to them any more.
    units: BTreeMap<Place, JoinHandle<()>>,
    leases: Leases,
    /// Keeps the leases.
    keeper: JoinHandle<()>,
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

    /// Goes on for ever.
    async fn watch(&mut self, mut changes: Option<&mut Watch>) {
        self.first_fetch().await;
        loop {
            self.turn();
            let rest = self.rest();
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.end_of_fetch() => {}
                () = commit(changes.as_deref_mut()) => {}
            }
        }
    }

    fn turn(&mut self) {
        if let Some(ended) = self.fetch.as_mut().and_then(Fetch::ended) {
            self.fetch_ended(ended);
        }
        self.begin_fetch();
        self.read();
        self.divide_again();
        self.told.turned();
    }

    /// Now that it is known whose the credentials are, who is in that account by name and who is there by default are one
    /// unit.
    fn divide_again(&mut self) {
        if self.knew_home == self.aws.home().is_known() {
            return;
        }
        if let Some(declared) = self.declared.as_ref().map(|declared| Arc::clone(&declared.borrow())) {
            self.declare(&declared);
        }
    }

    /// Lets the writes end that have begun. Cut off, a unit is as safe as after a crash; finished, it leaves the next process less
    /// to find out.
    async fn end(mut self) {
        self.source.stop();
        self.declared = None;
        let units = std::mem::take(&mut self.units);
        let stops: BTreeMap<Place, AbortHandle> =
            units.iter().map(|(place, unit)| (place.clone(), unit.abort_handle())).collect();
        let _ = tokio::time::timeout(GRACE, join_all(units.into_values())).await;
        let (over, cut_off): (Vec<_>, Vec<_>) = stops.iter().partition(|(_, unit)| unit.is_finished());
        for (_, unit) in cut_off {
            unit.abort();
        }
        self.keeper.abort();
        // What was cut off may still be on its way: its lease runs out.
        let over: BTreeSet<Place> = over.into_iter().map(|(place, _)| place.clone()).collect();
        let leases = self.leases.clone().give_back(|place| over.contains(place));
        let _ = tokio::join!(leases, tokio::time::timeout(FETCH_ENDS, self.end_of_fetch()));
        let farewell = self.told.notifier(Notifier::finish);
        farewell.await;
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
        self.interval().saturating_sub(since)
    }

    /// While writes go on, a suspend or a revert should be seen before the next ones.
    fn interval(&self) -> Duration {
        let interval = self.source.poll_interval;
        if self.told.writes_go_on() { interval.min(WHILE_WRITING) } else { interval }
    }

    fn rest(&self) -> Duration {
        // While a fetch goes on, its end is what is waited for.
        let until_fetch = if self.fetch.is_some() { REST } else { self.until_fetch() };
        let most = if self.told.writes_go_on() { WHILE_WRITING } else { REST };
        jittered(until_fetch.min(most))
    }

    /// What the branch declares now. What was read before stays good while it cannot be read.
    fn read(&mut self) {
        let declared = self.declared.as_ref().map(|declared| Arc::clone(&declared.borrow()));
        let news = self.source.changed_since(declared.as_deref());
        // A clone that was never filled cannot be read either, and its fetch says why.
        if self.declared.is_none() && news.is_err() && self.unreachable.is_none() && self.fetch.is_some() {
            self.board.source(Some("the first fetch goes on".to_owned()));
            return;
        }
        let unreadable = || news.as_ref().err().map(|error| format!("{error:#}"));
        let broken = self.unreachable.clone().or_else(unreadable);
        self.board.source(broken.clone());
        let now = self.aws.clock().now();
        self.told.notifier(|notifier| notifier.source(broken, now));
        let Ok(Some((head, mut declaration))) = news else { return };
        tracing::info!(event = "source.changed", commit = %head.commit, summary = %head.summary);
        print_findings(&declaration);
        if self.observe {
            observe_only(&mut declaration);
        }
        self.told.wanted(&mut declaration);
        self.told.declared(&declaration, self.source.address().as_deref());
        self.declare(&Arc::new(declaration));
    }

    /// Tells every unit, and begins those that are new.
    fn declare(&mut self, declaration: &Arc<Declaration>) {
        let declared = match &self.declared {
            Some(declared) => {
                declared.send_replace(Arc::clone(declaration));
                declared
            }
            None => self.declared.insert(watch::Sender::new(Arc::clone(declaration))),
        };
        self.knew_home = self.aws.home().is_known();
        let place = |declared| place_of(&self.aws, declared);
        let places: BTreeSet<Place> = declaration.applications.iter().map(place).collect();
        let new: Vec<Place> = places.into_iter().filter(|place| !self.units.contains_key(place)).collect();
        // All before the first: ready is who has seen everything.
        for place in &new {
            self.told.begins(place);
        }
        for place in new {
            let controller = super::controller_of(&self.aws, self.source.clone());
            let permit = self.leases.permit(&place);
            let (told, lead_times) = (self.told.clone(), self.lead_times.clone());
            let unit =
                unit_loop::run(controller, place.clone(), declared.subscribe(), permit, told, lead_times);
            self.units.insert(place, tokio::spawn(unit));
        }
        if self.units.is_empty() {
            self.board.swept(std::iter::empty());
        }
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
    use crate::git::scratch;
    use crate::model::{AccountId, Region};

    #[tokio::test(start_paused = true)]
    async fn the_first_sweep_waits_for_the_first_fetch_and_not_for_one_that_hangs() {
        let seconds = Duration::from_secs;
        for (lasts, waits, goes_on) in [(None, 0, false), (Some(9), 9, false), (Some(60), 10, true)] {
            let fetch = lasts.map(|lasts| {
                let (fetch, end) = Fetch::until_told();
                tokio::spawn(async move {
                    tokio::time::sleep(seconds(lasts)).await;
                    let _ = end.send(Ok(()));
                });
                fetch
            });
            let mut looped = looped().await;
            looped.fetch = fetch;
            let started = tokio::time::Instant::now();
            looped.first_fetch().await;
            let waited = started.elapsed();
            assert!(waited >= seconds(waits) && waited < seconds(waits + 1), "{lasts:?}: {waited:?}");
            assert_eq!(looped.fetch.is_some(), goes_on, "{lasts:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_the_own_account_by_name_or_by_default_is_in_one_unit_once_it_is_known() {
        let mut looped = looped().await;
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let head = "apiVersion: trueup.dev/v1\nkind";
        write(
            "api.yaml",
            format!(
                "{head}: Application\nmetadata: {{name: api}}\nspec: {{repository: mco/api, service: \"api-{{environment}}\"}}\n"
            ),
        );
        for (name, account) in [("one", ""), ("two", "account: \"123456789012\", region: eu-west-2, ")] {
            let spec = format!("{{{account}cluster: mco, applications: {{api: {{commit: aaaaaaa}}}}}}");
            write(
                &format!("{name}.yaml"),
                format!("{head}: Environment\nmetadata: {{name: {name}}}\nspec: {spec}\n"),
            );
        }
        scratch::commit_all(folder.path(), "two environments").unwrap();
        looped.source = InfraRepository::at(folder.path()).unwrap();
        let units = |looped: &Loop| {
            let controller = super::super::controller_of(&looped.aws, looped.source.clone());
            let declared = looped.declared.as_ref().unwrap().borrow();
            let at_work = looped.units.keys().filter(|place| !controller.due_in(place, &declared).is_empty());
            at_work.count()
        };
        looped.turn();
        assert_eq!((looped.units.len(), units(&looped)), (2, 2));
        looped.aws.home().learn(AccountId::new("123456789012"));
        looped.turn();
        assert_eq!((looped.units.len(), units(&looped)), (2, 1));
    }

    /// Of a repository on this machine, which is never fetched.
    async fn looped() -> Loop {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        scratch::commit_all(folder.path(), "empty").unwrap();
        Loop {
            aws: Aws::simulated("http://127.0.0.1:1", &Region::new("eu-west-2")).await,
            told: FleetReport::new(Board::default(), Notifier::new(Outbox::default())),
            lead_times: LeadTimes::start(InfraRepository::at(folder.path()).unwrap(), Board::default()),
            source: InfraRepository::at(folder.path()).unwrap(),
            board: Board::default(),
            leases: Leases::none(),
            keeper: tokio::spawn(async {}),
            observe: false,
            knew_home: false,
            declared: None,
            units: BTreeMap::new(),
            unreachable: None,
            fetched: None,
            fetch: None,
        }
    }
}
