//! `AppSpec` files of `CodeDeploy` for ECS, as pipelines have them (`CodeDeploy` user guide, "`AppSpec` File
//! structure for Amazon ECS deployments"). Keys are found in any case, as AWS's own tools do; what is not checked here
//! is sent as it is.

use super::fields::kind;
use super::nearest::suggestion;
use super::report::Report;
use super::tree::{self, Kind, Node, Place};
use crate::plan::blue_green;

const HOOKS: [&str; 5] =
    ["BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"];
const PROPERTIES: [&str; 5] = [
    "TaskDefinition",
    "LoadBalancerInfo",
    "PlatformVersion",
    "NetworkConfiguration",
    "CapacityProviderStrategy",
];
const NETWORK: [&str; 3] = ["Subnets", "SecurityGroups", "AssignPublicIp"];

/// The task definition that a deployed `AppSpec` names.
pub fn task_definition(content: &str) -> Option<String> {
    let documents = tree::documents(content).ok()?;
    blue_green::task_definition_of(&documents.first()?.to_json()).map(str::to_owned)
}

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

/// Reports what CodeDeploy would refuse.
pub(super) fn check(root: &Node, report: &mut Report<'_>) {
    if let Err((place, field, message)) = structure(root) {
        report.error(place, &field, message).hint =
            Some("the AppSpec of a pipeline's CodeDeployToECS action can be used as it is".to_owned());
    }
    unknown_names(root, report);
}

type Complaint = (Place, String, String);

fn structure(root: &Node) -> Result<(), Complaint> {
    let member = |node: &Node, key: &str| match get(node, key) {
        Some(_) => Ok(()),
        None => Err((node.place, key.to_owned(), format!("`{key}` is missing"))),
    };
    if !matches!(root.kind, Kind::Map(_)) {
        return Err((root.place, String::new(), format!("expected a map, found {}", kind(root))));
    }
    member(root, "version")?;
    member(root, "Resources")?;
    let Some(resources) = get(root, "Resources") else { return Ok(()) };
    let target = match &resources.kind {
        Kind::List(items) if items.len() == 1 => items.first(),
        _ => None,
    };
    let one = "expected a list with one TargetService".to_owned();
    let target = target.and_then(|item| get(item, "TargetService"));
    let target = target.ok_or_else(|| (resources.place, "Resources".to_owned(), one))?;
    member(target, "Type")?;
    if let Some(found) = get(target, "Type").filter(|node| words(node) != Some("AWS::ECS::Service")) {
        return Err((found.place, "Type".to_owned(), "expected AWS::ECS::Service".to_owned()));
    }
    member(target, "Properties")?;
    let Some(properties) = get(target, "Properties") else { return Ok(()) };
    member(properties, "TaskDefinition")?;
    if let Some(definition) = get(properties, "TaskDefinition").filter(|node| words(node).is_none()) {
        let message = format!("expected {} or an ARN", blue_green::TASK_DEFINITION);
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

/// Properties and hooks that CodeDeploy does not know.
fn unknown_names(root: &Node, report: &mut Report<'_>) {
    let target = get(root, "Resources").and_then(|resources| match &resources.kind {
        Kind::List(items) => get(items.first()?, "TargetService"),
        _ => None,
    });
    let properties = target.and_then(|target| get(target, "Properties")).into_iter();
    let hooks = get(root, "Hooks").into_iter().flat_map(|hooks| match &hooks.kind {
        Kind::List(items) => items.as_slice(),
        _ => &[],
    });
    let known = properties.map(|node| (node, &PROPERTIES)).chain(hooks.map(|node| (node, &HOOKS)));
    for (node, known) in known {
        let Kind::Map(entries) = &node.kind else { continue };
        let is_known = |text: &str| known.iter().any(|one| one.eq_ignore_ascii_case(text));
        for (key, _) in entries.iter().filter(|(key, _)| !is_known(&key.text)) {
            report.error(key, &key.text, format!("unknown name `{}`", key.text)).hint =
                suggestion(&key.text, known);
        }
    }
}
