//! One replica among several: it reads the leases of all accounts and regions, takes what is free, renews what it holds, and gives
//! back what is too much for it or what it leaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::permit::{Grant, Permit};
use super::tenure::{Act, Shares, Tenure, Terms};
use crate::model::{LeaseClaim, LeaseName, LeaseRecord};
use crate::ports::{LeaseError, LeaseStore, Place};

/// How long a replica that ends has to give its leases back.
const FAREWELL: Duration = Duration::from_millis(500);

/// The leases of this replica.
#[derive(Clone)]
pub struct Leases(Option<Arc<Inner>>);

struct Inner {
    store: Box<dyn LeaseStore>,
    terms: Terms,
    /// Goes into the names: what others look after is another matter.
    installation: String,
    kept: Mutex<BTreeMap<Place, HeldLease>>,
    /// There is a new one.
    new: Notify,
}

/// One lease.
struct HeldLease {
    name: LeaseName,
    tenure: Tenure,
    grant: watch::Sender<Grant>,
    /// Why the store could not be used, until it can.
    trouble: Option<LeaseError>,
}

/// How one lease stands, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub place: Place,
    pub is_held: bool,
    /// Whether its store answered the last time.
    pub is_usable: bool,
}

type Answer<T> = Result<T, LeaseError>;

impl Leases {
    /// Every replica does everything.
    pub fn none() -> Self {
        Self(None)
    }

    /// `installation` tells the leases of those who look after the same from those of others in the same store.
    pub fn new(store: Box<dyn LeaseStore>, terms: Terms, installation: String) -> Self {
        let (kept, new) = (Mutex::default(), Notify::new());
        Self(Some(Arc::new(Inner { store, terms, installation, kept, new })))
    }

    /// What the loop of an account and region goes by.
    pub fn permit(&self, place: &Place) -> Permit {
        let Some(inner) = &self.0 else { return Permit::always() };
        let mut all = inner.kept();
        let kept = all.entry(place.clone()).or_insert_with(|| {
            inner.new.notify_one();
            HeldLease::new(name(&inner.installation, place))
        });
        Permit::by(kept.grant.subscribe())
    }

    /// How all of them stand; `None`: there are no leases.
    pub fn standings(&self) -> Option<Vec<Standing>> {
        let inner = self.0.as_ref()?;
        let standing = |(place, kept): (&Place, &HeldLease)| Standing {
            place: place.clone(),
            is_held: Permit::by(kept.grant.subscribe()).allows_writes(),
            is_usable: kept.trouble.is_none(),
        };
        Some(inner.kept().iter().map(standing).collect())
    }

    /// Keeps them for ever.
    pub async fn keep(self) {
        let Some(inner) = self.0 else { return };
        loop {
            inner.round().await;
            // A little out of step with the other replicas.
            let rest = inner.terms.look().mul_f64(0.9 + fastrand::f64() / 10.0);
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = inner.new.notified() => {}
            }
        }
    }

    /// Gives back those of which nothing is being written any more, so that somebody else takes over at once.
    pub async fn give_back(self, is_over: impl Fn(&Place) -> bool) {
        let Some(inner) = self.0 else { return };
        let held: Vec<Place> = {
            let all = inner.kept();
            let held = |kept: &HeldLease| kept.tenure.held_until(&inner.terms).is_some();
            all.iter().filter(|(place, kept)| held(kept) && is_over(place)).map(|one| one.0.clone()).collect()
        };
        let _ = timeout(FAREWELL, join_all(held.iter().map(|place| inner.give_back(place)))).await;
    }
}

impl HeldLease {
    fn new(name: LeaseName) -> Self {
        Self { name, tenure: Tenure::default(), grant: watch::Sender::default(), trouble: None }
    }

    /// Tells the loop until when it may write.
    fn grant(&self, terms: &Terms, place: &Place) {
        let until = self.tenure.held_until(terms).map(Instant::from_std);
        let grant = until.filter(|until| Instant::now() < *until).map_or(Grant::None, Grant::Until);
        let had = self.grant.send_replace(grant);
        let is_held = |grant| matches!(grant, Grant::Until(_));
        match (is_held(had), is_held(grant)) {
            (false, true) => tracing::info!(event = "lease.held", lease = %self.name, place = %shown(place)),
            (true, false) => tracing::info!(event = "lease.left", lease = %self.name, place = %shown(place)),
            _ => {}
        }
    }

    /// Each trouble is told once.
    fn note(&mut self, error: Option<LeaseError>, place: &Place) {
        let is_news = !is_same(self.trouble.as_ref(), error.as_ref());
        match &error {
            Some(why) if is_news => {
                tracing::error!(event = "lease.unusable", lease = %self.name, place = %shown(place), "{why}");
            }
            None if is_news => {
                tracing::info!(event = "lease.usable", lease = %self.name, place = %shown(place));
            }
            _ => {}
        }
        self.trouble = error;
    }
}

/// Whether it is told already: what a person has to mend by what it says, and what passes by its kind alone, since that says
/// something else each time.
fn is_same(known: Option<&LeaseError>, now: Option<&LeaseError>) -> bool {
    match (known, now) {
        (Some(LeaseError::Unavailable(_)), Some(LeaseError::Unavailable(_))) => true,
        (known, now) => known == now,
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<Place, HeldLease>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads those that are due side by side, decides about one after the other, and writes side by side.
    async fn round(&self) {
        let now = Instant::now();
        let due: Vec<(Place, LeaseName)> = {
            let all = self.kept();
            let is_due = |kept: &HeldLease| kept.tenure.is_due(&self.terms, now.into_std());
            let due = all.iter().filter(|(_, kept)| is_due(kept));
            due.map(|(place, kept)| (place.clone(), kept.name.clone())).collect()
        };
        let read = join_all(due.into_iter().map(async |(place, name)| {
            let record = self.answered(self.store.read(&name)).await;
            (place, record, Instant::now())
        }));
        let claims = self.decided(read.await, now);
        join_all(claims.iter().map(|(place, claim)| self.write(place, claim.clone()))).await;
    }

    /// What is to be written after these readings, which began at this moment.
    fn decided(
        &self,
        read: Vec<(Place, Answer<Option<LeaseRecord>>, Instant)>,
        now: Instant,
    ) -> Vec<(Place, LeaseClaim)> {
        let mut all = self.kept();
        let mut fresh = Vec::new();
        for (place, record, ended) in read {
            let Some(kept) = all.get_mut(&place) else { continue };
            match record {
                Ok(record) => {
                    kept.tenure.read(&self.terms, record, ended.into_std());
                    kept.note(None, &place);
                    fresh.push(place);
                }
                Err(error) => {
                    kept.note(Some(error), &place);
                    kept.grant(&self.terms, &place);
                }
            }
        }
        let mut shares = Shares::of(&self.terms, all.values().map(|kept| &kept.tenure));
        let mut claims = Vec::new();
        for place in fresh {
            let Some(kept) = all.get_mut(&place) else { continue };
            let act = kept.tenure.decide(&self.terms, &shares, now.into_std());
            shares.decided(&self.terms, &act);
            match act {
                Act::Write(claim) => claims.push((place, claim)),
                Act::Promise(to) => {
                    kept.tenure.promise(to);
                    kept.grant(&self.terms, &place);
                }
                Act::StandBy => kept.grant(&self.terms, &place),
            }
        }
        claims
    }

    /// A renewal may have been cut off: what is given back is read before.
    async fn give_back(&self, place: &Place) {
        let Some(name) = self.kept().get(place).map(|kept| kept.name.clone()) else { return };
        let Ok(record) = self.store.read(&name).await else { return };
        if record.as_ref().and_then(|record| record.holder.as_ref()) != Some(&self.terms.replica) {
            return;
        }
        if let Some(kept) = self.kept().get_mut(place) {
            kept.tenure.read(&self.terms, record, Instant::now().into_std());
        }
        self.write(place, LeaseClaim::GiveBack { to: None }).await;
    }

    async fn write(&self, place: &Place, claim: LeaseClaim) {
        let (name, record) = {
            let all = self.kept();
            let Some(kept) = all.get(place) else { return };
            (kept.name.clone(), kept.tenure.record().cloned())
        };
        let began = Instant::now();
        let written = self.answered(self.store.write(&name, record.as_ref(), &claim)).await;
        let mut all = self.kept();
        let Some(kept) = all.get_mut(place) else { return };
        match written {
            Ok(record) => {
                let ended = Instant::now();
                kept.tenure.written(&self.terms, record, began.into_std(), ended.into_std());
                kept.note(None, place);
            }
            // The next look shows by whom.
            Err(LeaseError::Changed) => {}
            Err(error) => kept.note(Some(error), place),
        }
        kept.grant(&self.terms, place);
    }

    /// The answer, if it comes while it is of use: two tries must have room in the time that a renewal counts.
    async fn answered<T>(&self, call: impl Future<Output = Answer<T>>) -> Answer<T> {
        let patience = self.terms.duration / 6;
        let late = || LeaseError::Unavailable(format!("no answer within {} ms", patience.as_millis()));
        timeout(patience, call).await.unwrap_or_else(|_| Err(late()))
    }
}

fn name(installation: &str, place: &Place) -> LeaseName {
    LeaseName::new(format!("trueup-{}-{installation}", shown(place)))
}

/// As names and messages have it.
fn shown(place: &Place) -> String {
    let account = place.account.as_ref().map_or("own", crate::model::AccountId::as_str);
    let region = place.region.as_ref().map_or("default", crate::model::Region::as_str);
    format!("{account}-{region}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_again_where_another_thing_is_to_be_mended() {
        let missing = |what: &str| Some(LeaseError::Missing(what.to_owned()));
        let away = |why: &str| Some(LeaseError::Unavailable(why.to_owned()));
        for (known, now, expected) in [
            (None, None, true),
            (None, missing("the table"), false),
            (missing("the table"), missing("the table"), true),
            (missing("the table"), missing("its key"), false),
            (missing("the table"), Some(LeaseError::Denied("the table".to_owned())), false),
            (away("no answer within 500 ms"), away("connection refused"), true),
            (away("no answer within 500 ms"), None, false),
        ] {
            assert_eq!(is_same(known.as_ref(), now.as_ref()), expected, "{known:?} {now:?}");
        }
    }
}
