//! `trueup render`: the task definition and the `AppSpec` that would be sent, as far as they are declared. Needs no AWS.

use serde_json::{Value, json};

use super::source::{InfraRepository, print_findings};
use super::{End, Names, RepositoryArgs, streams};
use crate::model::{Declared, Strategy, TaskDefinitionSource};

pub(super) fn run(arguments: &RepositoryArgs, names: &Names) -> anyhow::Result<End> {
    let declaration = InfraRepository::open(arguments)?.working_tree()?;
    let broken = print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let mut rendered = serde_json::Map::new();
    for declared in declaration.applications.iter().filter(|declared| selection.holds(declared.target())) {
        if let Declared::Readable(desired) = declared {
            let mut task_definition = match &desired.task_definition {
                TaskDefinitionSource::File { input, .. } => Value::clone(input),
                TaskDefinitionSource::Service => json!({"from": "service"}),
                TaskDefinitionSource::Family(family) => json!({"from": "family", "family": family}),
            };
            if let Some(patch) = &desired.overlay.patch {
                task_definition["taskDefinitionPatch"] = patch.clone();
            }
            if !desired.overlay.values.is_empty() {
                task_definition["values"] = json!(desired.overlay.values);
            }
            let mut sent = json!({"taskDefinition": task_definition});
            if let Strategy::CodeDeploy(settings) = &desired.strategy {
                let made = || json!({"from": "service"});
                sent["appSpec"] = settings.app_spec.as_ref().map_or_else(made, |spec| spec.content.clone());
            }
            rendered.insert(desired.target.to_string(), sent);
        }
    }
    streams::document(&Value::Object(rendered));
    Ok(if broken { End::Error } else { End::Good })
}
