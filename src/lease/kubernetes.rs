//! Leases as objects of a Kubernetes cluster: `Lease` of `coordination.k8s.io/v1`, by three calls of its API.
//!
//! Whoever reads them with `kubectl get leases` sees the holder. Who asks for one stands in an annotation. Everything else that
//! stands in the object stays as it is.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Certificate, Client, Method, Response, StatusCode, Url};
use serde_json::{Value, json};

use crate::model::{LeaseClaim, LeaseName, LeaseRecord, Replica};
use crate::ports::{LeaseError, LeaseStore};
use crate::secret::Secret;

/// Bytes of an answer: a lease has a few thousand.
const MOST_BYTES: usize = 256 << 10;
/// For one call; who asks may be in more of a hurry.
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters of a message of the API server that are repeated.
const MOST_TEXT: usize = 300;
/// Who asked for the lease.
const ASKED_BY: &str = "trueup.dev/asked-by";

/// Where the API server is, and as whom it is asked.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub server: Url,
    /// With the files `token`, `ca.crt` and `namespace`, as every pod has them.
    pub account: PathBuf,
    pub namespace: String,
}

/// Leases in one namespace.
pub struct KubernetesLeases {
    cluster: Cluster,
    token: Secret,
    /// The client, and the certificates it trusts.
    client: Mutex<Option<(Vec<u8>, Client)>>,
}

type Answer<T> = Result<T, LeaseError>;

impl KubernetesLeases {
    pub fn new(cluster: Cluster) -> Self {
        let token = Secret::File(cluster.account.join("token"));
        Self { cluster, token, client: Mutex::default() }
    }

    /// Where all leases are, or one.
    fn address(&self, name: Option<&LeaseName>) -> Answer<Url> {
        let mut url = self.cluster.server.clone();
        let mut path = url
            .path_segments_mut()
            .map_err(|()| LeaseError::Unavailable("the API server has no usable address".to_owned()))?;
        path.pop_if_empty().extend(["apis", "coordination.k8s.io", "v1", "namespaces"]);
        path.push(&self.cluster.namespace).push("leases").extend(name.map(object_name));
        drop(path);
        Ok(url)
    }

    /// The token expires within the hour and the certificates of a cluster change, so both are read whenever they are needed. A
    /// connection lasts as long as the certificates stay.
    fn client(&self) -> Answer<Client> {
        let unusable = |why: String| LeaseError::Unavailable(why);
        let path = self.cluster.account.join("ca.crt");
        let trusted = match std::fs::read(&path) {
            Ok(trusted) => trusted,
            Err(_) if self.cluster.server.scheme() == "http" => Vec::new(),
            Err(error) => return Err(unusable(format!("{} cannot be read: {error}", path.display()))),
        };
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = client.as_ref().filter(|(known, _)| *known == trusted) {
            return Ok(client.clone());
        }
        let why = |error: reqwest::Error| unusable(format!("{}: {error}", path.display()));
        let certificates = Certificate::from_pem_bundle(&trusted).map_err(why)?;
        let new = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_certs_only(certificates)
            .user_agent(concat!("trueup/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(why)?;
        *client = Some((trusted, new.clone()));
        Ok(new)
    }

    async fn ask(&self, method: Method, url: Url, body: Option<&Value>) -> Answer<(StatusCode, Value)> {
        let token = self.token.read().map_err(|error| {
            let path = self.cluster.account.join("token");
            LeaseError::Denied(format!("the token {} cannot be read: {error}", path.display()))
        })?;
        let mut request = self.client()?.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let server = &self.cluster.server;
        let lost = |error: reqwest::Error| LeaseError::Unavailable(format!("{server}: {}", chain(&error)));
        let mut answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        Ok((status, body_of(&mut answer).await.map_err(lost)?))
    }
}

#[async_trait]
impl LeaseStore for KubernetesLeases {
    async fn read(&self, name: &LeaseName) -> Answer<Option<LeaseRecord>> {
        match self.ask(Method::GET, self.address(Some(name))?, None).await? {
            (StatusCode::OK, object) => record(object).map(Some),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, said) => Err(self.refusal(status, &said)),
        }
    }

    async fn write(
        &self,
        name: &LeaseName,
        read: Option<&LeaseRecord>,
        claim: &LeaseClaim,
    ) -> Answer<LeaseRecord> {
        let new = || {
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": object_name(name), "namespace": self.cluster.namespace}})
        };
        let object = claimed(read.map_or_else(new, |read| read.stored.clone()), claim, &now());
        let (method, url) = match read {
            Some(_) => (Method::PUT, self.address(Some(name))?),
            None => (Method::POST, self.address(None)?),
        };
        match self.ask(method, url, Some(&object)).await? {
            (StatusCode::OK | StatusCode::CREATED, object) => record(object),
            (StatusCode::CONFLICT, _) => Err(LeaseError::Changed),
            // It was removed since it was read.
            (StatusCode::NOT_FOUND, _) if read.is_some() => Err(LeaseError::Changed),
            (status, said) => Err(self.refusal(status, &said)),
        }
    }
}

impl KubernetesLeases {
    fn refusal(&self, status: StatusCode, said: &Value) -> LeaseError {
        let message = said.get("message").and_then(Value::as_str).unwrap_or("no message");
        let message: String = message.chars().take(MOST_TEXT).collect();
        let namespace = &self.cluster.namespace;
        let text =
            format!("{} in namespace {namespace}: HTTP {}: {message}", self.cluster.server, status.as_u16());
        match status {
            StatusCode::UNAUTHORIZED => {
                LeaseError::Denied(format!("{text}; the token of the service account is not accepted"))
            }
            StatusCode::FORBIDDEN => LeaseError::Denied(format!(
                "{text}; the service account needs get, create and update of leases (manifests/kubernetes/role.yaml)"
            )),
            StatusCode::NOT_FOUND => LeaseError::Missing(text),
            _ => LeaseError::Unavailable(text),
        }
    }
}

/// Kubernetes takes letters in lower case, digits, `-` and `.`.
fn object_name(name: &LeaseName) -> String {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.';
    name.as_str().chars().map(|c| if allowed(c) { c } else { '-' }).collect()
}

/// The format of `MicroTime`. It tells people when, and the others that it was renewed.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The whole answer, or nothing where it holds no JSON or has no end.
async fn body_of(answer: &mut Response) -> reqwest::Result<Value> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Ok(Value::Null);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// An error with what is behind it; that of the connection says what the outermost one does not.
fn chain(error: &reqwest::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source.filter(|_| texts.len() < 8) {
        texts.push(inner.to_string());
        source = inner.source();
    }
    texts.join(": ").chars().take(MOST_TEXT).collect()
}

fn record(object: Value) -> Answer<LeaseRecord> {
    let spec = |key: &str| object.pointer(&format!("/spec/{key}"));
    let text = |key: &str| spec(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let is_lease = object.pointer("/metadata/resourceVersion").is_some_and(Value::is_string);
    if !is_lease {
        return Err(LeaseError::Unavailable("what was answered is no lease".to_owned()));
    }
    let asked_by = object.pointer("/metadata/annotations").and_then(|all| all.get(ASKED_BY));
    Ok(LeaseRecord {
        holder: text("holderIdentity").map(Replica::new),
        renewal: text("renewTime").unwrap_or_default().to_owned(),
        duration: Duration::from_secs(
            spec("leaseDurationSeconds").and_then(Value::as_u64).unwrap_or_default(),
        ),
        asked_by: asked_by.and_then(Value::as_str).map(Replica::new),
        stored: object,
    })
}

/// The object with the claim in it.
fn claimed(mut object: Value, claim: &LeaseClaim, now: &str) -> Value {
    let holder = object.pointer("/spec/holderIdentity").and_then(Value::as_str).map(str::to_owned);
    let transitions = object.pointer("/spec/leaseTransitions").and_then(Value::as_u64).unwrap_or_default();
    let mut spec = object.get("spec").cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
    let asked_by = match claim {
        LeaseClaim::Hold { by, duration } => {
            if holder.as_deref() != Some(by.as_str()) {
                spec["acquireTime"] = json!(now);
                spec["leaseTransitions"] = json!(transitions + 1);
            }
            spec["holderIdentity"] = json!(by.as_str());
            spec["leaseDurationSeconds"] = json!(duration.as_secs());
            spec["renewTime"] = json!(now);
            None
        }
        LeaseClaim::Ask { by } => Some(by),
        LeaseClaim::GiveBack { to } => {
            spec["holderIdentity"] = Value::Null;
            to.as_ref()
        }
    };
    object["spec"] = spec;
    let mut annotations = object
        .pointer("/metadata/annotations")
        .cloned()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove(ASKED_BY);
        annotations.extend(asked_by.map(|by| (ASKED_BY.to_owned(), json!(by.as_str()))));
    }
    object["metadata"]["annotations"] = annotations;
    object
}
