//! The pipelines that `import` takes services from, with their files from a checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::aws::Aws;
use crate::import::pipeline::{self, Checkout, Deployed, Deploys};
use crate::import::{ByPipeline, LeftOut};
use crate::inventory::NamedService;
use crate::model::{ClusterName, Group, ServiceName, Unread};
use crate::ports::{CloudError, Place, Ports, Reach as _};

/// Bytes of a file of the checkout: as much as a file of a repository may have.
const MOST_BYTES: u64 = 1 << 20;

/// What pipelines say.
#[derive(Default)]
pub(super) struct Read {
    pub services: BTreeMap<Place, Vec<NamedService>>,
    pub by_service: BTreeMap<(ClusterName, ServiceName), ByPipeline>,
    pub left_out: Vec<LeftOut>,
    pub unread: Vec<Unread>,
}

/// Each pipeline, wherever it is. One that cannot be read is told, and keeps no other from it.
pub(super) async fn read(aws: &Aws, places: &[Place], names: &[String], files: Option<&Path>) -> Read {
    let mut read = Read::default();
    for name in names.iter().collect::<BTreeSet<_>>() {
        let mut why = None;
        for place in places {
            match aws.ports(place).directory.pipeline(name).await {
                Ok(pipeline) => {
                    let piped = pipeline::read(&pipeline);
                    read.left_out.extend(piped.left_out);
                    for deploys in piped.deploys {
                        read.add(aws, place, deploys, files).await;
                    }
                    why = None;
                    break;
                }
                Err(error) => why = Some(error),
            }
        }
        let why = why.map(|error| match error {
            CloudError::NotFound(_) => {
                "there is none of this name; --region and --account look elsewhere".to_owned()
            }
            other => other.to_string(),
        });
        read.unread.extend(why.map(|why| Unread { what: format!("pipeline {name}"), why }));
    }
    read
}

impl Read {
    async fn add(&mut self, aws: &Aws, place: &Place, deploys: Deploys, files: Option<&Path>) {
        let region = deploys.region.clone().or_else(|| place.region.clone());
        let place = aws.resolve(Place { region, ..place.clone() });
        let services = match services(&aws.ports(&place), &deploys.what).await {
            Ok(services) => services,
            Err(error) => {
                let what = format!("stage {} of pipeline {}", deploys.stage, deploys.pipeline);
                self.unread.push(Unread { what, why: error.to_string() });
                return;
            }
        };
        let (checkout, notes) = checkout(&deploys, files);
        for service in services {
            let said = self.by_service.entry((service.cluster.clone(), service.name.clone())).or_default();
            said.environment = said.environment.take().or_else(|| deploys.environment.clone());
            said.comments.extend(deploys.comments.iter().cloned());
            said.notes.extend(notes.iter().cloned());
            said.checkout = checkout.clone();
            let known = self.services.entry(place.clone()).or_default();
            if !known.contains(&service) {
                known.push(service);
            }
        }
    }
}

/// The services that an action deploys.
async fn services(ports: &Ports, what: &Deployed) -> Result<Vec<NamedService>, CloudError> {
    let (name, group) = match what {
        Deployed::Service(cluster, name) => {
            return Ok(vec![NamedService { cluster: cluster.clone(), name: name.clone(), group: None }]);
        }
        Deployed::Group(name) => (name, ports.code_deploy.group(&name.application, &name.group).await?),
    };
    let Group::Found(group) = group else {
        let what =
            format!("no deployment group {} in application {} of CodeDeploy", name.group, name.application);
        return Err(CloudError::NotFound(what));
    };
    let services = group.services.into_iter();
    Ok(services
        .map(|(cluster, service)| NamedService { cluster, name: service, group: Some(name.clone()) })
        .collect())
}

/// What the files of the checkout say, and what is wrong with them.
fn checkout(deploys: &Deploys, files: Option<&Path>) -> (Checkout, Vec<String>) {
    let Some(folder) = files else { return (Checkout::default(), Vec::new()) };
    let mut found = BTreeMap::new();
    let mut notes = Vec::new();
    for path in deploys.files.paths() {
        match file(folder, path) {
            Ok(text) => drop(found.insert(path.to_owned(), text)),
            Err(why) => notes.push(format!("{path} of pipeline {} {why}", deploys.pipeline)),
        }
    }
    match deploys.files.checkout(|path| found.get(path).cloned()) {
        Ok(checkout) => (checkout, notes),
        Err(why) => {
            notes.push(format!("{why}: it is left out"));
            (Checkout::default(), notes)
        }
    }
}

/// A file within the folder, whatever its path and links say.
fn file(folder: &Path, path: &str) -> Result<String, String> {
    let not_there = |_| format!("is not in {}", folder.display());
    let folder_itself = folder.canonicalize().map_err(not_there)?;
    let whole = folder_itself.join(path).canonicalize().map_err(not_there)?;
    if !whole.starts_with(&folder_itself) {
        return Err(format!("leads out of {}", folder.display()));
    }
    let size = std::fs::metadata(&whole).map_err(not_there)?.len();
    if size > MOST_BYTES {
        return Err("is larger than 1 MiB".to_owned());
    }
    std::fs::read_to_string(&whole).map_err(|_| "is no text".to_owned())
}
