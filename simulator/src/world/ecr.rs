//! Amazon ECR. Errors and shapes: Amazon ECR API reference; mutability: user guide, "Preventing image tags from being
//! overwritten".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answer, AwsError, World, page, text, unknown};

#[derive(Clone, Debug)]
pub(super) struct Repository {
    mutability: String,
    exclusions: Vec<String>,
    /// By digest.
    images: BTreeMap<String, Image>,
}

#[derive(Clone, Debug)]
struct Image {
    manifest: String,
    media_type: String,
    tags: BTreeSet<String>,
    pushed_at: u64,
    archived: bool,
}

impl Repository {
    fn by_tag(&self, tag: &str) -> Option<&String> {
        self.images.iter().find(|(_, image)| image.tags.contains(tag)).map(|(digest, _)| digest)
    }

    fn is_mutable(&self, tag: &str) -> bool {
        let excluded = self.exclusions.iter().any(|pattern| wildcard(pattern.as_bytes(), tag.as_bytes()));
        match self.mutability.as_str() {
            "IMMUTABLE" => false,
            "IMMUTABLE_WITH_EXCLUSION" => excluded,
            "MUTABLE_WITH_EXCLUSION" => !excluded,
            _ => true,
        }
    }

    /// The digest that an `imageId` names, or the code of the failure.
    fn find(&self, id: &Value) -> Result<&String, &'static str> {
        let (digest, tag) =
            (id.get("imageDigest").and_then(Value::as_str), id.get("imageTag").and_then(Value::as_str));
        match (digest, tag) {
            (None, None) => Err("MissingDigestAndTag"),
            (None, Some(tag)) => self.by_tag(tag).ok_or("ImageNotFound"),
            (Some(digest), tag) => {
                let (known, image) = self.images.get_key_value(digest).ok_or("ImageNotFound")?;
                if tag.is_some_and(|tag| !image.tags.contains(tag)) {
                    Err("ImageTagDoesNotMatchDigest")
                } else {
                    Ok(known)
                }
            }
        }
    }
}

fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| wildcard(rest, &text[skipped..])),
        Some((byte, rest)) => text.first() == Some(byte) && wildcard(rest, &text[1..]),
    }
}

impl World {
    pub(super) fn ecr(&mut self, operation: &str, input: &Map<String, Value>) -> Answer {
        match operation {
            "CreateRepository" => self.create_repository(input),
            "DescribeRepositories" => self.describe_repositories(input),
            "PutImageTagMutability" => self.put_image_tag_mutability(input),
            "PutImage" => self.put_image(input),
            "BatchGetImage" => self.batch_get_image(input),
            "DescribeImages" => self.describe_images(input),
            "BatchDeleteImage" => self.batch_delete_image(input),
            "UpdateImageStorageClass" => self.update_image_storage_class(input),
            _ => Err(unknown(operation)),
        }
    }

    fn repository(&mut self, input: &Map<String, Value>) -> Result<(&mut Repository, String), AwsError> {
        let name = text(input, "repositoryName")?.to_owned();
        let registry = input.get("registryId").and_then(Value::as_str).unwrap_or(&self.account);
        let missing =
            format!("The repository with name '{name}' does not exist in the registry with id '{registry}'");
        let ours = registry == self.account;
        match self.repositories.get_mut(&name).filter(|_| ours) {
            Some(repository) => Ok((repository, name)),
            None => Err(AwsError::client("RepositoryNotFoundException", missing)),
        }
    }

    fn create_repository(&mut self, input: &Map<String, Value>) -> Answer {
        let name = text(input, "repositoryName")?.to_owned();
        if self.repositories.contains_key(&name) {
            let message = format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                self.account
            );
            return Err(AwsError::client("RepositoryAlreadyExistsException", message));
        }
        let repository = Repository {
            mutability: input
                .get("imageTagMutability")
                .and_then(Value::as_str)
                .unwrap_or("MUTABLE")
                .to_owned(),
            exclusions: exclusions(input),
            images: BTreeMap::new(),
        };
        let described = self.described(&name, &repository);
        self.repositories.insert(name, repository);
        Ok(json!({"repository": described}))
    }

    fn described(&self, name: &str, repository: &Repository) -> Value {
        let filters =
            repository.exclusions.iter().map(|filter| json!({"filterType": "WILDCARD", "filter": filter}));
        json!({
            "repositoryArn": self.arn("ecr", &format!("repository/{name}")),
            "registryId": self.account,
            "repositoryName": name,
            "repositoryUri": format!("{}/{name}", self.registry()),
            "createdAt": self.now,
            "imageTagMutability": repository.mutability,
            "imageTagMutabilityExclusionFilters": filters.collect::<Vec<_>>(),
        })
    }

    pub(super) fn registry(&self) -> String {
        format!("{}.dkr.ecr.{}.amazonaws.com", self.account, self.region)
    }

    fn describe_repositories(&mut self, input: &Map<String, Value>) -> Answer {
        let names: Vec<String> = super::texts(input, "repositoryNames").map(str::to_owned).collect();
        for name in &names {
            let mut one = input.clone();
            one.insert("repositoryName".to_owned(), Value::from(name.clone()));
            self.repository(&one)?;
        }
        let chosen = self.repositories.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
        let described = chosen.map(|(name, repository)| self.described(name, repository)).collect();
        let (repositories, token) = page(described, input, 100)?;
        Ok(with_token(json!({"repositories": repositories}), token))
    }

    fn put_image_tag_mutability(&mut self, input: &Map<String, Value>) -> Answer {
        let mutability = text(input, "imageTagMutability")?.to_owned();
        let filters = exclusions(input);
        let (repository, name) = self.repository(input)?;
        repository.mutability.clone_from(&mutability);
        repository.exclusions = filters;
        Ok(json!({"repositoryName": name, "imageTagMutability": mutability}))
    }

    fn put_image(&mut self, input: &Map<String, Value>) -> Answer {
        let manifest = text(input, "imageManifest")?.to_owned();
        let now = self.now;
        let account = self.account.clone();
        let tag = input.get("imageTag").and_then(Value::as_str);
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(manifest.as_bytes())));
        if input.get("imageDigest").and_then(Value::as_str).is_some_and(|given| given != digest) {
            return Err(AwsError::client(
                "ImageDigestDoesNotMatchException",
                "The provided digest does not match the manifest",
            ));
        }
        let parsed: Value = serde_json::from_str(&manifest).map_err(|_| {
            AwsError::client("InvalidParameterException", "Invalid parameter at 'imageManifest'")
        })?;
        let media_type =
            input.get("imageManifestMediaType").or_else(|| parsed.get("mediaType")).and_then(Value::as_str);
        let media_type = media_type.unwrap_or("application/vnd.oci.image.manifest.v1+json").to_owned();
        let (repository, name) = self.repository(input)?;
        let children = parsed.get("manifests").and_then(Value::as_array).into_iter().flatten();
        let missing = children
            .filter_map(|child| child.get("digest")?.as_str())
            .find(|child| !repository.images.contains_key(*child));
        if let Some(missing) = missing {
            let message =
                format!("Images with digests '[{missing}]' required for pushing image do not exist");
            return Err(AwsError::client("ReferencedImagesNotFoundException", message));
        }
        if let Some(tag) = tag {
            match repository.by_tag(tag) {
                Some(known) if *known == digest => {
                    let message = format!("Image with digest '{digest}' and tag '{tag}' already exists");
                    return Err(AwsError::client("ImageAlreadyExistsException", message));
                }
                Some(_) if !repository.is_mutable(tag) => {
                    let message = format!(
                        "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the tag is immutable."
                    );
                    return Err(AwsError::client("ImageTagAlreadyExistsException", message));
                }
                _ => {}
            }
            for image in repository.images.values_mut() {
                image.tags.remove(tag);
            }
        }
        let image = repository.images.entry(digest.clone()).or_insert_with(|| Image {
            manifest: manifest.clone(),
            media_type: media_type.clone(),
            tags: BTreeSet::new(),
            pushed_at: now,
            archived: false,
        });
        image.tags.extend(tag.map(str::to_owned));
        Ok(json!({"image": {
            "registryId": account,
            "repositoryName": name,
            "imageId": {"imageDigest": digest, "imageTag": tag},
            "imageManifest": manifest,
            "imageManifestMediaType": media_type,
        }}))
    }

    fn batch_get_image(&mut self, input: &Map<String, Value>) -> Answer {
        let account = self.account.clone();
        let (repository, name) = self.repository(input)?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in input.get("imageIds").and_then(Value::as_array).into_iter().flatten() {
            match repository.find(id).map(|digest| (digest, &repository.images[digest])) {
                Ok((digest, image)) => images.push(json!({
                    "registryId": account,
                    "repositoryName": name,
                    "imageId": {"imageDigest": digest, "imageTag": id.get("imageTag")},
                    "imageManifest": image.manifest,
                    "imageManifestMediaType": image.media_type,
                })),
                Err(code) => failures.push(
                    json!({"imageId": id, "failureCode": code, "failureReason": "Requested image not found"}),
                ),
            }
        }
        Ok(json!({"images": images, "failures": failures}))
    }

    fn describe_images(&mut self, input: &Map<String, Value>) -> Answer {
        let account = self.account.clone();
        let (repository, name) = self.repository(input)?;
        let status = input.get("filter").and_then(|filter| filter.get("imageStatus")).and_then(Value::as_str);
        let shows = |image: &Image| match status {
            Some("ANY") => true,
            Some("ARCHIVED") => image.archived,
            _ => !image.archived,
        };
        let ids = input.get("imageIds").and_then(Value::as_array);
        let mut digests = Vec::new();
        match ids {
            Some(ids) => {
                for id in ids {
                    let found = repository.find(id).ok().filter(|digest| shows(&repository.images[*digest]));
                    digests.push(found.ok_or_else(|| {
                        let message = format!("The image with imageId {id} does not exist within the repository with name '{name}'");
                        AwsError::client("ImageNotFoundException", message)
                    })?);
                }
            }
            None => digests
                .extend(repository.images.iter().filter(|(_, image)| shows(image)).map(|(digest, _)| digest)),
        }
        let described = digests.into_iter().map(|digest| {
            let image = &repository.images[digest];
            let mut detail = json!({
                "registryId": account,
                "repositoryName": name,
                "imageDigest": digest,
                "imageSizeInBytes": image.manifest.len(),
                "imagePushedAt": image.pushed_at,
                "imageManifestMediaType": image.media_type,
                "imageStatus": if image.archived { "ARCHIVED" } else { "ACTIVE" },
            });
            if !image.tags.is_empty() {
                detail["imageTags"] = json!(image.tags);
            }
            detail
        });
        let (details, token) = page(described.collect(), input, 100)?;
        Ok(with_token(json!({"imageDetails": details}), token))
    }

    /// By tag removes the tag, and the image with its last tag; by digest removes the image.
    fn batch_delete_image(&mut self, input: &Map<String, Value>) -> Answer {
        let (repository, _) = self.repository(input)?;
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        for id in input.get("imageIds").and_then(Value::as_array).into_iter().flatten() {
            match repository.find(id).cloned() {
                Ok(digest) => {
                    let tag = id.get("imageTag").and_then(Value::as_str);
                    let last = repository.images.get_mut(&digest).is_none_or(|image| {
                        tag.is_none_or(|tag| image.tags.remove(tag) && image.tags.is_empty())
                    });
                    if last {
                        repository.images.remove(&digest);
                    }
                    deleted.push(id.clone());
                }
                Err(code) => failures.push(
                    json!({"imageId": id, "failureCode": code, "failureReason": "Requested image not found"}),
                ),
            }
        }
        Ok(json!({"imageIds": deleted, "failures": failures}))
    }

    fn update_image_storage_class(&mut self, input: &Map<String, Value>) -> Answer {
        let archive = text(input, "targetStorageClass")? == "ARCHIVE";
        let id = input.get("imageId").cloned().unwrap_or_default();
        let (repository, name) = self.repository(input)?;
        let digest = repository
            .find(&id)
            .cloned()
            .map_err(|_| AwsError::client("ImageNotFoundException", "no such image"))?;
        if let Some(image) = repository.images.get_mut(&digest) {
            image.archived = archive;
        }
        Ok(
            json!({"repositoryName": name, "imageId": id, "imageStatus": if archive { "ARCHIVED" } else { "ACTIVE" }}),
        )
    }

    /// What an image reference of a container points at; `None` if it cannot be pulled.
    pub(super) fn resolve(&self, reference: &str) -> Option<String> {
        let path = reference.strip_prefix(&format!("{}/", self.registry()))?;
        if let Some((name, digest)) = path.split_once('@') {
            let name = name.split(':').next().unwrap_or(name);
            let image = self.repositories.get(name)?.images.get(digest)?;
            return (!image.archived).then(|| digest.to_owned());
        }
        let (name, tag) = path.split_once(':').unwrap_or((path, "latest"));
        let repository = self.repositories.get(name)?;
        let digest = repository.by_tag(tag)?;
        (!repository.images.get(digest)?.archived).then(|| digest.clone())
    }
}

fn exclusions(input: &Map<String, Value>) -> Vec<String> {
    let filters =
        input.get("imageTagMutabilityExclusionFilters").and_then(Value::as_array).into_iter().flatten();
    filters.filter_map(|filter| filter.get("filter")?.as_str().map(str::to_owned)).collect()
}

pub(super) fn with_token(mut answer: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        answer["nextToken"] = Value::from(token);
    }
    answer
}
