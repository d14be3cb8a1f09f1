//! `promote` on real repositories: a bare one that everybody pushes to, and clones of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::git_server::{Door, serve};

const ENVIRONMENT: &str = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  cluster: mco\n  applications:\n    api: { commit: aaaaaaa }  # the API\n";

pub struct Repositories(tempfile::TempDir);

impl Repositories {
    pub fn new() -> Self {
        let all = Self(tempfile::tempdir().unwrap());
        run(&all.path(""), "git", &["init", "-q", "--bare", "-b", "main", "upstream"]);
        let mine = all.clone_to("mine");
        std::fs::write(mine.join("api.yaml"), crate::rig::APPLICATION).unwrap();
        std::fs::write(mine.join("test.yaml"), ENVIRONMENT).unwrap();
        std::fs::write(
            mine.join("staging.yaml"),
            ENVIRONMENT.replace("name: test", "name: staging").replace("aaaaaaa", "9999999"),
        )
        .unwrap();
        commit(&mine, "start");
        run(&mine, "git", &["push", "-q", "origin", "HEAD:main"]);
        all
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn clone_to(&self, name: &str) -> PathBuf {
        run(&self.path(""), "git", &["clone", "-q", "upstream", name]);
        let folder = self.path(name);
        run(&folder, "git", &["checkout", "-q", "-B", "main"]);
        run(&folder, "git", &["config", "user.name", "t"]);
        run(&folder, "git", &["config", "user.email", "t@example.com"]);
        folder
    }

    /// A file as the newest commit of the shared repository has it.
    pub fn upstream(&self, file: &str) -> String {
        String::from_utf8(run(&self.path("upstream"), "git", &["show", &format!("main:{file}")]).stdout)
            .unwrap()
    }
}

fn commit(folder: &Path, message: &str) {
    run(folder, "git", &["add", "-A"]);
    run(folder, "git", &["commit", "-qm", message]);
}

#[track_caller]
pub fn run(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let output = start(folder, program, arguments);
    assert!(output.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
    output
}

pub fn start(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments);
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")]);
    command.output().unwrap()
}

fn promote(folder: &Path, arguments: &[&str]) -> Output {
    start(folder, env!("CARGO_BIN_EXE_trueup"), &[&["promote"], arguments].concat())
}

#[test]
fn a_release_is_promoted_as_one_and_goes_on_as_one() {
    let all = Repositories::new();
    let mine = all.path("mine");
    let refused = promote(&mine, &["test/api", "--commit", "v1.10.20", "--push"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--release"), "{refused:?}");
    run(&mine, env!("CARGO_BIN_EXE_trueup"), &["promote", "test/api", "--release", "v1.10.20", "--push"]);
    let released = ENVIRONMENT.replace("commit: aaaaaaa", "release: \"v1.10.20\"");
    assert_eq!(all.upstream("test.yaml"), released);
    let onwards = ["promote", "api", "--from", "test", "--to", "staging", "--force", "--push"];
    run(&mine, env!("CARGO_BIN_EXE_trueup"), &onwards);
    assert_eq!(all.upstream("staging.yaml"), released.replace("name: test", "name: staging"));
    run(&mine, env!("CARGO_BIN_EXE_trueup"), &["promote", "test/api", "--commit", "bbbbbbb", "--push"]);
    assert_eq!(all.upstream("test.yaml"), ENVIRONMENT.replace("aaaaaaa", "\"bbbbbbb\""));
}

#[test]
fn one_line_changes_is_committed_and_pushed() {
    let all = Repositories::new();
    let mine = all.path("mine");
    let done = promote(&mine, &["test/api", "--commit", "12345e7", "--push"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(all.upstream("test.yaml"), ENVIRONMENT.replace("aaaaaaa", "\"12345e7\""));
    let again = promote(&mine, &["test/api", "--commit", "12345e7", "--push"]);
    assert_eq!(again.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&again.stderr).contains("declared already"));
    let done = promote(&mine, &["--from", "test", "--to", "staging", "api", "--force"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(std::fs::read_to_string(mine.join("staging.yaml")).unwrap().contains("\"12345e7\""));
    assert!(all.upstream("staging.yaml").contains("9999999"), "without --push nothing is pushed");
}

#[test]
fn a_first_promotion_needs_no_line_to_change_and_another_mistake_refuses_it() {
    let all = Repositories::new();
    let mine = all.path("mine");
    let declare = |entry: &str| {
        let text = ENVIRONMENT.replace("api: { commit: aaaaaaa }", entry);
        std::fs::write(mine.join("test.yaml"), text).unwrap();
        commit(&mine, entry);
    };
    declare("api: {}");
    let done = promote(&mine, &["test/api", "--commit", "bbbbbbb", "--push"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains("test/api: nothing -> bbbbbbb"), "{said}");
    let expected = ENVIRONMENT.replace("{ commit: aaaaaaa }", "{commit: \"bbbbbbb\"}");
    assert_eq!(all.upstream("test.yaml"), expected);
    // A commit that is the only mistake is put right, and what is wrong elsewhere is not hidden by it.
    declare("api: { commit: zzzzzzz }");
    assert!(promote(&mine, &["test/api", "--commit", "ccccccc"]).status.success());
    declare("api: { comit: aaaaaaa }");
    let before = std::fs::read_to_string(mine.join("test.yaml")).unwrap();
    let refused = promote(&mine, &["test/api", "--commit", "bbbbbbb"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("unknown field `comit`") && said.contains("nothing was changed"), "{said}");
    assert_eq!(std::fs::read_to_string(mine.join("test.yaml")).unwrap(), before);
}

#[test]
fn a_lost_race_is_read_again_and_retried() {
    let all = Repositories::new();
    let (mine, theirs) = (all.path("mine"), all.clone_to("theirs"));
    std::fs::write(theirs.join("test.yaml"), format!("# theirs\n{ENVIRONMENT}")).unwrap();
    commit(&theirs, "theirs");
    run(&theirs, "git", &["push", "-q", "origin", "HEAD:main"]);
    let done = promote(&mine, &["test/api", "--commit", "bbbbbbb", "--push"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(
        all.upstream("test.yaml"),
        format!("# theirs\n{}", ENVIRONMENT.replace("aaaaaaa", "\"bbbbbbb\""))
    );
}

/// Others are faster at each of the first six pushes: the hook that git asks before it takes a push makes a commit of its own.
#[cfg(unix)]
#[test]
fn who_loses_many_races_in_a_row_arrives_all_the_same() {
    use std::os::unix::fs::PermissionsExt as _;
    const FASTER: &str = r#"#!/bin/sh
echo >> races
test "$(wc -l < races)" -gt 6 && exit 0
faster=$(git -c user.name=t -c user.email=t@example.com commit-tree "$1^{tree}" -p "$1" -m faster)
git update-ref "$1" "$faster"
"#;
    let all = Repositories::new();
    let hook = all.path("upstream/hooks/update");
    std::fs::write(&hook, FASTER).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let done = promote(&all.path("mine"), &["test/api", "--commit", "bbbbbbb", "--push"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let tries = std::fs::read_to_string(all.path("upstream/races")).unwrap();
    assert_eq!(tries.lines().count(), 7);
    assert_eq!(all.upstream("test.yaml"), ENVIRONMENT.replace("aaaaaaa", "\"bbbbbbb\""));
}

/// Five from one clone, five by the address, and somebody who changes another file all the while.
#[test]
fn ten_promotions_at_once_all_arrive() {
    let all = Repositories::new();
    let (mine, theirs) = (all.path("mine"), all.clone_to("theirs"));
    let names: Vec<String> = (0..10).map(|number| format!("app{number}")).collect();
    let entries =
        names.iter().fold(String::new(), |text, name| text + "    " + name + ": { commit: aaaaaaa }\n");
    for name in &names {
        let application = crate::rig::APPLICATION.replace("{name: api}", &format!("{{name: {name}}}"));
        std::fs::write(mine.join(format!("{name}.yaml")), application.replace("mco-api", name)).unwrap();
    }
    std::fs::write(mine.join("test.yaml"), format!("{ENVIRONMENT}{entries}")).unwrap();
    std::fs::remove_file(mine.join("staging.yaml")).unwrap();
    commit(&mine, "ten");
    run(&mine, "git", &["push", "-q", "origin", "HEAD:main"]);
    let url = format!("file://{}", all.path("upstream").display());
    let children: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let repository = if number % 2 == 0 { mine.display().to_string() } else { url.clone() };
            let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
            command.args(["promote", &format!("test/{name}"), "--commit", "bbbbbbb", "--push"]);
            command.args(["--repo", &repository]);
            command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")]);
            command.stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    run(&theirs, "git", &["pull", "-q", "origin", "main"]);
    std::fs::write(theirs.join("notes.txt"), "theirs").unwrap();
    commit(&theirs, "theirs");
    while !start(&theirs, "git", &["push", "-q", "origin", "HEAD:main"]).status.success() {
        run(&theirs, "git", &["pull", "-q", "--rebase", "origin", "main"]);
    }
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let test = all.upstream("test.yaml");
    assert_eq!(test.matches("\"bbbbbbb\"").count(), 10, "{test}");
    assert_eq!(all.upstream("notes.txt"), "theirs");
}

#[test]
fn an_address_is_an_address_whatever_folders_there_are() {
    let all = Repositories::new();
    let url = serve(&all.path("upstream"), Door::default());
    let decoy = all.path("").join(&url);
    run(&all.path(""), "git", &["clone", "-q", "upstream", decoy.to_str().unwrap()]);
    let done = start(
        &all.path(""),
        env!("CARGO_BIN_EXE_trueup"),
        &["promote", "test/api", "--commit", "bbbbbbb", "--repo", &url],
    );
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(run(&decoy, "git", &["rev-list", "--count", "HEAD"]).stdout, b"1\n");
}

#[test]
fn a_remote_address_needs_no_clone_of_ones_own() {
    let all = Repositories::new();
    let url = format!("file://{}", all.path("upstream").display());
    let done = Command::new(env!("CARGO_BIN_EXE_trueup"))
        .args(["promote", "test/api", "--commit", "bbbbbbb", "--push", "--repo", &url])
        .envs([("GIT_AUTHOR_NAME", "t"), ("GIT_AUTHOR_EMAIL", "t@example.com")])
        .envs([("GIT_COMMITTER_NAME", "t"), ("GIT_COMMITTER_EMAIL", "t@example.com")])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(all.upstream("test.yaml").contains("\"bbbbbbb\""));
}

/// As on a runner of CI: no home, nobody's name, and a server that asks for a token.
#[test]
fn a_token_is_all_that_a_runner_needs() {
    let all = Repositories::new();
    let upstream = all.path("upstream");
    run(&upstream, "git", &["config", "http.receivepack", "true"]);
    // printf x-access-token:hunter2 | base64
    let door = Door { authorization: Some("eC1hY2Nlc3MtdG9rZW46aHVudGVyMg=="), ..Door::default() };
    let url = serve(&upstream, door);
    let runner = |arguments: &[&str], token: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(["promote", "test/api", "--push", "--repo", &url]).args(arguments).env_clear();
        command.envs([("PATH", std::env::var("PATH").unwrap().as_str()), ("TRUEUP_TOKEN", token)]);
        // What others have configured by variables stays: here, that no name is made up.
        command.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_NOSYSTEM", "1")]);
        command.envs([("GIT_CONFIG_KEY_0", "user.useConfigOnly"), ("GIT_CONFIG_VALUE_0", "true")]);
        command.output().unwrap()
    };
    for wrong in ["", "hunter3"] {
        let refused = runner(&["--commit", "bbbbbbb"], wrong);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("hint  set TRUEUP_TOKEN") && !said.contains("hunter"), "{said}");
    }
    let done = runner(&["--commit", "bbbbbbb"], "hunter2");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(all.upstream("test.yaml").contains("\"bbbbbbb\""));
    let who = run(&upstream, "git", &["log", "-1", "--format=%an <%ae>, %cn <%ce>"]).stdout;
    let trueup = "trueup <noreply@trueup.dev>";
    assert_eq!(String::from_utf8(who).unwrap(), format!("{trueup}, {trueup}\n"));
}

#[test]
fn the_token_of_a_push_never_follows_a_redirect() {
    let all = Repositories::new();
    let elsewhere = Door::default();
    let other = serve(&all.path("upstream"), elsewhere.clone());
    let door =
        Door { moved_to: Some(format!("{other}/info/refs?service=git-upload-pack")), ..Door::default() };
    let url = serve(&all.path("upstream"), door);
    let refused = Command::new(env!("CARGO_BIN_EXE_trueup"))
        .args(["promote", "test/api", "--commit", "bbbbbbb", "--push", "--repo", &url])
        .env("TRUEUP_TOKEN", "hunter2")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("it has moved"), "{said}");
    assert_eq!(elsewhere.heard.lock().unwrap().len(), 0);
}

#[test]
fn nothing_is_half_done() {
    let all = Repositories::new();
    let mine = all.path("mine");
    let refused = |arguments: &[&str], expected: &str| {
        let done = promote(&mine, arguments);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
        assert_eq!(run(&mine, "git", &["rev-list", "--count", "HEAD"]).stdout, b"1\n");
    };
    refused(&["test/web", "--commit", "bbbbbbb"], "no application test/web");
    refused(&["test/api", "--commit", "a\"}"], "not a commit ID");
    refused(&["test/api", "--commit", "bb"], "bb");
    assert_eq!(
        std::fs::read_to_string(mine.join("test.yaml")).unwrap(),
        ENVIRONMENT,
        "the file is as before"
    );
    // A hook that refuses the commit: the file is put back.
    let hook = mine.join(".git/hooks/pre-commit");
    std::fs::write(&hook, "#!/bin/sh\necho no >&2\nexit 1\n").unwrap();
    run(&mine, "chmod", &["+x", ".git/hooks/pre-commit"]);
    refused(&["test/api", "--commit", "bbbbbbb"], "git commit: no");
    assert_eq!(run(&mine, "git", &["status", "--porcelain"]).stdout, b"");
    std::fs::remove_file(&hook).unwrap();
    // What no tag of an image can be is said once.
    refused(&["test/api", "--release", "latest"], "nothing was changed");
    refused(&["test/api", "--release", "latest"], "`latest` is no release");
    std::fs::write(mine.join("broken.yaml"), "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: [\n")
        .unwrap();
    refused(&["test/web", "--commit", "bbbbbbb"], "error: broken.yaml:");
    std::fs::remove_file(mine.join("broken.yaml")).unwrap();
    std::fs::write(mine.join("test.yaml"), format!("{ENVIRONMENT}# mine\n")).unwrap();
    refused(&["test/api", "--commit", "bbbbbbb"], "has changes that are not committed");
}
