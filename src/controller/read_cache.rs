//! What was read from AWS once and rarely or never changes. Losing it costs calls, never correctness.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use crate::documents::shown;
use crate::model::{
    AccountId, ClusterName, Millis, Reading, Registry, Repository, RepositoryName, Revision, ScalableTarget,
    ServiceName, Tag, TagMatch, Target, TaskDefinitionArn, Unreached,
};
use crate::ports::{Clock, Sts, TaggedRevision};

/// How long the settings of a repository are kept, in milliseconds.
const REPOSITORY: Millis = 600_000;
const FRESH_REPOSITORY: Millis = 60_000;
/// Entries of one kind that are kept; beyond this many the cache starts afresh, at the cost of calls.
const MOST_CACHED: usize = 20_000;

/// How long it is good that a service has a scalable target or has none, in milliseconds, and how long that it could not be read.
const SCALABLE_TARGET: Millis = 600_000;
const UNREADABLE: Millis = 60_000;
/// How long it is good that an account was not reached, in milliseconds: less than anybody rests.
const UNREACHED: Millis = 1_500;

/// A service by its cluster and name.
type Named = (ClusterName, ServiceName);

/// Where the tag of a commit would be.
type CommitTag = (Registry, RepositoryName, Tag);

/// Whose the credentials are.
#[derive(Default)]
enum Account {
    #[default]
    Unasked,
    Known(AccountId),
    /// Until when nobody asks again.
    Unreached(Unreached, Millis),
}

/// A revision as it was read last.
#[derive(Clone)]
pub(super) struct Known {
    pub revision: Revision,
    /// When this process read it first.
    pub since: Millis,
    pub origin: Origin,
}

/// Who has read something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This process, from AWS.
    Aws,
    /// An earlier one, which left it in the archive: no write rests on it.
    Archive,
}

/// What was read of one account and region.
#[derive(Default)]
pub struct ReadCache {
    account: tokio::sync::Mutex<Account>,
    revisions: Mutex<HashMap<TaskDefinitionArn, Known>>,
    repositories: Mutex<HashMap<(Registry, RepositoryName), (Repository, Millis)>>,
    /// By which tag a commit was found whose commit tag is not there, and until when that is good.
    tag_matches: Mutex<HashMap<CommitTag, (TagMatch, Millis)>>,
    scalable_targets: Mutex<HashMap<Named, (Reading<ScalableTarget>, Millis)>>,
    /// Task definitions by application and the SHA-256 of the `AppSpec` that names them.
    app_specs: Mutex<HashMap<(String, String), TaskDefinitionArn>>,
    /// The lifecycle events that failed, by the deployment of CodeDeploy.
    failed_events: Mutex<HashMap<String, String>>,
    /// What the index of tags said of a target.
    tagged: Mutex<HashMap<Target, Vec<TaggedRevision>>>,
}

impl ReadCache {
    /// Whose credentials these are: asked once, whoever asks first. Where there is no answer, one question stands for all who
    /// ask at the same time.
    pub(super) async fn account(&self, sts: &dyn Sts, clock: &dyn Clock) -> Result<AccountId, Unreached> {
        let mut kept = self.account.lock().await;
        let is_good = |until: Millis| (0..=UNREACHED).contains(&(until - clock.now()));
        match &*kept {
            Account::Known(account) => return Ok(account.clone()),
            Account::Unreached(why, until) if is_good(*until) => return Err(why.clone()),
            Account::Unasked | Account::Unreached(..) => {}
        }
        let answer = sts.account().await;
        *kept = match &answer {
            Ok(account) => Account::Known(account.clone()),
            Err(why) => Account::Unreached(why.clone(), clock.now() + UNREACHED),
        };
        answer
    }

    pub(super) fn revision(&self, arn: &TaskDefinitionArn) -> Option<Known> {
        find(&self.revisions, arn)
    }

    pub(super) fn keep_revision(&self, revision: Revision, origin: Origin, now: Millis) {
        let since = self.revision(&revision.arn).map_or(now, |known| known.since);
        keep(&self.revisions, revision.arn.clone(), Known { revision, since, origin });
    }

    /// Its tags are others by now.
    pub(super) fn forget_revision(&self, arn: &TaskDefinitionArn) {
        if let Ok(mut revisions) = self.revisions.lock() {
            revisions.remove(arn);
        }
    }

    /// A reading that failed, without what AWS may repeat of any task definition that was read before: while it fails, it
    /// is not known which one is live.
    pub(super) fn hiding<T>(&self, reading: Reading<T>) -> Reading<T> {
        match (reading, self.revisions.lock()) {
            (Reading::Unavailable(why), Ok(revisions)) => {
                let inputs = revisions.values().map(|known| &known.revision.input);
                Reading::Unavailable(shown::without_hidden(&why, inputs, None))
            }
            (reading, _) => reading,
        }
    }

    /// Whose tags may move changes rarely: it is kept for a while, and before a write for less.
    pub(super) fn repository(
        &self,
        key: &(Registry, RepositoryName),
        fresh: bool,
        now: Millis,
    ) -> Option<Repository> {
        let (repository, read_at) = find(&self.repositories, key)?;
        let life = if fresh { FRESH_REPOSITORY } else { REPOSITORY };
        (now - read_at < life).then_some(repository)
    }

    pub(super) fn keep_repository(
        &self,
        key: (Registry, RepositoryName),
        repository: Repository,
        now: Millis,
    ) {
        keep(&self.repositories, key, (repository, now));
    }

    /// How the search for a commit tag ended that is not there.
    pub(super) fn tag_match(&self, key: &CommitTag, now: Millis) -> Option<TagMatch> {
        let (tag_match, until) = find(&self.tag_matches, key)?;
        (now < until).then_some(tag_match)
    }

    pub(super) fn keep_tag_match(&self, key: CommitTag, tag_match: TagMatch, until: Millis) {
        keep(&self.tag_matches, key, (tag_match, until));
    }

    /// Who else sets the count of a service, as it was last told.
    pub(super) fn scalable_target(&self, service: &Named, now: Millis) -> Option<Reading<ScalableTarget>> {
        let (target, read_at) = find(&self.scalable_targets, service)?;
        let life = if target.is_unavailable() { UNREADABLE } else { SCALABLE_TARGET };
        (now - read_at < life).then_some(target)
    }

    pub(super) fn keep_scalable_target(
        &self,
        service: Named,
        target: Reading<ScalableTarget>,
        now: Millis,
    ) -> Reading<ScalableTarget> {
        keep(&self.scalable_targets, service, (target.clone(), now));
        target
    }

    /// Whether the index of tags said something else of this target before, or was not asked.
    pub(super) fn is_news(&self, target: &Target, mut tagged: Vec<TaggedRevision>) -> bool {
        tagged.sort_by(|one, two| one.arn.cmp(&two.arn));
        if find(&self.tagged, target).as_ref() == Some(&tagged) {
            return false;
        }
        keep(&self.tagged, target.clone(), tagged);
        true
    }

    /// What an `AppSpec` deploys, by the application and the SHA-256 of its text.
    pub(super) fn target(&self, app_spec: &(String, String)) -> Option<TaskDefinitionArn> {
        find(&self.app_specs, app_spec)
    }

    pub(super) fn keep_target(&self, app_spec: (String, String), target: TaskDefinitionArn) {
        keep(&self.app_specs, app_spec, target);
    }

    /// Which lifecycle event of a deployment that is over has failed: it never changes.
    pub(super) fn failed_event(&self, deployment: &str) -> Option<String> {
        find(&self.failed_events, &deployment.to_owned())
    }

    pub(super) fn keep_failed_event(&self, deployment: &str, event: String) {
        keep(&self.failed_events, deployment.to_owned(), event);
    }
}

fn find<K: Eq + Hash, V: Clone>(entries: &Mutex<HashMap<K, V>>, key: &K) -> Option<V> {
    entries.lock().ok()?.get(key).cloned()
}

fn keep<K: Eq + Hash, V>(entries: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let Ok(mut entries) = entries.lock() else { return };
    if entries.len() >= MOST_CACHED {
        entries.clear();
    }
    entries.insert(key, value);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_reading_that_failed_repeats_nothing_of_what_was_read_before() {
        let input = serde_json::json!({"containerDefinitions": [{"name": "api", "user": "canary-live"}]});
        let arn = TaskDefinitionArn::new("arn:aws:ecs:eu-west-2:123456789012:task-definition/api:1");
        let cache = ReadCache::default();
        let revision = Revision { arn, active: true, input, tags: BTreeMap::new(), registered_by: None };
        cache.keep_revision(revision, Origin::Aws, 0);
        let hiding = |reading: Reading<u8>| cache.hiding(reading);
        let unavailable = |why: &str| Reading::Unavailable(why.to_owned());
        assert_eq!(hiding(unavailable("refused: canary-live")), unavailable("refused: (hidden)"));
        assert_eq!(
            (hiding(Reading::Known(1)), hiding(Reading::Absent)),
            (Reading::Known(1), Reading::Absent)
        );
    }
}
