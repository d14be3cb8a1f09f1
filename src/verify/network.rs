//! Where tasks are placed in a network: subnets and security groups, whether they belong together, and whether there are addresses
//! enough for the tasks that are started beside those that run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::deployment::{Room, room};
use super::{Check, Subject, What};
use crate::model::surroundings::{Questions, Subnet, Surroundings};
use crate::model::{OneShot, Reading, RunNetwork, ScheduledTask, Service, Workload};

/// What the tasks are given.
pub(super) struct Network<'s> {
    /// Which rule or schedule gives it, in front of what is said of it; empty where there is one network only.
    whose: String,
    pub subnets: BTreeSet<&'s str>,
    pub groups: BTreeSet<&'s str>,
    room: Room,
    /// What takes the room.
    start: String,
}

impl<'s> Network<'s> {
    /// `configuration`: an `awsvpcConfiguration`. Its members begin with a small letter in Amazon ECS and with a capital one in
    /// EventBridge (their API references, `AwsVpcConfiguration`).
    fn read(configuration: &'s Value, [subnets, groups]: [&str; 2], room: Room, start: String) -> Self {
        let names = |key: &str| -> BTreeSet<&'s str> {
            let all = configuration.get(key).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(Value::as_str).collect()
        };
        Self { whose: String::new(), subnets: names(subnets), groups: names(groups), room, start }
    }

    /// Each once.
    pub fn all(subject: &'s Subject<'_>) -> Vec<Self> {
        match &subject.desired.workload {
            Workload::Service(_) => Self::of_service(subject).into_iter().collect(),
            Workload::Task(task) => Self::of_run(task, subject).into_iter().collect(),
            Workload::ScheduledTask(task) => Self::of_targets(task, subject),
        }
    }

    /// As declared, else as the service has it; `None`: its tasks have the network of their host.
    fn of_service(subject: &'s Subject<'_>) -> Option<Self> {
        let declared = subject.desired.service_settings.as_ref().and_then(configuration);
        let live = || of_live(subject.observed.service.known()?);
        let room = room(subject);
        let start = format!("a deployment starts up to {} tasks beside the others", room.beside);
        Some(Self::read(declared.or_else(live)?, OF_ECS, room, start))
    }

    fn of_run(task: &'s OneShot, subject: &'s Subject<'_>) -> Option<Self> {
        let configuration = match &task.network {
            RunNetwork::Unspecified => return None,
            RunNetwork::Declared(configuration) => configuration,
            RunNetwork::Like(_) => of_live(subject.observed.model_service.as_ref()?.known()?)?,
        };
        Some(Self::read(configuration, OF_ECS, tasks(1), "a run takes one".to_owned()))
    }

    /// Those of the targets that start what is declared.
    fn of_targets(task: &'s ScheduledTask, subject: &'s Subject<'_>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (name, target) in super::schedule::targets(task, subject) {
            let Some(parameters) = target.ecs_parameters() else { continue };
            let Some(configuration) = parameters.pointer("/NetworkConfiguration/awsvpcConfiguration") else {
                continue;
            };
            // One task where nothing is said (their API references, `EcsParameters`).
            let count = parameters.get("TaskCount").and_then(Value::as_u64).unwrap_or(1);
            let start =
                format!("a run takes {}", if count == 1 { "one".to_owned() } else { count.to_string() });
            let network = Self::read(configuration, OF_EVENTS, tasks(count), start);
            if !all.iter().any(|one| (&one.subnets, &one.groups) == (&network.subnets, &network.groups)) {
                all.push(Self { whose: format!("{name}: "), ..network });
            }
        }
        all
    }
}

const OF_ECS: [&str; 2] = ["subnets", "securityGroups"];
const OF_EVENTS: [&str; 2] = ["Subnets", "SecurityGroups"];

fn configuration(settings: &Value) -> Option<&Value> {
    settings.get("networkConfiguration")?.get("awsvpcConfiguration")
}

fn of_live(service: &Service) -> Option<&Value> {
    configuration(&service.settings)
}

/// All of them, or nothing is started.
fn tasks(count: u64) -> Room {
    Room { beside: count, least: count }
}

pub(super) fn ask(subject: &Subject<'_>, questions: &mut Questions) {
    for network in Network::all(subject) {
        questions.subnets.extend(network.subnets.into_iter().map(str::to_owned));
        questions.security_groups.extend(network.groups.into_iter().map(str::to_owned));
    }
}

pub(super) fn checks(subject: &Subject<'_>, surroundings: &Surroundings) -> Vec<Check> {
    Network::all(subject).iter().flat_map(|network| of_network(network, surroundings)).collect()
}

fn of_network(network: &Network<'_>, surroundings: &Surroundings) -> Vec<Check> {
    let (subnets, groups) = (&surroundings.subnets, &surroundings.security_groups);
    let whose = &network.whose;
    let mut checks = Vec::new();
    let found = there(What::Subnet, &network.subnets, subnets, &mut checks);
    let vpcs: BTreeSet<&str> = found.iter().map(|subnet| subnet.vpc.as_str()).collect();
    if vpcs.len() > 1 {
        checks.push(Check::bad(
            What::Subnet,
            format!(
                "{whose}they are of different VPCs: {}",
                vpcs.iter().copied().collect::<Vec<_>>().join(", ")
            ),
            "name subnets of one VPC",
        ));
    }
    if found.len() == network.subnets.len() {
        checks.push(addresses(&found, network));
    }
    let before = checks.len();
    let groups_found = there(What::SecurityGroup, &network.groups, groups, &mut checks);
    let strange = groups_found.iter().find(|vpc| !vpcs.is_empty() && !vpcs.contains(vpc.as_str()));
    if let Some(vpc) = strange {
        let own = vpcs.iter().copied().collect::<Vec<_>>().join(", ");
        checks.push(Check::bad(
            What::SecurityGroup,
            format!("{whose}one is of {vpc}, and the subnets are of {own}"),
            "name groups of the VPC that the subnets belong to",
        ));
    } else if !groups_found.is_empty() && checks.len() == before {
        let names = network.groups.iter().copied().collect::<Vec<_>>().join(", ");
        checks.push(Check::good(What::SecurityGroup, format!("{whose}{names}")));
    }
    checks
}

/// What is known of those that are there. The others are told.
fn there<'a, T>(
    what: What,
    names: &BTreeSet<&str>,
    found: &'a BTreeMap<String, Reading<T>>,
    checks: &mut Vec<Check>,
) -> Vec<&'a T> {
    let mut known = Vec::new();
    for name in names {
        match found.get(*name) {
            Some(Reading::Known(one)) => known.push(one),
            Some(Reading::Absent) => {
                checks.push(Check::bad(
                    what,
                    format!("{name} is not there"),
                    "create it, or name another one",
                ));
            }
            Some(Reading::Unavailable(why)) => checks.push(Check::unseen(what, format!("{name}: {why}"))),
            None => checks.push(Check::unseen(what, format!("{name}: it was not asked for"))),
        }
    }
    known
}

/// Each task with a network of its own takes an address of one of the subnets.
fn addresses(subnets: &[&Subnet], network: &Network<'_>) -> Check {
    let free: u64 = subnets.iter().map(|subnet| subnet.free).sum();
    let Network { whose, room: Room { beside, least }, start, .. } = network;
    let told = format!("{whose}{free} addresses are free, and {start}");
    let hint = "free some, or name another subnet beside them";
    if free < *least {
        Check::bad(What::Subnet, told, hint)
    } else if free < *beside {
        Check::risk(What::Subnet, told, hint)
    } else {
        Check::good(What::Subnet, told)
    }
}
