//! Keeps calls within the rates of AWS, which are counted for an account, a region and a category of operations, and are shared
//! with everybody else there.
//!
//! A read waits where it is made. A write does not: its turn is waited for before the reading that it rests on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::caller::{Api, Caller};
use super::error::{self, CallError};
use super::home::Home;
use crate::model::{AccountId, Region};
use crate::ports::{CloudError, Place};

/// Of AWS's rates, what is used: others live in the same account. Of writes there are fewer others.
const OF_READS: f64 = 0.8;
const OF_WRITES: f64 = 0.9;
/// Calls that go on at the same time in one account and region: connections are bounded.
const MOST_AT_ONCE: usize = 64;
/// Who was throttled halves its rate, down to this part of it, and has it back after so long.
const LEAST: f64 = 1.0 / 16.0;
const RECOVERS: Duration = Duration::from_mins(1);
/// Tries of one read that meets the rate all the same.
const TRIES: usize = 5;

/// Operations that AWS counts together (Amazon ECS API reference, "Request throttling for the Amazon ECS API").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    TaskDefinitionModify,
    TaskDefinitionRead,
    TagModify,
    ClusterResourceModify,
    ClusterResourceRead,
    ServiceModify,
    ServiceRead,
    ServiceDeploymentRead,
    ServiceRevisionRead,
    ImageModify,
    /// `BatchGetImage` and layers.
    ImagePull,
    /// What is told of images and repositories.
    ImageRead,
    CodeDeployModify,
    CodeDeployRead,
    TagIndexRead,
    ScalingRead,
    BalancerRead,
    /// Rules and their targets.
    RuleModify,
    RuleRead,
    ScheduleModify,
    ScheduleRead,
    LogRead,
    /// Messages and events for receivers of alerts.
    Publish,
    IdentityRead,
    SecretRead,
    ParameterRead,
    AlarmRead,
    FunctionRead,
    PipelineRead,
    NetworkRead,
    Identity,
}

impl Category {
    fn of(api: Api, operation: &str) -> Self {
        match (api, operation) {
            (Api::Ecs, "RegisterTaskDefinition") => Self::TaskDefinitionModify,
            (Api::Ecs, "DescribeTaskDefinition" | "ListTaskDefinitions") => Self::TaskDefinitionRead,
            (Api::Ecs, "TagResource") => Self::TagModify,
            (Api::Ecs, "ListTasks" | "DescribeTasks") => Self::ClusterResourceRead,
            (Api::Ecs, "RunTask" | "StopTask") => Self::ClusterResourceModify,
            (Api::Ecs, "UpdateService") => Self::ServiceModify,
            (Api::Ecs, "ListServiceDeployments" | "DescribeServiceDeployments") => {
                Self::ServiceDeploymentRead
            }
            (Api::Ecs, "DescribeServiceRevisions") => Self::ServiceRevisionRead,
            (Api::Ecs, _) => Self::ServiceRead,
            (Api::Ecr, "PutImage") => Self::ImageModify,
            (Api::Ecr, "BatchGetImage" | "GetDownloadUrlForLayer") => Self::ImagePull,
            (Api::Ecr, _) => Self::ImageRead,
            (Api::CodeDeploy, operation) if is_write(operation) => Self::CodeDeployModify,
            (Api::CodeDeploy, _) => Self::CodeDeployRead,
            (Api::Tagging, _) => Self::TagIndexRead,
            (Api::Scaling, _) => Self::ScalingRead,
            (Api::Balancers, _) => Self::BalancerRead,
            (Api::Events, "PutTargets") => Self::RuleModify,
            (Api::Events, "PutEvents") | (Api::Topics, _) => Self::Publish,
            (Api::Events, _) => Self::RuleRead,
            (Api::Scheduler, "UpdateSchedule") => Self::ScheduleModify,
            (Api::Scheduler, _) => Self::ScheduleRead,
            (Api::Logs, _) => Self::LogRead,
            (Api::Iam, _) => Self::IdentityRead,
            (Api::Secrets, _) => Self::SecretRead,
            (Api::Parameters, _) => Self::ParameterRead,
            (Api::Alarms, _) => Self::AlarmRead,
            (Api::Functions, _) => Self::FunctionRead,
            (Api::Pipelines, _) => Self::PipelineRead,
            (Api::Networks, _) => Self::NetworkRead,
            (Api::Sts, _) => Self::Identity,
        }
    }

    /// AWS's rate: calls at once, and a second. What is published is in the page above and in "Amazon ECR service quotas"; for
    /// `DescribeImages`, CodeDeploy, tags, autoscaling, EventBridge and STS nothing is, and the figures are cautious.
    fn rate(self) -> Rate {
        let (burst, a_second) = match self {
            Self::TaskDefinitionModify => (20.0, 1.0),
            Self::TaskDefinitionRead | Self::ServiceDeploymentRead | Self::ServiceRevisionRead => {
                (50.0, 20.0)
            }
            Self::TagModify => (20.0, 10.0),
            Self::ClusterResourceModify => (100.0, 40.0),
            Self::ClusterResourceRead | Self::ServiceRead => (100.0, 20.0),
            Self::ServiceModify => (50.0, 5.0),
            Self::ImageModify
            | Self::ImageRead
            | Self::CodeDeployRead
            | Self::ScalingRead
            | Self::BalancerRead
            | Self::RuleRead
            | Self::ScheduleRead
            | Self::LogRead
            | Self::SecretRead
            | Self::ParameterRead
            | Self::TagIndexRead
            | Self::AlarmRead
            | Self::NetworkRead
            | Self::FunctionRead => (10.0, 10.0),
            Self::ImagePull => (2000.0, 2000.0),
            Self::CodeDeployModify
            | Self::PipelineRead
            | Self::RuleModify
            | Self::ScheduleModify
            | Self::IdentityRead => (5.0, 5.0),
            Self::Identity | Self::Publish => (100.0, 100.0),
        };
        let part = if self.is_of_writes() { OF_WRITES } else { OF_READS };
        Rate { burst: burst * part, a_second: a_second * part }
    }

    fn is_of_writes(self) -> bool {
        matches!(
            self,
            Self::TaskDefinitionModify
                | Self::TagModify
                | Self::ClusterResourceModify
                | Self::ServiceModify
                | Self::ImageModify
                | Self::CodeDeployModify
                | Self::RuleModify
                | Self::ScheduleModify
                | Self::Publish
        )
    }

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskDefinitionModify => "task_definition_modify",
            Self::TaskDefinitionRead => "task_definition_read",
            Self::TagModify => "tag_modify",
            Self::ClusterResourceModify => "cluster_resource_modify",
            Self::ClusterResourceRead => "cluster_resource_read",
            Self::ServiceModify => "service_modify",
            Self::ServiceRead => "service_read",
            Self::ServiceDeploymentRead => "service_deployment_read",
            Self::ServiceRevisionRead => "service_revision_read",
            Self::ImageModify => "image_modify",
            Self::ImagePull => "image_pull",
            Self::ImageRead => "image_read",
            Self::CodeDeployModify => "codedeploy_modify",
            Self::CodeDeployRead => "codedeploy_read",
            Self::TagIndexRead => "tag_index_read",
            Self::ScalingRead => "scaling_read",
            Self::BalancerRead => "balancer_read",
            Self::RuleModify => "rule_modify",
            Self::RuleRead => "rule_read",
            Self::ScheduleModify => "schedule_modify",
            Self::ScheduleRead => "schedule_read",
            Self::LogRead => "log_read",
            Self::Publish => "publish",
            Self::IdentityRead => "identity_read",
            Self::SecretRead => "secret_read",
            Self::ParameterRead => "parameter_read",
            Self::AlarmRead => "alarm_read",
            Self::FunctionRead => "function_read",
            Self::PipelineRead => "pipeline_read",
            Self::NetworkRead => "network_read",
            Self::Identity => "identity",
        }
    }
}

fn is_write(operation: &str) -> bool {
    ["Create", "Stop", "Continue"].iter().any(|verb| operation.starts_with(verb))
}

/// The API of an operation that writes.
fn api_of(operation: &str) -> Api {
    match operation {
        "PutImage" => Api::Ecr,
        "PutTargets" => Api::Events,
        "UpdateSchedule" => Api::Scheduler,
        "RegisterTaskDefinition" | "TagResource" | "UpdateService" | "RunTask" | "StopTask" => Api::Ecs,
        _ => Api::CodeDeploy,
    }
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    a_second: f64,
}

/// What one category has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    pub calls: u64,
    /// Calls that AWS throttled.
    pub refusals: u64,
    pub waited: Duration,
}

/// One bucket of tokens.
struct Bucket {
    rate: Rate,
    level: Mutex<Level>,
    /// Whoever comes first goes first.
    queue: tokio::sync::Mutex<()>,
}

struct Level {
    tokens: f64,
    at: Instant,
    /// The part of the rate that is used, since AWS throttled.
    part: f64,
    cost: Cost,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        let level = Level { tokens: rate.burst, at: Instant::now(), part: 1.0, cost: Cost::default() };
        Self { rate, level: Mutex::new(level), queue: tokio::sync::Mutex::default() }
    }

    fn level(&self) -> std::sync::MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a token and takes it.
    async fn take(&self) {
        let _first = self.queue.lock().await;
        let began = Instant::now();
        while let Some(wait) = self.take_or_wait() {
            tokio::time::sleep(wait).await;
        }
        self.level().cost.waited += began.elapsed();
    }

    /// How long it takes until there is one, where none is left.
    fn take_or_wait(&self) -> Option<Duration> {
        let mut level = self.level();
        let passed = level.at.elapsed();
        level.at += passed;
        level.part = (level.part + passed.as_secs_f64() / RECOVERS.as_secs_f64()).min(1.0);
        let a_second = self.rate.a_second * level.part;
        level.tokens = (level.tokens + passed.as_secs_f64() * a_second).min(self.rate.burst);
        if level.tokens >= 1.0 {
            level.tokens -= 1.0;
            return None;
        }
        // Timers count in milliseconds.
        Some(Duration::from_secs_f64((1.0 - level.tokens) / a_second) + Duration::from_millis(1))
    }

    fn answered(&self, is_throttled: bool) {
        let mut level = self.level();
        level.cost.calls += 1;
        if is_throttled {
            level.cost.refusals += 1;
            level.tokens = 0.0;
            level.part = (level.part / 2.0).max(LEAST);
        }
    }
}

/// The buckets of one place.
type Buckets = BTreeMap<Category, Arc<Bucket>>;

/// The buckets of everything that one process calls.
#[derive(Clone, Default)]
pub struct Budgets {
    places: Arc<Mutex<BTreeMap<Place, Buckets>>>,
    home: Home,
}

impl Budgets {
    /// The account of the credentials is one, whether it is named or not.
    pub fn of(home: Home) -> Self {
        Self { home, ..Self::default() }
    }

    fn bucket(&self, place: &Place, category: Category) -> Arc<Bucket> {
        let account = place.account.clone().and_then(|account| self.home.unless_own(account));
        let place = Place { account, region: place.region.clone() };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = places.entry(place).or_default();
        Arc::clone(buckets.entry(category).or_insert_with(|| Arc::new(Bucket::new(category.rate()))))
    }

    /// What was called so far.
    pub fn costs(&self) -> Vec<(Place, Category, Cost)> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let all = places.iter().flat_map(|(place, buckets)| buckets.iter().map(move |one| (place, one)));
        all.map(|(place, (category, bucket))| (place.clone(), *category, bucket.level().cost)).collect()
    }
}

/// A caller that keeps within the rates.
pub struct Budgeted {
    place: Place,
    inner: Arc<dyn Caller>,
    budgets: Budgets,
    at_once: Semaphore,
}

impl Budgeted {
    /// `place`: whose rates the calls count for.
    pub fn new(place: Place, inner: Arc<dyn Caller>, budgets: Budgets) -> Self {
        let region = place.region.clone().or_else(|| inner.region());
        Self { place: Place { region, ..place }, inner, budgets, at_once: Semaphore::new(MOST_AT_ONCE) }
    }

    /// The rates of a registry are those of the account that owns it.
    fn bucket(&self, api: Api, operation: &str, input: &Value) -> Arc<Bucket> {
        let registry = input.get("registryId").and_then(Value::as_str).map(AccountId::new);
        let account = registry.or_else(|| self.place.account.clone());
        let place = Place { account, region: self.place.region.clone() };
        self.budgets.bucket(&place, Category::of(api, operation))
    }

    async fn once(
        &self,
        bucket: &Bucket,
        (api, operation, input): (Api, &'static str, &Value),
    ) -> Result<Value, CallError> {
        // Only a closed semaphore has no permit, and nobody closes this one.
        let _permit = self.at_once.acquire().await.ok();
        let answer = self.inner.call(api, operation, input.clone()).await;
        bucket.answered(answer.as_ref().is_err_and(is_throttled));
        answer
    }
}

fn is_throttled(error: &CallError) -> bool {
    matches!(error::meaning(error.clone()), CloudError::Throttled(_))
}

#[async_trait]
impl Caller for Budgeted {
    async fn call(&self, api: Api, operation: &'static str, input: Value) -> Result<Value, CallError> {
        let bucket = self.bucket(api, operation, &input);
        if Category::of(api, operation).is_of_writes() {
            return self.once(&bucket, (api, operation, &input)).await;
        }
        let call = async || {
            bucket.take().await;
            self.once(&bucket, (api, operation, &input)).await
        };
        let pauses = ExponentialBuilder::default().with_jitter().with_max_times(TRIES - 1);
        call.retry(pauses).when(is_throttled).await
    }

    async fn download(&self, address: &str) -> Option<Vec<u8>> {
        self.inner.download(address).await
    }

    fn can_download(&self) -> bool {
        self.inner.can_download()
    }

    fn region(&self) -> Option<Region> {
        self.inner.region()
    }

    fn linger(&self) -> Duration {
        self.inner.linger()
    }

    async fn turn(&self, operation: &'static str) {
        self.bucket(api_of(operation), operation, &Value::Null).take().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use serde_json::json;

    use super::*;

    /// Counts calls, and throttles the first so many.
    struct Counting(Mutex<(u32, u32)>);

    #[async_trait]
    impl Caller for Counting {
        async fn call(&self, _: Api, _: &'static str, _: Value) -> Result<Value, CallError> {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            if state.1 == 0 {
                return Ok(json!({}));
            }
            state.1 -= 1;
            let code = Some("ThrottlingException".to_owned());
            Err(CallError::Refused { code, message: Some("Rate exceeded".to_owned()) })
        }

        async fn download(&self, _: &str) -> Option<Vec<u8>> {
            None
        }

        fn can_download(&self) -> bool {
            false
        }

        fn region(&self) -> Option<Region> {
            Some(Region::new("eu-west-2"))
        }
    }

    fn budgeted(throttled: u32) -> (Budgeted, Arc<Counting>, Budgets) {
        let (inner, budgets) = (Arc::new(Counting(Mutex::new((0, throttled)))), Budgets::default());
        (Budgeted::new(Place::default(), inner.clone(), budgets.clone()), inner, budgets)
    }

    async fn seconds(work: impl Future) -> u64 {
        let began = Instant::now();
        work.await;
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_go_at_once_until_the_burst_is_used_up_and_then_by_the_rate() {
        let (caller, ..) = budgeted(0);
        let read = |operation| caller.call(Api::Ecs, operation, json!({}));
        // 80 at once, and then 16 a second.
        assert_eq!(seconds(join_all((0..80).map(|_| read("DescribeServices")))).await, 0);
        assert_eq!(seconds(join_all((0..160).map(|_| read("DescribeServices")))).await, 10);
        // Another category has rates of its own, and so has another registry.
        assert_eq!(seconds(read("DescribeTaskDefinition")).await, 0);
        let images = |registry: &'static str| (0..8).map(move |_| json!({"registryId": registry}));
        let all = images("111111111111").chain(images("222222222222"));
        let all = all.map(|input| caller.call(Api::Ecr, "DescribeImages", input));
        assert_eq!(seconds(join_all(all)).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_own_account_has_its_rates_once_whether_it_is_named_or_not() {
        let (home, region) = (Home::default(), Some(Region::new("eu-west-2")));
        home.learn(AccountId::new("123456789012"));
        let budgets = Budgets::of(home);
        let caller = |account: Option<&str>| {
            let place = Place { account: account.map(AccountId::new), region: region.clone() };
            Budgeted::new(place, Arc::new(Counting(Mutex::new((0, 0)))), budgets.clone())
        };
        let (own, named, other) = (caller(None), caller(Some("123456789012")), caller(Some("210987654321")));
        let images = |registry: &str| json!({"registryId": registry});
        own.call(Api::Ecr, "DescribeImages", json!({})).await.unwrap();
        named.call(Api::Ecr, "DescribeImages", json!({})).await.unwrap();
        other.call(Api::Ecr, "DescribeImages", images("123456789012")).await.unwrap();
        own.call(Api::Ecr, "DescribeImages", images("210987654321")).await.unwrap();
        let costs = budgets.costs();
        let counts: Vec<_> =
            costs.iter().map(|(place, _, cost)| (place.account.as_ref(), cost.calls)).collect();
        assert_eq!(counts, [(None, 3), (Some(&AccountId::new("210987654321")), 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_waits_for_its_turn_and_then_goes_at_once() {
        let (caller, ..) = budgeted(0);
        // 18 at once, and then nine in ten seconds.
        assert_eq!(seconds(join_all((0..18).map(|_| caller.turn("RegisterTaskDefinition")))).await, 0);
        assert_eq!(seconds(join_all((0..9).map(|_| caller.turn("RegisterTaskDefinition")))).await, 10);
        let write = caller.call(Api::Ecs, "RegisterTaskDefinition", json!({}));
        assert_eq!(seconds(write).await, 0);
        assert_eq!(seconds(caller.turn("UpdateService")).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_is_throttled_is_made_again_and_a_write_is_not() {
        let (caller, inner, budgets) = budgeted(2);
        let read = caller.call(Api::Ecs, "DescribeServices", json!({})).await;
        assert_eq!((read, inner.0.lock().unwrap().0), (Ok(json!({})), 3));
        let costs = budgets.costs();
        let (place, category, cost) = &costs[0];
        assert_eq!(place.region, Some(Region::new("eu-west-2")));
        assert_eq!((*category, cost.calls, cost.refusals), (Category::ServiceRead, 3, 2));
        // The rate is a quarter now, and comes back.
        let many = || join_all((0..64).map(|_| caller.call(Api::Ecs, "DescribeServices", json!({}))));
        assert!((6..=16).contains(&seconds(many()).await));
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(seconds(many()).await, 0);
        for (throttled, calls) in [(1, 1), (0, 1)] {
            let (caller, inner, _) = budgeted(throttled);
            let write = caller.call(Api::Ecs, "UpdateService", json!({})).await;
            assert_eq!((write.is_err(), inner.0.lock().unwrap().0), (throttled == 1, calls));
        }
        let (caller, inner, _) = budgeted(100);
        assert!(caller.call(Api::Ecs, "ListTasks", json!({})).await.is_err());
        assert_eq!(inner.0.lock().unwrap().0, 5, "tries have an end");
    }
}
