//! Amazon SNS and event buses of Amazon EventBridge, as receivers of alerts.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::answer::{list, owned, text};
use super::caller::Client;
use super::error::{self, CallError};
use crate::ports::{CloudError, Publisher};

pub(super) struct PublisherClient {
    pub topics: Client,
    pub events: Client,
}

#[async_trait]
impl Publisher for PublisherClient {
    async fn publish(&self, input: Value) -> Result<(), CloudError> {
        self.topics.write("Publish", input).await.map(drop)
    }

    async fn put_event(&self, entry: Value) -> Result<(), CloudError> {
        entry_taken(&self.events.write("PutEvents", json!({"Entries": [entry]})).await?)
    }
}

/// What was refused of an entry stands in an answer that is none of a refusal, at the entry's place (Amazon EventBridge user guide,
/// "Handling failures with `PutEvents`").
fn entry_taken(answer: &Value) -> Result<(), CloudError> {
    let entry = list(answer, "Entries").next();
    match entry {
        Some(entry) if text(entry, "ErrorCode").is_some() => {
            let (code, message) = (owned(entry, "ErrorCode"), owned(entry, "ErrorMessage"));
            Err(error::meaning(CallError::Refused { code, message }))
        }
        Some(entry) if text(entry, "EventId").is_some() => Ok(()),
        _ => Err(CloudError::Ambiguous("nothing says whether the event was taken".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes are those of the API reference of `PutEvents`, `PutEventsResultEntry`.
    #[test]
    fn what_is_refused_of_an_event_is_an_error_in_an_answer_that_is_none() {
        let refused = |code: &str| json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "m"}]});
        let said = |code: &str| format!("{code}: m");
        for (answer, expected) in [
            (json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}), Ok(())),
            (refused("ThrottlingException"), Err(CloudError::Throttled(said("ThrottlingException")))),
            (refused("InternalFailure"), Err(CloudError::Ambiguous(said("InternalFailure")))),
            (refused("AccessDeniedException"), Err(CloudError::Denied(said("AccessDeniedException")))),
            (refused("MalformedDetail"), Err(CloudError::Rejected(said("MalformedDetail")))),
            (json!({}), Err(CloudError::Ambiguous("nothing says whether the event was taken".to_owned()))),
        ] {
            assert_eq!(entry_taken(&answer), expected, "{answer}");
        }
    }
}
