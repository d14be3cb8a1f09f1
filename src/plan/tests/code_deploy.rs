//! The rules that hold where CodeDeploy carries the deployments out.

use serde_json::{Value, json};

use super::{BEGAN, ENDED, Scene, URI, arn, digest, foreign, image, target};
use crate::documents::app_spec::{filled_in, task_definition_of};
use crate::documents::{code_deploy, memory};
use crate::model::*;
use crate::plan::carriers::code_deploy::{description, history};
use crate::plan::{DeploymentName, Step};

fn set(number: u64, id: &str, status: DeploymentStatus) -> Deployment {
    Deployment {
        id: DeploymentId::new(id),
        status,
        task_definition: arn(number),
        rollout: Some(RolloutState::Completed),
        running: 1,
        failed_tasks: 0,
        load_balancer: Some(LoadBalancer {
            target_group: "arn:aws:elasticloadbalancing:eu-west-2:1:targetgroup/api-1/1".to_owned(),
            container: "api".to_owned(),
            port: 8080,
        }),
        // The first was there before all deployments, which make the others.
        created_at: if number == 1 { BEGAN - 1000 } else { BEGAN + 2 },
        updated_at: ENDED,
    }
}

fn group() -> DeploymentGroup {
    DeploymentGroup {
        is_for_ecs: true,
        services: vec![(ClusterName::new("mco"), ServiceName::new("mco-api-test"))],
        target_groups: vec!["api-1".to_owned(), "api-2".to_owned()],
        has_production_listener: true,
        alarms: Vec::new(),
        service_role: None,
        has_test_listener: true,
        last_success: None,
    }
}

fn deployment(id: &str, status: CodeDeployStatus) -> CodeDeployment {
    CodeDeployment {
        id: id.to_owned(),
        status,
        is_rollback: false,
        undoes: None,
        description: None,
        sha256: Some(id.to_owned()),
        error: None,
        rolled_back_by: None,
        has_previous: true,
        termination_started: false,
        ready_wait: Some(30),
        created_at: BEGAN,
        completed_at: status.is_over().then_some(ENDED),
    }
}

fn stopped(id: &str) -> CodeDeployment {
    let error =
        CodeDeployError { code: "MANUAL_STOP".to_owned(), message: "stopped".to_owned(), event: None };
    CodeDeployment { error: Some(error), ..deployment(id, CodeDeployStatus::Stopped) }
}

impl Scene {
    /// Commit aaaaaaa runs as foreign revision 1 in the task set `ecs-svc/1`; the group fits and never deployed.
    pub(super) fn blue_green() -> Self {
        Self::new().with(|scene| {
            scene.desired.strategy = Strategy::Unspecified;
            scene.observed.service_deployments = Reading::Known(Vec::new());
            scene.observed.group = Some(Reading::Known(Group::Found(group())));
            scene.sets(&[(1, "ecs-svc/1")]);
        })
    }

    /// Task sets, the PRIMARY first.
    fn sets(&mut self, sets: &[(u64, &str)]) {
        let Reading::Known(service) = &mut self.observed.service else { return };
        service.controller = Controller::CodeDeploy;
        let status = |index| if index == 0 { DeploymentStatus::Primary } else { DeploymentStatus::Active };
        service.deployments =
            sets.iter().enumerate().map(|(index, (number, id))| set(*number, id, status(index))).collect();
        service.task_definition = arn(sets[0].0);
    }

    /// This task set is on its way out.
    fn draining(self, id: &str) -> Self {
        self.with(|scene| {
            let Reading::Known(service) = &mut scene.observed.service else { return };
            let set = service.deployments.iter_mut().find(|set| set.id == DeploymentId::new(id)).unwrap();
            (set.status, set.running) = (DeploymentStatus::Inactive, 0);
        })
    }

    fn phase(&self) -> Phase {
        self.plan().status.last_deployment.unwrap().phase
    }

    fn with_sets(mut self, sets: &[(u64, &str)]) -> Self {
        self.sets(sets);
        self
    }

    /// Deployments, each with the revision that it brings.
    fn code_deployments(self, deployments: &[(CodeDeployment, u64)], progress: &Progress) -> Self {
        self.deployments_read_with(deployments, Some(progress))
    }

    /// `None`: how far the newest one is could not be read.
    fn deployments_read_with(
        self,
        deployments: &[(CodeDeployment, u64)],
        progress: Option<&Progress>,
    ) -> Self {
        let targets = deployments
            .iter()
            .filter_map(|(one, number)| Some((one.sha256.clone()?, arn(*number))))
            .collect();
        let all: Vec<CodeDeployment> = deployments.iter().map(|(one, _)| one.clone()).collect();
        self.with(|scene| {
            let Reading::Known(service) = &scene.observed.service else { return };
            let history = history(&all, &targets, progress, service);
            scene.observed.service_deployments = Reading::Known(history);
        })
    }

    /// Our revision 2 of commit b, stamped while `ecs-svc/1` was live, and its deployment `d-2`.
    fn begun(deployment: CodeDeployment) -> Self {
        Self::blue_green()
            .ours(2, 'b', 1, "ecs-svc/1")
            .code_deployments(&[(deployment, 2)], &Progress::default())
    }

    fn outcome(self, result: OutcomeKind, id: &str) -> Self {
        self.tag(2, memory::outcome_tag(&Outcome { result, deployment: id.to_owned() }))
    }

    /// Commit c is declared and built.
    fn declares_c(self) -> Self {
        self.with(|scene| {
            scene.desired.images[0].commit = Commit::new("ccccccc");
            scene.desired.images[0].commit_tag = Tag::new("ccccccc");
            scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
        })
    }
}

fn started() -> Scene {
    Scene::begun(deployment("d-2", CodeDeployStatus::InProgress))
}

/// All traffic is on revision 2, and the task set of revision 1 stands by.
fn waiting(has_previous: bool) -> Scene {
    let waits = CodeDeployment {
        termination_started: true,
        has_previous,
        ..deployment("d-2", CodeDeployStatus::InProgress)
    };
    Scene::begun(waits.clone())
        .with_sets(&[(2, "ecs-svc/2"), (1, "ecs-svc/1")])
        .code_deployments(&[(waits, 2)], &Progress::default())
}

#[test]
fn a_commit_is_registered_and_then_deployed_by_codedeploy() {
    Scene::blue_green().check("register bbbbbbb 1/head/ecs-svc/1");
    Scene::blue_green().ours(2, 'b', 1, "ecs-svc/1").check("deploy mco-api:2 Interrupted");
    started().check("Deploying");
    waiting(true).check("Deploying");
}

#[test]
fn what_is_sent_names_the_revision_and_whose_it_is() {
    let scene = Scene::blue_green().ours(2, 'b', 1, "ecs-svc/1");
    let plan = scene.plan();
    let Some(crate::plan::Step::Deploy { by: crate::plan::By::CodeDeploy(new), .. }) = plan.steps.first()
    else {
        unreachable!("{plan:#?}")
    };
    assert_eq!(
        (new.application.as_str(), new.group.as_str()),
        ("AppECS-mco-mco-api-test", "DgpECS-mco-mco-api-test")
    );
    let declared = crate::plan::declaration::hash(&scene.desired, None);
    assert_eq!(new.description, format!("trueup test/api bbbbbbb {} {declared}", arn(2)));
    let sent: Value = serde_json::from_str(&new.app_spec).unwrap();
    assert_eq!(task_definition_of(&sent), Some(arn(2).as_str()));
    let balancer = &sent["Resources"][0]["TargetService"]["Properties"]["LoadBalancerInfo"];
    assert_eq!(*balancer, json!({"ContainerName": "api", "ContainerPort": 8080}));
}

#[test]
fn a_declared_file_keeps_every_field_and_the_case_of_its_keys() {
    let content = json!({"version": 0.0, "hooks": [{"BeforeInstall": "f"}],
        "resources": [{"targetService": {"type": "AWS::ECS::Service",
            "properties": {"taskDefinition": "<TASK_DEFINITION>", "platformVersion": "1.4.0", "new": [1]}}}]});
    let mut expected = content.clone();
    expected["resources"][0]["targetService"]["properties"]["taskDefinition"] = json!("arn");
    assert_eq!(filled_in(&content, "arn"), expected);
}

#[test]
fn an_app_spec_leads_to_a_container_and_port_of_the_base() {
    for (container, port, expected) in [
        ("api", 8080, "register bbbbbbb 1/head/ecs-svc/1"),
        ("application", 8080, "Misfit"),
        ("api", 80, "Misfit"),
    ] {
        let content = json!({"resources": [{"targetService": {"properties": {"taskDefinition": "<TASK_DEFINITION>",
            "loadBalancerInfo": {"containerName": container, "containerPort": port}}}}]});
        let app_spec = AppSpec { path: "appspec.json".to_owned(), content };
        let settings = CodeDeploy { app_spec: Some(app_spec), ..CodeDeploy::default() };
        let patch = json!({"containerDefinitions": [{"name": "api", "image": format!("{URI}@{}", digest('a')),
            "portMappings": [{"containerPort": 8080}]}]});
        let scene = Scene::blue_green().with(|scene| {
            scene.desired.strategy = Strategy::CodeDeploy(Box::new(settings));
            scene.desired.overlay.patch = Some(patch);
        });
        scene.check(expected);
    }
}

#[test]
fn a_success_is_recorded_when_the_old_tasks_begin_to_end() {
    let succeeded = || Scene::begun(deployment("d-2", CodeDeployStatus::Succeeded));
    let recorded = "stamp mco-api:2 trueup:outcome=succeeded/d-2";
    succeeded().with_sets(&[(2, "ecs-svc/2")]).check(recorded);
    succeeded().with_sets(&[(2, "ecs-svc/2"), (1, "ecs-svc/1")]).draining("ecs-svc/1").check(recorded);
}

#[test]
fn a_hook_that_failed_is_told_with_the_event_that_called_its_function() {
    let told = |code: &str, event: Option<&str>| {
        let event = event.map(str::to_owned);
        let error = Some(CodeDeployError { code: code.to_owned(), message: "it failed".to_owned(), event });
        let scene = Scene::begun(CodeDeployment { error, ..deployment("d-2", CodeDeployStatus::Failed) });
        let cause = scene.outcome(OutcomeKind::Failed, "d-2").plan().status.causes.remove(0);
        (cause.kind, cause.text, cause.hint)
    };
    let hint = "see what the function logged that the AppSpec names for AfterInstall".to_owned();
    for (code, event, expected) in [
        (
            "HOOK_EXECUTION_FAILURE",
            Some("AfterInstall"),
            (CauseKind::Hook, "HOOK_EXECUTION_FAILURE at AfterInstall: it failed", Some(hint)),
        ),
        ("HOOK_EXECUTION_FAILURE", None, (CauseKind::Hook, "HOOK_EXECUTION_FAILURE: it failed", None)),
        ("INTERNAL_ERROR", Some("AfterInstall"), (CauseKind::Other, "INTERNAL_ERROR: it failed", None)),
    ] {
        let (kind, text, hint) = expected;
        assert_eq!(told(code, event), (kind, text.to_owned(), hint));
    }
}

#[test]
fn a_failure_is_recorded_once_and_held() {
    for (status, code) in [
        (CodeDeployStatus::Failed, Some("HOOK_EXECUTION_FAILURE")),
        (CodeDeployStatus::Stopped, Some("ALARM_ACTIVE")),
        (CodeDeployStatus::Stopped, Some("MANUAL_STOP")),
        (CodeDeployStatus::Stopped, None),
    ] {
        let error =
            code.map(|code| CodeDeployError { code: code.to_owned(), message: String::new(), event: None });
        let scene = Scene::begun(CodeDeployment { error, ..deployment("d-2", status) });
        scene.check("stamp mco-api:2 trueup:outcome=failed/d-2");
        scene.outcome(OutcomeKind::Failed, "d-2").check("Held");
    }
}

#[test]
fn a_rollback_by_codedeploy_is_followed_and_is_no_deployment_of_its_own() {
    let failed = CodeDeployment {
        rolled_back_by: Some("d-3".to_owned()),
        ..deployment("d-2", CodeDeployStatus::Failed)
    };
    let undoing = |status| CodeDeployment {
        is_rollback: true,
        undoes: Some("d-2".to_owned()),
        ..deployment("d-3", status)
    };
    let scene = |status| {
        Scene::begun(failed.clone())
            .outcome(OutcomeKind::Failed, "d-2")
            .code_deployments(&[(failed.clone(), 2), (undoing(status), 1)], &Progress::default())
    };
    scene(CodeDeployStatus::InProgress).check("Deploying");
    scene(CodeDeployStatus::Succeeded).check("Held");
    // The failed tasks still have the traffic, and nobody writes.
    scene(CodeDeployStatus::Failed).with_sets(&[(2, "ecs-svc/2"), (1, "ecs-svc/1")]).check("RollbackFailed");
}

#[test]
fn what_codedeploy_cannot_undo_is_undone_by_trueup() {
    let failed = deployment("d-2", CodeDeployStatus::Failed);
    let scene = || {
        Scene::begun(failed.clone())
            .with_sets(&[(2, "ecs-svc/2"), (1, "ecs-svc/1")])
            .code_deployments(&[(failed.clone(), 2)], &Progress::default())
            .outcome(OutcomeKind::Failed, "d-2")
    };
    scene().check("deploy mco-api:1 Rollback");
    scene().with(|scene| scene.desired.policy.on_failure = OnFailure::Leave).check("Held");
}

#[test]
fn before_the_shift_another_commit_waits_unless_the_policy_says_otherwise() {
    started().declares_c().check("FinishingFirst");
    let replace = || started().declares_c().with(|scene| scene.desired.policy.in_flight = InFlight::Replace);
    replace().check("stamp mco-api:2 trueup:outcome=superseded/d-2");
    replace().outcome(OutcomeKind::Superseded, "d-2").check("stop d-2");
    let unread = |scene: &mut Scene| scene.observed.tasks = Reading::Unavailable("timeout".to_owned());
    replace().with(unread).check("Unreadable");
    // Going back to what has the traffic waits for nobody.
    started().declares_a().check("stamp mco-api:2 trueup:outcome=superseded/d-2");
}

#[test]
fn what_waits_for_approval_is_replaced_unless_the_policy_says_otherwise() {
    let waits = || {
        let one = deployment("d-2", CodeDeployStatus::Ready);
        Scene::begun(one.clone()).code_deployments(&[(one, 2)], &Progress::default()).declares_c()
    };
    waits().check("stamp mco-api:2 trueup:outcome=superseded/d-2");
    waits().outcome(OutcomeKind::Superseded, "d-2").check("stop d-2");
    waits().with(|scene| scene.desired.policy.in_flight = InFlight::Finish).check("FinishingFirst");
}

#[test]
fn traffic_that_nobody_could_bring_back_is_not_left_divided() {
    let shifting = |has_previous| {
        let one = CodeDeployment { has_previous, ..deployment("d-2", CodeDeployStatus::InProgress) };
        let progress =
            Progress { failed: None, event: Some("AllowTraffic".to_owned()), traffic: Some(10), since: None };
        Scene::begun(one.clone()).code_deployments(&[(one, 2)], &progress).declares_a()
    };
    shifting(true).check("stamp mco-api:2 trueup:outcome=superseded/d-2");
    shifting(false).check("FinishingFirst");
}

#[test]
fn a_deployment_of_which_nobody_could_read_how_far_it_is_is_never_stopped() {
    let replacing = |one: CodeDeployment| {
        Scene::begun(one.clone())
            .deployments_read_with(&[(one, 2)], None)
            .with(|scene| scene.desired.policy.in_flight = InFlight::Replace)
    };
    let unread = || replacing(deployment("d-2", CodeDeployStatus::InProgress));
    let stage = unread().plan().status.last_deployment.unwrap().shift.unwrap().stage;
    assert_eq!(stage, Stage::Unknown);
    unread().check("Deploying");
    unread().declares_c().check("FinishingFirst");
    unread().declares_a().check("FinishingFirst");
    unread().outcome(OutcomeKind::Superseded, "d-2").declares_c().check("FinishingFirst");
    // All traffic may be on it already.
    let both = [(2, "ecs-svc/2"), (1, "ecs-svc/1")];
    unread().with_sets(&both).declares_c().check("FinishingFirst");
    // What the deployment says of itself needs no other reading.
    let stopping = "stamp mco-api:2 trueup:outcome=superseded/d-2";
    replacing(deployment("d-2", CodeDeployStatus::Created)).declares_c().check(stopping);
    replacing(deployment("d-2", CodeDeployStatus::Ready)).declares_c().check(stopping);
    let waits =
        CodeDeployment { termination_started: true, ..deployment("d-2", CodeDeployStatus::InProgress) };
    replacing(waits).with_sets(&both).declares_c().check("continue d-2");
}

#[test]
fn what_was_stopped_for_a_newer_one_is_not_held() {
    let superseded = || Scene::begun(stopped("d-2")).outcome(OutcomeKind::Superseded, "d-2");
    superseded().declares_a().check("Settled");
    superseded().declares_c().check("register ccccccc 2/head/ecs-svc/1");
    superseded().check("deploy mco-api:2 Interrupted");
    // One that failed before the stop came is a failure all the same.
    Scene::begun(deployment("d-2", CodeDeployStatus::Failed))
        .outcome(OutcomeKind::Superseded, "d-2")
        .check("stamp mco-api:2 trueup:outcome=failed/d-2");
}

#[test]
fn after_the_shift_the_termination_wait_is_ended_or_used_to_go_back() {
    waiting(true).declares_c().check("continue d-2");
    waiting(true).declares_a().check("stamp mco-api:2 trueup:outcome=superseded/d-2");
    waiting(true).declares_a().outcome(OutcomeKind::Superseded, "d-2").check("stop d-2");
    // What drains is no fast way: the stop would go back to what is ACTIVE.
    waiting(true).declares_a().draining("ecs-svc/1").check("continue d-2");
}

#[test]
fn a_first_deployment_is_stopped_like_any_other_and_deployed_over_if_codedeploy_does_not_undo_it() {
    waiting(false).declares_a().check("stamp mco-api:2 trueup:outcome=superseded/d-2");
    let both = [(2, "ecs-svc/2"), (1, "ecs-svc/1")];
    let scene = |deployment: CodeDeployment, sets: &[(u64, &str)]| {
        let undoing = CodeDeployment {
            is_rollback: true,
            undoes: Some("d-2".to_owned()),
            sha256: None,
            ..self::deployment("d-3", CodeDeployStatus::Succeeded)
        };
        Scene::begun(deployment.clone())
            .with_sets(sets)
            .code_deployments(&[(deployment, 2), (undoing, 1)], &Progress::default())
            .outcome(OutcomeKind::Superseded, "d-2")
            .declares_a()
    };
    let undone = CodeDeployment { rolled_back_by: Some("d-3".to_owned()), ..stopped("d-2") };
    scene(undone, &[(1, "ecs-svc/1"), (2, "ecs-svc/2")]).draining("ecs-svc/2").check("Settled");
    scene(stopped("d-2"), &both).check("register aaaaaaa 2/head/ecs-svc/2");
}

#[test]
fn a_failure_before_the_shift_is_held_however_codedeploy_undoes_it() {
    let failed = deployment("d-2", CodeDeployStatus::Failed);
    let recorded = |deployment: &CodeDeployment, others: &[(CodeDeployment, u64)]| {
        let mut all = vec![(deployment.clone(), 2)];
        all.extend(others.iter().cloned());
        let scene = Scene::begun(deployment.clone())
            .with_sets(&[(1, "ecs-svc/1"), (2, "ecs-svc/2")])
            .code_deployments(&all, &Progress::default())
            .outcome(OutcomeKind::Failed, "d-2");
        (scene.phase(), scene)
    };
    // Inside of the same deployment: the new task set is on its way out, or gone.
    let (phase, scene) = recorded(&failed, &[]);
    assert_eq!(phase, Phase::Failed);
    scene.check("Held");
    recorded(&failed, &[]).1.draining("ecs-svc/2").check("Held");
    recorded(&failed, &[]).1.with_sets(&[(1, "ecs-svc/1")]).check("Held");
    // By another one, which may not have been read yet.
    let undone = CodeDeployment { rolled_back_by: Some("d-3".to_owned()), ..failed };
    let undoing = |status| CodeDeployment { is_rollback: true, sha256: None, ..deployment("d-3", status) };
    for (others, phase, said) in [
        (vec![], Phase::RollingBack, "Deploying"),
        (vec![(undoing(CodeDeployStatus::InProgress), 1)], Phase::RollingBack, "Deploying"),
        (vec![(undoing(CodeDeployStatus::Succeeded), 1)], Phase::RolledBack, "Held"),
    ] {
        let (told, scene) = recorded(&undone, &others);
        assert_eq!(told, phase);
        scene.check(said);
    }
}

#[test]
fn what_codedeploy_has_rolled_back_is_not_undone_again_while_the_service_still_shows_it() {
    let failed = CodeDeployment {
        rolled_back_by: Some("d-3".to_owned()),
        ..deployment("d-2", CodeDeployStatus::Failed)
    };
    let undoing = CodeDeployment { is_rollback: true, ..deployment("d-3", CodeDeployStatus::Succeeded) };
    Scene::begun(failed.clone())
        .with_sets(&[(2, "ecs-svc/2"), (1, "ecs-svc/1")])
        .code_deployments(&[(failed, 2), (undoing, 1)], &Progress::default())
        .outcome(OutcomeKind::Failed, "d-2")
        .check("Held");
}

#[test]
fn a_revision_that_fails_the_second_time_is_still_what_ran_before() {
    // Revision 1 is deployed once more and fails; the next commit starts from it all the same.
    let again = CodeDeployment {
        rolled_back_by: Some("d-3".to_owned()),
        ..deployment("d-2", CodeDeployStatus::Failed)
    };
    let undoing = CodeDeployment { is_rollback: true, ..deployment("d-3", CodeDeployStatus::Succeeded) };
    Scene::blue_green()
        .code_deployments(&[(again, 1), (undoing, 1)], &Progress::default())
        .check("register bbbbbbb 1/head/ecs-svc/1");
}

#[test]
fn what_drains_has_no_part_in_anything() {
    // No deployment is known: the task sets alone say what goes on.
    let sets = [(2, "ecs-svc/2"), (1, "ecs-svc/1")];
    let unknown = || Scene::blue_green().ours(2, 'b', 1, "ecs-svc/1").with_sets(&sets);
    unknown().check("Deploying");
    unknown().draining("ecs-svc/1").check("stamp mco-api:2 trueup:outcome=succeeded/ecs-svc/2");
}

#[test]
fn while_the_last_checks_go_on_nothing_is_stopped() {
    let checking = deployment("d-2", CodeDeployStatus::InProgress);
    let progress = Progress {
        failed: None,
        event: Some("AfterAllowTraffic".to_owned()),
        traffic: Some(100),
        since: None,
    };
    Scene::begun(checking.clone())
        .with_sets(&[(2, "ecs-svc/2"), (1, "ecs-svc/1")])
        .code_deployments(&[(checking, 2)], &progress)
        .declares_c()
        .check("FinishingFirst");
}

#[test]
fn a_deployment_of_another_hand_is_never_stopped() {
    let theirs = || {
        Scene::blue_green()
            .with(|scene| {
                let other = foreign(3, &format!("{URI}@{}", digest('c')));
                scene.observed.revisions.insert(arn(3), Reading::Known(other));
                scene.desired.policy.in_flight = InFlight::Replace;
            })
            .code_deployments(&[(deployment("d-3", CodeDeployStatus::InProgress), 3)], &Progress::default())
    };
    theirs().check("Deploying");
    theirs().declares_a().check("Deploying");
    theirs().declares_c().check("Deploying");
}

#[test]
fn a_deployment_whose_content_nobody_knows_is_followed() {
    Scene::blue_green()
        .with(|scene| {
            let unknown = CodeDeployment { sha256: None, ..deployment("d-9", CodeDeployStatus::InProgress) };
            let Reading::Known(service) = &scene.observed.service else { return };
            let history = history(&[unknown], &std::collections::BTreeMap::new(), None, service);
            scene.observed.service_deployments = Reading::Known(history);
        })
        .check("Deploying");
}

#[test]
fn the_group_is_checked_before_the_first_write() {
    let with = |change: fn(&mut DeploymentGroup)| {
        let mut group = group();
        change(&mut group);
        Scene::blue_green().with(|scene| scene.observed.group = Some(Reading::Known(Group::Found(group))))
    };
    with(|group| group.is_for_ecs = false).check("GroupUnfit");
    with(|group| group.services[0].1 = ServiceName::new("other")).check("GroupUnfit");
    with(|group| group.target_groups.truncate(1)).check("GroupUnfit");
    with(|group| group.target_groups[0] = "elsewhere".to_owned()).check("GroupUnfit");
    with(|group| group.has_production_listener = false).check("GroupUnfit");
    let found = |found| Scene::blue_green().with(|scene| scene.observed.group = Some(Reading::Known(found)));
    found(Group::NoGroup).check("GroupMissing");
    found(Group::NoApplication).check("GroupMissing");
    Scene::blue_green()
        .with(|scene| scene.observed.group = Some(Reading::Unavailable("denied".to_owned())))
        .check("Unreadable");
}

#[test]
fn a_hook_that_can_never_run_is_a_risk_that_is_told() {
    let risks = |group: Group, hooks: Value, create: Option<NewGroup>| {
        let scene = Scene::blue_green().with(|scene| {
            let app_spec = AppSpec { path: "appspec.json".to_owned(), content: json!({"hooks": hooks}) };
            let settings = CodeDeploy { app_spec: Some(app_spec), create, ..CodeDeploy::default() };
            scene.desired.strategy = Strategy::CodeDeploy(Box::new(settings));
            scene.observed.group = Some(Reading::Known(group));
        });
        scene.plan().outlook.unwrap().risks
    };
    let without = || Group::Found(DeploymentGroup { has_test_listener: false, ..group() });
    let hooks = || json!([{"BeforeInstall": "f"}, {"afterAllowTestTraffic": "f"}]);
    let told = ["the hook AfterAllowTestTraffic never runs: the group has no test listener"];
    assert_eq!(risks(without(), hooks(), None), told);
    assert_eq!(risks(Group::NoGroup, hooks(), Some(new_group())), told);
    for (group, hooks) in [(Group::Found(group()), hooks()), (without(), json!([{"AfterInstall": "f"}]))] {
        assert_eq!(risks(group, hooks, None), [] as [&str; 0]);
    }
}

/// As declared under `create`.
fn new_group() -> NewGroup {
    NewGroup {
        service_role: "role".to_owned(),
        target_groups: ["api-1".to_owned(), "api-2".to_owned()],
        production_listener: "listener".to_owned(),
        test_listener: None,
        ready_wait: Some(10),
        termination_wait: 5,
        alarms: vec!["errors".to_owned()],
    }
}

#[test]
fn what_is_missing_is_made_as_declared_and_never_changed() {
    let new = new_group();
    let found = |found| {
        Scene::blue_green().with(|scene| {
            let settings = CodeDeploy {
                application: Some("API".to_owned()),
                group: Some("test".to_owned()),
                create: Some(new.clone()),
                ..CodeDeploy::default()
            };
            scene.desired.strategy = Strategy::CodeDeploy(Box::new(settings));
            scene.observed.group = Some(Reading::Known(found));
        })
    };
    found(Group::NoApplication).check("create API");
    found(Group::NoGroup).check("create group test");
    found(Group::Found(group())).check("register bbbbbbb 1/head/ecs-svc/1");
    let input = code_deploy::group_input(&new, "API", "test", &found(Group::NoGroup).desired);
    let waits = &input["blueGreenDeploymentConfiguration"];
    assert_eq!(
        waits["deploymentReadyOption"],
        json!({"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 10})
    );
    assert_eq!(input["alarmConfiguration"], json!({"enabled": true, "alarms": [{"name": "errors"}]}));
}

#[test]
fn a_strategy_that_the_controller_cannot_carry_out_is_refused() {
    Scene::blue_green().with(|scene| scene.desired.strategy = Strategy::Rolling).check("StrategyMismatch");
    Scene::new()
        .with(|scene| scene.desired.strategy = Strategy::CodeDeploy(Box::default()))
        .check("StrategyMismatch");
}

#[test]
fn only_settings_that_update_service_accepts_are_compared_and_sent() {
    let succeeded = deployment("d-2", CodeDeployStatus::Succeeded);
    let scene = || {
        Scene::begun(succeeded.clone())
            .with_sets(&[(2, "ecs-svc/2")])
            .outcome(OutcomeKind::Succeeded, "d-2")
            .with(|scene| {
                scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
                scene.desired.service_settings = Some(json!({"enableExecuteCommand": true,
                    "platformVersion": "1.4.0", "deploymentConfiguration": {"maximumPercent": 150}}));
                let Reading::Known(service) = &mut scene.observed.service else { return };
                service.settings = json!({"deploymentConfiguration": {
                    "maximumPercent": 200, "minimumHealthyPercent": 50, "strategy": "ROLLING",
                }});
            })
    };
    let declared = scene().desired.service_settings.unwrap();
    let hash = crate::documents::service_settings::hash(&declared);
    scene().check(&format!("stamp mco-api:2 trueup:settings={hash}/pending"));
    let stamp = memory::settings_tag(&SettingsStamp { hash, done: false });
    scene().tag(2, stamp).check(
        r#"settings {"enableExecuteCommand":true,"deploymentConfiguration":{"maximumPercent":150,"minimumHealthyPercent":50}}"#,
    );
}

#[test]
fn where_a_deployment_stands_is_told_by_its_events() {
    let stage = |status, event: Option<&str>| {
        let progress = Progress {
            failed: None,
            event: event.map(str::to_owned),
            traffic: Some(10),
            since: Some(60_000),
        };
        let scene = Scene::begun(deployment("d-2", status))
            .code_deployments(&[(deployment("d-2", status), 2)], &progress);
        let last = scene.plan().status.last_deployment.unwrap();
        last.shift.map(|shift| shift.stage)
    };
    let in_progress = |event| stage(CodeDeployStatus::InProgress, Some(event));
    assert_eq!(stage(CodeDeployStatus::Created, None), Some(Stage::Installing));
    assert_eq!(in_progress("Install"), Some(Stage::Installing));
    assert_eq!(in_progress("AfterAllowTestTraffic"), Some(Stage::Testing));
    assert_eq!(in_progress("AllowTraffic"), Some(Stage::Shifting));
    assert_eq!(in_progress("AfterAllowTraffic"), Some(Stage::Checking));
    assert_eq!(in_progress("AnEventOfTomorrow"), Some(Stage::Unknown));
    let done = Progress { failed: None, event: None, traffic: Some(100), since: None };
    let one = deployment("d-2", CodeDeployStatus::InProgress);
    let over = Scene::begun(one.clone()).code_deployments(&[(one, 2)], &done).plan();
    assert_eq!(over.status.last_deployment.unwrap().shift.unwrap().stage, Stage::Checking);
    let until = Some(60_000 + 30 * 60_000);
    assert_eq!(stage(CodeDeployStatus::Ready, None), Some(Stage::Testing));
    let one = deployment("d-2", CodeDeployStatus::Ready);
    let since = Progress { failed: None, event: None, traffic: Some(0), since: Some(60_000) };
    let ready = Scene::begun(one.clone()).code_deployments(&[(one, 2)], &since).plan();
    let pauses = ready.status.last_deployment.unwrap().shift.unwrap().pauses;
    assert_eq!(pauses, [Pause { id: "ready".to_owned(), until, then: OnTimeout::Rollback }]);
    assert_eq!(stage(CodeDeployStatus::Succeeded, None), None);
}

#[test]
fn a_description_that_is_not_ours_names_nothing() {
    let described = |text: &str| {
        let one = CodeDeployment {
            sha256: None,
            description: Some(text.to_owned()),
            ..deployment("d-2", CodeDeployStatus::Succeeded)
        };
        let scene = Scene::blue_green();
        let Reading::Known(service) = &scene.observed.service else { unreachable!() };
        let history = history(&[one], &std::collections::BTreeMap::new(), None, service);
        history[0].target.clone()
    };
    let scene = Scene::blue_green();
    let ours = description(&scene.desired, (Some(&Commit::new("bbbbbbb")), None), &arn(2));
    assert_eq!(described(&ours), Some(arn(2)));
    assert_eq!(described("deployed by hand"), None);
    assert_eq!(described("trueup is great"), None);
    // It is bounded, however long the names are.
    assert!(ours.starts_with(&format!("trueup {}", target())) && ours.chars().count() <= 512);
}

#[test]
fn what_only_one_of_two_readings_knows_of_is_going_on() {
    // The list of deployments lags behind the task sets, and the other way round.
    let earlier = CodeDeployment { created_at: 0, ..deployment("d-1", CodeDeployStatus::Succeeded) };
    let lagging =
        || Scene::blue_green().ours(2, 'b', 1, "ecs-svc/1").with_sets(&[(2, "ecs-svc/2"), (1, "ecs-svc/1")]);
    lagging().check("Deploying");
    lagging().code_deployments(&[(earlier.clone(), 1)], &Progress::default()).check("Deploying");
    Scene::begun(deployment("d-2", CodeDeployStatus::Succeeded)).check("Deploying");
    // A deployment of another group is long over.
    let moved = Scene::blue_green().declares_a().with(|scene| {
        let other = foreign(3, &format!("{URI}@{}", digest('a')));
        scene.observed.revisions.insert(arn(3), Reading::Known(other));
    });
    moved.code_deployments(&[(earlier, 3)], &Progress::default()).check("Settled");
}

#[test]
fn the_way_back_to_a_revision_of_ours_is_not_taken_for_something_in_the_way() {
    // Revision 2 failed with all traffic on it, and trueup brings back its own revision 3.
    let failed = CodeDeployment { created_at: BEGAN - 10, ..deployment("d-2", CodeDeployStatus::Failed) };
    let back = deployment("d-5", CodeDeployStatus::InProgress);
    Scene::blue_green()
        .ours(3, 'd', 1, "ecs-svc/0")
        .ours(2, 'b', 2, "ecs-svc/1")
        .with_sets(&[(2, "ecs-svc/2"), (1, "ecs-svc/1")])
        .code_deployments(&[(failed, 2), (back, 3)], &Progress::default())
        .outcome(OutcomeKind::Failed, "d-2")
        .check("Deploying");
}

#[test]
fn a_person_is_asked_only_while_traffic_waits_for_the_answer() {
    let asked = |status| Scene::begun(deployment("d-2", status)).plan().approval.unwrap();
    let approval = asked(CodeDeployStatus::Ready);
    let deployment = DeploymentName::CodeDeploy("d-2".to_owned());
    let answer =
        |word| vec![Step::Answer { deployment: deployment.clone(), pause: "ready".to_owned(), word }];
    assert_eq!((approval.approve, approval.reject), (answer(Word::Go), answer(Word::Back)));
    // Nothing is to be approved, and it can be undone all the same, once that is on record.
    let going = asked(CodeDeployStatus::InProgress);
    assert_eq!(going.approve, []);
    let [Step::Stamp { stamp, .. }, Step::Undo { .. }] = going.reject.as_slice() else {
        unreachable!("{:?}", going.reject)
    };
    assert_eq!(stamp.tags()["trueup:outcome"], "failed/d-2");
}

#[test]
fn nobody_is_asked_about_a_deployment_in_another_account() {
    let account = |account| {
        let ready = deployment("d-2", CodeDeployStatus::Ready);
        Scene::begun(ready).with(|scene| scene.observed.account = account)
    };
    let other = || account(Ok(AccountId::new("210987654321")));
    other().check("WrongAccount");
    let plan = other().plan();
    assert_eq!((plan.approval, plan.retry), (None, None));
    // What has the same name there is another service: nothing is told of it.
    let status = plan.status;
    assert_eq!((status.last_deployment, status.deployed, status.running), (None, None, Vec::new()));
    assert_eq!((status.sync, status.health), (Sync::Unknown, Health::Unknown));
    assert_eq!(account(Err(Unreached::Unread("timeout".to_owned()))).plan().approval, None);
    let undeclared = other().with(|scene| scene.desired.account = None);
    assert!(undeclared.plan().approval.is_some(), "no account is declared");
}

#[test]
fn a_deployment_that_goes_on_is_to_blame_for_nothing_that_is_live() {
    let shifts = || {
        let going = Scene::begun(deployment("d-2", CodeDeployStatus::InProgress));
        going.with_sets(&[(1, "ecs-svc/1"), (2, "ecs-svc/2")])
    };
    assert!(shifts().plan().status.good.is_empty(), "nor for the tag");
    // What CodeDeploy says lags behind what is on record.
    let judged = shifts().outcome(OutcomeKind::Failed, "d-2");
    assert_eq!(judged.phase(), Phase::InProgress);
    let crashed = Task {
        last_status: "STOPPED".to_owned(),
        stop_code: Some("EssentialContainerExited".to_owned()),
        stopped_at: Some(super::NOW - 5000),
        ..super::task(1, 'a')
    };
    let failing = |scene: Scene| {
        let tasks = Reading::Known(vec![crashed.clone()]);
        scene.with(|scene| scene.observed.tasks = tasks).plan().status.failing_since
    };
    assert_eq!(failing(shifts()), None, "it is judged when nothing goes on");
    assert_eq!(failing(Scene::blue_green()), Some(super::NOW - 5000));
}

#[test]
fn codedeploy_has_deadlines_of_its_own() {
    let late = waiting(true).with(|scene| {
        scene.now = BEGAN + 3_600_000;
        if let Reading::Known(service) = &mut scene.observed.service {
            service.deployments[0].failed_tasks = 1;
        }
    });
    late.check("Deploying");
}

#[test]
fn what_was_stopped_with_all_traffic_on_it_is_what_runs() {
    let stopped = Scene::begun(stopped("d-2")).outcome(OutcomeKind::Superseded, "d-2");
    stopped.with_sets(&[(2, "ecs-svc/2")]).check("tag test b");
}
