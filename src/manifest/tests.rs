//! What is read from which text, and what is said about text that cannot be read.

use std::path::Path;

use super::*;
use crate::model::{
    CodeDeploy, Declared, Desired, Digest, ImageReference, Severity, Strategy, Tag, TaskDefinitionSource,
};

const APPLICATION: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api-{environment}\n";
const ENVIRONMENT: &str = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  cluster: mco\n  applications:\n    api: { commit: 3f2c1ab }\n";

fn files(entries: &[(&str, &str)]) -> Files {
    entries.iter().map(|(path, text)| ((*path).to_owned(), Ok((*text).to_owned()))).collect()
}

fn read_files(entries: &[(&str, &str)]) -> Declaration {
    read(&files(entries), None, &crate::aws::check_task_definition)
}

fn desired(declaration: &Declaration, target: &str) -> Desired {
    let found = declaration.applications.iter().find(|declared| declared.target().to_string() == target);
    match found {
        Some(Declared::Readable(desired)) => (**desired).clone(),
        other => panic!("{target}: {other:?} {:#?}", declaration.findings),
    }
}

/// Findings as `file:line:column message | hint`.
fn said(declaration: &Declaration) -> Vec<String> {
    let line = |finding: &crate::model::Finding| {
        let at = &finding.position;
        let hint = finding.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
        format!("{}:{}:{} {}{hint}", at.file, at.line, at.column, finding.message)
    };
    declaration.findings.iter().map(line).collect()
}

/// Findings, and who is frozen.
#[track_caller]
fn check(entries: &[(&str, &str)], findings: &[&str], frozen: &[&str]) {
    let declaration = read_files(entries);
    assert_eq!(said(&declaration), findings);
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
        &[
            ("api.yaml", APPLICATION),
            ("test.yaml", &with("  cluster: mco", "  policy: {progressDeadline: 15}")),
        ],
        &["test.yaml:5:30 expected a number with s, m or h, such as 15m"],
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
fn what_comes_first_has_a_name_and_nobody_waits_for_himself() {
    let after = |name: &str, first: &str| {
        let text = APPLICATION.replace("{name: api}", &format!("{{name: {name}}}")).replace("mco-api", name);
        text + &format!("  environmentTag: {name}\n  after: [{first}]\n")
    };
    let entries = "    web: { commit: 3f2c1ab }\n    worker: { commit: 3f2c1ab }\n";
    let environment = ENVIRONMENT.to_owned() + entries;
    let files = |api: &str, web: &str, worker: &str| {
        let applications = [("api", api), ("web", web), ("worker", worker)];
        let mut files: Vec<(String, String)> =
            applications.iter().map(|(name, first)| (format!("{name}.yaml"), after(name, first))).collect();
        files.push(("test.yaml".to_owned(), environment.clone()));
        files
    };
    let check_files = |files: Vec<(String, String)>, findings: &[&str], frozen: &[&str]| {
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        check(&files, findings, frozen);
    };
    check_files(files("web", "worker", ""), &[], &[]);
    check_files(
        files("wep", "worker", ""),
        &["test.yaml:7:5 no application is named `wep` | did you mean `web`?"],
        &["test/api"],
    );
    check_files(
        files("web", "api", "web"),
        &[
            "test.yaml:7:5 test/api waits for itself, by way of what it comes after",
            "test.yaml:8:5 test/web waits for itself, by way of what it comes after",
        ],
        &["test/api", "test/web"],
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

#[test]
fn a_family_has_one_owner_and_a_tag_one_environment() {
    let of = |name: &str, rest: &str| {
        let text = APPLICATION.replace("{name: api}", &format!("{{name: {name}}}"));
        text.replace("service: mco-api", &format!("service: {name}")) + rest
    };
    let both =
        ENVIRONMENT.replace("{ commit: 3f2c1ab }", "{ commit: 3f2c1ab }\n    web: { commit: 3f2c1ab }");
    let family = "  taskDefinition: {from: family, family: shared}\n";
    let twice = "the task definition family that it starts from is claimed by test/api and test/web | one application in one environment owns it";
    check(
        &[("api.yaml", &of("api", family)), ("web.yaml", &of("web", family)), ("test.yaml", &both)],
        &[&format!("test.yaml:7:5 {twice}"), &format!("test.yaml:8:5 {twice}")],
        &["test/api", "test/web"],
    );
    check(&[("api.yaml", &of("api", "")), ("web.yaml", &of("web", "")), ("test.yaml", &both)], &[], &[]);
    let tagged = both.replace("  cluster: mco", "  cluster: mco\n  environmentTag: test");
    let staging = tagged.replace("{name: test}", "{name: staging}");
    let declaration = read_files(&[
        ("api.yaml", &of("api", "")),
        ("web.yaml", &of("web", "")),
        ("test.yaml", &both),
        ("staging.yaml", &staging),
    ]);
    let four = "the environment tag test is claimed by staging/api and staging/web and test/api and test/web";
    assert_eq!(declaration.findings.len(), 4, "{:#?}", said(&declaration));
    assert!(declaration.findings.iter().all(|finding| finding.message == four), "{:#?}", said(&declaration));
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
        "applications/api/appspec.json",
        "environments/test.yaml",
        "environments/staging.yaml",
    ];
    let texts: Vec<String> =
        names.iter().map(|name| std::fs::read_to_string(root.join(name)).unwrap()).collect();
    let entries: Vec<(&str, &str)> = names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
    check(&entries, &[], &[]);
    assert_eq!(read_files(&entries).applications.len(), 4);
}

const LISTED: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  service: mco-api-{environment}\n  images:\n  - {name: api, repository: mco/api, container: api}\n  - {name: proxy, repository: mco/proxy, container: proxy}\n";

/// `ENVIRONMENT` with another entry for the only application.
fn entry(text: &str) -> String {
    ENVIRONMENT.replace("{ commit: 3f2c1ab }", text)
}

#[test]
fn commits_are_told_by_the_names_of_images() {
    let environment = entry("{ commit: 3f2c1ab, commits: { proxy: 8c1f0aa } }");
    let api = desired(&read_files(&[("api.yaml", LISTED), ("test.yaml", &environment)]), "test/api");
    let commits: Vec<&str> = api.images.iter().map(|image| image.commit.as_str()).collect();
    assert_eq!(commits, ["3f2c1ab", "8c1f0aa"]);
    let file = definitions(":3f2c1ab", ":3f2c1ab");
    for (application, text, finding) in [
        // Also where it is why another commit is missing.
        (
            LISTED,
            "{ commits: { api: 3f2c1ab, prxy: 8c1f0aa } }",
            "7:37 no image is named `prxy` | did you mean `proxy`?",
        ),
        (LISTED, "{ commit: 3f2c1ab, commits: { database: 8c1f0aa } }", "7:40 no image is named `database`"),
        (DEFINED, "{ commits: { prxy: 8c1f0aa } }", "7:23 no image is named `prxy` | did you mean `proxy`?"),
        (LISTED, "{ commit: 3f2c1ab, commits: [8c1f0aa] }", "7:38 expected a map, found a list"),
        (LISTED, "{ commit: 3f2c1ab, commits: }", "7:36 expected a map, found nothing"),
        (LISTED, "{ commit: 3f2c1ab, commits: { proxy: [] } }", "7:47 expected text, found a list"),
        (
            LISTED,
            "{ commit: 3f2c1ab, commits: { proxy: main } }",
            "7:47 `main` is no commit | 7 to 40 hexadecimal digits",
        ),
        (
            APPLICATION,
            "{ commit: 3f2c1ab, commits: { api: 8c1f0aa } }",
            "7:29 `commits` is for several images, and this application has one | did you mean `commit`?",
        ),
    ] {
        let environment = entry(text);
        let declaration = read_files(&[
            ("api.yaml", application),
            ("test.yaml", &environment),
            ("imagedefinitions.json", &file),
        ]);
        let said = said(&declaration);
        assert!(said.contains(&format!("test.yaml:{finding}")), "{text}: {said:#?}");
        assert!(matches!(declaration.applications[0], Declared::Frozen(_)), "{text}");
    }
}

#[test]
fn the_name_of_an_image_can_be_part_of_a_tag() {
    let longest = "a".repeat(64);
    for name in ["a", "API_2", "mco/api@v1", "a+b-c=d.e", &longest] {
        let application = LISTED.replace("{name: proxy", &format!("{{name: \"{name}\""));
        let api = desired(&read_files(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)]), "test/api");
        assert_eq!(api.images[1].name, name);
    }
    let hint = "up to 64 letters, digits and + - = . _ / @";
    for name in ["", "my proxy", "a:b", "ü", &format!("{longest}a")] {
        let application = LISTED.replace("{name: proxy", &format!("{{name: \"{name}\""));
        let finding = format!("api.yaml:8:12 `{name}` cannot be the name of an image | {hint}");
        check(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)], &[&finding], &["test/api"]);
    }
    let file = definitions("", "").replace("\"proxy\"", "\"a b\"");
    let finding = format!("imagedefinitions.json:2:11 `a b` cannot be the name of an image | {hint}");
    check(
        &[("api.yaml", DEFINED), ("test.yaml", ENVIRONMENT), ("imagedefinitions.json", &file)],
        &[&finding],
        &["test/api"],
    );
}

#[test]
fn a_container_runs_one_image_and_an_image_has_one_name() {
    let file = "  taskDefinition: taskdef.json\n";
    let placeholders = "- {name: my-api, repository: a}\n  - {name: MY_API, repository: b}";
    for (images, task_definition, finding) in [
        (
            "- {name: a, repository: a, container: api}\n  - {name: b, repository: b, containers: [web, api]}",
            "",
            "8:5 api is claimed by the images a and b | a container runs one image",
        ),
        (
            "- {name: a, repository: a, container: api}\n  - {name: b, repository: b}",
            file,
            "8:5 api is claimed by the images a and b | a container runs one image",
        ),
        (
            placeholders,
            "  taskDefinition: {from: family, family: f}\n",
            "8:5 <MY_API_NAME> is claimed by the images my-api and MY_API | a container runs one image",
        ),
        (
            "- {name: a, repository: a, container: a}\n  - {name: b, repository: b}",
            "",
            "8:5 `b` names no container | add `container`: only a task definition file has placeholders",
        ),
        (
            "- {name: a, repository: a, container: a}\n  - {name: a, repository: b, container: b}",
            "",
            "8:12 two images are named `a` | rename or remove one of them",
        ),
        (
            "- {name: a, repository: a, containers: []}",
            "",
            "7:42 the list is empty | name one, or leave it out",
        ),
        (
            "- {name: a, repository: a, container: a, containers: [a]}",
            "",
            "7:56 both `container` and `containers` are written | remove one of them",
        ),
        ("  []", "", "7:5 the list is empty | name one, or leave it out"),
    ] {
        let start =
            "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  service: s\n";
        let application = format!("{start}  images:\n  {images}\n{task_definition}");
        let one = TASK_DEFINITION.replace("<LEVEL>", "debug").replace(", \"futureField2028\": 1", "");
        let entries =
            [("api.yaml", application.as_str()), ("taskdef.json", one.as_str()), ("test.yaml", ENVIRONMENT)];
        check(&entries, &[&format!("api.yaml:{finding}")], &["test/api"]);
    }
    let named = |containers: &str| format!("{APPLICATION}  containers: {containers}\n");
    check(
        &[("api.yaml", &named("[]")), ("test.yaml", ENVIRONMENT)],
        &["api.yaml:7:15 the list is empty | name one, or leave it out"],
        &["test/api"],
    );
    check(&[("api.yaml", &named("[api, api]")), ("test.yaml", ENVIRONMENT)], &[], &[]);
    let alone = LISTED
        .replace(", container: api", "")
        .replace("  - {name: proxy, repository: mco/proxy, container: proxy}\n", "");
    check(&[("api.yaml", &alone), ("test.yaml", ENVIRONMENT)], &[], &[]);
    let twice = definitions(":3f2c1ab", ":3f2c1ab").replace("\"proxy\"", "\"api\"");
    check(
        &[("api.yaml", DEFINED), ("test.yaml", ENVIRONMENT), ("imagedefinitions.json", &twice)],
        &["imagedefinitions.json:2:11 two images are named `api` | rename or remove one of them"],
        &["test/api"],
    );
}

#[test]
fn a_list_of_images_that_a_file_replaces_is_not_looked_at() {
    let environment = entry("{ commit: 3f2c1ab, imageDefinitions: imagedefinitions.json }");
    let application = LISTED.replace("container: proxy", "container: api");
    let file = definitions(":3f2c1ab", ":3f2c1ab");
    check(
        &[("api.yaml", &application), ("test.yaml", &environment), ("imagedefinitions.json", &file)],
        &[],
        &[],
    );
}

#[test]
fn what_is_empty_declares_nothing() {
    let commented = ENVIRONMENT.trim_end().replace('\n', "\n# ");
    let commented = format!("# {commented}\n");
    for text in [
        "",
        "\n",
        "---\n",
        "---\n---\n...\n",
        "# trueup.dev/v1",
        &commented,
        &format!("---\n{commented}---\n"),
    ] {
        check(&[("api.yaml", APPLICATION), ("test.yaml", text)], &[], &[]);
        check(&[("api.yaml", APPLICATION), ("test.yaml", &format!("{ENVIRONMENT}---\n{text}"))], &[], &[]);
    }
    let bare = ENVIRONMENT.split("  applications:").next().unwrap();
    for applications in ["", "  applications: {}\n", "  applications:\n", "  applications:\n  # api: {}\n"] {
        check(&[("api.yaml", APPLICATION), ("test.yaml", &format!("{bare}{applications}"))], &[], &[]);
    }
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &format!("{bare}  applications: []\n"))],
        &["test.yaml:6:17 expected a map, found a list"],
        &[],
    );
}

#[test]
fn a_file_that_is_named_holds_one_document() {
    let application = format!("{APPLICATION}  taskDefinition: taskdef.json\n");
    for (text, finding) in [
        ("", "taskdef.json:0:0 the file is empty"),
        ("# later\n", "taskdef.json:0:0 the file is empty"),
        ("---\n# later\n---\n", "taskdef.json:0:0 the file is empty"),
        ("family: a\n---\nfamily: b\n", "taskdef.json:3:1 expected one document"),
        ("[", "taskdef.json:1:1 not valid YAML: unclosed bracket '['"),
    ] {
        let entries =
            [("api.yaml", application.as_str()), ("taskdef.json", text), ("test.yaml", ENVIRONMENT)];
        check(&entries, &[finding], &["test/api"]);
    }
}

#[test]
fn a_document_that_is_nearly_ours_is_not_passed_over() {
    let web = APPLICATION.replace("{name: api}", "{name: web}");
    let files = |second: &str| format!("{APPLICATION}---\n{second}");
    for (second, findings) in [
        ("kind: ConfigMap\napiVersion: v1\n", &[][..]),
        (
            &web.replace("trueup.dev/v1\n", "trueup.dev/v2\n"),
            &[
                "api.yaml:8:1 apiVersion `trueup.dev/v2` is not known to this version of trueup | it reads trueup.dev/v1",
            ],
        ),
        (
            &web.replace("apiVersion: trueup.dev/v1\n", ""),
            &["api.yaml:8:1 `apiVersion` is missing | it reads trueup.dev/v1"],
        ),
        (
            &web.replace("Application", "Aplication"),
            &["api.yaml:8:1 unknown kind `Aplication` | did you mean `Application`?"],
        ),
        ("text", &["api.yaml:8:1 expected a map, found text"]),
    ] {
        check(&[("api.yaml", &files(second)), ("test.yaml", ENVIRONMENT)], findings, &[]);
    }
    let twice = "application `api` is declared more than once | rename or remove one of them";
    check(
        &[("api.yaml", &files(APPLICATION)), ("test.yaml", ENVIRONMENT)],
        &[&format!("api.yaml:3:18 {twice}"), &format!("api.yaml:10:18 {twice}")],
        &["test/api"],
    );
}

#[test]
fn an_application_in_a_file_that_cannot_be_read_is_not_called_a_typing_error() {
    let entries = [("api.yaml", &format!("{APPLICATION}  service: again\n")[..]), ("test.yaml", ENVIRONMENT)];
    let missing =
        "test.yaml:7:5 no application is named `api` | it may stand in api.yaml, which cannot be read";
    check(&entries, &["api.yaml:7:3 duplicate key `service` | remove one of them", missing], &["test/api"]);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let application = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  service:\n  strategy: canary\n  taskDefinition: missing.json\n  policy: {drift: hael}\n  source: []\n";
    check(
        &[("api.yaml", application), ("test.yaml", ENVIRONMENT)],
        &[
            "api.yaml:5:3 `repository` is missing",
            "api.yaml:5:10 expected text, found nothing",
            "api.yaml:6:13 strategy `canary` is not supported yet",
            "api.yaml:7:19 there is no file `missing.json`",
            "api.yaml:8:19 `hael` is none of alert, heal, ignore | did you mean `heal`?",
            "api.yaml:9:11 expected text, found a list",
        ],
        &["test/api"],
    );
    let application = format!("{APPLICATION}  taskDefinition: {{}}\n");
    check(
        &[("api.yaml", &application), ("test.yaml", ENVIRONMENT)],
        &["api.yaml:7:19 `from` is missing"],
        &["test/api"],
    );
    let file = "  taskDefinition: taskdef.json\n";
    let application = format!("{APPLICATION}{file}");
    let task_definition = TASK_DEFINITION.replace("\"family\"", "\"familia\"");
    let declaration = read_files(&[
        ("api.yaml", &application),
        ("taskdef.json", &task_definition),
        ("test.yaml", &entry("{ commit: main }")),
    ]);
    let said = said(&declaration);
    assert!(said.iter().any(|said| said.ends_with("`family` is missing")), "{said:#?}");
    assert!(said.iter().any(|said| said.contains("`main` is no commit")), "{said:#?}");
    assert!(
        !said.iter().any(|said| said.contains("IMAGE_NAME")),
        "what the image would have filled: {said:#?}"
    );
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
    let longer = format!("{DEFINED}  commitTag: \"{{commit:9}}\"\n");
    let file = definitions(":3f2c1ab12", ":3f2c1ab");
    check(
        &[("api.yaml", &longer), ("test.yaml", &undeclared), ("imagedefinitions.json", &file)],
        &["imagedefinitions.json:2:32 commit `3f2c1ab` has fewer than 9 digits | 7 to 40 hexadecimal digits"],
        &["test/api"],
    );
}

const SPEC: &str = r#"{"version": 0.0, "resources": [{"targetService": {"type": "AWS::ECS::Service", "properties":
  {"taskDefinition": "<TASK_DEFINITION>", "loadBalancerInfo": {"containerName": "api", "containerPort": 8080}}}}]}"#;

fn code_deploy(strategy: &str) -> String {
    format!("{APPLICATION}  strategy: {strategy}\n")
}

fn settings(strategy: &str, spec: &str) -> CodeDeploy {
    let application = code_deploy(strategy);
    let entries = [("api.yaml", application.as_str()), ("test.yaml", ENVIRONMENT), ("appspec.json", spec)];
    match desired(&read_files(&entries), "test/api").strategy {
        Strategy::CodeDeploy(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn code_deploy_is_a_word_an_empty_map_or_names_and_a_file() {
    for strategy in ["codeDeploy", "{codeDeploy: {}}", "{codeDeploy: }"] {
        assert_eq!(settings(strategy, SPEC), CodeDeploy::default(), "{strategy}");
    }
    let found = settings(
        "{codeDeploy: {application: API, deploymentGroup: \"API-{environment}\", appSpec: appspec.json}}",
        SPEC,
    );
    assert_eq!((found.application.as_deref(), found.group.as_deref()), (Some("API"), Some("API-test")));
    // Whatever is in the file is kept as it is written.
    let spec = found.app_spec.unwrap();
    assert_eq!(spec.path, "appspec.json");
    assert_eq!(spec.content, serde_json::from_str::<Value>(SPEC).unwrap());
}

#[test]
fn a_group_that_is_to_be_made_says_all_that_it_needs() {
    let create = "{codeDeploy: {create: {serviceRole: role, targetGroups: [\"{environment}-1\", b], productionListener: l, readyWait: 90s, alarms: [errors]}}}";
    let new = settings(create, SPEC).create.unwrap();
    assert_eq!(new.target_groups, ["test-1", "b"]);
    assert_eq!((new.ready_wait, new.termination_wait, new.alarms.len()), (Some(2), 5, 1));
    for (create, finding) in [
        ("{}", "api.yaml:7:35 `productionListener` is missing"),
        (
            "{serviceRole: r, productionListener: l, targetGroups: [a]}",
            "api.yaml:7:35 expected the names of two target groups",
        ),
        (
            "{serviceRole: r, productionListener: l, targetGroups: [a, b], terminationWait: 48h}",
            "api.yaml:7:35 a wait is 2800 minutes at most",
        ),
        (
            "{serviceRole: r, productionListener: l, targetGroups: [a, b], terminatonWait: 1h}",
            "api.yaml:7:97 unknown field `terminatonWait` | did you mean `terminationWait`?",
        ),
    ] {
        let application = code_deploy(&format!("{{codeDeploy: {{create: {create}}}}}"));
        let declaration = read_files(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)]);
        let said = said(&declaration);
        assert!(said.iter().any(|said| said == finding), "{create}: {said:#?}");
        assert!(matches!(declaration.applications[0], Declared::Frozen(_)));
    }
}

#[test]
fn an_app_spec_that_codedeploy_would_refuse_is_explained() {
    let hint = " | the AppSpec of a pipeline's CodeDeployToECS action can be used as it is";
    for (from, to, finding) in [
        (r#""version": 0.0, "#, "", format!("appspec.json:1:1 `version` is missing{hint}")),
        (
            "AWS::ECS::Service",
            "AWS::Lambda::Function",
            format!("appspec.json:1:59 expected AWS::ECS::Service{hint}"),
        ),
        ("8080", "\"http\"", format!("appspec.json:2:105 expected a port{hint}")),
        ("loadBalancerInfo", "loadBalancer", format!("appspec.json:2:3 `LoadBalancerInfo` is missing{hint}")),
        (
            "\"taskDefinition\"",
            "\"hooks\": [], \"taskDefinition\"",
            "appspec.json:2:4 unknown name `hooks`".to_owned(),
        ),
        (
            r#""resources""#,
            r#""Hooks": [{"BeforeInstal": "f"}], "resources""#,
            "appspec.json:1:29 unknown name `BeforeInstal` | did you mean `BeforeInstall`?".to_owned(),
        ),
    ] {
        let spec = SPEC.replace(from, to);
        let application = code_deploy("{codeDeploy: {appSpec: appspec.json}}");
        let entries =
            [("api.yaml", application.as_str()), ("test.yaml", ENVIRONMENT), ("appspec.json", spec.as_str())];
        let declaration = read_files(&entries);
        let said = said(&declaration);
        assert!(said.contains(&finding), "{finding}: {said:#?}");
    }
}

#[test]
fn settings_of_the_deployment_and_a_group_for_two_are_refused_with_codedeploy() {
    let application = code_deploy("codeDeploy") + "  serviceSettings: {platformVersion: LATEST}\n";
    check(
        &[("api.yaml", &application), ("test.yaml", ENVIRONMENT)],
        &[
            "api.yaml:8:21 `platformVersion` of a service that CodeDeploy deploys cannot be set here | network, platform version and capacity providers go into the AppSpec",
        ],
        &["test/api"],
    );
    let group = "{codeDeploy: {application: API, deploymentGroup: G}}";
    let web = code_deploy(group).replace("{name: api}", "{name: web}").replace("mco-api", "web");
    let environment = format!("{ENVIRONMENT}    web: {{ commit: 3f2c1ab }}\n");
    check(
        &[("api.yaml", &code_deploy(group)), ("web.yaml", &web), ("test.yaml", &environment)],
        &[
            "test.yaml:7:5 the CodeDeploy group is claimed by test/api and test/web | one application in one environment owns it",
            "test.yaml:8:5 the CodeDeploy group is claimed by test/api and test/web | one application in one environment owns it",
        ],
        &["test/api", "test/web"],
    );
}
