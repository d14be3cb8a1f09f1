//! `imagedefinitions.json`, as CodePipeline writes it: a list of containers and their images.

use crate::model::Registry;
use crate::text::tree::{Kind, Node, Place};

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
pub(super) struct Reference {
    pub account: String,
    pub region: String,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

/// Reads the list. The error has the place and the message.
pub(super) fn entries(node: &Node) -> Result<Vec<Entry>, (Place, String)> {
    let Kind::List(items) = &node.kind else {
        let message = "expected a list of containers, each with `name` and `imageUri`";
        return Err((node.place, message.to_owned()));
    };
    if items.is_empty() {
        return Err((node.place, "the list is empty".to_owned()));
    }
    items.iter().map(entry).collect()
}

fn entry(node: &Node) -> Result<Entry, (Place, String)> {
    let text = |key: &str| match node.get(key) {
        Some(Node { kind: Kind::Scalar { text, .. }, place }) if !text.is_empty() => {
            Ok((text.clone(), *place))
        }
        Some(other) => Err((other.place, format!("`{key}` must be text"))),
        None => Err((node.place, format!("`{key}` is missing"))),
    };
    let (container, container_place) = text("name")?;
    let (uri, place) = text("imageUri")?;
    let image = Reference::parse(&uri).ok_or_else(|| {
        let message = "is no image of ECR; only those can be followed, leave the others out of the list";
        (place, format!("{uri} {message}"))
    })?;
    Ok(Entry { container, container_place, image, place })
}

impl Reference {
    pub(super) fn parse(uri: &str) -> Option<Self> {
        let (host, path) = uri.split_once('/')?;
        let mut parts = host.split('.');
        let account =
            parts.next().filter(|part| part.len() == 12 && part.bytes().all(|b| b.is_ascii_digit()))?;
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
