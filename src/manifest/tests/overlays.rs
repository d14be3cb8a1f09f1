//! `taskDefinitionPatch` and `values` where the task definition is no file.

use super::*;
use crate::model::{Containers, Overlay};

fn overlay(keys: &str) -> Overlay {
    desired(
        &read_files(&[
            ("api.yaml", &format!("{APPLICATION}{keys}")),
            ("patch.json", "{\"cpu\": \"1024\"}"),
            ("test.yaml", ENVIRONMENT),
        ]),
        "test/api",
    )
    .overlay
}

#[test]
fn patch_and_values_are_laid_over_a_base() {
    assert_eq!(overlay(""), Overlay::default());
    for base in ["", "  taskDefinition: {from: service}\n", "  taskDefinition: {from: family, family: f}\n"] {
        let found = overlay(&format!(
            "{base}  taskDefinitionPatch: {{cpu: \"512\", memory: \"<MEMORY>\"}}\n  values: {{MEMORY: 1024}}\n"
        ));
        assert_eq!(found.patch, Some(serde_json::json!({"cpu": "512", "memory": "1024"})));
        assert_eq!(found.values.keys().collect::<Vec<_>>(), ["ENVIRONMENT", "MEMORY"]);
        assert_eq!(
            overlay(&format!("{base}  taskDefinitionPatch: patch.json\n")).patch,
            Some(serde_json::json!({"cpu": "1024"}))
        );
    }
    let containers = "  taskDefinitionPatch: {containerDefinitions: [{name: a, image: <IMAGE1_NAME>, memory: 1}, {name: b, image: c, memory: 1}]}\n";
    let application = format!("{APPLICATION}{containers}");
    let api = desired(&read_files(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)]), "test/api");
    assert_eq!(api.images[0].containers, Containers::Named(vec!["a".to_owned()]));
}

#[test]
fn values_that_no_file_uses_are_for_the_base_and_told_as_those_over_a_file_are() {
    let keys = "  taskDefinitionPatch: {memory: \"<MEMORY>\"}\n  values: {MEMORY: 1024, UNUSED: debug}\n";
    let told = overlay(keys).for_the_base;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["UNUSED"]);
    let over_a_base = &told["UNUSED"];
    assert_eq!(over_a_base.targets.len(), 1);
    let text = format!("{APPLICATION}  taskDefinition: taskdef.json\n{keys}");
    let file = TASK_DEFINITION.replace(", \"futureField2028\": 1", "");
    let declaration = read_files(&[("api.yaml", &text), ("taskdef.json", &file), ("test.yaml", ENVIRONMENT)]);
    let over_a_file = &declaration.findings[0];
    assert_eq!(over_a_base.message, over_a_file.message);
    assert_eq!((over_a_base.severity, &over_a_base.field), (over_a_file.severity, &over_a_file.field));
    assert_eq!((over_a_base.position.line, over_a_base.position.column), (8, 26));
}

#[test]
fn what_is_wrong_in_a_patch_is_told_where_it_stands() {
    for (keys, finding) in [
        ("taskDefinitionPatch: [a]", "api.yaml:7:24 expected a map, found a list"),
        (
            "taskDefinitionPatch: {family: x}",
            "api.yaml:7:25 the family of a base stays as it is | use a task definition file",
        ),
        ("taskDefinitionPatch: {Cpu: \"512\"}", "api.yaml:7:25 unknown field `Cpu` | did you mean `cpu`?"),
        ("taskDefinitionPatch: {cppu: \"512\"}", "api.yaml:7:25 unknown field `cppu` | did you mean `cpu`?"),
        (
            "taskDefinitionPatch: {containerDefinition: [{name: api, cpu: 1}]}",
            "api.yaml:7:25 unknown field `containerDefinition` | did you mean `containerDefinitions`?",
        ),
        ("taskDefinitionPatch: {cpu: 512}", "api.yaml:7:30 expected text, found a number | put it in quotes"),
        ("taskDefinitionPatch: {cpu: \"<CPU>\"}", "api.yaml:7:30 no value for <CPU> | add CPU to `values`"),
        ("taskDefinitionPatch: nothing.json", "api.yaml:7:24 there is no file `nothing.json`"),
        (
            "taskDefinition: {from: service, family: x}",
            "api.yaml:7:35 `family` has no effect here | write {from: family, family: NAME}, or leave it out",
        ),
    ] {
        let application = format!("{APPLICATION}  {keys}\n");
        check(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)], &[finding], &["test/api"]);
    }
    let application = format!(
        "{APPLICATION}  taskDefinition: taskdef.json\n  taskDefinitionPatch: {{cpu: \"300\", requiresCompatibilities: [FARGATE], networkMode: awsvpc, memory: \"512\", executionRoleArn: r}}\n  values: {{LEVEL: debug}}\n"
    );
    let file = TASK_DEFINITION.replace(", \"futureField2028\": 1", "");
    check(
        &[("api.yaml", &application), ("taskdef.json", &file), ("test.yaml", ENVIRONMENT)],
        &["api.yaml:8:30 Fargate has no cpu 300 | one of 256, 512, 1024, 2048, 4096, 8192, 16384, 32768"],
        &["test/api"],
    );
}
