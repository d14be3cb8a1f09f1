//! The shell: it reads, asks [`plan`](crate::plan), makes the one write it is told, and looks again.

mod access;
mod entry;
mod execute;
mod fleet;
mod gates;
mod images;
mod inquire;
mod inspect;
mod moment;
mod observe;
mod of_interest;
mod outcome;
mod pace;
mod past;
mod read_cache;
mod recall;
mod unit;

pub use fleet::{Controller, adopt, observe_only, place_of};
pub use inspect::Inspection;
pub use outcome::{News, Outcome, Requeue, SweepResult, Writes, plans};
pub use pace::is_settled;
