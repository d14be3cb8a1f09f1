//! Health: of containers, of tasks, of targets, and what it does to a deployment.

use serde_json::{Value, json};

use super::super::World;
use super::{SETTLED, breaker, laid_over, world_with_service};
use crate::faults::Fault;

/// interval, retries and start period of the check that is registered: unhealthy 10 + 2 x 5 seconds after it runs.
fn check() -> Value {
    json!({"healthCheck": {"command": ["CMD", "x"], "interval": 5, "retries": 2, "startPeriod": 10}})
}

fn deploy_checked(world: &mut World, tag: &str) -> String {
    let digest = world.push(tag);
    let arn = world.register_with(tag, &check());
    world.update(&json!({"taskDefinition": arn}));
    digest
}

fn balanced(grace: u64) -> Value {
    json!({"healthCheckGracePeriodSeconds": grace,
        "loadBalancers": [{"targetGroupArn": "tg", "containerName": "api", "containerPort": 8080}]})
}

#[test]
fn a_task_counts_only_when_its_check_has_passed() {
    let mut world = world_with_service(&json!({}));
    deploy_checked(&mut world, "bbbbbbb");
    world.advance(14);
    let running = world.service()["deployments"][0]["runningCount"].clone();
    assert_eq!((running, world.statuses().remove(0)), (json!(2), "IN_PROGRESS".to_owned()));
    let health: Vec<Value> = world.tasks("RUNNING").iter().map(|task| task["healthStatus"].clone()).collect();
    assert!(health.iter().all(|health| health == "UNKNOWN"));
    assert_eq!(world.service()["runningCount"], 4, "the old ones stay until then");
    world.advance(SETTLED);
    assert_eq!(world.statuses()[0], "SUCCESSFUL");
    assert_eq!(world.tasks("RUNNING")[0]["healthStatus"], "HEALTHY");
    assert_eq!(world.tasks("RUNNING")[0]["containers"][0]["healthStatus"], "HEALTHY");
}

#[test]
fn a_check_that_fails_stops_the_task_after_its_retries_and_trips_the_breaker() {
    let mut world = world_with_service(&breaker(true));
    let digest = deploy_checked(&mut world, "bbbbbbb");
    world.inject(Fault::Unhealthy { digest });
    // Started in the first second, running twelve later, unhealthy twenty later.
    world.advance(1 + 12 + 19);
    assert_eq!(world.tasks("RUNNING").len(), 4);
    world.advance(1);
    let stopped = world.tasks("STOPPED");
    assert_eq!(stopped.len(), 2);
    assert_eq!(stopped[0]["healthStatus"], "UNHEALTHY");
    assert_eq!(stopped[0]["stopCode"], "ServiceSchedulerInitiated");
    assert_eq!(stopped[0]["stoppedReason"], "Task failed container health checks");
    assert_eq!(world.service()["deployments"][0]["failedTasks"], 2);
    assert!(world.events().contains("failed container health checks."));
    world.advance(200);
    assert_eq!(world.statuses()[0], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn the_grace_period_ignores_a_check_that_fails() {
    let mut world =
        world_with_service(&laid_over(breaker(true), &json!({"healthCheckGracePeriodSeconds": 120})));
    let digest = deploy_checked(&mut world, "bbbbbbb");
    world.inject(Fault::Unhealthy { digest });
    world.advance(130);
    assert_eq!(world.tasks("STOPPED"), Vec::<Value>::new());
    world.advance(10);
    assert_eq!(world.tasks("STOPPED").len(), 2);
}

#[test]
fn a_check_inside_an_image_is_not_looked_at() {
    let mut world = world_with_service(&json!({}));
    let digest = world.deploy("bbbbbbb");
    world.inject(Fault::Unhealthy { digest });
    world.advance(SETTLED);
    assert_eq!(world.statuses()[0], "SUCCESSFUL");
    assert_eq!(world.tasks("RUNNING")[0]["healthStatus"], "UNKNOWN");
}

#[test]
fn a_target_that_stays_unhealthy_fails_the_task_after_the_grace_period() {
    let mut world = world_with_service(&laid_over(breaker(true), &balanced(90)));
    let digest = world.deploy("bbbbbbb");
    world.inject(Fault::Unhealthy { digest });
    world.advance(13 + 89);
    assert_eq!(world.tasks("STOPPED"), Vec::<Value>::new());
    world.advance(5);
    let stopped = world.tasks("STOPPED");
    assert_eq!(stopped[0]["stoppedReason"], "Task failed ELB health checks in (target-group tg)");
    world.advance(400);
    assert_eq!(world.statuses()[0], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn a_running_service_that_turns_unhealthy_replaces_its_tasks() {
    let mut world = world_with_service(&json!({}));
    let digest = deploy_checked(&mut world, "bbbbbbb");
    world.advance(SETTLED);
    world.inject(Fault::Unhealthy { digest });
    world.advance(SETTLED);
    assert!(!world.tasks("STOPPED").is_empty());
    assert_eq!(world.statuses()[0], "SUCCESSFUL", "the deployment had ended");
    world.heal();
    world.advance(2 * SETTLED);
    assert_eq!(world.service()["runningCount"], 2);
    assert_eq!(world.tasks("RUNNING")[0]["healthStatus"], "HEALTHY");
}
