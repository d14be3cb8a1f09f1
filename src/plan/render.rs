//! The task definition that would be registered: the declared or live base with the images of the declared commits.

use serde_json::Value;

use crate::documents::{containers, normalise, overlay, shown::Origin};
use crate::model::{Desired, Image, ObservedImage, Pin, Platform, TaskDefinitionSource, Waiting};

/// Lays over `base` what is declared over it, and replaces its images by those of the declared commits.
pub fn task_definition(desired: &Desired, images: &[ObservedImage], base: &Value) -> Result<Value, Waiting> {
    let base = overlay::laid_over(&desired.overlay, base)?;
    let mut rendered = base.clone().into_owned();
    normalise::drop_empty_texts(&mut rendered);
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
        for name in containers::of_image(wanted, &base)? {
            containers::set_image(&mut rendered, &name, &reference);
        }
        check_platform(&rendered, image)?;
    }
    Ok(rendered)
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
