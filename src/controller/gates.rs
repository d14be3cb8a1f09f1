//! What targets of one environment owe each other: shared tags, `rollout` limits, `after:`. Pure.

use std::collections::BTreeMap;

use crate::model::{Desired, Health, MoveTag, Phase, RepositoryName, Status, Sync, Target, Waiting};

/// The statuses of the last look at every target.
pub(super) type Statuses = BTreeMap<Target, Status>;

/// Why `desired` must not start a deployment now.
pub(super) fn turn(desired: &Desired, all: &[&Desired], statuses: &Statuses) -> Option<String> {
    let environment = |target: &Target| target.environment == desired.target.environment;
    for application in &desired.after {
        let first = Target { application: application.clone(), ..desired.target.clone() };
        let ready = statuses.get(&first).is_some_and(|status| status.sync == Sync::Synced);
        if all.iter().any(|other| other.target == first) && !ready {
            return Some(format!("after {first}"));
        }
    }
    let others = statuses.iter().filter(|(target, _)| environment(target) && **target != desired.target);
    let in_flight = others.clone().filter(|(_, status)| is_in_flight(status)).count();
    if in_flight >= desired.rollout.max_in_flight {
        return Some(format!("{in_flight} deployments are in flight in {}", desired.target.environment));
    }
    let failed = others.filter(|(_, status)| matches!(status.waiting, Some(Waiting::Held { .. }))).count();
    match desired.rollout.stop_after_failures {
        Some(limit) if failed >= limit => {
            Some(format!("{failed} applications are held in {}", desired.target.environment))
        }
        _ => None,
    }
}

fn is_in_flight(status: &Status) -> bool {
    status
        .last_deployment
        .as_ref()
        .is_some_and(|last| matches!(last.phase, Phase::Pending | Phase::InProgress | Phase::RollingBack))
}

/// Repositories whose tag must wait, with the application that is waited for: a tag shared by several applications
/// of an environment moves when all of them have succeeded on the same commit.
pub(super) fn tag_blockers(
    desired: &Desired,
    all: &[&Desired],
    statuses: &Statuses,
) -> BTreeMap<RepositoryName, String> {
    let mut blockers = BTreeMap::new();
    for image in &desired.images {
        for peer in all.iter().filter(|peer| shares_tag(desired, peer)) {
            let Some(theirs) = peer.images.iter().find(|other| other.repository == image.repository) else {
                continue;
            };
            let status = statuses.get(&peer.target);
            let done = status.is_some_and(|status| {
                status.sync == Sync::Synced && matches!(status.health, Health::Healthy | Health::Suspended)
            });
            if !done || !theirs.commit.matches(&image.commit) {
                blockers.insert(image.repository.clone(), peer.target.to_string());
            }
        }
    }
    blockers
}

fn shares_tag(one: &Desired, other: &Desired) -> bool {
    one.target != other.target
        && one.target.environment == other.target.environment
        && one.environment_tag == other.environment_tag
        && one.registry == other.registry
        && other.policy.move_tag == MoveTag::AfterSuccess
}
