//! Application Auto Scaling.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::answer::{list, next_page, text};
use super::batch::{Batch, Terms};
use super::caller::Client;
use crate::model::{ClusterName, ScalableTarget, ServiceName};
use crate::ports::{CloudError, Scaling};

/// Resources of one request (Application Auto Scaling API reference, `DescribeScalableTargets`).
const MOST_RESOURCES: usize = 50;
/// Pages of one request: a service has one target.
const MOST_PAGES: usize = 10;

/// A service by its cluster and name.
type Named = (ClusterName, ServiceName);

pub(super) struct ScalingClient {
    client: Client,
    targets: Batch<Named, ScalableTarget>,
}

impl ScalingClient {
    pub fn new(client: Client) -> Self {
        let targets = Batch::new(Terms::new(MOST_RESOURCES, client.linger()));
        Self { client, targets }
    }

    async fn scalable_targets(
        &self,
        services: Vec<Named>,
    ) -> Result<BTreeMap<Named, ScalableTarget>, CloudError> {
        let ids: Vec<String> = services.iter().map(|(c, s)| format!("service/{c}/{s}")).collect();
        let mut input = json!({
            "ServiceNamespace": "ecs",
            "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceIds": ids,
        });
        let mut found = BTreeMap::new();
        for _ in 0..MOST_PAGES {
            let page = self.client.read("DescribeScalableTargets", input.clone()).await?;
            found.extend(list(&page, "ScalableTargets").filter_map(target));
            match next_page(&page, "NextToken") {
                Some(token) => input["NextToken"] = Value::from(token),
                None => break,
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Scaling for ScalingClient {
    async fn scalable_target(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Result<Option<ScalableTarget>, CloudError> {
        let call = |services| self.scalable_targets(services);
        self.targets.ask((cluster.clone(), service.clone()), call).await
    }
}

fn target(described: &Value) -> Option<(Named, ScalableTarget)> {
    let (cluster, service) = text(described, "ResourceId")?.strip_prefix("service/")?.split_once('/')?;
    let bound = |key: &str| u32::try_from(described.get(key)?.as_u64()?).ok();
    let target = ScalableTarget { least: bound("MinCapacity")?, most: bound("MaxCapacity")? };
    Some(((ClusterName::new(cluster), ServiceName::new(service)), target))
}
