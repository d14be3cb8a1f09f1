//! What AWS refuses in a task definition, and what it writes into one (Amazon ECS API reference:
//! `RegisterTaskDefinition`, `ContainerDefinition`; developer guide, "Amazon ECS task definition parameters").
//!
//! Members that are not known here pass: AWS's answer to them is not documented.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client_error;
use crate::world::AwsError;
use crate::world::ids;
use crate::world::input::{Input, list, optional, texts};

/// Developer guide, "Amazon ECS service quotas".
const MOST_BYTES: usize = 64 << 10;
const MOST_CONTAINERS: usize = 10;

/// The definition as AWS describes it, or why it is refused.
pub(super) fn describe_registration(input: &Input) -> Result<Input, AwsError> {
    if Value::Object(input.clone()).to_string().len() > MOST_BYTES {
        return Err(client_error("Actual length of task definition exceeds the maximum of 65536 bytes."));
    }
    let mut described = input.clone();
    described.shift_remove("tags");
    for role in ["taskRoleArn", "executionRoleArn"] {
        if optional(&described, role)? == Some("") {
            described.shift_remove(role);
        }
    }
    for key in ["volumes", "placementConstraints"] {
        described.entry(key).or_insert_with(|| json!([]));
    }
    size(&mut described, "cpu", "vcpu")?;
    size(&mut described, "memory", "gb")?;
    let network = optional(input, "networkMode")?.map(str::to_owned);
    if !matches!(network.as_deref(), None | Some("none" | "bridge" | "awsvpc" | "host")) {
        return Err(client_error("Invalid networkMode: must be one of none, bridge, awsvpc, host."));
    }
    compatible(&described)?;
    check_containers(&described)?;
    for container in
        described.get_mut("containerDefinitions").and_then(Value::as_array_mut).into_iter().flatten()
    {
        if let Value::Object(container) = container {
            fill_container(container, network.as_deref());
        }
    }
    Ok(described)
}

/// `"1 vCPU"` and `"2 GB"` become numbers of units and MiB; what is no number is refused.
fn size(described: &mut Input, key: &str, unit: &str) -> Result<(), AwsError> {
    let Some(sent) = optional(described, key)?.map(str::to_ascii_lowercase) else { return Ok(()) };
    let refused = || client_error(format!("Invalid '{key}' setting for task."));
    let amount = match sent.strip_suffix(unit) {
        Some(number) => thousandths(number.trim()).ok_or_else(refused)?,
        None => sent.trim().parse().map_err(|_| refused())?,
    };
    described.insert(key.to_owned(), json!(amount.to_string()));
    Ok(())
}

/// 1024 times a decimal number, without a rounding error: `.25` gives 256.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    whole.checked_mul(1024)?.checked_add(fraction.checked_mul(1024)? / scale)
}

fn compatible(described: &Input) -> Result<(), AwsError> {
    let wanted: BTreeSet<&str> = texts(described, "requiresCompatibilities").collect();
    let known = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(client_error(format!("Invalid requiresCompatibilities: {unknown}")));
    }
    if wanted.contains("FARGATE") { fits_fargate(described) } else { Ok(()) }
}

/// Developer guide, "Amazon ECS task definition differences for Fargate" and "Invalid CPU or memory value specified".
fn fits_fargate(described: &Input) -> Result<(), AwsError> {
    if described.get("networkMode").and_then(Value::as_str) != Some("awsvpc") {
        return Err(client_error("Fargate only supports network mode 'awsvpc'."));
    }
    let amount = |key: &str| {
        let found = described.get(key).and_then(Value::as_str).and_then(|amount| amount.parse::<u64>().ok());
        found.ok_or_else(|| {
            client_error(format!("Fargate requires that '{key}' be defined at the task level."))
        })
    };
    if !is_fargate_size(amount("cpu")?, amount("memory")?) {
        return Err(client_error("No Fargate configuration exists for given values."));
    }
    let role = described.get("executionRoleArn").and_then(Value::as_str).unwrap_or_default();
    for container in list(described, "containerDefinitions").filter_map(Value::as_object) {
        let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
        if role.is_empty() && image.contains(".dkr.ecr.") {
            return Err(client_error(
                "Fargate requires task definition to have execution role ARN to support ECR images.",
            ));
        }
        let refused = [
            "disableNetworking",
            "dnsSearchDomains",
            "dnsServers",
            "dockerSecurityOptions",
            "extraHosts",
            "links",
            "privileged",
        ];
        let is_set = |key: &&str| match container.get(*key) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        };
        if let Some(key) = refused.iter().find(|key| is_set(key)) {
            return Err(client_error(format!("Fargate compatible task definitions do not support {key}.")));
        }
    }
    match list(described, "placementConstraints").count() {
        0 => Ok(()),
        _ => Err(client_error("Fargate compatible task definitions do not support placementConstraints.")),
    }
}

/// Developer guide, "Task size" on Fargate: CPU units and MiB.
fn is_fargate_size(cpu: u64, memory: u64) -> bool {
    let (least, most, step) = match cpu {
        256 => return [512, 1024, 2048].contains(&memory),
        512 => (1024, 4096, 1024),
        1024 => (2048, 8192, 1024),
        2048 => (4096, 16384, 1024),
        4096 => (8192, 30720, 1024),
        8192 => (16384, 61440, 4096),
        16384 => (32768, 122_880, 8192),
        32768 => return [61440, 122_880, 249_856].contains(&memory),
        _ => return false,
    };
    (least..=most).contains(&memory) && (memory - least).is_multiple_of(step)
}

fn check_containers(described: &Input) -> Result<(), AwsError> {
    let containers: Vec<&Input> =
        list(described, "containerDefinitions").filter_map(Value::as_object).collect();
    if containers.is_empty() || containers.len() != list(described, "containerDefinitions").count() {
        return Err(client_error("Container list cannot be empty."));
    }
    if containers.len() > MOST_CONTAINERS {
        return Err(client_error("Task definition cannot have more than 10 containers."));
    }
    let mut names = BTreeSet::new();
    for container in &containers {
        let name = optional(container, "name")?.unwrap_or_default();
        if name.is_empty() {
            return Err(client_error("Container.name should not be null or empty."));
        }
        if !names.insert(name) {
            return Err(client_error(format!("Container names must be unique: {name}.")));
        }
        check_container(container, name, described)?;
    }
    let is_essential = |container: &&Input| container.get("essential") != Some(&Value::Bool(false));
    if !containers.iter().any(is_essential) {
        return Err(client_error("At least one container must be marked as essential."));
    }
    let needed = containers.iter().flat_map(|container| list(container, "dependsOn"));
    let mut needed = needed.filter_map(|needs| needs.get("containerName").and_then(Value::as_str));
    match needed.find(|name| !names.contains(name)) {
        Some(name) => Err(client_error(format!("Invalid dependsOn: container {name} does not exist."))),
        None => Ok(()),
    }
}

fn check_container(container: &Input, name: &str, described: &Input) -> Result<(), AwsError> {
    if optional(container, "image")?.unwrap_or_default().is_empty() {
        return Err(client_error("Container.image should not be null or empty."));
    }
    let amount = |key: &str| container.get(key).and_then(Value::as_u64);
    let (memory, reserved) = (amount("memory"), amount("memoryReservation"));
    if memory.is_none() && reserved.is_none() && !described.contains_key("memory") {
        return Err(client_error(format!(
            "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
        )));
    }
    if memory.zip(reserved).is_some_and(|(memory, reserved)| memory < reserved) {
        return Err(client_error(format!(
            "Invalid setting for container '{name}'. 'memory' must not be less than 'memoryReservation'."
        )));
    }
    let volumes: BTreeSet<&str> =
        list(described, "volumes").filter_map(|volume| volume.get("name").and_then(Value::as_str)).collect();
    for volume in list(container, "mountPoints").filter_map(|mount| mount.get("sourceVolume")?.as_str()) {
        if !volumes.contains(volume) {
            return Err(client_error(format!("Unknown volume '{volume}'.")));
        }
    }
    if described.get("networkMode").and_then(Value::as_str) == Some("awsvpc") {
        let differs = |mapping: &Value| {
            let host = mapping.get("hostPort").and_then(Value::as_u64).filter(|port| *port != 0);
            host.is_some_and(|port| mapping.get("containerPort").and_then(Value::as_u64) != Some(port))
        };
        if list(container, "portMappings").any(differs) {
            return Err(client_error(
                "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
            ));
        }
    }
    check_health_check(container)
}

/// Amazon ECS API reference, `HealthCheck`.
fn check_health_check(container: &Input) -> Result<(), AwsError> {
    let Some(check) = container.get("healthCheck").and_then(Value::as_object) else { return Ok(()) };
    if list(check, "command").count() == 0 {
        return Err(client_error("healthCheck.command should not be null or empty."));
    }
    for (key, least, most) in
        [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10), ("startPeriod", 0, 300)]
    {
        let within = |value: &Value| value.as_u64().is_some_and(|value| (least..=most).contains(&value));
        if !check.get(key).is_none_or(within) {
            return Err(client_error(format!("healthCheck.{key} must be between {least} and {most}.")));
        }
    }
    Ok(())
}

fn fill_container(container: &mut Input, network: Option<&str>) {
    // AWS describes them in an order of its own.
    for key in ["environment", "secrets"] {
        if let Some(Value::Array(variables)) = container.get_mut(key) {
            let name = |variable: &Value| {
                ids::place(variable.get("name").and_then(Value::as_str).unwrap_or_default())
            };
            variables.sort_by_key(name);
        }
    }
    container.entry("cpu").or_insert_with(|| json!(0));
    container.entry("essential").or_insert_with(|| json!(true));
    for key in ["environment", "mountPoints", "portMappings", "volumesFrom", "systemControls"] {
        container.entry(key).or_insert_with(|| json!([]));
    }
    // `awsvpc` and `host` give the container its own port; a bridge picks one at run time, described as 0.
    let same_port = matches!(network, Some("awsvpc" | "host"));
    for mapping in container.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(mapping) = mapping else { continue };
        let port = mapping.get("containerPort").cloned().unwrap_or_default();
        mapping.entry("protocol").or_insert_with(|| json!("tcp"));
        if mapping.get("hostPort").and_then(Value::as_u64).unwrap_or(0) == 0 {
            mapping.insert("hostPort".to_owned(), if same_port { port } else { json!(0) });
        }
    }
    if let Some(Value::Object(check)) = container.get_mut("healthCheck") {
        for (key, default) in [("interval", 30), ("timeout", 5), ("retries", 3)] {
            check.entry(key).or_insert_with(|| json!(default));
        }
    }
}
