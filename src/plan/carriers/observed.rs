//! What trueup only looks at: a service that is deployed in a way that it does not know, or otherwise than is declared.
//!
//! Nothing is started, stopped or made here. What is live is told as far as that can be done.

use serde_json::Value;

use super::rolling;
use super::{Carrier, Listing, Replacement, Start, code_deploy};
use crate::model::{Controller, DeploymentStrategy, Desired, Observed, Service, Shift, Waiting};
use crate::plan::phase::Current;
use crate::plan::step::{Approval, By, Step};

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
        // While ECS shifts traffic the PRIMARY is what it works towards, and nobody here knows how far that is.
        let is_rolling = service.strategy == DeploymentStrategy::Rolling;
        if !is_rolling && (service.deployments.len() > 1 || rolling::goes_on(service.primary()?)) {
            return None;
        }
        rolling::current(service, observed)
    }

    fn has_provisional_ids(&self) -> bool {
        true
    }

    fn ends_by_itself(&self, service: &Service) -> bool {
        service.rolls_back_by_itself()
    }

    fn undoes_by_itself(&self, service: &Service) -> bool {
        service.rolls_back_by_itself()
    }

    fn risks(&self, _: &Service, _: &Observed) -> Vec<&'static str> {
        Vec::new()
    }

    fn may_be_replaced(&self, _: &Current, _: Option<&Shift>) -> Replacement {
        Replacement::Impossible
    }

    fn stop(&self, _: &Current, _: Option<&Shift>) -> Result<Step, Waiting> {
        Err(self.why.clone())
    }

    fn finish_early(&self, _: &Current) -> Option<Step> {
        None
    }

    fn approval(&self, _: &Current, _: Option<&Shift>) -> Option<Approval> {
        None
    }

    fn preflight(&self, _: &Desired, _: &Service, _: &Observed) -> Result<Option<Step>, Waiting> {
        Err(self.why.clone())
    }

    fn start(&self, _: &Desired, _: &Service, _: Start<'_>) -> Result<By, Waiting> {
        Err(self.why.clone())
    }

    fn service_settings(&self, declared: Value) -> Value {
        declared
    }

    fn settings_alone(&self, _: &Value, _: &Value) -> Option<Value> {
        None
    }
}
