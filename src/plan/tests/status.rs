//! What is said of a service.

use super::{NOW, Scene, rolled_back, task, texts};
use crate::model::ServiceDeploymentStatus::{InProgress, RollbackFailed, Successful};
use crate::model::*;
use crate::plan::steady::VISIBLE;

#[test]
fn the_status_names_what_runs_by_digest_and_not_by_tag() {
    let mix = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .live(2, "ecs-svc/2", RolloutState::InProgress)
        .history(&[("d2", 2, InProgress), ("d1", 1, Successful)])
        .with(|scene| scene.observed.tasks = Reading::Known(vec![task(1, 'a'), task(1, 'a'), task(2, 'b')]));
    let status = mix.plan().status;
    let running: Vec<(String, usize)> =
        status.running.iter().map(|group| (group.commits[0].to_string(), group.tasks)).collect();
    assert_eq!(running, [("bbbbbbb".to_owned(), 1), ("aaaaaaa".to_owned(), 2)]);
    assert_eq!((status.sync, status.health), (Sync::OutOfSync, Health::Progressing));
    assert_eq!(status.tagged, Some(Commit::new("aaaaaaa")));
    let last = status.last_deployment.unwrap();
    assert_eq!((last.phase, last.started_by), (Phase::InProgress, StartedBy::Trueup));
}

#[test]
fn what_a_load_balancer_lets_go_is_told_beside_what_runs() {
    let draining = |exited| {
        let mut old = task(1, 'a');
        old.last_status = "DEACTIVATING".to_owned();
        old.containers[0].exit_code = exited;
        Scene::new()
            .ours(2, 'b', 1, "ecs-svc/1")
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .with(|scene| scene.observed.tasks = Reading::Known(vec![task(2, 'b'), old]))
            .plan()
            .status
            .running
            .iter()
            .map(|group| (group.commits[0].to_string(), group.tasks, group.draining))
            .collect::<Vec<_>>()
    };
    assert_eq!(draining(None), [("bbbbbbb".to_owned(), 1, 0), ("aaaaaaa".to_owned(), 0, 1)]);
    assert_eq!(draining(Some(1)), [("bbbbbbb".to_owned(), 1, 0)], "what has exited runs no more");
}

#[test]
fn tasks_that_are_not_listed_yet_are_counted_and_not_named() {
    let running = |tasks| {
        let scene = Scene::new().with(|scene| scene.observed.tasks = tasks);
        let groups = scene.plan().status.running;
        groups.into_iter().map(|group| (group.commits.len(), group.digest, group.tasks)).collect::<Vec<_>>()
    };
    for unlisted in
        [Reading::Known(Vec::new()), Reading::Unavailable("throttled".to_owned()), Reading::Absent]
    {
        assert_eq!(running(unlisted), [(0, None, 1)]);
    }
}

#[test]
fn a_deleted_service_is_missing_while_aws_goes_on_describing_it() {
    for deleted in [ServiceStatus::Draining, ServiceStatus::Inactive] {
        for frozen in [Mode::Apply, Mode::Frozen] {
            let scene = Scene::new().declares_a().with(|scene| {
                scene.desired.mode = frozen;
                if let Reading::Known(service) = &mut scene.observed.service {
                    (service.status, service.desired_count, service.running_count) = (deleted, 0, 0);
                }
            });
            assert_eq!(scene.plan().status.health, Health::Missing);
        }
    }
}

#[test]
fn a_frozen_application_shows_what_runs_and_offers_nothing() {
    // Held: a retry would be offered. In the files of what is frozen nobody can tell what is declared.
    for scene in [rolled_back(), Scene::new(), Scene::new().declares_a()] {
        let plan = scene.with(|scene| scene.desired.mode = Mode::Frozen).plan();
        assert_eq!((plan.steps.len(), &plan.waiting), (0, &Some(Waiting::Frozen)));
        assert_eq!((plan.retry, plan.approval, plan.failure, plan.outlook), (None, None, None, None));
        let status = plan.status;
        assert_eq!((status.sync, status.declared, status.drift.len()), (Sync::Unknown, None, 0));
        assert_eq!(status.running[0].commits, [Commit::new("aaaaaaa")]);
        assert!(status.conditions.iter().any(|condition| condition.kind == ConditionKind::Stalled));
    }
    let absent = Scene::new().with(|scene| {
        (scene.desired.mode, scene.observed.service) = (Mode::Frozen, Reading::Absent);
    });
    assert_eq!(absent.plan().status.health, Health::Unknown, "its name may be what is wrong in the files");
}

#[test]
fn a_count_of_zero_proves_nothing() {
    let zero = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
        .with(|scene| {
            scene.observed.tasks = Reading::Known(Vec::new());
            if let Reading::Known(service) = &mut scene.observed.service {
                (service.desired_count, service.running_count) = (0, 0);
            }
        });
    zero.check("Settled");
    let status = zero.plan().status;
    assert_eq!((status.health, status.running.len()), (Health::Suspended, 0));
}

#[test]
fn a_service_is_degraded_while_its_tasks_fail_and_fewer_run_than_it_is_to_have() {
    let failing = |running| {
        let scene = Scene::new().declares_a().with(|scene| {
            if let Reading::Known(history) = &mut scene.observed.service_deployments {
                history[0].finished_at = Some(NOW - 2 * VISIBLE);
            }
            if let Reading::Known(service) = &mut scene.observed.service {
                (service.desired_count, service.running_count) = (2, running);
                (service.deployments[0].running, service.deployments[0].failed_tasks) = (running, 1);
            }
        });
        scene.plan().status.health
    };
    assert_eq!((failing(1), failing(2)), (Health::Degraded, Health::Healthy));
}

#[test]
fn the_causes_of_a_failure_are_the_ends_of_its_tasks() {
    let stopped = |exit_code, reason: Option<&str>, stopped_reason: &str| {
        let mut task = Task { last_status: "STOPPED".to_owned(), ..task(2, 'b') };
        task.stopped_reason = Some(stopped_reason.to_owned());
        (task.containers[0].exit_code, task.containers[0].reason) = (exit_code, reason.map(str::to_owned));
        task
    };
    let scene = rolled_back().with(|scene| {
        scene.observed.tasks = Reading::Known(vec![
            stopped(Some(137), Some("OutOfMemoryError"), "Essential container in task exited"),
            stopped(Some(1), None, "Essential container in task exited"),
            stopped(Some(1), None, "Essential container in task exited"),
            // As EC2 says it, and as Fargate does.
            stopped(None, Some("CannotPullContainerError: x"), "Task failed to start"),
            stopped(None, None, "CannotPullContainerError: y"),
        ]);
    });
    // In the order of what a deployment comes to.
    let expected = [
        (CauseKind::Pull, "container api: CannotPullContainerError: x"),
        (CauseKind::Pull, "CannotPullContainerError: y"),
        (CauseKind::Memory, "container api exited with 137, OutOfMemoryError"),
        (CauseKind::Exit(1), "2 x container api exited with 1"),
    ];
    let causes = scene.plan().status.causes;
    let told: Vec<_> = causes.iter().map(|cause| (cause.kind, cause.to_string())).collect();
    assert_eq!(told, expected.map(|(kind, text)| (kind, text.to_owned())));
}

#[test]
fn a_cause_repeats_nothing_that_a_container_was_given() {
    let scene = rolled_back().with(|scene| {
        let mut task = Task { last_status: "STOPPED".to_owned(), ..task(2, 'b') };
        task.containers[0].exit_code = None;
        task.containers[0].reason =
            Some("CannotStartContainerError: exec: \"canary-in-command\" of mco-api: no such file, postgres://u:p@h".to_owned());
        scene.observed.tasks = Reading::Known(vec![task]);
        let revision = scene.observed.revisions.get_mut(&super::arn(2)).unwrap();
        let Reading::Known(revision) = revision else { return };
        revision.input["containerDefinitions"][0]["command"] = serde_json::json!(["canary-in-command"]);
    });
    assert_eq!(
        texts(&scene.plan().status.causes),
        ["container api: CannotStartContainerError: exec: \"(hidden)\" of mco-api: no such file, (hidden)"]
    );
}

#[test]
fn a_cause_repeats_nothing_that_an_option_or_an_address_was_given() {
    for (command, secret) in [
        ("--token=hunter2canary", "hunter2canary"),
        ("serve --password 'opensesame' --port 80", "opensesame"),
        ("https://me:swordfish@host/x", "swordfish"),
        ("https://host/x?a=1&b=letmein99", "letmein99"),
    ] {
        let scene = rolled_back().with(|scene| {
            let mut task = Task { last_status: "STOPPED".to_owned(), ..task(2, 'b') };
            task.containers[0].exit_code = None;
            task.containers[0].reason = Some(format!("CannotStartContainerError: no {secret} here"));
            scene.observed.tasks = Reading::Known(vec![task]);
            let revision = scene.observed.revisions.get_mut(&super::arn(2)).unwrap();
            let Reading::Known(revision) = revision else { return };
            revision.input["containerDefinitions"][0]["command"] = serde_json::json!([command]);
        });
        let told = texts(&scene.plan().status.causes);
        assert_eq!(told, ["container api: CannotStartContainerError: no (hidden) here"], "{command}");
    }
}

#[test]
fn a_reason_repeats_nothing_that_a_container_was_given() {
    let said = || "the value canary-in-command is not valid".to_owned();
    let given = |mut scene: Scene| {
        let revision = scene.observed.revisions.get_mut(&super::arn(1)).unwrap();
        let Reading::Known(revision) = revision else { return scene };
        revision.input["containerDefinitions"][0]["command"] = serde_json::json!(["canary-in-command"]);
        scene
    };
    let unreadable = |change: fn(&mut Observed, String)| {
        given(Scene::new()).with(|scene| change(&mut scene.observed, said()))
    };
    let failed = Outcome { result: OutcomeKind::Failed, deployment: "d2".to_owned() };
    for scene in [
        unreadable(|observed, said| observed.service = Reading::Unavailable(said)),
        unreadable(|observed, said| observed.service_deployments = Reading::Unavailable(said)),
        unreadable(|observed, said| observed.tasks = Reading::Unavailable(said)),
        unreadable(|observed, said| observed.memory = Some(Completeness::Incomplete(said))),
        unreadable(|observed, said| {
            observed.revisions.insert(super::arn(9), Reading::Unavailable(said));
        }),
        given(rolled_back())
            .tag(2, crate::documents::memory::outcome_tag(&failed))
            .history(&[("d2", 2, RollbackFailed), ("d1", 1, Successful)])
            .with(|scene| {
                let Reading::Known(history) = &mut scene.observed.service_deployments else { return };
                history[0].reason = Some(said());
            }),
    ] {
        let plan = scene.plan();
        let told = format!("{:?} {:?}", plan.waiting, plan.status.conditions);
        assert!(told.contains("the value (hidden) is not valid") && !told.contains("canary"), "{told}");
    }
}
