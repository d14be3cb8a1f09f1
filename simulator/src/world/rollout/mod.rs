//! Rolling deployments, task sets and the life of tasks, one second at a time (Amazon ECS developer guide, "Deploy Amazon ECS
//! services by replacing tasks").
//!
//! Each second every service lets its tasks live (`life`), starts and stops some (`tasks`), and judges its deployment;
//! how depends on what carries it out (`carriers`).

mod backing_out;
mod carriers;
mod causes;
mod hooks;
mod judge;
mod life;
mod native;
mod output;
mod rolling;
mod runs;
mod targets;
mod task_sets;
mod tasks;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};

use super::ecr::Registry;
use super::ecs::{
    Deployment, Families, Programs, Service, ServiceDeployment, ServiceKey, ServiceRevision, Shift, Status,
    TRIGGERS, Task, TaskDefinition, VOLUMES, alarms, breaker, find_definition,
};
use super::elb::Balancing;
use super::ids;
use super::input::{Input, list};
use super::{Function, World};
use crate::faults::Faults;
pub(super) use output::Written;

/// Tasks that stopped stay visible for about an hour (Amazon ECS API reference, `DescribeTasks`).
const STOPPED_TASKS_STAY: u64 = 3600;
/// INACTIVE services "may be cleaned up" some day (Amazon ECS API reference, `DeleteService`): here after an hour.
const INACTIVE_SERVICES_STAY: u64 = 3600;
/// A service shows its latest 100 events (Amazon ECS API reference, `Service`).
const EVENTS: usize = 100;

/// What a service sees of the world while a second passes.
pub(super) struct Around<'a> {
    now: u64,
    seed: u64,
    ids: &'a mut u64,
    /// `arn:aws:ecs:<region>:<account>:`
    arns: String,
    families: &'a Families,
    registry: &'a Registry,
    alarms: &'a BTreeSet<String>,
    balancing: &'a mut Balancing,
    functions: &'a BTreeMap<String, Function>,
    programs: &'a Programs,
    faults: &'a Faults,
}

impl Around<'_> {
    fn id(&mut self) -> u64 {
        *self.ids += 1;
        *self.ids
    }

    /// A secret of the task that cannot be had.
    fn missing_secret(&self, task: &Task) -> Option<String> {
        let definition = find_definition(self.families, &task.task_definition)?;
        let secrets = definition.containers().flat_map(|container| list(container, "secrets"));
        let mut named = secrets.filter_map(|secret| secret.get("valueFrom")?.as_str());
        named.find(|name| self.faults.hides_secret(name)).map(str::to_owned)
    }

    /// Whether a container of the task logs to a group that is not there, and does not have AWS make it.
    fn misses_log_group(&self, task: &Task) -> bool {
        let definition = find_definition(self.families, &task.task_definition);
        let mut configurations = definition
            .into_iter()
            .flat_map(TaskDefinition::containers)
            .filter_map(|container| container.get("logConfiguration"))
            .filter(|configuration| configuration.get("logDriver").is_some_and(|driver| driver == "awslogs"));
        configurations.any(|configuration| {
            let option = |name: &str| configuration.get("options")?.get(name)?.as_str();
            let is_made = option("awslogs-create-group") == Some("true");
            !is_made && option("awslogs-group").is_some_and(|group| self.faults.hides_log_group(group))
        })
    }
}

impl World {
    /// One second; when the next one must be looked at, if anything is still under way.
    pub(super) fn tick(&mut self) -> Option<u64> {
        let arns = self.arn("ecs", "");
        let mut around = Around {
            now: self.now,
            seed: self.seed,
            ids: &mut self.ids,
            arns,
            families: &self.families,
            registry: &self.registry,
            alarms: &self.alarms.active,
            balancing: &mut self.balancing,
            functions: &self.functions,
            programs: &self.programs,
            faults: &self.faults,
        };
        let mut next: Option<u64> = None;
        for service in self.services.values_mut().filter(|service| !service.has_ended()) {
            service.live(&mut around);
            service.schedule(&mut around);
            service.judge(&mut around);
            next = next.into_iter().chain(service.wakes_at(&around)).min();
        }
        for run in self.runs.iter_mut().filter(|run| !run.task.has_stopped()) {
            run.live(&around);
            next = Some(around.now + 1);
        }
        let of_services = self.services.values().flat_map(|service| &service.tasks);
        let tasks = of_services.chain(self.runs.iter().map(|run| &run.task));
        let pulled = tasks.filter(|task| task.pull_stopped_at == Some(self.now));
        self.registry.record_pulls(pulled.flat_map(Task::digests), self.now);
        self.write_logs();
        next
    }

    /// What AWS no longer tells after a while.
    pub(super) fn forget(&mut self) {
        let now = self.now;
        for service in self.services.values_mut() {
            let visible = |stopped: u64| stopped + STOPPED_TASKS_STAY > now;
            service.tasks.retain(|task| task.stopped_at.is_none_or(visible));
        }
        self.forget_runs(|stopped| stopped + STOPPED_TASKS_STAY > now);
        self.services.retain(|_, service| match service.status {
            Status::Inactive(since) => since + INACTIVE_SERVICES_STAY > now,
            _ => true,
        });
        self.delete_unneeded_definitions();
        self.forget_stale();
    }

    /// Makes a new PRIMARY deployment; the one before drains.
    pub(super) fn start_deployment(&mut self, key: &ServiceKey, task_definition: &str) {
        let number = self.id();
        let (now, path) = (self.now, format!("{}/{}", key.0, key.1));
        let (name, number) = (ids::letters(number), ids::digits(number));
        let revision_arn = self.arn("ecs", &format!("service-revision/{path}/{number}"));
        let deployment_arn = self.arn("ecs", &format!("service-deployment/{path}/{name}"));
        let active_alarms = self.alarms.active.clone();
        let containers = self.definition(task_definition).into_iter().flat_map(TaskDefinition::containers);
        let images = containers.map(|container| {
            let text = |key: &str| {
                container.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
            };
            (text("name"), text("image"))
        });
        let images: Vec<(String, String)> = images.collect();
        let Some(service) = self.services.get_mut(key) else { return };
        let (blue, sources) = (
            service.live_revision(),
            service.deployments.iter().map(|deployment| deployment.revision).collect::<Vec<_>>(),
        );
        let revision = service.revisions.len();
        service.revisions.push(ServiceRevision {
            arn: revision_arn,
            task_definition: task_definition.to_owned(),
            created_at: now,
            settings: revision_settings(&service.settings),
            images,
            digests: BTreeMap::new(),
            groups: Vec::new(),
        });
        let id = format!("ecs-svc/{number}");
        if service.is_deployed_by_ecs() {
            let shift = Shift::of(service, blue.filter(|blue| sources.contains(blue)));
            if let Some(revision) = service.revisions.last_mut().filter(|_| shift.is_none()) {
                revision.groups = traffic::serving(&service.settings, &self.balancing);
            }
            service.supersede(now);
            let mut begun = ServiceDeployment::begun(service, deployment_arn, revision, sources, &id, now);
            begun.shift = shift;
            service.history.insert(0, begun);
        }
        service.make_primary(id, revision, active_alarms, now);
    }
}

/// The settings that a revision keeps (Amazon ECS API reference, `ServiceRevision`).
fn revision_settings(settings: &Input) -> Input {
    let kept = settings.iter().filter(|(key, _)| {
        TRIGGERS.contains(&key.as_str()) || matches!(key.as_str(), VOLUMES | "capacityProviderStrategy")
    });
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl ServiceDeployment {
    fn begun(
        service: &Service,
        arn: String,
        target: usize,
        sources: Vec<usize>,
        carried_by: &str,
        now: u64,
    ) -> Self {
        let monitored = |on: bool| if on { "MONITORING" } else { "DISABLED" };
        let breaker = breaker(&service.configuration, service.desired);
        Self {
            arn,
            status: "PENDING",
            reason: None,
            target,
            sources,
            breaker: monitored(breaker.enabled),
            failures: 0,
            threshold: breaker.threshold,
            alarms: monitored(alarms(&service.configuration).is_some()),
            triggered_alarms: Vec::new(),
            configuration: service.configuration.clone(),
            created_at: now,
            started_at: None,
            updated_at: now,
            stopped_at: None,
            finished_at: None,
            rollback: None,
            carried_by: carried_by.to_owned(),
            ended_with: None,
            shift: None,
        }
    }
}

impl Service {
    /// A newer deployment has begun: the service deployment in flight is to stop.
    fn supersede(&mut self, now: u64) {
        let Some(newest) = self.history.first_mut().filter(|newest| newest.finished_at.is_none()) else {
            return;
        };
        // A rollback in progress can only succeed or fail (developer guide, "service deployment state transitions").
        if newest.status != "ROLLBACK_IN_PROGRESS" {
            newest.status = "STOP_REQUESTED";
        }
        // What a pause asks for nobody can answer any more.
        if let Some(shift) = &mut newest.shift {
            shift.hooks.clear();
        }
        newest.reason = Some("Replaced by a new service deployment".to_owned());
        newest.updated_at = now;
    }

    fn make_primary(&mut self, id: String, revision: usize, ignored_alarms: BTreeSet<String>, now: u64) {
        let Some(target) = self.revisions.get(revision) else { return };
        for deployment in &mut self.deployments {
            deployment.primary = false;
        }
        let primary = Deployment {
            reason: format!("ECS deployment {id} in progress."),
            id,
            primary: true,
            task_definition: target.task_definition.clone(),
            revision,
            desired: 0,
            rollout: "IN_PROGRESS",
            fails: None,
            failed_tasks: 0,
            created_at: now,
            updated_at: now,
            ignored_alarms,
            baking_since: None,
            completes_at: None,
            failed_rounds: 0,
            not_before: 0,
            told_stuck: false,
            external_id: None,
            draining: false,
        };
        self.deployments.insert(0, primary);
        self.steady = false;
    }

    /// Adds an event; `what` follows the name of the service.
    fn tell(&mut self, around: &mut Around, what: &str) {
        self.add_event(around, format!("(service {}) {what}", self.name));
    }

    /// The same of one deployment.
    fn tell_of_set(&mut self, around: &mut Around, deployment: &str, what: &str) {
        self.add_event(around, format!("(service {}, taskSet {deployment}) {what}", self.name));
    }

    fn add_event(&mut self, around: &mut Around, message: String) {
        let event = (around.id(), around.now, message);
        self.events.insert(0, event);
        self.events.truncate(EVENTS);
    }
}
