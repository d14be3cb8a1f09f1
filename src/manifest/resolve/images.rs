//! Which images an application has, and the commit of each: one repository, a list, or a file of CodePipeline.

use std::collections::BTreeSet;

use super::{COMMITS, ENTRY_KEYS, Found, Resolver, SPEC_KEYS};
use crate::manifest::commit_tag;
use crate::manifest::image_definitions::{self, Entry, Reference};
use crate::manifest::names::{self, NameKind};
use crate::manifest::task_definition::ONLY_IMAGE;
use crate::model::{
    AccountId, Commit, Containers, DesiredImage, Digest, ImageReference, Region, RepositoryName, Tag, Target,
};
use crate::text::fields::{Fields, entries, some_items, text};
use crate::text::nearest::{Names, nearest};
use crate::text::report::Report;
use crate::text::tree::{Key, Kind, Node, Place};

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
    /// `None`: what is written is none, and told.
    template: Option<String>,
}

/// A text, what it names, where it stands, and its path of keys.
struct Written<'f> {
    text: String,
    names: commit_tag::Key,
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
    template: Option<String>,
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
        let tag = commit_tag::declared(commit_tag::Key::Commit, NO_COMMIT, template);
        DesiredImage {
            name: self.target.application.to_string(),
            repository: RepositoryName::new(self.environment.fill(repository)),
            commit: Commit::new(NO_COMMIT),
            commit_tag: tag.map_or_else(|_| Tag::new(NO_COMMIT), |(_, tag)| tag),
            containers: Containers::Placeholder(ONLY_IMAGE.to_owned()),
            stated: None,
        }
    }

    pub(super) fn origin(&self) -> Origin<'d, 'f> {
        let file = self.merged.get("imageDefinitions").map(Origin::File);
        file.or_else(|| self.merged.get("images").map(Origin::List)).unwrap_or(Origin::Repository)
    }

    fn commits(&mut self) -> Commits<'d, 'f> {
        let written = self.merged.get("commitTag");
        let template = match written {
            Some(found) => self.read(&found, template),
            None => Some("{commit}".to_owned()),
        };
        let all = self.commit_of_all();
        let mut by_image = Vec::new();
        if let Some(found) = self.merged.entry.get("commits") {
            for (key, node) in self.read(&found, entries).unwrap_or_default() {
                let path = format!("{}.{}", found.path, key.text);
                let found = Found { node, file: found.file, path };
                let commit = self.written(&found, commit_tag::Key::Commit);
                by_image.extend(commit.map(|commit| (key, commit)));
            }
        }
        Commits { all, by_image, template }
    }

    /// `commit`, or `release`.
    fn commit_of_all(&mut self) -> Option<Written<'f>> {
        let commit = self.merged.entry.get("commit");
        let release = self.merged.entry.get("release");
        if let (Some(_), Some(Found { node, file, path })) = (&commit, &release) {
            self.error(file, *node, path, "both `commit` and `release` are written").hint =
                Some("remove one of them".to_owned());
        }
        let commit = commit.map(|found| (found, commit_tag::Key::Commit));
        let (found, names) = commit.or(release.map(|found| (found, commit_tag::Key::Release)))?;
        self.written(&found, names)
    }

    fn written(&mut self, found: &Found<'d, 'f>, names: commit_tag::Key) -> Option<Written<'f>> {
        let text = self.read(found, text)?;
        Some(Written { text, names, file: found.file, place: found.node.place, path: found.path.clone() })
    }

    fn single_image(&mut self, commits: &Commits<'d, 'f>) -> Option<DesiredImage> {
        let entry = self.merged.entry.clone();
        if let Some((key, _)) = entry.node.entry("commits") {
            let message = "`commits` is for several images, and this application has one";
            self.error(entry.file, key, &format!("{}.commits", entry.path), message).hint =
                Some("did you mean `commit`?".to_owned());
        }
        self.require("repository");
        let environment = self.environment;
        let found = self.merged.get("repository")?;
        let repository = self.read(&found, |node, path, report| {
            repository_name(node, path, &|text| environment.fill(text), report)
        })?;
        let named = self.merged.get("containers").and_then(|found| self.read(&found, names::containers));
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
        let environment = self.environment;
        let items = self.read(list, some_items)?;
        let listed = items.iter().enumerate().map(|(index, node)| {
            let item = Found { node, file: list.file, path: format!("{}[{index}]", list.path) };
            let fill = |text: &str| environment.fill(text);
            self.read(&item, |node, path, report| {
                listed(node, path, commits.template.as_deref(), &fill, report)
            })
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
        let mut report = Report::on(file);
        let entries = image_definitions::entries(&root, &mut report);
        self.findings.append(&mut report.findings);
        let entries = entries?;
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
        self.check_entry_names(file, &entry);
        let environment_tag = self.environment_tag();
        let tag = entry.image.tag.as_deref();
        let tag = tag.filter(|tag| *tag != environment_tag.as_str());
        let template = commits.template.as_deref()?;
        let stated = tag.and_then(|tag| commit_tag::named_in(template, tag));
        let stated = stated.map(|commit| Written {
            text: commit.to_owned(),
            names: commit_tag::Key::Commit,
            file,
            place: entry.place,
            path: "imageUri".to_owned(),
        });
        let Some(commit) = commits.of(&entry.container).or(stated.as_ref()) else {
            let hint = undeclared_hint(&entry, &self.target);
            let message = undeclared(&entry, &environment_tag, template);
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

    fn check_entry_names(&mut self, file: &'f str, entry: &Entry) {
        let Reference { region, repository, tag, digest, .. } = &entry.image;
        let image = [
            (NameKind::Region, Some(region)),
            (NameKind::Repository, Some(repository)),
            (NameKind::Tag, tag.as_ref()),
            (NameKind::Digest, digest.as_ref()),
        ];
        let mut report = Report::on(file);
        for (kind, name) in image {
            if let Some(name) = name {
                kind.check(name, entry.place, "imageUri", &mut report);
            }
        }
        // What cannot be the name of an image is told already.
        if is_name(&entry.container) {
            NameKind::Container.check(&entry.container, entry.container_place, "name", &mut report);
        }
        self.findings.append(&mut report.findings);
    }

    fn image(&mut self, listed: Listed, commit: Option<&Written<'f>>) -> Option<DesiredImage> {
        let Some(Written { text, names, file, place, path }) = commit else {
            let Found { node, file, path } = self.merged.entry.clone();
            // One that is written and cannot be read is told where it stands.
            let of_this = node.get("commits").and_then(|commits| commits.get(&listed.name));
            if node.get("commit").or(node.get("release")).or(of_this).is_some() || is_told(node) {
                return None;
            }
            self.error(file, node, &format!("{path}.commit"), "`commit` is missing").hint =
                Some("such as commit: 3f2c1ab".to_owned());
            return None;
        };
        match commit_tag::declared(*names, text, listed.template.as_deref()?) {
            Ok((_, tag)) if self.marks_an_environment(&tag) => {
                let message = format!("the tag \"{tag}\" marks an environment and moves: it names no build");
                self.error(file, *place, path, message).hint =
                    Some("declare the commit or the release itself".to_owned());
                None
            }
            Ok((commit, tag)) => Some(DesiredImage {
                name: listed.name,
                repository: RepositoryName::new(listed.repository),
                commit,
                commit_tag: tag,
                containers: listed.containers,
                stated: None,
            }),
            Err((message, hint)) => {
                self.error(file, *place, path, message).hint = hint;
                None
            }
        }
    }

    fn marks_an_environment(&mut self, tag: &Tag) -> bool {
        *tag == self.environment_tag() || self.repository.environment_tags.contains(tag.as_str())
    }

    /// Names that cannot be part of a tag or are not unique, and commits of images that are not there.
    fn check_names(&mut self, file: &'f str, path: &str, names: &[(Place, &str)], commits: &Commits<'d, 'f>) {
        let mut known = BTreeSet::new();
        for (index, (place, name)) in names.iter().enumerate() {
            let path = format!("{path}[{index}].name");
            if !is_name(name) {
                let message = format!("`{}` cannot be the name of an image", names::repeated(name));
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

/// Whether it is told of an entry that it says nothing about a commit: it is no map, or a key is called otherwise.
fn is_told(entry: &Node) -> bool {
    match &entry.kind {
        Kind::Map(entries) => entries.iter().any(|(key, _)| {
            let key = key.text.as_str();
            let is_known = ENTRY_KEYS.contains(&key) || SPEC_KEYS.contains(&key);
            !is_known
                && (COMMITS.contains(&key)
                    || matches!(
                        nearest(key, &[&SPEC_KEYS[..], &ENTRY_KEYS].concat()),
                        Some("commit" | "release")
                    ))
        }),
        Kind::Scalar { .. } | Kind::List(_) => true,
    }
}

/// It stands in `trueup:commit:NAME`.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-=._/@".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// An item of `images`, with the place of its name.
fn listed(
    node: &Node,
    path: &str,
    common: Option<&str>,
    fill: &dyn Fn(&str) -> String,
    report: &mut Report<'_>,
) -> Option<(Place, Listed)> {
    let mut fields = Fields::of(node, path, report);
    let place = fields.node("name").map_or(node.place, |name| name.place);
    let name = fields.required("name");
    fields.require("repository");
    let path = fields.path("repository");
    let repository = fields.node("repository").and_then(|at| repository_name(at, &path, fill, fields.report));
    let container = fields.name("container", NameKind::Container, &str::to_owned);
    let path = fields.path("containers");
    let containers = fields.node("containers").and_then(|node| {
        if container.is_some() {
            fields.report.error(node, &path, "both `container` and `containers` are written").hint =
                Some("remove one of them".to_owned());
        }
        names::containers(node, &path, fields.report)
    });
    let containers = containers.or_else(|| container.map(|name| vec![name]));
    let path = fields.path("commitTag");
    let template = match fields.node("commitTag") {
        Some(node) => template(node, &path, fields.report),
        None => common.map(str::to_owned),
    };
    fields.finish();
    let (name, repository) = (name?, repository?);
    let placeholder = || format!("<{}_NAME>", name.to_uppercase().replace('-', "_"));
    let containers = containers.map_or_else(|| Containers::Placeholder(placeholder()), Containers::Named);
    Some((place, Listed { name, repository, template, containers }))
}

/// How the builds of commits are tagged. One mistake in it is told where it stands, and not of every commit.
fn template(node: &Node, path: &str, report: &mut Report<'_>) -> Option<String> {
    let template = text(node, path, report)?;
    match commit_tag::check(&template) {
        Ok(()) => Some(template),
        Err((message, hint)) => {
            report.error(node, path, message).hint = hint;
            None
        }
    }
}

fn repository_name(
    node: &Node,
    path: &str,
    fill: &dyn Fn(&str) -> String,
    report: &mut Report<'_>,
) -> Option<String> {
    let repository = fill(&text(node, path, report)?);
    let before = report.findings.len();
    repository_alone(&repository, node, path, report);
    if report.findings.len() == before {
        NameKind::Repository.check(&repository, node, path, report);
    }
    Some(repository)
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

/// What can be done about an entry that says nothing about the commit.
fn undeclared_hint(entry: &Entry, target: &Target) -> String {
    let hint = format!("declare `commit` for {target} in its environment");
    let is_release = entry.image.tag.as_deref().is_some_and(commit_tag::is_release);
    if is_release { hint + ", or `commitTag: \"{release}\"` where releases are tagged" } else { hint }
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
