//! What is said on stderr and in the log of the targets of a sweep.

use crate::controller::{Outcome, Swept};
use crate::escape::line;
use crate::model::Waiting;
use crate::plan;
use crate::view::words::{described, named, step_line};

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
