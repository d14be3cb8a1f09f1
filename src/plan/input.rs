//! What one decision rests on.

use std::collections::BTreeMap;

use super::step::{Recent, Refusal};
use crate::model::{Desired, Digest, InfraCommit, Millis, Observed, Particulars, RepositoryName, Target};

/// All that one decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    /// The commit of the infrastructure repository that declared it; `None` for a working tree.
    pub infra_commit: Option<&'a InfraCommit>,
    /// The last write of this process for this target.
    pub recent: Option<&'a Recent>,
    /// The last write of this process for this target, if AWS refused it.
    pub refusal: Option<&'a Refusal>,
    /// What this process knows of its failures, each by what it is known by.
    pub particulars: &'a BTreeMap<String, Particulars>,
    /// Why this target must wait for others (`rollout` limits, `after:`).
    pub turn: Option<&'a str>,
    /// How those stand that come after this one; only a task asks.
    pub followers: Followers,
    /// Who shares the environment tag of a repository.
    pub tag_peers: &'a BTreeMap<RepositoryName, Vec<TagPeer>>,
    /// In AWS's time.
    pub now: Millis,
}

/// Nothing is known.
static NO_PARTICULARS: BTreeMap<String, Particulars> = BTreeMap::new();
static NO_PEERS: BTreeMap<RepositoryName, Vec<TagPeer>> = BTreeMap::new();

impl<'a> Input<'a> {
    /// One reading alone, for what people are told: whoever decides knows more.
    pub fn of_reading(
        desired: &'a Desired,
        observed: &'a Observed,
        infra_commit: Option<&'a InfraCommit>,
        now: Millis,
    ) -> Self {
        Self {
            desired,
            observed,
            infra_commit,
            recent: None,
            refusal: None,
            particulars: &NO_PARTICULARS,
            turn: None,
            followers: Followers::default(),
            tag_peers: &NO_PEERS,
            now,
        }
    }
}

/// What those run that come after a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Followers {
    /// There are none, or some of them do not run what they declare, or nobody knows.
    #[default]
    Elsewhere,
    /// The declared commits of all of them run: what had to come before has come.
    RunDeclared,
}

/// Another application whose success decides about a tag too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPeer {
    pub target: Target,
    /// The digest that last succeeded there and runs; `None` where that is unknown.
    pub digest: Option<Digest>,
}
