//! `trueup promote`: changes one commit in an environment file, keeps its comments, commits, and pushes.

use std::time::Duration;

use anyhow::ensure;

use super::change::{Change, Draft, Edited, Work, readable};
use super::delivery::Delivery;
use super::end::{self, End, Standing};
use super::source::InfraRepository;
use super::{RepositoryArgs, controller, progress};
use crate::controller::Writes;
use crate::manifest::edit::{self, EditError};
use crate::model::{Commit, Declaration, Declared, Desired, Health, Sync, Waiting};
use crate::plan::{self, Plan};
use crate::settings::Settings;

/// How long AWS is asked what runs well.
const ASKED: Duration = Duration::from_secs(30);

/// What is promoted where.
pub(super) struct Promotion {
    /// `ENVIRONMENT/APPLICATION`.
    pub(super) target: String,
    pub(super) what: What,
    pub(super) delivery: Delivery,
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
    let delivery = promotion.delivery;
    let work = Work::open(arguments.settings()?, delivery.start()).await?;
    match chosen(work.settings(), promotion).await? {
        Ok(commit) => {
            let declared = DeclaredCommit { target: promotion.target.clone(), commit, verb: "promote" };
            delivery.carry_out(&work, &declared).await
        }
        Err(Refusal { end, why }) => {
            say!("{why}");
            Ok(end)
        }
    }
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
    let opened = InfraRepository::with(settings)?;
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

/// A commit that an environment is to declare for an application.
pub(super) struct DeclaredCommit {
    /// `ENVIRONMENT/APPLICATION`.
    pub(super) target: String,
    pub(super) commit: Commit,
    /// What the command does, for the message of the commit.
    pub(super) verb: &'static str,
}

impl Change for DeclaredCommit {
    fn draft(&self, declaration: &Declaration) -> anyhow::Result<Option<Draft<'_>>> {
        let Self { target: name, commit, verb } = self;
        // One that has no commit yet is frozen, and so is one whose commit is the mistake. Whether another one is left is looked
        // at when the file has been edited.
        let frozen = known_of_frozen(declaration, name);
        let desired = frozen.map_or_else(|| readable(declaration, name), Ok)?;
        ensure!(is_writable(commit.as_str()), "no tag of an image: {:?}", commit.as_str());
        let is_frozen = frozen.is_some();
        if !is_frozen && desired.commit() == commit {
            say!("{name}: {commit} is declared already");
            return Ok(None);
        }
        let target = desired.target.clone();
        let file = desired.declared_at.file.clone();
        let topic = format!("{verb} {target}");
        let message = format!("{topic} to {}", commit.short());
        let targets = vec![target.clone()];
        let edit = move |text: &str| {
            let (environment, application) = (target.environment.as_str(), target.application.as_str());
            let (text, old) = match edit::set_commit(text, environment, application, commit) {
                Err(EditError::NoCommit(_)) if is_frozen => {
                    (edit::set_first_commit(text, environment, application, commit)?, "nothing".to_owned())
                }
                edited => edited.map(|edited| (edited.text, edited.old))?,
            };
            Ok(Edited { text, told: format!("{target}: {old} -> {commit}") })
        };
        Ok(Some(Draft { file, edit: Box::new(edit), targets, topic, message }))
    }

    fn is_declared(&self, declaration: &Declaration) -> bool {
        readable(declaration, &self.target).is_ok_and(|desired| *desired.commit() == self.commit)
    }
}

/// What could be read of an application whose files have errors.
fn known_of_frozen<'d>(declaration: &'d Declaration, name: &str) -> Option<&'d Desired> {
    let mut frozen = declaration.applications.iter().filter_map(|declared| match declared {
        Declared::Frozen(frozen) if frozen.target.to_string() == name => frozen.known.as_deref(),
        _ => None,
    });
    frozen.next()
}

/// What stands in quotes in YAML and in a tag of ECR.
fn is_writable(commit: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&commit.len()) && commit.bytes().all(allowed)
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
}
