//! Rules of listeners. The default action of each listener is told as a rule too.

use serde_json::{Value, json};

use super::{Balancing, member, missing, number, object, required, validation};
use crate::world::ids::mixed;
use crate::world::input::{Input, list, optional, texts};
use crate::world::{Answer, AwsError, World};

impl World {
    pub(super) fn create_rule(&mut self, input: &Input) -> Answer {
        let listener = required(input, "ListenerArn")?.to_owned();
        self.balancing.has_listener(&listener)?;
        let priority = number(input, "Priority").filter(|number| (1..=50_000).contains(number));
        let priority =
            priority.ok_or_else(|| validation("Priority must be between 1 and 50000"))?.to_string();
        let conditions: Vec<&Value> = list(input, "Conditions").collect();
        if conditions.is_empty() {
            return Err(validation("A rule must have at least one condition"));
        }
        let mut present = self.balancing.rules.values();
        if present.any(|rule| member(rule, "ListenerArn") == listener && member(rule, "Priority") == priority)
        {
            return Err(AwsError::client(
                "PriorityInUse",
                format!("Priority '{priority}' is currently in use"),
            ));
        }
        let rule = object(&json!({
            "Priority": priority,
            "Conditions": conditions,
            "Actions": self.actions(input, "Actions")?,
            "IsDefault": false,
            "ListenerArn": listener,
        }));
        let arn = self.elb_arn(&rule_resource(&listener));
        let answer = json!({"Rules": [described(&arn, rule.clone())]});
        self.balancing.rules.insert(arn, rule);
        Ok(answer)
    }

    pub(super) fn describe_rules(&self, input: &Input) -> Answer {
        let asked: Vec<&str> = texts(input, "RuleArns").collect();
        let rules = match optional(input, "ListenerArn")? {
            Some(listener) if asked.is_empty() => {
                self.balancing.has_listener(listener)?;
                self.balancing.rules_of(listener)
            }
            None if !asked.is_empty() => {
                let found = asked.iter().map(|arn| self.balancing.rule(arn));
                found.collect::<Result<_, _>>()?
            }
            _ => return Err(validation("You must specify either listener ARN or rule ARNs")),
        };
        Ok(json!({"Rules": rules}))
    }

    pub(super) fn modify_rule(&mut self, input: &Input) -> Answer {
        let arn = required(input, "RuleArn")?;
        let actions = input.contains_key("Actions").then(|| self.actions(input, "Actions")).transpose()?;
        let is_default = self.balancing.rule(arn)?.get("IsDefault") == Some(&json!(true));
        let Some(rule) = self.balancing.rules.get_mut(arn).filter(|_| !is_default) else {
            return Err(AwsError::client(
                "OperationNotPermitted",
                format!("Default rule '{arn}' cannot be modified"),
            ));
        };
        rule.extend(actions.map(|actions| ("Actions".to_owned(), actions)));
        Ok(json!({"Rules": [described(arn, rule.clone())]}))
    }
}

impl Balancing {
    /// By priority, the default one last.
    fn rules_of(&self, listener: &str) -> Vec<Value> {
        let mine = self.rules.iter().filter(|(_, rule)| member(rule, "ListenerArn") == listener);
        let mut mine: Vec<(&String, &Input)> = mine.collect();
        mine.sort_by_key(|(_, rule)| number(rule, "Priority"));
        let default = self.listeners.get(listener).map(|found| default_rule(listener, found));
        mine.into_iter().map(|(arn, rule)| described(arn, rule.clone())).chain(default).collect()
    }

    /// The listener that an ARN names, itself or its default rule.
    pub(super) fn listener_behind(&self, arn: &str) -> Option<String> {
        let names = |listener: &String, found: &Input| {
            listener == arn
                || default_rule(listener, found).get("RuleArn").and_then(Value::as_str) == Some(arn)
        };
        self.listeners
            .iter()
            .find(|(listener, found)| names(listener, found))
            .map(|(listener, _)| listener.clone())
    }

    fn rule(&self, arn: &str) -> Result<Value, AwsError> {
        if let Some(rule) = self.rules.get(arn) {
            return Ok(described(arn, rule.clone()));
        }
        let mut defaults = self.listeners.iter().map(|(listener, found)| default_rule(listener, found));
        let found = defaults.find(|rule| rule.get("RuleArn").and_then(Value::as_str) == Some(arn));
        found.ok_or_else(|| missing("RuleNotFound", "rule"))
    }
}

fn described(arn: &str, mut rule: Input) -> Value {
    rule.shift_remove("ListenerArn");
    rule.insert("RuleArn".to_owned(), json!(arn));
    Value::Object(rule)
}

/// `listener-rule/app/<name>/<id>/<id>`
fn rule_resource(listener: &str) -> String {
    listener.rsplit(':').next().unwrap_or_default().replacen("listener/", "listener-rule/", 1)
}

fn default_rule(listener: &str, found: &Input) -> Value {
    let (prefix, id) = listener.rsplit_once('/').unwrap_or_default();
    let number = mixed(u64::from_str_radix(id, 16).unwrap_or_default());
    let arn = format!("{}/{id}/{number:016x}", prefix.replacen(":listener/", ":listener-rule/", 1));
    json!({
        "RuleArn": arn,
        "Priority": "default",
        "Conditions": [],
        "Actions": found.get("DefaultActions"),
        "IsDefault": true,
    })
}
