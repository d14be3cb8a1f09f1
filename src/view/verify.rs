//! What was verified: a line for each thing that was looked at, trouble first, and how much of it there was.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::screen::{Paint, Style, hanging};
use crate::escape::line;
use crate::model::Target;
use crate::verify::{Check, Found};

/// What was found of one target.
pub type Verified = (Target, Vec<Check>);

/// How many checks there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub good: usize,
    pub risks: usize,
    pub bad: usize,
    pub unseen: usize,
}

impl Tally {
    pub fn of<'c>(checks: impl IntoIterator<Item = &'c Check>) -> Self {
        checks.into_iter().fold(Self::default(), |mut tally, check| {
            match check.found {
                Found::Good(_) => tally.good += 1,
                Found::Risk { .. } => tally.risks += 1,
                Found::Bad { .. } => tally.bad += 1,
                Found::Unseen(_) => tally.unseen += 1,
            }
            tally
        })
    }

    /// What there is none of is not said.
    fn told(self) -> String {
        let Self { good, risks, bad, unseen } = self;
        let parts = [
            (bad, "failed"),
            (risks, if risks == 1 { "risk" } else { "risks" }),
            (unseen, "could not be looked at"),
            (good, "passed"),
        ];
        let parts =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// The target with the most trouble comes first.
pub fn text(all: &[Verified], style: Style) -> String {
    let checks = |verified: &'_ [Verified]| Tally::of(verified.iter().flat_map(|(_, checks)| checks));
    let mut text = String::new();
    let mut sorted: Vec<&Verified> = all.iter().collect();
    sorted.sort_by_cached_key(|(target, checks)| {
        let tally = Tally::of(checks);
        (std::cmp::Reverse((tally.bad, tally.risks, tally.unseen)), target.clone())
    });
    for (target, checks) in sorted {
        let title = style.paint(Paint::Strong, &line(&target.to_string()));
        let _ = writeln!(text, "{title}: {}", Tally::of(checks).told());
        let mut checks: Vec<&Check> = checks.iter().collect();
        checks.sort_by_key(|check| rank(&check.found));
        for check in checks {
            text.push_str(&one(check, style));
        }
        text.push('\n');
    }
    if all.len() > 1 {
        let _ = writeln!(text, "{} applications: {}", all.len(), checks(all).told());
    }
    text
}

fn rank(found: &Found) -> u8 {
    match found {
        Found::Bad { .. } => 0,
        Found::Risk { .. } => 1,
        Found::Unseen(_) => 2,
        Found::Good(_) => 3,
    }
}

fn one(check: &Check, style: Style) -> String {
    let (mark, paint, what, hint) = match &check.found {
        Found::Good(what) => ("✓", Paint::Good, what, None),
        Found::Risk { what, hint } => ("!", Paint::Busy, what, hint.as_deref()),
        Found::Bad { what, hint } => ("✗", Paint::Bad, what, hint.as_deref()),
        Found::Unseen(why) => ("?", Paint::Busy, why, None),
    };
    let shown = |text: &str| hanging(&text.lines().map(line).collect::<Vec<_>>().join("\n"), 21);
    let name = check.what.name();
    let mut text = format!("  {} {name:<16} {}\n", style.paint(paint, mark), shown(what));
    if let Some(hint) = hint {
        let _ = writeln!(text, "    {:<16} {}", style.paint(Paint::Faint, "hint"), shown(hint));
    }
    text
}

pub fn json(all: &[Verified]) -> Value {
    let check = |check: &Check| {
        let (result, what, hint) = match &check.found {
            Found::Good(what) => ("Passed", what, None),
            Found::Risk { what, hint } => ("Risk", what, hint.clone()),
            Found::Bad { what, hint } => ("Failed", what, hint.clone()),
            Found::Unseen(why) => ("Unseen", why, None),
        };
        json!({"check": word(check.what.name()), "result": result, "message": what, "hint": hint})
    };
    let targets = all.iter().map(|(target, checks)| {
        json!({
            "environment": target.environment.as_str(),
            "application": target.application.as_str(),
            "checks": checks.iter().map(check).collect::<Vec<_>>(),
        })
    });
    json!({"applications": targets.collect::<Vec<_>>()})
}

/// As one word: `EnvironmentTag`.
fn word(name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split(' ').map(capital).collect()
}
