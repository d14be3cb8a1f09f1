//! Fields of the service that are owned too, and what they say of the task definition's containers.

use serde_json::Value;

use super::Resolver;
use crate::documents::{containers, service_settings};
use crate::manifest::app_spec;
use crate::manifest::leftovers::placeholders_in;
use crate::manifest::names;
use crate::manifest::service_settings as rules;
use crate::manifest::task_definition;
use crate::model::{Complaint, Position, Shape, ShapeComplaint, Spot, Strategy};
use crate::text::fields::{entries, unknown_keys};
use crate::text::nearest::suggestion;
use crate::text::report::{self, Report};
use crate::text::tree::{Key, Kind, Node, Place};

const COUNT: &str = "desiredCount";
const LEFT: &str =
    "it is left to whoever made the service; docs/infrastructure-repo.md lists what can be owned";

impl Resolver<'_, '_, '_> {
    /// Members of `UpdateService`, by their AWS names. What AWS's model does not have there would have no effect.
    pub(super) fn service_settings(&mut self, strategy: &Strategy) -> Option<Value> {
        let of_the_deployment: &[&str] = match strategy {
            Strategy::CodeDeploy(_) => &service_settings::OF_THE_DEPLOYMENT,
            Strategy::Rolling | Strategy::Native(_) | Strategy::Unspecified => &[],
        };
        let found = self.merged.get("serviceSettings")?;
        let check_shape = self.repository.check_shape;
        self.read(&found, |node, path, report| {
            let entries = entries(node, path, report)?;
            let settings = node.to_json();
            let misfits = check_shape(Shape::ServiceSettings, &without_count(&settings));
            not_to_be_owned(entries, &misfits, path, report);
            for (key, _) in entries.iter().filter(|(key, _)| of_the_deployment.contains(&key.text.as_str())) {
                let message =
                    format!("`{}` of a service that CodeDeploy deploys cannot be set here", key.text);
                report.error(key, &format!("{path}.{}", key.text), message).hint =
                    Some("network, platform version and capacity providers go into the AppSpec".to_owned());
            }
            if let Strategy::CodeDeploy(_) = strategy {
                tell(rules::beside_code_deploy(&settings), node, path, report);
            }
            if let Strategy::Native(native) = strategy
                && !native.is_inherited()
            {
                two_owners(entries, native.pattern.word(), path, report);
            }
            native_strategy(node, path, report);
            check_count(node, path, report);
            names::check_service_settings(node, path, report);
            // What cannot be a name, or is told by a rule, has no other fault.
            tell(rules::complaints(&settings), node, path, report);
            let misfit = |misfit| task_definition::misfit(misfit, &settings, "`serviceSettings` itself");
            tell(misfits.into_iter().map(misfit).collect(), node, path, report);
            Some(settings)
        })
    }

    pub(super) fn count_declared_at(&self) -> Option<Position> {
        let settings = self.merged.get("serviceSettings")?;
        Some(report::position(settings.file, settings.node.get(COUNT)?))
    }

    /// Container and port that traffic goes to, in the `AppSpec` and in `serviceSettings`, are in the task definition.
    pub(super) fn check_targets(&mut self, task_definition: &str, input: &Value) {
        let mut complaints: Vec<(String, Place, Complaint)> = Vec::new();
        if let Some((file, spec)) = &self.app_spec
            && let Some((container, port)) = app_spec::load_balancer(spec)
        {
            let at = ["ContainerName", "ContainerPort"];
            let found = missing(task_definition, input, (container, port), at);
            complaints.extend(found.map(|(place, complaint)| ((*file).to_owned(), place, complaint)));
        }
        for key in ["loadBalancers", "serviceRegistries"] {
            let Some(found) = self.merged.get("serviceSettings") else { continue };
            let Some(Node { kind: Kind::List(items), .. }) = found.node.get(key) else { continue };
            for item in items {
                let (Some(container), Some(port)) = (item.get("containerName"), item.get("containerPort"))
                else {
                    continue;
                };
                let at = [format!("{}.{key}", found.path), format!("{}.{key}", found.path)];
                let missing = missing(task_definition, input, (container, port), [&at[0], &at[1]]);
                complaints
                    .extend(missing.map(|(place, complaint)| (found.file.to_owned(), place, complaint)));
            }
        }
        complaints.extend(self.missing_in_traffic(task_definition, input));
        complaints.extend(self.missing_volumes(task_definition, input));
        for (file, place, complaint) in complaints {
            self.add(&file, place, &complaint);
        }
    }
}

impl Resolver<'_, '_, '_> {
    /// Containers and ports of a native strategy that are not in the task definition.
    fn missing_in_traffic(&self, task_definition: &str, input: &Value) -> Vec<(String, Place, Complaint)> {
        let Some(strategy) = self.merged.get("strategy") else { return Vec::new() };
        let Kind::Map(entries) = &strategy.node.kind else { return Vec::new() };
        let [(word, settings)] = entries.as_slice() else { return Vec::new() };
        let path = format!("{}.{}.traffic", strategy.path, word.text);
        let Some(Node { kind: Kind::List(items), .. }) = settings.get("traffic") else { return Vec::new() };
        let pairs = items.iter().filter_map(|item| Some((item.get("container")?, item.get("port")?)));
        let missing = pairs.filter_map(|pair| missing(task_definition, input, pair, [&path, &path]));
        missing.map(|(place, complaint)| (strategy.file.to_owned(), place, complaint)).collect()
    }

    /// Volumes that are configured and not in the task definition.
    fn missing_volumes(&self, task_definition: &str, input: &Value) -> Vec<(String, Place, Complaint)> {
        let Some(found) = self.merged.get("serviceSettings") else { return Vec::new() };
        let Some(Node { kind: Kind::List(items), .. }) = found.node.get("volumeConfigurations") else {
            return Vec::new();
        };
        let volumes = input.get("volumes").and_then(Value::as_array).into_iter().flatten();
        let volumes: Vec<&str> = volumes.filter_map(|volume| volume.get("name")?.as_str()).collect();
        let named = items.iter().filter_map(|item| item.get("name"));
        named
            .filter_map(|node| match &node.kind {
                Kind::Scalar { text, .. }
                    if placeholders_in(text).is_empty() && !volumes.contains(&text.as_str()) =>
                {
                    let message = format!("{task_definition} has no volume `{}`", names::repeated(text));
                    let hint = suggestion(text, &volumes).unwrap_or_else(|| {
                        "declare it under `volumes`, with `configuredAtLaunch: true`".to_owned()
                    });
                    let path = format!("{}.volumeConfigurations", found.path);
                    Some((found.file.to_owned(), node.place, Complaint::error(path, message).hint(hint)))
                }
                _ => None,
            })
            .collect()
    }
}

/// The count may be bounds, which are trueup's own.
fn without_count(settings: &Value) -> Value {
    let members = settings.as_object().into_iter().flatten().filter(|(key, _)| *key != COUNT);
    Value::Object(members.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Members that have no effect here: those that AWS does not know, and those of `CreateService` and `UpdateService` that are
/// not owned.
fn not_to_be_owned(entries: &[(Key, Node)], misfits: &[ShapeComplaint], path: &str, report: &mut Report<'_>) {
    let known = &service_settings::KEYS;
    for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
        let is_of_aws = !misfits.iter().any(|misfit| misfit.path == key.text);
        let message = if is_of_aws { "cannot be set here" } else { "is no field of `UpdateService`" };
        let near = suggestion(&key.text, known).filter(|_| !is_of_aws);
        let hint = near.unwrap_or_else(|| LEFT.to_owned());
        report.error(key, &format!("{path}.{}", key.text), format!("`{}` {message}", key.text)).hint =
            Some(hint);
    }
}

/// Of what stands at one place only the first is told.
pub(super) fn tell(complaints: Vec<Complaint>, settings: &Node, path: &str, report: &mut Report<'_>) {
    let told: Vec<Position> = report.findings.iter().map(|finding| finding.position.clone()).collect();
    for complaint in complaints {
        let place = place(settings, &complaint);
        if !told.iter().any(|at| (at.line, at.column) == (place.line, place.column)) {
            let path = format!("{path}.{}", complaint.path);
            report.add(complaint.severity, place, &path, complaint.message).hint = complaint.hint;
        }
    }
}

/// Where a complaint about a value of the settings belongs.
fn place(settings: &Node, complaint: &Complaint) -> Place {
    match settings.entry_at(&complaint.path) {
        Some((Some(key), _)) if complaint.spot == Spot::Key => key.place,
        Some((_, node)) => node.place,
        None => settings.at_path(&complaint.path).place,
    }
}

/// Members that a declared native strategy writes as a whole.
const OF_NATIVE_STRATEGIES: [&str; 2] = ["deploymentConfiguration", "loadBalancers"];

fn two_owners(entries: &[(Key, Node)], strategy: &str, path: &str, report: &mut Report<'_>) {
    for (key, _) in entries.iter().filter(|(key, _)| OF_NATIVE_STRATEGIES.contains(&key.text.as_str())) {
        let message = format!("`{}` is what `strategy` declares here", key.text);
        report.error(key, &format!("{path}.{}", key.text), message).hint =
            Some(format!("declare it in one place: under `strategy.{strategy}`"));
    }
}

/// A native strategy is declared where its settings are checked.
fn native_strategy(settings: &Node, path: &str, report: &mut Report<'_>) {
    let strategy = settings.get("deploymentConfiguration").and_then(|node| node.get("strategy"));
    let Some(node) = strategy.filter(|node| !node.is_null() && !node.is_text("ROLLING")) else { return };
    let Kind::Scalar { text, .. } = &node.kind else { return };
    let path = format!("{path}.deploymentConfiguration.strategy");
    let message = format!("strategy `{}` cannot be set here", names::repeated(text));
    report.error(node, &path, message).hint =
        Some("it belongs in `strategy`, as blueGreen, canary or linear".to_owned());
}

/// A count, or bounds of one.
fn check_count(settings: &Node, path: &str, report: &mut Report<'_>) {
    let Some(node) = settings.get(COUNT).filter(|node| !node.is_null()) else { return };
    let path = format!("{path}.{COUNT}");
    match &node.kind {
        Kind::Scalar { .. } => {
            tasks(node, &path, report);
        }
        Kind::Map(entries) => {
            unknown_keys(entries, &["min", "max"], &path, report);
            let mut bound = |key| tasks(node.get(key)?, &format!("{path}.{key}"), report);
            let (least, most) = (bound("min"), bound("max"));
            if let (Some(least), Some(most), Some(at)) = (least, most, node.get("max"))
                && least > most
            {
                let message = format!("`max` is {most}, which is less than `min`, {least}");
                report.error(at, &format!("{path}.max"), message);
            }
            if node.get("min").or(node.get("max")).is_none() {
                report.error(node, &path, "`min`, `max` or both are missing");
            }
        }
        Kind::List(_) => {
            let message = "expected a whole number, or a map with `min` and `max`, found a list";
            report.error(node, &path, message);
        }
    }
}

/// A number of tasks.
fn tasks(node: &Node, path: &str, report: &mut Report<'_>) -> Option<i32> {
    let number = node.to_json().as_i64().and_then(|number| i32::try_from(number).ok());
    let number = number.filter(|number| *number >= 0);
    if number.is_none() {
        let is_quoted = matches!(&node.kind, Kind::Scalar { text, .. } if text.parse::<u32>().is_ok());
        report.error(node, path, "expected a whole number of tasks").hint =
            is_quoted.then(|| "without quotes".to_owned());
    }
    number
}

/// What of a container and its port the task definition does not have.
fn missing(
    task_definition: &str,
    input: &Value,
    (container, port): (&Node, &Node),
    fields: [&str; 2],
) -> Option<(Place, Complaint)> {
    let (Kind::Scalar { text: name, .. }, Kind::Scalar { text: number, .. }) = (&container.kind, &port.kind)
    else {
        return None;
    };
    // What a placeholder stands for is not known, and told already.
    if !placeholders_in(name).is_empty() {
        return None;
    }
    let names: Vec<&str> = containers::images(input).map(|(name, _)| name).collect();
    if !names.contains(&name.as_str()) {
        let message = format!("{task_definition} has no container `{name}`");
        let hint = suggestion(name, &names).unwrap_or_else(|| format!("there is {}", names.join(", ")));
        return Some((container.place, Complaint::error(fields[0], message).hint(hint)));
    }
    let number: u64 = number.parse().ok()?;
    let ports = ports(input, name);
    if ports.iter().any(|(first, last)| (*first..=*last).contains(&number)) {
        return None;
    }
    let message = format!("container `{name}` in {task_definition} has no port {number}");
    let listed: Vec<String> = ports.iter().map(|(first, _)| first.to_string()).collect();
    let hint = if listed.is_empty() {
        "add it to its `portMappings`".to_owned()
    } else {
        format!("its `portMappings` have {}", listed.join(", "))
    };
    Some((port.place, Complaint::error(fields[1], message).hint(hint)))
}

/// First and last of each range of ports that the container has.
fn ports(input: &Value, container: &str) -> Vec<(u64, u64)> {
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let named = |definition: &&Value| definition.get("name").and_then(Value::as_str) == Some(container);
    let mappings =
        definitions.filter(named).filter_map(|definition| definition.get("portMappings")?.as_array());
    mappings
        .flatten()
        .filter_map(|mapping| {
            if let Some(port) = mapping.get("containerPort").and_then(Value::as_u64) {
                return Some((port, port));
            }
            let (first, last) = mapping.get("containerPortRange")?.as_str()?.split_once('-')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect()
}
