//! One call of an API of AWS, in AWS's own JSON: the seam below the ports.
//!
//! The SDK is a caller, and so is a simulated world; what counts calls, holds them back or makes them fail stands before
//! another one. What an answer means is read above it, once, whoever gave it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::error::{self, CallError};
use crate::model::Region;
use crate::ports::CloudError;

/// The APIs of AWS that are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    Ecs,
    Ecr,
    CodeDeploy,
    Sts,
    /// The Resource Groups Tagging API.
    Tagging,
    /// Application Auto Scaling.
    Scaling,
    /// Elastic Load Balancing, version 2.
    Balancers,
    /// Amazon EventBridge.
    Events,
    /// Amazon EventBridge Scheduler.
    Scheduler,
    /// Amazon `CloudWatch` Logs.
    Logs,
    /// Amazon SNS.
    Topics,
    /// AWS Identity and Access Management.
    Iam,
    /// AWS Secrets Manager.
    Secrets,
    /// AWS Systems Manager, of which this knows the parameter store.
    Parameters,
    /// Amazon `CloudWatch`, of which this knows the alarms.
    Alarms,
    /// AWS Lambda.
    Functions,
    /// AWS CodePipeline.
    Pipelines,
    /// Amazon EC2, of which this knows networks.
    Networks,
}

/// Makes calls in one region, with one set of credentials.
#[async_trait]
pub trait Caller: Send + Sync {
    /// Sends the input as it is; what comes back is the answer as it came, an empty object where it had no body.
    async fn call(&self, api: Api, operation: &'static str, input: Value) -> Result<Value, CallError>;

    /// What is behind an address that an answer named, such as the layer of an image: a small file, or nothing for
    /// whatever reason.
    async fn download(&self, address: &str) -> Option<Vec<u8>>;

    /// Whether a download is worth a try: what could not be reached is left alone for a while.
    fn can_download(&self) -> bool;

    /// `None` where the settings name none.
    fn region(&self) -> Option<Region>;

    /// How long a question waits for others that can go along with it in one call. Where calls take no time there is nothing to
    /// wait for.
    fn linger(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns when a write by this operation may be made, as far as AWS's rates go.
    async fn turn(&self, _operation: &'static str) {}
}

/// The calls of one API, with what their errors mean for us.
#[derive(Clone)]
pub(super) struct Client {
    api: Api,
    caller: Arc<dyn Caller>,
}

impl Client {
    pub fn new(api: Api, caller: &Arc<dyn Caller>) -> Self {
        Self { api, caller: Arc::clone(caller) }
    }

    /// A call that changes nothing: an answer that never came is only unavailable. What a refusal repeats cannot be told
    /// from a secret, as what it may repeat was not read.
    pub async fn read(&self, operation: &'static str, input: Value) -> Result<Value, CloudError> {
        let refused = |error| error::meaning(error::without_repetition(error));
        self.caller.call(self.api, operation, input).await.map_err(|error| match refused(error) {
            CloudError::Ambiguous(why) => CloudError::Unavailable(why),
            other => other,
        })
    }

    /// A call that changes something: without an answer of AWS it may have been done.
    pub async fn write(&self, operation: &'static str, input: Value) -> Result<Value, CloudError> {
        self.caller.call(self.api, operation, input).await.map_err(error::meaning)
    }

    /// Any call, for whoever has to know more of an error than what it means.
    pub async fn ask(&self, operation: &'static str, input: Value) -> Result<Value, CallError> {
        self.caller.call(self.api, operation, input).await
    }

    pub fn linger(&self) -> Duration {
        self.caller.linger()
    }

    pub async fn download(&self, address: &str) -> Option<Vec<u8>> {
        self.caller.download(address).await
    }

    pub fn can_download(&self) -> bool {
        self.caller.can_download()
    }

    pub fn region(&self) -> Option<Region> {
        self.caller.region()
    }
}
