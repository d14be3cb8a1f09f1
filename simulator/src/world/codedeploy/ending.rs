//! How a deployment ends: it succeeds, or it fails and another one goes back (`CodeDeploy` user guide, "Redeploy and
//! roll back a deployment with `CodeDeploy`").
//!
//! What is not in the guide was seen in a recorded run of 2026 on AWS: a deployment that an alarm stopped during
//! `Install`, the first one of its group, was undone by a deployment of its own as well.

use serde_json::json;

use super::configurations::DEFAULT;
use super::{Deployment, RollbackInfo};
use crate::world::World;

/// Why a deployment ends badly.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub status: &'static str,
    pub code: &'static str,
    pub message: String,
    /// Whether somebody wants it to be rolled back.
    pub rolls_back: bool,
}

impl World {
    /// It has succeeded when its old tasks begin to end; they drain for some time yet.
    pub(super) fn succeed(&mut self, one: &mut Deployment) {
        if let Some(blue) = one.blue.as_ref().filter(|_| one.terminates()) {
            self.drain_task_set(&one.service, blue);
        }
        self.end(one, "Succeeded");
        if let Some(group) = self.group_of_mut(one) {
            group.last_successful = Some(one.id.clone());
            group.target.clone_from(&one.sha256);
        }
    }

    /// The deployment that undoes it, where one is wanted and there is anything to undo.
    pub(super) fn fail(&mut self, one: &mut Deployment, failure: Failure) -> Option<Deployment> {
        for event in &mut one.events {
            event.cut_short(self.now);
        }
        self.end(one, failure.status);
        one.error = Some((failure.code, failure.message));
        if !failure.rolls_back || one.is_rollback() {
            return None;
        }
        self.rollback_of(one)
    }

    fn end(&mut self, one: &mut Deployment, status: &'static str) {
        one.last_sets = self.described_sets(one);
        one.status = status;
        one.completed_at = Some(self.now);
    }

    /// Before there is a replacement task set "a rollback is not possible". Afterwards production goes back to the old
    /// one, if it was not there all along, and the replacement is drained.
    fn rollback_of(&mut self, one: &mut Deployment) -> Option<Deployment> {
        let (old, failed) = (one.blue.clone()?, one.green.clone()?);
        let application = self.code_deploy.applications.get(&one.application);
        let good = one.previous.as_ref().and_then(|sha256| application?.revisions.get(sha256));
        let content = good.map(|revision| revision.content.clone());
        let id = self.deployment_id();
        one.rollback.deployment = Some(id.clone());
        one.rollback.message = Some(format!(
            "Deployment {} terminated. Automatic rollback is triggered with a DeploymentId {id}.",
            one.id
        ));
        let message = format!("Deployment {id} is triggered to roll back deployment {}.", one.id);
        let mut rollback = Deployment {
            id,
            application: one.application.clone(),
            group: one.group.clone(),
            group_id: one.group_id.clone(),
            service: one.service.clone(),
            creator: "codeDeployRollback",
            configuration: DEFAULT.to_owned(),
            sha256: content.as_ref().and(one.previous.clone()),
            content,
            previous: one.previous.clone(),
            rolls_back_on: one.rolls_back_on.clone(),
            settings: one.settings.clone(),
            route: one.route.clone(),
            status: "Created",
            created_at: self.now,
            blue: Some(failed),
            green: Some(old),
            weight: 100 - one.weight,
            rollback: RollbackInfo {
                deployment: None,
                triggering: Some(one.id.clone()),
                message: Some(message),
            },
            ..Deployment::default()
        };
        std::mem::swap(&mut rollback.route.blue, &mut rollback.route.green);
        // The failed task set is not kept for a look.
        if let Some(options) = rollback.settings.get_mut("blueGreenDeploymentConfiguration") {
            options["terminateBlueInstancesOnDeploymentSuccess"] = json!({"action": "TERMINATE"});
        }
        Some(rollback)
    }
}
