//! `trueup import`, and the plan of what it writes.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use trueup_simulator::{Api, Fault};

use crate::rig::{REGISTRY, Rig};

fn import(rig: &Rig, folder: &Path, more: &[&str]) -> Output {
    let mut command = rig.command_on(rig.folder.path(), &[]);
    command.arg("import").arg(folder).args(more).output().unwrap()
}

/// The plan of what was written: the targets, none of which has anything to do.
#[track_caller]
fn check_nothing_to_do(rig: &Rig, folder: &Path) -> Vec<String> {
    let output = rig.command_on(folder, &["plan", "-o", "json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{plan:#}\n{said}");
    let plans = plan["plans"].as_array().unwrap();
    for plan in plans {
        assert_eq!((&plan["steps"], &plan["differences"]), (&json!([]), &json!([])), "{plan:#}");
        assert_eq!(plan["waiting"]["reason"], "Settled", "{plan:#}");
    }
    plans
        .iter()
        .map(|plan| format!("{}/{}", plan["environment"], plan["application"]).replace('"', ""))
        .collect()
}

#[test]
fn what_runs_is_imported_and_the_plan_right_after_it_is_empty() {
    let rig = Rig::new();
    rig.world.lock().unwrap().advance(120);
    let (writes, folder) = (rig.writes(), rig.folder.path().join("new/infrastructure"));
    let output = import(&rig, &folder, &[]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("test/api     aaaaaaa  mco/mco-api-test"), "{out}");
    let test = std::fs::read_to_string(folder.join("environments/test.yaml")).unwrap();
    assert!(test.contains("    api: { commit: aaaaaaa }\n"), "{test}");
    crate::promote::run(&folder, "git", &["init", "-q", "-b", "main"]);
    assert_eq!(check_nothing_to_do(&rig, &folder), ["test/api"]);
    assert_eq!(rig.writes(), writes);
    // What is there already stays as it is.
    let again = import(&rig, &folder, &[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"), "{again:?}");
    assert_eq!(std::fs::read_to_string(folder.join("environments/test.yaml")).unwrap(), test);
}

/// Another service of the cluster, with an image of `mco/api` by this tag.
fn serve(rig: &Rig, service: &str, tag: &str) {
    let secret = json!([{"name": "DB_PASSWORD", "value": "hunter2"}]);
    let image = format!("{REGISTRY}/mco/api:{tag}");
    let containers = json!([{"name": "api", "image": image, "memory": 512, "environment": secret}]);
    let definition = json!({"family": service, "containerDefinitions": containers});
    rig.call(Api::Ecs, "RegisterTaskDefinition", &definition);
    let input =
        json!({"cluster": "mco", "serviceName": service, "taskDefinition": service, "desiredCount": 1});
    rig.call(Api::Ecs, "CreateService", &input);
    rig.world.lock().unwrap().advance(120);
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_folder_with_nothing_but_git_is_filled_and_what_no_tag_names_is_told() {
    let rig = Rig::bare();
    let digest = rig.build("latest");
    for (service, tag) in
        [("mco-api-test", "aaaaaaa"), ("mco-api-prod", "aaaaaaa"), ("mco-job-prod", "latest")]
    {
        serve(&rig, service, tag);
    }
    let folder = rig.folder.path();
    let output = import(&rig, folder, &["--cluster", "mco"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    let prod = read(folder, "environments/prod.yaml");
    assert!(prod.contains("\n    api: { commit: aaaaaaa }\n    # job is not declared yet"), "{prod}");
    assert!(prod.contains(&format!("--image-tag COMMIT --image-digest {digest}")), "{prod}");
    for said in ["prod: by the name of service mco-api-prod, mco-job-prod", "prod/job: written commented out"]
    {
        assert!(out.contains(said), "{out}");
    }
    let files = [&out, &err].map(|text| text.contains("hunter2"));
    assert_eq!(files, [false; 2], "a secret is printed");
    assert_eq!(check_nothing_to_do(&rig, folder), ["prod/api", "test/api"]);
    // The image is tagged as the file says, and the mark taken off.
    rig.tag("latest", "cccccccc");
    let declared = prod.replace("    # job: { commit: COMMIT }", "    job: { commit: cccccccc }");
    rig.write("environments/prod.yaml", &declared);
    assert_eq!(check_nothing_to_do(&rig, folder), ["prod/api", "prod/job", "test/api"]);
}

#[test]
fn what_may_not_be_looked_at_is_told_in_a_line_and_the_rest_is_written() {
    let rig = Rig::bare();
    serve(&rig, "mco-api-test", "aaaaaaa");
    serve(&rig, "mco-web-test", "aaaaaaa");
    let deny = |operation: &str, times| {
        rig.world.lock().unwrap().inject(Fault::Deny { operation: operation.to_owned(), times });
    };
    deny("DescribeTaskDefinition", 1);
    let folder = rig.folder.path().join("one");
    let output = import(&rig, &folder, &["--environment", "live"]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    let told = out.lines().filter(|line| line.contains("service mco-") && line.contains("not allowed"));
    assert_eq!(told.count(), 1, "{out}");
    let live = read(&folder, "environments/live.yaml");
    assert_eq!(live.lines().filter(|line| line.contains("commit: aaaaaaa")).count(), 1, "{live}");

    // Where nothing can be read nothing is written, and nothing half done stays behind.
    deny("ListClusters", 1);
    let folder = rig.folder.path().join("two");
    let output = import(&rig, &folder, &[]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("name them with --cluster"), "{out}");
    let names = std::fs::read_dir(rig.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, [".git", "one"]);
}

#[test]
fn what_trueup_deploys_already_is_left_to_its_own_repository() {
    let rig = Rig::new();
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    rig.expect(&["reconcile"], 0);
    rig.world.lock().unwrap().advance(120);
    let folder = rig.folder.path().join("again");
    let output = import(&rig, &folder, &[]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("trueup has deployed it before, as test/api"), "{out}");
    let output = import(&rig, &folder, &["--known"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    crate::promote::run(&folder, "git", &["init", "-q", "-b", "main"]);
    assert_eq!(check_nothing_to_do(&rig, &folder), ["test/api"]);
}

fn action(name: &str, category: &str, provider: &str, configuration: &Value) -> Value {
    json!({"name": name, "configuration": configuration,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"}})
}

/// A pipeline that starts from an image, and has these stages then.
fn pipeline(rig: &Rig, name: &str, stages: &[(&str, Vec<Value>)]) {
    let source = json!({"RepositoryName": "mco/api", "ImageTag": "test", "OAuthToken": "hunter2"});
    let mut all = vec![json!({"name": "Source", "actions": [action("Image", "Source", "ECR", &source)]})];
    all.extend(stages.iter().map(|(name, actions)| json!({"name": name, "actions": actions})));
    let declaration = json!({"name": name, "roleArn": "arn:aws:iam::123456789012:role/pipeline", "stages": all,
        "artifactStore": {"type": "S3", "location": "artifacts"}});
    rig.call(Api::CodePipeline, "CreatePipeline", &json!({"pipeline": declaration}));
}

#[test]
fn what_a_pipeline_deploys_is_imported_with_what_stands_behind_it() {
    let rig = Rig::bare();
    for service in ["mco-api", "mco-web-prod", "mco-job-test"] {
        serve(&rig, service, "aaaaaaa");
    }
    let ecs = |name: &str, service: &str| {
        action(name, "Deploy", "ECS", &json!({"ClusterName": "mco", "ServiceName": service}))
    };
    let stacks = action("Stack", "Deploy", "CloudFormation", &json!({"StackName": "mco"}));
    let approval = action("Ask", "Approval", "Manual", &json!({"CustomData": "look at\nthe board"}));
    let build = action("Build", "Build", "CodeBuild", &json!({"ProjectName": "api"}));
    pipeline(
        &rig,
        "mco",
        &[
            ("Build", vec![build]),
            ("DeployToTest", vec![ecs("Api", "mco-api"), ecs("Gone", "mco-gone"), stacks]),
            ("Prod", vec![approval, ecs("Web", "mco-web-prod")]),
        ],
    );
    std::fs::create_dir(rig.folder.path().join("checkout")).unwrap();
    let images = json!([{"name": "api", "imageUri": "x"}, {"name": "other", "imageUri": "y"}]).to_string();
    rig.write("checkout/imagedefinitions.json", &images);
    let (writes, folder) = (rig.writes(), rig.folder.path().join("new"));
    let files = rig.folder.path().join("checkout");
    let more =
        ["--from-codepipeline", "mco", "--from-codepipeline", "none", "--files", files.to_str().unwrap()];
    let output = import(&rig, &folder, &more);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert_eq!(rig.writes(), writes);
    for said in [
        "test: by the pipeline that deploys service mco-api\n",
        "prod: by the name of service mco-web-prod\n",
        "pipeline mco: stage DeployToTest, action Stack: Deploy by CloudFormation is not read",
        "service mco-gone of cluster mco of account 123456789012 in eu-west-2: not found: there is none",
        "pipeline none: there is none of this name",
        "the file of the pipeline names container other, which the live task definition has not",
    ] {
        assert!(out.contains(said), "{said} is not in {out}");
    }
    assert!(!out.contains("mco-job-test") && !out.contains("hunter2"), "{out}");
    let api = read(&folder, "applications/api.yaml");
    let behind = "# test: CodePipeline mco deploys it in stage DeployToTest, by imagedefinitions.json.\n\
        # test: stage Source, action Image: it starts when mco/api:test is pushed; here the commit that an environment runs stands in git.\n\
        # test: stage Build, action Build: CodeBuild project api goes on; it has to tag each image with its commit.\n";
    assert!(api.contains(behind), "{api}");
    let web = read(&folder, "applications/web.yaml");
    assert!(web.contains("# prod: stage Prod, action Ask: somebody approves (look at"), "{web}");
    crate::promote::run(&folder, "git", &["init", "-q", "-b", "main"]);
    assert_eq!(check_nothing_to_do(&rig, &folder), ["prod/web", "test/api"]);
}

#[test]
fn the_appspec_of_a_pipeline_comes_along_unchanged() {
    let rig = Rig::seed(&json!({}));
    rig.world.lock().unwrap().advance(60);
    let names = json!({"ApplicationName": "API", "DeploymentGroupName": "API-test", "Image1ContainerName": "IMAGE_NAME",
        "TaskDefinitionTemplatePath": "taskdef.json", "AppSpecTemplatePath": "appspec.json"});
    let gone = json!({"ApplicationName": "API", "DeploymentGroupName": "API-gone"});
    let deploys = vec![
        action("Api", "Deploy", "CodeDeployToECS", &names),
        action("Gone", "Deploy", "CodeDeployToECS", &gone),
    ];
    pipeline(&rig, "api", &[("Deploy", deploys)]);
    let (folder, files) =
        (rig.folder.path().join("new"), rig.folder.path().join("infrastructure/applications/api"));
    let with_files = ["--from-codepipeline", "api", "--files", files.to_str().unwrap()];
    let output = import(&rig, &folder, &with_files);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("no deployment group API-gone in application API of CodeDeploy"), "{out}");
    let api = read(&folder, "applications/api.yaml");
    assert!(api.contains("      appSpec: api.appspec.json\n"), "{api}");
    assert!(api.contains("write `taskDefinition: taskdef.json`"), "{api}");
    let spec = std::fs::read_to_string(files.join("appspec.json")).unwrap();
    assert_eq!(read(&folder, "applications/api.appspec.json"), spec);
    crate::promote::run(&folder, "git", &["init", "-q", "-b", "main"]);
    assert_eq!(check_nothing_to_do(&rig, &folder), ["test/api"]);
    // Without the checkout nothing is said of its files, and the plan is empty all the same.
    let folder = rig.folder.path().join("other");
    let output = import(&rig, &folder, &["--from-codepipeline", "api"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!read(&folder, "applications/api.yaml").contains("appSpec"));
    crate::promote::run(&folder, "git", &["init", "-q", "-b", "main"]);
    assert_eq!(check_nothing_to_do(&rig, &folder), ["test/api"]);
}

#[test]
fn no_file_outside_of_the_checkout_is_read() {
    let rig = Rig::seed(&json!({}));
    rig.world.lock().unwrap().advance(60);
    let names = json!({"ApplicationName": "API", "DeploymentGroupName": "API-test",
        "TaskDefinitionTemplatePath": "/etc/hostname", "AppSpecTemplatePath": "../secret.yaml"});
    pipeline(&rig, "api", &[("Deploy", vec![action("Api", "Deploy", "CodeDeployToECS", &names)])]);
    std::fs::create_dir(rig.folder.path().join("checkout")).unwrap();
    rig.write("secret.yaml", "hunter2");
    let (folder, files) = (rig.folder.path().join("new"), rig.folder.path().join("checkout"));
    let output = import(&rig, &folder, &["--from-codepipeline", "api", "--files", files.to_str().unwrap()]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    assert_eq!(out.matches(" leads out of ").count(), 2, "{out}");
    assert!(!read(&folder, "applications/api.yaml").contains("appSpec:"));
}
