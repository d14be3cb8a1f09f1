//! What Elastic Load Balancing says of the rules and target groups between which ECS shifts traffic.

use std::collections::BTreeMap;

use super::Reading;

/// All that was read of it for one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancing {
    /// By ARN: rules, and listeners with their default actions.
    pub rules: BTreeMap<String, Reading<Forward>>,
    /// By what was asked for: name or ARN.
    pub groups: BTreeMap<String, Reading<TargetGroup>>,
}

/// Where a rule sends traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// ARNs of target groups, each with its weight.
    pub weights: BTreeMap<String, u64>,
}

impl Forward {
    /// The target groups that get anything.
    pub fn served(&self) -> impl Iterator<Item = &str> {
        self.weights.iter().filter(|(_, weight)| **weight > 0).map(|(group, _)| group.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    pub arn: String,
    pub name: String,
    /// Whether its targets are addresses, as those of tasks with a network of their own are.
    pub takes_addresses: bool,
    /// Its VPC.
    pub network: Option<String>,
    pub protocol: Option<String>,
    /// The port of its health checks; `None`: that by which a target gets its traffic.
    pub health_port: Option<i64>,
    /// Targets that are registered and do not drain.
    pub targets: usize,
}

/// What a load balancer says of one of its targets (Elastic Load Balancing API reference, `TargetHealth`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    pub state: TargetState,
    /// Such as `Target.Timeout`.
    pub reason: Option<String>,
    /// Such as "Request timed out".
    pub description: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetState {
    Healthy,
    /// It is being registered, or its first checks go on.
    Initial,
    Unhealthy,
    /// Nothing leads to it.
    Unused,
    Draining,
    /// It is not checked, or a value is newer than this program.
    Unknown,
}

impl TargetState {
    /// The words of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Initial => "initial",
            Self::Unhealthy => "unhealthy",
            Self::Unused => "unused",
            Self::Draining => "draining",
            Self::Unknown => "in an unknown state",
        }
    }
}
