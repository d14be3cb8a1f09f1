//! The decision: from one reading of AWS and what is desired to the next write, or the reason for none.
//!
//! Pure, total and synchronous. Time and policy are arguments; nothing here reads or writes.

mod decide;
mod rules;

mod allowed;
mod arrival;
mod causes;
pub mod commits;
mod content;
mod declaration;
mod drift;
mod effect;
pub mod ended_well;
mod facts;
mod failure;
mod hidden;
mod in_flight;
mod initiator;
mod input;
mod kept;
mod over_base;
mod past;
mod rollback;
pub mod steady;
mod step;
mod writes;

pub mod outlook;
pub mod shift;
pub mod status;
pub mod waiting;

pub mod carriers;
pub mod count;
pub mod phase;
mod render;
mod schedule;
mod tags;
pub mod task;
pub mod windows;

#[cfg(test)]
mod tests;

pub use decide::Plan;
pub use facts::declared_family;
pub use input::{Followers, Input, TagPeer};
pub use kept::note;
pub use past::past;
pub use rules::{RULES, Rule};
pub use step::{Approval, By, DeploymentName, NotAnswered, Recent, Refusal, Reply, Step, Unsettled, Why};

use crate::model::{Mode, Waiting, Workload};

/// The task definition that would be registered for a target, or why it cannot be told.
pub fn task_definition(input: &Input<'_>) -> Result<serde_json::Value, Waiting> {
    facts::Facts::new(input).render()
}

/// Decides about one target.
pub fn plan(input: &Input<'_>) -> Plan {
    let facts = facts::Facts::new(input);
    match &input.desired.workload {
        Workload::Task(task) if input.desired.mode != Mode::Frozen => task::plan(&facts, task),
        Workload::ScheduledTask(task) if input.desired.mode != Mode::Frozen => schedule::plan(&facts, task),
        _ => decide::plan(&facts),
    }
}
