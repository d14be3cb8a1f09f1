//! What people are told while a scenario plays.

use trueup::controller::SweepResult;
use trueup::model::alert::Alert;
use trueup::notify::transition;

/// The alerts about the first application.
#[derive(Default)]
pub struct Listener {
    pub alerts: Vec<Alert>,
    before: Option<transition::AlertHistory>,
}

impl Listener {
    pub fn hear(&mut self, swept: &[SweepResult]) {
        let status = &swept[0].plan.status;
        let (alerts, told) = transition::of_target(self.before.as_ref(), status, status.checked_at);
        self.alerts.extend(alerts);
        self.before = Some(told);
    }

    pub fn events(&self) -> Vec<&'static str> {
        self.alerts.iter().map(|alert| alert.event.name()).collect()
    }
}
