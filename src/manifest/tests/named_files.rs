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

#[test]
fn a_secret_in_plain_text_is_a_warning_wherever_it_is_masked() {
    let secrets = "use `secrets` with a reference to Secrets Manager or Parameter Store";
    let variable =
        |name: &str, value: &str| serde_json::json!({"environment": [{"name": name, "value": value}]});
    let command = |key: &str| {
        Some((format!("`{key}` holds what"), format!("{secrets}, and name the variable here: $NAME")))
    };
    let of_variable = |name: &str| Some((format!("the environment variable {name}"), secrets.to_owned()));
    for (more, expected) in [
        (variable("DB_PASS", "hunter2"), of_variable("DB_PASS")),
        (variable("JWT", "hunter2"), of_variable("JWT")),
        (variable("CONFIG", r#"{"db": {"password": "hunter2"}}"#), of_variable("CONFIG")),
        (variable("LEVEL", "info"), None),
        (variable("OAUTH", "true"), None),
        (serde_json::json!({"command": ["curl", "-u", "api:hunter2", "https://host"]}), command("command")),
        (serde_json::json!({"entryPoint": ["serve", "--token", "hunter2"]}), command("entryPoint")),
        (
            serde_json::json!({"healthCheck": {"command": ["CMD-SHELL", "curl -u api:hunter2 localhost"]}}),
            command("healthCheck.command"),
        ),
        (
            serde_json::json!({"healthCheck": {"command": ["CMD-SHELL", "curl -u api:$PASSWORD localhost"]}}),
            None,
        ),
        (
            serde_json::json!({"logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "hunter2", "splunk-url": "https://host"}}}),
            Some((
                "the option splunk-token".to_owned(),
                "use `secretOptions` in place of `options`".to_owned(),
            )),
        ),
    ] {
        let mut container = serde_json::json!({"name": "api", "image": "<IMAGE_NAME>", "memory": 128});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let text = serde_json::json!({"family": "mco-api", "containerDefinitions": [container]}).to_string();
        let application = format!("{APPLICATION}  taskDefinition: taskdef.json\n");
        let declaration =
            read_files(&[("api.yaml", &application), ("taskdef.json", &text), ("test.yaml", ENVIRONMENT)]);
        let found: Vec<_> =
            declaration.findings.iter().map(|finding| (&*finding.message, finding.hint.as_deref())).collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(what, hint)| (format!("{what} looks like a secret in plain text"), hint))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(message, hint)| (&**message, Some(&**hint))).collect();
        assert_eq!(found, expected, "{more}");
        assert!(
            declaration.findings.iter().all(|finding| !finding.to_string().contains("hunter2")),
            "{more}"
        );
        assert!(matches!(declaration.applications[0], Declared::Readable(_)), "{more}");
    }
}
