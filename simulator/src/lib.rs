//! A simulated Amazon ECS, ECR and STS: pure worlds with a virtual clock, and the AWS JSON protocol in front of them.
//!
//! It knows nothing of trueup. What it models and what it does not is in `docs/simulator.md`.

mod cloud;
mod faults;
pub mod http;
mod limits;
mod world;

pub use cloud::{Cloud, Role, Signature};
pub use faults::{Fault, LOST, ReadKind};
pub use limits::Rates;
pub use world::{Api, AwsError, Function, Principal, Program, World};
