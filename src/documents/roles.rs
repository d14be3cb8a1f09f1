//! The roles that a repository gives away.

use serde_json::Value;

use crate::model::{Desired, Hook, Native, Strategy, TaskDefinitionSource};

/// Those that a task definition gives to its tasks and to the agent that starts them. AWS takes an empty one for none.
pub fn of_task_definition(input: &Value) -> impl Iterator<Item = &str> {
    let role = |key| input.get(key).and_then(Value::as_str).filter(|role| !role.is_empty());
    ["taskRoleArn", "executionRoleArn"].into_iter().filter_map(role)
}

/// Those that the settings of a service give to ECS itself: for volumes, load balancers and lifecycle hooks.
pub fn of_settings(settings: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = vec![settings];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => rest.extend(fields.values()),
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
        found.extend(value.get("roleArn").and_then(Value::as_str));
    }
    found
}

/// Those that a native strategy gives to ECS itself: for load balancers and for functions.
pub fn of_native(native: &Native) -> impl Iterator<Item = &str> {
    let balancers = native.balancers.iter().flatten().map(|balancer| balancer.role.as_str());
    let hooks = native.hooks.iter().flatten().filter_map(|hook| match hook {
        Hook::Lambda { role, .. } => Some(role.as_str()),
        Hook::Pause { .. } => None,
    });
    balancers.chain(hooks)
}

/// All that the files name: of tasks, of the service, of its strategy, and of a CodeDeploy group that is made.
pub fn declared(desired: &Desired) -> Vec<&str> {
    let mut roles = desired.service_settings.as_ref().map(of_settings).unwrap_or_default();
    if let TaskDefinitionSource::File { input, .. } = &desired.task_definition {
        roles.extend(of_task_definition(input));
    }
    roles.extend(desired.overlay.patch.iter().flat_map(of_task_definition));
    match &desired.strategy {
        Strategy::CodeDeploy(settings) => {
            roles.extend(settings.create.iter().map(|group| group.service_role.as_str()));
        }
        Strategy::Native(native) => roles.extend(of_native(native)),
        Strategy::Rolling | Strategy::Unspecified => {}
    }
    roles
}
