//! The shell: it reads, asks [`plan`](crate::plan), makes the one write it is told, and looks again.

mod execute;
mod gates;
mod observe;
mod sweep;

pub use observe::{Look, Observer, Remembered};
pub use sweep::{Controller, Outcome, Ports, Reach, Requeue, Swept, Writes, is_settled, observe_only};
