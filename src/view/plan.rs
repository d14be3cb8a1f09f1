//! What would be done and why, line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::attention::{Attention, attention, name};
use super::screen::{Paint, Style};
use super::status::found;
use super::words::{change, changed, described, first_failing, named, next, step_line};
use crate::escape::line;
use crate::model::{Commit, ScalableTarget, Waiting};
use crate::plan::outlook::Outlook;
use crate::plan::waiting::{Class, class};
use crate::plan::{self, Plan, RULES};

pub fn text(plans: &[&Plan], detail: Detail, style: Style) -> String {
    let mut text = String::new();
    for plan in plans {
        text.push_str(&plan_of(plan, style));
        if detail == Detail::Rules {
            text.push_str(&explanation(plan));
        }
    }
    let _ = writeln!(text, "\n{}", summary(plans));
    text
}

/// What all of it comes to, in words.
pub(super) fn summary(plans: &[&Plan]) -> String {
    let changes = plans.iter().filter(|plan| !plan.steps.is_empty()).count();
    let deployments = plans.iter().filter(|plan| plan.outlook.is_some()).count();
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        more => Some(format!("{more} {many}")),
    };
    let writes = counted(deployments, "deployment", "deployments").into_iter();
    let writes: Vec<String> =
        writes.chain(counted(changes - deployments, "other write", "other writes")).collect();
    let mut others: BTreeMap<(Attention, &str), usize> = BTreeMap::new();
    for plan in plans.iter().filter(|plan| plan.steps.is_empty()) {
        let attention = attention(plan);
        if attention != Attention::Good {
            *others.entry((attention, name(attention, plan))).or_default() += 1;
        }
    }
    let others: Vec<String> =
        others.into_iter().map(|((_, name), count)| format!("{count} {name}")).collect();
    let mut text = format!("{changes} of {} applications change", plans.len());
    if !writes.is_empty() {
        let _ = write!(text, ": {}", writes.join(", "));
    }
    if !others.is_empty() {
        let _ = write!(text, "; {}", others.join(", "));
    }
    text
}

/// How much a plan tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Changes,
    /// Also which rule decided.
    Rules,
}

/// The rules in their order up to the one that answered, with what held for each; then why that one is asked there.
fn explanation(plan: &Plan) -> String {
    let Some(place) = plan.rule else {
        return "  rules      none was asked: its files have errors\n".to_owned();
    };
    let mut text = String::new();
    for rule in RULES.iter().take(place) {
        let _ = writeln!(text, "  passed     {:<16} {}", rule.name, rule.passes);
    }
    let Some(rule) = RULES.get(place) else { return text };
    let said = match (&plan.waiting, plan.steps.first()) {
        (Some(waiting), _) => plan::waiting::describe(waiting),
        (None, Some(step)) => step_line(step),
        (None, None) => String::new(),
    };
    let _ = writeln!(text, "  answered   {:<16} {}", rule.name, line(&said));
    let _ = writeln!(text, "  asked here {:<16} {}", "", rule.here);
    text
}

/// What would be done for one target, line by line.
pub(super) fn plan_of(plan: &Plan, style: Style) -> String {
    let name = style.paint(Paint::Strong, &named(&plan.status.target));
    let paint = attention(plan).paint();
    let mut text = match (&plan.waiting, plan.steps.first()) {
        (Some(Waiting::Settled), _) if plan.status.failing_since.is_some() => {
            let why = line(&first_failing(&plan.status)).into_owned();
            let what = format!("what is declared is deployed, and its tasks fail: {why}");
            format!("{name}   {}\n", style.paint(paint, &what))
        }
        (Some(waiting), _) => format!("{name}   {}\n", style.paint(paint, &nothing(waiting))),
        (None, Some(step)) if plan.outlook.is_none() => {
            format!("{} {name}   {}\n", style.paint(Paint::Busy, "~"), line(&step_line(step)))
        }
        (None, _) => {
            let how = plan.outlook.as_ref().map_or("", |outlook| outlook.strategy.as_str());
            let change = change(&plan.status);
            format!("{} {name}   {}   {}\n", style.paint(Paint::Busy, "~"), line(&change), line(how))
        }
    };
    if let Some(hint) = next(plan) {
        let _ = writeln!(text, "  hint       {}", line(&hint));
    }
    for finding in &plan.findings {
        text.push_str(&found(finding));
    }
    let Some(outlook) = &plan.outlook else {
        text.push_str(&differences(plan, style));
        return text;
    };
    for risk in &outlook.risks {
        let _ = writeln!(text, "  {}       {}", style.paint(Paint::Bad, "risk"), line(risk));
    }
    for (image, digest) in &outlook.images {
        let _ = writeln!(text, "  image      {} = sha256:{}…", line(image), line(digest.short()));
    }
    if let Some((family, made_from)) = &outlook.register {
        let _ = writeln!(text, "  register   {} (from {})", line(family), line(made_from));
    }
    for created in &outlook.create {
        let _ = writeln!(text, "  create     {}", line(created));
    }
    text.push_str(&differences(plan, style));
    let Outlook { service, cluster, count, .. } = outlook;
    let place = format!("{service} in cluster {cluster}");
    let tasks = match outlook.scalable_target {
        Some(ScalableTarget { least, most }) => {
            format!("{count} tasks, by the autoscaler between {least} and {most}")
        }
        None => format!("{count} tasks"),
    };
    let _ = writeln!(text, "  deploy     {}, {tasks}", line(&place));
    if let Some((tag, from, to)) = &outlook.tag {
        let from = from.as_ref().map_or("nothing", Commit::short);
        let moved = format!("{tag}: {from} -> {}", to.short());
        let _ = writeln!(text, "  tag        {}, after success", line(&moved));
    }
    text
}

fn differences(plan: &Plan, style: Style) -> String {
    plan.differences.iter().map(|difference| changed(difference, style, "    ")).collect()
}

/// Why nothing is written. Only what is as it should be has nothing to do.
fn nothing(waiting: &Waiting) -> String {
    if class(waiting) == Class::Stalled && *waiting != Waiting::Frozen {
        return format!("stuck: {}", described(waiting));
    }
    described(waiting)
}
