//! A change of the infrastructure repository: one file is edited, read again, committed, and pushed. Where others push
//! first it is made again on theirs. `promote`, `rollback`, `suspend` and `resume` are such changes. How one is proposed in a
//! pull request instead is in `proposal.rs`.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::End;
use super::git_program::{Git, complaint};
use super::source::{InfraRepository, print_findings};
use super::streams;
use crate::git::Location;
use crate::manifest::edit::EditError;
use crate::model::{Declaration, Declared, Desired, Finding, Severity, Target};
use crate::settings::Settings;

/// How long a lost race is run again. A push takes a second or so: enough for a hundred at once.
const PATIENCE: Duration = Duration::from_mins(3);
/// The rest after the first lost race; it doubles, up to the longest.
const REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// What is to be declared. It is asked for anew on every state of the repository.
pub(super) trait Change {
    /// `None`: it is declared already, which has been said.
    fn draft(&self, declaration: &Declaration) -> anyhow::Result<Option<Draft<'_>>>;

    /// Whether the edited files say what was meant.
    fn is_declared(&self, declaration: &Declaration) -> bool;
}

/// An edit of one file.
pub(super) struct Draft<'c> {
    /// As the declaration names it.
    pub(super) file: String,
    pub(super) edit: EditText<'c>,
    /// Whom it is about: none of them may have errors afterwards.
    pub(super) targets: Vec<Target>,
    /// What the message begins with: what is done to whom, such as `promote test/api`. The same for each change that takes the
    /// place of this one.
    pub(super) topic: String,
    /// The message of the commit.
    pub(super) message: String,
}

pub(super) type EditText<'c> = Box<dyn Fn(&str) -> Result<Edited, EditError> + 'c>;

pub(super) struct Edited {
    pub(super) text: String,
    /// What has changed, for people.
    pub(super) told: String,
}

/// The application of this name, if its files can be read.
pub(super) fn readable<'d>(declaration: &'d Declaration, name: &str) -> anyhow::Result<&'d Desired> {
    let found = declaration.applications.iter().find(|declared| declared.target().to_string() == name);
    match found {
        Some(Declared::Readable(desired)) => Ok(desired),
        Some(Declared::Frozen(_)) => {
            print_findings(declaration);
            bail!("{name} is frozen: its files have errors; `trueup lint` names them")
        }
        None if declaration.findings.iter().any(is_error) => {
            print_findings(declaration);
            bail!("no application {name} in the files that can be read")
        }
        None => bail!("no application {name}; name it as ENVIRONMENT/APPLICATION"),
    }
}

fn is_error(finding: &Finding) -> bool {
    finding.severity == Severity::Error
}

/// Somewhere within a span that doubles with each lost race, so that those who meet once do not meet again.
fn rest(lost: u32) -> Duration {
    REST.saturating_mul(1 << lost.min(10)).min(LONGEST_REST).mul_f64(fastrand::f64())
}

/// Where a change begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// From what is checked out.
    CheckedOut,
    /// From the newest commit of the branch where it is pushed to, in a working tree of its own: what is checked out stays as it is.
    Upstream,
}

/// A working tree, and the branch that the change is for.
pub(super) struct Work {
    git: Git,
    branch: String,
    /// Of the command, for this working tree.
    settings: Settings,
    started: Instant,
    /// One change at a time.
    _alone: File,
    /// Kept while the command runs, where what is checked out is not touched.
    _beside: Option<Beside>,
    /// Kept while the command runs, where the repository is a remote one.
    _temporary: Option<tempfile::TempDir>,
}

/// A second working tree of a repository on this machine, which goes when it is dropped.
struct Beside {
    home: Git,
    folder: tempfile::TempDir,
}

impl Beside {
    fn at(home: &Git, commit: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("trueup-change-").tempdir()?;
        let path = folder.path().display().to_string();
        // Relative paths would mark the repository with an extension that not every git knows.
        let add = ["-c", "worktree.useRelativePaths=false", "worktree", "add", "--quiet", "--detach"];
        let beside = Self { home: home.clone(), folder };
        home.run(&[&add[..], &["--", &path, commit]].concat())?;
        Ok(beside)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Where that fails `git worktree prune` does it, once the folder is gone.
        let path = self.folder.path().display().to_string();
        let _ = self.home.run(&["worktree", "remove", "--force", "--", &path]);
    }
}

/// A commit that was made, and not pushed.
pub(super) struct Made {
    /// What it is based on.
    pub(super) base: String,
    /// The edited file, from the root of the repository.
    pub(super) file: String,
    pub(super) targets: Vec<Target>,
    pub(super) topic: String,
    pub(super) message: String,
}

impl Made {
    pub(super) fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// An edit that was made.
struct Edit {
    /// From the root of the repository.
    file: PathBuf,
    path: PathBuf,
    before: String,
    told: String,
}

impl Edit {
    fn undo(&self) -> anyhow::Result<()> {
        let Self { file, path, before, .. } = self;
        std::fs::write(path, before).with_context(|| format!("cannot restore {}", file.display()))
    }
}

/// Whether the commit is pushed too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Push {
    Yes,
    No,
}

/// What became of a push.
enum Pushed {
    Done,
    /// Somebody else has pushed in the meantime.
    Race,
}

impl Work {
    /// The repository on this machine, or a fresh clone of a remote one. What is written as an address is one, whatever
    /// folders there are.
    pub(super) async fn open(mut settings: Settings, start: Start) -> anyhow::Result<Self> {
        let started = Instant::now();
        let location = Location::parse(&settings.location)?;
        let git = Git::new(&location, &settings.credentials)?;
        let folder = match location {
            Location::Local(folder) if !settings.location.contains("://") => Some(folder),
            _ => None,
        };
        let (git, temporary) = if let Some(folder) = folder {
            (git.within(folder), None)
        } else {
            let folder = clone(&git, &settings)?;
            (git.within(folder.path().to_path_buf()), Some(folder))
        };
        let top = PathBuf::from(git.run(&["rev-parse", "--show-toplevel"])?);
        let git = git.within(top).introduced();
        let branch = branch(&git, &settings, start)?;
        let lock = alone(&git, started).await?;
        let (git, beside) = match start {
            Start::Upstream if temporary.is_none() => {
                let newest = upstream(&git, &branch)?;
                let beside = Beside::at(&git, &newest)?;
                // There no branch is checked out.
                settings.branch = None;
                (git.within(beside.folder.path().to_path_buf()), Some(beside))
            }
            _ => (git, None),
        };
        settings.location = git.folder().display().to_string();
        Ok(Self { git, branch, settings, started, _alone: lock, _beside: beside, _temporary: temporary })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn git(&self) -> &Git {
        &self.git
    }

    /// What the change is for.
    pub(super) fn branch(&self) -> &str {
        &self.branch
    }

    /// Where that branch is pushed to, by the name that git has for it.
    pub(super) fn remote(&self) -> String {
        remote(&self.git, &self.branch)
    }

    /// Makes the change, and pushes it if that is wished.
    pub(super) async fn make(&self, change: &dyn Change, push: Push) -> anyhow::Result<End> {
        for lost in 0.. {
            let Some(made) = self.commit_change(change)? else { return Ok(End::Good) };
            let subject = made.subject();
            if push == Push::No {
                say!("committed: {subject}; push it, or open a pull request");
                return Ok(End::Good);
            }
            let Pushed::Race = self.push(&made.base)? else {
                say!("pushed: {subject}");
                return Ok(End::Good);
            };
            // Somebody else was faster: their commit is the base of another try.
            self.start_again_from_upstream()?;
            let rest = rest(lost);
            if self.started.elapsed() + rest > PATIENCE {
                break;
            }
            tokio::time::sleep(rest).await;
            self.update()?;
        }
        bail!("others pushed first for {} minutes; nothing was pushed: try again", PATIENCE.as_secs() / 60)
    }

    /// What the files would declare with the change; `None` if there is nothing to change. They are as before afterwards.
    pub(super) fn edited(&self, change: &dyn Change) -> anyhow::Result<Option<Declaration>> {
        let Some((edit, _)) = self.edit(change)? else { return Ok(None) };
        let declaration = InfraRepository::with(&self.settings).and_then(|opened| opened.working_tree());
        edit.undo()?;
        declaration.map(Some)
    }

    /// Edits the file and commits it; `None` if there is nothing to change.
    pub(super) fn commit_change(&self, change: &dyn Change) -> anyhow::Result<Option<Made>> {
        let base = self.git.run(&["rev-parse", "HEAD"])?;
        let Some((edit, draft)) = self.edit(change)? else { return Ok(None) };
        // A hook of the repository may refuse the commit, too: nothing is left half done.
        let made = self.check(change, &draft).and_then(|()| self.commit(&edit.file, &draft.message));
        if let Err(error) = made {
            edit.undo()?;
            return Err(error);
        }
        say!("{}", edit.told);
        let Draft { targets, topic, message, .. } = draft;
        Ok(Some(Made { base, file: edit.file.display().to_string(), targets, topic, message }))
    }

    fn edit<'c>(&self, change: &'c dyn Change) -> anyhow::Result<Option<(Edit, Draft<'c>)>> {
        let declaration = InfraRepository::with(&self.settings)?.working_tree()?;
        let Some(draft) = change.draft(&declaration)? else { return Ok(None) };
        let file = Path::new(&self.settings.path).join(&draft.file);
        self.check_is_clean(&file)?;
        let path = self.git.folder().join(&file);
        let before =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", file.display()))?;
        let Edited { text, told } =
            (draft.edit)(&before).with_context(|| format!("cannot change {}", file.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Some((Edit { file, path, before, told }, draft)))
    }

    /// The edited files must say what was meant, without an error about whom it concerns.
    fn check(&self, change: &dyn Change, draft: &Draft<'_>) -> anyhow::Result<()> {
        let declaration = InfraRepository::with(&self.settings)?.working_tree()?;
        let concerns =
            |finding: &&Finding| finding.targets.iter().any(|target| draft.targets.contains(target));
        let about = declaration.findings.iter().filter(|finding| is_error(finding)).find(concerns);
        if let Some(finding) = about {
            streams::finding(finding);
            bail!("cannot {}; nothing was changed", draft.message.lines().next().unwrap_or_default());
        }
        ensure!(change.is_declared(&declaration), "the edit of {} did not declare it", draft.file);
        Ok(())
    }

    /// What people have changed and not committed is never mixed into a change.
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

    /// Pushes the commit on `base`. Whether somebody else was faster is asked of the repository: the branch is elsewhere,
    /// or git could not lock it.
    fn push(&self, base: &str) -> anyhow::Result<Pushed> {
        let refspec = format!("HEAD:refs/heads/{}", self.branch);
        let output = self.git.output(&["push", "--quiet", "--porcelain", "--", &self.remote(), &refspec])?;
        if output.status.success() {
            return Ok(Pushed::Done);
        }
        let said = complaint(&output);
        let is_locked = ["cannot lock ref", "failed to lock", "failed to update ref", "unable to lock"];
        let moved = || self.upstream().is_ok_and(|upstream| upstream != base);
        if is_locked.iter().any(|words| said.contains(words)) || moved() {
            return Ok(Pushed::Race);
        }
        bail!("the commit was made and cannot be pushed: {said}")
    }

    fn upstream(&self) -> anyhow::Result<String> {
        upstream(&self.git, &self.branch)
    }

    /// Drops the commit that lost, and goes on from theirs. Uncommitted changes elsewhere are kept, or it is refused.
    fn start_again_from_upstream(&self) -> anyhow::Result<()> {
        self.upstream()?;
        let ours = self.git.run(&["rev-list", "--count", "FETCH_HEAD..HEAD"])?;
        ensure!(
            ours == "1",
            "the branch {} has other commits that are not pushed; push or rebase them first",
            self.branch
        );
        self.git.run(&["reset", "--quiet", "--keep", "FETCH_HEAD"]).map(drop)
    }

    /// Takes what came while it rested; nothing of its own is there to lose.
    fn update(&self) -> anyhow::Result<()> {
        self.upstream()?;
        self.git.run(&["reset", "--quiet", "--keep", "FETCH_HEAD"]).map(drop)
    }
}

/// What is checked out. Where that does not matter it may be named instead.
fn branch(git: &Git, settings: &Settings, start: Start) -> anyhow::Result<String> {
    let checked_out = git.run(&["symbolic-ref", "--short", "HEAD"]);
    match (&settings.branch, start) {
        (Some(wanted), Start::Upstream) => Ok(wanted.clone()),
        (None, Start::Upstream) => {
            checked_out.context("no branch is checked out; name the one to merge into with --branch")
        }
        (wanted, Start::CheckedOut) => {
            let branch = checked_out?;
            let is_wanted = wanted.as_ref().is_none_or(|wanted| *wanted == branch);
            ensure!(
                is_wanted,
                "the branch {branch} is checked out, not {}",
                wanted.as_deref().unwrap_or_default()
            );
            Ok(branch)
        }
    }
}

fn remote(git: &Git, branch: &str) -> String {
    let key = format!("branch.{branch}.remote");
    git.run(&["config", "--get", &key]).unwrap_or_else(|_| "origin".to_owned())
}

/// The newest commit of the branch where it is pushed to.
fn upstream(git: &Git, branch: &str) -> anyhow::Result<String> {
    git.run(&["fetch", "--quiet", "--", &remote(git, branch), branch])?;
    git.run(&["rev-parse", "FETCH_HEAD"])
}

/// A shallow clone of a remote repository, in a folder that goes when it is dropped. Git works in that folder from the
/// start: elsewhere it would take a folder that is named like the address for the repository.
fn clone(git: &Git, settings: &Settings) -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("trueup-change-").tempdir()?;
    let mut arguments = vec!["clone", "--quiet", "--depth=1"];
    if let Some(branch) = &settings.branch {
        arguments.extend(["--branch", branch]);
    }
    arguments.extend(["--", settings.location.trim(), "."]);
    git.clone().within(folder.path().to_path_buf()).run(&arguments)?;
    Ok(folder)
}

/// One change at a time in one working tree: two would take each other's edits for uncommitted changes. The lock goes with
/// the file.
async fn alone(git: &Git, started: Instant) -> anyhow::Result<File> {
    let folder = git.folder().join(git.run(&["rev-parse", "--git-dir"])?);
    let path = folder.join("trueup-change.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(REST.mul_f64(fastrand::f64())).await;
            }
            Err(TryLockError::WouldBlock) => {
                bail!("another change has been at work here for {} minutes", PATIENCE.as_secs() / 60)
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_race_is_followed_by_a_rest_of_some_seconds_at_most() {
        for lost in [0, 1, 5, 10, 1000, u32::MAX] {
            assert!(rest(lost) <= LONGEST_REST, "{lost}");
        }
    }
}
