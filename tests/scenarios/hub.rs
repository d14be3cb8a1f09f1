//! A process that reaches several accounts and regions of a simulated cloud, as the program does it: by its own credentials, and
//! by the role that the operator names for each other account.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::Instant;
use trueup::accounts::Accounts;
use trueup::archive::Archive;
use trueup::aws::{self, Budgeted, Budgets, CallError, Caller, Home, InSession, Session, Sessions};
use trueup::model::{AccountId, Region};
use trueup::ports::{Place, Ports, Reach};
use trueup_simulator::{AwsError, Cloud, Signature};

use crate::process::{WorldClock, simulated};

/// The region of the settings.
const REGION: &str = "eu-west-2";

#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    cloud: Arc<Mutex<Cloud>>,
    sessions: Sessions,
    home: Home,
    budgets: Option<Budgets>,
    wire: Wire,
}

/// What leads to the cloud.
#[derive(Clone)]
struct Wire {
    cloud: Arc<Mutex<Cloud>>,
    /// How far away each region is, in tokio's time; the world's time then follows it.
    latency: BTreeMap<String, Duration>,
    began: (Instant, u64),
    calls: Arc<Mutex<Vec<&'static str>>>,
}

/// How a process reaches the cloud.
#[derive(Default)]
pub struct Means {
    pub accounts: Accounts,
    /// Whether it keeps within the rates of AWS.
    pub paced: bool,
    pub latency: BTreeMap<String, Duration>,
}

impl Hub {
    pub async fn new(cloud: &Arc<Mutex<Cloud>>, means: Means) -> Self {
        let now = cloud.lock().unwrap().now();
        let wire = Wire {
            cloud: Arc::clone(cloud),
            latency: means.latency,
            began: (Instant::now(), now),
            calls: Arc::default(),
        };
        let home = Home::default();
        let budgets = means.paced.then(|| Budgets::of(home.clone()));
        let own: Arc<dyn Caller> =
            Arc::new(Line { wire: wire.clone(), region: REGION.to_owned(), session: None });
        let clock = Arc::new(WorldClock(cloud.lock().unwrap().home()));
        let sessions = Sessions::new(means.accounts, Arc::clone(&own), clock);
        if let Ok(account) = aws::ports(&own, &Archive::default()).sts.account().await {
            home.learn(account);
        }
        Self(Arc::new(Inner { cloud: Arc::clone(cloud), sessions, home, budgets, wire }))
    }

    pub fn clock(&self) -> Arc<WorldClock> {
        Arc::new(WorldClock(self.0.cloud.lock().unwrap().home()))
    }

    /// Has the world's time follow tokio's.
    pub fn catch_up(&self) {
        self.0.wire.catch_up();
    }

    pub fn count(&self, operation: &str) -> usize {
        self.0.wire.calls.lock().unwrap().iter().filter(|call| **call == operation).count()
    }
}

impl Reach for Hub {
    fn ports(&self, place: &Place) -> Ports {
        let Inner { sessions, home, budgets, wire, .. } = &*self.0;
        let account = place.account.as_ref().or_else(|| home.account());
        let session = account.and_then(|account: &AccountId| sessions.of(account));
        let region = place.region.as_ref().map_or(REGION, Region::as_str).to_owned();
        let mut caller: Arc<dyn Caller> =
            Arc::new(Line { wire: wire.clone(), region, session: session.clone() });
        if let Some(budgets) = budgets {
            caller = Arc::new(Budgeted::new(place.clone(), caller, budgets.clone()));
        }
        match session {
            Some(session) => {
                aws::ports(&(Arc::new(InSession::new(session, caller)) as _), &Archive::default())
            }
            None => aws::ports(&caller, &Archive::default()),
        }
    }

    fn resolve(&self, place: Place) -> Place {
        Place {
            account: place.account.and_then(|account| self.0.home.unless_own(account)),
            region: place.region.or_else(|| Some(Region::new(REGION))),
        }
    }
}

impl Wire {
    fn catch_up(&self) {
        let (instant, then) = self.began;
        let mut cloud = self.cloud.lock().unwrap();
        let behind = (then + instant.elapsed().as_secs()).saturating_sub(cloud.now());
        cloud.advance(behind);
    }
}

/// The calls to one region by some credentials.
struct Line {
    wire: Wire,
    region: String,
    session: Option<Arc<Session>>,
}

impl Line {
    fn latency(&self) -> Duration {
        self.wire.latency.get(&self.region).copied().unwrap_or_default()
    }

    async fn signature(&self) -> Result<Signature, CallError> {
        let region = self.region.clone();
        Ok(match &self.session {
            None => Signature { access_key: "AKIAHUB".to_owned(), token: None, region },
            Some(session) => {
                let credentials = session.credentials().await?;
                Signature { access_key: credentials.access_key, token: Some(credentials.token), region }
            }
        })
    }
}

#[async_trait]
impl Caller for Line {
    async fn call(&self, api: aws::Api, operation: &'static str, input: Value) -> Result<Value, CallError> {
        let signature = self.signature().await?;
        if !self.wire.latency.is_empty() {
            tokio::time::sleep(self.latency()).await;
            self.wire.catch_up();
        }
        let mut cloud = self.wire.cloud.lock().unwrap();
        self.wire.calls.lock().unwrap().push(operation);
        let answer = cloud.call(Some(&signature), simulated(api), operation, &input);
        answer.map_err(|AwsError { code, message, .. }| CallError::Refused {
            code: Some(code),
            message: Some(message),
        })
    }

    async fn download(&self, address: &str) -> Option<Vec<u8>> {
        self.wire.cloud.lock().unwrap().download(address)
    }

    fn can_download(&self) -> bool {
        true
    }

    fn region(&self) -> Option<Region> {
        Some(Region::new(&self.region))
    }

    fn linger(&self) -> Duration {
        self.latency() / 5
    }
}
