//! Where something stands, and the findings about it.

use super::tree::{Broken, Place};
use crate::model::{Finding, Position, Severity};

/// A file, by its path in the repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'f> {
    pub file: &'f str,
    pub text: &'f str,
}

impl<'f> Source<'f> {
    pub(crate) fn report(self) -> Report<'f> {
        Report { source: self, findings: Vec::new() }
    }

    pub(crate) fn position(self, place: impl Into<Place>) -> Position {
        let Place { line, column } = place.into();
        Position { file: self.file.to_owned(), line, column }
    }

    pub(crate) fn finding(
        self,
        severity: Severity,
        place: impl Into<Place>,
        field: &str,
        message: impl Into<String>,
    ) -> Finding {
        let position = self.position(place);
        let excerpt = position.line.checked_sub(1).and_then(|index| self.text.lines().nth(index));
        // An excerpt shows where; a line that may hold a secret or a whole document is not repeated.
        let excerpt = excerpt
            .filter(|line| line.len() <= 200 && !crate::plan::diff::looks_secret(line))
            .map(str::to_owned);
        Finding {
            severity,
            position,
            field: field.to_owned(),
            message: message.into(),
            hint: None,
            excerpt,
            targets: Vec::new(),
        }
    }
}

/// Collects findings about one file.
pub(crate) struct Report<'f> {
    source: Source<'f>,
    pub findings: Vec<Finding>,
}

impl Report<'_> {
    /// A hint can be added to what is returned.
    pub(crate) fn error(
        &mut self,
        place: impl Into<Place>,
        field: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.add(Severity::Error, place, field, message)
    }

    pub(crate) fn warning(
        &mut self,
        place: impl Into<Place>,
        field: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.add(Severity::Warning, place, field, message)
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        place: impl Into<Place>,
        field: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.findings.push_mut(self.source.finding(severity, place, field, message))
    }

    /// The text itself could not be read.
    pub(crate) fn broken(&mut self, broken: Broken) {
        self.error(broken.place, "", broken.message).hint = broken.hint.map(str::to_owned);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}
