//! `trueup promote`: changes one commit in an environment file, keeps its comments, commits, and pushes.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::end::{self, End, Standing};
use super::git_program::{Git, complaint};
use super::source::{Opened, print_findings};
use super::{RepositoryArgs, controller, progress, streams};
use crate::controller::Writes;
use crate::git::Location;
use crate::manifest::edit::{self, Edited};
use crate::model::{Commit, Declaration, Declared, Desired, Health, Severity, Sync, Waiting};
use crate::plan::{self, Plan};
use crate::settings::Settings;

/// How long a lost race is run again. A push takes a second or so: enough for a hundred at once.
const PATIENCE: Duration = Duration::from_mins(3);
/// The rest after the first lost race; it doubles, up to the longest.
const REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(5);
/// How long AWS is asked what runs well.
const ASKED: Duration = Duration::from_secs(30);

/// What is promoted where.
pub(super) struct Promotion {
    /// `ENVIRONMENT/APPLICATION`.
    pub(super) target: String,
    pub(super) what: What,
    pub(super) push: bool,
}

pub(super) enum What {
    Commit(String),
    /// The tag of a release, as it is written.
    Release(String),
    /// What runs well in this environment, for the same application.
    RunsWellIn(String),
    /// Whatever this environment declares for the same application.
    DeclaredIn(String),
}

pub(super) async fn run(arguments: &RepositoryArgs, promotion: &Promotion) -> anyhow::Result<End> {
    let mut settings = arguments.settings()?;
    let started = Instant::now();
    let work = Work::open(&settings)?;
    let _alone = work.alone(started).await?;
    settings.location = work.folder().display().to_string();
    let commit = match chosen(&settings, promotion).await? {
        Ok(commit) => commit,
        Err(Refusal { end, why }) => {
            say!("{why}");
            return Ok(end);
        }
    };
    for lost in 0.. {
        let base = work.head()?;
        let Some(message) = change(&settings, &work, promotion, &commit)? else { return Ok(End::Good) };
        if !promotion.push {
            say!("committed: {message}; push it, or open a pull request");
            return Ok(End::Good);
        }
        let Pushed::Race = work.push(&base)? else {
            say!("pushed: {message}");
            return Ok(End::Good);
        };
        // Somebody else was faster: their commit is the base of another try.
        work.start_again_from_upstream()?;
        let rest = rest(lost);
        if started.elapsed() + rest > PATIENCE {
            break;
        }
        tokio::time::sleep(rest).await;
        work.update()?;
    }
    bail!("others pushed first for {} minutes; nothing was pushed: try again", PATIENCE.as_secs() / 60)
}

/// Somewhere within a span that doubles with each lost race, so that those who meet once do not meet again.
fn rest(lost: u32) -> Duration {
    REST.saturating_mul(1 << lost.min(10)).min(LONGEST_REST).mul_f64(fastrand::f64())
}

/// Why nothing is promoted, and the code that says so.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    end: End,
    why: String,
}

/// The commit to promote.
async fn chosen(settings: &Settings, promotion: &Promotion) -> anyhow::Result<Result<Commit, Refusal>> {
    let environment = match &promotion.what {
        What::Commit(commit) => {
            ensure!(
                !Commit::new(commit).is_release(),
                "not a commit ID: {commit:?}\n  hint  for what a tag stands for: git rev-parse {commit}^{{commit}}; for a release of that name: --release"
            );
            // As git writes it, and tags of images are told apart by it.
            return Ok(Ok(Commit::new(commit.to_ascii_lowercase())));
        }
        What::Release(release) => return Ok(Ok(Commit::release(release))),
        What::RunsWellIn(environment) | What::DeclaredIn(environment) => environment,
    };
    let opened = Opened::with(settings)?;
    let (_, declaration) = opened.committed()?;
    let application = promotion.target.split_once('/').map_or("", |(_, application)| application);
    let name = format!("{environment}/{application}");
    let declared = readable(&declaration, &name)?.commit().clone();
    if let What::DeclaredIn(_) = promotion.what {
        say!("{name}: taking {declared} as declared, whether or not it runs well there (--force)");
        return Ok(Ok(declared));
    }
    let asked = async {
        let mut controller = controller(opened).await;
        let wanted = |target: &crate::model::Target| target.to_string() == name;
        progress::sweep(&mut controller, &declaration, Writes::Withheld, wanted).await
    };
    let swept = tokio::time::timeout(ASKED, asked).await;
    let plan = swept.ok().and_then(|swept| swept.into_iter().next()).map(|one| one.plan);
    match plan.as_ref().map_or_else(no_answer, |plan| proof(plan, &name)) {
        Proof::RunsWell => Ok(Ok(declared)),
        Proof::Unknown(why) => {
            say!("{name}: taking {declared} as declared: whether it runs well there is not known ({why})");
            Ok(Ok(declared))
        }
        Proof::Refused(refusal) => Ok(Err(refusal)),
    }
}

/// Whether what an environment declares runs well there.
#[derive(Debug, PartialEq, Eq)]
enum Proof {
    RunsWell,
    Refused(Refusal),
    /// AWS cannot be asked.
    Unknown(String),
}

fn no_answer() -> Proof {
    Proof::Unknown(format!("no answer from AWS within {} s", ASKED.as_secs()))
}

fn proof(plan: &Plan, name: &str) -> Proof {
    let (status, standing) = (&plan.status, end::standing(plan));
    let why = plan.waiting.as_ref().map(plan::waiting::describe);
    if standing == Standing::Unreadable
        || matches!(plan.waiting, Some(Waiting::WrongAccount { .. } | Waiting::Unreached { .. }))
    {
        return Proof::Unknown(why.unwrap_or_default());
    }
    let declared = status.declared.as_ref().map_or("-", Commit::short);
    let runs = status.sync == Sync::Synced && status.health == Health::Healthy;
    // A write that is still to be seen says nothing against what runs.
    let moves = standing == Standing::Moving && !matches!(plan.waiting, Some(Waiting::Consistency { .. }));
    let (end, what) = match standing {
        Standing::Failed => (End::Failed, "failed there and is on hold".to_owned()),
        _ if plan.failure.is_some() => (End::Failed, "failed there".to_owned()),
        Standing::Stalled => (End::Error, format!("does not run there ({})", why.unwrap_or_default())),
        _ if runs && !moves => return Proof::RunsWell,
        Standing::Unproven => {
            (End::NotReached, "is unproven there: the desired count is 0, and no task runs".to_owned())
        }
        _ => (
            End::NotReached,
            format!("has not succeeded there{}", why.map(|why| format!(" ({why})")).unwrap_or_default()),
        ),
    };
    let well = status.running.iter().find_map(|group| group.commits.first());
    let well = well.filter(|running| running.short() != declared).map(|running| {
        let option = if running.is_release() { "--release" } else { "--commit" };
        format!("promote what runs there with {option} {}, or ", running.short())
    });
    let well = well.unwrap_or_default();
    let why = format!(
        "{name} declares {declared}, which {what}: not promoted\n  hint  {well}take {declared} all the same with --force"
    );
    Proof::Refused(Refusal { end, why })
}

/// Edits the file and commits it; the message, or `None` if the commit is declared already.
fn change(
    settings: &Settings,
    work: &Work,
    promotion: &Promotion,
    commit: &Commit,
) -> anyhow::Result<Option<String>> {
    let declaration = Opened::with(settings)?.working_tree()?;
    let desired = readable(&declaration, &promotion.target)?;
    ensure!(is_writable(commit.as_str()), "no tag of an image: {:?}", commit.as_str());
    if desired.commit() == commit {
        say!("{}: {commit} is declared already", desired.target);
        return Ok(None);
    }
    let file = Path::new(&settings.path).join(&desired.declared_at.file);
    work.check_is_clean(&file)?;
    let path = work.folder().join(&file);
    let before = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", file.display()))?;
    let (environment, application) = (&desired.target.environment, &desired.target.application);
    let Edited { text, old } = edit::set_commit(&before, environment.as_str(), application.as_str(), commit)
        .with_context(|| format!("cannot change {}", file.display()))?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", file.display()))?;
    if let Err(error) = check(settings, &promotion.target, commit) {
        std::fs::write(&path, before).with_context(|| format!("cannot restore {}", file.display()))?;
        return Err(error);
    }
    let message = format!("promote {} to {}", desired.target, commit.short());
    if let Err(error) = work.commit(&file, &message) {
        // A hook of the repository may refuse it: nothing is left half done.
        std::fs::write(&path, before).with_context(|| format!("cannot restore {}", file.display()))?;
        return Err(error);
    }
    say!("{}: {old} -> {commit}", desired.target);
    Ok(Some(message))
}

fn readable<'d>(declaration: &'d Declaration, name: &str) -> anyhow::Result<&'d Desired> {
    let found = declaration.applications.iter().find(|declared| declared.target().to_string() == name);
    match found {
        Some(Declared::Readable(desired)) => Ok(desired),
        Some(Declared::Frozen(_)) => {
            print_findings(declaration);
            bail!("{name} is frozen: its files have errors; `trueup lint` names them")
        }
        None if declaration.findings.iter().any(|finding| finding.severity == Severity::Error) => {
            print_findings(declaration);
            bail!("no application {name} in the files that can be read")
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
fn check(settings: &Settings, target: &str, commit: &Commit) -> anyhow::Result<()> {
    let declaration = Opened::with(settings)?.working_tree()?;
    let about = declaration.findings.iter().find(|finding| {
        finding.severity == Severity::Error && finding.targets.iter().any(|named| named.to_string() == target)
    });
    if let Some(finding) = about {
        streams::finding(finding);
        bail!("{target} cannot be promoted to {commit}; nothing was changed");
    }
    ensure!(readable(&declaration, target)?.commit() == commit, "the edit did not declare {commit}");
    Ok(())
}

/// A working tree, and the branch it is on.
struct Work {
    git: Git,
    branch: String,
    /// Kept while the command runs, where the repository is a remote one.
    _temporary: Option<tempfile::TempDir>,
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
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let location = Location::parse(&settings.location)?;
        let git = Git::new(&location, &settings.credentials)?;
        let folder = match location {
            Location::Local(folder) if !settings.location.contains("://") => Some(folder),
            _ => None,
        };
        let (git, temporary) = if let Some(folder) = folder {
            (git.within(folder), None)
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

    /// One promotion at a time in one working tree: two would take each other's edits for uncommitted changes. The lock
    /// goes with the file.
    async fn alone(&self, started: Instant) -> anyhow::Result<File> {
        let folder = self.folder().join(self.git.run(&["rev-parse", "--git-dir"])?);
        let path = folder.join("trueup-promote.lock");
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    tokio::time::sleep(REST.mul_f64(fastrand::f64())).await;
                }
                Err(TryLockError::WouldBlock) => {
                    bail!("another promotion has been at work here for {} minutes", PATIENCE.as_secs() / 60)
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
    }

    fn head(&self) -> anyhow::Result<String> {
        self.git.run(&["rev-parse", "HEAD"])
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

    /// The newest commit of the branch where it is pushed to.
    fn upstream(&self) -> anyhow::Result<String> {
        self.git.run(&["fetch", "--quiet", "--", &self.remote(), &self.branch])?;
        self.git.run(&["rev-parse", "FETCH_HEAD"])
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

/// A shallow clone of a remote repository, in a folder that goes when it is dropped. Git works in that folder from the
/// start: elsewhere it would take a folder that is named like the address for the repository.
fn clone(git: &Git, settings: &Settings) -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("trueup-promote-").tempdir()?;
    let mut arguments = vec!["clone", "--quiet", "--depth=1"];
    if let Some(branch) = &settings.branch {
        arguments.extend(["--branch", branch]);
    }
    arguments.extend(["--", settings.location.trim(), "."]);
    git.clone().within(folder.path().to_path_buf()).run(&arguments)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::end::tests::plan;
    use crate::model::{CommitSource, Digest, Running, StartedBy};

    /// Commit bbbbbbb is declared, and aaaaaaa runs.
    fn declared(waiting: Option<Waiting>, sync: Sync, health: Health) -> Plan {
        let mut plan = plan(waiting, sync, health);
        plan.status.declared = Some(Commit::new("bbbbbbb"));
        let (commits, digest) = (vec![Commit::new("aaaaaaa")], Some(Digest::new("sha256:a")));
        plan.status.running = vec![Running {
            commits,
            source: CommitSource::Registry,
            digest,
            tasks: 1,
            draining: 0,
            production: None,
        }];
        plan
    }

    #[test]
    fn what_runs_well_is_promoted_and_nothing_else_is() {
        let held =
            || Some(Waiting::Held { commit: Commit::new("bbbbbbb"), deployment: None, stranded: None });
        let deploying = || {
            let (phase, by) = (crate::model::Phase::InProgress, StartedBy::Trueup);
            Some(Waiting::Deploying { phase, commit: None, by, shift: None })
        };
        let unread = || Some(Waiting::Unreadable { what: "the service", why: "denied".to_owned() });
        let elsewhere = || Some(Waiting::WrongAccount { expected: "1".to_owned(), actual: "2".to_owned() });
        let (synced, healthy) = (Sync::Synced, Health::Healthy);
        for (waiting, sync, health, expected) in [
            (Some(Waiting::Settled), synced, healthy, Some(End::Good)),
            (None, synced, healthy, Some(End::Good)),
            (Some(Waiting::Consistency { what: "the tag" }), synced, healthy, Some(End::Good)),
            (deploying(), synced, healthy, Some(End::NotReached)),
            (Some(Waiting::Settled), synced, Health::Degraded, Some(End::NotReached)),
            (Some(Waiting::Settled), synced, Health::Suspended, Some(End::NotReached)),
            (Some(Waiting::Drifted), Sync::OutOfSync, healthy, Some(End::NotReached)),
            (held(), Sync::OutOfSync, Health::Degraded, Some(End::Failed)),
            (unread(), Sync::Unknown, Health::Unknown, None),
            (elsewhere(), Sync::Unknown, Health::Unknown, None),
        ] {
            let one = declared(waiting, sync, health);
            let end = match proof(&one, "test/api") {
                Proof::RunsWell => Some(End::Good),
                Proof::Unknown(_) => None,
                Proof::Refused(Refusal { end, why }) => {
                    assert!(why.contains("--commit aaaaaaa") && why.contains("--force"), "{why}");
                    Some(end)
                }
            };
            assert_eq!(end, expected, "{one:?}");
        }
        let failed =
            Plan { failure: Some("d2".to_owned()), ..declared(Some(Waiting::Settled), synced, healthy) };
        assert!(matches!(proof(&failed, "test/api"), Proof::Refused(Refusal { end: End::Failed, .. })));
    }

    #[test]
    fn a_lost_race_is_followed_by_a_rest_of_some_seconds_at_most() {
        for lost in [0, 1, 5, 10, 1000, u32::MAX] {
            assert!(rest(lost) <= LONGEST_REST, "{lost}");
        }
    }
}
