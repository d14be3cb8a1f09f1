//! A sweep looks at every target, ten services a call, and makes at most one write for each that needs one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::execute::execute;
use super::gates::{self, Statuses};
use super::observe::{Look, Observer, Remembered};
use crate::model::{
    ClusterName, Declaration, Declared, DeploymentId, DeploymentStatus, Desired, InfraCommit, Millis, Mode,
    Observed, Reading, Region, RolloutState, Service, ServiceName, Status, Target, Waiting,
};
use crate::plan::{self, Input, Plan, Recent, Step};
use crate::ports::{Clock, CloudError, CodeDeploy, Ecr, Ecs, History, Sts};

/// `DescribeServices` takes ten names (Amazon ECS API reference).
const SERVICES_A_CALL: usize = 10;
/// How long a settled target rests.
const REST: Duration = Duration::from_secs(30);
/// How soon a target is looked at again while something goes on.
const SOON: Duration = Duration::from_secs(5);
/// How often it is asked whether an image has been built.
const BUILD: Duration = Duration::from_secs(15);
/// How long facts live, in milliseconds: while nothing is expected, and while a deployment goes on without a change.
const QUIET_FACTS: Millis = 600_000;
const MOVING_FACTS: Millis = 30_000;
/// The longest back-off after refusals.
const LONGEST: Duration = Duration::from_mins(5);

/// What one region is reached by.
#[derive(Clone)]
pub struct Ports {
    pub ecs: Arc<dyn Ecs>,
    pub ecr: Arc<dyn Ecr>,
    pub code_deploy: Arc<dyn CodeDeploy>,
    pub sts: Arc<dyn Sts>,
}

/// Opens the clients of a region; `None` is the region of the AWS settings.
pub trait Reach: Send + Sync {
    fn ports(&self, region: Option<&Region>) -> Ports;
}

/// The loop's memory. Nothing in it is needed to decide rightly, only to be patient and frugal.
pub struct Controller {
    reach: Box<dyn Reach>,
    history: Box<dyn History>,
    clock: Arc<dyn Clock>,
    regions: BTreeMap<Option<Region>, (Ports, Arc<Remembered>)>,
    recent: BTreeMap<Target, Recent>,
    refusals: BTreeMap<Target, u32>,
    statuses: Statuses,
    kept: BTreeMap<Target, Kept>,
    due: BTreeMap<Target, Millis>,
}

/// The last look at a target.
struct Kept {
    desired: Desired,
    observed: Observed,
    /// When its facts are read again, even if the service looks the same.
    until: Millis,
    awaits_image: bool,
}

/// What became of one target in one sweep.
#[derive(Clone, Debug)]
pub struct Swept {
    pub target: Target,
    /// `None` for a frozen target.
    pub plan: Option<Plan>,
    pub outcome: Outcome,
    pub requeue: Requeue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing was written; the plan says why.
    Nothing,
    Wrote(Step),
    Failed(Step, CloudError),
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requeue {
    Now,
    After(Duration),
}

/// Whether a sweep may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    Allowed,
    Withheld,
}

impl Controller {
    pub fn new(reach: Box<dyn Reach>, history: Box<dyn History>, clock: Arc<dyn Clock>) -> Self {
        Self {
            reach,
            history,
            clock,
            regions: BTreeMap::new(),
            recent: BTreeMap::new(),
            refusals: BTreeMap::new(),
            statuses: Statuses::new(),
            kept: BTreeMap::new(),
            due: BTreeMap::new(),
        }
    }

    /// Targets whose time has come, and those that are declared otherwise than when they were last looked at.
    pub fn due(&self, declaration: &Declaration) -> BTreeSet<Target> {
        let now = self.clock.now();
        let is_due = |declared: &&Declared| {
            let changed = match declared {
                Declared::Readable(desired) => {
                    self.kept.get(&desired.target).is_some_and(|kept| kept.desired != **desired)
                }
                Declared::Frozen(_) => false,
            };
            changed || self.due.get(declared.target()).is_none_or(|due| *due <= now)
        };
        declaration.applications.iter().filter(is_due).map(|declared| declared.target().clone()).collect()
    }

    /// How long nothing is due.
    pub fn rest(&self) -> Duration {
        let next = self.due.values().min().copied().unwrap_or_default();
        let wait = next.saturating_sub(self.clock.now()).max(0);
        Duration::from_millis(wait.unsigned_abs()).min(REST)
    }

    /// Forgets targets that are no longer declared.
    fn forget(&mut self, declaration: &Declaration) {
        let declared: BTreeSet<&Target> = declaration.applications.iter().map(Declared::target).collect();
        self.statuses.retain(|target, _| declared.contains(target));
        self.kept.retain(|target, _| declared.contains(target));
        self.due.retain(|target, _| declared.contains(target));
        self.recent.retain(|target, _| declared.contains(target));
        self.refusals.retain(|target, _| declared.contains(target));
    }

    /// Looks at every target that `wanted` names, in the order of the declaration.
    pub async fn sweep(
        &mut self,
        declaration: &Declaration,
        writes: Writes,
        wanted: impl Fn(&Target) -> bool,
    ) -> Vec<Swept> {
        self.forget(declaration);
        let readable: Vec<&Desired> = declaration.readable().collect();
        let chosen: Vec<&Desired> =
            readable.iter().copied().filter(|desired| wanted(&desired.target)).collect();
        let mut services = self.services(&chosen).await;
        let head = declaration.infra_commit.as_ref();
        let mut swept = Vec::new();
        for desired in &chosen {
            let service = services.remove(&desired.target);
            swept.push(self.pass(desired, &readable, head, service, writes).await);
        }
        let frozen = declaration.applications.iter().filter_map(|declared| match declared {
            Declared::Frozen(target) if wanted(target) => Some(target.clone()),
            _ => None,
        });
        let rest = Requeue::After(REST);
        swept.extend(frozen.map(|target| Swept {
            target,
            plan: None,
            outcome: Outcome::Nothing,
            requeue: rest,
        }));
        swept
    }

    /// The services of all targets, ten a call.
    async fn services(&mut self, desired: &[&Desired]) -> BTreeMap<Target, Reading<Service>> {
        let mut groups: BTreeMap<(Option<Region>, ClusterName), Vec<&Desired>> = BTreeMap::new();
        for one in desired {
            groups.entry((one.region.clone(), one.cluster.clone())).or_default().push(one);
        }
        let mut services = BTreeMap::new();
        for ((region, cluster), members) in groups {
            let (ports, _) = self.region(region.as_ref());
            for batch in members.chunks(SERVICES_A_CALL) {
                let names: Vec<ServiceName> = batch.iter().map(|one| one.service.clone()).collect();
                let found = ports.ecs.services(&cluster, &names).await;
                for one in batch {
                    let reading = match &found {
                        Ok(found) => found.get(&one.service).cloned().map_or(Reading::Absent, Reading::Known),
                        Err(CloudError::NotFound(_)) => Reading::Absent,
                        Err(error) => Reading::Unavailable(error.to_string()),
                    };
                    services.insert(one.target.clone(), reading);
                }
            }
        }
        services
    }

    fn region(&mut self, region: Option<&Region>) -> (Ports, Arc<Remembered>) {
        let reach = &self.reach;
        self.regions.entry(region.cloned()).or_insert_with(|| (reach.ports(region), Arc::default())).clone()
    }

    /// One pass over one target: a cheap look finds whether there is work, a fresh one comes before the write.
    async fn pass(
        &mut self,
        desired: &Desired,
        all: &[&Desired],
        head: Option<&InfraCommit>,
        service: Option<Reading<Service>>,
        writes: Writes,
    ) -> Swept {
        let mut look = Look { deep: false, fresh: false };
        let mut observed = self.look(desired, head, service).await;
        let mut plan = self.decide(desired, all, head, &observed);
        if plan.waiting == Some(Waiting::LookDeeper) {
            look.deep = true;
            observed = self.observe(desired, head, Some(observed.service), look).await;
            plan = self.decide(desired, all, head, &observed);
        }
        let mut outcome = Outcome::Nothing;
        if !plan.steps.is_empty() && writes == Writes::Allowed {
            look = Look { deep: observed.newest.is_some(), fresh: true };
            observed = self.observe(desired, head, None, look).await;
            plan = self.decide(desired, all, head, &observed);
            if let Some(step) = plan.steps.first().cloned() {
                outcome = self.write(desired, step).await;
            }
        }
        self.statuses.insert(desired.target.clone(), plan.status.clone());
        let requeue = self.requeue(&desired.target, &plan, &outcome);
        self.keep(desired, observed, &plan, &outcome);
        self.due.insert(desired.target.clone(), due_at(self.clock.now(), requeue));
        Swept { target: desired.target.clone(), plan: Some(plan), outcome, requeue }
    }

    /// The facts of an earlier look with the service as it is now, or everything anew.
    async fn look(
        &mut self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        service: Option<Reading<Service>>,
    ) -> Observed {
        let service = match service {
            Some(service) => service,
            None => self.services(&[desired]).await.remove(&desired.target).unwrap_or(Reading::Absent),
        };
        let kept = self.kept.remove(&desired.target).filter(|kept| kept.desired == *desired);
        let Some(kept) = kept else {
            return self.observe(desired, head, Some(service), Look { deep: false, fresh: false }).await;
        };
        if self.clock.now() >= kept.until || !is_unchanged(&kept.observed.service, &service) {
            let look =
                Look { deep: false, fresh: deployments(&kept.observed.service) != deployments(&service) };
            return self.observe(desired, head, Some(service), look).await;
        }
        let (ports, registry, remembered) = self.reach_of(desired);
        let observer = self.observer(&ports, &registry, &remembered);
        let mut observed = Observed { checked_at: self.clock.now(), service, ..kept.observed };
        observer.relate(desired, head, &mut observed);
        if kept.awaits_image {
            observer.observe_images(desired, &mut observed).await;
        }
        observed
    }

    /// Keeps the facts for as long as nothing is expected to change them.
    fn keep(&mut self, desired: &Desired, observed: Observed, plan: &Plan, outcome: &Outcome) {
        let life = if *outcome == Outcome::Nothing { life_of_facts(plan.waiting.as_ref()) } else { 0 };
        // Spread over the second half of the time, by the name, so that a fleet is not read anew all at once.
        let spread =
            desired.target.to_string().bytes().fold(0_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 1000);
        let until = observed.facts_checked_at + life / 2 + life / 2 * spread / 1000;
        let awaits_image = matches!(plan.waiting, Some(Waiting::ImageNotBuilt { .. }));
        let kept = Kept { desired: desired.clone(), observed, until, awaits_image };
        self.kept.insert(desired.target.clone(), kept);
    }

    async fn observe(
        &mut self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        service: Option<Reading<Service>>,
        look: Look,
    ) -> Observed {
        let (ports, registry, remembered) = self.reach_of(desired);
        let registered = self.recent.get(&desired.target).and_then(|recent| recent.registered.as_ref());
        self.observer(&ports, &registry, &remembered).observe(desired, head, service, registered, look).await
    }

    /// The ports of the target's region and of its registry's, and what was read there before.
    fn reach_of(&mut self, desired: &Desired) -> (Ports, Ports, Arc<Remembered>) {
        let (ports, remembered) = self.region(desired.region.as_ref());
        let registry = desired.registry.region.as_ref().or(desired.region.as_ref());
        let (registry, _) = self.region(registry);
        (ports, registry, remembered)
    }

    fn observer<'a>(
        &'a self,
        ports: &'a Ports,
        registry: &'a Ports,
        remembered: &'a Remembered,
    ) -> Observer<'a> {
        Observer {
            ecs: &*ports.ecs,
            ecr: &*registry.ecr,
            code_deploy: &*ports.code_deploy,
            sts: &*ports.sts,
            history: &*self.history,
            clock: &*self.clock,
            remembered,
        }
    }

    fn decide(
        &self,
        desired: &Desired,
        all: &[&Desired],
        head: Option<&InfraCommit>,
        observed: &Observed,
    ) -> Plan {
        let turn = gates::turn(desired, all, &self.statuses);
        let blockers = gates::tag_blockers(desired, all, &self.statuses);
        plan::plan(&Input {
            desired,
            observed,
            infra_commit: head,
            recent: self.recent.get(&desired.target),
            turn: turn.as_deref(),
            tag_blockers: &blockers,
            now: self.clock.now(),
        })
    }

    async fn write(&mut self, desired: &Desired, step: Step) -> Outcome {
        let (ports, registry, _) = self.reach_of(desired);
        let result = execute(&ports, &*registry.ecr, desired, &step).await;
        if matches!(result, Ok(_) | Err(CloudError::Ambiguous(_))) {
            let before = self.recent.get(&desired.target).filter(|before| before.step.repeats(&step));
            let recent = Recent {
                step: step.clone(),
                at: self.clock.now(),
                registered: result.as_ref().ok().cloned().flatten(),
                repeated: before.map_or(0, |before| before.repeated.saturating_add(1)),
            };
            self.recent.insert(desired.target.clone(), recent);
        }
        match result {
            Ok(_) => {
                self.refusals.remove(&desired.target);
                Outcome::Wrote(step)
            }
            Err(error) => {
                *self.refusals.entry(desired.target.clone()).or_default() += 1;
                Outcome::Failed(step, error)
            }
        }
    }

    fn requeue(&self, target: &Target, plan: &Plan, outcome: &Outcome) -> Requeue {
        match (outcome, &plan.waiting) {
            (Outcome::Wrote(_), _) => Requeue::Now,
            (Outcome::Failed(..), _) => {
                let refusals = self.refusals.get(target).copied().unwrap_or(1).min(8);
                Requeue::After(SOON.saturating_mul(1 << refusals.saturating_sub(1)).min(LONGEST))
            }
            (Outcome::Nothing, Some(Waiting::Settled | Waiting::Held { .. } | Waiting::Drifted) | None) => {
                Requeue::After(REST)
            }
            (Outcome::Nothing, Some(Waiting::ImageNotBuilt { .. })) => Requeue::After(BUILD),
            (Outcome::Nothing, Some(waiting)) if plan::status::is_stalled(waiting) => Requeue::After(REST),
            (Outcome::Nothing, Some(_)) => Requeue::After(SOON),
        }
    }

    /// Makes one write that a person asked for, such as `retry`.
    pub async fn write_one(
        &mut self,
        declaration: &Declaration,
        name: &str,
        step: Step,
    ) -> Result<(), CloudError> {
        let readable = declaration.applications.iter().find_map(|declared| match declared {
            Declared::Readable(desired) if desired.target.to_string() == name => Some(desired),
            _ => None,
        });
        let desired = readable.ok_or_else(|| CloudError::NotFound(name.to_owned()))?;
        match self.write(desired, step).await {
            Outcome::Failed(_, error) => Err(error),
            Outcome::Wrote(_) | Outcome::Nothing => Ok(()),
        }
    }

    /// The statuses of the last sweep.
    pub fn statuses(&self) -> &BTreeMap<Target, Status> {
        &self.statuses
    }
}

/// How long the facts behind a plan stay good while the service itself does not change, in milliseconds.
fn life_of_facts(waiting: Option<&Waiting>) -> Millis {
    match waiting {
        Some(
            Waiting::Settled
            | Waiting::Drifted
            | Waiting::Observing
            | Waiting::Suspended { .. }
            | Waiting::ImageNotBuilt { .. }
            | Waiting::UnsupportedController(_),
        ) => QUIET_FACTS,
        Some(Waiting::Deploying { .. } | Waiting::FinishingFirst) => MOVING_FACTS,
        _ => 0,
    }
}

/// Whether two readings of a service say the same but for the scheduler's messages.
fn is_unchanged(before: &Reading<Service>, now: &Reading<Service>) -> bool {
    match (before, now) {
        (Reading::Known(before), Reading::Known(now)) => {
            *before == Service { events: before.events.clone(), ..now.clone() }
        }
        _ => before == now,
    }
}

/// Which deployments there are, apart from how far they are.
fn deployments(service: &Reading<Service>) -> Vec<(&DeploymentId, DeploymentStatus, Option<RolloutState>)> {
    let all = service.known().into_iter().flat_map(|service| &service.deployments);
    all.map(|deployment| (&deployment.id, deployment.status, deployment.rollout)).collect()
}

fn due_at(now: Millis, requeue: Requeue) -> Millis {
    match requeue {
        Requeue::Now => now,
        Requeue::After(delay) => {
            now.saturating_add(Millis::try_from(delay.as_millis()).unwrap_or(Millis::MAX))
        }
    }
}

/// Whether nothing more will happen to this target by itself.
pub fn is_settled(swept: &Swept) -> bool {
    let Some(plan) = &swept.plan else { return true };
    swept.outcome == Outcome::Nothing
        && plan.waiting.as_ref().is_some_and(|waiting| {
            matches!(
                waiting,
                Waiting::Settled | Waiting::Drifted | Waiting::Observing | Waiting::Suspended { .. }
            ) || plan::status::is_stalled(waiting)
        })
}

/// The mode that `--observe` gives to every target.
pub fn observe_only(declaration: &mut Declaration) {
    for declared in &mut declaration.applications {
        if let Declared::Readable(desired) = declared {
            desired.mode = Mode::Observe;
        }
    }
}
