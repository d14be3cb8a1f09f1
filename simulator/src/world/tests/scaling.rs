//! Scalable targets.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::{SETTLED, laid_over, world_with_service};

fn target(more: &Value) -> Value {
    let target = json!({"ServiceNamespace": "ecs", "ResourceId": "service/mco/api",
        "ScalableDimension": "ecs:service:DesiredCount"});
    laid_over(target, more)
}

fn desired(world: &mut World) -> u64 {
    world.service()["desiredCount"].as_u64().unwrap()
}

#[test]
fn a_scalable_target_bounds_what_the_autoscaler_does() {
    let mut world = world_with_service(&json!({}));
    let bounds = target(&json!({"MinCapacity": 3, "MaxCapacity": 5}));
    world.call(Api::Scaling, "RegisterScalableTarget", &bounds).unwrap();
    assert_eq!(desired(&mut world), 3);
    world.advance(SETTLED);
    world.autoscale("mco", "api", 9);
    assert_eq!(desired(&mut world), 5);
    world.call(Api::Scaling, "RegisterScalableTarget", &target(&json!({"MaxCapacity": 4}))).unwrap();
    let asked = json!({"ServiceNamespace": "ecs", "ResourceIds": ["service/mco/api", "service/mco/nope"]});
    let answer = world.call(Api::Scaling, "DescribeScalableTargets", &asked).unwrap();
    let found = answer["ScalableTargets"].as_array().unwrap();
    let bounds: Vec<_> =
        found.iter().map(|one| (one["MinCapacity"].clone(), one["MaxCapacity"].clone())).collect();
    assert_eq!(bounds, [(json!(3), json!(4))]);
    world.call(Api::Scaling, "DeregisterScalableTarget", &target(&json!({}))).unwrap();
    let answer = world.call(Api::Scaling, "DescribeScalableTargets", &asked).unwrap();
    assert_eq!(answer["ScalableTargets"], json!([]));
}

#[test]
fn a_target_that_makes_no_sense_is_refused() {
    let mut world = world_with_service(&json!({}));
    for more in [
        json!({"MinCapacity": 3}),
        json!({"MinCapacity": 3, "MaxCapacity": 2}),
        json!({"MinCapacity": 1, "MaxCapacity": 2, "ResourceId": "service/mco/nope"}),
        json!({"MinCapacity": 1, "MaxCapacity": 2, "ServiceNamespace": "dynamodb"}),
    ] {
        assert_eq!(
            world.refused(Api::Scaling, "RegisterScalableTarget", &target(&more)),
            "ValidationException",
            "{more}"
        );
    }
    let gone = world.refused(Api::Scaling, "DeregisterScalableTarget", &target(&json!({})));
    assert_eq!(gone, "ObjectNotFoundException");
}
