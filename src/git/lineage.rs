//! Which commits came before, as far as they changed what is watched.

use std::collections::BTreeSet;

use git2::Oid;

use super::history::boundary;
use super::{Deepening, GitError, Source, commit};
use crate::model::InfraCommit;

/// Commits that are walked; those that leave the watched path as it is cost nearly nothing.
const MOST_WALKED: usize = 10_000;

/// Commits of a branch, the newest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    pub commits: Vec<InfraCommit>,
    /// Whether it reaches back to the first commit.
    pub is_complete: bool,
    /// How far back it was when more was asked for, which comes with a later fetch.
    pub awaits: Option<Reach>,
}

/// How far back the history of a shallow clone reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(BTreeSet<Oid>);

impl Source {
    /// `head` and the commits before it on its branch, at most `most`, each with other files below the watched path than the
    /// one after it. A shallow clone is deepened within bounds.
    pub fn lineage(&self, head: &InfraCommit, most: usize) -> Result<Lineage, GitError> {
        loop {
            let reach = self.reach();
            let mut lineage = self.known_lineage(head, most)?;
            if lineage.is_complete || lineage.commits.len() >= most {
                return Ok(lineage);
            }
            if self.deepening == Deepening::WithTheNextFetch {
                self.ask_for_more();
                lineage.awaits = Some(reach);
                return Ok(lineage);
            }
            if !self.deepen() {
                return Ok(lineage);
            }
        }
    }

    /// Whether what was to come has not come yet. It is asked for again: the fetch that should have brought it may have failed.
    pub fn still_awaits(&self, more: &Reach) -> bool {
        let is_as_before = self.reach() == *more;
        if is_as_before {
            self.ask_for_more();
        }
        is_as_before
    }

    fn reach(&self) -> Reach {
        self.with(|repository| Ok(Reach(boundary(repository)))).unwrap_or_default()
    }

    fn known_lineage(&self, head: &InfraCommit, most: usize) -> Result<Lineage, GitError> {
        self.with(|repository| {
            let boundary = boundary(repository);
            let mut lineage = Lineage::default();
            let mut last = None;
            let mut next = Some(Oid::from_str(head.as_str())?);
            for _ in 0..MOST_WALKED {
                let Some(id) = next else {
                    lineage.is_complete = true;
                    break;
                };
                let commit = commit(repository, id)?;
                // `None` where the commit has nothing at the watched path.
                let watched = self.watched_tree(repository, commit.tree_id()).ok();
                if last != Some(watched) {
                    if lineage.commits.len() == most {
                        break;
                    }
                    lineage.commits.push(InfraCommit::new(commit.id().to_string()));
                    last = Some(watched);
                }
                if boundary.contains(&commit.id()) {
                    break;
                }
                next = commit.parent_id(0).ok();
            }
            Ok(lineage)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::scratch;
    use super::*;

    #[test]
    fn only_commits_that_changed_the_watched_path_are_told_and_never_more_than_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("infra")).unwrap();
        let mut commits = Vec::new();
        for (file, text) in [("infra/a", "1"), ("other", "1"), ("infra/a", "2"), ("infra/a", "3")] {
            std::fs::write(folder.path().join(file), text).unwrap();
            commits.push(scratch::commit_all(folder.path(), "change").unwrap());
        }
        let source = Source::open(folder.path(), None, "infra").unwrap();
        let of = |numbers: &[usize], is_complete| Lineage {
            commits: numbers.iter().map(|number| commits[*number].clone()).collect(),
            is_complete,
            awaits: None,
        };
        // The commit to `other` stands for the watched files of the first one.
        assert_eq!(source.lineage(&commits[3], 10).unwrap(), of(&[3, 2, 1], true));
        assert_eq!(source.lineage(&commits[3], 2).unwrap(), of(&[3, 2], false));
        assert_eq!(source.lineage(&commits[0], 10).unwrap(), of(&[0], true));
    }
}
