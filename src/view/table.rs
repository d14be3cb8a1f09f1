//! The status of many targets as a table, and what is to be said of each below it.

use std::fmt::Write as _;

use super::words;
use super::words::{described, first_failing, named, step_line, told};
use crate::escape::line;
use crate::model::{Commit, CommitSource, Finding, Head, Running, Share, Stage, Status, Waiting};
use crate::plan::{self, Plan};

pub fn status(head: &Head, plans: &[&Plan]) -> String {
    let short = head.commit.as_str().get(..7).unwrap_or_default();
    let mut text = format!("infrastructure @ {short} \"{}\"\n\n", line(&head.summary));
    let header =
        ["ENVIRONMENT", "APPLICATION", "DECLARED", "RUNNING", "SYNC", "HEALTH", "NOW"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(plans.iter().copied().map(row).map(|row| row.map(|cell| line(&cell).into_owned())));
    text.push_str(&table(&rows));
    for plan in plans {
        text.push_str(&remarks(plan));
    }
    text
}

fn row(plan: &Plan) -> [String; 7] {
    let status = &plan.status;
    let target = &status.target;
    let (environment, application) = (target.environment.to_string(), target.application.to_string());
    let now = match (&plan.waiting, plan.steps.first()) {
        (Some(Waiting::Settled), _) if let Some(run) = &status.last_run => words::last_run(run),
        (Some(Waiting::Settled), _) if status.failing_since.is_some() => first_failing(status),
        (Some(Waiting::Settled), _) => String::new(),
        (Some(waiting), _) => bar(status) + &plan::waiting::describe(waiting),
        (None, Some(step)) => format!("next: {}", step_line(step)),
        (None, None) => String::new(),
    };
    let declared = status.declared.as_ref().map_or("-", Commit::short).to_owned();
    let words = (words::sync(status.sync).to_owned(), words::health(status.health).to_owned());
    [environment, application, declared, running(status), words.0, words.1, now]
}

/// How much of the traffic is on the new tasks while it shifts.
fn bar(status: &Status) -> String {
    const WIDTH: usize = 10;
    let shift = status.last_deployment.as_ref().and_then(|last| last.shift.as_ref());
    let share = shift.filter(|shift| shift.stage == Stage::Shifting).and_then(|shift| shift.production);
    let Some(share) = share else { return String::new() };
    let full = usize::from(share.tenths()) * WIDTH / usize::from(Share::ALL.tenths());
    format!("{}{} ", "█".repeat(full), "░".repeat(WIDTH.saturating_sub(full)))
}

fn running(status: &Status) -> String {
    let name = |group: &Running| {
        let name = group.commits.first().map(|commit| commit.short().to_owned());
        let name = name.or_else(|| group.digest.as_ref().map(|digest| digest.short().to_owned()));
        let doubt = match group.source {
            CommitSource::Registry => "",
            CommitSource::RevisionOfRemoved => " (image removed)",
            CommitSource::RevisionOfUntagged => " (tag moved)",
        };
        name.unwrap_or_else(|| "?".to_owned()) + doubt
    };
    let share = |group: &Running| {
        group.production.map_or_else(String::new, |share| format!(" ({share} % of the traffic)"))
    };
    let groups: Vec<&Running> = status.running.iter().filter(|group| group.tasks > 0).collect();
    let all: usize = groups.iter().map(|group| group.tasks).sum();
    let mut told = match groups.as_slice() {
        [] => vec![format!("- 0/{}", status.desired_count)],
        [only] => vec![format!("{} {}/{}", name(only), only.tasks, status.desired_count)],
        several => {
            let told = |group: &&Running| format!("{}/{all} {}{}", group.tasks, name(group), share(group));
            several.iter().map(told).collect()
        }
    };
    let draining = status.running.iter().filter(|group| group.draining > 0);
    told.extend(draining.map(|group| format!("{} {} draining", name(group), group.draining)));
    told.join(", ")
}

fn remarks(plan: &Plan) -> String {
    let status = &plan.status;
    let mut text = String::new();
    if let Some(waiting @ Waiting::Held { .. }) = &plan.waiting {
        let _ = writeln!(text, "\n{} is {}", named(&status.target), described(waiting));
        text.push_str(&told(&status.causes));
        let _ = writeln!(
            text,
            "  next   promote a fixed commit, or run `trueup retry {}`",
            named(&status.target)
        );
    }
    if status.failing_since.is_some() && !matches!(plan.waiting, Some(Waiting::Held { .. })) {
        let _ = writeln!(text, "\n{} is degraded", named(&status.target));
        text.push_str(&told(&status.failing_causes));
    }
    for finding in &plan.findings {
        let _ = write!(text, "\n{}\n{}", named(&status.target), found(finding));
    }
    text + &drift(status)
}

/// A finding about what was read of the service, and where the repository says otherwise.
pub(super) fn found(finding: &Finding) -> String {
    let Finding { position, message, hint, .. } = finding;
    let place = format!("{}:{}:{}", position.file, position.line, position.column);
    let mut text = format!("  warning    {}: {}\n", line(&place), line(message));
    if let Some(hint) = hint {
        let _ = writeln!(text, "  hint       {}", line(hint));
    }
    text
}

/// What another hand has changed, field by field.
pub fn drift(status: &Status) -> String {
    status.drift.iter().fold(String::new(), |mut text, difference| {
        let _ = writeln!(
            text,
            "\n{} drifted: {} is {}, declared is {}",
            named(&status.target),
            line(&difference.field),
            line(difference.live.as_deref().unwrap_or("absent")),
            line(difference.desired.as_deref().unwrap_or("absent"))
        );
        text
    })
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

/// What is going on with one target, in a line: what it runs, and why nothing is done or what comes next.
pub fn progress(plan: &Plan) -> String {
    let [_, _, _, running, sync, health, now] = row(plan);
    let told = format!("{:<13} {running:<32} {sync:<9} {health:<11} {now}", plan.status.target.to_string());
    line(told.trim_end()).into_owned()
}
