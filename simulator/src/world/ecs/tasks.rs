//! Tasks as they are described (Amazon ECS API reference: `Task`, `Container`, `ListTasks`, `DescribeTasks`,
//! `StopTask`). How they live and die is in `rollout`.

use serde_json::{Value, json};

use super::services::{Service, ServiceKey, launch_type_filter, not_found};
use super::time;
use crate::world::elb::interface;
use crate::world::ids;
use crate::world::input::{
    Input, Tags, batch, described_tags, invalid, last_part, optional, page, text, texts, with_token,
};
use crate::world::{Answer, World};

#[derive(Clone, Debug)]
pub(in crate::world) struct Task {
    pub arn: String,
    /// The id of the deployment that started it.
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

impl Task {
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
    fn all_tasks(&self) -> impl Iterator<Item = (&ServiceKey, &Task)> {
        self.services.iter().flat_map(|(key, service)| service.tasks.iter().map(move |task| (key, task)))
    }

    pub(super) fn list_tasks(&mut self, input: &Input) -> Answer {
        let cluster = self.cluster(input)?;
        let service = optional(input, "serviceName")?;
        let service = service.map(|name| self.within("service", &cluster, name)).transpose()?;
        if service.is_some_and(|name| !self.services.contains_key(&(cluster.clone(), name.to_owned()))) {
            return Err(not_found());
        }
        let (family, started_by) = (optional(input, "family")?, optional(input, "startedBy")?);
        if started_by.is_some() && (family.is_some() || service.is_some()) {
            return Err(invalid("startedBy must be the only filter."));
        }
        let running = match optional(input, "desiredStatus")?.unwrap_or("RUNNING") {
            "RUNNING" => true,
            "STOPPED" => false,
            // ECS never sets this desired status.
            "PENDING" => return Ok(json!({"taskArns": []})),
            _ => return Err(invalid("Invalid desiredStatus.")),
        };
        let launch_type = launch_type_filter(input)?;
        // The simulator knows no instances, so that no task is on any.
        let on_instance = optional(input, "containerInstance")?.is_some();
        let launched = |key: &ServiceKey| self.services.get(key).and_then(Service::launch_type);
        let of_family = |task: &Task| last_part(&task.task_definition).split(':').next() == family;
        let chosen = self.all_tasks().filter(|(key, task)| {
            key.0 == cluster
                && task.wanted == running
                && service.is_none_or(|name| name == key.1)
                && family.is_none_or(|_| of_family(task))
                && started_by.is_none_or(|id| id == task.deployment)
                && launch_type.is_none_or(|wanted| launched(key) == Some(wanted))
                && !on_instance
        });
        let mut arns: Vec<String> = chosen.map(|(_, task)| task.arn.clone()).collect();
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
            let mut here = self.all_tasks().filter(|(key, _)| key.0 == cluster);
            match here.find(|(_, task)| last_part(&task.arn) == id) {
                Some((key, task)) => found.push(self.describe_task(key, task, with_tags)),
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
        for (key, service) in self.services.iter_mut().filter(|(key, _)| key.0 == cluster) {
            let Some(task) = service.tasks.iter_mut().find(|task| last_part(&task.arn) == id) else {
                continue;
            };
            task.stop(now, "UserInitiated", reason);
            service.steady = false;
            let (key, task) = (key.clone(), task.clone());
            return Ok(json!({"task": self.describe_task(&key, &task, false)}));
        }
        Err(invalid("The referenced task was not found."))
    }

    fn describe_task(&self, key: &ServiceKey, task: &Task, with_tags: bool) -> Value {
        let definition = self.definition(&task.task_definition);
        let service = self.services.get(key);
        let mut described = json!({
            "taskArn": task.arn,
            "clusterArn": self.cluster_arn(&key.0),
            "taskDefinitionArn": task.task_definition,
            "startedBy": task.deployment,
            "group": format!("service:{}", key.1),
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
            let settings = service.map(|service| &service.settings);
            described["attachments"] = json!([interface(task, settings.unwrap_or(&Input::new()))]);
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
            ("launchType", service.and_then(|service| service.launch_type()).map(Value::from)),
        ];
        for (key, value) in sizes.into_iter().chain(times).chain(stop) {
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
        ("runtimeId", container.digest.as_ref().map(|_| Value::from(format!("{id}-{}", container.name)))),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            described[key] = value;
        }
    }
    described
}
