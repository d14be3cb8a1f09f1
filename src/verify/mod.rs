//! What a deployment needs, each thing looked at by itself, before any of it is needed: what `trueup verify` tells. Pure: which
//! questions AWS is asked, and what its answers say. Nothing is ever written.
//!
//! The decision comes from `plan`, as everywhere; what is asked beyond that is read for these checks alone.

mod deployment;
mod expiry;
mod guards;
mod need;
mod needs;
mod network;
mod quota;
mod schedule;

use need::Need;

use crate::model::surroundings::{Questions, Surroundings};
use crate::model::{Desired, Observed, Waiting};
use crate::plan::Plan;
use crate::plan::waiting::{Class, class, describe, hint};

/// One target, and what was read of it.
pub struct Subject<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub plan: &'a Plan,
    /// The task definition that would be registered, or why it cannot be told.
    pub task_definition: Result<serde_json::Value, Waiting>,
}

/// What is looked at. The words are stable: scripts may select by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Credentials,
    Service,
    Decision,
    Image,
    EnvironmentTag,
    Lifecycle,
    TaskDefinition,
    Schedule,
    Role,
    PassRole,
    Permission,
    Secret,
    Parameter,
    LogGroup,
    Subnet,
    SecurityGroup,
    TargetGroup,
    CircuitBreaker,
    Alarm,
    Hook,
    Percentages,
    Quota,
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Service => "service",
            Self::Decision => "decision",
            Self::Image => "image",
            Self::EnvironmentTag => "environment tag",
            Self::Lifecycle => "lifecycle policy",
            Self::TaskDefinition => "task definition",
            Self::Schedule => "schedule",
            Self::Role => "role",
            Self::PassRole => "pass role",
            Self::Permission => "permission",
            Self::Secret => "secret",
            Self::Parameter => "parameter",
            Self::LogGroup => "log group",
            Self::Subnet => "subnet",
            Self::SecurityGroup => "security group",
            Self::TargetGroup => "target group",
            Self::CircuitBreaker => "circuit breaker",
            Self::Alarm => "alarm",
            Self::Hook => "hook",
            Self::Percentages => "percentages",
            Self::Quota => "quota",
        }
    }
}

/// One thing that was looked at, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub what: What,
    pub found: Found,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// As it has to be.
    Good(String),
    /// A deployment can do without it, and goes worse for that.
    Risk { what: String, hint: Option<String> },
    /// A deployment would fail, or nothing would be deployed.
    Bad { what: String, hint: Option<String> },
    /// It was not told, or may not be looked at.
    Unseen(String),
}

impl Check {
    fn good(what: What, found: impl Into<String>) -> Self {
        Self { what, found: Found::Good(found.into()) }
    }

    fn risk(what: What, found: impl Into<String>, hint: &str) -> Self {
        Self { what, found: Found::Risk { what: found.into(), hint: Some(hint.to_owned()) } }
    }

    fn bad(what: What, found: impl Into<String>, hint: &str) -> Self {
        Self { what, found: Found::Bad { what: found.into(), hint: Some(hint.to_owned()) } }
    }

    fn unseen(what: What, why: impl Into<String>) -> Self {
        Self { what, found: Found::Unseen(why.into()) }
    }

    /// What keeps something from being done.
    fn waiting(what: What, waiting: &Waiting, subject: &Subject<'_>) -> Self {
        let why = describe(waiting);
        match class(waiting) {
            Class::Unreadable => Self::unseen(what, why),
            _ => Self { what, found: Found::Bad { what: why, hint: hint(waiting, &subject.desired.target) } },
        }
    }
}

/// What AWS is asked of a target beyond what the decision rests on.
pub fn questions(subject: &Subject<'_>) -> Questions {
    let mut questions =
        Questions { repositories: expiry::shelves(subject).collect(), ..Questions::default() };
    network::ask(subject, &mut questions);
    questions.target_groups.extend(deployment::target_groups(subject).into_iter().map(|one| one.group));
    for need in needs(subject) {
        need.ask(&mut questions);
    }
    questions
}

fn needs(subject: &Subject<'_>) -> Vec<Need> {
    needs::of(subject).into_iter().chain(guards::needs(subject)).collect()
}

/// Everything that was looked at, in the order in which a deployment meets it.
pub fn checks(subject: &Subject<'_>, surroundings: &Surroundings) -> Vec<Check> {
    let mut checks = deployment::checks(subject, surroundings);
    checks.extend(schedule::checks(subject));
    checks.extend(network::checks(subject, surroundings));
    checks.extend(quota::checks(subject, surroundings));
    checks.extend(expiry::checks(subject, surroundings));
    checks.extend(needs(subject).iter().map(|need| need.check(surroundings)));
    checks.sort_by_key(|check| check.what);
    checks
}
