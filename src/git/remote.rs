//! A remote repository: a bare, shallow clone of one branch that is fetched, and deepened in bounded steps where an
//! ancestor question must be answered. Nothing is ever checked out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use git2::{AutotagOption, Direction, FetchOptions, Oid, RemoteCallbacks, Repository};
use sha2::{Digest as _, Sha256};
use trueup_git_transport::{Access, register};

use super::{GitError, Location};
use crate::secret::Secret;

/// Bytes that one fetch may bring.
const MOST_BYTES: usize = 512 << 20;
/// Commits to which a shallow clone is deepened, one after the other, before the answer is "unknown".
const DEPTHS: [i32; 3] = [50, 500, 5000];

/// What the operator's settings give to reach the repository. Never printed.
#[derive(Clone, Default)]
pub struct Credentials {
    pub token: Option<Secret>,
    pub username: Option<String>,
    pub ssh_key: Option<PathBuf>,
    /// The program to run instead of `ssh`.
    pub ssh_program: Option<PathBuf>,
}

impl Credentials {
    /// The value of the `authorization` header of HTTP; `None` without a token.
    pub fn authorization(&self) -> Result<Option<String>, String> {
        Ok(self.access()?.authorization())
    }

    fn access(&self) -> Result<Access, String> {
        let token = self.token.as_ref().map(Secret::read).transpose();
        Ok(Access {
            token: token.map_err(|error| format!("the token cannot be read: {error}"))?,
            username: self.username.clone(),
            ssh_key: self.ssh_key.clone(),
            ssh_program: self.ssh_program.clone(),
        })
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Credentials by address: the transports of libgit2 are one table for the whole process.
static KNOWN: LazyLock<Mutex<BTreeMap<String, Credentials>>> = LazyLock::new(Mutex::default);

/// Only the very address that the credentials were given for gets them.
fn access(url: &str) -> Result<Access, String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(url).map_or_else(|| Ok(Access::default()), Credentials::access)
}

/// The branch of the clone that follows the one that is fetched.
pub(super) const FETCHED: &str = "trueup-fetched";
const REFERENCE: &str = "refs/heads/trueup-fetched";

pub(super) struct Remote {
    url: String,
    branch: Option<String>,
    /// Kept while the program runs, where no cache folder was given.
    _temporary: Option<tempfile::TempDir>,
    deepened: usize,
}

impl Remote {
    /// Opens the clone in the cache folder, or makes one. Nothing is fetched yet. A damaged clone is thrown away: it
    /// costs a fetch, never correctness.
    pub(super) fn open(
        location: &Location,
        branch: Option<&str>,
        credentials: &Credentials,
        cache: Option<&Path>,
    ) -> Result<(Repository, Self), GitError> {
        let (Location::Http(url) | Location::Ssh(url)) = location else {
            return Err(GitError::Address {
                location: location.to_string(),
                why: "it is no remote".to_owned(),
                hint: String::new(),
            });
        };
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(url.clone(), credentials.clone());
        register(&(Arc::new(access) as trueup_git_transport::Lookup)).map_err(|why| GitError::Remote {
            location: url.clone(),
            why,
            hint: String::new(),
        })?;
        let failed =
            |source| GitError::Cache { path: cache.map(Path::to_path_buf).unwrap_or_default(), source };
        let (folder, temporary) = match cache {
            Some(cache) => (cache.join(format!("git-{}", name(url))), None),
            None => {
                let folder = tempfile::Builder::new().prefix("trueup-").tempdir().map_err(failed)?;
                (folder.path().join("repository"), Some(folder))
            }
        };
        let repository = match Repository::open_bare(&folder) {
            Ok(repository) => repository,
            Err(_) => {
                if folder.exists() {
                    std::fs::remove_dir_all(&folder).map_err(failed)?;
                }
                std::fs::create_dir_all(&folder).map_err(failed)?;
                Repository::init_bare(&folder)?
            }
        };
        let remote =
            Self { url: url.clone(), branch: branch.map(str::to_owned), _temporary: temporary, deepened: 0 };
        Ok((repository, remote))
    }

    /// Asks where the branch is, and fetches it if that is news. The first time only its newest commit.
    pub(super) fn fetch(&mut self, repository: &Repository) -> Result<(), GitError> {
        let mut remote = repository.remote_anonymous(&self.url)?;
        remote.connect(Direction::Fetch).map_err(|error| self.error(&error))?;
        let wanted = match &self.branch {
            Some(branch) => format!("refs/heads/{branch}"),
            None => {
                let default = remote.default_branch().map_err(|_| GitError::Empty)?;
                String::from_utf8_lossy(&default).into_owned()
            }
        };
        let heads = remote.list().map_err(|error| self.error(&error))?;
        let tip = heads.iter().find(|head| head.name() == wanted).map(git2::RemoteHead::oid);
        let _ = remote.disconnect();
        let Some(tip) = tip else {
            return Err(GitError::NoBranch { branch: wanted.trim_start_matches("refs/heads/").to_owned() });
        };
        let known = self::tip(repository);
        if known == Some(tip) {
            return Ok(());
        }
        let depth = i32::from(known.is_none());
        self.fetch_to(repository, &wanted, depth)?;
        self.deepened = 0;
        Ok(())
    }

    /// Goes one step further back; false when the clone is complete, or deep enough.
    pub(super) fn deepen(&mut self, repository: &Repository) -> Result<bool, GitError> {
        let Some(depth) = DEPTHS.get(self.deepened).filter(|_| repository.is_shallow()) else {
            return Ok(false);
        };
        self.deepened += 1;
        let wanted = match &self.branch {
            Some(branch) => format!("refs/heads/{branch}"),
            None => "HEAD".to_owned(),
        };
        self.fetch_to(repository, &wanted, *depth)?;
        Ok(true)
    }

    /// `depth` 0: everything since what is there.
    fn fetch_to(&self, repository: &Repository, wanted: &str, depth: i32) -> Result<(), GitError> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|progress| progress.received_bytes() <= MOST_BYTES);
        let mut options = FetchOptions::new();
        options.depth(depth).download_tags(AutotagOption::None).remote_callbacks(callbacks);
        // With `+`: a rewound branch is fetched and recognised by its history, not by a refused fetch.
        let refspec = format!("+{wanted}:{REFERENCE}");
        let mut remote = repository.remote_anonymous(&self.url)?;
        remote.fetch(&[refspec], Some(&mut options), None).map_err(|error| self.error(&error))
    }

    /// What went wrong, in words for the operator. The text of a transport holds no secret.
    fn error(&self, error: &git2::Error) -> GitError {
        let text = error.message();
        let (why, hint) = match text {
            _ if text.contains("http 401") || text.contains("http 403") => (
                "it refused the credentials",
                "set TRUEUP_TOKEN or TRUEUP_TOKEN_FILE to a token that may read it",
            ),
            _ if text.contains("http 404") => (
                "there is no such repository, or the token may not see it",
                "check the address and TRUEUP_TOKEN",
            ),
            _ if text.contains("it has moved to") => (text, "put the new address into the settings"),
            _ if matches!(self.url.split_once("://"), Some(("ssh", _))) => {
                (text, "try `ssh -o BatchMode=yes` to the same host; TRUEUP_SSH_KEY names another key")
            }
            _ => (text, ""),
        };
        GitError::Remote { location: self.url.clone(), why: why.to_owned(), hint: hint.to_owned() }
    }
}

fn tip(repository: &Repository) -> Option<Oid> {
    repository.find_reference(REFERENCE).ok()?.target()
}

/// A folder name that says nothing and is the same each time.
fn name(url: &str) -> String {
    let digest = hex::encode(Sha256::digest(url.as_bytes()));
    digest.chars().take(16).collect()
}
