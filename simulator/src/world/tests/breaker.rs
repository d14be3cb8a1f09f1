//! The circuit breaker: its threshold, the rollback, and what stays without one.

use serde_json::{Value, json};

use super::super::World;
use super::{LISTED, SETTLED, breaker, seconds, world, world_with_service};
use crate::faults::Fault;

/// Long enough for a few rounds of tasks that fail.
const TRIPPED: u64 = 300;

/// Deploys an image whose containers exit; its digest.
fn deploy_crashing(world: &mut World, tag: &str) -> String {
    let digest = world.deploy(tag);
    world.inject(Fault::Crash { digest: digest.clone(), exit_code: 1, after_seconds: 0 });
    digest
}

fn threshold(desired: u64, configuration: &Value) -> Value {
    let mut world = world();
    let mut enabled = json!({"enable": true, "rollback": false});
    for (key, value) in configuration.as_object().unwrap() {
        enabled[key] = value.clone();
    }
    let configuration = json!({"deploymentCircuitBreaker": enabled});
    world.begin(&json!({"desiredCount": desired, "deploymentConfiguration": configuration}));
    world.advance(LISTED);
    world.newest()["deploymentCircuitBreaker"]["threshold"].clone()
}

#[test]
fn the_threshold_is_half_of_the_count_between_3_and_200_unless_set() {
    let kind = |kind: &str, value: u64| json!({"thresholdConfiguration": {"type": kind, "value": value}});
    assert_eq!([1, 25, 400].map(|desired| threshold(desired, &json!({}))), [json!(3), json!(13), json!(200)]);
    assert_eq!(threshold(100, &kind("BOUNDED_PERCENT", 10)), 10);
    assert_eq!(threshold(500, &kind("UNBOUNDED_PERCENT", 100)), 500);
    assert_eq!(threshold(2, &kind("UNBOUNDED_PERCENT", 50)), 1);
    assert_eq!(threshold(100, &kind("COUNT", 2)), 2);
}

#[test]
fn a_failed_deployment_rolls_back_to_the_last_one_that_completed() {
    let mut world = world_with_service(&breaker(true));
    let good = world.service()["deployments"][0]["id"].clone();
    let revision = world.newest()["targetServiceRevision"]["arn"].clone();
    deploy_crashing(&mut world, "bbbbbbb");
    world.advance(LISTED);
    let mut seen = Vec::new();
    for _ in 0..TRIPPED {
        world.advance(1);
        let status = world.statuses().remove(0);
        if seen.last() != Some(&status) {
            seen.push(status);
        }
    }
    assert_eq!(seen, ["IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]);
    let service = world.service();
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(service["deployments"][0]["id"], good, "taken up again under its id");
    let newest = world.newest();
    let reason = "Service deployment rolled back because the circuit breaker threshold was exceeded.";
    assert_eq!((&newest["statusReason"], &newest["rollback"]["reason"]), (&json!(reason), &json!(reason)));
    assert_eq!(newest["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    assert_eq!(newest["rollback"]["serviceRevisionArn"], revision, "no new revision is made");
    let events = world.events();
    assert!(events.contains("deployment failed: tasks failed to start."), "{events}");
    assert!(events.contains(&format!("rolling back to deployment {}.", good.as_str().unwrap())), "{events}");
}

/// A service of two tasks whose rollback from a crashing image has just begun.
fn rolling_back() -> World {
    let mut world = world_with_service(&breaker(true));
    deploy_crashing(&mut world, "bbbbbbb");
    while world.statuses()[0] != "ROLLBACK_IN_PROGRESS" {
        world.advance(1);
    }
    world
}

#[test]
fn what_is_rolled_back_goes_on_for_a_while_before_it_is_failed() {
    let mut world = rolling_back();
    let mut seen: Vec<Vec<(String, String)>> = Vec::new();
    for _ in 0..SETTLED {
        let service = world.service();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        let all = service["deployments"].as_array().unwrap().iter();
        let now: Vec<_> = all.map(|one| (text(one, "status"), text(one, "rolloutState"))).collect();
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        world.advance(1);
    }
    let state = |status: &str, rollout: &str| (status.to_owned(), rollout.to_owned());
    let going = state("PRIMARY", "IN_PROGRESS");
    let expected = [
        vec![going.clone(), state("ACTIVE", "IN_PROGRESS")],
        vec![going, state("ACTIVE", "FAILED")],
        vec![state("PRIMARY", "COMPLETED")],
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_is_said_of_a_failed_deployment_stays_true_after_it() {
    let mut world = rolling_back();
    let counts = |world: &mut World| {
        let newest = world.newest();
        let (breaker, target) = (&newest["deploymentCircuitBreaker"], &newest["targetServiceRevision"]);
        let counts = [&breaker["failureCount"], &breaker["threshold"], &target["runningTaskCount"]];
        (breaker["status"].clone(), counts.map(|count| count.as_u64().unwrap()))
    };
    let told = (json!("TRIGGERED"), [4, 3, 0]);
    assert_eq!(counts(&mut world), told, "the tasks of the good revision are not its own");
    world.advance(SETTLED);
    assert_eq!((counts(&mut world), world.statuses()[0].as_str()), (told.clone(), "ROLLBACK_SUCCESSFUL"));
    let task = world.tasks("RUNNING")[0]["taskArn"].as_str().unwrap().to_owned();
    assert!(world.exit_task(&task, 1));
    assert!(world.autoscale("mco", "api", 100));
    world.update(&json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": false, "rollback": false}}}));
    world.advance(SETTLED);
    assert_eq!(counts(&mut world), told);
}

#[test]
fn the_old_tasks_run_on_while_the_new_ones_fail() {
    let mut world = world_with_service(&breaker(true));
    deploy_crashing(&mut world, "bbbbbbb");
    for _ in 0..TRIPPED {
        world.advance(1);
        let tasks = world.tasks("RUNNING");
        let old = |task: &&Value| task["taskDefinitionArn"].as_str().unwrap().ends_with(":1");
        assert_eq!(tasks.iter().filter(old).filter(|task| task["lastStatus"] == "RUNNING").count(), 2);
    }
}

#[test]
fn without_rollback_it_is_failed_and_starts_nothing_more() {
    let mut world = world_with_service(&breaker(false));
    deploy_crashing(&mut world, "bbbbbbb");
    world.advance(TRIPPED);
    let service = world.service();
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert_eq!(
        service["deployments"][0]["rolloutStateReason"],
        "ECS deployment circuit breaker: tasks failed to start."
    );
    assert_eq!(world.statuses(), ["STOPPED", "SUCCESSFUL"]);
    assert_eq!(world.newest()["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    let stopped = world.tasks("STOPPED").len();
    world.advance(600);
    assert_eq!((world.tasks("STOPPED").len(), world.tasks("RUNNING").len()), (stopped, 2));
}

#[test]
fn a_first_deployment_that_fails_has_nothing_to_roll_back_to() {
    let mut world = world();
    let digest = world.push("bbbbbbb");
    world.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    world.register("bbbbbbb");
    world.begin(&breaker(true));
    world.advance(TRIPPED);
    assert_eq!(world.statuses(), ["ROLLBACK_FAILED"]);
    let newest = world.newest();
    assert_eq!(newest["statusReason"], "No rollback candidate was found to run the rollback.");
    assert_eq!((&newest["rollback"], &newest["stoppedAt"]), (&Value::Null, &Value::Null));
    assert_eq!(world.deployments(), [("PRIMARY".to_owned(), "FAILED".to_owned(), 0)]);
}

#[test]
fn what_is_just_being_rolled_back_to_is_no_candidate() {
    let mut world = rolling_back();
    deploy_crashing(&mut world, "ccccccc");
    world.advance(TRIPPED);
    assert_eq!(world.statuses(), ["ROLLBACK_FAILED", "ROLLBACK_FAILED", "SUCCESSFUL"]);
    assert_eq!(world.newest()["statusReason"], "No rollback candidate was found to run the rollback.");
    deploy_crashing(&mut world, "ddddddd");
    world.advance(TRIPPED);
    assert_eq!(world.statuses()[0], "ROLLBACK_FAILED", "nothing has completed since");
    world.deploy("eeeeeee");
    world.advance(SETTLED);
    deploy_crashing(&mut world, "fffffff");
    world.advance(TRIPPED);
    assert_eq!(world.statuses()[..2], ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]);
    deploy_crashing(&mut world, "0000000");
    world.advance(TRIPPED);
    assert_eq!(world.statuses()[0], "ROLLBACK_SUCCESSFUL", "what was rolled back to has completed again");
}

/// The seconds between the starts of the tasks that stopped in the last hour of four, of a service of one task.
fn pauses(fault: impl Fn(String) -> Fault) -> Vec<u64> {
    let mut world = world_with_service(&json!({"desiredCount": 1}));
    let digest = world.deploy("bbbbbbb");
    world.inject(fault(digest));
    world.advance(4 * 3600);
    assert_eq!(world.statuses(), ["IN_PROGRESS", "SUCCESSFUL"]);
    let mut starts: Vec<u64> =
        world.tasks("STOPPED").iter().map(|task| seconds(&task["createdAt"])).collect();
    starts.sort_unstable();
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn without_a_breaker_it_fails_for_ever_and_only_tasks_that_never_ran_at_growing_intervals() {
    let cannot_pull = pauses(|digest| Fault::CannotPull { digest });
    assert!(cannot_pull.len() <= 3 && cannot_pull.iter().all(|pause| *pause >= 900), "{cannot_pull:?}");
    let crash = pauses(|digest| Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    assert!(crash.len() > 200 && crash.iter().all(|pause| *pause == 13), "{crash:?}");
}

#[test]
fn a_crash_counts_only_before_the_task_was_healthy() {
    for (after_seconds, failed) in [(39, 2), (41, 0)] {
        let mut world = world_with_service(&json!({}));
        let digest = world.deploy("bbbbbbb");
        world.inject(Fault::Crash { digest, exit_code: 1, after_seconds });
        world.advance(1 + 12 + 41);
        assert_eq!(world.service()["deployments"][0]["failedTasks"], failed, "{after_seconds}");
        assert_eq!(
            world
                .tasks("STOPPED")
                .iter()
                .filter(|task| task["stopCode"] == "EssentialContainerExited")
                .count(),
            2
        );
    }
}

#[test]
fn one_healthy_task_sets_the_count_back_unless_told_not_to() {
    for (resets, expected) in [(true, 0), (false, 2)] {
        let configuration = json!({"deploymentCircuitBreaker":
            {"enable": true, "rollback": true, "resetOnHealthyTask": resets}});
        let mut world = world_with_service(&json!({"deploymentConfiguration": configuration}));
        deploy_crashing(&mut world, "bbbbbbb");
        world.advance(15);
        assert_eq!(world.service()["deployments"][0]["failedTasks"], 2);
        world.heal();
        world.advance(SETTLED);
        assert_eq!(world.service()["deployments"][0]["failedTasks"], expected);
        assert_eq!(world.statuses()[0], "SUCCESSFUL");
    }
}

#[test]
fn a_rollback_that_fails_too_is_a_failed_rollback() {
    let mut world = world_with_service(&json!({
        "deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 0,
            "deploymentCircuitBreaker": {"enable": true, "rollback": true}}}));
    let old = world.tasks("RUNNING")[0]["containers"][0]["imageDigest"].as_str().unwrap().to_owned();
    deploy_crashing(&mut world, "bbbbbbb");
    assert!(world.expire_image("mco/api", &old));
    world.advance(2 * TRIPPED);
    assert_eq!(world.statuses()[0], "ROLLBACK_FAILED");
    let stopped = world.tasks("STOPPED");
    assert!(stopped.iter().any(|task| task["stopCode"] == "TaskFailedToStart"));
}

#[test]
fn a_rollback_brings_back_the_settings_of_its_revision() {
    let balancer = json!([{"targetGroupArn": "tg", "containerName": "api", "containerPort": 8080}]);
    let mut world = world_with_service(&breaker(true));
    let digest = world.push("bbbbbbb");
    world.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    let arn = world.register("bbbbbbb");
    let updated = world.update(&json!({"taskDefinition": arn, "loadBalancers": balancer}));
    assert_eq!(updated["loadBalancers"], balancer);
    world.advance(TRIPPED);
    assert_eq!(world.statuses()[0], "ROLLBACK_SUCCESSFUL");
    assert_eq!(world.service()["loadBalancers"], json!([]));
}
