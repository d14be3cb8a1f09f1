//! Leases: which of several replicas of trueup looks after an account and region.

use std::time::Duration;

use serde_json::Value;

use super::Replica;

/// A lease as its store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseRecord {
    /// `None`: it was given back.
    pub holder: Option<Replica>,
    /// Another text with each renewal, and with nothing else. It says nothing but that: the clocks of two machines are never
    /// compared.
    pub renewal: String,
    /// For how long a holder may be silent.
    pub duration: Duration,
    /// Who asked the holder for it, or has it kept for itself where there is no holder.
    pub asked_by: Option<Replica>,
    /// What the store has to know again in the record that is written over.
    pub stored: Value,
}

/// What is to be written of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseClaim {
    /// The replica holds it, from now on or still.
    Hold { by: Replica, duration: Duration },
    /// The replica would like to have it from its holder.
    Ask { by: Replica },
    /// Nobody holds it any more. Where it is kept for one replica, that one goes first.
    GiveBack { to: Option<Replica> },
}
