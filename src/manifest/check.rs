//! What is wrong with a repository that parses: one thing claimed twice, containers and placeholders that do not exist,
//! secrets in the open.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::documents::{code_deploy, containers, placeholders, roles};
use crate::masking::{may_be_a_secret, may_hold_a_secret_in_words};
use crate::model::{
    AccountId, ApplicationName, ClusterName, Complaint, Containers, Declaration, Declared, Desired,
    DesiredImage, Finding, Position, Region, RepositoryName, ScheduleName, ServiceName, Severity, Strategy,
    Tag, Target, TaskDefinitionSource, account_and_name,
};
use crate::text::nearest::Names;

/// What belongs to one target alone, after expansion; a tag to one environment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Claim<'d> {
    Service(&'d ClusterName, &'d ServiceName),
    Family(&'d str),
    Group { application: String, group: String },
    Schedule(&'d ScheduleName),
    Tag(&'d RepositoryName, &'d Tag),
}

/// Account and region; `None` is what the AWS settings say.
type Place<'d> = (Option<&'d AccountId>, Option<&'d Region>);

impl fmt::Display for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(cluster, service) => write!(f, "service {service} of cluster {cluster}"),
            Self::Family(_) => f.write_str("the task definition family that it starts from"),
            Self::Group { .. } => f.write_str("the CodeDeploy group"),
            Self::Schedule(name) => write!(f, "the {name}"),
            Self::Tag(_, tag) => write!(f, "the environment tag {tag}"),
        }
    }
}

fn claims_of(one: &Desired) -> Vec<(Place<'_>, Claim<'_>)> {
    let place = (one.account.as_ref(), one.region.as_ref());
    let registry = (one.registry.account.as_ref().or(place.0), one.registry.region.as_ref().or(place.1));
    let mut claims = Vec::new();
    claims.extend(one.service().map(|service| (place, Claim::Service(&one.cluster, service))));
    if let TaskDefinitionSource::Family(family) = &one.task_definition {
        claims.push((place, Claim::Family(family)));
    }
    let schedules = one.scheduled_task().into_iter().flat_map(|task| &task.schedules);
    claims.extend(schedules.map(|name| (place, Claim::Schedule(name))));
    if let (None, TaskDefinitionSource::File { input, .. }) = (one.service(), &one.task_definition) {
        // Its revisions remember what has run, and the targets of rules and schedules are known by it.
        claims
            .extend(input.get("family").and_then(Value::as_str).map(|family| (place, Claim::Family(family))));
        return claims;
    }
    if let Strategy::CodeDeploy(settings) = &one.strategy {
        let (application, group) = code_deploy::names(settings, one);
        claims.push((place, Claim::Group { application, group }));
    }
    let tags = one.images.iter().map(|image| Claim::Tag(&image.repository, &one.environment_tag));
    claims.extend(tags.map(|tag| (registry, tag)));
    claims
}

/// Claimants of one thing that are named; nobody reads more.
const NAMED: usize = 10;

/// One thing that several claim is one finding, which names where each of them stands.
pub(super) fn claims(declaration: &Declaration) -> Vec<Finding> {
    let mut claimants: BTreeMap<_, BTreeMap<&Target, &Desired>> = BTreeMap::new();
    for one in declaration.readable() {
        for claim in claims_of(one) {
            claimants.entry(claim).or_default().insert(&one.target, one);
        }
    }
    let (mut findings, mut of_services) = (Vec::new(), BTreeSet::new());
    for ((_, claim), by) in &claimants {
        let environments: BTreeSet<_> = by.keys().map(|target| &target.environment).collect();
        let owners = if let Claim::Tag(..) = claim { environments.len() } else { by.len() };
        let Some(first) = by.values().next().filter(|_| owners > 1) else { continue };
        let targets: Vec<&Target> = by.keys().copied().collect();
        match claim {
            Claim::Service(..) => _ = of_services.insert(targets),
            // The names follow from that of the service, which is told already: a service goes before its group.
            Claim::Group { .. }
                if of_services.contains(&targets) && by.values().all(|one| has_default_group(one)) =>
            {
                continue;
            }
            _ => {}
        }
        let message = format!("{claim} is claimed by {}", claimed_by(by));
        let of_one = by.keys().all(|target| target.application == first.target.application);
        let finding = about(first, "", message, Some(advice(claim, of_one)));
        findings.push(Finding { targets: by.keys().copied().cloned().collect(), ..finding });
    }
    findings
}

fn claimed_by(by: &BTreeMap<&Target, &Desired>) -> String {
    let place = |one: &&Desired| {
        let Position { file, line, .. } = &one.declared_at;
        format!("{} ({file}:{line})", one.target)
    };
    let named: Vec<String> = by.values().take(NAMED).map(place).collect();
    let more = by.len().checked_sub(NAMED).filter(|more| *more > 0);
    named.join(" and ") + &more.map(|more| format!(" and {more} more")).unwrap_or_default()
}

/// `of_one`: the same application claims it in several environments, where its document usually has one name for all.
fn advice(claim: &Claim<'_>, of_one: bool) -> String {
    match claim {
        Claim::Tag(..) => {
            "a tag marks one environment: give each its own with `environmentTag`, or leave that out"
                .to_owned()
        }
        Claim::Service(_, service) if of_one => format!(
            "it can belong to only one application in one environment: such as `service: {service}-{{environment}}`, or a `cluster` or `account` \
             for each"
        ),
        Claim::Family(family) if of_one => {
            format!(
                "it can belong to only one application in one environment: such as `family: {family}-{{environment}}`"
            )
        }
        Claim::Schedule(_) if of_one => {
            "it can belong to only one application in one environment: such as `nightly-{environment}`"
                .to_owned()
        }
        _ => "it can belong to only one application in one environment".to_owned(),
    }
}

fn has_default_group(one: &Desired) -> bool {
    matches!(&one.strategy, Strategy::CodeDeploy(settings) if settings.application.is_none() || settings.group.is_none())
}

/// Roles that would be passed from another account, which no service takes (IAM user guide, "Grant a user permissions to pass a role
/// to an AWS service").
pub(super) fn roles(declaration: &Declaration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for desired in declaration.readable() {
        let Some(own) = &desired.account else { continue };
        let mut told = BTreeSet::new();
        for role in roles::declared(desired) {
            let Some(account) = account_and_name(role).0.filter(|account| *account != own.as_str()) else {
                continue;
            };
            if told.insert(role) {
                let message =
                    format!("the role {role} is in account {account}, and the environment in {own}");
                let hint = Some("a role is passed within its own account alone".to_owned());
                findings.push(about(desired, "", message, hint));
            }
        }
    }
    findings
}

/// `after` and `requires`: names of no application, and orders in which everybody waits for somebody else.
pub(super) fn order(declaration: &Declaration) -> Vec<Finding> {
    let known: BTreeSet<&str> =
        declaration.applications.iter().map(|declared| declared.target().application.as_str()).collect();
    let names = Names::new(known.iter().copied());
    let readable: Vec<&Desired> = declaration.readable().collect();
    let before = before(&readable);
    let mut findings = Vec::new();
    for (index, desired) in readable.iter().enumerate() {
        for name in desired.after.iter().filter(|name| !known.contains(name.as_str())) {
            let message = format!("no application is named `{name}`");
            findings.push(about(desired, ".after", message, names.suggestion(name.as_str())));
        }
        let scheduled = desired.after.iter().find(|name| is_scheduled(desired, name, &readable));
        if let Some(first) = scheduled {
            let message = format!("it waits for the next run of {first}, which a schedule starts");
            let hint = Some("tasks come before services, and services before what is scheduled".to_owned());
            let finding = about(desired, ".after", message, hint);
            findings.push(Finding { severity: Severity::Warning, ..finding });
        }
        if waits_for_itself(index, &before) {
            let message = format!("dependency cycle: {} comes after itself", desired.target);
            findings.push(about(desired, ".after", message, None));
        }
    }
    findings
}

fn is_scheduled(desired: &Desired, name: &ApplicationName, all: &[&Desired]) -> bool {
    let target = Target { application: name.clone(), ..desired.target.clone() };
    all.iter().any(|one| one.target == target && one.scheduled_task().is_some())
}

/// Who comes directly before each of them, by index: those of one environment may be thousands.
fn before(all: &[&Desired]) -> Vec<Vec<usize>> {
    let indices: BTreeMap<&Target, usize> =
        all.iter().enumerate().map(|(index, desired)| (&desired.target, index)).collect();
    let index = |desired: &Desired, name: &ApplicationName| {
        let target = Target { application: name.clone(), ..desired.target.clone() };
        indices.get(&target).copied()
    };
    all.iter().map(|desired| desired.after.iter().filter_map(|name| index(desired, name)).collect()).collect()
}

/// Whether it comes after something that comes after it. Everybody is asked once.
fn waits_for_itself(start: usize, before: &[Vec<usize>]) -> bool {
    let (mut asked, mut next) = (vec![false; before.len()], vec![start]);
    while let Some(one) = next.pop() {
        for first in before.get(one).into_iter().flatten().copied() {
            if first == start {
                return true;
            }
            let asked = asked.get_mut(first).map(|asked| std::mem::replace(asked, true));
            next.extend(asked.is_some_and(|asked| !asked).then_some(first));
        }
    }
    false
}

/// `key`: behind the entry of the application, with a dot before it.
fn about(desired: &Desired, key: &str, message: String, hint: Option<String>) -> Finding {
    Finding {
        severity: Severity::Error,
        position: desired.declared_at.clone(),
        field: format!("spec.applications.{}{key}", desired.target.application),
        message,
        hint,
        excerpt: None,
        targets: vec![desired.target.clone()],
    }
}

/// Whoever is named by an error is frozen.
pub(super) fn freeze(declaration: &mut Declaration) {
    let errors = declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let frozen: BTreeSet<&Target> = errors.flat_map(|finding| &finding.targets).collect();
    for declared in &mut declaration.applications {
        if let Declared::Readable(desired) = declared
            && frozen.contains(&desired.target)
        {
            *declared = Declared::frozen((**desired).clone());
        }
    }
}

/// Containers that are named but not in the task definition.
pub(super) fn containers(input: &Value, images: &[DesiredImage]) -> Vec<Complaint> {
    let present: Vec<&str> = containers::images(input).map(|(name, _)| name).collect();
    let marked = containers::images(input).filter_map(|(_, image)| placeholders::whole(image).map(|_| image));
    let marked: BTreeSet<&str> = marked.collect();
    let mut found = Vec::new();
    for image in images.iter().filter(|image| containers::of_image(image, input).is_err()) {
        match &image.containers {
            Containers::Named(names) => {
                for name in names.iter().filter(|name| !present.contains(&name.as_str())) {
                    let complaint =
                        Complaint::error("containerDefinitions", format!("no container is named `{name}`"));
                    found.push(complaint.hint(format!("there is {}", present.join(", "))));
                }
            }
            Containers::Placeholder(placeholder) => {
                let complaint = Complaint::error(
                    "containerDefinitions",
                    format!("no container has the image {placeholder}"),
                );
                let there = marked.iter().copied().collect::<Vec<_>>().join(", ");
                found.push(complaint.hint(match marked.len() {
                    0 => "name them with `containers`".to_owned(),
                    1 => format!("there is {there}: name the container with `containers`"),
                    _ if images.len() > 1 => {
                        format!("there is {there}: name the container with `containers`")
                    }
                    // Each of several images has a placeholder of its own.
                    _ => {
                        format!("there is {there}: list the images under `images`, each with its `container`")
                    }
                }));
            }
        }
    }
    found
}

/// What looks like a secret in plain text: variables, commands, and options of the log driver. The value is never repeated.
pub(super) fn plain_secrets(input: &Value) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut tell = |path: String, what: &str, hint: &str| {
        let message = format!("{what} looks like a secret in plain text");
        found.push(Complaint::warning(path, message).hint(hint));
    };
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    for (number, container) in definitions.enumerate() {
        let path = |key: &str| format!("containerDefinitions[{number}].{key}");
        let environment = container.get("environment").and_then(Value::as_array).into_iter().flatten();
        for (index, entry) in environment.enumerate() {
            let part = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
            if may_be_a_secret(part("name"), part("value")) {
                let what = format!("the environment variable {}", part("name"));
                tell(path(&format!("environment[{index}]")), &what, INSTEAD);
            }
        }
        for (key, pointer) in COMMANDS {
            let words = container.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
            let words: Vec<&str> = words.filter_map(Value::as_str).collect();
            if may_hold_a_secret_in_words(&words) {
                let hint = format!("{INSTEAD}, and name the variable here: $NAME");
                tell(path(key), &format!("`{key}` holds what"), &hint);
            }
        }
        let options = container.pointer("/logConfiguration/options").and_then(Value::as_object);
        for (key, value) in options.into_iter().flatten() {
            if value.as_str().is_some_and(|value| may_be_a_secret(key, value)) {
                let at = path(&placeholders::member("logConfiguration.options", key));
                tell(at, &format!("the option {key}"), "use `secretOptions` in place of `options`");
            }
        }
    }
    found
}

const INSTEAD: &str = "use `secrets` with a reference to Secrets Manager or Parameter Store";
/// Members of a container that are words of a command.
const COMMANDS: [(&str, &str); 3] =
    [("command", "/command"), ("entryPoint", "/entryPoint"), ("healthCheck.command", "/healthCheck/command")];
