//! Which rule answers: the same situation is always decided by the same one.

use super::{NOW, Scene, arn, digest, foreign, image};
use crate::documents::memory;
use crate::model::ServiceDeploymentStatus::{InProgress, RollbackFailed, RollbackInProgress, Successful};
use crate::model::*;
use crate::plan::{RULES, Step};

fn recorded(result: OutcomeKind) -> (String, String) {
    memory::outcome_tag(&Outcome { result, deployment: "d2".to_owned() })
}

/// Revision 2, which is what is declared, was deployed and has ended.
fn deployed() -> Scene {
    Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
}

fn elsewhere() -> Scene {
    deployed()
        .tag(2, recorded(OutcomeKind::Succeeded))
        .live(9, "ecs-svc/9", RolloutState::Completed)
        .history(&[("d9", 9, Successful), ("d2", 2, Successful), ("d1", 1, Successful)])
        .with(|scene| {
            let other = foreign(9, &format!("{}@{}", super::URI, digest('a')));
            scene.observed.revisions.insert(arn(9), Reading::Known(other));
            scene.observed.tasks = Reading::Known(vec![super::task(9, 'a')]);
        })
}

fn unread<T>() -> Reading<T> {
    Reading::Unavailable("timeout".to_owned())
}

#[track_caller]
fn answers(expected: &str, scene: &Scene) {
    let plan = scene.plan();
    let rule = plan.rule.and_then(|place| RULES.get(place)).map(|rule| rule.name);
    assert_eq!(rule, Some(expected), "{:?} {:?}", plan.waiting, plan.steps.first());
}

#[test]
fn each_situation_has_its_rule() {
    answers("service", &Scene::new().with(|scene| scene.observed.service = Reading::Absent));
    let unreached = || Err(Unreached::Unread("timeout".to_owned()));
    answers("service", &Scene::new().with(|scene| scene.observed.account = unreached()));
    answers("reading", &Scene::new().with(|scene| scene.observed.service_deployments = unread()));
    let failed = deployed().live(2, "ecs-svc/2", RolloutState::Failed);
    let failed = failed.history(&[("d2", 2, RollbackFailed), ("d1", 1, Successful)]);
    answers("failure", &failed);
    let undone = deployed().live(1, "ecs-svc/3", RolloutState::InProgress);
    answers("rollback", &undone.history(&[("d2", 2, RollbackInProgress), ("d1", 1, Successful)]));
    answers("success", &deployed());
    answers("content", &Scene::new().with(|scene| scene.observed.images[0].built = Reading::Absent));
    let settled = deployed().tag(2, recorded(OutcomeKind::Succeeded)).with(|scene| {
        scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    });
    answers("arrival", &settled);
    let theirs = Scene::new().live(1, "ecs-svc/7", RolloutState::InProgress);
    answers("in flight", &theirs.history(&[("d7", 1, InProgress), ("d1", 1, Successful)]));
    answers("running", &Scene::new().with(|scene| scene.observed.tasks = unread()));
    answers("family", &Scene::new().with(|scene| scene.observed.newest = Some(unread())));
    answers("first contact", &Scene::new().with(|scene| scene.observed.memory = None));
    answers("drift", &elsewhere());
    answers("turn", &Scene::new().with(|scene| scene.turn = Some("after test/db")));
    answers("registration", &Scene::new());
    answers("start", &Scene::new().ours(2, 'b', 1, "ecs-svc/1"));
    let frozen = Scene::new().with(|scene| scene.desired.mode = Mode::Frozen);
    assert_eq!(frozen.plan().rule, None, "none is asked");
}

/// What keeps writes back comes behind the rules: the answer is still that of the rule.
#[test]
fn a_write_that_is_withheld_was_decided_all_the_same() {
    let suspended = Scene::new().with(|scene| {
        let (reason, scope) = ("freeze".to_owned(), SuspensionScope::Environment);
        scene.desired.suspensions = vec![Suspension { until: Some(NOW), reason, scope }];
    });
    let (free, held) = (Scene::new().plan(), suspended.plan());
    assert!(matches!(free.steps.first(), Some(Step::Register { .. })));
    assert_eq!((held.steps.len(), held.rule), (0, free.rule));
}

#[test]
fn every_rule_says_what_it_is_for() {
    for (place, rule) in RULES.iter().enumerate() {
        let is_last = place + 1 == RULES.len();
        assert_eq!(rule.passes.is_empty(), is_last, "{}: the last one has none behind it", rule.name);
        assert!(!rule.here.is_empty(), "{}", rule.name);
        assert_eq!(RULES.iter().filter(|one| one.name == rule.name).count(), 1, "{}", rule.name);
    }
}
