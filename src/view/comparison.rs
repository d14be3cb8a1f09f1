//! What a change of the infrastructure repository touches, before the plan of it: what was declared, and what is now.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::screen::{Paint, Style};
use super::words::{changed, named};
use crate::comparison::{Comparison, Side, Touched};
use crate::escape::{fenced, line, markdown};
use crate::model::Commit;

/// What becomes of a target, in the word for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Added,
    Changed,
    Removed,
}

impl Fate {
    const ALL: [Self; 3] = [Self::Added, Self::Changed, Self::Removed];

    fn of(touched: &Touched) -> Self {
        match (&touched.before, &touched.after) {
            (Side::Undeclared, _) => Self::Added,
            (_, Side::Undeclared) => Self::Removed,
            _ => Self::Changed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// Line by line, for a terminal.
pub fn text(comparison: &Comparison, style: Style) -> String {
    let mut text = format!("{}\n", line(&summary(comparison)));
    for touched in &comparison.touched {
        let (mark, paint) = match Fate::of(touched) {
            Fate::Added => ("+", Paint::Good),
            Fate::Changed => ("~", Paint::Busy),
            Fate::Removed => ("-", Paint::Bad),
        };
        let name = style.paint(Paint::Strong, &named(&touched.target));
        let _ = writeln!(text, "{} {name}   {}", style.paint(paint, mark), line(&declared(touched)));
        text.push_str(&differences(touched, style));
    }
    text + "\n"
}

/// For a pull request: a line for each, their settings folded.
pub fn for_a_pull_request(comparison: &Comparison) -> String {
    let mut text = format!("{}\n\n", markdown(&summary(comparison)));
    if comparison.touched.is_empty() {
        return text;
    }
    text.push_str("| application | declared before | declared now | settings |\n|---|---|---|---|\n");
    let mut details = String::new();
    for touched in &comparison.touched {
        let target = markdown(&touched.target.to_string());
        let [before, after] = [&touched.before, &touched.after].map(|side| markdown(&told(side)));
        let settings = match touched.differences.len() {
            0 => String::new(),
            1 => "1 other".to_owned(),
            more => format!("{more} others"),
        };
        let _ = writeln!(text, "| {target} | {before} | {after} | {settings} |");
        if !touched.differences.is_empty() {
            let folded = fenced(&differences(touched, Style::Plain));
            let _ = write!(
                details,
                "\n<details><summary>{target}: declared settings</summary>\n\n{folded}\n</details>\n"
            );
        }
    }
    text + &details + "\n"
}

/// The documented data: where it parts, and each target before and after.
pub fn json(comparison: &Comparison) -> (Value, Value) {
    let base = json!({"ref": comparison.reference, "commit": comparison.base.commit.as_str()});
    let side = |side: &Side| match side {
        Side::Undeclared => Value::Null,
        Side::Unreadable => json!({"commit": null}),
        Side::At(commit) => json!({"commit": commit.as_str()}),
    };
    let changes = comparison.touched.iter().map(|touched| {
        let differences = touched.differences.iter().map(|difference| {
            json!({"field": difference.field, "before": difference.live, "after": difference.desired})
        });
        json!({
            "environment": touched.target.environment.as_str(),
            "application": touched.target.application.as_str(),
            "before": side(&touched.before),
            "after": side(&touched.after),
            "differences": differences.collect::<Vec<_>>(),
        })
    });
    (base, changes.collect())
}

fn summary(comparison: &Comparison) -> String {
    let Comparison { reference, base, touched, untouched } = comparison;
    let commit: String = base.commit.as_str().chars().take(7).collect();
    let name = if reference.starts_with(&commit) { String::new() } else { format!(" of {reference}") };
    let since = format!("since {commit} \"{}\"{name}", base.summary);
    if touched.is_empty() {
        return format!("{since}: nothing is declared in another way");
    }
    let count = |fate: Fate| (fate, touched.iter().filter(|touched| Fate::of(touched) == fate).count());
    let counts = Fate::ALL.map(count).into_iter().filter(|(_, count)| *count > 0);
    let mut counts: Vec<String> = counts.map(|(fate, count)| format!("{count} {}", fate.word())).collect();
    if *untouched > 0 {
        counts.push(format!("{untouched} as before"));
    }
    format!("{since}: {}", counts.join(", "))
}

fn declared(touched: &Touched) -> String {
    let (before, after) = (told(&touched.before), told(&touched.after));
    match Fate::of(touched) {
        Fate::Added => format!("added at {after}"),
        Fate::Removed => format!("removed, was {before}; what runs stays as it is"),
        Fate::Changed if before == after => format!("{after}, declared in another way"),
        Fate::Changed => format!("{before} -> {after}"),
    }
}

fn told(side: &Side) -> String {
    match side {
        Side::Undeclared => "not declared".to_owned(),
        Side::Unreadable => "its files have errors".to_owned(),
        Side::At(commit) => Commit::short(commit).to_owned(),
    }
}

fn differences(touched: &Touched, style: Style) -> String {
    touched.differences.iter().map(|difference| changed(difference, style, "    ")).collect()
}
