//! `trueup plan`: what would be done and why, from the working tree. Writes nothing.

use anyhow::bail;

use super::end::{self, Asked, End};
use super::source::{InfraRepository, print_findings};
use super::{Format, Names, RepositoryArgs, controller, is_broken, progress, streams};
use crate::comparison::Comparison;
use crate::controller::{Writes, plans};
use crate::git_host::{Commented, HostError, Pace, Presence, PullRequest};
use crate::model::{Declaration, Target, TrafficPattern};
use crate::plan::Plan;
use crate::view;
use crate::view::plan::Detail;
use crate::view::{comparison, json, markdown, plan};

/// What is asked for.
pub(super) struct Wanted {
    /// Only what has changed since then.
    pub base: Option<String>,
    pub format: Format,
    pub detail: Detail,
    /// Also on the pull request that the job is about.
    pub comment: bool,
}

pub(super) async fn run(arguments: &RepositoryArgs, names: &Names, wanted: &Wanted) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let declaration = source.working_tree()?;
    print_findings(&declaration);
    let selection = names.selection(&declaration)?;
    let compare = |base: &String| source.compared_with(base, &declaration);
    let mut comparison = wanted.base.as_ref().map(compare).transpose()?;
    if let Some(comparison) = &mut comparison {
        comparison.touched.retain(|touched| selection.holds(&touched.target));
    }
    let is_meant = |target: &Target| {
        selection.holds(target) && comparison.as_ref().is_none_or(|comparison| comparison.touches(target))
    };
    let broken = is_broken(&declaration, is_meant);
    let mut controller = controller(source.clone()).await;
    let swept = progress::sweep(&mut controller, &declaration, Writes::Withheld, is_meant).await;
    let (plans, comparison) = (plans(&swept), comparison.as_ref());
    match wanted.format {
        Format::Text => {
            let style = streams::style(arguments.color);
            let touched = comparison.map(|comparison| comparison::text(comparison, style));
            let plan = with_plan(&plans, comparison, || plan::text(&plans, wanted.detail, style));
            streams::screen(&(touched.unwrap_or_default() + &plan));
        }
        Format::Markdown => out!("{}", as_markdown(&declaration, &plans, comparison)),
        Format::Json => {
            let mut document = json::plan(&plans);
            if let Some(comparison) = comparison {
                (document["base"], document["changes"]) = comparison::json(comparison);
            }
            streams::document(&document);
        }
    }
    let mut ends = vec![broken, end::of(Asked::Plan, &swept)];
    if wanted.comment {
        let text = as_markdown(&declaration, &plans, comparison);
        let is_idle = comparison.is_some_and(|comparison| comparison.touched.is_empty());
        let presence = if is_idle && broken == End::Good { Presence::IfThere } else { Presence::Wanted };
        if let Err(error) = comment(&arguments.settings()?.path, &names.targets, &text, presence).await {
            streams::message("ERROR", format_args!("error: there is no comment: {error}"));
            ends.push(End::Error);
        }
    }
    Ok(end::lowest(ends))
}

pub(super) fn as_markdown(
    declaration: &Declaration,
    plans: &[&Plan],
    comparison: Option<&Comparison>,
) -> String {
    let touched = comparison.map(comparison::for_a_pull_request).unwrap_or_default();
    touched + &with_plan(plans, comparison, || markdown::plan(declaration, plans))
}

/// Writes the one comment of this path and these targets.
async fn comment(path: &str, targets: &[String], plan: &str, presence: Presence) -> Result<(), HostError> {
    let request = PullRequest::of_job(&|name| std::env::var(name).ok())?;
    let mark = view::comment::mark(path, targets);
    let text = view::comment::comment(&mark, targets, plan, request.most_characters());
    match request.comment(&mark, &text, presence, Pace::NORMAL).await? {
        Commented::Created => say!("commented on {request}"),
        Commented::Updated => say!("brought the comment on {request} up to date"),
        Commented::Left => say!("no comment on {request}: nothing is declared in another way"),
    }
    Ok(())
}

/// Where a change touches nothing that is still declared there is nothing to plan.
fn with_plan(plans: &[&Plan], comparison: Option<&Comparison>, show: impl FnOnce() -> String) -> String {
    if plans.is_empty() && comparison.is_some() { String::new() } else { show() }
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
    let source = InfraRepository::open(arguments)?;
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
