//! Each rule of the decision by the smallest scene that needs it.

mod code_deploy;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Input, Plan, Recent, Step, Why, memory, plan, service_settings, waiting, windows};
use crate::model::*;

const NOW: Millis = 10_000_000;
const URI: &str = "123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api";

fn digest(letter: char) -> Digest {
    Digest::new(format!("sha256:{}", letter.to_string().repeat(64)))
}

fn arn(number: u64) -> TaskDefinitionArn {
    TaskDefinitionArn::new(format!("arn:aws:ecs:eu-west-2:123456789012:task-definition/mco-api:{number}"))
}

fn target() -> Target {
    Target { environment: EnvironmentName::new("test"), application: ApplicationName::new("api") }
}

fn image(letter: char, tags: &[&str]) -> Image {
    Image {
        digest: digest(letter),
        tags: tags.iter().map(|tag| Tag::new(*tag)).collect(),
        archived: false,
        pushed_at: 0,
        platforms: Vec::new(),
    }
}

fn input(reference: &str) -> Value {
    json!({"family": "mco-api", "containerDefinitions": [{"name": "api", "image": reference}]})
}

/// Commit aaaaaaa (digest a) runs as foreign revision 1 and is tagged `test`; commit bbbbbbb (digest b) is declared.
struct Scene {
    desired: Desired,
    observed: Observed,
    head: InfraCommit,
    recent: Option<Recent>,
    turn: Option<&'static str>,
    blockers: BTreeMap<RepositoryName, String>,
    now: Millis,
}

impl Scene {
    fn new() -> Self {
        let desired = Desired {
            target: target(),
            declared_at: Position::default(),
            account: Some(AccountId::new("123456789012")),
            region: None,
            cluster: ClusterName::new("mco"),
            service: ServiceName::new("mco-api-test"),
            registry: Registry::default(),
            environment_tag: Tag::new("test"),
            images: vec![DesiredImage {
                name: "api".to_owned(),
                repository: RepositoryName::new("mco/api"),
                commit: Commit::new("bbbbbbb"),
                commit_tag: Tag::new("bbbbbbb"),
                containers: Containers::Placeholder("<IMAGE_NAME>".to_owned()),
                stated: None,
            }],
            task_definition: TaskDefinitionSource::Service,
            service_settings: None,
            strategy: Strategy::Rolling,
            policy: Policy::default(),
            mode: Mode::Apply,
            rollout: Rollout::default(),
            after: Vec::new(),
            source: None,
        };
        let observed = Observed {
            checked_at: NOW,
            facts_checked_at: NOW,
            account: Reading::Known(AccountId::new("123456789012")),
            service: Reading::Known(service(1, "ecs-svc/1", RolloutState::Completed)),
            revisions: BTreeMap::from([(
                arn(1),
                Reading::Known(foreign(1, &format!("{URI}@{}", digest('a')))),
            )]),
            newest: Some(Reading::Known(vec![arn(1)])),
            group: None,
            service_deployments: Reading::Known(vec![history("d1", 1, ServiceDeploymentStatus::Successful)]),
            tasks: Reading::Known(vec![task(1, 'a')]),
            images: vec![ObservedImage {
                repository: Reading::Known(Repository {
                    name: RepositoryName::new("mco/api"),
                    uri: URI.to_owned(),
                    mutability: Mutability { mutable_by_default: true, exceptions: Vec::new() },
                }),
                built: Reading::Known(image('b', &["bbbbbbb"])),
                tagged: Reading::Known(image('a', &["aaaaaaa", "test"])),
                stated: None,
                known: BTreeMap::new(),
            }],
            ancestry: BTreeMap::new(),
        };
        let head = InfraCommit::new("head");
        Self { desired, observed, head, recent: None, turn: None, blockers: BTreeMap::new(), now: NOW }
    }

    /// The declared commit is the one that runs.
    fn declares_a(mut self) -> Self {
        self.desired.images[0].commit = Commit::new("aaaaaaa");
        self.desired.images[0].commit_tag = Tag::new("aaaaaaa");
        self.observed.images[0].built = Reading::Known(image('a', &["aaaaaaa", "test"]));
        self
    }

    /// Our revision `number` of the commit, stamped with `generation` when `live_then` was live.
    fn ours(mut self, number: u64, letter: char, generation: u64, live_then: &str) -> Self {
        let input = input(&format!("{URI}@{}", digest(letter)));
        let commit = Commit::new(letter.to_string().repeat(7));
        let applied = Applied {
            generation,
            infra_commit: Some(self.head.clone()),
            live_then: DeploymentId::new(live_then),
        };
        let tags = memory::registration(
            &target(),
            &commit,
            &BTreeMap::new(),
            &memory::content_hash(&target(), &input),
            &applied,
        );
        let revision = Revision { arn: arn(number), active: true, input, tags };
        self.observed.revisions.insert(arn(number), Reading::Known(revision));
        self
    }

    fn tag(mut self, number: u64, (key, value): (String, String)) -> Self {
        if let Some(Reading::Known(revision)) = self.observed.revisions.get_mut(&arn(number)) {
            revision.tags.insert(key, value);
        }
        self
    }

    fn live(mut self, number: u64, id: &str, rollout: RolloutState) -> Self {
        self.observed.service = Reading::Known(service(number, id, rollout));
        self
    }

    /// Service deployments, newest first.
    fn history(mut self, entries: &[(&str, u64, ServiceDeploymentStatus)]) -> Self {
        let entries = entries.iter().map(|(id, number, status)| history(id, *number, *status));
        self.observed.service_deployments = Reading::Known(entries.collect());
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn plan(&self) -> Plan {
        plan(&Input {
            desired: &self.desired,
            observed: &self.observed,
            infra_commit: Some(&self.head),
            recent: self.recent.as_ref(),
            turn: self.turn,
            tag_blockers: &self.blockers,
            now: self.now,
        })
    }

    /// The next step in one line, or why there is none.
    #[track_caller]
    fn check(&self, expected: &str) {
        let plan = self.plan();
        assert_eq!(plan.steps.is_empty(), plan.waiting.is_some(), "a plan without a step has a reason");
        let said = match (plan.steps.first(), &plan.waiting) {
            (Some(Step::Register { commit, tags, .. }), _) => {
                format!("register {commit} {}", tags["trueup:applied"])
            }
            (Some(Step::Stamp { revision, key, value }), _) => {
                format!("stamp {} {key}={value}", revision.short())
            }
            (Some(Step::Deploy { revision, why, .. }), _) => format!("deploy {} {why:?}", revision.short()),
            (Some(Step::MoveTag { tag, digest, .. }), _) => format!("tag {tag} {}", &digest.short()[..1]),
            (Some(Step::UpdateSettings { settings, .. }), _) => format!("settings {settings}"),
            (Some(Step::Stop { deployment }), _) => format!("stop {deployment}"),
            (Some(Step::Continue { deployment, .. }), _) => format!("continue {deployment}"),
            (Some(Step::CreateApplication { application }), _) => format!("create {application}"),
            (Some(Step::CreateGroup { group, .. }), _) => format!("create group {group}"),
            (None, Some(waiting)) => waiting::reason(waiting).to_owned(),
            (None, None) => String::new(),
        };
        assert_eq!(said, expected, "{plan:#?}");
    }
}

fn service(number: u64, id: &str, rollout: RolloutState) -> Service {
    Service {
        arn: "arn".to_owned(),
        status: ServiceStatus::Active,
        controller: Controller::Ecs,
        scheduling: Scheduling::Replica,
        task_definition: arn(number),
        desired_count: 1,
        running_count: 1,
        pending_count: 0,
        circuit_breaker: CircuitBreaker { enabled: true, rollback: true },
        alarms_roll_back: false,
        deployments: vec![Deployment {
            id: DeploymentId::new(id),
            status: DeploymentStatus::Primary,
            task_definition: arn(number),
            rollout: Some(rollout),
            running: i32::from(rollout == RolloutState::Completed),
            failed_tasks: 0,
            load_balancer: None,
            created_at: NOW - 1000,
            updated_at: NOW - 1000,
        }],
        settings: Value::Null,
        events: Vec::new(),
    }
}

fn foreign(number: u64, reference: &str) -> Revision {
    Revision { arn: arn(number), active: true, input: input(reference), tags: BTreeMap::new() }
}

fn history(id: &str, number: u64, status: ServiceDeploymentStatus) -> ServiceDeployment {
    ServiceDeployment {
        arn: format!("arn:aws:ecs:eu-west-2:123456789012:service-deployment/mco/mco-api-test/{id}"),
        status,
        reason: None,
        target: Some(arn(number)),
        sources: vec![arn(1)],
        digests: BTreeMap::new(),
        monitor_triggered: false,
        target_running: 1,
        shift: None,
        created_at: NOW - 1000,
        finished_at: None,
    }
}

fn task(number: u64, letter: char) -> Task {
    Task {
        arn: "task".to_owned(),
        task_definition: arn(number),
        started_by: None,
        last_status: "RUNNING".to_owned(),
        desired_status: "RUNNING".to_owned(),
        health: TaskHealth::Unknown,
        containers: vec![TaskContainer {
            name: "api".to_owned(),
            image: format!("{URI}:x"),
            digest: Some(digest(letter)),
            exit_code: None,
            reason: None,
        }],
        stop_code: None,
        stopped_reason: None,
        started_at: Some(NOW - 500),
        stopped_at: None,
    }
}

use ServiceDeploymentStatus::{
    InProgress, RollbackFailed, RollbackInProgress, RollbackSuccessful, Stopped, Successful,
};

#[test]
fn first_contact_with_what_already_runs_writes_nothing() {
    Scene::new().declares_a().check("Settled");
    let untagged = Scene::new().declares_a().with(|scene| scene.observed.images[0].tagged = Reading::Absent);
    untagged.check("Settled");
    // The live revision names a mutable tag: what its tasks run decides.
    let by_tag = Scene::new().declares_a().with(|scene| {
        scene.observed.revisions.insert(arn(1), Reading::Known(foreign(1, &format!("{URI}:latest"))));
    });
    by_tag.check("Settled");
}

/// A service without tasks, and one whose tasks tell no digest: what a tag means now decides.
#[test]
fn first_contact_with_a_tag_that_nobody_has_resolved_asks_what_it_means_now() {
    let live = |tag: &str| {
        let reference = format!("{URI}:{tag}");
        Scene::new().declares_a().with(|scene| {
            scene.observed.revisions.insert(arn(1), Reading::Known(foreign(1, &reference)));
            scene.observed.tasks = Reading::Known(Vec::new());
        })
    };
    live("aaaaaaa").check("Settled");
    live("test").check("Settled");
    live("latest").check("register aaaaaaa 1/head/ecs-svc/1");
    let elsewhere = |scene: &mut Scene| {
        scene.observed.images[0].built = Reading::Known(image('a', &["aaaaaaa"]));
        scene.observed.images[0].tagged = Reading::Known(image('c', &["ccccccc", "test"]));
    };
    live("test").with(elsewhere).check("register aaaaaaa 1/head/ecs-svc/1");
}

#[test]
fn the_environment_tag_moves_at_first_contact_only_where_drift_is_healed() {
    let untagged = Scene::new().declares_a().with(|scene| {
        scene.observed.images[0].tagged = Reading::Absent;
        scene.desired.policy.drift = OnDrift::Heal;
    });
    untagged.check("tag test a");
}

#[test]
fn a_changed_commit_is_registered_deployed_recorded_and_tagged_in_that_order() {
    let scene = Scene::new();
    scene.check("register bbbbbbb 1/head/ecs-svc/1");
    let scene = scene.ours(2, 'b', 1, "ecs-svc/1");
    scene.check("deploy mco-api:2 Interrupted");
    let scene = scene
        .live(2, "ecs-svc/2", RolloutState::InProgress)
        .history(&[("d2", 2, InProgress), ("d1", 1, Successful)]);
    scene.check("Deploying");
    let scene = scene
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)]);
    scene.check("stamp mco-api:2 trueup:outcome=succeeded/d2");
    let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() };
    let scene = scene.tag(2, memory::outcome_tag(&outcome));
    scene.check("tag test b");
    let scene = scene
        .with(|scene| scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"])));
    scene.check("Settled");
}

#[test]
fn a_change_is_told_to_its_last_write_and_with_its_risks() {
    let of = |scene: Scene| scene.plan().outlook;
    let outlook = of(Scene::new()).expect("a change has an outlook");
    assert_eq!(outlook.images, [("mco/api:bbbbbbb".to_owned(), digest('b'))]);
    assert_eq!(outlook.register, Some(("mco-api".to_owned(), "the last good revision".to_owned())));
    assert_eq!(
        outlook.tag,
        Some(("test".to_owned(), Some(Commit::new("aaaaaaa")), Commit::new("bbbbbbb"))),
        "the tag follows after success"
    );
    assert_eq!(outlook.risks, [] as [&str; 0]);

    let registered = of(Scene::new().ours(2, 'b', 1, "ecs-svc/1")).expect("a deployment has an outlook");
    assert_eq!(registered.register, None, "the revision is there");
    let moved = |scene: &mut Scene| {
        scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
    };
    assert_eq!(of(Scene::new().with(moved)).and_then(|outlook| outlook.tag), None, "the tag is there");
    let risky = |scene: &mut Scene| {
        let Reading::Known(service) = &mut scene.observed.service else {
            unreachable!("the service is known")
        };
        (service.circuit_breaker, service.desired_count) = (CircuitBreaker::default(), 0);
    };
    let risks = of(Scene::new().with(risky)).map(|outlook| outlook.risks);
    assert_eq!(risks, Some(vec!["no circuit breaker with rollback", "no task runs: it cannot be proven"]));
    assert_eq!(of(Scene::new().declares_a()), None, "nothing changes");
}

#[test]
fn an_image_that_is_not_there_is_waited_for_or_explained() {
    let built = |reading: Reading<Image>| Scene::new().with(|scene| scene.observed.images[0].built = reading);
    built(Reading::Absent).check("ImageNotBuilt");
    built(Reading::Absent).ours(2, 'b', 1, "ecs-svc/1").check("ImageRemoved");
    built(Reading::Unavailable("throttled".to_owned())).check("Unreadable");
    built(Reading::Known(Image { archived: true, ..image('b', &[]) })).check("ImageArchived");
    let arm = Platform { digest: None, os: "linux".to_owned(), architecture: "arm64".to_owned() };
    built(Reading::Known(Image { platforms: vec![arm], ..image('b', &[]) })).check("PlatformMismatch");
    Scene::new()
        .with(|scene| scene.observed.images[0].repository = Reading::Absent)
        .check("RepositoryMissing");
}

#[test]
fn an_image_that_a_file_names_otherwise_must_be_the_same() {
    let stated = |reading| Scene::new().with(|scene| scene.observed.images[0].stated = Some(reading));
    stated(Reading::Known(image('b', &["other"]))).check("register bbbbbbb 1/head/ecs-svc/1");
    stated(Reading::Known(image('c', &["other"]))).check("ImageDisagrees");
    stated(Reading::Absent).check("ImageDisagrees");
    stated(Reading::Unavailable("timeout".to_owned())).check("Unreadable");
}

#[test]
fn what_cannot_be_read_is_never_written_to() {
    let unavailable = || "timeout".to_owned();
    Scene::new().with(|s| s.observed.service = Reading::Unavailable(unavailable())).check("Unreadable");
    Scene::new()
        .with(|s| s.observed.service_deployments = Reading::Unavailable(unavailable()))
        .check("Unreadable");
    Scene::new().with(|s| s.observed.newest = Some(Reading::Unavailable(unavailable()))).check("Unreadable");
    Scene::new().with(|s| s.observed.newest = None).check("LookDeeper");
    Scene::new().with(|s| s.observed.account = Reading::Unavailable(unavailable())).check("Unreadable");
    let revision =
        |s: &mut Scene| drop(s.observed.revisions.insert(arn(1), Reading::Unavailable(unavailable())));
    Scene::new().with(revision).check("Unreadable");
    let tasks = |s: &mut Scene| s.observed.tasks = Reading::Unavailable(unavailable());
    Scene::new().with(tasks).check("Unreadable");
    Scene::new().declares_a().with(tasks).check("Settled");
}

#[test]
fn a_missing_or_foreign_place_is_not_written_to() {
    Scene::new().with(|s| s.observed.service = Reading::Absent).check("ServiceMissing");
    Scene::new()
        .with(|s| s.observed.account = Reading::Known(AccountId::new("210987654321")))
        .check("WrongAccount");
    let controller = |controller| {
        Scene::new().with(move |scene| {
            if let Reading::Known(service) = &mut scene.observed.service {
                service.controller = controller;
            }
        })
    };
    controller(Controller::CodeDeploy).check("StrategyMismatch");
    controller(Controller::External).check("UnsupportedController");
}

#[test]
fn an_immutable_tag_is_said_before_anything_is_written() {
    let mutability = |exceptions: &[&str]| Mutability {
        mutable_by_default: false,
        exceptions: exceptions.iter().map(|text| (*text).to_owned()).collect(),
    };
    let immutable = |exceptions: &[&str]| {
        let mutability = mutability(exceptions);
        Scene::new().with(|scene| {
            if let Reading::Known(repository) = &mut scene.observed.images[0].repository {
                repository.mutability = mutability;
            }
        })
    };
    immutable(&[]).check("TagImmutable");
    immutable(&["t*t"]).check("register bbbbbbb 1/head/ecs-svc/1");
    immutable(&[])
        .with(|s| s.desired.policy.move_tag = MoveTag::Never)
        .check("register bbbbbbb 1/head/ecs-svc/1");
}

/// Commit b failed as revision 2 and AWS rolled back to revision 1.
fn rolled_back() -> Scene {
    Scene::new().ours(2, 'b', 1, "ecs-svc/1").history(&[("d2", 2, RollbackSuccessful), ("d1", 1, Successful)])
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
    let expected = [
        "2 x container api exited with 1",
        "1 x CannotPullContainerError: y",
        "1 x container api exited with 137, OutOfMemoryError",
        "1 x container api: CannotPullContainerError: x",
    ];
    assert_eq!(scene.plan().status.causes, expected);
}

fn failed(id: &str) -> (String, String) {
    memory::outcome_tag(&Outcome { result: OutcomeKind::Failed, deployment: id.to_owned() })
}

#[test]
fn a_failed_commit_is_recorded_and_not_tried_again() {
    rolled_back().check("stamp mco-api:2 trueup:outcome=failed/d2");
    rolled_back().tag(2, failed("d2")).check("Held");
    // Also when the deployment has left the history, and in whatever drift policy.
    for drift in [OnDrift::Alert, OnDrift::Heal, OnDrift::Ignore] {
        let forgotten = rolled_back().tag(2, failed("d2")).history(&[("d1", 1, Successful)]);
        forgotten.with(|scene| scene.desired.policy.drift = drift).check("Held");
    }
}

#[test]
fn a_held_commit_is_tried_again_after_retry_and_held_again_when_it_fails_again() {
    let retried = rolled_back().tag(2, failed("d2")).tag(2, memory::retry_tag("d2"));
    retried.check("deploy mco-api:2 Interrupted");
    let elsewhere = rolled_back().live(1, "ecs-svc/9", RolloutState::Completed).tag(2, failed("d2"));
    elsewhere.tag(2, memory::retry_tag("d2")).check("stamp mco-api:2 trueup:applied=2/head/ecs-svc/9");
    let again = [("d3", 2, RollbackSuccessful), ("d2", 2, RollbackSuccessful), ("d1", 1, Successful)];
    let again = rolled_back().tag(2, failed("d2")).tag(2, memory::retry_tag("d2")).history(&again);
    again.check("stamp mco-api:2 trueup:outcome=failed/d3");
}

#[test]
fn a_try_that_was_asked_for_and_succeeded_excuses_no_later_change_by_hand() {
    let history = [("d4", 3, Successful), ("d3", 2, Successful), ("d2", 2, RollbackSuccessful)];
    let succeeded = Outcome { result: OutcomeKind::Succeeded, deployment: "d3".to_owned() };
    let mut scene = rolled_back().tag(2, memory::outcome_tag(&succeeded)).tag(2, memory::retry_tag("d2"));
    scene = scene.history(&history).live(3, "ecs-svc/9", RolloutState::Completed);
    scene.observed.revisions.insert(arn(3), Reading::Known(foreign(3, &format!("{URI}@{}", digest('c')))));
    scene.check("Drifted");
}

#[test]
fn what_failed_is_told_until_it_may_be_tried_again_or_is_another_content() {
    let failure = |scene: Scene| scene.plan().failure;
    assert_eq!(failure(Scene::new()), None);
    assert_eq!(failure(rolled_back()).as_deref(), Some("d2"), "before anybody has recorded it");
    assert_eq!(failure(rolled_back().tag(2, failed("d2"))).as_deref(), Some("d2"));
    assert_eq!(failure(rolled_back().tag(2, failed("d2")).tag(2, memory::retry_tag("d2"))), None);
    let other = rolled_back().with(|scene| {
        let mut file = input("<IMAGE_NAME>");
        file["containerDefinitions"][0]["cpu"] = json!(512);
        scene.desired.task_definition = TaskDefinitionSource::File { path: "t.json".to_owned(), input: file };
    });
    assert_eq!(failure(other), None, "the same commit with another configuration");
}

#[test]
fn a_good_revision_whose_repeated_deployment_failed_is_still_a_base() {
    let history = [("d2", 1, RollbackFailed), ("d1", 1, Successful)];
    let scene = Scene::new().history(&history).live(1, "ecs-svc/2", RolloutState::Failed);
    scene.check("register bbbbbbb 1/head/ecs-svc/2");
}

#[test]
fn what_another_hand_left_failed_is_held_and_not_deployed_again() {
    let scene = Scene::new().declares_a().live(1, "ecs-svc/1", RolloutState::Failed).history(&[]);
    let file = TaskDefinitionSource::File { path: "t.json".to_owned(), input: input("<IMAGE_NAME>") };
    scene.with(|scene| scene.desired.task_definition = file).check("Held");
}

#[test]
fn a_revision_that_is_described_otherwise_is_not_registered_again() {
    let mut scene = Scene::new().ours(2, 'b', 1, "ecs-svc/1");
    let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(2)) else { unreachable!() };
    revision.input["taskRoleArn"] = json!("arn:aws:iam::123456789012:role/filled-in");
    scene.check("DescribedOtherwise");
    let waiting = scene.plan().waiting.unwrap();
    assert!(waiting::describe(&waiting).ends_with("registered: taskRoleArn"), "{waiting:?}");
    let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(2)) else { unreachable!() };
    revision.active = false;
    scene.check("register bbbbbbb 1/head/ecs-svc/1");
}

#[test]
fn each_image_is_remembered_with_its_own_commit() {
    let second = |scene: &mut Scene, commit: char, built: char| {
        let mut proxy = scene.desired.images[0].clone();
        proxy.name = "proxy".to_owned();
        proxy.commit = Commit::new(commit.to_string().repeat(7));
        proxy.containers = Containers::Named(vec!["proxy".to_owned()]);
        scene.desired.images.push(proxy);
        let mut observed = scene.observed.images[0].clone();
        observed.built = Reading::Known(image(built, &[]));
        scene.observed.images.push(observed);
        let image = format!("{URI}@{}", digest('a'));
        let mut input = input("<IMAGE_NAME>");
        input["containerDefinitions"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": image}));
        scene.desired.task_definition = TaskDefinitionSource::File { path: "t.json".to_owned(), input };
    };
    // Registered for commit b with proxy on commit a.
    let mut before = Scene::new();
    second(&mut before, 'a', 'a');
    let Some(Step::Register { input, tags, .. }) = before.plan().steps.first().cloned() else {
        unreachable!()
    };
    assert_eq!(tags["trueup:commit:proxy"], "aaaaaaa");
    // Now proxy is to run commit b too: its own image, and not what it ran beside b.
    let mut now = Scene::new();
    second(&mut now, 'b', 'c');
    let revision = Revision { arn: arn(2), active: true, input, tags };
    now.observed.revisions.insert(arn(2), Reading::Known(revision));
    let Some(Step::Register { input, tags, .. }) = now.plan().steps.first().cloned() else { unreachable!() };
    assert_eq!(input["containerDefinitions"][1]["image"], format!("{URI}@{}", digest('c')));
    assert!(!tags.contains_key("trueup:commit:proxy"));
}

#[test]
fn an_old_success_does_not_end_the_hold_of_a_later_failure() {
    let history = [("d4", 1, Successful), ("d3", 2, Stopped), ("d2", 2, Successful), ("d1", 1, Successful)];
    let scene = Scene::new().ours(2, 'b', 2, "ecs-svc/1").history(&history).tag(2, failed("d3"));
    scene.live(1, "ecs-svc/4", RolloutState::Completed).check("Held");
}

#[test]
fn a_later_success_by_any_hand_ends_the_hold() {
    let history = [("d3", 2, Successful), ("d2", 2, RollbackSuccessful), ("d1", 1, Successful)];
    let scene =
        rolled_back().tag(2, failed("d2")).history(&history).live(2, "ecs-svc/3", RolloutState::Completed);
    scene.check("stamp mco-api:2 trueup:outcome=succeeded/d3");
}

#[test]
fn a_rollback_by_aws_is_followed_and_never_disturbed() {
    let rolling = Scene::new().ours(2, 'b', 1, "ecs-svc/1").live(1, "ecs-svc/3", RolloutState::InProgress);
    rolling.history(&[("d2", 2, RollbackInProgress), ("d1", 1, Successful)]).check("Deploying");
    let failed_rollback =
        rolled_back().tag(2, failed("d2")).history(&[("d2", 2, RollbackFailed), ("d1", 1, Successful)]);
    failed_rollback.check("RollbackFailed");
}

#[test]
fn a_rollback_that_only_the_service_shows_is_followed_too() {
    // Our revision 1 is PRIMARY again under its old id; the list still ends with its success.
    let scene = Scene::new()
        .ours(1, 'a', 1, "ecs-svc/0")
        .ours(2, 'b', 2, "ecs-svc/1")
        .live(1, "ecs-svc/1", RolloutState::InProgress)
        .history(&[("d1", 1, Successful)]);
    let undone = scene.with(|scene| {
        let failed = service(2, "ecs-svc/2", RolloutState::InProgress).deployments.remove(0);
        let failed = Deployment { status: DeploymentStatus::Active, created_at: NOW - 500, ..failed };
        if let Reading::Known(service) = &mut scene.observed.service {
            service.deployments.push(failed);
        }
    });
    undone.check("Deploying");
    assert_eq!(undone.plan().status.health, Health::Degraded);
}

#[test]
fn what_the_service_sees_going_on_goes_on_whatever_the_list_says() {
    let retried = rolled_back().tag(2, failed("d2")).tag(2, memory::retry_tag("d2"));
    retried.live(2, "ecs-svc/3", RolloutState::InProgress).check("Deploying");
    let theirs = rolled_back().tag(2, failed("d2")).with(declares_c).with(|scene| {
        drop(scene.observed.revisions.insert(arn(9), Reading::Known(foreign(9, "elsewhere:1"))));
    });
    theirs.live(9, "ecs-svc/9", RolloutState::InProgress).check("Deploying");
}

/// The only deployment that there ever was, to revision `number`, failed, and AWS had nothing to go back to.
fn stranded(scene: Scene, number: u64) -> Scene {
    let scene = scene.live(number, "ecs-svc/2", RolloutState::Failed);
    scene.history(&[("d2", number, RollbackFailed)]).with(|scene| {
        if let Reading::Known(history) = &mut scene.observed.service_deployments {
            history[0].sources.clear();
            history[0].reason = Some("No rollback candidate was found to run the rollback.".to_owned());
        }
    })
}

#[test]
fn where_aws_could_not_roll_back_the_commit_is_held_until_another_one_or_a_retry() {
    let ours = || stranded(Scene::new().ours(2, 'b', 1, "ecs-svc/1"), 2);
    ours().check("stamp mco-api:2 trueup:outcome=failed/d2");
    let held = || ours().tag(2, failed("d2"));
    held().check("RollbackFailed");
    let plan = held().plan();
    let waiting = plan.waiting.unwrap();
    assert_eq!(
        waiting::describe(&waiting),
        "held: bbbbbbb failed here, and AWS could not roll back: No rollback candidate was found to run the rollback."
    );
    assert!(waiting::hint(&waiting, &target()).unwrap().contains("trueup retry test/api"));
    assert_eq!(plan.status.health, Health::Degraded);
    let (key, value) = memory::retry_tag("d2");
    assert_eq!(plan.retry, Some(Step::Stamp { revision: arn(2), key, value }));
    held().tag(2, memory::retry_tag("d2")).check("deploy mco-api:2 Retry");
    // The failed revision is the only one that says what the service is made of; one in flight does not say it yet.
    held().with(declares_c).check("register ccccccc 2/head/ecs-svc/2");
    let going = ours().live(2, "ecs-svc/2", RolloutState::InProgress).with(|scene| {
        scene.observed.service_deployments = Reading::Known(Vec::new());
    });
    going.with(declares_c).check("Deploying");
}

fn declares_c(scene: &mut Scene) {
    scene.desired.images[0].commit = Commit::new("ccccccc");
    scene.observed.images[0].built = Reading::Known(image('c', &["ccccccc"]));
}

#[test]
fn a_first_deployment_of_another_hand_that_failed_is_held_retried_and_replaced_as_well() {
    let theirs = || stranded(Scene::new().declares_a(), 1);
    theirs().check("RollbackFailed");
    let retry = theirs().plan().retry;
    assert!(
        matches!(&retry, Some(Step::Deploy { revision, why: Why::Retry, .. }) if *revision == arn(1)),
        "a foreign revision is not stamped: {retry:?}"
    );
    theirs().with(declares_c).check("register ccccccc 1/head/ecs-svc/2");
}

/// Revision 2 makes no progress on a service without a circuit breaker.
fn stuck() -> Scene {
    let scene = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .live(2, "ecs-svc/2", RolloutState::InProgress)
        .history(&[("d2", 2, InProgress), ("d1", 1, Successful)]);
    scene.with(|scene| {
        scene.now = NOW + 16 * 60 * 1000;
        if let Reading::Known(service) = &mut scene.observed.service {
            service.circuit_breaker = CircuitBreaker::default();
        }
    })
}

#[test]
fn without_a_breaker_the_deadline_records_the_failure_and_then_rolls_back() {
    stuck().check("stamp mco-api:2 trueup:outcome=failed/d2");
    stuck().tag(2, failed("d2")).check("deploy mco-api:1 Rollback");
    stuck().with(|scene| scene.now = NOW + 14 * 60 * 1000).check("Deploying");
    let gone = stuck().tag(2, failed("d2")).with(|scene| {
        if let Some(Reading::Known(revision)) = scene.observed.revisions.get_mut(&arn(1)) {
            revision.active = false;
        }
    });
    gone.check("register unknown 2/head/ecs-svc/2");
    let removed = stuck().tag(2, failed("d2")).with(|scene| {
        scene.observed.images[0].known.insert(digest('a'), Reading::Absent);
    });
    removed.check("LastGoodGone");
    let leave = stuck().tag(2, failed("d2")).with(|scene| scene.desired.policy.on_failure = OnFailure::Leave);
    leave.check("Deploying");
    let breaker = stuck().with(|scene| {
        if let Reading::Known(service) = &mut scene.observed.service {
            service.circuit_breaker = CircuitBreaker { enabled: true, rollback: true };
        }
    });
    breaker.check("Deploying");
}

#[test]
fn tasks_that_cannot_be_read_are_no_lack_of_progress() {
    let unread = |scene: &mut Scene| scene.observed.tasks = Reading::Unavailable("timeout".to_owned());
    stuck().with(unread).check("Deploying");
    stuck()
        .with(|scene| scene.observed.tasks = Reading::Absent)
        .check("stamp mco-api:2 trueup:outcome=failed/d2");
}

#[test]
fn progress_moves_the_deadline_and_a_healthy_target_is_never_failed() {
    let progress = stuck().with(|scene| {
        let healthy =
            Task { health: TaskHealth::Healthy, started_at: Some(NOW + 60 * 1000 * 10), ..task(2, 'b') };
        scene.observed.tasks = Reading::Known(vec![healthy]);
    });
    progress.check("Deploying");
    let old = |reason: &str| {
        let stopped = Task {
            last_status: "STOPPED".to_owned(),
            stopped_at: Some(NOW + 10 * 60 * 1000),
            stopped_reason: Some(reason.to_owned()),
            ..task(1, 'a')
        };
        stuck().with(|scene| scene.observed.tasks = Reading::Known(vec![stopped]))
    };
    old("Scaling activity initiated by (deployment ecs-svc/1)").check("Deploying");
    old("Essential container in task exited").check("stamp mco-api:2 trueup:outcome=failed/d2");
    let complete = stuck().with(|scene| {
        if let Reading::Known(service) = &mut scene.observed.service {
            service.deployments[0].running = 1;
        }
    });
    complete.check("Deploying");
}

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
fn service_settings_are_sent_once_seen_and_then_guarded() {
    // Commit b runs as our revision 2, and the maximum percent is declared.
    let declared = json!({"deploymentConfiguration": {"maximumPercent": 150}});
    let outcome = Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() };
    let scene = |percent: i64| {
        Scene::new()
            .ours(2, 'b', 1, "ecs-svc/1")
            .tag(2, memory::outcome_tag(&outcome))
            .live(2, "ecs-svc/2", RolloutState::Completed)
            .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
            .with(|scene| {
                scene.observed.images[0].tagged = Reading::Known(image('b', &["bbbbbbb", "test"]));
                scene.desired.service_settings = Some(declared.clone());
                if let Reading::Known(service) = &mut scene.observed.service {
                    service.settings = json!({"deploymentConfiguration": {"maximumPercent": percent}});
                }
            })
    };
    let hash = service_settings::hash(&declared);
    let stamp = |done| memory::settings_tag(&SettingsStamp { hash: hash.clone(), done });
    scene(200).check(&format!("stamp mco-api:2 trueup:settings={hash}/pending"));
    scene(200).tag(2, stamp(false)).check("deploy mco-api:2 GitChanged");
    scene(150).tag(2, stamp(false)).check(&format!("stamp mco-api:2 trueup:settings={hash}/done"));
    scene(150).tag(2, stamp(true)).check("Settled");
    // Another hand puts it back.
    scene(200).tag(2, stamp(true)).check("Drifted");
    assert_eq!(scene(200).tag(2, stamp(true)).plan().status.sync, Sync::OutOfSync);
    let heal = scene(200).tag(2, stamp(true)).with(|scene| scene.desired.policy.drift = OnDrift::Heal);
    heal.check(&format!("stamp mco-api:2 trueup:settings={hash}/pending"));
    // Git declares something else.
    let other = json!({"deploymentConfiguration": {"maximumPercent": 125}});
    let expected = format!("stamp mco-api:2 trueup:settings={}/pending", service_settings::hash(&other));
    scene(150)
        .tag(2, stamp(true))
        .with(|scene| scene.desired.service_settings = Some(other))
        .check(&expected);
}

#[test]
fn a_commit_that_comes_back_reuses_its_revision_with_a_new_stamp() {
    let back = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .ours(3, 'a', 2, "ecs-svc/2")
        .live(3, "ecs-svc/3", RolloutState::Completed)
        .history(&[("d3", 3, Successful), ("d2", 2, Successful)]);
    back.check("stamp mco-api:2 trueup:applied=3/head/ecs-svc/3");
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
        history.extend(std::iter::repeat_n(("d8", 3, Stopped), replaced));
        history.push(("d1", 1, Successful));
        Scene::new()
            .ours(3, 'c', 1, "ecs-svc/1")
            .live(3, "ecs-svc/3", RolloutState::InProgress)
            .history(&history)
    };
    older(2).check("register bbbbbbb 2/head/ecs-svc/3");
    older(3).check("FinishingFirst");
    // What was allowed to finish has, and the list does not show the one after it yet.
    let before = [("d5", 1, Successful), ("d4", 3, Stopped), ("d3", 3, Stopped), ("d2", 3, Stopped)];
    let unlisted = older(3).history(&before);
    unlisted.check("register bbbbbbb 2/head/ecs-svc/3");
    older(0).with(|scene| scene.desired.policy.in_flight = InFlight::Finish).check("FinishingFirst");
}

#[test]
fn two_revisions_of_one_race_meet_at_the_lowest() {
    let raced = Scene::new().ours(2, 'b', 1, "ecs-svc/1").ours(3, 'b', 1, "ecs-svc/1");
    raced.check("deploy mco-api:2 Interrupted");
}

#[test]
fn an_infra_commit_that_is_not_in_this_history_stops_every_write() {
    let behind = |ancestry| {
        Scene::new().ours(3, 'c', 1, "ecs-svc/0").with(|scene| {
            scene.observed.ancestry.insert(scene.head.clone(), ancestry);
            scene.head = InfraCommit::new("another");
        })
    };
    behind(Ancestry::NotAncestor).check("SourceBehind");
    behind(Ancestry::Unknown).check("Unreadable");
    behind(Ancestry::Ancestor).check("register bbbbbbb 2/another/ecs-svc/1");
}

#[test]
fn nothing_is_written_twice_inside_its_window() {
    let wrote = |scene: Scene, age: Millis| {
        let step = scene.plan().steps.into_iter().next().unwrap();
        scene.with(|scene| scene.recent = Some(Recent { step, at: NOW - age, registered: None, repeated: 0 }))
    };
    wrote(Scene::new(), windows::REGISTRATION - 1).check("Consistency");
    wrote(Scene::new(), windows::REGISTRATION).check("register bbbbbbb 1/head/ecs-svc/1");
    let again = |age| {
        wrote(Scene::new(), age).with(|scene| {
            if let Some(recent) = &mut scene.recent {
                recent.repeated = 2;
            }
        })
    };
    again(4 * windows::REGISTRATION - 1).check("Consistency");
    again(4 * windows::REGISTRATION).check("register bbbbbbb 1/head/ecs-svc/1");
    let registered = || Scene::new().ours(2, 'b', 1, "ecs-svc/1");
    wrote(registered(), windows::DEPLOYMENT - 1).check("Consistency");
    // The revision is seen at once, but another controller's may not be: the window is waited out all the same.
    let seen = registered().with(|scene| scene.recent = wrote(Scene::new(), 1).recent);
    seen.check("Consistency");
}

#[test]
fn a_moved_commit_tag_is_a_finding_and_no_deployment() {
    let moved = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .tag(2, memory::outcome_tag(&Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() }))
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful), ("d1", 1, Successful)])
        .with(|scene| {
            scene.observed.images[0].built = Reading::Known(image('e', &["bbbbbbb"]));
            scene.observed.images[0].tagged = Reading::Known(image('b', &["test"]));
        });
    moved.check("Settled");
    assert!(moved.plan().status.conditions.iter().any(|condition| condition.reason == "CommitTagMoved"));
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
fn limits_suspension_and_observing_withhold_writes() {
    Scene::new().with(|scene| scene.turn = Some("after test/db")).check("Turn");
    Scene::new().with(|scene| scene.desired.mode = Mode::Observe).check("Observing");
    let suspended = |until| {
        let mode = Mode::Suspended { until, reason: "freeze".to_owned() };
        Scene::new().with(|scene| scene.desired.mode = mode)
    };
    suspended(None).check("Suspended");
    suspended(Some(NOW / 1000 + 1)).check("Suspended");
    suspended(Some(NOW / 1000)).check("register bbbbbbb 1/head/ecs-svc/1");
    let shared = Scene::new()
        .ours(2, 'b', 1, "ecs-svc/1")
        .tag(2, memory::outcome_tag(&Outcome { result: OutcomeKind::Succeeded, deployment: "d2".to_owned() }))
        .live(2, "ecs-svc/2", RolloutState::Completed)
        .history(&[("d2", 2, Successful)]);
    shared
        .with(|s| drop(s.blockers.insert(RepositoryName::new("mco/api"), "test/worker".to_owned())))
        .check("TagShared");
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
