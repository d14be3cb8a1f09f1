//! Request rates: what is refused because it comes too fast.

use serde_json::{Value, json};

use super::{Api, World, world};
use crate::Rates;

/// How many of so many calls are taken, and the code and status of those that are not.
fn taken(world: &mut World, api: Api, operation: &str, calls: u64) -> (u64, Option<(String, u16)>) {
    let mut refusal = None;
    let mut taken = 0;
    for _ in 0..calls {
        match world.call(api, operation, &json!({})) {
            Err(error) if error.message == "Rate exceeded" => refusal = Some((error.code, error.status)),
            _ => taken += 1,
        }
    }
    (taken, refusal)
}

#[test]
fn every_category_has_the_burst_and_the_rate_of_aws_and_the_words_of_its_service() {
    let throttling = Some(("ThrottlingException".to_owned(), 400));
    for (api, operation, burst, refill) in [
        (Api::Ecs, "RegisterTaskDefinition", 20, 1),
        (Api::Ecs, "DescribeTaskDefinition", 50, 20),
        (Api::Ecs, "DeleteTaskDefinitions", 5, 1),
        (Api::Ecs, "CreateCluster", 20, 1),
        (Api::Ecs, "DescribeClusters", 50, 20),
        (Api::Ecs, "UpdateService", 50, 5),
        (Api::Ecs, "DescribeServices", 100, 20),
        (Api::Ecs, "ListServiceDeployments", 50, 20),
        (Api::Ecs, "DescribeServiceRevisions", 50, 20),
        (Api::Ecs, "ListTasks", 100, 20),
        (Api::Ecs, "StopTask", 100, 40),
        (Api::Ecs, "TagResource", 20, 10),
        (Api::Ecs, "ListTagsForResource", 50, 20),
        (Api::Ecr, "PutImage", 10, 10),
        (Api::Ecr, "DescribeImages", 20, 10),
        (Api::Ecr, "DescribeRepositories", 20, 10),
        (Api::Ecr, "BatchGetImage", 2_000, 2_000),
        (Api::CodeDeploy, "GetDeployment", 20, 10),
        (Api::CodeDeploy, "CreateDeployment", 10, 5),
    ] {
        let mut world = World::new("123456789012", "eu-west-2").with_rates(Rates::Published);
        assert_eq!(taken(&mut world, api, operation, burst + 3), (burst, throttling.clone()), "{operation}");
        world.advance(1);
        assert_eq!(
            taken(&mut world, api, operation, refill + 1),
            (refill, throttling.clone()),
            "{operation}"
        );
        world.advance(3600);
        assert_eq!(taken(&mut world, api, operation, burst + 1), (burst, throttling.clone()), "{operation}");
    }
    let mut world = World::new("123456789012", "eu-west-2").with_rates(Rates::Published);
    let refusal = Some(("ThrottledException".to_owned(), 400));
    assert_eq!(taken(&mut world, Api::Tagging, "GetResources", 21), (20, refusal));
}

#[test]
fn tokens_come_back_one_by_one_and_not_by_the_second() {
    let mut world = world();
    world.set_rates(Rates::Published);
    assert_eq!(taken(&mut world, Api::Ecs, "UpdateService", 60).0, 50);
    // Five a second: one every 200 milliseconds.
    for (millis, tokens) in [(199, 0), (1, 1), (100, 0), (100, 1), (1000, 5), (500, 2), (100, 1)] {
        world.advance_millis(millis);
        assert_eq!(taken(&mut world, Api::Ecs, "UpdateService", 10).0, tokens, "after {millis}");
    }
}

#[test]
fn operations_of_one_category_share_a_bucket_and_those_of_another_do_not() {
    let mut world = world();
    world.set_rates(Rates::Published);
    assert_eq!(taken(&mut world, Api::Ecs, "RegisterTaskDefinition", 15).0, 15);
    assert_eq!(taken(&mut world, Api::Ecs, "DeregisterTaskDefinition", 15).0, 5);
    assert_eq!(taken(&mut world, Api::Ecs, "DescribeTaskDefinition", 15).0, 15);
    assert_eq!(taken(&mut world, Api::Ecs, "StopServiceDeployment", 300).0, 300);
}

#[test]
fn a_call_beyond_the_rate_has_no_effect_and_is_counted_as_refused() {
    let mut world = world();
    let register = |world: &mut World| {
        let containers = json!([{"name": "api", "image": "api", "memory": 64}]);
        let input = json!({"family": "fast", "containerDefinitions": containers});
        world.call(Api::Ecs, "RegisterTaskDefinition", &input).is_ok()
    };
    let before = world.calls("RegisterTaskDefinition");
    world.set_rates(Rates::Published);
    assert_eq!((0..30).filter(|_| register(&mut world)).count(), 20);
    let described = world.ecs_call("DescribeTaskDefinition", &json!({"taskDefinition": "fast"}));
    assert_eq!(described["taskDefinition"]["revision"], Value::from(20));
    assert_eq!(world.calls("RegisterTaskDefinition") - before, 30);
    assert_eq!(world.all_throttled().get("RegisterTaskDefinition"), Some(&10));
    assert_eq!(world.all_throttled().len(), 1);
    world.set_rates(Rates::Unlimited);
    assert_eq!((0..30).filter(|_| register(&mut world)).count(), 30);
}
