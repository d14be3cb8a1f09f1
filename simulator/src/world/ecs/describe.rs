//! How a service is described (Amazon ECS API reference: `Service`, `Deployment`, `TaskSet`).

use serde_json::{Value, json};

use super::Controller;
use super::services::{Deployment, Service, Status};
use super::time;
use crate::world::World;
use crate::world::ids;
use crate::world::input::{Input, described_tags, list};

/// What LATEST means on Fargate for Linux.
const NEWEST_PLATFORM: &str = "1.4.0";

impl Service {
    /// None with a capacity provider strategy.
    pub(super) fn launch_type(&self) -> Option<&str> {
        let providers = self.settings.get("capacityProviderStrategy").and_then(Value::as_array);
        if providers.is_some_and(|providers| !providers.is_empty()) {
            return None;
        }
        Some(self.settings.get("launchType").and_then(Value::as_str).unwrap_or("EC2"))
    }

    /// By its launch type or its capacity providers.
    pub fn is_fargate(&self) -> bool {
        let mut providers = list(&self.settings, "capacityProviderStrategy").peekable();
        let name =
            |provider: &Value| provider.get("capacityProvider").and_then(Value::as_str).map(str::to_owned);
        match providers.peek() {
            None => self.launch_type() == Some("FARGATE"),
            Some(_) => providers.all(|one| name(one).is_some_and(|name| name.starts_with("FARGATE"))),
        }
    }

    fn is_balanced(&self) -> bool {
        list(&self.settings, "loadBalancers").next().is_some()
    }

    fn status_name(&self) -> &'static str {
        match self.status {
            Status::Active => "ACTIVE",
            Status::Draining => "DRAINING",
            Status::Inactive(_) => "INACTIVE",
        }
    }
}

impl World {
    pub(super) fn describe_service(&self, service: &Service, with_tags: bool) -> Value {
        let (running, pending) = service.counts(None);
        let events = service.events.iter().map(
            |(number, at, message)| json!({"id": ids::uuid(*number), "createdAt": time(*at), "message": message}),
        );
        let mut described = json!({
            "serviceArn": self.service_arn(service),
            "serviceName": service.name,
            "clusterArn": self.cluster_arn(&service.cluster),
            "status": service.status_name(),
            "desiredCount": service.desired,
            "runningCount": running,
            "pendingCount": pending,
            "deploymentConfiguration": service.configuration,
            "deploymentController": {"type": service.controller.name()},
            "schedulingStrategy": if service.daemon { "DAEMON" } else { "REPLICA" },
            "deployments": [],
            "events": events.collect::<Vec<_>>(),
            "createdAt": time(service.created_at),
            "createdBy": self.caller(),
            "loadBalancers": [],
            "serviceRegistries": [],
            "placementConstraints": [],
            "placementStrategy": [],
            "propagateTags": "NONE",
            "enableECSManagedTags": false,
            "enableExecuteCommand": false,
            "resourceManagementType": "CUSTOMER",
        });
        if service.is_balanced() {
            described["roleArn"] = json!(self.service_role());
            described["healthCheckGracePeriodSeconds"] = json!(0);
        }
        if service.is_fargate() {
            described["platformVersion"] = json!("LATEST");
            described["platformFamily"] = json!("Linux");
        }
        for (key, value) in service.settings.iter().filter(|(key, value)| is_described(key, value)) {
            described[key] = value.clone();
        }
        if let Some(launch_type) = service.launch_type() {
            described["launchType"] = json!(launch_type);
        }
        let primary = service.deployments.first().map(|primary| &primary.task_definition);
        if let Some(task_definition) = primary.or(service.ran.as_ref()) {
            described["taskDefinition"] = json!(task_definition);
        }
        if with_tags {
            described["tags"] = described_tags(&service.tags);
        }
        self.describe_carriers(service, &mut described);
        described
    }

    /// The role by which ECS reaches the load balancer.
    fn service_role(&self) -> String {
        let (partition, account) = (self.partition(), &self.account);
        format!("arn:{partition}:iam::{account}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")
    }

    /// `deployments` for the ECS controller, `taskSets` for the others.
    fn describe_carriers(&self, service: &Service, described: &mut Value) {
        if service.controller != Controller::Ecs {
            let sets =
                service.deployments.iter().map(|deployment| self.describe_task_set(service, deployment));
            described["taskSets"] = sets.collect();
            return;
        }
        let deployments =
            service.deployments.iter().map(|deployment| describe_deployment(service, deployment));
        described["deployments"] = deployments.collect();
        let revisions = service.deployments.iter().map(|deployment| {
            let (running, pending) = service.counts(Some(&deployment.id));
            json!({
                "arn": service.revisions.get(deployment.revision).map(|revision| &revision.arn),
                "requestedTaskCount": deployment.desired,
                "runningTaskCount": running,
                "pendingTaskCount": pending,
            })
        });
        described["currentServiceRevisions"] = revisions.collect();
        if let Some(newest) = self.current_service_deployment(service) {
            described["currentServiceDeployment"] = json!(newest);
        }
    }

    fn describe_task_set(&self, service: &Service, deployment: &Deployment) -> Value {
        let (running, pending) = service.counts(Some(&deployment.id));
        let steady = deployment.rollout == "COMPLETED";
        let path = format!("{}/{}/{}", service.cluster, service.name, deployment.id);
        let mut described = json!({
            "id": deployment.id,
            "taskSetArn": self.arn("ecs", &format!("task-set/{path}")),
            "serviceArn": self.service_arn(service),
            "clusterArn": self.cluster_arn(&service.cluster),
            "status": set_status(deployment),
            "taskDefinition": deployment.task_definition,
            "computedDesiredCount": service.wanted_of_set(deployment),
            "runningCount": running,
            "pendingCount": pending,
            "createdAt": time(deployment.created_at),
            "updatedAt": time(deployment.updated_at),
            "scale": {"value": if deployment.draining { 0.0 } else { 100.0 }, "unit": "PERCENT"},
            "stabilityStatus": if steady { "STEADY_STATE" } else { "STABILIZING" },
            "stabilityStatusAt": time(deployment.updated_at),
        });
        if let Some(id) = &deployment.external_id {
            described["startedBy"] = json!("CODE_DEPLOY");
            described["externalId"] = json!(id);
        }
        let revision = service.revisions.get(deployment.revision);
        for (key, value) in revision.iter().flat_map(|revision| &revision.settings) {
            if SET_MEMBERS.contains(&key.as_str()) {
                described[key] = value.clone();
            }
        }
        if let Some(launch_type) = service.launch_type() {
            described["launchType"] = json!(launch_type);
        }
        described
    }
}

/// The settings that a task set has of its own (Amazon ECS API reference, `TaskSet`).
const SET_MEMBERS: [&str; 5] = [
    "networkConfiguration",
    "loadBalancers",
    "platformVersion",
    "serviceRegistries",
    "capacityProviderStrategy",
];

/// An emptied strategy is left out.
fn is_described(key: &str, value: &Value) -> bool {
    key != "capacityProviderStrategy" || value.as_array().is_some_and(|providers| !providers.is_empty())
}

/// The platform version that a revision really runs on, and its family.
pub(super) fn describe_platform(service: &Service, settings: Option<&Input>, described: &mut Value) {
    if service.is_fargate() {
        let asked = settings.and_then(|settings| settings.get("platformVersion")).and_then(Value::as_str);
        let version = asked.filter(|version| *version != "LATEST").unwrap_or(NEWEST_PLATFORM);
        described["platformVersion"] = json!(version);
        described["platformFamily"] = json!("Linux");
    }
}

fn set_status(set: &Deployment) -> &'static str {
    match (set.draining, set.primary) {
        (true, _) => "DRAINING",
        (_, true) => "PRIMARY",
        _ => "ACTIVE",
    }
}

fn describe_deployment(service: &Service, deployment: &Deployment) -> Value {
    let (running, pending) = service.counts(Some(&deployment.id));
    let mut described = json!({
        "id": deployment.id,
        "status": if deployment.primary { "PRIMARY" } else { "ACTIVE" },
        "taskDefinition": deployment.task_definition,
        "desiredCount": deployment.desired,
        "runningCount": running,
        "pendingCount": pending,
        "failedTasks": deployment.failed_tasks,
        "createdAt": time(deployment.created_at),
        "updatedAt": time(deployment.updated_at),
        "rolloutState": deployment.rollout,
        "rolloutStateReason": deployment.reason,
    });
    let settings = service.revisions.get(deployment.revision).map(|revision| &revision.settings);
    for key in [
        "networkConfiguration",
        "serviceConnectConfiguration",
        "volumeConfigurations",
        "capacityProviderStrategy",
    ] {
        let value = settings.and_then(|settings| settings.get(key));
        if let Some(value) = value.filter(|value| is_described(key, value)) {
            described[key] = value.clone();
        }
    }
    describe_platform(service, settings, &mut described);
    if let Some(launch_type) = service.launch_type() {
        described["launchType"] = json!(launch_type);
    }
    described
}
