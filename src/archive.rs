//! AWS data that never changes, kept in a folder so that the next process makes fewer calls: task definitions, service
//! revisions, and finished deployments.
//!
//! The archive only saves calls. A file that is damaged counts as missing. Several processes can share a folder, because a file
//! appears whole or not at all. No write relies on it: someone who can write to the folder can make trueup print something
//! wrong, but not deploy something wrong.
//!
//! A task definition may hold secrets in plain text, so only the owner of the folder can read it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The folder within the operator's cache folder.
const FOLDER: &str = "aws";
/// What the names of its files begin with, so that nothing else is ever removed.
const PREFIX: &str = "body-";
/// Enough for ten thousand services and some of their history. Beyond that, the oldest third is deleted.
const MOST_FILES: usize = 60_000;
/// One file, in bytes. A task definition has at most 64 KiB (Amazon ECS quotas).
const MOST_BYTES: u64 = 512 * 1024;
/// All files together, in bytes.
const MOST_BYTES_IN_ALL: u64 = 512 * 1024 * 1024;
/// A file that is read counts as new again, at most this often.
const REFRESH: Duration = Duration::from_hours(24);

/// What a body describes. A later version that reads a kind differently changes its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An answer of `DescribeTaskDefinition`, with the tags it had at that time.
    TaskDefinition,
    /// One of `DescribeServiceRevisions`.
    ServiceRevision,
    /// One of `DescribeServiceDeployments` that is finished.
    ServiceDeployment,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::TaskDefinition => "task-definition-1",
            Self::ServiceRevision => "service-revision-1",
            Self::ServiceDeployment => "service-deployment-1",
        }
    }
}

/// Bodies by kind and ARN. Without a folder, it keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Archive(Option<Arc<Shelf>>);

#[derive(Debug)]
struct Shelf {
    folder: PathBuf,
    /// The endpoint that the bodies come from: a simulated AWS may use the same ARNs as the real one.
    world: String,
}

impl Archive {
    /// In the operator's cache folder, for the AWS at `world`. If the folder cannot be used, logs a warning and keeps nothing.
    pub fn open(cache: &Path, world: &str) -> Self {
        let shelf = Shelf { folder: cache.join(FOLDER), world: world.to_owned() };
        match shelf.prepare() {
            Ok(()) => Self(Some(Arc::new(shelf))),
            Err(why) => {
                let folder = shelf.folder.display();
                tracing::warn!(event = "cache.unusable", %folder, %why, "continuing without cached AWS data");
                Self(None)
            }
        }
    }

    pub async fn find(&self, kind: Kind, arn: &str) -> Option<Value> {
        let shelf = Arc::clone(self.0.as_ref()?);
        let path = shelf.path(kind, arn);
        tokio::task::spawn_blocking(move || read(&path)).await.ok()?
    }

    /// A body that cannot be kept is read from AWS again by the next process.
    pub async fn keep(&self, kind: Kind, arn: &str, body: Value) {
        let Some(shelf) = self.0.as_ref().map(Arc::clone) else { return };
        let path = shelf.path(kind, arn);
        let write = move || write(&shelf.folder, &path, &body);
        if let Ok(Err(why)) = tokio::task::spawn_blocking(write).await {
            tracing::debug!(event = "cache.unwritten", %why);
        }
    }
}

impl Shelf {
    fn prepare(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        if !fs::symlink_metadata(&self.folder)?.is_dir() {
            return Err(io::Error::other("it is not a folder"));
        }
        tempfile::tempfile_in(&self.folder)?;
        make_room(&self.folder, MOST_FILES, MOST_BYTES_IN_ALL)
    }

    fn path(&self, kind: Kind, arn: &str) -> PathBuf {
        let mut digest = Sha256::new();
        for part in [self.world.as_str(), kind.name(), arn] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        self.folder.join(format!("{PREFIX}{}", hex::encode(digest.finalize())))
    }
}

/// A file holds the SHA-256 of the body, then the body.
fn read(path: &Path) -> Option<Value> {
    // Opening a pipe would block, and a link could lead anywhere.
    let about =
        fs::symlink_metadata(path).ok().filter(|about| about.is_file() && about.len() <= MOST_BYTES)?;
    let file = File::open(path).ok()?;
    let mut bytes = Vec::new();
    (&file).take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    let (checksum, body) = bytes.split_at_checked(Sha256::output_size())?;
    if Sha256::digest(body)[..] != *checksum {
        return None;
    }
    let is_old = about.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > REFRESH);
    if is_old {
        // If this fails, the file is deleted a little earlier than others.
        let _ = file.set_modified(SystemTime::now());
    }
    serde_json::from_slice(body).ok()
}

fn write(folder: &Path, path: &Path, body: &Value) -> io::Result<()> {
    let body = serde_json::to_vec(body)?;
    let mut bytes = Sha256::digest(&body).to_vec();
    bytes.extend(body);
    if bytes.len() as u64 > MOST_BYTES {
        return Ok(());
    }
    let mut file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?;
    file.write_all(&bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Deletes the oldest third once there is too much, so that this does not happen at every start.
fn make_room(folder: &Path, most_files: usize, most_bytes: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // Another process may have deleted it by now.
        if let Ok(about) = entry.metadata()
            && is_ours
            && about.is_file()
        {
            files.push((about.modified()?, about.len(), entry.path()));
        }
    }
    let bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
    if files.len() <= most_files && bytes <= most_bytes {
        return Ok(());
    }
    files.sort();
    let (mut files_left, mut bytes_left) = (files.len(), bytes);
    for (_, length, path) in files {
        if files_left <= most_files / 3 * 2 && bytes_left <= most_bytes / 3 * 2 {
            break;
        }
        let _ = fs::remove_file(path);
        files_left -= 1;
        bytes_left -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:ecs:eu-west-2:123456789012:task-definition/api:1";

    fn files(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder.join(FOLDER)).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[tokio::test]
    async fn another_process_finds_what_was_kept_and_nothing_else() {
        let cache = tempfile::tempdir().unwrap();
        let first = Archive::open(cache.path(), "aws");
        assert_eq!(first.find(Kind::TaskDefinition, ARN).await, None);
        first.keep(Kind::TaskDefinition, ARN, json!({"family": "api"})).await;
        let second = Archive::open(cache.path(), "aws");
        assert_eq!(second.find(Kind::TaskDefinition, ARN).await, Some(json!({"family": "api"})));
        second.keep(Kind::TaskDefinition, ARN, json!({"family": "other"})).await;
        assert_eq!(first.find(Kind::TaskDefinition, ARN).await, Some(json!({"family": "other"})));
        assert_eq!(first.find(Kind::ServiceRevision, ARN).await, None);
        assert_eq!(
            Archive::open(cache.path(), "http://127.0.0.1:4566").find(Kind::TaskDefinition, ARN).await,
            None
        );
        assert_eq!(Archive::default().find(Kind::TaskDefinition, ARN).await, None);
    }

    #[tokio::test]
    async fn a_damaged_file_is_none() {
        let cache = tempfile::tempdir().unwrap();
        let archive = Archive::open(cache.path(), "aws");
        archive.keep(Kind::TaskDefinition, ARN, json!({"family": "api"})).await;
        let [path] = &files(cache.path())[..] else { panic!("one file") };
        let whole = fs::read(path).unwrap();
        for length in 0..whole.len() {
            fs::write(path, &whole[..length]).unwrap();
            assert_eq!(archive.find(Kind::TaskDefinition, ARN).await, None, "{length} bytes");
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(path, &damaged).unwrap();
            assert_eq!(archive.find(Kind::TaskDefinition, ARN).await, None, "byte {place}");
        }
        fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink(cache.path().join("elsewhere"), path).unwrap();
        fs::write(cache.path().join("elsewhere"), &whole).unwrap();
        assert_eq!(archive.find(Kind::TaskDefinition, ARN).await, None, "a link");
    }

    #[tokio::test]
    async fn it_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let cache = tempfile::tempdir().unwrap();
        let archive = Archive::open(cache.path(), "aws");
        archive.keep(Kind::TaskDefinition, ARN, json!({"family": "api"})).await;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&cache.path().join(FOLDER)), 0o700);
        assert_eq!(mode(&files(cache.path())[0]), 0o600);
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_kept() {
        let cache = tempfile::tempdir().unwrap();
        let archive = Archive::open(cache.path(), "aws");
        let text = "x".repeat(usize::try_from(MOST_BYTES).unwrap());
        archive.keep(Kind::TaskDefinition, ARN, json!(text)).await;
        assert_eq!(files(cache.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_oldest_make_room_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let add = |name: &str, age: u64| {
            let path = folder.path().join(name);
            fs::write(&path, "0123456789").unwrap();
            let at = SystemTime::now() - Duration::from_secs(age);
            File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        };
        let left = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names.join(" ")
        };
        add("photo", 1000);
        for number in 1..=7 {
            add(&format!("body-{number}"), number * 10);
        }
        make_room(folder.path(), 7, 70).unwrap();
        assert_eq!(left(), "body-1 body-2 body-3 body-4 body-5 body-6 body-7 photo");
        make_room(folder.path(), 6, 70).unwrap();
        assert_eq!(left(), "body-1 body-2 body-3 body-4 photo");
        make_room(folder.path(), 6, 30).unwrap();
        assert_eq!(left(), "body-1 body-2 photo");
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_done_without() {
        let cache = tempfile::tempdir().unwrap();
        fs::write(cache.path().join(FOLDER), "somebody's").unwrap();
        assert!(Archive::open(cache.path(), "aws").0.is_none());
        assert_eq!(fs::read_to_string(cache.path().join(FOLDER)).unwrap(), "somebody's");
    }
}
