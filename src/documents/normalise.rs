//! One spelling for task definitions that mean the same, so that what AWS describes equals what was registered.
//!
//! AWS fills defaults in, echoes empty lists and reorders sets (Amazon ECS API reference, `RegisterTaskDefinition` and
//! `ContainerDefinition`). Here defaults and empty values are removed and sets are sorted; everything else, fields
//! that nobody here knows included, is kept as it is.

use serde_json::{Map, Value, json};

/// The canonical form of a `RegisterTaskDefinition` input. Tags are not part of it.
pub fn task_definition(input: &Value) -> Value {
    let mut root = input.as_object().cloned().unwrap_or_default();
    root.remove("tags");
    let own_network = matches!(root.get("networkMode").and_then(Value::as_str), Some("awsvpc" | "host"));
    for (key, per) in [("cpu", 1024.0), ("memory", 1024.0)] {
        if let Some(size) = root.get_mut(key) {
            *size = size_in_units(size, per);
        }
    }
    drop_default(&mut root, "networkMode", &Value::from("bridge"));
    drop_default(&mut root, "enableFaultInjection", &Value::Bool(false));
    for role in ["taskRoleArn", "executionRoleArn"] {
        drop_default(&mut root, role, &Value::from(""));
    }
    each(&mut root, "containerDefinitions", |container| normalise_container(container, own_network));
    each(&mut root, "volumes", normalise_volume);
    let mut value = Value::Object(root);
    drop_empty(&mut value);
    sort_sets(&mut value);
    sort_keys(&value)
}

/// The canonical form for comparison. What is dropped here beyond [`task_definition`] is no part of the hashes: it may stand
/// in revisions that were registered before, whose hash is on record.
pub fn by_effect(input: &Value) -> Value {
    let mut value = task_definition(input);
    drop_empty_texts(&mut value);
    if let Value::Object(root) = &mut value
        && root.get("requiresCompatibilities") == Some(&json!(["FARGATE"]))
    {
        // There a platform that is left out is this one (Amazon ECS developer guide, "Fargate task definition parameters").
        let default = json!({"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"});
        drop_default(root, "runtimePlatform", &default);
    }
    value
}

/// Removes members that AWS takes for absent where they are empty.
pub fn drop_empty_texts(input: &mut Value) {
    let Value::Object(root) = input else { return };
    for key in ["pidMode", "ipcMode"] {
        drop_default(root, key, &Value::from(""));
    }
    each(root, "containerDefinitions", |container| {
        for key in ["user", "workingDirectory", "hostname"] {
            drop_default(container, key, &Value::from(""));
        }
    });
}

fn normalise_container(container: &mut Map<String, Value>, own_network: bool) {
    for (key, default) in [
        ("cpu", Value::from(0)),
        ("essential", Value::Bool(true)),
        ("disableNetworking", Value::Bool(false)),
        ("privileged", Value::Bool(false)),
        ("readonlyRootFilesystem", Value::Bool(false)),
        ("interactive", Value::Bool(false)),
        ("pseudoTerminal", Value::Bool(false)),
        ("versionConsistency", Value::from("enabled")),
    ] {
        drop_default(container, key, &default);
    }
    each(container, "portMappings", |mapping| {
        drop_default(mapping, "protocol", &Value::from("tcp"));
        let implied = if own_network { mapping.get("containerPort").cloned() } else { None };
        drop_default(mapping, "hostPort", &Value::from(0));
        if let Some(port) = implied {
            drop_default(mapping, "hostPort", &port);
        }
    });
    for key in ["mountPoints", "volumesFrom"] {
        each(container, key, |entry| drop_default(entry, "readOnly", &Value::Bool(false)));
    }
    inside(container, "healthCheck", |check| {
        for (key, default) in [("interval", 30), ("timeout", 5), ("retries", 3), ("startPeriod", 0)] {
            drop_default(check, key, &Value::from(default));
        }
    });
    inside(container, "restartPolicy", |policy| {
        drop_default(policy, "restartAttemptPeriod", &Value::from(300));
    });
}

fn normalise_volume(volume: &mut Map<String, Value>) {
    inside(volume, "efsVolumeConfiguration", |efs| {
        drop_default(efs, "rootDirectory", &Value::from("/"));
        drop_default(efs, "transitEncryption", &Value::from("DISABLED"));
        inside(efs, "authorizationConfig", |auth| drop_default(auth, "iam", &Value::from("DISABLED")));
    });
    inside(volume, "dockerVolumeConfiguration", |docker| {
        drop_default(docker, "autoprovision", &Value::Bool(false));
    });
}

/// `1 vCPU` and `2 GB` in CPU units and MiB, as text; anything else is left as it is.
pub fn size_in_units(size: &Value, per: f64) -> Value {
    let text = match size {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        Value::Number(number) => return Value::from(number.to_string()),
        other => return other.clone(),
    };
    let number = ["vcpu", "gb"].iter().find_map(|unit| text.strip_suffix(unit));
    match number.and_then(|number| number.trim().parse::<f64>().ok()) {
        Some(number) => Value::from(format!("{:.0}", number * per)),
        None => size.clone(),
    }
}

fn drop_default(map: &mut Map<String, Value>, key: &str, default: &Value) {
    if map.get(key) == Some(default) {
        map.shift_remove(key);
    }
}

fn each(map: &mut Map<String, Value>, key: &str, mut change: impl FnMut(&mut Map<String, Value>)) {
    let entries = map.get_mut(key).and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        change(entry);
    }
}

fn inside(map: &mut Map<String, Value>, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    if let Some(inner) = map.get_mut(key).and_then(Value::as_object_mut) {
        change(inner);
    }
}

/// Removes null, `[]` and `{}` everywhere. Empty text stays: an environment variable may be empty on purpose.
fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(drop_empty);
            map.retain(|_, inner| !is_empty(inner));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Lists whose order means nothing, by key. `command`, `entryPoint` and `dependsOn` keep theirs.
const SETS: [&str; 13] = [
    "containerDefinitions",
    "environment",
    "secrets",
    "volumes",
    "requiresCompatibilities",
    "mountPoints",
    "portMappings",
    "placementConstraints",
    "environmentFiles",
    "ulimits",
    "systemControls",
    "secretOptions",
    "properties", // of proxyConfiguration
];

fn sort_sets(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                sort_sets(inner);
                if let (true, Value::Array(items)) = (SETS.contains(&key.as_str()), inner) {
                    items.sort_by_cached_key(set_key);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sort_sets),
        _ => {}
    }
}

fn set_key(item: &Value) -> String {
    let named = ["name", "containerPath", "containerPort", "namespace"].iter().find_map(|key| item.get(key));
    let name = named.map_or_else(String::new, |name| format!("{name:>20}"));
    format!("{name}\u{0}{}", sort_keys(item))
}

/// The same value with the keys of every object in order.
pub fn sort_keys(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| key.as_str());
            Value::Object(keys.into_iter().map(|(key, inner)| (key.clone(), sort_keys(inner))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sort_keys).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(declared: &Value, described: &Value, same: bool) {
        assert_eq!(
            task_definition(declared) == task_definition(described),
            same,
            "{}\n{}",
            task_definition(declared),
            task_definition(described)
        );
    }

    fn container(fields: &Value) -> Value {
        let mut container = json!({"name": "api", "image": "i"});
        let fields = fields.as_object().cloned().unwrap_or_default();
        container.as_object_mut().into_iter().for_each(|map| map.extend(fields.clone()));
        json!({"family": "f", "networkMode": "awsvpc", "containerDefinitions": [container]})
    }

    #[test]
    fn defaults_that_aws_writes_are_no_difference() {
        for (declared, described) in [
            (
                json!({}),
                json!({"cpu": 0, "essential": true, "environment": [], "mountPoints": [], "portMappings": [],
                       "volumesFrom": [], "systemControls": []}),
            ),
            (
                json!({"portMappings": [{"containerPort": 80}]}),
                json!({"portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]}),
            ),
            (
                json!({"healthCheck": {"command": ["x"]}}),
                json!({"healthCheck": {"command": ["x"], "interval": 30, "timeout": 5, "retries": 3}}),
            ),
            (
                json!({"environment": [{"name": "A", "value": ""}, {"name": "B", "value": "2"}]}),
                json!({"environment": [{"value": "2", "name": "B"}, {"name": "A", "value": ""}]}),
            ),
            (json!({"ulimits": []}), json!({})),
            (
                json!({"proxyConfiguration": {"properties": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}}),
                json!({"proxyConfiguration": {"properties": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}}),
            ),
            (
                json!({"restartPolicy": {"enabled": true}}),
                json!({"restartPolicy": {"enabled": true, "restartAttemptPeriod": 300}}),
            ),
        ] {
            check(&container(&declared), &container(&described), true);
        }
        check(
            &json!({"family": "f", "cpu": "1 vCPU", "memory": "2GB"}),
            &json!({"family": "f", "cpu": "1024", "memory": "2048", "volumes": [], "placementConstraints": []}),
            true,
        );
    }

    #[test]
    fn what_aws_takes_for_absent_is_no_difference_and_stays_in_the_hashes() {
        let platform = |architecture: &str, system: &str, compatibilities: &[&str]| {
            json!({"family": "f", "requiresCompatibilities": compatibilities,
                "runtimePlatform": {"operatingSystemFamily": system, "cpuArchitecture": architecture}})
        };
        let task = |fields: Value| {
            let mut task = json!({"family": "f"});
            task.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            task
        };
        let empty = |key: &str| container(&json!({key: ""}));
        for (declared, same) in [
            (task(json!({"pidMode": ""})), true),
            (task(json!({"ipcMode": ""})), true),
            (task(json!({"pidMode": "task"})), false),
            (task(json!({"ipcMode": "none"})), false),
            (empty("user"), true),
            (empty("workingDirectory"), true),
            (empty("hostname"), true),
            (empty("command"), false),
            (container(&json!({"user": "0"})), false),
            (platform("X86_64", "LINUX", &["FARGATE"]), true),
            (platform("ARM64", "LINUX", &["FARGATE"]), false),
            (platform("X86_64", "WINDOWS_SERVER_2022_CORE", &["FARGATE"]), false),
            (platform("X86_64", "LINUX", &["EC2", "FARGATE"]), false),
            (platform("X86_64", "LINUX", &["EC2"]), false),
        ] {
            let mut absent = declared.clone();
            let root = absent.as_object_mut().unwrap();
            root.retain(|key, _| !["pidMode", "ipcMode", "runtimePlatform"].contains(&key.as_str()));
            each(root, "containerDefinitions", |container| {
                container.retain(|key, _| key == "name" || key == "image");
            });
            assert_eq!(by_effect(&declared) == by_effect(&absent), same, "{declared}");
            assert_ne!(task_definition(&declared), task_definition(&absent), "{declared}");
        }
    }

    #[test]
    fn what_means_something_is_a_difference() {
        for (one, two) in [
            (json!({"cpu": 1}), json!({})),
            (json!({"essential": false}), json!({})),
            (json!({"command": ["a", "b"]}), json!({"command": ["b", "a"]})),
            (json!({"environment": [{"name": "A", "value": ""}]}), json!({})),
            (
                json!({"portMappings": [{"containerPort": 80, "hostPort": 81}]}),
                json!({"portMappings": [{"containerPort": 80}]}),
            ),
            (json!({"futureField2028": 1}), json!({})),
            (
                json!({"healthCheck": {"command": ["x"], "retries": 4}}),
                json!({"healthCheck": {"command": ["x"]}}),
            ),
        ] {
            check(&container(&one), &container(&two), false);
        }
    }
}
