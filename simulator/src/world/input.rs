//! Reading the members of a request, and cutting answers into pages.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::AwsError;

pub(super) type Input = Map<String, Value>;
pub(super) type Tags = BTreeMap<String, String>;

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

/// A required text member.
pub(super) fn text<'a>(input: &'a Input, key: &str) -> Result<&'a str, AwsError> {
    optional(input, key)?.ok_or_else(|| invalid(format!("{key} is missing")))
}

/// A text member that may be missing, but not of another type.
pub(super) fn optional<'a>(input: &'a Input, key: &str) -> Result<Option<&'a str>, AwsError> {
    match input.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(AwsError::client("SerializationException", format!("{key} is no text"))),
    }
}

/// A whole number that is not negative.
pub(super) fn count(input: &Input, key: &str) -> Result<Option<u64>, AwsError> {
    match input.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| invalid(format!("{key} must not be negative"))),
    }
}

pub(super) fn flag(input: &Input, key: &str) -> bool {
    input.get(key).and_then(Value::as_bool) == Some(true)
}

pub(super) fn list<'a>(input: &'a Input, key: &str) -> impl Iterator<Item = &'a Value> {
    input.get(key).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn texts<'a>(input: &'a Input, key: &str) -> impl Iterator<Item = &'a str> {
    list(input, key).filter_map(Value::as_str)
}

/// The names of a batch, of which AWS takes at most so many.
pub(super) fn batch<'a>(input: &'a Input, key: &str, most: usize) -> Result<Vec<&'a str>, AwsError> {
    let names: Vec<&str> = texts(input, key).collect();
    match names.len() {
        0 => Err(invalid(format!("{key} cannot be empty."))),
        found if found > most => Err(invalid(format!("{key} cannot have more than {most} elements."))),
        _ => Ok(names),
    }
}

/// The part of an ARN after the last slash; a name as it is.
pub(super) fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

/// One page of items and the token of the next. Tokens are opaque: here an offset.
pub(super) fn page<T>(
    items: Vec<T>,
    input: &Input,
    default: usize,
    most: usize,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let asked = count(input, "maxResults")?.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    let size = asked.unwrap_or(default);
    if !(1..=most).contains(&size) {
        return Err(invalid(format!("maxResults must be between 1 and {most}.")));
    }
    let start: usize = match optional(input, "nextToken")? {
        Some(token) => token.parse().map_err(|_| invalid("Invalid token"))?,
        None => 0,
    };
    let next = start.saturating_add(size);
    let token = (next < items.len()).then(|| next.to_string());
    Ok((items.into_iter().skip(start).take(size).collect(), token))
}

/// A page of the size that the operation has; it cannot be asked for.
pub(super) fn page_of<T>(
    items: Vec<T>,
    input: &Input,
    size: usize,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let mut without_size = input.clone();
    without_size.shift_remove("maxResults");
    page(items, &without_size, size, size)
}

pub(super) fn with_token(mut answer: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        answer["nextToken"] = Value::from(token);
    }
    answer
}

/// Tags in the manner of ECS (lower-case members), within the documented bounds (Amazon ECS API reference, `Tag`).
pub(super) fn tags_of(input: &Input) -> Result<Tags, AwsError> {
    let mut tags = Tags::new();
    for tag in list(input, "tags") {
        let part = |key: &str| tag.get(key).and_then(Value::as_str);
        let key = part("key").filter(|key| (1..=128).contains(&key.chars().count()));
        let key = key.filter(|key| !key.to_ascii_lowercase().starts_with("aws:"));
        let value = part("value").unwrap_or_default();
        let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
        match key {
            Some(key) if value.chars().count() <= 256 && allowed(key) && allowed(value) => {
                tags.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(invalid("Invalid tag.")),
        }
    }
    within_tag_limit(&tags)?;
    Ok(tags)
}

pub(super) fn within_tag_limit(tags: &Tags) -> Result<(), AwsError> {
    if tags.len() > 50 { Err(invalid("The maximum number of tags is 50.")) } else { Ok(()) }
}

pub(super) fn described_tags(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}
