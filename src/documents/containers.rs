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
