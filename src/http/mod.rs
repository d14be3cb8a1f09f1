//! What a running controller says over HTTP: whether it lives, whether it is ready, and its metrics. Read-only, and
//! without anything that an alert or a log would not say.

pub mod deployments;
mod figures;
mod metrics;
mod port;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;

use crate::controller::{News, SweepResult};
use crate::escape::line;
use crate::model::{EnvironmentName, Millis, Status, Target};
use deployments::{Arrival, Deployments};
use figures::Source;
pub use figures::{Figures, Labels, Values};
use metrics::Metrics;
use port::Answer;

/// A loop that has looked at nothing for so long hangs: its longest rest is half a minute, a fetch takes two minutes at
/// most, and a look at one target some dozen calls.
const HANGS: Duration = Duration::from_mins(10);

/// What the loop has done so far, for those who ask.
#[derive(Clone)]
pub struct Board(Arc<Mutex<BoardState>>);

struct BoardState {
    passed: Instant,
    /// Whether everything was looked at once.
    looked: bool,
    /// Why the infrastructure repository cannot be read.
    broken: Option<String>,
    metrics: Metrics,
    deployments: Deployments,
}

impl Default for Board {
    fn default() -> Self {
        let (metrics, deployments) = (Metrics::default(), Deployments::default());
        let passed = Instant::now();
        Self(Arc::new(Mutex::new(BoardState { passed, looked: false, broken: None, metrics, deployments })))
    }
}

impl Board {
    fn told(&self) -> std::sync::MutexGuard<'_, BoardState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop that has been silent for longest came round then.
    pub fn came_round(&self, at: Instant) {
        self.told().passed = at;
    }

    /// `broken` says why the infrastructure repository cannot be read.
    pub fn source(&self, broken: Option<String>) {
        let mut told = self.told();
        told.metrics.source(broken.is_none());
        told.broken = broken;
    }

    /// Who is asked for figures whenever somebody asks for metrics.
    pub fn figures(&self, source: impl Fn() -> Vec<Figures> + Send + Sync + 'static) {
        self.told().metrics.collect(Source(Box::new(source)));
    }

    /// A sweep goes on in an account and region.
    pub fn news(&self, place: &Labels, news: News<'_>) {
        let told = self.told();
        match news {
            News::Looked { took } => told.metrics.look_took(place, took),
            News::Swept(one) => told.metrics.wrote(one),
        }
    }

    /// A target of which this process tells was looked at. What has come to run there, where that is new.
    pub fn looked_at(&self, one: &SweepResult) -> Option<Arrival> {
        let mut told = self.told();
        told.metrics.counts(&one.target);
        let ended = told.deployments.look(one)?;
        told.metrics.ended(&ended);
        ended.arrival
    }

    /// Somebody else tells of it from now on. What was counted stays.
    pub fn forget(&self, target: &Target) {
        self.told().deployments.forget(target);
    }

    /// From the commit of the infrastructure repository that declared a commit until that ran.
    pub fn lead_time(&self, environment: &EnvironmentName, took: Millis) {
        self.told().metrics.lead_time(environment, took);
    }

    /// Forgets those that are declared no longer.
    pub fn declared(&self, declared: &BTreeSet<Target>) {
        let mut told = self.told();
        told.metrics.retain(declared);
        told.deployments.retain(declared);
    }

    /// A sweep is over in an account and region.
    pub fn sweep_took(&self, place: &Labels, took: Duration) {
        self.told().metrics.sweep_took(place, took);
    }

    /// A sweep over the targets whose time had come is over; where all stand.
    pub fn swept<'a>(&self, statuses: impl Iterator<Item = &'a Status>) {
        let mut told = self.told();
        told.looked = true;
        told.metrics.swept(statuses);
    }

    /// Serves for ever.
    pub async fn serve(self, listener: tokio::net::TcpListener) {
        port::serve(listener, port::LIMITS, move |path| self.answer(path)).await;
    }

    fn answer(&self, path: &str) -> Answer {
        match path {
            "/livez" => self.livez(),
            "/readyz" => self.readyz(),
            "/metrics" => self.printed(),
            _ => Answer::text(StatusCode::NOT_FOUND, ""),
        }
    }

    fn livez(&self) -> Answer {
        let silent = self.told().passed.elapsed();
        if silent < HANGS {
            return Answer::text(StatusCode::OK, "alive\n");
        }
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, format!("no pass for {} s\n", silent.as_secs()))
    }

    /// Ready: the repository could be read, and every application was looked at once. One that cannot be read later on does
    /// not take the controller out of service: it goes on with what it knows.
    fn readyz(&self) -> Answer {
        let told = self.told();
        match (&told.broken, told.looked) {
            (_, true) => Answer::text(StatusCode::OK, "ready\n"),
            (Some(why), false) => {
                let why = format!("the infrastructure repository cannot be read: {}\n", line(why));
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, why)
            }
            (None, false) => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "the first look goes on\n"),
        }
    }

    fn printed(&self) -> Answer {
        match self.told().metrics.print() {
            Ok(body) => Answer {
                status: StatusCode::OK,
                kind: "application/openmetrics-text; version=1.0.0; charset=utf-8",
                body,
            },
            Err(error) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

/// Binds before anything else begins, so that a taken port is an error at the start.
pub async fn bind(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await
}
