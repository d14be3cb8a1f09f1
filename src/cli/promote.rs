//! `trueup promote`: changes one commit in an environment file, keeps its comments, commits, and pushes.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::git_program::{Git, complaint};
use super::source::{Opened, print_findings};
use super::{End, RepositoryArgs};
use crate::git::Location;
use crate::manifest::edit::{self, Edited};
use crate::model::{Commit, Declaration, Declared, Desired, Severity};
use crate::settings::Settings;

/// How often a lost race is run again.
const MOST_RACES: usize = 5;

/// What is promoted where.
pub(super) struct Promotion {
    /// `ENVIRONMENT/APPLICATION`.
    pub(super) target: String,
    pub(super) what: What,
    pub(super) push: bool,
}

pub(super) enum What {
    Commit(String),
    /// Whatever this environment declares for the same application.
    From(String),
}

pub(super) fn run(arguments: &RepositoryArgs, promotion: &Promotion) -> anyhow::Result<End> {
    let mut settings = arguments.settings()?;
    let work = Work::open(&settings)?;
    settings.location = work.folder().display().to_string();
    for _ in 0..MOST_RACES {
        let Some(message) = change(&settings, &work, promotion)? else { return Ok(End::Good) };
        if !promotion.push {
            say!("committed: {message}; push it, or open a pull request");
            return Ok(End::Good);
        }
        if work.push()? {
            say!("pushed: {message}");
            return Ok(End::Good);
        }
        // Somebody else was faster: their commit is the base of another try.
        work.start_again_from_upstream()?;
    }
    bail!("others pushed first {MOST_RACES} times in a row; try again")
}

/// Edits the file and commits it; the message, or `None` if the commit is declared already.
fn change(settings: &Settings, work: &Work, promotion: &Promotion) -> anyhow::Result<Option<String>> {
    let declaration = Opened::with(settings)?.working_tree()?;
    let desired = readable(&declaration, &promotion.target)?;
    let commit = match &promotion.what {
        What::Commit(commit) => commit.clone(),
        What::From(environment) => {
            let source = format!("{environment}/{}", desired.target.application);
            readable(&declaration, &source)?.commit().to_string()
        }
    };
    ensure!(is_writable(&commit), "{commit:?} is no commit");
    if desired.commit().as_str() == commit {
        say!("{}: {commit} is declared already", desired.target);
        return Ok(None);
    }
    let file = Path::new(&settings.path).join(&desired.declared_at.file);
    work.check_is_clean(&file)?;
    let path = work.folder().join(&file);
    let before = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", file.display()))?;
    let (environment, application) = (&desired.target.environment, &desired.target.application);
    let Edited { text, old } = edit::set_commit(&before, environment.as_str(), application.as_str(), &commit)
        .with_context(|| format!("cannot change {}", file.display()))?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", file.display()))?;
    if let Err(error) = check(settings, &promotion.target, &commit) {
        std::fs::write(&path, before).with_context(|| format!("cannot restore {}", file.display()))?;
        return Err(error);
    }
    let message = format!("promote {} to {}", desired.target, Commit::new(&commit).short());
    work.commit(&file, &message)?;
    say!("{}: {old} -> {commit}", desired.target);
    Ok(Some(message))
}

fn readable<'d>(declaration: &'d Declaration, name: &str) -> anyhow::Result<&'d Desired> {
    let found = declaration.applications.iter().find(|declared| declared.target().to_string() == name);
    match found {
        Some(Declared::Readable(desired)) => Ok(desired),
        Some(Declared::Frozen(_)) => {
            print_findings(declaration);
            bail!("{name} cannot be read; `trueup lint` says why")
        }
        None => bail!("no application {name}; name it as ENVIRONMENT/APPLICATION"),
    }
}

/// What stands in quotes in YAML and in a tag of ECR.
fn is_writable(commit: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&commit.len()) && commit.bytes().all(allowed)
}

/// The edited files must say what was meant, without a finding about this target.
fn check(settings: &Settings, target: &str, commit: &str) -> anyhow::Result<()> {
    let declaration = Opened::with(settings)?.working_tree()?;
    let about = declaration.findings.iter().find(|finding| {
        finding.severity == Severity::Error && finding.targets.iter().any(|named| named.to_string() == target)
    });
    if let Some(finding) = about {
        bail!("{finding}");
    }
    ensure!(readable(&declaration, target)?.commit().as_str() == commit, "the edit did not declare {commit}");
    Ok(())
}

/// A working tree, and the branch it is on.
struct Work {
    git: Git,
    branch: String,
    /// Kept while the command runs, where the repository is a remote one.
    _temporary: Option<tempfile::TempDir>,
}

impl Work {
    /// The repository on this machine, or a fresh clone of a remote one.
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let git = Git::new(&Location::parse(&settings.location)?, &settings.credentials)?;
        let is_here = Path::new(&settings.location).exists();
        let (git, temporary) = if is_here {
            (git.within(PathBuf::from(&settings.location)), None)
        } else {
            let folder = clone(&git, settings)?;
            (git.within(folder.path().to_path_buf()), Some(folder))
        };
        let top = PathBuf::from(git.run(&["rev-parse", "--show-toplevel"])?);
        let git = git.within(top).introduced();
        let branch = git.run(&["symbolic-ref", "--short", "HEAD"])?;
        if let Some(wanted) = settings.branch.as_ref().filter(|wanted| **wanted != branch) {
            bail!("the branch {branch} is checked out, not {wanted}");
        }
        Ok(Self { git, branch, _temporary: temporary })
    }

    fn folder(&self) -> &Path {
        self.git.folder()
    }

    /// What people have changed and not committed is never mixed into a promotion.
    fn check_is_clean(&self, file: &Path) -> anyhow::Result<()> {
        let changed = self.git.run(&["status", "--porcelain", "--", &file.display().to_string()])?;
        ensure!(
            changed.is_empty(),
            "{} has changes that are not committed; commit or stash them first",
            file.display()
        );
        Ok(())
    }

    fn commit(&self, file: &Path, message: &str) -> anyhow::Result<()> {
        let file = file.display().to_string();
        self.git.run(&["commit", "--quiet", "-m", message, "--only", "--", &file]).map(drop)
    }

    fn remote(&self) -> String {
        let key = format!("branch.{}.remote", self.branch);
        self.git.run(&["config", "--get", &key]).unwrap_or_else(|_| "origin".to_owned())
    }

    /// False when somebody else has pushed in the meantime.
    fn push(&self) -> anyhow::Result<bool> {
        let refspec = format!("HEAD:refs/heads/{}", self.branch);
        let output = self.git.output(&["push", "--quiet", "--porcelain", "--", &self.remote(), &refspec])?;
        if output.status.success() {
            return Ok(true);
        }
        let said = complaint(&output);
        let raced = ["fetch first", "non-fast-forward", "cannot lock ref", "stale info"];
        if raced.iter().any(|words| said.contains(words)) {
            return Ok(false);
        }
        bail!("the commit was made and cannot be pushed: {said}")
    }

    /// Drops the commit that lost, and goes on from theirs. Uncommitted changes elsewhere are kept, or it is refused.
    fn start_again_from_upstream(&self) -> anyhow::Result<()> {
        self.git.run(&["fetch", "--quiet", "--", &self.remote(), &self.branch])?;
        let ours = self.git.run(&["rev-list", "--count", "FETCH_HEAD..HEAD"])?;
        ensure!(
            ours == "1",
            "the branch {} has other commits that are not pushed; push or rebase them first",
            self.branch
        );
        self.git.run(&["reset", "--quiet", "--keep", "FETCH_HEAD"]).map(drop)
    }
}

/// A shallow clone of a remote repository, in a folder that goes when it is dropped.
fn clone(git: &Git, settings: &Settings) -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("trueup-promote-").tempdir()?;
    let path = folder.path().display().to_string();
    let mut arguments = vec!["clone", "--quiet", "--depth=1"];
    if let Some(branch) = &settings.branch {
        arguments.extend(["--branch", branch]);
    }
    arguments.extend(["--", &settings.location, &path]);
    git.run(&arguments)?;
    Ok(folder)
}
