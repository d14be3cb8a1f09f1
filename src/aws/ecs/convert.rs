//! What Amazon ECS sends and is sent, in the words of the model.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_ecs::types as sdk;
use aws_smithy_types::DateTime;
use serde_json::{Map, Value};

use super::ServiceRevision;
use crate::model::{
    CircuitBreaker, Controller, Deployment, DeploymentId, DeploymentStatus, DeploymentStrategy, Digest,
    LoadBalancer, Millis, RolloutState, Scheduling, Service, ServiceDeployment, ServiceDeploymentStatus,
    ServiceStatus, Task, TaskContainer, TaskDefinitionArn, TaskHealth,
};
use crate::plan::tags::is_reserved;

pub(super) fn convert_service_revision(revision: &sdk::ServiceRevision) -> Option<ServiceRevision> {
    let digests = revision
        .container_images()
        .iter()
        .filter_map(|image| Some((image.container_name()?.to_owned(), Digest::new(image.image_digest()?))));
    let task_definition = TaskDefinitionArn::new(revision.task_definition()?);
    Some(ServiceRevision { task_definition, digests: digests.collect() })
}

/// Drops what only an answer holds: keys that are no member of the `RegisterTaskDefinition` input, by the SDK's schema,
/// and those the schema cannot know are kept.
pub(super) fn registration_of(described: Option<&Value>) -> Value {
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
pub(super) fn with_tags(input: &Value, tags: &BTreeMap<String, String>) -> Value {
    let mut fields: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    let declared = fields.remove("tags").and_then(|tags| tags.as_array().cloned()).unwrap_or_default();
    let kept = declared.into_iter().filter(|tag| {
        tag.get("key").and_then(Value::as_str).is_none_or(|key| !tags.contains_key(key) && !is_reserved(key))
    });
    let ours = tags.iter().map(|(key, value)| serde_json::json!({"key": key, "value": value}));
    let all: Vec<Value> = kept.chain(ours).collect();
    fields.insert("tags".to_owned(), Value::Array(all));
    Value::Object(fields)
}

fn millis(time: Option<&DateTime>) -> Millis {
    time.and_then(|time| time.to_millis().ok()).unwrap_or_default()
}

pub(super) fn convert_service(service: &sdk::Service) -> Option<Service> {
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
        strategy: DeploymentStrategy::parse(
            configuration
                .and_then(|configuration| configuration.strategy())
                .map(sdk::DeploymentStrategy::as_str),
        ),
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

pub(super) fn convert_service_deployment(
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

pub(super) fn convert_task(task: &sdk::Task) -> Option<Task> {
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
