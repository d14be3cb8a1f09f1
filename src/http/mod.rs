//! What a running controller says over HTTP: whether it lives, whether it is ready, and its metrics. Read-only, and
//! without anything that an alert or a log would not say.

mod metrics;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};

use crate::controller::News;
use crate::model::Status;
use metrics::Metrics;

/// A loop that has looked at nothing for so long hangs: its longest rest is half a minute, a fetch takes two minutes at
/// most, and a look at one target some dozen calls.
const HANGS: Duration = Duration::from_mins(10);

/// What the loop has done so far, for those who ask.
#[derive(Clone)]
pub struct Board(Arc<Mutex<Told>>);

struct Told {
    passed: Instant,
    /// Whether everything was looked at once.
    looked: bool,
    /// Why the infrastructure repository cannot be read.
    broken: Option<String>,
    metrics: Metrics,
}

impl Default for Board {
    fn default() -> Self {
        let metrics = Metrics::default();
        Self(Arc::new(Mutex::new(Told { passed: Instant::now(), looked: false, broken: None, metrics })))
    }
}

impl Board {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop has come round; `broken` says why the infrastructure repository cannot be read.
    pub fn source(&self, broken: Option<String>) {
        let mut told = self.told();
        told.passed = Instant::now();
        told.metrics.source(broken.is_none());
        told.broken = broken;
    }

    /// A sweep goes on.
    pub fn news(&self, news: News<'_>) {
        let mut told = self.told();
        told.passed = Instant::now();
        if let News::Swept(one) = news {
            told.metrics.wrote(one);
        }
    }

    /// A sweep over the targets whose time had come is over; where all stand.
    pub fn swept<'a>(&self, statuses: impl Iterator<Item = &'a Status>) {
        let mut told = self.told();
        told.passed = Instant::now();
        told.looked = true;
        told.metrics.swept(statuses);
    }

    /// Serves until the listener fails.
    pub async fn serve(self, listener: tokio::net::TcpListener) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(printed))
            .with_state(self);
        axum::serve(listener, routes).await
    }
}

/// Binds before anything else begins, so that a taken port is an error at the start.
pub async fn bind(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await
}

async fn livez(State(board): State<Board>) -> Response {
    let silent = board.told().passed.elapsed();
    if silent < HANGS {
        return (StatusCode::OK, "alive\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("no pass for {} s\n", silent.as_secs())).into_response()
}

/// Ready: the repository could be read, and every application was looked at once. One that cannot be read later on does
/// not take the controller out of service: it goes on with what it knows.
async fn readyz(State(board): State<Board>) -> Response {
    let told = board.told();
    match (&told.broken, told.looked) {
        (_, true) => (StatusCode::OK, "ready\n").into_response(),
        (Some(why), false) => {
            let why = format!("the infrastructure repository cannot be read: {why}\n");
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
        (None, false) => (StatusCode::SERVICE_UNAVAILABLE, "the first look goes on\n").into_response(),
    }
}

async fn printed(State(board): State<Board>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    match board.told().metrics.print() {
        Ok(text) => (headers, text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
