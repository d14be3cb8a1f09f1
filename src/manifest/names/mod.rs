//! What AWS lets a name be, by what it names: every name, ARN, region, account and tag that a repository gives is held
//! against this one table before anything is made of it. A name stands in requests, in ARNs of policies and in the hosts of
//! endpoints, so that one that AWS would refuse must never get there.

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::escape::line;
use crate::model::{
    AccountId, Complaint, Desired, Registry, RunNetwork, ScheduleName, Strategy, TaskDefinitionSource,
};
use crate::text::fields::{self, Fields, text};
use crate::text::report::Report;
use crate::text::tree::{Kind, Node, Place};

/// Letters of a wrong name that are repeated; a whole document may stand in one.
const LONGEST_REPEATED: usize = 80;

/// What a text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameKind {
    Account,
    Region,
    Cluster,
    Service,
    Family,
    Container,
    CapacityProvider,
    Repository,
    Tag,
    Digest,
    /// A role by its ARN or, as a task definition may give it, by its name.
    Role,
    RoleArn,
    CodeDeployApplication,
    CodeDeployGroup,
    CodeDeployConfiguration,
    TargetGroup,
    TargetGroupArn,
    /// A target group by either.
    TargetGroupOrArn,
    ListenerArn,
    ListenerRuleArn,
    RegistryArn,
    Alarm,
    Function,
    EventRule,
    Schedule,
    ScheduleGroup,
    Image,
    LogGroup,
    ParameterOrSecret,
    FileSystem,
    TagKey,
    TagValue,
}

/// What is named, what it may be in words, and whether a text is that.
struct Rule {
    what: &'static str,
    pattern: &'static str,
    fits: fn(&str) -> bool,
}

impl NameKind {
    /// The patterns are those of botocore's service models; where a model has none, those of the page that is named.
    #[rustfmt::skip]
    fn rule(self) -> Rule {
        let rule = |what, pattern, fits| Rule { what, pattern, fits };
        match self {
            // ECR `RegistryId`: [0-9]{12}
            Self::Account => rule("an AWS account", "twelve digits", AccountId::is_one),
            // The endpoint rules of the AWS SDKs, `regionRegex`: ^(us|eu|ap|…)-\w+-\d+$; ECR `Region`: at most 25.
            Self::Region => rule("an AWS region", "such as eu-west-2", is_region),
            // Amazon ECS API reference, `CreateCluster`, `CreateService`, `RegisterTaskDefinition`, `ContainerDefinition`
            // and `CreateCapacityProvider`: up to 255 letters, numbers, underscores and hyphens. AWS's tools take a hyphen in
            // front for an option.
            Self::Cluster => rule("an ECS cluster", ECS, is_ecs_name),
            Self::Service => rule("an ECS service", ECS, is_ecs_name),
            Self::Family => rule("a task definition family", ECS, is_ecs_name),
            Self::Container => rule("a container", ECS, is_ecs_name),
            Self::CapacityProvider => rule("a capacity provider", ECS, is_ecs_name),
            // ECR `RepositoryName`: [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*, 2 to 256
            Self::Repository => rule("an ECR repository", "2 to 256 small letters and digits, in groups joined by `.`, `_`, `__`, `-` or `/`, such as mco/api", is_repository),
            // OCI distribution specification, "Pulling manifests": [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
            Self::Tag => rule("an ECR image tag", "1 to 128 letters, digits and `.`, `_`, `-`, beginning with a letter, a digit or `_`", is_tag),
            // ECR API reference, `ImageIdentifier`
            Self::Digest => rule("the digest of an image", "`sha256:` and 64 hexadecimal digits", is_digest),
            // IAM `roleNameType`: [\w+=,.@-]+, at most 64; ECR `PrincipalArn`:
            // ^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+(/[\w+=,.@-]+)*$
            Self::Role => rule("an IAM role", "its ARN, arn:aws:iam::123456789012:role/NAME, or its name: up to 64 letters, digits and `_+=,.@-`", is_role),
            Self::RoleArn => rule("an IAM role", "its ARN: arn:aws:iam::123456789012:role/NAME", is_role_arn),
            // AWS CodeDeploy user guide, quotas: 1 to 100 letters, numbers, periods, underscores and `+=,@-`
            Self::CodeDeployApplication => rule("a CodeDeploy application", CODE_DEPLOY, is_code_deploy_name),
            Self::CodeDeployGroup => rule("a CodeDeploy deployment group", CODE_DEPLOY, is_code_deploy_name),
            Self::CodeDeployConfiguration => rule("a CodeDeploy deployment configuration", CODE_DEPLOY, is_code_deploy_name),
            // Elastic Load Balancing API reference, `CreateTargetGroup`
            Self::TargetGroup => rule("a target group", "up to 32 letters, digits and `-`, which is neither first nor last", is_target_group),
            // IAM user guide, service authorization reference of Elastic Load Balancing V2, resource types
            Self::TargetGroupArn => rule("a target group", "its ARN: arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID", |text| is_balancer_arn(text, &[("targetgroup", 2)])),
            Self::TargetGroupOrArn => rule("a target group", "its ARN, arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID, or its name: up to 32 letters, digits and `-`", |text| is_target_group(text) || is_balancer_arn(text, &[("targetgroup", 2)])),
            Self::ListenerArn => rule("a listener", "its ARN: arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/NAME/ID/ID", |text| is_balancer_arn(text, &[("listener", 4)])),
            Self::ListenerRuleArn => rule("a listener or a rule of one", "its ARN: arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener-rule/app/NAME/ID/ID/ID", |text| is_balancer_arn(text, &[("listener-rule", 5), ("listener", 4)])),
            // Service authorization reference of AWS Cloud Map, resource types
            Self::RegistryArn => rule("a service registry", "the ARN of a service of Cloud Map: arn:aws:servicediscovery:REGION:ACCOUNT:service/ID", is_registry_arn),
            // CloudWatch `AlarmName`: 1 to 255; API reference, `PutMetricAlarm`: no control characters
            Self::Alarm => rule("a CloudWatch alarm", "1 to 255 characters, none of which is a control character", is_alarm),
            // Lambda `NamespacedFunctionName`: (arn:(aws[a-zA-Z-]*)?:lambda:)?(REGION:)?(\d{12}:)?(function:)?
            // ([a-zA-Z0-9-_\.]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?, at most 256
            Self::Function => rule("a Lambda function", "its name, letters, digits and `-_.`, or its ARN: arn:aws:lambda:REGION:ACCOUNT:function:NAME", is_function),
            // EventBridge `RuleName`: [\.\-_A-Za-z0-9]+, at most 64
            Self::EventRule => rule("a rule of EventBridge", EVENTS, is_event_name),
            // EventBridge Scheduler `Name` and `ScheduleGroupName`: [0-9a-zA-Z-_.]+, at most 64
            Self::Schedule => rule("a schedule of EventBridge Scheduler", EVENTS, is_event_name),
            Self::ScheduleGroup => rule("a group of EventBridge Scheduler", EVENTS, is_event_name),
            // Amazon ECS API reference, `ContainerDefinition`, and the `@` before a digest
            Self::Image => rule("an image", "letters, digits and `.-_:/@#`", |text| is_made_of(text, 1024, b".-_:/@#")),
            // CloudWatch Logs `LogGroupName`: [\.\-_/#A-Za-z0-9]+, at most 512
            Self::LogGroup => rule("a log group", "1 to 512 letters, digits and `.-_/#`", |text| is_made_of(text, 512, b".-_/#")),
            // Systems Manager API reference, `PutParameter`: letters, digits and `.-_/`. What an ARN of a secret names in it may
            // be the key of any JSON.
            Self::ParameterOrSecret => rule("a parameter or a secret", "its ARN, arn:aws:secretsmanager:… or arn:aws:ssm:…, with its region, or the name of a parameter: letters, digits and `.-_/`", is_parameter_or_secret),
            // Amazon EFS `FileSystemId`: ^(arn:aws[-a-z]*:elasticfilesystem:…:file-system/fs-[0-9a-f]{8,40}|fs-[0-9a-f]{8,40})$
            Self::FileSystem => rule("an EFS file system", "such as fs-0123456789abcdef0", is_file_system),
            // ECS `TagKey`, 1 to 128, and `TagValue`, up to 256: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)
            Self::TagKey => rule("the key of a tag", "1 to 128 letters, digits, spaces and `_.:/=+-@`", |text| is_tag_text(text, 1, 128)),
            Self::TagValue => rule("the value of a tag", "up to 256 letters, digits, spaces and `_.:/=+-@`", |text| is_tag_text(text, 0, 256)),
        }
    }

    pub(crate) fn allows(self, name: &str) -> bool {
        (self.rule().fits)(name)
    }

    /// Message and hint about a text that cannot be the name.
    pub(crate) fn complaint(self, name: &str) -> (String, String) {
        let Rule { what, pattern, .. } = self.rule();
        let hint = mistake(self, name).map_or_else(|| pattern.to_owned(), |why| format!("{why}; {pattern}"));
        (format!("`{}` cannot be {what}", repeated(name)), hint)
    }

    /// Reports a text that cannot be the name.
    pub(crate) fn check(self, name: &str, place: impl Into<Place>, path: &str, report: &mut Report<'_>) {
        if !self.allows(name) {
            let (message, hint) = self.complaint(name);
            report.error(place, path, message).hint = Some(hint);
        }
    }
}

const ECS: &str = "1 to 255 letters, digits, `-` and `_`, not beginning with `-`";
const EVENTS: &str = "1 to 64 letters, digits and `.-_`";
const CODE_DEPLOY: &str = "1 to 100 letters, digits and `._+=,@-`, not beginning with `-`";

/// What somebody meant who wrote another thing.
fn mistake(kind: NameKind, name: &str) -> Option<&'static str> {
    let takes_arn = matches!(
        kind,
        NameKind::Role
            | NameKind::RoleArn
            | NameKind::ListenerArn
            | NameKind::ListenerRuleArn
            | NameKind::TargetGroupArn
            | NameKind::TargetGroupOrArn
            | NameKind::RegistryArn
            | NameKind::ParameterOrSecret
            | NameKind::Function
    );
    match name {
        _ if name.contains(['{', '}']) => Some("only `{environment}` is replaced"),
        _ if name.contains(['<', '>']) => Some("placeholders `<NAME>` are filled in files only"),
        _ if name.starts_with("arn:") && !takes_arn => Some("write the name alone, not the ARN"),
        _ if kind == NameKind::Repository && name.contains(".dkr.ecr.") => {
            Some("write the repository's name alone; where its registry is goes under `registry`")
        }
        _ if name.trim() != name => Some("there is white space around it"),
        _ => None,
    }
}

/// A text that cannot be trusted, fit to stand in a message: short, and harmless on one line.
pub(crate) fn repeated(text: &str) -> String {
    let start: String = text.chars().take(LONGEST_REPEATED).collect();
    let more = if text.chars().nth(LONGEST_REPEATED).is_some() { "…" } else { "" };
    format!("{}{more}", line(&start))
}

/// Whether every name by which AWS is asked about it can be one.
pub(super) fn are_plain(desired: &Desired) -> bool {
    let Registry { account, region } = &desired.registry;
    let accounts = [desired.account.as_ref(), account.as_ref()].into_iter().flatten();
    let regions = [desired.region.as_ref(), region.as_ref()].into_iter().flatten();
    let mut names = vec![
        (NameKind::Cluster, desired.cluster.as_str()),
        (NameKind::Tag, desired.environment_tag.as_str()),
    ];
    names.extend(desired.service().map(|service| (NameKind::Service, service.as_str())));
    if let Some(RunNetwork::Like(service)) = desired.task().map(|task| &task.network) {
        names.push((NameKind::Service, service.as_str()));
    }
    for name in desired.scheduled_task().into_iter().flat_map(|task| &task.schedules) {
        match name {
            ScheduleName::Rule(name) => names.push((NameKind::EventRule, name)),
            ScheduleName::Schedule { group, name } => {
                names.extend([(NameKind::ScheduleGroup, group.as_str()), (NameKind::Schedule, name)]);
            }
        }
    }
    names.extend(accounts.map(|account| (NameKind::Account, account.as_str())));
    names.extend(regions.map(|region| (NameKind::Region, region.as_str())));
    for image in &desired.images {
        names.push((NameKind::Repository, image.repository.as_str()));
        names.push((NameKind::Tag, image.commit_tag.as_str()));
    }
    if let TaskDefinitionSource::Family(family) = &desired.task_definition {
        names.push((NameKind::Family, family));
    }
    match &desired.strategy {
        Strategy::CodeDeploy(settings) => {
            let application = settings.application.iter();
            names.extend(application.map(|name| (NameKind::CodeDeployApplication, name.as_str())));
            names.extend(settings.group.iter().map(|name| (NameKind::CodeDeployGroup, name.as_str())));
        }
        Strategy::Native(native) => {
            for balancer in native.balancers.iter().flatten() {
                let groups = balancer.target_groups.iter();
                names.extend(groups.map(|name| (NameKind::TargetGroupOrArn, name.as_str())));
                let rules = [Some(&balancer.production_rule), balancer.test_rule.as_ref()];
                names
                    .extend(rules.into_iter().flatten().map(|arn| (NameKind::ListenerRuleArn, arn.as_str())));
            }
        }
        Strategy::Rolling | Strategy::Unspecified => {}
    }
    names.iter().all(|(kind, name)| kind.allows(name))
}

/// The names in `serviceSettings`, by the members they stand in.
pub(super) fn check_service_settings(node: &Node, path: &str, report: &mut Report<'_>) {
    let (Kind::Map(_) | Kind::List(_)) = &node.kind else { return };
    if let Kind::List(items) = &node.kind {
        for item in items {
            check_service_settings(item, path, report);
        }
    }
    let Kind::Map(entries) = &node.kind else { return };
    for (key, value) in entries {
        let path = format!("{path}.{}", key.text);
        match (member(&key.text), &value.kind) {
            (Some(kind), Kind::Scalar { .. }) if !value.is_null() => {
                if let Some(name) = text(value, &path, report) {
                    kind.check(&name, value, &path, report);
                }
            }
            (Some(kind), Kind::List(items)) => {
                for item in items {
                    let name = text(item, &path, report);
                    if let Some(name) = name {
                        kind.check(&name, item, &path, report);
                    }
                }
            }
            _ => check_service_settings(value, &path, report),
        }
    }
}

/// Members of `UpdateService` that hold a name, however deep.
fn member(key: &str) -> Option<NameKind> {
    Some(match key {
        "roleArn" => NameKind::RoleArn,
        "targetGroupArn" | "alternateTargetGroupArn" => NameKind::TargetGroupArn,
        "productionListenerRule" | "testListenerRule" => NameKind::ListenerRuleArn,
        "registryArn" => NameKind::RegistryArn,
        "containerName" => NameKind::Container,
        "capacityProvider" => NameKind::CapacityProvider,
        "alarmNames" => NameKind::Alarm,
        _ => return None,
    })
}

/// The names in a task definition, or in what is laid over one. `replaced`: the paths of images that are put in.
pub(super) fn in_task_definition(input: &Value, replaced: &[String]) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut check = |kind: NameKind, path: String, name: Option<&Value>| {
        let name = name.and_then(Value::as_str).filter(|name| !kind.allows(name));
        if let Some((message, hint)) = name.map(|name| kind.complaint(name)) {
            found.push(Complaint::error(path, message).hint(hint));
        }
    };
    check(NameKind::Family, "family".to_owned(), input.get("family"));
    for role in ["taskRoleArn", "executionRoleArn"] {
        // AWS takes an empty one for none.
        check(NameKind::Role, role.to_owned(), input.get(role).filter(|role| **role != ""));
    }
    let containers = input.get("containerDefinitions").and_then(Value::as_array);
    for (index, container) in containers.into_iter().flatten().enumerate() {
        let path = format!("containerDefinitions[{index}]");
        check(NameKind::Container, format!("{path}.name"), container.get("name"));
        let image = format!("{path}.image");
        if !replaced.contains(&image) {
            // An empty one is told by whoever needs it.
            check(NameKind::Image, image, container.get("image").filter(|image| **image != ""));
        }
        let logs = container.get("logConfiguration");
        for (kind, key) in [(NameKind::LogGroup, "awslogs-group"), (NameKind::Region, "awslogs-region")] {
            let option = logs.and_then(|logs| logs.get("options")?.get(key));
            // An empty one is told by whoever needs it.
            let option = option.filter(|option| **option != "");
            check(kind, format!("{path}.logConfiguration.options.{key}"), option);
        }
        let of_logs = logs.and_then(|logs| logs.get("secretOptions"));
        for (place, secrets) in
            [("secrets", container.get("secrets")), ("logConfiguration.secretOptions", of_logs)]
        {
            for (at, secret) in secrets.and_then(Value::as_array).into_iter().flatten().enumerate() {
                let path = format!("{path}.{place}[{at}].valueFrom");
                check(NameKind::ParameterOrSecret, path, secret.get("valueFrom"));
            }
        }
    }
    let volumes = input.get("volumes").and_then(Value::as_array);
    for (index, volume) in volumes.into_iter().flatten().enumerate() {
        let path = format!("volumes[{index}].efsVolumeConfiguration.fileSystemId");
        let id = volume.get("efsVolumeConfiguration").and_then(|efs| efs.get("fileSystemId"));
        check(NameKind::FileSystem, path, id);
    }
    found
}

/// The names of some containers.
pub(crate) fn containers(node: &Node, path: &str, report: &mut Report<'_>) -> Option<Vec<String>> {
    fields::some_items(node, path, report)?;
    names(node, path, NameKind::Container, &str::to_owned, report)
}

impl Fields<'_, '_, '_> {
    /// The name of one, filled in and held against what such names may be.
    pub(crate) fn name(
        &mut self,
        key: &'static str,
        kind: NameKind,
        fill: &dyn Fn(&str) -> String,
    ) -> Option<String> {
        let (path, node) = (self.path(key), self.node(key)?);
        let name = fill(&text(node, &path, self.report)?);
        kind.check(&name, node, &path, self.report);
        Some(name)
    }

    pub(crate) fn names(
        &mut self,
        key: &'static str,
        kind: NameKind,
        fill: &dyn Fn(&str) -> String,
    ) -> Option<Vec<String>> {
        let (path, node) = (self.path(key), self.node(key)?);
        names(node, &path, kind, fill, self.report)
    }
}

/// The texts of a list, each of which names one.
pub(crate) fn names(
    node: &Node,
    path: &str,
    kind: NameKind,
    fill: &dyn Fn(&str) -> String,
    report: &mut Report<'_>,
) -> Option<Vec<String>> {
    let items = fields::items(node, path, report)?;
    let named = |item: &Node| {
        let name = fill(&text(item, path, report)?);
        kind.check(&name, item, path, report);
        Some(name)
    };
    Some(items.iter().filter_map(named).collect())
}

/// A part of the world, places or partitions in it, and a number.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.split_last() {
        Some((number, words)) => {
            text.len() <= 25
                && (2..=4).contains(&words.len())
                && words.iter().all(is_word)
                && is_number(number)
        }
        None => false,
    }
}

fn is_made_of(text: &str, most: usize, others: &[u8]) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    (1..=most).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_ecs_name(text: &str) -> bool {
    is_made_of(text, 255, b"-_") && !text.starts_with('-')
}

/// Names that are a step in a path, `.` and `..`, would name something else in an address.
fn is_event_name(text: &str) -> bool {
    is_made_of(text, 64, b".-_") && !matches!(text, "." | "..")
}

fn is_code_deploy_name(text: &str) -> bool {
    is_made_of(text, 100, b"._+=,@-") && !text.starts_with('-')
}

/// The address of a registry fits the pattern too, and is never the name of a repository in it.
fn is_repository(text: &str) -> bool {
    let is_address = text.contains(".dkr.ecr.");
    (2..=256).contains(&text.len()) && text.split('/').all(is_repository_part) && !is_address
}

/// Groups of small letters and digits, with one of `.`, `_`, `__` or any number of hyphens between two.
fn is_repository_part(part: &str) -> bool {
    let is_small = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let joined = part.split(is_small).filter(|between| !between.is_empty());
    let mut joined =
        joined.map(|between| matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-'));
    part.starts_with(is_small) && part.ends_with(is_small) && joined.all(|allowed| allowed)
}

fn is_tag(text: &str) -> bool {
    is_made_of(text, 128, b"._-") && !text.starts_with(['.', '-'])
}

fn is_digest(text: &str) -> bool {
    let small = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(small))
}

fn is_role_name(text: &str) -> bool {
    is_made_of(text, 64, b"_+=,.@-")
}

fn is_role(text: &str) -> bool {
    is_role_name(text) || is_role_arn(text)
}

fn is_role_arn(text: &str) -> bool {
    let Some(("iam", "", account, resource)) = arn(text) else { return false };
    let Some(path) = resource.strip_prefix("role/") else { return false };
    let (folders, name) = path.rsplit_once('/').map_or(("", path), |(folders, name)| (folders, name));
    let is_folder = |folder: &str| is_made_of(folder, 512, b"_+=,.@-");
    AccountId::is_one(account)
        && is_role_name(name)
        && path.len() <= 512 + 64
        && (folders.is_empty() && !path.starts_with('/') || folders.split('/').all(is_folder))
}

/// By its name, with a version or an alias; with what stands before that in an ARN, whole or in part.
fn is_function(text: &str) -> bool {
    let is_name = |name: &str| is_made_of(name, 256, b"-_.");
    let is_qualifier = |text: &str| text == "$LATEST" || is_made_of(text, 128, b"-_");
    let is_named = |named: &str| {
        let (name, qualifier) = named.split_once(':').unwrap_or((named, "$LATEST"));
        is_name(name) && is_qualifier(qualifier)
    };
    if text.len() > 256 {
        return false;
    }
    let (place, named) = match text.split_once(":function:") {
        Some((place, named)) => (place, named),
        None => ("", text.strip_prefix("function:").unwrap_or(text)),
    };
    let is_place = match place.split(':').collect::<Vec<_>>()[..] {
        [account] => account.is_empty() || AccountId::is_one(account),
        [region, account] => is_region(region) && AccountId::is_one(account),
        _ => {
            matches!(arn(text), Some(("lambda", region, account, _)) if is_region(region) && AccountId::is_one(account))
        }
    };
    is_place && is_named(named)
}

/// Service, region, account and resource of an ARN of any partition.
fn arn(text: &str) -> Option<(&str, &str, &str, &str)> {
    let mut parts = text.splitn(6, ':');
    let (start, partition) = (parts.next()?, parts.next()?);
    let is_partition = |partition: &str| {
        let mut words = partition.split('-');
        words.next() == Some("aws")
            && words.all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
    };
    (start == "arn" && is_partition(partition)).then_some(())?;
    Some((parts.next()?, parts.next()?, parts.next()?, parts.next()?))
}

fn is_target_group(text: &str) -> bool {
    is_made_of(text, 32, b"-") && !text.starts_with('-') && !text.ends_with('-')
}

/// The kinds that it may be of, each with the number of parts that follow.
fn is_balancer_arn(text: &str, kinds: &[(&str, usize)]) -> bool {
    let Some(("elasticloadbalancing", region, account, resource)) = arn(text) else { return false };
    let mut parts = resource.split('/');
    let kind = parts.next().and_then(|first| kinds.iter().find(|(kind, _)| *kind == first));
    let rest: Vec<&str> = parts.collect();
    is_region(region)
        && AccountId::is_one(account)
        && kind.is_some_and(|(_, count)| rest.len() == *count)
        && rest.iter().all(|part| is_made_of(part, 64, b"-"))
}

fn is_registry_arn(text: &str) -> bool {
    let Some(("servicediscovery", region, account, resource)) = arn(text) else { return false };
    let id = resource.strip_prefix("service/").unwrap_or_default();
    is_region(region) && AccountId::is_one(account) && is_made_of(id, 64, b"-_")
}

fn is_parameter_or_secret(text: &str) -> bool {
    match arn(text) {
        Some(("secretsmanager" | "ssm", region, ..)) => is_region(region),
        Some(_) => false,
        None => is_made_of(text, 2048, b".-_/"),
    }
}

fn is_file_system(text: &str) -> bool {
    let id = text.rsplit_once("file-system/").filter(|_| text.starts_with("arn:")).map_or(text, |(_, id)| id);
    let hex = id.strip_prefix("fs-").unwrap_or_default();
    (8..=40).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_alarm(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Letters of any language, digits and spaces among them.
fn is_tag_text(text: &str, least: usize, most: usize) -> bool {
    let allowed = |letter: char| letter.is_alphanumeric() || letter == ' ' || "_.:/=+-@".contains(letter);
    (least..=most).contains(&text.chars().count()) && text.chars().all(allowed)
}
