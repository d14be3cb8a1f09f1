//! What stands for `<NAME>` in files, and the findings about names without a value.

use super::*;
use crate::model::{Containers, Strategy, TaskDefinitionSource};

const SERVED: &str = r#"{"family": "api", "containerDefinitions": [
  {"name": "api", "image": "IMAGE", "memory": 128, "portMappings": [{"containerPort": 80}]},
  {"name": "nginx", "image": "nginx:1", "memory": 64}]}"#;

fn with_values(values: &str) -> String {
    format!("{APPLICATION}  taskDefinition: taskdef.json\n  values: {values}\n")
}

fn application_file() -> String {
    format!("{APPLICATION}  taskDefinition: taskdef.json\n")
}

/// What is said of an application with this task definition.
#[track_caller]
fn check_file(application: &str, task_definition: &str, findings: &[&str]) {
    let frozen = if findings.is_empty() { &[][..] } else { &["test/api"][..] };
    let entries = [("api.yaml", application), ("taskdef.json", task_definition), ("test.yaml", ENVIRONMENT)];
    check(&entries, findings, frozen);
}

#[test]
fn the_only_placeholder_of_an_image_means_the_image_in_any_spelling() {
    for spelling in ["<IMAGE_NAME>", "<IMAGE1_NAME>", "<image>", "<IMAGE-URI>", "<Image 1>", " <API> "] {
        let file = SERVED.replace("IMAGE", spelling);
        let application = application_file();
        let entries =
            [("api.yaml", application.as_str()), ("taskdef.json", file.as_str()), ("test.yaml", ENVIRONMENT)];
        check(&entries, &[], &[]);
        let api = desired(&read_files(&entries), "test/api");
        assert_eq!(api.images[0].containers, Containers::Named(vec!["api".to_owned()]), "{spelling}");
    }
    // Of two, the one that is called as CodePipeline or the application calls it; the other is nobody's.
    let two = SERVED.replace("IMAGE", "<IMAGE1_NAME>").replace("nginx:1", "<IMAGE2_NAME>");
    check_file(
        &application_file(),
        &two,
        &[
            "taskdef.json:3:30 no value for <IMAGE2_NAME> | name its repository and its container under `images`, or add IMAGE2_NAME to `values`",
        ],
    );
    let unknown = SERVED.replace("IMAGE", "<ONE>").replace("nginx:1", "<TWO>");
    check_file(
        &application_file(),
        &unknown,
        &[
            "taskdef.json:1:43 no container has the image <IMAGE_NAME> | there is <ONE>, <TWO>: list the images under `images`, each with its `container`",
        ],
    );
}

#[test]
fn several_images_are_found_by_the_spellings_of_their_names() {
    let images = "  images:\n  - {name: my-api, repository: mco/a}\n  - {name: image2, repository: mco/b}\n  taskDefinition: taskdef.json\n";
    let application = APPLICATION.replace("  repository: mco/api\n", images);
    for (first, second) in
        [("<MY_API_NAME>", "<IMAGE2_NAME>"), ("<my-api>", "<image2>"), ("<My_Api_Image>", "<IMAGE2>")]
    {
        let file = SERVED.replace("IMAGE", first).replace("nginx:1", second);
        let entries =
            [("api.yaml", application.as_str()), ("taskdef.json", file.as_str()), ("test.yaml", ENVIRONMENT)];
        let api = desired(&read_files(&entries), "test/api");
        let containers: Vec<_> = api.images.iter().map(|image| image.containers.clone()).collect();
        let named = |name: &str| Containers::Named(vec![name.to_owned()]);
        assert_eq!(containers, [named("api"), named("nginx")], "{first}");
    }
}

#[test]
fn placeholders_become_numbers_where_a_number_stands_and_stay_text_elsewhere() {
    let file = r#"{"family": "api", "cpu": "<CPU>", "containerDefinitions": [{"name": "api", "image": "<IMAGE_NAME>",
      "cpu": "<CPU>", "memory": " <MEMORY> ", "essential": "<YES>", "portMappings": [{"containerPort": "<PORT>"}],
      "environment": [{"name": "PORT", "value": "<PORT>"}]}]}"#;
    let application = with_values("{CPU: \"256\", MEMORY: 512, PORT: \"80\", YES: \"true\"}");
    let entries = [("api.yaml", application.as_str()), ("taskdef.json", file), ("test.yaml", ENVIRONMENT)];
    check(&entries, &[], &[]);
    let TaskDefinitionSource::File { input, .. } = desired(&read_files(&entries), "test/api").task_definition
    else {
        panic!("no file")
    };
    assert_eq!(input["cpu"], "256");
    let container = &input["containerDefinitions"][0];
    assert_eq!((&container["cpu"], &container["memory"]), (&Value::from(256), &Value::from(512)));
    assert_eq!(container["essential"], Value::Bool(true));
    assert_eq!(container["portMappings"][0]["containerPort"], 80);
    assert_eq!(container["environment"][0]["value"], "80");
    let wrong = with_values("{CPU: much, MEMORY: 512, PORT: 80, YES: \"true\"}");
    check_file(
        &wrong,
        file,
        &["taskdef.json:2:14 the value of CPU is no whole number | in `values`, such as CPU: 80"],
    );
    let wrong = with_values("{CPU: \"256\", MEMORY: 512, PORT: eighty, YES: maybe}");
    check_file(
        &wrong,
        file,
        &[
            "taskdef.json:2:60 the value of YES is neither true nor false | in `values`, such as YES: true",
            "taskdef.json:2:104 the value of PORT is no whole number | in `values`, such as PORT: 80",
        ],
    );
}

#[test]
fn the_name_of_a_value_stands_without_brackets_and_that_is_all_that_is_told() {
    let file = r#"{"family": "api", "containerDefinitions": [{"name": "api", "image": "<IMAGE_NAME>", "memory": 128,
      "portMappings": [{"containerPort": "<PORT>"}]}]}"#;
    for (name, brackets) in
        [("<PORT>", "<…>"), ("${PORT}", "${…}"), ("{{ PORT }}", "{{ … }}"), ("%PORT%", "%…%")]
    {
        check_file(
            &with_values(&format!("{{\"{name}\": 80}}")),
            file,
            &[&format!("api.yaml:8:12 the name of a value stands without {brackets} | write PORT: …")],
        );
    }
}

#[test]
fn an_app_spec_is_filled_in_before_it_is_checked() {
    let spec = r#"{"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
      "TaskDefinition": "<TASK_ARN>", "LoadBalancerInfo": {"ContainerName": "<NAME>", "ContainerPort": "<CONTAINER_PORT>"}}}}]}"#;
    let strategy = "  strategy: {codeDeploy: {appSpec: appspec.yaml}}\n";
    let file = SERVED.replace("IMAGE", "<IMAGE_NAME>");
    let read = |values: &str, spec: &str| {
        let application = with_values(values) + strategy;
        read_files(&[
            ("api.yaml", &application),
            ("taskdef.json", &file),
            ("appspec.yaml", spec),
            ("test.yaml", ENVIRONMENT),
        ])
    };
    for spec in [spec, &spec.replace("\"<CONTAINER_PORT>\"", "<CONTAINER_PORT>")] {
        let declaration = read("{NAME: api, CONTAINER_PORT: \"80\"}", spec);
        assert_eq!(said(&declaration), Vec::<String>::new());
        let Strategy::CodeDeploy(settings) = desired(&declaration, "test/api").strategy else {
            panic!("no CodeDeploy")
        };
        let content = settings.app_spec.unwrap().content;
        let balancer = content.pointer("/Resources/0/TargetService/Properties/LoadBalancerInfo").unwrap();
        assert_eq!(balancer, &serde_json::json!({"ContainerName": "api", "ContainerPort": 80}));
    }
    assert_eq!(
        said(&read("{NAME: api}", spec)),
        ["appspec.yaml:2:104 no value for <CONTAINER_PORT> | add CONTAINER_PORT to `values`"]
    );
}

#[test]
fn a_value_is_not_filled_into_a_value_and_the_bound_is_named() {
    let levels: Vec<String> =
        (0..9).map(|level| format!("A{level}: \"{}\"", format!("<A{}>", level + 1).repeat(10))).collect();
    let application = with_values(&format!("{{{}}}", levels.join(", ")));
    let file = r#"{"family": "api", "containerDefinitions": [{"name": "api", "image": "i", "memory": 6, "user": "<A0>"}]}"#;
    let declaration =
        read_files(&[("api.yaml", &application), ("taskdef.json", file), ("test.yaml", ENVIRONMENT)]);
    let hint = "write out what A1 is; all in all a task definition has 65536 bytes (64 KiB) at most";
    let first = format!(
        "api.yaml:8:16 the value of A0 holds <A1>: values are filled in once, not into each other | {hint}"
    );
    let found = said(&declaration);
    assert!(found.contains(&first), "{found:#?}");
    assert!(matches!(declaration.applications[0], Declared::Frozen(_)));
    // One for each value that holds another, and none of what follows from it.
    assert!(found.len() == 8 && found.iter().all(|one| one.contains("filled in once")), "{found:#?}");
    // Nothing nested, and yet too much.
    let long = with_values(&format!("{{A: {}}}", "x".repeat(30_000)));
    let file = file.replace("\"<A0>\"", "\"u\", \"command\": [\"<A><A>\", \"<A>\"]");
    let finding = "taskdef.json:1:122 more than 65536 bytes with `values` filled in | AWS takes 65536 bytes (64 KiB) of a task definition; the rest of the file was not read";
    check_file(&long, &file, &[finding]);
    let others = with_values("{A: x}").replace("{name: api}", "{name: web}").replace("mco-api", "web");
    let both = format!("{ENVIRONMENT}    web: {{ commit: 3f2c1ab, environmentTag: web }}\n");
    check(
        &[("api.yaml", &long), ("web.yaml", &others), ("taskdef.json", &file), ("test.yaml", &both)],
        &[finding],
        &["test/api"],
    );
}

#[test]
fn a_value_that_nothing_uses_is_told_unless_another_environment_uses_it() {
    let file = SERVED.replace("IMAGE", "<IMAGE_NAME>").replace("nginx:1", "nginx:<TAG>");
    let application = with_values("{TAG: \"1\", TAGS: \"2\"}");
    let unused = "api.yaml:8:22 nothing uses the value TAGS | no file of the application holds <TAGS>";
    let staging = ENVIRONMENT.replace("{name: test}", "{name: staging}");
    let entries = [
        ("api.yaml", application.as_str()),
        ("taskdef.json", file.as_str()),
        ("test.yaml", ENVIRONMENT),
        ("staging.yaml", staging.as_str()),
    ];
    check(&entries, &[unused], &[]);
    let other = file.replace("<TAG>", "<TAG>-<TAGS>");
    let staging = staging.replace("{ commit: 3f2c1ab }", "{ commit: 3f2c1ab, taskDefinition: other.json }");
    let entries = [
        ("api.yaml", application.as_str()),
        ("other.json", other.as_str()),
        ("taskdef.json", file.as_str()),
        ("test.yaml", ENVIRONMENT),
        ("staging.yaml", staging.as_str()),
    ];
    check(&entries, &[], &[]);
    check_file(
        &with_values("{ENVIRONMENT: x, TAG: x}"),
        &file,
        &["api.yaml:8:12 <ENVIRONMENT> is always the environment's name | take it out of `values`"],
    );
}

#[test]
fn what_two_keys_that_become_one_would_have_used_is_not_called_unused() {
    let file = SERVED.replace("IMAGE", "<IMAGE_NAME>");
    let file = file.replace("\"memory\"", "\"dockerLabels\": {\"<A>\": \"1\", \"<B>\": \"2\"}, \"memory\"");
    let finding = "taskdef.json:2:60 two keys become `x` with `values` filled in";
    check_file(&with_values("{A: x, B: x}"), &file, &[finding]);
}

#[test]
fn placeholders_of_other_tools_are_told_where_nothing_of_the_kind_can_stand() {
    let file = r#"{"family": "api-${ENV}", "taskRoleArn": "<taskRoleArn>", "containerDefinitions": [
  {"name": "api", "image": "<IMAGE_NAME>", "memory": "%MEMORY%",
   "environment": [{"name": "A", "value": "${HOME}/x"}, {"name": "B", "value": "{{ b }}"}]}]}"#;
    let declaration =
        read_files(&[("api.yaml", &application_file()), ("taskdef.json", file), ("test.yaml", ENVIRONMENT)]);
    assert_eq!(
        said(&declaration),
        [
            "taskdef.json:1:12 no value for ${ENV} | the environment's name is <ENVIRONMENT> in files",
            "taskdef.json:1:41 no value for <taskRoleArn> | add taskRoleArn to `values`",
            "taskdef.json:2:54 no value for %MEMORY% | write <MEMORY>, and add MEMORY to `values`",
            "taskdef.json:3:80 no value for {{ b }} | write <b>, and add b to `values`",
        ]
    );
    let severities: Vec<Severity> = declaration.findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Error, Severity::Error, Severity::Warning]);
}

#[test]
fn underscores_around_a_name_are_a_warning_where_aws_takes_them_and_an_error_where_it_does_not() {
    let file = r##"{"family": "api-__ENV__", "requiresCompatibilities": ["FARGATE"], "cpu": "__CPU__", "memory": "512",
  "networkMode": "awsvpc", "executionRoleArn": "__ROLE__", "containerDefinitions": [
  {"name": "api", "image": "<IMAGE_NAME>", "memory": "__MEMORY__",
   "environment": [{"name": "A", "value": "#{Level}#"}, {"name": "Logging__Level__Default", "value": "__DEBUG__"}]}]}"##;
    let declaration =
        read_files(&[("api.yaml", &application_file()), ("taskdef.json", file), ("test.yaml", ENVIRONMENT)]);
    let findings = declaration.findings.iter().map(|finding| (finding.severity, finding.message.as_str()));
    assert_eq!(
        findings.collect::<Vec<_>>(),
        [
            (Severity::Warning, "no value for __ENV__"),
            (Severity::Error, "no value for __CPU__"),
            (Severity::Warning, "no value for __ROLE__"),
            (Severity::Error, "no value for __MEMORY__"),
            (Severity::Warning, "no value for #{Level}#"),
            (Severity::Warning, "no value for __DEBUG__"),
        ]
    );
}

#[test]
fn only_environment_is_replaced_in_names_of_documents() {
    for (from, to, finding) in [
        (
            "mco-api-{environment}",
            "mco-api-{env}",
            "6:12 nothing replaces {env} | did you mean `{environment}`?",
        ),
        (
            "mco-api-{environment}",
            "mco-<ENVIRONMENT>",
            "6:12 nothing replaces <ENVIRONMENT> | did you mean `{environment}`?",
        ),
        ("mco/api\n", "mco/${APP}\n", "5:15 nothing replaces ${APP} | only `{environment}` is replaced here"),
        (
            "mco/api\n",
            "mco/api\n  cluster: mco-{region}\n",
            "6:12 nothing replaces {region} | only `{environment}` is replaced here",
        ),
        (
            "mco/api\n",
            "mco/api\n  strategy: {codeDeploy: {deploymentGroup: \"a-{Env}\"}}\n",
            "6:44 nothing replaces {Env} | did you mean `{environment}`?",
        ),
        (
            "mco/api\n",
            "mco/api\n  taskDefinition: {from: family, family: \"a-{env}\"}\n",
            "6:42 nothing replaces {env} | did you mean `{environment}`?",
        ),
        (
            "mco/api\n",
            "123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:x\n",
            "5:15 `123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:x` is more than the name of a repository | write `repository: mco/api`, and `registry: {account: \"123456789012\", region: eu-west-2}` if that is not the environment's own",
        ),
        (
            "mco/api\n",
            "ghcr.io/mco/api\n",
            "5:15 `ghcr.io/mco/api` is more than the name of a repository | only images of ECR can be followed",
        ),
        (
            "mco/api\n",
            "mco/api:latest\n",
            "5:15 `mco/api:latest` is more than the name of a repository | write `repository: mco/api`: the tag follows from the commit",
        ),
    ] {
        let application = APPLICATION.replace(from, to);
        let staging = ENVIRONMENT.replace("{name: test}", "{name: staging}");
        let entries = [
            ("api.yaml", application.as_str()),
            ("test.yaml", ENVIRONMENT),
            ("staging.yaml", staging.as_str()),
        ];
        let said = said(&read_files(&entries));
        assert_eq!(said, [format!("api.yaml:{finding}")], "once, not once an environment");
    }
    let dotted = APPLICATION.replace("mco/api\n", "my.team/api\n");
    check(&[("api.yaml", &dotted), ("test.yaml", ENVIRONMENT)], &[], &[]);
}

#[test]
fn what_may_be_a_secret_is_told_as_it_is_written() {
    let application = with_values("{DB_PASSWORD: hunter2canary, MODE: AWSVPCX}");
    for (field, value) in [
        ("taskRoleArn", "arn:x:<DB_PASSWORD>"),
        ("networkMode", "<DB_PASSWORD>"),
        ("pidMode", "<DB_PASSWORD>"),
    ] {
        let file = format!(
            r#"{{"family": "api", "{field}": "{value}", "ipcMode": "<MODE>", "containerDefinitions": [{{"name": "api", "image": "<IMAGE_NAME>", "memory": 128}}]}}"#
        );
        let entries =
            [("api.yaml", application.as_str()), ("taskdef.json", file.as_str()), ("test.yaml", ENVIRONMENT)];
        let declaration = read_files(&entries);
        let said = said(&declaration).join("\n");
        assert!(said.contains(value) && !said.contains("hunter2canary"), "{said}");
        assert!(said.contains("AWSVPCX"), "what is no secret is repeated: {said}");
    }
}
