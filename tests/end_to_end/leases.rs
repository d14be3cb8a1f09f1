//! Two running controllers that divide their work by leases in a fake of the API of Kubernetes.

use crate::health::{get, serving};
use crate::kubernetes::{Kubernetes, Trouble};
use crate::restart::{Controller, until};
use crate::rig::Rig;

/// A cluster, and the service account of a pod in it.
struct Cluster {
    kubernetes: Kubernetes,
    account: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Self {
        let account = tempfile::tempdir().unwrap();
        Kubernetes::write_account(account.path(), "token-1");
        Self { kubernetes: Kubernetes::start("token-1"), account }
    }

    /// A replica of the controller; its address.
    fn replica(&self, rig: &Rig, name: &str) -> (Controller, String) {
        let account = self.account.path().to_str().unwrap();
        let variables = [
            ("HOSTNAME", name),
            ("TRUEUP_LEASE", "kubernetes"),
            ("TRUEUP_LEASE_SERVER", &self.kubernetes.url),
            ("TRUEUP_LEASE_SERVICE_ACCOUNT", account),
            ("TRUEUP_LEASE_DURATION", "3s"),
        ];
        let (process, address) = serving(rig, &variables);
        (process, address)
    }

    fn holder(&self) -> String {
        let holders = self.kubernetes.holders();
        let holder = holders.values().next().cloned().unwrap_or_default();
        holder.split('_').next().unwrap_or_default().to_owned()
    }
}

#[test]
fn one_of_two_writes_and_the_other_takes_over_when_it_is_killed() {
    let (rig, cluster) = (Rig::new(), Cluster::new());
    let (first, one) = cluster.replica(&rig, "one");
    until("the first replica's lease", || cluster.holder() == "one");
    let (_second, two) = cluster.replica(&rig, "two");
    for address in [&one, &two] {
        until("readiness", || get(&format!("{address}/readyz")).0 == 200);
    }
    let held = |address: &str| {
        let (_, metrics) = get(&format!("{address}/metrics"));
        let line = metrics.lines().find_map(|line| line.strip_prefix("trueup_lease_held{")).unwrap();
        line.ends_with(" 1")
    };
    assert!(held(&one) && !held(&two));
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    until("the registration", || rig.world.lock().unwrap().calls("RegisterTaskDefinition") > 1);
    drop(first);
    until("the take-over", || cluster.holder() == "two");
    assert_eq!(get(&format!("{two}/livez")).0, 200);
    until("the end", || rig.status()["waiting"]["reason"] == "Settled");
    assert_eq!(rig.deployments(), 2, "one for its creation, one for the promotion");
    assert_eq!(rig.world.lock().unwrap().calls("RegisterTaskDefinition"), 2);
}

#[test]
fn a_cluster_that_allows_no_leases_stops_the_writes_and_nothing_else() {
    let (rig, cluster) = (Rig::new(), Cluster::new());
    cluster.kubernetes.trouble(Some(Trouble::Status(403)));
    let (_process, address) = cluster.replica(&rig, "one");
    until("readiness", || get(&format!("{address}/readyz")).0 == 200);
    let usable = || {
        let (_, metrics) = get(&format!("{address}/metrics"));
        metrics.lines().any(|line| line.starts_with("trueup_lease_store_usable{") && line.ends_with(" 1"))
    };
    assert!(!usable());
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    let asked = cluster.kubernetes.heard().len();
    until("it asks again", || cluster.kubernetes.heard().len() > asked + 1);
    assert_eq!(rig.world.lock().unwrap().calls("RegisterTaskDefinition"), 1, "the one of the rig itself");
    cluster.kubernetes.trouble(None);
    until("the lease", usable);
    until("the promotion", || rig.deployments() == 2);
}
