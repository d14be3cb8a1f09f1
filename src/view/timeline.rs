//! The stages of the deployment that goes on: what is behind it, where it is, and what is to come. The page tells them in text and in
//! JSON.

use crate::model::{LastDeployment, Millis, Phase, Shift, Stage, Waiting};
use crate::plan::Plan;
use crate::plan::shift::describe;

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub progress: Progress,
    pub what: String,
    /// How far it is; of the one that goes on now.
    pub note: Option<String>,
    /// When it began, where AWS tells; of the one that goes on now.
    pub since: Option<Millis>,
    /// When it is over if nothing fails, where that is known; of the one that goes on now.
    pub until: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Done,
    Now,
    Then,
}

impl Entry {
    fn new(progress: Progress, what: impl Into<String>) -> Self {
        Self { progress, what: what.into(), note: None, since: None, until: None }
    }
}

/// Nothing of one that is over.
pub(super) fn stages(plan: &Plan, last: &LastDeployment) -> Vec<Entry> {
    if last.phase.is_over() {
        return Vec::new();
    }
    match (&last.shift, &plan.waiting) {
        _ if last.phase == Phase::RollingBack => vec![Entry::new(Progress::Now, "rolling back")],
        (Some(shift), _) => of_shift(shift),
        (None, Some(Waiting::Settling { until, .. })) => {
            in_order(&ROLLING, 1, |now| now.until = Some(*until))
        }
        (None, _) => in_order(&ROLLING, 0, |_| ()),
    }
}

fn of_shift(shift: &Shift) -> Vec<Entry> {
    let Some(place) = SHIFT.iter().position(|(stage, _)| *stage == shift.stage) else {
        return vec![Entry::new(Progress::Now, describe(shift).unwrap_or_default())];
    };
    in_order(&SHIFT.map(|(_, name)| name), place, |now| {
        now.note = describe(shift);
        now.since = shift.since;
    })
}

/// `place`: of the one that goes on now, to which `tell` adds what is known of it.
fn in_order(names: &[&str], place: usize, tell: impl FnOnce(&mut Entry)) -> Vec<Entry> {
    let entry = |(index, name): (usize, &&str)| {
        let progress = match index.cmp(&place) {
            std::cmp::Ordering::Less => Progress::Done,
            std::cmp::Ordering::Equal => Progress::Now,
            std::cmp::Ordering::Greater => Progress::Then,
        };
        Entry::new(progress, *name)
    };
    let mut entries: Vec<Entry> = names.iter().enumerate().map(entry).collect();
    entries.get_mut(place).map(tell);
    entries
}

/// The stages of one that shifts traffic, in their order.
const SHIFT: [(Stage, &str); 8] = [
    (Stage::Pending, "AWS begins"),
    (Stage::Reconciling, "what an earlier deployment left is settled"),
    (Stage::Installing, "the new tasks start"),
    (Stage::Testing, "its tests"),
    (Stage::Shifting, "traffic shifts"),
    (Stage::Checking, "the last checks"),
    (Stage::Standby, "the old tasks stand by"),
    (Stage::CleaningUp, "the old tasks end"),
];

const ROLLING: [&str; 3] =
    ["new tasks take the place of the old ones", "all tasks run steadily", "the environment tag moves"];
