//! A sweep looks at every target, ten services a call, and makes at most one write for each that needs one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::execute::{execute, without_secrets};
use super::gates::{self, Ledger, Peers};
use super::observe::{Look, Observer};
use super::outcome::{News, Outcome, Requeue, Swept, Writes};
use super::pace;
use super::remembered::Remembered;
use crate::model::{
    ClusterName, Declaration, Declared, Desired, FirstContact, Frozen, InfraCommit, Millis, Mode, Observed,
    Reading, Region, Revision, Service, ServiceName, Status, Target, TaskDefinitionArn, Waiting,
};
use crate::plan::count::Count;
use crate::plan::{self, Input, Plan, Recent, Refusal, Step};
use crate::ports::{Clock, CloudError, History, Ports, Reach};

/// `DescribeServices` takes ten names (Amazon ECS API reference).
const SERVICES_A_CALL: usize = 10;

/// The loop's memory. All of it is found out again by another process; here it makes for patience and frugality.
pub struct Controller {
    reach: Box<dyn Reach>,
    history: Box<dyn History>,
    clock: Arc<dyn Clock>,
    regions: BTreeMap<Option<Region>, (Ports, Arc<Remembered>)>,
    recent: BTreeMap<Target, Recent>,
    /// Passes in a row that came to nothing.
    setbacks: BTreeMap<Target, u32>,
    /// Writes in a row that met the rate of the account.
    throttled: BTreeMap<Target, u32>,
    refusals: BTreeMap<Target, Refusal>,
    ledger: Ledger,
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
    /// Something was to be written and this process did not: by the next look another one may have.
    left_to_others: bool,
}

/// What holds for everybody in one sweep.
struct Round<'a> {
    peers: Peers<'a>,
    head: Option<&'a InfraCommit>,
    writes: Writes,
}

/// A service as it was read, and when.
type ReadService = (Reading<Service>, Millis);

/// The revisions that were read of one target.
type Revisions = BTreeMap<TaskDefinitionArn, Reading<Revision>>;

impl Controller {
    pub fn new(reach: Box<dyn Reach>, history: Box<dyn History>, clock: Arc<dyn Clock>) -> Self {
        Self {
            reach,
            history,
            clock,
            regions: BTreeMap::new(),
            recent: BTreeMap::new(),
            setbacks: BTreeMap::new(),
            throttled: BTreeMap::new(),
            refusals: BTreeMap::new(),
            ledger: Ledger::default(),
            kept: BTreeMap::new(),
            due: BTreeMap::new(),
        }
    }

    /// What all times are counted by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Targets whose time has come, and those that are declared otherwise than when they were last looked at.
    pub fn due(&self, declaration: &Declaration) -> BTreeSet<Target> {
        let is_due = |declared: &&Declared| {
            let kept = self.kept.get(declared.target());
            let changed = kept.is_some_and(|kept| declared.observable() != Some(&kept.desired));
            changed || self.is_due(declared.target())
        };
        declaration.applications.iter().filter(is_due).map(|declared| declared.target().clone()).collect()
    }

    fn is_due(&self, target: &Target) -> bool {
        self.due.get(target).is_none_or(|due| pace::is_due(*due, self.clock.now()))
    }

    /// How long nothing is due.
    pub fn rest(&self) -> Duration {
        let Some(next) = self.due.values().min() else { return pace::REST };
        let wait = next.saturating_sub(self.clock.now()).max(0);
        Duration::from_millis(wait.unsigned_abs()).min(pace::REST)
    }

    /// Forgets targets that are no longer declared.
    fn forget(&mut self, declaration: &Declaration) {
        let declared: BTreeSet<&Target> = declaration.applications.iter().map(Declared::target).collect();
        let observable: BTreeSet<&Target> = declaration.observable().map(|desired| &desired.target).collect();
        self.ledger.retain(|target| declared.contains(target));
        self.kept.retain(|target, _| observable.contains(target));
        self.due.retain(|target, _| declared.contains(target));
        self.recent.retain(|target, _| declared.contains(target));
        self.setbacks.retain(|target, _| declared.contains(target));
        self.throttled.retain(|target, _| declared.contains(target));
        self.refusals.retain(|target, _| declared.contains(target));
    }

    /// A sweep that nobody listens to.
    pub async fn sweep(
        &mut self,
        declaration: &Declaration,
        writes: Writes,
        wanted: impl Fn(&Target) -> bool,
    ) -> Vec<Swept> {
        self.sweep_and_tell(declaration, writes, wanted, |_| ()).await
    }

    /// Looks at every target that `wanted` names, in the order of the declaration, and then makes the writes: what one
    /// may do depends on where the others stand.
    pub async fn sweep_and_tell(
        &mut self,
        declaration: &Declaration,
        writes: Writes,
        wanted: impl Fn(&Target) -> bool,
        mut tell: impl FnMut(News<'_>),
    ) -> Vec<Swept> {
        self.forget(declaration);
        let chosen: Vec<&Desired> =
            declaration.observable().filter(|desired| wanted(&desired.target)).collect();
        let round = Round { peers: Peers::of(declaration), head: declaration.infra_commit.as_ref(), writes };
        let others = self.others(&chosen, &round.peers);
        let services: Vec<&Desired> = chosen.iter().chain(&others).copied().collect();
        self.scalable_targets(&services).await;
        let mut services = self.services(&services).await;
        for desired in others {
            let service = services.remove(&desired.target);
            let (observed, plan) = self.look(desired, &round, service).await;
            self.finish(desired, observed, plan, Outcome::Nothing);
            tell(News::Looked);
        }
        let mut looks = Vec::new();
        for desired in &chosen {
            let service = services.remove(&desired.target);
            looks.push(self.look(desired, &round, service).await.0);
            tell(News::Looked);
        }
        let mut swept = Vec::new();
        for (desired, observed) in chosen.into_iter().zip(looks) {
            let one = self.act(desired, &round, observed).await;
            tell(News::Swept(&one));
            swept.push(one);
        }
        let unknown = declaration.applications.iter().filter_map(|declared| match declared {
            Declared::Frozen(Frozen { target, known: None }) if wanted(target) => Some(target.clone()),
            _ => None,
        });
        for target in unknown {
            let plan = Plan::unobserved(&target, self.clock.now());
            self.ledger.looked(&plan.status);
            let requeue = Requeue::After(pace::REST);
            self.due.insert(target.clone(), pace::due_at(self.clock.now(), requeue));
            let one = Swept { target, plan, outcome: Outcome::Nothing, requeue };
            tell(News::Swept(&one));
            swept.push(one);
        }
        swept
    }

    /// Those that nobody asked for, on whom the chosen ones depend, and whose time has come.
    fn others<'a>(&self, chosen: &[&'a Desired], peers: &Peers<'a>) -> Vec<&'a Desired> {
        let mut seen: BTreeSet<&Target> = chosen.iter().map(|desired| &desired.target).collect();
        let relevant = chosen.iter().flat_map(|desired| peers.relevant(desired));
        relevant.filter(|peer| seen.insert(&peer.target) && self.is_due(&peer.target)).collect()
    }

    /// The services of all targets, ten a call.
    async fn services(&mut self, desired: &[&Desired]) -> BTreeMap<Target, ReadService> {
        let mut groups: BTreeMap<(Option<Region>, ClusterName), Vec<&Desired>> = BTreeMap::new();
        for one in desired {
            groups.entry((one.region.clone(), one.cluster.clone())).or_default().push(one);
        }
        let mut services = BTreeMap::new();
        for ((region, cluster), members) in groups {
            let (ports, remembered) = self.region(region.as_ref());
            for batch in members.chunks(SERVICES_A_CALL) {
                let names: Vec<ServiceName> = batch.iter().map(|one| one.service.clone()).collect();
                let asked_at = self.clock.now();
                let found = Reading::from(ports.ecs.services(&cluster, &names).await);
                let found = remembered.hiding(found);
                for one in batch {
                    let reading = match &found {
                        Reading::Known(found) => {
                            found.get(&one.service).cloned().map_or(Reading::Absent, Reading::Known)
                        }
                        Reading::Absent => Reading::Absent,
                        Reading::Unavailable(why) => Reading::Unavailable(why.clone()),
                    };
                    services.insert(one.target.clone(), (reading, asked_at));
                }
            }
        }
        services
    }

    /// Who else sets the counts that are declared, where it is not known from before: one call a region. Each look takes it
    /// from what is remembered.
    async fn scalable_targets(&mut self, desired: &[&Desired]) {
        let now = self.clock.now();
        let mut unknown: BTreeMap<Option<Region>, BTreeSet<(ClusterName, ServiceName)>> = BTreeMap::new();
        for one in desired.iter().filter(|one| Count::of(one).is_some()) {
            let service = (one.cluster.clone(), one.service.clone());
            let (_, remembered) = self.region(one.region.as_ref());
            if remembered.scalable_target(&service, now).is_none() {
                unknown.entry(one.region.clone()).or_default().insert(service);
            }
        }
        for (region, services) in unknown {
            let (ports, remembered) = self.region(region.as_ref());
            let services: Vec<_> = services.into_iter().collect();
            let found = ports.scaling.scalable_targets(&services).await;
            for service in services {
                remembered.keep_scalable_target(service, &found, now);
            }
        }
    }

    fn region(&mut self, region: Option<&Region>) -> (Ports, Arc<Remembered>) {
        let reach = &self.reach;
        self.regions.entry(region.cloned()).or_insert_with(|| (reach.ports(region), Arc::default())).clone()
    }

    /// A cheap look: it finds whether there is work, and where this target stands.
    async fn look(
        &mut self,
        desired: &Desired,
        round: &Round<'_>,
        service: Option<ReadService>,
    ) -> (Observed, Plan) {
        let observed = self.glance(desired, round.head, service).await;
        let (observed, plan) = self.decide_deep(desired, round, observed).await;
        self.ledger.looked(&plan.status);
        (observed, plan)
    }

    /// The decision now that everybody was looked at. A fresh look at this one comes before its write.
    async fn act(&mut self, desired: &Desired, round: &Round<'_>, observed: Observed) -> Swept {
        let (mut observed, mut plan) = self.decide_deep(desired, round, observed).await;
        let mut outcome = Outcome::Nothing;
        if !plan.steps.is_empty() && round.writes == Writes::Allowed {
            let look = Look { deep: observed.newest.is_some(), fresh: true };
            observed = self.observe(desired, round.head, None, look).await;
            plan = self.decide(desired, round, &observed);
            if let Some(step) = plan.steps.first().cloned() {
                outcome = self.write(desired, step, &observed.revisions).await;
            }
            if let Outcome::Failed(step, error) = &outcome {
                self.refused(&desired.target, step, error);
                plan = self.decide(desired, round, &observed);
            }
        }
        self.finish(desired, observed, plan, outcome)
    }

    /// Takes note of what AWS refused to do.
    fn refused(&mut self, target: &Target, step: &Step, error: &CloudError) {
        let before = self.refusals.get(target);
        let setbacks = self.setbacks.get(target).copied().unwrap_or_default();
        let refusal = pace::refusal(before, step, error, setbacks.saturating_add(1), self.clock.now());
        self.refusals.extend(refusal.map(|refusal| (target.clone(), refusal)));
    }

    /// Keeps what was found out, and says when to look again.
    fn finish(&mut self, desired: &Desired, observed: Observed, plan: Plan, outcome: Outcome) -> Swept {
        let target = &desired.target;
        self.ledger.looked(&plan.status);
        if let Outcome::Wrote(Step::Deploy { .. }) = &outcome {
            self.ledger.started(target);
        }
        if !matches!(outcome, Outcome::Throttled { .. }) {
            self.throttled.remove(target);
        }
        if pace::is_setback(&plan, &outcome) {
            *self.setbacks.entry(target.clone()).or_default() += 1;
        } else if !matches!(plan.waiting, Some(Waiting::Refused { .. })) {
            self.setbacks.remove(target);
            self.refusals.remove(target);
        }
        let setbacks = self.setbacks.get(target).copied().unwrap_or_default();
        let requeue = pace::requeue(target, &plan, &outcome, setbacks);
        self.due.insert(target.clone(), pace::due_at(self.clock.now(), requeue));
        let until = pace::facts_are_good_until(&plan, &outcome);
        let awaits_image = matches!(plan.waiting, Some(Waiting::ImageNotBuilt { .. }));
        let left_to_others = !plan.steps.is_empty() && outcome == Outcome::Nothing;
        let kept = Kept { desired: desired.clone(), observed, until, awaits_image, left_to_others };
        self.kept.insert(target.clone(), kept);
        Swept { target: target.clone(), plan, outcome, requeue }
    }

    /// The facts of an earlier look with the service as it is now, or everything anew.
    async fn glance(
        &mut self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        service: Option<ReadService>,
    ) -> Observed {
        let service = match service {
            Some(service) => service,
            None => {
                let now = self.clock.now();
                self.services(&[desired]).await.remove(&desired.target).unwrap_or((Reading::Absent, now))
            }
        };
        let kept = self.kept.remove(&desired.target).filter(|kept| kept.desired == *desired);
        let Some(kept) = kept else {
            return self.observe(desired, head, Some(service), Look { deep: false, fresh: false }).await;
        };
        let now = self.clock.now();
        let is_old = now >= kept.until || now < kept.observed.facts_checked_at;
        if is_old || !pace::is_unchanged(&kept.observed.service, &service.0) {
            let fresh =
                kept.left_to_others || !pace::shows_same_deployments(&kept.observed.service, &service.0);
            return self.observe(desired, head, Some(service), Look { deep: false, fresh }).await;
        }
        let (ports, registry, remembered) = self.reach_of(desired);
        let observer = self.observer(&ports, &registry, &remembered);
        let (service, checked_at) = service;
        let mut observed = Observed { checked_at, service, ..kept.observed };
        observer.relate(desired, head, &mut observed);
        observed.scalable_target = observer.scalable_target(desired, false).await;
        if kept.awaits_image {
            observer.observe_images(desired, &mut observed).await;
        }
        observed
    }

    async fn observe(
        &mut self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        service: Option<ReadService>,
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
            tagging: &*ports.tagging,
            scaling: &*ports.scaling,
            history: &*self.history,
            clock: &*self.clock,
            remembered,
        }
    }

    /// The decision, with the revisions of the family where it asks for them.
    async fn decide_deep(
        &mut self,
        desired: &Desired,
        round: &Round<'_>,
        observed: Observed,
    ) -> (Observed, Plan) {
        let plan = self.decide(desired, round, &observed);
        if plan.waiting != Some(Waiting::LookDeeper) {
            return (observed, plan);
        }
        let service = Some((observed.service, observed.checked_at));
        let observed = self.observe(desired, round.head, service, Look { deep: true, fresh: false }).await;
        let plan = self.decide(desired, round, &observed);
        (observed, plan)
    }

    fn decide(&self, desired: &Desired, round: &Round<'_>, observed: &Observed) -> Plan {
        let turn = gates::turn(desired, &round.peers, &self.ledger);
        let peers = gates::tag_peers(desired, &round.peers, &self.ledger);
        plan::plan(&Input {
            desired,
            observed,
            infra_commit: round.head,
            recent: self.recent.get(&desired.target),
            refusal: self.refusals.get(&desired.target),
            turn: turn.as_deref(),
            tag_peers: &peers,
            now: self.clock.now(),
        })
    }

    /// `known`: what was read of task definitions, which AWS may repeat in what it says.
    async fn write(&mut self, desired: &Desired, step: Step, known: &Revisions) -> Outcome {
        let (ports, registry, _) = self.reach_of(desired);
        let result = execute(&ports, &*registry.ecr, desired, &step).await;
        let result = result.map_err(|error| without_secrets(error, desired, &step, known));
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
            Ok(_) => Outcome::Wrote(step),
            Err(CloudError::Throttled(why)) => {
                let attempt = self.throttled.entry(desired.target.clone()).or_default();
                *attempt = attempt.saturating_add(1);
                Outcome::Throttled { step, why, attempt: *attempt }
            }
            Err(error) => Outcome::Failed(step, error),
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
        let kept = self.kept.get(&desired.target);
        let known = kept.map(|kept| kept.observed.revisions.clone()).unwrap_or_default();
        match self.write(desired, step, &known).await {
            Outcome::Failed(_, error) => Err(error),
            Outcome::Throttled { why, .. } => Err(CloudError::Throttled(why)),
            Outcome::Wrote(_) | Outcome::Nothing => Ok(()),
        }
    }

    /// Where every target stands that was looked at.
    pub fn statuses(&self) -> &BTreeMap<Target, Status> {
        self.ledger.statuses()
    }
}

/// What `--adopt` says of every target that a command names: what is declared may be deployed where trueup never did.
pub fn adopt(declaration: &mut Declaration) {
    for declared in &mut declaration.applications {
        if let Declared::Readable(desired) = declared {
            desired.first_contact = FirstContact::Adopt;
        }
    }
}

/// The mode that `--observe` gives to every target.
pub fn observe_only(declaration: &mut Declaration) {
    for declared in &mut declaration.applications {
        if let Declared::Readable(desired) = declared {
            desired.mode = Mode::Observe;
        }
    }
}
