//! What the loop of an account and region goes by: whether it may write now.

use tokio::sync::watch;
use tokio::time::Instant;

/// What is known of a lease by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Grant {
    /// The store was not asked yet.
    #[default]
    Unknown,
    /// It may write until then.
    Until(Instant),
    /// It may not.
    None,
}

/// Whether writes may be made in one account and region. Asked right before each of them.
#[derive(Clone, Debug)]
pub struct Permit(Option<watch::Receiver<Grant>>);

impl Permit {
    /// There are no leases: everybody may write.
    pub fn always() -> Self {
        Self(None)
    }

    pub(super) fn by(grant: watch::Receiver<Grant>) -> Self {
        Self(Some(grant))
    }

    pub fn allows_writes(&self) -> bool {
        self.0.as_ref().is_none_or(|grant| allows(*grant.borrow()))
    }

    /// Whether the store has answered, or could not.
    pub fn is_known(&self) -> bool {
        self.0.as_ref().is_none_or(|grant| *grant.borrow() != Grant::Unknown)
    }

    /// Returns once the store has answered, or could not.
    pub async fn known(&mut self) {
        if let Some(grant) = &mut self.0 {
            let _ = grant.wait_for(|grant| *grant != Grant::Unknown).await;
        }
    }

    /// Returns when writes may be made that could not be made before.
    pub async fn granted(&mut self) {
        if let Some(grant) = self.0.as_mut().filter(|grant| !allows(*grant.borrow()))
            && grant.wait_for(|grant| allows(*grant)).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

fn allows(grant: Grant) -> bool {
    matches!(grant, Grant::Until(until) if Instant::now() < until)
}
