//! Task definition files: the input of `RegisterTaskDefinition`, or pasted output of `DescribeTaskDefinition`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Members that only a description has (Amazon ECS API reference, `TaskDefinition`).
const RESPONSE_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// The registration input in a pasted description; anything else unchanged.
pub(super) fn registration_input(pasted: Value) -> Value {
    let Value::Object(mut fields) = pasted else { return pasted };
    if let Some(Value::Object(inner)) = fields.shift_remove("taskDefinition") {
        let tags = fields.shift_remove("tags");
        fields = inner;
        fields.extend(tags.map(|tags| ("tags".to_owned(), tags)));
    }
    fields.retain(|key, _| !RESPONSE_ONLY.contains(&key.as_str()));
    Value::Object(fields)
}

/// Replaces `<NAME>` in every text by its value.
pub(super) fn fill_in(value: &mut Value, values: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            for (name, replacement) in values {
                let placeholder = format!("<{name}>");
                if text.contains(&placeholder) {
                    *text = text.replace(&placeholder, replacement);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_in(item, values)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill_in(field, values)),
        _ => {}
    }
}

/// JSON merge patch (RFC 7386).
pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (key, change) in patch {
        if change.is_null() {
            fields.shift_remove(key);
        } else {
            merge_patch(fields.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Placeholders `<NAME>` that are still in the text of a value, with the path of the field.
pub(super) fn placeholders(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => {
            let mut rest = text.as_str();
            while let Some((name, after)) = rest.split_once('<').and_then(|(_, tail)| tail.split_once('>')) {
                let is_name = !name.is_empty()
                    && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
                if is_name {
                    found.push((path.to_owned(), format!("<{name}>")));
                }
                rest = after;
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                placeholders(item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                placeholders(field, &inner, found);
            }
        }
        _ => {}
    }
}
