//! `trueup retry`: stamps the held or contested revision, for every controller to see. No controller is contacted.

use anyhow::bail;

use super::source::InfraRepository;
use super::{End, RepositoryArgs, controller, look_at};
use crate::model::Waiting;
use crate::view::words::in_brackets;

pub(super) async fn run(arguments: &RepositoryArgs, name: &str) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let said = match &plan.waiting {
        Some(Waiting::Held { commit, .. }) => format!("{} will be tried once more", commit.short()),
        Some(Waiting::OutcomeUnknown { commit, .. }) => format!("{} will be run once more", commit.short()),
        Some(Waiting::Contested { .. }) => "what is declared will be restored once more".to_owned(),
        _ => bail!("{name} is not held{}; nothing to try again", in_brackets(&plan)),
    };
    let Some(step) = plan.retry.clone() else {
        bail!("{name} is held, but the revision to try again cannot be found")
    };
    controller.write_one(&declaration, name, step).await?;
    say!("{name}: {said}");
    Ok(End::Good)
}
