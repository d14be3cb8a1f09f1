//! CBOR, which recent Python clients speak to `CodeDeploy` and `CloudWatch` (smithy, "smithy-rpc-v2-cbor protocol").

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ciborium::Value as Cbor;
use serde_json::{Value, json};

use super::answer::{broken, error, status, with_id};
use super::{Server, signature};
use crate::faults::LOST;
use crate::world::{Api, AwsError};

/// The tag of seconds since 1970 (RFC 8949, section 3.4.2).
const EPOCH: u64 = 1;
/// Depth of a request.
const DEEPEST: usize = 32;
/// The members that are points in time, as botocore's models have them.
const TIMES: [&str; 12] = [
    "AlarmConfigurationUpdatedTimestamp",
    "StateUpdatedTimestamp",
    "createTime",
    "startTime",
    "completeTime",
    "endTime",
    "lastUpdatedAt",
    "registerTime",
    "firstUsedTime",
    "lastUsedTime",
    "lastSuccessfulDeploymentTime",
    "lastAttemptedDeploymentTime",
];

pub(super) async fn call(
    State(server): State<Server>,
    Path((service, operation)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let id = server.request_id();
    with_id(answer(&server, &headers, (&service, &operation), &body), &id)
}

fn answer(server: &Server, headers: &HeaderMap, (service, operation): (&str, &str), body: &[u8]) -> Response {
    let api = match service {
        "CodeDeploy_20141006" => Api::CodeDeploy,
        "GraniteServiceVersion20100801" => Api::CloudWatch,
        _ => return refused(None, &error("UnknownOperationException", "this service is not simulated", 404)),
    };
    let read =
        |body: &[u8]| -> Option<Cbor> { ciborium::de::from_reader_with_recursion_limit(body, DEEPEST).ok() };
    let input = if body.is_empty() { Some(json!({})) } else { read(body).map(to_json) };
    let answer = match input {
        Some(input) => server.call(signature::read(headers).as_ref(), api, operation, &input),
        None => Err(error("SerializationException", "the body is no CBOR", 400)),
    };
    match answer {
        Ok(value) => cbor_answer(StatusCode::OK, &value),
        Err(error) if error.code == LOST => broken(),
        Err(error) => refused(Some(api), &error),
    }
}

fn refused(api: Option<Api>, error: &AwsError) -> Response {
    let namespace = if api == Some(Api::CloudWatch) { "cloudwatch" } else { "codedeploy" };
    let code = format!("com.amazonaws.{namespace}#{}", error.code);
    let mut answer = cbor_answer(status(error), &json!({"__type": code, "message": error.message}));
    // Who spoke the query protocol before finds the code where it was (smithy, "awsQueryCompatible").
    let of_query = format!("{};{}", error.code, if error.status < 500 { "Sender" } else { "Receiver" });
    if let (Some(Api::CloudWatch), Ok(of_query)) = (api, HeaderValue::from_str(&of_query)) {
        answer.headers_mut().insert("x-amzn-query-error", of_query);
    }
    answer
}

fn cbor_answer(status: StatusCode, value: &Value) -> Response {
    let mut body = Vec::new();
    if ciborium::into_writer(&to_cbor(value, false), &mut body).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "application/cbor"),
        (header::HeaderName::from_static("smithy-protocol"), "rpc-v2-cbor"),
    ];
    (status, headers, body).into_response()
}

fn to_json(value: Cbor) -> Value {
    match value {
        Cbor::Bool(flag) => Value::from(flag),
        Cbor::Integer(number) => i64::try_from(number).map_or(Value::Null, Value::from),
        Cbor::Float(number) => Value::from(number),
        Cbor::Text(text) => Value::from(text),
        Cbor::Array(items) => items.into_iter().map(to_json).collect(),
        Cbor::Map(members) => {
            let named =
                members.into_iter().filter_map(|(key, value)| Some((key.into_text().ok()?, to_json(value))));
            Value::Object(named.collect())
        }
        Cbor::Tag(_, inner) => to_json(*inner),
        _ => Value::Null,
    }
}

fn to_cbor(value: &Value, is_time: bool) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(flag) => Cbor::Bool(*flag),
        Value::Number(number) if is_time => {
            Cbor::Tag(EPOCH, Box::new(Cbor::Float(number.as_f64().unwrap_or_default())))
        }
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cbor::Integer(whole.into()),
            None => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Array(items) => Cbor::Array(items.iter().map(|item| to_cbor(item, false)).collect()),
        Value::Object(members) => Cbor::Map(
            members
                .iter()
                .map(|(key, value)| (Cbor::Text(key.clone()), to_cbor(value, TIMES.contains(&key.as_str()))))
                .collect(),
        ),
    }
}
