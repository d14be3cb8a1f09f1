//! How accounts are reached other than that of the credentials: by a role in each. The operator names it; the repository only
//! names the account.

use std::collections::BTreeMap;

use crate::model::{AccountId, Region};
use crate::secret::Secret;

/// The roles, by account.
#[derive(Clone, Debug, Default)]
pub struct Accounts(BTreeMap<AccountId, Role>);

/// A role that is assumed, and what is said with it.
#[derive(Clone, Debug)]
pub struct Role {
    pub name: RoleName,
    /// Where its trust policy asks for one.
    pub external_id: Option<Secret>,
}

/// How a role is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// With its path, such as `ops/trueup`.
    Name(String),
    Arn(String),
}

impl Accounts {
    pub fn new(roles: impl IntoIterator<Item = (AccountId, Role)>) -> Self {
        Self(roles.into_iter().collect())
    }

    pub fn role(&self, account: &AccountId) -> Option<&Role> {
        self.0.get(account)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, &Role)> {
        self.0.iter()
    }
}

impl RoleName {
    /// `region`: of the partition, where only the name is known.
    pub fn arn(&self, account: &AccountId, region: Option<&Region>) -> String {
        match self {
            Self::Arn(arn) => arn.clone(),
            Self::Name(name) => {
                let partition = region.map_or("aws", Region::partition);
                format!("arn:{partition}:iam::{account}:role/{name}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_by_its_arn_or_within_its_account() {
        let account = AccountId::new("210987654321");
        let arn = |name: &RoleName, region| name.arn(&account, Some(&Region::new(region)));
        let (name, full) = (RoleName::Name("ops/trueup".to_owned()), RoleName::Arn("arn:x".to_owned()));
        assert_eq!(arn(&name, "eu-west-2"), "arn:aws:iam::210987654321:role/ops/trueup");
        assert_eq!(arn(&name, "cn-north-1"), "arn:aws-cn:iam::210987654321:role/ops/trueup");
        assert_eq!(arn(&full, "cn-north-1"), "arn:x");
    }
}
