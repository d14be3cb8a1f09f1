//! Text for people: the answer first, then the reason, then what to do.

use std::fmt::Write as _;

use super::api;
use crate::controller::{Outcome, Swept};
use crate::git::Head;
use crate::model::{Commit, Running, Status, Waiting};
use crate::plan::{self, Plan, Step, Why};

pub(super) fn status(head: &Head, swept: &[Swept]) -> String {
    let short = head.commit.as_str().get(..7).unwrap_or_default();
    let mut text = format!("infrastructure @ {short} \"{}\"\n\n", head.summary);
    let header =
        ["ENVIRONMENT", "APPLICATION", "DECLARED", "RUNNING", "SYNC", "HEALTH", "NOW"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(swept.iter().map(row));
    text.push_str(&table(&rows));
    for one in swept {
        if let Some(plan) = &one.plan {
            text.push_str(&remarks(plan));
        }
    }
    text
}

fn row(one: &Swept) -> [String; 7] {
    let (environment, application) = (one.target.environment.to_string(), one.target.application.to_string());
    let Some(plan) = &one.plan else {
        let unknown = || "Unknown".to_owned();
        return [
            environment,
            application,
            "-".to_owned(),
            "-".to_owned(),
            unknown(),
            unknown(),
            "frozen".to_owned(),
        ];
    };
    let status = &plan.status;
    let now = match (&plan.waiting, plan.steps.first()) {
        (Some(Waiting::Settled), _) => String::new(),
        (Some(waiting), _) => plan::status::describe(waiting),
        (None, Some(step)) => format!("next: {}", step_line(step)),
        (None, None) => String::new(),
    };
    let declared = status.declared.as_ref().map_or("-", Commit::short).to_owned();
    let words = (api::sync(status.sync).to_owned(), api::health(status.health).to_owned());
    [environment, application, declared, running(status), words.0, words.1, now]
}

fn running(status: &Status) -> String {
    if status.running.is_empty() {
        return format!("- 0/{}", status.desired_count);
    }
    let one = |group: &Running| {
        let name = group.commits.first().map(|commit| commit.short().to_owned());
        let name = name.or_else(|| group.digest.as_ref().map(|digest| digest.short().to_owned()));
        (name.unwrap_or_else(|| "unknown".to_owned()), group.tasks)
    };
    if let [only] = status.running.as_slice() {
        let (name, tasks) = one(only);
        return format!("{name} {tasks}/{}", status.desired_count);
    }
    let all: usize = status.running.iter().map(|group| group.tasks).sum();
    let groups = status.running.iter().map(one).map(|(name, tasks)| format!("{tasks}/{all} {name}"));
    groups.collect::<Vec<_>>().join(", ")
}

fn remarks(plan: &Plan) -> String {
    let status = &plan.status;
    let mut text = String::new();
    if let Some(waiting @ Waiting::Held { commit, .. }) = &plan.waiting {
        let _ = writeln!(text, "\n{} is {}", status.target, plan::status::describe(waiting));
        for cause in &status.causes {
            let _ = writeln!(text, "  cause  {cause}");
        }
        let _ = writeln!(text, "  next   fix commit {} or: trueup retry {}", commit.short(), status.target);
    }
    for difference in &status.drift {
        let _ = writeln!(
            text,
            "\n{} drifted: {} is {}, declared is {}",
            status.target,
            difference.field,
            difference.live.as_deref().unwrap_or("absent"),
            difference.desired.as_deref().unwrap_or("absent")
        );
    }
    text
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

pub(super) fn plan(swept: &[Swept]) -> String {
    let mut text = String::new();
    let mut writes = 0;
    for one in swept {
        let Some(plan) = &one.plan else {
            let _ = writeln!(text, "{}   nothing to do: frozen, its files cannot be read", one.target);
            continue;
        };
        match (&plan.waiting, plan.steps.first()) {
            (Some(waiting), _) => {
                let _ = writeln!(text, "{}   {}", one.target, nothing(waiting));
            }
            (None, Some(step)) => {
                writes += 1;
                let _ = writeln!(text, "{}   {}", one.target, change(&plan.status));
                let _ = writeln!(text, "  next       {}", step_line(step));
            }
            (None, None) => {}
        }
        for difference in &plan.differences {
            let (live, desired) = (difference.live.as_deref(), difference.desired.as_deref());
            let _ = writeln!(
                text,
                "      {}  {} -> {}",
                difference.field,
                live.unwrap_or("-"),
                desired.unwrap_or("-")
            );
        }
    }
    let _ = writeln!(text, "\n{writes} of {} applications change", swept.len());
    text
}

fn nothing(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Settled => plan::status::describe(waiting),
        other => format!("nothing to do: {}", plan::status::describe(other)),
    }
}

fn change(status: &Status) -> String {
    let running =
        status.running.first().and_then(|group| group.commits.first()).map_or("?", |commit| commit.short());
    format!("{running} -> {}", status.declared.as_ref().map_or("?", Commit::short))
}

pub(super) fn plan_markdown(swept: &[Swept]) -> String {
    let mut text = String::from("| application | change | now |\n|---|---|---|\n");
    for one in swept {
        let (change, now) = match &one.plan {
            None => (String::new(), "frozen: its files cannot be read".to_owned()),
            Some(plan) => match (&plan.waiting, plan.steps.first()) {
                (Some(waiting), _) => (String::new(), plan::status::describe(waiting)),
                (None, Some(step)) => (change(&plan.status), step_line(step)),
                (None, None) => (String::new(), String::new()),
            },
        };
        let _ = writeln!(text, "| {} | {change} | {} |", one.target, now.replace('|', "\\|"));
    }
    text
}

pub(super) fn step_line(step: &Step) -> String {
    match step {
        Step::Register { commit, .. } => format!("register a task definition for {}", commit.short()),
        Step::Stamp { revision, key, .. } => format!("record {key} on {}", revision.short()),
        Step::Deploy { revision, service, why, .. } => {
            let why = match why {
                Why::Rollback => ", back to the last good one",
                Why::Retry => ", once more",
                Why::GitChanged | Why::Interrupted | Why::FirstContact | Why::Drift => "",
            };
            format!("deploy {} to {service}{why}", revision.short())
        }
        Step::MoveTag { repository, tag, digest } => {
            format!("move tag {tag} of {repository} to {}", digest.short())
        }
    }
}

/// Says on stderr what keeps each target from where it should be, and what to do about it.
pub(super) fn complaints(swept: &[Swept]) {
    for one in swept {
        let waiting = match &one.plan {
            Some(plan) => plan.waiting.as_ref(),
            None => Some(&Waiting::Frozen),
        };
        let Some(waiting) = waiting.filter(|waiting| !matches!(waiting, Waiting::Settled)) else { continue };
        eprintln!("{}: {}", one.target, plan::status::describe(waiting));
        if let Some(hint) = plan::status::hint(waiting, &one.target) {
            eprintln!("  hint  {hint}");
        }
    }
}

/// What is going on with one target, in a line: what it runs, and why nothing is done or what comes next.
pub(super) fn progress(one: &Swept) -> String {
    let [_, _, _, running, sync, health, now] = row(one);
    format!("{:<13} {running:<28} {sync:<9} {health:<11} {now}", one.target.to_string()).trim_end().to_owned()
}

/// Logs what was written, or why a write failed.
pub(super) fn outcome(one: &Swept) {
    match &one.outcome {
        Outcome::Nothing => {}
        Outcome::Wrote(step) => tracing::info!(event = "write", target = %one.target, "{}", step_line(step)),
        Outcome::Failed(step, error) => {
            tracing::warn!(event = "write.failed", target = %one.target, "{}: {error}", step_line(step));
        }
    }
}
