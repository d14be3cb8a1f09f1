//! Names that stand twice, or name nothing: of containers, volumes, variables, secrets and tags.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Complaint, Fields, declared, list, text};

pub(super) fn of(fields: &Fields, containers: &[&Fields], found: &mut Vec<Complaint>) {
    of_containers(containers, found);
    of_volumes(fields, found);
    for (index, container) in containers.iter().enumerate() {
        of_secrets(container, index, found);
    }
    proxy(fields, containers, found);
    of_tags(fields, found);
}

/// "For each resource, each tag key must be unique."
fn of_tags(fields: &Fields, found: &mut Vec<Complaint>) {
    let mut known = BTreeSet::new();
    for (index, tag) in list(fields, "tags").enumerate() {
        let Some(key) = tag.get("key").and_then(Value::as_str) else { continue };
        if !known.insert(key) {
            let message = format!("two tags have the key `{key}`");
            found.push(Complaint::error(format!("tags[{index}].key"), message).hint("remove one"));
        }
    }
}

fn of_containers(containers: &[&Fields], found: &mut Vec<Complaint>) {
    let mut known = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let (path, name) = (format!("containerDefinitions[{index}].name"), text(container, "name"));
        if name.is_empty() {
            found.push(Complaint::error(path, "the container has no name"));
        } else if !known.insert(name) {
            found.push(Complaint::error(path, format!("two containers are named `{name}`")));
        }
    }
}

fn of_volumes(fields: &Fields, found: &mut Vec<Complaint>) {
    let mut known = BTreeSet::new();
    for (index, volume) in list(fields, "volumes").enumerate() {
        let name = volume.get("name").and_then(Value::as_str).unwrap_or_default();
        if !known.insert(name) {
            let path = format!("volumes[{index}].name");
            found.push(Complaint::error(path, format!("two volumes are named `{name}`")));
        }
    }
}

/// "The secret name must be unique and not shared with any new or existing environment variables set on the container."
fn of_secrets(container: &Fields, index: usize, found: &mut Vec<Complaint>) {
    let named = |key: &str| -> Vec<&str> {
        list(container, key)
            .map(|entry| entry.get("name").and_then(Value::as_str).unwrap_or_default())
            .collect()
    };
    let variables: BTreeSet<&str> = named("environment").into_iter().collect();
    let mut known = BTreeSet::new();
    for (at, name) in named("secrets").into_iter().enumerate() {
        let path = format!("containerDefinitions[{index}].secrets[{at}].name");
        if variables.contains(name) {
            let message = format!("{name} is in `environment` and in `secrets`");
            found.push(Complaint::error(path, message).hint("remove one of them"));
        } else if !known.insert(name) {
            found.push(Complaint::error(path, format!("two secrets are named {name}")));
        }
    }
}

fn proxy(fields: &Fields, containers: &[&Fields], found: &mut Vec<Complaint>) {
    let named = fields.get("proxyConfiguration").and_then(|proxy| proxy.get("containerName"));
    let names: Vec<&str> = containers.iter().map(|container| text(container, "name")).collect();
    if let Some(name) = named.and_then(Value::as_str).filter(|name| !names.contains(name)) {
        let hint = declared(&names, name, "`containerDefinitions`");
        let message = format!("no container is named `{name}`");
        found.push(Complaint { hint, ..Complaint::error("proxyConfiguration.containerName", message) });
    }
}
