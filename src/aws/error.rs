//! What an error of AWS means for us, by its code; the HTTP status alone says too little.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::masking::scrubbed;
use crate::ports::CloudError;

/// The error of a read: an answer that never came is only unavailable.
pub fn classify_read<E>(error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match classify_write(error) {
        CloudError::Ambiguous(why) => CloudError::Unavailable(why),
        other => other,
    }
}

/// The error of a write: without an answer of AWS it may have been done.
pub fn classify_write<E>(error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let Some(response) = error.raw_response() {
        let kind = response.headers().get("content-type").unwrap_or_default();
        if let Some(page) = of_page(response.status().as_u16(), kind) {
            return page;
        }
    }
    match error {
        SdkError::ServiceError(service) => of_code(service.err().code(), service.err().message()),
        SdkError::ConstructionFailure(_) => CloudError::Unavailable(chain(error)),
        SdkError::DispatchFailure(failure) if failure.is_user() => CloudError::Unavailable(chain(error)),
        SdkError::DispatchFailure(failure) if failure.is_other() => CloudError::Denied(chain(error)),
        _ => CloudError::Ambiguous(chain(error)),
    }
}

/// A page for people instead of an answer of the API: from a proxy, or from AWS in trouble. What is in it says nothing.
fn of_page(status: u16, kind: &str) -> Option<CloudError> {
    let is_page = ["text/html", "text/plain"].iter().any(|page| kind.starts_with(page));
    if !is_page || (200..300).contains(&status) {
        return None;
    }
    let text = format!("HTTP {status} with a page instead of an answer of the API; it may come from a proxy");
    Some(match status {
        429 => CloudError::Throttled(text),
        401 | 403 | 407 => CloudError::Denied(text),
        _ => CloudError::Ambiguous(text),
    })
}

/// The error and its sources, without the debug text of requests; bounded, since a proxy may answer with a whole page.
fn chain<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    for _ in 0..8 {
        let Some(inner) = source else { break };
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    scrubbed(&text).chars().take(300).collect()
}

fn of_code(code: Option<&str>, message: Option<&str>) -> CloudError {
    let code = code.unwrap_or("no code");
    let text = format!("{code}: {}", message.unwrap_or("no message"));
    let text: String = scrubbed(&text).chars().take(500).collect();
    let crowded = message.is_some_and(|message| message.contains("Too many concurrent attempts"));
    match code {
        _ if crowded => CloudError::Throttled(text),
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "SlowDown" => CloudError::Throttled(text),
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "OptInRequired" => CloudError::Denied(text),
        "ClusterNotFoundException"
        | "ServiceNotFoundException"
        | "RepositoryNotFoundException"
        | "ApplicationDoesNotExistException"
        | "DeploymentGroupDoesNotExistException"
        | "DeploymentDoesNotExistException"
        | "RevisionDoesNotExistException"
        | "ImageNotFoundException" => CloudError::NotFound(text),
        "ServerException"
        | "InternalFailure"
        | "InternalServiceException"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => CloudError::Ambiguous(text),
        "no code" => CloudError::Ambiguous(text),
        _ => CloudError::Rejected(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_no_answer_of_the_api() {
        for (status, kind, expected) in [
            (500, "text/html", Some("no answer")),
            (502, "text/plain; charset=utf-8", Some("no answer")),
            (429, "text/html; charset=utf-8", Some("throttled by AWS")),
            (403, "text/html", Some("not allowed")),
            (500, "application/x-amz-json-1.1", None),
            (400, "text/xml", None),
            (200, "text/html", None),
        ] {
            let said = of_page(status, kind).map(|error| error.to_string());
            assert_eq!(said.is_some(), expected.is_some(), "{status} {kind}: {said:?}");
            let (said, expected) = (said.unwrap_or_default(), expected.unwrap_or_default());
            assert!(said.starts_with(expected) && !said.contains("JSON"), "{status} {kind}: {said}");
        }
    }

    #[test]
    fn every_kind_of_refusal_has_its_outcome() {
        for (code, message, expected) in [
            ("ThrottlingException", "Rate exceeded", "throttled by AWS"),
            ("ClientException", "Too many concurrent attempts to create a new revision", "throttled by AWS"),
            ("ExpiredTokenException", "x", "not allowed"),
            ("ClusterNotFoundException", "Cluster not found.", "not found"),
            ("LimitExceededException", "x", "refused"),
            ("ClientException", "bad", "refused"),
            ("ServerException", "x", "no answer"),
        ] {
            let text = of_code(Some(code), Some(message)).to_string();
            assert!(text.starts_with(expected), "{code}: {text}");
        }
    }
}
