//! Files that a document names, the task definition first of all, and the settings of the service.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Found, Resolver};
use crate::manifest::fields::{Fields, entries, text, unknown_keys};
use crate::manifest::report::Report;
use crate::manifest::tree::{self, Key, Kind, Node, Place};
use crate::manifest::{check, task_definition};
use crate::model::{DesiredImage, Severity, ShapeComplaint, Strategy, TaskDefinitionSource};
use crate::plan::service_settings;

/// Where a task definition that is no file starts from.
#[derive(Clone, Copy)]
enum Base {
    Service,
    Family,
}

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    /// `images`: if they can be read.
    pub(super) fn task_definition(
        &mut self,
        images: Option<&[DesiredImage]>,
    ) -> Option<TaskDefinitionSource> {
        let Some(found) = self.merged.get("taskDefinition") else {
            return Some(TaskDefinitionSource::Service);
        };
        if let Kind::Scalar { .. } = found.node.kind {
            return self.task_definition_file(&found, images);
        }
        let environment = self.environment;
        self.read(&found, |node, path, report| {
            let mut fields = Fields::of(node, path, report);
            fields.require("from");
            let base = fields.word("from", &[("service", Base::Service), ("family", Base::Family)]);
            let family = fields.text("family").map(|family| environment.fill(&family));
            fields.finish();
            match (base?, family) {
                (Base::Service, _) => Some(TaskDefinitionSource::Service),
                (Base::Family, Some(family)) => Some(TaskDefinitionSource::Family(family)),
                (Base::Family, None) => {
                    report.error(node, &format!("{path}.family"), "`family` is missing");
                    None
                }
            }
        })
    }

    fn task_definition_file(
        &mut self,
        named: &Found<'d, 'f>,
        images: Option<&[DesiredImage]>,
    ) -> Option<TaskDefinitionSource> {
        let (file, root) = self.named_file(named)?;
        let mut input = task_definition::registration_input(root.to_json());
        task_definition::fill_in(&mut input, &self.values());
        if let Some(patch) = self.patch() {
            task_definition::merge_patch(&mut input, &patch);
        }
        self.check_task_definition(file, &root, &input, images);
        Some(TaskDefinitionSource::File { path: file.to_owned(), input })
    }

    /// What stands for `<NAME>` in files.
    pub(super) fn values(&mut self) -> BTreeMap<String, String> {
        let declared = self.merged.get("values").map(|found| {
            self.read(&found, |node, path, report| {
                let entries = entries(node, path, report).unwrap_or_default();
                let value = |(key, node): &(Key, Node)| Some((key.text.clone(), text(node, path, report)?));
                entries.iter().filter_map(value).collect()
            })
        });
        let mut values: BTreeMap<String, String> = declared.unwrap_or_default();
        values.insert("ENVIRONMENT".to_owned(), self.environment.name.to_string());
        values
    }

    /// A merge patch: in place, or in a file of its own.
    fn patch(&mut self) -> Option<Value> {
        let found = self.merged.get("taskDefinitionPatch")?;
        match &found.node.kind {
            Kind::Scalar { .. } => self.named_file(&found).map(|(_, root)| root.to_json()),
            _ => Some(found.node.to_json()),
        }
    }

    fn check_task_definition(
        &mut self,
        file: &'f str,
        root: &Node,
        input: &Value,
        images: Option<&[DesiredImage]>,
    ) {
        let pasted = root.get("taskDefinition").unwrap_or(root);
        let mut report = Report::on(file);
        for complaint in (self.repository.check_shape)(input) {
            let ShapeComplaint { severity, path, message } = complaint;
            let finding = report.add(severity, pasted.at_path(&path), &path, message);
            if severity == Severity::Warning {
                finding.hint = Some("it is sent to AWS as written".to_owned());
            }
        }
        if input.get("family").and_then(Value::as_str).is_none() {
            report.error(root, "family", "`family` is missing");
        }
        if let Some(images) = images {
            check::containers(input, pasted, images, &mut report);
            check::placeholders(input, pasted, images, &mut report);
        }
        check::plain_secrets(input, pasted, &mut report);
        self.findings.append(&mut report.findings);
    }

    /// Members of `UpdateService`, by their AWS names; what they hold is AWS's to check.
    pub(super) fn service_settings(&mut self, strategy: &Strategy) -> Option<Value> {
        let of_the_deployment: &[&str] = match strategy {
            Strategy::CodeDeploy(_) => &service_settings::OF_THE_DEPLOYMENT,
            Strategy::Rolling | Strategy::Unspecified => &[],
        };
        let found = self.merged.get("serviceSettings")?;
        self.read(&found, |node, path, report| {
            let entries = entries(node, path, report)?;
            unknown_keys(entries, &service_settings::KEYS, path, report);
            for (key, _) in entries.iter().filter(|(key, _)| of_the_deployment.contains(&key.text.as_str())) {
                let message =
                    format!("`{}` of a service that CodeDeploy deploys cannot be set here", key.text);
                report.error(key, &format!("{path}.{}", key.text), message).hint =
                    Some("network, platform version and capacity providers go into the AppSpec".to_owned());
            }
            Some(node.to_json())
        })
    }

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
        let root = match tree::document(text) {
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

/// The path of a file named next to another; `None` if it leaves the repository.
fn path_beside(file: &str, name: &str) -> Option<String> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if name.starts_with('/') {
        return None;
    }
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
