//! What Amazon ECS sends and is sent, in the words of the model.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::ServiceRevision;
use super::failure;
use super::shift::shift;
use crate::aws::answer::{count, flag, list, member, number, owned, text, time};
use crate::documents::{reasons, service_settings, tags::is_reserved};
use crate::model::{
    CircuitBreaker, Controller, Deployment, DeploymentId, DeploymentStatus, DeploymentStrategy, Digest,
    LoadBalancer, RolloutState, Scheduling, Service, ServiceDeployment, ServiceDeploymentStatus,
    ServiceStatus, Task, TaskContainer, TaskDefinitionArn, TaskHealth,
};

/// Messages of the scheduler that are kept of a service, of the hundred that AWS shows.
const NEWEST_EVENTS: usize = 5;

pub(super) fn service_revision(described: &Value) -> Option<ServiceRevision> {
    // Until ECS has resolved it, an image is known by the digest that it is named with.
    let named = |image| text(image, "image").and_then(|name| name.split_once('@')).map(|(_, digest)| digest);
    let digest = |image| {
        let digest = text(image, "imageDigest").or_else(|| named(image))?;
        Some((owned(image, "containerName")?, Digest::new(digest)))
    };
    Some(ServiceRevision {
        task_definition: TaskDefinitionArn::new(text(described, "taskDefinition")?),
        digests: list(described, "containerImages").filter_map(digest).collect(),
    })
}

/// Drops what only an answer holds: keys that are no member of the `RegisterTaskDefinition` input, by the SDK's schema,
/// and those the schema cannot know are kept.
pub(super) fn registration_of(described: &Value) -> Value {
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
    let fields = described.as_object().cloned().unwrap_or_default();
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

pub(super) fn service(described: &Value) -> Option<Service> {
    let configuration = member(described, "deploymentConfiguration");
    let breaker = member(configuration, "deploymentCircuitBreaker");
    let alarms = member(configuration, "alarms");
    let deployments = list(described, "deployments").filter_map(deployment);
    let sets = list(described, "taskSets").filter_map(task_set);
    let mut deployments: Vec<Deployment> = deployments.chain(sets).collect();
    deployments.sort_by_key(|deployment| deployment.status != DeploymentStatus::Primary);
    Some(Service {
        arn: owned(described, "serviceArn")?,
        status: match text(described, "status") {
            Some("ACTIVE") => ServiceStatus::Active,
            Some("DRAINING") => ServiceStatus::Draining,
            _ => ServiceStatus::Inactive,
        },
        controller: match text(member(described, "deploymentController"), "type") {
            None | Some("ECS") => Controller::Ecs,
            Some("CODE_DEPLOY") => Controller::CodeDeploy,
            Some(_) => Controller::External,
        },
        strategy: DeploymentStrategy::parse(text(configuration, "strategy")),
        scheduling: match text(described, "schedulingStrategy") {
            Some("DAEMON") => Scheduling::Daemon,
            _ => Scheduling::Replica,
        },
        launch_type: owned(described, "launchType"),
        task_definition: TaskDefinitionArn::new(text(described, "taskDefinition").unwrap_or_default()),
        desired_count: count(described, "desiredCount"),
        running_count: count(described, "runningCount"),
        pending_count: count(described, "pendingCount"),
        circuit_breaker: CircuitBreaker {
            enabled: flag(breaker, "enable"),
            rollback: flag(breaker, "rollback"),
        },
        settings: service_settings::of(described),
        alarms_roll_back: flag(alarms, "enable") && flag(alarms, "rollback"),
        deployments,
        newest_deployment: owned(described, "currentServiceDeployment"),
        events: events(described),
    })
}

/// Newest first. What a service says in a loop soon hides what it said of its deployment.
fn events(described: &Value) -> Vec<String> {
    let messages = || list(described, "events").filter_map(|event| text(event, "message"));
    let rest = messages().skip(NEWEST_EVENTS);
    let ends = rest.filter(|message| reasons::end_of_deployment(message).is_some()).take(1);
    messages().take(NEWEST_EVENTS).chain(ends).map(str::to_owned).collect()
}

fn deployment(described: &Value) -> Option<Deployment> {
    Some(Deployment {
        rollout: match text(described, "rolloutState") {
            Some("COMPLETED") => Some(RolloutState::Completed),
            Some("FAILED") => Some(RolloutState::Failed),
            Some("IN_PROGRESS") => Some(RolloutState::InProgress),
            _ => None,
        },
        failed_tasks: count(described, "failedTasks"),
        load_balancer: None,
        ..either(described)?
    })
}

fn task_set(described: &Value) -> Option<Deployment> {
    let balancer = list(described, "loadBalancers").next();
    Some(Deployment {
        rollout: match text(described, "stabilityStatus") {
            Some("STEADY_STATE") => Some(RolloutState::Completed),
            Some("STABILIZING") => Some(RolloutState::InProgress),
            _ => None,
        },
        load_balancer: balancer.map(|balancer| LoadBalancer {
            target_group: owned(balancer, "targetGroupArn").unwrap_or_default(),
            container: owned(balancer, "containerName").unwrap_or_default(),
            port: count(balancer, "containerPort"),
        }),
        ..either(described)?
    })
}

/// What deployments and task sets have in common.
fn either(described: &Value) -> Option<Deployment> {
    Some(Deployment {
        id: DeploymentId::new(text(described, "id")?),
        status: match text(described, "status") {
            Some("PRIMARY") => DeploymentStatus::Primary,
            Some("ACTIVE") => DeploymentStatus::Active,
            _ => DeploymentStatus::Inactive,
        },
        task_definition: TaskDefinitionArn::new(text(described, "taskDefinition")?),
        rollout: None,
        running: count(described, "runningCount"),
        failed_tasks: 0,
        load_balancer: None,
        created_at: time(described, "createdAt").unwrap_or_default(),
        updated_at: time(described, "updatedAt").unwrap_or_default(),
    })
}

pub(super) fn service_deployment(
    described: &Value,
    revisions: &HashMap<String, ServiceRevision>,
) -> Option<ServiceDeployment> {
    let revision = |summary: &Value| revisions.get(text(summary, "arn")?);
    let summary = member(described, "targetServiceRevision");
    let target = revision(summary);
    // What has most of the traffic is what a rollback goes back to.
    let mut sources: Vec<&Value> = list(described, "sourceServiceRevisions").collect();
    let weight = |source: &Value| source.get("requestedProductionTrafficWeight").and_then(Value::as_f64);
    sources.sort_by(|one, two| weight(two).unwrap_or_default().total_cmp(&weight(one).unwrap_or_default()));
    let sources = sources.into_iter().filter_map(revision);
    let status = status(described);
    Some(ServiceDeployment {
        arn: owned(described, "serviceDeploymentArn")?,
        status,
        reason: owned(described, "statusReason"),
        target: target.map(|target| target.task_definition.clone()),
        sources: sources.map(|source| source.task_definition.clone()).collect(),
        digests: target.map(|target| target.digests.clone()).unwrap_or_default(),
        failure: failure::of(described, status),
        monitor_triggered: failure::triggered(described).is_some(),
        target_running: count(summary, "runningTaskCount"),
        shift: shift(described, status),
        created_at: time(described, "createdAt").unwrap_or_default(),
        finished_at: time(described, "finishedAt").or_else(|| time(described, "stoppedAt")),
    })
}

fn status(described: &Value) -> ServiceDeploymentStatus {
    match text(described, "status") {
        Some("PENDING") => ServiceDeploymentStatus::Pending,
        Some("IN_PROGRESS") => ServiceDeploymentStatus::InProgress,
        Some("SUCCESSFUL") => ServiceDeploymentStatus::Successful,
        Some("STOP_REQUESTED") => ServiceDeploymentStatus::StopRequested,
        Some("STOPPED") => ServiceDeploymentStatus::Stopped,
        Some("ROLLBACK_REQUESTED") => ServiceDeploymentStatus::RollbackRequested,
        Some("ROLLBACK_IN_PROGRESS") => ServiceDeploymentStatus::RollbackInProgress,
        Some("ROLLBACK_SUCCESSFUL") => ServiceDeploymentStatus::RollbackSuccessful,
        Some("ROLLBACK_FAILED") => ServiceDeploymentStatus::RollbackFailed,
        _ => ServiceDeploymentStatus::Unknown,
    }
}

pub(super) fn task(described: &Value) -> Option<Task> {
    Some(Task {
        arn: owned(described, "taskArn")?,
        task_definition: TaskDefinitionArn::new(text(described, "taskDefinitionArn")?),
        started_by: text(described, "startedBy").map(DeploymentId::new),
        last_status: owned(described, "lastStatus").unwrap_or_default(),
        desired_status: owned(described, "desiredStatus").unwrap_or_default(),
        health: match text(described, "healthStatus") {
            Some("HEALTHY") => TaskHealth::Healthy,
            Some("UNHEALTHY") => TaskHealth::Unhealthy,
            _ => TaskHealth::Unknown,
        },
        containers: list(described, "containers").filter_map(container).collect(),
        stop_code: owned(described, "stopCode"),
        stopped_reason: owned(described, "stoppedReason"),
        started_at: time(described, "startedAt"),
        stopped_at: time(described, "stoppedAt"),
    })
}

fn container(described: &Value) -> Option<TaskContainer> {
    Some(TaskContainer {
        name: owned(described, "name")?,
        image: owned(described, "image").unwrap_or_default(),
        digest: text(described, "imageDigest").map(Digest::new),
        exit_code: number(described, "exitCode"),
        reason: owned(described, "reason"),
        runtime_id: owned(described, "runtimeId"),
    })
}
