//! The shapes on the wire: what an AWS client sees, and the control calls.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use trueup_simulator::{World, http};

const ECS: &str = "AmazonEC2ContainerServiceV20141113";
const ECR: &str = "AmazonEC2ContainerRegistry_V20150921";

struct Rig {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

struct Reply {
    status: u16,
    head: String,
    /// As it came, perhaps cut off.
    body: String,
    whole: bool,
}

impl Rig {
    /// Time stands still.
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(World::new("123456789012", "eu-west-2")));
        runtime.spawn(http::serve(listener, world, 0.0));
        Self { address, _runtime: runtime }
    }

    fn send(&self, method: &str, path: &str, header: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-length: {length}\r\n{header}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        let ended = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
            whole: ended.is_ok() && (!chunked || body.ends_with("0\r\n\r\n")),
        }
    }

    fn call(&self, target: &str, input: &Value) -> Reply {
        let header = format!("content-type: application/x-amz-json-1.1\r\nx-amz-target: {target}\r\n");
        self.send("POST", "/", &header, &input.to_string())
    }

    fn control(&self, name: &str, input: &Value) -> u16 {
        self.send("POST", &format!("/_simulator/{name}"), "", &input.to_string()).status
    }

    fn state(&self) -> Value {
        self.send("GET", "/_simulator/state", "", "").json()
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn cluster(rig: &Rig) -> Reply {
    rig.call(&format!("{ECS}.CreateCluster"), &json!({"clusterName": "mco"}))
}

#[test]
fn results_and_errors_have_the_shape_of_aws_json() {
    let rig = Rig::new();
    let made = cluster(&rig);
    assert_eq!(made.status, 200);
    assert!(made.head.contains("content-type: application/x-amz-json-1.1"), "{}", made.head);
    assert_eq!(made.json()["cluster"]["clusterArn"], "arn:aws:ecs:eu-west-2:123456789012:cluster/mco");

    let refused = rig.call(&format!("{ECS}.ListServices"), &json!({"cluster": "none"}));
    let shape = json!({"__type": "ClusterNotFoundException", "message": "Cluster not found."});
    assert_eq!((refused.status, refused.json()), (400, shape));
    for target in [format!("{ECS}.Frobnicate"), format!("{ECR}.Frobnicate"), "Other.CreateThing".to_owned()] {
        let unknown = rig.call(&target, &json!({}));
        assert_eq!((unknown.status, &unknown.json()["__type"]), (404, &json!("UnknownOperationException")));
    }
    let garbled = rig.send("POST", "/", &format!("x-amz-target: {ECS}.ListClusters\r\n"), "{");
    assert_eq!((garbled.status, &garbled.json()["__type"]), (400, &json!("SerializationException")));
}

#[test]
fn every_answer_is_dated_by_the_clock_of_the_world() {
    let rig = Rig::new();
    let date = |reply: &Reply| {
        let lines = reply.head.lines().filter_map(|line| line.strip_prefix("date: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(date(&cluster(&rig)), ["Thu, 01 Jan 2026 00:00:00 GMT"]);
    assert_eq!(rig.control("advance", &json!({"seconds": 86_400 * 59 + 61})), 200);
    let refused = rig.call(&format!("{ECS}.ListServices"), &json!({"cluster": "none"}));
    assert_eq!(date(&refused), ["Sun, 01 Mar 2026 00:01:01 GMT"]);
    let identity = rig.send("POST", "/", "", "Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(date(&identity), ["Sun, 01 Mar 2026 00:01:01 GMT"]);
}

#[test]
fn sts_speaks_the_query_protocol_in_success_and_error() {
    let rig = Rig::new();
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let identity = rig.send("POST", "/", "content-type: application/x-www-form-urlencoded\r\n", form);
    assert_eq!(identity.status, 200);
    assert!(identity.body.contains("<Account>123456789012</Account>"), "{}", identity.body);
    let unknown = rig.send("POST", "/", "", "Version=2011-06-15&Action=AssumeRole");
    assert!(unknown.status == 400 && unknown.body.contains("<Code>InvalidAction</Code>"), "{}", unknown.body);
    assert_eq!(rig.control("fault", &json!({"kind": "expiredToken"})), 204);
    let expired = rig.send("POST", "/", "", form);
    assert!(expired.status == 403 && expired.body.contains("<Code>ExpiredToken</Code>"), "{}", expired.body);
    for (form, code) in [
        ("Action=ModifyLoadBalancerAttributes&Version=2015-12-01", "InvalidAction"),
        ("Version=2015-12-01", "MissingAction"),
    ] {
        let refused = rig.send("POST", "/", "", form);
        let said = format!("<Code>{code}</Code>");
        assert!(refused.status == 400 && refused.body.contains(&said), "{}", refused.body);
    }
}

#[test]
fn every_answer_has_the_id_of_its_request() {
    let rig = Rig::new();
    let id = |reply: &Reply| {
        let line = reply.head.lines().find_map(|line| line.strip_prefix("x-amzn-requestid: "));
        line.unwrap().to_owned()
    };
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let query = rig.send("POST", "/", "", form);
    assert!(query.body.contains(&format!("<RequestId>{}</RequestId>", id(&query))), "{}", query.body);
    let path = "/service/CodeDeploy_20141006/operation/ListApplications";
    let cbor = rig.send("POST", path, "", "");
    let refused = rig.call("Other.CreateThing", &json!({}));
    let ids = std::collections::BTreeSet::from([id(&query), id(&cluster(&rig)), id(&cbor), id(&refused)]);
    assert_eq!(ids.len(), 4, "{ids:?}");
}

#[test]
fn every_fault_can_be_injected_and_healed() {
    let rig = Rig::new();
    let faults = [
        json!({"kind": "throttle", "operation": "UpdateService", "times": 2}),
        json!({"kind": "loseAnswer", "operation": "PutImage"}),
        json!({"kind": "loseRequest", "operation": "PutImage"}),
        json!({"kind": "serverError", "operation": "*", "times": 1}),
        json!({"kind": "deny", "operation": "RegisterTaskDefinition"}),
        json!({"kind": "refuse", "operation": "RegisterTaskDefinition", "message": "no"}),
        json!({"kind": "expiredToken", "times": 3}),
        json!({"kind": "crash", "digest": "sha256:0", "exitCode": 137, "afterSeconds": 20}),
        json!({"kind": "unhealthy", "digest": "sha256:0"}),
        json!({"kind": "cannotPull", "digest": "sha256:0"}),
        json!({"kind": "noSecret", "name": "arn:aws:ssm:eu-west-2:123456789012:parameter/key"}),
        json!({"kind": "noLogGroup", "name": "/mco/api"}),
        json!({"kind": "noPlace", "reason": "Capacity is unavailable at this time."}),
        json!({"kind": "noCapacity", "reason": "RESOURCE:CPU", "times": 2}),
        json!({"kind": "strictStartedBy"}),
        json!({"kind": "tagExists"}),
    ];
    let kinds = ["services", "serviceDeployments", "tasks", "taskDefinitionList", "taskDefinition", "images"];
    let stale = kinds.map(|read| json!({"kind": "stale", "read": read, "seconds": 30}));
    for fault in faults.iter().chain(&stale) {
        assert_eq!(rig.control("fault", fault), 204, "{fault}");
    }
    assert_eq!(rig.state()["faults"], 22);
    assert_eq!(rig.control("heal", &json!({})), 204);
    assert_eq!(rig.state()["faults"], 0);
    for wrong in [
        json!({"kind": "thunder"}),
        json!({"kind": "crash"}),
        json!({"kind": "crash", "digest": "sha256:0", "afterSeconds": "soon"}),
        json!({"kind": "throttle", "operation": "x", "tmies": 2}),
        json!({"kind": "stale", "read": "everything", "seconds": 1}),
        json!([]),
    ] {
        assert_eq!(rig.control("fault", &wrong), 400, "{wrong}");
    }
}

#[test]
fn an_error_inside_aws_is_an_http_500_and_a_lost_answer_breaks_off() {
    let rig = Rig::new();
    rig.control("fault", &json!({"kind": "serverError", "operation": "CreateCluster"}));
    let failed = cluster(&rig);
    assert_eq!((failed.status, &failed.json()["__type"]), (500, &json!("ServerException")));
    for (kind, effects) in [("loseRequest", 0), ("loseAnswer", 1)] {
        rig.control("fault", &json!({"kind": kind, "operation": "CreateCluster"}));
        assert!(!cluster(&rig).whole, "{kind}");
        let listed = rig.call(&format!("{ECS}.ListClusters"), &json!({})).json();
        assert_eq!(listed["clusterArns"].as_array().unwrap().len(), effects, "{kind}");
    }
}

#[test]
fn time_stands_still_until_it_is_told_to_pass() {
    let rig = Rig::new();
    let start = rig.state()["now"].as_u64().unwrap();
    assert_eq!(rig.control("advance", &json!({"seconds": 60})), 200);
    assert_eq!(rig.state()["now"], start + 60);
    assert_eq!(rig.control("speed", &json!({"speed": 0.5})), 200);
    assert_eq!(rig.state()["speed"], 0.5);
    for (name, wrong) in [
        ("advance", json!({"seconds": -1})),
        ("advance", json!({"seconds": 1e12})),
        ("speed", json!({"speed": -1})),
        ("speed", json!({"speed": 1, "more": 1})),
    ] {
        assert_eq!(rig.control(name, &wrong), 400, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_to_calls_side_by_side_are_on_their_way_side_by_side() {
    const LATENCY: Duration = Duration::from_secs(10);
    const CALLS: u64 = 20;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let world = Arc::new(Mutex::new(World::new("123456789012", "eu-west-2")));
    tokio::spawn(http::serve_far_away(listener, Arc::clone(&world), 0.0, LATENCY));
    let began = tokio::time::Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        clients.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!(
                "POST / HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-length: 2\r\nx-amz-target: {ECS}.ListClusters\r\n\r\n{{}}"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.unwrap();
            reply
        });
    }
    // All have had their effect, and the world is free, before the first answer has arrived.
    while world.lock().unwrap().calls("ListClusters") < CALLS {
        tokio::task::yield_now().await;
    }
    assert!(began.elapsed() < LATENCY, "{:?}", began.elapsed());
    for reply in clients.join_all().await {
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
    assert!((LATENCY..2 * LATENCY).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[test]
fn the_rates_of_aws_can_be_asked_for_and_refusals_are_counted() {
    let rig = Rig::new();
    let clusters = |rig: &Rig| (0..25).filter(|_| cluster(rig).status == 200).count();
    assert_eq!((clusters(&rig), &rig.state()["limits"]), (25, &json!(false)));
    assert_eq!(rig.control("limits", &json!({"enabled": true})), 200);
    assert_eq!(clusters(&rig), 20);
    let refused = cluster(&rig);
    let said = json!({"__type": "ThrottlingException", "message": "Rate exceeded"});
    assert_eq!((refused.status, refused.json()), (400, said));
    let state = rig.state();
    assert_eq!((&state["limits"], &state["throttled"]), (&json!(true), &json!({"CreateCluster": 6})));
    for wrong in [json!({}), json!({"enabled": 1}), json!({"enabled": true, "more": 1})] {
        assert_eq!(rig.control("limits", &wrong), 400, "{wrong}");
    }
}

#[test]
fn other_hands_say_whether_they_found_anything() {
    let rig = Rig::new();
    for (hand, status) in [
        (json!({"kind": "alarm", "name": "errors", "alarm": true}), 204),
        (json!({"kind": "autoscale", "cluster": "mco", "service": "api", "desiredCount": 3}), 409),
        (json!({"kind": "exitTask", "task": "none", "exitCode": 137}), 409),
        (json!({"kind": "interruptTask", "task": "none"}), 409),
        (json!({"kind": "program", "container": "api", "exitCode": 1, "afterSeconds": 60}), 204),
        (json!({"kind": "program", "container": "api", "stays": true}), 204),
        (json!({"kind": "program", "container": "api", "stays": true, "exitCode": 1}), 400),
        (json!({"kind": "function", "function": "smoke", "does": "polls", "times": 3, "delay": 30}), 204),
        (json!({"kind": "function", "function": "smoke", "does": "dances"}), 400),
        (json!({"kind": "expireImage", "repository": "mco/api", "digest": "sha256:0"}), 409),
        (json!({"kind": "archiveImage", "repository": "mco/api", "digest": "sha256:0"}), 409),
        (json!({"kind": "wave"}), 400),
    ] {
        assert_eq!(rig.control("hand", &hand), status, "{hand}");
    }
}

#[test]
fn a_conflict_names_the_tasks_on_the_wire() {
    let rig = Rig::new();
    cluster(&rig);
    let call = |operation: &str, input: &Value| rig.call(&format!("{ECS}.{operation}"), input).json();
    let definition =
        json!({"family": "job", "containerDefinitions": [{"name": "job", "image": "x", "memory": 64}]});
    call("RegisterTaskDefinition", &definition);
    let mut asked = json!({"cluster": "mco", "taskDefinition": "job", "clientToken": "one"});
    let task = call("RunTask", &asked)["tasks"][0]["taskArn"].clone();
    asked["startedBy"] = json!("me");
    let refused = call("RunTask", &asked);
    assert_eq!((&refused["__type"], &refused["resourceIds"]), (&json!("ConflictException"), &json!([task])));
}

#[test]
fn cloudwatch_speaks_cbor_and_names_its_errors_as_in_the_query_protocol() {
    let rig = Rig::new();
    let at = |operation: &str| format!("/service/GraniteServiceVersion20100801/operation/{operation}");
    let refused = rig.send("POST", &at("SetAlarmState"), "", "");
    assert_eq!(refused.status, 400);
    assert!(refused.head.contains("x-amzn-query-error: MissingParameter;Sender"), "{}", refused.head);
    assert!(refused.body.contains("com.amazonaws.cloudwatch#MissingParameter"), "{}", refused.body);
    assert!(rig.send("POST", &at("DescribeAlarms"), "", "").body.contains("MetricAlarms"));
}
