//! Where the tasks of a service are placed in a network: subnets and security groups, whether they belong together, and whether there
//! are addresses enough for the tasks that a deployment starts beside the others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::deployment::{Room, room};
use super::{Check, Subject, What};
use crate::model::Reading;
use crate::model::surroundings::{Questions, Subnet, Surroundings};

/// What the tasks are given.
struct Network<'s> {
    subnets: BTreeSet<&'s str>,
    groups: BTreeSet<&'s str>,
}

impl<'s> Network<'s> {
    /// As declared, else as the service has it; `None`: its tasks have the network of their host.
    fn of(subject: &'s Subject<'_>) -> Option<Self> {
        let live = subject.observed.service.known().map(|service| &service.settings);
        let network = |settings: &'s Value| settings.get("networkConfiguration")?.get("awsvpcConfiguration");
        let declared = subject.desired.service_settings.as_ref().and_then(network);
        let network = declared.or_else(|| live.and_then(network))?;
        let names = |key: &str| -> BTreeSet<&'s str> {
            let all = network.get(key).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(Value::as_str).collect()
        };
        Some(Self { subnets: names("subnets"), groups: names("securityGroups") })
    }
}

pub(super) fn ask(subject: &Subject<'_>, questions: &mut Questions) {
    let Some(network) = Network::of(subject) else { return };
    questions.subnets.extend(network.subnets.into_iter().map(str::to_owned));
    questions.security_groups.extend(network.groups.into_iter().map(str::to_owned));
}

pub(super) fn checks(subject: &Subject<'_>, surroundings: &Surroundings) -> Vec<Check> {
    let Some(network) = Network::of(subject) else { return Vec::new() };
    let (subnets, groups) = (&surroundings.subnets, &surroundings.security_groups);
    let mut checks = Vec::new();
    let found = there(What::Subnet, &network.subnets, subnets, &mut checks);
    let vpcs: BTreeSet<&str> = found.iter().map(|subnet| subnet.vpc.as_str()).collect();
    if vpcs.len() > 1 {
        checks.push(Check::bad(
            What::Subnet,
            format!("they are of different VPCs: {}", vpcs.iter().copied().collect::<Vec<_>>().join(", ")),
            "name subnets of one VPC",
        ));
    }
    if found.len() == network.subnets.len() {
        checks.push(addresses(&found, subject));
    }
    let before = checks.len();
    let groups_found = there(What::SecurityGroup, &network.groups, groups, &mut checks);
    let strange = groups_found.iter().find(|vpc| !vpcs.is_empty() && !vpcs.contains(vpc.as_str()));
    if let Some(vpc) = strange {
        let own = vpcs.iter().copied().collect::<Vec<_>>().join(", ");
        checks.push(Check::bad(
            What::SecurityGroup,
            format!("one is of {vpc}, and the subnets are of {own}"),
            "name groups of the VPC that the subnets belong to",
        ));
    } else if !groups_found.is_empty() && checks.len() == before {
        let names = network.groups.iter().copied().collect::<Vec<_>>().join(", ");
        checks.push(Check::good(What::SecurityGroup, names));
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
fn addresses(subnets: &[&Subnet], subject: &Subject<'_>) -> Check {
    let free: u64 = subnets.iter().map(|subnet| subnet.free).sum();
    let Room { beside, least } = room(subject);
    let told =
        format!("{free} addresses are free, and a deployment starts up to {beside} tasks beside the others");
    let hint = "free some, or name another subnet beside them";
    if free < least {
        Check::bad(What::Subnet, told, hint)
    } else if free < beside {
        Check::risk(What::Subnet, told, hint)
    } else {
        Check::good(What::Subnet, told)
    }
}
