//! Alerts: what has changed between two looks ([`transition`], pure), and where it is told ([`webhook`], the log).

pub mod transition;
pub mod webhook;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Millis, Status, Target};
use transition::{Alert, Event, Severity, Told};
use webhook::Webhook;

/// Remembers what was told, and tells what is new to every sink.
pub struct Notifier {
    told: BTreeMap<Target, Told>,
    source_error: Option<String>,
    webhook: Option<Webhook>,
}

impl Notifier {
    pub fn new(webhook: Option<Webhook>) -> Self {
        Self { told: BTreeMap::new(), source_error: None, webhook }
    }

    /// Compares what a look has found with what was told before.
    pub fn target(&mut self, status: &Status, now: Millis) {
        let (alerts, told) = transition::of_target(self.told.get(&status.target), status, now);
        self.told.insert(status.target.clone(), told);
        for alert in alerts {
            self.send(alert);
        }
    }

    /// Forgets those that are no longer declared.
    pub fn retain<'a>(&mut self, declared: impl Iterator<Item = &'a Target>) {
        let declared: BTreeSet<&Target> = declared.collect();
        self.told.retain(|target, _| declared.contains(target));
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
        log(&alert);
        if let Some(webhook) = &self.webhook {
            webhook.send(alert);
        }
    }

    /// Delivers what is queued, for a few seconds at most.
    pub fn finish(&mut self) -> impl Future<Output = ()> + use<> {
        let webhook = self.webhook.take();
        async move {
            if let Some(webhook) = webhook {
                webhook.finish().await;
            }
        }
    }
}

fn log(alert: &Alert) {
    let target = alert.target.as_ref().map(ToString::to_string).unwrap_or_default();
    let causes = alert.causes.join("; ");
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
