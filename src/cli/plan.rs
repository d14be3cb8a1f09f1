//! `trueup plan`: what would be done and why, from the working tree. Writes nothing.

use super::source::{Opened, print_findings};
use super::{End, Format, Names, RepositoryArgs, api, controller, show, streams};
use crate::controller::Writes;
use crate::plan::waiting::{Class, class};

pub(super) async fn run(arguments: &RepositoryArgs, names: &Names, format: Format) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let declaration = source.working_tree()?;
    let broken = print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let mut controller = controller(source).await;
    let swept = controller.sweep(&declaration, Writes::Withheld, |target| selection.holds(target)).await;
    match format {
        Format::Text => out!("{}", show::plan(&swept)),
        Format::Markdown => out!("{}", show::plan_markdown(&declaration, &swept)),
        Format::Json => streams::document(&api::plan(&swept)),
    }
    let plans = || swept.iter().filter_map(|swept| swept.plan.as_ref());
    let stuck = plans().any(|plan| plan.waiting.as_ref().map(class).is_some_and(is_error));
    let changes = plans().any(|plan| !plan.steps.is_empty());
    // An error goes before changes: they are not all that there is to say.
    Ok(match (broken || stuck, changes) {
        (true, _) => End::Error,
        (false, true) => End::Changes,
        (false, false) => End::Good,
    })
}

/// Whether nobody can tell what would be done, or it cannot be done before a person has put something right.
fn is_error(class: Class) -> bool {
    matches!(class, Class::Unreadable | Class::Stalled)
}
