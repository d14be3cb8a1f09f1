//! The clients against the simulated AWS, over HTTP.

use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trueup_simulator::{Api, Fault, World, http};

use super::Aws;
use crate::model::{
    ApplicationName, ClusterName, Digest, EnvironmentName, Region, RepositoryName, ScalableTarget,
    ServiceName, TaskDefinitionArn,
};
use crate::ports::{CloudError, Extent, Ports, Reach, RevisionStatus};

struct Rig {
    world: Arc<Mutex<World>>,
    ports: Ports,
}

impl Rig {
    /// Time stands still.
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World::new("123456789012", "eu-west-2")));
        tokio::spawn(http::serve(listener, Arc::clone(&world), 0.0));
        let aws = Aws::simulated(&endpoint, &Region::new("eu-west-2")).await;
        Self { world, ports: aws.ports(None) }
    }

    fn call(&self, api: Api, operation: &str, input: &Value) -> Value {
        self.world.lock().unwrap().call(api, operation, input).unwrap()
    }

    /// A revision of trueup's; its ARN.
    fn register(&self, environment: &str, application: &str) -> TaskDefinitionArn {
        let tags = json!([{"key": "trueup:environment", "value": environment},
            {"key": "trueup:application", "value": application}]);
        let containers = json!([{"name": "a", "image": "b", "memory": 64}]);
        let input = json!({"family": application, "containerDefinitions": containers, "tags": tags});
        let registered = self.call(Api::Ecs, "RegisterTaskDefinition", &input);
        TaskDefinitionArn::new(registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap())
    }

    fn deregister(&self, arn: &TaskDefinitionArn) {
        self.call(Api::Ecs, "DeregisterTaskDefinition", &json!({"taskDefinition": arn.as_str()}));
    }

    fn refuse(&self, fault: Fault) {
        self.world.lock().unwrap().inject(fault);
    }
}

fn names(names: &[String]) -> Vec<ApplicationName> {
    names.iter().map(ApplicationName::new).collect()
}

#[tokio::test]
async fn all_revisions_of_an_environment_are_found_by_tag_beyond_a_page_and_twenty_applications() {
    let rig = Rig::new().await;
    let applications: Vec<String> = (0..25).map(|number| format!("app{number}")).collect();
    for application in &applications {
        for _ in 0..12 {
            rig.register("test", application);
        }
        rig.register("live", application);
    }
    rig.deregister(&rig.register("test", "app0"));
    rig.register("test", "other");
    rig.world.lock().unwrap().advance(60);
    let test = EnvironmentName::new("test");
    let found = rig.ports.tagging.revisions_tagged(&test, &names(&applications)).await.unwrap();
    assert_eq!((found.items.len(), found.extent), (25 * 12 + 1, Extent::Whole));
    assert!(found.items.iter().all(|one| one.tags["trueup:environment"] == "test"));
    assert!(found.items.iter().all(|one| one.tags["trueup:application"] == one.arn.family()));
    let nothing = rig.ports.tagging.revisions_tagged(&test, &[]).await.unwrap();
    assert_eq!((nothing.items.len(), nothing.extent), (0, Extent::Whole));
}

#[tokio::test]
async fn an_index_that_may_not_be_asked_is_told_from_one_that_does_not_answer() {
    let rig = Rig::new().await;
    let operation = || "GetResources".to_owned();
    let (test, api) = (EnvironmentName::new("test"), names(&["api".to_owned()]));
    let mut said = Vec::new();
    for fault in [
        Fault::Deny { operation: operation(), times: 1 },
        Fault::Throttle { operation: operation(), times: 1 },
        Fault::ServerError { operation: operation(), times: 1 },
        Fault::LoseAnswer { operation: operation() },
    ] {
        rig.refuse(fault);
        said.push(match rig.ports.tagging.revisions_tagged(&test, &api).await.unwrap_err() {
            CloudError::Denied(why) => {
                assert!(why.contains("tag:GetResources"), "{why}");
                "denied"
            }
            CloudError::Throttled(_) => "throttled",
            CloudError::Unavailable(_) => "unavailable",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(said, ["denied", "throttled", "unavailable", "unavailable"]);
}

#[tokio::test]
async fn a_family_is_listed_to_its_end_in_either_status_or_says_that_it_goes_on() {
    let rig = Rig::new().await;
    let arns: Vec<TaskDefinitionArn> = (0..230).map(|_| rig.register("test", "api")).collect();
    rig.register("test", "api-2");
    for arn in &arns[..120] {
        rig.deregister(arn);
    }
    let newest_first = |arns: &[TaskDefinitionArn]| arns.iter().rev().cloned().collect::<Vec<_>>();
    let ecs = &rig.ports.ecs;
    let active = ecs.family_revisions("api", RevisionStatus::Active, 1000).await.unwrap();
    assert_eq!((active.items, active.extent), (newest_first(&arns[120..]), Extent::Whole));
    let inactive = ecs.family_revisions("api", RevisionStatus::Inactive, 120).await.unwrap();
    assert_eq!((inactive.items, inactive.extent), (newest_first(&arns[..120]), Extent::Whole));
    for most in [100, 119] {
        let cut = ecs.family_revisions("api", RevisionStatus::Inactive, most).await.unwrap();
        assert_eq!((cut.items, cut.extent), (newest_first(&arns[120 - most..120]), Extent::Cut), "{most}");
    }
}

/// Pushes an image with this configuration; its digest.
fn push(rig: &Rig, config: &str) -> Digest {
    let ecr = |operation: &str, more: Value| {
        let mut input = json!({"repositoryName": "mco/api"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.call(Api::Ecr, operation, &input)
    };
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(config)));
    let upload = ecr("InitiateLayerUpload", json!({}))["uploadId"].clone();
    let part = json!({"uploadId": upload, "partFirstByte": 0, "partLastByte": config.len() - 1,
        "layerPartBlob": BASE64_STANDARD.encode(config)});
    ecr("UploadLayerPart", part);
    ecr("CompleteLayerUpload", json!({"uploadId": upload, "layerDigests": [digest]}));
    let manifest = json!({"schemaVersion": 2, "config": {"digest": digest}, "layers": []}).to_string();
    let put = ecr("PutImage", json!({"imageManifest": manifest, "imageTag": "aaaaaaa"}));
    Digest::new(put["image"]["imageId"]["imageDigest"].as_str().unwrap())
}

#[tokio::test]
async fn a_single_image_says_once_what_it_was_built_for_and_who_may_not_ask_does_not_know() {
    let rig = Rig::new().await;
    let name = RepositoryName::new("mco/api");
    rig.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": "mco/api"}));
    let digest = push(&rig, r#"{"os": "linux", "architecture": "arm64"}"#);
    for operation in ["BatchGetImage", "GetDownloadUrlForLayer"] {
        rig.refuse(Fault::Deny { operation: operation.to_owned(), times: 1 });
        assert_eq!(rig.ports.ecr.platform(None, &name, &digest).await, None, "{operation}");
    }
    let calls = || rig.world.lock().unwrap().calls("GetDownloadUrlForLayer");
    let (before, arm) = (calls(), ("linux".to_owned(), "arm64".to_owned()));
    for _ in 0..2 {
        let found = rig.ports.ecr.platform(None, &name, &digest).await.unwrap();
        assert_eq!((found.os, found.architecture), arm);
    }
    assert_eq!(calls() - before, 1);
}

#[tokio::test]
async fn a_scalable_target_is_read_with_its_bounds() {
    let rig = Rig::new().await;
    rig.register("test", "api");
    rig.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}));
    for name in ["api", "web"] {
        let service =
            json!({"cluster": "mco", "serviceName": name, "taskDefinition": "api", "desiredCount": 2});
        rig.call(Api::Ecs, "CreateService", &service);
    }
    let target = json!({"ServiceNamespace": "ecs", "ResourceId": "service/mco/api",
        "ScalableDimension": "ecs:service:DesiredCount", "MinCapacity": 2, "MaxCapacity": 6});
    rig.call(Api::Scaling, "RegisterScalableTarget", &target);
    let service = |name: &str| (ClusterName::new("mco"), ServiceName::new(name));
    let asked = (0..60).map(|number| service(&format!("s{number}"))).chain([service("api"), service("web")]);
    let found = rig.ports.scaling.scalable_targets(&asked.collect::<Vec<_>>()).await.unwrap();
    let expected = ScalableTarget { least: 2, most: 6 };
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(service("api"), expected)]);
    rig.refuse(Fault::Deny { operation: "DescribeScalableTargets".to_owned(), times: 1 });
    let denied = rig.ports.scaling.scalable_targets(&[service("api")]).await.unwrap_err();
    assert!(matches!(denied, CloudError::Denied(_)), "{denied:?}");
}
