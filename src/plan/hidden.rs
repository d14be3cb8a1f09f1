//! What is hidden in the text of others before anybody reads it: AWS repeats what a container was given, and a container writes
//! what it likes.

use super::facts::Facts;
use super::render;
use crate::documents::shown;
use crate::model::{Cause, Evidence, Reading, Waiting};

/// AWS repeats what a container was given, such as its command, and a log holds whatever the container writes: nothing of it is told
/// that is shown nowhere else.
pub(super) fn in_causes(facts: &Facts<'_>, causes: Vec<Cause>) -> Vec<Cause> {
    let evidence = |it: Evidence| {
        // All at once: a secret may have several lines.
        let shown = in_text(facts, &it.lines.join("\n"));
        let lines: Vec<&str> = shown.lines().collect();
        let last = lines.len().saturating_sub(MOST_LINES);
        let lines = lines.into_iter().skip(last).map(cut).collect();
        Evidence { from: in_text(facts, &it.from), lines }
    };
    let cause = |cause: Cause| Cause {
        text: in_text(facts, &cause.text),
        evidence: cause.evidence.into_iter().map(evidence).collect(),
        ..cause
    };
    causes.into_iter().map(cause).collect()
}

/// Lines of a log that are told: an entry of it may have several (chosen).
const MOST_LINES: usize = 20;
/// Letters of a line of a log that are told: what matters of it stands in front (chosen).
const LONGEST_LINE: usize = 300;

fn cut(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

/// A reason that holds what AWS says.
pub(super) fn in_reason(facts: &Facts<'_>, waiting: Waiting) -> Waiting {
    let hide = |said: String| in_text(facts, &said);
    match waiting {
        Waiting::Unreadable { what, why } => Waiting::Unreadable { what, why: hide(why) },
        Waiting::MemoryIncomplete { why } => Waiting::MemoryIncomplete { why: hide(why) },
        Waiting::Held { commit, deployment, stranded } => {
            Waiting::Held { commit, deployment, stranded: stranded.map(hide) }
        }
        // What was refused has been hidden where it was refused: there it is known what was sent.
        other => other,
    }
}

pub(super) fn in_text(facts: &Facts<'_>, said: &str) -> String {
    let declared = facts.rendered.as_ref().ok().filter(|_| render::owns_every_field(facts.input.desired));
    // The one to blame may be live no more.
    let revisions = facts.input.observed.revisions.values().filter_map(Reading::known);
    shown::without_hidden(said, revisions.map(|revision| &revision.input), declared)
}
