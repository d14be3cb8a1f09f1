//! Who may act where: roles and whom they trust, sessions and when they end, and the regions of an account.

use std::collections::{BTreeMap, BTreeSet};

use super::Signature;
use crate::world::{Api, AwsError, Principal, partition};

/// How the key of temporary credentials begins (IAM user guide, "IAM identifiers", unique identifiers).
const TEMPORARY: &str = "ASIA";
/// Sessions that are kept; the oldest go first.
const MOST_SESSIONS: usize = 10_000;

/// A role of AWS IAM, as far as it matters to who may assume it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its account.
    pub account: String,
    /// With its path, such as `ops/trueup`.
    pub name: String,
    /// Accounts, or the ARNs of those who may assume it.
    pub trusts: Vec<String>,
    /// The condition `sts:ExternalId`.
    pub external_id: Option<String>,
    /// `MaxSessionDuration`, in seconds: from 3600 to 43200.
    pub longest_session: u64,
}

impl Role {
    /// One that another account may assume for an hour.
    pub fn new(account: &str, name: &str, trusts: &str) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            trusts: vec![trusts.to_owned()],
            external_id: None,
            longest_session: 3600,
        }
    }

    /// The trust policy names the account, or the very principal; a role behind a session is named by its own ARN.
    pub(super) fn lets_in(&self, principal: &Principal, external_id: Option<&str>) -> bool {
        let root = format!(":iam::{}:root", principal.account);
        let names = |trusted: &String| {
            *trusted == principal.account
                || trusted.ends_with(&root)
                || *trusted == principal.arn
                || Some(trusted) == principal.role.as_ref()
        };
        self.trusts.iter().any(names)
            && self.external_id.as_deref().is_none_or(|wanted| external_id == Some(wanted))
    }
}

/// Temporary credentials.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub token: String,
    pub principal: Principal,
    /// Seconds since 1970.
    pub expires: u64,
}

/// Why it is not known who calls.
pub(super) enum Unknown {
    /// Nobody handed out these credentials, or the account has not enabled the region: AWS tells it alike.
    Token,
    Expired,
}

impl Unknown {
    /// AWS's common errors, and STS's (`InvalidClientTokenId`, `ExpiredToken`).
    pub fn told(&self, api: Api) -> AwsError {
        let (codes, message) = match self {
            Self::Token => (
                ("UnrecognizedClientException", "InvalidClientTokenId"),
                "The security token included in the request is invalid.",
            ),
            Self::Expired => (
                ("ExpiredTokenException", "ExpiredToken"),
                "The security token included in the request is expired",
            ),
        };
        in_words_of(api, codes, message.to_owned())
    }
}

/// The query protocol has other words than JSON, and another code of HTTP.
pub(super) fn in_words_of(api: Api, (json, query): (&str, &str), message: String) -> AwsError {
    match api {
        Api::Sts | Api::Elb | Api::Iam | Api::Sns => AwsError::with_status(query, message, 403),
        _ => AwsError::client(json, message),
    }
}

#[derive(Debug, Default)]
pub(super) struct Access {
    /// By account and the last part of the name: a path makes no other role (IAM user guide, "IAM identifiers").
    roles: BTreeMap<(String, String), Role>,
    /// By access key, whose numbers rise.
    sessions: BTreeMap<String, Session>,
    begun: u64,
    disabled: BTreeSet<(String, String)>,
}

impl Access {
    pub fn create_role(&mut self, role: Role) {
        self.roles.insert((role.account.clone(), last_part(&role.name).to_owned()), role);
    }

    pub fn delete_role(&mut self, account: &str, name: &str) -> bool {
        self.roles.remove(&(account.to_owned(), last_part(name).to_owned())).is_some()
    }

    /// The role of this ARN, path included.
    pub fn role(&self, arn: &str) -> Option<&Role> {
        let (account, name) = arn.split_once(":iam::")?.1.split_once(":role/")?;
        let found = self.roles.get(&(account.to_owned(), last_part(name).to_owned()))?;
        (found.name == name).then_some(found)
    }

    pub fn set_region(&mut self, account: &str, region: &str, enabled: bool) {
        let place = (account.to_owned(), region.to_owned());
        if enabled {
            self.disabled.remove(&place);
        } else {
            self.disabled.insert(place);
        }
    }

    pub fn is_enabled(&self, account: &str, region: &str) -> bool {
        !self.disabled.contains(&(account.to_owned(), region.to_owned()))
    }

    /// Keys that are no session belong to somebody who is there for good: of the account that the key names with its
    /// twelve digits, else of the first one.
    pub fn principal(&self, signature: &Signature, home: &str, now: u64) -> Result<Principal, Unknown> {
        let key = signature.access_key.as_str();
        if let Some(session) = self.sessions.get(key) {
            return match &signature.token {
                Some(token) if *token != session.token => Err(Unknown::Token),
                None => Err(Unknown::Token),
                Some(_) if session.expires <= now => Err(Unknown::Expired),
                Some(_) => Ok(session.principal.clone()),
            };
        }
        if key.starts_with(TEMPORARY) {
            return Err(Unknown::Token);
        }
        let is_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
        let account = if is_account { key } else { home };
        Ok(Principal::user(account, partition(&signature.region)))
    }

    /// Begins a session; its access key.
    pub fn begin(&mut self, session: impl FnOnce(u64) -> Session) -> String {
        self.begun += 1;
        let key = format!("{TEMPORARY}{:016}", self.begun);
        self.sessions.insert(key.clone(), session(self.begun));
        while self.sessions.len() > MOST_SESSIONS {
            self.sessions.pop_first();
        }
        key
    }
}

/// A name without its path.
pub(super) fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
