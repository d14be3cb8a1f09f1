//! The findings of `lint` for programs: as data, as commands of GitHub Actions, which become annotations of the changed
//! lines, and as SARIF 2.1.0, which code scanning reads. How many there are at most, `text::report` decides.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::links;
use crate::escape::{line, workflow_message, workflow_property};
use crate::manifest;
use crate::model::{Declaration, Finding, Severity};

/// Where the schema of SARIF is, which is the name that it has in every file.
const SARIF_SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const PROJECT: &str = "https://github.com/trueup-dev/trueup";
/// The rule of what is about no key of ours: a file as a whole, or what is in one that a document names.
const FILE: &str = "file";

/// The documented data (docs/commands.md).
pub fn json(declaration: &Declaration) -> Value {
    json!({
        "applications": declaration.applications.len(),
        "findings": declaration.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "severity": severity(finding),
        "file": finding.position.file,
        "line": Some(finding.position.line).filter(|line| *line > 0),
        "column": Some(finding.position.column).filter(|column| *column > 0),
        "field": Some(&finding.field).filter(|field| !field.is_empty()),
        "message": finding.message,
        "hint": finding.hint,
        "targets": finding.targets.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// `error` and `warning` are also the names of the commands of GitHub Actions, and of the levels of SARIF.
fn severity(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// A workflow command for each, errors first: GitHub shows ten annotations of each kind
/// (<https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-error-message>).
/// `from_root` tells the path of a file from the root of the repository.
pub fn github(findings: &[Finding], from_root: &dyn Fn(&str) -> String) -> String {
    let mut findings: Vec<&Finding> = findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut text = String::new();
    for finding in findings {
        let mut properties = vec![("file", from_root(&finding.position.file))];
        if finding.position.line > 0 {
            properties.push(("line", finding.position.line.to_string()));
            properties.push(("col", finding.position.column.to_string()));
        }
        let title = if finding.field.is_empty() { "trueup" } else { &finding.field };
        properties.push(("title", title.to_owned()));
        let properties: Vec<String> =
            properties.iter().map(|(name, value)| format!("{name}={}", workflow_property(value))).collect();
        let hint = finding.hint.iter().map(|hint| format!("\nhint: {}", line(hint)));
        let message = hint.fold(line(&finding.message).into_owned(), |message, hint| message + &hint);
        let _ = writeln!(
            text,
            "::{} {}::{}",
            severity(finding),
            properties.join(","),
            workflow_message(&message)
        );
    }
    text
}

/// SARIF 2.1.0 with what GitHub asks for besides
/// (<https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support>). A rule is a key of
/// the files, which stays what it is; its help is what the findings about it give for hints.
pub fn sarif(findings: &[Finding], from_root: &dyn Fn(&str) -> String) -> Value {
    let mut hints: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for finding in findings {
        let of_rule = hints.entry(rule(&finding.field)).or_default();
        if let Some(hint) = finding.hint.as_deref().filter(|hint| !of_rule.contains(hint)) {
            of_rule.push(hint);
        }
    }
    let rules: Vec<Value> = hints.iter().map(|(id, hints)| rule_of(id, hints)).collect();
    let results = findings.iter().map(|finding| {
        let id = rule(&finding.field);
        let place = hints.keys().position(|rule| *rule == id);
        let field = Some(&finding.field).filter(|field| !field.is_empty());
        let field = field.map(|field| format!(" ({field})")).unwrap_or_default();
        json!({
            "ruleId": id,
            "ruleIndex": place,
            "level": severity(finding),
            "message": {"text": format!("{}{field}", finding.message)},
            "locations": [{"physicalLocation": location(finding, from_root)}],
        })
    });
    json!({
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "trueup",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": PROJECT,
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// The innermost key of the files on the way to what a finding is about.
fn rule(field: &str) -> &'static str {
    let names = field.rsplit('.').map(|name| name.split('[').next().unwrap_or_default());
    let mut known = names.filter_map(|name| manifest::KEYS.into_iter().find(|key| *key == name));
    known.next().unwrap_or(FILE)
}

fn rule_of(id: &str, hints: &[&str]) -> Value {
    let about = match id {
        FILE => "a file of the infrastructure repository".to_owned(),
        key => format!("the key `{key}` of the infrastructure repository"),
    };
    let help = if hints.is_empty() { about.clone() } else { hints.join("\n") };
    json!({
        "id": id,
        "shortDescription": {"text": about},
        "fullDescription": {"text": about},
        "help": {"text": help},
        "helpUri": format!("{PROJECT}/blob/main/docs/infrastructure-repo.md"),
    })
}

fn location(finding: &Finding, from_root: &dyn Fn(&str) -> String) -> Value {
    let path = from_root(&finding.position.file);
    let segments: Vec<String> = path.split('/').map(links::encoded).collect();
    let mut location = json!({"artifactLocation": {"uri": segments.join("/"), "uriBaseId": "%SRCROOT%"}});
    if finding.position.line > 0 {
        let column = finding.position.column.max(1);
        location["region"] = json!({"startLine": finding.position.line, "startColumn": column});
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, EnvironmentName, Position, Target};

    fn found(file: &str, place: (usize, usize), field: &str, message: &str, hint: Option<&str>) -> Finding {
        let target =
            Target { environment: EnvironmentName::new("test"), application: ApplicationName::new("api") };
        Finding {
            severity: if hint.is_some() { Severity::Error } else { Severity::Warning },
            position: Position { file: file.to_owned(), line: place.0, column: place.1 },
            field: field.to_owned(),
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
            excerpt: None,
            targets: vec![target],
        }
    }

    fn findings() -> [Finding; 3] {
        [
            found("api.yaml", (0, 0), "", "50% of it, 1: is missing", None),
            found(
                "a,b:c%/test x.yaml",
                (7, 11),
                "spec.applications.api.comit",
                "::error::\n`comit`",
                Some("did you mean `commit`?\r"),
            ),
            found(
                "test.yaml",
                (7, 3),
                "spec.applications.api.commit",
                "not a commit ID: `zz`",
                Some("7 to 40 hexadecimal digits"),
            ),
        ]
    }

    fn below_infra(file: &str) -> String {
        format!("infra/{file}")
    }

    #[test]
    fn a_workflow_command_is_one_line_whatever_a_finding_says_and_errors_come_first() {
        let expected = "::error file=infra/a%2Cb%3Ac%25/test x.yaml,line=7,col=11,title=spec.applications.api.comit::::error::\\n`comit`%0Ahint: did you mean `commit`?\\r\n\
            ::error file=infra/test.yaml,line=7,col=3,title=spec.applications.api.commit::not a commit ID: `zz`%0Ahint: 7 to 40 hexadecimal digits\n\
            ::warning file=infra/api.yaml,title=trueup::50%25 of it, 1: is missing\n";
        assert_eq!(github(&findings(), &below_infra), expected);
        assert_eq!(github(&[], &below_infra), "");
    }

    #[test]
    fn a_rule_is_the_innermost_key_of_the_files() {
        for (field, expected) in [
            ("spec.applications.api.commit", "commit"),
            ("spec.applications.api.comit", "applications"),
            ("spec.images[0].container", "container"),
            ("containerDefinitions[0].cpuu", FILE),
            ("", FILE),
        ] {
            assert_eq!(rule(field), expected, "{field}");
        }
    }

    #[test]
    fn sarif_names_rule_level_place_and_the_hints_as_help() {
        let sarif = sarif(&findings(), &below_infra);
        let run = &sarif["runs"][0];
        let rules: Vec<&str> = run["tool"]["driver"]["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["id"].as_str().unwrap())
            .collect();
        assert_eq!(rules, ["applications", "commit", "file"]);
        assert_eq!(run["tool"]["driver"]["rules"][1]["help"]["text"], "7 to 40 hexadecimal digits");
        for (number, id, level, uri, region) in [
            (0, "file", "warning", "infra/api.yaml", Value::Null),
            (
                1,
                "applications",
                "error",
                "infra/a%2Cb%3Ac%25/test%20x.yaml",
                json!({"startLine": 7, "startColumn": 11}),
            ),
            (2, "commit", "error", "infra/test.yaml", json!({"startLine": 7, "startColumn": 3})),
        ] {
            let result = &run["results"][number];
            assert_eq!((&result["ruleId"], &result["level"]), (&json!(id), &json!(level)));
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index], id);
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!((&place["artifactLocation"]["uri"], &place["region"]), (&json!(uri), &region));
        }
    }

    #[test]
    fn as_data_a_finding_has_all_that_it_says() {
        let declaration = Declaration {
            infra_commit: None,
            applications: Vec::new(),
            findings: findings().into(),
            unread_files: std::collections::BTreeSet::new(),
        };
        let shown = json(&declaration);
        assert_eq!(
            shown["findings"][0],
            json!({"severity": "warning", "file": "api.yaml", "line": null, "column": null, "field": null,
                "message": "50% of it, 1: is missing", "hint": null, "targets": ["test/api"]})
        );
        assert_eq!(shown["findings"][2]["hint"], "7 to 40 hexadecimal digits");
        assert_eq!(shown["findings"][2]["line"], 7);
    }
}
