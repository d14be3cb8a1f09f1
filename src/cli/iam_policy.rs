//! `trueup iam-policy`: what the controller must be allowed to do for exactly this repository. Needs no AWS.

use super::source::{Opened, print_findings};
use super::{End, RepositoryArgs};
use crate::iam::{self, Access};

pub(super) fn run(arguments: &RepositoryArgs, access: Access) -> anyhow::Result<End> {
    let declaration = Opened::open(arguments)?.working_tree()?;
    let broken = print_findings(&declaration);
    outln!("{:#}", iam::policy(&declaration, access));
    Ok(if broken { End::Error } else { End::Good })
}
