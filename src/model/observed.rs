//! One reading of AWS for one application in one environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::{
    AccountId, AlarmState, Answers, Balancing, Cause, ClusterName, Commit, ContentHash, DeclarationHash,
    DeploymentId, DesiredImage, Digest, Group, InfraCommit, LastRun, Receipts, RepositoryName, Schedule,
    ScheduleName, Shift, Tag, TaskDefinitionArn,
};

/// Unix time in milliseconds. The model never asks what time it is.
pub type Millis = i64;

/// "Could not read" is not "is not there".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    Known(T),
    Absent,
    Unavailable(String),
}

impl<T> Reading<T> {
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unavailable(_) => None,
        }
    }

    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Everything that a decision about one target may rest on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// When the service was read: what is deployed, and how far it is.
    pub checked_at: Millis,
    /// When everything else was read: it lives longer while the service does not change.
    pub facts_checked_at: Millis,
    /// The account that the credentials belong to, from STS.
    pub account: Result<AccountId, Unreached>,
    pub service: Reading<Service>,
    /// Revisions that were read, by ARN: the live one, those of recent deployments, and the newest of the family.
    pub revisions: BTreeMap<TaskDefinitionArn, Reading<Revision>>,
    /// ARNs of the newest ACTIVE revisions of the family, newest first; `None`: not asked, since most looks need none.
    pub newest: Option<Reading<Vec<TaskDefinitionArn>>>,
    /// The deployment group; `None`: not asked, since CodeDeploy has no part in the service.
    pub group: Option<Reading<Group>>,
    /// Rules and target groups; `None`: not asked, since ECS shifts no traffic here, or nothing is to be deployed.
    pub balancing: Option<Balancing>,
    /// How the alarms stand that would stop a deployment, by name; read where rules and target groups are.
    pub alarms: BTreeMap<String, Reading<AlarmState>>,
    /// Newest first; Absent where AWS keeps none (service never deployed since 2024-10). With CodeDeploy, its
    /// deployments since the last one that succeeded.
    pub service_deployments: Reading<Vec<ServiceDeployment>>,
    /// Whether these are all that a decision may rest on, or the newest alone: that is enough where nothing is to be done.
    pub lookback: Lookback,
    pub tasks: Reading<Vec<Task>>,
    /// In the order of the desired images.
    pub images: Vec<ObservedImage>,
    /// How the infra commits found on revisions relate to the desired infra commit.
    pub ancestry: BTreeMap<InfraCommit, Ancestry>,
    /// Whether all revisions of ours are among `revisions`, as far as a decision can rest on them; `None`: not asked.
    pub memory: Option<Completeness>,
    /// What the history of the infrastructure repository declared before; `None`: not asked, since something of ours
    /// is stamped, or this look needs none.
    pub earlier: Option<Earlier>,
    /// What was declared after the newest stamp and before now, where what is live is none of ours: git may have followed
    /// what somebody else did, and gone on since.
    pub interim: Vec<DeclaredCommits>,
    /// The autoscaler's bounds; `None`: not asked, since no count is declared.
    pub scalable_target: Option<Reading<ScalableTarget>>,
    /// The service whose network a task is to have; `None`: not asked, since none is declared.
    pub model_service: Option<Reading<Service>>,
    /// The rules and schedules that are declared; none of a service.
    pub schedules: BTreeMap<ScheduleName, Reading<Schedule>>,
    /// About what fails; empty where nothing was asked.
    pub answers: Answers,
}

/// How far the deployments of a service were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookback {
    /// All that AWS lists, up to a bound, or all that CodeDeploy has done since its last success.
    Listed,
    /// The one that the service names.
    Newest,
}

/// Why it is not known whose the credentials are. Then nothing else is read there: it would fail alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// The role by which the account is reached cannot be assumed.
    Role { role: String, why: String },
    /// AWS does not know the credentials in this region, of which it says the same whether the region is not enabled or the
    /// credentials are not good.
    Region { region: String, why: String },
    /// The settings of AWS lead to nothing by which a call could be made.
    Settings(Lacking),
    /// It could not be read, for whatever reason.
    Unread(String),
}

/// What the settings of AWS lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lacking {
    Region,
    /// Nothing names credentials.
    Credentials,
    /// The credentials of a session are over.
    Session,
    /// Nobody is signed in with this profile, or no longer.
    SignIn {
        profile: String,
    },
    /// The profile is not in the files, or leads to none that is.
    Profile {
        profile: String,
    },
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region => f.write_str("no AWS region is set"),
            Self::Credentials => f.write_str("there are no AWS credentials"),
            Self::Session => f.write_str("the AWS credentials have expired"),
            Self::SignIn { profile } => write!(f, "nobody is signed in with the AWS profile {profile}"),
            Self::Profile { profile } => {
                write!(f, "the AWS profile {profile} is not there, or leads nowhere")
            }
        }
    }
}

impl Observed {
    /// A reading that ended before it began.
    pub fn unreached(account: Result<AccountId, Unreached>, why: &str, now: Millis) -> Self {
        let unread = || why.to_owned();
        Self {
            service: Reading::Unavailable(unread()),
            newest: None,
            service_deployments: Reading::Unavailable(unread()),
            tasks: Reading::Unavailable(unread()),
            ..Self::without_service(account, now)
        }
    }

    /// Of what is no service, with nothing known of it yet: a task, or what schedules start.
    pub fn without_service(account: Result<AccountId, Unreached>, now: Millis) -> Self {
        Self {
            checked_at: now,
            facts_checked_at: now,
            account,
            service: Reading::Absent,
            revisions: BTreeMap::new(),
            newest: Some(Reading::Absent),
            group: None,
            balancing: None,
            alarms: BTreeMap::new(),
            service_deployments: Reading::Absent,
            lookback: Lookback::Listed,
            tasks: Reading::Absent,
            images: Vec::new(),
            ancestry: BTreeMap::new(),
            memory: None,
            earlier: None,
            interim: Vec::new(),
            scalable_target: None,
            model_service: None,
            schedules: BTreeMap::new(),
            answers: Answers::default(),
        }
    }
}

/// Within what an autoscaler sets the count of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalableTarget {
    pub least: u32,
    pub most: u32,
}

/// Whether what was found is all that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    /// Why something may be missing.
    Incomplete(String),
}

/// The commits that are declared of a target's images, by the name of the image.
pub type DeclaredCommits = BTreeMap<String, Commit>;

/// What earlier commits of the infrastructure repository declared for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Newest declaration first, each once.
    pub declarations: Vec<DeclaredCommits>,
    /// Whether the history was read to its beginning: otherwise older declarations are unknown.
    pub is_complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestry {
    Ancestor,
    NotAncestor,
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub arn: String,
    pub status: ServiceStatus,
    pub controller: Controller,
    pub strategy: DeploymentStrategy,
    pub scheduling: Scheduling,
    /// `None` where capacity providers are in its place.
    pub launch_type: Option<String>,
    pub task_definition: TaskDefinitionArn,
    pub desired_count: i32,
    pub running_count: i32,
    pub pending_count: i32,
    pub circuit_breaker: CircuitBreaker,
    /// Whether deployment alarms roll back.
    pub alarms_roll_back: bool,
    /// `Service.deployments[]`, the PRIMARY first; the task sets of a service that CodeDeploy deploys.
    pub deployments: Vec<Deployment>,
    /// The fields that a repository may own, as described.
    pub settings: Value,
    /// The ARN of its newest service deployment, where AWS tells.
    pub newest_deployment: Option<String>,
    /// The last messages of the scheduler, newest first, for people.
    pub events: Vec<String>,
}

impl Service {
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.status == DeploymentStatus::Primary)
    }

    /// Whether ECS itself rolls a failed deployment back; what CodeDeploy undoes is seen on its deployments.
    pub fn rolls_back_by_itself(&self) -> bool {
        self.controller == Controller::Ecs
            && ((self.circuit_breaker.enabled && self.circuit_breaker.rollback) || self.alarms_roll_back)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CircuitBreaker {
    pub enabled: bool,
    pub rollback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    Ecs,
    CodeDeploy,
    External,
}

impl Controller {
    /// The words of the Amazon ECS API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ecs => "ECS",
            Self::CodeDeploy => "CODE_DEPLOY",
            Self::External => "EXTERNAL",
        }
    }
}

/// `deploymentConfiguration.strategy` of a service that ECS itself deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentStrategy {
    Rolling,
    BlueGreen,
    Canary,
    Linear,
    /// A value newer than this program.
    Unknown,
}

impl DeploymentStrategy {
    /// The words of the Amazon ECS API; none is rolling.
    pub fn parse(word: Option<&str>) -> Self {
        match word {
            None | Some("ROLLING") => Self::Rolling,
            Some("BLUE_GREEN") => Self::BlueGreen,
            Some("CANARY") => Self::Canary,
            Some("LINEAR") => Self::Linear,
            Some(_) => Self::Unknown,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Rolling => "ROLLING",
            Self::BlueGreen => "BLUE_GREEN",
            Self::Canary => "CANARY",
            Self::Linear => "LINEAR",
            Self::Unknown => "a strategy that this version does not know",
        }
    }

    /// The word of the files.
    pub fn declared_as(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::BlueGreen => "blueGreen",
            Self::Canary => "canary",
            Self::Linear => "linear",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    Replica,
    Daemon,
}

/// One entry of `Service.deployments[]` or of `Service.taskSets[]`. Its own desired count is left out: it is 0 until the
/// scheduler has come to it, so that only that of the service says how many tasks there are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub id: DeploymentId,
    pub status: DeploymentStatus,
    pub task_definition: TaskDefinitionArn,
    pub rollout: Option<RolloutState>,
    pub running: i32,
    pub failed_tasks: i32,
    /// Of a task set.
    pub load_balancer: Option<LoadBalancer>,
    pub created_at: Millis,
    pub updated_at: Millis,
}

/// Where the tasks of a task set get their traffic from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    pub target_group: String,
    pub container: String,
    pub port: i32,
}

impl LoadBalancer {
    /// The name in the ARN of the target group: `...:targetgroup/<name>/<id>`.
    pub fn target_group_name(&self) -> &str {
        self.target_group.split('/').nth(1).unwrap_or(&self.target_group)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentStatus {
    Primary,
    Active,
    /// Its tasks are on their way out: INACTIVE, or DRAINING where it is a task set.
    Inactive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutState {
    InProgress,
    Completed,
    Failed,
}

/// One entry of `ListServiceDeployments`, described, with the revision behind its target; or one deployment of
/// CodeDeploy with what became of its rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDeployment {
    pub arn: String,
    pub status: ServiceDeploymentStatus,
    pub reason: Option<String>,
    /// The task definition of the target service revision; `None` when AWS no longer has that.
    pub target: Option<TaskDefinitionArn>,
    pub sources: Vec<TaskDefinitionArn>,
    /// Digests that ECS resolved for the target, by container.
    pub digests: BTreeMap<String, Digest>,
    /// Why it ended badly, in AWS's words: for people.
    pub failure: Option<Cause>,
    /// The breaker or an alarm ended it.
    pub monitor_triggered: bool,
    pub target_running: i32,
    /// With CodeDeploy only.
    pub shift: Option<Shift>,
    pub created_at: Millis,
    pub finished_at: Option<Millis>,
}

impl ServiceDeployment {
    /// Whether it is over, and will be described the same from now on. Of one that has succeeded before a task ran, that one runs may
    /// still be seen, and only tasks tell which image a tag stands for.
    pub fn says_no_more(&self) -> bool {
        let has_run = self.target_running > 0 || self.status != ServiceDeploymentStatus::Successful;
        self.status.is_over() && has_run && !self.digests.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceDeploymentStatus {
    Pending,
    InProgress,
    Successful,
    StopRequested,
    Stopped,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
    /// A value newer than this program: neither ended nor a success.
    Unknown,
}

impl ServiceDeploymentStatus {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Successful | Self::Stopped | Self::RollbackSuccessful | Self::RollbackFailed)
    }
}

/// One revision of a task definition, as described.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    pub arn: TaskDefinitionArn,
    pub active: bool,
    /// The `RegisterTaskDefinition` input it amounts to: response-only keys removed, tags apart.
    pub input: Value,
    pub tags: BTreeMap<String, String>,
    /// The ARN of who registered it, where AWS still tells.
    pub registered_by: Option<String>,
}

/// What trueup remembers on a revision that it registered. See [`crate::documents::memory`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// That of the first image.
    pub commit: Commit,
    /// Of images whose commit is another one, by their name.
    pub commits: BTreeMap<String, Commit>,
    pub content: ContentHash,
    /// What git declared when it was registered; `None` on revisions that 0.1 registered.
    pub declared: Option<DeclarationHash>,
    /// Whether it says which service it was registered for; 0.1 did not.
    pub names_service: bool,
    pub applied: Option<Applied>,
    pub outcome: Option<Outcome>,
    /// The last deployment of ours that came to its end here; `None` where only 0.1 recorded any.
    pub ended: Option<Ended>,
    /// The failed deployment after which a person asked for another try.
    pub retry: Option<String>,
    /// The service settings that go with it.
    pub settings: Option<SettingsStamp>,
    /// The last task that was asked for, where it is not a service that runs it.
    pub run: Option<RunStamp>,
    /// How a run of it ended that a rule or a schedule has started.
    pub last_run: Option<LastRun>,
}

impl Memory {
    /// The commit that an image of this name was registered for.
    pub fn commit_of(&self, image: &str) -> &Commit {
        self.commits.get(image).unwrap_or(&self.commit)
    }

    /// 0 where it was never stamped.
    pub fn generation(&self) -> u64 {
        self.applied.as_ref().map_or(0, |applied| applied.generation)
    }

    /// Whether the deployment that the stamp was written for has come to its end.
    pub fn has_ended(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.generation == self.generation())
    }

    /// Whether this deployment has ended and was ours.
    /// The attempt that is due: one more for each that a person has answered with another try.
    pub fn attempt(&self) -> u64 {
        let answered = self.retry.as_deref().and_then(|text| text.parse::<u64>().ok());
        answered.unwrap_or_default().saturating_add(1)
    }

    /// How an attempt ended, if that is on record.
    pub fn outcome_of(&self, attempt: u64) -> Option<&Outcome> {
        let is_of = self.ended.as_ref().is_some_and(|ended| ended.generation == attempt);
        self.outcome.as_ref().filter(|_| is_of)
    }

    /// Whether this deployment has ended and was ours.
    pub fn has_brought(&self, deployment: &str) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.deployment == deployment)
    }
}

/// The stamp that is written before each deployment to the revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub generation: u64,
    pub infra_commit: Option<InfraCommit>,
    /// The deployment that was live when the stamp was written.
    pub live_then: DeploymentId,
    /// What was live then; `None` on stamps by 0.1. AWS forgets it when the task set is gone.
    pub from: Option<TaskDefinitionArn>,
    /// When it was written, in AWS's time, to the second; `None` on stamps by 0.1.
    pub at: Option<Millis>,
    /// How often in a row somebody else had undone what is declared.
    pub rounds: u32,
    /// Which alerts were taken, of this and what came after it; `None`: nobody received any.
    pub receipts: Option<Receipts>,
}

/// What is known of the task of an attempt. It is written before the task is asked for, and again with what became of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStamp {
    /// From 1: one more for each time that a person has asked for another one.
    pub attempt: u64,
    /// How often AWS found no place for it in this attempt.
    pub refusals: u32,
    /// When it was asked for, in AWS's time, to the second.
    pub asked_at: Millis,
    pub standing: RunStanding,
    /// Where it was asked for: an attempt stays in its cluster, whatever is declared by now.
    pub cluster: ClusterName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStanding {
    /// It is being asked for: AWS may have started it or not.
    Asked,
    /// AWS found no place for it, and has started nothing.
    Refused,
    /// The id of the task.
    Started(String),
}

/// What AWS answered to `RunTask`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAnswer {
    /// The id of the task: a new one, or that of the first call with this token.
    Started(String),
    /// No place was found for it. The token stands for that from now on.
    NoPlace(String),
}

/// Which service settings were to be sent, and whether they were seen on the service since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsStamp {
    pub hash: String,
    pub done: bool,
}

/// A deployment of ours that has ended, and the stamp that was written for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub generation: u64,
    pub deployment: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub result: OutcomeKind,
    pub deployment: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    Succeeded,
    Failed,
    /// Stopped by trueup for a newer one: no failure.
    Superseded,
}

impl OutcomeKind {
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Superseded];

    /// A word that is stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub arn: String,
    pub task_definition: TaskDefinitionArn,
    /// The deployment it belongs to: `ecs-svc/<digits>`.
    pub started_by: Option<DeploymentId>,
    pub last_status: String,
    pub desired_status: String,
    pub health: TaskHealth,
    pub containers: Vec<TaskContainer>,
    pub stop_code: Option<String>,
    pub stopped_reason: Option<String>,
    pub started_at: Option<Millis>,
    pub stopped_at: Option<Millis>,
}

impl Task {
    /// The last part of its ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or(&self.arn)
    }

    pub fn is_running(&self) -> bool {
        self.last_status == "RUNNING"
    }

    /// Whether its containers run while a load balancer lets go of it, for minutes: it still answers what it was asked
    /// before (Amazon ECS developer guide, "Amazon ECS task lifecycle").
    pub fn is_draining(&self) -> bool {
        let exited = self.containers.iter().any(|container| container.exit_code.is_some());
        self.last_status == "DEACTIVATING" && self.started_at.is_some() && !exited
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskHealth {
    Healthy,
    Unhealthy,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskContainer {
    pub name: String,
    pub image: String,
    pub digest: Option<Digest>,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    /// Of its runtime: the name of its log stream where that has no prefix.
    pub runtime_id: Option<String>,
}

/// What ECR says about one desired image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedImage {
    pub repository: Reading<Repository>,
    /// What the commit tag points at.
    pub built: Reading<Image>,
    /// By which tag that was found.
    pub tag_match: TagMatch,
    /// What the environment tag points at.
    pub tagged: Reading<Image>,
    /// What the other name of the image points at; `None` where no file gives one.
    pub stated: Option<Reading<Image>>,
    /// Images looked up because something runs them, by digest.
    pub known: BTreeMap<Digest, Reading<Image>>,
}

impl ObservedImage {
    /// The tag in the registry that names the declared commit.
    pub fn commit_tag<'a>(&'a self, wanted: &'a DesiredImage) -> &'a Tag {
        match &self.tag_match {
            TagMatch::Longer(tag) => tag,
            _ => &wanted.commit_tag,
        }
    }
}

/// How a commit was looked for in the registry: people write some of its digits, and builds tag with more or fewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagMatch {
    /// By the commit tag as declared, and by no other.
    Exact,
    /// No such tag, and of those with more digits only one image's fits.
    Longer(Tag),
    /// Tags with more digits fit, and they are on several images. Some of them.
    Several(Vec<Tag>),
    /// Only a tag with fewer digits than are declared fits: it may be another commit's.
    Shorter(Tag),
    /// The repository has more tags than are looked through.
    TooMany,
}

/// Tags of a repository that begin alike, and the images that they are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    pub found: Vec<(Tag, Digest)>,
    /// How many pages were read.
    pub pages: u32,
    /// Whether all tags of the repository were looked through.
    pub is_complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    pub name: RepositoryName,
    /// `<account>.dkr.ecr.<region>.<suffix>/<name>`.
    pub uri: String,
    /// Tags that cannot move once set.
    pub mutability: Mutability,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutability {
    pub mutable_by_default: bool,
    /// Wildcards for which the opposite holds.
    pub exceptions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub digest: Digest,
    pub tags: BTreeSet<Tag>,
    pub archived: bool,
    pub pushed_at: Millis,
    /// Manifests of an index: digest and platform. Of a single image its own, where that was asked for and told.
    pub platforms: Vec<Platform>,
}

impl Image {
    /// Whether the digest is that of the image, or of one of the platforms of this index.
    pub fn is(&self, digest: &Digest) -> bool {
        self.digest == *digest
            || self.platforms.iter().any(|platform| platform.digest.as_ref() == Some(digest))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `None` for a single manifest, whose platform its config names.
    pub digest: Option<Digest>,
    pub os: String,
    pub architecture: String,
}

impl Mutability {
    /// Whether a tag that exists can be pointed at another image. `*` in an exception stands for any text
    /// (Amazon ECR user guide, "Preventing image tags from being overwritten").
    pub fn can_move(&self, tag: &Tag) -> bool {
        let excepted = self.exceptions.iter().any(|pattern| matches_wildcard(pattern, tag.as_str()));
        self.mutable_by_default != excepted
    }
}

/// `*` stands for any text, as in the patterns of Amazon ECR.
pub fn matches_wildcard(pattern: &str, text: &str) -> bool {
    wildcard(pattern.as_bytes(), text.as_bytes())
}

fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| wildcard(rest, &text[skipped..])),
        Some((byte, rest)) => text.first() == Some(byte) && wildcard(rest, &text[1..]),
    }
}
