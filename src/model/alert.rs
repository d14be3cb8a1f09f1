//! A piece of news for people: what it is about and how grave it is. Where it goes is the sinks' business.

use super::{About, Cause, Commit, Difference, InfraCommit, Matter, Millis, Owed, Target, TaskDefinitionArn};

/// One piece of news.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub event: Event,
    pub at: Millis,
    /// The same for the same news from any process: receivers drop what they know.
    pub key: String,
    /// `None`: the infrastructure repository itself.
    pub target: Option<Target>,
    pub commit: Option<Commit>,
    /// The commit of the infrastructure repository that the deployment was made for, where trueup started it.
    pub infra: Option<InfraCommit>,
    pub deployment: Option<String>,
    /// One line for people.
    pub summary: String,
    pub causes: Vec<Cause>,
    pub differences: Vec<Difference>,
    /// How things stand, of what was looked at.
    pub state: Option<State>,
    /// Where to look: a word and an address on the web.
    pub links: Vec<(&'static str, String)>,
    /// Where it is written down who has taken it: it is told until everybody has. `None`: it is told as well as can be.
    pub receipt: Option<Receipt>,
}

/// How things stand while an alert is told, in the words of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub running: String,
    pub tagged: String,
    pub deployed: String,
    pub sync: &'static str,
    pub health: &'static str,
}

/// The mark that an alert leaves when it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub revision: TaskDefinitionArn,
    pub matter: Matter,
    pub about: About,
    pub owed: Owed,
}

/// The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    DeploymentStarted,
    ApprovalNeeded,
    ApprovalExpires,
    TrafficShifted,
    DeploymentSucceeded,
    DeploymentFailed,
    DeploymentRolledBack,
    CommitHeld,
    ServiceDegraded,
    ServiceRecovered,
    DriftFound,
    DriftGone,
    WaitingTooLong,
    ReconcileStalled,
    ReconcileResumed,
    SourceBroken,
    SourceGood,
    /// Somebody tries whether messages arrive.
    Test,
}

/// How grave it is, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Information,
    Warning,
    Error,
}

impl Event {
    pub const ALL: [Self; 18] = [
        Self::DeploymentStarted,
        Self::ApprovalNeeded,
        Self::ApprovalExpires,
        Self::TrafficShifted,
        Self::DeploymentSucceeded,
        Self::DeploymentFailed,
        Self::DeploymentRolledBack,
        Self::CommitHeld,
        Self::ServiceDegraded,
        Self::ServiceRecovered,
        Self::DriftFound,
        Self::DriftGone,
        Self::WaitingTooLong,
        Self::ReconcileStalled,
        Self::ReconcileResumed,
        Self::SourceBroken,
        Self::SourceGood,
        Self::Test,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::DeploymentStarted => "deployment.started",
            Self::ApprovalNeeded => "approval.needed",
            Self::ApprovalExpires => "approval.expires",
            Self::TrafficShifted => "traffic.shifted",
            Self::DeploymentSucceeded => "deployment.succeeded",
            Self::DeploymentFailed => "deployment.failed",
            Self::DeploymentRolledBack => "deployment.rolled_back",
            Self::CommitHeld => "commit.held",
            Self::ServiceDegraded => "service.degraded",
            Self::ServiceRecovered => "service.recovered",
            Self::DriftFound => "drift.found",
            Self::DriftGone => "drift.gone",
            Self::WaitingTooLong => "waiting.too_long",
            Self::ReconcileStalled => "reconcile.stalled",
            Self::ReconcileResumed => "reconcile.resumed",
            Self::SourceBroken => "source.broken",
            Self::SourceGood => "source.good",
            Self::Test => "test",
        }
    }

    /// What of it must arrive, if anything.
    pub fn matter(self) -> Option<Matter> {
        match self {
            Self::DeploymentSucceeded => Some(Matter::Succeeded),
            Self::DeploymentFailed | Self::DeploymentRolledBack => Some(Matter::Failed),
            Self::CommitHeld => Some(Matter::Held),
            Self::ApprovalNeeded => Some(Matter::Approval),
            _ => None,
        }
    }

    pub fn severity(self) -> Severity {
        match self {
            Self::DeploymentStarted
            | Self::TrafficShifted
            | Self::DeploymentSucceeded
            | Self::ServiceRecovered
            | Self::DriftGone
            | Self::ReconcileResumed
            | Self::SourceGood
            | Self::Test => Severity::Information,
            Self::ApprovalNeeded
            | Self::ApprovalExpires
            | Self::DriftFound
            | Self::WaitingTooLong
            | Self::CommitHeld => Severity::Warning,
            Self::DeploymentFailed
            | Self::DeploymentRolledBack
            | Self::ReconcileStalled
            | Self::ServiceDegraded
            | Self::SourceBroken => Severity::Error,
        }
    }
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Information, Self::Warning, Self::Error];

    pub fn name(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
