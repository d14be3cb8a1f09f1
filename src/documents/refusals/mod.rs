//! What AWS always refuses of a task definition, or never starts: asked here, before the first write, instead of there.
//!
//! The rules are those of the Amazon ECS API reference (`RegisterTaskDefinition`, `ContainerDefinition`) and of the developer
//! guide ("Amazon ECS task definition differences for Fargate", "Task size"). What depends on the account is not asked.
//!
//! Nothing here knows of files: what is asked about is any task definition, as it is written or as it would be sent.

mod environment_files;
mod logs;
mod names;
mod ports;
mod sizes;
#[cfg(test)]
mod tests;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{normalise, repositories, required};
use crate::model::{AccountId, Complaint, Severity, Shape};
use crate::text::nearest::suggestion;

/// Containers of a task definition (Amazon ECS quotas).
const MOST_CONTAINERS: usize = 10;
pub(super) const COMPATIBILITIES: [&str; 4] = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
pub(super) const NETWORK_MODES: [&str; 5] = ["awsvpc", "bridge", "host", "none", "default"];
pub(super) const ARCHITECTURES: [&str; 2] = ["X86_64", "ARM64"];
/// `OSFamily` of the ECS model.
pub(super) const SYSTEMS: [&str; 10] = [
    "LINUX",
    "WINDOWS_SERVER_2004_CORE",
    "WINDOWS_SERVER_2016_FULL",
    "WINDOWS_SERVER_2019_CORE",
    "WINDOWS_SERVER_2019_FULL",
    "WINDOWS_SERVER_2022_CORE",
    "WINDOWS_SERVER_2022_FULL",
    "WINDOWS_SERVER_2025_CORE",
    "WINDOWS_SERVER_2025_FULL",
    "WINDOWS_SERVER_20H2_CORE",
];
/// How the command of a health check begins (Amazon ECS API reference, `HealthCheck`; `NONE` is Docker's own).
const CHECKS: [&str; 3] = ["CMD", "CMD-SHELL", "NONE"];
/// Members of `linuxParameters` that Fargate does not take (Amazon ECS API reference, `LinuxParameters`).
const NOT_LINUX_ON_FARGATE: [&str; 4] = ["devices", "maxSwap", "sharedMemorySize", "swappiness"];
/// Seconds that Fargate gives a container to end.
const LONGEST_STOP: i64 = 120;
const CONDITIONS: [&str; 4] = ["START", "COMPLETE", "SUCCESS", "HEALTHY"];
/// `PidMode`, `IpcMode` and `VersionConsistency` of the ECS model.
const PID_MODES: [&str; 2] = ["host", "task"];
const IPC_MODES: [&str; 3] = ["host", "task", "none"];
const CONSISTENCIES: [&str; 2] = ["enabled", "disabled"];
/// `UlimitName` of the ECS model: those of Linux.
const LIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
/// `ResourceType` of the ECS model.
const RESOURCES: [&str; 3] = ["GPU", "InferenceAccelerator", "NeuronDevice"];
/// Seconds that a container has run before it is restarted (Amazon ECS API reference, `ContainerRestartPolicy`).
const RESTARTS: std::ops::RangeInclusive<i64> = 60..=1800;
/// Members of a container that Fargate does not take.
const NOT_ON_FARGATE: [&str; 7] = [
    "disableNetworking",
    "dnsSearchDomains",
    "dnsServers",
    "dockerSecurityOptions",
    "extraHosts",
    "links",
    "privileged",
];

type Fields = Map<String, Value>;

/// What is said of the whole task definition. `replaced`: containers whose image is put in, which is one of ECR.
pub fn of(input: &Value, replaced: &BTreeSet<&str>) -> Vec<Complaint> {
    let Value::Object(fields) = input else { return Vec::new() };
    let mut found = Vec::new();
    let containers = containers(fields);
    if list(fields, "containerDefinitions").count() == 0 {
        found.push(Complaint::error("containerDefinitions", "there is no container").at_key());
    }
    if containers.len() > MOST_CONTAINERS {
        let message = format!("more than {MOST_CONTAINERS} containers");
        found.push(Complaint::error("containerDefinitions", message).at_key());
    }
    if !containers.is_empty() && !containers.iter().any(|container| is_essential(container)) {
        let message = "no container is essential";
        found.push(Complaint::error("containerDefinitions", message).at_key().hint("AWS wants at least one"));
    }
    words(fields, "", "networkMode", &NETWORK_MODES, &mut found);
    each_word(fields, "requiresCompatibilities", &COMPATIBILITIES, &mut found);
    if let Some(platform) = fields.get("runtimePlatform").and_then(Value::as_object) {
        words(platform, "runtimePlatform", "cpuArchitecture", &ARCHITECTURES, &mut found);
        words(platform, "runtimePlatform", "operatingSystemFamily", &SYSTEMS, &mut found);
    }
    closed_words(fields, "", "pidMode", &PID_MODES, &mut found);
    closed_words(fields, "", "ipcMode", &IPC_MODES, &mut found);
    for (index, constraint) in list(fields, "placementConstraints").enumerate() {
        let Some(constraint) = constraint.as_object() else { continue };
        let path = format!("placementConstraints[{index}]");
        closed_words(constraint, &path, "type", &["memberOf"], &mut found);
    }
    names::of(fields, &containers, &mut found);
    volumes::of(fields, &mut found);
    sizes::of(fields, &containers, &mut found);
    ports::of(fields, &containers, &mut found);
    for (index, container) in containers.iter().enumerate() {
        let path = format!("containerDefinitions[{index}]");
        of_container(fields, container, &path, replaced, &mut found);
        dependencies(&containers, container, &path, &mut found);
    }
    circle(&containers, &mut found);
    let is_fargate = texts(fields, "requiresCompatibilities").any(|name| name == "FARGATE");
    logs::of(&containers, is_fargate, &mut found);
    if is_fargate {
        on_fargate(fields, &containers, &mut found);
    }
    found.extend(required::missing(Shape::TaskDefinition, input));
    if !is_set(fields, "executionRoleArn") {
        found.extend(no_execution_role(&containers, replaced, is_fargate));
    }
    found
}

fn containers(fields: &Fields) -> Vec<&Fields> {
    list(fields, "containerDefinitions").filter_map(Value::as_object).collect()
}

fn list<'v>(fields: &'v Fields, key: &str) -> impl Iterator<Item = &'v Value> {
    fields.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn texts<'v>(fields: &'v Fields, key: &str) -> impl Iterator<Item = &'v str> {
    list(fields, key).filter_map(Value::as_str)
}

fn text<'v>(fields: &'v Fields, key: &str) -> &'v str {
    fields.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn amount(fields: &Fields, key: &str) -> Option<u64> {
    fields.get(key).and_then(Value::as_u64)
}

/// CPU units or MiB of the task, however they are written.
fn units(fields: &Fields, key: &str) -> Option<u64> {
    normalise::size_in_units(fields.get(key)?, 1024.0).as_str()?.parse().ok()
}

/// Neither absent nor empty, false or null.
fn is_set(fields: &Fields, key: &str) -> bool {
    match fields.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    }
}

fn is_essential(container: &Fields) -> bool {
    container.get("essential") != Some(&Value::Bool(false))
}

fn words(fields: &Fields, path: &str, key: &str, known: &[&str], found: &mut Vec<Complaint>) {
    let word = text(fields, key);
    if !word.is_empty() && !known.contains(&word) {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        found.push(unknown_word(path, word, known));
    }
}

/// As [`words`], where there have been no others in years, and AWS refuses them.
fn closed_words(fields: &Fields, path: &str, key: &str, known: &[&str], found: &mut Vec<Complaint>) {
    let before = found.len();
    words(fields, path, key, known, found);
    found.iter_mut().skip(before).for_each(|complaint| complaint.severity = Severity::Error);
}

fn each_word(fields: &Fields, key: &str, known: &[&str], found: &mut Vec<Complaint>) {
    let unknown = texts(fields, key).enumerate().filter(|(_, word)| !known.contains(word));
    found.extend(unknown.map(|(index, word)| unknown_word(format!("{key}[{index}]"), word, known)));
}

/// AWS may know more words by now: only what is nearly one of them is an error.
fn unknown_word(path: String, word: &str, known: &[&str]) -> Complaint {
    match known.iter().find(|known| known.eq_ignore_ascii_case(word)) {
        Some(meant) => Complaint::error(path, format!("`{word}` is none of {}", known.join(", ")))
            .hint(format!("write {meant}")),
        None => Complaint {
            hint: suggestion(word, known),
            ..Complaint::warning(path, format!("`{word}` is none of {}", known.join(", ")))
        },
    }
}

fn of_container(
    fields: &Fields,
    container: &Fields,
    path: &str,
    replaced: &BTreeSet<&str>,
    found: &mut Vec<Complaint>,
) {
    let name = text(container, "name");
    if text(container, "image").is_empty() && !replaced.contains(name) {
        found.push(Complaint::error(format!("{path}.image"), format!("container `{name}` has no image")));
    }
    if let Some(account) =
        repositories::account_in(text(container, "image")).filter(|text| !AccountId::is_one(text))
    {
        let message = format!("`{account}` is no account: a registry of ECR begins with twelve digits");
        found.push(Complaint::error(format!("{path}.image"), message));
    }
    let (memory, reserved) = (amount(container, "memory"), amount(container, "memoryReservation"));
    let has_memory = ["memory", "memoryReservation"].iter().any(|key| is_set(container, key));
    if !has_memory && !is_set(fields, "memory") {
        let message = format!("container `{name}` has no memory, and the task has none");
        found.push(
            Complaint::error(path, message)
                .hint("AWS wants `memory` or `memoryReservation` here, or `memory` of the whole task"),
        );
    }
    if memory.zip(reserved).is_some_and(|(memory, reserved)| memory < reserved) {
        found.push(Complaint::error(format!("{path}.memory"), "`memory` is less than `memoryReservation`"));
    }
    let volumes: Vec<&str> =
        list(fields, "volumes").filter_map(|volume| volume.get("name").and_then(Value::as_str)).collect();
    for (index, mount) in list(container, "mountPoints").enumerate() {
        let volume = mount.get("sourceVolume").and_then(Value::as_str).unwrap_or_default();
        if !volumes.contains(&volume) {
            let path = format!("{path}.mountPoints[{index}].sourceVolume");
            let message = format!("no volume is named `{volume}`");
            found.push(Complaint {
                hint: declared(&volumes, volume, "`volumes`"),
                ..Complaint::error(path, message)
            });
        }
    }
    if text(fields, "networkMode") == "awsvpc" {
        host_ports(container, path, found);
        if is_set(container, "hostname") {
            let message = "with networkMode awsvpc a container has no `hostname`";
            found.push(Complaint::error(format!("{path}.hostname"), message).hint("leave it out"));
        }
    }
    words_of_container(container, path, found);
    environment_files::of(container, path, found);
    let restarts = container.get("restartPolicy").and_then(|policy| policy.get("restartAttemptPeriod"));
    if restarts.and_then(Value::as_i64).is_some_and(|seconds| !RESTARTS.contains(&seconds)) {
        let message = format!("`restartAttemptPeriod` is {} to {}", RESTARTS.start(), RESTARTS.end());
        found.push(Complaint::error(format!("{path}.restartPolicy.restartAttemptPeriod"), message));
    }
    health_check(container, path, found);
}

fn words_of_container(container: &Fields, path: &str, found: &mut Vec<Complaint>) {
    closed_words(container, path, "versionConsistency", &CONSISTENCIES, found);
    for (index, limit) in list(container, "ulimits").enumerate() {
        let Some(limit) = limit.as_object() else { continue };
        closed_words(limit, &format!("{path}.ulimits[{index}]"), "name", &LIMITS, found);
    }
    for (index, needed) in list(container, "resourceRequirements").enumerate() {
        let Some(needed) = needed.as_object() else { continue };
        words(needed, &format!("{path}.resourceRequirements[{index}]"), "type", &RESOURCES, found);
    }
}

/// What there is, if the name is wrong; where it would be, if there is nothing.
fn declared(known: &[&str], word: &str, place: &str) -> Option<String> {
    let near = suggestion(word, known);
    near.or_else(|| (!known.is_empty()).then(|| format!("there is {}", known.join(", "))))
        .or_else(|| Some(format!("declare it under {place}")))
}

fn host_ports(container: &Fields, path: &str, found: &mut Vec<Complaint>) {
    for (index, mapping) in list(container, "portMappings").enumerate() {
        let port = |key: &str| mapping.get(key).and_then(Value::as_u64).filter(|port| *port != 0);
        if port("hostPort").is_some_and(|host| port("containerPort").is_some_and(|inner| inner != host)) {
            let path = format!("{path}.portMappings[{index}].hostPort");
            let message = "with networkMode awsvpc the host's port is the container's";
            found.push(Complaint::error(path, message).hint("leave `hostPort` out"));
        }
    }
}

/// Amazon ECS API reference, `HealthCheck`.
fn health_check(container: &Fields, path: &str, found: &mut Vec<Complaint>) {
    let Some(check) = container.get("healthCheck").and_then(Value::as_object) else { return };
    if texts(check, "command").next().is_some_and(|first| !CHECKS.contains(&first)) {
        let message = "the command of a health check begins with CMD or CMD-SHELL";
        found.push(
            Complaint::error(format!("{path}.healthCheck.command[0]"), message)
                .hint("such as [\"CMD-SHELL\", \"curl -f http://localhost/\"]"),
        );
    }
    for (key, least, most) in
        [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10), ("startPeriod", 0, 300)]
    {
        if check.get(key).and_then(Value::as_i64).is_some_and(|value| !(least..=most).contains(&value)) {
            let message = format!("`{key}` is {least} to {most}");
            found.push(Complaint::error(format!("{path}.healthCheck.{key}"), message));
        }
    }
}

fn dependencies(containers: &[&Fields], container: &Fields, path: &str, found: &mut Vec<Complaint>) {
    let names: Vec<&str> = containers.iter().map(|container| text(container, "name")).collect();
    let named = |name: &str| containers.iter().find(|container| text(container, "name") == name);
    for (key, member) in [("volumesFrom", "sourceContainer"), ("dependsOn", "containerName")] {
        for (index, entry) in list(container, key).enumerate() {
            let name = entry.get(member).and_then(Value::as_str).unwrap_or_default();
            if named(name).is_none() {
                let path = format!("{path}.{key}[{index}].{member}");
                let hint = declared(&names, name, "`containerDefinitions`");
                found.push(Complaint {
                    hint,
                    ..Complaint::error(path, format!("no container is named `{name}`"))
                });
            }
        }
    }
    for (index, entry) in list(container, "dependsOn").enumerate() {
        let Some(entry) = entry.as_object() else { continue };
        let path = format!("{path}.dependsOn[{index}]");
        closed_words(entry, &path, "condition", &CONDITIONS, found);
        let Some(needed) = named(text(entry, "containerName")) else { continue };
        let (name, condition) = (text(needed, "name"), text(entry, "condition"));
        let path = format!("{path}.condition");
        if name == text(container, "name") {
            found.push(Complaint::error(path, format!("container `{name}` depends on itself")));
        } else if condition == "HEALTHY" && !is_set(needed, "healthCheck") {
            let message = format!("container `{name}` never gets HEALTHY: it has no `healthCheck`");
            found.push(
                Complaint::error(path, message).hint("ECS does not look at a health check in the image"),
            );
        } else if matches!(condition, "COMPLETE" | "SUCCESS") && is_essential(needed) {
            let message = format!("container `{name}` is essential: its end ends the task");
            found.push(
                Complaint::error(path, message).hint(format!("say `\"essential\": false` of `{name}`")),
            );
        }
    }
}

/// Containers that wait for each other: none of them ever starts. One circle is told, at the first of its members.
fn circle(containers: &[&Fields], found: &mut Vec<Complaint>) {
    let index: BTreeMap<&str, usize> =
        containers.iter().enumerate().map(|(index, container)| (text(container, "name"), index)).collect();
    let needed = |one: usize| -> Vec<usize> {
        let entries = containers.get(one).into_iter().flat_map(|container| list(container, "dependsOn"));
        let names = entries.filter_map(|entry| entry.get("containerName")?.as_str());
        // Who depends on itself is told already.
        names.filter_map(|name| index.get(name).copied()).filter(|other| *other != one).collect()
    };
    let reached = |start: usize| -> BTreeSet<usize> {
        let (mut reached, mut next) = (BTreeSet::new(), needed(start));
        while let Some(one) = next.pop() {
            if reached.insert(one) {
                next.extend(needed(one));
            }
        }
        reached
    };
    let all: Vec<BTreeSet<usize>> = (0..containers.len().min(MOST_CONTAINERS)).map(reached).collect();
    let waits_for = |one: usize, other: usize| all.get(one).is_some_and(|reached| reached.contains(&other));
    let Some(first) = (0..all.len()).find(|one| waits_for(*one, *one)) else { return };
    let members = (0..all.len()).filter(|other| waits_for(first, *other) && waits_for(*other, first));
    let names: Vec<&str> = members.filter_map(|one| Some(text(containers.get(one)?, "name"))).collect();
    let message = format!("the containers {} wait for each other", names.join(", "));
    found.push(Complaint::error(format!("containerDefinitions[{first}].dependsOn"), message).at_key());
}

/// That the role is missing, with the first that needs it.
fn no_execution_role(
    containers: &[&Fields],
    replaced: &BTreeSet<&str>,
    is_fargate: bool,
) -> Option<Complaint> {
    let has_secrets = |container: &&Fields| is_set(container, "secrets");
    let is_ecr = |container: &&Fields| {
        replaced.contains(text(container, "name")) || text(container, "image").contains(".dkr.ecr.")
    };
    let logs = |container: &&Fields| {
        let configuration = container.get("logConfiguration").and_then(Value::as_object);
        configuration.is_some_and(|logs| text(logs, "logDriver") == "awslogs")
    };
    let missing = |path: String, why: &str| {
        Complaint::error(path, format!("`executionRoleArn` is missing, which {why} need"))
            .hint("the role with AmazonECSTaskExecutionRolePolicy")
    };
    let of_the_task = |why: &str| missing("executionRoleArn".to_owned(), why).at_key();
    match containers.iter().position(has_secrets) {
        Some(index) => Some(missing(format!("containerDefinitions[{index}].secrets"), "secrets")),
        None if !is_fargate => None,
        None if containers.iter().any(is_ecr) => Some(of_the_task("images of ECR")),
        None => containers.iter().any(logs).then(|| of_the_task("the logs of Fargate tasks")),
    }
}

fn on_fargate(fields: &Fields, containers: &[&Fields], found: &mut Vec<Complaint>) {
    if text(fields, "networkMode") != "awsvpc" {
        let complaint = Complaint::error("networkMode", "Fargate needs networkMode awsvpc");
        found.push(if fields.contains_key("networkMode") { complaint } else { complaint.at_key() });
    }
    size(fields, found);
    let storage = fields.get("ephemeralStorage").and_then(|storage| storage.get("sizeInGiB"));
    if storage.and_then(Value::as_i64).is_some_and(|size| !(21..=200).contains(&size)) {
        let message = "Fargate has 21 to 200 GiB of ephemeral storage";
        found.push(Complaint::error("ephemeralStorage.sizeInGiB", message));
    }
    for key in ["placementConstraints", "ipcMode"].iter().filter(|key| is_set(fields, key)) {
        found.push(Complaint::error(*key, format!("Fargate does not take `{key}`")));
    }
    volumes_on_fargate(fields, found);
    for (index, container) in containers.iter().enumerate() {
        let path = format!("containerDefinitions[{index}]");
        for key in NOT_ON_FARGATE.iter().filter(|key| is_set(container, key)) {
            found.push(Complaint::error(format!("{path}.{key}"), format!("Fargate does not take `{key}`")));
        }
        linux_on_fargate(container, &path, found);
        if container.get("stopTimeout").and_then(Value::as_i64).is_some_and(|seconds| seconds > LONGEST_STOP)
        {
            let message = format!("Fargate waits {LONGEST_STOP} seconds at most");
            found.push(Complaint::error(format!("{path}.stopTimeout"), message));
        }
        for (index, needed) in list(container, "resourceRequirements").enumerate() {
            if needed.get("type").and_then(Value::as_str) == Some("GPU") {
                let path = format!("{path}.resourceRequirements[{index}]");
                found.push(Complaint::error(path, "Fargate has no GPU"));
            }
        }
    }
}

fn linux_on_fargate(container: &Fields, path: &str, found: &mut Vec<Complaint>) {
    let Some(linux) = container.get("linuxParameters").and_then(Value::as_object) else { return };
    for key in NOT_LINUX_ON_FARGATE.iter().filter(|key| is_set(linux, key)) {
        let path = format!("{path}.linuxParameters.{key}");
        found.push(Complaint::error(path, format!("Fargate does not take `{key}`")));
    }
    let Some(capabilities) = linux.get("capabilities").and_then(Value::as_object) else { return };
    for (index, _) in texts(capabilities, "add").enumerate().filter(|(_, added)| *added != "SYS_PTRACE") {
        let path = format!("{path}.linuxParameters.capabilities.add[{index}]");
        let message = "Fargate gives no capability but SYS_PTRACE";
        found.push(Complaint::error(path, message));
    }
}

/// Volumes of the host, which nobody sees on Fargate.
fn volumes_on_fargate(fields: &Fields, found: &mut Vec<Complaint>) {
    for (index, volume) in list(fields, "volumes").enumerate() {
        let Some(volume) = volume.as_object() else { continue };
        let host = volume.get("host").and_then(Value::as_object);
        if host.is_some_and(|host| is_set(host, "sourcePath")) {
            let message = "Fargate has no folders of a host";
            let path = format!("volumes[{index}].host.sourcePath");
            found.push(
                Complaint::error(path, message).hint("leave `sourcePath` out for a volume of the task alone"),
            );
        }
        if is_set(volume, "dockerVolumeConfiguration") {
            let path = format!("volumes[{index}].dockerVolumeConfiguration");
            found.push(Complaint::error(path, "Fargate has no volumes of Docker"));
        }
    }
}

/// The memory that Fargate has beside so much CPU: least, most and step in MiB.
enum Memory {
    Steps(u64, u64, u64),
    Sizes(&'static [u64]),
}

const SIZES: [(u64, Memory); 8] = [
    (256, Memory::Sizes(&[512, 1024, 2048])),
    (512, Memory::Steps(1024, 4096, 1024)),
    (1024, Memory::Steps(2048, 8192, 1024)),
    (2048, Memory::Steps(4096, 16384, 1024)),
    (4096, Memory::Steps(8192, 30720, 1024)),
    (8192, Memory::Steps(16384, 61440, 4096)),
    (16384, Memory::Steps(32768, 122_880, 8192)),
    (32768, Memory::Sizes(&[61440, 122_880, 249_856])),
];

impl Memory {
    fn has(&self, memory: u64) -> bool {
        match self {
            Self::Sizes(sizes) => sizes.contains(&memory),
            Self::Steps(least, most, step) => {
                (*least..=*most).contains(&memory) && (memory - least).is_multiple_of(*step)
            }
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Sizes(sizes) => sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
            Self::Steps(least, most, step) => format!("{least} to {most} in steps of {step}"),
        }
    }
}

fn size(fields: &Fields, found: &mut Vec<Complaint>) {
    for key in ["cpu", "memory"].iter().filter(|key| !is_set(fields, key)) {
        found.push(Complaint::error(*key, format!("Fargate needs `{key}` of the task")).at_key());
    }
    let (Some(cpu), memory) = (units(fields, "cpu"), units(fields, "memory")) else {
        if is_set(fields, "cpu") {
            found.push(
                Complaint::error("cpu", "expected CPU units or vCPU").hint("such as \"256\" or \".25 vCPU\""),
            );
        }
        return;
    };
    let Some((_, sizes)) = SIZES.iter().find(|(known, _)| *known == cpu) else {
        let all = SIZES.iter().map(|(cpu, _)| cpu.to_string()).collect::<Vec<_>>().join(", ");
        found
            .push(Complaint::error("cpu", format!("Fargate has no cpu {cpu}")).hint(format!("one of {all}")));
        return;
    };
    match memory {
        Some(memory) if sizes.has(memory) => {}
        Some(memory) => {
            let message = format!("Fargate has no memory {memory} beside cpu {cpu}");
            found.push(Complaint::error("memory", message).hint(sizes.described()));
        }
        None if is_set(fields, "memory") => {
            found
                .push(Complaint::error("memory", "expected MiB or GB").hint("such as \"512\" or \"0.5 GB\""));
        }
        None => {}
    }
}
