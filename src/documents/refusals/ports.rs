//! Ports of containers: their numbers, and what stands twice (Amazon ECS API reference, `PortMapping`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Complaint, Fields, closed_words, is_set, list, text};

const PORTS: std::ops::RangeInclusive<i64> = 0..=65_535;
const PROTOCOLS: [&str; 2] = ["tcp", "udp"];
const APPLICATION_PROTOCOLS: [&str; 3] = ["http", "http2", "grpc"];

pub(super) fn of(fields: &Fields, containers: &[&Fields], found: &mut Vec<Complaint>) {
    let has_own_network = matches!(text(fields, "networkMode"), "awsvpc" | "host");
    let mut names = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let mut ports = BTreeSet::new();
        for (mapping, path) in list(container, "portMappings")
            .enumerate()
            .map(|(at, mapping)| (mapping, format!("containerDefinitions[{index}].portMappings[{at}]")))
        {
            let Some(mapping) = mapping.as_object() else { continue };
            closed_words(mapping, &path, "protocol", &PROTOCOLS, found);
            closed_words(mapping, &path, "appProtocol", &APPLICATION_PROTOCOLS, found);
            for key in ["containerPort", "hostPort"] {
                let port = mapping.get(key).and_then(Value::as_i64);
                if let Some(port) = port.filter(|port| !PORTS.contains(port)) {
                    let message = format!("{port} is no port");
                    found.push(Complaint::error(format!("{path}.{key}"), message).hint("0 to 65535"));
                }
            }
            if is_set(mapping, "containerPort") && is_set(mapping, "containerPortRange") {
                let message = "`containerPort` stands beside `containerPortRange`";
                found.push(
                    Complaint::error(format!("{path}.containerPort"), message)
                        .at_key()
                        .hint("AWS takes one of them in a mapping: remove one, or make it two mappings"),
                );
            }
            let name = text(mapping, "name");
            if !name.is_empty() && !is_name(name) {
                let message = "the name of a port has up to 64 small letters, digits, `_` and `-`";
                found.push(Complaint::error(format!("{path}.name"), message).hint("it begins with no `-`"));
            }
            if !name.is_empty() && !names.insert(name) {
                let message = format!("two ports are named `{name}`");
                found.push(Complaint::error(format!("{path}.name"), message));
            }
            // Behind a bridge one port of the container may be two of the host.
            let protocol = if text(mapping, "protocol") == "udp" { "udp" } else { "tcp" };
            let Some(port) = mapping.get("containerPort").and_then(Value::as_i64) else { continue };
            if has_own_network && !ports.insert((port, protocol)) {
                let message = format!("port {port} of {protocol} is mapped twice");
                found.push(Complaint::error(format!("{path}.containerPort"), message).hint("remove one"));
            }
        }
    }
}

/// "The name can include up to 64 characters. The characters can include lowercase letters, numbers, underscores (_), and
/// hyphens (-). The name can't start with a hyphen."
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    name.len() <= 64 && !name.starts_with('-') && name.bytes().all(allowed)
}
