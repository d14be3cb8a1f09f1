//! What carries the deployments of a service out: ECS by itself, or CodeDeploy. Each carrier is one file, and every rule asks
//! all of them the same questions.
//!
//! Nobody outside of this folder asks which one it is. A carrier knows neither what trueup remembers nor what else is
//! decided: it answers from what was read and declared alone.

mod alarms;
mod declared;
mod native;
mod observed;
mod rolling;
mod traffic;

pub mod code_deploy;

pub use code_deploy::Migration;

pub(super) use declared::{app_spec, declared};
pub use traffic::to_read;
pub(super) use traffic::{can_shift, can_shift_back, strategy_change, strategy_to_send};

use std::collections::BTreeSet;

use serde_json::Value;

use super::phase::Current;
use super::step::{By, DeploymentName, Step};
use crate::documents::service_settings;
use crate::model::{
    Commit, Controller, DeclarationHash, DeploymentStrategy, Desired, Group, InFlight, Observed, Reading,
    Service, Shift, Strategy, TaskDefinitionArn, Waiting,
};
use code_deploy::ByCodeDeploy;
use native::Native;
use observed::OnlyObserved;
use rolling::Rolling;

/// What carries the deployments of one service out. What is answered here holds wherever ECS itself is told to by `UpdateService`.
pub trait Carrier {
    /// How people call it.
    fn name(&self) -> String;

    /// Why trueup deploys nothing by it, where it does not.
    fn supported(&self) -> Result<(), Waiting> {
        Ok(())
    }

    /// Where AWS lists its deployments.
    fn listing(&self) -> Listing;

    /// The newest deployment, and what is live; `None` where nobody can tell.
    fn current(&self, service: &Service, observed: &Observed) -> Option<Current>;

    /// Whether a deployment goes by an id of the service until AWS lists it by its own.
    fn has_provisional_ids(&self) -> bool;

    /// Whether AWS is expected to make progress now, and would let a deployment go on that makes none: then trueup needs a
    /// deadline of its own.
    fn needs_deadline(&self, service: &Service, shift: Option<&Shift>) -> bool;

    /// Whether AWS goes back by itself from a deployment that it calls failed: then trueup waits for that.
    fn undoes_by_itself(&self, service: &Service) -> bool;

    /// What a reviewer should know of the deployment to come.
    fn risks(&self, service: &Service, observed: &Observed) -> Vec<String>;

    /// The names of the alarms that stop a deployment.
    fn alarms(
        &self,
        _desired: &Desired,
        _service: &Service,
        _group: Option<&Reading<Group>>,
    ) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// What a deployment comes to that begins while one of its alarms is on.
    fn under_alarm(&self) -> UnderAlarm {
        UnderAlarm::Unwatched
    }

    /// Whether the deployment that goes on may be replaced by a newer one, and how that is begun.
    fn may_be_replaced(&self, current: &Current, shift: Option<&Shift>, newer: Newer) -> Replacement;

    /// How the calls name the newest deployment that act on it; `None` where none does.
    fn name_of(&self, current: &Current) -> Option<DeploymentName>;

    /// What has to be made before a revision is registered, or why nobody could deploy it.
    fn preflight(
        &self,
        _desired: &Desired,
        _service: &Service,
        _observed: &Observed,
    ) -> Result<Option<Step>, Waiting> {
        Ok(None)
    }

    /// How the deployment of a revision is started.
    fn start(&self, _desired: &Desired, _service: &Service, start: Start<'_>) -> Result<By, Waiting> {
        Ok(By::UpdateService { settings: start.settings })
    }

    /// Those of the declared service settings that the service has apart from its deployments.
    fn service_settings(&self, declared: Value) -> Value {
        declared
    }

    /// What is sent of the declared service settings where that starts no deployment.
    fn settings_alone(&self, declared: &Value, live: &Value) -> Option<Value> {
        let sent = service_settings::to_send(declared, live);
        (!service_settings::starts_a_deployment(&sent)).then_some(sent)
    }
}

/// The carrier of a live service. The service decides, and not the files: where they differ it is only observed.
pub fn of(desired: &Desired, service: &Service) -> Box<dyn Carrier> {
    let (declared, controller, strategy) = (&desired.strategy, service.controller, service.strategy);
    let mismatch = |declared| {
        let waiting = Waiting::StrategyMismatch { declared, controller };
        Box::new(OnlyObserved::because(waiting))
    };
    match (controller, declared) {
        (Controller::External, _) => {
            Box::new(OnlyObserved::because(Waiting::UnsupportedController(controller)))
        }
        (Controller::Ecs, _) if strategy != DeploymentStrategy::Rolling => {
            let mismatch = |declared| Waiting::NativeMismatch { declared, strategy };
            match declared {
                _ if strategy == DeploymentStrategy::Unknown => {
                    Box::new(OnlyObserved::because(Waiting::UnsupportedStrategy(strategy)))
                }
                Strategy::Rolling => Box::new(OnlyObserved::because(mismatch("rolling"))),
                Strategy::CodeDeploy(_) => Box::new(OnlyObserved::because(mismatch("codeDeploy"))),
                Strategy::Native(native) if is_another(native, strategy) => {
                    Box::new(OnlyObserved::because(mismatch(native.pattern.word())))
                }
                Strategy::Unspecified | Strategy::Native(_) => Box::new(Native { strategy }),
            }
        }
        (Controller::Ecs, Strategy::Unspecified | Strategy::Rolling) => Box::new(Rolling),
        (Controller::Ecs, Strategy::CodeDeploy(_)) => mismatch("codeDeploy"),
        (Controller::Ecs, Strategy::Native(native)) if is_another(native, strategy) => {
            let declared = native.pattern.word();
            Box::new(OnlyObserved::because(Waiting::NativeMismatch { declared, strategy }))
        }
        // What is declared goes along with the next deployment.
        (Controller::Ecs, Strategy::Native(_)) => Box::new(Rolling),
        (Controller::CodeDeploy, Strategy::CodeDeploy(settings)) => {
            Box::new(ByCodeDeploy::new(settings.as_ref().clone(), desired))
        }
        (Controller::CodeDeploy, Strategy::Unspecified) => {
            Box::new(ByCodeDeploy::new(crate::model::CodeDeploy::default(), desired))
        }
        (Controller::CodeDeploy, Strategy::Rolling) => mismatch("rolling"),
        (Controller::CodeDeploy, Strategy::Native(native)) => mismatch(native.pattern.word()),
    }
}

/// How the service is moved from CodeDeploy to ECS itself; `None`: it is not deployed by CodeDeploy.
pub(super) fn migration(desired: &Desired, service: &Service, observed: &Observed) -> Option<Migration> {
    let settings = match &desired.strategy {
        Strategy::CodeDeploy(settings) => settings.as_ref().clone(),
        Strategy::Rolling | Strategy::Native(_) | Strategy::Unspecified => {
            crate::model::CodeDeploy::default()
        }
    };
    let is_code_deploy = service.controller == Controller::CodeDeploy;
    is_code_deploy.then(|| code_deploy::migration_of(&settings, desired, service, observed))?
}

/// Whether a bare word is declared, which says what the live service has, and says otherwise.
fn is_another(native: &crate::model::Native, strategy: DeploymentStrategy) -> bool {
    native.is_inherited() && native.pattern.strategy() != strategy
}

/// Where no service could be read there is nothing to carry out.
pub(super) fn of_none() -> Box<dyn Carrier> {
    Box::new(OnlyObserved::because(Waiting::ServiceNotActive))
}

/// Where AWS lists the deployments of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    ServiceDeployments,
    CodeDeploy { application: String, group: String },
}

/// What becomes of a deployment that begins while one of its alarms is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnderAlarm {
    /// It goes on, and no alarm stops it.
    Unwatched,
    Stopped,
}

/// What is declared while another deployment goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// What AWS would go back to: its tasks stand by, and may still have the traffic.
    StandsBy,
    Another,
}

/// Whether a deployment may be replaced while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// Whatever the policy says.
    Possible(Way),
    /// It ends first, whatever is declared.
    Impossible,
    /// As `policy.inFlight` says, and like this where it says nothing.
    AsDeclared { otherwise: InFlight, way: Way },
}

/// How a deployment in flight is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The newer one is started over it.
    Start,
    /// AWS brings back what stands by, and then the newer one is started, if that is not it.
    Undo,
    /// Its old tasks end now, and then the newer one is started.
    EndStandby,
}

/// One deployment that is to be started.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    pub revision: &'a TaskDefinitionArn,
    pub commit: Option<Commit>,
    pub declared: Option<&'a DeclarationHash>,
    /// Members of `UpdateService` that are to be changed with it.
    pub settings: Option<Value>,
}
