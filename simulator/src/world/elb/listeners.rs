//! Listeners, and the actions of listeners and rules.

use serde_json::{Value, json};

use super::forwarding::{set_weights, weights};
use super::{chosen, member, missing, number, object, required, validation};
use crate::world::input::{Input, list, optional, texts};
use crate::world::{Answer, AwsError, World};

impl World {
    pub(super) fn create_listener(&mut self, input: &Input) -> Answer {
        let balancer = required(input, "LoadBalancerArn")?.to_owned();
        self.balancing.has_balancer(&balancer)?;
        let port = number(input, "Port").unwrap_or(80);
        let taken = |listener: &Input| {
            member(listener, "LoadBalancerArn") == balancer && number(listener, "Port") == Some(port)
        };
        if let Some((arn, present)) = self.balancing.listeners.iter().find(|(_, one)| taken(one)) {
            if self.balancing.is_same(arn, input) {
                return Ok(json!({"Listeners": [present]}));
            }
            let message = "A listener already exists on this port for this load balancer";
            return Err(AwsError::client("DuplicateListener", message));
        }
        let actions = self.actions(input, "DefaultActions")?;
        let resource = balancer.split_once(":loadbalancer/").map_or("", |(_, path)| path).to_owned();
        let arn = self.elb_arn(&format!("listener/{resource}"));
        let described = json!({
            "ListenerArn": arn,
            "LoadBalancerArn": balancer,
            "Port": port,
            "Protocol": optional(input, "Protocol")?.unwrap_or("HTTP"),
            "DefaultActions": actions,
        });
        self.balancing.sent.insert(arn.clone(), input.clone());
        self.balancing.listeners.insert(arn, object(&described));
        Ok(json!({"Listeners": [described]}))
    }

    pub(super) fn describe_listeners(&self, input: &Input) -> Answer {
        let of = optional(input, "LoadBalancerArn")?;
        if of.is_none() && texts(input, "ListenerArns").next().is_none() {
            return Err(validation("You must specify either a load balancer or one or more listeners"));
        }
        of.map_or(Ok(()), |arn| self.balancing.has_balancer(arn))?;
        let all = chosen(&self.balancing.listeners, input, "ListenerArns", "", "ListenerNotFound")?;
        let mine = |listener: &Input| of.is_none_or(|arn| member(listener, "LoadBalancerArn") == arn);
        Ok(json!({"Listeners": all.into_iter().filter(mine).collect::<Vec<_>>()}))
    }

    pub(super) fn modify_listener(&mut self, input: &Input) -> Answer {
        let actions = input
            .contains_key("DefaultActions")
            .then(|| self.actions(input, "DefaultActions"))
            .transpose()?;
        let arn = required(input, "ListenerArn")?;
        let listener =
            self.balancing.listeners.get_mut(arn).ok_or_else(|| missing("ListenerNotFound", "listener"))?;
        if let Some(actions) = actions {
            listener.insert("DefaultActions".to_owned(), actions);
        }
        Ok(json!({"Listeners": [listener]}))
    }

    pub(super) fn delete_listener(&mut self, input: &Input) -> Answer {
        let arn = required(input, "ListenerArn")?;
        self.balancing.has_listener(arn)?;
        self.balancing.remove_listener(arn);
        Ok(json!({}))
    }

    pub(in crate::world) fn has_listener(&self, arn: &str) -> bool {
        self.balancing.has_listener(arn).is_ok()
    }

    /// Forward actions name target groups that exist, with weights of 0 to 999.
    pub(super) fn actions(&self, input: &Input, key: &str) -> Result<Value, AwsError> {
        let mut actions = Vec::new();
        for action in list(input, key) {
            let mut action = action.clone();
            let weights = weights(&action);
            for (group, weight) in &weights {
                if !self.balancing.groups.contains_key(group) {
                    return Err(missing("TargetGroupNotFound", "target group"));
                }
                if *weight > 999 {
                    return Err(validation("Weight must be between 0 and 999"));
                }
            }
            if !weights.is_empty() {
                set_weights(&mut action, &weights);
            }
            actions.push(action);
        }
        if actions.is_empty() {
            return Err(validation(format!("{key} must not be empty")));
        }
        Ok(Value::from(actions))
    }
}
