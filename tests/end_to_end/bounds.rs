//! A repository whose writers want the controller to end: it stays small, says what it does not read, and goes on with
//! everything else.

use std::ffi::OsStr;
use std::process::Stdio;

use git2::{ObjectType, Oid, Repository};

use crate::git_server::{Door, serve};
use crate::health::{get, serving_from, serving_within};
use crate::restart::until;
use crate::rig::Rig;

/// MiB of memory that a process has needed at most.
fn peak(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
}

fn tree(repository: &Repository, entries: &[(String, i32, Oid)]) -> Oid {
    let mut builder = repository.treebuilder(None).unwrap();
    for (name, mode, id) in entries {
        builder.insert(name, *id, *mode).unwrap();
    }
    builder.write().unwrap()
}

/// A file of so many zeros, which git stores in next to nothing.
fn zeros(rig: &Rig, mebibytes: usize) -> Oid {
    let script = format!("head -c {mebibytes}M /dev/zero | git hash-object -w --stdin");
    let mut command = std::process::Command::new("sh");
    let output = command.args(["-c", &script]).current_dir(rig.folder.path()).stderr(Stdio::null()).output();
    Oid::from_str(String::from_utf8(output.unwrap().stdout).unwrap().trim()).unwrap()
}

/// A commit on top of the newest one, with more in its tree.
fn commit_with(rig: &Rig, more: &[(String, i32, Oid)]) {
    let repository = Repository::open(rig.folder.path()).unwrap();
    let head = repository.head().unwrap().peel_to_commit().unwrap();
    let there = head.tree().unwrap();
    let there = there.iter().map(|entry| (entry.name().unwrap().to_owned(), entry.filemode(), entry.id()));
    let entries: Vec<(String, i32, Oid)> = there.chain(more.iter().cloned()).collect();
    let root = repository.find_tree(tree(&repository, &entries)).unwrap();
    let author = git2::Signature::now("t", "t@example.com").unwrap();
    repository.commit(Some("HEAD"), &author, &author, "hostile", &root, &[&head]).unwrap();
}

const FILE: i32 = 0o100_644;
const FOLDER: i32 = 0o40_000;

/// Ten folders of ten folders, ten levels of it, around a file.
fn folders_of_folders(repository: &Repository, file: Oid) -> Oid {
    let level = |inner: Oid, mode: i32, extension: &str| {
        let entries: Vec<_> = (0..10).map(|number| (format!("{number}{extension}"), mode, inner)).collect();
        tree(repository, &entries)
    };
    (0..9).fold(level(file, FILE, ".yaml"), |inner, _| level(inner, FOLDER, ""))
}

fn deep_folders(repository: &Repository, levels: usize) -> Oid {
    let bottom = tree(repository, &[]);
    (0..levels).fold(bottom, |inner, _| {
        let entry = [b"40000 d\0".as_slice(), inner.as_bytes()].concat();
        repository.odb().unwrap().write(ObjectType::Tree, &entry).unwrap()
    })
}

/// One value, filled ten times into the next, ten times over.
fn fills_itself(rig: &Rig) {
    let values: Vec<String> =
        (0..10).map(|level| format!("A{level}: \"{}\"", format!("<A{}>", level + 1).repeat(10))).collect();
    let template = "{\"family\": \"mco-bomb\", \"containerDefinitions\": [{\"name\": \"api\", \"memory\": 64, \"image\": \"<IMAGE_NAME>\", \"command\": [\"<A0>\"]}]}";
    rig.write("bomb.json", template);
    rig.write(
        "bomb.yaml",
        "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: bomb}\nspec:\n  repository: mco/api\n  service: mco-bomb\n  taskDefinition: bomb.json\n",
    );
    rig.write(
        "bomb-test.yaml",
        &format!("apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: bomb}}\nspec:\n  cluster: mco\n  applications:\n    bomb: {{ commit: aaaaaaa, values: {{{}}} }}\n", values.join(", ")),
    );
}

/// Folders that have no end, or next to none.
fn folders(rig: &Rig, depth: usize) -> Vec<(String, i32, Oid)> {
    let repository = Repository::open(rig.folder.path()).unwrap();
    let small = repository.blob(b"x: 1\n").unwrap();
    let many: Vec<_> = (0..60_000).map(|number| (format!("{number:06}"), FILE, small)).collect();
    vec![
        ("z-folders".to_owned(), FOLDER, folders_of_folders(&repository, small)),
        ("y-deep".to_owned(), FOLDER, deep_folders(&repository, depth)),
        ("x-many".to_owned(), FOLDER, tree(&repository, &many)),
    ]
}

/// Files that git stores in next to nothing.
fn large_files(rig: &Rig) -> Vec<(String, i32, Oid)> {
    let others = (0..3).map(|n| (format!("binary-{n}"), FILE, zeros(rig, 80 + n)));
    others.chain([("zeros.yaml".to_owned(), FILE, zeros(rig, 160))]).collect()
}

/// A controller with so little address space that it ends where it reads, unpacks or follows what it should not.
struct Small<'r> {
    rig: &'r Rig,
    process: crate::restart::Controller,
    served: String,
    before: usize,
}

impl<'r> Small<'r> {
    fn start(rig: &'r Rig, repository: impl AsRef<OsStr>) -> Self {
        let (process, served) =
            serving_within("ulimit -v 524288; export MALLOC_ARENA_MAX=2", rig, repository);
        until("readiness", || get(&format!("{served}/readyz")).0 == 200);
        let before = peak(process.0.id());
        Self { rig, process, served, before }
    }

    /// The next commit of the application is deployed, whatever else there is.
    #[track_caller]
    fn goes_on(&self, commit: &str, beside: &[(String, i32, Oid)]) {
        let deployments = self.rig.deployments();
        self.rig.build(commit);
        self.rig.declare(commit);
        commit_with(self.rig, beside);
        until(commit, || self.rig.deployments() > deployments);
    }

    #[track_caller]
    fn ends_small(self) {
        let (before, after) = (self.before, peak(self.process.0.id()));
        assert!(after < 128 && after - before < 40, "{before} MiB before, {after} MiB after");
        assert_eq!(get(&format!("{}/livez", self.served)).0, 200);
        crate::stopping::ends_well(self.process);
    }
}

#[test]
fn a_hostile_folder_costs_little_memory_and_stops_nobody_else() {
    let rig = Rig::new();
    let small = Small::start(&rig, rig.folder.path());
    fills_itself(&rig);
    small.goes_on("bbbbbbb", &[]);
    small.goes_on("ccccccc", &[folders(&rig, 150_000), large_files(&rig)].concat());
    small.ends_small();
}

#[test]
fn a_hostile_repository_costs_little_memory_and_stops_nobody_else() {
    let rig = Rig::new();
    // As the large hosts have it.
    rig.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = serve(&rig.folder.path().join(".git"), Door::default());
    let small = Small::start(&rig, &url);
    // Git's own server does not survive deeper ones.
    small.goes_on("bbbbbbb", &[folders(&rig, 2000), large_files(&rig)].concat());
    small.ends_small();
}

#[test]
fn sweeps_go_on_while_the_repository_hangs() {
    let rig = Rig::new();
    let door = Door::default();
    let url = serve(&rig.folder.path().join(".git"), door.clone());
    let cache = tempfile::tempdir().unwrap();
    let settings = [("TRUEUP_CACHE", cache.path().to_str().unwrap()), ("TRUEUP_POLL_INTERVAL", "5s")];
    let (process, served) = serving_from(&rig, &url, &settings);
    until("readiness", || get(&format!("{served}/readyz")).0 == 200);
    door.hangs.store(true, std::sync::atomic::Ordering::Relaxed);
    door.heard.lock().unwrap().clear();
    until("a fetch that hangs", || !door.heard.lock().unwrap().is_empty());
    let sweeps = || {
        let metrics = get(&format!("{served}/metrics")).1;
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("trueup_sweeps_total ").map(str::to_owned));
        line.unwrap_or_default()
    };
    let before = sweeps();
    until("another sweep", || sweeps() != before);
    drop(process);
    // A new process looks with what the cache holds.
    let (process, served) = serving_from(&rig, &url, &settings);
    until("readiness", || get(&format!("{served}/readyz")).0 == 200);
    crate::stopping::ends_well(process);
}
