//! What of a value is shown to people.
//!
//! A value that only AWS knows may be a secret whatever it is called: it is shown only where git declares the same, or where
//! the field is one of `SHOWN` and the value has the shape that AWS allows there, so that it cannot be a secret. Every
//! other is a fingerprint. What git declares can be read by whoever reads the repository; of it, what looks like a secret in
//! plain text is masked, since alerts and logs have other readers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::refusals;
use crate::masking::{self, MASK, fingerprint, may_be_a_secret, may_hold_a_secret_in_words};

/// Where a value comes from that should run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The repository declares it.
    Git,
    /// It was read from AWS: the base of `{from: service}` and `{from: family}`.
    Aws,
}

/// A place in a document: the path for people, and that in which a name between brackets is left out.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Such as `containers[api].environment.LOG_LEVEL`.
    pub(super) path: String,
    /// Such as `containerDefinitions[].environment[].value`.
    pub(super) kind: String,
    /// What the value is called: the nearest key, or the name of the entry.
    pub(super) name: String,
}

impl Field {
    pub(super) fn root(path: &str) -> Self {
        Self { path: path.to_owned(), kind: path.to_owned(), name: path.to_owned() }
    }

    pub(super) fn member(&self, key: &str) -> Self {
        let join = |base: &str| if base.is_empty() { key.to_owned() } else { format!("{base}.{key}") };
        Self { path: join(&self.path), kind: join(&self.kind), name: key.to_owned() }
    }

    /// An entry that stands for its value, such as one of `environment`.
    pub(super) fn named_value(&self, name: &str) -> Self {
        let kind = format!("{}[].value", self.kind);
        Self { path: format!("{}.{name}", self.path), kind, name: name.to_owned() }
    }

    pub(super) fn entry(&self, name: &str) -> Self {
        let path = format!("{}[{name}]", self.path);
        Self { path, kind: format!("{}[]", self.kind), name: self.name.clone() }
    }

    fn item(&self) -> Self {
        Self { path: self.path.clone(), kind: format!("{}[]", self.kind), name: self.name.clone() }
    }
}

/// What is shown of a live value, beside what git declares there.
pub(super) fn live(field: &Field, value: &Value, declared: Option<&Value>) -> String {
    let declared = declared.map(|declared| masked(field, declared));
    let mut known = BTreeSet::new();
    if let Some(declared) = &declared {
        collect(declared, &mut known);
    }
    text(&fingerprinted(field, value, &known))
}

/// What is shown of a value that should run.
pub(super) fn desired(field: &Field, value: &Value, origin: Origin) -> String {
    match origin {
        Origin::Git => text(&masked(field, value)),
        Origin::Aws => live(field, value, None),
    }
}

/// Free text of AWS, which may repeat any of these task definitions, without those of their texts that are shown nowhere.
pub fn without_hidden<'v>(
    text: &str,
    documents: impl IntoIterator<Item = &'v Value>,
    declared: Option<&Value>,
) -> String {
    let root = Field::root("");
    let declared = declared.map(|declared| masked(&root, declared));
    let mut known = BTreeSet::new();
    if let Some(declared) = &declared {
        collect(declared, &mut known);
    }
    let mut hidden = Vec::new();
    documents.into_iter().for_each(|document| hide(&root, document, &known, &mut hidden));
    masking::without(text, hidden)
}

/// Shorter texts are words of any sentence.
const SHORTEST_HIDDEN: usize = 6;

fn hide<'v>(field: &Field, value: &'v Value, known: &BTreeSet<String>, hidden: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| hide(&field.member(key), value, known, hidden));
        }
        Value::Array(items) => items.iter().for_each(|item| hide(&field.item(), item, known, hidden)),
        Value::String(text) if text.len() >= SHORTEST_HIDDEN && !is_shown(field, value, known) => {
            hidden.push(text);
            // A log may tell it line by line, and others what was given to an option or stands in an address.
            let parts = text.lines().chain(given(text));
            hidden.extend(parts.filter(|part| part.len() >= SHORTEST_HIDDEN && part.len() < text.len()));
        }
        _ => {}
    }
}

/// What a text gives to its options: `--token=VALUE`, `?key=VALUE`, `--password VALUE`, and the password in an address.
fn given(text: &str) -> impl Iterator<Item = &str> {
    let words = || text.split_whitespace();
    let members = words().flat_map(|word| word.split(['?', '&', ';', ',']));
    let assigned = members.filter_map(|member| Some(member.split_once('=')?.1));
    let follows = |(option, value): (&str, &'_ str)| {
        option.starts_with('-') && masking::may_name_a_secret(option) && !value.is_empty()
    };
    let following = words().zip(words().skip(1)).filter(move |pair| follows(*pair)).map(|(_, value)| value);
    let passwords = words().filter_map(|word| {
        let (user, _) = word.split_once("://")?.1.rsplit_once('@')?;
        Some(user.split_once(':').map_or(user, |(_, password)| password))
    });
    assigned.chain(following).chain(passwords).map(|value| value.trim_matches(['"', '\'']))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Leaves as they are compared.
fn collect(value: &Value, leaves: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|value| collect(value, leaves)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, leaves)),
        Value::String(text) if text == MASK => {}
        leaf => {
            leaves.insert(leaf.to_string());
        }
    }
}

fn fingerprinted(field: &Field, value: &Value, known: &BTreeSet<String>) -> Value {
    match value {
        Value::Object(members) => {
            let shown = members
                .iter()
                .map(|(key, value)| (key.clone(), fingerprinted(&field.member(key), value, known)));
            Value::Object(shown.collect())
        }
        Value::Array(items) => items.iter().map(|item| fingerprinted(&field.item(), item, known)).collect(),
        leaf if is_shown(field, leaf, known) => leaf.clone(),
        leaf => Value::from(fingerprint(&field.path, &leaf.to_string())),
    }
}

fn is_shown(field: &Field, leaf: &Value, known: &BTreeSet<String>) -> bool {
    leaf.is_null() || known.contains(&leaf.to_string()) || is_structural(&field.kind, leaf)
}

fn masked(field: &Field, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            // An entry such as `{name, value}`: its value is called as the entry is.
            let name = members.get("name").and_then(Value::as_str).filter(|_| members.contains_key("value"));
            let shown = members.iter().map(|(key, value)| {
                let mut field = field.member(key);
                if let Some(name) = name.filter(|_| key == "value") {
                    name.clone_into(&mut field.name);
                }
                (key.clone(), masked(&field, value))
            });
            Value::Object(shown.collect())
        }
        Value::Array(items) if is_secret_list(items) => Value::from(MASK),
        Value::Array(items) => items.iter().map(|item| masked(&field.item(), item)).collect(),
        leaf if is_structural(&field.kind, leaf) => leaf.clone(),
        Value::String(text) if may_be_a_secret(&field.name, text) => Value::from(MASK),
        leaf => leaf.clone(),
    }
}

fn is_secret_list(items: &[Value]) -> bool {
    let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
    words.len() == items.len() && may_hold_a_secret_in_words(&words)
}

/// What values of a field look like; what looks otherwise is hidden.
enum Shape {
    Number,
    Flag,
    /// A number, perhaps as text and with a unit.
    Size,
    Image,
    Name,
    /// Amazon `CloudWatch` Logs API reference, `CreateLogGroup`.
    LogGroup,
    /// The ARN of one.
    Role,
    OneOf(&'static [&'static str]),
    /// Of AWS, such as `subnet-0a1b2c3d`.
    Id(&'static str),
}

const ENABLED: Shape = Shape::OneOf(&["ENABLED", "DISABLED", "enabled", "disabled"]);

/// Structural fields of a task definition and of a service: none of them can hold a secret (Amazon ECS API reference,
/// `RegisterTaskDefinition`, `ContainerDefinition` and `UpdateService`).
const SHOWN: &[(&str, Shape)] = &[
    ("family", Shape::Name),
    // Who may not give it away is told which one: AWS says so itself, and so does the operator's limit.
    ("taskRoleArn", Shape::Role),
    ("executionRoleArn", Shape::Role),
    ("cpu", Shape::Size),
    ("memory", Shape::Size),
    ("networkMode", Shape::OneOf(&refusals::NETWORK_MODES)),
    ("pidMode", Shape::OneOf(&["host", "task"])),
    ("ipcMode", Shape::OneOf(&["host", "task", "none"])),
    ("requiresCompatibilities[]", Shape::OneOf(&refusals::COMPATIBILITIES)),
    ("ephemeralStorage.sizeInGiB", Shape::Number),
    ("runtimePlatform.cpuArchitecture", Shape::OneOf(&refusals::ARCHITECTURES)),
    ("runtimePlatform.operatingSystemFamily", Shape::OneOf(&refusals::SYSTEMS)),
    ("enableFaultInjection", Shape::Flag),
    ("volumes[].name", Shape::Name),
    ("volumes[].configuredAtLaunch", Shape::Flag),
    ("volumes[].efsVolumeConfiguration.transitEncryption", ENABLED),
    ("volumes[].efsVolumeConfiguration.transitEncryptionPort", Shape::Number),
    ("volumes[].efsVolumeConfiguration.authorizationConfig.iam", ENABLED),
    ("volumes[].dockerVolumeConfiguration.autoprovision", Shape::Flag),
    ("volumes[].dockerVolumeConfiguration.scope", Shape::OneOf(&["task", "shared"])),
    ("containerDefinitions[].name", Shape::Name),
    ("containerDefinitions[].image", Shape::Image),
    ("containerDefinitions[].cpu", Shape::Number),
    ("containerDefinitions[].memory", Shape::Number),
    ("containerDefinitions[].memoryReservation", Shape::Number),
    ("containerDefinitions[].essential", Shape::Flag),
    ("containerDefinitions[].privileged", Shape::Flag),
    ("containerDefinitions[].readonlyRootFilesystem", Shape::Flag),
    ("containerDefinitions[].interactive", Shape::Flag),
    ("containerDefinitions[].pseudoTerminal", Shape::Flag),
    ("containerDefinitions[].disableNetworking", Shape::Flag),
    ("containerDefinitions[].startTimeout", Shape::Number),
    ("containerDefinitions[].stopTimeout", Shape::Number),
    ("containerDefinitions[].versionConsistency", ENABLED),
    ("containerDefinitions[].portMappings[].name", Shape::Name),
    ("containerDefinitions[].portMappings[].containerPort", Shape::Number),
    ("containerDefinitions[].portMappings[].hostPort", Shape::Number),
    ("containerDefinitions[].portMappings[].protocol", Shape::OneOf(&["tcp", "udp"])),
    ("containerDefinitions[].portMappings[].appProtocol", Shape::OneOf(&["http", "http2", "grpc"])),
    ("containerDefinitions[].environment[].name", Shape::Name),
    ("containerDefinitions[].environmentFiles[].type", Shape::OneOf(&["s3"])),
    ("containerDefinitions[].secrets[].name", Shape::Name),
    ("containerDefinitions[].healthCheck.interval", Shape::Number),
    ("containerDefinitions[].healthCheck.timeout", Shape::Number),
    ("containerDefinitions[].healthCheck.retries", Shape::Number),
    ("containerDefinitions[].healthCheck.startPeriod", Shape::Number),
    (
        "containerDefinitions[].logConfiguration.logDriver",
        Shape::OneOf(&[
            "json-file",
            "syslog",
            "journald",
            "gelf",
            "fluentd",
            "awslogs",
            "splunk",
            "awsfirelens",
        ]),
    ),
    // A name like that of a service, by which people find the log.
    ("containerDefinitions[].logConfiguration.options.awslogs-group", Shape::LogGroup),
    ("containerDefinitions[].logConfiguration.options.awslogs-region", Shape::Name),
    ("containerDefinitions[].logConfiguration.options.awslogs-stream-prefix", Shape::LogGroup),
    ("containerDefinitions[].logConfiguration.secretOptions[].name", Shape::Name),
    ("containerDefinitions[].firelensConfiguration.type", Shape::OneOf(&["fluentd", "fluentbit"])),
    ("containerDefinitions[].ulimits[].name", Shape::Name),
    ("containerDefinitions[].ulimits[].softLimit", Shape::Number),
    ("containerDefinitions[].ulimits[].hardLimit", Shape::Number),
    ("containerDefinitions[].dependsOn[].containerName", Shape::Name),
    (
        "containerDefinitions[].dependsOn[].condition",
        Shape::OneOf(&["START", "COMPLETE", "SUCCESS", "HEALTHY"]),
    ),
    ("containerDefinitions[].mountPoints[].readOnly", Shape::Flag),
    ("containerDefinitions[].volumesFrom[].readOnly", Shape::Flag),
    ("containerDefinitions[].resourceRequirements[].type", Shape::OneOf(&["GPU", "InferenceAccelerator"])),
    ("containerDefinitions[].restartPolicy.enabled", Shape::Flag),
    ("containerDefinitions[].restartPolicy.restartAttemptPeriod", Shape::Number),
    ("containerDefinitions[].restartPolicy.ignoredExitCodes[]", Shape::Number),
    ("containerDefinitions[].linuxParameters.initProcessEnabled", Shape::Flag),
    ("containerDefinitions[].linuxParameters.sharedMemorySize", Shape::Number),
    ("containerDefinitions[].linuxParameters.maxSwap", Shape::Number),
    ("containerDefinitions[].linuxParameters.swappiness", Shape::Number),
    ("service.availabilityZoneRebalancing", ENABLED),
    ("service.capacityProviderStrategy[].capacityProvider", Shape::OneOf(&["FARGATE", "FARGATE_SPOT"])),
    ("service.capacityProviderStrategy[].weight", Shape::Number),
    ("service.capacityProviderStrategy[].base", Shape::Number),
    ("service.deploymentConfiguration.maximumPercent", Shape::Number),
    ("service.deploymentConfiguration.minimumHealthyPercent", Shape::Number),
    (
        "service.deploymentConfiguration.strategy",
        Shape::OneOf(&["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"]),
    ),
    ("service.deploymentConfiguration.bakeTimeInMinutes", Shape::Number),
    ("service.deploymentConfiguration.deploymentCircuitBreaker.enable", Shape::Flag),
    ("service.deploymentConfiguration.deploymentCircuitBreaker.rollback", Shape::Flag),
    ("service.deploymentConfiguration.alarms.enable", Shape::Flag),
    ("service.deploymentConfiguration.alarms.rollback", Shape::Flag),
    ("service.desiredCount", Shape::Number),
    ("service.enableECSManagedTags", Shape::Flag),
    ("service.enableExecuteCommand", Shape::Flag),
    ("service.healthCheckGracePeriodSeconds", Shape::Number),
    ("service.loadBalancers[].containerName", Shape::Name),
    ("service.loadBalancers[].containerPort", Shape::Number),
    ("service.networkConfiguration.awsvpcConfiguration.assignPublicIp", ENABLED),
    ("service.networkConfiguration.awsvpcConfiguration.securityGroups[]", Shape::Id("sg-")),
    ("service.networkConfiguration.awsvpcConfiguration.subnets[]", Shape::Id("subnet-")),
    ("service.platformVersion", Shape::OneOf(&["LATEST", "1.4.0", "1.3.0", "1.0.0"])),
    ("service.propagateTags", Shape::OneOf(&["TASK_DEFINITION", "SERVICE", "NONE"])),
];

fn is_structural(kind: &str, leaf: &Value) -> bool {
    SHOWN.iter().any(|(known, shape)| *known == kind && fits(shape, leaf))
}

fn fits(shape: &Shape, leaf: &Value) -> bool {
    let text = leaf.as_str();
    match shape {
        Shape::Number => leaf.is_number(),
        Shape::Flag => leaf.is_boolean(),
        Shape::Size => leaf.is_number() || text.is_some_and(is_size),
        Shape::Image => text.is_some_and(is_image),
        Shape::Name => text.is_some_and(is_name),
        Shape::LogGroup => text.is_some_and(is_log_group),
        Shape::Role => text.is_some_and(is_role),
        Shape::OneOf(words) => text.is_some_and(|text| words.contains(&text)),
        Shape::Id(prefix) => {
            let digits = text.and_then(|text| text.strip_prefix(prefix));
            digits.is_some_and(|digits| {
                matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        }
    }
}

fn is_size(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(number.len()..).unwrap_or_default().to_ascii_lowercase();
    matches!(unit.as_str(), "" | "vcpu" | "gb") && number.trim().parse::<f64>().is_ok()
}

/// `registry/path:tag@sha256:digest`, each part but the path optional. A registry has no user.
fn is_image(text: &str) -> bool {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let is_digest = |digest: &str| {
        let digits = digest.strip_prefix("sha256:");
        digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
    !name.is_empty() && name.bytes().all(plain) && !name.contains("://") && digest.is_none_or(is_digest)
}

/// `arn:<partition>:iam::<account>:role/<path and name>`.
fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let ["arn", partition, "iam", "", account, name] = parts.as_slice() else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte);
    is_name(partition)
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && name.strip_prefix("role/").is_some_and(|name| name.bytes().all(plain))
}

fn is_log_group(text: &str) -> bool {
    text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte))
}

fn is_name(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
