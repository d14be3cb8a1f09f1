//! A simulated AWS over HTTP, an infrastructure repository, and the built binary.

use std::ffi::OsStr;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use trueup_simulator::{Api, Cloud, World, http};

pub const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";
pub const APPLICATION: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api-{environment}\n";

pub struct Rig {
    pub world: Arc<Mutex<World>>,
    /// Which begins with this world.
    pub cloud: Arc<Mutex<Cloud>>,
    pub endpoint: String,
    pub folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Rig {
    /// A cluster with one service that runs commit aaaaaaa, and a repository that declares it.
    pub fn new() -> Self {
        Self::bare().with_service()
    }

    fn with_service(self) -> Self {
        let rig = self;
        let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
        let service = json!({"cluster": "mco", "serviceName": "mco-api-test", "taskDefinition": "mco-api",
            "desiredCount": 2, "deploymentConfiguration": breaker});
        rig.call(Api::Ecs, "CreateService", &service);
        rig.world.lock().unwrap().advance(60);
        rig.write("api.yaml", APPLICATION);
        rig.declare("aaaaaaa");
        rig
    }

    /// The same in an AWS whose clock differs from this machine's by so many seconds.
    pub fn elsewhen(seconds: i64) -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        Self::bare_at(now.saturating_add_signed(seconds)).with_service()
    }

    /// A cluster with a revision of commit aaaaaaa, and an empty repository.
    pub fn bare() -> Self {
        Self::bare_at(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs())
    }

    fn bare_at(now: u64) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World::new("123456789012", "eu-west-2").starting_at(now)));
        let cloud = Arc::new(Mutex::new(Cloud::around(Arc::clone(&world))));
        runtime.spawn(http::serve_cloud(listener, Arc::clone(&cloud), 20.0, Duration::ZERO));
        let rig = Self { world, cloud, endpoint, folder: tempfile::tempdir().unwrap(), _runtime: runtime };
        rig.call(Api::Ecs, "CreateCluster", &json!({"clusterName": "mco"}));
        rig.call(Api::Ecr, "CreateRepository", &json!({"repositoryName": "mco/api"}));
        rig.build("aaaaaaa");
        let containers =
            json!([{"name": "api", "image": format!("{REGISTRY}/mco/api:aaaaaaa"), "memory": 512}]);
        let definition = json!({"family": "mco-api", "containerDefinitions": containers});
        rig.call(Api::Ecs, "RegisterTaskDefinition", &definition);
        rig.git(&["init", "-q", "-b", "main"]);
        rig
    }

    pub fn call(&self, api: Api, operation: &str, input: &Value) -> Value {
        self.world.lock().unwrap().call(api, operation, input).unwrap()
    }

    /// Pushes an image for a commit; its digest.
    pub fn build(&self, commit: &str) -> String {
        let manifest = json!({"schemaVersion": 2, "config": {"digest": commit}, "layers": []}).to_string();
        let input = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": commit});
        let put = self.call(Api::Ecr, "PutImage", &input);
        put["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// AWS's success is believed at once: what these tests are about is how things are wired.
    pub fn declare(&self, commit: &str) {
        let environment = format!(
            "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec:\n  account: \"123456789012\"\n  region: eu-west-2\n  cluster: mco\n  policy: {{steady: 0s}}\n  applications:\n    api: {{ commit: {commit} }}\n"
        );
        self.write("test.yaml", &environment);
        self.commit(commit);
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", message]);
    }

    pub fn git(&self, arguments: &[&str]) {
        let done = Command::new("git").current_dir(self.folder.path()).args(arguments).status().unwrap();
        assert!(done.success());
    }

    pub fn trueup(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_on(self.folder.path(), arguments)
    }

    /// The command on another repository, or another clone of this one.
    pub fn command_on(&self, repository: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(arguments).args(["--repo".as_ref(), repository.as_ref()]).env_clear().envs([
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-west-2"),
            ("HOME", "/nonexistent"),
        ]);
        command
    }

    /// Changes the text of a file, and commits it.
    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap();
        assert!(text.contains(from), "{name} holds no {from}");
        self.write(name, &text.replace(from, to));
        self.commit("change");
    }

    pub fn tag(&self, of: &str, tag: &str) {
        let ids = json!([{"imageTag": of}]);
        let found =
            self.call(Api::Ecr, "BatchGetImage", &json!({"repositoryName": "mco/api", "imageIds": ids}));
        let manifest = &found["images"][0]["imageManifest"];
        let put = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": tag});
        self.call(Api::Ecr, "PutImage", &put);
    }

    #[track_caller]
    pub fn expect(&self, arguments: &[&str], code: i32) -> String {
        let output = self.trueup(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
        out.into_owned()
    }

    pub fn status(&self) -> Value {
        let status: Value = serde_json::from_str(&self.expect(&["status", "-o", "json"], 0)).unwrap();
        status["applications"][0].clone()
    }

    pub fn status_of(&self, target: &str) -> Value {
        let status: Value = serde_json::from_str(&self.expect(&["status", target, "-o", "json"], 0)).unwrap();
        status["applications"][0].clone()
    }

    /// Asks every moment until the status of its deployment says so.
    #[track_caller]
    pub fn until_it_waits(&self, target: &str) -> Value {
        self.until_it_is(target, "a pause", |deployment| deployment["pauses"][0]["id"].is_string())
    }

    #[track_caller]
    pub fn until_it_is(&self, target: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            let status = self.status_of(target);
            if is_so(&status["lastDeployment"]) {
                return status;
            }
            self.world.lock().unwrap().advance(1);
        }
        unreachable!("{target} never came to {what}: {:#}", self.status_of(target));
    }

    /// Service deployments that were ever started: the first one is that of `CreateService`.
    pub fn deployments(&self) -> usize {
        let list = json!({"cluster": "mco", "service": "mco-api-test", "maxResults": 100});
        self.call(Api::Ecs, "ListServiceDeployments", &list)["serviceDeployments"].as_array().unwrap().len()
    }

    pub fn writes(&self) -> u64 {
        let world = self.world.lock().unwrap();
        let writes =
            ["PutImage", "RegisterTaskDefinition", "TagResource", "UpdateService", "CreateDeployment"];
        writes.iter().map(|operation| world.calls(operation)).sum()
    }
}
