//! Amazon ECS.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::types as sdk;
use aws_smithy_types::DateTime;
use serde_json::{Map, Value};

use super::error::{classify_read, classify_write};
use super::raw::RawJson;
use crate::model::{
    CircuitBreaker, ClusterName, Controller, Deployment, DeploymentId, DeploymentStatus, Digest,
    LoadBalancer, Millis, Revision, RolloutState, Scheduling, Service, ServiceDeployment,
    ServiceDeploymentStatus, ServiceName, ServiceStatus, Task, TaskContainer, TaskDefinitionArn, TaskHealth,
};
use crate::plan::service_settings;
use crate::ports::{CloudError, Ecs, Tasks};

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

    async fn tag_revision(&self, arn: &TaskDefinitionArn, key: &str, value: &str) -> Result<(), CloudError> {
        let tag = sdk::Tag::builder().key(key).value(value).build();
        let call = self.client.tag_resource().resource_arn(arn.as_str()).tags(tag);
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

fn convert_service_revision(revision: &sdk::ServiceRevision) -> Option<ServiceRevision> {
    let digests = revision
        .container_images()
        .iter()
        .filter_map(|image| Some((image.container_name()?.to_owned(), Digest::new(image.image_digest()?))));
    let task_definition = TaskDefinitionArn::new(revision.task_definition()?);
    Some(ServiceRevision { task_definition, digests: digests.collect() })
}

/// Drops what only an answer holds: keys that are no member of the `RegisterTaskDefinition` input, by the SDK's schema,
/// and those the schema cannot know are kept.
fn registration_of(described: Option<&Value>) -> Value {
    const RESPONSE_ONLY: [&str; 9] = [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    ];
    let fields = described.and_then(Value::as_object).cloned().unwrap_or_default();
    Value::Object(fields.into_iter().filter(|(key, _)| !RESPONSE_ONLY.contains(&key.as_str())).collect())
}

/// The input with our tags after the declared ones; ours win.
fn with_tags(input: &Value, tags: &BTreeMap<String, String>) -> Value {
    let mut fields: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    let declared = fields.remove("tags").and_then(|tags| tags.as_array().cloned()).unwrap_or_default();
    let kept = declared.into_iter().filter(|tag| {
        tag.get("key")
            .and_then(Value::as_str)
            .is_none_or(|key| !tags.contains_key(key) && !key.starts_with("trueup:"))
    });
    let ours = tags.iter().map(|(key, value)| serde_json::json!({"key": key, "value": value}));
    let all: Vec<Value> = kept.chain(ours).collect();
    fields.insert("tags".to_owned(), Value::Array(all));
    Value::Object(fields)
}

fn millis(time: Option<&DateTime>) -> Millis {
    time.and_then(|time| time.to_millis().ok()).unwrap_or_default()
}

fn convert_service(service: &sdk::Service) -> Option<Service> {
    let configuration = service.deployment_configuration();
    let breaker = configuration.and_then(|configuration| configuration.deployment_circuit_breaker());
    let alarms = configuration.and_then(|configuration| configuration.alarms());
    let deployments = service.deployments().iter().filter_map(convert_deployment);
    let sets = service.task_sets().iter().filter_map(convert_task_set);
    let mut deployments: Vec<Deployment> = deployments.chain(sets).collect();
    deployments.sort_by_key(|deployment| deployment.status != DeploymentStatus::Primary);
    Some(Service {
        arn: service.service_arn()?.to_owned(),
        status: match service.status() {
            Some("ACTIVE") => ServiceStatus::Active,
            Some("DRAINING") => ServiceStatus::Draining,
            _ => ServiceStatus::Inactive,
        },
        controller: match service.deployment_controller().map(sdk::DeploymentController::r#type) {
            None | Some(sdk::DeploymentControllerType::Ecs) => Controller::Ecs,
            Some(sdk::DeploymentControllerType::CodeDeploy) => Controller::CodeDeploy,
            Some(_) => Controller::External,
        },
        scheduling: match service.scheduling_strategy() {
            Some(sdk::SchedulingStrategy::Daemon) => Scheduling::Daemon,
            _ => Scheduling::Replica,
        },
        task_definition: TaskDefinitionArn::new(service.task_definition().unwrap_or_default()),
        desired_count: service.desired_count(),
        running_count: service.running_count(),
        pending_count: service.pending_count(),
        circuit_breaker: CircuitBreaker {
            enabled: breaker.is_some_and(sdk::DeploymentCircuitBreaker::enable),
            rollback: breaker.is_some_and(sdk::DeploymentCircuitBreaker::rollback),
        },
        settings: Value::Null,
        alarms_roll_back: alarms.is_some_and(|alarms| alarms.enable() && alarms.rollback()),
        deployments,
        events: service
            .events()
            .iter()
            .filter_map(|event| event.message().map(str::to_owned))
            .take(5)
            .collect(),
    })
}

fn convert_deployment(deployment: &sdk::Deployment) -> Option<Deployment> {
    Some(Deployment {
        id: DeploymentId::new(deployment.id()?),
        status: match deployment.status() {
            Some("PRIMARY") => DeploymentStatus::Primary,
            Some("ACTIVE") => DeploymentStatus::Active,
            _ => DeploymentStatus::Inactive,
        },
        task_definition: TaskDefinitionArn::new(deployment.task_definition()?),
        rollout: deployment.rollout_state().and_then(|state| match state {
            sdk::DeploymentRolloutState::Completed => Some(RolloutState::Completed),
            sdk::DeploymentRolloutState::Failed => Some(RolloutState::Failed),
            sdk::DeploymentRolloutState::InProgress => Some(RolloutState::InProgress),
            _ => None,
        }),
        running: deployment.running_count(),
        failed_tasks: deployment.failed_tasks(),
        load_balancer: None,
        created_at: millis(deployment.created_at()),
        updated_at: millis(deployment.updated_at()),
    })
}

fn convert_task_set(set: &sdk::TaskSet) -> Option<Deployment> {
    let balancer = set.load_balancers().first();
    Some(Deployment {
        id: DeploymentId::new(set.id()?),
        status: match set.status() {
            Some("PRIMARY") => DeploymentStatus::Primary,
            Some("ACTIVE") => DeploymentStatus::Active,
            _ => DeploymentStatus::Inactive,
        },
        task_definition: TaskDefinitionArn::new(set.task_definition()?),
        rollout: match set.stability_status() {
            Some(sdk::StabilityStatus::SteadyState) => Some(RolloutState::Completed),
            Some(sdk::StabilityStatus::Stabilizing) => Some(RolloutState::InProgress),
            _ => None,
        },
        running: set.running_count(),
        failed_tasks: 0,
        load_balancer: balancer.map(|balancer| LoadBalancer {
            target_group: balancer.target_group_arn().unwrap_or_default().to_owned(),
            container: balancer.container_name().unwrap_or_default().to_owned(),
            port: balancer.container_port().unwrap_or_default(),
        }),
        created_at: millis(set.created_at()),
        updated_at: millis(set.updated_at()),
    })
}

fn convert_service_deployment(
    deployment: &sdk::ServiceDeployment,
    revisions: &HashMap<String, ServiceRevision>,
) -> Option<ServiceDeployment> {
    use sdk::ServiceDeploymentRollbackMonitorsStatus::Triggered;
    let summary = deployment.target_service_revision();
    let target = summary.and_then(|target| revisions.get(target.arn()?));
    let sources = deployment.source_service_revisions().iter();
    let sources = sources.filter_map(|source| revisions.get(source.arn()?));
    let breaker = deployment.deployment_circuit_breaker().and_then(|breaker| breaker.status());
    let alarms = deployment.alarms().and_then(|alarms| alarms.status());
    Some(ServiceDeployment {
        arn: deployment.service_deployment_arn()?.to_owned(),
        status: match deployment.status() {
            Some(sdk::ServiceDeploymentStatus::Pending) => ServiceDeploymentStatus::Pending,
            Some(sdk::ServiceDeploymentStatus::InProgress) => ServiceDeploymentStatus::InProgress,
            Some(sdk::ServiceDeploymentStatus::Successful) => ServiceDeploymentStatus::Successful,
            Some(sdk::ServiceDeploymentStatus::StopRequested) => ServiceDeploymentStatus::StopRequested,
            Some(sdk::ServiceDeploymentStatus::Stopped) => ServiceDeploymentStatus::Stopped,
            Some(sdk::ServiceDeploymentStatus::RollbackRequested) => {
                ServiceDeploymentStatus::RollbackRequested
            }
            Some(sdk::ServiceDeploymentStatus::RollbackInProgress) => {
                ServiceDeploymentStatus::RollbackInProgress
            }
            Some(sdk::ServiceDeploymentStatus::RollbackSuccessful) => {
                ServiceDeploymentStatus::RollbackSuccessful
            }
            Some(sdk::ServiceDeploymentStatus::RollbackFailed) => ServiceDeploymentStatus::RollbackFailed,
            _ => ServiceDeploymentStatus::Unknown,
        },
        reason: deployment.status_reason().map(str::to_owned),
        target: target.map(|target| target.task_definition.clone()),
        sources: sources.map(|source| source.task_definition.clone()).collect(),
        digests: target.map(|target| target.digests.clone()).unwrap_or_default(),
        monitor_triggered: breaker == Some(&Triggered) || alarms == Some(&Triggered),
        target_running: summary.map_or(0, sdk::ServiceRevisionSummary::running_task_count),
        shift: None,
        created_at: millis(deployment.created_at()),
        finished_at: deployment.finished_at().or(deployment.stopped_at()).map(|time| millis(Some(time))),
    })
}

fn convert_task(task: &sdk::Task) -> Option<Task> {
    Some(Task {
        arn: task.task_arn()?.to_owned(),
        task_definition: TaskDefinitionArn::new(task.task_definition_arn()?),
        started_by: task.started_by().map(DeploymentId::new),
        last_status: task.last_status().unwrap_or_default().to_owned(),
        desired_status: task.desired_status().unwrap_or_default().to_owned(),
        health: match task.health_status() {
            Some(sdk::HealthStatus::Healthy) => TaskHealth::Healthy,
            Some(sdk::HealthStatus::Unhealthy) => TaskHealth::Unhealthy,
            _ => TaskHealth::Unknown,
        },
        containers: task.containers().iter().filter_map(convert_container).collect(),
        stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: task.stopped_reason().map(str::to_owned),
        started_at: task.started_at().map(|time| millis(Some(time))),
        stopped_at: task.stopped_at().map(|time| millis(Some(time))),
    })
}

fn convert_container(container: &sdk::Container) -> Option<TaskContainer> {
    Some(TaskContainer {
        name: container.name()?.to_owned(),
        image: container.image().unwrap_or_default().to_owned(),
        digest: container.image_digest().map(Digest::new),
        exit_code: container.exit_code(),
        reason: container.reason().map(str::to_owned),
    })
}
