//! Whatever an answer of AWS holds: reading it ends, panics nowhere, costs a bounded number of calls, and what is said of
//! it stays short.
//!
//! `crate::fuzz` says how to let it go on for longer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use trueup_simulator::{Api, World};

use super::{Aws, query};
use crate::model::*;
use crate::ports::{CloudError, Place, Ports, Reach, RevisionStatus, Tasks};

/// Seeds of an ordinary run, each with one call of every kind.
const SEEDS: u64 = 40;
/// Calls to AWS that one call of a port may cost: two hundred pages, and a few.
const MOST_CALLS: usize = 250;
/// Characters of an error: it is logged, shown and alerted.
const MOST_TEXT: usize = 700;
/// Longer than any call takes that ends at all.
const PATIENCE: Duration = Duration::from_mins(1);

/// Answers what the world answers, with something changed.
#[derive(Clone)]
struct Liar {
    world: Arc<Mutex<World>>,
    random: Arc<Mutex<fastrand::Rng>>,
    calls: Arc<AtomicUsize>,
}

async fn lie(State(liar): State<Liar>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    liar.calls.fetch_add(1, Ordering::SeqCst);
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (prefix, operation) = target.split_once('.').unwrap_or_default();
    let input = serde_json::from_slice(&body).unwrap_or_default();
    let call = |api| match liar.world.lock().unwrap().call(api, operation, &input) {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => (StatusCode::BAD_REQUEST, json!({"__type": error.code, "message": error.message})),
    };
    let (status, answer) = match prefix {
        "AmazonEC2ContainerServiceV20141113" => call(Api::Ecs),
        "AmazonEC2ContainerRegistry_V20150921" => call(Api::Ecr),
        "ResourceGroupsTaggingAPI_20170126" => call(Api::Tagging),
        "AnyScaleFrontendService" => call(Api::Scaling),
        "AWSEvents" => call(Api::Events),
        _ => (StatusCode::OK, code_deploy(operation)),
    };
    let random = &mut *liar.random.lock().unwrap();
    let status = if random.u8(..20) == 0 { StatusCode::BAD_REQUEST } else { status };
    (status, mutated(answer, random))
}

/// What EventBridge Scheduler answers, with something changed.
async fn lie_of_a_schedule(State(liar): State<Liar>) -> (StatusCode, Vec<u8>) {
    liar.calls.fetch_add(1, Ordering::SeqCst);
    let asked = json!({"Name": "nightly"});
    let answer = liar.world.lock().unwrap().call(Api::Scheduler, "GetSchedule", &asked).unwrap();
    (StatusCode::OK, mutated(answer, &mut liar.random.lock().unwrap()))
}

/// What CodeDeploy answers when all is well.
fn code_deploy(operation: &str) -> Value {
    let deployment = |id: &str| {
        json!({"deploymentId": id, "applicationName": "API", "deploymentGroupName": "g", "status": "InProgress",
            "createTime": 1.5, "startTime": 2.5, "creator": "user", "description": "trueup",
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": "5".repeat(64)}},
            "deploymentOverview": {"Pending": 0}, "computePlatform": "ECS",
            "rollbackInfo": {"rollbackDeploymentId": "d-2"}, "errorInformation": {"code": "X", "message": "m"}})
    };
    match operation {
        "GetDeploymentGroup" => json!({"deploymentGroupInfo": {"applicationName": "API",
            "deploymentGroupName": "g", "computePlatform": "ECS",
            "deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce",
            "ecsServices": [{"serviceName": "api", "clusterName": "mco"}],
            "blueGreenDeploymentConfiguration": {
                "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 5},
                "terminateBlueInstancesOnDeploymentSuccess":
                    {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5}},
            "loadBalancerInfo": {"targetGroupPairInfoList": [{"targetGroups": [{"name": "a"}, {"name": "b"}],
                "prodTrafficRoute": {"listenerArns": ["l"]}}]},
            "lastSuccessfulDeployment": {"deploymentId": "d-1", "status": "Succeeded", "endTime": 1.5}}}),
        "ListDeployments" => json!({"deployments": ["d-1", "d-2"]}),
        "BatchGetDeployments" => json!({"deploymentsInfo": [deployment("d-1"), deployment("d-2")]}),
        "GetDeployment" => json!({"deploymentInfo": deployment("d-1")}),
        "GetDeploymentTarget" => {
            json!({"deploymentTarget": {"deploymentTargetType": "ECSTarget", "ecsTarget": {
            "deploymentId": "d-1", "targetId": "mco:api", "status": "InProgress", "lastUpdatedAt": 3.5,
            "lifecycleEvents": [{"lifecycleEventName": "AfterInstall", "status": "Failed", "startTime": 1.5,
                "diagnostics": {"errorCode": "ScriptFailed", "message": "m"}}],
            "taskSetsInfo": [{"identifer": "ecs-svc/1", "desiredCount": 2, "runningCount": 2,
                "status": "PRIMARY", "trafficWeight": 100.0, "targetGroup": {"name": "a"},
                "taskSetLabel": "Blue"}]}}})
        }
        "GetApplicationRevision" => json!({"revision": {"revisionType": "AppSpecContent",
            "appSpecContent": {"content": "{}", "sha256": "5".repeat(64)}}}),
        _ => json!({"deploymentId": "d-3"}),
    }
}

/// One thing changed, in the tree or in the text.
fn mutated(mut answer: Value, random: &mut fastrand::Rng) -> Vec<u8> {
    if random.u8(..4) > 0 {
        let size = size(&answer);
        let mut left = random.usize(..size);
        change(&mut answer, &mut left, random);
        return answer.to_string().into_bytes();
    }
    let mut text = answer.to_string().into_bytes();
    let place = random.usize(..=text.len());
    match random.u8(..5) {
        0 => text.truncate(place),
        1 => text.insert(place, random.u8(..)),
        2 => drop(text.splice(place..place, "[".repeat(random.usize(..200_000)).bytes())),
        3 => drop(text.splice(place..place, "{\"a\":".repeat(random.usize(..50_000)).bytes())),
        _ => text = "<html>not AWS</html>".repeat(random.usize(..10_000)).into_bytes(),
    }
    text
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.values().map(size).sum(),
        _ => 0,
    }
}

/// Changes the node that is `left` nodes ahead.
fn change(value: &mut Value, left: &mut usize, random: &mut fastrand::Rng) {
    if *left == 0 {
        *left = usize::MAX;
        other(value, random);
        return;
    }
    *left -= 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.values_mut().collect(),
        _ => return,
    };
    for child in children {
        if *left == usize::MAX {
            return;
        }
        change(child, left, random);
    }
}

fn other(value: &mut Value, random: &mut fastrand::Rng) {
    let hostile = "\u{1b}[31m\u{202e}\u{0}</script>\n|`'\"${jndi:ldap://x}";
    match (random.u8(..14), &mut *value) {
        (0, Value::Array(items)) => {
            let copies = items.clone();
            (0..random.usize(..300)).for_each(|_| items.extend(copies.clone()));
        }
        (0 | 1, Value::Object(members)) => {
            let key = members.keys().nth(random.usize(..members.len().max(1))).cloned();
            key.map(|key| members.shift_remove(&key));
        }
        (2, Value::Object(members)) => drop(members.insert("nextToken".to_owned(), json!("again"))),
        (3, Value::Object(members)) => drop(members.insert("PaginationToken".to_owned(), json!("page-0"))),
        (1..=3, _) => *value = Value::Null,
        (4, _) => *value = json!(true),
        (5, _) => *value = json!(-1),
        (6, _) => *value = json!(1e300),
        (7, _) => *value = json!(i64::MAX),
        (8, _) => *value = json!(""),
        (9, _) => *value = json!("x".repeat(random.usize(..1_000_000))),
        (10, _) => *value = json!(hostile),
        (11, _) => *value = json!([]),
        (12, _) => *value = json!({}),
        _ => *value = json!([[value.clone()]]),
    }
}

/// A service whose tasks run and have stopped, its images, and revisions of trueup's.
fn world() -> World {
    let mut world = World::new("123456789012", "eu-west-2");
    let mut call = |api, operation: &str, input: Value| world.call(api, operation, &input).unwrap();
    call(Api::Ecs, "CreateCluster", json!({"clusterName": "mco"}));
    call(Api::Ecr, "CreateRepository", json!({"repositoryName": "mco/api"}));
    let put = |manifest: Value, tag: &str| json!({"repositoryName": "mco/api", "imageManifest": manifest.to_string(), "imageTag": tag});
    let child = call(Api::Ecr, "PutImage", put(json!({"schemaVersion": 2, "layers": []}), "child"));
    let child = &child["image"]["imageId"]["imageDigest"];
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"digest": child, "platform": {"os": "linux", "architecture": "arm64"}}]});
    call(Api::Ecr, "PutImage", put(index, "aaaaaaa"));
    let tags = json!([{"key": "trueup:environment", "value": "test"}, {"key": "trueup:application", "value": "api"}]);
    let containers = json!([{"name": "api", "memory": 64, "environment": [{"name": "A", "value": "b"}],
        "image": "123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:child"}]);
    let definition = json!({"family": "api", "containerDefinitions": containers, "tags": tags});
    call(Api::Ecs, "RegisterTaskDefinition", definition);
    let service = json!({"cluster": "mco", "serviceName": "api", "taskDefinition": "api", "desiredCount": 2});
    call(Api::Ecs, "CreateService", service);
    let target = json!({"ServiceNamespace": "ecs", "ResourceId": "service/mco/api", "MinCapacity": 1,
        "MaxCapacity": 4, "ScalableDimension": "ecs:service:DesiredCount"});
    call(Api::Scaling, "RegisterScalableTarget", target);
    let cluster = "arn:aws:ecs:eu-west-2:123456789012:cluster/mco";
    let runs = json!({"Id": "a", "Arn": cluster, "RoleArn": "arn:aws:iam::123456789012:role/events",
        "EcsParameters": {"TaskDefinitionArn": "arn:aws:ecs:eu-west-2:123456789012:task-definition/api:1"}});
    call(Api::Events, "PutRule", json!({"Name": "nightly", "ScheduleExpression": "rate(1 day)"}));
    call(Api::Events, "PutTargets", json!({"Rule": "nightly", "Targets": [runs]}));
    let schedule = json!({"Name": "nightly", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": runs});
    call(Api::Scheduler, "CreateSchedule", schedule);
    world.advance(60);
    let again = json!({"cluster": "mco", "service": "api", "forceNewDeployment": true});
    world.call(Api::Ecs, "UpdateService", &again).unwrap();
    world.advance(90);
    world
}

type Said = Vec<(&'static str, Option<CloudError>)>;

/// Every reading once, and the writes whose answer is read.
async fn every_call(ports: &Ports) -> Said {
    let (cluster, service) = (ClusterName::new("mco"), ServiceName::new("api"));
    let (name, tag) = (RepositoryName::new("mco/api"), Tag::new("aaaaaaa"));
    let arn = TaskDefinitionArn::new("arn:aws:ecs:eu-west-2:123456789012:task-definition/api:1");
    let digest = Digest::new(format!("sha256:{}", "0".repeat(64)));
    let (ecs, ecr, code_deploy) = (&ports.ecs, &ports.ecr, &ports.code_deploy);
    let input = json!({"family": "api", "containerDefinitions": []});
    let environment = EnvironmentName::new("test");
    let application = ApplicationName::new("api");
    let rule = ScheduleName::Rule("nightly".to_owned());
    let schedule = ScheduleName::Schedule { group: "default".to_owned(), name: "nightly".to_owned() };
    vec![
        ("service", ecs.service(&cluster, &service).await.err()),
        ("deployments", ecs.service_deployments(&cluster, &service, 20).await.err()),
        (
            "named",
            ecs.deployments_of(vec!["arn:aws:ecs:eu-west-2:1:service-deployment/mco/api/1".to_owned()])
                .await
                .err(),
        ),
        ("running", ecs.tasks(&cluster, &service, Tasks::Running, 100).await.err()),
        ("stopped", ecs.tasks(&cluster, &service, Tasks::Stopped, 100).await.err()),
        ("newest", ecs.newest_revisions("api", 20).await.err()),
        ("family", ecs.family_revisions("api", RevisionStatus::Active, 1000).await.err()),
        ("revision", ecs.revision(&arn).await.err()),
        ("register", ecs.register(&input, &BTreeMap::new()).await.err()),
        ("repository", ecr.repository(None, &name).await.err()),
        ("by tag", ecr.image_by_tag(None, &name, &tag).await.err()),
        ("pulled_by_tag", ecr.pulled_by_tag(None, &name, &tag).await.err()),
        ("by digest", ecr.image_by_digest(None, &name, &digest).await.err()),
        ("move", ecr.move_tag(None, &name, &digest, &tag).await.err()),
        ("group", code_deploy.group("API", "g").await.err()),
        ("code deploy", code_deploy.deployments("API", "g", Some(1), 100).await.err()),
        ("progress", code_deploy.progress("d-1", &cluster, &service).await.err()),
        ("app spec", code_deploy.app_spec("API", &"5".repeat(64)).await.err()),
        ("account", ports.sts.account().await.err().map(|why| CloudError::Unavailable(format!("{why:?}")))),
        ("tagged", ports.tagging.revisions_tagged(&environment, &application).await.err()),
        ("runs", ecs.runs_of_family(&cluster, "api", 100).await.err()),
        ("rule", ports.schedules.schedule(&rule).await.err()),
        ("put", ports.schedules.retarget(&rule, &json!({"Rule": "nightly", "Targets": []})).await.err()),
        ("schedule", ports.schedules.schedule(&schedule).await.err()),
        ("scaling", ports.scaling.scalable_target(&cluster, &service).await.err()),
    ]
}

#[tokio::test]
async fn whatever_an_answer_holds_reading_it_ends_and_what_is_said_of_it_is_short() {
    let liar = Liar {
        world: Arc::new(Mutex::new(world())),
        random: Arc::new(Mutex::new(fastrand::Rng::with_seed(0))),
        calls: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let routes = axum::Router::new()
        .route("/", axum::routing::post(lie))
        .route("/schedules/{name}", axum::routing::get(lie_of_a_schedule))
        .with_state(liar.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let ports = Aws::simulated(&endpoint, &Region::new("eu-west-2")).await.ports(&Place::default());
    let (mut good, mut bad) = (0, 0);
    for seed in crate::fuzz::seeds("answers of AWS", SEEDS) {
        *liar.random.lock().unwrap() = fastrand::Rng::with_seed(seed);
        *liar.world.lock().unwrap() = world();
        let before = liar.calls.load(Ordering::SeqCst);
        let said = tokio::time::timeout(PATIENCE, every_call(&ports)).await;
        let said = said.unwrap_or_else(|_| panic!("seed {seed}: a call does not end"));
        let calls = liar.calls.load(Ordering::SeqCst) - before;
        assert!(calls <= said.len() * MOST_CALLS, "seed {seed}: {calls} calls");
        for (what, error) in said {
            let text = error.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(text.chars().count() <= MOST_TEXT, "seed {seed}: {what}: {} characters", text.len());
            *(if error.is_some() { &mut bad } else { &mut good }) += 1;
        }
    }
    assert!(good > 0 && bad > 0, "{good} good, {bad} bad: nothing was tried");
}

/// What Elastic Load Balancing answers in XML, with one thing changed.
#[test]
fn whatever_xml_comes_instead_of_an_answer_reading_it_ends() {
    let whole = r#"<?xml version="1.0"?><DescribeRulesResponse xmlns="http://x/"><DescribeRulesResult><Rules><member>
        <RuleArn>r &amp; s</RuleArn><Actions><member><Type>forward</Type></member></Actions></member></Rules></DescribeRulesResult>
        <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeRulesResponse>"#;
    assert!(query::answer(whole).is_some());
    for seed in crate::fuzz::seeds("xml", 500) {
        let random = &mut fastrand::Rng::with_seed(seed);
        let mut text = whole.as_bytes().to_vec();
        for _ in 0..random.usize(1..4) {
            let place = random.usize(..=text.len());
            match random.u8(..6) {
                0 => text.truncate(place),
                1 => text.insert(place, random.u8(..)),
                2 => drop(text.splice(place..place, "<member>".repeat(random.usize(..20_000)).bytes())),
                3 => drop(text.splice(place..place, *b"<![CDATA[")),
                4 => drop(text.splice(place..place, *b"&lt;!DOCTYPE a [<!ENTITY b '&b;&b;'>]>")),
                _ => text.truncate(text.len() / 2),
            }
        }
        let text = String::from_utf8_lossy(&text);
        let read = [query::answer(&text), query::refusal(&text).map(|(code, _)| code.into())];
        for value in read.into_iter().flatten() {
            assert!(value.to_string().len() <= 8 * text.len(), "seed {seed}");
        }
    }
}
