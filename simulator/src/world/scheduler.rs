//! Schedules in their groups (EventBridge Scheduler API reference: `CreateScheduleGroup`, `CreateSchedule`, `GetSchedule`,
//! `UpdateSchedule`, `DeleteSchedule`). What a target is sent is in `firing`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::events::is_expression;
use super::input::{Input, optional};
use super::times::moment;
use super::{Answer, AwsError, World, unknown};

const DEFAULT_GROUP: &str = "default";
const MOST_SCHEDULES: usize = 10_000;
/// Members of a schedule that it is described with (botocore's model, `GetScheduleOutput`), and what they are if nobody says.
const MEMBERS: [&str; 7] = [
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "KmsKeyArn",
    "ScheduleExpression",
    "StartDate",
    "Target",
];
const DEFAULTS: [(&str, &str); 3] =
    [("ActionAfterCompletion", "NONE"), ("ScheduleExpressionTimezone", "UTC"), ("State", "ENABLED")];

/// Groups that somebody has made, and schedules by group and name.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedules {
    groups: BTreeSet<String>,
    pub all: BTreeMap<(String, String), Schedule>,
}

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// What it was made or updated with last.
    pub settings: Input,
    created: u64,
    modified: u64,
}

impl Schedule {
    pub fn is_enabled(&self) -> bool {
        self.settings.get("State").and_then(Value::as_str) != Some("DISABLED")
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("ValidationException", message)
}

fn conflict(message: String) -> AwsError {
    AwsError::with_status("ConflictException", message, 409)
}

fn missing(message: String) -> AwsError {
    AwsError::with_status("ResourceNotFoundException", message, 404)
}

/// `[0-9a-zA-Z-_.]+`, at most 64 (botocore's model).
fn named<'i>(input: &'i Input, key: &str, default: &'i str) -> Result<&'i str, AwsError> {
    let name = optional(input, key)?.unwrap_or(default);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(allowed);
    if fits { Ok(name) } else { Err(invalid(format!("Value '{name}' at '{key}' is no name."))) }
}

fn key(input: &Input) -> Result<(String, String), AwsError> {
    Ok((named(input, "GroupName", DEFAULT_GROUP)?.to_owned(), named(input, "Name", "")?.to_owned()))
}

impl World {
    pub(super) fn scheduler(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateScheduleGroup" => self.create_schedule_group(input),
            "CreateSchedule" => self.create_schedule(input),
            "GetSchedule" => self.get_schedule(input),
            "UpdateSchedule" => self.update_schedule(input),
            "DeleteSchedule" => self.delete_schedule(input),
            _ => Err(unknown(operation)),
        }
    }

    fn create_schedule_group(&mut self, input: &Input) -> Answer {
        let name = named(input, "Name", "")?;
        if name == DEFAULT_GROUP || !self.schedules.groups.insert(name.to_owned()) {
            return Err(conflict(format!("Schedule group {name} already exists.")));
        }
        Ok(json!({"ScheduleGroupArn": self.arn("scheduler", &format!("schedule-group/{name}"))}))
    }

    fn create_schedule(&mut self, input: &Input) -> Answer {
        let key = key(input)?;
        if key.0 != DEFAULT_GROUP && !self.schedules.groups.contains(&key.0) {
            return Err(missing(format!("Schedule group {} does not exist.", key.0)));
        }
        if self.schedules.all.contains_key(&key) {
            return Err(conflict(format!("Schedule {} already exists.", key.1)));
        }
        if self.schedules.all.len() >= MOST_SCHEDULES {
            let message = "You have exceeded the number of schedules.";
            return Err(AwsError::with_status("ServiceQuotaExceededException", message, 402));
        }
        let settings = settings(input)?;
        let arn = self.schedule_arn(&key);
        self.schedules.all.insert(key, Schedule { settings, created: self.now, modified: self.now });
        Ok(json!({"ScheduleArn": arn}))
    }

    fn get_schedule(&self, input: &Input) -> Answer {
        let key = key(input)?;
        let schedule = self.schedules.all.get(&key).ok_or_else(|| no_schedule(&key))?;
        let mut described = json!({
            "Arn": self.schedule_arn(&key),
            "CreationDate": moment(schedule.created),
            "GroupName": key.0,
            "LastModificationDate": moment(schedule.modified),
            "Name": key.1,
        });
        if let Some(members) = described.as_object_mut() {
            members.extend(schedule.settings.clone());
        }
        Ok(described)
    }

    /// "All of the parameters are replaced": what is left out falls to its default, or is gone.
    fn update_schedule(&mut self, input: &Input) -> Answer {
        let key = key(input)?;
        let (settings, now) = (settings(input)?, self.now);
        let schedule = self.schedules.all.get_mut(&key).ok_or_else(|| no_schedule(&key))?;
        (schedule.settings, schedule.modified) = (settings, now);
        Ok(json!({"ScheduleArn": self.schedule_arn(&key)}))
    }

    fn delete_schedule(&mut self, input: &Input) -> Answer {
        let key = key(input)?;
        self.schedules.all.remove(&key).map(|_| json!({})).ok_or_else(|| no_schedule(&key))
    }

    fn schedule_arn(&self, (group, name): &(String, String)) -> String {
        self.arn("scheduler", &format!("schedule/{group}/{name}"))
    }
}

fn no_schedule((_, name): &(String, String)) -> AwsError {
    missing(format!("Schedule {name} does not exist."))
}

/// What a schedule is from now on.
fn settings(input: &Input) -> Result<Input, AwsError> {
    let expression = optional(input, "ScheduleExpression")?.unwrap_or_default();
    if !is_expression(expression, &["rate", "cron", "at"]) {
        return Err(invalid(format!("Invalid Schedule Expression {expression}.")));
    }
    match input.get("FlexibleTimeWindow").and_then(|window| window.get("Mode")?.as_str()) {
        Some("OFF" | "FLEXIBLE") => {}
        _ => return Err(invalid("FlexibleTimeWindow must have a Mode.")),
    }
    let target = input.get("Target").cloned().unwrap_or_default();
    let text = |key: &str| target.get(key).and_then(Value::as_str).unwrap_or_default();
    if !text("Arn").starts_with("arn:") || !text("RoleArn").starts_with("arn:") {
        return Err(invalid("Target must have an Arn and a RoleArn."));
    }
    let runs = target.get("EcsParameters").and_then(|ecs| ecs.get("TaskDefinitionArn")?.as_str());
    if text("Arn").contains(":cluster/") && runs.is_none() {
        return Err(invalid("EcsParameters must be provided for a target of Amazon ECS."));
    }
    let mut settings = Input::new();
    for (key, default) in DEFAULTS {
        let value = optional(input, key)?.unwrap_or(default);
        settings.insert(key.to_owned(), json!(value));
    }
    let given = MEMBERS.iter().filter_map(|key| Some(((*key).to_owned(), input.get(*key)?.clone())));
    settings.extend(given.filter(|(_, value)| !value.is_null()));
    Ok(settings)
}
