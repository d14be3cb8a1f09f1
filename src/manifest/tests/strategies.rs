//! Strategies, and all of CodeDeploy.

use super::*;
use crate::model::{CodeDeploy, Strategy};

const SPEC: &str = r#"{"version": 0.0, "resources": [{"targetService": {"type": "AWS::ECS::Service", "properties":
  {"taskDefinition": "<TASK_DEFINITION>", "loadBalancerInfo": {"containerName": "api", "containerPort": 8080}}}}]}"#;

/// What `create` cannot do without, beside its target groups.
const PARTS: &str = "serviceRole: 'arn:aws:iam::123456789012:role/codedeploy', productionListener: 'arn:aws:elasticloadbalancing:eu-west-2:123456789012:listener/app/mco/50dc6c495c0c9188/f2f7dc8efc522ab2'";

const VERSION: &str = "expected 0.0, the only version of an AppSpec | write version: 0.0, or leave it out";
const HOOKS: &str = "expected a list of hooks, each with its Lambda function";

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
fn a_strategy_that_nobody_knows_is_refused_and_freezes_only_its_own() {
    let canary = APPLICATION.replace("{name: api}", "{name: web}").replace("mco-api", "web")
        + "  strategy: {quick: {}}\n";
    let environment = format!("{ENVIRONMENT}    web: {{ commit: 3f2c1ab, environmentTag: web }}\n");
    check(
        &[("api.yaml", APPLICATION), ("web.yaml", &canary), ("test.yaml", &environment)],
        &["web.yaml:7:13 expected one of rolling, codeDeploy, blueGreen, canary, linear, task, schedule"],
        &["test/web"],
    );
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
fn rolling_takes_nothing() {
    for (strategy, expected) in [
        ("rolling", &[][..]),
        ("{rolling: {}}", &[]),
        ("{rolling: }", &[]),
        ("{rolling: {appSpec: appspec.json}}", &["api.yaml:7:24 unknown field `appSpec`"]),
        ("{rolling: fast}", &["api.yaml:7:23 expected a map, found text"]),
    ] {
        let application = format!("{APPLICATION}  strategy: {strategy}\n");
        check(
            &[("api.yaml", &application), ("test.yaml", ENVIRONMENT)],
            expected,
            if expected.is_empty() { &[] } else { &["test/api"] },
        );
    }
}

#[test]
fn a_group_that_is_to_be_made_says_all_that_it_needs() {
    let create = format!(
        "{{codeDeploy: {{create: {{{PARTS}, targetGroups: [\"{{environment}}-1\", b], readyWait: 90s, alarms: [errors]}}}}}}"
    );
    let new = settings(&create, SPEC).create.unwrap();
    assert_eq!(new.target_groups, ["test-1", "b"]);
    assert_eq!((new.ready_wait, new.termination_wait, new.alarms.len()), (Some(2), 5, 1));
    for (create, finding) in [
        ("", "api.yaml:7:35 `productionListener` is missing"),
        ("PARTS, targetGroups: [a]", "api.yaml:7:35 expected the names of two target groups"),
        ("PARTS, targetGroups: [a, b], terminationWait: 48h", "api.yaml:7:35 a wait is 2800 minutes at most"),
        (
            "targetGroups: [a, b], terminatonWait: 1h, PARTS",
            "api.yaml:7:58 unknown field `terminatonWait` | did you mean `terminationWait`?",
        ),
    ] {
        let create = create.replace("PARTS", PARTS);
        let application = code_deploy(&format!("{{codeDeploy: {{create: {{{create}}}}}}}"));
        let declaration = read_files(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)]);
        let said = said(&declaration);
        assert!(said.iter().any(|said| said == finding), "{create}: {said:#?}");
        assert!(matches!(declaration.applications[0], Declared::Frozen(_)));
    }
}

#[test]
fn an_app_spec_that_codedeploy_would_refuse_is_explained() {
    let properties =
        "Properties has TaskDefinition and LoadBalancerInfo, with ContainerName and ContainerPort";
    for (from, to, finding) in [
        (
            "AWS::ECS::Service",
            "AWS::Lambda::Function",
            "appspec.json:1:59 expected AWS::ECS::Service | Type: AWS::ECS::Service".to_owned(),
        ),
        ("8080", "\"http\"", "appspec.json:2:105 expected a port | the port of the container behind the load balancer, such as 8080".to_owned()),
        ("loadBalancerInfo", "loadBalancer", format!("appspec.json:2:3 `LoadBalancerInfo` is missing | {properties}")),
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
        ("0.0", "\"banana\"", format!("appspec.json:1:13 {VERSION}")),
        ("0.0", "\"inf\"", format!("appspec.json:1:13 {VERSION}")),
        ("0.0", "null", format!("appspec.json:1:13 {VERSION}")),
        ("0.0", "[0.0]", format!("appspec.json:1:13 {VERSION}")),
        (
            r#""resources""#,
            r#""Hooks": [{"BeforeInstall": "scripts/check.sh"}], "resources""#,
            "appspec.json:1:46 `scripts/check.sh` cannot be a Lambda function | its name, letters, digits and `-_.`, or its ARN: arn:aws:lambda:REGION:ACCOUNT:function:NAME".to_owned(),
        ),
        (
            r#""resources""#,
            r#""Hooks": [{"BeforeInstall": ["f"]}], "resources""#,
            "appspec.json:1:46 expected the name or the ARN of a Lambda function".to_owned(),
        ),
        (
            r#""resources""#,
            r#""Hooks": {"BeforeInstall": "f"}, "resources""#,
            format!("appspec.json:1:27 {HOOKS}, found a map | such as - BeforeAllowTraffic: NameOfTheFunction"),
        ),
        (
            r#""resources": ["#,
            r#""resources": [{}, "#,
            "appspec.json:1:31 expected a list with one TargetService, found 2 entries | a list with one entry: TargetService with Type and Properties".to_owned(),
        ),
        (
            r#""resources""#,
            r#""Hooks": ["f"], "resources""#,
            format!("appspec.json:1:28 {HOOKS}, found text | such as - BeforeAllowTraffic: NameOfTheFunction"),
        ),
    ] {
        let spec = SPEC.replacen(from, to, 1);
        let application = code_deploy("{codeDeploy: {appSpec: appspec.json}}");
        let entries =
            [("api.yaml", application.as_str()), ("test.yaml", ENVIRONMENT), ("appspec.json", spec.as_str())];
        let declaration = read_files(&entries);
        let said = said(&declaration);
        assert!(said.contains(&finding), "{finding}: {said:#?}");
    }
}

/// `SPEC` with more properties, of which the first is at 2:3.
fn with_properties(more: &str) -> String {
    SPEC.replacen("{\"taskDefinition\"", &format!("{{{more}, \"taskDefinition\""), 1)
}

#[test]
fn what_ecs_refuses_of_the_network_and_the_capacity_in_an_app_spec_is_told() {
    let network = |text: &str| format!(r#""NetworkConfiguration": {{"AwsvpcConfiguration": {{{text}}}}}"#);
    let rest = r#""SecurityGroups": ["sg-1"], "AssignPublicIp": "DISABLED""#;
    let subnets = |number: usize| format!("[{}]", vec![r#""subnet-1""#; number].join(", "));
    let vpc = "NetworkConfiguration.AwsvpcConfiguration";
    let capacity = |items: &str| format!(r#""capacityproviderstrategy": [{items}]"#);
    for (properties, field, message) in [
        (
            network(&format!(r#""Subnets": {}, {rest}"#, subnets(0))),
            &*format!("{vpc}.Subnets"),
            "AWS takes 1 to 16 of them",
        ),
        (
            network(&format!(r#""SUBNETS": {}, {rest}"#, subnets(17))),
            &format!("{vpc}.Subnets"),
            "AWS takes 1 to 16 of them",
        ),
        (
            network(&format!(
                r#""subnets": ["a"], "SecurityGroups": {}, "AssignPublicIp": "DISABLED""#,
                subnets(6)
            )),
            &format!("{vpc}.SecurityGroups"),
            "AWS takes 0 to 5 of them",
        ),
        (
            network(r#""Subnets": ["subnet-1"], "SecurityGroups": [], "AssignPublicIp": "true""#),
            &format!("{vpc}.AssignPublicIp"),
            "`true` is none of ENABLED, DISABLED",
        ),
        (
            network(&format!(r#""Subnets": "subnet-1", {rest}"#)),
            &format!("{vpc}.Subnets"),
            "expected a list, found text",
        ),
        (network(rest), "Subnets", "`Subnets` is missing"),
        (
            capacity(r#"{"CapacityProvider": "FARGATE", "Weight": 2000}"#),
            "CapacityProviderStrategy[0].Weight",
            "expected a whole number of 0 to 1000",
        ),
        (
            capacity(r#"{"CapacityProvider": "FARGATE", "Base": "many"}"#),
            "CapacityProviderStrategy[0].Base",
            "expected a whole number of 0 to 100000",
        ),
        (
            capacity(
                r#"{"CapacityProvider": "A", "Weight": 1, "Base": 1}, {"CapacityProvider": "B", "Base": "2"}"#,
            ),
            "CapacityProviderStrategy[1].Base",
            "only one capacity provider of a strategy can have a base",
        ),
        (
            capacity(r#"{"CapacityProvider": "A"}, {"CapacityProvider": "B"}"#),
            "CapacityProviderStrategy",
            "no capacity provider has a weight, so that no task can be placed",
        ),
        (capacity(r#"{"Weight": 1}"#), "CapacityProviderStrategy[0]", "`capacityProvider` is missing"),
        (r#""LaunchType": "FARGATE""#.to_owned(), "LaunchType", "unknown name `LaunchType`"),
    ] {
        let (application, spec) =
            (code_deploy("{codeDeploy: {appSpec: appspec.json}}"), with_properties(&properties));
        let entries = [("api.yaml", &*application), ("test.yaml", ENVIRONMENT), ("appspec.json", &spec)];
        let declaration = read_files(&entries);
        let found: Vec<_> =
            declaration.findings.iter().map(|finding| (&*finding.field, &*finding.message)).collect();
        assert_eq!(found, [(field, message)], "{properties}");
        assert_eq!(declaration.findings[0].position.line, 2);
        assert!(matches!(declaration.applications[0], Declared::Frozen(_)));
    }
    let taken = format!(
        "{}, {}",
        network(&format!(r#""Subnets": {}, {rest}"#, subnets(16))),
        capacity(
            r#"{"Base": 1, "CapacityProvider": "FARGATE_SPOT", "Weight": "2"}, {"base": 0, "capacityProvider": "FARGATE", "weight": 1}"#
        )
    );
    settings("{codeDeploy: {appSpec: appspec.json}}", &with_properties(&taken));
}

#[test]
fn what_an_app_spec_may_be_is_taken_and_what_has_no_effect_is_told() {
    let hooks = r#""hooks": [{"beforeInstall": "check:live"}, {"AfterAllowTraffic": "arn:aws:lambda:eu-west-2:123456789012:function:check"}]"#;
    let version = format!("appspec.json:1:13 {VERSION}");
    for (from, to, expected) in [
        ("0.0", "0", None),
        ("0.0", "\"0.0\"", None),
        ("0.0", "1", Some(&*version)),
        ("0.0", "\"0.1\"", Some(&version)),
        ("\"version\": 0.0", hooks, None),
        ("\"version\": 0.0", "\"Hooks\": null", None),
        (
            "\"version\": 0.0",
            r#""Hooks": [{"AfterInstall": "one"}, {"afterInstall": "two"}]"#,
            Some(
                "appspec.json:1:38 the hook `afterInstall` is there already, and runs once a deployment | remove one of them: one function for each hook",
            ),
        ),
        (
            "\"containerPort\": 8080",
            "\"containerPort\": 8080, \"Weight\": 1",
            Some(
                "appspec.json:2:111 `Weight` has no effect: LoadBalancerInfo has ContainerName, ContainerPort",
            ),
        ),
        (
            "\"version\": 0.0",
            &*hooks.replace("hooks", "Hoks"),
            Some(
                "appspec.json:1:2 `Hoks` has no effect: an AppSpec has version, Resources, Hooks | did you mean `Hooks`?",
            ),
        ),
    ] {
        let application = code_deploy("{codeDeploy: {appSpec: appspec.json}}");
        let spec = SPEC.replacen(from, to, 1);
        let entries =
            [("api.yaml", application.as_str()), ("test.yaml", ENVIRONMENT), ("appspec.json", &spec)];
        let declaration = read_files(&entries);
        assert_eq!(said(&declaration), expected.into_iter().collect::<Vec<_>>(), "{to}");
        assert!(matches!(declaration.applications[0], Declared::Readable(_)), "{to}");
    }
}

#[test]
fn an_app_spec_without_a_version_is_taken_and_gets_one() {
    let content = settings("{codeDeploy: {appSpec: appspec.json}}", &SPEC.replace(r#""version": 0.0, "#, ""))
        .app_spec
        .unwrap()
        .content;
    assert_eq!(content, serde_json::from_str::<Value>(SPEC).unwrap());
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
    let application = |flag: &str| {
        code_deploy("codeDeploy")
            + &format!(
                "  serviceSettings: {{deploymentConfiguration: {{deploymentCircuitBreaker: {{enable: {flag}, rollback: {flag}}}}}}}\n"
            )
    };
    check(
        &[("api.yaml", &application("true")), ("test.yaml", ENVIRONMENT)],
        &[
            "api.yaml:8:47 `deploymentCircuitBreaker` of a service that CodeDeploy deploys cannot be set | CodeDeploy rolls back by its deployment group",
        ],
        &["test/api"],
    );
    check(&[("api.yaml", &application("false")), ("test.yaml", ENVIRONMENT)], &[], &[]);
    let group = "{codeDeploy: {application: API, deploymentGroup: G}}";
    let web = code_deploy(group).replace("{name: api}", "{name: web}").replace("mco-api", "web");
    let environment = format!("{ENVIRONMENT}    web: {{ commit: 3f2c1ab }}\n");
    check(
        &[("api.yaml", &code_deploy(group)), ("web.yaml", &web), ("test.yaml", &environment)],
        &[
            "test.yaml:7:5 the CodeDeploy group is claimed by test/api (test.yaml:7) and test/web (test.yaml:8) | it can belong to only one application in one environment",
        ],
        &["test/api", "test/web"],
    );
}
