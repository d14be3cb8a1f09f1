//! Rolling deployments: what is started and stopped when, and what is told meanwhile.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::World;
use super::{LISTED, SETTLED, balanced, laid_over, seconds, world, world_with_service};

fn state(status: &str, rollout: &str, running: u64) -> (String, String, u64) {
    (status.to_owned(), rollout.to_owned(), running)
}

/// The fewest running tasks and the most that are to run, over a deployment of a service of four tasks.
fn bounds(configuration: &Value) -> (u64, usize) {
    let mut world = world_with_service(&json!({"desiredCount": 4, "deploymentConfiguration": configuration}));
    world.deploy("bbbbbbb");
    let (mut fewest, mut most) = (u64::MAX, 0);
    for _ in 0..3 * SETTLED {
        world.advance(1);
        fewest = fewest.min(world.service()["runningCount"].as_u64().unwrap());
        most = most.max(world.tasks("RUNNING").len());
    }
    assert_eq!(world.deployments(), [state("PRIMARY", "COMPLETED", 4)]);
    (fewest, most)
}

#[test]
fn a_deployment_takes_its_time_and_replaces_the_old_one() {
    let mut world = world_with_service(&json!({}));
    world.deploy("bbbbbbb");
    assert_eq!(world.deployments(), [state("PRIMARY", "IN_PROGRESS", 0), state("ACTIVE", "COMPLETED", 2)]);
    world.advance(LISTED);
    assert_eq!(world.statuses(), ["IN_PROGRESS", "SUCCESSFUL"]);
    let side_by_side = [state("PRIMARY", "IN_PROGRESS", 2), state("ACTIVE", "COMPLETED", 2)];
    world.advance(1 + 12 - LISTED);
    assert_eq!(world.deployments(), side_by_side);
    // Nothing checks these tasks: they count 40 seconds after they run.
    world.advance(39);
    assert_eq!(world.deployments(), side_by_side);
    world.advance(1);
    assert_eq!(world.deployments(), [state("PRIMARY", "IN_PROGRESS", 2), state("ACTIVE", "COMPLETED", 0)]);
    world.advance(SETTLED);
    assert_eq!(world.deployments(), [state("PRIMARY", "COMPLETED", 2)]);
    assert_eq!(world.statuses(), ["SUCCESSFUL", "SUCCESSFUL"]);
}

/// How many tasks the deployments ask for, and how many their revisions.
fn asked(world: &mut World) -> [Vec<Value>; 2] {
    let service = world.service();
    let of = |list: &str, count: &str| {
        let all = service[list].as_array().unwrap().iter();
        all.map(|one| one[count].clone()).collect::<Vec<Value>>()
    };
    [of("deployments", "desiredCount"), of("currentServiceRevisions", "requestedTaskCount")]
}

#[test]
fn a_new_deployment_asks_for_no_task_until_the_scheduler_has_come_to_it_and_an_old_one_for_less_and_less() {
    let mut world = world_with_service(&json!({"desiredCount": 3}));
    let both = |new: u64, old: u64| [vec![json!(new), json!(old)], vec![json!(new), json!(old)]];
    world.deploy("bbbbbbb");
    assert_eq!(world.service()["desiredCount"], 3, "that of the service is there at once");
    assert_eq!(asked(&mut world), both(0, 3));
    world.advance(1);
    assert_eq!(asked(&mut world), both(3, 3));
    world.advance(12 + 39);
    assert_eq!(asked(&mut world), both(3, 3));
    world.advance(1);
    assert_eq!(asked(&mut world), both(3, 0));
    let newest = world.newest();
    assert_eq!(newest["targetServiceRevision"]["requestedTaskCount"], 3);
    assert_eq!(newest["sourceServiceRevisions"][0]["requestedTaskCount"], 0);
}

#[test]
fn a_new_service_deployment_is_seen_a_moment_after_the_write_and_not_in_its_answer() {
    let mut world = world();
    let service =
        json!({"cluster": "mco", "serviceName": "api", "taskDefinition": "mco-api", "desiredCount": 2});
    let mut answers = vec![world.ecs_call("CreateService", &service)["service"].clone()];
    assert_eq!(world.statuses(), Vec::<String>::new());
    world.advance(SETTLED);
    let (first, before) = (world.newest(), world.service());
    assert_eq!(before["currentServiceDeployment"], first["serviceDeploymentArn"]);
    answers.push(world.update(&json!({"forceNewDeployment": true})));
    for _ in 0..LISTED {
        assert_eq!(
            (world.newest(), &world.service()["currentServiceDeployment"]),
            (first.clone(), &Value::Null)
        );
        world.advance(1);
    }
    let newest = world.newest();
    assert_ne!(newest["serviceDeploymentArn"], first["serviceDeploymentArn"]);
    assert_eq!(world.service()["currentServiceDeployment"], newest["serviceDeploymentArn"]);
    assert!(answers.iter().all(|answer| answer["currentServiceDeployment"].is_null()));
}

#[test]
fn running_tasks_stay_between_the_minimum_and_the_maximum_percent() {
    assert_eq!(bounds(&json!({})), (4, 8));
    assert_eq!(bounds(&json!({"maximumPercent": 150})), (4, 6));
    assert_eq!(bounds(&json!({"maximumPercent": 100, "minimumHealthyPercent": 50})), (2, 4));
    assert_eq!(bounds(&json!({"maximumPercent": 100, "minimumHealthyPercent": 0})), (0, 4));
    // The minimum rounds up, the maximum down.
    assert_eq!(bounds(&json!({"maximumPercent": 130, "minimumHealthyPercent": 60})), (3, 5));
}

#[test]
fn percentages_that_leave_no_room_hold_a_deployment_up_for_ever_and_say_so() {
    // 125 percent of three tasks are three: the example of the developer guide.
    let percent = json!({"desiredCount": 3, "deploymentConfiguration": {"maximumPercent": 125}});
    let mut world = world_with_service(&percent);
    world.deploy("bbbbbbb");
    world.advance(3600);
    assert_eq!(world.deployments(), [state("PRIMARY", "IN_PROGRESS", 0), state("ACTIVE", "COMPLETED", 3)]);
    let told = world.events().matches("because of the service deployment configuration").count();
    assert_eq!(told, 1);
}

#[test]
fn a_newer_deployment_stops_the_one_in_flight() {
    let mut world = world_with_service(&json!({}));
    world.deploy("bbbbbbb");
    world.advance(14);
    world.deploy("ccccccc");
    assert_eq!(world.statuses(), ["STOP_REQUESTED", "SUCCESSFUL"]);
    world.advance(LISTED);
    assert_eq!(world.statuses(), ["IN_PROGRESS", "STOPPED", "SUCCESSFUL"]);
    world.advance(SETTLED);
    assert_eq!(world.statuses(), ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]);
    assert!(world.service()["taskDefinition"].as_str().unwrap().ends_with(":3"));
}

#[test]
fn a_sixth_deployment_at_once_is_refused() {
    let mut world = world_with_service(&json!({}));
    for tag in ["b", "c", "d", "e"] {
        world.deploy(tag);
    }
    world.push("f");
    let arn = world.register("f");
    let update = json!({"cluster": "mco", "service": "api", "taskDefinition": arn});
    assert!(world.why_refused("UpdateService", &update).starts_with("5 active deployments exist"));
}

#[test]
fn all_tasks_of_a_deployment_run_the_digest_that_the_first_resolved() {
    let mut world = world();
    let manifest = |about: &str| json!({"schemaVersion": 2, "about": about}).to_string();
    let tag = |world: &mut World, about: &str| {
        let put = json!({"repositoryName": "mco/api", "imageManifest": manifest(about), "imageTag": "test"});
        world.ecr_call("PutImage", &put)["image"]["imageId"]["imageDigest"].clone()
    };
    let first = tag(&mut world, "one");
    world.register("test");
    world.begin(&json!({}));
    world.advance(SETTLED);
    let second = tag(&mut world, "two");
    world.update(&json!({"desiredCount": 3}));
    world.advance(SETTLED);
    let digests = |world: &mut World| -> Vec<Value> {
        let tasks = world.tasks("RUNNING");
        tasks.iter().map(|task| task["containers"][0]["imageDigest"].clone()).collect()
    };
    assert_eq!(digests(&mut world), [first.clone(), first.clone(), first.clone()]);
    let target = world.newest()["targetServiceRevision"]["arn"].clone();
    let revisions = world.ecs_call("DescribeServiceRevisions", &json!({"serviceRevisionArns": [target]}));
    assert_eq!(revisions["serviceRevisions"][0]["containerImages"][0]["imageDigest"], first);
    world.update(&json!({"forceNewDeployment": true}));
    world.advance(SETTLED);
    assert_eq!(digests(&mut world), [second.clone(), second.clone(), second]);
}

#[test]
fn each_task_of_a_task_set_resolves_the_digest_anew() {
    let mut world =
        world_with_service(&laid_over(balanced(), &json!({"deploymentController": {"type": "CODE_DEPLOY"}})));
    let manifest = json!({"schemaVersion": 2, "about": "another"}).to_string();
    let put = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": "aaaaaaa"});
    world.ecr_call("PutImage", &put);
    world.update(&json!({"desiredCount": 3}));
    world.advance(SETTLED);
    let digests: BTreeSet<String> =
        world.tasks("RUNNING").iter().map(|task| task["containers"][0]["imageDigest"].to_string()).collect();
    assert_eq!(digests.len(), 2);
}

#[test]
fn a_service_without_tasks_completes_at_once_and_resolves_nothing() {
    let mut world = world();
    world.begin(&json!({"desiredCount": 0}));
    world.advance(LISTED);
    assert_eq!(world.deployments(), [state("PRIMARY", "COMPLETED", 0)]);
    let target = world.newest()["targetServiceRevision"]["arn"].clone();
    let revisions = world.ecs_call("DescribeServiceRevisions", &json!({"serviceRevisionArns": [target]}));
    assert_eq!(revisions["serviceRevisions"][0]["containerImages"][0]["imageDigest"], Value::Null);
}

#[test]
fn events_tell_of_the_deployment_newest_first() {
    let mut world = world_with_service(&json!({}));
    let events = world.events();
    let lines: Vec<&str> = events.lines().collect();
    assert_eq!(lines[0], "(service api) has reached a steady state.");
    assert!(
        lines[1].starts_with("(service api) (deployment ecs-svc/")
            && lines[1].ends_with("deployment completed.")
    );
    assert!(lines[2].starts_with("(service api) has started 2 tasks: (task "));
    assert_eq!(lines.len(), 3);
}

#[test]
fn events_tell_of_targets_and_a_stop_waits_until_they_are_drained() {
    let mut world = world_with_service(&balanced());
    let old = world.service()["deployments"][0]["id"].as_str().unwrap().to_owned();
    world.update(&json!({"forceNewDeployment": true}));
    // Healthy targets 10 s after they run; then the old ones have to go.
    world.advance(1 + 12 + 10 + 30);
    assert_eq!(world.tasks("STOPPED")[0]["lastStatus"], "DEACTIVATING");
    world.advance(4);
    assert_eq!(world.tasks("STOPPED")[0]["lastStatus"], "STOPPED");
    world.advance(SETTLED);
    let events = world.events();
    let told = [
        "(service api) has reached a steady state.".to_owned(),
        "deployment completed.".to_owned(),
        format!("(service api, taskSet {old}) has begun draining connections on 2 tasks."),
        "(service api) deregistered 2 targets in (target-group tg)".to_owned(),
        "(service api) has stopped 2 running tasks: ".to_owned(),
        "(service api) registered 2 targets in (target-group tg)".to_owned(),
        "(service api) has started 2 tasks: ".to_owned(),
    ];
    let mut lines = events.lines();
    for part in told {
        let line = lines.next().unwrap();
        assert!(line.contains(&part), "{part}: {line}");
    }
}

#[test]
fn the_counts_of_an_ended_deployment_stay_those_of_its_end() {
    let mut world = world_with_service(&json!({}));
    let first = world.newest()["serviceDeploymentArn"].clone();
    world.deploy("bbbbbbb");
    world.update(&json!({"desiredCount": 5}));
    world.advance(SETTLED);
    let described = world.ecs_call("DescribeServiceDeployments", &json!({"serviceDeploymentArns": [first]}));
    let target = &described["serviceDeployments"][0]["targetServiceRevision"];
    assert_eq!((&target["requestedTaskCount"], &target["runningTaskCount"]), (&json!(2), &json!(2)));
}

#[test]
fn service_deployments_are_kept_for_ninety_days() {
    let mut world = world_with_service(&json!({}));
    let first = world.newest()["serviceDeploymentArn"].clone();
    world.advance(50 * 24 * 3600);
    world.deploy("bbbbbbb");
    world.advance(39 * 24 * 3600);
    assert_eq!(world.statuses().len(), 2);
    world.advance(2 * 24 * 3600);
    assert_eq!(world.statuses().len(), 1);
    let described = world.ecs_call("DescribeServiceDeployments", &json!({"serviceDeploymentArns": [first]}));
    assert_eq!(described["failures"][0]["reason"], "MISSING");
}

#[test]
fn a_seed_varies_the_start_of_tasks_and_always_in_the_same_way() {
    let starts = |seed: u64| {
        let mut world = world().seeded(seed);
        world.begin(&json!({"desiredCount": 20}));
        world.advance(SETTLED);
        let mut starts: Vec<u64> =
            world.tasks("RUNNING").iter().map(|task| seconds(&task["startedAt"])).collect();
        starts.dedup();
        starts
    };
    assert_eq!(starts(0).len(), 1);
    assert!(starts(7).len() > 1);
    assert_eq!(starts(7), starts(7));
    assert_ne!(starts(7), starts(8));
}
