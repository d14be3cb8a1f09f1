//! A simulated account with a fleet in it, served over HTTP, and the git repository that declares the fleet.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trueup_simulator::{Api, Rates, World, http};

const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-west-2";
const FIRST: &str = "aaaaaaa";
/// Services of one environment and cluster: AWS allows 5,000 a cluster, and a file of trueup about 4,000.
const OF_ONE_CLUSTER: u32 = 1000;

pub struct Account {
    world: Arc<Mutex<World>>,
    pub endpoint: String,
    folder: tempfile::TempDir,
    services: u32,
    runtime: tokio::runtime::Runtime,
}

/// Calls by operation: how many came, and how many of them were refused for their rate.
#[derive(Clone, Debug)]
pub struct Counts {
    calls: BTreeMap<String, u64>,
    throttled: BTreeMap<String, u64>,
}

impl Account {
    /// Each service has a cluster of a thousand, a family, a repository and an image of its own, and runs.
    pub fn furnished(services: u32, latency: Duration) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Runtime::new()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let world = World::new(ACCOUNT, REGION).starting_at(UNIX_EPOCH.elapsed()?.as_secs());
        let world = Arc::new(Mutex::new(world));
        let folder = tempfile::Builder::new().prefix("trueup-fleet-").tempdir()?;
        let account = Self { world, endpoint, folder, services, runtime };
        account.make_services()?;
        std::fs::create_dir(account.repository())?;
        account.git(&["init", "-q", "-b", "main"])?;
        account.write_applications()?;
        account.declare_all(FIRST)?;
        // The clock of the world begins to follow the real one when nothing is under way any more.
        account.fill_buckets();
        let served = http::serve_far_away(listener, Arc::clone(&account.world), 1.0, latency);
        account.runtime.spawn(served);
        Ok(account)
    }

    fn make_services(&self) -> anyhow::Result<()> {
        for cluster in 0..self.services.div_ceil(OF_ONE_CLUSTER) {
            self.call(Api::Ecs, "CreateCluster", &json!({"clusterName": environment(cluster)}))?;
        }
        for number in 0..self.services {
            let repository = json!({"repositoryName": repository(number)});
            self.call(Api::Ecr, "CreateRepository", &repository)?;
        }
        self.build_all(FIRST)?;
        let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
        for number in 0..self.services {
            let name = application(number);
            let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{}:{FIRST}", repository(number));
            let containers = json!([{"name": "app", "image": image, "memory": 512}]);
            let definition = json!({"family": name, "containerDefinitions": containers});
            self.call(Api::Ecs, "RegisterTaskDefinition", &definition)?;
            let service = json!({"cluster": environment(number / OF_ONE_CLUSTER), "serviceName": name,
                "taskDefinition": name, "desiredCount": 1, "deploymentConfiguration": breaker});
            self.call(Api::Ecs, "CreateService", &service)?;
            let tagged = json!({"repositoryName": repository(number), "imageManifest": self.manifest(number, FIRST)?,
                "imageTag": environment(number / OF_ONE_CLUSTER)});
            self.call(Api::Ecr, "PutImage", &tagged)?;
        }
        // Their deployments have been over for hours, as those of most services are.
        self.world().advance(2 * 3600);
        Ok(())
    }

    /// Pushes an image of this commit for every service, as fast as it can: AWS has no rates until the buckets are filled.
    pub fn build_all(&self, commit: &str) -> anyhow::Result<()> {
        self.world().set_rates(Rates::Unlimited);
        for number in 0..self.services {
            let image = json!({"repositoryName": repository(number), "imageManifest": self.manifest(number, commit)?,
                "imageTag": commit});
            self.call(Api::Ecr, "PutImage", &image)?;
        }
        Ok(())
    }

    /// Of an image whose configuration, which names its platform, is in the repository.
    fn manifest(&self, number: u32, commit: &str) -> anyhow::Result<String> {
        let author = format!("{} {commit}", application(number));
        let config = json!({"os": "linux", "architecture": "amd64", "author": author}).to_string();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(config.as_bytes())));
        let repository = repository(number);
        let asked = json!({"repositoryName": repository, "layerDigests": [digest]});
        let known = self.call(Api::Ecr, "BatchCheckLayerAvailability", &asked)?;
        if known["layers"][0]["layerAvailability"] != "AVAILABLE" {
            let begun = self.call(Api::Ecr, "InitiateLayerUpload", &json!({"repositoryName": repository}))?;
            let part = json!({"repositoryName": repository, "uploadId": begun["uploadId"], "partFirstByte": 0,
                "partLastByte": config.len() - 1, "layerPartBlob": BASE64_STANDARD.encode(&config)});
            self.call(Api::Ecr, "UploadLayerPart", &part)?;
            let whole = json!({"repositoryName": repository, "uploadId": begun["uploadId"], "layerDigests": [digest]});
            self.call(Api::Ecr, "CompleteLayerUpload", &whole)?;
        }
        let media_type = |kind: &str| format!("application/vnd.oci.image.{kind}.v1+json");
        let config = json!({"mediaType": media_type("config"), "digest": digest, "size": config.len()});
        let manifest =
            json!({"schemaVersion": 2, "mediaType": media_type("manifest"), "config": config, "layers": []});
        Ok(manifest.to_string())
    }

    /// AWS's rates from now on, with full buckets.
    pub fn fill_buckets(&self) {
        self.world().set_rates(Rates::Published);
    }

    pub fn counts(&self) -> Counts {
        let world = self.world();
        Counts { calls: world.all_calls().clone(), throttled: world.all_throttled().clone() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, api: Api, operation: &str, input: &Value) -> anyhow::Result<Value> {
        let answer = self.world().call(api, operation, input);
        answer.map_err(|error| anyhow::anyhow!("{operation}: {}: {}", error.code, error.message))
    }

    pub fn repository(&self) -> PathBuf {
        self.folder.path().join("infrastructure")
    }

    /// A path that is not in the repository.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_applications(&self) -> anyhow::Result<()> {
        let folder = self.repository().join("applications");
        std::fs::create_dir(&folder)?;
        for number in 0..self.services {
            let (name, repository) = (application(number), repository(number));
            let text = format!(
                "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  repository: {repository}\n  service: {name}\n"
            );
            std::fs::write(folder.join(format!("{name}.yaml")), text)?;
        }
        Ok(())
    }

    /// One commit that declares this one for every service; as many as there are may be deployed at once.
    pub fn declare_all(&self, commit: &str) -> anyhow::Result<()> {
        self.declare(commit, "")
    }

    /// The same, and that nothing is written.
    pub fn suspend_all(&self, commit: &str) -> anyhow::Result<()> {
        self.declare(commit, "  suspend: {reason: measured}\n")
    }

    fn declare(&self, commit: &str, more: &str) -> anyhow::Result<()> {
        for cluster in 0..self.services.div_ceil(OF_ONE_CLUSTER) {
            let name = environment(cluster);
            let mut text = format!(
                "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  account: \"{ACCOUNT}\"\n  region: {REGION}\n  cluster: {name}\n  rollout: {{maxInFlight: {OF_ONE_CLUSTER}}}\n{more}  applications:\n"
            );
            let first = cluster * OF_ONE_CLUSTER;
            for number in first..self.services.min(first + OF_ONE_CLUSTER) {
                text.extend(["    ", &application(number), ": { commit: ", commit, " }\n"]);
            }
            std::fs::write(self.repository().join(format!("{name}.yaml")), text)?;
        }
        self.git(&["add", "-A"])?;
        self.git(&["-c", "user.name=fleet", "-c", "user.email=fleet@example.com", "commit", "-qm", commit])
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = Command::new("git").current_dir(self.repository()).args(arguments).status();
        let status = status.context("git does not start")?;
        ensure!(status.success(), "git {arguments:?}: {status}");
        Ok(())
    }
}

fn environment(number: u32) -> String {
    format!("fleet-{number:02}")
}

fn application(number: u32) -> String {
    format!("app-{number:05}")
}

fn repository(number: u32) -> String {
    format!("fleet/{}", application(number))
}

impl Counts {
    pub fn since(&self, before: &Self) -> Self {
        let less = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            now.iter()
                .map(|(name, count)| (name.clone(), count - then.get(name).copied().unwrap_or_default()))
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        Self { calls: less(&self.calls, &before.calls), throttled: less(&self.throttled, &before.throttled) }
    }

    /// How often the operation was called and not refused for its rate.
    pub fn taken(&self, operation: &str) -> u64 {
        let of = |counts: &BTreeMap<String, u64>| counts.get(operation).copied().unwrap_or_default();
        of(&self.calls) - of(&self.throttled)
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
    pub fn all(&self) -> f64 {
        self.calls.values().sum::<u64>() as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
    pub fn refused(&self) -> f64 {
        self.throttled.values().sum::<u64>() as f64
    }
}

/// By operation, the most frequent first.
impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} calls, {} refused", self.all(), self.refused())?;
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (operation, count) in calls {
            write!(formatter, "\n  {count:>8} {operation}")?;
            if let Some(refused) = self.throttled.get(operation) {
                write!(formatter, ", {refused} refused")?;
            }
        }
        Ok(())
    }
}
