//! The REST protocol of EventBridge Scheduler and AWS Lambda: the operation is the method and the path, which has a name in it, and
//! other members are in the query or in a body of JSON (smithy, "AWS restJson1 protocol").

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer::{broken, error, json_answer, refused, with_id};
use super::{Server, signature};
use crate::faults::LOST;
use crate::world::{Api, AwsError};

/// What members are called in a query.
const IN_QUERY: [(&str, &str); 2] = [("groupName", "GroupName"), ("clientToken", "ClientToken")];

pub(super) async fn schedule(
    State(server): State<Server>,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let operation = match method {
        Method::GET => "GetSchedule",
        Method::POST => "CreateSchedule",
        Method::PUT => "UpdateSchedule",
        Method::DELETE => "DeleteSchedule",
        _ => "",
    };
    let named = Some(("Name", name.as_str()));
    call(&server, (Api::Scheduler, operation), named, &uri, (&headers, &body))
}

pub(super) async fn group(
    State(server): State<Server>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let named = Some(("Name", name.as_str()));
    call(&server, (Api::Scheduler, "CreateScheduleGroup"), named, &uri, (&headers, &body))
}

/// The function is named in the body.
pub(super) async fn create_function(
    State(server): State<Server>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    call(&server, (Api::Lambda, "CreateFunction"), None, &uri, (&headers, &body))
}

pub(super) async fn delete_function(
    State(server): State<Server>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let named = Some(("FunctionName", name.as_str()));
    call(&server, (Api::Lambda, "DeleteFunction"), named, &uri, (&headers, &body))
}

pub(super) async fn concurrency(
    State(server): State<Server>,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let operation = if method == Method::PUT { "PutFunctionConcurrency" } else { "GetFunctionConcurrency" };
    let named = Some(("FunctionName", name.as_str()));
    call(&server, (Api::Lambda, operation), named, &uri, (&headers, &body))
}

/// `named`: the member that is in the path, and what it holds.
fn call(
    server: &Server,
    (api, operation): (Api, &str),
    named: Option<(&str, &str)>,
    uri: &Uri,
    (headers, body): (&HeaderMap, &[u8]),
) -> Response {
    let answer = input(named, uri, body)
        .and_then(|input| server.call(signature::read(headers).as_ref(), api, operation, &input));
    let answer = match answer {
        Ok(value) => json_answer(StatusCode::OK, &value),
        Err(error) if error.code == LOST => broken(),
        Err(error) => with_type(refused(&error), &error.code),
    };
    with_id(answer, &server.request_id())
}

fn input(named: Option<(&str, &str)>, uri: &Uri, body: &[u8]) -> Result<Value, AwsError> {
    let mut members: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(body)
            .map_err(|_| error("SerializationException", "the body is no JSON", 400))?
    };
    for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if let Some((_, member)) = IN_QUERY.iter().find(|(called, _)| *called == key) {
            members.insert((*member).to_owned(), json!(value));
        }
    }
    members.extend(named.map(|(member, name)| (member.to_owned(), json!(name))));
    Ok(Value::Object(members))
}

fn with_type(mut answer: Response, code: &str) -> Response {
    if let Ok(code) = HeaderValue::from_str(code) {
        answer.headers_mut().insert("x-amzn-errortype", code);
    }
    answer
}
