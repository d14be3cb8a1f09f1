//! The deployment configuration of a service (Amazon ECS API reference, `DeploymentConfiguration`).

use serde_json::{Map, Value, json};

use super::{Controller, Service, strategy};
use crate::world::AwsError;
use crate::world::input::{Input, invalid};

/// The circuit breaker of a configuration, for so many tasks.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) struct Breaker {
    pub enabled: bool,
    pub rolls_back: bool,
    /// Whether one healthy task sets the count of failures back: on by default.
    pub resets: bool,
    pub threshold: u64,
}

/// Developer guide, "How the Amazon ECS deployment circuit breaker detects failures".
pub(in crate::world) fn breaker(configuration: &Input, desired: u64) -> Breaker {
    let sent = configuration.get("deploymentCircuitBreaker");
    let flag = |key: &str| sent.and_then(|breaker| breaker.get(key)).and_then(Value::as_bool);
    Breaker {
        enabled: flag("enable") == Some(true),
        rolls_back: flag("rollback") == Some(true),
        resets: flag("resetOnHealthyTask") != Some(false),
        threshold: threshold(sent.and_then(|breaker| breaker.get("thresholdConfiguration")), desired),
    }
}

/// Half of the desired count, at least 3 and at most 200 (`BOUNDED_PERCENT` with 50), unless something else is set.
fn threshold(sent: Option<&Value>, desired: u64) -> u64 {
    let kind = sent.and_then(|sent| sent.get("type")).and_then(Value::as_str);
    let value = sent.and_then(|sent| sent.get("value")).and_then(Value::as_u64).unwrap_or(50);
    let share = desired.saturating_mul(value).div_ceil(100);
    match kind {
        Some("COUNT") => value,
        Some("UNBOUNDED_PERCENT") => share,
        _ => share.clamp(3, 200),
    }
    .max(1)
}

/// The fewest healthy and the most running or pending tasks: the minimum rounds up, the maximum down.
pub(in crate::world) fn percents(service: &Service) -> (u64, u64) {
    let percent = |key: &str| service.configuration.get(key).and_then(Value::as_u64).unwrap_or(100);
    let least = service.desired.saturating_mul(percent("minimumHealthyPercent")).div_ceil(100);
    (least, service.desired.saturating_mul(percent("maximumPercent")) / 100)
}

/// The names of the deployment alarms if they are enabled, and whether they roll back.
pub(in crate::world) fn alarms(configuration: &Input) -> Option<(Vec<String>, bool)> {
    let alarms = configuration.get("alarms")?;
    let flag = |key: &str| alarms.get(key).and_then(Value::as_bool) == Some(true);
    let names = alarms.get("alarmNames").and_then(Value::as_array).into_iter().flatten();
    flag("enable")
        .then(|| (names.filter_map(|name| name.as_str().map(str::to_owned)).collect(), flag("rollback")))
}

/// Lays what was sent over what was there, with AWS's defaults.
pub(super) fn merged(
    sent: Option<&Value>,
    present: &Input,
    controller: Controller,
    daemon: bool,
) -> Result<Input, AwsError> {
    let mut merged: Map<String, Value> = present.clone();
    for (key, value) in sent.and_then(Value::as_object).into_iter().flatten() {
        merged.insert(key.clone(), value.clone());
    }
    // A daemon has one task an instance, so it cannot have more while it deploys.
    let (most, least) = if daemon { (100, 0) } else { (200, 100) };
    merged.entry("maximumPercent").or_insert_with(|| json!(most));
    merged.entry("minimumHealthyPercent").or_insert_with(|| json!(least));
    merged.entry("deploymentCircuitBreaker").or_insert_with(|| json!({"enable": false, "rollback": false}));
    merged.entry("strategy").or_insert_with(|| json!("ROLLING"));
    // "required for BLUE_GREEN": nothing is said of a default there.
    if merged.get("strategy").and_then(Value::as_str) == Some("BLUE_GREEN")
        && !merged.contains_key("bakeTimeInMinutes")
    {
        return Err(invalid("bakeTimeInMinutes is required with the BLUE_GREEN deployment strategy."));
    }
    merged.entry("bakeTimeInMinutes").or_insert_with(|| json!(0));
    strategy::complete(&mut merged);
    check(&merged, daemon)?;
    strategy::check(&merged)?;
    check_watching(&merged, controller)?;
    Ok(merged)
}

/// Only ECS itself watches for failures, and percentages are percentages (developer guide, on the circuit breaker).
fn check_watching(configuration: &Input, controller: Controller) -> Result<(), AwsError> {
    let is_on =
        |key: &str| configuration.get(key).is_some_and(|what| what.get("enable") == Some(&json!(true)));
    if controller != Controller::Ecs && (is_on("deploymentCircuitBreaker") || is_on("alarms")) {
        return Err(invalid(format!(
            "Deployment circuit breaker and alarms are not supported with the {} deployment controller.",
            controller.name()
        )));
    }
    let threshold = configuration.get("deploymentCircuitBreaker");
    let Some(threshold) = threshold.and_then(|breaker| breaker.get("thresholdConfiguration")) else {
        return Ok(());
    };
    let value = threshold.get("value").and_then(Value::as_u64);
    match (threshold.get("type").and_then(Value::as_str), value) {
        (Some("COUNT"), Some(1..)) | (Some("BOUNDED_PERCENT" | "UNBOUNDED_PERCENT"), Some(1..=100)) => Ok(()),
        (Some("COUNT"), _) => Err(invalid("The threshold of the circuit breaker must be 1 at least.")),
        _ => Err(invalid("The threshold of the circuit breaker must be between 1 and 100 percent.")),
    }
}

fn check(configuration: &Input, daemon: bool) -> Result<(), AwsError> {
    let percent = |key: &str| {
        let found = configuration.get(key).and_then(Value::as_u64);
        found.ok_or_else(|| invalid(format!("{key} must not be negative.")))
    };
    let most = percent("maximumPercent")?;
    let least = percent("minimumHealthyPercent")?;
    if (least, most) == (100, 100) {
        return Err(invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments",
        ));
    }
    if daemon && most != 100 {
        return Err(invalid(
            "The daemon scheduling strategy does not support a maximumPercent other than 100.",
        ));
    }
    match configuration.get("strategy").and_then(Value::as_str) {
        Some("ROLLING" | "BLUE_GREEN" | "LINEAR" | "CANARY") => Ok(()),
        _ => Err(invalid("Invalid deployment strategy.")),
    }
}
