//! The event `Install`: the replacement task set is made behind the target group that is free, and has to become steady.

use serde_json::json;

use super::lifecycle::{LONGEST_EVENT, Outcome, Reason};
use super::{Deployment, Route, Routing};
use crate::world::ecs::ServiceKey;
use crate::world::elb::Forward;
use crate::world::{AwsError, World};

const PRIMARY_NOT_BEHIND: &str = "Primary taskset target group must be behind listener ";
const GREEN_HAS_TRAFFIC: &str =
    "Green taskset target group cannot have non-zero weight prior to traffic shifting";

impl World {
    pub(super) fn install(&mut self, one: &mut Deployment, age: u64) -> Result<Outcome, Reason> {
        let Some(green) = &one.green else {
            self.make_green(one)?;
            return Ok(Outcome::GoesOn);
        };
        match self.is_set_steady(&one.service, green) {
            Some(true) => Ok(Outcome::Done),
            None => Err(("ECS_UPDATE_ERROR", "The replacement task set was deleted".to_owned())),
            Some(false) if age >= LONGEST_EVENT => Err((
                "HEALTH_CONSTRAINTS",
                "The deployment timed out while waiting for the replacement task set to become healthy. This time out period is 60 minutes.".to_owned(),
            )),
            Some(false) => Ok(Outcome::GoesOn),
        }
    }

    /// The replacement task set, if everything is as it has to be.
    fn make_green(&mut self, one: &mut Deployment) -> Result<(), Reason> {
        let blue = self.services.get(&one.service).and_then(|service| service.deployments.first());
        let blue = blue.map(|blue| blue.id.clone());
        self.turn_route(one)?;
        self.check_listeners(&one.route)?;
        let green = self.replacement(one).map_err(|error| self.ecs_error(&error))?;
        self.clear_leftovers(&one.service);
        if one.routing != Routing::AllAtOnce {
            self.prepare(&one.route);
        }
        let mut over = one.spec.over.clone();
        let balancer = json!([{"targetGroupArn": one.route.green,
            "containerName": one.spec.container, "containerPort": one.spec.port}]);
        over.insert("loadBalancers".to_owned(), balancer);
        one.blue = blue;
        one.green = Some(self.create_task_set(&one.service, &green, &over, &one.id));
        Ok(())
    }

    /// The task definition of the replacement.
    fn replacement(&self, one: &Deployment) -> Result<String, AwsError> {
        let definition = self.usable_definition(&one.spec.task_definition)?;
        definition.offers(&one.spec.container, one.spec.port)?;
        Ok(definition.arn.clone())
    }

    /// What ECS answers to `CodeDeploy`, in its words (messages of failed deployments, in many issues).
    fn ecs_error(&mut self, error: &AwsError) -> Reason {
        let message = format!(
            "The ECS service cannot be updated due to an unexpected error: {} (Service: AmazonECS; Status Code: {}; Error Code: {}; Request ID: {}; Proxy: null). Check your ECS service status.",
            error.message,
            error.status,
            error.code,
            self.uuid()
        );
        ("ECS_UPDATE_ERROR", message)
    }

    /// What an earlier deployment left behind when it failed without a rollback.
    fn clear_leftovers(&mut self, key: &ServiceKey) {
        let sets = self.services.get(key).map(|service| &service.deployments);
        let spare = sets.into_iter().flatten().filter(|set| !set.primary).map(|set| set.id.clone());
        for id in spare.collect::<Vec<_>>() {
            self.drain_task_set(key, &id);
        }
    }

    /// Green is the target group that the primary task set does not use.
    fn turn_route(&self, one: &mut Deployment) -> Result<(), Reason> {
        match self.target_group_of(&one.service) {
            Some(used) if used == one.route.blue => Ok(()),
            Some(used) if used == one.route.green => {
                std::mem::swap(&mut one.route.blue, &mut one.route.green);
                Ok(())
            }
            _ => Err((
                "INVALID_ECS_SERVICE",
                "The target ECS service must be configured using one of those two target groups.".to_owned(),
            )),
        }
    }

    /// The target group of the primary task set.
    pub(super) fn target_group_of(&self, key: &ServiceKey) -> Option<&str> {
        let service = self.services.get(key)?;
        let revision = service.revisions.get(service.deployments.first()?.revision)?;
        revision.settings.get("loadBalancers")?.get(0)?.get("targetGroupArn")?.as_str()
    }

    /// How the listeners have to be before anything is made (user guide, "Troubleshoot Amazon ECS deployment issues",
    /// and messages of failed deployments in many issues). The rules of the production listener are looked at like
    /// its default action; the test listener may lead to either target group.
    fn check_listeners(&self, route: &Route) -> Result<(), Reason> {
        let invalid = |why: &str, at: &str| {
            let message = format!("The ELB could not be updated due to the following error: {why}{at}");
            Err(("ELASTIC_LOAD_BALANCING_INVALID", message))
        };
        let pair = [route.blue.as_str(), route.green.as_str()];
        for listener in route.test.iter().chain([&route.production]) {
            if self.balancing.forwards(listener, pair).is_empty() {
                return invalid(PRIMARY_NOT_BEHIND, listener);
            }
        }
        for Forward { by, to } in self.balancing.forwards(&route.production, pair) {
            if to.iter().any(|(group, _)| !pair.contains(&group.as_str())) {
                let why = format!(
                    "Only target group in ECS deployment group ({}) can be set on listener ",
                    pair.join(", ")
                );
                return invalid(&why, &by);
            }
            if !to.iter().any(|(group, _)| *group == route.blue) {
                return invalid(PRIMARY_NOT_BEHIND, &by);
            }
            if to.iter().any(|(group, weight)| *group == route.green && *weight > 0) {
                return invalid(GREEN_HAS_TRAFFIC, "");
            }
        }
        Ok(())
    }

    /// For traffic that moves in steps both target groups stand in the actions of the production listener from the
    /// beginning, so that the load balancer looks at the replacement before it has traffic.
    pub(super) fn prepare(&mut self, route: &Route) {
        self.shift(&route.production, &route.blue, &route.green, 0);
    }
}
