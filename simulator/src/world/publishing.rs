//! Topics of Amazon SNS (API reference, version 2010-03-31: `CreateTopic`, `DeleteTopic`, `Publish`), and events that are put on the
//! default bus of Amazon EventBridge (`PutEvents`). Nobody is subscribed: what was published is kept for whoever asks the world.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::input::{Input, list, optional};
use super::{Answer, AwsError, World, invalid_action};

/// Bytes of a message with its attributes, and of the entries of a call.
const MOST_BYTES: usize = 256 << 10;
/// Characters of a subject: "less than 100".
const MOST_OF_A_SUBJECT: usize = 99;
/// Entries of `PutEvents` (botocore's model).
const MOST_ENTRIES: usize = 10;
/// That are kept here; the oldest go first.
const MOST_KEPT: usize = 10_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Publishing {
    /// By ARN.
    topics: BTreeSet<String>,
    published: VecDeque<Value>,
    number: u64,
}

impl Publishing {
    fn keep(&mut self, what: Value) -> String {
        self.number += 1;
        if self.published.len() == MOST_KEPT {
            self.published.pop_front();
        }
        self.published.push_back(what);
        format!("00000000-0000-4000-8000-{:012x}", self.number)
    }
}

fn invalid(what: &str, why: &str) -> AwsError {
    AwsError::client("InvalidParameter", format!("Invalid parameter: {what} Reason: {why}"))
}

impl World {
    /// The inputs of `Publish` and the entries of `PutEvents` that were taken, the oldest first.
    pub fn published(&self) -> Vec<Value> {
        self.publishing.published.iter().cloned().collect()
    }

    pub(super) fn sns(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateTopic" => {
                let name = optional(input, "Name")?.unwrap_or_default();
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
                if !(1..=256).contains(&name.len()) || !name.bytes().all(plain) {
                    return Err(invalid("Topic Name", "no name of a topic"));
                }
                let arn = self.arn("sns", name);
                self.publishing.topics.insert(arn.clone());
                Ok(json!({"TopicArn": arn}))
            }
            "DeleteTopic" => {
                self.publishing.topics.remove(optional(input, "TopicArn")?.unwrap_or_default());
                Ok(json!({}))
            }
            "Publish" => self.publish(input),
            _ => Err(invalid_action(operation, "2010-03-31")),
        }
    }

    fn publish(&mut self, input: &Input) -> Answer {
        let topic = optional(input, "TopicArn")?.unwrap_or_default();
        let message = optional(input, "Message")?.unwrap_or_default();
        let subject = optional(input, "Subject")?;
        if topic.split(':').count() != 6 {
            return Err(invalid("TopicArn", "An ARN must have at least 6 elements, not 1"));
        }
        if message.is_empty() {
            return Err(invalid("Message", "Empty message"));
        }
        let is_subject = |text: &str| {
            (1..=MOST_OF_A_SUBJECT).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        if !subject.is_none_or(is_subject) {
            return Err(AwsError::client("InvalidParameter", "Invalid parameter: Subject"));
        }
        if optional(input, "MessageStructure")? == Some("json") {
            let forms: Option<Value> = serde_json::from_str(message).ok();
            if !forms.is_some_and(|forms| forms.get("default").is_some_and(Value::is_string)) {
                return Err(invalid("Message Structure", "No default entry in JSON message body"));
            }
        }
        let attributes = input.get("MessageAttributes").and_then(Value::as_object).into_iter().flatten();
        let mut bytes = message.len();
        for (name, attribute) in attributes {
            let text = |key: &str| attribute.get(key).and_then(Value::as_str).unwrap_or_default();
            if text("DataType") != "String" || text("StringValue").is_empty() {
                let message = format!(
                    "The message attribute '{name}' must contain non-empty message attribute value for message attribute type 'String'."
                );
                return Err(AwsError::client("ParameterValueInvalid", message));
            }
            bytes += name.len() + "String".len() + text("StringValue").len();
        }
        if bytes > MOST_BYTES {
            return Err(invalid("Message", "Message too long"));
        }
        if !self.publishing.topics.contains(topic) {
            return Err(AwsError::with_status("NotFound", "Topic does not exist", 404));
        }
        let id = self.publishing.keep(Value::Object(input.clone()));
        Ok(json!({"MessageId": id}))
    }

    /// Each entry is taken or refused by itself.
    pub(super) fn put_events(&mut self, input: &Input) -> Answer {
        let entries: Vec<Value> = list(input, "Entries").cloned().collect();
        let bytes: usize = entries.iter().map(|entry| entry.to_string().len()).sum();
        if !(1..=MOST_ENTRIES).contains(&entries.len()) {
            let message = format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and {MOST_ENTRIES}"
            );
            return Err(AwsError::client("ValidationException", message));
        }
        if bytes > MOST_BYTES {
            return Err(AwsError::client(
                "ValidationException",
                "Total size of the entries in the request is over the limit.",
            ));
        }
        let bus = self.arn("events", "event-bus/default");
        let mut failed = 0;
        let told: Vec<Value> = entries
            .into_iter()
            .map(|entry| match refused(&entry, &bus) {
                Some((code, message)) => {
                    failed += 1;
                    json!({"ErrorCode": code, "ErrorMessage": message})
                }
                None => json!({"EventId": self.publishing.keep(entry)}),
            })
            .collect();
        Ok(json!({"FailedEntryCount": failed, "Entries": told}))
    }
}

/// Why an entry is not taken (Amazon EventBridge API reference, `PutEventsResultEntry`).
fn refused(entry: &Value, bus: &str) -> Option<(&'static str, String)> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    if let Some(missing) = ["Source", "DetailType", "Detail"].into_iter().find(|key| text(key).is_empty()) {
        let why = format!("Parameter {missing} is not valid. Reason: {missing} is a required argument.");
        return Some(("InvalidArgument", why));
    }
    if text("Source").starts_with("aws.") {
        return Some(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    if !serde_json::from_str::<Value>(text("Detail")).is_ok_and(|detail| detail.is_object()) {
        return Some(("MalformedDetail", "Detail is malformed.".to_owned()));
    }
    let named = text("EventBusName");
    let is_here = ["", "default"].contains(&named) || named == bus;
    (!is_here).then(|| ("InvalidArgument", format!("Event bus {named} does not exist.")))
}
