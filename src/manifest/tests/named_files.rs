//! Files that a document names.

use super::*;
use crate::model::TaskDefinitionSource;

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
    check(&entries, &[&format!("a/taskdef.json:6:119 unknown field `futureField2028` | {hint}")], &[]);
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
fn a_file_that_is_named_holds_one_document() {
    let application = format!("{APPLICATION}  taskDefinition: taskdef.yaml\n");
    for (text, finding) in [
        ("", "taskdef.yaml:0:0 the file is empty"),
        ("# later\n", "taskdef.yaml:0:0 the file is empty"),
        ("---\n# later\n---\n", "taskdef.yaml:0:0 the file is empty"),
        ("family: a\n---\nfamily: b\n", "taskdef.yaml:3:1 expected one document"),
        ("[", "taskdef.yaml:1:1 not valid YAML: unclosed bracket '['"),
    ] {
        let entries =
            [("api.yaml", application.as_str()), ("taskdef.yaml", text), ("test.yaml", ENVIRONMENT)];
        check(&entries, &[finding], &["test/api"]);
    }
}
