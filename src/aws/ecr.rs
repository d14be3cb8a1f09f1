//! Amazon ECR.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{self as sdk, ImageIdentifier};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::error::{classify_read, classify_write};
use super::image_config::{ImageConfigs, config_of};
use super::json::registry_host;
use crate::model::{AccountId, Digest, Image, Mutability, Platform, Repository, RepositoryName, Tag, Tags};
use crate::ports::{CloudError, Ecr};

/// Media types to ask for, so that an index comes back as an index (Amazon ECR API reference, `BatchGetImage`).
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];
/// "The maximum number of repository results" of one page (Amazon ECR API reference, `DescribeImages`).
const IMAGES_A_PAGE: i32 = 1000;
/// Pages that are looked through for a tag. Ten thousand tagged images are years of builds; a repository with more needs
/// the whole commit.
const MOST_PAGES: u32 = 10;
/// Tags that begin alike and are kept: two on different images are enough to know that a commit is ambiguous.
const MOST_TAGS: usize = 100;
/// Manifests are immutable and read once; beyond this many the cache starts afresh.
const MOST_CACHED: usize = 10_000;

pub struct EcrClient {
    client: Client,
    platforms: Mutex<HashMap<Digest, Vec<Platform>>>,
    configs: ImageConfigs,
}

impl EcrClient {
    /// `endpoint`: an address that takes the place of AWS's own.
    pub fn new(client: Client, endpoint: Option<&str>) -> Self {
        Self { client, platforms: Mutex::default(), configs: ImageConfigs::new(endpoint) }
    }

    async fn image(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        id: ImageIdentifier,
    ) -> Result<Image, CloudError> {
        let filter = sdk::DescribeImagesFilter::builder().image_status(sdk::ImageStatusFilter::Any).build();
        let call = self
            .client
            .describe_images()
            .set_registry_id(registry.map(|account| account.as_str().to_owned()))
            .repository_name(name.as_str())
            .image_ids(id.clone())
            .filter(filter);
        let answer = match call.send().await.map_err(|error| classify_read(&error)) {
            Err(CloudError::Denied(why)) => return self.pulled(registry, name, id, why).await,
            answer => answer?,
        };
        let detail =
            answer.image_details().first().ok_or_else(|| CloudError::NotFound("no such image".to_owned()))?;
        let digest = Digest::new(detail.image_digest().unwrap_or_default());
        let is_index = detail
            .image_manifest_media_type()
            .is_some_and(|kind| kind.contains("index") || kind.contains("list"));
        let platforms = if is_index { self.platforms(registry, name, &digest).await? } else { Vec::new() };
        Ok(Image {
            tags: detail.image_tags().iter().map(Tag::new).collect(),
            archived: matches!(
                detail.image_status(),
                Some(sdk::ImageStatus::Archived | sdk::ImageStatus::Activating)
            ),
            pushed_at: detail.image_pushed_at().and_then(|time| time.to_millis().ok()).unwrap_or_default(),
            platforms,
            digest,
        })
    }

    /// What pulling tells of an image that may not be described. `why` that was denied is told where pulling is too.
    async fn pulled(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        id: ImageIdentifier,
        why: String,
    ) -> Result<Image, CloudError> {
        let tags = id.image_tag().map(Tag::new).into_iter().collect();
        let pulled = self.pull(registry, name, id).await.map_err(|error| match error {
            CloudError::Denied(_) => CloudError::Denied(why),
            other => other,
        })?;
        let platforms = platforms_of(&pulled.manifest)?;
        // What is archived cannot be pulled.
        Ok(Image { digest: pulled.digest, tags, archived: false, pushed_at: 0, platforms })
    }

    async fn platforms(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Platform>, CloudError> {
        if let Some(known) = self.kept_platforms(digest) {
            return Ok(known);
        }
        let platforms = platforms_of(&self.manifest(registry, name, digest).await?.manifest)?;
        self.keep_platforms(digest, &platforms);
        Ok(platforms)
    }

    fn kept_platforms(&self, digest: &Digest) -> Option<Vec<Platform>> {
        self.platforms.lock().ok()?.get(digest).cloned()
    }

    fn keep_platforms(&self, digest: &Digest, platforms: &[Platform]) {
        let Ok(mut cache) = self.platforms.lock() else { return };
        if cache.len() > MOST_CACHED {
            cache.clear();
        }
        cache.insert(digest.clone(), platforms.to_vec());
    }

    /// The image of this digest and no other.
    async fn manifest(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Pulled, CloudError> {
        let id = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        let pulled = self.pull(registry, name, id).await?;
        if pulled.digest != *digest {
            return Err(CloudError::Rejected(format!(
                "the manifest of {digest} hashes to {}",
                pulled.digest
            )));
        }
        Ok(pulled)
    }

    async fn pull(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        id: ImageIdentifier,
    ) -> Result<Pulled, CloudError> {
        let call = self
            .client
            .batch_get_image()
            .set_registry_id(registry.map(|account| account.as_str().to_owned()))
            .repository_name(name.as_str())
            .image_ids(id)
            .set_accepted_media_types(Some(MEDIA_TYPES.map(str::to_owned).to_vec()));
        let answer = call.send().await.map_err(|error| classify_read(&error))?;
        let image = answer.images().first();
        let manifest = image.and_then(|image| image.image_manifest());
        let Some(manifest) = manifest else {
            let why = answer
                .failures()
                .first()
                .and_then(|failure| failure.failure_reason())
                .unwrap_or("no such image");
            return Err(CloudError::NotFound(why.to_owned()));
        };
        Ok(Pulled {
            digest: Digest::new(format!("sha256:{}", hex::encode(Sha256::digest(manifest.as_bytes())))),
            manifest: manifest.to_owned(),
            media_type: image.and_then(|image| image.image_manifest_media_type()).map(str::to_owned),
        })
    }
}

/// Whether the tag begins so, whatever the case of its letters.
fn begins(tag: &str, beginning: &str) -> bool {
    tag.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

/// A manifest byte for byte, and the digest that its bytes have.
struct Pulled {
    digest: Digest,
    manifest: String,
    media_type: Option<String>,
}

/// The platforms that an index names; none for the manifest of a single image.
fn platforms_of(manifest: &str) -> Result<Vec<Platform>, CloudError> {
    let manifest: Value =
        serde_json::from_str(manifest).map_err(|error| CloudError::Rejected(error.to_string()))?;
    let entries = manifest.get("manifests").and_then(Value::as_array).into_iter().flatten();
    let platforms = entries.filter_map(|entry| {
        let platform = |key: &str| Some(entry.get("platform")?.get(key)?.as_str()?.to_owned());
        Some(Platform {
            digest: entry.get("digest").and_then(Value::as_str).map(Digest::new),
            os: platform("os")?,
            architecture: platform("architecture")?,
        })
    });
    Ok(platforms.filter(|platform| platform.os != "unknown").collect())
}

#[async_trait]
impl Ecr for EcrClient {
    async fn repository(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
    ) -> Result<Repository, CloudError> {
        let call = self
            .client
            .describe_repositories()
            .set_registry_id(registry.map(|account| account.as_str().to_owned()))
            .repository_names(name.as_str());
        let answer = call.send().await.map_err(|error| classify_read(&error))?;
        let found = answer.repositories().first().ok_or_else(|| CloudError::NotFound(name.to_string()))?;
        let filters =
            found.image_tag_mutability_exclusion_filters().iter().map(|filter| filter.filter().to_owned());
        let (mutable_by_default, exceptions) = match found.image_tag_mutability() {
            Some(sdk::ImageTagMutability::Immutable) => (false, Vec::new()),
            Some(sdk::ImageTagMutability::ImmutableWithExclusion) => (false, filters.collect()),
            Some(sdk::ImageTagMutability::MutableWithExclusion) => (true, filters.collect()),
            _ => (true, Vec::new()),
        };
        Ok(Repository {
            name: name.clone(),
            uri: found.repository_uri().unwrap_or_default().to_owned(),
            mutability: Mutability { mutable_by_default, exceptions },
        })
    }

    fn address(&self, registry: Option<&AccountId>, name: &RepositoryName) -> Option<String> {
        let region = self.client.config().region()?;
        Some(format!("{}/{name}", registry_host(registry?, region.as_ref())))
    }

    async fn image_by_tag(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Image, CloudError> {
        self.image(registry, name, ImageIdentifier::builder().image_tag(tag.as_str()).build()).await
    }

    async fn image_by_digest(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Image, CloudError> {
        self.image(registry, name, ImageIdentifier::builder().image_digest(digest.as_str()).build()).await
    }

    async fn platform(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Option<Platform> {
        if let Some(known) = self.kept_platforms(digest) {
            return known.into_iter().next();
        }
        if self.configs.rests() {
            return None;
        }
        let config = config_of(&self.manifest(registry, name, digest).await.ok()?.manifest)?;
        let call = self
            .client
            .get_download_url_for_layer()
            .set_registry_id(registry.map(|account| account.as_str().to_owned()))
            .repository_name(name.as_str())
            .layer_digest(config.as_str());
        let answer = call.send().await.ok()?;
        let platform = self.configs.platform(answer.download_url()?, &config).await?;
        self.keep_platforms(digest, std::slice::from_ref(&platform));
        Some(platform)
    }

    async fn tags(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        beginning: &str,
    ) -> Result<Tags, CloudError> {
        let filter = sdk::DescribeImagesFilter::builder()
            .tag_status(sdk::TagStatus::Tagged)
            .image_status(sdk::ImageStatusFilter::Any)
            .build();
        let mut tags = Tags::default();
        let mut token = None;
        while tags.pages < MOST_PAGES && tags.found.len() < MOST_TAGS {
            let call = self
                .client
                .describe_images()
                .set_registry_id(registry.map(|account| account.as_str().to_owned()))
                .repository_name(name.as_str())
                .filter(filter.clone())
                .max_results(IMAGES_A_PAGE)
                .set_next_token(token);
            let answer = call.send().await.map_err(|error| classify_read(&error))?;
            tags.pages += 1;
            for image in answer.image_details() {
                let digest = Digest::new(image.image_digest().unwrap_or_default());
                let fitting = image.image_tags().iter().filter(|tag| begins(tag, beginning));
                tags.found.extend(fitting.map(|tag| (Tag::new(tag), digest.clone())));
            }
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                tags.is_complete = true;
                break;
            }
        }
        Ok(tags)
    }

    async fn move_tag(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
        tag: &Tag,
    ) -> Result<(), CloudError> {
        let Pulled { manifest, media_type, .. } = self.manifest(registry, name, digest).await?;
        let call = self
            .client
            .put_image()
            .set_registry_id(registry.map(|account| account.as_str().to_owned()))
            .repository_name(name.as_str())
            .image_manifest(manifest)
            .set_image_manifest_media_type(media_type)
            .image_digest(digest.as_str())
            .image_tag(tag.as_str());
        let Err(error) = call.send().await else { return Ok(()) };
        match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            // The tag already points there: done.
            Some("ImageAlreadyExistsException") => Ok(()),
            // An immutable tag that points there already is answered so too, by some reports.
            Some("ImageTagAlreadyExistsException") => match self.image_by_tag(registry, name, tag).await {
                Ok(found) if found.digest == *digest => Ok(()),
                _ => Err(classify_write(&error)),
            },
            _ => Err(classify_write(&error)),
        }
    }
}
