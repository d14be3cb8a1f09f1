//! What git declares for a target, as one hash: what a hold is about.
//!
//! A deployment may fail for its image, its task definition, its `AppSpec` or a setting of the service, so all of them
//! are in it. Commits are not: they are compared by prefix beside it, since `3f2c1ab` and its forty digits are one
//! commit. Nor are counts, which belong to the autoscaler, nor the base of `{from: service}`, which nobody declares:
//! what somebody else changes there is no reason to try a failed commit again.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::carriers;
use crate::documents::normalise;
use crate::model::{Containers, DeclarationHash, Desired, DesiredImage, TaskDefinitionSource};

/// `base`: the revision that `{from: family}` starts from. Whoever owns that family has declared it.
pub fn hash(desired: &Desired, base: Option<&Value>) -> DeclarationHash {
    let declared = json!({
        "environment": desired.target.environment.as_str(),
        "application": desired.target.application.as_str(),
        "images": desired.images.iter().map(image).collect::<Vec<_>>(),
        "taskDefinition": task_definition(&desired.task_definition, base),
        "values": desired.overlay.values,
        "patch": desired.overlay.patch,
        "strategy": carriers::declared(&desired.strategy),
        "serviceSettings": desired.service_settings.as_ref().map(without_count),
    });
    let text = normalise::sort_keys(&declared).to_string();
    DeclarationHash::new(hex::encode(Sha256::digest(text.as_bytes())))
}

fn image(image: &DesiredImage) -> Value {
    let containers = match &image.containers {
        Containers::Named(names) => json!(names),
        Containers::Placeholder(placeholder) => json!(placeholder),
    };
    json!({"name": image.name, "repository": image.repository.as_str(), "containers": containers})
}

fn task_definition(source: &TaskDefinitionSource, base: Option<&Value>) -> Value {
    match source {
        TaskDefinitionSource::File { input, .. } => normalise::task_definition(input),
        TaskDefinitionSource::Service => Value::from("service"),
        TaskDefinitionSource::Family(family) => {
            json!({"family": family, "base": base.map(normalise::task_definition)})
        }
    }
}

fn without_count(settings: &Value) -> Value {
    let members = settings.as_object().into_iter().flatten();
    let kept = members.filter(|(key, _)| *key != "desiredCount");
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}
