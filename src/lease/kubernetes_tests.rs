//! Leases of Kubernetes by HTTP, at a strict fake of its three calls.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::kubernetes::{Cluster, KubernetesLeases};
use crate::model::{LeaseClaim, LeaseName, LeaseRecord, Replica};
use crate::ports::{LeaseError, LeaseStore};

#[path = "../../tests/end_to_end/kubernetes.rs"]
mod fake;

use fake::{Kubernetes, Trouble};

struct Pod {
    api: Kubernetes,
    account: TempDir,
    leases: KubernetesLeases,
}

fn pod() -> Pod {
    let (api, account) = (Kubernetes::start("token-1"), tempfile::tempdir().unwrap());
    Kubernetes::write_account(account.path(), "token-1");
    let leases = leases(&api, account.path(), fake::NAMESPACE);
    Pod { api, account, leases }
}

fn leases(api: &Kubernetes, account: &std::path::Path, namespace: &str) -> KubernetesLeases {
    let server = reqwest::Url::parse(&api.url).unwrap();
    let (account, namespace) = (account.to_owned(), namespace.to_owned());
    KubernetesLeases::new(Cluster { server, account, namespace })
}

fn name() -> LeaseName {
    LeaseName::new("trueup-123456789012-eu-west-2-0a1b2c3d")
}

fn hold(by: &str) -> LeaseClaim {
    LeaseClaim::Hold { by: Replica::new(by), duration: Duration::from_secs(30) }
}

/// Holder, and who asked for it; `-` is nobody.
fn told(record: &LeaseRecord) -> String {
    let [holder, asked_by] =
        [&record.holder, &record.asked_by].map(|one| one.as_ref().map_or("-", Replica::as_str));
    format!("{holder} {asked_by}")
}

#[tokio::test]
async fn a_lease_is_taken_renewed_asked_for_and_given_back() {
    let pod = pod();
    let (name, leases) = (name(), &pod.leases);
    assert_eq!(leases.read(&name).await, Ok(None));
    let taken = leases.write(&name, None, &hold("one")).await.unwrap();
    assert_eq!((&*told(&taken), taken.duration), ("one -", Duration::from_secs(30)));
    let renewed = leases.write(&name, Some(&taken), &hold("one")).await.unwrap();
    assert_ne!(renewed.renewal, taken.renewal);
    assert_eq!(leases.read(&name).await, Ok(Some(renewed.clone())));
    let asked =
        leases.write(&name, Some(&renewed), &LeaseClaim::Ask { by: Replica::new("two") }).await.unwrap();
    assert_eq!(told(&asked), "one two");
    assert_eq!(asked.renewal, renewed.renewal, "to ask is no renewal");
    let given = LeaseClaim::GiveBack { to: asked.asked_by.clone() };
    let given = leases.write(&name, Some(&asked), &given).await.unwrap();
    assert_eq!(told(&given), "- two");
    let taken = leases.write(&name, Some(&given), &hold("two")).await.unwrap();
    assert_eq!(told(&taken), "two -");
    let lease = &pod.api.leases()[name.as_str()];
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
    assert_eq!(lease["spec"]["acquireTime"], lease["spec"]["renewTime"]);
    let given = leases.write(&name, Some(&taken), &LeaseClaim::GiveBack { to: None }).await.unwrap();
    assert_eq!(told(&given), "- -");
    assert_eq!(pod.api.holders().len(), 0);
}

#[tokio::test]
async fn what_somebody_else_has_written_is_not_written_over() {
    let pod = pod();
    let (name, leases) = (name(), &pod.leases);
    let read = leases.write(&name, None, &hold("one")).await.unwrap();
    assert_eq!(
        leases.write(&name, None, &hold("two")).await,
        Err(LeaseError::Changed),
        "two that begin at once"
    );
    leases.write(&name, Some(&read), &hold("one")).await.unwrap();
    assert_eq!(leases.write(&name, Some(&read), &hold("two")).await, Err(LeaseError::Changed));
    assert_eq!(pod.api.holders()[name.as_str()], "one");
}

#[tokio::test]
async fn what_others_have_put_into_the_object_stays() {
    let pod = pod();
    let (name, leases) = (name(), &pod.leases);
    leases.write(&name, None, &hold("one")).await.unwrap();
    pod.api.edit(name.as_str(), |lease| {
        lease["metadata"]["labels"] = json!({"team": "mco"});
        lease["metadata"]["annotations"] = json!({"note": "kept"});
    });
    let read = leases.read(&name).await.unwrap();
    leases.write(&name, read.as_ref(), &hold("one")).await.unwrap();
    let metadata = pod.api.leases()[name.as_str()]["metadata"].clone();
    assert_eq!(
        (&metadata["labels"]["team"], &metadata["annotations"]["note"]),
        (&json!("mco"), &json!("kept"))
    );
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_anew() {
    let pod = pod();
    assert_eq!(pod.leases.read(&name()).await, Ok(None));
    pod.api.token("token-2");
    let said = pod.leases.read(&name()).await.unwrap_err().to_string();
    assert!(said.starts_with("not allowed: ") && said.ends_with("is not accepted"), "{said}");
    Kubernetes::write_account(pod.account.path(), "token-2");
    assert_eq!(pod.leases.read(&name()).await, Ok(None));
    std::fs::remove_file(pod.account.path().join("token")).unwrap();
    let said = pod.leases.read(&name()).await.unwrap_err().to_string();
    assert!(said.contains("token cannot be read"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_with_the_cluster_is_said_and_never_taken_for_a_free_lease() {
    let pod = pod();
    let record = pod.leases.write(&name(), None, &hold("one")).await.unwrap();
    for (status, expected) in [
        (401, "not allowed: http://127.0.0.1"),
        (403, "needs get, create and update of leases"),
        (429, "unavailable: http://127.0.0.1"),
        (500, "in namespace trueup: HTTP 500: simulated"),
        (503, "unavailable: http://127.0.0.1"),
    ] {
        pod.api.trouble(Some(Trouble::Status(status)));
        for said in [
            pod.leases.read(&name()).await.map(drop),
            pod.leases.write(&name(), Some(&record), &hold("two")).await.map(drop),
            pod.leases.write(&name(), None, &hold("two")).await.map(drop),
        ] {
            let said = said.unwrap_err().to_string();
            assert!(said.contains(expected), "{status}: {said}");
            assert!(!said.contains("token-1"), "{said}");
        }
    }
    pod.api.trouble(None);
    let elsewhere = leases(&pod.api, pod.account.path(), "nowhere");
    let said = elsewhere.write(&name(), None, &hold("one")).await.unwrap_err();
    assert!(matches!(said, LeaseError::Missing(_)), "{said}");
    let server = reqwest::Url::parse("http://127.0.0.1:1").unwrap();
    let account = pod.account.path().to_owned();
    let nobody = KubernetesLeases::new(Cluster { server, account, namespace: "trueup".to_owned() });
    let said = nobody.read(&name()).await.unwrap_err();
    assert!(matches!(said, LeaseError::Unavailable(_)), "{said}");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_found_again() {
    let pod = pod();
    let (name, claim) = (name(), hold("one"));
    for (trouble, holder) in [(Trouble::Silence, None), (Trouble::LostAnswer, Some("one -"))] {
        pod.api.trouble(Some(trouble));
        let write = pod.leases.write(&name, None, &claim);
        assert!(tokio::time::timeout(Duration::from_millis(500), write).await.is_err(), "{trouble:?}");
        pod.api.trouble(None);
        let found = pod.leases.read(&name).await.unwrap();
        assert_eq!(found.as_ref().map(told).as_deref(), holder, "{trouble:?}");
    }
    assert_eq!(pod.api.heard().len(), 4);
}

#[tokio::test]
async fn an_object_that_makes_no_sense_is_no_lease_of_anybody() {
    let pod = pod();
    let (name, leases) = (name(), &pod.leases);
    leases.write(&name, None, &hold("one")).await.unwrap();
    pod.api.edit(name.as_str(), |lease| {
        lease["spec"] = json!({"holderIdentity": 7, "renewTime": [], "leaseDurationSeconds": -1});
    });
    let read = leases.read(&name).await.unwrap().unwrap();
    assert_eq!((&*told(&read), read.duration), ("- -", Duration::ZERO));
    pod.api.edit(name.as_str(), |lease| *lease = json!({"metadata": {}, "spec": Value::Null}));
    let read = leases.read(&name).await.unwrap().unwrap();
    assert_eq!(told(&read), "- -");
    assert!(leases.write(&name, Some(&read), &hold("one")).await.is_err(), "the fake is stricter than that");
}
