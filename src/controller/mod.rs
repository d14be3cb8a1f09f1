//! The shell: it reads, asks [`plan`](crate::plan), makes the one write it is told, and looks again.

mod execute;
mod gates;
mod images;
mod observe;
mod pace;
mod recall;
mod remembered;
mod sweep;

pub use pace::is_settled;
pub use sweep::{Controller, News, Outcome, Requeue, Swept, Writes, adopt, observe_only};
