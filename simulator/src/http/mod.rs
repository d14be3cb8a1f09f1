//! AWS's protocols in front of the world, for any AWS client: JSON 1.1, CBOR for CodeDeploy and `CloudWatch`, the query protocol for STS
//! and Elastic Load Balancing among others, REST for EventBridge Scheduler and Lambda. Of a signature only the access key and the scope are looked at (`signature`). What is not AWS is in
//! `control`.

mod answer;
mod cbor;
mod control;
mod query;
mod rest;
mod signature;
mod wire;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{any, delete, get, post, put};
use serde_json::Value;

use crate::cloud::{Cloud, Signature};
use crate::world::ids::uuid;
use crate::world::times::http_date;
use crate::world::{Answer, Api, World};

/// Bytes of one request: a part of a layer has 20 MiB, a third more in base64.
const MOST_BYTES: usize = 32 << 20;
/// Seconds that one `advance` may ask for, and that pass at most between two calls: a year.
const MOST_SECONDS: u64 = 366 * 24 * 3600;

/// How often time passes by itself.
const TICK: Duration = Duration::from_millis(50);

#[derive(Clone)]
struct Server {
    cloud: Arc<Mutex<Cloud>>,
    clock: Arc<Mutex<Clock>>,
    requests: Arc<AtomicU64>,
}

/// Turns real time into virtual time.
struct Clock {
    /// Simulated seconds per real second.
    speed: f64,
    seen: Instant,
    /// Virtual milliseconds not yet given to the world: less than one.
    rest: f64,
}

impl Clock {
    /// Whole virtual milliseconds that have passed since the last look.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole milliseconds, not negative"
    )]
    fn elapsed(&mut self) -> u64 {
        let real = self.seen.elapsed().as_secs_f64() * 1000.0;
        let due = real.mul_add(self.speed.max(0.0), self.rest);
        self.seen = Instant::now();
        self.rest = due.fract();
        (due.trunc() as u64).min(MOST_SECONDS * 1000)
    }
}

/// Serves a cloud that begins with this world, until the listener fails. `speed`: simulated seconds per real second; 0 stands still.
pub async fn serve(
    listener: tokio::net::TcpListener,
    world: Arc<Mutex<World>>,
    speed: f64,
) -> std::io::Result<()> {
    serve_far_away(listener, world, speed, Duration::ZERO).await
}

/// The same, so far away that each answer of AWS arrives so much later. The world goes on in the meantime, and calls side by
/// side wait side by side.
pub async fn serve_far_away(
    listener: tokio::net::TcpListener,
    world: Arc<Mutex<World>>,
    speed: f64,
    latency: Duration,
) -> std::io::Result<()> {
    serve_cloud(listener, Arc::new(Mutex::new(Cloud::around(world))), speed, latency).await
}

/// The same with all accounts and regions of a cloud.
pub async fn serve_cloud(
    listener: tokio::net::TcpListener,
    cloud: Arc<Mutex<Cloud>>,
    speed: f64,
    latency: Duration,
) -> std::io::Result<()> {
    let clock = Clock { speed, seen: Instant::now(), rest: 0.0 };
    let server = Server { cloud, clock: Arc::new(Mutex::new(clock)), requests: Arc::default() };
    let clockwork = server.clone();
    let control = Router::new()
        .route("/_simulator/state", get(control::state))
        .route("/_simulator/advance", post(control::advance))
        .route("/_simulator/speed", post(control::speed))
        .route("/_simulator/limits", post(control::limits))
        .route("/_simulator/fault", post(control::fault))
        .route("/_simulator/heal", post(control::heal))
        .route("/_simulator/hand", post(control::hand));
    let routes = Router::new()
        .route("/", post(wire::call))
        .route("/v2/{*path}", get(wire::download))
        .route("/service/{service}/operation/{operation}", post(cbor::call))
        .route("/schedules/{name}", any(rest::schedule))
        .route("/schedule-groups/{name}", post(rest::group))
        .route("/2015-03-31/functions", post(rest::create_function))
        .route("/2015-03-31/functions/{name}", delete(rest::delete_function))
        .route("/2017-10-31/functions/{name}/concurrency", put(rest::concurrency))
        .route("/2019-09-30/functions/{name}/concurrency", get(rest::concurrency))
        .route_layer(axum::middleware::map_response_with_state(latency, delayed))
        .merge(control)
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(axum::middleware::map_response_with_state(server.clone(), dated))
        .with_state(server);
    tokio::select! {
        served = async { axum::serve(listener, routes).await } => served,
        () = ticking(clockwork) => Ok(()),
    }
}

/// The call has had its effect; its answer is on the way.
async fn delayed(State(latency): State<Duration>, answer: Response) -> Response {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    answer
}

/// Answers are of the world's time.
async fn dated(State(server): State<Server>, mut answer: Response) -> Response {
    let date = http_date(server.with(|cloud| cloud.now()));
    if let Ok(date) = HeaderValue::from_str(&date) {
        answer.headers_mut().insert(header::DATE, date);
    }
    answer
}

/// Time also passes while nobody calls: who shares the world in this process reads its clock.
async fn ticking(server: Server) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        server.with(|_| ());
    }
}

impl Server {
    /// The id of the next request.
    fn request_id(&self) -> String {
        uuid(self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// The cloud, with the time that has passed since the last look.
    fn with<T>(&self, act: impl FnOnce(&mut Cloud) -> T) -> T {
        let mut cloud = self.cloud.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = self.clock.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        cloud.advance_millis(elapsed);
        act(&mut cloud)
    }

    /// One call of an API of AWS.
    fn call(&self, signature: Option<&Signature>, api: Api, operation: &str, input: &Value) -> Answer {
        self.with(|cloud| cloud.call(signature, api, operation, input))
    }

    /// From now on time passes at another speed.
    fn set_speed(&self, speed: f64) {
        self.with(|_| ());
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).speed = speed;
    }

    fn speed(&self) -> f64 {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).speed
    }
}
