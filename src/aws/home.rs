//! Whose the credentials are.

use std::sync::{Arc, OnceLock};

use crate::model::AccountId;

/// The account of the credentials, once it is known.
#[derive(Clone, Debug, Default)]
pub struct Home(Arc<OnceLock<AccountId>>);

impl Home {
    /// What was said first stays: credentials change, their account does not.
    pub fn learn(&self, account: AccountId) {
        let _ = self.0.set(account);
    }

    pub fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    pub fn account(&self) -> Option<&AccountId> {
        self.0.get()
    }

    /// The account, unless it is the credentials' own.
    pub fn unless_own(&self, account: AccountId) -> Option<AccountId> {
        (self.0.get() != Some(&account)).then_some(account)
    }
}
