//! What an `AppSpec` says of the network and the capacity of the tasks, as the settings of a service that it amounts to: the
//! same rules hold for both.
//!
//! Keys are found in any case there. They become the names of `UpdateService` here, and in a finding those that the user
//! guide writes.

use serde_json::Value;

use crate::text::tree::{Key, Kind, Node};

/// Properties of an `AppSpec` that are settings of the service, and their members (`CodeDeploy` user guide, "`AppSpec`
/// 'resources' section for Amazon ECS deployments"; Amazon ECS API reference, `AwsVpcConfiguration` and
/// `CapacityProviderStrategyItem`).
const SETTINGS: [&str; 3] = ["networkConfiguration", "capacityProviderStrategy", "platformVersion"];
const MEMBERS: [&str; 7] = [
    "awsvpcConfiguration",
    "subnets",
    "securityGroups",
    "assignPublicIp",
    "base",
    "capacityProvider",
    "weight",
];
const NUMBERS: [&str; 2] = ["base", "weight"];

/// The settings among these properties.
pub(super) fn settings(properties: &Node) -> Node {
    let entries = entries(properties).iter().filter_map(|(key, node)| {
        let name = known(&key.text, &SETTINGS)?;
        Some((Key { place: key.place, text: name.to_owned() }, renamed(node)))
    });
    Node { place: properties.place, kind: Kind::Map(entries.collect()) }
}

/// As `UpdateService` takes it: a number is one with quotes too, as it is sent.
pub(super) fn to_json(settings: &Node) -> Value {
    match &settings.kind {
        Kind::Scalar { .. } => settings.to_json(),
        Kind::List(items) => items.iter().map(to_json).collect(),
        Kind::Map(entries) => {
            let entry = |(key, node): &(Key, Node)| {
                let number = match &node.kind {
                    Kind::Scalar { text, .. } if NUMBERS.contains(&key.text.as_str()) => {
                        text.parse::<u32>().ok()
                    }
                    _ => None,
                };
                (key.text.clone(), number.map_or_else(|| to_json(node), Value::from))
            };
            Value::Object(entries.iter().map(entry).collect())
        }
    }
}

/// A path of `UpdateService` as the user guide of CodeDeploy writes it: `NetworkConfiguration.AwsvpcConfiguration`.
pub(super) fn as_in_the_guide(path: &str) -> String {
    let capitalised = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    path.split('.').map(capitalised).collect::<Vec<_>>().join(".")
}

/// The depth is that of the document, which is bounded where it is parsed.
fn renamed(node: &Node) -> Node {
    let kind = match &node.kind {
        Kind::Scalar { .. } => node.kind.clone(),
        Kind::List(items) => Kind::List(items.iter().map(renamed).collect()),
        Kind::Map(entries) => {
            let entry = |(key, node): &(Key, Node)| {
                let text = known(&key.text, &MEMBERS).unwrap_or(&key.text).to_owned();
                (Key { place: key.place, text }, renamed(node))
            };
            Kind::Map(entries.iter().map(entry).collect())
        }
    };
    Node { place: node.place, kind }
}

fn known(written: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().find(|name| name.eq_ignore_ascii_case(written)).copied()
}

fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Scalar { .. } | Kind::List(_) => &[],
    }
}
