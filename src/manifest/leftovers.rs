//! Placeholders that nothing has filled: ours, and those of other tools whose step is missing here.
//!
//! Where AWS takes no such letters (names, ARNs, sizes, images) each of them is an error. Texts that are the program's own
//! (variables, commands, labels, options) may hold what looks like one: there only `<NAME>` in capital letters is an
//! error, as `CodePipeline` writes it, and a variable that is nothing but a placeholder is a warning. So is `__NAME__`, which
//! AWS takes, unless it refuses it where it stands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::documents::placeholders::{self, member};
use crate::model::Complaint;
use crate::model::Severity;
use crate::text::nearest::nearest;

/// Letters of a placeholder's name; what is longer is text.
const LONGEST: usize = 64;

/// Hints that are looked for in one task definition, and names that are looked through: nobody reads more.
const HINTS: usize = 20;
const KNOWN_NAMES: usize = 200;

/// How a tool writes placeholders: what stands before and behind the name.
const STYLES: [(&str, &str); 18] = [
    ("<%=", "%>"),
    ("<%", "%>"),
    ("<", ">"),
    ("${{", "}}"),
    ("${", "}"),
    ("$(", ")"),
    ("$[", "]"),
    ("{{{", "}}}"),
    ("{{", "}}"),
    ("#{", "}#"),
    ("#{", "}"),
    ("{", "}"),
    ("[[", "]]"),
    ("((", "))"),
    ("%%", "%%"),
    ("%", "%"),
    ("@@", "@@"),
    ("@", "@"),
];
/// Styles of template engines, which take white space around a name.
const SPACED: [&str; 7] = ["<%=", "<%", "${{", "{{{", "{{", "[[", "(("];

/// Names that Python writes between underscores, and programs are told by.
const OF_PYTHON: [&str; 4] = ["main", "init", "name", "file"];

/// A placeholder in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placeholder<'t> {
    pub text: &'t str,
    pub name: &'t str,
    /// The byte where it begins.
    at: usize,
}

/// Every placeholder in a text that is no text of a program, whoever fills it.
pub(super) fn placeholders_in(text: &str) -> Vec<Placeholder<'_>> {
    let (mut found, mut start) = (Vec::new(), 0);
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let Some(step) = rest.find(['<', '$', '{', '#', '%', '[', '(', '@']) else { break };
        let at = start + step;
        match text.get(at..).and_then(|rest| placeholder(rest, at)) {
            Some(placeholder) => {
                start = at + placeholder.text.len();
                found.push(placeholder);
            }
            None => start = at + 1,
        }
    }
    found
}

/// The placeholder that begins a text.
fn placeholder(text: &str, at: usize) -> Option<Placeholder<'_>> {
    let styled = STYLES.iter().find_map(|(before, behind)| {
        let inner = text.strip_prefix(before)?;
        let near = inner.as_bytes().get(..inner.len().min(LONGEST + 2 + behind.len()))?;
        let end = near.windows(behind.len()).position(|bytes| bytes == behind.as_bytes())?;
        let written = inner.get(..end)?;
        // Template engines have space around a name; elsewhere a space makes it a text.
        let trimmed = written.trim();
        let is_spaced = SPACED.contains(before) || *before == "<" && is_capital(trimmed);
        let name = if is_spaced { trimmed } else { written };
        let length = before.len() + end + behind.len();
        // Dates are written with percents too, and addresses with an at.
        let is_other = matches!(*before, "%" | "%%" | "@" | "@@")
            && name.contains(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        (is_name(name) && !is_other).then_some(Placeholder { text: text.get(..length)?, name, at })
    });
    styled.or_else(|| {
        let inner = text.strip_prefix('$')?;
        let end = inner.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let name = inner.get(..end.unwrap_or(inner.len()))?;
        let length = name.len() + 1;
        is_name(name).then_some(Placeholder { text: text.get(..length)?, name, at })
    })
}

/// The first `__NAME__` that stands alone. AWS takes such letters in many a name, and programs in theirs (`A__B`).
fn underscored(text: &str) -> Option<Placeholder<'_>> {
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_of_word(letter)).scan(0, |next, word| {
        let at = *next;
        // Whatever ends a word, one letter of it is skipped.
        let end = text.get(at + word.len()..).and_then(|rest| rest.chars().next());
        *next += word.len() + end.map_or(0, char::len_utf8);
        Some((at, word))
    });
    words.into_iter().find_map(|(at, word)| {
        let name = word.strip_prefix("__")?.strip_suffix("__")?;
        let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
        let is_name = begins && name.len() <= LONGEST && !name.ends_with('_') && !OF_PYTHON.contains(&name);
        is_name.then_some(Placeholder { text: word, name, at })
    })
}

/// Letters first, as variables have them; the dots are those of template engines.
fn is_name(name: &str) -> bool {
    let name = name.trim_start_matches('.');
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || " _-.:/".contains(letter);
    name.len() <= LONGEST
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(allowed)
}

/// What is left in a task definition. `replaced`: the paths of images that are replaced whatever they say.
pub(super) fn in_task_definition(
    input: &Value,
    values: &BTreeMap<String, String>,
    replaced: &[String],
) -> Vec<Complaint> {
    let mut scan = Scan { values, replaced, complaints: Vec::new() };
    scan.value(input, "", Whose::Aws);
    scan.complaints
}

/// What is left in text that is AWS's alone: an `AppSpec`, a name.
pub(super) fn in_text(text: &str, path: &str, values: &BTreeMap<String, String>) -> Option<Complaint> {
    let left = left_in_text(text, values)?;
    Some(complaint(Severity::Error, &left, path).hint(advice(&left, values)))
}

/// What AWS refuses where it stands is an error, however it is written.
pub(super) fn refused(left: &mut [Complaint], faults: &[Complaint]) {
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    let paths: BTreeSet<&str> = errors.map(|fault| fault.path.as_str()).collect();
    for complaint in left.iter_mut().filter(|complaint| paths.contains(complaint.path.as_str())) {
        complaint.severity = Severity::Error;
    }
}

fn complaint(severity: Severity, left: &Placeholder<'_>, path: &str) -> Complaint {
    Complaint { severity, ..Complaint::error(path, format!("no value for {}", left.text)) }
}

fn left_in_text<'t>(text: &'t str, values: &BTreeMap<String, String>) -> Option<Placeholder<'t>> {
    let is_meant = |placeholder: &Placeholder<'_>| !is_literal(placeholder, values);
    placeholders_in(text).into_iter().find(is_meant)
}

/// Whose text a field holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Aws,
    /// The value of a variable, a label or an option.
    Variable,
    /// Shell or arguments.
    Command,
}

struct Scan<'a> {
    values: &'a BTreeMap<String, String>,
    replaced: &'a [String],
    complaints: Vec<Complaint>,
}

impl Scan<'_> {
    fn value(&mut self, value: &Value, path: &str, whose: Whose) {
        match value {
            Value::String(text) => self.text(text, path, whose),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &format!("{path}[{index}]"), whose);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    let path = member(path, key);
                    if let Some(left) = left_in_text(key, self.values).filter(|_| whose == Whose::Aws) {
                        let complaint = self.complaint(Severity::Error, &left, &path);
                        self.complaints.push(complaint.at_key());
                    }
                    self.value(field, &path, whose_is(key, &path, whose));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, path: &str, whose: Whose) {
        if self.replaced.iter().any(|image| image == path) {
            return;
        }
        let left = match whose {
            Whose::Aws => self.left_in_name(text),
            Whose::Variable | Whose::Command => self.left_in_program(text, whose),
        };
        if let Some((severity, left)) = left {
            let complaint = self.complaint(severity, &left, path);
            self.complaints.push(complaint);
        }
    }

    fn left_in_name<'t>(&self, text: &'t str) -> Option<(Severity, Placeholder<'t>)> {
        let certain = left_in_text(text, self.values).map(|left| (Severity::Error, left));
        certain.or_else(|| self.left_underscored(text))
    }

    fn left_underscored<'t>(&self, text: &'t str) -> Option<(Severity, Placeholder<'t>)> {
        let left = underscored(text).filter(|left| !is_literal(left, self.values));
        left.map(|left| (Severity::Warning, left))
    }

    fn complaint(&self, severity: Severity, left: &Placeholder<'_>, path: &str) -> Complaint {
        let hint = (self.complaints.len() < HINTS).then(|| advice(left, self.values));
        let hint = hint.map(|hint| if path.ends_with("].image") { of_an_image(hint, left) } else { hint });
        Complaint { hint, ..complaint(severity, left, path) }
    }

    fn left_in_program<'t>(&self, text: &'t str, whose: Whose) -> Option<(Severity, Placeholder<'t>)> {
        let ours = placeholders::names(text).map(|(at, name)| Placeholder {
            text: text.get(at..at + name.len() + 2).unwrap_or_default(),
            name,
            at,
        });
        let is_meant = |placeholder: &Placeholder<'_>| {
            is_name(placeholder.name)
                && !is_literal(placeholder, self.values)
                && !is_group_or_type(text, placeholder)
        };
        let ours: Vec<_> = ours.filter(is_meant).collect();
        if let Some(left) = ours.iter().find(|placeholder| is_capital(placeholder.name)) {
            return Some((Severity::Error, *left));
        }
        if whose == Whose::Command {
            return None;
        }
        let is_markup = text.contains("</") || text.contains("/>");
        let others = placeholders_in(text).into_iter().chain(underscored(text));
        let mut others = others.filter(|placeholder| placeholder.text == text.trim());
        let other = others.find(|placeholder| is_meant(placeholder));
        let left = ours.into_iter().find(|_| !is_markup).or(other)?;
        Some((Severity::Warning, left))
    }
}

/// A value that is the placeholder itself keeps it as text.
fn is_literal(placeholder: &Placeholder<'_>, values: &BTreeMap<String, String>) -> bool {
    values.get(placeholder.name).is_some_and(|value| value == placeholder.text)
}

/// `(?<name>…)` of a regular expression, `List<String>` of a program.
fn is_group_or_type(text: &str, placeholder: &Placeholder<'_>) -> bool {
    let before = text.get(..placeholder.at).unwrap_or_default();
    let is_group = before.ends_with('?') || before.ends_with("?P");
    is_group || !is_capital(placeholder.name) && before.ends_with(char::is_alphanumeric)
}

/// As `CodePipeline` writes them.
fn is_capital(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn whose_is(key: &str, path: &str, above: Whose) -> Whose {
    let is_awslogs = matches!(key, "awslogs-group" | "awslogs-region" | "awslogs-stream-prefix");
    match key {
        _ if above != Whose::Aws && is_awslogs => Whose::Aws,
        "value" if path.contains(".environment[") => Whose::Variable,
        "command" | "entryPoint" | "expression" => Whose::Command,
        // Text for the log driver, the router or the volume driver, which have templates of their own.
        "dockerLabels" | "options" | "driverOpts" | "labels" => Whose::Command,
        _ => above,
    }
}

/// A second image to be built is declared, and one of others is written out.
fn of_an_image(hint: String, left: &Placeholder<'_>) -> String {
    let is_image = left.name.to_ascii_uppercase().contains("IMAGE");
    if is_image { format!("name its repository and its container under `images`, or {hint}") } else { hint }
}

fn advice(left: &Placeholder<'_>, values: &BTreeMap<String, String>) -> String {
    let name = left.name.trim_start_matches('.');
    if name.eq_ignore_ascii_case("environment") || name.eq_ignore_ascii_case("env") {
        return "the environment's name is <ENVIRONMENT> in files".to_owned();
    }
    let known: Vec<&str> = values.keys().map(String::as_str).take(KNOWN_NAMES).collect();
    let same = known.iter().find(|known| known.eq_ignore_ascii_case(name)).copied();
    match same.or_else(|| nearest(name, &known).filter(|near| near.len() > 3 && *near != "ENVIRONMENT")) {
        Some(near) => format!("`values` has {near}: write <{near}>"),
        None if left.text.strip_prefix('<').is_some_and(|rest| rest.starts_with(left.name)) => {
            format!("add {name} to `values`")
        }
        None => format!("write <{name}>, and add {name} to `values`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_of_many_tools_are_known_and_text_is_left_alone() {
        for (text, expected) in [
            ("arn:aws:iam::${ACCOUNT_ID}:role/x", &["${ACCOUNT_ID}"][..]),
            ("<taskRoleArn>", &["<taskRoleArn>"]),
            ("api-{{ env }}/{{.Values.tag}}", &["{{ env }}", "{{.Values.tag}}"]),
            ("%IMAGE%:$TAG", &["%IMAGE%", "$TAG"]),
            ("$(Build.BuildId)-#{Env}#-{environment}", &["$(Build.BuildId)", "#{Env}#", "{environment}"]),
            ("#{A}-#{B}#", &["#{A}", "#{B}#"]),
            ("((role))/%%ROLE%%/{{{ role }}}", &["((role))", "%%ROLE%%", "{{{ role }}}"]),
            ("${{ github.sha }}", &["${{ github.sha }}"]),
            ("<a b>", &["<a b>"]),
            ("< ROLE >/<%= role %>/<% role %>", &["< ROLE >", "<%= role %>", "<% role %>"]),
            ("[[ROLE]]-[[ role ]]-$[ROLE]", &["[[ROLE]]", "[[ role ]]", "$[ROLE]"]),
            ("@ROLE@-@@ROLE@@", &["@ROLE@", "@@ROLE@@"]),
            ("me@a.example, you@b.example x@sha256:00", &[]),
            ("[0-9] [[:alpha:]] [a]", &[]),
            ("100% of 50%", &[]),
            ("a < b > c", &[]),
            ("$1 {} ${} {{}} <> %% $", &[]),
            ("{\"a\": 1}", &[]),
            ("%Y-%m-%d", &[]),
            ("ü<ü>{ü}", &[]),
        ] {
            let found: Vec<&str> = placeholders_in(text).iter().map(|found| found.text).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn many_of_them_are_looked_at_in_no_time() {
        let text = "<${{#%".repeat(10_000);
        assert_eq!(placeholders_in(&text), []);
        let values: BTreeMap<String, String> =
            (0..20_000).map(|n| (format!("NAME{n}"), String::new())).collect();
        let commands = json!({"family": vec!["<NAMES>"; 5_000]});
        let found = in_task_definition(&commands, &values, &[]);
        assert_eq!(found.iter().filter(|complaint| complaint.hint.is_some()).count(), HINTS);
        assert_eq!(found.len(), 5_000);
    }

    #[test]
    fn what_is_left_is_an_error_where_it_cannot_be_meant_and_a_warning_at_most_elsewhere() {
        let values = BTreeMap::from([
            ("ENVIRONMENT".to_owned(), "test".to_owned()),
            ("CONTAINER_PORT".to_owned(), "80".to_owned()),
            ("FILE".to_owned(), "<FILE>".to_owned()),
        ]);
        let container = |fields: Value| json!({"containerDefinitions": [fields]});
        let variable = |value: &str| container(json!({"environment": [{"name": "A", "value": value}]}));
        let error = |text: &str| Some((Severity::Error, text.to_owned()));
        let warning = |text: &str| Some((Severity::Warning, text.to_owned()));
        for (input, expected) in [
            (
                json!({"taskRoleArn": "<taskRoleArn>"}),
                error("no value for <taskRoleArn> | add taskRoleArn to `values`"),
            ),
            (
                json!({"family": "api-{environment}"}),
                error("no value for {environment} | the environment's name is <ENVIRONMENT> in files"),
            ),
            (json!({"cpu": "${CPU}"}), error("no value for ${CPU} | write <CPU>, and add CPU to `values`")),
            (container(json!({"image": "<REPO>:1"})), error("no value for <REPO> | add REPO to `values`")),
            (
                container(json!({"portMappings": [{"containerPort": "<ContainerPort>"}]})),
                error("no value for <ContainerPort> | `values` has CONTAINER_PORT: write <CONTAINER_PORT>"),
            ),
            (
                container(json!({"logConfiguration": {"options": {"awslogs-region": "<region>"}}})),
                error("no value for <region> | add region to `values`"),
            ),
            (
                container(json!({"environment": [{"name": "${X}", "value": "1"}]})),
                error("no value for ${X} | write <X>, and add X to `values`"),
            ),
            (
                container(
                    json!({"secrets": [{"name": "A", "valueFrom": "arn:aws:ssm:%REGION%:1:parameter/a"}]}),
                ),
                error("no value for %REGION% | write <REGION>, and add REGION to `values`"),
            ),
            (variable("x<LEVEL>"), error("no value for <LEVEL> | add LEVEL to `values`")),
            (
                container(json!({"command": ["sh", "-c", "echo <LEVEL>"]})),
                error("no value for <LEVEL> | add LEVEL to `values`"),
            ),
            (variable("https://<region>.x"), warning("no value for <region> | add region to `values`")),
            (
                variable("${DB_URL}"),
                warning("no value for ${DB_URL} | write <DB_URL>, and add DB_URL to `values`"),
            ),
            (
                variable("{{ level }}"),
                warning("no value for {{ level }} | write <level>, and add level to `values`"),
            ),
            (
                variable("[[CLUSTER]]"),
                warning("no value for [[CLUSTER]] | write <CLUSTER>, and add CLUSTER to `values`"),
            ),
            (variable("x [[ROLE]] @ROLE@ $[ROLE] __ROLE__"), None),
            (
                variable("#{Level}#"),
                warning("no value for #{Level}# | write <Level>, and add Level to `values`"),
            ),
            (
                variable("__Level__"),
                warning("no value for __Level__ | write <Level>, and add Level to `values`"),
            ),
            (
                json!({"family": "api-__STAGE__"}),
                warning("no value for __STAGE__ | write <STAGE>, and add STAGE to `values`"),
            ),
            (json!({"family": "__a__b api__STAGE__ __ __1__ ___ __main__"}), None),
            (variable("__main__"), None),
            (container(json!({"command": ["python", "-m", "__PKG__"]})), None),
            (
                container(json!({"image": "@REPO@:1"})),
                error("no value for @REPO@ | write <REPO>, and add REPO to `values`"),
            ),
            (
                container(json!({"logConfiguration": {"options": {"awslogs-group": "<%= group %>"}}})),
                error("no value for <%= group %> | write <group>, and add group to `values`"),
            ),
            (
                container(
                    json!({"secrets": [{"name": "A", "valueFrom": "arn:aws:ssm:$[REGION]:1:parameter/a"}]}),
                ),
                error("no value for $[REGION] | write <REGION>, and add REGION to `values`"),
            ),
            (
                json!({"volumes": [{"efsVolumeConfiguration": {"fileSystemId": "< FS >"}}]}),
                error("no value for < FS > | write <FS>, and add FS to `values`"),
            ),
            (variable("${A}/bin:${B}"), None),
            (variable("<b>bold</b>"), None),
            (variable("(?<level>x) (?P<LEVEL>x) List<String>"), None),
            (variable("usage: cat <FILE>"), None),
            (variable("{\"a\": {\"b\": \"%d\"}}"), None),
            (container(json!({"command": ["sh", "-c", "sort <a>b; echo ${HOME} $X {{x}}"]})), None),
            (container(json!({"healthCheck": {"command": ["CMD-SHELL", "curl $URL || exit 1"]}})), None),
            (
                container(json!({"dockerLabels": {"traefik.rule": "Path(`/{id:[0-9]+}`)", "x": "{{ y }}"}})),
                None,
            ),
            (
                container(
                    json!({"logConfiguration": {"options": {"tag": "{{.Name}}", "awslogs-datetime-format": "%Y%m%d"}}}),
                ),
                None,
            ),
        ] {
            let found = in_task_definition(&input, &values, &[]).into_iter().map(|complaint| {
                (
                    complaint.severity,
                    format!("{} | {}", complaint.message, complaint.hint.unwrap_or_default()),
                )
            });
            assert_eq!(found.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "{input}");
        }
        let image = container(json!({"image": "<IMAGE1_NAME>"}));
        assert_eq!(in_task_definition(&image, &values, &["containerDefinitions[0].image".to_owned()]), []);
    }
}
