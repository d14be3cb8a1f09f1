//! Removing, archiving and restoring images (Amazon ECR API reference: `BatchDeleteImage`, `UpdateImageStorageClass`;
//! user guide, "Automate the cleanup of images by using lifecycle policies").

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Registry, Repository, Storage, failure, image_ids};
use crate::world::Answer;
use crate::world::input::{Input, invalid, text};

/// Seconds until an image is back from the archive: "within 20 minutes".
const RESTORED_AFTER: u64 = 15 * 60;

impl Registry {
    /// By tag removes the tag, and the image with its last tag; by digest removes the image with all its tags.
    pub(super) fn batch_delete_image(&mut self, input: &Input) -> Answer {
        let ids: Vec<Value> = image_ids(input)?.into_iter().cloned().collect();
        let (repository, _) = self.repository_mut(input)?;
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        for id in ids {
            match repository.delete(&id) {
                Ok(full) => deleted.push(full),
                Err(code) => failures.push(failure(&id, code)),
            }
        }
        Ok(json!({"imageIds": deleted, "failures": failures}))
    }

    pub(super) fn update_image_storage_class(&mut self, input: &Input, now: u64) -> Answer {
        let target = text(input, "targetStorageClass")?.to_owned();
        let id = input.get("imageId").cloned().unwrap_or_default();
        let account = self.account.clone();
        let (repository, name) = self.repository(input)?;
        let digest = match repository.find(&id) {
            Ok((digest, _)) => digest.clone(),
            Err(_) => return Err(self.image_missing(&id, &name)),
        };
        let (repository, _) = self.repository_mut(input)?;
        let Some(image) = repository.images.get_mut(&digest) else { return Err(invalid("no such image")) };
        image.storage = match (target.as_str(), image.storage) {
            ("ARCHIVE", _) => Storage::Archived(now),
            ("STANDARD", Storage::Archived(_)) => Storage::Activating(now + RESTORED_AFTER),
            ("STANDARD", present) => present,
            _ => return Err(invalid("Invalid parameter at 'targetStorageClass'")),
        };
        let status = image.status(now);
        Ok(json!({"registryId": account, "repositoryName": name, "imageId": id, "imageStatus": status}))
    }

    pub(in crate::world) fn expire(&mut self, repository: &str, digest: &str) -> bool {
        let repository = Arc::make_mut(&mut self.repositories).get_mut(repository);
        repository.is_some_and(|repository| repository.delete(&json!({"imageDigest": digest})).is_ok())
    }

    pub(in crate::world) fn archive(&mut self, repository: &str, digest: &str, now: u64) -> bool {
        let image = Arc::make_mut(&mut self.repositories)
            .get_mut(repository)
            .and_then(|found| found.images.get_mut(digest));
        image.map(|image| image.storage = Storage::Archived(now)).is_some()
    }
}

impl Repository {
    fn delete(&mut self, id: &Value) -> Result<Value, &'static str> {
        let digest = self.find(id)?.0.clone();
        let tag = id.get("imageTag").and_then(Value::as_str);
        let others = self.images.get(&digest).is_some_and(|image| image.tags.len() > 1);
        let only_the_tag = tag.is_some() && (others || self.is_referenced(&digest));
        if !only_the_tag && self.is_referenced(&digest) {
            return Err("ImageReferencedByManifestList");
        }
        if only_the_tag {
            if let Some((image, tag)) = self.images.get_mut(&digest).zip(tag) {
                image.tags.remove(tag);
            }
        } else {
            self.images.remove(&digest);
        }
        let mut full = json!({"imageDigest": digest});
        if let Some(tag) = tag {
            full["imageTag"] = json!(tag);
        }
        Ok(full)
    }
}
