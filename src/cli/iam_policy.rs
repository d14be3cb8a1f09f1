//! `trueup iam-policy`: what the controller must be allowed to do for exactly this repository. Needs no AWS.

use super::source::{Opened, print_findings};
use super::{End, RepositoryArgs, streams};
use crate::iam::{self, Access, MOST_CHARACTERS, Policy};
use crate::model::Declaration;

pub(super) fn run(arguments: &RepositoryArgs, access: Access) -> anyhow::Result<End> {
    let source = Opened::open(arguments)?;
    let mut declaration = source.whole_working_tree()?;
    let broken = print_findings(&declaration);
    leave_out(&source, &mut declaration);
    let policy = iam::policy(&declaration, access)?;
    streams::document(&policy.document);
    let fits = complain(&policy);
    Ok(if broken || !fits { End::Error } else { End::Good })
}

/// What the operator does not allow gets no permission. That is what was asked for, and no error here.
fn leave_out(source: &Opened, declaration: &mut Declaration) {
    let before = declaration.findings.len();
    source.restrict(declaration);
    for finding in declaration.findings.iter().skip(before) {
        let targets: Vec<String> = finding.targets.iter().map(ToString::to_string).collect();
        say!("left out: {}: {}", targets.join(", "), finding.message);
    }
}

/// Says on stderr where AWS's limit has made it wider than the names are; whether it fits now.
fn complain(policy: &Policy) -> bool {
    let Policy { characters, characters_by_name, any_role, .. } = policy;
    if let Some(first) = any_role.first() {
        let others = match any_role.len() {
            1 => String::new(),
            count => format!(" and {} others", count - 1),
        };
        say!(
            "warning: every role of the account may be passed to tasks, role/*: the task definition of {first}{others} is another hand's, \
             and its roles are not known here\n  hint  allow.roles of the operator's settings bounds them, here and before a \
             registration: TRUEUP_ALLOW_ROLES=ecsTaskExecutionRole,mco-* trueup iam-policy"
        );
    }
    let fits = *characters <= MOST_CHARACTERS;
    if *characters_by_name > MOST_CHARACTERS {
        let now = if fits { "" } else { ", which do not suffice either" };
        say!(
            "warning: by their names the resources make {characters_by_name} characters, and a managed policy holds {MOST_CHARACTERS}: \
             patterns stand for them{now}\n  hint  one policy an environment has exact names for longer: TRUEUP_ALLOW_ENVIRONMENTS=test trueup iam-policy"
        );
    }
    fits
}
