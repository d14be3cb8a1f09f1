//! Which container runs which image.

use std::collections::BTreeMap;

use super::Resolver;
use super::images::Origin;
use crate::documents::containers;
use crate::model::{Containers, DesiredImage, TaskDefinitionSource};
use crate::text::tree::Kind;

impl Resolver<'_, '_, '_> {
    /// A container runs one image.
    pub(super) fn check_containers(
        &mut self,
        images: &[DesiredImage],
        task_definition: &TaskDefinitionSource,
    ) {
        let Origin::List(list) = self.origin() else { return };
        let Kind::List(items) = &list.node.kind else { return };
        let mut claimed: BTreeMap<String, &str> = BTreeMap::new();
        for (index, (image, item)) in images.iter().zip(items).enumerate() {
            let path = format!("{}[{index}]", list.path);
            if images.len() > 1 && has_no_container(image, task_definition) {
                let message = format!("`{}` names no container", image.name);
                self.error(list.file, item, &path, message).hint =
                    Some("add `container`: only a task definition file has placeholders".to_owned());
            }
            for container in reached(image, task_definition) {
                if let Some(other) = claimed.get(&container).filter(|other| **other != image.name) {
                    let message = format!("{container} is claimed by the images {other} and {}", image.name);
                    self.error(list.file, item, &path, message).hint =
                        Some("a container runs one image".to_owned());
                }
                claimed.insert(container, &image.name);
            }
        }
    }
}

/// A live task definition has images where a file has placeholders.
fn has_no_container(image: &DesiredImage, task_definition: &TaskDefinitionSource) -> bool {
    matches!(
        (&image.containers, task_definition),
        (Containers::Placeholder(_), TaskDefinitionSource::Service)
    )
}

/// The containers that an image goes to, as far as the files tell; a placeholder stands for those that have it.
fn reached(image: &DesiredImage, task_definition: &TaskDefinitionSource) -> Vec<String> {
    match (task_definition, &image.containers) {
        (TaskDefinitionSource::File { input, .. }, _) => {
            containers::of_image(image, input).unwrap_or_default()
        }
        (_, Containers::Named(names)) => names.clone(),
        (_, Containers::Placeholder(placeholder)) => vec![placeholder.clone()],
    }
}
