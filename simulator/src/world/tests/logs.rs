//! Logs, and what containers write.

use serde_json::{Value, json};

use super::super::{Api, Program, World};
use super::{SETTLED, world};
use crate::Fault;

const GROUP: &str = "/mco/api";

impl World {
    fn logs_call(&mut self, operation: &str, input: &Value) -> Value {
        self.call(Api::Logs, operation, input).unwrap()
    }

    /// What was logged there.
    fn logged(&mut self, stream: &str) -> Vec<String> {
        messages(&self.logs_call("GetLogEvents", &json!({"logGroupName": GROUP, "logStreamName": stream})))
    }
}

fn messages(answer: &Value) -> Vec<String> {
    let events = answer["events"].as_array().unwrap().iter();
    events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

fn event(timestamp: u64, message: &str) -> Value {
    json!({"timestamp": timestamp, "message": message})
}

#[test]
fn a_stream_is_read_page_by_page_from_either_end_and_always_has_a_next_page() {
    let mut world = world();
    let stream = json!({"logGroupName": GROUP, "logStreamName": "one"});
    world.logs_call("CreateLogGroup", &json!({"logGroupName": GROUP}));
    world.logs_call("CreateLogStream", &stream);
    let events: Vec<Value> = (1..=5).map(|number| event(number * 1000, &number.to_string())).collect();
    let mut put = stream.clone();
    put["logEvents"] = json!(events);
    world.logs_call("PutLogEvents", &put);
    let mut page = |more: Value| {
        let mut asked = stream.clone();
        asked["limit"] = json!(2);
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = world.logs_call("GetLogEvents", &asked);
        let token = |key: &str| answer[key].as_str().unwrap().to_owned();
        (messages(&answer), token("nextForwardToken"), token("nextBackwardToken"))
    };
    let (newest, end, back) = page(json!({}));
    assert_eq!(newest, ["4", "5"]);
    let (older, _, back) = page(json!({"nextToken": back}));
    assert_eq!(older, ["2", "3"]);
    let (oldest, _, begin) = page(json!({"nextToken": back}));
    assert_eq!(oldest, ["1"]);
    for token in [begin, end] {
        let (empty, forward, backward) = page(json!({"nextToken": token}));
        assert!(empty.is_empty() && (forward == token || backward == token));
    }
    let (first, next, _) = page(json!({"startFromHead": true}));
    assert_eq!(
        (first, page(json!({"nextToken": next})).0),
        (vec!["1".to_owned(), "2".to_owned()], vec!["3".to_owned(), "4".to_owned()])
    );
    assert_eq!(page(json!({"startTime": 2000, "endTime": 3000})).0, ["2"]);
}

#[test]
fn what_makes_no_sense_of_a_log_is_refused() {
    let mut world = world();
    let group = json!({"logGroupName": GROUP});
    let stream = json!({"logGroupName": GROUP, "logStreamName": "one"});
    let with = |key: &str, value: Value| {
        let mut input = stream.clone();
        input[key] = value;
        input
    };
    let (invalid, exists, missing) =
        ("InvalidParameterException", "ResourceAlreadyExistsException", "ResourceNotFoundException");
    for (operation, input) in
        [("CreateLogStream", &stream), ("GetLogEvents", &stream), ("DeleteLogGroup", &group)]
    {
        assert_eq!(world.refused(Api::Logs, operation, input), missing, "{operation}");
    }
    world.logs_call("CreateLogGroup", &group);
    assert_eq!(world.refused(Api::Logs, "CreateLogGroup", &group), exists);
    assert_eq!(world.refused(Api::Logs, "CreateLogGroup", &json!({"logGroupName": "a b"})), invalid);
    assert_eq!(world.refused(Api::Logs, "GetLogEvents", &stream), missing);
    world.logs_call("CreateLogStream", &stream);
    assert_eq!(world.refused(Api::Logs, "CreateLogStream", &stream), exists);
    assert_eq!(world.refused(Api::Logs, "CreateLogStream", &with("logStreamName", json!("a:b"))), invalid);
    for events in [json!([]), json!([event(2, "b"), event(1, "a")]), json!([event(1, "")])] {
        assert_eq!(world.refused(Api::Logs, "PutLogEvents", &with("logEvents", events)), invalid);
    }
    for (key, value) in [("limit", json!(0)), ("limit", json!(10_001)), ("nextToken", json!("nope"))] {
        assert_eq!(world.refused(Api::Logs, "GetLogEvents", &with(key, value)), invalid, "{key}");
    }
    world.logs_call("DeleteLogGroup", &group);
    assert_eq!(world.refused(Api::Logs, "GetLogEvents", &stream), missing);
}

/// Registers a task definition whose container logs with these options.
fn register(world: &mut World, options: &Value) -> Value {
    let definition = json!({"family": "logging", "containerDefinitions": [
        {"name": "api", "image": "nginx", "memory": 128, "logConfiguration": {"logDriver": "awslogs", "options": options}}]});
    world.ecs_call("RegisterTaskDefinition", &definition)["taskDefinition"]["taskDefinitionArn"].clone()
}

#[test]
fn containers_log_that_they_begin_and_end_and_what_a_fault_has_them_say() {
    let mut world = world();
    let arn = register(
        &mut world,
        &json!({"awslogs-group": GROUP, "awslogs-region": "eu-west-2", "awslogs-stream-prefix": "ecs"}),
    );
    world.set_program("api", Program::Ends { exit_code: 3, after_seconds: 5 });
    let run = json!({"cluster": "mco", "taskDefinition": arn});
    let started = world.ecs_call("RunTask", &run)["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
    let id = started.rsplit('/').next().unwrap();
    world.advance(14);
    assert_eq!(world.logged(&format!("ecs/api/{id}")), ["api begins"]);
    let asked = json!({"cluster": "mco", "tasks": [started]});
    let digest = world.ecs_call("DescribeTasks", &asked)["tasks"][0]["containers"][0]["imageDigest"].clone();
    world.advance(SETTLED);
    assert_eq!(world.logged(&format!("ecs/api/{id}")), ["api begins", "api ends with 3"]);
    world.inject(Fault::Says { digest: digest.as_str().unwrap().to_owned(), text: "one\ntwo".to_owned() });
    let again = world.ecs_call("RunTask", &run)["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
    world.advance(SETTLED);
    let said = world.logged(&format!("ecs/api/{}", again.rsplit('/').next().unwrap()));
    assert_eq!(said, ["api begins", "one", "two", "api ends with 3"]);
}

#[test]
fn without_a_prefix_the_stream_is_the_runtime_and_another_region_keeps_its_own() {
    let mut world = world();
    let mut run = |options: &Value| {
        let arn = register(&mut world, options);
        let run = json!({"cluster": "mco", "taskDefinition": arn});
        let started = world.ecs_call("RunTask", &run)["tasks"][0]["taskArn"].clone();
        world.advance(SETTLED);
        let asked = json!({"cluster": "mco", "tasks": [started]});
        let container = world.ecs_call("DescribeTasks", &asked)["tasks"][0]["containers"][0].clone();
        let stream = json!({"logGroupName": GROUP, "logStreamName": container["runtimeId"]});
        world.call(Api::Logs, "GetLogEvents", &stream).map(|answer| messages(&answer))
    };
    let elsewhere = json!({"awslogs-group": GROUP, "awslogs-region": "eu-west-1"});
    assert_eq!(run(&elsewhere).unwrap_err().code, "ResourceNotFoundException");
    let here = json!({"awslogs-group": GROUP, "awslogs-region": "eu-west-2"});
    assert_eq!(run(&here).unwrap(), ["api begins", "api ends with 0"]);
}
