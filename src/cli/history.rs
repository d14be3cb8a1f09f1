//! `trueup history` and `trueup events`: what was deployed, by whom, and what became of it. Writes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::end::End;
use super::source::{InfraRepository, print_findings};
use super::{Environments, HistoryFormat, Names, RepositoryArgs, controller, progress, streams};
use crate::controller::{Controller, Writes};
use crate::model::{Declaration, Declared, Head, Millis, Past, Target};
use crate::text::duration;
use crate::view::screen::Show;
use crate::view::{events, history};

/// How long events are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    Now,
    Stopped,
}

/// The value of `--since`.
pub(super) fn how_far(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| duration::EXPECTED.to_owned())
}

pub(super) async fn run(
    arguments: &RepositoryArgs,
    (names, environments): (&Names, &Environments),
    format: HistoryFormat,
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let (head, declaration) = source.committed()?;
    print_findings(&declaration);
    let wanted = names.selection(&declaration)?.within(environments.globs(&declaration)?);
    let mut controller = controller(source.clone()).await;
    let all = of_all(&mut controller, &source, &head, &declaration, wanted).await;
    let show = Show { style: streams::style(arguments.color), now: controller.clock().now() };
    match format {
        HistoryFormat::Json => streams::document(&history::json(&all)),
        HistoryFormat::Text => streams::screen(&history::text(&all, show)),
    }
    Ok(End::Good)
}

/// What changed lately, a line each; with `watch` also what changes from now on.
pub(super) async fn events(
    arguments: &RepositoryArgs,
    (names, environments): (&Names, &Environments),
    since: Duration,
    until: Until,
) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let first = source.committed()?.1;
    print_findings(&first);
    let wanted = names.selection(&first)?.within(environments.globs(&first)?);
    let mut controller = controller(source.clone()).await;
    let style = streams::style(arguments.color);
    let began = controller.clock().now();
    let since = began.saturating_sub(Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX));
    let mut told = KnownEvents::default();
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let (head, declaration) = source.committed()?;
        let all = of_all(&mut controller, &source, &head, &declaration, &wanted).await;
        let show = Show { style, now: controller.clock().now() };
        let is_whole = all.iter().all(|(_, past)| past.unread.is_empty());
        for line in told.news(events::lines(&all, since, show), is_whole) {
            streams::screen(&format!("{line}\n"));
        }
        if until == Until::Now {
            streams::screen(&events::end(told.0.is_empty(), show));
            return Ok(End::Good);
        }
        if streams::has_ended() {
            return Ok(End::Good);
        }
        tokio::select! {
            () = tokio::time::sleep(controller.rest()) => {}
            _ = &mut stop => return Ok(End::Good),
        }
        source.fetch().await?;
    }
}

/// The lines that were told and may be found again: those of the last round.
#[derive(Default)]
struct KnownEvents(BTreeSet<String>);

impl KnownEvents {
    /// Those of a round that are new. What a whole round finds no more does not come back; in one that `is_whole` is not said of, it
    /// may only have not been read.
    fn news(&mut self, round: Vec<String>, is_whole: bool) -> Vec<String> {
        let before = std::mem::take(&mut self.0);
        self.0 = round.iter().cloned().collect();
        let news = round.into_iter().filter(|line| !before.contains(line)).collect();
        if !is_whole {
            self.0.extend(before);
        }
        news
    }
}

/// The past of every target that is wanted, in the order of the declaration.
pub(super) async fn of_all(
    controller: &mut Controller,
    source: &InfraRepository,
    head: &Head,
    declaration: &Declaration,
    wanted: impl Fn(&Target) -> bool,
) -> Vec<(Target, Past)> {
    progress::sweep(controller, declaration, Writes::Withheld, &wanted).await;
    let mut all = Vec::new();
    for declared in declaration.applications.iter().filter(|declared| wanted(declared.target())) {
        all.push((declared.target().clone(), of_one(controller, source, head, declaration, declared).await));
    }
    all
}

/// The past of one target that has been looked at.
pub(super) async fn of_one(
    controller: &mut Controller,
    source: &InfraRepository,
    head: &Head,
    declaration: &Declaration,
    declared: &Declared,
) -> Past {
    let Some(desired) = declared.observable() else {
        return Past { unread: vec!["what git declares of it".to_owned()], ..Past::default() };
    };
    let past = controller.past(declaration, desired).await;
    past.with_declarations(&source.declared_commits(desired, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_kept_while_it_is_found_or_may_only_not_have_been_read() {
        let mut told = KnownEvents::default();
        for (round, is_whole, expected, kept) in [
            (vec!["a", "b"], true, vec!["a", "b"], 2),
            (vec!["b", "c"], false, vec!["c"], 3),
            (vec!["a", "b", "c"], true, vec![], 3),
            (vec!["c", "d"], true, vec!["d"], 2),
            (vec![], false, vec![], 2),
            (vec!["c", "d"], true, vec![], 2),
            (vec![], true, vec![], 0),
        ] {
            let news = told.news(round.iter().map(ToString::to_string).collect(), is_whole);
            assert_eq!(
                (news, told.0.len()),
                (expected.iter().map(ToString::to_string).collect(), kept),
                "{round:?}"
            );
        }
    }
}
