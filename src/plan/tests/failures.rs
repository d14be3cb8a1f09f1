//! Deployments that fail: what is recorded, held, undone and tried again.

use serde_json::{Value, json};

use super::{BEGAN, NOW, Scene, URI, arn, digest, foreign, image, input, rolled_back, service, target, task};
use crate::documents::memory::{self, Stamp};
use crate::model::ServiceDeploymentStatus::{
    InProgress, RollbackFailed, RollbackInProgress, RollbackSuccessful, Stopped, Successful,
};
use crate::model::*;
use crate::plan::{Step, Why, waiting};

fn failed(id: &str) -> (String, String) {
    memory::outcome_tag(&Outcome { result: OutcomeKind::Failed, deployment: id.to_owned() })
}

#[test]
fn what_failed_has_failed_also_where_its_image_is_gone() {
    let gone = rolled_back().with(|scene| {
        let image = &mut scene.observed.images[0];
        image.built = Reading::Absent;
        image.known.insert(digest('b'), Reading::Absent);
    });
    gone.check("stamp mco-api:2 trueup:outcome=failed/d2");
    let outcome = Outcome { result: OutcomeKind::Failed, deployment: "d2".to_owned() };
    let gone = gone.tag(2, memory::outcome_tag(&outcome));
    gone.check("ImageRemoved");
    assert_eq!(gone.plan().failure.as_deref(), Some("d2"));
}

#[test]
fn a_failed_commit_is_recorded_and_not_tried_again() {
    rolled_back().check("stamp mco-api:2 trueup:outcome=failed/d2");
    rolled_back().tag(2, failed("d2")).check("Held");
    // Also when the deployment has left the history, and in whatever drift policy.
    for drift in [OnDrift::Alert, OnDrift::Heal, OnDrift::Ignore] {
        let forgotten = rolled_back().tag(2, failed("d2")).history(&[("d1", 1, Successful)]);
        forgotten.with(|scene| scene.desired.policy.drift = drift).check("Held");
    }
}

#[test]
fn a_clean_up_of_what_failed_is_no_reason_for_another_try() {
    let brought = |scene: &mut Scene, letter| {
        let Reading::Known(history) = &mut scene.observed.service_deployments else { unreachable!() };
        history[0].digests = [("api".to_owned(), digest(letter))].into();
    };
    let deleted = || {
        rolled_back().tag(2, failed("d2")).with(|scene| {
            scene.observed.revisions.insert(arn(2), Reading::Absent);
        })
    };
    let held = deleted().with(|scene| brought(scene, 'b'));
    held.check("Held");
    assert_eq!(held.plan().failure.as_deref(), Some("d2"));
    let retry = held.plan().retry;
    assert!(matches!(&retry, Some(Step::Register { .. })), "what failed takes no stamp: {retry:?}");
    // The registered revision is a try of its own.
    held.ours(3, 'b', 2, "ecs-svc/1").check("deploy mco-api:3 Interrupted");
    // Another image has failed, or nobody knows which.
    deleted().with(|scene| brought(scene, 'c')).check("register bbbbbbb 1/head/ecs-svc/1");
    // A tag is gone: what is left says whose it was.
    let half = rolled_back().tag(2, failed("d2")).with(|scene| {
        brought(scene, 'b');
        let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(2)) else {
            unreachable!()
        };
        revision.tags.remove("trueup:content");
    });
    half.check("Held");
}

#[test]
fn a_held_commit_is_tried_again_after_retry_and_held_again_when_it_fails_again() {
    let retried = rolled_back().tag(2, failed("d2")).tag(2, memory::retry_tag("d2"));
    retried.check("stamp mco-api:2 trueup:applied=2/head/ecs-svc/1");
    let elsewhere = rolled_back().live(1, "ecs-svc/9", RolloutState::Completed).tag(2, failed("d2"));
    elsewhere.tag(2, memory::retry_tag("d2")).check("stamp mco-api:2 trueup:applied=2/head/ecs-svc/9");
    let again = [("d3", 2, RollbackSuccessful), ("d2", 2, RollbackSuccessful), ("d1", 1, Successful)];
    let again = rolled_back().tag(2, failed("d2")).tag(2, memory::retry_tag("d2")).history(&again);
    again.check("stamp mco-api:2 trueup:outcome=failed/d3");
}

#[test]
fn a_try_that_was_asked_for_and_succeeded_excuses_no_later_change_by_hand() {
    let history = [("d4", 3, Successful), ("d3", 2, Successful), ("d2", 2, RollbackSuccessful)];
    let succeeded = Outcome { result: OutcomeKind::Succeeded, deployment: "d3".to_owned() };
    let mut scene = rolled_back().tag(2, memory::outcome_tag(&succeeded)).tag(2, memory::retry_tag("d2"));
    scene = scene.history(&history).live(3, "ecs-svc/9", RolloutState::Completed);
    scene.observed.revisions.insert(arn(3), Reading::Known(foreign(3, &format!("{URI}@{}", digest('c')))));
    scene.check("Drifted");
}

#[test]
fn what_failed_is_told_until_it_may_be_tried_again_or_is_another_content() {
    let failure = |scene: Scene| scene.plan().failure;
    assert_eq!(failure(Scene::new()), None);
    assert_eq!(failure(rolled_back()).as_deref(), Some("d2"), "before anybody has recorded it");
    assert_eq!(failure(rolled_back().tag(2, failed("d2"))).as_deref(), Some("d2"));
    assert_eq!(failure(rolled_back().tag(2, failed("d2")).tag(2, memory::retry_tag("d2"))), None);
    let other = rolled_back().with(|scene| {
        let mut file = input("<IMAGE_NAME>");
        file["containerDefinitions"][0]["cpu"] = json!(512);
        scene.desired.task_definition =
            TaskDefinitionSource::File { path: "t.json".to_owned(), input: file.into() };
    });
    assert_eq!(failure(other), None, "the same commit with another configuration");
}

#[test]
fn a_retry_that_comes_before_the_record_of_a_failure_counts() {
    rolled_back().tag(2, memory::retry_tag("d2")).check("deploy mco-api:2 Interrupted");
}

#[test]
fn the_newest_failure_of_what_is_declared_holds_it_as_far_as_the_list_reaches() {
    let scene = |recorded: Option<&str>, entries: &[(&str, u64, ServiceDeploymentStatus)]| {
        let scene = Scene::new().ours(2, 'b', 1, "ecs-svc/1").history(entries);
        recorded.into_iter().fold(scene, |scene, id| scene.tag(2, failed(id)))
    };
    let first = ("d1", 1, Successful);
    for (what, recorded, entries, expected) in [
        ("none", None, vec![first], None),
        ("not on record", None, vec![first, ("d2", 2, RollbackSuccessful)], Some("d2")),
        ("AWS could not undo it", None, vec![("d3", 1, Successful), ("d2", 2, RollbackFailed)], Some("d2")),
        ("nor on record", None, vec![("d3", 2, Stopped), ("d2", 2, RollbackSuccessful)], Some("d2")),
        ("before a success", None, vec![("d4", 2, Successful), ("d3", 2, RollbackSuccessful)], None),
        ("left the list", Some("d9"), vec![first, ("d2", 2, Successful)], Some("d9")),
        (
            "a success may be older",
            Some("d9"),
            vec![("d2", 2, Successful), ("d0", 2, RollbackSuccessful)],
            Some("d9"),
        ),
        (
            "the list lags behind",
            Some("d2"),
            vec![("d2", 2, InProgress), ("d0", 2, RollbackSuccessful)],
            Some("d2"),
        ),
        ("one after it", Some("d2"), vec![("d3", 2, RollbackSuccessful), ("d2", 2, Stopped)], Some("d3")),
        ("a success after it", Some("d2"), vec![("d3", 2, Successful), ("d2", 2, RollbackSuccessful)], None),
    ] {
        assert_eq!(scene(recorded, &entries).plan().failure.as_deref(), expected, "{what}");
    }
}

#[test]
fn what_0_1_registered_is_the_same_try_by_its_images_its_content_or_its_commit() {
    let failure = |change: fn(&mut Scene)| rolled_back().tag(2, failed("d2")).with(change).plan().failure;
    let file = |input: Value| TaskDefinitionSource::File { path: "t.json".to_owned(), input: input.into() };
    assert_eq!(
        failure(|scene| {
            let mut base = foreign(1, &format!("{URI}@{}", digest('a')));
            base.input["cpu"] = json!("512");
            scene.observed.revisions.insert(arn(1), Reading::Known(base));
        })
        .as_deref(),
        Some("d2"),
        "git declares no more than the images"
    );
    let same = rolled_back().tag(2, failed("d2"));
    let same = same.with(|scene| scene.desired.task_definition = file(input("<IMAGE_NAME>")));
    assert_eq!(same.plan().failure.as_deref(), Some("d2"), "the content of a file");
    assert_eq!(
        failure(|scene| {
            declares_c(scene);
            scene.observed.images[0].built = Reading::Absent;
        }),
        None,
        "another commit that is not built"
    );
    let newer = rolled_back().tag(2, failed("d2")).ours(3, 'b', 2, "ecs-svc/1");
    assert_eq!(newer.plan().failure, None, "the newest try has not failed");
}

#[test]
fn what_is_tried_again_is_what_is_held_and_for_its_own_failure() {
    // Both revisions are of what is declared, and both have failed.
    let scene = Scene::new().declares_a().ours(1, 'a', 1, "ecs-svc/0").tag(1, failed("d0"));
    let scene = scene.ours(3, 'a', 2, "ecs-svc/1").tag(3, failed("d3"));
    scene.check("Held");
    let stamp = Stamp::Retry("d0".to_owned());
    assert_eq!(scene.plan().retry, Some(Step::Stamp { revision: arn(1), stamp }));
    // That AWS could not undo another one is no part of it.
    let other = scene.history(&[("d2", 2, RollbackFailed), ("d1", 1, Successful)]);
    other.check("Held");
}

#[test]
fn a_good_revision_whose_repeated_deployment_failed_is_still_a_base() {
    let history = [("d2", 1, RollbackFailed), ("d1", 1, Successful)];
    let scene = Scene::new().history(&history).live(1, "ecs-svc/2", RolloutState::Failed);
    scene.check("register bbbbbbb 1/head/ecs-svc/2");
}

#[test]
fn what_another_hand_left_failed_is_held_and_not_deployed_again() {
    let scene = Scene::new().declares_a().live(1, "ecs-svc/1", RolloutState::Failed).history(&[]);
    let file = TaskDefinitionSource::File { path: "t.json".to_owned(), input: input("<IMAGE_NAME>").into() };
    scene.with(|scene| scene.desired.task_definition = file).check("Held");
}

#[test]
fn an_old_success_does_not_end_the_hold_of_a_later_failure() {
    let history = [("d4", 1, Successful), ("d3", 2, Stopped), ("d2", 2, Successful), ("d1", 1, Successful)];
    let scene = Scene::new().ours(2, 'b', 2, "ecs-svc/1").history(&history).tag(2, failed("d3"));
    scene.live(1, "ecs-svc/4", RolloutState::Completed).check("Held");
}

#[test]
fn a_later_success_by_any_hand_ends_the_hold() {
    let history = [("d3", 2, Successful), ("d2", 2, RollbackSuccessful), ("d1", 1, Successful)];
    let scene =
        rolled_back().tag(2, failed("d2")).history(&history).live(2, "ecs-svc/3", RolloutState::Completed);
    scene.check("stamp mco-api:2 trueup:outcome=succeeded/d3");
}

#[test]
fn a_rollback_by_aws_is_followed_and_never_disturbed() {
    let rolling = Scene::new().ours(2, 'b', 1, "ecs-svc/1").live(1, "ecs-svc/3", RolloutState::InProgress);
    rolling.history(&[("d2", 2, RollbackInProgress), ("d1", 1, Successful)]).check("Deploying");
    let failed_rollback =
        rolled_back().tag(2, failed("d2")).history(&[("d2", 2, RollbackFailed), ("d1", 1, Successful)]);
    failed_rollback.check("RollbackFailed");
}

#[test]
fn a_rollback_that_only_the_service_shows_is_followed_too() {
    // Our revision 1 is PRIMARY again under its old id; the list still ends with its success.
    let scene = Scene::new()
        .ours(1, 'a', 1, "ecs-svc/0")
        .ours(2, 'b', 2, "ecs-svc/1")
        .live(1, "ecs-svc/1", RolloutState::InProgress)
        .history(&[("d1", 1, Successful)]);
    let undone = scene.with(|scene| {
        let failed = service(2, "ecs-svc/2", RolloutState::InProgress).deployments.remove(0);
        let failed = Deployment { status: DeploymentStatus::Active, created_at: NOW - 500, ..failed };
        if let Reading::Known(service) = &mut scene.observed.service {
            service.deployments.push(failed);
        }
    });
    undone.check("stamp mco-api:2 trueup:outcome=failed/ecs-svc/2");
    assert_eq!(undone.plan().status.health, Health::Degraded);
    undone.tag(2, failed("ecs-svc/2")).check("Deploying");
}

fn declares_c(scene: &mut Scene) {
    scene.desired.images[0].commit = Commit::new("ccccccc");
    scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
}

#[test]
fn what_the_service_sees_going_on_goes_on_whatever_the_list_says() {
    let retried = rolled_back().tag(2, failed("d2")).tag(2, memory::retry_tag("d2"));
    retried.live(2, "ecs-svc/3", RolloutState::InProgress).check("Deploying");
    let theirs = rolled_back().tag(2, failed("d2")).with(declares_c).with(|scene| {
        drop(scene.observed.revisions.insert(arn(9), Reading::Known(foreign(9, "elsewhere:1"))));
    });
    theirs.live(9, "ecs-svc/9", RolloutState::InProgress).check("Deploying");
}

/// The only deployment that there ever was, to revision `number`, failed, and AWS had nothing to go back to.
fn stranded(scene: Scene, number: u64) -> Scene {
    let scene = scene.live(number, "ecs-svc/2", RolloutState::Failed);
    scene.history(&[("d2", number, RollbackFailed)]).with(|scene| {
        if let Reading::Known(history) = &mut scene.observed.service_deployments {
            history[0].sources.clear();
            history[0].reason = Some("No rollback candidate was found to run the rollback.".to_owned());
        }
    })
}

#[test]
fn where_aws_could_not_roll_back_the_commit_is_held_until_another_one_or_a_retry() {
    let ours = || stranded(Scene::new().ours(2, 'b', 1, "ecs-svc/1"), 2);
    ours().check("stamp mco-api:2 trueup:outcome=failed/d2");
    let held = || ours().tag(2, failed("d2"));
    held().check("RollbackFailed");
    let plan = held().plan();
    let waiting = plan.waiting.unwrap();
    assert_eq!(
        waiting::describe(&waiting),
        "on hold: bbbbbbb failed here, and AWS could not roll back: No rollback candidate was found to run the rollback."
    );
    assert!(waiting::hint(&waiting, &target()).unwrap().contains("trueup retry test/api"));
    assert_eq!(plan.status.health, Health::Degraded);
    let stamp = Stamp::Retry("d2".to_owned());
    assert_eq!(plan.retry, Some(Step::Stamp { revision: arn(2), stamp }));
    held().tag(2, memory::retry_tag("d0")).check("RollbackFailed");
    let retried = || held().tag(2, memory::retry_tag("d2"));
    retried().check("stamp mco-api:2 trueup:applied=2/head/ecs-svc/2");
    let stamped = [("trueup:applied", "2/head/ecs-svc/2"), ("trueup:at", "2/9999")];
    let stamped = stamped.map(|(key, value)| (key.to_owned(), value.to_owned()));
    stamped.into_iter().fold(retried(), |scene, tag| scene.tag(2, tag)).check("deploy mco-api:2 Retry");
    // The failed revision is the only one that says what the service is made of; one in flight does not say it yet.
    held().with(declares_c).check("register ccccccc 2/head/ecs-svc/2");
    let going = ours().live(2, "ecs-svc/2", RolloutState::InProgress).with(|scene| {
        scene.observed.service_deployments = Reading::Known(Vec::new());
    });
    going.with(declares_c).check("Deploying");
}

#[test]
fn a_first_deployment_of_another_hand_that_failed_is_held_retried_and_replaced_as_well() {
    let theirs = || stranded(Scene::new().declares_a(), 1);
    theirs().check("RollbackFailed");
    let retry = theirs().plan().retry;
    assert!(
        matches!(&retry, Some(Step::Deploy { revision, why: Why::Retry, .. }) if *revision == arn(1)),
        "a foreign revision is not stamped: {retry:?}"
    );
    theirs().with(declares_c).check("register ccccccc 1/head/ecs-svc/2");
}

/// Revision 2 makes no progress on a service without a circuit breaker.
fn stuck() -> Scene {
    let scene = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .live(2, "ecs-svc/2", RolloutState::InProgress)
        .history(&[("d2", 2, InProgress), ("d1", 1, Successful)]);
    scene.with(|scene| {
        scene.now = BEGAN + 16 * 60 * 1000;
        if let Reading::Known(service) = &mut scene.observed.service {
            service.circuit_breaker = CircuitBreaker::default();
        }
    })
}

#[test]
fn without_a_breaker_the_deadline_records_the_failure_and_then_rolls_back() {
    stuck().check("stamp mco-api:2 trueup:outcome=failed/d2");
    stuck().tag(2, failed("d2")).check("deploy mco-api:1 Rollback");
    let in_time = |scene: &mut Scene| scene.now = BEGAN + 14 * 60 * 1000;
    stuck().with(in_time).check("Deploying");
    stuck().with(|scene| scene.now = BEGAN + 15 * 60 * 1000).check("Deploying");
    // What is on record stands, whatever happens later.
    let recorded = stuck().tag(2, failed("d2")).with(in_time);
    recorded.check("deploy mco-api:1 Rollback");
    assert_eq!(recorded.plan().status.last_deployment.unwrap().phase, Phase::RollingBack);
    let is_gone = |scene: &mut Scene| {
        if let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(1)) {
            revision.active = false;
        }
    };
    let gone = stuck().tag(2, failed("d2")).with(is_gone);
    gone.check("register unknown 2/head/ecs-svc/2");
    // Its content is that of another revision that is still there.
    let twin = stuck().tag(2, failed("d2")).ours(1, 'a', 0, "ecs-svc/0").ours(3, 'a', 0, "ecs-svc/0");
    twin.with(is_gone).check("deploy mco-api:3 Rollback");
    let ours = || {
        let declared = ("trueup:declared".to_owned(), "0123".to_owned());
        stuck().tag(2, failed("d2")).ours(1, 'a', 0, "ecs-svc/0").tag(1, declared).with(is_gone)
    };
    ours().check("register aaaaaaa 2/head/ecs-svc/2");
    let Some(Step::Register { tags, .. }) = ours().plan().steps.first().cloned() else { unreachable!() };
    assert_eq!(tags["trueup:declared"], "0123");
    ours().with(|scene| scene.observed.newest = None).check("LookDeeper");
    let removed = stuck().tag(2, failed("d2")).with(|scene| {
        scene.observed.images[0].known.insert(digest('a'), Reading::Absent);
    });
    removed.check("LastGoodGone");
    let leave = stuck().tag(2, failed("d2")).with(|scene| scene.desired.policy.on_failure = OnFailure::Leave);
    leave.check("Held");
    let breaker = stuck().with(|scene| {
        if let Reading::Known(service) = &mut scene.observed.service {
            service.circuit_breaker = CircuitBreaker { enabled: true, rollback: true };
        }
    });
    breaker.check("Deploying");
}

#[test]
fn what_aws_undoes_is_left_to_it() {
    let by_alarm = Scene::new().ours(2, 'b', 1, "ecs-svc/1").live(2, "ecs-svc/2", RolloutState::Failed);
    let by_alarm = by_alarm.history(&[("d2", 2, Stopped), ("d1", 1, Successful)]).with(|scene| {
        if let Reading::Known(history) = &mut scene.observed.service_deployments {
            history[0].monitor_triggered = true;
        }
    });
    by_alarm.tag(2, failed("d2")).check("Held");
    // A person asked for the rollback, and what is PRIMARY is read too early.
    let by_hand = stuck().tag(2, failed("d2"));
    by_hand.history(&[("d2", 2, RollbackInProgress), ("d1", 1, Successful)]).check("Deploying");
}

#[test]
fn what_is_gone_back_to_is_good_and_known_to_have_run_here() {
    let recorded = |id: &str| {
        memory::outcome_tag(&Outcome { result: OutcomeKind::Succeeded, deployment: id.to_owned() })
    };
    let none = || stuck().tag(2, failed("d2")).ours(1, 'a', 0, "ecs-svc/0").tag(1, failed("d9"));
    none().check("Held");
    none().with(|scene| scene.observed.newest = None).check("LookDeeper");
    // No success is listed: the newest of those on record, of what ran here.
    let sources = |scene: &mut Scene| {
        if let Reading::Known(history) = &mut scene.observed.service_deployments {
            history[0].sources = vec![arn(1), arn(3)];
        }
    };
    let remembered = || {
        let scene =
            stuck().history(&[("d2", 2, InProgress)]).ours(2, 'b', 2, "ecs-svc/1").tag(2, failed("d2"));
        let scene = scene.ours(1, 'a', 0, "ecs-svc/0").tag(1, recorded("d0"));
        scene.ours(3, 'c', 1, "ecs-svc/0").tag(3, recorded("d3")).with(sources)
    };
    remembered().check("deploy mco-api:3 Rollback");
    // What was live when it was stamped goes before them, and a success that is listed before that.
    let from = || ("trueup:from".to_owned(), format!("2/{}", arn(9)));
    let of_stamp = || {
        remembered().tag(2, from()).with(|scene| {
            let revision = foreign(9, &format!("{URI}@{}", digest('d')));
            scene.observed.revisions.insert(arn(9), Reading::Known(revision));
        })
    };
    of_stamp().check("deploy mco-api:9 Rollback");
    let listed = of_stamp().history(&[("d2", 2, InProgress), ("d1", 1, Successful)]);
    listed.check("deploy mco-api:1 Rollback");
}

#[test]
fn tasks_that_cannot_be_read_are_no_lack_of_progress() {
    let unread = |scene: &mut Scene| scene.observed.tasks = Reading::Unavailable("timeout".to_owned());
    stuck().with(unread).check("Deploying");
    stuck()
        .with(|scene| scene.observed.tasks = Reading::Absent)
        .check("stamp mco-api:2 trueup:outcome=failed/d2");
}

#[test]
fn progress_moves_the_deadline_and_a_healthy_target_is_never_failed() {
    let progress = stuck().with(|scene| {
        let healthy =
            Task { health: TaskHealth::Healthy, started_at: Some(BEGAN + 60 * 1000 * 10), ..task(2, 'b') };
        scene.observed.tasks = Reading::Known(vec![healthy]);
    });
    progress.check("Deploying");
    // What stays runs for two minutes, where no check tells.
    for (health, ago, expected) in [
        (TaskHealth::Healthy, 60_000, "Deploying"),
        (TaskHealth::Unhealthy, 180_000, "stamp mco-api:2 trueup:outcome=failed/d2"),
        (TaskHealth::Unknown, 120_000, "Deploying"),
        (TaskHealth::Unknown, 119_999, "stamp mco-api:2 trueup:outcome=failed/d2"),
    ] {
        let one = |scene: &mut Scene| {
            let started_at = Some(scene.now - ago);
            scene.observed.tasks = Reading::Known(vec![Task { health, started_at, ..task(2, 'b') }]);
        };
        stuck().with(one).check(expected);
    }
    let runs_no_more = stuck().with(|scene| {
        let started_at = Some(scene.now - 180_000);
        let stopping = Task { last_status: "DEACTIVATING".to_owned(), started_at, ..task(2, 'b') };
        scene.observed.tasks = Reading::Known(vec![stopping]);
    });
    runs_no_more.check("stamp mco-api:2 trueup:outcome=failed/d2");
    // What was scaled in before it began says nothing of it.
    let before = stuck().with(|scene| {
        let stopped = Task {
            last_status: "STOPPED".to_owned(),
            stopped_at: Some(BEGAN - 120_000),
            stopped_reason: Some("Scaling activity initiated by (deployment ecs-svc/1)".to_owned()),
            ..task(1, 'a')
        };
        (scene.now, scene.observed.tasks) = (BEGAN + 14 * 60 * 1000, Reading::Known(vec![stopped]));
    });
    before.check("Deploying");
    let old = |reason: &str| {
        let stopped = Task {
            last_status: "STOPPED".to_owned(),
            stopped_at: Some(BEGAN + 10 * 60 * 1000),
            stopped_reason: Some(reason.to_owned()),
            ..task(1, 'a')
        };
        stuck().with(|scene| scene.observed.tasks = Reading::Known(vec![stopped]))
    };
    old("Scaling activity initiated by (deployment ecs-svc/1)").check("Deploying");
    old("Essential container in task exited").check("stamp mco-api:2 trueup:outcome=failed/d2");
    let running = |failed_tasks| {
        stuck().with(|scene| {
            if let Reading::Known(service) = &mut scene.observed.service {
                (service.deployments[0].running, service.deployments[0].failed_tasks) = (1, failed_tasks);
            }
        })
    };
    running(0).check("Deploying");
    running(1).check("stamp mco-api:2 trueup:outcome=failed/d2");
}

/// Whoever may tag revisions can write any outcome. What AWS lists itself is believed first.
#[test]
fn what_aws_lists_goes_before_an_outcome_that_was_forged() {
    let outcome = |result, deployment: &str| {
        memory::outcome_tag(&Outcome { result, deployment: deployment.to_owned() })
    };
    for result in [OutcomeKind::Succeeded, OutcomeKind::Superseded] {
        // Of this deployment, and of one that AWS never listed.
        for deployment in ["d2", "d9"] {
            let forged = rolled_back().tag(2, outcome(result, deployment));
            forged.check("stamp mco-api:2 trueup:outcome=failed/d2");
        }
    }
    // Also behind a newer deployment, after which nothing is recorded any more.
    for result in [OutcomeKind::Succeeded, OutcomeKind::Superseded] {
        let later = [("d3", 1, Successful), ("d2", 2, RollbackSuccessful), ("d1", 1, Successful)];
        let forged = rolled_back().tag(2, outcome(result, "d2"));
        forged.live(1, "ecs-svc/3", RolloutState::Completed).history(&later).check("Held");
    }
    // A forged failure holds: AWS forgets after a while. `retry` ends it.
    let held = Scene::new().ours(2, 'b', 1, "ecs-svc/1").tag(2, outcome(OutcomeKind::Failed, "d9"));
    held.check("Held");
    assert!(held.plan().retry.is_some());
}
