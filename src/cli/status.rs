//! `trueup status`: the four truths, computed afresh from git and AWS.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use super::end::{self, Asked, End};
use super::source::{Opened, print_findings};
use super::{Names, RepositoryArgs, StatusFormat, controller, progress, streams};
use crate::controller::{Writes, plans};
use crate::model::{Declaration, Target};
use crate::view::{json, table};

/// Back to the first column of the first line, and everything below is cleared.
const REDRAW: &str = "\u{1b}[H\u{1b}[2J";

/// What the command ends with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// 0, since the status was shown.
    Shown,
    /// By where the applications stand.
    AsItStands,
}

pub(super) async fn run(
    arguments: &RepositoryArgs,
    names: &Names,
    format: StatusFormat,
    code: Code,
) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let (head, declaration) = source.committed()?;
    print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let mut controller = controller(source).await;
    let swept =
        progress::sweep(&mut controller, &declaration, Writes::Withheld, |target| selection.holds(target))
            .await;
    match format {
        StatusFormat::Json => streams::document(&json::status(&head, &plans(&swept))),
        StatusFormat::Text => out!("{}", table::status(&head, &plans(&swept))),
    }
    Ok(match code {
        Code::Shown => End::Good,
        Code::AsItStands => end::lowest([selection.is_broken(&declaration), end::of(Asked::Status, &swept)]),
    })
}

/// Looks as often as a controller would, and shows what has changed.
pub(super) async fn watch(arguments: &RepositoryArgs, names: &Names) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let selection = names.selection(&source.committed()?.1)?;
    let mut controller = controller(source.clone()).await;
    let redraws = std::io::stdout().is_terminal();
    let mut told: BTreeMap<Target, String> = BTreeMap::new();
    let mut seen: Option<Declaration> = None;
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        source.fetch().await?;
        let (head, declaration) = source.committed()?;
        if seen.as_ref().is_none_or(|seen| seen.infra_commit != declaration.infra_commit) {
            print_findings(&declaration);
        }
        let swept = progress::sweep(&mut controller, &declaration, Writes::Withheld, |target| {
            selection.holds(target)
        })
        .await;
        seen = Some(declaration);
        if redraws {
            streams::raw(REDRAW);
            out!("{}", table::status(&head, &plans(&swept)));
        } else {
            for one in &swept {
                let line = table::progress(&one.plan);
                if told.get(&one.target) != Some(&line) {
                    outln!("{line}");
                    told.insert(one.target.clone(), line);
                }
            }
        }
        if streams::has_ended() {
            return Ok(End::Good);
        }
        tokio::select! {
            () = tokio::time::sleep(controller.rest()) => {}
            _ = &mut stop => return Ok(End::Good),
        }
    }
}
