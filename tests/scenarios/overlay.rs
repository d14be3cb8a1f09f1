//! A patch where the task definition is no file: it is brought out, once, and guarded as the images are.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup_simulator::Api;

use crate::stage::{Breaker, Stage};

fn newest(stage: &Stage) -> Value {
    let described = stage.call(Api::Ecs, "DescribeTaskDefinition", &json!({"taskDefinition": "mco-api"}));
    described["taskDefinition"].clone()
}

#[tokio::test]
async fn a_patch_without_a_file_is_deployed_and_what_it_says_is_guarded() {
    let mut stage = Stage::new(Breaker::On);
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    stage.process(BTreeMap::new()).run(&stage, 300).await;
    let before = (stage.deployments(), newest(&stage));
    assert_eq!(before.1["cpu"], Value::Null);
    // The commit stays, the patch is new: git has changed.
    stage.application += "  taskDefinitionPatch: {cpu: \"<CPU>\", memory: \"1024\"}\n  values: {CPU: 512}\n";
    stage.declare("bbbbbbb");
    stage.process(BTreeMap::new()).run(&stage, 300).await;
    let after = newest(&stage);
    assert_eq!((&after["cpu"], &after["memory"]), (&json!("512"), &json!("1024")));
    assert_eq!(after["containerDefinitions"], before.1["containerDefinitions"]);
    assert_eq!(stage.deployments(), before.0 + 1);
    // Another process finds nothing to do.
    stage.process(BTreeMap::new()).run(&stage, 300).await;
    assert_eq!(stage.deployments(), before.0 + 1);
}
