//! Tags of the revisions that are registered, beside trueup's own: those of the revision they start from are kept, and what is
//! declared goes before them. They are no part of the content: other tags alone register nothing and deploy nothing.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::phase::Current;
use super::step::Step;
use crate::documents::tags::{foreign, in_file, most_declared};
use crate::masking::{MASK, fingerprint, may_hold_a_secret, may_name_a_secret};
use crate::model::{Difference, TaskDefinitionSource, Waiting};

impl Facts<'_> {
    /// The tags of the next registration, `ours` among them.
    pub(super) fn with_kept_tags(&self, ours: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut tags =
            self.base_revision().ok().flatten().map(|base| foreign(&base.tags)).unwrap_or_default();
        // Those of a file are in what is sent.
        tags.extend(self.input.desired.overlay.patch.as_ref().map(in_file).unwrap_or_default());
        tags.extend(self.input.desired.tags.clone());
        tags.extend(ours);
        tags
    }

    /// A registration with more tags than AWS takes would be refused.
    pub(super) fn tags_fit(&self) -> Result<(), Waiting> {
        let (count, most) = (self.foreign_tags().len(), most_declared(self.input.desired.images.len()));
        if count > most { Err(Waiting::TooManyTags { count, most }) } else { Ok(()) }
    }

    /// Those that others give to the next registration.
    pub(super) fn foreign_tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.with_kept_tags(BTreeMap::new());
        tags.extend(self.declared_tags());
        tags
    }

    /// What becomes of the live revision's tags by a step that leads to another one. A live value that nobody declared is
    /// not repeated.
    pub(super) fn tag_differences(&self, next: Option<&Step>) -> Vec<Difference> {
        let Some(then) = next.and_then(|step| self.tags_after(step)) else { return Vec::new() };
        let live = |current: &Current| self.revision(&current.live_revision);
        let Some(live) = self.current.as_ref().and_then(live) else { return Vec::new() };
        let now = foreign(&live.tags);
        let keys = now.keys().chain(then.keys().filter(|key| !now.contains_key(*key)));
        let changed = keys.filter(|key| now.get(*key) != then.get(*key));
        let difference = |key: &String| Difference {
            field: format!("tags.{key}"),
            live: now.get(key).map(|value| fingerprint(&format!("tags.{key}"), value)),
            desired: then.get(key).map(|value| {
                let is_declared = self.declared_tags().get(key) == Some(value);
                let is_secret = may_name_a_secret(key) || may_hold_a_secret(value);
                match (is_declared, is_secret) {
                    (false, _) => fingerprint(&format!("tags.{key}"), value),
                    (true, true) => MASK.to_owned(),
                    (true, false) => value.clone(),
                }
            }),
        };
        changed.map(difference).collect()
    }

    fn tags_after(&self, step: &Step) -> Option<BTreeMap<String, String>> {
        match step {
            Step::Register { input, tags, .. } => {
                let mut all = in_file(input);
                all.extend(foreign(tags));
                Some(all)
            }
            Step::Deploy { revision, .. } => Some(foreign(&self.revision(revision)?.tags)),
            _ => None,
        }
    }

    /// Those of the file, or of the patch over a base, and of `tags`, which goes before them.
    fn declared_tags(&self) -> BTreeMap<String, String> {
        let mut declared = match &self.input.desired.task_definition {
            TaskDefinitionSource::File { input, .. } => in_file(input),
            _ => self.input.desired.overlay.patch.as_ref().map(in_file).unwrap_or_default(),
        };
        declared.extend(self.input.desired.tags.clone());
        declared
    }
}
