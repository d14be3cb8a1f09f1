//! Names that AWS would refuse are findings where they stand, wherever that is.

use super::*;

/// What no name of AWS is; a role, a listener and an alarm aside.
const HOSTILE: [&str; 9] =
    ["", "*", "a*", "-rf", "${x}", "evil.com/#", "a\u{1b}b", "arn:aws:iam::*:role/*", "a b"];

const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-west-2:123456789012:listener/app/mco/50dc6c495c0c9188/f2f7dc8efc522ab2";

/// A file with `@` where the name stands, and the line it stands in.
fn places() -> Vec<(&'static str, String, usize)> {
    let application = |line: &str| format!("{APPLICATION}  {line}\n");
    let create = |line: &str| {
        application(&format!(
            "strategy: {{codeDeploy: {{create: {{serviceRole: 'arn:aws:iam::123456789012:role/r', productionListener: '{LISTENER}', targetGroups: [a, b], {line}}}}}}}"
        ))
    };
    let balancer = |member: &str| {
        application(&format!(
            "serviceSettings: {{loadBalancers: [{{advancedConfiguration: {{{member}: @}}}}]}}"
        ))
    };
    let environment = |line: &str| ENVIRONMENT.replace("  cluster: mco\n", &format!("  {line}\n"));
    vec![
        ("api.yaml", APPLICATION.replace("mco/api", "@"), 5),
        ("api.yaml", APPLICATION.replace("mco-api-{environment}", "@"), 6),
        ("api.yaml", application("cluster: @"), 7),
        ("api.yaml", application("environmentTag: @"), 7),
        ("api.yaml", application("containers: [@]"), 7),
        ("api.yaml", application("registry: {region: @}"), 7),
        ("api.yaml", application("registry: {account: @}"), 7),
        ("api.yaml", application("taskDefinition: {from: family, family: @}"), 7),
        ("api.yaml", application("strategy: {codeDeploy: {application: @}}"), 7),
        ("api.yaml", application("strategy: {codeDeploy: {deploymentGroup: @}}"), 7),
        ("api.yaml", application("strategy: {codeDeploy: {deploymentConfig: @}}"), 7),
        ("api.yaml", create("testListener: @"), 7),
        ("api.yaml", create("readyWait: 1m").replace("'arn:aws:iam::123456789012:role/r'", "@"), 7),
        ("api.yaml", create("readyWait: 1m").replace("[a, b]", "[a, @]"), 7),
        ("api.yaml", create("readyWait: 1m").replace(&format!("'{LISTENER}'"), "@"), 7),
        ("api.yaml", application("images: [{name: a, repository: @, container: a}]"), 7),
        ("api.yaml", application("images: [{name: a, repository: mco/a, container: @}]"), 7),
        ("api.yaml", application("images: [{name: a, repository: mco/a, containers: [@]}]"), 7),
        (
            "api.yaml",
            application("serviceSettings: {volumeConfigurations: [{managedEBSVolume: {roleArn: @}}]}"),
            7,
        ),
        ("api.yaml", application("serviceSettings: {loadBalancers: [{containerName: @}]}"), 7),
        ("api.yaml", application("serviceSettings: {loadBalancers: [{targetGroupArn: @}]}"), 7),
        ("api.yaml", application("serviceSettings: {serviceRegistries: [{registryArn: @}]}"), 7),
        ("api.yaml", application("serviceSettings: {capacityProviderStrategy: [{capacityProvider: @}]}"), 7),
        ("api.yaml", balancer("alternateTargetGroupArn"), 7),
        ("api.yaml", balancer("productionListenerRule"), 7),
        ("api.yaml", balancer("testListenerRule"), 7),
        ("test.yaml", environment("account: @"), 5),
        ("test.yaml", environment("region: @"), 5),
        ("test.yaml", environment("account: @\n  cluster: mco\n  registry: {account: '123456789012'}"), 5),
        ("test.yaml", environment("region: @\n  cluster: mco\n  registry: {region: eu-west-2}"), 5),
        ("test.yaml", environment("cluster: @"), 5),
        ("test.yaml", environment("environmentTag: @"), 5),
        ("test.yaml", environment("registry: {region: @}"), 5),
        ("test.yaml", entry("{ commit: 3f2c1ab, service: @ }"), 7),
        ("test.yaml", entry("{ commit: @ }"), 7),
        ("test.yaml", entry("{ release: @ }"), 7),
    ]
}

/// The declaration with a name in its place.
fn read_with(file: &str, text: &str, name: &str) -> Declaration {
    let text = text.replace('@', &serde_json::to_string(name).unwrap());
    let mut files = files(&[("api.yaml", APPLICATION), ("test.yaml", ENVIRONMENT)]);
    files.insert(file.to_owned(), Ok(text));
    read(&files, None, &crate::aws::check_shape)
}

fn is_harmless(looked_at: Option<&Desired>, name: &str) -> bool {
    let Some(desired) = looked_at else { return true };
    let region = [desired.region.as_ref(), desired.registry.region.as_ref()].into_iter().flatten();
    let account = [desired.account.as_ref(), desired.registry.account.as_ref()].into_iter().flatten();
    let mut names =
        vec![desired.cluster.as_str(), desired.name_in_cluster(), desired.environment_tag.as_str()];
    names
        .extend(region.map(crate::model::Region::as_str).chain(account.map(crate::model::AccountId::as_str)));
    names.extend(
        desired.images.iter().flat_map(|image| [image.repository.as_str(), image.commit_tag.as_str()]),
    );
    if let crate::model::TaskDefinitionSource::Family(family) = &desired.task_definition {
        names.push(family);
    }
    if let crate::model::Strategy::CodeDeploy(settings) = &desired.strategy {
        names.extend(settings.application.iter().chain(&settings.group).map(String::as_str));
    }
    !names.contains(&name)
}

#[test]
fn a_name_that_aws_would_refuse_is_a_finding_where_it_stands() {
    for (file, text, line) in places() {
        for name in HOSTILE {
            let declaration = read_with(file, &text, name);
            let at = |finding: &&crate::model::Finding| {
                finding.position.file == file && finding.position.line == line && finding.hint.is_some()
            };
            let found: Vec<_> = declaration.findings.iter().filter(at).collect();
            assert_eq!(found.len(), 1, "{text} with {name:?}: {:#?}", declaration.findings);
            assert!(matches!(declaration.applications[0], Declared::Frozen(_)), "{text} with {name:?}");
            // What is frozen is looked at all the same, and a name like this never gets into a request.
            assert!(is_harmless(declaration.applications[0].observable(), name), "{text} with {name:?}");
            let placed = text.lines().nth(line - 1).unwrap();
            assert_eq!(found[0].position.column, placed.find('@').unwrap() + 1, "{text} with {name:?}");
            assert!(!found[0].message.contains('\u{1b}'), "{:?}", found[0]);
        }
    }
}

#[test]
fn names_of_a_task_definition_are_looked_at_once_it_is_filled_in() {
    let application =
        format!("{APPLICATION}  taskDefinition: taskdef.json\n  values: {{ROLE: execution, LEVEL: debug}}\n");
    let check_file = |from: &str, to: &str, finding: &str| {
        let file = TASK_DEFINITION.replace(from, to);
        let entries =
            [("api.yaml", application.as_str()), ("test.yaml", ENVIRONMENT), ("taskdef.json", file.as_str())];
        let said = said(&read_files(&entries));
        let names: Vec<&String> = said.iter().filter(|said| said.contains(" cannot be ")).collect();
        if finding.is_empty() {
            assert_eq!(names, Vec::<&String>::new(), "{to}");
        } else {
            assert!(matches!(names.as_slice(), [one] if one.starts_with(finding)), "{to}: {said:#?}");
        }
    };
    let family = "\"family\": \"mco-api\",";
    let role = |role: &str| format!("{family} \"executionRoleArn\": \"{role}\",");
    check_file(
        family,
        "\"family\": \"mco/api\",",
        "taskdef.json:3:15 `mco/api` cannot be a task definition family",
    );
    check_file("\"name\": \"api\"", "\"name\": \"a b\"", "taskdef.json:6:16 `a b` cannot be a container");
    check_file(
        family,
        &role("arn:aws:iam::*:role/*"),
        "taskdef.json:3:46 `arn:aws:iam::*:role/*` cannot be an IAM role",
    );
    check_file(family, &role("<ROLE>/*"), "taskdef.json:3:46 `execution/*` cannot be an IAM role");
    for good in ["", "<ROLE>", "arn:aws:iam::123456789012:role/<ENVIRONMENT>/<ROLE>"] {
        check_file(family, &role(good), "");
    }
    check_file(family, &role("<MISSING>"), "");
    let task_role = role("a b").replace("executionRoleArn", "taskRoleArn");
    check_file(family, &task_role, "taskdef.json:3:41 `a b` cannot be an IAM role");
    let without_image = "\"containerDefinitions\": [{\"name\": \"x\", \"image\": \"\"}, ";
    check_file("\"containerDefinitions\": [", without_image, "");
}

#[test]
fn an_alarm_may_have_any_name_and_null_is_none() {
    let said = |settings: &str| {
        let application = format!("{APPLICATION}  serviceSettings: {{{settings}}}\n");
        said(&read_files(&[("api.yaml", application.as_str()), ("test.yaml", ENVIRONMENT)]))
    };
    let alarms = |name: &str| {
        format!("deploymentConfiguration: {{alarms: {{alarmNames: [{name}], enable: true, rollback: true}}}}")
    };
    assert_eq!(said(&alarms("\"errors, 5 %\"")), Vec::<String>::new());
    assert!(
        matches!(said(&alarms("\"\"")).as_slice(), [one] if one.contains("cannot be a CloudWatch alarm"))
    );
    assert_eq!(said("loadBalancers: [{containerName: null}]"), Vec::<String>::new());
}

#[test]
fn names_are_looked_at_as_they_come_out_of_the_expansion() {
    let environment = ENVIRONMENT.replace("{name: test}", "{name: v1.2}");
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &environment)],
        &[
            "api.yaml:6:12 `mco-api-v1.2` cannot be an ECS service | 1 to 255 letters, digits, `-` and `_`, not beginning with `-`",
        ],
        &["v1.2/api"],
    );
    let application = APPLICATION.replace("{environment}", "{env}");
    check(
        &[("api.yaml", &application), ("test.yaml", ENVIRONMENT)],
        &["api.yaml:6:12 nothing replaces {env} | did you mean `{environment}`?"],
        &["test/api"],
    );
    let filled = ENVIRONMENT
        .replace("cluster: mco", "cluster: \"mco-{environment}\"\n  environmentTag: \"on-{environment}\"");
    let api = desired(&read_files(&[("api.yaml", APPLICATION), ("test.yaml", &filled)]), "test/api");
    assert_eq!((api.cluster.as_str(), api.environment_tag.as_str()), ("mco-test", "on-test"));
}

#[test]
fn a_document_is_named_as_a_tag_and_a_path_can_be() {
    for name in ["-rf", ".hidden", "..", "", "a/b", "*"] {
        let environment = ENVIRONMENT.replace("{name: test}", &format!("{{name: \"{name}\"}}"));
        let declaration = read_files(&[("api.yaml", APPLICATION), ("test.yaml", &environment)]);
        assert!(declaration.applications.is_empty(), "{name}");
        assert!(said(&declaration)[0].contains("needs a name of letters"), "{name}");
    }
}
