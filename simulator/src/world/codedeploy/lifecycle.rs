//! How a deployment goes on, one second at a time (`CodeDeploy` user guide: "`AppSpec` 'hooks' section", "List of
//! lifecycle event hooks for an Amazon ECS deployment"). What `Install` does is in `install`, how it ends in `ending`.

use serde_json::{Value, json};

use super::{AppSpec, Deployment, Event, Failure, Wait};
use crate::faults::Hook;
use crate::world::World;
use crate::world::input::Input;

/// In the order of the user guide.
const EVENTS: [&str; 8] = [
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
];
/// Those that are there with a test listener only: the answer to `GetDeploymentTarget` in the tutorial of the ECS guide,
/// "Creating a service using a blue/green deployment", has six events.
const WITH_TEST_LISTENER: [&str; 2] = ["AllowTestTraffic", "AfterAllowTestTraffic"];
/// The ready wait comes before it: traffic shifts from here on.
const FIRST_AFTER_READY_WAIT: &str = "BeforeAllowTraffic";
/// Seconds until a deployment that was created is in progress, and that a function takes to answer. AWS gives no
/// figures.
const CREATED: u64 = 2;
const FUNCTION: u64 = 4;
/// "A lifecycle event can run at most 3600 seconds" (`CodeDeploy` user guide, "Quotas").
pub(super) const LONGEST_EVENT: u64 = 3600;
const MINUTE: u64 = 60;
/// The texts of failures are those of the user guide, "Troubleshoot Amazon ECS deployment issues". Which codes come
/// with what took too long is published for none of them.
const FUNCTION_FAILED: &str =
    "The deployment failed because one or more of the lifecycle event validation functions failed.";
const FUNCTION_SILENT: &str = "The deployment timed out while waiting for a status callback. CodeDeploy expects a status callback within one hour after a deployment hook is invoked.";

/// Why an event fails: the code of the error and its text.
pub(super) type Reason = (&'static str, String);

impl Event {
    fn pending(name: &'static str) -> Self {
        Self { name, status: "Pending", started_at: None, ended_at: None, failure: None }
    }

    fn begin(&mut self, now: u64) {
        self.status = "InProgress";
        self.started_at = Some(now);
    }

    fn end(&mut self, status: &'static str, now: u64) {
        self.status = status;
        self.ended_at = Some(now);
    }

    /// When a deployment ends badly, what goes on has failed; what never began is skipped and has no times.
    pub fn cut_short(&mut self, now: u64) {
        match self.status {
            "InProgress" => self.end("Failed", now),
            "Pending" => self.status = "Skipped",
            _ => {}
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.status, "Succeeded" | "Skipped" | "Failed")
    }
}

impl Deployment {
    /// The events that it will go through.
    pub fn schedule(&mut self) {
        let has_test_listener = self.route.test.is_some();
        let names = EVENTS.iter().filter(|name| has_test_listener || !WITH_TEST_LISTENER.contains(name));
        self.events = names.map(|name| Event::pending(name)).collect();
    }

    fn failure(&self, (code, message): Reason) -> Failure {
        let rolls_back = self.rolls_back_on.contains("DEPLOYMENT_FAILURE");
        Failure { status: "Failed", code, message, rolls_back }
    }

    /// Whether traffic only shifts when somebody says so.
    fn asks_first(&self) -> bool {
        let action = at(&self.settings, ["deploymentReadyOption", "actionOnTimeout"]);
        !self.is_rollback() && action.and_then(Value::as_str) == Some("STOP_DEPLOYMENT")
    }

    /// Whether the old tasks end when their wait is over.
    pub fn terminates(&self) -> bool {
        let action = at(&self.settings, ["terminateBlueInstancesOnDeploymentSuccess", "action"]);
        action.and_then(Value::as_str) != Some("KEEP_ALIVE")
    }

    /// A hook that somebody else has ended badly meanwhile.
    fn reported(&self) -> Option<Failure> {
        let failed = self.events.iter().any(|event| event.status == "Failed");
        failed.then(|| self.failure(("HOOK_EXECUTION_FAILURE", FUNCTION_FAILED.to_owned())))
    }
}

impl World {
    /// One second of all deployments; whether any is under way.
    pub(in crate::world) fn tick_deployments(&mut self) -> bool {
        let active = self.code_deploy.deployments.values().filter(|one| one.is_active());
        let ids: Vec<String> = active.map(|one| one.id.clone()).collect();
        for id in &ids {
            // Taken out while it goes on: it changes the rest of the world.
            let Some(mut deployment) = self.code_deploy.deployments.remove(id) else { continue };
            let failure = self.go_on(&mut deployment);
            let rollback = failure.and_then(|failure| self.fail(&mut deployment, failure));
            self.code_deploy.deployments.insert(id.clone(), deployment);
            if let Some(rollback) = rollback {
                self.add_deployment(rollback);
            }
        }
        !ids.is_empty()
    }

    /// One second of one deployment; why it fails, if it does.
    fn go_on(&mut self, one: &mut Deployment) -> Option<Failure> {
        if let Some(failure) = one.stop.clone().or_else(|| self.alarm(one)) {
            return Some(failure);
        }
        if one.status == "Created" {
            return self.start(one);
        }
        match one.wait {
            Wait::None => self.go_on_with_events(one),
            Wait::Ready(since) => self.time_is_up(one, since),
            Wait::Termination(since) => {
                let path = ["terminateBlueInstancesOnDeploymentSuccess", "terminationWaitTimeInMinutes"];
                if !one.terminates() || self.now >= since + minutes(&one.settings, path) * MINUTE {
                    self.succeed(one);
                }
                None
            }
            Wait::Over => {
                self.succeed(one);
                None
            }
        }
    }

    fn alarm(&self, one: &Deployment) -> Option<Failure> {
        let watched = one.settings.get("alarmConfiguration")?;
        if watched.get("enabled") != Some(&json!(true)) || one.is_rollback() {
            return None;
        }
        let names = watched.get("alarms").and_then(Value::as_array).into_iter().flatten();
        let names = names.filter_map(|alarm| alarm.get("name")?.as_str());
        let active: Vec<String> =
            names.filter(|name| self.alarms.active.contains(*name)).map(|name| format!("<{name}>")).collect();
        (!active.is_empty()).then(|| Failure {
            status: "Stopped",
            code: "ALARM_ACTIVE",
            message: format!("One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected deployments have been stopped. Activated alarms: {}", active.join(" ")),
            rolls_back: one.rolls_back_on.contains("DEPLOYMENT_STOP_ON_ALARM"),
        })
    }

    /// What is wrong with an `AppSpec` is only found out here: the call that brings it takes any text (aws/aws-cli,
    /// issue 6267).
    fn start(&self, one: &mut Deployment) -> Option<Failure> {
        if self.now < one.created_at + CREATED {
            return None;
        }
        one.status = "InProgress";
        one.started_at = Some(self.now);
        match one.content.as_deref().map(AppSpec::parse).transpose() {
            Ok(spec) => {
                one.spec = spec.unwrap_or_default();
                None
            }
            Err(why) => Some(one.failure(("INVALID_REVISION", why))),
        }
    }

    fn go_on_with_events(&mut self, one: &mut Deployment) -> Option<Failure> {
        if let Some(failure) = one.reported() {
            return Some(failure);
        }
        let asks_first = one.asks_first();
        let Some(index) = one.events.iter().position(|event| !event.is_over()) else {
            one.wait = Wait::Termination(self.now);
            one.termination_wait_started = one.terminates();
            return None;
        };
        let event = one.events.get_mut(index)?;
        if event.status == "Pending" && event.name == FIRST_AFTER_READY_WAIT && asks_first {
            one.wait = Wait::Ready(self.now);
            one.status = "Ready";
            return None;
        }
        if event.status == "Pending" {
            event.begin(self.now);
        }
        let (name, age) = (event.name, self.now - event.started_at.unwrap_or(self.now));
        let outcome = self.run(one, name, age);
        let event = one.events.get_mut(index)?;
        match outcome {
            Ok(Outcome::GoesOn) => None,
            Ok(Outcome::Done) => {
                event.end("Succeeded", self.now);
                None
            }
            Err(reason) => {
                event.end("Failed", self.now);
                let diagnosis = match reason.1.as_str() {
                    FUNCTION_FAILED => "ScriptFailed",
                    FUNCTION_SILENT => "ScriptTimedOut",
                    _ => "UnknownError",
                };
                event.failure = Some((diagnosis, reason.1.clone()));
                Some(one.failure(reason))
            }
        }
    }

    /// "If traffic rerouting is not started before the end of the specified wait period, the deployment status is
    /// changed to Stopped" (`DeploymentReadyOption`).
    fn time_is_up(&self, one: &Deployment, since: u64) -> Option<Failure> {
        let minutes = minutes(&one.settings, ["deploymentReadyOption", "waitTimeInMinutes"]);
        (self.now >= since + minutes * MINUTE).then(|| Failure {
            status: "Stopped",
            code: "TIMEOUT",
            message: format!("The deployment timed out while waiting for a notification to continue. This time out period is {minutes} minutes."),
            rolls_back: !one.rolls_back_on.is_empty(),
        })
    }

    /// One second of an event that is in progress.
    fn run(&mut self, one: &mut Deployment, event: &str, age: u64) -> Result<Outcome, Reason> {
        match event {
            "Install" => self.install(one, age),
            "AllowTestTraffic" => {
                if let Some(test) = &one.route.test {
                    self.shift(test, &one.route.blue, &one.route.green, 100);
                }
                Ok(Outcome::Done)
            }
            "AllowTraffic" => Ok(self.allow_traffic(one, age)),
            _ => self.run_hook(one, event, age),
        }
    }

    fn run_hook(&self, one: &Deployment, event: &str, age: u64) -> Result<Outcome, Reason> {
        let Some(function) = one.spec.hook(event) else { return Ok(Outcome::Done) };
        let failure = |why: &str| Err(("HOOK_EXECUTION_FAILURE", why.to_owned()));
        match self.faults.hook(function) {
            Some(Hook::Fails) if age >= FUNCTION => failure(FUNCTION_FAILED),
            Some(Hook::Silent) if age >= LONGEST_EVENT => failure(FUNCTION_SILENT),
            None if age >= FUNCTION => Ok(Outcome::Done),
            _ => Ok(Outcome::GoesOn),
        }
    }

    fn allow_traffic(&mut self, one: &mut Deployment, age: u64) -> Outcome {
        let weight = one.routing.weight(age);
        if weight != one.weight {
            one.weight = weight;
            self.shift(&one.route.production, &one.route.blue, &one.route.green, weight);
        }
        match &one.green {
            Some(green) if weight == 100 => {
                self.make_primary_set(&one.service, green);
                Outcome::Done
            }
            _ => Outcome::GoesOn,
        }
    }

    pub(super) fn end_ready_wait(&mut self, id: &str) {
        let now = self.now;
        let Some(one) = self.code_deploy.deployments.get_mut(id) else { return };
        one.wait = Wait::None;
        one.status = "InProgress";
        if let Some(next) = one.events.iter_mut().find(|event| event.name == FIRST_AFTER_READY_WAIT) {
            next.begin(now);
        }
    }
}

/// Whether an event that has not failed is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    GoesOn,
    Done,
}

/// A member of the blue/green configuration.
fn at<'a>(settings: &'a Input, [part, member]: [&str; 2]) -> Option<&'a Value> {
    settings.get("blueGreenDeploymentConfiguration")?.get(part)?.get(member)
}

fn minutes(settings: &Input, path: [&str; 2]) -> u64 {
    at(settings, path).and_then(Value::as_u64).unwrap_or_default()
}
