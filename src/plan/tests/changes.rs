//! How a change in git becomes writes, in their order.

use serde_json::json;

use super::{NOW, Scene, URI, arn, digest, image, input};
use crate::documents::{memory, service_settings};
use crate::model::ServiceDeploymentStatus::{InProgress, Successful};
use crate::model::*;
use crate::plan::{Recent, Step, waiting, windows};

#[test]
fn a_changed_commit_is_registered_deployed_recorded_and_tagged_in_that_order() {
    let scene = Scene::new();
    scene.check("register bbbbbbb 1/head/ecs-svc/1");
    let scene = scene.ours(2, 'b', 1, "ecs-svc/1");
    scene.check("deploy mco-api:2 Interrupted");
    let scene = scene
        .live(2, "ecs-svc/2", RolloutState::InProgress)
        .history(&[("d2", 2, InProgress), ("d1", 1, Successful)]);
    scene.check("Deploying");
    let scene = scene
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)]);
    scene.check("stamp mco-api:2 trueup:outcome=succeeded/d2");
    let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() };
    let scene = scene.tag(2, memory::outcome_tag(&outcome));
    scene.check("tag test b");
    let scene = scene
        .with(|scene| scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"])));
    scene.check("Settled");
}

#[test]
fn a_change_is_told_to_its_last_write_and_with_its_risks() {
    let of = |scene: Scene| scene.plan().outlook;
    let outlook = of(Scene::new()).expect("a change has an outlook");
    assert_eq!(outlook.images, [("mco/api:bbbbbbb".to_owned(), digest('b'))]);
    assert_eq!(outlook.register, Some(("mco-api".to_owned(), "the last good revision".to_owned())));
    assert_eq!(
        outlook.tag,
        Some(("test".to_owned(), Some(Commit::new("aaaaaaa")), Commit::new("bbbbbbb"))),
        "the tag follows after success"
    );
    assert_eq!(outlook.risks, [] as [&str; 0]);

    let registered = of(Scene::new().ours(2, 'b', 1, "ecs-svc/1")).expect("a deployment has an outlook");
    assert_eq!(registered.register, None, "the revision is there");
    let moved = |scene: &mut Scene| {
        scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    };
    assert_eq!(of(Scene::new().with(moved)).and_then(|outlook| outlook.tag), None, "the tag is there");
    let risky = |scene: &mut Scene| {
        let Reading::Known(service) = &mut scene.observed.service else {
            unreachable!("the service is known")
        };
        (service.circuit_breaker, service.desired_count) = (CircuitBreaker::default(), 0);
    };
    let risks = of(Scene::new().with(risky)).map(|outlook| outlook.risks);
    let told = ["no circuit breaker with rollback", "no task runs: it cannot be proven"];
    assert_eq!(risks.unwrap_or_default(), told);
    assert_eq!(of(Scene::new().declares_a()), None, "nothing changes");
}

#[test]
fn an_alarm_that_is_on_is_a_risk_where_ecs_deploys_and_waited_for_where_codedeploy_does() {
    let told = |alarms: &[(&str, Reading<AlarmState>)]| {
        let alarms = || alarms.iter().map(|(name, state)| ((*name).to_owned(), state.clone())).collect();
        let rolling = Scene::new().with(|scene| scene.observed.alarms = alarms()).plan();
        let stopped = Scene::blue_green().with(|scene| scene.observed.alarms = alarms()).plan();
        let stopped = stopped.waiting.as_ref().map(waiting::describe);
        (rolling.outlook.unwrap().risks.join("; "), stopped.unwrap_or_default())
    };
    let on = || Reading::Known(AlarmState::Active);
    let harmless = [
        ("fine", Reading::Known(AlarmState::Fine)),
        ("young", Reading::Known(AlarmState::Unsettled)),
        ("gone", Reading::Absent),
        ("hidden", Reading::Unavailable("denied".to_owned())),
    ];
    assert_eq!(told(&harmless), (String::new(), String::new()));
    let one = told(&[("errors", on()), ("fine", Reading::Known(AlarmState::Fine))]);
    assert_eq!(one.0, "errors is in ALARM: ECS watches no alarm in a deployment that starts now");
    assert_eq!(one.1, "errors is in ALARM: CodeDeploy would stop a deployment at once");
    let both = told(&[("errors", on()), ("latency", on())]);
    assert!(both.0.starts_with("errors, latency are in ALARM: "), "{}", both.0);
    assert!(both.1.starts_with("errors, latency are in ALARM: "), "{}", both.1);
}

#[test]
fn a_commit_that_comes_back_reuses_its_revision_with_a_new_stamp() {
    let back = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .ours(3, 'a', 2, "ecs-svc/2")
        .tag(3, memory::outcome_tag(&Outcome { result: OutcomeKind::Succeeded, deployment: "d3".to_owned() }))
        .live(3, "ecs-svc/3", RolloutState::Completed)
        .history(&[("d3", 3, Successful), ("d2", 2, Successful)]);
    back.check("stamp mco-api:2 trueup:applied=3/head/ecs-svc/3");
}

#[test]
fn each_image_is_remembered_with_its_own_commit() {
    let second = |scene: &mut Scene, commit: char, built: char| {
        let mut proxy = scene.desired.images[0].clone();
        proxy.name = "proxy".to_owned();
        proxy.commit = Commit::new(commit.to_string().repeat(7));
        proxy.containers = Containers::Named(vec!["proxy".to_owned()]);
        scene.desired.images.push(proxy);
        let mut observed = scene.observed.images[0].clone();
        observed.built = Reading::Known(image(built, &[]));
        scene.observed.images.push(observed);
        let image = format!("{URI}@{}", digest('a'));
        let mut input = input("<IMAGE_NAME>");
        input["containerDefinitions"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": image}));
        scene.desired.task_definition =
            TaskDefinitionSource::File { path: "t.json".to_owned(), input: input.into() };
        scene.desired.first_contact = FirstContact::Adopt;
    };
    // Registered for commit b with proxy on commit a.
    let mut before = Scene::new();
    second(&mut before, 'a', 'a');
    let Some(Step::Register { input, tags, .. }) = before.plan().steps.first().cloned() else {
        unreachable!()
    };
    assert_eq!(tags["trueup:commit:proxy"], "aaaaaaa");
    // Now proxy is to run commit b too: its own image, and not what it ran beside b.
    let mut now = Scene::new();
    second(&mut now, 'b', 'c');
    let revision = Revision { arn: arn(2), active: true, input, tags, registered_by: None };
    now.observed.revisions.insert(arn(2), Reading::Known(revision));
    let Some(Step::Register { input, tags, .. }) = now.plan().steps.first().cloned() else { unreachable!() };
    assert_eq!(input["containerDefinitions"][1]["image"], format!("{URI}@{}", digest('c')));
    assert!(!tags.contains_key("trueup:commit:proxy"));
}

#[test]
fn a_revision_that_is_described_otherwise_is_not_registered_again() {
    let mut scene = Scene::new().ours(2, 'b', 1, "ecs-svc/1");
    let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(2)) else { unreachable!() };
    revision.input["taskRoleArn"] = json!("arn:aws:iam::123456789012:role/filled-in");
    scene.check("DescribedOtherwise");
    let waiting = scene.plan().waiting.unwrap();
    assert!(waiting::describe(&waiting).ends_with("registered: taskRoleArn"), "{waiting:?}");
    let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(2)) else { unreachable!() };
    revision.active = false;
    scene.check("register bbbbbbb 1/head/ecs-svc/1");
}

#[test]
fn service_settings_are_sent_once_seen_and_then_guarded() {
    const SENT: &str = r#"settings {"deploymentConfiguration":{"maximumPercent":150}}"#;
    // Commit b runs as our revision 2, and the maximum percent is declared.
    let declared = json!({"deploymentConfiguration": {"maximumPercent": 150}});
    let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() };
    let scene = |percent: i64| {
        Scene::new()
            .ours(2, 'b', 1, "ecs-svc/1")
            .tag(2, memory::outcome_tag(&outcome))
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
            .with(|scene| {
                scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
                scene.desired.service_settings = Some(declared.clone());
                if let Reading::Known(service) = &mut scene.observed.service {
                    service.settings = json!({"deploymentConfiguration": {"maximumPercent": percent}});
                }
            })
    };
    let hash = service_settings::hash(&declared);
    let stamp = |done| memory::settings_tag(&SettingsStamp { hash: hash.clone(), done });
    scene(200).check(&format!("stamp mco-api:2 trueup:settings={hash}/pending"));
    scene(200).tag(2, stamp(false)).check(SENT);
    // AWS takes the call and describes something else.
    let sent = |repeated| {
        let step = scene(200).tag(2, stamp(false)).plan().steps.swap_remove(0);
        let at = NOW - 100 * windows::DEPLOYMENT;
        let recent = Recent { step, at, reply: None, repeated };
        scene(200).tag(2, stamp(false)).with(|scene| scene.recent = Some(recent))
    };
    sent(1).check(SENT);
    sent(2).check("SettingsNotTaken");
    scene(150).tag(2, stamp(false)).check(&format!("stamp mco-api:2 trueup:settings={hash}/done"));
    scene(150).tag(2, stamp(true)).check("Settled");
    // Another hand puts it back.
    scene(200).tag(2, stamp(true)).check("Drifted");
    assert_eq!(scene(200).tag(2, stamp(true)).plan().status.sync, Sync::OutOfSync);
    let heal = scene(200).tag(2, stamp(true)).with(|scene| scene.desired.policy.drift = OnDrift::Heal);
    heal.check(&format!("stamp mco-api:2 trueup:settings={hash}/pending"));
    // Git declares something else.
    let other = json!({"deploymentConfiguration": {"maximumPercent": 125}});
    let expected = format!("stamp mco-api:2 trueup:settings={}/pending", service_settings::hash(&other));
    scene(150)
        .tag(2, stamp(true))
        .with(|scene| scene.desired.service_settings = Some(other))
        .check(&expected);
}

#[test]
fn only_settings_that_ecs_starts_a_deployment_for_are_deployed() {
    let network = |subnet: &str| json!({"awsvpcConfiguration": {"subnets": [subnet]}});
    let provider = |weight: u32| json!([{"capacityProvider": "FARGATE", "weight": weight, "base": 0}]);
    let live = json!({"desiredCount": 1, "networkConfiguration": network("subnet-0000000a"),
        "capacityProviderStrategy": provider(1)});
    let network_differs = json!({"networkConfiguration": network("subnet-0000000b")});
    for (declared, deployed) in [
        (json!({"desiredCount": 4}), false),
        (json!({"enableExecuteCommand": true}), false),
        (json!({"propagateTags": "SERVICE", "enableECSManagedTags": true}), false),
        (json!({"desiredCount": 4, "capacityProviderStrategy": provider(1)}), false),
        (json!({"capacityProviderStrategy": provider(2)}), true),
        (json!({"platformVersion": "1.4.0"}), true),
        (network_differs, true),
    ] {
        let stamp = |done| {
            let hash = service_settings::hash(&declared);
            memory::settings_tag(&SettingsStamp { hash, done })
        };
        let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() };
        let scene = || {
            Scene::new()
                .ours(2, 'b', 1, "ecs-svc/1")
                .tag(2, memory::outcome_tag(&outcome))
                .live(2, "ecs-svc/2", RolloutState::Completed)
                .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
                .with(|scene| {
                    scene.desired.service_settings = Some(declared.clone());
                    scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
                    let Reading::Known(service) = &mut scene.observed.service else { return };
                    service.settings = live.clone();
                })
        };
        let (first, second) = (scene().plan(), scene().tag(2, stamp(false)).plan());
        assert!(matches!(first.steps[0], Step::Stamp { .. }), "{declared}");
        let told = (first.outlook.is_some(), second.outlook.is_some());
        assert_eq!(told, (deployed, deployed), "{declared}");
        assert_eq!(matches!(second.steps[0], Step::Deploy { .. }), deployed, "{declared}");
        assert_eq!(matches!(second.steps[0], Step::UpdateSettings { .. }), !deployed, "{declared}");
    }
}
