//! Alerts of the built binary at a receiver, once each and across a restart.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use trueup_simulator::Fault;

use crate::restart::{Controller, until};
use crate::rig::Rig;

/// What was posted, one body after the other.
pub struct Receiver {
    pub url: String,
    pub bodies: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&bodies);
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
                kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
            }
        });
        Self { url, bodies }
    }

    fn events(&self) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| body["event"].as_str().unwrap().to_owned()).collect()
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
    until("the first look", || looks() > 1);
    let digest = rig.build("bbbbbbb");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 });
    rig.declare("bbbbbbb");
    until("the hold", || receiver.has("commit.held"));
    drop(controller);
    let controller = receiver.controller(&rig);
    let before = looks();
    until("a look of the new process", || looks() > before + 1);
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
}
