//! Application Auto Scaling.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::answer::{list, next_page, text};
use super::caller::Client;
use crate::model::{ClusterName, ScalableTarget, ServiceName};
use crate::ports::{CloudError, Scaling};

/// Resources of one request (Application Auto Scaling API reference, `DescribeScalableTargets`).
const MOST_RESOURCES: usize = 50;
/// Pages of one request: a service has one target.
const MOST_PAGES: usize = 10;

pub(super) struct ScalingClient(pub Client);

#[async_trait]
impl Scaling for ScalingClient {
    async fn scalable_targets(
        &self,
        services: &[(ClusterName, ServiceName)],
    ) -> Result<BTreeMap<(ClusterName, ServiceName), ScalableTarget>, CloudError> {
        let mut found = BTreeMap::new();
        for batch in services.chunks(MOST_RESOURCES) {
            let ids: Vec<String> = batch.iter().map(|(c, s)| format!("service/{c}/{s}")).collect();
            let mut input = json!({
                "ServiceNamespace": "ecs",
                "ScalableDimension": "ecs:service:DesiredCount",
                "ResourceIds": ids,
            });
            for _ in 0..MOST_PAGES {
                let page = self.0.read("DescribeScalableTargets", input.clone()).await?;
                found.extend(list(&page, "ScalableTargets").filter_map(target));
                match next_page(&page, "NextToken") {
                    Some(token) => input["NextToken"] = Value::from(token),
                    None => break,
                }
            }
        }
        Ok(found)
    }
}

fn target(described: &Value) -> Option<((ClusterName, ServiceName), ScalableTarget)> {
    let (cluster, service) = text(described, "ResourceId")?.strip_prefix("service/")?.split_once('/')?;
    let bound = |key: &str| u32::try_from(described.get(key)?.as_u64()?).ok();
    let target = ScalableTarget { least: bound("MinCapacity")?, most: bound("MaxCapacity")? };
    Some(((ClusterName::new(cluster), ServiceName::new(service)), target))
}
