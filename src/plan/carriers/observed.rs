//! What trueup only looks at: a service that is deployed in a way that it does not know, or otherwise than is declared.
//!
//! Nothing is started, stopped or made here. What is live is told as far as that can be done.

use serde_json::Value;

use super::{Carrier, Listing, Newer, Replacement, Start, code_deploy, native, rolling};
use crate::model::{Controller, DeploymentStrategy, Desired, Observed, Service, Shift, Waiting};
use crate::plan::phase::Current;
use crate::plan::step::{By, DeploymentName, Step};

#[derive(Clone, Debug)]
pub(super) struct OnlyObserved {
    why: Waiting,
}

impl OnlyObserved {
    pub(super) fn because(why: Waiting) -> Self {
        Self { why }
    }
}

impl Carrier for OnlyObserved {
    fn name(&self) -> String {
        "only observed".to_owned()
    }

    fn supported(&self) -> Result<(), Waiting> {
        Err(self.why.clone())
    }

    fn listing(&self) -> Listing {
        Listing::ServiceDeployments
    }

    fn current(&self, service: &Service, observed: &Observed) -> Option<Current> {
        if service.controller == Controller::CodeDeploy {
            return code_deploy::current(service, observed);
        }
        match service.strategy {
            DeploymentStrategy::Rolling => rolling::current(service, observed),
            _ => native::current(service, observed),
        }
    }

    fn has_provisional_ids(&self) -> bool {
        true
    }

    fn needs_deadline(&self, service: &Service, _: Option<&Shift>) -> bool {
        !service.rolls_back_by_itself()
    }

    fn undoes_by_itself(&self, service: &Service) -> bool {
        service.rolls_back_by_itself()
    }

    fn risks(&self, _: &Service, _: &Observed) -> Vec<String> {
        Vec::new()
    }

    fn may_be_replaced(&self, _: &Current, _: Option<&Shift>, _: Newer) -> Replacement {
        Replacement::Impossible
    }

    fn name_of(&self, _: &Current) -> Option<DeploymentName> {
        None
    }

    fn preflight(&self, _: &Desired, _: &Service, _: &Observed) -> Result<Option<Step>, Waiting> {
        Err(self.why.clone())
    }

    fn start(&self, _: &Desired, _: &Service, _: Start<'_>) -> Result<By, Waiting> {
        Err(self.why.clone())
    }

    fn settings_alone(&self, _: &Value, _: &Value) -> Option<Value> {
        None
    }
}
