//! Health: of containers, of tasks, of targets, and what it does to a deployment.

use std::collections::BTreeMap;

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
    // There is no room for replacements first, so they go one at a time.
    world.advance(1);
    assert_eq!(world.tasks("STOPPED").len(), 1);
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

/// Tasks by their health.
fn healths(world: &mut World) -> BTreeMap<String, usize> {
    let mut healths = BTreeMap::new();
    for task in world.tasks("RUNNING") {
        *healths.entry(task["healthStatus"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    healths
}

/// A service of two checked tasks at rest, one of which is unhealthy from now on.
fn turns_unhealthy(configuration: &Value) -> World {
    let mut world = world_with_service(&json!({"deploymentConfiguration": configuration}));
    let digest = deploy_checked(&mut world, "bbbbbbb");
    world.advance(2 * SETTLED);
    world.inject(Fault::Unhealthy { digest });
    while !healths(&mut world).contains_key("UNHEALTHY") && world.tasks("STOPPED").len() == 2 {
        world.advance(1);
    }
    world.heal();
    world
}

#[test]
fn an_unhealthy_task_goes_when_its_replacement_is_healthy() {
    let mut world = turns_unhealthy(&json!({}));
    let all = |unhealthy: usize, unknown: usize, healthy: usize| {
        let all = [("UNHEALTHY", unhealthy), ("UNKNOWN", unknown), ("HEALTHY", healthy)];
        let some = all.into_iter().filter(|(_, count)| *count > 0);
        some.map(|(name, count)| (name.to_owned(), count)).collect::<BTreeMap<_, _>>()
    };
    let unhealthy = |task: &&Value| task["healthStatus"] == "UNHEALTHY";
    let before: Vec<Value> =
        world.tasks("RUNNING").iter().filter(unhealthy).map(|task| task["taskArn"].clone()).collect();
    let mut seen = Vec::new();
    for _ in 0..SETTLED {
        let now = healths(&mut world);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        world.advance(1);
    }
    // What is unhealthy once goes, even if it recovers.
    assert_eq!(seen, [all(2, 2, 0), all(0, 2, 2), all(0, 0, 2)]);
    assert!(world.tasks("RUNNING").iter().all(|task| !before.contains(&task["taskArn"])));
    assert_eq!(world.statuses()[0], "SUCCESSFUL", "the deployment had ended");
}

#[test]
fn without_room_an_unhealthy_task_goes_first() {
    let mut world = turns_unhealthy(&json!({"maximumPercent": 100, "minimumHealthyPercent": 50}));
    let mut most = 0;
    for _ in 0..2 * SETTLED {
        most = most.max(world.tasks("RUNNING").len());
        world.advance(1);
    }
    assert_eq!((most, healths(&mut world)), (2, BTreeMap::from([("HEALTHY".to_owned(), 2)])));
}

#[test]
fn old_tasks_that_die_during_a_deployment_are_replaced_from_their_own_revision() {
    let mut world = world_with_service(&json!({}));
    let digest = world.deploy("bbbbbbb");
    world.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    world.advance(20);
    let old = |world: &mut World| {
        let tasks = world.tasks("RUNNING");
        let old = tasks.iter().filter(|task| task["taskDefinitionArn"].as_str().unwrap().ends_with(":1"));
        old.map(|task| task["taskArn"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = old(&mut world);
    assert!(world.exit_task(&before[0], 1));
    world.advance(1);
    let after = old(&mut world);
    assert_eq!((before.len(), after.len()), (2, 2));
    assert!(!after.contains(&before[0]) && after.contains(&before[1]));
    // One in flight that is replaced in its turn only gives up what it has.
    world.deploy("ccccccc");
    world.advance(5);
    let tasks = world.tasks("RUNNING");
    assert!(
        tasks.iter().all(|task| !task["taskDefinitionArn"].as_str().unwrap().ends_with(":2")),
        "{tasks:?}"
    );
}
