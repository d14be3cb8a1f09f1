//! What a small repository could make a process hold.

use std::sync::Arc;

use super::*;
use crate::model::TaskDefinitionSource;

fn environment(name: &str, entries: &str) -> String {
    format!(
        "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  cluster: {name}\n  applications: {{{entries}}}\n"
    )
}

#[test]
fn a_task_definition_that_many_environments_name_is_kept_once() {
    let application =
        format!("{APPLICATION}  taskDefinition: taskdef.json\n  environmentTag: \"{{environment}}\"\n");
    let file = r#"{"family": "api", "executionRoleArn": "tasks", "containerDefinitions": [{"name": "api", "image": "<IMAGE_NAME>", "memory": 128}]}"#;
    let (one, two) =
        (environment("one", "api: {commit: bbbbbbb}"), environment("two", "api: {commit: ccccccc}"));
    let declaration = read_files(&[
        ("api.yaml", &application),
        ("taskdef.json", file),
        ("one.yaml", &one),
        ("two.yaml", &two),
    ]);
    let inputs: Vec<&Arc<serde_json::Value>> = declaration
        .readable()
        .filter_map(|desired| match &desired.task_definition {
            TaskDefinitionSource::File { input, .. } => Some(input),
            _ => None,
        })
        .collect();
    let [one, two] = inputs.as_slice() else { panic!("{:#?}", declaration.findings) };
    assert!(Arc::ptr_eq(one, two));
}

#[test]
fn of_many_findings_the_first_are_told_and_the_rest_is_counted() {
    let unknown: Vec<String> = (0..200).map(|number| format!("  x{number}: 1\n")).collect();
    let application = format!("{APPLICATION}{}", unknown.concat());
    let environments: Vec<(String, String)> = (0..20)
        .map(|number| {
            (format!("{number}.yaml"), environment(&format!("t{number}"), "api: {commit: bbbbbbb}"))
        })
        .collect();
    let mut entries = vec![("api.yaml", application.as_str())];
    entries.extend(environments.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let declaration = read_files(&entries);
    let said = said(&declaration);
    assert_eq!(said.len(), 51, "{said:#?}");
    assert_eq!(
        said.iter().filter(|said| said.contains("more findings are left out")).count(),
        1,
        "{said:#?}"
    );
    assert_eq!(declaration.readable().count(), 0, "whoever has one is frozen, told or not");
}
