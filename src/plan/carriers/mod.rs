//! What carries the deployments of a service out: ECS by itself, or CodeDeploy. Each carrier is one file, and every rule asks
//! all of them the same questions.
//!
//! Nobody outside of this folder asks which one it is. A carrier knows neither what trueup remembers nor what else is
//! decided: it answers from what was read and declared alone.

mod declared;
mod observed;
mod rolling;
mod traffic;

pub mod code_deploy;

pub(super) use declared::{app_spec, declared};
pub use traffic::to_read;
pub(super) use traffic::{can_shift, strategy_change, strategy_to_send};

use serde_json::Value;

use super::phase::Current;
use super::step::{Approval, By, Step};
use crate::model::{
    Commit, Controller, DeclarationHash, DeploymentStrategy, Desired, InFlight, Observed, Service, Shift,
    Strategy, TaskDefinitionArn, Waiting,
};
use code_deploy::ByCodeDeploy;
use observed::OnlyObserved;
use rolling::Rolling;

/// What carries the deployments of one service out.
pub trait Carrier {
    /// How people call it.
    fn name(&self) -> String;

    /// Why trueup deploys nothing by it, where it does not.
    fn supported(&self) -> Result<(), Waiting>;

    /// Where AWS lists its deployments.
    fn listing(&self) -> Listing;

    /// The newest deployment, and what is live; `None` where nobody can tell.
    fn current(&self, service: &Service, observed: &Observed) -> Option<Current>;

    /// Whether a deployment goes by an id of the service until AWS lists it by its own.
    fn has_provisional_ids(&self) -> bool;

    /// Whether a deployment without progress is ended by AWS: then trueup needs no deadline of its own.
    fn ends_by_itself(&self, service: &Service) -> bool;

    /// Whether AWS goes back by itself from a deployment that it calls failed: then trueup waits for that.
    fn undoes_by_itself(&self, service: &Service) -> bool;

    /// What a reviewer should know of the deployment to come.
    fn risks(&self, service: &Service, observed: &Observed) -> Vec<&'static str>;

    /// Whether the deployment that goes on may be replaced by one of something else.
    fn may_be_replaced(&self, current: &Current, shift: Option<&Shift>) -> Replacement;

    /// The write that has a deployment undone which has not got the traffic yet.
    fn stop(&self, current: &Current, shift: Option<&Shift>) -> Result<Step, Waiting>;

    /// The write that ends what is left of a deployment that has all the traffic; `None` where the next one can begin
    /// without it.
    fn finish_early(&self, current: &Current) -> Option<Step>;

    /// What a person may answer to a deployment that waits for it.
    fn approval(&self, current: &Current, shift: Option<&Shift>) -> Option<Approval>;

    /// What has to be made before a revision is registered, or why nobody could deploy it.
    fn preflight(
        &self,
        desired: &Desired,
        service: &Service,
        observed: &Observed,
    ) -> Result<Option<Step>, Waiting>;

    /// How the deployment of a revision is started.
    fn start(&self, desired: &Desired, service: &Service, start: Start<'_>) -> Result<By, Waiting>;

    /// Those of the declared service settings that the service has apart from its deployments.
    fn service_settings(&self, declared: Value) -> Value;

    /// What is sent of the declared service settings where that starts no deployment.
    fn settings_alone(&self, declared: &Value, live: &Value) -> Option<Value>;
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
        // Of a native strategy nobody here knows yet how far it is.
        (Controller::Ecs, _) if strategy != DeploymentStrategy::Rolling => {
            Box::new(OnlyObserved::because(match declared {
                Strategy::Unspecified => Waiting::UnsupportedStrategy(strategy),
                Strategy::Rolling => Waiting::NativeMismatch { declared: "rolling", strategy },
                Strategy::CodeDeploy(_) => Waiting::NativeMismatch { declared: "codeDeploy", strategy },
                Strategy::Native(native) if native.pattern.strategy() == strategy => {
                    Waiting::UnsupportedStrategy(strategy)
                }
                Strategy::Native(native) => {
                    Waiting::NativeMismatch { declared: native.pattern.word(), strategy }
                }
            }))
        }
        (Controller::Ecs, Strategy::Unspecified | Strategy::Rolling) => Box::new(Rolling),
        (Controller::Ecs, Strategy::CodeDeploy(_)) => mismatch("codeDeploy"),
        (Controller::Ecs, Strategy::Native(native)) => {
            let declared = native.pattern.word();
            Box::new(OnlyObserved::because(Waiting::NativeMismatch { declared, strategy }))
        }
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

/// Whether a deployment may be replaced while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    Possible,
    /// It ends first, whatever is declared.
    Impossible,
    /// As `policy.inFlight` says, and like this where it says nothing.
    AsDeclared {
        otherwise: InFlight,
    },
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
