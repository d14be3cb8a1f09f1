//! What was there before trueup is left as it is, and what is declared is looked at by effect.

use super::{Scene, URI, arn, foreign, image};
use crate::model::*;

#[test]
fn first_contact_with_what_already_runs_writes_nothing() {
    Scene::new().declares_a().check("Settled");
    let untagged = Scene::new().declares_a().with(|scene| scene.observed.images[0].tagged = Reading::Absent);
    untagged.check("Settled");
    // The live revision names a mutable tag: what its tasks run decides.
    let by_tag = Scene::new().declares_a().with(|scene| {
        scene.observed.revisions.insert(arn(1), Reading::Known(foreign(1, &format!("{URI}:latest"))));
    });
    by_tag.check("Settled");
}

/// A service without tasks, and one whose tasks tell no digest: what a tag means now decides.
#[test]
fn first_contact_with_a_tag_that_nobody_has_resolved_asks_what_it_means_now() {
    let live = |tag: &str| {
        let reference = format!("{URI}:{tag}");
        Scene::new().declares_a().with(|scene| {
            scene.observed.revisions.insert(arn(1), Reading::Known(foreign(1, &reference)));
            scene.observed.tasks = Reading::Known(Vec::new());
        })
    };
    live("aaaaaaa").check("Settled");
    live("test").check("Settled");
    // What nobody can tell may be anything: it is left to a person.
    live("latest").check("Drifted");
    let elsewhere = |scene: &mut Scene| {
        scene.observed.images[0].built = Reading::Known(image('a', &["aaaaaaa"]));
        scene.observed.images[0].tagged = Reading::Known(image('c', &["ccccccc", "test"]));
    };
    live("test").with(elsewhere).check("Drifted");
}

#[test]
fn the_environment_tag_moves_at_first_contact_only_where_drift_is_healed() {
    let untagged = Scene::new().declares_a().with(|scene| {
        scene.observed.images[0].tagged = Reading::Absent;
        scene.desired.policy.drift = OnDrift::Heal;
    });
    untagged.check("tag test a");
}
