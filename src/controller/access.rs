//! What reaches an account and region, and the readings made through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::entry::LastLook;
use super::execute::{Answer, MOVE_TAG, execute};
use super::observe::{Look, Observer};
use super::pace;
use super::remembered::Remembered;
use crate::model::{Desired, InfraCommit, Millis, Observed, Reading, Region, Service, TaskDefinitionArn};
use crate::plan::Step;
use crate::ports::{Clock, CloudError, Ecr, History, Place, Ports, Reach};

pub(super) struct Access {
    place: Place,
    reach: Arc<dyn Reach>,
    pub history: Arc<dyn History>,
    pub clock: Arc<dyn Clock>,
    pub ports: Ports,
    /// What reaches other regions of the account, for their registries and logs.
    elsewhere: Mutex<BTreeMap<Region, Ports>>,
    remembered: Remembered,
}

/// A service as it was read, and when.
type ReadService = (Reading<Service>, Millis);

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
            remembered: Remembered::default(),
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
    pub async fn write(&self, desired: &Desired, step: &Step) -> Result<Answer, CloudError> {
        let result = execute(&self.ports, &*self.registry(desired).ecr, desired, step).await;
        if let Step::Stamp { revision, .. } = step {
            self.remembered.forget_revision(revision);
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
    ) -> Observed {
        let registry = self.registry(desired).ecr;
        let observer = self.observer(&*registry);
        if let Err(unreached) = observer.account(desired).await {
            return *unreached;
        }
        let asked_at = self.clock.now();
        if desired.service().is_none() {
            let rests = |last: &LastLook| {
                last.desired == *desired
                    && asked_at < last.until
                    && !(last.left_to_others || last.awaits_image)
            };
            let Some(last) = last.filter(rests) else {
                return observer.observe(desired, head, None, registered, Look::default()).await;
            };
            if last.awaits_word && self.has_news(desired).await {
                return observer.observe(desired, head, None, registered, Look::default()).await;
            }
            let mut observed = Observed { checked_at: asked_at, ..last.observed };
            observer.relate(desired, head, &mut observed);
            return observed;
        }
        let service: ReadService = (observer.service(desired).await, asked_at);
        let Some(last) = last.filter(|last| last.desired == *desired) else {
            let look = Look::default();
            return observer.observe(desired, head, Some(service), registered, look).await;
        };
        let now = self.clock.now();
        let is_old = now >= last.until || now < last.observed.facts_checked_at;
        if is_old || !pace::is_unchanged(&last.observed.service, &service.0) {
            let fresh =
                last.left_to_others || !pace::shows_same_deployments(&last.observed.service, &service.0);
            let images = (now < last.images_until).then_some(last.observed.images);
            let look = Look { fresh, balancing: last.awaits_balancing, images, ..Look::default() };
            return observer.observe(desired, head, Some(service), registered, look).await;
        }
        if last.awaits_word && self.has_news(desired).await {
            let look = Look { fresh: true, balancing: last.awaits_balancing, ..Look::default() };
            return observer.observe(desired, head, Some(service), registered, look).await;
        }
        if last.awaits_answer {
            let (_, deployments) = observer.deployments(desired, &service.0).await;
            if deployments != last.observed.service_deployments {
                let look = Look { fresh: true, balancing: last.awaits_balancing, ..Look::default() };
                return observer.observe(desired, head, Some(service), registered, look).await;
            }
        }
        let (service, checked_at) = service;
        let mut observed = Observed { checked_at, service, ..last.observed };
        observer.relate(desired, head, &mut observed);
        observed.scalable_target = observer.scalable_target(desired, false).await;
        observed.balancing =
            if last.awaits_balancing { observer.balancing(desired, &observed.service).await } else { None };
        if last.awaits_image {
            observer.observe_images(desired, &mut observed).await;
        }
        observed
    }

    /// Whether the tags of our revisions have changed since this was asked last, such as by a person's `retry`. One call answers
    /// for many targets; where it may not be asked, the revisions are read again.
    async fn has_news(&self, desired: &Desired) -> bool {
        let target = &desired.target;
        match self.ports.tagging.revisions_tagged(&target.environment, &target.application).await {
            Ok(listing) => self.remembered.is_news(target, listing.items),
            Err(_) => true,
        }
    }

    /// With the revisions of the families that take part; the service is taken from a reading that was made before.
    pub async fn deepen(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        observed: Observed,
        registered: Option<&TaskDefinitionArn>,
    ) -> Observed {
        let registry = self.registry(desired).ecr;
        let service = Some((observed.service, observed.checked_at));
        let look = Look { deep: true, balancing: true, images: Some(observed.images), ..Look::default() };
        self.observer(&*registry).observe(desired, head, service, registered, look).await
    }

    /// Everything of the past that is at hand, beside a service that was read before: for people.
    pub async fn survey(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        observed: &Observed,
    ) -> Observed {
        let registry = self.registry(desired).ecr;
        let service = Some((observed.service.clone(), observed.checked_at));
        let look = Look { deep: true, ..Look::default() };
        self.observer(&*registry).observe(desired, head, service, None, look).await
    }

    /// Everything anew, for a write by this operation that rests on it.
    pub async fn refresh(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        (operation, is_deep): (&'static str, bool),
        registered: Option<&TaskDefinitionArn>,
    ) -> Observed {
        let registry = self.registry(desired).ecr;
        let balancing = matches!(operation, "RegisterTaskDefinition" | "UpdateService");
        let look = Look { deep: is_deep, fresh: true, balancing, images: None };
        self.observer(&*registry).observe(desired, head, None, registered, look).await
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
            schedules: &*self.ports.schedules,
            history: &*self.history,
            clock: &*self.clock,
            remembered: &self.remembered,
        }
    }
}
