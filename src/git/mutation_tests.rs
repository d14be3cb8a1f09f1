//! Trees that no git program would make. Whoever can push can make them: reading them ends, within the bounds, and
//! reads what is well beside them.

use std::time::{Duration, Instant};

use git2::{ObjectType, Oid, Repository};

use super::listing::{
    MOST_BYTES, MOST_DEPTH, MOST_ENTRIES, MOST_FILE, MOST_FILES, MOST_FOLDERS, MOST_NAMES, MOST_PATH,
    MOST_TREE,
};
use super::remote::{BOUNDS, DEPTHS};
use super::*;

struct Store {
    folder: tempfile::TempDir,
    repository: Repository,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        Self { folder, repository }
    }

    fn write(&self, kind: ObjectType, content: &[u8]) -> Oid {
        self.repository.odb().unwrap().write(kind, content).unwrap()
    }

    fn blob(&self, content: &str) -> Oid {
        self.write(ObjectType::Blob, content.as_bytes())
    }

    fn tree(&self, entries: &[(&str, &str, Oid)]) -> Oid {
        self.write(ObjectType::Tree, &tree_text(entries))
    }

    fn read(&self, root: Oid) -> Result<Snapshot, GitError> {
        let text = format!("tree {root}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx\n");
        let commit = self.write(ObjectType::Commit, text.as_bytes());
        let source = Source::open(self.folder.path(), None, "").unwrap();
        source.snapshot(&InfraCommit::new(commit.to_string()))
    }

    /// The messages about what is in `root` beside one good file, which is read in any case.
    #[track_caller]
    fn findings_beside(&self, name: &str, mode: &str, id: Oid) -> Vec<String> {
        let good = self.blob("good");
        let snapshot = self.read(self.tree(&[("100644", "a.yaml", good), (mode, name, id)])).unwrap();
        assert_eq!(snapshot.files["a.yaml"], Ok("good".to_owned()));
        snapshot.findings.iter().map(ToString::to_string).collect()
    }
}

fn tree_text(entries: &[(&str, &str, Oid)]) -> Vec<u8> {
    let entry = |(mode, name, id): &(&str, &str, Oid)| {
        [format!("{mode} {name}\0").as_bytes(), id.as_bytes()].concat()
    };
    entries.iter().flat_map(entry).collect()
}

const FILE: &str = "100644";
const FOLDER: &str = "40000";

#[test]
fn ten_trees_of_ten_trees_end() {
    let store = Store::new();
    let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    for bottom in [store.tree(&[]), store.tree(&[(FILE, "x.yaml", store.blob("x"))])] {
        let level = |inner: Oid| {
            let entries: Vec<_> = names.iter().map(|name| (FOLDER, name.as_str(), inner)).collect();
            store.tree(&entries)
        };
        let root = (0..10).fold(bottom, |inner, _| level(inner));
        let findings = store.findings_beside("b", FOLDER, root);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("more than 10000 folders below the watched path"), "{findings:?}");
    }
}

#[test]
fn folders_in_folders_end() {
    let store = Store::new();
    let deep = |levels: usize| {
        let bottom = store.tree(&[(FILE, "x.yaml", store.blob("x"))]);
        (1..levels).fold(bottom, |inner, _| store.tree(&[(FOLDER, "d", inner)]))
    };
    assert_eq!(store.findings_beside("d", FOLDER, deep(MOST_DEPTH)), [""; 0]);
    let findings = store.findings_beside("d", FOLDER, deep(MOST_DEPTH + 1));
    assert!(findings[0].starts_with("error: d/d/d/") && findings[0].contains("32 levels"), "{findings:?}");
    let findings = store.findings_beside("d", FOLDER, deep(3000));
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[test]
fn more_than_is_read_is_one_finding() {
    let store = Store::new();
    let file = store.blob("x");
    let large = store.blob(&"x".repeat(1 << 20));
    let many = |count: usize, extension: &str, id: Oid| {
        let names: Vec<String> = (0..count).map(|number| format!("{number:06}.{extension}")).collect();
        store.tree(&names.iter().map(|name| (FILE, name.as_str(), id)).collect::<Vec<_>>())
    };
    let long = "n".repeat(1010);
    let long = store.tree(&[(FILE, long.as_str(), file)]);
    for (id, expected) in [
        (many(MOST_ENTRIES, "txt", file), "more than 50000 files"),
        (many(MOST_FILES, "yaml", file), "more than 20000 files to be read"),
        (many((MOST_BYTES >> 20) + 1, "yaml", large), "more than 32 MiB to be read"),
        (
            store.write(ObjectType::Tree, &vec![b'1'; (4 << 20) + 1]),
            "a folder whose list has more than 4 MiB",
        ),
        (long, "a path of more than 1024 bytes"),
    ] {
        let findings = store.findings_beside("some-long-name", FOLDER, id);
        assert!(findings.len() == 1 && findings[0].contains(expected), "{expected}: {findings:?}");
    }
}

#[test]
fn only_documents_and_what_they_name_are_read_and_never_before_their_size_is_known() {
    let store = Store::new();
    let missing = Oid::from_str(&"1".repeat(40)).unwrap();
    let document =
        "apiVersion: trueup.dev/v1\nspec: {a: named.json, b: large.json, c: gone.json, d: tree.json}\n";
    let large = store.blob(&" ".repeat(40 << 20));
    let text = store.blob("{}");
    let root = store.tree(&[
        (FILE, "a.yaml", store.blob(document)),
        (FILE, "binary", missing),
        (FILE, "gone.json", missing),
        (FILE, "huge.yaml", large),
        (FILE, "large.json", large),
        (FILE, "named.json", text),
        (FILE, "other.json", text),
        (FILE, "tree.json", store.tree(&[])),
    ]);
    let snapshot = store.read(root).unwrap();
    let text = |path: &str| snapshot.files[path].clone();
    let refused = |why: &str| Err(why.to_owned());
    assert_eq!(text("named.json"), Ok("{}".to_owned()));
    assert_eq!(text("other.json"), refused("no document names it"));
    assert_eq!(text("binary"), refused("no document names it"));
    assert_eq!(text("huge.yaml"), refused("it has more than 1 MiB"));
    assert_eq!(text("large.json"), refused("it has more than 1 MiB"));
    assert_eq!(text("tree.json"), refused("it is a tree, not a file"));
    assert!(text("gone.json").unwrap_err().contains("not found"));
    assert!(snapshot.damage.unwrap().starts_with("gone.json: "));
}

#[test]
fn a_commit_that_is_too_large_is_not_unpacked() {
    let store = Store::new();
    let text = format!("tree {}\n{}", store.tree(&[]), "x".repeat(2 << 20));
    let commit = store.write(ObjectType::Commit, text.as_bytes());
    let source = Source::open(store.folder.path(), None, "").unwrap();
    let error = source.snapshot(&InfraCommit::new(commit.to_string())).unwrap_err().to_string();
    assert_eq!(error, format!("the commit {commit} has more than 1048576 bytes"));
}

#[test]
fn the_documentation_names_every_bound() {
    let page = include_str!("../../docs/settings.md");
    let mebibytes = |bytes: usize| format!("{} MiB", bytes >> 20);
    for (bound, value) in [
        ("levels of folders below the watched path", MOST_DEPTH.to_string()),
        ("folders", MOST_FOLDERS.to_string()),
        ("files that are listed", MOST_ENTRIES.to_string()),
        ("bytes of a path", MOST_PATH.to_string()),
        ("bytes of all paths", mebibytes(MOST_NAMES)),
        ("bytes of the list of one folder", mebibytes(MOST_TREE)),
        ("files that are read: `*.yaml`, `*.yml`, and those that documents name", MOST_FILES.to_string()),
        ("bytes of one file", mebibytes(MOST_FILE)),
        ("bytes of all files that are read", mebibytes(MOST_BYTES)),
        ("keys and values of all documents", crate::manifest::MOST_NODES.to_string()),
        ("bytes of one commit", mebibytes(MOST_COMMIT_BYTES)),
        ("memory for unpacking git objects", mebibytes(memory::MOST_BYTES)),
        ("objects of one fetch", memory::MOST_OBJECTS.to_string()),
        ("time of one fetch, over HTTPS and SSH", format!("{} s", BOUNDS.time.as_secs())),
        ("bytes of the list of references", format!("{} MiB", BOUNDS.references >> 20)),
        ("bytes of one fetch", format!("{} MiB", BOUNDS.pack >> 20)),
        (
            "commits of history that a shallow clone is deepened to",
            DEPTHS.map(|depth| depth.to_string()).join(", "),
        ),
    ] {
        let row = format!("| {bound} | {value} |");
        assert!(page.contains(&row), "docs/settings.md has no row {row}");
    }
}

#[test]
fn mutated_trees_are_read_within_bounds() {
    crate::fuzz::seeds("git trees", 50).for_each(mutated);
}

/// A dozen trees that hold each other, with wrong bytes in them.
fn mutated(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let store = Store::new();
    let document = "apiVersion: trueup.dev/v1\nspec: {a: b.json, c: ../d.yaml, e: d/b.json}\n";
    let mut known = vec![store.blob(document), store.blob("\u{0}"), store.tree(&[])];
    for _ in 0..12 {
        let count = random.usize(0..8);
        let entries: Vec<(&str, &str, Oid)> = (0..count)
            .map(|_| {
                let modes = ["40000", "100644", "100755", "120000", "160000", "777", "0", "99999999999"];
                let names = ["a.yaml", "b.json", "d", "..", "", ".git", "a/b.yaml", "\u{202e}.yml", "d.yaml"];
                (
                    modes[random.usize(..modes.len())],
                    names[random.usize(..names.len())],
                    known[random.usize(..known.len())],
                )
            })
            .collect();
        let mut text = tree_text(&entries);
        if random.bool() && !text.is_empty() {
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..text.len());
                match random.u8(0..3) {
                    0 => text[at] = random.u8(..),
                    1 => text.truncate(at + 1),
                    _ => text.insert(at, random.u8(..)),
                }
            }
        }
        known.push(store.write(ObjectType::Tree, &text));
    }
    let start = Instant::now();
    if let Ok(Snapshot { files, findings, .. }) = store.read(known[known.len() - 1]) {
        let bytes: usize = files.values().flatten().map(String::len).sum();
        assert!(files.len() <= MOST_ENTRIES && bytes <= MOST_BYTES && findings.len() < 1000);
        crate::manifest::read(&files, None, &|_, _| Vec::new());
    }
    assert!(start.elapsed() < Duration::from_mins(1), "no reading takes so long");
}
