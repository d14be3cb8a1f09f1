//! What is wrong in a task definition, by the path of the field. Where that stands is found afterwards: the field may come
//! from a file or from the patch over it.

use super::Severity;

/// What is wrong at one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub severity: Severity,
    /// Such as `containerDefinitions[0].cpu`.
    pub path: String,
    pub spot: Spot,
    pub message: String,
    pub hint: Option<String>,
}

/// What of the field is pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    Value,
    /// The key itself is wrong, or its value is missing.
    Key,
}

impl Complaint {
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.into(),
            spot: Spot::Value,
            message: message.into(),
            hint: None,
        }
    }

    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message) }
    }

    #[must_use]
    pub fn at_key(self) -> Self {
        Self { spot: Spot::Key, ..self }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
