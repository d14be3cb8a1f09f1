//! A task that runs once, each command in a process of its own.

use serde_json::json;

use crate::restart::{Controller, until};
use crate::rig::Rig;

const WHOLE: &str = "120";
const DAY: u64 = 86_400;
const MIGRATE: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: migrate}\nspec:\n  repository: mco/api\n  taskDefinition: migrate.json\n  strategy: task\n";
const FILE: &str = r#"{"family": "migrate", "containerDefinitions": [{"name": "migrate", "image": "<IMAGE_NAME>", "memory": 64}]}"#;

#[test]
fn how_a_task_ended_is_said_by_a_person_and_so_is_that_it_runs_once_more() {
    let rig = Rig::bare();
    rig.write("migrate.yaml", MIGRATE);
    rig.write("migrate.json", FILE);
    rig.declare("aaaaaaa");
    rig.replace("test.yaml", "api: ", "migrate: ");
    let runs = || rig.world.lock().unwrap().runs_started();
    let reason = || rig.status()["waiting"]["reason"].clone();
    let settled = ["settle", "test/migrate", "--succeeded", "--reason", "seen in its log"];
    rig.expect(&["settle", "test/migrate", "--succeeded", "--reason", " "], 1);
    // It is started, and nobody looks until AWS has forgotten it.
    let controller = Controller::with(&rig, &[]);
    until("a run", || runs() == 1);
    drop(controller);
    rig.expect(&settled, 1);
    rig.world.lock().unwrap().advance(DAY);
    rig.expect(&["reconcile", "--timeout", "2"], 1);
    assert_eq!(reason(), json!("OutcomeUnknown"));
    // A glob names nobody.
    rig.expect(&["settle", "test/*", "--succeeded", "--reason", "all of them"], 1);
    rig.expect(&settled, 0);
    rig.expect(&["reconcile", "--timeout", WHOLE], 0);
    assert_eq!((reason(), runs()), (json!("Settled"), 1));
    rig.expect(&settled, 1);
    rig.expect(&["run-task", "test/migrate"], 0);
    rig.expect(&["reconcile", "--timeout", WHOLE], 0);
    assert_eq!((reason(), runs()), (json!("Settled"), 2));
}
