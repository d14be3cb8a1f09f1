//! Where a deployment stands that shifts traffic, in words for people. Nothing is decided by these words.

use std::fmt::Write as _;

use crate::model::{HookStatus, Millis, OnTimeout, Shift, Stage};

/// `None`: it is over.
pub fn describe(shift: &Shift) -> Option<String> {
    let mut text = match (shift.stage, shift.production) {
        (Stage::Pending, _) => "AWS has yet to begin".to_owned(),
        (Stage::Reconciling, _) => "what an earlier deployment left is settled".to_owned(),
        (Stage::Installing, _) => "the new tasks start".to_owned(),
        (Stage::Testing, _) => "its tests go on".to_owned(),
        (Stage::Shifting, Some(share)) => format!("{share} % of the traffic is on it"),
        (Stage::Shifting, None) => "traffic shifts".to_owned(),
        (Stage::Checking, _) => "all traffic is on it, the last checks go on".to_owned(),
        (Stage::Standby, _) => "all traffic is on it, the old tasks stand by".to_owned(),
        (Stage::CleaningUp, _) => "all traffic is on it, the old tasks end".to_owned(),
        (Stage::Unknown, _) => "how far it is cannot be read".to_owned(),
        (Stage::Ended, _) => return None,
    };
    if let Some(step) = shift.step {
        let _ = write!(text, ", step {} of {}", step.number, step.of);
    }
    if let Some(until) = shift.until.filter(|_| shift.pauses.is_empty()) {
        let _ = write!(text, ", about until {}", time(until));
    }
    let waits = shift.hooks.iter().filter(|hook| hook.status == HookStatus::InProgress);
    for hook in waits.take(MOST) {
        let _ = write!(text, ", function {} has yet to answer", hook.function);
    }
    Some(match pauses(shift) {
        Some(pauses) if shift.stage == Stage::Testing => pauses,
        Some(pauses) => format!("{text}, {pauses}"),
        None => text,
    })
}

/// Functions that are named at most.
const MOST: usize = 3;

/// That somebody's word is waited for, until when, and what happens then.
fn pauses(shift: &Shift) -> Option<String> {
    let first = shift.pauses.iter().min_by_key(|pause| pause.until)?;
    let mut text = "it waits for approval".to_owned();
    if let Some(until) = first.until {
        let then = match first.then {
            OnTimeout::Rollback => "then it is rolled back",
            OnTimeout::Continue => "then it goes on",
        };
        let _ = write!(text, " until {}, {then}", time(until));
    }
    if shift.pauses.len() > 1 {
        let _ = write!(text, " ({} pauses)", shift.pauses.len());
    }
    Some(text)
}

fn time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).map(|time| time.to_string()).unwrap_or_default()
}
