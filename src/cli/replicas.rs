//! What the settings say of leases, as a store and the name of this process.

use anyhow::Context;

use crate::aws::{Aws, LeaseTable};
use crate::lease::Leases;
use crate::lease::kubernetes::{Cluster, KubernetesLeases};
use crate::lease::tenure::Terms;
use crate::model::Replica;
use crate::ports::LeaseStore;
use crate::settings::{self, Lease};

pub(super) fn leases(settings: &Lease, aws: &Aws) -> anyhow::Result<Leases> {
    let store: Box<dyn LeaseStore> = match &settings.store {
        settings::LeaseStore::Kubernetes { server, service_account, namespace } => {
            let server = match server {
                Some(server) => server.url().clone(),
                None => own_server()?,
            };
            let path = service_account.join("namespace");
            let namespace = match namespace {
                Some(namespace) => namespace.clone(),
                None => {
                    std::fs::read_to_string(&path).map(|namespace| namespace.trim().to_owned()).with_context(
                        || format!("{} cannot be read\n  hint  set lease.namespace", path.display()),
                    )?
                }
            };
            Box::new(KubernetesLeases::new(Cluster { server, account: service_account.clone(), namespace }))
        }
        settings::LeaseStore::DynamoDb { table } => Box::new(LeaseTable::new(aws, table)),
    };
    let terms = Terms { replica: replica(), duration: settings.duration };
    Ok(Leases::new(store, terms, settings.installation.clone()))
}

/// The API server of the cluster that this process runs in, as every pod is told.
fn own_server() -> anyhow::Result<reqwest::Url> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (host, port) = variable("KUBERNETES_SERVICE_HOST").zip(variable("KUBERNETES_SERVICE_PORT")).context(
        "lease.store is kubernetes, and this is no pod\n  hint  set lease.server, or lease.store: dynamodb",
    )?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    reqwest::Url::parse(&format!("https://{host}:{port}")).context("KUBERNETES_SERVICE_HOST is no host")
}

/// Another one for each process: who comes back after a crash waits like everybody else.
fn replica() -> Replica {
    let host = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host = host.unwrap_or_default();
    let host = host.trim().chars().filter(char::is_ascii_graphic).take(63).collect::<String>();
    Replica::new(format!("{host}_{:016x}", fastrand::u64(..)))
}
