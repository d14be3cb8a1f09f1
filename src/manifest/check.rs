//! What is wrong with a repository that parses: one thing claimed twice, containers and placeholders that do not exist,
//! secrets in the open.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::nearest::suggestion;
use super::report::Report;
use super::task_definition;
use super::tree::Node;
use crate::model::{
    Containers, Declaration, Declared, Desired, DesiredImage, Finding, Severity, Strategy, Target,
    TaskDefinitionSource,
};
use crate::plan::{blue_green, container_images, diff::looks_secret};

/// The same service, CodeDeploy group, tag or family reached from two targets, after expansion.
pub(super) fn claims(declaration: &mut Declaration) {
    let mut findings = Vec::new();
    {
        let desired: Vec<&Desired> = declaration.readable().collect();
        let mut services: BTreeMap<String, Vec<&Desired>> = BTreeMap::new();
        let mut families: BTreeMap<String, Vec<&Desired>> = BTreeMap::new();
        let mut groups: BTreeMap<String, Vec<&Desired>> = BTreeMap::new();
        let mut tags: BTreeMap<String, Vec<&Desired>> = BTreeMap::new();
        for one in &desired {
            let place = format!("{:?}/{:?}/{}", one.account, one.region, one.cluster);
            services.entry(format!("{place}/{}", one.service)).or_default().push(one);
            if let TaskDefinitionSource::Family(family) = &one.task_definition {
                families.entry(format!("{:?}/{:?}/{family}", one.account, one.region)).or_default().push(one);
            }
            if let Strategy::CodeDeploy(settings) = &one.strategy {
                let (application, group) = blue_green::names(settings, one);
                let key = format!("{:?}/{:?}/{application}/{group}", one.account, one.region);
                groups.entry(key).or_default().push(one);
            }
            for image in &one.images {
                let account = one.registry.account.as_ref().or(one.account.as_ref());
                let region = one.registry.region.as_ref().or(one.region.as_ref());
                let tag = format!("{account:?}/{region:?}/{}:{}", image.repository, one.environment_tag);
                tags.entry(tag).or_default().push(one);
            }
        }
        for claimants in services.values().filter(|claimants| claimants.len() > 1) {
            findings.extend(claimed_twice(claimants, |one| {
                format!("service {} of cluster {}", one.service, one.cluster)
            }));
        }
        for claimants in families.values().filter(|claimants| claimants.len() > 1) {
            findings.extend(claimed_twice(claimants, |_| {
                "the task definition family that it starts from".to_owned()
            }));
        }
        for claimants in groups.values().filter(|claimants| claimants.len() > 1) {
            findings.extend(claimed_twice(claimants, |_| "the CodeDeploy group".to_owned()));
        }
        for claimants in tags.values() {
            let one_environment =
                claimants.iter().all(|one| one.target.environment == claimants[0].target.environment);
            if !one_environment {
                findings.extend(claimed_twice(claimants, |one| {
                    format!("the environment tag {}", one.environment_tag)
                }));
            }
        }
    }
    declaration.findings.append(&mut findings);
}

fn claimed_twice(claimants: &[&Desired], what: impl Fn(&Desired) -> String) -> Vec<Finding> {
    let targets: Vec<Target> = claimants.iter().map(|one| one.target.clone()).collect();
    let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
    claimants
        .iter()
        .map(|one| Finding {
            severity: Severity::Error,
            position: one.declared_at.clone(),
            field: format!("spec.applications.{}", one.target.application),
            message: format!("{} is claimed by {}", what(one), names.join(" and ")),
            hint: Some("one application in one environment owns it".to_owned()),
            excerpt: None,
            targets: vec![one.target.clone()],
        })
        .collect()
}

/// `after` and `requires`: names of no application, and orders in which everybody waits for somebody else.
pub(super) fn order(declaration: &mut Declaration) {
    let known: BTreeSet<&str> =
        declaration.applications.iter().map(|declared| declared.target().application.as_str()).collect();
    let names: Vec<&str> = known.iter().copied().collect();
    let readable: BTreeMap<&Target, &Desired> =
        declaration.readable().map(|desired| (&desired.target, desired)).collect();
    let mut findings = Vec::new();
    for desired in readable.values() {
        for name in desired.after.iter().filter(|name| !known.contains(name.as_str())) {
            let hint = suggestion(name.as_str(), &names);
            findings.push(about(desired, "after", format!("no application is named `{name}`"), hint));
        }
        if waits_for_itself(desired, &readable) {
            let message = format!("{} waits for itself, by way of what it comes after", desired.target);
            findings.push(about(desired, "after", message, None));
        }
    }
    declaration.findings.append(&mut findings);
}

/// Whether it comes after something that comes after it. Everybody is asked once.
fn waits_for_itself(desired: &Desired, all: &BTreeMap<&Target, &Desired>) -> bool {
    let (mut asked, mut next) = (BTreeSet::new(), vec![desired]);
    while let Some(one) = next.pop() {
        let first = one.after.iter().map(|name| Target { application: name.clone(), ..one.target.clone() });
        for first in first.filter_map(|target| all.get(&target)) {
            if first.target == desired.target {
                return true;
            }
            if asked.insert(&first.target) {
                next.push(first);
            }
        }
    }
    false
}

fn about(desired: &Desired, key: &str, message: String, hint: Option<String>) -> Finding {
    Finding {
        severity: Severity::Error,
        position: desired.declared_at.clone(),
        field: format!("spec.applications.{}.{key}", desired.target.application),
        message,
        hint,
        excerpt: None,
        targets: vec![desired.target.clone()],
    }
}

/// Whoever is named by an error is frozen.
pub(super) fn freeze(declaration: &mut Declaration) {
    let errors = declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let frozen: Vec<&Target> = errors.flat_map(|finding| &finding.targets).collect();
    for declared in &mut declaration.applications {
        if frozen.contains(&declared.target()) {
            *declared = Declared::Frozen(declared.target().clone());
        }
    }
}

/// Containers that are named but not in the task definition.
pub(super) fn containers(input: &Value, file: &Node, images: &[DesiredImage], report: &mut Report<'_>) {
    let present: Vec<&str> = container_images(input).map(|(name, _)| name).collect();
    let definitions = file.get("containerDefinitions").unwrap_or(file);
    for image in images {
        match &image.containers {
            Containers::Named(names) => {
                for name in names.iter().filter(|name| !present.contains(&name.as_str())) {
                    let message = format!("no container is named `{name}`");
                    report.error(definitions, "containerDefinitions", message).hint =
                        Some(format!("it has {}", present.join(", ")));
                }
            }
            Containers::Placeholder(placeholder) => {
                let marked = container_images(input).any(|(_, image)| image == placeholder);
                if !marked && present.len() != 1 {
                    let message = format!("no container has the image {placeholder}");
                    report.error(definitions, "containerDefinitions", message).hint =
                        Some("or name them with `containers`".to_owned());
                }
            }
        }
    }
}

/// Placeholders that nothing fills.
pub(super) fn placeholders(input: &Value, file: &Node, images: &[DesiredImage], report: &mut Report<'_>) {
    let mut found = Vec::new();
    task_definition::placeholders(input, "", &mut found);
    let is_image = |path: &str, name: &str| {
        let of_images = images.iter().any(|image| {
            matches!(&image.containers, Containers::Named(_))
                || matches!(&image.containers, Containers::Placeholder(placeholder) if placeholder == name)
        });
        path.ends_with("].image") && of_images
    };
    for (path, name) in found.iter().filter(|(path, name)| !is_image(path, name)) {
        report.error(file.at_path(path), path, format!("nothing fills {name}")).hint =
            Some(format!("add {} to `values`", name.trim_matches(['<', '>'])));
    }
}

/// What looks like a secret in plain `environment`. The value is never repeated.
pub(super) fn plain_secrets(input: &Value, file: &Node, report: &mut Report<'_>) {
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    for (container, definition) in definitions.enumerate() {
        let environment = definition.get("environment").and_then(Value::as_array).into_iter().flatten();
        for (index, entry) in environment.enumerate() {
            let part = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, value) = (part("name"), part("value"));
            let marked = ["AKIA", "ASIA", "-----BEGIN", "ghp_", "xoxb-", "glpat-"]
                .iter()
                .any(|mark| value.starts_with(mark));
            if !value.is_empty() && (looks_secret(name) || marked) {
                let path = format!("containerDefinitions[{container}].environment[{index}]");
                let message = format!("the environment variable {name} looks like a secret in plain text");
                report.warning(file.at_path(&path), &path, message).hint =
                    Some("use `secrets` with a reference to Secrets Manager or Parameter Store".to_owned());
            }
        }
    }
}
