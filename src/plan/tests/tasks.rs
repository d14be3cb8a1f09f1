//! Tasks: asked for once for each content and attempt, followed to their end, and a doubt that runs nothing.

use super::*;
use crate::documents::memory::Stamp;
use crate::plan::task::started_by;

const MINUTE: Millis = 60_000;

/// The task of commit bbbbbbb, of which nothing is known yet.
fn job() -> Scene {
    Scene::new().with(|scene| {
        scene.desired.workload = Workload::Task(Box::new(OneShot {
            network: RunNetwork::Unspecified,
            capacity: RunCapacity::Unspecified,
            timeout: Some(std::time::Duration::from_mins(10)),
            success: None,
        }));
        let (path, input) = ("taskdef.json".to_owned(), input("<IMAGE_NAME>"));
        scene.desired.task_definition = TaskDefinitionSource::File { path, input: input.into() };
        scene.observed.service = Reading::Absent;
        scene.observed.service_deployments = Reading::Absent;
        scene.observed.revisions.clear();
        scene.observed.tasks = Reading::Known(Vec::new());
    })
}

/// With its revision, and what its first attempt is known to be; asked for so long ago.
fn asked(ago: Millis, standing: RunStanding, refusals: u32) -> Scene {
    let cluster = ClusterName::new("mco");
    let run = RunStamp { attempt: 1, refusals, asked_at: NOW - ago, standing, cluster };
    stamped(job().ours(2, 'b', 1, "-"), &Stamp::Run { run, why: Some("RESOURCE:CPU".to_owned()) })
}

fn stamped(scene: Scene, stamp: &Stamp) -> Scene {
    stamp.tags().into_iter().fold(scene, |scene, tag| scene.tag(2, tag))
}

fn started() -> RunStanding {
    RunStanding::Started("1".to_owned())
}

/// Task 1, which has run for so long.
fn found(scene: Scene, runs_for: Millis, ended: Option<i32>) -> Scene {
    scene.with(|scene| {
        let content = memory::content_hash(&target(), &input(&format!("{URI}@{}", digest('b'))));
        let mut found = task(2, 'b');
        found.arn = "arn:aws:ecs:eu-west-2:123456789012:task/mco/1".to_owned();
        found.started_by = Some(DeploymentId::new(started_by(&target(), &content, 1)));
        found.started_at = Some(NOW - runs_for);
        if let Some(code) = ended {
            found.last_status = "STOPPED".to_owned();
            found.stop_code = Some("EssentialContainerExited".to_owned());
            found.containers[0].exit_code = Some(code);
        }
        scene.observed.tasks = Reading::Known(vec![found]);
    })
}

fn ended(result: OutcomeKind) -> Scene {
    let outcome = Outcome { result, deployment: "1".to_owned() };
    stamped(asked(2 * MINUTE, started(), 0), &Stamp::Ran { outcome, attempt: 1, why: None })
}

#[test]
fn a_task_is_asked_for_once_it_is_written_down_and_again_for_as_long_as_its_token_lives() {
    use RunStanding::{Asked, Refused};
    job().check("register bbbbbbb 1/head/-");
    job().ours(2, 'b', 1, "-").check("stamp mco-api:2 trueup:run=1.0/10000/-");
    asked(0, Asked, 0).check("run mco-api:2");
    asked(45 * MINUTE - 1000, Asked, 0).check("run mco-api:2");
    asked(45 * MINUTE, Asked, 0).check("OutcomeUnknown");
    // However old the stamp is: what was started by it is it.
    found(asked(120 * MINUTE, Asked, 0), MINUTE, None).check("stamp mco-api:2 trueup:run=1.0/2800/1");
    // A refusal uses the token up, and the next try is written down first like the one before.
    asked(10_000, Refused, 1).check("NoCapacity");
    asked(30_000, Refused, 1).check("stamp mco-api:2 trueup:run=1.1/10000/-");
    asked(30_000, Refused, 2).check("NoCapacity");
}

#[test]
fn what_is_declared_by_now_is_run_after_what_was_asked_for_before() {
    let newer = |scene: Scene| {
        scene.with(|scene| {
            scene.desired.images[0].commit = Commit::new("ccccccc");
            scene.desired.images[0].commit_tag = Tag::new("ccccccc");
            scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
        })
    };
    found(newer(asked(MINUTE, started(), 0)), MINUTE, None).check("Running");
    // The request may still arrive.
    newer(asked(10 * MINUTE - 1000, RunStanding::Asked, 0)).check("Consistency");
    newer(asked(10 * MINUTE, RunStanding::Asked, 0)).check("stamp mco-api:2 trueup:outcome=superseded/-");
    newer(ended(OutcomeKind::Failed)).check("register ccccccc 2/head/-");
}

#[test]
fn a_task_is_followed_to_its_end() {
    let runs = |scene, runs_for, ended, expected: &str| found(scene, runs_for, ended).check(expected);
    let one = || asked(12 * MINUTE, started(), 0);
    runs(one(), 10 * MINUTE, None, "Running");
    runs(one(), 10 * MINUTE + 1, None, "stop task 1");
    runs(one(), MINUTE, Some(0), "stamp mco-api:2 trueup:outcome=succeeded/1");
    runs(one(), MINUTE, Some(3), "stamp mco-api:2 trueup:outcome=failed/1");
    // AWS tells of it for an hour after its end.
    asked(60 * MINUTE, started(), 0).check("Consistency");
    asked(61 * MINUTE, started(), 0).check("OutcomeUnknown");
}

#[test]
fn what_ended_is_run_again_by_a_persons_word_alone() {
    let retry = Some(Step::Stamp { revision: arn(2), stamp: Stamp::Retry("1".to_owned()) });
    let (good, bad) = (ended(OutcomeKind::Succeeded), ended(OutcomeKind::Failed));
    good.check("Settled");
    assert_eq!((good.plan().retry, good.plan().run_again), (None, retry.clone()));
    bad.check("Held");
    assert_eq!((bad.plan().retry, bad.plan().run_again), (retry.clone(), retry.clone()));
    let unknown = asked(61 * MINUTE, started(), 0).plan();
    assert_eq!((unknown.retry, unknown.run_again), (retry.clone(), retry));
    let settled = unknown.unsettled.unwrap().settle(OutcomeKind::Succeeded, "seen in the log");
    let Step::Stamp { revision, stamp } = settled else { unreachable!() };
    assert_eq!((revision, stamp.tags()["trueup:outcome"].as_str()), (arn(2), "succeeded/1"));
    // Nobody can be asked of what goes on, or has yet to begin.
    for scene in [found(asked(MINUTE, started(), 0), MINUTE, None), job().ours(2, 'b', 1, "-")] {
        let plan = scene.plan();
        assert_eq!((plan.retry, plan.run_again, plan.unsettled), (None, None, None));
    }
    stamped(ended(OutcomeKind::Failed), &Stamp::Retry("1".to_owned()))
        .check("stamp mco-api:2 trueup:run=2.0/10000/-");
}

#[test]
fn a_task_waits_for_its_turn_and_for_the_network_that_it_is_to_have() {
    job().with(|scene| scene.turn = Some("after test/seed")).check("Turn");
    let like = |model| {
        job().with(|scene| {
            let Workload::Task(task) = &mut scene.desired.workload else { unreachable!() };
            task.network = RunNetwork::Like(ServiceName::new("mco-api-test"));
            scene.observed.model_service = model;
        })
    };
    like(None).check("LookDeeper");
    like(Some(Reading::Absent)).check("NoNetwork");
    like(Some(Reading::Unavailable("slow".to_owned()))).check("Unreadable");
    like(Some(Reading::Known(service(1, "ecs-svc/1", RolloutState::Completed))))
        .check("register bbbbbbb 1/head/-");
}

#[test]
fn a_platform_version_goes_along_on_fargate_alone() {
    let sent = |capacity, strategy: Value| {
        let mut model = service(1, "ecs-svc/1", RolloutState::Completed);
        model.settings = json!({"platformVersion": "1.4.0", "capacityProviderStrategy": strategy});
        let scene = asked(0, RunStanding::Asked, 0).with(|scene| {
            let Workload::Task(task) = &mut scene.desired.workload else { unreachable!() };
            (task.network, task.capacity) = (RunNetwork::Like(ServiceName::new("mco-api-test")), capacity);
            scene.observed.model_service = Some(Reading::Known(model));
        });
        let Some(Step::Run { input, .. }) = scene.plan().steps.into_iter().next() else { unreachable!() };
        input.get("platformVersion").is_some()
    };
    let by = |name: &str| json!([{"capacityProvider": name, "weight": 1}]);
    let providers = |name: &str| RunCapacity::Providers(vec![name.to_owned()]);
    // As the service has it.
    assert!(sent(RunCapacity::Unspecified, by("FARGATE")));
    assert!(sent(providers("FARGATE_SPOT"), by("FARGATE")));
    assert!(!sent(providers("OWN_FARGATE"), by("FARGATE")));
    assert!(sent(RunCapacity::LaunchType("FARGATE".to_owned()), by("FARGATE")));
    assert!(!sent(RunCapacity::LaunchType("EC2".to_owned()), by("FARGATE")));
}
