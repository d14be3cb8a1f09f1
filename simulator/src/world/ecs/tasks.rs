//! Tasks as they are described (Amazon ECS API reference: `Task`, `Container`, `ListTasks`, `DescribeTasks`,
//! `StopTask`). How they live and die is in `rollout`.

use serde_json::{Value, json};

use super::services::{Service, launch_type_filter, not_found};
use super::{Run, TaskDefinition, time};
use crate::world::Written;
use crate::world::elb::interface;
use crate::world::ids;
use crate::world::input::{
    Input, Tags, batch, described_tags, invalid, last_part, optional, page, text, texts, with_token,
};
use crate::world::{Answer, World};

#[derive(Clone, Debug)]
pub(in crate::world) struct Task {
    pub arn: String,
    /// The id of the deployment that started it; of a run what `startedBy` was, if anything.
    pub deployment: String,
    pub task_definition: String,
    pub containers: Vec<Container>,
    pub tags: Tags,
    pub status: &'static str,
    /// Whether its desired status is RUNNING.
    pub wanted: bool,
    /// Counts the changes.
    pub version: u64,
    /// Seconds that this task takes longer than others to start.
    pub delay: u64,
    /// Whether it was ever running with everything healthy.
    pub was_ready: bool,
    /// Why it is to be replaced: its checks have failed.
    pub failing: Option<String>,
    pub created_at: u64,
    pub pull_started_at: Option<u64>,
    pub pull_stopped_at: Option<u64>,
    pub started_at: Option<u64>,
    pub stopping_at: Option<u64>,
    pub stopped_at: Option<u64>,
    pub stop_code: Option<&'static str>,
    pub reason: Option<String>,
}

#[derive(Clone, Debug)]
pub(in crate::world) struct Container {
    pub name: String,
    pub image: String,
    pub essential: bool,
    /// Whether all tasks of a deployment run the digest that the first one resolved ("version consistency").
    pub consistent: bool,
    pub digest: Option<String>,
    pub exit_code: Option<i64>,
    pub reason: Option<String>,
    pub check: Option<Check>,
    pub written: Written,
}

/// The health check of a container. One built into the image is not looked at.
#[derive(Clone, Debug)]
pub(in crate::world) struct Check {
    pub interval: u64,
    pub retries: u64,
    pub start_period: u64,
    /// Failures in a row after the start period.
    pub failures: u64,
    pub status: &'static str,
}

/// A task and what has started it.
#[derive(Clone, Copy)]
pub(super) struct Started<'a> {
    pub task: &'a Task,
    by: Starter<'a>,
}

#[derive(Clone, Copy)]
enum Starter<'a> {
    Service(&'a Service),
    Run(&'a Run),
}

impl Started<'_> {
    fn cluster(&self) -> &str {
        match self.by {
            Starter::Service(service) => &service.cluster,
            Starter::Run(run) => &run.cluster,
        }
    }

    fn is_of_service(&self, name: &str) -> bool {
        matches!(self.by, Starter::Service(service) if service.name == name)
    }

    fn group(&self) -> String {
        match self.by {
            Starter::Service(service) => format!("service:{}", service.name),
            Starter::Run(run) => run.group.clone(),
        }
    }

    fn launch_type(&self) -> Option<&str> {
        match self.by {
            Starter::Service(service) => service.launch_type(),
            Starter::Run(run) => run.launch_type.as_deref(),
        }
    }

    /// The settings that say in which network it is.
    fn settings(&self) -> &Input {
        match self.by {
            Starter::Service(service) => &service.settings,
            Starter::Run(run) => &run.network,
        }
    }
}

impl Task {
    pub fn new(deployment: &str, definition: &TaskDefinition, tags: Tags, now: u64) -> Self {
        Self {
            arn: String::new(),
            deployment: deployment.to_owned(),
            task_definition: definition.arn.clone(),
            containers: definition.containers().map(Container::of).collect(),
            tags,
            status: "PROVISIONING",
            wanted: true,
            version: 1,
            delay: 0,
            was_ready: false,
            failing: None,
            created_at: now,
            pull_started_at: None,
            pull_stopped_at: None,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
            stop_code: None,
            reason: None,
        }
    }

    pub fn is_running(&self) -> bool {
        self.status == "RUNNING"
    }

    /// Whether it belongs to those that the scheduler counts as started.
    pub fn has_stopped(&self) -> bool {
        self.stopped_at.is_some()
    }

    /// To run, and with nothing against it.
    pub fn is_sound(&self) -> bool {
        self.wanted && self.failing.is_none()
    }

    pub fn is_failing(&self) -> bool {
        self.wanted && self.failing.is_some()
    }

    /// Of the essential containers that have a check: HEALTHY if all are, UNHEALTHY if any is, else UNKNOWN.
    pub fn health(&self) -> &'static str {
        let checks = self.containers.iter().filter(|container| container.essential);
        let mut statuses = checks.filter_map(|container| Some(container.check.as_ref()?.status)).peekable();
        if statuses.peek().is_none() {
            return "UNKNOWN";
        }
        let mut health = "HEALTHY";
        for status in statuses {
            match status {
                "UNHEALTHY" => return "UNHEALTHY",
                "UNKNOWN" => health = "UNKNOWN",
                _ => {}
            }
        }
        health
    }

    pub fn has_checks(&self) -> bool {
        self.containers.iter().any(|container| container.essential && container.check.is_some())
    }

    pub fn digests(&self) -> impl Iterator<Item = &String> {
        self.containers.iter().filter_map(|container| container.digest.as_ref())
    }

    pub fn stop(&mut self, now: u64, code: &'static str, reason: impl Into<String>) {
        if self.wanted {
            self.wanted = false;
            self.version += 1;
            self.status = "DEACTIVATING";
            self.stopping_at = Some(now);
            self.stop_code = Some(code);
            self.reason = Some(reason.into());
        }
    }
}

impl World {
    /// All that anybody has started.
    pub(super) fn started_tasks(&self) -> impl Iterator<Item = Started<'_>> {
        let of_services = self.services.values().flat_map(|service| {
            service.tasks.iter().map(move |task| Started { task, by: Starter::Service(service) })
        });
        let runs = self.runs.iter().map(|run| Started { task: &run.task, by: Starter::Run(run) });
        of_services.chain(runs)
    }

    /// The same without runs that no reading shows yet.
    fn visible_tasks(&self) -> impl Iterator<Item = Started<'_>> {
        let now = self.now;
        self.started_tasks().filter(move |one| !matches!(one.by, Starter::Run(run) if run.appears_at > now))
    }

    pub(super) fn list_tasks(&mut self, input: &Input) -> Answer {
        let cluster = self.cluster(input)?;
        let service = optional(input, "serviceName")?;
        let service = service.map(|name| self.within("service", &cluster, name)).transpose()?;
        if service.is_some_and(|name| !self.services.contains_key(&(cluster.clone(), name.to_owned()))) {
            return Err(not_found());
        }
        let (family, started_by) = (optional(input, "family")?, optional(input, "startedBy")?);
        let desired = optional(input, "desiredStatus")?;
        // The model says so of every other filter; whether AWS means the status too is not known.
        let is_alone = family.is_none()
            && service.is_none()
            && !(desired.is_some() && self.faults.has_strict_started_by());
        if started_by.is_some() && !is_alone {
            return Err(invalid("startedBy must be the only filter."));
        }
        let running = match desired.unwrap_or("RUNNING") {
            "RUNNING" => true,
            "STOPPED" => false,
            // ECS never sets this desired status.
            "PENDING" => return Ok(json!({"taskArns": []})),
            _ => return Err(invalid("Invalid desiredStatus.")),
        };
        let launch_type = launch_type_filter(input)?;
        // The simulator knows no instances, so that no task is on any.
        let on_instance = optional(input, "containerInstance")?.is_some();
        let of_family = |task: &Task| last_part(&task.task_definition).split(':').next() == family;
        let chosen = self.visible_tasks().filter(|one| {
            one.cluster() == cluster
                && one.task.wanted == running
                && service.is_none_or(|name| one.is_of_service(name))
                && family.is_none_or(|_| of_family(one.task))
                && started_by.is_none_or(|id| id == one.task.deployment)
                && launch_type.is_none_or(|wanted| one.launch_type() == Some(wanted))
                && !on_instance
        });
        let mut arns: Vec<String> = chosen.map(|one| one.task.arn.clone()).collect();
        arns.sort_by_key(|arn| ids::place(arn));
        let (arns, token) = page(arns, input, 100, 100)?;
        Ok(with_token(json!({"taskArns": arns}), token))
    }

    /// Tasks that stopped stay for about an hour.
    pub(super) fn describe_tasks(&mut self, input: &Input) -> Answer {
        let cluster = self.cluster(input)?;
        let with_tags = texts(input, "include").any(|what| what == "TAGS");
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in batch(input, "tasks", 100)? {
            let id = self.within("task", &cluster, name)?;
            let mut here = self.visible_tasks().filter(|one| one.cluster() == cluster);
            match here.find(|one| last_part(&one.task.arn) == id) {
                Some(one) => found.push(self.describe_task(&one, with_tags)),
                None => failures.push(json!({
                    "arn": self.arn("ecs", &format!("task/{cluster}/{id}")),
                    "reason": "MISSING",
                })),
            }
        }
        Ok(json!({"tasks": found, "failures": failures}))
    }

    pub(super) fn stop_task(&mut self, input: &Input) -> Answer {
        let (cluster, now) = (self.cluster(input)?, self.now);
        let id = self.within("task", &cluster, text(input, "task")?)?.to_owned();
        let reason = optional(input, "reason")?.unwrap_or("Task stopped by user").to_owned();
        let is_it = |task: &Task| last_part(&task.arn) == id;
        let mut runs = self.runs.iter_mut().filter(|run| run.cluster == cluster);
        if let Some(run) = runs.find(|run| is_it(&run.task)) {
            run.task.stop(now, "UserInitiated", reason);
        } else {
            let mut services = self.services.values_mut().filter(|service| service.cluster == cluster);
            let service = services.find(|service| service.tasks.iter().any(is_it));
            let Some(service) = service else {
                return Err(invalid("The referenced task was not found."));
            };
            service.steady = false;
            for task in service.tasks.iter_mut().filter(|task| is_it(task)) {
                task.stop(now, "UserInitiated", reason.clone());
            }
        }
        let stopped = self.started_tasks().find(|one| is_it(one.task));
        Ok(json!({"task": stopped.map(|one| self.describe_task(&one, false))}))
    }

    pub(super) fn describe_task(&self, one: &Started<'_>, with_tags: bool) -> Value {
        let task = one.task;
        let definition = self.definition(&task.task_definition);
        let mut described = json!({
            "taskArn": task.arn,
            "clusterArn": self.cluster_arn(one.cluster()),
            "taskDefinitionArn": task.task_definition,
            "group": one.group(),
            "lastStatus": task.status,
            "desiredStatus": if task.wanted { "RUNNING" } else { "STOPPED" },
            "healthStatus": task.health(),
            "connectivity": "CONNECTED",
            "version": task.version,
            "createdAt": time(task.created_at),
            "containers": task.containers.iter().map(|container| describe_container(task, container)).collect::<Vec<_>>(),
            "overrides": {"containerOverrides": []},
            "attachments": [],
        });
        if definition.is_some_and(|found| found.network_mode() == Some("awsvpc")) {
            described["attachments"] = json!([interface(task, one.settings())]);
        }
        let sizes = ["cpu", "memory"]
            .map(|key| (key, definition.and_then(|found| found.described.get(key)).cloned()));
        let times = [
            ("pullStartedAt", task.pull_started_at),
            ("pullStoppedAt", task.pull_stopped_at),
            ("startedAt", task.started_at),
            ("stoppingAt", task.stopping_at),
            ("executionStoppedAt", task.stopped_at),
            ("stoppedAt", task.stopped_at),
        ];
        let times = times.map(|(key, at)| (key, at.map(time)));
        let stop = [
            ("stopCode", task.stop_code.map(Value::from)),
            ("stoppedReason", task.reason.clone().map(Value::from)),
            ("startedBy", Some(&task.deployment).filter(|by| !by.is_empty()).map(|by| json!(by))),
            ("launchType", one.launch_type().map(Value::from)),
        ];
        let of_run = match one.by {
            Starter::Run(run) => [
                ("overrides", Some(run.overrides.clone())),
                ("capacityProviderName", run.provider.clone().map(Value::from)),
                ("platformVersion", run.platform.clone().map(Value::from)),
            ],
            Starter::Service(_) => {
                [("overrides", None), ("capacityProviderName", None), ("platformVersion", None)]
            }
        };
        for (key, value) in sizes.into_iter().chain(times).chain(stop).chain(of_run) {
            if let Some(value) = value {
                described[key] = value;
            }
        }
        if with_tags {
            described["tags"] = described_tags(&task.tags);
        }
        described
    }
}

impl Container {
    /// As a revision defines it.
    pub fn of(definition: &Input) -> Self {
        let text = |key: &str| definition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let check = definition.get("healthCheck").map(|check| {
            let number = |key: &str, default| check.get(key).and_then(Value::as_u64).unwrap_or(default);
            Check {
                interval: number("interval", 30).max(1),
                retries: number("retries", 3).max(1),
                start_period: number("startPeriod", 0),
                failures: 0,
                status: "UNKNOWN",
            }
        });
        Self {
            name: text("name"),
            image: text("image"),
            essential: definition.get("essential") != Some(&Value::Bool(false)),
            consistent: definition.get("versionConsistency").and_then(Value::as_str) != Some("disabled"),
            digest: None,
            exit_code: None,
            reason: None,
            check,
            written: Written::default(),
        }
    }

    /// Of its runtime, in a task with this id.
    pub fn runtime_id(&self, task: &str) -> String {
        format!("{task}-{}", self.name)
    }
}

/// The agent knows three words for a container (aws/amazon-ecs-agent).
fn container_status(task: &Task, container: &Container) -> &'static str {
    match task.status {
        _ if container.exit_code.is_some() || task.has_stopped() => "STOPPED",
        _ if task.started_at.is_some() => "RUNNING",
        _ => "PENDING",
    }
}

fn describe_container(task: &Task, container: &Container) -> Value {
    let id = last_part(&task.arn);
    let mut described = json!({
        "containerArn": task.arn.replace(":task/", ":container/") + "/" + &container.name,
        "taskArn": task.arn,
        "name": container.name,
        "image": container.image,
        "lastStatus": container_status(task, container),
        "healthStatus": container.check.as_ref().map_or("UNKNOWN", |check| check.status),
        "networkInterfaces": [],
    });
    let optional = [
        ("imageDigest", container.digest.clone().map(Value::from)),
        ("exitCode", container.exit_code.map(Value::from)),
        ("reason", container.reason.clone().map(Value::from)),
        ("runtimeId", container.digest.as_ref().map(|_| Value::from(container.runtime_id(id)))),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            described[key] = value;
        }
    }
    described
}
