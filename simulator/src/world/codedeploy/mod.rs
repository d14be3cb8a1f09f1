//! AWS `CodeDeploy` on its ECS platform as its API reference and user guide describe it: which operation does what.
//! How a deployment goes on is in `lifecycle`, `install` and `ending`.

mod applications;
mod appspec;
mod configurations;
mod deployments;
mod describe;
mod ending;
mod groups;
mod install;
mod lifecycle;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ecs::ServiceKey;
use super::ids::uuid;
use super::input::{Input, optional, page_of};
use super::{Answer, AwsError, World, unknown};
use appspec::AppSpec;
use configurations::Routing;
use ending::Failure;

/// Everything of `CodeDeploy` in one account and region.
#[derive(Clone, Debug, Default)]
pub(super) struct CodeDeploy {
    applications: BTreeMap<String, Application>,
    /// Those that people made.
    configurations: BTreeMap<String, Configuration>,
    /// By id, which has no order in time.
    deployments: BTreeMap<String, Deployment>,
}

#[derive(Clone, Debug)]
struct Application {
    id: String,
    platform: String,
    created_at: u64,
    groups: BTreeMap<String, Group>,
    /// Contents of `AppSpec` files by their SHA-256.
    revisions: BTreeMap<String, Revision>,
}

#[derive(Clone, Debug)]
struct Revision {
    content: String,
    registered_at: u64,
    /// When first and last.
    used_at: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
struct Group {
    id: String,
    /// What it was created with, in the words of the API.
    sent: Input,
    service: ServiceKey,
    last_successful: Option<String>,
    last_attempted: Option<String>,
    /// SHA-256 of the content that was deployed last with success.
    target: Option<String>,
}

#[derive(Clone, Debug)]
struct Configuration {
    id: String,
    routing: Routing,
    created_at: u64,
}

#[derive(Clone, Debug, Default)]
struct Deployment {
    id: String,
    application: String,
    /// The name of its group, which may change, and its id.
    group: String,
    group_id: String,
    service: ServiceKey,
    creator: &'static str,
    description: Option<String>,
    configuration: String,
    routing: Routing,
    /// The `AppSpec` file; a rollback where there was no good one before has none.
    content: Option<String>,
    sha256: Option<String>,
    /// What the content says, once it was read.
    spec: AppSpec,
    previous: Option<String>,
    /// What calls for a rollback: the values of `AutoRollbackEvent`.
    rolls_back_on: BTreeSet<String>,
    /// The group as it was when the deployment was created.
    settings: Input,
    route: Route,
    status: &'static str,
    error: Option<(&'static str, String)>,
    created_at: u64,
    started_at: Option<u64>,
    completed_at: Option<u64>,
    events: Vec<Event>,
    wait: Wait,
    termination_wait_started: bool,
    blue: Option<String>,
    green: Option<String>,
    /// Percent of the production traffic that goes to green.
    weight: u64,
    /// Somebody has asked for its end.
    stop: Option<Failure>,
    rollback: RollbackInfo,
    /// Task sets as they were when it ended.
    last_sets: Vec<Value>,
}

/// Where traffic comes from and where it can go, all by ARN.
#[derive(Clone, Debug, Default)]
struct Route {
    production: String,
    test: Option<String>,
    blue: String,
    green: String,
}

#[derive(Clone, Debug)]
struct Event {
    name: &'static str,
    status: &'static str,
    started_at: Option<u64>,
    ended_at: Option<u64>,
    failure: Option<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    /// Between the events, for nobody.
    #[default]
    None,
    /// For `ContinueDeployment`, since when.
    Ready(u64),
    /// Until the old tasks may end, since when.
    Termination(u64),
    /// The old tasks may end.
    Over,
}

#[derive(Clone, Debug, Default)]
struct RollbackInfo {
    deployment: Option<String>,
    triggering: Option<String>,
    message: Option<String>,
}

impl Deployment {
    fn is_active(&self) -> bool {
        !matches!(self.status, "Succeeded" | "Failed" | "Stopped")
    }

    /// Whether `CodeDeploy` made it to undo another one.
    fn is_rollback(&self) -> bool {
        self.rollback.triggering.is_some()
    }
}

/// Every exception of `CodeDeploy` ends so and comes with 400 (botocore's model).
fn exception(code: &str, message: impl Into<String>) -> AwsError {
    AwsError::client(&format!("{code}Exception"), message)
}

/// A required name of at most 100 characters.
fn name<'a>(input: &'a Input, key: &str, what: &str) -> Result<&'a str, AwsError> {
    match optional(input, key)? {
        None | Some("") => Err(exception(&format!("{what}NameRequired"), format!("{what} name is missing"))),
        Some(name) if name.chars().count() > 100 => Err(exception(
            &format!("Invalid{what}Name"),
            format!("{what} name is longer than 100 characters"),
        )),
        Some(name) => Ok(name),
    }
}

/// A page of a hundred, as all its lists have; the size cannot be asked for.
fn page(items: Vec<String>, input: &Input) -> Result<(Vec<String>, Option<String>), AwsError> {
    page_of(items, input, 100).map_err(|error| exception("InvalidNextToken", error.message))
}

impl World {
    pub(super) fn code_deploy(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateApplication" => self.create_application(input),
            "GetApplication" => self.get_application(input),
            "BatchGetApplications" => self.batch_get_applications(input),
            "ListApplications" => self.list_applications(input),
            "DeleteApplication" => self.delete_application(input),
            "RegisterApplicationRevision" => self.register_application_revision(input),
            "GetApplicationRevision" => self.get_application_revision(input),
            "ListApplicationRevisions" => self.list_application_revisions(input),
            "CreateDeploymentGroup" => self.create_deployment_group(input),
            "UpdateDeploymentGroup" => self.update_deployment_group(input),
            "GetDeploymentGroup" => self.get_deployment_group(input),
            "BatchGetDeploymentGroups" => self.batch_get_deployment_groups(input),
            "ListDeploymentGroups" => self.list_deployment_groups(input),
            "DeleteDeploymentGroup" => self.delete_deployment_group(input),
            "CreateDeploymentConfig" => self.create_deployment_config(input),
            "GetDeploymentConfig" => self.get_deployment_config(input),
            "ListDeploymentConfigs" => self.list_deployment_configs(input),
            "DeleteDeploymentConfig" => self.delete_deployment_config(input),
            "CreateDeployment" => self.create_deployment(input),
            "GetDeployment" => self.get_deployment(input),
            "BatchGetDeployments" => self.batch_get_deployments(input),
            "ListDeployments" => self.list_deployments(input),
            "StopDeployment" => self.stop_deployment(input),
            "ContinueDeployment" => self.continue_deployment(input),
            "PutLifecycleEventHookExecutionStatus" => self.put_hook_status(input),
            "ListDeploymentTargets" => self.list_deployment_targets(input),
            "GetDeploymentTarget" => self.get_deployment_target(input),
            "BatchGetDeploymentTargets" => self.batch_get_deployment_targets(input),
            _ => Err(unknown(operation)),
        }
    }

    /// `d-` and nine letters or digits; ids do not tell the order of deployments.
    fn deployment_id(&mut self) -> String {
        const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        const ALL: u64 = 36_u64.pow(9);
        // An odd factor that shares no divisor with 36^9 visits every id once.
        let mut rest = self.id().wrapping_mul(74_618_573_827_853) % ALL;
        let mut id = "d-".to_owned();
        for _ in 0..9 {
            id.push(LETTERS.get((rest % 36) as usize).copied().map_or('A', char::from));
            rest /= 36;
        }
        id
    }

    /// The shape of an id of an application, a group or a configuration.
    fn uuid(&mut self) -> String {
        uuid(self.id())
    }
}
