//! The shell: it reads, asks [`plan`](crate::plan), makes the one write it is told, and looks again.

mod execute;
mod gates;
mod observe;
mod pace;
mod sweep;

pub use observe::{Look, Observer, Remembered};
pub use pace::is_settled;
pub use sweep::{Controller, News, Outcome, Requeue, Swept, Writes, observe_only};
