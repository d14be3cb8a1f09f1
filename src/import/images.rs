//! What one live service is to be declared with: its images, each with the build that it is, and those that none can be told of.

use std::collections::BTreeSet;

use super::ByPipeline;
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
    /// What a pipeline says of it.
    pub comments: Vec<String>,
    /// Name and text of the `AppSpec` that a pipeline deploys it by.
    pub app_spec: Option<(String, String)>,
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

pub fn target(
    service: &LiveService,
    place: Place,
    environments: &BTreeSet<String>,
    piped: Option<&ByPipeline>,
) -> LiveTarget {
    let piped = piped.cloned().unwrap_or_default();
    let (comments, app_spec) = (piped.comments, piped.checkout.app_spec);
    let target =
        Target { environment: place.environment, application: ApplicationName::new(place.application) };
    let (mut images, mut missing, mut notes) = (Vec::new(), Vec::new(), piped.notes);
    let only = piped.checkout.containers.and_then(|only| replaced(service, only, &mut notes));
    let Some(main) = main_container(service, target.application.as_str(), only.as_ref()) else {
        return LiveTarget {
            target,
            evidence: place.evidence,
            service: service.clone(),
            images,
            missing,
            notes,
            comments,
            app_spec,
        };
    };
    let registry = main.image.as_ref().map(registry_of);
    for (container, image) in with_images(service, only.as_ref()) {
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
    let evidence = place.evidence;
    LiveTarget { target, evidence, service: service.clone(), images, missing, notes, comments, app_spec }
}

fn registry_of(image: &LiveImage) -> (String, Region) {
    (image.account.to_string(), image.region.clone())
}

/// The containers whose image a pipeline replaces; `None`: none of them is there, which is told.
fn replaced(
    service: &LiveService,
    only: BTreeSet<String>,
    notes: &mut Vec<String>,
) -> Option<BTreeSet<String>> {
    let is_there = |name: &String| service.containers.iter().any(|container| container.name == *name);
    let (there, gone): (BTreeSet<String>, BTreeSet<String>) = only.into_iter().partition(is_there);
    notes.extend(gone.iter().map(|name| {
        format!("the file of the pipeline names container {name}, which the live task definition has not")
    }));
    (!there.is_empty()).then_some(there)
}

fn with_images<'s>(
    service: &'s LiveService,
    only: Option<&'s BTreeSet<String>>,
) -> impl Iterator<Item = (&'s LiveContainer, &'s LiveImage)> {
    let all = service.containers.iter();
    let wanted = all.filter(move |container| only.is_none_or(|only| only.contains(&container.name)));
    wanted.filter_map(|container| Some((container, container.image.as_ref()?)))
}

/// The container that the application is about: one that is called like it, else one that runs a repository called like it, else
/// the first.
fn main_container<'s>(
    service: &'s LiveService,
    application: &str,
    only: Option<&'s BTreeSet<String>>,
) -> Option<&'s LiveContainer> {
    let last_word = |name: &str| name.rsplit(['/', '-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let wanted = last_word(application);
    let is_called_so = |name: &str| name.eq_ignore_ascii_case(application) || last_word(name) == wanted;
    let all = || with_images(service, only);
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
