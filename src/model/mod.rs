//! The nouns: identifiers, what is desired, what was observed, and what is said about it.
//!
//! Nothing here reads, writes, parses a format, or knows what time it is.

mod alarm;
pub mod alert;
mod balancing;
mod cause;
mod code_deploy;
mod complaint;
mod desired;
mod finding;
mod ids;
mod inventory;
mod lease;
mod native;
mod observed;
mod past;
mod pattern;
mod pipeline;
mod receipts;
mod schedule;
mod shift;
mod status;
pub mod surroundings;

pub use alarm::*;
pub use balancing::*;
pub use cause::*;
pub use code_deploy::*;
pub use complaint::*;
pub use desired::*;
pub use finding::*;
pub use ids::*;
pub use inventory::*;
pub use lease::*;
pub use native::*;
pub use observed::*;
pub use past::*;
pub use pattern::*;
pub use pipeline::*;
pub use receipts::*;
pub use schedule::*;
pub use shift::*;
pub use status::*;
