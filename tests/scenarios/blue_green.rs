//! Every way in and out of a deployment by CodeDeploy, told as a script and counted in deployments.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup::controller::SweepResult;
use trueup::model::{Phase, Share, Stage as At, Sync};
use trueup_simulator::{Api, Fault};

use crate::account::Need;
use crate::stage::{Running, SERVICE, Stage, said};

const MINUTE: u64 = 60;
/// Longer than a deployment with its termination wait.
const WHOLE: u64 = 8 * MINUTE;

/// What a script ends with: the reason for doing nothing, deployments that somebody asked for, revisions, and the
/// commit that runs and is tagged.
#[track_caller]
fn check(stage: &Stage, said: &str, expected: (&str, usize, usize, &str)) {
    let seen = (said, stage.deployments(), stage.revisions());
    assert_eq!(seen, (expected.0, expected.1, expected.2), "{:#?}", stage.code_deployments());
    stage.check_runs(SERVICE, expected.3);
    assert_eq!(stage.digest("test"), stage.digest(expected.3), "the environment tag");
}

async fn let_run(stage: &Stage, seconds: u64) -> String {
    said(&stage.process(BTreeMap::new()).run(stage, seconds).await)
}

/// The application with hooks, from a file beside it.
fn with_hooks(hooks: &Value) -> Value {
    let properties = json!({"TaskDefinition": "<TASK_DEFINITION>",
        "LoadBalancerInfo": {"ContainerName": "api", "ContainerPort": 8080}});
    let service = json!({"Type": "AWS::ECS::Service", "Properties": properties});
    json!({"version": 0.0, "Resources": [{"TargetService": service}], "Hooks": hooks})
}

impl Stage {
    /// From now on commits are deployed with these hooks.
    pub fn hook(&mut self, event: &str, function: &str) {
        let spec = with_hooks(&json!([{event: function}]));
        self.files.insert("appspec.json".to_owned(), Ok(spec.to_string()));
        self.application =
            self.application.replace("deploymentGroup", "appSpec: appspec.json, deploymentGroup");
    }

    pub fn hook_fails(&self, function: &str) {
        self.inject(Fault::HookFails { function: function.to_owned() });
    }

    fn statuses(&self) -> Vec<String> {
        self.code_deployments().iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect()
    }

    /// A deployment of a revision with the tag, as the console would start it; its id.
    fn deploy_by_hand(&self, tag: &str) -> String {
        let arn = self.register(tag);
        let spec = trueup::documents::app_spec::filled_in(&with_hooks(&json!([])), &arn).to_string();
        let input = json!({"applicationName": "API", "deploymentGroupName": "API-test",
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": spec}}});
        self.call(Api::CodeDeploy, "CreateDeployment", &input)["deploymentId"].as_str().unwrap().to_owned()
    }
}

fn stage_of(swept: &SweepResult) -> Option<At> {
    Some(swept.plan.status.last_deployment.as_ref()?.shift.as_ref()?.stage)
}

/// Commit bbbbbbb is declared, built and deployed.
async fn promoted(group: &Value) -> Stage {
    let mut stage = Stage::blue_green(group);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let said = let_run(&stage, WHOLE).await;
    check(&stage, &said, ("Settled", 1, 2, "bbbbbbb"));
    stage
}

#[tokio::test]
async fn while_an_alarm_is_on_that_would_stop_it_nothing_is_deployed_and_no_commit_is_held() {
    let watched = json!({"alarmConfiguration": {"enabled": true, "alarms": [{"name": "errors"}]}});
    let mut stage = promoted(&watched).await;
    stage.set_alarm("errors", true);
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let writes = stage.writes();
    let mut running = stage.process(BTreeMap::new());
    let swept = running.run(&stage, 10 * MINUTE).await;
    assert_eq!((said(&swept).as_str(), stage.writes()), ("AlarmActive", writes));
    check(&stage, &said(&swept), ("AlarmActive", 1, 2, "bbbbbbb"));
    // Once it is over the deployment goes on by itself.
    stage.set_alarm("errors", false);
    let swept = running.run(&stage, WHOLE).await;
    check(&stage, &said(&swept), ("Settled", 2, 3, "ccccccc"));
}

#[tokio::test]
async fn the_alarms_are_read_again_in_the_pass_that_starts_the_deployment() {
    let watched = json!({"alarmConfiguration": {"enabled": true, "alarms": [{"name": "errors"}]}});
    let mut stage = promoted(&watched).await;
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    running.until(&stage, |stage, _| stage.revisions() == 3).await;
    stage.set_alarm("errors", true);
    let swept = running.run(&stage, 5 * MINUTE).await;
    assert_eq!((said(&swept).as_str(), stage.deployments()), ("AlarmActive", 1));
}

/// A second commit in flight over bbbbbbb, with all traffic on it.
async fn shifted() -> (Stage, Running) {
    let mut stage = promoted(&json!({})).await;
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    let swept = running.run(&stage, 90).await;
    assert_eq!(stage_of(&swept), Some(At::Standby));
    (stage, running)
}

#[tokio::test]
async fn first_contact_disturbs_nothing() {
    let stage = Stage::blue_green(&json!({}));
    let before = stage.writes();
    assert_eq!(let_run(&stage, WHOLE).await, "Settled");
    assert_eq!((stage.deployments(), stage.writes()), (0, before));
}

#[tokio::test]
async fn a_new_commit_gets_the_traffic_then_succeeds_then_is_tagged() {
    let mut stage = Stage::blue_green(&json!({}));
    let old = stage.digest("test");
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    let mut seen = Vec::new();
    let see = |swept: &[SweepResult]| {
        let status = &swept[0].plan.status;
        let Some(deployment) = &status.last_deployment else { return };
        let share = deployment.shift.as_ref().and_then(|shift| shift.production);
        let traffic = share.map(Share::percent);
        let now = (deployment.phase, stage_of(&swept[0]), traffic, status.sync);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        if deployment.phase == Phase::InProgress {
            assert_eq!(stage.digest("test"), old, "the tag moves after success");
        }
    };
    running.watch(&stage, WHOLE, see).await;
    let in_progress = |stage, traffic| (Phase::InProgress, Some(stage), traffic, Sync::OutOfSync);
    for expected in [
        in_progress(At::Installing, Some(0.0)),
        in_progress(At::Standby, Some(100.0)),
        (Phase::Succeeded, None, None, Sync::Synced),
    ] {
        assert!(seen.contains(&expected), "{expected:?} in {seen:#?}");
    }
    check(&stage, "", ("", 1, 2, "bbbbbbb"));
    let description = stage.code_deployments()[0]["description"].clone();
    assert!(
        description.as_str().unwrap().starts_with("trueup test/api bbbbbbb arn:aws:ecs:"),
        "{description}"
    );
}

#[tokio::test]
async fn a_hook_that_fails_before_the_shift_holds_the_commit() {
    let mut stage = promoted(&json!({})).await;
    stage.hook("AfterAllowTestTraffic", "smoke");
    stage.hook_fails("smoke");
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let swept = stage.process(BTreeMap::new()).run(&stage, WHOLE).await;
    check(&stage, &said(&swept), ("Held", 2, 3, "bbbbbbb"));
    let said = let_run(&stage, WHOLE).await;
    check(&stage, &said, ("Held", 2, 3, "bbbbbbb"));
}

#[tokio::test]
async fn a_failure_after_the_shift_is_rolled_back_by_codedeploy_and_held() {
    let mut stage = promoted(&json!({})).await;
    stage.hook("AfterAllowTraffic", "check");
    stage.hook_fails("check");
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let said = let_run(&stage, WHOLE).await;
    check(&stage, &said, ("Held", 2, 3, "bbbbbbb"));
    assert_eq!(stage.statuses(), ["Succeeded", "Failed", "Succeeded"]);
    // The next commit goes on from there, without the hook.
    stage.heal();
    stage.build("ddddddd");
    stage.declare("ddddddd");
    let said = let_run(&stage, WHOLE).await;
    check(&stage, &said, ("Settled", 3, 4, "ddddddd"));
}

#[tokio::test]
async fn a_failure_that_nobody_watched_is_not_tried_again() {
    let mut stage = promoted(&json!({})).await;
    stage.hook("AfterAllowTraffic", "check");
    stage.hook_fails("check");
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    running.until(&stage, |stage, _| stage.deployments() == 2).await;
    drop(running);
    // Nobody looks until the failure, its rollback and all that is over.
    stage.advance(WHOLE);
    let said = let_run(&stage, WHOLE).await;
    check(&stage, &said, ("Held", 2, 3, "bbbbbbb"));
}

#[tokio::test]
async fn a_first_deployment_that_fails_is_undone_by_codedeploy_before_and_after_the_shift() {
    for event in ["AfterInstall", "AfterAllowTraffic"] {
        let mut stage = Stage::blue_green(&json!({}));
        stage.hook(event, "check");
        stage.hook_fails("check");
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        let swept = stage.process(BTreeMap::new()).run(&stage, 2 * MINUTE).await;
        check(&stage, &said(&swept), ("Held", 1, 2, "aaaaaaa"));
        assert_eq!(stage.statuses(), ["Failed", "Succeeded"], "{event}");
        let last = swept.plan.status.last_deployment.unwrap();
        assert_eq!(last.phase, Phase::RolledBack, "{event}");
        // The fix goes on from there.
        stage.heal();
        stage.build("ccccccc");
        stage.declare("ccccccc");
        let said = let_run(&stage, WHOLE).await;
        check(&stage, &said, ("Settled", 2, 3, "ccccccc"));
    }
}

#[tokio::test]
async fn before_the_new_tasks_are_made_a_failure_leaves_nothing_to_undo() {
    let mut stage = promoted(&json!({})).await;
    stage.hook("BeforeInstall", "check");
    stage.hook_fails("check");
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let swept = stage.process(BTreeMap::new()).run(&stage, 2 * MINUTE).await;
    check(&stage, &said(&swept), ("Held", 2, 3, "bbbbbbb"));
    assert_eq!(swept.plan.status.last_deployment.unwrap().phase, Phase::Failed);
}

/// Commits with the tasks that run and those that drain.
fn runs(swept: &SweepResult) -> Vec<(String, usize, usize)> {
    let running = &swept.plan.status.running;
    running.iter().map(|group| (group.commits[0].to_string(), group.tasks, group.draining)).collect()
}

#[tokio::test]
async fn the_tag_moves_when_the_old_tasks_begin_to_end_and_they_are_told_until_they_are_gone() {
    let (stage, mut running) = shifted().await;
    let new = stage.digest("ccccccc");
    running.until(&stage, |stage, _| stage.digest("test") == new).await;
    assert_eq!(stage.statuses().last().map(String::as_str), Some("Succeeded"));
    let swept = running.run(&stage, 2 * MINUTE).await;
    assert_eq!(said(&swept), "Settled");
    assert_eq!(runs(&swept), [("ccccccc".to_owned(), 2, 0), ("bbbbbbb".to_owned(), 0, 2)]);
    let swept = running.run(&stage, 4 * MINUTE).await;
    assert_eq!(runs(&swept), [("ccccccc".to_owned(), 2, 0)]);
    // Another process sees the same.
    let (stage, mut running) = shifted().await;
    running.run(&stage, 6 * MINUTE).await;
    let swept = stage.process(BTreeMap::new()).run(&stage, 0).await;
    assert_eq!(runs(&swept), [("ccccccc".to_owned(), 2, 0), ("bbbbbbb".to_owned(), 0, 2)]);
}

#[tokio::test]
async fn a_newer_commit_does_not_wait_for_old_tasks_that_drain() {
    let (mut stage, mut running) = shifted().await;
    running.run(&stage, 5 * MINUTE).await;
    stage.build("ddddddd");
    stage.declare("ddddddd");
    running.run(&stage, 30).await;
    assert_eq!(stage.deployments(), 3);
    let said = said(&running.run(&stage, 2 * WHOLE).await);
    check(&stage, &said, ("Settled", 3, 4, "ddddddd"));
}

#[tokio::test]
async fn tasks_that_never_get_healthy_and_alarms_hold_the_commit() {
    for alarm in [false, true] {
        let alarms = json!({"alarmConfiguration": {"enabled": true, "alarms": [{"name": "errors"}]}});
        let mut stage = promoted(&alarms).await;
        let digest = stage.build("ccccccc");
        if !alarm {
            stage.inject(Fault::Unhealthy { digest });
        }
        stage.declare("ccccccc");
        let mut running = stage.process(BTreeMap::new());
        running.run(&stage, 90).await;
        stage.set_alarm("errors", alarm);
        let said = said(&running.run(&stage, 62 * MINUTE).await);
        check(&stage, &said, ("Held", 2, 3, "bbbbbbb"));
    }
}

#[tokio::test]
async fn a_deployment_stopped_by_hand_is_held_until_somebody_says_retry() {
    let (stage, mut running) = shifted().await;
    let id = stage.code_deployments().last().unwrap()["deploymentId"].clone();
    stage.call(Api::CodeDeploy, "StopDeployment", &json!({"deploymentId": id, "autoRollbackEnabled": true}));
    let swept = running.run(&stage, WHOLE).await;
    check(&stage, &said(&swept), ("Held", 2, 3, "bbbbbbb"));
    let retry = swept.plan.retry.unwrap();
    running.controller.write_one(&stage.declaration, "test/api", retry).await.unwrap();
    let said = said(&running.run(&stage, WHOLE).await);
    check(&stage, &said, ("Settled", 3, 3, "ccccccc"));
}

#[tokio::test]
async fn traffic_waits_for_approval_and_what_nobody_approves_is_held() {
    let asks = json!({"blueGreenDeploymentConfiguration": {
        "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 30},
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 0}}});
    let mut stage = Stage::blue_green(&asks);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let mut running = stage.process(BTreeMap::new());
    let swept = running.run(&stage, 3 * MINUTE).await;
    assert_eq!(stage_of(&swept), Some(At::Testing));
    let until = swept.plan.status.last_deployment.as_ref().unwrap().shift.as_ref().unwrap().pauses[0].until;
    let until = until.unwrap();
    let now = i64::try_from(stage.account.world(Need::Clock).now()).unwrap() * 1000;
    assert!((25 * 60_000..30 * 60_000).contains(&(until - now)), "{until} {now}");
    let id = swept.plan.status.last_deployment.unwrap().id.unwrap();
    stage.call(
        Api::CodeDeploy,
        "ContinueDeployment",
        &json!({"deploymentId": id, "deploymentWaitType": "READY_WAIT"}),
    );
    let now = said(&running.run(&stage, 2 * MINUTE).await);
    check(&stage, &now, ("Settled", 1, 2, "bbbbbbb"));
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let now = said(&running.run(&stage, 35 * MINUTE).await);
    check(&stage, &now, ("Held", 2, 3, "bbbbbbb"));
    // Nobody has to answer for what is no longer declared.
    for commit in ["ddddddd", "eeeeeee"] {
        stage.build(commit);
        stage.declare(commit);
        running.run(&stage, 3 * MINUTE).await;
    }
    // Each stop has its rollback.
    assert_eq!(stage.statuses()[1..], ["Stopped", "Succeeded", "Stopped", "Succeeded", "Ready"]);
}

#[tokio::test]
async fn a_newer_commit_waits_for_the_shift_and_then_ends_the_termination_wait() {
    let (mut stage, mut running) = shifted().await;
    stage.build("ddddddd");
    stage.declare("ddddddd");
    running.run(&stage, 60).await;
    assert_eq!(stage.deployments(), 3, "it did not sit out the five minutes");
    let said = said(&running.run(&stage, WHOLE).await);
    check(&stage, &said, ("Settled", 3, 4, "ddddddd"));
    assert_eq!(stage.statuses(), ["Succeeded", "Succeeded", "Succeeded"]);
}

#[tokio::test]
async fn going_back_to_the_old_commit_while_its_tasks_stand_by_is_a_stop() {
    let (mut stage, mut running) = shifted().await;
    stage.declare("bbbbbbb");
    let now = said(&running.run(&stage, 2 * MINUTE).await);
    check(&stage, &now, ("Settled", 2, 3, "bbbbbbb"));
    assert_eq!(stage.statuses(), ["Succeeded", "Stopped", "Succeeded"]);
    // It was superseded, not held: asked for again, it is deployed again.
    stage.declare("ccccccc");
    let now = said(&running.run(&stage, WHOLE).await);
    check(&stage, &now, ("Settled", 3, 3, "ccccccc"));
}

#[tokio::test]
async fn before_the_shift_a_newer_commit_waits_or_replaces_as_the_policy_says() {
    for (policy, statuses) in
        [("finish", vec!["Succeeded", "Succeeded"]), ("replace", vec!["Stopped", "Succeeded", "Succeeded"])]
    {
        let mut stage = Stage::blue_green(&json!({}));
        stage.environment = format!("  policy: {{inFlight: {policy}}}\n");
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        let mut running = stage.process(BTreeMap::new());
        running.run(&stage, 16).await;
        assert_eq!(stage.deployments(), 1);
        stage.build("ccccccc");
        stage.declare("ccccccc");
        let said = said(&running.run(&stage, WHOLE).await);
        check(&stage, &said, ("Settled", 2, 3, "ccccccc"));
        assert_eq!(stage.statuses(), statuses, "{policy}");
    }
}

#[tokio::test]
async fn going_back_before_the_shift_stops_at_once() {
    let mut stage = promoted(&json!({})).await;
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 16).await;
    stage.declare("bbbbbbb");
    let said = said(&running.run(&stage, MINUTE).await);
    check(&stage, &said, ("Settled", 2, 3, "bbbbbbb"));
    assert_eq!(stage.statuses(), ["Succeeded", "Stopped", "Succeeded"]);
}

#[tokio::test]
async fn what_another_hand_deploys_is_followed_and_then_judged() {
    for (policy, end, deployments, runs) in
        [("alert", "Drifted", 2, "ccccccc"), ("heal", "Settled", 3, "bbbbbbb")]
    {
        let mut stage = promoted(&json!({})).await;
        stage.environment = format!("  policy: {{drift: {policy}}}\n");
        stage.declare("bbbbbbb");
        stage.build("ccccccc");
        stage.deploy_by_hand("ccccccc");
        let mut running = stage.process(BTreeMap::new());
        assert_eq!(said(&running.run(&stage, MINUTE).await), "Deploying");
        let now = said(&running.run(&stage, 2 * WHOLE).await);
        assert_eq!((now.as_str(), stage.deployments()), (end, deployments), "{policy}");
        stage.check_runs(SERVICE, runs);
    }
}

#[tokio::test]
async fn equal_content_that_another_hand_deploys_is_adopted() {
    let mut stage = promoted(&json!({})).await;
    stage.build("ccccccc");
    stage.deploy_by_hand("ccccccc");
    stage.advance(20);
    stage.declare("ccccccc");
    let said = let_run(&stage, WHOLE).await;
    assert_eq!((said.as_str(), stage.deployments(), stage.revisions()), ("Settled", 2, 3));
    stage.check_runs(SERVICE, "ccccccc");
    assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"), "what trueup did not deploy moves no tag");
}

#[tokio::test]
async fn what_is_missing_is_made_where_it_is_declared_and_named_where_it_is_not() {
    let mut stage = Stage::blue_green(&Value::Null);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    assert_eq!(let_run(&stage, MINUTE).await, "GroupMissing");
    assert_eq!((stage.deployments(), stage.revisions()), (0, 1));
    let create = format!(
        "create: {{serviceRole: \"arn:aws:iam::123456789012:role/codedeploy\", targetGroups: [mco-api-1, mco-api-2], productionListener: \"{}\", testListener: \"{}\", terminationWait: 1m}}, deploymentGroup",
        stage.listener(80),
        stage.listener(8080)
    );
    stage.application = stage.application.replace("deploymentGroup", &create);
    stage.declare("bbbbbbb");
    let said = let_run(&stage, WHOLE).await;
    check(&stage, &said, ("Settled", 1, 2, "bbbbbbb"));
}

#[tokio::test]
async fn a_group_or_strategy_that_does_not_fit_stops_everything_before_the_first_write() {
    let fits = Stage::blue_green(&json!({}));
    let writes = fits.writes();
    for (change, expected) in [("application: API", "Settled"), ("application: OTHER", "GroupMissing")] {
        let mut stage = fits.clone();
        stage.application = stage.application.replace("application: API", change);
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        let said = let_run(&stage, WHOLE).await;
        assert_eq!(said, expected, "{change}");
        if expected != "Settled" {
            assert_eq!(stage.writes(), writes + 1, "{change}: only the image was pushed");
        }
    }
    let mut stage = fits.clone();
    stage.application =
        "  repository: mco/api\n  service: mco-api-{environment}\n  strategy: rolling\n".to_owned();
    stage.declare("aaaaaaa");
    assert_eq!(let_run(&stage, MINUTE).await, "StrategyMismatch");
}

#[tokio::test]
async fn settings_of_the_service_go_alone_and_start_nothing() {
    let mut stage = promoted(&json!({})).await;
    stage.application += "  serviceSettings: {healthCheckGracePeriodSeconds: 5}\n";
    stage.declare("bbbbbbb");
    let said = let_run(&stage, 2 * MINUTE).await;
    check(&stage, &said, ("Settled", 1, 2, "bbbbbbb"));
    let described = json!({"cluster": "mco", "services": ["mco-api-test"]});
    let service = stage.call(Api::Ecs, "DescribeServices", &described)["services"][0].clone();
    assert_eq!(service["healthCheckGracePeriodSeconds"], 5);
}

/// A promoted service whose traffic moves in steps, with a second commit at ten percent.
async fn at_ten_percent(environment: &str) -> (Stage, Running) {
    let canary = json!({"deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes"});
    let mut stage = Stage::blue_green(&canary);
    environment.clone_into(&mut stage.environment);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    let now = let_run(&stage, 2 * WHOLE).await;
    check(&stage, &now, ("Settled", 1, 2, "bbbbbbb"));
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    let swept = running.run(&stage, 2 * MINUTE).await;
    let shift = swept.plan.status.last_deployment.unwrap().shift.unwrap();
    assert_eq!((shift.stage, shift.production.map(Share::percent)), (At::Shifting, Some(10.0)));
    (stage, running)
}

#[tokio::test]
async fn traffic_in_steps_is_told_and_ends_well() {
    let (stage, mut running) = at_ten_percent("").await;
    let now = said(&running.run(&stage, 2 * WHOLE).await);
    check(&stage, &now, ("Settled", 2, 3, "ccccccc"));
}

#[tokio::test]
async fn during_the_shift_a_newer_commit_waits_or_replaces_as_the_policy_says() {
    for (policy, statuses) in [
        ("finish", vec!["Succeeded", "Succeeded", "Succeeded"]),
        ("replace", vec!["Succeeded", "Stopped", "Succeeded", "Succeeded"]),
    ] {
        let (mut stage, mut running) = at_ten_percent(&format!("  policy: {{inFlight: {policy}}}\n")).await;
        stage.build("ddddddd");
        stage.declare("ddddddd");
        let now = said(&running.run(&stage, 4 * WHOLE).await);
        check(&stage, &now, ("Settled", 3, 4, "ddddddd"));
        assert_eq!(stage.statuses(), statuses, "{policy}");
    }
}

#[tokio::test]
async fn a_stop_by_hand_during_the_shift_brings_the_traffic_back() {
    let (stage, mut running) = at_ten_percent("").await;
    let id = stage.code_deployments().last().unwrap()["deploymentId"].clone();
    // Another hand pulls the brake: what is stopped in the middle is undone by a deployment of its own.
    stage.call(Api::CodeDeploy, "StopDeployment", &json!({"deploymentId": id, "autoRollbackEnabled": true}));
    let now = said(&running.run(&stage, WHOLE).await);
    check(&stage, &now, ("Held", 2, 3, "bbbbbbb"));
    assert_eq!(stage.statuses(), ["Succeeded", "Stopped", "Succeeded"]);
}

#[tokio::test]
async fn a_listener_that_another_hand_put_back_is_named_and_holds_the_commit_until_it_is_right() {
    let mut stage = promoted(&json!({})).await;
    let lead = |stage: &Stage, name: &str| {
        let group = stage.call(Api::Elb, "DescribeTargetGroups", &json!({"Names": [name]}));
        let actions =
            json!([{"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}]);
        let input = json!({"ListenerArn": stage.listener(80), "DefaultActions": actions});
        stage.call(Api::Elb, "ModifyListener", &input);
    };
    // As Terraform does, which knows nothing of the deployment since.
    lead(&stage, "mco-api-1");
    stage.build("ccccccc");
    stage.declare("ccccccc");
    let mut running = stage.process(BTreeMap::new());
    let swept = running.run(&stage, MINUTE).await;
    check(&stage, &said(&swept), ("Held", 2, 3, "bbbbbbb"));
    let plan = swept.plan;
    let cause = plan.status.causes[0].to_string();
    assert!(cause.contains("Primary taskset target group must be behind listener"), "{cause}");
    lead(&stage, "mco-api-2");
    running.controller.write_one(&stage.declaration, "test/api", plan.retry.unwrap()).await.unwrap();
    let said = said(&running.run(&stage, WHOLE).await);
    check(&stage, &said, ("Settled", 3, 3, "ccccccc"));
}
