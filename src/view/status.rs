//! The status of many targets: a summary, a table with trouble first, and below it what is to be said of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::attention::{self, Attention, attention};
use super::screen::{Cell, Paint, Show, Style, age, ago, table};
use super::words;
use super::words::{described, first_failing, health, named, step_line, sync, told};
use crate::escape::line;
use crate::model::{
    Commit, CommitSource, Finding, Head, Health, Running, Share, Stage, Status, TaskDefinitionArn, Truth,
    Waiting,
};
use crate::plan::{self, Plan};

/// How many columns the table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// What fits a terminal.
    Few,
    All,
}

pub fn text(head: &Head, plans: &[&Plan], columns: Columns, show: Show) -> String {
    let mut plans = plans.to_vec();
    // Stable: those in the same trouble stay in the order of the declaration.
    plans.sort_by_key(|plan| attention(plan));
    let mut text = format!("{}\n{}\n", summary(&plans, show.style), head_line(head, show));
    if plans.is_empty() {
        return text;
    }
    text.push('\n');
    text.push_str(&rows(&plans, columns, show));
    let is_unread = plans.iter().any(|plan| !plan.status.unread.is_empty());
    for plan in plans {
        text.push_str(&remarks(plan, show));
    }
    if is_unread {
        text.push_str("\n?  is not known: it could not be read, or no commit tag names it\n");
    }
    text
}

/// `12 applications: 10 Healthy, 1 deploying, 1 on hold`.
fn summary(plans: &[&Plan], style: Style) -> String {
    let mut counts: BTreeMap<(Attention, &str), usize> = BTreeMap::new();
    for plan in plans {
        let attention = attention(plan);
        *counts.entry((attention, attention::name(attention, plan))).or_default() += 1;
    }
    // What is well comes first here: the table below begins with what is not.
    let counted = counts
        .iter()
        .rev()
        .map(|((attention, name), count)| style.paint(attention.paint(), &format!("{count} {name}")));
    let counted = counted.collect::<Vec<_>>().join(", ");
    match plans.len() {
        0 => "no application to show".to_owned(),
        1 => format!("1 application: {counted}"),
        many => format!("{many} applications: {counted}"),
    }
}

/// Which commit of the infrastructure repository this is about.
pub(super) fn head_line(head: &Head, show: Show) -> String {
    let short = head.commit.as_str().get(..7).unwrap_or_default();
    let at = head.time.saturating_mul(1000);
    // Whoever committed it has a clock of their own: one that is ahead of AWS tells no age.
    let when = if at > show.now { String::new() } else { format!(", {}", ago(at, show.now)) };
    let (summary, author) = (line(&head.summary), line(&head.author));
    let text = format!("infrastructure @ {short} \"{summary}\"{when}, by {author}");
    show.style.paint(Paint::Faint, &text)
}

fn rows(plans: &[&Plan], columns: Columns, show: Show) -> String {
    let mut heads = vec!["APPLICATION", "DECLARED", "RUNNING", "TAGGED", "HEALTH", "SINCE", "HOLD", "NOW"];
    if columns == Columns::All {
        heads.extend(["SYNC", "TASK DEFINITION", "LAST DEPLOYMENT", "CHECKED"]);
    }
    let rows: Vec<Vec<Cell>> = plans.iter().map(|plan| row(plan, columns, show)).collect();
    if show.style == Style::Plain {
        return table(show.style, &heads, &rows);
    }
    // The mark says what the words say, for the eye that looks for it.
    let marks = plans.iter().map(|plan| Cell::painted(attention(plan).paint(), attention(plan).mark()));
    let rows: Vec<Vec<Cell>> =
        marks.zip(rows).map(|(mark, row)| std::iter::once(mark).chain(row).collect()).collect();
    heads.insert(0, "");
    table(show.style, &heads, &rows)
}

fn row(plan: &Plan, columns: Columns, show: Show) -> Vec<Cell> {
    let status = &plan.status;
    let paint = attention(plan).paint();
    let health_paint = match status.health {
        Health::Healthy => Paint::Good,
        Health::Degraded | Health::Missing => Paint::Bad,
        Health::Progressing | Health::Suspended | Health::Unknown => Paint::Busy,
    };
    let since = status.since.map(|since| age(since, show.now)).unwrap_or_default();
    let hold = status.hold.as_ref().map(|hold| hold.commit.short()).unwrap_or_default();
    let mut cells = vec![
        Cell::painted(Paint::Strong, status.target.to_string()),
        Cell::new(declared(status)),
        Cell::new(running(status)),
        Cell::new(tagged(status)),
        Cell::painted(health_paint, health(status.health)),
        Cell::new(since),
        Cell::painted(Paint::Bad, hold),
        Cell::painted(paint, attention::now(plan, show.now)),
    ];
    if columns == Columns::All {
        let id = status.last_deployment.as_ref().and_then(|last| last.id.as_deref());
        cells.extend([
            Cell::new(sync(status.sync)),
            Cell::new(deployed(status)),
            Cell::new(id.unwrap_or_default()),
            Cell::new(if status.is_observed { ago(status.checked_at, show.now) } else { String::new() }),
        ]);
    }
    cells
}

pub(super) fn declared(status: &Status) -> &str {
    // What files with errors declare, nobody knows.
    status.declared.as_ref().map_or("?", Commit::short)
}

pub fn tagged(status: &Status) -> &str {
    let absent = if is_unread(status, Truth::Tagged) { "?" } else { "-" };
    status.tagged.as_ref().map_or(absent, Commit::short)
}

pub fn deployed(status: &Status) -> &str {
    let absent = if is_unread(status, Truth::Deployed) { "?" } else { "-" };
    status.deployed.as_ref().map_or(absent, TaskDefinitionArn::short)
}

fn is_unread(status: &Status, truth: Truth) -> bool {
    !status.is_observed || status.unread.contains(&truth)
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

pub fn running(status: &Status) -> String {
    if is_unread(status, Truth::Running) && status.running.is_empty() {
        return "?".to_owned();
    }
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
        [] if status.desired_count == 0 => vec!["-".to_owned()],
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

/// What the table has no place for: why, what shows it, what differs, and what to do. Of what is well there is nothing to say.
fn remarks(plan: &Plan, show: Show) -> String {
    let status = &plan.status;
    let mut text = String::new();
    let target = show.style.paint(Paint::Strong, &named(&status.target));
    if let Some(what) = remark(plan) {
        let _ = writeln!(text, "\n{target}{}", show.style.paint(attention(plan).paint(), &what));
        text.push_str(&told(if status.causes.is_empty() { &status.failing_causes } else { &status.causes }));
        for difference in &status.drift {
            text.push_str(&words::changed(difference, show.style, "  "));
        }
        if let Some(next) = words::next(plan) {
            let _ = writeln!(text, "  next   {}", line(&next));
        }
    }
    for finding in &plan.findings {
        let _ = write!(text, "\n{target}\n{}", found(finding));
    }
    text
}

/// Where it stands, as it follows its name.
pub(super) fn remark(plan: &Plan) -> Option<String> {
    let status = &plan.status;
    Some(match (&plan.waiting, plan.steps.first()) {
        (Some(waiting @ Waiting::Held { .. }), _) => format!(" is {}", described(waiting)),
        // Why it is so follows, line by line.
        (Some(Waiting::Settled), _) if !status.failing_causes.is_empty() => " is degraded".to_owned(),
        (Some(Waiting::Settled), _) if status.failing_since.is_some() => {
            format!(" is degraded: {}", line(&first_failing(status)))
        }
        (Some(Waiting::Settled), _) => return None,
        // What only waits for its turn, or is left alone on purpose, is said in the table.
        (Some(Waiting::Observing | Waiting::Suspended { .. }), _) if attention(plan) > Attention::Waiting => {
            return None;
        }
        (Some(waiting), _) => format!(": {}{}", bar(status), described(waiting)),
        (None, Some(step)) => format!(": next: {}", line(&step_line(step))),
        (None, None) => return None,
    })
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
            line(&words::short_digests(difference.live.as_deref().unwrap_or("absent"))),
            line(&words::short_digests(difference.desired.as_deref().unwrap_or("absent")))
        );
        text
    })
}

/// What is going on with one target, in a line: what it runs, and why nothing is done or what comes next.
pub fn progress(plan: &Plan) -> String {
    let status = &plan.status;
    let now = match (&plan.waiting, plan.steps.first()) {
        (Some(Waiting::Settled), _) if let Some(run) = &status.last_run => words::last_run(run),
        (Some(Waiting::Settled), _) if status.failing_since.is_some() => first_failing(status),
        (Some(Waiting::Settled), _) => String::new(),
        (Some(waiting), _) => bar(status) + &plan::waiting::describe(waiting),
        (None, Some(step)) => format!("next: {}", step_line(step)),
        (None, None) => String::new(),
    };
    let (target, running) = (status.target.to_string(), running(status));
    let (sync, health) = (sync(status.sync), health(status.health));
    let told = format!("{target:<13} {running:<32} {sync:<9} {health:<11} {now}");
    line(told.trim_end()).into_owned()
}
