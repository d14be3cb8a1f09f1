//! Tasks that run once: `strategy: task`. What a task runs becomes part of its task definition, so that it is another one when
//! that changes; where it runs does not.

use std::sync::Arc;

use serde_json::{Value, json};

use super::environment::Environment;
use super::{Found, Resolver};
use crate::manifest::names::NameKind;
use crate::model::{OneShot, RunCapacity, RunNetwork, ServiceName, Severity, TaskDefinitionSource};
use crate::text::fields::{Fields, entries, some_items, text};
use crate::text::report::{self, Report};
use crate::text::tree::{Kind, Node};

/// Keys that have no effect where there is no service.
const OF_SERVICES: [&str; 3] = ["service", "serviceSettings", "environmentTag"];
/// What `capacity` may be beside capacity providers.
const LAUNCH_TYPES: [&str; 3] = ["FARGATE", "EC2", "EXTERNAL"];
const SPOT: &str = "FARGATE_SPOT";

/// A task, and what is laid over its containers.
pub(super) struct DeclaredTask {
    pub task: OneShot,
    /// Container and command, and container and variables.
    commands: Vec<(String, Vec<String>)>,
    variables: Vec<(String, Vec<(String, String)>)>,
}

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    /// Whether this strategy is declared, which no service has. Then it holds nothing that is a service's.
    pub(super) fn is_without_service(&mut self, strategy: &'static str, what: &str) -> bool {
        let is_declared = self.merged.get("strategy").is_some_and(|found| match &found.node.kind {
            Kind::Scalar { text, .. } => text == strategy,
            Kind::Map(entries) => matches!(entries.as_slice(), [(key, _)] if key.text == strategy),
            Kind::List(_) => false,
        });
        if !is_declared {
            return false;
        }
        for key in OF_SERVICES {
            let Some(other) = self.merged.get(key) else { continue };
            let message = format!("`{key}` has no effect on {what}");
            self.error(other.file, other.node, &other.path, message).hint =
                Some(format!("remove it, or the strategy `{strategy}`"));
        }
        true
    }

    /// What stands under the strategy.
    pub(super) fn settings_of(&self, strategy: &'static str) -> Option<Found<'d, 'f>> {
        self.merged.get("strategy")?.get(strategy).filter(|settings| !settings.node.is_null())
    }

    /// What is declared is a file: only then the family is its own.
    pub(super) fn own_task_definition<'s>(&mut self, source: &'s TaskDefinitionSource) -> Option<&'s Value> {
        if let TaskDefinitionSource::File { input, .. } = source {
            return Some(input);
        }
        let Found { node, file, path } = self.merged.get("strategy")?;
        self.error(file, node, &path, "a task needs a task definition of its own").hint =
            Some("name a file under `taskDefinition`".to_owned());
        None
    }
}

impl Resolver<'_, '_, '_> {
    /// `None` where the application is no task that runs once.
    pub(super) fn one_shot(&mut self) -> Option<DeclaredTask> {
        if !self.is_without_service("task", "a task") {
            return None;
        }
        let settings = self.settings_of("task");
        let environment = self.environment;
        let read = settings.map(|settings| {
            self.read(&settings, |node, path, report| declared_task(environment, node, path, report))
        });
        Some(read.unwrap_or_else(|| DeclaredTask {
            task: OneShot::default(),
            commands: Vec::new(),
            variables: Vec::new(),
        }))
    }

    /// Lays the command and the variables over the task definition, and holds what is declared against it.
    pub(super) fn lay_over_task_definition(
        &mut self,
        declared: &DeclaredTask,
        source: &mut TaskDefinitionSource,
    ) {
        let Some(found) = self.merged.get("strategy") else { return };
        // What is wrong with one that is written has been told.
        let has_network = found.get("task").is_some_and(|task| task.node.get("network").is_some());
        let Found { node, file, path } = found;
        if self.own_task_definition(source).is_none() {
            return;
        }
        let TaskDefinitionSource::File { input, .. } = source else { return };
        let input = Arc::make_mut(input);
        let mut missing = Vec::new();
        let names: Vec<String> = container_names(input).map(str::to_owned).collect();
        for (container, command) in &declared.commands {
            match container_of(input, container) {
                Some(definition) => definition["command"] = json!(command),
                None => missing.push(("command", container)),
            }
        }
        for (container, variables) in &declared.variables {
            match container_of(input, container) {
                Some(definition) => set_variables(definition, variables),
                None => missing.push(("environment", container)),
            }
        }
        let success = declared.task.success.iter().flatten();
        missing.extend(success.filter(|name| !names.contains(name)).map(|name| ("success", name)));
        for (key, container) in missing {
            let message = format!("the task definition has no container {container}");
            self.error(file, node, &format!("{path}.task.{key}"), message).hint =
                Some(format!("it has {}", names.join(", ")));
        }
        let is_awsvpc = input.get("networkMode").and_then(Value::as_str) == Some("awsvpc");
        match (&declared.task.network, is_awsvpc) {
            (RunNetwork::Unspecified, true) if !has_network => {
                self.error(file, node, &format!("{path}.task.network"), "`network` is missing").hint = Some(
                    "the network mode awsvpc needs one: {like: SERVICE}, or subnets and securityGroups"
                        .to_owned(),
                );
            }
            (RunNetwork::Declared(_), false) => {
                let message = "the task definition's network mode is not awsvpc, so that it takes no network";
                self.error(file, node, &format!("{path}.task.network"), message);
            }
            _ => {}
        }
    }

    pub(super) fn warn_of_spot(&mut self, declared: &DeclaredTask) {
        let RunCapacity::Providers(providers) = &declared.task.capacity else { return };
        let Some(found) = self.merged.get("strategy").filter(|_| providers.iter().any(|one| one == SPOT))
        else {
            return;
        };
        let message = "a task on Spot capacity may be interrupted half way, and has failed then";
        let path = format!("{}.task.capacity", found.path);
        self.findings.push(report::finding(Severity::Warning, found.file, found.node, &path, message));
    }
}

fn declared_task(
    environment: &Environment<'_, '_>,
    node: &Node,
    path: &str,
    report: &mut Report<'_>,
) -> DeclaredTask {
    let fill = |text: &str| environment.fill(text);
    let mut fields = Fields::of(node, path, report);
    let by_container = |key: &'static str, fields: &mut Fields<'_, '_, '_>| {
        fields.node(key).map(|node| (node.clone(), fields.path(key)))
    };
    let (commands, variables) =
        (by_container("command", &mut fields), by_container("environment", &mut fields));
    let network = fields.node("network").cloned().map(|node| (node, fields.path("network")));
    let capacity = fields.node("capacity").cloned().map(|node| (node, fields.path("capacity")));
    let timeout = fields.duration("timeout");
    let success = fields.names("success", NameKind::Container, &fill);
    fields.finish();
    let task = OneShot {
        network: network
            .map(|(node, path)| self::network(environment, &node, &path, report))
            .unwrap_or_default(),
        capacity: capacity.map(|(node, path)| self::capacity(&node, &path, report)).unwrap_or_default(),
        timeout,
        success: success.filter(|names| !names.is_empty()),
    };
    DeclaredTask {
        task,
        commands: commands.map(|(node, path)| words(&node, &path, report)).unwrap_or_default(),
        variables: variables.map(|(node, path)| self::variables(&node, &path, report)).unwrap_or_default(),
    }
}

/// A command for each container.
fn words(node: &Node, path: &str, report: &mut Report<'_>) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (key, node) in entries(node, path, report).unwrap_or_default() {
        let path = format!("{path}.{}", key.text);
        let words = some_items(node, &path, report).unwrap_or_default();
        found.push((key.text.clone(), words.iter().filter_map(|word| text(word, &path, report)).collect()));
    }
    found
}

/// Variables for each container.
fn variables(node: &Node, path: &str, report: &mut Report<'_>) -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    for (key, node) in entries(node, path, report).unwrap_or_default() {
        let path = format!("{path}.{}", key.text);
        let of_one = entries(node, &path, report).unwrap_or_default().iter();
        let of_one = of_one.filter_map(|(name, value)| {
            Some((name.text.clone(), text(value, &format!("{path}.{}", name.text), report)?))
        });
        found.push((key.text.clone(), of_one.collect()));
    }
    found
}

fn network(
    environment: &Environment<'_, '_>,
    node: &Node,
    path: &str,
    report: &mut Report<'_>,
) -> RunNetwork {
    let fill = |text: &str| environment.fill(text);
    let mut fields = Fields::of(node, path, report);
    let like = fields.name("like", NameKind::Service, &fill);
    let subnets = fields.node("subnets").cloned().map(|node| (node, fields.path("subnets")));
    let groups = fields.node("securityGroups").cloned().map(|node| (node, fields.path("securityGroups")));
    let public = fields.word("assignPublicIp", &[("ENABLED", "ENABLED"), ("DISABLED", "DISABLED")]);
    fields.finish();
    let mut ids = |found: Option<(Node, String)>| -> Vec<String> {
        let Some((node, path)) = found else { return Vec::new() };
        let items = some_items(&node, &path, report).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| text(item, &path, report).map(|text| environment.fill(&text)))
            .collect()
    };
    let (subnets, groups) = (ids(subnets), ids(groups));
    match (like, subnets.is_empty()) {
        (Some(name), true) if groups.is_empty() && public.is_none() => {
            RunNetwork::Like(ServiceName::new(name))
        }
        (Some(_), _) => {
            report.error(
                node,
                path,
                "`like` takes all of the network from a service: nothing stands beside it",
            );
            RunNetwork::Unspecified
        }
        (None, true) => {
            report.error(node, path, "expected `like`, or `subnets`");
            RunNetwork::Unspecified
        }
        (None, false) => {
            let mut network = json!({"subnets": subnets});
            if !groups.is_empty() {
                network["securityGroups"] = json!(groups);
            }
            if let Some(public) = public {
                network["assignPublicIp"] = json!(public);
            }
            RunNetwork::Declared(network)
        }
    }
}

fn capacity(node: &Node, path: &str, report: &mut Report<'_>) -> RunCapacity {
    match &node.kind {
        Kind::Scalar { text, .. } if LAUNCH_TYPES.contains(&text.as_str()) => {
            RunCapacity::LaunchType(text.clone())
        }
        Kind::Scalar { text, .. } if text == SPOT => RunCapacity::Providers(vec![text.clone()]),
        Kind::Map(_) => {
            let mut fields = Fields::of(node, path, report);
            let providers = fields.names("providers", NameKind::CapacityProvider, &str::to_owned);
            fields.finish();
            match providers.filter(|providers| !providers.is_empty()) {
                Some(providers) => RunCapacity::Providers(providers),
                None => {
                    report.error(node, path, "expected {providers: [NAME]}");
                    RunCapacity::Unspecified
                }
            }
        }
        _ => {
            report.error(node, path, "expected FARGATE, FARGATE_SPOT, EC2, EXTERNAL or {providers: [NAME]}");
            RunCapacity::Unspecified
        }
    }
}

pub(super) fn container_names(input: &Value) -> impl Iterator<Item = &str> {
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    definitions.filter_map(|one| one.get("name")?.as_str())
}

fn container_of<'v>(input: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let definitions = input.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    definitions.into_iter().flatten().find(|one| one.get("name").and_then(Value::as_str) == Some(name))
}

/// What is declared goes before what the file says under the same name.
fn set_variables(definition: &mut Value, variables: &[(String, String)]) {
    let mut all = definition.get("environment").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_declared = |one: &Value| {
        let name = one.get("name").and_then(Value::as_str);
        variables.iter().any(|(declared, _)| Some(declared.as_str()) == name)
    };
    all.retain(|one| !is_declared(one));
    all.extend(variables.iter().map(|(name, value)| json!({"name": name, "value": value})));
    definition["environment"] = Value::Array(all);
}
