//! The clients against the simulated AWS, over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trueup_simulator::{Api, Fault, World, http};

use super::Aws;
use crate::model::{
    ApplicationName, ClusterName, Digest, EnvironmentName, Forward, Region, RepositoryName, ScalableTarget,
    ScheduleName, ServiceName, Tag, TargetGroup, TaskDefinitionArn,
};
use crate::ports::{CloudError, Extent, Place, Ports, Reach, RevisionStatus, Tasks};

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
        Self { world, ports: aws.ports(&Place::default()) }
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

#[tokio::test]
async fn all_revisions_of_applications_are_found_by_tag_beyond_a_page_twenty_applications_a_call() {
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
    let names: Vec<ApplicationName> = applications.iter().map(ApplicationName::new).collect();
    let found = join_all(names.iter().map(|name| rig.ports.tagging.revisions_tagged(&test, name))).await;
    for (name, found) in names.iter().zip(found) {
        let found = found.unwrap();
        let expected = if name.as_str() == "app0" { 13 } else { 12 };
        assert_eq!((found.items.len(), found.extent), (expected, Extent::Whole), "{name}");
        assert!(found.items.iter().all(|one| one.tags["trueup:environment"] == "test"));
        assert!(found.items.iter().all(|one| one.arn.family() == name.as_str()));
    }
    assert_eq!(rig.world.lock().unwrap().calls("GetResources"), 3 + 1, "241 in three pages, and 60 in one");
    let nothing = rig.ports.tagging.revisions_tagged(&test, &ApplicationName::new("none")).await.unwrap();
    assert_eq!((nothing.items.len(), nothing.extent), (0, Extent::Whole));
}

#[tokio::test]
async fn an_index_that_may_not_be_asked_is_told_from_one_that_does_not_answer() {
    let rig = Rig::new().await;
    let operation = || "GetResources".to_owned();
    let (test, api) = (EnvironmentName::new("test"), ApplicationName::new("api"));
    let mut said = Vec::new();
    for fault in [
        Fault::Deny { operation: operation(), times: 1 },
        Fault::ServerError { operation: operation(), times: 1 },
        Fault::LoseAnswer { operation: operation() },
    ] {
        rig.refuse(fault);
        said.push(match rig.ports.tagging.revisions_tagged(&test, &api).await.unwrap_err() {
            CloudError::Denied(why) => {
                assert!(why.contains("tag:GetResources"), "{why}");
                "denied"
            }
            CloudError::Unavailable(_) => "unavailable",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(said, ["denied", "unavailable", "unavailable"]);
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
    let cluster = ClusterName::new("mco");
    let asked: Vec<ServiceName> = (0..60).map(|number| format!("s{number}")).map(ServiceName::new).collect();
    let asked: Vec<ServiceName> = asked.into_iter().chain(["api", "web"].map(ServiceName::new)).collect();
    let found = join_all(asked.iter().map(|name| rig.ports.scaling.scalable_target(&cluster, name))).await;
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    let expected = Some(ScalableTarget { least: 2, most: 6 });
    assert_eq!((&found[60..], found.iter().flatten().count()), (&[expected, None][..], 1));
    assert_eq!(rig.world.lock().unwrap().calls("DescribeScalableTargets"), 2);
    rig.refuse(Fault::Deny { operation: "DescribeScalableTargets".to_owned(), times: 1 });
    let denied = rig.ports.scaling.scalable_target(&cluster, &asked[60]).await.unwrap_err();
    assert!(matches!(denied, CloudError::Denied(_)), "{denied:?}");
}

#[tokio::test]
async fn rules_and_schedules_are_read_and_written_by_their_names() {
    let rig = Rig::new().await;
    let runs = |number: u64| format!("arn:aws:ecs:eu-west-2:123456789012:task-definition/nightly:{number}");
    let cluster = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";
    let target = json!({"Arn": cluster, "RoleArn": "arn:aws:iam::123456789012:role/events", "Newer": {"x": 0.1},
        "EcsParameters": {"TaskDefinitionArn": runs(1)}});
    let mut of_rule = target.clone();
    of_rule["Id"] = json!("a");
    rig.call(Api::Events, "PutRule", &json!({"Name": "nightly", "ScheduleExpression": "rate(1 day)"}));
    rig.call(Api::Events, "PutTargets", &json!({"Rule": "nightly", "Targets": [of_rule]}));
    rig.call(Api::Scheduler, "CreateScheduleGroup", &json!({"Name": "jobs"}));
    let schedule = json!({"Name": "nightly", "GroupName": "jobs", "ScheduleExpression": "rate(1 day)", "State": "DISABLED",
        "FlexibleTimeWindow": {"Mode": "OFF"}, "StartDate": 1_767_225_600.125, "Target": target});
    rig.call(Api::Scheduler, "CreateSchedule", &schedule);
    let rule = ScheduleName::Rule("nightly".to_owned());
    let name = ScheduleName::Schedule { group: "jobs".to_owned(), name: "nightly".to_owned() };
    let nowhere = ScheduleName::Schedule { group: "default".to_owned(), name: "nightly".to_owned() };
    let (port, cluster) = (&rig.ports.schedules, ClusterName::new("mco"));
    for (name, is_enabled, operation) in [(&rule, true, "PutTargets"), (&name, false, "UpdateSchedule")] {
        let read = port.schedule(name).await.unwrap();
        let target = &read.targets[0];
        assert_eq!((read.is_enabled, target.cluster()), (is_enabled, Some("mco")));
        assert_eq!(target.task_definition.as_ref().unwrap().as_str(), runs(1));
        let revision = TaskDefinitionArn::new(runs(2));
        let input = crate::documents::schedules::retargeted(name, &read, &cluster, &revision);
        port.retarget(name, &input).await.unwrap();
        let mut again = port.schedule(name).await.unwrap();
        assert_eq!(again.targets[0].task_definition.as_ref(), Some(&revision));
        let at = if name == &rule { "" } else { "/Target" };
        let raw = &mut again.targets[0].raw;
        *raw.pointer_mut(&format!("{at}/EcsParameters/TaskDefinitionArn")).unwrap() = json!(runs(1));
        assert_eq!(*raw, target.raw);
        rig.refuse(Fault::Deny { operation: operation.to_owned(), times: 1 });
        let denied = port.retarget(name, &input).await.unwrap_err();
        assert!(matches!(denied, CloudError::Denied(_)), "{denied:?}");
        rig.refuse(Fault::LoseAnswer { operation: operation.to_owned() });
        let lost = port.retarget(name, &input).await.unwrap_err();
        assert!(matches!(lost, CloudError::Ambiguous(_)), "{lost:?}");
    }
    for missing in [ScheduleName::Rule("weekly".to_owned()), nowhere] {
        let gone = port.schedule(&missing).await.unwrap_err();
        assert!(matches!(gone, CloudError::NotFound(_)), "{gone:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_many_ask_for_at_once_costs_few_calls() {
    let rig = Rig::new().await;
    let cluster = ClusterName::new("mco");
    rig.register("test", "api");
    rig.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}));
    rig.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": "mco/api"}));
    push(&rig, "{}");
    let names: Vec<ServiceName> = (0..25).map(|number| ServiceName::new(format!("s{number}"))).collect();
    for name in &names {
        let service = json!({"cluster": "mco", "serviceName": name.as_str(), "taskDefinition": "api", "desiredCount": 2});
        rig.call(Api::Ecs, "CreateService", &service);
    }
    rig.world.lock().unwrap().advance(300);
    let (ecs, ecr) = (&rig.ports.ecs, &rig.ports.ecr);
    let repository = RepositoryName::new("mco/api");
    let tags = ["aaaaaaa", "bbbbbbb"].map(Tag::new);
    let services = join_all(names.iter().map(|name| ecs.service(&cluster, name))).await;
    assert!(
        services.iter().zip(&names).all(|(found, name)| found
            .as_ref()
            .unwrap()
            .as_ref()
            .unwrap()
            .arn
            .ends_with(name.as_str()))
    );
    for _ in 0..2 {
        let deployments =
            join_all(names.iter().map(|name| ecs.service_deployments(&cluster, name, 20))).await;
        assert!(deployments.iter().all(|found| found.as_ref().unwrap().len() == 1));
    }
    let tasks = join_all(names.iter().map(|name| ecs.tasks(&cluster, name, Tasks::Running, 500))).await;
    assert!(tasks.iter().all(|found| found.as_ref().unwrap().len() == 2));
    let pulled = join_all(tags.iter().map(|tag| ecr.pulled_by_tag(None, &repository, tag))).await;
    let digests = pulled.into_iter().map(|image| image.map(|image| Some(image?.digest)));
    let digests: Vec<Result<Option<Digest>, CloudError>> = digests.collect();
    let images = join_all(tags.iter().map(|tag| ecr.image_by_tag(None, &repository, tag))).await;
    assert_eq!(digests, [Ok(images[0].as_ref().ok().map(|image| image.digest.clone())), Ok(None)]);
    assert!(images[0].is_ok() && matches!(images[1], Err(CloudError::NotFound(_))), "{images:?}");
    for (operation, expected) in [
        ("DescribeServices", 3),
        ("ListServiceDeployments", 50),
        // The second time they are known.
        ("DescribeServiceDeployments", 2),
        ("ListTasks", 1),
        ("DescribeTasks", 1),
        // Together they are refused for the sake of the one that is not there.
        ("DescribeImages", 3),
        ("BatchGetImage", 1),
    ] {
        assert_eq!(rig.world.lock().unwrap().calls(operation), expected, "{operation}");
    }
}

#[tokio::test]
async fn the_list_of_a_cluster_that_is_mostly_others_is_read_once_and_left_alone() {
    let rig = Rig::new().await;
    let cluster = ClusterName::new("mco");
    rig.register("test", "api");
    rig.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}));
    for (name, count) in [("one", 1), ("two", 1), ("others", 300)] {
        let service =
            json!({"cluster": "mco", "serviceName": name, "taskDefinition": "api", "desiredCount": count});
        rig.call(Api::Ecs, "CreateService", &service);
    }
    rig.world.lock().unwrap().advance(600);
    let names = ["one", "two"].map(ServiceName::new);
    let mut calls = 0;
    for expected in [2 + 2, 2] {
        let tasks =
            join_all(names.iter().map(|name| rig.ports.ecs.tasks(&cluster, name, Tasks::Running, 500)));
        assert!(tasks.await.iter().all(|found| found.as_ref().unwrap().len() == 1));
        let all = rig.world.lock().unwrap().calls("ListTasks");
        assert_eq!(all - calls, expected);
        calls = all;
    }
}

/// A load balancer whose listener leads to the first of two target groups; its listener, its default rule and the groups.
fn balancer(rig: &Rig) -> (String, String, [String; 2]) {
    let elb = |operation: &str, input: &Value| rig.call(Api::Elb, operation, input);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let balancer =
        elb("CreateLoadBalancer", &json!({"Name": "mco"}))["LoadBalancers"][0]["LoadBalancerArn"].clone();
    let groups = [("a", "ip"), ("b", "instance")].map(|(name, kind)| {
        let made = elb("CreateTargetGroup", &json!({"Name": name, "TargetType": kind, "Port": 8080}));
        text(&made["TargetGroups"][0]["TargetGroupArn"])
    });
    let weighted = [(&groups[0], 90), (&groups[1], 0)]
        .map(|(arn, weight)| json!({"TargetGroupArn": arn, "Weight": weight}));
    let actions = json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}}]);
    let input = json!({"LoadBalancerArn": balancer, "Port": 80, "DefaultActions": actions});
    let listener = text(&elb("CreateListener", &input)["Listeners"][0]["ListenerArn"]);
    let rules = elb("DescribeRules", &json!({"ListenerArn": listener}));
    (listener, text(&rules["Rules"][0]["RuleArn"]), groups)
}

#[tokio::test]
async fn a_load_balancer_is_read_by_rule_listener_and_group() {
    let rig = Rig::new().await;
    let (listener, rule, [a, b]) = balancer(&rig);
    let balancers = &rig.ports.balancers;
    let expected = Forward { weights: BTreeMap::from([(a.clone(), 90), (b.clone(), 0)]) };
    for arn in [&listener, &rule] {
        assert_eq!(balancers.forward(arn).await.unwrap().unwrap(), expected, "{arn}");
    }
    assert_eq!(expected.served().collect::<Vec<_>>(), [&a]);
    for (asked, arn, name, takes_addresses) in [(a.as_str(), &a, "a", true), ("b", &b, "b", false)] {
        let found = balancers.target_group(asked).await.unwrap().unwrap();
        let (network, protocol) = (Some("vpc-simulated".to_owned()), Some("HTTP".to_owned()));
        let (arn, name) = (arn.clone(), name.to_owned());
        let expected =
            TargetGroup { arn, name, takes_addresses, network, protocol, health_port: None, targets: 0 };
        assert_eq!(found, expected);
    }
    for arn in [format!("{rule}0"), format!("{listener}0")] {
        assert!(matches!(balancers.forward(&arn).await, Err(CloudError::NotFound(_))), "{arn}");
    }
    assert!(matches!(balancers.target_group("c").await, Err(CloudError::NotFound(_))));
    rig.refuse(Fault::Deny { operation: "DescribeRules".to_owned(), times: 1 });
    assert!(matches!(balancers.forward(&rule).await, Err(CloudError::Denied(_))));
    // Two questions at once are one call.
    let before = rig.world.lock().unwrap().calls("DescribeTargetGroups");
    let found = join_all([&a, &b].map(|arn| balancers.target_group(arn))).await;
    assert_eq!(found.iter().flatten().flatten().count(), 2);
    assert_eq!(rig.world.lock().unwrap().calls("DescribeTargetGroups") - before, 1);
}
