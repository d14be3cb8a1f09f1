//! Remote repositories against git's own server programs, on loopback and through a stand-in for `ssh`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::git_server::{Door, serve};
use super::*;
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
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", content]);
        InfraCommit::new(self.git(&["rev-parse", "HEAD"]))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn serve(&self, door: Door) -> String {
        serve(&self.path().join(".git"), door)
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

#[test]
fn a_cache_is_used_again_and_a_damaged_one_thrown_away() {
    let upstream = Upstream::new();
    let door = Door::default();
    let url = upstream.serve(door.clone());
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
