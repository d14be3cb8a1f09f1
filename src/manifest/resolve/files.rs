//! Files that a document names, as trees.

use super::{Found, Resolver};
use crate::manifest::named::path_beside;
use crate::text::fields::text;
use crate::text::json;
use crate::text::report::Report;
use crate::text::tree::{self, Broken, Node, Place};

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    /// A file next to the document that names it, as a tree.
    pub(super) fn named_file(&mut self, named: &Found<'d, 'f>) -> Option<(&'f str, Node)> {
        let name = self.read(named, text)?;
        match self.file(named.file, &name) {
            Ok((file, text)) => self.root(file, text).map(|root| (file, root)),
            Err((message, hint)) => {
                self.error(named.file, named.node, &named.path, message).hint = hint;
                None
            }
        }
    }

    /// Path and text; the error is a message and a hint.
    fn file(&self, beside: &str, name: &str) -> Result<(&'f str, &'f str), (String, Option<String>)> {
        let full =
            path_beside(beside, name).ok_or_else(|| (format!("`{name}` leaves the repository"), None))?;
        match self.repository.files.get_key_value(&full) {
            Some((file, Ok(text))) => Ok((file, text)),
            Some((_, Err(why))) => Err((format!("`{full}` cannot be read: {why}"), None)),
            None => {
                let hint = self.repository.file_names.suggestion(&full);
                Err((format!("there is no file `{full}`"), hint))
            }
        }
    }

    fn root(&mut self, file: &'f str, text: &str) -> Option<Node> {
        let mut report = Report::on(file);
        let root = match parsed(file, text) {
            Ok(Some(root)) => Some(root),
            Ok(None) => {
                report.error(Place::WHOLE_FILE, "", "the file is empty");
                None
            }
            Err(broken) => {
                report.broken(broken);
                None
            }
        };
        self.findings.append(&mut report.findings);
        root
    }
}

/// YAML by its extension; everything else that begins as JSON does is read as that, and never as YAML.
fn parsed(file: &str, text: &str) -> Result<Option<Node>, Broken> {
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let is_json = match extension.as_deref() {
        Some("yaml" | "yml" | "YAML" | "YML") => false,
        Some("json") => true,
        _ => text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']),
    };
    if is_json { json::document(text) } else { tree::document(text) }
}
