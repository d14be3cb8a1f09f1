//! Amazon ECS as its API reference describes it: which operation does what. Time is not here but in `rollout`.

mod clusters;
mod configuration;
mod controller;
mod describe;
mod names;
mod registration;
mod runs;
mod service_deployments;
mod service_writes;
mod services;
mod shift;
mod strategy;
mod tags;
mod task_definitions;
mod tasks;

pub(super) use clusters::Cluster;
pub(super) use configuration::{alarms, breaker, percents};
pub(super) use controller::Controller;
pub use runs::Program;
pub(super) use runs::{Run, RunToken};
pub(super) use service_writes::{TRIGGERS, VOLUMES};
pub(super) use services::{
    Deployment, Rollback, Service, ServiceDeployment, ServiceKey, ServiceRevision, Status,
};
pub(super) use shift::{ALL, HookRun, Pair, Shift, Stage, hooks_of};
pub(super) use task_definitions::{Families, TaskDefinition, find_definition};
pub(super) use tasks::{Check, Container, Task};

use std::collections::BTreeMap;

use serde_json::Value;

use super::input::Input;
use super::{Answer, AwsError, World, unknown};

/// What containers do in runs, by their names.
pub(super) type Programs = BTreeMap<String, Program>;

/// Part of a second that every time of ECS has: clients must read milliseconds.
const FRACTION: f64 = 0.217;

/// A time on the wire.
fn time(seconds: u64) -> Value {
    Value::from(precise(seconds))
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
fn precise(seconds: u64) -> f64 {
    seconds as f64 + FRACTION
}

fn client_error(message: impl Into<String>) -> AwsError {
    AwsError::client("ClientException", message)
}

impl World {
    pub(super) fn ecs(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateCluster" => self.create_cluster(input),
            "DescribeClusters" => self.describe_clusters(input),
            "ListClusters" => self.list_clusters(input),
            "DeleteCluster" => self.delete_cluster(input),
            "RegisterTaskDefinition" => self.register_task_definition(input),
            "DescribeTaskDefinition" => self.describe_task_definition(input),
            "ListTaskDefinitions" => self.list_task_definitions(input),
            "ListTaskDefinitionFamilies" => self.list_task_definition_families(input),
            "DeregisterTaskDefinition" => self.deregister_task_definition(input),
            "DeleteTaskDefinitions" => self.delete_task_definitions(input),
            "TagResource" => self.tag_resource(input),
            "UntagResource" => self.untag_resource(input),
            "ListTagsForResource" => self.list_tags_for_resource(input),
            "CreateService" => self.create_service(input),
            "UpdateService" => self.update_service(input),
            "DeleteService" => self.delete_service(input),
            "DescribeServices" => self.describe_services(input),
            "ListServices" => self.list_services(input),
            "ListServiceDeployments" => self.list_service_deployments(input),
            "DescribeServiceDeployments" => self.describe_service_deployments(input),
            "ContinueServiceDeployment" => self.continue_service_deployment(input),
            "StopServiceDeployment" => self.stop_service_deployment(input),
            "DescribeServiceRevisions" => self.describe_service_revisions(input),
            "ListTasks" => self.list_tasks(input),
            "DescribeTasks" => self.describe_tasks(input),
            "RunTask" => self.run_task(input),
            "StopTask" => self.stop_task(input),
            _ => Err(unknown(operation)),
        }
    }
}
