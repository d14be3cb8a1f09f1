//! `trueup rollback`: declares the last commit that ended well here, by a change of the infrastructure repository. Controllers
//! act on it as on any other commit.

use anyhow::bail;

use super::change::{Work, readable};
use super::delivery::Delivery;
use super::end::End;
use super::promote::DeclaredCommit;
use super::source::InfraRepository;
use super::{RepositoryArgs, controller, look_at, streams};
use crate::model::{Commit, Desired, Observed, Reading, Waiting};
use crate::plan::ended_well::{EndedWell, Outcomes, ended_well};
use crate::plan::waiting::{Class, class};
use crate::plan::{self, Plan};
use crate::view::plan::{Detail, text};

/// Commits that are named to choose from.
const MOST_NAMED: usize = 5;

/// What is gone back to.
pub(super) enum To {
    /// The last other commit than the declared one that ended well here.
    Last,
    /// This commit, if it ended well here.
    Commit(Commit),
    /// This commit, whatever became of it. AWS is not asked.
    Whatever(Commit),
}

/// Why nothing is changed, and the code that says so.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    end: End,
    why: String,
}

impl Refusal {
    fn new(end: End, why: impl Into<String>) -> Self {
        Self { end, why: why.into() }
    }
}

pub(super) async fn run(
    arguments: &RepositoryArgs,
    name: &str,
    to: To,
    delivery: Delivery,
) -> anyhow::Result<End> {
    let work = Work::open(arguments.settings()?, delivery.start()).await?;
    let back_to = |commit| DeclaredCommit { target: name.to_owned(), commit, verb: "roll back" };
    if let To::Whatever(commit) = to {
        return delivery.carry_out(&work, &back_to(commit)).await;
    }
    let opened = InfraRepository::with(work.settings())?;
    let (_, declaration) = opened.committed()?;
    let desired = readable(&declaration, name)?;
    if desired.service().is_none() {
        bail!(
            "{name} is a task: it has no deployment to go back to\n  hint  promote the commit that it is to run"
        );
    }
    let mut controller = controller(opened).await;
    let observed = controller.read(&declaration, desired).await;
    let now = controller.clock().now();
    let known = is_known(desired, &observed)
        .map(|()| ended_well(desired, &observed, declaration.infra_commit.as_ref(), now));
    let wanted = if let To::Commit(commit) = &to { Some(commit) } else { None };
    let chosen = match known.and_then(|past| choose(&past, desired.commit(), wanted)) {
        Ok(chosen) => chosen,
        Err(refusal) => return Ok(refused(name, &refusal)),
    };
    let change = back_to(chosen.commit.clone());
    if let Some(changed) = work.edited(&change)? {
        say!("{name}: {}", told(&chosen));
        let plan = look_at(&mut controller, &changed, name).await?;
        // In a pull request it is the text, and stdout has the address.
        if delivery != Delivery::PullRequest {
            streams::screen(&text(&[&plan], Detail::Changes, streams::style(arguments.color)));
        }
        if let Err(refusal) = can_be_deployed(&plan, &chosen.commit) {
            return Ok(refused(name, &refusal));
        }
    }
    delivery.carry_out(&work, &change).await
}

fn refused(name: &str, refusal: &Refusal) -> End {
    say!("{name}: {}; nothing was changed", refusal.why);
    refusal.end
}

/// Nothing is concluded from what could not be read.
fn is_known(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    let unknown = |why: &str| {
        let why = format!(
            "AWS does not tell what ended well here: {why}\n  hint  --to COMMIT --force goes back without asking"
        );
        Err(Refusal::new(End::Error, why))
    };
    match (&observed.account, &desired.account) {
        (Err(why), _) => {
            let why = Waiting::Unreached { account: None, why: why.clone() };
            return unknown(&plan::waiting::describe(&why));
        }
        (Ok(actual), Some(expected)) if actual != expected => {
            return unknown(&format!("the credentials belong to account {actual}, {expected} is declared"));
        }
        _ => {}
    }
    match (&observed.service, &observed.service_deployments) {
        (Reading::Unavailable(why), _) | (_, Reading::Unavailable(why)) => unknown(why),
        (Reading::Absent, _) => unknown("there is no such service"),
        _ => Ok(()),
    }
}

fn choose(past: &Outcomes, declared: &Commit, wanted: Option<&Commit>) -> Result<EndedWell, Refusal> {
    let others = past.well.iter().filter(|one| !one.commit.matches(declared));
    let Some(wanted) = wanted else {
        return others.clone().next().cloned().ok_or_else(|| {
            let why = match past.well.first() {
                Some(_) => format!("{declared}, which is declared, is the only commit that ended well here"),
                None => {
                    "no deployment here has ended well, as far as AWS and trueup's record tell".to_owned()
                }
            };
            Refusal::new(End::Error, why)
        });
    };
    if let Some(found) = past.well.iter().find(|one| one.commit.matches(wanted)) {
        return Ok(found.clone());
    }
    let names: Vec<&str> = others.map(|one| one.commit.short()).take(MOST_NAMED).collect();
    let these = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let (end, what) = if past.failed.iter().any(|failed| failed.matches(wanted)) {
        (End::Failed, "failed here")
    } else {
        (End::Error, "has not ended well here, as far as AWS and trueup's record tell")
    };
    let hint = format!("these did: {these}; --force takes {wanted} all the same");
    Err(Refusal::new(end, format!("{wanted} {what}\n  hint  {hint}\n")))
}

fn told(chosen: &EndedWell) -> String {
    let when = chosen.ended_at.and_then(|at| jiff::Timestamp::from_millisecond(at / 1000 * 1000).ok());
    let when = when.map(|at| format!(" at {at}")).unwrap_or_default();
    format!("{} ended well here{when} ({})", chosen.commit, chosen.revision.short())
}

/// Whether a controller could act on it, such as find its image.
fn can_be_deployed(plan: &Plan, commit: &Commit) -> Result<(), Refusal> {
    let Some(waiting) = &plan.waiting else { return Ok(()) };
    let end = match class(waiting) {
        Class::Failed => End::Failed,
        Class::Build | Class::Stalled | Class::Unreadable => End::Error,
        Class::Settled | Class::Moving | Class::Others => return Ok(()),
    };
    let why = plan::waiting::describe(waiting);
    Err(Refusal::new(end, format!("{commit} cannot be deployed now: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskDefinitionArn;

    #[test]
    fn the_last_other_commit_is_taken_or_the_named_one_if_it_ended_well() {
        let well = |commits: &[&str]| {
            let one = |commit: &&str| EndedWell {
                commit: Commit::new(*commit),
                revision: TaskDefinitionArn::new("arn:aws:ecs:eu-west-2:1:task-definition/api:1"),
                ended_at: None,
            };
            commits.iter().map(one).collect::<Vec<_>>()
        };
        let chosen = |commits: &[&str], wanted: Option<&str>| {
            let failed = [Commit::new("dddddddd")].into();
            let past = Outcomes { well: well(commits), failed };
            let chosen = choose(&past, &Commit::new("bbbbbbb"), wanted.map(Commit::new).as_ref());
            chosen.map(|chosen| chosen.commit.to_string()).map_err(|refusal| (refusal.end, refusal.why))
        };
        let all = ["bbbbbbbb", "aaaaaaaa", "ccccccc"];
        assert_eq!(chosen(&all, None).as_deref(), Ok("aaaaaaaa"));
        assert_eq!(chosen(&all, Some("ccccccc")).as_deref(), Ok("ccccccc"));
        // As ECR names it, not as it is typed.
        assert_eq!(chosen(&all, Some("aaaaaaa")).as_deref(), Ok("aaaaaaaa"));
        for (commits, wanted, end, why) in [
            (&["bbbbbbbb"][..], None, End::Error, "is the only commit that ended well"),
            (&[], None, End::Error, "no deployment here has ended well"),
            (&all, Some("ddddddd"), End::Failed, "ddddddd failed here\n  hint  these did: aaaaaaa, ccccccc;"),
            (&all, Some("eeeeeee"), End::Error, "eeeeeee has not ended well here"),
        ] {
            let (ended, said) = chosen(commits, wanted).unwrap_err();
            assert!(ended == end && said.contains(why), "{said}");
        }
    }
}
