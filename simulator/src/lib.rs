//! A simulated Amazon ECS, ECR and STS: a pure world with a virtual clock, and the AWS JSON protocol in front of it.
//!
//! It knows nothing of trueup. What it models and what it does not is in `docs/simulator.md`.

mod faults;
pub mod http;
mod limits;
mod world;

pub use faults::{Fault, LOST, ReadKind};
pub use limits::Rates;
pub use world::{Api, AwsError, Function, Program, World};
