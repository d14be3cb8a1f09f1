//! A complaint of `lint` or of a preflight check.

use std::fmt;

use super::{Position, Target};
use crate::escape::line;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

/// What is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub position: Position,
    /// The path of keys, such as `spec.applications.api.commit`; empty when the file as a whole is meant.
    pub field: String,
    /// Lower case, no full stop.
    pub message: String,
    pub hint: Option<String>,
    /// The source line, for the excerpt under the message.
    pub excerpt: Option<String>,
    /// Who is frozen by an error; empty: nobody can be named.
    pub targets: Vec<Target>,
}

/// What AWS has a model of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The input of `RegisterTaskDefinition`, or a part of it.
    TaskDefinition,
    /// A part of the input of `UpdateService`.
    ServiceSettings,
}

/// What does not fit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeComplaint {
    /// Such as `containerDefinitions[0].healthcheck`.
    pub path: String,
    pub misfit: Misfit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A member that AWS's model does not have here. AWS may know more by now.
    UnknownMember {
        key: String,
        /// The members that it has here.
        known: Vec<String>,
        /// Those of them that take any key.
        maps: Vec<String>,
        /// Where else the model has a member of this very name, such as `containerDefinitions[].portMappings[]`.
        elsewhere: Vec<String>,
    },
    WrongType {
        wanted: ValueType,
        message: String,
    },
}

/// What AWS's model wants of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    WholeNumber,
    Number,
    Boolean,
    Text,
    Other,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}", line(&self.position.file))?;
        if self.position.line > 0 {
            write!(f, ":{}:{}", self.position.line, self.position.column)?;
        }
        write!(f, ": {}", line(&self.message))?;
        if !self.field.is_empty() {
            write!(f, " ({})", line(&self.field))?;
        }
        if let Some(excerpt) = &self.excerpt {
            let width = self.position.column.saturating_sub(1);
            let excerpt = line(excerpt);
            write!(f, "\n   |\n{:>2} | {excerpt}\n   | {:width$}^", self.position.line, "")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint  {}", line(hint))?;
        }
        Ok(())
    }
}
