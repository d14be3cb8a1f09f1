//! What AWS always refuses of a service's settings, by the path of the field: words and numbers that it does not have, and
//! what belongs to a strategy that the service has not.
//!
//! Nothing here knows of files; what names a container of the task definition is asked where both are at hand.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::leftovers::placeholders_in;
use super::names::repeated;
use crate::documents::placeholders::member;
use crate::documents::required;
use crate::model::{Complaint, Shape};
use crate::text::nearest::suggestion;

/// Members that are one of a few words, wherever they stand (Amazon ECS API reference: `PropagateTags`, `AssignPublicIp`,
/// `AvailabilityZoneRebalancing`).
const WORDS: [(&str, &[&str]); 3] = [
    ("propagateTags", &["TASK_DEFINITION", "SERVICE", "NONE"]),
    ("assignPublicIp", &["ENABLED", "DISABLED"]),
    ("availabilityZoneRebalancing", &["ENABLED", "DISABLED"]),
];
/// The types of their items (Amazon ECS API reference: `PlacementConstraint`, `PlacementStrategy`).
const TYPES: [(&str, &[&str]); 2] = [
    ("placementConstraints", &["distinctInstance", "memberOf"]),
    ("placementStrategy", &["random", "spread", "binpack"]),
];
const ANY: RangeInclusive<i64> = 0..=i32::MAX as i64;
/// Members that are whole numbers (Amazon ECS API reference: `UpdateService`, `DeploymentConfiguration`,
/// `CapacityProviderStrategyItem`, `LoadBalancer`, `ServiceRegistry`).
const NUMBERS: [(&str, RangeInclusive<i64>); 7] = [
    ("healthCheckGracePeriodSeconds", ANY),
    ("maximumPercent", ANY),
    ("minimumHealthyPercent", ANY),
    ("weight", 0..=1000),
    ("base", 0..=100_000),
    ("containerPort", 0..=65_535),
    ("port", 0..=65_535),
];
/// Items of a list: at least and at most (Amazon ECS API reference, `AwsVpcConfiguration`, `UpdateService`).
const LENGTHS: [(&str, usize, usize); 3] =
    [("subnets", 1, 16), ("securityGroups", 0, 5), ("capacityProviderStrategy", 0, 20)];
/// Members of a deployment configuration that are for other strategies than rolling (Amazon ECS API reference,
/// `DeploymentConfiguration`).
const OF_NATIVE_STRATEGIES: [&str; 4] =
    ["bakeTimeInMinutes", "canaryConfiguration", "lifecycleHooks", "linearConfiguration"];

pub(super) fn complaints(settings: &Value) -> Vec<Complaint> {
    let mut found = Vec::new();
    each(settings, "", &mut found);
    if let Some(configuration) = settings.get("deploymentConfiguration") {
        percents(configuration, &mut found);
        native_strategies(configuration, &mut found);
    }
    capacity(settings, &mut found);
    for (key, types) in TYPES {
        for (index, item) in settings.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            word(item.get("type"), format!("{key}[{index}].type"), types, &mut found);
        }
    }
    found.extend(required::missing(Shape::ServiceSettings, settings));
    found
}

/// The depth is that of the document, which is bounded where it is parsed.
fn each(value: &Value, path: &str, found: &mut Vec<Complaint>) {
    match value {
        Value::String(text) => {
            if let Some(left) = placeholders_in(text).first() {
                let message = format!("no value for {}", left.text);
                found.push(
                    Complaint::error(path, message)
                        .hint("write the value itself: `values` are filled in files only"),
                );
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each(item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                let path = member(path, key);
                of_member(key, value, &path, found);
                each(value, &path, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn of_member(key: &str, value: &Value, path: &str, found: &mut Vec<Complaint>) {
    if let Some((_, words)) = WORDS.iter().find(|(known, _)| *known == key) {
        word(Some(value), path.to_owned(), words, found);
    }
    if let Some((_, range)) = NUMBERS.iter().find(|(known, _)| *known == key)
        && !value.is_null()
        && !value.as_i64().is_some_and(|number| range.contains(&number))
    {
        let message = match range {
            range if *range == ANY => "expected a whole number".to_owned(),
            range => format!("expected a whole number of {} to {}", range.start(), range.end()),
        };
        let hint = hint_for_number(value, range);
        found.push(Complaint { hint, ..Complaint::error(path, message) });
    }
    if let Some((_, least, most)) = LENGTHS.iter().find(|(known, ..)| *known == key)
        && let Value::Array(items) = value
        && !(*least..=*most).contains(&items.len())
    {
        found.push(Complaint::error(path, format!("AWS takes {least} to {most} of them")));
    }
}

/// What to write instead of a number that is none, or is out of range.
fn hint_for_number(value: &Value, range: &RangeInclusive<i64>) -> Option<String> {
    let quoted = value.as_str().and_then(|text| text.trim().parse::<i64>().ok());
    if quoted.is_some_and(|number| range.contains(&number)) {
        return Some("without quotes".to_owned());
    }
    if let Some(number) = value.as_i64() {
        let (bound, nearest) =
            if number < *range.start() { ("least", range.start()) } else { ("most", range.end()) };
        return Some(format!("the {bound} is {nearest}"));
    }
    let whole = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0);
    whole.map(|number| format!("a number without a point, such as {number:.0}"))
}

fn word(value: Option<&Value>, path: String, known: &[&str], found: &mut Vec<Complaint>) {
    let Some(text) = value.and_then(Value::as_str) else { return };
    // What a placeholder stands for is not known, and told already.
    if !known.contains(&text) && placeholders_in(text).is_empty() {
        let message = format!("`{}` is none of {}", repeated(text), known.join(", "));
        let same = known.iter().find(|known| known.eq_ignore_ascii_case(text));
        let hint = same.map(|same| format!("write {same}")).or_else(|| suggestion(text, known));
        found.push(Complaint { hint, ..Complaint::error(path, message) });
    }
}

/// Between as many tasks at least and at most no task is ever replaced (Amazon ECS developer guide, rolling updates).
fn percents(configuration: &Value, found: &mut Vec<Complaint>) {
    let percent = |key: &str| configuration.get(key).and_then(Value::as_i64);
    let (Some(least), Some(most)) = (percent("minimumHealthyPercent"), percent("maximumPercent")) else {
        return;
    };
    if most <= least {
        let message = format!("with {least} % at least and {most} % at most no task can be replaced");
        let path = "deploymentConfiguration.maximumPercent";
        found.push(Complaint::error(path, message).hint("such as 100 and 200"));
    }
}

/// Of several capacity providers one has a base, and one at least a weight (Amazon ECS API reference,
/// `CapacityProviderStrategyItem`).
fn capacity(settings: &Value, found: &mut Vec<Complaint>) {
    let path = "capacityProviderStrategy";
    let items = settings.get(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // What is no number is told where it stands.
    let is_zero = |item: &Value, key: &str| item.get(key).is_none_or(|number| number.as_i64() == Some(0));
    let with_base = items.iter().enumerate().filter(|(_, item)| !is_zero(item, "base"));
    for (index, _) in with_base.skip(1) {
        let message = "only one capacity provider of a strategy can have a base";
        found.push(Complaint::error(format!("{path}[{index}].base"), message).hint("0, or leave it out"));
    }
    if items.len() > 1 && items.iter().all(|item| is_zero(item, "weight")) {
        let message = "no capacity provider has a weight, so that no task can be placed";
        found.push(Complaint::error(path, message).hint("such as weight: 1, of one of them at least"));
    }
}

/// What ECS has for its own deployments alone: "only when the `DeploymentController` is set to `ECS`" (Amazon ECS API
/// reference, `DeploymentAlarms`, `DeploymentCircuitBreaker`).
pub(super) fn beside_code_deploy(settings: &Value) -> Vec<Complaint> {
    let is_on = |key: &&&str| {
        let flag = settings.get("deploymentConfiguration").and_then(|all| all.get(**key)?.get("enable"));
        flag == Some(&Value::Bool(true))
    };
    let complaint = |key: &&str| {
        let path = format!("deploymentConfiguration.{key}");
        let message = format!("`{key}` of a service that CodeDeploy deploys cannot be set");
        Complaint::error(path, message).at_key().hint("CodeDeploy rolls back by its deployment group")
    };
    ["deploymentCircuitBreaker", "alarms"].iter().filter(is_on).map(complaint).collect()
}

fn native_strategies(configuration: &Value, found: &mut Vec<Complaint>) {
    let is_set = |value: &&Value| match value {
        Value::Null => false,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    for key in OF_NATIVE_STRATEGIES.iter().filter(|key| configuration.get(**key).as_ref().is_some_and(is_set))
    {
        let path = format!("deploymentConfiguration.{key}");
        let message = format!("`{key}` cannot be set here");
        let hint = "it belongs in `strategy`, under blueGreen, canary or linear";
        found.push(Complaint::error(path, message).at_key().hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(settings: &Value, expected: Option<&str>) {
        let said: Vec<String> = complaints(settings)
            .into_iter()
            .map(|complaint| format!("{}: {}", complaint.path, complaint.message))
            .collect();
        assert_eq!(said, expected.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{settings}");
    }

    #[test]
    fn what_aws_takes_is_not_complained_about() {
        let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": [], "assignPublicIp": "DISABLED"}});
        check(
            &json!({
                "propagateTags": "SERVICE", "availabilityZoneRebalancing": "ENABLED", "networkConfiguration": network,
                "healthCheckGracePeriodSeconds": 0, "platformVersion": "LATEST", "enableExecuteCommand": true,
                "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100, "bakeTimeInMinutes": 0,
                    "lifecycleHooks": [], "deploymentCircuitBreaker": {"enable": true, "rollback": true}},
                "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}],
                "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type =~ t3.*"}],
                "placementStrategy": [{"type": "spread", "field": "attribute:ecs.availability-zone"}],
            }),
            None,
        );
        check(&json!({"deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 0}}), None);
    }

    #[test]
    fn a_number_that_aws_refuses_is_told_with_what_to_write() {
        for (weight, expected) in [
            (json!(2000), Some("the most is 1000")),
            (json!(-1), Some("the least is 0")),
            (json!("5"), Some("without quotes")),
            (json!(5.0), Some("a number without a point, such as 5")),
            (json!("many"), None),
        ] {
            let settings = json!({"capacityProviderStrategy": [{"capacityProvider": "A", "weight": weight}]});
            let hints: Vec<_> = complaints(&settings).into_iter().map(|complaint| complaint.hint).collect();
            assert_eq!(hints, [expected.map(str::to_owned)], "{weight}");
        }
    }

    #[test]
    fn what_aws_refuses_is_told_with_its_field() {
        let network =
            |key: &str, value: Value| json!({"networkConfiguration": {"awsvpcConfiguration": {key: value}}});
        let deployment = |value: Value| json!({"deploymentConfiguration": value});
        let vpc = "networkConfiguration.awsvpcConfiguration";
        for (settings, expected) in [
            (network("subnets", json!(["<SUBNET>"])), format!("{vpc}.subnets[0]: no value for <SUBNET>")),
            (network("subnets", json!(["${SUBNET}"])), format!("{vpc}.subnets[0]: no value for ${{SUBNET}}")),
            (network("subnets", json!([])), format!("{vpc}.subnets: AWS takes 1 to 16 of them")),
            (network("subnets", json!(vec!["s"; 17])), format!("{vpc}.subnets: AWS takes 1 to 16 of them")),
            (network("securityGroups", json!(vec!["s"; 6])), format!("{vpc}.securityGroups: AWS takes 0 to 5 of them")),
            (
                network("assignPublicIp", json!("enabled")),
                format!("{vpc}.assignPublicIp: `enabled` is none of ENABLED, DISABLED"),
            ),
            (
                json!({"propagateTags": "TASKDEFINITION"}),
                "propagateTags: `TASKDEFINITION` is none of TASK_DEFINITION, SERVICE, NONE".to_owned(),
            ),
            (
                json!({"availabilityZoneRebalancing": "ON"}),
                "availabilityZoneRebalancing: `ON` is none of ENABLED, DISABLED".to_owned(),
            ),
            (
                json!({"placementStrategy": [{"type": "SPREAD"}]}),
                "placementStrategy[0].type: `SPREAD` is none of random, spread, binpack".to_owned(),
            ),
            (
                json!({"placementConstraints": [{"type": "other"}]}),
                "placementConstraints[0].type: `other` is none of distinctInstance, memberOf".to_owned(),
            ),
            (
                json!({"healthCheckGracePeriodSeconds": -1}),
                "healthCheckGracePeriodSeconds: expected a whole number".to_owned(),
            ),
            (
                deployment(json!({"maximumPercent": 150.5})),
                "deploymentConfiguration.maximumPercent: expected a whole number".to_owned(),
            ),
            (
                deployment(json!({"minimumHealthyPercent": "50"})),
                "deploymentConfiguration.minimumHealthyPercent: expected a whole number".to_owned(),
            ),
            (
                deployment(json!({"maximumPercent": 100, "minimumHealthyPercent": 100})),
                "deploymentConfiguration.maximumPercent: with 100 % at least and 100 % at most no task can be replaced".to_owned(),
            ),
            (
                json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1001}]}),
                "capacityProviderStrategy[0].weight: expected a whole number of 0 to 1000".to_owned(),
            ),
            (
                json!({"capacityProviderStrategy": vec![json!({"capacityProvider": "FARGATE", "weight": 1}); 21]}),
                "capacityProviderStrategy: AWS takes 0 to 20 of them".to_owned(),
            ),
            (
                json!({"capacityProviderStrategy": [{"capacityProvider": "A", "weight": 1, "base": 1}, {"capacityProvider": "B", "base": 2}, {"capacityProvider": "C", "base": 0}]}),
                "capacityProviderStrategy[1].base: only one capacity provider of a strategy can have a base".to_owned(),
            ),
            (
                json!({"capacityProviderStrategy": [{"capacityProvider": "A", "weight": 0}, {"capacityProvider": "FARGATE"}]}),
                "capacityProviderStrategy: no capacity provider has a weight, so that no task can be placed".to_owned(),
            ),
            (
                json!({"capacityProviderStrategy": [{"weight": 1}]}),
                "capacityProviderStrategy[0]: `capacityProvider` is missing".to_owned(),
            ),
            (
                json!({"loadBalancers": [{"containerPort": 80.5}]}),
                "loadBalancers[0].containerPort: expected a whole number of 0 to 65535".to_owned(),
            ),
            (
                deployment(json!({"alarms": {"alarmNames": ["errors"], "rollback": true}})),
                "deploymentConfiguration.alarms: `enable` is missing".to_owned(),
            ),
            (
                deployment(json!({"alarms": {"alarmNames": ["errors"], "enable": true}})),
                "deploymentConfiguration.alarms: `rollback` is missing".to_owned(),
            ),
            (
                deployment(json!({"bakeTimeInMinutes": 5})),
                "deploymentConfiguration.bakeTimeInMinutes: `bakeTimeInMinutes` cannot be set here".to_owned(),
            ),
            (
                deployment(json!({"canaryConfiguration": {"canaryPercent": 5}})),
                "deploymentConfiguration.canaryConfiguration: `canaryConfiguration` cannot be set here".to_owned(),
            ),
            (
                deployment(json!({"linearConfiguration": {}})),
                "deploymentConfiguration.linearConfiguration: `linearConfiguration` cannot be set here".to_owned(),
            ),
            (
                deployment(json!({"lifecycleHooks": [{}]})),
                "deploymentConfiguration.lifecycleHooks: `lifecycleHooks` cannot be set here".to_owned(),
            ),
        ] {
            check(&settings, Some(&expected));
        }
    }
}
