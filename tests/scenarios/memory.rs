//! What trueup remembers in long histories, beside other people's pipelines and clean-up jobs.

use std::collections::BTreeMap;

use serde_json::json;
use trueup_simulator::{Api, Fault};

use crate::account::Need;
use crate::stage::{Breaker, REGISTRY, SERVICE, Stage, said};

const API: &str = "  repository: mco/api\n  service: mco-api-{environment}\n";

async fn let_run(stage: &Stage, seconds: u64) -> String {
    said(&stage.process(BTreeMap::new()).run(stage, seconds).await)
}

fn crash(stage: &Stage, commit: &str) {
    let digest = stage.digest(commit).unwrap();
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
}

async fn promoted() -> Stage {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 200).await, "Settled");
    stage
}

/// Commit bbbbbbb has failed and is held; the old one runs.
async fn held() -> Stage {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    crash(&stage, "bbbbbbb");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 300).await, "Held");
    stage
}

/// Another pipeline registers and deploys so many revisions of the same family.
fn pipeline(stage: &Stage, revisions: usize, deploys: bool) {
    // A long history is one of time that passes at once.
    drop(stage.account.world(Need::Clock));
    for _ in 0..revisions {
        let theirs = stage.register("aaaaaaa");
        if deploys {
            stage.update(&json!({"taskDefinition": theirs}));
            stage.advance(60);
        }
    }
}

#[tokio::test]
async fn what_another_pipeline_deploys_is_drift_however_many_revisions_it_registers() {
    let stage = promoted().await;
    pipeline(&stage, 24, true);
    let (deployments, revisions) = (stage.deployments(), stage.revisions());
    assert_eq!(let_run(&stage, 300).await, "Drifted");
    assert_eq!((stage.deployments(), stage.revisions()), (deployments, revisions));
}

#[tokio::test]
async fn a_failed_commit_is_held_behind_any_number_of_foreign_revisions_and_deployments() {
    let stage = held().await;
    pipeline(&stage, 25, false);
    for _ in 0..4 {
        stage.update(&json!({"forceNewDeployment": true}));
        stage.advance(60);
    }
    let writes = stage.writes();
    assert_eq!(let_run(&stage, 100).await, "Held");
    // AWS forgets its deployments after ninety days.
    stage.advance(100 * 86_400);
    assert_eq!(let_run(&stage, 100).await, "Held");
    assert_eq!(stage.writes(), writes);
}

#[tokio::test]
async fn a_failed_commit_of_codedeploy_is_held_behind_a_later_deployment_by_another_hand() {
    let mut stage = Stage::blue_green(&json!({}));
    stage.build("bbbbbbb");
    stage.hook("AfterAllowTestTraffic", "check");
    stage.hook_fails("check");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 600).await, "Held");
    stage.heal();
    pipeline(&stage, 21, false);
    stage.deploy_revision_by_hand("mco-api:1", None);
    stage.advance(900);
    let deployments = stage.deployments();
    assert_eq!(let_run(&stage, 300).await, "Held");
    assert_eq!(stage.deployments(), deployments);
}

#[tokio::test]
async fn a_failed_commit_is_not_tried_again_for_what_nobody_declared() {
    let stage = held().await;
    for number in 0..3 {
        let image = format!("{REGISTRY}/mco/api:aaaaaaa");
        let environment = json!([{"name": "NUMBER", "value": number.to_string()}]);
        let containers = json!([{"name": "api", "image": image, "memory": 512, "environment": environment}]);
        let input = json!({"family": "mco-api", "containerDefinitions": containers});
        let theirs = stage.call(Api::Ecs, "RegisterTaskDefinition", &input);
        stage.update(&json!({"taskDefinition": theirs["taskDefinition"]["taskDefinitionArn"]}));
        stage.advance(60);
        let deployments = stage.deployments();
        assert_eq!(let_run(&stage, 200).await, "Held");
        assert_eq!(stage.deployments(), deployments, "round {number}");
    }
}

#[tokio::test]
async fn an_image_that_failed_is_held_under_another_commit_too() {
    for drift in ["alert", "heal"] {
        let mut stage = held().await;
        // A commit that changes nothing that is built.
        stage.tag("bbbbbbb", "7654321");
        stage.environment = format!("  policy: {{drift: {drift}}}\n");
        stage.declare("7654321");
        let deployments = stage.deployments();
        assert_eq!(let_run(&stage, 600).await, "Held", "{drift}");
        assert_eq!(stage.deployments(), deployments, "{drift}");
        stage.heal();
        crate::faults::retry(&stage).await;
        assert_eq!(let_run(&stage, 300).await, "Settled", "{drift}");
        stage.check_runs(SERVICE, "7654321");
    }
}

#[tokio::test]
async fn what_git_mends_beside_the_commit_is_tried() {
    let mut stage = Stage::blue_green(&json!({}));
    stage.build("bbbbbbb");
    stage.hook("AfterAllowTestTraffic", "broken");
    stage.hook_fails("broken");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 600).await, "Held");
    // The same commit and task definition, with an AppSpec that works.
    stage.files.clear();
    stage.application = stage.application.replace("appSpec: appspec.json, ", "");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 900).await, "Settled");
    stage.check_runs(SERVICE, "bbbbbbb");
    assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"));
}

#[tokio::test]
async fn a_setting_that_git_mends_is_tried_and_a_count_is_not_one() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    crash(&stage, "bbbbbbb");
    stage.application =
        format!("{API}  serviceSettings: {{healthCheckGracePeriodSeconds: 1, desiredCount: 2}}\n");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 300).await, "Held");
    stage.heal();
    let deployments = stage.deployments();
    stage.application =
        format!("{API}  serviceSettings: {{healthCheckGracePeriodSeconds: 1, desiredCount: 3}}\n");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 200).await, "Held");
    assert_eq!(stage.deployments(), deployments);
    stage.application =
        format!("{API}  serviceSettings: {{healthCheckGracePeriodSeconds: 60, desiredCount: 2}}\n");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 300).await, "Settled");
    stage.check_runs(SERVICE, "bbbbbbb");
}

#[tokio::test]
async fn what_a_clean_up_job_deregisters_is_still_remembered() {
    let stage = held().await;
    pipeline(&stage, 6, false);
    stage.deregister_old(5);
    let deployments = stage.deployments();
    assert_eq!(let_run(&stage, 300).await, "Held");
    assert_eq!(stage.deployments(), deployments);
    // Also when AWS has forgotten the deployment, and nothing but an INACTIVE revision tells.
    stage.advance(100 * 86_400);
    let writes = stage.writes();
    assert_eq!(let_run(&stage, 100).await, "Held");
    assert_eq!(stage.writes(), writes);

    let stage = promoted().await;
    pipeline(&stage, 6, true);
    stage.deregister_old(5);
    let deployments = stage.deployments();
    assert_eq!(let_run(&stage, 300).await, "Drifted");
    assert_eq!(stage.deployments(), deployments);
}

#[tokio::test]
async fn what_failed_is_held_also_where_a_clean_up_job_has_deleted_its_revision() {
    let stage = held().await;
    let arn = stage.register("aaaaaaa").replace(":3", ":2");
    stage.call(Api::Ecs, "DeregisterTaskDefinition", &json!({"taskDefinition": arn}));
    stage.call(Api::Ecs, "DeleteTaskDefinitions", &json!({"taskDefinitions": [arn]}));
    stage.advance(3_600);
    let (deployments, writes) = (stage.deployments(), stage.writes());
    let last = stage.process(BTreeMap::new()).watch(&stage, 300, |_| ()).await.swap_remove(0);
    assert_eq!(said(&last), "Held");
    assert_eq!(
        (stage.deployments(), stage.writes()),
        (deployments, writes),
        "nothing is tried, and nothing written"
    );
    // A person may say otherwise: then it is tried once.
    stage.heal();
    let retry = last.plan.retry.unwrap();
    stage.process(BTreeMap::new()).controller.write_one(&stage.declaration, "test/api", retry).await.unwrap();
    assert_eq!(let_run(&stage, 300).await, "Settled");
    stage.check_runs(SERVICE, "bbbbbbb");
}

#[tokio::test]
async fn first_contact_is_no_licence_to_undo_what_another_hand_deployed() {
    for drift in ["alert", "ignore"] {
        let mut stage = Stage::new(Breaker::On);
        stage.environment = format!("  policy: {{drift: {drift}}}\n");
        stage.declare("aaaaaaa");
        assert_eq!(let_run(&stage, 20).await, "Settled");
        stage.build("bbbbbbb");
        let theirs = stage.register("bbbbbbb");
        stage.update(&json!({"taskDefinition": theirs}));
        stage.advance(100);
        let writes = stage.writes();
        assert_eq!(let_run(&stage, 200).await, "Drifted", "{drift}");
        assert_eq!(stage.writes(), writes);
        // A person says that what is declared may be deployed.
        let mut adopted = stage.beside();
        trueup::controller::adopt(&mut adopted.declaration);
        assert_eq!(let_run(&adopted, 300).await, "Settled");
        stage.check_runs(SERVICE, "aaaaaaa");
    }
}

#[tokio::test]
async fn at_first_contact_what_was_never_declared_is_left_alone_and_a_placeholder_is_not() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.build("ccccccc");
    let theirs = stage.register("ccccccc");
    stage.update(&json!({"taskDefinition": theirs}));
    stage.advance(100);
    // Neither this nor any earlier declaration names what runs.
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 200).await, "Drifted");
    stage.check_runs(SERVICE, "ccccccc");
    let containers = json!([{"name": "api", "image": "public.ecr.aws/nginx/nginx:1", "memory": 512}]);
    let input = json!({"family": "placeholder", "containerDefinitions": containers});
    let theirs = stage.call(Api::Ecs, "RegisterTaskDefinition", &input);
    stage.update(&json!({"taskDefinition": theirs["taskDefinition"]["taskDefinitionArn"]}));
    stage.advance(100);
    assert_eq!(let_run(&stage, 300).await, "Settled");
    stage.check_runs(SERVICE, "bbbbbbb");
}

/// They are declared by two repositories in one account, each of which knows nothing of the other.
#[tokio::test]
async fn two_services_of_the_same_names_in_two_repositories_do_not_meet() {
    let mut stage = Stage::new(Breaker::On);
    let second = json!({"cluster": "mco", "serviceName": "other-api", "taskDefinition": "mco-api:1", "desiredCount": 1});
    stage.call(Api::Ecs, "CreateService", &second);
    stage.advance(60);
    stage.build("bbbbbbb");
    let mut other = stage.beside();
    other.application = "  repository: mco/api\n  service: other-api\n  environmentTag: other\n".to_owned();
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, 200).await, "Settled");
    assert_eq!(stage.revisions(), 2);
    other.declare("aaaaaaa");
    other.declare("bbbbbbb");
    assert_eq!(let_run(&other, 200).await, "Settled");
    assert_eq!(stage.revisions(), 3, "the same content for another service is another revision");
    assert_eq!(let_run(&stage, 100).await, "Settled");
    stage.check_deployments(2);
}

/// A revert with a reproducible build, or a commit that touches no code. The process that has followed everything in between knows the
/// old revision from long ago.
#[tokio::test]
async fn a_commit_with_the_image_of_a_much_older_one_is_deployed_once() {
    let mut stage = Stage::new(Breaker::On);
    // A long history is one of time that passes at once.
    drop(stage.account.world(Need::Clock));
    let mut running = stage.process(BTreeMap::new());
    let commits = ["bbbbbbb", "ccccccc", "ddddddd", "eeeeeee", "fffffff"];
    for commit in commits {
        stage.build(commit);
        stage.declare(commit);
        assert_eq!(said(&running.run(&stage, 200).await), "Settled", "{commit}");
    }
    stage.tag("bbbbbbb", "9999999");
    let (deployments, writes) = (stage.deployments(), stage.writes());
    stage.declare("9999999");
    assert_eq!(said(&running.run(&stage, 200).await), "Settled");
    stage.check_runs(SERVICE, "bbbbbbb");
    stage.check_deployments(deployments + 1);
    // Stamp, deployment, outcome, tag: the revision is there.
    assert_eq!(stage.writes() - writes, 4);
}

/// Who may not ask for the index of tags reads the families to their end.
#[tokio::test]
async fn without_the_index_of_tags_a_deregistered_revision_is_remembered_and_too_many_are_waited_for() {
    let mut stage = held().await;
    pipeline(&stage, 6, false);
    stage.deregister_old(5);
    stage.advance(100 * 86_400);
    stage.inject(Fault::Deny { operation: "GetResources".to_owned(), times: u32::MAX });
    let writes = stage.writes();
    assert_eq!(let_run(&stage, 100).await, "Held");
    assert_eq!(stage.writes(), writes);
    // Behind more revisions than are read there may be one that was registered for it already.
    (0..500).for_each(|_| drop(stage.register("aaaaaaa")));
    stage.build("ddddddd");
    stage.declare("ddddddd");
    let writes = stage.writes();
    assert_eq!(let_run(&stage, 60).await, "MemoryIncomplete");
    assert_eq!(stage.writes(), writes);
}
