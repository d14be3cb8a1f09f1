//! `trueup plan`: what would be done and why, from the working tree. Writes nothing.

use super::end::{self, Asked, End};
use super::source::{Opened, print_findings};
use super::{Format, Names, RepositoryArgs, api, controller, show, streams};
use crate::controller::Writes;

pub(super) async fn run(
    arguments: &RepositoryArgs,
    names: &Names,
    format: Format,
    detail: show::Detail,
) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let declaration = source.working_tree()?;
    print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let broken = selection.is_broken(&declaration);
    let mut controller = controller(source).await;
    let swept = controller.sweep(&declaration, Writes::Withheld, |target| selection.holds(target)).await;
    match format {
        Format::Text => out!("{}", show::plan(&swept, detail)),
        Format::Markdown => out!("{}", show::plan_markdown(&declaration, &swept)),
        Format::Json => streams::document(&api::plan(&swept)),
    }
    Ok(end::lowest([broken, end::of(Asked::Plan, &swept)]))
}
