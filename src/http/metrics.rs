//! Metrics in the `OpenMetrics` format. Their labels are the declared targets, the kinds of writes, the reasons of
//! stalls, accounts and regions, and what [`super::figures`] adds: all are bounded.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::figures::{Labels, Source};
use crate::controller::{Outcome, Swept};
use crate::model::{Health, Status, Sync, Waiting};
use crate::notify::transition;
use crate::plan::Step;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    environment: String,
    application: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stall {
    environment: String,
    application: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: &'static str,
}

/// From a call to the longest that anything may take, in seconds.
const DURATIONS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

type Durations = Family<Labels, Histogram, fn() -> Histogram>;

fn durations() -> Durations {
    Family::new_with_constructor(|| Histogram::new(DURATIONS))
}

pub(super) struct Metrics {
    registry: Registry,
    look_seconds: Durations,
    sweep_seconds: Durations,
    sweeps: Counter,
    writes: Family<Write, Counter>,
    failures: Family<Write, Counter>,
    source: Gauge,
    synced: Family<Target, Gauge>,
    healthy: Family<Target, Gauge>,
    held: Family<Target, Gauge>,
    drifted: Family<Target, Gauge>,
    stalled: Family<Stall, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("trueup"),
            look_seconds: durations(),
            sweep_seconds: durations(),
            sweeps: Counter::default(),
            writes: Family::default(),
            failures: Family::default(),
            source: Gauge::default(),
            synced: Family::default(),
            healthy: Family::default(),
            held: Family::default(),
            drifted: Family::default(),
            stalled: Family::default(),
        };
        let registry = &mut metrics.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", build);
        registry.register(
            "sweeps",
            "Sweeps over the applications whose time had come",
            metrics.sweeps.clone(),
        );
        registry.register(
            "sweep_seconds",
            "How long a sweep took, with its writes",
            metrics.sweep_seconds.clone(),
        );
        registry.register(
            "look_seconds",
            "How long the first reading of an application in a sweep took",
            metrics.look_seconds.clone(),
        );
        registry.register("writes", "Writes to AWS that were answered", metrics.writes.clone());
        registry.register(
            "write_failures",
            "Writes to AWS that failed or whose answer was lost",
            metrics.failures.clone(),
        );
        registry.register(
            "source_good",
            "1 while the infrastructure repository can be read",
            metrics.source.clone(),
        );
        registry.register("application_synced", "1 while what is declared runs", metrics.synced.clone());
        registry.register(
            "application_healthy",
            "1 while the service is healthy or has no tasks by wish",
            metrics.healthy.clone(),
        );
        registry.register(
            "application_held",
            "1 while the declared commit is held because it failed",
            metrics.held.clone(),
        );
        registry.register(
            "application_drifted",
            "1 while it has been changed outside trueup",
            metrics.drifted.clone(),
        );
        registry.register(
            "application_stalled",
            "1 while only a person can end what keeps it from being reconciled",
            metrics.stalled.clone(),
        );
        metrics
    }
}

impl Metrics {
    pub(super) fn collect(&mut self, source: Source) {
        self.registry.register_collector(Box::new(source));
    }

    pub(super) fn look_took(&self, place: &Labels, seconds: Duration) {
        self.look_seconds.get_or_create(place).observe(seconds.as_secs_f64());
    }

    pub(super) fn sweep_took(&self, place: &Labels, seconds: Duration) {
        self.sweep_seconds.get_or_create(place).observe(seconds.as_secs_f64());
    }

    pub(super) fn source(&self, good: bool) {
        self.source.set(i64::from(good));
    }

    pub(super) fn wrote(&self, one: &Swept) {
        let (counter, step) = match &one.outcome {
            Outcome::Nothing => return,
            Outcome::Wrote(step) => (&self.writes, step),
            Outcome::Failed(step, _) | Outcome::Throttled { step, .. } => (&self.failures, step),
        };
        counter.get_or_create(&Write { kind: kind(step) }).inc();
    }

    /// Targets that are no longer declared leave.
    pub(super) fn swept<'a>(&self, statuses: impl Iterator<Item = &'a Status>) {
        self.sweeps.inc();
        for family in [&self.synced, &self.healthy, &self.held, &self.drifted] {
            family.clear();
        }
        self.stalled.clear();
        for status in statuses {
            let target = Target {
                environment: status.target.environment.to_string(),
                application: status.target.application.to_string(),
            };
            let set = |family: &Family<Target, Gauge>, is: bool| {
                family.get_or_create(&target).set(i64::from(is));
            };
            set(&self.synced, status.sync == Sync::Synced);
            if status.health != Health::Unknown {
                set(&self.healthy, matches!(status.health, Health::Healthy | Health::Suspended));
            }
            set(&self.held, matches!(status.waiting, Some(Waiting::Held { .. })));
            set(&self.drifted, !status.drift.is_empty());
            for reason in transition::stalls(status).into_keys() {
                let Target { environment, application } = target.clone();
                self.stalled.get_or_create(&Stall { environment, application, reason }).set(1);
            }
        }
    }

    pub(super) fn print(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::Register { .. } => "register",
        Step::Stamp { .. } => "stamp",
        Step::Deploy { .. } => "deploy",
        Step::UpdateSettings { .. } => "update_settings",
        Step::Undo { .. } => "stop",
        Step::Answer { .. } | Step::EndStandby { .. } => "continue",
        Step::CreateApplication { .. } => "create_application",
        Step::CreateGroup { .. } => "create_group",
        Step::MoveTag { .. } => "move_tag",
        Step::Run { .. } => "run",
        Step::Retarget { .. } => "retarget",
        Step::StopRun { .. } => "stop_run",
    }
}
