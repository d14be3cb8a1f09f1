//! A service on the simulated world, an infrastructure repository that declares it, and processes that reconcile it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use trueup::aws::Aws;
use trueup::controller::{Controller, Outcome, SweepResult, Writes};
use trueup::manifest::{self, Files};
use trueup::model::*;
use trueup::plan::waiting::{Class, class};
use trueup::ports::{Clock, History, Reach};
use trueup_simulator::{Api, AwsError, Fault, Function, World, http};

use crate::account::{Account, Need};
use crate::import::AtEnd;
use crate::process::{Other, Process, Trouble, WorldClock};

pub const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Every operation that trueup may write with.
pub const WRITES: [&str; 15] = [
    "RegisterTaskDefinition",
    "TagResource",
    "UpdateService",
    "StopServiceDeployment",
    "ContinueServiceDeployment",
    "PutImage",
    "CreateDeployment",
    "StopDeployment",
    "ContinueDeployment",
    "CreateApplication",
    "CreateDeploymentGroup",
    "RunTask",
    "StopTask",
    "PutTargets",
    "UpdateSchedule",
];
/// The service that nearly all of them are about.
pub const SERVICE: &str = "mco-api-test";
const BLUE_GREEN: &str = "  repository: mco/api\n  service: mco-api-{environment}\n  strategy: {codeDeploy: {application: API, deploymentGroup: \"API-{environment}\"}}\n";
/// The target groups of a service that CodeDeploy deploys.
const GROUPS: [&str; 2] = ["mco-api-1", "mco-api-2"];
/// Virtual seconds between two looks.
pub const TICK: u64 = 2;

/// The commits of the infrastructure repository with what each declares, oldest first.
#[derive(Clone, Default)]
pub struct Commits(Arc<Mutex<Vec<(InfraCommit, Declaration)>>>);

impl Commits {
    /// What the next commit declares by these files.
    pub fn commit(&self, files: &Files) -> Declaration {
        let mut commits = self.0.lock().unwrap();
        let head = InfraCommit::new(format!("{:040x}", commits.len() + 1));
        let declaration = manifest::read(files, Some(head.clone()), &|_, _| Vec::new());
        commits.push((head, declaration.clone()));
        declaration
    }
}

impl History for Commits {
    fn ancestry(&self, commit: &InfraCommit, head: &InfraCommit) -> Ancestry {
        let commits = self.0.lock().unwrap();
        let place = |wanted: &InfraCommit| commits.iter().position(|(known, _)| known == wanted);
        match (place(commit), place(head)) {
            (Some(commit), Some(head)) if commit <= head => Ancestry::Ancestor,
            _ => Ancestry::NotAncestor,
        }
    }

    fn earlier(&self, target: &Target, head: Option<&InfraCommit>) -> Earlier {
        let commits = self.0.lock().unwrap();
        let before = commits.iter().take_while(|(commit, _)| Some(commit) != head);
        let of_target = before.flat_map(|(_, declaration)| declaration.readable());
        let of_target = of_target.filter(|desired| desired.target == *target);
        let images = |desired: &Desired| {
            desired.images.iter().map(|image| (image.name.clone(), image.commit.clone())).collect()
        };
        Earlier { declarations: of_target.map(images).collect(), is_complete: true }
    }

    fn interim(
        &self,
        target: &Target,
        stamped: &InfraCommit,
        head: Option<&InfraCommit>,
    ) -> Vec<DeclaredCommits> {
        let commits = self.0.lock().unwrap();
        let since = commits.iter().skip_while(|(commit, _)| commit != stamped).skip(1);
        let between = since.take_while(|(commit, _)| Some(commit) != head);
        let of_target = between.flat_map(|(_, declaration)| declaration.readable());
        let of_target = of_target.filter(|desired| desired.target == *target);
        let images = |desired: &Desired| {
            desired.images.iter().map(|image| (image.name.clone(), image.commit.clone())).collect()
        };
        of_target.map(images).collect()
    }
}

/// Everything outside a process: AWS and the repository.
pub struct Stage {
    pub account: Account,
    pub commits: Commits,
    pub declaration: Declaration,
    /// Lines of YAML below `spec:` of the environment.
    pub environment: String,
    /// Files beside the documents.
    pub files: Files,
    /// The specification of the application.
    pub application: String,
    /// Whether CodeDeploy carries the deployments out.
    by_code_deploy: bool,
    /// What becomes of the world when the scenario is over.
    #[expect(dead_code, reason = "it acts when it is dropped")]
    at_end: AtEnd,
}

impl Clone for Stage {
    /// A world of its own with the same past.
    fn clone(&self) -> Self {
        let world = self.account.world(Need::Clock).clone();
        let commits = Commits(Arc::new(Mutex::new(self.commits.0.lock().unwrap().clone())));
        let account = Account::World(Arc::new(Mutex::new(world)));
        let at_end = AtEnd::of(&account);
        Self { account, commits, at_end, ..self.beside() }
    }
}

/// Whether AWS rolls a failed deployment back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    On,
    Off,
}

/// `TRUEUP_SCENARIOS=http`: processes without trouble reach the world through the real SDK.
fn is_over_http() -> bool {
    std::env::var("TRUEUP_SCENARIOS").is_ok_and(|over| over == "http")
}

impl Stage {
    /// A service of two tasks that runs commit aaaaaaa, deployed by another hand and tagged `test`.
    pub fn new(breaker: Breaker) -> Self {
        let stage = Self::bare();
        let on = breaker == Breaker::On;
        stage.create_service(
            &json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": on, "rollback": on}}}),
        );
        let mut stage = stage;
        stage.declare("aaaaaaa");
        stage
    }

    /// The same behind a load balancer.
    pub fn served(breaker: Breaker) -> Self {
        let stage = Self::bare();
        let (groups, _) = stage.balanced(|groups| json!([{"Type": "forward", "TargetGroupArn": groups[0]}]));
        let on = breaker == Breaker::On;
        stage.create_service(
            &json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": on, "rollback": on}},
            "loadBalancers": [{"targetGroupArn": groups[0], "containerName": "api", "containerPort": 8080}]}),
        );
        let mut stage = stage;
        stage.declare("aaaaaaa");
        stage
    }

    /// The same, but commit aaaaaaa crashes: its first deployment has failed, and there was nothing to go back to.
    pub fn broken() -> Self {
        let mut stage = Self::bare();
        let digest = stage.digest("aaaaaaa").unwrap();
        stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
        stage.create_service(
            &json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}}}),
        );
        stage.declare("aaaaaaa");
        stage
    }

    /// The same behind a load balancer, deployed by CodeDeploy: group `API-test` of application `API`, with five minutes
    /// before old tasks end. `more` is laid over what creates the group; null leaves application and group out.
    pub fn blue_green(more: &Value) -> Self {
        let mut stage = Self { by_code_deploy: true, ..Self::bare() };
        stage.application = BLUE_GREEN.to_owned();
        let (groups, listeners) =
            stage.balanced(|groups| json!([{"Type": "forward", "TargetGroupArn": groups[0]}]));
        stage.create_service(&json!({"deploymentController": {"type": "CODE_DEPLOY"},
            "loadBalancers": [{"targetGroupArn": groups[0], "containerName": "api", "containerPort": 8080}]}));
        if !more.is_null() {
            let application = json!({"applicationName": "API", "computePlatform": "ECS"});
            stage.call(Api::CodeDeploy, "CreateApplication", &application);
            let mut group = group(&listeners);
            for (key, value) in more.as_object().unwrap() {
                group[key] = value.clone();
            }
            stage.call(Api::CodeDeploy, "CreateDeploymentGroup", &group);
        }
        stage.declare("aaaaaaa");
        stage
    }

    /// The same, with its traffic shifted by ECS itself in this way; headless where nothing leads to it.
    pub fn native(configuration: &Value, has_traffic: bool) -> Self {
        // Its first deployment would wait for hooks, too.
        let mut without_hooks = configuration.clone();
        without_hooks.as_object_mut().unwrap().remove("lifecycleHooks");
        let mut stage = Self::created(&without_hooks, has_traffic, Function::Succeeds);
        stage.update(&json!({"deploymentConfiguration": configuration}));
        stage.declare("aaaaaaa");
        stage
    }

    /// The same, just as it was created, with functions that do this; nothing is declared yet.
    pub fn created(configuration: &Value, has_traffic: bool, does: Function) -> Self {
        let stage = Self::bare();
        stage.account.world(Need::Functions).set_function("smoke", does);
        let mut service = json!({"deploymentConfiguration": configuration});
        if has_traffic {
            let (groups, listeners) = stage.balanced(|groups| {
                let weights = json!([{"TargetGroupArn": groups[0], "Weight": 1}, {"TargetGroupArn": groups[1], "Weight": 0}]);
                json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}])
            });
            let rules = listeners.map(|listener| {
                let rules = stage.call(Api::Elb, "DescribeRules", &json!({"ListenerArn": listener}));
                rules["Rules"][0]["RuleArn"].clone()
            });
            service["loadBalancers"] = json!([{"targetGroupArn": groups[0], "containerName": "api", "containerPort": 8080,
                "advancedConfiguration": {"alternateTargetGroupArn": groups[1], "productionListenerRule": rules[0],
                    "testListenerRule": rules[1], "roleArn": "arn:aws:iam::123456789012:role/ecs"}}]);
        }
        stage.create_service(&service);
        // Its own bake is over, and the half minute after it.
        stage.advance(3600);
        stage
    }

    /// Two target groups behind a load balancer, and its listeners for production and tests.
    fn balanced(&self, actions: impl Fn(&[Value; 2]) -> Value) -> ([Value; 2], [Value; 2]) {
        let elb = |operation: &str, input: &Value| self.call(Api::Elb, operation, input);
        let (network, subnets) = self.account.network();
        let balancer = elb("CreateLoadBalancer", &json!({"Name": "mco", "Subnets": subnets}));
        let balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"].clone();
        let groups = GROUPS.map(|name| {
            let group =
                json!({"Name": name, "Protocol": "HTTP", "Port": 8080, "VpcId": network, "TargetType": "ip"});
            elb("CreateTargetGroup", &group)["TargetGroups"][0]["TargetGroupArn"].clone()
        });
        let listeners = [80, 8080].map(|port| {
            let input = json!({"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": port,
                "DefaultActions": actions(&groups)});
            elb("CreateListener", &input)["Listeners"][0]["ListenerArn"].clone()
        });
        (groups, listeners)
    }

    /// The world in which these calls were made before, up to the first so many; and what the repository declared.
    pub fn recorded(situation: &Value, calls: Option<usize>) -> Self {
        let mut stage = Self::empty();
        let begun = stage.now();
        let all = situation["calls"].as_array().unwrap();
        for call in all.iter().take(calls.unwrap_or(all.len())) {
            stage.advance(begun + call[0].as_u64().unwrap() - stage.now());
            stage.by_code_deploy |= call[1] == "CodeDeploy";
            if call[1] != "Simulator" {
                stage.again(call).unwrap();
            } else if let Some(digest) = call[3]["digest"].as_str() {
                let digest = digest.to_owned();
                stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
            } else {
                stage.heal();
            }
        }
        if calls.is_none() {
            stage.advance(begun + situation["seconds"].as_u64().unwrap() - stage.now());
        }
        stage.environment = situation["environment"].as_str().unwrap().to_owned();
        stage.application = situation["application"].as_str().unwrap().to_owned();
        for commit in situation["declared"].as_array().unwrap() {
            stage.declare(commit.as_str().unwrap());
        }
        stage
    }

    /// Makes a call of such a record once more, now.
    pub fn again(&self, call: &Value) -> Result<Value, AwsError> {
        let api = match call[1].as_str().unwrap() {
            "Ecs" => Api::Ecs,
            "Ecr" => Api::Ecr,
            "Elb" => Api::Elb,
            _ => Api::CodeDeploy,
        };
        self.account.call(api, call[2].as_str().unwrap(), &call[3])
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        self.account.world(Need::Clock).now()
    }

    fn empty() -> Self {
        let account = Account::open();
        Self {
            at_end: AtEnd::of(&account),
            account,
            commits: Commits::default(),
            declaration: Declaration {
                infra_commit: None,
                applications: Vec::new(),
                findings: Vec::new(),
                unread_files: BTreeSet::new(),
            },
            environment: String::new(),
            files: Files::new(),
            application: "  repository: mco/api\n  service: mco-api-{environment}\n".to_owned(),
            by_code_deploy: false,
        }
    }

    /// The same service in this world, as it is before anything is declared.
    pub fn within(world: &Arc<Mutex<World>>) -> Self {
        let account = Account::World(Arc::clone(world));
        let at_end = AtEnd::of(&account);
        let stage = Self { account, at_end, ..Self::empty() };
        stage.furnish();
        stage.create_service(&json!({}));
        stage
    }

    fn bare() -> Self {
        let stage = Self::empty();
        stage.furnish();
        stage
    }

    /// A cluster, and a repository with commit aaaaaaa.
    fn furnish(&self) {
        let stage = self;
        stage.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}));
        stage.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": "mco/api"}));
        stage.build("aaaaaaa");
        stage.tag("aaaaaaa", "test");
    }

    fn create_service(&self, more: &Value) {
        let definition = self.register("aaaaaaa");
        let mut service = json!({"cluster": "mco", "serviceName": "mco-api-test", "taskDefinition": definition,
            "desiredCount": 2});
        for (key, value) in more.as_object().unwrap() {
            service[key] = value.clone();
        }
        self.call(Api::Ecs, "CreateService", &service);
        // Its own deployment is long enough ago to have succeeded.
        self.advance(130);
    }

    pub fn call(&self, api: Api, operation: &str, input: &Value) -> Value {
        self.account.call(api, operation, input).unwrap()
    }

    pub fn advance(&self, seconds: u64) {
        self.account.advance(seconds);
    }

    pub fn inject(&self, fault: Fault) {
        self.account.world(Need::Faults).inject(fault);
    }

    pub fn heal(&self) {
        self.account.world(Need::Faults).heal();
    }

    pub fn set_alarm(&self, name: &str, on: bool) {
        self.account.world(Need::Alarms).set_alarm(name, on);
    }

    /// Pushes an image for a commit; its digest.
    pub fn build(&self, commit: &str) -> String {
        self.build_for("amd64", commit)
    }

    /// Pushes an image of one CPU architecture; its digest.
    pub fn build_for(&self, architecture: &str, commit: &str) -> String {
        self.build_in("mco/api", architecture, commit)
    }

    /// The same in another repository.
    pub fn build_in(&self, repository: &str, architecture: &str, commit: &str) -> String {
        self.push(repository, &self.manifest(repository, architecture, commit), Some(commit))
    }

    /// Of an image whose only layer and configuration are in the repository.
    fn manifest(&self, repository: &str, architecture: &str, commit: &str) -> Value {
        let layer = self.upload(repository, "layer.v1.tar", commit.to_owned());
        let config = json!({"os": "linux", "architecture": architecture, "author": commit});
        let config = self.upload(repository, "config.v1+json", config.to_string());
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
    }

    /// How a manifest names what was uploaded.
    fn upload(&self, repository: &str, kind: &str, content: String) -> Value {
        let bytes = content.into_bytes();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        let named = |more: Value| {
            let mut input = json!({"repositoryName": repository});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        let asked = named(json!({"layerDigests": [digest]}));
        let known = self.call(Api::Ecr, "BatchCheckLayerAvailability", &asked);
        if known["layers"][0]["layerAvailability"] != "AVAILABLE" {
            let upload = self.call(Api::Ecr, "InitiateLayerUpload", &named(json!({})))["uploadId"].clone();
            let blob = BASE64_STANDARD.encode(&bytes);
            let part = json!({"uploadId": upload, "partFirstByte": 0, "partLastByte": bytes.len() - 1,
                "layerPartBlob": blob});
            self.call(Api::Ecr, "UploadLayerPart", &named(part));
            let whole = json!({"uploadId": upload, "layerDigests": [digest]});
            self.call(Api::Ecr, "CompleteLayerUpload", &named(whole));
        }
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Pushes an index with one image, as buildx does; its digest.
    pub fn build_index(&self, commit: &str) -> String {
        let child = self.manifest("mco/api", "amd64", commit);
        let digest = self.push("mco/api", &child, None);
        let platform = json!({"os": "linux", "architecture": "amd64"});
        let size = child.to_string().len();
        let child = json!({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform});
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [child]});
        self.push("mco/api", &index, Some(commit))
    }

    fn push(&self, repository: &str, manifest: &Value, tag: Option<&str>) -> String {
        let mut input = json!({"repositoryName": repository, "imageManifest": manifest.to_string()});
        if let Some(tag) = tag {
            input["imageTag"] = json!(tag);
        }
        let put = self.call(Api::Ecr, "PutImage", &input);
        put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
    }

    pub fn tag(&self, of: &str, tag: &str) {
        self.tag_in("mco/api", of, tag);
    }

    pub fn tag_in(&self, repository: &str, of: &str, tag: &str) {
        let ids = json!([{"imageTag": of}]);
        let image =
            self.call(Api::Ecr, "BatchGetImage", &json!({"repositoryName": repository, "imageIds": ids}));
        let manifest = &image["images"][0]["imageManifest"];
        let put = json!({"repositoryName": repository, "imageManifest": manifest, "imageTag": tag});
        self.call(Api::Ecr, "PutImage", &put);
    }

    /// A revision by another hand, with the image by tag.
    pub fn register(&self, tag: &str) -> String {
        let image = format!("{}/mco/api:{tag}", self.account.registry());
        let containers = json!([{"name": "api", "image": image, "memory": 512, "portMappings": [{"containerPort": 8080}]}]);
        let definition = json!({"family": "mco-api", "containerDefinitions": containers});
        let registered = self.call(Api::Ecs, "RegisterTaskDefinition", &definition);
        registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
    }

    /// A clean-up job: keeps the newest revisions of the family and deletes the others, as such jobs do, without a look
    /// at who runs them.
    pub fn clean_up(&self, family: &str, keep: usize) {
        let listed = json!({"familyPrefix": family, "sort": "DESC"});
        let listed = self.call(Api::Ecs, "ListTaskDefinitions", &listed)["taskDefinitionArns"].clone();
        for arn in listed.as_array().unwrap().iter().skip(keep) {
            self.call(Api::Ecs, "DeregisterTaskDefinition", &json!({"taskDefinition": arn}));
            let deleted = self.call(Api::Ecs, "DeleteTaskDefinitions", &json!({"taskDefinitions": [arn]}));
            assert_eq!(deleted["failures"], json!([]));
        }
    }

    /// A clean-up job that only deregisters: of the family, the newest `keep` ACTIVE revisions stay.
    pub fn deregister_old(&self, keep: usize) {
        let list = json!({"familyPrefix": "mco-api", "sort": "DESC"});
        let arns = self.call(Api::Ecs, "ListTaskDefinitions", &list)["taskDefinitionArns"].clone();
        for arn in arns.as_array().unwrap().iter().skip(keep) {
            self.call(Api::Ecs, "DeregisterTaskDefinition", &json!({"taskDefinition": arn}));
        }
    }

    /// A deployment by another hand.
    pub fn update(&self, change: &Value) {
        let mut input = json!({"cluster": "mco", "service": "mco-api-test"});
        for (key, value) in change.as_object().unwrap() {
            input[key] = value.clone();
        }
        self.call(Api::Ecs, "UpdateService", &input);
    }

    /// A new infra commit with this commit of the application.
    pub fn declare(&mut self, commit: &str) {
        let application = self.application.clone();
        self.write(&[("api", commit, &application)]);
    }

    /// A new infra commit with these applications: name, commit and specification.
    pub fn write(&mut self, applications: &[(&str, &str, &str)]) {
        self.write_broken(applications);
        assert_eq!(self.declaration.findings, [], "the scenario's own files are good");
    }

    /// The same where the files need not be good.
    pub fn write_broken(&mut self, applications: &[(&str, &str, &str)]) {
        let own = |(name, text): (&String, &Result<String, String>)| {
            (name.clone(), text.as_ref().map(|text| self.account.own(text)).map_err(Clone::clone))
        };
        let mut files: Files = self.files.iter().map(own).collect();
        let mut entries = String::new();
        for (name, commit, specification) in applications {
            let text = format!(
                "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n{specification}"
            );
            files.insert(format!("{name}.yaml"), Ok(self.account.own(&text)));
            let _ = writeln!(entries, "    {name}: {{commit: {commit}}}");
        }
        let environment = format!(
            "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec:\n  account: \"123456789012\"\n  cluster: mco\n{}  applications:\n{entries}",
            self.environment
        );
        files.insert("test.yaml".to_owned(), Ok(self.account.own(&environment)));
        let mut commits = self.commits.0.lock().unwrap();
        let head = InfraCommit::new(format!("{:040x}", commits.len() + 1));
        self.declaration = manifest::read(&files, Some(head.clone()), &|_, _| Vec::new());
        // Where deployments are over at once there is no minute to wait for.
        for declared in self.declaration.applications.iter_mut().filter(|_| self.account.hurries()) {
            if let Declared::Readable(desired) = declared {
                desired.policy.steady = std::time::Duration::ZERO;
            }
        }
        commits.push((head, self.declaration.clone()));
    }

    /// Puts the repository back to its first commit: the one that declares aaaaaaa.
    pub fn rewind(&mut self) {
        let first = self.commits.0.lock().unwrap()[0].0.clone();
        self.declaration.infra_commit = Some(first);
    }

    /// The same world and repository, for another process beside this one.
    pub fn beside(&self) -> Self {
        Self {
            at_end: AtEnd::default(),
            account: self.account.clone(),
            commits: self.commits.clone(),
            declaration: self.declaration.clone(),
            environment: self.environment.clone(),
            files: self.files.clone(),
            application: self.application.clone(),
            by_code_deploy: self.by_code_deploy,
        }
    }

    pub fn process(&self, plan: BTreeMap<usize, Trouble>) -> Running {
        self.process_beside(plan, None)
    }

    /// A process so far away from AWS, in tokio's time.
    pub fn process_far_away(&self, latency: Duration) -> Running {
        let world = self.account.shared();
        let process = Process::far_away(&world, latency);
        let clock = Arc::new(WorldClock(world));
        let history = Box::new(self.commits.clone());
        let controller = Controller::new(Box::new(process.clone()), history, clock);
        Running { process: Some(process), controller }
    }

    pub fn process_beside(&self, plan: BTreeMap<usize, Trouble>, other: Option<Arc<dyn Other>>) -> Running {
        let over_http = is_over_http() && plan.is_empty() && other.is_none();
        let history = Box::new(self.commits.clone());
        let Account::World(world) = &self.account else {
            let controller = Controller::new(Box::new(outside(Aws::load())), history, Arc::new(RealClock));
            return Running { process: None, controller };
        };
        let process = Process::new(world, plan, other);
        let clock = Arc::new(WorldClock(Arc::clone(world)));
        let reach: Box<dyn Reach> =
            if over_http { Box::new(served(world)) } else { Box::new(process.clone()) };
        Running { process: Some(process), controller: Controller::new(reach, history, clock) }
    }

    /// The ways to the account: in process, and by the real SDK.
    pub fn reaches(&self) -> Vec<Box<dyn Reach>> {
        match &self.account {
            Account::World(world) => {
                vec![Box::new(Process::new(world, BTreeMap::new(), None)), Box::new(served(world))]
            }
            Account::Endpoint(_) => vec![Box::new(outside(Aws::load()))],
        }
    }

    /// The ARN of the listener at this port: 80 for production, 8080 for tests.
    pub fn listener(&self, port: u64) -> String {
        let balancers =
            self.call(Api::Elb, "DescribeLoadBalancers", &json!({"Names": ["mco"]}))["LoadBalancers"].clone();
        let of = json!({"LoadBalancerArn": balancers[0]["LoadBalancerArn"]});
        let listeners = self.call(Api::Elb, "DescribeListeners", &of)["Listeners"].clone();
        let mut all = listeners.as_array().unwrap().iter();
        all.find(|listener| listener["Port"] == port).unwrap()["ListenerArn"].as_str().unwrap().to_owned()
    }

    /// Service deployments that were ever started, the first being that of `CreateService`; with CodeDeploy the
    /// deployments that somebody asked for.
    pub fn deployments(&self) -> usize {
        if self.by_code_deploy {
            return self.code_deployments().iter().filter(|one| one["creator"] == "user").count();
        }
        self.service_deployments().unwrap().len()
    }

    /// `None` where the account keeps no record of them: a service has one from its creation on.
    pub fn service_deployments(&self) -> Option<Vec<Value>> {
        let list = json!({"cluster": "mco", "service": "mco-api-test", "maxResults": 100});
        let answer = self.account.call(Api::Ecs, "ListServiceDeployments", &list).ok()?;
        let deployments = answer["serviceDeployments"].as_array()?.clone();
        (!deployments.is_empty()).then_some(deployments)
    }

    /// So many deployments were ever started, as far as the account tells.
    #[track_caller]
    pub fn check_deployments(&self, expected: usize) {
        if self.by_code_deploy || self.service_deployments().is_some() {
            assert_eq!(self.deployments(), expected, "deployments");
        } else {
            self.account.does_not_tell("deployments");
        }
    }

    /// All deployments of the group, oldest first; none without an application.
    pub fn code_deployments(&self) -> Vec<Value> {
        let group = json!({"applicationName": "API", "deploymentGroupName": "API-test"});
        let ids = match self.account.call(Api::CodeDeploy, "ListDeployments", &group) {
            Ok(listed) => listed["deployments"].clone(),
            Err(error) => {
                assert_eq!(error.code, "ApplicationDoesNotExistException");
                return Vec::new();
            }
        };
        let mut all = Vec::new();
        for batch in ids.as_array().unwrap().chunks(25) {
            let described =
                self.call(Api::CodeDeploy, "BatchGetDeployments", &json!({"deploymentIds": batch}));
            all.extend(described["deploymentsInfo"].as_array().unwrap().clone());
        }
        all.sort_by(|one, two| one["createTime"].as_f64().partial_cmp(&two["createTime"].as_f64()).unwrap());
        all
    }

    /// ACTIVE revisions of the family.
    pub fn revisions(&self) -> usize {
        let list = json!({"familyPrefix": "mco-api"});
        self.call(Api::Ecs, "ListTaskDefinitions", &list)["taskDefinitionArns"].as_array().unwrap().len()
    }

    /// Revisions that trueup ever registered for the service.
    pub fn registered(&self) -> usize {
        let ours = json!({"TagFilters": [{"Key": "trueup:application", "Values": ["api"]}]});
        self.call(Api::Tagging, "GetResources", &ours)["ResourceTagMappingList"].as_array().unwrap().len()
    }

    pub fn writes(&self) -> u64 {
        self.account.writes()
    }

    /// The digest that a tag points at.
    pub fn digest(&self, tag: &str) -> Option<String> {
        let input = json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": tag}]});
        let answer = self.account.call(Api::Ecr, "DescribeImages", &input).ok()?;
        Some(answer["imageDetails"][0]["imageDigest"].as_str()?.to_owned())
    }

    /// The digests of the tasks that run, without asking trueup.
    pub fn running(&self) -> Vec<String> {
        self.running_of(&self.described(SERVICE))
    }

    fn described(&self, service: &str) -> Value {
        let input = json!({"cluster": "mco", "services": [service]});
        self.call(Api::Ecs, "DescribeServices", &input)["services"][0].clone()
    }

    /// Without what drains: it only finishes what it was asked before.
    fn running_of(&self, service: &Value) -> Vec<String> {
        let sets = service["taskSets"].as_array().cloned().unwrap_or_default();
        let drains = |task: &&Value| {
            sets.iter().any(|set| set["status"] == "DRAINING" && set["id"] == task["startedBy"])
        };
        let list = json!({"cluster": "mco", "serviceName": service["serviceName"]});
        let arns = self.call(Api::Ecs, "ListTasks", &list)["taskArns"].clone();
        if arns == json!([]) {
            return Vec::new();
        }
        let tasks = self.call(Api::Ecs, "DescribeTasks", &json!({"cluster": "mco", "tasks": arns}));
        let tasks = tasks["tasks"].as_array().unwrap().iter();
        let running = tasks.filter(|task| task["lastStatus"] == "RUNNING" && !drains(task));
        running.map(|task| self.digest_of(&task["containers"][0])).collect()
    }

    /// What was built from this commit runs in the service and nothing else does, as far as the account tells.
    #[track_caller]
    pub fn check_runs(&self, service: &str, commit: &str) {
        let (service, built) = (self.described(service), self.digest(commit));
        let running = self.running_of(&service);
        assert!(running.iter().all(|digest| Some(digest) == built.as_ref()), "{running:?} is not {commit}");
        if running.is_empty() && service["desiredCount"] != 0 {
            self.account.does_not_tell("tasks");
        }
    }

    /// As the task tells it, or as its image names it.
    fn digest_of(&self, container: &Value) -> String {
        let image = container["image"].as_str().unwrap_or_default();
        let told = container["imageDigest"].as_str().or(image.split_once('@').map(|(_, digest)| digest));
        let tagged = || self.digest(image.rsplit(':').next().unwrap_or_default());
        told.map(str::to_owned).or_else(tagged).unwrap_or_else(|| "?".to_owned())
    }
}

fn group(listeners: &[Value; 2]) -> Value {
    json!({
        "applicationName": "API",
        "deploymentGroupName": "API-test",
        "serviceRoleArn": "arn:aws:iam::123456789012:role/codedeploy",
        "ecsServices": [{"clusterName": "mco", "serviceName": "mco-api-test"}],
        "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "blueGreenDeploymentConfiguration": {
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
        },
        "loadBalancerInfo": {"targetGroupPairInfoList": [{
            "targetGroups": [{"name": GROUPS[0]}, {"name": GROUPS[1]}],
            "prodTrafficRoute": {"listenerArns": [listeners[0]]},
            "testTrafficRoute": {"listenerArns": [listeners[1]]},
        }]},
    })
}

/// The real SDK, with this world behind a server on loopback. Its time stands still but for `advance`.
fn served(world: &Arc<Mutex<World>>) -> Aws {
    let world = Arc::clone(world);
    outside(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(http::serve(listener, world, 0.0));
        Aws::simulated(&endpoint, &Region::new("eu-west-2")).await
    })
}

/// Not on the test's own thread, which is inside of a runtime.
fn outside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    static OUTSIDE: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    std::thread::spawn(|| OUTSIDE.block_on(work)).join().unwrap()
}

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Millis {
        i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
    }
}

/// One process: what it knows dies with it.
pub struct Running {
    process: Option<Process>,
    pub controller: Controller,
}

impl Running {
    /// What the process has called, and whether it lives.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().unwrap_or_else(|| panic!("needs: {:?}", Need::Calls))
    }

    pub async fn pass(&mut self, stage: &Stage) -> Vec<SweepResult> {
        let swept = self.controller.sweep(&stage.declaration, Writes::Allowed, |_| true).await;
        for _ in swept.iter().filter(|one| one.outcome != Outcome::Nothing) {
            stage.account.wrote();
        }
        swept
    }

    pub async fn run(&mut self, stage: &Stage, seconds: u64) -> SweepResult {
        let mut swept = self.watch(stage, seconds, |swept| check_truth(stage, swept)).await;
        swept.swap_remove(0)
    }

    /// Looks every tick for so many seconds; in an account that hurries, until nothing changes any more.
    pub async fn watch(
        &mut self,
        stage: &Stage,
        seconds: u64,
        mut see: impl FnMut(&[SweepResult]),
    ) -> Vec<SweepResult> {
        let mut time = stage.account.time(seconds);
        loop {
            let swept = self.pass(stage).await;
            see(&swept);
            let rests = swept.iter().all(rests);
            let now = swept.iter().map(said).collect::<Vec<_>>().join(" ");
            if !time.goes_on(&now, rests) {
                return swept;
            }
        }
    }

    /// Looks until something is so. That it never is, is a failure.
    pub async fn until(
        &mut self,
        stage: &Stage,
        is_so: impl Fn(&Stage, &SweepResult) -> bool,
    ) -> SweepResult {
        let mut time = stage.account.time(600);
        loop {
            let swept = self.pass(stage).await;
            check_truth(stage, &swept);
            let first = swept.into_iter().next().unwrap();
            if is_so(stage, &first) {
                return first;
            }
            let now = said(&first);
            assert!(time.goes_on(&now, rests(&first)), "waited for in vain; at last: {now}");
        }
    }
}

/// Whether nothing is about to change by itself.
fn rests(swept: &SweepResult) -> bool {
    let waiting = swept.plan.waiting.as_ref();
    waiting.map(class).is_some_and(|class| class.is_rest() || matches!(class, Class::Others | Class::Build))
}

/// No false success: what is called Synced runs, and nothing else does.
#[track_caller]
pub fn check_truth(stage: &Stage, swept: &[SweepResult]) {
    for one in swept {
        let plan = &one.plan;
        // Of a task nothing runs any more, or not now.
        let mut declared = stage.declaration.observable();
        if !declared.any(|desired| desired.target == one.target && desired.service().is_some()) {
            continue;
        }
        if plan.status.sync == Sync::Synced && plan.status.health == Health::Healthy {
            let service = match plan.status.target.application.as_str().strip_prefix("fleet") {
                Some(number) => format!("fleet-{number}"),
                None => format!("mco-{}-test", plan.status.target.application),
            };
            stage.check_runs(&service, plan.status.declared.as_ref().unwrap().as_str());
        }
    }
}

/// Why nothing is done, or the next step.
pub fn said(swept: &SweepResult) -> String {
    let plan = &swept.plan;
    match &plan.waiting {
        Some(waiting) => trueup::plan::waiting::reason(waiting).to_owned(),
        None => format!("{:?}", plan.steps.first()),
    }
}
