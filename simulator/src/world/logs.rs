//! Amazon `CloudWatch` Logs, as far as the logs of containers need it: groups, streams and their events (Amazon `CloudWatch` Logs API
//! reference, version 2014-03-28). There are no classes, filters, policies and retention.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::input::{Input, count, flag, list, optional};
use super::{Answer, AwsError, World, unknown};

/// Events of one answer ("Default: up to 10,000 log events").
const MOST_OF_A_PAGE: u64 = 10_000;
/// Groups of one answer ("The maximum number of items returned ... up to 50 items").
const MOST_GROUPS_OF_A_PAGE: u64 = 50;
/// Events of one `PutLogEvents`.
const MOST_OF_A_CALL: usize = 10_000;
/// Events that a stream keeps here, and streams that a group does: the oldest go first. AWS keeps all for the retention of the group.
const MOST_KEPT: usize = 10_000;
const MOST_STREAMS: usize = 1_000;

const NO_GROUP: &str = "The specified log group does not exist.";
const NO_STREAM: &str = "The specified log stream does not exist.";

/// By the names of the groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Logs(BTreeMap<String, Group>);

#[derive(Clone, Debug, Default)]
struct Group {
    /// The oldest first.
    streams: Vec<(String, Stream)>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    /// The oldest first; in the order in which they came where they are of the same time.
    events: Vec<Event>,
}

#[derive(Clone, Debug)]
struct Event {
    /// Milliseconds since 1970.
    timestamp: u64,
    ingested: u64,
    message: String,
}

impl Logs {
    /// What a container writes. Its group and its stream are made if they are not there: AWS makes groups only where the option
    /// `awslogs-create-group` says so, and otherwise starts no such task.
    pub(super) fn write(&mut self, group: &str, stream: &str, message: &str, now: u64) {
        let group = self.0.entry(group.to_owned()).or_default();
        if group.stream(stream).is_none() {
            group.add(stream);
        }
        if let Some(stream) = group.stream(stream) {
            let millis = now.saturating_mul(1000);
            stream.add(Event { timestamp: millis, ingested: millis, message: message.to_owned() });
        }
    }

    fn group(&mut self, name: &str) -> Result<&mut Group, AwsError> {
        self.0.get_mut(name).ok_or_else(|| missing(NO_GROUP))
    }

    fn stream(&mut self, input: &Input) -> Result<&mut Stream, AwsError> {
        let (group, stream) = (group_of(input)?, required(input, "logStreamName")?);
        self.group(group)?.stream(stream).ok_or_else(|| missing(NO_STREAM))
    }
}

impl Group {
    fn stream(&mut self, name: &str) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|(known, _)| known == name).map(|(_, stream)| stream)
    }

    fn add(&mut self, name: &str) {
        self.streams.push((name.to_owned(), Stream::default()));
        let surplus = self.streams.len().saturating_sub(MOST_STREAMS);
        self.streams.drain(..surplus);
    }
}

impl Stream {
    fn add(&mut self, event: Event) {
        let place = self.events.partition_point(|known| known.timestamp <= event.timestamp);
        self.events.insert(place, event);
        let surplus = self.events.len().saturating_sub(MOST_KEPT);
        self.events.drain(..surplus);
    }
}

impl World {
    pub(super) fn logs(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateLogGroup" => self.create_log_group(input),
            "DescribeLogGroups" => self.describe_log_groups(input),
            "DeleteLogGroup" => self.delete_log_group(input),
            "CreateLogStream" => self.create_log_stream(input),
            "PutLogEvents" => self.put_log_events(input),
            "GetLogEvents" => self.get_log_events(input),
            _ => Err(unknown(operation)),
        }
    }

    fn create_log_group(&mut self, input: &Input) -> Answer {
        let name = required(input, "logGroupName")?;
        is_name(name, "logGroupName")?;
        if self.logs.0.contains_key(name) {
            return Err(exists("The specified log group already exists"));
        }
        self.logs.0.insert(name.to_owned(), Group::default());
        Ok(json!({}))
    }

    /// By their names, which are sorted.
    fn describe_log_groups(&mut self, input: &Input) -> Answer {
        let limit = count(input, "limit")?.unwrap_or(MOST_GROUPS_OF_A_PAGE);
        if !(1..=MOST_GROUPS_OF_A_PAGE).contains(&limit) {
            return Err(invalid("limit must be between 1 and 50."));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let prefix = optional(input, "logGroupNamePrefix")?.unwrap_or_default();
        // A token is the name of the last one that was told.
        let after = optional(input, "nextToken")?;
        let chosen = self.logs.0.keys().filter(|name| name.starts_with(prefix));
        let chosen = chosen.filter(|name| !self.faults.hides_log_group(name));
        let chosen = chosen.filter(|name| after.is_none_or(|after| name.as_str() > after));
        let names: Vec<&String> = chosen.take(limit + 1).collect();
        let groups = names.iter().take(limit).map(|name| {
            let arn = self.arn("logs", &format!("log-group:{name}"));
            json!({"logGroupName": name, "arn": format!("{arn}:*"), "logGroupArn": arn, "storedBytes": 0, "metricFilterCount": 0, "logGroupClass": "STANDARD"})
        });
        let mut answer = json!({"logGroups": groups.collect::<Vec<_>>()});
        if let (true, Some(last)) = (names.len() > limit, names.get(limit - 1)) {
            answer["nextToken"] = json!(last);
        }
        Ok(answer)
    }

    fn delete_log_group(&mut self, input: &Input) -> Answer {
        let name = required(input, "logGroupName")?;
        self.logs.0.remove(name).map(|_| json!({})).ok_or_else(|| missing(NO_GROUP))
    }

    fn create_log_stream(&mut self, input: &Input) -> Answer {
        let name = required(input, "logStreamName")?;
        if name.is_empty() || name.len() > 512 || name.contains([':', '*']) {
            return Err(invalid("logStreamName must have 1 to 512 characters, without ':' and '*'."));
        }
        let group = self.logs.group(required(input, "logGroupName")?)?;
        if group.stream(name).is_some() {
            return Err(exists("The specified log stream already exists"));
        }
        group.add(name);
        Ok(json!({}))
    }

    /// "Sequence tokens are no longer required": one that is sent is ignored.
    fn put_log_events(&mut self, input: &Input) -> Answer {
        let ingested = self.now.saturating_mul(1000);
        let stream = self.logs.stream(input)?;
        let event = |event: &Value| {
            Some(Event {
                timestamp: event.get("timestamp")?.as_u64()?,
                ingested,
                message: event.get("message")?.as_str().filter(|message| !message.is_empty())?.to_owned(),
            })
        };
        let events: Option<Vec<Event>> = list(input, "logEvents").map(event).collect();
        let events = events.filter(|events| (1..=MOST_OF_A_CALL).contains(&events.len()));
        let events = events.ok_or_else(|| {
            invalid("logEvents must have 1 to 10000 events with a timestamp and a message.")
        })?;
        if !events.is_sorted_by_key(|event| event.timestamp) {
            return Err(invalid(
                "Log events in a single PutLogEvents request must be in chronological order.",
            ));
        }
        for event in events {
            stream.add(event);
        }
        Ok(json!({"nextSequenceToken": format!("{ingested:056}")}))
    }

    /// The newest events first, page by page, or from the head; within a page the oldest comes first. There is always a next page:
    /// one that is asked for at the end is empty, and its token the same.
    fn get_log_events(&mut self, input: &Input) -> Answer {
        let limit = count(input, "limit")?.unwrap_or(MOST_OF_A_PAGE);
        if !(1..=MOST_OF_A_PAGE).contains(&limit) {
            return Err(invalid("limit must be between 1 and 10000."));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (start, end) = (count(input, "startTime")?, count(input, "endTime")?);
        let from_head = flag(input, "startFromHead");
        if self.faults.hides_log_group(group_of(input)?) {
            return Err(missing(NO_GROUP));
        }
        let stream = self.logs.stream(input)?;
        let is_within = |event: &&Event| {
            start.is_none_or(|start| start <= event.timestamp) && end.is_none_or(|end| event.timestamp < end)
        };
        let events: Vec<&Event> = stream.events.iter().filter(is_within).collect();
        let all = events.len();
        let (first, last) = match optional(input, "nextToken")?.map(place).transpose()? {
            None if from_head => (0, limit.min(all)),
            None => (all.saturating_sub(limit), all),
            Some(Place::Forward(from)) => (from.min(all), from.saturating_add(limit).min(all)),
            Some(Place::Backward(to)) => (to.min(all).saturating_sub(limit), to.min(all)),
        };
        let page = events.get(first..last).unwrap_or_default().iter().map(|event| {
            json!({"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested})
        });
        Ok(json!({
            "events": page.collect::<Vec<_>>(),
            "nextForwardToken": format!("f/{last:056}/s"),
            "nextBackwardToken": format!("b/{first:056}/s"),
        }))
    }
}

/// Where a token leads: to what comes after that many events, or before.
enum Place {
    Forward(usize),
    Backward(usize),
}

fn place(token: &str) -> Result<Place, AwsError> {
    let wrong = || invalid("The specified nextToken is invalid.");
    let parts: Vec<&str> = token.split('/').collect();
    let [way, number, "s"] = parts.as_slice() else { return Err(wrong()) };
    let number = number.parse().map_err(|_| wrong())?;
    match *way {
        "f" => Ok(Place::Forward(number)),
        "b" => Ok(Place::Backward(number)),
        _ => Err(wrong()),
    }
}

/// A group goes by its name or its ARN.
fn group_of(input: &Input) -> Result<&str, AwsError> {
    match optional(input, "logGroupIdentifier")? {
        Some(arn) => Ok(arn.split(":log-group:").nth(1).unwrap_or(arn)),
        None => required(input, "logGroupName"),
    }
}

fn is_name(name: &str, key: &str) -> Result<(), AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    match name.len() {
        1..=512 if name.chars().all(allowed) => Ok(()),
        _ => Err(invalid(format!(
            "Value '{name}' at '{key}' failed to satisfy constraint: [\\.\\-_/#A-Za-z0-9]+"
        ))),
    }
}

fn required<'a>(input: &'a Input, key: &str) -> Result<&'a str, AwsError> {
    optional(input, key)?.ok_or_else(|| invalid(format!("{key} is missing.")))
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

fn missing(message: &str) -> AwsError {
    AwsError::client("ResourceNotFoundException", message)
}

fn exists(message: &str) -> AwsError {
    AwsError::client("ResourceAlreadyExistsException", message)
}
