//! `trueup plan`: what would be done and why, from the working tree. Writes nothing.

use anyhow::bail;

use super::end::{self, Asked, End};
use super::source::{Opened, print_findings};
use super::{Format, Names, RepositoryArgs, controller, progress, streams};
use crate::controller::{Writes, plans};
use crate::model::TrafficPattern;
use crate::view::plan::Detail;
use crate::view::{json, markdown, plan};

pub(super) async fn run(
    arguments: &RepositoryArgs,
    names: &Names,
    format: Format,
    detail: Detail,
) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let declaration = source.working_tree()?;
    print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let broken = selection.is_broken(&declaration);
    let mut controller = controller(source).await;
    let swept =
        progress::sweep(&mut controller, &declaration, Writes::Withheld, |target| selection.holds(target))
            .await;
    match format {
        Format::Text => {
            let style = streams::style(arguments.color);
            streams::screen(&plan::text(&plans(&swept), detail, style));
        }
        Format::Markdown => out!("{}", markdown::plan(&declaration, &plans(&swept))),
        Format::Json => streams::document(&json::plan(&plans(&swept))),
    }
    Ok(end::lowest([broken, end::of(Asked::Plan, &swept)]))
}

/// What ECS itself can do.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "camelCase")]
pub(super) enum To {
    BlueGreen,
    Canary,
    Linear,
}

/// Tells how one service is moved from CodeDeploy to ECS itself.
pub(super) async fn migration(arguments: &RepositoryArgs, names: &Names, to: To) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let declaration = source.working_tree()?;
    print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let mut controller = controller(source).await;
    let swept =
        progress::sweep(&mut controller, &declaration, Writes::Withheld, |target| selection.holds(target))
            .await;
    let [one] = swept.as_slice() else { bail!("name one application: trueup plan --as STRATEGY ENV/APP") };
    let Some(migration) = &one.plan.migration else {
        let why = one.plan.waiting.as_ref().map(crate::plan::waiting::describe).unwrap_or_default();
        bail!(
            "{} is not deployed by CodeDeploy, or nothing has been deployed yet\n  hint  {why}",
            one.target
        );
    };
    let pattern = match to {
        To::BlueGreen => TrafficPattern::AllAtOnce,
        To::Canary => TrafficPattern::Canary { share: None, bake: None },
        To::Linear => TrafficPattern::Linear { step: None, bake: None },
    };
    out!("{}", crate::view::migration::text(&one.target, migration, pattern));
    Ok(if migration.open.is_some() { End::NotReached } else { End::Good })
}
