//! What an error of AWS means for us, by its code; the HTTP status alone says too little.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::masking::scrubbed;
use crate::ports::CloudError;

/// The error of a read: an answer that never came is only unavailable.
pub fn classify_read<E, R>(error: &SdkError<E, R>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match classify_write(error) {
        CloudError::Ambiguous(why) => CloudError::Unavailable(why),
        other => other,
    }
}

/// The error of a write: without an answer of AWS it may have been done.
pub fn classify_write<E, R>(error: &SdkError<E, R>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(service) => of_code(service.err().code(), service.err().message()),
        SdkError::ConstructionFailure(_) => CloudError::Unavailable(chain(error)),
        SdkError::DispatchFailure(failure) if failure.is_user() => CloudError::Unavailable(chain(error)),
        SdkError::DispatchFailure(failure) if failure.is_other() => CloudError::Denied(chain(error)),
        _ => CloudError::Ambiguous(chain(error)),
    }
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
