//! `trueup iam-policy`: what the controller must be allowed to do for exactly this repository. Needs no AWS.

use super::source::{Opened, print_findings};
use super::{End, RepositoryArgs};
use crate::iam::{self, Access, MOST_CHARACTERS, Policy};

pub(super) fn run(arguments: &RepositoryArgs, access: Access) -> anyhow::Result<End> {
    let declaration = Opened::open(arguments)?.working_tree()?;
    let broken = print_findings(&declaration);
    let policy = iam::policy(&declaration, access);
    outln!("{:#}", policy.document);
    let fits = complain(&policy);
    Ok(if broken || !fits { End::Error } else { End::Good })
}

/// Says on stderr where AWS's limit has made it wider than the names are; whether it fits now.
fn complain(policy: &Policy) -> bool {
    let Policy { characters, characters_by_name, .. } = policy;
    let fits = *characters <= MOST_CHARACTERS;
    if *characters_by_name > MOST_CHARACTERS {
        let now = if fits { "" } else { ", which do not suffice either" };
        eprintln!(
            "warning: by their names the resources make {characters_by_name} characters, and a managed policy holds {MOST_CHARACTERS}: \
             patterns stand for them{now}\n  hint  one policy an environment has exact names for longer: TRUEUP_ALLOW_ENVIRONMENTS=test trueup iam-policy"
        );
    }
    fits
}
