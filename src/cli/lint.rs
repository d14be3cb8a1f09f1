//! `trueup lint`: the findings of the working tree. Needs no AWS.

use super::source::{InfraRepository, is_broken, print_findings};
use super::{End, LintFormat, RepositoryArgs, streams};
use crate::view::findings;

pub(super) fn run(arguments: &RepositoryArgs, format: LintFormat) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let declaration = source.working_tree()?;
    // The log of a job shows the commands as what they say: each finding is there once.
    if format != LintFormat::Github {
        print_findings(&declaration);
    }
    let from_root = |file: &str| source.path_from_root(file);
    match format {
        LintFormat::Text => {}
        LintFormat::Json => streams::document(&findings::json(&declaration)),
        LintFormat::Github => out!("{}", findings::github(&declaration.findings, &from_root)),
        LintFormat::Sarif => streams::document(&findings::sarif(&declaration.findings, &from_root)),
    }
    let count = declaration.applications.len();
    let findings = declaration.findings.len();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    say!("{count} application{}, {findings} finding{}", plural(count), plural(findings));
    Ok(if is_broken(&declaration) { End::Error } else { End::Good })
}
