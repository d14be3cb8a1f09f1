//! `rollback`: from what AWS and our stamps tell, to a change of the repository.

use serde_json::json;
use trueup_simulator::{Api, Fault};

use crate::rig::Rig;

#[track_caller]
fn refused(rig: &Rig, arguments: &[&str], code: i32, expected: &str) {
    let before = std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap();
    let output = rig.trueup(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(expected), "{said}");
    assert_eq!(std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap(), before);
    rig.git(&["diff", "--exit-code", "--quiet", "HEAD"]);
}

#[test]
fn a_commit_that_is_bad_after_all_is_left_for_the_one_before_it() {
    let rig = Rig::new();
    refused(&rig, &["rollback", "test/api"], 1, "is the only commit that ended well here");
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    rig.expect(&["reconcile"], 0);
    let plan = rig.expect(&["rollback", "test/api"], 0);
    assert!(plan.contains("bbbbbbb -> aaaaaaa") && plan.contains("deploy "), "{plan}");
    let declared = std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap();
    assert!(declared.contains("api: { commit: \"aaaaaaa\" }"), "{declared}");
    rig.expect(&["reconcile"], 0);
    assert_eq!(rig.status()["running"][0]["commits"][0], "aaaaaaa");
    // Once more it is the other way round.
    rig.expect(&["rollback", "test/api"], 0);
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb", "--timeout", "1"], 4);
    rig.expect(&["reconcile"], 0);
    rig.expect(&["wait", "test/api", "--commit", "bbbbbbb"], 0);
}

#[test]
fn only_what_ended_well_here_and_is_there_is_gone_back_to() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    rig.expect(&["reconcile"], 0);
    let digest = rig.build("ccccccc");
    rig.world.lock().unwrap().inject(Fault::Crash { digest, exit_code: 137, after_seconds: 0 });
    rig.build("ddddddd");
    rig.declare("ccccccc");
    rig.expect(&["reconcile"], 3);
    refused(&rig, &["rollback", "test/api", "--to", "ccccccc"], 3, "failed here");
    refused(&rig, &["rollback", "test/api", "--to", "ddddddd"], 1, "these did: bbbbbbb, aaaaaaa");
    // What failed was undone by AWS: nothing is left to be deployed.
    let plan = rig.expect(&["rollback", "test/api"], 0);
    assert!(plan.contains("record trueup:applied on ") && !plan.contains("deploy"), "{plan}");
    rig.expect(&["reconcile"], 0);
    rig.expect(&["status", "--exit-code"], 0);
    let image = json!({"repositoryName": "mco/api", "imageIds": [{"imageTag": "aaaaaaa"}]});
    rig.call(Api::Ecr, "BatchDeleteImage", &image);
    refused(&rig, &["rollback", "test/api", "--to", "aaaaaaa"], 1, "cannot be deployed now");
    rig.expect(&["rollback", "test/api", "--to", "ddddddd", "--force"], 0);
    rig.expect(&["reconcile"], 0);
    assert_eq!(rig.status()["running"][0]["commits"][0], "ddddddd");
    rig.world
        .lock()
        .unwrap()
        .inject(Fault::Deny { operation: "ListServiceDeployments".to_owned(), times: 99 });
    refused(&rig, &["rollback", "test/api"], 1, "--to COMMIT --force goes back without asking");
}
