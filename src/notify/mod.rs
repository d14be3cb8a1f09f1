//! Alerts: what has changed between two looks ([`transition`], pure), and where it is told: in the log, and to the sinks of the
//! [`outbox`].

mod book;
mod message;
pub mod outbox;
mod places;
mod sinks;
pub mod transition;

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use crate::model::alert::{Alert, Event, Severity};
use crate::model::{Declaration, Declared, InfraCommit, Matter, Millis, Status, Target, Waiting};
use crate::plan::waiting::{Class, class, is_of_account};
use crate::view::links;
pub use book::Note;
use outbox::Outbox;
use places::Places;
use transition::AlertHistory;

/// Remembers what was told, and tells what is new to every sink.
pub struct Notifier {
    told: BTreeMap<Target, AlertHistory>,
    /// Who is not reached, and why; `silent`: those of whom another one tells it, in the same account.
    unreached: BTreeMap<Target, Waiting>,
    silent: BTreeSet<Target>,
    source_error: Option<String>,
    places: BTreeMap<Target, Places>,
    /// The page of the newest commit of the infrastructure repository.
    infra: Option<String>,
    outbox: Outbox,
}

impl Notifier {
    pub fn new(outbox: Outbox) -> Self {
        let (told, unreached, silent) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let (places, infra) = (BTreeMap::new(), None);
        Self { told, unreached, silent, source_error: None, places, infra, outbox }
    }

    /// Compares what a look has found with what was told before.
    pub fn target(&mut self, status: &Status, now: Millis) {
        for alert in self.news(status, now) {
            self.send(self.furnished(alert, status));
        }
        // What was not read ends nothing.
        if status.waiting.as_ref().map(class) != Some(Class::Unreadable) {
            self.outbox.book.seen(status);
        }
        if self.outbox.book.has_left(&status.target) {
            for alert in transition::owed(status, now) {
                self.outbox.send_again(self.furnished(alert, status));
            }
        }
    }

    /// What somebody wants to be told of a target, of that which must arrive.
    pub fn wanted(&self, target: &Target) -> BTreeSet<Matter> {
        self.outbox.wanted(target)
    }

    /// Changes whenever something was taken that is to be put on record.
    pub fn taken(&self) -> watch::Receiver<()> {
        self.outbox.book.taken()
    }

    pub fn has_receivers(&self) -> bool {
        self.outbox.has_receivers()
    }

    /// What is to be put on record of those that are wanted, at most so many.
    pub fn notes(&self, is_wanted: impl Fn(&Target) -> bool, most: usize) -> Vec<Note> {
        self.outbox.book.notes(is_wanted, most)
    }

    /// It is on record.
    pub fn noted(&self, note: &Note) {
        self.outbox.book.noted(note);
    }

    fn news(&mut self, status: &Status, now: Millis) -> Vec<Alert> {
        let (mut alerts, told) = transition::of_target(self.told.get(&status.target), status, now);
        self.told.insert(status.target.clone(), told);
        let is_told = self.is_told_by_another(status);
        let is_of_stall = |event| matches!(event, Event::ReconcileStalled | Event::ReconcileResumed);
        alerts.retain(|alert| !(is_told && is_of_stall(alert.event)));
        alerts
    }

    /// Whether what keeps a whole account from being reached is told by another target, or was until now.
    fn is_told_by_another(&mut self, status: &Status) -> bool {
        let target = &status.target;
        let Some(waiting) = status.waiting.as_ref().filter(|waiting| is_of_account(waiting)) else {
            self.unreached.remove(target);
            return self.silent.remove(target);
        };
        let tells = |(other, why): (&Target, &Waiting)| {
            other != target && why == waiting && !self.silent.contains(other)
        };
        if self.unreached.iter().any(tells) {
            self.silent.insert(target.clone());
        }
        self.unreached.insert(target.clone(), waiting.clone());
        self.silent.contains(target)
    }

    fn furnished(&self, mut alert: Alert, status: &Status) -> Alert {
        let places = self.places.get(&status.target);
        places::furnish(&mut alert, status, places, self.infra.as_deref());
        alert
    }

    /// What is declared now, in a repository at this address: forgets those that are declared no longer.
    pub fn declared(&mut self, declaration: &Declaration, repository: Option<&str>) {
        let declared: BTreeSet<&Target> = declaration.applications.iter().map(Declared::target).collect();
        let commit = declaration.infra_commit.as_ref().map(InfraCommit::as_str);
        self.infra =
            repository.zip(commit).and_then(|(repository, commit)| links::commit(repository, commit));
        let places = declaration.readable().map(|desired| (desired.target.clone(), Places::of(desired)));
        self.places = places.collect();
        self.told.retain(|target, _| declared.contains(target));
        self.unreached.retain(|target, _| declared.contains(target));
        self.silent.retain(|target| declared.contains(target));
        self.outbox.book.retain(|target| declared.contains(target));
    }

    /// Somebody else tells of it from now on. What was told before is old when it comes back: then it is told as by a process that
    /// has just started.
    pub fn forget(&mut self, target: &Target) {
        self.told.remove(target);
    }

    /// `error`: why the infrastructure repository cannot be read, or `None` when it can.
    pub fn source(&mut self, error: Option<String>, now: Millis) {
        let alert = transition::of_source(self.source_error.as_deref(), error.as_deref(), now);
        self.source_error = error;
        if let Some(alert) = alert {
            self.send(alert);
        }
    }

    fn send(&mut self, alert: Alert) {
        if self.outbox.book.knows(&alert) {
            return;
        }
        log(&alert);
        self.outbox.send(alert);
    }

    /// Delivers what is queued, for a few seconds at most.
    pub fn finish(&mut self) -> impl Future<Output = ()> + use<> {
        std::mem::take(&mut self.outbox).finish()
    }
}

fn log(alert: &Alert) {
    let target = alert.target.as_ref().map(ToString::to_string).unwrap_or_default();
    let causes: Vec<String> = alert.causes.iter().map(ToString::to_string).collect();
    let causes = causes.join("; ");
    let (event, key, summary) = (alert.event.name(), alert.key.as_str(), alert.summary.as_str());
    match alert.event.severity() {
        Severity::Information => tracing::info!(event, target, key, "{summary}"),
        Severity::Warning => tracing::warn!(event, target, key, causes, "{summary}"),
        Severity::Error => tracing::error!(event, target, key, causes, "{summary}"),
    }
    if alert.event == Event::DriftFound {
        for difference in &alert.differences {
            let (live, desired) = (difference.live.as_deref(), difference.desired.as_deref());
            tracing::warn!(event = "drift.field", target, field = difference.field, live, desired);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::alert::Receipt;
    use crate::model::{ApplicationName, ConditionKind, EnvironmentName, Unreached};
    use crate::plan::Plan;
    use crate::plan::waiting::reason;

    /// An alert about this deployment of an application.
    pub fn about(event: Event, application: &str, deployment: &str, receipt: Option<Receipt>) -> Alert {
        let target = status(application, None).target;
        Alert {
            key: format!("{}/{target}/{deployment}", event.name()),
            target: Some(target),
            deployment: Some(deployment.to_owned()),
            event,
            at: 0,
            commit: None,
            infra: None,
            summary: String::new(),
            causes: Vec::new(),
            differences: Vec::new(),
            state: None,
            links: Vec::new(),
            receipt,
        }
    }

    /// One of these applications, which waits for this; `None`: for nothing.
    pub fn status(application: &str, waiting: Option<Waiting>) -> Status {
        let target = Target {
            environment: EnvironmentName::new("prod"),
            application: ApplicationName::new(application),
        };
        let mut status = Plan::unobserved(&target, 0).status;
        status.conditions.retain(|one| waiting.is_some() || one.kind != ConditionKind::Stalled);
        if let (Some(waiting), Some(stalled)) = (&waiting, status.conditions.last_mut()) {
            stalled.reason = reason(waiting);
        }
        status.waiting = Some(waiting.unwrap_or(Waiting::Settled));
        status
    }

    fn unreached(account: &str) -> Option<Waiting> {
        let why = Unreached::Role { role: "role".to_owned(), why: "no".to_owned() };
        Some(Waiting::Unreached { account: Some(account.to_owned()), why })
    }

    #[test]
    fn what_keeps_an_account_from_being_reached_is_told_once_for_all_that_is_in_it() {
        let mut notifier = Notifier::new(Outbox::default());
        let mut events = |application: &str, waiting: Option<Waiting>| -> Vec<&'static str> {
            let news = notifier.news(&status(application, waiting), 0);
            news.iter().map(|alert| alert.event.name()).collect()
        };
        assert_eq!(events("one", unreached("1")), ["reconcile.stalled"]);
        assert!(events("two", unreached("1")).is_empty() && events("two", unreached("1")).is_empty());
        assert_eq!(events("three", unreached("2")), ["reconcile.stalled"], "another account");
        assert_eq!(events("one", None), ["reconcile.resumed"]);
        assert_eq!(events("two", None), Vec::<&str>::new());
        // What is wrong with one alone is its own.
        let missing = || Some(Waiting::ServiceMissing { service: "s".to_owned(), cluster: "c".to_owned() });
        for application in ["one", "two"] {
            assert_eq!(events(application, missing()), ["reconcile.stalled"]);
        }
    }
}
