//! What every protocol answers alike: the id of the request, errors, and answers that break off.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::{Value, json};

use crate::world::AwsError;

/// The id of the request, as every answer has it.
pub(super) fn with_id(mut answer: Response, id: &str) -> Response {
    if let Ok(id) = HeaderValue::from_str(id) {
        answer.headers_mut().insert("x-amzn-requestid", id);
    }
    answer
}

pub(super) fn error(code: &str, message: &str, status: u16) -> AwsError {
    AwsError::with_status(code, message, status)
}

pub(super) fn refused(error: &AwsError) -> Response {
    let mut told = json!({"__type": error.code, "message": error.message});
    if !error.resource_ids.is_empty() {
        told["resourceIds"] = json!(error.resource_ids);
    }
    json_answer(status(error), &told)
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
