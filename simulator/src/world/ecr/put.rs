//! Pushing a manifest or moving a tag (Amazon ECR API reference, `PutImage`; user guide, "Retagging an image").

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Image, Registry, Repository, Storage, children, digest_of, is_digest};
use crate::world::input::{Input, invalid, optional, text};
use crate::world::{Answer, AwsError};

/// Bytes of a manifest.
const MOST_BYTES: usize = 4 << 20;
/// Amazon ECR user guide, "Amazon ECR service quotas": tags of one image.
const MOST_TAGS: usize = 1000;

/// What a push of an immutable tag is answered that is on the image already. Reports disagree:
/// `ImageAlreadyExistsException` (aws/aws-sdk, issue 750), `ImageTagAlreadyExistsException` (aws/containers-roadmap,
/// issue 2179; moby/buildkit, issue 3776).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    ImageExists,
    TagExists,
}

/// What is pushed where.
struct Push<'a> {
    account: &'a str,
    name: &'a str,
    digest: &'a str,
    tag: Option<&'a str>,
    now: u64,
    repeat: Repeat,
}

impl Registry {
    /// Moving a tag takes it from the image that had it, without asking which one that was: the last one wins.
    /// `repeat`: how a push is answered of an immutable tag that is on the image already.
    pub(super) fn put_image(&mut self, input: &Input, now: u64, repeat: Repeat) -> Answer {
        let manifest = text(input, "imageManifest")?.to_owned();
        let tag = optional(input, "imageTag")?.map(str::to_owned);
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid(
                "Invalid parameter at 'imageTag' failed to satisfy constraint: 1 to 300 characters",
            ));
        }
        let (media_type, parsed) = understood(input, &manifest)?;
        // The digest is that of the bytes as they came: one space more is another image.
        let digest = digest_of(manifest.as_bytes());
        if optional(input, "imageDigest")?.is_some_and(|given| given != digest) {
            let message = "The provided digest does not match the digest of the manifest";
            return Err(AwsError::client("ImageDigestDoesNotMatchException", message));
        }
        let account = self.account.clone();
        let (repository, name) = self.repository_mut(input)?;
        repository.has_all_of(&parsed)?;
        let push = Push { account: &account, name: &name, digest: &digest, tag: tag.as_deref(), now, repeat };
        repository.may_put(&push)?;
        repository.has_room(&digest)?;
        if let Some(tag) = &tag {
            for image in repository.images.values_mut() {
                image.tags.remove(tag);
            }
        }
        let image = repository.images.entry(digest.clone()).or_insert_with(|| Image {
            manifest: manifest.clone(),
            media_type: media_type.clone(),
            tags: BTreeSet::new(),
            pushed_at: now,
            pulled_at: None,
            storage: Storage::Active,
        });
        // Pushing it again brings an image back from the archive; moving a tag does not change `imagePushedAt`.
        image.storage = Storage::Active;
        image.tags.extend(tag.clone());
        let mut id = json!({"imageDigest": digest});
        if let Some(tag) = tag {
            id["imageTag"] = json!(tag);
        }
        Ok(json!({"image": {
            "registryId": account,
            "repositoryName": name,
            "imageId": id,
            "imageManifest": manifest,
            "imageManifestMediaType": media_type,
        }}))
    }
}

/// "If you push an image manifest that does not contain the `mediaType` field, you must specify the
/// `imageManifestMediaType` in the request." A Docker manifest of schema 2 without either is taken for one.
fn understood(input: &Input, manifest: &str) -> Result<(String, Value), AwsError> {
    let refused = || {
        invalid("Invalid parameter at 'imageManifest' failed to satisfy constraint: 'Invalid JSON syntax'")
    };
    if manifest.is_empty() || manifest.len() > MOST_BYTES {
        return Err(invalid(
            "Invalid parameter at 'imageManifest' failed to satisfy constraint: 1 to 4194304 bytes",
        ));
    }
    let parsed: Value = serde_json::from_str(manifest).map_err(|_| refused())?;
    if !parsed.is_object() {
        return Err(refused());
    }
    let (given, inside) =
        (optional(input, "imageManifestMediaType")?, parsed.get("mediaType").and_then(Value::as_str));
    if given.zip(inside).is_some_and(|(given, inside)| given != inside) {
        return Err(invalid(
            "Invalid parameter at 'imageManifestMediaType': it differs from the manifest's mediaType",
        ));
    }
    let default = "application/vnd.docker.distribution.manifest.v2+json";
    Ok((given.or(inside).unwrap_or(default).to_owned(), parsed))
}

/// 1 to 300 characters in the API; the characters are those of OCI.
fn is_tag(tag: &str) -> bool {
    let first = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    first
        && tag.len() <= 300
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl Repository {
    /// An index needs its manifests and a manifest its layers and configuration, all in this repository. What is no
    /// digest is not looked for, so that tests can push manifests without layers.
    fn has_all_of(&self, manifest: &Value) -> Result<(), AwsError> {
        let missing: Vec<String> =
            children(manifest).into_iter().filter(|child| !self.images.contains_key(child)).collect();
        if !missing.is_empty() {
            let message = format!(
                "Images with digests '[{}]' required for pushing image do not exist",
                missing.join(", ")
            );
            return Err(AwsError::client("ReferencedImagesNotFoundException", message));
        }
        let layers = blobs(manifest).into_iter().filter(|digest| is_digest(digest));
        let missing: Vec<String> = layers.filter(|digest| !self.layers.contains_key(digest)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message =
            format!("Layers with digests '[{}]' required for pushing image do not exist", missing.join(", "));
        Err(AwsError::client("LayersNotFoundException", message))
    }

    /// Nothing to do is an error, and so is a tag that may not move.
    fn may_put(&self, push: &Push<'_>) -> Result<(), AwsError> {
        let present = self.images.get(push.digest).filter(|image| image.status(push.now) == "ACTIVE");
        let Some(tag) = push.tag else {
            return present.map_or(Ok(()), |_| Err(push.image_exists("")));
        };
        let is_immutable = !self.is_mutable(tag);
        match self.by_tag(tag) {
            Some(known) if known == push.digest && present.is_some() => match push.repeat {
                Repeat::TagExists if is_immutable => Err(push.tag_exists(tag)),
                _ => Err(push.image_exists(&format!(" and tag '{tag}'"))),
            },
            Some(known) if known != push.digest && is_immutable => Err(push.tag_exists(tag)),
            _ => Ok(()),
        }
    }

    fn has_room(&self, digest: &str) -> Result<(), AwsError> {
        if self.images.get(digest).is_none_or(|image| image.tags.len() < MOST_TAGS) {
            return Ok(());
        }
        let message = "The maximum number of tags for the image has been reached";
        Err(AwsError::client("LimitExceededException", message))
    }
}

impl Push<'_> {
    fn image_exists(&self, what: &str) -> AwsError {
        let message = format!(
            "Image with digest '{}'{what} already exists in the repository with name '{}' in registry with id '{}'",
            self.digest, self.name, self.account
        );
        AwsError::client("ImageAlreadyExistsException", message)
    }

    fn tag_exists(&self, tag: &str) -> AwsError {
        let message = format!(
            "The image tag '{tag}' already exists in the '{}' repository and cannot be overwritten because the tag is immutable.",
            self.name
        );
        AwsError::client("ImageTagAlreadyExistsException", message)
    }
}

/// The digests of the layers and the configuration of a manifest.
pub(super) fn blobs(manifest: &Value) -> Vec<String> {
    let layers = manifest.get("layers").and_then(Value::as_array).into_iter().flatten();
    let all = layers.chain(manifest.get("config"));
    all.filter_map(|blob| blob.get("digest")?.as_str().map(str::to_owned)).collect()
}
