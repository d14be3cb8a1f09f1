//! Where a deployment stands that moves traffic from one revision to another, whoever carries it out.

use super::{Millis, OnTimeout, Share};

/// One reading of where a deployment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    pub stage: Stage,
    /// AWS's own name of the stage, for people who search its pages.
    pub aws_stage: Option<String>,
    /// Of the production traffic, on the new revision; `None`: nothing is shared here, or it was not read.
    pub production: Option<Share>,
    /// Of the test traffic.
    pub test: Option<Share>,
    /// Which step of the shift it is at.
    pub step: Option<ShiftStep>,
    /// What waits for somebody's word; empty: nobody is waited for.
    pub pauses: Vec<Pause>,
    /// Functions that AWS calls in this stage.
    pub hooks: Vec<HookState>,
    /// When a bake or a wait is over; computed, so "about".
    pub until: Option<Millis>,
    /// When AWS last changed what it says of it.
    pub since: Option<Millis>,
    /// Whether somebody may have been waited for before the new tasks were started.
    pub has_hooks_first: bool,
    /// Whether tasks are started or stopped now, or are about to be: where hooks alone are waited for, AWS makes no progress by
    /// itself, and what it tells is as old as their wait for a moment after it.
    pub moves_tasks: bool,
    pub undo: Undo,
    /// Whether somebody stopped it, as far as AWS tells: it did not fail by itself.
    pub stopped_by_hand: bool,
}

impl Shift {
    /// Nothing is known but the stage.
    pub fn at(stage: Stage) -> Self {
        Self {
            stage,
            aws_stage: None,
            production: None,
            test: None,
            step: None,
            pauses: Vec::new(),
            hooks: Vec::new(),
            until: None,
            since: None,
            has_hooks_first: false,
            moves_tasks: true,
            undo: Undo::No,
            stopped_by_hand: false,
        }
    }

    pub fn goes_on(&self) -> bool {
        self.stage != Stage::Ended
    }

    /// Whether a person or a function is waited for: then AWS makes no progress by itself.
    pub fn waits_for_others(&self) -> bool {
        !self.pauses.is_empty() || self.hooks.iter().any(|hook| hook.status == HookStatus::InProgress)
    }

    /// Where the production traffic is, by its share or, where none is told, by the stage.
    pub fn traffic(&self) -> Traffic {
        match (self.production, self.stage) {
            (Some(Share::NONE), _) => Traffic::OnOld,
            (Some(Share::ALL), stage) if stage != Stage::Shifting => Traffic::OnNew,
            (Some(_), _) | (None, Stage::Shifting) => Traffic::Divided,
            (None, Stage::Pending | Stage::Reconciling | Stage::Installing | Stage::Testing) => {
                Traffic::OnOld
            }
            (None, Stage::Checking | Stage::Standby | Stage::CleaningUp) => Traffic::OnNew,
            (None, Stage::Ended | Stage::Unknown) => Traffic::Unread,
        }
    }
}

/// Where the production traffic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// None of it is on the new revision.
    OnOld,
    /// On both, or on its way.
    Divided,
    OnNew,
    Unread,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// AWS has not begun.
    Pending,
    /// What an earlier deployment left is settled.
    Reconciling,
    /// The new tasks are started.
    Installing,
    /// Test traffic leads to the new tasks.
    Testing,
    Shifting,
    /// All traffic is on the new tasks; their last checks go on.
    Checking,
    /// All traffic is on the new tasks; the old ones stand by for their time.
    Standby,
    /// The old tasks end.
    CleaningUp,
    Ended,
    /// It goes on, and where it stands is not known: traffic may have moved.
    Unknown,
}

/// Step 2 of 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShiftStep {
    pub number: u16,
    pub of: u16,
}

/// What goes on when somebody says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What AWS knows it by. Another step has another one.
    pub id: String,
    /// When it ends by itself.
    pub until: Option<Millis>,
    pub then: OnTimeout,
}

/// What a person says to a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It goes on.
    Go,
    /// It is rolled back.
    Back,
}

/// A function that AWS calls, and what became of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookState {
    pub function: String,
    pub status: HookStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookStatus {
    InProgress,
    Succeeded,
    Failed,
    TimedOut,
    /// A value newer than this program.
    Unknown,
}

/// What it takes to bring the traffic back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// The old tasks run: AWS brings it back at once.
    Fast,
    /// The old tasks end: a deployment of its own.
    Slow,
    /// There is nothing to go back to, or AWS does not promise it.
    No,
}
