//! What the infrastructure repository asks for one application in one environment, after expansion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{
    AccountId, AllowedRepositories, ClusterName, Commit, Digest, Finding, InfraCommit, Matter, Millis,
    Native, Region, RepositoryName, RolePattern, ScheduledTask, ServiceName, Tag, Target,
};

/// A commit of the infrastructure repository, for people: the newest of the branch where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub commit: InfraCommit,
    pub summary: String,
    /// Who wrote the change; who committed or merged it may be somebody else.
    pub author: String,
    /// Unix time in seconds.
    pub time: i64,
}

/// Everything one commit of the infrastructure repository declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    pub infra_commit: Option<InfraCommit>,
    pub applications: Vec<Declared>,
    /// Complaints, the ones about a frozen application among them.
    pub findings: Vec<Finding>,
    /// Files of which nobody knows what they declare.
    pub unread_files: BTreeSet<String>,
}

impl Declaration {
    /// Those whose files can be read, in their order.
    pub fn readable(&self) -> impl Iterator<Item = &Desired> {
        self.applications.iter().filter_map(|declared| match declared {
            Declared::Readable(desired) => Some(desired.as_ref()),
            Declared::Frozen(_) => None,
        })
    }

    /// Those of which it is known where they run, in their order: the readable ones, and frozen ones to look at.
    pub fn observable(&self) -> impl Iterator<Item = &Desired> {
        self.applications.iter().filter_map(Declared::observable)
    }
}

/// One application in one environment: readable, or frozen.
#[derive(Clone, Debug, PartialEq)]
pub enum Declared {
    Readable(Box<Desired>),
    /// Its files have errors: it is observed and reported, nothing is written for it.
    Frozen(Frozen),
}

/// An application whose files have errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Frozen {
    pub target: Target,
    /// What could be read all the same, in [`Mode::Frozen`]: enough to look at the service, and not to be compared with
    /// it. `None`: it is not known where it runs, or the operator does not allow to look there.
    pub known: Option<Box<Desired>>,
}

impl Declared {
    /// Frozen, and nothing is known of it but its name.
    pub fn unknown(target: Target) -> Self {
        Self::Frozen(Frozen { target, known: None })
    }

    /// Frozen, with what could be read of it.
    pub fn frozen(known: Desired) -> Self {
        let target = known.target.clone();
        Self::Frozen(Frozen { target, known: Some(Box::new(Desired { mode: Mode::Frozen, ..known })) })
    }

    pub fn target(&self) -> &Target {
        match self {
            Self::Readable(desired) => &desired.target,
            Self::Frozen(frozen) => &frozen.target,
        }
    }

    /// What it is looked at by.
    pub fn observable(&self) -> Option<&Desired> {
        match self {
            Self::Readable(desired) => Some(desired),
            Self::Frozen(frozen) => frozen.known.as_deref(),
        }
    }
}

/// What one application in one environment should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    pub target: Target,
    /// The file, line and column of the entry under `applications:`, for messages and for `promote`.
    pub declared_at: Position,
    /// `None`: the credentials' own account.
    pub account: Option<AccountId>,
    /// `None`: the region of the AWS settings.
    pub region: Option<Region>,
    pub cluster: ClusterName,
    pub workload: Workload,
    pub registry: Registry,
    /// The ECR tag that marks what runs in this environment.
    pub environment_tag: Tag,
    /// At least one; the first carries the declared commit that is shown.
    pub images: Vec<DesiredImage>,
    pub task_definition: TaskDefinitionSource,
    /// Nothing where the task definition is a file: there it is applied already.
    pub overlay: Overlay,
    /// Tags of each revision that is registered, beside those that are kept and trueup's own.
    pub tags: BTreeMap<String, String>,
    /// The operator's bound, not the repository's: roles that tasks may be given. `None`: all.
    pub allowed_roles: Option<Vec<RolePattern>>,
    /// The operator's bound too: ECR repositories of images, those beside the application's own as well.
    pub allowed_repositories: AllowedRepositories,
    /// By the operator's settings: what somebody is told of it until it was taken. Nothing where nobody receives alerts.
    pub alerts: BTreeSet<Matter>,
    /// Members of `UpdateService` that are owned too, as written.
    pub service_settings: Option<Value>,
    /// Where the count among them is declared.
    pub count_declared_at: Option<Position>,
    pub strategy: Strategy,
    pub policy: Policy,
    pub mode: Mode,
    /// Of the environment and of the application, whether they are over or not.
    pub suspensions: Vec<Suspension>,
    pub rollout: Rollout,
    pub first_contact: FirstContact,
    /// Applications of the same environment that are deployed first.
    pub after: Vec<super::ApplicationName>,
    /// The web address of the source code.
    pub source: Option<String>,
}

impl Desired {
    /// The commit or release that people see: that of the first image.
    pub fn commit(&self) -> &Commit {
        &self.images[0].commit
    }

    pub fn service(&self) -> Option<&ServiceName> {
        match &self.workload {
            Workload::Service(name) => Some(name),
            Workload::Task(_) | Workload::ScheduledTask(_) => None,
        }
    }

    /// What it is called in its cluster: the name of its service or, where there is none, its own.
    pub fn name_in_cluster(&self) -> &str {
        self.service().map_or(self.target.application.as_str(), ServiceName::as_str)
    }

    pub fn task(&self) -> Option<&OneShot> {
        match &self.workload {
            Workload::Service(_) | Workload::ScheduledTask(_) => None,
            Workload::Task(task) => Some(task),
        }
    }

    pub fn scheduled_task(&self) -> Option<&ScheduledTask> {
        match &self.workload {
            Workload::Service(_) | Workload::Task(_) => None,
            Workload::ScheduledTask(task) => Some(task),
        }
    }
}

/// What an application is in its cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Workload {
    /// Tasks that are kept running, until others take their place.
    Service(ServiceName),
    /// A task that ends by itself, and runs once for each content.
    Task(Box<OneShot>),
    /// A task that rules and schedules of EventBridge start, again and again.
    ScheduledTask(Box<ScheduledTask>),
}

/// How a task is run. What it runs is in the task definition: only that makes it another one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneShot {
    pub network: RunNetwork,
    pub capacity: RunCapacity,
    /// After so long it is stopped, and has failed; `None`: never.
    pub timeout: Option<Duration>,
    /// The containers that must end with 0; `None`: the essential ones.
    pub success: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum RunNetwork {
    /// None is declared: right for a task definition whose network mode is not `awsvpc`.
    #[default]
    Unspecified,
    /// That of a service of the same cluster, with its launch type and platform.
    Like(ServiceName),
    /// An `awsvpcConfiguration`.
    Declared(Value),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunCapacity {
    /// As the service has it that the network is like; else as the cluster does it.
    #[default]
    Unspecified,
    /// `FARGATE`, `EC2` or `EXTERNAL`.
    LaunchType(String),
    /// Capacity providers, of equal weight.
    Providers(Vec<String>),
}

/// Where a declaration stands. Lines and columns count from 1; 0 is "the whole file".
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

/// Where images are kept. `None` fields mean the environment's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry {
    pub account: Option<AccountId>,
    pub region: Option<Region>,
}

/// One image of an application and the containers that run it.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredImage {
    pub name: String,
    pub repository: RepositoryName,
    pub commit: Commit,
    /// The tag CI gave to the build of the commit: `commitTag`, expanded.
    pub commit_tag: Tag,
    pub containers: Containers,
    /// Another name of the same image that a file gives; it must be the same digest.
    pub stated: Option<ImageReference>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageReference {
    Tag(Tag),
    Digest(Digest),
}

/// Whose `image` is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Containers {
    Named(Vec<String>),
    /// Those whose image is this placeholder, or the only container of the task definition.
    Placeholder(String),
}

/// What is laid over a task definition that is no file of the repository. The fields that it names are owned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    /// Texts for placeholders `<NAME>` of the base; empty unless some are declared.
    pub values: BTreeMap<String, String>,
    /// A JSON merge patch, its placeholders filled in.
    pub patch: Option<Value>,
    /// Values that no file uses, and what is told of each should the base hold no placeholder for it either.
    pub for_the_base: BTreeMap<String, Finding>,
}

/// What the task definition is made from. This also says what trueup owns.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskDefinitionSource {
    /// The revision of the last good deployment; only images change.
    Service,
    /// The newest ACTIVE revision that trueup did not register; only images change.
    Family(String),
    /// A `RegisterTaskDefinition` input with `values` and patch applied, image placeholders still in it. All of it is owned. Those who
    /// declare the same share it.
    File { path: String, input: Arc<Value> },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// Not declared: what the live service's deployment controller does.
    Unspecified,
    Rolling,
    CodeDeploy(Box<CodeDeploy>),
    Native(Box<Native>),
}

/// Blue/green by AWS `CodeDeploy`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CodeDeploy {
    /// `None`: the name that the console and `aws ecs deploy` give.
    pub application: Option<String>,
    pub group: Option<String>,
    /// The parsed file, its task definition not yet filled in; `None`: made from the primary task set.
    pub app_spec: Option<AppSpec>,
    /// The deployment configuration of each deployment; `None`: the group's.
    pub configuration: Option<String>,
    /// Application and group are made from this where they do not exist.
    pub create: Option<NewGroup>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AppSpec {
    pub path: String,
    pub content: Value,
}

/// A deployment group that does not exist yet. Times are in minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGroup {
    pub service_role: String,
    pub target_groups: [String; 2],
    pub production_listener: String,
    pub test_listener: Option<String>,
    /// How long traffic waits for somebody's word; `None`: it does not.
    pub ready_wait: Option<u64>,
    pub termination_wait: u64,
    /// Names of alarms that stop a deployment.
    pub alarms: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub drift: OnDrift,
    pub on_failure: OnFailure,
    /// How long a deployment may make no progress.
    pub progress_deadline: Duration,
    /// How long all wanted tasks must run without a failure before AWS's success is believed; zero: at once.
    pub steady: Duration,
    pub in_flight: InFlight,
    pub pin: Pin,
    pub move_tag: MoveTag,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            drift: OnDrift::Alert,
            on_failure: OnFailure::Rollback,
            progress_deadline: Duration::from_mins(15),
            steady: Duration::from_mins(1),
            in_flight: InFlight::Unspecified,
            pin: Pin::Digest,
            move_tag: MoveTag::AfterSuccess,
        }
    }
}

/// What a change outside trueup leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDrift {
    Alert,
    Heal,
    Ignore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    Rollback,
    Leave,
}

/// What a newer commit does to a deployment of trueup's that is still going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    Unspecified,
    Replace,
    Finish,
}

/// How the image is written into the task definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    Digest,
    CommitTag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveTag {
    AfterSuccess,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Apply,
    Observe,
    /// The files have errors: what is declared is not known, and nothing is decided or written.
    Frozen,
}

/// No writes, by a person's word; of an environment, or of one application in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Unix time in seconds; `None`: until somebody ends it.
    pub until: Option<i64>,
    pub reason: String,
    pub scope: SuspensionScope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspensionScope {
    Environment,
    Application,
}

impl Suspension {
    /// `now` is in milliseconds.
    pub fn is_in_force(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| until.saturating_mul(1000) > now)
    }
}

impl Desired {
    /// What suspends it now; of two the one that lasts longer.
    pub fn suspension(&self, now: Millis) -> Option<&Suspension> {
        let in_force = self.suspensions.iter().filter(|suspension| suspension.is_in_force(now));
        in_force.max_by_key(|suspension| suspension.until.unwrap_or(i64::MAX))
    }
}

/// What may be deployed where trueup has never deployed anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstContact {
    /// What is declared, where what runs was declared before; everything else is drift.
    #[default]
    ByHistory,
    /// What is declared, by a person's word.
    Adopt,
}

/// Limits over one environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub max_in_flight: usize,
    /// `None`: failures elsewhere do not stop this environment.
    pub stop_after_failures: Option<usize>,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { max_in_flight: 10, stop_after_failures: None }
    }
}
