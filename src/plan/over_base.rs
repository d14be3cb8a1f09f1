//! What is held against a task definition file when it is read, held here against what is laid over a base: that is known
//! only once AWS was read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::carriers;
use super::facts::Facts;
use super::render::owns_every_field;
use crate::documents::{containers, placeholders, refusals};
use crate::model::{Finding, Severity, Waiting};

impl Facts<'_> {
    /// Before the first write. What AWS took of the base itself is not asked: it may know better than the rules.
    pub(super) fn fits_together(&self, rendered: &Value) -> Result<(), Waiting> {
        let desired = self.input.desired;
        if owns_every_field(desired) {
            return Ok(());
        }
        let taken = refusals::of(&self.base()?, &BTreeSet::new());
        let complaints = refusals::of(rendered, &BTreeSet::new());
        let mut refused = complaints.into_iter().filter(|complaint| complaint.severity == Severity::Error);
        if let Some(complaint) = refused.find(|complaint| !taken.contains(complaint)) {
            return Err(Waiting::Misfit { field: complaint.path, why: complaint.message });
        }
        if let Some(spec) = carriers::app_spec(&desired.strategy) {
            load_balancers(&spec.content)
                .try_for_each(|one| leads_somewhere("the AppSpec", one, rendered))?;
        }
        for key in ["loadBalancers", "serviceRegistries"] {
            let declared =
                desired.service_settings.as_ref().and_then(|settings| settings.get(key)?.as_array());
            for one in declared.into_iter().flatten() {
                leads_somewhere(&format!("serviceSettings.{key}"), one, rendered)?;
            }
        }
        Ok(())
    }
}

impl Facts<'_> {
    /// Values that have no effect: the base has no placeholder for them. That keeps nothing from being done.
    pub(super) fn value_findings(&self) -> Vec<Finding> {
        let overlay = &self.input.desired.overlay;
        if overlay.for_the_base.is_empty() {
            return Vec::new();
        }
        let filled = self.base().ok().and_then(|base| placeholders::fill(&base, &overlay.values).ok());
        // What cannot be read or filled in is waited for, with its reason.
        let Some(filled) = filled else { return Vec::new() };
        let unused = overlay.for_the_base.iter().filter(|(name, _)| !filled.used.contains(*name));
        unused.map(|(_, finding)| finding.clone()).collect()
    }
}

/// Objects that name a container and a port, however deep they stand.
fn load_balancers(content: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match content {
        Value::Object(members) => {
            let own = member(content, "ContainerName").map(|_| content);
            Box::new(own.into_iter().chain(members.values().flat_map(load_balancers)))
        }
        Value::Array(items) => Box::new(items.iter().flat_map(load_balancers)),
        _ => Box::new(std::iter::empty()),
    }
}

/// Keys of an `AppSpec` are found in any case.
fn member<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    members.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
}

/// Whether traffic finds its container and its port.
fn leads_somewhere(field: &str, declared: &Value, rendered: &Value) -> Result<(), Waiting> {
    let Some(container) = member(declared, "ContainerName").and_then(Value::as_str) else { return Ok(()) };
    let misfit = |why| Err(Waiting::Misfit { field: field.to_owned(), why });
    let known: Vec<&str> = containers::images(rendered).map(|(name, _)| name).collect();
    if !known.contains(&container) {
        return misfit(format!("the task definition has no container {container}, but {}", known.join(", ")));
    }
    let Some(port) = member(declared, "ContainerPort").and_then(Value::as_i64) else { return Ok(()) };
    if ports(rendered, container).any(|mapped| mapped == port) {
        return Ok(());
    }
    misfit(format!("the container {container} has no port {port} in `portMappings`"))
}

fn ports<'v>(rendered: &'v Value, container: &'v str) -> impl Iterator<Item = i64> + 'v {
    let containers = rendered.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let named = containers.filter(move |one| one.get("name").and_then(Value::as_str) == Some(container));
    let mappings = named.filter_map(|one| one.get("portMappings")?.as_array()).flatten();
    mappings.filter_map(|mapping| mapping.get("containerPort")?.as_i64())
}
