//! Which images an application has, and the commit of each: one repository, a list, or a file of CodePipeline.

use std::collections::BTreeSet;

use super::containers::{container_names, some_items};
use super::{Found, Resolver};
use crate::manifest::commit_tag;
use crate::manifest::fields::{Fields, entries, text};
use crate::manifest::image_definitions::{self, Entry, Reference};
use crate::manifest::nearest::Names;
use crate::manifest::report::Report;
use crate::manifest::task_definition::ONLY_IMAGE;
use crate::manifest::tree::{Key, Kind, Node, Place};
use crate::model::{
    AccountId, Commit, Containers, DesiredImage, Digest, ImageReference, Region, RepositoryName, Tag,
};

/// Characters of an image's name: it is the end of a tag's key, which has 128 (Amazon ECS API reference, `Tag`).
const LONGEST_NAME: usize = 64;

/// Stands for a commit that is not known, such as that of a frozen application; no image has it.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
/// Stands for a repository that is not known. It is a name that AWS takes, and answers that there is none.
const NO_REPOSITORY: &str = "unknown";

/// Where the images are declared.
pub(super) enum Origin<'d, 'f> {
    File(Found<'d, 'f>),
    List(Found<'d, 'f>),
    Repository,
}

/// What the environment says of commits, and how CI tags their builds.
struct Commits<'d, 'f> {
    /// Of every image without one of its own.
    all: Option<Written<'f>>,
    by_image: Vec<(&'d Key, Written<'f>)>,
    template: String,
}

/// A text, where it stands, and its path of keys.
struct Written<'f> {
    text: String,
    file: &'f str,
    place: Place,
    path: String,
}

impl<'f> Commits<'_, 'f> {
    fn of(&self, image: &str) -> Option<&Written<'f>> {
        let own = self.by_image.iter().find(|(name, _)| name.text == image).map(|(_, commit)| commit);
        own.or(self.all.as_ref())
    }
}

/// An image without its commit.
struct Listed {
    name: String,
    repository: String,
    template: String,
    containers: Containers,
}

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    /// At least one.
    pub(super) fn images(&mut self) -> Option<Vec<DesiredImage>> {
        let commits = self.commits();
        match self.origin() {
            Origin::File(named) => self.defined_images(&named, &commits),
            Origin::List(list) => self.listed_images(&list, &commits),
            Origin::Repository => self.single_image(&commits).map(|image| vec![image]),
        }
    }

    /// By which the commits that run are named where the declared images cannot be read: the repository and the
    /// template, as far as they are written, and git's own name for no commit.
    pub(super) fn image_to_look_for(&self) -> DesiredImage {
        let listed = || match &self.merged.get("images")?.node.kind {
            Kind::List(images) => scalar(images.first()?.get("repository")?),
            _ => None,
        };
        let written = |key: &str| self.merged.get(key).and_then(|found| scalar(found.node));
        let repository = written("repository").or_else(listed).unwrap_or(NO_REPOSITORY);
        let template = written("commitTag").unwrap_or("{commit}");
        let tag = commit_tag::commit_tag(template, NO_COMMIT).unwrap_or_else(|_| NO_COMMIT.to_owned());
        DesiredImage {
            name: self.target.application.to_string(),
            repository: RepositoryName::new(self.environment.fill(repository)),
            commit: Commit::new(NO_COMMIT),
            commit_tag: Tag::new(tag),
            containers: Containers::Placeholder(ONLY_IMAGE.to_owned()),
            stated: None,
        }
    }

    pub(super) fn origin(&self) -> Origin<'d, 'f> {
        let file = self.merged.get("imageDefinitions").map(Origin::File);
        file.or_else(|| self.merged.get("images").map(Origin::List)).unwrap_or(Origin::Repository)
    }

    fn commits(&mut self) -> Commits<'d, 'f> {
        let template = self.text("commitTag").unwrap_or_else(|| "{commit}".to_owned());
        let all = self.merged.entry.get("commit").and_then(|found| self.written(&found));
        let mut by_image = Vec::new();
        if let Some(found) = self.merged.entry.get("commits") {
            for (key, node) in self.read(&found, entries).unwrap_or_default() {
                let path = format!("{}.{}", found.path, key.text);
                let commit = self.written(&Found { node, file: found.file, path });
                by_image.extend(commit.map(|commit| (key, commit)));
            }
        }
        Commits { all, by_image, template }
    }

    fn written(&mut self, found: &Found<'d, 'f>) -> Option<Written<'f>> {
        let text = self.read(found, text)?;
        Some(Written { text, file: found.file, place: found.node.place, path: found.path.clone() })
    }

    fn single_image(&mut self, commits: &Commits<'d, 'f>) -> Option<DesiredImage> {
        let entry = self.merged.entry.clone();
        if let Some((key, _)) = entry.node.entry("commits") {
            let message = "`commits` is for several images, and this application has one";
            self.error(entry.file, key, &format!("{}.commits", entry.path), message).hint =
                Some("did you mean `commit`?".to_owned());
        }
        let repository = self.required("repository")?;
        if let Some(found) = self.merged.get("repository") {
            self.read(&found, |node, path, report| repository_alone(&repository, node, path, report));
        }
        let named = self.merged.get("containers").and_then(|found| self.read(&found, container_names));
        let placeholder = || Containers::Placeholder(ONLY_IMAGE.to_owned());
        let listed = Listed {
            name: self.target.application.to_string(),
            repository,
            template: commits.template.clone(),
            containers: named.map_or_else(placeholder, Containers::Named),
        };
        self.image(listed, commits.all.as_ref())
    }

    fn listed_images(
        &mut self,
        list: &Found<'d, 'f>,
        commits: &Commits<'d, 'f>,
    ) -> Option<Vec<DesiredImage>> {
        let items = self.read(list, some_items)?;
        let listed = items.iter().enumerate().map(|(index, node)| {
            let item = Found { node, file: list.file, path: format!("{}[{index}]", list.path) };
            self.read(&item, |node, path, report| listed(node, path, &commits.template, report))
        });
        let listed = all(listed)?;
        let names: Vec<_> = listed.iter().map(|(place, listed)| (*place, listed.name.as_str())).collect();
        self.check_names(list.file, &list.path, &names, commits);
        all(listed.into_iter().map(|(_, listed)| {
            let commit = commits.of(&listed.name);
            self.image(listed, commit)
        }))
    }

    /// The images of an `imagedefinitions.json`. A declared commit goes before what the file says, which must then be
    /// the same image; without one the commit tags in the file are the declaration.
    fn defined_images(
        &mut self,
        named: &Found<'d, 'f>,
        commits: &Commits<'d, 'f>,
    ) -> Option<Vec<DesiredImage>> {
        let (file, root) = self.named_file(named)?;
        let entries = match image_definitions::entries(&root) {
            Ok(entries) => entries,
            Err((place, message)) => {
                self.error(file, place, "", message);
                return None;
            }
        };
        let names: Vec<_> =
            entries.iter().map(|entry| (entry.container_place, entry.container.as_str())).collect();
        self.check_names(file, "", &names, commits);
        all(entries.into_iter().map(|entry| self.defined_image(file, entry, commits)))
    }

    fn defined_image(
        &mut self,
        file: &'f str,
        entry: Entry,
        commits: &Commits<'d, 'f>,
    ) -> Option<DesiredImage> {
        let registry = self.registry();
        let account = self.environment.account.as_ref().map(AccountId::as_str);
        let region = self.environment.region.as_ref().map(Region::as_str);
        if let Some(why) = entry.image.disagreement(&registry, account, region) {
            self.error(file, entry.place, "imageUri", why).hint =
                Some("declare it under `registry`".to_owned());
            return None;
        }
        let environment_tag = self.environment_tag();
        let tag = entry.image.tag.as_deref();
        let stated = tag.and_then(|tag| commit_tag::commit_in(&commits.template, tag));
        let stated = stated.map(|commit| Written {
            text: commit.to_owned(),
            file,
            place: entry.place,
            path: "imageUri".to_owned(),
        });
        let Some(commit) = commits.of(&entry.container).or(stated.as_ref()) else {
            let hint = format!("declare `commit` for {} in its environment", self.target);
            let message = undeclared(&entry, &environment_tag, &commits.template);
            self.error(file, entry.place, "imageUri", message).hint = Some(hint);
            return None;
        };
        let containers = Containers::Named(vec![entry.container.clone()]);
        let listed = Listed {
            name: entry.container,
            repository: entry.image.repository,
            template: commits.template.clone(),
            containers,
        };
        let mut image = self.image(listed, Some(commit))?;
        let other_tag = entry.image.tag.map(Tag::new);
        let other_tag = other_tag.filter(|tag| *tag != environment_tag && *tag != image.commit_tag);
        let digest = entry.image.digest.map(|digest| ImageReference::Digest(Digest::new(digest)));
        image.stated = digest.or(other_tag.map(ImageReference::Tag));
        Some(image)
    }

    fn image(&mut self, listed: Listed, commit: Option<&Written<'f>>) -> Option<DesiredImage> {
        let Some(Written { text, file, place, path }) = commit else {
            let Found { node, file, path } = self.merged.entry.clone();
            self.error(file, node, &format!("{path}.commit"), "`commit` is missing").hint =
                Some("such as commit: 3f2c1ab".to_owned());
            return None;
        };
        match commit_tag::commit_tag(&listed.template, text) {
            Ok(tag) => Some(DesiredImage {
                name: listed.name,
                repository: RepositoryName::new(self.environment.fill(&listed.repository)),
                commit: Commit::new(text),
                commit_tag: Tag::new(tag),
                containers: listed.containers,
                stated: None,
            }),
            Err(why) => {
                self.error(file, *place, path, why).hint = Some("7 to 40 hexadecimal digits".to_owned());
                None
            }
        }
    }

    /// Names that cannot be part of a tag or are not unique, and commits of images that are not there.
    fn check_names(&mut self, file: &'f str, path: &str, names: &[(Place, &str)], commits: &Commits<'d, 'f>) {
        let mut known = BTreeSet::new();
        for (index, (place, name)) in names.iter().enumerate() {
            let path = format!("{path}[{index}].name");
            if !is_name(name) {
                let message = format!("`{name}` cannot be the name of an image");
                self.error(file, *place, &path, message).hint =
                    Some(format!("up to {LONGEST_NAME} letters, digits and + - = . _ / @"));
            }
            if !known.insert(*name) {
                self.error(file, *place, &path, format!("two images are named `{name}`")).hint =
                    Some("rename or remove one of them".to_owned());
            }
        }
        let all = Names::new(known.iter().copied());
        for (key, commit) in commits.by_image.iter().filter(|(key, _)| !known.contains(key.text.as_str())) {
            let message = format!("no image is named `{}`", key.text);
            self.error(commit.file, *key, &commit.path, message).hint = all.suggestion(&key.text);
        }
    }
}

/// All of them, once each has said what is wrong with it.
fn all<T>(each: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    each.collect::<Vec<_>>().into_iter().collect()
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// It stands in `trueup:commit:NAME`.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-=._/@".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// An item of `images`, with the place of its name.
fn listed(node: &Node, path: &str, template: &str, report: &mut Report<'_>) -> Option<(Place, Listed)> {
    let mut fields = Fields::of(node, path, report);
    let place = fields.node("name").map_or(node.place, |name| name.place);
    let name = fields.required("name");
    let repository = fields.required("repository");
    if let (Some(repository), Some(at)) = (&repository, node.get("repository")) {
        let path = fields.path("repository");
        repository_alone(repository, at, &path, fields.report);
    }
    let (container, path) = (fields.text("container"), fields.path("containers"));
    let containers = fields.node("containers").and_then(|node| {
        if container.is_some() {
            fields.report.error(node, &path, "both `container` and `containers` are written").hint =
                Some("remove one of them".to_owned());
        }
        container_names(node, &path, fields.report)
    });
    let containers = containers.or_else(|| container.map(|name| vec![name]));
    let template = fields.text("commitTag").unwrap_or_else(|| template.to_owned());
    fields.finish();
    let (name, repository) = (name?, repository?);
    let placeholder = || format!("<{}_NAME>", name.to_uppercase().replace('-', "_"));
    let containers = containers.map_or_else(|| Containers::Placeholder(placeholder()), Containers::Named);
    Some((place, Listed { name, repository, template, containers }))
}

/// A repository is a name: neither the address of a registry stands before it nor a tag behind it.
fn repository_alone(repository: &str, node: &Node, path: &str, report: &mut Report<'_>) {
    let address = repository.split_once("://").map_or(repository, |(_, address)| address);
    let hint = if let Some(image) = Reference::parse(address) {
        let registry = format!("{{account: \"{}\", region: {}}}", image.account, image.region);
        format!(
            "write `repository: {}`, and `registry: {registry}` if that is not the environment's own",
            image.repository
        )
    } else if address != repository || is_elsewhere(address) {
        "only images of ECR can be followed".to_owned()
    } else if let Some((name, _)) = address.split_once([':', '@']) {
        format!("write `repository: {name}`: the tag follows from the commit")
    } else {
        return;
    };
    report.error(node, path, format!("`{repository}` is more than the name of a repository")).hint =
        Some(hint);
}

/// Whether the address of another registry stands first. A repository of ECR may have dots in its name too.
fn is_elsewhere(address: &str) -> bool {
    const HOSTS: [&str; 7] =
        ["docker.io", "ghcr.io", "quay.io", "gcr.io", "pkg.dev", "azurecr.io", "public.ecr.aws"];
    let host = address.split_once('/').map_or("", |(host, _)| host);
    host.contains(':') || HOSTS.iter().any(|known| host.ends_with(known))
}

/// Why an entry says nothing about the commit.
fn undeclared(entry: &Entry, environment_tag: &Tag, template: &str) -> String {
    match (&entry.image.tag, &entry.image.digest) {
        (Some(tag), _) if tag == environment_tag.as_str() => format!(
            "the tag \"{tag}\" is the environment's own: trueup moves it after a success, so it cannot say what to deploy"
        ),
        (Some(tag), _) => format!("the tag \"{tag}\" holds no commit by the template \"{template}\""),
        (None, Some(_)) => "a digest alone names no commit".to_owned(),
        (None, None) => "the image has neither tag nor digest".to_owned(),
    }
}
