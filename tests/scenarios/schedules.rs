//! Tasks that rules and schedules of EventBridge start: what their targets run, and what of them stays as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use trueup::controller::{Outcome, SweepResult, Writes};
use trueup::model::{
    Declared, FirstContact, Health, OutcomeKind, Proof, RolePattern, RunAnswer, StartedBy, Sync, Waiting,
};
use trueup::plan::Step;
use trueup_simulator::{Api, Fault, Program};

use crate::account::Need;
use crate::process::{Other, Trouble};
use crate::stage::{Breaker, Running, Stage, TICK, WRITES, said};

const NIGHTLY: &str =
    "  repository: mco/api\n  taskDefinition: nightly.json\n  strategy: {schedule: {rules: [nightly]}}\n";
const FILE: &str = r#"{"family": "nightly", "containerDefinitions": [{"name": "nightly", "image": "<IMAGE_NAME>", "memory": 64}]}"#;
const CLUSTER: &str = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";
const ROLE: &str = "arn:aws:iam::123456789012:role/events";
const HOUR: u64 = 3600;

/// The rule `nightly` runs aaaaaaa, which another hand has registered; aaaaaaa was declared first, and bbbbbbb is now.
fn stage() -> Stage {
    let mut stage = bare();
    let revision = register(&stage, "nightly", "aaaaaaa");
    put_rule(&stage, "nightly", &[target("nightly", &revision)]);
    stage.write(&[("nightly", "aaaaaaa", NIGHTLY)]);
    stage.write(&[("nightly", "bbbbbbb", NIGHTLY)]);
    stage
}

fn bare() -> Stage {
    let mut stage = Stage::new(Breaker::On);
    // Their time comes when somebody says so, which no API of AWS does.
    drop(stage.account.world(Need::Clock));
    stage.build("bbbbbbb");
    stage.files.insert("nightly.json".to_owned(), Ok(FILE.to_owned()));
    stage
}

/// A revision by another hand, with the image by tag; its ARN.
fn register(stage: &Stage, family: &str, tag: &str) -> String {
    let image = format!("{}/mco/api:{tag}", stage.account.registry());
    let container = json!({"name": "nightly", "image": image, "memory": 64});
    let input = json!({"family": family, "containerDefinitions": [container]});
    let registered = stage.call(Api::Ecs, "RegisterTaskDefinition", &input);
    registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
}

fn target(id: &str, revision: &str) -> Value {
    json!({"Id": id, "Arn": CLUSTER, "RoleArn": ROLE, "Input": "{\"containerOverrides\":[]}",
        "RetryPolicy": {"MaximumRetryAttempts": 2}, "MemberOfTomorrow": {"ratio": 0.1},
        "EcsParameters": {"TaskDefinitionArn": revision, "TaskCount": 1, "LaunchType": "EC2", "NewerYet": [1]}})
}

fn put_rule(stage: &Stage, name: &str, targets: &[Value]) {
    stage.call(Api::Events, "PutRule", &json!({"Name": name, "ScheduleExpression": "rate(1 day)"}));
    if !targets.is_empty() {
        let put = stage.call(Api::Events, "PutTargets", &json!({"Rule": name, "Targets": targets}));
        assert_eq!(put["FailedEntryCount"], 0);
    }
}

fn targets(stage: &Stage, rule: &str) -> Vec<Value> {
    let listed = stage.call(Api::Events, "ListTargetsByRule", &json!({"Rule": rule}));
    listed["Targets"].as_array().unwrap().clone()
}

/// The image that the first target of a rule runs.
fn image(stage: &Stage, rule: &str) -> String {
    let arn = targets(stage, rule)[0]["EcsParameters"]["TaskDefinitionArn"].clone();
    let described = stage.call(Api::Ecs, "DescribeTaskDefinition", &json!({"taskDefinition": arn}));
    described["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap().to_owned()
}

#[track_caller]
fn check_runs(stage: &Stage, rule: &str, commit: &str) {
    let (image, digest) = (image(stage, rule), stage.digest(commit).unwrap());
    assert!(image.ends_with(&digest) || image.ends_with(&format!(":{commit}")), "{image} is not {commit}");
}

fn of<'s>(swept: &'s [SweepResult], application: &str) -> &'s SweepResult {
    swept.iter().find(|one| one.target.application.as_str() == application).unwrap()
}

fn sent(stage: &Stage) -> u64 {
    calls(stage, "PutTargets") + calls(stage, "UpdateSchedule")
}

/// Whether anything was written since then.
fn has_written(stage: &Stage, before: u64) -> bool {
    stage.writes() != before
}

async fn settle(stage: &Stage) -> Vec<SweepResult> {
    watch(stage, &mut stage.process(BTreeMap::new()), 120).await
}

/// What is said of the schedule at last.
async fn said_at_last(stage: &Stage) -> String {
    said(of(&settle(stage).await, "nightly"))
}

async fn watch(stage: &Stage, running: &mut Running, seconds: u64) -> Vec<SweepResult> {
    running.watch(stage, seconds, |_| {}).await
}

fn calls(stage: &Stage, operation: &str) -> u64 {
    stage.account.world(Need::Clock).calls(operation)
}

/// One word is one run, also where its answer is lost, and its end is told like any other.
#[tokio::test]
async fn a_person_has_what_is_declared_run_now_once_for_each_word() {
    let stage = stage();
    let mut running = stage.process(BTreeMap::new());
    running.controller.sweep(&stage.declaration, Writes::Withheld, |_| true).await;
    assert_eq!(run_now(&stage).await, None, "what is declared is not there yet");
    watch(&stage, &mut running, 120).await;
    let started = |stage: &Stage| stage.account.world(Need::Clock).runs_started();
    for (number, exit_code) in [(1, 0), (2, 1)] {
        let program = Program::Ends { exit_code, after_seconds: 5 };
        stage.account.world(Need::Clock).set_program("nightly", program);
        let step = run_now(&stage).await.unwrap();
        stage.inject(Fault::LoseAnswer { operation: "RunTask".to_owned() });
        let mut said = stage.process(BTreeMap::new());
        let lost = said.controller.write_one(&stage.declaration, "test/nightly", step.clone()).await;
        assert!(lost.is_err());
        let again = said.controller.write_one(&stage.declaration, "test/nightly", step).await.unwrap();
        assert_eq!(started(&stage), number);
        stage.advance(60);
        let swept = settle(&stage).await;
        let last = of(&swept, "nightly").plan.status.last_run.clone().unwrap();
        let result = if exit_code == 0 { OutcomeKind::Succeeded } else { OutcomeKind::Failed };
        assert_eq!((last.result, Some(RunAnswer::Started(last.task))), (result, again));
    }
    check_runs(&stage, "nightly", "bbbbbbb");
}

/// What a person's word would be now.
async fn run_now(stage: &Stage) -> Option<Step> {
    let mut said = stage.process(BTreeMap::new());
    let swept = said.controller.sweep(&stage.declaration, Writes::Withheld, |_| true).await;
    of(&swept, "nightly").plan.run_again.clone()
}

#[tokio::test]
async fn a_rule_runs_what_is_declared_and_all_else_of_it_stays() {
    let stage = stage();
    let before = targets(&stage, "nightly");
    let mut running = stage.process(BTreeMap::new());
    let swept = watch(&stage, &mut running, 120).await;
    let plan = &of(&swept, "nightly").plan;
    assert_eq!(said(of(&swept, "nightly")), "Settled");
    check_runs(&stage, "nightly", "bbbbbbb");
    assert_eq!(calls(&stage, "PutTargets"), 2, "that of another hand, and one");
    let mut after = targets(&stage, "nightly");
    after[0]["EcsParameters"]["TaskDefinitionArn"] = before[0]["EcsParameters"]["TaskDefinitionArn"].clone();
    assert_eq!(after, before);
    assert_eq!((plan.status.sync, plan.status.proof), (Sync::Synced, Proof::Unproven));
    // A run of it proves it.
    assert!(stage.account.world(Need::Clock).fire("nightly"));
    let swept = watch(&stage, &mut running, HOUR).await;
    let status = &of(&swept, "nightly").plan.status;
    assert_eq!((status.health, status.proof), (Health::Healthy, Proof::Proven));
    assert_eq!(status.last_run.as_ref().unwrap().result, OutcomeKind::Succeeded);
}

const BY_SCHEDULER: &str = "  repository: mco/api\n  taskDefinition: nightly.json\n  strategy: {schedule: {schedules: [jobs/nightly]}}\n";

/// A schedule with everything that one can have, and that an update drops which does not repeat it.
fn create_schedule(stage: &Stage, revision: &str) {
    stage.call(Api::Scheduler, "CreateScheduleGroup", &json!({"Name": "jobs"}));
    let schedule = json!({"GroupName": "jobs", "Name": "nightly", "ScheduleExpression": "cron(0 3 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/London", "Description": "the nightly job", "State": "DISABLED",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}, "ActionAfterCompletion": "DELETE",
        "StartDate": 1_767_225_600.125, "EndDate": 1_893_456_000, "KmsKeyArn": "arn:aws:kms:eu-west-2:123456789012:key/1",
        "Target": {"Arn": CLUSTER, "RoleArn": ROLE, "Input": "{}", "DeadLetterConfig": {"Arn": "arn:aws:sqs:x"},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 60}, "MemberOfTomorrow": {"ratio": 0.1},
            "EcsParameters": {"TaskDefinitionArn": revision, "Tags": [{"key": "a", "value": "b"}], "ReferenceId": "r"}}});
    stage.call(Api::Scheduler, "CreateSchedule", &schedule);
}

fn described_schedule(stage: &Stage) -> Value {
    stage.call(Api::Scheduler, "GetSchedule", &json!({"GroupName": "jobs", "Name": "nightly"}))
}

#[tokio::test]
async fn a_schedule_is_sent_back_with_all_of_its_members() {
    let mut stage = bare();
    create_schedule(&stage, &register(&stage, "nightly", "aaaaaaa"));
    let before = described_schedule(&stage);
    stage.write(&[("nightly", "aaaaaaa", BY_SCHEDULER)]);
    stage.write(&[("nightly", "bbbbbbb", BY_SCHEDULER)]);
    let swept = settle(&stage).await;
    let plan = &of(&swept, "nightly").plan;
    assert_eq!((said(of(&swept, "nightly")).as_str(), plan.status.health), ("Settled", Health::Suspended));
    assert_eq!(plan.findings[0].message, "schedule jobs/nightly is disabled: it starts nothing");
    let mut after = described_schedule(&stage);
    let runs = &mut after["Target"]["EcsParameters"]["TaskDefinitionArn"];
    assert!(runs.as_str().unwrap().ends_with("nightly:2"), "{runs}");
    *runs = before["Target"]["EcsParameters"]["TaskDefinitionArn"].clone();
    after["LastModificationDate"] = before["LastModificationDate"].clone();
    assert_eq!((after, calls(&stage, "UpdateSchedule")), (before, 1));
}

#[tokio::test]
async fn other_targets_of_a_rule_are_not_touched() {
    let mut stage = bare();
    let [ours, weekly] = ["nightly", "weekly"].map(|family| register(&stage, family, "aaaaaaa"));
    let elsewhere = json!({"Id": "elsewhere", "Arn": format!("{CLUSTER}-2"), "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": ours}});
    let queue = json!({"Id": "queue", "Arn": "arn:aws:sqs:eu-west-2:123456789012:jobs"});
    let others = [target("weekly", &weekly), elsewhere, queue];
    let all: Vec<Value> =
        others.iter().cloned().chain([target("one", &ours), target("two", &ours)]).collect();
    put_rule(&stage, "nightly", &all);
    stage.write(&[("nightly", "aaaaaaa", NIGHTLY)]);
    stage.write(&[("nightly", "bbbbbbb", NIGHTLY)]);
    assert_eq!(said_at_last(&stage).await, "Settled");
    let after = targets(&stage, "nightly");
    assert_eq!(after[..3], others);
    for one in &after[3..] {
        let arn = one["EcsParameters"]["TaskDefinitionArn"].as_str().unwrap();
        assert!(arn.ends_with("nightly:2"), "{arn}");
    }
    assert_eq!(calls(&stage, "PutTargets"), 2, "both in one call");
}

#[tokio::test]
async fn what_runs_already_is_left_as_it_is_and_first_contact_is_no_licence() {
    let mut stage = bare();
    put_rule(&stage, "nightly", &[target("nightly", &register(&stage, "nightly", "aaaaaaa"))]);
    stage.write(&[("nightly", "aaaaaaa", NIGHTLY)]);
    let before = stage.writes();
    let swept = settle(&stage).await;
    assert_eq!(said(of(&swept, "nightly")), "Settled");
    assert_eq!(of(&swept, "nightly").plan.status.sync, Sync::Synced);
    assert!(!has_written(&stage, before));
    // Nothing declared what runs there.
    let mut stage = bare();
    put_rule(&stage, "nightly", &[target("nightly", &register(&stage, "nightly", "aaaaaaa"))]);
    stage.write(&[("nightly", "bbbbbbb", NIGHTLY)]);
    let before = stage.writes();
    let swept = settle(&stage).await;
    let one = of(&swept, "nightly");
    assert_eq!((said(one).as_str(), has_written(&stage, before)), ("Drifted", false));
    let last = one.plan.status.last_deployment.as_ref().unwrap();
    assert_eq!((last.started_by, one.plan.status.drift.is_empty()), (StartedBy::Other, false));
    let Declared::Readable(desired) = &mut stage.declaration.applications[0] else { panic!() };
    desired.first_contact = FirstContact::Adopt;
    assert_eq!(said_at_last(&stage).await, "Settled");
    check_runs(&stage, "nightly", "bbbbbbb");
}

#[tokio::test]
async fn a_target_without_a_revision_is_told_and_gets_one_when_it_is_declared() {
    for (commit, expected) in [("aaaaaaa", "aaaaaaa"), ("bbbbbbb", "bbbbbbb")] {
        let mut stage = bare();
        let revision = register(&stage, "nightly", "aaaaaaa");
        put_rule(&stage, "nightly", &[target("nightly", revision.rsplit_once(':').unwrap().0)]);
        stage.write(&[("nightly", commit, NIGHTLY)]);
        let mut running = stage.process(BTreeMap::new());
        let first = running.pass(&stage).await;
        let plan = &of(&first, "nightly").plan;
        let danger =
            "rule nightly names no revision: each time it starts whatever is registered last, proven or not";
        assert_eq!((plan.findings[0].message.as_str(), plan.status.sync), (danger, Sync::OutOfSync));
        let swept = watch(&stage, &mut running, 120).await;
        assert_eq!(
            (said(of(&swept, "nightly")).as_str(), of(&swept, "nightly").plan.findings.len()),
            ("Settled", 0)
        );
        check_runs(&stage, "nightly", expected);
        let arn = targets(&stage, "nightly")[0]["EcsParameters"]["TaskDefinitionArn"].clone();
        assert!(arn.as_str().unwrap().ends_with(":2"), "{arn}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_told_before_anything_is_written() {
    let queue = || json!({"Id": "queue", "Arn": "arn:aws:sqs:eu-west-2:123456789012:jobs"});
    let elsewhere = |revision: &str| {
        json!({"Id": "a", "Arn": "arn:aws:ecs:eu-west-2:123456789012:cluster/other", "RoleArn": ROLE,
        "EcsParameters": {"TaskDefinitionArn": revision}})
    };
    let unfit =
        |why: &str| Waiting::ScheduleUnfit { schedule: "rule nightly".to_owned(), why: why.to_owned() };
    for (case, expected) in [
        ("missing", Waiting::ScheduleMissing { schedule: "rule nightly".to_owned() }),
        ("empty", unfit("it has no target")),
        ("queue", unfit("its target has no ECS parameters, so that it starts no task")),
        (
            "family",
            unfit(
                "it runs the task definition family weekly, and the task definition that is declared is of nightly",
            ),
        ),
        ("cluster", unfit("it starts tasks in other, and cluster mco is declared")),
        (
            "role",
            unfit("the operator's settings do not allow its role arn:aws:iam::123456789012:role/events"),
        ),
    ] {
        let mut stage = bare();
        let [nightly, weekly] = ["nightly", "weekly"].map(|family| register(&stage, family, "aaaaaaa"));
        match case {
            "missing" => {}
            "empty" => put_rule(&stage, "nightly", &[]),
            "queue" => put_rule(&stage, "nightly", &[queue()]),
            "family" => put_rule(&stage, "nightly", &[queue(), target("a", &weekly)]),
            "cluster" => put_rule(&stage, "nightly", &[elsewhere(&nightly)]),
            _ => put_rule(&stage, "nightly", &[target("a", &nightly)]),
        }
        stage.write(&[("nightly", "aaaaaaa", NIGHTLY)]);
        stage.write(&[("nightly", "bbbbbbb", NIGHTLY)]);
        let Declared::Readable(desired) = &mut stage.declaration.applications[0] else { panic!() };
        if case == "role" {
            desired.allowed_roles = Some(vec![RolePattern::new("tasks-*")]);
        }
        let before = stage.writes();
        let swept = settle(&stage).await;
        let one = of(&swept, "nightly");
        assert_eq!(
            (one.plan.waiting.as_ref(), has_written(&stage, before)),
            (Some(&expected), false),
            "{case}"
        );
        assert_ne!(one.plan.status.sync, Sync::Synced, "{case}");
    }
}

#[tokio::test]
async fn what_aws_refuses_of_a_target_is_one_reason_and_registers_nothing_again() {
    for (fault, why) in [
        (
            Fault::FailEntries {
                code: "ConcurrentModificationException".to_owned(),
                message: "Rule nightly is being modified".to_owned(),
                times: 1,
            },
            "refused: ConcurrentModificationException: target nightly: Rule nightly is being modified",
        ),
        (
            Fault::Deny { operation: "PutTargets".to_owned(), times: 1 },
            "not allowed: AccessDeniedException: ",
        ),
    ] {
        let stage = stage();
        stage.inject(fault);
        let mut running = stage.process(BTreeMap::new());
        let mut refused = None;
        let see = |swept: &[SweepResult]| {
            let one = of(swept, "nightly");
            if let Outcome::Failed(..) = &one.outcome {
                refused.clone_from(&one.plan.waiting);
            }
        };
        let swept = running.watch(&stage, 120, see).await;
        let Some(Waiting::Refused { what, why: told, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(what, "have the schedule run it");
        assert!(told.starts_with(why), "{told}");
        assert_eq!(said(of(&swept, "nightly")), "Settled", "it is tried again");
        check_runs(&stage, "nightly", "bbbbbbb");
        assert_eq!((calls(&stage, "PutTargets"), calls(&stage, "RegisterTaskDefinition")), (3, 3));
    }
}

#[tokio::test]
async fn the_way_back_is_the_old_revision_and_nothing_is_registered_for_it() {
    let mut stage = stage();
    settle(&stage).await;
    stage.build("ccccccc");
    stage.write(&[("nightly", "ccccccc", NIGHTLY)]);
    settle(&stage).await;
    let registered = calls(&stage, "RegisterTaskDefinition");
    stage.write(&[("nightly", "bbbbbbb", NIGHTLY)]);
    assert_eq!(said_at_last(&stage).await, "Settled");
    check_runs(&stage, "nightly", "bbbbbbb");
    assert_eq!(calls(&stage, "RegisterTaskDefinition"), registered);
    let arn = targets(&stage, "nightly")[0]["EcsParameters"]["TaskDefinitionArn"].clone();
    assert!(arn.as_str().unwrap().ends_with("nightly:2"), "{arn}");
}

/// Another hand points the rule at a revision with this tag.
fn point(stage: &Stage, revision: &str) {
    let mut all = targets(stage, "nightly");
    all[0]["EcsParameters"]["TaskDefinitionArn"] = json!(revision);
    stage.call(Api::Events, "PutTargets", &json!({"Rule": "nightly", "Targets": all}));
}

#[tokio::test]
async fn another_hand_is_drift_and_what_heals_it_has_an_end() {
    for (drift, expected, runs) in
        [("alert", "Drifted", "aaaaaaa"), ("ignore", "Drifted", "aaaaaaa"), ("heal", "Settled", "bbbbbbb")]
    {
        let mut stage = stage();
        stage.environment = format!("  policy: {{drift: {drift}}}\n");
        stage.write(&[("nightly", "bbbbbbb", NIGHTLY)]);
        settle(&stage).await;
        // What Terraform would do: back to the revision that it knows.
        let theirs = "arn:aws:ecs:eu-west-2:123456789012:task-definition/nightly:1";
        point(&stage, theirs);
        let swept = settle(&stage).await;
        let status = &of(&swept, "nightly").plan.status;
        assert_eq!(said(of(&swept, "nightly")), expected, "{drift}");
        assert_eq!(status.drift.is_empty(), drift != "alert", "{drift}");
        check_runs(&stage, "nightly", runs);
        if drift != "heal" {
            continue;
        }
        // Two owners who fight are left to people.
        let mut running = stage.process(BTreeMap::new());
        let mut last = String::new();
        for _ in 0..5 {
            point(&stage, theirs);
            last = said(of(&watch(&stage, &mut running, HOUR).await, "nightly"));
        }
        assert_eq!(last, "Contested");
        check_runs(&stage, "nightly", "aaaaaaa");
    }
}

/// The rule `nightly` and a schedule both run it.
#[tokio::test]
async fn a_rule_and_a_schedule_are_written_one_after_the_other() {
    let both = NIGHTLY.replace("{rules: [nightly]}", "{rules: [nightly], schedules: [jobs/nightly]}");
    let mut stage = bare();
    put_rule(&stage, "nightly", &[target("nightly", &register(&stage, "nightly", "aaaaaaa"))]);
    // Another revision of the same.
    create_schedule(&stage, &register(&stage, "nightly", "aaaaaaa"));
    stage.write(&[("nightly", "aaaaaaa", &both)]);
    stage.write(&[("nightly", "bbbbbbb", &both)]);
    let (stage, mut running) = (&stage, stage.process(BTreeMap::new()));
    let mut writes = Vec::new();
    let see = |swept: &[SweepResult]| {
        if let Outcome::Wrote(step) = &of(swept, "nightly").outcome {
            writes.push(trueup::view::words::step_line(step));
        }
    };
    let swept = running.watch(stage, 120, see).await;
    assert_eq!(said(of(&swept, "nightly")), "Settled");
    assert_eq!(
        writes,
        [
            "register a task definition for bbbbbbb",
            "have rule nightly run nightly:3",
            "have schedule jobs/nightly run nightly:3",
            "record trueup:outcome on nightly:3"
        ]
    );
    // Only one of them was written when the process ended.
    let mut again = stage.clone();
    again.build("ccccccc");
    again.write(&[("nightly", "ccccccc", &both)]);
    let calls = {
        let learned = again.clone();
        let mut running = learned.process(BTreeMap::new());
        watch(&learned, &mut running, 60).await;
        running.process().calls()
    };
    let put = calls.iter().position(|call| call == "PutTargets").unwrap();
    let mut running = again.process(BTreeMap::from([(put, Trouble::CrashAfter)]));
    watch(&again, &mut running, 60).await;
    assert!(running.process().has_crashed());
    assert_eq!(said_at_last(&again).await, "Settled");
    check_runs(&again, "nightly", "ccccccc");
    let runs = described_schedule(&again)["Target"]["EcsParameters"]["TaskDefinitionArn"].clone();
    assert!(runs.as_str().unwrap().ends_with("nightly:4"), "{runs}");
}

#[tokio::test]
async fn a_migration_that_fails_keeps_the_schedule_where_it_is() {
    let migrate = "  repository: mco/api\n  taskDefinition: migrate.json\n  strategy: task\n";
    let after = format!("{NIGHTLY}  after: [migrate, api]\n");
    let api = "  repository: mco/api\n  service: mco-api-{environment}\n  policy: {steady: 0s}\n  after: [migrate]\n";
    let mut stage = bare();
    let file = FILE.replace("nightly", "migrate");
    stage.files.insert("migrate.json".to_owned(), Ok(file));
    put_rule(&stage, "nightly", &[target("nightly", &register(&stage, "nightly", "aaaaaaa"))]);
    let declare = |stage: &mut Stage, commit: &str| {
        stage.write(&[("api", commit, api), ("migrate", commit, migrate), ("nightly", commit, &after)]);
    };
    declare(&mut stage, "aaaaaaa");
    settle(&stage).await;
    declare(&mut stage, "bbbbbbb");
    let fails = Program::Ends { exit_code: 1, after_seconds: 5 };
    stage.account.world(Need::Faults).set_program("migrate", fails);
    let mut running = stage.process(BTreeMap::new());
    let swept = watch(&stage, &mut running, 300).await;
    let why = Waiting::Turn { why: "after test/migrate, which has failed".to_owned() };
    assert_eq!(of(&swept, "nightly").plan.waiting, Some(why));
    check_runs(&stage, "nightly", "aaaaaaa");
    // Once it has run, the service goes first.
    let ends = Program::Ends { exit_code: 0, after_seconds: 5 };
    stage.account.world(Need::Faults).set_program("migrate", ends);
    let retry = of(&swept, "migrate").plan.retry.clone().unwrap();
    running.controller.write_one(&stage.declaration, "test/migrate", retry).await.unwrap();
    let mut was_early = false;
    let see = |_: &[SweepResult]| {
        let serves = stage.running().iter().all(|digest| Some(digest) == stage.digest("bbbbbbb").as_ref());
        was_early |= !serves && sent(&stage) > 1;
    };
    let swept = running.watch(&stage, 400, see).await;
    assert_eq!((said(of(&swept, "nightly")).as_str(), was_early), ("Settled", false));
    check_runs(&stage, "nightly", "bbbbbbb");
}

/// A run now, which ends with this code, and the look of another process so many seconds later.
async fn ran(stage: &Stage, exit_code: i64, later: u64) -> trueup::model::Status {
    let program = Program::Ends { exit_code, after_seconds: 5 };
    stage.account.world(Need::Faults).set_program("nightly", program);
    assert!(stage.account.world(Need::Clock).fire("nightly"));
    stage.advance(60);
    settle(stage).await;
    stage.advance(later);
    of(&settle(stage).await, "nightly").plan.status.clone()
}

#[tokio::test]
async fn the_last_run_is_told_also_when_aws_has_forgotten_it() {
    let stage = stage();
    settle(&stage).await;
    let running = "arn:aws:ecs:eu-west-2:123456789012:task-definition/nightly:2".to_owned();
    for (exit_code, later, health, causes) in [
        (0, 0, Health::Healthy, vec![]),
        (1, 0, Health::Degraded, vec!["container nightly exited with 1"]),
        (3, 5 * HOUR, Health::Degraded, vec!["container nightly exited with 1"]),
        (0, 5 * HOUR, Health::Healthy, vec![]),
    ] {
        let status = ran(&stage, exit_code, later).await;
        let last = status.last_run.unwrap();
        let result = if causes.is_empty() { OutcomeKind::Succeeded } else { OutcomeKind::Failed };
        assert_eq!((last.result, status.health), (result, health), "{exit_code} {later}");
        let told: Vec<&str> = status.causes.iter().map(|cause| cause.text.as_str()).collect();
        assert_eq!(told, causes, "{exit_code} {later}");
        let proof = if causes.is_empty() { Proof::Proven } else { Proof::Unproven };
        assert_eq!((status.proof, status.failing_since.is_some()), (proof, !causes.is_empty()));
    }
    // A run of another revision says nothing of this one.
    let theirs = register(&stage, "nightly", "aaaaaaa");
    stage.call(Api::Ecs, "RunTask", &json!({"cluster": "mco", "taskDefinition": theirs}));
    stage
        .account
        .world(Need::Faults)
        .set_program("nightly", Program::Ends { exit_code: 9, after_seconds: 1 });
    stage.advance(60);
    let status = of(&settle(&stage).await, "nightly").plan.status.clone();
    assert_eq!((status.health, status.deployed.unwrap().as_str()), (Health::Healthy, running.as_str()));
}

#[tokio::test]
async fn a_job_that_runs_every_minute_is_recorded_twice_a_day() {
    let stage = stage();
    let mut running = stage.process(BTreeMap::new());
    watch(&stage, &mut running, 60).await;
    let before = calls(&stage, "TagResource");
    for _ in 0..60 {
        assert!(stage.account.world(Need::Clock).fire("nightly"));
        watch(&stage, &mut running, 60).await;
    }
    assert_eq!(calls(&stage, "TagResource") - before, 1);
    stage.advance(12 * HOUR);
    assert!(stage.account.world(Need::Clock).fire("nightly"));
    watch(&stage, &mut running, HOUR).await;
    assert_eq!(calls(&stage, "TagResource") - before, 2);
}

/// Looks until nothing more happens, and leaves who crashes alone for a while before another one comes.
async fn play(stage: &Stage, plan: BTreeMap<usize, Trouble>, away: u64) -> (String, Vec<String>) {
    let mut running = stage.process(plan);
    let (mut last, mut rests) = (String::new(), 0);
    for _ in 0..100 {
        let swept = running.pass(stage).await;
        if running.process().has_crashed() {
            stage.advance(away);
            running = stage.process(BTreeMap::new());
        } else {
            last = said(of(&swept, "nightly"));
            rests = if last == "Settled" { rests + 1 } else { 0 };
        }
        if rests > 3 {
            break;
        }
        stage.advance(TICK);
    }
    (last, running.process().calls())
}

/// What must be so at the end, whatever has happened.
#[track_caller]
fn check_end(stage: &Stage, before: &[Value], place: &str) {
    let mut after = targets(stage, "nightly");
    check_runs(stage, "nightly", "bbbbbbb");
    after[0]["EcsParameters"]["TaskDefinitionArn"] = before[0]["EcsParameters"]["TaskDefinitionArn"].clone();
    assert_eq!(after, before, "{place}");
    // Those of the service and of another hand, and ours; one more at most.
    assert!(calls(stage, "RegisterTaskDefinition") <= 4, "{place}: registered too often");
    assert!(sent(stage) <= 3, "{place}: written too often");
}

#[tokio::test]
async fn whatever_is_lost_and_whoever_crashes_the_rule_runs_what_is_declared() {
    let stage = stage();
    let before = targets(&stage, "nightly");
    let (plain, calls) = play(&stage.clone(), BTreeMap::new(), 0).await;
    assert_eq!(plain, "Settled");
    let is_write = |index: usize| WRITES.contains(&calls[index].as_str());
    assert_eq!((0..calls.len()).filter(|index| is_write(*index)).count(), 3, "{calls:?}");
    for (trouble, aways) in [
        (Trouble::CrashBefore, [600, 3 * 24 * HOUR].as_slice()),
        (Trouble::CrashAfter, [0, 3 * 24 * HOUR].as_slice()),
        (Trouble::LoseRequest, [0].as_slice()),
        (Trouble::LoseAnswer, [0].as_slice()),
        (Trouble::Throttle, [0].as_slice()),
        (Trouble::ServerError, [0].as_slice()),
    ] {
        for call in (0..calls.len()).filter(|index| is_write(*index)) {
            for away in aways {
                let stage = stage.clone();
                let place = format!("{trouble:?} at {call} ({}), back after {away} s", calls[call]);
                let (said, _) = play(&stage, BTreeMap::from([(call, trouble)]), *away).await;
                assert_eq!(said, "Settled", "{place}");
                check_end(&stage, &before, &place);
            }
        }
    }
}

/// A second controller, with a memory of its own.
struct Beside {
    stage: Stage,
    running: Mutex<Running>,
}

#[async_trait]
impl Other for Beside {
    async fn act(&self) {
        self.running.lock().await.pass(&self.stage).await;
    }
}

#[tokio::test]
async fn two_controllers_agree_on_a_rule() {
    let stage = stage();
    let before = targets(&stage, "nightly");
    let (_, calls) = play(&stage.clone(), BTreeMap::new(), 0).await;
    let is_write = |index: usize| calls.get(index).is_some_and(|call| WRITES.contains(&call.as_str()));
    for first in (0..calls.len()).filter(|index| is_write(*index) || is_write(index + 1)) {
        for second in [first + 1, first + 4] {
            let stage = stage.clone();
            let beside =
                Beside { stage: stage.beside(), running: Mutex::new(stage.process(BTreeMap::new())) };
            let plan = BTreeMap::from([(first, Trouble::Elsewhere), (second, Trouble::Elsewhere)]);
            let mut running = stage.process_beside(plan, Some(Arc::new(beside)));
            let swept = watch(&stage, &mut running, 100).await;
            let place = format!("between {first} and {second}");
            assert_eq!(said(of(&swept, "nightly")), "Settled", "{place}");
            check_end(&stage, &before, &place);
        }
    }
}

type Act = fn(&Stage);

/// Another hand with the rule.
struct Hand {
    stage: Stage,
    act: Act,
}

#[async_trait]
impl Other for Hand {
    async fn act(&self) {
        (self.act)(&self.stage);
    }
}

#[tokio::test]
async fn another_hand_between_reading_and_writing_is_overwritten_or_seen_after() {
    let stage = stage();
    let (_, calls) = play(&stage.clone(), BTreeMap::new(), 0).await;
    let put = calls.iter().position(|call| call == "PutTargets").unwrap();
    let (read, written) =
        (calls[..put].iter().rposition(|call| call == "ListTargetsByRule").unwrap(), put + 1);
    // Nothing else is asked in between, so that hardly any time is left for another hand.
    assert_eq!(put, read + 1);
    let other_input = |stage: &Stage| {
        let mut all = targets(stage, "nightly");
        all[0]["Input"] = json!("{\"containerOverrides\":[{\"name\":\"nightly\"}]}");
        stage.call(Api::Events, "PutTargets", &json!({"Rule": "nightly", "Targets": all}));
    };
    let other_revision =
        |stage: &Stage| point(stage, "arn:aws:ecs:eu-west-2:123456789012:task-definition/nightly:1");
    let removed = |stage: &Stage| {
        stage.call(Api::Events, "RemoveTargets", &json!({"Rule": "nightly", "Ids": ["nightly"]}));
    };
    let acts: [(&str, usize, Act, &str); 5] = [
        // Right before the last reading it is seen, and sent back with the rest.
        ("their input", read, other_input, "Settled"),
        ("their revision", put, other_revision, "Settled"),
        ("their revision after", written, other_revision, "Settled"),
        ("their removal", read, removed, "ScheduleUnfit"),
        // The target is put back: AWS looks at no version.
        ("their removal in between", put, removed, "Settled"),
    ];
    for (what, at, act, expected) in acts {
        let stage = stage.clone();
        let hand = Hand { stage: stage.beside(), act };
        let plan = BTreeMap::from([(at, Trouble::Elsewhere)]);
        let mut running = stage.process_beside(plan, Some(Arc::new(hand)));
        let swept = watch(&stage, &mut running, 120).await;
        assert_eq!(said(of(&swept, "nightly")), expected, "{what}");
        if expected == "Settled" {
            check_runs(&stage, "nightly", "bbbbbbb");
        }
        if what == "their input" {
            assert!(targets(&stage, "nightly")[0]["Input"].as_str().unwrap().contains("nightly"));
        }
    }
}

#[tokio::test]
async fn at_rest_a_schedule_costs_a_few_calls_in_ten_minutes() {
    let stage = stage();
    let mut running = stage.process(BTreeMap::new());
    watch(&stage, &mut running, 120).await;
    let before = running.process().calls().len();
    for _ in 0..120 {
        running.pass(&stage).await;
        stage.advance(30);
    }
    let calls = running.process().calls().len() - before;
    // An hour: a look of eleven calls every five to ten minutes.
    assert!((20..=140).contains(&calls), "{calls}");
}
