//! What differs between the live and the desired task definition, field by field, for people.

use std::collections::BTreeSet;

use serde_json::Value;

use super::normalise;
use crate::model::Difference;

/// Shown instead of a value that only AWS knows or whose name looks secret.
pub const MASK: &str = "(masked)";
/// Differences beyond this number are counted, not listed.
pub const MOST_DIFFERENCES: usize = 50;

/// Compares two `RegisterTaskDefinition` inputs by effect: both are normalised first.
pub fn task_definitions(live: &Value, desired: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(
        "",
        Some(&normalise::task_definition(live)),
        Some(&normalise::task_definition(desired)),
        &mut found,
    );
    let more = found.len().saturating_sub(MOST_DIFFERENCES);
    found.truncate(MOST_DIFFERENCES);
    if more > 0 {
        found.push(Difference { field: format!("({more} more)"), live: None, desired: None });
    }
    found
}

fn compare(path: &str, live: Option<&Value>, desired: Option<&Value>, found: &mut Vec<Difference>) {
    match (live, desired) {
        (Some(one), Some(two)) if one == two => {}
        (Some(Value::Object(one)), Some(Value::Object(two))) => {
            let mut keys: Vec<&String> =
                one.keys().chain(two.keys().filter(|key| !one.contains_key(*key))).collect();
            keys.sort();
            for key in keys {
                let field = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&field, one.get(key), two.get(key), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(two))) => compare_lists(path, one, two, found),
        (None, Some(Value::Array(two))) => compare_lists(path, &[], two, found),
        (Some(Value::Array(one)), None) => compare_lists(path, one, &[], found),
        (live, desired) => found.push(Difference {
            live: live.map(|value| shown(path, value, desired.is_some())),
            desired: desired.map(|value| shown(path, value, true)),
            field: path.to_owned(),
        }),
    }
}

fn compare_lists(path: &str, one: &[Value], two: &[Value], found: &mut Vec<Difference>) {
    let named = one.iter().chain(two).all(|item| name(item).is_some()) && !(one.is_empty() && two.is_empty());
    if !named {
        found.push(Difference {
            field: path.to_owned(),
            live: (!one.is_empty()).then(|| shown(path, &Value::from(one.to_vec()), !two.is_empty())),
            desired: (!two.is_empty()).then(|| shown(path, &Value::from(two.to_vec()), true)),
        });
        found.retain(|difference| difference.live != difference.desired);
        return;
    }
    let every_name: BTreeSet<&str> = one.iter().chain(two).filter_map(name).collect();
    let pick = |list: &[Value], wanted: &str| list.iter().find(|item| name(item) == Some(wanted)).cloned();
    for wanted in every_name {
        let path = path.replace("containerDefinitions", "containers");
        let (live, desired) = (pick(one, wanted), pick(two, wanted));
        if is_name_and_value(live.as_ref().or(desired.as_ref())) {
            let value = |item: &Option<Value>| item.as_ref().and_then(|item| item.get("value").cloned());
            compare(&format!("{path}.{wanted}"), value(&live).as_ref(), value(&desired).as_ref(), found);
        } else {
            compare(&format!("{path}[{wanted}]"), live.as_ref(), desired.as_ref(), found);
        }
    }
}

fn name(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

/// Entries such as `environment`: their value stands for them.
fn is_name_and_value(item: Option<&Value>) -> bool {
    item.and_then(Value::as_object).is_some_and(|map| map.keys().all(|key| key == "name" || key == "value"))
}

fn shown(path: &str, value: &Value, declared: bool) -> String {
    let secret = path.rsplit('.').next().is_some_and(looks_secret);
    let only_aws_knows = !declared && path.contains(".environment");
    match value {
        _ if secret || only_aws_knows => MASK.to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_)
            if path.contains("environment") || path.starts_with("containers[") && !path.contains('.') =>
        {
            MASK.to_owned()
        }
        other => other.to_string(),
    }
}

/// Whether a name suggests that its value is a secret.
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    [
        "PASSWORD",
        "PASSWD",
        "SECRET",
        "TOKEN",
        "API_KEY",
        "APIKEY",
        "PRIVATE_KEY",
        "CREDENTIAL",
        "ACCESS_KEY",
        "DATABASE_URL",
    ]
    .iter()
    .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(live: &Value, desired: &Value, expected: &[&str]) {
        let wrap = |fields: &Value| {
            let mut container = json!({"name": "api"});
            container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            json!({"containerDefinitions": [container]})
        };
        let found: Vec<String> = task_definitions(&wrap(live), &wrap(desired))
            .into_iter()
            .map(|d| {
                format!("{} {} -> {}", d.field, d.live.unwrap_or("-".into()), d.desired.unwrap_or("-".into()))
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_difference_names_the_field_and_both_values() {
        check(
            &json!({"environment": [{"name": "LOG_LEVEL", "value": "info"}], "cpu": 10}),
            &json!({"environment": [{"name": "LOG_LEVEL", "value": "debug"}], "cpu": 10, "memory": 512}),
            &["containers[api].environment.LOG_LEVEL info -> debug", "containers[api].memory - -> 512"],
        );
        check(
            &json!({"command": ["a"]}),
            &json!({"command": ["b"]}),
            &[r#"containers[api].command ["a"] -> ["b"]"#],
        );
    }

    #[test]
    fn secrets_and_values_that_only_aws_knows_are_masked() {
        check(
            &json!({"environment": [{"name": "DB_PASSWORD", "value": "canary1"}, {"name": "EXTRA", "value": "canary2"}]}),
            &json!({"environment": [{"name": "DB_PASSWORD", "value": "canary3"}]}),
            &[
                "containers[api].environment.DB_PASSWORD (masked) -> (masked)",
                "containers[api].environment.EXTRA (masked) -> -",
            ],
        );
    }
}
