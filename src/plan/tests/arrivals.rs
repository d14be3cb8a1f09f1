//! What is left to do once what is declared is live: its record, its settings and its tags.

use std::collections::BTreeMap;

use serde_json::json;

use super::{NOW, Scene, URI, arn, digest, foreign, image, task};
use crate::documents::{memory, service_settings};
use crate::model::ServiceDeploymentStatus::{InProgress, RollbackSuccessful, Successful};
use crate::model::*;
use crate::plan::{Recent, Step, TagPeer, windows};

fn outcome(result: OutcomeKind, id: &str) -> (String, String) {
    memory::outcome_tag(&Outcome { result, deployment: id.to_owned() })
}

/// Commit b is declared and runs as our revision 2, and its success is on record; its tag has not moved.
fn arrived() -> Scene {
    Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .tag(2, outcome(OutcomeKind::Succeeded, "d2"))
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
}

fn is_tagged(scene: &mut Scene) {
    scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
}

#[test]
fn what_failed_before_is_followed_while_it_goes_on() {
    let again = Scene::new().ours(2, 'b', 1, "ecs-svc/1").tag(2, outcome(OutcomeKind::Failed, "d2"));
    let again = again.live(2, "ecs-svc/3", RolloutState::InProgress);
    again.history(&[("d2", 2, RollbackSuccessful), ("d1", 1, Successful)]).check("Deploying");
}

#[test]
fn what_runs_carries_the_newest_stamp() {
    let newer = arrived().with(is_tagged).ours(3, 'c', 2, "ecs-svc/2");
    newer.check("stamp mco-api:2 trueup:applied=3/head/ecs-svc/2");
}

#[test]
fn the_tag_is_moved_by_whom_it_belongs_to_and_not_twice() {
    arrived().check("tag test b");
    let immutable = arrived().with(|scene| {
        let Reading::Known(repository) = &mut scene.observed.images[0].repository else { return };
        repository.mutability.mutable_by_default = false;
    });
    immutable.check("TagImmutable");
    let recent = |ago| {
        let step = arrived().plan().steps.swap_remove(0);
        let recent = Recent { step, at: NOW - ago, reply: None, repeated: 0 };
        arrived().with(|scene| scene.recent = Some(recent))
    };
    recent(windows::TAG - 1).check("Consistency");
    recent(windows::TAG).check("tag test b");
    // A peer that has the image too keeps nothing; where nobody knows what it runs, it does.
    let peer = |digest| {
        let target = Target { application: ApplicationName::new("worker"), ..super::target() };
        let peers = BTreeMap::from([(RepositoryName::new("mco/api"), vec![TagPeer { target, digest }])]);
        arrived().with(|scene| scene.peers = peers)
    };
    peer(Some(digest('b'))).check("tag test b");
    peer(Some(digest('a'))).check("TagShared");
    peer(None).check("TagShared");
    // What another hand deployed, and trueup never did, is tagged by whoever tags it.
    let theirs = || {
        Scene::new().declares_a().with(|scene| {
            scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
        })
    };
    theirs().check("Settled");
    theirs().with(|scene| scene.desired.policy.drift = OnDrift::Heal).check("tag test a");
    // Whose it is, the live revision tells: whatever else there is need not be known.
    let incomplete = Some(Completeness::Incomplete("not allowed".to_owned()));
    theirs().with(|scene| scene.observed.memory = incomplete).check("Settled");
}

#[test]
fn what_another_hand_registers_and_deploys_moves_no_tag_although_it_is_declared_by_now() {
    // Commit b was deployed by us and is tagged; then another hand deployed commit a, and git declares it.
    let theirs = || {
        let scene = arrived().with(is_tagged).declares_a();
        let scene = scene.live(1, "ecs-svc/3", RolloutState::Completed);
        scene.history(&[("d3", 1, Successful), ("d2", 2, Successful)]).with(is_tagged)
    };
    theirs().check("Settled");
    assert_eq!(theirs().plan().status.sync, Sync::Synced);
    theirs().with(|scene| scene.observed.newest = None).check("Settled");
    theirs().with(|scene| scene.desired.policy.drift = OnDrift::Heal).check("tag test a");
    // A revision of ours that another hand deploys again is still ours.
    theirs().ours(1, 'a', 1, "ecs-svc/0").tag(1, outcome(OutcomeKind::Succeeded, "d3")).check("tag test a");
}

/// What the environment tag belongs on.
fn good(scene: &Scene) -> Option<Digest> {
    scene.plan().status.good.into_values().next()
}

#[test]
fn the_tag_belongs_on_what_is_good() {
    let idle = |scene: &mut Scene| {
        if let Reading::Known(service) = &mut scene.observed.service {
            (service.desired_count, service.running_count) = (0, 0);
        }
    };
    let unrecorded = || Scene::new().declares_a();
    assert_eq!(good(&unrecorded()), Some(digest('a')), "it runs");
    assert_eq!(good(&unrecorded().with(idle)), None, "it has never run");
    assert_eq!(good(&arrived().with(idle)), Some(digest('b')), "it has");
    let superseded = arrived().tag(2, outcome(OutcomeKind::Superseded, "d0"));
    assert_eq!(good(&superseded.with(idle)), None, "nobody knows");
    let failed = Scene::new().declares_a().ours(1, 'a', 1, "ecs-svc/0");
    assert_eq!(good(&failed.tag(1, outcome(OutcomeKind::Failed, "d0"))), None, "it has failed");
    let going = arrived().live(2, "ecs-svc/3", RolloutState::InProgress).history(&[("d3", 2, InProgress)]);
    assert_eq!(good(&going), None, "it is not over");
}

#[test]
fn the_digest_to_be_tagged_is_one_of_the_repository() {
    let live = |reference: &str| {
        Scene::new().with(|scene| {
            scene.observed.revisions.insert(arn(1), Reading::Known(foreign(1, reference)));
            scene.observed.tasks = Reading::Known(vec![task(1, 'd')]);
        })
    };
    assert_eq!(good(&live(&format!("{URI}@{}", digest('c')))), Some(digest('c')));
    assert_eq!(good(&live(&format!("{URI}:v1"))), Some(digest('d')), "what its tasks run");
    assert_eq!(good(&live(&format!("{URI}-web@{}", digest('c')))), None, "of another repository");
    assert_eq!(good(&live("nginx")), None);
    // The registry's tag stands on the index of what a platform runs.
    let of_platform = live(&format!("{URI}@{}", digest('c'))).with(|scene| {
        let child =
            Platform { digest: Some(digest('c')), os: "linux".to_owned(), architecture: "arm64".to_owned() };
        let index = Image { platforms: vec![child], ..image('a', &["aaaaaaa", "test"]) };
        scene.observed.images[0].tagged = Reading::Known(index);
    });
    assert_eq!(good(&of_platform), Some(digest('a')));
    // Where no task tells, the tag in the reference does.
    let by_name = Scene::new().declares_a().with(|scene| {
        scene.observed.revisions.insert(arn(1), Reading::Known(foreign(1, &format!("{URI}:aaaaaaa"))));
        scene.observed.tasks = Reading::Known(Vec::new());
    });
    assert_eq!(good(&by_name), Some(digest('a')));
}

#[test]
fn an_image_of_several_containers_is_what_all_of_them_run() {
    let live = |first: char, second: char| {
        let scene = Scene::new().with(|scene| {
            let mut revision = foreign(1, &format!("{URI}@{}", digest(first)));
            let worker = json!({"name": "worker", "image": format!("{URI}@{}", digest(second))});
            revision.input["containerDefinitions"].as_array_mut().unwrap().push(worker);
            scene.observed.revisions.insert(arn(1), Reading::Known(revision));
            scene.desired.images[0].containers =
                Containers::Named(vec!["api".to_owned(), "worker".to_owned()]);
        });
        good(&scene)
    };
    assert_eq!(live('b', 'b'), Some(digest('b')));
    assert_eq!(live('a', 'b'), Some(digest('a')), "the first where they differ");
    let of_none = Scene::new().with(|scene| {
        scene.desired.images[0].containers = Containers::Named(vec!["worker".to_owned()]);
    });
    assert_eq!(good(&of_none), None);
}

#[test]
fn settings_that_differ_are_sent_when_nothing_keeps_them() {
    let declared = json!({"deploymentConfiguration": {"maximumPercent": 150}});
    let hash = service_settings::hash(&declared);
    let stamp = |done| memory::settings_tag(&SettingsStamp { hash: hash.clone(), done });
    let differs = || {
        arrived().with(is_tagged).with(|scene| {
            scene.desired.service_settings = Some(declared.clone());
            if let Reading::Known(service) = &mut scene.observed.service {
                service.settings = json!({"deploymentConfiguration": {"maximumPercent": 200}});
            }
        })
    };
    let pending = format!("stamp mco-api:2 trueup:settings={hash}/pending");
    for (drift, expected) in
        [(OnDrift::Alert, "Drifted"), (OnDrift::Ignore, "Drifted"), (OnDrift::Heal, pending.as_str())]
    {
        differs().tag(2, stamp(true)).with(|scene| scene.desired.policy.drift = drift).check(expected);
    }
    differs().check(&pending);
    differs().with(|scene| scene.turn = Some("after test/db")).check("Turn");
    // Another hand deploys the same revision once more.
    let going = differs().live(2, "ecs-svc/3", RolloutState::InProgress);
    going.history(&[("d3", 2, InProgress), ("d2", 2, Successful)]).check("Deploying");
    // Another write was repeated; these were not sent yet.
    let step = Step::CreateApplication { application: "API".to_owned() };
    let recent = Recent { step, at: NOW - 100 * windows::DEPLOYMENT, reply: None, repeated: 2 };
    let sending = differs().tag(2, stamp(false)).with(|scene| scene.recent = Some(recent));
    sending.check(r#"settings {"deploymentConfiguration":{"maximumPercent":150}}"#);
}
