//! Where containers log to (Amazon ECS API reference, `LogConfiguration` and `FirelensConfiguration`).

use serde_json::Value;

use super::{Complaint, Fields, closed_words, is_set, list, text};

const DRIVERS: [&str; 8] =
    ["awsfirelens", "awslogs", "fluentd", "gelf", "journald", "json-file", "splunk", "syslog"];
const ROUTERS: [&str; 2] = ["fluentd", "fluentbit"];
const ON_FARGATE: [&str; 3] = ["awslogs", "splunk", "awsfirelens"];

pub(super) fn of(containers: &[&Fields], is_fargate: bool, found: &mut Vec<Complaint>) {
    for (index, container) in containers.iter().enumerate() {
        let Some(logs) = container.get("logConfiguration").and_then(Value::as_object) else { continue };
        let path = format!("containerDefinitions[{index}].logConfiguration");
        closed_words(logs, &path, "logDriver", &DRIVERS, found);
        let driver = text(logs, "logDriver");
        if is_fargate && DRIVERS.contains(&driver) && !ON_FARGATE.contains(&driver) {
            let message = format!("Fargate has no log driver `{driver}`");
            let hint = format!("one of {}", ON_FARGATE.join(", "));
            found.push(Complaint::error(format!("{path}.logDriver"), message).hint(hint));
        }
        if driver == "awslogs" {
            options_of_cloudwatch(logs, &path, is_fargate, found);
        }
    }
    for (index, container) in containers.iter().enumerate() {
        let Some(router) = container.get("firelensConfiguration").and_then(Value::as_object) else {
            continue;
        };
        let path = format!("containerDefinitions[{index}].firelensConfiguration");
        closed_words(router, &path, "type", &ROUTERS, found);
    }
    routers(containers, found);
}

/// "Log driver awslogs requires options: awslogs-region, awslogs-group"; the prefix is wanted on Fargate alone.
fn options_of_cloudwatch(logs: &Fields, path: &str, is_fargate: bool, found: &mut Vec<Complaint>) {
    let options = logs.get("options").and_then(Value::as_object);
    let is_secret = |name: &str| {
        list(logs, "secretOptions").any(|option| option.get("name").and_then(Value::as_str) == Some(name))
    };
    let is_missing = |name: &&str| !options.is_some_and(|options| is_set(options, name)) && !is_secret(name);
    let prefix = is_fargate.then_some("awslogs-stream-prefix");
    let missing: Vec<&str> =
        ["awslogs-group", "awslogs-region"].into_iter().chain(prefix).filter(is_missing).collect();
    if !missing.is_empty() {
        let message = format!("awslogs needs the options {}", missing.join(", "));
        let complaint = Complaint::error(format!("{path}.options"), message);
        found.push(if options.is_some() { complaint.at_key() } else { complaint });
    }
}

/// One container routes the logs of those that have the driver `awsfirelens`.
fn routers(containers: &[&Fields], found: &mut Vec<Complaint>) {
    let is_router = |container: &Fields| is_set(container, "firelensConfiguration");
    let is_routed = |container: &Fields| {
        let logs = container.get("logConfiguration").and_then(Value::as_object);
        logs.is_some_and(|logs| text(logs, "logDriver") == "awsfirelens")
    };
    let routers: Vec<usize> =
        (0..).zip(containers).filter(|(_, container)| is_router(container)).map(|(index, _)| index).collect();
    let routed: Vec<usize> =
        (0..).zip(containers).filter(|(_, container)| is_routed(container)).map(|(index, _)| index).collect();
    let router = |index: usize| format!("containerDefinitions[{index}].firelensConfiguration");
    for second in routers.iter().skip(1) {
        found.push(Complaint::error(router(*second), "a second container routes logs").hint("AWS takes one"));
    }
    match (routers.first(), routed.first()) {
        (Some(first), None) => {
            let message = "no container has the log driver awsfirelens, so that there is nothing to route";
            found.push(Complaint::error(router(*first), message));
        }
        (None, Some(first)) => {
            let path = format!("containerDefinitions[{first}].logConfiguration.logDriver");
            let message = "no container has a `firelensConfiguration`, which awsfirelens needs";
            found.push(Complaint::error(path, message));
        }
        _ => {}
    }
}
