//! Tags of the task definition that an application declares.

use super::*;

#[test]
fn tags_are_texts_that_belong_to_others_than_aws_and_trueup() {
    let with = |tags: &str| format!("{APPLICATION}  tags: {tags}\n");
    let application = with("{team: pay, cost center: 42, empty: ''}");
    let api = desired(&read_files(&[("api.yaml", &application), ("test.yaml", ENVIRONMENT)]), "test/api");
    let tags: Vec<(&str, &str)> =
        api.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("cost center", "42"), ("empty", ""), ("team", "pay")]);
    let of_others = " | keys that begin with `aws:` are AWS's own, those with `trueup:` are trueup's";
    let long = "v".repeat(257);
    for (tags, finding) in [
        ("{trueup:commit: 3f2c1ab}", format!("api.yaml:7:10 the tag `trueup:commit` is not for others to give{of_others}")),
        ("{AWS:x: y}", format!("api.yaml:7:10 the tag `AWS:x` is not for others to give{of_others}")),
        ("{team: [pay]}", "api.yaml:7:16 expected text, found a list".to_owned()),
        ("[team]", "api.yaml:7:9 expected a map, found a list".to_owned()),
        ("{te*am: pay}", "api.yaml:7:10 `te*am` cannot be the key of a tag | 1 to 128 letters, digits, spaces and `_.:/=+-@`".to_owned()),
        (&format!("{{team: {long}}}"), format!("api.yaml:7:16 `{}…` cannot be the value of a tag | up to 256 letters, digits, spaces and `_.:/=+-@`", &long[..80])),
    ] {
        check(&[("api.yaml", &with(tags)), ("test.yaml", ENVIRONMENT)], &[&finding], &["test/api"]);
    }
}

#[test]
fn there_is_room_for_what_trueup_remembers() {
    let with = |count: usize| {
        let tags: Vec<String> = (0..count).map(|number| format!("k{number}: v")).collect();
        format!("{APPLICATION}  tags: {{{}}}\n", tags.join(", "))
    };
    check(&[("api.yaml", &with(36)), ("test.yaml", ENVIRONMENT)], &[], &[]);
    check(
        &[("api.yaml", &with(37)), ("test.yaml", ENVIRONMENT)],
        &[
            "api.yaml:7:9 37 tags are declared, and 36 is the most | a task definition has 50 tags at most, some of which trueup needs",
        ],
        &["test/api"],
    );
}
