//! Deployment groups (`CodeDeploy` API reference; user guide, "Before you begin an Amazon ECS deployment").

use serde_json::{Value, json};

use super::applications::location;
use super::configurations::DEFAULT;
use super::{Deployment, Group, Route, Routing, exception, name, page};
use crate::world::ecs::{Controller, ServiceKey};
use crate::world::input::{Input, last_part, list, optional, texts, with_token};
use crate::world::times::moment;
use crate::world::{Answer, AwsError, World};

/// The members of a group that are described as they were sent.
const KEPT: [&str; 11] = [
    "deploymentConfigName",
    "serviceRoleArn",
    "triggerConfigurations",
    "alarmConfiguration",
    "autoRollbackConfiguration",
    "deploymentStyle",
    "outdatedInstancesStrategy",
    "blueGreenDeploymentConfiguration",
    "loadBalancerInfo",
    "ecsServices",
    "terminationHookEnabled",
];
/// Minutes that the old tasks may stay ("Service quotas", `CodeDeploy`).
const LONGEST_TERMINATION_WAIT: u64 = 2880;

impl World {
    pub(super) fn create_deployment_group(&mut self, input: &Input) -> Answer {
        let (application, found) = self.application(input)?;
        if found.platform != "ECS" {
            return Err(exception("InvalidComputePlatform", "only the ECS platform is simulated"));
        }
        let group = name(input, "deploymentGroupName", "DeploymentGroup")?.to_owned();
        if found.groups.contains_key(&group) {
            return Err(taken(&group));
        }
        if optional(input, "serviceRoleArn")?.is_none_or(str::is_empty) {
            return Err(exception("RoleRequired", "Service role ARN is missing"));
        }
        let service = self.check_group(input, None)?;
        let (application, id) = (application.to_owned(), self.uuid());
        let mut sent = Input::new();
        keep(&mut sent, input);
        sent.entry("deploymentConfigName").or_insert_with(|| json!(DEFAULT));
        self.prepare_listener(&sent, &service)?;
        let created = Group {
            id: id.clone(),
            sent,
            service,
            last_successful: None,
            last_attempted: None,
            target: None,
        };
        if let Some(application) = self.code_deploy.applications.get_mut(&application) {
            application.groups.insert(group, created);
        }
        Ok(json!({"deploymentGroupId": id}))
    }

    /// A group that moves traffic in steps rewrites its production listener when it is made, as a listener described
    /// right after that showed in a recorded run of 2026 on AWS.
    fn prepare_listener(&mut self, sent: &Input, service: &ServiceKey) -> Result<(), AwsError> {
        let mut route = self.route(sent)?;
        let configuration = optional(sent, "deploymentConfigName")?.unwrap_or(DEFAULT);
        if self.routing(configuration)? == Routing::AllAtOnce {
            return Ok(());
        }
        if self.target_group_of(service) == Some(route.green.as_str()) {
            std::mem::swap(&mut route.blue, &mut route.green);
        }
        self.prepare(&route);
        Ok(())
    }

    pub(super) fn update_deployment_group(&mut self, input: &Input) -> Answer {
        let application = name(input, "applicationName", "Application")?.to_owned();
        let group = name(input, "currentDeploymentGroupName", "DeploymentGroup")?.to_owned();
        let mut changed = self.group(&application, &group)?.clone();
        let renamed = match optional(input, "newDeploymentGroupName")? {
            Some(_) => name(input, "newDeploymentGroupName", "DeploymentGroup")?.to_owned(),
            None => group.clone(),
        };
        if renamed != group && self.group(&application, &renamed).is_ok() {
            return Err(taken(&renamed));
        }
        keep(&mut changed.sent, input);
        changed.service = self.check_group(&changed.sent, Some(&changed.id))?;
        for deployment in self.code_deploy.deployments.values_mut() {
            if deployment.group_id == changed.id {
                deployment.group.clone_from(&renamed);
            }
        }
        if let Some(application) = self.code_deploy.applications.get_mut(&application) {
            application.groups.remove(&group);
            application.groups.insert(renamed, changed);
        }
        Ok(json!({"hooksNotCleanedUp": []}))
    }

    /// What a group for ECS must have; the service it is for.
    fn check_group(&self, sent: &Input, own: Option<&str>) -> Result<ServiceKey, AwsError> {
        let at = |path: &[&str]| {
            let mut value = sent.get(*path.first()?)?;
            for key in path.iter().skip(1) {
                value = value.get(*key)?;
            }
            Some(value)
        };
        let style =
            (at(&["deploymentStyle", "deploymentType"]), at(&["deploymentStyle", "deploymentOption"]));
        if style != (Some(&json!("BLUE_GREEN")), Some(&json!("WITH_TRAFFIC_CONTROL"))) {
            let message = "For ECS deployment groups, the deployment style must be BLUE_GREEN with WITH_TRAFFIC_CONTROL";
            return Err(exception("InvalidDeploymentStyle", message));
        }
        let services: Vec<&Value> = list(sent, "ecsServices").collect();
        let [service] = services.as_slice() else {
            return Err(exception("InvalidECSService", "Exactly one ECS service must be specified"));
        };
        let part = |key: &str| last_part(service.get(key).and_then(Value::as_str).unwrap_or_default());
        let key = (part("clusterName").to_owned(), part("serviceName").to_owned());
        self.check_service(&key)?;
        let readiness = at(&["blueGreenDeploymentConfiguration", "deploymentReadyOption", "actionOnTimeout"]);
        let termination =
            at(&["blueGreenDeploymentConfiguration", "terminateBlueInstancesOnDeploymentSuccess"]);
        let (Some(_), Some(termination)) = (readiness, termination) else {
            let message =
                "blueGreenDeploymentConfiguration must say when traffic shifts and when the old tasks end";
            return Err(exception("InvalidBlueGreenDeploymentConfiguration", message));
        };
        let minutes =
            termination.get("terminationWaitTimeInMinutes").and_then(Value::as_u64).unwrap_or_default();
        if minutes > LONGEST_TERMINATION_WAIT
            || at(&["blueGreenDeploymentConfiguration", "greenFleetProvisioningOption"]).is_some()
        {
            let message = "The blue/green configuration is not valid for an ECS deployment group";
            return Err(exception("InvalidBlueGreenDeploymentConfiguration", message));
        }
        let route = self.route(sent)?;
        self.can_shift(&route, optional(sent, "deploymentConfigName")?.unwrap_or(DEFAULT))?;
        let mut groups = self.code_deploy.applications.values().flat_map(|one| one.groups.values());
        if groups.any(|group| group.service == key && Some(group.id.as_str()) != own) {
            let message = format!("The ECS service {} is already associated with a deployment group", key.1);
            return Err(exception("ECSServiceMappingLimitExceeded", message));
        }
        Ok(key)
    }

    /// How the traffic moves, which only an Application Load Balancer can do in steps (user guide, "Troubleshoot Amazon
    /// ECS deployment issues", which names no code).
    pub(super) fn can_shift(&self, route: &Route, configuration: &str) -> Result<Routing, AwsError> {
        let routing = self.routing(configuration)?;
        if routing != Routing::AllAtOnce && self.is_network_listener(&route.production) {
            let message = "Only ALB supports gradual traffic routing, use AllAtOnce Traffic routing instead when you create/update Deployment group";
            return Err(exception("InvalidTrafficRoutingConfiguration", message));
        }
        Ok(routing)
    }

    pub(super) fn check_service(&self, key: &ServiceKey) -> Result<(), AwsError> {
        let invalid = |why: &str| exception("InvalidECSService", format!("The ECS service {} {why}", key.1));
        let service = self.services.get(key).filter(|service| service.is_active());
        let service = service.ok_or_else(|| invalid("is not ACTIVE or does not exist"))?;
        if service.controller != Controller::CodeDeploy {
            return Err(invalid("does not use the CODE_DEPLOY deployment controller"));
        }
        Ok(())
    }

    /// Listeners and target groups, which must exist.
    pub(super) fn route(&self, sent: &Input) -> Result<Route, AwsError> {
        let invalid = |why: String| exception("InvalidLoadBalancerInfo", why);
        let pairs = sent.get("loadBalancerInfo").and_then(|info| info.get("targetGroupPairInfoList"));
        let pairs = pairs.and_then(Value::as_array).map(Vec::as_slice);
        let Some([pair]) = pairs else {
            return Err(invalid("One target group pair must be specified".to_owned()));
        };
        let groups = pair.get("targetGroups").and_then(Value::as_array).into_iter().flatten();
        let names: Vec<&str> = groups.filter_map(|group| group.get("name")?.as_str()).collect();
        let [first, second] = names.as_slice() else {
            return Err(exception("InvalidTargetGroupPair", "A pair has two target groups"));
        };
        let arn = |name: &str| {
            let found = self.target_group_named(name).map(str::to_owned);
            found.ok_or_else(|| invalid(format!("The target group {name} could not be found")))
        };
        let listener = |route: &str| -> Result<Option<String>, AwsError> {
            let listeners =
                pair.get(route).and_then(|route| route.get("listenerArns")).and_then(Value::as_array);
            let Some(listener) = listeners.and_then(|all| all.first()?.as_str()) else { return Ok(None) };
            if !self.has_listener(listener) {
                return Err(invalid(format!("The listener {listener} could not be found")));
            }
            Ok(Some(listener.to_owned()))
        };
        Ok(Route {
            production: listener("prodTrafficRoute")?
                .ok_or_else(|| invalid("A production listener must be specified".to_owned()))?,
            test: listener("testTrafficRoute")?,
            blue: arn(first)?,
            green: arn(second)?,
        })
    }

    pub(super) fn group(&self, application: &str, group: &str) -> Result<&Group, AwsError> {
        let missing = |kind: &str, message: String| exception(kind, message);
        let found = self.code_deploy.applications.get(application).ok_or_else(|| {
            missing("ApplicationDoesNotExist", format!("No application found for name: {application}"))
        })?;
        found.groups.get(group).ok_or_else(|| {
            missing("DeploymentGroupDoesNotExist", format!("No Deployment Group found for name: {group}"))
        })
    }

    /// The group of a deployment, whatever its name is by now.
    pub(super) fn group_of_mut(&mut self, one: &Deployment) -> Option<&mut Group> {
        let application = self.code_deploy.applications.get_mut(&one.application)?;
        application.groups.values_mut().find(|group| group.id == one.group_id)
    }

    pub(super) fn get_deployment_group(&mut self, input: &Input) -> Answer {
        let application = name(input, "applicationName", "Application")?;
        let group = name(input, "deploymentGroupName", "DeploymentGroup")?;
        let found = self.group(application, group)?;
        Ok(json!({"deploymentGroupInfo": self.describe_group(application, group, found)}))
    }

    pub(super) fn batch_get_deployment_groups(&mut self, input: &Input) -> Answer {
        let application = name(input, "applicationName", "Application")?;
        let mut described = Vec::new();
        for group in texts(input, "deploymentGroupNames") {
            described.push(self.describe_group(application, group, self.group(application, group)?));
        }
        Ok(json!({"deploymentGroupsInfo": described}))
    }

    pub(super) fn list_deployment_groups(&mut self, input: &Input) -> Answer {
        let (name, application) = self.application(input)?;
        let (groups, token) = page(application.groups.keys().cloned().collect(), input)?;
        Ok(with_token(json!({"applicationName": name, "deploymentGroups": groups}), token))
    }

    pub(super) fn delete_deployment_group(&mut self, input: &Input) -> Answer {
        let application = name(input, "applicationName", "Application")?;
        let group = name(input, "deploymentGroupName", "DeploymentGroup")?;
        if let Some(application) = self.code_deploy.applications.get_mut(application) {
            application.groups.remove(group);
        }
        Ok(json!({"hooksNotCleanedUp": []}))
    }

    fn describe_group(&self, application: &str, name: &str, group: &Group) -> Value {
        let mut described = json!({
            "applicationName": application,
            "deploymentGroupId": group.id,
            "deploymentGroupName": name,
            "computePlatform": "ECS",
            "ec2TagFilters": [],
            "onPremisesInstanceTagFilters": [],
            "autoScalingGroups": [],
            "outdatedInstancesStrategy": "UPDATE",
            "triggerConfigurations": [],
            "terminationHookEnabled": false,
        });
        for (key, value) in &group.sent {
            described[key] = value.clone();
        }
        if let Some(sha256) = &group.target {
            described["targetRevision"] = location(sha256);
        }
        let last = [
            ("lastSuccessfulDeployment", &group.last_successful),
            ("lastAttemptedDeployment", &group.last_attempted),
        ];
        for (key, id) in last {
            let Some(deployment) = id.as_ref().and_then(|id| self.code_deploy.deployments.get(id)) else {
                continue;
            };
            let mut last = json!({"deploymentId": deployment.id, "status": deployment.status, "createTime": moment(deployment.created_at)});
            if let Some(completed) = deployment.completed_at {
                last["endTime"] = moment(completed);
            }
            described[key] = last;
        }
        described
    }
}

fn taken(name: &str) -> AwsError {
    exception("DeploymentGroupAlreadyExists", format!("Deployment group name already exists: {name}"))
}

fn keep(sent: &mut Input, input: &Input) {
    for key in KEPT {
        if let Some(value) = input.get(key).filter(|value| !value.is_null()) {
            sent.insert(key.to_owned(), value.clone());
        }
    }
    // A service may be named by its ARN; what is described are names.
    for service in sent.get_mut("ecsServices").and_then(Value::as_array_mut).into_iter().flatten() {
        for key in ["serviceName", "clusterName"] {
            if let Some(named) =
                service.get(key).and_then(Value::as_str).map(|name| last_part(name).to_owned())
            {
                service[key] = json!(named);
            }
        }
    }
}
