//! Leases: several replicas divide the accounts and regions among themselves, one lease each, and who holds it writes there.
//!
//! Nothing that trueup does is safe because of a lease: two controllers at once are harmless without one. A lease saves the
//! work of the second one, its share of AWS's rates, and every alert that would come twice. [`tenure`] decides (pure), [`Leases`]
//! keeps them by a store, and [`Permit`] is what a loop goes by.

pub mod kubernetes;
#[cfg(test)]
mod kubernetes_tests;
mod permit;
mod replica;
#[cfg(test)]
mod replica_tests;
pub mod tenure;

pub use permit::Permit;
pub use replica::{Leases, Standing};
