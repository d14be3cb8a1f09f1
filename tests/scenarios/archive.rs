//! A folder of what earlier processes read: it saves calls, and nothing else is any different.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use trueup::archive::{Archive, Kind};
use trueup::aws::{self, Caller};
use trueup::controller::{Controller, Writes};
use trueup::ports::{Place, Ports, Reach};
use trueup_simulator::{Api, Fault};

use crate::faults::retry;
use crate::process::{Process, WorldClock};
use crate::stage::{Breaker, Stage, TICK};

/// Longer than the index of tags lags behind in the simulated AWS, in seconds.
const LAG: u64 = 12;

/// Reaches the world with what earlier processes have kept.
pub struct WithArchive {
    pub process: Process,
    pub archive: Archive,
}

impl Reach for WithArchive {
    fn ports(&self, _place: &Place) -> Ports {
        let caller: Arc<dyn Caller> = Arc::new(self.process.clone());
        aws::ports(&caller, &self.archive)
    }
}

/// A process that has just started, with an archive in this folder.
struct Start {
    process: Process,
    controller: Controller,
}

impl Start {
    fn new(stage: &Stage, archive: Archive) -> Self {
        let world = stage.account.shared();
        let process = Process::new(&world, [].into(), None);
        let reach = Box::new(WithArchive { process: process.clone(), archive });
        let history = Box::new(stage.commits.clone());
        Self { controller: Controller::new(reach, history, Arc::new(WorldClock(world))), process }
    }

    fn beside(stage: &Stage, folder: &Path) -> Self {
        Self::new(stage, Archive::open(folder, "simulated"))
    }

    /// What it says after its first look.
    async fn look(&mut self, stage: &Stage) -> Vec<String> {
        self.controller.sweep(&stage.declaration, Writes::Withheld, |_| true).await;
        self.controller.statuses().map(|status| format!("{status:#?}")).collect()
    }

    fn calls(&self, operation: &str) -> usize {
        self.process.calls().iter().filter(|call| *call == operation).count()
    }
}

/// A commit is promoted that crashes; then another try is asked for, which ends well; each at its own time.
async fn eventful(mut see: impl AsyncFnMut(&Stage)) {
    let mut stage = Stage::new(Breaker::On);
    let digest = stage.build("bbbbbbb");
    stage.inject(Fault::Crash { digest, exit_code: 1, after_seconds: 0 });
    let mut running = stage.process([].into());
    running.run(&stage, 60).await;
    stage.declare("bbbbbbb");
    for second in (0..900).step_by(usize::try_from(TICK).unwrap()) {
        if second == 600 {
            stage.heal();
            retry(&stage).await;
        }
        running.pass(&stage).await;
        see(&stage).await;
        stage.advance(TICK);
    }
    assert_eq!(stage.digest("test"), stage.digest("bbbbbbb"), "the second try ended well");
}

#[tokio::test]
async fn whenever_the_folder_was_written_the_same_is_said_as_without_one() {
    let mut folders: Vec<TempDir> = Vec::new();
    let (mut writes, mut rests_since) = (0, 0);
    let (mut looks, mut compared, mut saved) = (0, 0, 0);
    eventful(async |stage| {
        if stage.writes() != writes {
            (writes, rests_since) = (stage.writes(), stage.now());
        }
        looks += 1;
        if looks % 25 == 0 {
            let folder = tempfile::tempdir().unwrap();
            Start::beside(stage, folder.path()).look(stage).await;
            folders.push(folder);
        }
        if looks % 20 != 0 || stage.now() < rests_since + LAG {
            return;
        }
        let mut without = Start::new(stage, Archive::default());
        let expected = without.look(stage).await;
        for folder in &folders {
            // It stays as it was written then.
            let copy = tempfile::tempdir().unwrap();
            copy_all(&folder.path().join("aws"), &copy.path().join("aws"));
            let mut with = Start::beside(stage, copy.path());
            assert_eq!(with.look(stage).await, expected);
            compared += 1;
            saved += without.process.calls().len().saturating_sub(with.process.calls().len());
        }
    })
    .await;
    assert!(compared > 100 && saved > compared, "{compared} {saved}");
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn who_starts_with_the_folder_of_another_process_describes_nothing_that_never_changes() {
    let mut stage = Stage::new(Breaker::On);
    drop(stage.account.shared());
    stage.build("bbbbbbb");
    stage.declare("bbbbbbb");
    stage.process([].into()).run(&stage, 300).await;
    let folder = tempfile::tempdir().unwrap();
    let mut first = Start::beside(&stage, folder.path());
    let said = first.look(&stage).await;
    let mut second = Start::beside(&stage, folder.path());
    assert_eq!(second.look(&stage).await, said);
    for operation in ["DescribeTaskDefinition", "DescribeServiceDeployments", "DescribeServiceRevisions"] {
        assert!(first.calls(operation) > 0, "{operation}");
        assert_eq!(second.calls(operation), 0, "{operation}");
    }
}

/// Whoever can write into the folder writes another body there, with a good checksum, for every revision: for the one that runs, and
/// for one that another hand has registered since, which the next is made from.
#[tokio::test]
async fn nothing_that_is_written_rests_on_the_folder() {
    let registered = async |poisoned: bool| {
        let mut stage = Stage::new(Breaker::On);
        stage.application.push_str("  taskDefinition: {from: family, family: mco-api}\n");
        drop(stage.account.shared());
        stage.register("aaaaaaa");
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path(), "simulated");
        for revision in 1..=2 {
            let arn = format!("arn:aws:ecs:eu-west-2:123456789012:task-definition/mco-api:{revision}");
            let asked = json!({"taskDefinition": arn, "include": ["TAGS"]});
            let mut body = stage.call(Api::Ecs, "DescribeTaskDefinition", &asked);
            if poisoned {
                body["taskDefinition"]["containerDefinitions"][0]["command"] = json!(["steal"]);
                body["taskDefinition"]["taskRoleArn"] = json!("arn:aws:iam::123456789012:role/admin");
            }
            archive.keep(Kind::TaskDefinition, &arn, body).await;
        }
        stage.build("bbbbbbb");
        stage.declare("bbbbbbb");
        let mut start = Start::new(&stage, archive);
        // It stands by at first: what it only looks at comes from the folder.
        start.look(&stage).await;
        for _ in 0..60 {
            start.controller.sweep(&stage.declaration, Writes::Allowed, |_| true).await;
            stage.advance(TICK);
        }
        assert_eq!(stage.revisions(), 3);
        let answer = stage.call(Api::Ecs, "DescribeTaskDefinition", &json!({"taskDefinition": "mco-api:3"}));
        let body = &answer["taskDefinition"];
        [&body["containerDefinitions"], &body["taskRoleArn"]].map(Value::to_string)
    };
    assert_eq!(registered(true).await, registered(false).await);
}
