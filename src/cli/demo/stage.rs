//! The stage of the demo: a simulated AWS, an infrastructure repository in a temporary folder, and the controller.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use trueup_simulator::{Api, Fault, World, http};

use super::files::{self, ACCOUNT, REGION, TEST};
use crate::aws::Aws;
use crate::cli::source::InfraRepository;
use crate::controller::{Controller, Outcome, SweepResult, Writes, plans};
use crate::git::scratch;
use crate::model::{Declaration, Millis, Region, Status, Target};
use crate::ports::Clock;
use crate::view::screen::{Show, Style};
use crate::view::status::Columns;
use crate::view::{status, words};

/// Simulated seconds per real second.
const SPEED: f64 = 50.0;

/// Virtual seconds after which a scene has not come out as told.
const PATIENCE: u64 = 900;

pub(super) struct Stage {
    world: Arc<Mutex<World>>,
    folder: tempfile::TempDir,
    endpoint: String,
    time: Time,
    pub(super) voice: Voice,
    source: InfraRepository,
    controller: Controller,
    declaration: Option<Declaration>,
    /// The last line about each target.
    told: BTreeMap<Target, String>,
}

/// How the simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// Beside the real one, since the reader's commands come at any moment.
    Passes,
    /// While the controller rests, and only then: a scene comes out the same on a slow machine.
    Rests,
}

/// Whether what happens is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Aloud,
    /// Nor does anybody wait to read it: no real time passes.
    Silent,
}

/// The virtual clock: the windows and deadlines of the controller pass as fast as the simulated deployments.
struct VirtualClock(Arc<Mutex<World>>);

impl Clock for VirtualClock {
    fn now(&self) -> Millis {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner).now();
        Millis::try_from(now).unwrap_or(Millis::MAX).saturating_mul(1000)
    }
}

impl Stage {
    /// With what `files` declares, and commit 3f2c1ab everywhere.
    pub(super) async fn open(time: Time) -> anyhow::Result<Self> {
        let world = Arc::new(Mutex::new(World::new(ACCOUNT, REGION)));
        let folder = tempfile::Builder::new().prefix("trueup-demo-").tempdir()?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let speed = if time == Time::Passes { SPEED } else { 0.0 };
        tokio::spawn(http::serve(listener, Arc::clone(&world), speed));
        scratch::init(folder.path())?;
        files::write(folder.path())?;
        scratch::commit_all(folder.path(), "3f2c1ab in test and staging")?;
        let source = InfraRepository::at(folder.path())?;
        let aws = Aws::simulated(&endpoint, &Region::new(REGION)).await;
        let clock = Arc::new(VirtualClock(Arc::clone(&world)));
        let controller = Controller::new(Box::new(aws), Box::new(source.clone()), clock);
        Ok(Self {
            world,
            folder,
            endpoint,
            time,
            voice: Voice::Aloud,
            source,
            controller,
            declaration: None,
            told: BTreeMap::new(),
        })
    }

    pub(super) fn say(&self, text: &str) {
        if self.voice == Voice::Aloud {
            outln!("{text}");
        }
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn call(&self, api: Api, operation: &str, input: &Value) -> anyhow::Result<Value> {
        let answer = self.with(|world| world.call(api, operation, input));
        answer.map_err(|error| anyhow::anyhow!("{operation}: {}: {}", error.code, error.message))
    }

    /// What CI does: builds the commit and pushes the image under the commit's tag. Its digest.
    pub(super) fn build(&self, application: &str, commit: &str) -> anyhow::Result<String> {
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": format!("{application} {commit}"), "size": 1}, "layers": []});
        let input = json!({"repositoryName": format!("mco/{application}"), "imageManifest": manifest.to_string(), "imageTag": commit});
        let put = self.call(Api::Ecr, "PutImage", &input)?;
        let digest = put.pointer("/image/imageId/imageDigest").and_then(Value::as_str);
        Ok(digest.context("PutImage named no digest")?.to_owned())
    }

    pub(super) fn tag(&self, application: &str, commit: &str, tag: &str) -> anyhow::Result<()> {
        let (ids, repository) = (json!([{"imageTag": commit}]), format!("mco/{application}"));
        let found =
            self.call(Api::Ecr, "BatchGetImage", &json!({"repositoryName": repository, "imageIds": ids}))?;
        let manifest = found.pointer("/images/0/imageManifest").cloned().unwrap_or_default();
        let put = json!({"repositoryName": repository, "imageManifest": manifest, "imageTag": tag});
        self.call(Api::Ecr, "PutImage", &put).map(drop)
    }

    /// Containers of this image exit at once.
    pub(super) fn breaks(&self, digest: String) {
        self.with(|world| world.inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 }));
    }

    /// What a reader would do in an editor: changes the text of a file, and commits it.
    pub(super) fn edit(&self, file: &str, from: &str, to: &str, message: &str) -> anyhow::Result<()> {
        let path = self.folder.path().join(file);
        let text = std::fs::read_to_string(&path)?;
        ensure!(text.contains(from), "{file} does not hold {from}");
        std::fs::write(&path, text.replacen(from, to, 1))?;
        let commit = scratch::commit_all(self.folder.path(), message)?;
        self.say(&format!("$ git commit -am \"{message}\""));
        let [from, to] = [from, to].map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        let short = commit.as_str().get(..7).unwrap_or_default();
        self.say(&format!("[main {short}] {file}: {from} -> {to}"));
        Ok(())
    }

    /// Lets the controller run until the status of a target is as awaited: that status.
    pub(super) async fn until(
        &mut self,
        target: &str,
        what: &str,
        reached: impl Fn(&Status) -> bool,
    ) -> anyhow::Result<Status> {
        let deadline = self.with(|world| world.now()) + PATIENCE;
        while self.with(|world| world.now()) < deadline {
            self.pass().await?;
            let found = self.controller.statuses().find(|status| status.target.to_string() == target);
            if let Some(status) = found.filter(|status| reached(status)) {
                return Ok(status.clone());
            }
            self.rest().await;
        }
        bail!("{target}: {what} did not come about within {PATIENCE} simulated seconds")
    }

    /// `trueup approve`, as a person says it to what waits now.
    pub(super) async fn approve(&mut self, target: &str) -> anyhow::Result<()> {
        self.say(&format!("$ trueup approve {target}"));
        let (_, declaration) = self.source.committed()?;
        let swept = self
            .controller
            .sweep(&declaration, Writes::Withheld, |one: &Target| one.to_string() == target)
            .await;
        let approval = swept.first().and_then(|one| one.plan.approval.clone());
        let steps = approval.with_context(|| format!("{target} waits for nobody"))?.approve;
        ensure!(!steps.is_empty(), "{target} waits for nobody");
        for step in steps {
            self.controller.write_one(&declaration, target, step).await?;
        }
        Ok(())
    }

    /// How many tasks were started that no service keeps running.
    pub(super) fn runs(&self) -> u64 {
        self.with(|world| world.runs_started())
    }

    async fn pass(&mut self) -> anyhow::Result<()> {
        if let Some((_, declaration)) = self.source.changed_since(self.declaration.as_ref())? {
            self.declaration = Some(declaration);
        }
        let Some(declaration) = &self.declaration else { return Ok(()) };
        let due = self.controller.due(declaration);
        let swept = self.controller.sweep(declaration, Writes::Allowed, |target| due.contains(target)).await;
        for one in &swept {
            self.tell(one);
        }
        Ok(())
    }

    /// Prints every write, and where a target stands when that has changed.
    fn tell(&mut self, one: &SweepResult) {
        if let Outcome::Wrote(step) = &one.outcome {
            self.say(&format!("  {:<13} > {}", one.target.to_string(), words::step_line(step)));
        }
        let line = status::progress(&one.plan);
        if one.outcome == Outcome::Nothing && self.told.get(&one.target) != Some(&line) {
            self.say(&format!("  {line}"));
            self.told.insert(one.target.clone(), line);
        }
    }

    /// The rest that the controller asks for, in the demo's time; short, since the reader's commits come any time.
    async fn rest(&self) {
        let rest = self.controller.rest().clamp(Duration::from_secs(1), Duration::from_secs(5));
        if self.voice == Voice::Aloud {
            tokio::time::sleep(rest.div_f64(SPEED)).await;
        }
        if self.time == Time::Rests {
            self.with(|world| world.advance(rest.as_secs()));
        }
    }

    /// What the controller has found to be changed by another hand.
    pub(super) fn print_drift(&self) {
        let mut text = String::new();
        for status in self.controller.statuses() {
            text.push_str(&status::drift(status));
        }
        self.say(&text);
    }

    /// `trueup status`, as it would print it.
    pub(super) async fn print_status(&mut self) -> anyhow::Result<()> {
        let (head, declaration) = self.source.committed()?;
        let swept = self.controller.sweep(&declaration, Writes::Withheld, |_: &Target| true).await;
        let show = Show { style: Style::Plain, now: self.controller.clock().now() };
        let text = status::text(&head, &plans(&swept), Columns::Few, show);
        self.say(&format!("\n$ trueup status\n{}", text.trim_end()));
        Ok(())
    }

    /// The commits whose images the tasks of a service run, asked of the simulated AWS and not of trueup.
    pub(super) fn running(&self, application: &str, environment: &str) -> anyhow::Result<Vec<String>> {
        let service = format!("mco-{application}-{environment}");
        let list = self.call(Api::Ecs, "ListTasks", &json!({"cluster": "mco", "serviceName": service}))?;
        let input = json!({"cluster": "mco", "tasks": list.get("taskArns")});
        let tasks = self.call(Api::Ecs, "DescribeTasks", &input)?;
        let tasks = tasks.get("tasks").and_then(Value::as_array).cloned().unwrap_or_default();
        let digests = tasks.iter().filter_map(|task| task.pointer("/containers/0/imageDigest")?.as_str());
        let mut commits: Vec<String> =
            digests.map(|digest| self.commit_of(application, digest)).collect::<Result<_, _>>()?;
        commits.sort();
        commits.dedup();
        Ok(commits)
    }

    /// The commit that an environment's tag points at.
    pub(super) fn tagged(&self, application: &str, environment: &str) -> anyhow::Result<String> {
        let input =
            json!({"repositoryName": format!("mco/{application}"), "imageIds": [{"imageTag": environment}]});
        let found = self.call(Api::Ecr, "DescribeImages", &input)?;
        let digest = found.pointer("/imageDetails/0/imageDigest").and_then(Value::as_str);
        self.commit_of(application, digest.context("the tag points nowhere")?)
    }

    fn commit_of(&self, application: &str, digest: &str) -> anyhow::Result<String> {
        let input =
            json!({"repositoryName": format!("mco/{application}"), "imageIds": [{"imageDigest": digest}]});
        let found = self.call(Api::Ecr, "DescribeImages", &input)?;
        let tags = found.pointer("/imageDetails/0/imageTags").and_then(Value::as_array).cloned();
        let commit = tags.into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned));
        commit
            .into_iter()
            .find(|tag| tag.len() == 7 && *tag != "staging")
            .context("the image has no commit tag")
    }

    /// How many service deployments a service has seen, that of its creation included; of the one that CodeDeploy deploys how
    /// many that has made.
    pub(super) fn deployments(&self, application: &str, environment: &str) -> anyhow::Result<usize> {
        if application == "shop" {
            let list = self.call(Api::CodeDeploy, "ListDeployments", &json!({}))?;
            return Ok(list.get("deployments").and_then(Value::as_array).map_or(0, Vec::len));
        }
        let service = format!("mco-{application}-{environment}");
        let input = json!({"cluster": "mco", "service": service, "maxResults": 100});
        let list = self.call(Api::Ecs, "ListServiceDeployments", &input)?;
        Ok(list.get("serviceDeployments").and_then(Value::as_array).map_or(0, Vec::len))
    }

    pub(super) fn introduction(&self) -> anyhow::Result<String> {
        let folder = self.folder.path();
        let declared = std::fs::read_to_string(folder.join(TEST))?;
        Ok(format!(
            "trueup demo: a simulated AWS, a git repository in {}, and the real controller.\n\
             ECS cluster mco runs mco-api (rolling) in test and staging, and in test mco-shop (CodeDeploy) and mco-web (a canary by ECS, after\n\
             its migration), all on commit 3f2c1ab. Deployments take their time, {} times faster than real time.\n\n$ cat {TEST}\n{}",
            folder.display(),
            SPEED,
            declared.trim_end()
        ))
    }

    pub(super) fn invitation(&self) -> String {
        let folder = self.folder.path().display();
        let endpoint = &self.endpoint;
        format!(
            "
The controller is running, and tells here what it does. In another terminal:

  cd {folder}
  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={REGION} AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x

  trueup promote test/api --commit 8c1f0aa         # a deployment by ECS; or change the line in {TEST} and commit
  trueup promote test/shop --commit 8c1f0aa        # one by CodeDeploy, with its traffic
  trueup promote test/web --commit 8c1f0aa         # a canary by ECS, which waits for your word:
  trueup approve test/web
  trueup promote test/migrate --commit 8c1f0aa     # a task that runs once, before `web`
  trueup promote test/api --commit bad0bad         # it crashes: rolled back, and held
  trueup status                                    # what is declared, tagged, deployed and running
  trueup promote test/api --commit 8c1f0aa
  aws ecs update-service --cluster mco --service mco-api-test --task-definition mco-api-test:1   # found, and healed
  trueup promote --from test --to staging api      # the same image, no rebuild

The repository: file://{folder}
`trueup demo --script` plays the whole story by itself. Ctrl-C ends it.
"
        )
    }

    pub(super) async fn run_until_stopped(&mut self) {
        for application in ["api", "shop", "web"] {
            let good = self.build(application, "8c1f0aa");
            match good.and_then(|_| self.build(application, "bad0bad")) {
                Ok(digest) => self.breaks(digest),
                Err(error) => tracing::error!("{error:#}"),
            }
        }
        let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            if let Err(error) = self.pass().await {
                tracing::error!(event = "source.broken", "{error:#}");
            }
            tokio::select! {
                () = self.rest() => {}
                _ = &mut stop => return,
            }
        }
    }
}
