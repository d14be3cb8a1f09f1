//! The decision: from one reading of AWS and what is desired to the next write, or the reason for none.
//!
//! Pure, total and synchronous. Time and policy are arguments; nothing here reads or writes.

pub mod blue_green;
mod decide;
pub mod diff;
pub mod memory;
mod normalise;
pub mod outlook;
pub mod phase;
mod render;
pub mod service_settings;
pub mod status;
#[cfg(test)]
mod tests;
mod traffic;
pub mod windows;

pub use decide::{Approval, By, Input, Plan, Recent, Step, Why, plan};
pub use render::{container_images, containers};
