//! What people and programs read of a plan and a status: as text, JSON and markdown, in the same words everywhere.
//!
//! Nothing is decided here, and nothing is printed: the command line, HTTP and alerts show what these make.

pub mod json;
pub mod markdown;
pub mod plan;
pub mod table;
pub mod words;
