//! `trueup plan`: what would be done and why, from the working tree. Writes nothing.

use super::end::{self, Asked, End};
use super::source::{Opened, print_findings};
use super::{Format, Names, RepositoryArgs, controller, progress, streams};
use crate::controller::{Writes, plans};
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
