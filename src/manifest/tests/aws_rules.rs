//! Files against each other, and against what AWS knows.

use super::*;

const FILE: &str = r#"{"family": "api", "containerDefinitions": [
  {"name": "api", "image": "<IMAGE_NAME>", "memory": 128, "portMappings": [{"containerPort": 80}, {"containerPortRange": "90-99"}]}]}"#;

fn application() -> String {
    format!("{APPLICATION}  taskDefinition: taskdef.json\n")
}

/// What is said of this task definition, with severities.
fn findings(task_definition: &str) -> Vec<String> {
    let declaration = read_files(&[
        ("api.yaml", &application()),
        ("taskdef.json", task_definition),
        ("test.yaml", ENVIRONMENT),
    ]);
    let severity = |finding: &crate::model::Finding| match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    declaration
        .findings
        .iter()
        .map(severity)
        .zip(said(&declaration))
        .map(|(one, two)| format!("{one} {two}"))
        .collect()
}

#[test]
fn a_member_that_is_nearly_known_or_known_elsewhere_is_an_error_and_a_new_one_a_warning() {
    for (from, to, expected) in [
        (
            "\"family\"",
            "\"requiresCompatibilites\": [], \"family\"",
            "error taskdef.json:1:2 unknown field `requiresCompatibilites` | did you mean `requiresCompatibilities`?",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"enviroment\": []",
            "error taskdef.json:2:59 unknown field `enviroment` | did you mean `environment`?",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"Environment\": []",
            "error taskdef.json:2:59 unknown field `Environment` | did you mean `environment`?",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"health_check\": {}",
            "error taskdef.json:2:59 unknown field `health_check` | did you mean `healthCheck`?",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"containerPort\": 1",
            "error taskdef.json:2:59 unknown field `containerPort` | it belongs in `containerDefinitions[].portMappings[]`",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"taskRoleArn\": \"r\"",
            "error taskdef.json:2:59 unknown field `taskRoleArn` | it belongs in the task definition itself",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"firelensConfiguration\": {\"type\": \"fluentbit\", \"enable-ecs-log-metadata\": true}, \"logConfiguration\": {\"logDriver\": \"awsfirelens\"}",
            "error taskdef.json:2:106 unknown field `enable-ecs-log-metadata` | it belongs in `options`",
        ),
        (
            "\"containerDefinitions\"",
            "\"containerDefinition\"",
            "error taskdef.json:1:19 unknown field `containerDefinition` | did you mean `containerDefinitions`?",
        ),
        (
            "\"family\"",
            "\"cppu\": \"512\", \"family\"",
            "error taskdef.json:1:2 unknown field `cppu` | did you mean `cpu`?",
        ),
        (
            "\"family\"",
            "\"gpu\": \"1\", \"family\"",
            "warning taskdef.json:1:2 unknown field `gpu` | it is sent to AWS as written, or did you mean `cpu`?",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"futureField2028\": 1",
            "warning taskdef.json:2:59 unknown field `futureField2028` | it is sent to AWS as written",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"imagePullTimeout\": 1",
            "warning taskdef.json:2:59 unknown field `imagePullTimeout` | it is sent to AWS as written",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128, \"environmentFiles\": [{\"value\": \"s3://mco/test.env\", \"type\": \"s3\"}]",
            "error taskdef.json:2:90 `value` is the ARN of an object in S3 | such as arn:aws:s3:::mco/test.env",
        ),
        (
            "{\"containerPortRange\"",
            "{\"containerPort\": 90, \"containerPortRange\"",
            "error taskdef.json:2:100 `containerPort` stands beside `containerPortRange` | AWS takes one of them in a mapping: remove one, or make it two mappings",
        ),
        (
            "\"memory\": 128",
            "\"memory\": \"128\"",
            "error taskdef.json:2:54 expected a whole number, found text | without quotes; a placeholder alone becomes one",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 128.0",
            "error taskdef.json:2:54 expected a whole number, found a number | a number without a point, such as 128",
        ),
        (
            "\"memory\": 128",
            "\"memory\": 2147483648",
            "error taskdef.json:2:54 the number is not between -2147483648 and 2147483647",
        ),
        (
            "\"memory\": 128",
            "\"memory\": -99999999999999999999",
            "error taskdef.json:2:54 the number is not between -2147483648 and 2147483647",
        ),
    ] {
        assert_eq!(findings(&FILE.replace(from, to)), [expected], "{to}");
    }
    let capital = r#"{"Family": "api", "ContainerDefinitions": [{"Name": "api", "Image": "<IMAGE_NAME>", "Memory": 128}]}"#;
    let said = findings(capital);
    assert_eq!(said.len(), 2, "what follows from them is not said: {said:#?}");
    assert!(
        said.iter()
            .any(|said| said == "error taskdef.json:1:2 unknown field `Family` | did you mean `family`?"),
        "{said:#?}"
    );
    assert!(said.iter().any(|said| said.contains("did you mean `containerDefinitions`?")), "{said:#?}");
}

#[test]
fn json_files_are_json() {
    for (text, expected) in [
        (
            "{\n  // snipped\n  \"family\": \"api\"}",
            "taskdef.json:2:3 not valid JSON: JSON has no comments | take the comment out",
        ),
        (
            "{\"family\": \"api\",}",
            "taskdef.json:1:18 not valid JSON: a comma stands before `}` | take the comma out",
        ),
        (
            "{'family': 'api'}",
            "taskdef.json:1:2 not valid JSON: texts stand in double quotes | write \"text\"",
        ),
        (
            "family: api\n",
            "taskdef.json:1:1 not valid JSON: a value was expected, found `family` | keys and texts stand in double quotes; words are true, false and null",
        ),
    ] {
        assert_eq!(findings(text), [format!("error {expected}")], "{text}");
    }
    let yaml = "{\"family\": \"api\", // snipped\n \"cpu\": \"256\"}";
    let application = format!("{APPLICATION}  taskDefinition: taskdef.yaml\n");
    check(
        &[("api.yaml", &application), ("taskdef.yaml", yaml), ("test.yaml", ENVIRONMENT)],
        &[
            "taskdef.yaml:1:19 `//` begins no comment in YAML: it would be a part of this key | write # before comments",
        ],
        &["test/api"],
    );
}

#[test]
fn container_and_port_of_the_traffic_are_in_the_task_definition() {
    let spec = "Resources:\n- TargetService:\n    Type: AWS::ECS::Service\n    Properties:\n      TaskDefinition: <TASK_DEFINITION>\n      LoadBalancerInfo: {ContainerName: api, ContainerPort: 80}\n";
    let balancers = "  serviceSettings: {loadBalancers: [{targetGroupArn: 'arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/api/73e2d6bc24d8a067', containerName: api, containerPort: 80}]}\n";
    for (from, to, finding) in [
        ("80", "80", None),
        ("80", "95", None),
        ("api", "ap", Some("no container `ap`| did you mean `api`?")),
        ("api", "application", Some("no container `application`| there is api")),
        ("80", "8080", Some("no port 8080| its `portMappings` have 80, 90")),
    ] {
        let strategy = application() + "  strategy: {codeDeploy: {appSpec: appspec.yaml}}\n";
        let spec = spec
            .replace(&format!("Name: {from},"), &format!("Name: {to},"))
            .replace(&format!("Port: {from}}}"), &format!("Port: {to}}}"));
        let entries = [
            ("api.yaml", strategy.as_str()),
            ("appspec.yaml", spec.as_str()),
            ("taskdef.json", FILE),
            ("test.yaml", ENVIRONMENT),
        ];
        let settings = application()
            + &balancers
                .replace(&format!("Name: {from},"), &format!("Name: {to},"))
                .replace(&format!("Port: {from}}}"), &format!("Port: {to}}}"));
        let other = [("api.yaml", settings.as_str()), ("taskdef.json", FILE), ("test.yaml", ENVIRONMENT)];
        for said in [said(&read_files(&entries)), said(&read_files(&other))] {
            assert_eq!(said.len(), usize::from(finding.is_some()), "{to}: {said:#?}");
            let parts: Vec<&str> = finding.iter().flat_map(|finding| finding.split('|')).collect();
            assert!(said.iter().all(|said| parts.iter().all(|part| said.contains(part))), "{to}: {said:#?}");
        }
    }
}

#[test]
fn what_aws_always_refuses_freezes_before_the_first_write() {
    let mount =
        FILE.replace("\"memory\": 128", "\"memory\": 128, \"mountPoints\": [{\"sourceVolume\": \"x\"}]");
    assert_eq!(
        findings(&mount),
        ["error taskdef.json:2:92 no volume is named `x` | declare it under `volumes`"]
    );
    let fargate = FILE.replace("\"family\"", "\"requiresCompatibilities\": [\"FARGATE\"], \"networkMode\": \"awsvpc\", \"cpu\": \"256\", \"memory\": \"512\", \"family\"");
    assert_eq!(
        findings(&fargate),
        [
            "error taskdef.json:1:1 `executionRoleArn` is missing, which images of ECR need | the role with AmazonECSTaskExecutionRolePolicy"
        ]
    );
    for strategy in ["BLUE_GREEN", "CANARY", "LINEAR"] {
        let settings = format!(
            "{APPLICATION}  serviceSettings: {{deploymentConfiguration: {{strategy: {strategy}}}}}\n"
        );
        let finding = format!(
            "api.yaml:7:57 strategy `{strategy}` cannot be set here | it belongs in `strategy`, as blueGreen, canary or linear"
        );
        check(&[("api.yaml", &settings), ("test.yaml", ENVIRONMENT)], &[&finding], &["test/api"]);
    }
    let rolling =
        format!("{APPLICATION}  serviceSettings: {{deploymentConfiguration: {{strategy: ROLLING}}}}\n");
    check(&[("api.yaml", &rolling), ("test.yaml", ENVIRONMENT)], &[], &[]);
}

#[test]
fn what_has_no_effect_in_the_settings_of_a_service_is_told() {
    let left = "it is left to whoever made the service; docs/infrastructure-repo.md lists what can be owned";
    for (settings, expected) in [
        (
            "serviceConnectConfiguration: {enabled: true}",
            format!("21 `serviceConnectConfiguration` cannot be set here | {left}"),
        ),
        (
            "vpcLatticeConfigurations: []",
            format!("21 `vpcLatticeConfigurations` cannot be set here | {left}"),
        ),
        ("forceNewDeployment: true", format!("21 `forceNewDeployment` cannot be set here | {left}")),
        ("taskDefinition: api", format!("21 `taskDefinition` cannot be set here | {left}")),
        ("launchType: FARGATE", format!("21 `launchType` is no field of `UpdateService` | {left}")),
        (
            "desiredCont: 2",
            "21 `desiredCont` is no field of `UpdateService` | did you mean `desiredCount`?".to_owned(),
        ),
        (
            "deploymentConfiguration: {maximumPercnt: 150}",
            "47 unknown field `maximumPercnt` | did you mean `maximumPercent`?".to_owned(),
        ),
        (
            "deploymentConfiguration: {desiredCount: 2}",
            "47 unknown field `desiredCount` | it belongs in `serviceSettings` itself".to_owned(),
        ),
        (
            "networkConfiguration: {subnets: [subnet-1]}",
            "44 unknown field `subnets` | it belongs in `networkConfiguration.awsvpcConfiguration`"
                .to_owned(),
        ),
        (
            "deploymentConfiguration: {ofTheFuture: 1}",
            "47 unknown field `ofTheFuture` | it is sent to AWS as written".to_owned(),
        ),
        (
            "enableExecuteCommand: \"true\"",
            "43 expected true or false, found text | without quotes; a placeholder alone becomes one"
                .to_owned(),
        ),
        (
            "capacityProviderStrategy: {capacityProvider: FARGATE}",
            "47 expected a list, found an object".to_owned(),
        ),
        // Told by a rule, and once.
        ("deploymentConfiguration: {maximumPercent: \"150\"}", "63 expected a whole number".to_owned()),
    ] {
        let application = format!("{APPLICATION}  serviceSettings: {{{settings}}}\n");
        let said = said(&read_files(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)]));
        let expected = format!("api.yaml:7:{expected}");
        assert!(
            matches!(&said[..], [only] if only.starts_with(&expected)),
            "{settings}: {said:#?} {expected}"
        );
    }
}

#[test]
fn one_mistake_is_said_once_with_all_that_it_freezes() {
    let mount =
        FILE.replace("\"memory\": 128", "\"memory\": 128, \"mountPoints\": [{\"sourceVolume\": \"x\"}]");
    let staging = ENVIRONMENT.replace("{name: test}", "{name: staging}");
    let application = application();
    let entries = [
        ("api.yaml", application.as_str()),
        ("staging.yaml", staging.as_str()),
        ("taskdef.json", mount.as_str()),
        ("test.yaml", ENVIRONMENT),
    ];
    check(
        &entries,
        &["taskdef.json:2:92 no volume is named `x` | declare it under `volumes`"],
        &["staging/api", "test/api"],
    );
    let targets: Vec<String> =
        read_files(&entries).findings[0].targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["staging/api", "test/api"]);
}

#[test]
fn a_count_is_a_number_or_bounds_of_one() {
    for (count, expected) in [
        ("2", None),
        ("0", None),
        ("~", None),
        ("{min: 2, max: 2}", None),
        ("{min: 2}", None),
        ("{max: 10}", None),
        ("two", Some("35 expected a whole number of tasks")),
        ("-1", Some("35 expected a whole number of tasks")),
        ("\"2\"", Some("35 expected a whole number of tasks | without quotes")),
        ("2.5", Some("35 expected a whole number of tasks")),
        ("99999999999", Some("35 expected a whole number of tasks")),
        ("[2, 10]", Some("35 expected a whole number, or a map with `min` and `max`, found a list")),
        ("{}", Some("35 `min`, `max` or both are missing")),
        ("{min: 10, max: 2}", Some("50 `max` is 2, which is less than `min`, 10")),
        ("{min: two}", Some("41 expected a whole number of tasks")),
        ("{min: 1, maxx: 2}", Some("44 unknown field `maxx` | did you mean `max`?")),
    ] {
        let settings = format!("{APPLICATION}  serviceSettings: {{desiredCount: {count}}}\n");
        let declaration = read_files(&[("api.yaml", &settings), ("test.yaml", ENVIRONMENT)]);
        let expected = expected.map(|finding| format!("api.yaml:7:{finding}"));
        assert_eq!(said(&declaration), expected.into_iter().collect::<Vec<_>>(), "{count}");
        for desired in declaration.readable() {
            let place = desired.count_declared_at.as_ref().map(|place| (place.line, place.column));
            assert_eq!(place, Some((7, 35)), "{count}");
        }
    }
}

#[test]
fn tags_of_aws_and_of_trueup_are_not_for_a_file_to_give() {
    let with_tag = |key: &str| {
        FILE.replace(
            "\"family\"",
            &format!("\"tags\": [{{\"key\": \"{key}\", \"value\": \"1\"}}], \"family\""),
        )
    };
    let hint = "keys that begin with `aws:` are AWS's own, those with `trueup:` are trueup's";
    for key in ["aws:cost", "AWS:cost", "trueup:commit"] {
        let expected = format!("error taskdef.json:1:19 the tag `{key}` is not for others to give | {hint}");
        assert_eq!(findings(&with_tag(key)), [expected]);
    }
    assert_eq!(findings(&with_tag("cost")), [""; 0]);
}

#[test]
fn what_aws_refuses_of_service_settings_is_told_where_it_stands() {
    let arn = "arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/api/73e2d6bc24d8a067";
    for (settings, expected) in [
        (
            "networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1], assignPublicIp: DISABLED}}",
            None,
        ),
        (
            "networkConfiguration: {awsvpcConfiguration: {subnets: [\"<SUBNET>\"]}}",
            Some("76 no value for <SUBNET> | write the value itself: `values` are filled in files only"),
        ),
        ("healthCheckGracePeriodSeconds: -1", Some("52 expected a whole number | the least is 0")),
        (
            "healthCheckGracePeriodSeconds: 80.0",
            Some("52 expected a whole number | a number without a point, such as 80"),
        ),
        (
            "deploymentConfiguration: {bakeTimeInMinutes: 5}",
            Some(
                "47 `bakeTimeInMinutes` cannot be set here | it belongs in `strategy`, under blueGreen, canary or linear",
            ),
        ),
        // What is no name is told once.
        (
            "capacityProviderStrategy: [{capacityProvider: \"<NAME>\"}]",
            Some(
                "67 `<NAME>` cannot be a capacity provider | placeholders `<NAME>` are filled in files only; 1 to 255 letters, digits, `-` and `_`, not beginning with `-`",
            ),
        ),
        (
            "volumeConfigurations: [{name: data}]",
            Some(
                "51 taskdef.json has no volume `data` | declare it under `volumes`, with `configuredAtLaunch: true`",
            ),
        ),
        (
            &format!("loadBalancers: [{{targetGroupArn: '{arn}', containerName: api, containerPort: 80}}]"),
            None,
        ),
    ] {
        let application = format!("{}  serviceSettings: {{{settings}}}\n", application());
        let declaration =
            read_files(&[("api.yaml", &application), ("taskdef.json", FILE), ("test.yaml", ENVIRONMENT)]);
        let expected = expected.map(|expected| format!("api.yaml:8:{expected}"));
        assert_eq!(said(&declaration), expected.into_iter().collect::<Vec<_>>(), "{settings}");
    }
}

#[test]
fn what_aws_finds_nothing_by_is_no_name() {
    let container = |fields: &str| {
        FILE.replace(
            "\"memory\": 128",
            &format!(
                "\"memory\": 128}}, {{\"name\": \"sidecar\", \"image\": \"i\", \"memory\": 128, \"essential\": false, {fields}"
            ),
        )
    };
    let logs = |options: &str| {
        container(&format!("\"logConfiguration\": {{\"logDriver\": \"awslogs\", \"options\": {options}}}"))
    };
    let file = |fields: &str| FILE.replace("\"family\"", &format!("{fields}, \"family\""));
    for (text, expected) in [
        (FILE.to_owned(), None),
        (container("\"user\": \"1\""), None),
        (
            container("\"user\": \"1\"").replace("\"image\": \"i\"", "\"image\": \"nginx latest\""),
            Some("`nginx latest` cannot be an image"),
        ),
        (
            logs("{\"awslogs-group\": \"/ecs/a b\", \"awslogs-region\": \"eu-west-2\"}"),
            Some("`/ecs/a b` cannot be a log group"),
        ),
        (logs("{\"awslogs-group\": \"g\", \"awslogs-region\": \"eu-west-2\"}"), None),
        (
            logs("{\"awslogs-group\": \"g\", \"awslogs-region\": \"eu-west2\"}"),
            Some("`eu-west2` cannot be an AWS region"),
        ),
        (
            logs("{\"awslogs-group\": \"g\", \"awslogs-region\": \"eu west 2\"}"),
            Some("`eu west 2` cannot be an AWS region"),
        ),
        (
            file("\"executionRoleArn\": \"exec\"").replace(
                "\"memory\": 128",
                "\"memory\": 128, \"secrets\": [{\"name\": \"A\", \"valueFrom\": \"arn:aws:ssm:eu-west2:123456789012:parameter/a\"}]",
            ),
            Some("`arn:aws:ssm:eu-west2:123456789012:parameter/a` cannot be a parameter or a secret"),
        ),
        (
            file("\"executionRoleArn\": \"exec\"").replace(
                "\"memory\": 128",
                "\"memory\": 128, \"secrets\": [{\"name\": \"A\", \"valueFrom\": \"a b\"}]",
            ),
            Some("`a b` cannot be a parameter or a secret"),
        ),
        (
            container(
                "\"logConfiguration\": {\"logDriver\": \"splunk\", \"secretOptions\": [{\"name\": \"splunk-token\", \"valueFrom\": \"a b\"}]}",
            ),
            Some("`a b` cannot be a parameter or a secret"),
        ),
        (
            file(
                "\"volumes\": [{\"name\": \"v\", \"efsVolumeConfiguration\": {\"fileSystemId\": \"data\"}}]",
            ),
            Some("`data` cannot be an EFS file system"),
        ),
    ] {
        let said = findings(&text);
        assert_eq!(said.len(), usize::from(expected.is_some()), "{text}: {said:#?}");
        assert!(
            said.iter().all(|said| expected.is_some_and(|expected| said.contains(expected))),
            "{said:#?}"
        );
    }
}

#[test]
fn a_role_of_another_account_cannot_be_passed() {
    let file = |role: &str| {
        let roles =
            format!("\"family\": \"api\", \"taskRoleArn\": \"{role}\", \"executionRoleArn\": \"{role}\"");
        FILE.replace("\"family\": \"api\"", &roles)
    };
    let environment = |account: &str| ENVIRONMENT.replace("spec:\n", &format!("spec:\n{account}"));
    let own = "  account: \"123456789012\"\n";
    let other = "arn:aws:iam::999999999999:role/tasks";
    for (account, role, is_refused) in [
        (own, other, true),
        ("", other, false),
        (own, "arn:aws:iam::123456789012:role/tasks", false),
        (own, "tasks", false),
    ] {
        let declaration = read_files(&[
            ("api.yaml", &application()),
            ("taskdef.json", &file(role)),
            ("test.yaml", &environment(account)),
        ]);
        let expected = format!(
            "the role {other} is in account 999999999999, and the environment in 123456789012 | a role is passed within its own account alone"
        );
        let found = said(&declaration).iter().filter(|said| said.ends_with(&expected)).count();
        assert_eq!(found, usize::from(is_refused), "{:#?}", said(&declaration));
        assert_eq!(declaration.readable().count(), usize::from(!is_refused), "{role}");
    }
}
