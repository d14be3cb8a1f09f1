//! What a declared count comes to beside an autoscaler.

use super::*;
use serde_json::json;

/// Commit b is built and declared, with this count; five tasks are wanted, and one runs.
fn counted(count: &Value, target: Option<Reading<ScalableTarget>>) -> Scene {
    Scene::new().with(|scene| {
        scene.desired.service_settings = Some(json!({"desiredCount": count}));
        scene.desired.count_declared_at = Some(Position { file: "api.yaml".to_owned(), line: 7, column: 34 });
        scene.observed.scalable_target = target;
        if let Reading::Known(service) = &mut scene.observed.service {
            (service.desired_count, service.running_count) = (5, 1);
            service.settings = json!({"desiredCount": 5});
        }
    })
}

fn scaled(least: u32, most: u32) -> Option<Reading<ScalableTarget>> {
    Some(Reading::Known(ScalableTarget { least, most }))
}

#[test]
fn a_plan_says_how_many_tasks_will_run_and_who_says_so() {
    let unreadable = || Some(Reading::Unavailable("denied".to_owned()));
    let bounds = json!({"min": 2, "max": 4});
    for (count, found, expected) in [
        (json!(2), Some(Reading::Absent), (2, false)),
        (json!(2), scaled(2, 10), (5, true)),
        (json!(2), unreadable(), (5, false)),
        (bounds.clone(), Some(Reading::Absent), (4, false)),
        (bounds, scaled(2, 4), (4, true)),
    ] {
        let outlook = counted(&count, found.clone()).plan().outlook.unwrap();
        assert_eq!((outlook.count, outlook.scalable_target.is_some()), expected, "{count} {found:?}");
    }
}

#[test]
fn a_count_with_two_owners_is_found_and_keeps_nothing_from_being_done() {
    let unreadable = || Some(Reading::Unavailable("not allowed: x".to_owned()));
    let bounds = json!({"min": 2, "max": 4});
    for (count, found, expected) in [
        (json!(2), Some(Reading::Absent), ""),
        (
            json!(2),
            scaled(2, 10),
            "warning: api.yaml:7:34: an autoscaler sets the count of mco-api-test between 2 and 10, and the declared count of 2 is left to it (serviceSettings.desiredCount)\n  hint  leave `desiredCount` out, or declare `min` and `max` in its place",
        ),
        (
            json!(2),
            unreadable(),
            "warning: api.yaml:7:34: it could not be told whether an autoscaler sets the count of mco-api-test, and the declared count is left as it is: not allowed: x (serviceSettings.desiredCount)\n  hint  allow application-autoscaling:DescribeScalableTargets",
        ),
        (bounds.clone(), scaled(2, 4), ""),
        (
            bounds.clone(),
            scaled(1, 4),
            "warning: api.yaml:7:34: two owners bound the count of mco-api-test: 2 to 4 tasks are declared, and the autoscaler may set 1 to 4 (serviceSettings.desiredCount)\n  hint  let MinCapacity and MaxCapacity of the scalable target lie inside of what is declared, or leave `desiredCount` out",
        ),
        (
            bounds,
            unreadable(),
            "warning: api.yaml:7:34: it could not be told whether an autoscaler sets the count of mco-api-test: not allowed: x (serviceSettings.desiredCount)\n  hint  allow application-autoscaling:DescribeScalableTargets",
        ),
    ] {
        let scene = counted(&count, found);
        let said: Vec<String> = scene.plan().findings.iter().map(ToString::to_string).collect();
        assert_eq!(said.join("\n"), expected);
        scene.check("register bbbbbbb 1/head/ecs-svc/1");
    }
    let missing = counted(&json!(2), scaled(2, 10)).with(|scene| scene.observed.service = Reading::Absent);
    assert_eq!(missing.plan().findings, []);
}

#[test]
fn the_count_that_is_declared_is_no_part_of_what_a_hold_is_about() {
    let hash = |settings: Option<Value>| {
        let scene = Scene::new().with(|scene| scene.desired.service_settings = settings);
        let plan = scene.plan();
        let Some(Step::Register { tags, .. }) = plan.steps.first() else { panic!("{plan:#?}") };
        tags["trueup:declared"].clone()
    };
    let none = hash(Some(json!({})));
    for count in [json!(2), json!(3), json!({"min": 2, "max": 4}), json!({"max": 4})] {
        assert_eq!(hash(Some(json!({"desiredCount": count}))), none, "{count}");
    }
    assert_ne!(hash(Some(json!({"platformVersion": "1.4.0"}))), none);
}
