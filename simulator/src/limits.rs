//! How fast AWS takes calls: a token bucket for each category of operations, in each account and region. A call takes a
//! token; without one it is refused, as with `Fault::Throttle`. Off unless it was asked for.
//!
//! Sources: Amazon ECS API reference, "Request throttling for the Amazon ECS API" (burst and sustained rate); Amazon ECR
//! user guide, "Service quotas" (sustained rates; a burst of one second is chosen here). Of `CodeDeploy`, of the other
//! reads and writes of ECR, of EventBridge and of the tagging API AWS publishes no figures: what stands below is chosen, low enough that
//! a client has to be considerate. What is in no category (`StopServiceDeployment`, `ContinueServiceDeployment`, Elastic Load Balancing, STS) is not
//! limited.

use std::collections::BTreeMap;

use crate::world::Api;

/// How fast calls are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rates {
    #[default]
    Unlimited,
    /// As AWS publishes them.
    Published,
}

/// Operations that share a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Category {
    ClusterModify,
    ClusterRead,
    TaskDefinitionModify,
    TaskDefinitionRead,
    TaskDefinitionDelete,
    TagModify,
    TagRead,
    ClusterResourceModify,
    ClusterResourceRead,
    ServiceModify,
    ServiceRead,
    ServiceDeploymentRead,
    ServiceRevisionRead,
    EcrToken,
    EcrManifest,
    EcrPush,
    EcrDownload,
    EcrLayerCheck,
    EcrUploadBegin,
    EcrUploadPart,
    EcrUploadEnd,
    EcrImages,
    EcrRepositories,
    EcrRead,
    EcrModify,
    CodeDeployModify,
    CodeDeployRead,
    TagIndex,
    ScalingRead,
    ScalingModify,
    /// Of EventBridge and EventBridge Scheduler.
    EventsRead,
    EventsModify,
    LogRead,
    LogWrite,
}

impl Category {
    fn of(api: Api, operation: &str) -> Option<Self> {
        let is_read =
            ["Describe", "List", "Get", "BatchGet"].iter().any(|prefix| operation.starts_with(prefix));
        Some(match (api, operation) {
            (Api::Ecs, "CreateCluster" | "UpdateCluster" | "DeleteCluster") => Self::ClusterModify,
            (Api::Ecs, "DescribeClusters" | "ListClusters") => Self::ClusterRead,
            (Api::Ecs, "RegisterTaskDefinition" | "DeregisterTaskDefinition") => Self::TaskDefinitionModify,
            (Api::Ecs, "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies") => {
                Self::TaskDefinitionRead
            }
            (Api::Ecs, "DeleteTaskDefinitions") => Self::TaskDefinitionDelete,
            (Api::Ecs, "TagResource" | "UntagResource") => Self::TagModify,
            (Api::Ecs, "ListTagsForResource") => Self::TagRead,
            (Api::Ecs, "RunTask" | "StartTask" | "StopTask" | "ExecuteCommand") => {
                Self::ClusterResourceModify
            }
            (Api::Ecs, "DescribeTasks" | "ListTasks" | "DescribeContainerInstances") => {
                Self::ClusterResourceRead
            }
            (Api::Ecs, "CreateService" | "UpdateService" | "DeleteService") => Self::ServiceModify,
            (Api::Ecs, "DescribeServices" | "ListServices") => Self::ServiceRead,
            (Api::Ecs, "ListServiceDeployments" | "DescribeServiceDeployments") => {
                Self::ServiceDeploymentRead
            }
            (Api::Ecs, "DescribeServiceRevisions") => Self::ServiceRevisionRead,
            (Api::Ecr, "GetAuthorizationToken") => Self::EcrToken,
            (Api::Ecr, "BatchGetImage") => Self::EcrManifest,
            (Api::Ecr, "PutImage") => Self::EcrPush,
            (Api::Ecr, "GetDownloadUrlForLayer") => Self::EcrDownload,
            (Api::Ecr, "BatchCheckLayerAvailability") => Self::EcrLayerCheck,
            (Api::Ecr, "InitiateLayerUpload") => Self::EcrUploadBegin,
            (Api::Ecr, "UploadLayerPart") => Self::EcrUploadPart,
            (Api::Ecr, "CompleteLayerUpload") => Self::EcrUploadEnd,
            (Api::Ecr, "DescribeImages") => Self::EcrImages,
            (Api::Ecr, "DescribeRepositories") => Self::EcrRepositories,
            (Api::Ecr, _) if is_read => Self::EcrRead,
            (Api::Ecr, _) => Self::EcrModify,
            (Api::CodeDeploy, _) if is_read => Self::CodeDeployRead,
            (Api::CodeDeploy, _) => Self::CodeDeployModify,
            (Api::Tagging, _) => Self::TagIndex,
            (Api::Scaling, _) if is_read => Self::ScalingRead,
            (Api::Scaling, _) => Self::ScalingModify,
            (Api::Events | Api::Scheduler, _) if is_read => Self::EventsRead,
            (Api::Events | Api::Scheduler, _) => Self::EventsModify,
            (Api::Logs, "GetLogEvents") => Self::LogRead,
            (Api::Logs, _) => Self::LogWrite,
            (
                Api::Ecs
                | Api::Elb
                | Api::Sts
                | Api::Sns
                | Api::Iam
                | Api::Secrets
                | Api::Parameters
                | Api::CloudWatch
                | Api::Lambda
                | Api::CodePipeline
                | Api::Ec2,
                _,
            ) => return None,
        })
    }

    /// Tokens of the full bucket, and how many come back a second.
    fn rate(self) -> (u64, u64) {
        match self {
            Self::ClusterModify | Self::TaskDefinitionModify => (20, 1),
            Self::ClusterRead
            | Self::TaskDefinitionRead
            | Self::TagRead
            | Self::ServiceDeploymentRead
            | Self::ServiceRevisionRead => (50, 20),
            Self::TaskDefinitionDelete => (5, 1),
            Self::TagModify => (20, 10),
            Self::ClusterResourceModify => (100, 40),
            Self::ClusterResourceRead | Self::ServiceRead => (100, 20),
            Self::ServiceModify => (50, 5),
            Self::EcrToken | Self::EcrUploadPart => (500, 500),
            Self::EcrManifest => (2_000, 2_000),
            Self::EcrPush => (10, 10),
            Self::EcrDownload => (3_000, 3_000),
            Self::EcrLayerCheck => (1_000, 1_000),
            Self::EcrUploadBegin | Self::EcrUploadEnd => (100, 100),
            // Chosen from here on.
            Self::EcrImages | Self::EcrRepositories | Self::EcrRead => (20, 10),
            Self::EcrModify | Self::CodeDeployModify | Self::EventsModify => (10, 5),
            Self::CodeDeployRead | Self::ScalingRead | Self::EventsRead | Self::TagIndex => (20, 10),
            Self::ScalingModify => (10, 2),
            Self::LogRead | Self::LogWrite => (10, 10),
        }
    }
}

/// Thousandths of a token: a rate a second is as many of them a millisecond.
const TOKEN: u64 = 1000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In thousandths.
    tokens: u64,
    /// Until when the tokens that came back are in it: milliseconds since 1970.
    filled: u64,
}

/// The buckets of one account and region. One that no call has met yet is full.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    rates: Rates,
    buckets: BTreeMap<Category, Bucket>,
}

impl Limits {
    /// From now on, with full buckets.
    pub(crate) fn set(&mut self, rates: Rates) {
        *self = Self { rates, buckets: BTreeMap::new() };
    }

    pub(crate) fn rates(&self) -> Rates {
        self.rates
    }

    /// Whether there was a token for this call. `now`: milliseconds since 1970.
    pub(crate) fn admits(&mut self, api: Api, operation: &str, now: u64) -> bool {
        let category = match self.rates {
            Rates::Unlimited => None,
            Rates::Published => Category::of(api, operation),
        };
        let Some(category) = category else { return true };
        let (burst, refill) = category.rate();
        let bucket = self.buckets.entry(category).or_insert(Bucket { tokens: burst * TOKEN, filled: now });
        let back = now.saturating_sub(bucket.filled).saturating_mul(refill);
        bucket.tokens = bucket.tokens.saturating_add(back).min(burst * TOKEN);
        bucket.filled = now;
        let left = bucket.tokens.checked_sub(TOKEN);
        bucket.tokens = left.unwrap_or(bucket.tokens);
        left.is_some()
    }
}
