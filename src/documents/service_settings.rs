//! The fields of a service that `serviceSettings` declares: what they may be, and where the live service differs.
//!
//! Only what is declared is compared; every other field of the service belongs to somebody else. What is sent leaves those
//! as they are.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::normalise::sort_keys;
use super::shown::{self, Field, Origin};
use crate::model::Difference;

const PROVIDERS: &str = "capacityProviderStrategy";
const VOLUMES: &str = "volumeConfigurations";
const DEPLOYMENT: &str = "deploymentConfiguration";

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

/// What of the live deployment configuration `UpdateService` accepts of a service that CodeDeploy deploys.
const PERCENTS: [&str; 2] = ["maximumPercent", "minimumHealthyPercent"];

/// What `UpdateService` is given of a service that CodeDeploy deploys.
pub fn to_send_beside_code_deploy(declared: &Value, live: &Value) -> Value {
    let configuration = live.get(DEPLOYMENT).and_then(Value::as_object).into_iter().flatten();
    let percents = configuration.filter(|(key, _)| PERCENTS.contains(&key.as_str()));
    let percents: Map<String, Value> = percents.map(|(key, value)| (key.clone(), value.clone())).collect();
    completed(&beside_code_deploy(declared), &json!({DEPLOYMENT: percents}))
}

/// What `UpdateService` is given. A change of the capacity providers is refused without a forced deployment.
pub fn to_send(declared: &Value, live: &Value) -> Value {
    let mut sent = completed(declared, live);
    let is_declared = declared.get(PROVIDERS).is_some();
    if is_declared && providers(declared) != providers(live) {
        sent["forceNewDeployment"] = Value::from(true);
    }
    sent
}

/// Members that start a deployment because they are sent ("This parameter triggers a new service deployment", Amazon ECS
/// API reference, `UpdateService`). The capacity providers do where they are sent with force.
const STARTING: [&str; 5] =
    ["loadBalancers", "networkConfiguration", "platformVersion", "serviceRegistries", VOLUMES];

/// Whether ECS starts a deployment for what is sent, also where the task definition stays the same.
pub fn starts_a_deployment(sent: &Value) -> bool {
    sent.get("forceNewDeployment").is_some() || STARTING.iter().any(|key| sent.get(*key).is_some())
}

/// The declared members, each structure with the live values of what it does not say: whether `UpdateService` merges
/// or replaces a structure that is sent in part is not documented. Lists are sent as they are declared.
fn completed(declared: &Value, live: &Value) -> Value {
    let Value::Object(members) = declared else { return declared.clone() };
    let complete = |(key, value): (&String, &Value)| {
        (key.clone(), live.get(key).map_or_else(|| value.clone(), |live| with_rest(value, live)))
    };
    Value::Object(members.iter().map(complete).collect())
}

/// One structure, however deep, with what only the live one has.
fn with_rest(declared: &Value, live: &Value) -> Value {
    let (Value::Object(_), Value::Object(present)) = (declared, live) else { return declared.clone() };
    let mut complete = completed(declared, live);
    for (key, value) in present.iter().filter(|(_, value)| !is_filled_in(value)) {
        if complete.get(key).is_none() {
            complete[key] = value.clone();
        }
    }
    complete
}

/// Whether a live member is one that AWS describes where nothing was ever set: nothing at all, or a structure with all of
/// its flags off, such as `{alarmNames: [], enable: false, rollback: false}`.
pub(super) fn is_filled_in(live: &Value) -> bool {
    let is_off = |value: &Value| *value == Value::Bool(false) || is_filled_in(value);
    match live {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_off),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
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

/// The fields of a described service that a repository may own. The volumes are described with each deployment alone
/// (Amazon ECS API reference, `Service` and `Deployment`).
pub fn of(described: &Value) -> Value {
    let deployments = described.get("deployments").and_then(Value::as_array);
    let is_primary = |one: &&Value| one.get("status").and_then(Value::as_str) == Some("PRIMARY");
    let primary = deployments.into_iter().flatten().find(is_primary);
    let fields = KEYS.iter().filter_map(|key| {
        let place = if *key == VOLUMES { primary? } else { described };
        Some(((*key).to_owned(), place.get(*key)?.clone()))
    });
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
    compare(&Field::root("service"), declared, live, &mut found);
    found
}

fn compare(field: &Field, declared: &Value, live: &Value, found: &mut Vec<Difference>) {
    match declared {
        Value::Object(fields) => {
            for (key, value) in fields {
                compare(&field.member(key), value, live.get(key).unwrap_or(&Value::Null), found);
            }
        }
        Value::Array(items) if is_same_list(items, live) => {}
        _ if declared == live => {}
        // An empty list, a flag that is off and a zero that were never set are described as absent.
        Value::Array(items) if items.is_empty() && live.is_null() => {}
        Value::Bool(false) if live.is_null() => {}
        Value::Number(number) if number.as_i64() == Some(0) && live.is_null() => {}
        _ => found.push(Difference {
            field: field.path.clone(),
            live: (!live.is_null()).then(|| shown::live(field, live, Some(declared))),
            desired: Some(shown::desired(field, declared, Origin::Git)),
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
    fn a_structure_is_sent_whole_with_the_live_values_of_what_is_not_declared() {
        let live = json!({
            "desiredCount": 4,
            "deploymentConfiguration": {
                "maximumPercent": 150,
                "minimumHealthyPercent": 0,
                "deploymentCircuitBreaker": {"enable": true, "rollback": false},
                "alarms": {"alarmNames": [], "enable": false, "rollback": false},
                "lifecycleHooks": [],
                "canaryConfiguration": null,
            },
            "networkConfiguration": {"awsvpcConfiguration": {
                "subnets": ["a", "b"], "securityGroups": ["s"], "assignPublicIp": "DISABLED",
            }},
            "loadBalancers": [{"containerName": "api", "containerPort": 80, "targetGroupArn": "t"}],
        });
        let configuration = |value: Value| json!({"deploymentConfiguration": value});
        for (declared, sent) in [
            (json!({}), json!({})),
            (json!({"desiredCount": 2}), json!({"desiredCount": 2})),
            (
                configuration(json!({"maximumPercent": 200})),
                configuration(json!({"maximumPercent": 200, "minimumHealthyPercent": 0,
                    "deploymentCircuitBreaker": {"enable": true, "rollback": false}})),
            ),
            (
                configuration(json!({"deploymentCircuitBreaker": {"rollback": true}})),
                configuration(json!({"maximumPercent": 150, "minimumHealthyPercent": 0,
                    "deploymentCircuitBreaker": {"enable": true, "rollback": true}})),
            ),
            (
                configuration(json!({"alarms": {"alarmNames": ["errors"], "enable": true}})),
                configuration(json!({"maximumPercent": 150, "minimumHealthyPercent": 0,
                    "deploymentCircuitBreaker": {"enable": true, "rollback": false},
                    "alarms": {"alarmNames": ["errors"], "enable": true, "rollback": false}})),
            ),
            (
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["c"]}}}),
                json!({"networkConfiguration": {"awsvpcConfiguration": {
                    "subnets": ["c"], "securityGroups": ["s"], "assignPublicIp": "DISABLED",
                }}}),
            ),
            (
                json!({"loadBalancers": [{"containerName": "api"}]}),
                json!({"loadBalancers": [{"containerName": "api"}]}),
            ),
            (json!({"placementStrategy": []}), json!({"placementStrategy": []})),
        ] {
            assert_eq!(to_send(&declared, &live), sent, "{declared}");
            assert_eq!(to_send(&declared, &json!({})), declared, "nothing is known of the live service");
        }
        // Switched off is what somebody may declare.
        let off = configuration(json!({"alarms": {"alarmNames": [], "enable": false, "rollback": false}}));
        assert_eq!(
            to_send(&off, &live)["deploymentConfiguration"]["alarms"],
            off["deploymentConfiguration"]["alarms"]
        );
    }

    #[test]
    fn what_ecs_has_for_its_own_deployments_is_not_sent_beside_code_deploy() {
        let declared =
            json!({"deploymentConfiguration": {"maximumPercent": 150}, "platformVersion": "1.4.0"});
        let live = json!({"deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100,
            "strategy": "ROLLING", "bakeTimeInMinutes": 0}});
        assert_eq!(
            to_send_beside_code_deploy(&declared, &live),
            json!({"deploymentConfiguration": {"maximumPercent": 150, "minimumHealthyPercent": 100}})
        );
    }

    #[test]
    fn the_volumes_are_those_of_the_primary_deployment() {
        let deployment =
            |status: &str, name: &str| json!({"status": status, "volumeConfigurations": [{"name": name}]});
        let described = json!({
            "serviceName": "api",
            "desiredCount": 1,
            "deployments": [deployment("ACTIVE", "old"), deployment("PRIMARY", "new")],
        });
        assert_eq!(of(&described), json!({"desiredCount": 1, "volumeConfigurations": [{"name": "new"}]}));
        assert_eq!(of(&json!({"deployments": [{"status": "PRIMARY"}]})), json!({}));
    }

    #[test]
    fn only_what_is_declared_is_compared() {
        let live = json!({
            "desiredCount": 4,
            "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0000000b", "subnet-0000000a"], "assignPublicIp": "DISABLED"}},
            "loadBalancers": [{"containerName": "api", "containerPort": 80, "targetGroupArn": "t"}],
        });
        for (declared, expected) in [
            (json!({}), vec![]),
            (json!({"deploymentConfiguration": {"maximumPercent": 200}}), vec![]),
            (
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0000000a", "subnet-0000000b"]}}}),
                vec![],
            ),
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
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0000000a", "subnet-0000000a"]}}}),
                vec![
                    "service.networkConfiguration.awsvpcConfiguration.subnets [\"subnet-0000000b\",\"subnet-0000000a\"] -> [\"subnet-0000000a\",\"subnet-0000000a\"]",
                ],
            ),
            (
                json!({"deploymentConfiguration": {"maximumPercent": 150}}),
                vec!["service.deploymentConfiguration.maximumPercent 200 -> 150"],
            ),
            (json!({"enableExecuteCommand": true}), vec!["service.enableExecuteCommand - -> true"]),
            (
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0000000a"]}}}),
                vec![
                    "service.networkConfiguration.awsvpcConfiguration.subnets [\"subnet-0000000b\",\"subnet-0000000a\"] -> [\"subnet-0000000a\"]",
                ],
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
