//! Amazon `CloudWatch`, as far as it says which alarms there are and how they stand (Amazon `CloudWatch` API reference, version
//! 2010-08-01). Nothing is measured: an alarm moves when somebody says so. Composite alarms are not simulated.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::input::{Input, optional, texts};
use super::times::moment;
use super::{Answer, AwsError, World, invalid_action};

/// Alarms of an account and region (`CloudWatch` quotas).
const MOST_ALARMS: usize = 5_000;
/// Names, and records, of one `DescribeAlarms`.
const MOST_RECORDS: usize = 100;
const STATES: [&str; 3] = ["OK", "ALARM", "INSUFFICIENT_DATA"];
/// What an alarm is described with as it was put.
const SETTINGS: [&str; 7] = [
    "AlarmDescription",
    "ComparisonOperator",
    "EvaluationPeriods",
    "MetricName",
    "Namespace",
    "Period",
    "Threshold",
];

#[derive(Clone, Debug, Default)]
pub(super) struct Alarms {
    /// By name.
    all: BTreeMap<String, Alarm>,
    /// Names of those in state ALARM.
    pub active: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Alarm {
    settings: Input,
    state: &'static str,
    reason: String,
    put: u64,
    moved: u64,
}

impl Alarms {
    /// One that nobody has put is there from now on.
    pub(super) fn set(&mut self, name: &str, state: &'static str, reason: &str, now: u64) {
        let alarm = self.all.entry(name.to_owned()).or_insert_with(|| Alarm::new(Input::new(), now));
        alarm.state = state;
        reason.clone_into(&mut alarm.reason);
        alarm.moved = now;
        if state == "ALARM" {
            self.active.insert(name.to_owned());
        } else {
            self.active.remove(name);
        }
    }
}

impl Alarm {
    /// "When an alarm is created, the alarm state is immediately set to `INSUFFICIENT_DATA`" (`PutMetricAlarm`).
    fn new(settings: Input, now: u64) -> Self {
        let reason = "Unchecked: Initial alarm creation".to_owned();
        Self { settings, state: "INSUFFICIENT_DATA", reason, put: now, moved: now }
    }

    fn described(&self, name: &str, arn: &str) -> Value {
        let mut told = json!({
            "AlarmName": name,
            "AlarmArn": arn,
            "AlarmConfigurationUpdatedTimestamp": moment(self.put),
            "ActionsEnabled": true,
            "OKActions": [],
            "AlarmActions": [],
            "InsufficientDataActions": [],
            "StateValue": self.state,
            "StateReason": self.reason,
            "StateUpdatedTimestamp": moment(self.moved),
            "Dimensions": [],
        });
        for key in SETTINGS {
            if let Some(value) = self.settings.get(key) {
                told[key] = value.clone();
            }
        }
        told
    }
}

impl World {
    pub(super) fn cloud_watch(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "PutMetricAlarm" => self.put_metric_alarm(input),
            "SetAlarmState" => self.set_alarm_state(input),
            "DescribeAlarms" => self.describe_alarms(input),
            "DeleteAlarms" => self.delete_alarms(input),
            _ => Err(invalid_action(operation, "2010-08-01")),
        }
    }

    fn put_metric_alarm(&mut self, input: &Input) -> Answer {
        let name = required(input, "AlarmName")?;
        for key in ["MetricName", "Namespace", "ComparisonOperator"] {
            required(input, key)?;
        }
        let (now, is_full) = (self.now, self.alarms.all.len() >= MOST_ALARMS);
        if let Some(alarm) = self.alarms.all.get_mut(name) {
            // "The update completely overwrites the previous configuration of the alarm", and its state is left as it is.
            (alarm.settings, alarm.put) = (input.clone(), now);
        } else if is_full {
            return Err(AwsError::client("LimitExceeded", "The maximum limit of alarms was exceeded"));
        } else {
            self.alarms.all.insert(name.to_owned(), Alarm::new(input.clone(), now));
        }
        Ok(json!({}))
    }

    fn set_alarm_state(&mut self, input: &Input) -> Answer {
        let (name, state) = (required(input, "AlarmName")?, required(input, "StateValue")?);
        let reason = required(input, "StateReason")?;
        if !self.alarms.all.contains_key(name) {
            return Err(missing(name));
        }
        let state = STATES.into_iter().find(|known| *known == state);
        let state = state.ok_or_else(|| invalid("StateValue must be one of OK, ALARM, INSUFFICIENT_DATA"))?;
        self.alarms.set(name, state, reason, self.now);
        Ok(json!({}))
    }

    /// By name; a name that there is none of is left out.
    fn describe_alarms(&self, input: &Input) -> Answer {
        let names: BTreeSet<&str> = texts(input, "AlarmNames").collect();
        if names.len() > MOST_RECORDS {
            return Err(invalid("Member must have length less than or equal to 100 at 'alarmNames'"));
        }
        let most = match number(input, "MaxRecords") {
            None => MOST_RECORDS,
            Some(most) if (1..=MOST_RECORDS).contains(&most) => most,
            Some(_) => return Err(invalid("MaxRecords must be between 1 and 100")),
        };
        let state = optional(input, "StateValue")?;
        let prefix = optional(input, "AlarmNamePrefix")?.unwrap_or_default();
        let kinds: Vec<&str> = texts(input, "AlarmTypes").collect();
        // A token is the name of the last one that was told.
        let after = optional(input, "NextToken")?;
        if after.is_some_and(|after| !self.alarms.all.contains_key(after)) {
            return Err(AwsError::client("InvalidNextToken", "The next token specified is invalid."));
        }
        let is_chosen = |name: &str, alarm: &Alarm| {
            (names.is_empty() || names.contains(name))
                && name.starts_with(prefix)
                && state.is_none_or(|state| alarm.state == state)
                && (kinds.is_empty() || kinds.contains(&"MetricAlarm"))
                && after.is_none_or(|after| name > after)
        };
        let chosen = self.alarms.all.iter().filter(|(name, alarm)| is_chosen(name, alarm));
        let chosen: Vec<(&String, &Alarm)> = chosen.take(most + 1).collect();
        let arn = |name: &str| self.arn("cloudwatch", &format!("alarm:{name}"));
        let told = chosen.iter().take(most).map(|(name, alarm)| alarm.described(name, &arn(name)));
        let mut answer = json!({"CompositeAlarms": [], "MetricAlarms": told.collect::<Vec<_>>()});
        if let (true, Some((last, _))) = (chosen.len() > most, chosen.get(most - 1)) {
            answer["NextToken"] = json!(last);
        }
        Ok(answer)
    }

    /// All or none ("if you specify an incorrect alarm name, no alarms are deleted", `DeleteAlarms`).
    fn delete_alarms(&mut self, input: &Input) -> Answer {
        let names: Vec<&str> = texts(input, "AlarmNames").collect();
        if let Some(unknown) = names.iter().find(|name| !self.alarms.all.contains_key(**name)) {
            return Err(missing(unknown));
        }
        for name in names {
            self.alarms.all.remove(name);
            self.alarms.active.remove(name);
        }
        Ok(json!({}))
    }
}

/// A number comes as text in the query protocol.
fn number(input: &Input, key: &str) -> Option<usize> {
    let value = input.get(key)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    Some(number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default())
}

fn required<'a>(input: &'a Input, key: &str) -> Result<&'a str, AwsError> {
    let text = optional(input, key)?.filter(|text| !text.is_empty());
    text.ok_or_else(|| {
        AwsError::client("MissingParameter", format!("The parameter {key} must be present for the call."))
    })
}

fn invalid(message: &str) -> AwsError {
    AwsError::client("ValidationError", message)
}

fn missing(name: &str) -> AwsError {
    AwsError::with_status("ResourceNotFound", format!("Alarm {name} does not exist"), 404)
}
