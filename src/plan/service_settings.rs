//! The fields of a service that `serviceSettings` declares: what they may be, and where the live service differs.
//!
//! Only what is declared is compared and sent; every other field of the service belongs to somebody else.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::normalise::sort_keys;
use crate::model::Difference;

const PROVIDERS: &str = "capacityProviderStrategy";

/// Members of `UpdateService` that a repository may own (Amazon ECS API reference, `UpdateService`). The task definition
/// and the deployment itself are not among them.
pub const KEYS: [&str; 15] = [
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "desiredCount",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "serviceRegistries",
    "volumeConfigurations",
];

/// Those of them that belong to the deployment where CodeDeploy carries it out: they go into the `AppSpec` or cannot
/// change (Amazon ECS API reference, `UpdateService`).
pub const OF_THE_DEPLOYMENT: [&str; 6] = [
    "capacityProviderStrategy",
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "serviceRegistries",
    "volumeConfigurations",
];

/// Without what `UpdateService` refuses of a service that CodeDeploy deploys.
pub fn beside_code_deploy(declared: &Value) -> Value {
    let fields = declared.as_object().into_iter().flatten();
    let kept = fields.filter(|(key, _)| !OF_THE_DEPLOYMENT.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// What `UpdateService` is given. A change of the capacity providers is refused without a forced deployment.
pub fn to_send(declared: &Value, live: &Value) -> Value {
    let mut sent = declared.clone();
    let is_declared = declared.get(PROVIDERS).is_some();
    if is_declared && providers(declared) != providers(live) {
        sent["forceNewDeployment"] = Value::from(true);
    }
    sent
}

/// Name, weight and base of each capacity provider; the numbers are 0 where they are left out (Amazon ECS API reference,
/// `CapacityProviderStrategyItem`).
fn providers(settings: &Value) -> BTreeSet<(&str, i64, i64)> {
    let items = settings.get(PROVIDERS).and_then(Value::as_array).into_iter().flatten();
    let number = |item: &Value, key: &str| item.get(key).and_then(Value::as_i64).unwrap_or_default();
    items
        .filter_map(|item| {
            Some((item.get("capacityProvider")?.as_str()?, number(item, "weight"), number(item, "base")))
        })
        .collect()
}

/// The fields of a described service that a repository may own.
pub fn of(described: &Value) -> Value {
    let fields = KEYS.iter().filter_map(|key| Some(((*key).to_owned(), described.get(*key)?.clone())));
    Value::Object(fields.collect())
}

/// Says in a stamp which settings were sent, in whatever order they are written.
pub fn hash(declared: &Value) -> String {
    let digest = hex::encode(Sha256::digest(sort_keys(declared).to_string().as_bytes()));
    digest.chars().take(16).collect()
}

/// The declared fields whose live value is another.
pub fn differences(declared: &Value, live: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("service", declared, live, &mut found);
    found
}

fn compare(path: &str, declared: &Value, live: &Value, found: &mut Vec<Difference>) {
    match declared {
        Value::Object(fields) => {
            for (key, value) in fields {
                compare(&format!("{path}.{key}"), value, live.get(key).unwrap_or(&Value::Null), found);
            }
        }
        Value::Array(items) if is_same_list(items, live) => {}
        _ if declared == live => {}
        // An empty list, a flag that is off and a zero that were never set are described as absent.
        Value::Array(items) if items.is_empty() && live.is_null() => {}
        Value::Bool(false) if live.is_null() => {}
        Value::Number(number) if number.as_i64() == Some(0) && live.is_null() => {}
        _ => found.push(Difference {
            field: path.to_owned(),
            live: (!live.is_null()).then(|| live.to_string()),
            desired: Some(declared.to_string()),
        }),
    }
}

/// The same items in any order, each as often; AWS may fill in further fields of each.
fn is_same_list(declared: &[Value], live: &Value) -> bool {
    let Some(live) = live.as_array().filter(|live| live.len() == declared.len()) else { return false };
    let mut rest: Vec<&Value> = live.iter().collect();
    declared.iter().all(|item| {
        let place = rest.iter().position(|known| differences(item, known).is_empty());
        place.map(|place| rest.swap_remove(place)).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_stamp_does_not_know_the_order_of_the_keys() {
        assert_eq!(hash(&json!({"a": 1, "b": 2})), hash(&json!({"b": 2, "a": 1})));
        assert_ne!(hash(&json!({"a": 1})), hash(&json!({"a": 2})));
    }

    #[test]
    fn another_strategy_of_capacity_providers_is_sent_with_force() {
        let spot = |weight: Value| json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": weight}]});
        let forces = |declared: &Value, live: &Value| to_send(declared, live)["forceNewDeployment"] == true;
        let live = json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]});
        assert!(!forces(&spot(json!(1)), &live));
        assert!(forces(&spot(json!(2)), &live));
        assert!(forces(&spot(json!(1)), &json!({})), "from a launch type");
        assert!(forces(&json!({"capacityProviderStrategy": []}), &live), "back to it");
        assert!(!forces(&json!({"capacityProviderStrategy": []}), &json!({})));
        assert!(!forces(&json!({"enableExecuteCommand": true}), &live), "it is not declared");
        assert_eq!(to_send(&spot(json!(1)), &live), spot(json!(1)));
    }

    #[test]
    fn only_what_is_declared_is_compared() {
        let live = json!({
            "desiredCount": 4,
            "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["b", "a"], "assignPublicIp": "DISABLED"}},
            "loadBalancers": [{"containerName": "api", "containerPort": 80, "targetGroupArn": "t"}],
        });
        for (declared, expected) in [
            (json!({}), vec![]),
            (json!({"deploymentConfiguration": {"maximumPercent": 200}}), vec![]),
            (json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a", "b"]}}}), vec![]),
            (json!({"loadBalancers": [{"containerName": "api", "targetGroupArn": "t"}]}), vec![]),
            (json!({"placementStrategy": []}), vec![]),
            (json!({"healthCheckGracePeriodSeconds": 0}), vec![]),
            (
                json!({"deploymentConfiguration": {"alarms": {"alarmNames": [], "enable": false, "rollback": false}}}),
                vec![],
            ),
            (
                json!({"deploymentConfiguration": {"alarms": {"enable": true}}}),
                vec!["service.deploymentConfiguration.alarms.enable - -> true"],
            ),
            (
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a", "a"]}}}),
                vec![
                    "service.networkConfiguration.awsvpcConfiguration.subnets [\"b\",\"a\"] -> [\"a\",\"a\"]",
                ],
            ),
            (
                json!({"deploymentConfiguration": {"maximumPercent": 150}}),
                vec!["service.deploymentConfiguration.maximumPercent 200 -> 150"],
            ),
            (json!({"enableExecuteCommand": true}), vec!["service.enableExecuteCommand - -> true"]),
            (
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a"]}}}),
                vec!["service.networkConfiguration.awsvpcConfiguration.subnets [\"b\",\"a\"] -> [\"a\"]"],
            ),
        ] {
            let found: Vec<String> = differences(&declared, &live)
                .into_iter()
                .map(|d| {
                    format!(
                        "{} {} -> {}",
                        d.field,
                        d.live.unwrap_or("-".to_owned()),
                        d.desired.unwrap_or_default()
                    )
                })
                .collect();
            assert_eq!(found, expected, "{declared}");
        }
    }
}
