//! What is wrong in a task definition, by the path of the field. Where that stands is found afterwards: the field may come
//! from a file or from the patch over it.

use crate::model::Severity;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub severity: Severity,
    pub path: String,
    pub spot: Spot,
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Value,
    /// The key itself is wrong, or its value is missing.
    Key,
}

impl Complaint {
    pub(super) fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.into(),
            spot: Spot::Value,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message) }
    }

    pub(super) fn at_key(self) -> Self {
        Self { spot: Spot::Key, ..self }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
