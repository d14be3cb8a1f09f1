//! The only place that names the AWS SDK: adapters of the ports on one call of an API, what an answer says, and what an
//! error means.
//!
//! Retries of the SDK are off: one brown-out must not eat the retries of every service, and a write is never repeated
//! before the world was read again.

mod alarms;
mod answer;
mod balancers;
mod batch;
mod budget;
mod caller;
mod clock;
mod code_deploy;
mod directory;
mod download;
mod ecr;
mod ecs;
mod error;
mod home;
mod image_config;
mod inspect;
mod json;
mod lease_table;
mod logs;
#[cfg(test)]
mod mutation_tests;
mod publisher;
mod query;
mod scaling;
mod schedules;
mod schema;
mod sdk;
mod session;
mod tagging;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::json;

use crate::accounts::Accounts;
use crate::archive::Archive;
use crate::model::{AccountId, Region, Unreached};
use crate::ports::{Pace, Place, Ports, Reach, Sts};

use alarms::AlarmsClient;
use balancers::BalancersClient;
use caller::Client;
use code_deploy::CodeDeployClient;
use directory::DirectoryClient;
use ecr::EcrClient;
use ecs::EcsClient;
use inspect::Inspector;
use logs::LogsClient;
use publisher::PublisherClient;
use scaling::ScalingClient;
use schedules::SchedulesClient;
use sdk::Sdk;
use session::SessionCredentials;
use tagging::TaggingClient;

pub use budget::{Budgeted, Budgets, Category, Cost};
pub use caller::{Api, Caller};
pub use clock::{AwsClock, MachineClock};
pub use error::CallError;
pub use home::Home;
pub use lease_table::LeaseTable;
pub use schema::check_shape;
pub use session::{InSession, RoleCredentials, Session, Sessions};

/// The standard AWS settings: profiles, environment variables, roles, `AWS_ENDPOINT_URL`; and how other accounts are reached
/// with them.
#[derive(Clone)]
pub struct Aws {
    settings: SdkConfig,
    clock: AwsClock,
    /// `None`: nobody counts the calls.
    budgets: Option<Budgets>,
    sessions: Arc<Sessions>,
    home: Home,
    archive: Archive,
}

impl Aws {
    /// Reads the settings. `AWS_REGION` or the profile's region is the default of environments that declare none.
    pub async fn load() -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(20))
            .build();
        let settings = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .load()
            .await;
        let home = Home::default();
        Self::new(settings, Some(Budgets::of(home.clone())), home)
    }

    /// An AWS at this address with made-up credentials: the simulator. Its time may leap, and nobody else calls it, so nothing is held
    /// back.
    pub async fn simulated(endpoint: &str, region: &Region) -> Self {
        let credentials =
            aws_credential_types::Credentials::new("simulated", "simulated", None, None, "simulator");
        let settings = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .region(aws_config::Region::new(region.as_str().to_owned()))
            .credentials_provider(credentials)
            .endpoint_url(endpoint)
            .load()
            .await;
        Self::new(settings, None, Home::default())
    }

    fn new(settings: SdkConfig, budgets: Option<Budgets>, home: Home) -> Self {
        let clock = AwsClock::new();
        let hub = caller(&settings, &Place::default(), &clock, budgets.as_ref());
        let sessions = Arc::new(Sessions::new(Accounts::default(), hub, Arc::new(clock.clone())));
        Self { settings, clock, budgets, sessions, home, archive: Archive::default() }
    }

    /// The same, with a role in each of these accounts.
    #[must_use]
    pub fn with_accounts(self, accounts: Accounts) -> Self {
        let hub = caller(&self.settings, &Place::default(), &self.clock, self.budgets.as_ref());
        let sessions = Arc::new(Sessions::new(accounts, hub, Arc::new(self.clock.clone())));
        Self { sessions, ..self }
    }

    /// The same, with what never changes kept in the operator's cache folder.
    #[must_use]
    pub fn with_cache(self, folder: &Path) -> Self {
        // What another AWS says, such as a simulated one, is another truth about the same names.
        let world = json::set_endpoint(&self.settings, "ECS").unwrap_or_else(|| "aws".to_owned());
        Self { archive: Archive::open(folder, &world), ..self }
    }

    /// Whose the credentials are, once it is known.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The time by the answers to the calls that are made here.
    pub fn clock(&self) -> AwsClock {
        self.clock.clone()
    }

    /// What the calls so far have cost, which everything that is reached by these settings shares.
    pub fn budgets(&self) -> Budgets {
        self.budgets.clone().unwrap_or_default()
    }

    /// Has AWS answer something, so that the clock is right before anything is judged by it: any answer will do, a refusal
    /// too. If it says whose the credentials are, their account is known from then on.
    pub async fn learn_time(&self) {
        let hub = caller(&self.settings, &Place::default(), &self.clock, self.budgets.as_ref());
        if let Ok(account) = ports(&hub, &self.archive).sts.account().await {
            self.home.learn(account);
        }
    }

    pub fn default_region(&self) -> Option<Region> {
        self.settings.region().map(|region| Region::new(region.as_ref()))
    }
}

impl Reach for Aws {
    fn ports(&self, place: &Place) -> Ports {
        let account = place.account.as_ref().or_else(|| self.home.account());
        let Some(session) = account.and_then(|account| self.sessions.of(account)) else {
            let caller = caller(&self.settings, place, &self.clock, self.budgets.as_ref());
            return ports(&caller, &self.archive);
        };
        let credentials = SharedCredentialsProvider::new(SessionCredentials(Arc::clone(&session)));
        // The session keeps them itself.
        let settings = self.settings.to_builder().credentials_provider(credentials);
        let settings = settings.identity_cache(IdentityCache::no_cache()).build();
        let inner = caller(&settings, place, &self.clock, self.budgets.as_ref());
        ports(&(Arc::new(InSession::new(session, inner)) as _), &self.archive)
    }

    fn resolve(&self, place: Place) -> Place {
        Place {
            account: place.account.and_then(|account| self.home.unless_own(account)),
            region: place.region.or_else(|| self.default_region()),
        }
    }
}

/// Makes calls at a place by the credentials of the settings.
fn caller(
    settings: &SdkConfig,
    place: &Place,
    clock: &AwsClock,
    budgets: Option<&Budgets>,
) -> Arc<dyn Caller> {
    let mut builder = settings.to_builder();
    if let Some(region) = &place.region {
        builder = builder.region(aws_config::Region::new(region.as_str().to_owned()));
    }
    let sdk: Arc<dyn Caller> = Arc::new(Sdk::new(&builder.build(), clock));
    match budgets {
        Some(budgets) => Arc::new(Budgeted::new(place.clone(), sdk, budgets.clone())),
        None => sdk,
    }
}

/// The ports on whatever makes the calls, with what was kept of earlier ones.
pub fn ports(caller: &Arc<dyn Caller>, archive: &Archive) -> Ports {
    let client = |api| Client::new(api, caller);
    Ports {
        pace: Arc::new(Turns(Arc::clone(caller))),
        ecs: Arc::new(EcsClient::new(client(Api::Ecs), archive.clone())),
        ecr: Arc::new(EcrClient::new(client(Api::Ecr))),
        code_deploy: Arc::new(CodeDeployClient(client(Api::CodeDeploy))),
        sts: Arc::new(StsClient(client(Api::Sts))),
        tagging: Arc::new(TaggingClient::new(client(Api::Tagging))),
        scaling: Arc::new(ScalingClient::new(client(Api::Scaling))),
        balancers: Arc::new(BalancersClient::new(client(Api::Balancers))),
        alarms: Arc::new(AlarmsClient::new(client(Api::Alarms))),
        schedules: Arc::new(SchedulesClient {
            rules: client(Api::Events),
            schedules: client(Api::Scheduler),
        }),
        logs: Arc::new(LogsClient(client(Api::Logs))),
        publisher: Arc::new(PublisherClient { topics: client(Api::Topics), events: client(Api::Events) }),
        directory: Arc::new(DirectoryClient {
            ecs: client(Api::Ecs),
            code_deploy: client(Api::CodeDeploy),
            pipelines: client(Api::Pipelines),
        }),
        inspect: Arc::new(Inspector {
            identity: client(Api::Sts),
            iam: client(Api::Iam),
            secrets: client(Api::Secrets),
            parameters: client(Api::Parameters),
            logs: client(Api::Logs),
            images: client(Api::Ecr),
            functions: client(Api::Functions),
            networks: client(Api::Networks),
        }),
    }
}

struct Turns(Arc<dyn Caller>);

#[async_trait]
impl Pace for Turns {
    async fn turn(&self, operation: &'static str) {
        self.0.turn(operation).await;
    }
}

struct StsClient(Client);

#[async_trait]
impl Sts for StsClient {
    async fn account(&self) -> Result<AccountId, Unreached> {
        let region = self.0.region();
        let unreached = |error| error::unreached(error, region.as_ref());
        let identity = self.0.ask("GetCallerIdentity", json!({})).await.map_err(unreached)?;
        let account = answer::text(&identity, "Account");
        account.map(AccountId::new).ok_or_else(|| Unreached::Unread("STS named no account".to_owned()))
    }
}
