//! Values as they stand in a file: on one line, and read as text by every reader of YAML.

use std::collections::BTreeMap;

/// A value of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Text(String),
    List(Vec<Value>),
    /// In the order in which it is written.
    Map(Vec<(&'static str, Value)>),
    /// By names from outside.
    Named(BTreeMap<String, String>),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// On one line. `{` of a placeholder begins a map there, so that such a text is quoted.
pub fn inline(value: &Value) -> String {
    let joined = |items: Vec<String>| items.join(", ");
    match value {
        Value::Text(text) => scalar(text),
        Value::List(items) => format!("[{}]", joined(items.iter().map(inline).collect())),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key}: {}", inline(value)));
            format!("{{ {} }}", joined(entries.collect()))
        }
        Value::Named(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", scalar(key), quoted(value)));
            format!("{{ {} }}", joined(entries.collect()))
        }
    }
}

/// Words that some readers of YAML take for something else than text.
const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// Behind a key that has its line for itself, where `{` begins nothing within a text.
pub fn own_line(value: &Value) -> String {
    match value {
        Value::Text(text) if is_plain(text, b"/_.-{}") => text.clone(),
        other => inline(other),
    }
}

pub fn scalar(text: &str) -> String {
    if is_plain(text, b"/_.-") { text.to_owned() } else { quoted(text) }
}

/// Letters, digits and these others, read as text by everybody.
fn is_plain(text: &str, others: &[u8]) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// As JSON has it, which is YAML too.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_reader_would_take_for_a_number_or_a_switch_is_quoted() {
        for (text, expected) in [
            ("mco/api", "mco/api"),
            ("1234567", "\"1234567\""),
            ("12345e7", "\"12345e7\""),
            ("No", "\"No\""),
            ("mco-{environment}", "\"mco-{environment}\""),
            ("a: b", "\"a: b\""),
            ("", "\"\""),
            ("_a", "\"_a\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
        assert_eq!(own_line(&Value::text("mco-{environment}")), "mco-{environment}");
        assert_eq!(own_line(&Value::text("{environment}")), "\"{environment}\"");
        let value = Value::Map(vec![("containers", Value::List(vec![Value::text("api"), Value::text("7")]))]);
        assert_eq!(inline(&value), "{ containers: [api, \"7\"] }");
    }
}
