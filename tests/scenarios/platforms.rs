//! What an image was built for, and what the task definition asks for.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::stage::{Breaker, REGISTRY, SERVICE, Stage, said};

/// A service that runs commit aaaaaaa, which was built for amd64, by a task definition with these members.
fn stage(more: &Value) -> Stage {
    let stage = Stage::new(Breaker::On);
    let containers = json!([{"name": "api", "image": format!("{REGISTRY}/mco/api:aaaaaaa"), "memory": 512, "portMappings": [{"containerPort": 8080}]}]);
    let mut definition = json!({"family": "mco-api", "containerDefinitions": containers});
    definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stage.call(Api::Ecs, "RegisterTaskDefinition", &definition);
    stage.update(&json!({"taskDefinition": "mco-api:2"}));
    stage.advance(130);
    stage
}

fn x86() -> Value {
    json!({"runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}})
}

#[tokio::test]
async fn an_image_of_another_architecture_is_found_before_the_first_write() {
    let mut stage = stage(&x86());
    stage.build_for("arm64", "bbbbbbb");
    stage.build("ccccccc");
    stage.declare("bbbbbbb");
    let before = stage.writes();
    let mut running = stage.process(BTreeMap::new());
    let swept = running.run(&stage, 60).await;
    assert_eq!((said(&swept).as_str(), stage.writes()), ("PlatformMismatch", before));
    let waiting = swept.plan.waiting.unwrap();
    assert_eq!(
        trueup::plan::waiting::describe(&waiting),
        "the image is not built for linux/amd64 (linux/arm64 only)"
    );
    stage.check_runs(SERVICE, "aaaaaaa");
    stage.declare("ccccccc");
    assert_eq!(said(&running.run(&stage, 300).await), "Settled");
    stage.check_runs(SERVICE, "ccccccc");
    let asked = |operation: &str| running.process().calls().iter().filter(|call| *call == operation).count();
    assert_eq!(asked("GetDownloadUrlForLayer"), 2, "once for each image");
}

#[tokio::test]
async fn where_nobody_can_tell_it_is_deployed() {
    // Instances may be Graviton's: the platform is left out, or the registry does not say what the image was built for.
    for (more, denied) in [(json!({}), None), (x86(), Some("GetDownloadUrlForLayer"))] {
        let mut stage = stage(&more);
        stage.build_for("arm64", "bbbbbbb");
        stage.declare("bbbbbbb");
        if let Some(operation) = denied {
            stage.inject(Fault::Deny { operation: operation.to_owned(), times: u32::MAX });
        }
        assert_eq!(said(&stage.process(BTreeMap::new()).run(&stage, 300).await), "Settled");
        stage.check_runs(SERVICE, "bbbbbbb");
    }
}

#[tokio::test]
async fn what_rests_is_not_asked_what_it_was_built_for() {
    let stage = Stage::new(Breaker::On);
    let mut running = stage.process(BTreeMap::new());
    running.run(&stage, 60).await;
    assert!(!running.process().calls().iter().any(|call| call == "GetDownloadUrlForLayer"));
}
