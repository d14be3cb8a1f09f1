//! Which alerts about a deployment were taken by their receivers.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::{Commit, InfraCommit, Phase, TaskDefinitionArn};

/// What must arrive. All else is told as well as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    Succeeded,
    Failed,
    Held,
    Approval,
}

impl Matter {
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Held, Self::Approval];

    /// A word that is stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Approval => "approval",
        }
    }
}

/// What is on record of one matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// No receiver wants it.
    Unwanted,
    /// It was taken by all but these.
    Taken { about: About, owed: BTreeSet<String> },
}

/// What an alert is about, such as a deployment and its pauses, in so few characters that several fit into one tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct About(String);

impl About {
    pub fn of(whole: &str) -> Self {
        Self(hex::encode(Sha256::digest(whole)).chars().take(8).collect())
    }

    pub fn from_record(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who is still to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owed {
    Nobody,
    Only(BTreeSet<String>),
    Everybody,
}

/// The marks on a revision. They are kept where anybody receives alerts; the newest of each matter stands for those before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipts(pub BTreeMap<Matter, Mark>);

impl Receipts {
    /// Before anything has happened.
    pub fn new(wanted: &BTreeSet<Matter>) -> Self {
        let unwanted = Matter::ALL.into_iter().filter(|matter| !wanted.contains(matter));
        Self(unwanted.map(|matter| (matter, Mark::Unwanted)).collect())
    }

    pub fn owed(&self, matter: Matter, about: &About) -> Owed {
        match self.0.get(&matter) {
            Some(Mark::Unwanted) => Owed::Nobody,
            Some(Mark::Taken { about: marked, owed }) if marked == about => {
                if owed.is_empty() {
                    Owed::Nobody
                } else {
                    Owed::Only(owed.clone())
                }
            }
            Some(Mark::Taken { .. }) | None => Owed::Everybody,
        }
    }
}

/// A deployment whose alerts are to arrive, and what is on record of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRecord {
    /// What carries the record.
    pub revision: TaskDefinitionArn,
    pub commit: Commit,
    /// The infra commit that it was stamped with.
    pub infra: Option<InfraCommit>,
    pub deployment: String,
    /// How it ended, where that is on record.
    pub ended: Option<Phase>,
    pub receipts: Receipts,
}
