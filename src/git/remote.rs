//! A remote repository: a bare, shallow clone of one branch that is fetched, and deepened in bounded steps where an
//! ancestor question must be answered. Nothing is ever checked out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{AutotagOption, Direction, ErrorClass, FetchOptions, Oid, RemoteCallbacks, Repository};
use trueup_git_transport::{Access, Attempt, Bounds, Failure, Stop, memory, register};

use super::cache::Clone;
use super::listing::MOST_FILE;
use super::{Address, GitError};
use crate::secret::Secret;

/// What one fetch may cost. The time is for all of it: where the branch is, and its pack.
pub(super) const BOUNDS: Bounds = Bounds {
    time: Duration::from_mins(2),
    // Some million references; those that nobody asked for are forgotten at once.
    references: 64 << 20,
    // Of a shallow clone, on its way to the disk.
    pack: 512 << 20,
    // What is not read need not be sent. The limit of git is the first size that is left out.
    file: MOST_FILE as u64 + 1,
};
/// Commits to which a shallow clone is deepened, one after the other, before the answer is "unknown".
pub(super) const DEPTHS: [i32; 3] = [50, 500, 5000];
/// Characters that are shown of what the other side says.
const MOST_WORDS: usize = 300;

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

/// The branch of the clone that follows the one that is fetched.
pub(super) const FETCHED: &str = "trueup-fetched";
const REFERENCE: &str = "refs/heads/trueup-fetched";

/// A file in a clone whose large files were left out.
const FILTERED: &str = "trueup-filtered";

/// Whether a file that is not there may be one that is too large to be read.
pub(super) fn leaves_files_out(repository: &Repository) -> bool {
    repository.path().join(FILTERED).exists()
}

pub(super) struct Remote {
    address: Address,
    branch: Option<String>,
    credentials: Credentials,
    clone: Clone,
    deepened: usize,
    state: State,
    bounds: Bounds,
    stop: Stop,
}

/// What is known of the clone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unchecked,
    /// Everything that was fetched could be read.
    Well,
    /// It was fetched anew, and could not be read since: once more would change nothing.
    Renewed,
}

impl Remote {
    /// Opens the clone in the cache folder, or makes one. Nothing is fetched yet.
    pub(super) fn open(
        address: &Address,
        branch: Option<&str>,
        credentials: &Credentials,
        cache: Option<&Path>,
        stop: &Stop,
    ) -> Result<(Repository, Self), GitError> {
        register().map_err(GitError::Library)?;
        let (clone, repository) = Clone::open(cache, address.as_str())?;
        let remote = Self {
            address: address.clone(),
            branch: branch.map(str::to_owned),
            credentials: credentials.clone(),
            clone,
            deepened: 0,
            state: State::Unchecked,
            bounds: BOUNDS,
            stop: stop.clone(),
        };
        Ok((repository, remote))
    }

    #[cfg(test)]
    pub(super) fn bounded(&mut self, bounds: impl FnOnce(&mut Bounds)) {
        bounds(&mut self.bounds);
    }

    /// A handle of its own: no other one waits for it.
    pub(super) fn repository(&self) -> Result<Repository, GitError> {
        self.clone.repository()
    }

    pub(super) fn was_checked(&self) -> bool {
        self.state == State::Well
    }

    pub(super) fn is_well(&mut self) {
        self.state = State::Well;
    }

    /// Whether a damaged clone may be thrown away: not again before it was well in between.
    pub(super) fn may_be_renewed(&self) -> bool {
        self.state != State::Renewed
    }

    /// Asks where the branch is, and fetches it if that is news. The first time only its newest commit.
    pub(super) fn fetch(&mut self) -> Result<(), GitError> {
        let repository = self.repository()?;
        if self.fetch_into(&repository)? == News::Some {
            self.deepened = 0;
        }
        Ok(())
    }

    /// Fetches everything into an empty clone, which takes the place of this one if that succeeds. `take` gets the new
    /// handle, whose place is final.
    pub(super) fn renew(&mut self, take: impl FnOnce(Repository)) -> Result<(), GitError> {
        let (another, repository) = self.clone.another()?;
        if let Err(error) = self.fetch_into(&repository) {
            another.discard();
            // What cannot be reached was not tried.
            if error.is_damage() {
                self.state = State::Renewed;
            }
            return Err(error);
        }
        self.state = State::Renewed;
        self.deepened = 0;
        self.clone = another.replace(&self.clone);
        take(self.repository()?);
        Ok(())
    }

    fn fetch_into(&self, repository: &Repository) -> Result<News, GitError> {
        let depth = i32::from(tip(repository).is_none());
        match self.fetch_newest(repository, depth) {
            // What was too much may have been taken back since: the newest commit alone may be without it.
            Err(GitError::Remote { is_too_much: true, .. }) if depth == 0 => self.fetch_newest(repository, 1),
            fetched => fetched,
        }
    }

    fn fetch_newest(&self, repository: &Repository, depth: i32) -> Result<News, GitError> {
        self.attempt(|attempt| {
            let (wanted, there) = self.ask(repository)?;
            if tip(repository) == Some(there) {
                return Ok(News::None);
            }
            self.fetch_to(repository, &wanted, depth, attempt)?;
            Ok(News::Some)
        })
    }

    /// Where the branch is: the name of its reference, and its newest commit.
    fn ask(&self, repository: &Repository) -> Result<(String, Oid), Trouble> {
        let mut remote = repository.remote_anonymous(self.address.as_str())?;
        remote.connect(Direction::Fetch)?;
        let wanted = match self.reference() {
            Some(reference) => reference,
            None => {
                let default = remote.default_branch().map_err(|_| GitError::Empty)?;
                String::from_utf8_lossy(&default).into_owned()
            }
        };
        let tip = remote.list()?.iter().find(|head| head.name() == wanted).map(git2::RemoteHead::oid);
        let _ = remote.disconnect();
        let missing = || GitError::NoBranch { branch: wanted.trim_start_matches("refs/heads/").to_owned() };
        let tip = tip.ok_or_else(missing)?;
        Ok((wanted, tip))
    }

    fn reference(&self) -> Option<String> {
        self.branch.as_ref().map(|branch| format!("refs/heads/{branch}"))
    }

    pub(super) fn can_deepen(&self) -> bool {
        let is_shallow = || self.repository().is_ok_and(|repository| repository.is_shallow());
        self.deepened < DEPTHS.len() && is_shallow()
    }

    /// Goes one step further back, if there is one.
    pub(super) fn deepen(&mut self) -> Result<(), GitError> {
        let Some(depth) = DEPTHS.get(self.deepened) else { return Ok(()) };
        self.deepened += 1;
        let wanted = self.reference().unwrap_or_else(|| "HEAD".to_owned());
        let repository = self.repository()?;
        self.attempt(|attempt| self.fetch_to(&repository, &wanted, *depth, attempt))
    }

    /// `depth` 0: everything since what is there.
    fn fetch_to(
        &self,
        repository: &Repository,
        wanted: &str,
        depth: i32,
        attempt: &Attempt,
    ) -> Result<(), Trouble> {
        let mut callbacks = RemoteCallbacks::new();
        // It is asked between objects, so that a pack that takes long to unpack has an end too.
        callbacks.transfer_progress(|progress| {
            attempt.end().is_none() && progress.total_objects() <= memory::MOST_OBJECTS
        });
        let mut options = FetchOptions::new();
        options.depth(depth).download_tags(AutotagOption::None).remote_callbacks(callbacks);
        // With `+`: a rewound branch is fetched and recognised by its history, not by a refused fetch.
        let refspec = format!("+{wanted}:{REFERENCE}");
        let mut remote = repository.remote_anonymous(self.address.as_str())?;
        let fetched = remote.fetch(&[refspec], Some(&mut options), None);
        if attempt.is_filtered() {
            let failed = |source| GitError::Cache { path: repository.path().to_path_buf(), source };
            std::fs::write(repository.path().join(FILTERED), "").map_err(failed)?;
        }
        Ok(fetched?)
    }

    /// Everything that `act` asks of the remote is within one deadline.
    fn attempt<T>(&self, act: impl FnOnce(&Attempt) -> Result<T, Trouble>) -> Result<T, GitError> {
        let access = self.credentials.access().map_err(|why| self.error(&why, "", false))?;
        let reference = self.reference();
        let attempt = Attempt::new(self.address.as_str(), access, reference, self.bounds, &self.stop);
        let done = attempt.run(|| act(&attempt));
        done.map_err(|trouble| match (attempt.failure(), trouble) {
            (_, Trouble::Known(error)) => error,
            (Some(failure), Trouble::Git(_)) => self.failed(&failure),
            (None, Trouble::Git(error)) => self.git_failed(error),
        })
    }

    /// What went wrong there, in words for the operator.
    fn failed(&self, failure: &Failure) -> GitError {
        let why = failure.to_string();
        let (why, hint) = match failure {
            Failure::Status(401 | 403) => (
                "it refused the credentials",
                "set TRUEUP_TOKEN or TRUEUP_TOKEN_FILE to a token that may read it",
            ),
            Failure::Status(404) => (
                "there is no such repository, or the token may not see it",
                "check the address and TRUEUP_TOKEN",
            ),
            Failure::Moved(_) => (why.as_str(), "put the new address into the settings"),
            Failure::Other(_) if self.address.as_str().starts_with("ssh:") => (
                why.as_str(),
                "try `ssh -o BatchMode=yes` to the same host; TRUEUP_SSH_KEY names another key",
            ),
            _ => (why.as_str(), ""),
        };
        let is_too_much = matches!(failure, Failure::TooMuch { .. });
        self.error(why, hint, is_too_much)
    }

    /// What libgit2 could not do with what it was given.
    fn git_failed(&self, error: git2::Error) -> GitError {
        match error.class() {
            // The remote is as it is: another clone would meet the same.
            ErrorClass::NoMemory => self.error(
                &format!("unpacking it takes more than {} MiB of memory", memory::MOST_BYTES >> 20),
                "keep large binaries in a repository of their own",
                true,
            ),
            // A message of the server itself.
            ErrorClass::Net => self.error(error.message(), "", false),
            ErrorClass::Callback => {
                self.error(&format!("it has more than {} objects", memory::MOST_OBJECTS), "", true)
            }
            _ => error.into(),
        }
    }

    fn error(&self, why: &str, hint: &str, is_too_much: bool) -> GitError {
        let (location, why, hint) = (self.address.to_string(), shown(why), hint.to_owned());
        GitError::Remote { location, why, hint, is_too_much }
    }
}

#[derive(PartialEq, Eq)]
enum News {
    Some,
    None,
}

/// Why something could not be done, before it is known whose fault it is.
enum Trouble {
    Known(GitError),
    Git(git2::Error),
}

impl From<GitError> for Trouble {
    fn from(error: GitError) -> Self {
        Self::Known(error)
    }
}

impl From<git2::Error> for Trouble {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

fn tip(repository: &Repository) -> Option<Oid> {
    repository.find_reference(REFERENCE).ok()?.target()
}

/// Text of the other side: bounded, and on one line. It is escaped where it leaves the process.
fn shown(text: &str) -> String {
    let words: String = text.chars().take(MOST_WORDS).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
