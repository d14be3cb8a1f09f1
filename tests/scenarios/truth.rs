//! The truth comes from ECR: what anybody can write on a task definition neither chooses an image nor names what runs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::{SweepResult, Writes};
use trueup::documents::memory;
use trueup::model::*;
use trueup_simulator::Api;

use crate::stage::{Breaker, REGISTRY, Running, Stage, TICK, said};

/// Commit bbbbbbb, deployed by trueup: a rolling service, and one that CodeDeploy deploys.
async fn deployed(policy: &str) -> Vec<(Stage, Running)> {
    let mut stages = Vec::new();
    for mut stage in [Stage::new(Breaker::On), Stage::blue_green(&json!({}))] {
        policy.clone_into(&mut stage.environment);
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        assert_eq!(said(&running.run(&stage, 500).await), "Settled");
        stages.push((stage, running));
    }
    stages
}

/// What a new process finds, without a write.
async fn look(stage: &Stage) -> SweepResult {
    let mut running = stage.process(BTreeMap::new());
    running.controller.sweep(&stage.declaration, Writes::Withheld, |_| true).await.swap_remove(0)
}

/// It looks just before the other process at every moment, so that each write comes between two of its looks.
#[tokio::test]
async fn who_only_looks_on_sees_what_another_process_has_recorded() {
    for mut stage in [Stage::new(Breaker::On), Stage::blue_green(&json!({}))] {
        stage.environment = "  policy: {steady: 0s}\n".to_owned();
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        let mut onlooker = stage.process(BTreeMap::new());
        let mut writer = stage.process(BTreeMap::new());
        let mut seen = String::new();
        for _ in 0..300 {
            let swept = onlooker.controller.sweep(&stage.declaration, Writes::Withheld, |_| true).await;
            seen = said(&swept[0]);
            if said(&writer.pass(&stage).await[0]) == "Settled" && seen == "Settled" {
                break;
            }
            stage.advance(TICK);
        }
        assert_eq!(seen, "Settled");
    }
}

fn status(swept: &SweepResult) -> &Status {
    &swept.plan.status
}

/// The commits of what runs, and who says so.
fn named(swept: &SweepResult) -> Vec<(String, CommitSource)> {
    let groups = status(swept).running.iter().filter(|group| group.tasks > 0);
    groups.map(|group| (group.commits.first().map_or("-", Commit::as_str).to_owned(), group.source)).collect()
}

fn live(stage: &Stage) -> String {
    let input = json!({"cluster": "mco", "services": ["mco-api-test"]});
    let service = stage.call(Api::Ecs, "DescribeServices", &input)["services"][0].clone();
    let set = service["taskSets"].as_array().into_iter().flatten().find(|set| set["status"] == "PRIMARY");
    set.unwrap_or(&service)["taskDefinition"].as_str().unwrap().to_owned()
}

fn tag_revision(stage: &Stage, revision: &str, key: &str, value: &str) {
    let tags = json!([{"key": key, "value": value}]);
    stage.call(Api::Ecs, "TagResource", &json!({"resourceArn": revision, "tags": tags}));
}

fn remove(stage: &Stage, id: &Value) {
    let input = json!({"repositoryName": "mco/api", "imageIds": [id]});
    assert_eq!(stage.call(Api::Ecr, "BatchDeleteImage", &input)["failures"], json!([]));
}

/// Nothing is written in a minute, and this is why.
async fn stands_still(stage: &Stage, reason: &str) {
    let (writes, mut running) = (stage.writes(), stage.process(BTreeMap::new()));
    assert_eq!(said(&running.watch(stage, 60, |_| ()).await.swap_remove(0)), reason);
    assert_eq!(stage.writes(), writes);
}

#[tokio::test]
async fn a_commit_runs_when_ecr_says_so_and_not_when_a_tag_of_the_live_revision_does() {
    for (mut stage, _) in deployed("").await {
        tag_revision(&stage, &live(&stage), "trueup:commit", "ccccccc");
        let honest = look(&stage).await;
        assert_eq!(named(&honest), [("bbbbbbb".to_owned(), CommitSource::Registry)]);
        assert_eq!(status(&honest).sync, Sync::Synced);
        assert_eq!(status(&honest).last_deployment.as_ref().unwrap().commit, Some(Commit::new("bbbbbbb")));
        // Before the commit is built, and after.
        for build in [false, true] {
            if build {
                stage.build("ccccccc");
            }
            stage.declare("ccccccc");
            let forged = look(&stage).await;
            assert_eq!(named(&forged), [("bbbbbbb".to_owned(), CommitSource::Registry)]);
            assert_eq!((said(&forged).as_str(), status(&forged).sync), ("CommitTagMoved", Sync::OutOfSync));
            stands_still(&stage, "CommitTagMoved").await;
        }
    }
}

#[tokio::test]
async fn a_revision_that_was_forged_before_a_commit_is_declared_does_not_choose_its_image() {
    for mut stage in [Stage::new(Breaker::On), Stage::blue_green(&json!({}))] {
        let evil = stage.build("eeeeeee");
        stage.build("bbbbbbb");
        let mut input = json!({"family": "mco-api", "containerDefinitions": [{"name": "api", "memory": 512,
            "image": format!("{REGISTRY}/mco/api@{evil}"), "portMappings": [{"containerPort": 8080}]}]});
        let desired = stage.declaration.readable().next().unwrap();
        let live_then = DeploymentId::new("x");
        let registration = memory::Registration {
            commit: &Commit::new("bbbbbbb"),
            others: BTreeMap::new(),
            content: &memory::content_hash(&desired.target, &input),
            declared: None,
            applied: &Applied {
                generation: 1,
                infra_commit: None,
                live_then,
                from: None,
                at: None,
                rounds: 0,
                receipts: None,
            },
        };
        let tags = memory::registration(desired, &registration);
        input["tags"] = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        stage.call(Api::Ecs, "RegisterTaskDefinition", &input);
        stage.declare("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        assert_eq!(said(&running.run(&stage, 500).await), "Settled");
        stage.check_runs("mco-api-test", "bbbbbbb");
        assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"));
    }
}

#[tokio::test]
async fn a_commit_tag_that_is_pushed_over_is_told_and_deploys_nothing() {
    for policy in ["", "  policy: {pin: commitTag, drift: heal}\n"] {
        for (stage, _) in deployed(policy).await {
            stage.build("ccccccc");
            stage.tag("ccccccc", "bbbbbbb");
            stands_still(&stage, "CommitTagMoved").await;
            let moved = look(&stage).await;
            assert_eq!(named(&moved), [("bbbbbbb".to_owned(), CommitSource::RevisionOfUntagged)]);
            assert_eq!(status(&moved).sync, Sync::OutOfSync);
            // Back on the image that runs, which kept the environment tag.
            stage.tag("test", "bbbbbbb");
            stands_still(&stage, "Settled").await;
            assert_eq!(status(&look(&stage).await).sync, Sync::Synced);
        }
    }
}

#[tokio::test]
async fn a_commit_tag_that_is_pushed_over_does_not_end_the_deployment_in_flight() {
    for mut stage in [Stage::new(Breaker::On), Stage::blue_green(&json!({}))] {
        let first = stage.build("bbbbbbb");
        stage.build("ccccccc");
        stage.declare("bbbbbbb");
        let before = stage.deployments();
        let mut running = stage.process(BTreeMap::new());
        running.until(&stage, |stage, _| stage.deployments() > before).await;
        running.watch(&stage, 10, |_| ()).await;
        stage.tag("ccccccc", "bbbbbbb");
        let last = running.watch(&stage, 500, |_| ()).await.swap_remove(0);
        assert_eq!(said(&last), "CommitTagMoved");
        assert_eq!(stage.deployments(), before + 1);
        assert!(stage.running().iter().all(|digest| *digest == first));
    }
}

#[tokio::test]
async fn an_image_that_runs_and_was_removed_is_named_and_told_and_so_is_that_there_is_no_way_back() {
    for (mut stage, _) in deployed("").await {
        remove(&stage, &json!({"imageDigest": stage.digest("bbbbbbb").unwrap()}));
        let removed = look(&stage).await;
        assert_eq!(named(&removed), [("bbbbbbb".to_owned(), CommitSource::RevisionOfRemoved)]);
        assert_eq!((said(&removed).as_str(), status(&removed).sync), ("ImageRemoved", Sync::OutOfSync));
        stage.build("ccccccc");
        stage.declare("ccccccc");
        let next = look(&stage).await.plan;
        let risks = next.outlook.unwrap().risks;
        assert!(risks.iter().any(|risk| risk.starts_with("nothing to go back to")), "{risks:?}");
    }
}

const LONG: &str = "3f2c1ab9d0e4c6a7b8f1e2d3c4b5a6978869504f";

#[tokio::test]
async fn a_short_commit_is_the_only_image_whose_tag_begins_with_it() {
    for policy in ["", "  policy: {pin: commitTag}\n"] {
        let mut stage = Stage::new(Breaker::On);
        policy.clone_into(&mut stage.environment);
        stage.declare("3f2c1ab");
        let mut running = stage.process(BTreeMap::new());
        assert_eq!(said(&running.watch(&stage, 10, |_| ()).await[0]), "ImageNotBuilt");
        let digest = stage.build(LONG);
        let last = running.watch(&stage, 180, |_| ()).await.swap_remove(0);
        assert_eq!((said(&last).as_str(), status(&last).sync), ("Settled", Sync::Synced));
        assert_eq!(named(&last), [("3f2c1ab".to_owned(), CommitSource::Registry)]);
        assert_eq!(stage.running(), [digest.clone(), digest.clone()]);
        assert_eq!(stage.digest("test"), Some(digest));
        assert_eq!(said(&look(&stage).await), "Settled");
    }
}

#[tokio::test]
async fn a_short_commit_that_may_be_several_images_is_told_and_deploys_nothing() {
    let mut stage = Stage::new(Breaker::On);
    stage.build(LONG);
    stage.build("3f2c1ab0000");
    stage.declare("3f2c1ab");
    stands_still(&stage, "CommitAmbiguous").await;
    let Some(Waiting::CommitAmbiguous { tags, .. }) = look(&stage).await.plan.waiting else { panic!() };
    assert_eq!(tags, [Tag::new(LONG), Tag::new("3f2c1ab0000")]);
    stage.declare("3f2c1ab0");
    stage.process(BTreeMap::new()).watch(&stage, 200, |_| ()).await;
    assert_eq!(stage.digest("test"), stage.digest("3f2c1ab0000"));
}

#[tokio::test]
async fn a_tag_with_fewer_digits_than_are_declared_is_named_and_not_taken() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("3f2c1ab");
    stage.declare(LONG);
    stands_still(&stage, "ImageNotBuilt").await;
    let waiting = look(&stage).await.plan.waiting.unwrap();
    let target = &stage.declaration.readable().next().unwrap().target;
    let hint = trueup::plan::waiting::hint(&waiting, target).unwrap();
    assert!(hint.starts_with(&stage.account.own("mco/api has the tag 3f2c1ab:")), "{hint}");
}
