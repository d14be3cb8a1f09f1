//! Where listeners and their rules forward to, and with which weights: what `CodeDeploy` looks at and changes.

use serde_json::{Value, json};

use super::{Balancing, member, number};
use crate::world::World;
use crate::world::input::{Input, list};

/// An action that forwards to one of two target groups.
pub(in crate::world) struct Forward {
    /// The ARN of the listener, for its default action, or of the rule.
    pub by: String,
    /// Target groups with their weights.
    pub to: Vec<(String, u64)>,
}

impl Balancing {
    /// The actions of a listener and of its rules, and whose they are.
    fn actions_of(&self, listener: &str) -> impl Iterator<Item = (&str, &Value)> {
        let default = self.listeners.get(listener).into_iter();
        let default = default.flat_map(|listener| {
            list(listener, "DefaultActions").map(|action| (member(listener, "ListenerArn"), action))
        });
        let rules = self.rules.iter().filter(move |(_, rule)| member(rule, "ListenerArn") == listener);
        let rules =
            rules.flat_map(|(arn, rule)| list(rule, "Actions").map(move |action| (arn.as_str(), action)));
        default.chain(rules)
    }

    /// The load balancers with a listener or rule that forwards to the target group, with whatever weight.
    pub(super) fn balancers_of(&self, group: &str) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for (arn, listener) in &self.listeners {
            let mut weights = self.actions_of(arn).flat_map(|(_, action)| weights(action));
            let balancer = member(listener, "LoadBalancerArn");
            if weights.any(|(arn, _)| arn == group) && !found.contains(&balancer) {
                found.push(balancer);
            }
        }
        found
    }

    /// Whether any load balancer looks at the health of its targets.
    pub(in crate::world) fn is_in_use(&self, group: &str) -> bool {
        !self.balancers_of(group).is_empty()
    }

    /// The actions of the listener and of its rules that forward to one of the two.
    pub(in crate::world) fn forwards(&self, listener: &str, pair: [&str; 2]) -> Vec<Forward> {
        let all = self.actions_of(listener);
        let all = all.map(|(by, action)| Forward { by: by.to_owned(), to: weights(action) });
        all.filter(|forward| forward.to.iter().any(|(arn, _)| pair.contains(&arn.as_str()))).collect()
    }
}

impl Balancing {
    /// The target groups with their weights behind a rule, the default rule of a listener, or a listener itself.
    pub(in crate::world) fn forward_of(&self, arn: &str) -> Option<Vec<(String, u64)>> {
        let actions = match self.rules.get(arn) {
            Some(rule) => rule.get("Actions"),
            None => self.listeners.get(&self.listener_behind(arn)?)?.get("DefaultActions"),
        };
        Some(actions?.as_array()?.iter().flat_map(weights).collect())
    }

    /// The same, written.
    pub(in crate::world) fn set_forward(&mut self, arn: &str, weights: &[(String, u64)]) {
        let listener = self.listener_behind(arn).unwrap_or_default();
        let actions = match self.rules.get_mut(arn) {
            Some(rule) => rule.get_mut("Actions"),
            None => self.listeners.get_mut(&listener).and_then(|found| found.get_mut("DefaultActions")),
        };
        for action in actions.and_then(Value::as_array_mut).into_iter().flatten() {
            if !self::weights(action).is_empty() {
                set_weights(action, weights);
            }
        }
    }
}

impl World {
    /// Shifts the weights wherever the listener or one of its rules forwards to one of the two. The group without
    /// traffic stays in the action with weight 0, as `CodeDeploy` leaves it.
    pub(in crate::world) fn shift(&mut self, listener: &str, from: &str, to: &str, percent: u64) {
        let weights = [(from.to_owned(), 100 - percent.min(100)), (to.to_owned(), percent.min(100))];
        let default = self.balancing.listeners.get_mut(listener).into_iter();
        let actions = default.filter_map(|found| found.get_mut("DefaultActions"));
        let rules = self.balancing.rules.values_mut().filter(|rule| member(rule, "ListenerArn") == listener);
        for action in actions.chain(rules.filter_map(|rule| rule.get_mut("Actions"))) {
            for action in action.as_array_mut().into_iter().flatten() {
                if self::weights(action).iter().any(|(arn, _)| arn == from || arn == to) {
                    set_weights(action, &weights);
                }
            }
        }
    }
}

/// The target groups of a forward action with their weights.
pub(super) fn weights(action: &Value) -> Vec<(String, u64)> {
    let groups = action.get("ForwardConfig").and_then(|forward| forward.get("TargetGroups"));
    let groups = groups.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    let weight = |group: &Input| {
        Some((member(group, "TargetGroupArn").to_owned(), number(group, "Weight").unwrap_or(1)))
    };
    let found: Vec<(String, u64)> = groups.filter_map(weight).collect();
    match action.get("TargetGroupArn").and_then(Value::as_str) {
        Some(arn) if found.is_empty() => vec![(arn.to_owned(), 1)],
        _ => found,
    }
}

pub(super) fn set_weights(action: &mut Value, weights: &[(String, u64)]) {
    let groups = weights.iter().map(|(arn, weight)| json!({"TargetGroupArn": arn, "Weight": weight}));
    action["Type"] = json!("forward");
    action["ForwardConfig"] = json!({
        "TargetGroups": groups.collect::<Vec<_>>(),
        "TargetGroupStickinessConfig": {"Enabled": false},
    });
    if let ([(arn, _)], Some(action)) = (weights, action.as_object_mut()) {
        action.insert("TargetGroupArn".to_owned(), json!(arn));
    } else if let Some(action) = action.as_object_mut() {
        action.shift_remove("TargetGroupArn");
    }
}
