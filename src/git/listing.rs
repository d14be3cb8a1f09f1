//! What is below the watched path, by name: of a commit by the ids of its trees, or of the working tree. Nothing of a
//! file is read for it, no link is followed, and nothing here calls itself.
//!
//! Whoever can push decides what is there: trees a thousand levels deep, or ten trees of ten trees that are ten trees,
//! which costs them a kilobyte. Every bound that is exceeded is one finding, and the rest is read without it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use git2::{ObjectType, Oid, Repository};

use crate::manifest::{MOST_NODES, is_document};
use crate::model::{Finding, Position, Severity};

/// Levels of folders below the watched path.
pub(super) const MOST_DEPTH: usize = 32;
/// Folders that are looked into, the nearest first. Each is a tree of git, and read in some 50 microseconds.
pub(super) const MOST_FOLDERS: usize = 10_000;
/// Files that are seen, of which only a part is read.
pub(super) const MOST_ENTRIES: usize = 50_000;
/// Bytes of all paths that are seen: each is kept until the files are read.
pub(super) const MOST_NAMES: usize = 8 << 20;
/// Bytes of one path.
pub(super) const MOST_PATH: usize = 1024;
/// Bytes of one tree of git, which is unpacked as a whole: enough for as many entries as are seen.
pub(super) const MOST_TREE: usize = 4 << 20;
/// Files that are read: two for each of ten thousand applications.
pub(super) const MOST_FILES: usize = 20_000;
/// Bytes of one file.
pub(super) const MOST_FILE: usize = 1 << 20;
/// Bytes of all files that are read: some 3 KiB for each of ten thousand applications.
pub(super) const MOST_BYTES: usize = 32 << 20;

/// A bound on what is read of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bound {
    Depth,
    Folders,
    Entries,
    Names,
    Path,
    Tree,
    Files,
    Bytes,
    Nodes,
}

impl Bound {
    fn text(self) -> String {
        match self {
            Self::Depth => format!("more than {MOST_DEPTH} levels of folders"),
            Self::Folders => format!("more than {MOST_FOLDERS} folders"),
            Self::Entries => format!("more than {MOST_ENTRIES} files"),
            Self::Names => format!("paths of more than {} MiB in all", MOST_NAMES >> 20),
            Self::Path => format!("a path of more than {MOST_PATH} bytes"),
            Self::Tree => format!("a folder whose list has more than {} MiB", MOST_TREE >> 20),
            Self::Files => format!("more than {MOST_FILES} files to be read"),
            Self::Nodes => format!("more than {MOST_NODES} keys and values in all documents"),
            Self::Bytes => format!("more than {} MiB to be read", MOST_BYTES >> 20),
        }
    }
}

/// The bounds that were exceeded: where first, and how often.
#[derive(Default)]
pub(super) struct Exceeded(BTreeMap<Bound, (String, usize)>);

impl Exceeded {
    pub(super) fn note(&mut self, bound: Bound, place: &str) {
        let place = place.trim_end_matches('/').chars().take(MOST_PATH).collect();
        self.0.entry(bound).or_insert((place, 0)).1 += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One for each bound.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.0.iter().map(|(bound, (place, times))| finding(*bound, place, *times)).collect()
    }
}

fn finding(bound: Bound, place: &str, times: usize) -> Finding {
    let skipped = match (bound, times) {
        (Bound::Folders | Bound::Entries | Bound::Names | Bound::Files | Bound::Bytes, _) => {
            "this and all that comes after it is skipped".to_owned()
        }
        (_, 1) => "it is skipped".to_owned(),
        (_, times) => format!("it is skipped, and {} more like it", times - 1),
    };
    Finding {
        severity: Severity::Error,
        position: Position { file: place.to_owned(), line: 0, column: 0 },
        field: String::new(),
        message: format!("the repository has {} below the watched path: {skipped}", bound.text()),
        hint: Some("watch a folder with `repository.path` that holds the infrastructure alone".to_owned()),
        excerpt: None,
        targets: Vec::new(),
    }
}

/// What was found, before anything is read; `At` is where the content of a file is.
pub(super) struct Listing<At> {
    pub(super) files: BTreeMap<String, Entry<At>>,
    pub(super) exceeded: Exceeded,
    /// Folders that cannot be read, and why.
    pub(super) unreadable: BTreeMap<String, String>,
    folders: usize,
    names: usize,
}

pub(super) enum Entry<At> {
    File(At),
    /// Why it will not be read.
    Other(&'static str),
}

/// A folder that waits to be looked into. The path ends with a slash, unless it is empty.
struct Folder<At> {
    path: String,
    depth: usize,
    at: At,
}

/// Whether there is room for more.
#[derive(PartialEq, Eq)]
enum Room {
    Left,
    Spent,
}

impl<At> Listing<At> {
    fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            exceeded: Exceeded::default(),
            unreadable: BTreeMap::new(),
            folders: 0,
            names: 0,
        }
    }

    fn enter(&mut self, path: &str) -> Room {
        self.folders += 1;
        if self.folders <= MOST_FOLDERS {
            return Room::Left;
        }
        self.exceeded.note(Bound::Folders, path);
        Room::Spent
    }

    /// Counts a path, and tells whether it may be kept; `None`: it alone is passed over.
    fn name(&mut self, folder: &str, name: &str) -> Result<Option<String>, Room> {
        if folder.len() + name.len() > MOST_PATH {
            self.exceeded.note(Bound::Path, folder);
            return Ok(None);
        }
        self.names += folder.len() + name.len();
        if self.names > MOST_NAMES {
            self.exceeded.note(Bound::Names, folder);
            return Err(Room::Spent);
        }
        Ok(Some(format!("{folder}{name}")))
    }

    fn add(&mut self, path: String, entry: Entry<At>) -> Room {
        if self.files.len() >= MOST_ENTRIES {
            self.exceeded.note(Bound::Entries, &path);
            return Room::Spent;
        }
        self.files.insert(path, entry);
        Room::Left
    }

    fn wait(&mut self, waiting: &mut VecDeque<Folder<At>>, parent: usize, path: &str, at: At) {
        if parent == MOST_DEPTH {
            self.exceeded.note(Bound::Depth, path);
        } else {
            waiting.push_back(Folder { path: format!("{path}/"), depth: parent + 1, at });
        }
    }
}

/// The files below a tree, the nearest first: what is deep cannot keep from being read what is not.
pub(super) fn of_tree(repository: &Repository, root: Oid) -> Listing<Oid> {
    let mut listing = Listing::new();
    let mut waiting = VecDeque::from([Folder { path: String::new(), depth: 0, at: root }]);
    while let Some(folder) = waiting.pop_front() {
        if listing.enter(&folder.path) == Room::Spent {
            break;
        }
        if list_tree(repository, &folder, &mut listing, &mut waiting) == Room::Spent {
            break;
        }
    }
    listing
}

fn list_tree(
    repository: &Repository,
    folder: &Folder<Oid>,
    listing: &mut Listing<Oid>,
    waiting: &mut VecDeque<Folder<Oid>>,
) -> Room {
    let tree = match tree(repository, folder.at) {
        Ok(tree) => tree,
        Err(TreeError::TooLarge) => {
            listing.exceeded.note(Bound::Tree, &folder.path);
            return Room::Left;
        }
        Err(TreeError::Unreadable(error)) => {
            let path = folder.path.trim_end_matches('/').to_owned();
            listing.unreadable.insert(path, error.message().to_owned());
            return Room::Left;
        }
    };
    for entry in &tree {
        let path = match listing.name(&folder.path, &String::from_utf8_lossy(entry.name_bytes())) {
            Ok(Some(path)) => path,
            Ok(None) => continue,
            Err(room) => return room,
        };
        let found = match (entry.kind(), entry.filemode()) {
            (Some(ObjectType::Tree), _) => {
                listing.wait(waiting, folder.depth, &path, entry.id());
                continue;
            }
            (_, 0o100_644 | 0o100_755 | 0o100_664) => Entry::File(entry.id()),
            (_, 0o120_000) => Entry::Other("it is a symbolic link"),
            _ => Entry::Other("it is no regular file"),
        };
        if listing.add(path, found) == Room::Spent {
            return Room::Spent;
        }
    }
    Room::Left
}

pub(super) enum TreeError {
    TooLarge,
    Unreadable(git2::Error),
}

/// A tree, whose size is known before it is unpacked.
pub(super) fn tree(repository: &Repository, id: Oid) -> Result<git2::Tree<'_>, TreeError> {
    let header = repository.odb().and_then(|objects| objects.read_header(id));
    match header.map_err(TreeError::Unreadable)? {
        (size, ObjectType::Tree) if size > MOST_TREE => Err(TreeError::TooLarge),
        _ => repository.find_tree(id).map_err(TreeError::Unreadable),
    }
}

/// The files of the working tree, uncommitted changes included; what git ignores is left out.
pub(super) fn of_working_tree(repository: &Repository, root: &Path) -> std::io::Result<Listing<()>> {
    let mut listing = Listing::new();
    let mut waiting = VecDeque::from([Folder { path: String::new(), depth: 0, at: () }]);
    while let Some(folder) = waiting.pop_front() {
        if listing.enter(&folder.path) == Room::Spent {
            break;
        }
        if list_folder(repository, root, &folder, &mut listing, &mut waiting)? == Room::Spent {
            break;
        }
    }
    Ok(listing)
}

fn list_folder(
    repository: &Repository,
    root: &Path,
    folder: &Folder<()>,
    listing: &mut Listing<()>,
    waiting: &mut VecDeque<Folder<()>>,
) -> std::io::Result<Room> {
    for entry in std::fs::read_dir(root.join(&folder.path))? {
        let entry = entry?;
        if entry.file_name() == ".git" || repository.is_path_ignored(entry.path()).unwrap_or(false) {
            continue;
        }
        let path = match listing.name(&folder.path, &entry.file_name().to_string_lossy()) {
            Ok(Some(path)) => path,
            Ok(None) => continue,
            Err(room) => return Ok(room),
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            listing.wait(waiting, folder.depth, &path, ());
            continue;
        }
        let found = if kind.is_file() { Entry::File(()) } else { Entry::Other("it is no regular file") };
        if listing.add(path, found) == Room::Spent {
            return Ok(Room::Spent);
        }
    }
    Ok(Room::Left)
}

impl<At> Listing<At> {
    /// The files that are read whatever the documents say.
    pub(super) fn documents(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|path| is_document(path))
    }
}
