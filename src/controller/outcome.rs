//! What a sweep may do, and what it comes to.

use std::time::Duration;

use crate::model::Target;
use crate::plan::{Plan, Step};
use crate::ports::CloudError;

/// What became of one target in one sweep.
#[derive(Clone, Debug)]
pub struct SweepResult {
    pub target: Target,
    pub plan: Plan,
    pub outcome: Outcome,
    pub requeue: Requeue,
}

/// What was decided of each, for people and programs to read.
pub fn plans(swept: &[SweepResult]) -> Vec<&Plan> {
    swept.iter().map(|one| &one.plan).collect()
}

/// Told while a sweep goes on, since one over a large fleet takes minutes.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    Looked { took: Duration },
    Swept(&'a SweepResult),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing was written; the plan says why.
    Nothing,
    Wrote(Step),
    Failed(Step, CloudError),
    /// AWS's rate for the account was used up, so many times in a row: nothing was written, and it is tried again soon.
    Throttled {
        step: Step,
        why: String,
        attempt: u32,
    },
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requeue {
    Now,
    After(Duration),
}

/// Whether a sweep may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    Allowed,
    Withheld,
}
