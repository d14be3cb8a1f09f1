//! `values`: what stands for `<NAME>` in the files of an application.

use std::collections::{BTreeMap, BTreeSet};

use super::Resolver;
use crate::documents::placeholders;
use crate::manifest::leftovers::placeholders_in;
use crate::masking::may_be_a_secret;
use crate::model::{Finding, Position, Severity};
use crate::text::fields::{entries, text};
use crate::text::report;
use crate::text::tree::{Key, Node};

/// The name that always stands for the environment's.
const ENVIRONMENT: &str = "ENVIRONMENT";

pub(super) struct Values<'d, 'f> {
    pub texts: BTreeMap<String, String>,
    declared: Vec<(&'d Key, &'f str, String)>,
    pub used: BTreeSet<String>,
    /// Those that hold the placeholder of another one, with their texts: an error of its own.
    nested: Vec<(String, String)>,
    /// Whether all that they could be used in is known: a base is not, nor is a file that cannot be read.
    pub all_is_read: bool,
}

/// Letters of a value below which it is no secret, and part of too many words.
const SHORTEST_SECRET: usize = 4;

impl Values<'_, '_> {
    /// Has a finding repeat a value that may be a secret as it is written in the file: by its placeholder.
    pub fn unfill(&self, finding: &mut Finding) {
        let may_be_secret = |(name, value): &(&String, &String)| {
            value.len() >= SHORTEST_SECRET && may_be_a_secret(name, value)
        };
        for (name, value) in self.texts.iter().filter(may_be_secret) {
            let written = format!("<{name}>");
            for said in std::iter::once(&mut finding.message).chain(&mut finding.hint) {
                *said = said.replace(value.as_str(), &written);
            }
        }
    }
}

/// Which declared values something uses, by where they stand. One that stands in an application may be used in one
/// environment and not in the other.
#[derive(Default)]
pub(super) struct Uses {
    used: BTreeSet<Position>,
    unused: Vec<Finding>,
}

impl Uses {
    pub(super) fn add(&mut self, other: Self) {
        self.used.extend(other.used);
        self.unused.extend(other.unused);
    }

    /// Values that nothing uses anywhere.
    pub(super) fn findings(self) -> impl Iterator<Item = Finding> {
        self.unused.into_iter().filter(move |finding| !self.used.contains(&finding.position))
    }
}

/// The name in a placeholder that stands where its name should.
fn bare(name: &str) -> Option<&str> {
    let placeholder = placeholders_in(name).into_iter().next()?;
    (placeholder.text == name.trim()).then_some(placeholder.name)
}

impl Default for Values<'_, '_> {
    fn default() -> Self {
        Self {
            texts: BTreeMap::new(),
            declared: Vec::new(),
            used: BTreeSet::new(),
            nested: Vec::new(),
            all_is_read: true,
        }
    }
}

impl Values<'_, '_> {
    /// What follows from a value that holds another one is not told as well: its placeholder stays where it is, and what it
    /// holds is meant to be used.
    fn leave_out_nested(&mut self) {
        for (name, text) in std::mem::take(&mut self.nested) {
            self.used.extend(placeholders::names(&text).map(|(_, inner)| inner.to_owned()));
            self.texts.insert(name.clone(), format!("<{name}>"));
            self.used.insert(name);
        }
    }
}

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    pub(super) fn read_values(&mut self) {
        self.values.texts.insert(ENVIRONMENT.to_owned(), self.environment.name.to_string());
        let Some(found) = self.merged.get("values") else { return };
        let declared: Vec<(&'d Key, &'d Node, String)> = self.read(&found, |node, path, report| {
            let entries = entries(node, path, report).unwrap_or_default();
            let read = |(key, node): &'d (Key, Node)| {
                let text = text(node, &format!("{path}.{}", key.text), report)?;
                Some((key, node, text))
            };
            entries.iter().filter_map(read).collect()
        });
        for (key, _, text) in &declared {
            let name = bare(&key.text).unwrap_or(&key.text);
            if name != ENVIRONMENT {
                self.values.texts.insert(name.to_owned(), text.clone());
            }
        }
        for (key, node, text) in declared {
            let path = format!("{}.{}", found.path, key.text);
            if let Some(name) = bare(&key.text) {
                let message =
                    format!("the name of a value stands without {}", key.text.replacen(name, "…", 1));
                self.error(found.file, key, &path, message).hint = Some(format!("write {name}: …"));
                continue;
            }
            self.check_value(found.file, key, node, &text, &path);
            if key.text != ENVIRONMENT {
                self.values.declared.push((key, found.file, path));
            }
        }
        self.values.leave_out_nested();
    }

    fn check_value(&mut self, file: &'f str, key: &Key, node: &Node, text: &str, path: &str) {
        if key.text == ENVIRONMENT {
            let message = "<ENVIRONMENT> is always the environment's name";
            self.error(file, key, path, message).hint = Some("take it out of `values`".to_owned());
        }
        // The placeholder itself: that keeps it as text.
        let is_itself = placeholders::whole(text) == Some(key.text.as_str());
        let mut inner = placeholders::names(text).map(|(_, name)| name);
        let inner = inner.find(|name| !is_itself && self.values.texts.contains_key(*name));
        if let Some(inner) = inner {
            self.values.nested.push((key.text.clone(), text.to_owned()));
            let message = format!(
                "the value of {} holds <{inner}>: values are filled in once, not into each other",
                key.text
            );
            self.error(file, node, path, message).hint = Some(format!(
                "write out what {inner} is; all in all a task definition has {} bytes (64 KiB) at most",
                placeholders::MOST_BYTES
            ));
        }
    }

    pub(super) fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        for (key, file, path) in &self.values.declared {
            let position = report::position(file, *key);
            if self.values.used.contains(&key.text) || !self.values.all_is_read {
                uses.used.insert(position);
                continue;
            }
            let hint = format!("no file of the application holds <{}>", key.text);
            uses.unused.push(self.unused(key, file, path, hint));
        }
        uses
    }

    /// Values that no file uses, so that only a base that AWS has can, each with what is told if it does not.
    pub(super) fn values_for_a_base(&self) -> BTreeMap<String, Finding> {
        let unused = self.values.declared.iter().filter(|(key, ..)| !self.values.used.contains(&key.text));
        let told = unused.map(|(key, file, path)| {
            let hint = format!(
                "neither a file of the application nor the task definition that it is laid over holds <{}>, or no longer: a \
                 deployment fills it in once; `taskDefinitionPatch` sets a field each time",
                key.text
            );
            (key.text.clone(), self.unused(key, file, path, hint))
        });
        told.collect()
    }

    fn unused(&self, key: &Key, file: &str, path: &str, hint: String) -> Finding {
        let message = format!("nothing uses the value {}", key.text);
        let finding = report::finding(Severity::Warning, file, key, path, message);
        Finding { hint: Some(hint), targets: vec![self.target.clone()], ..finding }
    }
}
