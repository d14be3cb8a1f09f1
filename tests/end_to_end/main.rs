//! The built binary against the simulated AWS over HTTP, with a real git repository.
//!
//! Each command is a new process with nothing but git and AWS to remember by.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod accounts;
mod alerts;
mod aws_time;
mod blue_green;
mod bounds;
mod errors;
mod fake_host;
mod git_server;
mod health;
mod hostile;
mod import;
#[expect(dead_code, reason = "the tests of `src/lease` use more of it")]
mod kubernetes;
mod leases;
mod logs;
mod native;
mod policy;
mod promote;
mod proposal;
mod pull_request;
mod restart;
mod rig;
mod rollback;
mod rolling;
mod secrets;
mod stopping;
mod streams;
mod suspend;
mod tasks;
mod truth;
mod verify;
mod verify_tasks;
