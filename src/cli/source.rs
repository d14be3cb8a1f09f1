//! The infrastructure repository of a command: a commit of it, or its working tree.

use std::path::Path;
use std::sync::Arc;

use crate::aws;
use crate::git::{Head, Source};
use crate::manifest::{self, ShapeComplaint};
use crate::model::{Ancestry, Declaration, InfraCommit, Severity};
use crate::ports::History;

use super::RepositoryArgs;

/// A repository that can answer questions of ancestry while a command reads it.
#[derive(Clone)]
pub(super) struct Opened(Arc<Source>);

impl History for Opened {
    fn ancestry(&self, commit: &InfraCommit, head: &InfraCommit) -> Ancestry {
        self.0.ancestry(commit, head)
    }
}

impl Opened {
    pub(super) fn open(arguments: &RepositoryArgs) -> anyhow::Result<Self> {
        Self::at(&arguments.repo, arguments.branch.as_deref(), &arguments.path)
    }

    pub(super) fn at(repository: &Path, branch: Option<&str>, path: &str) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Source::open(repository, branch, path)?)))
    }

    /// The newest commit of the branch and what it declares.
    pub(super) fn committed(&self) -> anyhow::Result<(Head, Declaration)> {
        let head = self.0.head()?;
        let files = self.0.files(&head.commit)?;
        let declaration = manifest::read(&files, Some(head.commit.clone()), &check_shape);
        Ok((head, declaration))
    }

    /// The newest commit, if it is another one than that of the declaration at hand.
    pub(super) fn changed_since(
        &self,
        declared: Option<&Declaration>,
    ) -> anyhow::Result<Option<(Head, Declaration)>> {
        let head = self.0.head()?;
        if declared.is_some_and(|declared| declared.infra_commit.as_ref() == Some(&head.commit)) {
            return Ok(None);
        }
        self.committed().map(Some)
    }

    /// The working tree, uncommitted changes included; the newest commit of a bare repository.
    pub(super) fn working_tree(&self) -> anyhow::Result<Declaration> {
        if self.0.is_bare() {
            return Ok(self.committed()?.1);
        }
        let files = self.0.working_tree()?;
        let head = self.0.head().ok().map(|head| head.commit);
        Ok(manifest::read(&files, head, &check_shape))
    }
}

fn check_shape(input: &serde_json::Value) -> Vec<ShapeComplaint> {
    let complaints = aws::check_task_definition(input);
    let convert = |complaint: aws::ShapeComplaint| ShapeComplaint {
        path: complaint.path,
        message: complaint.message,
        wrong_type: complaint.wrong_type,
    };
    complaints.into_iter().map(convert).collect()
}

/// Prints findings to stderr; whether one of them is an error.
pub(super) fn print_findings(declaration: &Declaration) -> bool {
    for finding in &declaration.findings {
        eprintln!("{finding}");
        if !finding.targets.is_empty() && finding.severity == Severity::Error {
            let names: Vec<String> = finding.targets.iter().map(ToString::to_string).collect();
            eprintln!("  frozen  {}; the others are not affected", names.join(", "));
        }
    }
    declaration.findings.iter().any(|finding| finding.severity == Severity::Error)
}
