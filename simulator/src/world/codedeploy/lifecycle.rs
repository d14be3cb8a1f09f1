//! How a deployment goes on, one second at a time (`CodeDeploy` user guide: "`AppSpec` 'hooks' section", "List of
//! lifecycle event hooks for an Amazon ECS deployment", "Redeploy and roll back a deployment with `CodeDeploy`").

use serde_json::{Value, json};

use super::{AppSpec, Deployment, Event, RollbackInfo, Stop, Wait};
use crate::faults::Hook;
use crate::world::World;
use crate::world::ecs::ServiceKey;
use crate::world::input::Input;

/// In the order of the user guide. `AllowTestTraffic` is there with a test listener only.
pub(super) const EVENTS: [&str; 8] = [
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
];
/// The ready wait comes before it: traffic shifts from here on.
pub(super) const FIRST_AFTER_READY_WAIT: &str = "BeforeAllowTraffic";
/// Seconds until a deployment that was created is in progress, and that a function takes to answer. AWS gives no
/// figures.
const CREATED: u64 = 2;
const FUNCTION: u64 = 4;
/// "A lifecycle event can run at most 3600 seconds" (`CodeDeploy` user guide, "Quotas").
const LONGEST_EVENT: u64 = 3600;
const MINUTE: u64 = 60;

impl Event {
    pub fn pending(name: &'static str) -> Self {
        Self { name, status: "Pending", started_at: None, ended_at: None, failure: None }
    }

    fn end(&mut self, status: &'static str, now: u64) {
        self.status = status;
        self.started_at.get_or_insert(now);
        self.ended_at = Some(now);
    }

    fn is_over(&self) -> bool {
        matches!(self.status, "Succeeded" | "Skipped" | "Failed")
    }
}

/// Why a deployment ends badly.
struct Failure {
    status: &'static str,
    code: Option<&'static str>,
    message: String,
    /// The event that asks for a rollback.
    rolls_back: bool,
}

impl World {
    /// One second of all deployments; whether any is under way.
    pub(in crate::world) fn tick_deployments(&mut self) -> bool {
        let open = |one: &&Deployment| one.is_active() || one.clearing.is_some();
        let ids: Vec<String> =
            self.code_deploy.deployments.values().filter(open).map(|one| one.id.clone()).collect();
        for id in &ids {
            // Taken out while it goes on: it changes the rest of the world.
            let Some(mut deployment) = self.code_deploy.deployments.remove(id) else { continue };
            let rollback = self.go_on(&mut deployment);
            self.code_deploy.deployments.insert(id.clone(), deployment);
            if let Some(rollback) = rollback {
                self.add_deployment(rollback);
            }
        }
        !ids.is_empty()
    }

    /// One second of one deployment; the deployment that rolls it back, if there has to be one.
    fn go_on(&mut self, one: &mut Deployment) -> Option<Deployment> {
        if let Some(set) = &one.clearing {
            if self.is_set_steady(&one.service, set).is_none() {
                one.clearing = None;
            }
            return None;
        }
        if let Some(failure) = self.reason_to_stop(one) {
            return self.fail(one, failure);
        }
        if one.status == "Created" {
            if self.now >= one.created_at + CREATED {
                one.status = "InProgress";
                one.started_at = Some(self.now);
            }
            return None;
        }
        match one.wait {
            Wait::Ready(since) => return self.wait_for_approval(one, since),
            Wait::Termination(since) => {
                let action = at(&one.settings, &["terminateBlueInstancesOnDeploymentSuccess", "action"]);
                let minutes = at(
                    &one.settings,
                    &["terminateBlueInstancesOnDeploymentSuccess", "terminationWaitTimeInMinutes"],
                );
                let minutes = minutes.and_then(Value::as_u64).unwrap_or_default();
                if action.and_then(Value::as_str) == Some("KEEP_ALIVE") {
                    one.wait = Wait::Over;
                } else if self.now >= since + minutes * MINUTE {
                    one.wait = Wait::Terminating;
                }
                return None;
            }
            Wait::Terminating => {
                let Some(blue) = one.blue.clone() else {
                    one.wait = Wait::Over;
                    return None;
                };
                self.drain_task_set(&one.service, &blue);
                if self.is_set_steady(&one.service, &blue).is_none() {
                    one.wait = Wait::Over;
                }
                return None;
            }
            Wait::Over => {
                self.succeed(one);
                return None;
            }
            Wait::None => {}
        }
        if let Some(failure) = reported(one) {
            return self.fail(one, failure);
        }
        let Some(index) = one.events.iter().position(|event| !event.is_over()) else {
            one.wait = Wait::Termination(self.now);
            return None;
        };
        self.go_on_with(one, index).and_then(|failure| self.fail(one, failure))
    }

    fn reason_to_stop(&self, one: &Deployment) -> Option<Failure> {
        if let Some(Stop { code, message, rolls_back }) = &one.stop {
            let (code, message) = (Some(*code), message.clone());
            return Some(Failure { status: "Stopped", code, message, rolls_back: *rolls_back });
        }
        let alarms = one.settings.get("alarmConfiguration")?;
        let watched = alarms.get("enabled") == Some(&json!(true)) && one.creator == "user";
        let mut names = alarms.get("alarms").and_then(Value::as_array).into_iter().flatten();
        let name = names.find_map(|alarm| {
            alarm.get("name").and_then(Value::as_str).filter(|name| self.alarms.contains(*name))
        })?;
        watched.then(|| Failure {
            status: "Stopped",
            code: Some("ALARM_ACTIVE"),
            message: format!("One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected deployments have been stopped. Activated alarms: <{name}>"),
            rolls_back: one.rolls_back_on.contains("DEPLOYMENT_STOP_ON_ALARM"),
        })
    }

    /// "If traffic rerouting is not started before the end of the specified wait period, the deployment status is
    /// changed to Stopped" (`DeploymentReadyOption`).
    fn wait_for_approval(&mut self, one: &mut Deployment, since: u64) -> Option<Deployment> {
        let minutes = at(&one.settings, &["deploymentReadyOption", "waitTimeInMinutes"]);
        if self.now < since + minutes.and_then(Value::as_u64).unwrap_or_default() * MINUTE {
            return None;
        }
        let rolls_back = !one.rolls_back_on.is_empty();
        let message = "The wait time for rerouting traffic has expired.".to_owned();
        self.fail(one, Failure { status: "Stopped", code: None, message, rolls_back })
    }

    fn go_on_with(&mut self, one: &mut Deployment, index: usize) -> Option<Failure> {
        let now = self.now;
        let event = one.events.get_mut(index)?;
        let name = event.name;
        let begins = event.started_at.is_none();
        if begins {
            if name == FIRST_AFTER_READY_WAIT
                && event.status == "Pending"
                && asks_first(&one.settings)
                && one.creator == "user"
            {
                one.wait = Wait::Ready(now);
                one.status = "Ready";
                return None;
            }
            event.status = "InProgress";
            event.started_at = Some(now);
        }
        let age = now - event.started_at.unwrap_or(now);
        let ends = match name {
            "Install" => self.install(one, begins, age),
            "AllowTestTraffic" => {
                if let Some(test) = &one.route.test {
                    self.shift(test, &one.route.blue, &one.route.green, 100);
                }
                Ok(true)
            }
            "AllowTraffic" => Ok(self.allow_traffic(one, age)),
            _ => self.run_hook(one, name, age),
        };
        let event = one.events.get_mut(index)?;
        match ends {
            Ok(false) => None,
            Ok(true) => {
                event.end("Succeeded", now);
                None
            }
            Err((code, message)) => {
                event.end("Failed", now);
                let diagnosis =
                    if code == "HOOK_EXECUTION_FAILURE" { "ScriptFailed" } else { "UnknownError" };
                event.failure.get_or_insert_with(|| (diagnosis, message.clone()));
                let rolls_back = one.rolls_back_on.contains("DEPLOYMENT_FAILURE");
                Some(Failure { status: "Failed", code: Some(code), message, rolls_back })
            }
        }
    }

    /// Makes the replacement task set and waits until it is steady.
    fn install(
        &mut self,
        one: &mut Deployment,
        begins: bool,
        age: u64,
    ) -> Result<bool, (&'static str, String)> {
        if begins && one.green.is_none() {
            self.clear_leftovers(&one.service);
            let blue =
                self.services.get(&one.service).and_then(|service| service.deployments.first()).cloned();
            let green = self.replacement(one).map_err(|why| ("INVALID_REVISION", why))?;
            let (container, port) = (one.spec.container.clone(), one.spec.port);
            let definition = self.definition(&green).ok_or_else(|| missing_definition(&green))?;
            if !definition.offers(&container, port) {
                let message = format!(
                    "The container {container} with the port {port} is not in the task definition {green}"
                );
                return Err(("INVALID_REVISION", message));
            }
            if let Some(blue) = &blue {
                self.turn_route(one, &blue.id);
            }
            one.blue = blue.map(|blue| blue.id);
            let mut over = one.spec.over.clone();
            let balancer = json!([{"targetGroupArn": one.route.green, "containerName": container, "containerPort": port}]);
            over.insert("loadBalancers".to_owned(), balancer);
            one.green = Some(self.create_task_set(&one.service, &green, &over, &one.id));
            return Ok(false);
        }
        let steady = one.green.as_ref().and_then(|green| self.is_set_steady(&one.service, green));
        match steady {
            Some(true) => Ok(true),
            None => Err(("ECS_UPDATE_ERROR", "The replacement task set was deleted".to_owned())),
            Some(false) if age >= LONGEST_EVENT => Err((
                "HEALTH_CONSTRAINTS",
                "The deployment timed out while waiting for the replacement task set to become healthy. This time out period is 60 minutes.".to_owned(),
            )),
            Some(false) => Ok(false),
        }
    }

    fn replacement(&self, one: &Deployment) -> Result<String, String> {
        let found = self.usable_definition(&one.spec.task_definition);
        found.map(|definition| definition.arn.clone()).map_err(|error| error.message)
    }

    /// What an earlier deployment left behind when it failed without a rollback.
    fn clear_leftovers(&mut self, key: &ServiceKey) {
        let sets = self.services.get(key).map(|service| &service.deployments);
        let spare = sets.into_iter().flatten().filter(|set| !set.primary).map(|set| set.id.clone());
        for id in spare.collect::<Vec<_>>() {
            self.drain_task_set(key, &id);
        }
    }

    /// Green is the target group that the primary task set does not use.
    fn turn_route(&self, one: &mut Deployment, blue: &str) {
        let service = self.services.get(&one.service);
        let set = service.and_then(|service| service.deployments.iter().find(|set| set.id == blue));
        let revision = service.zip(set).and_then(|(service, set)| service.revisions.get(set.revision));
        let balancers = revision.and_then(|revision| revision.settings.get("loadBalancers"));
        let used = balancers.and_then(|all| all.get(0)?.get("targetGroupArn")?.as_str());
        if used == Some(one.route.green.as_str()) {
            std::mem::swap(&mut one.route.blue, &mut one.route.green);
        }
    }

    fn run_hook(&self, one: &Deployment, event: &str, age: u64) -> Result<bool, (&'static str, String)> {
        let Some(function) = one.spec.hook(event) else { return Ok(true) };
        let failure = |why: &str| {
            let message = format!("The {event} lifecycle event hook function {function} {why}");
            Err(("HOOK_EXECUTION_FAILURE", message))
        };
        match self.faults.hook(function) {
            Some(Hook::Fails) if age >= FUNCTION => failure("reported a failure"),
            Some(Hook::Silent) if age >= LONGEST_EVENT => failure("did not answer within one hour"),
            None if age >= FUNCTION => Ok(true),
            _ => Ok(false),
        }
    }

    fn allow_traffic(&mut self, one: &mut Deployment, age: u64) -> bool {
        let weight = one.routing.weight(age);
        if weight != one.weight {
            one.weight = weight;
            self.shift(&one.route.production, &one.route.blue, &one.route.green, weight);
        }
        if weight == 100
            && let Some(green) = &one.green
        {
            self.make_primary_set(&one.service, green);
            return true;
        }
        false
    }

    fn succeed(&mut self, one: &mut Deployment) {
        one.last_sets = self.described_sets(one);
        one.status = "Succeeded";
        one.completed_at = Some(self.now);
        let (id, sha256) = (one.id.clone(), one.sha256.clone());
        if let Some(group) = self.group_mut(&one.application, &one.group) {
            group.last_successful = Some(id);
            group.target = Some(sha256);
        }
    }

    fn fail(&mut self, one: &mut Deployment, failure: Failure) -> Option<Deployment> {
        let now = self.now;
        one.last_sets = self.described_sets(one);
        for event in one.events.iter_mut().filter(|event| !event.is_over()) {
            event.end("Skipped", now);
        }
        one.status = failure.status;
        one.error = failure.code.map(|code| (code, failure.message));
        one.completed_at = Some(now);
        one.wait = Wait::None;
        if !failure.rolls_back || one.creator != "user" {
            return None;
        }
        let shifted = one.weight > 0;
        if !shifted {
            // Nothing was served by it yet: it is taken away within the same deployment.
            if let Some(test) = &one.route.test {
                self.shift(test, &one.route.green, &one.route.blue, 100);
            }
            if let Some(green) = one.green.clone() {
                self.drain_task_set(&one.service, &green);
                one.clearing = Some(green);
            }
            one.rollback.message =
                Some("The replacement task set was removed before any traffic was shifted to it.".to_owned());
            return None;
        }
        self.rollback_of(one)
    }

    /// "`CodeDeploy` rolls back deployments by redeploying a previously deployed revision of an application as a new
    /// deployment" (user guide).
    fn rollback_of(&mut self, one: &mut Deployment) -> Option<Deployment> {
        let application = self.code_deploy.applications.get(&one.application);
        let good = one.previous.as_ref().and_then(|sha256| application?.revisions.get(sha256));
        let Some(content) = good.map(|revision| revision.content.clone()) else {
            one.rollback.message = Some(
                "Automatic rollback was not possible: the deployment group has no last known good revision."
                    .to_owned(),
            );
            return None;
        };
        let id = self.deployment_id();
        one.rollback.deployment = Some(id.clone());
        one.rollback.message = Some(format!("Deployment {} is rolled back by deployment {id}.", one.id));
        let mut rollback = one.clone();
        rollback.rollback = RollbackInfo { triggering: Some(one.id.clone()), ..RollbackInfo::default() };
        rollback.id = id;
        rollback.creator = "codeDeployRollback";
        rollback.description = Some(format!("Automatic rollback of deployment {}", one.id));
        rollback.spec = AppSpec::parse(&content).unwrap_or_default();
        rollback.sha256 = one.previous.clone().unwrap_or_default();
        rollback.content = content;
        rollback.previous = one.previous.clone();
        rollback.status = "Created";
        rollback.error = None;
        (rollback.created_at, rollback.started_at, rollback.completed_at) = (self.now, None, None);
        rollback.events = EVENTS.iter().map(|name| Event::pending(name)).collect();
        rollback.routing = super::Routing::AllAtOnce;
        rollback.stop = None;
        // It goes back to the task set that is still there, so that what was green is now the one to replace.
        (rollback.blue, rollback.green) = (one.green.clone(), one.blue.clone());
        (rollback.route.blue, rollback.route.green) = (one.route.green.clone(), one.route.blue.clone());
        rollback.weight = 100 - one.weight;
        // The failed task set is not kept for a look.
        if let Some(options) = rollback.settings.get_mut("blueGreenDeploymentConfiguration") {
            options["terminateBlueInstancesOnDeploymentSuccess"] = json!({"action": "TERMINATE"});
        }
        Some(rollback)
    }
}

/// A hook that somebody else has ended badly meanwhile.
fn reported(one: &Deployment) -> Option<Failure> {
    let failed = one.events.iter().find(|event| event.status == "Failed")?;
    Some(Failure {
        status: "Failed",
        code: Some("HOOK_EXECUTION_FAILURE"),
        message: format!("The {} lifecycle event hook reported a failure", failed.name),
        rolls_back: one.rolls_back_on.contains("DEPLOYMENT_FAILURE"),
    })
}

/// A member of the blue/green configuration.
fn at<'a>(settings: &'a Input, path: &[&str; 2]) -> Option<&'a Value> {
    settings.get("blueGreenDeploymentConfiguration")?.get(path[0])?.get(path[1])
}

/// Whether traffic only shifts when somebody says so.
fn asks_first(settings: &Input) -> bool {
    at(settings, &["deploymentReadyOption", "actionOnTimeout"]).and_then(Value::as_str)
        == Some("STOP_DEPLOYMENT")
}

fn missing_definition(arn: &str) -> (&'static str, String) {
    ("INVALID_REVISION", format!("The task definition {arn} does not exist"))
}
