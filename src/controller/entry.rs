//! All that is kept of one target. Another process finds it out again; here it makes for patience and frugality.

use std::collections::BTreeMap;

use super::outcome::{Outcome, Requeue};
use super::pace;
use crate::model::{Desired, Millis, Observed, Particulars, Report, Waiting};
use crate::plan::{Plan, Recent, Refusal, Step, waiting};
use crate::ports::CloudError;

#[derive(Default)]
pub(super) struct Entry {
    /// The last write, which AWS may not show yet.
    pub recent: Option<Recent>,
    /// What AWS refused to do last.
    pub refusal: Option<Refusal>,
    /// Passes in a row that came to nothing.
    pub setbacks: u32,
    /// Writes in a row that met the rate of the account.
    pub throttled: u32,
    pub last_look: Option<LastLook>,
    /// What is known of its failures, each by what it is known by; gone when it is told of no more.
    pub particulars: BTreeMap<String, Particulars>,
    /// What only a person can end, by its name, and since when.
    pub stalled: Option<(&'static str, Millis)>,
    /// Until when what the registry said is good, while a deployment goes on.
    pub images_until: Millis,
    /// When it is looked at again; `None`: at once.
    pub due: Option<Millis>,
}

/// The last look at a target.
pub(super) struct LastLook {
    pub desired: Desired,
    pub observed: Observed,
    /// When its facts are read again, even if the service looks the same.
    pub until: Millis,
    /// Until when what the registry said is good, while a deployment goes on.
    pub images_until: Millis,
    /// The registry is about to say something else.
    pub awaits_image: bool,
    /// Rules and target groups may be put right by another hand, and an alarm may end.
    pub awaits_surroundings: bool,
    /// A person may end the wait by a tag on a revision.
    pub awaits_word: bool,
    /// Somebody is asked: that he has answered shows in the list of deployments alone.
    pub awaits_answer: bool,
    /// A write is likely to come of what is read next.
    pub awaits_write: bool,
    /// Another application has to come first.
    pub awaits_others: bool,
    /// Something was to be written and this process did not: by the next look another one may have.
    pub left_to_others: bool,
}

/// A write that was decided and not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// For a newer head, or in a later pass.
    ForLater,
    /// This process does not write.
    ToOthers,
}

impl Entry {
    pub fn is_due(&self, now: Millis) -> bool {
        self.due.is_none_or(|due| pace::is_due(due, now))
    }

    /// Takes note of what AWS refused to do.
    pub fn refused(&mut self, step: &Step, error: &CloudError, now: Millis) {
        let refusal = pace::refusal(self.refusal.as_ref(), step, error, self.setbacks.saturating_add(1), now);
        if refusal.is_some() {
            self.refusal = refusal;
        }
    }

    /// Takes note of what is told of failures, and of what AWS is about to be asked about them. What was not read ends none.
    pub fn report(&mut self, plan: &Plan) {
        let was_read = plan.waiting.as_ref().map(waiting::class) != Some(waiting::Class::Unreadable);
        let is_told = |failure: &String| plan.reports.iter().any(|report| report.inquiry.failure == *failure);
        self.particulars.retain(|failure, _| !was_read || is_told(failure));
        for Report { inquiry, causes } in &plan.reports {
            let known = self.particulars.entry(inquiry.failure.clone()).or_default();
            known.causes.clone_from(causes);
            if !inquiry.groups.is_empty() {
                known.groups_asked += inquiry.groups.len();
                known.groups_asked_at = plan.status.facts_checked_at;
            }
            known.logs_read.extend(inquiry.logs.iter().map(|(container, _)| container.clone()));
        }
    }

    /// Keeps what was found out, and says when to look again.
    /// `in_flight`: how many deployments go on in this account and region.
    pub fn finish(
        &mut self,
        desired: &Desired,
        observed: Observed,
        plan: &Plan,
        outcome: &Outcome,
        left: Option<Left>,
        (now, in_flight): (Millis, usize),
    ) -> Requeue {
        if !matches!(outcome, Outcome::Throttled { .. }) {
            self.throttled = 0;
        }
        if pace::is_setback(plan, outcome) {
            self.setbacks = self.setbacks.saturating_add(1);
        } else if !matches!(plan.waiting, Some(Waiting::Refused { .. })) {
            self.setbacks = 0;
            self.refusal = None;
        }
        let stall = pace::stall(plan);
        if self.stalled.map(|(reason, _)| reason) != stall {
            self.stalled = stall.map(|reason| (reason, now));
        }
        let is_moved = matches!(outcome, Outcome::Wrote(Step::MoveTag { .. }));
        if now >= self.images_until || is_moved {
            self.images_until = pace::images_are_good_until(plan, outcome, now);
        }
        let requeue = pace::requeue(&desired.target, plan, outcome, self.setbacks, in_flight);
        self.due = Some(match (left, outcome) {
            (Some(Left::ForLater), _) => now,
            (_, Outcome::Throttled { .. }) => pace::due_at(now, requeue),
            _ => pace::due_with_others(now, requeue),
        });
        let stalled_for = self.stalled.map(|(_, since)| now - since);
        self.last_look = Some(LastLook {
            desired: desired.clone(),
            observed,
            // Before a write that was left for later all is read again.
            until: match left {
                Some(Left::ForLater) => plan.status.facts_checked_at.saturating_add(pace::MOVING_FACTS),
                _ => pace::facts_are_good_until(plan, outcome, stalled_for),
            },
            images_until: self.images_until,
            awaits_word: self.stalled.is_some(),
            awaits_image: is_moved || matches!(plan.waiting, Some(Waiting::ImageNotBuilt { .. })),
            awaits_surroundings: matches!(
                plan.waiting,
                Some(
                    Waiting::ListenerAstray { .. }
                        | Waiting::TrafficUnfit { .. }
                        | Waiting::AlarmActive { .. }
                )
            ),
            awaits_answer: pace::awaits_answer(plan),
            awaits_write: pace::awaits_write(plan, outcome),
            awaits_others: pace::awaits_others(plan),
            left_to_others: left == Some(Left::ToOthers),
        });
        requeue
    }
}
