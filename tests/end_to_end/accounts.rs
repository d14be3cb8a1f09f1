//! Two accounts in one process: the settings of the operator, STS, and the credentials of the real SDK.

use std::process::Output;

use serde_json::{Value, json};
use trueup_simulator::{Api, Role};

use crate::rig::Rig;

const HUB: &str = "123456789012";
const SPOKE: &str = "210987654321";

/// The rig, with the same service in another account and another region, and an environment `prod` there.
fn rig() -> Rig {
    let rig = Rig::new();
    let spoke = {
        let mut cloud = rig.cloud.lock().unwrap();
        cloud.create_role(Role { external_id: Some("mco".to_owned()), ..Role::new(SPOKE, "trueup", HUB) });
        cloud.world(SPOKE, "us-east-1").unwrap()
    };
    let call = |api, operation: &str, input: Value| {
        spoke.lock().unwrap().call(api, operation, &input).unwrap();
    };
    call(Api::Ecs, "CreateCluster", json!({"clusterName": "mco"}));
    call(Api::Ecr, "CreateRepository", json!({"repositoryName": "mco/api"}));
    rig.build("bbbbbbb");
    for commit in ["aaaaaaa", "bbbbbbb"] {
        let manifest = json!({"schemaVersion": 2, "config": {"digest": commit}, "layers": []}).to_string();
        let image = json!({"repositoryName": "mco/api", "imageManifest": manifest, "imageTag": commit});
        call(Api::Ecr, "PutImage", image);
    }
    let image = format!("{SPOKE}.dkr.ecr.us-east-1.amazonaws.com/mco/api:aaaaaaa");
    let containers = json!([{"name": "api", "image": image, "memory": 512}]);
    call(
        Api::Ecs,
        "RegisterTaskDefinition",
        json!({"family": "mco-api", "containerDefinitions": containers}),
    );
    let service = json!({"cluster": "mco", "serviceName": "mco-api-prod", "taskDefinition": "mco-api", "desiredCount": 1});
    call(Api::Ecs, "CreateService", service);
    rig.cloud.lock().unwrap().advance(60);
    let test = std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap();
    let prod = test.replace("name: test", "name: prod").replace(HUB, SPOKE).replace("eu-west-2", "us-east-1");
    rig.write("prod.yaml", &prod);
    rig.commit("prod");
    rig
}

fn run(rig: &Rig, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        rig.command(arguments).envs(settings.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

const ROLE: (&str, &str) = ("TRUEUP_ACCOUNTS", "210987654321=trueup");
const EXTERNAL_ID: (&str, &str) = ("TRUEUP_EXTERNAL_IDS", "210987654321=mco");

#[test]
fn one_process_deploys_to_two_accounts() {
    let rig = rig();
    for file in ["test.yaml", "prod.yaml"] {
        rig.replace(file, "aaaaaaa", "bbbbbbb");
    }
    let (code, out, err) = run(&rig, &["reconcile"], &[ROLE, EXTERNAL_ID]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    let spoke = rig.cloud.lock().unwrap().world(SPOKE, "us-east-1").unwrap();
    for world in [&rig.world, &spoke] {
        assert_eq!(world.lock().unwrap().calls("UpdateService"), 1);
    }
    let (code, out, _) = run(&rig, &["status"], &[ROLE, EXTERNAL_ID]);
    assert!(code == Some(0) && out.starts_with("2 applications: 2 Healthy\n"), "{out}");
}

#[test]
fn an_account_that_cannot_be_reached_is_named_with_what_mends_it_and_the_other_goes_on() {
    let rig = rig();
    rig.replace("test.yaml", "aaaaaaa", "bbbbbbb");
    for (settings, expected) in [
        (&[][..], "TRUEUP_ACCOUNTS=210987654321=ROLE"),
        (&[ROLE], "arn:aws:iam::210987654321:role/trueup cannot be assumed"),
        (&[ROLE, ("TRUEUP_EXTERNAL_IDS", "210987654321=zebra")], "sts:AssumeRole on resource"),
        (&[("TRUEUP_ACCOUNTS", "210987654321=nobody"), EXTERNAL_ID], "role/nobody cannot be assumed"),
    ] {
        let (code, out, err) = run(&rig, &["plan"], settings);
        assert!(out.contains(expected), "{out}\n{err}");
        assert!(!out.contains("zebra") && !err.contains("zebra"), "{out}\n{err}");
        assert_ne!(code, Some(0));
    }
    let (code, out, err) = run(&rig, &["reconcile"], &[]);
    assert_eq!(code, Some(1), "{out}\n{err}");
    assert_eq!(rig.deployments(), 2, "{out}\n{err}");
}
