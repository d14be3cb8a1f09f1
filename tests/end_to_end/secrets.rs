//! Secrets planted wherever somebody can put one; every output of every command is searched for them.

use std::fs::File;
use std::process::Stdio;

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::alerts::Receiver;
use crate::health::get;
use crate::restart::{Controller, until};
use crate::rig::{REGISTRY, Rig};

/// What every planted secret begins with; nothing else does.
const CANARY: &str = "canary";

/// A task definition of another hand, with a secret in every kind of field that holds free text.
fn live() -> Value {
    let mut planted = 0;
    let mut secret = || {
        planted += 1;
        format!("{CANARY}{planted:02}")
    };
    let environment: Vec<Value> = [
        "LOG_LEVEL",
        "PLAIN",
        "DB_PASS",
        "STRIPE_KEY",
        "SENTRY_DSN",
        "DATABASE_URL",
        "SESSION",
        "X",
        "GREETING",
        "ONLY_AT_AWS",
    ]
    .iter()
    .map(|name| json!({"name": name, "value": secret()}))
    .collect();
    json!({
        "family": "mco-api",
        "containerDefinitions": [{
            "name": "api",
            "image": format!("{REGISTRY}/mco/api:aaaaaaa"),
            "memory": 512,
            "environment": environment,
            "environmentFiles": [{"type": "s3", "value": format!("arn:aws:s3:::{}/x.env", secret())}],
            "secrets": [{"name": "DB", "valueFrom": format!("arn:aws:ssm:eu-west-2:123456789012:parameter/{}", secret())}],
            "command": ["serve", format!("--token={}", secret()), "--verbose", secret()],
            "entryPoint": ["sh", "-c", format!("export A={}; exec", secret())],
            "healthCheck": {"command": ["CMD-SHELL", format!("curl https://u:{}@localhost", secret())]},
            "dockerLabels": {"label": secret(), "declared": secret()},
            "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": secret(), "splunk-url": secret()},
                "secretOptions": [{"name": "o", "valueFrom": secret()}]},
            "user": secret(),
            "hostname": secret(),
            "workingDirectory": format!("/{}", secret()),
            "extraHosts": [{"hostname": secret(), "ipAddress": "10.0.0.1"}],
            "systemControls": [{"namespace": "net.core.somaxconn", "value": secret()}],
            "repositoryCredentials": {"credentialsParameter": format!("arn:aws:secretsmanager:eu-west-2:123456789012:secret:{}", secret())},
            "mountPoints": [{"sourceVolume": "v", "containerPath": format!("/{}", secret())}],
        }, {"name": "sidecar", "image": format!("{REGISTRY}/mco/api:aaaaaaa"), "memory": 64, "command": [secret()]}],
        "volumes": [{"name": "v", "host": {"sourcePath": format!("/{}", secret())}}],
        "placementConstraints": [{"type": "memberOf", "expression": format!("attribute:{} == x", secret())}],
    })
}

/// What git declares of it: other values, one that looks like a secret in plain text, and one variable that is as it is live.
fn declared() -> Value {
    let environment: Vec<Value> = [
        "LOG_LEVEL",
        "PLAIN",
        "DB_PASS",
        "STRIPE_KEY",
        "SENTRY_DSN",
        "DATABASE_URL",
        "SESSION",
        "X",
        "GREETING",
    ]
    .iter()
    .map(|name| json!({"name": name, "value": "guess"}))
    .chain([json!({"name": "API_TOKEN", "value": format!("{CANARY}-in-git")})])
    .collect();
    json!({
        "family": "mco-api-test",
        "containerDefinitions": [{
            "name": "api",
            "image": "<IMAGE_NAME>",
            "memory": 256,
            "environment": environment,
            "command": ["serve", "--verbose"],
            "dockerLabels": {"declared": "x"},
            "logConfiguration": {"logDriver": "splunk", "options": {"splunk-url": "https://splunk.example.com", "splunk-token": format!("{CANARY}-in-git")}},
        }],
    })
}

/// The service runs what another hand has registered; git declares something else.
fn rig() -> Rig {
    let rig = Rig::bare();
    rig.call(Api::Ecs, "RegisterTaskDefinition", &live());
    let configuration = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true},
        "alarms": {"alarmNames": [format!("{CANARY}-alarm")], "enable": true, "rollback": false}});
    let service = json!({"cluster": "mco", "serviceName": "mco-api-test", "taskDefinition": "mco-api",
        "desiredCount": 1, "deploymentConfiguration": configuration,
        "placementConstraints": [{"type": "memberOf", "expression": format!("attribute:{CANARY} == x")}]});
    rig.call(Api::Ecs, "CreateService", &service);
    rig.world.lock().unwrap().advance(60);
    rig.write(
        "api.yaml",
        "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api-{environment}\n  taskDefinition: taskdef.json\n  serviceSettings:\n    placementConstraints: []\n    deploymentConfiguration: {alarms: {alarmNames: [errors], enable: true, rollback: true}}\n",
    );
    rig.write("taskdef.json", &format!("{:#}", declared()));
    rig.build("bbbbbbb");
    rig.declare("aaaaaaa");
    rig.declare("bbbbbbb");
    rig
}

/// The credentials of the process itself.
fn variables(hook: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", format!("{CANARY}-key-id")),
        ("AWS_SECRET_ACCESS_KEY", format!("{CANARY}-secret-key")),
        ("AWS_SESSION_TOKEN", format!("{CANARY}-session")),
        ("TRUEUP_TOKEN", format!("{CANARY}-git-token")),
        ("TRUEUP_WEBHOOK_SECRET", format!("{CANARY}-hook-secret")),
        ("TRUEUP_WEBHOOK_URL", format!("{hook}/{CANARY}-hook?token={CANARY}-query")),
        ("TRUEUP_LOG", "trueup=trace,info".to_owned()),
    ]
}

#[track_caller]
fn is_clean(what: &str, text: &str) {
    let found = text.lines().find(|line| line.contains(CANARY));
    assert_eq!(found, None, "{what}");
}

fn said(rig: &Rig, arguments: &[&str]) -> String {
    let hook = "http://127.0.0.1:1";
    let output = rig.command(arguments).envs(variables(hook)).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Commands that look; each is told something of the service.
const LOOKING: [&[&str]; 14] = [
    &["lint"],
    &["plan"],
    &["plan", "-o", "json"],
    &["plan", "-o", "markdown"],
    &["status"],
    &["status", "-o", "json"],
    &["status", "-o", "wide"],
    &["status", "test/api"],
    &["status", "test/api", "--color", "always"],
    &["history"],
    &["history", "-o", "json"],
    &["events", "--since", "720h"],
    &["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "0"],
    &["iam-policy"],
];

#[test]
fn no_secret_leaves_any_command() {
    let rig = rig();
    let look = |when: &str| {
        for arguments in LOOKING {
            for format in ["text", "json"] {
                let text = said(&rig, &[arguments, &["--log-format", format]].concat());
                is_clean(&format!("{when}: {arguments:?} {format}"), &text);
            }
        }
    };
    look("before the first write");
    // AWS repeats what was sent and what is live.
    rig.world.lock().unwrap().advance(600);
    for format in ["text", "json"] {
        let operation = "RegisterTaskDefinition".to_owned();
        let message = format!("{CANARY}-in-git of LOG_LEVEL, once {CANARY}01, is not valid");
        rig.world.lock().unwrap().inject(Fault::Refuse { operation, message, times: 1 });
        let text = said(&rig, &["reconcile", "--timeout", "0", "--log-format", format]);
        is_clean("refused", &text);
        assert!(
            text.contains("write.failed") && text.contains("(hidden) of LOG_LEVEL, once (hidden),"),
            "{text}"
        );
    }
    let plan = said(&rig, &["plan"]);
    assert!(plan.contains("containers[api].environment.LOG_LEVEL  differs ("), "{plan}");
    assert!(plan.contains(") -> guess") && plan.contains("containers[api].memory  512 -> 256"), "{plan}");
    for format in ["text", "json"] {
        is_clean("reconcile", &said(&rig, &["reconcile", "--timeout", "120", "--log-format", format]));
    }
    // Another hand goes back to what ran before: drift, field by field.
    let back = json!({"cluster": "mco", "service": "mco-api-test", "taskDefinition": "mco-api:2"});
    rig.call(Api::Ecs, "UpdateService", &back);
    rig.world.lock().unwrap().advance(600);
    look("drifted");
    let status = said(&rig, &["status"]);
    assert!(status.contains("~ containers[api]"), "{status}");
    // Each command is a process that knows no value yet which AWS could repeat.
    let message = format!("{CANARY}01 of LOG_LEVEL is not valid");
    for operation in ["DescribeServices", "DescribeTaskDefinition", "ListServiceDeployments", "ListTasks"] {
        let operation = operation.to_owned();
        rig.world.lock().unwrap().inject(Fault::Refuse { operation, message: message.clone(), times: 1000 });
        look("refused with what AWS repeats");
        let status = said(&rig, &["status"]);
        assert!(status.contains("ClientException: (hidden) of (hidden) is not valid"), "{status}");
        rig.world.lock().unwrap().heal();
    }
    for operation in ["DescribeTaskDefinition", "DescribeServices"] {
        rig.world.lock().unwrap().inject(Fault::Deny { operation: operation.to_owned(), times: 1000 });
        look("refused");
    }
}

#[test]
fn no_secret_leaves_a_controller_that_logs_text() {
    a_controller_is_clean("text");
}

#[test]
fn no_secret_leaves_a_controller_that_logs_json() {
    a_controller_is_clean("json");
}

fn a_controller_is_clean(format: &str) {
    let rig = rig();
    let receiver = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut run = rig.command(&["run", "--listen", "127.0.0.1:0", "--log-format", format]);
    let base = receiver.url.trim_end_matches("/alerts");
    run.envs(variables(base)).stdout(Stdio::null()).stderr(File::create(&path).unwrap());
    let controller = Controller(run.spawn().unwrap());
    let log = || std::fs::read_to_string(&path).unwrap();
    let tags = || rig.world.lock().unwrap().calls("PutImage");
    let before = tags();
    until("the success", || receiver.has("deployment.succeeded") && tags() > before);
    let back = json!({"cluster": "mco", "service": "mco-api-test", "taskDefinition": "mco-api:2"});
    rig.call(Api::Ecs, "UpdateService", &back);
    until("the drift", || receiver.has("drift.found"));
    let log_now = log();
    let listening = log_now.lines().find(|line| line.contains("http.listening")).unwrap();
    let port: String =
        listening.split("127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    for page in ["livez", "readyz", "metrics", CANARY] {
        is_clean(page, &get(&format!("http://127.0.0.1:{port}/{page}")).1);
    }
    rig.write(
        "test.yaml",
        "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec: {comit: 1}\n",
    );
    rig.commit("broken");
    until("the finding", || log().contains("test.yaml"));
    drop(controller);
    is_clean(&format!("the log as {format}"), &log());
    let bodies = receiver.bodies.lock().unwrap();
    assert!(bodies.iter().any(|body| body["differences"].as_array().is_some_and(|found| found.len() > 10)));
    is_clean("the alerts", &format!("{bodies:#?}"));
}

#[test]
fn no_secret_of_an_address_or_a_setting_is_repeated() {
    let rig = Rig::new();
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("TRUEUP_REPO", "https://me:canary@example.com/infra"),
        ("TRUEUP_REPO", "https://canary@127.0.0.1:1/infra"),
        ("TRUEUP_REPO", "http://localhost:canary@evil.example/infra"),
        ("TRUEUP_REPO", "ftp://me:canary@example.com/infra"),
        ("TRUEUP_REPO", "//me:canary@example.com/infra"),
        ("TRUEUP_REPO", "HTTPS:/me:canary@example.com/infra"),
        ("TRUEUP_REPO", "me@corp.example:canary@example.com:infra"),
        ("TRUEUP_WEBHOOK_URL", "http://example.com/canary"),
        ("TRUEUP_WEBHOOK_URL", "https://me:canary@example.com/"),
        ("TRUEUP_WEBHOOK_URL", "canary"),
        ("TRUEUP_WEBHOOK_URL", "https://example.com/canary?canary"),
        ("TRUEUP_CONFIG", "alerts: {webhook: {ulr: \"https://example.com/canary\"}}\n"),
        ("TRUEUP_CONFIG", "repository:\n  token: canary\n"),
        ("TRUEUP_CONFIG", "alerts: {webhook: {secret: canary}}\n"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(["run"]).current_dir(rig.folder.path()).env_clear();
        if name == "TRUEUP_CONFIG" {
            let file = folder.path().join("settings.yaml");
            std::fs::write(&file, value).unwrap();
            command.env(name, file);
        } else {
            command.env(name, value);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{value}: {text}");
        is_clean(value, &text);
    }
}

#[test]
fn an_address_at_a_wrong_place_of_a_call_is_not_repeated() {
    for arguments in [
        &["lint", "https://me:canary@example.com/infra"][..],
        &["status", "--repp", "https://me:canary@example.com/infra"],
        &["status", "--repp=https://me:canary@example.com/infra"],
        &["status", "--watch=https://me:canary@example.com/infra"],
        &["https://me:canary@example.com/infra"],
        &["status", "--format", "https://me:canary@example.com/infra"],
    ] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_trueup")).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        is_clean(&format!("{arguments:?}"), &text);
    }
}
