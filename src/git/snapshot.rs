//! The texts that are read of what a listing found: documents, and the files that documents name. All else is known by
//! its name only, whatever its size.

use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository};

use super::listing::{Bound, Entry, Exceeded, Listing, MOST_BYTES, MOST_FILE, MOST_FILES};
use crate::manifest::{self, Files};
use crate::model::{Finding, Position, Severity};

/// The files of one commit, or of the working tree.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub files: Files,
    /// Bounds that were exceeded, and folders that cannot be read.
    pub findings: Vec<Finding>,
    /// What is missing or broken in the object store itself.
    pub(super) damage: Option<String>,
}

/// Why a file has no text.
pub(super) enum Unread {
    /// What it is.
    Refused(String),
    /// The object store does not give what it should have.
    Damaged(String),
}

/// Reads what matters of a listing.
pub(super) fn read<At>(
    listing: &Listing<At>,
    mut text: impl FnMut(&str, &At) -> Result<String, Unread>,
) -> Snapshot {
    let mut reader = Reader::default();
    let documents: Vec<&str> = listing.documents().collect();
    reader.read(listing, &documents, &mut text);
    // Where not all was seen, what has the look of a file may be one: it must not be said to be missing.
    let has_extension = |path: &str| path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let may_be_there = |path: &str| !listing.exceeded.is_empty() && has_extension(path);
    let is_there = |path: &str| listing.files.contains_key(path) || may_be_there(path);
    let needs = manifest::needs(&reader.snapshot.files, &is_there);
    reader.drop_beyond(&needs.beyond);
    let is_unread = |path: &&str| !manifest::is_document(path);
    let unread: Vec<&str> = needs.files.iter().map(String::as_str).filter(is_unread).collect();
    reader.read(listing, &unread, &mut text);
    let Reader { mut snapshot, exceeded, .. } = reader;
    for path in listing.files.keys().filter(|path| !manifest::is_document(path)) {
        if !snapshot.files.contains_key(path) {
            snapshot.files.insert(path.clone(), Err("no document names it".to_owned()));
        }
    }
    snapshot.findings = listing.exceeded.findings();
    snapshot.findings.extend(exceeded.findings());
    snapshot.findings.extend(listing.unreadable.iter().map(|(folder, why)| unreadable(folder, why)));
    let folder = listing.unreadable.iter().next().map(|(folder, why)| format!("{folder}: {why}"));
    snapshot.damage = snapshot.damage.or(folder);
    snapshot
}

fn unreadable(folder: &str, why: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        position: Position { file: folder.to_owned(), line: 0, column: 0 },
        field: String::new(),
        message: format!("the folder cannot be read, and is skipped: {why}"),
        hint: None,
        excerpt: None,
        targets: Vec::new(),
    }
}

#[derive(Default)]
struct Reader {
    snapshot: Snapshot,
    exceeded: Exceeded,
    files: usize,
    bytes: usize,
}

impl Reader {
    fn read<At>(
        &mut self,
        listing: &Listing<At>,
        paths: &[&str],
        text: &mut impl FnMut(&str, &At) -> Result<String, Unread>,
    ) {
        for path in paths {
            let found = match listing.files.get(*path) {
                Some(Entry::File(at)) if self.has_room(path) => text(path, at),
                Some(Entry::File(_)) => Err(Unread::Refused("it is beyond what is read".to_owned())),
                Some(Entry::Other(why)) => Err(Unread::Refused((*why).to_owned())),
                None => Err(Unread::Refused("it is not among the files that were seen".to_owned())),
            };
            self.keep(path, found);
        }
    }

    /// Forgets documents that all together would take too much memory.
    fn drop_beyond(&mut self, paths: &[String]) {
        for path in paths {
            self.snapshot.files.remove(path);
            self.exceeded.note(Bound::Nodes, path);
        }
    }

    fn has_room(&mut self, path: &str) -> bool {
        if self.files >= MOST_FILES {
            self.exceeded.note(Bound::Files, path);
        } else if self.bytes >= MOST_BYTES {
            self.exceeded.note(Bound::Bytes, path);
        } else {
            self.files += 1;
            return true;
        }
        false
    }

    fn keep(&mut self, path: &str, found: Result<String, Unread>) {
        let text = match found {
            Ok(text) => {
                self.bytes += text.len();
                Ok(text)
            }
            Err(Unread::Refused(why)) => Err(why),
            Err(Unread::Damaged(why)) => {
                self.snapshot.damage.get_or_insert_with(|| format!("{path}: {why}"));
                Err(why)
            }
        };
        self.snapshot.files.insert(path.to_owned(), text);
    }
}

/// What it means that a file is not in the object store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Missing,
    /// The host was asked to leave out what is too large to be read.
    LeftOut,
}

/// The text of a file, whose size and kind are known before it is unpacked.
pub(super) fn blob_text(repository: &Repository, id: Oid, absent: Absent) -> Result<String, Unread> {
    let damaged = |error: git2::Error| match (error.code(), absent) {
        (ErrorCode::NotFound, Absent::LeftOut) => too_large(),
        _ => Unread::Damaged(error.message().to_owned()),
    };
    let objects = repository.odb().map_err(damaged)?;
    match objects.read_header(id).map_err(damaged)? {
        (size, ObjectType::Blob) if size > MOST_FILE => return Err(too_large()),
        (_, ObjectType::Blob) => {}
        (_, kind) => return Err(Unread::Refused(format!("it is a {kind}, not a file"))),
    }
    let object = objects.read(id).map_err(|error| match error.class() {
        ErrorClass::NoMemory => {
            Unread::Refused("it is stored as a difference to something too large to be unpacked".to_owned())
        }
        _ => damaged(error),
    })?;
    as_text(object.data().to_vec())
}

/// The text of a file of the working tree.
pub(super) fn file_text(path: &std::path::Path) -> Result<String, Unread> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| Unread::Refused(error.to_string());
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = file.take(MOST_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if read > MOST_FILE { Err(too_large()) } else { as_text(bytes) }
}

fn too_large() -> Unread {
    Unread::Refused(format!("it has more than {} MiB", MOST_FILE >> 20))
}

fn as_text(bytes: Vec<u8>) -> Result<String, Unread> {
    String::from_utf8(bytes).map_err(|_| Unread::Refused("it is not UTF-8 text".to_owned()))
}
