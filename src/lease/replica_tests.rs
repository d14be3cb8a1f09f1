//! Several replicas at one store in memory, in tokio's time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::task::JoinHandle;

use super::tenure::Terms;
use super::{Leases, Permit};
use crate::model::{AccountId, LeaseClaim, LeaseName, LeaseRecord, Replica};
use crate::ports::{LeaseError, LeaseStore, Place};

const DURATION: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq)]
enum State {
    Works,
    Refuses,
    Hangs,
}

#[derive(Clone)]
struct Memory(Arc<Mutex<(State, BTreeMap<LeaseName, LeaseRecord>)>>);

impl Memory {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((State::Works, BTreeMap::new()))))
    }

    fn becomes(&self, state: State) {
        self.0.lock().unwrap().0 = state;
    }

    async fn reached(&self) -> Result<(), LeaseError> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner).0;
        match state {
            State::Works => Ok(()),
            State::Refuses => Err(LeaseError::Unavailable("down".to_owned())),
            State::Hangs => std::future::pending().await,
        }
    }
}

#[async_trait]
impl LeaseStore for Memory {
    async fn read(&self, name: &LeaseName) -> Result<Option<LeaseRecord>, LeaseError> {
        self.reached().await?;
        Ok(self.0.lock().unwrap().1.get(name).cloned())
    }

    async fn write(
        &self,
        name: &LeaseName,
        read: Option<&LeaseRecord>,
        claim: &LeaseClaim,
    ) -> Result<LeaseRecord, LeaseError> {
        self.reached().await?;
        let all = &mut self.0.lock().unwrap().1;
        if all.get(name).map(|record| &record.stored) != read.map(|record| &record.stored) {
            return Err(LeaseError::Changed);
        }
        let version = json!(fastrand::u64(..).to_string());
        let (holder, renewal, duration) = match read {
            Some(read) => (read.holder.clone(), read.renewal.clone(), read.duration),
            None => (None, String::new(), DURATION),
        };
        let (holder, renewal, duration, asked_by) = match claim.clone() {
            LeaseClaim::Hold { by, duration } => (Some(by), version.to_string(), duration, None),
            LeaseClaim::Ask { by } => (holder, renewal, duration, Some(by)),
            LeaseClaim::GiveBack { to } => (None, renewal, duration, to),
        };
        let record = LeaseRecord { holder, renewal, duration, asked_by, stored: version };
        all.insert(name.clone(), record.clone());
        Ok(record)
    }
}

/// A process with a permit for each account.
struct Process {
    leases: Leases,
    keeper: JoinHandle<()>,
    permits: Vec<Permit>,
}

impl Process {
    fn start(memory: &Memory, name: &str, places: usize) -> Self {
        let terms = Terms { replica: Replica::new(name), duration: DURATION };
        let leases = Leases::new(Box::new(memory.clone()), terms, "0a1b2c3d".to_owned());
        let permits = (0..places).map(|number| leases.permit(&place(number))).collect();
        Self { keeper: tokio::spawn(leases.clone().keep()), leases, permits }
    }

    fn held(&self) -> usize {
        self.permits.iter().filter(|permit| permit.allows_writes()).count()
    }

    /// Ends it without a farewell.
    fn kill(&self) {
        self.keeper.abort();
    }

    async fn stop(&self) {
        self.keeper.abort();
        self.leases.clone().give_back(|_| true).await;
    }
}

fn place(number: usize) -> Place {
    Place { account: Some(AccountId::new(format!("{number:012}"))), region: None }
}

/// Lets so many seconds pass. Nobody may write where somebody else may.
async fn pass(seconds: u64, processes: &[&Process]) {
    for _ in 0..seconds * 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for place in 0..processes[0].permits.len() {
            let writers = processes.iter().filter(|one| one.permits[place].allows_writes()).count();
            assert!(writers <= 1, "{writers} may write to {place}");
        }
    }
}

fn held(processes: &[&Process]) -> Vec<usize> {
    processes.iter().map(|one| one.held()).collect()
}

#[tokio::test(start_paused = true)]
async fn replicas_that_come_one_after_the_other_hold_equally_many() {
    let memory = Memory::new();
    let one = Process::start(&memory, "one", 6);
    pass(1, &[&one]).await;
    assert_eq!(one.held(), 6, "who is alone does everything, and at once");
    let two = Process::start(&memory, "two", 6);
    pass(120, &[&one, &two]).await;
    assert_eq!(held(&[&one, &two]), [3, 3]);
    let three = Process::start(&memory, "three", 6);
    pass(120, &[&one, &two, &three]).await;
    assert_eq!(held(&[&one, &two, &three]), [2, 2, 2]);
    // Then all stays as it is.
    let before = held(&[&one, &two, &three]);
    pass(300, &[&one, &two, &three]).await;
    assert_eq!(held(&[&one, &two, &three]), before);
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_replica_held_is_taken_over_after_a_whole_duration() {
    let memory = Memory::new();
    let one = Process::start(&memory, "one", 3);
    pass(1, &[&one]).await;
    let two = Process::start(&memory, "two", 3);
    pass(60, &[&one, &two]).await;
    assert_eq!(held(&[&one, &two]), [2, 1]);
    one.kill();
    pass(19, &[&one, &two]).await;
    assert_eq!(two.held(), 1, "the others wait");
    pass(22, &[&one, &two]).await;
    assert_eq!(held(&[&one, &two]), [0, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_a_stopped_replica_gives_back_is_taken_at_the_next_look() {
    let memory = Memory::new();
    let one = Process::start(&memory, "one", 2);
    pass(1, &[&one]).await;
    let two = Process::start(&memory, "two", 2);
    pass(60, &[&one, &two]).await;
    assert_eq!(held(&[&one, &two]), [1, 1]);
    one.stop().await;
    assert_eq!(one.held(), 0);
    pass(4, &[&one, &two]).await;
    assert_eq!(two.held(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_stops_the_writes_after_two_thirds_and_not_before() {
    for state in [State::Refuses, State::Hangs] {
        let memory = Memory::new();
        let one = Process::start(&memory, "one", 2);
        pass(1, &[&one]).await;
        memory.becomes(state);
        pass(8, &[&one]).await;
        assert_eq!(one.held(), 2);
        pass(12, &[&one]).await;
        assert_eq!(one.held(), 0);
        pass(15, &[&one]).await;
        assert!(one.leases.standings().unwrap().iter().all(|one| !one.is_held && !one.is_usable));
        memory.becomes(State::Works);
        pass(9, &[&one]).await;
        assert_eq!(one.held(), 2, "it goes on when the store is back");
        assert!(one.leases.standings().unwrap().iter().all(|one| one.is_held && one.is_usable));
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_is_woken_when_its_lease_is_granted_and_hears_at_once_when_the_store_is_down() {
    let memory = Memory::new();
    memory.becomes(State::Refuses);
    let one = Process::start(&memory, "one", 1);
    let mut permit = one.permits[0].clone();
    assert!(!permit.is_known());
    permit.known().await;
    assert!(!permit.allows_writes());
    memory.becomes(State::Works);
    tokio::time::timeout(Duration::from_secs(4), permit.granted()).await.unwrap();
    assert!(permit.allows_writes());
    // A renewal is no news.
    assert!(tokio::time::timeout(Duration::from_mins(2), permit.granted()).await.is_err());
    assert!(Permit::always().allows_writes() && Permit::always().is_known());
}
