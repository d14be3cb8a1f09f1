//! Remote repositories against git's own server programs, on loopback and through a stand-in for `ssh`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use super::*;

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
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", content]);
        InfraCommit::new(self.git(&["rev-parse", "HEAD"]))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// What the server asks of its callers.
#[derive(Clone, Default)]
struct Door {
    /// `Basic` credentials, in base64.
    authorization: Option<&'static str>,
    moved_to: Option<String>,
    /// The headers of all requests.
    heard: Arc<Mutex<Vec<String>>>,
}

/// Serves a repository by `git http-backend`; its address.
fn serve(folder: &Path, door: Door) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/infra", listener.local_addr().unwrap());
    let folder = folder.join(".git");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, door) = (folder.clone(), door.clone());
            std::thread::spawn(move || answer(stream, &folder, &door));
        }
    });
    url
}

fn answer(mut stream: TcpStream, folder: &Path, door: &Door) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    door.heard.lock().unwrap().push(head.clone());
    let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    if let Some(place) = &door.moved_to {
        let text = format!(
            "HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).unwrap();
        return;
    }
    if door.authorization.is_some_and(|wanted| header("authorization") != Some(format!("Basic {wanted}"))) {
        stream
            .write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        return;
    }
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .envs([
            ("PATH", std::env::var("PATH").unwrap().as_str()),
            ("GIT_HTTP_EXPORT_ALL", "1"),
            ("GIT_PROJECT_ROOT", folder.to_str().unwrap()),
            ("PATH_INFO", path.trim_start_matches("/infra")),
            ("QUERY_STRING", query),
            ("REQUEST_METHOD", method),
            ("CONTENT_TYPE", header("content-type").unwrap_or_default().as_str()),
            ("CONTENT_LENGTH", length.to_string().as_str()),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    backend.stdin.take().unwrap().write_all(&body).unwrap();
    let output = backend.wait_with_output().unwrap().stdout;
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (cgi, content) = output.split_at(split + 4);
    let status = if cgi.starts_with(b"Status: ") { "404 Not Found" } else { "200 OK" };
    let start = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", content.len());
    stream.write_all(&[start.as_bytes(), cgi, content].concat()).unwrap();
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
    Credentials { token: Some(token.to_owned()), ..Credentials::default() }
}

#[test]
fn a_remote_is_cloned_shallow_and_followed() {
    let upstream = Upstream::new();
    let second = upstream.commit("two");
    let source = open(&serve(upstream.path(), Door::default()), &Credentials::default(), None).unwrap();
    assert_eq!(source.head().unwrap().commit, second);
    assert_eq!(source.files(&second).unwrap()["a.yaml"], Ok("two".to_owned()));
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
    let source = open(&serve(upstream.path(), Door::default()), &Credentials::default(), None).unwrap();
    let head = source.head().unwrap().commit;
    assert_eq!(source.known_ancestry(&commits[0], &head), Ancestry::Unknown, "the clone has one commit");
    assert_eq!(source.ancestry(&commits[0], &head), Ancestry::Ancestor);
    assert_eq!(source.ancestry(&InfraCommit::new("1".repeat(40)), &head), Ancestry::NotAncestor);
}

#[test]
fn a_rewound_branch_is_recognised() {
    let upstream = Upstream::new();
    let second = upstream.commit("two");
    let source = open(&serve(upstream.path(), Door::default()), &Credentials::default(), None).unwrap();
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
    let url = serve(upstream.path(), door);
    assert!(open(&url, &token("right"), None).is_ok());
    let error = open(&url, &token("hunter2"), None).err().unwrap();
    let said = format!("{error} {error:?} {:?}", token("hunter2"));
    assert!(said.contains("it refused the credentials") && said.contains("TRUEUP_TOKEN"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_token_never_follows_a_redirect() {
    let upstream = Upstream::new();
    let elsewhere = Door::default();
    let other = serve(upstream.path(), elsewhere.clone());
    let url = serve(upstream.path(), Door { moved_to: Some(other.clone()), ..Door::default() });
    let error = open(&url, &token("hunter2"), None).err().unwrap().to_string();
    assert!(error.contains(&format!("it has moved to {other}")), "{error}");
    assert_eq!(elsewhere.heard.lock().unwrap().len(), 0);
}

#[test]
fn what_is_not_there_is_said_in_words() {
    let upstream = Upstream::new();
    let url = serve(upstream.path(), Door::default());
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

#[test]
fn a_cache_is_used_again_and_a_damaged_one_thrown_away() {
    let upstream = Upstream::new();
    let door = Door::default();
    let url = serve(upstream.path(), door.clone());
    let cache = tempfile::tempdir().unwrap();
    drop(open(&url, &Credentials::default(), Some(cache.path())).unwrap());
    let asked = door.heard.lock().unwrap().len();
    drop(open(&url, &Credentials::default(), Some(cache.path())).unwrap());
    assert_eq!(door.heard.lock().unwrap().len(), asked + 1, "only where the branch is was asked");
    let clone = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(clone.join("HEAD")).unwrap();
    let source = open(&url, &Credentials::default(), Some(cache.path())).unwrap();
    assert_eq!(source.files(&source.head().unwrap().commit).unwrap()["a.yaml"], Ok("one".to_owned()));
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
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("ssh");
    let log = folder.join("arguments");
    let text =
        format!("#!/bin/sh\necho \"$@\" >> {}\nfor last; do :; done\nexec sh -c \"$last\"\n", log.display());
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}
