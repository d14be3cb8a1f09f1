//! Removing, archiving and restoring images.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::world;

fn delete(world: &mut World, id: &Value) -> Value {
    let answer = world.ecr_call("BatchDeleteImage", &json!({"repositoryName": "mco/api", "imageIds": [id]}));
    answer["failures"][0]["failureCode"].clone()
}

fn exists(world: &mut World, digest: &str) -> bool {
    let input = json!({"repositoryName": "mco/api", "imageIds": [{"imageDigest": digest}]});
    world.call(Api::Ecr, "DescribeImages", &input).is_ok()
}

fn tag(world: &mut World, digest: &str, tag: &str) {
    let get = json!({"repositoryName": "mco/api", "imageIds": [{"imageDigest": digest}]});
    let manifest = world.ecr_call("BatchGetImage", &get)["images"][0]["imageManifest"].clone();
    world.ecr_call(
        "PutImage",
        &json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": tag}),
    );
}

/// An index of the image of `aaaaaaa`; the digests of the index and of the image.
fn index(world: &mut World) -> (String, String) {
    let child = world.push("child");
    let manifest = json!({"manifests": [{"digest": child}]}).to_string();
    let input = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": "index"});
    let put = world.ecr_call("PutImage", &input);
    (put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned(), child)
}

#[test]
fn removing_the_last_tag_removes_the_image() {
    let mut world = world();
    let digest = world.push("bbbbbbb");
    tag(&mut world, &digest, "test");
    assert_eq!(delete(&mut world, &json!({"imageTag": "test"})), Value::Null);
    assert!(exists(&mut world, &digest));
    assert_eq!(delete(&mut world, &json!({"imageTag": "bbbbbbb"})), Value::Null);
    assert!(!exists(&mut world, &digest));
    assert_eq!(delete(&mut world, &json!({"imageTag": "bbbbbbb"})), "ImageNotFound");
}

#[test]
fn removing_a_digest_removes_it_with_all_its_tags() {
    let mut world = world();
    let digest = world.push("bbbbbbb");
    tag(&mut world, &digest, "test");
    assert_eq!(delete(&mut world, &json!({"imageDigest": digest})), Value::Null);
    assert!(!exists(&mut world, &digest));
}

#[test]
fn what_an_index_refers_to_stays_as_long_as_the_index() {
    let mut world = world();
    let (index, child) = index(&mut world);
    assert_eq!(delete(&mut world, &json!({"imageDigest": child})), "ImageReferencedByManifestList");
    assert!(!world.expire_image("mco/api", &child), "nor does a lifecycle policy remove it");
    assert!(world.expire_image("mco/api", &index));
    assert!(world.expire_image("mco/api", &child));
    assert!(!exists(&mut world, &child));
    assert!(!world.expire_image("mco/api", &child), "it is gone");
}

#[test]
fn an_archived_image_is_hidden_and_comes_back_after_a_while() {
    let mut world = world();
    let digest = world.push("bbbbbbb");
    let class = |target: &str| json!({"repositoryName": "mco/api", "imageId": {"imageDigest": digest}, "targetStorageClass": target});
    let status = |world: &mut World| {
        let input = json!({"repositoryName": "mco/api", "imageIds": [{"imageDigest": digest}],
            "filter": {"imageStatus": "ANY"}});
        world.ecr_call("DescribeImages", &input)["imageDetails"][0]["imageStatus"].clone()
    };
    assert_eq!(world.ecr_call("UpdateImageStorageClass", &class("ARCHIVE"))["imageStatus"], "ARCHIVED");
    assert!(!exists(&mut world, &digest), "a filter has to ask for it");
    assert_eq!(status(&mut world), "ARCHIVED");
    let get = json!({"repositoryName": "mco/api", "imageIds": [{"imageDigest": digest}]});
    assert_eq!(world.ecr_call("BatchGetImage", &get)["failures"][0]["failureCode"], "ImageNotFound");
    assert_eq!(world.ecr_call("UpdateImageStorageClass", &class("STANDARD"))["imageStatus"], "ACTIVATING");
    world.advance(20 * 60);
    assert_eq!(status(&mut world), "ACTIVE");
    assert!(exists(&mut world, &digest));
    let asked = json!({"repositoryName": "mco/api", "imageIds": [{"imageDigest": digest}]});
    assert!(world.ecr_call("DescribeImages", &asked)["imageDetails"][0]["lastActivatedAt"].is_number());
}

#[test]
fn pushing_an_archived_image_again_brings_it_back() {
    let mut world = world();
    let digest = world.push("bbbbbbb");
    assert!(world.archive_image("mco/api", &digest));
    assert!(!exists(&mut world, &digest));
    assert_eq!(world.push("bbbbbbb"), digest);
    assert!(exists(&mut world, &digest));
}

#[test]
fn a_repository_with_images_is_deleted_only_by_force() {
    let mut world = world();
    let delete = json!({"repositoryName": "mco/api"});
    assert_eq!(world.refused(Api::Ecr, "DeleteRepository", &delete), "RepositoryNotEmptyException");
    world.ecr_call("DeleteRepository", &json!({"repositoryName": "mco/api", "force": true}));
    assert_eq!(world.refused(Api::Ecr, "DeleteRepository", &delete), "RepositoryNotFoundException");
}

#[test]
fn an_index_is_as_large_as_the_largest_of_its_manifests() {
    let mut world = world();
    let (index, child) = index(&mut world);
    let size = |world: &mut World, digest: &str| {
        let input = json!({"repositoryName": "mco/api", "imageIds": [{"imageDigest": digest}]});
        world.ecr_call("DescribeImages", &input)["imageDetails"][0]["imageSizeInBytes"].clone()
    };
    assert_eq!(size(&mut world, &index), size(&mut world, &child));
}
