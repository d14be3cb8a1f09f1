//! Deployments that shift traffic, where nothing goes wrong.

use serde_json::{Value, json};

use super::blue_green::{BlueGreen, no_hooks};
use super::shifting::{MINUTE, ROLE, Shifting, blue_green, canary, forward, pause, with_hooks};
use super::{LISTED, laid_over};
use crate::world::Api;

#[test]
fn a_blue_green_deployment_passes_its_stages_in_order_with_their_weights() {
    let mut made = Shifting::new(&blue_green());
    made.world.deploy("bbbbbbb");
    made.world.advance(LISTED);
    let course = made.course();
    assert_eq!(
        course,
        [
            "SCALE_UP 23 0/0",
            "POST_SCALE_UP 2 0/0",
            "TEST_TRAFFIC_SHIFT 5 0/100",
            "POST_TEST_TRAFFIC_SHIFT 2 0/100",
            "PRE_PRODUCTION_TRAFFIC_SHIFT 2 0/100",
            "PRODUCTION_TRAFFIC_SHIFT 5 100/100",
            "POST_PRODUCTION_TRAFFIC_SHIFT 2 100/100",
            "BAKE_TIME 60 100/100",
            "CLEAN_UP 35 100/100",
        ]
    );
    assert_eq!(made.stands(), "SUCCESSFUL: CLEAN_UP");
}

#[test]
fn traffic_moves_in_the_steps_of_its_strategy_with_a_stage_before_each() {
    let linear = json!({"strategy": "LINEAR", "bakeTimeInMinutes": 0,
        "linearConfiguration": {"stepPercent": 40.0, "stepBakeTimeInMinutes": 1}});
    for (configuration, expected) in [
        (canary(), ["PRE 2 0", "PRODUCTION 125 10", "PRE 2 10", "PRODUCTION 5 100"].as_slice()),
        (
            linear,
            &["PRE 2 0", "PRODUCTION 65 40", "PRE 2 40", "PRODUCTION 65 80", "PRE 2 80", "PRODUCTION 5 100"],
        ),
    ] {
        let mut made = Shifting::new(&configuration);
        made.begin("bbbbbbb");
        let course = made.course();
        let shifts = course
            .iter()
            .filter(|stage| stage.contains("PRODUCTION_TRAFFIC_SHIFT ") && !stage.starts_with("POST"));
        let shifts: Vec<String> = shifts
            .map(|stage| {
                stage
                    .replace("_PRODUCTION_TRAFFIC_SHIFT", "")
                    .replace("_TRAFFIC_SHIFT", "")
                    .replace("/100", "")
            })
            .collect();
        assert_eq!(shifts, expected);
    }
}

#[test]
fn shares_are_written_into_the_production_rule_tenths_of_a_percent_exactly() {
    for (percent, expected) in [(10.0, [90, 10]), (0.1, [999, 1]), (33.3, [667, 333])] {
        let share = json!({"canaryConfiguration": {"canaryPercent": percent, "canaryBakeTimeInMinutes": 2}});
        let mut made = Shifting::new(&laid_over(canary(), &share));
        made.begin("bbbbbbb");
        made.until("IN_PROGRESS: PRODUCTION_TRAFFIC_SHIFT");
        made.world.advance(MINUTE);
        assert_eq!(made.live(), [expected, [0, 100]]);
        let newest = made.world.newest();
        let weight = |of: &Value| of["requestedProductionTrafficWeight"].as_f64().unwrap();
        let shares = [weight(&newest["sourceServiceRevisions"][0]), weight(&newest["targetServiceRevision"])];
        assert!(
            (shares[0] + shares[1] - 100.0).abs() < 1e-9 && (shares[1] - percent).abs() < 1e-9,
            "{shares:?}"
        );
    }
}

/// (stage, production and test rule, targets of the two groups)
#[test]
fn both_revisions_run_until_the_clean_up_and_the_next_deployment_turns_the_colours() {
    let mut made = Shifting::new(&blue_green());
    assert_eq!((made.live(), made.registered()), ([[100, 0], [100, 0]], [2, 0]));
    made.begin("bbbbbbb");
    for (stage, live, registered) in [
        ("POST_SCALE_UP", [[100, 0], [100, 0]], [2, 2]),
        ("POST_TEST_TRAFFIC_SHIFT", [[100, 0], [0, 100]], [2, 2]),
        ("BAKE_TIME", [[0, 100], [0, 100]], [2, 2]),
    ] {
        made.until(&format!("IN_PROGRESS: {stage}"));
        assert_eq!((made.live(), made.registered()), (live, registered), "{stage}");
    }
    made.until("SUCCESSFUL: CLEAN_UP");
    assert_eq!((made.live(), made.registered()), ([[0, 100], [0, 100]], [0, 2]));
    made.world.advance(MINUTE);
    made.begin("ccccccc");
    made.until("SUCCESSFUL: CLEAN_UP");
    assert_eq!((made.live(), made.registered()), ([[100, 0], [100, 0]], [2, 0]));
    assert_eq!(
        made.world.service()["loadBalancers"],
        json!([made.balancer()]),
        "the groups stay as declared"
    );
}

#[test]
fn a_revision_says_in_which_target_group_it_is_once_it_has_tasks() {
    let mut made = Shifting::new(&blue_green());
    let of = |made: &mut Shifting| {
        let arn = made.world.newest()["targetServiceRevision"]["arn"].clone();
        let found = made.world.ecs_call("DescribeServiceRevisions", &json!({"serviceRevisionArns": [arn]}));
        found["serviceRevisions"][0]["resolvedConfiguration"]["loadBalancers"].clone()
    };
    let group = |made: &Shifting, place: usize| json!([{"targetGroupArn": made.groups[place], "productionListenerRule": made.production}]);
    assert_eq!(of(&mut made), group(&made, 0));
    made.world.deploy("bbbbbbb");
    made.until("IN_PROGRESS: BAKE_TIME");
    assert_eq!(of(&mut made), group(&made, 1));
}

#[test]
fn the_production_rule_alone_says_which_group_is_live() {
    let mut made = Shifting::new(&blue_green());
    made.begin("bbbbbbb");
    made.until("SUCCESSFUL: CLEAN_UP");
    assert_eq!(made.registered(), [0, 2]);
    // Another hand puts the rule back: what comes next is registered beside what serves.
    made.reset([100, 0]);
    made.begin("ccccccc");
    made.until("IN_PROGRESS: BAKE_TIME");
    assert_eq!((made.registered(), made.live()[0]), ([0, 4], [0, 100]));
    made.until("SUCCESSFUL: CLEAN_UP");
}

#[test]
fn the_new_revision_is_primary_at_once_and_its_entry_is_completed_after_the_service_deployment() {
    let mut made = Shifting::new(&blue_green());
    made.world.deploy("bbbbbbb");
    let service = made.world.service();
    assert!(service["taskDefinition"].as_str().unwrap().ends_with("mco-api:2"), "{service}");
    let entry = |status: &str, rollout: &str, running: u64| (status.to_owned(), rollout.to_owned(), running);
    assert_eq!(
        made.world.deployments(),
        [entry("PRIMARY", "IN_PROGRESS", 0), entry("ACTIVE", "COMPLETED", 2)]
    );
    assert!(service["taskSets"].is_null(), "{service}");
    made.world.advance(LISTED);
    made.until("SUCCESSFUL: CLEAN_UP");
    assert_eq!(made.world.deployments(), [entry("PRIMARY", "IN_PROGRESS", 2)]);
    made.world.advance(37);
    assert_eq!(made.world.deployments(), [entry("PRIMARY", "IN_PROGRESS", 2)]);
    made.world.advance(1);
    assert_eq!(made.world.deployments(), [entry("PRIMARY", "COMPLETED", 2)]);
    let events = made.world.events();
    for told in [
        "registered 2 targets",
        "has stopped 2 running tasks",
        "deregistered 2 targets",
        "deployment completed",
        "has reached a steady state",
    ] {
        assert!(events.contains(told), "{told}: {events}");
    }
    assert!(!events.contains("traffic"), "{events}");
}

#[test]
fn a_headless_service_passes_the_same_stages_without_weights() {
    let mut world = super::world();
    world.begin(&json!({"deploymentConfiguration": blue_green()}));
    world.advance(10 * MINUTE);
    world.deploy("bbbbbbb");
    world.advance(3 * MINUTE);
    let newest = world.newest();
    assert_eq!(newest["lifecycleStage"], "CLEAN_UP");
    for of in [&newest["targetServiceRevision"], &newest["sourceServiceRevisions"][0]] {
        assert!(
            of["requestedProductionTrafficWeight"].is_null() && of["requestedTestTrafficWeight"].is_null(),
            "{of}"
        );
    }
}

#[test]
fn a_rolling_deployment_has_neither_stage_nor_weights() {
    let mut world = super::world_with_service(&json!({}));
    let newest = world.newest();
    assert!(newest["lifecycleStage"].is_null() && newest["lifecycleHookDetails"].is_null(), "{newest}");
    assert!(newest["targetServiceRevision"]["requestedProductionTrafficWeight"].is_null(), "{newest}");
}

#[test]
fn a_first_revision_is_registered_where_the_rule_leads_and_shares_with_nobody() {
    let mut made = Shifting::without_service("application");
    made.create(&canary());
    made.world.advance(LISTED);
    let course = made.course();
    assert!(course.contains(&"PRODUCTION_TRAFFIC_SHIFT 5 100/100".to_owned()), "{course:?}");
    assert_eq!((made.live(), made.registered()), ([[100, 0], [100, 0]], [2, 0]));
}

#[test]
fn a_network_load_balancer_adds_ten_minutes_to_both_shifts() {
    let mut made = Shifting::without_service("network");
    let (mut production, mut balancer) = (made.listener.clone(), made.balancer());
    balancer["advancedConfiguration"]["productionListenerRule"] = json!(production);
    std::mem::swap(&mut made.production, &mut production);
    made.create(&blue_green());
    made.world.advance(LISTED);
    let course = made.course();
    for stage in ["TEST_TRAFFIC_SHIFT 605 0/100", "PRODUCTION_TRAFFIC_SHIFT 605 100/100"] {
        assert!(course.contains(&stage.to_owned()), "{course:?}");
    }
}

#[test]
fn without_a_test_rule_the_test_shift_takes_a_second() {
    let mut made = Shifting::without_service("application");
    let mut balancer = made.balancer();
    balancer["advancedConfiguration"].as_object_mut().unwrap().remove("testListenerRule");
    made.world.begin(&json!({"loadBalancers": [balancer], "deploymentConfiguration": blue_green()}));
    made.world.advance(LISTED);
    let course = made.course();
    assert!(course.contains(&"TEST_TRAFFIC_SHIFT 1 0/100".to_owned()), "{course:?}");
}

/// The stage in which another one begins, and the group that has the traffic from then on.
#[test]
fn a_new_deployment_stops_the_one_in_flight_and_settles_what_it_left() {
    for (stage, blue) in [
        ("PRE_SCALE_UP", 0),
        ("POST_TEST_TRAFFIC_SHIFT", 0),
        ("PRODUCTION_TRAFFIC_SHIFT", 0),
        ("BAKE_TIME", 1),
    ] {
        let mut made = Shifting::new(&canary());
        let paused = with_hooks(canary(), &[pause("PRE_SCALE_UP")]);
        made.world.update(&json!({"deploymentConfiguration": paused}));
        made.begin("bbbbbbb");
        let stopped = made.world.newest();
        if stage != "PRE_SCALE_UP" {
            made.answer("CONTINUE");
            made.until(&format!("IN_PROGRESS: {stage}"));
            made.world.advance(10);
        }
        made.begin("ccccccc");
        let arn = stopped["serviceDeploymentArn"].clone();
        let found =
            made.world.ecs_call("DescribeServiceDeployments", &json!({"serviceDeploymentArns": [arn]}));
        assert_eq!(found["serviceDeployments"][0]["status"], "STOPPED", "{stage}");
        let newest = made.world.newest();
        assert_eq!(newest["lifecycleStage"], "RECONCILE_SERVICE", "{stage}");
        assert_eq!(newest["sourceServiceRevisions"].as_array().unwrap().len(), 2, "{stage}");
        made.until("IN_PROGRESS: PRE_SCALE_UP");
        let (mut live, mut registered) = ([0, 0], [0, 0]);
        (live[blue], registered[blue]) = (100, 2);
        assert_eq!((made.live()[0], made.registered()), (live, registered), "{stage}");
        made.answer("CONTINUE");
        made.until("SUCCESSFUL: CLEAN_UP");
        assert_eq!(made.world.service()["runningCount"], 2, "{stage}");
    }
}

#[test]
fn the_configuration_alone_starts_nothing_and_holds_from_the_next_deployment_on() {
    let mut made = Shifting::new(&json!({}));
    made.world.update(&json!({"deploymentConfiguration": blue_green()}));
    made.world.advance(MINUTE);
    assert_eq!(made.world.statuses(), ["SUCCESSFUL"]);
    made.begin("bbbbbbb");
    made.until("SUCCESSFUL: CLEAN_UP");
    assert_eq!(made.registered(), [0, 2]);
}

#[test]
fn a_service_that_goes_back_to_rolling_stays_in_the_group_that_serves() {
    let mut made = Shifting::new(&blue_green());
    made.begin("bbbbbbb");
    made.until("SUCCESSFUL: CLEAN_UP");
    made.world.advance(MINUTE);
    made.world.update(&json!({"deploymentConfiguration": {"strategy": "ROLLING"}}));
    made.begin("ccccccc");
    made.world.advance(5 * MINUTE);
    assert_eq!(made.world.statuses()[0], "SUCCESSFUL");
    assert_eq!((made.live()[0], made.registered()), ([0, 100], [0, 2]));
}

#[test]
fn both_rules_are_written_at_each_shift_even_where_nothing_changes() {
    let mut made = Shifting::new(&blue_green());
    made.begin("bbbbbbb");
    made.until("IN_PROGRESS: POST_SCALE_UP");
    made.reset([50, 50]);
    made.until("IN_PROGRESS: POST_TEST_TRAFFIC_SHIFT");
    assert_eq!(made.live(), [[100, 0], [0, 100]]);
    let listener = made.test_listener();
    let actions = forward(&made.groups, [1, 0]);
    made.world
        .call(Api::Elb, "ModifyListener", &json!({"ListenerArn": listener, "DefaultActions": actions}))
        .unwrap();
    made.until("IN_PROGRESS: BAKE_TIME");
    assert_eq!(made.live(), [[0, 100], [0, 100]]);
}

#[test]
fn one_call_moves_a_service_from_code_deploy_to_ecs_and_deploys_its_content_again() {
    let mut made = BlueGreen::new(&json!({}));
    let deployed = made.deployed("bbbbbbb");
    let rule = |made: &mut BlueGreen, listener: &str| {
        made.elb("DescribeRules", &json!({"ListenerArn": listener}))["Rules"][0]["RuleArn"].clone()
    };
    let (production, test) = (made.production.clone(), made.test.clone());
    let advanced = json!({"alternateTargetGroupArn": made.groups[1], "roleArn": ROLE,
        "productionListenerRule": rule(&mut made, &production), "testListenerRule": rule(&mut made, &test)});
    let migration = json!({"cluster": "mco", "service": "api", "deploymentController": {"type": "ECS"}, "deploymentConfiguration": blue_green(),
        "loadBalancers": [{"targetGroupArn": made.groups[0], "containerName": "api", "containerPort": 8080, "advancedConfiguration": advanced}]});
    let id = made.begin("ccccccc", &no_hooks());
    made.world.advance(10);
    let said = made.world.why_refused("UpdateService", &migration);
    assert!(said.contains("in progress"), "{said}");
    made.code_deploy("StopDeployment", &json!({"deploymentId": id}));
    made.world.advance(20 * MINUTE);
    assert_eq!((made.status(&deployed).as_str(), made.weights(&production)), ("Succeeded", [0, 100]));
    let actions = forward(&made.groups, [0, 1]);
    for listener in [production.clone(), test] {
        made.elb("ModifyListener", &json!({"ListenerArn": listener, "DefaultActions": actions}));
    }
    let before = made.world.service()["taskDefinition"].clone();
    made.world.call(Api::Ecs, "UpdateService", &migration).unwrap();
    made.world.advance(5 * MINUTE);
    let service = made.world.service();
    assert_eq!(
        (&service["deploymentController"]["type"], &service["taskDefinition"]),
        (&json!("ECS"), &before)
    );
    assert!(service["taskSets"].is_null(), "{service}");
    assert_eq!((made.world.statuses(), made.weights(&production)), (vec!["SUCCESSFUL".to_owned()], [100, 0]));
    assert_eq!(service["runningCount"], 2);
}
