//! What one live service is to be declared with: its images, each with the build that it is, and those that none can be told of.

use std::collections::BTreeSet;

use super::builds::{Build, Unnamed, build_of};
use super::names::{Evidence, Place};
use crate::model::{
    ApplicationName, Controller, Digest, LiveContainer, LiveImage, LiveService, Reading, Region,
    RepositoryName, Tag, Target,
};

/// A live service with its place in the repository.
#[derive(Clone, Debug)]
pub struct LiveTarget {
    pub target: Target,
    pub evidence: Evidence,
    pub service: LiveService,
    /// Those that are declared; none: the whole entry is written commented out.
    pub images: Vec<LiveBuild>,
    pub missing: Vec<Missing>,
    pub notes: Vec<String>,
}

/// An image of which it is known what it was built from.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveBuild {
    pub name: String,
    pub repository: RepositoryName,
    /// Account and region of its registry.
    pub registry: (String, Region),
    pub containers: Vec<String>,
    pub build: Build,
    /// Why the environment tag does not move there, if it does not.
    pub tag_stays: Option<&'static str>,
}

/// An image that cannot be declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    pub container: String,
    pub repository: RepositoryName,
    pub registry: (String, Region),
    /// `None`: it is not known either.
    pub digest: Option<Digest>,
    pub why: String,
}

/// The longest name of an image, which stands in a tag of task definitions.
const LONGEST_NAME: usize = 64;

pub fn target(service: &LiveService, place: Place, environments: &BTreeSet<String>) -> LiveTarget {
    let target =
        Target { environment: place.environment, application: ApplicationName::new(place.application) };
    let (mut images, mut missing, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let Some(main) = main_container(service, target.application.as_str()) else {
        return LiveTarget {
            target,
            evidence: place.evidence,
            service: service.clone(),
            images,
            missing,
            notes,
        };
    };
    let registry = main.image.as_ref().map(registry_of);
    for (container, image) in with_images(service) {
        if Some(registry_of(image)) != registry {
            notes.push(format!(
                "container {} is not declared: its image is of another registry, {}",
                container.name, image.account
            ));
            continue;
        }
        match build(image, environments) {
            Ok(build) => add(&mut images, container, image, build),
            Err(why) => missing.push(Missing {
                container: container.name.clone(),
                repository: image.repository.clone(),
                registry: registry_of(image),
                digest: image.found.known().map(|found| found.digest.clone()),
                why,
            }),
        }
    }
    // The first one is shown, and carries the commit of the application.
    images.sort_by_key(|image| !image.containers.contains(&main.name));
    if missing.iter().any(|image| image.container == main.name) {
        images.clear();
    }
    missing.sort_by_key(|image| image.container != main.name);
    let others = missing.iter().filter(|_| !images.is_empty());
    notes.extend(others.map(|image| format!("container {} is not declared: {}", image.container, image.why)));
    if service.is_deploying {
        let which = match service.controller {
            Controller::CodeDeploy => "what has the traffic is declared",
            Controller::Ecs | Controller::External => "what ended well before it is declared",
        };
        notes.push(format!("a deployment goes on, and {which}: import it again once that is over"));
    }
    LiveTarget { target, evidence: place.evidence, service: service.clone(), images, missing, notes }
}

fn registry_of(image: &LiveImage) -> (String, Region) {
    (image.account.to_string(), image.region.clone())
}

fn with_images(service: &LiveService) -> impl Iterator<Item = (&LiveContainer, &LiveImage)> {
    service.containers.iter().filter_map(|container| Some((container, container.image.as_ref()?)))
}

/// The container that the application is about: one that is called like it, else one that runs a repository called like it, else
/// the first.
fn main_container<'s>(service: &'s LiveService, application: &str) -> Option<&'s LiveContainer> {
    let last_word = |name: &str| name.rsplit(['/', '-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let wanted = last_word(application);
    let is_called_so = |name: &str| name.eq_ignore_ascii_case(application) || last_word(name) == wanted;
    let all = || with_images(service);
    let by_name = all().find(|(container, _)| is_called_so(&container.name));
    let by_repository = || all().find(|(_, image)| is_called_so(image.repository.as_str()));
    by_name.or_else(by_repository).or_else(|| all().next()).map(|(container, _)| container)
}

fn build(image: &LiveImage, environments: &BTreeSet<String>) -> Result<Build, String> {
    let found = match &image.found {
        Reading::Known(found) => found,
        Reading::Absent => return Err("its image is no longer in the registry".to_owned()),
        Reading::Unavailable(why) => return Err(format!("its image cannot be read: {why}")),
    };
    let names = |tags: &[Tag]| tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ");
    build_of(found, image.named_by.as_ref(), environments).map_err(|unnamed| match unnamed {
        Unnamed::NoTag(tags) if tags.is_empty() => "its image has no tag that names a commit".to_owned(),
        Unnamed::NoTag(tags) => {
            format!("its image has no tag that names a commit, but {}", names(&tags))
        }
        Unnamed::Several(tags) => format!("its image may be any of {}", names(&tags)),
    })
}

/// Containers that run the same image share it.
fn add(images: &mut Vec<LiveBuild>, container: &LiveContainer, image: &LiveImage, build: Build) {
    let same = |one: &&mut LiveBuild| one.repository == image.repository && one.build == build;
    if let Some(same) = images.iter_mut().find(same) {
        same.containers.push(container.name.clone());
        return;
    }
    let mut name = container.name.get(..LONGEST_NAME).unwrap_or(&container.name).to_owned();
    if images.iter().any(|one| one.name == name) {
        name = format!("{}-{}", name.get(..LONGEST_NAME - 4).unwrap_or(&name), images.len());
    }
    let tag_stays = match &image.mutability {
        Reading::Known(mutability) if mutability.mutable_by_default || !mutability.exceptions.is_empty() => {
            None
        }
        Reading::Known(_) => Some("the repository lets no tag move"),
        Reading::Absent | Reading::Unavailable(_) => Some("the repository only lets itself be pulled from"),
    };
    images.push(LiveBuild {
        name,
        repository: image.repository.clone(),
        registry: registry_of(image),
        containers: vec![container.name.clone()],
        build,
        tag_stays,
    });
}
