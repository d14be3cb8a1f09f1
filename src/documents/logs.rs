//! Where the containers of a task definition write their logs to.

use serde_json::Value;

use crate::model::{LogStream, Region};

/// Where a container's log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    Kept(LogStream),
    /// Not in `CloudWatch` Logs, or not by a name that is known: what can be said of it.
    Elsewhere(String),
}

/// The log of a container of one task; `None`: it has no log configuration. Its stream is `<prefix>/<container>/<task>`; without a prefix, which only EC2 takes, it is
/// the id of the container's runtime (Amazon ECS developer guide, "Send Amazon ECS logs to `CloudWatch`").
pub fn of(input: &Value, container: &str, task: &str, runtime_id: Option<&str>) -> Option<Log> {
    let elsewhere = |what: &str| Some(Log::Elsewhere(what.to_owned()));
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let mut named = definitions.filter(|one| one.get("name").and_then(Value::as_str) == Some(container));
    let logs = named.next()?.get("logConfiguration")?;
    match logs.get("logDriver").and_then(Value::as_str).unwrap_or_default() {
        "awslogs" => {}
        "awsfirelens" => return elsewhere("it is routed by FireLens"),
        driver => return Some(Log::Elsewhere(format!("it goes to the log driver {driver}"))),
    }
    let option = |name: &str| {
        let value = logs.get("options").and_then(|options| options.get(name)).and_then(Value::as_str);
        value.filter(|value| !value.is_empty())
    };
    let Some(group) = option("awslogs-group") else {
        return elsewhere("the name of its log group is a secret");
    };
    let stream = option("awslogs-stream-prefix").map(|prefix| format!("{prefix}/{container}/{task}"));
    let Some(stream) = stream.or_else(|| runtime_id.map(str::to_owned)) else {
        return elsewhere("the name of its log stream is not known");
    };
    let region = option("awslogs-region").map(Region::new);
    Some(Log::Kept(LogStream { region, group: group.to_owned(), stream }))
}

/// The logs of the containers of one task, each with the container's name. `runtime_id` is asked for by that name.
pub fn of_task<'i>(
    input: &'i Value,
    task: &'i str,
    runtime_id: impl Fn(&str) -> Option<String> + 'i,
) -> impl Iterator<Item = (&'i str, Log)> {
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let names = definitions.filter_map(|one| one.get("name")?.as_str());
    names.filter_map(move |name| Some((name, of(input, name, task, runtime_id(name).as_deref())?)))
}

/// A log group in `CloudWatch` Logs, as a task definition names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogGroup<'i> {
    pub region: Option<&'i str>,
    pub name: &'i str,
    /// Whether it is made where it is not there.
    pub is_made: bool,
}

pub fn named(input: &Value) -> impl Iterator<Item = LogGroup<'_>> {
    let definitions = input.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    definitions.filter_map(|one| {
        let logs = one.get("logConfiguration")?;
        let options =
            logs.get("options").filter(|_| logs.get("logDriver") == Some(&Value::from("awslogs")))?;
        let option = |name: &str| options.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
        Some(LogGroup {
            region: option("awslogs-region"),
            name: option("awslogs-group")?,
            is_made: option("awslogs-create-group") == Some("true"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(configuration: &Value, expected: Result<(&str, &str), &str>) {
        let input = json!({"containerDefinitions": [{"name": "proxy"}, {"name": "api", "logConfiguration": configuration}]});
        match (of(&input, "api", "0123", Some("runtime")), expected) {
            (Some(Log::Kept(found)), Ok((group, stream))) => {
                assert_eq!((found.group.as_str(), found.stream.as_str()), (group, stream));
                assert_eq!(found.region, Some(Region::new("eu-west-1")));
            }
            (Some(Log::Elsewhere(found)), Err(expected)) => assert_eq!(found, expected),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn the_stream_of_a_container_is_named_by_its_options() {
        let mut logs = json!({"logDriver": "awslogs",
            "options": {"awslogs-group": "/mco/api", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs"}});
        check(&logs, Ok(("/mco/api", "ecs/api/0123")));
        logs["options"]["awslogs-stream-prefix"] = json!(null);
        check(&logs, Ok(("/mco/api", "runtime")));
        logs["options"]["awslogs-group"] = json!(null);
        check(&logs, Err("the name of its log group is a secret"));
    }

    #[test]
    fn of_every_other_driver_it_is_said_where_it_goes() {
        check(&json!({"logDriver": "splunk"}), Err("it goes to the log driver splunk"));
        check(&json!({"logDriver": "awsfirelens"}), Err("it is routed by FireLens"));
        let bare = json!({"containerDefinitions": [{"name": "api"}]});
        assert_eq!((of(&bare, "api", "0", None), of(&json!({}), "api", "0", None)), (None, None));
    }
}
