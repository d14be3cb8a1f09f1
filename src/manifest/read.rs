//! Files to documents: which applications and environments are there, each with its node and where it came from.

use std::collections::BTreeSet;

use super::Files;
use super::fields::Fields;
use super::nearest::suggestion;
use super::report::Report;
use super::tree::{self, Kind, Node, Place};
use crate::model::Finding;

pub(super) const API_VERSION: &str = "trueup.dev/v1";
const KINDS: [&str; 2] = ["Application", "Environment"];

/// One `Application` or `Environment` document.
#[derive(Clone, Debug)]
pub(super) struct Document<'f> {
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    pub file: &'f str,
    /// The `spec` map; `None` if it is missing or no map.
    pub spec: Option<Node>,
    /// Something in it is wrong: whoever depends on it is frozen.
    pub broken: bool,
}

#[derive(Debug, Default)]
pub(super) struct Documents<'f> {
    pub applications: Vec<Document<'f>>,
    pub environments: Vec<Document<'f>>,
    pub findings: Vec<Finding>,
    /// Files that are ours by their text but could not be parsed at all.
    pub unparsed: Vec<&'f str>,
}

pub(super) fn documents(files: &Files) -> Documents<'_> {
    let mut all = Documents::default();
    for (path, text) in files.iter().filter(|(path, _)| is_yaml(path)) {
        match text {
            Ok(text) => read_file(path, text, &mut all),
            Err(why) => {
                let mut report = Report::on(path);
                report.error(Place::WHOLE_FILE, "", format!("cannot be read: {why}"));
                all.findings.append(&mut report.findings);
            }
        }
    }
    report_duplicates(&mut all);
    all
}

fn is_yaml(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml"))
}

fn read_file<'f>(file: &'f str, text: &str, all: &mut Documents<'f>) {
    if !text.contains("trueup.dev/") {
        return;
    }
    let mut report = Report::on(file);
    match tree::documents(text) {
        Ok(documents) => {
            for node in documents.iter().filter(|node| !node.is_null()) {
                read_document(node, file, all, &mut report);
            }
        }
        Err(broken) => {
            report.broken(broken);
            all.unparsed.push(file);
        }
    }
    all.findings.append(&mut report.findings);
}

fn read_document<'f>(node: &Node, file: &'f str, all: &mut Documents<'f>, report: &mut Report<'f>) {
    let before = report.findings.len();
    let mut fields = Fields::of(node, "", report);
    if !is_ours(node, &mut fields) {
        return;
    }
    let kind = fields.required("kind");
    let name = fields.node("metadata").and_then(|metadata| name(metadata, fields.report));
    let spec = fields.node("spec").filter(|spec| matches!(spec.kind, Kind::Map(_))).cloned();
    if spec.is_none() {
        fields.report.error(node, "spec", "`spec` is missing or no map");
    }
    fields.finish();
    let Some((place, name)) = name.filter(|(_, name)| is_name(name)) else {
        report.error(node, "metadata.name", "needs a name of letters, digits, `-`, `_` and `.`");
        return;
    };
    let broken = report.findings.len() > before;
    let document = Document { name, place, file, spec, broken };
    match kind.as_deref() {
        Some("Application") => all.applications.push(document),
        Some("Environment") => all.environments.push(document),
        Some(other) => {
            report.error(node, "kind", format!("unknown kind `{other}`")).hint = suggestion(other, &KINDS);
        }
        None => {}
    }
}

/// Whether this version reads it. What is nearly ours is a finding, what is not is passed over.
fn is_ours(node: &Node, fields: &mut Fields<'_, '_, '_>) -> bool {
    let is_our_kind = |kind: &Node| KINDS.iter().any(|known| kind.is_text(known));
    let finding = match fields.text("apiVersion") {
        Some(version) if version == API_VERSION => return true,
        Some(other) if other.starts_with("trueup.dev/") => {
            let message = format!("apiVersion `{other}` is not known to this version of trueup");
            fields.report.error(node, "apiVersion", message)
        }
        None if node.get("apiVersion").is_none() && node.get("kind").is_some_and(is_our_kind) => {
            fields.report.error(node, "apiVersion", "`apiVersion` is missing")
        }
        _ => return false,
    };
    finding.hint = Some(format!("it reads {API_VERSION}"));
    false
}

fn name(metadata: &Node, report: &mut Report<'_>) -> Option<(Place, String)> {
    let mut fields = Fields::of(metadata, "metadata", report);
    let place = fields.node("name").map_or(metadata.place, |name| name.place);
    let name = fields.required("name");
    fields.finish();
    Some((place, name?))
}

/// Names stand in tags of AWS and in `ENVIRONMENT/APPLICATION`.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=100).contains(&name.len()) && name.bytes().all(allowed)
}

fn report_duplicates(all: &mut Documents<'_>) {
    for (word, documents) in [("application", &mut all.applications), ("environment", &mut all.environments)]
    {
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<String> = documents
            .iter()
            .filter(|document| !seen.insert(document.name.clone()))
            .map(|d| d.name.clone())
            .collect();
        for document in documents.iter_mut().filter(|document| twice.contains(&document.name)) {
            document.broken = true;
            let mut report = Report::on(document.file);
            let message = format!("{word} `{}` is declared more than once", document.name);
            report.error(document.place, "metadata.name", message).hint =
                Some("rename or remove one of them".to_owned());
            all.findings.append(&mut report.findings);
        }
    }
}
