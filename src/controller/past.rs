//! The past of one target, read for people: what a decision needs not, and costs a few calls more.

use std::collections::BTreeMap;

use super::access::Access;
use crate::model::{Desired, InfraCommit, Observed, Past};
use crate::plan::{self, Followers, Input};
use crate::ports::{Listing, TaggedRevision};

impl Access {
    /// From a reading that was made before, and what the index of tags says of our revisions.
    pub async fn past(&self, desired: &Desired, head: Option<&InfraCommit>, observed: &Observed) -> Past {
        let observed = match desired.service() {
            Some(_) if observed.account.is_ok() && observed.newest.is_none() => {
                self.survey(desired, head, observed).await
            }
            _ => observed.clone(),
        };
        let target = &desired.target;
        let tagged = match observed.account {
            Ok(_) => self.ports.tagging.revisions_tagged(&target.environment, &target.application).await,
            Err(_) => Ok(Listing::default()),
        };
        let tags = |listing: Listing<TaggedRevision>| {
            listing.items.into_iter().map(|one| (one.arn, one.tags)).collect()
        };
        let stamped = tagged.map(tags).map_err(|error| error.to_string());
        let none = BTreeMap::new();
        plan::past(
            &Input {
                desired,
                observed: &observed,
                infra_commit: head,
                recent: None,
                refusal: None,
                particulars: &none,
                turn: None,
                followers: Followers::default(),
                tag_peers: &BTreeMap::new(),
                now: self.clock.now(),
            },
            stamped,
        )
    }
}
