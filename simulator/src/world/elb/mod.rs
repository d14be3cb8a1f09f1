//! Elastic Load Balancing, as far as deployments need it: load balancers, target groups, listeners, rules, weights and
//! the health of targets (Elastic Load Balancing API reference, version 2015-12-01). Members are spelt as there.

mod balancers;
mod forwarding;
mod listeners;
mod rules;
mod target_groups;
mod targets;

use std::collections::BTreeMap;

use serde_json::Value;

use super::ids::mixed;
use super::input::{Input, optional, texts};
use super::{Answer, AwsError, World, invalid_action};
pub(super) use forwarding::Forward;
pub(super) use targets::interface;

/// Everything by ARN, as it is described.
#[derive(Clone, Debug, Default)]
pub(super) struct Balancing {
    balancers: BTreeMap<String, Input>,
    groups: BTreeMap<String, Input>,
    listeners: BTreeMap<String, Input>,
    rules: BTreeMap<String, Input>,
    /// What each was created with: the same once more is answered with what is there.
    sent: BTreeMap<String, Input>,
    /// When each load balancer was created.
    created_at: BTreeMap<String, u64>,
}

fn validation(message: impl Into<String>) -> AwsError {
    AwsError::client("ValidationError", message)
}

fn missing(code: &str, what: &str) -> AwsError {
    AwsError::client(code, format!("{what} not found"))
}

/// A required text member.
fn required<'a>(input: &'a Input, key: &str) -> Result<&'a str, AwsError> {
    let message = || {
        validation(format!(
            "1 validation error detected: Value null at '{key}' failed to satisfy constraint: Member must not be null"
        ))
    };
    optional(input, key)?.ok_or_else(message)
}

fn object(value: &Value) -> Input {
    value.as_object().cloned().unwrap_or_default()
}

fn member<'a>(object: &'a Input, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Numbers come as text in the query protocol.
fn number(input: &Input, key: &str) -> Option<u64> {
    let value = input.get(key)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Those that are asked for by ARN or by name, or all.
fn chosen(
    all: &BTreeMap<String, Input>,
    input: &Input,
    arns: &str,
    name: &str,
    code: &str,
) -> Result<Vec<Input>, AwsError> {
    let (by_arn, by_name): (Vec<&str>, Vec<&str>) =
        (texts(input, arns).collect(), texts(input, "Names").collect());
    if by_arn.is_empty() && (by_name.is_empty() || name.is_empty()) {
        return Ok(all.values().cloned().collect());
    }
    let asked = by_arn.iter().map(|arn| all.get(*arn));
    let named = by_name.iter().map(|wanted| all.values().find(|one| member(one, name) == *wanted));
    asked.chain(named).map(|found| found.cloned().ok_or_else(|| missing(code, "one or more"))).collect()
}

impl World {
    pub(super) fn elb(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateLoadBalancer" => self.create_load_balancer(input),
            "DescribeLoadBalancers" => self.describe_load_balancers(input),
            "DeleteLoadBalancer" => self.delete_load_balancer(input),
            "CreateTargetGroup" => self.create_target_group(input),
            "DescribeTargetGroups" => self.describe_target_groups(input),
            "DeleteTargetGroup" => self.delete_target_group(input),
            "DescribeTargetHealth" => self.describe_target_health(input),
            "CreateListener" => self.create_listener(input),
            "DescribeListeners" => self.describe_listeners(input),
            "ModifyListener" => self.modify_listener(input),
            "DeleteListener" => self.delete_listener(input),
            "CreateRule" => self.create_rule(input),
            "DescribeRules" => self.describe_rules(input),
            "ModifyRule" => self.modify_rule(input),
            _ => Err(invalid_action(operation, "2015-12-01")),
        }
    }

    fn elb_arn(&mut self, resource: &str) -> String {
        let number = mixed(self.id());
        self.arn("elasticloadbalancing", &format!("{resource}/{number:016x}"))
    }
}

impl Balancing {
    fn has_balancer(&self, arn: &str) -> Result<(), AwsError> {
        let found = self.balancers.contains_key(arn);
        if found { Ok(()) } else { Err(missing("LoadBalancerNotFound", "load balancer")) }
    }

    fn has_listener(&self, arn: &str) -> Result<(), AwsError> {
        let found = self.listeners.contains_key(arn);
        if found { Ok(()) } else { Err(missing("ListenerNotFound", "listener")) }
    }

    /// "If you attempt to create multiple ... with the same settings, each call succeeds": whether what is there already
    /// was created so.
    fn is_same(&self, arn: &str, input: &Input) -> bool {
        self.sent.get(arn) == Some(input)
    }
}
