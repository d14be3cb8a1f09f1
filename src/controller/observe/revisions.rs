//! Revisions by ARN: from what is known of them, from the archive, or from AWS.
//!
//! What a revision declares never changes and is read once. Its tags and its status do change.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::Observer;
use crate::controller::read_cache::{Known, Origin};
use crate::documents::memory;
use crate::model::{Desired, Millis, OutcomeKind, Reading, Revision, TaskDefinitionArn};
use crate::ports::{Extent, Listing, TaggedRevision};

/// How long after its first reading the tags of a revision may come to be seen, in milliseconds.
const YOUNG: Millis = 60_000;

/// What revisions are read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A write may rest on it, or what is deployed has changed.
    Write,
    /// No write rests on it.
    Look,
}

impl Observer<'_> {
    /// For a write those are read again of which `may_change` says so, told whether they were read a moment ago for the first time;
    /// and whoever holds back the declared commit always, since a person may ask for another try.
    pub(super) async fn revisions(
        &self,
        desired: &Desired,
        arns: BTreeSet<TaskDefinitionArn>,
        purpose: Purpose,
        may_change: impl Fn(&Revision, bool) -> bool,
    ) -> BTreeMap<TaskDefinitionArn, Reading<Revision>> {
        if purpose == Purpose::Look {
            self.recall_archived(desired, &arns).await;
        }
        let now = self.clock.now();
        let is_good = |known: &Known| {
            let is_settled =
                || known.origin == Origin::Aws && !may_change(&known.revision, now - known.since < YOUNG);
            (purpose == Purpose::Look || is_settled()) && !holds_back(desired, &known.revision)
        };
        let read = arns.into_iter().map(async |arn| {
            if let Some(known) = self.cache.revision(&arn).filter(is_good) {
                return (arn, Reading::Known(known.revision));
            }
            let revision = self.cache.hiding(Reading::from(self.ecs.revision(&arn).await));
            if let Reading::Known(revision) = &revision {
                self.cache.keep_revision(revision.clone(), Origin::Aws, now);
            }
            (arn, revision)
        });
        join_all(read).await.into_iter().collect()
    }

    /// Takes from the archive what this process does not know yet, where the index of tags says of it what it said then. Twenty
    /// applications share a call of the index, and each revision would take one to be described. The status is as old as the archive: it
    /// matters to a write alone.
    async fn recall_archived(&self, desired: &Desired, arns: &BTreeSet<TaskDefinitionArn>) {
        let unknown = arns.iter().filter(|arn| self.cache.revision(arn).is_none());
        let archived = join_all(unknown.map(|arn| self.ecs.archived_revision(arn))).await;
        let archived: Vec<Revision> = archived.into_iter().flatten().collect();
        if archived.is_empty() {
            return;
        }
        let target = &desired.target;
        let tagged = self.tagging.revisions_tagged(&target.environment, &target.application).await;
        let Ok(tagged) = tagged else { return };
        let now = self.clock.now();
        for revision in archived {
            if is_as_tagged(desired, &revision, &tagged) {
                self.cache.keep_revision(revision, Origin::Archive, now);
            }
        }
    }
}

/// Whether what we have put on record of a revision is what the index of tags says.
fn is_as_tagged(desired: &Desired, revision: &Revision, tagged: &Listing<TaggedRevision>) -> bool {
    let ours = |tags: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let ours = tags.iter().filter(|(key, _)| key.starts_with(memory::PREFIX));
        ours.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    match tagged.items.iter().find(|one| one.arn == revision.arn) {
        Some(one) => ours(&one.tags) == ours(&revision.tags),
        None => tagged.extent == Extent::Whole && memory::of(revision, desired).is_none(),
    }
}

/// Whether a revision that was read before holds back the declared commit.
fn holds_back(desired: &Desired, kept: &Revision) -> bool {
    memory::of(kept, desired).is_some_and(|memory| {
        let failed = memory.outcome.is_some_and(|outcome| outcome.result == OutcomeKind::Failed);
        failed && memory.commit.matches(desired.commit())
    })
}
