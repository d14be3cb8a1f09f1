//! What a reading says of a task that rules and schedules start: those, what their targets run, all that is remembered of it,
//! and how its runs ended.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::revisions::Purpose;
use super::{Look, NEWEST, Observer};
use crate::documents::memory;
use crate::model::{
    AccountId, Desired, InfraCommit, Observed, Reading, Revision, Schedule, ScheduleName, ScheduledTask,
    TaskDefinitionArn, Unreached,
};
use crate::plan::declared_family;

/// Runs that are described, of those that go on and of those that ended within the hour: one a minute, and some to spare.
const MOST_RUNS: usize = 200;

type Schedules = BTreeMap<ScheduleName, Reading<Schedule>>;

impl Observer<'_> {
    /// Everything anew: there is nothing cheap to ask that would say whether something has changed.
    pub(super) async fn observe_schedules(
        &self,
        desired: &Desired,
        task: &ScheduledTask,
        account: Result<AccountId, Unreached>,
        head: Option<&InfraCommit>,
        (registered, look): (Option<&TaskDefinitionArn>, &Look),
    ) -> Observed {
        let now = self.clock.now();
        let mut schedules = self.schedules(task).await;
        let family = declared_family(desired).unwrap_or_default().to_owned();
        let recalled = self.recall(desired, &BTreeSet::from([family.clone()])).await;
        let mut arns = recalled.revisions;
        // The index of tags may not know the very newest ones yet.
        arns.extend(self.ecs.newest_revisions(&family, NEWEST).await.unwrap_or_default());
        arns.extend(registered.cloned());
        let live = revisions_of(&schedules, desired, &family);
        arns.extend(live.iter().filter(|arn| arn.revision().is_some()).cloned());
        let is_ours = |kept: &Revision, _| memory::of(kept, desired).is_some();
        let revisions = self.revisions(desired, arns, Purpose::Write, is_ours).await;
        let tasks = Reading::from(self.ecs.runs_of_family(&desired.cluster, &family, MOST_RUNS).await);
        let deployed: Vec<_> = live.iter().filter_map(|arn| revisions.get(arn)?.known()).collect();
        let mut images = Box::pin(self.images(desired, tasks.known(), &deployed, true)).await;
        Box::pin(self.tell_platforms(desired, &mut images)).await;
        if look.fresh {
            // A write sends everything back that was read of them, and AWS does not look whether that is still so.
            schedules = self.schedules(task).await;
        }
        let mut observed = Observed {
            revisions,
            tasks,
            images,
            memory: Some(recalled.completeness),
            schedules,
            ..Observed::without_service(account, now)
        };
        self.relate(desired, head, &mut observed);
        if super::is_first_contact(desired, &observed) {
            observed.earlier = Some(self.history.earlier(&desired.target, head));
        } else {
            observed.interim = self.interim_of(desired, head, live.first(), &observed);
        }
        observed
    }

    async fn schedules(&self, task: &ScheduledTask) -> Schedules {
        let read = task.schedules.iter().map(async |name| {
            let found = Reading::from(self.schedules.schedule(name).await);
            (name.clone(), self.cache.hiding(found))
        });
        join_all(read).await.into_iter().collect()
    }
}

/// What the targets run that are of the family.
fn revisions_of(schedules: &Schedules, desired: &Desired, family: &str) -> Vec<TaskDefinitionArn> {
    let targets = schedules.values().filter_map(Reading::known).flat_map(|schedule| &schedule.targets);
    let ours = targets.filter(|target| target.runs(&desired.cluster, family));
    ours.filter_map(|target| target.task_definition.clone()).collect()
}
