//! Whether the declared rules and schedules are there and run what is declared, before anything is written; and what people
//! should know of them besides.

use super::Timetable;
use crate::model::{Finding, Reading, Schedule, ScheduleName, Severity, Waiting};
use crate::plan::declared_family;
use crate::plan::facts::unreadable;

/// What cannot be read.
pub(super) const SCHEDULE: &str = "the rule or schedule";

impl Timetable<'_, '_> {
    pub(super) fn schedules_fit(&self) -> Result<(), Waiting> {
        self.task.schedules.iter().try_for_each(|name| {
            let schedule = name.to_string();
            match self.facts.input.observed.schedules.get(name) {
                Some(Reading::Known(read)) => match self.misfit(read) {
                    Some(why) => Err(Waiting::ScheduleUnfit { schedule, why }),
                    None => Ok(()),
                },
                Some(Reading::Absent) => Err(Waiting::ScheduleMissing { schedule }),
                Some(Reading::Unavailable(why)) => Err(unreadable(SCHEDULE, why)),
                None => Err(Waiting::LookDeeper),
            }
        })
    }

    /// Why none of its targets runs what is declared.
    fn misfit(&self, schedule: &Schedule) -> Option<String> {
        let desired = self.facts.input.desired;
        let (cluster, family) = (&desired.cluster, declared_family(desired).unwrap_or_default());
        let targets = &schedule.targets;
        if targets.iter().any(|target| target.runs(cluster, family)) {
            return None;
        }
        if targets.is_empty() {
            return Some("it has no target".to_owned());
        }
        let of_ecs: Vec<_> = targets.iter().filter(|target| target.task_definition.is_some()).collect();
        if of_ecs.is_empty() {
            return Some("its target has no ECS parameters, so that it starts no task".to_owned());
        }
        let here = of_ecs.iter().find(|target| target.cluster() == Some(cluster.as_str()));
        Some(match here.and_then(|target| target.task_definition.as_ref()) {
            Some(other) => format!(
                "it runs the task definition family {}, and the task definition that is declared is of {family}",
                other.family()
            ),
            None => {
                let elsewhere = of_ecs.iter().find_map(|target| target.cluster()).unwrap_or("no cluster");
                format!("it starts tasks in {elsewhere}, and cluster {cluster} is declared")
            }
        })
    }

    /// Whoever writes a target passes its role.
    pub(super) fn roles_of_targets_are_allowed(&self) -> Result<(), Waiting> {
        let refused = self.targets().find_map(|(name, target)| {
            let role = target.role.as_deref().filter(|role| !self.facts.allows_role(role))?;
            Some((name.to_string(), role))
        });
        refused.map_or(Ok(()), |(schedule, role)| {
            let why = format!("the operator's settings do not allow its role {role}");
            Err(Waiting::ScheduleUnfit { schedule, why })
        })
    }

    /// What keeps nothing from being done.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let unpinned = self.targets().filter(|(_, target)| {
            target.task_definition.as_ref().is_some_and(|arn| arn.revision().is_none())
        });
        let unpinned = unpinned.map(|(name, _)| {
            let message = format!(
                "{name} names no revision: each time it starts whatever is registered last, proven or not"
            );
            self.finding(
                message,
                "trueup names the revision with the next write, once git declares another commit",
            )
        });
        let disabled = self.task.schedules.iter().filter(|name| self.is_disabled(name));
        let disabled = disabled.map(|name| {
            self.finding(format!("{name} is disabled: it starts nothing"), "enable it, or leave it so")
        });
        let mut findings: Vec<Finding> = unpinned.chain(disabled).collect();
        findings.dedup();
        findings
    }

    pub(super) fn is_disabled(&self, name: &ScheduleName) -> bool {
        let read = self.facts.input.observed.schedules.get(name).and_then(Reading::known);
        read.is_some_and(|schedule| !schedule.is_enabled)
    }

    fn finding(&self, message: String, hint: &str) -> Finding {
        let desired = self.facts.input.desired;
        Finding {
            severity: Severity::Warning,
            position: desired.declared_at.clone(),
            field: "strategy".to_owned(),
            message,
            hint: Some(hint.to_owned()),
            excerpt: None,
            targets: vec![desired.target.clone()],
        }
    }
}
