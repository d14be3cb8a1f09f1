//! What is read from which text, and what is said about text that cannot be read.

use std::path::Path;

use super::*;
use crate::model::{Declared, Desired, Digest, ImageReference, Severity, Tag, TaskDefinitionSource};

const APPLICATION: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api-{environment}\n";
const ENVIRONMENT: &str = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  cluster: mco\n  applications:\n    api: { commit: 3f2c1ab }\n";

fn files(entries: &[(&str, &str)]) -> Files {
    entries.iter().map(|(path, text)| ((*path).to_owned(), Ok((*text).to_owned()))).collect()
}

fn read_files(entries: &[(&str, &str)]) -> Declaration {
    read(&files(entries), None, &|input| {
        let complaints = crate::aws::check_task_definition(input).into_iter();
        complaints
            .map(|found| ShapeComplaint {
                path: found.path,
                message: found.message,
                wrong_type: found.wrong_type,
            })
            .collect()
    })
}

fn desired(declaration: &Declaration, target: &str) -> Desired {
    let found = declaration.applications.iter().find(|declared| declared.target().to_string() == target);
    match found {
        Some(Declared::Readable(desired)) => (**desired).clone(),
        other => panic!("{target}: {other:?} {:#?}", declaration.findings),
    }
}

/// Findings as `file:line:column message | hint`, and who is frozen.
#[track_caller]
fn check(entries: &[(&str, &str)], findings: &[&str], frozen: &[&str]) {
    let declaration = read_files(entries);
    let said: Vec<String> = declaration
        .findings
        .iter()
        .map(|finding| {
            let at = &finding.position;
            let hint = finding.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
            format!("{}:{}:{} {}{hint}", at.file, at.line, at.column, finding.message)
        })
        .collect();
    assert_eq!(said, findings);
    let names: Vec<String> = declaration
        .applications
        .iter()
        .filter(|declared| matches!(declared, Declared::Frozen(_)))
        .map(|declared| declared.target().to_string())
        .collect();
    assert_eq!(names, frozen);
}

#[test]
fn the_smallest_repository_is_an_application_and_an_environment() {
    let api = desired(&read_files(&[("api.yaml", APPLICATION), ("test.yaml", ENVIRONMENT)]), "test/api");
    assert_eq!((api.service.as_str(), api.environment_tag.as_str()), ("mco-api-test", "test"));
    assert_eq!(api.images[0].commit_tag.as_str(), "3f2c1ab");
    assert_eq!(api.task_definition, TaskDefinitionSource::Service);
    assert_eq!((api.declared_at.line, api.declared_at.column), (7, 5));
}

#[test]
fn a_commit_is_text_whatever_it_looks_like() {
    for commit in ["1234567", "12345e7", "0123456", "00000000", "1e10000", "'1234567'", "\"12345e7\""] {
        let environment = ENVIRONMENT.replace("3f2c1ab", commit);
        let api = desired(&read_files(&[("api.yaml", APPLICATION), ("test.yaml", &environment)]), "test/api");
        assert_eq!(api.commit().as_str(), commit.trim_matches(['\'', '"']));
    }
}

#[test]
fn a_commit_tag_cuts_and_surrounds_the_commit() {
    for (template, expected) in
        [("{commit:7}", "3f2c1ab"), ("build-{commit:8}-x", "build-3f2c1abc-x"), ("v{commit}", "v3f2c1abcd")]
    {
        let application = format!("{APPLICATION}  commitTag: \"{template}\"\n");
        let environment = ENVIRONMENT.replace("3f2c1ab", "3f2c1abcd");
        let api =
            desired(&read_files(&[("api.yaml", &application), ("test.yaml", &environment)]), "test/api");
        assert_eq!(api.images[0].commit_tag.as_str(), expected);
    }
}

#[test]
fn an_environment_overrides_whole_keys_and_merges_policy() {
    let application = format!("{APPLICATION}  policy: {{drift: heal}}\n");
    let environment = ENVIRONMENT
        .replace("{ commit: 3f2c1ab }", "{ commit: 3f2c1ab, service: other, policy: {onFailure: leave} }")
        .replace("  cluster: mco", "  policy: {drift: ignore, pin: commitTag}\n  cluster: mco");
    let api = desired(&read_files(&[("api.yaml", &application), ("test.yaml", &environment)]), "test/api");
    assert_eq!(api.service.as_str(), "other");
    assert_eq!(api.policy.on_failure, crate::model::OnFailure::Leave);
    assert_eq!(api.policy.drift, crate::model::OnDrift::Ignore);
    assert_eq!(api.policy.pin, crate::model::Pin::CommitTag);
}

#[test]
fn unknown_and_duplicate_keys_and_wrong_words_are_errors_with_a_suggestion() {
    let with = |from: &str, to: &str| ENVIRONMENT.replace(from, to);
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &with("{ commit: 3f2c1ab }", "{ comit: 3f2c1ab }"))],
        &[
            "test.yaml:7:10 `commit` is missing | such as commit: 3f2c1ab",
            "test.yaml:7:12 unknown field `comit` | did you mean `commit`?",
        ],
        &["test/api"],
    );
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &with("3f2c1ab }", "3f2c1ab, commit: 3f2c1ab }"))],
        &["test.yaml:7:29 duplicate key `commit` | remove one of them"],
        &[],
    );
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &with("  cluster: mco", "  policy: {drift: hael}"))],
        &["test.yaml:5:19 `hael` is none of alert, heal, ignore | did you mean `heal`?"],
        &["test/api"],
    );
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &with("    api:", "    apu:"))],
        &["test.yaml:7:5 no application is named `apu` | did you mean `api`?"],
        &["test/apu"],
    );
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &with("3f2c1ab", "main"))],
        &["test.yaml:7:20 `main` is no commit | 7 to 40 hexadecimal digits"],
        &["test/api"],
    );
}

#[test]
fn anchors_aliases_and_merge_keys_are_refused() {
    for line in ["  cluster: &a mco", "  cluster: *a", "  <<: {cluster: mco}", "  cluster: !!str mco"] {
        let environment = ENVIRONMENT.replace("  cluster: mco", line);
        let declaration = read_files(&[("api.yaml", APPLICATION), ("test.yaml", &environment)]);
        assert_eq!(declaration.findings.len(), 1, "{line}: {:?}", declaration.findings);
        assert_eq!(declaration.findings[0].position.line, 5);
        assert!(declaration.applications.is_empty());
    }
}

#[test]
fn what_is_not_supported_yet_is_refused_and_freezes_only_its_own() {
    let canary = APPLICATION.replace("{name: api}", "{name: web}").replace("mco-api", "web")
        + "  strategy: {canary: {}}\n";
    let environment = format!("{ENVIRONMENT}    web: {{ commit: 3f2c1ab, environmentTag: web }}\n");
    check(
        &[("api.yaml", APPLICATION), ("web.yaml", &canary), ("test.yaml", &environment)],
        &["web.yaml:7:14 strategy `canary` is not supported yet"],
        &["test/web"],
    );
}

#[test]
fn one_service_or_tag_cannot_belong_to_two() {
    let application = APPLICATION.replace("mco-api-{environment}", "mco-api");
    let staging = ENVIRONMENT.replace("{name: test}", "{name: staging}");
    check(
        &[("api.yaml", &application), ("staging.yaml", &staging), ("test.yaml", ENVIRONMENT)],
        &[
            "staging.yaml:7:5 service mco-api of cluster mco is claimed by staging/api and test/api | one application in one environment owns it",
            "test.yaml:7:5 service mco-api of cluster mco is claimed by staging/api and test/api | one application in one environment owns it",
        ],
        &["staging/api", "test/api"],
    );
    let tagged = staging.replace("  cluster: mco", "  cluster: mco\n  environmentTag: test");
    let declaration =
        read_files(&[("api.yaml", APPLICATION), ("staging.yaml", &tagged), ("test.yaml", ENVIRONMENT)]);
    assert!(
        declaration
            .findings
            .iter()
            .all(|finding| finding.message.starts_with("the environment tag test is claimed"))
    );
    assert_eq!(declaration.findings.len(), 2);
}

const TASK_DEFINITION: &str = r#"{
  "taskDefinition": {
    "family": "mco-api",
    "revision": 4,
    "containerDefinitions": [
      {"name": "api", "image": "<IMAGE_NAME>", "environment": [{"name": "LEVEL", "value": "<LEVEL>"}], "futureField2028": 1}
    ]
  },
  "tags": []
}"#;

#[test]
fn a_pasted_description_becomes_a_registration_and_loses_nothing_else() {
    let application = format!("{APPLICATION}  taskDefinition: taskdef.json\n  values: {{LEVEL: debug}}\n");
    let entries = [
        ("a/api.yaml", application.as_str()),
        ("a/taskdef.json", TASK_DEFINITION),
        ("test.yaml", ENVIRONMENT),
    ];
    let TaskDefinitionSource::File { input, path } =
        desired(&read_files(&entries), "test/api").task_definition
    else {
        panic!("no file")
    };
    assert_eq!(path, "a/taskdef.json");
    assert_eq!(input.get("revision"), None);
    assert_eq!(input.pointer("/containerDefinitions/0/futureField2028"), Some(&Value::from(1)));
    assert_eq!(input.pointer("/containerDefinitions/0/environment/0/value"), Some(&Value::from("debug")));
    let hint = "it is sent to AWS as written";
    check(&entries, &[&format!("a/taskdef.json:6:123 unknown field `futureField2028` | {hint}")], &[]);
}

#[test]
fn what_is_wrong_in_a_task_definition_is_found_in_its_file() {
    let application = format!("{APPLICATION}  taskDefinition: taskdef.json\n  containers: [web]\n");
    let wrong = TASK_DEFINITION.replace(
        "\"name\": \"LEVEL\", \"value\": \"<LEVEL>\"",
        "\"name\": \"DB_PASSWORD\", \"value\": \"canary\"",
    );
    let declaration =
        read_files(&[("api.yaml", &application), ("taskdef.json", &wrong), ("test.yaml", ENVIRONMENT)]);
    let said: Vec<(Severity, String)> =
        declaration.findings.iter().map(|finding| (finding.severity, finding.to_string())).collect();
    assert!(
        said.iter()
            .any(|(severity, text)| *severity == Severity::Error
                && text.contains("no container is named `web`"))
    );
    assert!(
        said.iter().any(|(severity, text)| *severity == Severity::Warning
            && text.contains("DB_PASSWORD looks like a secret"))
    );
    assert!(said.iter().all(|(_, text)| !text.contains("canary")), "{said:#?}");
}

#[test]
fn a_missing_file_and_a_path_that_leaves_the_repository_are_errors() {
    for (name, expected) in [
        ("taskdef.json", "api.yaml:7:19 there is no file `taskdef.json`"),
        ("../x.json", "api.yaml:7:19 `../x.json` leaves the repository"),
        ("/etc/passwd", "api.yaml:7:19 `/etc/passwd` leaves the repository"),
    ] {
        let application = format!("{APPLICATION}  taskDefinition: {name}\n");
        check(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)], &[expected], &["test/api"]);
    }
}

#[test]
fn hostile_text_is_refused_within_its_bounds() {
    let deep = format!("apiVersion: trueup.dev/v1\nx: {}", "[".repeat(10_000));
    let many = format!("apiVersion: trueup.dev/v1\nx: [{}]", "1,".repeat(30_000));
    let bomb = "apiVersion: trueup.dev/v1\na: &a [x]\nb: [*a, *a]";
    for text in [
        deep.as_str(),
        many.as_str(),
        bomb,
        "apiVersion: trueup.dev/v1\n\t- {",
        "apiVersion: trueup.dev/v1\n: :",
    ] {
        let declaration = read_files(&[("x.yaml", text)]);
        assert!(declaration.findings.iter().any(|finding| finding.severity == Severity::Error), "{text:.60}");
    }
}

#[test]
fn the_example_has_no_finding() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/infrastructure");
    let names = [
        "applications/worker.yaml",
        "applications/api/application.yaml",
        "applications/api/taskdef.json",
        "environments/test.yaml",
        "environments/staging.yaml",
    ];
    let texts: Vec<String> =
        names.iter().map(|name| std::fs::read_to_string(root.join(name)).unwrap()).collect();
    let entries: Vec<(&str, &str)> = names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
    check(&entries, &[], &[]);
    assert_eq!(read_files(&entries).applications.len(), 4);
}

const DEFINED: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  service: mco-api-{environment}\n  imageDefinitions: imagedefinitions.json\n";

fn definitions(api: &str, proxy: &str) -> String {
    let host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";
    format!(
        "[{{\"name\": \"api\", \"imageUri\": \"{host}/mco/api{api}\"}},\n {{\"name\": \"proxy\", \"imageUri\": \"{host}/mco/proxy{proxy}\"}}]\n"
    )
}

#[test]
fn image_definitions_of_codepipeline_are_read_as_they_are() {
    let undeclared = ENVIRONMENT.replace("commit: 3f2c1ab", "");
    let file = definitions(":3f2c1ab", ":8c1f0aa");
    let declaration =
        read_files(&[("api.yaml", DEFINED), ("test.yaml", &undeclared), ("imagedefinitions.json", &file)]);
    let images = desired(&declaration, "test/api").images;
    let found: Vec<(&str, &str, &str)> = images
        .iter()
        .map(|image| (image.name.as_str(), image.repository.as_str(), image.commit.as_str()))
        .collect();
    assert_eq!(found, [("api", "mco/api", "3f2c1ab"), ("proxy", "mco/proxy", "8c1f0aa")]);
    assert!(images.iter().all(|image| image.stated.is_none()));
}

#[test]
fn a_declared_commit_goes_before_image_definitions_which_must_then_be_the_same_image() {
    let digest = format!("@sha256:{}", "a".repeat(64));
    for (suffix, stated) in [
        (":test", None),
        (":3f2c1ab", None),
        (":other", Some(ImageReference::Tag(Tag::new("other")))),
        (digest.as_str(), Some(ImageReference::Digest(Digest::new(&digest[1..])))),
    ] {
        let file = definitions(suffix, ":test");
        let declaration = read_files(&[
            ("api.yaml", DEFINED),
            ("test.yaml", ENVIRONMENT),
            ("imagedefinitions.json", &file),
        ]);
        assert_eq!(desired(&declaration, "test/api").images[0].stated, stated, "{suffix}");
    }
}

#[test]
fn image_definitions_that_declare_nothing_are_explained() {
    let undeclared = ENVIRONMENT.replace("commit: 3f2c1ab", "");
    let said = |file: &str, finding: &str| {
        let entries =
            [("api.yaml", DEFINED), ("test.yaml", undeclared.as_str()), ("imagedefinitions.json", file)];
        check(&entries, &[finding], &["test/api"]);
    };
    said(
        &definitions(":test", ":3f2c1ab"),
        "imagedefinitions.json:1:30 the tag \"test\" is the environment's own: trueup moves it after a success, so it cannot say what to deploy | declare `commit` for test/api in its environment",
    );
    said(
        &definitions(":latest", ":3f2c1ab"),
        "imagedefinitions.json:1:30 the tag \"latest\" holds no commit by the template \"{commit}\" | declare `commit` for test/api in its environment",
    );
    said(
        "[{\"name\": \"api\", \"imageUri\": \"nginx:1\"}]",
        "imagedefinitions.json:1:30 nginx:1 is no image of ECR; only those can be followed, leave the others out of the list",
    );
    said("{}", "imagedefinitions.json:1:1 expected a list of containers, each with `name` and `imageUri`");
}
