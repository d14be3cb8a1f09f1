//! Why nothing is written: what each reason comes to, its name, and its words for people.

use super::facts::{HISTORY, IMAGE, REPOSITORY};
use super::shift;
use crate::documents::memory;
use crate::model::{
    Lacking, MovedTag, Phase, StartedBy, Suspension, SuspensionScope, Tag, TagMatch, Target, Unreached,
    Waiting,
};

/// Refusals of one write in a row after which only a person is expected to end it. It is tried again all the same.
const MOST_REFUSALS: u32 = 2;

/// How often AWS may find no place for a task in a row before a person should know: after a quarter of an hour. It is asked
/// again all the same.
const MOST_PLACES: u32 = 6;

/// What a wait comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing is to be done.
    Settled,
    /// It ends by itself.
    Moving,
    /// Another application has to come first.
    Others,
    /// The build has to come first.
    Build,
    /// AWS, or the history of the repository, could not be read.
    Unreadable,
    /// Only a person can end it.
    Stalled,
    /// A deployment failed, and a person decides what comes next.
    Failed,
}

impl Class {
    /// Whether nothing more happens by itself.
    pub fn is_rest(self) -> bool {
        matches!(self, Self::Settled | Self::Stalled | Self::Failed)
    }
}

pub fn class(waiting: &Waiting) -> Class {
    match waiting {
        Waiting::Settled
        | Waiting::Drifted
        | Waiting::Observing
        | Waiting::Suspended(_)
        | Waiting::UnsupportedController(_)
        | Waiting::UnsupportedStrategy(_) => Class::Settled,
        Waiting::LookDeeper
        | Waiting::Deploying { .. }
        | Waiting::Settling { .. }
        | Waiting::FinishingFirst { .. }
        | Waiting::Running { .. }
        | Waiting::NoCapacity { times: ..MOST_PLACES, .. }
        | Waiting::HealingPaused { .. }
        | Waiting::Consistency { .. } => Class::Moving,
        // It may have been another owner's doing, such as a deployment that had just begun.
        Waiting::Refused { times: ..MOST_REFUSALS, .. } => Class::Moving,
        Waiting::ImageNotBuilt { .. } => Class::Build,
        Waiting::TagShared { .. } | Waiting::Turn { .. } => Class::Others,
        Waiting::Unreadable { .. } | Waiting::MemoryIncomplete { .. } => Class::Unreadable,
        Waiting::Held { .. } => Class::Failed,
        Waiting::Frozen
        | Waiting::Unreached { .. }
        | Waiting::WrongAccount { .. }
        | Waiting::ServiceMissing { .. }
        | Waiting::ServiceNotActive
        | Waiting::ScheduleMissing { .. }
        | Waiting::ScheduleUnfit { .. }
        | Waiting::StrategyMismatch { .. }
        | Waiting::NativeMismatch { .. }
        | Waiting::GroupMissing { .. }
        | Waiting::GroupUnfit { .. }
        | Waiting::TrafficUnfit { .. }
        | Waiting::ListenerAstray { .. }
        | Waiting::AlarmActive { .. }
        | Waiting::ImageArchived { .. }
        | Waiting::ImageRemoved { .. }
        | Waiting::LastGoodGone { .. }
        | Waiting::CommitAmbiguous { .. }
        | Waiting::CommitTagMoved(_)
        | Waiting::ImageDisagrees { .. }
        | Waiting::RepositoryMissing { .. }
        | Waiting::PlatformMismatch { .. }
        | Waiting::TagImmutable { .. }
        | Waiting::ContainerMissing { .. }
        | Waiting::NoBase { .. }
        | Waiting::RoleNotAllowed { .. }
        | Waiting::RepositoryNotAllowed { .. }
        | Waiting::Misfit { .. }
        | Waiting::TooManyTags { .. }
        | Waiting::DescribedOtherwise { .. }
        | Waiting::SettingsNotTaken { .. }
        | Waiting::Contested { .. }
        | Waiting::NoCapacity { .. }
        | Waiting::OutcomeUnknown { .. }
        | Waiting::NoNetwork { .. }
        | Waiting::Refused { .. }
        | Waiting::SourceBehind { .. } => Class::Stalled,
    }
}

/// Whether only a person can end the wait.
pub(super) fn is_stalled(waiting: &Waiting) -> bool {
    matches!(class(waiting), Class::Stalled | Class::Failed)
}

/// The PascalCase name of a reason: stable, part of the JSON.
pub fn reason(waiting: &Waiting) -> &'static str {
    match waiting {
        Waiting::Settled => "Settled",
        Waiting::Frozen => "Frozen",
        Waiting::Observing => "Observing",
        Waiting::Suspended(_) => "Suspended",
        Waiting::LookDeeper => "LookDeeper",
        Waiting::Unreadable { .. } => "Unreadable",
        Waiting::MemoryIncomplete { .. } => "MemoryIncomplete",
        Waiting::Contested { .. } => "Contested",
        Waiting::HealingPaused { .. } => "HealingPaused",
        Waiting::Unreached { why: Unreached::Role { .. }, .. } => "RoleNotAssumed",
        Waiting::Unreached { why: Unreached::Region { .. }, .. } => "RegionNotEnabled",
        Waiting::Unreached { why: Unreached::Settings(_), .. } => "NoCredentials",
        Waiting::Unreached { why: Unreached::Unread(_), .. } => "AccountUnread",
        Waiting::WrongAccount { .. } => "WrongAccount",
        Waiting::ServiceMissing { .. } => "ServiceMissing",
        Waiting::ServiceNotActive => "ServiceNotActive",
        Waiting::ScheduleMissing { .. } => "ScheduleMissing",
        Waiting::ScheduleUnfit { .. } => "ScheduleUnfit",
        Waiting::UnsupportedController(_) => "UnsupportedController",
        Waiting::UnsupportedStrategy(_) => "UnsupportedStrategy",
        Waiting::StrategyMismatch { .. } | Waiting::NativeMismatch { .. } => "StrategyMismatch",
        Waiting::GroupMissing { .. } => "GroupMissing",
        Waiting::GroupUnfit { .. } => "GroupUnfit",
        Waiting::TrafficUnfit { .. } => "TrafficUnfit",
        Waiting::ListenerAstray { .. } => "ListenerAstray",
        Waiting::AlarmActive { .. } => "AlarmActive",
        Waiting::ImageNotBuilt { .. } => "ImageNotBuilt",
        Waiting::ImageArchived { .. } => "ImageArchived",
        Waiting::ImageRemoved { .. } => "ImageRemoved",
        Waiting::LastGoodGone { .. } => "LastGoodGone",
        Waiting::CommitAmbiguous { .. } => "CommitAmbiguous",
        Waiting::CommitTagMoved(_) => "CommitTagMoved",
        Waiting::ImageDisagrees { .. } => "ImageDisagrees",
        Waiting::RepositoryMissing { .. } => "RepositoryMissing",
        Waiting::PlatformMismatch { .. } => "PlatformMismatch",
        Waiting::TagImmutable { .. } => "TagImmutable",
        Waiting::ContainerMissing { .. } => "ContainerMissing",
        Waiting::NoBase { .. } => "NoBase",
        Waiting::RoleNotAllowed { .. } => "RoleNotAllowed",
        Waiting::RepositoryNotAllowed { .. } => "RepositoryNotAllowed",
        Waiting::Misfit { .. } => "Misfit",
        Waiting::TooManyTags { .. } => "TooManyTags",
        Waiting::DescribedOtherwise { .. } => "DescribedOtherwise",
        Waiting::SettingsNotTaken { .. } => "SettingsNotTaken",
        Waiting::Refused { .. } => "WriteRefused",
        Waiting::Deploying { .. } => "Deploying",
        Waiting::Settling { .. } => "Settling",
        Waiting::FinishingFirst { .. } => "FinishingFirst",
        Waiting::Running { .. } => "Running",
        Waiting::NoCapacity { .. } => "NoCapacity",
        Waiting::OutcomeUnknown { .. } => "OutcomeUnknown",
        Waiting::NoNetwork { .. } => "NoNetwork",
        Waiting::Held { stranded: None, .. } => "Held",
        Waiting::Held { stranded: Some(_), .. } => "RollbackFailed",
        Waiting::Drifted => "Drifted",
        Waiting::SourceBehind { .. } => "SourceBehind",
        Waiting::Consistency { .. } => "Consistency",
        Waiting::TagShared { .. } => "TagShared",
        Waiting::Turn { .. } => "Turn",
    }
}

/// Until when, why, and whether it is the whole environment.
pub fn suspended(suspension: &Suspension) -> String {
    let what = match suspension.scope {
        SuspensionScope::Environment => "the environment is suspended",
        SuspensionScope::Application => "suspended",
    };
    let until = suspension.until.and_then(|until| jiff::Timestamp::from_second(until).ok());
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!("{what}{until}: {}", suspension.reason)
}

/// One line for people.
pub fn describe(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Settled => "nothing to do".to_owned(),
        Waiting::Frozen => "frozen: its files have errors (see `trueup lint`); nothing is written".to_owned(),
        Waiting::Observing => "mode is observe: a change is due, and nothing is written".to_owned(),
        Waiting::Suspended(suspension) => suspended(suspension),
        Waiting::LookDeeper => "reading the revisions of the family next".to_owned(),
        Waiting::Unreadable { what, why } => format!("cannot read {what}: {why}"),
        Waiting::MemoryIncomplete { why } => {
            format!("cannot find all task definition revisions that trueup registered here: {why}")
        }
        Waiting::Contested { rounds } => format!(
            "two owners change this service in turn: what is declared was restored {rounds} times in a row and undone each time"
        ),
        Waiting::HealingPaused { until } => {
            let until = jiff::Timestamp::from_millisecond(*until).map(|time| time.to_string());
            format!("changed outside trueup again; it will be restored at {}", until.unwrap_or_default())
        }
        Waiting::Unreached { why: Unreached::Role { why, .. } | Unreached::Unread(why), .. } => why.clone(),
        Waiting::Unreached { why: Unreached::Settings(what), .. } => what.to_string(),
        Waiting::Unreached { why: Unreached::Region { region, why }, .. } => {
            format!("AWS does not know the credentials in {region}: {why}")
        }
        Waiting::WrongAccount { expected, actual } => {
            format!("the credentials belong to account {actual}, {expected} is declared")
        }
        Waiting::ServiceMissing { service, cluster } => format!("no service {service} in cluster {cluster}"),
        Waiting::ServiceNotActive => "the service has been deleted: it is no longer ACTIVE".to_owned(),
        Waiting::ScheduleMissing { schedule } => format!("there is no {schedule}"),
        Waiting::ScheduleUnfit { schedule, why } => format!("{schedule} does not fit: {why}"),
        Waiting::UnsupportedController(_) => {
            "services with an external controller are only observed".to_owned()
        }
        Waiting::UnsupportedStrategy(strategy) => {
            format!("services that ECS deploys by {} are only observed", strategy.word())
        }
        Waiting::NativeMismatch { declared, strategy } => {
            format!("strategy {declared} is declared, and ECS deploys the service by {}", strategy.word())
        }
        Waiting::StrategyMismatch { declared, controller } => {
            let word = controller.word();
            format!("strategy {declared} is declared, and the service's deployment controller is {word}")
        }
        Waiting::GroupMissing { application, group } => {
            format!("no CodeDeploy group {group} in application {application}")
        }
        Waiting::GroupUnfit { group, why } => {
            format!("the CodeDeploy group {group} cannot deploy this: {why}")
        }
        Waiting::TrafficUnfit { why } => format!("ECS cannot shift traffic here: {why}"),
        Waiting::ListenerAstray { rule, serves, live } => {
            let serves =
                if serves.is_empty() { "nowhere".to_owned() } else { format!("to {}", serves.join(" and ")) };
            let live = match live {
                Some(live) => format!(", and the live tasks are in {live}"),
                None => ", and ECS needs exactly one of its two target groups served".to_owned(),
            };
            format!("the production rule {rule} leads {serves}{live}")
        }
        Waiting::AlarmActive { alarms } => {
            let are = if alarms.len() == 1 { "is" } else { "are" };
            format!("{} {are} in ALARM: CodeDeploy would stop a deployment at once", alarms.join(", "))
        }
        Waiting::ImageNotBuilt { repository, tag, .. } => format!("waiting for image {repository}:{tag}"),
        Waiting::CommitAmbiguous { repository, commit, tags } => {
            let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            format!("commit {commit} may be several images of {repository}: {}", tags.join(", "))
        }
        Waiting::ImageArchived { repository, tag } => {
            format!("image {repository}:{tag} is archived; restore it first")
        }
        Waiting::ImageRemoved { repository, tag } => {
            format!(
                "image {repository}:{tag} was deployed here before and has been removed from the registry"
            )
        }
        Waiting::LastGoodGone { revision } => {
            format!(
                "the deployment failed, and the image of {revision}, the last good one, is gone from the registry"
            )
        }
        Waiting::CommitTagMoved(moved) => {
            let MovedTag { repository, tag, revision, deployed, now, .. } = &**moved;
            let now = now.as_ref().map_or("is gone".to_owned(), |now| format!("points at {}", now.short()));
            format!(
                "tag {tag} of {repository} {now}, but {} was deployed for it ({})",
                deployed.short(),
                revision.short()
            )
        }
        Waiting::ImageDisagrees { repository, tag } => {
            format!(
                "imagedefinitions.json names another image of {repository} than the declared commit's {tag}"
            )
        }
        Waiting::RepositoryMissing { repository } => format!("no ECR repository {repository}"),
        Waiting::PlatformMismatch { wanted, available } => {
            format!("the image is not built for {wanted} ({} only)", available.join(", "))
        }
        Waiting::TagImmutable { repository, tag } => {
            format!("the ECR repository {repository} does not let the tag \"{tag}\" move")
        }
        Waiting::ContainerMissing { container, family } => {
            format!("no container {container} in task definition {family}")
        }
        Waiting::NoBase { why } => format!("no task definition to start from: {why}"),
        Waiting::RoleNotAllowed { role } => {
            format!("the operator's settings do not allow the role {role} of the task definition")
        }
        Waiting::RepositoryNotAllowed { repository } => format!(
            "the operator's settings do not allow the repository {repository}, whose image is in the task definition"
        ),
        Waiting::Misfit { field, why } => format!("AWS would not run this: {field}: {why}"),
        Waiting::TooManyTags { count, most } => {
            format!("the task definition would have {count} tags of others, and there is room for {most}")
        }
        Waiting::DescribedOtherwise { revision, fields } => {
            format!(
                "AWS returns different values for {revision} than trueup registered: {}",
                fields.join(", ")
            )
        }
        Waiting::SettingsNotTaken { fields } => {
            format!("AWS did not apply these service settings: {}", fields.join(", "))
        }
        Waiting::Refused { what, why, .. } => format!("AWS refused to {what}: {why}"),
        Waiting::Deploying { phase, commit, by, shift } => {
            let what = commit.as_ref().map_or("another task definition", |commit| commit.short());
            let hand = if *by == StartedBy::Other { ", started outside trueup" } else { "" };
            let doing = if *phase == Phase::RollingBack { "rolling back" } else { "deploying" };
            let stage =
                shift.as_ref().and_then(|shift| shift::describe(shift)).map(|stage| format!(": {stage}"));
            format!("{doing} {what}{hand}{}", stage.unwrap_or_default())
        }
        Waiting::Settling { commit, by: StartedBy::Other, steady, .. } => {
            let what = commit.as_ref().map_or("something else", |commit| commit.short());
            format!(
                "{what} was deployed outside trueup, which is followed until it is steady: until all its tasks have run for {} s without a failure",
                steady.as_secs()
            )
        }
        Waiting::Settling { commit, steady, .. } => {
            let what = commit.as_ref().map_or("the new task definition", |commit| commit.short());
            format!(
                "{what} is deployed; it has succeeded once all its tasks have run for {} s without a failure",
                steady.as_secs()
            )
        }
        Waiting::FinishingFirst { shift } => {
            let stage =
                shift.as_ref().and_then(|shift| shift::describe(shift)).map(|stage| format!(": {stage}"));
            format!("the deployment in flight finishes first{}", stage.unwrap_or_default())
        }
        Waiting::Running { task, commit, since: Some(_), .. } => {
            format!("task {task} of {} goes on", commit.short())
        }
        Waiting::Running { task, commit, since: None, .. } => {
            format!("task {task} of {} starts", commit.short())
        }
        Waiting::NoCapacity { why, times, .. } => {
            let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
            format!("AWS has found no place for the task {times}: {why}")
        }
        Waiting::OutcomeUnknown { commit, task: Some(task), .. } => format!(
            "how task {task} of {} ended can no longer be found out: AWS tells of a task for an hour after its end",
            commit.short()
        ),
        Waiting::OutcomeUnknown { commit, task: None, asked_at, .. } => {
            let asked_at = jiff::Timestamp::from_millisecond(*asked_at).map(|time| time.to_string());
            format!(
                "a task of {} was to be run at {}, and whether it ran can no longer be found out",
                commit.short(),
                asked_at.unwrap_or_default()
            )
        }
        Waiting::NoNetwork { why } => format!("the network of the task is not known: {why}"),
        Waiting::Held { commit, stranded: None, .. } => format!("on hold: {} failed here", commit.short()),
        Waiting::Held { commit, stranded: Some(why), .. } => {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            format!("on hold: {} failed here, and AWS could not roll back{why}", commit.short())
        }
        Waiting::Drifted => "changed outside trueup".to_owned(),
        Waiting::SourceBehind { applied, revision } => {
            format!(
                "infra commit {applied} was applied here (tag {} of {}) and is not in the history of this branch",
                memory::APPLIED,
                revision.short()
            )
        }
        Waiting::Consistency { what } => format!("waiting for AWS to show {what} (eventual consistency)"),
        Waiting::TagShared { tag, with } => {
            format!("tag \"{tag}\" moves when {with} has succeeded on the same commit too")
        }
        Waiting::Turn { why } => why.clone(),
    }
}

/// Whether it keeps everything in an account from being reached.
pub fn is_of_account(waiting: &Waiting) -> bool {
    matches!(waiting, Waiting::Unreached { .. } | Waiting::WrongAccount { .. })
}

/// The command that mends it, where there is one.
fn settings_hint(lacking: &Lacking) -> String {
    match lacking {
        Lacking::Region => {
            "set AWS_REGION, or `region` of the environment, or that of the profile: aws configure set region REGION".to_owned()
        }
        Lacking::Credentials => "on a terminal: aws configure, or AWS_PROFILE for a profile that there is; in ECS, give the task a task role; in Kubernetes, bind the service account to a role; in CI, assume a role first".to_owned(),
        Lacking::Session => "get new ones: aws sso login, or what printed the old ones".to_owned(),
        Lacking::SignIn { profile } => format!("aws sso login --profile {profile}"),
        Lacking::Profile { .. } => {
            "aws configure list-profiles prints those that there are; AWS_PROFILE names the one that is taken".to_owned()
        }
    }
}

/// What a person can do about it.
pub fn hint(waiting: &Waiting, target: &Target) -> Option<String> {
    Some(match waiting {
        Waiting::Frozen => "run `trueup lint`: it names file, line and field".to_owned(),
        Waiting::Suspended(Suspension { scope: SuspensionScope::Environment, .. }) => {
            format!("to end it: trueup resume {} --push", target.environment)
        }
        Waiting::Suspended(_) => format!("to end it: trueup resume {target} --push"),
        Waiting::Unreached { why: Unreached::Role { role, .. }, account } => {
            let account = account.as_deref().unwrap_or("ACCOUNT");
            format!(
                "{role} must be there, and its trust policy must let these credentials in, with the external id that it asks for; these credentials must be allowed sts:AssumeRole on it: `trueup iam-policy --account {account}` and `trueup iam-policy` print what they need"
            )
        }
        Waiting::Unreached { why: Unreached::Region { region, .. }, .. } => format!(
            "enable the region in the account: aws account enable-region --region-name {region}; or correct `region`; or renew the credentials"
        ),
        Waiting::Unreached { why: Unreached::Settings(what), .. } => settings_hint(what),
        Waiting::WrongAccount { expected, .. } => format!(
            "name the role by which it is reached under `accounts` of the operator's settings (TRUEUP_ACCOUNTS={expected}=ROLE), use its credentials (AWS_PROFILE), or correct `account`"
        ),
        Waiting::ServiceMissing { cluster, .. } => format!(
            "create the service first, or correct `service` and `cluster`; aws ecs list-services --cluster {cluster}"
        ),
        Waiting::ScheduleMissing { .. } => {
            "create it first, or correct `rules` and `schedules` under strategy.schedule; rules are those of the default event bus".to_owned()
        }
        Waiting::ScheduleUnfit { .. } => {
            "correct it there, or what is declared: `cluster`, and the family in the task definition; trueup changes nothing but the revision".to_owned()
        }
        Waiting::StrategyMismatch { .. } => {
            "correct `strategy`, or leave it out: the service's controller decides".to_owned()
        }
        Waiting::NativeMismatch { .. } => {
            "correct `strategy`, or leave it out: then it is deployed by the strategy that it has".to_owned()
        }
        Waiting::GroupMissing { .. } => {
            "correct `application` and `deploymentGroup` under strategy.codeDeploy, or describe under `create` how to make them".to_owned()
        }
        Waiting::Deploying { shift: Some(shift), .. } if !shift.pauses.is_empty() => {
            format!("trueup approve {target}, or trueup reject {target}")
        }
        Waiting::FinishingFirst { shift: Some(shift) } if !shift.pauses.is_empty() => {
            format!("trueup reject {target} to go on with what is declared, or trueup approve {target}")
        }
        Waiting::TrafficUnfit { .. } => {
            "correct it there, or `traffic` under `strategy`; trueup changes no load balancer".to_owned()
        }
        Waiting::ListenerAstray { .. } => {
            "have the rule lead to the live tasks again, and keep others from writing it: with Terraform, ignore_changes = [action] on the listener rule".to_owned()
        }
        Waiting::AlarmActive { .. } => {
            "it goes on once the alarm is over; to deploy what is to end it, take the alarm out of the deployment group or disable its alarms".to_owned()
        }
        Waiting::RepositoryMissing { .. } => {
            "correct `repository`, or name the registry that holds it under `registry`".to_owned()
        }
        Waiting::ImageNotBuilt { repository, tag_match: TagMatch::Shorter(tag), .. } => format!(
            "{repository} has the tag {tag}: if that is the build, set `commitTag` to {{commit:N}} with the number of digits that builds use, or declare the commit as {tag}"
        ),
        Waiting::ImageNotBuilt { repository, tag, tag_match: TagMatch::TooMany } => format!(
            "build and push it; {repository} has too many tags to find one that begins with {tag}: declare all digits of the commit"
        ),
        Waiting::CommitAmbiguous { .. } => "declare more digits of the commit".to_owned(),
        Waiting::ImageNotBuilt { repository, tag, .. } => format!(
            "build and push it, or correct `commit` or `commitTag`; aws ecr describe-images --repository-name {repository} --image-ids imageTag={tag}"
        ),
        Waiting::ImageArchived { repository, tag } => {
            format!(
                "restore it: aws ecr update-image-storage-class --repository-name {repository} --image-id imageTag={tag} --target-storage-class STANDARD"
            )
        }
        Waiting::ImageRemoved { .. } => {
            "build and push it again, or declare a commit whose image is there; lifecycle policies must keep what may run".to_owned()
        }
        Waiting::CommitTagMoved(moved) => {
            let MovedTag { tag, revision, key, deployed, .. } = &**moved;
            format!(
            "nothing is deployed: point tag {tag} at {deployed} again, or build under a new commit and declare that; if {revision} names the wrong commit: aws ecs untag-resource --resource-arn {revision} --tag-keys {key}"
        )
        }
        Waiting::LastGoodGone { .. } => "declare a commit whose image is there".to_owned(),
        Waiting::PlatformMismatch { .. } => {
            "build the image for it, or set runtimePlatform in the task definition".to_owned()
        }
        Waiting::TagImmutable { repository, tag } => format!(
            "let it move: aws ecr put-image-tag-mutability --repository-name {repository} --image-tag-mutability IMMUTABLE_WITH_EXCLUSION --image-tag-mutability-exclusion-filters filterType=WILDCARD,filter={tag}; or set policy.moveTag: never"
        ),
        Waiting::RoleNotAllowed { .. } => {
            "use a role that is allowed, or have the operator add it to `allow.roles`".to_owned()
        }
        Waiting::RepositoryNotAllowed { .. } => {
            "use an image that is allowed, or have the operator add its repository to `allow.repositories`: of ECR by its name, and its account to `allow.accounts`; of another registry with that before it"
                .to_owned()
        }
        Waiting::Misfit { .. } => {
            "correct what is declared; `trueup plan` shows it over the task definition it starts from".to_owned()
        }
        Waiting::TooManyTags { .. } => {
            "a task definition has 50 tags at most, some of which trueup needs: remove some from the revision it starts from, or from `tags`".to_owned()
        }
        Waiting::ContainerMissing { .. } => "name the containers under `containers`".to_owned(),
        Waiting::DescribedOtherwise { revision, .. } => {
            format!("write these fields as AWS describes them, or deregister {revision} if it was registered outside trueup")
        }
        Waiting::SettingsNotTaken { .. } => "write these fields as AWS describes them".to_owned(),
        Waiting::Refused { why, .. } if why.starts_with("not allowed") => {
            "the credentials lack a permission: `trueup iam-policy` prints the policy that they need".to_owned()
        }
        Waiting::Refused { .. } => {
            "correct what AWS names; `trueup render` prints the task definition that is sent".to_owned()
        }
        Waiting::MemoryIncomplete { .. } => {
            "allow tag:GetResources; `trueup iam-policy --read-only` prints the whole policy".to_owned()
        }
        Waiting::Contested { .. } => format!(
            "find the other owner (status names its task definition, CloudTrail who deployed it) and end its part, then: trueup retry {target}"
        ),
        Waiting::Drifted => format!(
            "declare in git what runs; or deploy what is declared: trueup reconcile {target} --adopt at first contact, policy.drift: heal always"
        ),
        Waiting::OutcomeUnknown { task, .. } => {
            let look = task.as_ref().map(|task| format!(" look at its log stream, which ends in /{task};"));
            format!(
                "find out whether it did its work:{} then: trueup settle {target} --succeeded --reason TEXT, or --failed; to run it once more: trueup retry {target}",
                look.unwrap_or_default()
            )
        }
        Waiting::NoNetwork { .. } => "correct `network` under strategy.task".to_owned(),
        Waiting::Held { stranded: None, .. } => format!("declare another commit, or: trueup retry {target}"),
        Waiting::Held { stranded: Some(_), .. } => {
            format!("what runs may be broken: declare a good commit soon, or: trueup retry {target}")
        }
        Waiting::SourceBehind { revision, .. } => format!(
            "bring the branch to a commit that has the applied one among its ancestors; if the history was rewritten on purpose: trueup accept-history {}; if somebody forged the tag: aws ecs untag-resource --resource-arn {} --tag-keys {}",
            target.environment,
            revision.as_str(),
            memory::APPLIED
        ),
        Waiting::ServiceNotActive => {
            "create the service again, or remove the application from the environment".to_owned()
        }
        Waiting::Unreadable { what: HISTORY, .. } => {
            "the checkout does not reach back to what was applied; fetch all of it: fetch-depth: 0 (GitHub), GIT_DEPTH: \"0\" (GitLab), git fetch --unshallow".to_owned()
        }
        Waiting::Unreadable { why, .. } if why.contains("ExpiredToken") => {
            "the credentials have expired; log in again".to_owned()
        }
        Waiting::Unreadable { why, .. } if why.contains("AWS could not be reached") => {
            "check the network, HTTPS_PROXY, AWS_ENDPOINT_URL, and that the region is one of AWS's".to_owned()
        }
        Waiting::Unreadable { why, .. } if why.contains("with a page instead") => {
            "check HTTPS_PROXY and AWS_ENDPOINT_URL: something else than AWS has answered".to_owned()
        }
        Waiting::Unreadable { what: REPOSITORY | IMAGE, why } if why.starts_with("not allowed") => {
            "the credentials and the policy of the repository must allow ecr:BatchGetImage, ecr:DescribeImages and ecr:DescribeRepositories; with policy.moveTag: never, and `account` declared, pulling (ecr:BatchGetImage) is enough".to_owned()
        }
        Waiting::Unreadable { why, .. } if why.starts_with("not allowed") => {
            "the credentials lack a permission: `trueup iam-policy` prints the policy that they need (`--read-only` to look)".to_owned()
        }
        _ => return None,
    })
}
