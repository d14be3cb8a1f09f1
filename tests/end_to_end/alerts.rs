//! Alerts of the built binary at a receiver, once each and across a restart.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::fake_host::{FakeHost, JOB, Request};
use crate::restart::{Controller, until};
use crate::rig::Rig;

/// What was posted and taken, one body after the other.
pub struct Receiver {
    pub url: String,
    pub bodies: Arc<Mutex<Vec<Value>>>,
    /// What it refuses to take for now.
    is_in_trouble: Arc<AtomicBool>,
    /// How often it has.
    troubles: Arc<AtomicUsize>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (is_in_trouble, troubles): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
        let (kept, trouble, met) = (Arc::clone(&bodies), Arc::clone(&is_in_trouble), Arc::clone(&troubles));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let answer = if trouble.load(Ordering::SeqCst) {
                    met.fetch_add(1, Ordering::SeqCst);
                    "503 Busy\r\nretry-after: 0\r\ncontent-length: 0"
                } else {
                    kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                    "204 No Content"
                };
                // Who is killed reads no answer.
                let _ = write!(stream, "HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n");
            }
        });
        Self { url, bodies, is_in_trouble, troubles }
    }

    fn events(&self) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| body["event"].as_str().unwrap().to_owned()).collect()
    }

    fn keys(&self) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| body["key"].as_str().unwrap().to_owned()).collect()
    }

    pub fn has(&self, event: &str) -> bool {
        self.events().iter().any(|known| known == event)
    }

    fn controller(&self, rig: &Rig) -> Controller {
        Controller::with(rig, &[("TRUEUP_WEBHOOK_URL", &self.url), ("TRUEUP_WEBHOOK_SECRET", "hunter2")])
    }
}

#[test]
fn each_alert_comes_once_also_from_a_new_process() {
    let rig = Rig::new();
    let receiver = Receiver::start();
    let controller = receiver.controller(&rig);
    let looks = || rig.world.lock().unwrap().calls("DescribeServices");
    until("the first look", || looks() > 0);
    let digest = rig.build("bbbbbbb");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 });
    rig.declare("bbbbbbb");
    until("the hold on record", || on_record(&rig).is_some_and(|told| told.contains("held=")));
    drop(controller);
    looks_once(&receiver, &rig);
    let controller = receiver.controller(&rig);
    rig.build("ccccccc");
    rig.declare("ccccccc");
    until("the success", || receiver.has("deployment.succeeded"));
    drop(controller);
    let expected = [
        "deployment.started",
        "deployment.rolled_back",
        "commit.held",
        "deployment.started",
        "deployment.succeeded",
    ];
    assert_eq!(receiver.events(), expected);
    let bodies = receiver.bodies.lock().unwrap();
    assert_eq!(bodies[1]["commit"], "bbbbbbb");
    assert!(bodies[1]["causes"][0]["text"].as_str().unwrap().contains("exited with 137"), "{:#}", bodies[1]);
    assert_eq!((&bodies[1]["environment"], &bodies[1]["application"]), (&json!("test"), &json!("api")));
    assert_eq!(
        (&bodies[1]["state"]["tagged"], &bodies[1]["state"]["sync"]),
        (&json!("-"), &json!("OutOfSync"))
    );
    let page = "https://eu-west-2.console.aws.amazon.com/ecs/v2/clusters/mco/services/mco-api-test/deployments?region=eu-west-2";
    assert_eq!(bodies[1]["links"]["deployment"], page);
}

/// What is on record on the newest revision of the alerts of it.
fn on_record(rig: &Rig) -> Option<String> {
    let newest = json!({"taskDefinition": "mco-api", "include": ["TAGS"]});
    let described = rig.call(Api::Ecs, "DescribeTaskDefinition", &newest);
    let tag = described["tags"].as_array()?.iter().find(|tag| tag["key"] == "trueup:told")?;
    tag["value"].as_str().map(str::to_owned)
}

/// A process looks, and ends when all that it has to tell was told.
fn looks_once(receiver: &Receiver, rig: &Rig) {
    let looks = || rig.world.lock().unwrap().calls("DescribeServices");
    let (before, controller) = (looks(), receiver.controller(rig));
    until("a look", || looks() > before);
    assert_eq!(controller.stop(), Some(0));
}

#[test]
fn what_nobody_has_taken_is_told_by_the_next_process_and_what_is_on_record_is_not() {
    let rig = Rig::new();
    let receiver = Receiver::start();
    let controller = receiver.controller(&rig);
    let digest = rig.build("bbbbbbb");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 });
    receiver.is_in_trouble.store(true, Ordering::SeqCst);
    rig.declare("bbbbbbb");
    let has_ended = || {
        let newest = json!({"taskDefinition": "mco-api", "include": ["TAGS"]});
        rig.call(Api::Ecs, "DescribeTaskDefinition", &newest)["tags"].to_string().contains("failed/")
    };
    until("the outcome on record", has_ended);
    until("a try", || receiver.troubles.load(Ordering::SeqCst) > 0);
    drop(controller);
    assert_eq!(on_record(&rig).as_deref(), Some(""), "nobody has taken it");
    receiver.is_in_trouble.store(false, Ordering::SeqCst);
    // Once more it is killed, between what was taken and the record of it.
    let refusals = Fault::Deny { operation: "TagResource".to_owned(), times: u32::MAX };
    rig.world.lock().unwrap().inject(refusals);
    let tries = || rig.world.lock().unwrap().calls("TagResource");
    let before = tries();
    let controller = receiver.controller(&rig);
    until("the hold", || receiver.has("deployment.rolled_back") && receiver.has("commit.held"));
    until("a try to put it on record", || tries() > before);
    drop(controller);
    assert_eq!(on_record(&rig).as_deref(), Some(""), "it was taken, and nobody knows");
    assert_eq!(receiver.keys().len(), 2);
    rig.world.lock().unwrap().heal();
    let controller = receiver.controller(&rig);
    until("the record", || {
        on_record(&rig).is_some_and(|told| told.contains("failed=") && told.contains("held="))
    });
    drop(controller);
    let told = receiver.keys();
    assert!(told.iter().any(|key| key.starts_with("deployment.rolled_back/test/api/")), "{told:?}");
    assert!(told.iter().any(|key| key.starts_with("commit.held/test/api/")), "{told:?}");
    let mut different = told.clone();
    different.sort();
    different.dedup();
    assert_eq!((told.len(), different.len()), (4, 2), "once more, under the same key: {told:?}");
    looks_once(&receiver, &rig);
    assert_eq!(receiver.keys(), told, "what is on record is told no more");
}

/// A topic and the default bus of the simulated AWS, and what they were sent.
fn at_aws(rig: &Rig) -> [(&'static str, String); 1] {
    let topic = rig.call(Api::Sns, "CreateTopic", &json!({"Name": "alerts"}))["TopicArn"].clone();
    let sinks = json!({
        "topic": {"kind": "sns", "topic": topic, "events": ["deployment.*", "test"]},
        "bus": {"kind": "eventBridge", "bus": "default", "events": ["deployment.*", "test"]},
    });
    [("TRUEUP_SINKS", sinks.to_string())]
}

#[test]
fn a_topic_and_a_bus_are_told_and_what_they_have_taken_is_on_record() {
    let rig = Rig::new();
    let settings = at_aws(&rig);
    let variables: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // Throttling is no refusal.
    for operation in ["Publish", "PutEvents"] {
        rig.world.lock().unwrap().inject(Fault::Throttle { operation: operation.to_owned(), times: 1 });
    }
    let controller = Controller::with(&rig, &variables);
    until("the first look", || rig.world.lock().unwrap().calls("DescribeServices") > 0);
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    until("the record", || {
        on_record(&rig).is_some_and(|told| told.contains("succeeded=") && !told.contains("alerts"))
    });
    drop(controller);
    let published = rig.world.lock().unwrap().published();
    let of = |key: &str, value: &str| {
        let is_it = |one: &&Value| {
            one.to_string().contains(&format!("\"{key}\":")) && one.to_string().contains(value)
        };
        published.iter().filter(is_it).count()
    };
    assert_eq!(
        (of("TopicArn", "deployment.succeeded/test/api"), of("DetailType", "deployment.succeeded/test/api")),
        (1, 1),
        "{published:#?}"
    );
    let topic = published.iter().find(|one| one.get("Subject").is_some()).unwrap();
    assert_eq!(topic["MessageAttributes"]["environment"]["StringValue"], "test");
}

#[test]
fn a_test_says_what_a_topic_and_a_bus_answer() {
    let rig = Rig::new();
    let settings = at_aws(&rig);
    let run = || {
        let mut command = rig.command(&["notify", "--test"]);
        let done =
            command.envs(settings.iter().map(|(name, value)| (*name, value.as_str()))).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(run(), "topic: delivered\nbus: delivered\n");
    let topic = rig.world.lock().unwrap().published()[0]["TopicArn"].clone();
    rig.call(Api::Sns, "DeleteTopic", &json!({"TopicArn": topic}));
    assert_eq!(run(), "topic: not found: NotFound: Topic does not exist\nbus: delivered\n");
}

/// The settings of a sink at a git host.
fn at_a_git_host(host: &FakeHost) -> [(&'static str, String); 2] {
    let sink = format!(
        "{{git: {{kind: github, tokenVariable: GIT_HOST_TOKEN, repository: 'https://github.com/mco/infrastructure', api: '{}'}}}}",
        host.url
    );
    [("TRUEUP_SINKS", sink), ("GIT_HOST_TOKEN", JOB.0.to_owned())]
}

#[test]
fn the_commit_that_declared_it_gets_a_status_and_its_pull_request_one_comment() {
    let (rig, host) = (Rig::new(), FakeHost::start());
    let settings = at_a_git_host(&host);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let controller = Controller::with(&rig, &settings);
    until("the first look", || rig.world.lock().unwrap().calls("DescribeServices") > 0);
    let digest = rig.build("bbbbbbb");
    rig.build("ccccccc");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 });
    let merged = |commit: &str| {
        rig.declare(commit);
        let mut head = std::process::Command::new("git");
        head.current_dir(rig.folder.path()).args(["rev-parse", "HEAD"]);
        let head = String::from_utf8(head.output().unwrap().stdout).unwrap().trim().to_owned();
        let request = Request {
            of: 1,
            branch: "b".to_owned(),
            base: "main".to_owned(),
            title: String::new(),
            text: String::new(),
            is_open: false,
            merged: Some(head.clone()),
        };
        host.state.lock().unwrap().requests.push(request);
        head
    };
    let states = |commit: &str| -> Vec<String> {
        let state = host.state.lock().unwrap();
        let of =
            state.statuses.iter().filter(|(of, one)| of == commit && one["context"] == "trueup/test/api");
        let mut states: Vec<String> = of.map(|(_, one)| one["state"].as_str().unwrap().to_owned()).collect();
        states.dedup();
        states
    };
    let failed = merged("bbbbbbb");
    until("the hold on record", || on_record(&rig).is_some_and(|told| told.contains("held=")));
    assert_eq!(states(&failed), ["pending", "failure"]);
    let comments = host.comments_of(JOB.1);
    assert!(comments[0].starts_with("<!-- trueup:outcome -->\n**trueup**: what became of this change\n"));
    assert!(comments[0].contains("| test/api | ✗ bbbbbbb is on hold: "), "{comments:?}");
    let good = merged("ccccccc");
    until("the success", || states(&good).contains(&"success".to_owned()));
    drop(controller);
    assert_eq!(
        (states(&failed), states(&good)),
        (vec!["pending".to_owned(), "failure".to_owned()], vec!["pending".to_owned(), "success".to_owned()],)
    );
    let posted = format!("{:?}", host.state.lock().unwrap().statuses);
    assert!(posted.contains("exited with 137") && !posted.contains("hunter2"), "{posted}");
}

#[test]
fn a_test_asks_a_git_host_whether_it_lets_trueup_in_and_writes_nothing() {
    let (rig, host) = (Rig::new(), FakeHost::start());
    let run = |more: &[(&str, &str)]| {
        let mut command = rig.command(&["notify", "--test"]);
        let done = command.envs(at_a_git_host(&host)).envs(more.iter().copied()).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(run(&[]), "git: delivered\n");
    let said = run(&[("GIT_HOST_TOKEN", "not-hunter")]);
    assert_eq!(
        said,
        "git: it answers 401 Unauthorized: Bad credentials; check the token: it may have expired\n"
    );
    assert_eq!(host.writes(), Vec::<String>::new());
}
