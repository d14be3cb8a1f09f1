//! What is said on stderr and in the log of the targets of a sweep.

use crate::controller::{Outcome, SweepResult};
use crate::escape::line;
use crate::model::{Health, Waiting};
use crate::plan::{self, Plan};
use crate::view::words::{self, described, named, step_line};

/// Says on stderr what keeps each target from where it should be, and what to do about it.
pub(super) fn complaints(swept: &[SweepResult]) {
    swept.iter().filter_map(|one| complaint(&one.plan)).for_each(|complaint| say!("{complaint}"));
}

fn complaint(plan: &Plan) -> Option<String> {
    let status = &plan.status;
    let target = named(&status.target);
    match plan.waiting.as_ref()? {
        Waiting::Settled if matches!(status.health, Health::Healthy | Health::Suspended) => None,
        // What is declared is deployed, and does not run well.
        Waiting::Settled => {
            let why = words::first_failing(status);
            let causes = words::told(&status.failing_causes);
            let told = format!("{target}: {}: {}\n{causes}", words::health(status.health), line(&why));
            Some(told.trim_end().to_owned())
        }
        waiting => {
            let hint = plan::waiting::hint(waiting, &status.target);
            let hint = hint.map(|hint| format!("\n  hint  {}", line(&hint))).unwrap_or_default();
            let causes = words::told(&status.causes);
            let causes = if causes.is_empty() { causes } else { format!("\n{}", causes.trim_end()) };
            Some(format!("{target}: {}{causes}{hint}", described(waiting)))
        }
    }
}

/// Logs what was written, or why a write failed.
pub(super) fn outcome(one: &SweepResult) {
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
    use super::*;
    use crate::cli::end::tests::plan;
    use crate::model::{Cause, CauseKind, Sync};

    #[test]
    fn whatever_is_not_as_it_should_be_is_told() {
        let said = |waiting, health, cause: Option<&str>| {
            let mut plan = plan(waiting, Sync::Synced, health);
            plan.status.failing_causes.extend(cause.map(|text| Cause::new(CauseKind::Exit(1), text)));
            complaint(&plan)
        };
        let settled = || Some(Waiting::Settled);
        let crash = "container api exited with 1";
        for (waiting, health, cause, expected) in [
            (settled(), Health::Healthy, None, None),
            (settled(), Health::Suspended, None, None),
            (None, Health::Healthy, None, None),
            (
                settled(),
                Health::Degraded,
                Some(crash),
                Some("test/api: Degraded: container api exited with 1\n  cause  container api exited with 1"),
            ),
            (
                settled(),
                Health::Progressing,
                None,
                Some("test/api: Progressing: fewer tasks run than are wanted"),
            ),
        ] {
            assert_eq!(said(waiting, health, cause).as_deref(), expected);
        }
        let drifted = said(Some(Waiting::Drifted), Health::Healthy, None).unwrap();
        assert!(drifted.starts_with("test/api: changed outside trueup\n  hint  declare in git"), "{drifted}");
    }
}
