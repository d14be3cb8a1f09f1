//! Repository text to what is desired, and findings. Pure: the files are handed in.
//!
//! Parse, then resolve: `text` turns YAML and JSON into nodes with places, `read` makes documents of them, and
//! `resolve` expands every environment into one [`Desired`](crate::model::Desired) for each application.

mod app_spec;
mod check;
mod commit_tag;
pub mod edit;
#[cfg(test)]
pub(crate) mod example;
mod image_definitions;
mod leftovers;
mod named;
pub(crate) mod names;
mod read;
mod resolve;
mod schema;
mod service_settings;
mod task_definition;
mod task_set;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Declaration, InfraCommit, Shape, ShapeComplaint};
use crate::text::report;

pub use image_definitions::Reference as ImageAddress;
pub use named::{MOST_NODES, Needs, is_document, is_of_this_program, needs};

pub(crate) use names::NameKind;
pub(crate) use read::is_name as is_document_name;
pub use schema::schema;

/// Every key of the documents, whose full example is `examples/every-key`.
pub const KEYS: [&str; 88] = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "spec",
    "repository",
    "commitTag",
    "source",
    "service",
    "cluster",
    "taskDefinition",
    "from",
    "family",
    "containers",
    "container",
    "images",
    "imageDefinitions",
    "strategy",
    "rolling",
    "codeDeploy",
    "application",
    "deploymentGroup",
    "appSpec",
    "deploymentConfig",
    "create",
    "serviceRole",
    "targetGroups",
    "productionListener",
    "testListener",
    "readyWait",
    "terminationWait",
    "alarms",
    "blueGreen",
    "canary",
    "linear",
    "share",
    "step",
    "stepBake",
    "bake",
    "traffic",
    "port",
    "productionRule",
    "testRule",
    "role",
    "hooks",
    "lambda",
    "pause",
    "at",
    "details",
    "timeout",
    "onTimeout",
    "circuitBreaker",
    "failures",
    "schedule",
    "rules",
    "schedules",
    "success",
    "serviceSettings",
    "values",
    "taskDefinitionPatch",
    "tags",
    "policy",
    "drift",
    "onFailure",
    "progressDeadline",
    "steady",
    "inFlight",
    "pin",
    "moveTag",
    "after",
    "requires",
    "environmentTag",
    "registry",
    "account",
    "region",
    "applications",
    "commit",
    "commits",
    "release",
    "mode",
    "observe",
    "suspend",
    "until",
    "reason",
    "rollout",
    "maxInFlight",
    "stopAfterFailures",
    "heal",
];

/// The files below the watched path: path to text, or why it cannot be read (a symlink, too large, not UTF-8).
pub type Files = BTreeMap<String, Result<String, String>>;

/// Checks a task definition or the settings of a service against AWS's model.
pub type CheckShape<'a> = &'a dyn Fn(Shape, &Value) -> Vec<ShapeComplaint>;

/// Reads everything that the files declare. What cannot be read freezes those it concerns, and nobody else.
pub fn read(files: &Files, infra_commit: Option<InfraCommit>, check_shape: CheckShape<'_>) -> Declaration {
    let documents = read::documents(files);
    let mut declaration = resolve::declaration(files, documents, check_shape);
    let contradictions =
        [check::claims(&declaration), check::order(&declaration), check::roles(&declaration)];
    declaration.findings.extend(contradictions.into_iter().flatten());
    check::freeze(&mut declaration);
    declaration.infra_commit = infra_commit;
    declaration.findings = report::said_once(declaration.findings);
    report::cut(&mut declaration.findings, report::MOST_OF_ALL);
    let text = |file: &str| files.get(file)?.as_deref().ok();
    report::add_excerpts(&mut declaration.findings, text);
    declaration
}
