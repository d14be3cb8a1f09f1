//! The folder of a clone. It costs a fetch to lose it, so whatever is wrong with it is answered by another one.
//!
//! Only what trueup has made is ever removed: a folder with its mark inside. Everything else in the operator's cache
//! folder is somebody's.

use std::io;
use std::path::{Path, PathBuf};

use git2::Repository;
use sha2::{Digest as _, Sha256};

use super::GitError;

/// A file in each folder that trueup has made.
const MARK: &str = "trueup-clone";
const MARKED: &str = "A cache of trueup. It may be removed whenever trueup does not run.\n";
/// Files and folders of a clone: those of some fifty thousand fetches. More of them are damage, so that a look has an end.
const MOST_ENTRIES: usize = 100_000;

pub(super) struct Clone {
    folder: PathBuf,
    /// Kept while the program runs, where the cache folder is not given or cannot be used.
    temporary: Option<tempfile::TempDir>,
}

impl Clone {
    /// The clone in the cache folder; an empty one, if there is none or it cannot be opened. Nothing is fetched yet.
    pub(super) fn open(cache: Option<&Path>, url: &str) -> Result<(Self, Repository), GitError> {
        let Some(cache) = cache else { return Self::temporary() };
        let folder = cache.join(format!("clone-{}", name(url)));
        if owner(&folder) == Owner::Trueup
            && let Ok(repository) = opened(&folder)
        {
            return Ok((Self { folder, temporary: None }, repository));
        }
        Self::empty_or_temporary(folder)
    }

    /// An empty one to take the place of this one, which stays as it is until then.
    pub(super) fn another(&self) -> Result<(Self, Repository), GitError> {
        if self.temporary.is_some() {
            return Self::temporary();
        }
        Self::empty_or_temporary(self.folder.with_extension("new"))
    }

    /// Puts this one where the old one was. Where that cannot be, both stay where they are.
    pub(super) fn replace(mut self, old: &Self) -> Self {
        if self.temporary.is_none() {
            let moved = remove(&old.folder).and_then(|()| std::fs::rename(&self.folder, &old.folder));
            if moved.is_ok() {
                self.folder = old.folder.clone();
            }
        }
        self
    }

    /// A handle of its own: no other one waits for it.
    pub(super) fn repository(&self) -> Result<Repository, GitError> {
        opened(&self.folder)
    }

    /// Removes what is not needed after all.
    pub(super) fn discard(self) {
        if self.temporary.is_none() {
            // What stays is found and removed by the next one.
            let _ = remove(&self.folder);
        }
    }

    fn empty_or_temporary(folder: PathBuf) -> Result<(Self, Repository), GitError> {
        match empty(&folder) {
            Ok(repository) => Ok((Self { folder, temporary: None }, repository)),
            Err(why) => {
                let folder = folder.display();
                tracing::warn!(event = "cache.unusable", %folder, %why, "going on with a temporary folder");
                Self::temporary()
            }
        }
    }

    fn temporary() -> Result<(Self, Repository), GitError> {
        let failed = |source| GitError::Cache { path: std::env::temp_dir(), source };
        let temporary = tempfile::Builder::new().prefix("trueup-").tempdir().map_err(failed)?;
        let folder = temporary.path().join("clone");
        let repository = empty(&folder).map_err(failed)?;
        Ok((Self { folder, temporary: Some(temporary) }, repository))
    }
}

/// Whose a path is.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Trueup,
    /// Nothing is there, or an empty folder.
    Nobody,
    Somebody,
}

fn owner(folder: &Path) -> Owner {
    match std::fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Owner::Nobody,
        Ok(about) if about.is_dir() => {}
        _ => return Owner::Somebody,
    }
    let mark = std::fs::symlink_metadata(folder.join(MARK));
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        _ if mark.is_ok_and(|mark| mark.is_file()) => Owner::Trueup,
        Ok(true) => Owner::Nobody,
        _ => Owner::Somebody,
    }
}

fn opened(folder: &Path) -> Result<Repository, GitError> {
    check(folder)?;
    Ok(Repository::open_bare(folder)?)
}

/// A clone is made of files and folders alone. Whoever opens a pipe waits for somebody to write into it, and a link or a
/// device leads to anything: neither is opened.
fn check(clone: &Path) -> Result<(), GitError> {
    let (mut folders, mut entries) = (vec![clone.to_path_buf()], 0);
    while let Some(folder) = folders.pop() {
        let damaged = |why: &str| GitError::Damaged(format!("{}: {why}", folder.display()));
        let list = match std::fs::read_dir(&folder) {
            Ok(list) => list,
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(damaged(&error.to_string())),
        };
        for entry in list {
            entries += 1;
            if entries > MOST_ENTRIES {
                return Err(damaged("the clone has too many files"));
            }
            let entry = entry.map_err(|error| damaged(&error.to_string()))?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => return Err(damaged("something in it is neither a file nor a folder")),
            }
        }
    }
    Ok(())
}

/// An empty repository where there may be an old one of ours.
fn empty(folder: &Path) -> io::Result<Repository> {
    remove(folder)?;
    std::fs::create_dir_all(folder)?;
    // Before all else: whatever interrupts this leaves a folder that is known to be ours.
    std::fs::write(folder.join(MARK), MARKED)?;
    Repository::init_bare(folder).map_err(io::Error::other)
}

fn remove(folder: &Path) -> io::Result<()> {
    match owner(folder) {
        Owner::Nobody => Ok(()),
        Owner::Trueup => std::fs::remove_dir_all(folder),
        Owner::Somebody => Err(io::Error::other("it is not a folder that trueup has made")),
    }
}

/// A folder name that says nothing and is the same each time.
fn name(url: &str) -> String {
    let digest = hex::encode(Sha256::digest(url.as_bytes()));
    digest.chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trueup_has_made_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("empty")).unwrap();
        std::fs::create_dir(at("photos")).unwrap();
        std::fs::write(at("photos/one.jpg"), "x").unwrap();
        std::fs::write(at("file"), "x").unwrap();
        std::os::unix::fs::symlink(at("photos"), at("link")).unwrap();
        empty(&at("ours")).unwrap();
        std::os::unix::fs::symlink(at("ours"), at("link-to-ours")).unwrap();
        for (name, expected) in [
            ("nothing", Owner::Nobody),
            ("empty", Owner::Nobody),
            ("photos", Owner::Somebody),
            ("file", Owner::Somebody),
            ("link", Owner::Somebody),
            ("link-to-ours", Owner::Somebody),
            ("ours", Owner::Trueup),
        ] {
            assert_eq!(owner(&at(name)), expected, "{name}");
            let is_made = empty(&at(name)).is_ok();
            assert_eq!(is_made, expected != Owner::Somebody, "{name}");
        }
        assert_eq!(std::fs::read_to_string(at("photos/one.jpg")).unwrap(), "x");
    }

    #[test]
    fn a_look_at_a_clone_has_an_end() {
        let cache = tempfile::tempdir().unwrap();
        let (clone, repository) = Clone::open(Some(cache.path()), "https://h/x").unwrap();
        for number in 0..=MOST_ENTRIES {
            std::fs::File::create(repository.path().join(format!("objects/{number}"))).unwrap();
        }
        let said = clone.repository().err().map(|error| error.to_string());
        assert!(said.is_some_and(|said| said.ends_with("the clone has too many files")));
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone_and_a_temporary_one_used() {
        let cache = tempfile::tempdir().unwrap();
        let theirs = cache.path().join(format!("clone-{}", name("https://h/x")));
        std::fs::write(&theirs, "mine").unwrap();
        let (clone, _) = Clone::open(Some(cache.path()), "https://h/x").unwrap();
        assert!(clone.temporary.is_some());
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "mine");
    }
}
