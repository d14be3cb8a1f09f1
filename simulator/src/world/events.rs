//! Rules of the default event bus and their targets (Amazon EventBridge API reference: `PutRule`, `DescribeRule`,
//! `ListRules`, `EnableRule`, `DisableRule`, `DeleteRule`, `PutTargets`, `ListTargetsByRule`, `RemoveTargets`). What a target
//! is sent is in `firing`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::input::{Input, list, optional, texts};
use super::{Answer, AwsError, World, unknown};

const BUS: &str = "default";
/// Of one call, and of one rule (Amazon EventBridge user guide, quotas).
const MOST_OF_A_CALL: usize = 10;
const MOST_OF_A_RULE: usize = 5;
const MOST_RULES: usize = 300;
/// Of a page (botocore's model: `LimitMax100`).
const PAGE: u64 = 100;

/// By name.
pub(super) type Rules = BTreeMap<String, Rule>;

#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// What it was put with.
    settings: Input,
    pub is_enabled: bool,
    /// As they were put, by their id in the order in which they came.
    pub targets: Vec<(String, Value)>,
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("ValidationException", message)
}

fn exceeded() -> AwsError {
    AwsError::client("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

fn missing(rule: &str) -> AwsError {
    AwsError::client("ResourceNotFoundException", format!("Rule {rule} does not exist on EventBus {BUS}."))
}

/// `[\.\-_A-Za-z0-9]+`, at most 64 (botocore's model, `RuleName` and `TargetId`).
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn name<'i>(input: &'i Input, key: &str) -> Result<&'i str, AwsError> {
    match optional(input, "EventBusName")? {
        None | Some(BUS) => {}
        Some(other) => {
            let message = format!("Event bus {other} does not exist.");
            return Err(AwsError::client("ResourceNotFoundException", message));
        }
    }
    let name = optional(input, key)?.unwrap_or_default();
    if is_name(name) { Ok(name) } else { Err(invalid(format!("Value '{name}' at '{key}' is no name."))) }
}

impl World {
    pub(super) fn event_bridge(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "PutRule" => self.put_rule(input),
            "DescribeRule" => self.describe_rule(input),
            "ListRules" => self.list_rules(input),
            "EnableRule" => self.set_rule(input, true),
            "DisableRule" => self.set_rule(input, false),
            "DeleteRule" => self.delete_rule(input),
            "PutTargets" => self.put_targets(input),
            "ListTargetsByRule" => self.list_targets(input),
            "RemoveTargets" => self.remove_targets(input),
            "PutEvents" => self.put_events(input),
            _ => Err(unknown(operation)),
        }
    }

    /// A rule that is there is replaced; its targets stay. What is left out of it is gone.
    fn put_rule(&mut self, input: &Input) -> Answer {
        let name = name(input, "Name")?.to_owned();
        let expression = optional(input, "ScheduleExpression")?;
        if expression.is_none() && optional(input, "EventPattern")?.is_none() {
            return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
        }
        if expression.is_some_and(|expression| !is_expression(expression, &["rate", "cron"])) {
            return Err(invalid("Parameter ScheduleExpression is not valid."));
        }
        let is_enabled = match optional(input, "State")? {
            None | Some("ENABLED" | "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") => true,
            Some("DISABLED") => false,
            Some(_) => return Err(invalid("Parameter State is not valid.")),
        };
        if !self.rules.contains_key(&name) && self.rules.len() >= MOST_RULES {
            return Err(exceeded());
        }
        let targets = self.rules.remove(&name).map(|rule| rule.targets).unwrap_or_default();
        let arn = self.rule_arn(&name);
        self.rules.insert(name, Rule { settings: input.clone(), is_enabled, targets });
        Ok(json!({"RuleArn": arn}))
    }

    fn describe_rule(&self, input: &Input) -> Answer {
        let name = name(input, "Name")?;
        let rule = self.rules.get(name).ok_or_else(|| missing(name))?;
        let mut described = self.rule(name, rule);
        described["CreatedBy"] = json!(self.account);
        Ok(described)
    }

    fn list_rules(&self, input: &Input) -> Answer {
        let prefix = optional(input, "NamePrefix")?.unwrap_or_default();
        let rules = self.rules.iter().filter(|(name, _)| name.starts_with(prefix));
        page(rules.map(|(name, rule)| self.rule(name, rule)).collect(), input, "Rules")
    }

    fn rule(&self, name: &str, rule: &Rule) -> Value {
        let mut described = json!({
            "Name": name,
            "Arn": self.rule_arn(name),
            "State": if rule.is_enabled { "ENABLED" } else { "DISABLED" },
            "EventBusName": BUS,
        });
        for key in ["EventPattern", "ScheduleExpression", "Description", "RoleArn"] {
            if let Some(value) = rule.settings.get(key).filter(|value| !value.is_null()) {
                described[key] = value.clone();
            }
        }
        described
    }

    fn rule_arn(&self, name: &str) -> String {
        self.arn("events", &format!("rule/{name}"))
    }

    fn set_rule(&mut self, input: &Input, is_enabled: bool) -> Answer {
        let name = name(input, "Name")?;
        let rule = self.rules.get_mut(name).ok_or_else(|| missing(name))?;
        rule.is_enabled = is_enabled;
        Ok(json!({}))
    }

    /// One that is not there is deleted all the same.
    fn delete_rule(&mut self, input: &Input) -> Answer {
        let name = name(input, "Name")?;
        if self.rules.get(name).is_some_and(|rule| !rule.targets.is_empty()) {
            return Err(invalid("Rule can't be deleted since it has targets."));
        }
        self.rules.remove(name);
        Ok(json!({}))
    }

    /// A target of the same id is replaced as a whole.
    fn put_targets(&mut self, input: &Input) -> Answer {
        let name = name(input, "Rule")?.to_owned();
        let sent: Vec<(String, &Value)> = list(input, "Targets").map(checked).collect::<Result<_, _>>()?;
        if !(1..=MOST_OF_A_CALL).contains(&sent.len()) {
            return Err(invalid(format!("Targets must have from 1 to {MOST_OF_A_CALL} members.")));
        }
        let fails = self.faults.fails_entries();
        let rule = self.rules.get_mut(&name).ok_or_else(|| missing(&name))?;
        if let Some((code, message)) = fails {
            let failed = sent
                .iter()
                .map(|(id, _)| json!({"TargetId": id, "ErrorCode": code, "ErrorMessage": message}));
            return Ok(failed_entries(&failed.collect::<Vec<_>>()));
        }
        let new = sent.iter().filter(|(id, _)| rule.targets.iter().all(|(known, _)| known != id)).count();
        if rule.targets.len() + new > MOST_OF_A_RULE {
            return Err(exceeded());
        }
        for (id, target) in sent {
            match rule.targets.iter_mut().find(|(known, _)| *known == id) {
                Some((_, old)) => *old = target.clone(),
                None => rule.targets.push((id, target.clone())),
            }
        }
        Ok(failed_entries(&[]))
    }

    fn list_targets(&self, input: &Input) -> Answer {
        let name = name(input, "Rule")?;
        let rule = self.rules.get(name).ok_or_else(|| missing(name))?;
        page(rule.targets.iter().map(|(_, target)| target.clone()).collect(), input, "Targets")
    }

    fn remove_targets(&mut self, input: &Input) -> Answer {
        let name = name(input, "Rule")?;
        let rule = self.rules.get_mut(name).ok_or_else(|| missing(name))?;
        let mut failed = Vec::new();
        for id in texts(input, "Ids") {
            let before = rule.targets.len();
            rule.targets.retain(|(known, _)| known != id);
            if rule.targets.len() == before {
                let message = format!("Rule {name} does not have target(s) {id} on EventBus {BUS}.");
                failed.push(json!({"TargetId": id, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": message}));
            }
        }
        Ok(failed_entries(&failed))
    }
}

fn failed_entries(failed: &[Value]) -> Value {
    json!({"FailedEntryCount": failed.len(), "FailedEntries": failed})
}

/// The id of a target that can be one. A cluster is sent tasks to run.
fn checked(target: &Value) -> Result<(String, &Value), AwsError> {
    let text = |key: &str| target.get(key).and_then(Value::as_str);
    let id = text("Id").filter(|id| is_name(id)).ok_or_else(|| invalid("A target has no valid Id."))?;
    let arn = text("Arn").filter(|arn| arn.starts_with("arn:"));
    let arn = arn.ok_or_else(|| invalid(format!("Provided Arn is not in correct format. Target {id}.")))?;
    if arn.contains(":cluster/") {
        let runs = target.get("EcsParameters").and_then(|ecs| ecs.get("TaskDefinitionArn")?.as_str());
        if !runs.is_some_and(|arn| arn.contains(":task-definition/")) {
            return Err(invalid(format!("Parameter EcsParameters is not valid for target {id}.")));
        }
        if text("RoleArn").is_none() {
            return Err(invalid(format!("RoleArn is required for target {arn}.")));
        }
    }
    Ok((id.to_owned(), target))
}

/// `rate(…)`, or another of these words.
pub(super) fn is_expression(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let within = text.strip_prefix(word).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
        within.is_some_and(|within| !within.is_empty())
    })
}

fn page(items: Vec<Value>, input: &Input, key: &str) -> Answer {
    let size = input.get("Limit").and_then(Value::as_u64).unwrap_or(PAGE);
    if !(1..=PAGE).contains(&size) {
        return Err(invalid("Limit must be between 1 and 100."));
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let start: usize = match optional(input, "NextToken")? {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid("Parameter NextToken is not valid."))?,
    };
    let more = items.len() > start.saturating_add(size);
    let items: Vec<Value> = items.into_iter().skip(start).take(size).collect();
    let mut answer = json!({key: items});
    if more {
        answer["NextToken"] = json!((start + size).to_string());
    }
    Ok(answer)
}
