//! What AWS asks of a deployment that shifts traffic, before it begins (Amazon ECS API reference,
//! `DeploymentConfiguration`, `DeploymentLifecycleHook`, `AdvancedConfiguration`; the texts are from the developer guide,
//! "Troubleshoot Amazon ECS blue/green deployments"). What only the rules of listeners tell is found out later.

use serde_json::{Value, json};

use super::shift::has_traffic;
use crate::world::AwsError;
use crate::world::elb::Balancing;
use crate::world::input::{Input, invalid, list, texts};

/// "Up to 10 pause hooks and 10 Lambda hooks" of a service.
const MOST_HOOKS: usize = 10;
const LONGEST_BAKE: u64 = 1440;
/// Stages that have hooks, and those of them that have no pause.
const HOOKED: [&str; 8] = [
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
];
const NEVER_PAUSED: [&str; 2] = ["TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"];

/// AWS's defaults; what belongs to another strategy goes.
pub(super) fn complete(configuration: &mut Input) {
    let strategy = configuration.get("strategy").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (key, of, percent, default) in [
        (
            "canaryConfiguration",
            "CANARY",
            "canaryPercent",
            json!({"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10}),
        ),
        (
            "linearConfiguration",
            "LINEAR",
            "stepPercent",
            json!({"stepPercent": 10.0, "stepBakeTimeInMinutes": 6}),
        ),
    ] {
        if strategy != of {
            configuration.shift_remove(key);
            continue;
        }
        let present = configuration.entry(key).or_insert_with(|| json!({}));
        for (member, value) in default.as_object().into_iter().flatten() {
            if present.get(member).is_none_or(Value::is_null) {
                present[member] = value.clone();
            }
        }
        if let Some(number) = present.get(percent).and_then(Value::as_f64) {
            present[percent] = json!(number);
        }
    }
    let hooks = configuration.get_mut("lifecycleHooks").and_then(Value::as_array_mut);
    for hook in hooks.into_iter().flatten().filter_map(Value::as_object_mut) {
        hook.entry("targetType").or_insert_with(|| json!("AWS_LAMBDA"));
        let timeout = hook.entry("timeoutConfiguration").or_insert_with(|| json!({}));
        if let Some(timeout) = timeout.as_object_mut() {
            timeout.entry("timeoutInMinutes").or_insert_with(|| json!(1440));
            timeout.entry("action").or_insert_with(|| json!("ROLLBACK"));
        }
    }
}

/// Ranges and hooks of a completed configuration.
pub(super) fn check(configuration: &Input) -> Result<(), AwsError> {
    let member =
        |of: &str, key: &str| configuration.get(of).and_then(|found| found.get(key)).and_then(Value::as_f64);
    let minutes = [
        ("bakeTimeInMinutes", configuration.get("bakeTimeInMinutes").and_then(Value::as_f64)),
        ("canaryBakeTimeInMinutes", member("canaryConfiguration", "canaryBakeTimeInMinutes")),
        ("stepBakeTimeInMinutes", member("linearConfiguration", "stepBakeTimeInMinutes")),
    ];
    for (key, sent) in minutes {
        if sent.is_some_and(|sent| !(0.0..=1440.0).contains(&sent) || sent.fract() != 0.0) {
            return Err(invalid(format!("{key} must be between 0 and {LONGEST_BAKE}.")));
        }
    }
    let shares = [
        ("canaryPercent", 0.1, member("canaryConfiguration", "canaryPercent")),
        ("stepPercent", 3.0, member("linearConfiguration", "stepPercent")),
    ];
    for (key, least, sent) in shares {
        let fits =
            |sent: f64| (least..=100.0).contains(&sent) && ((sent * 10.0).round() / 10.0 - sent).abs() < 1e-9;
        if sent.is_some_and(|sent| !fits(sent)) {
            return Err(invalid(format!("{key} must be between {least:.1} and 100.0, in multiples of 0.1.")));
        }
    }
    let (mut pauses, mut functions) = (0, 0);
    for hook in list(configuration, "lifecycleHooks").filter_map(Value::as_object) {
        *(if check_hook(hook)? { &mut pauses } else { &mut functions }) += 1;
    }
    if pauses.max(functions) > MOST_HOOKS {
        return Err(invalid(format!(
            "A service cannot have more than {MOST_HOOKS} lifecycle hooks of a type."
        )));
    }
    Ok(())
}

/// Whether the hook is a pause.
fn check_hook(hook: &Input) -> Result<bool, AwsError> {
    let pauses = match hook.get("targetType").and_then(Value::as_str) {
        Some("PAUSE") => true,
        Some("AWS_LAMBDA") => false,
        _ => return Err(invalid("Invalid targetType. Valid values are: AWS_LAMBDA, PAUSE")),
    };
    let stages: Vec<&str> = texts(hook, "lifecycleStages").collect();
    if stages.is_empty() || stages.iter().any(|stage| !HOOKED.contains(stage)) {
        return Err(invalid("Invalid lifecycle stage provided."));
    }
    if pauses && stages.iter().any(|stage| NEVER_PAUSED.contains(stage)) {
        return Err(invalid("Invalid lifecycle stage provided for Pause Hook"));
    }
    for key in ["hookTargetArn", "roleArn"] {
        if !pauses && hook.get(key).and_then(Value::as_str).is_none() {
            return Err(invalid(format!("{key} is required for AWS_LAMBDA lifecycle hooks.")));
        }
    }
    let longest = if pauses { 20_160 } else { 1440 };
    let timeout = hook.get("timeoutConfiguration");
    let minutes = timeout.and_then(|timeout| timeout.get("timeoutInMinutes")?.as_u64());
    if !minutes.is_some_and(|minutes| (1..=longest).contains(&minutes)) {
        return Err(invalid(format!("timeoutInMinutes must be between 1 and {longest}.")));
    }
    match timeout.and_then(|timeout| timeout.get("action")?.as_str()) {
        Some("ROLLBACK" | "CONTINUE") => Ok(pauses),
        _ => Err(invalid("The action of a timeout must be ROLLBACK or CONTINUE.")),
    }
}

/// The load balancers of a service, for its strategy.
pub(super) fn check_balancers(
    settings: &Input,
    configuration: &Input,
    balancing: &Balancing,
) -> Result<(), AwsError> {
    let strategy = configuration.get("strategy").and_then(Value::as_str).unwrap_or_default();
    let balancers: Vec<&Input> = list(settings, "loadBalancers").filter_map(Value::as_object).collect();
    let advanced: Vec<(&Input, &Input)> = balancers
        .iter()
        .filter_map(|one| Some((*one, one.get("advancedConfiguration")?.as_object()?)))
        .collect();
    let classic = balancers.iter().filter(|one| one.contains_key("loadBalancerName")).count();
    if advanced.iter().any(|(one, _)| one.contains_key("loadBalancerName")) {
        return Err(invalid("advancedConfiguration field is not allowed with ELBv1 loadBalancers"));
    }
    if classic > 0 && classic < balancers.len() {
        return Err(invalid(
            "All loadBalancers must be strictly either ELBv1 (defining loadBalancerName) or ELBv2 (defining targetGroupArn)",
        ));
    }
    if !advanced.is_empty() && advanced.len() < balancers.len() {
        return Err(invalid(
            "Either all or none of the provided loadBalancers must have advancedConfiguration defined",
        ));
    }
    if strategy != "ROLLING" && advanced.len() < balancers.len() {
        return Err(invalid(
            "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy",
        ));
    }
    if matches!(strategy, "CANARY" | "LINEAR") && !has_traffic(settings) {
        return Err(invalid(format!(
            "A load balancer or Service Connect is required when using the {strategy} deployment strategy."
        )));
    }
    check_advanced(&advanced, balancing)
}

fn check_advanced(advanced: &[(&Input, &Input)], balancing: &Balancing) -> Result<(), AwsError> {
    let mut groups: Vec<&str> = Vec::new();
    let (mut production, mut test) = (Vec::new(), Vec::new());
    for (balancer, advanced) in advanced {
        let member = |key: &str| advanced.get(key).and_then(Value::as_str);
        let needed = |key: &str| {
            member(key).ok_or_else(|| invalid(format!("advancedConfiguration.{key} is required.")))
        };
        let (other, rule) = (needed("alternateTargetGroupArn")?, needed("productionListenerRule")?);
        needed("roleArn")?;
        if !rule.contains(":listener-rule/app/") && !rule.contains(":listener/net/") {
            return Err(invalid(format!(
                "productionListenerRule has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: {rule}"
            )));
        }
        let first = balancer.get("targetGroupArn").and_then(Value::as_str).unwrap_or_default();
        for group in [first, other] {
            if groups.contains(&group) {
                return Err(invalid(format!("Duplicate targetGroupArn found: {group}")));
            }
            groups.push(group);
        }
        let leads_to = balancing.forward_of(rule);
        let misses = |group: &str| leads_to.iter().flatten().all(|(known, _)| known != group);
        let has_both = leads_to.is_none() || !(misses(first) || misses(other));
        if member("testListenerRule").is_none() && rule.contains("/app/") && !has_both {
            return Err(invalid(
                "For Application LoadBalancer, testListenerRule is required when productionListenerRule is not associated with both targetGroup and alternateTargetGroup",
            ));
        }
        production.push(rule);
        test.extend(member("testListenerRule"));
    }
    let both: Vec<&str> = production.into_iter().filter(|rule| test.contains(rule)).collect();
    if both.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "The following rules cannot be used as both production and test listener rules: {}",
        both.join(", ")
    )))
}
