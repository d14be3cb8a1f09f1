//! Other ends of a deployment: an alarm, a stop by a user; and the autoscaler beside it.

use serde_json::{Value, json};

use super::super::{Api, World};
use super::{SETTLED, laid_over, world_with_service};

fn alarms(rollback: bool) -> Value {
    let alarms = json!({"alarmNames": ["errors", "latency"], "enable": true, "rollback": rollback});
    json!({"deploymentConfiguration": {"alarms": alarms}})
}

fn stop(world: &mut World) -> Result<Value, String> {
    let arn = world.newest()["serviceDeploymentArn"].clone();
    let stopped = world.call(Api::Ecs, "StopServiceDeployment", &json!({"serviceDeploymentArn": arn}));
    stopped.map_err(|error| error.code)
}

#[test]
fn an_alarm_rolls_a_running_deployment_back() {
    let mut world = world_with_service(&alarms(true));
    world.advance(300);
    let good = world.service()["deployments"][0]["id"].clone();
    world.deploy("bbbbbbb");
    world.advance(SETTLED);
    assert_eq!(world.statuses()[0], "IN_PROGRESS", "it bakes");
    world.set_alarm("latency", true);
    world.advance(1);
    let newest = world.newest();
    assert_eq!(newest["status"], "ROLLBACK_IN_PROGRESS");
    let expected = json!({"status": "TRIGGERED", "alarmNames": ["errors", "latency"], "triggeredAlarmNames": ["latency"]});
    assert_eq!(newest["alarms"], expected);
    assert!(world.events().contains("deployment failed: alarm detected."));
    assert_eq!(world.service()["deployments"][0]["id"], good, "also when it had left the list");
    world.advance(SETTLED);
    assert_eq!(world.statuses()[0], "ROLLBACK_SUCCESSFUL");
    assert!(world.service()["taskDefinition"].as_str().unwrap().ends_with(":1"));
}

#[test]
fn a_deployment_without_alarms_says_only_that_they_are_disabled() {
    let mut world = world_with_service(&json!({}));
    assert_eq!(world.newest()["alarms"], json!({"status": "DISABLED"}));
}

#[test]
fn without_rollback_an_alarm_only_fails_the_deployment() {
    let mut world = world_with_service(&alarms(false));
    world.advance(300);
    world.deploy("bbbbbbb");
    world.advance(5);
    world.set_alarm("errors", true);
    world.advance(SETTLED);
    assert_eq!(world.statuses()[0], "STOPPED");
    assert_eq!(world.service()["deployments"][0]["rolloutState"], "FAILED");
}

#[test]
fn an_alarm_that_was_there_before_or_is_not_named_does_not_count() {
    let mut world = world_with_service(&alarms(true));
    world.advance(300);
    world.set_alarm("errors", true);
    world.deploy("bbbbbbb");
    world.set_alarm("other", true);
    world.advance(500);
    assert_eq!(world.statuses()[0], "SUCCESSFUL");
    assert_eq!(world.newest()["alarms"]["status"], "MONITORING_COMPLETE");
}

#[test]
fn a_user_stops_a_deployment_and_it_rolls_back_also_where_none_is_configured() {
    let mut world = world_with_service(&json!({}));
    world.deploy("bbbbbbb");
    world.advance(5);
    stop(&mut world).unwrap();
    for status in ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"] {
        assert_eq!(world.statuses()[0], status);
        stop(&mut world).unwrap();
        assert_eq!(world.statuses()[0], status, "again is without effect");
        world.advance(1);
    }
    world.advance(SETTLED);
    assert_eq!(world.statuses()[0], "ROLLBACK_SUCCESSFUL");
    assert_eq!(stop(&mut world), Err("ConflictException".to_owned()));
}

#[test]
fn only_a_known_deployment_and_only_a_rollback_can_be_asked_for() {
    let mut world = world_with_service(&json!({}));
    let unknown =
        json!({"serviceDeploymentArn": "arn:aws:ecs:eu-west-2:123456789012:service-deployment/mco/api/1"});
    assert_eq!(
        world.refused(Api::Ecs, "StopServiceDeployment", &unknown),
        "ServiceDeploymentNotFoundException"
    );
    let abort = laid_over(unknown, &json!({"stopType": "ABORT"}));
    assert_eq!(world.refused(Api::Ecs, "StopServiceDeployment", &abort), "InvalidParameterException");
}

#[test]
fn a_first_deployment_that_is_stopped_has_nothing_to_roll_back_to() {
    let mut world = super::world();
    world.begin(&json!({}));
    world.advance(3);
    stop(&mut world).unwrap();
    world.advance(SETTLED);
    assert_eq!(world.statuses(), ["STOPPED"]);
}

#[test]
fn the_autoscaler_sets_the_count_but_does_not_scale_in_during_a_deployment() {
    let mut world = world_with_service(&json!({}));
    assert!(world.autoscale("mco", "api", 4));
    world.advance(SETTLED);
    assert_eq!(world.service()["runningCount"], 4);
    assert_eq!(world.statuses().len(), 1, "no deployment is started");
    world.deploy("bbbbbbb");
    world.advance(1);
    assert!(!world.autoscale("mco", "api", 1));
    assert!(world.autoscale("mco", "api", 5));
    let asked: Vec<Value> = world.service()["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["desiredCount"].clone())
        .collect();
    assert_eq!(asked[1], 5, "the old revision grows too");
    world.advance(SETTLED);
    assert!(world.autoscale("mco", "api", 1));
    world.advance(SETTLED);
    assert_eq!(world.service()["runningCount"], 1);
    assert!(!world.autoscale("mco", "other", 1));
}
