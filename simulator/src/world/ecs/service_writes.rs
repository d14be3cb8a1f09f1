//! Making, changing and deleting services (Amazon ECS API reference: `CreateService`, `UpdateService`,
//! `DeleteService`).

use serde_json::{Value, json};

use super::configuration::merged;
use super::services::{Service, ServiceKey, Status, not_found};
use super::strategy::check_balancers;
use super::{Controller, TaskDefinition};
use crate::world::input::{Input, count, flag, invalid, list, optional, tags_of, text};
use crate::world::{Answer, AwsError, World};

/// Container instances that a daemon has a task on: the simulator knows no instances.
const INSTANCES: u64 = 2;
/// Developer guide, "Amazon ECS service quotas": tasks of a service.
const MOST_TASKS: u64 = 5000;
/// "5 active deployments exist, unable to create new deployment" (aws/containers-roadmap, task scale-in protection).
const MOST_DEPLOYMENTS: usize = 5;

/// Members that start a deployment because they are there ("This parameter triggers a new service deployment", Amazon
/// ECS API reference, `UpdateService`); an unchanged task definition does not.
pub(in crate::world) const TRIGGERS: [&str; 6] = [
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "vpcLatticeConfigurations",
];
/// Members that take effect without a deployment, or for tasks that start later.
const QUIET: [&str; 8] = [
    "capacityProviderStrategy",
    "placementConstraints",
    "placementStrategy",
    "healthCheckGracePeriodSeconds",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "propagateTags",
    "availabilityZoneRebalancing",
];
/// The text was measured.
const NOT_FORCED: &str = "When switching from launch type to capacity provider strategy on an existing service, or making a change to a capacity provider strategy on a service that is already using one, you must force a new deployment.";
const DAEMON_COUNT: &str = "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again";
pub(in crate::world) const VOLUMES: &str = "volumeConfigurations";

impl World {
    pub(super) fn create_service(&mut self, input: &Input) -> Answer {
        let cluster = self.cluster(input)?;
        let name = text(input, "serviceName")?.to_owned();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > 255 || !name.bytes().all(is_name) {
            return Err(invalid("Service name contains invalid characters."));
        }
        let key = (cluster, name);
        if let Some(present) = self.services.get(&key) {
            match present.status {
                Status::Active if present.created_with == *input => return self.described(&key),
                Status::Active => return Err(invalid("Creation of service was not idempotent.")),
                Status::Draining => return Err(invalid("Unable to Start a service that is still Draining.")),
                Status::Inactive(_) => {}
            }
        }
        let service = self.new_service(&key, input)?;
        let task_definition = match optional(input, "taskDefinition")? {
            // With the EXTERNAL controller the task sets bring their own.
            None if service.controller == Controller::External => None,
            None => return Err(invalid("TaskDefinition cannot be blank.")),
            Some(name) => {
                let definition = self.usable_definition(name)?;
                fits(definition, &service)?;
                Some(definition.arn.clone())
            }
        };
        let external = service.controller == Controller::External;
        self.services.insert(key.clone(), service);
        self.index_lags(&self.arn("ecs", &format!("service/{}/{}", key.0, key.1)), None);
        if let Some(task_definition) = task_definition.filter(|_| !external) {
            self.start_deployment(&key, &task_definition);
        }
        self.described(&key)
    }

    fn new_service(&self, key: &ServiceKey, input: &Input) -> Result<Service, AwsError> {
        let controller = Controller::sent(input)?.unwrap_or(Controller::Ecs);
        let daemon = match optional(input, "schedulingStrategy")? {
            None | Some("REPLICA") => false,
            Some("DAEMON") => true,
            Some(_) => return Err(invalid("Invalid scheduling strategy.")),
        };
        let mut settings = Input::new();
        take_settings(&mut settings, input);
        if let Some(launch_type) = input.get("launchType") {
            settings.insert("launchType".to_owned(), launch_type.clone());
        }
        if settings.contains_key("launchType") && settings.contains_key("capacityProviderStrategy") {
            return Err(invalid(
                "Specifying both a launch type and capacity provider strategy is not supported.",
            ));
        }
        settings.entry("availabilityZoneRebalancing").or_insert_with(|| json!("ENABLED"));
        if daemon {
            check_daemon(input, controller, &settings)?;
        } else if desired(input)?.is_none() && controller != Controller::External {
            return Err(invalid("desiredCount is required with the REPLICA scheduling strategy."));
        }
        let configuration = merged(input.get("deploymentConfiguration"), &Input::new(), controller, daemon)?;
        check_balancers(&settings, &configuration, &self.balancing)?;
        if controller == Controller::CodeDeploy && list(&settings, "loadBalancers").next().is_none() {
            return Err(invalid("loadBalancers is required with the CODE_DEPLOY deployment controller."));
        }
        Ok(Service {
            name: key.1.clone(),
            cluster: key.0.clone(),
            status: Status::Active,
            desired: if daemon { INSTANCES } else { desired(input)?.unwrap_or_default() },
            configuration,
            controller,
            daemon,
            settings,
            tags: tags_of(input)?,
            created_at: self.now,
            created_with: input.clone(),
            ran: None,
            deployments: Vec::new(),
            history: Vec::new(),
            revisions: Vec::new(),
            tasks: Vec::new(),
            events: Vec::new(),
            steady: false,
        })
    }

    pub(super) fn update_service(&mut self, input: &Input) -> Answer {
        let key = self.service_key(input)?;
        let mut changed = self.services.get(&key).cloned().ok_or_else(not_found)?;
        self.change_controller(&mut changed, input)?;
        check_controller(&changed, input)?;
        let present = changed.deployments.first().map(|primary| primary.task_definition.clone());
        // A service that keeps its task definition keeps it also when it is INACTIVE by now.
        let wanted = match optional(input, "taskDefinition")? {
            Some(name) => {
                let arn = self.definition(name).map(|definition| definition.arn.clone());
                if arn.is_some() && arn == present {
                    None
                } else {
                    Some(self.usable_definition(name)?.arn.clone())
                }
            }
            None => None,
        };
        if let Some(desired) = desired(input)? {
            if changed.daemon {
                return Err(invalid(DAEMON_COUNT));
            }
            changed.desired = desired;
        }
        let strategy = strategy(&changed.settings);
        let volumes = input.get(VOLUMES).filter(|volumes| !volumes.is_null());
        let volumes_differ = volumes.is_some_and(|volumes| changed.settings.get(VOLUMES) != Some(volumes));
        changed.configuration = merged(
            input.get("deploymentConfiguration"),
            &changed.configuration,
            changed.controller,
            changed.daemon,
        )?;
        take_settings(&mut changed.settings, input);
        check_balancers(&changed.settings, &changed.configuration, &self.balancing)?;
        if strategy != self::strategy(&changed.settings) && !flag(input, "forceNewDeployment") {
            return Err(invalid(NOT_FORCED));
        }
        let triggered = flag(input, "forceNewDeployment")
            || volumes_differ
            || TRIGGERS.iter().any(|trigger| input.get(*trigger).is_some_and(|value| !value.is_null()));
        let target = wanted.or_else(|| present.filter(|_| triggered));
        if let Some(target) = &target {
            if let Some(definition) = self.definition(target) {
                fits(definition, &changed)?;
            }
            if changed.deployments.len() >= MOST_DEPLOYMENTS {
                return Err(invalid("5 active deployments exist, unable to create new deployment"));
            }
        }
        changed.steady = false;
        self.services.insert(key.clone(), changed);
        if let Some(target) = target {
            self.start_deployment(&key, &target);
        }
        self.described(&key)
    }

    /// From CodeDeploy to ECS in one call, while no deployment goes on (developer guide, "Migrate CodeDeploy blue/green
    /// deployments to Amazon ECS blue/green deployments"). The PRIMARY task set is what the next deployment replaces.
    fn change_controller(&self, changed: &mut Service, input: &Input) -> Result<(), AwsError> {
        let asked = Controller::sent(input)?.unwrap_or(changed.controller);
        if asked == changed.controller {
            return Ok(());
        }
        if (changed.controller, asked) != (Controller::CodeDeploy, Controller::Ecs) {
            let message = "changing the deployment controller so is not simulated";
            return Err(AwsError::client("UnsupportedFeatureException", message));
        }
        if self.has_active_deployment(&(changed.cluster.clone(), changed.name.clone())) {
            return Err(invalid(
                "The deployment controller cannot be changed while a CodeDeploy deployment is in progress.",
            ));
        }
        changed.controller = asked;
        for set in &mut changed.deployments {
            set.desired = if set.draining { 0 } else { changed.desired };
        }
        Ok(())
    }

    /// The service goes on DRAINING until its tasks have stopped, then it is INACTIVE.
    pub(super) fn delete_service(&mut self, input: &Input) -> Answer {
        let key = self.named_service(input, "service")?;
        let service =
            self.services.get_mut(&key).filter(|service| !service.has_ended()).ok_or_else(not_found)?;
        if service.desired > 0 && !service.daemon && !flag(input, "force") {
            return Err(invalid("The service cannot be stopped while it is scaled above 0."));
        }
        service.desired = 0;
        service.status = Status::Draining;
        self.described(&key)
    }

    /// The answer to a write: without the service deployment, which is made afterwards.
    fn described(&self, key: &ServiceKey) -> Answer {
        let service = self.services.get(key).ok_or_else(not_found)?;
        let mut described = self.describe_service(service, true);
        if let Value::Object(members) = &mut described {
            members.shift_remove("currentServiceDeployment");
        }
        Ok(json!({"service": described}))
    }
}

fn desired(input: &Input) -> Result<Option<u64>, AwsError> {
    match count(input, "desiredCount")? {
        Some(desired) if desired > MOST_TASKS => {
            Err(invalid("desiredCount is above the quota of 5000 tasks."))
        }
        desired => Ok(desired),
    }
}

fn strategy(settings: &Input) -> Vec<Value> {
    list(settings, "capacityProviderStrategy").cloned().collect()
}

fn take_settings(settings: &mut Input, input: &Input) {
    for key in TRIGGERS.iter().chain(&QUIET).chain([&VOLUMES]) {
        if let Some(value) = input.get(*key).filter(|value| !value.is_null()) {
            settings.insert((*key).to_owned(), value.clone());
        }
    }
    // The numbers of a capacity provider are described also where they are 0.
    let strategy = settings.get_mut("capacityProviderStrategy").and_then(Value::as_array_mut);
    for provider in strategy.into_iter().flatten().filter_map(Value::as_object_mut) {
        provider.entry("weight").or_insert_with(|| json!(0));
        provider.entry("base").or_insert_with(|| json!(0));
    }
    // What is described of a network always says whether it gives public addresses.
    let network =
        settings.get_mut("networkConfiguration").and_then(|network| network.get_mut("awsvpcConfiguration"));
    if let Some(Value::Object(network)) = network {
        network.entry("assignPublicIp").or_insert_with(|| json!("DISABLED"));
        network.entry("securityGroups").or_insert_with(|| json!([]));
    }
}

/// "Tasks using the Fargate launch type or the `CODE_DEPLOY` or EXTERNAL deployment controller types don't support the
/// DAEMON scheduling strategy" (Amazon ECS API reference, `CreateService`).
fn check_daemon(input: &Input, controller: Controller, settings: &Input) -> Result<(), AwsError> {
    if controller != Controller::Ecs {
        return Err(invalid(format!(
            "The daemon scheduling strategy is not supported with the {} deployment controller.",
            controller.name()
        )));
    }
    if settings.get("launchType").and_then(Value::as_str) == Some("FARGATE") {
        return Err(invalid("The daemon scheduling strategy is not supported for the FARGATE launch type."));
    }
    if input.contains_key("desiredCount") {
        return Err(invalid(DAEMON_COUNT));
    }
    Ok(())
}

/// What CodeDeploy or the task sets decide is refused, even unchanged (Amazon ECS API reference, `UpdateService`; the
/// texts are from hashicorp/terraform-provider-aws).
fn check_controller(service: &Service, input: &Input) -> Result<(), AwsError> {
    let sent = |key: &str| input.get(key).is_some_and(|value| !value.is_null());
    let instead = match service.controller {
        Controller::CodeDeploy => "Use AWS CodeDeploy to trigger a new deployment.",
        Controller::External => "Use task sets to deploy.",
        Controller::Ecs => return Ok(()),
    };
    let external = service.controller == Controller::External;
    let what = if sent("taskDefinition") {
        "task definition"
    } else if sent("networkConfiguration") || sent("platformVersion") || flag(input, "forceNewDeployment") {
        "network parameters"
    } else if sent("loadBalancers") || sent("serviceRegistries") {
        "load balancers"
    } else if sent("capacityProviderStrategy") {
        "capacity provider strategy"
    } else if external && sent("deploymentConfiguration") {
        "deployment configuration"
    } else {
        return Ok(());
    };
    Err(invalid(format!(
        "Unable to update {what} on services with a {} deployment controller. {instead}",
        service.controller.name()
    )))
}

/// Whether the service can run the task definition (developer guide, "Amazon ECS services"; the texts are those that
/// clients report).
fn fits(definition: &TaskDefinition, service: &Service) -> Result<(), AwsError> {
    if service.launch_type() == Some("FARGATE") && !definition.runs_on_fargate() {
        return Err(invalid("Task definition does not support launch_type FARGATE."));
    }
    let has_network = service.settings.contains_key("networkConfiguration");
    if definition.network_mode() == Some("awsvpc") && !has_network {
        return Err(invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    if definition.network_mode() != Some("awsvpc") && has_network {
        return Err(invalid(
            "Network Configuration is not valid for the given networkMode of this task definition.",
        ));
    }
    for balancer in list(&service.settings, "loadBalancers") {
        let name = balancer.get("containerName").and_then(Value::as_str).unwrap_or_default();
        let port = balancer.get("containerPort").and_then(Value::as_u64).unwrap_or_default();
        definition.offers(name, port)?;
    }
    Ok(())
}
