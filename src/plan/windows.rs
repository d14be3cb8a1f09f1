//! How long the effect of each kind of write may stay invisible (Amazon ECS developer guide, eventual consistency).
//!
//! AWS publishes no figures. These are long against what is usually seen (below two seconds) and short against a
//! deployment. A write of the same kind is not repeated inside its window unless its effect was seen.

use crate::model::Millis;

/// A window is doubled so often at most for a write whose effect is not seen: to some minutes.
pub const MOST_DOUBLINGS: u32 = 5;
/// After `RegisterTaskDefinition`: two controllers that both registered see each other's revision after this.
pub const REGISTRATION: Millis = 5_000;
/// After `TagResource` on a revision.
pub const STAMP: Millis = 5_000;
/// After `UpdateService`.
pub const DEPLOYMENT: Millis = 30_000;
/// After `PutTargets` and `UpdateSchedule`. AWS says no more than that a change may take "a short period of time" (Amazon
/// EventBridge API reference, `PutTargets`).
pub const SCHEDULE: Millis = 30_000;
/// After `RunTask` whose answer is not known, and `StopTask`.
pub const RUN: Millis = 10_000;
/// From the stamp before a `RunTask` on, in which the same token certainly leads to the same task: a token lives an hour
/// longer than its task (Amazon ECS developer guide, "Ensuring idempotency"), less the life of a signature, what clocks may
/// differ by, and some to spare, five minutes each.
pub const RUN_TOKEN: Millis = 45 * 60_000;
/// From that stamp on, in which a request that was signed may still arrive, and its task be missing from lists.
pub const RUN_REQUEST: Millis = 10 * 60_000;
/// A task that has stopped can be described for an hour at least (Amazon ECS API reference, `DescribeTasks`).
pub const TASKS_STAY: Millis = 60 * 60_000;
/// After `PutImage`.
pub const TAG: Millis = 10_000;
