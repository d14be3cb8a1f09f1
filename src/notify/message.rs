//! A piece of news as a person reads it in a chat: what happened, why, and what to do. Pure; each chat has its own form for it.

use crate::escape::line;
use crate::model::Difference;
use crate::model::alert::{Alert, Severity, State};

/// Of one message. A chat is no place for more, and its own limits are far above.
const MOST_CAUSES: usize = 3;
const MOST_DIFFERENCES: usize = 5;
const MOST_LOG_LINES: usize = 10;
const MOST_LINKS: usize = 5;
const LONGEST_LINK: usize = 1000;
/// Bytes of one text in it.
const LONGEST: usize = 300;

/// A message, whose texts may stand in a line as they are: nothing in them acts on what shows them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub severity: Severity,
    /// What happened.
    pub title: String,
    /// Why, and what to do: a word, and what there is to say.
    pub rows: Vec<(&'static str, String)>,
    /// Where to look: a word and an address.
    pub links: Vec<(&'static str, String)>,
    /// The last lines that failed tasks wrote, if they are wanted.
    pub logs: Vec<String>,
    /// Which kind of news it is, and since when it is so.
    pub footer: String,
}

pub(super) fn of(alert: &Alert, with_logs: bool) -> Message {
    let mut rows: Vec<(&'static str, String)> = Vec::new();
    for cause in alert.causes.iter().take(MOST_CAUSES) {
        rows.push(("cause", text(&cause.to_string())));
        rows.extend(cause.hint.iter().map(|hint| ("hint", text(hint))));
    }
    let differences = alert.differences.iter().take(MOST_DIFFERENCES);
    rows.extend(differences.map(|difference| ("changed", changed(difference))));
    for (what, there_are, most) in [
        ("causes", alert.causes.len(), MOST_CAUSES),
        ("changed fields", alert.differences.len(), MOST_DIFFERENCES),
    ] {
        if there_are > most {
            rows.push(("more", format!("{} more {what}: `trueup status` lists all", there_are - most)));
        }
    }
    rows.extend(alert.state.as_ref().map(|state| ("state", text(&stands(state)))));
    let links = alert.links.iter().filter(|(_, address)| address.len() <= LONGEST_LINK).take(MOST_LINKS);
    let lines = alert.causes.iter().flat_map(|cause| &cause.evidence).flat_map(|evidence| &evidence.lines);
    let logs = lines.filter(|_| with_logs).take(MOST_LOG_LINES).map(|line| text(line)).collect();
    let at = jiff::Timestamp::from_millisecond(alert.at).map(|at| format!("{at:.0}")).unwrap_or_default();
    Message {
        severity: alert.event.severity(),
        title: text(&alert.summary),
        rows,
        links: links.map(|(word, address)| (*word, line(address).into_owned())).collect(),
        logs,
        footer: format!("{} · {at}", alert.event.name()),
    }
}

/// Said in one character, for those who see no colours.
pub(super) fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Information => "✓",
        Severity::Warning => "!",
        Severity::Error => "✗",
    }
}

fn stands(State { running, tagged, deployed, sync, health }: &State) -> String {
    let told = [("runs", running), ("tagged", tagged), ("deployed", deployed)];
    let told = told.into_iter().filter(|(_, what)| !what.is_empty() && *what != "-");
    let told: Vec<String> = told.map(|(word, what)| format!("{word} {what}")).collect();
    format!("{}{}{sync}, {health}", told.join(", "), if told.is_empty() { "" } else { "; " })
}

fn changed(Difference { field, live, desired }: &Difference) -> String {
    let value = |value: &Option<String>| text(value.as_deref().unwrap_or("absent"));
    format!("{} is {}, declared is {}", text(field), value(live), value(desired))
}

/// In one line, and no longer than a reader's patience.
fn text(all: &str) -> String {
    let all = line(all);
    if all.len() <= LONGEST {
        return all.into_owned();
    }
    format!("{}…", all.get(..all.floor_char_boundary(LONGEST)).unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::alert::Event;
    use crate::model::{
        ApplicationName, Cause, CauseKind, Commit, EnvironmentName, Evidence, InfraCommit, Target,
    };

    /// With everything that a message can hold, some of it meant to do harm.
    pub fn alert() -> Alert {
        let mut memory =
            Cause::new(CauseKind::Memory, "container api exited with 137, <!channel> *OutOfMemoryError*");
        memory.hint = Some("raise the memory limit, or have it use less".to_owned());
        memory.evidence = vec![Evidence {
            from: "/mco/api, ecs/api/0f3c".to_owned(),
            lines: vec![
                "java.lang.OutOfMemoryError: Java heap space".to_owned(),
                "\u{1b}[31m[a](https://evil.com)".to_owned(),
            ],
        }];
        let others =
            (0..4).map(|number| Cause::new(CauseKind::Exit(1), format!("container c{number} exited with 1")));
        Alert {
            event: Event::DeploymentRolledBack,
            at: 1_795_521_600_000,
            key: "deployment.rolled_back/staging/api/1".to_owned(),
            target: Some(Target {
                environment: EnvironmentName::new("staging"),
                application: ApplicationName::new("api"),
            }),
            commit: Some(Commit::new("77aa010")),
            infra: Some(InfraCommit::new("8c1f0aa8c1f0aa8c1f0aa8c1f0aa8c1f0aa8c1f0")),
            deployment: Some("1".to_owned()),
            summary: "staging/api: 77aa010 failed & was rolled back".to_owned(),
            causes: std::iter::once(memory).chain(others).collect(),
            differences: vec![Difference {
                field: "cpu".to_owned(),
                live: Some("x".repeat(1000)),
                desired: None,
            }],
            state: Some(State {
                running: "5d0e9f1 2/2".to_owned(),
                tagged: "5d0e9f1".to_owned(),
                deployed: "mco-api:42".to_owned(),
                sync: "OutOfSync",
                health: "Healthy",
            }),
            links: vec![
                ("commit", "https://github.com/mco/api/commit/77aa010".to_owned()),
                ("service", format!("https://console.aws.amazon.com/{}", "x".repeat(LONGEST_LINK))),
            ],
            receipt: None,
        }
    }

    #[test]
    fn a_message_is_short_and_says_what_it_leaves_out() {
        let message = of(&alert(), true);
        assert_eq!(message.title, "staging/api: 77aa010 failed & was rolled back");
        let words: Vec<&str> = message.rows.iter().map(|(word, _)| *word).collect();
        assert_eq!(words, ["cause", "hint", "cause", "cause", "changed", "more", "state"]);
        let (_, changed) = &message.rows[4];
        assert_eq!(*changed, format!("cpu is {}…, declared is absent", "x".repeat(LONGEST)));
        assert_eq!(message.rows[5].1, "2 more causes: `trueup status` lists all");
        assert_eq!(
            message.rows[6].1,
            "runs 5d0e9f1 2/2, tagged 5d0e9f1, deployed mco-api:42; OutOfSync, Healthy"
        );
        assert_eq!(message.links, [("commit", "https://github.com/mco/api/commit/77aa010".to_owned())]);
        assert_eq!(message.logs[1], "\\u{1b}[31m[a](https://evil.com)");
        assert_eq!(message.footer, "deployment.rolled_back · 2026-11-24T12:00:00Z");
        assert_eq!(of(&alert(), false).logs, Vec::<String>::new(), "only where they are wanted");
    }
}
