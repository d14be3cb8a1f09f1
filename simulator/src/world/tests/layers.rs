//! Uploading layers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{Api, World};
use super::world;

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn begin(world: &mut World) -> Value {
    let begun = world.ecr_call("InitiateLayerUpload", &json!({"repositoryName": "mco/api"}));
    assert_eq!(begun["partSize"], 20_971_520);
    begun["uploadId"].clone()
}

fn part(world: &mut World, upload: &Value, first: usize, bytes: &[u8]) -> Result<Value, String> {
    let input = json!({"repositoryName": "mco/api", "uploadId": upload, "partFirstByte": first,
        "partLastByte": first + bytes.len() - 1, "layerPartBlob": STANDARD.encode(bytes)});
    world.call(Api::Ecr, "UploadLayerPart", &input).map_err(|error| error.code)
}

fn complete(world: &mut World, upload: &Value, digest: &str) -> Result<Value, String> {
    let input = json!({"repositoryName": "mco/api", "uploadId": upload, "layerDigests": [digest]});
    world.call(Api::Ecr, "CompleteLayerUpload", &input).map_err(|error| error.code)
}

fn availability(world: &mut World, digest: &str) -> Value {
    let input = json!({"repositoryName": "mco/api", "layerDigests": [digest]});
    world.ecr_call("BatchCheckLayerAvailability", &input)["layers"][0]["layerAvailability"].clone()
}

#[test]
fn a_layer_is_uploaded_checked_and_needed_by_a_manifest() {
    let mut world = world();
    let layer = digest(b"layer");
    assert_eq!(availability(&mut world, &layer), "UNAVAILABLE");
    let upload = begin(&mut world);
    part(&mut world, &upload, 0, b"layer").unwrap();
    assert_eq!(complete(&mut world, &upload, &layer).unwrap()["layerDigest"], json!(layer));
    assert_eq!(availability(&mut world, &layer), "AVAILABLE");

    let url = json!({"repositoryName": "mco/api", "layerDigest": layer});
    assert_eq!(
        world.refused(Api::Ecr, "GetDownloadUrlForLayer", &url),
        "LayersNotFoundException",
        "no image has it"
    );
    let manifest = json!({"layers": [{"digest": layer}]}).to_string();
    world.ecr_call(
        "PutImage",
        &json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": "t"}),
    );
    assert!(world.ecr_call("GetDownloadUrlForLayer", &url)["downloadUrl"].is_string());

    world.ecr_call("CreateRepository", &json!({"repositoryName": "mco/other"}));
    let elsewhere = json!({"repositoryName": "mco/other", "imageManifest": manifest});
    assert_eq!(
        world.refused(Api::Ecr, "PutImage", &elsewhere),
        "LayersNotFoundException",
        "layers are by repository"
    );
}

#[test]
fn what_is_small_is_at_the_address_that_is_answered() {
    let mut world = world();
    let large = vec![0; (1 << 20) + 1];
    for (bytes, kept) in [(&b"{}"[..], true), (&large, false)] {
        let layer = digest(bytes);
        let upload = begin(&mut world);
        part(&mut world, &upload, 0, bytes).unwrap();
        complete(&mut world, &upload, &layer).unwrap();
        let manifest = json!({"config": {"digest": layer}, "layers": []}).to_string();
        let input = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": "t"});
        world.ecr_call("PutImage", &input);
        let asked = json!({"repositoryName": "mco/api", "layerDigest": layer});
        let url = world.ecr_call("GetDownloadUrlForLayer", &asked)["downloadUrl"].clone();
        let found = world.download(url.as_str().unwrap());
        assert_eq!(found, kept.then_some(bytes), "{} bytes", bytes.len());
    }
    assert_eq!(world.download("https://elsewhere/v2/mco/api/blobs/sha256:0"), None);
    assert_eq!(world.download("https://elsewhere/"), None);
}

#[test]
fn parts_must_follow_one_another() {
    let mut world = world();
    let upload = begin(&mut world);
    part(&mut world, &upload, 0, b"ab").unwrap();
    assert_eq!(part(&mut world, &upload, 3, b"d"), Err("InvalidLayerPartException".to_owned()));
    assert_eq!(part(&mut world, &upload, 2, b"c").unwrap()["lastByteReceived"], 2);
    assert_eq!(complete(&mut world, &upload, &digest(b"abc")), Err("LayerPartTooSmallException".to_owned()));
}

#[test]
fn an_upload_ends_with_the_digest_of_its_bytes_and_once() {
    let mut world = world();
    let upload = begin(&mut world);
    let right = digest(b"layer");
    assert_eq!(complete(&mut world, &upload, &right), Err("EmptyUploadException".to_owned()));
    part(&mut world, &upload, 0, b"layer").unwrap();
    assert_eq!(complete(&mut world, &upload, &digest(b"other")), Err("InvalidLayerException".to_owned()));
    complete(&mut world, &upload, &right).unwrap();
    assert_eq!(complete(&mut world, &upload, &right), Err("UploadNotFoundException".to_owned()));
    let again = begin(&mut world);
    part(&mut world, &again, 0, b"layer").unwrap();
    assert_eq!(complete(&mut world, &again, &right), Err("LayerAlreadyExistsException".to_owned()));
}
