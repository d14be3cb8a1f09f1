//! Whether what AWS calls a success is one, and whether what runs goes on running.

use super::{NOW, Scene, arn, digest, foreign, history, image, service, task, texts};
use crate::documents::memory;
use crate::model::ServiceDeploymentStatus::{InProgress, Stopped, Successful};
use crate::model::*;
use crate::plan::steady::{Ending, VISIBLE, ending, is_doubtful, is_visible};
use crate::plan::waiting;

const CRASH: (&str, &str) = ("EssentialContainerExited", "Essential container in task exited");
const UNHEALTHY: (&str, &str) =
    ("ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group arn)");
const CHECKS: (&str, &str) = ("ServiceSchedulerInitiated", "Task failed container health checks");
const SCALED_IN: (&str, &str) =
    ("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/2)");
const SPOT: (&str, &str) = ("SpotInterruption", "Your Spot Task was interrupted.");
const BY_HAND: (&str, &str) = ("UserInitiated", "Task stopped by user");
const NOT_STARTED: (&str, &str) = ("TaskFailedToStart", "CannotPullContainerError: x");

fn recorded(result: OutcomeKind, id: &str) -> (String, String) {
    memory::outcome_tag(&Outcome { result, deployment: id.to_owned() })
}

fn listed(scene: &mut Scene) -> &mut Vec<ServiceDeployment> {
    let Reading::Known(history) = &mut scene.observed.service_deployments else { panic!("no list") };
    history
}

fn live(scene: &mut Scene) -> &mut Service {
    let Reading::Known(service) = &mut scene.observed.service else { panic!("no service") };
    service
}

/// A task of revision 2 that started so many seconds ago.
fn running(ago: i64) -> Task {
    Task { started_at: Some(NOW - ago * 1000), ..task(2, 'b') }
}

/// One that stopped so many seconds ago, long after its start.
fn stopped(ago: i64, (code, reason): (&str, &str)) -> Task {
    Task {
        last_status: "STOPPED".to_owned(),
        desired_status: "STOPPED".to_owned(),
        stop_code: Some(code.to_owned()),
        stopped_reason: Some(reason.to_owned()),
        stopped_at: Some(NOW - ago * 1000),
        ..running(ago + 100)
    }
}

fn counts(scene: &mut Scene, desired: i32, running: i32) {
    if let Reading::Known(service) = &mut scene.observed.service {
        (service.desired_count, service.running_count) = (desired, running);
        service.deployments[0].running = running;
    }
}

/// Our revision 2 is live on a service with a circuit breaker, and AWS said so many seconds ago that it succeeded.
fn success(ago: i64, tasks: Vec<Task>) -> Scene {
    let scene = Scene::new().ours(2, 'b', 1, "ecs-svc/1").live(2, "ecs-svc/2", RolloutState::Completed);
    scene.history(&[("d2", 2, Successful), ("d1", 1, Successful)]).with(|scene| {
        if let Reading::Known(history) = &mut scene.observed.service_deployments {
            history[0].created_at = NOW - (ago + 60) * 1000;
            history[0].finished_at = Some(NOW - ago * 1000);
        }
        if let Reading::Known(service) = &mut scene.observed.service {
            service.deployments[0].created_at = NOW - (ago + 60) * 1000;
            service.deployments[0].updated_at = NOW - ago * 1000;
        }
        scene.observed.tasks = Reading::Known(tasks);
    })
}

const SUCCEEDED: &str = "stamp mco-api:2 trueup:outcome=succeeded/d2";
const FAILED: &str = "stamp mco-api:2 trueup:outcome=failed/d2";

#[test]
fn a_success_counts_once_all_wanted_tasks_have_run_for_a_minute_without_a_failure() {
    for (what, ago, tasks, expected) in [
        ("too early", 59, vec![running(90)], "Settling"),
        ("not longer than a minute", 60, vec![running(90)], "Settling"),
        ("a minute", 61, vec![running(90)], SUCCEEDED),
        ("a crash", 61, vec![running(20), stopped(31, CRASH)], "Settling"),
        ("a minute after a crash", 100, vec![running(61), stopped(90, CRASH)], SUCCEEDED),
        ("the next task came later", 100, vec![running(59), stopped(90, CRASH)], "Settling"),
        ("it failed its checks", 61, vec![running(31), stopped(30, UNHEALTHY)], "Settling"),
        ("those of a container", 61, vec![running(31), stopped(30, CHECKS)], "Settling"),
        ("scaled in", 61, vec![running(90), stopped(30, SCALED_IN)], SUCCEEDED),
        ("the platform took it", 61, vec![running(20), stopped(30, SPOT)], SUCCEEDED),
        ("a person stopped it", 61, vec![running(20), stopped(30, BY_HAND)], SUCCEEDED),
        ("one never started", 61, vec![running(90), stopped(30, NOT_STARTED)], SUCCEEDED),
        ("a crash before", 61, vec![running(90), stopped(62, CRASH)], SUCCEEDED),
        ("a crash at that moment", 61, vec![running(30), stopped(61, CRASH)], SUCCEEDED),
        ("a crash before is no time to count from", 10, vec![running(90), stopped(62, CRASH)], "Settling"),
        (
            "one that starts as another fails is not in its place",
            100,
            vec![running(90), running(50), stopped(90, CRASH)],
            "Settling",
        ),
        (
            "the first that starts after a failure is, however they are listed",
            100,
            vec![running(50), running(85), stopped(90, CRASH)],
            SUCCEEDED,
        ),
        (
            "each failure has a place",
            200,
            vec![running(80), running(30), stopped(100, CRASH), stopped(99, CRASH)],
            "Settling",
        ),
        ("it dies now", 61, vec![running(90), dying()], "Settling"),
        (
            "of the old revision",
            61,
            vec![running(90), Task { task_definition: arn(1), ..stopped(30, CRASH) }],
            SUCCEEDED,
        ),
        ("unhealthy", 61, vec![Task { health: TaskHealth::Unhealthy, ..running(90) }], "Settling"),
        (
            "unhealthy until it was stopped",
            100,
            vec![running(61), Task { health: TaskHealth::Unhealthy, ..stopped(90, UNHEALTHY) }],
            SUCCEEDED,
        ),
        ("until the deadline", 900, vec![running(20), stopped(30, CRASH), stopped(880, CRASH)], "Settling"),
        ("after it", 901, vec![running(20), stopped(30, CRASH), stopped(880, CRASH)], FAILED),
        ("it ran well for long", 901, vec![running(20), running(950), stopped(30, CRASH)], SUCCEEDED),
        ("twice as long as it must", 200, vec![running(30), running(250), stopped(80, CRASH)], SUCCEEDED),
        ("not twice as long", 200, vec![running(30), running(250), stopped(81, CRASH)], "Settling"),
        (
            "what ended before is not what it began with",
            901,
            vec![running(20), stopped(30, CRASH), stopped(901, CRASH)],
            SUCCEEDED,
        ),
    ] {
        let scene = success(ago, tasks);
        let plan = scene.plan();
        let said = plan.waiting.as_ref().map(waiting::reason);
        assert!(expected != "Settling" || said == Some("Settling"), "{what}: {:?} {said:?}", plan.steps);
        scene.check(expected);
    }
}

/// It is asked to stop, and its container has exited.
fn dying() -> Task {
    Task { last_status: "DEACTIVATING".to_owned(), stopped_at: None, ..stopped(0, CRASH) }
}

#[test]
fn how_a_task_has_ended_is_told_by_its_code_and_by_its_reason_where_the_scheduler_stopped_it() {
    let silent = |started_at| Task { stop_code: None, started_at, ..stopped(1, ("", "")) };
    for (task, expected) in [
        (running(1), None),
        (stopped(1, CRASH), Some(Ending::Crashed)),
        (dying(), Some(Ending::Crashed)),
        (Task { desired_status: "RUNNING".to_owned(), ..stopped(1, CRASH) }, Some(Ending::Crashed)),
        (stopped(1, NOT_STARTED), Some(Ending::NotStarted)),
        (stopped(1, UNHEALTHY), Some(Ending::Unhealthy)),
        (stopped(1, CHECKS), Some(Ending::Unhealthy)),
        (stopped(1, SCALED_IN), Some(Ending::Stopped)),
        (stopped(1, SPOT), Some(Ending::Stopped)),
        (stopped(1, BY_HAND), Some(Ending::Stopped)),
        (silent(Some(1)), Some(Ending::Crashed)),
        (silent(None), Some(Ending::NotStarted)),
    ] {
        assert_eq!(ending(&task), expected, "{task:?}");
    }
}

#[test]
fn it_is_said_when_it_is_steady_if_nothing_more_fails() {
    for (tasks, expected) in [
        (vec![running(90)], NOW - 10_000 + 60_001),
        (vec![running(5), stopped(8, CRASH)], NOW - 5_000 + 60_001),
        (vec![running(90), stopped(8, CRASH)], NOW - 8_000 + 60_001),
    ] {
        let waiting = success(10, tasks).plan().waiting;
        assert!(
            matches!(waiting, Some(Waiting::Settling { until, .. }) if until == expected),
            "{expected} {waiting:?}"
        );
    }
}

#[test]
fn what_another_hand_deployed_is_followed_and_no_success_of_what_is_declared() {
    let ours = success(10, vec![running(90)]);
    let theirs = success(10, vec![running(90)]).with(|scene| {
        scene.observed.revisions.insert(arn(2), Reading::Known(foreign(2, "x")));
    });
    let rest = "until it is steady: until all its tasks have run for 60 s without a failure";
    for (scene, expected) in [
        (
            ours,
            "bbbbbbb is deployed; it has succeeded once all its tasks have run for 60 s without a failure"
                .to_owned(),
        ),
        (theirs, format!("something else was deployed outside trueup, which is followed {rest}")),
    ] {
        let waiting = scene.plan().waiting.unwrap();
        assert_eq!(waiting::describe(&waiting), expected, "{waiting:?}");
    }
}

#[test]
fn only_tasks_of_the_newest_deployment_are_counted() {
    let scene = success(61, vec![running(90)]).with(|scene| {
        counts(scene, 2, 1);
        let service = live(scene);
        service.running_count = 2;
        let before = Deployment { status: DeploymentStatus::Active, ..service.deployments[0].clone() };
        service.deployments.push(Deployment { task_definition: arn(1), ..before });
    });
    scene.check("Settling");
}

#[test]
fn where_the_list_does_not_tell_when_it_ended_the_service_does_and_no_earlier_failure_delays_it() {
    // The service was changed so many seconds ago, and its newest deployment began 200 seconds ago.
    let changed = |ago: i64, tasks: Vec<Task>, forget: fn(&mut Vec<ServiceDeployment>)| {
        success(ago, tasks).with(|scene| {
            forget(listed(scene));
            live(scene).deployments[0].created_at = NOW - 200_000;
        })
    };
    let lags = |list: &mut Vec<ServiceDeployment>| drop(list.remove(0));
    let is_silent = |list: &mut Vec<ServiceDeployment>| list[0].finished_at = None;
    let recorded = "stamp mco-api:2 trueup:outcome=succeeded/ecs-svc/2";
    changed(61, vec![running(90)], lags).check(recorded);
    changed(61, vec![running(90)], is_silent).check(SUCCEEDED);
    changed(5, vec![running(90)], is_silent).check("Settling");
    for (what, tasks, expected) in [
        ("a moment ago", vec![running(90)], "Settling"),
        ("a crash before", vec![running(90), stopped(100, CRASH)], recorded),
        ("since the deployment began", vec![running(90), stopped(200, CRASH)], recorded),
        ("before it", vec![running(90), stopped(201, CRASH)], "Settling"),
        ("it never started", vec![running(90), stopped(100, NOT_STARTED)], "Settling"),
        ("the platform took it", vec![running(90), stopped(100, SPOT)], "Settling"),
    ] {
        let scene = changed(5, tasks, lags);
        assert_eq!(scene.plan().waiting.is_some(), expected == "Settling", "{what}");
        scene.check(expected);
    }
}

#[test]
fn what_is_not_on_record_is_judged_however_old_it_is_by_the_tasks_that_it_got() {
    let late = || vec![running(20), stopped(30, CRASH)];
    success(7200, late()).check("Settling");
    // A record of any success is proof, and so is the word of AWS about another hand's.
    let proven = success(7200, late()).tag(2, recorded(OutcomeKind::Succeeded, "d0"));
    assert_eq!(proven.plan().status.last_deployment.unwrap().phase, Phase::Succeeded);
    let brief = Task { started_at: Some(NOW - 700_000), ..stopped(690, CRASH) };
    let tasks = vec![running(20), stopped(30, CRASH), brief];
    success(901, tasks.clone()).check("Settling");
    let theirs = success(901, tasks).with(theirs);
    assert_eq!(theirs.plan().status.last_deployment.unwrap().phase, Phase::Succeeded, "all ran for long");
}

/// Another hand registered revision 2.
fn theirs(scene: &mut Scene) {
    let revision = foreign(2, &format!("{}@{}", super::URI, digest('b')));
    scene.observed.revisions.insert(arn(2), Reading::Known(revision));
}

#[test]
fn the_stopped_tasks_are_read_while_they_can_change_what_is_said() {
    let (steady, old) = (std::time::Duration::from_mins(1), NOW - 2 * VISIBLE);
    let ended = |finished_at| ServiceDeployment {
        created_at: old,
        finished_at: Some(finished_at),
        ..history("d", 2, Successful)
    };
    let began = |created_at| ServiceDeployment { created_at, finished_at: None, ..ended(0) };
    let task = |started_at| Task { started_at: Some(started_at), ..task(2, 'b') };
    let starting = Task { last_status: "PENDING".to_owned(), started_at: None, ..task(old) };
    let service = |updated_at| {
        let mut service = service(2, "ecs-svc/2", RolloutState::Completed);
        (service.deployments[0].created_at, service.deployments[0].updated_at) = (old, updated_at);
        service
    };
    for (what, updated_at, history, running, expected) in [
        ("long at rest", NOW, vec![ended(old)], vec![task(old)], false),
        ("a young success", old, vec![ended(NOW - 120_000)], vec![task(old)], true),
        ("no more", old, vec![ended(NOW - 120_001)], vec![task(old)], false),
        ("one that has just begun", old, vec![began(NOW - 1)], vec![task(old)], true),
        ("the service alone tells", NOW - 120_000, vec![], vec![task(old)], true),
        ("that it is old", NOW - 120_001, vec![], vec![task(old)], false),
        (
            "one that has failed before",
            old,
            vec![ended(old), ended(NOW - VISIBLE + 1)],
            vec![task(old)],
            true,
        ),
        ("AWS shows it no more", old, vec![ended(old), ended(NOW - VISIBLE)], vec![task(old)], false),
        ("a task in another's place", old, vec![ended(old)], vec![task(old), task(NOW - VISIBLE + 1)], true),
        ("one that is to take another's place", old, vec![ended(old)], vec![starting], true),
        ("none in the place of one that has died", old, vec![ended(old)], vec![], true),
        ("AWS shows that one no more", old, vec![ended(old)], vec![task(NOW - VISIBLE)], false),
        (
            "the last of those it began with",
            old,
            vec![ended(NOW - 130_000)],
            vec![task(NOW - 130_000)],
            false,
        ),
        ("one after them", old, vec![ended(NOW - 130_000)], vec![task(NOW - 129_999)], true),
    ] {
        assert_eq!(is_doubtful(&service(updated_at), &history, &running, steady, NOW), expected, "{what}");
    }
    let gone = Service { deployments: Vec::new(), ..service(NOW) };
    assert!(!is_doubtful(&gone, &[], &[task(NOW)], steady, NOW));
    let many = Service { desired_count: 501, ..service(old) };
    assert!(!is_doubtful(&many, &[ended(old)], &vec![task(old); 500], steady, NOW), "more than are listed");
}

#[test]
fn aws_shows_what_a_deployment_left_behind_for_an_hour_after_its_end() {
    let one = |created_at, finished_at| {
        Some(ServiceDeployment { created_at, finished_at, ..history("d", 2, Successful) })
    };
    for (deployment, expected) in [
        (None, false),
        (one(0, Some(NOW - VISIBLE + 1)), true),
        (one(NOW, Some(NOW - VISIBLE)), false),
        (one(NOW - VISIBLE + 1, None), true),
        (one(NOW - VISIBLE, None), false),
    ] {
        assert_eq!(is_visible(deployment.as_ref(), NOW), expected, "{deployment:?}");
    }
}

#[test]
fn fewer_tasks_than_wanted_are_no_success_and_in_the_end_a_failure() {
    let short = |ago| success(ago, vec![running(950)]).with(|scene| counts(scene, 2, 1));
    short(61).check("Settling");
    short(901).check(FAILED);
    let unread = |scene: &mut Scene| scene.observed.tasks = Reading::Unavailable("timeout".to_owned());
    success(1000, Vec::new()).with(unread).check("Unreadable");
}

#[test]
fn policy_says_for_how_long_and_zero_turns_it_off() {
    let steady = |seconds| {
        move |scene: &mut Scene| scene.desired.policy.steady = std::time::Duration::from_secs(seconds)
    };
    success(61, vec![running(90)]).with(steady(300)).check("Settling");
    // At least twice as long as it must run, whatever the deadline.
    let crashing = |ago| success(ago, vec![running(1300), stopped(30, CRASH), stopped(880, CRASH)]);
    crashing(1200).with(steady(600)).check("Settling");
    crashing(1201).with(steady(600)).check(FAILED);
    success(0, vec![running(90), stopped(1, CRASH)]).with(steady(0)).check(SUCCEEDED);
    success(0, vec![running(90)]).with(steady(0)).with(|scene| counts(scene, 2, 1)).check(SUCCEEDED);
    let unread = |scene: &mut Scene| scene.observed.tasks = Reading::Unavailable("timeout".to_owned());
    success(0, Vec::new()).with(steady(0)).with(unread).check(SUCCEEDED);
}

#[test]
fn until_it_is_steady_it_goes_on_for_everybody() {
    let status = success(10, vec![running(90)]).plan().status;
    let last = status.last_deployment.unwrap();
    assert_eq!(
        (status.sync, status.health, last.phase),
        (Sync::OutOfSync, Health::Progressing, Phase::InProgress)
    );
    let status = success(61, vec![running(90)]).plan().status;
    assert_eq!((status.sync, status.last_deployment.unwrap().phase), (Sync::Synced, Phase::Succeeded));
}

#[test]
fn a_newer_commit_need_not_wait_for_the_minute() {
    let scene = success(10, vec![running(20), stopped(5, CRASH)]).with(|scene| {
        scene.desired.images[0].commit = Commit::new("ccccccc");
        scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
    });
    scene.check("register ccccccc 2/head/ecs-svc/2");
}

#[test]
fn what_is_on_record_stands_whatever_happens_later() {
    let crashing = || success(901, vec![running(20), stopped(30, CRASH), stopped(880, CRASH)]);
    let good = crashing().tag(2, recorded(OutcomeKind::Succeeded, "d2")).with(|scene| {
        scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    });
    good.check("Settled");
    assert_eq!(good.plan().status.health, Health::Degraded);
    // A success that nobody recorded in time, by another hand or longer ago than AWS shows stopped tasks.
    let foreign = |ago: i64| {
        let ended = |scene: &mut Scene| listed(scene)[0].finished_at = Some(NOW - ago * 1000);
        crashing().with(theirs).with(ended)
    };
    assert_eq!(foreign(901).plan().status.last_deployment.unwrap().phase, Phase::Failed);
    assert_eq!(foreign(VISIBLE / 1000).plan().status.last_deployment.unwrap().phase, Phase::Succeeded);
}

/// It is recorded as failed that revision 2 died after its success.
pub(super) fn unsteady() -> Scene {
    success(901, vec![running(20), stopped(30, CRASH), stopped(880, CRASH)])
        .tag(2, recorded(OutcomeKind::Failed, "d2"))
}

#[test]
fn what_does_not_become_steady_is_rolled_back_by_trueup_although_a_breaker_was_on() {
    unsteady().check("deploy mco-api:1 Rollback");
    unsteady().with(|scene| scene.desired.policy.on_failure = OnFailure::Leave).check("Held");
    let told = unsteady().plan().status;
    let last = told.last_deployment.unwrap();
    assert_eq!(
        (last.id.as_deref(), last.phase, told.health),
        (Some("d2"), Phase::RollingBack, Health::Degraded)
    );
    assert_eq!(told.causes[0].to_string(), "2 x Essential container in task exited");
    let retried_before = unsteady().tag(2, memory::retry_tag("d0")).plan().status;
    assert_eq!(retried_before.last_deployment.unwrap().phase, Phase::RollingBack);
    let left = unsteady().with(|scene| scene.desired.policy.on_failure = OnFailure::Leave).plan().status;
    assert_eq!(left.last_deployment.unwrap().phase, Phase::Failed);
    let quiet = |scene: &mut Scene| scene.observed.tasks = Reading::Known(vec![running(300)]);
    unsteady().with(quiet).check("deploy mco-api:1 Rollback");
    let retried = unsteady().tag(2, memory::retry_tag("d2"));
    retried.check("stamp mco-api:2 trueup:applied=2/head/ecs-svc/2");
}

/// Revision 2 has failed, and trueup deploys revision 1 again.
fn undone(status: ServiceDeploymentStatus, failed: ServiceDeploymentStatus) -> Scene {
    let rollout = if status == Successful { RolloutState::Completed } else { RolloutState::InProgress };
    let scene = unsteady().live(1, "ecs-svc/3", rollout);
    scene.history(&[("d3", 1, status), ("d2", 2, failed), ("d1", 1, Successful)])
}

#[test]
fn a_rollback_by_trueup_is_told_like_one_by_aws() {
    for failed in [Successful, Stopped] {
        let going = undone(InProgress, failed);
        going.check("Deploying");
        let told = going.plan().status;
        let last = told.last_deployment.unwrap();
        assert_eq!((last.id.as_deref(), last.phase), (Some("d2"), Phase::RollingBack));
        let ended = undone(Successful, failed);
        ended.check("Held");
        let told = ended.plan().status;
        let last = told.last_deployment.unwrap();
        assert_eq!(
            (last.id.as_deref(), last.phase, told.health),
            (Some("d2"), Phase::RolledBack, Health::Healthy)
        );
        assert_eq!(
            told.causes[0].to_string(),
            "2 x Essential container in task exited",
            "also after a restart"
        );
        assert_eq!(told.causes.len(), 2, "and by which rule: {:?}", told.causes);
    }
}

#[test]
fn what_comes_after_a_failure_and_is_no_way_back_is_a_deployment_of_its_own() {
    let elsewhere = undone(Successful, Successful).live(9, "ecs-svc/9", RolloutState::Completed);
    let elsewhere = elsewhere.history(&[("d9", 9, Successful), ("d2", 2, Successful), ("d1", 1, Successful)]);
    let elsewhere = elsewhere.with(|scene| {
        scene.observed.revisions.insert(arn(9), Reading::Known(foreign(9, "elsewhere:1")));
    });
    let last = elsewhere.plan().status.last_deployment.unwrap();
    assert_eq!((last.id.as_deref(), last.phase), (Some("d9"), Phase::Succeeded));
    let later = undone(Successful, Successful);
    let later = later.history(&[("d4", 1, Successful), ("d3", 1, Successful), ("d2", 2, Successful)]);
    assert_eq!(later.plan().status.last_deployment.unwrap().id.as_deref(), Some("d4"));
}

/// ECS has rolled revision 2 back, and its list of service deployments does not say so.
fn unlisted(list: Reading<Vec<ServiceDeployment>>) -> Scene {
    Scene::new().ours(2, 'b', 1, "ecs-svc/1").with(|scene| {
        scene.observed.service_deployments = list;
        let failed = service(2, "ecs-svc/2", RolloutState::Failed).deployments.remove(0);
        let began = NOW - 200_000;
        let failed =
            Deployment { status: DeploymentStatus::Active, created_at: began, updated_at: began, ..failed };
        if let Reading::Known(service) = &mut scene.observed.service {
            service.deployments.push(failed);
        }
    })
}

#[test]
fn a_rollback_that_only_the_service_shows_is_believed_when_the_list_stays_silent() {
    for list in
        [Reading::Absent, Reading::Known(Vec::new()), Reading::Known(vec![history("d1", 1, Successful)])]
    {
        unlisted(list.clone()).check("stamp mco-api:2 trueup:outcome=failed/ecs-svc/2");
        let held = || unlisted(list.clone()).tag(2, recorded(OutcomeKind::Failed, "ecs-svc/2"));
        held().check("Held");
        let (key, value) = memory::retry_tag("ecs-svc/2");
        assert!(
            matches!(held().plan().retry, Some(crate::plan::Step::Stamp { stamp, .. }) if stamp.tags()[stamp.key()] == value)
        );
        held().tag(2, (key, value)).check("stamp mco-api:2 trueup:applied=2/head/ecs-svc/1");
    }
    // Once it is over the service may show nothing of it any more.
    let going = || {
        unlisted(Reading::Known(Vec::new())).with(|scene| {
            if let Reading::Known(service) = &mut scene.observed.service {
                service.deployments[0].rollout = Some(RolloutState::InProgress);
            }
        })
    };
    going().check("stamp mco-api:2 trueup:outcome=failed/ecs-svc/2");
    going().tag(2, recorded(OutcomeKind::Failed, "ecs-svc/2")).check("Deploying");
}

#[test]
fn a_service_that_ecs_deploys_otherwise_than_is_declared_is_only_observed() {
    use DeploymentStrategy::{BlueGreen, Canary, Linear, Unknown};
    let declared = |strategy| {
        let pattern = match strategy {
            Canary => TrafficPattern::Canary { share: None, bake: None },
            Linear => TrafficPattern::Linear { step: None, bake: None },
            _ => TrafficPattern::AllAtOnce,
        };
        Strategy::Native(Box::new(Native::inherited(pattern)))
    };
    for native in [BlueGreen, Canary, Linear, Unknown] {
        for (strategy, expected) in [
            (Strategy::Unspecified, "Deploying"),
            (Strategy::Rolling, "StrategyMismatch"),
            (Strategy::CodeDeploy(Box::default()), "StrategyMismatch"),
            (declared(native), "Deploying"),
            (declared(if native == BlueGreen { Canary } else { BlueGreen }), "StrategyMismatch"),
        ] {
            let scene = Scene::new().with(|scene| {
                scene.desired.strategy = strategy;
                if let Reading::Known(service) = &mut scene.observed.service {
                    service.strategy = native;
                    service
                        .deployments
                        .insert(0, Deployment { task_definition: arn(7), ..service.deployments[0].clone() });
                    service.deployments[0].rollout = Some(RolloutState::InProgress);
                    service.deployments[1].status = DeploymentStatus::Active;
                }
            });
            scene.check(if native == Unknown { "UnsupportedStrategy" } else { expected });
            assert_eq!(scene.plan().status.deployed, Some(arn(1)), "PRIMARY is what it works towards");
        }
    }
}

/// Revision 2 has succeeded two hours ago.
fn settled(tasks: Vec<Task>, desired: i32, now_running: i32) -> Scene {
    let scene = success(7200, tasks).tag(2, recorded(OutcomeKind::Succeeded, "d2"));
    scene.with(|scene| {
        counts(scene, desired, now_running);
        scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    })
}

fn old(tasks: Vec<Task>, desired: i32, now_running: i32) -> Status {
    settled(tasks, desired, now_running).plan().status
}

#[test]
fn a_service_whose_tasks_fail_is_degraded_until_it_is_steady_again() {
    for (what, tasks, running_now, expected) in [
        ("well", vec![running(7300), running(7300)], 2, Health::Healthy),
        ("one dies", vec![running(7300), stopped(5, CRASH)], 1, Health::Degraded),
        ("it is back", vec![running(7300), running(20), stopped(35, CRASH)], 2, Health::Degraded),
        ("for a minute", vec![running(7300), running(61), stopped(75, CRASH)], 2, Health::Healthy),
        (
            "the third time",
            vec![running(61), stopped(70, CRASH), stopped(170, CRASH), stopped(270, CRASH)],
            2,
            Health::Degraded,
        ),
        ("it never starts", vec![running(7300), stopped(5, NOT_STARTED)], 1, Health::Degraded),
        ("just back", vec![running(7300), running(60), stopped(75, CRASH)], 2, Health::Degraded),
        ("it came late", vec![running(7300), running(30), stopped(75, CRASH)], 2, Health::Degraded),
        ("scaled in since", vec![running(7300), running(7300), stopped(75, CRASH)], 2, Health::Healthy),
        ("none in its place", vec![running(7300), stopped(75, CRASH)], 1, Health::Degraded),
        ("scaled out since", vec![running(7300), running(61), stopped(75, CRASH)], 1, Health::Progressing),
        (
            "what AWS may not show any more",
            vec![running(61), stopped(75, CRASH), stopped(3600, CRASH)],
            2,
            Health::Healthy,
        ),
        ("often", often(600), 2, Health::Degraded),
        ("often, and not for ten minutes", often(601), 2, Health::Healthy),
        ("scaled out", vec![running(7300), running(5)], 1, Health::Progressing),
        ("a task taken by the platform", vec![running(7300), stopped(900, SPOT)], 1, Health::Progressing),
        ("and none comes", vec![running(7300), stopped(901, SPOT)], 1, Health::Degraded),
        ("a task that started", vec![running(900)], 1, Health::Progressing),
        ("none comes", vec![running(901)], 1, Health::Degraded),
    ] {
        let status = old(tasks, 2, running_now);
        assert_eq!(status.health, expected, "{what}");
        assert_eq!(status.failing_since.is_some(), expected == Health::Degraded, "{what}");
    }
    let status = old(vec![running(7300), stopped(5, CRASH)], 2, 1);
    assert_eq!(texts(&status.causes), ["Essential container in task exited"]);
    let ready = &status.conditions[0];
    assert_eq!((ready.reason, ready.message.as_str()), ("Degraded", "Essential container in task exited"));
}

/// Twelve failures, and twelve tasks in their places that started so many seconds ago.
fn often(ago: i64) -> Vec<Task> {
    let failures = (0..12).map(|count| stopped(700 + count * 50, CRASH));
    failures.chain((0..12).map(|_| running(ago))).collect()
}

#[test]
fn it_fails_since_the_first_failure_after_it_had_recovered() {
    for (what, tasks, expected) in [
        ("each time anew", vec![(2000, 1990), (1000, 990), (50, 40)], 50),
        ("not for more than a minute", vec![(200, 190), (130, 110)], 200),
        ("for more than a minute", vec![(200, 190), (129, 110)], 129),
        ("not for two, after the second", vec![(280, 270), (230, 220), (100, 90)], 280),
        ("for more than two", vec![(281, 271), (231, 221), (100, 90)], 100),
    ] {
        let tasks = tasks.iter().flat_map(|(failed, back)| [stopped(*failed, CRASH), running(*back)]);
        let since = old(tasks.collect(), 2, 2).failing_since;
        assert_eq!(since, Some(NOW - expected * 1000), "{what}");
    }
}

#[test]
fn where_no_failure_is_known_it_fails_since_nothing_has_moved() {
    let since = |tasks, failed_tasks, pending_count| {
        let scene = settled(tasks, 2, 1).with(|scene| {
            let service = live(scene);
            (service.deployments[0].failed_tasks, service.pending_count) = (failed_tasks, pending_count);
        });
        scene.plan().status.failing_since.map(|since| (NOW - since) / 1000)
    };
    assert_eq!(since(Vec::new(), 0, 0), Some(7260), "since the deployment began");
    assert_eq!(since(vec![running(1000)], 0, 0), Some(1000));
    assert_eq!(since(vec![stopped(1000, SCALED_IN)], 0, 0), Some(1000));
    assert_eq!(since(Vec::new(), 0, 1), None, "one is on its way");
    assert_eq!(since(vec![running(5)], 1, 1), Some(7200), "the service counts failures");
}

#[test]
fn what_fails_is_put_down_to_its_deployment_while_there_is_one_to_blame() {
    let is_failing = |scene: &Scene| scene.plan().status.failing_since.is_some();
    let crash = || vec![running(20), stopped(31, CRASH)];
    assert!(is_failing(&settled(crash(), 1, 1)));
    assert!(!is_failing(&settled(crash(), 0, 0)), "no task is wanted");
    assert!(!is_failing(&success(61, crash())), "it is not steady yet");
    let failed = success(7200, crash()).live(2, "ecs-svc/2", RolloutState::Failed);
    assert!(!is_failing(&failed.history(&[("d2", 2, ServiceDeploymentStatus::RollbackFailed)])));
    let before_its_end = success(62, vec![running(59), stopped(70, CRASH)]);
    assert!(!is_failing(&before_its_end.tag(2, recorded(OutcomeKind::Succeeded, "d2"))));
}

#[test]
fn what_is_back_after_a_rollback_fails_like_anything_else_that_is_live() {
    let of_first = |task: Task| Task { task_definition: arn(1), ..task };
    let since = |tasks: Vec<Task>| {
        let scene = Scene::new().ours(2, 'b', 1, "ecs-svc/1").tag(2, recorded(OutcomeKind::Failed, "d2"));
        let rolled_back = ("d2", 2, ServiceDeploymentStatus::RollbackSuccessful);
        let scene = scene.history(&[rolled_back, ("d1", 1, Successful)]).with(|scene| {
            listed(scene)[0].finished_at = Some(NOW - 30_000);
            live(scene).deployments[0].created_at = NOW - 7_200_000;
            scene.observed.tasks = Reading::Known(tasks);
        });
        scene.plan().status.failing_since.map(|since| (NOW - since) / 1000)
    };
    assert_eq!(since(vec![of_first(running(20)), of_first(stopped(40, CRASH))]), Some(40));
    let with_one_unhealthy = Task { health: TaskHealth::Unhealthy, ..running(1000) };
    assert_eq!(since(vec![running(20), stopped(40, CRASH)]), None, "of the one that failed");
    assert_eq!(since(vec![of_first(with_one_unhealthy)]), Some(1000), "its checks fail");
    let seen_no_more = [running(61), stopped(75, CRASH), stopped(3600, CRASH)].map(of_first);
    assert_eq!(since(seen_no_more.to_vec()), None);
}

/// Revision 1 is live and its tasks exit with 77 from time to time; those of revision 2 exit with 3.
fn both_fail(status: ServiceDeploymentStatus) -> Scene {
    let exited = |number, code| {
        let mut task = Task { task_definition: arn(number), ..stopped(20, CRASH) };
        task.containers[0].exit_code = Some(code);
        task
    };
    let rollout = if status.is_over() { RolloutState::Completed } else { RolloutState::InProgress };
    let scene = Scene::new().ours(2, 'b', 1, "ecs-svc/1").live(1, "ecs-svc/1", rollout);
    scene.history(&[("d2", 2, status), ("d1", 1, Successful)]).with(|scene| {
        live(scene).deployments[0].created_at = NOW - 7_200_000;
        scene.observed.tasks = Reading::Known(vec![exited(1, 77), exited(1, 77), exited(2, 3)]);
    })
}

const OF_LIVE: &str = "2 x container api exited with 77";
const OF_FAILED: &str = "container api exited with 3";

#[test]
fn the_causes_of_a_failure_are_those_of_what_failed_whatever_else_fails() {
    let recorded = |scene: Scene| scene.tag(2, recorded(OutcomeKind::Failed, "d2"));
    let rolling_back = both_fail(ServiceDeploymentStatus::RollbackInProgress);
    let rolled_back = || both_fail(ServiceDeploymentStatus::RollbackSuccessful);
    let by_another_hand = rolled_back().declares_a().with(|scene| {
        scene.observed.revisions.insert(arn(2), Reading::Known(foreign(2, "elsewhere:1")));
    });
    for (what, scene, shown, of_deployment, of_live) in [
        ("it is rolled back", rolling_back, OF_FAILED, OF_FAILED, None),
        ("it has been", rolled_back(), OF_FAILED, OF_FAILED, Some(OF_LIVE)),
        ("it is on record and held", recorded(rolled_back()), OF_FAILED, OF_FAILED, Some(OF_LIVE)),
        ("git has gone back", recorded(rolled_back()).declares_a(), OF_LIVE, OF_FAILED, Some(OF_LIVE)),
        ("of another hand", by_another_hand, OF_LIVE, OF_FAILED, Some(OF_LIVE)),
    ] {
        let status = scene.plan().status;
        assert_eq!(texts(&status.causes)[0], shown, "{what}: shown");
        let last = status.last_deployment.unwrap();
        assert_eq!(texts(&last.causes)[0], of_deployment, "{what}: deployment");
        let failing = texts(&status.failing_causes);
        assert_eq!(failing.first().map(String::as_str), of_live, "{what}: what is live");
    }
}

#[test]
fn what_is_held_is_shown_with_its_own_causes_beside_a_failure_of_another_hand() {
    let scene = both_fail(ServiceDeploymentStatus::RollbackSuccessful);
    let scene = scene.tag(2, recorded(OutcomeKind::Failed, "d2")).with(|scene| {
        let theirs = history("d3", 9, ServiceDeploymentStatus::RollbackSuccessful);
        let failure = Some(Cause::new(CauseKind::Breaker, "theirs"));
        listed(scene).insert(0, ServiceDeployment { failure, ..theirs });
        scene.observed.revisions.insert(arn(9), Reading::Known(foreign(9, "elsewhere:1")));
    });
    let status = scene.plan().status;
    assert_eq!(texts(&status.causes), [OF_FAILED]);
    assert_eq!(texts(&status.last_deployment.unwrap().causes), ["theirs"]);
}

#[test]
fn a_rollback_that_a_person_asked_for_is_told_with_what_aws_says_of_it() {
    use ServiceDeploymentStatus::{RollbackInProgress, RollbackRequested, RollbackSuccessful};
    let by_hand = "Service deployment stopped by a user.";
    let scene = |status: ServiceDeploymentStatus, number| {
        let rollout = if status.is_over() { RolloutState::Completed } else { RolloutState::InProgress };
        let scene = Scene::new().ours(2, 'b', 1, "ecs-svc/1").live(number, "ecs-svc/1", rollout);
        scene.history(&[("d2", 2, status), ("d1", 1, Successful)]).with(|scene| {
            listed(scene)[0].failure = Some(Cause::new(CauseKind::StoppedByHand, by_hand));
        })
    };
    let held = scene(RollbackSuccessful, 1).tag(2, recorded(OutcomeKind::Failed, "d2"));
    for (what, scene) in [
        ("asked for", scene(RollbackRequested, 2)),
        ("going on", scene(RollbackInProgress, 1)),
        ("over", scene(RollbackSuccessful, 1)),
        ("on record", held),
    ] {
        let status = scene.plan().status;
        assert_eq!(texts(&status.causes), [by_hand], "{what}: shown");
        let last = status.last_deployment.unwrap();
        assert_eq!(texts(&last.causes), [by_hand], "{what}: of the deployment");
    }
}

#[test]
fn a_deployment_that_did_not_fail_has_no_causes() {
    let status = settled(vec![running(20), stopped(35, CRASH)], 1, 1).plan().status;
    assert_eq!(status.last_deployment.unwrap().causes, []);
    assert_eq!(texts(&status.failing_causes), ["Essential container in task exited"]);
    let well = settled(vec![running(7300)], 1, 1).with(|scene| {
        live(scene).events = vec!["(service x) was unable to place a task.".to_owned()];
    });
    assert_eq!(well.plan().status.failing_causes, []);
}

#[test]
fn where_no_task_can_be_blamed_the_scheduler_is_asked() {
    let unplaced =
        "(service x) was unable to place a task because no container instance met all of its requirements.";
    let scene = success(7200, Vec::new()).tag(2, recorded(OutcomeKind::Succeeded, "d2")).with(|scene| {
        counts(scene, 2, 0);
        if let Reading::Known(service) = &mut scene.observed.service {
            service.events = vec![unplaced.to_owned(), "(service x) has reached a steady state.".to_owned()];
        }
    });
    assert_eq!(texts(&scene.plan().status.causes), [unplaced]);
}

#[test]
fn a_deployment_to_no_task_is_no_last_good_one_where_there_is_another() {
    let of_no_task =
        |id: &str, number| ServiceDeployment { target_running: 0, ..history(id, number, Successful) };
    let unproven = unsteady().with(|scene| listed(scene).insert(1, of_no_task("d0", 9)));
    unproven.check("deploy mco-api:1 Rollback");
    let is_on_record = unsteady().ours(3, 'c', 0, "ecs-svc/1").tag(3, recorded(OutcomeKind::Succeeded, "d3"));
    let is_on_record = is_on_record.with(|scene| listed(scene).insert(1, of_no_task("d0", 3)));
    is_on_record.check("deploy mco-api:3 Rollback");
    let there_is_none = unsteady().with(|scene| {
        let list = listed(scene);
        list[1].target_running = 0;
        for one in list {
            one.sources.clear();
        }
    });
    there_is_none.check("deploy mco-api:1 Rollback");
}

#[test]
fn what_is_live_is_proven_once_a_task_of_it_was_seen_to_run() {
    let proof = |running_now, result: Option<OutcomeKind>, listed_number, target_running| {
        let scene = success(61, Vec::new()).with(|scene| {
            counts(scene, 0, running_now);
            let earlier = ServiceDeployment { target_running, ..history("d0", listed_number, Successful) };
            let newest = ServiceDeployment { target_running: 0, ..history("d2", 2, Successful) };
            scene.observed.service_deployments = Reading::Known(vec![newest, earlier]);
        });
        let scene = result.into_iter().fold(scene, |scene, result| scene.tag(2, recorded(result, "d0")));
        scene.plan().status.proof
    };
    assert_eq!(proof(0, None, 2, 0), Proof::Unproven);
    assert_eq!(proof(0, Some(OutcomeKind::Failed), 2, 0), Proof::Unproven);
    assert_eq!(proof(0, None, 1, 1), Proof::Unproven, "of another revision");
    assert_eq!(proof(1, None, 2, 0), Proof::Proven, "one runs");
    assert_eq!(proof(0, Some(OutcomeKind::Succeeded), 2, 0), Proof::Proven, "it is on record");
    assert_eq!(proof(0, None, 2, 1), Proof::Proven, "AWS says so");
}

#[test]
fn without_a_wanted_task_there_is_nothing_to_wait_for() {
    let scene = success(10, Vec::new()).with(|scene| counts(scene, 0, 0));
    assert_eq!(scene.plan().status.health, Health::Suspended);
}
