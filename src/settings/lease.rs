//! Where replicas of trueup agree on who looks after which account and region.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Raw, SettingsError};
use crate::address::WebAddress;
use crate::text::duration;

/// The others take over after so long: three renewals, and a git host or an API server that is away for a moment.
const DURATION: Duration = Duration::from_secs(30);
/// A renewal each second, and two tries of it.
const SHORTEST: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_mins(10);
/// Where every pod has it.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Bytes of a `DynamoDB` table's name.
const MOST_OF_TABLE: usize = 255;

#[derive(Clone, Debug)]
pub struct Lease {
    pub store: LeaseStore,
    pub duration: Duration,
    /// The same for replicas that look after the same, and no other.
    pub installation: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseStore {
    Kubernetes {
        /// `None`: that of the cluster that this process runs in.
        server: Option<WebAddress>,
        /// With the files `token`, `ca.crt` and `namespace`.
        service_account: PathBuf,
        /// `None`: that of the service account.
        namespace: Option<String>,
    },
    DynamoDb {
        table: String,
    },
}

impl Lease {
    pub(super) fn parse(raw: &Raw) -> Result<Option<Self>, SettingsError> {
        let text = |key: &str| raw.get(key).cloned();
        let Some(store) = text("lease.store") else {
            return match raw.keys().find(|key| key.starts_with("lease.")) {
                Some(key) => Err(refused(key, raw, "it needs lease.store: kubernetes or dynamodb")),
                None => Ok(None),
            };
        };
        let store = match store.as_str() {
            "kubernetes" => {
                without(raw, &["lease.table"], "it goes with lease.store: dynamodb")?;
                let server = text("lease.server").map(|server| WebAddress::parse(&server)).transpose();
                LeaseStore::Kubernetes {
                    server: server.map_err(|why| SettingsError::Address { key: "lease.server", why })?,
                    service_account: text("lease.serviceAccount")
                        .unwrap_or_else(|| SERVICE_ACCOUNT.into())
                        .into(),
                    namespace: text("lease.namespace"),
                }
            }
            "dynamodb" => {
                let of_kubernetes = ["lease.server", "lease.serviceAccount", "lease.namespace"];
                without(raw, &of_kubernetes, "it goes with lease.store: kubernetes")?;
                LeaseStore::DynamoDb { table: table(text("lease.table").unwrap_or_default())? }
            }
            _ => return Err(refused("lease.store", raw, "expected kubernetes or dynamodb")),
        };
        let duration = text("lease.duration").map_or(Ok(DURATION), lease_duration)?;
        Ok(Some(Self { store, duration, installation: installation(raw) }))
    }
}

fn refused(key: &'static str, raw: &Raw, why: &'static str) -> SettingsError {
    SettingsError::Value { key, value: raw.get(key).cloned().unwrap_or_default(), why }
}

fn without(raw: &Raw, keys: &[&'static str], why: &'static str) -> Result<(), SettingsError> {
    match keys.iter().find(|key| raw.contains_key(*key)) {
        Some(key) => Err(refused(key, raw, why)),
        None => Ok(()),
    }
}

/// Names of `DynamoDB` tables (`DynamoDB` developer guide, "Naming rules").
fn table(name: String) -> Result<String, SettingsError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (3..=MOST_OF_TABLE).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(name);
    }
    let why = "expected the name of a DynamoDB table with the partition key `lease`, a string";
    Err(SettingsError::Value { key: "lease.table", value: name, why })
}

fn lease_duration(value: String) -> Result<Duration, SettingsError> {
    let parsed = duration::parse(&value).ok_or(duration::EXPECTED);
    let is_bounded = |parsed: &Duration| (SHORTEST..=LONGEST).contains(parsed);
    let bounded = parsed.and_then(|parsed| Some(parsed).filter(is_bounded).ok_or("from 3s to 10m"));
    bounded.map_err(|why| SettingsError::Value { key: "lease.duration", value, why })
}

/// By what is looked after: two that are set up side by side, for other repositories or environments, have leases of their own.
fn installation(raw: &Raw) -> String {
    let mut hash = Sha256::new();
    let of_scope = |key: &str| {
        key.starts_with("allow.")
            || ["repository.location", "repository.branch", "repository.path"].contains(&key)
    };
    for (key, value) in raw.iter().filter(|(key, _)| of_scope(key)) {
        hash.update(format!("{key}\0{value}\0"));
    }
    hex::encode(&hash.finalize()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &[(&'static str, &str)]) -> Result<Option<Lease>, String> {
        let raw: Raw = given.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Lease::parse(&raw).map_err(|error| error.to_string())
    }

    #[test]
    fn a_store_is_named_with_what_goes_with_it() {
        assert!(parsed(&[]).unwrap().is_none());
        let lease = parsed(&[("lease.store", "kubernetes"), ("lease.duration", "1m")]).unwrap().unwrap();
        let service_account = PathBuf::from(SERVICE_ACCOUNT);
        assert_eq!(lease.store, LeaseStore::Kubernetes { server: None, service_account, namespace: None });
        assert_eq!(lease.duration, Duration::from_mins(1));
        let lease = parsed(&[("lease.store", "dynamodb"), ("lease.table", "trueup")]).unwrap().unwrap();
        assert_eq!(lease.store, LeaseStore::DynamoDb { table: "trueup".to_owned() });
        assert_eq!(lease.duration, DURATION);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (given, expected) in [
            (&[("lease.duration", "30s")][..], "lease.duration is \"30s\": it needs lease.store"),
            (&[("lease.store", "etcd")], "lease.store is \"etcd\": expected kubernetes or dynamodb"),
            (&[("lease.store", "dynamodb")], "lease.table is \"\": expected the name of a DynamoDB table"),
            (&[("lease.store", "dynamodb"), ("lease.table", "a/b")], "lease.table is \"a/b\": expected"),
            (
                &[("lease.store", "kubernetes"), ("lease.table", "abc")],
                "lease.table is \"abc\": it goes with",
            ),
            (
                &[("lease.store", "dynamodb"), ("lease.table", "abc"), ("lease.namespace", "x")],
                "it goes with",
            ),
            (&[("lease.store", "kubernetes"), ("lease.duration", "2s")], "from 3s to 10m"),
            (&[("lease.store", "kubernetes"), ("lease.duration", "11m")], "from 3s to 10m"),
            (&[("lease.store", "kubernetes"), ("lease.server", "http://example.com")], "it is not encrypted"),
        ] {
            let said = parsed(given).unwrap_err();
            assert!(said.contains(expected), "{given:?}: {said}");
        }
    }

    #[test]
    fn those_who_look_after_something_else_have_other_leases() {
        let of = |key, value| {
            let given = [("lease.store", "kubernetes"), ("pollInterval", "30s"), (key, value)];
            parsed(&given).unwrap().unwrap().installation
        };
        let one = of("repository.location", "https://example.com/one");
        assert_eq!(of("repository.location", "https://example.com/one"), one);
        let others = [
            of("repository.location", "https://example.com/two"),
            of("repository.branch", "next"),
            of("repository.path", "infrastructure"),
            of("allow.environments", "test"),
        ];
        assert!(others.iter().all(|other| *other != one), "{one} {others:?}");
        assert_eq!(of("cacheFolder", "/a"), of("cacheFolder", "/b"));
    }
}
