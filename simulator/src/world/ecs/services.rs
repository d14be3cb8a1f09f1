//! What a service is made of: its deployments, service deployments, service revisions and tasks. Reading them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Controller, Shift, Task};
use crate::world::ids;
use crate::world::input::{Input, Tags, batch, invalid, optional, page, texts, with_token};
use crate::world::{Answer, AwsError, World};

/// Cluster and name.
pub(in crate::world) type ServiceKey = (String, String);

#[derive(Clone, Debug)]
pub(in crate::world) struct Service {
    pub name: String,
    pub cluster: String,
    pub status: Status,
    pub desired: u64,
    pub controller: Controller,
    pub daemon: bool,
    pub configuration: Input,
    /// The members of `CreateService` and `UpdateService` that are described as they were sent.
    pub settings: Input,
    pub tags: Tags,
    pub created_at: u64,
    /// What `CreateService` was given: the same once more is answered with this service.
    pub created_with: Input,
    /// What an INACTIVE service ran last.
    pub ran: Option<String>,
    /// The PRIMARY first.
    pub deployments: Vec<Deployment>,
    /// Newest first.
    pub history: Vec<ServiceDeployment>,
    pub revisions: Vec<ServiceRevision>,
    pub tasks: Vec<Task>,
    /// Number, time and message; newest first, at most a hundred.
    pub events: Vec<(u64, u64, String)>,
    /// Whether it was last seen with all its tasks and nothing to do.
    pub steady: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) enum Status {
    Active,
    Draining,
    /// Since when.
    Inactive(u64),
}

/// An entry of `deployments`.
#[derive(Clone, Debug)]
pub(in crate::world) struct Deployment {
    pub id: String,
    pub primary: bool,
    pub task_definition: String,
    /// Index in `Service.revisions`.
    pub revision: usize,
    /// How many tasks it is to have: 0 until the scheduler has come to it, and less and less once it is replaced.
    pub desired: u64,
    pub rollout: &'static str,
    pub reason: String,
    /// When it turns FAILED and why: a while after it is rolled back.
    pub fails: Option<(u64, &'static str)>,
    pub failed_tasks: u64,
    pub created_at: u64,
    pub updated_at: u64,
    /// Alarms that were in ALARM when it began: they do not count.
    pub ignored_alarms: BTreeSet<String>,
    /// Since when everything is in place and only the alarms are watched.
    pub baking_since: Option<u64>,
    /// Of a shift that has succeeded: when this entry is COMPLETED.
    pub completes_at: Option<u64>,
    /// Rounds of tasks in a row that did not come to run, and when the next may start.
    pub failed_rounds: u32,
    pub not_before: u64,
    /// Whether an event has said that the percentages leave no room.
    pub told_stuck: bool,
    /// Of a task set: who made it, and whether it is being deleted.
    pub external_id: Option<String>,
    pub draining: bool,
}

#[derive(Clone, Debug)]
pub(in crate::world) struct ServiceDeployment {
    pub arn: String,
    pub status: &'static str,
    pub reason: Option<String>,
    /// Index in `Service.revisions`.
    pub target: usize,
    pub sources: Vec<usize>,
    pub breaker: &'static str,
    pub failures: u64,
    /// That of its own configuration for the count of the service, until it ends.
    pub threshold: u64,
    pub alarms: &'static str,
    pub triggered_alarms: Vec<String>,
    pub configuration: Input,
    pub created_at: u64,
    pub started_at: Option<u64>,
    pub updated_at: u64,
    pub stopped_at: Option<u64>,
    pub finished_at: Option<u64>,
    pub rollback: Option<Rollback>,
    /// The deployment that brings its target.
    pub carried_by: String,
    /// The counts when it ended.
    pub ended_with: Option<Snapshot>,
    /// None of a rolling deployment.
    pub shift: Option<Shift>,
}

#[derive(Clone, Debug)]
pub(in crate::world) struct Rollback {
    pub reason: String,
    pub started_at: u64,
    pub revision: usize,
}

/// Counts of tasks.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) struct Snapshot {
    pub requested: u64,
    pub running: usize,
    pub pending: usize,
}

#[derive(Clone, Debug)]
pub(in crate::world) struct ServiceRevision {
    pub arn: String,
    pub task_definition: String,
    pub created_at: u64,
    /// The settings that belong to a revision: a rollback brings them back.
    pub settings: Input,
    /// Name and image of each container, which stay known when the task definition is deleted: a revision is a record of what was to
    /// be deployed (Amazon ECS developer guide, "Amazon ECS service revisions").
    pub images: Vec<(String, String)>,
    /// Digest by container, filled in by the first task that pulls.
    pub digests: BTreeMap<String, String>,
    /// Where ECS shifts the traffic: the target group of each load balancer, and its production rule.
    pub groups: Vec<(String, String)>,
}

impl Service {
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.status, Status::Inactive(_))
    }

    /// Whether one of its deployments or tasks uses the task definition.
    pub fn needs(&self, task_definition: &str) -> bool {
        !self.has_ended()
            && (self.deployments.iter().any(|deployment| deployment.task_definition == task_definition)
                || self.tasks.iter().any(|task| task.wanted && task.task_definition == task_definition))
    }

    /// The counts of a deployment at this moment.
    pub fn snapshot(&self, deployment: &str) -> Snapshot {
        let found = self.deployments.iter().find(|one| one.id == deployment);
        let (running, pending) = self.counts(Some(deployment));
        Snapshot { requested: found.map_or(0, |found| found.desired), running, pending }
    }

    /// What may end the newest deployment: set when it began.
    pub fn rules(&self) -> &Input {
        self.history.first().map_or(&self.configuration, |newest| &newest.configuration)
    }

    /// Running and pending tasks, of one deployment or of all.
    pub fn counts(&self, deployment: Option<&str>) -> (usize, usize) {
        let wanted = self.tasks.iter().filter(|task| task.wanted);
        let of = wanted.filter(|task| deployment.is_none_or(|id| task.deployment == id));
        let running = of.clone().filter(|task| task.is_running()).count();
        (running, of.count() - running)
    }
}

impl World {
    /// An ACTIVE service.
    pub(super) fn service_key(&self, input: &Input) -> Result<ServiceKey, AwsError> {
        let key = self.named_service(input, "service")?;
        match self.services.get(&key) {
            Some(service) if service.is_active() => Ok(key),
            Some(_) => Err(AwsError::client("ServiceNotActiveException", "Service was not ACTIVE.")),
            None => Err(not_found()),
        }
    }

    pub(super) fn service_arn(&self, service: &Service) -> String {
        self.arn("ecs", &format!("service/{}/{}", service.cluster, service.name))
    }

    /// DRAINING and INACTIVE services are still described; what is not there is an entry in `failures`.
    pub(super) fn describe_services(&mut self, input: &Input) -> Answer {
        let cluster = self.cluster(input)?;
        let with_tags = texts(input, "include").any(|what| what == "TAGS");
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for name in batch(input, "services", 10)? {
            let short = self.within("service", &cluster, name)?;
            match self.services.get(&(cluster.clone(), short.to_owned())) {
                Some(service) => services.push(self.describe_service(service, with_tags)),
                None => failures.push(json!({
                    "arn": self.arn("ecs", &format!("service/{cluster}/{short}")),
                    "reason": "MISSING",
                })),
            }
        }
        Ok(json!({"services": services, "failures": failures}))
    }

    /// Without DRAINING and INACTIVE ones.
    pub(super) fn list_services(&mut self, input: &Input) -> Answer {
        let cluster = self.cluster(input)?;
        let launch_type = launch_type_filter(input)?;
        let by_customer = match optional(input, "resourceManagementType")? {
            None | Some("CUSTOMER") => true,
            Some("ECS") => false,
            Some(_) => return Err(invalid("Invalid resourceManagementType.")),
        };
        let daemon = optional(input, "schedulingStrategy")?.map(|strategy| strategy == "DAEMON");
        let chosen = self.services.values().filter(|service| {
            service.cluster == cluster
                && service.is_active()
                && by_customer
                && launch_type.is_none_or(|wanted| service.launch_type() == Some(wanted))
                && daemon.is_none_or(|daemon| service.daemon == daemon)
        });
        let mut arns: Vec<String> = chosen.map(|service| self.service_arn(service)).collect();
        arns.sort_by_key(|arn| ids::place(arn));
        let (arns, token) = page(arns, input, 10, 100)?;
        Ok(with_token(json!({"serviceArns": arns}), token))
    }
}

pub(super) fn launch_type_filter(input: &Input) -> Result<Option<&str>, AwsError> {
    match optional(input, "launchType")? {
        None => Ok(None),
        Some(known @ ("EC2" | "FARGATE" | "EXTERNAL" | "MANAGED_INSTANCES")) => Ok(Some(known)),
        Some(_) => Err(invalid("Invalid launchType.")),
    }
}

pub(super) fn not_found() -> AwsError {
    AwsError::client("ServiceNotFoundException", "Service not found.")
}
