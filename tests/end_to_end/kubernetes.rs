//! A fake of the API server of Kubernetes: strict about the three calls that leases need, and without everything else. The tests
//! of `src/lease` use it too.
//!
//! What it answers follows the API conventions (`Status` objects, `resourceVersion`) and the validation of
//! `coordination.k8s.io/v1`: a lease is never updated without the version that it replaces, fields that are not known are refused,
//! and null is the same as nothing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

pub const NAMESPACE: &str = "trueup";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/trueup/leases";

/// What the server is asked to do instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It answers with this status.
    Status(u16),
    /// It takes the request, and does not answer.
    Silence,
    /// It does what was asked, and does not answer.
    LostAnswer,
}

/// The fake, which goes on serving until the process ends.
#[derive(Clone)]
pub struct Kubernetes {
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    token: String,
    leases: BTreeMap<String, Value>,
    version: u64,
    trouble: Option<Trouble>,
    /// Method and path of all requests.
    heard: Vec<String>,
}

impl Kubernetes {
    pub fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (leases, heard) = (BTreeMap::new(), Vec::new());
        let state = State { token: token.to_owned(), leases, version: 1, trouble: None, heard };
        let fake = Self { url, state: Arc::new(Mutex::new(state)) };
        let server = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        fake
    }

    /// The files that a pod has.
    pub fn write_account(folder: &Path, token: &str) {
        std::fs::write(folder.join("token"), token).unwrap();
        std::fs::write(folder.join("namespace"), NAMESPACE).unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn trouble(&self, trouble: Option<Trouble>) {
        self.state().trouble = trouble;
    }

    pub fn token(&self, token: &str) {
        token.clone_into(&mut self.state().token);
    }

    pub fn heard(&self) -> Vec<String> {
        self.state().heard.clone()
    }

    /// All leases, by name.
    pub fn leases(&self) -> BTreeMap<String, Value> {
        self.state().leases.clone()
    }

    /// Who holds the leases, by name.
    pub fn holders(&self) -> BTreeMap<String, String> {
        let holder = |lease: &Value| lease["spec"]["holderIdentity"].as_str().map(str::to_owned);
        let leases = self.leases();
        leases.iter().filter_map(|(name, lease)| Some((name.clone(), holder(lease)?))).collect()
    }

    /// As a person does it with `kubectl edit`.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let version = state.next_version();
        let lease = state.leases.get_mut(name).unwrap();
        edit(lease);
        lease["metadata"]["resourceVersion"] = version;
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let header = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let is_json = length == 0 || header("content-type").as_deref() == Some("application/json");
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (trouble, (status, answer)) = {
            let mut state = self.state();
            state.heard.push(format!("{method} {path}"));
            let allowed = header("authorization") == Some(format!("Bearer {}", state.token));
            let answer = match state.trouble {
                Some(Trouble::Status(code)) => said(code, "InternalError", "simulated"),
                Some(Trouble::Silence) => said(500, "", ""),
                _ if !allowed => said(401, "Unauthorized", "Unauthorized"),
                _ if !is_json => said(415, "UnsupportedMediaType", "the body is no JSON"),
                _ => state.answer(method, path, body),
            };
            (state.trouble, answer)
        };
        if matches!(trouble, Some(Trouble::Silence | Trouble::LostAnswer)) {
            // Until the other side gives up.
            let _ = stream.read(&mut [0; 1]);
            return;
        }
        let answer = answer.to_string();
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes()));
    }
}

impl State {
    fn next_version(&mut self) -> Value {
        self.version += 1;
        json!(self.version.to_string())
    }

    fn answer(&mut self, method: &str, path: &str, mut body: Value) -> (u16, Value) {
        let Some(rest) = path.strip_prefix(LEASES) else {
            return said(404, "NotFound", "the server could not find the requested resource");
        };
        let name = rest.strip_prefix('/').unwrap_or_default().to_owned();
        let absent = said(404, "NotFound", &format!("leases.coordination.k8s.io \"{name}\" not found"));
        match (method, name.is_empty()) {
            ("GET", false) => self.leases.get(&name).map_or(absent, |lease| (200, lease.clone())),
            ("POST", true) => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                if let Some(why) = wrong(&body, &name) {
                    return said(422, "Invalid", &why);
                }
                if !body["metadata"]["resourceVersion"].is_null() {
                    return said(
                        400,
                        "BadRequest",
                        "resourceVersion should not be set on objects to be created",
                    );
                }
                if self.leases.contains_key(&name) {
                    return said(409, "AlreadyExists", &format!("leases \"{name}\" already exists"));
                }
                body["metadata"]["uid"] = json!(format!("uid-{}", self.version));
                (201, self.keep(name, body))
            }
            ("PUT", false) => {
                if let Some(why) = wrong(&body, &name) {
                    return said(422, "Invalid", &why);
                }
                let Some(known) = self.leases.get(&name) else { return absent };
                let (version, uid) = (&body["metadata"]["resourceVersion"], &body["metadata"]["uid"]);
                if version.is_null() {
                    return said(422, "Invalid", "metadata.resourceVersion: must be specified for an update");
                }
                if *version != known["metadata"]["resourceVersion"] || *uid != known["metadata"]["uid"] {
                    return said(409, "Conflict", "the object has been modified");
                }
                (200, self.keep(name, body))
            }
            _ => said(405, "MethodNotAllowed", "the fake knows get, create and update"),
        }
    }

    fn keep(&mut self, name: String, mut lease: Value) -> Value {
        lease["metadata"]["resourceVersion"] = self.next_version();
        for part in ["metadata", "spec"] {
            if let Some(fields) = lease[part].as_object_mut() {
                fields.retain(|_, value| !value.is_null());
            }
        }
        self.leases.insert(name, lease.clone());
        lease
    }
}

fn said(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    (code, status)
}

/// Why a lease is not valid.
fn wrong(lease: &Value, name: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if lease["apiVersion"] != "coordination.k8s.io/v1" || lease["kind"] != "Lease" {
        return Some("it is no Lease of coordination.k8s.io/v1".to_owned());
    }
    if lease["metadata"]["name"] != name || lease["metadata"]["namespace"] != NAMESPACE {
        return Some("the name of the object does not match that of the request".to_owned());
    }
    if name.is_empty() || name.len() > 253 || !name.chars().all(is_name) {
        return Some(format!("metadata.name: {name:?} is no DNS subdomain"));
    }
    let strings = |value: &Value| value.as_object().is_some_and(|all| all.values().all(Value::is_string));
    if !lease["metadata"]["annotations"].is_null() && !strings(&lease["metadata"]["annotations"]) {
        return Some("metadata.annotations: they are strings".to_owned());
    }
    let spec = lease["spec"].as_object()?;
    for (key, value) in spec.iter().filter(|(_, value)| !value.is_null()) {
        let is_right = match key.as_str() {
            "holderIdentity" => value.is_string(),
            "acquireTime" | "renewTime" => value.as_str().is_some_and(is_micro_time),
            "leaseDurationSeconds" => value.as_u64().is_some_and(|seconds| (1..1 << 31).contains(&seconds)),
            "leaseTransitions" => value.is_u64(),
            _ => false,
        };
        if !is_right {
            return Some(format!("spec.{key}: {value}"));
        }
    }
    None
}

/// `2006-01-02T15:04:05.000000Z`.
fn is_micro_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000000Z"
}
