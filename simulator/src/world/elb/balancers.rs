//! Load balancers.

use serde_json::{Value, json};

use super::{Balancing, chosen, member, object, required};
use crate::world::ids::mixed;
use crate::world::input::{Input, optional, texts};
use crate::world::times::iso;
use crate::world::{Answer, AwsError, World};

/// Seconds until a new load balancer is active. AWS publishes no figures.
const PROVISIONING: u64 = 120;

impl World {
    pub(super) fn create_load_balancer(&mut self, input: &Input) -> Answer {
        let name = required(input, "Name")?;
        let mut present = self.balancing.balancers.iter();
        if let Some((arn, found)) = present.find(|(_, one)| member(one, "LoadBalancerName") == name) {
            if self.balancing.is_same(arn, input) {
                return Ok(json!({"LoadBalancers": [self.with_state(found.clone())]}));
            }
            let message =
                format!("A load balancer with the same name '{name}' exists, but with different settings");
            return Err(AwsError::client("DuplicateLoadBalancerName", message));
        }
        let kind = optional(input, "Type")?.unwrap_or("application").to_owned();
        let short = if kind == "network" { "net" } else { "app" };
        let arn = self.elb_arn(&format!("loadbalancer/{short}/{name}"));
        let number = mixed(self.now) % 1_000_000_000;
        let zones = texts(input, "Subnets").zip(["a", "b", "c"]).map(|(subnet, zone)| {
            json!({"ZoneName": format!("{}{zone}", self.region), "SubnetId": subnet, "LoadBalancerAddresses": []})
        });
        let described = object(&json!({
            "LoadBalancerArn": arn,
            "DNSName": format!("{name}-{number}.{}.elb.amazonaws.com", self.region),
            "CanonicalHostedZoneId": "Z00000000SIMULATED",
            "CreatedTime": iso(self.now),
            "LoadBalancerName": name,
            "Scheme": optional(input, "Scheme")?.unwrap_or("internet-facing"),
            "VpcId": "vpc-simulated",
            "Type": kind,
            "AvailabilityZones": zones.collect::<Vec<_>>(),
            "SecurityGroups": input.get("SecurityGroups").cloned().unwrap_or_else(|| json!([])),
            "IpAddressType": optional(input, "IpAddressType")?.unwrap_or("ipv4"),
        }));
        self.balancing.created_at.insert(arn.clone(), self.now);
        self.balancing.sent.insert(arn.clone(), input.clone());
        self.balancing.balancers.insert(arn, described.clone());
        Ok(json!({"LoadBalancers": [self.with_state(described)]}))
    }

    pub(super) fn describe_load_balancers(&self, input: &Input) -> Answer {
        let (all, code) = (&self.balancing.balancers, "LoadBalancerNotFound");
        let chosen = chosen(all, input, "LoadBalancerArns", "LoadBalancerName", code)?;
        let described = chosen.into_iter().map(|one| self.with_state(one));
        Ok(json!({"LoadBalancers": described.collect::<Vec<_>>()}))
    }

    fn with_state(&self, mut balancer: Input) -> Value {
        let created_at = self.balancing.created_at.get(member(&balancer, "LoadBalancerArn"));
        let is_new = created_at.is_some_and(|created_at| self.now < created_at + PROVISIONING);
        let state = if is_new { "provisioning" } else { "active" };
        balancer.insert("State".to_owned(), json!({"Code": state}));
        Value::Object(balancer)
    }

    /// With its listeners. "If the load balancer does not exist or has already been deleted, the call succeeds."
    pub(super) fn delete_load_balancer(&mut self, input: &Input) -> Answer {
        let arn = required(input, "LoadBalancerArn")?;
        let of = |listener: &Input| member(listener, "LoadBalancerArn") == arn;
        let listeners = self.balancing.listeners.iter().filter(|(_, listener)| of(listener));
        for listener in listeners.map(|(listener, _)| listener.clone()).collect::<Vec<_>>() {
            self.balancing.remove_listener(&listener);
        }
        self.balancing.balancers.remove(arn);
        Ok(json!({}))
    }

    /// Whether the listener belongs to a Network Load Balancer.
    pub(in crate::world) fn is_network_listener(&self, arn: &str) -> bool {
        let listener = self.balancing.listeners.get(arn);
        let balancer = listener.map(|listener| member(listener, "LoadBalancerArn"));
        let balancer = balancer.and_then(|balancer| self.balancing.balancers.get(balancer));
        balancer.is_some_and(|balancer| member(balancer, "Type") == "network")
    }
}

impl Balancing {
    /// With its rules.
    pub(super) fn remove_listener(&mut self, arn: &str) {
        self.listeners.remove(arn);
        self.rules.retain(|_, rule| member(rule, "ListenerArn") != arn);
    }
}
