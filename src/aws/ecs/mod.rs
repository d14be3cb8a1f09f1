//! Amazon ECS.

mod convert;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use convert::{registration_of, service, service_deployment, service_revision, task, with_tags};

use super::answer::{list, member, next_page, owned, text, texts};
use super::caller::Client;
use crate::model::{
    ClusterName, Digest, Revision, Service, ServiceDeployment, ServiceName, Task, TaskDefinitionArn,
};
use crate::ports::{CloudError, Ecs, Extent, Listing, RevisionStatus, Tasks};

/// `DescribeServiceRevisions` and `DescribeServiceDeployments` take twenty ARNs (Amazon ECS API reference).
const BATCH: usize = 20;
/// `DescribeTasks` takes a hundred, and lists of task definitions have pages of a hundred (Amazon ECS API reference).
const TASKS: usize = 100;
const PAGE: usize = 100;
/// Pages of one list that are read at most; AWS may send empty ones.
pub(super) const MOST_PAGES: usize = 100;
/// Service revisions are immutable and read once; beyond this many the cache starts afresh.
const MOST_CACHED: usize = 10_000;

pub(super) struct EcsClient {
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
            let input = json!({"serviceRevisionArns": batch});
            let answer = self.client.read("DescribeServiceRevisions", input).await?;
            let revision = |one| Some((owned(one, "serviceRevisionArn")?, service_revision(one)?));
            found.extend(list(&answer, "serviceRevisions").filter_map(revision));
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
        self.client.write("UpdateService", Value::Object(input)).await.map(drop)
    }

    async fn task_arns(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        which: Tasks,
        most: usize,
    ) -> Result<Vec<String>, CloudError> {
        let status = match which {
            Tasks::Running => "RUNNING",
            Tasks::Stopped => "STOPPED",
        };
        let mut input =
            json!({"cluster": cluster.as_str(), "serviceName": service.as_str(), "desiredStatus": status});
        let mut arns = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.client.read("ListTasks", input.clone()).await?;
            arns.extend(texts(&page, "taskArns").map(str::to_owned));
            match next_page(&page, "nextToken") {
                Some(token) if arns.len() < most => input["nextToken"] = Value::from(token),
                _ => break,
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
        let names: Vec<&str> = names.iter().map(ServiceName::as_str).collect();
        let input = json!({"cluster": cluster.as_str(), "services": names});
        let answer = self.client.read("DescribeServices", input).await?;
        let named = |one| Some((ServiceName::new(text(one, "serviceName")?), service(one)?));
        Ok(list(&answer, "services").filter_map(named).collect())
    }

    async fn service_deployments(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        most: usize,
    ) -> Result<Vec<ServiceDeployment>, CloudError> {
        let input =
            json!({"cluster": cluster.as_str(), "service": service.as_str(), "maxResults": most.min(BATCH)});
        let briefs = self.client.read("ListServiceDeployments", input).await?;
        let arns: Vec<&str> =
            list(&briefs, "serviceDeployments").filter_map(|one| text(one, "serviceDeploymentArn")).collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let input = json!({"serviceDeploymentArns": arns});
        let answer = self.client.read("DescribeServiceDeployments", input).await?;
        let revisions = list(&answer, "serviceDeployments").flat_map(|deployment| {
            let sources =
                list(deployment, "sourceServiceRevisions").filter_map(|source| owned(source, "arn"));
            owned(member(deployment, "targetServiceRevision"), "arn").into_iter().chain(sources)
        });
        let revisions = self.service_revisions(revisions.collect()).await?;
        let deployments = list(&answer, "serviceDeployments");
        let mut deployments: Vec<_> =
            deployments.filter_map(|deployment| service_deployment(deployment, &revisions)).collect();
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
        let arns = self.task_arns(cluster, service, which, most).await?;
        let mut tasks = Vec::new();
        for batch in arns.chunks(TASKS) {
            let input = json!({"cluster": cluster.as_str(), "tasks": batch});
            let answer = self.client.read("DescribeTasks", input).await?;
            tasks.extend(list(&answer, "tasks").filter_map(task));
        }
        Ok(tasks)
    }

    async fn newest_revisions(
        &self,
        family: &str,
        most: usize,
    ) -> Result<Vec<TaskDefinitionArn>, CloudError> {
        let input = json!({"familyPrefix": family, "sort": "DESC", "maxResults": most.min(PAGE)});
        let answer = self.client.read("ListTaskDefinitions", input).await?;
        Ok(members_of(family, &answer).take(most).collect())
    }

    async fn family_revisions(
        &self,
        family: &str,
        status: RevisionStatus,
        most: usize,
    ) -> Result<Listing<TaskDefinitionArn>, CloudError> {
        let status = match status {
            RevisionStatus::Active => "ACTIVE",
            RevisionStatus::Inactive => "INACTIVE",
        };
        let mut input = json!({"familyPrefix": family, "status": status, "sort": "DESC"});
        let (mut items, mut extent) = (Vec::new(), Extent::Cut);
        for _ in 0..MOST_PAGES {
            let page = self.client.read("ListTaskDefinitions", input.clone()).await?;
            items.extend(members_of(family, &page));
            match next_page(&page, "nextToken") {
                Some(token) if items.len() <= most => input["nextToken"] = Value::from(token),
                Some(_) => break,
                None => {
                    extent = if items.len() <= most { Extent::Whole } else { Extent::Cut };
                    break;
                }
            }
        }
        items.truncate(most);
        Ok(Listing { items, extent })
    }

    async fn revision(&self, arn: &TaskDefinitionArn) -> Result<Revision, CloudError> {
        let input = json!({"taskDefinition": arn.as_str(), "include": ["TAGS"]});
        let answer = self.client.read("DescribeTaskDefinition", input).await;
        let answer = answer.map_err(|error| match error {
            CloudError::Rejected(why) if why.contains("Unable to describe task definition") => {
                CloudError::NotFound(why)
            }
            other => other,
        })?;
        let described = answer.get("taskDefinition").ok_or_else(|| CloudError::NotFound(arn.to_string()))?;
        let tag = |tag| Some((owned(tag, "key")?, owned(tag, "value").unwrap_or_default()));
        Ok(Revision {
            arn: TaskDefinitionArn::new(text(described, "taskDefinitionArn").unwrap_or(arn.as_str())),
            active: text(described, "status") == Some("ACTIVE"),
            input: registration_of(described),
            tags: list(&answer, "tags").filter_map(tag).collect(),
        })
    }

    async fn register(
        &self,
        input: &Value,
        tags: &BTreeMap<String, String>,
    ) -> Result<TaskDefinitionArn, CloudError> {
        let answer = self.client.write("RegisterTaskDefinition", with_tags(input, tags)).await?;
        let arn = text(member(&answer, "taskDefinition"), "taskDefinitionArn");
        arn.map(TaskDefinitionArn::new)
            .ok_or_else(|| CloudError::Ambiguous("the answer named no revision".to_owned()))
    }

    async fn tag_revision(
        &self,
        arn: &TaskDefinitionArn,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        let tags: Value = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let input = json!({"resourceArn": arn.as_str(), "tags": tags});
        self.client.write("TagResource", input).await.map(drop)
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

/// `familyPrefix` may match more than the family.
fn members_of(family: &str, page: &Value) -> impl Iterator<Item = TaskDefinitionArn> {
    texts(page, "taskDefinitionArns").map(TaskDefinitionArn::new).filter(move |arn| arn.family() == family)
}
