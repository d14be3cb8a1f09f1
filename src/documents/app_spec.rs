//! The `AppSpec` of a deployment by CodeDeploy. Its keys are found in any case, as `aws ecs deploy` finds them.

use serde_json::{Value, json};

use crate::text::tree;

/// The text in an `AppSpec` of a pipeline that stands for the task definition.
pub const TASK_DEFINITION: &str = "<TASK_DEFINITION>";

/// Whatever the file says of a task definition is replaced, as `aws ecs deploy` does; keys are found in any case.
pub fn filled_in(content: &Value, task_definition: &str) -> Value {
    match content {
        Value::Object(members) => {
            let fill = |(key, value): (&String, &Value)| {
                let is_it = key.eq_ignore_ascii_case("TaskDefinition");
                let value = if is_it { json!(task_definition) } else { filled_in(value, task_definition) };
                (key.clone(), value)
            };
            Value::Object(members.iter().map(fill).collect())
        }
        Value::Array(items) => items.iter().map(|item| filled_in(item, task_definition)).collect(),
        other => other.clone(),
    }
}

/// The task definition that the text of a deployed `AppSpec` names, YAML or JSON.
pub fn deployed(text: &str) -> Option<String> {
    let documents = tree::documents(text).ok()?;
    task_definition_of(&documents.first()?.to_json()).map(str::to_owned)
}

/// The task definition that an `AppSpec` names.
pub fn task_definition_of(content: &Value) -> Option<&str> {
    match content {
        Value::Object(members) => members.iter().find_map(|(key, value)| {
            let named = value.as_str().filter(|_| key.eq_ignore_ascii_case("TaskDefinition"));
            named.or_else(|| task_definition_of(value))
        }),
        Value::Array(items) => items.iter().find_map(task_definition_of),
        _ => None,
    }
}

/// Whether an `AppSpec` has a hook for the event.
pub fn has_hook(content: &Value, event: &str) -> bool {
    hooks(content).any(|(name, _)| name.eq_ignore_ascii_case(event))
}

/// The hooks of an `AppSpec`: the event, and the name or ARN of the function that is called.
pub fn hooks(content: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let mut members = content.as_object().into_iter().flatten();
    let hooks =
        members.find(|(name, _)| name.eq_ignore_ascii_case("Hooks")).and_then(|(_, hooks)| hooks.as_array());
    let events = hooks.into_iter().flatten().filter_map(Value::as_object);
    events.flatten().map(|(event, function)| (event.as_str(), function))
}
