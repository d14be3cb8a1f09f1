//! What differs between the live and the desired task definition, field by field. Whether they are equal rests on this, so
//! nothing that differs is left out; values are masked, and [`listed`] cuts what is shown to people.

use std::collections::BTreeSet;

use serde_json::Value;

use super::normalise;
use crate::model::Difference;

/// Shown instead of a value that only AWS knows or whose name looks secret.
pub const MASK: &str = "(masked)";
/// Differences beyond this number are counted, not listed.
const MOST_DIFFERENCES: usize = 50;

/// Compares two `RegisterTaskDefinition` inputs by effect: both are normalised first.
pub fn task_definitions(live: &Value, desired: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(
        "",
        Some(&normalise::task_definition(live)),
        Some(&normalise::task_definition(desired)),
        &mut found,
    );
    found
}

/// As many of them as people read, and how many more there are.
pub fn listed(mut found: Vec<Difference>) -> Vec<Difference> {
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
    if one == two {
        return;
    }
    if !are_named_apart(one) || !are_named_apart(two) {
        found.push(Difference {
            field: path.to_owned(),
            live: (!one.is_empty()).then(|| shown(path, &Value::from(one.to_vec()), !two.is_empty())),
            desired: (!two.is_empty()).then(|| shown(path, &Value::from(two.to_vec()), true)),
        });
        return;
    }
    let every_name: BTreeSet<&str> = one.iter().chain(two).filter_map(name).collect();
    let pick = |list: &[Value], wanted: &str| list.iter().find(|item| name(item) == Some(wanted)).cloned();
    for wanted in every_name {
        let path = path.replace("containerDefinitions", "containers");
        let (live, desired) = (pick(one, wanted), pick(two, wanted));
        if live.iter().chain(&desired).all(is_name_and_value) {
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

/// Whether every item has a name, and no two the same.
fn are_named_apart(items: &[Value]) -> bool {
    let names: BTreeSet<&str> = items.iter().filter_map(name).collect();
    names.len() == items.len()
}

/// Entries such as `environment`: their value stands for them.
fn is_name_and_value(item: &Value) -> bool {
    item.as_object().is_some_and(|map| map.len() == 2 && map.contains_key("value"))
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

    /// Lists whose shown values are masked on both sides, and those in which a name comes twice.
    #[test]
    fn what_looks_the_same_when_masked_is_a_difference_all_the_same() {
        let file = |key: &str| json!({"environmentFiles": [{"type": "s3", "value": key}]});
        let specification = |key: &str| json!({"credentialSpecs": [key]});
        let twice = |value: &str| json!({"environment": [{"name": "A", "value": "1"}, {"name": "A", "value": value}]});
        for (live, desired, field) in [
            (file("one"), file("two"), "environmentFiles"),
            (specification("one"), specification("two"), "credentialSpecs"),
            (twice("2"), twice("3"), "environment"),
        ] {
            check(&live, &desired, &[&format!("containers[api].{field} (masked) -> (masked)")]);
        }
        let named =
            |command: &str| json!({"containerDefinitions": [{"name": "environment", "command": [command]}]});
        assert_eq!(task_definitions(&named("one"), &named("two")).len(), 1);
    }

    #[test]
    fn all_differences_count_and_some_are_listed() {
        let variables = |value: &str| -> Value {
            (0..60).map(|number| json!({"name": format!("V{number:02}"), "value": value})).collect()
        };
        let definition =
            |value: &str| json!({"containerDefinitions": [{"name": "api", "environment": variables(value)}]});
        let found = task_definitions(&definition("one"), &definition("two"));
        assert_eq!(found.len(), 60);
        let listed = listed(found);
        assert_eq!((listed.len(), listed[50].field.as_str()), (51, "(10 more)"));
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
