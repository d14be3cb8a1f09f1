//! Tasks that no service starts (Amazon ECS API reference, `RunTask`; developer guide, "Ensuring idempotency"). How they
//! live is in `rollout::runs`, how they are read and stopped in `tasks`.

use serde_json::{Value, json};

use super::tasks::{Container, Task};
use super::{TaskDefinition, client_error};
use crate::world::ids;
use crate::world::input::{Input, Tags, count, flag, invalid, last_part, list, optional, tags_of, text};
use crate::world::{Answer, AwsError, World};

/// A token is good for so long at most, and for so long after the last of its tasks has stopped.
const TOKENS_STAY: u64 = 24 * 3600;
const TOKENS_OUTLIVE: u64 = 3600;
/// "failures over an hour old only include the number of failed tasks".
const FAILURES_TELL: u64 = 3600;
/// Seconds until a new task is in any list: chosen ("eventual consistency", Amazon ECS API reference, `RunTask`).
const APPEARS_AFTER: u64 = 2;
const MOST_OF_A_CALL: u64 = 10;
const LONGEST_TOKEN: usize = 64;
const LONGEST_STARTED_BY: usize = 128;

/// A task that `RunTask` has started, and what it was started with.
#[derive(Clone, Debug)]
pub(in crate::world) struct Run {
    pub cluster: String,
    pub task: Task,
    pub group: String,
    pub launch_type: Option<String>,
    pub provider: Option<String>,
    pub platform: Option<String>,
    pub overrides: Value,
    pub network: Input,
    pub appears_at: u64,
}

impl Run {
    pub fn is_fargate(&self) -> bool {
        let provided = self.provider.as_deref().is_some_and(|name| name.starts_with("FARGATE"));
        provided || self.launch_type.as_deref() == Some("FARGATE")
    }
}

/// What a `clientToken` stands for in its cluster.
#[derive(Clone, Debug)]
pub(in crate::world) struct RunToken {
    cluster: String,
    token: String,
    /// Everything else that was sent.
    parameters: Input,
    tasks: Vec<String>,
    failures: Vec<Value>,
    created_at: u64,
}

/// What a container does in a task that no service started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// It ends by itself with this code, so many seconds after it has begun.
    Ends { exit_code: i64, after_seconds: u64 },
    /// It goes on until its task stops.
    Stays,
}

/// Of a container of which nothing else was said: chosen.
pub(in crate::world) const USUAL_PROGRAM: Program = Program::Ends { exit_code: 0, after_seconds: 20 };

/// Where the tasks of one call run.
struct Place {
    launch_type: Option<String>,
    provider: Option<String>,
}

impl World {
    pub(super) fn run_task(&mut self, input: &Input) -> Answer {
        let cluster = self.cluster(input)?;
        let token = client_token(input)?;
        let parameters = parameters(input);
        if let Some(known) = token.and_then(|token| self.live_token(&cluster, token)) {
            return self.replay(known, &parameters);
        }
        let starts = starts(input)?;
        let definition = self.usable_definition(text(input, "taskDefinition")?)?.clone();
        let run = self.first_of(&cluster, &definition, input)?;
        let mut tasks = Vec::new();
        let mut failures = Vec::new();
        match self.faults.takes_capacity() {
            Some(reason) => failures = (0..starts).map(|_| json!({"reason": reason})).collect(),
            None => {
                for _ in 0..starts {
                    tasks.push(self.start_run(&run));
                }
            }
        }
        if let Some(token) = token {
            self.run_tokens.push(RunToken {
                cluster,
                token: token.to_owned(),
                parameters,
                tasks: tasks.clone(),
                failures: failures.clone(),
                created_at: self.now,
            });
        }
        let described: Vec<Value> = tasks.iter().filter_map(|arn| self.describe_run(arn)).collect();
        Ok(json!({"tasks": described, "failures": failures}))
    }

    /// The run of which every task of the call is a copy, or why there can be none.
    fn first_of(&self, cluster: &str, definition: &TaskDefinition, input: &Input) -> Result<Run, AwsError> {
        let place = self.place(cluster, input)?;
        let network = input.get("networkConfiguration").and_then(Value::as_object);
        let started_by = optional(input, "startedBy")?.unwrap_or_default();
        if started_by.chars().count() > LONGEST_STARTED_BY {
            return Err(invalid(format!("startedBy cannot be longer than {LONGEST_STARTED_BY} characters.")));
        }
        let run = Run {
            cluster: cluster.to_owned(),
            task: Task::new(started_by, definition, tags_of_run(cluster, definition, input)?, self.now),
            group: group(definition, input)?,
            launch_type: place.launch_type,
            provider: place.provider,
            platform: optional(input, "platformVersion")?.map(str::to_owned),
            overrides: overrides(definition, input)?,
            network: network.map(settings).unwrap_or_default(),
            appears_at: self.now + APPEARS_AFTER,
        };
        check_fit(definition, &run, network)?;
        Ok(run)
    }

    fn place(&self, cluster: &str, input: &Input) -> Result<Place, AwsError> {
        let launch_type = super::services::launch_type_filter(input)?.map(str::to_owned);
        let sent = list(input, "capacityProviderStrategy").next().is_some();
        if launch_type.is_some() && sent {
            return Err(invalid(
                "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
            ));
        }
        if launch_type.is_some() {
            return Ok(Place { launch_type, provider: None });
        }
        let known = self.clusters.get(cluster);
        let strategy: Vec<&Value> = if sent {
            list(input, "capacityProviderStrategy").collect()
        } else {
            known.map(|known| known.default_strategy().collect()).unwrap_or_default()
        };
        let name = |one: &Value| one.get("capacityProvider").and_then(Value::as_str).map(str::to_owned);
        let names: Vec<String> = strategy.into_iter().filter_map(name).collect();
        if names.iter().any(|name| !known.is_some_and(|known| known.has_provider(name))) {
            return Err(invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.",
            ));
        }
        let provider = names.into_iter().next();
        // Only EC2 is left where nothing is said, neither in the call nor by the cluster.
        let launch_type = match &provider {
            Some(name) if name.starts_with("FARGATE") => Some("FARGATE".to_owned()),
            Some(_) => None,
            None => Some("EC2".to_owned()),
        };
        Ok(Place { launch_type, provider })
    }

    fn start_run(&mut self, like: &Run) -> String {
        let number = self.id();
        let arn = self.arn("ecs", &format!("task/{}/{}", like.cluster, ids::hexadecimal(number)));
        let mut run = like.clone();
        run.task.arn.clone_from(&arn);
        run.task.delay = ids::delay(self.seed, number);
        self.runs.push(run);
        self.runs_started += 1;
        arn
    }

    fn describe_run(&self, arn: &str) -> Option<Value> {
        let found = self.started_tasks().find(|one| one.task.arn == arn)?;
        Some(self.describe_task(&found, true))
    }

    fn live_token(&self, cluster: &str, token: &str) -> Option<&RunToken> {
        let known = self.run_tokens.iter().find(|known| known.cluster == cluster && known.token == token)?;
        (self.token_ends(known) > self.now).then_some(known)
    }

    /// "The lower of 24 hours and the lifetime of the task plus one hour"; of several tasks the last one counts.
    fn token_ends(&self, token: &RunToken) -> u64 {
        let stops = token.tasks.iter().map(|arn| {
            let task = self.runs.iter().find(|run| run.task.arn == *arn).map(|run| &run.task);
            // One that is no longer told of has been stopped for longer than its token lives.
            task.map_or(0, |task| task.stopped_at.unwrap_or(u64::MAX))
        });
        let last = stops.max().unwrap_or(u64::MAX);
        last.saturating_add(TOKENS_OUTLIVE).min(token.created_at + TOKENS_STAY)
    }

    /// The original result for the same parameters, also where it was a failure.
    fn replay(&self, known: &RunToken, parameters: &Input) -> Answer {
        if known.parameters != *parameters {
            return Err(AwsError::client(
                "ConflictException",
                "The RunTask request could not be processed due to conflicts. The provided clientToken is already in use with a different RunTask request.",
            )
            .about(known.tasks.clone()));
        }
        let tells = known.created_at + FAILURES_TELL > self.now;
        let failures = known.failures.iter().map(|one| if tells { one.clone() } else { json!({}) });
        let tasks = known.tasks.iter().filter_map(|arn| self.replayed(arn));
        Ok(json!({"tasks": tasks.collect::<Vec<_>>(), "failures": failures.collect::<Vec<_>>()}))
    }

    /// Of a task that has stopped only who it is and where it stands.
    fn replayed(&self, arn: &str) -> Option<Value> {
        let described = self.describe_run(arn)?;
        if described["lastStatus"] != "STOPPED" {
            return Some(described);
        }
        let kept = ["taskArn", "lastStatus", "desiredStatus"];
        Some(kept.iter().map(|key| ((*key).to_owned(), described[*key].clone())).collect())
    }

    /// What AWS no longer tells of tasks that have stopped, and tokens that are good for nothing.
    pub(in crate::world) fn forget_runs(&mut self, visible: impl Fn(u64) -> bool) {
        let ends: Vec<u64> = self.run_tokens.iter().map(|token| self.token_ends(token)).collect();
        let now = self.now;
        let mut ends = ends.into_iter();
        self.run_tokens.retain(|_| ends.next().is_some_and(|end| end > now));
        self.runs.retain(|run| run.task.stopped_at.is_none_or(&visible));
    }
}

/// "An error will be received if you specify the SERVICE option when running a task" (`propagateTags`).
fn tags_of_run(cluster: &str, definition: &TaskDefinition, input: &Input) -> Result<Tags, AwsError> {
    let mut tags = match optional(input, "propagateTags")? {
        Some("TASK_DEFINITION") => definition.tags.clone(),
        None | Some("NONE") => Tags::new(),
        _ => return Err(invalid("Invalid value for propagateTags.")),
    };
    tags.extend(tags_of(input)?);
    if flag(input, "enableECSManagedTags") {
        tags.insert("aws:ecs:clusterName".to_owned(), cluster.to_owned());
    }
    Ok(tags)
}

fn client_token(input: &Input) -> Result<Option<&str>, AwsError> {
    let token = optional(input, "clientToken")?;
    let fits = |token: &str| {
        (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match token {
        Some(token) if !fits(token) => Err(invalid(format!(
            "clientToken must have from 1 to {LONGEST_TOKEN} characters of the ASCII codes 33 to 126."
        ))),
        token => Ok(token),
    }
}

/// What must be the same where a token is.
fn parameters(input: &Input) -> Input {
    let mut parameters = input.clone();
    parameters.shift_remove("clientToken");
    parameters.shift_remove("cluster");
    parameters.retain(|_, value| !value.is_null());
    parameters
}

fn starts(input: &Input) -> Result<u64, AwsError> {
    match count(input, "count")?.unwrap_or(1) {
        starts @ 1..=MOST_OF_A_CALL => Ok(starts),
        _ => Err(invalid(format!("count must be between 1 and {MOST_OF_A_CALL}."))),
    }
}

/// Names that begin so are AWS's own.
fn group(definition: &TaskDefinition, input: &Input) -> Result<String, AwsError> {
    let family = last_part(&definition.arn).split(':').next().unwrap_or_default();
    match optional(input, "group")? {
        None => Ok(format!("family:{family}")),
        Some(name) if name.starts_with("family:") || name.starts_with("service:") => {
            Err(invalid("The group cannot begin with family: or service:."))
        }
        Some(name) => Ok(name.to_owned()),
    }
}

/// As it is described: with both lists.
fn overrides(definition: &TaskDefinition, input: &Input) -> Result<Value, AwsError> {
    let mut overrides = input.get("overrides").filter(|sent| sent.is_object()).cloned().unwrap_or(json!({}));
    let sent: Vec<Value> = overrides["containerOverrides"].as_array().cloned().unwrap_or_default();
    for one in &sent {
        let name = one["name"].as_str().unwrap_or_default();
        let mut names = definition.containers().filter_map(|known| known.get("name")?.as_str());
        if !names.any(|known| known == name) {
            return Err(invalid(format!(
                "Override for container named {name} is not a container in the TaskDefinition."
            )));
        }
    }
    overrides["containerOverrides"] = Value::Array(sent);
    if overrides["inferenceAcceleratorOverrides"].is_null() {
        overrides["inferenceAcceleratorOverrides"] = json!([]);
    }
    Ok(overrides)
}

fn settings(network: &Input) -> Input {
    [("networkConfiguration".to_owned(), Value::Object(network.clone()))].into_iter().collect()
}

/// The texts are those of services, which clients report of both.
fn check_fit(definition: &TaskDefinition, run: &Run, network: Option<&Input>) -> Result<(), AwsError> {
    if run.is_fargate() && !definition.runs_on_fargate() {
        return Err(invalid("Task definition does not support launch_type FARGATE."));
    }
    if run.platform.is_some() && !run.is_fargate() {
        return Err(client_error("The platform version must be null when specifying an EC2 launch type."));
    }
    match (definition.network_mode() == Some("awsvpc"), network) {
        (true, None) => {
            Err(invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified."))
        }
        (false, Some(_)) => Err(invalid(
            "Network Configuration is not valid for the given networkMode of this task definition.",
        )),
        _ => Ok(()),
    }
}

impl Container {
    /// What it does in a run of this world.
    pub(in crate::world) fn program(&self, programs: &super::Programs) -> Program {
        programs.get(&self.name).copied().unwrap_or(USUAL_PROGRAM)
    }
}
