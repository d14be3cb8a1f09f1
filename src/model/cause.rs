//! Why something failed, as it is told to people and programs, and what AWS can still be asked about it. Nothing is decided
//! by any of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Millis, Reading, Region, TargetHealth};

/// One reason, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub kind: CauseKind,
    /// In a line; often in AWS's words.
    pub text: String,
    /// What may mend it.
    pub hint: Option<String>,
    /// Of how many tasks or targets it is true; 1 where it is about a deployment as a whole.
    pub count: usize,
    pub evidence: Vec<Evidence>,
}

impl Cause {
    pub fn new(kind: CauseKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), hint: None, count: 1, evidence: Vec::new() }
    }

    #[must_use]
    pub fn hinting(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Whether both tell of the same, however often it was seen.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.text == other.text
    }
}

/// `4 x container api exited with 1`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count > 1 {
            write!(f, "{} x ", self.count)?;
        }
        f.write_str(&self.text)
    }
}

/// What kind of reason it is, in the order in which reasons are told: first what names one thing that somebody can mend, in the
/// order in which a deployment comes to it; then who ended the deployment, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// A function that is called at a stage of a deployment.
    Hook,
    /// Nobody answered in time, or somebody said no.
    Pause,
    Alarm,
    /// Rules, target groups, or the role by which AWS changes them.
    Network,
    /// An image that cannot be pulled.
    Pull,
    /// A secret or parameter, or whatever else a task is given before it starts.
    Secret,
    /// The group in `CloudWatch` Logs that a container logs to is not there, or not reached.
    LogGroup,
    Memory,
    /// A container exited by itself, with this code.
    Exit(i32),
    /// A container that could not be started.
    Start,
    /// The health check of a container or of a load balancer, as ECS tells it.
    HealthCheck,
    /// What a load balancer says of its targets.
    TargetHealth,
    /// No place was found for a task.
    Placement,
    Quota,
    /// The platform took back what the task ran on.
    Interruption,
    /// What this program does not know.
    Other,
    Breaker,
    /// It was successful to AWS, and its tasks went on failing.
    Unsteady,
    /// It took too long.
    Deadline,
    StoppedByHand,
    /// There was nothing to go back to.
    RolledBackWithoutCandidate,
}

impl CauseKind {
    /// As programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hook => "Hook",
            Self::Pause => "Pause",
            Self::Alarm => "Alarm",
            Self::Network => "Network",
            Self::Pull => "Pull",
            Self::Secret => "Secret",
            Self::LogGroup => "LogGroup",
            Self::Memory => "Memory",
            Self::Exit(_) => "Exit",
            Self::Start => "Start",
            Self::HealthCheck => "HealthCheck",
            Self::TargetHealth => "TargetHealth",
            Self::Placement => "Placement",
            Self::Quota => "Quota",
            Self::Interruption => "Interruption",
            Self::Breaker => "Breaker",
            Self::Unsteady => "Unsteady",
            Self::Deadline => "Deadline",
            Self::StoppedByHand => "StoppedByHand",
            Self::RolledBackWithoutCandidate => "RolledBackWithoutCandidate",
            Self::Other => "Other",
        }
    }
}

/// What shows a cause, such as the last lines of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it is from; or why there is none.
    pub from: String,
    /// The oldest first.
    pub lines: Vec<String>,
}

/// What AWS can be asked about one failure. Each thing is asked once: targets and logs are there for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Which failure it is: the id of a deployment, of a task that runs once, or a name of ours for what is live.
    pub failure: String,
    /// ARNs of target groups.
    pub groups: Vec<String>,
    /// Each with the container that writes it.
    pub logs: Vec<(String, LogStream)>,
}

impl Inquiry {
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.logs.is_empty()
    }
}

/// Where `CloudWatch` Logs keeps what one container has written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogStream {
    /// `None`: the region of the service.
    pub region: Option<Region>,
    pub group: String,
    pub stream: String,
}

/// What is told of one failure, and what AWS can still be asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub inquiry: Inquiry,
    pub causes: Vec<Cause>,
}

/// What AWS answered to inquiries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// By target group.
    pub targets: BTreeMap<String, Reading<Vec<TargetHealth>>>,
    /// The last lines, oldest first.
    pub logs: BTreeMap<LogStream, Reading<Vec<String>>>,
}

/// What is known of one failure beyond what a look at it shows. It is kept for as long as the failure is told of, since AWS
/// forgets: targets at once, stopped tasks within about an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Particulars {
    /// How many questions about targets it has taken, and when the facts were read that led to the last one.
    pub groups_asked: usize,
    pub groups_asked_at: Millis,
    /// Containers whose log has been read for it.
    pub logs_read: BTreeSet<String>,
    /// What was told of it last, without what must not be shown.
    pub causes: Vec<Cause>,
}
