//! The page of one target: the four truths, its deployment, why, what differs, who, where to look, and what comes next.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::attention::{Attention, attention, name};
use super::screen::{Paint, Show, Style, age, ago, clock, date};
use super::status::{declared, deployed, found, head_line, remark, running, tagged};
use super::timeline::{self, Entry, Progress};
use super::words::{self, health, named, sync, told};
use super::{history, json, links};
use crate::documents::logs;
use crate::escape::line;
use crate::model::{
    Commit, Desired, Head, LastDeployment, Millis, Observed, Past, Reading, Revision, Share, Shift, Stage,
    StartedBy, Target, Waiting,
};
use crate::plan::Plan;

/// Deployments of the past that are shown.
const MOST_PAST: usize = 10;
/// Fields that are shown, of those that differ.
const MOST_DIFFERENCES: usize = 30;
/// Tasks to which a link leads: one that runs, or has failed, shows what the others do.
const MOST_TASKS: usize = 2;
/// Containers of which the log group is linked.
const MOST_LOGS: usize = 3;

/// What is known of one target.
pub struct Page<'a> {
    /// The newest commit of the infrastructure repository.
    pub head: &'a Head,
    /// The one that declared what is declared now.
    pub declared_in: Option<&'a Head>,
    /// The address of that repository, as git knows it.
    pub repository: Option<&'a str>,
    pub plan: &'a Plan,
    /// `None` where its files do not tell where it runs; then nothing was read of it.
    pub read: Option<(&'a Desired, &'a Observed)>,
    pub past: &'a Past,
}

pub fn text(page: &Page<'_>, show: Show) -> String {
    let mut text = format!("{}\n{}\n\n", title(page.plan, show), head_line(page.head, show));
    text.push_str(&truths(page, show));
    text.push_str(&deployment(page, show));
    text.push_str(&causes(page.plan));
    text.push_str(&differences(page.plan, show));
    for finding in &page.plan.findings {
        let _ = write!(text, "\n{}", found(finding));
    }
    text.push_str(&past(page, show));
    text.push_str(&addresses(page));
    let next = words::next(page.plan).unwrap_or_else(|| rest(page.plan).to_owned());
    let _ = writeln!(text, "\n{} {}", show.style.paint(Paint::Strong, "next "), line(&next));
    text
}

/// The status of one target, with what its page tells beside it: the course of its newest deployment, and where to look.
pub fn json(page: &Page<'_>) -> Value {
    let mut document = json::status(page.head, &[page.plan]);
    let links = leads(page).into_iter().map(|(to, address)| json!({"to": to, "url": line(&address)}));
    if let Some(application) = document.pointer_mut("/applications/0") {
        application["timeline"] = json!(timeline(page.plan));
        application["links"] = json!(links.collect::<Vec<_>>());
    }
    document
}

/// In the order in which it happens.
fn timeline(plan: &Plan) -> Vec<Value> {
    let Some(last) = &plan.status.last_deployment else { return Vec::new() };
    let over = |what: &str, at: Millis| json!({"progress": "Done", "what": what, "note": null, "since": json::time(at), "until": null});
    let started = (last.started_at > 0).then(|| over("started", last.started_at));
    let stages = timeline::stages(plan, last);
    let stages = stages.iter().map(|Entry { progress, what, note, since, until }| {
        let progress = match progress {
            Progress::Done => "Done",
            Progress::Now => "Now",
            Progress::Then => "Then",
        };
        json!({"progress": progress, "what": what, "note": note, "since": since.map(json::time), "until": until.map(json::time)})
    });
    let ended = last.ended_at.filter(|_| last.phase.is_over());
    let ended = ended.map(|ended| over(history::outcome(Some(last.phase)), ended));
    started.into_iter().chain(stages).chain(ended).collect()
}

fn title(plan: &Plan, show: Show) -> String {
    let attention = attention(plan);
    let target = show.style.paint(Paint::Strong, &named(&plan.status.target));
    let what = remark(plan).unwrap_or_else(|| format!(" is {}", name(attention, plan)));
    let mark = if show.style == Style::Coloured { format!("{} ", attention.mark()) } else { String::new() };
    format!(
        "{}{target}{}",
        show.style.paint(attention.paint(), &mark),
        show.style.paint(attention.paint(), &what)
    )
}

/// What happens without anybody's command.
fn rest(plan: &Plan) -> &'static str {
    match (&plan.waiting, attention(plan)) {
        (_, Attention::Good) => "nothing to do",
        (Some(Waiting::Settled), _) => "no write is due; see what its tasks do (`trueup logs`)",
        (Some(_), Attention::Moving | Attention::Waiting) => {
            "nothing to do but wait: `trueup status --watch` follows it"
        }
        (Some(_), _) => "see above",
        (None, _) => "a running controller writes next; `trueup reconcile` does without one",
    }
}

fn truths(page: &Page<'_>, show: Show) -> String {
    let status = &page.plan.status;
    let (service_at, facts_at) = (ago(status.checked_at, show.now), ago(status.facts_checked_at, show.now));
    let checked = |at: &str| if status.is_observed { format!("checked {at}") } else { "not read".to_owned() };
    let declared_in = page.declared_in.map(|head| {
        let short = head.commit.as_str().get(..7).unwrap_or_default();
        format!(
            "infra {short} \"{}\", by {}, {}",
            head.summary,
            head.author,
            date(head.time.saturating_mul(1000))
        )
    });
    let tag = page.read.map(|(desired, _)| format!("tag {}, ", desired.environment_tag)).unwrap_or_default();
    let registered = revision(page).and_then(|revision| revision.registered_by.as_deref());
    let registered = registered.map(|who| format!("registered by {who}, ")).unwrap_or_default();
    let digests = status.running.iter().filter_map(|group| group.digest.as_ref());
    let digests: Vec<String> = digests.map(|digest| format!("sha256:{}", digest.short())).collect();
    let digests = if digests.is_empty() { String::new() } else { digests.join(", ") + ", " };
    let since = status.since.map(|since| format!("since {} ({})", date(since), age(since, show.now)));
    let health = show.style.paint(attention(page.plan).paint(), health(status.health));
    let hold = status.hold.as_ref().map(|hold| {
        let since = hold.since.map(|since| format!(", since {}", date(since))).unwrap_or_default();
        let id =
            hold.deployment.as_deref().map(|id| format!("failed in deployment {id}")).unwrap_or_default();
        (hold.commit.short().to_owned(), format!("{id}{since}"))
    });
    let mut lines = vec![
        ("declared", declared(status).to_owned(), declared_in.unwrap_or_default()),
        ("tagged", tagged(status).to_owned(), format!("{tag}{}", checked(&facts_at))),
        ("deployed", deployed(status).to_owned(), format!("{registered}{}", checked(&service_at))),
        ("running", running(status), format!("{digests}{}", checked(&facts_at))),
        ("sync", sync(status.sync).to_owned(), String::new()),
    ];
    lines.extend(hold.map(|(commit, note)| ("on hold", commit, note)));
    let width =
        lines.iter().map(|(_, value, _)| line(value).chars().count()).max().unwrap_or_default().min(32);
    let mut text = String::new();
    for (label, value, note) in lines {
        let told = format!("  {label:<9} {:<width$}  {}", line(&value), line(&note));
        let _ = writeln!(text, "{}", told.trim_end());
    }
    let _ = writeln!(text, "  health    {}", [health, since.unwrap_or_default()].join(" ").trim_end());
    text
}

/// The live revision, as it was read.
fn revision<'a>(page: &Page<'a>) -> Option<&'a Revision> {
    let (_, observed) = page.read?;
    observed.revisions.get(page.plan.status.deployed.as_ref()?).and_then(Reading::known)
}

/// The newest deployment, stage by stage.
fn deployment(page: &Page<'_>, show: Show) -> String {
    let plan = page.plan;
    let Some(last) = &plan.status.last_deployment else { return String::new() };
    // Of a revision that is not trueup's the past knows the commit by the image.
    let same = page.past.deployments.iter().find(|one| one.deployment.is_some() && one.deployment == last.id);
    let commit = last.commit.as_ref().or_else(|| same?.commit.as_ref());
    let commit = commit.map_or("another task definition", Commit::short);
    let by = if last.started_by == StartedBy::Trueup { "by trueup" } else { "outside trueup" };
    let id = last.id.as_deref().unwrap_or("(not listed yet)");
    let mut text = format!("\ndeployment {} of {}, started {by}\n", line(id), line(commit));
    if last.started_at > 0 {
        let _ = writeln!(text, "  {}  started", moment(last.started_at, show.now));
    }
    text.push_str(&stages(plan, last, show));
    if let Some(ended) = last.ended_at.filter(|_| last.phase.is_over()) {
        let took = if last.started_at > 0 {
            format!(" after {}", age(last.started_at, ended))
        } else {
            String::new()
        };
        let outcome = show.style.paint(history::paint(Some(last.phase)), history::outcome(Some(last.phase)));
        let _ = writeln!(text, "  {}  {outcome}{took}", moment(ended, show.now));
    }
    text
}

/// The time alone where it is of the last day.
fn moment(at: Millis, now: Millis) -> String {
    if now.saturating_sub(at) < 24 * 3_600_000 { clock(at) } else { date(at) }
}

fn stages(plan: &Plan, last: &LastDeployment, show: Show) -> String {
    let mut text = String::new();
    for entry in timeline::stages(plan, last) {
        let (mark, word, paint) = match entry.progress {
            Progress::Done => ("✓", "done", Paint::Good),
            Progress::Now => ("●", "now", Paint::Busy),
            Progress::Then => ("·", "then", Paint::Faint),
        };
        let lead = if show.style == Style::Coloured { mark } else { word };
        let told = format!("{}{}", entry.what, detail(&entry, last.shift.as_ref()));
        let _ = writeln!(text, "  {lead:<8}  {}", show.style.paint(paint, &line(&told)));
    }
    text
}

/// How far the stage is that goes on now.
fn detail(entry: &Entry, shift: Option<&Shift>) -> String {
    const WIDTH: usize = 10;
    let Entry { note, since, until, .. } = entry;
    let is_shown = note.is_some() && shift.is_some_and(|shift| shift.stage == Stage::Shifting);
    let share = shift.and_then(|shift| shift.production).filter(|_| is_shown);
    let bar = share.map(|share| {
        let full = usize::from(share.tenths()) * WIDTH / usize::from(Share::ALL.tenths());
        format!(" {}{}", "█".repeat(full), "░".repeat(WIDTH.saturating_sub(full)))
    });
    [
        bar,
        note.as_ref().map(|note| format!(": {note}")),
        since.map(|since| format!(" (since {})", clock(since))),
        until.map(|until| format!(", until {} if none fails", clock(until))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn causes(plan: &Plan) -> String {
    let status = &plan.status;
    let causes = if status.causes.is_empty() { &status.failing_causes } else { &status.causes };
    if causes.is_empty() { String::new() } else { format!("\nwhy\n{}", told(causes)) }
}

/// What is live and what is declared, where they differ.
fn differences(plan: &Plan, show: Show) -> String {
    let differences = if plan.differences.is_empty() { &plan.status.drift } else { &plan.differences };
    if differences.is_empty() {
        return String::new();
    }
    let mut text = "\nlive -> declared\n".to_owned();
    for difference in differences.iter().take(MOST_DIFFERENCES) {
        text.push_str(&words::changed(difference, show.style, "  "));
    }
    let more = differences.len().saturating_sub(MOST_DIFFERENCES);
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more (`trueup plan`)");
    }
    text
}

fn past(page: &Page<'_>, show: Show) -> String {
    let target: &Target = &page.plan.status.target;
    let entries: Vec<history::Entry<'_>> =
        page.past.deployments.iter().take(MOST_PAST).map(|one| (target, one)).collect();
    if entries.is_empty() {
        return String::new();
    }
    let more = page.past.deployments.len().saturating_sub(MOST_PAST);
    let more = if more > 0 {
        format!("… and {more} more: trueup history {}\n", named(target))
    } else {
        String::new()
    };
    format!("\n{}{more}", history::rows(&entries, false, show))
}

fn addresses(page: &Page<'_>) -> String {
    let found = leads(page);
    if found.is_empty() {
        return String::new();
    }
    found.into_iter().fold("\n".to_owned(), |mut text, (what, address)| {
        let _ = writeln!(text, "  {what:<10} {}", line(&address));
        text
    })
}

/// Where to look: what AWS's console and the hosts of the repositories show.
fn leads(page: &Page<'_>) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let mut put =
        |what: &'static str, address: Option<String>| found.extend(address.map(|address| (what, address)));
    let status = &page.plan.status;
    if let Some((desired, observed)) = page.read {
        let arn = observed.service.known().map(|service| service.arn.as_str());
        if let Some(arn) = arn {
            put("service", links::service(arn));
            let id = status.last_deployment.as_ref().and_then(|last| last.id.as_deref()).unwrap_or_default();
            put("deployment", links::code_deploy(arn, id).or_else(|| links::deployments(arn)));
        }
        let arns = status.deployed.as_ref().map(crate::model::TaskDefinitionArn::as_str);
        put("revision", arns.and_then(links::task_definition));
        let tasks = observed.tasks.known().into_iter().flatten();
        let failed = tasks.clone().filter(|task| !task.is_running());
        let shown = failed.chain(tasks.filter(|task| task.is_running()));
        for task in shown.take(MOST_TASKS) {
            put("task", links::task(&task.arn));
        }
        let input = revision(page).map(|revision| &revision.input);
        let arn = arn.or(arns).unwrap_or_default();
        let mut groups: Vec<logs::LogGroup<'_>> = input.into_iter().flat_map(logs::named).collect();
        groups.dedup();
        for group in groups.into_iter().take(MOST_LOGS) {
            put("logs", links::log_group(arn, group.region, group.name));
        }
        let commit = status.declared.as_ref().map(Commit::as_str);
        let source = desired.source.as_deref();
        put("commit", source.zip(commit).and_then(|(source, commit)| links::commit(source, commit)));
    }
    let infra = page.declared_in.unwrap_or(page.head).commit.as_str();
    put("infra", page.repository.and_then(|repository| links::commit(repository, infra)));
    found
}
