//! Metrics in the `OpenMetrics` format. Their labels are the declared targets, the kinds of writes, the reasons of
//! stalls, the outcomes of deployments, accounts and regions, and what [`super::figures`] adds: all are bounded, and leave with the
//! targets. What has buckets is told of whole environments: of each application it would be a dozen series more.

use std::collections::BTreeSet;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::deployments::Ended;
use super::figures::{Labels, Source};
use crate::controller::{Outcome, SweepResult};
use crate::model::{EnvironmentName, Health, Millis, OutcomeKind, Status, Sync, Target as Declared};
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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Deployment {
    environment: String,
    application: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rollout {
    environment: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Environment {
    environment: String,
}

/// From a call to the longest that anything may take, in seconds.
const DURATIONS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// From a small rolling deployment to one that waits for somebody's word overnight, in seconds.
const ROLLOUTS: [f64; 11] =
    [30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0, 86_400.0];
/// From a merge that is acted on at once to one that waited for its image for a week, in seconds.
const LEAD_TIMES: [f64; 11] =
    [60.0, 300.0, 600.0, 1800.0, 3600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 259_200.0, 604_800.0];

type Buckets<L> = Family<L, Histogram, fn() -> Histogram>;
type Durations = Buckets<Labels>;

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
    awaiting_approval: Family<Target, Gauge>,
    deployments: Family<Deployment, Counter>,
    deployment_seconds: Buckets<Rollout>,
    lead_time_seconds: Buckets<Environment>,
    /// Whose deployments are told of.
    counted: BTreeSet<Declared>,
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
            awaiting_approval: Family::default(),
            deployments: Family::default(),
            deployment_seconds: Family::new_with_constructor(|| Histogram::new(ROLLOUTS)),
            lead_time_seconds: Family::new_with_constructor(|| Histogram::new(LEAD_TIMES)),
            counted: BTreeSet::new(),
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
        registry.register(
            "application_awaiting_approval",
            "1 while a deployment waits for somebody's word",
            metrics.awaiting_approval.clone(),
        );
        registry.register(
            "deployments",
            "Deployments whose outcome has come on record",
            metrics.deployments.clone(),
        );
        registry.register(
            "deployment_seconds",
            "How long a deployment took by AWS",
            metrics.deployment_seconds.clone(),
        );
        registry.register(
            "lead_time_seconds",
            "From the commit that declared a commit until that ran",
            metrics.lead_time_seconds.clone(),
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

    pub(super) fn wrote(&self, one: &SweepResult) {
        let (counter, step) = match &one.outcome {
            Outcome::Nothing => return,
            Outcome::Wrote(step) => (&self.writes, step),
            Outcome::Failed(step, _) | Outcome::Throttled { step, .. } => (&self.failures, step),
        };
        counter.get_or_create(&Write { kind: kind(step) }).inc();
    }

    /// Its deployments are told of from now on. They begin at zero: the first one would be no increase otherwise.
    pub(super) fn counts(&mut self, target: &Declared) {
        if !self.counted.insert(target.clone()) {
            return;
        }
        for outcome in OutcomeKind::ALL {
            drop(self.deployments.get_or_create(&of_deployment(target, outcome)));
            drop(self.deployment_seconds.get_or_create(&of_rollout(&target.environment, outcome)));
        }
        drop(self.lead_time_seconds.get_or_create(&of_environment(&target.environment)));
    }

    pub(super) fn ended(&self, ended: &Ended) {
        self.deployments.get_or_create(&of_deployment(&ended.target, ended.outcome)).inc();
        if let Some(took) = ended.took {
            let rollout = of_rollout(&ended.target.environment, ended.outcome);
            self.deployment_seconds.get_or_create(&rollout).observe(seconds(took));
        }
    }

    pub(super) fn lead_time(&self, environment: &EnvironmentName, took: Millis) {
        self.lead_time_seconds.get_or_create(&of_environment(environment)).observe(seconds(took));
    }

    /// Those that are no longer declared leave, and environments with the last of their targets.
    pub(super) fn retain(&mut self, declared: &BTreeSet<Declared>) {
        let (stay, leave): (BTreeSet<_>, BTreeSet<_>) =
            std::mem::take(&mut self.counted).into_iter().partition(|target| declared.contains(target));
        let inhabited: BTreeSet<&EnvironmentName> = stay.iter().map(|target| &target.environment).collect();
        for target in &leave {
            let is_empty = !inhabited.contains(&target.environment);
            for outcome in OutcomeKind::ALL {
                self.deployments.remove(&of_deployment(target, outcome));
                if is_empty {
                    self.deployment_seconds.remove(&of_rollout(&target.environment, outcome));
                }
            }
            if is_empty {
                self.lead_time_seconds.remove(&of_environment(&target.environment));
            }
        }
        self.counted = stay;
    }

    /// Targets that are no longer declared leave.
    pub(super) fn swept<'a>(&self, statuses: impl Iterator<Item = &'a Status>) {
        self.sweeps.inc();
        for family in [&self.synced, &self.healthy, &self.held, &self.drifted] {
            family.clear();
        }
        self.stalled.clear();
        self.awaiting_approval.clear();
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
            set(&self.held, status.hold.is_some());
            set(&self.drifted, !status.drift.is_empty());
            if status.awaits_approval() {
                set(&self.awaiting_approval, true);
            }
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

fn of_deployment(target: &Declared, outcome: OutcomeKind) -> Deployment {
    Deployment {
        environment: target.environment.to_string(),
        application: target.application.to_string(),
        outcome: outcome.name(),
    }
}

fn of_rollout(environment: &EnvironmentName, outcome: OutcomeKind) -> Rollout {
    Rollout { environment: environment.to_string(), outcome: outcome.name() }
}

fn of_environment(environment: &EnvironmentName) -> Environment {
    Environment { environment: environment.to_string() }
}

fn seconds(millis: Millis) -> f64 {
    Duration::from_millis(millis.try_into().unwrap_or_default()).as_secs_f64()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ApplicationName;

    fn target(environment: usize, application: usize) -> Declared {
        Declared {
            environment: EnvironmentName::new(format!("e{environment}")),
            application: ApplicationName::new(format!("a{application}")),
        }
    }

    fn printed(metrics: &Metrics) -> Vec<String> {
        let text = metrics.print().unwrap();
        let of_deployments = ["trueup_deployment", "trueup_lead_time"];
        let is_of_them = |line: &&str| of_deployments.iter().any(|name| line.starts_with(name));
        text.lines().filter(is_of_them).map(str::to_owned).collect()
    }

    #[test]
    fn what_has_buckets_is_of_environments_and_all_of_it_leaves_with_the_targets() {
        let mut metrics = Metrics::default();
        let all: BTreeSet<Declared> = (0..1000).map(|number| target(number % 10, number)).collect();
        for _ in 0..2 {
            for target in &all {
                metrics.counts(target);
            }
        }
        // As docs/monitoring.md has it.
        assert_eq!(printed(&metrics).len(), 3 * 1000 + (42 + 14) * 10);
        assert!(
            printed(&metrics).iter().all(|line| line.ends_with(" 0") || line.ends_with(" 0.0")),
            "they begin at zero"
        );
        metrics.retain(&[target(0, 0), target(0, 10)].into());
        assert_eq!(printed(&metrics).len(), 3 * 2 + 42 + 14);
        metrics.retain(&BTreeSet::new());
        assert_eq!(printed(&metrics), Vec::<String>::new());
    }

    #[test]
    fn a_time_that_is_not_known_is_in_no_histogram() {
        let mut metrics = Metrics::default();
        metrics.counts(&target(0, 0));
        for took in [None, Some(90_000)] {
            metrics.ended(&Ended { target: target(0, 0), outcome: OutcomeKind::Failed, took, arrival: None });
        }
        metrics.lead_time(&target(0, 0).environment, 3_600_000);
        let lines = printed(&metrics);
        for expected in [
            "trueup_deployments_total{environment=\"e0\",application=\"a0\",outcome=\"failed\"} 2",
            "trueup_deployment_seconds_sum{environment=\"e0\",outcome=\"failed\"} 90.0",
            "trueup_deployment_seconds_count{environment=\"e0\",outcome=\"failed\"} 1",
            "trueup_lead_time_seconds_sum{environment=\"e0\"} 3600.0",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:#?}");
        }
    }
}
