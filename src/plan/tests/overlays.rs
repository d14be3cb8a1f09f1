//! What is laid over a base: a patch and values, which are owned as the images are.

use super::*;
use crate::documents::memory;
use crate::model::{Finding, Position, Severity};

/// Commit b runs from our revision 2, which has succeeded, with `live` in it beside name and image.
fn scene(live: &Value) -> Scene {
    let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() };
    let mut scene = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .tag(2, memory::outcome_tag(&outcome))
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)]);
    scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(2)) else { unreachable!() };
    crate::documents::overlay::merge_patch(&mut revision.input, live);
    let content = memory::content_hash(&target(), &revision.input);
    revision.tags.insert("trueup:content".to_owned(), content.as_str().to_owned());
    scene
}

fn patched(live: &Value, patch: &Value) -> Scene {
    scene(live).with(|scene| scene.desired.overlay.patch = Some(patch.clone()))
}

fn registered(scene: &Scene) -> Value {
    match scene.plan().steps.first() {
        Some(Step::Register { input, .. }) => input.clone(),
        other => panic!("{other:?}, {:?}", scene.plan().waiting),
    }
}

#[test]
fn a_patch_over_a_base_is_applied_and_compared_and_nothing_else_is_owned() {
    let live = json!({"cpu": "256", "memory": "512", "taskRoleArn": "r"});
    let input = registered(&patched(&live, &json!({"cpu": "512", "taskRoleArn": null})));
    assert_eq!(
        (&input["cpu"], &input["memory"], input.get("taskRoleArn")),
        (&json!("512"), &json!("512"), None)
    );
    assert_eq!(input["containerDefinitions"][0]["image"], format!("{URI}@{}", digest('b')));
    // What is there already is no change, however it is written.
    for patch in [json!({"cpu": "256"}), json!({"cpu": ".25 vCPU", "volumes": []}), json!({"ipcMode": null})]
    {
        patched(&live, &patch).check("Settled");
    }
}

#[test]
fn values_fill_the_placeholders_of_a_base() {
    let image = format!("{URI}@{}", digest('b'));
    let level = |value: &str| {
        json!({"containerDefinitions": [{"name": "api", "image": image,
            "environment": [{"name": "LEVEL", "value": value}]}]})
    };
    let with_value = |live: &str| {
        scene(&level(live)).with(|scene| {
            scene.desired.overlay.values = BTreeMap::from([("LEVEL".to_owned(), "debug".to_owned())]);
        })
    };
    let input = registered(&with_value("<LEVEL>"));
    assert_eq!(input["containerDefinitions"][0]["environment"][0]["value"], "debug");
    with_value("debug").check("Settled");
    let long = scene(&level(&"<LEVEL>".repeat(5_000))).with(|scene| {
        scene.desired.overlay.values = BTreeMap::from([("LEVEL".to_owned(), "x".repeat(20))]);
    });
    long.check("NoBase");
}

#[test]
fn a_value_that_fills_no_placeholder_of_the_base_is_told_and_keeps_nothing_from_being_done() {
    let said = |key: &str, value: &str| {
        let live = json!({"containerDefinitions": [{"name": "api", "image": format!("{URI}@{}", digest('b')),
            "environment": [{"name": key, "value": value}]}]});
        let scene = scene(&live).with(|scene| {
            let value = |name: &str| (name.to_owned(), "debug".to_owned());
            let told = Finding { message: "nothing uses LEVEL".to_owned(), ..finding() };
            scene.desired.overlay.values = BTreeMap::from(["ENVIRONMENT", "LEVEL", "IN_PATCH"].map(value));
            scene.desired.overlay.for_the_base = BTreeMap::from([("LEVEL".to_owned(), told)]);
        });
        let plan = scene.plan();
        assert!(matches!(plan.waiting, None | Some(Waiting::Settled)), "{:?}", plan.waiting);
        plan.findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
    };
    for (key, value, expected) in [
        ("LEVEL", "info", &["nothing uses LEVEL"][..]),
        ("LEVEL", "debug", &["nothing uses LEVEL"]),
        ("LEVEL", "<LEVELS>", &["nothing uses LEVEL"]),
        ("LEVEL", "a <LEVEL> b", &[]),
        ("<LEVEL>", "info", &[]),
    ] {
        assert_eq!(said(key, value), expected, "{key}={value}");
    }
}

fn finding() -> Finding {
    Finding {
        severity: Severity::Warning,
        position: Position::default(),
        field: String::new(),
        message: String::new(),
        hint: None,
        excerpt: None,
        targets: Vec::new(),
    }
}

#[test]
fn a_field_of_a_patch_that_another_hand_changes_is_drift_and_any_other_field_is_not() {
    let changed = |field: &str, value: &str| {
        let field = field.to_owned();
        let value = json!(value);
        patched(&json!({"cpu": "512", "memory": "1024"}), &json!({"cpu": "512"}))
            .live(3, "ecs-svc/3", RolloutState::Completed)
            .history(&[("d3", 3, Successful), ("d2", 2, Successful)])
            .with(move |scene| {
                let mut other = foreign(3, &format!("{URI}@{}", digest('b')));
                other.input["cpu"] = json!("512");
                other.input[field] = value;
                scene.observed.revisions.insert(arn(3), Reading::Known(other));
            })
    };
    changed("cpu", "1024").check("Drifted");
    changed("memory", "2048").check("Settled");
    let fields: Vec<String> = {
        let plan = changed("cpu", "1024").plan();
        plan.differences.into_iter().map(|difference| difference.field).collect()
    };
    assert_eq!(fields, ["cpu"]);
}

#[test]
fn what_aws_would_refuse_over_a_base_is_told_before_the_first_write() {
    let live = json!({"cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc", "containerDefinitions": [{"name": "api",
            "image": format!("{URI}@{}", digest('b')), "portMappings": [{"containerPort": 80}]}]});
    let settings = |key: &str, container: &str, port: u32| {
        let settings = json!({key: [{"containerName": container, "containerPort": port}]});
        scene(&live).with(|scene| scene.desired.service_settings = Some(settings))
    };
    for (scene, field) in [
        (patched(&live, &json!({"cpu": "300"})), "cpu"),
        (patched(&live, &json!({"networkMode": "bridge"})), "networkMode"),
        (settings("loadBalancers", "nope", 80), "serviceSettings.loadBalancers"),
        (settings("serviceRegistries", "api", 81), "serviceSettings.serviceRegistries"),
    ] {
        let newer = scene.with(|scene| {
            scene.desired.images[0].commit = Commit::new("ccccccc");
            scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
        });
        match newer.plan().waiting {
            Some(Waiting::Misfit { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    // What AWS took of the base is not asked again.
    let odd = json!({"cpu": "300", "memory": "512", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc"});
    let input = registered(&patched(&odd, &json!({"taskRoleArn": "r"})));
    assert_eq!(input["cpu"], "300");
}

#[test]
fn what_is_empty_is_not_sent_and_what_amounts_to_the_same_is_no_difference() {
    let with = |fields: serde_json::Value| {
        let mut input = super::input(&format!("{URI}@{}", super::digest('b')));
        input["requiresCompatibilities"] = json!(["FARGATE"]);
        input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        input
    };
    let odd = json!({"pidMode": "", "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"}});
    let scene = |declared: &serde_json::Value, live: &serde_json::Value| {
        let (path, input) = ("t.json".to_owned(), with(declared.clone()));
        Scene::new().with(|scene| {
            scene.desired.task_definition = TaskDefinitionSource::File { path, input: input.into() };
            let revision = scene.observed.revisions.get_mut(&super::arn(1)).unwrap();
            let Reading::Known(revision) = revision else { return };
            revision.input = with(live.clone());
        })
    };
    for (declared, live) in [(&odd, &json!({})), (&json!({}), &odd)] {
        assert_eq!(scene(declared, live).plan().differences, []);
    }
    let heal = scene(&odd, &json!({"cpu": "512"})).with(|scene| scene.desired.policy.drift = OnDrift::Heal);
    let plan = heal.plan();
    let [Step::Register { input, .. }] = plan.steps.as_slice() else { panic!("{plan:#?}") };
    assert_eq!((input.get("pidMode"), input.get("runtimePlatform")), (None, odd.get("runtimePlatform")));
}
