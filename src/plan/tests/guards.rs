//! What keeps a write back.

use std::collections::BTreeMap;

use super::{NOW, Scene, arn, digest, image, target};
use crate::documents::memory;
use crate::model::ServiceDeploymentStatus::Successful;
use crate::model::*;
use crate::plan::steady::VISIBLE;
use crate::plan::{Recent, Refusal, Reply, Step, TagPeer, waiting, windows};

#[test]
fn what_cannot_be_read_is_never_written_to() {
    let unavailable = || "timeout".to_owned();
    Scene::new().with(|s| s.observed.service = Reading::Unavailable(unavailable())).check("Unreadable");
    Scene::new()
        .with(|s| s.observed.service_deployments = Reading::Unavailable(unavailable()))
        .check("Unreadable");
    Scene::new().with(|s| s.observed.newest = Some(Reading::Unavailable(unavailable()))).check("Unreadable");
    Scene::new().with(|s| s.observed.newest = None).check("LookDeeper");
    Scene::new().with(|s| s.observed.account = Err(Unreached::Unread(unavailable()))).check("Unreadable");
    let revision =
        |s: &mut Scene| drop(s.observed.revisions.insert(arn(1), Reading::Unavailable(unavailable())));
    Scene::new().with(revision).check("Unreadable");
    let tasks = |s: &mut Scene| s.observed.tasks = Reading::Unavailable(unavailable());
    Scene::new().with(tasks).check("Unreadable");
    let old = |s: &mut Scene| {
        if let Reading::Known(history) = &mut s.observed.service_deployments {
            history[0].finished_at = Some(NOW - VISIBLE);
        }
    };
    Scene::new().declares_a().with(old).with(tasks).check("Settled");
    Scene::new().declares_a().with(tasks).check("Unreadable");
}

#[test]
fn by_the_newest_deployment_alone_it_can_only_be_told_that_nothing_is_to_be_done() {
    let newest = |scene: &mut Scene| scene.observed.lookback = Lookback::Newest;
    Scene::new().declares_a().with(newest).check("Settled");
    let young = |scene: &mut Scene| {
        let Reading::Known(history) = &mut scene.observed.service_deployments else { return };
        history[0].finished_at = Some(NOW - 30_000);
    };
    Scene::new().declares_a().with(young).with(newest).check("Settling");
    Scene::new().with(newest).check("LookDeeper");
    Scene::new().live(1, "ecs-svc/1", RolloutState::InProgress).with(newest).check("LookDeeper");
}

#[test]
fn what_aws_refused_is_told_and_tried_again_after_a_pause() {
    let scene = Scene::new();
    let step = scene.plan().steps.into_iter().next().unwrap();
    let refused = |times, until| Refusal { step: step.clone(), why: "bad cpu".to_owned(), times, until };
    let at = |times, until| Scene::new().with(|scene| scene.refusal = Some(refused(times, until)));
    at(1, NOW + 1).check("WriteRefused");
    at(1, NOW).check("register bbbbbbb 1/head/ecs-svc/1");
    for (times, expected) in [(1, waiting::Class::Moving), (2, waiting::Class::Stalled)] {
        let waiting = at(times, NOW + 1).plan().waiting.unwrap();
        assert_eq!(waiting::class(&waiting), expected);
        assert!(waiting::describe(&waiting).ends_with("register the task definition: bad cpu"));
    }
    // Another write has not been refused.
    let newer = at(2, NOW + 1).with(|scene| {
        scene.desired.images[0].commit = Commit::new("ccccccc");
        scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
    });
    newer.check("register ccccccc 1/head/ecs-svc/1");
}

#[test]
fn a_missing_or_foreign_place_is_not_written_to() {
    Scene::new().with(|s| s.observed.service = Reading::Absent).check("ServiceMissing");
    Scene::new().with(|s| s.observed.account = Ok(AccountId::new("210987654321"))).check("WrongAccount");
    let unreached = |why: Unreached| Scene::new().with(|s| s.observed.account = Err(why));
    let text = || "text".to_owned();
    unreached(Unreached::Role { role: text(), why: text() }).check("RoleNotAssumed");
    unreached(Unreached::Region { region: text(), why: text() }).check("RegionNotEnabled");
    let controller = |controller| {
        Scene::new().with(move |scene| {
            if let Reading::Known(service) = &mut scene.observed.service {
                service.controller = controller;
            }
        })
    };
    controller(Controller::CodeDeploy).check("StrategyMismatch");
    controller(Controller::External).check("UnsupportedController");
}

#[test]
fn an_immutable_tag_is_said_before_anything_is_written() {
    let mutability = |exceptions: &[&str]| Mutability {
        mutable_by_default: false,
        exceptions: exceptions.iter().map(|text| (*text).to_owned()).collect(),
    };
    let immutable = |exceptions: &[&str]| {
        let mutability = mutability(exceptions);
        Scene::new().with(|scene| {
            if let Reading::Known(repository) = &mut scene.observed.images[0].repository {
                repository.mutability = mutability;
            }
        })
    };
    immutable(&[]).check("TagImmutable");
    immutable(&["t*t"]).check("register bbbbbbb 1/head/ecs-svc/1");
    immutable(&[])
        .with(|s| s.desired.policy.move_tag = MoveTag::Never)
        .check("register bbbbbbb 1/head/ecs-svc/1");
}

#[test]
fn an_infra_commit_that_is_not_in_this_history_stops_every_write() {
    let behind = |ancestry| {
        Scene::new().ours(3, 'c', 1, "ecs-svc/0").with(|scene| {
            scene.observed.ancestry.insert(scene.head.clone(), ancestry);
            scene.head = InfraCommit::new("another");
        })
    };
    behind(Ancestry::NotAncestor).check("SourceBehind");
    let plan = behind(Ancestry::NotAncestor).plan();
    let said = waiting::describe(plan.waiting.as_ref().unwrap());
    assert!(said.contains("head") && said.contains("trueup:applied of mco-api:3"), "{said}");
    let hint = waiting::hint(plan.waiting.as_ref().unwrap(), &plan.status.target).unwrap();
    assert!(hint.contains("accept-history test") && hint.contains("task-definition/mco-api:3"), "{hint}");
    behind(Ancestry::Unknown).check("Unreadable");
    behind(Ancestry::Ancestor).check("register bbbbbbb 2/another/ecs-svc/1");
}

#[test]
fn an_accepted_history_is_stamped_on_the_live_revision_or_keeps_drift_drift() {
    let accepted = |scene: Scene| {
        let scene = scene.with(|scene| {
            scene.observed.ancestry.insert(scene.head.clone(), Ancestry::NotAncestor);
            scene.head = InfraCommit::new("another");
        });
        let Some(Step::Stamp { revision, stamp }) = scene.plan().accept_history else { return None };
        let tags = stamp.tags();
        let said = format!("{} {}", revision.short(), tags["trueup:applied"]);
        let number = revision.revision().unwrap();
        Some((said, tags.into_iter().fold(scene, |scene, tag| scene.tag(number, tag))))
    };
    // Commit c is ours and live, and the new line declares b: it is acted on.
    let ours = Scene::new().ours(3, 'c', 4, "ecs-svc/2").live(3, "ecs-svc/3", RolloutState::Completed);
    let (stamp, scene) = accepted(ours).unwrap();
    assert_eq!(stamp, "mco-api:3 5/another/ecs-svc/3");
    scene.check("stamp mco-api:3 trueup:outcome=succeeded/ecs-svc/3");
    let ended = [("trueup:outcome", "succeeded/ecs-svc/3"), ("trueup:ended", "5/ecs-svc/3")];
    let ended = ended.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let scene = ended.into_iter().fold(scene, |scene, tag| scene.tag(3, tag));
    scene.check("tag test c");
    let scene = scene.with(|scene| scene.desired.policy.move_tag = MoveTag::Never);
    scene.check("register bbbbbbb 6/another/ecs-svc/3");
    // Commit b is declared and was deployed by us as revision 2; another hand has deployed revision 1 since.
    let (stamp, scene) = accepted(Scene::new().ours(2, 'b', 4, "ecs-svc/0")).unwrap();
    assert_eq!(stamp, "mco-api:2 5/another/ecs-svc/0");
    scene.check("Drifted");
    assert_eq!(Scene::new().plan().accept_history, None);
}

#[test]
fn nothing_is_written_twice_inside_its_window() {
    let wrote = |scene: Scene, age: Millis| {
        let step = scene.plan().steps.into_iter().next().unwrap();
        scene.with(|scene| {
            scene.recent = Some(Recent { step, at: NOW - age, reply: None, repeated: 0 });
        })
    };
    wrote(Scene::new(), windows::REGISTRATION - 1).check("Consistency");
    wrote(Scene::new(), windows::REGISTRATION).check("register bbbbbbb 1/head/ecs-svc/1");
    let again = |age| {
        wrote(Scene::new(), age).with(|scene| {
            if let Some(recent) = &mut scene.recent {
                recent.repeated = 2;
            }
        })
    };
    again(4 * windows::REGISTRATION - 1).check("Consistency");
    again(4 * windows::REGISTRATION).check("register bbbbbbb 1/head/ecs-svc/1");
    let registered = || Scene::new().ours(2, 'b', 1, "ecs-svc/1");
    wrote(registered(), windows::DEPLOYMENT - 1).check("Consistency");
    // The revision is seen at once, but another controller's may not be: the window is waited out all the same.
    let seen = registered().with(|scene| scene.recent = wrote(Scene::new(), 1).recent);
    seen.check("Consistency");
}

#[test]
fn what_was_started_three_times_and_never_shows_has_failed() {
    let started = |repeated, reply| {
        let scene = Scene::new().ours(2, 'b', 1, "ecs-svc/1");
        let step = scene.plan().steps.swap_remove(0);
        let at = NOW - 100 * windows::DEPLOYMENT;
        scene.with(|scene| scene.recent = Some(Recent { step, at, reply, repeated }))
    };
    let answered = || Some(Reply::Deploying(DeploymentId::new("ecs-svc/2")));
    started(1, answered()).check("deploy mco-api:2 Interrupted");
    started(2, answered()).check("stamp mco-api:2 trueup:outcome=failed/ecs-svc/2");
    // Whether AWS has ever started it is not known.
    started(2, None).check("deploy mco-api:2 Interrupted");
}

#[test]
fn two_revisions_of_one_race_meet_at_the_lowest() {
    let raced = Scene::new().ours(2, 'b', 1, "ecs-svc/1").ours(3, 'b', 1, "ecs-svc/1");
    raced.check("deploy mco-api:2 Interrupted");
}

fn suspension(until: Option<i64>) -> Suspension {
    Suspension { until, reason: "freeze".to_owned(), scope: SuspensionScope::Application }
}

#[test]
fn limits_suspension_and_observing_withhold_writes() {
    Scene::new().with(|scene| scene.turn = Some("after test/db")).check("Turn");
    Scene::new().with(|scene| scene.desired.mode = Mode::Observe).check("Observing");
    let suspended = |until| Scene::new().with(|scene| scene.desired.suspensions = vec![suspension(until)]);
    let (later, over) = (Some(NOW / 1000 + 1), Some(NOW / 1000));
    suspended(None).check("Suspended");
    suspended(later).check("Suspended");
    suspended(over).check("register bbbbbbb 1/head/ecs-svc/1");
    // What is over suspends nothing, and `mode` holds as before.
    suspended(over).with(|scene| scene.desired.mode = Mode::Observe).check("Observing");
    suspended(later).with(|scene| scene.desired.mode = Mode::Observe).check("Suspended");
    // Of the environment's and the application's own, the one that lasts longer is told.
    for (environment, application, told) in [
        (over, later, Some("suspended until 1970-01-01T02:46:41Z: freeze")),
        (later, over, Some("the environment is suspended until 1970-01-01T02:46:41Z: freeze")),
        (later, None, Some("suspended: freeze")),
        (None, later, Some("the environment is suspended: freeze")),
        (over, over, None),
    ] {
        let scope = SuspensionScope::Environment;
        let of_environment = Suspension { scope, ..suspension(environment) };
        let both = vec![of_environment, suspension(application)];
        let plan = Scene::new().with(|scene| scene.desired.suspensions = both).plan();
        let said = plan.waiting.as_ref().map(waiting::describe);
        assert_eq!(said.is_some(), told.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().starts_with(told.unwrap_or_default()));
    }
    let shared = |good: Option<char>| {
        let worker = Target { application: ApplicationName::new("worker"), ..target() };
        let peer = TagPeer { target: worker, digest: good.map(digest) };
        Scene::new()
            .ours(2, 'b', 1, "ecs-svc/1")
            .tag(
                2,
                memory::outcome_tag(&Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() }),
            )
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .history(&[("d2", 2, Successful)])
            .with(|scene| drop(scene.peers.insert(RepositoryName::new("mco/api"), vec![peer])))
    };
    // What is good in the others decides, whatever they declare.
    shared(None).check("TagShared");
    shared(None).with(|scene| scene.observed.lookback = Lookback::Newest).check("TagShared");
    shared(Some('a')).check("TagShared");
    shared(Some('b')).check("tag test b");
}

type Harm = (&'static str, fn(&mut Observed, String));

/// Others move a shared tag by what is told to be good here.
#[test]
fn what_was_not_read_whole_is_good_for_nobody() {
    let good = || {
        let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() };
        Scene::new()
            .ours(2, 'b', 1, "ecs-svc/1")
            .tag(2, memory::outcome_tag(&outcome))
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .history(&[("d2", 2, Successful)])
    };
    let whole = good().plan().status.good;
    assert_eq!(whole, BTreeMap::from([(RepositoryName::new("mco/api"), digest('b'))]));
    let unavailable = || "timeout".to_owned();
    let harms: [Harm; 8] = [
        ("account", |seen, why| seen.account = Err(Unreached::Unread(why))),
        ("another account", |seen, _| seen.account = Ok(AccountId::new("210987654321"))),
        ("service", |seen, why| seen.service = Reading::Unavailable(why)),
        ("deployments", |seen, why| seen.service_deployments = Reading::Unavailable(why)),
        ("live revision", |seen, why| drop(seen.revisions.insert(arn(2), Reading::Unavailable(why)))),
        ("another revision", |seen, why| drop(seen.revisions.insert(arn(1), Reading::Unavailable(why)))),
        ("tasks", |seen, why| seen.tasks = Reading::Unavailable(why)),
        ("repository", |seen, why| seen.images[0].repository = Reading::Unavailable(why)),
    ];
    for (harm, act) in harms {
        let scene = good().with(|scene| {
            act(&mut scene.observed, unavailable());
        });
        assert_eq!(scene.plan().status.good, BTreeMap::new(), "{harm}");
    }
}
