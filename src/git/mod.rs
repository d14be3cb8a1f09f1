//! The infrastructure repository: commits read from the object store, never from a checkout.
//!
//! No hooks, submodules, LFS or symlinks: a tree entry that is no regular file is reported as unreadable. Whoever can
//! push decides what is in the repository, and whoever answers for its host what comes over the wire: all of it is
//! bounded, in `listing`, `snapshot`, `history`, `remote` and the transport.

mod base;
mod cache;
#[cfg(test)]
#[path = "../../tests/end_to_end/git_server.rs"]
mod git_server;
mod history;
mod lineage;
mod listing;
mod location;
#[cfg(test)]
mod mutation_tests;
mod remote;
#[cfg(test)]
mod remote_tests;
pub mod scratch;
mod snapshot;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use trueup_git_transport::{Stop, memory};

use crate::model::{Head, InfraCommit};

use history::History as Answers;
pub use lineage::{Lineage, Reach};
pub use location::{Address, Location};
pub use remote::Credentials;
use remote::Remote;
use snapshot::Absent;
pub use snapshot::Snapshot;
pub use watch::Watch;

/// Bytes of one commit or annotated tag, message and signature included.
const MOST_COMMIT_BYTES: usize = 1 << 20;
/// Tags that point to tags.
const MOST_TAGS: usize = 8;
/// Characters of a commit's first line, and of its author's name, that are shown.
const MOST_SUMMARY: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("{location} is no git repository")]
    NoRepository { location: String, source: git2::Error },
    #[error("the repository has no branch {branch}")]
    NoBranch { branch: String },
    #[error("the repository has no branch, tag or commit {}\n  hint  {hint}", crate::escape::line(name))]
    NoReference { name: String, hint: String },
    #[error("the two have no commit in common\n  hint  {hint}")]
    NoMergeBase { hint: String },
    #[error("the repository has no commit yet")]
    Empty,
    #[error("the repository has no folder {path}")]
    NoFolder { path: String },
    #[error("the {what} has more than {most} bytes")]
    TooLarge { what: String, most: usize },
    #[error("the repository cannot be read")]
    Corrupt(#[from] git2::Error),
    #[error("the repository cannot be read: {0}")]
    Damaged(String),
    #[error("the working tree cannot be read at {path}")]
    WorkingTree { path: String, source: std::io::Error },
    #[error("the repository has no working tree")]
    Bare,
    #[error("{location} cannot be used as a repository: {why}\n  hint  {hint}")]
    Address { location: String, why: String, hint: String },
    #[error("cannot fetch {location}: {}{}", crate::escape::line(why), if hint.is_empty() { String::new() } else { format!("\n  hint  {hint}") })]
    Remote { location: String, why: String, hint: String, is_too_much: bool },
    #[error("the cache folder {} cannot be used", path.display())]
    Cache { path: PathBuf, source: std::io::Error },
    #[error("git cannot be used: {0}")]
    Library(String),
}

impl GitError {
    /// Whether another copy of the same repository may be without it.
    fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::Damaged(_))
    }
}

/// Who goes further back in a shallow history when a question about ancestors needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deepening {
    /// Whoever asks, and waits for it.
    AtOnce,
    /// The next fetch; until then the answer is unknown.
    WithTheNextFetch,
}

/// A repository, its branch and the watched path.
pub struct Source {
    /// For reading. A fetch has a handle of its own: what was read last can be read while it goes on.
    repository: Mutex<Repository>,
    /// Where it is fetched from; `None` for a repository on this machine.
    remote: Option<Mutex<Remote>>,
    branch: Option<String>,
    path: String,
    answers: Mutex<Answers>,
    deepening: Deepening,
    /// An ancestor question waits for more history.
    asks_for_more: AtomicBool,
    /// Something in the clone could not be read; the next fetch makes another one.
    damaged: AtomicBool,
    stop: Stop,
}

impl Source {
    /// Opens the repository that `location` is in. `branch`: what is checked out, if `None`.
    pub fn open(location: &Path, branch: Option<&str>, path: &str) -> Result<Self, GitError> {
        memory::bound().map_err(GitError::Library)?;
        let opened = Repository::discover(location);
        let repository = opened
            .map_err(|source| GitError::NoRepository { location: location.display().to_string(), source })?;
        Ok(Self::of(repository, None, branch.map(str::to_owned), path, Stop::default()))
    }

    /// Opens a repository wherever it is. A remote one is what `cache` holds of it, until it is fetched.
    pub fn open_at(
        location: &Location,
        branch: Option<&str>,
        path: &str,
        credentials: &Credentials,
        cache: Option<&Path>,
    ) -> Result<Self, GitError> {
        let address = match location {
            Location::Local(folder) => return Self::open(folder, branch, path),
            Location::Http(address) | Location::Ssh(address) => address,
        };
        memory::bound().map_err(GitError::Library)?;
        let stop = Stop::default();
        let (repository, remote) = Remote::open(address, branch, credentials, cache, &stop)?;
        Ok(Self::of(repository, Some(Mutex::new(remote)), Some(remote::FETCHED.to_owned()), path, stop))
    }

    fn of(
        repository: Repository,
        remote: Option<Mutex<Remote>>,
        branch: Option<String>,
        path: &str,
        stop: Stop,
    ) -> Self {
        Self {
            repository: Mutex::new(repository),
            remote,
            branch,
            path: watched(path),
            answers: Mutex::default(),
            deepening: Deepening::AtOnce,
            asks_for_more: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
            stop,
        }
    }

    #[must_use]
    pub fn deepening(self, deepening: Deepening) -> Self {
        Self { deepening, ..self }
    }

    /// Where a repository on this machine was cloned from, as git writes it: it may hold a secret.
    pub fn origin(&self) -> Option<String> {
        self.with(|repository| Ok(repository.find_remote("origin")?.url().map(str::to_owned).ok()))
            .ok()
            .flatten()
    }

    pub fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Whether the next fetch would answer a question that waits.
    pub fn asks_for_more(&self) -> bool {
        self.asks_for_more.load(Ordering::Relaxed)
    }

    /// Ends a fetch that goes on, and every later one at its start.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// The folder of git's own files, to be watched for commits; `None` for a remote repository.
    pub fn git_folder(&self) -> Option<PathBuf> {
        if self.is_remote() {
            return None;
        }
        self.with(|repository| Ok(repository.commondir().to_path_buf())).ok()
    }

    /// Brings a remote repository up to date; a local one always is. It takes no longer than the deadline of a fetch, or
    /// twice that where a damaged clone is replaced.
    pub fn fetch(&self) -> Result<(), GitError> {
        let Some(remote) = &self.remote else { return Ok(()) };
        outside_of_any_runtime(|| self.fetch_with(&mut remote.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn fetch_with(&self, remote: &mut Remote) -> Result<(), GitError> {
        let was_damaged = self.damaged.swap(false, Ordering::Relaxed);
        let asked_for_more = self.asks_for_more.swap(false, Ordering::Relaxed);
        let mut fetched = remote.fetch();
        if fetched.is_ok() && asked_for_more {
            fetched = remote.deepen();
        }
        if fetched.is_ok() {
            fetched = self.reopen(remote);
        }
        if fetched.is_ok() && (was_damaged || !remote.was_checked()) {
            fetched = self.check().map(|()| remote.is_well());
        }
        match fetched {
            Err(error) if error.is_damage() && remote.may_be_renewed() => {
                tracing::warn!(event = "cache.renewed", why = %Chain(&error), "the clone is fetched anew");
                self.renew(remote)
            }
            other => other,
        }
    }

    /// Fetches everything into another clone, which takes the place of this one. Once: what is still damaged then is so
    /// at the other side.
    fn renew(&self, remote: &mut Remote) -> Result<(), GitError> {
        remote.renew(|repository| {
            *self.repository.lock().unwrap_or_else(PoisonError::into_inner) = repository;
        })?;
        self.check()?;
        remote.is_well();
        Ok(())
    }

    /// Whether all can be read that was fetched.
    fn check(&self) -> Result<(), GitError> {
        let snapshot = match self.head() {
            Ok(head) => self.snapshot(&head.commit),
            Err(error) => Err(error),
        };
        let damage = match snapshot {
            Ok(snapshot) => snapshot.damage.map(GitError::Damaged),
            Err(error) if error.is_damage() => Some(error),
            // Wrong, but not for this clone alone.
            Err(_) => None,
        };
        self.damaged.store(false, Ordering::Relaxed);
        damage.map_or(Ok(()), Err)
    }

    /// A new handle sees what another one has written.
    fn reopen(&self, remote: &Remote) -> Result<(), GitError> {
        *self.repository.lock().unwrap_or_else(PoisonError::into_inner) = remote.repository()?;
        Ok(())
    }

    fn with<T>(&self, read: impl FnOnce(&Repository) -> Result<T, GitError>) -> Result<T, GitError> {
        // A poisoned lock only means that another reader panicked; libgit2's handle is still sound to read from.
        let repository = self.repository.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read(&repository);
        if read.as_ref().is_err_and(GitError::is_damage) {
            self.damaged.store(true, Ordering::Relaxed);
        }
        read
    }

    pub fn head(&self) -> Result<Head, GitError> {
        self.with(|repository| {
            let tip = match &self.branch {
                Some(branch) => {
                    let local = format!("refs/heads/{branch}");
                    let remote = format!("refs/remotes/origin/{branch}");
                    let found = [local, remote].iter().find_map(|name| repository.find_reference(name).ok());
                    found.ok_or_else(|| GitError::NoBranch { branch: branch.clone() })?
                }
                None => match repository.head() {
                    Ok(head) => head,
                    Err(error) if error.code() == ErrorCode::UnbornBranch => return Err(GitError::Empty),
                    Err(error) => return Err(error.into()),
                },
            };
            let tip = tip.resolve()?.target().ok_or(GitError::Empty)?;
            Ok(head(&commit(repository, tip)?))
        })
    }

    /// What is read of a commit: documents below the watched path and the files they name, by their path relative to it.
    pub fn snapshot(&self, commit: &InfraCommit) -> Result<Snapshot, GitError> {
        let snapshot = self.with(|repository| {
            let commit = self::commit(repository, Oid::from_str(commit.as_str())?)?;
            let root = self.watched_tree(repository, commit.tree_id())?;
            let listing = listing::of_tree(repository, root);
            let absent = if remote::leaves_files_out(repository) { Absent::LeftOut } else { Absent::Missing };
            Ok(snapshot::read(&listing, |_, id| snapshot::blob_text(repository, *id, absent)))
        })?;
        if snapshot.damage.is_some() {
            self.damaged.store(true, Ordering::Relaxed);
        }
        Ok(snapshot)
    }

    fn watched_tree(&self, repository: &Repository, root: Oid) -> Result<Oid, GitError> {
        match at_path(repository, root, &self.path)? {
            Some((id, ObjectType::Tree)) => Ok(id),
            _ => Err(GitError::NoFolder { path: self.path.clone() }),
        }
    }

    /// The same of the working tree, uncommitted changes included; what git ignores is left out.
    pub fn working_tree(&self) -> Result<Snapshot, GitError> {
        self.with(|repository| {
            let root = repository.workdir().ok_or(GitError::Bare)?.join(&self.path);
            let failed = |source| GitError::WorkingTree { path: root.display().to_string(), source };
            let listing = listing::of_working_tree(repository, &root).map_err(failed)?;
            Ok(snapshot::read(&listing, |path, ()| snapshot::file_text(&root.join(path))))
        })
    }

    /// Whether there is a working tree whose files differ from the newest commit.
    pub fn is_bare(&self) -> bool {
        self.with(|repository| Ok(repository.is_bare())).unwrap_or(true)
    }
}

/// What people are told of a commit.
fn head(commit: &git2::Commit<'_>) -> Head {
    let summary = commit.summary().ok().flatten().unwrap_or_default();
    let author = commit.author();
    let author = author.name().ok().or(author.email().ok()).unwrap_or_default();
    Head {
        commit: InfraCommit::new(commit.id().to_string()),
        summary: summary.chars().take(MOST_SUMMARY).collect(),
        author: author.chars().take(MOST_SUMMARY).collect(),
        time: commit.time().seconds(),
    }
}

/// The commit that an id means, by way of annotated tags if need be. Sizes are known before anything is unpacked.
fn commit(repository: &Repository, mut id: Oid) -> Result<git2::Commit<'_>, GitError> {
    for _ in 0..MOST_TAGS {
        let (size, kind) = repository.odb()?.read_header(id)?;
        if size > MOST_COMMIT_BYTES {
            return Err(GitError::TooLarge { what: format!("{kind} {id}"), most: MOST_COMMIT_BYTES });
        }
        if kind != ObjectType::Tag {
            break;
        }
        id = repository.find_tag(id)?.target_id();
    }
    Ok(repository.find_commit(id)?)
}

/// What is at a path below a tree; the tree itself, where the path is empty.
fn at_path(repository: &Repository, root: Oid, path: &str) -> Result<Option<(Oid, ObjectType)>, GitError> {
    let mut found = (root, ObjectType::Tree);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if found.1 != ObjectType::Tree {
            return Ok(None);
        }
        let tree = match listing::tree(repository, found.0) {
            Ok(tree) => tree,
            Err(listing::TreeError::TooLarge) => return Ok(None),
            Err(listing::TreeError::Unreadable(error)) => return Err(error.into()),
        };
        let Some(entry) = tree.get_name(part) else { return Ok(None) };
        found = (entry.id(), entry.kind().unwrap_or(ObjectType::Any));
    }
    Ok(Some(found))
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

/// An error with what it comes from.
struct Chain<'e>(&'e GitError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        match std::error::Error::source(self.0) {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
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
        assert_eq!(source.snapshot(&head).unwrap().files["a.yaml"], Ok("one".to_owned()));
        assert_eq!(source.working_tree().unwrap().files["a.yaml"], Ok("two".to_owned()));
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
        assert_eq!(
            source.snapshot(&head).unwrap().files["link.yaml"],
            Err("it is a symbolic link".to_owned())
        );
        assert_eq!(
            source.working_tree().unwrap().files["link.yaml"],
            Err("it is no regular file".to_owned())
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        let (folder, _repository) = repository();
        let source = Source::open(folder.path(), None, "").unwrap();
        assert_eq!(source.head().unwrap_err().to_string(), "the repository has no commit yet");
        let source = Source::open(folder.path(), Some("main2"), "").unwrap();
        assert_eq!(source.head().unwrap_err().to_string(), "the repository has no branch main2");
    }
}
