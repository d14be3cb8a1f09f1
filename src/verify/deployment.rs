//! What the decision itself rests on: credentials, the service, images, the task definition, and how the service is deployed.

use serde_json::Value;

use super::{Check, Subject, What};
use crate::documents::containers;
use crate::model::surroundings::Surroundings;
use crate::model::{
    Controller, DeploymentStrategy, DesiredImage, MoveTag, ObservedImage, Reading, Scheduling, Service,
    ServiceStatus, TargetGroup, Waiting,
};
use crate::plan::count::Count;
use crate::plan::waiting::{Class, class, describe};

/// Amazon ECS API reference, `DeploymentConfiguration`: what holds where nothing is said, for services that are no daemons.
const LEAST_HEALTHY: i64 = 100;
const MOST_RUNNING: i64 = 200;

pub(super) fn checks(subject: &Subject<'_>, surroundings: &Surroundings) -> Vec<Check> {
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
    }
    if let Ok(input) = &subject.task_definition {
        let groups = target_groups(subject).into_iter();
        checks.extend(groups.map(|wanted| target_group(&wanted, surroundings, input)));
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
    let Portions { tasks, least, most, fewest, highest } = portions(service, subject);
    let room = format!("{least} to {most} percent of {tasks} tasks");
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

/// How many tasks a rolling deployment keeps, and how many it may have.
struct Portions {
    tasks: i64,
    /// In percent, as they are declared, else as the service has them.
    least: i64,
    most: i64,
    /// In tasks.
    fewest: i64,
    highest: i64,
}

/// ECS rounds the least up and the most down (Amazon ECS API reference, `DeploymentConfiguration`).
fn portions(service: &Service, subject: &Subject<'_>) -> Portions {
    let percent = |key: &str, usual: i64| {
        let of = |settings: &Value| settings.get("deploymentConfiguration")?.get(key)?.as_i64();
        let declared = subject.desired.service_settings.as_ref().and_then(of);
        declared.or_else(|| of(&service.settings)).unwrap_or(usual)
    };
    let least = percent("minimumHealthyPercent", LEAST_HEALTHY);
    let most = percent("maximumPercent", MOST_RUNNING);
    let tasks = i64::from(match Count::of(subject.desired) {
        Some(Count::Exactly(count)) => count,
        Some(Count::Within { .. }) | None => service.desired_count,
    });
    let (fewest, highest) = ((tasks * least + 99).div_euclid(100), (tasks * most).div_euclid(100));
    Portions { tasks, least, most, fewest, highest }
}

/// How many tasks a deployment starts beside those that run: at most, and for it to go on at all.
pub(super) struct Room {
    pub beside: u64,
    pub least: u64,
}

pub(super) fn room(subject: &Subject<'_>) -> Room {
    let none = Room { beside: 0, least: 0 };
    // The tasks of a daemon are replaced one by one on their instances.
    let service = subject.observed.service.known().filter(|one| one.scheduling == Scheduling::Replica);
    let Some(service) = service else { return none };
    let Portions { tasks, fewest, highest, .. } = portions(service, subject);
    let is_rolling = service.controller == Controller::Ecs && service.strategy == DeploymentStrategy::Rolling;
    let (beside, least) = if is_rolling {
        // Where some may be stopped first, their addresses are free again.
        (highest - tasks, i64::from(fewest >= tasks && tasks > 0))
    } else {
        (tasks, tasks)
    };
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    Room { beside: number(beside), least: number(least) }
}

/// A target group, and the container and port that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    /// Its ARN.
    pub group: String,
    container: String,
    port: i64,
}

/// The load balancers of the service, and of the task sets of one that CodeDeploy deploys, against the task definition.
pub(super) fn target_groups(subject: &Subject<'_>) -> Vec<Wanted> {
    let Reading::Known(service) = &subject.observed.service else { return Vec::new() };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let of_service = service.settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten();
    let mut wanted: Vec<Wanted> = of_service
        .filter_map(|one| {
            let (group, container) = (text(one, "targetGroupArn")?, text(one, "containerName")?);
            Some(Wanted { group, container, port: one.get("containerPort")?.as_i64()? })
        })
        .collect();
    let of_sets = service.deployments.iter().filter_map(|one| one.load_balancer.as_ref());
    wanted.extend(of_sets.map(|one| Wanted {
        group: one.target_group.clone(),
        container: one.container.clone(),
        port: i64::from(one.port),
    }));
    wanted.sort();
    wanted.dedup();
    wanted
}

/// Against the task definition, and then against what the load balancer says of it.
fn target_group(wanted: &Wanted, surroundings: &Surroundings, input: &Value) -> Check {
    let Wanted { group, container, port } = wanted;
    let name = group.split('/').nth(1).unwrap_or(group);
    let to = format!("{name} to container {container}, port {port}");
    match containers::ports(input, container) {
        None => Check::bad(
            What::TargetGroup,
            format!("{to}: there is no such container"),
            "name the container as the load balancer of the service does; that cannot be changed by a deployment",
        ),
        Some(ports) if ports.contains(port) => live_group(to, surroundings.target_groups.get(group), input),
        Some(_) => Check::bad(
            What::TargetGroup,
            format!("{to}: the container does not map that port"),
            "add it to portMappings of the container",
        ),
    }
}

/// Tasks with a network of their own are registered by their addresses, all others by their instances (Amazon ECS developer guide,
/// "Use an Application Load Balancer for Amazon ECS").
fn live_group(to: String, found: Option<&Reading<TargetGroup>>, input: &Value) -> Check {
    let group = match found {
        Some(Reading::Known(group)) => group,
        Some(Reading::Absent) => {
            let hint =
                "create it; a service names its target groups as they were when it was made or updated";
            return Check::bad(What::TargetGroup, format!("{to}: there is no such target group"), hint);
        }
        Some(Reading::Unavailable(why)) => {
            return Check::unseen(What::TargetGroup, format!("{to} fits; what the group is like: {why}"));
        }
        None => return Check::good(What::TargetGroup, to),
    };
    let has_own_network = input.get("networkMode").and_then(Value::as_str) == Some("awsvpc");
    if group.takes_addresses != has_own_network {
        let (takes, mode) =
            if group.takes_addresses { ("ip", "awsvpc") } else { ("instance", "bridge or host") };
        return Check::bad(
            What::TargetGroup,
            format!("{to}: its target type is {takes}, which needs networkMode {mode}"),
            "name a target group of the other type, or change networkMode",
        );
    }
    let all: Vec<&str> = containers::images(input).map(|(name, _)| name).collect();
    let is_mapped = |port: &i64| {
        all.iter().any(|name| containers::ports(input, name).is_some_and(|ports| ports.contains(port)))
    };
    match group.health_port.filter(|port| !is_mapped(port)) {
        Some(port) => Check::risk(
            What::TargetGroup,
            format!("{to}: its health checks go to port {port}, which no container maps"),
            "have them go to traffic-port, or map that port",
        ),
        None => Check::good(What::TargetGroup, to),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_target_group_is_held_against_the_network_and_the_ports_of_the_tasks() {
        let group = |takes_addresses, health_port| {
            Reading::Known(TargetGroup {
                arn: "arn".to_owned(),
                name: "api".to_owned(),
                takes_addresses,
                network: None,
                protocol: None,
                health_port,
                targets: 0,
            })
        };
        let input = |mode: &str| json!({"networkMode": mode, "containerDefinitions": [{"name": "api", "portMappings": [{"containerPort": 8080}]}]});
        let found = |mode: &str, group: Option<Reading<TargetGroup>>| match live_group(
            "api".to_owned(),
            group.as_ref(),
            &input(mode),
        )
        .found
        {
            Found::Good(_) => "good",
            Found::Risk { .. } => "risk",
            Found::Bad { .. } => "bad",
            Found::Unseen(_) => "unseen",
        };
        for (mode, group, expected) in [
            ("awsvpc", Some(group(true, None)), "good"),
            ("awsvpc", Some(group(true, Some(8080))), "good"),
            ("awsvpc", Some(group(true, Some(9000))), "risk"),
            ("awsvpc", Some(group(false, None)), "bad"),
            ("bridge", Some(group(false, None)), "good"),
            ("bridge", Some(group(true, None)), "bad"),
            ("awsvpc", Some(Reading::Absent), "bad"),
            ("awsvpc", Some(Reading::Unavailable("denied".to_owned())), "unseen"),
            ("awsvpc", None, "good"),
        ] {
            assert_eq!(found(mode, group.clone()), expected, "{mode} {group:?}");
        }
    }
}
