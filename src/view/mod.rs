//! What people and programs read of a plan and a status: as text, JSON and markdown, in the same words everywhere.
//!
//! Nothing is decided here, and nothing is printed: the command line, HTTP and alerts show what these make.

pub mod attention;
pub mod comment;
pub mod comparison;
pub mod events;
pub mod findings;
pub mod history;
pub mod import;
pub mod json;
pub mod links;
pub mod logs;
pub mod markdown;
pub mod migration;
pub mod page;
pub mod plan;
pub mod screen;
pub mod status;
mod timeline;
pub mod verify;
pub mod words;
