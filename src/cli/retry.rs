//! `trueup retry`: stamps the held revision, for every controller to see. No controller is contacted.

use anyhow::bail;

use super::source::Opened;
use super::{End, RepositoryArgs, controller, look_at};
use crate::model::Waiting;
use crate::plan::waiting;

pub(super) async fn run(arguments: &RepositoryArgs, name: &str) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let plan = look_at(&mut controller, &declaration, name).await?;
    let Some(Waiting::Held { commit, .. }) = &plan.waiting else {
        let why = plan.waiting.as_ref().map(|waiting| format!(" ({})", waiting::describe(waiting)));
        bail!("{name} is not held{}; nothing to try again", why.unwrap_or_default());
    };
    let Some(step) = plan.retry.clone() else {
        bail!("{name} is held, but its failed revision cannot be found")
    };
    controller.write_one(&declaration, name, step).await?;
    eprintln!("{name}: {} will be tried once more", commit.short());
    Ok(End::Good)
}
