//! Who came first: whether a commit is an ancestor of the newest one. What a shallow clone cannot tell is unknown, and
//! never taken for a branch that was rewound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use git2::{Oid, Repository};

use super::head as head_of;
use super::listing::MOST_BYTES;
use super::snapshot::{Absent, blob_text};
use super::{Deepening, GitError, Source, at_path, outside_of_any_runtime};
use crate::model::{Ancestry, Head, InfraCommit};

/// Commits back in which it is looked for what a file with errors declared before, whatever they changed.
const MOST_PAST: usize = 20;
/// Further commits, each of which changed such a file: what it last declared may lie far back.
const MOST_CHANGES: usize = 20;
/// Files whose changes are looked for. Each is one look into the trees of every commit that is walked.
const MOST_WATCHED: usize = 50;
/// Commits that are walked for these changes: some months of promotions.
const MOST_WALKED: usize = 2_000;
/// Commits that are walked to answer who came first.
const MOST_COMMITS: usize = 100_000;
/// Texts that one file had in the past; a promotion makes one.
const MOST_TEXTS: usize = 1000;

/// Which commits are ancestors of the newest one, as far as it was asked: every look at every application asks again.
#[derive(Default)]
pub(super) struct History {
    head: Option<InfraCommit>,
    known: BTreeMap<InfraCommit, Ancestry>,
    /// What cannot be told from the history that is here, with the boundary of that history.
    unknown: BTreeMap<InfraCommit, BTreeSet<Oid>>,
}

impl Source {
    /// Whether `commit` is `head` or one of its ancestors. Has a shallow clone deepened, within bounds, until it can be told.
    pub fn ancestry(&self, commit: &InfraCommit, head: &InfraCommit) -> Ancestry {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.head.as_ref() != Some(head) {
            *answers = History { head: Some(head.clone()), ..History::default() };
        }
        if let Some(answer) = answers.known.get(commit) {
            return *answer;
        }
        // Each step of `deepen` is one of a few.
        loop {
            let boundary = self.with(|repository| Ok(boundary(repository))).unwrap_or_default();
            let is_told = answers.unknown.get(commit) == Some(&boundary);
            let answer =
                if is_told { Ancestry::Unknown } else { self.known_ancestry(commit, head, MOST_COMMITS) };
            if answer != Ancestry::Unknown {
                answers.known.insert(commit.clone(), answer);
                return answer;
            }
            answers.unknown.insert(commit.clone(), boundary);
            if self.deepening == Deepening::WithTheNextFetch {
                self.ask_for_more();
                return answer;
            }
            if !self.deepen() {
                return answer;
            }
        }
    }
}

impl Source {
    /// Has the next fetch go further back, where there is more to be had. While one goes on nobody knows.
    pub(super) fn ask_for_more(&self) {
        let Some(remote) = &self.remote else { return };
        let is_over = remote.try_lock().is_ok_and(|remote| !remote.can_deepen());
        if !is_over {
            self.asks_for_more.store(true, Ordering::Relaxed);
        }
    }

    /// A commit and the few before it on its branch, then those in which one of the files was another than in the commit
    /// after it; newest first, as far as the history is here.
    pub fn past(&self, head: &InfraCommit, files: &[&str]) -> Result<Vec<InfraCommit>, GitError> {
        let below = |file: &&str| self.below_path(file);
        let paths: Vec<String> = files.iter().take(MOST_WATCHED).map(below).collect();
        self.with(|repository| {
            let (mut walk, mut commits, mut newer) = (repository.revwalk()?, Vec::new(), None);
            walk.push(Oid::from_str(head.as_str())?)?;
            walk.simplify_first_parent()?;
            for (walked, id) in walk.take(MOST_WALKED).enumerate() {
                let id = id?;
                let tree = super::commit(repository, id)?.tree_id();
                let content = |path: &String| Ok(at_path(repository, tree, path)?.map(|(id, _)| id));
                let contents = paths.iter().map(content).collect::<Result<Vec<_>, GitError>>()?;
                let is_other = newer.as_ref().is_some_and(|newer| *newer != contents);
                if walked < MOST_PAST || is_other {
                    commits.push(InfraCommit::new(id.to_string()));
                }
                newer = Some(contents);
                if commits.len() == MOST_PAST + MOST_CHANGES || walked >= MOST_PAST && paths.is_empty() {
                    break;
                }
            }
            Ok(commits)
        })
    }

    /// The path of a file below the watched path, from the root of the repository.
    pub fn below_path(&self, file: &str) -> String {
        if self.path.is_empty() { file.to_owned() } else { format!("{}/{file}", self.path) }
    }

    /// What a file below the watched path was in a commit and in the history of its branch, newest first; as far as the
    /// history is here.
    pub fn past_texts(&self, head: &InfraCommit, file: &str) -> Result<Vec<String>, GitError> {
        self.texts(head, file, MOST_COMMITS)
    }

    /// The same of the newest part of the history, for what is asked of every commit that is read.
    pub fn recent_texts(&self, head: &InfraCommit, file: &str) -> Result<Vec<String>, GitError> {
        self.texts(head, file, MOST_WALKED)
    }

    fn texts(&self, head: &InfraCommit, file: &str, most: usize) -> Result<Vec<String>, GitError> {
        let path = self.below_path(file);
        self.with(|repository| {
            let (mut walk, mut texts, mut newer, mut bytes) = (repository.revwalk()?, Vec::new(), None, 0);
            walk.push(Oid::from_str(head.as_str())?)?;
            walk.simplify_first_parent()?;
            for id in walk.take(most) {
                let tree = super::commit(repository, id?)?.tree_id();
                let file = at_path(repository, tree, &path)?.map(|(id, _)| id);
                let text = file.filter(|_| file != newer).and_then(|id| {
                    // What cannot be read was not declared.
                    blob_text(repository, id, Absent::LeftOut).ok()
                });
                bytes += text.as_ref().map_or(0, String::len);
                texts.extend(text);
                newer = file;
                if texts.len() == MOST_TEXTS || bytes > MOST_BYTES {
                    break;
                }
            }
            Ok(texts)
        })
    }

    /// The commits of the branch that changed a file, the newest first, each with what the file was from then on; at most
    /// `most`, as far as the history is here.
    pub fn changes(
        &self,
        head: &InfraCommit,
        file: &str,
        most: usize,
    ) -> Result<Vec<(Head, String)>, GitError> {
        let path = self.below_path(file);
        self.with(|repository| {
            let (mut walk, mut changes) = (repository.revwalk()?, Vec::new());
            // What the walk has seen last, and what the file was there: it was changed by that commit if it is another before.
            let mut newer: Option<(git2::Commit<'_>, Option<Oid>)> = None;
            walk.push(Oid::from_str(head.as_str())?)?;
            walk.simplify_first_parent()?;
            for id in walk.take(MOST_WALKED) {
                let commit = super::commit(repository, id?)?;
                let file = at_path(repository, commit.tree_id(), &path)?.map(|(id, _)| id);
                if let Some((changed, was)) = newer.take().filter(|(_, was)| *was != file) {
                    changes.extend(text_of(repository, &changed, was));
                }
                if changes.len() == most {
                    return Ok(changes);
                }
                newer = Some((commit, file));
            }
            // The first commit has made it, unless a shallow clone ends here.
            let boundary = boundary(repository);
            if let Some((first, file)) = newer.filter(|(first, _)| !boundary.contains(&first.id())) {
                changes.extend(text_of(repository, &first, file));
            }
            Ok(changes)
        })
    }

    /// The commit of the branch since which a file says so, the last time that it did; `None` where it never did, or the history
    /// that is here does not tell.
    pub fn said_since(
        &self,
        head: &InfraCommit,
        file: &str,
        says: impl Fn(&str) -> bool,
    ) -> Result<Option<Head>, GitError> {
        let path = self.below_path(file);
        self.with(|repository| {
            let boundary = boundary(repository);
            let (mut walk, mut last) = (repository.revwalk()?, None);
            let mut since: Option<git2::Commit<'_>> = None;
            walk.push(Oid::from_str(head.as_str())?)?;
            walk.simplify_first_parent()?;
            for id in walk.by_ref().take(MOST_WALKED) {
                let commit = super::commit(repository, id?)?;
                let file = at_path(repository, commit.tree_id(), &path)?.map(|(id, _)| id);
                let does = match last {
                    Some((known, does)) if known == file => does,
                    _ => {
                        let text = file.and_then(|file| blob_text(repository, file, Absent::LeftOut).ok());
                        text.is_some_and(|text| says(&text))
                    }
                };
                last = Some((file, does));
                match (does, since.is_some()) {
                    (true, _) => since = Some(commit),
                    (false, true) => return Ok(since.as_ref().map(head_of)),
                    (false, false) => {}
                }
            }
            // The first commit of all has said it; where the walk or a shallow clone ends, one before it may have.
            let is_whole = walk.next().is_none();
            Ok(since.filter(|first| is_whole && !boundary.contains(&first.id())).as_ref().map(head_of))
        })
    }

    /// What people are told of a commit; `None`: it is not here.
    pub fn about(&self, commit: &InfraCommit) -> Option<Head> {
        let about = |repository: &Repository| -> Result<Head, GitError> {
            Ok(head_of(&super::commit(repository, Oid::from_str(commit.as_str())?)?))
        };
        // That it is not here is no damage.
        self.with(|repository| Ok(about(repository).ok())).ok().flatten()
    }

    /// Goes further back in the history of a shallow clone; false when that is over.
    pub fn deepen(&self) -> bool {
        let Some(remote) = &self.remote else { return false };
        outside_of_any_runtime(|| {
            let mut remote = remote.lock().unwrap_or_else(PoisonError::into_inner);
            let deepened = remote.can_deepen().then(|| remote.deepen().and_then(|()| self.reopen(&remote)));
            if matches!(&deepened, Some(Err(error)) if error.is_damage()) {
                self.damaged.store(true, Ordering::Relaxed);
            }
            matches!(deepened, Some(Ok(())))
        })
    }

    /// As far as the newest so many commits of the history that is here tell.
    pub(super) fn known_ancestry(&self, commit: &InfraCommit, head: &InfraCommit, most: usize) -> Ancestry {
        let answer = self.with(|repository| {
            let (Ok(commit), Ok(head)) = (Oid::from_str(commit.as_str()), Oid::from_str(head.as_str()))
            else {
                return Ok(Ancestry::NotAncestor);
            };
            // A shallow clone does not know what lies beyond its boundary.
            let boundary = boundary(repository);
            let mut walk = repository.revwalk()?;
            walk.push(head)?;
            let mut complete = true;
            for (walked, known) in walk.enumerate() {
                let known = known?;
                if walked == most {
                    return Ok(Ancestry::Unknown);
                }
                if known == commit {
                    return Ok(Ancestry::Ancestor);
                }
                complete &= !boundary.contains(&known);
            }
            Ok(if complete { Ancestry::NotAncestor } else { Ancestry::Unknown })
        });
        answer.unwrap_or(Ancestry::Unknown)
    }
}

fn text_of(repository: &Repository, commit: &git2::Commit<'_>, file: Option<Oid>) -> Option<(Head, String)> {
    Some((head_of(commit), blob_text(repository, file?, Absent::LeftOut).ok()?))
}

/// The commits whose parents a shallow clone has not fetched.
pub(super) fn boundary(repository: &Repository) -> BTreeSet<Oid> {
    let text = std::fs::read_to_string(repository.path().join("shallow")).unwrap_or_default();
    text.lines().filter_map(|line| Oid::from_str(line.trim()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scratch;

    fn repository(commits: usize) -> (tempfile::TempDir, Vec<InfraCommit>) {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        let commit = |number: usize| {
            std::fs::write(folder.path().join("a.yaml"), number.to_string()).unwrap();
            scratch::commit_all(folder.path(), "change").unwrap()
        };
        let commits = (0..commits).map(commit).collect();
        (folder, commits)
    }

    #[test]
    fn ancestry_is_answered_and_an_unknown_commit_is_no_ancestor() {
        let (folder, commits) = repository(2);
        let (first, second) = (&commits[0], &commits[1]);
        let source = Source::open(folder.path(), None, "").unwrap();
        assert_eq!(source.ancestry(first, second), Ancestry::Ancestor);
        assert_eq!(source.ancestry(second, first), Ancestry::NotAncestor);
        assert_eq!(source.ancestry(&InfraCommit::new("0".repeat(40)), second), Ancestry::NotAncestor);
    }

    #[test]
    fn the_past_of_a_file_goes_back_to_its_changes_beyond_the_newest_commits() {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        let commit = |file: &str, text: &str| {
            std::fs::write(folder.path().join(file), text).unwrap();
            scratch::commit_all(folder.path(), "change").unwrap()
        };
        let good = commit("env.yaml", "good");
        let mut head = commit("env.yaml", "broken");
        for number in 0..MOST_PAST + 5 {
            head = commit("other.yaml", &number.to_string());
        }
        let source = Source::open(folder.path(), None, "").unwrap();
        let past = |files: &[&str]| source.past(&head, files).unwrap();
        assert_eq!(past(&["env.yaml"]).last(), Some(&good));
        assert_eq!(past(&["env.yaml"]).len(), MOST_PAST + 1, "what changed no such file is passed over");
        assert_eq!(past(&[]).len(), MOST_PAST);
        assert_eq!(past(&["env.yaml"]).first(), Some(&head));
    }

    #[test]
    fn a_change_of_a_file_is_told_with_the_commit_that_made_it() {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        let commit = |file: &str, text: &str| {
            std::fs::write(folder.path().join(file), text).unwrap();
            scratch::commit_all(folder.path(), &format!("{file} {text}")).unwrap()
        };
        commit("env.yaml", "one");
        commit("other.yaml", "x");
        commit("env.yaml", "two");
        let head = commit("other.yaml", "y");
        let source = Source::open(folder.path(), None, "").unwrap();
        let told = |most| {
            let changes = source.changes(&head, "env.yaml", most).unwrap();
            changes.into_iter().map(|(head, text)| (head.summary, head.author, text)).collect::<Vec<_>>()
        };
        let change = |text: &str| (format!("env.yaml {text}"), "you".to_owned(), text.to_owned());
        assert_eq!(told(9), [change("two"), change("one")]);
        assert_eq!(told(1), [change("two")]);
        assert_eq!(source.about(&head).unwrap().summary, "other.yaml y");
        assert_eq!(source.about(&InfraCommit::new("0".repeat(40))), None);
    }

    #[test]
    fn a_file_says_so_since_the_commit_that_made_it_say_so_last() {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        let commit = |file: &str, text: &str| {
            std::fs::write(folder.path().join(file), text).unwrap();
            scratch::commit_all(folder.path(), &format!("{file} {text}")).unwrap()
        };
        let since = |head: &InfraCommit, text: &str| {
            let source = Source::open(folder.path(), None, "").unwrap();
            let since = source.said_since(head, "env.yaml", |said| said.starts_with(text)).unwrap();
            since.map(|head| head.summary)
        };
        let first = commit("env.yaml", "one");
        assert_eq!(since(&first, "one").as_deref(), Some("env.yaml one"), "since the first commit of all");
        commit("env.yaml", "two");
        commit("env.yaml", "one again");
        commit("other.yaml", "x");
        let head = commit("env.yaml", "one for good");
        assert_eq!(
            since(&head, "one").as_deref(),
            Some("env.yaml one again"),
            "the last time, without a break"
        );
        assert_eq!(since(&head, "two").as_deref(), Some("env.yaml two"), "also what it says no more");
        assert_eq!(since(&head, "three"), None);
        std::fs::write(folder.path().join(".git/shallow"), format!("{first}\n")).unwrap();
        assert_eq!(since(&first, "one"), None, "a shallow clone does not tell who said it first");
    }

    #[test]
    fn a_history_that_is_too_long_to_walk_is_unknown_and_not_rewound() {
        let (folder, commits) = repository(5);
        let source = Source::open(folder.path(), None, "").unwrap();
        let (first, head, nowhere) = (&commits[0], &commits[4], InfraCommit::new("1".repeat(40)));
        for (commit, most, expected) in [
            (first, 10, Ancestry::Ancestor),
            (first, 5, Ancestry::Ancestor),
            (first, 4, Ancestry::Unknown),
            (&nowhere, 10, Ancestry::NotAncestor),
            (&nowhere, 4, Ancestry::Unknown),
        ] {
            assert_eq!(source.known_ancestry(commit, head, most), expected, "{commit} {most}");
        }
        assert_eq!(source.ancestry(head, first), Ancestry::NotAncestor);
        assert_eq!(source.ancestry(first, head), Ancestry::Ancestor, "each head has its own answers");
    }
}
