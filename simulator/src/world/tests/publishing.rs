//! Messages to topics, and events that are put on the bus.

use serde_json::json;

use super::super::{Api, World};
use super::world;

impl World {
    fn topic(&mut self) -> String {
        let made = self.call(Api::Sns, "CreateTopic", &json!({"Name": "alerts"})).unwrap();
        made["TopicArn"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_message_is_kept_as_it_was_published() {
    let mut world = world();
    let attributes = json!({"event": {"DataType": "String", "StringValue": "test"}});
    let input =
        json!({"TopicArn": world.topic(), "Subject": "s", "Message": "m", "MessageAttributes": attributes});
    let first = world.call(Api::Sns, "Publish", &input).unwrap();
    assert_ne!(first, world.call(Api::Sns, "Publish", &input).unwrap(), "each has an id");
    assert_eq!(world.published(), [input.clone(), input]);
}

#[test]
fn a_message_that_breaks_the_documented_bounds_is_refused() {
    let mut world = world();
    let topic = world.topic();
    for (message, more, code) in [
        ("", json!({}), "InvalidParameter"),
        ("m", json!({"TopicArn": "alerts"}), "InvalidParameter"),
        ("m", json!({"TopicArn": format!("{topic}-other")}), "NotFound"),
        ("m", json!({"Subject": ""}), "InvalidParameter"),
        ("m", json!({"Subject": "a\nb"}), "InvalidParameter"),
        ("m", json!({"Subject": "x".repeat(100)}), "InvalidParameter"),
        ("{\"email\": \"m\"}", json!({"MessageStructure": "json"}), "InvalidParameter"),
        (
            "m",
            json!({"MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}}}),
            "ParameterValueInvalid",
        ),
        (&"m".repeat((256 << 10) + 1), json!({}), "InvalidParameter"),
    ] {
        let mut input = json!({"TopicArn": topic, "Message": message});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(world.refused(Api::Sns, "Publish", &input), code, "{more}");
    }
    world.call(Api::Sns, "DeleteTopic", &json!({"TopicArn": topic})).unwrap();
    let gone = json!({"TopicArn": topic, "Message": "m"});
    assert_eq!(world.refused(Api::Sns, "Publish", &gone), "NotFound");
}

#[test]
fn each_event_of_a_call_is_taken_or_refused_by_itself() {
    let mut world = world();
    let entry = |source: &str, detail: &str, bus: &str| json!({"Source": source, "DetailType": "t", "Detail": detail, "EventBusName": bus});
    let here = "arn:aws:events:eu-west-2:123456789012:event-bus/default";
    let good = [entry("trueup", "{}", "default"), entry("trueup", "{}", here)];
    let bad = [
        entry("", "{}", "default"),
        entry("aws.ecs", "{}", "default"),
        entry("trueup", "[]", "default"),
        entry("trueup", "{}", "other"),
    ];
    let entries: Vec<_> = good.iter().chain(&bad).cloned().collect();
    let told = world.call(Api::Events, "PutEvents", &json!({"Entries": entries})).unwrap();
    assert_eq!(told["FailedEntryCount"], 4);
    let codes: Vec<_> =
        told["Entries"].as_array().unwrap().iter().map(|one| one["ErrorCode"].as_str()).collect();
    let expected = [
        None,
        None,
        Some("InvalidArgument"),
        Some("NotAuthorizedForSourceException"),
        Some("MalformedDetail"),
        Some("InvalidArgument"),
    ];
    assert_eq!(codes, expected);
    assert_eq!(world.published(), good);
    for entries in [vec![], vec![entry("trueup", "{}", "default"); 11]] {
        let input = json!({"Entries": entries});
        assert_eq!(world.refused(Api::Events, "PutEvents", &input), "ValidationException");
    }
}
