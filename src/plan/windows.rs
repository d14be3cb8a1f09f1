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
/// After `PutImage`.
pub const TAG: Millis = 10_000;
