//! Amazon ECR.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::{list, member, next_page, owned, text, texts, time};
use super::batch::{Batches, Terms};
use super::caller::Client;
use super::error;
use super::image_config::{self, config_of};
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
const IMAGES_A_PAGE: u32 = 1000;
/// Pages that are looked through for a tag. Ten thousand tagged images are years of builds; a repository with more needs
/// the whole commit.
const MOST_PAGES: u32 = 10;
/// Tags that begin alike and are kept: two on different images are enough to know that a commit is ambiguous.
const MOST_TAGS: usize = 100;
/// Manifests are immutable and read once; beyond this many the cache starts afresh.
const MOST_CACHED: usize = 10_000;

/// `DescribeRepositories` takes a hundred names, and `DescribeImages` a hundred images of one repository (Amazon ECR API
/// reference).
const BATCH: usize = 100;

pub(super) struct EcrClient {
    client: Client,
    platforms: Mutex<HashMap<Digest, Vec<Platform>>>,
    repositories: Batches<Option<AccountId>, RepositoryName, Repository>,
    images: Batches<Named, ImageId, Value>,
    pulls: Batches<Named, Tag, Image>,
}

/// A repository by the account of its registry and its name.
type Named = (Option<AccountId>, RepositoryName);

/// One image of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ImageId {
    Tag(Tag),
    Digest(Digest),
}

impl ImageId {
    fn to_json(&self) -> Value {
        match self {
            Self::Tag(tag) => json!({"imageTag": tag.as_str()}),
            Self::Digest(digest) => json!({"imageDigest": digest.as_str()}),
        }
    }

    /// Whether an image that is described is this one.
    fn is(&self, detail: &Value) -> bool {
        match self {
            Self::Tag(tag) => texts(detail, "imageTags").any(|one| one == tag.as_str()),
            Self::Digest(digest) => text(detail, "imageDigest") == Some(digest.as_str()),
        }
    }
}

/// An input about a repository, without anything else.
fn about(registry: Option<&AccountId>, name: &RepositoryName) -> Value {
    let mut input = json!({"repositoryName": name.as_str()});
    if let Some(registry) = registry {
        input["registryId"] = Value::from(registry.as_str());
    }
    input
}

impl EcrClient {
    pub fn new(client: Client) -> Self {
        let linger = client.linger();
        Self {
            client,
            platforms: Mutex::default(),
            repositories: Batches::new(Terms::new(BATCH, linger)),
            images: Batches::new(Terms::new(BATCH, linger)),
            pulls: Batches::new(Terms::new(BATCH, linger)),
        }
    }

    /// Those images of one repository that are described, by what was asked for. AWS refuses all for the sake of one that is
    /// not there.
    async fn details(
        &self,
        (registry, name): Named,
        ids: Vec<ImageId>,
    ) -> Result<BTreeMap<ImageId, Value>, CloudError> {
        let mut input = about(registry.as_ref(), &name);
        input["imageIds"] = ids.iter().map(ImageId::to_json).collect();
        input["filter"] = json!({"imageStatus": "ANY"});
        let answer = self.client.read("DescribeImages", input).await?;
        // Of one image that was asked for, an answer may be short.
        let only = ids.len() == 1;
        let detail = |id: &ImageId| list(&answer, "imageDetails").find(|detail| only || id.is(detail));
        Ok(ids.iter().filter_map(|id| Some((id.clone(), detail(id)?.clone()))).collect())
    }

    /// What tags of one repository stand for, by the answer to who pulls them.
    async fn pull_all(
        &self,
        (registry, name): Named,
        tags: Vec<Tag>,
    ) -> Result<BTreeMap<Tag, Image>, CloudError> {
        let mut input = about(registry.as_ref(), &name);
        input["imageIds"] = tags.into_iter().map(|tag| ImageId::Tag(tag).to_json()).collect();
        input["acceptedMediaTypes"] = json!(MEDIA_TYPES);
        let answer = self.client.read("BatchGetImage", input).await?;
        let named = |image: &Value| {
            let id = member(image, "imageId");
            let (tag, digest) = (Tag::new(text(id, "imageTag")?), Digest::new(text(id, "imageDigest")?));
            let platforms = platforms_of(text(image, "imageManifest")?).ok()?;
            Some((tag.clone(), pullable(digest, BTreeSet::from([tag]), platforms)))
        };
        Ok(list(&answer, "images").filter_map(named).collect())
    }

    async fn repositories(
        &self,
        registry: Option<AccountId>,
        names: Vec<RepositoryName>,
    ) -> Result<BTreeMap<RepositoryName, Repository>, CloudError> {
        let mut input =
            json!({"repositoryNames": names.iter().map(RepositoryName::as_str).collect::<Vec<_>>()});
        if let Some(registry) = registry {
            input["registryId"] = Value::from(registry.as_str());
        }
        let answer = match self.client.read("DescribeRepositories", input).await {
            // Each repository may be allowed or not: they are asked for one by one.
            Err(CloudError::Denied(why)) if names.len() > 1 => return Err(CloudError::Rejected(why)),
            answer => answer?,
        };
        // Of one repository that was asked for, an answer may be short.
        let only = names.len() == 1;
        let is = |name: &RepositoryName, found: &Value| {
            only || text(found, "repositoryName") == Some(name.as_str())
        };
        let described = |name: &RepositoryName| list(&answer, "repositories").find(|found| is(name, found));
        Ok(names.iter().filter_map(|name| Some((name.clone(), repository(name, described(name)?)))).collect())
    }

    async fn image(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        id: ImageId,
    ) -> Result<Image, CloudError> {
        let named: Named = (registry.cloned(), name.clone());
        let call = |ids| self.details(named.clone(), ids);
        let detail = match self.images.ask(named.clone(), id.clone(), call).await {
            Err(CloudError::Denied(why)) => return self.pulled(registry, name, id, why).await,
            answer => answer?,
        };
        let detail = &detail.ok_or_else(|| CloudError::NotFound("no such image".to_owned()))?;
        let digest = Digest::new(text(detail, "imageDigest").unwrap_or_default());
        let is_index = text(detail, "imageManifestMediaType")
            .is_some_and(|kind| kind.contains("index") || kind.contains("list"));
        let platforms = if is_index { self.platforms(registry, name, &digest).await? } else { Vec::new() };
        Ok(Image {
            tags: texts(detail, "imageTags").map(Tag::new).collect(),
            archived: matches!(text(detail, "imageStatus"), Some("ARCHIVED" | "ACTIVATING")),
            pushed_at: time(detail, "imagePushedAt").unwrap_or_default(),
            platforms,
            digest,
        })
    }

    /// What pulling tells of an image that may not be described. `why` that was denied is told where pulling is too.
    async fn pulled(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        id: ImageId,
        why: String,
    ) -> Result<Image, CloudError> {
        let tags = match &id {
            ImageId::Tag(tag) => BTreeSet::from([tag.clone()]),
            ImageId::Digest(_) => BTreeSet::new(),
        };
        let pulled = self.pull(registry, name, &id).await.map_err(|error| match error {
            CloudError::Denied(_) => CloudError::Denied(why),
            other => other,
        })?;
        let platforms = platforms_of(&pulled.manifest)?;
        Ok(pullable(pulled.digest, tags, platforms))
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
        let pulled = self.pull(registry, name, &ImageId::Digest(digest.clone())).await?;
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
        id: &ImageId,
    ) -> Result<Pulled, CloudError> {
        let mut input = about(registry, name);
        input["imageIds"] = json!([id.to_json()]);
        input["acceptedMediaTypes"] = json!(MEDIA_TYPES);
        let answer = self.client.read("BatchGetImage", input).await?;
        let image = list(&answer, "images").next().unwrap_or(&Value::Null);
        let Some(manifest) = owned(image, "imageManifest") else {
            let failure = list(&answer, "failures").next();
            let why = failure.and_then(|failure| text(failure, "failureReason")).unwrap_or("no such image");
            return Err(CloudError::NotFound(error::said(why)));
        };
        Ok(Pulled {
            digest: Digest::new(format!("sha256:{}", hex::encode(Sha256::digest(manifest.as_bytes())))),
            manifest,
            media_type: owned(image, "imageManifestMediaType"),
        })
    }
}

/// What is archived cannot be pulled; when it was pushed, pulling does not tell.
fn pullable(digest: Digest, tags: BTreeSet<Tag>, platforms: Vec<Platform>) -> Image {
    Image { digest, tags, archived: false, pushed_at: 0, platforms }
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
    let platforms = list(&manifest, "manifests").filter_map(|entry| {
        let platform = member(entry, "platform");
        Some(Platform {
            digest: text(entry, "digest").map(Digest::new),
            os: owned(platform, "os")?,
            architecture: owned(platform, "architecture")?,
        })
    });
    Ok(platforms.filter(|platform| platform.os != "unknown").collect())
}

fn repository(name: &RepositoryName, found: &Value) -> Repository {
    let filters = list(found, "imageTagMutabilityExclusionFilters");
    let filters = filters.filter_map(|filter| owned(filter, "filter"));
    let (mutable_by_default, exceptions) = match text(found, "imageTagMutability") {
        Some("IMMUTABLE") => (false, Vec::new()),
        Some("IMMUTABLE_WITH_EXCLUSION") => (false, filters.collect()),
        Some("MUTABLE_WITH_EXCLUSION") => (true, filters.collect()),
        _ => (true, Vec::new()),
    };
    Repository {
        name: name.clone(),
        uri: owned(found, "repositoryUri").unwrap_or_default(),
        mutability: Mutability { mutable_by_default, exceptions },
    }
}

#[async_trait]
impl Ecr for EcrClient {
    async fn repository(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
    ) -> Result<Repository, CloudError> {
        let call = |names| self.repositories(registry.cloned(), names);
        let found = self.repositories.ask(registry.cloned(), name.clone(), call).await?;
        found.ok_or_else(|| CloudError::NotFound(name.to_string()))
    }

    fn address(&self, registry: Option<&AccountId>, name: &RepositoryName) -> Option<String> {
        Some(format!("{}/{name}", registry_host(registry?, self.client.region()?.as_str())))
    }

    async fn image_by_tag(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Image, CloudError> {
        self.image(registry, name, ImageId::Tag(tag.clone())).await
    }

    async fn image_by_digest(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Image, CloudError> {
        self.image(registry, name, ImageId::Digest(digest.clone())).await
    }

    async fn pulled_by_tag(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Image>, CloudError> {
        let named: Named = (registry.cloned(), name.clone());
        let call = |tags| self.pull_all(named.clone(), tags);
        self.pulls.ask(named.clone(), tag.clone(), call).await
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
        if !self.client.can_download() {
            return None;
        }
        let config = config_of(&self.manifest(registry, name, digest).await.ok()?.manifest)?;
        let mut input = about(registry, name);
        input["layerDigest"] = Value::from(config.as_str());
        let answer = self.client.read("GetDownloadUrlForLayer", input).await.ok()?;
        let bytes = self.client.download(text(&answer, "downloadUrl")?).await?;
        let platform = image_config::platform(&bytes, &config)?;
        self.keep_platforms(digest, std::slice::from_ref(&platform));
        Some(platform)
    }

    async fn tags(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        beginning: &str,
    ) -> Result<Tags, CloudError> {
        let mut input = about(registry, name);
        input["filter"] = json!({"tagStatus": "TAGGED", "imageStatus": "ANY"});
        input["maxResults"] = Value::from(IMAGES_A_PAGE);
        let mut tags = Tags::default();
        while tags.pages < MOST_PAGES && tags.found.len() < MOST_TAGS {
            let answer = self.client.read("DescribeImages", input.clone()).await?;
            tags.pages += 1;
            for image in list(&answer, "imageDetails") {
                let digest = Digest::new(text(image, "imageDigest").unwrap_or_default());
                let fitting = texts(image, "imageTags").filter(|tag| begins(tag, beginning));
                tags.found.extend(fitting.map(|tag| (Tag::new(tag), digest.clone())));
            }
            let Some(token) = next_page(&answer, "nextToken") else {
                tags.is_complete = true;
                break;
            };
            input["nextToken"] = Value::from(token);
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
        let mut input = about(registry, name);
        input["imageManifest"] = Value::from(manifest);
        input["imageDigest"] = Value::from(digest.as_str());
        input["imageTag"] = Value::from(tag.as_str());
        if let Some(media_type) = media_type {
            input["imageManifestMediaType"] = Value::from(media_type);
        }
        match self.client.write("PutImage", input).await {
            // The tag already points there: done.
            Err(CloudError::Rejected(why)) if why.starts_with("ImageAlreadyExistsException") => Ok(()),
            // An immutable tag that points there already is answered so too, by some reports.
            Err(CloudError::Rejected(why)) if why.starts_with("ImageTagAlreadyExistsException") => {
                match self.image_by_tag(registry, name, tag).await {
                    Ok(found) if found.digest == *digest => Ok(()),
                    _ => Err(CloudError::Rejected(why)),
                }
            }
            other => other.map(drop),
        }
    }
}
