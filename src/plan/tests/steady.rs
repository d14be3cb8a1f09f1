//! Whether what AWS calls a success is one, and whether what runs goes on running.

use super::{NOW, Scene, arn, digest, foreign, history, image, service, task};
use crate::model::ServiceDeploymentStatus::{InProgress, Stopped, Successful};
use crate::model::*;
use crate::plan::steady::VISIBLE;
use crate::plan::{memory, waiting};

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
        ("it dies now", 61, vec![running(90), Task { stopped_at: None, ..stopped(0, CRASH) }], "Settling"),
        (
            "of the old revision",
            61,
            vec![running(90), Task { task_definition: arn(1), ..stopped(30, CRASH) }],
            SUCCEEDED,
        ),
        ("unhealthy", 61, vec![Task { health: TaskHealth::Unhealthy, ..running(90) }], "Settling"),
        ("until the deadline", 899, vec![running(20), stopped(30, CRASH), stopped(880, CRASH)], "Settling"),
        ("after it", 901, vec![running(20), stopped(30, CRASH), stopped(880, CRASH)], FAILED),
        ("it ran well for long", 901, vec![running(20), running(950), stopped(30, CRASH)], SUCCEEDED),
    ] {
        let scene = success(ago, tasks);
        let plan = scene.plan();
        let said = plan.waiting.as_ref().map(waiting::reason);
        assert!(expected != "Settling" || said == Some("Settling"), "{what}: {:?} {said:?}", plan.steps);
        scene.check(expected);
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
    success(0, vec![running(90), stopped(1, CRASH)]).with(steady(0)).check(SUCCEEDED);
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
        crashing().with(|scene| {
            scene
                .observed
                .revisions
                .insert(arn(2), Reading::Known(foreign(2, &format!("{}@{}", super::URI, digest('b')))));
            if let Reading::Known(history) = &mut scene.observed.service_deployments {
                history[0].finished_at = Some(NOW - ago * 1000);
            }
        })
    };
    assert_eq!(foreign(901).plan().status.last_deployment.unwrap().phase, Phase::Failed);
    assert_eq!(foreign(VISIBLE / 1000).plan().status.last_deployment.unwrap().phase, Phase::Succeeded);
}

/// It is recorded as failed that revision 2 died after its success.
fn unsteady() -> Scene {
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
    assert_eq!(told.causes[0], "2 x Essential container in task exited");
    let left = unsteady().with(|scene| scene.desired.policy.on_failure = OnFailure::Leave).plan().status;
    assert_eq!(left.last_deployment.unwrap().phase, Phase::Failed);
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
            (Some("d2"), Phase::RolledBack, Health::Degraded)
        );
        assert_eq!(told.causes[0], "2 x Essential container in task exited", "also after a restart");
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
fn a_service_whose_traffic_ecs_shifts_is_only_observed() {
    use DeploymentStrategy::{BlueGreen, Canary, Linear};
    for native in [BlueGreen, Canary, Linear] {
        for (strategy, expected) in [
            (Strategy::Unspecified, "UnsupportedStrategy"),
            (Strategy::Rolling, "StrategyMismatch"),
            (Strategy::CodeDeploy(Box::default()), "StrategyMismatch"),
        ] {
            let scene = Scene::new().with(|scene| {
                scene.desired.strategy = strategy;
                if let Reading::Known(service) = &mut scene.observed.service {
                    service.strategy = native;
                    service
                        .deployments
                        .insert(0, Deployment { task_definition: arn(7), ..service.deployments[0].clone() });
                    service.deployments[1].status = DeploymentStatus::Active;
                }
            });
            scene.check(expected);
            assert_eq!(scene.plan().status.deployed, None, "PRIMARY is what it works towards");
        }
    }
}

/// Revision 2 has succeeded two hours ago.
fn old(tasks: Vec<Task>, desired: i32, now_running: i32) -> Status {
    let scene = success(7200, tasks).tag(2, recorded(OutcomeKind::Succeeded, "d2"));
    let scene = scene.with(|scene| {
        counts(scene, desired, now_running);
        scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    });
    scene.plan().status
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
        ("scaled out", vec![running(7300), running(5)], 1, Health::Progressing),
        ("a task taken by the platform", vec![running(300), stopped(5, SPOT)], 1, Health::Progressing),
        ("none comes", vec![running(7300)], 1, Health::Degraded),
    ] {
        let status = old(tasks, 2, running_now);
        assert_eq!(status.health, expected, "{what}");
        assert_eq!(status.failing_since.is_some(), expected == Health::Degraded, "{what}");
    }
    let status = old(vec![running(7300), stopped(5, CRASH)], 2, 1);
    assert_eq!(status.causes, ["1 x Essential container in task exited"]);
    let ready = &status.conditions[0];
    assert_eq!(
        (ready.reason, ready.message.as_str()),
        ("Degraded", "1 x Essential container in task exited")
    );
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
    assert_eq!(scene.plan().status.causes, [unplaced]);
}

#[test]
fn a_deployment_to_no_task_is_no_last_good_one_where_there_is_another() {
    let scene = unsteady().with(|scene| {
        if let Reading::Known(known) = &mut scene.observed.service_deployments {
            let unproven = ServiceDeployment { target_running: 0, ..history("d0", 9, Successful) };
            known.insert(1, unproven);
        }
    });
    scene.check("deploy mco-api:1 Rollback");
    let proof = |desired, running| old(Vec::new(), desired, running).proof;
    assert_eq!(proof(0, 0), Proof::Proven, "it ran before");
    let never = success(61, Vec::new()).with(|scene| {
        counts(scene, 0, 0);
        if let Reading::Known(history) = &mut scene.observed.service_deployments {
            history[0].target_running = 0;
        }
    });
    assert_eq!(never.plan().status.proof, Proof::Unproven);
}
