//! Blue/green, canary and linear by ECS itself: new tasks start beside the old ones, traffic moves to them at once or in steps,
//! and the old ones end after a bake. What has most of the production traffic is live; the PRIMARY deployment is only what ECS works
//! towards.

use std::collections::BTreeSet;

use super::{Carrier, Listing, Newer, Replacement, Way, alarms, rolling};
use crate::model::{
    Deployment, DeploymentStatus, DeploymentStrategy, Desired, Group, InFlight, Observed, Phase, Reading,
    RolloutState, Service, ServiceDeployment, Shift, Stage, TaskDefinitionArn, Traffic, Undo,
};
use crate::plan::phase::{self, Current};
use crate::plan::step::DeploymentName;

#[derive(Clone, Copy, Debug)]
pub(super) struct Native {
    /// That of the live service.
    pub strategy: DeploymentStrategy,
}

impl Carrier for Native {
    fn name(&self) -> String {
        self.strategy.declared_as().to_owned()
    }

    fn listing(&self) -> Listing {
        Listing::ServiceDeployments
    }

    fn current(&self, service: &Service, observed: &Observed) -> Option<Current> {
        current(service, observed)
    }

    fn has_provisional_ids(&self) -> bool {
        true
    }

    /// A stage may take a day by AWS's own deadline. While a person, a function or a bake is waited for, or traffic moves,
    /// nothing is wrong.
    fn needs_deadline(&self, _: &Service, shift: Option<&Shift>) -> bool {
        shift.is_some_and(is_to_make_progress)
    }

    /// What it undoes it calls rolled back: it has left alone what it calls failed.
    fn undoes_by_itself(&self, _: &Service) -> bool {
        false
    }

    fn risks(&self, _: &Service, observed: &Observed) -> Vec<String> {
        alarms::risk(observed).into_iter().collect()
    }

    fn alarms(&self, desired: &Desired, service: &Service, _: Option<&Reading<Group>>) -> BTreeSet<String> {
        alarms::of_ecs(desired, service)
    }

    fn may_be_replaced(&self, _: &Current, shift: Option<&Shift>, newer: Newer) -> Replacement {
        let Some(shift) = shift else { return Replacement::Impossible };
        let is_fast = shift.undo == Undo::Fast;
        match (shift.traffic(), newer) {
            (Traffic::Unread, _) => Replacement::Impossible,
            // The way back, at once.
            (_, Newer::StandsBy) if is_fast => Replacement::Possible(Way::Undo),
            _ if shift.stage == Stage::Unknown => Replacement::Impossible,
            // An approval of what is outdated helps nobody, and no traffic is on it yet.
            (Traffic::OnOld, _) if is_fast && !shift.pauses.is_empty() => {
                Replacement::AsDeclared { otherwise: InFlight::Replace, way: Way::Undo }
            }
            (Traffic::OnOld | Traffic::Divided, _) if is_fast => {
                Replacement::AsDeclared { otherwise: InFlight::Finish, way: Way::Undo }
            }
            // No call ends a bake. To undo it would bring back what is older still.
            (Traffic::OnNew, _) if is_fast => {
                Replacement::AsDeclared { otherwise: InFlight::Finish, way: Way::Start }
            }
            // The first deployment of a service has nothing to go back to, and the clean-up is over soon.
            _ => Replacement::Impossible,
        }
    }

    fn name_of(&self, current: &Current) -> Option<DeploymentName> {
        current.name.clone().map(DeploymentName::Ecs)
    }
}

/// The newest deployment of the service, and what has the traffic. Service and list are two readings, of which either may lag
/// behind: what only one of them sees going on is going on.
pub(super) fn current(service: &Service, observed: &Observed) -> Option<Current> {
    let primary = service.primary()?;
    let newest = observed.service_deployments.known().and_then(|history| history.first());
    Some(match newest {
        Some(newest) if knows_of(newest, primary) => listed(service, primary, newest),
        older => unlisted(service, primary, older),
    })
}

/// Whether the list is about what the service works towards, and not about a time before that.
fn knows_of(newest: &ServiceDeployment, primary: &Deployment) -> bool {
    let is_undone = matches!(phase::of(newest), Phase::RollingBack | Phase::RolledBack | Phase::Failed);
    newest.target.as_ref() == Some(&primary.task_definition)
        || (is_undone && newest.sources.contains(&primary.task_definition))
        || primary.created_at <= newest.created_at
}

fn listed(service: &Service, primary: &Deployment, newest: &ServiceDeployment) -> Current {
    let told = phase::of(newest);
    let target = newest.target.clone().unwrap_or_else(|| TaskDefinitionArn::new("unknown"));
    let phase = match told {
        // The classic entry is done half a minute later. Another PRIMARY is a service that lags behind.
        Phase::Succeeded if rolling::goes_on(primary) || primary.task_definition != target => {
            Phase::InProgress
        }
        told => told,
    };
    let live_revision = live_by_list(newest).unwrap_or(&primary.task_definition).clone();
    let live = entry_of(service, &live_revision).unwrap_or(primary).id.clone();
    // The same revision once more: what was there before is as good as it was.
    let was_before = phase.is_over() && primary.created_at < newest.created_at;
    let is_live = live_revision == target && !was_before;
    Current {
        id: phase::id(newest),
        phase,
        started_at: newest.created_at,
        live,
        live_phase: if is_live { phase } else { Phase::Succeeded },
        live_revision,
        name: Some(newest.arn.clone()),
        stands_by: newest.sources.first().filter(|_| !phase.is_over()).cloned(),
        target,
    }
}

/// The revision with most of the production traffic; `None` where the service has to say.
fn live_by_list(newest: &ServiceDeployment) -> Option<&TaskDefinitionArn> {
    let (target, source) = (newest.target.as_ref(), newest.sources.first());
    match phase::of(newest) {
        Phase::Succeeded => target,
        Phase::RolledBack => source,
        _ if newest.shift.as_ref().is_some_and(has_most_traffic) => target,
        _ => source.or(target),
    }
}

fn is_to_make_progress(shift: &Shift) -> bool {
    let moves =
        matches!(shift.stage, Stage::Pending | Stage::Reconciling | Stage::Installing | Stage::CleaningUp);
    moves && shift.moves_tasks && !shift.waits_for_others()
}

/// Whether the new revision has more of the production traffic than the old one.
fn has_most_traffic(shift: &Shift) -> bool {
    match shift.production {
        Some(share) => share > share.rest(),
        None => shift.traffic() == Traffic::OnNew,
    }
}

fn entry_of<'a>(service: &'a Service, revision: &TaskDefinitionArn) -> Option<&'a Deployment> {
    service.deployments.iter().find(|one| one.task_definition == *revision)
}

/// By the service, and by what was listed before. What is PRIMARY before its deployment is listed has no traffic yet.
fn unlisted(service: &Service, primary: &Deployment, older: Option<&ServiceDeployment>) -> Current {
    let phase = match primary.rollout {
        Some(RolloutState::Completed) => Phase::Succeeded,
        Some(RolloutState::Failed) => Phase::Failed,
        Some(RolloutState::InProgress) => Phase::InProgress,
        None if service.deployments.len() == 1 => Phase::Succeeded,
        None => Phase::InProgress,
    };
    let mut others = service.deployments.iter().filter(|one| one.status == DeploymentStatus::Active);
    let before = || older.and_then(live_by_list).and_then(|live| entry_of(service, live));
    let live = if phase == Phase::Succeeded { None } else { before().or_else(|| others.next()) };
    let live = live.unwrap_or(primary);
    let is_live = live.task_definition == primary.task_definition;
    Current {
        id: primary.id.to_string(),
        target: primary.task_definition.clone(),
        phase,
        started_at: primary.created_at,
        live: live.id.clone(),
        live_revision: live.task_definition.clone(),
        live_phase: if is_live { phase } else { Phase::Succeeded },
        name: None,
        stands_by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeploymentId, OnTimeout, Pause, Share};
    use Replacement::{AsDeclared, Impossible, Possible};

    fn current() -> Current {
        let arn = TaskDefinitionArn::new("arn:aws:ecs:eu-west-2:1:task-definition/api:2");
        Current {
            id: "d2".to_owned(),
            target: arn.clone(),
            phase: Phase::InProgress,
            started_at: 0,
            live: DeploymentId::new("ecs-svc/1"),
            live_revision: arn,
            live_phase: Phase::Succeeded,
            name: None,
            stands_by: None,
        }
    }

    fn at(stage: Stage, percent: Option<f64>) -> Shift {
        Shift { production: percent.and_then(Share::of_percent), undo: Undo::Fast, ..Shift::at(stage) }
    }

    fn paused(shift: Shift) -> Shift {
        let pause = Pause { id: "ecs-pause-1".to_owned(), until: None, then: OnTimeout::Rollback };
        Shift { pauses: vec![pause], ..shift }
    }

    /// What a newer commit, and what the way back come to, by where the one in flight stands.
    #[test]
    fn a_newer_deployment_goes_by_the_traffic_and_the_way_back_at_once() {
        let finish = |way| AsDeclared { otherwise: InFlight::Finish, way };
        let replace = AsDeclared { otherwise: InFlight::Replace, way: Way::Undo };
        let (undo, start) = (finish(Way::Undo), finish(Way::Start));
        let back = Possible(Way::Undo);
        for (what, shift, newer, way_back) in [
            ("it begins", at(Stage::Pending, Some(0.0)), undo, back),
            ("new tasks start", at(Stage::Installing, Some(0.0)), undo, back),
            ("new tasks start, headless", at(Stage::Installing, None), undo, back),
            ("test traffic", at(Stage::Testing, Some(0.0)), undo, back),
            ("it waits before the scale-up", paused(at(Stage::Installing, Some(0.0))), replace, back),
            ("it waits before the shift", paused(at(Stage::Shifting, Some(0.0))), replace, back),
            ("it waits between two steps", paused(at(Stage::Shifting, Some(40.0))), undo, back),
            ("ten percent", at(Stage::Shifting, Some(10.0)), undo, back),
            ("eighty percent", at(Stage::Shifting, Some(80.0)), undo, back),
            ("the last step", at(Stage::Shifting, Some(100.0)), undo, back),
            ("headless, in the shift", at(Stage::Shifting, None), undo, back),
            ("checks", at(Stage::Checking, Some(100.0)), start, back),
            ("bake", at(Stage::Standby, Some(100.0)), start, back),
            ("bake, headless", at(Stage::Standby, None), start, back),
            ("stage of tomorrow", at(Stage::Unknown, Some(10.0)), Impossible, back),
            ("nothing was read", at(Stage::Unknown, None), Impossible, Impossible),
        ] {
            let of = |newer| {
                Native { strategy: DeploymentStrategy::Canary }.may_be_replaced(
                    &current(),
                    Some(&shift),
                    newer,
                )
            };
            assert_eq!((of(Newer::Another), of(Newer::StandsBy)), (newer, way_back), "{what}");
            let no_way = Shift { undo: Undo::No, ..shift };
            let of = |newer| {
                Native { strategy: DeploymentStrategy::Canary }.may_be_replaced(
                    &current(),
                    Some(&no_way),
                    newer,
                )
            };
            assert_eq!(
                (of(Newer::Another), of(Newer::StandsBy)),
                (Impossible, Impossible),
                "{what}, with nothing to go back to"
            );
        }
    }

    #[test]
    fn a_deadline_counts_only_while_aws_is_to_make_progress() {
        let waits = |shift: Shift| is_to_make_progress(&shift);
        for stage in [Stage::Pending, Stage::Reconciling, Stage::Installing, Stage::CleaningUp] {
            assert!(waits(at(stage, Some(0.0))), "{stage:?}");
            assert!(!waits(paused(at(stage, Some(0.0)))), "{stage:?}");
            let hooks_alone = Shift { moves_tasks: false, ..at(stage, Some(0.0)) };
            assert!(!waits(hooks_alone), "{stage:?}, before its hooks");
        }
        for stage in [Stage::Testing, Stage::Shifting, Stage::Checking, Stage::Standby, Stage::Unknown] {
            assert!(!waits(at(stage, Some(0.0))), "{stage:?}");
        }
    }
}
