//! Several accounts and regions: each environment where it is declared, by the role that the operator names, and none in the
//! way of another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use trueup::accounts::{Accounts, Role, RoleName};
use trueup::controller::{Controller, SweepResult, Writes};
use trueup::manifest::Files;
use trueup::model::{AccountId, Declaration, Sync, Waiting};
use trueup::plan::waiting::hint;
use trueup::secret::Secret;
use trueup_simulator::{Api, Cloud, Fault, World};

use crate::account::{Account, Need};
use crate::hub::{Hub, Means};
use crate::stage::{Commits, SERVICE, Stage, TICK, said};

const HUB: &str = "123456789012";
const SPOKE: &str = "210987654321";
const HERE: &str = "eu-west-2";
const THERE: &str = "us-east-1";

/// An environment, and the service that it is about.
struct Environment {
    name: &'static str,
    /// Lines of YAML below `spec:`.
    specification: String,
    /// What it says of the application besides its commit.
    besides: String,
    stage: Stage,
}

/// A cloud, and one repository for all of it.
struct Scene {
    cloud: Arc<Mutex<Cloud>>,
    commits: Commits,
    environments: Vec<Environment>,
    declaration: Declaration,
}

impl Scene {
    /// An account that may be entered by the role `trueup`.
    fn new(environments: &[(&'static str, &str, &str)]) -> Self {
        let mut cloud = Cloud::around(Account::open().shared());
        cloud.create_role(trueup_simulator::Role::new(SPOKE, "trueup", HUB));
        let mut all: Vec<Environment> = Vec::new();
        let mut stages: BTreeMap<(&str, &str), Stage> = BTreeMap::new();
        for (name, account, region) in environments {
            let stage = stages.entry((account, region)).or_insert_with(|| {
                let stage = Stage::within(&cloud.world(account, region).unwrap());
                stage.build("bbbbbbb");
                stage
            });
            let specification =
                format!("  account: \"{account}\"\n  region: {region}\n  environmentTag: test\n");
            all.push(Environment { name, specification, besides: String::new(), stage: stage.beside() });
        }
        let commits = Commits::default();
        let declaration = commits.commit(&Files::new());
        let mut scene = Self { cloud: Arc::new(Mutex::new(cloud)), commits, environments: all, declaration };
        scene.declare("aaaaaaa");
        scene
    }

    fn declare(&mut self, commit: &str) {
        let application = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec: {repository: mco/api, service: mco-api-test}\n";
        let mut files = Files::from([("api.yaml".to_owned(), Ok(application.to_owned()))]);
        for Environment { name, specification, besides, .. } in &self.environments {
            let text = format!(
                "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n{specification}  cluster: mco\n  applications: {{api: {{commit: {commit}{besides}}}}}\n"
            );
            files.insert(format!("{name}.yaml"), Ok(text));
        }
        self.declaration = self.commits.commit(&files);
        assert_eq!(self.declaration.findings, []);
    }

    async fn process(&self, accounts: Accounts) -> (Hub, Controller) {
        self.process_by(Means { accounts, ..Means::default() }).await
    }

    async fn process_by(&self, means: Means) -> (Hub, Controller) {
        let hub = Hub::new(&self.cloud, means).await;
        let controller = Controller::new(Box::new(hub.clone()), Box::new(self.commits.clone()), hub.clock());
        (hub, controller)
    }

    /// A change in who may act where.
    fn administer(&self, act: impl FnOnce(&mut Cloud)) {
        act(&mut self.cloud.lock().unwrap());
    }

    fn world(&self, account: &str, region: &str) -> Arc<Mutex<World>> {
        self.cloud.lock().unwrap().world(account, region).unwrap()
    }

    /// Looks every tick for so many seconds; what was said at last, by environment.
    async fn run(&self, controller: &mut Controller, seconds: u64) -> BTreeMap<String, String> {
        self.watch(controller, seconds).await.iter().map(|one| (environment(one), said(one))).collect()
    }

    async fn watch(&self, controller: &mut Controller, seconds: u64) -> Vec<SweepResult> {
        for _ in 0..seconds / TICK {
            controller.sweep(&self.declaration, Writes::Allowed, |_| true).await;
            self.cloud.lock().unwrap().advance(TICK);
        }
        controller.sweep(&self.declaration, Writes::Allowed, |_| true).await
    }
}

fn environment(swept: &SweepResult) -> String {
    swept.target.environment.to_string()
}

/// The role `trueup` of the spoke.
fn by_role() -> Accounts {
    let name = RoleName::Name("trueup".to_owned());
    Accounts::new([(AccountId::new(SPOKE), Role { name, external_id: None })])
}

#[tokio::test]
async fn each_environment_is_deployed_in_its_account_and_region() {
    let mut scene = Scene::new(&[("east", HUB, THERE), ("prod", SPOKE, HERE), ("test", HUB, HERE)]);
    let (hub, mut controller) = scene.process(by_role()).await;
    scene.run(&mut controller, 60).await;
    scene.declare("bbbbbbb");
    let said = scene.run(&mut controller, 240).await;
    assert!(said.values().all(|said| said == "Settled"), "{said:?}");
    for Environment { name, stage, .. } in &scene.environments {
        stage.check_runs(SERVICE, "bbbbbbb");
        assert_eq!(stage.account.world(Need::Calls).calls("UpdateService"), 1, "{name}");
        assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"), "{name}");
    }
    assert_eq!(hub.count("AssumeRole"), 1);
}

/// What is wrong with the account of `prod`, what it comes to, and what mends it.
struct Harm {
    accounts: Accounts,
    external_id: Option<&'static str>,
    act: fn(&mut Cloud),
    reason: &'static str,
    advice: &'static str,
}

#[tokio::test]
async fn an_account_that_is_not_reached_says_why_and_keeps_nobody_else_waiting() {
    let with = |id: &str| {
        let (name, external_id) = (RoleName::Name("trueup".to_owned()), Some(Secret::Given(id.to_owned())));
        Accounts::new([(AccountId::new(SPOKE), Role { name, external_id })])
    };
    let harm = |accounts, reason, advice| Harm { accounts, external_id: None, act: |_| (), reason, advice };
    for Harm { accounts, external_id, act, reason, advice } in [
        harm(Accounts::default(), "WrongAccount", "TRUEUP_ACCOUNTS=210987654321=ROLE"),
        Harm {
            act: |cloud| assert!(cloud.delete_role(SPOKE, "trueup")),
            ..harm(by_role(), "RoleNotAssumed", "trueup iam-policy --account 210987654321")
        },
        Harm {
            act: |cloud| cloud.create_role(trueup_simulator::Role::new(SPOKE, "trueup", "333333333333")),
            ..harm(by_role(), "RoleNotAssumed", "its trust policy must let these credentials in")
        },
        Harm {
            external_id: Some("mco"),
            ..harm(by_role(), "RoleNotAssumed", "with the external id that it asks for")
        },
        Harm { external_id: Some("mco"), ..harm(with("zebra"), "RoleNotAssumed", "with the external id") },
        Harm {
            act: |cloud| cloud.set_region(SPOKE, HERE, false),
            ..harm(by_role(), "RegionNotEnabled", "aws account enable-region --region-name eu-west-2")
        },
    ] {
        let mut scene = Scene::new(&[("prod", SPOKE, HERE), ("test", HUB, HERE)]);
        let external_id = external_id.map(str::to_owned);
        scene.administer(|cloud| {
            cloud.create_role(trueup_simulator::Role {
                external_id,
                ..trueup_simulator::Role::new(SPOKE, "trueup", HUB)
            });
            act(cloud);
        });
        scene.declare("bbbbbbb");
        let (hub, mut controller) = scene.process(accounts).await;
        let swept = scene.watch(&mut controller, 240).await;
        let [prod, test] = &swept[..] else { panic!("{swept:?}") };
        assert_eq!((said(prod).as_str(), said(test).as_str()), (reason, "Settled"));
        let told = hint(prod.plan.waiting.as_ref().unwrap(), &prod.target).unwrap();
        assert!(told.contains(advice), "{reason}: {told}");
        assert!(prod.plan.status.deployed.is_none() && prod.plan.status.sync == Sync::Unknown);
        // Nothing but the question whose the credentials are is asked there, and few times.
        let calls = scene.world(SPOKE, HERE).lock().unwrap().all_calls().clone();
        assert_eq!(calls.get("DescribeTasks"), None, "{calls:?}");
        let questions = hub.count("AssumeRole") + hub.count("GetCallerIdentity");
        assert!(questions < 130, "{questions}");
        // And the message says no more of the id than the role does.
        assert!(!format!("{:?}", prod.plan).contains("zebra"), "{:?}", prod.plan.waiting);
    }
}

#[tokio::test]
async fn once_the_account_can_be_reached_it_is_reached() {
    let mut scene = Scene::new(&[("prod", SPOKE, HERE)]);
    scene.administer(|cloud| assert!(cloud.delete_role(SPOKE, "trueup")));
    let (_, mut controller) = scene.process(by_role()).await;
    scene.declare("bbbbbbb");
    assert_eq!(scene.run(&mut controller, 60).await["prod"], "RoleNotAssumed");
    scene.administer(|cloud| cloud.create_role(trueup_simulator::Role::new(SPOKE, "trueup", HUB)));
    assert_eq!(scene.run(&mut controller, 240).await["prod"], "Settled");
}

#[tokio::test]
async fn credentials_are_renewed_before_they_expire() {
    let mut scene = Scene::new(&[("prod", SPOKE, HERE)]);
    let (hub, mut controller) = scene.process(by_role()).await;
    let minutes = |count: u64| count * 60;
    scene.run(&mut controller, 240).await;
    for _ in 0..50 {
        assert_eq!(scene.run(&mut controller, TICK).await["prod"], "Settled");
        scene.administer(|cloud| cloud.advance(minutes(5)));
    }
    // Four hours and ten minutes, in sessions of fifty minutes.
    let sessions = hub.count("AssumeRole");
    assert!((5..=6).contains(&sessions), "{sessions}");
    // A machine that slept finds them expired.
    scene.administer(|cloud| cloud.advance(minutes(600)));
    scene.declare("bbbbbbb");
    assert_eq!(scene.run(&mut controller, 240).await["prod"], "Settled");
    assert_eq!(hub.count("AssumeRole"), sessions + 1);
}

#[tokio::test]
async fn the_own_account_is_one_unit_whether_it_is_declared_or_not() {
    let mut scene = Scene::new(&[("declared", HUB, HERE)]);
    let stage = scene.environments[0].stage.beside();
    let other =
        json!({"cluster": "mco", "serviceName": "other", "taskDefinition": "mco-api", "desiredCount": 1});
    stage.call(Api::Ecs, "CreateService", &other);
    let (specification, besides) = ("  environmentTag: other\n".to_owned(), ", service: other".to_owned());
    scene.environments.push(Environment { name: "default", specification, besides, stage });
    scene.declare("aaaaaaa");
    let (hub, mut controller) = scene.process(Accounts::default()).await;
    let before = hub.count("GetCallerIdentity");
    scene.watch(&mut controller, 0).await;
    assert_eq!(hub.count("GetCallerIdentity"), before + 1, "a unit asks once whose it is");
}

#[tokio::test]
async fn images_come_from_another_account_as_its_repository_policy_allows() {
    let mut scene = Scene::new(&[("prod", SPOKE, HERE), ("test", HUB, HERE)]);
    let policy = |actions: &[&str]| {
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": SPOKE}, "Action": actions});
        let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        json!({"repositoryName": "mco/api", "policyText": text})
    };
    let set = |scene: &Scene, actions: &[&str]| {
        scene.environments[1].stage.call(Api::Ecr, "SetRepositoryPolicy", &policy(actions));
    };
    scene.environments[0].specification = format!(
        "  account: \"{SPOKE}\"\n  region: {HERE}\n  registry: {{account: \"{HUB}\"}}\n  environmentTag: prod\n"
    );
    scene.environments[1].stage.build("ccccccc");
    scene.declare("ccccccc");
    let (_, mut controller) = scene.process(by_role()).await;
    let swept = scene.watch(&mut controller, 240).await;
    let Some(Waiting::Unreadable { why, .. }) = &swept[0].plan.waiting else { panic!("{:?}", swept[0].plan) };
    assert!(why.contains("no resource-based policy allows the ecr:"), "{why}");
    assert_eq!(said(&swept[1]), "Settled");
    let all =
        ["BatchGetImage", "GetDownloadUrlForLayer", "DescribeImages", "DescribeRepositories", "PutImage"];
    set(&scene, &all.map(|action| ["ecr:", action].concat()).each_ref().map(String::as_str));
    let said = scene.run(&mut controller, 600).await;
    assert_eq!(said["prod"], "Settled");
    // What runs in the one account is what was built in the other, and the tag that says so is where the image is.
    let hub = &scene.environments[1].stage;
    let built = hub.digest("ccccccc").unwrap();
    assert_eq!(scene.environments[0].stage.running(), [built.clone(), built.clone()]);
    assert_eq!(hub.digest("prod"), Some(built));
}

const AWAY: Duration = Duration::from_millis(25);

/// How long it takes until `prod` runs commit bbbbbbb, in seconds of tokio's time, beside a `test` that is so far away and meets
/// this trouble; `None`: alone.
async fn promoted_beside(test: Option<(Duration, &[Fault])>) -> u64 {
    let mut scene = Scene::new(&[("prod", SPOKE, HERE), ("test", HUB, THERE)]);
    let (latency, trouble) = test.unwrap_or((AWAY, &[]));
    let latency = BTreeMap::from([(HERE.to_owned(), AWAY), (THERE.to_owned(), latency)]);
    let means = Means { accounts: by_role(), paced: true, latency };
    let (hub, controller) = scene.process_by(means).await;
    for fault in trouble {
        scene.world(HUB, THERE).lock().unwrap().inject(fault.clone());
    }
    scene.declare("bbbbbbb");
    let began = Instant::now();
    let is_prod = |swept: &SweepResult| environment(swept) == "prod";
    let run = async |mut controller: Controller, of_prod: bool| {
        loop {
            let due = controller.due(&scene.declaration);
            let wanted = |target: &trueup::model::Target| {
                due.contains(target) && (target.environment.as_str() == "prod") == of_prod
            };
            let swept = controller.sweep(&scene.declaration, Writes::Allowed, wanted).await;
            if swept.iter().any(|one| is_prod(one) && said(one) == "Settled") {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            hub.catch_up();
            assert!(began.elapsed() < Duration::from_hours(1), "{swept:?}");
        }
    };
    // As under `trueup run`: a loop for each unit, on the same means.
    let history = || Box::new(scene.commits.clone());
    let beside = Controller::new(Box::new(hub.clone()), history(), hub.clock());
    tokio::select! {
        () = run(controller, true) => {}
        () = run(beside, false), if test.is_some() => {}
    }
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_slow_throttled_or_denied_delays_no_other() {
    let alone = promoted_beside(None).await;
    let any = || "*".to_owned();
    for (latency, trouble) in [
        (Duration::from_mins(1), vec![]),
        (AWAY, vec![]),
        (AWAY, vec![Fault::Throttle { operation: any(), times: u32::MAX }]),
        (AWAY, vec![Fault::Deny { operation: any(), times: u32::MAX }]),
        (AWAY, vec![Fault::ServerError { operation: any(), times: u32::MAX }]),
    ] {
        let beside = promoted_beside(Some((latency, &trouble))).await;
        assert_eq!(beside, alone, "{latency:?} {trouble:?}");
    }
}
