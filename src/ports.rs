//! The seams to the outside, in our own words.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::surroundings::{Function, Lifecycle, Permission, Role, Subnet, Verdict};
use crate::model::{
    AccountId, AlarmState, Ancestry, ApplicationName, ClusterName, CodeDeployment, DeclaredCommits,
    DeploymentGroup, DeploymentGroupName, DeploymentId, Digest, Earlier, EnvironmentName, Forward, Group,
    Image, InfraCommit, LeaseClaim, LeaseName, LeaseRecord, LogStream, Millis, NewDeployment, Pipeline,
    Platform, Progress, Reading, Region, Repository, RepositoryName, Revision, RunAnswer, ScalableTarget,
    Schedule, ScheduleName, Service, ServiceDeployment, ServiceName, Tag, Tags, Target, TargetGroup,
    TargetHealth, Task, TaskDefinitionArn, Unreached, Wait, Word,
};

/// Why a call to AWS did not do what was asked, by what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    #[error("throttled by AWS: {0:.500}")]
    Throttled(String),
    #[error("not allowed: {0:.500}")]
    Denied(String),
    #[error("not found: {0:.500}")]
    NotFound(String),
    #[error("refused: {0:.500}")]
    Rejected(String),
    /// It may or may not have been done: read the world again before anything is repeated.
    #[error("no answer: {0:.500}")]
    Ambiguous(String),
    #[error("unavailable: {0:.500}")]
    Unavailable(String),
}

impl CloudError {
    /// The same, with what AWS says of it in other words.
    #[must_use]
    pub fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Throttled(said) => Self::Throttled(reword(&said)),
            Self::Denied(said) => Self::Denied(reword(&said)),
            Self::NotFound(said) => Self::NotFound(reword(&said)),
            Self::Rejected(said) => Self::Rejected(reword(&said)),
            Self::Ambiguous(said) => Self::Ambiguous(reword(&said)),
            Self::Unavailable(said) => Self::Unavailable(reword(&said)),
        }
    }
}

impl<T> From<Result<T, CloudError>> for Reading<T> {
    fn from(result: Result<T, CloudError>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(CloudError::NotFound(_)) => Self::Absent,
            Err(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// An account and region: AWS's rates, and everything that is kept, are counted for these.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// `None`: the account of the credentials.
    pub account: Option<AccountId>,
    /// `None`: the region of the AWS settings.
    pub region: Option<Region>,
}

/// Opens the clients of an account and region.
pub trait Reach: Send + Sync {
    fn ports(&self, place: &Place) -> Ports;

    /// The same place by the one name that it has here: whether the credentials' own account is declared or not, it has
    /// the same rates.
    fn resolve(&self, place: Place) -> Place {
        place
    }
}

/// Holds writes back until AWS's rates have room for them. Reads wait where they are made; a write waits here, before the
/// reading that it rests on.
#[async_trait]
pub trait Pace: Send + Sync {
    async fn turn(&self, operation: &'static str);
}

/// What one account and region is reached by.
#[derive(Clone)]
pub struct Ports {
    pub pace: Arc<dyn Pace>,
    pub ecs: Arc<dyn Ecs>,
    pub ecr: Arc<dyn Ecr>,
    pub code_deploy: Arc<dyn CodeDeploy>,
    pub sts: Arc<dyn Sts>,
    pub tagging: Arc<dyn Tagging>,
    pub scaling: Arc<dyn Scaling>,
    pub balancers: Arc<dyn Balancers>,
    pub alarms: Arc<dyn Alarms>,
    pub schedules: Arc<dyn Schedules>,
    pub logs: Arc<dyn Logs>,
    pub publisher: Arc<dyn Publisher>,
    pub directory: Arc<dyn Directory>,
    pub inspect: Arc<dyn Inspect>,
}

/// What stands around a target: it is only looked at, to be verified.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// The ARN of the user or the role that makes the calls.
    async fn caller(&self) -> Result<String, CloudError>;
    async fn role(&self, arn: &str) -> Result<Role, CloudError>;
    /// By the policies of the user or role with this ARN alone, and without doing it.
    async fn is_allowed(&self, principal: &str, permission: &Permission) -> Result<Verdict, CloudError>;
    /// Whether it is there; its value is not read.
    async fn secret(&self, id: &str) -> Result<(), CloudError>;
    /// The same of a parameter.
    async fn parameter(&self, name: &str) -> Result<(), CloudError>;
    async fn log_group(&self, name: &str) -> Result<(), CloudError>;
    /// By name or ARN, without a version or an alias.
    async fn function(&self, name: &str) -> Result<Function, CloudError>;
    /// Those of these subnets that are there, by id; in one call.
    async fn subnets(&self, ids: &[String]) -> Result<BTreeMap<String, Subnet>, CloudError>;
    /// The VPCs of those of these security groups that are there, by id; in one call.
    async fn security_groups(&self, ids: &[String]) -> Result<BTreeMap<String, String>, CloudError>;
    async fn lifecycle(
        &self,
        registry: Option<&AccountId>,
        repository: &RepositoryName,
    ) -> Result<Lifecycle, CloudError>;
}

/// Which tasks of a service are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tasks {
    Running,
    Stopped,
}

/// Which revisions of a family are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionStatus {
    Active,
    /// Deregistered.
    Inactive,
}

/// What a list held, up to a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    pub items: Vec<T>,
    pub extent: Extent,
}

/// Whether a list was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    /// There is more than the bound.
    Cut,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { items: Vec::new(), extent: Extent::Whole }
    }
}

impl<T> Listing<T> {
    pub fn map<U>(self, into: impl FnMut(T) -> U) -> Listing<U> {
        Listing { items: self.items.into_iter().map(into).collect(), extent: self.extent }
    }

    /// Both; cut where either is.
    pub fn append(&mut self, other: Self) {
        self.items.extend(other.items);
        if other.extent == Extent::Cut {
            self.extent = Extent::Cut;
        }
    }
}

/// Amazon ECS in one account and region.
#[async_trait]
pub trait Ecs: Send + Sync {
    /// `None`: there is none of this name.
    async fn service(&self, cluster: &ClusterName, name: &ServiceName)
    -> Result<Option<Service>, CloudError>;
    /// Newest first, at most `most`, with the revisions behind their targets.
    async fn service_deployments(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        most: usize,
    ) -> Result<Vec<ServiceDeployment>, CloudError>;
    /// The same of these ARNs, as far as AWS knows them.
    async fn deployments_of(&self, arns: Vec<String>) -> Result<Vec<ServiceDeployment>, CloudError>;
    /// Tasks that are meant to run, or those that stopped within about an hour; at most `most`.
    async fn tasks(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        which: Tasks,
        most: usize,
    ) -> Result<Vec<Task>, CloudError>;
    /// A task by its id; `None`: AWS tells of none.
    async fn run(&self, cluster: &ClusterName, id: &str) -> Result<Option<Task>, CloudError>;
    /// Tasks that were started under this name, those that stopped within about an hour among them.
    async fn runs(&self, cluster: &ClusterName, started_by: &str) -> Result<Vec<Task>, CloudError>;
    /// Tasks of a family that run or have stopped within about an hour, whoever started them; at most `most` of each.
    async fn runs_of_family(
        &self,
        cluster: &ClusterName,
        family: &str,
        most: usize,
    ) -> Result<Vec<Task>, CloudError>;
    /// One `RunTask`, sent as written, once.
    async fn run_task(&self, input: &Value) -> Result<RunAnswer, CloudError>;
    async fn stop_task(&self, cluster: &ClusterName, id: &str, reason: &str) -> Result<(), CloudError>;
    /// ACTIVE revisions of a family, newest first, at most `most`.
    async fn newest_revisions(&self, family: &str, most: usize)
    -> Result<Vec<TaskDefinitionArn>, CloudError>;
    /// Revisions of a family with this status, newest first, at most `most`.
    async fn family_revisions(
        &self,
        family: &str,
        status: RevisionStatus,
        most: usize,
    ) -> Result<Listing<TaskDefinitionArn>, CloudError>;
    async fn revision(&self, arn: &TaskDefinitionArn) -> Result<Revision, CloudError>;
    /// The same as an earlier process read it, without a call: what it declares never changes, its tags and status may have.
    async fn archived_revision(&self, arn: &TaskDefinitionArn) -> Option<Revision>;
    /// Sends the input as written, unknown fields included.
    async fn register(
        &self,
        input: &Value,
        tags: &BTreeMap<String, String>,
    ) -> Result<TaskDefinitionArn, CloudError>;
    /// At most fifty tags, in one call.
    async fn tag_revision(
        &self,
        arn: &TaskDefinitionArn,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CloudError>;
    /// One `UpdateService` with these members alone.
    async fn update_settings(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        settings: &Value,
    ) -> Result<(), CloudError>;
    /// One `UpdateService`; `settings` are members of it, sent as written. The deployment that it has started, where AWS says so.
    async fn deploy(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        revision: &TaskDefinitionArn,
        settings: Option<&Value>,
        force: bool,
    ) -> Result<Option<DeploymentId>, CloudError>;
    /// Has a service deployment stopped and rolled back, by its ARN. One that is over is left alone.
    async fn stop_deployment(&self, arn: &str) -> Result<(), CloudError>;
    /// Answers one pause of a service deployment: it goes on, or is rolled back.
    async fn answer_pause(&self, arn: &str, pause: &str, word: Word) -> Result<(), CloudError>;
}

/// AWS CodeDeploy in one account and region.
#[async_trait]
pub trait CodeDeploy: Send + Sync {
    async fn group(&self, application: &str, group: &str) -> Result<Group, CloudError>;
    /// Deployments of a group that were created since, in any order; at most `most`, with those that they undo or are
    /// undone by among them.
    async fn deployments(
        &self,
        application: &str,
        group: &str,
        since: Option<Millis>,
        most: usize,
    ) -> Result<Vec<CodeDeployment>, CloudError>;
    /// Refused for a deployment that has not started.
    async fn progress(
        &self,
        deployment: &str,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Result<Progress, CloudError>;
    /// The text of an `AppSpec` that was deployed.
    async fn app_spec(&self, application: &str, sha256: &str) -> Result<String, CloudError>;
    async fn create_deployment(&self, new: &NewDeployment) -> Result<(), CloudError>;
    /// Stops it and has it undone. One that is over is left alone.
    async fn stop(&self, deployment: &str) -> Result<(), CloudError>;
    /// Ends a wait. A deployment that does not wait is left alone.
    async fn end_wait(&self, deployment: &str, wait: Wait) -> Result<(), CloudError>;
    async fn create_application(&self, name: &str) -> Result<(), CloudError>;
    /// One `CreateDeploymentGroup`, sent as written.
    async fn create_group(&self, input: &Value) -> Result<(), CloudError>;
}

/// Amazon ECR in one region; `registry` is the account that owns the repository, `None` the credentials' own.
#[async_trait]
pub trait Ecr: Send + Sync {
    async fn repository(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
    ) -> Result<Repository, CloudError>;
    /// Where images of the repository are pulled from, without a call; `None` where that cannot be told.
    fn address(&self, registry: Option<&AccountId>, name: &RepositoryName) -> Option<String>;
    /// Of a repository that only lets itself be pulled from, an image has the tag that was asked for and no other.
    async fn image_by_tag(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Image, CloudError>;
    async fn image_by_digest(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Image, CloudError>;
    /// What a tag stands for, by the call that AWS answers most often: an image with this tag and no other. `None`: nothing that
    /// can be pulled.
    async fn pulled_by_tag(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Image>, CloudError>;
    /// What an image that is no index was built for, by its configuration. `None`: that could not be told, for whatever
    /// reason. The first answer costs three calls; it never changes.
    async fn platform(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Option<Platform>;
    /// Tags that begin with this text, whatever the case of its letters: the way to an image of which only some digits of the
    /// commit are known. It costs a call for each thousand images.
    async fn tags(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        beginning: &str,
    ) -> Result<Tags, CloudError>;
    /// Points the tag at the digest; the manifest is sent byte for byte.
    async fn move_tag(
        &self,
        registry: Option<&AccountId>,
        name: &RepositoryName,
        digest: &Digest,
        tag: &Tag,
    ) -> Result<(), CloudError>;
}

#[async_trait]
pub trait Sts: Send + Sync {
    /// Whose the credentials are.
    async fn account(&self) -> Result<AccountId, Unreached>;
}

/// A revision as the index of tags knows it. The index may lag behind, and tell of what is gone: it says what is worth
/// describing, and nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedRevision {
    pub arn: TaskDefinitionArn,
    pub tags: BTreeMap<String, String>,
}

/// The index of tags in one account and region.
#[async_trait]
pub trait Tagging: Send + Sync {
    /// Revisions with the tags of the environment and the application, of any status, in any order.
    /// [`CloudError::Denied`] where the credentials may not ask.
    async fn revisions_tagged(
        &self,
        environment: &EnvironmentName,
        application: &ApplicationName,
    ) -> Result<Listing<TaggedRevision>, CloudError>;
    /// Those of every service that trueup has deployed, whichever repository declares it.
    async fn revisions_of_services(&self) -> Result<Listing<TaggedRevision>, CloudError>;
}

/// Application Auto Scaling in one account and region.
#[async_trait]
pub trait Scaling: Send + Sync {
    /// `None`: no autoscaler looks after the service.
    async fn scalable_target(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Result<Option<ScalableTarget>, CloudError>;
}

/// Elastic Load Balancing in one account and region. Nothing writes to it: ECS shifts traffic by itself, and everything else is
/// somebody else's.
#[async_trait]
pub trait Balancers: Send + Sync {
    /// Where a rule sends traffic, or a listener by default; `None`: there is none of this ARN.
    async fn forward(&self, arn: &str) -> Result<Option<Forward>, CloudError>;
    /// By its name or ARN, with the number of its targets.
    async fn target_group(&self, name: &str) -> Result<Option<TargetGroup>, CloudError>;
    /// Of every target that is registered with the group of this ARN, in any order.
    async fn target_health(&self, group: &str) -> Result<Vec<TargetHealth>, CloudError>;
}

/// Alarms of Amazon `CloudWatch` in one account and region. Nothing writes to them.
#[async_trait]
pub trait Alarms: Send + Sync {
    /// `None`: there is none of this name.
    async fn alarm(&self, name: &str) -> Result<Option<AlarmState>, CloudError>;
}

/// Amazon `CloudWatch` Logs in one region. Nothing writes to it.
#[async_trait]
pub trait Logs: Send + Sync {
    /// The last lines of a stream, oldest first, at most `most`. [`CloudError::NotFound`] where there is no such group or stream:
    /// nothing was ever written there.
    async fn last_lines(&self, stream: &LogStream, most: usize) -> Result<Vec<String>, CloudError>;
    /// What was written since that time, oldest first: the newest lines, at most `most`; with a token what came after its page.
    async fn page(&self, stream: &LogStream, since: Since, most: usize) -> Result<LogPage, CloudError>;
}

/// Amazon SNS and Amazon EventBridge in one region, as receivers of alerts.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes one message: the input of `Publish`, sent as it is.
    async fn publish(&self, input: Value) -> Result<(), CloudError>;
    /// Puts one event on a bus: an entry of `PutEvents`, sent as it is.
    async fn put_event(&self, entry: Value) -> Result<(), CloudError>;
}

/// From where a log is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    Time(Millis),
    /// The page before it ended there.
    Page(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    /// When each line was written, and its text.
    pub lines: Vec<(Millis, String)>,
    /// Where the next page begins, also where nothing has been written there yet.
    pub next: Option<String>,
}

/// Lists what there is in one account and region, for who knows no name yet. Each list has a bound.
#[async_trait]
pub trait Directory: Send + Sync {
    async fn clusters(&self) -> Result<Listing<ClusterName>, CloudError>;
    async fn services(&self, cluster: &ClusterName) -> Result<Listing<ServiceName>, CloudError>;
    /// The deployment groups of CodeDeploy that deploy services of ECS.
    async fn deployment_groups(&self) -> Result<Listing<(DeploymentGroupName, DeploymentGroup)>, CloudError>;
    async fn pipeline(&self, name: &str) -> Result<Pipeline, CloudError>;
}

/// Rules of EventBridge and schedules of EventBridge Scheduler in one account and region.
#[async_trait]
pub trait Schedules: Send + Sync {
    async fn schedule(&self, name: &ScheduleName) -> Result<Schedule, CloudError>;
    /// One `PutTargets` or `UpdateSchedule`, sent as written. What AWS refuses of it is an error, also where it has taken another
    /// part.
    async fn retarget(&self, name: &ScheduleName, input: &Value) -> Result<(), CloudError>;
}

/// Why a lease could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has written it since it was read.
    #[error("somebody else has written it")]
    Changed,
    #[error("not allowed: {0:.500}")]
    Denied(String),
    /// The table or namespace that leases are kept in.
    #[error("not found: {0:.500}")]
    Missing(String),
    #[error("unavailable: {0:.500}")]
    Unavailable(String),
}

/// Where replicas agree on who looks after what.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// `None`: nobody has held it yet.
    async fn read(&self, name: &LeaseName) -> Result<Option<LeaseRecord>, LeaseError>;
    /// Writes over the record that was read, and over no other; the record as it is now.
    async fn write(
        &self,
        name: &LeaseName,
        read: Option<&LeaseRecord>,
        claim: &LeaseClaim,
    ) -> Result<LeaseRecord, LeaseError>;
}

pub trait Clock: Send + Sync {
    /// Unix time in milliseconds.
    fn now(&self) -> Millis;
}

/// The history of the infrastructure repository.
pub trait History: Send + Sync {
    /// Whether `commit` is `head` or one of its ancestors.
    fn ancestry(&self, commit: &InfraCommit, head: &InfraCommit) -> Ancestry;
    /// What the ancestors of `head` declared for a target, within bounds; `None`: those of the newest commit, itself
    /// included, for a working tree.
    fn earlier(&self, target: &Target, head: Option<&InfraCommit>) -> Earlier;
    /// What the commits after `stamped` and before `head` declared for a target, as far as they are known; the newest first.
    /// `None` as for [`History::earlier`].
    fn interim(
        &self,
        target: &Target,
        stamped: &InfraCommit,
        head: Option<&InfraCommit>,
    ) -> Vec<DeclaredCommits>;
}
