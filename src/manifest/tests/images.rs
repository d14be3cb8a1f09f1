//! Images, their commits and their containers.

use super::*;
use crate::model::{Digest, ImageReference, Tag};

const LISTED: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  service: mco-api-{environment}\n  images:\n  - {name: api, repository: mco/api, container: api}\n  - {name: proxy, repository: mco/proxy, container: proxy}\n";

const DEFINED: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  service: mco-api-{environment}\n  imageDefinitions: imagedefinitions.json\n";

fn definitions(api: &str, proxy: &str) -> String {
    let host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";
    format!(
        "[{{\"name\": \"api\", \"imageUri\": \"{host}/mco/api{api}\"}},\n {{\"name\": \"proxy\", \"imageUri\": \"{host}/mco/proxy{proxy}\"}}]\n"
    )
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
            "7:47 not a commit ID: `main` | 7 to 40 hexadecimal digits",
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
    let placeholders = "- {name: my-api, repository: mco/a}\n  - {name: MY_API, repository: mco/b}";
    for (images, task_definition, finding) in [
        (
            "- {name: a, repository: mco/a, container: api}\n  - {name: b, repository: mco/b, containers: [web, api]}",
            "",
            "8:5 api is claimed by the images a and b | a container runs one image",
        ),
        (
            "- {name: a, repository: mco/a, container: api}\n  - {name: b, repository: mco/b}",
            file,
            "8:5 api is claimed by the images a and b | a container runs one image",
        ),
        (
            placeholders,
            "  taskDefinition: {from: family, family: f}\n",
            "8:5 <MY_API_NAME> is claimed by the images my-api and MY_API | a container runs one image",
        ),
        (
            "- {name: a, repository: mco/a, container: a}\n  - {name: b, repository: mco/b}",
            "",
            "8:5 `b` names no container | add `container`: only a task definition file has placeholders",
        ),
        (
            "- {name: a, repository: mco/a, container: a}\n  - {name: a, repository: mco/b, container: b}",
            "",
            "8:12 two images are named `a` | rename or remove one of them",
        ),
        (
            "- {name: a, repository: mco/a, containers: []}",
            "",
            "7:46 the list is empty | name one, or leave it out",
        ),
        (
            "- {name: a, repository: mco/a, container: a, containers: [a]}",
            "",
            "7:60 both `container` and `containers` are written | remove one of them",
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
fn no_key_about_images_is_without_effect_and_not_told() {
    let of =
        |spec: &str| format!("{}\n  service: s\n  {spec}\n", DEFINED.split_once("\n  service").unwrap().0);
    let (repository, containers) = ("repository: mco/api", "containers: [api]");
    let images = "images: [{name: api, repository: mco/api, container: api}]";
    let defined = "imageDefinitions: imagedefinitions.json";
    let file = definitions(":3f2c1ab", ":3f2c1ab");
    let effect = |without: &str, source: &str| format!("`{without}` has no effect beside `{source}` | ");
    let remove = "remove one of them";
    // The application, the environment's entry, and what is told.
    for (spec, entries, expected) in [
        (vec![repository, containers], vec![], vec![]),
        (vec![images], vec![], vec![]),
        (vec![images, repository], vec![], vec![("api.yaml:7:3", effect("repository", "images") + remove)]),
        (
            vec![images, containers],
            vec![],
            vec![(
                "api.yaml:7:3",
                effect("containers", "images") + "name the container of each image: `container: NAME`",
            )],
        ),
        (
            vec![defined, images, repository, containers],
            vec![],
            vec![
                ("api.yaml:7:3", effect("images", "imageDefinitions") + remove),
                ("api.yaml:8:3", effect("repository", "imageDefinitions") + remove),
                ("api.yaml:9:3", effect("containers", "imageDefinitions") + "the file names the containers"),
            ],
        ),
        (vec![images], vec![repository], vec![("test.yaml:9:7", effect("repository", "images") + remove)]),
        (vec![defined], vec![images], vec![("test.yaml:9:7", effect("images", "imageDefinitions") + remove)]),
        // What an environment declares goes before what the application does.
        (vec![repository, containers], vec![images], vec![]),
        (vec![repository], vec![defined], vec![]),
    ] {
        let application = of(&spec.join("\n  "));
        let environment =
            entry(&[vec!["\n      commit: 3f2c1ab"], entries.clone()].concat().join("\n      "));
        let declaration = read_files(&[
            ("api.yaml", &application),
            ("imagedefinitions.json", &file),
            ("test.yaml", &environment),
        ]);
        let expected: Vec<String> = expected.iter().map(|(place, told)| format!("{place} {told}")).collect();
        assert_eq!(said(&declaration), expected, "{spec:?} {entries:?}");
    }
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
    let uri = "123456789012.dkr.ecr.eu-west-2.amazonaws.com/mco/api:3f2c1ab";
    for (entry, finding) in [
        (format!("{{\"name\": null, \"imageUri\": \"{uri}\"}}"), "11 `name` must be text, found nothing"),
        (
            format!("{{\"name\": \"\", \"imageUri\": \"{uri}\"}}"),
            "11 `name` must be text, found an empty one",
        ),
        (format!("{{\"name\": [], \"imageUri\": \"{uri}\"}}"), "11 `name` must be text, found a list"),
        ("{\"name\": \"api\"}".to_owned(), "2 `imageUri` is missing"),
        (
            format!("{{\"name\": \"api\", \"imageUrl\": \"{uri}\"}}"),
            "18 unknown field `imageUrl` | did you mean `imageUri`?",
        ),
        ("\"api\"".to_owned(), "2 expected a map, found text"),
    ] {
        said(&format!("[{entry}]"), &format!("imagedefinitions.json:1:{finding}"));
    }
    let more = definitions(":3f2c1ab", ":3f2c1ab").replacen("{\"name", "{\"cpu\": 1, \"name", 1);
    check(
        &[("api.yaml", DEFINED), ("test.yaml", &undeclared), ("imagedefinitions.json", &more)],
        &["imagedefinitions.json:1:3 `cpu` has no effect: an entry has name, imageUri"],
        &[],
    );
    let longer = format!("{DEFINED}  commitTag: \"{{commit:9}}\"\n");
    let file = definitions(":3f2c1ab12", ":3f2c1ab");
    check(
        &[("api.yaml", &longer), ("test.yaml", &undeclared), ("imagedefinitions.json", &file)],
        &["imagedefinitions.json:2:32 commit `3f2c1ab` has fewer than 9 digits | 7 to 40 hexadecimal digits"],
        &["test/api"],
    );
}

#[test]
fn a_release_is_declared_as_one_and_kept_as_it_is_written() {
    let release = |application: &str, text: &str| {
        let environment = entry(text);
        let declaration = read_files(&[("api.yaml", application), ("test.yaml", &environment)]);
        let image = desired(&declaration, "test/api").images.remove(0);
        assert!(image.commit.is_release(), "{text}");
        (image.commit.short().to_owned(), image.commit_tag.to_string())
    };
    let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
    let cut = format!("{APPLICATION}  commitTag: \"{{commit:7}}\"\n");
    let tagged = format!("{APPLICATION}  commitTag: \"v{{release}}\"\n");
    assert_eq!(release(APPLICATION, "{ release: v1.10.20 }"), pair("v1.10.20", "v1.10.20"));
    assert_eq!(release(&cut, "{ release: 20240115 }"), pair("20240115", "20240115"));
    assert_eq!(release(&tagged, "{ release: 1.10 }"), pair("1.10", "v1.10"));
    assert_eq!(release(&tagged, "{ commit: 1.10.20 }"), pair("1.10.20", "v1.10.20"));
    assert_eq!(
        release(LISTED, "{ release: v1.10.20, commits: { proxy: 8c1f0aa } }"),
        pair("v1.10.20", "v1.10.20")
    );
    let undeclared = ENVIRONMENT.replace("commit: 3f2c1ab", "");
    let defined = format!("{DEFINED}  commitTag: \"{{release}}\"\n");
    let file = definitions(":v1.10.20", ":v1.9.9");
    let entries =
        [("api.yaml", defined.as_str()), ("test.yaml", &undeclared), ("imagedefinitions.json", &file)];
    let images = desired(&read_files(&entries), "test/api").images;
    assert_eq!(images[1].commit, crate::model::Commit::release("v1.9.9"));
}

#[test]
fn what_moves_names_neither_a_commit_nor_a_release() {
    let environment = |name: &str, tag: &str, entry: &str| {
        let text = ENVIRONMENT.replace("{name: test}", &format!("{{name: {name}}}"));
        text.replace("  cluster: mco", &format!("  cluster: mco\n  environmentTag: {tag}"))
            .replace("{ commit: 3f2c1ab }", entry)
    };
    let staging = environment("staging", "stage2", "{ commit: 3f2c1ab }");
    let check_entry = |text: &str, finding: &str| {
        let test = environment("test", "deadbee7", text);
        let entries =
            [("api.yaml", APPLICATION), ("staging.yaml", staging.as_str()), ("test.yaml", test.as_str())];
        check(&entries, &[&format!("test.yaml:8:{finding}")], &["test/api"]);
    };
    let moves = |tag: &str| {
        format!(
            "the tag \"{tag}\" marks an environment and moves: it names no build | declare the commit or the release itself"
        )
    };
    check_entry("{ commit: deadbee7 }", &format!("20 {}", moves("deadbee7")));
    check_entry("{ release: deadbee7 }", &format!("21 {}", moves("deadbee7")));
    check_entry("{ release: stage2 }", &format!("21 {}", moves("stage2")));
    let numbered = "the tag of one build, with a number in it, such as v1.10.20";
    for name in ["latest", "main", "stable", "production"] {
        check_entry(&format!("{{ release: {name} }}"), &format!("21 `{name}` is no release | {numbered}"));
        check_entry(
            &format!("{{ commit: {name} }}"),
            &format!("20 not a commit ID: `{name}` | 7 to 40 hexadecimal digits"),
        );
    }
    check_entry(
        "{ commit: latest-2 }",
        "20 not a commit ID: `latest-2` | 7 to 40 hexadecimal digits; a release is declared as one: `release: latest-2`",
    );
    check_entry(
        "{ commit: 3f2c1ab, release: v1.2.3 }",
        "38 both `commit` and `release` are written | remove one of them",
    );
}

#[test]
fn an_address_in_image_definitions_is_held_against_the_same_patterns() {
    for (from, to, what) in [
        ("mco/api:", "MCO/api:", "`MCO/api` cannot be an ECR repository"),
        ("eu-west-2", "evil#", "`evil#` cannot be an AWS region"),
        (":3f2c1ab", ":-rf", "`-rf` cannot be an ECR image tag"),
        (":3f2c1ab", "@sha256:xyz", "`sha256:xyz` cannot be the digest of an image"),
        ("\"api\"", "\"a+b\"", "`a+b` cannot be a container"),
    ] {
        let file = definitions(":3f2c1ab", ":3f2c1ab").replacen(from, to, 1);
        let declaration = read_files(&[
            ("api.yaml", DEFINED),
            ("test.yaml", ENVIRONMENT),
            ("imagedefinitions.json", &file),
        ]);
        assert!(said(&declaration).iter().any(|said| said.contains(what)), "{to}: {:#?}", said(&declaration));
        assert!(matches!(declaration.applications[0], Declared::Frozen(_)), "{to}");
    }
}

#[test]
fn a_template_that_makes_no_tag_is_told_once_where_it_stands() {
    let environments: Vec<(String, String)> = ["dev", "prod", "staging", "test"]
        .map(|name| {
            (format!("{name}.yaml"), ENVIRONMENT.replace("{name: test}", &format!("{{name: {name}}}")))
        })
        .into();
    for (template, expected) in [
        ("{commit:6}", "`{commit:6}` needs a number of 7 to 40"),
        ("{commit:0}", "`{commit:0}` needs a number of 7 to 40"),
        ("{commit:41}", "`{commit:41}` needs a number of 7 to 40"),
        ("{sha}", "commitTag knows {commit}, {commit:N} and {release}, not {sha}"),
        ("build/{commit}", "`build/{commit}` makes no ECR image tag"),
    ] {
        let application = format!("{APPLICATION}  commitTag: \"{template}\"\n");
        let images = "spec:\n  service: mco-api-{environment}\n  images:\n  - {name: api, repository: mco/api, commitTag: \"TEMPLATE\"}\n";
        let listed = APPLICATION.split("spec:").next().unwrap_or_default().to_owned()
            + &images.replace("TEMPLATE", template);
        for (application, place) in [(application, "api.yaml:7:14"), (listed, "api.yaml:7:49")] {
            let mut entries = vec![("api.yaml", application.as_str())];
            entries.extend(environments.iter().map(|(name, text)| (name.as_str(), text.as_str())));
            let declaration = read_files(&entries);
            let [finding] = declaration.findings.as_slice() else { panic!("{:#?}", declaration.findings) };
            assert_eq!(finding.message, expected);
            assert_eq!(finding.targets.len(), 4);
            let at = &finding.position;
            assert_eq!(format!("{}:{}:{}", at.file, at.line, at.column), place);
        }
    }
}
