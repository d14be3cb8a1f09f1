//! AWS's JSON as values: task definitions, settings of services and `AppSpec`s are completed, owned, compared, refused and
//! shown here.
//!
//! Pure. It knows what is desired and nothing of what is observed or decided.

pub mod app_spec;
pub mod code_deploy;
pub mod containers;
pub mod differences;
pub mod logs;
pub mod memory;
pub mod native;
pub(crate) mod normalise;
pub mod overlay;
pub mod placeholders;
pub mod reasons;
pub mod refusals;
pub mod repositories;
pub mod required;
pub mod roles;
pub mod schedules;
pub mod service_settings;
pub mod shown;
pub mod tags;
