//! The controller on the simulated world, in virtual time: every way in and out of a deployment, every fault
//! at every call, and two controllers at once. What is counted are the service deployments that AWS was made to start.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod account;
mod account_pace;
mod accounts;
mod archive;
mod blue_green;
mod causes;
mod counted;
mod counts;
mod drift;
mod faults;
mod fleet;
mod frozen;
mod frugality;
mod hands;
mod health;
mod hub;
mod import;
mod leases;
mod matrix;
mod memory;
mod migration;
mod moments;
mod native;
mod news;
mod overlay;
mod platforms;
mod policy;
mod previous;
mod process;
mod pull_only;
mod receipts;
mod schedules;
mod screens;
mod shifts;
mod stage;
mod steady;
mod suspended;
mod tasks;
mod together;
mod traffic;
mod truth;
mod ways;
