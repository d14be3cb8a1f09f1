//! Finds all revisions that trueup registered for a target: a window over the newest of a family is no memory.
//!
//! The index of tags names them, of whatever family and status. It belongs to another service, lags behind and may name
//! what is gone: it only says what is worth describing, and the newest of the families that take part are added to it.
//! Where nobody may ask the index, those families are read to their end.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::observe::Observer;
use crate::documents::memory::{self, Hint};
use crate::model::{Completeness, ContentHash, Desired, TaskDefinitionArn};
use crate::ports::{CloudError, Extent, RevisionStatus};

/// Revisions for the declared commit that are described: the newest of them decides, the others are its races.
const MOST_OF_COMMIT: usize = 10;
/// Revisions that succeeded and are described: something to go back to.
const MOST_SUCCEEDED: usize = 3;
/// Revisions of one family and status that are read where the index may not be asked. Each costs one call, once: what they
/// say never changes.
const MOST_LISTED: usize = 500;

/// Revisions that are to be described, and whether all that may decide are among them.
pub(super) struct Recollection {
    pub revisions: BTreeSet<TaskDefinitionArn>,
    pub completeness: Completeness,
}

impl Observer<'_> {
    /// `families`: those that the service is declared with, runs or ran.
    pub(super) async fn recall(&self, desired: &Desired, families: &BTreeSet<String>) -> Recollection {
        let target = &desired.target;
        match self.tagging.revisions_tagged(&target.environment, &target.application).await {
            Ok(listing) => {
                let hints = listing.items.into_iter();
                let hints = hints.filter_map(|one| Some((memory::hint(&one.tags, desired)?, one.arn)));
                Recollection {
                    revisions: worth_describing(hints.collect(), desired),
                    completeness: completeness(listing.extent, "the index of tags"),
                }
            }
            Err(CloudError::Denied(_)) => self.recall_families(families).await,
            Err(error) => Recollection {
                revisions: BTreeSet::new(),
                completeness: Completeness::Incomplete(error.to_string()),
            },
        }
    }

    /// Of a task, all that is remembered of its content: however long ago it ran, it does not run again.
    pub(super) async fn recall_of_a_task(
        &self,
        desired: &Desired,
        content: Option<&ContentHash>,
        families: &BTreeSet<String>,
    ) -> Recollection {
        let target = &desired.target;
        match self.tagging.revisions_tagged(&target.environment, &target.application).await {
            Ok(listing) => {
                let hints = listing.items.into_iter();
                let hints = hints.filter_map(|one| Some((memory::hint(&one.tags, desired)?, one.arn)));
                let hints: Vec<(Hint, TaskDefinitionArn)> = hints.collect();
                let same = hints.iter().filter(|(hint, _)| Some(&hint.content) == content);
                let mut revisions: BTreeSet<_> = same.map(|(_, arn)| arn.clone()).collect();
                revisions.extend(worth_describing(hints, desired));
                Recollection { revisions, completeness: completeness(listing.extent, "the index of tags") }
            }
            Err(CloudError::Denied(_)) => self.recall_families(families).await,
            Err(error) => Recollection {
                revisions: BTreeSet::new(),
                completeness: Completeness::Incomplete(error.to_string()),
            },
        }
    }

    async fn recall_families(&self, families: &BTreeSet<String>) -> Recollection {
        let mut revisions = BTreeSet::new();
        let mut completeness = Completeness::Complete;
        for family in families {
            for status in [RevisionStatus::Active, RevisionStatus::Inactive] {
                let found = match self.ecs.family_revisions(family, status, MOST_LISTED).await {
                    Ok(listing) => {
                        revisions.extend(listing.items);
                        self::completeness(listing.extent, family)
                    }
                    // A family that never had a revision of this status.
                    Err(CloudError::NotFound(_)) => Completeness::Complete,
                    Err(error) => Completeness::Incomplete(error.to_string()),
                };
                if completeness == Completeness::Complete {
                    completeness = found;
                }
            }
        }
        Recollection { revisions, completeness }
    }
}

fn completeness(extent: Extent, what: &str) -> Completeness {
    match extent {
        Extent::Whole => Completeness::Complete,
        Extent::Cut => Completeness::Incomplete(format!("{what} has more revisions than are read")),
    }
}

/// Those that a decision may rest on: the highest generation, what succeeded last, and the tries of the declared commit.
fn worth_describing(
    mut hints: Vec<(Hint, TaskDefinitionArn)>,
    desired: &Desired,
) -> BTreeSet<TaskDefinitionArn> {
    hints.sort_by_key(|(hint, arn)| (Reverse(hint.generation), Reverse(arn.revision())));
    let highest = hints.first().map_or(0, |(hint, _)| hint.generation);
    let newest = hints.iter().filter(|(hint, _)| hint.generation == highest).take(MOST_OF_COMMIT);
    let succeeded = hints.iter().filter(|(hint, _)| hint.succeeded).take(MOST_SUCCEEDED);
    let tries = hints.iter().filter(|(hint, _)| hint.commit.matches(desired.commit())).take(MOST_OF_COMMIT);
    newest.chain(succeeded).chain(tries).map(|(_, arn)| arn.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::example;
    use crate::model::Commit;

    /// Revisions by generation, commit and whether they succeeded; those that are described when commit b is declared.
    #[track_caller]
    fn check(hints: &[(u64, &str, bool)], expected: &[u64]) {
        let hints = hints.iter().map(|(generation, commit, succeeded)| {
            let (commit, succeeded) = (Commit::new(commit.repeat(7)), *succeeded);
            let content = crate::model::ContentHash::new("c");
            let hint = Hint { commit, content, declared: None, generation: *generation, succeeded };
            (hint, TaskDefinitionArn::new(format!("f:{generation}")))
        });
        let mut chosen: Vec<u64> = worth_describing(hints.collect(), &example::desired())
            .iter()
            .filter_map(TaskDefinitionArn::revision)
            .collect();
        chosen.sort_unstable();
        assert_eq!(chosen, expected);
    }

    #[test]
    fn the_newest_the_good_and_the_tries_of_the_declared_commit_are_described_and_nothing_else() {
        check(&[], &[]);
        check(&[(1, "a", true), (2, "c", false), (3, "d", false)], &[1, 3]);
        check(&[(1, "b", false), (2, "c", false), (3, "d", false)], &[1, 3]);
        let many: Vec<(u64, &str, bool)> = (1..=100).map(|number| (number, "a", true)).collect();
        check(&many, &[98, 99, 100]);
        let tries: Vec<(u64, &str, bool)> = (1..=40).map(|number| (number, "b", false)).collect();
        check(&tries, &(31..=40).collect::<Vec<u64>>());
    }
}
