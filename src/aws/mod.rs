//! The only place that names the AWS SDK: adapters of the ports, conversion, and what an error means.
//!
//! Retries of the SDK are off: one brown-out must not eat the retries of every service, and a write is never repeated
//! before the world was read again.

mod clock;
mod code_deploy;
mod ecr;
mod ecs;
mod error;
mod image_config;
mod json;
#[cfg(test)]
mod mutation_tests;
mod raw;
mod scaling;
mod tagging;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};

use crate::model::{AccountId, Region};
use crate::ports::{CloudError, Ports, Reach, Sts};

pub use clock::{AwsClock, MachineClock};
pub use code_deploy::CodeDeployClient;
pub use ecr::EcrClient;
pub use ecs::EcsClient;
pub use raw::check_task_definition;
pub use scaling::ScalingClient;
pub use tagging::TaggingClient;

/// The standard AWS settings: profiles, environment variables, roles, `AWS_ENDPOINT_URL`.
#[derive(Clone)]
pub struct Aws {
    settings: SdkConfig,
    clock: AwsClock,
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
        Self { settings, clock: AwsClock::new() }
    }

    /// An AWS at this address with made-up credentials: the simulator.
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
        Self { settings, clock: AwsClock::new() }
    }

    /// The time by the answers to the calls that are made here.
    pub fn clock(&self) -> AwsClock {
        self.clock.clone()
    }

    /// Has AWS answer something, so that the clock is right before anything is judged by it. Any answer will do, a
    /// refusal too.
    pub async fn learn_time(&self) {
        let _ = self.ports(None).sts.account().await;
    }

    pub fn default_region(&self) -> Option<Region> {
        self.settings.region().map(|region| Region::new(region.as_ref()))
    }
}

impl Reach for Aws {
    fn ports(&self, region: Option<&Region>) -> Ports {
        let mut builder = self.settings.to_builder();
        if let Some(region) = region {
            builder = builder.region(aws_config::Region::new(region.as_str().to_owned()));
        }
        let settings = builder.build();
        let clock = || self.clock.clone();
        let ecs = aws_sdk_ecs::config::Builder::from(&settings).interceptor(clock()).build();
        let ecr = aws_sdk_ecr::config::Builder::from(&settings).interceptor(clock()).build();
        let code_deploy = aws_sdk_codedeploy::config::Builder::from(&settings).interceptor(clock()).build();
        let sts = aws_sdk_sts::config::Builder::from(&settings).interceptor(clock()).build();
        Ports {
            ecs: Arc::new(EcsClient::new(aws_sdk_ecs::Client::from_conf(ecs))),
            ecr: Arc::new(EcrClient::new(aws_sdk_ecr::Client::from_conf(ecr), settings.endpoint_url())),
            code_deploy: Arc::new(CodeDeployClient(aws_sdk_codedeploy::Client::from_conf(code_deploy))),
            sts: Arc::new(StsClient(aws_sdk_sts::Client::from_conf(sts))),
            tagging: Arc::new(TaggingClient::new(&settings, &self.clock)),
            scaling: Arc::new(ScalingClient::new(&settings, &self.clock)),
        }
    }
}

struct StsClient(aws_sdk_sts::Client);

#[async_trait]
impl Sts for StsClient {
    async fn account(&self) -> Result<AccountId, CloudError> {
        let identity =
            self.0.get_caller_identity().send().await.map_err(|error| error::classify_read(&error))?;
        let account =
            identity.account().ok_or_else(|| CloudError::Unavailable("STS named no account".to_owned()))?;
        Ok(AccountId::new(account))
    }
}
