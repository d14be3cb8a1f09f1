//! `trueup approve` and `trueup reject`: a person's word to the deployment that goes on. No controller is contacted.

use anyhow::{anyhow, bail};

use super::source::InfraRepository;
use super::{End, RepositoryArgs, controller, look_at};
use crate::model::{Commit, Word};
use crate::plan::NotAnswered;
use crate::plan::shift::describe;
use crate::view::words::in_brackets;

/// Answers what it found, and nothing that came since: each step of a shift is asked for anew.
pub(super) async fn run(
    arguments: &RepositoryArgs,
    name: &str,
    word: Word,
    commit: Option<&Commit>,
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let nothing = || anyhow!("{name} does not wait for approval{}", in_brackets(&plan));
    let approval = plan.approval.as_ref().ok_or_else(nothing)?;
    let steps = match approval.answer(word, commit) {
        Ok(steps) => steps,
        Err(NotAnswered::NothingToSay) => return Err(nothing()),
        Err(NotAnswered::Another(found)) => {
            let found = found.as_ref().map_or("another task definition", Commit::short);
            let meant = commit.map_or("that", Commit::short);
            bail!("{name} brings {found}, and not {meant}: nothing was answered")
        }
    };
    let brings = approval.commit.as_ref().map_or("it", Commit::short).to_owned();
    let stage = describe(&approval.shift).unwrap_or_default();
    say!("{name}: {brings}: {stage}");
    let mut faster = "";
    for step in steps {
        let Err(error) = controller.write_one(&declaration, name, step.clone()).await else { continue };
        let now = look_at(&mut controller, &declaration, name).await?;
        if !now.status.last_deployment.is_some_and(|last| step.is_answered(&last)) {
            return Err(error.into());
        }
        faster = "somebody was faster: ";
    }
    match word {
        Word::Go => say!("{name}: {faster}{brings} goes on"),
        Word::Back => say!("{name}: {faster}{brings} is rolled back and will be held"),
    }
    Ok(End::Good)
}
