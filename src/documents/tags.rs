//! Tags of task definition revisions: those that are for others to give.

use std::collections::BTreeMap;

use serde_json::Value;

use super::memory;

/// Tags of one resource (Amazon ECS API reference, `RegisterTaskDefinition`).
const MOST: usize = 50;

/// How many tags can be declared of a revision with this number of images: the others are what trueup remembers on it, now
/// and later.
pub fn most_declared(images: usize) -> usize {
    MOST.saturating_sub(memory::KEYS.len()).saturating_sub(images.saturating_sub(1))
}

/// Whether there is room for one tag more, which nothing rests on: what alerts were taken. `foreign`: tags that others give.
pub fn has_room_for_receipts(foreign: usize, images: usize) -> bool {
    foreign < most_declared(images)
}

/// Whether a tag is not for others to give: AWS's own, and those of trueup's memory.
pub fn is_reserved(key: &str) -> bool {
    let start =
        |prefix: &str| key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    start("aws:") || start(memory::PREFIX)
}

/// Without those that are not for others to give.
pub fn foreign(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = tags.iter().filter(|(key, _)| !is_reserved(key));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Those that a task definition file gives.
pub fn in_file(input: &Value) -> BTreeMap<String, String> {
    let tags = input.get("tags").and_then(Value::as_array).into_iter().flatten();
    let text = |tag: &Value, key: &str| tag.get(key).and_then(Value::as_str).map(str::to_owned);
    let tags = tags.filter_map(|tag| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default())));
    tags.filter(|(key, _)| !is_reserved(key)).collect()
}
