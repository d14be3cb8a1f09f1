//! `trueup status`: the four truths, computed afresh from git and AWS.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use super::end::{self, Asked, End};
use super::source::{InfraRepository, print_findings};
use super::{Filters, Names, RepositoryArgs, StatusFormat, controller, progress, streams};
use crate::controller::{Controller, SweepResult, Writes, plans};
use crate::model::{Commit, Declaration, Declared, Desired, Head, Past, Target};
use crate::view::page::{self, Page};
use crate::view::screen::{Show, clock};
use crate::view::status::Columns;
use crate::view::{json, status};

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
    (names, filters): (&Names, &Filters),
    format: StatusFormat,
    code: Code,
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (head, declaration) = source.committed()?;
    print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let broken = selection.is_broken(&declaration);
    let wanted = selection.within(filters.environments.globs(&declaration)?);
    let mut controller = controller(source.clone()).await;
    let mut swept = progress::sweep(&mut controller, &declaration, Writes::Withheld, wanted).await;
    let stands = end::of(Asked::Status, &swept);
    swept.retain(|one| filters.shows(&one.plan));
    let show = Show { style: streams::style(arguments.color), now: controller.clock().now() };
    match format {
        StatusFormat::Name => swept.iter().for_each(|one| outln!("{}", one.target)),
        StatusFormat::Text | StatusFormat::Json
            if let ([name], [one]) = (names.targets.as_slice(), swept.as_slice())
                && one.target.to_string() == *name =>
        {
            let around = Around::read(&controller, &source, &head, &declaration, one, format).await;
            let page = around.page(&head, &controller, one);
            match format {
                StatusFormat::Json => streams::document(&page::json(&page)),
                _ => streams::screen(&page::text(&page, show)),
            }
        }
        StatusFormat::Json => streams::document(&json::status(&head, &plans(&swept))),
        StatusFormat::Text => streams::screen(&status::text(&head, &plans(&swept), Columns::Few, show)),
        StatusFormat::Wide => streams::screen(&status::text(&head, &plans(&swept), Columns::All, show)),
    }
    Ok(match code {
        Code::Shown => End::Good,
        Code::AsItStands => end::lowest([broken, stands]),
    })
}

/// What the page of the one target that is named in full rests on, beside the look itself.
struct Around<'a> {
    desired: Option<&'a Desired>,
    commits: Vec<(Head, Commit)>,
    past: Past,
    address: Option<String>,
}

impl<'a> Around<'a> {
    async fn read(
        controller: &Controller,
        source: &InfraRepository,
        head: &Head,
        declaration: &'a Declaration,
        one: &SweepResult,
        format: StatusFormat,
    ) -> Self {
        let declared = declaration.applications.iter().find(|declared| *declared.target() == one.target);
        let desired = declared.and_then(Declared::observable);
        let commits = desired.map(|desired| source.declared_commits(desired, head)).unwrap_or_default();
        let past = match desired {
            // Programs get it from `history`.
            Some(desired) if format == StatusFormat::Text => {
                controller.past(declaration, desired).await.with_declarations(&commits)
            }
            _ => Past::default(),
        };
        Self { desired, commits, past, address: source.address() }
    }

    fn page(&'a self, head: &'a Head, controller: &'a Controller, one: &'a SweepResult) -> Page<'a> {
        Page {
            head,
            declared_in: self.commits.first().map(|(head, _)| head),
            repository: self.address.as_deref(),
            plan: &one.plan,
            read: self.desired.and_then(|desired| Some((desired, controller.last_look(desired)?))),
            past: &self.past,
        }
    }
}

/// Looks as often as a controller would, and shows what has changed.
pub(super) async fn watch(
    arguments: &RepositoryArgs,
    (names, filters): (&Names, &Filters),
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let first = source.committed()?.1;
    let wanted = names.selection(&first)?.within(filters.environments.globs(&first)?);
    let mut controller = controller(source.clone()).await;
    let style = streams::style(arguments.color);
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
        let mut swept = progress::sweep(&mut controller, &declaration, Writes::Withheld, &wanted).await;
        seen = Some(declaration);
        let show = Show { style, now: controller.clock().now() };
        if redraws {
            swept.retain(|one| filters.shows(&one.plan));
            streams::raw(REDRAW);
            streams::screen(&status::text(&head, &plans(&swept), Columns::Few, show));
        } else {
            for one in &swept {
                let line = status::progress(&one.plan);
                // What a filter shows no more has changed too: its last line says to what.
                let is_shown = filters.shows(&one.plan) || told.contains_key(&one.target);
                if is_shown && told.get(&one.target) != Some(&line) {
                    outln!("{}  {line}", clock(show.now));
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
