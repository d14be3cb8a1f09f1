//! Blue/green by AWS CodeDeploy: new tasks start beside the old ones, traffic moves to them, and the old ones end after a wait.
//! What is deployed is live when all traffic is on it, and not before.

mod deployment;
mod group;
mod history;
mod migration;

pub use deployment::description;
pub use history::{has_failed_hook, history};
pub use migration::Migration;
pub(in crate::plan) use migration::of as migration_of;

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Carrier, Listing, Newer, Replacement, Start, UnderAlarm, Way, alarms};
use crate::documents::{app_spec, code_deploy, service_settings};
use crate::model::{
    AppSpec, CodeDeploy, DeploymentStatus, Desired, Group, InFlight, Observed, Phase, Reading, Service,
    Shift, Stage, TaskDefinitionArn, Undo, Waiting,
};
use crate::plan::phase::{self, Current};
use crate::plan::step::{By, DeploymentName, Step};

#[derive(Clone, Debug)]
pub(super) struct ByCodeDeploy {
    settings: CodeDeploy,
    application: String,
    group: String,
}

impl ByCodeDeploy {
    pub(super) fn new(settings: CodeDeploy, desired: &Desired) -> Self {
        let (application, group) = code_deploy::names(&settings, desired);
        Self { settings, application, group }
    }

    fn names(&self) -> (&str, &str) {
        (&self.application, &self.group)
    }

    /// Whether a hook is there for test traffic that there will be none of.
    fn has_idle_hook(&self, observed: &Observed) -> bool {
        let is_tested = match (&observed.group, &self.settings.create) {
            (Some(Reading::Known(Group::Found(group))), _) => group.has_test_listener,
            (_, Some(new)) => new.test_listener.is_some(),
            (_, None) => return false,
        };
        let hook = |spec: &AppSpec| app_spec::has_hook(&spec.content, "AfterAllowTestTraffic");
        !is_tested && self.settings.app_spec.as_ref().is_some_and(hook)
    }
}

impl Carrier for ByCodeDeploy {
    fn name(&self) -> String {
        format!("codeDeploy by {}/{}", self.application, self.group)
    }

    fn listing(&self) -> Listing {
        Listing::CodeDeploy { application: self.application.clone(), group: self.group.clone() }
    }

    fn current(&self, service: &Service, observed: &Observed) -> Option<Current> {
        current(service, observed)
    }

    fn has_provisional_ids(&self) -> bool {
        false
    }

    /// CodeDeploy has deadlines of its own for everything.
    fn needs_deadline(&self, _: &Service, _: Option<&Shift>) -> bool {
        false
    }

    /// What it undoes it calls rolled back: it has left alone what it calls failed.
    fn undoes_by_itself(&self, _: &Service) -> bool {
        false
    }

    fn risks(&self, _: &Service, observed: &Observed) -> Vec<String> {
        let idle = self.has_idle_hook(observed);
        let risk = "the hook AfterAllowTestTraffic never runs: the group has no test listener";
        if idle { vec![risk.to_owned()] } else { Vec::new() }
    }

    fn alarms(&self, _: &Desired, _: &Service, group: Option<&Reading<Group>>) -> BTreeSet<String> {
        alarms::of_group(group)
    }

    fn under_alarm(&self) -> UnderAlarm {
        UnderAlarm::Stopped
    }

    fn may_be_replaced(&self, current: &Current, shift: Option<&Shift>, newer: Newer) -> Replacement {
        if shift.is_some_and(may_divide_traffic) {
            return Replacement::Impossible;
        }
        let has_all_traffic = current.target == current.live_revision;
        let needs_approval = shift.is_some_and(|shift| !shift.pauses.is_empty());
        match (newer, shift.map(|shift| shift.stage)) {
            // Should it not be undone, a deployment brings the old content all the same.
            (Newer::StandsBy, Some(Stage::Standby | Stage::Checking)) => Replacement::Possible(Way::Undo),
            // While CodeDeploy keeps the old tasks, in which it could be undone, it starts no other deployment.
            (Newer::Another, Some(Stage::Standby)) => Replacement::Possible(Way::EndStandby),
            _ if has_all_traffic => Replacement::Impossible,
            (Newer::StandsBy, _) => Replacement::Possible(Way::Undo),
            // Nobody needs to answer for what is no longer wanted: no traffic is on it yet.
            _ if needs_approval => Replacement::AsDeclared { otherwise: InFlight::Replace, way: Way::Undo },
            _ => Replacement::AsDeclared { otherwise: InFlight::Finish, way: Way::Undo },
        }
    }

    fn name_of(&self, current: &Current) -> Option<DeploymentName> {
        current.name.clone().map(DeploymentName::CodeDeploy)
    }

    /// Application and group are there and fit, or are made as declared; and none of its alarms would stop a deployment at once.
    fn preflight(
        &self,
        desired: &Desired,
        service: &Service,
        observed: &Observed,
    ) -> Result<Option<Step>, Waiting> {
        let made_first = group::is_ready(&self.settings, self.names(), desired, service, observed)?;
        alarms::are_off(observed).map(|()| made_first)
    }

    /// It takes no settings along: those of the service are sent apart, and start nothing.
    fn start(&self, desired: &Desired, service: &Service, start: Start<'_>) -> Result<By, Waiting> {
        let new = deployment::new_deployment(&self.settings, self.names(), desired, service, &start)?;
        Ok(By::CodeDeploy(Box::new(new)))
    }

    fn service_settings(&self, declared: Value) -> Value {
        service_settings::beside_code_deploy(&declared)
    }

    fn settings_alone(&self, declared: &Value, live: &Value) -> Option<Value> {
        Some(service_settings::to_send_beside_code_deploy(declared, live))
    }
}

/// With `CodeDeploy` the target becomes PRIMARY when all traffic is on it, and not before. Service and deployments are
/// two readings, of which either may lag behind: what only one of them knows of is going on.
pub(super) fn current(service: &Service, observed: &Observed) -> Option<Current> {
    let primary = service.primary()?;
    // What drains has no part in anything any more.
    let alone = service.deployments.iter().all(|set| set.status != DeploymentStatus::Active);
    let by_primary = |phase| Current {
        id: primary.id.to_string(),
        target: primary.task_definition.clone(),
        phase,
        started_at: primary.created_at,
        live: primary.id.clone(),
        live_revision: primary.task_definition.clone(),
        live_phase: phase,
        name: None,
        stands_by: None,
    };
    let of_sets = by_primary(if alone { Phase::Succeeded } else { Phase::InProgress });
    let newest = observed.service_deployments.known().and_then(|history| history.first());
    let Some(newest) = newest else { return Some(of_sets) };
    let target = newest.target.clone().unwrap_or_else(|| TaskDefinitionArn::new("unknown"));
    let phase = phase::of(newest);
    let name = Some(newest.arn.clone());
    if target.names(&primary.task_definition) {
        // The same revision once more: a task set that was there before is as good as it was.
        let was_before = phase.is_over() && primary.created_at < newest.created_at;
        let live_phase = if was_before { Phase::Succeeded } else { phase };
        let started_at = newest.created_at;
        let mut others = service.deployments.iter().filter(|set| set.status == DeploymentStatus::Active);
        let stands_by = others.next().map(|set| set.task_definition.clone());
        let current = Current { id: phase::id(newest), live_phase, started_at, ..by_primary(phase) };
        return Some(Current { name, stands_by, ..current });
    }
    let phase = match phase {
        Phase::Succeeded if primary.created_at >= newest.created_at => return Some(of_sets),
        Phase::Succeeded => Phase::InProgress,
        other => other,
    };
    // What is PRIMARY beside a deployment to something else is what was good before.
    let (id, started_at) = (phase::id(newest), newest.created_at);
    let stands_by = Some(primary.task_definition.clone());
    Some(Current { id, target, phase, started_at, name, stands_by, ..by_primary(Phase::Succeeded) })
}

/// Whether a stop could leave the traffic divided: where it shifts and CodeDeploy may not undo it, or nobody could read
/// whether it does.
fn may_divide_traffic(shift: &Shift) -> bool {
    match shift.stage {
        Stage::Shifting => shift.undo == Undo::No,
        Stage::Unknown => true,
        _ => false,
    }
}
