//! Which documents are there, and what is said about text that is none.

use super::*;

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
        &["test.yaml:6:17 expected a map, found a list | each by its name, such as api: { commit: 3f2c1ab }"],
        &[],
    );
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
                "api.yaml:8:13 apiVersion `trueup.dev/v2` is not known to this version of trueup | write apiVersion: trueup.dev/v1",
            ],
        ),
        (
            &web.replace("apiVersion: trueup.dev/v1\n", ""),
            &["api.yaml:8:1 `apiVersion` is missing | write apiVersion: trueup.dev/v1"],
        ),
        (
            &web.replace("Application", "Aplication"),
            &["api.yaml:9:7 unknown kind `Aplication` | did you mean `Application`?"],
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
fn a_file_that_looks_like_ours_without_our_version_is_told_and_others_are_passed_over() {
    let web = APPLICATION.replace("{name: api}", "{name: web}");
    let reads = "write apiVersion: trueup.dev/v1";
    for (text, said) in [
        (web.replace("trueup.dev/v1", "truup.dev/v1"), Some("web.yaml:1:13 apiVersion `truup.dev/v1` is not known to this version of trueup")),
        (web.replace("trueup.dev/v1", "trueup/v1"), Some("web.yaml:1:13 apiVersion `trueup/v1` is not known to this version of trueup")),
        (web.replace("trueup.dev/v1", "v1"), Some("web.yaml:1:13 apiVersion `v1` is not trueup's, and the document looks like one of its own")),
        (web.replace("trueup.dev/v1", "mco.dev/v1"), Some("web.yaml:1:13 apiVersion `mco.dev/v1` is not trueup's, and the document looks like one of its own")),
        (web.replace("apiVersion: trueup.dev/v1\n", ""), Some("web.yaml:1:1 `apiVersion` is missing")),
        (web.replace("apiVersion: trueup.dev/v1\n", "apiVersion:\n"), Some("web.yaml:1:1 `apiVersion` is missing")),
        (web.replace("apiVersion", "apiversion"), Some("web.yaml:1:1 `apiVersion` is missing")),
        (web.replace("apiVersion: trueup.dev/v1\nkind: Application\n", ""), Some("web.yaml:1:1 `apiVersion` is missing")),
        (ENVIRONMENT.replace("apiVersion: trueup.dev/v1\nkind: Environment\n", ""), Some("web.yaml:1:1 `apiVersion` is missing")),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x}\nspec: {project: p, source: {repoURL: u}}\n".to_owned(), None),
        ("apiVersion: core.oam.dev/v1beta1\nkind: Application\nspec: {components: []}\n".to_owned(), None),
        ("apiVersion: v1\nkind: Service\nspec: {service: x}\n".to_owned(), None),
        ("applications:\n- name: x\n".to_owned(), None),
        ("kind: {{ .Application }}\n- [\n".to_owned(), None),
        ("Application\n".to_owned(), None),
    ] {
        let expected: Vec<String> = said.iter().map(|said| format!("{said} | {reads}")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&[("api.yaml", APPLICATION), ("test.yaml", ENVIRONMENT), ("web.yaml", &text)], &expected, &[]);
    }
}

#[test]
fn a_wrong_version_or_kind_is_told_once_with_those_it_freezes() {
    for (from, to, finding) in [
        (
            "trueup.dev/v1",
            "trueup.dev/v2",
            "1:13 apiVersion `trueup.dev/v2` is not known to this version of trueup | write apiVersion: trueup.dev/v1",
        ),
        ("apiVersion: trueup.dev/v1\n", "", "1:1 `apiVersion` is missing | write apiVersion: trueup.dev/v1"),
        ("Application", "Aplication", "2:7 unknown kind `Aplication` | did you mean `Application`?"),
        ("Application", "Deployment", "2:7 unknown kind `Deployment` | it is Application or Environment"),
        ("kind: Application\n", "", "1:1 `kind` is missing | it is Application or Environment"),
    ] {
        let application = APPLICATION.replace(from, to);
        let staging = ENVIRONMENT.replace("{name: test}", "{name: staging}");
        let declaration =
            read_files(&[("api.yaml", &application), ("staging.yaml", &staging), ("test.yaml", ENVIRONMENT)]);
        assert_eq!(said(&declaration), [format!("api.yaml:{finding}")]);
        let targets: Vec<String> = declaration.findings[0].targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["staging/api", "test/api"]);
        assert!(declaration.applications.iter().all(|declared| matches!(declared, Declared::Frozen(_))));
    }
}

#[test]
fn an_entry_without_a_commit_is_told_once_with_what_was_meant() {
    for (text, finding) in [
        ("{}", "10 `commit` is missing | such as commit: 3f2c1ab"),
        ("3f2c1ab", "10 expected a map with a commit, found text | such as { commit: 3f2c1ab }"),
        ("{ tag: 3f2c1ab }", "12 unknown field `tag` | did you mean `commit`?"),
        ("{ version: 3f2c1ab }", "12 unknown field `version` | did you mean `commit`?"),
        ("{ comit: 3f2c1ab }", "12 unknown field `comit` | did you mean `commit`?"),
        ("{ commit: 3f2c1ab, tag: x }", "29 unknown field `tag` | did you mean `tags`?"),
        ("{ commit: {3f2c1ab} }", "20 expected text, found a map | put it in quotes"),
    ] {
        let (environment, finding) = (entry(text), format!("test.yaml:7:{finding}"));
        check(&[("api.yaml", APPLICATION), ("test.yaml", &environment)], &[&finding], &["test/api"]);
    }
}

#[test]
fn what_yaml_takes_for_something_else_is_told_with_what_to_write() {
    for (line, finding) in [
        ("\tcluster: mco", "7:1 not valid YAML: "),
        ("  cluster: {environment}-mco", "7:25 not valid YAML: "),
    ] {
        let application = format!("{APPLICATION}{line}\n");
        let declaration = read_files(&[("api.yaml", &application)]);
        let [one] = declaration.findings.as_slice() else { panic!("{line}: {:#?}", said(&declaration)) };
        let told = said(&declaration).remove(0);
        assert!(told.starts_with(&format!("api.yaml:{finding}")), "{told}");
        assert!(one.hint.is_some(), "{told}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_once_with_those_it_freezes() {
    let twice = format!("{APPLICATION}  service: again\n");
    let check_one = |entries: &[(&str, Result<&str, &str>)], expected: &[&str]| {
        let files = entries
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).map(str::to_owned).map_err(str::to_owned)));
        let declaration = read(&files.collect(), None, &|_, _| Vec::new());
        let said: Vec<String> = declaration
            .findings
            .iter()
            .map(|one| {
                let frozen: Vec<String> = one.targets.iter().map(ToString::to_string).collect();
                format!("{}: {} [{}]", one.position.file, one.message, frozen.join(" "))
            })
            .collect();
        assert_eq!(said, expected);
        assert!(declaration.readable().next().is_none());
    };
    let environment = ("test.yaml", Ok(ENVIRONMENT));
    for (text, told) in [
        (Ok(twice.as_str()), "duplicate key `service`"),
        (Ok("\0"), "cannot be read: it holds NUL bytes, and is no text"),
        (Err("it is not UTF-8 text"), "cannot be read: it is not UTF-8 text"),
    ] {
        check_one(&[("api.yaml", text), environment], &[&format!("api.yaml: {told} [test/api]")]);
        // Of several nobody knows in which one it stands.
        let others = [("api.yaml", text), environment, ("web.yaml", Err("it is no regular file"))];
        let web = "web.yaml: cannot be read: it is no regular file []";
        check_one(&others, &[&format!("api.yaml: {told} [test/api]"), web]);
    }
    // A file of others is none of ours: what is named is nowhere.
    let missing = "test.yaml: no application is named `api` [test/api]";
    check_one(&[("api.yaml", Ok("x: [")), environment], &[missing]);
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
fn unknown_and_duplicate_keys_and_wrong_words_are_errors_with_a_suggestion() {
    let with = |from: &str, to: &str| ENVIRONMENT.replace(from, to);
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &with("{ commit: 3f2c1ab }", "{ comit: 3f2c1ab }"))],
        &["test.yaml:7:12 unknown field `comit` | did you mean `commit`?"],
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
        &[("api.yaml", &format!("{APPLICATION}  comitTag: x\n")), ("test.yaml", ENVIRONMENT)],
        &["api.yaml:7:3 unknown field `comitTag` | did you mean `commitTag`?"],
        &["test/api"],
    );
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &with("3f2c1ab", "main"))],
        &["test.yaml:7:20 not a commit ID: `main` | 7 to 40 hexadecimal digits"],
        &["test/api"],
    );
}

#[test]
fn a_file_of_nul_bytes_is_told_and_never_empty() {
    for text in ["\0\0\0", "# \0", &format!("{ENVIRONMENT}\0")] {
        check(
            &[("api.yaml", APPLICATION), ("test.yaml", text)],
            &["test.yaml:0:0 cannot be read: it holds NUL bytes, and is no text"],
            &[],
        );
    }
}

#[test]
fn an_extension_in_capital_letters_is_read_too() {
    for name in ["test.YAML", "test.Yml"] {
        let declaration = read_files(&[("api.yaml", APPLICATION), (name, ENVIRONMENT)]);
        assert_eq!(said(&declaration), [""; 0]);
        assert_eq!(desired(&declaration, "test/api").declared_at.file, name);
    }
}

#[test]
fn what_would_hold_everything_back_or_last_for_ever_is_no_number() {
    for (written, expected) in [
        ("rollout: {maxInFlight: 1, stopAfterFailures: 1}", None),
        ("policy: {progressDeadline: 720h, steady: 0s}", None),
        (
            "rollout: {maxInFlight: 0}",
            Some("26 expected 1 or more | `mode: observe` or `suspend` hold everything back"),
        ),
        ("rollout: {stopAfterFailures: 0}", Some("32 expected 1 or more | 1 stops at the first failure")),
        ("rollout: {maxInFlight: -1}", Some("26 expected a whole number")),
        (
            "policy: {progressDeadline: 0s}",
            Some("30 no deployment ends in no time | such as 15m, which is the default"),
        ),
        ("policy: {progressDeadline: 721h}", Some("30 expected 30 days at most | 720h are 30 days")),
        ("policy: {steady: 999999999999h}", Some("20 expected 30 days at most | 720h are 30 days")),
    ] {
        let environment = ENVIRONMENT.replace("  cluster: mco", &format!("  {written}\n  cluster: mco"));
        let declaration = read_files(&[("api.yaml", APPLICATION), ("test.yaml", &environment)]);
        let expected = expected.map(|expected| format!("test.yaml:5:{expected}"));
        assert_eq!(said(&declaration), expected.into_iter().collect::<Vec<_>>(), "{written}");
    }
}

#[test]
fn what_a_careless_hand_writes_is_told_once_with_what_to_write() {
    let document = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\n";
    for (application, finding) in [
        (format!("{APPLICATION}  containers: api\n"), "7:15 expected a list, found text | write [api]"),
        (format!("{APPLICATION}  after: \"a b\"\n"), "7:10 expected a list, found text"),
        (
            format!("{APPLICATION}  strategy: blueGren\n"),
            "7:13 expected one of rolling, codeDeploy, blueGreen, canary, linear, task, schedule | did you mean `blueGreen`?",
        ),
        (
            format!("{APPLICATION}  desiredCount: 2\n"),
            "7:3 unknown field `desiredCount` | it belongs in `serviceSettings`",
        ),
        (
            format!("{APPLICATION}  suspend: {{reason: a freeze}}\n"),
            "7:3 unknown field `suspend` | it belongs in an environment, or in its entry for the application",
        ),
        (APPLICATION.replace("spec:", "specs:"), "4:1 unknown field `specs` | did you mean `spec`?"),
        (format!("{document}spec: api\n"), "4:7 expected a map, found text"),
        (document.to_owned(), "1:1 `spec` is missing"),
        (
            APPLICATION.replace("{name: api}", "{name: \"my api\"}"),
            "3:18 needs a name of letters, digits, `-`, `_` and `.`, not beginning with `-` or `.`",
        ),
        (APPLICATION.replace("{name: api}", "{}"), "3:11 `name` is missing"),
    ] {
        let declaration = read_files(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)]);
        let said: Vec<String> =
            said(&declaration).into_iter().filter(|said| said.starts_with("api.yaml")).collect();
        assert_eq!(said, [format!("api.yaml:{finding}")]);
    }
    let suspended = ENVIRONMENT.replace("  cluster: mco", "  suspend: true");
    check(
        &[("api.yaml", APPLICATION), ("test.yaml", &suspended)],
        &["test.yaml:5:12 expected a map, found text | such as suspend: { reason: database migration }"],
        &["test/api"],
    );
}

#[test]
fn an_environment_and_its_entry_for_an_application_may_each_be_suspended() {
    let own = |suspend: &str| {
        let entry = format!("api: {{ suspend: {suspend},");
        ENVIRONMENT
            .replace("api: {", &entry)
            .replace("  cluster: mco", "  suspend: {reason: a freeze}\n  cluster: mco")
    };
    let files = own("{reason: a migration, until: 2027-01-31T08:00:00Z}");
    let declaration = read_files(&[("api.yaml", APPLICATION), ("test.yaml", &files)]);
    let suspended = &declaration.readable().next().unwrap().suspensions;
    let told: Vec<_> = suspended.iter().map(|one| (one.scope, one.reason.as_str(), one.until)).collect();
    let of_application = (SuspensionScope::Application, "a migration", Some(1_801_382_400));
    assert_eq!(told, [(SuspensionScope::Environment, "a freeze", None), of_application]);
    for (suspend, finding) in [
        ("{until: 2027-01-31T08:00:00Z}", "`reason` is missing"),
        ("{reason: x, until: tomorrow}", "not a timestamp: `tomorrow` | such as 2027-01-31T08:00:00Z"),
        ("{reason: x, untill: 2027-01-31T08:00:00Z}", "unknown field `untill` | did you mean `until`?"),
        ("yes", "expected a map, found text | such as suspend: { reason: database migration }"),
    ] {
        let declaration = read_files(&[("api.yaml", APPLICATION), ("test.yaml", &own(suspend))]);
        let said = said(&declaration);
        assert!(said.len() == 1 && said[0].ends_with(finding), "{said:?}");
        assert_eq!(declaration.readable().count(), 0, "{suspend}");
    }
}

#[test]
fn a_container_that_is_not_there_leaves_no_placeholder_to_complain_of() {
    let file = TASK_DEFINITION.replace("<LEVEL>", "debug").replace(", \"futureField2028\": 1", "");
    let application = format!("{APPLICATION}  taskDefinition: taskdef.json\n  containers: [apy]\n");
    check(
        &[("api.yaml", &application), ("taskdef.json", &file), ("test.yaml", ENVIRONMENT)],
        &["taskdef.json:5:29 no container is named `apy` | there is api"],
        &["test/api"],
    );
}
