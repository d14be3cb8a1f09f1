//! Everything that can be wrong is said in one message: what, where, why and what to do; nothing is written, and the
//! other application goes on.

use serde_json::json;
use trueup_simulator::{Api, Fault};

use crate::rig::Rig;

/// Commit bbbbbbb is built and declared, and this is wrong. Which exit codes `plan` and `reconcile` end with, and what
/// they say.
#[track_caller]
fn check(rig: &Rig, expected: &str) {
    let before = rig.writes();
    let output = rig.trueup(&["reconcile", "--timeout", "1"]);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(1 | 4)), "{:?} {said}", output.status);
    assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    assert_eq!(rig.writes(), before, "something was written");
}

fn promoted() -> Rig {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    rig
}

#[test]
fn a_broken_file_is_said_with_its_place_and_a_hint() {
    let rig = Rig::new();
    let wrong = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  applications:\n    api: { comit: aaaaaaa }\n";
    rig.write("test.yaml", wrong);
    let output = rig.trueup(&["lint"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("test.yaml:6:12: unknown field `comit`"), "{said}");
    assert!(said.contains("did you mean `commit`?"), "{said}");
    rig.commit("broken");
    let said = String::from_utf8_lossy(&rig.trueup(&["retry", "test/api"]).stderr).into_owned();
    assert!(said.contains("test/api is frozen: its files have errors"), "{said}");
}

/// The form is another, and the place is that from the root of the repository; what `lint` ends with is the same.
#[test]
fn programs_read_the_findings_of_lint_in_their_own_forms() {
    let rig = Rig::new();
    let broken = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repositry: 50%, mco/api\n";
    std::fs::create_dir(rig.folder.path().join("infra")).unwrap();
    rig.write("infra/api.yaml", broken);
    let run = |form: &str, code| rig.expect(&["lint", "--path", "infra", "-o", form], code);
    let command = "::error file=infra/api.yaml,line=5,col=3,title=spec.repositry::unknown field `repositry`%0Ahint: did you mean `repository`?\n";
    assert!(run("github", 1).contains(command), "{}", run("github", 1));
    let sarif: serde_json::Value = serde_json::from_str(&run("sarif", 1)).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let found = results
        .iter()
        .find(|result| result["message"]["text"] == "unknown field `repositry` (spec.repositry)");
    let place = &found.unwrap()["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "infra/api.yaml");
    assert_eq!(place["region"], json!({"startLine": 5, "startColumn": 3}));
    let data: serde_json::Value = serde_json::from_str(&run("json", 1)).unwrap();
    let found = data["findings"].as_array().unwrap().iter().find(|one| one["field"] == "spec.repositry");
    assert_eq!(found.unwrap()["file"], "api.yaml");
    rig.write("infra/api.yaml", crate::rig::APPLICATION);
    assert_eq!(run("github", 0), "");
    assert_eq!(run("json", 0), "{\n  \"applications\": 0,\n  \"findings\": []\n}\n");
    assert!(run("sarif", 0).contains("\"results\": []"));
}

#[test]
fn a_wrong_call_ends_with_one() {
    let rig = Rig::new();
    assert_eq!(rig.trueup(&["frobnicate"]).status.code(), Some(1));
    let elsewhere =
        std::process::Command::new(env!("CARGO_BIN_EXE_trueup")).args(["lint", "--repo", "/"]).output();
    assert_eq!(elsewhere.unwrap().status.code(), Some(1));
    for command in ["plan", "status", "reconcile", "render"] {
        let said = rig.trueup(&[command, "tset/api"]);
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(
            text.contains("no application tset/api is declared\n  hint  did you mean test/api?"),
            "{text}"
        );
        assert_eq!(said.status.code(), Some(1), "{command}");
    }
    assert!(!rig.trueup(&["status", "--format", "markdown"]).status.success());
    let said = rig.trueup(&["status", "--branch", "nothing"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("no branch nothing"));
    assert_eq!(said.status.code(), Some(1));
}

#[test]
fn a_missing_cluster_or_service_is_named() {
    let rig = promoted();
    rig.replace("test.yaml", "cluster: mco", "cluster: elsewhere");
    check(&rig, "no service mco-api-test in cluster elsewhere");
    let rig = promoted();
    rig.replace("api.yaml", "mco-api-{environment}", "mco-web-{environment}");
    check(&rig, "no service mco-web-test in cluster mco");
}

#[test]
fn a_missing_repository_or_image_is_named_with_its_tag() {
    let rig = promoted();
    rig.replace("api.yaml", "mco/api", "mco/web");
    check(&rig, "no ECR repository mco/web");
    let rig = Rig::new();
    rig.declare("ccccccc");
    check(&rig, "waiting for image mco/api:ccccccc");
}

#[test]
fn another_account_than_the_declared_one_is_never_written_to() {
    let rig = promoted();
    rig.replace("test.yaml", "123456789012", "210987654321");
    check(&rig, "the credentials belong to account 123456789012, 210987654321 is declared");
}

#[test]
fn an_account_that_the_operator_does_not_allow_is_refused() {
    let rig = promoted();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.yaml");
    std::fs::write(&settings, "allow: {accounts: [\"210987654321\"]}\n").unwrap();
    let settings = settings.display().to_string();
    let output = rig.trueup(&["reconcile", "--timeout", "1", "--config", &settings]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("this repository may not use the account 123456789012"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[test]
fn an_expired_token_and_a_missing_right_are_said_as_such() {
    let rig = promoted();
    rig.world.lock().unwrap().inject(Fault::ExpiredToken { times: 1000 });
    check(&rig, "the AWS credentials have expired");
    let rig = promoted();
    rig.world.lock().unwrap().inject(Fault::Deny { operation: "DescribeServices".to_owned(), times: 1000 });
    check(&rig, "AccessDeniedException");
}

#[test]
fn a_plan_that_cannot_tell_ends_with_an_error() {
    let rig = promoted();
    rig.expect(&["plan"], 2);
    rig.world.lock().unwrap().inject(Fault::Deny { operation: "DescribeServices".to_owned(), times: 1000 });
    assert!(rig.expect(&["plan"], 1).contains("cannot read"));
    let rig = promoted();
    rig.replace("test.yaml", "123456789012", "210987654321");
    assert!(rig.expect(&["plan"], 1).contains("stuck: the credentials belong to account 123456789012"));
}

#[test]
fn a_checkout_that_is_too_shallow_is_said_as_such() {
    let rig = promoted();
    rig.expect(&["reconcile", "--timeout", "60"], 0);
    rig.build("ccccccc");
    rig.declare("ccccccc");
    let url = format!("file://{}", rig.folder.path().display());
    let shallow = tempfile::tempdir().unwrap();
    rig.git(&["clone", "-q", "--depth=1", &url, shallow.path().to_str().unwrap()]);
    let output = rig.command_on(shallow.path(), &["plan"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot read the history of the infrastructure repository"), "{said}");
    assert!(said.contains("hint       the checkout does not reach back"), "{said}");
    rig.expect(&["plan"], 2);
}

#[test]
fn an_immutable_tag_is_said_before_anything_is_written() {
    let rig = promoted();
    // The tag exists already, and may not move.
    rig.tag("aaaaaaa", "test");
    let immutable = json!({"repositoryName": "mco/api", "imageTagMutability": "IMMUTABLE"});
    rig.call(Api::Ecr, "PutImageTagMutability", &immutable);
    check(&rig, "does not let the tag \"test\" move");
}

#[test]
fn an_unreachable_remote_is_said_without_its_secrets() {
    let rig = Rig::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}/infra");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_trueup"))
        .args(["status", "--repo", &url])
        .env("TRUEUP_TOKEN", "hunter2")
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot fetch {url}")) && !said.contains("hunter2"), "{said}");
    let output = rig.trueup(&["status", "--branch", "main", "--path", "nothing/here"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn what_is_wrong_with_one_application_does_not_touch_the_other() {
    let rig = promoted();
    rig.write("web.yaml", "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: web}\nspec: {repository: mco/api, service: mco-web, environmentTag: web}\n");
    rig.replace(
        "test.yaml",
        "    api: { commit: bbbbbbb }\n",
        "    api: { commit: bbbbbbb }\n    web: { commit: bbbbbbb }\n",
    );
    let output = rig.trueup(&["reconcile", "--timeout", "20"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(rig.status()["running"][0]["commits"], json!(["bbbbbbb"]));
}

/// Nothing of a library's own words, one line, and the command that mends it.
#[test]
fn what_the_settings_of_aws_lack_is_told_with_the_command_that_mends_it() {
    let rig = Rig::new();
    rig.replace("test.yaml", "  region: eu-west-2\n", "");
    let config = "[profile signed-out]\nregion = eu-west-2\nsso_session = mco\nsso_account_id = 1\nsso_role_name = a\n[sso-session mco]\nsso_start_url = https://example.com\nsso_region = eu-west-2\n[profile nowhere]\nregion = eu-west-2\nsource_profile = gone\nrole_arn = arn:aws:iam::1:role/x\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let profile = |name| vec![("AWS_PROFILE", name), ("AWS_CONFIG_FILE", file.path().to_str().unwrap())];
    let region = ("AWS_REGION", "eu-west-2");
    let keys = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")];
    for (settings, what, next) in [
        (vec![region], "there are no AWS credentials", "aws configure"),
        (keys.to_vec(), "no AWS region is set", "set AWS_REGION"),
        (
            profile("signed-out"),
            "nobody is signed in with the AWS profile signed-out",
            "aws sso login --profile signed-out",
        ),
        (
            profile("nowhere"),
            "the AWS profile nowhere is not there, or leads nowhere",
            "aws configure list-profiles",
        ),
        (
            [profile("missing"), vec![region]].concat(),
            "the AWS profile missing is not there, or leads nowhere",
            "aws configure list-profiles",
        ),
    ] {
        let mut command = rig.command(&["status", "test/api"]);
        command
            .env_clear()
            .envs(settings)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", "/nonexistent");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(what) && said.contains(next), "{what}: {said}");
        for internal in ["dispatch failure", "provider", "iam-policy", "Configuration:"] {
            assert!(!said.contains(internal), "{internal} in: {said}");
        }
    }
    let reach = |endpoint: &str| {
        let output = rig.command(&["status", "test/api"]).env("AWS_ENDPOINT_URL", endpoint).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = reach("nonsense");
    assert!(said.contains("endpoint must contain scheme") && !said.contains("Request {"), "{said}");
    // Nobody listens at the port of "discard".
    let said = reach("http://127.0.0.1:9");
    assert!(said.contains("AWS could not be reached: Connection refused"), "{said}");
    assert!(said.contains("next  check the network, HTTPS_PROXY"), "{said}");
    rig.world.lock().unwrap().inject(Fault::ExpiredToken { times: 99 });
    let said = rig.expect(&["status", "test/api"], 0);
    assert!(said.contains("the AWS credentials have expired") && said.contains("aws sso login"), "{said}");
}
