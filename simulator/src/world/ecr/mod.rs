//! Amazon ECR as its API reference describes it: which operation does what, and the images themselves.

mod layers;
mod lifecycle;
mod policy;
mod put;
mod reads;
mod removal;
mod repositories;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::input::{Input, invalid, list, optional, text};
use super::{Answer, AwsError, Principal, World, unknown};
pub(crate) use put::Repeat;

/// How the path of the address of a layer begins.
pub(crate) const DOWNLOADS: &str = "/v2/";

/// Shared with worlds whose tasks may pull from them; whoever changes them has a copy.
type Repositories = Arc<BTreeMap<String, Repository>>;

/// The repositories of one account and region, as another world sees them.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    account: String,
    host: String,
    repositories: Repositories,
}

/// The registry of one account in one region.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    account: String,
    region: String,
    repositories: Repositories,
    /// Those of other accounts and regions, as they are when this world is looked at: a task may pull from them.
    others: Vec<Shelf>,
    /// By account and name: what the policy of another account's repository lets this one do. Its images are those of
    /// the own repository of that name.
    shared: BTreeMap<(String, String), BTreeSet<String>>,
    uploads: BTreeMap<String, layers::Upload>,
    uploads_begun: u64,
}

#[derive(Clone, Debug)]
struct Repository {
    created_at: u64,
    mutability: String,
    exclusions: Vec<String>,
    scan_on_push: bool,
    policy: Option<policy::Policy>,
    /// As it was put. Nothing expires here.
    lifecycle: Option<String>,
    /// By digest.
    images: BTreeMap<String, Image>,
    /// Sizes of the uploaded layers and configurations, by digest.
    layers: BTreeMap<String, u64>,
    /// What of them is small enough to be a configuration, by digest.
    contents: BTreeMap<String, Arc<[u8]>>,
}

#[derive(Clone, Debug)]
struct Image {
    manifest: String,
    media_type: String,
    tags: BTreeSet<String>,
    pushed_at: u64,
    pulled_at: Option<u64>,
    storage: Storage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    Active,
    /// Since when.
    Archived(u64),
    /// Until when it is being restored.
    Activating(u64),
}

impl Image {
    fn status(&self, now: u64) -> &'static str {
        match self.storage {
            Storage::Archived(_) => "ARCHIVED",
            Storage::Activating(until) if until > now => "ACTIVATING",
            Storage::Active | Storage::Activating(_) => "ACTIVE",
        }
    }

    fn archived_at(&self) -> Option<u64> {
        match self.storage {
            Storage::Archived(at) => Some(at),
            Storage::Active | Storage::Activating(_) => None,
        }
    }

    /// When it came back from the archive, if it ever did.
    fn activated_at(&self, now: u64) -> Option<u64> {
        match self.storage {
            Storage::Activating(until) if until <= now => Some(until),
            _ => None,
        }
    }

    fn parsed(&self) -> Value {
        serde_json::from_str(&self.manifest).unwrap_or_default()
    }
}

/// The digests of what an index refers to.
fn children(manifest: &Value) -> Vec<String> {
    let children = manifest.get("manifests").and_then(Value::as_array).into_iter().flatten();
    children.filter_map(|child| child.get("digest")?.as_str().map(str::to_owned)).collect()
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Repository {
    fn by_tag(&self, tag: &str) -> Option<&String> {
        self.images.iter().find(|(_, image)| image.tags.contains(tag)).map(|(digest, _)| digest)
    }

    /// The image that an `imageId` names, or the code of the failure (Amazon ECR API reference, `ImageFailure`).
    fn find(&self, id: &Value) -> Result<(&String, &Image), &'static str> {
        let part = |key: &str| id.get(key).and_then(Value::as_str);
        let (digest, tag) = (part("imageDigest"), part("imageTag"));
        let digest = match (digest, tag) {
            (None, None) => return Err("MissingDigestAndTag"),
            (Some(digest), _) if !is_digest(digest) => return Err("InvalidImageDigest"),
            (Some(digest), _) => digest,
            (None, Some(tag)) => self.by_tag(tag).ok_or("ImageNotFound")?,
        };
        let (digest, image) = self.images.get_key_value(digest).ok_or("ImageNotFound")?;
        if tag.is_some_and(|tag| !image.tags.contains(tag)) {
            return Err("ImageTagDoesNotMatchDigest");
        }
        Ok((digest, image))
    }

    fn is_referenced(&self, digest: &str) -> bool {
        self.images.values().any(|image| children(&image.parsed()).iter().any(|child| child == digest))
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn failure(id: &Value, code: &str) -> Value {
    let reason = match code {
        "MissingDigestAndTag" => "Invalid request parameters: both tag and digest cannot be null",
        "ImageTagDoesNotMatchDigest" => "Requested tag does not map to the requested digest",
        "InvalidImageDigest" => "Invalid image digest",
        "ImageReferencedByManifestList" => "Requested image referenced by manifest list",
        _ => "Requested image not found",
    };
    json!({"imageId": id, "failureCode": code, "failureReason": reason})
}

impl Registry {
    pub(super) fn new(account: &str, region: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            repositories: Arc::default(),
            others: Vec::new(),
            shared: BTreeMap::new(),
            uploads: BTreeMap::new(),
            uploads_begun: 0,
        }
    }

    fn host(&self) -> String {
        self.host_of(&self.account)
    }

    fn host_of(&self, account: &str) -> String {
        format!("{account}.dkr.ecr.{}.amazonaws.com", self.region)
    }

    /// From now on the repository of another account has a policy that lets this one make these calls.
    pub(super) fn share(&mut self, account: &str, name: &str, operations: &[&str]) -> bool {
        let operations = operations.iter().map(|operation| (*operation).to_owned()).collect();
        self.shared.insert((account.to_owned(), name.to_owned()), operations);
        self.repositories.contains_key(name)
    }

    fn lets_in(&self, account: &str, name: &str, operation: &str) -> bool {
        let allowed = self.shared.get(&(account.to_owned(), name.to_owned()));
        allowed.is_some_and(|operations| operations.contains(operation))
    }

    /// Whether an image of this host and repository can be pulled.
    fn can_pull_from(&self, host: &str, name: &str) -> bool {
        let account = host.split('.').next().unwrap_or_default();
        host == self.host() || (host == self.host_of(account) && self.lets_in(account, name, "BatchGetImage"))
    }

    fn missing(&self, name: &str) -> AwsError {
        let message = format!(
            "The repository with name '{name}' does not exist in the registry with id '{}'",
            self.account
        );
        AwsError::client("RepositoryNotFoundException", message)
    }

    fn repository(&self, input: &Input) -> Result<(&Repository, String), AwsError> {
        let name = text(input, "repositoryName")?;
        let found = self.repositories.get(name).ok_or_else(|| self.missing(name))?;
        Ok((found, name.to_owned()))
    }

    fn repository_mut(&mut self, input: &Input) -> Result<(&mut Repository, String), AwsError> {
        let name = text(input, "repositoryName")?;
        let missing = self.missing(name);
        let found = Arc::make_mut(&mut self.repositories).get_mut(name).ok_or(missing)?;
        Ok((found, name.to_owned()))
    }

    /// These images have just been pulled. AWS keeps the time once a day at most (Amazon ECR API reference,
    /// `ImageDetail`), here always.
    pub(super) fn record_pulls<'a>(&mut self, digests: impl Iterator<Item = &'a String>, now: u64) {
        let digests: Vec<&String> = digests.collect();
        if digests.is_empty() {
            return;
        }
        let repositories = Arc::make_mut(&mut self.repositories);
        for digest in digests {
            for repository in repositories.values_mut() {
                if let Some(image) = repository.images.get_mut(digest) {
                    image.pulled_at = Some(now);
                }
            }
        }
    }

    /// What a container runs by this reference, if it can be pulled. `kept`: the digest that the deployment runs
    /// already. Images of other registries than ECR always exist; their digest is made of their name.
    pub(super) fn pull(&self, reference: &str, kept: Option<&str>, now: u64) -> Option<String> {
        let (host, path) = reference.split_once('/').unwrap_or(("", reference));
        let (name, digest) = path.split_once('@').map_or((path, None), |(name, digest)| (name, Some(digest)));
        let (name, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let digest = kept.or(digest);
        if let Some(shelf) = self.others.iter().find(|shelf| shelf.host == host) {
            return shelf.pull(&self.account, name, digest, tag, now);
        }
        if !self.can_pull_from(host, name) {
            let elsewhere = host.contains(".dkr.ecr.");
            let made = || digest.map_or_else(|| digest_of(reference.as_bytes()), str::to_owned);
            return (!elsewhere).then(made);
        }
        self.repositories.get(name)?.pull(digest, tag, now)
    }
}

impl Repository {
    fn pull(&self, digest: Option<&str>, tag: &str, now: u64) -> Option<String> {
        let digest = digest.or_else(|| self.by_tag(tag).map(String::as_str))?;
        let image = self.images.get(digest)?;
        (image.status(now) == "ACTIVE").then(|| digest.to_owned())
    }
}

impl Shelf {
    /// For a task of another account the policy of the repository must allow its account what a pull takes; that the role which
    /// starts the task may do it is taken for granted. When it was pulled is not recorded there.
    fn pull(&self, account: &str, name: &str, digest: Option<&str>, tag: &str, now: u64) -> Option<String> {
        let repository = self.repositories.get(name)?;
        let by = Principal::user(account, "aws");
        let may = |operation| repository.lets_in(&by, operation);
        let may_pull = account == self.account || (may("BatchGetImage") && may("GetDownloadUrlForLayer"));
        repository.pull(digest, tag, now).filter(|_| may_pull)
    }
}

impl World {
    /// What a client gets at an address that `GetDownloadUrlForLayer` has answered. `None`: nothing is there, or it is too
    /// large to be kept.
    pub fn download(&self, url: &str) -> Option<&[u8]> {
        let (_, path) = url.split_once(DOWNLOADS)?;
        self.registry.content(path)
    }

    /// The registry of this world, as others see it.
    pub(crate) fn shelf(&self) -> Shelf {
        let Registry { account, repositories, .. } = &self.registry;
        let (account, repositories) = (account.clone(), Arc::clone(repositories));
        Shelf { account, host: self.registry.host(), repositories }
    }

    /// What there is in other accounts and regions from now on.
    pub(crate) fn look_around(&mut self, shelves: Vec<Shelf>) {
        self.registry.others = shelves;
    }

    pub(super) fn ecr(&mut self, operation: &str, input: &Input) -> Answer {
        self.is_own_registry(operation, input)?;
        let (now, repeat, registry) = (self.now, self.faults.repeated_push(), &mut self.registry);
        match operation {
            "CreateRepository" => registry.create_repository(input, now),
            "DeleteRepository" => registry.delete_repository(input),
            "DescribeRepositories" => registry.describe_repositories(input),
            "PutLifecyclePolicy" => registry.put_lifecycle_policy(input),
            "GetLifecyclePolicy" => registry.get_lifecycle_policy(input),
            "DeleteLifecyclePolicy" => registry.delete_lifecycle_policy(input),
            "SetRepositoryPolicy" => registry.set_repository_policy(input),
            "GetRepositoryPolicy" => registry.get_repository_policy(input),
            "DeleteRepositoryPolicy" => registry.delete_repository_policy(input),
            "PutImageTagMutability" => registry.put_image_tag_mutability(input),
            "GetAuthorizationToken" => Ok(registry.authorization(now)),
            "PutImage" => registry.put_image(input, now, repeat),
            "BatchGetImage" => registry.batch_get_image(input, now),
            "DescribeImages" => registry.describe_images(input, now),
            "ListImages" => registry.list_images(input, now),
            "BatchDeleteImage" => registry.batch_delete_image(input),
            "UpdateImageStorageClass" => registry.update_image_storage_class(input, now),
            "InitiateLayerUpload" => registry.initiate_layer_upload(input),
            "UploadLayerPart" => registry.upload_layer_part(input),
            "CompleteLayerUpload" => registry.complete_layer_upload(input),
            "BatchCheckLayerAvailability" => registry.batch_check_layer_availability(input),
            "GetDownloadUrlForLayer" => registry.get_download_url_for_layer(input),
            _ => Err(unknown(operation)),
        }
    }

    /// Another account is let in by the policy of a repository alone, and for what it says (Amazon ECR user guide, "Private
    /// repository policies").
    fn is_own_registry(&self, operation: &str, input: &Input) -> Result<(), AwsError> {
        let registry = optional(input, "registryId")?.unwrap_or(&self.principal.account);
        if registry.len() != 12 || !registry.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("Invalid parameter at 'registryId' failed to satisfy constraint: 12 digits"));
        }
        if registry == self.principal.account {
            return Ok(());
        }
        let named: Vec<&str> = match optional(input, "repositoryName")? {
            Some(name) => vec![name],
            None => list(input, "repositoryNames").filter_map(Value::as_str).collect(),
        };
        let by_policy = |name: &str| {
            let repository = self.registry.repositories.get(name);
            repository.is_some_and(|repository| repository.lets_in(&self.principal, operation))
        };
        let is_here = registry == self.account;
        let lets_in = |name: &&str| {
            if is_here { by_policy(name) } else { self.registry.lets_in(registry, name, operation) }
        };
        let refused = match named.iter().find(|name| !lets_in(name)) {
            None if !named.is_empty() => return Ok(()),
            refused => refused.copied().unwrap_or("*"),
        };
        let message = format!(
            "User: {} is not authorized to perform: ecr:{operation} on resource: arn:aws:ecr:{}:{registry}:repository/{refused} because no resource-based policy allows the ecr:{operation} action",
            self.caller(),
            self.region
        );
        Err(AwsError::client("AccessDeniedException", message))
    }
}

/// The `imageIds` of a batch.
fn image_ids(input: &Input) -> Result<Vec<&Value>, AwsError> {
    let ids: Vec<&Value> = list(input, "imageIds").collect();
    match ids.len() {
        1..=100 => Ok(ids),
        _ => Err(invalid("Invalid parameter at 'imageIds' failed to satisfy constraint: 1 to 100 items")),
    }
}
