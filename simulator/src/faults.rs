//! What goes wrong on purpose, and when it is over. Nothing goes wrong unless it was asked for.
//!
//! Refusals and lost answers meet calls and are used up by them; what is said of an image or of a kind of read lasts
//! until its time has passed or [`World::heal`].

use crate::world::{Api, AwsError, Repeat, World};

/// The code of a call whose answer is lost. No client ever sees it: behind HTTP the connection breaks.
pub const LOST: &str = "SimulatedLostAnswer";

/// Something that goes wrong on purpose. An `operation` of `*` means any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next `times` calls of the operation are throttled.
    Throttle { operation: String, times: u32 },
    /// The next call of the operation has its effect, and its answer is lost.
    LoseAnswer { operation: String },
    /// The next call of the operation has no effect, and the client sees the same as with a lost answer.
    LoseRequest { operation: String },
    /// The next `times` calls of the operation fail inside AWS, without an effect.
    ServerError { operation: String, times: u32 },
    /// The next `times` calls of the operation are not allowed.
    Deny { operation: String, times: u32 },
    /// The next `times` calls of the operation are not taken: a `ClientException`, with this message.
    Refuse { operation: String, message: String, times: u32 },
    /// The next `times` calls of any operation come with credentials that have expired.
    ExpiredToken { times: u32 },
    /// Containers of this image run and exit with the code so many seconds later, one at least.
    Crash { digest: String, exit_code: i64, after_seconds: u64 },
    /// Containers of this image write this when they begin, line by line.
    Says { digest: String, text: String },
    /// Containers of this image run and answer nobody: checks of a target time out, and health checks fail.
    Silent { digest: String },
    /// Containers of this image run, but neither their health check nor their target ever becomes healthy.
    Unhealthy { digest: String },
    /// The image cannot be pulled.
    CannotPull { digest: String },
    /// Tasks whose containers name this secret (`valueFrom`) cannot start.
    NoSecret { name: String },
    /// This log group is not there: tasks whose containers log to it cannot start, unless they have AWS make it, what runs writes
    /// nothing to it, and its logs cannot be read.
    NoLogGroup { name: String },
    /// Tasks of services find no place, for this reason: on Fargate that of the task, elsewhere what is said of the instance that
    /// comes closest, which may be nothing.
    NoPlace { reason: String },
    /// The next `times` calls of `RunTask` that could start tasks find no place for them: `failures` with this reason.
    NoCapacity { reason: String, times: u32 },
    /// The next `times` calls of `PutTargets` that could put targets put none: `FailedEntries` with this code and message.
    FailEntries { code: String, message: String, times: u32 },
    /// `ListTasks` with `startedBy` refuses a `desiredStatus` beside it. Its model says that `startedBy` must be the only
    /// filter, and clients are seen to send both.
    StrictStartedBy,
    /// The function that a hook calls reports a failure.
    HookFails { function: String },
    /// The function that a hook calls never answers by itself.
    HookSilent { function: String },
    /// A push of an immutable tag that is on the image already is refused like one that would move it.
    TagExists,
    /// The index of tags does not tell of INACTIVE revisions: AWS does not document which.
    InactiveUnindexed,
    /// Until so many virtual seconds have passed, reads of this kind see the world as it was at the injection.
    Stale { kind: ReadKind, seconds: u64 },
}

/// Reads that grow stale together. AWS promises no order between them (Amazon ECS API reference, "eventual
/// consistency" in `RunTask` and `DescribeTasks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadKind {
    /// `DescribeServices`, `ListServices`.
    Services,
    /// `ListServiceDeployments`, `DescribeServiceDeployments`, `DescribeServiceRevisions`.
    ServiceDeployments,
    /// `ListTasks`, `DescribeTasks`.
    Tasks,
    /// `ListTaskDefinitions`, `ListTaskDefinitionFamilies`.
    TaskDefinitionList,
    /// `DescribeTaskDefinition` and `ListTagsForResource`: the tags of a revision change, the rest never does.
    TaskDefinition,
    /// `DescribeImages`, `ListImages`, `BatchGetImage`.
    Images,
    /// Deployments of `CodeDeploy` and their targets.
    Deployments,
    /// Applications and deployment groups.
    DeploymentGroups,
    /// `GetResources`: the index of tags.
    TagIndex,
    /// Rules with their targets, and schedules.
    Schedules,
}

impl ReadKind {
    fn of(api: Api, operation: &str) -> Option<Self> {
        Some(match (api, operation) {
            (Api::Ecs, "DescribeServices" | "ListServices") => Self::Services,
            (
                Api::Ecs,
                "ListServiceDeployments" | "DescribeServiceDeployments" | "DescribeServiceRevisions",
            ) => Self::ServiceDeployments,
            (Api::Ecs, "ListTasks" | "DescribeTasks") => Self::Tasks,
            (Api::Ecs, "ListTaskDefinitions" | "ListTaskDefinitionFamilies") => Self::TaskDefinitionList,
            (Api::Ecs, "DescribeTaskDefinition" | "ListTagsForResource") => Self::TaskDefinition,
            (Api::Ecr, "DescribeImages" | "ListImages" | "BatchGetImage") => Self::Images,
            (
                Api::CodeDeploy,
                "ListDeployments"
                | "GetDeployment"
                | "BatchGetDeployments"
                | "ListDeploymentTargets"
                | "GetDeploymentTarget"
                | "BatchGetDeploymentTargets",
            ) => Self::Deployments,
            (Api::CodeDeploy, "GetApplication" | "GetDeploymentGroup" | "BatchGetDeploymentGroups") => {
                Self::DeploymentGroups
            }
            (Api::Tagging, "GetResources") => Self::TagIndex,
            (Api::Events, "DescribeRule" | "ListRules" | "ListTargetsByRule")
            | (Api::Scheduler, "GetSchedule") => Self::Schedules,
            _ => return None,
        })
    }
}

/// What every API may answer instead of doing anything ("Common errors" of each API reference). The query protocol has
/// other words for it than JSON, and codes of HTTP of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Throttled,
    Failed,
    Denied,
    Refused(String),
    Expired,
    Lost,
}

impl Refusal {
    /// `what` is not allowed.
    pub(crate) fn told(self, api: Api, what: &str) -> AwsError {
        let query = matches!(api, Api::Elb | Api::Sts | Api::Iam | Api::Sns | Api::CloudWatch | Api::Ec2);
        let (json, short, status) = match &self {
            Self::Throttled if api == Api::Tagging => ("ThrottledException", "", 400),
            Self::Throttled if api == Api::Sns => ("", "Throttled", 429),
            Self::Throttled if api == Api::Ec2 => ("", "RequestLimitExceeded", 503),
            Self::Denied if api == Api::Ec2 => ("", "UnauthorizedOperation", 403),
            Self::Failed if api == Api::Ec2 => ("", "InternalError", 500),
            Self::Throttled if api == Api::Lambda => ("TooManyRequestsException", "", 429),
            Self::Throttled => ("ThrottlingException", "Throttling", 400),
            Self::Failed if api == Api::Logs => ("ServiceUnavailableException", "", 500),
            // `ServerException` is declared by ECS and ECR alone.
            Self::Failed if matches!(api, Api::Ecs | Api::Ecr) => ("ServerException", "", 500),
            Self::Failed if matches!(api, Api::Secrets | Api::Parameters) => ("InternalServerError", "", 500),
            Self::Failed if api == Api::Sns => ("", "InternalError", 500),
            Self::Denied if api == Api::Sns => ("", "AuthorizationError", 403),
            Self::Failed if api == Api::Iam => ("", "ServiceFailure", 500),
            Self::Failed if matches!(api, Api::Tagging | Api::Scaling) => {
                ("InternalServiceException", "", 500)
            }
            Self::Failed if api == Api::Events => ("InternalException", "", 500),
            Self::Failed if api == Api::CloudWatch => ("", "InternalServiceError", 500),
            Self::Failed if api == Api::Lambda => ("ServiceException", "", 500),
            Self::Failed if api == Api::Scheduler => ("InternalServerException", "", 500),
            Self::Failed => ("InternalFailure", "InternalFailure", 500),
            Self::Refused(_) => ("ClientException", "ClientException", 400),
            Self::Denied => ("AccessDeniedException", "AccessDenied", if query { 403 } else { 400 }),
            Self::Expired => ("ExpiredTokenException", "ExpiredToken", if query { 403 } else { 400 }),
            Self::Lost => return lost(),
        };
        let message = match &self {
            Self::Refused(message) => message,
            Self::Throttled => "Rate exceeded",
            Self::Failed => "Service Unavailable. Please try again later.",
            Self::Denied => what,
            Self::Expired | Self::Lost => "The security token included in the request is expired",
        };
        AwsError::with_status(if query { short } else { json }, message, status)
    }
}

/// What a function does that a hook calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Fails,
    Silent,
}

/// The faults of one world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    active: Vec<Fault>,
    stale: Vec<Stale>,
}

#[derive(Clone, Debug)]
struct Stale {
    kind: ReadKind,
    until: u64,
    seen: Box<World>,
}

fn means(asked: &str, called: &str) -> bool {
    asked == "*" || asked == called
}

impl Fault {
    /// Why a call that meets this fault is refused; the call has no effect.
    fn refusal(&self, called: &str) -> Option<Refusal> {
        match self {
            Self::Throttle { operation, .. } if means(operation, called) => Some(Refusal::Throttled),
            Self::ServerError { operation, .. } if means(operation, called) => Some(Refusal::Failed),
            Self::Deny { operation, .. } if means(operation, called) => Some(Refusal::Denied),
            Self::Refuse { operation, message, .. } if means(operation, called) => {
                Some(Refusal::Refused(message.clone()))
            }
            Self::ExpiredToken { .. } => Some(Refusal::Expired),
            Self::LoseRequest { operation } if means(operation, called) => Some(Refusal::Lost),
            _ => None,
        }
    }

    /// One use less; whether any is left.
    fn outlives_a_call(&mut self) -> bool {
        match self {
            Self::Throttle { times, .. }
            | Self::ServerError { times, .. }
            | Self::Deny { times, .. }
            | Self::Refuse { times, .. }
            | Self::NoCapacity { times, .. }
            | Self::FailEntries { times, .. }
            | Self::ExpiredToken { times } => {
                *times = times.saturating_sub(1);
                *times > 0
            }
            Self::LoseAnswer { .. } | Self::LoseRequest { .. } => false,
            Self::Crash { .. }
            | Self::Says { .. }
            | Self::Silent { .. }
            | Self::Unhealthy { .. }
            | Self::CannotPull { .. }
            | Self::NoSecret { .. }
            | Self::NoLogGroup { .. }
            | Self::NoPlace { .. }
            | Self::StrictStartedBy
            | Self::HookFails { .. }
            | Self::HookSilent { .. }
            | Self::TagExists
            | Self::InactiveUnindexed
            | Self::Stale { .. } => true,
        }
    }

    fn is_void(&self) -> bool {
        match self {
            Self::Throttle { times, .. }
            | Self::ServerError { times, .. }
            | Self::Deny { times, .. }
            | Self::Refuse { times, .. }
            | Self::NoCapacity { times, .. }
            | Self::FailEntries { times, .. }
            | Self::ExpiredToken { times } => *times == 0,
            _ => false,
        }
    }
}

impl Faults {
    /// The fault that was injected first goes first.
    pub(crate) fn refusal(&mut self, called: &str) -> Option<Refusal> {
        let (index, refusal) = self
            .active
            .iter()
            .enumerate()
            .find_map(|(index, fault)| Some((index, fault.refusal(called)?)))?;
        self.spend(index);
        Some(refusal)
    }

    fn spend(&mut self, index: usize) {
        if self.active.get_mut(index).is_some_and(|fault| !fault.outlives_a_call()) {
            self.active.remove(index);
        }
    }

    fn loses_answer(&mut self, called: &str) -> bool {
        let lost =
            |fault: &Fault| matches!(fault, Fault::LoseAnswer { operation } if means(operation, called));
        let found = self.active.iter().position(lost);
        found.map(|index| self.spend(index)).is_some()
    }

    /// The exit code with which a container of this image dies that has been running for `age` seconds.
    pub(crate) fn crash(&self, running: &str, age: u64) -> Option<i64> {
        self.active.iter().find_map(|fault| match fault {
            Fault::Crash { digest, exit_code, after_seconds }
                if digest == running && age >= (*after_seconds).max(1) =>
            {
                Some(*exit_code)
            }
            _ => None,
        })
    }

    pub(crate) fn is_unhealthy(&self, running: &str) -> bool {
        let is_sick = |fault: &Fault| matches!(fault, Fault::Unhealthy { digest } if digest == running);
        self.active.iter().any(is_sick) || self.is_silent(running)
    }

    pub(crate) fn is_silent(&self, running: &str) -> bool {
        self.active.iter().any(|fault| matches!(fault, Fault::Silent { digest } if digest == running))
    }

    /// What containers of this image write beside what all do.
    pub(crate) fn says<'f>(&'f self, running: &str) -> impl Iterator<Item = &'f str> {
        let said = self.active.iter().filter_map(move |fault| match fault {
            Fault::Says { digest, text } if digest == running => Some(text.lines()),
            _ => None,
        });
        said.flatten()
    }

    /// What the function of a hook does other than to succeed.
    pub(crate) fn hook(&self, called: &str) -> Option<Hook> {
        self.active.iter().find_map(|fault| match fault {
            Fault::HookFails { function } if function == called => Some(Hook::Fails),
            Fault::HookSilent { function } if function == called => Some(Hook::Silent),
            _ => None,
        })
    }

    /// Whether anything is to go wrong.
    pub(crate) fn has_any(&self) -> bool {
        !self.active.is_empty()
    }

    /// Why no place is found for the tasks of a call.
    pub(crate) fn takes_capacity(&mut self) -> Option<String> {
        let reason = |fault: &Fault| match fault {
            Fault::NoCapacity { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        let found = self.active.iter().enumerate().find_map(|(index, fault)| Some((index, reason(fault)?)));
        found.map(|(index, reason)| {
            self.spend(index);
            reason
        })
    }

    /// Code and message of what is refused of targets.
    pub(crate) fn fails_entries(&mut self) -> Option<(String, String)> {
        let said = |fault: &Fault| match fault {
            Fault::FailEntries { code, message, .. } => Some((code.clone(), message.clone())),
            _ => None,
        };
        let found = self.active.iter().enumerate().find_map(|(index, fault)| Some((index, said(fault)?)));
        found.map(|(index, said)| {
            self.spend(index);
            said
        })
    }

    pub(crate) fn hides_secret(&self, wanted: &str) -> bool {
        self.active.iter().any(|fault| matches!(fault, Fault::NoSecret { name } if name == wanted))
    }

    pub(crate) fn hides_log_group(&self, wanted: &str) -> bool {
        self.active.iter().any(|fault| matches!(fault, Fault::NoLogGroup { name } if name == wanted))
    }

    /// Why tasks of services find no place.
    pub(crate) fn no_place(&self) -> Option<&str> {
        self.active.iter().find_map(|fault| match fault {
            Fault::NoPlace { reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    pub(crate) fn has_strict_started_by(&self) -> bool {
        self.active.contains(&Fault::StrictStartedBy)
    }

    pub(crate) fn repeated_push(&self) -> Repeat {
        if self.active.contains(&Fault::TagExists) { Repeat::TagExists } else { Repeat::ImageExists }
    }

    pub(crate) fn index_has_inactive(&self) -> bool {
        !self.active.contains(&Fault::InactiveUnindexed)
    }

    pub(crate) fn cannot_pull(&self, wanted: &str) -> bool {
        self.active.iter().any(|fault| matches!(fault, Fault::CannotPull { digest } if digest == wanted))
    }
}

fn lost() -> AwsError {
    AwsError::client(LOST, "the connection is closed")
}

impl World {
    pub fn inject(&mut self, fault: Fault) {
        let Fault::Stale { kind, seconds } = fault else {
            if !fault.is_void() {
                self.faults.active.push(fault);
            }
            return;
        };
        let mut seen = self.clone();
        seen.heal();
        // The later snapshot of a kind is the one that counts.
        self.faults.stale.retain(|older| older.kind != kind);
        let until = self.now.saturating_add(seconds);
        self.faults.stale.push(Stale { kind, until, seen: Box::new(seen) });
    }

    /// How many faults there are that have not been used up.
    pub fn active_faults(&self) -> usize {
        self.faults.active.len() + self.faults.stale.iter().filter(|stale| stale.until > self.now).count()
    }

    /// Nothing goes wrong any more: all faults are gone. What they have done stays.
    pub fn heal(&mut self) {
        self.faults = Faults::default();
    }

    /// After a call: whether its answer is lost.
    pub(crate) fn lost_answer(&mut self, operation: &str) -> Option<AwsError> {
        self.faults.loses_answer(operation).then(lost)
    }

    /// The world as reads of this kind see it, if that is not the present one.
    pub(crate) fn stale(&mut self, api: Api, operation: &str) -> Option<&mut World> {
        let (kind, now) = (ReadKind::of(api, operation)?, self.now);
        let stale = self.faults.stale.iter_mut().find(|stale| stale.kind == kind && stale.until > now);
        stale.map(|stale| stale.seen.as_mut())
    }

    /// Drops the pasts that no read sees any more.
    pub(crate) fn forget_stale(&mut self) {
        let now = self.now;
        self.faults.stale.retain(|stale| stale.until > now);
    }
}
