//! Files to documents: which applications and environments are there, each with its node and where it came from.

use std::collections::{BTreeMap, BTreeSet};

use super::named::{is_document, is_of_this_program};
use super::{Files, KEYS};
use crate::model::Finding;
use crate::text::fields::{Fields, kind as kind_of_node, text};
use crate::text::nearest::{nearest, nearest_within, suggestion};
use crate::text::report::{self, MOST_OF_ALL, MOST_OF_ONE, Report};
use crate::text::tree::{self, Kind, Node, Place};

pub(super) const API_VERSION: &str = "trueup.dev/v1";
const KINDS: [&str; 2] = ["Application", "Environment"];

/// What a file says of us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mention {
    OurVersion,
    None,
}

/// One `Application` or `Environment` document.
#[derive(Clone, Debug)]
pub(super) struct Document<'f> {
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    pub file: &'f str,
    /// The `spec` map; `None` if it is missing or not a mapping.
    pub spec: Option<Node>,
    /// Something in it is wrong: whoever depends on it is frozen.
    pub broken: bool,
}

#[derive(Debug, Default)]
pub(super) struct Documents<'f> {
    pub applications: Vec<Document<'f>>,
    pub environments: Vec<Document<'f>>,
    pub findings: Vec<Finding>,
    /// Files that cannot be read, or are ours by their text and no YAML: what is wrong with each. Nobody knows what they declare.
    pub unread: BTreeMap<&'f str, Vec<Finding>>,
    /// Documents of a version or a kind that is none, by their name: what is wrong with them. Whoever names them is named
    /// there, and nowhere else.
    pub misread: BTreeMap<String, Vec<Finding>>,
}

pub(super) fn documents(files: &Files) -> Documents<'_> {
    let mut all = Documents::default();
    for (path, text) in files.iter().filter(|(path, _)| is_document(path)) {
        match text {
            // A disk that is full leaves them, and YAML has none.
            Ok(text) if text.contains('\0') => {
                unreadable(path, "it holds NUL bytes, and is no text", &mut all);
            }
            Ok(text) => read_file(path, text, &mut all),
            Err(why) => unreadable(path, why, &mut all),
        }
    }
    report_duplicates(&mut all);
    all
}

fn unreadable<'f>(file: &'f str, why: &str, all: &mut Documents<'f>) {
    let mut report = Report::on(file);
    report.error(Place::WHOLE_FILE, "", format!("cannot be read: {why}"));
    all.unread.insert(file, report.findings);
}

fn read_file<'f>(file: &'f str, text: &str, all: &mut Documents<'f>) {
    let mention = if is_of_this_program(text) { Mention::OurVersion } else { Mention::None };
    if mention == Mention::None && !may_be_ours(text) {
        return;
    }
    let mut report = Report::on(file);
    match tree::documents(text) {
        Ok(documents) => {
            for node in documents.iter().filter(|node| !node.is_null()) {
                read_document(node, file, mention, all, &mut report);
            }
        }
        Err(broken) if mention == Mention::OurVersion => {
            report.broken(broken);
            all.unread.insert(file, std::mem::take(&mut report.findings));
        }
        // Whose it is cannot be told, and most files of others are templates.
        Err(_) => {}
    }
    report::cut(&mut report.findings, MOST_OF_ONE);
    all.findings.append(&mut report.findings);
    report::cut(&mut all.findings, MOST_OF_ALL);
}

/// Whether a text that does not name our version is worth a closer look.
fn may_be_ours(text: &str) -> bool {
    let mentions = |words: &[&str]| words.iter().any(|word| text.contains(word));
    mentions(&["trueup", "Trueup", "TrueUp"]) || mentions(&KINDS) || mentions(&["applications:", "service:"])
}

fn read_document<'f>(
    node: &Node,
    file: &'f str,
    mention: Mention,
    all: &mut Documents<'f>,
    report: &mut Report<'f>,
) {
    let before = report.findings.len();
    if mention == Mention::None && !matches!(node.kind, Kind::Map(_)) {
        return;
    }
    let mut fields = Fields::of(node, "", report);
    if !is_ours(node, &mut fields) {
        set_aside(node, before, all, report);
        return;
    }
    let kind = kind_of(node, &mut fields);
    let name = fields.node("metadata").and_then(|metadata| name(metadata, fields.report));
    let spec = fields.node("spec").filter(|spec| matches!(spec.kind, Kind::Map(_))).cloned();
    match node.get("spec") {
        Some(written) if spec.is_none() => {
            fields.report.error(written, "spec", format!("expected a map, found {}", kind_of_node(written)));
        }
        // One that is nearly called so is told as unknown.
        None if !has_nearly_a_spec(node) => _ = fields.report.error(node, "spec", "`spec` is missing"),
        _ => {}
    }
    fields.finish();
    let place = name.as_ref().map(|(place, _)| *place);
    let is_told =
        name.is_none() && report.findings.iter().skip(before).any(|one| one.field == "metadata.name");
    let Some((place, name)) = name.filter(|(_, name)| is_name(name)) else {
        if !is_told {
            let message = "needs a name of letters, digits, `-`, `_` and `.`, not beginning with `-` or `.`";
            report.error(place.unwrap_or(node.place), "metadata.name", message);
        }
        return;
    };
    let broken = report.findings.len() > before;
    let document = Document { name, place, file, spec, broken };
    match kind.as_deref() {
        Some("Application") => all.applications.push(document),
        Some("Environment") => all.environments.push(document),
        _ => set_aside(node, before, all, report),
    }
}

fn has_nearly_a_spec(node: &Node) -> bool {
    let Kind::Map(entries) = &node.kind else { return false };
    entries
        .iter()
        .any(|(key, _)| nearest(&key.text, &["apiVersion", "kind", "metadata", "spec"]) == Some("spec"))
}

/// One of the two; everything else is reported where it stands.
fn kind_of(node: &Node, fields: &mut Fields<'_, '_, '_>) -> Option<String> {
    let known = || Some(format!("it is {}", KINDS.join(" or ")));
    let Some(written) = fields.node("kind") else {
        fields.report.error(node, "kind", "`kind` is missing").hint = known();
        return None;
    };
    let kind = text(written, "kind", fields.report)?;
    if !KINDS.contains(&kind.as_str()) {
        fields.report.error(written, "kind", format!("unknown kind `{kind}`")).hint =
            suggestion(&kind, &KINDS).or_else(known);
    }
    Some(kind)
}

/// Keeps what was found since by the name of the document, which is known although it is of no kind.
fn set_aside(node: &Node, before: usize, all: &mut Documents<'_>, report: &mut Report<'_>) {
    let name = node.get("metadata").and_then(|metadata| metadata.get("name")).map(|name| &name.kind);
    let Some(Kind::Scalar { text, .. }) = name else { return };
    if report.findings.len() > before {
        all.misread.entry(text.clone()).or_default().extend(report.findings.split_off(before));
    }
}

/// Whether this version reads it. What is nearly ours is a finding, what is not is passed over.
fn is_ours(node: &Node, fields: &mut Fields<'_, '_, '_>) -> bool {
    let written = node.get("apiVersion");
    let message = match written.map(|version| &version.kind) {
        Some(Kind::Scalar { text, .. }) if text == API_VERSION => {
            fields.node("apiVersion");
            return true;
        }
        Some(Kind::Scalar { text, .. }) if is_nearly_ours(text) => {
            format!("apiVersion `{text}` is not known to this version of trueup")
        }
        // No version of Kubernetes' own has these kinds; those of other groups may have the same.
        Some(Kind::Scalar { text, .. }) if !text.is_empty() && !written.is_some_and(Node::is_null) => {
            if text.contains('/') && !has_our_keys(node) || !has_our_kind(node) {
                return false;
            }
            format!("apiVersion `{text}` is not trueup's, and the document looks like one of its own")
        }
        Some(Kind::List(_) | Kind::Map(_)) if has_our_kind(node) => "`apiVersion` is no text".to_owned(),
        Some(Kind::Scalar { .. }) | None if has_our_kind(node) || has_our_keys(node) => {
            "`apiVersion` is missing".to_owned()
        }
        _ => return false,
    };
    let at = written.unwrap_or(node);
    let at = if at.is_null() { node } else { at };
    fields.report.error(at, "apiVersion", message).hint = Some(format!("write apiVersion: {API_VERSION}"));
    false
}

/// One or two letters off, or named after this program.
fn is_nearly_ours(version: &str) -> bool {
    version.to_ascii_lowercase().contains("trueup")
        || nearest_within(version, &[API_VERSION], |_| 3).is_some()
}

fn has_our_kind(node: &Node) -> bool {
    let kind = node.get("kind").map(|kind| &kind.kind);
    matches!(kind, Some(Kind::Scalar { text, .. }) if nearest_within(text, &KINDS, |_| 2).is_some())
}

/// Whether the keys of `spec` are those of our documents and no others: commits by application, or a service and its image.
fn has_our_keys(node: &Node) -> bool {
    let Some(Kind::Map(spec)) = node.get("spec").map(|spec| &spec.kind) else { return false };
    let has = |key: &str| spec.iter().any(|(known, _)| known.text == key);
    let is_known = spec.iter().all(|(key, _)| KEYS.contains(&key.text.as_str()));
    let has_image = ["repository", "images", "imageDefinitions"].iter().any(|key| has(key));
    let has_commit =
        |(_, entry): &(_, Node)| ["commit", "commits"].iter().any(|key| entry.get(key).is_some());
    let applications = spec.iter().find(|(key, _)| key.text == "applications").map(|(_, node)| &node.kind);
    let commits = matches!(applications, Some(Kind::Map(entries)) if entries.iter().any(has_commit));
    is_known && (commits || has("service") && has_image)
}

fn name(metadata: &Node, report: &mut Report<'_>) -> Option<(Place, String)> {
    let mut fields = Fields::of(metadata, "metadata", report);
    let place = fields.node("name").map_or(metadata.place, |name| name.place);
    let name = fields.required("name");
    fields.finish();
    Some((place, name?))
}

/// Names stand in tags of AWS and in `ENVIRONMENT/APPLICATION`; an environment's is an image tag too.
/// Whether a document may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=100).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with(['-', '.'])
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
