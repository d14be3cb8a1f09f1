//! `logs`: what containers write, with the built binary.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::rig::{APPLICATION, REGISTRY, Rig};

const GROUP: &str = "/mco/api";
/// Only AWS knows it.
const SECRET: &str = "canary-4711\nin two lines";

fn rig() -> Rig {
    let rig = Rig::bare();
    let ids = json!([{"imageTag": "aaaaaaa"}]);
    let found = rig.call(Api::Ecr, "DescribeImages", &json!({"repositoryName": "mco/api", "imageIds": ids}));
    let digest = found["imageDetails"][0]["imageDigest"].as_str().unwrap().to_owned();
    let text = "listening\u{1b}[2J\ngiven canary-4711\nand in two lines".to_owned();
    rig.world.lock().unwrap().inject(Fault::Says { digest, text });
    let options =
        json!({"awslogs-group": GROUP, "awslogs-region": "eu-west-2", "awslogs-stream-prefix": "ecs"});
    let logging = json!({"logDriver": "awslogs", "options": options});
    let image = |tag: &str| format!("{REGISTRY}/mco/api:{tag}");
    let containers = json!([
        {"name": "api", "image": image("aaaaaaa"), "memory": 512, "logConfiguration": logging,
         "environment": [{"name": "GIVEN", "value": SECRET}]},
        {"name": "proxy", "image": image("aaaaaaa"), "memory": 64, "logConfiguration": {"logDriver": "splunk"}},
    ]);
    let definition = json!({"family": "mco-api", "containerDefinitions": containers});
    rig.call(Api::Ecs, "RegisterTaskDefinition", &definition);
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let service = json!({"cluster": "mco", "serviceName": "mco-api-test", "taskDefinition": "mco-api",
        "desiredCount": 1, "deploymentConfiguration": breaker});
    rig.call(Api::Ecs, "CreateService", &service);
    rig.world.lock().unwrap().advance(60);
    rig.write("api.yaml", &format!("{APPLICATION}  containers: [api]\n"));
    rig.declare("aaaaaaa");
    rig
}

fn task(rig: &Rig) -> String {
    let list = json!({"cluster": "mco", "serviceName": "mco-api-test"});
    let tasks = rig.call(Api::Ecs, "ListTasks", &list)["taskArns"].clone();
    tasks[0].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[track_caller]
fn logs(rig: &Rig, arguments: &[&str]) -> (String, String) {
    let output = rig.trueup(&[&["logs", "test/api"], arguments].concat());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_logs_of_what_runs_are_shown_without_what_only_aws_knows() {
    let rig = rig();
    let (shown, said) = logs(&rig, &["--since", "1h"]);
    let prefix = format!(" api/{}  ", &task(&rig)[..8]);
    for line in ["listening\\u{1b}[2J\n", "given (hidden)\n", "and (hidden)\n"] {
        assert!(shown.contains(&format!("{prefix}{line}")), "{shown}");
    }
    assert!(!shown.contains("canary") && !shown.contains("two lines"), "{shown}");
    assert!(said.contains("container proxy is not read: it goes to the log driver splunk"), "{said}");
    // What was written before is not asked for.
    rig.world.lock().unwrap().advance(7200);
    assert_eq!(logs(&rig, &["--since", "1h"]).0, "");
    // Neither a log that may not be read nor one that is gone is the end of it.
    rig.world.lock().unwrap().inject(Fault::Deny { operation: "GetLogEvents".to_owned(), times: 1 });
    let (_, said) = logs(&rig, &[]);
    assert!(said.contains("the log /mco/api cannot be read: not allowed"), "{said}");
    rig.call(Api::Logs, "DeleteLogGroup", &json!({"logGroupName": GROUP}));
    assert!(logs(&rig, &[]).1.contains("nothing is logged in /mco/api"));
}

#[test]
fn what_failed_has_its_logs_shown_and_nothing_else() {
    let rig = rig();
    let (shown, said) = logs(&rig, &["--failed"]);
    assert!(shown.is_empty() && said.contains("no task has failed"), "{shown}{said}");
    let digest = rig.build("bad0bad");
    let text = "out of luck".to_owned();
    let mut world = rig.world.lock().unwrap();
    world.inject(Fault::Says { digest: digest.clone(), text });
    world.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 2 });
    drop(world);
    rig.declare("bad0bad");
    rig.expect(&["reconcile"], 3);
    let (shown, _) = logs(&rig, &["--failed"]);
    assert!(shown.contains("  out of luck\n") && shown.contains("  api ends with 1\n"), "{shown}");
    assert!(!shown.contains(&task(&rig)[..8]) && !shown.contains("listening"), "{shown}");
}

#[test]
fn a_log_is_followed_until_it_is_stopped() {
    let rig = rig();
    let mut command = rig.command(&["logs", "test/api", "--since", "1h", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = |text: &str| {
        assert!(lines.any(|line| line.unwrap().ends_with(text)), "{text} was never shown");
    };
    seen("listening\\u{1b}[2J");
    let stream = format!("ecs/api/{}", task(&rig));
    let now = rig.world.lock().unwrap().now() * 1000;
    let events = json!([{"timestamp": now, "message": "one more"}]);
    let put: Value = json!({"logGroupName": GROUP, "logStreamName": stream, "logEvents": events});
    rig.call(Api::Logs, "PutLogEvents", &put);
    seen("  one more");
    child.kill().unwrap();
    child.wait().unwrap();
}
