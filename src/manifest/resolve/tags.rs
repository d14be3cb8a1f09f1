//! Tags of the task definition that an application declares.

use std::collections::BTreeMap;

use super::Resolver;
use crate::documents::tags;
use crate::manifest::names::{NameKind, repeated};
use crate::model::Complaint;
use crate::text::fields::{entries, text};
use crate::text::report::Report;
use crate::text::tree::{Key, Node};

impl Resolver<'_, '_, '_> {
    pub(super) fn tags(&mut self, images: usize) -> BTreeMap<String, String> {
        let Some(found) = self.merged.get("tags") else { return BTreeMap::new() };
        self.read(&found, |node, path, report| {
            let entries = entries(node, path, report).unwrap_or_default();
            let most = tags::most_declared(images);
            if entries.len() > most {
                let message = format!("{} tags are declared, and {most} is the most", entries.len());
                report.error(node, path, message).hint =
                    Some("a task definition has 50 tags at most, some of which trueup needs".to_owned());
            }
            entries.iter().filter_map(|(key, node)| tag(key, node, path, report)).collect()
        })
    }
}

fn tag(key: &Key, node: &Node, path: &str, report: &mut Report<'_>) -> Option<(String, String)> {
    let path = format!("{path}.{}", key.text);
    NameKind::TagKey.check(&key.text, key, &path, report);
    if tags::is_reserved(&key.text) {
        let Complaint { message, hint, .. } = reserved(String::new(), &key.text);
        report.error(key, &path, message).hint = hint;
    }
    let value = text(node, &path, report)?;
    NameKind::TagValue.check(&value, node, &path, report);
    Some((key.text.clone(), value))
}

/// A tag whose key is not for a repository to give.
pub(super) fn reserved(path: String, key: &str) -> Complaint {
    Complaint::error(path, format!("the tag `{}` is not for others to give", repeated(key)))
        .hint("keys that begin with `aws:` are AWS's own, those with `trueup:` are trueup's")
}
