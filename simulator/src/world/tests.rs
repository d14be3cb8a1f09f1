//! Each test is named by the guarantee that it holds.

mod faults;

use serde_json::{Value, json};

use super::{Api, World};

pub(super) const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";

/// A cluster `mco`, a repository `mco/api` with the image `aaaaaaa`, and revision 1 of `mco-api` that runs it.
pub(super) fn world() -> World {
    let mut world = World::new("123456789012", "eu-west-2");
    world.ecs_call("CreateCluster", &json!({"clusterName": "mco"}));
    world.ecr_call("CreateRepository", &json!({"repositoryName": "mco/api"}));
    world.push("aaaaaaa");
    world.register("aaaaaaa");
    world
}

impl World {
    #[track_caller]
    pub(super) fn ecs_call(&mut self, operation: &str, input: &Value) -> Value {
        self.call(Api::Ecs, operation, input).unwrap()
    }

    #[track_caller]
    pub(super) fn ecr_call(&mut self, operation: &str, input: &Value) -> Value {
        self.call(Api::Ecr, operation, input).unwrap()
    }

    /// Pushes an image without layers under the tag; its digest.
    pub(super) fn push(&mut self, tag: &str) -> String {
        let manifest = json!({"schemaVersion": 2, "about": tag, "layers": []}).to_string();
        let input = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": tag});
        let put = self.ecr_call("PutImage", &input);
        put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
    }

    /// Registers a revision of `mco-api` that runs the tag; its ARN.
    pub(super) fn register(&mut self, tag: &str) -> String {
        let containers =
            json!([{"name": "api", "image": format!("{REGISTRY}/mco/api:{tag}"), "memory": 512}]);
        let input = json!({"family": "mco-api", "containerDefinitions": containers});
        let registered = self.ecs_call("RegisterTaskDefinition", &input);
        registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
    }
}
