//! What an application is in an environment, and what belongs to one alone.

use super::*;
use crate::model::TaskDefinitionSource;

#[test]
fn the_smallest_repository_is_an_application_and_an_environment() {
    let api = desired(&read_files(&[("api.yaml", APPLICATION), ("test.yaml", ENVIRONMENT)]), "test/api");
    assert_eq!((api.name_in_cluster(), api.environment_tag.as_str()), ("mco-api-test", "test"));
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
    assert_eq!(api.name_in_cluster(), "other");
    assert_eq!(api.policy.on_failure, crate::model::OnFailure::Leave);
    assert_eq!(api.policy.drift, crate::model::OnDrift::Ignore);
    assert_eq!(api.policy.pin, crate::model::Pin::CommitTag);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let application = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  service:\n  strategy: quick\n  taskDefinition: missing.json\n  policy: {drift: hael}\n  source: []\n";
    check(
        &[("api.yaml", application), ("test.yaml", ENVIRONMENT)],
        &[
            "api.yaml:5:3 `repository` is missing",
            "api.yaml:5:10 expected text, found nothing",
            "api.yaml:6:13 expected one of rolling, codeDeploy, blueGreen, canary, linear, task, schedule",
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
    assert!(said.iter().any(|said| said.contains("not a commit ID: `main`")), "{said:#?}");
    assert!(
        !said.iter().any(|said| said.contains("IMAGE_NAME")),
        "what the image would have filled: {said:#?}"
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
        &["api.yaml:8:11 no application is named `wep` | did you mean `web`?"],
        &["test/api"],
    );
    check_files(
        files("web", "api", "web"),
        &[
            "test.yaml:7:5 dependency cycle: test/api comes after itself",
            "test.yaml:8:5 dependency cycle: test/web comes after itself",
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
            "staging.yaml:7:5 service mco-api of cluster mco is claimed by staging/api (staging.yaml:7) and test/api (test.yaml:7) | it can belong to only one application in one environment: such as `service: mco-api-{environment}`, or a `cluster` or `account` for each",
        ],
        &["staging/api", "test/api"],
    );
    let many: Vec<(String, String)> = (10..22)
        .map(|number| format!("e{number}"))
        .map(|name| {
            (format!("{name}.yaml"), ENVIRONMENT.replace("{name: test}", &format!("{{name: {name}}}")))
        })
        .collect();
    let mut entries = vec![("api.yaml", application.as_str())];
    entries.extend(many.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    let declaration = read_files(&entries);
    let [finding] = declaration.findings.as_slice() else { panic!("{:#?}", said(&declaration)) };
    assert!(finding.message.ends_with("e19/api (e19.yaml:7) and 2 more"), "{}", finding.message);
    assert_eq!(finding.targets.len(), 12);
    let tagged = staging.replace("  cluster: mco", "  cluster: mco\n  environmentTag: test");
    let declaration =
        read_files(&[("api.yaml", APPLICATION), ("staging.yaml", &tagged), ("test.yaml", ENVIRONMENT)]);
    assert!(
        declaration
            .findings
            .iter()
            .all(|finding| finding.message.starts_with("the environment tag test is claimed"))
    );
    assert_eq!(declaration.findings.len(), 1);
    assert_eq!(declaration.findings[0].targets.len(), 2);
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
    let twice = "test.yaml:7:5 the task definition family that it starts from is claimed by test/api (test.yaml:7) and test/web (test.yaml:8) | it can belong to only one application in one environment";
    check(
        &[("api.yaml", &of("api", family)), ("web.yaml", &of("web", family)), ("test.yaml", &both)],
        &[twice],
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
    let four = "staging.yaml:8:5 the environment tag test is claimed by staging/api (staging.yaml:8) and staging/web (staging.yaml:9) and test/api (test.yaml:7) and test/web (test.yaml:8) | a tag marks one environment: give each its own with `environmentTag`, or leave that out";
    assert_eq!(said(&declaration), [four]);
}

/// Who is frozen, and by what it is looked at: cluster, service, repository and commit tag.
#[track_caller]
fn check_known(entries: &[(&str, &str)], expected: Option<(&str, &str, &str, &str)>) {
    let declaration = read_files(entries);
    let [Declared::Frozen(frozen)] = declaration.applications.as_slice() else {
        panic!("{:#?}", declaration.applications)
    };
    let known = frozen.known.as_ref().map(|known| {
        assert_eq!(known.mode, crate::model::Mode::Frozen);
        let image = &known.images[0];
        (
            known.cluster.as_str(),
            known.name_in_cluster(),
            image.repository.as_str(),
            image.commit_tag.as_str(),
        )
    });
    assert_eq!(known, expected);
}

#[test]
fn what_is_frozen_is_known_as_far_as_it_can_be_read() {
    let none = "0".repeat(40);
    let build = format!("build-{none}");
    let environment = |from: &str, to: &str| ENVIRONMENT.replace(from, to);
    let application = |more: &str| format!("{APPLICATION}{more}");
    let whole = Some(("mco", "mco-api-test", "mco/api", "3f2c1ab"));
    let without_commit = Some(("mco", "mco-api-test", "mco/api", none.as_str()));
    for (files, expected) in [
        ((application("  polizy: {}\n"), ENVIRONMENT.to_owned()), whole),
        ((APPLICATION.to_owned(), environment("commit", "comit")), without_commit),
        ((APPLICATION.to_owned(), environment("3f2c1ab", "nope")), without_commit),
        ((application("  taskDefinition: nope.json\n"), ENVIRONMENT.to_owned()), whole),
        (
            (application("  commitTag: build-{commit}\n"), environment("commit", "comit")),
            Some(("mco", "mco-api-test", "mco/api", build.as_str())),
        ),
        (
            (APPLICATION.replace("repository:", "repositry:"), ENVIRONMENT.to_owned()),
            Some(("mco", "mco-api-test", "unknown", none.as_str())),
        ),
        // A guess at the cluster would show another service, or none.
        ((APPLICATION.to_owned(), environment("cluster", "clutser")), None),
        ((APPLICATION.replace("service:", "servce:"), ENVIRONMENT.to_owned()), None),
        ((APPLICATION.replace("name: api", "name: web"), ENVIRONMENT.to_owned()), None),
    ] {
        check_known(&[("api.yaml", &files.0), ("test.yaml", &files.1)], expected);
    }
}

#[test]
fn an_address_of_source_code_that_may_hold_a_secret_is_refused_and_not_repeated() {
    let page = "expected an address such as https://github.com/mco/api";
    let user = "it holds a user or a password; take them out";
    let query = "it has a query or a fragment, behind `?` or `#`; take it out";
    for (source, why) in [
        ("https://github.com/mco/api", None),
        ("http://git.example.com:8080/mco/api/", None),
        ("https://u:hunter2@git.example/x/y?tok=hunter2", Some(user)),
        ("https://hunter2@git.example/x/y", Some(user)),
        ("https://git.example/x/y?t=hunter2", Some(query)),
        ("https://git.example/x/y#hunter2", Some(query)),
        ("ssh://git.example/x/y", Some(page)),
        ("javascript:alert(1)", Some(page)),
        ("data:text/html,x", Some(page)),
        ("git@github.com:mco/api.git", Some(page)),
        ("mco/api", Some(page)),
        ("https//u:hunter2@git.example", Some(page)),
    ] {
        let application = format!("{APPLICATION}  source: \"{source}\"\n");
        let declaration = read_files(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)]);
        let expected = why.map(|why| format!("api.yaml:7:11 `source` is refused: {why}"));
        assert_eq!(said(&declaration), expected.into_iter().collect::<Vec<_>>(), "{source}");
        let shown: String = declaration.findings.iter().map(ToString::to_string).collect();
        assert!(!shown.contains("hunter2"), "{shown}");
        let taken = declaration.readable().next().and_then(|desired| desired.source.as_deref());
        assert_eq!(taken, why.is_none().then_some(source));
    }
}

#[test]
fn one_mistake_is_told_once() {
    let file = |from: &str, to: &str| {
        let logs = r#""logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "eu-west-2"}}"#;
        format!(
            r#"{{"family": "api", "containerDefinitions": [{{"name": "api", "image": "<IMAGE_NAME>", "memory": 64, {logs}}}]}}"#
        )
        .replace(from, to)
    };
    let application = format!("{APPLICATION}  taskDefinition: t.json\n");
    let commit = |commit: &str| ENVIRONMENT.replace("3f2c1ab", commit);
    let whole = file("api", "api");
    let unknown = "unknown field";
    for (application, environment, file, expected) in [
        (application.clone(), ENVIRONMENT.to_owned(), whole.clone(), None),
        (application.replace("service:", "servic:"), ENVIRONMENT.to_owned(), whole.clone(), Some(unknown)),
        (
            application.replace("  service: mco-api-{environment}\n", ""),
            ENVIRONMENT.to_owned(),
            whole.clone(),
            Some("`service` is missing"),
        ),
        (application.clone(), commit("null"), whole.clone(), Some("expected text")),
        (application.clone(), commit("[]"), whole.clone(), Some("expected text")),
        (application.clone(), ENVIRONMENT.to_owned(), file("options", "option"), Some(unknown)),
        (application.clone(), ENVIRONMENT.to_owned(), file("family", "famly"), Some(unknown)),
    ] {
        let entries = [
            ("api.yaml", application.as_str()),
            ("test.yaml", environment.as_str()),
            ("t.json", file.as_str()),
        ];
        let said = said(&read_files(&entries));
        assert_eq!(said.len(), usize::from(expected.is_some()), "{said:#?}");
        assert!(
            said.iter().all(|said| expected.is_some_and(|expected| said.contains(expected))),
            "{said:#?}"
        );
    }
}
