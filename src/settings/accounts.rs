//! `accounts:`, the roles by which other accounts are reached. A list `ACCOUNT=VALUE,…` in a variable stands for one of its keys
//! in all accounts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Raw, SettingsError, read_now};
use crate::accounts::{Accounts, Role, RoleName};
use crate::model::{AccountId, Declaration, Desired, Finding, Severity};
use crate::secret::Secret;
use crate::text::fields::kind;
use crate::text::nearest::suggestion;
use crate::text::report::Report;
use crate::text::tree::{Kind, Node};

/// The key of the file.
pub(super) const KEY: &str = "accounts";
const ROLE: &str = "accounts.*.role";
const EXTERNAL_ID: &str = "accounts.*.externalId";
const EXTERNAL_ID_FILE: &str = "accounts.*.externalIdFile";
/// The keys of one account, and where their lists stand.
const OF_ACCOUNT: [(&str, &str); 3] =
    [("role", ROLE), ("externalId", EXTERNAL_ID), ("externalIdFile", EXTERNAL_ID_FILE)];

/// From the file to the lists.
pub(super) fn flatten(node: &Node, raw: &mut Raw, report: &mut Report<'_>) {
    let Kind::Map(accounts) = &node.kind else {
        report.error(node, KEY, format!("expected a map, found {}", kind(node)));
        return;
    };
    for (account, node) in accounts {
        let path = format!("{KEY}.{}", account.text);
        if !AccountId::is_one(&account.text) {
            report.error(account, &path, "expected the twelve digits of an account");
            continue;
        }
        let Kind::Map(entries) = &node.kind else {
            report.error(node, &path, format!("expected a map with `role`, found {}", kind(node)));
            continue;
        };
        for (key, value) in entries {
            let path = format!("{path}.{}", key.text);
            let list = OF_ACCOUNT.iter().find(|(name, _)| *name == key.text).map(|(_, list)| *list);
            let Some(list) = list else {
                let names = OF_ACCOUNT.map(|(name, _)| name);
                report.error(key, &path, format!("unknown setting `{path}`")).hint =
                    suggestion(&key.text, &names);
                continue;
            };
            match &value.kind {
                // What holds a comma cannot stand in a list.
                Kind::Scalar { text, .. } if !text.contains(',') => {
                    let list = raw.entry(list).or_default();
                    let comma = if list.is_empty() { "" } else { "," };
                    let _ = write!(list, "{comma}{}={text}", account.text);
                }
                Kind::Scalar { .. } => {
                    report.error(key, &path, "a comma cannot stand here");
                }
                _ => {
                    report.error(value, &path, format!("expected text, found {}", kind(value)));
                }
            }
        }
        if !entries.iter().any(|(key, _)| key.text == "role") {
            report.error(account, &path, "the account needs a `role`");
        }
    }
}

/// The accounts of the lists.
pub(super) fn of(raw: &Raw) -> Result<Accounts, SettingsError> {
    let mut ids = list(raw, EXTERNAL_ID)?;
    let mut files = list(raw, EXTERNAL_ID_FILE)?;
    let mut roles = Vec::new();
    for (account, named) in list(raw, ROLE)? {
        let external_id = match (ids.remove(&account), files.remove(&account)) {
            (Some(id), _) if is_external_id(&id) => Some(Secret::Given(id)),
            (Some(_), _) => {
                let why = "expected 2 to 1224 letters, digits and _+=.@:/-";
                return Err(SettingsError::Address { key: EXTERNAL_ID, why });
            }
            (None, Some(path)) => Some(read_now(EXTERNAL_ID_FILE, PathBuf::from(path))?),
            (None, None) => None,
        };
        let name =
            role(&account, &named).map_err(|why| SettingsError::Value { key: ROLE, value: named, why })?;
        roles.push((account, Role { name, external_id }));
    }
    for (key, left) in [(EXTERNAL_ID, ids), (EXTERNAL_ID_FILE, files)] {
        if let Some((account, _)) = left.into_iter().next() {
            let why = "this account has no role";
            return Err(SettingsError::Value { key, value: account.to_string(), why });
        }
    }
    Ok(Accounts::new(roles))
}

/// What can be said without AWS: of the accounts that no role reaches only one can be that of the credentials.
pub fn findings(accounts: &Accounts, declaration: &Declaration) -> Vec<Finding> {
    if accounts.iter().next().is_none() {
        return Vec::new();
    }
    let mut without: BTreeMap<&AccountId, Vec<&Desired>> = BTreeMap::new();
    for desired in declaration.readable() {
        if let Some(account) = desired.account.as_ref().filter(|account| accounts.role(account).is_none()) {
            without.entry(account).or_default().push(desired);
        }
    }
    if without.len() < 2 {
        return Vec::new();
    }
    let about = |(account, all): (&&AccountId, &Vec<&Desired>)| {
        let first = all.first()?;
        Some(Finding {
            severity: Severity::Warning,
            position: first.declared_at.clone(),
            field: "account".to_owned(),
            message: format!(
                "no role is named for the account {account}, and of {} such accounts one at most is that of the credentials",
                without.len()
            ),
            hint: Some("the operator's settings name it, under `accounts`".to_owned()),
            excerpt: None,
            targets: all.iter().map(|one| one.target.clone()).collect(),
        })
    };
    without.iter().filter_map(about).collect()
}

/// What stands behind each account. The values may be secrets.
fn list(raw: &Raw, key: &'static str) -> Result<BTreeMap<AccountId, String>, SettingsError> {
    let Some(text) = raw.get(key) else { return Ok(BTreeMap::new()) };
    let entry = |item: &str| {
        let (account, value) = item.trim().split_once('=')?;
        AccountId::is_one(account).then(|| (AccountId::new(account), value.trim().to_owned()))
    };
    let mut entries = BTreeMap::new();
    for item in text.split(',') {
        let (account, value) = entry(item)
            .ok_or(SettingsError::Address { key, why: "expected ACCOUNT=VALUE, with commas between" })?;
        if entries.insert(account, value).is_some() {
            return Err(SettingsError::Address { key, why: "an account stands there twice" });
        }
    }
    Ok(entries)
}

/// The patterns of AWS IAM (API reference, `CreateRole`), without a comma.
fn role(account: &AccountId, named: &str) -> Result<RoleName, &'static str> {
    let is_name = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=.@-/".contains(&byte);
        let last = name.rsplit('/').next().unwrap_or_default();
        name.len() <= 576 && (1..=64).contains(&last.len()) && name.bytes().all(allowed)
    };
    if !named.starts_with("arn:") {
        let named = named.trim_start_matches('/');
        return if is_name(named) {
            Ok(RoleName::Name(named.to_owned()))
        } else {
            Err("expected the name of a role, or its ARN")
        };
    }
    let parts: Vec<&str> = named.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, "iam", "", of, role] if partition.starts_with("aws") => {
            let name = role.strip_prefix("role/").filter(|name| is_name(name));
            match name {
                None => Err("expected arn:aws:iam::ACCOUNT:role/NAME"),
                Some(_) if of != account.as_str() => Err("the role is in another account"),
                Some(_) => Ok(RoleName::Arn(named.to_owned())),
            }
        }
        _ => Err("expected arn:aws:iam::ACCOUNT:role/NAME"),
    }
}

/// AWS STS API reference, `AssumeRole`, without a comma.
fn is_external_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=.@:/-".contains(&byte);
    (2..=1224).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, SettingsError};
    use super::*;
    use crate::manifest::{self, Files};

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Accounts, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trueup.yaml");
        std::fs::write(&path, file).unwrap();
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::load(Raw::new(), &environment, path.to_str()).map(|settings| settings.accounts)
    }

    /// Account, role and external id of each.
    fn told(accounts: &Accounts) -> Vec<String> {
        let told = |(account, role): (&AccountId, &Role)| {
            let id = role.external_id.as_ref().map(|id| id.read().unwrap()).unwrap_or_default();
            format!("{account} {} {id}", role.name.arn(account, None))
        };
        accounts.iter().map(told).collect()
    }

    #[test]
    fn a_variable_goes_before_its_key_of_the_file_in_all_accounts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        std::fs::write(&path, "from a file\n").unwrap();
        let file = format!(
            "accounts:\n  \"111111111111\": {{role: ops/trueup, externalId: one}}\n  \"222222222222\":\n    role: arn:aws-cn:iam::222222222222:role/trueup\n    externalIdFile: {}\n",
            path.display()
        );
        let (one, two) = ("arn:aws:iam::111111111111:role", "arn:aws-cn:iam::222222222222:role");
        assert_eq!(
            told(&load(&file, &[]).unwrap()),
            [format!("111111111111 {one}/ops/trueup one"), format!("222222222222 {two}/trueup from a file")]
        );
        let ids = ("TRUEUP_EXTERNAL_IDS", "222222222222=x=y");
        assert_eq!(
            told(&load(&file, &[ids]).unwrap()),
            [format!("111111111111 {one}/ops/trueup "), format!("222222222222 {two}/trueup x=y")]
        );
        let roles = ("TRUEUP_ACCOUNTS", "111111111111=a, 222222222222=b");
        assert_eq!(
            told(&load("", &[roles, ids]).unwrap()),
            [
                format!("111111111111 {one}/a "),
                "222222222222 arn:aws:iam::222222222222:role/b x=y".to_owned()
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said_and_an_external_id_is_never_repeated() {
        let role = "111111111111=trueup";
        for (file, variables, expected) in [
            ("accounts: [x]\n", &[][..], "expected a map, found a list"),
            ("accounts: {test: {role: a}}\n", &[], "expected the twelve digits of an account"),
            ("accounts: {\"111111111111\": trueup}\n", &[], "expected a map with `role`, found text"),
            ("accounts: {\"111111111111\": {externalId: hunter2}}\n", &[], "the account needs a `role`"),
            (
                "accounts: {\"111111111111\": {role: a, externalid: hunter2}}\n",
                &[],
                "unknown setting `accounts.111111111111.externalid`",
            ),
            (
                "accounts: {\"111111111111\": {role: a, externalId: [hunter2]}}\n",
                &[],
                "expected text, found a list",
            ),
            (
                "accounts: {\"111111111111\": {role: a, externalId: \"hunter2,\"}}\n",
                &[],
                "a comma cannot stand here",
            ),
            (
                "accounts: {\"111111111111\": {role: a, externalId: \"hunter2 \\\\\"}}\n",
                &[],
                "expected 2 to 1224 letters",
            ),
            ("accounts: {\"111111111111\": {role: a, externalIdFile: /nowhere}}\n", &[], "the file /nowhere"),
            ("accounts: {\"111111111111\": {role: \"a*\"}}\n", &[], "expected the name of a role"),
            ("", &[("TRUEUP_ACCOUNTS", "trueup")], "expected ACCOUNT=VALUE"),
            ("", &[("TRUEUP_ACCOUNTS", "111111111111=a,111111111111=b")], "stands there twice"),
            (
                "",
                &[("TRUEUP_ACCOUNTS", "111111111111=arn:aws:iam::222222222222:role/a")],
                "the role is in another account",
            ),
            (
                "",
                &[("TRUEUP_ACCOUNTS", "111111111111=arn:aws:iam::111111111111:user/a")],
                "expected arn:aws:iam::ACCOUNT:role/NAME",
            ),
            ("", &[("TRUEUP_EXTERNAL_IDS", role)], "this account has no role"),
            ("", &[("TRUEUP_ACCOUNTS", role), ("TRUEUP_EXTERNAL_IDS", "hunter2")], "expected ACCOUNT=VALUE"),
        ] {
            let said = load(file, variables).unwrap_err().to_string();
            assert!(said.contains(expected), "{file} {variables:?}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    /// The messages about a repository with an environment in each of these accounts.
    fn said(accounts: &Accounts, declared: &[&str]) -> Vec<String> {
        let application = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: a}\nspec: {repository: mco/a, service: \"a-{environment}\"}\n";
        let mut files = Files::from([("a.yaml".to_owned(), Ok(application.to_owned()))]);
        for (number, account) in declared.iter().enumerate() {
            let text = format!(
                "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: e{number}}}\nspec: {{account: \"{account}\", cluster: c, applications: {{a: {{commit: aaaaaaa}}}}}}\n"
            );
            files.insert(format!("e{number}.yaml"), Ok(text));
        }
        let declaration = manifest::read(&files, None, &|_, _| Vec::new());
        assert_eq!(declaration.findings, []);
        findings(accounts, &declaration).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn of_the_accounts_without_a_role_one_at_most_is_the_own() {
        let role = load("", &[("TRUEUP_ACCOUNTS", "111111111111=trueup")]).unwrap();
        let (one, two, three) = ("111111111111", "222222222222", "333333333333");
        assert_eq!(said(&role, &[one, two]), Vec::<String>::new());
        let both = said(&role, &[one, two, three]);
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(both[0].contains("no role is named for the account 222222222222"), "{both:?}");
        // Without any role there is a process for each account.
        assert_eq!(said(&Accounts::default(), &[two, three]), Vec::<String>::new());
    }
}
