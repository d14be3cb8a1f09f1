//! `trueup iam-policy`: what the controller must be allowed to do for exactly this repository. Needs no AWS.

use std::collections::BTreeSet;

use anyhow::bail;

use super::source::{InfraRepository, print_findings};
use super::{End, RepositoryArgs, streams};
use crate::accounts::Accounts;
use crate::iam::{self, Access, MOST_CHARACTERS, Operated, Policy};
use crate::model::{AccountId, Declaration, Finding, Region, Severity};
use crate::settings::{LeaseStore, SinkKind};

/// Whose policy is asked for.
pub(super) struct Whose<'a> {
    /// The role of this account; `None`: the credentials themselves.
    pub account: Option<&'a str>,
    /// Who may assume it: its trust policy is asked for.
    pub trust: Option<&'a str>,
}

pub(super) fn run(arguments: &RepositoryArgs, access: Access, whose: &Whose<'_>) -> anyhow::Result<End> {
    let source = InfraRepository::open(arguments)?;
    let mut declaration = source.whole_working_tree()?;
    let broken = print_findings(&declaration);
    leave_out(&source, &mut declaration);
    let account = whose.account.map(|account| declared(&declaration, account)).transpose()?;
    if let (Some(account), Some(principal)) = (&account, whose.trust) {
        return trust(&declaration, &source.accounts, account, principal);
    }
    let policy = match &account {
        Some(account) => iam::spoke(&declaration, account, access)?,
        None => {
            let (topics, buses) = receivers(&source);
            let operated = Operated { topics: &topics, buses: &buses, ..operated(&source) };
            iam::hub(&declaration, operated, access)?
        }
    };
    streams::document(&policy.document);
    let fits = complain(&policy);
    Ok(if broken || !fits { End::Error } else { End::Good })
}

fn operated(source: &InfraRepository) -> Operated<'_> {
    let lease_table = source.lease.as_ref().and_then(|lease| match &lease.store {
        LeaseStore::DynamoDb { table } => Some(table.as_str()),
        LeaseStore::Kubernetes { .. } => None,
    });
    Operated { accounts: &source.accounts, lease_table, topics: &[], buses: &[] }
}

/// Topics and buses that alerts go to.
fn receivers(source: &InfraRepository) -> (Vec<String>, Vec<String>) {
    let (mut topics, mut buses) = (Vec::new(), Vec::new());
    for sink in source.sinks.iter() {
        match &sink.kind {
            SinkKind::Sns(topic) => topics.push(topic.name.clone()),
            SinkKind::EventBridge(bus) => buses.push(bus.name.clone()),
            SinkKind::Webhook { .. }
            | SinkKind::Slack { .. }
            | SinkKind::Teams { .. }
            | SinkKind::GitHost(_) => {}
        }
    }
    (topics, buses)
}

/// The account, which an environment must name.
fn declared(declaration: &Declaration, account: &str) -> anyhow::Result<AccountId> {
    let all: BTreeSet<&str> =
        declaration.readable().filter_map(|one| one.account.as_ref()).map(AccountId::as_str).collect();
    if all.contains(account) {
        return Ok(AccountId::new(account));
    }
    let known = if all.is_empty() { "none".to_owned() } else { Vec::from_iter(all).join(", ") };
    bail!("no environment declares the account {account}\n  hint  declared: {known}")
}

fn trust(
    declaration: &Declaration,
    accounts: &Accounts,
    account: &AccountId,
    principal: &str,
) -> anyhow::Result<End> {
    let here = declaration.readable().find(|one| one.account.as_ref() == Some(account));
    let partition = here.and_then(|one| one.region.as_ref()).map_or("aws", Region::partition);
    let principal = arn_of(principal, partition)?;
    let asks_for_id = accounts.role(account).is_some_and(|role| role.external_id.is_some());
    streams::document(&iam::trust(&principal, asks_for_id));
    if asks_for_id {
        say!("put the external id in the place of {}: it is not printed", iam::EXTERNAL_ID);
    }
    Ok(End::Good)
}

/// Of an account by its digits. A pattern would let others in as well.
fn arn_of(principal: &str, partition: &str) -> anyhow::Result<String> {
    if AccountId::is_one(principal) {
        return Ok(format!("arn:{partition}:iam::{principal}:root"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/:".contains(&byte);
    let is_arn =
        principal.starts_with("arn:aws") && principal.contains(":iam::") && principal.bytes().all(allowed);
    if !is_arn {
        bail!("`{principal}` is neither an account of twelve digits nor the ARN of a role or user");
    }
    Ok(principal.to_owned())
}

/// What the operator does not allow gets no permission. That is what was asked for, and no error here.
fn leave_out(source: &InfraRepository, declaration: &mut Declaration) {
    let before = declaration.findings.len();
    source.restrict(declaration);
    let refused = |finding: &&Finding| finding.severity == Severity::Error;
    for finding in declaration.findings.iter().skip(before).filter(refused) {
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
            "warning: every role of the account may be passed to tasks, role/*: the task definition of {first}{others} is registered outside trueup, \
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
