//! What rules and schedules do when their time comes, which somebody has to say (`World::fire`): they run tasks of ECS, by
//! `RunTask` as everybody. Targets of other services are sent nothing.

use serde_json::{Map, Value, json};

use super::World;
use super::input::last_part;

impl World {
    /// The time of a rule comes, or of a schedule by its name or `<group>/<name>`; by both where they are called alike. Whether
    /// any task was started: one that is disabled starts none, and what ECS refuses is lost.
    pub fn fire(&mut self, name: &str) -> bool {
        let rule = self.rules.get(name).filter(|rule| rule.is_enabled);
        let of_rule = rule.into_iter().flat_map(|rule| &rule.targets);
        // Chosen: what tasks are seen to say, which no page does.
        let of_rule = of_rule.filter_map(|(_, target)| run(target, &format!("events-rule/{name}")));
        let (group, own) = name.split_once('/').unwrap_or(("default", name));
        let schedule = self.schedules.all.get(&(group.to_owned(), own.to_owned()));
        let of_schedule = schedule.filter(|schedule| schedule.is_enabled());
        let of_schedule = of_schedule.and_then(|schedule| schedule.settings.get("Target"));
        let of_schedule = of_schedule.and_then(|target| run(target, &format!("chronos-schedule/{own}")));
        let runs: Vec<Map<String, Value>> = of_rule.chain(of_schedule).collect();
        let before = self.runs_started();
        for input in runs {
            let _ = self.ecs("RunTask", &input);
        }
        self.runs_started() > before
    }
}

/// What `RunTask` is sent for a target; `None`: it is none of ECS.
fn run(target: &Value, started_by: &str) -> Option<Map<String, Value>> {
    let parameters = target.get("EcsParameters")?;
    // An ARN without a number is that of the newest ACTIVE revision.
    let definition = last_part(parameters.get("TaskDefinitionArn")?.as_str()?);
    let mut input = json!({
        "cluster": target.get("Arn")?,
        "taskDefinition": definition,
        "count": parameters.get("TaskCount").and_then(Value::as_u64).unwrap_or(1),
        "startedBy": started_by,
    });
    for (theirs, ours) in [
        ("LaunchType", "launchType"),
        ("PlatformVersion", "platformVersion"),
        ("Group", "group"),
        ("PropagateTags", "propagateTags"),
        ("CapacityProviderStrategy", "capacityProviderStrategy"),
    ] {
        if let Some(value) = parameters.get(theirs) {
            input[ours] = value.clone();
        }
    }
    if let Some(network) = parameters.get("NetworkConfiguration") {
        input["networkConfiguration"] = in_small_letters(network);
    }
    let overrides = target.get("Input").and_then(Value::as_str);
    if let Some(overrides) = overrides.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        input["overrides"] = overrides;
    }
    input.as_object().cloned()
}

/// Members as ECS spells them: each with a small letter in front.
fn in_small_letters(value: &Value) -> Value {
    let small = |key: &String| {
        let mut letters = key.chars();
        letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
    };
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (small(key), in_small_letters(value))).collect())
        }
        Value::Array(items) => items.iter().map(in_small_letters).collect(),
        other => other.clone(),
    }
}
