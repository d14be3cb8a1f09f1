//! What differs between the live and the desired task definition, field by field. Whether they are equal rests on this, so
//! nothing that differs is left out; of values only what [`super::shown`] allows is told, and [`listed`] cuts what is
//! shown to people.

use std::collections::BTreeSet;

use serde_json::Value;

use super::normalise;
use super::shown::{self, Field, Origin};
use crate::model::Difference;

/// Differences beyond this number are counted, not listed.
const MOST_DIFFERENCES: usize = 50;

/// Compares two `RegisterTaskDefinition` inputs by effect: both are normalised first. `origin`: of the desired one.
pub fn task_definitions(live: &Value, desired: &Value, origin: Origin) -> Vec<Difference> {
    between(live, desired, (Origin::Aws, origin))
}

/// The same of two that the repository declares, the first one before the other.
pub fn of_task_definitions(before: &Value, after: &Value) -> Vec<Difference> {
    between(before, after, (Origin::Git, Origin::Git))
}

fn between(live: &Value, desired: &Value, origins: (Origin, Origin)) -> Vec<Difference> {
    compared(&normalise::by_effect(live), &normalise::by_effect(desired), origins)
}

/// Compares two documents that the repository declares, as they are.
pub fn of_declarations(before: &Value, after: &Value) -> Vec<Difference> {
    compared(before, after, (Origin::Git, Origin::Git))
}

fn compared(live: &Value, desired: &Value, origins: (Origin, Origin)) -> Vec<Difference> {
    let mut found = Comparison { origins, found: Vec::new() };
    found.compare(&Field::root(""), Some(live), Some(desired));
    found.found
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

struct Comparison {
    /// Of the live and of the desired side.
    origins: (Origin, Origin),
    found: Vec<Difference>,
}

impl Comparison {
    fn compare(&mut self, field: &Field, live: Option<&Value>, desired: Option<&Value>) {
        match (live, desired) {
            (Some(one), Some(two)) if one == two => {}
            (Some(Value::Object(one)), Some(Value::Object(two))) => {
                let mut keys: Vec<&String> =
                    one.keys().chain(two.keys().filter(|key| !one.contains_key(*key))).collect();
                keys.sort();
                for key in keys {
                    self.compare(&field.member(key), one.get(key), two.get(key));
                }
            }
            (Some(Value::Array(one)), Some(Value::Array(two))) => self.compare_lists(field, one, two),
            (None, Some(Value::Array(two))) => self.compare_lists(field, &[], two),
            (Some(Value::Array(one)), None) => self.compare_lists(field, one, &[]),
            (live, desired) => self.differs(field, live, desired),
        }
    }

    fn differs(&mut self, field: &Field, live: Option<&Value>, desired: Option<&Value>) {
        let (of_live, of_desired) = self.origins;
        let declared = desired.filter(|_| of_desired == Origin::Git);
        self.found.push(Difference {
            live: live.map(|value| match of_live {
                Origin::Git => shown::desired(field, value, of_live),
                Origin::Aws => shown::live(field, value, declared),
            }),
            desired: desired.map(|value| shown::desired(field, value, of_desired)),
            field: field.path.clone(),
        });
    }

    fn compare_lists(&mut self, field: &Field, one: &[Value], two: &[Value]) {
        if one == two {
            return;
        }
        if !are_named_apart(one) || !are_named_apart(two) {
            let list = |items: &[Value]| (!items.is_empty()).then(|| Value::from(items.to_vec()));
            return self.differs(field, list(one).as_ref(), list(two).as_ref());
        }
        let every_name: BTreeSet<&str> = one.iter().chain(two).filter_map(name).collect();
        let pick =
            |list: &[Value], wanted: &str| list.iter().find(|item| name(item) == Some(wanted)).cloned();
        let mut field = field.clone();
        field.path = field.path.replace("containerDefinitions", "containers");
        for wanted in every_name {
            let (live, desired) = (pick(one, wanted), pick(two, wanted));
            if live.iter().chain(&desired).all(is_name_and_value) {
                let value = |item: &Option<Value>| item.as_ref().and_then(|item| item.get("value").cloned());
                self.compare(&field.named_value(wanted), value(&live).as_ref(), value(&desired).as_ref());
            } else {
                self.compare(&field.entry(wanted), live.as_ref(), desired.as_ref());
            }
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
        assert_eq!(told(&wrap(live), &wrap(desired), Origin::Git), expected);
    }

    /// Field, live and desired; a fingerprint without its digits.
    fn told(live: &Value, desired: &Value, origin: Origin) -> Vec<String> {
        let text = |shown: Option<String>| {
            let shown = shown.unwrap_or("-".to_owned());
            let parts: Vec<&str> = shown.split("differs (").collect();
            let rest = parts[1..].iter().map(|part| format!("differs{}", &part[9..]));
            format!("{}{}", parts[0], rest.collect::<String>())
        };
        let found = task_definitions(live, desired, origin).into_iter();
        found.map(|d| format!("{} {} -> {}", d.field, text(d.live), text(d.desired))).collect()
    }

    #[test]
    fn a_difference_names_the_field_and_what_is_declared() {
        check(
            &json!({"environment": [{"name": "LOG_LEVEL", "value": "info"}], "cpu": 10}),
            &json!({"environment": [{"name": "LOG_LEVEL", "value": "debug"}], "cpu": 10, "memory": 512}),
            &["containers[api].environment.LOG_LEVEL differs -> debug", "containers[api].memory - -> 512"],
        );
        check(
            &json!({"command": ["a", "serve"]}),
            &json!({"command": ["b", "serve"]}),
            &[r#"containers[api].command ["differs","serve"] -> ["b","serve"]"#],
        );
    }

    /// Each kind of field, with a value that only AWS knows, and one that git declares.
    #[test]
    fn of_live_values_only_structure_and_what_git_declares_is_shown() {
        let check = |live: Value, desired: Value, expected: &str| {
            check(&live, &desired, &[&format!("containers[api].{expected}")]);
        };
        let image = |tag: &str| json!({"image": format!("123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:{tag}")});
        check(json!({"memory": 512}), json!({"memory": 256}), "memory 512 -> 256");
        check(json!({"essential": false}), json!({}), "essential false -> -");
        check(
            image("1"),
            image("2"),
            "image 123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:1 -> 123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:2",
        );
        check(json!({"image": "https://u:canary@registry/x"}), json!({"image": "x"}), "image differs -> x");
        check(
            json!({"portMappings": [{"containerPort": 80}]}),
            json!({"portMappings": [{"containerPort": 81}]}),
            r#"portMappings [{"containerPort":80}] -> [{"containerPort":81}]"#,
        );
        for (field, live, shown) in [
            ("entryPoint", json!(["sh", "canary"]), r#"["differs","differs"]"#),
            (
                "healthCheck",
                json!({"command": ["CMD", "canary"], "interval": 7}),
                r#"{"command":["differs","differs"],"interval":7}"#,
            ),
            ("dockerLabels", json!({"label": "canary"}), r#"{"label":"differs"}"#),
            (
                "logConfiguration",
                json!({"logDriver": "splunk", "options": {"o": "canary"}}),
                r#"{"logDriver":"splunk","options":{"o":"differs"}}"#,
            ),
            ("user", json!("canary"), "differs"),
            ("hostname", json!("canary"), "differs"),
            ("aFieldOfTomorrow", json!(4242), "differs"),
            (
                "extraHosts",
                json!([{"hostname": "canary", "ipAddress": "1"}]),
                r#"[{"hostname":"differs","ipAddress":"differs"}]"#,
            ),
        ] {
            check(json!({field: live}), json!({}), &format!("{field} {shown} -> -"));
        }
        check(
            json!({"secrets": [{"name": "DB", "valueFrom": "canary"}]}),
            json!({"secrets": [{"name": "DB", "valueFrom": "arn:aws:ssm:eu-west-2:1:parameter/db"}]}),
            "secrets[DB].valueFrom differs -> arn:aws:ssm:eu-west-2:1:parameter/db",
        );
        check(
            json!({"logConfiguration": {"logDriver": "canary"}}),
            json!({}),
            r#"logConfiguration {"logDriver":"differs"} -> -"#,
        );
    }

    /// `{from: family}` and `{from: service}`: what should run was read from AWS too.
    #[test]
    fn a_base_that_was_read_from_aws_is_no_declaration() {
        let definition = |level: &str, memory: i64| {
            json!({"containerDefinitions": [{"name": "api", "memory": memory,
                "environment": [{"name": "LEVEL", "value": level}]}]})
        };
        assert_eq!(
            told(&definition("canary1", 1), &definition("canary2", 2), Origin::Aws),
            ["containers[api].environment.LEVEL differs -> differs", "containers[api].memory 1 -> 2"]
        );
    }

    /// Lists whose shown values are masked on both sides, and those in which a name comes twice.
    #[test]
    fn what_looks_the_same_when_masked_is_a_difference_all_the_same() {
        let specification = |key: &str| json!({"credentialSpecs": [key]});
        check(
            &specification("one"),
            &specification("two"),
            &[r#"containers[api].credentialSpecs ["differs"] -> ["(masked)"]"#],
        );
        let twice = |value: &str| json!({"environment": [{"name": "A", "value": "1"}, {"name": "A", "value": value}]});
        assert_eq!(
            task_definitions(
                &json!({"containerDefinitions": [twice("2")]}),
                &json!({"containerDefinitions": [twice("3")]}),
                Origin::Git
            )
            .len(),
            1
        );
        let named =
            |command: &str| json!({"containerDefinitions": [{"name": "environment", "command": [command]}]});
        assert_eq!(task_definitions(&named("one"), &named("two"), Origin::Git).len(), 1);
    }

    #[test]
    fn all_differences_count_and_some_are_listed() {
        let variables = |value: &str| -> Value {
            (0..60).map(|number| json!({"name": format!("V{number:02}"), "value": value})).collect()
        };
        let definition =
            |value: &str| json!({"containerDefinitions": [{"name": "api", "environment": variables(value)}]});
        let found = task_definitions(&definition("one"), &definition("two"), Origin::Git);
        assert_eq!(found.len(), 60);
        let listed = listed(found);
        assert_eq!((listed.len(), listed[50].field.as_str()), (51, "(10 more)"));
    }

    #[test]
    fn declared_secrets_in_plain_text_are_masked() {
        let variable = |name: &str, value: &str| json!({"environment": [{"name": name, "value": value}]});
        for (name, value) in [
            ("DB_PASS", "canary"),
            ("STRIPE_KEY", "canary"),
            ("URL", "postgres://u:canary@h/d"),
            ("SENTRY", "https://canary@sentry.io/1"),
            ("TLS", "-----BEGIN PRIVATE KEY-----canary"),
            ("GIT", "ghp_canary0123456789"),
        ] {
            let expected = format!("containers[api].environment.{name} differs -> (masked)");
            check(&variable(name, "canary0"), &variable(name, value), &[&expected]);
            check(&json!({}), &variable(name, value), &[&expected.replace("differs", "-")]);
        }
        for command in [
            json!(["--token=canary"]),
            json!(["--token", "canary"]),
            json!(["sh", "-c", "curl https://u:canary@h"]),
        ] {
            check(
                &json!({"command": ["canary0"]}),
                &json!({"command": command}),
                &[r#"containers[api].command ["differs"] -> (masked)"#],
            );
        }
        check(
            &json!({"logConfiguration": {"options": {"splunk-token": "canary0", "splunk-url": "u0"}}}),
            &json!({"logConfiguration": {"options": {"splunk-token": "canary", "splunk-url": "u"}}}),
            &[
                "containers[api].logConfiguration.options.splunk-token differs -> (masked)",
                "containers[api].logConfiguration.options.splunk-url differs -> u",
            ],
        );
        // What is masked is not "declared": a guess that is declared elsewhere in the list shows nothing.
        check(
            &json!({"command": ["canary"]}),
            &json!({"command": ["canary", "--token=x"]}),
            &[r#"containers[api].command ["differs"] -> (masked)"#],
        );
    }
}
