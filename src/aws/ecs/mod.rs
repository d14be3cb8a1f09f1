//! Amazon ECS.

mod convert;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::types as sdk;
use serde_json::{Map, Value};

use convert::{
    convert_service, convert_service_deployment, convert_service_revision, convert_task, registration_of,
    with_tags,
};

use super::error::{classify_read, classify_write};
use super::raw::RawJson;
use crate::model::{
    ClusterName, Digest, Revision, Service, ServiceDeployment, ServiceName, Task, TaskDefinitionArn,
};
use crate::plan::service_settings;
use crate::ports::{CloudError, Ecs, Extent, Listing, RevisionStatus, Tasks};

/// `DescribeServiceRevisions` and `DescribeServiceDeployments` take twenty ARNs (Amazon ECS API reference).
const BATCH: usize = 20;
/// Pages of one list that are read at most; AWS may send empty ones.
pub(super) const MOST_PAGES: usize = 100;
/// Service revisions are immutable and read once; beyond this many the cache starts afresh.
const MOST_CACHED: usize = 10_000;

pub struct EcsClient {
    client: Client,
    service_revisions: Mutex<HashMap<String, ServiceRevision>>,
}

#[derive(Clone)]
struct ServiceRevision {
    task_definition: TaskDefinitionArn,
    digests: BTreeMap<String, Digest>,
}

impl EcsClient {
    pub fn new(client: Client) -> Self {
        Self { client, service_revisions: Mutex::new(HashMap::new()) }
    }

    /// Reads what is not cached, in batches.
    async fn service_revisions(
        &self,
        arns: BTreeSet<String>,
    ) -> Result<HashMap<String, ServiceRevision>, CloudError> {
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        for arn in arns {
            match self.service_revisions.lock().ok().and_then(|cache| cache.get(&arn).cloned()) {
                Some(revision) => drop(found.insert(arn, revision)),
                None => missing.push(arn),
            }
        }
        for batch in missing.chunks(BATCH) {
            let call =
                self.client.describe_service_revisions().set_service_revision_arns(Some(batch.to_vec()));
            let answer = call.send().await.map_err(|error| classify_read(&error))?;
            let revisions = answer.service_revisions().iter();
            found.extend(revisions.filter_map(|one| {
                let revision = convert_service_revision(one)?;
                Some((one.service_revision_arn()?.to_owned(), revision))
            }));
        }
        self.keep(&found);
        Ok(found)
    }

    /// Digests are filled in by the first tasks, so a revision without them is read again.
    fn keep(&self, found: &HashMap<String, ServiceRevision>) {
        let Ok(mut cache) = self.service_revisions.lock() else { return };
        if cache.len() > MOST_CACHED {
            cache.clear();
        }
        let resolved = found.iter().filter(|(_, revision)| !revision.digests.is_empty());
        cache.extend(resolved.map(|(arn, revision)| (arn.clone(), revision.clone())));
    }

    async fn update_service(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        mut input: Map<String, Value>,
    ) -> Result<(), CloudError> {
        input.insert("cluster".to_owned(), Value::from(cluster.as_str()));
        input.insert("service".to_owned(), Value::from(service.as_str()));
        // The typed member only satisfies the builder; the body is replaced by the raw input.
        let call = self.client.update_service().service(service.as_str());
        let sent = call.customize().interceptor(RawJson::send(&Value::Object(input))).send().await;
        sent.map(|_| ()).map_err(|error| classify_write(&error))
    }

    async fn task_arns(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        status: sdk::DesiredStatus,
        most: usize,
    ) -> Result<Vec<String>, CloudError> {
        let mut arns = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let call = self
                .client
                .list_tasks()
                .cluster(cluster.as_str())
                .service_name(service.as_str())
                .desired_status(status.clone())
                .set_next_token(token);
            let page = call.send().await.map_err(|error| classify_read(&error))?;
            arns.extend_from_slice(page.task_arns());
            token = page.next_token().map(str::to_owned);
            if token.is_none() || arns.len() >= most {
                break;
            }
        }
        arns.truncate(most);
        Ok(arns)
    }
}

#[async_trait]
impl Ecs for EcsClient {
    async fn services(
        &self,
        cluster: &ClusterName,
        names: &[ServiceName],
    ) -> Result<BTreeMap<ServiceName, Service>, CloudError> {
        let names = names.iter().map(|name| name.as_str().to_owned()).collect();
        let call = self.client.describe_services().cluster(cluster.as_str()).set_services(Some(names));
        let raw = RawJson::capture();
        let answer = call.customize().interceptor(raw.clone()).send().await;
        let answer = answer.map_err(|error| classify_read(&error))?;
        let body = raw.take().ok_or_else(no_json)?;
        let described = |name: &str| {
            let all = body.get("services").and_then(Value::as_array).into_iter().flatten();
            all.into_iter().find(|one| one.get("serviceName").and_then(Value::as_str) == Some(name))
        };
        Ok(answer
            .services()
            .iter()
            .filter_map(|service| {
                let name = service.service_name()?;
                let settings = described(name).map_or(Value::Null, service_settings::of);
                Some((ServiceName::new(name), Service { settings, ..convert_service(service)? }))
            })
            .collect())
    }

    async fn service_deployments(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        most: usize,
    ) -> Result<Vec<ServiceDeployment>, CloudError> {
        let size = i32::try_from(most.min(BATCH)).unwrap_or(20);
        let call = self
            .client
            .list_service_deployments()
            .cluster(cluster.as_str())
            .service(service.as_str())
            .max_results(size);
        let list = call.send().await.map_err(|error| classify_read(&error))?;
        let arns: Vec<String> = list
            .service_deployments()
            .iter()
            .filter_map(|brief| brief.service_deployment_arn().map(str::to_owned))
            .collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.client.describe_service_deployments().set_service_deployment_arns(Some(arns));
        let answer = call.send().await.map_err(|error| classify_read(&error))?;
        let revisions = answer.service_deployments().iter().flat_map(|deployment| {
            let sources = deployment.source_service_revisions().iter().filter_map(|source| source.arn());
            deployment.target_service_revision().and_then(|target| target.arn()).into_iter().chain(sources)
        });
        let revisions = self.service_revisions(revisions.map(str::to_owned).collect()).await?;
        let mut deployments: Vec<_> = answer
            .service_deployments()
            .iter()
            .filter_map(|deployment| convert_service_deployment(deployment, &revisions))
            .collect();
        deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.created_at));
        Ok(deployments)
    }

    async fn tasks(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        which: Tasks,
        most: usize,
    ) -> Result<Vec<Task>, CloudError> {
        let status = match which {
            Tasks::Running => sdk::DesiredStatus::Running,
            Tasks::Stopped => sdk::DesiredStatus::Stopped,
        };
        let arns = self.task_arns(cluster, service, status, most).await?;
        let mut tasks = Vec::new();
        for batch in arns.chunks(100) {
            let call = self.client.describe_tasks().cluster(cluster.as_str()).set_tasks(Some(batch.to_vec()));
            let answer = call.send().await.map_err(|error| classify_read(&error))?;
            tasks.extend(answer.tasks().iter().filter_map(convert_task));
        }
        Ok(tasks)
    }

    async fn newest_revisions(
        &self,
        family: &str,
        most: usize,
    ) -> Result<Vec<TaskDefinitionArn>, CloudError> {
        let call = self
            .client
            .list_task_definitions()
            .family_prefix(family)
            .sort(sdk::SortOrder::Desc)
            .max_results(i32::try_from(most).unwrap_or(20));
        let answer = call.send().await.map_err(|error| classify_read(&error))?;
        let arns = answer.task_definition_arns().iter().map(TaskDefinitionArn::new);
        Ok(arns.filter(|arn| arn.family() == family).take(most).collect())
    }

    async fn family_revisions(
        &self,
        family: &str,
        status: RevisionStatus,
        most: usize,
    ) -> Result<Listing<TaskDefinitionArn>, CloudError> {
        let status = match status {
            RevisionStatus::Active => sdk::TaskDefinitionStatus::Active,
            RevisionStatus::Inactive => sdk::TaskDefinitionStatus::Inactive,
        };
        let (mut items, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self
                .client
                .list_task_definitions()
                .family_prefix(family)
                .status(status.clone())
                .sort(sdk::SortOrder::Desc)
                .set_next_token(token);
            let page = call.send().await.map_err(|error| classify_read(&error))?;
            let arns = page.task_definition_arns().iter().map(TaskDefinitionArn::new);
            items.extend(arns.filter(|arn| arn.family() == family));
            token = page.next_token().map(str::to_owned);
            if token.is_none() || items.len() > most {
                break;
            }
        }
        let extent = if token.is_none() && items.len() <= most { Extent::Whole } else { Extent::Cut };
        items.truncate(most);
        Ok(Listing { items, extent })
    }

    async fn revision(&self, arn: &TaskDefinitionArn) -> Result<Revision, CloudError> {
        let raw = RawJson::capture();
        let call = self
            .client
            .describe_task_definition()
            .task_definition(arn.as_str())
            .include(sdk::TaskDefinitionField::Tags);
        let answer = call.customize().interceptor(raw.clone()).send().await;
        let answer = answer.map_err(|error| match classify_read(&error) {
            CloudError::Rejected(why) if why.contains("Unable to describe task definition") => {
                CloudError::NotFound(why)
            }
            other => other,
        })?;
        let body = raw.take().ok_or_else(no_json)?;
        let described = answer.task_definition().ok_or_else(|| CloudError::NotFound(arn.to_string()))?;
        let tags = answer
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
        Ok(Revision {
            arn: TaskDefinitionArn::new(described.task_definition_arn().unwrap_or(arn.as_str())),
            active: described.status() == Some(&sdk::TaskDefinitionStatus::Active),
            input: registration_of(body.get("taskDefinition")),
            tags: tags.collect(),
        })
    }

    async fn register(
        &self,
        input: &Value,
        tags: &BTreeMap<String, String>,
    ) -> Result<TaskDefinitionArn, CloudError> {
        let raw = RawJson::send(&with_tags(input, tags));
        // The typed members only satisfy the builder; the body is replaced by the raw input.
        let call =
            self.client.register_task_definition().family("-").set_container_definitions(Some(Vec::new()));
        let answer =
            call.customize().interceptor(raw).send().await.map_err(|error| classify_write(&error))?;
        let arn = answer.task_definition().and_then(|described| described.task_definition_arn());
        arn.map(TaskDefinitionArn::new)
            .ok_or_else(|| CloudError::Ambiguous("the answer named no revision".to_owned()))
    }

    async fn tag_revision(
        &self,
        arn: &TaskDefinitionArn,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        let tags = tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build());
        let call = self.client.tag_resource().resource_arn(arn.as_str()).set_tags(Some(tags.collect()));
        call.send().await.map(|_| ()).map_err(|error| classify_write(&error))
    }

    async fn deploy(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        revision: &TaskDefinitionArn,
        settings: Option<&Value>,
        force: bool,
    ) -> Result<(), CloudError> {
        let mut input = settings.and_then(Value::as_object).cloned().unwrap_or_default();
        input.insert("taskDefinition".to_owned(), Value::from(revision.as_str()));
        if force {
            input.insert("forceNewDeployment".to_owned(), Value::from(true));
        }
        self.update_service(cluster, service, input).await
    }

    async fn update_settings(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        settings: &Value,
    ) -> Result<(), CloudError> {
        self.update_service(cluster, service, settings.as_object().cloned().unwrap_or_default()).await
    }
}

fn no_json() -> CloudError {
    CloudError::Unavailable("the answer held no JSON".to_owned())
}
