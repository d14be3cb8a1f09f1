//! Remote repositories against git's own server programs, on loopback and through a stand-in for `ssh`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::git_server::{Door, serve};
use super::*;
use crate::model::Ancestry;
use crate::secret::Secret;

/// A repository that others push to.
struct Upstream {
    folder: tempfile::TempDir,
}

impl Upstream {
    fn new() -> Self {
        let upstream = Self { folder: tempfile::tempdir().unwrap() };
        upstream.git(&["init", "-q", "-b", "main", "."]);
        upstream.commit("one");
        upstream
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.folder.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, content: &str) -> InfraCommit {
        std::fs::write(self.folder.path().join("a.yaml"), content).unwrap();
        scratch::commit_all(self.folder.path(), content).unwrap()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn head(&self) -> InfraCommit {
        InfraCommit::new(self.git(&["rev-parse", "HEAD"]))
    }

    fn serve(&self, door: Door) -> String {
        serve(&self.path().join(".git"), door)
    }

    /// Every way to it.
    fn ways(&self) -> [(String, Credentials); 2] {
        let program = stand_in_for_ssh(self.path());
        let ssh = Credentials { ssh_program: Some(program), ..Credentials::default() };
        let address = format!("ssh://git@example.com{}", self.path().display());
        [(self.serve(Door::default()), Credentials::default()), (address, ssh)]
    }
}

fn open(url: &str, credentials: &Credentials, cache: Option<&Path>) -> Result<Source, GitError> {
    open_branch(url, None, credentials, cache)
}

fn open_branch(
    url: &str,
    branch: Option<&str>,
    credentials: &Credentials,
    cache: Option<&Path>,
) -> Result<Source, GitError> {
    let source = Source::open_at(&Location::parse(url).unwrap(), branch, "", credentials, cache)?;
    source.fetch()?;
    Ok(source)
}

fn token(token: &str) -> Credentials {
    Credentials { token: Some(Secret::Given(token.to_owned())), ..Credentials::default() }
}

#[test]
fn a_remote_is_cloned_shallow_and_followed() {
    let upstream = Upstream::new();
    let second = upstream.commit("two");
    let source = open(&upstream.serve(Door::default()), &Credentials::default(), None).unwrap();
    assert_eq!(source.head().unwrap().commit, second);
    assert_eq!(source.snapshot(&second).unwrap().files["a.yaml"], Ok("two".to_owned()));
    let third = upstream.commit("three");
    assert_eq!(source.head().unwrap().commit, second, "nothing moves without a fetch");
    source.fetch().unwrap();
    assert_eq!(source.head().unwrap().commit, third);
    assert_eq!(source.ancestry(&second, &third), Ancestry::Ancestor);
}

#[test]
fn a_shallow_clone_is_deepened_until_it_can_tell_who_came_first() {
    let upstream = Upstream::new();
    let commits: Vec<InfraCommit> = (0..60).map(|number| upstream.commit(&number.to_string())).collect();
    let source = open(&upstream.serve(Door::default()), &Credentials::default(), None).unwrap();
    let head = source.head().unwrap().commit;
    assert_eq!(source.known_ancestry(&commits[0], &head, 100), Ancestry::Unknown, "the clone has one commit");
    assert_eq!(source.ancestry(&commits[0], &head), Ancestry::Ancestor);
    assert_eq!(source.ancestry(&InfraCommit::new("1".repeat(40)), &head), Ancestry::NotAncestor);
}

#[test]
fn a_rewound_branch_is_recognised() {
    let upstream = Upstream::new();
    let second = upstream.commit("two");
    let source = open(&upstream.serve(Door::default()), &Credentials::default(), None).unwrap();
    upstream.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let other = upstream.commit("another two");
    source.fetch().unwrap();
    assert_eq!(source.head().unwrap().commit, other);
    assert_eq!(source.ancestry(&second, &other), Ancestry::NotAncestor);
}

#[test]
fn a_token_lets_in_and_a_wrong_one_is_refused_in_words() {
    let upstream = Upstream::new();
    // printf x-access-token:right | base64
    let door = Door { authorization: Some("eC1hY2Nlc3MtdG9rZW46cmlnaHQ="), ..Door::default() };
    let url = upstream.serve(door);
    assert!(open(&url, &token("right"), None).is_ok());
    let error = open(&url, &token("hunter2"), None).err().unwrap();
    let said = format!("{error} {error:?} {:?}", token("hunter2"));
    assert!(said.contains("it refused the credentials") && said.contains("TRUEUP_TOKEN"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_token_in_a_file_may_be_replaced_while_the_process_runs() {
    let upstream = Upstream::new();
    // printf x-access-token:right | base64
    let url = upstream.serve(Door { authorization: Some("eC1hY2Nlc3MtdG9rZW46cmlnaHQ="), ..Door::default() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "right\n").unwrap();
    let credentials = Credentials { token: Some(Secret::File(path.clone())), ..Credentials::default() };
    let source = open(&url, &credentials, None).unwrap();
    std::fs::write(&path, "expired\n").unwrap();
    assert!(source.fetch().unwrap_err().to_string().contains("it refused the credentials"));
    std::fs::remove_file(&path).unwrap();
    assert!(source.fetch().unwrap_err().to_string().contains("the token cannot be read: No such file"));
    std::fs::write(&path, "right\n").unwrap();
    source.fetch().unwrap();
}

#[test]
fn a_token_never_follows_a_redirect() {
    let upstream = Upstream::new();
    let elsewhere = Door::default();
    let other = upstream.serve(elsewhere.clone());
    // As GitLab does where `.git` is missing.
    let place = format!("{other}.git/info/refs?service=git-upload-pack");
    let url = upstream.serve(Door { moved_to: Some(place), ..Door::default() });
    let error = open(&url, &token("hunter2"), None).err().unwrap().to_string();
    let expected = format!("it has moved to {other}.git\n  hint  put the new address into the settings");
    assert!(error.contains(&expected), "{error}");
    assert_eq!(elsewhere.heard.lock().unwrap().len(), 0);
}

#[test]
fn what_is_not_there_is_said_in_words() {
    let upstream = Upstream::new();
    let url = upstream.serve(Door::default());
    let missing = url.replace("/infra", "/infra/nothing");
    let error = open(&missing, &Credentials::default(), None).err().unwrap().to_string();
    assert!(error.contains("no such repository"), "{error}");
    let error = open_branch(&url, Some("release"), &Credentials::default(), None).err().unwrap();
    assert_eq!(error.to_string(), "the repository has no branch release");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error =
        open(&format!("http://{nobody}/infra"), &Credentials::default(), None).err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot fetch http://{nobody}/infra: ")), "{error}");
}

/// What the newest commit says.
fn text(source: &Source) -> String {
    let snapshot = source.snapshot(&source.head().unwrap().commit).unwrap();
    snapshot.files["a.yaml"].clone().unwrap()
}

#[test]
fn a_cache_is_used_again() {
    let upstream = Upstream::new();
    let door = Door::default();
    let url = upstream.serve(door.clone());
    let cache = tempfile::tempdir().unwrap();
    drop(open(&url, &Credentials::default(), Some(cache.path())).unwrap());
    let asked = door.heard.lock().unwrap().len();
    drop(open(&url, &Credentials::default(), Some(cache.path())).unwrap());
    assert_eq!(door.heard.lock().unwrap().len(), asked + 1, "only where the branch is was asked");
}

/// Files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The clones in a cache folder.
fn clones(cache: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn pack(clone: &Path, extension: &str) -> PathBuf {
    let is_wanted = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    files_below(&clone.join("objects/pack")).into_iter().find(is_wanted).unwrap()
}

/// Packs are read-only.
fn overwrite(path: &Path, content: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, content).unwrap();
}

fn cut(path: &Path, to: usize) {
    let content = std::fs::read(path).unwrap();
    overwrite(path, &content[..to]);
}

fn flip(path: &Path, at: usize) {
    let mut content = std::fs::read(path).unwrap();
    content[at] ^= 0xff;
    overwrite(path, &content);
}

/// Whoever opens it waits for ever.
fn pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What is done on another thread, which may hang.
#[track_caller]
fn in_time<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(act()));
    told.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|_| panic!("{what}: it hangs"))
}

const TIP: &str = "refs/heads/trueup-fetched";
type Harm = (&'static str, fn(&Path));
const HARMS: [Harm; 32] = [
    ("no HEAD", |clone| std::fs::remove_file(clone.join("HEAD")).unwrap()),
    ("HEAD of garbage", |clone| std::fs::write(clone.join("HEAD"), "\0\0garbage").unwrap()),
    ("no config", |clone| std::fs::remove_file(clone.join("config")).unwrap()),
    ("config of garbage", |clone| std::fs::write(clone.join("config"), "[core\n\0=\"").unwrap()),
    ("config of another format", |clone| {
        std::fs::write(clone.join("config"), "[core]\nrepositoryformatversion = 9\n").unwrap();
    }),
    ("no objects", |clone| std::fs::remove_dir_all(clone.join("objects")).unwrap()),
    ("no pack", |clone| std::fs::remove_file(pack(clone, "pack")).unwrap()),
    ("no index of the pack", |clone| std::fs::remove_file(pack(clone, "idx")).unwrap()),
    ("empty pack", |clone| cut(&pack(clone, "pack"), 0)),
    ("truncated pack", |clone| cut(&pack(clone, "pack"), 60)),
    ("pack with a wrong byte", |clone| flip(&pack(clone, "pack"), 40)),
    ("truncated index", |clone| cut(&pack(clone, "idx"), 100)),
    ("index of garbage", |clone| overwrite(&pack(clone, "idx"), &[7; 2000])),
    ("no references", |clone| std::fs::remove_dir_all(clone.join("refs")).unwrap()),
    ("tip of garbage", |clone| std::fs::write(clone.join(TIP), "garbage").unwrap()),
    ("empty tip", |clone| std::fs::write(clone.join(TIP), "").unwrap()),
    ("tip that is not there", |clone| std::fs::write(clone.join(TIP), "1".repeat(40)).unwrap()),
    ("tip that is a folder", |clone| {
        std::fs::remove_file(clone.join(TIP)).unwrap();
        std::fs::create_dir_all(clone.join(TIP).join("x")).unwrap();
        std::fs::write(clone.join(TIP).join("x/y"), "1".repeat(40)).unwrap();
    }),
    ("locked tip", |clone| std::fs::write(clone.join(format!("{TIP}.lock")), "").unwrap()),
    ("locked history", |clone| std::fs::write(clone.join("shallow.lock"), "").unwrap()),
    ("history of garbage", |clone| std::fs::write(clone.join("shallow"), "garbage").unwrap()),
    ("no history", |clone| std::fs::remove_file(clone.join("shallow")).unwrap()),
    ("packed references of garbage", |clone| std::fs::write(clone.join("packed-refs"), "\0^x\n").unwrap()),
    ("pipe for HEAD", |clone| pipe(&clone.join("HEAD"))),
    ("pipe for config", |clone| pipe(&clone.join("config"))),
    ("pipe for the tip", |clone| pipe(&clone.join(TIP))),
    ("pipe for packed references", |clone| pipe(&clone.join("packed-refs"))),
    ("pipe for the history", |clone| pipe(&clone.join("shallow"))),
    ("pipe for an index", |clone| pipe(&pack(clone, "idx"))),
    ("pipe behind a link", |clone| {
        pipe(&clone.with_file_name("pipe"));
        std::fs::remove_file(clone.join("HEAD")).unwrap();
        std::os::unix::fs::symlink(clone.with_file_name("pipe"), clone.join("HEAD")).unwrap();
    }),
    ("socket", |clone| drop(std::os::unix::net::UnixListener::bind(clone.join("packed-refs")).unwrap())),
    ("all empty", |clone| {
        files_below(clone)
            .iter()
            .filter(|path| !path.ends_with("trueup-clone"))
            .for_each(|path| overwrite(path, b""));
    }),
];

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let there = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(there.parent().unwrap()).unwrap();
        std::fs::copy(&file, there).unwrap();
    }
}

#[test]
fn a_damaged_clone_is_thrown_away_and_fetched_anew() {
    let upstream = Upstream::new();
    let door = Door::default();
    let url = upstream.serve(door.clone());
    upstream.commit("two");
    let credentials = Credentials::default();
    let whole = tempfile::tempdir().unwrap();
    drop(open(&url, &credentials, Some(whole.path())).unwrap());
    for (harm, act) in HARMS {
        let cache = tempfile::tempdir().unwrap();
        copy(whole.path(), cache.path());
        act(&clones(cache.path())[0]);
        let (address, folder) = (url.clone(), cache.path().to_path_buf());
        let opened = in_time(harm, move || open(&address, &Credentials::default(), Some(&folder)));
        let source = opened.unwrap_or_else(|e| panic!("{harm}: {e:?}"));
        assert_eq!(source.head().unwrap().commit, upstream.head(), "{harm}");
        assert!(!text(&source).is_empty(), "{harm}");
        // What only writing meets, such as a lock, shows at the next commit.
        let next = upstream.commit(harm);
        source.fetch().unwrap_or_else(|error| panic!("{harm}: {error:?}"));
        assert_eq!((source.head().unwrap().commit, text(&source)), (next, harm.to_owned()));
        drop(source);
        // It is whole again: the next process asks where the branch is, and no more.
        let asked = door.heard.lock().unwrap().len();
        drop(open(&url, &credentials, Some(cache.path())).unwrap());
        assert_eq!(door.heard.lock().unwrap().len(), asked + 1, "{harm}");
        assert_eq!(clones(cache.path()).len(), 1, "{harm}");
    }
}

#[test]
fn damage_while_the_process_runs_is_mended_by_the_next_fetch() {
    let upstream = Upstream::new();
    let cache = tempfile::tempdir().unwrap();
    let source = open(&upstream.serve(Door::default()), &Credentials::default(), Some(cache.path())).unwrap();
    let clone = clones(cache.path()).remove(0);
    std::fs::remove_dir_all(clone.join("objects/pack")).unwrap();
    source.fetch().unwrap();
    assert!(source.head().is_err(), "there is no news, and nobody has read it since");
    source.fetch().unwrap();
    assert_eq!(text(&source), "one");
    pipe(&clone.join(TIP));
    let source = in_time("a pipe", move || source.fetch().map(|()| source)).unwrap();
    assert_eq!(text(&source), "one");
    assert!(clones(cache.path())[0].join(TIP).metadata().unwrap().is_file());
}

#[test]
fn what_is_damaged_at_the_other_side_is_fetched_anew_once_and_not_for_ever() {
    let upstream = Upstream::new();
    let door = Door::default();
    let source = open(&upstream.serve(door.clone()), &Credentials::default(), None).unwrap();
    door.garbles.store(true, Ordering::Relaxed);
    upstream.commit("two");
    let connections = || {
        let heard = std::mem::take(&mut *door.heard.lock().unwrap());
        heard.iter().filter(|head| head.starts_with("GET")).count()
    };
    connections();
    for expected in [4, 2, 2] {
        assert!(source.fetch().is_err());
        assert_eq!(connections(), expected, "one to ask and one to fetch; again for another clone");
        assert_eq!(text(&source), "one", "what was read last can still be read");
    }
    door.garbles.store(false, Ordering::Relaxed);
    source.fetch().unwrap();
    assert_eq!(text(&source), "two");
}

/// Answers each connection by a few lines and then `more`, again and again, until it is closed.
fn stubborn(start: &'static str, more: &'static [u8], pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/infra", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let mut goes_on = stream.write_all(start.as_bytes()).is_ok();
                while goes_on {
                    goes_on = stream.write_all(more).is_ok();
                    std::thread::park_timeout(pause);
                }
            });
        }
    });
    url
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\n\r\n001e# service=git-upload-pack\n0000";
const LINE: &str = "HTTP/1.1 200 OK\r\n\r\n001e# service=git-upload-pack\n0000fff0";
const REFERENCE: &[u8] = b"0040aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/feature\n";

fn bound(source: &Source, bounds: impl FnOnce(&mut trueup_git_transport::Bounds)) {
    source.remote.as_ref().unwrap().lock().unwrap().bounded(bounds);
}

fn unopened(url: &str, credentials: &Credentials) -> Source {
    Source::open_at(&Location::parse(url).unwrap(), None, "", credentials, None).unwrap()
}

#[test]
fn one_deadline_holds_for_a_whole_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let hung = program(folder.path(), "sleep 600; true");
    let drips = program(folder.path(), "printf fff0; while printf x; do sleep 0.05; done");
    let ssh = |program: &Path| Credentials { ssh_program: Some(program.into()), ..Credentials::default() };
    let often = Duration::from_millis(20);
    for (name, url, credentials) in [
        ("says nothing", stubborn("", b"", often), Credentials::default()),
        ("drips a header", stubborn("HTTP/1.1 200 OK\r\nx: ", b"x", often), Credentials::default()),
        ("drips", stubborn(LINE, b"x", often), Credentials::default()),
        ("ssh that says nothing", "ssh://h/x".to_owned(), ssh(&hung)),
        ("ssh that drips", "ssh://h/x".to_owned(), ssh(&drips)),
    ] {
        let source = unopened(&url, &credentials);
        bound(&source, |bounds| bounds.time = Duration::from_millis(300));
        let start = Instant::now();
        let error = source.fetch().unwrap_err().to_string();
        assert!(error.contains("it took longer than 0.3 s"), "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{name}");
    }
}

#[test]
fn a_list_of_references_without_an_end_is_cut_off() {
    let source = unopened(&stubborn(ANSWER, REFERENCE, Duration::ZERO), &Credentials::default());
    bound(&source, |bounds| bounds.references = 1 << 16);
    let error = source.fetch().unwrap_err().to_string();
    assert!(error.contains("its list of references has more than 65536 bytes"), "{error}");
}

#[test]
fn a_pack_that_is_too_large_is_cut_off() {
    let upstream = Upstream::new();
    for (url, credentials) in upstream.ways() {
        let source = unopened(&url, &credentials);
        bound(&source, |bounds| bounds.pack = 100);
        let error = source.fetch().unwrap_err().to_string();
        assert!(error.contains("its pack has more than 100 bytes"), "{url}: {error}");
    }
}

#[test]
fn what_was_too_large_and_was_taken_back_stops_nothing() {
    let upstream = Upstream::new();
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1 << 16).collect();
    for (url, credentials) in upstream.ways() {
        let source = open(&url, &credentials, None).unwrap();
        bound(&source, |bounds| bounds.pack = 1 << 15);
        std::fs::write(upstream.path().join("large"), &noise).unwrap();
        upstream.commit("x");
        let error = source.fetch().unwrap_err().to_string();
        assert!(error.contains("its pack has more than 32768 bytes"), "{url}: {error}");
        assert_ne!(text(&source), "x", "{url}: what was read last");
        std::fs::remove_file(upstream.path().join("large")).unwrap();
        upstream.commit(&url);
        source.fetch().unwrap();
        assert_eq!(text(&source), url);
    }
}

/// The bytes of all files below a folder.
fn bytes_below(folder: &Path) -> u64 {
    files_below(folder).iter().map(|file| file.metadata().unwrap().len()).sum()
}

#[test]
fn large_files_stay_where_they_are_where_the_host_can_leave_them_out() {
    let upstream = Upstream::new();
    upstream.git(&["config", "uploadpack.allowFilter", "true"]);
    let mut random = fastrand::Rng::with_seed(1);
    let large: Vec<u8> = std::iter::repeat_with(|| random.u8(b'a'..=b'z')).take(3 << 20).collect();
    for name in ["one.yaml", "two.yaml", "three.bin"] {
        std::fs::write(upstream.path().join(name), [name.as_bytes(), &large].concat()).unwrap();
    }
    for (url, credentials) in upstream.ways() {
        let cache = tempfile::tempdir().unwrap();
        upstream.commit(&url);
        let source = open(&url, &credentials, Some(cache.path())).unwrap();
        for content in ["x", "y"] {
            let snapshot = source.snapshot(&source.head().unwrap().commit).unwrap();
            assert_eq!(snapshot.files["one.yaml"], Err("it has more than 1 MiB".to_owned()));
            assert_eq!(snapshot.damage, None);
            assert!(bytes_below(cache.path()) < 1 << 20, "{}", bytes_below(cache.path()));
            // A file that is no longer too large comes, though it may be stored as a difference to what was left out.
            std::fs::write(upstream.path().join("two.yaml"), &large[..1 << 19]).unwrap();
            upstream.commit(content);
            source.fetch().unwrap();
            assert_eq!(text(&source), content);
            let snapshot = source.snapshot(&source.head().unwrap().commit).unwrap();
            assert_eq!(snapshot.files["two.yaml"].as_ref().map(String::len), Ok(1 << 19));
        }
    }
}

#[test]
fn what_was_read_last_can_be_read_while_a_fetch_hangs_and_a_stop_ends_it() {
    let upstream = Upstream::new();
    let door = Door::default();
    let source = open(&upstream.serve(door.clone()), &Credentials::default(), None).unwrap();
    let source = Arc::new(source.deepening(Deepening::WithTheNextFetch));
    door.hangs.store(true, Ordering::Relaxed);
    door.heard.lock().unwrap().clear();
    let fetch = std::thread::spawn({
        let source = Arc::clone(&source);
        move || source.fetch()
    });
    while door.heard.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(text(&source), "one");
    let head = source.head().unwrap().commit;
    assert_eq!(source.ancestry(&head, &head), Ancestry::Ancestor);
    source.stop();
    let error = fetch.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("stopped"), "{error}");
}

#[test]
fn who_never_waits_gets_an_answer_about_ancestors_after_the_next_fetches() {
    let upstream = Upstream::new();
    let commits: Vec<InfraCommit> = (0..60).map(|number| upstream.commit(&number.to_string())).collect();
    let source = open(&upstream.serve(Door::default()), &Credentials::default(), None).unwrap();
    let source = source.deepening(Deepening::WithTheNextFetch);
    let head = source.head().unwrap().commit;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push((source.ancestry(&commits[0], &head), source.asks_for_more()));
        source.fetch().unwrap();
    }
    let unknown = (Ancestry::Unknown, true);
    assert_eq!(answers, [unknown, unknown, (Ancestry::Ancestor, false)]);
}

#[test]
fn what_the_other_side_says_is_bounded_and_without_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let said =
        "printf '\\033]52;c;x\\007 no\\nentry \\342\\200\\256' >&2; head -c 5000 /dev/zero | tr '\\0' x >&2";
    let program = program(folder.path(), said);
    let credentials = Credentials { ssh_program: Some(program), ..Credentials::default() };
    let error = unopened("ssh://h/x", &credentials).fetch().unwrap_err().to_string();
    assert!(error.contains("no entry"), "{error}");
    assert!(error.len() < 600, "{error}");
    let (first, _) = error.split_once('\n').unwrap();
    assert!(!first.chars().any(|c| c.is_control() || c == '\u{202e}'), "{error:?}");
}

#[test]
fn an_address_that_a_redirect_names_is_shown_without_its_secrets() {
    let upstream = Upstream::new();
    let place = "https://me:hunter2@h/x.git/info/refs?private_token=hunter2".to_owned();
    let url = upstream.serve(Door { moved_to: Some(place), ..Door::default() });
    let error = open(&url, &Credentials::default(), None).err().unwrap().to_string();
    assert!(error.contains("it has moved to https://h/x.git\n") && !error.contains("hunter2"), "{error}");
}

#[test]
fn ssh_is_the_systems_program_with_the_given_key() {
    let upstream = Upstream::new();
    let folder = tempfile::tempdir().unwrap();
    let program = stand_in_for_ssh(folder.path());
    let credentials = Credentials {
        ssh_key: Some("/keys/deploy".into()),
        ssh_program: Some(program),
        ..Credentials::default()
    };
    let url = format!("ssh://git@example.com:2222{}", upstream.path().display());
    let source = open(&url, &credentials, None).unwrap();
    let second = upstream.commit("two");
    source.fetch().unwrap();
    assert_eq!(source.head().unwrap().commit, second);
    let said = std::fs::read_to_string(folder.path().join("arguments")).unwrap();
    for expected in ["BatchMode=yes", "-i /keys/deploy", "-p 2222 git@example.com git-upload-pack"] {
        assert!(said.contains(expected), "{said}");
    }
}

/// Writes down its arguments and runs the command on this machine.
fn stand_in_for_ssh(folder: &Path) -> PathBuf {
    let log = folder.join("arguments");
    program(folder, &format!("echo \"$@\" >> {}\nfor last; do :; done\nexec sh -c \"$last\"", log.display()))
}

fn program(folder: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join(format!("ssh-{}", script.len()));
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}
