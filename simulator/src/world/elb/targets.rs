//! The health of targets. Tasks are registered by their own addresses, at the port of the container.

use serde_json::{Value, json};

use super::{Balancing, member, missing, number, required};
use crate::world::ecs::{Service, Task};
use crate::world::ids::{mixed, uuid};
use crate::world::input::{Input, list, optional};
use crate::world::{Answer, World};

/// State, reason and description, in the words of the API.
type Health = (&'static str, Option<(&'static str, &'static str)>);

const NOT_REGISTERED: Health =
    ("unused", Some(("Target.NotRegistered", "Target is not registered to the target group")));
const NOT_IN_USE: Health = (
    "unused",
    Some(("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")),
);
const DRAINING: Health =
    ("draining", Some(("Target.DeregistrationInProgress", "Target deregistration is in progress")));
const REGISTERING: Health =
    ("initial", Some(("Elb.RegistrationInProgress", "Target registration is in progress")));
const INITIAL: Health = ("initial", Some(("Elb.InitialHealthChecking", "Initial health checks in progress")));

/// Seconds from the start of a task until its target is registered, and until its first checks are over: chosen.
const REGISTERED_AFTER: u64 = 2;
const CHECKED_AFTER: u64 = 10;

/// Why checks of a target fail, in the words of the API: an answer of HTTP has a code; where nothing checks for one, or nothing
/// is known of the group, they just fail.
const TIMED_OUT: (&str, &str) = ("Target.Timeout", "Request timed out");
const WRONG_CODE: (&str, &str) =
    ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [502]");
const FAILED: (&str, &str) = ("Target.FailedHealthChecks", "Health checks failed");

impl Balancing {
    /// Reason and description of the checks that fail of a target in this group.
    pub(in crate::world) fn failure(&self, group: &str, is_silent: bool) -> (&'static str, &'static str) {
        let protocol = self.groups.get(group).map(|group| member(group, "HealthCheckProtocol"));
        match protocol {
            _ if is_silent => TIMED_OUT,
            Some("HTTP" | "HTTPS") => WRONG_CODE,
            _ => FAILED,
        }
    }
}

impl World {
    /// Of all targets, or of those that are named: what is not registered is `unused`.
    pub(super) fn describe_target_health(&self, input: &Input) -> Answer {
        let group = required(input, "TargetGroupArn")?;
        let found = self.balancing.groups.get(group);
        let default = found.map(|found| number(found, "Port").unwrap_or(80));
        let default = default.ok_or_else(|| missing("TargetGroupNotFound", "target group"))?;
        let registered = self.targets_of(group);
        let asked: Vec<(String, u64)> = list(input, "Targets")
            .filter_map(Value::as_object)
            .map(|target| {
                let id = optional(target, "Id").ok().flatten().unwrap_or_default().to_owned();
                (id, number(target, "Port").unwrap_or(default))
            })
            .collect();
        if asked.is_empty() {
            let all = registered.iter().map(|(target, health)| described(target, *health));
            return Ok(json!({"TargetHealthDescriptions": all.collect::<Vec<_>>()}));
        }
        let chosen = asked.iter().map(|target| {
            let known = registered.iter().find(|(known, _)| known == target);
            described(target, known.map_or(NOT_REGISTERED, |(_, health)| *health))
        });
        Ok(json!({"TargetHealthDescriptions": chosen.collect::<Vec<_>>()}))
    }

    /// Address, port and health of what is registered with a target group.
    fn targets_of(&self, group: &str) -> Vec<((String, u64), Health)> {
        let is_used = self.balancing.is_in_use(group);
        let mut found = Vec::new();
        for service in self.services.values() {
            // A task that is to stop stays registered until its target has drained.
            let registered =
                |task: &&Task| task.started_at.is_some() && (task.wanted || task.status == "DEACTIVATING");
            for task in service.tasks.iter().filter(registered) {
                if let Some(port) = port_of(service, task, group) {
                    let health = if is_used { self.health_of(task, group) } else { NOT_IN_USE };
                    found.push(((address(&task.arn), port), health));
                }
            }
        }
        found
    }

    /// A target is healthy once its task was found so.
    fn health_of(&self, task: &Task, group: &str) -> Health {
        let age = self.now.saturating_sub(task.started_at.unwrap_or(self.now));
        if !task.wanted {
            DRAINING
        } else if age < REGISTERED_AFTER {
            REGISTERING
        } else if age >= CHECKED_AFTER && task.digests().any(|digest| self.faults.is_unhealthy(digest)) {
            let is_silent = task.digests().any(|digest| self.faults.is_silent(digest));
            ("unhealthy", Some(self.balancing.failure(group, is_silent)))
        } else if task.was_ready {
            ("healthy", None)
        } else {
            INITIAL
        }
    }
}

/// The port at which a task is registered with the target group, if it is.
fn port_of(service: &Service, task: &Task, group: &str) -> Option<u64> {
    let set = service.deployments.iter().find(|set| set.id == task.deployment)?;
    let revision = service.revisions.get(set.revision)?;
    let mut balancers = list(&revision.settings, "loadBalancers").enumerate();
    let is_behind = |place: usize, one: &Value| match revision.groups.get(place) {
        Some((placed, _)) => placed == group,
        None => one.get("targetGroupArn").and_then(Value::as_str) == Some(group),
    };
    let (_, named) = balancers.find(|(place, one)| is_behind(*place, one))?;
    named.get("containerPort")?.as_u64()
}

fn described((id, port): &(String, u64), (state, reason): Health) -> Value {
    let mut health = json!({"State": state});
    if let Some((reason, description)) = reason {
        health["Reason"] = json!(reason);
        health["Description"] = json!(description);
    }
    json!({"Target": {"Id": id, "Port": port}, "HealthCheckPort": port.to_string(), "TargetHealth": health})
}

/// The network interface of a task in a network of its own (Amazon ECS API reference, `Attachment`).
pub(in crate::world) fn interface(task: &Task, settings: &Input) -> Value {
    let status = match task.status {
        "PROVISIONING" => "ATTACHING",
        "DEPROVISIONING" => "DETACHING",
        "STOPPED" => "DELETED",
        _ => "ATTACHED",
    };
    let number =
        u64::from_str_radix(task.arn.get(task.arn.len().saturating_sub(12)..).unwrap_or_default(), 16);
    let number = number.unwrap_or_default();
    let network = settings.get("networkConfiguration").and_then(|network| network.get("awsvpcConfiguration"));
    let subnet =
        network.and_then(|network| network.get("subnets")?.get(0)?.as_str()).unwrap_or("subnet-simulated");
    let detail = |name: &str, value: &str| json!({"name": name, "value": value});
    json!({
        "id": uuid(number),
        "type": "ElasticNetworkInterface",
        "status": status,
        "details": [
            detail("subnetId", subnet),
            detail("networkInterfaceId", &format!("eni-{:017x}", mixed(number))),
            detail("privateIPv4Address", &address(&task.arn)),
        ],
    })
}

/// A private address, the same for a task whenever it is asked for.
fn address(task: &str) -> String {
    let number = u64::from_str_radix(task.get(task.len().saturating_sub(6)..).unwrap_or_default(), 16);
    let number = number.unwrap_or_default();
    format!("10.{}.{}.{}", (number >> 16) & 255, (number >> 8) & 255, number & 255)
}
