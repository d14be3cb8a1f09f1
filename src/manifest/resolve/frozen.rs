//! Whom the errors of a document freeze: everybody in an environment, or an application wherever it is declared. What is wrong
//! with one entry names its target itself.

use std::collections::BTreeMap;

use crate::manifest::read::{Document, Documents};
use crate::model::{Declared, Finding, Severity, Target};
use crate::text::tree::Place;

/// Targets that are named in all. Beyond that, lists of thousands would stand at each of thousands of findings.
const MOST_NAMED: usize = 50_000;

/// Where the documents of a file begin, each with those whom it freezes.
type Beginnings<'d> = BTreeMap<(&'d str, usize, usize), Vec<&'d Target>>;

/// Adds to errors that name nobody those whom the document freezes in which they stand.
pub(super) fn name_frozen(findings: &mut [Finding], documents: &Documents<'_>, applications: &[Declared]) {
    let beginnings = beginnings(documents, applications);
    let mut room = MOST_NAMED;
    let errors = findings.iter_mut().filter(|finding| finding.severity == Severity::Error);
    for finding in errors.filter(|finding| finding.targets.is_empty()) {
        let (file, line, column) =
            (finding.position.file.as_str(), finding.position.line, finding.position.column);
        let before = beginnings.range((file, 0, 0)..=(file, line, column));
        let Some((_, frozen)) = before.last() else { continue };
        finding.targets.extend(frozen.iter().take(room).map(|target| (*target).clone()));
        room = room.saturating_sub(frozen.len());
    }
}

fn beginnings<'d>(documents: &'d Documents<'_>, applications: &'d [Declared]) -> Beginnings<'d> {
    let (mut of_environments, mut of_applications) = (BTreeMap::new(), BTreeMap::new());
    for declared in applications.iter().filter(|declared| matches!(declared, Declared::Frozen(_))) {
        let target = declared.target();
        of_environments.entry(target.environment.as_str()).or_insert_with(Vec::new).push(target);
        of_applications.entry(target.application.as_str()).or_insert_with(Vec::new).push(target);
    }
    let environments = documents.environments.iter().map(|document| (document, &of_environments));
    let all = environments.chain(documents.applications.iter().map(|document| (document, &of_applications)));
    let frozen = |(document, by_name): (&'d Document<'_>, &BTreeMap<&str, Vec<&'d Target>>)| {
        let Place { line, column } = document.begins;
        let frozen = by_name.get(document.name.as_str()).cloned().unwrap_or_default();
        ((document.file, line, column), frozen)
    };
    all.map(frozen).collect()
}
