//! What reaches an account and region, and the readings made through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::entry::LastLook;
use super::execute::{MOVE_TAG, execute};
use super::moment::{self, LookResult, Moment};
use super::observe::{Images, Look, Observer, Past};
use super::pace;
use super::read_cache::ReadCache;
use crate::model::{
    Desired, InfraCommit, Millis, Observed, Reading, Region, Service, Task, TaskDefinitionArn,
};
use crate::plan::{Reply, Step};
use crate::ports::{Clock, CloudError, Ecr, History, Place, Ports, Reach};

pub(super) struct Access {
    place: Place,
    reach: Arc<dyn Reach>,
    pub history: Arc<dyn History>,
    pub clock: Arc<dyn Clock>,
    pub ports: Ports,
    /// What reaches other regions of the account, for their registries and logs.
    elsewhere: Mutex<BTreeMap<Region, Ports>>,
    cache: ReadCache,
    readings: Semaphore,
}

/// Whole readings that are made at the same time.
const MOST_READINGS: usize = 8;
/// How long the tasks of one look are good for the next one, in milliseconds: they say how what is deployed fares, and not who is to
/// deploy what.
const MOMENT: Millis = 5_000;
/// How old what the registry said may be for its tags alone to be asked again, in milliseconds.
const CONFIRMED: Millis = 60_000;

/// The deployments as they were read before.
fn past(before: &Observed) -> Past {
    match &before.service_deployments {
        Reading::Known(known) => Past::Known(known.clone(), before.lookback),
        Reading::Absent | Reading::Unavailable(_) => Past::Listed,
    }
}

impl Access {
    pub fn new(
        place: Place,
        reach: &Arc<dyn Reach>,
        history: &Arc<dyn History>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            ports: reach.ports(&place),
            place,
            reach: Arc::clone(reach),
            history: Arc::clone(history),
            clock: Arc::clone(clock),
            elsewhere: Mutex::default(),
            cache: ReadCache::default(),
            readings: Semaphore::new(MOST_READINGS),
        }
    }

    /// What reaches the registry that holds the images of a target.
    pub fn registry(&self, desired: &Desired) -> Ports {
        self.ports_in(desired.registry.region.as_ref())
    }

    /// What reaches a region of the account; `None`: this one.
    pub fn ports_in(&self, region: Option<&Region>) -> Ports {
        let Some(region) = region.filter(|region| Some(*region) != self.place.region.as_ref()) else {
            return self.ports.clone();
        };
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || self.reach.ports(&Place { region: Some(region.clone()), ..self.place.clone() });
        elsewhere.entry(region.clone()).or_insert_with(open).clone()
    }

    /// Returns when the rate of this operation has room for one more.
    pub async fn turn(&self, desired: &Desired, operation: &'static str) {
        let ports = if operation == MOVE_TAG { self.registry(desired) } else { self.ports.clone() };
        ports.pace.turn(operation).await;
    }

    /// Makes a write. What it was about is read again afterwards, also where its answer was lost.
    pub async fn write(&self, desired: &Desired, step: &Step) -> Result<Reply, CloudError> {
        let result = execute(&self.ports, &*self.registry(desired).ecr, desired, step).await;
        if let Step::Stamp { revision, .. } = step {
            self.cache.forget_revision(revision);
        }
        result
    }

    /// The facts of an earlier look with the service as it is now, or everything anew.
    pub async fn glance(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        last: Option<LastLook>,
        registered: Option<&TaskDefinitionArn>,
    ) -> LookResult {
        let registry = self.registry(desired).ecr;
        let observer = self.observer(&*registry);
        if let Err(unreached) = observer.account(desired).await {
            return LookResult::in_part(*unreached);
        }
        let last = last.filter(|last| last.desired == *desired);
        if let Some(look) = last.as_ref().and_then(|last| self.look_before_a_write(last)) {
            return self.read(desired, head, registered, look).await;
        }
        let (begun, asked_at) = (Moment::now(&*self.clock), self.clock.now());
        let service = match desired.service() {
            Some(_) => Some((observer.service(desired).await, asked_at)),
            None => None,
        };
        let first = || Look { past: Past::Newest, images: Images::AtRest, ..Look::default() };
        let look = match (&last, &service) {
            (None, _) => Some(first()),
            (Some(last), Some((service, _))) => self.look_again(&observer, desired, last, service).await,
            (Some(last), None) => self.look_again_at_a_task(desired, last).await,
        };
        let (Some(last), None) = (last, &look) else {
            let look = look.unwrap_or_default();
            let is_whole = look.is_whole_for(&desired.workload);
            let is_listed = service.is_none() || look.past == Past::Listed;
            let observed = observer.observe(desired, head, service, registered, look).await;
            return LookResult { observed, whole_since: is_whole.then_some(begun), is_listed };
        };
        let mut observed = Observed { checked_at: asked_at, ..last.observed };
        observer.relate(desired, head, &mut observed);
        let Some((service, _)) = service else { return LookResult::in_part(observed) };
        observed.service = service;
        observed.scalable_target = observer.scalable_target(desired, false).await;
        (observed.balancing, observed.alarms) = if last.awaits_surroundings {
            let group = observed.group.as_ref();
            let alarms = observer.alarms(desired, &observed.service, group);
            futures::join!(observer.balancing(desired, &observed.service), alarms)
        } else {
            Default::default()
        };
        if last.awaits_image {
            observer.observe_images(desired, &mut observed).await;
        }
        LookResult::in_part(observed)
    }

    /// The whole reading that a write is likely to rest on, where the time for it has come.
    fn look_before_a_write(&self, last: &LastLook) -> Option<Look> {
        let now = self.clock.now();
        let is_expected = last.awaits_write && now >= last.until;
        let is_kept = now < last.images_until;
        let kept = || last.observed.images.clone();
        let images = || if is_kept { Images::Confirmed(kept()) } else { Images::Anew };
        let deep = last.observed.newest.is_some();
        let past = if deep { Past::Listed } else { past(&last.observed) };
        let tasks = self.tasks_of_late(&last.observed);
        is_expected.then(|| Look { past, images: images(), tasks, ..Look::whole(deep) })
    }

    /// How the facts behind the last look are read again; `None`: they are good as they are.
    async fn look_again(
        &self,
        observer: &Observer<'_>,
        desired: &Desired,
        last: &LastLook,
        service: &Reading<Service>,
    ) -> Option<Look> {
        let now = self.clock.now();
        let before = &last.observed;
        let is_old = now >= last.until || now < before.facts_checked_at;
        let look = Look { balancing: last.awaits_surroundings, past: past(before), ..Look::default() };
        if is_old || !pace::is_unchanged(&before.service, service) {
            let fresh = last.left_to_others || !pace::shows_same_deployments(&before.service, service);
            let is_kept = now < last.images_until;
            let images = if is_kept { Images::Kept(before.images.clone()) } else { Images::Anew };
            return Some(Look { fresh, images, ..look });
        }
        let has_answer = async || {
            let deployments = observer.deployments(desired, service, past(before));
            last.awaits_answer && deployments.await.all != before.service_deployments
        };
        let has_news = last.awaits_word && self.has_news(desired).await || has_answer().await;
        has_news.then_some(Look { fresh: true, ..look })
    }

    /// The same for what is no service: there is nothing cheap to ask that would say whether something has changed.
    async fn look_again_at_a_task(&self, desired: &Desired, last: &LastLook) -> Option<Look> {
        let rests = self.clock.now() < last.until && !last.left_to_others && !last.awaits_image;
        let has_news = !rests || last.awaits_word && self.has_news(desired).await;
        has_news.then(Look::default)
    }

    /// Whether the tags of our revisions have changed since this was asked last, such as by a person's `retry`. One call answers
    /// for many targets; where it may not be asked, the revisions are read again.
    async fn has_news(&self, desired: &Desired) -> bool {
        let target = &desired.target;
        match self.ports.tagging.revisions_tagged(&target.environment, &target.application).await {
            Ok(listing) => self.cache.is_news(target, listing.items),
            Err(_) => true,
        }
    }

    /// With the revisions of the families that take part: a whole reading, or one that begins with what was read before.
    pub async fn deepen(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        observed: Observed,
        registered: Option<&TaskDefinitionArn>,
        is_whole: bool,
    ) -> LookResult {
        if is_whole {
            let (images, tasks) = (self.confirmed(&observed), self.tasks_of_late(&observed));
            let look = Look { images, tasks, ..Look::whole(true) };
            return self.read(desired, head, registered, look).await;
        }
        let registry = self.registry(desired).ecr;
        let service = Some((observed.service, observed.checked_at));
        let images = Images::Kept(observed.images);
        let look = Look { deep: true, balancing: true, images, ..Look::default() };
        LookResult::in_part(self.observer(&*registry).observe(desired, head, service, registered, look).await)
    }

    /// What was read before, with everything of the past that is at hand: for people.
    pub async fn in_depth(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        observed: &Observed,
    ) -> Observed {
        if desired.service().is_none() || observed.account.is_err() || observed.newest.is_some() {
            return observed.clone();
        }
        let registry = self.registry(desired).ecr;
        let service = Some((observed.service.clone(), observed.checked_at));
        let look = Look { deep: true, ..Look::default() };
        self.observer(&*registry).observe(desired, head, service, None, look).await
    }

    /// Everything anew, with all that is remembered: for people.
    pub async fn everything(&self, desired: &Desired, head: Option<&InfraCommit>) -> Observed {
        self.read(desired, head, None, Look::whole(true)).await.observed
    }

    /// Everything anew, for a write by this operation that rests on it.
    pub async fn refresh(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        operation: &'static str,
        before: &Observed,
        registered: Option<&TaskDefinitionArn>,
    ) -> LookResult {
        let balancing = matches!(operation, "RegisterTaskDefinition" | "UpdateService" | "CreateDeployment");
        let past = if moment::needs_the_list(operation) { Past::Listed } else { past(before) };
        let whole = Look::whole(before.newest.is_some());
        let look = Look { balancing, past, images: self.confirmed(before), ..whole };
        self.read(desired, head, registered, look).await
    }

    /// Images that were read in a look of late are confirmed.
    fn confirmed(&self, before: &Observed) -> Images {
        let age = self.clock.now() - before.facts_checked_at;
        let is_of_late = (0..CONFIRMED).contains(&age);
        if is_of_late { Images::Confirmed(before.images.clone()) } else { Images::Anew }
    }

    /// The tasks, where they were read a moment ago.
    fn tasks_of_late(&self, before: &Observed) -> Option<Reading<Vec<Task>>> {
        let age = self.clock.now() - before.facts_checked_at;
        let is_good = (0..=MOMENT).contains(&age) && !before.tasks.is_unavailable();
        is_good.then(|| before.tasks.clone())
    }

    /// A whole reading, one of a few at a time: what a write rests on is not to grow old while it is read.
    async fn read(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        registered: Option<&TaskDefinitionArn>,
        look: Look,
    ) -> LookResult {
        // Only a closed semaphore has no permit, and nobody closes this one.
        let _permit = self.readings.acquire().await.ok();
        let begun = Moment::now(&*self.clock);
        let registry = self.registry(desired).ecr;
        let is_listed = look.past == Past::Listed;
        let observed = self.observer(&*registry).observe(desired, head, None, registered, look).await;
        LookResult { observed, whole_since: Some(begun), is_listed }
    }

    fn observer<'a>(&'a self, registry: &'a dyn Ecr) -> Observer<'a> {
        Observer {
            ecs: &*self.ports.ecs,
            ecr: registry,
            code_deploy: &*self.ports.code_deploy,
            sts: &*self.ports.sts,
            tagging: &*self.ports.tagging,
            scaling: &*self.ports.scaling,
            balancers: &*self.ports.balancers,
            alarms: &*self.ports.alarms,
            schedules: &*self.ports.schedules,
            history: &*self.history,
            clock: &*self.clock,
            cache: &self.cache,
        }
    }
}
