//! `trueup run`, killed without warning at moments that matter, and started again.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::Rig;

/// Real time after which a step has not come about. A test that passes takes a fraction of it.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often it is looked whether it has. No outcome depends on it.
const LOOK: Duration = Duration::from_millis(5);

/// A running controller; it is killed when it goes out of scope.
pub struct Controller(pub Child);

impl Controller {
    fn start(rig: &Rig) -> Self {
        Self::with(rig, &[])
    }

    /// With these variables beside those of the rig.
    pub fn with(rig: &Rig, variables: &[(&str, &str)]) -> Self {
        let mut command: Command = rig.command(&["run"]);
        command.envs(variables.iter().copied());
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Asks it to end, which it does after what it has begun.
    pub fn stop(mut self) -> Option<i32> {
        let process = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let start = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < PATIENCE, "it does not stop");
            std::thread::park_timeout(LOOK);
        }
        self.0.wait().unwrap().code()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a state of the simulated AWS; its own clock runs on.
#[track_caller]
pub fn until(what: &str, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        std::thread::park_timeout(LOOK);
    }
}

#[test]
fn a_controller_that_is_killed_after_each_write_ends_where_one_that_lives_does() {
    let rig = Rig::new();
    let digest = rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    for operation in ["RegisterTaskDefinition", "UpdateService", "TagResource", "PutImage"] {
        let calls = || rig.world.lock().unwrap().calls(operation);
        let before = calls();
        let controller = Controller::start(&rig);
        until(operation, || calls() > before);
        drop(controller);
    }
    rig.expect(&["reconcile", "--timeout", "120"], 0);
    assert_eq!(rig.deployments(), 2, "one for its creation, one for the promotion");
    assert_eq!(
        rig.status()["running"],
        json!([{"commits": ["bbbbbbb"], "commitsFrom": "Registry", "digest": digest, "tasks": 2, "draining": 0, "production": null}])
    );
}

#[expect(clippy::print_stdout, reason = "a measurement is read by people")]
fn print_measured(took: Duration) {
    println!("from the commit to the first write: {} ms", took.as_millis());
}

#[test]
fn a_commit_is_acted_on_at_once_and_a_stop_is_heeded() {
    let rig = Rig::new();
    let controller = Controller::start(&rig);
    until("the first look", || rig.world.lock().unwrap().calls("DescribeServices") > 0);
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    let committed = Instant::now();
    until("the registration", || rig.world.lock().unwrap().calls("RegisterTaskDefinition") > 1);
    print_measured(committed.elapsed());
    assert_eq!(controller.stop(), Some(0));
}
