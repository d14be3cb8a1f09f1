//! Quotas of AWS that are near their end, as far as what was read for the other checks tells how much of them is used. The quotas are
//! those that every account begins with: an account may have more of those that can be raised.

use serde_json::Value;

use super::deployment::{room, target_groups};
use super::network::Network;
use super::{Check, Subject, What};
use crate::documents::tags;
use crate::model::surroundings::Surroundings;
use crate::model::{Desired, Reading, Service, TargetGroup, TaskDefinitionArn, TaskDefinitionSource};
use crate::plan::count::Count;

/// Something of which there may be so much and no more.
struct Quota {
    what: String,
    used: u64,
    most: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// People set it by hand, and may go up to it.
    Set,
    /// It grows bit by bit, and is the same for every account.
    Grows,
    /// It grows, and AWS gives more to an account that asks.
    Raisable,
}

pub(super) fn checks(subject: &Subject<'_>, surroundings: &Surroundings) -> Vec<Check> {
    let quotas = all(subject, surroundings);
    let near: Vec<Check> = quotas.iter().filter_map(Quota::near).collect();
    if !near.is_empty() {
        return near;
    }
    let growing = quotas.iter().filter(|quota| quota.kind != Kind::Set);
    let nearest = growing.max_by_key(|quota| quota.used * 1000 / quota.most.max(1));
    let told = nearest.map(|one| format!("none is near its end; the nearest is {}", one.told()));
    told.map(|told| Check::good(What::Quota, told)).into_iter().collect()
}

impl Quota {
    fn new(what: impl Into<String>, used: u64, most: u64, kind: Kind) -> Self {
        Self { what: what.into(), used, most, kind }
    }

    /// What is to be said of one of which nine tenths are used. Chosen.
    fn near(&self) -> Option<Check> {
        const FIXED: &str = "more is refused, and AWS does not raise it: use less";
        const RAISABLE: &str = "have AWS raise it (Service Quotas) before more is refused, or use less";
        let is_beyond = self.used > self.most;
        let is_near = self.used * 10 >= self.most * 9;
        match (self.kind, is_beyond, is_near) {
            (Kind::Set | Kind::Grows, true, _) => Some(Check::bad(What::Quota, self.told(), FIXED)),
            (Kind::Grows, false, true) => Some(Check::risk(What::Quota, self.told(), FIXED)),
            // How much this account has is not asked.
            (Kind::Raisable, _, true) => Some(Check::risk(What::Quota, self.told(), RAISABLE)),
            (Kind::Set, false, _) | (_, _, false) => None,
        }
    }

    fn told(&self) -> String {
        let Self { what, used, most, .. } = self;
        format!("{what}: {used} of {most}")
    }
}

fn all(subject: &Subject<'_>, surroundings: &Surroundings) -> Vec<Quota> {
    let mut quotas = Vec::new();
    if let Ok(input) = &subject.task_definition {
        quotas.extend(of_task_definition(input, subject));
    }
    quotas.extend(Network::all(subject).iter().flat_map(of_network));
    if let Reading::Known(service) = &subject.observed.service {
        quotas.extend(of_service(service, subject));
        quotas.extend(of_target_groups(subject, surroundings));
    }
    quotas
}

/// Amazon ECS service quotas, "Task definition size" and "Revisions per task definition family". More than ten containers is what the
/// decision refuses.
fn of_task_definition(input: &Value, subject: &Subject<'_>) -> Vec<Quota> {
    const MOST_BYTES: u64 = 64 * 1024;
    const MOST_REVISIONS: u64 = 1_000_000;
    let family = input.get("family").and_then(Value::as_str).unwrap_or_default();
    let known = subject.observed.revisions.keys().filter(|arn| arn.family() == family);
    let newest = known.filter_map(TaskDefinitionArn::revision).max();
    let bytes = number(input.to_string().len());
    let mut quotas = vec![
        Quota::new("bytes of the task definition", bytes, MOST_BYTES, Kind::Grows),
        tags_of_revision(input, subject),
    ];
    let newest = newest.map(|newest| (format!("revisions of {family}"), newest));
    quotas.extend(newest.map(|(what, newest)| Quota::new(what, newest, MOST_REVISIONS, Kind::Grows)));
    quotas
}

/// Those that others give, beside which trueup's own have to fit (Amazon ECS developer guide, "Tag restrictions").
fn tags_of_revision(input: &Value, subject: &Subject<'_>) -> Quota {
    let Desired { task_definition, tags: declared, images, .. } = subject.desired;
    let mut given = tags::in_file(input);
    given.extend(declared.clone());
    if !matches!(task_definition, TaskDefinitionSource::File { .. }) {
        let live = subject.plan.status.deployed.as_ref();
        let live = live.and_then(|arn| subject.observed.revisions.get(arn)?.known());
        given.extend(live.map(|revision| tags::foreign(&revision.tags)).unwrap_or_default());
    }
    let most = number(tags::most_declared(images.len()));
    Quota::new("tags of a revision beside trueup's own", number(given.len()), most, Kind::Grows)
}

/// Amazon ECS API reference, `AwsVpcConfiguration`.
fn of_network(network: &Network<'_>) -> [Quota; 2] {
    const MOST_SUBNETS: u64 = 16;
    const MOST_GROUPS: u64 = 5;
    [("subnets", &network.subnets, MOST_SUBNETS), ("security groups", &network.groups, MOST_GROUPS)].map(
        |(what, names, most)| Quota::new(format!("{what} of a task"), number(names.len()), most, Kind::Set),
    )
}

/// Amazon ECS service quotas, "Tasks per service", which are fewer where others find them by AWS Cloud Map, and "Target groups per
/// service".
fn of_service(service: &Service, subject: &Subject<'_>) -> [Quota; 2] {
    const MOST_TASKS: u64 = 5000;
    const MOST_TASKS_BY_NAME: u64 = 1000;
    const MOST_GROUPS: u64 = 5;
    let list = |key: &str| service.settings.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let most = if list("serviceRegistries") > 0 { MOST_TASKS_BY_NAME } else { MOST_TASKS };
    let count = match Count::of(subject.desired) {
        Some(Count::Exactly(count) | Count::Within { most: Some(count), .. }) => count,
        Some(Count::Within { most: None, .. }) | None => service.desired_count,
    };
    let count = u64::try_from(count).unwrap_or_default();
    [
        Quota::new("tasks of the service", count, most, Kind::Raisable),
        Quota::new("target groups of the service", number(list("loadBalancers")), MOST_GROUPS, Kind::Set),
    ]
}

/// Elastic Load Balancing, quotas for Application Load Balancers, "Targets per target group".
fn of_target_groups(subject: &Subject<'_>, surroundings: &Surroundings) -> Vec<Quota> {
    const MOST_TARGETS: u64 = 1000;
    let beside = room(subject).beside;
    let wanted = target_groups(subject).into_iter();
    let known = wanted.filter_map(|wanted| surroundings.target_groups.get(&wanted.group)?.known());
    let quota = |group: &TargetGroup| {
        let what = format!("targets of {} in a deployment", group.name);
        Quota::new(what, number(group.targets) + beside, MOST_TARGETS, Kind::Raisable)
    };
    known.map(quota).collect()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;

    #[test]
    fn a_quota_is_told_of_near_its_end_and_fails_beyond_it_where_nobody_can_raise_it() {
        for (used, most, kind, expected) in [
            (89, 100, Kind::Grows, None),
            (90, 100, Kind::Grows, Some("risk")),
            (100, 100, Kind::Grows, Some("risk")),
            (101, 100, Kind::Grows, Some("bad")),
            (89, 100, Kind::Raisable, None),
            (90, 100, Kind::Raisable, Some("risk")),
            (101, 100, Kind::Raisable, Some("risk")),
            (5, 5, Kind::Set, None),
            (6, 5, Kind::Set, Some("bad")),
        ] {
            let found = Quota::new("x", used, most, kind).near().map(|check| match check.found {
                Found::Risk { .. } => "risk",
                Found::Bad { .. } => "bad",
                Found::Good(_) | Found::Unseen(_) => "neither",
            });
            assert_eq!(found, expected, "{used} of {most}");
        }
    }
}
