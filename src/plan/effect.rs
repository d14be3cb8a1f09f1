//! Equality by effect: whether what is live amounts to what is declared, under whatever name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::Facts;
use super::render;
use crate::documents::{containers, differences, overlay, service_settings, shown::Origin};
use crate::model::{
    DesiredImage, Difference, Digest, Image, ObservedImage, Reading, Revision, TaskDefinitionArn,
    TaskDefinitionSource,
};

impl Facts<'_> {
    /// Equality by effect: every owned field equal, and the images those that the tasks run.
    pub(super) fn equals_by_effect(&self, arn: &TaskDefinitionArn, rendered: &Value) -> bool {
        self.revision(arn).is_some_and(|live| self.owned_differences(live, rendered).is_empty())
    }

    pub(super) fn differences(&self) -> Vec<Difference> {
        let live = self.current.as_ref().and_then(|current| self.revision(&current.live_revision));
        let mut differences = match (live, &self.rendered) {
            (Some(live), Ok(rendered)) => self.owned_differences(live, rendered),
            _ => return Vec::new(),
        };
        differences.extend(self.settings_differences());
        differences
    }

    pub(super) fn settings_differences(&self) -> Vec<Difference> {
        match (self.declared_settings(), self.service) {
            (Some(declared), Some(service)) => service_settings::differences(&declared, &service.settings),
            _ => Vec::new(),
        }
    }

    fn owned_differences(&self, live: &Revision, rendered: &Value) -> Vec<Difference> {
        let mut same_images = live.input.clone();
        for (wanted, observed) in self.input.desired.images.iter().zip(self.images) {
            let names = containers::of_image(wanted, rendered).unwrap_or_default();
            for name in names {
                let image = |input| image_of(input, &name).unwrap_or_default().to_owned();
                if self.runs(&live.arn, &live.input, &name, observed) {
                    containers::set_image(&mut same_images, &name, &image(rendered));
                } else if image(&live.input) == image(rendered)
                    && let Some(digest) = self.resolved_digests(&live.arn, &name)
                {
                    // The same tag, which stood for another image when it was deployed.
                    containers::set_image(&mut same_images, &name, &format!("{}@{digest}", image(rendered)));
                }
            }
        }
        let all = differences::task_definitions(&same_images, rendered, render::origin(self.input.desired));
        if render::owns_every_field(self.input.desired)
            || matches!(self.input.desired.task_definition, TaskDefinitionSource::Family(_))
        {
            return all;
        }
        let laid_over = self.changed_by_overlay(&same_images);
        let is_owned = |difference: &Difference| {
            difference.field.rsplit('.').next() == Some("image") || laid_over.contains(&difference.field)
        };
        all.into_iter().filter(is_owned).collect()
    }

    /// The fields that would change if what is declared were laid over this task definition: they are owned.
    pub(super) fn changed_by_overlay(&self, input: &Value) -> BTreeSet<String> {
        let laid_over = overlay::laid_over(&self.input.desired.overlay, input);
        let changes = laid_over
            .map(|changed| differences::task_definitions(input, &changed, Origin::Aws))
            .unwrap_or_default();
        changes.into_iter().map(|difference| difference.field).collect()
    }

    pub(super) fn runs_every_image(&self, revision: &Revision) -> bool {
        self.input.desired.images.iter().zip(self.images).all(|(wanted, observed)| {
            let names = containers::of_image(wanted, &revision.input).unwrap_or_default();
            !names.is_empty()
                && names.iter().all(|name| self.runs(&revision.arn, &revision.input, name, observed))
        })
    }

    /// Whether the container of this revision runs the desired image, under whatever name.
    pub(super) fn runs(
        &self,
        arn: &TaskDefinitionArn,
        input: &Value,
        container: &str,
        observed: &ObservedImage,
    ) -> bool {
        let Some(built) = observed.built.known() else { return false };
        let same = |digest: &Digest| built.is(digest);
        let declared = image_of(input, container);
        if let Some((_, digest)) = declared.and_then(|image| image.split_once('@')) {
            let repository = declared.and_then(|image| image.split(['@']).next()).unwrap_or_default();
            let uri = observed.repository.known().map_or("", |repository| repository.uri.as_str());
            return same(&Digest::new(digest))
                && (repository == uri || repository.starts_with(&format!("{uri}:")));
        }
        let resolved = self.resolved_digests(arn, container);
        let named = || named_digest(declared?, observed).cloned();
        resolved.or_else(named).is_some_and(|digest| same(&digest))
    }

    /// The containers that run an image, in a revision that may have lost the placeholder.
    pub(super) fn container_names(&self, wanted: &DesiredImage, input: &Value) -> Vec<String> {
        let declared = match &self.input.desired.task_definition {
            TaskDefinitionSource::File { input, .. } => containers::of_image(wanted, input).ok(),
            TaskDefinitionSource::Service | TaskDefinitionSource::Family(_) => None,
        };
        declared.or_else(|| containers::of_image(wanted, input).ok()).unwrap_or_default()
    }

    /// The digest that a container of a revision is pinned to, or that ECS resolved for it.
    pub(super) fn digest_of_container(
        &self,
        arn: &TaskDefinitionArn,
        input: &Value,
        container: &str,
    ) -> Option<Digest> {
        let image = containers::images(input).find(|(name, _)| *name == container);
        let pinned = image.and_then(|(_, image)| image.split_once('@'));
        pinned.map(|(_, digest)| Digest::new(digest)).or_else(|| self.resolved_digests(arn, container))
    }

    /// The digest ECS resolved for a container of the newest deployment to a revision, or that its tasks run.
    pub(super) fn resolved_digests(&self, arn: &TaskDefinitionArn, container: &str) -> Option<Digest> {
        let of_deployment = self
            .history()
            .filter(|deployment| deployment.target.as_ref() == Some(arn))
            .find_map(|deployment| deployment.digests.get(container).cloned());
        of_deployment.or_else(|| {
            let tasks = self.input.observed.tasks.known().into_iter().flatten();
            let running =
                tasks.filter(|task| task.task_definition == *arn && task.desired_status == "RUNNING");
            running
                .flat_map(|task| &task.containers)
                .find(|c| c.name == container)
                .and_then(|c| c.digest.clone())
        })
    }
}

fn image_of<'i>(input: &'i Value, container: &str) -> Option<&'i str> {
    containers::images(input).find(|(name, _)| *name == container).map(|(_, image)| image)
}

/// What a tag that no task has resolved yet, or that nobody has told the digest of, means now.
fn named_digest<'i>(image: &str, observed: &'i ObservedImage) -> Option<&'i Digest> {
    let (uri, tag) = image.rsplit_once(':')?;
    if observed.repository.known()?.uri != uri {
        return None;
    }
    let by_tag = |reading: &'i Reading<Image>| {
        reading.known().filter(|image| image.tags.iter().any(|known| known.as_str() == tag))
    };
    by_tag(&observed.built).or_else(|| by_tag(&observed.tagged)).map(|image| &image.digest)
}
