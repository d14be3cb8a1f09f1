//! The infrastructure repository: commits read from the object store, never from a checkout.
//!
//! No hooks, submodules, LFS or symlinks: a tree entry that is no regular file is reported as unreadable.

#[cfg(test)]
#[path = "../../tests/end_to_end/git_server.rs"]
mod git_server;
mod location;
mod remote;
#[cfg(test)]
mod remote_tests;
pub mod scratch;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use git2::{ErrorCode, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};

use crate::manifest::Files;
use crate::model::{Ancestry, InfraCommit};
use crate::ports::History;

pub use location::Location;
pub use remote::Credentials;
use remote::Remote;
pub use watch::Watch;

/// Bytes of one file; larger ones are reported, not read.
const MOST_FILE_BYTES: usize = 1 << 20;
/// Bytes of all files together.
const MOST_BYTES: usize = 64 << 20;
const MOST_FILES: usize = 10_000;
/// Texts that one file had in the past; a promotion makes one.
const MOST_TEXTS: usize = 1000;
/// Commits that are walked to answer who came first.
const MOST_COMMITS: usize = 100_000;

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("{location} is no git repository")]
    NoRepository { location: String, source: git2::Error },
    #[error("the repository has no branch {branch}")]
    NoBranch { branch: String },
    #[error("the repository has no commit yet")]
    Empty,
    #[error("the repository has more than {what} below the watched path")]
    TooLarge { what: String },
    #[error("the repository cannot be read")]
    Corrupt(#[from] git2::Error),
    #[error("the working tree cannot be read at {path}")]
    WorkingTree { path: String, source: std::io::Error },
    #[error("the repository has no working tree")]
    Bare,
    #[error("{location} cannot be used as a repository: {why}\n  hint  {hint}")]
    Address { location: String, why: String, hint: String },
    #[error("cannot fetch {location}: {}{}", crate::escape::line(why), if hint.is_empty() { String::new() } else { format!("\n  hint  {hint}") })]
    Remote { location: String, why: String, hint: String },
    #[error("the cache folder {} cannot be used", path.display())]
    Cache { path: PathBuf, source: std::io::Error },
}

/// A repository, its branch and the watched path.
pub struct Source {
    repository: Mutex<Repository>,
    /// Where it is fetched from; `None` for a repository on this machine.
    remote: Option<Mutex<Remote>>,
    branch: Option<String>,
    path: String,
    answers: Mutex<Answers>,
}

/// Which commits are ancestors of the newest one, as far as it was asked: every look at every application asks again.
#[derive(Default)]
struct Answers {
    head: Option<InfraCommit>,
    known: BTreeMap<InfraCommit, Ancestry>,
}

/// The newest commit of the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub commit: InfraCommit,
    pub summary: String,
    /// Unix time in seconds.
    pub time: i64,
}

impl Source {
    /// Opens the repository that `location` is in. `branch`: what is checked out, if `None`.
    pub fn open(location: &Path, branch: Option<&str>, path: &str) -> Result<Self, GitError> {
        let opened = Repository::discover(location);
        let repository = opened
            .map_err(|source| GitError::NoRepository { location: location.display().to_string(), source })?;
        Ok(Self {
            repository: Mutex::new(repository),
            remote: None,
            branch: branch.map(str::to_owned),
            path: watched(path),
            answers: Mutex::default(),
        })
    }

    /// Opens a repository wherever it is. A remote one is what `cache` holds of it, until it is fetched.
    pub fn open_at(
        location: &Location,
        branch: Option<&str>,
        path: &str,
        credentials: &Credentials,
        cache: Option<&Path>,
    ) -> Result<Self, GitError> {
        if let Location::Local(folder) = location {
            return Self::open(folder, branch, path);
        }
        let (repository, remote) =
            outside_of_any_runtime(|| Remote::open(location, branch, credentials, cache))?;
        Ok(Self {
            repository: Mutex::new(repository),
            branch: Some(remote::FETCHED.to_owned()),
            remote: Some(Mutex::new(remote)),
            path: watched(path),
            answers: Mutex::default(),
        })
    }

    pub fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// The folder of git's own files, to be watched for commits; `None` for a remote repository.
    pub fn git_folder(&self) -> Option<PathBuf> {
        if self.is_remote() {
            return None;
        }
        self.with(|repository| Ok(repository.commondir().to_path_buf())).ok()
    }

    /// Brings a remote repository up to date; a local one always is.
    pub fn fetch(&self) -> Result<(), GitError> {
        let Some(remote) = &self.remote else { return Ok(()) };
        outside_of_any_runtime(|| {
            let mut remote = remote.lock().unwrap_or_else(PoisonError::into_inner);
            self.with(|repository| remote.fetch(repository))
        })
    }

    /// What a file below the watched path was in a commit and in the history of its branch, newest first; as far as the
    /// history is here.
    pub fn past_texts(&self, head: &InfraCommit, file: &str) -> Result<Vec<String>, GitError> {
        let path = if self.path.is_empty() { file.to_owned() } else { format!("{}/{file}", self.path) };
        self.with(|repository| {
            let (mut walk, mut texts, mut newer) = (repository.revwalk()?, Vec::new(), None);
            walk.push(Oid::from_str(head.as_str())?)?;
            walk.simplify_first_parent()?;
            for commit in walk.take(MOST_COMMITS) {
                let tree = repository.find_commit(commit?)?.tree()?;
                let entry = tree.get_path(Path::new(&path)).ok();
                let id = entry.as_ref().map(git2::TreeEntry::id);
                if let Some(entry) = entry.filter(|_| id != newer) {
                    texts.extend(blob_text(repository, &entry).ok());
                }
                newer = id;
                if texts.len() == MOST_TEXTS {
                    break;
                }
            }
            Ok(texts)
        })
    }

    /// Goes further back in the history of a shallow clone; false when that is over.
    pub fn deepen(&self) -> bool {
        let Some(remote) = &self.remote else { return false };
        let deepened = outside_of_any_runtime(|| {
            let mut remote = remote.lock().unwrap_or_else(PoisonError::into_inner);
            self.with(|repository| remote.deepen(repository))
        });
        deepened.unwrap_or(false)
    }

    fn with<T>(&self, read: impl FnOnce(&Repository) -> Result<T, GitError>) -> Result<T, GitError> {
        // A poisoned lock only means that another reader panicked; libgit2's handle is still sound to read from.
        let repository = self.repository.lock().unwrap_or_else(PoisonError::into_inner);
        read(&repository)
    }

    pub fn head(&self) -> Result<Head, GitError> {
        self.with(|repository| {
            let commit = match &self.branch {
                Some(branch) => {
                    let local = format!("refs/heads/{branch}");
                    let remote = format!("refs/remotes/origin/{branch}");
                    let found = [local, remote].iter().find_map(|name| repository.find_reference(name).ok());
                    found.ok_or_else(|| GitError::NoBranch { branch: branch.clone() })?.peel_to_commit()?
                }
                None => match repository.head() {
                    Ok(head) => head.peel_to_commit()?,
                    Err(error) if error.code() == ErrorCode::UnbornBranch => return Err(GitError::Empty),
                    Err(error) => return Err(error.into()),
                },
            };
            Ok(Head {
                commit: InfraCommit::new(commit.id().to_string()),
                summary: commit.summary().ok().flatten().unwrap_or_default().to_owned(),
                time: commit.time().seconds(),
            })
        })
    }

    /// The files of a commit below the watched path, by their path relative to it.
    pub fn files(&self, commit: &InfraCommit) -> Result<Files, GitError> {
        self.with(|repository| {
            let root = repository.find_commit(Oid::from_str(commit.as_str())?)?.tree()?;
            let tree = if self.path.is_empty() {
                root
            } else {
                root.get_path(Path::new(&self.path))?.to_object(repository)?.peel_to_tree()?
            };
            let mut files = BTreeMap::new();
            let mut budget = Budget::default();
            tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
                if entry.kind() == Some(ObjectType::Tree) {
                    return TreeWalkResult::Ok;
                }
                let path = format!("{}{}", folder, String::from_utf8_lossy(entry.name_bytes()));
                let text = blob_text(repository, entry);
                if budget.spend(&text) {
                    files.insert(path, text);
                    TreeWalkResult::Ok
                } else {
                    TreeWalkResult::Abort
                }
            })
            .or_else(|error| if budget.is_spent() { Ok(()) } else { Err(error) })?;
            budget.check()?;
            Ok(files)
        })
    }

    /// The files of the working tree, uncommitted changes included; what git ignores is left out.
    pub fn working_tree(&self) -> Result<Files, GitError> {
        self.with(|repository| {
            let root = repository.workdir().ok_or(GitError::Bare)?.join(&self.path);
            let mut files = BTreeMap::new();
            let mut budget = Budget::default();
            let mut folders: Vec<PathBuf> = vec![root.clone()];
            while let Some(folder) = folders.pop() {
                let failed = |source| GitError::WorkingTree { path: folder.display().to_string(), source };
                for entry in std::fs::read_dir(&folder).map_err(failed)? {
                    let entry = entry.map_err(failed)?;
                    let path = entry.path();
                    if entry.file_name() == ".git" || repository.is_path_ignored(&path).unwrap_or(false) {
                        continue;
                    }
                    let kind = entry.file_type().map_err(failed)?;
                    if kind.is_dir() {
                        folders.push(path);
                        continue;
                    }
                    let text = if kind.is_file() {
                        file_text(&path)
                    } else {
                        Err("it is no regular file".to_owned())
                    };
                    let relative =
                        path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                    if !budget.spend(&text) {
                        return budget.check().map(|()| files);
                    }
                    files.insert(relative, text);
                }
            }
            Ok(files)
        })
    }

    /// Whether there is a working tree whose files differ from the newest commit.
    pub fn is_bare(&self) -> bool {
        self.with(|repository| Ok(repository.is_bare())).unwrap_or(true)
    }
}

impl History for Source {
    /// Deepens a shallow clone, within bounds, until it can be told.
    fn ancestry(&self, commit: &InfraCommit, head: &InfraCommit) -> Ancestry {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.head.as_ref() != Some(head) {
            *answers = Answers { head: Some(head.clone()), known: BTreeMap::new() };
        }
        if let Some(answer) = answers.known.get(commit) {
            return *answer;
        }
        loop {
            let answer = self.known_ancestry(commit, head, MOST_COMMITS);
            if answer != Ancestry::Unknown {
                answers.known.insert(commit.clone(), answer);
                return answer;
            }
            if !self.deepen() {
                return answer;
            }
        }
    }
}

impl Source {
    /// As far as the newest so many commits of the history that is here tell.
    fn known_ancestry(&self, commit: &InfraCommit, head: &InfraCommit, most: usize) -> Ancestry {
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

/// The commits whose parents a shallow clone has not fetched.
fn boundary(repository: &Repository) -> BTreeSet<Oid> {
    let text = std::fs::read_to_string(repository.path().join("shallow")).unwrap_or_default();
    text.lines().filter_map(|line| Oid::from_str(line.trim()).ok()).collect()
}

/// The watched path as git writes it: no slashes around it, nothing for the whole repository.
fn watched(path: &str) -> String {
    let path = path.trim_matches('/').trim_start_matches("./");
    if path == "." { String::new() } else { path.to_owned() }
}

/// The client of the HTTP transport may not run on a thread of an asynchronous runtime.
fn outside_of_any_runtime<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let done = std::thread::scope(|scope| scope.spawn(act).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Bounds on what is read from one commit.
#[derive(Default)]
struct Budget {
    files: usize,
    bytes: usize,
}

impl Budget {
    /// Counts a file; false when the bounds are passed.
    fn spend(&mut self, text: &Result<String, String>) -> bool {
        self.files += 1;
        self.bytes += text.as_ref().map_or(0, String::len);
        !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.files > MOST_FILES || self.bytes > MOST_BYTES
    }

    fn check(&self) -> Result<(), GitError> {
        match (self.files > MOST_FILES, self.bytes > MOST_BYTES) {
            (true, _) => Err(GitError::TooLarge { what: format!("{MOST_FILES} files") }),
            (_, true) => Err(GitError::TooLarge { what: format!("{} MiB", MOST_BYTES >> 20) }),
            _ => Ok(()),
        }
    }
}

fn blob_text(repository: &Repository, entry: &git2::TreeEntry<'_>) -> Result<String, String> {
    match entry.filemode() {
        0o100_644 | 0o100_755 | 0o100_664 => {}
        0o120_000 => return Err("it is a symbolic link".to_owned()),
        _ => return Err("it is no regular file".to_owned()),
    }
    let blob = repository.find_blob(entry.id()).map_err(|error| error.message().to_owned())?;
    if blob.size() > MOST_FILE_BYTES {
        return Err(format!("it has more than {MOST_FILE_BYTES} bytes"));
    }
    String::from_utf8(blob.content().to_vec()).map_err(|_| "it is not UTF-8 text".to_owned())
}

fn file_text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MOST_FILE_BYTES as u64 {
        return Err(format!("it has more than {MOST_FILE_BYTES} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(repository: &Repository, path: &str, content: &str) -> InfraCommit {
        let root = repository.workdir().unwrap();
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(Path::new(path)).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let author = git2::Signature::now("a", "a@example.com").unwrap();
        let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let id = repository.commit(Some("HEAD"), &author, &author, "change", &tree, &parents).unwrap();
        InfraCommit::new(id.to_string())
    }

    fn repository() -> (tempfile::TempDir, Repository) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init(folder.path()).unwrap();
        (folder, repository)
    }

    #[test]
    fn a_commit_is_read_without_the_uncommitted_changes_and_the_working_tree_with_them() {
        let (folder, repository) = repository();
        let head = commit(&repository, "infra/a.yaml", "one");
        std::fs::write(folder.path().join("infra/a.yaml"), "two").unwrap();
        let source = Source::open(folder.path(), None, "infra").unwrap();
        assert_eq!(source.head().unwrap().commit, head);
        assert_eq!(source.files(&head).unwrap()["a.yaml"], Ok("one".to_owned()));
        assert_eq!(source.working_tree().unwrap()["a.yaml"], Ok("two".to_owned()));
    }

    #[test]
    fn what_a_file_was_is_found_in_the_history_of_the_branch() {
        let (folder, repository) = repository();
        for (path, text) in
            [("infra/a.yaml", "1"), ("b", "x"), ("infra/a.yaml", "2"), ("b", "y"), ("infra/a.yaml", "1")]
        {
            commit(&repository, path, text);
        }
        let source = Source::open(folder.path(), None, "infra").unwrap();
        let head = source.head().unwrap().commit;
        assert_eq!(source.past_texts(&head, "a.yaml").unwrap(), ["1", "2", "1"]);
        assert_eq!(source.past_texts(&head, "c.yaml").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_symbolic_link_is_never_followed() {
        let (folder, repository) = repository();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.yaml")).unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(Path::new("link.yaml")).unwrap();
        index.write().unwrap();
        let head = commit(&repository, "a.yaml", "one");
        let source = Source::open(folder.path(), None, "").unwrap();
        assert_eq!(source.files(&head).unwrap()["link.yaml"], Err("it is a symbolic link".to_owned()));
        assert_eq!(source.working_tree().unwrap()["link.yaml"], Err("it is no regular file".to_owned()));
    }

    #[test]
    fn ancestry_is_answered_and_an_unknown_commit_is_no_ancestor() {
        let (folder, repository) = repository();
        let first = commit(&repository, "a", "1");
        let second = commit(&repository, "a", "2");
        let source = Source::open(folder.path(), None, "").unwrap();
        assert_eq!(source.ancestry(&first, &second), Ancestry::Ancestor);
        assert_eq!(source.ancestry(&second, &first), Ancestry::NotAncestor);
        assert_eq!(source.ancestry(&InfraCommit::new("0".repeat(40)), &second), Ancestry::NotAncestor);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let (folder, _repository) = repository();
        let source = Source::open(folder.path(), None, "").unwrap();
        assert_eq!(source.head().unwrap_err().to_string(), "the repository has no commit yet");
        let source = Source::open(folder.path(), Some("main2"), "").unwrap();
        assert_eq!(source.head().unwrap_err().to_string(), "the repository has no branch main2");
    }

    #[test]
    fn a_history_that_is_too_long_to_walk_is_unknown_and_not_rewound() {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        let commits: Vec<InfraCommit> = (0..5)
            .map(|number| {
                std::fs::write(folder.path().join("a.yaml"), number.to_string()).unwrap();
                scratch::commit_all(folder.path(), "change").unwrap()
            })
            .collect();
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
