//! One call of an AWS API: from the request to the world and back. Shapes: smithy, "AWS JSON 1.1 protocol" and "AWS
//! query protocol".

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::{Value, json};

use super::Server;
use crate::faults::LOST;
use crate::world::{Api, AwsError};

/// The operation is chosen by the header `x-amz-target` alone; only STS has it in a form.
pub(super) async fn call(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let Some(target) = target else { return query(&server, &body) };
    let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
    let api = match prefix {
        "AmazonEC2ContainerServiceV20141113" => Api::Ecs,
        "AmazonEC2ContainerRegistry_V20150921" => Api::Ecr,
        _ => return refused(&error("UnknownOperationException", "this service is not simulated", 404)),
    };
    let input = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&body) };
    let answer = match input {
        Ok(input) => server.with(|world| world.call(api, operation, &input)),
        Err(_) => Err(error("SerializationException", "the body is no JSON", 400)),
    };
    match answer {
        Ok(value) => json_answer(StatusCode::OK, &value),
        Err(error) if error.code == LOST => broken(),
        Err(error) => refused(&error),
    }
}

fn error(code: &str, message: &str, status: u16) -> AwsError {
    AwsError { code: code.to_owned(), message: message.to_owned(), status }
}

fn refused(error: &AwsError) -> Response {
    json_answer(status(error), &json!({"__type": error.code, "message": error.message}))
}

fn status(error: &AwsError) -> StatusCode {
    StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST)
}

pub(super) fn json_answer(status: StatusCode, value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, headers, value.to_string()).into_response()
}

/// The query protocol: a form in, XML out.
fn query(server: &Server, body: &[u8]) -> Response {
    let form = String::from_utf8_lossy(body);
    let action = form.split('&').find_map(|pair| pair.strip_prefix("Action="));
    let Some(action) = action else {
        return refused(&error("UnknownOperationException", "no operation is named", 404));
    };
    let answer = server.with(|world| world.call(Api::Sts, action, &json!({})));
    let (status, xml) = match answer {
        Ok(identity) => (StatusCode::OK, identity_xml(&identity)),
        Err(error) if error.code == LOST => return broken(),
        Err(error) => (status(&error), error_xml(&error)),
    };
    (status, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}

fn identity_xml(identity: &Value) -> String {
    let field = |key: &str| escaped(identity.get(key).and_then(Value::as_str).unwrap_or_default());
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        field("Arn"),
        field("UserId"),
        field("Account")
    )
}

fn error_xml(error: &AwsError) -> String {
    let kind = if error.status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>0</RequestId></ErrorResponse>",
        escaped(&error.code),
        escaped(&error.message)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An answer of which the first byte comes and then the connection breaks.
fn broken() -> Response {
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
