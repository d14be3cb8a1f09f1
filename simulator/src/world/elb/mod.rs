//! Elastic Load Balancing, as far as deployments need it: load balancers, target groups, listeners, rules, weights and
//! the health of targets (Elastic Load Balancing API reference, version 2015-12-01). Members are spelt as there.

mod forwarding;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::input::{Input, list, optional, text, texts};
use super::{Answer, AwsError, World, unknown};
pub(super) use forwarding::Forward;
use forwarding::{set_weights, weights};

/// Everything by ARN, as it is described.
#[derive(Clone, Debug, Default)]
pub(super) struct Balancing {
    balancers: BTreeMap<String, Input>,
    groups: BTreeMap<String, Input>,
    listeners: BTreeMap<String, Input>,
    rules: BTreeMap<String, Input>,
}

fn validation(message: impl Into<String>) -> AwsError {
    AwsError::client("ValidationError", message)
}

fn missing(code: &str, what: &str) -> AwsError {
    AwsError::client(code, format!("{what} not found"))
}

fn object(value: &Value) -> Input {
    value.as_object().cloned().unwrap_or_default()
}

fn member<'a>(object: &'a Input, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl World {
    pub(super) fn elb(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateLoadBalancer" => self.create_load_balancer(input),
            "DescribeLoadBalancers" => {
                let code = "LoadBalancerNotFound";
                let chosen =
                    chosen(&self.balancers().balancers, input, "LoadBalancerArns", "LoadBalancerName", code)?;
                Ok(json!({"LoadBalancers": chosen}))
            }
            "CreateTargetGroup" => self.create_target_group(input),
            "DescribeTargetGroups" => self.describe_target_groups(input),
            "CreateListener" => self.create_listener(input),
            "DescribeListeners" => {
                let of = optional(input, "LoadBalancerArn")?;
                let all = chosen(&self.balancers().listeners, input, "ListenerArns", "", "ListenerNotFound")?;
                let mine = |listener: &Input| of.is_none_or(|arn| member(listener, "LoadBalancerArn") == arn);
                Ok(json!({"Listeners": all.into_iter().filter(mine).collect::<Vec<_>>()}))
            }
            "ModifyListener" => self.modify_listener(input),
            "CreateRule" => self.create_rule(input),
            "DescribeRules" => self.describe_rules(input),
            "ModifyRule" => self.modify_rule(input),
            "DescribeTargetHealth" => self.describe_target_health(input),
            "DeleteLoadBalancer" => {
                let arn = text(input, "LoadBalancerArn")?;
                let listeners = &mut self.balancing.listeners;
                listeners.retain(|_, listener| member(listener, "LoadBalancerArn") != arn);
                self.balancing.balancers.remove(arn);
                Ok(json!({}))
            }
            "DeleteListener" => {
                let found = self.balancing.listeners.remove(text(input, "ListenerArn")?);
                found.map(|_| json!({})).ok_or_else(|| missing("ListenerNotFound", "listener"))
            }
            "DeleteTargetGroup" => self.delete_target_group(text(input, "TargetGroupArn")?),
            _ => Err(unknown(operation)),
        }
    }

    fn balancers(&self) -> &Balancing {
        &self.balancing
    }

    fn elb_arn(&mut self, resource: &str) -> String {
        let number = self.id();
        self.arn("elasticloadbalancing", &format!("{resource}/{number:016x}"))
    }

    fn create_load_balancer(&mut self, input: &Input) -> Answer {
        let name = text(input, "Name")?;
        let kind = optional(input, "Type")?.unwrap_or("application").to_owned();
        let short = if kind == "network" { "net" } else { "app" };
        let arn = self.elb_arn(&format!("loadbalancer/{short}/{name}"));
        let described = json!({
            "LoadBalancerArn": arn,
            "DNSName": format!("{name}-1.{}.elb.amazonaws.com", self.region),
            "LoadBalancerName": name,
            "Scheme": optional(input, "Scheme")?.unwrap_or("internet-facing"),
            "VpcId": "vpc-simulated",
            "State": {"Code": "active"},
            "Type": kind,
        });
        self.balancing.balancers.insert(arn, object(&described));
        Ok(json!({"LoadBalancers": [described]}))
    }

    fn create_target_group(&mut self, input: &Input) -> Answer {
        let name = text(input, "Name")?;
        if self.target_group_named(name).is_some() {
            let message =
                format!("A target group with the same name '{name}' exists, but with different settings");
            return Err(AwsError::client("DuplicateTargetGroupName", message));
        }
        let arn = self.elb_arn(&format!("targetgroup/{name}"));
        let described = json!({
            "TargetGroupArn": arn,
            "TargetGroupName": name,
            "Protocol": optional(input, "Protocol")?.unwrap_or("HTTP"),
            "Port": number(input, "Port").unwrap_or(80),
            "VpcId": optional(input, "VpcId")?.unwrap_or("vpc-simulated"),
            "TargetType": optional(input, "TargetType")?.unwrap_or("instance"),
            "HealthCheckPath": optional(input, "HealthCheckPath")?.unwrap_or("/"),
        });
        self.balancing.groups.insert(arn, object(&described));
        Ok(json!({"TargetGroups": [described]}))
    }

    /// With the load balancers whose listeners or rules forward to them.
    fn describe_target_groups(&self, input: &Input) -> Answer {
        let found = chosen(
            &self.balancing.groups,
            input,
            "TargetGroupArns",
            "TargetGroupName",
            "TargetGroupNotFound",
        )?;
        let of = optional(input, "LoadBalancerArn")?;
        let mut described = Vec::new();
        for mut group in found {
            let balancers = self.balancing.balancers_of(member(&group, "TargetGroupArn"));
            if of.is_none_or(|arn| balancers.contains(&arn)) {
                group.insert("LoadBalancerArns".to_owned(), json!(balancers));
                described.push(group);
            }
        }
        Ok(json!({"TargetGroups": described}))
    }

    fn create_listener(&mut self, input: &Input) -> Answer {
        let balancer = text(input, "LoadBalancerArn")?.to_owned();
        if !self.balancing.balancers.contains_key(&balancer) {
            return Err(missing("LoadBalancerNotFound", "load balancer"));
        }
        let port = number(input, "Port").unwrap_or(80);
        let taken = |listener: &Input| {
            member(listener, "LoadBalancerArn") == balancer && number(listener, "Port") == Some(port)
        };
        if self.balancing.listeners.values().any(taken) {
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
        self.balancing.listeners.insert(arn, object(&described));
        Ok(json!({"Listeners": [described]}))
    }

    fn modify_listener(&mut self, input: &Input) -> Answer {
        let actions = input
            .contains_key("DefaultActions")
            .then(|| self.actions(input, "DefaultActions"))
            .transpose()?;
        let arn = text(input, "ListenerArn")?;
        let listener =
            self.balancing.listeners.get_mut(arn).ok_or_else(|| missing("ListenerNotFound", "listener"))?;
        if let Some(actions) = actions {
            listener.insert("DefaultActions".to_owned(), actions);
        }
        Ok(json!({"Listeners": [listener]}))
    }

    fn create_rule(&mut self, input: &Input) -> Answer {
        let listener = text(input, "ListenerArn")?.to_owned();
        if !self.balancing.listeners.contains_key(&listener) {
            return Err(missing("ListenerNotFound", "listener"));
        }
        let actions = self.actions(input, "Actions")?;
        let resource =
            listener.rsplit(':').next().unwrap_or_default().replacen("listener/", "listener-rule/", 1);
        let arn = self.elb_arn(&resource);
        let mut described = object(&json!({
            "RuleArn": arn,
            "Priority": number(input, "Priority").unwrap_or(1).to_string(),
            "Conditions": input.get("Conditions").cloned().unwrap_or_else(|| json!([])),
            "Actions": actions,
            "IsDefault": false,
        }));
        let answer = json!({"Rules": [described]});
        described.insert("ListenerArn".to_owned(), json!(listener));
        self.balancing.rules.insert(arn, described);
        Ok(answer)
    }

    fn describe_rules(&self, input: &Input) -> Answer {
        let of = optional(input, "ListenerArn")?;
        let mut rules = chosen(&self.balancing.rules, input, "RuleArns", "", "RuleNotFound")?;
        rules.retain(|rule| of.is_none_or(|arn| member(rule, "ListenerArn") == arn));
        for rule in &mut rules {
            rule.shift_remove("ListenerArn");
        }
        Ok(json!({"Rules": rules}))
    }

    fn modify_rule(&mut self, input: &Input) -> Answer {
        let actions = input.contains_key("Actions").then(|| self.actions(input, "Actions")).transpose()?;
        let rule = self
            .balancing
            .rules
            .get_mut(text(input, "RuleArn")?)
            .ok_or_else(|| missing("RuleNotFound", "rule"))?;
        if let Some(actions) = actions {
            rule.insert("Actions".to_owned(), actions);
        }
        let mut described = rule.clone();
        described.shift_remove("ListenerArn");
        Ok(json!({"Rules": [described]}))
    }

    fn delete_target_group(&mut self, arn: &str) -> Answer {
        if !self.balancing.balancers_of(arn).is_empty() {
            let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
            return Err(AwsError::client("ResourceInUse", message));
        }
        self.balancing.groups.remove(arn);
        Ok(json!({}))
    }

    /// Forward actions name target groups that exist, with weights of 0 to 999.
    fn actions(&self, input: &Input, key: &str) -> Result<Value, AwsError> {
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

    /// A target is healthy once its task was found so; one that stops is draining.
    fn describe_target_health(&self, input: &Input) -> Answer {
        let arn = text(input, "TargetGroupArn")?;
        let group =
            self.balancing.groups.get(arn).ok_or_else(|| missing("TargetGroupNotFound", "target group"))?;
        let mut described = Vec::new();
        for service in self.services.values() {
            for task in service.tasks.iter().filter(|task| task.started_at.is_some() && !task.has_stopped()) {
                let set = service.deployments.iter().find(|set| set.id == task.deployment);
                let revision = set.and_then(|set| service.revisions.get(set.revision));
                let balancers =
                    revision.into_iter().flat_map(|revision| list(&revision.settings, "loadBalancers"));
                let mut named = balancers.filter_map(|one| one.get("targetGroupArn")?.as_str());
                if !named.any(|named| named == arn) {
                    continue;
                }
                let (state, reason) = if !task.wanted {
                    ("draining", Some("Target.DeregistrationInProgress"))
                } else if task.digests().any(|digest| self.faults.is_unhealthy(digest)) {
                    ("unhealthy", Some("Target.FailedHealthChecks"))
                } else if task.was_ready {
                    ("healthy", None)
                } else {
                    ("initial", Some("Elb.InitialHealthChecking"))
                };
                let mut health = json!({"State": state});
                if let Some(reason) = reason {
                    health["Reason"] = json!(reason);
                }
                let target = json!({"Id": address(&task.arn), "Port": group.get("Port")});
                described.push(json!({"Target": target, "TargetHealth": health}));
            }
        }
        Ok(json!({"TargetHealthDescriptions": described}))
    }

    pub(super) fn target_group_named(&self, name: &str) -> Option<&str> {
        let mut groups = self.balancing.groups.values();
        let found = groups.find(|group| member(group, "TargetGroupName") == name)?;
        Some(member(found, "TargetGroupArn"))
    }

    /// Whether the listener belongs to a Network Load Balancer.
    pub(super) fn is_network_listener(&self, arn: &str) -> bool {
        let listener = self.balancing.listeners.get(arn);
        let balancer =
            listener.and_then(|listener| self.balancing.balancers.get(member(listener, "LoadBalancerArn")));
        balancer.is_some_and(|balancer| member(balancer, "Type") == "network")
    }

    pub(super) fn has_listener(&self, arn: &str) -> bool {
        self.balancing.listeners.contains_key(arn)
    }
}

/// Numbers come as text in the query protocol.
fn number(input: &Input, key: &str) -> Option<u64> {
    let value = input.get(key)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A private address, the same for a task whenever it is asked for.
fn address(task: &str) -> String {
    let number = u64::from_str_radix(task.get(task.len().saturating_sub(6)..).unwrap_or_default(), 16);
    let number = number.unwrap_or_default();
    format!("10.{}.{}.{}", (number >> 16) & 255, (number >> 8) & 255, number & 255)
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
