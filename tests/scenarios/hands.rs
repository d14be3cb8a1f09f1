//! Whose deployment it is, and what follows from that: what another hand starts is followed and never stopped, also to a
//! revision that trueup registered; what trueup started too late is put right.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::SweepResult;
use trueup::model::{PastDeployment, StartedBy};
use trueup_simulator::Api;

use crate::account::Need;
use crate::stage::{Breaker, SERVICE, Stage, said};

async fn let_run(stage: &Stage, seconds: u64) -> String {
    said(&stage.process(BTreeMap::new()).run(stage, seconds).await)
}

fn started_by(swept: &SweepResult) -> StartedBy {
    swept.plan.status.last_deployment.as_ref().unwrap().started_by
}

/// Commits bbbbbbb and ccccccc were promoted one after the other, as revisions 2 and 3.
async fn promoted_twice(mut stage: Stage, seconds: u64) -> Stage {
    for commit in ["bbbbbbb", "ccccccc"] {
        stage.build(commit);
        stage.declare(commit);
        assert_eq!(let_run(&stage, seconds).await, "Settled");
    }
    assert_eq!(stage.digest("test"), stage.digest("ccccccc"));
    stage
}

fn with_drift(mut stage: Stage, drift: &str) -> Stage {
    stage.environment = format!("  policy: {{drift: {drift}}}\n");
    stage.declare("ccccccc");
    stage
}

/// The statuses of all service deployments, newest first.
fn statuses(stage: &Stage) -> Vec<String> {
    let list = json!({"cluster": "mco", "service": SERVICE, "maxResults": 100});
    let listed = stage.call(Api::Ecs, "ListServiceDeployments", &list)["serviceDeployments"].clone();
    listed.as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_person_who_goes_back_to_a_revision_of_ours_is_followed_then_judged_as_drift() {
    for (drift, expected, runs) in [("alert", "Drifted", "bbbbbbb"), ("heal", "Settled", "ccccccc")] {
        let stage = with_drift(promoted_twice(Stage::new(Breaker::On), 200).await, drift);
        let mut running = stage.process(BTreeMap::new());
        running.run(&stage, 20).await;
        stage.update(&json!({"taskDefinition": "mco-api:2"}));
        let following = running.run(&stage, 10).await;
        assert_eq!((said(&following).as_str(), started_by(&following)), ("Deploying", StartedBy::Other));
        assert_eq!(said(&running.run(&stage, 300).await), expected, "{drift}");
        let theirs = usize::from(drift == "heal");
        assert_eq!(statuses(&stage)[theirs], "SUCCESSFUL", "{drift}: theirs came to its own end");
        stage.check_runs(SERVICE, runs);
        assert_eq!(stage.digest("test"), stage.digest(runs), "{drift}: what succeeded last and runs");
    }
}

#[tokio::test]
async fn a_newer_commit_waits_for_what_a_person_has_started() {
    let mut stage = promoted_twice(Stage::new(Breaker::On), 200).await;
    stage.build("ddddddd");
    stage.update(&json!({"taskDefinition": "mco-api:2"}));
    stage.advance(4);
    stage.declare("ddddddd");
    assert_eq!(let_run(&stage, 400).await, "Settled");
    assert_eq!(statuses(&stage)[..2], ["SUCCESSFUL", "SUCCESSFUL"]);
    stage.check_runs(SERVICE, "ddddddd");
}

#[tokio::test]
async fn a_person_who_goes_back_by_codedeploy_is_not_stopped() {
    let stage = promoted_twice(Stage::blue_green(&json!({})), 900).await;
    let linear = "CodeDeployDefault.ECSLinear10PercentEvery1Minutes";
    stage.deploy_revision_by_hand("mco-api:2", Some(linear));
    let mut running = stage.process(BTreeMap::new());
    let following = running.run(&stage, 240).await;
    assert_eq!((said(&following).as_str(), started_by(&following)), ("Deploying", StartedBy::Other));
    assert_eq!(said(&running.run(&stage, 1500).await), "Drifted");
    let last = stage.code_deployments().pop().unwrap();
    assert_eq!(last["status"], "Succeeded", "{last:#}");
    stage.check_runs(SERVICE, "bbbbbbb");
}

#[tokio::test]
async fn a_deployment_forced_by_hand_is_told_as_another_hands() {
    let stage = promoted_twice(Stage::new(Breaker::On), 200).await;
    let last = stage.process(BTreeMap::new()).run(&stage, 10).await;
    assert_eq!(started_by(&last), StartedBy::Trueup);
    stage.update(&json!({"forceNewDeployment": true}));
    let mut running = stage.process(BTreeMap::new());
    assert_eq!(started_by(&running.run(&stage, 20).await), StartedBy::Other);
    let last = running.run(&stage, 200).await;
    assert_eq!((said(&last).as_str(), started_by(&last)), ("Settled", StartedBy::Other));
}

/// A controller hangs in its `UpdateService`; another one deploys a newer commit meanwhile; then the first call arrives.
#[tokio::test]
async fn a_write_of_ours_that_arrives_after_a_newer_one_is_put_right() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.build("ccccccc");
    stage.declare("bbbbbbb");
    let mut first = stage.process(BTreeMap::new());
    // It has registered and stamped, and its next pass would deploy.
    first.until(&stage, |stage, _| stage.revisions() == 2).await;
    drop(first);
    stage.declare("ccccccc");
    let mut second = stage.process(BTreeMap::new());
    assert_eq!(said(&second.run(&stage, 200).await), "Settled");
    stage.check_runs(SERVICE, "ccccccc");
    stage.update(&json!({"taskDefinition": "mco-api:2"}));
    let last = second.run(&stage, 300).await;
    assert_eq!(said(&last), "Settled");
    stage.check_runs(SERVICE, "ccccccc");
    assert_eq!(stage.digest("test"), stage.digest("ccccccc"));
    // The same much later is a person's wish.
    stage.advance(1200);
    stage.update(&json!({"taskDefinition": "mco-api:2"}));
    assert_eq!(said(&second.run(&stage, 300).await), "Drifted");
}

#[tokio::test]
async fn two_owners_who_undo_each_other_end_in_an_alert_and_not_in_a_loop() {
    let mut stage = with_drift(promoted_twice(Stage::new(Breaker::On), 200).await, "heal");
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 20).await;
    let theirs = stage.register("aaaaaaa");
    let mut last = String::new();
    let mut undone = 0;
    let mut times = Vec::new();
    for _ in 0..600 {
        let swept = running.pass(&stage).await;
        last = said(&swept[0]);
        if last == "Contested" {
            break;
        }
        if last == "Settled" {
            stage.update(&json!({"taskDefinition": theirs}));
            undone += 1;
            times.push(stage.now());
        }
        stage.advance(10);
    }
    assert_eq!((last.as_str(), undone), ("Contested", 4), "three rounds, and the change that is left");
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] < pauses[1] && pauses[1] < pauses[2], "{pauses:?}");
    let deployments = stage.deployments();
    assert_eq!(let_run(&stage, 3600).await, "Contested", "also after a restart");
    assert_eq!(stage.deployments(), deployments);
    // A change in git begins anew.
    stage.build("ddddddd");
    stage.declare("ddddddd");
    assert_eq!(let_run(&stage, 300).await, "Settled");
    stage.check_runs(SERVICE, "ddddddd");
}

impl Stage {
    /// A deployment of this revision, as the console would start it.
    pub fn deploy_revision_by_hand(&self, revision: &str, configuration: Option<&str>) {
        let arn = format!("arn:aws:ecs:eu-west-2:123456789012:task-definition/{revision}");
        let properties = json!({"TaskDefinition": arn,
            "LoadBalancerInfo": {"ContainerName": "api", "ContainerPort": 8080}});
        let spec = json!({"version": 0.0,
            "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}]});
        let mut input = json!({"applicationName": "API", "deploymentGroupName": "API-test",
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": spec.to_string()}}});
        if let Some(configuration) = configuration {
            input["deploymentConfigName"] = Value::from(configuration);
        }
        self.call(Api::CodeDeploy, "CreateDeployment", &input);
    }
}

#[tokio::test]
async fn a_change_in_git_is_acted_on_after_git_had_followed_another_hand() {
    for interim in [true, false] {
        let mut stage = Stage::new(Breaker::On);
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        assert_eq!(let_run(&stage, 200).await, "Settled");
        // The console's way back to what ran before trueup.
        stage.update(&json!({"taskDefinition": "mco-api:1"}));
        assert_eq!(let_run(&stage, 300).await, "Drifted");
        if interim {
            stage.declare("aaaaaaa");
            assert_eq!(let_run(&stage, 100).await, "Settled");
            stage.check_runs(SERVICE, "aaaaaaa");
        }
        stage.declare("bbbbbbb");
        let (expected, runs) = if interim { ("Settled", "bbbbbbb") } else { ("Drifted", "aaaaaaa") };
        assert_eq!(let_run(&stage, 300).await, expected);
        stage.check_runs(SERVICE, runs);
    }
}

/// Whatever came afterwards: a stamp is of the first deployment to its revision, and what ended is on record.
#[tokio::test]
async fn the_past_tells_who_started_what_also_after_others_have_deployed() {
    let mut stage = Stage::new(Breaker::On);
    drop(stage.account.world(Need::Clock));
    for commit in ["bbbbbbb", "ccccccc"] {
        stage.build(commit);
        stage.declare(commit);
        let last = stage.process(BTreeMap::new()).watch(&stage, 200, |_| ()).await.swap_remove(0);
        assert_eq!(said(&last), "Settled");
    }
    // Somebody goes back, and forward again.
    for revision in ["mco-api:2", "mco-api:3"] {
        stage.update(&json!({"taskDefinition": revision}));
        stage.advance(200);
    }
    let mut running = stage.process(BTreeMap::new());
    running.pass(&stage).await;
    let desired = stage.declaration.readable().next().unwrap();
    let past = running.controller.past(&stage.declaration, desired).await;
    let commit = |one: &PastDeployment| one.commit.as_ref().map(|commit| commit.short().to_owned());
    let told: Vec<_> =
        past.deployments.iter().map(|one| (commit(one).unwrap_or_default(), one.started_by)).collect();
    let told: Vec<_> = told.iter().map(|(commit, by)| (commit.as_str(), *by)).collect();
    let (trueup, other) = (Some(StartedBy::Trueup), Some(StartedBy::Other));
    assert_eq!(
        told,
        [("ccccccc", other), ("bbbbbbb", other), ("ccccccc", trueup), ("bbbbbbb", trueup), ("aaaaaaa", None)]
    );
}
