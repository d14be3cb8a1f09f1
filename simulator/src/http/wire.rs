//! One call of an AWS API: from the request to the world and back. Shapes: smithy, "AWS JSON 1.1 protocol"; the other
//! protocols are in `query` and `cbor`.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer::{broken, error, json_answer, refused, with_id};
use super::{Server, query, signature};
use crate::faults::LOST;
use crate::world::{Api, DOWNLOADS};

/// The operation is chosen by the header `x-amz-target` alone; STS and Elastic Load Balancing have it in a form.
pub(super) async fn call(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let id = server.request_id();
    let answer = match target {
        Some(target) => json_call(&server, &headers, target, &body),
        None => query::call(&server, &headers, &body, &id),
    };
    with_id(answer, &id)
}

/// The name by which a client reaches this server.
fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// A layer, at the address that `GetDownloadUrlForLayer` has answered.
pub(super) async fn download(State(server): State<Server>, uri: Uri) -> Response {
    match server.with(|cloud| cloud.download(uri.path())) {
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

fn json_call(server: &Server, headers: &HeaderMap, target: &str, body: &[u8]) -> Response {
    let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
    let api = match prefix {
        "AmazonEC2ContainerServiceV20141113" => Api::Ecs,
        "AmazonEC2ContainerRegistry_V20150921" => Api::Ecr,
        "CodeDeploy_20141006" => Api::CodeDeploy,
        "ResourceGroupsTaggingAPI_20170126" => Api::Tagging,
        "AnyScaleFrontendService" => Api::Scaling,
        "AWSEvents" => Api::Events,
        "Logs_20140328" => Api::Logs,
        "secretsmanager" => Api::Secrets,
        "AmazonSSM" => Api::Parameters,
        "GraniteServiceVersion20100801" => Api::CloudWatch,
        "CodePipeline_20150709" => Api::CodePipeline,
        _ => return refused(&error("UnknownOperationException", "this service is not simulated", 404)),
    };
    let input = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) };
    let answer = match input {
        Ok(input) => server.call(signature::read(headers).as_ref(), api, operation, &input),
        Err(_) => Err(error("SerializationException", "the body is no JSON", 400)),
    };
    match answer {
        Ok(mut value) => {
            if operation == "GetDownloadUrlForLayer" {
                served_here(&mut value, host(headers));
            }
            json_answer(StatusCode::OK, &value)
        }
        Err(error) if error.code == LOST => broken(),
        Err(error) => refused(&error),
    }
}
