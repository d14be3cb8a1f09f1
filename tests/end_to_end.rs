//! The built binary against the simulated AWS over HTTP, with a real git repository.
//!
//! Each command is a new process with nothing but git and AWS to remember by.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault, World, http};

const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";
const APPLICATION: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api-{environment}\n";

struct Rig {
    world: Arc<Mutex<World>>,
    endpoint: String,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Rig {
    /// A cluster with one service that runs commit aaaaaaa, and a repository that declares it.
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let world = Arc::new(Mutex::new(World::new("123456789012", "eu-west-2").starting_at(now)));
        runtime.spawn(http::serve(listener, Arc::clone(&world), 20.0));
        let rig = Self { world, endpoint, folder: tempfile::tempdir().unwrap(), _runtime: runtime };
        rig.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}));
        rig.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": "mco/api"}));
        rig.build("aaaaaaa");
        let containers =
            json!([{"name": "api", "image": format!("{REGISTRY}/mco/api:aaaaaaa"), "memory": 512}]);
        let definition = json!({"family": "mco-api", "containerDefinitions": containers});
        rig.call(Api::Ecs, "RegisterTaskDefinition", &definition);
        let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
        let service = json!({"cluster": "mco", "serviceName": "mco-api-test", "taskDefinition": "mco-api",
            "desiredCount": 2, "deploymentConfiguration": breaker});
        rig.call(Api::Ecs, "CreateService", &service);
        rig.world.lock().unwrap().advance(60);
        rig.git(&["init", "-q", "-b", "main"]);
        rig.write("api.yaml", APPLICATION);
        rig.declare("aaaaaaa");
        rig
    }

    fn call(&self, api: Api, operation: &str, input: &Value) -> Value {
        self.world.lock().unwrap().call(api, operation, input).unwrap()
    }

    /// Pushes an image for a commit; its digest.
    fn build(&self, commit: &str) -> String {
        let manifest = json!({"schemaVersion": 2, "config": {"digest": commit}, "layers": []}).to_string();
        let input = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": commit});
        let put = self.call(Api::Ecr, "PutImage", &input);
        put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn declare(&self, commit: &str) {
        let environment = format!(
            "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec:\n  account: \"123456789012\"\n  region: eu-west-2\n  cluster: mco\n  applications:\n    api: {{ commit: {commit} }}\n"
        );
        self.write("test.yaml", &environment);
        self.git(&["add", "-A"]);
        self.git(&["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", commit]);
    }

    fn git(&self, arguments: &[&str]) {
        let done = Command::new("git").current_dir(self.folder.path()).args(arguments).status().unwrap();
        assert!(done.success());
    }

    fn trueup(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_trueup"))
            .args(arguments)
            .args(["--repo".as_ref(), self.folder.path().as_os_str()])
            .env_clear()
            .envs([
                ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "eu-west-2"),
                ("HOME", "/nonexistent"),
            ])
            .output()
            .unwrap()
    }

    #[track_caller]
    fn expect(&self, arguments: &[&str], code: i32) -> String {
        let output = self.trueup(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
        out.into_owned()
    }

    fn status(&self) -> Value {
        let status: Value = serde_json::from_str(&self.expect(&["status", "--format", "json"], 0)).unwrap();
        status["applications"][0].clone()
    }

    /// Service deployments that were ever started: the first one is that of `CreateService`.
    fn deployments(&self) -> usize {
        let list = json!({"cluster": "mco", "service": "mco-api-test", "maxResults": 100});
        self.call(Api::Ecs, "ListServiceDeployments", &list)["serviceDeployments"].as_array().unwrap().len()
    }

    fn writes(&self) -> u64 {
        let world = self.world.lock().unwrap();
        let writes = ["PutImage", "RegisterTaskDefinition", "TagResource", "UpdateService"];
        writes.iter().map(|operation| world.calls(operation)).sum()
    }
}

#[test]
fn a_changed_commit_is_deployed_tagged_and_told_truly() {
    let rig = Rig::new();
    let before = rig.writes();
    rig.expect(&["reconcile"], 0);
    assert_eq!(rig.writes(), before, "what already runs is not touched");

    rig.declare("bbbbbbb");
    rig.expect(&["plan"], 0);
    assert_eq!(rig.status()["waiting"]["reason"], "ImageNotBuilt");
    let digest = rig.build("bbbbbbb");
    assert!(rig.expect(&["plan"], 2).contains("aaaaaaa -> bbbbbbb"));
    rig.expect(&["reconcile", "--timeout", "120"], 0);

    let status = rig.status();
    assert_eq!(status["declared"]["commit"], "bbbbbbb");
    assert_eq!(status["tagged"]["commit"], "bbbbbbb");
    assert_eq!(status["running"], json!([{"commits": ["bbbbbbb"], "digest": digest, "tasks": 2}]));
    assert_eq!((status["sync"].as_str(), status["health"].as_str()), (Some("Synced"), Some("Healthy")));
    assert_eq!(status["lastDeployment"]["phase"], "Succeeded");
    assert_eq!(status["lastDeployment"]["startedBy"], "trueup");
    assert_eq!(rig.deployments(), 2);
    let settled = rig.writes();
    rig.expect(&["reconcile"], 0);
    assert_eq!(rig.writes(), settled, "a settled service is not written to");
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb"], 0);
}

#[test]
fn a_bad_commit_is_rolled_back_held_and_tried_once_more_only_after_retry() {
    let rig = Rig::new();
    let digest = rig.build("bbbbbbb");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 137 });
    rig.declare("bbbbbbb");
    rig.expect(&["reconcile", "--timeout", "120"], 3);
    assert_eq!(rig.deployments(), 2);

    let status = rig.status();
    assert_eq!(status["waiting"]["reason"], "Held");
    assert_eq!(status["running"][0]["commits"], json!(["aaaaaaa"]));
    assert_eq!(status["tagged"]["commit"], Value::Null, "the tag never moved");
    assert_eq!(status["lastDeployment"]["phase"], "RolledBack");
    assert!(status["causes"][0].as_str().unwrap().contains("exited with 137"), "{status:#}");

    rig.expect(&["reconcile"], 3);
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb"], 3);
    assert_eq!(rig.deployments(), 2, "a new process does not try again");

    rig.expect(&["retry", "test/api"], 0);
    rig.expect(&["reconcile", "--timeout", "120"], 3);
    assert_eq!(rig.deployments(), 3, "exactly one more");

    rig.declare("aaaaaaa");
    rig.expect(&["reconcile", "--timeout", "120"], 0);
    assert_eq!(rig.deployments(), 3, "what the revert declares runs already");
}

#[test]
fn a_lost_answer_and_throttling_lead_to_one_deployment() {
    for operation in ["RegisterTaskDefinition", "UpdateService", "PutImage"] {
        let rig = Rig::new();
        rig.build("bbbbbbb");
        rig.declare("bbbbbbb");
        {
            let mut world = rig.world.lock().unwrap();
            world.inject(Fault::LoseAnswer { operation: operation.to_owned() });
            world.inject(Fault::Throttle { operation: operation.to_owned(), times: 1 });
        }
        rig.expect(&["reconcile", "--timeout", "200"], 0);
        assert_eq!(rig.deployments(), 2, "{operation}");
        assert_eq!(rig.status()["tagged"]["commit"], "bbbbbbb", "{operation}");
    }
}

#[test]
fn what_is_wrong_is_said_with_the_right_exit_code() {
    let rig = Rig::new();
    let wrong = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  applications:\n    api: { comit: aaaaaaa }\n";
    rig.write("test.yaml", wrong);
    let output = rig.trueup(&["lint"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("test.yaml:6:12: unknown field `comit`"), "{said}");
    assert!(said.contains("did you mean `commit`?"), "{said}");
    assert_eq!(rig.trueup(&["frobnicate"]).status.code(), Some(1));
    let elsewhere =
        Command::new(env!("CARGO_BIN_EXE_trueup")).args(["lint", "--repo", "/"]).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(1));
}
