//! One call of an AWS API: from the request to the world and back. Shapes: smithy, "AWS JSON 1.1 protocol"; the other
//! protocols are in `query` and `cbor`.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::{Value, json};

use super::{Server, query};
use crate::faults::LOST;
use crate::world::{Api, AwsError, DOWNLOADS};

/// The operation is chosen by the header `x-amz-target` alone; STS and Elastic Load Balancing have it in a form.
pub(super) async fn call(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let id = server.request_id();
    let answer = match target {
        Some(target) => json_call(&server, target, &body, host(&headers)),
        None => query::call(&server, &body, &id),
    };
    with_id(answer, &id)
}

/// The name by which a client reaches this server.
fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// A layer, at the address that `GetDownloadUrlForLayer` has answered.
pub(super) async fn download(State(server): State<Server>, uri: Uri) -> Response {
    match server.with(|world| world.download(uri.path()).map(<[u8]>::to_vec)) {
        Some(content) => ([(header::CONTENT_TYPE, "application/octet-stream")], content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The store of layers is this server.
fn served_here(answer: &mut Value, host: Option<&str>) {
    let url = answer.get("downloadUrl").and_then(Value::as_str);
    let path = url.and_then(|url| url.find(DOWNLOADS).and_then(|start| url.get(start..)));
    if let (Some(path), Some(host)) = (path, host) {
        answer["downloadUrl"] = json!(format!("http://{host}{path}"));
    }
}

fn json_call(server: &Server, target: &str, body: &[u8], host: Option<&str>) -> Response {
    let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
    let api = match prefix {
        "AmazonEC2ContainerServiceV20141113" => Api::Ecs,
        "AmazonEC2ContainerRegistry_V20150921" => Api::Ecr,
        "CodeDeploy_20141006" => Api::CodeDeploy,
        "ResourceGroupsTaggingAPI_20170126" => Api::Tagging,
        "AnyScaleFrontendService" => Api::Scaling,
        _ => return refused(&error("UnknownOperationException", "this service is not simulated", 404)),
    };
    let input = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) };
    let answer = match input {
        Ok(input) => server.with(|world| world.call(api, operation, &input)),
        Err(_) => Err(error("SerializationException", "the body is no JSON", 400)),
    };
    match answer {
        Ok(mut value) => {
            if operation == "GetDownloadUrlForLayer" {
                served_here(&mut value, host);
            }
            json_answer(StatusCode::OK, &value)
        }
        Err(error) if error.code == LOST => broken(),
        Err(error) => refused(&error),
    }
}

/// The id of the request, as every answer has it.
pub(super) fn with_id(mut answer: Response, id: &str) -> Response {
    if let Ok(id) = HeaderValue::from_str(id) {
        answer.headers_mut().insert("x-amzn-requestid", id);
    }
    answer
}

pub(super) fn error(code: &str, message: &str, status: u16) -> AwsError {
    AwsError { code: code.to_owned(), message: message.to_owned(), status }
}

fn refused(error: &AwsError) -> Response {
    json_answer(status(error), &json!({"__type": error.code, "message": error.message}))
}

pub(super) fn status(error: &AwsError) -> StatusCode {
    StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST)
}

pub(super) fn json_answer(status: StatusCode, value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, headers, value.to_string()).into_response()
}

/// An answer of which the first byte comes and then the connection breaks.
pub(super) fn broken() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (StatusCode::OK, headers, Body::new(BreaksOff::AtFirst)).into_response()
}

enum BreaksOff {
    AtFirst,
    /// What has come is sent before the connection breaks.
    Sending,
    AtLast,
}

impl HttpBody for BreaksOff {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match *self {
            Self::AtFirst => {
                *self = Self::Sending;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{")))))
            }
            Self::Sending => {
                *self = Self::AtLast;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::AtLast => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
        }
    }
}
