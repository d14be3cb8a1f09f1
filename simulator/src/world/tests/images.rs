//! Images: pushing, moving tags, mutability, reading.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::{laid_over, world};
use crate::faults::Fault;

fn put(world: &mut World, manifest: &str, more: &Value) -> Result<String, String> {
    let input = laid_over(json!({"repositoryName": "mco/api", "imageManifest": manifest}), more);
    let answer = world.call(Api::Ecr, "PutImage", &input).map_err(|error| error.code)?;
    Ok(answer["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned())
}

fn digest_of_tag(world: &mut World, tag: &str) -> Value {
    let input = json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": tag}]});
    match world.call(Api::Ecr, "DescribeImages", &input) {
        Ok(described) => described["imageDetails"][0]["imageDigest"].clone(),
        Err(_) => Value::Null,
    }
}

fn set_mutability(world: &mut World, mutability: &str, filters: &[&str]) {
    let filters: Vec<Value> =
        filters.iter().map(|filter| json!({"filterType": "WILDCARD", "filter": filter})).collect();
    let input = json!({"repositoryName": "mco/api", "imageTagMutability": mutability,
        "imageTagMutabilityExclusionFilters": filters});
    world.ecr_call("PutImageTagMutability", &input);
}

#[test]
fn the_digest_is_the_sha256_of_the_bytes_and_the_bytes_come_back() {
    let mut world = world();
    let manifest = "{ \"schemaVersion\":2,\n\"x\":1 }";
    let digest = put(&mut world, manifest, &json!({"imageTag": "t"})).unwrap();
    // printf '{ "schemaVersion":2,\n"x":1 }' | sha256sum
    assert_eq!(digest, "sha256:d8b609f727dab56c04edcd2a06c1d967ae30e926cfba19a33f92d4aa13a82ae1");
    let get = json!({"repositoryName": "mco/api", "imageIds": [{"imageDigest": digest}]});
    assert_eq!(world.ecr_call("BatchGetImage", &get)["images"][0]["imageManifest"], manifest);
    assert_ne!(put(&mut world, "{ \"schemaVersion\":2,\n\"x\":1}", &json!({})).unwrap(), digest);
}

#[test]
fn a_tag_moves_from_image_to_image_and_the_push_time_stays() {
    let mut world = world();
    let manifest = json!({"schemaVersion": 2, "about": "aaaaaaa", "layers": []}).to_string();
    let first = digest_of_tag(&mut world, "aaaaaaa");
    let second = world.push("bbbbbbb");
    world.advance(1000);
    put(&mut world, &manifest, &json!({"imageTag": "test"})).unwrap();
    assert_eq!(digest_of_tag(&mut world, "test"), first);
    let other = json!({"schemaVersion": 2, "about": "bbbbbbb", "layers": []}).to_string();
    assert_eq!(put(&mut world, &other, &json!({"imageTag": "test"})).unwrap(), second);
    assert_eq!(digest_of_tag(&mut world, "test"), json!(second));
    let described = world.ecr_call("DescribeImages", &json!({"repositoryName": "mco/api"}));
    let pushed: Vec<f64> = described["imageDetails"]
        .as_array()
        .unwrap()
        .iter()
        .map(|detail| detail["imagePushedAt"].as_f64().unwrap())
        .collect();
    let now = json!(world.now()).as_f64().unwrap();
    assert!(pushed.iter().all(|at| *at < now));
}

#[test]
fn nothing_to_push_is_an_error() {
    let mut world = world();
    let manifest = json!({"schemaVersion": 2, "about": "aaaaaaa", "layers": []}).to_string();
    for more in [json!({"imageTag": "aaaaaaa"}), json!({})] {
        assert_eq!(put(&mut world, &manifest, &more), Err("ImageAlreadyExistsException".to_owned()));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut world = world();
    let missing = format!("sha256:{}", "0".repeat(64));
    let cases = [
        ("{}".to_owned(), json!({"imageDigest": missing}), "ImageDigestDoesNotMatchException"),
        (json!({"layers": [{"digest": missing}]}).to_string(), json!({}), "LayersNotFoundException"),
        (json!({"config": {"digest": missing}}).to_string(), json!({}), "LayersNotFoundException"),
        (
            json!({"manifests": [{"digest": missing}]}).to_string(),
            json!({}),
            "ReferencedImagesNotFoundException",
        ),
        ("no json".to_owned(), json!({}), "InvalidParameterException"),
        ("{}".to_owned(), json!({"imageTag": ""}), "InvalidParameterException"),
        ("{}".to_owned(), json!({"imageTag": "a b"}), "InvalidParameterException"),
        ("{}".to_owned(), json!({"repositoryName": "none"}), "RepositoryNotFoundException"),
        (
            json!({"mediaType": "a"}).to_string(),
            json!({"imageManifestMediaType": "b"}),
            "InvalidParameterException",
        ),
    ];
    for (manifest, more, code) in cases {
        assert_eq!(put(&mut world, &manifest, &more), Err(code.to_owned()), "{manifest}");
    }
}

#[test]
fn the_media_type_is_the_one_that_was_given_or_stands_inside() {
    let mut world = world();
    let index = "application/vnd.oci.image.index.v1+json";
    put(&mut world, "{}", &json!({"imageTag": "given", "imageManifestMediaType": index})).unwrap();
    put(&mut world, &json!({"mediaType": index}).to_string(), &json!({"imageTag": "inside"})).unwrap();
    let get =
        json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": "given"}, {"imageTag": "inside"}]});
    let images = world.ecr_call("BatchGetImage", &get);
    assert!(
        images["images"].as_array().unwrap().iter().all(|image| image["imageManifestMediaType"] == index)
    );
}

#[test]
fn mutability_says_which_tags_may_move() {
    let cases: [(&str, &[&str], bool, bool); 4] = [
        ("MUTABLE", &[], true, true),
        ("IMMUTABLE", &[], false, false),
        ("IMMUTABLE_WITH_EXCLUSION", &["env-*"], false, true),
        ("MUTABLE_WITH_EXCLUSION", &["env-*"], true, false),
    ];
    for (mutability, filters, commit, environment) in cases {
        let mut world = world();
        for tag in ["1234567", "env-test"] {
            put(&mut world, "{}", &json!({"imageTag": tag})).unwrap();
        }
        set_mutability(&mut world, mutability, filters);
        for (tag, moves) in [("1234567", commit), ("env-test", environment)] {
            let moved = put(&mut world, "{\"x\": 1}", &json!({"imageTag": tag}));
            let expected = if moves { None } else { Some("ImageTagAlreadyExistsException".to_owned()) };
            assert_eq!(moved.err(), expected, "{mutability} {tag}");
            // The same image once more is a different error.
            let manifest = if moves { "{\"x\": 1}" } else { "{}" };
            let again = put(&mut world, manifest, &json!({"imageTag": tag}));
            assert_eq!(again, Err("ImageAlreadyExistsException".to_owned()), "{mutability} {tag}");
        }
    }
}

#[test]
fn an_immutable_tag_that_is_there_already_is_refused_in_either_word() {
    let mut world = world();
    set_mutability(&mut world, "IMMUTABLE", &[]);
    put(&mut world, "{}", &json!({"imageTag": "1234567"})).unwrap();
    let again = json!({"repositoryName": "mco/api", "imageManifest": "{}", "imageTag": "1234567"});
    let error = world.call(Api::Ecr, "PutImage", &again).unwrap_err();
    assert_eq!(error.code, "ImageAlreadyExistsException");
    assert!(
        error.message.ends_with(
            "and tag '1234567' already exists in the repository with name 'mco/api' in registry with id '123456789012'"
        ),
        "{}",
        error.message
    );
    world.inject(Fault::TagExists);
    assert_eq!(world.refused(Api::Ecr, "PutImage", &again), "ImageTagAlreadyExistsException");
    set_mutability(&mut world, "MUTABLE", &[]);
    assert_eq!(world.refused(Api::Ecr, "PutImage", &again), "ImageAlreadyExistsException");
}

#[test]
fn a_tag_too_many_moves_nothing() {
    let mut world = world();
    for number in 0..1000 {
        put(&mut world, "{}", &json!({"imageTag": format!("t{number}")})).unwrap();
    }
    put(&mut world, "{\"x\": 1}", &json!({"imageTag": "test"})).unwrap();
    let refused = put(&mut world, "{}", &json!({"imageTag": "test"}));
    assert_eq!(refused, Err("LimitExceededException".to_owned()));
    let asked = json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": "test"}]});
    let found = world.ecr_call("BatchGetImage", &asked)["images"][0]["imageManifest"].clone();
    assert_eq!(found, "{\"x\": 1}");
}

#[test]
fn an_image_tells_when_it_was_pulled_and_what_it_is_configured_by() {
    let mut world = world();
    let tell = |world: &mut World, tag: &str| {
        let asked = json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": tag}]});
        world.ecr_call("DescribeImages", &asked)["imageDetails"][0].clone()
    };
    assert_eq!(tell(&mut world, "aaaaaaa")["lastRecordedPullTime"], Value::Null);
    world.begin(&json!({}));
    world.advance(20);
    let pulled = tell(&mut world, "aaaaaaa")["lastRecordedPullTime"].as_f64().unwrap();
    assert!(pulled.fract() != 0.0);
    let config = json!({"config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "x"}});
    put(&mut world, &config.to_string(), &json!({"imageTag": "configured"})).unwrap();
    let told = tell(&mut world, "configured")["artifactMediaType"].clone();
    assert_eq!(told, "application/vnd.oci.image.config.v1+json");
}

#[test]
fn a_filter_matches_the_whole_tag() {
    for (filter, tag, moves) in [
        ("prod", "prod", true),
        ("prod", "prod-2", false),
        ("*", "x", true),
        ("v*.*", "v1.2", true),
        ("v*.*", "v1", false),
        ("*-env", "test-env", true),
        ("***********************a", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", false),
    ] {
        let mut world = world();
        put(&mut world, "{}", &json!({"imageTag": tag})).unwrap();
        set_mutability(&mut world, "IMMUTABLE_WITH_EXCLUSION", &[filter]);
        assert_eq!(put(&mut world, "{\"x\": 1}", &json!({"imageTag": tag})).is_ok(), moves, "{filter} {tag}");
    }
}

#[test]
fn mutability_has_one_to_five_filters_exactly_where_it_has_exclusions() {
    let mut world = world();
    let filter = |text: &str| json!({"filterType": "WILDCARD", "filter": text});
    for (mutability, filters) in [
        ("MUTABLE", vec![filter("a")]),
        ("IMMUTABLE_WITH_EXCLUSION", vec![]),
        ("IMMUTABLE_WITH_EXCLUSION", vec![filter("a"); 6]),
        ("IMMUTABLE_WITH_EXCLUSION", vec![filter("a b")]),
        ("SOMETIMES", vec![]),
    ] {
        let input = json!({"repositoryName": "r2", "imageTagMutability": mutability,
            "imageTagMutabilityExclusionFilters": filters});
        assert_eq!(
            world.refused(Api::Ecr, "CreateRepository", &input),
            "InvalidParameterException",
            "{mutability}"
        );
    }
    set_mutability(&mut world, "IMMUTABLE_WITH_EXCLUSION", &["prod", "env-*"]);
    let described = world.ecr_call("DescribeRepositories", &json!({"repositoryNames": ["mco/api"]}));
    let expected =
        json!([{"filterType": "WILDCARD", "filter": "prod"}, {"filterType": "WILDCARD", "filter": "env-*"}]);
    assert_eq!(described["repositories"][0]["imageTagMutabilityExclusionFilters"], expected);
}

#[test]
fn repository_names_are_those_of_ecr() {
    let mut world = world();
    for (name, good) in [
        ("a", false),
        ("ab", true),
        ("a/b-c_d.e__f", true),
        ("A/b", false),
        ("a//b", false),
        ("a_-b", false),
        ("-ab", false),
    ] {
        let created = world.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": name}));
        assert_eq!(created.is_ok(), good, "{name}");
    }
    let again = json!({"repositoryName": "mco/api"});
    assert_eq!(world.refused(Api::Ecr, "CreateRepository", &again), "RepositoryAlreadyExistsException");
}

#[test]
fn one_unknown_image_fails_a_description_but_is_only_a_failure_of_a_batch() {
    let mut world = world();
    let digest = digest_of_tag(&mut world, "aaaaaaa");
    world.push("bbbbbbb");
    let ids = json!([
        {"imageTag": "aaaaaaa"},
        {"imageTag": "none"},
        {},
        {"imageDigest": "x"},
        {"imageDigest": digest, "imageTag": "bbbbbbb"},
    ]);
    let input = json!({"repositoryName": "mco/api", "imageIds": ids});
    assert_eq!(world.refused(Api::Ecr, "DescribeImages", &input), "ImageNotFoundException");
    let answer = world.ecr_call("BatchGetImage", &input);
    assert_eq!(answer["images"].as_array().unwrap().len(), 1);
    let codes: Vec<&str> = answer["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["failureCode"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        ["ImageNotFound", "MissingDigestAndTag", "InvalidImageDigest", "ImageTagDoesNotMatchDigest"]
    );
}

#[test]
fn the_registry_of_another_account_lets_nobody_in() {
    let mut world = world();
    for operation in ["BatchGetImage", "DescribeImages", "PutImage", "DescribeRepositories"] {
        let elsewhere = json!({"registryId": "999999999999", "repositoryName": "mco/api"});
        assert_eq!(world.refused(Api::Ecr, operation, &elsewhere), "AccessDeniedException");
    }
    let wrong = json!({"registryId": "1", "repositoryName": "mco/api"});
    assert_eq!(world.refused(Api::Ecr, "DescribeImages", &wrong), "InvalidParameterException");
    let own = json!({"registryId": "123456789012", "repositoryName": "mco/api"});
    world.ecr_call("DescribeImages", &own);
}

#[test]
fn images_are_listed_one_entry_a_tag_and_by_filter() {
    let mut world = world();
    let manifest = json!({"schemaVersion": 2, "about": "aaaaaaa", "layers": []}).to_string();
    put(&mut world, &manifest, &json!({"imageTag": "test"})).unwrap();
    put(&mut world, "{}", &json!({})).unwrap();
    let count = |world: &mut World, filter: &str| {
        let input = json!({"repositoryName": "mco/api", "filter": {"tagStatus": filter}});
        let listed = world.ecr_call("ListImages", &input)["imageIds"].as_array().unwrap().len();
        let described = world.ecr_call("DescribeImages", &input)["imageDetails"].as_array().unwrap().len();
        (listed, described)
    };
    assert_eq!(count(&mut world, "ANY"), (3, 2));
    assert_eq!(count(&mut world, "TAGGED"), (2, 1));
    assert_eq!(count(&mut world, "UNTAGGED"), (1, 1));
}

#[test]
fn a_repository_policy_of_another_account_lets_in_for_what_it_says_alone() {
    let mut world = world();
    let digest = world.push("bbbbbbb");
    let other = "210987654321";
    assert!(world.share_repository(other, "mco/api", &["BatchGetImage"]));
    assert!(!world.share_repository(other, "mco/nope", &["BatchGetImage"]));
    let of = json!({"registryId": other, "repositoryName": "mco/api", "imageIds": [{"imageTag": "bbbbbbb"}]});
    assert_eq!(world.ecr_call("BatchGetImage", &of)["images"][0]["imageId"]["imageDigest"], digest.as_str());
    assert_eq!(world.refused(Api::Ecr, "DescribeImages", &of), "AccessDeniedException");
    let named = json!({"registryId": other, "repositoryNames": ["mco/api"]});
    assert_eq!(world.refused(Api::Ecr, "DescribeRepositories", &named), "AccessDeniedException");
    let image = |account: &str| format!("{account}.dkr.ecr.eu-west-2.amazonaws.com/mco/api@{digest}");
    let run = |world: &mut World, image: String| {
        let containers = json!([{"name": "api", "image": image, "memory": 64}]);
        world.ecs_call(
            "RegisterTaskDefinition",
            &json!({"family": "pulled", "containerDefinitions": containers}),
        );
        let service =
            json!({"cluster": "mco", "serviceName": "pulled", "taskDefinition": "pulled", "desiredCount": 1});
        world.ecs_call("CreateService", &service);
        world.advance(60);
        let described =
            world.ecs_call("DescribeServices", &json!({"cluster": "mco", "services": ["pulled"]}));
        described["services"][0]["runningCount"].as_u64().unwrap()
    };
    assert_eq!(run(&mut world.clone(), image(other)), 1);
    assert_eq!(run(&mut world, image("333333333333")), 0);
}
