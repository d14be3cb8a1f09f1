//! Text for people: the answer first, then the reason, then what to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::api;
use crate::controller::{Outcome, Swept};
use crate::documents::memory::Stamp;
use crate::escape::{fenced, line, markdown};
use crate::git::Head;
use crate::model::{
    Commit, CommitSource, Declaration, Finding, Running, ScalableTarget, SettingsStamp, Stage, Status,
    Target, Wait, Waiting,
};
use crate::plan::outlook::Outlook;
use crate::plan::waiting::{Class, class};
use crate::plan::{self, Plan, RULES, Step, Why};

/// Of a service without a task that could say more.
const FEWER: &str = "fewer tasks run than are wanted";

pub(super) fn status(head: &Head, swept: &[Swept]) -> String {
    let short = head.commit.as_str().get(..7).unwrap_or_default();
    let mut text = format!("infrastructure @ {short} \"{}\"\n\n", line(&head.summary));
    let header =
        ["ENVIRONMENT", "APPLICATION", "DECLARED", "RUNNING", "SYNC", "HEALTH", "NOW"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(swept.iter().map(row).map(|row| row.map(|cell| line(&cell).into_owned())));
    text.push_str(&table(&rows));
    for one in swept {
        text.push_str(&remarks(&one.plan));
    }
    text
}

fn row(one: &Swept) -> [String; 7] {
    let (environment, application) = (one.target.environment.to_string(), one.target.application.to_string());
    let plan = &one.plan;
    let status = &plan.status;
    let now = match (&plan.waiting, plan.steps.first()) {
        (Some(Waiting::Settled), _) if status.failing_since.is_some() => {
            status.failing_causes.first().cloned().unwrap_or_else(|| FEWER.to_owned())
        }
        (Some(Waiting::Settled), _) => String::new(),
        (Some(waiting), _) => bar(status) + &plan::waiting::describe(waiting),
        (None, Some(step)) => format!("next: {}", step_line(step)),
        (None, None) => String::new(),
    };
    let declared = status.declared.as_ref().map_or("-", Commit::short).to_owned();
    let words = (api::sync(status.sync).to_owned(), api::health(status.health).to_owned());
    [environment, application, declared, running(status), words.0, words.1, now]
}

/// How much of the traffic is on the new tasks while it shifts.
fn bar(status: &Status) -> String {
    const WIDTH: usize = 10;
    let shift = status.last_deployment.as_ref().and_then(|last| last.shift.as_ref());
    let percent = shift.filter(|shift| shift.stage == Stage::Shifting).and_then(|shift| shift.traffic);
    let Some(percent) = percent else { return String::new() };
    let full = usize::from(percent) * WIDTH / 100;
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
    let groups: Vec<&Running> = status.running.iter().filter(|group| group.tasks > 0).collect();
    let all: usize = groups.iter().map(|group| group.tasks).sum();
    let mut told = match groups.as_slice() {
        [] => vec![format!("- 0/{}", status.desired_count)],
        [only] => vec![format!("{} {}/{}", name(only), only.tasks, status.desired_count)],
        several => several.iter().map(|group| format!("{}/{all} {}", group.tasks, name(group))).collect(),
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
        for cause in &status.causes {
            let _ = writeln!(text, "  cause  {}", line(cause));
        }
        let _ = writeln!(
            text,
            "  next   promote a fixed commit, or run `trueup retry {}`",
            named(&status.target)
        );
    }
    if status.failing_since.is_some() && !matches!(plan.waiting, Some(Waiting::Held { .. })) {
        let _ = writeln!(text, "\n{} is degraded", named(&status.target));
        for cause in &status.failing_causes {
            let _ = writeln!(text, "  cause  {}", line(cause));
        }
    }
    for finding in &plan.findings {
        let _ = write!(text, "\n{}\n{}", named(&status.target), found(finding));
    }
    text + &drift(status)
}

/// A finding about what was read of the service, and where the repository says otherwise.
fn found(finding: &Finding) -> String {
    let Finding { position, message, hint, .. } = finding;
    let place = format!("{}:{}:{}", position.file, position.line, position.column);
    let mut text = format!("  warning    {}: {}\n", line(&place), line(message));
    if let Some(hint) = hint {
        let _ = writeln!(text, "  hint       {}", line(hint));
    }
    text
}

/// What another hand has changed, field by field.
pub(super) fn drift(status: &Status) -> String {
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

pub(super) fn plan(swept: &[Swept], detail: Detail) -> String {
    let mut text = String::new();
    for one in swept {
        text.push_str(&plan_of(one, &one.plan));
        if detail == Detail::Rules {
            text.push_str(&explanation(&one.plan));
        }
    }
    let changes = swept.iter().filter(|one| !one.plan.steps.is_empty()).count();
    let _ = writeln!(text, "\n{changes} of {} applications change", swept.len());
    text
}

/// How much a plan tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
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
fn plan_of(one: &Swept, plan: &Plan) -> String {
    let mut text = match (&plan.waiting, plan.steps.first()) {
        (Some(Waiting::Settled), _) if plan.status.failing_since.is_some() => {
            let why = plan.status.failing_causes.first().map_or(FEWER, String::as_str);
            let target = named(&one.target);
            format!("{target}   what is declared is deployed, and its tasks fail: {}\n", line(why))
        }
        (Some(waiting), _) => format!("{}   {}\n", named(&one.target), nothing(waiting)),
        (None, Some(step)) if plan.outlook.is_none() => {
            format!("{}   {}\n", named(&one.target), line(&step_line(step)))
        }
        (None, _) => {
            let how = plan.outlook.as_ref().map_or("", |outlook| outlook.strategy.as_str());
            format!("{}   {}   {}\n", named(&one.target), line(&change(&plan.status)), line(how))
        }
    };
    if let Some(hint) = plan.waiting.as_ref().and_then(|waiting| plan::waiting::hint(waiting, &one.target)) {
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

/// Why nothing is written, in a line: reasons hold what people and AWS have written.
fn described(waiting: &Waiting) -> String {
    line(&plan::waiting::describe(waiting)).into_owned()
}

fn named(target: &Target) -> String {
    line(&target.to_string()).into_owned()
}

fn nothing(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Settled | Waiting::Frozen => described(waiting),
        other if class(other) == Class::Unreadable => described(other),
        other if class(other) == Class::Stalled => format!("stuck: {}", described(other)),
        other => format!("nothing to do: {}", described(other)),
    }
}

fn first_running(status: &Status) -> Option<&Commit> {
    status.running.first().and_then(|group| group.commits.first())
}

/// From what runs to what is declared; the same commit where only the task definition or the service changes.
fn change(status: &Status) -> String {
    let running = first_running(status);
    let declared = status.declared.as_ref().map_or("?", Commit::short);
    match (running, &status.declared) {
        (Some(running), Some(commit)) if running.matches(commit) => {
            format!("{declared}, another configuration")
        }
        (running, _) => format!("{} -> {declared}", running.map_or("?", Commit::short)),
    }
}

/// For a pull request: a line an application, risks first, the details folded.
pub(super) fn plan_markdown(declaration: &Declaration, swept: &[Swept]) -> String {
    let sources: BTreeMap<&Target, &str> = declaration
        .readable()
        .filter_map(|desired| Some((&desired.target, desired.source.as_deref()?)))
        .collect();
    let mut text = String::from("| application | change | now |\n|---|---|---|\n");
    let mut details = String::new();
    for one in swept {
        let plan = &one.plan;
        let (change, now) = match (&plan.waiting, plan.steps.first()) {
            (Some(waiting), _) => (String::new(), markdown(&plan::waiting::describe(waiting))),
            (None, Some(step)) => {
                let risks = plan.outlook.iter().flat_map(|outlook| &outlook.risks);
                let risks = risks.fold(String::new(), |text, risk| text + "⚠ " + &markdown(risk) + "; ");
                let source = sources.get(&one.target).copied();
                let (running, declared) = (first_running(&plan.status), plan.status.declared.as_ref());
                let change = match step {
                    Step::UpdateSettings { .. } | Step::Stamp { stamp: Stamp::Settings(_), .. }
                        if plan.outlook.is_none() =>
                    {
                        let declared = declared.map_or("?", Commit::short);
                        markdown(&format!("{declared}, other service settings"))
                    }
                    _ => linked(&change(&plan.status), source, running, declared),
                };
                (change, format!("{risks}{}", markdown(&step_line(step))))
            }
            (None, None) => (String::new(), String::new()),
        };
        let target = markdown(&one.target.to_string());
        let _ = writeln!(text, "| {target} | {change} | {now} |");
        if !plan.steps.is_empty() {
            let folded = fenced(&plan_of(one, plan));
            let _ = write!(details, "\n<details><summary>{target}</summary>\n\n{folded}\n</details>\n");
        }
    }
    text + &details
}

/// What changes, with a link to the commits in between, which GitHub and GitLab show below this path.
fn linked(change: &str, source: Option<&str>, running: Option<&Commit>, declared: Option<&Commit>) -> String {
    let change = markdown(change);
    let ends_the_link = |c: char| c.is_whitespace() || c.is_control() || "()[]<>|\\`".contains(c);
    let is_plain = |source: &&str| source.starts_with("https://") && !source.contains(ends_the_link);
    match (source.filter(is_plain), running, declared) {
        (Some(source), Some(running), Some(declared)) if !running.matches(declared) => {
            let source = source.trim_end_matches('/');
            let (from, to) = (path_segment(running.as_str()), path_segment(declared.as_str()));
            format!("[{change}]({source}/compare/{from}...{to})")
        }
        _ => change,
    }
}

/// A commit in the path of an address: what is none that a path holds as it is ends nothing.
fn path_segment(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    text.chars().filter(plain).collect()
}

pub(super) fn step_line(step: &Step) -> String {
    match step {
        Step::Register { commit, .. } => format!("register a task definition for {}", commit.short()),
        Step::Stamp { revision, stamp: Stamp::Settings(SettingsStamp { done: false, .. }) } => {
            format!("change the service settings, which is recorded on {} first", revision.short())
        }
        Step::Stamp { revision, stamp } => format!("record {} on {}", stamp.key(), revision.short()),
        Step::Deploy { revision, service, why, .. } => {
            let why = match why {
                Why::Rollback => ", back to the last good one",
                Why::Retry => ", once more",
                Why::GitChanged | Why::Interrupted | Why::FirstContact | Why::Drift => "",
            };
            format!("deploy {} to {service}{why}", revision.short())
        }
        Step::UpdateSettings { service, .. } => format!("update the settings of {service}"),
        Step::Stop { deployment } => format!("stop {deployment}, with rollback"),
        Step::Continue { deployment, wait: Wait::Ready } => format!("let the traffic of {deployment} shift"),
        Step::Continue { deployment, wait: Wait::Termination } => {
            format!("end the old tasks of {deployment} now")
        }
        Step::CreateApplication { application } => format!("create CodeDeploy application {application}"),
        Step::CreateGroup { group, .. } => format!("create CodeDeploy group {group}"),
        Step::MoveTag { repository, tag, digest } => {
            format!("move tag {tag} of {repository} to {}", digest.short())
        }
    }
}

/// Why nothing is written, behind a sentence that says what cannot be done.
pub(super) fn in_brackets(plan: &Plan) -> String {
    plan.waiting.as_ref().map_or_else(String::new, |waiting| format!(" ({})", described(waiting)))
}

/// Says on stderr what keeps each target from where it should be, and what to do about it.
pub(super) fn complaints(swept: &[Swept]) {
    for one in swept {
        let Some(waiting) = one.plan.waiting.as_ref().filter(|waiting| !matches!(waiting, Waiting::Settled))
        else {
            continue;
        };
        let hint = plan::waiting::hint(waiting, &one.target);
        let hint = hint.map(|hint| format!("\n  hint  {}", line(&hint))).unwrap_or_default();
        say!("{}: {}{hint}", named(&one.target), described(waiting));
    }
}

/// What is going on with one target, in a line: what it runs, and why nothing is done or what comes next.
pub(super) fn progress(one: &Swept) -> String {
    let [_, _, _, running, sync, health, now] = row(one);
    let told = format!("{:<13} {running:<32} {sync:<9} {health:<11} {now}", one.target.to_string());
    line(told.trim_end()).into_owned()
}

/// Logs what was written, or why a write failed.
pub(super) fn outcome(one: &Swept) {
    match &one.outcome {
        Outcome::Nothing => {}
        Outcome::Wrote(step) => tracing::info!(event = "write", target = %one.target, "{}", step_line(step)),
        // Once: the rest of a row is the account's pace, not news.
        Outcome::Throttled { step, why, attempt: 1 } => tracing::info!(
            event = "write.throttled", target = %one.target,
            "{}: waits for AWS's rate and is tried again every few seconds: {why}", step_line(step)
        ),
        Outcome::Throttled { .. } => {}
        Outcome::Failed(step, error) => {
            tracing::warn!(event = "write.failed", target = %one.target, "{}: {error}", step_line(step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::linked;
    use crate::model::Commit;

    #[test]
    fn a_change_leads_to_its_commits_where_the_source_is_a_plain_address() {
        let (one, two) = (Commit::new("3f2c1ab"), Commit::new("8c1f0aa"));
        let link = |source, to| linked("change", source, Some(&one), Some(to));
        let expected = "[change](https://github.com/mco/api/compare/3f2c1ab...8c1f0aa)";
        assert_eq!(link(Some("https://github.com/mco/api/"), &two), expected);
        for source in [None, Some("javascript:alert(1)"), Some("https://a/) | [b](https://c")] {
            assert_eq!(link(source, &two), "change", "{source:?}");
        }
        assert_eq!(link(Some("https://github.com/mco/api"), &one), "change");
    }
}
