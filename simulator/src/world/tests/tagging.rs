//! The index of tags.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::world;
use crate::faults::{Fault, ReadKind};

/// Longer than the index lags behind.
const INDEXED: u64 = 10;

/// A revision with these tags; its ARN.
fn register(world: &mut World, tags: &[(&str, &str)]) -> String {
    let tags: Value = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let containers = json!([{"name": "a", "image": "b", "memory": 64}]);
    let input = json!({"family": "other", "containerDefinitions": containers, "tags": tags});
    let registered = world.ecs_call("RegisterTaskDefinition", &input);
    registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
}

/// The short names of what is found, sorted.
fn found(world: &mut World, input: &Value) -> Vec<String> {
    let answer = world.call(Api::Tagging, "GetResources", input).unwrap();
    let list = answer["ResourceTagMappingList"].as_array().unwrap().iter();
    let arns = list.map(|one| one["ResourceARN"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
    let mut arns: Vec<String> = arns.collect();
    arns.sort();
    arns
}

fn revisions(filters: &Value) -> Value {
    json!({"ResourceTypeFilters": ["ecs:task-definition"], "TagFilters": filters})
}

#[test]
fn all_filters_must_match_and_of_their_values_any() {
    let mut world = world();
    register(&mut world, &[("env", "test"), ("app", "api")]);
    register(&mut world, &[("env", "test"), ("app", "web")]);
    register(&mut world, &[("env", "live"), ("app", "api")]);
    register(&mut world, &[]);
    let tag = json!([{"key": "env", "value": "test"}]);
    world.ecs_call("CreateCluster", &json!({"clusterName": "tagged", "tags": tag}));
    world.advance(INDEXED);
    for (filters, expected) in [
        (json!([{"Key": "env", "Values": ["test"]}]), vec!["other:1", "other:2"]),
        (json!([{"Key": "env"}, {"Key": "app", "Values": ["api", "nope"]}]), vec!["other:1", "other:3"]),
        (json!([{"Key": "env", "Values": ["live"]}, {"Key": "app", "Values": ["web"]}]), vec![]),
        (json!([{"Key": "Env"}]), vec![]),
        (json!([]), vec!["other:1", "other:2", "other:3"]),
    ] {
        assert_eq!(found(&mut world, &revisions(&filters)), expected, "{filters}");
    }
    let everything = json!({"TagFilters": [{"Key": "env", "Values": ["test"]}]});
    assert_eq!(found(&mut world, &everything), ["other:1", "other:2", "tagged"]);
    let clusters = json!({"ResourceTypeFilters": ["ecs:cluster", "ecr"]});
    assert_eq!(found(&mut world, &clusters), ["tagged"]);
    assert_eq!(found(&mut world, &json!({"ResourceTypeFilters": ["ecs"]})).len(), 4);
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let mut world = world();
    let many = |count: usize| (0..count).map(|number| json!(number.to_string())).collect::<Value>();
    for input in [
        json!({"ResourcesPerPage": 0}),
        json!({"ResourcesPerPage": 101}),
        json!({"PaginationToken": "x"}),
        json!({"TagFilters": [{"Key": "a", "Values": many(21)}]}),
        json!({"TagFilters": [{"Values": ["a"]}]}),
        json!({"TagFilters": (0..51).map(|n| json!({"Key": n.to_string()})).collect::<Value>()}),
        json!({"ResourceARNList": ["a"], "TagFilters": [{"Key": "a"}]}),
        json!({"ResourceARNList": many(101)}),
    ] {
        assert_eq!(
            world.refused(Api::Tagging, "GetResources", &input),
            "InvalidParameterException",
            "{input}"
        );
    }
    let fits = json!({"TagFilters": [{"Key": "a", "Values": many(20)}]});
    world.call(Api::Tagging, "GetResources", &fits).unwrap();
}

#[test]
fn a_page_may_hold_fewer_than_asked_for_and_only_an_empty_token_ends_the_list() {
    let mut world = world();
    for _ in 0..7 {
        register(&mut world, &[("env", "test")]);
    }
    world.advance(INDEXED);
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let input = json!({"ResourcesPerPage": 3, "PaginationToken": token});
        let answer = world.call(Api::Tagging, "GetResources", &input).unwrap();
        pages.push(answer["ResourceTagMappingList"].as_array().unwrap().len());
        token = answer["PaginationToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [2, 2, 3]);
}

#[test]
fn the_index_learns_of_a_change_a_while_later() {
    let mut world = world();
    let arn = register(&mut world, &[("env", "a")]);
    let of = |value: &str| revisions(&json!([{"Key": "env", "Values": [value]}]));
    assert_eq!(found(&mut world, &of("a")), [] as [&str; 0]);
    world.advance(INDEXED);
    assert_eq!(found(&mut world, &of("a")), ["other:1"]);
    let tag = |value: &str| json!({"resourceArn": arn, "tags": [{"key": "env", "value": value}]});
    world.ecs_call("TagResource", &tag("b"));
    world.advance(INDEXED / 2);
    world.ecs_call("TagResource", &tag("c"));
    assert_eq!(found(&mut world, &of("a")), ["other:1"]);
    world.advance(INDEXED / 2);
    assert_eq!(found(&mut world, &of("b")), ["other:1"]);
    world.advance(INDEXED / 2);
    assert_eq!(found(&mut world, &of("c")), ["other:1"]);
    world.inject(Fault::Stale { kind: ReadKind::TagIndex, seconds: 60 });
    world.ecs_call("UntagResource", &json!({"resourceArn": arn, "tagKeys": ["env"]}));
    world.advance(59);
    assert_eq!(found(&mut world, &of("c")), ["other:1"]);
    world.advance(1);
    assert_eq!(found(&mut world, &of("c")), [] as [&str; 0]);
}

#[test]
fn inactive_revisions_are_in_the_index_and_deleted_ones_for_a_while() {
    let mut world = world();
    let arn = register(&mut world, &[("env", "a")]);
    world.advance(INDEXED);
    world.ecs_call("DeregisterTaskDefinition", &json!({"taskDefinition": arn}));
    let all = revisions(&json!([{"Key": "env"}]));
    assert_eq!(found(&mut world, &all), ["other:1"]);
    world.inject(Fault::InactiveUnindexed);
    assert_eq!(found(&mut world, &all), [] as [&str; 0]);
    world.heal();
    world.ecs_call("DeleteTaskDefinitions", &json!({"taskDefinitions": [arn]}));
    world.advance(600);
    assert_eq!(found(&mut world, &all), ["other:1"]);
    let gone = world.refused(Api::Ecs, "DescribeTaskDefinition", &json!({"taskDefinition": arn}));
    assert_eq!(gone, "ClientException");
    world.advance(4 * 3600);
    assert_eq!(found(&mut world, &all), [] as [&str; 0]);
}
