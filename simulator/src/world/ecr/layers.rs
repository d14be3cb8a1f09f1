//! Uploading layers (Amazon ECR API reference: `InitiateLayerUpload`, `UploadLayerPart`, `CompleteLayerUpload`,
//! `BatchCheckLayerAvailability`, `GetDownloadUrlForLayer`). Size and digest of a layer are kept, and its bytes where it is
//! small: a configuration can be downloaded, a layer of files only asked for.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::put::blobs;
use super::{Registry, digest_of, is_digest};
use crate::world::input::{Input, batch, count, invalid, text};
use crate::world::{Answer, AwsError};

/// "The maximum size of each image layer part can be 20971520 bytes" (`UploadLayerPart`).
const PART: usize = 20_971_520;
/// "A layer part is smaller than 5 MiB": all but the last must have as much (`LayerPartTooSmallException`).
const LEAST_PART: usize = 5 << 20;
/// Bytes of one layer that the simulator takes.
const MOST_BYTES: usize = 256 << 20;
/// Bytes of a layer that are kept, and of all that are kept of one repository: configurations have a few KiB.
const KEPT: usize = 1 << 20;
const MOST_KEPT: usize = 64 << 20;
/// Between the name and the digest in the address of a layer.
const BLOBS: &str = "/blobs/";
/// Uploads under way at once.
const MOST_UPLOADS: usize = 100;

#[derive(Clone, Debug)]
pub(super) struct Upload {
    repository: String,
    bytes: Vec<u8>,
    /// Whether a part that was too small came before another one.
    too_small: bool,
    last_part: usize,
}

impl Registry {
    pub(super) fn initiate_layer_upload(&mut self, input: &Input) -> Answer {
        let (_, repository) = self.repository(input)?;
        if self.uploads.len() >= MOST_UPLOADS {
            return Err(AwsError::client("LimitExceededException", "too many uploads are under way"));
        }
        self.uploads_begun += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", self.uploads_begun);
        let upload = Upload { repository, bytes: Vec::new(), too_small: false, last_part: PART };
        self.uploads.insert(id.clone(), upload);
        Ok(json!({"uploadId": id, "partSize": PART}))
    }

    fn upload(&mut self, input: &Input) -> Result<(&mut Upload, String), AwsError> {
        let (_, repository) = self.repository(input)?;
        let id = text(input, "uploadId")?.to_owned();
        let missing = || {
            let message =
                format!("The upload with id '{id}' does not exist in the repository '{repository}'");
            AwsError::client("UploadNotFoundException", message)
        };
        let found = self.uploads.get_mut(&id).filter(|upload| upload.repository == repository);
        found.map(|upload| (upload, id.clone())).ok_or_else(missing)
    }

    pub(super) fn upload_layer_part(&mut self, input: &Input) -> Answer {
        let part = STANDARD
            .decode(text(input, "layerPartBlob")?)
            .map_err(|_| invalid("layerPartBlob is no base64"))?;
        let bound = |key| count(input, key)?.ok_or_else(|| invalid(format!("{key} is missing")));
        let (first, last) = (bound("partFirstByte")?, bound("partLastByte")?);
        let account = self.account.clone();
        let (upload, id) = self.upload(input)?;
        let held = upload.bytes.len();
        let follows =
            first == held as u64 && last.checked_sub(first).is_some_and(|gap| gap + 1 == part.len() as u64);
        if !follows || part.len() > PART || held + part.len() > MOST_BYTES {
            let message = format!("Layer part must follow byte {held} and hold as many bytes as it says");
            return Err(AwsError::client("InvalidLayerPartException", message));
        }
        upload.too_small |= upload.last_part < LEAST_PART;
        upload.last_part = part.len();
        upload.bytes.extend(part);
        let name = upload.repository.clone();
        Ok(json!({"registryId": account, "repositoryName": name, "uploadId": id, "lastByteReceived": last}))
    }

    pub(super) fn complete_layer_upload(&mut self, input: &Input) -> Answer {
        let wanted: Vec<String> = batch(input, "layerDigests", 100)?.into_iter().map(str::to_owned).collect();
        let account = self.account.clone();
        let (upload, id) = self.upload(input)?;
        let (digest, size) = (digest_of(&upload.bytes), upload.bytes.len() as u64);
        let content: Option<Arc<[u8]>> = (upload.bytes.len() <= KEPT).then(|| upload.bytes.as_slice().into());
        let (name, too_small) = (upload.repository.clone(), upload.too_small);
        if size == 0 {
            return Err(AwsError::client("EmptyUploadException", "The upload contains no parts"));
        }
        if too_small {
            return Err(AwsError::client(
                "LayerPartTooSmallException",
                "Layer parts must be at least 5 MiB in size",
            ));
        }
        if !wanted.contains(&digest) {
            let message = "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match the digest specified";
            return Err(AwsError::client("InvalidLayerException", message));
        }
        self.uploads.remove(&id);
        let (repository, _) = self.repository_mut(input)?;
        if repository.layers.insert(digest.clone(), size).is_some() {
            let message = format!("The layer '{digest}' already exists in the repository '{name}'");
            return Err(AwsError::client("LayerAlreadyExistsException", message));
        }
        let kept: usize = repository.contents.values().map(|content| content.len()).sum();
        if let Some(content) = content.filter(|content| kept + content.len() <= MOST_KEPT) {
            repository.contents.insert(digest.clone(), content);
        }
        Ok(json!({"registryId": account, "repositoryName": name, "uploadId": id, "layerDigest": digest}))
    }

    pub(super) fn batch_check_layer_availability(&mut self, input: &Input) -> Answer {
        let (repository, _) = self.repository(input)?;
        let (mut layers, mut failures) = (Vec::new(), Vec::new());
        for digest in batch(input, "layerDigests", 100)? {
            if !is_digest(digest) {
                failures.push(json!({
                    "layerDigest": digest,
                    "failureCode": "InvalidLayerDigest",
                    "failureReason": "Invalid layer digest",
                }));
                continue;
            }
            layers.push(match repository.layers.get(digest) {
                Some(size) => {
                    json!({"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": size})
                }
                None => json!({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}),
            });
        }
        Ok(json!({"layers": layers, "failures": failures}))
    }

    /// "You can only get URLs for image layers that are referenced in an image."
    pub(super) fn get_download_url_for_layer(&mut self, input: &Input) -> Answer {
        let digest = text(input, "layerDigest")?;
        let (repository, name) = self.repository(input)?;
        let refers = |manifest: Value| blobs(&manifest).iter().any(|blob| blob == digest);
        if !repository.layers.contains_key(digest)
            || !repository.images.values().any(|image| refers(image.parsed()))
        {
            let message = format!("The layer '{digest}' does not exist in the repository '{name}'");
            return Err(AwsError::client("LayersNotFoundException", message));
        }
        let url = format!("https://{}{}{name}{BLOBS}{digest}", self.host(), super::DOWNLOADS);
        Ok(json!({"downloadUrl": url, "layerDigest": digest}))
    }

    /// What is behind the address of a layer, by its path below [`super::DOWNLOADS`].
    pub(super) fn content(&self, path: &str) -> Option<&[u8]> {
        let (name, digest) = path.rsplit_once(BLOBS)?;
        self.repositories.get(name)?.contents.get(digest).map(|content| &**content)
    }
}
