//! The task definition of an application: a file, or a base and what is laid over it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{Found, Resolver};
use crate::documents::{
    containers, overlay,
    placeholders::{self, Unfilled},
    refusals, tags,
};
use crate::manifest::names::{self, NameKind};
use crate::manifest::{check, leftovers, task_definition};
use crate::model::{Complaint, Shape, ShapeComplaint, Spot};
use crate::model::{DesiredImage, Overlay, Severity, TaskDefinitionSource};
use crate::text::fields::{Fields, kind};
use crate::text::report;
use crate::text::tree::{Kind, Node, Place};

const WHOLE: &str = "the task definition itself";
const CONTAINERS: &str = "containerDefinitions";

/// Where a task definition that is no file starts from.
#[derive(Clone, Copy)]
enum Base {
    Service,
    Family,
}

/// Where fields of the task definition stand.
struct Layer<'f> {
    file: &'f str,
    node: Node,
}

/// A file and the patch over it, of which one may be missing.
struct Layers<'f> {
    file: Option<Layer<'f>>,
    patch: Option<Layer<'f>>,
}

impl<'f> Layers<'f> {
    /// The patch, if the very field stands there; else the file, or what is nearest to the field in it.
    fn place(&self, path: &str, spot: Spot) -> (&'f str, Place) {
        let exactly = |layer: &Layer<'f>| {
            let (key, node) = layer.node.entry_at(path)?;
            let key = key.filter(|_| spot == Spot::Key);
            Some((layer.file, key.map_or(node.place, |key| key.place)))
        };
        let nearest = |layer: &Layer<'f>| (layer.file, layer.node.at_path(path).place);
        let layers = || self.patch.iter().chain(&self.file);
        let found = layers().find_map(exactly);
        found.or_else(|| self.file.iter().chain(&self.patch).next().map(nearest)).unwrap_or_default()
    }
}

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    /// `images`: if they can be read. Those that a placeholder stands for get the names of their containers.
    pub(super) fn task_definition(
        &mut self,
        images: Option<&mut Vec<DesiredImage>>,
    ) -> Option<(TaskDefinitionSource, Overlay)> {
        match self.merged.get("taskDefinition") {
            Some(found) if matches!(found.node.kind, Kind::Scalar { .. }) => {
                let source = self.task_definition_file(&found, images);
                Some((source?, Overlay::default()))
            }
            found => {
                let source = found.map_or(Some(TaskDefinitionSource::Service), |found| self.base(&found));
                let overlay = self.overlay(images);
                Some((source?, overlay?))
            }
        }
    }

    fn base(&mut self, found: &Found<'d, 'f>) -> Option<TaskDefinitionSource> {
        let environment = self.environment;
        if let Some(family) = found.get("family") {
            self.check_braces(&family);
        }
        self.read(found, |node, path, report| {
            let mut fields = Fields::of(node, path, report);
            fields.require("from");
            let base = fields.word("from", &[("service", Base::Service), ("family", Base::Family)]);
            let family = fields.name("family", NameKind::Family, &|family| environment.fill(family));
            fields.finish();
            match (base?, family) {
                (Base::Service, None) => Some(TaskDefinitionSource::Service),
                (Base::Service, Some(_)) => {
                    let at = node.entry("family").map_or(node.place, |(key, _)| key.place);
                    report.error(at, &format!("{path}.family"), "`family` has no effect here").hint =
                        Some("write {from: family, family: NAME}, or leave it out".to_owned());
                    None
                }
                (Base::Family, Some(family)) => Some(TaskDefinitionSource::Family(family)),
                (Base::Family, None) => {
                    report.error(node, &format!("{path}.family"), "`family` is missing");
                    None
                }
            }
        })
    }

    /// What is laid over a base that only AWS knows.
    fn overlay(&mut self, images: Option<&mut Vec<DesiredImage>>) -> Option<Overlay> {
        self.values.all_is_read = false;
        let mut texts = self.values.texts.clone();
        if self.merged.get("values").is_none() {
            texts.clear();
        }
        if self.merged.get("taskDefinitionPatch").is_none() {
            return Some(Overlay { values: texts, ..Overlay::default() });
        }
        let (layer, patch) = self.patch()?;
        let mut complaints = Vec::new();
        if patch.get("family").is_some() {
            let message = "the family of a base stays as it is";
            complaints.push(Complaint::error("family", message).at_key().hint("use a task definition file"));
        }
        let mut images = images;
        if patch.get("containerDefinitions").is_some_and(Value::is_array) {
            complaints.extend(place_images(images.as_deref_mut(), &patch));
        }
        let (_, paths) = replaced(&patch, images.as_deref().map(Vec::as_slice));
        let misfits = (self.repository.check_shape)(Shape::TaskDefinition, &patch);
        complaints.extend(self.misfits_and_leftovers(&patch, &paths, misfits));
        self.tell(&Layers { file: None, patch: Some(layer) }, complaints);
        Some(Overlay { values: texts, patch: Some(patch), ..Overlay::default() })
    }

    fn task_definition_file(
        &mut self,
        named: &Found<'d, 'f>,
        images: Option<&mut Vec<DesiredImage>>,
    ) -> Option<TaskDefinitionSource> {
        let file = self.named_file(named);
        let has_patch = self.merged.get("taskDefinitionPatch").is_some();
        let patch = self.patch();
        let Some((file, root)) = file else {
            self.values.all_is_read = false;
            return None;
        };
        let pasted = root.get("taskDefinition").unwrap_or(&root).clone();
        let written = task_definition::registration_input(root.to_json());
        let layer = Layer { file, node: pasted };
        let mut input = self.filled(&layer, &written)?;
        let mut layers = Layers { file: Some(layer), patch: None };
        if has_patch {
            let (layer, patch) = patch?;
            overlay::merge_patch(&mut input, &patch);
            layers.patch = Some(layer);
        }
        let mut images = images;
        let misfits = (self.repository.check_shape)(Shape::TaskDefinition, &input);
        let mut meant = misfits.iter().filter_map(task_definition::meant);
        if input.get(CONTAINERS).is_none() && meant.any(|meant| meant == CONTAINERS) {
            // Everything else that could be said follows from that.
            let misfits = misfits.into_iter().map(|misfit| task_definition::misfit(misfit, &input, WHOLE));
            self.tell(&layers, misfits.collect());
            return None;
        }
        let mut complaints = place_images(images.as_deref_mut(), &input);
        // Where an image finds no container, its placeholder has no other fault.
        let placed = images.as_deref().map(Vec::as_slice).filter(|_| complaints.is_empty());
        if input.to_string().len() > placeholders::MOST_BYTES {
            complaints.push(too_large(String::new()));
        }
        complaints.extend(self.complaints(&input, placed, misfits));
        self.tell(&layers, complaints);
        self.check_targets(file, &input);
        Some(TaskDefinitionSource::File { path: file.to_owned(), input: Arc::new(input) })
    }

    fn complaints(
        &self,
        input: &Value,
        images: Option<&[DesiredImage]>,
        misfits: Vec<ShapeComplaint>,
    ) -> Vec<Complaint> {
        let (replaced, paths) = replaced(input, images);
        let mut taken: BTreeSet<String> = misfits.iter().filter_map(task_definition::meant).collect();
        let mut complaints = self.misfits_and_leftovers(input, &paths, misfits);
        let mut more = refusals::of(input, &replaced.iter().map(String::as_str).collect());
        leftovers::refused(&mut complaints, &more);
        taken.extend(complaints.iter().map(|complaint| complaint.path.clone()));
        if input.get("family").and_then(Value::as_str).is_none() {
            more.push(Complaint::error("family", "`family` is missing"));
        }
        more.retain(|complaint| !taken.contains(&complaint.path));
        complaints.extend(more);
        complaints.extend(tags_of_others(input));
        complaints.extend(check::plain_secrets(input));
        complaints
    }

    /// A field with a placeholder that has no value has no other fault yet.
    fn misfits_and_leftovers(
        &self,
        input: &Value,
        replaced: &[String],
        misfits: Vec<ShapeComplaint>,
    ) -> Vec<Complaint> {
        let mut complaints = leftovers::in_task_definition(input, &self.values.texts, replaced);
        let left: BTreeSet<String> = complaints.iter().map(|complaint| complaint.path.clone()).collect();
        let misfits = misfits.into_iter().map(|misfit| task_definition::misfit(misfit, input, WHOLE));
        let names = names::in_task_definition(input, replaced);
        let faults: Vec<Complaint> = misfits.chain(names).collect();
        leftovers::refused(&mut complaints, &faults);
        complaints.extend(faults.into_iter().filter(|fault| !left.contains(&fault.path)));
        complaints
    }

    /// A merge patch, in place or in a file of its own, with its placeholders filled in.
    fn patch(&mut self) -> Option<(Layer<'f>, Value)> {
        let found = self.merged.get("taskDefinitionPatch")?;
        let layer = match &found.node.kind {
            Kind::Scalar { .. } => {
                let read = self.named_file(&found);
                self.values.all_is_read &= read.is_some();
                read.map(|(file, node)| Layer { file, node })?
            }
            _ => Layer { file: found.file, node: found.node.clone() },
        };
        if !matches!(layer.node.kind, Kind::Map(_)) {
            let message = format!("expected a map, found {}", kind(&layer.node));
            self.error(layer.file, layer.node.place, "taskDefinitionPatch", message);
            return None;
        }
        let patch = self.filled(&layer, &layer.node.to_json())?;
        Some((layer, patch))
    }

    /// With placeholders filled in, as numbers where a number stands.
    fn filled(&mut self, layer: &Layer<'f>, written: &Value) -> Option<Value> {
        match placeholders::fill(written, &self.values.texts) {
            Ok(filled) => {
                self.values.used.extend(filled.used);
                let mut value = filled.value;
                if filled.whole.is_empty() {
                    return Some(value);
                }
                let complaints = (self.repository.check_shape)(Shape::TaskDefinition, &value);
                for (path, wanted) in task_definition::give_types(&mut value, &complaints, &filled.whole) {
                    let node = layer.node.at_path(path);
                    let name = match &node.kind {
                        Kind::Scalar { text, .. } => placeholders::whole(text),
                        Kind::List(_) | Kind::Map(_) => None,
                    };
                    self.tell_of(layer, &task_definition::not_of_type(path, name, wanted));
                    // What AWS wants there is told with it.
                    self.unfilled.push(report::position(layer.file, node.place));
                }
                Some(value)
            }
            Err(Unfilled::TooLarge { path }) => {
                self.values.all_is_read = false;
                self.tell_of(layer, &too_large(path));
                None
            }
            Err(Unfilled::SameKey { path, key }) => {
                self.values.all_is_read = false;
                self.tell_of(layer, &same_key(path, &key));
                None
            }
        }
    }

    fn tell(&mut self, layers: &Layers<'f>, complaints: Vec<Complaint>) {
        let (mut errors, mut warnings) = (0, 0);
        for complaint in complaints {
            let told = if complaint.severity == Severity::Error { &mut errors } else { &mut warnings };
            *told += 1;
            // Of more than that, two of which may be one, none is told: they are counted, and where they stand is not looked for.
            let path = if *told > 2 * report::MOST_OF_ONE { "" } else { &complaint.path };
            let (file, place) = layers.place(path, complaint.spot);
            self.add(file, place, &complaint);
        }
    }

    fn tell_of(&mut self, layer: &Layer<'f>, complaint: &Complaint) {
        self.add(layer.file, layer.node.at_path(&complaint.path).place, complaint);
    }

    pub(super) fn add(&mut self, file: &str, place: Place, complaint: &Complaint) {
        let Complaint { severity, path, message, hint, .. } = complaint;
        let mut finding = report::finding(*severity, file, place, path, message);
        finding.hint = hint.clone();
        self.findings.push(finding);
    }
}

/// Tags that only AWS or trueup gives; what is sent has those of trueup.
fn tags_of_others(input: &Value) -> impl Iterator<Item = Complaint> {
    let tags = input.get("tags").and_then(Value::as_array).into_iter().flatten().enumerate();
    tags.filter_map(|(index, tag)| {
        let key = tag.get("key").and_then(Value::as_str).filter(|key| tags::is_reserved(key))?;
        Some(super::tags::reserved(format!("tags[{index}].key"), key))
    })
}

/// Names the containers of images, and complains about what does not come together.
fn place_images(images: Option<&mut Vec<DesiredImage>>, input: &Value) -> Vec<Complaint> {
    let Some(images) = images else { return Vec::new() };
    task_definition::place_images(images, input);
    check::containers(input, images)
}

/// The containers whose image is put in, and the paths of these images. Of images that cannot be read it may be any.
fn replaced(input: &Value, images: Option<&[DesiredImage]>) -> (BTreeSet<String>, Vec<String>) {
    let containers = |image: &DesiredImage| containers::of_image(image, input).unwrap_or_default();
    let mut names: BTreeSet<String> = images.into_iter().flatten().flat_map(containers).collect();
    if images.is_none() {
        names.extend(containers::images(input).map(|(name, _)| name.to_owned()));
    }
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let name = |definition: &Value| definition.get("name").and_then(Value::as_str).map(str::to_owned);
    let is_replaced = |definition: &Value| name(definition).is_some_and(|name| names.contains(&name));
    let paths = definitions.enumerate().filter(|(_, definition)| is_replaced(definition));
    let paths = paths.map(|(index, _)| format!("containerDefinitions[{index}].image")).collect();
    (names, paths)
}

pub(super) fn too_large(path: String) -> Complaint {
    let bound = placeholders::MOST_BYTES;
    Complaint {
        severity: Severity::Error,
        ..Complaint::error(path, format!("more than {bound} bytes with `values` filled in"))
    }
    .hint(format!("AWS takes {bound} bytes (64 KiB) of a task definition; the rest of the file was not read"))
}

pub(super) fn same_key(path: String, key: &str) -> Complaint {
    Complaint::error(path, format!("two keys become `{key}` with `values` filled in"))
}
