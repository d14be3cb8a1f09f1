//! The alarms that stop a deployment, and what one says that is on before the deployment begins.
//!
//! ECS watches none of them through a deployment that begins while one is on (developer guide, "How `CloudWatch` alarms detect Amazon
//! ECS deployment failures"): it goes unwatched, and may be what ends the alarm. CodeDeploy stops such a deployment, which would
//! then be held as failed though nothing is wrong with it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{
    AlarmState, DeploymentGroup, Desired, Group, Observed, Reading, Service, Strategy, Waiting,
};

/// Those by which ECS judges the next deployment: as the files say, else as the service has them.
pub(super) fn of_ecs(desired: &Desired, service: &Service) -> BTreeSet<String> {
    if let Strategy::Native(native) = &desired.strategy
        && let Some(declared) = &native.alarms
    {
        return declared.iter().cloned().collect();
    }
    let member = |settings: &Value| settings.get("deploymentConfiguration")?.get("alarms").cloned();
    let declared = desired.service_settings.as_ref().and_then(member);
    let Some(alarms) = declared.or_else(|| member(&service.settings)) else { return BTreeSet::new() };
    if alarms.get("enable").and_then(Value::as_bool) != Some(true) {
        return BTreeSet::new();
    }
    let names = alarms.get("alarmNames").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Those by which CodeDeploy does. Of a group that is yet to be made they are asked about once it is there.
pub(super) fn of_group(group: Option<&Reading<Group>>) -> BTreeSet<String> {
    let alarms = |group: &DeploymentGroup| group.alarms.iter().cloned().collect();
    match group {
        Some(Reading::Known(Group::Found(group))) => alarms(group),
        _ => BTreeSet::new(),
    }
}

/// What a reviewer should know of a deployment that ECS would not watch.
pub(super) fn risk(observed: &Observed) -> Option<String> {
    let active = active(observed);
    let (are, first) = (if active.len() == 1 { "is" } else { "are" }, active.first()?);
    let names = if active.len() == 1 { (*first).to_owned() } else { active.join(", ") };
    Some(format!("{names} {are} in ALARM: ECS watches no alarm in a deployment that starts now"))
}

/// Whether CodeDeploy would let a deployment go on.
pub(super) fn are_off(observed: &Observed) -> Result<(), Waiting> {
    let alarms: Vec<String> = active(observed).into_iter().map(str::to_owned).collect();
    if alarms.is_empty() { Ok(()) } else { Err(Waiting::AlarmActive { alarms }) }
}

fn active(observed: &Observed) -> Vec<&str> {
    let is_on = |state: &&Reading<AlarmState>| **state == Reading::Known(AlarmState::Active);
    observed.alarms.iter().filter(|(_, state)| is_on(state)).map(|(name, _)| name.as_str()).collect()
}
