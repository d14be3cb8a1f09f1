//! What would be done and why, line by line.

use std::fmt::Write as _;

use super::table::found;
use super::words::{change, described, first_failing, named, step_line};
use crate::escape::line;
use crate::model::{Commit, ScalableTarget, Waiting};
use crate::plan::outlook::Outlook;
use crate::plan::waiting::{Class, class};
use crate::plan::{self, Plan, RULES};

pub fn text(plans: &[&Plan], detail: Detail) -> String {
    let mut text = String::new();
    for plan in plans {
        text.push_str(&plan_of(plan));
        if detail == Detail::Rules {
            text.push_str(&explanation(plan));
        }
    }
    let changes = plans.iter().filter(|plan| !plan.steps.is_empty()).count();
    let _ = writeln!(text, "\n{changes} of {} applications change", plans.len());
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
pub(super) fn plan_of(plan: &Plan) -> String {
    let mut text = match (&plan.waiting, plan.steps.first()) {
        (Some(Waiting::Settled), _) if plan.status.failing_since.is_some() => {
            let (target, why) = (named(&plan.status.target), first_failing(&plan.status));
            format!("{target}   what is declared is deployed, and its tasks fail: {}\n", line(&why))
        }
        (Some(waiting), _) => format!("{}   {}\n", named(&plan.status.target), nothing(waiting)),
        (None, Some(step)) if plan.outlook.is_none() => {
            format!("{}   {}\n", named(&plan.status.target), line(&step_line(step)))
        }
        (None, _) => {
            let how = plan.outlook.as_ref().map_or("", |outlook| outlook.strategy.as_str());
            format!("{}   {}   {}\n", named(&plan.status.target), line(&change(&plan.status)), line(how))
        }
    };
    if let Some(hint) =
        plan.waiting.as_ref().and_then(|waiting| plan::waiting::hint(waiting, &plan.status.target))
    {
        let _ = writeln!(text, "  hint       {}", line(&hint));
    }
    for finding in &plan.findings {
        text.push_str(&found(finding));
    }
    let Some(outlook) = &plan.outlook else {
        text.push_str(&differences(plan));
        return text;
    };
    for risk in &outlook.risks {
        let _ = writeln!(text, "  risk       {}", line(risk));
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
    text.push_str(&differences(plan));
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

fn differences(plan: &Plan) -> String {
    let mut text = String::new();
    for difference in &plan.differences {
        let (live, desired) = (difference.live.as_deref(), difference.desired.as_deref());
        let (live, desired) = (line(live.unwrap_or("-")), line(desired.unwrap_or("-")));
        let _ = writeln!(text, "      {}  {live} -> {desired}", line(&difference.field));
    }
    text
}

fn nothing(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Settled | Waiting::Frozen => described(waiting),
        other if class(other) == Class::Unreadable => described(other),
        other if class(other) == Class::Stalled => format!("stuck: {}", described(other)),
        other => format!("nothing to do: {}", described(other)),
    }
}
