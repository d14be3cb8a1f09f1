//! The only place that names the AWS SDK: adapters of the ports, conversion, and what an error means.
//!
//! Retries of the SDK are off: one brown-out must not eat the retries of every service, and a write is never repeated
//! before the world was read again.

mod code_deploy;
mod ecr;
mod ecs;
mod error;
mod json;
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
        Self { settings }
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
        Self { settings }
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
        Ports {
            ecs: Arc::new(EcsClient::new(aws_sdk_ecs::Client::new(&settings))),
            ecr: Arc::new(EcrClient::new(aws_sdk_ecr::Client::new(&settings))),
            code_deploy: Arc::new(CodeDeployClient(aws_sdk_codedeploy::Client::new(&settings))),
            sts: Arc::new(StsClient(aws_sdk_sts::Client::new(&settings))),
            tagging: Arc::new(TaggingClient::new(&settings)),
            scaling: Arc::new(ScalingClient::new(&settings)),
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
