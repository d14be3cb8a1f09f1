//! What another hand has done, and our own older deployments.

use serde_json::json;

use super::{Scene, URI, arn, digest, foreign};
use crate::documents::memory;
use crate::model::ServiceDeploymentStatus::{InProgress, Stopped, Successful};
use crate::model::*;

#[test]
fn a_change_by_another_hand_follows_the_drift_policy() {
    let drifted = || {
        Scene::new()
            .ours(2, 'b', 1, "ecs-svc/1")
            .live(1, "ecs-svc/3", RolloutState::Completed)
            .history(&[("d3", 1, Successful), ("d2", 2, Successful)])
    };
    drifted().check("Drifted");
    drifted().with(|scene| scene.desired.policy.drift = OnDrift::Ignore).check("Drifted");
    let heal = drifted().with(|scene| scene.desired.policy.drift = OnDrift::Heal);
    heal.check("stamp mco-api:2 trueup:applied=2/head/ecs-svc/3");
    heal.tag(2, ("trueup:applied".to_owned(), "2/head/ecs-svc/3".to_owned()))
        .check("deploy mco-api:2 Interrupted");
}

#[test]
fn another_base_beside_an_image_that_had_succeeded_is_drift_and_not_git() {
    // Our revision 2 brought commit b and succeeded; then another hand deployed revision 3 with other fields.
    let scene = |outcome| {
        let outcome = Outcome { result: outcome, deployment: "d2".to_owned() };
        Scene::new()
            .ours(2, 'b', 1, "ecs-svc/1")
            .tag(2, memory::outcome_tag(&outcome))
            .live(3, "ecs-svc/3", RolloutState::Completed)
            .history(&[("d3", 3, Successful), ("d2", 2, Stopped)])
            .with(|scene| {
                let mut other = foreign(3, &format!("{URI}@{}", digest('a')));
                other.input["containerDefinitions"][0]["cpu"] = json!(256);
                scene.observed.revisions.insert(arn(3), Reading::Known(other));
            })
    };
    scene(OutcomeKind::Succeeded).check("Drifted");
    scene(OutcomeKind::Superseded).check("register bbbbbbb 2/head/ecs-svc/3");
}

#[test]
fn a_deployment_of_another_hand_is_followed_to_its_end() {
    let other = Scene::new()
        .with(|scene| {
            drop(scene.observed.revisions.insert(arn(9), Reading::Known(foreign(9, "elsewhere:1"))));
        })
        .live(9, "ecs-svc/9", RolloutState::InProgress)
        .history(&[("d9", 9, InProgress), ("d1", 1, Successful)]);
    other.check("Deploying");
    let equal = Scene::new()
        .with(|scene| {
            let revision = foreign(9, &format!("{URI}@{}", digest('b')));
            scene.observed.revisions.insert(arn(9), Reading::Known(revision));
        })
        .live(9, "ecs-svc/9", RolloutState::InProgress)
        .history(&[("d9", 9, InProgress), ("d1", 1, Successful)]);
    equal.check("Deploying");
}

#[test]
fn our_own_older_deployment_is_replaced_but_not_for_ever() {
    let older = |replaced: usize| {
        let mut history = vec![("d9", 3, InProgress)];
        history.extend(std::iter::repeat_n(("d8", 4, Stopped), replaced));
        history.push(("d1", 1, Successful));
        Scene::new()
            .ours(3, 'c', 1, "ecs-svc/1")
            .live(3, "ecs-svc/3", RolloutState::InProgress)
            .history(&history)
    };
    older(2).check("register bbbbbbb 2/head/ecs-svc/3");
    older(3).check("FinishingFirst");
    // What was allowed to finish has, and the list does not show the one after it yet.
    let before = [("d5", 1, Successful), ("d4", 4, Stopped), ("d3", 4, Stopped), ("d2", 4, Stopped)];
    let unlisted = older(3).history(&before);
    unlisted.check("register bbbbbbb 2/head/ecs-svc/3");
    older(0).with(|scene| scene.desired.policy.in_flight = InFlight::Finish).check("FinishingFirst");
}
