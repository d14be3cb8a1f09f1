//! What an error of AWS means for us, by its code; the HTTP status alone says too little.

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::masking::{of_refusal, scrubbed};
use crate::model::{Lacking, Region, Unreached};
use crate::ports::CloudError;

/// Errors within one another.
const DEEPEST: usize = 8;
/// Characters of what others say of a failure.
const MOST_TEXT: usize = 500;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// AWS said no.
    Refused { code: Option<String>, message: Option<String> },
    /// A page for people came instead of an answer of the API: from a proxy, or from AWS in trouble.
    Page { status: u16 },
    /// It did not leave this machine.
    Unsent(String),
    /// There are no credentials to sign it with.
    Unsigned(String),
    /// The settings lead to no credentials, or to no region.
    Lacking(Lacking),
    /// It left, and what became of it is not known.
    Unanswered(String),
    /// The role by which it would have been made cannot be assumed.
    NoSession { role: String, why: Box<CallError> },
}

/// Why a call by the SDK has no answer.
pub(super) fn of_sdk<E>(error: &SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let Some(response) = error.raw_response() {
        let (status, kind) = (response.status().as_u16(), response.headers().get("content-type"));
        if is_page(status, kind.unwrap_or_default()) {
            return CallError::Page { status };
        }
    }
    match error {
        SdkError::ServiceError(service) => CallError::Refused {
            code: service.err().code().map(str::to_owned),
            message: service.err().message().map(str::to_owned),
        },
        SdkError::ConstructionFailure(_) => CallError::Unsent(innermost(error)),
        SdkError::DispatchFailure(failure) if failure.is_user() => CallError::Unsent(innermost(error)),
        SdkError::DispatchFailure(failure) if failure.is_other() => match of_credentials(error) {
            Some(credentials) => lacking(error, credentials)
                .map_or_else(|| CallError::Unsigned(innermost(error)), CallError::Lacking),
            None => CallError::Unsent(innermost(error)),
        },
        SdkError::TimeoutError(_) => CallError::Unanswered("AWS did not answer in time".to_owned()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            CallError::Unanswered("AWS did not answer in time".to_owned())
        }
        SdkError::DispatchFailure(_) => {
            CallError::Unanswered(format!("AWS could not be reached: {}", innermost(error)))
        }
        _ => CallError::Unanswered(format!("the answer could not be read: {}", innermost(error))),
    }
}

/// The error within the error, and so on: what an error of the SDK came from.
fn sources<E>(error: &SdkError<E, HttpResponse>) -> impl Iterator<Item = &(dyn std::error::Error + 'static)>
where
    E: std::error::Error + 'static,
{
    std::iter::successors(std::error::Error::source(error), |error| error.source()).take(DEEPEST)
}

/// What went wrong in the first place, without the layers that it came through: those repeat whole requests.
fn innermost<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: std::error::Error + 'static,
{
    said(&sources(error).last().map_or_else(|| error.to_string(), ToString::to_string))
}

/// Why there are no credentials, if that is why.
fn of_credentials<E>(error: &SdkError<E, HttpResponse>) -> Option<&CredentialsError>
where
    E: std::error::Error + 'static,
{
    sources(error).find_map(|error| error.downcast_ref())
}

/// What the settings lack, as far as the SDK tells that apart: some of it only in words, which change no more than what people are told.
fn lacking<E>(error: &SdkError<E, HttpResponse>, credentials: &CredentialsError) -> Option<Lacking>
where
    E: std::error::Error + 'static,
{
    let says = |words: &str| sources(error).any(|error| error.to_string().contains(words));
    let profile = || {
        let named = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].iter().find_map(|name| std::env::var(name).ok());
        named.unwrap_or_else(|| "default".to_owned())
    };
    match credentials {
        CredentialsError::CredentialsNotLoaded(_) => Some(Lacking::Credentials),
        _ if says("SSO token") => Some(Lacking::SignIn { profile: profile() }),
        CredentialsError::InvalidConfiguration(_) => Some(Lacking::Profile { profile: profile() }),
        CredentialsError::Unhandled(_) if says("profile file") => {
            Some(Lacking::Profile { profile: profile() })
        }
        _ => None,
    }
}

/// What is to be done about a write that has no answer.
pub(super) fn meaning(error: CallError) -> CloudError {
    match error {
        CallError::Refused { code, message } => of_code(code.as_deref(), message.as_deref()),
        CallError::Page { status } => of_page(status),
        CallError::Unsent(why) => CloudError::Unavailable(why),
        CallError::Unsigned(why) => CloudError::Denied(why),
        CallError::Lacking(what) => CloudError::Denied(what.to_string()),
        CallError::Unanswered(why) => CloudError::Ambiguous(why),
        CallError::NoSession { role, why } => without_session(&role, meaning(*why)),
    }
}

/// A refusal in the usual words of one.
pub(super) fn without_repetition(error: CallError) -> CallError {
    match error {
        CallError::Refused { code, message } => {
            CallError::Refused { code, message: message.as_deref().map(of_refusal) }
        }
        other => other,
    }
}

/// The call that should have followed was not made: there is no doubt about its effect.
fn without_session(role: &str, why: CloudError) -> CloudError {
    let told = why.reworded(|said| format!("the role {role} cannot be assumed: {said}"));
    match told {
        CloudError::Ambiguous(said) => CloudError::Unavailable(said),
        CloudError::NotFound(said) | CloudError::Rejected(said) => CloudError::Denied(said),
        told => told,
    }
}

/// What keeps everything that is asked here from being answered.
pub(super) fn unreached(error: CallError, region: Option<&Region>) -> Unreached {
    let is = |codes: &[&str]| matches!(&error, CallError::Refused { code: Some(code), .. } if codes.contains(&code.as_str()));
    if let CallError::Lacking(what) = error {
        return Unreached::Settings(what);
    }
    if is(&EXPIRED) {
        return Unreached::Settings(Lacking::Session);
    }
    let is_unknown = is(&UNKNOWN);
    let role = match &error {
        CallError::NoSession { role, .. } => Some(role.clone()),
        _ => None,
    };
    match (meaning(error), role) {
        (CloudError::Denied(why), Some(role)) => Unreached::Role { role, why },
        (CloudError::Denied(why), None) if is_unknown => {
            let region = region.map_or_else(|| "this region".to_owned(), ToString::to_string);
            Unreached::Region { region, why }
        }
        (other, _) => Unreached::Unread(other.to_string()),
    }
}

/// What AWS answers to credentials that were good once.
const EXPIRED: [&str; 2] = ["ExpiredToken", "ExpiredTokenException"];
/// What AWS answers where it does not know the credentials: where the region is not enabled in their account, among others.
const UNKNOWN: [&str; 3] = ["InvalidClientTokenId", "UnrecognizedClientException", "RegionDisabledException"];

/// Whether people are meant to read what came. What is in it says nothing.
fn is_page(status: u16, kind: &str) -> bool {
    ["text/html", "text/plain"].iter().any(|page| kind.starts_with(page)) && !(200..300).contains(&status)
}

fn of_page(status: u16) -> CloudError {
    let text = format!("HTTP {status} with a page instead of an answer of the API; it may come from a proxy");
    match status {
        429 => CloudError::Throttled(text),
        401 | 403 | 407 => CloudError::Denied(text),
        _ => CloudError::Ambiguous(text),
    }
}

/// What others say of a failure: it is logged, shown and alerted.
pub(super) fn said(text: &str) -> String {
    scrubbed(text).chars().take(MOST_TEXT).collect()
}

fn of_code(code: Option<&str>, message: Option<&str>) -> CloudError {
    let code = code.unwrap_or("no code");
    let text = said(&format!("{code}: {}", message.unwrap_or("no message")));
    let crowded = message.is_some_and(|message| message.contains("Too many concurrent attempts"));
    match code {
        _ if crowded => CloudError::Throttled(text),
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "Throttled"
        | "KMSThrottling"
        | "SlowDown" => CloudError::Throttled(text),
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "KMSAccessDenied"
        | "NotAuthorized"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "OptInRequired"
        | "RegionDisabledException" => CloudError::Denied(text),
        "ClusterNotFoundException"
        | "ServiceNotFoundException"
        | "ServiceDeploymentNotFoundException"
        | "RepositoryNotFoundException"
        | "ApplicationDoesNotExistException"
        | "DeploymentGroupDoesNotExistException"
        | "DeploymentDoesNotExistException"
        | "RevisionDoesNotExistException"
        | "ImageNotFoundException"
        | "ResourceNotFoundException"
        | "LifecyclePolicyNotFoundException"
        | "PipelineNotFoundException"
        | "NoSuchEntity"
        | "NotFound"
        | "RuleNotFound"
        | "ListenerNotFound"
        | "TargetGroupNotFound" => CloudError::NotFound(text),
        "ServerException"
        | "InternalFailure"
        | "InternalServiceException"
        | "InternalServerError"
        | "InternalServerException"
        | "InternalException"
        | "InternalError"
        | "InternalServiceError"
        | "ServiceException"
        | "ServiceFailure"
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
            let said = is_page(status, kind).then(|| of_page(status).to_string());
            assert_eq!(said.is_some(), expected.is_some(), "{status} {kind}: {said:?}");
            let (said, expected) = (said.unwrap_or_default(), expected.unwrap_or_default());
            assert!(said.starts_with(expected) && !said.contains("JSON"), "{status} {kind}: {said}");
        }
    }

    #[test]
    fn whatever_is_said_of_a_failure_is_short_and_holds_no_secret() {
        let long = "x".repeat(100_000);
        assert_eq!(said(&long).len(), MOST_TEXT);
        assert!(!said("the key AKIAIOSFODNN7EXAMPLE was refused").contains("AKIA"));
        for error in [CloudError::NotFound(long.clone()), CloudError::Rejected(long.clone())] {
            assert!(error.to_string().len() < MOST_TEXT + 20, "names from outside too");
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
            ("InternalException", "x", "no answer"),
            ("InternalServerException", "x", "no answer"),
            ("ResourceNotFoundException", "x", "not found"),
            ("ConcurrentModificationException", "x", "refused"),
            ("ConflictException", "x", "refused"),
        ] {
            let text = of_code(Some(code), Some(message)).to_string();
            assert!(text.starts_with(expected), "{code}: {text}");
        }
    }
}
