//! Where a deployment stands that moves traffic from one revision to another (developer guide, "Amazon ECS blue/green
//! deployments", "canary deployments", "linear deployments"). How it goes on is in `rollout::native`.

use serde_json::{Value, json};

use super::services::Service;
use crate::world::input::{Input, list, texts};

/// All of the traffic, in tenths of a percent: shares have one decimal place.
pub(in crate::world) const ALL: u64 = 1000;

/// `ServiceDeploymentLifecycleStage`, in the order of a deployment. The enumeration of the API lacks
/// `PRE_PRODUCTION_TRAFFIC_SHIFT`, which the text of `ServiceDeployment` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::world) enum Stage {
    ReconcileService,
    PreScaleUp,
    ScaleUp,
    PostScaleUp,
    TestTrafficShift,
    PostTestTrafficShift,
    PreProductionTrafficShift,
    ProductionTrafficShift,
    PostProductionTrafficShift,
    BakeTime,
    CleanUp,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::ReconcileService => "RECONCILE_SERVICE",
            Self::PreScaleUp => "PRE_SCALE_UP",
            Self::ScaleUp => "SCALE_UP",
            Self::PostScaleUp => "POST_SCALE_UP",
            Self::TestTrafficShift => "TEST_TRAFFIC_SHIFT",
            Self::PostTestTrafficShift => "POST_TEST_TRAFFIC_SHIFT",
            Self::PreProductionTrafficShift => "PRE_PRODUCTION_TRAFFIC_SHIFT",
            Self::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            Self::PostProductionTrafficShift => "POST_PRODUCTION_TRAFFIC_SHIFT",
            Self::BakeTime => "BAKE_TIME",
            Self::CleanUp => "CLEAN_UP",
        }
    }
}

#[derive(Clone, Debug)]
pub(in crate::world) struct Shift {
    /// The share of the production traffic after each step.
    pub steps: Vec<u64>,
    /// Seconds between two steps, and after the last one.
    pub step_bake: u64,
    pub bake: u64,
    /// None while it is PENDING.
    pub stage: Option<Stage>,
    pub entered_at: u64,
    pub step: usize,
    pub hooks: Vec<HookRun>,
    /// What the target is to have of the production and of the test traffic.
    pub production: u64,
    pub test: u64,
    /// Whether there is any traffic to shift: a headless service has no weights.
    pub has_traffic: bool,
    /// Whether it began while more than one revision was ACTIVE.
    pub reconciles: bool,
    /// The revision that has the production traffic, which a rollback goes back to.
    pub blue: Option<usize>,
    /// Whether the new tasks have their target groups: from `SCALE_UP` on.
    pub is_placed: bool,
    pub pairs: Vec<Pair>,
    /// Whether it goes back, and whether that has failed.
    pub goes_back: bool,
    pub has_failed: bool,
}

/// One entry of `loadBalancers`, as the production rule said when the new tasks were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::world) struct Pair {
    pub blue: String,
    pub green: String,
    /// The ARN of a rule, or of a listener of a Network Load Balancer.
    pub production: String,
    pub test: Option<String>,
}

/// A hook in the present stage.
#[derive(Clone, Debug)]
pub(in crate::world) struct HookRun {
    pub id: String,
    /// The function; a PAUSE has none.
    pub function: Option<String>,
    pub status: &'static str,
    /// When the function answers next.
    pub answers_at: u64,
    pub invocations: u32,
    pub expires_at: u64,
    pub continues_on_timeout: bool,
    /// Why it has failed, after the name of its stage.
    pub failure: Option<String>,
}

impl Shift {
    /// None for a rolling deployment. A service that has no revision yet gets all of its traffic at once: there is
    /// nothing to share it with.
    pub fn of(service: &Service, blue: Option<usize>) -> Option<Self> {
        let configuration = &service.configuration;
        let number = |of: &str, key: &str| configuration.get(of)?.get(key)?.as_f64();
        let (steps, step_bake) = match configuration.get("strategy").and_then(Value::as_str)? {
            "BLUE_GREEN" => (vec![ALL], 0.0),
            "CANARY" => {
                let first = tenths(number("canaryConfiguration", "canaryPercent")?);
                (vec![first, ALL], number("canaryConfiguration", "canaryBakeTimeInMinutes")?)
            }
            "LINEAR" => {
                let step = tenths(number("linearConfiguration", "stepPercent")?).max(1);
                let steps = (1..=ALL.div_ceil(step)).map(|number| (number * step).min(ALL));
                (steps.collect(), number("linearConfiguration", "stepBakeTimeInMinutes")?)
            }
            _ => return None,
        };
        let bake = configuration.get("bakeTimeInMinutes").and_then(Value::as_u64).unwrap_or_default();
        Some(Self {
            steps: if blue.is_some() { steps } else { vec![ALL] },
            step_bake: tenths(step_bake) * 6,
            bake: bake * 60,
            stage: None,
            entered_at: 0,
            step: 0,
            hooks: Vec::new(),
            production: 0,
            test: 0,
            has_traffic: has_traffic(&service.settings),
            reconciles: service.deployments.len() > 1,
            blue,
            is_placed: false,
            pairs: Vec::new(),
            goes_back: false,
            has_failed: false,
        })
    }

    pub fn is_last_step(&self) -> bool {
        self.step + 1 >= self.steps.len()
    }

    /// `requestedProductionTrafficWeight` and `requestedTestTrafficWeight` of the target, or of what it replaces.
    pub fn describe_weights(&self, is_target: bool, described: &mut Value) {
        let weight = |share: u64| percent(if is_target { share } else { ALL - share });
        if self.has_traffic {
            described["requestedProductionTrafficWeight"] = weight(self.production);
            described["requestedTestTrafficWeight"] = weight(self.test);
        }
    }

    /// The hooks of the present stage: `lifecycleHookDetails` has no member for a stage.
    pub fn describe_hooks(&self, time: fn(u64) -> Value) -> Value {
        let hooks = self.hooks.iter().map(|hook| {
            let mut described = json!({
                "hookId": hook.id,
                "targetType": if hook.function.is_some() { "AWS_LAMBDA" } else { "PAUSE" },
                "status": hook.status,
                "expiresAt": time(hook.expires_at),
                "timeoutAction": if hook.continues_on_timeout { "CONTINUE" } else { "ROLLBACK" },
            });
            if let Some(function) = &hook.function {
                described["targetArn"] = json!(function);
            }
            described
        });
        hooks.collect()
    }
}

impl HookRun {
    /// What a person says to a pause.
    pub fn answer(&mut self, rolls_back: bool) {
        self.status = if rolls_back { "FAILED" } else { "SUCCEEDED" };
        self.failure = rolls_back.then(|| "pause hook was answered with ROLLBACK.".to_owned());
    }
}

/// The hooks that a configuration has in a stage.
pub(in crate::world) fn hooks_of(configuration: &Input, stage: Stage) -> impl Iterator<Item = &Input> {
    list(configuration, "lifecycleHooks")
        .filter_map(Value::as_object)
        .filter(move |hook| texts(hook, "lifecycleStages").any(|name| name == stage.name()))
}

/// Whether anything leads to the service: a load balancer that ECS may change, Service Connect, or VPC Lattice.
pub(super) fn has_traffic(settings: &Input) -> bool {
    let connected = settings.get("serviceConnectConfiguration").and_then(|connect| connect.get("enabled"));
    list(settings, "loadBalancers").any(|balancer| balancer.get("advancedConfiguration").is_some())
        || connected == Some(&json!(true))
        || list(settings, "vpcLatticeConfigurations").next().is_some()
}

/// Shares and minutes have one decimal place at most.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked when it was sent: 0 to 1440"
)]
pub(super) fn tenths(number: f64) -> u64 {
    (number * 10.0).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "at most 1000")]
fn percent(share: u64) -> Value {
    json!(share as f64 / 10.0)
}
