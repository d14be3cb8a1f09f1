//! Target groups.

use serde_json::{Value, json};

use super::{chosen, member, number, object, required};
use crate::world::input::{Input, optional};
use crate::world::{Answer, AwsError, World};

impl World {
    pub(super) fn create_target_group(&mut self, input: &Input) -> Answer {
        let name = required(input, "Name")?;
        if let Some(arn) = self.target_group_named(name) {
            if self.balancing.is_same(arn, input) {
                return Ok(json!({"TargetGroups": [self.balancing.groups.get(arn)]}));
            }
            let message =
                format!("A target group with the same name '{name}' exists, but with different settings");
            return Err(AwsError::client("DuplicateTargetGroupName", message));
        }
        let arn = self.elb_arn(&format!("targetgroup/{name}"));
        let mut described = object(&json!({
            "TargetGroupArn": arn,
            "TargetGroupName": name,
            "Protocol": optional(input, "Protocol")?.unwrap_or("HTTP"),
            "Port": number(input, "Port").unwrap_or(80),
            "VpcId": optional(input, "VpcId")?.unwrap_or("vpc-simulated"),
            "TargetType": optional(input, "TargetType")?.unwrap_or("instance"),
            "IpAddressType": optional(input, "IpAddressType")?.unwrap_or("ipv4"),
        }));
        described.extend(health_check(input));
        self.balancing.sent.insert(arn.clone(), input.clone());
        let answer = json!({"TargetGroups": [described]});
        self.balancing.groups.insert(arn, described);
        Ok(answer)
    }

    /// With the load balancers whose listeners or rules forward to them.
    pub(super) fn describe_target_groups(&self, input: &Input) -> Answer {
        let (all, code) = (&self.balancing.groups, "TargetGroupNotFound");
        let found = chosen(all, input, "TargetGroupArns", "TargetGroupName", code)?;
        let of = optional(input, "LoadBalancerArn")?;
        of.map_or(Ok(()), |arn| self.balancing.has_balancer(arn))?;
        let mut described = Vec::new();
        for mut group in found {
            let balancers = self.balancing.balancers_of(member(&group, "TargetGroupArn"));
            if of.is_none_or(|arn| balancers.contains(&arn)) {
                let balancers = json!(balancers);
                group.insert("LoadBalancerArns".to_owned(), balancers);
                described.push(group);
            }
        }
        Ok(json!({"TargetGroups": described}))
    }

    pub(super) fn delete_target_group(&mut self, input: &Input) -> Answer {
        let arn = required(input, "TargetGroupArn")?;
        if self.balancing.is_in_use(arn) {
            let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
            return Err(AwsError::client("ResourceInUse", message));
        }
        self.balancing.groups.remove(arn);
        Ok(json!({}))
    }

    pub(in crate::world) fn target_group_named(&self, name: &str) -> Option<&str> {
        let mut groups = self.balancing.groups.values();
        let found = groups.find(|group| member(group, "TargetGroupName") == name)?;
        Some(member(found, "TargetGroupArn"))
    }
}

/// The health check with its defaults. It is described and not looked at: `rollout` says when a target is healthy.
fn health_check(input: &Input) -> Input {
    let is_http = matches!(input.get("Protocol").and_then(Value::as_str), None | Some("HTTP" | "HTTPS"));
    let text = |key: &str, default: &str| input.get(key).cloned().unwrap_or_else(|| json!(default));
    let mut check = object(&json!({
        "HealthCheckProtocol": text("HealthCheckProtocol", if is_http { "HTTP" } else { "TCP" }),
        "HealthCheckPort": text("HealthCheckPort", "traffic-port"),
        "HealthCheckEnabled": true,
        "HealthCheckIntervalSeconds": number(input, "HealthCheckIntervalSeconds").unwrap_or(30),
        "HealthCheckTimeoutSeconds":
            number(input, "HealthCheckTimeoutSeconds").unwrap_or(if is_http { 5 } else { 10 }),
        "HealthyThresholdCount": number(input, "HealthyThresholdCount").unwrap_or(5),
        "UnhealthyThresholdCount": number(input, "UnhealthyThresholdCount").unwrap_or(2),
    }));
    if is_http {
        let matcher = input.get("Matcher").cloned().unwrap_or_else(|| json!({"HttpCode": "200"}));
        check.insert("HealthCheckPath".to_owned(), text("HealthCheckPath", "/"));
        check.insert("Matcher".to_owned(), matcher);
        check.insert("ProtocolVersion".to_owned(), text("ProtocolVersion", "HTTP1"));
    }
    check
}
