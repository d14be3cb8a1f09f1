//! What the decision itself rests on: credentials, the service, images, the task definition, and how the service is deployed.

use serde_json::Value;

use super::{Check, Subject, What};
use crate::documents::containers;
use crate::model::{
    Controller, DeploymentStrategy, DesiredImage, MoveTag, ObservedImage, Reading, Scheduling, Service,
    ServiceStatus, Waiting,
};
use crate::plan::count::Count;
use crate::plan::waiting::{Class, class, describe};

/// Amazon ECS API reference, `DeploymentConfiguration`: what holds where nothing is said, for services that are no daemons.
const LEAST_HEALTHY: i64 = 100;
const MOST_RUNNING: i64 = 200;

pub(super) fn checks(subject: &Subject<'_>) -> Vec<Check> {
    let mut checks = vec![credentials(subject), decision(subject), task_definition(subject)];
    for (wanted, observed) in subject.desired.images.iter().zip(&subject.observed.images) {
        checks.push(image(wanted, observed, subject));
        checks.extend(environment_tag(wanted, observed, subject));
    }
    if subject.desired.service().is_some() {
        checks.push(service(subject));
    }
    if let Reading::Known(service) = &subject.observed.service {
        checks.extend(circuit_breaker(service));
        checks.extend(percentages(service, subject));
        checks.extend(target_groups(service, subject));
    }
    checks
}

fn credentials(subject: &Subject<'_>) -> Check {
    let region = subject.desired.region.as_ref().map_or_else(String::new, |region| format!(", {region}"));
    match (&subject.observed.account, &subject.desired.account) {
        (Err(why), _) => {
            let account = subject.desired.account.as_ref().map(ToString::to_string);
            Check::waiting(What::Credentials, &Waiting::Unreached { account, why: why.clone() }, subject)
        }
        (Ok(actual), Some(declared)) if actual != declared => Check::bad(
            What::Credentials,
            format!("they are of account {actual}, {declared} is declared"),
            "use credentials of that account, or name its role under accounts: in the operator's settings",
        ),
        (Ok(actual), _) => Check::good(What::Credentials, format!("account {actual}{region}")),
    }
}

/// What `plan` says. What ends by itself keeps nothing from being deployed.
fn decision(subject: &Subject<'_>) -> Check {
    match &subject.plan.waiting {
        None => Check::good(What::Decision, "a write is due; `trueup plan` shows it"),
        Some(waiting) => match class(waiting) {
            Class::Failed | Class::Stalled | Class::Unreadable => {
                Check::waiting(What::Decision, waiting, subject)
            }
            Class::Settled | Class::Moving | Class::Others | Class::Build => {
                Check::good(What::Decision, describe(waiting))
            }
        },
    }
}

fn task_definition(subject: &Subject<'_>) -> Check {
    let input = match &subject.task_definition {
        Ok(input) => input,
        Err(waiting) => return Check::waiting(What::TaskDefinition, waiting, subject),
    };
    let names: Vec<&str> = containers::images(input).map(|(name, _)| name).collect();
    let family = input.get("family").and_then(Value::as_str).unwrap_or_default();
    let containers = if names.len() == 1 { "container" } else { "containers" };
    Check::good(What::TaskDefinition, format!("family {family}, {containers} {}", names.join(", ")))
}

fn image(wanted: &DesiredImage, observed: &ObservedImage, subject: &Subject<'_>) -> Check {
    let named = format!("{}:{}", wanted.repository, observed.commit_tag(wanted));
    match (&observed.repository, &observed.built) {
        (Reading::Absent, _) => {
            let repository = wanted.repository.to_string();
            Check::waiting(What::Image, &Waiting::RepositoryMissing { repository }, subject)
        }
        (Reading::Unavailable(why), _) | (_, Reading::Unavailable(why)) => {
            Check::unseen(What::Image, format!("{named}: {why}"))
        }
        (_, Reading::Known(image)) => {
            let platforms = image.platforms.iter().filter(|platform| !platform.os.is_empty());
            let platforms: Vec<String> =
                platforms.map(|platform| format!("{}/{}", platform.os, platform.architecture)).collect();
            let platforms =
                if platforms.is_empty() { String::new() } else { format!(", {}", platforms.join(" and ")) };
            Check::good(What::Image, format!("{named} is {}{platforms}", image.digest.short()))
        }
        (_, Reading::Absent) => Check::bad(
            What::Image,
            format!("{named} is not in the registry"),
            "the build of the commit has to come first; commitTag says how builds tag their images",
        ),
    }
}

/// Whether the tag can follow what runs, again and again.
fn environment_tag(wanted: &DesiredImage, observed: &ObservedImage, subject: &Subject<'_>) -> Option<Check> {
    let Reading::Known(repository) = &observed.repository else { return None };
    if subject.desired.policy.move_tag == MoveTag::Never {
        return None;
    }
    let tag = &subject.desired.environment_tag;
    Some(if repository.mutability.can_move(tag) {
        Check::good(What::EnvironmentTag, format!("{}:{tag} can move", wanted.repository))
    } else {
        let (repository, tag) = (wanted.repository.to_string(), tag.to_string());
        Check::waiting(What::EnvironmentTag, &Waiting::TagImmutable { repository, tag }, subject)
    })
}

fn service(subject: &Subject<'_>) -> Check {
    let (name, cluster) = (subject.desired.name_in_cluster(), &subject.desired.cluster);
    match &subject.observed.service {
        Reading::Known(service) if service.status == ServiceStatus::Active => Check::good(
            What::Service,
            format!(
                "{name} in cluster {cluster}: {} of {} tasks run",
                service.running_count, service.desired_count
            ),
        ),
        Reading::Known(_) | Reading::Absent => {
            let (service, cluster) = (name.to_owned(), cluster.to_string());
            Check::waiting(What::Service, &Waiting::ServiceMissing { service, cluster }, subject)
        }
        Reading::Unavailable(why) => Check::unseen(What::Service, format!("{name}: {why}")),
    }
}

/// Whether ECS itself goes back. Native strategies always do, and CodeDeploy by what each deployment asks for.
fn circuit_breaker(service: &Service) -> Option<Check> {
    let is_rolling = service.controller == Controller::Ecs && service.strategy == DeploymentStrategy::Rolling;
    is_rolling.then(|| match (service.circuit_breaker, service.alarms_roll_back) {
        (breaker, _) if breaker.enabled && breaker.rollback => {
            Check::good(What::CircuitBreaker, "ECS rolls back what does not get healthy")
        }
        (_, true) => Check::good(What::CircuitBreaker, "alarms roll back; there is no circuit breaker"),
        _ => Check::risk(
            What::CircuitBreaker,
            "there is none with rollback: only trueup goes back, after progressDeadline, and only while it runs",
            "set deploymentConfiguration.deploymentCircuitBreaker {enable: true, rollback: true} in serviceSettings",
        ),
    })
}

/// Whether a rolling deployment has room: one task may be started beside the others, or one may be stopped before it is replaced. ECS
/// rounds the least up and the most down (Amazon ECS API reference, `DeploymentConfiguration`).
fn percentages(service: &Service, subject: &Subject<'_>) -> Option<Check> {
    let is_rolling = service.controller == Controller::Ecs
        && service.strategy == DeploymentStrategy::Rolling
        && service.scheduling == Scheduling::Replica;
    if !is_rolling {
        return None;
    }
    let percent = |key: &str, usual: i64| {
        let of = |settings: &Value| settings.get("deploymentConfiguration")?.get(key)?.as_i64();
        let declared = subject.desired.service_settings.as_ref().and_then(of);
        declared.or_else(|| of(&service.settings)).unwrap_or(usual)
    };
    let least = percent("minimumHealthyPercent", LEAST_HEALTHY);
    let most = percent("maximumPercent", MOST_RUNNING);
    let count = match Count::of(subject.desired) {
        Some(Count::Exactly(count)) => count,
        Some(Count::Within { .. }) | None => service.desired_count,
    };
    let tasks = i64::from(count);
    let (fewest, highest) = ((tasks * least + 99).div_euclid(100), (tasks * most).div_euclid(100));
    let room = format!("{least} to {most} percent of {count} tasks");
    Some(if tasks > 0 && fewest >= tasks && highest <= tasks {
        Check::bad(
            What::Percentages,
            format!("{room}: none may be stopped and none may be started, so that nothing is ever replaced"),
            "lower minimumHealthyPercent or raise maximumPercent of deploymentConfiguration",
        )
    } else {
        Check::good(What::Percentages, room)
    })
}

/// The load balancers of the service, and of the task sets of one that CodeDeploy deploys, against the task definition.
fn target_groups(service: &Service, subject: &Subject<'_>) -> Vec<Check> {
    let Ok(input) = &subject.task_definition else { return Vec::new() };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let of_service = service.settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten();
    let mut wanted: Vec<(String, String, i64)> = of_service
        .filter_map(|one| {
            let group = text(one, "targetGroupArn")?;
            Some((group, text(one, "containerName")?, one.get("containerPort")?.as_i64()?))
        })
        .collect();
    let of_sets = service.deployments.iter().filter_map(|one| one.load_balancer.as_ref());
    wanted.extend(of_sets.map(|one| (one.target_group.clone(), one.container.clone(), i64::from(one.port))));
    wanted.sort();
    wanted.dedup();
    wanted.into_iter().map(|(group, container, port)| target_group(&group, &container, port, input)).collect()
}

fn target_group(group: &str, container: &str, port: i64, input: &Value) -> Check {
    let name = group.split('/').nth(1).unwrap_or(group);
    let to = format!("{name} to container {container}, port {port}");
    match containers::ports(input, container) {
        None => Check::bad(
            What::TargetGroup,
            format!("{to}: there is no such container"),
            "name the container as the load balancer of the service does; that cannot be changed by a deployment",
        ),
        Some(ports) if ports.contains(&port) => Check::good(What::TargetGroup, to),
        Some(_) => Check::bad(
            What::TargetGroup,
            format!("{to}: the container does not map that port"),
            "add it to portMappings of the container",
        ),
    }
}
