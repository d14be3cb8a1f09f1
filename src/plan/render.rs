//! The task definition that would be registered: the declared or live base with the images of the declared commits.

use serde_json::Value;

use super::overlay;
use super::shown::Origin;
use crate::model::{
    Containers, Desired, DesiredImage, Image, ObservedImage, Pin, Platform, TaskDefinitionSource, Waiting,
};

/// Lays over `base` what is declared over it, and replaces its images by those of the declared commits.
pub fn task_definition(desired: &Desired, images: &[ObservedImage], base: &Value) -> Result<Value, Waiting> {
    let base = overlay::laid_over(&desired.overlay, base)?;
    let mut rendered = base.clone().into_owned();
    for (wanted, observed) in desired.images.iter().zip(images) {
        let (Some(repository), Some(image)) = (observed.repository.known(), observed.built.known()) else {
            return Err(Waiting::ImageNotBuilt {
                repository: wanted.repository.to_string(),
                tag: wanted.commit_tag.to_string(),
                tag_match: observed.tag_match.clone(),
            });
        };
        let reference = match desired.policy.pin {
            Pin::Digest => format!("{}@{}", repository.uri, image.digest),
            Pin::CommitTag => format!("{}:{}", repository.uri, observed.commit_tag(wanted)),
        };
        for name in containers(wanted, &base)? {
            set_image(&mut rendered, &name, &reference);
        }
        check_platform(&rendered, image)?;
    }
    Ok(rendered)
}

/// Names of the containers whose image is replaced.
pub fn containers(image: &DesiredImage, base: &Value) -> Result<Vec<String>, Waiting> {
    let present: Vec<(&str, &str)> = container_images(base).collect();
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
pub fn container_images(input: &Value) -> impl Iterator<Item = (&str, &str)> {
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

/// Whether the whole task definition is declared, so that its other fields can drift.
pub fn owns_every_field(desired: &Desired) -> bool {
    matches!(desired.task_definition, TaskDefinitionSource::File { .. })
}

/// Where the fields come from that are not images: a base from AWS may hold what nobody declares.
pub fn origin(desired: &Desired) -> Origin {
    if owns_every_field(desired) { Origin::Git } else { Origin::Aws }
}

/// The image must be built for the platform of the task. Where nobody could tell what it is built for it may be right.
fn check_platform(input: &Value, image: &Image) -> Result<(), Waiting> {
    let (os, architecture) = (wanted_os(input), wanted_architecture(input));
    let fits = |platform: &Platform| {
        os.is_none_or(|os| platform.os == os)
            && architecture.is_none_or(|architecture| platform.architecture == architecture)
    };
    if image.platforms.is_empty() || image.platforms.iter().any(fits) {
        return Ok(());
    }
    let words = |platform: &Platform| format!("{}/{}", platform.os, platform.architecture);
    let mut available: Vec<String> = image.platforms.iter().map(words).collect();
    available.sort();
    let wanted: Vec<&str> = os.into_iter().chain(architecture).collect();
    Err(Waiting::PlatformMismatch { wanted: wanted.join("/"), available })
}

/// As an image names it; `None` where any will do, or this version does not know what is declared.
fn wanted_architecture(input: &Value) -> Option<&'static str> {
    match input.pointer("/runtimePlatform/cpuArchitecture").and_then(Value::as_str) {
        Some("ARM64") => Some("arm64"),
        Some("X86_64") => Some("amd64"),
        Some(_) => None,
        None => runs_on_fargate_alone(input).then_some("amd64"),
    }
}

fn wanted_os(input: &Value) -> Option<&'static str> {
    match input.pointer("/runtimePlatform/operatingSystemFamily").and_then(Value::as_str) {
        Some("LINUX") => Some("linux"),
        Some(family) if family.starts_with("WINDOWS") => Some("windows"),
        Some(_) => None,
        None => runs_on_fargate_alone(input).then_some("linux"),
    }
}

/// There a platform that is left out is `LINUX/X86_64` (Amazon ECS developer guide, "Fargate task definition parameters"). Of
/// instances, which may be Graviton's, nobody can tell.
fn runs_on_fargate_alone(input: &Value) -> bool {
    let compatible = input.get("requiresCompatibilities").and_then(Value::as_array);
    compatible.is_some_and(|all| !all.is_empty() && all.iter().all(|one| one == "FARGATE"))
}
