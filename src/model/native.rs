//! The native strategies of ECS (blue/green, canary and linear), as a repository declares them. What is not declared is what
//! the live service has.

use std::fmt;

use serde_json::Value;

use super::DeploymentStrategy;

/// Production traffic that ECS itself shifts from one revision to the next. The three strategies are one thing with a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    pub pattern: TrafficPattern,
    /// How long the old tasks stand by after all production traffic has left them.
    pub bake: Option<Minutes>,
    pub balancers: Option<Vec<Balancer>>,
    /// An empty list: none.
    pub hooks: Option<Vec<Hook>>,
    /// Names of alarms that undo a deployment; an empty list: none.
    pub alarms: Option<Vec<String>>,
    pub breaker: Option<Breaker>,
}

impl Native {
    /// With everything as the live service has it.
    pub fn inherited(pattern: TrafficPattern) -> Self {
        Self { pattern, bake: None, balancers: None, hooks: None, alarms: None, breaker: None }
    }

    /// Whether only the strategy itself is declared: then it is an assertion about the live service, and nothing is owned.
    pub fn is_inherited(&self) -> bool {
        *self == Self::inherited(self.pattern.bare())
    }
}

/// How production traffic moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPattern {
    AllAtOnce,
    /// A share of it first, the rest after the bake.
    Canary {
        share: Option<Share>,
        bake: Option<Minutes>,
    },
    /// The same share again and again, with a bake after each but the last.
    Linear {
        step: Option<Share>,
        bake: Option<Minutes>,
    },
}

impl TrafficPattern {
    /// The word of the files.
    pub fn word(self) -> &'static str {
        self.strategy().declared_as()
    }

    pub fn strategy(self) -> DeploymentStrategy {
        match self {
            Self::AllAtOnce => DeploymentStrategy::BlueGreen,
            Self::Canary { .. } => DeploymentStrategy::Canary,
            Self::Linear { .. } => DeploymentStrategy::Linear,
        }
    }

    /// The same without shares and times.
    #[must_use]
    pub fn bare(self) -> Self {
        match self {
            Self::AllAtOnce => Self::AllAtOnce,
            Self::Canary { .. } => Self::Canary { share: None, bake: None },
            Self::Linear { .. } => Self::Linear { step: None, bake: None },
        }
    }
}

/// A pair of target groups behind a load balancer, and the rules by which ECS moves traffic between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balancer {
    pub container: String,
    pub port: u16,
    /// Names or ARNs. Which of the two serves is not declared: ECS reads that from the production rule.
    pub target_groups: [String; 2],
    /// A rule of an Application Load Balancer, or a listener of a Network Load Balancer.
    pub production_rule: String,
    pub test_rule: Option<String>,
    /// Name or ARN of the role by which ECS writes these rules.
    pub role: String,
}

/// What happens at some stages of a deployment before it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Hook {
    Lambda {
        /// Name or ARN.
        function: String,
        /// Name or ARN of the role by which ECS calls the function.
        role: String,
        at: Vec<HookStage>,
        /// What the function is told; null: nothing.
        details: Value,
        limit: HookLimit,
    },
    /// A person's word. AWS keeps no name with it.
    Pause { name: String, at: Vec<HookStage>, limit: HookLimit },
}

/// How long a hook may take, and what AWS does then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookLimit {
    /// `None`: as long as AWS gives it.
    pub minutes: Option<Minutes>,
    pub then: OnTimeout,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    #[default]
    Rollback,
    Continue,
}

impl OnTimeout {
    /// The words of the Amazon ECS API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rollback => "ROLLBACK",
            Self::Continue => "CONTINUE",
        }
    }
}

/// The stages of a deployment at which a hook may stand, in their order (Amazon ECS API reference,
/// `DeploymentLifecycleHook`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookStage {
    ReconcileService,
    PreScaleUp,
    PostScaleUp,
    TestTrafficShift,
    PostTestTrafficShift,
    PreProductionTrafficShift,
    ProductionTrafficShift,
    PostProductionTrafficShift,
}

impl HookStage {
    pub const ALL: [Self; 8] = [
        Self::ReconcileService,
        Self::PreScaleUp,
        Self::PostScaleUp,
        Self::TestTrafficShift,
        Self::PostTestTrafficShift,
        Self::PreProductionTrafficShift,
        Self::ProductionTrafficShift,
        Self::PostProductionTrafficShift,
    ];

    /// The word of the Amazon ECS API.
    pub fn word(self) -> &'static str {
        match self {
            Self::ReconcileService => "RECONCILE_SERVICE",
            Self::PreScaleUp => "PRE_SCALE_UP",
            Self::PostScaleUp => "POST_SCALE_UP",
            Self::TestTrafficShift => "TEST_TRAFFIC_SHIFT",
            Self::PostTestTrafficShift => "POST_TEST_TRAFFIC_SHIFT",
            Self::PreProductionTrafficShift => "PRE_PRODUCTION_TRAFFIC_SHIFT",
            Self::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            Self::PostProductionTrafficShift => "POST_PRODUCTION_TRAFFIC_SHIFT",
        }
    }

    /// The word of the files.
    pub fn key(self) -> &'static str {
        match self {
            Self::ReconcileService => "reconcileService",
            Self::PreScaleUp => "preScaleUp",
            Self::PostScaleUp => "postScaleUp",
            Self::TestTrafficShift => "testTrafficShift",
            Self::PostTestTrafficShift => "postTestTrafficShift",
            Self::PreProductionTrafficShift => "preProductionTrafficShift",
            Self::ProductionTrafficShift => "productionTrafficShift",
            Self::PostProductionTrafficShift => "postProductionTrafficShift",
        }
    }

    /// Whether somebody may be waited for here. AWS takes functions alone where the traffic itself moves.
    pub fn takes_pause(self) -> bool {
        !matches!(self, Self::TestTrafficShift | Self::ProductionTrafficShift)
    }
}

/// The deployment circuit breaker. It always rolls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    Off,
    /// The failed tasks at which it ends a deployment.
    At(FailureThreshold),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureThreshold {
    Count(u16),
    /// Of the desired count; AWS takes at least 3 and at most 200 tasks.
    Percent(u16),
}

/// A share of traffic in tenths of a percent, the smallest steps that AWS takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

impl Share {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(1000);

    /// `None` beyond the whole.
    pub fn of_tenths(tenths: u16) -> Option<Self> {
        (tenths <= Self::ALL.0).then_some(Self(tenths))
    }

    /// As AWS says it; `None` if that is no share.
    pub fn of_percent(percent: f64) -> Option<Self> {
        let tenths = (percent * 10.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and 1000"
        )]
        (0.0..=1000.0).contains(&tenths).then_some(Self(tenths as u16))
    }

    pub fn tenths(self) -> u16 {
        self.0
    }

    pub fn percent(self) -> f64 {
        f64::from(self.0) / 10.0
    }

    /// Both, the whole at most.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0).min(Self::ALL.0))
    }

    /// What is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(Self::ALL.0.saturating_sub(self.0))
    }
}

/// The number alone: 10, 0.1.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.percent())
    }
}

/// A time as AWS counts it in deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minutes(pub u16);

impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_tenths_of_a_percent_and_no_more_than_all() {
        for (percent, shown) in [
            (10.0, Some("10")),
            (0.1, Some("0.1")),
            (33.3, Some("33.3")),
            (99.999, Some("100")),
            (-1.0, None),
            (100.1, None),
            (f64::NAN, None),
        ] {
            assert_eq!(Share::of_percent(percent).map(|share| share.to_string()).as_deref(), shown);
        }
        assert_eq!((Share::of_tenths(1000), Share::of_tenths(1001)), (Some(Share::ALL), None));
    }
}
