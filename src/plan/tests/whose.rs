//! Whose a deployment is, what is held, and what first contact allows: by the stamps of today.

use std::collections::BTreeMap;

use super::{NOW, Scene, URI, arn, declared_before, digest, foreign, history, image, input};
use crate::documents::memory::{self, Registration, Stamp};
use crate::model::ServiceDeploymentStatus::{InProgress, RollbackSuccessful, Stopped, Successful};
use crate::model::*;
use crate::plan::{Step, declaration};

const MINUTE: Millis = 60_000;

impl Scene {
    /// Our revision `number` of the commit, stamped so long ago, for what is declared now but for its commit.
    fn stamped(self, number: u64, letter: char, generation: u64, live_then: &str, ago: Millis) -> Self {
        let declared = declaration::hash(&self.desired, None);
        self.registered(number, letter, generation, live_then, ago, &declared)
    }

    fn registered(
        mut self,
        number: u64,
        letter: char,
        generation: u64,
        live_then: &str,
        ago: Millis,
        declared: &DeclarationHash,
    ) -> Self {
        let input = input(&format!("{URI}@{}", digest(letter)));
        let applied = Applied {
            generation,
            infra_commit: Some(self.head.clone()),
            live_then: DeploymentId::new(live_then),
            from: None,
            at: Some(NOW - ago),
            rounds: 0,
            receipts: None,
        };
        let registration = Registration {
            commit: &Commit::new(letter.to_string().repeat(7)),
            others: BTreeMap::new(),
            content: &memory::content_hash(&self.desired.target, &input),
            declared: Some(declared),
            applied: &applied,
        };
        let tags = memory::registration(&self.desired, &registration);
        let revision = Revision { arn: arn(number), active: true, input, tags, registered_by: None };
        self.observed.revisions.insert(arn(number), Reading::Known(revision));
        self
    }

    fn ended(self, number: u64, result: OutcomeKind, id: &str, generation: u64) -> Self {
        let outcome = Outcome { result, deployment: id.to_owned() };
        let tags = Stamp::Outcome { outcome, generation: Some(generation) }.tags();
        tags.into_iter().fold(self, |scene, tag| scene.tag(number, tag))
    }

    /// Service deployments, newest first, each begun so long ago.
    fn began(mut self, entries: &[(&str, u64, ServiceDeploymentStatus, Millis)]) -> Self {
        let entries = entries.iter().map(|(id, number, status, ago)| ServiceDeployment {
            created_at: NOW - ago,
            ..history(id, *number, *status)
        });
        self.observed.service_deployments = Reading::Known(entries.collect());
        self
    }

    fn primary_began(self, ago: Millis) -> Self {
        self.with(|scene| {
            if let Reading::Known(service) = &mut scene.observed.service {
                service.deployments[0].created_at = NOW - ago;
            }
        })
    }

    #[track_caller]
    fn check_hand(&self, expected: StartedBy) {
        let status = self.plan().status;
        assert_eq!(status.last_deployment.unwrap().started_by, expected, "{:#?}", status.waiting);
    }
}

#[test]
fn ours_is_the_first_deployment_to_a_revision_after_its_stamp_and_no_other() {
    // Revision 2 was stamped ten minutes ago and its deployment d2 began at once.
    let stamped = || Scene::new().stamped(2, 'b', 1, "ecs-svc/1", 10 * MINUTE);
    let live = |ago: Millis| stamped().live(2, "ecs-svc/2", RolloutState::Completed).primary_began(ago);
    let first = ("d2", 2, Successful, 10 * MINUTE - 1000);
    live(10 * MINUTE - 1000).began(&[first]).check_hand(StartedBy::Trueup);
    let forced = ("d3", 2, Successful, MINUTE);
    live(MINUTE).began(&[forced, first]).check_hand(StartedBy::Other);
    // Also where the first one has left the list, since its end is on record.
    let recorded = live(MINUTE).ended(2, OutcomeKind::Succeeded, "d2", 1);
    recorded.began(&[forced]).check_hand(StartedBy::Other);
    let before = ("d2", 2, Successful, 20 * MINUTE);
    live(20 * MINUTE).began(&[before]).check_hand(StartedBy::Other);
}

#[test]
fn an_older_revision_that_is_deployed_again_is_another_hands_unless_its_own_write_comes_late() {
    let scene =
        |ago: Millis, stamped_ago: Millis, entries: &[(&str, u64, ServiceDeploymentStatus, Millis)]| {
            Scene::new()
                .stamped(3, 'c', 1, "ecs-svc/1", stamped_ago)
                .stamped(2, 'b', 2, "ecs-svc/1", 5 * MINUTE)
                .ended(2, OutcomeKind::Succeeded, "d2", 2)
                .live(3, "ecs-svc/3", RolloutState::Completed)
                .primary_began(ago)
                .began(entries)
        };
    let newer = ("d2", 2, Successful, 5 * MINUTE);
    let back = ("d3", 3, Successful, MINUTE);
    // Its own deployment had been before.
    let again = scene(MINUTE, 8 * MINUTE, &[back, newer, ("d1", 3, Stopped, 8 * MINUTE)]);
    // It succeeded, whoever started it.
    again.check("stamp mco-api:3 trueup:outcome=succeeded/d3");
    let told = (("trueup:outcome").to_owned(), "succeeded/d3".to_owned());
    again.tag(3, told.clone()).check("tag test c");
    // Nothing had come of its stamp, and that was not long ago.
    let late = scene(MINUTE, 8 * MINUTE, &[back, newer]);
    late.check_hand(StartedBy::Trueup);
    late.check("stamp mco-api:2 trueup:applied=3/head/ecs-svc/3");
    // A look that has read no newer stamp would take it for the newest, and record and tag what is to be put right.
    let shallow = scene(MINUTE, 8 * MINUTE, &[back]).with(|scene| {
        scene.observed.revisions.remove(&arn(2));
        scene.observed.newest = None;
    });
    shallow.check("LookDeeper");
    let recorded = shallow.ended(3, OutcomeKind::Succeeded, "d3", 1);
    recorded.check("LookDeeper");
    let too_late = scene(MINUTE, 12 * MINUTE, &[back, newer]).tag(3, told);
    too_late.check_hand(StartedBy::Other);
    let tagged = Reading::Known(image('c', &["ccccccc", "test"]));
    too_late.with(|scene| scene.observed.images[0].tagged = tagged).check("Drifted");
}

#[test]
fn what_another_hand_deploys_of_ours_is_neither_replaced_nor_rolled_back() {
    let going = |scene: Scene| scene.live(3, "ecs-svc/3", RolloutState::InProgress).primary_began(MINUTE);
    let stamped = || Scene::new().stamped(3, 'c', 1, "ecs-svc/1", 30 * MINUTE);
    let older = ("d2", 3, Successful, 30 * MINUTE);
    let theirs = going(stamped()).began(&[("d3", 3, InProgress, MINUTE), older]);
    theirs.check("Deploying");
    let ours = going(Scene::new().stamped(3, 'c', 1, "ecs-svc/1", MINUTE));
    ours.began(&[("d3", 3, InProgress, MINUTE)]).check("register bbbbbbb 2/head/ecs-svc/3");
}

#[test]
fn a_rollback_by_trueup_is_its_own() {
    let scene = Scene::new()
        .stamped(2, 'b', 1, "ecs-svc/1", 10 * MINUTE)
        .ended(2, OutcomeKind::Failed, "d2", 1)
        .live(1, "ecs-svc/3", RolloutState::InProgress)
        .primary_began(MINUTE);
    let entries =
        [("d3", 1, InProgress, MINUTE), ("d2", 2, Stopped, 10 * MINUTE), ("d1", 1, Successful, 60 * MINUTE)];
    let scene = scene.began(&entries);
    scene.check_hand(StartedBy::Trueup);
    // So a newer commit need not wait for it.
    let newer = scene.with(|scene| {
        scene.desired.images[0].commit = Commit::new("ccccccc");
        scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
    });
    newer.check("register ccccccc 2/head/ecs-svc/3");
}

/// What should run is another image than before, and nobody has touched the service.
#[test]
fn a_commit_tag_that_was_pushed_over_is_no_drift() {
    let drift = |built: char| {
        let scene = Scene::new()
            .stamped(2, 'b', 1, "ecs-svc/1", 10 * MINUTE)
            .ended(2, OutcomeKind::Succeeded, "d2", 1)
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .primary_began(9 * MINUTE)
            .began(&[("d2", 2, Successful, 9 * MINUTE), ("d1", 1, Successful, 60 * MINUTE)])
            .with(|scene| {
                scene.observed.tasks = Reading::Known(vec![super::task(2, 'b')]);
                scene.observed.images[0].built = Reading::Known(image(built, &["bbbbbbb"]));
            });
        let by_hand = scene.with(|scene| {
            if built == 'b' {
                let revision = foreign(3, &format!("{URI}@{}", digest('c')));
                scene.observed.revisions.insert(arn(3), Reading::Known(revision));
                scene.observed.service =
                    Reading::Known(super::service(3, "ecs-svc/3", RolloutState::Completed));
            }
        });
        let plan = by_hand.plan();
        (crate::plan::waiting::reason(plan.waiting.as_ref().unwrap()), plan.status.drift.len())
    };
    assert_eq!(drift('e'), ("CommitTagMoved", 0));
    assert_eq!(drift('b'), ("Drifted", 1));
}

/// AWS has undone it already, so it was not trueup that goes back once more.
#[test]
fn what_another_hand_forces_after_a_rollback_by_aws_is_its_own() {
    let forced = |status, rollout| {
        let entries = [
            ("d3", 1, status, MINUTE),
            ("d2", 2, RollbackSuccessful, 10 * MINUTE),
            ("d1", 1, Successful, 60 * MINUTE),
        ];
        Scene::new()
            .stamped(2, 'b', 1, "ecs-svc/1", 10 * MINUTE)
            .ended(2, OutcomeKind::Failed, "d2", 1)
            .live(1, "ecs-svc/3", rollout)
            .primary_began(MINUTE)
            .began(&entries)
    };
    let going = forced(InProgress, RolloutState::InProgress);
    going.check_hand(StartedBy::Other);
    going.check("Held");
    let last = going.plan().status.last_deployment.unwrap();
    assert_eq!((last.id.as_deref(), last.phase), (Some("d3"), Phase::InProgress));
    // A newer commit does not stop it.
    let newer = going.with(|scene| {
        scene.desired.images[0].commit = Commit::new("ccccccc");
        scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
    });
    newer.check("Deploying");
    let ended = forced(Successful, RolloutState::Completed);
    ended.check("Held");
    assert_eq!(ended.plan().status.last_deployment.unwrap().id.as_deref(), Some("d3"));
}

#[test]
fn the_newest_try_of_a_declaration_holds_it_and_nothing_that_git_mends_does() {
    let failed = |scene: Scene| {
        let scene = scene.ended(2, OutcomeKind::Failed, "d2", 1);
        scene.began(&[("d2", 2, RollbackSuccessful, MINUTE), ("d1", 1, Successful, 60 * MINUTE)])
    };
    let scene = || failed(Scene::new().stamped(2, 'b', 1, "ecs-svc/1", MINUTE));
    scene().check("Held");
    // Another base that nobody declares is no reason.
    let other_base = scene().with(|scene| {
        let mut base = foreign(1, &format!("{URI}@{}", digest('a')));
        base.input["cpu"] = serde_json::json!("512");
        scene.observed.revisions.insert(arn(1), Reading::Known(base));
    });
    other_base.check("Held");
    // More digits of the same commit are none.
    let longer = scene().with(|scene| scene.desired.images[0].commit = Commit::new("bbbbbbb0"));
    longer.check("Held");
    // Another setting of the service is, and a count is not.
    let with =
        |settings: serde_json::Value| scene().with(|scene| scene.desired.service_settings = Some(settings));
    with(serde_json::json!({"healthCheckGracePeriodSeconds": 60})).check("register bbbbbbb 2/head/ecs-svc/1");
    let counted = |count: i32| {
        let settings = Some(serde_json::json!({"desiredCount": count}));
        let mut declared = Scene::new();
        declared.desired.service_settings.clone_from(&settings);
        failed(declared.stamped(2, 'b', 1, "ecs-svc/1", MINUTE))
    };
    counted(2)
        .with(|scene| scene.desired.service_settings = Some(serde_json::json!({"desiredCount": 3})))
        .check("Held");
}

#[test]
fn the_same_content_that_is_declared_otherwise_is_another_revision() {
    let other = DeclarationHash::new("other");
    let scene = Scene::new().registered(2, 'b', 1, "ecs-svc/1", MINUTE, &other);
    scene.check("register bbbbbbb 2/head/ecs-svc/1");
    Scene::new().stamped(2, 'b', 1, "ecs-svc/1", MINUTE).check("deploy mco-api:2 Interrupted");
}

#[test]
fn what_was_deregistered_is_remembered_and_registered_again_only_to_be_deployed() {
    let gone = |scene: &mut Scene| {
        if let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(2)) {
            revision.active = false;
        }
    };
    let scene = || {
        Scene::new()
            .stamped(2, 'b', 1, "ecs-svc/1", 30 * MINUTE)
            .ended(2, OutcomeKind::Succeeded, "d2", 1)
            .began(&[("d3", 1, Successful, MINUTE), ("d2", 2, Successful, 30 * MINUTE)])
            .live(1, "ecs-svc/3", RolloutState::Completed)
            .with(gone)
    };
    scene().check("Drifted");
    let heal = scene().with(|scene| scene.desired.policy.drift = OnDrift::Heal);
    heal.check("register bbbbbbb 2/head/ecs-svc/3");
}

#[test]
fn an_incomplete_memory_concludes_nothing_from_what_is_missing() {
    let incomplete = |scene: &mut Scene| {
        scene.observed.memory = Some(Completeness::Incomplete("not allowed".to_owned()));
    };
    Scene::new().with(incomplete).check("MemoryIncomplete");
    Scene::new().with(|scene| scene.observed.memory = None).check("LookDeeper");
    // What is at hand may be deployed.
    Scene::new()
        .stamped(2, 'b', 1, "ecs-svc/1", MINUTE)
        .with(incomplete)
        .check("deploy mco-api:2 Interrupted");
    // A declaration that no revision at hand carries may be one that has failed.
    let later = Scene::new().stamped(3, 'c', 1, "ecs-svc/0", MINUTE);
    later.with(incomplete).check("MemoryIncomplete");
}

#[test]
fn first_contact_deploys_what_git_changed_and_leaves_everything_else_to_the_policy() {
    let deploys = "register bbbbbbb 1/head/ecs-svc/1";
    Scene::new().check(deploys);
    let earlier = |earlier: Earlier| Scene::new().with(|scene| scene.observed.earlier = Some(earlier));
    let never = || Earlier { declarations: Vec::new(), is_complete: true };
    earlier(never()).check("Drifted");
    earlier(declared_before("ccccccc")).check("Drifted");
    earlier(Earlier { is_complete: false, ..never() }).check("Unreadable");
    Scene::new().with(|scene| scene.observed.earlier = None).check("LookDeeper");
    earlier(never()).with(|scene| scene.desired.policy.drift = OnDrift::Heal).check(deploys);
    earlier(never()).with(|scene| scene.desired.first_contact = FirstContact::Adopt).check(deploys);
    let placeholder = earlier(never()).with(|scene| {
        scene.observed.revisions.insert(arn(1), Reading::Known(foreign(1, "nginx:1")));
    });
    placeholder.check(deploys);
    // Who was on the declared commit and went away from it has done so.
    let left = Scene::new().began(&[("d2", 1, Successful, MINUTE), ("d1", 9, Successful, 60 * MINUTE)]).with(
        |scene| {
            let declared = foreign(9, &format!("{URI}@{}", digest('b')));
            scene.observed.revisions.insert(arn(9), Reading::Known(declared));
        },
    );
    left.check("Drifted");
    assert!(!left.plan().status.drift.is_empty(), "it is told as drift");
}

#[test]
fn healing_pauses_longer_each_time_and_ends_after_three_rounds() {
    // What another hand deployed began so long ago; it had been put right so often before.
    let undone = |rounds: u32, ago: Millis| {
        let scene = Scene::new().stamped(2, 'b', 5, "ecs-svc/1", 30 * MINUTE);
        let scene = scene.tag(2, ("trueup:healed".to_owned(), format!("5/{rounds}")));
        scene
            .ended(2, OutcomeKind::Succeeded, "d2", 5)
            .began(&[("d3", 1, Successful, ago), ("d2", 2, Successful, 30 * MINUTE)])
            .live(1, "ecs-svc/3", RolloutState::Completed)
            .primary_began(ago)
            .with(|scene| scene.desired.policy.drift = OnDrift::Heal)
    };
    let heals = "stamp mco-api:2 trueup:applied=6/head/ecs-svc/3";
    undone(0, 1000).check(heals);
    undone(1, 1000).check("HealingPaused");
    undone(1, 6 * MINUTE).check(heals);
    undone(2, 6 * MINUTE).check("HealingPaused");
    undone(2, 16 * MINUTE).check(heals);
    undone(3, 16 * MINUTE).check("Contested");
    let Some(Step::Stamp { stamp, .. }) = undone(2, 16 * MINUTE).plan().steps.first().cloned() else {
        unreachable!()
    };
    assert_eq!(stamp.tags()["trueup:healed"], "6/3");
}

#[test]
fn what_is_contested_is_restored_once_more_by_a_persons_word_and_counted_anew() {
    let contested = || {
        let scene = Scene::new().stamped(2, 'b', 5, "ecs-svc/1", 30 * MINUTE);
        scene
            .tag(2, ("trueup:healed".to_owned(), "5/3".to_owned()))
            .ended(2, OutcomeKind::Succeeded, "d2", 5)
            .began(&[("d3", 1, Successful, 16 * MINUTE), ("d2", 2, Successful, 30 * MINUTE)])
            .live(1, "ecs-svc/3", RolloutState::Completed)
            .primary_began(16 * MINUTE)
            .with(|scene| scene.desired.policy.drift = OnDrift::Heal)
    };
    // Also where the restored content would be another one, as the base has changed.
    let other_base = contested().with(|scene| {
        let mut base = foreign(1, &format!("{URI}@{}", digest('a')));
        base.input["cpu"] = serde_json::json!("512");
        scene.observed.revisions.insert(arn(1), Reading::Known(base));
    });
    for (scene, restores) in [
        (contested(), "stamp mco-api:2 trueup:applied=6/head/ecs-svc/3"),
        (other_base, "register bbbbbbb 6/head/ecs-svc/3"),
    ] {
        scene.check("Contested");
        let Some(Step::Stamp { revision, stamp }) = scene.plan().retry else { unreachable!() };
        assert_eq!((revision, &stamp), (arn(2), &Stamp::Retry("d2".to_owned())));
        let retried = stamp.tags().into_iter().fold(scene, |scene, tag| scene.tag(2, tag));
        retried.check(restores);
        let stamps = match retried.plan().steps.swap_remove(0) {
            Step::Stamp { stamp, .. } => stamp.tags(),
            Step::Register { tags, .. } => tags,
            _ => unreachable!(),
        };
        assert_ne!(stamps.get("trueup:healed").map(String::as_str), Some("6/4"), "counted anew");
    }
    // Once it has come to its end, the next change by another hand is drift again.
    let restored = contested().stamped(2, 'b', 6, "ecs-svc/3", 10 * MINUTE);
    let restored = restored.tag(2, ("trueup:retry".to_owned(), "d2".to_owned()));
    let undone = restored
        .ended(2, OutcomeKind::Succeeded, "d4", 6)
        .live(1, "ecs-svc/5", RolloutState::Completed)
        .primary_began(MINUTE)
        .began(&[("d5", 1, Successful, MINUTE), ("d4", 2, Successful, 10 * MINUTE)]);
    undone.with(|scene| scene.desired.policy.drift = OnDrift::Alert).check("Drifted");
}

#[test]
fn the_tag_is_on_what_last_succeeded_and_runs_whatever_is_declared() {
    // Commit b ended well and its tag has not moved yet; commit c is declared.
    let declares_c = |scene: &mut Scene| {
        scene.observed.images[0].known.insert(digest('b'), Reading::Known(image('b', &["bbbbbbb"])));
        scene.desired.images[0].commit = Commit::new("ccccccc");
        scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
    };
    let ended = || {
        Scene::new()
            .stamped(2, 'b', 1, "ecs-svc/1", 10 * MINUTE)
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .primary_began(10 * MINUTE)
            .began(&[("d2", 2, Successful, 10 * MINUTE)])
            .with(declares_c)
    };
    ended().check("stamp mco-api:2 trueup:outcome=succeeded/d2");
    let recorded = || ended().ended(2, OutcomeKind::Succeeded, "d2", 1);
    recorded().check("tag test b");
    let tagged = |scene: &mut Scene| {
        scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    };
    recorded().with(tagged).check("register ccccccc 2/head/ecs-svc/2");
    // What cannot move keeps nothing else from being done.
    let shared = recorded().with(|scene| {
        let worker = Target { application: ApplicationName::new("worker"), ..scene.desired.target.clone() };
        let peer = crate::plan::TagPeer { target: worker, digest: None };
        scene.peers.insert(RepositoryName::new("mco/api"), vec![peer]);
    });
    shared.check("register ccccccc 2/head/ecs-svc/2");
    // Commit c has failed and was rolled back before anybody saw that b had succeeded.
    let rolled_back = ended()
        .stamped(3, 'c', 2, "ecs-svc/2", 5 * MINUTE)
        .ended(3, OutcomeKind::Failed, "d3", 2)
        .began(&[("d3", 3, RollbackSuccessful, 5 * MINUTE), ("d2", 2, Successful, 10 * MINUTE)]);
    rolled_back.check("stamp mco-api:2 trueup:outcome=succeeded/d2");
}

#[test]
fn a_success_is_recorded_once_for_the_stamp_that_it_belongs_to() {
    let succeeded = |id: &str| {
        memory::outcome_tag(&Outcome { result: OutcomeKind::Succeeded, deployment: id.to_owned() })
    };
    let live = |stamped_ago: Millis, generation| {
        Scene::new()
            .stamped(2, 'b', generation, "ecs-svc/1", stamped_ago)
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .primary_began(10 * MINUTE)
    };
    let second = ("d3", 2, Successful, 10 * MINUTE);
    let first = ("d2", 2, Successful, 20 * MINUTE);
    // Another hand's, while the newest stamp waits for its deployment: recorded anew, and then told.
    let theirs = || live(MINUTE, 2).ended(2, OutcomeKind::Succeeded, "d2", 1).began(&[second, first]);
    theirs().check("stamp mco-api:2 trueup:outcome=succeeded/d3");
    theirs().tag(2, succeeded("d3")).check("tag test b");
    // Ours, of which an older version has written less.
    let ours = live(11 * MINUTE, 1).tag(2, succeeded("d3")).began(&[second]);
    ours.check("stamp mco-api:2 trueup:outcome=succeeded/d3");
}

#[test]
fn what_is_declared_needs_no_look_at_the_newest_of_ours_to_be_recorded() {
    let live = |scene: Scene| {
        let scene = scene.live(2, "ecs-svc/2", RolloutState::Completed).primary_began(10 * MINUTE);
        scene.began(&[("d2", 2, Successful, 10 * MINUTE)]).with(|scene| scene.observed.newest = None)
    };
    let declared = live(Scene::new().stamped(2, 'b', 1, "ecs-svc/1", 10 * MINUTE));
    declared.check("stamp mco-api:2 trueup:outcome=succeeded/d2");
    let other = DeclarationHash::new("other");
    live(Scene::new().registered(2, 'b', 1, "ecs-svc/1", 10 * MINUTE, &other)).check("LookDeeper");
}

#[test]
fn what_is_back_after_a_rollback_is_recorded_for_the_deployment_that_brought_it() {
    // Commit c is declared and has failed five minutes ago, and what had run before is live again.
    let back = |stamped_ago: Millis, brought_ago: Millis, between: &[_]| {
        let failed = ("d3", 3, RollbackSuccessful, 5 * MINUTE);
        let brought = ("d2", 2, Successful, brought_ago);
        let entries: Vec<_> = [&[failed], between, &[brought]].concat();
        Scene::new()
            .stamped(2, 'b', 1, "ecs-svc/1", stamped_ago)
            .stamped(3, 'c', 2, "ecs-svc/2", 5 * MINUTE)
            .ended(3, OutcomeKind::Failed, "d3", 2)
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .primary_began(brought_ago)
            .began(&entries)
            .with(|scene| {
                scene.observed.images[0].known.insert(digest('b'), Reading::Known(image('b', &["bbbbbbb"])));
                scene.desired.images[0].commit = Commit::new("ccccccc");
                scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
            })
    };
    let recorded = "stamp mco-api:2 trueup:outcome=succeeded/d2";
    back(30 * MINUTE, 30 * MINUTE, &[]).check(recorded);
    let scene = back(30 * MINUTE, 30 * MINUTE, &[("d9", 9, Successful, 7 * MINUTE)]);
    scene.check(recorded);
    let Some(Step::Stamp { stamp, .. }) = scene.plan().steps.first().cloned() else { unreachable!() };
    assert_eq!(stamp.tags()["trueup:ended"], "1/d2", "it began right after its stamp");
    back(30 * MINUTE, 30 * MINUTE, &[("d4", 2, Stopped, 7 * MINUTE)]).check(recorded);
    // What is on record stays so, although a stamp came after it.
    let restamped = back(7 * MINUTE, 30 * MINUTE, &[]).ended(2, OutcomeKind::Succeeded, "d2", 0);
    let tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    restamped.with(|scene| scene.observed.images[0].tagged = tagged).check("Held");
}

#[test]
fn what_failed_in_another_hands_deployment_is_not_undone() {
    let stuck = Scene::new()
        .stamped(2, 'b', 1, "ecs-svc/1", 30 * MINUTE)
        .ended(2, OutcomeKind::Failed, "d0", 1)
        .live(2, "ecs-svc/2", RolloutState::InProgress)
        .began(&[("d2", 2, InProgress, 20 * MINUTE), ("d1", 1, Successful, 60 * MINUTE)])
        .primary_began(20 * MINUTE)
        .with(|scene| {
            if let Reading::Known(service) = &mut scene.observed.service {
                service.circuit_breaker = CircuitBreaker::default();
            }
        });
    stuck.check("stamp mco-api:2 trueup:outcome=failed/d2");
    let failed = Outcome { result: OutcomeKind::Failed, deployment: "d2".to_owned() };
    stuck.tag(2, memory::outcome_tag(&failed)).check("Held");
}

/// AWS's list of deployments is empty, as it is after ninety days. Who may register and tag revisions must not choose what
/// the next commit starts from.
#[test]
fn a_success_that_no_deployment_here_brought_is_no_base() {
    let forged = Scene::new().history(&[]).stamped(9, 'c', 1, "ecs-svc/0", MINUTE).ended(
        9,
        OutcomeKind::Succeeded,
        "d9",
        1,
    );
    let forged = forged.with(|scene| {
        let target = scene.desired.target.clone();
        let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(9)) else {
            unreachable!()
        };
        revision.input["taskRoleArn"] = serde_json::json!("arn:aws:iam::123456789012:role/admin");
        let content = memory::content_hash(&target, &revision.input);
        revision.tags.insert("trueup:content".to_owned(), content.as_str().to_owned());
    });
    let Some(Step::Register { input, .. }) = forged.plan().steps.first().cloned() else {
        unreachable!("{:#?}", forged.plan())
    };
    assert_eq!(input.get("taskRoleArn"), None);
}
