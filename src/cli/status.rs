//! `trueup status`: the four truths, computed afresh from git and AWS.

use super::source::{Opened, print_findings};
use super::{End, Format, Names, RepositoryArgs, api, controller, show};
use crate::controller::Writes;

#[expect(clippy::print_stdout, reason = "stdout is data")]
pub(super) async fn run(arguments: &RepositoryArgs, names: &Names, format: Format) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (head, declaration) = source.committed()?;
    print_findings(&declaration);
    let selection = names.selection()?;
    let mut controller = controller(source).await;
    let swept = controller.sweep(&declaration, Writes::Withheld, |target| selection.holds(target)).await;
    match format {
        Format::Json => println!("{:#}", api::status(&head, &swept)),
        Format::Text | Format::Markdown => print!("{}", show::status(&head, &swept)),
    }
    Ok(End::Good)
}
