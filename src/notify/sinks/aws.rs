//! What topics of Amazon SNS and buses of Amazon EventBridge are sent: the documented body of a webhook, and for people who read a topic
//! by mail what a chat would show.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::webhook;
use crate::model::alert::Alert;
use crate::notify::message::{self, Message};

/// Bytes of a message with its attributes, and of an event: 256 KiB are the most of either (Amazon SNS API reference, `Publish`; Amazon
/// EventBridge API reference, `PutEvents`). What AWS counts of names and braces has room beside it.
const MOST: usize = 240 << 10;
/// Characters of a subject, which is ASCII without line breaks here (Amazon SNS API reference, `Publish`: less than 100).
const MOST_OF_A_SUBJECT: usize = 99;
/// Of an attribute that is none, since AWS takes no empty ones.
const NONE: &str = "-";

/// The input of `Publish`. Each protocol has a form of its own: `default` is for programs.
pub(super) fn message(topic: &str, alert: &Alert, with_logs: bool) -> Value {
    let attribute = |value: &str| json!({"DataType": "String", "StringValue": if value.is_empty() { NONE } else { value }});
    let target = alert.target.as_ref();
    let attributes = json!({
        "environment": attribute(target.map_or(NONE, |target| target.environment.as_str())),
        "application": attribute(target.map_or(NONE, |target| target.application.as_str())),
        "event": attribute(alert.event.name()),
        "severity": attribute(alert.event.severity().name()),
        "key": attribute(&alert.key),
    });
    let said = message::of(alert, with_logs);
    let form = |body: &Value| {
        json!({"default": body.to_string(), "email": letter(&said), "sms": said.title.as_str()}).to_string()
    };
    json!({
        "TopicArn": topic,
        "Subject": subject(&said),
        "Message": fitting(alert, with_logs, form),
        "MessageStructure": "json",
        "MessageAttributes": attributes,
    })
}

/// An entry of `PutEvents`. Rules match by the event's name, and by all that the detail holds.
pub(super) fn event(bus: &str, alert: &Alert, with_logs: bool) -> Value {
    let resources: Vec<&str> = alert.receipt.iter().map(|receipt| receipt.revision.as_str()).collect();
    json!({
        "Source": "trueup",
        "DetailType": alert.event.name(),
        "Detail": fitting(alert, with_logs, Value::to_string),
        "EventBusName": bus,
        "Resources": resources,
    })
}

/// The body in this form, with as much of it as there is room for: first the logs go, then causes and differences.
fn fitting(alert: &Alert, with_logs: bool, form: impl Fn(&Value) -> String) -> String {
    let mut body = webhook::body(alert, with_logs);
    let mut text = form(&body);
    if text.len() > MOST {
        body = webhook::body(alert, false);
        text = form(&body);
    }
    for member in ["differences", "causes"] {
        if text.len() > MOST {
            body[member] = json!([]);
            text = form(&body);
        }
    }
    text
}

fn subject(said: &Message) -> String {
    let title = format!("trueup: {}", said.title);
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    title.chars().map(plain).take(MOST_OF_A_SUBJECT).collect()
}

fn letter(said: &Message) -> String {
    let Message { severity, title, rows, links, logs, footer } = said;
    let mut text = format!("{} {title}\n\n", message::mark(*severity));
    for (word, what) in rows {
        let _ = writeln!(text, "{word:<8} {what}");
    }
    for line in logs {
        let _ = writeln!(text, "         {line}");
    }
    for (word, address) in links {
        let _ = writeln!(text, "{word:<8} {address}");
    }
    let _ = write!(text, "\n{footer}\n");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::model::Evidence;
    use crate::notify::message::tests::alert;

    const TOPIC: &str = "arn:aws:sns:eu-west-2:123456789012:trueup";

    #[test]
    fn a_message_has_a_form_for_programs_and_one_for_people_and_attributes_to_filter_by() {
        let input = message(TOPIC, &alert(), true);
        assert_eq!((&input["TopicArn"], &input["MessageStructure"]), (&json!(TOPIC), &json!("json")));
        assert_eq!(input["Subject"], "trueup: staging/api: 77aa010 failed & was rolled back");
        let forms: Map<String, Value> = serde_json::from_str(input["Message"].as_str().unwrap()).unwrap();
        let body: Value = serde_json::from_str(forms["default"].as_str().unwrap()).unwrap();
        assert_eq!(body, webhook::body(&alert(), true));
        assert!(
            forms["email"]
                .as_str()
                .unwrap()
                .starts_with("✗ staging/api: 77aa010 failed & was rolled back\n\ncause    container")
        );
        let attributes = ["environment", "application", "event", "severity", "key"];
        let attributes =
            attributes.map(|name| input["MessageAttributes"][name]["StringValue"].as_str().unwrap());
        let expected =
            ["staging", "api", "deployment.rolled_back", "error", "deployment.rolled_back/staging/api/1"];
        assert_eq!(attributes, expected);
        let general = Alert { target: None, ..alert() };
        assert_eq!(message(TOPIC, &general, false)["MessageAttributes"]["application"]["StringValue"], NONE);
    }

    #[test]
    fn an_event_is_named_by_its_kind_and_holds_the_documented_body() {
        let entry = event("default", &alert(), false);
        assert_eq!(
            (&entry["Source"], &entry["DetailType"]),
            (&json!("trueup"), &json!("deployment.rolled_back"))
        );
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        assert_eq!(detail, webhook::body(&alert(), false));
    }

    #[test]
    fn what_is_too_large_for_aws_is_left_out_and_a_subject_is_short_and_plain() {
        let long = || "\"\\𝕏\n".repeat(40 << 10);
        let mut large = alert();
        large.summary = format!("Grüße\r\n{}", long());
        large.causes[0].evidence = vec![Evidence { from: String::new(), lines: vec![long()] }];
        for (is_large, has_causes) in [(false, true), (true, false)] {
            if is_large {
                large.causes[0].text = long();
            }
            large.summary.truncate("Grüße\r\n".len() + if is_large { 40 } else { 20 });
            let input = message(TOPIC, &large, true);
            assert!(input["Message"].as_str().unwrap().len() <= MOST);
            let forms: Value = serde_json::from_str(input["Message"].as_str().unwrap()).unwrap();
            let body: Value = serde_json::from_str(forms["default"].as_str().unwrap()).unwrap();
            assert_eq!(!body["causes"].as_array().unwrap().is_empty(), has_causes);
            assert!(event("default", &large, true)["Detail"].as_str().unwrap().len() <= MOST);
            let subject = input["Subject"].as_str().unwrap();
            assert!(
                subject.len() <= MOST_OF_A_SUBJECT
                    && subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{subject}"
            );
        }
    }
}
