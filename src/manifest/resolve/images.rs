//! Which images an application has, and the commit of each: one repository, a list, or a file of CodePipeline.

use super::{Found, Resolver};
use crate::manifest::commit_tag;
use crate::manifest::fields::{Fields, items, text};
use crate::manifest::image_definitions::{self, Entry};
use crate::manifest::report::{Report, Source};
use crate::manifest::tree::{Key, Kind, Node, Place};
use crate::model::{
    AccountId, Commit, Containers, DesiredImage, Digest, ImageReference, Region, RepositoryName, Tag,
};

/// What the environment says of commits, and how CI tags their builds.
struct Commits {
    /// Of every image without one of its own.
    all: Option<Written>,
    by_image: Vec<(String, Written)>,
    template: String,
}

/// A text and where it stands.
#[derive(Clone)]
struct Written {
    text: String,
    place: Place,
}

impl Commits {
    fn of(&self, image: &str) -> Option<&Written> {
        let own = self.by_image.iter().find(|(name, _)| name == image).map(|(_, commit)| commit);
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
        if let Some(file) = self.merged.get("imageDefinitions") {
            self.defined_images(&file, &commits)
        } else if let Some(list) = self.merged.get("images") {
            self.listed_images(&list, &commits)
        } else {
            self.single_image(&commits).map(|image| vec![image])
        }
    }

    fn commits(&mut self) -> Commits {
        let entry = self.merged.entry.clone();
        let all = entry.get("commit").and_then(|found| self.read(&found, written));
        let by_image = entry.get("commits").map(|found| self.read(&found, commits_by_image));
        let template = self.text("commitTag").unwrap_or_else(|| "{commit}".to_owned());
        Commits { all, by_image: by_image.unwrap_or_default(), template }
    }

    fn single_image(&mut self, commits: &Commits) -> Option<DesiredImage> {
        let repository = self.text("repository").or_else(|| self.missing("repository"))?;
        let placeholder = || Containers::Placeholder("<IMAGE_NAME>".to_owned());
        let listed = Listed {
            name: self.target.application.to_string(),
            repository,
            template: commits.template.clone(),
            containers: self.texts("containers").map_or_else(placeholder, Containers::Named),
        };
        self.image(listed, commits.all.as_ref())
    }

    fn listed_images(&mut self, list: &Found<'d, 'f>, commits: &Commits) -> Option<Vec<DesiredImage>> {
        let items = self.read(list, items)?;
        let mut images = Vec::new();
        for (index, node) in items.iter().enumerate() {
            let item = Found { node, source: list.source, path: format!("{}[{index}]", list.path) };
            let template = &commits.template;
            let listed = self.read(&item, |node, path, report| listed(node, path, template, report))?;
            let commit = commits.of(&listed.name);
            images.push(self.image(listed, commit)?);
        }
        (!images.is_empty()).then_some(images)
    }

    /// The images of an `imagedefinitions.json`. A declared commit goes before what the file says, which must then be
    /// the same image; without one the commit tags in the file are the declaration.
    fn defined_images(&mut self, named: &Found<'d, 'f>, commits: &Commits) -> Option<Vec<DesiredImage>> {
        let (file, root) = self.named_file(named)?;
        match image_definitions::entries(&root) {
            Ok(entries) => {
                entries.into_iter().map(|entry| self.defined_image(named, file, entry, commits)).collect()
            }
            Err((place, message)) => {
                self.error(file, place, "", message);
                None
            }
        }
    }

    fn defined_image(
        &mut self,
        named: &Found<'d, 'f>,
        file: Source<'f>,
        entry: Entry,
        commits: &Commits,
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
        let stated = stated.map(|commit| Written { text: commit.to_owned(), place: named.node.place });
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

    fn image(&mut self, listed: Listed, commit: Option<&Written>) -> Option<DesiredImage> {
        let Found { node, source, path } = self.merged.entry.clone();
        let path = format!("{path}.commit");
        let Some(Written { text, place }) = commit else {
            self.error(source, node, &path, "`commit` is missing").hint =
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
                self.error(source, *place, &path, why).hint = Some("7 to 40 hexadecimal digits".to_owned());
                None
            }
        }
    }
}

fn written(node: &Node, path: &str, report: &mut Report<'_>) -> Option<Written> {
    Some(Written { text: text(node, path, report)?, place: node.place })
}

fn commits_by_image(node: &Node, path: &str, report: &mut Report<'_>) -> Vec<(String, Written)> {
    let Kind::Map(entries) = &node.kind else { return Vec::new() };
    let commit = |(key, node): &(Key, Node)| Some((key.text.clone(), written(node, path, report)?));
    entries.iter().filter_map(commit).collect()
}

fn listed(node: &Node, path: &str, template: &str, report: &mut Report<'_>) -> Option<Listed> {
    let mut fields = Fields::of(node, path, report);
    let name = fields.required("name");
    let repository = fields.required("repository");
    let container = fields.text("container");
    let containers = fields.texts("containers").or_else(|| container.map(|name| vec![name]));
    let template = fields.text("commitTag").unwrap_or_else(|| template.to_owned());
    fields.finish();
    let (name, repository) = (name?, repository?);
    let placeholder = || format!("<{}_NAME>", name.to_uppercase().replace('-', "_"));
    let containers = containers.map_or_else(|| Containers::Placeholder(placeholder()), Containers::Named);
    Some(Listed { name, repository, template, containers })
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
