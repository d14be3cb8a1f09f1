//! Members of AWS's JSON. What has another type than AWS gives it is not there.

use aws_smithy_types::DateTime;
use serde_json::Value;

use crate::model::Millis;

/// What a member of a value holds; null where there is none.
pub(super) fn member<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.get(key).unwrap_or(&Value::Null)
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

pub(super) fn owned(value: &Value, key: &str) -> Option<String> {
    text(value, key).map(str::to_owned)
}

pub(super) fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

pub(super) fn number(value: &Value, key: &str) -> Option<i32> {
    i32::try_from(value.get(key)?.as_i64()?).ok()
}

/// Zero where there is none.
pub(super) fn count(value: &Value, key: &str) -> i32 {
    number(value, key).unwrap_or_default()
}

/// AWS's JSON has seconds since 1970, with a fraction.
pub(super) fn time(value: &Value, key: &str) -> Option<Millis> {
    DateTime::from_secs_f64(value.get(key)?.as_f64()?).to_millis().ok()
}

pub(super) fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn texts<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v str> + use<'v> {
    list(value, key).filter_map(Value::as_str)
}

/// Where the next page begins; `None` on the last one.
pub(super) fn next_page(value: &Value, key: &str) -> Option<String> {
    owned(value, key).filter(|token| !token.is_empty())
}
