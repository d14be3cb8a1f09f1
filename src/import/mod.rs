//! Files of an infrastructure repository from what runs in an account. Pure: what was read is handed in, and the same makes the same
//! files.
//!
//! They declare the images alone: no task definition file is written. Then the plan right after it is empty whatever else a task
//! definition holds, what others own stays theirs, and nothing that stands in a live task definition gets into git.

mod applications;
mod builds;
mod images;
mod names;
pub mod pipeline;
#[cfg(test)]
mod tests;
mod write;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    ClusterName, Controller, DeploymentStrategy, EnvironmentName, Inventory, LiveService, ServiceName, Target,
};

pub use builds::Build;
pub use names::Evidence;

/// What a person wants otherwise than it would be guessed.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// All that is found belongs to this environment.
    pub environment: Option<EnvironmentName>,
    /// Also what trueup has deployed before.
    pub known: bool,
    /// What pipelines say of the services that they deploy.
    pub piped: BTreeMap<(ClusterName, ServiceName), ByPipeline>,
}

/// What a pipeline says of a service that it deploys, and what its files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByPipeline {
    /// Taken where neither cluster nor service names one.
    pub environment: Option<String>,
    /// What stands behind it, for the file of the application.
    pub comments: Vec<String>,
    /// What a person should know of it.
    pub notes: Vec<String>,
    pub checkout: pipeline::Checkout,
}

/// What is written, and what is told of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportResult {
    /// By their paths.
    pub files: BTreeMap<String, String>,
    /// In the order of their environments and names.
    pub found: Vec<Found>,
    pub left_out: Vec<LeftOut>,
}

/// A service that is written, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub target: Target,
    pub cluster: String,
    pub service: String,
    pub evidence: Evidence,
    pub declared: Declared,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Declared {
    /// The build of the first image.
    Build(Build),
    /// It is written commented out, for this reason.
    CommentedOut(String),
}

/// A service that is not written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub what: String,
    pub why: String,
}

/// Files for everything that was found and can be declared.
pub fn repository(inventory: &Inventory, wishes: &Wishes) -> ImportResult {
    let (mut services, mut left_out) = (Vec::new(), Vec::new());
    for service in &inventory.services {
        match why_not(service, wishes) {
            Some(why) => {
                let what = format!("service {} of cluster {}", service.name, service.cluster);
                left_out.push(LeftOut { what, why });
            }
            None => services.push(service),
        }
    }
    let piped: Vec<Option<&ByPipeline>> = services
        .iter()
        .map(|service| wishes.piped.get(&(service.cluster.clone(), service.name.clone())))
        .collect();
    let places = names::places(&services, wishes.environment.as_ref(), &piped);
    let environments: BTreeSet<String> =
        places.iter().map(|place| place.environment.as_str().to_owned()).collect();
    let targets = services
        .into_iter()
        .zip(places)
        .zip(piped)
        .map(|((service, place), piped)| images::target(service, place, &environments, piped))
        .collect();
    let applications = applications::of(targets);
    let files = write::files(&applications);
    let mut found: Vec<Found> =
        applications.into_iter().flat_map(|application| application.targets).map(Found::from).collect();
    found.sort_by(|one, two| one.target.cmp(&two.target));
    ImportResult { files, found, left_out }
}

/// Why a service cannot be declared at all.
fn why_not(service: &LiveService, wishes: &Wishes) -> Option<String> {
    if let Some(target) = service.known_as.as_ref().filter(|_| !wishes.known) {
        return Some(format!(
            "trueup has deployed it before, as {target}: two repositories would fight over it (--known takes it all the same)"
        ));
    }
    if service.controller == Controller::External {
        return Some("its deployment controller is EXTERNAL: trueup does not deploy it".to_owned());
    }
    if service.controller == Controller::Ecs && service.strategy == DeploymentStrategy::Unknown {
        return Some("ECS deploys it by a strategy that this version does not know".to_owned());
    }
    if service.controller == Controller::CodeDeploy && service.group.is_none() {
        return Some(
            "CodeDeploy deploys it, and not exactly one deployment group of it was found".to_owned(),
        );
    }
    let mut images = service.containers.iter().filter_map(|container| container.image.as_ref());
    images.next().is_none().then(|| "its images are of other registries than ECR".to_owned())
}

impl From<images::LiveTarget> for Found {
    fn from(target: images::LiveTarget) -> Self {
        Self {
            cluster: target.service.cluster.to_string(),
            service: target.service.name.to_string(),
            evidence: target.evidence,
            declared: match target.missing.first() {
                Some(missing) if target.images.is_empty() => Declared::CommentedOut(missing.why.clone()),
                _ => match target.images.first() {
                    Some(first) => Declared::Build(first.build.clone()),
                    None => Declared::CommentedOut("it has no image".to_owned()),
                },
            },
            notes: target.notes,
            target: target.target,
        }
    }
}
