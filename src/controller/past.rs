//! The past of one target, read for people: what a decision needs not, and costs a few calls more.

use super::access::Access;
use crate::model::{Desired, InfraCommit, Observed, Past};
use crate::plan::{self, Input};
use crate::ports::{Listing, TaggedRevision};

impl Access {
    /// From a reading that was made before, and what the index of tags says of our revisions.
    pub async fn past(&self, desired: &Desired, head: Option<&InfraCommit>, observed: &Observed) -> Past {
        let observed = self.in_depth(desired, head, observed).await;
        let target = &desired.target;
        let tagged = match observed.account {
            Ok(_) => self.ports.tagging.revisions_tagged(&target.environment, &target.application).await,
            Err(_) => Ok(Listing::default()),
        };
        let tags = |listing: Listing<TaggedRevision>| {
            listing.items.into_iter().map(|one| (one.arn, one.tags)).collect()
        };
        let stamped = tagged.map(tags).map_err(|error| error.to_string());
        plan::past(&Input::of_reading(desired, &observed, head, self.clock.now()), stamped)
    }
}
