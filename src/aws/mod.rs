//! The only place that names the AWS SDK: adapters of the ports on one call of an API, what an answer says, and what an
//! error means.
//!
//! Retries of the SDK are off: one brown-out must not eat the retries of every service, and a write is never repeated
//! before the world was read again.

mod answer;
mod balancers;
mod batch;
mod budget;
mod caller;
mod clock;
mod code_deploy;
mod download;
mod ecr;
mod ecs;
mod error;
mod image_config;
mod json;
mod lease_table;
#[cfg(test)]
mod mutation_tests;
mod query;
mod scaling;
mod schema;
mod sdk;
mod tagging;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use serde_json::json;

use crate::model::{AccountId, Region};
use crate::ports::{CloudError, Pace, Place, Ports, Reach, Sts};

use balancers::BalancersClient;
use caller::Client;
use code_deploy::CodeDeployClient;
use ecr::EcrClient;
use ecs::EcsClient;
use scaling::ScalingClient;
use sdk::Sdk;
use tagging::TaggingClient;

pub use budget::{Budgeted, Budgets, Category, Cost};
pub use caller::{Api, Caller};
pub use clock::{AwsClock, MachineClock};
pub use error::CallError;
pub use lease_table::LeaseTable;
pub use schema::check_shape;

/// The standard AWS settings: profiles, environment variables, roles, `AWS_ENDPOINT_URL`.
#[derive(Clone)]
pub struct Aws {
    settings: SdkConfig,
    clock: AwsClock,
    /// `None`: nobody counts the calls.
    budgets: Option<Budgets>,
}

impl Aws {
    /// Reads the settings. `AWS_REGION` or the profile's region is the default of environments that declare none.
    pub async fn load() -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(20))
            .build();
        let settings = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .load()
            .await;
        Self { settings, clock: AwsClock::new(), budgets: Some(Budgets::default()) }
    }

    /// An AWS at this address with made-up credentials: the simulator. Its time may leap, and nobody else calls it, so nothing is held
    /// back.
    pub async fn simulated(endpoint: &str, region: &Region) -> Self {
        let credentials =
            aws_credential_types::Credentials::new("simulated", "simulated", None, None, "simulator");
        let settings = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .region(aws_config::Region::new(region.as_str().to_owned()))
            .credentials_provider(credentials)
            .endpoint_url(endpoint)
            .load()
            .await;
        Self { settings, clock: AwsClock::new(), budgets: None }
    }

    /// The time by the answers to the calls that are made here.
    pub fn clock(&self) -> AwsClock {
        self.clock.clone()
    }

    /// What the calls so far have cost, which everything that is reached by these settings shares.
    pub fn budgets(&self) -> Budgets {
        self.budgets.clone().unwrap_or_default()
    }

    /// Has AWS answer something, so that the clock is right before anything is judged by it. Any answer will do, a
    /// refusal too.
    pub async fn learn_time(&self) {
        let _ = self.ports(&Place::default()).sts.account().await;
    }

    pub fn default_region(&self) -> Option<Region> {
        self.settings.region().map(|region| Region::new(region.as_ref()))
    }
}

impl Reach for Aws {
    fn ports(&self, place: &Place) -> Ports {
        let mut builder = self.settings.to_builder();
        if let Some(region) = &place.region {
            builder = builder.region(aws_config::Region::new(region.as_str().to_owned()));
        }
        let sdk: Arc<dyn Caller> = Arc::new(Sdk::new(&builder.build(), &self.clock));
        match &self.budgets {
            Some(budgets) => ports(&(Arc::new(Budgeted::new(place.clone(), sdk, budgets.clone())) as _)),
            None => ports(&sdk),
        }
    }
}

/// The ports on whatever makes the calls.
pub fn ports(caller: &Arc<dyn Caller>) -> Ports {
    let client = |api| Client::new(api, caller);
    Ports {
        pace: Arc::new(Turns(Arc::clone(caller))),
        ecs: Arc::new(EcsClient::new(client(Api::Ecs))),
        ecr: Arc::new(EcrClient::new(client(Api::Ecr))),
        code_deploy: Arc::new(CodeDeployClient(client(Api::CodeDeploy))),
        sts: Arc::new(StsClient(client(Api::Sts))),
        tagging: Arc::new(TaggingClient::new(client(Api::Tagging))),
        scaling: Arc::new(ScalingClient::new(client(Api::Scaling))),
        balancers: Arc::new(BalancersClient::new(client(Api::Balancers))),
    }
}

struct Turns(Arc<dyn Caller>);

#[async_trait]
impl Pace for Turns {
    async fn turn(&self, operation: &'static str) {
        self.0.turn(operation).await;
    }
}

struct StsClient(Client);

#[async_trait]
impl Sts for StsClient {
    async fn account(&self) -> Result<AccountId, CloudError> {
        let identity = self.0.read("GetCallerIdentity", json!({})).await?;
        let account = answer::text(&identity, "Account");
        account.map(AccountId::new).ok_or_else(|| CloudError::Unavailable("STS named no account".to_owned()))
    }
}
