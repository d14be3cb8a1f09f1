//! GitOps for Amazon ECS: the map of the crate.
//!
//! Observe everything, decide purely, do at most one write, look again:
//! [`git`] brings the infrastructure repository, [`manifest`] turns its text into what is [desired](model::Desired),
//! [`aws`] and [`controller`] read what is [observed](model::Observed), [`plan`] decides, and one function of
//! [`controller`] writes. `docs/architecture.md` has the picture and the invariants; a test keeps the layers apart.

pub mod documents;
pub mod model;

pub mod iam;
pub mod manifest;
pub mod plan;
pub mod verify;

pub mod accounts;
pub mod address;
pub mod archive;
pub mod escape;
pub mod masking;
pub mod outbound;
pub mod ports;
pub mod secret;
pub(crate) mod text;

pub mod aws;
pub mod git;
pub mod git_host;
pub mod lease;

pub mod comparison;
pub mod controller;
pub mod http;
pub mod import;
pub mod inventory;
pub mod notify;
pub mod settings;
pub mod view;

pub mod cli;

#[cfg(test)]
mod fuzz;
