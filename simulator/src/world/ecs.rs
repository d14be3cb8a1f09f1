//! Amazon ECS: task definitions, services and tasks as the Amazon ECS API reference describes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::ecr::with_token;
use super::{Answer, AwsError, World, page, text, texts, unknown};

#[derive(Clone, Debug)]
pub(super) struct TaskDefinition {
    pub arn: String,
    pub active: bool,
    /// As described: the input with AWS's defaults.
    pub described: Map<String, Value>,
    tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub name: String,
    pub cluster: String,
    pub desired: u64,
    pub controller: String,
    pub configuration: Map<String, Value>,
    created_at: u64,
    active: bool,
    /// The PRIMARY first.
    pub deployments: Vec<Deployment>,
    /// Newest first.
    pub history: Vec<ServiceDeployment>,
    pub revisions: Vec<ServiceRevision>,
    /// Newest first.
    pub events: Vec<(u64, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub id: String,
    pub primary: bool,
    pub task_definition: String,
    /// Index in `Service.revisions`.
    pub revision: usize,
    pub rollout: &'static str,
    pub reason: String,
    pub failed_tasks: u64,
    pub created_at: u64,
    pub updated_at: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ServiceDeployment {
    pub arn: String,
    pub status: &'static str,
    pub target: usize,
    pub sources: Vec<usize>,
    pub breaker: &'static str,
    pub created_at: u64,
    pub finished_at: Option<u64>,
    /// The deployment that carries it out: its own, or the one it rolls back to.
    pub carried_by: String,
}

#[derive(Clone, Debug)]
pub(super) struct ServiceRevision {
    pub arn: String,
    pub task_definition: String,
    /// Digest by container, filled in by the first task that pulls.
    pub digests: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub arn: String,
    pub service: (String, String),
    pub deployment: String,
    pub task_definition: String,
    pub created_at: u64,
    pub status: &'static str,
    pub wanted: bool,
    pub started_at: Option<u64>,
    pub stopping_at: Option<u64>,
    pub stopped_at: Option<u64>,
    pub stop_code: Option<&'static str>,
    pub reason: Option<String>,
    pub exit_code: Option<i64>,
    pub digests: BTreeMap<String, String>,
}

impl TaskDefinition {
    /// Name and image of every container.
    pub fn images(&self) -> impl Iterator<Item = (&str, &str)> {
        let containers = self.described.get("containerDefinitions").and_then(Value::as_array);
        containers.into_iter().flatten().filter_map(|container| {
            Some((container.get("name")?.as_str()?, container.get("image")?.as_str()?))
        })
    }
}

fn client_error(message: impl Into<String>) -> AwsError {
    AwsError::client("ClientException", message)
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

impl World {
    pub(super) fn ecs(&mut self, operation: &str, input: &Map<String, Value>) -> Answer {
        match operation {
            "CreateCluster" => self.create_cluster(input),
            "RegisterTaskDefinition" => self.register_task_definition(input),
            "DescribeTaskDefinition" => self.describe_task_definition(input),
            "ListTaskDefinitions" => self.list_task_definitions(input),
            "DeregisterTaskDefinition" => self.deregister_task_definition(input),
            "TagResource" => self.tag_resource(input),
            "CreateService" => self.create_service(input),
            "UpdateService" => self.update_service(input),
            "DescribeServices" => self.describe_services(input),
            "ListServiceDeployments" => self.list_service_deployments(input),
            "DescribeServiceDeployments" => self.describe_service_deployments(input),
            "DescribeServiceRevisions" => self.describe_service_revisions(input),
            "ListTasks" => self.list_tasks(input),
            "DescribeTasks" => self.describe_tasks(input),
            "StopTask" => self.stop_task(input),
            _ => Err(unknown(operation)),
        }
    }

    fn create_cluster(&mut self, input: &Map<String, Value>) -> Answer {
        let name = input.get("clusterName").and_then(Value::as_str).unwrap_or("default").to_owned();
        self.clusters.insert(name.clone());
        Ok(json!({"cluster": {
            "clusterArn": self.arn("ecs", &format!("cluster/{name}")),
            "clusterName": name,
            "status": "ACTIVE",
        }}))
    }

    fn cluster(&self, input: &Map<String, Value>) -> Result<String, AwsError> {
        let name = last_part(input.get("cluster").and_then(Value::as_str).unwrap_or("default"));
        let missing = || AwsError::client("ClusterNotFoundException", "Cluster not found.");
        self.clusters.get(name).cloned().ok_or_else(missing)
    }

    fn register_task_definition(&mut self, input: &Map<String, Value>) -> Answer {
        let family = text(input, "family")?.to_owned();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if family.is_empty() || family.len() > 255 || !family.bytes().all(is_name) {
            return Err(client_error(
                "Family name must be up to 255 letters, numbers, hyphens and underscores.",
            ));
        }
        let described = describe_registration(input)?;
        let tags = tags_of(input)?;
        let revisions = self.families.get(&family).map_or(0, Vec::len);
        let arn = self.arn("ecs", &format!("task-definition/{family}:{}", revisions + 1));
        let registered = TaskDefinition { arn, active: true, described, tags };
        let answer = self.describe_one(&registered, true);
        self.families.entry(family).or_default().push(registered);
        Ok(answer)
    }

    fn describe_one(&self, definition: &TaskDefinition, with_tags: bool) -> Value {
        let mut described = definition.described.clone();
        let revision: u64 =
            definition.arn.rsplit(':').next().and_then(|number| number.parse().ok()).unwrap_or_default();
        described.insert("taskDefinitionArn".to_owned(), Value::from(definition.arn.clone()));
        described.insert("revision".to_owned(), Value::from(revision));
        described
            .insert("status".to_owned(), Value::from(if definition.active { "ACTIVE" } else { "INACTIVE" }));
        described.insert("registeredAt".to_owned(), Value::from(self.now));
        described.insert("compatibilities".to_owned(), json!(["EC2", "FARGATE"]));
        let mut answer = json!({"taskDefinition": described});
        if with_tags {
            let tags = definition.tags.iter().map(|(key, value)| json!({"key": key, "value": value}));
            answer["tags"] = Value::Array(tags.collect());
        }
        answer
    }

    pub(super) fn definition(&self, name: &str) -> Option<&TaskDefinition> {
        let short = last_part(name);
        match short.rsplit_once(':') {
            Some((family, number)) => {
                let index = number.parse::<usize>().ok()?.checked_sub(1)?;
                self.families.get(family)?.get(index)
            }
            None => self.families.get(short)?.iter().rev().find(|definition| definition.active),
        }
    }

    fn describe_task_definition(&mut self, input: &Map<String, Value>) -> Answer {
        let name = text(input, "taskDefinition")?;
        let definition =
            self.definition(name).ok_or_else(|| client_error("Unable to describe task definition."))?;
        Ok(self.describe_one(definition, texts(input, "include").any(|what| what == "TAGS")))
    }

    fn list_task_definitions(&mut self, input: &Map<String, Value>) -> Answer {
        let family = input.get("familyPrefix").and_then(Value::as_str);
        let active = input.get("status").and_then(Value::as_str).unwrap_or("ACTIVE") == "ACTIVE";
        let families =
            self.families.iter().filter(|(name, _)| family.is_none_or(|family| family == name.as_str()));
        let all =
            families.flat_map(|(_, revisions)| revisions).filter(|definition| definition.active == active);
        let mut arns: Vec<String> = all.map(|definition| definition.arn.clone()).collect();
        if input.get("sort").and_then(Value::as_str) == Some("DESC") {
            arns.reverse();
        }
        let (arns, token) = page(arns, input, 100)?;
        Ok(with_token(json!({"taskDefinitionArns": arns}), token))
    }

    fn deregister_task_definition(&mut self, input: &Map<String, Value>) -> Answer {
        let arn = self.definition(text(input, "taskDefinition")?).map(|definition| definition.arn.clone());
        let arn = arn.ok_or_else(|| client_error("The specified task definition does not exist."))?;
        let all = self.families.values_mut().flatten();
        if let Some(definition) = all.into_iter().find(|definition| definition.arn == arn) {
            definition.active = false;
        }
        let definition =
            self.definition(&arn).ok_or_else(|| client_error("Unable to describe task definition."))?;
        Ok(self.describe_one(definition, false))
    }

    fn tag_resource(&mut self, input: &Map<String, Value>) -> Answer {
        let arn = text(input, "resourceArn")?;
        let tags = tags_of(input)?;
        let definition = self.families.values_mut().flatten().find(|definition| definition.arn == arn);
        let definition = definition.ok_or_else(|| invalid("The specified resource was not found."))?;
        definition.tags.extend(tags);
        Ok(json!({}))
    }

    fn active_definition(&self, name: &str) -> Result<String, AwsError> {
        let definition = self.definition(name).ok_or_else(|| client_error("TaskDefinition not found."))?;
        if definition.active {
            Ok(definition.arn.clone())
        } else {
            Err(client_error("TaskDefinition is inactive"))
        }
    }

    fn create_service(&mut self, input: &Map<String, Value>) -> Answer {
        let cluster = self.cluster(input)?;
        let name = text(input, "serviceName")?.to_owned();
        let key = (cluster.clone(), name.clone());
        if self.services.get(&key).is_some_and(|service| service.active) {
            return Err(invalid("Creation of service was not idempotent."));
        }
        let controller = input
            .get("deploymentController")
            .and_then(|controller| controller.get("type"))
            .and_then(Value::as_str);
        let controller = controller.unwrap_or("ECS").to_owned();
        let task_definition = self.active_definition(text(input, "taskDefinition")?)?;
        let service = Service {
            name,
            cluster,
            desired: input.get("desiredCount").and_then(Value::as_u64).unwrap_or_default(),
            controller,
            configuration: configuration(input.get("deploymentConfiguration"), &Map::new()),
            created_at: self.now,
            active: true,
            deployments: Vec::new(),
            history: Vec::new(),
            revisions: Vec::new(),
            events: Vec::new(),
        };
        self.services.insert(key.clone(), service);
        self.start_deployment(&key, &task_definition);
        Ok(json!({"service": self.describe_service(&self.services[&key])}))
    }

    fn service_key(&self, input: &Map<String, Value>) -> Result<(String, String), AwsError> {
        let key = (self.cluster(input)?, last_part(text(input, "service")?).to_owned());
        match self.services.get(&key) {
            Some(service) if service.active => Ok(key),
            Some(_) => Err(AwsError::client("ServiceNotActiveException", "Service was not ACTIVE.")),
            None => Err(AwsError::client("ServiceNotFoundException", "Service not found.")),
        }
    }

    fn update_service(&mut self, input: &Map<String, Value>) -> Answer {
        let key = self.service_key(input)?;
        let wanted = match input.get("taskDefinition").and_then(Value::as_str) {
            Some(name) => Some(self.active_definition(name)?),
            None => None,
        };
        let force = input.get("forceNewDeployment").and_then(Value::as_bool) == Some(true);
        let Some(service) = self.services.get_mut(&key) else {
            return Err(AwsError::client("ServiceNotFoundException", "Service not found."));
        };
        if service.controller == "CODE_DEPLOY" && (wanted.is_some() || force) {
            return Err(invalid(
                "Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.",
            ));
        }
        if let Some(desired) = input.get("desiredCount").and_then(Value::as_u64) {
            service.desired = desired;
        }
        service.configuration = configuration(input.get("deploymentConfiguration"), &service.configuration);
        let present =
            service.deployments.first().map(|primary| primary.task_definition.clone()).unwrap_or_default();
        // An unchanged task definition starts no deployment (Amazon ECS API reference, `UpdateService`).
        if force || wanted.as_ref().is_some_and(|wanted| *wanted != present) {
            self.start_deployment(&key, &wanted.unwrap_or(present));
        }
        Ok(json!({"service": self.describe_service(&self.services[&key])}))
    }

    fn describe_services(&mut self, input: &Map<String, Value>) -> Answer {
        let cluster = self.cluster(input)?;
        let names: Vec<&str> = texts(input, "services").collect();
        if names.len() > 10 {
            return Err(invalid("Services cannot have more than 10 elements."));
        }
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for name in names {
            let short = last_part(name);
            match self.services.get(&(cluster.clone(), short.to_owned())) {
                Some(service) => services.push(self.describe_service(service)),
                None => failures.push(json!({
                    "arn": self.arn("ecs", &format!("service/{cluster}/{short}")),
                    "reason": "MISSING",
                })),
            }
        }
        Ok(json!({"services": services, "failures": failures}))
    }

    fn counts(&self, service: &Service, deployment: Option<&str>) -> (usize, usize) {
        let key = (&service.cluster, &service.name);
        let tasks = self.tasks.iter().filter(|task| (&task.service.0, &task.service.1) == key && task.wanted);
        let of = tasks.filter(|task| deployment.is_none_or(|id| task.deployment == id));
        let running = of.clone().filter(|task| task.status == "RUNNING").count();
        (running, of.count() - running)
    }

    fn describe_service(&self, service: &Service) -> Value {
        let arn = self.arn("ecs", &format!("service/{}/{}", service.cluster, service.name));
        let (running, pending) = self.counts(service, None);
        let deployments = service.deployments.iter().map(|deployment| {
            let (running, pending) = self.counts(service, Some(&deployment.id));
            json!({
                "id": deployment.id,
                "status": if deployment.primary { "PRIMARY" } else { "ACTIVE" },
                "taskDefinition": deployment.task_definition,
                "desiredCount": if deployment.primary { service.desired } else { 0 },
                "runningCount": running,
                "pendingCount": pending,
                "failedTasks": deployment.failed_tasks,
                "createdAt": deployment.created_at,
                "updatedAt": deployment.updated_at,
                "rolloutState": deployment.rollout,
                "rolloutStateReason": deployment.reason,
            })
        });
        let events = service.events.iter().enumerate().map(|(index, (at, message))| {
            json!({"id": format!("event-{index}-{at}"), "createdAt": at, "message": message})
        });
        let primary = service.deployments.first();
        json!({
            "serviceArn": arn,
            "serviceName": service.name,
            "clusterArn": self.arn("ecs", &format!("cluster/{}", service.cluster)),
            "status": if service.active { "ACTIVE" } else { "INACTIVE" },
            "desiredCount": service.desired,
            "runningCount": running,
            "pendingCount": pending,
            "launchType": "FARGATE",
            "taskDefinition": primary.map(|primary| &primary.task_definition),
            "deploymentConfiguration": service.configuration,
            "deploymentController": {"type": service.controller},
            "schedulingStrategy": "REPLICA",
            "deployments": deployments.collect::<Vec<_>>(),
            "currentServiceDeployment": service.history.first().map(|newest| &newest.arn),
            "events": events.take(100).collect::<Vec<_>>(),
            "createdAt": service.created_at,
            "loadBalancers": [],
            "serviceRegistries": [],
        })
    }

    fn list_service_deployments(&mut self, input: &Map<String, Value>) -> Answer {
        let key = self.service_key(input)?;
        let service = &self.services[&key];
        let briefs = service.history.iter().map(|deployment| {
            json!({
                "serviceDeploymentArn": deployment.arn,
                "serviceArn": self.arn("ecs", &format!("service/{}/{}", key.0, key.1)),
                "createdAt": deployment.created_at,
                "status": deployment.status,
                "targetServiceRevisionArn": service.revisions[deployment.target].arn,
            })
        });
        let (briefs, token) = page(briefs.collect(), input, 20)?;
        Ok(with_token(json!({"serviceDeployments": briefs}), token))
    }

    fn describe_service_deployments(&mut self, input: &Map<String, Value>) -> Answer {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in texts(input, "serviceDeploymentArns") {
            let all =
                self.services.values().flat_map(|service| service.history.iter().map(move |d| (service, d)));
            match all.into_iter().find(|(_, deployment)| deployment.arn == arn) {
                Some((service, deployment)) => {
                    found.push(self.describe_service_deployment(service, deployment));
                }
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"serviceDeployments": found, "failures": failures}))
    }

    fn describe_service_deployment(&self, service: &Service, deployment: &ServiceDeployment) -> Value {
        let (running, pending) = self.counts(service, Some(&deployment.carried_by));
        let revision = |index: usize| json!({"arn": service.revisions[index].arn, "requestedTaskCount": service.desired});
        let mut target = revision(deployment.target);
        target["runningTaskCount"] = Value::from(running);
        target["pendingTaskCount"] = Value::from(pending);
        let mut described = json!({
            "serviceDeploymentArn": deployment.arn,
            "serviceArn": self.arn("ecs", &format!("service/{}/{}", service.cluster, service.name)),
            "clusterArn": self.arn("ecs", &format!("cluster/{}", service.cluster)),
            "createdAt": deployment.created_at,
            "startedAt": deployment.created_at,
            "updatedAt": self.now,
            "status": deployment.status,
            "sourceServiceRevisions": deployment.sources.iter().map(|index| revision(*index)).collect::<Vec<_>>(),
            "targetServiceRevision": target,
            "deploymentCircuitBreaker": {"status": deployment.breaker},
        });
        if let Some(finished) = deployment.finished_at {
            described["finishedAt"] = Value::from(finished);
        }
        described
    }

    fn describe_service_revisions(&mut self, input: &Map<String, Value>) -> Answer {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in texts(input, "serviceRevisionArns") {
            match self
                .services
                .values()
                .flat_map(|service| &service.revisions)
                .find(|revision| revision.arn == arn)
            {
                Some(revision) => found.push(self.describe_service_revision(revision)),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"serviceRevisions": found, "failures": failures}))
    }

    fn describe_service_revision(&self, revision: &ServiceRevision) -> Value {
        let images = self.definition(&revision.task_definition).into_iter().flat_map(TaskDefinition::images);
        let images = images.map(|(name, image)| {
            let mut entry = json!({"containerName": name, "image": image});
            if let Some(digest) = revision.digests.get(name) {
                entry["imageDigest"] = Value::from(digest.clone());
            }
            entry
        });
        json!({
            "serviceRevisionArn": revision.arn,
            "taskDefinition": revision.task_definition,
            "containerImages": images.collect::<Vec<_>>(),
        })
    }

    fn list_tasks(&mut self, input: &Map<String, Value>) -> Answer {
        let cluster = self.cluster(input)?;
        let service = input.get("serviceName").and_then(Value::as_str).map(last_part);
        let running = input.get("desiredStatus").and_then(Value::as_str).unwrap_or("RUNNING") == "RUNNING";
        let chosen = self.tasks.iter().filter(|task| {
            task.service.0 == cluster
                && service.is_none_or(|name| name == task.service.1)
                && task.wanted == running
        });
        let (arns, token) = page(chosen.map(|task| task.arn.clone()).collect(), input, 100)?;
        Ok(with_token(json!({"taskArns": arns}), token))
    }

    fn describe_tasks(&mut self, input: &Map<String, Value>) -> Answer {
        self.cluster(input)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in texts(input, "tasks") {
            match self.tasks.iter().find(|task| task.arn == arn) {
                Some(task) => found.push(self.describe_task(task)),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"tasks": found, "failures": failures}))
    }

    fn describe_task(&self, task: &Task) -> Value {
        let images = self.definition(&task.task_definition).into_iter().flat_map(TaskDefinition::images);
        let containers = images.map(|(name, image)| {
            let mut container =
                json!({"name": name, "image": image, "lastStatus": task.status, "taskArn": task.arn});
            if let Some(digest) = task.digests.get(name) {
                container["imageDigest"] = Value::from(digest.clone());
            }
            if let Some(code) = task.exit_code {
                container["exitCode"] = Value::from(code);
            }
            container
        });
        let mut described = json!({
            "taskArn": task.arn,
            "clusterArn": self.arn("ecs", &format!("cluster/{}", task.service.0)),
            "taskDefinitionArn": task.task_definition,
            "startedBy": task.deployment,
            "group": format!("service:{}", task.service.1),
            "lastStatus": task.status,
            "desiredStatus": if task.wanted { "RUNNING" } else { "STOPPED" },
            "healthStatus": "UNKNOWN",
            "createdAt": task.created_at,
            "containers": containers.collect::<Vec<_>>(),
            "launchType": "FARGATE",
        });
        let times = [
            ("startedAt", task.started_at),
            ("stoppingAt", task.stopping_at),
            ("stoppedAt", task.stopped_at),
        ];
        for (key, time) in times.into_iter().filter_map(|(key, time)| Some((key, time?))) {
            described[key] = Value::from(time);
        }
        if let Some(code) = task.stop_code {
            described["stopCode"] = Value::from(code);
            described["stoppedReason"] = json!(task.reason);
        }
        described
    }

    fn stop_task(&mut self, input: &Map<String, Value>) -> Answer {
        self.cluster(input)?;
        let name = last_part(text(input, "task")?).to_owned();
        let now = self.now;
        let task = self.tasks.iter_mut().find(|task| last_part(&task.arn) == name);
        let task = task.ok_or_else(|| invalid("The referenced task was not found."))?;
        task.stop(now, "UserInitiated", "Task stopped by user".to_owned());
        let described = task.clone();
        Ok(json!({"task": self.describe_task(&described)}))
    }
}

fn tags_of(input: &Map<String, Value>) -> Result<BTreeMap<String, String>, AwsError> {
    let mut tags = BTreeMap::new();
    for tag in input.get("tags").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| tag.get(key).and_then(Value::as_str);
        let key = part("key").filter(|key| !key.is_empty() && key.len() <= 128 && !key.starts_with("aws:"));
        let value = part("value").unwrap_or_default();
        let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
        match key {
            Some(key) if value.len() <= 256 && allowed(key) && allowed(value) => {
                tags.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(invalid("Invalid tag.")),
        }
    }
    if tags.len() > 50 { Err(invalid("Too many tags.")) } else { Ok(tags) }
}

/// The defaults that AWS writes into a registration (Amazon ECS API reference, `ContainerDefinition`).
fn describe_registration(input: &Map<String, Value>) -> Result<Map<String, Value>, AwsError> {
    if Value::Object(input.clone()).to_string().len() > 64 << 10 {
        return Err(client_error("Actual length of task definition exceeds 64 KiB."));
    }
    let mut described = input.clone();
    described.shift_remove("tags");
    for key in ["volumes", "placementConstraints"] {
        described.entry(key).or_insert_with(|| json!([]));
    }
    let own_network = matches!(input.get("networkMode").and_then(Value::as_str), Some("awsvpc" | "host"));
    let containers = described.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    let containers = containers
        .filter(|list| !list.is_empty())
        .ok_or_else(|| client_error("Container list cannot be empty."))?;
    let mut names = std::collections::BTreeSet::new();
    for container in containers {
        let Value::Object(container) = container else {
            return Err(client_error("a container is no object"));
        };
        let name = text(container, "name")
            .map_err(|_| client_error("Container.name should not be null or empty."))?
            .to_owned();
        text(container, "image").map_err(|_| client_error("Container.image should not be null or empty."))?;
        if !names.insert(name) {
            return Err(client_error("Container names must be unique."));
        }
        container.entry("cpu").or_insert_with(|| json!(0));
        container.entry("essential").or_insert_with(|| json!(true));
        for key in ["environment", "mountPoints", "portMappings", "volumesFrom", "systemControls"] {
            container.entry(key).or_insert_with(|| json!([]));
        }
        for mapping in container.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten() {
            let Value::Object(mapping) = mapping else { continue };
            let port = mapping.get("containerPort").cloned().unwrap_or_default();
            mapping.entry("protocol").or_insert_with(|| json!("tcp"));
            mapping.entry("hostPort").or_insert_with(|| if own_network { port } else { json!(0) });
        }
        if let Some(Value::Object(check)) = container.get_mut("healthCheck") {
            for (key, default) in [("interval", 30), ("timeout", 5), ("retries", 3)] {
                check.entry(key).or_insert_with(|| json!(default));
            }
        }
    }
    Ok(described)
}

/// Merges what was sent over what was there, with AWS's defaults.
fn configuration(sent: Option<&Value>, present: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = present.clone();
    for (key, value) in sent.and_then(Value::as_object).into_iter().flatten() {
        merged.insert(key.clone(), value.clone());
    }
    merged.entry("maximumPercent").or_insert_with(|| json!(200));
    merged.entry("minimumHealthyPercent").or_insert_with(|| json!(100));
    merged.entry("deploymentCircuitBreaker").or_insert_with(|| json!({"enable": false, "rollback": false}));
    merged
}
