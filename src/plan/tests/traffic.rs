//! Whether ECS can shift traffic, as load balancer and service are.

use std::collections::BTreeMap;

use serde_json::json;

use super::Scene;
use crate::model::*;
use crate::plan::{carriers, waiting};

fn group(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/{name}/1")
}

fn target_group(name: &str, targets: usize) -> Reading<TargetGroup> {
    Reading::Known(TargetGroup {
        arn: group(name),
        name: name.to_owned(),
        takes_addresses: true,
        network: Some("vpc-1".to_owned()),
        protocol: Some("HTTP".to_owned()),
        health_port: None,
        targets,
    })
}

fn forward(weights: &[(&str, u64)]) -> Reading<Forward> {
    let weights = weights.iter().map(|(name, weight)| (group(name), *weight)).collect();
    Reading::Known(Forward { weights })
}

/// Two tasks in group `a`, to which the production rule leads.
fn balancing() -> Balancing {
    Balancing {
        rules: BTreeMap::from([
            ("production".to_owned(), forward(&[("a", 1), ("b", 0)])),
            ("test".to_owned(), forward(&[("a", 1)])),
        ]),
        groups: BTreeMap::from([(group("a"), target_group("a", 2)), (group("b"), target_group("b", 0))]),
    }
}

/// A service that ECS deploys by canary, with what one thing is changed to.
fn scene(change: impl FnOnce(&mut Desired, &mut Service, &mut Balancing)) -> (Scene, Service) {
    let mut scene = Scene::new();
    let Reading::Known(service) = &mut scene.observed.service else { unreachable!("a scene has a service") };
    service.strategy = DeploymentStrategy::Canary;
    service.desired_count = 2;
    service.settings = json!({"loadBalancers": [{"containerName": "api", "containerPort": 80, "targetGroupArn": group("a"),
        "advancedConfiguration": {"alternateTargetGroupArn": group("b"), "productionListenerRule": "production",
            "testListenerRule": "test", "roleArn": "arn:aws:iam::123456789012:role/traffic"}}]});
    let mut balancing = balancing();
    change(&mut scene.desired, service, &mut balancing);
    let service = service.clone();
    scene.observed.balancing = Some(balancing);
    (scene, service)
}

fn check(change: impl FnOnce(&mut Desired, &mut Service, &mut Balancing)) -> Option<String> {
    let (scene, service) = scene(change);
    let waiting = carriers::can_shift(&scene.desired, &service, &scene.observed).err()?;
    Some(format!("{}: {}", waiting::reason(&waiting), waiting::describe(&waiting)))
}

/// What is declared does not go along with it.
#[test]
fn a_way_back_asks_for_the_rule_as_the_service_has_it() {
    let back = |change: fn(&mut Desired, &mut Service, &mut Balancing)| {
        let (scene, service) = scene(change);
        let waiting = carriers::can_shift_back(&service, &scene.observed).err();
        waiting.map(|waiting| waiting::reason(&waiting))
    };
    assert_eq!(back(|_, _, _| {}), None);
    let astray = |_: &mut Desired, _: &mut Service, balancing: &mut Balancing| {
        balancing.rules.insert("production".to_owned(), forward(&[("a", 0), ("b", 1)]));
    };
    assert_eq!(back(astray), Some("ListenerAstray"));
    let other = |desired: &mut Desired, _: &mut Service, _: &mut Balancing| {
        desired.strategy = declared(["a", "nowhere"]);
    };
    assert_eq!(back(other), None);
    assert!(check(other).is_some());
    let rolling = |_: &mut Desired, service: &mut Service, balancing: &mut Balancing| {
        service.strategy = DeploymentStrategy::Rolling;
        *balancing = Balancing::default();
    };
    assert_eq!(back(rolling), None);
}

#[test]
fn a_way_back_by_trueup_waits_for_the_production_rule() {
    for (weights, expected) in
        [(&[("a", 1), ("b", 0)][..], "deploy mco-api:1 Rollback"), (&[("a", 0), ("b", 1)], "ListenerAstray")]
    {
        let (shifted, with_traffic) = scene(|_, _, balancing| {
            balancing.rules.insert("production".to_owned(), forward(weights));
        });
        let unsteady = super::steady::unsteady().with(|scene| {
            let Reading::Known(service) = &mut scene.observed.service else { unreachable!("it has one") };
            scene.desired.strategy = Strategy::Unspecified;
            service.strategy = with_traffic.strategy;
            service.settings = with_traffic.settings;
            scene.observed.balancing = shifted.observed.balancing;
        });
        unsteady.check(expected);
    }
}

#[test]
fn the_production_rule_leads_to_the_live_tasks_and_there_alone() {
    let rule = |weights: &'static [(&str, u64)]| {
        check(move |_, _, balancing| {
            balancing.rules.insert("production".to_owned(), forward(weights));
        })
    };
    let astray = |rest: &str| Some(format!("ListenerAstray: the production rule production leads {rest}"));
    assert_eq!(rule(&[("a", 100), ("b", 0)]), None);
    // The other group is named by the test rule alone.
    assert_eq!(
        check(|_, _, balancing| {
            balancing.rules.insert("production".to_owned(), forward(&[("a", 1)]));
            balancing.rules.insert("test".to_owned(), forward(&[("b", 1)]));
        }),
        None
    );
    assert_eq!(rule(&[("a", 0), ("b", 1)]), astray("to b, and the live tasks are in a"));
    assert_eq!(rule(&[("a", 1), ("b", 1)]), astray("to a and b, and the live tasks are in a"));
    assert_eq!(rule(&[("a", 0), ("b", 0)]), astray("nowhere, and the live tasks are in a"));
    assert_eq!(
        rule(&[("c", 1), ("a", 0), ("b", 0)]),
        astray(
            "to arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/c/1, and the live tasks are in a"
        )
    );
    // Where both have tasks, or no task is wanted, the tasks say nothing.
    let other = |balancing: &mut Balancing| {
        balancing.rules.insert("production".to_owned(), forward(&[("a", 0), ("b", 1)]));
    };
    assert_eq!(
        check(|_, _, balancing| {
            other(balancing);
            balancing.groups.insert(group("b"), target_group("b", 2));
        }),
        None
    );
    assert_eq!(
        check(|_, service, balancing| {
            other(balancing);
            service.desired_count = 0;
        }),
        None
    );
    assert_eq!(
        check(|_, service, balancing| {
            service.desired_count = 0;
            balancing.rules.insert("production".to_owned(), forward(&[("a", 1), ("b", 1)]));
        }),
        astray("to a and b, and ECS needs exactly one of its two target groups served")
    );
}

#[test]
fn what_ecs_would_find_out_later_is_told_before_anything_is_written() {
    let unfit = |why: &str| Some(format!("TrafficUnfit: ECS cannot shift traffic here: {why}"));
    let unread = |why: &str| Some(format!("Unreadable: cannot read the load balancer: {why}"));
    assert_eq!(
        check(|_, _, balancing| {
            balancing.rules.insert("production".to_owned(), Reading::Absent);
        }),
        unfit("the production rule production is not there")
    );
    assert_eq!(
        check(|_, _, balancing| {
            balancing.rules.insert("test".to_owned(), Reading::Absent);
        }),
        unfit("the test rule test is not there")
    );
    assert_eq!(
        check(|_, _, balancing| {
            balancing.rules.insert("test".to_owned(), Reading::Unavailable("denied".to_owned()));
        }),
        unread("denied")
    );
    assert_eq!(check(|_, _, balancing| balancing.rules.clear()), unread("it was not read"));
    assert_eq!(
        check(|_, _, balancing| {
            balancing.groups.insert(group("b"), Reading::Absent);
        }),
        unfit(&format!("there is no target group {}", group("b")))
    );
    assert_eq!(
        check(|_, _, balancing| {
            let instances =
                TargetGroup { takes_addresses: false, ..target_group("b", 0).known().unwrap().clone() };
            balancing.groups.insert(group("b"), Reading::Known(instances));
        }),
        unfit("the targets of b are not of type ip")
    );
    for (other, why) in [
        (
            TargetGroup {
                network: Some("vpc-2".to_owned()),
                ..target_group("b", 0).known().unwrap().clone()
            },
            "the target groups a and b are of different VPCs, vpc-1 and vpc-2",
        ),
        (
            TargetGroup { protocol: Some("TCP".to_owned()), ..target_group("b", 0).known().unwrap().clone() },
            "the target groups a and b are of different protocols, HTTP and TCP",
        ),
    ] {
        let found = check(|_, _, balancing| {
            balancing.groups.insert(group("b"), Reading::Known(other));
        });
        assert_eq!(found, unfit(why));
    }
    assert_eq!(
        check(|_, _, balancing| {
            balancing.rules.insert("production".to_owned(), forward(&[("a", 1)]));
        }),
        unfit("neither the production rule nor a test rule names the target group b")
    );
    assert_eq!(
        check(|_, service, _| {
            service.settings["loadBalancers"][0]["advancedConfiguration"]["testListenerRule"] =
                json!("production");
        }),
        unfit("the test rule is the production rule")
    );
    assert_eq!(
        check(|_, service, _| {
            service.settings["loadBalancers"][0]["advancedConfiguration"] = json!(null);
        }),
        unfit(
            "a load balancer of the service has no second target group: declare `traffic` under `strategy`"
        )
    );
    // Whatever the load balancer of a rolling service does.
    let nothing = |_: &mut Desired, service: &mut Service, balancing: &mut Balancing| {
        service.strategy = DeploymentStrategy::Rolling;
        *balancing = Balancing::default();
    };
    assert_eq!(check(nothing), None);
}

fn declared(groups: [&str; 2]) -> Strategy {
    let balancer = Balancer {
        container: "api".to_owned(),
        port: 80,
        target_groups: groups.map(str::to_owned),
        production_rule: "production".to_owned(),
        test_rule: Some("test".to_owned()),
        role: "traffic".to_owned(),
    };
    let pattern = TrafficPattern::Canary { share: None, bake: None };
    Strategy::Native(Box::new(Native { balancers: Some(vec![balancer]), ..Native::inherited(pattern) }))
}

#[test]
fn declared_groups_are_held_against_the_load_balancer_by_their_names() {
    assert_eq!(check(|desired, _, _| desired.strategy = declared(["b", "a"])), None);
    let unknown = check(|desired, _, balancing| {
        desired.strategy = declared(["a", "c"]);
        balancing.groups.insert("c".to_owned(), Reading::Absent);
    });
    assert_eq!(
        unknown.as_deref(),
        Some("TrafficUnfit: ECS cannot shift traffic here: there is no target group c")
    );
    // It has not been asked for yet.
    let unasked = check(|desired, _, _| desired.strategy = declared(["a", "c"]));
    assert!(unasked.is_some_and(|said| said.starts_with("LookDeeper")));
    let named = check(|desired, _, balancing| {
        desired.strategy = declared(["a", "c"]);
        balancing.groups.insert("c".to_owned(), target_group("c", 0));
    });
    assert_eq!(
        named.as_deref(),
        Some(
            "TrafficUnfit: ECS cannot shift traffic here: neither the production rule nor a test rule names the target group c"
        )
    );
    let daemon = check(|desired, service, _| {
        desired.strategy = declared(["a", "b"]);
        service.scheduling = Scheduling::Daemon;
    });
    assert_eq!(
        daemon.as_deref(),
        Some("TrafficUnfit: ECS cannot shift traffic here: a DAEMON service has rolling deployments alone")
    );
}
