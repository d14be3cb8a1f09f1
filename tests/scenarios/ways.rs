//! Every way in and out of a rolling deployment, told as a script and counted in service deployments.

use std::collections::BTreeMap;

use serde_json::json;
use trueup::controller::SweepResult;
use trueup::model::{Digest, Health, RepositoryName, Sync, Tag};
use trueup::notify::transition;
use trueup::ports::Place;
use trueup_simulator::{Api, Fault};

use crate::stage::{Breaker, Running, SERVICE, Stage, said};

const API: &str = "  repository: mco/api\n  service: mco-api-{environment}\n";

/// What a script ends with: the reason for doing nothing, service deployments, revisions, and the commit that runs
/// and is tagged.
#[track_caller]
fn check(stage: &Stage, said: &str, expected: (&str, usize, usize, &str)) {
    assert_eq!((said, stage.revisions()), (expected.0, expected.2));
    stage.check_deployments(expected.1);
    stage.check_runs(SERVICE, expected.3);
    assert_eq!(stage.digest("test"), stage.digest(expected.3), "the environment tag");
}

/// Lets a new process look for so many seconds; why it rests then.
async fn let_run(stage: &Stage, seconds: u64) -> String {
    said(&stage.process(BTreeMap::new()).run(stage, seconds).await)
}

fn crash(stage: &Stage, commit: &str) {
    let digest = stage.digest(commit).unwrap();
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
}

/// The events that are told while a process looks for so many seconds.
async fn told(running: &mut Running, stage: &Stage, seconds: u64) -> Vec<&'static str> {
    let (mut before, mut events) = (None, Vec::new());
    let see = |swept: &[SweepResult]| {
        let status = &swept[0].plan.status;
        let (alerts, told) = transition::of_target(before.as_ref(), status, status.checked_at);
        events.extend(alerts.iter().map(|alert| alert.event.name()));
        before = Some(told);
    };
    running.watch(stage, seconds, see).await;
    events
}

/// Commit bbbbbbb is declared, built and deployed.
async fn promoted() -> Stage {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let said = let_run(&stage, 200).await;
    check(&stage, &said, ("Settled", 2, 2, "bbbbbbb"));
    stage
}

#[tokio::test]
async fn a_new_commit_is_deployed_once_and_tagged_after_it_succeeded() {
    promoted().await;
}

/// AWS's list shows a deployment later than the service does, under another name.
#[tokio::test]
async fn each_deployment_is_told_once_at_its_start_and_at_its_end() {
    let mut stage = Stage::new(Breaker::On);
    let mut running = stage.process(BTreeMap::new());
    running.pass(&stage).await;
    for (commit, end) in [("bbbbbbb", "deployment.succeeded"), ("ccccccc", "deployment.rolled_back")] {
        stage.build(commit);
        if commit == "ccccccc" {
            crash(&stage, commit);
        }
        stage.declare(commit);
        let events = told(&mut running, &stage, 300).await;
        assert_eq!(events[..2], ["deployment.started", end], "{commit}");
        assert!(events[2..].iter().all(|event| *event == "commit.held"), "{events:?}");
    }
}

#[tokio::test]
async fn a_commit_that_crashes_is_rolled_back_by_the_breaker_and_held() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    crash(&stage, "bbbbbbb");
    stage.declare("bbbbbbb");
    let said = let_run(&stage, 300).await;
    check(&stage, &said, ("Held", 2, 2, "aaaaaaa"));
    let said = let_run(&stage, 300).await;
    check(&stage, &said, ("Held", 2, 2, "aaaaaaa"));
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_rolled_back_and_said_as_the_cause() {
    let mut stage = Stage::new(Breaker::On);
    let digest = stage.build("bbbbbbb");
    stage.inject(Fault::CannotPull { digest });
    stage.declare("bbbbbbb");
    let last = stage.process(BTreeMap::new()).run(&stage, 300).await;
    check(&stage, &said(&last), ("Held", 2, 2, "aaaaaaa"));
    let causes = last.plan.status.causes;
    assert!(causes[0].to_string().starts_with("4 x container api: CannotPullContainerError: "), "{causes:?}");
}

#[tokio::test]
async fn a_failure_is_remembered_when_aws_has_forgotten_the_deployment() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    crash(&stage, "bbbbbbb");
    stage.declare("bbbbbbb");
    let_run(&stage, 300).await;
    // More deployments by other hands than one look reads: the failed one is out of sight.
    for _ in 0..25 {
        stage.update(&json!({"forceNewDeployment": true}));
        stage.advance(60);
    }
    let before = stage.deployments();
    let said = let_run(&stage, 200).await;
    check(&stage, &said, ("Held", before, 2, "aaaaaaa"));
}

#[tokio::test]
async fn without_a_breaker_the_deadline_ends_it_and_trueup_rolls_back() {
    for leave in [false, true] {
        let mut stage = Stage::new(Breaker::Off);
        stage.build("bbbbbbb");
        crash(&stage, "bbbbbbb");
        let on_failure = if leave { "leave" } else { "rollback" };
        stage.environment = format!("  policy: {{progressDeadline: 2m, onFailure: {on_failure}}}\n");
        stage.declare("bbbbbbb");
        let said = let_run(&stage, 400).await;
        let expected = if leave { ("Held", 2, 2, "aaaaaaa") } else { ("Held", 3, 2, "aaaaaaa") };
        check(&stage, &said, expected);
    }
}

#[tokio::test]
async fn a_deployment_that_has_no_room_for_a_task_is_ended_by_the_deadline() {
    let mut stage = Stage::new(Breaker::Off);
    // 125 percent of three tasks are three, and none of them may go.
    stage.update(&json!({"desiredCount": 3, "deploymentConfiguration": {"maximumPercent": 125}}));
    stage.advance(60);
    stage.build("bbbbbbb");
    stage.environment = "  policy: {progressDeadline: 2m}\n".to_owned();
    stage.declare("bbbbbbb");
    let said = let_run(&stage, 400).await;
    check(&stage, &said, ("Held", 3, 2, "aaaaaaa"));
}

#[tokio::test]
async fn an_image_that_is_not_built_or_goes_away_is_waited_for() {
    let mut stage = Stage::new(Breaker::On);
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    assert_eq!(said(&running.run(&stage, 60).await), "ImageNotBuilt");
    stage.build("bbbbbbb");
    let said = said(&running.run(&stage, 200).await);
    check(&stage, &said, ("Settled", 2, 2, "bbbbbbb"));
    stage.declare("ccccccc");
    stage.build("ccccccc");
    let ids = json!([{"imageTag": "ccccccc"}]);
    stage.call(Api::Ecr, "BatchDeleteImage", &json!({"repositoryName": "mco/api", "imageIds": ids}));
    let said = let_run(&stage, 60).await;
    check(&stage, &said, ("ImageNotBuilt", 2, 2, "bbbbbbb"));
}

#[tokio::test]
async fn a_newer_commit_supersedes_the_one_in_flight_which_is_not_held() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.build("ccccccc");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 20).await;
    stage.declare("ccccccc");
    let now = said(&running.run(&stage, 260).await);
    check(&stage, &now, ("Settled", 3, 3, "ccccccc"));
    stage.declare("bbbbbbb");
    let now = said(&running.run(&stage, 260).await);
    check(&stage, &now, ("Settled", 4, 3, "bbbbbbb"));
}

#[tokio::test]
async fn a_burst_of_commits_ends_with_the_newest_and_lets_one_finish_on_the_way() {
    let mut stage = Stage::new(Breaker::On);
    let commits: Vec<String> = (0..12).map(|number| format!("{number:x}0000000")).collect();
    for commit in &commits {
        stage.build(commit);
    }
    let mut running = stage.process(BTreeMap::new());
    for commit in &commits {
        stage.declare(commit);
        running.run(&stage, 10).await;
    }
    let said = said(&running.run(&stage, 360).await);
    assert_eq!(said, "Settled");
    assert_eq!(stage.digest("test"), stage.digest("b0000000"));
    let list = json!({"cluster": "mco", "service": "mco-api-test"});
    let deployments = stage.call(Api::Ecs, "ListServiceDeployments", &list)["serviceDeployments"].clone();
    let statuses: Vec<&str> =
        deployments.as_array().unwrap().iter().rev().map(|one| one["status"].as_str().unwrap()).collect();
    let (good, replaced) = ("SUCCESSFUL", "STOPPED");
    assert_eq!(statuses, [good, replaced, replaced, replaced, good, replaced, replaced, good]);
}

#[tokio::test]
async fn a_deployment_of_equal_content_by_another_hand_is_adopted() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    let theirs = stage.register("bbbbbbb");
    stage.update(&json!({"taskDefinition": theirs}));
    stage.declare("bbbbbbb");
    let now = let_run(&stage, 200).await;
    assert_eq!((now.as_str(), stage.revisions()), ("Settled", 2));
    stage.check_deployments(2);
    // The tag is theirs to move until trueup has deployed something here, or heals.
    assert_eq!(stage.digest("test"), stage.digest("aaaaaaa"));
    stage.environment = "  policy: {drift: heal}\n".to_owned();
    stage.declare("bbbbbbb");
    let now = let_run(&stage, 200).await;
    check(&stage, &now, ("Settled", 2, 2, "bbbbbbb"));
}

#[tokio::test]
async fn a_change_by_another_hand_is_reported_ignored_or_healed() {
    for (drift, expected) in [("alert", "Drifted"), ("ignore", "Drifted"), ("heal", "Settled")] {
        let mut stage = promoted().await;
        stage.environment = format!("  policy: {{drift: {drift}}}\n");
        stage.declare("bbbbbbb");
        let_run(&stage, 60).await;
        stage.build("ccccccc");
        let theirs = stage.register("ccccccc");
        stage.update(&json!({"taskDefinition": theirs}));
        let mut running = stage.process(BTreeMap::new());
        let following = running.run(&stage, 6).await;
        assert_eq!(
            said(&following),
            "Deploying",
            "{drift}: what another hand started is followed to its end"
        );
        let last = running.run(&stage, 300).await;
        assert_eq!(said(&last), expected, "{drift}");
        let healed = drift == "heal";
        stage.check_deployments(if healed { 4 } else { 3 });
        let runs = if healed { "bbbbbbb" } else { "ccccccc" };
        stage.check_runs(SERVICE, runs);
        let status = &last.plan.status;
        assert_eq!(status.sync, if healed { Sync::Synced } else { Sync::OutOfSync }, "{drift}");
    }
}

#[tokio::test]
async fn a_rollback_in_the_console_follows_the_drift_policy() {
    for (drift, expected) in [
        ("alert", ("Drifted", 3, 2, "bbbbbbb")),
        ("ignore", ("Drifted", 3, 2, "bbbbbbb")),
        ("heal", ("Settled", 4, 2, "bbbbbbb")),
    ] {
        let mut stage = promoted().await;
        stage.environment = format!("  policy: {{drift: {drift}}}\n");
        stage.declare("bbbbbbb");
        stage.update(&json!({"taskDefinition": "mco-api:1"}));
        let said = let_run(&stage, 360).await;
        assert_eq!(said, expected.0, "{drift}");
        stage.check_deployments(expected.1);
        assert_eq!(
            stage.digest("test"),
            stage.digest(expected.3),
            "{drift}: the tag is what trueup last saw succeed"
        );
    }
}

#[tokio::test]
async fn git_reverted_goes_back_to_the_older_content() {
    let mut stage = promoted().await;
    stage.declare("aaaaaaa");
    let said = let_run(&stage, 260).await;
    check(&stage, &said, ("Settled", 3, 3, "aaaaaaa"));
    stage.declare("bbbbbbb");
    let said = let_run(&stage, 260).await;
    check(&stage, &said, ("Settled", 4, 3, "bbbbbbb"));
    stage.declare("aaaaaaa");
    let said = let_run(&stage, 260).await;
    check(&stage, &said, ("Settled", 5, 3, "aaaaaaa"));
}

#[tokio::test]
async fn a_bad_commit_reverted_in_git_needs_no_deployment_and_stays_held_when_it_comes_back() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    crash(&stage, "bbbbbbb");
    stage.declare("bbbbbbb");
    let_run(&stage, 300).await;
    stage.declare("aaaaaaa");
    let said = let_run(&stage, 100).await;
    check(&stage, &said, ("Settled", 2, 2, "aaaaaaa"));
    stage.declare("bbbbbbb");
    let said = let_run(&stage, 100).await;
    check(&stage, &said, ("Held", 2, 2, "aaaaaaa"));
}

#[tokio::test]
async fn first_contact_with_foreign_services_disturbs_nothing() {
    let mut stage = Stage::new(Breaker::On);
    let before = stage.writes();
    for number in 0..30 {
        // Every second one is scaled to zero, and was from the beginning.
        let service = json!({"cluster": "mco", "serviceName": format!("fleet-{number}"), "taskDefinition": "mco-api:1", "desiredCount": number % 2});
        stage.call(Api::Ecs, "CreateService", &service);
    }
    stage.advance(60);
    let specifications: Vec<(String, String)> = (0..30)
        .map(|number| {
            (format!("fleet{number}"), format!("  repository: mco/api\n  service: fleet-{number}\n"))
        })
        .collect();
    let applications: Vec<(&str, &str, &str)> =
        specifications.iter().map(|(name, text)| (name.as_str(), "aaaaaaa", text.as_str())).collect();
    stage.write(&applications);
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 60).await;
    for one in running.pass(&stage).await {
        let status = one.plan.status;
        let health = if status.desired_count == 0 { Health::Suspended } else { Health::Healthy };
        assert_eq!((status.sync, status.health), (Sync::Synced, health), "{}", status.target);
    }
    assert_eq!(stage.writes(), before);
}

#[tokio::test]
async fn a_cloned_revision_with_our_tags_and_another_image_is_foreign() {
    let stage = promoted().await;
    stage.build("ccccccc");
    let ours = stage.call(
        Api::Ecs,
        "DescribeTaskDefinition",
        &json!({"taskDefinition": "mco-api:2", "include": ["TAGS"]}),
    );
    let image = format!("{}/mco/api:ccccccc", crate::stage::REGISTRY);
    let clone = json!({"family": "mco-api", "containerDefinitions": [{"name": "api", "image": image, "memory": 512}], "tags": ours["tags"]});
    stage.call(Api::Ecs, "RegisterTaskDefinition", &clone);
    stage.update(&json!({"taskDefinition": "mco-api:3"}));
    let said = let_run(&stage, 260).await;
    assert_eq!(said, "Drifted");
    stage.check_deployments(3);
}

#[tokio::test]
async fn a_service_of_no_tasks_is_deployed_unproven_and_its_tag_stays() {
    let mut stage = Stage::new(Breaker::On);
    stage.update(&json!({"desiredCount": 0}));
    stage.advance(60);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    let last = running.run(&stage, 200).await;
    let status = last.plan.status.clone();
    assert_eq!(
        (said(&last).as_str(), status.health, status.running.len()),
        ("Settled", Health::Suspended, 0)
    );
    assert_eq!(stage.digest("test"), stage.digest("aaaaaaa"));
    stage.update(&json!({"desiredCount": 2}));
    let said = said(&running.run(&stage, 700).await);
    check(&stage, &said, ("Settled", 2, 2, "bbbbbbb"));
}

#[tokio::test]
async fn a_tag_shared_by_two_applications_moves_when_both_have_succeeded() {
    let mut stage = Stage::new(Breaker::On);
    let second = json!({"cluster": "mco", "serviceName": "mco-worker-test", "taskDefinition": "mco-api:1", "desiredCount": 1});
    stage.call(Api::Ecs, "CreateService", &second);
    stage.advance(60);
    stage.build("bbbbbbb");
    let worker = "  repository: mco/api\n  service: mco-worker-{environment}\n";
    stage.write(&[("api", "bbbbbbb", API), ("worker", "aaaaaaa", worker)]);
    let mut running = stage.process(BTreeMap::new());
    let api = running.run(&stage, 260).await;
    assert_eq!(said(&api), "TagShared");
    assert_eq!(stage.digest("test"), stage.digest("aaaaaaa"));
    stage.write(&[("api", "bbbbbbb", API), ("worker", "bbbbbbb", worker)]);
    running.run(&stage, 260).await;
    assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"));
}

#[tokio::test]
async fn a_rewound_branch_writes_nothing_until_it_moves_on() {
    let mut stage = promoted().await;
    let before = stage.writes();
    stage.build("ccccccc");
    let head = stage.declaration.clone();
    stage.declare("ccccccc");
    stage.rewind();
    let said = let_run(&stage, 60).await;
    assert_eq!(
        (said.as_str(), stage.writes()),
        ("SourceBehind", before + 1),
        "one image was pushed by the test"
    );
    stage.declaration = head;
    let said = let_run(&stage, 60).await;
    check(&stage, &said, ("Settled", 2, 2, "bbbbbbb"));
}

#[tokio::test]
async fn a_digest_pinned_or_autoscaled_service_is_left_as_it_is() {
    let stage = promoted().await;
    let before = stage.writes();
    stage.update(&json!({"desiredCount": 5}));
    let said = let_run(&stage, 200).await;
    check(&stage, &said, ("Settled", 2, 2, "bbbbbbb"));
    assert_eq!((stage.writes(), stage.running().len()), (before + 1, 5), "the only write was the test's");
}

#[tokio::test]
async fn an_inactive_last_good_revision_is_registered_again_for_the_rollback() {
    let mut stage = Stage::new(Breaker::Off);
    stage.build("bbbbbbb");
    crash(&stage, "bbbbbbb");
    stage.environment = "  policy: {progressDeadline: 2m}\n".to_owned();
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 40).await;
    stage.call(Api::Ecs, "DeregisterTaskDefinition", &json!({"taskDefinition": "mco-api:1"}));
    let said = said(&running.run(&stage, 400).await);
    // Revisions 2 (failed) and 3 (the good content again) are ACTIVE.
    check(&stage, &said, ("Held", 3, 2, "aaaaaaa"));
}

#[tokio::test]
async fn a_failed_commit_is_tried_once_more_after_retry_and_may_then_succeed() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    crash(&stage, "bbbbbbb");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    let last = running.run(&stage, 300).await;
    let retry = last.plan.retry.unwrap();
    stage.heal();
    // By another process, as `trueup retry` does.
    stage.process(BTreeMap::new()).controller.write_one(&stage.declaration, "test/api", retry).await.unwrap();
    let said = said(&running.run(&stage, 300).await);
    check(&stage, &said, ("Settled", 3, 2, "bbbbbbb"));
}

#[tokio::test]
async fn a_first_deployment_that_failed_is_held_until_another_commit_is_declared() {
    let mut stage = Stage::broken();
    let mut running = stage.process(BTreeMap::new());
    let last = running.run(&stage, 60).await;
    assert_eq!((said(&last).as_str(), stage.deployments()), ("RollbackFailed", 1));
    assert_eq!(last.plan.status.health, Health::Degraded);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let said = said(&running.run(&stage, 260).await);
    check(&stage, &said, ("Settled", 2, 2, "bbbbbbb"));
}

/// The revision of another hand that `CreateService` brought, and one of trueup's own.
#[tokio::test]
async fn where_nothing_could_be_rolled_back_to_a_retry_tries_once_more() {
    for (commit, deployments) in [("aaaaaaa", 1), ("bbbbbbb", 2)] {
        let mut stage = Stage::broken();
        if commit == "bbbbbbb" {
            stage.build("bbbbbbb");
            crash(&stage, "bbbbbbb");
            stage.declare("bbbbbbb");
        }
        let mut running = stage.process(BTreeMap::new());
        let last = running.run(&stage, 300).await;
        assert_eq!((said(&last).as_str(), stage.deployments()), ("RollbackFailed", deployments), "{commit}");
        stage.heal();
        let retry = last.plan.retry.unwrap();
        let mut by_hand = stage.process(BTreeMap::new()).controller;
        by_hand.write_one(&stage.declaration, "test/api", retry).await.unwrap();
        let said = said(&running.run(&stage, 300).await);
        check(&stage, &said, ("Settled", deployments + 1, deployments, commit));
    }
}

#[tokio::test]
async fn a_fix_that_fails_during_a_rollback_leaves_the_way_open_for_the_next_commit() {
    let mut stage = Stage::new(Breaker::On);
    for commit in ["bbbbbbb", "ccccccc"] {
        stage.build(commit);
        crash(&stage, commit);
    }
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    running.until(&stage, |stage, swept| said(swept) == "Deploying" && is_rolling_back(stage)).await;
    // Somebody cannot wait for the rollback to end.
    let theirs = stage.register("ccccccc");
    stage.update(&json!({"taskDefinition": theirs}));
    let last = running.run(&stage, 300).await;
    assert_eq!((said(&last).as_str(), stage.deployments()), ("RollbackFailed", 3));
    let waiting = last.plan.waiting.unwrap();
    assert!(
        trueup::plan::waiting::describe(&waiting)
            .ends_with("No rollback candidate was found to run the rollback.")
    );
    stage.build("ddddddd");
    stage.declare("ddddddd");
    let said = said(&running.run(&stage, 300).await);
    check(&stage, &said, ("Settled", 4, 4, "ddddddd"));
}

fn is_rolling_back(stage: &Stage) -> bool {
    let list = json!({"cluster": "mco", "service": "mco-api-test"});
    let listed = stage.call(Api::Ecs, "ListServiceDeployments", &list);
    listed["serviceDeployments"][0]["status"] == "ROLLBACK_IN_PROGRESS"
}

#[tokio::test]
async fn an_alarm_rolls_back_and_the_commit_is_held() {
    let mut stage = Stage::new(Breaker::Off);
    let alarms = json!({"alarms": {"alarmNames": ["errors"], "enable": true, "rollback": true}});
    stage.update(&json!({"deploymentConfiguration": alarms}));
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 20).await;
    stage.set_alarm("errors", true);
    let said = said(&running.run(&stage, 400).await);
    check(&stage, &said, ("Held", 2, 2, "aaaaaaa"));
}

#[tokio::test]
async fn two_applications_that_share_a_family_keep_apart() {
    let mut stage = Stage::new(Breaker::On);
    let second = json!({"cluster": "mco", "serviceName": "mco-worker-test", "taskDefinition": "mco-api:1", "desiredCount": 1});
    stage.call(Api::Ecs, "CreateService", &second);
    stage.advance(60);
    for commit in ["bbbbbbb", "ccccccc"] {
        stage.build(commit);
    }
    // Both services are of the family mco-api; their revisions must not be taken for each other's.
    let worker = "  repository: mco/api\n  service: mco-worker-{environment}\n  environmentTag: worker\n";
    stage.write(&[("api", "aaaaaaa", API), ("worker", "aaaaaaa", worker)]);
    let mut running = stage.process(BTreeMap::new());
    for (api, other) in [("bbbbbbb", "ccccccc"), ("ccccccc", "bbbbbbb")] {
        stage.write(&[("api", api, API), ("worker", other, worker)]);
        running.run(&stage, 260).await;
        assert_eq!((stage.digest("test"), stage.digest("worker")), (stage.digest(api), stage.digest(other)));
    }
    assert_eq!(stage.revisions(), 5, "two revisions each, beside the first");
    stage.check_deployments(3);
}

#[tokio::test]
async fn settings_that_say_what_aws_fills_in_change_nothing() {
    let mut stage = Stage::new(Breaker::On);
    let before = stage.writes();
    let settings = "{availabilityZoneRebalancing: ENABLED, capacityProviderStrategy: [], enableECSManagedTags: false, \
        enableExecuteCommand: false, healthCheckGracePeriodSeconds: 0, placementStrategy: [], propagateTags: NONE, \
        deploymentConfiguration: {alarms: {alarmNames: [], enable: false, rollback: false}, bakeTimeInMinutes: 0, \
        deploymentCircuitBreaker: {enable: true, rollback: true}, maximumPercent: 200, strategy: ROLLING}}";
    stage.write(&[("api", "aaaaaaa", &format!("{API}  serviceSettings: {settings}\n"))]);
    let said = let_run(&stage, 60).await;
    assert_eq!((said.as_str(), stage.writes()), ("Settled", before));
}

#[tokio::test]
async fn another_capacity_provider_strategy_is_deployed_with_force_and_then_rests() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    for (weight, deployments) in [(1, 2), (2, 3)] {
        let strategy = format!("[{{capacityProvider: FARGATE_SPOT, weight: {weight}}}]");
        let settings = format!("{API}  serviceSettings: {{capacityProviderStrategy: {strategy}}}\n");
        stage.write(&[("api", "bbbbbbb", &settings)]);
        let now = said(&running.run(&stage, 300).await);
        check(&stage, &now, ("Settled", deployments, 2, "bbbbbbb"));
    }
}

#[tokio::test]
async fn service_settings_go_with_the_deployment_and_follow_the_drift_policy() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    let percent = |percent: u64| {
        format!("{API}  serviceSettings: {{deploymentConfiguration: {{maximumPercent: {percent}}}}}\n")
    };
    let live = |stage: &Stage| {
        let input = json!({"cluster": "mco", "services": ["mco-api-test"]});
        let services = stage.call(Api::Ecs, "DescribeServices", &input);
        services["services"][0]["deploymentConfiguration"]["maximumPercent"].as_u64().unwrap()
    };
    stage.write(&[("api", "bbbbbbb", &percent(150))]);
    let mut running = stage.process(BTreeMap::new());
    let now = said(&running.run(&stage, 260).await);
    check(&stage, &now, ("Settled", 2, 2, "bbbbbbb"));
    assert_eq!(live(&stage), 150, "sent in the one call that deployed");
    stage.write(&[("api", "bbbbbbb", &percent(175))]);
    let now = said(&running.run(&stage, 100).await);
    assert_eq!((now.as_str(), live(&stage)), ("Settled", 175));
    let by_hand = json!({"deploymentConfiguration": {"maximumPercent": 200}});
    stage.update(&by_hand);
    assert_eq!(said(&running.run(&stage, 100).await), "Drifted");
    assert_eq!(live(&stage), 200);
    stage.environment = "  policy: {drift: heal}\n".to_owned();
    stage.write(&[("api", "bbbbbbb", &percent(175))]);
    let now = said(&running.run(&stage, 100).await);
    assert_eq!((now.as_str(), live(&stage)), ("Settled", 175));
    assert_eq!(stage.revisions(), 2);
    // No setting of this kind starts a deployment.
    stage.check_deployments(2);
}

#[tokio::test]
async fn a_tag_that_is_there_already_is_moved_whatever_ecr_calls_it() {
    let stage = Stage::new(Breaker::On);
    let other = Digest::new(stage.build("bbbbbbb"));
    let there = Digest::new(stage.digest("test").unwrap());
    let immutable = json!({"repositoryName": "mco/api", "imageTagMutability": "IMMUTABLE"});
    stage.call(Api::Ecr, "PutImageTagMutability", &immutable);
    let (name, tag) = (RepositoryName::new(stage.account.own("mco/api")), Tag::new("test"));
    for fault in [None, Some(Fault::TagExists)] {
        if let Some(fault) = fault {
            stage.inject(fault);
        }
        for reach in stage.reaches() {
            let ecr = reach.ports(&Place::default()).ecr;
            ecr.move_tag(None, &name, &there, &tag).await.unwrap();
            ecr.move_tag(None, &name, &other, &tag).await.unwrap_err();
        }
    }
}
