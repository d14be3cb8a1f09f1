//! The AWS JSON 1.1 protocol (and the one query call of STS) in front of the world, for any AWS client.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::faults::{Fault, LOST, ReadKind};
use crate::world::{Api, AwsError, World};

/// Bytes of one request: a manifest has at most 4 MiB.
const MOST_BYTES: usize = 8 << 20;
/// Seconds that one `advance` may ask for: a week.
const MOST_SECONDS: u64 = 7 * 24 * 3600;

#[derive(Clone)]
struct Server {
    world: Arc<Mutex<World>>,
    clock: Arc<Mutex<Clock>>,
}

/// Turns real time into virtual time, lazily.
struct Clock {
    speed: f64,
    seen: Instant,
    /// Virtual seconds not yet given to the world: less than one.
    rest: f64,
}

/// Serves the world until the listener fails. `speed`: virtual seconds a real second; 0 stands still.
pub async fn serve(
    listener: tokio::net::TcpListener,
    world: Arc<Mutex<World>>,
    speed: f64,
) -> std::io::Result<()> {
    let clock = Clock { speed, seen: Instant::now(), rest: 0.0 };
    let server = Server { world, clock: Arc::new(Mutex::new(clock)) };
    let routes = Router::new()
        .route("/", post(call))
        .route("/_simulator/state", get(state))
        .route("/_simulator/advance", post(advance))
        .route("/_simulator/fault", post(fault))
        .route("/_simulator/heal", post(heal))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(server);
    axum::serve(listener, routes).await
}

impl Server {
    /// The world, with the time that has passed since the last look.
    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(self.elapsed().min(MOST_SECONDS));
        act(&mut world)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole seconds, not negative"
    )]
    fn elapsed(&self) -> u64 {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let due = clock.seen.elapsed().as_secs_f64().mul_add(clock.speed.max(0.0), clock.rest);
        clock.seen = Instant::now();
        clock.rest = due.fract();
        due.trunc() as u64
    }
}

async fn call(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (prefix, operation) = target.split_once('.').unwrap_or(("", ""));
    let api = match prefix {
        "AmazonEC2ContainerServiceV20141113" => Api::Ecs,
        "AmazonEC2ContainerRegistry_V20150921" => Api::Ecr,
        _ if body.starts_with(b"Action=GetCallerIdentity") => return caller_identity(&server),
        _ => {
            return json_answer(
                StatusCode::NOT_FOUND,
                &json!({"__type": "UnknownOperationException", "message": "unknown target"}),
            );
        }
    };
    let input = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&body) };
    let answer = match input {
        Ok(input) => server.with(|world| world.call(api, operation, &input)),
        Err(_) => Err(AwsError {
            code: "SerializationException".to_owned(),
            message: "not JSON".to_owned(),
            status: 400,
        }),
    };
    match answer {
        Ok(value) => json_answer(StatusCode::OK, &value),
        Err(error) if error.code == LOST => lost(),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            json_answer(status, &json!({"__type": error.code, "message": error.message}))
        }
    }
}

fn json_answer(status: StatusCode, value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, headers, value.to_string()).into_response()
}

/// An answer that breaks off: its length promises more than comes.
fn lost() -> Response {
    (StatusCode::OK, [(header::CONTENT_LENGTH, "1000")], "{").into_response()
}

fn caller_identity(server: &Server) -> Response {
    let answer = server.with(|world| world.call(Api::Sts, "GetCallerIdentity", &json!({})));
    let Ok(identity) = answer else { return StatusCode::BAD_REQUEST.into_response() };
    let field = |key: &str| identity.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let xml = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        field("Arn"),
        field("UserId"),
        field("Account")
    );
    ([(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}

async fn state(State(server): State<Server>) -> Response {
    let state = server.with(|world| json!({"now": world.now(), "calls": world.all_calls()}));
    json_answer(StatusCode::OK, &state)
}

async fn advance(State(server): State<Server>, body: Bytes) -> Response {
    let asked: Option<Value> = serde_json::from_slice(&body).ok();
    let seconds = asked.as_ref().and_then(|asked| asked.get("seconds")).and_then(Value::as_u64);
    match seconds.filter(|seconds| *seconds <= MOST_SECONDS) {
        Some(seconds) => {
            server.with(|world| world.advance(seconds));
            state(State(server)).await
        }
        None => (StatusCode::BAD_REQUEST, "expected {\"seconds\": N}, a week at most").into_response(),
    }
}

async fn fault(State(server): State<Server>, body: Bytes) -> Response {
    match serde_json::from_slice(&body).ok().as_ref().and_then(parse_fault) {
        Some(fault) => {
            server.with(|world| world.inject(fault));
            StatusCode::NO_CONTENT.into_response()
        }
        None => (StatusCode::BAD_REQUEST, "not a fault: see docs/simulator.md").into_response(),
    }
}

async fn heal(State(server): State<Server>) -> Response {
    server.with(World::heal);
    StatusCode::NO_CONTENT.into_response()
}

fn parse_fault(asked: &Value) -> Option<Fault> {
    let text = |key: &str| asked.get(key).and_then(Value::as_str).map(str::to_owned);
    let times = || match asked.get("times") {
        None => Some(1),
        Some(times) => u32::try_from(times.as_u64()?).ok(),
    };
    Some(match text("kind")?.as_str() {
        "throttle" => Fault::Throttle { operation: text("operation")?, times: times()? },
        "loseAnswer" => Fault::LoseAnswer { operation: text("operation")? },
        "loseRequest" => Fault::LoseRequest { operation: text("operation")? },
        "serverError" => Fault::ServerError { operation: text("operation")?, times: times()? },
        "deny" => Fault::Deny { operation: text("operation")?, times: times()? },
        "expiredToken" => Fault::ExpiredToken { times: times()? },
        "crash" => Fault::Crash {
            digest: text("digest")?,
            exit_code: asked.get("exitCode").map_or(Some(1), Value::as_i64)?,
        },
        "unhealthy" => Fault::Unhealthy { digest: text("digest")? },
        "cannotPull" => Fault::CannotPull { digest: text("digest")? },
        "stale" => Fault::Stale {
            kind: parse_kind(&text("read")?)?,
            seconds: asked.get("seconds").and_then(Value::as_u64)?,
        },
        _ => return None,
    })
}

fn parse_kind(name: &str) -> Option<ReadKind> {
    Some(match name {
        "services" => ReadKind::Services,
        "serviceDeployments" => ReadKind::ServiceDeployments,
        "tasks" => ReadKind::Tasks,
        "taskDefinitionList" => ReadKind::TaskDefinitionList,
        "taskDefinition" => ReadKind::TaskDefinition,
        "images" => ReadKind::Images,
        _ => return None,
    })
}
