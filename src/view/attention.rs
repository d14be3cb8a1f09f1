//! How much a target asks of whoever looks: what screens sort by, count, colour and mark.

use super::screen::{Paint, ago};
use crate::model::{Health, Millis, OutcomeKind, Phase, Stage, Sync, Waiting};
use crate::plan::waiting::{Class, class, reason};
use crate::plan::{Plan, Step};

/// The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attention {
    /// Users may feel it: tasks fail, or there is no service.
    Failing,
    /// A commit failed here; what runs is well.
    Held,
    /// Only a person can end it.
    Stalled,
    Frozen,
    /// Nobody knows.
    Unread,
    /// Somebody is waited for.
    Approval,
    Drifted,
    Moving,
    /// A write comes next.
    Due,
    /// A build or another application comes first.
    Waiting,
    /// Left alone on purpose.
    Suspended,
    Good,
}

impl Attention {
    pub fn paint(self) -> Paint {
        match self {
            Self::Failing | Self::Held | Self::Stalled | Self::Frozen => Paint::Bad,
            Self::Unread | Self::Approval | Self::Drifted | Self::Moving | Self::Due => Paint::Busy,
            Self::Waiting | Self::Suspended => Paint::Faint,
            Self::Good => Paint::Good,
        }
    }

    /// In one column, and told apart without colour too.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Failing => "✗",
            Self::Held => "‖",
            Self::Stalled | Self::Frozen => "!",
            Self::Unread => "?",
            Self::Approval => "»",
            Self::Drifted => "≠",
            Self::Moving | Self::Due => "●",
            Self::Waiting | Self::Suspended => "·",
            Self::Good => "✓",
        }
    }
}

pub fn attention(plan: &Plan) -> Attention {
    let status = &plan.status;
    let Some(waiting) = &plan.waiting else {
        let is_failing = matches!(status.health, Health::Degraded | Health::Missing);
        return if is_failing { Attention::Failing } else { Attention::Due };
    };
    match (class(waiting), status.health) {
        _ if *waiting == Waiting::Frozen => Attention::Frozen,
        (_, Health::Degraded | Health::Missing) => Attention::Failing,
        (Class::Failed, _) => Attention::Held,
        (Class::Unreadable, _) => Attention::Unread,
        (Class::Stalled, _) => Attention::Stalled,
        (Class::Moving, _) if awaits_approval(plan) => Attention::Approval,
        (Class::Moving, _) => Attention::Moving,
        _ if status.hold.is_some() => Attention::Held,
        (Class::Build | Class::Others, _) => Attention::Waiting,
        (Class::Settled, _) if *waiting == Waiting::Drifted => Attention::Drifted,
        (Class::Settled, _) if *waiting != Waiting::Settled && status.sync == Sync::OutOfSync => {
            Attention::Suspended
        }
        (Class::Settled, Health::Progressing) => Attention::Moving,
        (Class::Settled, Health::Suspended) => Attention::Suspended,
        (Class::Settled, Health::Unknown) => Attention::Unread,
        (Class::Settled, Health::Healthy) => Attention::Good,
    }
}

fn awaits_approval(plan: &Plan) -> bool {
    let shift = plan.status.last_deployment.as_ref().and_then(|last| last.shift.as_ref());
    shift.is_some_and(|shift| !shift.pauses.is_empty())
}

/// As it is counted.
pub fn name(attention: Attention, plan: &Plan) -> &'static str {
    match attention {
        Attention::Failing if plan.status.health == Health::Missing => "Missing",
        Attention::Failing => "Degraded",
        Attention::Held => "on hold",
        Attention::Stalled => "stalled",
        Attention::Frozen => "frozen",
        Attention::Unread => "unknown",
        Attention::Approval => "waiting for approval",
        Attention::Drifted => "drifted",
        Attention::Moving => "deploying",
        Attention::Due => "to change",
        Attention::Waiting => "waiting",
        Attention::Suspended if plan.status.health == Health::Suspended => "Suspended",
        Attention::Suspended => "left alone",
        Attention::Good => "Healthy",
    }
}

/// What goes on with it, in a few words; the sentence is below the table.
pub fn now(plan: &Plan, now: Millis) -> String {
    let status = &plan.status;
    let Some(waiting) = &plan.waiting else {
        return plan.steps.first().map(next).unwrap_or_default().to_owned();
    };
    match waiting {
        Waiting::Settled if let Some(run) = &status.last_run => {
            let how = if run.result == OutcomeKind::Succeeded { "ran" } else { "failed" };
            format!("{how} {}", ago(run.ended_at, now))
        }
        Waiting::Settled if status.failing_since.is_some() => "tasks fail".to_owned(),
        Waiting::Settled if status.health == Health::Progressing => "tasks start".to_owned(),
        // In a column of its own.
        Waiting::Settled | Waiting::Held { .. } => String::new(),
        Waiting::Deploying { phase: Phase::RollingBack, .. } => "rolling back".to_owned(),
        Waiting::Deploying { .. } if awaits_approval(plan) => "asks for approval".to_owned(),
        Waiting::Deploying { .. } => {
            let shift = status.last_deployment.as_ref().and_then(|last| last.shift.as_ref());
            match shift.map(|shift| (shift.stage, shift.production)) {
                Some((Stage::Shifting, Some(share))) => format!("traffic {share} %"),
                Some((Stage::Standby, _)) => "baking".to_owned(),
                _ => "deploying".to_owned(),
            }
        }
        Waiting::Turn { .. } => "waits for another".to_owned(),
        Waiting::Unreadable { .. } => "cannot be read".to_owned(),
        Waiting::Consistency { .. } => "waits for AWS".to_owned(),
        other => in_words(reason(other)),
    }
}

fn next(step: &Step) -> &'static str {
    match step {
        Step::Register { .. } | Step::Deploy { .. } | Step::Retarget { .. } => "next: deploy",
        Step::CreateApplication { .. } | Step::CreateGroup { .. } => "next: create",
        Step::Stamp { .. } => "next: record",
        Step::UpdateSettings { .. } => "next: settings",
        Step::Undo { .. } | Step::StopRun { .. } => "next: stop",
        Step::Answer { .. } | Step::EndStandby { .. } => "next: go on",
        Step::Run { .. } => "next: run",
        Step::MoveTag { .. } => "next: move tag",
    }
}

/// `ImageNotBuilt` as people write it.
fn in_words(reason: &str) -> String {
    let mut words = String::new();
    for c in reason.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_words() {
        for (reason, expected) in [("ImageNotBuilt", "image not built"), ("Drifted", "drifted"), ("", "")] {
            assert_eq!(in_words(reason), expected);
        }
    }
}
