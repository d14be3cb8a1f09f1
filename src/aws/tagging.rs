//! The index of tags: the Resource Groups Tagging API.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::answer::{list, next_page, owned, text};
use super::batch::{Batches, Terms};
use super::caller::Client;
use crate::documents::memory;
use crate::model::{ApplicationName, EnvironmentName, TaskDefinitionArn};
use crate::ports::{CloudError, Extent, Listing, TaggedRevision, Tagging};

/// Values of one filter (Resource Groups Tagging API reference, `GetResources`).
const MOST_VALUES: usize = 20;
/// Pages of up to a hundred that are read for twenty applications: a thousand revisions each.
const MOST_PAGES: usize = 200;

pub(super) struct TaggingClient {
    client: Client,
    revisions: Batches<EnvironmentName, ApplicationName, Listing<TaggedRevision>>,
}

impl TaggingClient {
    pub fn new(client: Client) -> Self {
        let revisions = Batches::new(Terms::new(MOST_VALUES, client.linger()));
        Self { client, revisions }
    }

    /// Revisions with all these tags.
    async fn all(&self, filters: Value) -> Result<Listing<TaggedRevision>, CloudError> {
        let mut input = json!({
            "ResourceTypeFilters": ["ecs:task-definition"],
            "TagFilters": filters,
            "ResourcesPerPage": 100,
        });
        let mut all = Listing { items: Vec::new(), extent: Extent::Cut };
        for _ in 0..MOST_PAGES {
            let page = self.client.read("GetResources", input.clone()).await?;
            let found = page.get("ResourceTagMappingList").and_then(Value::as_array);
            let found = found.ok_or_else(|| CloudError::Unavailable("the answer held no list".to_owned()))?;
            all.items.extend(found.iter().filter_map(tagged));
            match next_page(&page, "PaginationToken") {
                Some(token) => input["PaginationToken"] = Value::from(token),
                None => {
                    all.extent = Extent::Whole;
                    break;
                }
            }
        }
        Ok(all)
    }

    /// Of every application that was asked for; where the list was cut, it was for each of them.
    async fn pages(
        &self,
        environment: EnvironmentName,
        applications: Vec<ApplicationName>,
    ) -> Result<BTreeMap<ApplicationName, Listing<TaggedRevision>>, CloudError> {
        let names: Vec<&str> = applications.iter().map(ApplicationName::as_str).collect();
        let Listing { items, extent } = self
            .all(json!([
                {"Key": memory::ENVIRONMENT, "Values": [environment.as_str()]},
                {"Key": memory::APPLICATION, "Values": names},
            ]))
            .await?;
        let empty = || Listing { items: Vec::new(), extent };
        let mut listings: BTreeMap<_, _> = applications.into_iter().map(|name| (name, empty())).collect();
        for one in items {
            let name = one.tags.get(memory::APPLICATION).map(ApplicationName::new);
            if let Some(listing) = name.and_then(|name| listings.get_mut(&name)) {
                listing.items.push(one);
            }
        }
        Ok(listings)
    }
}

#[async_trait]
impl Tagging for TaggingClient {
    async fn revisions_tagged(
        &self,
        environment: &EnvironmentName,
        application: &ApplicationName,
    ) -> Result<Listing<TaggedRevision>, CloudError> {
        let call = |applications| self.pages(environment.clone(), applications);
        let found = self.revisions.ask(environment.clone(), application.clone(), call).await?;
        Ok(found.unwrap_or_default())
    }

    async fn revisions_of_services(&self) -> Result<Listing<TaggedRevision>, CloudError> {
        self.all(json!([{"Key": memory::SERVICE}])).await
    }
}

fn tagged(mapping: &Value) -> Option<TaggedRevision> {
    let tag = |tag: &Value| Some((owned(tag, "Key")?, owned(tag, "Value").unwrap_or_default()));
    let tags: BTreeMap<String, String> = list(mapping, "Tags").filter_map(tag).collect();
    Some(TaggedRevision { arn: TaskDefinitionArn::new(text(mapping, "ResourceARN")?), tags })
}
