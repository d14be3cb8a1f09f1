//! The containers of a task definition, and which of them run an image.

use serde_json::Value;

use crate::model::{Containers, DesiredImage, Waiting};

/// Names of the containers whose image is replaced.
pub fn of_image(image: &DesiredImage, base: &Value) -> Result<Vec<String>, Waiting> {
    let present: Vec<(&str, &str)> = images(base).collect();
    let family = base.get("family").and_then(Value::as_str).unwrap_or_default().to_owned();
    match &image.containers {
        Containers::Named(names) => {
            match names.iter().find(|name| !present.iter().any(|(known, _)| known == name)) {
                Some(missing) => Err(Waiting::ContainerMissing { container: missing.clone(), family }),
                None => Ok(names.clone()),
            }
        }
        Containers::Placeholder(placeholder) => {
            let marked: Vec<String> = present
                .iter()
                .filter(|(_, reference)| reference == placeholder)
                .map(|(name, _)| (*name).to_owned())
                .collect();
            match (marked.is_empty(), present.as_slice()) {
                (false, _) => Ok(marked),
                (true, [(only, _)]) => Ok(vec![(*only).to_owned()]),
                (true, _) => Err(Waiting::ContainerMissing { container: placeholder.clone(), family }),
            }
        }
    }
}

/// Name and image of every container.
pub fn images(input: &Value) -> impl Iterator<Item = (&str, &str)> {
    let definitions = input.get("containerDefinitions").and_then(Value::as_array);
    definitions.into_iter().flatten().filter_map(|container| {
        Some((
            container.get("name")?.as_str()?,
            container.get("image").and_then(Value::as_str).unwrap_or_default(),
        ))
    })
}

pub fn set_image(input: &mut Value, container: &str, reference: &str) {
    let definitions = input.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for definition in definitions.into_iter().flatten().filter_map(Value::as_object_mut) {
        if definition.get("name").and_then(Value::as_str) == Some(container) {
            definition.insert("image".to_owned(), Value::from(reference));
        }
    }
}

fn definition<'v>(input: &'v Value, container: &str) -> Option<&'v Value> {
    let mut definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    definitions.find(|one| one.get("name").and_then(Value::as_str) == Some(container))
}

/// What a container is killed beyond: its own limit, or else that of the task, which may be in words.
pub fn memory_limit(input: &Value, container: &str) -> Option<String> {
    let own = definition(input, container).and_then(|one| one.get("memory")?.as_u64());
    let of_task = || input.get("memory").and_then(Value::as_str);
    match own {
        Some(limit) => Some(format!("{limit} MiB")),
        None => of_task().map(|limit| match limit.parse::<u64>() {
            Ok(limit) => format!("{limit} MiB"),
            Err(_) => limit.to_owned(),
        }),
    }
}

/// The ports that a container maps; `None`: there is no such container.
pub fn ports(input: &Value, container: &str) -> Option<Vec<i64>> {
    let mappings = definition(input, container)?.get("portMappings").and_then(Value::as_array);
    let mapped = mappings.into_iter().flatten().filter_map(|one| one.get("containerPort")?.as_i64());
    Some(mapped.collect())
}

/// What is put into containers from elsewhere when they start: secrets, parameters, and the credentials of registries. Each with what
/// it is for.
pub fn references(input: &Value) -> impl Iterator<Item = (String, &str)> {
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    definitions.flat_map(|one| {
        let text = |value: &'_ Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let container = text(one, "name").unwrap_or_default();
        let of_log = one.get("logConfiguration").and_then(|logs| logs.get("secretOptions"));
        let lists = [one.get("secrets"), of_log].into_iter().flatten();
        let named = lists.filter_map(Value::as_array).flatten();
        let registry = one.get("repositoryCredentials").and_then(|one| one.get("credentialsParameter"));
        let registry =
            registry.and_then(Value::as_str).map(|value| (format!("the image of {container}"), value));
        let mut found: Vec<(String, &str)> = named
            .filter_map(|secret| {
                let name = text(secret, "name")?;
                Some((format!("{name} of {container}"), secret.get("valueFrom")?.as_str()?))
            })
            .collect();
        found.extend(registry);
        found
    })
}

/// How ECS itself checks a container, if it does.
pub fn health_check<'v>(input: &'v Value, container: &str) -> Option<&'v Value> {
    definition(input, container)?.get("healthCheck").filter(|check| check.is_object())
}

/// The containers without which a task ends.
pub fn essential(input: &Value) -> impl Iterator<Item = &str> {
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let essential = definitions.filter(|one| one.get("essential") != Some(&Value::Bool(false)));
    essential.filter_map(|one| one.get("name").and_then(Value::as_str))
}
