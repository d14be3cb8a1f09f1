//! Amazon ECS.

mod convert;
mod failure;
mod shift;
mod tasks;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use futures::future::try_join_all;
use serde_json::{Map, Value, json};

use convert::{registration_of, service, service_deployment, service_revision, with_tags};
use tasks::ServiceTasks;

use super::answer::{list, member, next_page, owned, text, texts};
use super::batch::{Batch, Batches, Terms};
use super::caller::Client;
use crate::archive::{Archive, Kind};
use crate::model::{
    ClusterName, DeploymentId, Digest, Revision, RunAnswer, Service, ServiceDeployment, ServiceName, Task,
    TaskDefinitionArn, Word,
};
use crate::ports::{CloudError, Ecs, Extent, Listing, RevisionStatus, Tasks};

/// `DescribeServices` takes ten names (Amazon ECS API reference).
const SERVICES: usize = 10;
/// `DescribeServiceRevisions` and `DescribeServiceDeployments` take twenty ARNs (Amazon ECS API reference).
const BATCH: usize = 20;
/// Lists of task definitions have pages of a hundred (Amazon ECS API reference).
const PAGE: usize = 100;
/// Pages of one list that are read at most; AWS may send empty ones.
pub(super) const MOST_PAGES: usize = 100;
/// Service revisions are immutable and read once; beyond this many the cache starts afresh.
const MOST_CACHED: usize = 10_000;

pub(super) struct EcsClient {
    client: Client,
    archive: Archive,
    services: Batches<ClusterName, ServiceName, Service>,
    deployments: Batch<String, Value>,
    revisions: Batch<String, Value>,
    tasks: ServiceTasks,
    /// Service revisions are immutable, and so is what is said of a deployment that is over.
    known_revisions: Mutex<HashMap<String, ServiceRevision>>,
    ended_deployments: Mutex<HashMap<String, Value>>,
}

#[derive(Clone)]
struct ServiceRevision {
    task_definition: TaskDefinitionArn,
    digests: BTreeMap<String, Digest>,
}

impl ServiceRevision {
    /// Whether nothing will be added to it.
    fn is_whole(&self) -> bool {
        !self.digests.is_empty()
    }
}

impl EcsClient {
    pub fn new(client: Client, archive: Archive) -> Self {
        let linger = client.linger();
        Self {
            services: Batches::new(Terms::new(SERVICES, linger)),
            deployments: Batch::new(Terms::new(BATCH, linger)),
            revisions: Batch::new(Terms::new(BATCH, linger)),
            tasks: ServiceTasks::new(client.clone()),
            known_revisions: Mutex::default(),
            ended_deployments: Mutex::default(),
            archive,
            client,
        }
    }

    async fn describe_services(
        &self,
        cluster: &ClusterName,
        names: Vec<ServiceName>,
    ) -> Result<BTreeMap<ServiceName, Service>, CloudError> {
        let names: Vec<&str> = names.iter().map(ServiceName::as_str).collect();
        let input = json!({"cluster": cluster.as_str(), "services": names});
        let answer = self.client.read("DescribeServices", input).await?;
        let named = |one| Some((ServiceName::new(text(one, "serviceName")?), service(one)?));
        Ok(list(&answer, "services").filter_map(named).collect())
    }

    async fn describe_deployments(&self, arns: Vec<String>) -> Result<BTreeMap<String, Value>, CloudError> {
        let answer =
            self.client.read("DescribeServiceDeployments", json!({"serviceDeploymentArns": arns})).await?;
        let named = |one: &Value| Some((owned(one, "serviceDeploymentArn")?, one.clone()));
        Ok(list(&answer, "serviceDeployments").filter_map(named).collect())
    }

    async fn describe_revisions(&self, arns: Vec<String>) -> Result<BTreeMap<String, Value>, CloudError> {
        let answer =
            self.client.read("DescribeServiceRevisions", json!({"serviceRevisionArns": arns})).await?;
        let named = |one: &Value| Some((owned(one, "serviceRevisionArn")?, one.clone()));
        Ok(list(&answer, "serviceRevisions").filter_map(named).collect())
    }

    async fn deployment(&self, arn: String) -> Result<Option<Value>, CloudError> {
        if let Some(known) = find(&self.ended_deployments, &arn) {
            return Ok(Some(known));
        }
        if let Some(archived) = self.archive.find(Kind::ServiceDeployment, &arn).await.filter(says_no_more) {
            keep(&self.ended_deployments, arn, archived.clone());
            return Ok(Some(archived));
        }
        let found = self.deployments.ask(arn.clone(), |arns| self.describe_deployments(arns)).await?;
        if let Some(found) = found.as_ref().filter(|found| says_no_more(found)) {
            self.archive.keep(Kind::ServiceDeployment, &arn, found.clone()).await;
            keep(&self.ended_deployments, arn, found.clone());
        }
        Ok(found)
    }

    /// Digests are filled in by the first tasks, so a revision without them is read again.
    async fn service_revision(&self, arn: String) -> Result<Option<ServiceRevision>, CloudError> {
        if let Some(known) = find(&self.known_revisions, &arn) {
            return Ok(Some(known));
        }
        let archived = self.archive.find(Kind::ServiceRevision, &arn).await;
        if let Some(known) = archived.as_ref().and_then(service_revision).filter(ServiceRevision::is_whole) {
            keep(&self.known_revisions, arn, known.clone());
            return Ok(Some(known));
        }
        let found = self.revisions.ask(arn.clone(), |arns| self.describe_revisions(arns)).await?;
        let Some(body) = found else { return Ok(None) };
        let found = service_revision(&body);
        if let Some(found) = found.as_ref().filter(|found| found.is_whole()) {
            self.archive.keep(Kind::ServiceRevision, &arn, body).await;
            keep(&self.known_revisions, arn, found.clone());
        }
        Ok(found)
    }

    async fn update_service(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        mut input: Map<String, Value>,
    ) -> Result<Value, CloudError> {
        input.insert("cluster".to_owned(), Value::from(cluster.as_str()));
        input.insert("service".to_owned(), Value::from(service.as_str()));
        self.client.write("UpdateService", Value::Object(input)).await
    }
}

/// Whether a deployment is over, and will be described the same from now on. Of one that has succeeded before a task ran, that one
/// runs may still be seen.
fn says_no_more(deployment: &Value) -> bool {
    let has_run = member(deployment, "targetServiceRevision").get("runningTaskCount").and_then(Value::as_i64);
    match text(deployment, "status") {
        Some("SUCCESSFUL") => has_run.is_some_and(|tasks| tasks > 0),
        Some("STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED") => true,
        _ => false,
    }
}

fn find<V: Clone>(cache: &Mutex<HashMap<String, V>>, key: &str) -> Option<V> {
    cache.lock().ok()?.get(key).cloned()
}

fn keep<V>(cache: &Mutex<HashMap<String, V>>, key: String, value: V) {
    let Ok(mut cache) = cache.lock() else { return };
    if cache.len() >= MOST_CACHED {
        cache.clear();
    }
    cache.insert(key, value);
}

#[async_trait]
impl Ecs for EcsClient {
    async fn service(
        &self,
        cluster: &ClusterName,
        name: &ServiceName,
    ) -> Result<Option<Service>, CloudError> {
        let call = |names| self.describe_services(cluster, names);
        self.services.ask(cluster.clone(), name.clone(), call).await
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
        let arns = list(&briefs, "serviceDeployments").filter_map(|one| owned(one, "serviceDeploymentArn"));
        self.deployments_of(arns.collect()).await
    }

    async fn deployments_of(&self, arns: Vec<String>) -> Result<Vec<ServiceDeployment>, CloudError> {
        let described = try_join_all(arns.into_iter().map(|arn| self.deployment(arn))).await?;
        let described: Vec<Value> = described.into_iter().flatten().collect();
        let revisions: BTreeSet<String> = described.iter().flat_map(revisions_of).collect();
        let revisions = revisions.into_iter().map(async |arn| {
            let revision = self.service_revision(arn.clone()).await?;
            Ok(revision.map(|revision| (arn, revision)))
        });
        let revisions: HashMap<_, _> = try_join_all(revisions).await?.into_iter().flatten().collect();
        let deployments = described.iter();
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
        self.tasks.of(cluster, service, which, most).await
    }

    async fn run(&self, cluster: &ClusterName, id: &str) -> Result<Option<Task>, CloudError> {
        self.tasks.one(cluster, id).await
    }

    async fn runs(&self, cluster: &ClusterName, started_by: &str) -> Result<Vec<Task>, CloudError> {
        self.tasks.started_by(cluster, started_by).await
    }

    async fn runs_of_family(
        &self,
        cluster: &ClusterName,
        family: &str,
        most: usize,
    ) -> Result<Vec<Task>, CloudError> {
        self.tasks.of_family(cluster, family, most).await
    }

    async fn run_task(&self, input: &Value) -> Result<RunAnswer, CloudError> {
        let answer = self.client.write("RunTask", input.clone()).await?;
        let started = list(&answer, "tasks").find_map(|task| text(task, "taskArn"));
        if let Some(arn) = started {
            return Ok(RunAnswer::Started(arn.rsplit('/').next().unwrap_or(arn).to_owned()));
        }
        match list(&answer, "failures").next() {
            Some(failure) => {
                let said = [text(failure, "reason"), text(failure, "detail")];
                let said: Vec<&str> = said.into_iter().flatten().collect();
                Ok(RunAnswer::NoPlace(if said.is_empty() { "no reason".to_owned() } else { said.join(", ") }))
            }
            None => Err(CloudError::Ambiguous("the answer named no task".to_owned())),
        }
    }

    async fn stop_task(&self, cluster: &ClusterName, id: &str, reason: &str) -> Result<(), CloudError> {
        let input = json!({"cluster": cluster.as_str(), "task": id, "reason": reason});
        self.client.write("StopTask", input).await.map(drop)
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
        let revision = revision_of(&answer).ok_or_else(|| CloudError::NotFound(arn.to_string()))?;
        // A name may stand for another revision tomorrow; its whole ARN never does.
        if revision.arn == *arn {
            self.archive.keep(Kind::TaskDefinition, arn.as_str(), answer).await;
        }
        Ok(revision)
    }

    async fn archived_revision(&self, arn: &TaskDefinitionArn) -> Option<Revision> {
        let answer = self.archive.find(Kind::TaskDefinition, arn.as_str()).await?;
        revision_of(&answer).filter(|revision| revision.arn == *arn)
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
    ) -> Result<Option<DeploymentId>, CloudError> {
        let mut input = settings.and_then(Value::as_object).cloned().unwrap_or_default();
        input.insert("taskDefinition".to_owned(), Value::from(revision.as_str()));
        if force {
            input.insert("forceNewDeployment".to_owned(), Value::from(true));
        }
        let answer = self.update_service(cluster, service, input).await?;
        let newest =
            convert::service(member(&answer, "service")).and_then(|service| Some(service.primary()?.clone()));
        Ok(newest.filter(|newest| newest.task_definition == *revision).map(|newest| newest.id))
    }

    async fn update_settings(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        settings: &Value,
    ) -> Result<(), CloudError> {
        self.update_service(cluster, service, settings.as_object().cloned().unwrap_or_default())
            .await
            .map(drop)
    }

    async fn stop_deployment(&self, arn: &str) -> Result<(), CloudError> {
        let input = json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"});
        match self.client.write("StopServiceDeployment", input).await {
            // It ended by itself meanwhile.
            Err(CloudError::Rejected(why)) if why.starts_with("ConflictException") => Ok(()),
            other => other.map(drop),
        }
    }

    async fn answer_pause(&self, arn: &str, pause: &str, word: Word) -> Result<(), CloudError> {
        let action = match word {
            Word::Go => "CONTINUE",
            Word::Back => "ROLLBACK",
        };
        let input = json!({"serviceDeploymentArn": arn, "hookId": pause, "action": action});
        self.client.write("ContinueServiceDeployment", input).await.map(drop)
    }
}

/// What `DescribeTaskDefinition` answered.
fn revision_of(answer: &Value) -> Option<Revision> {
    let described = answer.get("taskDefinition")?;
    let tag = |tag| Some((owned(tag, "key")?, owned(tag, "value").unwrap_or_default()));
    Some(Revision {
        arn: TaskDefinitionArn::new(text(described, "taskDefinitionArn")?),
        active: text(described, "status") == Some("ACTIVE"),
        input: registration_of(described),
        tags: list(answer, "tags").filter_map(tag).collect(),
        registered_by: owned(described, "registeredBy"),
    })
}

/// The service revisions that a deployment leads from and to.
fn revisions_of(deployment: &Value) -> impl Iterator<Item = String> {
    let sources = list(deployment, "sourceServiceRevisions").filter_map(|source| owned(source, "arn"));
    owned(member(deployment, "targetServiceRevision"), "arn").into_iter().chain(sources)
}

/// `familyPrefix` may match more than the family.
fn members_of(family: &str, page: &Value) -> impl Iterator<Item = TaskDefinitionArn> {
    texts(page, "taskDefinitionArns").map(TaskDefinitionArn::new).filter(move |arn| arn.family() == family)
}
