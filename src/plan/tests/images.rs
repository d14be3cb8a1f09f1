//! Images that are not there, are others, or were moved.

use super::{Scene, image};
use crate::model::ServiceDeploymentStatus::Successful;
use crate::model::*;
use crate::plan::memory;

#[test]
fn an_image_that_is_not_there_is_waited_for_or_explained() {
    let built = |reading: Reading<Image>| Scene::new().with(|scene| scene.observed.images[0].built = reading);
    built(Reading::Absent).check("ImageNotBuilt");
    built(Reading::Absent).ours(2, 'b', 1, "ecs-svc/1").check("ImageRemoved");
    built(Reading::Unavailable("throttled".to_owned())).check("Unreadable");
    built(Reading::Known(Image { archived: true, ..image('b', &[]) })).check("ImageArchived");
    let arm = Platform { digest: None, os: "linux".to_owned(), architecture: "arm64".to_owned() };
    built(Reading::Known(Image { platforms: vec![arm], ..image('b', &[]) })).check("PlatformMismatch");
    Scene::new()
        .with(|scene| scene.observed.images[0].repository = Reading::Absent)
        .check("RepositoryMissing");
}

#[test]
fn an_image_that_a_file_names_otherwise_must_be_the_same() {
    let stated = |reading| Scene::new().with(|scene| scene.observed.images[0].stated = Some(reading));
    stated(Reading::Known(image('b', &["other"]))).check("register bbbbbbb 1/head/ecs-svc/1");
    stated(Reading::Known(image('c', &["other"]))).check("ImageDisagrees");
    stated(Reading::Absent).check("ImageDisagrees");
    stated(Reading::Unavailable("timeout".to_owned())).check("Unreadable");
}

#[test]
fn a_moved_commit_tag_is_a_finding_and_no_deployment() {
    let moved = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .tag(2, memory::outcome_tag(&Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() }))
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
        .with(|scene| {
            scene.observed.images[0].built = Reading::Known(image('e', &["bbbbbbb"]));
            scene.observed.images[0].tagged = Reading::Known(image('b', &["test"]));
        });
    moved.check("Settled");
    assert!(moved.plan().status.conditions.iter().any(|condition| condition.reason == "CommitTagMoved"));
}
