//! Rules of EventBridge, and schedules of EventBridge Scheduler.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::answer::{list, next_page, owned, text};
use super::caller::Client;
use super::error::{self, CallError};
use crate::model::{Schedule, ScheduleName, ScheduleTarget, TaskDefinitionArn};
use crate::ports::{CloudError, Schedules};

/// Pages of the targets of one rule, each of a hundred: it has five unless a quota was raised (Amazon EventBridge user
/// guide, quotas).
const MOST_PAGES: usize = 10;

pub(super) struct SchedulesClient {
    /// Of EventBridge, and of EventBridge Scheduler.
    pub rules: Client,
    pub schedules: Client,
}

impl SchedulesClient {
    async fn rule(&self, name: &str) -> Result<Schedule, CloudError> {
        let described = self.rules.read("DescribeRule", json!({"Name": name})).await?;
        let mut input = json!({"Rule": name});
        let mut targets = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.rules.read("ListTargetsByRule", input.clone()).await?;
            targets.extend(list(&page, "Targets").map(|raw| target(raw, raw)));
            match next_page(&page, "NextToken") {
                Some(token) => input["NextToken"] = Value::from(token),
                None => return Ok(Schedule { is_enabled: is_enabled(&described), targets }),
            }
        }
        Err(CloudError::Unavailable("the rule has more targets than are read".to_owned()))
    }

    async fn of_scheduler(&self, group: &str, name: &str) -> Result<Schedule, CloudError> {
        let raw = self.schedules.read("GetSchedule", json!({"GroupName": group, "Name": name})).await?;
        let targets = raw.get("Target").map(|one| target(one, &raw)).into_iter().collect();
        Ok(Schedule { is_enabled: is_enabled(&raw), targets })
    }
}

#[async_trait]
impl Schedules for SchedulesClient {
    async fn schedule(&self, name: &ScheduleName) -> Result<Schedule, CloudError> {
        match name {
            ScheduleName::Rule(name) => self.rule(name).await,
            ScheduleName::Schedule { group, name } => self.of_scheduler(group, name).await,
        }
    }

    async fn retarget(&self, name: &ScheduleName, input: &Value) -> Result<(), CloudError> {
        match name {
            ScheduleName::Rule(_) => entries_taken(&self.rules.write("PutTargets", input.clone()).await?),
            ScheduleName::Schedule { .. } => {
                self.schedules.write("UpdateSchedule", input.clone()).await.map(drop)
            }
        }
    }
}

/// What was refused of some targets stands in an answer that is none of a refusal (Amazon EventBridge API reference,
/// `PutTargets`).
fn entries_taken(answer: &Value) -> Result<(), CloudError> {
    let Some(failed) = list(answer, "FailedEntries").next() else {
        let count = answer.get("FailedEntryCount").and_then(Value::as_u64).unwrap_or_default();
        let unsaid = || CloudError::Ambiguous(format!("{count} targets were refused, and nothing says why"));
        return if count == 0 { Ok(()) } else { Err(unsaid()) };
    };
    let said = text(failed, "ErrorMessage").unwrap_or("no message");
    let about = text(failed, "TargetId").map_or_else(|| said.to_owned(), |id| format!("target {id}: {said}"));
    Err(error::meaning(CallError::Refused { code: owned(failed, "ErrorCode"), message: Some(about) }))
}

/// Also one that other states are added to later starts something.
fn is_enabled(described: &Value) -> bool {
    text(described, "State") != Some("DISABLED")
}

/// `raw`: what is sent back.
fn target(described: &Value, raw: &Value) -> ScheduleTarget {
    let runs = described.get("EcsParameters").and_then(|ecs| text(ecs, "TaskDefinitionArn"));
    ScheduleTarget {
        arn: owned(described, "Arn").unwrap_or_default(),
        task_definition: runs.map(TaskDefinitionArn::new),
        role: owned(described, "RoleArn"),
        raw: raw.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_of_a_target_is_an_error_in_an_answer_that_is_none() {
        let refused = |code: &str| {
            json!({"FailedEntryCount": 1, "FailedEntries": [
                {"TargetId": "nightly", "ErrorCode": code, "ErrorMessage": "m"}]})
        };
        let at_once = "ConcurrentModificationException: target nightly: m".to_owned();
        for (answer, expected) in [
            (json!({"FailedEntryCount": 0, "FailedEntries": []}), Ok(())),
            (json!({}), Ok(())),
            (refused("ConcurrentModificationException"), Err(CloudError::Rejected(at_once))),
            (
                refused("InternalException"),
                Err(CloudError::Ambiguous("InternalException: target nightly: m".to_owned())),
            ),
            (
                json!({"FailedEntryCount": 2}),
                Err(CloudError::Ambiguous("2 targets were refused, and nothing says why".to_owned())),
            ),
        ] {
            assert_eq!(entries_taken(&answer), expected, "{answer}");
        }
    }
}
