//! A service on the simulated world, an infrastructure repository that declares it, and processes that reconcile it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use trueup::aws::Aws;
use trueup::controller::{Controller, Swept, Writes};
use trueup::manifest::{self, Files};
use trueup::model::*;
use trueup::ports::{History, Reach};
use trueup_simulator::{Api, Fault, World, http};

use crate::ports::{Other, Process, Trouble, WorldClock};

pub const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";
/// Every operation that trueup may write with.
pub const WRITES: [&str; 9] = [
    "RegisterTaskDefinition",
    "TagResource",
    "UpdateService",
    "PutImage",
    "CreateDeployment",
    "StopDeployment",
    "ContinueDeployment",
    "CreateApplication",
    "CreateDeploymentGroup",
];
const BLUE_GREEN: &str = "  repository: mco/api\n  service: mco-api-{environment}\n  strategy: {codeDeploy: {application: API, deploymentGroup: \"API-{environment}\"}}\n";
/// Virtual seconds between two looks.
pub const TICK: u64 = 2;

/// The commits of the infrastructure repository, oldest first.
#[derive(Clone, Default)]
pub struct Commits(Arc<Mutex<Vec<InfraCommit>>>);

impl History for Commits {
    fn ancestry(&self, commit: &InfraCommit, head: &InfraCommit) -> Ancestry {
        let commits = self.0.lock().unwrap();
        let place = |wanted: &InfraCommit| commits.iter().position(|known| known == wanted);
        match (place(commit), place(head)) {
            (Some(commit), Some(head)) if commit <= head => Ancestry::Ancestor,
            _ => Ancestry::NotAncestor,
        }
    }
}

/// Everything outside a process: AWS and the repository.
pub struct Stage {
    pub world: Arc<Mutex<World>>,
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
}

impl Clone for Stage {
    /// A world of its own with the same past.
    fn clone(&self) -> Self {
        let commits = Commits(Arc::new(Mutex::new(self.commits.0.lock().unwrap().clone())));
        Self {
            world: Arc::new(Mutex::new(self.world.lock().unwrap().clone())),
            commits,
            declaration: self.declaration.clone(),
            environment: self.environment.clone(),
            files: self.files.clone(),
            application: self.application.clone(),
            by_code_deploy: self.by_code_deploy,
        }
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

    /// The same, but commit aaaaaaa crashes: its first deployment has failed, and there was nothing to go back to.
    pub fn broken() -> Self {
        let mut stage = Self::bare();
        let digest = stage.digest("aaaaaaa").unwrap();
        stage.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
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
        let elb = |operation: &str, input: &Value| stage.call(Api::Elb, operation, input);
        let balancer =
            elb("CreateLoadBalancer", &json!({"Name": "mco"}))["LoadBalancers"][0]["LoadBalancerArn"].clone();
        let groups = ["api-1", "api-2"].map(|name| {
            elb("CreateTargetGroup", &json!({"Name": name}))["TargetGroups"][0]["TargetGroupArn"].clone()
        });
        let listeners = [80, 8080].map(|port| {
            let actions = json!([{"Type": "forward", "TargetGroupArn": groups[0]}]);
            let input = json!({"LoadBalancerArn": balancer, "Port": port, "DefaultActions": actions});
            elb("CreateListener", &input)["Listeners"][0]["ListenerArn"].clone()
        });
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

    fn bare() -> Self {
        let stage = Self {
            world: Arc::new(Mutex::new(World::new("123456789012", "eu-west-2"))),
            commits: Commits::default(),
            declaration: Declaration { infra_commit: None, applications: Vec::new(), findings: Vec::new() },
            environment: String::new(),
            files: Files::new(),
            application: "  repository: mco/api\n  service: mco-api-{environment}\n".to_owned(),
            by_code_deploy: false,
        };
        stage.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}));
        stage.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": "mco/api"}));
        stage.build("aaaaaaa");
        stage.tag("aaaaaaa", "test");
        stage
    }

    fn create_service(&self, more: &Value) {
        let definition = self.register("aaaaaaa");
        let mut service = json!({"cluster": "mco", "serviceName": "mco-api-test", "taskDefinition": definition,
            "desiredCount": 2});
        for (key, value) in more.as_object().unwrap() {
            service[key] = value.clone();
        }
        self.call(Api::Ecs, "CreateService", &service);
        self.advance(60);
    }

    pub fn call(&self, api: Api, operation: &str, input: &Value) -> Value {
        self.world.lock().unwrap().call(api, operation, input).unwrap()
    }

    pub fn advance(&self, seconds: u64) {
        self.world.lock().unwrap().advance(seconds);
    }

    /// Pushes an image for a commit; its digest.
    pub fn build(&self, commit: &str) -> String {
        let manifest = json!({"schemaVersion": 2, "config": {"digest": commit}, "layers": []});
        self.push(&manifest, Some(commit))
    }

    /// Pushes an index with one image, as buildx does; its digest.
    pub fn build_index(&self, commit: &str) -> String {
        let child = json!({"schemaVersion": 2, "config": {"digest": commit}, "layers": []});
        let child = self.push(&child, None);
        let platform = json!({"os": "linux", "architecture": "amd64"});
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{"digest": child, "platform": platform}]});
        self.push(&index, Some(commit))
    }

    fn push(&self, manifest: &Value, tag: Option<&str>) -> String {
        let mut input = json!({"repositoryName": "mco/api", "imageManifest": manifest.to_string()});
        if let Some(tag) = tag {
            input["imageTag"] = json!(tag);
        }
        let put = self.call(Api::Ecr, "PutImage", &input);
        put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
    }

    pub fn tag(&self, of: &str, tag: &str) {
        let ids = json!([{"imageTag": of}]);
        let image =
            self.call(Api::Ecr, "BatchGetImage", &json!({"repositoryName": "mco/api", "imageIds": ids}));
        let manifest = &image["images"][0]["imageManifest"];
        let put = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": tag});
        self.call(Api::Ecr, "PutImage", &put);
    }

    /// A revision by another hand, with the image by tag.
    pub fn register(&self, tag: &str) -> String {
        let image = format!("{REGISTRY}/mco/api:{tag}");
        let containers = json!([{"name": "api", "image": image, "memory": 512, "portMappings": [{"containerPort": 8080}]}]);
        let definition = json!({"family": "mco-api", "containerDefinitions": containers});
        let registered = self.call(Api::Ecs, "RegisterTaskDefinition", &definition);
        registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
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
        let mut files = self.files.clone();
        let mut entries = String::new();
        for (name, commit, specification) in applications {
            let text = format!(
                "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n{specification}"
            );
            files.insert(format!("{name}.yaml"), Ok(text));
            let _ = writeln!(entries, "    {name}: {{commit: {commit}}}");
        }
        let environment = format!(
            "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec:\n  account: \"123456789012\"\n  cluster: mco\n{}  applications:\n{entries}",
            self.environment
        );
        files.insert("test.yaml".to_owned(), Ok(environment));
        let head = {
            let mut commits = self.commits.0.lock().unwrap();
            let head = InfraCommit::new(format!("{:040x}", commits.len() + 1));
            commits.push(head.clone());
            head
        };
        self.declaration = manifest::read(&files, Some(head), &|_| Vec::new());
    }

    /// Puts the repository back to its first commit: the one that declares aaaaaaa.
    pub fn rewind(&mut self) {
        let first = self.commits.0.lock().unwrap()[0].clone();
        self.declaration.infra_commit = Some(first);
    }

    /// The same world and repository, for another process beside this one.
    pub fn beside(&self) -> Self {
        Self { world: Arc::clone(&self.world), commits: self.commits.clone(), ..self.clone() }
    }

    pub fn process(&self, plan: BTreeMap<usize, Trouble>) -> Running {
        self.process_beside(plan, None)
    }

    pub fn process_beside(&self, plan: BTreeMap<usize, Trouble>, other: Option<Arc<dyn Other>>) -> Running {
        let over_http = is_over_http() && plan.is_empty() && other.is_none();
        let process = Process::new(&self.world, plan, other);
        let clock = Arc::new(WorldClock(Arc::clone(&self.world)));
        let reach: Box<dyn Reach> =
            if over_http { Box::new(self.served()) } else { Box::new(process.clone()) };
        let controller = Controller::new(reach, Box::new(self.commits.clone()), clock);
        Running { process, controller }
    }

    /// The real SDK, with this world behind a server on loopback. Its time stands still but for `advance`.
    fn served(&self) -> Aws {
        static SERVERS: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
        let world = Arc::clone(&self.world);
        let serve = async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(http::serve(listener, world, 0.0));
            Aws::simulated(&endpoint, &Region::new("eu-west-2")).await
        };
        // Not on the test's own thread, which is inside of a runtime.
        std::thread::spawn(|| SERVERS.block_on(serve)).join().unwrap()
    }

    /// The ways to the world: in process, and by the real SDK.
    pub fn reaches(&self) -> [Box<dyn Reach>; 2] {
        [Box::new(Process::new(&self.world, BTreeMap::new(), None)), Box::new(self.served())]
    }

    /// The ARN of the listener at this port: 80 for production, 8080 for tests.
    pub fn listener(&self, port: u64) -> String {
        let balancers = self.call(Api::Elb, "DescribeLoadBalancers", &json!({}))["LoadBalancers"].clone();
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
        let list = json!({"cluster": "mco", "service": "mco-api-test", "maxResults": 100});
        self.call(Api::Ecs, "ListServiceDeployments", &list)["serviceDeployments"].as_array().unwrap().len()
    }

    /// All deployments of CodeDeploy, oldest first.
    pub fn code_deployments(&self) -> Vec<Value> {
        let ids = self.call(Api::CodeDeploy, "ListDeployments", &json!({}))["deployments"].clone();
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

    pub fn writes(&self) -> u64 {
        let world = self.world.lock().unwrap();
        WRITES.iter().map(|operation| world.calls(operation)).sum()
    }

    /// The digest that a tag points at.
    pub fn digest(&self, tag: &str) -> Option<String> {
        let input = json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": tag}]});
        let answer = self.world.lock().unwrap().call(Api::Ecr, "DescribeImages", &input).ok()?;
        Some(answer["imageDetails"][0]["imageDigest"].as_str()?.to_owned())
    }

    /// The digests of the tasks that run, without asking trueup.
    pub fn running(&self) -> Vec<String> {
        self.running_in("mco-api-test")
    }

    /// Without what drains: it only finishes what it was asked before.
    pub fn running_in(&self, service: &str) -> Vec<String> {
        let described =
            self.call(Api::Ecs, "DescribeServices", &json!({"cluster": "mco", "services": [service]}));
        let sets = described["services"][0]["taskSets"].as_array().cloned().unwrap_or_default();
        let drains = |task: &&Value| {
            sets.iter().any(|set| set["status"] == "DRAINING" && set["id"] == task["startedBy"])
        };
        let list = json!({"cluster": "mco", "serviceName": service});
        let arns = self.call(Api::Ecs, "ListTasks", &list)["taskArns"].clone();
        let tasks = self.call(Api::Ecs, "DescribeTasks", &json!({"cluster": "mco", "tasks": arns}));
        let running =
            tasks["tasks"].as_array().unwrap().iter().filter(|task| task["lastStatus"] == "RUNNING");
        let running = running.filter(|task| !drains(task));
        running.map(|task| task["containers"][0]["imageDigest"].as_str().unwrap_or("?").to_owned()).collect()
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
            "targetGroups": [{"name": "api-1"}, {"name": "api-2"}],
            "prodTrafficRoute": {"listenerArns": [listeners[0]]},
            "testTrafficRoute": {"listenerArns": [listeners[1]]},
        }]},
    })
}

/// One process: what it knows dies with it.
pub struct Running {
    pub process: Process,
    pub controller: Controller,
}

impl Running {
    pub async fn pass(&mut self, stage: &Stage) -> Vec<Swept> {
        self.controller.sweep(&stage.declaration, Writes::Allowed, |_| true).await
    }

    /// Looks every tick for so many seconds.
    pub async fn run(&mut self, stage: &Stage, seconds: u64) -> Swept {
        let mut last = self.pass(stage).await;
        for _ in 0..seconds / TICK {
            stage.advance(TICK);
            last = self.pass(stage).await;
            check_truth(stage, &last);
        }
        last.swap_remove(0)
    }
}

/// No false success: what is called Synced runs, and nothing else does.
#[track_caller]
pub fn check_truth(stage: &Stage, swept: &[Swept]) {
    for one in swept {
        let Some(plan) = &one.plan else { continue };
        if plan.status.sync == Sync::Synced && plan.status.health == Health::Healthy {
            let declared = stage.digest(plan.status.declared.as_ref().unwrap().as_str());
            let service = match plan.status.target.application.as_str().strip_prefix("fleet") {
                Some(number) => format!("fleet-{number}"),
                None => format!("mco-{}-test", plan.status.target.application),
            };
            let running = stage.running_in(&service);
            assert!(running.iter().all(|digest| Some(digest) == declared.as_ref()), "{running:?} {plan:#?}");
        }
    }
}

/// Why nothing is done, or the next step.
pub fn said(swept: &Swept) -> String {
    let plan = swept.plan.as_ref().unwrap();
    match &plan.waiting {
        Some(waiting) => trueup::plan::waiting::reason(waiting).to_owned(),
        None => format!("{:?}", plan.steps.first()),
    }
}
