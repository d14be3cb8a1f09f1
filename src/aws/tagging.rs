//! The index of tags: the Resource Groups Tagging API.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde_json::{Value, json};

use super::clock::AwsClock;
use super::json::{JsonClient, Service};
use crate::model::{ApplicationName, EnvironmentName, TaskDefinitionArn};
use crate::plan::memory;
use crate::ports::{CloudError, Extent, Listing, TaggedRevision, Tagging};

const SERVICE: Service = Service {
    id: "Resource Groups Tagging API",
    host: "tagging",
    target: "ResourceGroupsTaggingAPI_20170126",
};
/// Values of one filter (Resource Groups Tagging API reference, `GetResources`).
const MOST_VALUES: usize = 20;
/// Pages of up to a hundred that are read for twenty applications: a thousand revisions each.
const MOST_PAGES: usize = 200;

pub struct TaggingClient(JsonClient);

impl TaggingClient {
    pub fn new(settings: &SdkConfig, clock: &AwsClock) -> Self {
        Self(JsonClient::new(settings, SERVICE, clock))
    }

    async fn pages(
        &self,
        environment: &EnvironmentName,
        applications: &[ApplicationName],
    ) -> Result<Listing<TaggedRevision>, CloudError> {
        let names: Vec<&str> = applications.iter().map(ApplicationName::as_str).collect();
        let (mut items, mut token) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let mut input = json!({
                "ResourceTypeFilters": ["ecs:task-definition"],
                "TagFilters": [
                    {"Key": memory::ENVIRONMENT, "Values": [environment.as_str()]},
                    {"Key": memory::APPLICATION, "Values": names},
                ],
                "ResourcesPerPage": 100,
            });
            if !token.is_empty() {
                input["PaginationToken"] = Value::from(token);
            }
            let page = self.0.read("GetResources", input).await?;
            let found = page.get("ResourceTagMappingList").and_then(Value::as_array);
            let found = found.ok_or_else(|| CloudError::Unavailable("the answer held no list".to_owned()))?;
            items.extend(found.iter().filter_map(tagged));
            token = page.get("PaginationToken").and_then(Value::as_str).unwrap_or_default().to_owned();
            if token.is_empty() {
                return Ok(Listing { items, extent: Extent::Whole });
            }
        }
        Ok(Listing { items, extent: Extent::Cut })
    }
}

#[async_trait]
impl Tagging for TaggingClient {
    async fn revisions_tagged(
        &self,
        environment: &EnvironmentName,
        applications: &[ApplicationName],
    ) -> Result<Listing<TaggedRevision>, CloudError> {
        let mut all = Listing::default();
        for batch in applications.chunks(MOST_VALUES) {
            all.append(self.pages(environment, batch).await?);
        }
        Ok(all)
    }
}

fn tagged(mapping: &Value) -> Option<TaggedRevision> {
    let arn = mapping.get("ResourceARN")?.as_str()?;
    let tags = mapping.get("Tags").and_then(Value::as_array).into_iter().flatten();
    let tag = |tag: &Value| {
        let value = tag.get("Value").and_then(Value::as_str).unwrap_or_default();
        Some((tag.get("Key")?.as_str()?.to_owned(), value.to_owned()))
    };
    let tags: BTreeMap<String, String> = tags.filter_map(tag).collect();
    Some(TaggedRevision { arn: TaskDefinitionArn::new(arn), tags })
}
