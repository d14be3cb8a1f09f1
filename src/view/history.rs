//! The past of targets: which commit was deployed when, by whom, and what became of it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::json::{cause, time};
use super::screen::{Cell, Paint, Show, age, date, table};
use super::words::{self, told};
use crate::escape::line;
use crate::model::{Commit, Head, Past, PastDeployment, PastSource, Phase, StartedBy, Target};

/// What a process that has just started cannot know, said where it would be missed.
const END: &str = "ECS lists its deployments for 90 days, of which the newest 20 are read; those of
CodeDeploy are read from a day before its last success on. The stamps of trueup tell
of the last deployment of each revision, and git what was declared";

/// One line of the history, with whose it is.
pub type Entry<'a> = (&'a Target, &'a PastDeployment);

/// All entries, the newest first.
pub fn entries(all: &[(Target, Past)]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> =
        all.iter().flat_map(|(target, past)| past.deployments.iter().map(move |one| (target, one))).collect();
    entries.sort_by_key(|(_, one)| std::cmp::Reverse(one.at));
    entries
}

pub fn text(all: &[(Target, Past)], show: Show) -> String {
    let entries = entries(all);
    let mut text = rows(&entries, all.len() > 1, show);
    if entries.is_empty() {
        text.push_str("no deployment is known\n");
    }
    text.push_str(&whys(&entries, all.len() > 1));
    for (target, past) in all {
        for why in &past.unread {
            let _ = writeln!(text, "\n{}: cannot read {}", line(&target.to_string()), line(why));
        }
    }
    let _ = write!(text, "\n{}", show.style.paint(Paint::Faint, END));
    text.push('\n');
    text
}

/// The table of one target or of many.
pub(super) fn rows(entries: &[Entry<'_>], names_targets: bool, show: Show) -> String {
    let heads = [
        "WHEN (UTC)",
        "APPLICATION",
        "COMMIT",
        "OUTCOME",
        "TOOK",
        "STRATEGY",
        "BY",
        "INFRA",
        "AUTHOR",
        "FROM",
    ];
    let rows = entries.iter().map(|(target, one)| {
        let minutes = date(one.at).get(..16).unwrap_or_default().to_owned();
        let took = one.ended_at.map(|ended| age(one.at, ended)).unwrap_or_default();
        vec![
            Cell::new(if one.at == 0 { "?".to_owned() } else { minutes }),
            Cell::new(if names_targets { target.to_string() } else { String::new() }),
            Cell::painted(Paint::Strong, commit(one)),
            Cell::painted(paint(one.phase), outcome(one.phase)),
            Cell::new(took),
            // The kind alone: which group or how fast is not what a table is for.
            Cell::new(one.strategy.as_deref().and_then(|name| name.split(' ').next()).unwrap_or_default()),
            Cell::new(by(one)),
            Cell::new(infra(one)),
            Cell::new(one.declared_in.as_ref().map(|head| head.author.as_str()).unwrap_or_default()),
            Cell::new(from(one.source)),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() { String::new() } else { table(show.style, &heads, &rows) }
}

/// Why those failed that did, below the table.
fn whys(entries: &[Entry<'_>], names_targets: bool) -> String {
    let mut text = String::new();
    for (target, one) in entries.iter().filter(|(_, one)| !one.causes.is_empty()) {
        let target = if names_targets { format!("{target} ") } else { String::new() };
        let when = date(one.at).get(..16).unwrap_or_default().to_owned();
        let _ = writeln!(text, "\n{when}  {}{} {}", line(&target), line(&commit(one)), outcome(one.phase));
        text.push_str(&told(&one.causes));
    }
    text
}

pub(super) fn commit(one: &PastDeployment) -> String {
    one.commit.as_ref().map_or("?", Commit::short).to_owned()
}

pub(super) fn outcome(phase: Option<Phase>) -> &'static str {
    match phase {
        None => "declared",
        Some(Phase::Pending | Phase::InProgress) => "in progress",
        Some(Phase::Succeeded) => "succeeded",
        Some(Phase::RollingBack) => "rolling back",
        Some(Phase::RolledBack) => "rolled back",
        Some(Phase::Failed) => "failed",
        Some(Phase::Superseded) => "superseded",
        Some(Phase::Unknown) => "unknown",
    }
}

pub(super) fn paint(phase: Option<Phase>) -> Paint {
    match phase {
        Some(Phase::Succeeded) => Paint::Good,
        Some(Phase::RolledBack | Phase::Failed) => Paint::Bad,
        Some(Phase::Pending | Phase::InProgress | Phase::RollingBack | Phase::Unknown) => Paint::Busy,
        Some(Phase::Superseded) | None => Paint::Faint,
    }
}

fn by(one: &PastDeployment) -> &'static str {
    match one.started_by {
        Some(StartedBy::Trueup) => "trueup",
        Some(StartedBy::Other) => "other",
        None if one.phase.is_some() => "?",
        None => "",
    }
}

fn infra(one: &PastDeployment) -> &str {
    let declared = one.declared_in.as_ref().map(|head| head.commit.as_str());
    let stamped = one.infra_commit.as_ref().map(crate::model::InfraCommit::as_str);
    stamped.or(declared).and_then(|commit| commit.get(..7)).unwrap_or_default()
}

fn from(source: PastSource) -> &'static str {
    match source {
        PastSource::Ecs => "ECS",
        PastSource::CodeDeploy => "CodeDeploy",
        PastSource::Stamp => "stamp",
        PastSource::Git => "git",
    }
}

pub fn json(all: &[(Target, Past)]) -> Value {
    let deployments = entries(all);
    let deployments = deployments.iter().map(|(target, one)| {
        json!({
            "environment": target.environment.as_str(),
            "application": target.application.as_str(),
            "at": time(one.at),
            "endedAt": one.ended_at.and_then(time),
            "commit": one.commit.as_ref().map(Commit::as_str),
            "commitFrom": match (one.source, one.is_commit_of_image) {
                (PastSource::Git, _) => "Git",
                (_, true) => "Registry",
                (_, false) => "Stamp",
            },
            "outcome": one.phase.map_or("Declared", words::phase),
            "deployment": one.deployment,
            "taskDefinition": one.revision.as_ref().map(crate::model::TaskDefinitionArn::short),
            "strategy": one.strategy,
            "startedBy": one.started_by.map(|by| if by == StartedBy::Trueup { "trueup" } else { "other" }),
            "infraCommit": one.infra_commit.as_ref().map(crate::model::InfraCommit::as_str),
            "declaredIn": one.declared_in.as_ref().map(head),
            "causes": one.causes.iter().map(cause).collect::<Vec<_>>(),
            "from": match one.source {
                PastSource::Ecs => "Ecs",
                PastSource::CodeDeploy => "CodeDeploy",
                PastSource::Stamp => "Stamp",
                PastSource::Git => "Git",
            },
        })
    });
    let unread = all.iter().flat_map(|(target, past)| {
        past.unread.iter().map(move |why| json!({"target": target.to_string(), "what": line(why)}))
    });
    json!({"deployments": deployments.collect::<Vec<_>>(), "unread": unread.collect::<Vec<_>>()})
}

fn head(head: &Head) -> Value {
    json!({
        "infraCommit": head.commit.as_str(),
        "author": head.author,
        "subject": head.summary,
        "at": time(head.time.saturating_mul(1000)),
    })
}
