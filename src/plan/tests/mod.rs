//! Each rule of the decision by the smallest scene that needs it.

mod arrivals;
mod bounds;
mod changes;
mod code_deploy;
mod counts;
mod failures;
mod first_contact;
mod guards;
mod images;
mod other_hands;
mod overlays;
mod rules;
mod schedules;
mod status;
mod steady;
mod tasks;
mod traffic;
mod whose;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Followers, Input, Plan, Recent, Refusal, Step, TagPeer, plan, waiting};
use crate::documents::memory::{self, Registration};
use crate::model::ServiceDeploymentStatus::{RollbackSuccessful, Successful};
use crate::model::*;

const NOW: Millis = 10_000_000;
/// When what is deployed began to be, and when it was.
const BEGAN: Millis = NOW - 400_000;
const ENDED: Millis = NOW - 300_000;
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
    refusal: Option<Refusal>,
    particulars: BTreeMap<String, Particulars>,
    turn: Option<&'static str>,
    peers: BTreeMap<RepositoryName, Vec<TagPeer>>,
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
            workload: Workload::Service(ServiceName::new("mco-api-test")),
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
            overlay: Overlay::default(),
            tags: BTreeMap::new(),
            allowed_roles: None,
            allowed_repositories: AllowedRepositories::default(),
            alerts: BTreeSet::new(),
            service_settings: None,
            count_declared_at: None,
            strategy: Strategy::Rolling,
            policy: Policy::default(),
            mode: Mode::Apply,
            suspensions: Vec::new(),
            rollout: Rollout::default(),
            first_contact: FirstContact::ByHistory,
            after: Vec::new(),
            source: None,
        };
        let observed = Observed {
            checked_at: NOW,
            facts_checked_at: NOW,
            account: Ok(AccountId::new("123456789012")),
            service: Reading::Known(service(1, "ecs-svc/1", RolloutState::Completed)),
            revisions: BTreeMap::from([(
                arn(1),
                Reading::Known(foreign(1, &format!("{URI}@{}", digest('a')))),
            )]),
            newest: Some(Reading::Known(vec![arn(1)])),
            group: None,
            balancing: None,
            alarms: BTreeMap::new(),
            service_deployments: Reading::Known(vec![history("d1", 1, ServiceDeploymentStatus::Successful)]),
            lookback: Lookback::Listed,
            tasks: Reading::Known(vec![task(1, 'a')]),
            images: vec![ObservedImage {
                repository: Reading::Known(Repository {
                    name: RepositoryName::new("mco/api"),
                    uri: URI.to_owned(),
                    mutability: Mutability { mutable_by_default: true, exceptions: Vec::new() },
                }),
                built: Reading::Known(image('b', &["bbbbbbb"])),
                tag_match: TagMatch::Exact,
                tagged: Reading::Known(image('a', &["aaaaaaa", "test"])),
                stated: None,
                known: BTreeMap::new(),
            }],
            ancestry: BTreeMap::new(),
            memory: Some(Completeness::Complete),
            earlier: Some(declared_before("aaaaaaa")),
            interim: Vec::new(),
            scalable_target: Some(Reading::Absent),
            model_service: None,
            schedules: BTreeMap::new(),
            answers: Answers::default(),
        };
        let head = InfraCommit::new("head");
        Self {
            desired,
            observed,
            head,
            recent: None,
            refusal: None,
            particulars: BTreeMap::new(),
            turn: None,
            peers: BTreeMap::new(),
            now: NOW,
        }
    }

    /// The declared commit is the one that runs.
    fn declares_a(mut self) -> Self {
        self.desired.images[0].commit = Commit::new("aaaaaaa");
        self.desired.images[0].commit_tag = Tag::new("aaaaaaa");
        self.observed.images[0].built = Reading::Known(image('a', &["aaaaaaa", "test"]));
        self
    }

    /// Our revision `number` of the commit, stamped by 0.1 with `generation` when `live_then` was live.
    fn ours(mut self, number: u64, letter: char, generation: u64, live_then: &str) -> Self {
        let input = input(&format!("{URI}@{}", digest(letter)));
        let commit = Commit::new(letter.to_string().repeat(7));
        let applied = Applied {
            generation,
            infra_commit: Some(self.head.clone()),
            live_then: DeploymentId::new(live_then),
            from: None,
            at: None,
            rounds: 0,
            receipts: None,
        };
        let registration = Registration {
            commit: &commit,
            others: BTreeMap::new(),
            content: &memory::content_hash(&target(), &input),
            declared: None,
            applied: &applied,
        };
        let mut tags = memory::registration(&self.desired, &registration);
        tags.remove("trueup:service");
        let revision = Revision { arn: arn(number), active: true, input, tags, registered_by: None };
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
            refusal: self.refusal.as_ref(),
            particulars: &self.particulars,
            turn: self.turn,
            followers: Followers::default(),
            tag_peers: &self.peers,
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
            (Some(Step::Stamp { revision, stamp }), _) => {
                format!("stamp {} {}={}", revision.short(), stamp.key(), stamp.tags()[stamp.key()])
            }
            (Some(Step::Deploy { revision, why, .. }), _) => format!("deploy {} {why:?}", revision.short()),
            (Some(Step::MoveTag { tag, digest, .. }), _) => format!("tag {tag} {}", &digest.short()[..1]),
            (Some(Step::UpdateSettings { settings, .. }), _) => format!("settings {settings}"),
            (Some(Step::Undo { deployment }), _) => format!("stop {deployment}"),
            (Some(Step::Answer { deployment, .. }), _) => format!("answer {deployment}"),
            (Some(Step::EndStandby { deployment }), _) => format!("continue {deployment}"),
            (Some(Step::CreateApplication { application }), _) => format!("create {application}"),
            (Some(Step::CreateGroup { group, .. }), _) => format!("create group {group}"),
            (Some(Step::Run { revision, .. }), _) => format!("run {}", revision.short()),
            (Some(Step::StopRun { task, .. }), _) => format!("stop task {task}"),
            (Some(Step::Retarget { schedule, revision, .. }), _) => {
                format!("{schedule} runs {}", revision.short())
            }
            (None, Some(waiting)) => waiting::reason(waiting).to_owned(),
            (None, None) => String::new(),
        };
        assert_eq!(said, expected, "{plan:#?}");
    }
}

/// What an earlier infra commit declared, in a history that is known whole.
fn declared_before(commit: &str) -> Earlier {
    let declarations = vec![BTreeMap::from([("api".to_owned(), Commit::new(commit))])];
    Earlier { declarations, is_complete: true }
}

fn service(number: u64, id: &str, rollout: RolloutState) -> Service {
    Service {
        arn: "arn".to_owned(),
        status: ServiceStatus::Active,
        controller: Controller::Ecs,
        strategy: DeploymentStrategy::Rolling,
        scheduling: Scheduling::Replica,
        launch_type: None,
        task_definition: arn(number),
        desired_count: 1,
        running_count: 1,
        pending_count: 0,
        circuit_breaker: CircuitBreaker { enabled: true, rollback: true },
        alarms_roll_back: false,
        newest_deployment: None,
        deployments: vec![Deployment {
            id: DeploymentId::new(id),
            status: DeploymentStatus::Primary,
            task_definition: arn(number),
            rollout: Some(rollout),
            running: i32::from(rollout == RolloutState::Completed),
            failed_tasks: 0,
            load_balancer: None,
            created_at: BEGAN,
            updated_at: ENDED,
        }],
        settings: Value::Null,
        events: Vec::new(),
    }
}

fn foreign(number: u64, reference: &str) -> Revision {
    Revision {
        arn: arn(number),
        active: true,
        input: input(reference),
        tags: BTreeMap::new(),
        registered_by: None,
    }
}

fn history(id: &str, number: u64, status: ServiceDeploymentStatus) -> ServiceDeployment {
    ServiceDeployment {
        arn: format!("arn:aws:ecs:eu-west-2:123456789012:service-deployment/mco/mco-api-test/{id}"),
        status,
        reason: None,
        target: Some(arn(number)),
        sources: vec![arn(1)],
        digests: BTreeMap::new(),
        failure: None,
        monitor_triggered: false,
        target_running: 1,
        shift: None,
        created_at: BEGAN,
        finished_at: status.is_over().then_some(ENDED),
    }
}

/// What is told of causes, in a line each.
fn texts(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(ToString::to_string).collect()
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
            runtime_id: None,
        }],
        stop_code: None,
        stopped_reason: None,
        started_at: Some(ENDED - 60_000),
        stopped_at: None,
    }
}

/// Commit b failed as revision 2 and AWS rolled back to revision 1.
fn rolled_back() -> Scene {
    Scene::new().ours(2, 'b', 1, "ecs-svc/1").history(&[("d2", 2, RollbackSuccessful), ("d1", 1, Successful)])
}
