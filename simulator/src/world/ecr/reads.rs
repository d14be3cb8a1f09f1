//! Reading images (Amazon ECR API reference: `BatchGetImage`, `DescribeImages`, `ListImages`). A manifest is answered
//! byte for byte: it is never converted to another media type.

use serde_json::{Value, json};

use super::put::blobs;
use super::{Image, Registry, Repository, children, failure, image_ids};
use crate::world::input::{Input, invalid, page, with_token};
use crate::world::times::moment;
use crate::world::{Answer, AwsError};

/// `filter` of a list: "default shows only ACTIVE" images.
struct Filter<'a> {
    tags: &'a str,
    status: &'a str,
}

impl<'a> Filter<'a> {
    fn of(input: &'a Input) -> Result<Self, AwsError> {
        let part = |key: &str, default| {
            input.get("filter").and_then(|filter| filter.get(key)).and_then(Value::as_str).unwrap_or(default)
        };
        let filter = Self { tags: part("tagStatus", "ANY"), status: part("imageStatus", "ACTIVE") };
        let known = matches!(filter.tags, "TAGGED" | "UNTAGGED" | "ANY")
            && matches!(filter.status, "ACTIVE" | "ARCHIVED" | "ACTIVATING" | "ANY");
        if known { Ok(filter) } else { Err(invalid("Invalid parameter at 'filter'")) }
    }

    fn shows(&self, image: &Image, now: u64) -> bool {
        let tags = match self.tags {
            "TAGGED" => !image.tags.is_empty(),
            "UNTAGGED" => image.tags.is_empty(),
            _ => true,
        };
        tags && (self.status == "ANY" || self.status == image.status(now))
    }
}

impl Registry {
    /// What is not found is an entry in `failures`, not an error.
    pub(super) fn batch_get_image(&mut self, input: &Input, now: u64) -> Answer {
        let (repository, name) = self.repository(input)?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in image_ids(input)? {
            let found = repository.find(id).and_then(|(digest, image)| match image.status(now) {
                "ACTIVE" => Ok((digest, image)),
                _ => Err("ImageNotFound"),
            });
            match found {
                Ok((digest, image)) => {
                    let mut full = json!({"imageDigest": digest});
                    if let Some(tag) = id.get("imageTag") {
                        full["imageTag"] = tag.clone();
                    }
                    images.push(json!({
                        "registryId": self.account,
                        "repositoryName": name,
                        "imageId": full,
                        "imageManifest": image.manifest,
                        "imageManifestMediaType": image.media_type,
                    }));
                }
                Err(code) => failures.push(failure(id, code)),
            }
        }
        Ok(json!({"images": images, "failures": failures}))
    }

    /// One id that is not found fails the whole call.
    pub(super) fn describe_images(&mut self, input: &Input, now: u64) -> Answer {
        let (repository, name) = self.repository(input)?;
        let filter = Filter::of(input)?;
        let mut chosen: Vec<(&String, &Image)> = Vec::new();
        if input.contains_key("imageIds") {
            if input.contains_key("nextToken") || input.contains_key("maxResults") {
                return Err(invalid("Invalid parameter: imageIds takes no paging"));
            }
            for id in image_ids(input)? {
                let found = repository.find(id).ok().filter(|(_, image)| filter.shows(image, now));
                chosen.push(found.ok_or_else(|| self.image_missing(id, &name))?);
            }
        } else {
            chosen.extend(repository.images.iter().filter(|(_, image)| filter.shows(image, now)));
        }
        let described =
            chosen.into_iter().map(|(digest, image)| self.detail(repository, &name, digest, image, now));
        let (details, token) = page(described.collect(), input, 100, 1000)?;
        Ok(with_token(json!({"imageDetails": details}), token))
    }

    pub(super) fn image_missing(&self, id: &Value, name: &str) -> AwsError {
        let part = |key: &str| id.get(key).and_then(Value::as_str).unwrap_or("null").to_owned();
        let message = format!(
            "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with name '{name}' in the registry with id '{}'",
            part("imageDigest"),
            part("imageTag"),
            self.account
        );
        AwsError::client("ImageNotFoundException", message)
    }

    fn detail(&self, repository: &Repository, name: &str, digest: &str, image: &Image, now: u64) -> Value {
        let mut detail = json!({
            "registryId": self.account,
            "repositoryName": name,
            "imageDigest": digest,
            "imageSizeInBytes": repository.size(image),
            "imagePushedAt": moment(image.pushed_at),
            "imageManifestMediaType": image.media_type,
            "imageStatus": image.status(now),
        });
        if !image.tags.is_empty() {
            detail["imageTags"] = json!(image.tags);
        }
        let artifact = image.parsed().get("config").and_then(|config| config.get("mediaType")).cloned();
        let times = [
            ("artifactMediaType", artifact),
            ("lastRecordedPullTime", image.pulled_at.map(moment)),
            ("lastArchivedAt", image.archived_at().map(moment)),
            ("lastActivatedAt", image.activated_at(now).map(moment)),
        ];
        for (key, value) in times {
            if let Some(value) = value {
                detail[key] = value;
            }
        }
        detail
    }

    /// One entry a tag, and one for each image without.
    pub(super) fn list_images(&mut self, input: &Input, now: u64) -> Answer {
        let (repository, _) = self.repository(input)?;
        let filter = Filter::of(input)?;
        let mut ids = Vec::new();
        for (digest, image) in repository.images.iter().filter(|(_, image)| filter.shows(image, now)) {
            ids.extend(image.tags.iter().map(|tag| json!({"imageDigest": digest, "imageTag": tag})));
            if image.tags.is_empty() {
                ids.push(json!({"imageDigest": digest}));
            }
        }
        let (ids, token) = page(ids, input, 100, 1000)?;
        Ok(with_token(json!({"imageIds": ids}), token))
    }
}

impl Repository {
    /// Of an index: the largest of its manifests (Amazon ECR API reference, `ImageDetail`).
    fn size(&self, image: &Image) -> u64 {
        let manifest = image.parsed();
        let own = |image: &Image, manifest: &Value| {
            let layers = blobs(manifest).into_iter().filter_map(|digest| self.layers.get(&digest));
            image.manifest.len() as u64 + layers.sum::<u64>()
        };
        let children = children(&manifest).into_iter().filter_map(|digest| self.images.get(&digest));
        children.map(|child| own(child, &child.parsed())).max().unwrap_or_else(|| own(image, &manifest))
    }
}
