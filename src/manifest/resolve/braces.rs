//! Names in documents, where `{environment}` is replaced and nothing else.

use super::{Found, Resolver};
use crate::manifest::leftovers::placeholders_in;
use crate::text::nearest::nearest;
use crate::text::tree::{Kind, Node};

const ENVIRONMENT: &str = "{environment}";
/// Texts with the environment's name in them.
const NAMES: [&str; 3] = ["service", "cluster", "repository"];

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    /// Placeholders that are not replaced in names.
    pub(super) fn check_names_of_aws(&mut self) {
        for found in NAMES.iter().filter_map(|key| self.merged.get(key)).collect::<Vec<_>>() {
            self.check_braces(&found);
        }
        let settings = self.merged.get("strategy").and_then(|strategy| strategy.get("codeDeploy"));
        if let Some(settings) = settings {
            for key in ["application", "deploymentGroup", "deploymentConfig", "create"] {
                settings.get(key).into_iter().for_each(|found| self.check_braces(&found));
            }
        }
        let Some(images) = self.merged.get("images") else { return };
        let Kind::List(items) = &images.node.kind else { return };
        for (index, node) in items.iter().enumerate() {
            let item = Found { node, file: images.file, path: format!("{}[{index}]", images.path) };
            item.get("repository").into_iter().for_each(|found| self.check_braces(&found));
        }
    }

    /// In this text and in all below it.
    pub(super) fn check_braces(&mut self, found: &Found<'d, 'f>) {
        match &found.node.kind {
            Kind::Scalar { text, .. } => self.check_braces_in(text, found),
            Kind::List(items) => {
                for (index, node) in items.iter().enumerate() {
                    self.check_braces(&Found {
                        node,
                        file: found.file,
                        path: format!("{}[{index}]", found.path),
                    });
                }
            }
            Kind::Map(entries) => {
                for (key, _) in entries {
                    found.get(&key.text).into_iter().for_each(|found| self.check_braces(&found));
                }
            }
        }
    }

    fn check_braces_in(&mut self, text: &str, found: &Found<'d, 'f>) {
        let Some(other) = placeholders_in(text).into_iter().find(|known| known.text != ENVIRONMENT) else {
            return;
        };
        let near = nearest(&other.name.to_lowercase(), &["environment", "env"]);
        let hint = match near {
            Some(_) => format!("did you mean `{ENVIRONMENT}`?"),
            None => format!("only `{ENVIRONMENT}` is replaced here"),
        };
        let node: &Node = found.node;
        let finding = self.error(found.file, node, &found.path, format!("nothing replaces {}", other.text));
        finding.hint = Some(hint);
        let position = finding.position.clone();
        self.unfilled.push(position);
    }
}
