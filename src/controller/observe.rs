//! One reading of AWS for one target. A read that fails is `Unavailable`, never absence.

mod deployments;
mod revisions;
mod runs;
mod schedules;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, join_all, join3, try_join};

use deployments::Deployments;
pub(super) use deployments::Past;
use revisions::Purpose;

use super::of_interest::{best_first, deployed};
use super::read_cache::ReadCache;
use crate::documents::memory;
use crate::model::{
    AccountId, AlarmState, Answers, Balancing, ClusterName, DeclaredCommits, Deployment, DeploymentStatus,
    Desired, Group, InfraCommit, Millis, Observed, ObservedImage, OutcomeKind, Phase, Reading, Revision,
    RolloutState, ScalableTarget, Service, ServiceDeployment, ServiceName, Task, TaskDefinitionArn, Workload,
};
use crate::plan::count::Count;
use crate::plan::{carriers, declared_family, phase, steady};
use crate::ports::{
    Alarms, Balancers, Clock, CloudError, CodeDeploy, Ecr, Ecs, History, Scaling, Schedules, Sts, Tagging,
    Tasks,
};

/// Revisions of the family that are searched for content and stamps.
const NEWEST: usize = 20;
/// Of those, the ones whose revisions are read even where nothing changes.
const NEWEST_DEPLOYMENTS: usize = 3;
/// Stopped tasks that are described to find out why: as many as of those that run, since a deployment stops them all.
const STOPPED_TASKS: usize = 500;

/// Rules, and target groups, that are read of one service: it may have five load balancers, and another five be declared.
const MOST_BALANCING: usize = 20;
/// Alarms that are read of one service: a deployment group has ten at most, and of a service no number is published.
const MOST_ALARMS: usize = 50;

/// How much one reading asks of AWS.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Also the newest revisions of the family: to find what was registered and stamped before.
    pub deep: bool,
    /// Tags and status of the revisions at hand are read again: before a write, and when the deployments have changed.
    pub fresh: bool,
    /// Also the rules and target groups between which ECS shifts traffic, and the alarms that stop a deployment: before something is
    /// deployed.
    pub balancing: bool,
    pub past: Past,
    pub images: Images,
    /// The tasks as they were read a moment ago.
    pub tasks: Option<Reading<Vec<Task>>>,
}

impl Look {
    /// All that a write may rest on.
    pub fn whole(deep: bool) -> Self {
        Self { deep, fresh: true, balancing: true, ..Self::default() }
    }

    /// Whether it asks for all that a write may rest on. Of a task everything is read each time.
    pub fn is_whole_for(&self, workload: &Workload) -> bool {
        let is_whole = self.fresh && self.balancing && !matches!(self.images, Images::Kept(_));
        matches!(workload, Workload::Task(_)) || is_whole
    }
}

/// How the registry is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Images {
    #[default]
    Anew,
    /// The same, by a cheaper call where it shows that nothing goes on: both tags are on one image.
    AtRest,
    /// Not at all: what it said a moment ago is good while nothing has changed but how far a deployment is.
    Kept(Vec<ObservedImage>),
    /// Whether the tags stand for what they stood for a moment ago.
    Confirmed(Vec<ObservedImage>),
}

/// Reads AWS in one region.
pub struct Observer<'a> {
    pub ecs: &'a dyn Ecs,
    /// The registry's region may be another.
    pub ecr: &'a dyn Ecr,
    pub code_deploy: &'a dyn CodeDeploy,
    pub sts: &'a dyn Sts,
    pub tagging: &'a dyn Tagging,
    pub scaling: &'a dyn Scaling,
    pub balancers: &'a dyn Balancers,
    pub alarms: &'a dyn Alarms,
    pub schedules: &'a dyn Schedules,
    pub history: &'a dyn History,
    pub clock: &'a dyn Clock,
    pub cache: &'a ReadCache,
}

impl Observer<'_> {
    /// Reads what a decision about `desired` rests on. `service` may come, with its time, from a sweep that read ten at once;
    /// `registered` is a revision that may not be in the list of its family yet.
    pub async fn observe(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        service: Option<(Reading<Service>, Millis)>,
        registered: Option<&TaskDefinitionArn>,
        look: Look,
    ) -> Observed {
        let facts_checked_at = self.clock.now();
        let account = match self.account(desired).await {
            Ok(account) => Ok(account),
            Err(unreached) => return *unreached,
        };
        match &desired.workload {
            Workload::Task(task) => return self.observe_task(desired, task, account, head, registered).await,
            Workload::ScheduledTask(task) => {
                return self.observe_schedules(desired, task, account, head, (registered, &look)).await;
            }
            Workload::Service(_) => {}
        }
        let (service, checked_at) = match service {
            Some(service) => service,
            None => (self.service(desired).await, facts_checked_at),
        };
        let is_listed = look.past == Past::Listed;
        let deployments = self.deployments(desired, &service, look.past);
        let tasks = async {
            match look.tasks {
                Some(tasks) => Listed::All(tasks),
                None => self.tasks(desired, &service).await,
            }
        };
        // Repositories are asked for together with those of others, so before anything that takes a call of its own.
        let repositories = self.repositories(desired, &look.images, look.fresh);
        let (deployments, tasks, ()) = join3(deployments, tasks, repositories).await;
        let Deployments { group, all: service_deployments, lookback } = deployments;
        let (balancing, alarms) = if look.balancing {
            join(self.balancing(desired, &service), self.alarms(desired, &service, group.as_ref())).await
        } else {
            Default::default()
        };
        let tasks = self.with_stopped(desired, &service, tasks, &service_deployments, facts_checked_at).await;
        let families = families(desired, &service, &service_deployments);
        let (newest, recalled) = if look.deep {
            let (recalled, newest) =
                join(self.recall(desired, &families), self.newest(desired, &service, &families)).await;
            (Some(newest), Some(recalled))
        } else {
            (None, None)
        };
        let mut at_hand = at_hand(&service, &service_deployments);
        at_hand.extend(registered.cloned());
        let listed = newest.iter().flat_map(|newest| &newest.listed).cloned();
        let recalled_revisions = recalled.iter().flat_map(|recalled| &recalled.revisions).cloned();
        // What ran before says at first contact whether somebody went away from what is declared.
        let ran = service_deployments.known().into_iter().flatten().filter(|_| look.deep);
        let historical = ran.filter_map(|deployment| deployment.target.clone());
        let others = listed.chain(recalled_revisions).chain(historical);
        let others: BTreeSet<TaskDefinitionArn> = others.filter(|arn| !at_hand.contains(arn)).collect();
        // Those of others have a part in what is registered and deployed alone.
        let may_change =
            |kept: &Revision, is_young| is_listed || is_young || memory::of(kept, desired).is_some();
        let purpose = if look.fresh { Purpose::Write } else { Purpose::Look };
        let mut revisions = self.revisions(desired, at_hand, purpose, may_change).await;
        // Of the others, those that a write may be about.
        let others = self.revisions(desired, others, purpose, |kept, _| is_of_commit(desired, kept)).await;
        revisions.extend(others);
        let sources = sources_of_failed(desired, &revisions);
        revisions.extend(self.revisions(desired, sources, purpose, |_, _| true).await);
        let deployed = deployed(desired, &service, &service_deployments, &revisions);
        // On the heap: it is the largest part of a look.
        let mut images =
            Box::pin(self.images_as_asked(desired, look.images, tasks.known(), &deployed, look.fresh)).await;
        if look.deep || look.fresh {
            Box::pin(self.tell_platforms(desired, &mut images)).await;
        }
        let images = if is_failing(&service) {
            let ran = service_deployments.known().map(Vec::as_slice).unwrap_or_default();
            self.pinned_images(desired, images, &best_first(desired, &revisions, ran)).await
        } else {
            images
        };
        let mut observed = Observed {
            checked_at,
            facts_checked_at,
            account,
            service,
            revisions,
            newest: newest.map(|newest| newest.of_base),
            group,
            balancing,
            alarms,
            service_deployments,
            lookback,
            tasks,
            images,
            ancestry: BTreeMap::new(),
            memory: recalled.map(|recalled| recalled.completeness),
            earlier: None,
            interim: Vec::new(),
            scalable_target: self.scalable_target(desired, look.fresh).await,
            model_service: None,
            schedules: BTreeMap::new(),
            answers: Answers::default(),
        };
        self.relate(desired, head, &mut observed);
        if look.deep && is_first_contact(desired, &observed) {
            observed.earlier = Some(self.history.earlier(&desired.target, head));
        } else if look.deep {
            observed.interim = self.interim(desired, head, &observed);
        }
        observed
    }

    /// Whose the credentials are. Where they lead to nowhere, or to another account than the declared one, all that there is to
    /// know.
    pub async fn account(&self, desired: &Desired) -> Result<AccountId, Box<Observed>> {
        let account = self.cache.account(self.sts, self.clock).await;
        let why = match &account {
            Ok(account) if desired.account.as_ref().is_none_or(|declared| declared == account) => {
                return Ok(account.clone());
            }
            Ok(account) => format!("it would be that of account {account}"),
            Err(_) => "its account is not reached".to_owned(),
        };
        Err(Box::new(Observed::unreached(account, &why, self.clock.now())))
    }

    /// What was declared since the newest stamp, where another hand's revision is live.
    fn interim(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        observed: &Observed,
    ) -> Vec<DeclaredCommits> {
        let live = observed.service.known().and_then(Service::primary);
        self.interim_of(desired, head, live.map(|primary| &primary.task_definition), observed)
    }

    fn interim_of(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        live: Option<&TaskDefinitionArn>,
        observed: &Observed,
    ) -> Vec<DeclaredCommits> {
        let memory = |revision: &Revision| memory::of(revision, desired);
        let live = live.and_then(|live| observed.revisions.get(live)?.known());
        if live.is_none_or(|live| memory(live).is_some()) {
            return Vec::new();
        }
        let ours = observed.revisions.values().filter_map(Reading::known).filter_map(memory);
        let newest = ours.filter_map(|memory| memory.applied).max_by_key(|applied| applied.generation);
        let stamped = newest.and_then(|applied| applied.infra_commit).filter(|stamped| Some(stamped) != head);
        stamped.map_or_else(Vec::new, |stamped| self.history.interim(&desired.target, &stamped, head))
    }

    /// Says how the infra commits on record relate to this one.
    pub fn relate(&self, desired: &Desired, head: Option<&InfraCommit>, observed: &mut Observed) {
        observed.ancestry =
            head.map(|head| self.ancestry(desired, &observed.revisions, head)).unwrap_or_default();
    }

    /// Rules and target groups, where ECS is to shift traffic between them.
    pub async fn balancing(&self, desired: &Desired, service: &Reading<Service>) -> Option<Balancing> {
        let (rules, groups) = carriers::to_read(desired, service.known()?);
        let rules = rules.into_iter().take(MOST_BALANCING).map(async |rule| {
            let found = self.balancers.forward(&rule).await;
            (rule, found.map_or_else(unavailable, present))
        });
        let groups = groups.into_iter().take(MOST_BALANCING).map(async |group| {
            let found = self.balancers.target_group(&group).await;
            (group, found.map_or_else(unavailable, present))
        });
        let (rules, groups) = futures::join!(join_all(rules), join_all(groups));
        let balancing =
            Balancing { rules: rules.into_iter().collect(), groups: groups.into_iter().collect() };
        (balancing != Balancing::default()).then_some(balancing)
    }

    /// How the alarms stand that would stop a deployment.
    pub async fn alarms(
        &self,
        desired: &Desired,
        service: &Reading<Service>,
        group: Option<&Reading<Group>>,
    ) -> BTreeMap<String, Reading<AlarmState>> {
        let Some(service) = service.known() else { return BTreeMap::new() };
        let names = carriers::of(desired, service).alarms(desired, service, group);
        let states = names.into_iter().take(MOST_ALARMS).map(async |name| {
            let found = self.alarms.alarm(&name).await;
            (name, found.map_or_else(unavailable, present))
        });
        join_all(states).await.into_iter().collect()
    }

    /// Who else sets the count, where one is declared. It is asked anew before a write: an autoscaler may be a minute old.
    pub async fn scalable_target(&self, desired: &Desired, fresh: bool) -> Option<Reading<ScalableTarget>> {
        Count::of(desired)?;
        let key = (desired.cluster.clone(), desired.service()?.clone());
        let now = self.clock.now();
        if let Some(kept) = self.cache.scalable_target(&key, now).filter(|_| !fresh) {
            return Some(kept);
        }
        let found = match self.scaling.scalable_target(&key.0, &key.1).await {
            Ok(found) => found.map_or(Reading::Absent, Reading::Known),
            Err(error) => Reading::Unavailable(error.to_string()),
        };
        Some(self.cache.keep_scalable_target(key, found, now))
    }

    /// Asks for the images alone again, for those who wait for one to be built.
    pub async fn observe_images(&self, desired: &Desired, observed: &mut Observed) {
        let Observed { service, service_deployments, revisions, .. } = &*observed;
        let deployed = deployed(desired, service, service_deployments, revisions);
        observed.images = self.images(desired, observed.tasks.known(), &deployed, false).await;
    }

    /// The tasks that are to run; with those that have stopped, where the service itself says that they are asked for.
    async fn tasks(&self, desired: &Desired, service: &Reading<Service>) -> Listed {
        let (service, name) = match (service, desired.service()) {
            (Reading::Known(service), Some(name)) => (service, name),
            (Reading::Absent, _) | (_, None) => return Listed::All(Reading::Absent),
            (Reading::Unavailable(why), _) => return Listed::All(Reading::Unavailable(why.clone())),
        };
        let running = self.ecs.tasks(&desired.cluster, name, Tasks::Running, steady::MOST_LISTED);
        if is_quiet(service) {
            return match running.await {
                Ok(running) => Listed::Running(running),
                Err(error) => Listed::All(Reading::from(Err(error))),
            };
        }
        let stopped = self.ecs.tasks(&desired.cluster, name, Tasks::Stopped, STOPPED_TASKS);
        let all = try_join(running, stopped).await;
        Listed::All(Reading::from(all.map(|(running, stopped)| running.into_iter().chain(stopped).collect())))
    }

    /// The same, with those that have stopped where what has been deployed leaves something to tell.
    async fn with_stopped(
        &self,
        desired: &Desired,
        service: &Reading<Service>,
        tasks: Listed,
        deployments: &Reading<Vec<ServiceDeployment>>,
        now: Millis,
    ) -> Reading<Vec<Task>> {
        let running = match tasks {
            Listed::All(tasks) => return tasks,
            Listed::Running(running) => running,
        };
        let (Some(service), Some(name)) = (service.known(), desired.service()) else {
            return Reading::Known(running);
        };
        let deployments = deployments.known().map(Vec::as_slice).unwrap_or_default();
        let ended_well = deployments.first().is_none_or(|newest| phase::of(newest) == Phase::Succeeded);
        let is_quiet = (ended_well || !steady::is_visible(deployments.first(), now))
            && !steady::is_doubtful(service, deployments, &running, desired.policy.steady, now);
        if is_quiet {
            return Reading::Known(running);
        }
        let stopped = self.ecs.tasks(&desired.cluster, name, Tasks::Stopped, STOPPED_TASKS).await;
        Reading::from(stopped.map(|stopped| running.into_iter().chain(stopped).collect()))
    }

    pub async fn service(&self, desired: &Desired) -> Reading<Service> {
        let Some(name) = desired.service() else { return Reading::Absent };
        self.service_named(&desired.cluster, name).await
    }

    async fn service_named(&self, cluster: &ClusterName, name: &ServiceName) -> Reading<Service> {
        match self.ecs.service(cluster, name).await {
            Ok(found) => found.map_or(Reading::Absent, Reading::Known),
            Err(error) => self.cache.hiding(Reading::from(Err(error))),
        }
    }

    /// The newest revisions of the families that take part. The index of tags may not know the very newest ones yet.
    async fn newest(
        &self,
        desired: &Desired,
        service: &Reading<Service>,
        families: &BTreeSet<String>,
    ) -> Newest {
        let live = service.known().and_then(Service::primary).map(|primary| primary.task_definition.family());
        let base = declared_family(desired).or(live);
        let mut newest = Newest { of_base: Reading::Absent, listed: Vec::new() };
        for family in families {
            let found = Reading::from(self.ecs.newest_revisions(family, NEWEST).await);
            newest.listed.extend(found.known().into_iter().flatten().cloned());
            if Some(family.as_str()) == base {
                newest.of_base = found;
            }
        }
        newest
    }

    fn ancestry(
        &self,
        desired: &Desired,
        revisions: &BTreeMap<TaskDefinitionArn, Reading<Revision>>,
        head: &InfraCommit,
    ) -> BTreeMap<InfraCommit, crate::model::Ancestry> {
        let ours = revisions.values().filter_map(|reading| memory::of(reading.known()?, desired));
        let commits = ours.filter_map(|memory| memory.applied?.infra_commit);
        commits.map(|commit| (commit.clone(), self.history.ancestry(&commit, head))).collect()
    }
}

/// Tasks of a service.
enum Listed {
    Running(Vec<Task>),
    /// Also those that have stopped, or why there is nothing to tell.
    All(Reading<Vec<Task>>),
}

/// The newest ACTIVE revisions of some families.
struct Newest {
    /// Of the family that the task definition is declared or made from.
    of_base: Reading<Vec<TaskDefinitionArn>>,
    listed: Vec<TaskDefinitionArn>,
}

/// The families that the service is declared with, runs or ran. A family that is only remembered by name is one of them as
/// long as AWS lists a deployment of it.
fn families(
    desired: &Desired,
    service: &Reading<Service>,
    history: &Reading<Vec<ServiceDeployment>>,
) -> BTreeSet<String> {
    let live = service.known().into_iter().flat_map(|service| &service.deployments);
    let live = live.map(|deployment| deployment.task_definition.family());
    let history = history.known().into_iter().flatten();
    let ran = history.flat_map(|deployment| deployment.target.iter().chain(&deployment.sources));
    let ran = ran.map(TaskDefinitionArn::family);
    declared_family(desired).into_iter().chain(live).chain(ran).map(str::to_owned).collect()
}

/// Whether nothing that was read is ours and stamped.
fn is_first_contact(desired: &Desired, observed: &Observed) -> bool {
    let known = observed.revisions.values().filter_map(Reading::known);
    !known.filter_map(|revision| memory::of(revision, desired)).any(|memory| memory.applied.is_some())
}

/// Whether the newest deployment has tasks that failed.
fn is_failing(service: &Reading<Service>) -> bool {
    service.known().and_then(Service::primary).is_some_and(|primary| primary.failed_tasks > 0)
}

/// Whether nothing goes on, nothing drains, and all tasks run.
fn is_quiet(service: &Service) -> bool {
    let quiet = |deployment: &Deployment| {
        deployment.status != DeploymentStatus::Inactive
            && deployment.rollout == Some(RolloutState::Completed)
            && deployment.failed_tasks == 0
    };
    service.running_count >= service.desired_count && service.deployments.iter().all(quiet)
}

/// Revisions that take part in what goes on: those of the live deployments, and of the newest service deployments.
fn at_hand(
    service: &Reading<Service>,
    service_deployments: &Reading<Vec<ServiceDeployment>>,
) -> BTreeSet<TaskDefinitionArn> {
    let live = service.known().into_iter().flat_map(|service| &service.deployments);
    let mut arns: BTreeSet<_> = live.map(|deployment| deployment.task_definition.clone()).collect();
    let history = service_deployments.known().map(Vec::as_slice).unwrap_or_default();
    let newest = history.iter().take(NEWEST_DEPLOYMENTS);
    arns.extend(newest.flat_map(|deployment| deployment.target.iter().chain(&deployment.sources)).cloned());
    // The newest success may turn out to be none.
    arns.extend(phase::successes(history).take(2).chain(phase::last_source(history)).cloned());
    arns
}

/// What was live before a deployment of ours failed, where nothing else has led to it: what is to be gone back to.
fn sources_of_failed(
    desired: &Desired,
    revisions: &BTreeMap<TaskDefinitionArn, Reading<Revision>>,
) -> BTreeSet<TaskDefinitionArn> {
    let memories = revisions.values().filter_map(|reading| memory::of(reading.known()?, desired));
    let failed = memories.filter(|memory| {
        memory.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeKind::Failed)
    });
    let sources = failed.filter_map(|memory| memory.applied?.from);
    sources.filter(|source| !revisions.contains_key(source)).collect()
}

fn is_of_commit(desired: &Desired, kept: &Revision) -> bool {
    memory::of(kept, desired).is_some_and(|memory| memory.commit.matches(desired.commit()))
}

fn present<T>(found: Option<T>) -> Reading<T> {
    found.map_or(Reading::Absent, Reading::Known)
}

/// What was asked for alone and is not there is absent; whatever else went wrong says nothing.
fn unavailable<T>(error: CloudError) -> Reading<T> {
    Reading::from(Err(error))
}
