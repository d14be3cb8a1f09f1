//! `imagedefinitions.json`, as CodePipeline writes it: a list of containers and their images.

use crate::model::{AccountId, Registry, Severity};
use crate::text::fields::{entries as entries_of, kind};
use crate::text::nearest::nearest;
use crate::text::report::Report;
use crate::text::tree::{Kind, Node, Place};

/// Members of an entry (CodePipeline user guide, "Image definitions file reference").
const MEMBERS: [&str; 2] = ["name", "imageUri"];

/// One entry: which container, and what it says about the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub container: String,
    pub container_place: Place,
    pub image: Reference,
    /// Where the address stands.
    pub place: Place,
}

/// `<account>.dkr.ecr.<region>.<suffix>/<repository>` and a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub account: String,
    pub region: String,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

/// Reads the list, and reports all that is wrong with it.
pub(super) fn entries(node: &Node, report: &mut Report<'_>) -> Option<Vec<Entry>> {
    let Kind::List(items) = &node.kind else {
        report.error(node, "", "expected a list of containers, each with `name` and `imageUri`");
        return None;
    };
    if items.is_empty() {
        report.error(node, "", "the list is empty");
        return None;
    }
    let entries: Vec<_> =
        items.iter().enumerate().map(|(index, item)| entry(item, &format!("[{index}]"), report)).collect();
    entries.into_iter().collect()
}

fn entry(node: &Node, path: &str, report: &mut Report<'_>) -> Option<Entry> {
    let written = entries_of(node, path, report)?;
    let is_missing = |key: &str| node.get(key).is_none();
    let mut meant = Vec::new();
    for (key, _) in written.iter().filter(|(key, _)| !MEMBERS.contains(&key.text.as_str())) {
        let near = nearest(&key.text, &MEMBERS).filter(|near| is_missing(near));
        meant.extend(near);
        let (severity, message) = match near {
            Some(_) => (Severity::Error, format!("unknown field `{}`", key.text)),
            None => (Severity::Warning, format!("`{}` has no effect: an entry has name, imageUri", key.text)),
        };
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        report.add(severity, key, &format!("{path}.{}", key.text), message).hint = hint;
    }
    let mut text = |key: &'static str| {
        let path = format!("{path}.{key}");
        match node.get(key) {
            Some(Node { kind: Kind::Scalar { text, .. }, place }) if is_text(node.get(key)) => {
                return Some((text.clone(), *place));
            }
            Some(other) => {
                let is_empty = other.is_text("");
                let found = if is_empty { "an empty one" } else { kind(other) };
                report.error(other, &path, format!("`{key}` must be text, found {found}"));
            }
            None if meant.contains(&key) => {}
            None => {
                report.error(node, &path, format!("`{key}` is missing"));
            }
        }
        None
    };
    let (name, uri) = (text("name"), text("imageUri"));
    let ((container, container_place), (uri, place)) = (name?, uri?);
    let Some(image) = Reference::parse(&uri) else {
        let message = "is no image of ECR; only those can be followed, leave the others out of the list";
        report.error(place, &format!("{path}.imageUri"), format!("{uri} {message}"));
        return None;
    };
    Some(Entry { container, container_place, image, place })
}

fn is_text(node: Option<&Node>) -> bool {
    node.is_some_and(
        |node| matches!(&node.kind, Kind::Scalar { text, .. } if !text.is_empty() && !node.is_null()),
    )
}

impl Reference {
    /// `None`: it is of another registry.
    pub fn parse(uri: &str) -> Option<Self> {
        let (host, path) = uri.split_once('/')?;
        let mut parts = host.split('.');
        let account = parts.next().filter(|part| AccountId::is_one(part))?;
        if (parts.next()?, parts.next()?) != ("dkr", "ecr") {
            return None;
        }
        let region = parts.next()?;
        let (name, digest) = match path.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (path, None),
        };
        let (repository, tag) = match name.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (name, None),
        };
        Some(Self {
            account: account.to_owned(),
            region: region.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }

    /// What the declared registry says otherwise; what it does not say is not compared.
    pub(super) fn disagreement(
        &self,
        registry: &Registry,
        account: Option<&str>,
        region: Option<&str>,
    ) -> Option<String> {
        let wanted = registry.account.as_ref().map(crate::model::AccountId::as_str).or(account);
        if let Some(wanted) = wanted.filter(|wanted| *wanted != self.account) {
            return Some(format!(
                "the image is in the registry of account {}, {wanted} is declared",
                self.account
            ));
        }
        let wanted = registry.region.as_ref().map(crate::model::Region::as_str).or(region);
        let wanted = wanted.filter(|wanted| *wanted != self.region)?;
        Some(format!("the image is in the registry of {}, {wanted} is declared", self.region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ecr_is_taken_apart() {
        let image = Reference::parse("123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:3f2c1ab").unwrap();
        assert_eq!((image.account.as_str(), image.region.as_str()), ("123456789012", "eu-west-2"));
        assert_eq!(
            (image.repository.as_str(), image.tag.as_deref(), image.digest),
            ("mco/api", Some("3f2c1ab"), None)
        );
        assert_eq!(Reference::parse("nginx:latest"), None);
        assert_eq!(Reference::parse("docker.io/library/nginx"), None);
    }
}
