//! What is read from which text, and what is said about text that cannot be read.

mod applications;
mod aws_rules;
mod bounds;
mod documents;
mod images;
mod mutation_tests;
mod named_files;
mod names;
mod native;
mod overlays;
mod placeholders;
mod schedules;
mod strategies;
mod tags;
mod tasks;

use super::*;
use crate::model::{Declared, Desired, Severity, SuspensionScope};

const APPLICATION: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api-{environment}\n";
const ENVIRONMENT: &str = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  cluster: mco\n  applications:\n    api: { commit: 3f2c1ab }\n";

fn files(entries: &[(&str, &str)]) -> Files {
    entries.iter().map(|(path, text)| ((*path).to_owned(), Ok((*text).to_owned()))).collect()
}

fn read_files(entries: &[(&str, &str)]) -> Declaration {
    read(&files(entries), None, &crate::aws::check_shape)
}

fn desired(declaration: &Declaration, target: &str) -> Desired {
    let found = declaration.applications.iter().find(|declared| declared.target().to_string() == target);
    match found {
        Some(Declared::Readable(desired)) => (**desired).clone(),
        other => panic!("{target}: {other:?} {:#?}", declaration.findings),
    }
}

/// Findings as `file:line:column message | hint`.
fn said(declaration: &Declaration) -> Vec<String> {
    let line = |finding: &crate::model::Finding| {
        let at = &finding.position;
        let hint = finding.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
        format!("{}:{}:{} {}{hint}", at.file, at.line, at.column, finding.message)
    };
    declaration.findings.iter().map(line).collect()
}

/// Findings, and who is frozen.
#[track_caller]
fn check(entries: &[(&str, &str)], findings: &[&str], frozen: &[&str]) {
    let declaration = read_files(entries);
    assert_eq!(said(&declaration), findings);
    let names: Vec<String> = declaration
        .applications
        .iter()
        .filter(|declared| matches!(declared, Declared::Frozen(_)))
        .map(|declared| declared.target().to_string())
        .collect();
    assert_eq!(names, frozen);
}

/// `ENVIRONMENT` with another entry for the only application.
fn entry(text: &str) -> String {
    ENVIRONMENT.replace("{ commit: 3f2c1ab }", text)
}

const TASK_DEFINITION: &str = r#"{
  "taskDefinition": {
    "family": "mco-api",
    "revision": 4,
    "containerDefinitions": [
      {"name": "api", "image": "<IMAGE_NAME>", "memory": 128, "environment": [{"name": "LEVEL", "value": "<LEVEL>"}], "futureField2028": 1}
    ]
  },
  "tags": []
}"#;
