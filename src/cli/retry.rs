//! `trueup retry`: stamps the held revision, for every controller to see. No controller is contacted.

use anyhow::{Context, bail};

use super::source::Opened;
use super::{End, RepositoryArgs, controller};
use crate::controller::Writes;
use crate::model::Waiting;

pub(super) async fn run(arguments: &RepositoryArgs, name: &str) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (_, declaration) = source.committed()?;
    let mut controller = controller(source).await;
    let swept = controller.sweep(&declaration, Writes::Withheld, |target| target.to_string() == name).await;
    let plan = swept
        .first()
        .and_then(|swept| swept.plan.as_ref())
        .with_context(|| format!("no application {name}"))?;
    let Some(Waiting::Held { commit, .. }) = &plan.waiting else {
        bail!("{name} is not held; nothing to try again");
    };
    let Some(step) = plan.retry.clone() else {
        bail!("{name} is held, but its failed revision cannot be found")
    };
    controller.write_one(&declaration, name, step).await?;
    eprintln!("{name}: {} will be tried once more", commit.short());
    Ok(End::Good)
}
