//! Images that are not there, are others, or were moved.

use serde_json::json;

use super::{Scene, URI, arn, digest, foreign, image, task};
use crate::documents::memory;
use crate::model::ServiceDeploymentStatus::{RollbackSuccessful, Successful};
use crate::model::*;
use crate::plan::Step;

#[test]
fn an_image_that_is_not_there_is_waited_for_or_explained() {
    let built = |reading: Reading<Image>| Scene::new().with(|scene| scene.observed.images[0].built = reading);
    built(Reading::Absent).check("ImageNotBuilt");
    built(Reading::Unavailable("throttled".to_owned())).check("Unreadable");
    let archived = built(Reading::Known(Image { archived: true, ..image('b', &[]) }));
    archived.check("ImageArchived");
    let waiting = archived.plan().waiting.unwrap();
    let hint = crate::plan::waiting::hint(&waiting, &archived.desired.target).unwrap();
    assert!(hint.contains("--image-id imageTag=bbbbbbb"), "AWS asks for it: {hint}");
    Scene::new()
        .with(|scene| scene.observed.images[0].repository = Reading::Absent)
        .check("RepositoryMissing");
}

#[test]
fn an_image_that_is_built_for_another_platform_is_not_deployed() {
    const DEPLOYED: &str = "register bbbbbbb 1/head/ecs-svc/1";
    const REFUSED: &str = "PlatformMismatch";
    let declared = |family: &str, architecture: &str| json!({"runtimePlatform": {"operatingSystemFamily": family, "cpuArchitecture": architecture}});
    let fargate = || json!({"requiresCompatibilities": ["FARGATE"]});
    for (base, platforms, expected) in [
        (fargate(), "linux/amd64", DEPLOYED),
        (fargate(), "linux/arm64", REFUSED),
        (fargate(), "windows/amd64", REFUSED),
        (fargate(), "linux/arm64 linux/amd64", DEPLOYED),
        (fargate(), "linux/arm64 windows/amd64", REFUSED),
        // Nobody could tell what it is built for.
        (fargate(), "", DEPLOYED),
        // Instances may be Graviton's.
        (json!({}), "linux/arm64", DEPLOYED),
        (json!({"requiresCompatibilities": ["EC2"]}), "linux/arm64", DEPLOYED),
        (json!({"requiresCompatibilities": ["EXTERNAL"]}), "linux/arm64", DEPLOYED),
        (json!({"requiresCompatibilities": ["EC2", "FARGATE"]}), "linux/arm64", DEPLOYED),
        (declared("LINUX", "ARM64"), "linux/arm64", DEPLOYED),
        (declared("LINUX", "ARM64"), "linux/amd64", REFUSED),
        (declared("LINUX", "X86_64"), "linux/arm64", REFUSED),
        (declared("WINDOWS_SERVER_2022_CORE", "X86_64"), "windows/amd64", DEPLOYED),
        (declared("WINDOWS_SERVER_2022_CORE", "X86_64"), "linux/amd64", REFUSED),
        (json!({"runtimePlatform": {"cpuArchitecture": "ARM64"}}), "linux/amd64", REFUSED),
        (json!({"runtimePlatform": {"cpuArchitecture": "RISCV"}}), "linux/arm64", DEPLOYED),
    ] {
        let scene = Scene::new().with(|scene| {
            let platforms = platforms.split_whitespace().map(|platform| {
                let (os, architecture) = platform.split_once('/').unwrap();
                Platform { digest: None, os: os.to_owned(), architecture: architecture.to_owned() }
            });
            let built = Image { platforms: platforms.collect(), ..image('b', &["bbbbbbb"]) };
            scene.observed.images[0].built = Reading::Known(built);
            let mut live = foreign(1, &format!("{URI}@{}", digest('a')));
            live.input.as_object_mut().unwrap().extend(base.as_object().unwrap().clone());
            scene.observed.revisions.insert(arn(1), Reading::Known(live));
        });
        scene.check(expected);
    }
}

#[test]
fn an_image_that_a_file_names_otherwise_must_be_the_same() {
    let stated = |reading| Scene::new().with(|scene| scene.observed.images[0].stated = Some(reading));
    stated(Reading::Known(image('b', &["other"]))).check("register bbbbbbb 1/head/ecs-svc/1");
    stated(Reading::Known(image('c', &["other"]))).check("ImageDisagrees");
    stated(Reading::Absent).check("ImageDisagrees");
    stated(Reading::Unavailable("timeout".to_owned())).check("Unreadable");
}

/// Commit b was deployed here as revision 2; then ECR answers so for its tag and for its digest.
fn deployed(built: Reading<Image>, known: Option<Reading<Image>>) -> Scene {
    let told = Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() };
    Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .tag(2, memory::outcome_tag(&told))
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
        .with(|scene| {
            scene.observed.tasks = Reading::Known(vec![task(2, 'b')]);
            let image = &mut scene.observed.images[0];
            image.built = built;
            image.known.extend(known.map(|known| (digest('b'), known)));
        })
}

#[test]
fn a_commit_tag_that_is_not_on_what_was_deployed_for_it_stops_everything_and_is_told() {
    let untagged = || Some(Reading::Known(image('b', &["test"])));
    for built in [Reading::Known(image('e', &["bbbbbbb"])), Reading::Absent] {
        let moved = deployed(built, untagged());
        moved.check("CommitTagMoved");
        let status = moved.plan().status;
        let stalled = status.conditions.iter().find(|condition| condition.kind == ConditionKind::Stalled);
        assert!(stalled.is_some_and(|stalled| stalled.is_true && stalled.reason == "CommitTagMoved"));
        assert_eq!(status.sync, Sync::OutOfSync);
        assert_eq!(status.drift, [], "nobody has changed the service");
        assert_eq!(status.running[0].commits, [Commit::new("bbbbbbb")]);
        assert_eq!(
            status.running[0].source,
            CommitSource::RevisionOfUntagged,
            "nobody but the revision says so"
        );
        assert_eq!(status.last_deployment.unwrap().commit, None);
    }
    // Also where another hand has deployed what the tag is on now: the next change would be stopped.
    let other_runs = deployed(Reading::Known(image('e', &["bbbbbbb"])), untagged()).with(|scene| {
        let revision = foreign(3, &format!("{URI}@{}", digest('e')));
        scene.observed.revisions.insert(arn(3), Reading::Known(revision));
        scene.observed.service = Reading::Known(super::service(3, "ecs-svc/3", RolloutState::Completed));
        scene.observed.images[0].tagged = scene.observed.images[0].built.clone();
    });
    other_runs.check("CommitTagMoved");
    let status = other_runs.plan().status;
    let stalled: Vec<_> =
        status.conditions.iter().filter(|condition| condition.kind == ConditionKind::Stalled).collect();
    assert!(stalled.len() == 1 && stalled[0].is_true, "{stalled:#?}");
    other_runs.with(|scene| scene.desired.policy.drift = OnDrift::Heal).check("CommitTagMoved");
}

#[test]
fn a_commit_that_fits_several_tags_by_now_was_taken_from_no_image() {
    let known = Some(Reading::Known(image('b', &["test", "bbbbbbb1"])));
    let several = deployed(Reading::Absent, known).with(|scene| {
        let tags = ["bbbbbbb1", "bbbbbbb2"].map(Tag::new).to_vec();
        scene.observed.images[0].tag_match = TagMatch::Several(tags);
        scene.observed.images[0].tagged = Reading::Known(image('b', &["test", "bbbbbbb1"]));
    });
    several.check("CommitAmbiguous");
    assert_eq!(several.plan().status.drift, []);
}

/// A suspension lasts for as long as somebody wishes: text, exit code and alert are to say the same meanwhile.
#[test]
fn a_moved_commit_tag_is_told_where_writes_are_withheld() {
    let (reason, scope) = ("freeze".to_owned(), SuspensionScope::Application);
    let suspension = Suspension { until: None, reason, scope };
    for (built, observe, suspend) in
        [('e', "CommitTagMoved", "CommitTagMoved"), ('b', "Observing", "Suspended")]
    {
        // Another commit has failed since, which has yet to be recorded: that is the write which is withheld.
        let scene = |mode, suspensions: &[Suspension]| {
            let scene =
                deployed(Reading::Known(image(built, &["bbbbbbb"])), None).ours(3, 'c', 2, "ecs-svc/2");
            let history = [("d3", 3, RollbackSuccessful), ("d2", 2, Successful), ("d1", 1, Successful)];
            scene.history(&history).with(|scene| {
                (scene.desired.mode, scene.desired.suspensions) = (mode, suspensions.to_vec());
            })
        };
        scene(Mode::Apply, &[]).check("stamp mco-api:3 trueup:outcome=failed/d3");
        scene(Mode::Observe, &[]).check(observe);
        let suspended = scene(Mode::Apply, std::slice::from_ref(&suspension));
        suspended.check(suspend);
        let conditions = suspended.plan().status.conditions;
        let stalls = conditions.iter().filter(|condition| condition.kind == ConditionKind::Stalled);
        assert_eq!(stalls.filter(|stalled| stalled.is_true).count(), usize::from(built == 'e'));
    }
}

#[test]
fn an_image_was_removed_only_where_a_deployment_here_brought_it_and_ecr_has_it_no_more() {
    let removed = deployed(Reading::Absent, Some(Reading::Absent));
    removed.check("ImageRemoved");
    let status = removed.plan().status;
    assert_eq!(status.running[0].commits, [Commit::new("bbbbbbb")]);
    assert_eq!(status.running[0].source, CommitSource::RevisionOfRemoved);
    assert_eq!(status.sync, Sync::OutOfSync, "neither proven nor unknown");
    // The tag goes to what runs all the same.
    let unread = deployed(Reading::Absent, None);
    unread.check("tag test b");
    unread.with(|scene| scene.desired.policy.move_tag = MoveTag::Never).check("ImageNotBuilt");
    let forged = Scene::new().ours(2, 'b', 1, "ecs-svc/1").with(|scene| {
        scene.observed.images[0].built = Reading::Absent;
        scene.observed.images[0].known.insert(digest('b'), Reading::Absent);
    });
    forged.check("ImageNotBuilt");
}

#[test]
fn a_revision_that_no_deployment_brought_neither_chooses_the_image_nor_freezes_it() {
    let forged = Scene::new().ours(2, 'b', 1, "ecs-svc/1").with(|scene| {
        scene.observed.images[0].built = Reading::Known(image('e', &["bbbbbbb"]));
    });
    forged.check("register bbbbbbb 2/head/ecs-svc/1");
    let Some(Step::Register { input, .. }) = forged.plan().steps.into_iter().next() else { panic!() };
    assert_eq!(input["containerDefinitions"][0]["image"], format!("{URI}@{}", digest('e')));
}

#[test]
fn what_a_revision_calls_itself_is_not_what_runs() {
    let named = deployed(Reading::Known(image('b', &["bbbbbbb"])), None);
    let named = named.tag(2, ("trueup:commit".to_owned(), "ccccccc".to_owned()));
    named.check("tag test b");
    let status = named.plan().status;
    assert_eq!(status.running[0].commits, [Commit::new("bbbbbbb")]);
    assert_eq!(status.last_deployment.unwrap().commit, Some(Commit::new("bbbbbbb")));
}

#[test]
fn the_risk_that_there_is_nothing_to_go_back_to_is_told() {
    let risks = |reading: Reading<Image>| {
        let scene = Scene::new().with(|scene| {
            let image = &mut scene.observed.images[0];
            (image.tagged, image.known) = (Reading::Absent, [(digest('a'), reading)].into());
            scene.desired.first_contact = FirstContact::Adopt;
        });
        scene.plan().outlook.unwrap().risks
    };
    let gone = "nothing to go back to: the image that runs has been removed from the registry";
    assert_eq!(risks(Reading::Absent), [gone]);
    assert_eq!(risks(Reading::Known(image('a', &[]))), [""; 0]);
}
