//! What starts tasks at its time: a rule of EventBridge, or a schedule of EventBridge Scheduler.

use std::fmt;

use serde_json::Value;

use super::{Cause, ClusterName, Millis, OutcomeKind, TaskDefinitionArn};

/// What a rule or a schedule is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScheduleName {
    /// A rule of the default event bus: only there rules go by the time (Amazon EventBridge user guide).
    Rule(String),
    /// A schedule in its group.
    Schedule { group: String, name: String },
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(name) => write!(f, "rule {name}"),
            Self::Schedule { group, name } => write!(f, "schedule {group}/{name}"),
        }
    }
}

/// A task that rules and schedules start, whose targets run what is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduledTask {
    /// At least one, each once.
    pub schedules: Vec<ScheduleName>,
    /// The containers that must end with 0; `None`: the essential ones.
    pub success: Option<Vec<String>>,
}

/// A rule or a schedule as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// It starts nothing while it is not.
    pub is_enabled: bool,
    /// A schedule has one.
    pub targets: Vec<ScheduleTarget>,
}

/// One target of a rule, or that of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleTarget {
    /// What it is sent to: a cluster, where it starts tasks.
    pub arn: String,
    /// What it runs; `None`: it has no ECS parameters. Without a number it is whatever is the newest ACTIVE revision of the
    /// family when its time comes.
    pub task_definition: Option<TaskDefinitionArn>,
    /// The role by which EventBridge starts the task.
    pub role: Option<String>,
    /// All that AWS tells, to be sent back with one member changed: of a rule the target, else the whole schedule.
    pub raw: Value,
}

impl ScheduleTarget {
    /// The name of the cluster in which it starts tasks.
    pub fn cluster(&self) -> Option<&str> {
        self.arn.rsplit_once(":cluster/").map(|(_, name)| name)
    }

    /// What AWS tells of it, without the schedule around it.
    pub fn own(&self) -> &Value {
        self.raw.get("Target").unwrap_or(&self.raw)
    }

    /// How it starts them, as AWS tells it.
    pub fn ecs_parameters(&self) -> Option<&Value> {
        self.own().get("EcsParameters")
    }

    /// Whether it starts tasks of this family in this cluster.
    pub fn runs(&self, cluster: &ClusterName, family: &str) -> bool {
        self.cluster() == Some(cluster.as_str())
            && self.task_definition.as_ref().is_some_and(|one| one.family() == family)
    }
}

/// How the last run of a revision has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    pub result: OutcomeKind,
    pub ended_at: Millis,
    /// The id of the task.
    pub task: String,
    /// Why it failed.
    pub causes: Vec<Cause>,
}
