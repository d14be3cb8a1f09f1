//! What a reading says of an application that is a task: all that is remembered of it, and the tasks of its attempts.

use std::collections::{BTreeMap, BTreeSet};

use super::revisions::Purpose;
use super::{NEWEST, Observer};
use crate::documents::memory;
use crate::model::{
    AccountId, Desired, InfraCommit, Memory, Millis, Observed, OneShot, OutcomeKind, Reading, Revision,
    RunNetwork, RunStamp, RunStanding, Service, Task, TaskDefinitionArn, Unreached,
};
use crate::plan::{declared_family, task};
use crate::ports::CloudError;

/// How long a failed attempt is asked about for its causes, in milliseconds: AWS keeps what stopped for about an hour.
const TELLS: Millis = 2 * 3_600_000;

impl Observer<'_> {
    /// Everything anew: there is nothing cheap to ask that would say whether something has changed.
    pub(super) async fn observe_task(
        &self,
        desired: &Desired,
        task: &OneShot,
        account: Result<AccountId, Unreached>,
        head: Option<&InfraCommit>,
        registered: Option<&TaskDefinitionArn>,
    ) -> Observed {
        let now = self.clock.now();
        let mut images = Box::pin(self.images(desired, None, &[], true)).await;
        Box::pin(self.tell_platforms(desired, &mut images)).await;
        let content = task::content(desired, &images);
        let family: BTreeSet<String> = declared_family(desired).map(str::to_owned).into_iter().collect();
        let recalled = self.recall_of_a_task(desired, content.as_ref(), &family).await;
        let mut arns = recalled.revisions;
        for family in &family {
            // The index of tags may not know the very newest ones yet.
            arns.extend(self.ecs.newest_revisions(family, NEWEST).await.unwrap_or_default());
        }
        arns.extend(registered.cloned());
        let is_ours = |kept: &Revision, _| memory::of(kept, desired).is_some();
        let revisions = self.revisions(desired, arns, Purpose::Write, is_ours).await;
        let tasks = self.tasks_of_runs(desired, &revisions, now).await;
        let mut observed = Observed {
            revisions,
            tasks,
            images,
            memory: Some(recalled.completeness),
            model_service: self.model_service(desired, task).await,
            ..Observed::without_service(account, now)
        };
        self.relate(desired, head, &mut observed);
        observed
    }

    async fn model_service(&self, desired: &Desired, task: &OneShot) -> Option<Reading<Service>> {
        let RunNetwork::Like(name) = &task.network else { return None };
        Some(self.service_named(&desired.cluster, name).await)
    }

    /// The tasks of attempts that are open, and of one that has failed a while ago.
    async fn tasks_of_runs(
        &self,
        desired: &Desired,
        revisions: &BTreeMap<TaskDefinitionArn, Reading<Revision>>,
        now: Millis,
    ) -> Reading<Vec<Task>> {
        let memories = revisions.values().filter_map(|reading| memory::of(reading.known()?, desired));
        let mut found = Vec::new();
        for memory in memories {
            let Some(run) = memory.run.as_ref().filter(|run| is_asked_about(&memory, run, now)) else {
                continue;
            };
            match self.tasks_of_run(desired, &memory, run).await {
                Ok(tasks) => found.extend(tasks),
                Err(error) => return Reading::Unavailable(error.to_string()),
            }
        }
        Reading::Known(found)
    }

    async fn tasks_of_run(
        &self,
        desired: &Desired,
        memory: &Memory,
        run: &RunStamp,
    ) -> Result<Vec<Task>, CloudError> {
        match &run.standing {
            RunStanding::Started(id) => Ok(self.ecs.run(&run.cluster, id).await?.into_iter().collect()),
            RunStanding::Asked | RunStanding::Refused => {
                let name = task::started_by(&desired.target, &memory.content, run.attempt);
                self.ecs.runs(&run.cluster, &name).await
            }
        }
    }
}

fn is_asked_about(memory: &Memory, run: &RunStamp, now: Millis) -> bool {
    match memory.outcome_of(run.attempt).map(|outcome| outcome.result) {
        None => true,
        Some(OutcomeKind::Failed) => now.saturating_sub(run.asked_at) < TELLS,
        Some(OutcomeKind::Succeeded | OutcomeKind::Superseded) => false,
    }
}
