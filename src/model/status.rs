//! What is said about a target: the four truths, the comparison, the health, and why nothing is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{
    Cause, Commit, Digest, InfraCommit, LastRun, Millis, ReceiptRecord, RepositoryName, Share, Shift,
    Suspension, Tag, TagMatch, Target, TaskDefinitionArn, Unreached,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    Synced,
    OutOfSync,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Progressing,
    Degraded,
    Suspended,
    Missing,
    Unknown,
}

/// The status of one target, computed afresh from one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub target: Target,
    /// When the service was read: what is deployed.
    pub checked_at: Millis,
    /// When tags, tasks and images were read: what is tagged and running.
    pub facts_checked_at: Millis,
    pub declared: Option<Commit>,
    /// Commits of more digits that the declared one stands for, by the tags of its image.
    pub stands_for: Vec<Commit>,
    pub tagged: Option<Commit>,
    pub deployed: Option<TaskDefinitionArn>,
    pub running: Vec<Running>,
    pub desired_count: i32,
    pub sync: Sync,
    pub health: Health,
    pub conditions: Vec<Condition>,
    pub waiting: Option<Waiting>,
    pub last_deployment: Option<LastDeployment>,
    /// What was changed outside trueup; empty where the policy is to ignore it.
    pub drift: Vec<Difference>,
    /// The outcome of the last deployment is recorded: it has been reported before.
    pub is_recorded: bool,
    /// Whether a task of what is live has been healthy, now or by what is on record.
    pub proof: Proof,
    /// Since when tasks fail without any deployment being to blame, as far as AWS still shows.
    pub failing_since: Option<Millis>,
    /// Why they do; empty where none fails.
    pub failing_causes: Vec<Cause>,
    /// Why the deployment failed or the service is degraded.
    pub causes: Vec<Cause>,
    /// Of a task that EventBridge starts: how its last run ended, as far as anybody knows.
    pub last_run: Option<LastRun>,
    /// What last succeeded here and runs, by repository: what the environment tag belongs on.
    pub good: BTreeMap<RepositoryName, Digest>,
    /// Anything of it was read: not where the files do not even tell where it runs.
    pub is_observed: bool,
    /// Since when it has been as it is: what runs well since the end of the deployment that brought it, what goes on since its
    /// start. `None` where AWS does not tell.
    pub since: Option<Millis>,
    /// A commit that failed here, whatever runs in its place.
    pub hold: Option<Hold>,
    /// What could not be read.
    pub unread: BTreeSet<Truth>,
    /// Deployments whose alerts are to arrive.
    pub kept: Vec<ReceiptRecord>,
}

impl Status {
    /// Whether the newest deployment waits for somebody's word.
    pub fn awaits_approval(&self) -> bool {
        let shift = self.last_deployment.as_ref().and_then(|last| last.shift.as_ref());
        shift.is_some_and(|shift| !shift.pauses.is_empty())
    }
}

/// A failed commit that is not tried again by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub commit: Commit,
    /// The deployment that failed.
    pub deployment: Option<String>,
    /// When it had failed, as long as AWS lists it.
    pub since: Option<Millis>,
}

/// What is told of a target besides what git declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    Tagged,
    Deployed,
    Running,
}

/// Whether anything shows that what is live works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Proven,
    /// No task of it was ever seen to be healthy: the desired count is 0, or was until now.
    Unproven,
}

/// Tasks that run one digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The declared commit first if it is among them.
    pub commits: Vec<Commit>,
    pub source: CommitSource,
    pub digest: Option<Digest>,
    pub tasks: usize,
    /// Of the production traffic while it is shifted, as far as that was read.
    pub production: Option<Share>,
    /// Beside those, tasks that a load balancer is letting go: they run, and get nothing new.
    pub draining: usize,
}

/// Who names the commits of what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitSource {
    /// ECR's tags of the digest.
    Registry,
    /// The task definition's tag alone: the image has been removed from the registry.
    RevisionOfRemoved,
    /// The task definition's tag alone: the image is there, and no commit tag is on it any more.
    RevisionOfUntagged,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub kind: ConditionKind,
    pub is_true: bool,
    /// PascalCase.
    pub reason: &'static str,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionKind {
    Ready,
    Reconciling,
    Stalled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastDeployment {
    /// `None` while AWS's list of deployments has not caught up with the service, which gives it another name.
    pub id: Option<String>,
    pub commit: Option<Commit>,
    pub phase: Phase,
    /// Where it stands; with CodeDeploy only.
    pub shift: Option<Shift>,
    pub started_by: StartedBy,
    /// The infra commit that its revision was stamped with; `None` where trueup did not start it.
    pub infra: Option<InfraCommit>,
    pub started_at: Millis,
    pub ended_at: Option<Millis>,
    /// The commit that ran here before a deployment of trueup, where trueup had deployed that too. `None` as well where the deployment
    /// only restores what somebody else had changed.
    pub replaces: Option<Commit>,
    /// Why it failed or is rolled back.
    pub causes: Vec<Cause>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartedBy {
    Trueup,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Pending,
    InProgress,
    Succeeded,
    RollingBack,
    RolledBack,
    Failed,
    Superseded,
    Unknown,
}

impl Phase {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::RolledBack | Self::Failed | Self::Superseded)
    }
}

/// A declared value that the live service does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Such as `containers[api].environment.LOG_LEVEL`.
    pub field: String,
    pub live: Option<String>,
    pub desired: Option<String>,
}

/// A commit tag, where it was and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTag {
    pub repository: String,
    pub tag: String,
    /// The revision that was deployed here for the commit, and the key of its tag that says so.
    pub revision: TaskDefinitionArn,
    pub key: String,
    pub deployed: Digest,
    /// What the tag is on now; `None`: on nothing.
    pub now: Option<Digest>,
}

/// Why nothing is done. Every plan without a step has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Everything is as declared.
    Settled,
    Frozen,
    Observing,
    Suspended(Suspension),
    /// The decision needs the revisions of the family, and this look did not ask for them.
    LookDeeper,
    /// Nobody could read all revisions that trueup has registered here, and what is to be done depends on them.
    MemoryIncomplete {
        why: String,
    },
    /// Somebody else undoes what is declared again and again: two owners fight.
    Contested {
        rounds: u32,
    },
    /// What somebody else undid a moment ago is restored then.
    HealingPaused {
        until: Millis,
    },
    /// A reading failed; nothing is written on half a view.
    Unreadable {
        what: &'static str,
        why: String,
    },
    /// The account, or the region in it, is not reached: only a person can change that.
    Unreached {
        account: Option<String>,
        why: Unreached,
    },
    WrongAccount {
        expected: String,
        actual: String,
    },
    ServiceMissing {
        service: String,
        cluster: String,
    },
    ServiceNotActive,
    /// A kind of service that is only observed.
    UnsupportedController(Controller),
    /// ECS shifts the traffic of the service by itself, which is only observed.
    UnsupportedStrategy(DeploymentStrategy),
    /// The declared strategy is not the one that the service's deployment controller carries out.
    StrategyMismatch {
        declared: &'static str,
        controller: Controller,
    },
    /// The same where ECS itself deploys the service, by a strategy of its own.
    NativeMismatch {
        declared: &'static str,
        strategy: DeploymentStrategy,
    },
    /// There is no such rule or schedule.
    ScheduleMissing {
        schedule: String,
    },
    /// A rule or schedule that starts no task of what is declared, or must not be written to.
    ScheduleUnfit {
        schedule: String,
        why: String,
    },
    /// The CodeDeploy application or group does not exist, and the repository does not say how to make it.
    GroupMissing {
        application: String,
        group: String,
    },
    /// The CodeDeploy group cannot deploy this service.
    GroupUnfit {
        group: String,
        why: String,
    },
    /// Traffic cannot be shifted between the target groups of the service as they are.
    TrafficUnfit {
        why: String,
    },
    /// The rule that production traffic comes by does not lead where the live tasks are, and there alone: another hand moved
    /// it. ECS would start new tasks among those that serve.
    ListenerAstray {
        rule: String,
        /// Target groups with a weight.
        serves: Vec<String>,
        /// The group that has the tasks, where that can be told.
        live: Option<String>,
    },
    /// Alarms are on that would stop a deployment as soon as it begins.
    AlarmActive {
        alarms: Vec<String>,
    },
    ImageNotBuilt {
        repository: String,
        tag: String,
        /// What was found in its place.
        tag_match: TagMatch,
    },
    /// Several images have tags that begin like the declared commit.
    CommitAmbiguous {
        repository: String,
        commit: Commit,
        /// Some of the tags.
        tags: Vec<Tag>,
    },
    /// The commit tag is no longer on the image that was deployed here for the commit.
    CommitTagMoved(Box<MovedTag>),
    /// A file names the image by a tag or digest that is another image than that of the commit.
    ImageDisagrees {
        repository: String,
        tag: String,
    },
    /// It was deployed here before, and is no longer in the registry: a lifecycle policy or a person has removed it.
    ImageRemoved {
        repository: String,
        tag: String,
    },
    /// The image of the last good revision is gone, so that there is nothing to roll back to.
    LastGoodGone {
        revision: String,
    },
    ImageArchived {
        repository: String,
        tag: String,
    },
    RepositoryMissing {
        repository: String,
    },
    PlatformMismatch {
        /// Such as `linux/arm64`; a part that nobody wants is left out.
        wanted: String,
        available: Vec<String>,
    },
    TagImmutable {
        repository: String,
        tag: String,
    },
    ContainerMissing {
        container: String,
        family: String,
    },
    NoBase {
        why: String,
    },
    /// The task definition gives a role to its tasks that the operator's settings do not allow.
    RoleNotAllowed {
        role: String,
    },
    /// The task definition has an image of a repository that the operator's settings do not allow.
    RepositoryNotAllowed {
        repository: String,
    },
    /// What would be sent to AWS cannot run, or is always refused.
    Misfit {
        field: String,
        why: String,
    },
    /// The tags that are kept and declared leave no room for those that trueup needs.
    TooManyTags {
        count: usize,
        most: usize,
    },
    /// A revision that trueup registered is described otherwise than it was sent: its content cannot be known again.
    DescribedOtherwise {
        revision: String,
        fields: Vec<String>,
    },
    /// AWS has refused the next write, so many times in a row.
    Refused {
        what: &'static str,
        why: String,
        times: u32,
        /// When it is tried again.
        until: Millis,
    },
    /// Settings of the service that were sent and are still described otherwise.
    SettingsNotTaken {
        fields: Vec<String>,
    },
    /// A deployment goes on; nothing to do but follow it.
    Deploying {
        phase: Phase,
        commit: Option<Commit>,
        by: StartedBy,
        /// Where it stands; with CodeDeploy only.
        shift: Option<Box<Shift>>,
    },
    /// AWS calls the deployment successful, and its tasks have not run for long enough to believe it.
    Settling {
        commit: Option<Commit>,
        by: StartedBy,
        steady: Duration,
        /// When it is steady if nothing fails until then.
        until: Millis,
    },
    /// A task of ours goes on that is to end by itself.
    Running {
        task: String,
        commit: Commit,
        since: Option<Millis>,
        /// After so long it is stopped; `None`: never.
        timeout: Option<Duration>,
    },
    /// AWS finds no place for a task, so many times in a row.
    NoCapacity {
        why: String,
        times: u32,
        until: Millis,
    },
    /// Whether a task ran, or how it ended, can no longer be found out: a person has to say.
    OutcomeUnknown {
        commit: Commit,
        attempt: u64,
        /// The task, if it is known that there was one.
        task: Option<String>,
        asked_at: Millis,
    },
    /// The service whose network a task is to have cannot lend it.
    NoNetwork {
        why: String,
    },
    /// An older deployment of ours finishes first.
    FinishingFirst {
        /// Where it stands, if traffic is shifted by it.
        shift: Option<Box<Shift>>,
    },
    /// The commit failed here and is not tried again by itself.
    Held {
        commit: Commit,
        deployment: Option<String>,
        /// Why AWS could not go back to what was good, where it could not: what runs may be broken.
        stranded: Option<String>,
    },
    /// Somebody changed it, and `drift` is not `heal`.
    Drifted,
    /// The infra commit on record is not an ancestor of this one: the branch was rewritten, or this clone is behind.
    SourceBehind {
        applied: String,
        /// Whose tag says so.
        revision: TaskDefinitionArn,
    },
    /// A write was made a moment ago and its effect may not be readable yet.
    Consistency {
        what: &'static str,
    },
    /// Another application of the environment shares the tag and has not succeeded on this commit.
    TagShared {
        tag: String,
        with: String,
    },
    /// `rollout` limits, or `after:`.
    Turn {
        why: String,
    },
}

pub use super::{Controller, DeploymentStrategy};
