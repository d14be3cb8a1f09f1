//! What a repository needs, and how much of it fits.

use std::fmt::Write as _;

use super::*;
use crate::manifest::{self, Files};
use crate::model::{
    AccountId, ClusterName, Declared, Region, RepositoryName, RolePattern, ServiceName, Workload,
};

/// One environment with these lines and applications: name and specification.
fn declaration(lines: &str, applications: &[(String, String)]) -> Declaration {
    let mut files = Files::new();
    let mut entries = String::new();
    for (name, specification) in applications {
        let text = format!(
            "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec: {{{specification}}}\n"
        );
        files.insert(format!("{name}.yaml"), Ok(text));
        let _ = writeln!(entries, "    {name}: {{commit: aaaaaaa}}");
    }
    let environment = format!(
        "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec:\n  cluster: mco\n{lines}  applications:\n{entries}"
    );
    files.insert("test.yaml".to_owned(), Ok(environment));
    files.insert("taskdef.json".to_owned(), Ok(TASK_DEFINITION.to_owned()));
    let declaration = manifest::read(&files, None, &|_, _| Vec::new());
    assert_eq!(declaration.findings, []);
    declaration
}

const PLACE: &str = "  account: \"123456789012\"\n  region: eu-west-2\n";
const TASK_DEFINITION: &str = r#"{"family": "api", "taskRoleArn": "arn:aws:iam::123456789012:role/teams/api",
    "executionRoleArn": "ecsTaskExecutionRole", "containerDefinitions": [{"name": "api", "memory": 64, "image": "<IMAGE_NAME>"}]}"#;

/// The policy of one application.
fn one(lines: &str, specification: &str, access: Access) -> Policy {
    let specification = format!("repository: mco/api, service: api, {specification}");
    policy(&declaration(lines, &[("api".to_owned(), specification)]), access).unwrap()
}

/// The resources of a statement, up to what all of them begin with.
fn resources(policy: &Policy, name: &str) -> Vec<String> {
    let statements = policy.document["Statement"].as_array().unwrap();
    let Some(statement) = statements.iter().find(|statement| statement["Sid"] == name) else {
        return Vec::new();
    };
    let resources = statement["Resource"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
    resources.map(|one| one.replace(":eu-west-2:123456789012:", ":").replace("arn:aws:", "")).collect()
}

fn many(count: usize, specification: impl Fn(usize) -> String) -> Declaration {
    let applications = (0..count).map(|number| (format!("app{number}"), specification(number)));
    declaration(PLACE, &applications.collect::<Vec<_>>())
}

fn rolling(count: usize) -> Declaration {
    many(count, |number| {
        format!("repository: mco/app{number}, service: 'mco-app{number}-{{environment}}', strategy: rolling")
    })
}

#[track_caller]
fn check_fits(declaration: &Declaration) {
    for access in [Access::Read, Access::Write] {
        let policy = policy(declaration, access).unwrap();
        assert!(
            policy.characters <= MOST_CHARACTERS,
            "{} of {}",
            policy.characters,
            policy.characters_by_name
        );
    }
}

#[test]
fn while_it_fits_every_resource_stands_by_its_name() {
    let policy = policy(&rolling(5), Access::Write).unwrap();
    assert_eq!(policy.characters, policy.characters_by_name);
    assert_eq!(resources(&policy, "ReadServices").len(), 3 * 5);
    assert_eq!(resources(&policy, "ReadServices")[14], "ecs:service/mco/mco-app4-test");
}

#[test]
fn the_longest_statement_is_widened_first_and_the_others_only_if_they_must() {
    let declaration = rolling(20);
    check_fits(&declaration);
    let policy = policy(&declaration, Access::Write).unwrap();
    assert!(policy.characters_by_name > MOST_CHARACTERS);
    let reads =
        ["ecs:service-deployment/mco/mco-*/*", "ecs:service-revision/mco/mco-*/*", "ecs:service/mco/mco-*"];
    assert_eq!(resources(&policy, "ReadServices"), reads);
    assert_eq!(resources(&policy, "ReadImages").len(), 20);
    assert_eq!(resources(&policy, "UpdateServices").len(), 20);
    assert_eq!(resources(&policy, "MoveTags").len(), 20);
}

#[test]
fn the_policy_of_many_services_names_patterns_and_never_everything() {
    for count in [100, 1000] {
        let declaration = rolling(count);
        check_fits(&declaration);
        let policy = policy(&declaration, Access::Write).unwrap();
        assert_eq!(resources(&policy, "UpdateServices"), ["ecs:service/mco/mco-*"]);
        assert_eq!(resources(&policy, "MoveTags"), ["ecr:repository/mco/*"]);
    }
}

#[test]
fn names_without_a_common_word_are_widened_to_their_cluster_and_no_further() {
    let declaration =
        many(1000, |number| format!("repository: r{number}, service: s{number}-x, strategy: rolling"));
    let policy = policy(&declaration, Access::Write).unwrap();
    check_fits(&declaration);
    assert_eq!(resources(&policy, "UpdateServices"), ["ecs:service/mco/*"]);
    assert_eq!(resources(&policy, "MoveTags"), ["ecr:repository/*"]);
}

#[test]
fn a_cluster_for_each_service_fits_too() {
    let declaration = many(100, |number| {
        format!("repository: mco/app{number}, service: api, cluster: mco{number}, strategy: rolling")
    });
    check_fits(&declaration);
    assert_eq!(resources(&policy(&declaration, Access::Write).unwrap(), "UpdateServices"), ["ecs:service/*"]);
}

#[test]
fn a_role_is_named_by_its_arn_also_where_the_file_has_its_name_alone() {
    let policy = one(PLACE, "taskDefinition: taskdef.json", Access::Write);
    let roles = ["iam::123456789012:role/ecsTaskExecutionRole", "iam::123456789012:role/teams/api"];
    assert_eq!(resources(&policy, "PassRolesToTasks"), roles);
}

#[test]
fn roles_in_the_settings_of_a_service_are_passed_to_ecs() {
    let role = |name: &str| format!("roleArn: 'arn:aws:iam::123456789012:role/{name}'");
    let settings = format!(
        "strategy: rolling, serviceSettings: {{volumeConfigurations: [{{name: data, managedEBSVolume: {{{}}}}}], loadBalancers: [{{advancedConfiguration: {{{}}}}}]}}",
        role("volumes"),
        role("hooks")
    );
    let policy = one(PLACE, &settings, Access::Write);
    let roles = ["iam::123456789012:role/hooks", "iam::123456789012:role/volumes"];
    assert_eq!(resources(&policy, "PassRolesToEcs"), roles);
    assert!(policy.document.to_string().contains(r#"{"iam:PassedToService":"ecs.amazonaws.com"}"#));
    assert_eq!(resources(&one(PLACE, "strategy: rolling", Access::Write), "PassRolesToEcs"), [""; 0]);
}

#[test]
fn an_environment_that_is_only_observed_gives_no_right_to_write() {
    let observed = one(&format!("{PLACE}  mode: observe\n"), "strategy: rolling", Access::Write);
    let looked = one(PLACE, "strategy: rolling", Access::Read);
    assert_eq!(observed, looked);
}

#[test]
fn an_arn_begins_with_the_partition_of_its_region() {
    for (region, partition) in [
        ("region: eu-west-2", "aws"),
        ("region: eu-central-1", "aws"),
        ("region: cn-north-1", "aws-cn"),
        ("region: us-gov-west-1", "aws-us-gov"),
        ("region: us-iso-east-1", "aws-iso"),
        ("region: us-isob-east-1", "aws-iso-b"),
        ("region: eu-isoe-west-1", "aws-iso-e"),
        ("region: us-isof-south-1", "aws-iso-f"),
        ("region: eusc-de-east-1", "aws-eusc"),
        ("", "*"),
    ] {
        let policy = one(&format!("  {region}\n"), "strategy: rolling", Access::Write);
        let update = &resources(&policy, "UpdateServices")[0];
        let expected = if partition == "aws" { "ecs:".to_owned() } else { format!("arn:{partition}:ecs:") };
        assert!(update.starts_with(&expected), "{region}: {update}");
    }
}

#[test]
fn a_wildcard_in_a_name_is_refused_whatever_read_the_files_before() {
    type Change = fn(&mut Desired, &str);
    let changes: [(&str, Change); 12] = [
        ("account", |one, text| one.account = Some(AccountId::new(text))),
        ("region", |one, text| one.region = Some(Region::new(text))),
        ("cluster", |one, text| one.cluster = ClusterName::new(text)),
        ("service", |one, text| one.workload = Workload::Service(ServiceName::new(text))),
        ("repository", |one, text| one.images[0].repository = RepositoryName::new(text)),
        ("registry", |one, text| one.registry.account = Some(AccountId::new(text))),
        ("registry's region", |one, text| one.registry.region = Some(Region::new(text))),
        ("family", |one, text| one.task_definition = TaskDefinitionSource::Family(text.to_owned())),
        ("role", |one, text| {
            let input = json!({"family": "f", "taskRoleArn": text});
            one.task_definition = TaskDefinitionSource::File { path: String::new(), input: input.into() };
        }),
        ("settings", |one, text| {
            one.service_settings = Some(json!({"volumeConfigurations": [{"roleArn": text}]}));
        }),
        ("application", |one, text| {
            let application = Some(text.to_owned());
            one.strategy =
                Strategy::CodeDeploy(Box::new(CodeDeploy { application, ..CodeDeploy::default() }));
        }),
        ("group", |one, text| {
            let group = Some(text.to_owned());
            one.strategy = Strategy::CodeDeploy(Box::new(CodeDeploy { group, ..CodeDeploy::default() }));
        }),
    ];
    for (what, change) in changes {
        for name in ["*", "mco-?", "${aws:username}", "arn:aws:iam::*:role/*"] {
            let mut declaration = rolling(1);
            let Declared::Readable(desired) = &mut declaration.applications[0] else { panic!("{what}") };
            change(desired, name);
            for access in [Access::Read, Access::Write] {
                assert_eq!(policy(&declaration, access).unwrap_err().name, name, "{what}");
            }
        }
    }
}

#[test]
fn every_role_is_passed_only_where_nobody_says_which_and_that_is_told() {
    let found = |specification: &str, allowed: Option<&[&str]>| {
        let specification = format!("repository: mco/api, service: api, strategy: rolling, {specification}");
        let mut declaration = declaration(PLACE, &[("api".to_owned(), specification)]);
        let Declared::Readable(desired) = &mut declaration.applications[0] else { panic!() };
        desired.allowed_roles =
            allowed.map(|roles| roles.iter().map(|role| RolePattern::new(*role)).collect());
        let policy = policy(&declaration, Access::Write).unwrap();
        (resources(&policy, "PassRolesToTasks"), policy.any_role.len())
    };
    let all = vec!["iam::123456789012:role/*".to_owned()];
    assert_eq!(found("", None), (all.clone(), 1));
    assert_eq!(found("taskDefinition: {from: family, family: api}", None), (all.clone(), 1));
    assert_eq!(found("", Some(&["mco-*", "*"])).1, 1, "that is no bound");
    let file = ["iam::123456789012:role/ecsTaskExecutionRole", "iam::123456789012:role/teams/api"];
    assert_eq!(found("taskDefinition: taskdef.json", None), (file.map(str::to_owned).to_vec(), 0));
    let bounds = ["mco-*", "arn:aws:iam::123456789012:role/teams/*"];
    let allowed = ["iam::123456789012:role/mco-*", "iam::123456789012:role/teams/*"];
    assert_eq!(found("", Some(&bounds)), (allowed.map(str::to_owned).to_vec(), 0));
    assert_eq!(found("", Some(&[])), (Vec::new(), 0));
}

const NATIVE: &str = "strategy: {canary: {traffic: [{container: api, port: 80, targetGroups: [a, b],
    productionRule: 'arn:aws:elasticloadbalancing:eu-west-2:123456789012:listener-rule/app/mco/1/1/1', role: traffic}],
    hooks: [{lambda: smoke, role: 'arn:aws:iam::123456789012:role/hooks', at: [preScaleUp]}, {pause: us, at: [preScaleUp]}]}}";

#[test]
fn a_native_strategy_passes_its_roles_and_reads_load_balancers() {
    let policy = one(PLACE, NATIVE, Access::Write);
    let roles = ["iam::123456789012:role/hooks", "iam::123456789012:role/traffic"];
    assert_eq!(resources(&policy, "PassRolesToEcs"), roles);
    assert_eq!(resources(&policy, "UpdateServices"), ["ecs:service/mco/api"]);
    assert!(resources(&policy, "Deploy").is_empty());
    for (strategy, reads) in [(NATIVE, true), ("strategy: rolling", false), ("containers: [api]", true)] {
        let policy = one(PLACE, strategy, Access::Read);
        assert_eq!(!resources(&policy, "ReadLoadBalancers").is_empty(), reads, "{strategy}");
    }
}

#[test]
fn the_logs_of_what_fails_are_read_where_they_are_known_to_be() {
    let logs = |specification: &str, definition: &str| {
        let specification = format!("repository: mco/api, service: api, {specification}");
        let mut declared = declaration(PLACE, &[("api".to_owned(), specification)]);
        for one in &mut declared.applications {
            let Declared::Readable(desired) = one else { continue };
            if let Some(patch) = desired.overlay.patch.as_mut().filter(|_| definition != "null") {
                patch["containerDefinitions"][0]["logConfiguration"] =
                    serde_json::from_str(definition).unwrap();
            }
            if let TaskDefinitionSource::File { input, .. } = &mut desired.task_definition {
                std::sync::Arc::make_mut(input)["containerDefinitions"][0]["logConfiguration"] =
                    serde_json::from_str(definition).unwrap();
            }
        }
        let policy = policy(&declared, Access::Read);
        policy.map(|policy| resources(&policy, "ReadLogs"))
    };
    let file = "taskDefinition: taskdef.json";
    let kept =
        |group: &str| format!(r#"{{"logDriver": "awslogs", "options": {{"awslogs-group": "{group}"}}}}"#);
    assert_eq!(logs(file, &kept("/mco/api")).unwrap(), ["logs:log-group:/mco/api:log-stream:*"]);
    let far =
        r#"{"logDriver": "awslogs", "options": {"awslogs-group": "api", "awslogs-region": "eu-west-1"}}"#;
    assert_eq!(logs(file, far).unwrap(), ["logs:eu-west-1:123456789012:log-group:api:log-stream:*"]);
    assert!(logs(file, r#"{"logDriver": "splunk"}"#).unwrap().is_empty());
    assert_eq!(logs("containers: [api]", "null").unwrap(), ["logs:log-group:*:log-stream:*"]);
    assert_eq!(logs(file, &kept("/mco/*")).unwrap_err().name, "/mco/*");
    let patch = |region: &str, group: &str| {
        format!(
            "taskDefinitionPatch: {{containerDefinitions: [{{name: api, image: x, memory: 1, logConfiguration: {{logDriver: awslogs, options: {{awslogs-region: {region}, awslogs-group: {group}}}}}}}]}}, containers: [api]"
        )
    };
    let all = "logs:log-group:*:log-stream:*";
    assert_eq!(logs(&patch("eu-west-2", "api"), "null").unwrap(), [all]);
    let far = "logs:eu-west-1:123456789012:log-group:api:log-stream:*";
    assert_eq!(logs(&patch("eu-west-1", "api"), "null").unwrap(), [far, all]);
    assert_eq!(logs(&patch("eu-west-1", "api"), &kept("/mco/*")).unwrap_err().name, "/mco/*");
}

/// Applications of two environments, of which one is in the account of a role.
fn two_accounts() -> (Declaration, Accounts) {
    let mut near = declaration(PLACE, &[("api".to_owned(), "repository: mco/api, service: api".to_owned())]);
    let far = PLACE.replace("123456789012", "210987654321");
    let far = declaration(&far, &[("web".to_owned(), "repository: mco/web, service: web".to_owned())]);
    near.applications.extend(far.applications);
    let name = crate::accounts::RoleName::Name("ops/trueup".to_owned());
    let role = crate::accounts::Role { name, external_id: None };
    let roles = ["210987654321", "333333333333"].map(|account| (AccountId::new(account), role.clone()));
    (near, Accounts::new(roles))
}

fn operated(accounts: &Accounts) -> Operated<'_> {
    Operated { accounts, lease_table: None, topics: &[], buses: &[] }
}

#[test]
fn the_credentials_keep_the_leases_and_no_spoke_does() {
    let (declaration, accounts) = two_accounts();
    let operated = Operated { lease_table: Some("trueup-leases"), ..self::operated(&accounts) };
    for access in [Access::Read, Access::Write] {
        let hub = hub(&declaration, operated, access).unwrap();
        assert_eq!(resources(&hub, "KeepLeases"), ["arn:*:dynamodb:*:*:table/trueup-leases"]);
    }
    let spoke = spoke(&declaration, &AccountId::new("210987654321"), Access::Write).unwrap();
    assert!(!spoke.document.to_string().contains("dynamodb"));
}

#[test]
fn the_credentials_may_tell_the_receivers_of_the_settings_and_no_spoke_may() {
    let (declaration, accounts) = two_accounts();
    let topics = ["arn:aws:sns:eu-west-2:123456789012:alerts".to_owned()];
    let buses = ["default", "arn:aws:events:eu-west-2:210987654321:event-bus/alerts"].map(str::to_owned);
    let operated = Operated { topics: &topics, buses: &buses, ..self::operated(&accounts) };
    let expected = ["arn:*:events:*:*:event-bus/default", "events:eu-west-2:210987654321:event-bus/alerts"];
    for access in [Access::Read, Access::Write] {
        let policy = hub(&declaration, operated, access).unwrap();
        assert_eq!(resources(&policy, "PublishAlerts"), ["sns:alerts"]);
        assert_eq!(resources(&policy, "PutAlerts"), expected);
    }
    let silent = hub(&declaration, self::operated(&accounts), Access::Write).unwrap();
    let spoke = spoke(&declaration, &AccountId::new("210987654321"), Access::Write).unwrap();
    for policy in [silent, spoke] {
        let text = policy.document.to_string();
        assert!(!text.contains("sns:Publish") && !text.contains("events:PutEvents"), "{text}");
    }
}

#[test]
fn the_hub_may_assume_the_roles_of_declared_accounts_and_nothing_more_in_them() {
    let (declaration, accounts) = two_accounts();
    for access in [Access::Read, Access::Write] {
        let hub = hub(&declaration, operated(&accounts), access).unwrap();
        assert_eq!(resources(&hub, "AssumeRoles"), ["iam::210987654321:role/ops/trueup"]);
        let without = hub.document.to_string().replace("210987654321:role/ops/trueup", "");
        assert!(without.contains("service/mco/api") && !without.contains("210987654321"), "{without}");
    }
    let everywhere = hub(&declaration, operated(&Accounts::default()), Access::Write).unwrap();
    assert_eq!(everywhere, policy(&declaration, Access::Write).unwrap());
}

#[test]
fn the_role_of_a_spoke_is_for_its_own_account_alone() {
    let (declaration, _) = two_accounts();
    let spoke = spoke(&declaration, &AccountId::new("210987654321"), Access::Write).unwrap();
    let text = spoke.document.to_string();
    assert!(text.contains(":210987654321:service/mco/web"), "{text}");
    assert!(!text.contains("123456789012") && !text.contains("sts:"), "{text}");
}

#[test]
fn a_trust_policy_names_who_may_assume_the_role_and_asks_for_an_id_that_it_does_not_tell() {
    let trusted = trust("arn:aws:iam::123456789012:role/trueup", true);
    let statement = &trusted["Statement"][0];
    assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::123456789012:role/trueup");
    assert_eq!(statement["Condition"]["StringEquals"]["sts:ExternalId"], EXTERNAL_ID);
    assert_eq!(trust("x", false)["Statement"][0].get("Condition"), None);
}

#[test]
fn the_roles_of_a_hundred_accounts_stand_by_their_names() {
    let (mut all, _) = two_accounts();
    let accounts: Vec<AccountId> = (0..100).map(|number| AccountId::new(format!("{number:012}"))).collect();
    let far = all.applications.pop().unwrap();
    for account in &accounts {
        let mut far = far.clone();
        if let Declared::Readable(desired) = &mut far {
            desired.account = Some(account.clone());
        }
        all.applications.push(far);
    }
    let name = crate::accounts::RoleName::Name("trueup".to_owned());
    let role = crate::accounts::Role { name, external_id: None };
    let roles = Accounts::new(accounts.into_iter().map(|account| (account, role.clone())));
    let hub = hub(&all, operated(&roles), Access::Write).unwrap();
    assert_eq!(resources(&hub, "AssumeRoles").len(), 100);
    assert!(!hub.document["Statement"][0].to_string().contains('*'), "{:#}", hub.document);
}

#[test]
fn a_task_is_run_and_stopped_and_no_service_is_updated_for_it() {
    let file = r#"{"family": "migrate", "taskRoleArn": "arn:aws:iam::123456789012:role/tasks", "networkMode": "awsvpc", "containerDefinitions": [{"name": "api", "image": "<IMAGE_NAME>", "memory": 64}]}"#;
    let task = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: migrate}\nspec:\n  repository: mco/api\n  taskDefinition: migrate.json\n  strategy: {task: {network: {like: api}}}\n";
    let environment = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec: {account: \"123456789012\", region: eu-west-2, cluster: mco, applications: {migrate: {commit: bbbbbbb}}}\n";
    let files = [("a.yaml", task), ("b.yaml", environment), ("migrate.json", file)];
    let files: Files = files.map(|(path, text)| (path.to_owned(), Ok(text.to_owned()))).into();
    let declaration = manifest::read(&files, None, &|_, _| Vec::new());
    assert_eq!(declaration.findings, []);
    let policy = policy(&declaration, Access::Write).unwrap();
    assert_eq!(resources(&policy, "RunTasks"), ["ecs:task-definition/migrate:*"]);
    assert_eq!(resources(&policy, "StopTasks"), ["ecs:task/mco/*"]);
    assert_eq!(resources(&policy, "ReadServices"), ["ecs:service/mco/api"]);
    assert_eq!(resources(&policy, "PassRolesToTasks"), ["iam::123456789012:role/tasks"]);
    for unneeded in ["UpdateServices", "MoveTags", "Deploy"] {
        assert_eq!(resources(&policy, unneeded), Vec::<String>::new(), "{unneeded}");
    }
}

#[test]
fn a_rule_and_a_schedule_are_written_and_their_roles_passed_to_those_who_use_them() {
    let file = r#"{"family": "nightly", "containerDefinitions": [{"name": "api", "image": "<IMAGE_NAME>", "memory": 64}]}"#;
    let task = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: nightly}\nspec:\n  repository: mco/api\n  taskDefinition: nightly.json\n  strategy: {schedule: {rules: [a], schedules: [jobs/b]}}\n";
    let environment = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec: {account: \"123456789012\", region: eu-west-2, cluster: mco, applications: {nightly: {commit: bbbbbbb}}}\n";
    let files = [("a.yaml", task), ("b.yaml", environment), ("nightly.json", file)];
    let files: Files = files.map(|(path, text)| (path.to_owned(), Ok(text.to_owned()))).into();
    let mut declaration = manifest::read(&files, None, &|_, _| Vec::new());
    assert_eq!(declaration.findings, []);
    let of = |declaration: &Declaration| policy(declaration, Access::Write).unwrap();
    let all = of(&declaration);
    for (statement, resource) in [
        ("ReadRules", "events:rule/a"),
        ("WriteRules", "events:rule/a"),
        ("ReadSchedules", "scheduler:schedule/jobs/b"),
        ("WriteSchedules", "scheduler:schedule/jobs/b"),
        ("PassRolesToRules", "iam::123456789012:role/*"),
        ("PassRolesToSchedules", "iam::123456789012:role/*"),
    ] {
        assert_eq!(resources(&all, statement), [resource], "{statement}");
    }
    assert_eq!(all.any_role.len(), 1);
    let text = all.document.to_string();
    assert!(text.contains("events.amazonaws.com") && text.contains("scheduler.amazonaws.com"), "{text}");
    for unneeded in ["UpdateServices", "MoveTags", "Deploy", "RunTasks", "StopAndContinueInEcs"] {
        assert_eq!(resources(&all, unneeded), Vec::<String>::new(), "{unneeded}");
    }
    let Declared::Readable(desired) = &mut declaration.applications[0] else { panic!() };
    desired.allowed_roles = Some(vec![RolePattern::new("events-*")]);
    let bounded = of(&declaration);
    assert_eq!(resources(&bounded, "PassRolesToRules"), ["iam::123456789012:role/events-*"]);
    assert!(bounded.any_role.is_empty());
    let Declared::Readable(desired) = &mut declaration.applications[0] else { panic!() };
    let Workload::ScheduledTask(task) = &mut desired.workload else { panic!() };
    task.schedules.push(crate::model::ScheduleName::Rule("*".to_owned()));
    assert!(policy(&declaration, Access::Read).is_err(), "a wildcard would stand for all rules");
}
