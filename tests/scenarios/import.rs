//! What `import` writes of a world is what runs there: the plan right after it is empty, whatever the world is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use trueup::controller::{Controller, Writes};
use trueup::import::{self, Build, Declared, ImportResult, Wishes};
use trueup::inventory::{self, Scope, Wanted};
use trueup::manifest::Files;
use trueup::model::{Inventory, Region, Severity, Sync, Waiting};
use trueup::plan::Plan;
use trueup::ports::Place;
use trueup_simulator::{Api, Rates, World};

use crate::account::Account;
use crate::native::{blue_green, canary};
use crate::process::{Process, WorldClock};
use crate::stage::{Breaker, Commits, REGISTRY, Stage};

/// Worlds that are drawn by chance, from the same seeds wherever it runs.
const SEEDS: u64 = 100;

/// What was read, what was made of it, and the plan of each target.
struct Outcome {
    inventory: Inventory,
    imported: ImportResult,
    plans: Vec<Plan>,
}

async fn import(world: &Arc<Mutex<World>>) -> Outcome {
    let process = Process::new(world, BTreeMap::new(), None);
    let place = Place { account: None, region: Some(Region::new("eu-west-2")) };
    let scope = Scope::Listed { clusters: &[], services: &|_| true };
    let wanted = Wanted { place, scope };
    let inventory = inventory::read(&process, &wanted).await.unwrap();
    let imported = import::repository(&inventory, &Wishes { known: true, ..Wishes::default() });
    let files: Files = imported.files.iter().map(|(path, text)| (path.clone(), Ok(text.clone()))).collect();
    let commits = Commits::default();
    let declaration = commits.commit(&files);
    let is_error = |severity| severity == Severity::Error;
    let errors: Vec<_> = declaration.findings.iter().filter(|finding| is_error(finding.severity)).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{:#?}", imported.files);
    let clock = Arc::new(WorldClock(Arc::clone(world)));
    let mut controller = Controller::new(Box::new(process), Box::new(commits), clock);
    let mut plans = Vec::new();
    for _ in 0..2 {
        let swept = controller.sweep(&declaration, Writes::Withheld, |_| true).await;
        plans = swept.into_iter().map(|one| one.plan).collect();
    }
    Outcome { inventory, imported, plans }
}

/// Nothing would be written, and nothing differs. How many targets there are.
#[track_caller]
fn check_is_empty(outcome: &Outcome) -> usize {
    let Outcome { inventory, imported, plans } = outcome;
    assert_eq!(inventory.services.len(), imported.found.len() + imported.left_out.len());
    let declared = imported.found.iter().filter(|one| matches!(one.declared, Declared::Build(_))).count();
    assert_eq!(plans.len(), declared, "{imported:#?}");
    for plan in plans {
        let files = &imported.files;
        assert_eq!(plan.steps, [], "{}\n{files:#?}", plan.status.target);
        // Until it ends it may be either: what was proven before it is declared.
        if matches!(plan.waiting, Some(Waiting::Deploying { .. })) {
            continue;
        }
        assert_eq!(plan.differences, [], "{} {:?}\n{files:#?}", plan.status.target, plan.waiting);
        // What runs and has failed is not tried again: that is told, and nothing is done.
        let is_held = matches!(plan.waiting, Some(Waiting::Held { .. }));
        assert!(is_held || plan.status.sync == Sync::Synced, "{} {:?}", plan.status.target, plan.waiting);
    }
    plans.len()
}

#[tokio::test]
async fn the_plan_after_it_is_empty_in_the_worlds_of_the_scenarios() {
    let _here = Account::open().shared();
    let worlds = [
        Stage::new(Breaker::On),
        Stage::new(Breaker::Off),
        Stage::served(Breaker::On),
        Stage::broken(),
        Stage::blue_green(&json!({})),
        Stage::native(&json!({"strategy": "ROLLING"}), false),
        Stage::native(&blue_green(), true),
        Stage::native(&canary(), true),
    ];
    for stage in worlds {
        stage.advance(7200);
        let outcome = import(&stage.account.shared()).await;
        assert_eq!(check_is_empty(&outcome), 1, "{:#?}", outcome.imported);
    }
}

/// An account that is drawn by chance: its clusters, how builds are tagged, and what services run of them.
struct Drawn {
    random: fastrand::Rng,
    world: World,
    /// Numbers for what has to differ.
    numbers: u64,
    listener: Value,
}

/// What shifts traffic between two target groups: ECS by weights, or CodeDeploy by what a listener leads to.
#[derive(Clone, Copy)]
enum Shift {
    Weights,
    Listeners,
}

/// How services and their clusters are called: `A` is the application, `E` the environment.
const NAMINGS: [(&str, &str); 8] = [
    ("mco", "mco-A-E"),
    ("mco-E", "A"),
    ("mco-E", "mco-A-E"),
    ("apps", "E-A"),
    ("E", "shop_A"),
    ("mco", "A"),
    ("ecs-cluster", "Mco-A-E-service"),
    ("mco", "A-E-1"),
];
const ENVIRONMENTS: [&str; 6] = ["test", "staging", "prod", "dev2", "UAT", "live"];
const APPLICATIONS: [&str; 6] = ["api", "worker", "test-runner", "true", "A1", "web"];
const STRANGERS: [&str; 3] = ["nginx", "public.ecr.aws/datadog/agent:7", "ghcr.io/mco/api:3f2c1ab"];

impl Drawn {
    fn new(seed: u64) -> Self {
        let world = World::new("123456789012", "eu-west-2").seeded(seed);
        Self { random: fastrand::Rng::with_seed(seed), world, numbers: 0, listener: Value::Null }
    }

    fn call(&mut self, api: Api, operation: &str, input: &Value) -> Value {
        let answer = self.world.call(api, operation, input);
        answer.unwrap_or_else(|error| unreachable!("{operation}: {}: {}", error.code, error.message))
    }

    fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        self.random.choice(all).unwrap()
    }

    fn hexadecimal(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.random.u32(0..16), 16).unwrap()).collect()
    }

    /// The tags that CI gives to a build; none, where it gives only those that move.
    fn tags(&mut self, scheme: u8) -> Vec<String> {
        let (short, long) = (self.hexadecimal(7), self.hexadecimal(40));
        match scheme {
            0 => vec![short],
            1 => vec![long],
            2 => vec![format!("build-{short}")],
            3 => vec![long[..7].to_owned(), long],
            4 => vec![format!("v1.{}.{}", self.random.u8(..), self.random.u8(..))],
            5 => vec![short, format!("2024{:04}", self.random.u16(101..1231))],
            6 => vec![format!("{}-{short}", self.random.u16(..))],
            7 => vec![short, self.hexadecimal(7)],
            _ => Vec::new(),
        }
    }

    /// An image with these tags, and maybe with one that moves. Its digest and all its tags.
    fn image(&mut self, repository: &str, scheme: u8, environment: &str) -> (String, Vec<String>) {
        let mut tags = self.tags(scheme);
        if self.random.bool() || tags.is_empty() {
            tags.push(if self.random.bool() { environment.to_owned() } else { "latest".to_owned() });
        }
        self.numbers += 1;
        let config = json!({"digest": format!("{}", self.numbers)});
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
        let mut digest = String::new();
        for tag in &tags {
            let input = json!({"repositoryName": repository, "imageManifest": manifest, "imageTag": tag});
            // An immutable tag stays where it is.
            if let Ok(put) = self.world.call(Api::Ecr, "PutImage", &input) {
                digest = put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned();
            }
        }
        (digest, tags)
    }

    fn container(&mut self, name: &str, repository: &str, scheme: u8, environment: &str) -> Value {
        let (digest, tags) = self.image(repository, scheme, environment);
        let tag = self.random.choice(&tags).unwrap();
        let image = match self.random.u8(0..3) {
            0 if !digest.is_empty() => format!("{REGISTRY}/{repository}@{digest}"),
            1 if !digest.is_empty() => format!("{REGISTRY}/{repository}:{tag}@{digest}"),
            _ => format!("{REGISTRY}/{repository}:{tag}"),
        };
        json!({"name": name, "image": image, "memory": 128, "portMappings": [{"containerPort": 8080}], "environment": [{"name": "DB_PASSWORD", "value": "hunter2"}]})
    }

    fn repository(&mut self, name: &str) {
        let mutability = self.one(&["MUTABLE", "MUTABLE", "IMMUTABLE"]);
        let input = json!({"repositoryName": name, "imageTagMutability": mutability});
        let _ = self.world.call(Api::Ecr, "CreateRepository", &input);
    }

    /// One service of an application in an environment, and later deployments of it.
    fn service(&mut self, (cluster, naming): (&str, &str), application: &str, environment: &str, scheme: u8) {
        let named = |text: &str| text.replace('A', application).replace('E', environment);
        let (cluster, name) = (named(cluster), named(naming));
        self.call(Api::Ecs, "CreateCluster", &json!({"clusterName": cluster}));
        let repository = format!("mco/{}", application.to_lowercase());
        let mut revisions = Vec::new();
        for _ in 0..self.random.usize(1..3) {
            let mut containers = vec![self.container(application, &repository, scheme, environment)];
            if self.random.u8(0..4) == 0 {
                let sidecar_scheme = self.random.u8(0..9);
                containers.push(self.container("sidecar", "mco/sidecar", sidecar_scheme, environment));
            }
            if self.random.u8(0..4) == 0 {
                containers.insert(0, json!({"name": "other", "image": self.one(&STRANGERS), "memory": 64}));
            }
            let definition =
                json!({"family": format!("{cluster}-{name}"), "containerDefinitions": containers});
            let registered = self.call(Api::Ecs, "RegisterTaskDefinition", &definition);
            revisions.push(registered["taskDefinition"]["taskDefinitionArn"].clone());
        }
        let mut input = json!({"cluster": cluster, "serviceName": name, "taskDefinition": revisions[0]});
        match self.random.u8(0..10) {
            0 => input["schedulingStrategy"] = json!("DAEMON"),
            1 => input["deploymentController"] = json!({"type": "EXTERNAL"}),
            2 => {
                input["deploymentConfiguration"] = blue_green();
                input["desiredCount"] = json!(1);
            }
            3 => {
                input["deploymentConfiguration"] = canary();
                let groups = self.balanced(Shift::Weights);
                let rule = self.rule();
                input["loadBalancers"] = json!([{"targetGroupArn": groups[0], "containerName": application, "containerPort": 8080,
                    "advancedConfiguration": {"alternateTargetGroupArn": groups[1], "productionListenerRule": rule,
                        "roleArn": "arn:aws:iam::123456789012:role/ecs"}}]);
                input["desiredCount"] = json!(1);
            }
            4 => {
                let groups = self.balanced(Shift::Listeners);
                input["deploymentController"] = json!({"type": "CODE_DEPLOY"});
                input["loadBalancers"] = json!([{"targetGroupArn": groups[0], "containerName": application, "containerPort": 8080}]);
                input["desiredCount"] = json!(self.random.u8(0..3));
            }
            _ => input["desiredCount"] = json!(self.random.u8(0..4)),
        }
        if input["deploymentController"]["type"] == "EXTERNAL" {
            input.as_object_mut().unwrap().remove("taskDefinition");
        }
        self.call(Api::Ecs, "CreateService", &input);
        if input["deploymentController"]["type"] == "CODE_DEPLOY" {
            self.group(&cluster, &name, (application, &format!("API-{environment}-{cluster}")));
        }
        for revision in revisions.iter().skip(1).filter(|_| input["deploymentController"].is_null()) {
            self.world.advance(4000);
            let update = json!({"cluster": cluster, "service": name, "taskDefinition": revision});
            self.call(Api::Ecs, "UpdateService", &update);
        }
    }

    /// Two target groups behind a load balancer of their own.
    fn balanced(&mut self, shift: Shift) -> [Value; 2] {
        self.numbers += 1;
        let number = self.numbers;
        let balancer = json!({"Name": format!("mco-{number}"), "Subnets": ["subnet-1", "subnet-2"]});
        let balancer = self.call(Api::Elb, "CreateLoadBalancer", &balancer);
        let names = [format!("mco-{number}-1"), format!("mco-{number}-2")];
        let groups = names.each_ref().map(|name| {
            let group =
                json!({"Name": name, "Protocol": "HTTP", "Port": 8080, "VpcId": "vpc-1", "TargetType": "ip"});
            self.call(Api::Elb, "CreateTargetGroup", &group)["TargetGroups"][0]["TargetGroupArn"].clone()
        });
        let weights =
            json!([{"TargetGroupArn": groups[0], "Weight": 1}, {"TargetGroupArn": groups[1], "Weight": 0}]);
        let actions = match shift {
            Shift::Weights => json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]),
            Shift::Listeners => json!([{"Type": "forward", "TargetGroupArn": groups[0]}]),
        };
        let listener = json!({"LoadBalancerArn": balancer["LoadBalancers"][0]["LoadBalancerArn"], "Protocol": "HTTP", "Port": 80,
            "DefaultActions": actions});
        let listener =
            self.call(Api::Elb, "CreateListener", &listener)["Listeners"][0]["ListenerArn"].clone();
        self.listener = listener.clone();
        groups
    }

    /// By which CodeDeploy deploys a service between what was balanced last.
    fn group(&mut self, cluster: &str, service: &str, (application, group): (&str, &str)) {
        let named = json!({"applicationName": application, "computePlatform": "ECS"});
        let _ = self.world.call(Api::CodeDeploy, "CreateApplication", &named);
        let number = self.numbers;
        let input = json!({
            "applicationName": application,
            "deploymentGroupName": group,
            "serviceRoleArn": "arn:aws:iam::123456789012:role/codedeploy",
            "ecsServices": [{"clusterName": cluster, "serviceName": service}],
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "blueGreenDeploymentConfiguration": {
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
                "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
            },
            "loadBalancerInfo": {"targetGroupPairInfoList": [{
                "targetGroups": [{"name": format!("mco-{number}-1")}, {"name": format!("mco-{number}-2")}],
                "prodTrafficRoute": {"listenerArns": [self.listener]},
            }]},
        });
        self.call(Api::CodeDeploy, "CreateDeploymentGroup", &input);
    }

    /// By which production traffic comes to what was balanced last.
    fn rule(&mut self) -> Value {
        let listener = json!({"ListenerArn": self.listener});
        self.call(Api::Elb, "DescribeRules", &listener)["Rules"][0]["RuleArn"].clone()
    }

    fn furnished(mut self) -> World {
        let (naming, scheme) = (*self.random.choice(&NAMINGS).unwrap(), self.random.u8(0..9));
        self.repository("mco/sidecar");
        for application in APPLICATIONS {
            if self.random.bool() {
                continue;
            }
            self.repository(&format!("mco/{}", application.to_lowercase()));
            let scheme = if self.random.bool() { scheme } else { self.random.u8(0..9) };
            for environment in ENVIRONMENTS {
                if self.random.bool() && naming.0.contains('E') | naming.1.contains('E') {
                    self.service(naming, application, environment, scheme);
                }
            }
            if !(naming.0.contains('E') | naming.1.contains('E')) {
                self.service(naming, application, "test", scheme);
            }
        }
        self.world.advance(7200);
        self.world
    }
}

#[tokio::test]
async fn the_plan_after_it_is_empty_in_random_worlds() {
    let _here = Account::open().shared();
    let (mut targets, mut commented) = (0, 0);
    for seed in 0..SEEDS {
        let world = Arc::new(Mutex::new(Drawn::new(seed).furnished()));
        let outcome = import(&world).await;
        targets += check_is_empty(&outcome);
        commented += outcome.imported.found.len() - outcome.plans.len();
        let text: String = outcome.imported.files.values().cloned().collect();
        assert!(!text.contains("hunter2"), "a secret gets into git");
    }
    assert!(targets > 300 && commented > 20, "{targets} {commented}");
}

/// With `TRUEUP_SCENARIOS=import` every world is imported once its scenario is over and it is at rest, as if trueup had never
/// been there.
#[derive(Default)]
pub struct AtEnd(Option<Arc<Mutex<World>>>);

impl AtEnd {
    pub fn of(account: &Account) -> Self {
        let is_on = std::env::var("TRUEUP_SCENARIOS").is_ok_and(|what| what == "import");
        Self(is_on.then(|| account.shared()))
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        let Some(world) = self.0.take().filter(|_| !std::thread::panicking()) else { return };
        let world = Arc::new(Mutex::new(without_trueup(world.lock().unwrap().clone())));
        let outcome = async move { import(&world).await };
        // Not on the test's own thread, which is inside of a runtime.
        let imported =
            std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(outcome)).join();
        check_is_empty(&imported.unwrap());
    }
}

/// The same two hours later, with nothing on its revisions that says who has registered them.
fn without_trueup(mut world: World) -> World {
    world.heal();
    world.set_rates(Rates::Unlimited);
    // The index of tags lags.
    world.advance(60);
    let ours = json!({"TagFilters": [{"Key": "trueup:application"}]});
    let ours = world.call(Api::Tagging, "GetResources", &ours).unwrap()["ResourceTagMappingList"].clone();
    for revision in ours.as_array().unwrap() {
        let keys: Vec<&Value> = revision["Tags"].as_array().unwrap().iter().map(|tag| &tag["Key"]).collect();
        let untag = json!({"resourceArn": revision["ResourceARN"], "tagKeys": keys});
        // One that is deregistered keeps its tags, and runs nowhere.
        let _ = world.call(Api::Ecs, "UntagResource", &untag);
    }
    world.advance(7200);
    world
}

#[tokio::test]
async fn while_a_deployment_goes_on_what_ended_well_before_it_is_declared() {
    let _here = Account::open().shared();
    for stage in [Stage::new(Breaker::On), Stage::native(&blue_green(), true)] {
        stage.build("bbbbbbb");
        let revision = stage.register("bbbbbbb");
        stage.update(&json!({"taskDefinition": revision}));
        stage.advance(8);
        let outcome = import(&stage.account.shared()).await;
        let found = outcome.imported.found.first().unwrap();
        let expected = Build::Commit { text: "aaaaaaa".to_owned(), template: "{commit}".to_owned() };
        assert_eq!(found.declared, Declared::Build(expected));
        assert!(found.notes.iter().any(|note| note.contains("a deployment goes on")), "{found:?}");
        assert_eq!(check_is_empty(&outcome), 1);
    }
}
