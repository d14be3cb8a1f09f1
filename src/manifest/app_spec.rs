//! `AppSpec` files of `CodeDeploy` for ECS, as pipelines have them (`CodeDeploy` user guide, "`AppSpec` File
//! structure for Amazon ECS deployments"). Keys are found in any case, as AWS's own tools do; what is not checked here
//! is sent as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::leftovers;
use super::names::NameKind;
use crate::documents::{app_spec, placeholders};
use crate::model::{Complaint, Severity};
use crate::text::fields::kind;
use crate::text::nearest::suggestion;
use crate::text::report::Report;
use crate::text::tree::{Key, Kind, Node, Place};

const PARTS: [&str; 3] = ["version", "Resources", "Hooks"];
const HOOKS: [&str; 5] =
    ["BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"];
const PROPERTIES: [&str; 5] = [
    "TaskDefinition",
    "LoadBalancerInfo",
    "PlatformVersion",
    "NetworkConfiguration",
    "CapacityProviderStrategy",
];
const TARGET: [&str; 2] = ["Type", "Properties"];
const BALANCER: [&str; 2] = ["ContainerName", "ContainerPort"];
/// Properties that are numbers.
const NUMBERS: [&str; 3] = ["ContainerPort", "Base", "Weight"];
const NETWORK: [&str; 3] = ["Subnets", "SecurityGroups", "AssignPublicIp"];

fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.kind {
        Kind::Map(entries) => {
            entries.iter().find(|(known, _)| known.text.eq_ignore_ascii_case(key)).map(|(_, node)| node)
        }
        _ => None,
    }
}

fn words(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The tree with the placeholders of its texts filled in. The bound on what comes out is that of
/// [`placeholders::fill`], which goes before.
pub(super) fn filled(node: &Node, values: &BTreeMap<String, String>) -> Node {
    let kind = match &node.kind {
        Kind::Scalar { text, plain } => match placeholders::fill_text(text, values) {
            Some(filled) if !filled.used.is_empty() => {
                Kind::Scalar { text: filled.value.as_str().unwrap_or_default().to_owned(), plain: false }
            }
            _ => Kind::Scalar { text: text.clone(), plain: *plain },
        },
        Kind::List(items) => Kind::List(items.iter().map(|item| filled(item, values)).collect()),
        Kind::Map(entries) => {
            Kind::Map(entries.iter().map(|(key, node)| (key.clone(), filled(node, values))).collect())
        }
    };
    Node { place: node.place, kind }
}

/// Placeholders that nothing has filled, with their places. The task definition is put in later, whatever stands for it.
pub(super) fn leftovers(node: &Node, values: &BTreeMap<String, String>) -> Vec<(Place, Complaint)> {
    match &node.kind {
        Kind::Scalar { text, .. } => leftovers::in_text(text, "", values)
            .map(|complaint| (node.place, complaint))
            .into_iter()
            .collect(),
        Kind::List(items) => items.iter().flat_map(|item| leftovers(item, values)).collect(),
        Kind::Map(entries) => entries
            .iter()
            .filter(|(key, _)| !key.text.eq_ignore_ascii_case("TaskDefinition"))
            .flat_map(|(key, node)| {
                let named = |(place, found): (Place, Complaint)| {
                    let path = if found.path.is_empty() { key.text.clone() } else { found.path.clone() };
                    (place, Complaint { path, ..found })
                };
                leftovers(node, values).into_iter().map(named).collect::<Vec<_>>()
            })
            .collect(),
    }
}

/// What is sent: as it is written, with numbers where a number stands, and with a version, which many files leave out.
pub(super) fn content(root: &Node) -> Value {
    let mut content = Map::new();
    if get(root, "version").is_none() {
        content.insert("version".to_owned(), Value::from(0.0));
    }
    match sent(root) {
        Value::Object(written) => {
            content.extend(written);
            Value::Object(content)
        }
        other => other,
    }
}

fn sent(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { .. } => node.to_json(),
        Kind::List(items) => items.iter().map(sent).collect(),
        Kind::Map(entries) => {
            let entry = |(key, node): &(Key, Node)| {
                let is_number = NUMBERS.iter().any(|known| known.eq_ignore_ascii_case(&key.text));
                let number = words(node).filter(|_| is_number).and_then(|text| text.parse::<u32>().ok());
                (key.text.clone(), number.map_or_else(|| sent(node), Value::from))
            };
            Value::Object(entries.iter().map(entry).collect())
        }
    }
}

/// Container and port that traffic goes to.
pub(super) fn load_balancer(root: &Node) -> Option<(&Node, &Node)> {
    let balancer = get(properties(root)?, "LoadBalancerInfo")?;
    Some((get(balancer, "ContainerName")?, get(balancer, "ContainerPort")?))
}

/// What it says of the service's tasks.
pub(super) fn properties(root: &Node) -> Option<&Node> {
    get(target(root)?, "Properties")
}

fn target(root: &Node) -> Option<&Node> {
    let Kind::List(items) = &get(root, "Resources")?.kind else { return None };
    get(items.first()?, "TargetService")
}

/// Reports what CodeDeploy would refuse.
pub(super) fn check(root: &Node, report: &mut Report<'_>) {
    if let Err((place, field, message)) = structure(root) {
        report.error(place, &field, message).hint = advice(&field).map(str::to_owned);
    }
    version(root, report);
    unknown_names(root, report);
    hooks(root, report);
}

/// The only one there is (`CodeDeploy` user guide, "`AppSpec` file structure"); but files with another number are deployed,
/// too.
fn version(root: &Node, report: &mut Report<'_>) {
    let Some(written) = get(root, "version") else { return };
    let number = words(written).and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
    let severity = match number {
        Some(0.0) => return,
        Some(_) => Severity::Warning,
        None => Severity::Error,
    };
    report.add(severity, written, "version", "expected 0.0, the only version of an AppSpec").hint =
        Some("write version: 0.0, or leave it out".to_owned());
}

/// Each hook is one Lambda function (`CodeDeploy` user guide, "`AppSpec` 'hooks' section").
fn hooks(root: &Node, report: &mut Report<'_>) {
    let Some(hooks) = get(root, "Hooks").filter(|hooks| !hooks.is_null()) else { return };
    let wrong = |node: &Node, report: &mut Report<'_>| {
        let message =
            format!("expected a list of hooks, each with its Lambda function, found {}", kind(node));
        report.error(node, "Hooks", message).hint =
            Some("such as - BeforeAllowTraffic: NameOfTheFunction".to_owned());
    };
    let Kind::List(items) = &hooks.kind else { return wrong(hooks, report) };
    let mut known = BTreeSet::new();
    for item in items {
        let Kind::Map(entries) = &item.kind else {
            wrong(item, report);
            continue;
        };
        for (hook, function) in entries {
            // Which of the two runs, or whether it is refused, is not documented.
            if !known.insert(hook.text.to_ascii_lowercase()) {
                let message =
                    format!("the hook `{}` is there already, and runs once a deployment", hook.text);
                report.add(Severity::Warning, hook, &hook.text, message).hint =
                    Some("remove one of them: one function for each hook".to_owned());
            }
            match words(function).filter(|_| !function.is_null()) {
                Some(name) => NameKind::Function.check(name, function, &hook.text, report),
                None => {
                    report.error(function, &hook.text, "expected the name or the ARN of a Lambda function");
                }
            }
        }
    }
}

/// What belongs into a field.
fn advice(field: &str) -> Option<&'static str> {
    Some(match field {
        "Resources" => "a list with one entry: TargetService with Type and Properties",
        "Type" => "Type: AWS::ECS::Service",
        "Properties" | "LoadBalancerInfo" => {
            "Properties has TaskDefinition and LoadBalancerInfo, with ContainerName and ContainerPort"
        }
        "TaskDefinition" => "write <TASK_DEFINITION>: it is replaced by what is registered",
        "ContainerName" => "the container behind the load balancer",
        "ContainerPort" => "the port of the container behind the load balancer, such as 8080",
        "AwsvpcConfiguration" | "Subnets" | "SecurityGroups" | "AssignPublicIp" => {
            "AwsvpcConfiguration has Subnets, SecurityGroups and AssignPublicIp; or leave NetworkConfiguration out"
        }
        _ => return None,
    })
}

type Fault = (Place, String, String);

fn structure(root: &Node) -> Result<(), Fault> {
    let member = |node: &Node, key: &str| match get(node, key) {
        Some(_) => Ok(()),
        None => Err((node.place, key.to_owned(), format!("`{key}` is missing"))),
    };
    if !matches!(root.kind, Kind::Map(_)) {
        return Err((root.place, String::new(), format!("expected a map, found {}", kind(root))));
    }
    member(root, "Resources")?;
    let Some(resources) = get(root, "Resources") else { return Ok(()) };
    let target = match &resources.kind {
        Kind::List(items) if items.len() == 1 => items.first(),
        _ => None,
    };
    let target = target.and_then(|item| get(item, "TargetService"));
    let target = target.ok_or_else(|| {
        let found = match &resources.kind {
            Kind::List(items) if items.len() > 1 => format!(", found {} entries", items.len()),
            Kind::List(_) => String::new(),
            _ => format!(", found {}", kind(resources)),
        };
        let message = format!("expected a list with one TargetService{found}");
        (resources.place, "Resources".to_owned(), message)
    })?;
    member(target, "Type")?;
    if let Some(found) = get(target, "Type").filter(|node| words(node) != Some("AWS::ECS::Service")) {
        return Err((found.place, "Type".to_owned(), "expected AWS::ECS::Service".to_owned()));
    }
    member(target, "Properties")?;
    let Some(properties) = get(target, "Properties") else { return Ok(()) };
    member(properties, "TaskDefinition")?;
    if let Some(definition) = get(properties, "TaskDefinition").filter(|node| words(node).is_none()) {
        let message = format!("expected {} or an ARN", app_spec::TASK_DEFINITION);
        return Err((definition.place, "TaskDefinition".to_owned(), message));
    }
    member(properties, "LoadBalancerInfo")?;
    if let Some(balancer) = get(properties, "LoadBalancerInfo") {
        member(balancer, "ContainerName")?;
        member(balancer, "ContainerPort")?;
        if let Some(port) = get(balancer, "ContainerPort") {
            let number = words(port).and_then(|text| text.parse::<u16>().ok());
            if number.is_none_or(|port| port == 0) {
                return Err((port.place, "ContainerPort".to_owned(), "expected a port".to_owned()));
            }
        }
    }
    if let Some(network) = get(properties, "NetworkConfiguration") {
        member(network, "AwsvpcConfiguration")?;
        let inner = get(network, "AwsvpcConfiguration");
        inner.map_or(Ok(()), |inner| NETWORK.iter().try_for_each(|key| member(inner, key)))?;
    }
    Ok(())
}

/// Names that CodeDeploy does not know: of properties and hooks, and of what stands around them, where they have no effect.
fn unknown_names(root: &Node, report: &mut Report<'_>) {
    let hooks = get(root, "Hooks").into_iter().flat_map(|hooks| match &hooks.kind {
        Kind::List(items) => items.as_slice(),
        _ => &[],
    });
    let known = properties(root).into_iter().map(|node| (node, &PROPERTIES));
    for (node, known) in known.chain(hooks.map(|node| (node, &HOOKS))) {
        for key in unknown(node, known) {
            report.error(key, &key.text, format!("unknown name `{}`", key.text)).hint =
                suggestion(&key.text, known).or_else(|| instead(&key.text).map(str::to_owned));
        }
    }
    let around: [(Option<&Node>, &str, &[&str]); 3] = [
        (Some(root), "an AppSpec", &PARTS),
        (target(root), "TargetService", &TARGET),
        (properties(root).and_then(|all| get(all, "LoadBalancerInfo")), "LoadBalancerInfo", &BALANCER),
    ];
    for (node, whole, known) in around {
        for key in node.into_iter().flat_map(|node| unknown(node, known)) {
            let message = format!("`{}` has no effect: {whole} has {}", key.text, known.join(", "));
            report.add(Severity::Warning, key, &key.text, message).hint = suggestion(&key.text, known);
        }
    }
}

fn unknown<'n>(node: &'n Node, known: &[&str]) -> impl Iterator<Item = &'n Key> {
    let entries: &[(Key, Node)] = match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Scalar { .. } | Kind::List(_) => &[],
    };
    entries
        .iter()
        .map(|(key, _)| key)
        .filter(|key| !known.iter().any(|one| one.eq_ignore_ascii_case(&key.text)))
}

/// Where a setting of the service belongs that an `AppSpec` does not have.
fn instead(property: &str) -> Option<&'static str> {
    property.eq_ignore_ascii_case("LaunchType").then_some("CapacityProviderStrategy says where tasks run")
}
