//! Application Auto Scaling.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde_json::{Value, json};

use super::clock::AwsClock;
use super::json::{JsonClient, Service};
use crate::model::{ClusterName, ScalableTarget, ServiceName};
use crate::ports::{CloudError, Scaling};

const SERVICE: Service = Service {
    id: "Application Auto Scaling",
    host: "application-autoscaling",
    target: "AnyScaleFrontendService",
};
/// Resources of one request (Application Auto Scaling API reference, `DescribeScalableTargets`).
const MOST_RESOURCES: usize = 50;
/// Pages of one request: a service has one target.
const MOST_PAGES: usize = 10;

pub struct ScalingClient(JsonClient);

impl ScalingClient {
    pub fn new(settings: &SdkConfig, clock: &AwsClock) -> Self {
        Self(JsonClient::new(settings, SERVICE, clock))
    }
}

#[async_trait]
impl Scaling for ScalingClient {
    async fn scalable_targets(
        &self,
        services: &[(ClusterName, ServiceName)],
    ) -> Result<BTreeMap<(ClusterName, ServiceName), ScalableTarget>, CloudError> {
        let mut found = BTreeMap::new();
        for batch in services.chunks(MOST_RESOURCES) {
            let ids: Vec<String> = batch.iter().map(|(c, s)| format!("service/{c}/{s}")).collect();
            let mut token = None;
            for _ in 0..MOST_PAGES {
                let mut input = json!({
                    "ServiceNamespace": "ecs",
                    "ScalableDimension": "ecs:service:DesiredCount",
                    "ResourceIds": ids,
                });
                if let Some(token) = token {
                    input["NextToken"] = token;
                }
                let page = self.0.read("DescribeScalableTargets", input).await?;
                let targets = page.get("ScalableTargets").and_then(Value::as_array);
                found.extend(targets.into_iter().flatten().filter_map(target));
                token = page.get("NextToken").filter(|token| token.is_string()).cloned();
                if token.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn target(described: &Value) -> Option<((ClusterName, ServiceName), ScalableTarget)> {
    let id = described.get("ResourceId")?.as_str()?.strip_prefix("service/")?;
    let (cluster, service) = id.split_once('/')?;
    let bound = |key: &str| u32::try_from(described.get(key)?.as_u64()?).ok();
    let target = ScalableTarget { least: bound("MinCapacity")?, most: bound("MaxCapacity")? };
    Some(((ClusterName::new(cluster), ServiceName::new(service)), target))
}
