//! The shell: it reads, asks [`plan`](crate::plan), makes the one write it is told, and looks again.

mod execute;
mod gates;
mod images;
mod observe;
mod of_interest;
mod outcome;
mod pace;
mod recall;
mod remembered;
mod sweep;

pub use outcome::{News, Outcome, Requeue, Swept, Writes};
pub use pace::is_settled;
pub use sweep::{Controller, adopt, observe_only};
