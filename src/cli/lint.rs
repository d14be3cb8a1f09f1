//! `trueup lint`: the findings of the working tree. Needs no AWS.

use super::source::{Opened, print_findings};
use super::{End, RepositoryArgs};

pub(super) fn run(arguments: &RepositoryArgs) -> anyhow::Result<End> {
    let declaration = Opened::open(arguments)?.working_tree()?;
    let broken = print_findings(&declaration);
    let count = declaration.applications.len();
    let findings = declaration.findings.len();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    say!("{count} application{}, {findings} finding{}", plural(count), plural(findings));
    Ok(if broken { End::Error } else { End::Good })
}
