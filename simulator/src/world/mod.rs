//! The world: everything that exists in one account and region, and the time in it.

mod ecr;
mod ecs;
mod rollout;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::faults::Faults;

/// The service that an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Ecs,
    Ecr,
    Sts,
}

/// What AWS answers instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    pub code: String,
    pub message: String,
    pub status: u16,
}

impl AwsError {
    pub(crate) fn client(code: &str, message: impl Into<String>) -> Self {
        Self::with_status(code, message, 400)
    }

    pub(crate) fn with_status(code: &str, message: impl Into<String>, status: u16) -> Self {
        Self { code: code.to_owned(), message: message.into(), status }
    }
}

pub(crate) type Answer = Result<Value, AwsError>;

/// One account in one region.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) account: String,
    pub(crate) region: String,
    /// Seconds since 1970. Whole seconds: one tick each.
    pub(crate) now: u64,
    ids: u64,
    clusters: BTreeSet<String>,
    families: BTreeMap<String, Vec<ecs::TaskDefinition>>,
    services: BTreeMap<(String, String), ecs::Service>,
    tasks: Vec<ecs::Task>,
    repositories: BTreeMap<String, ecr::Repository>,
    pub(crate) faults: Faults,
    calls: BTreeMap<String, u64>,
}

/// Where the virtual clock starts: 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600;
/// Tasks that stopped stay visible for about an hour (Amazon ECS API reference, `DescribeTasks`).
const STOPPED_TASKS_STAY: u64 = 3600;

impl World {
    pub fn new(account: &str, region: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            now: START,
            ids: 0,
            clusters: BTreeSet::new(),
            families: BTreeMap::new(),
            services: BTreeMap::new(),
            tasks: Vec::new(),
            repositories: BTreeMap::new(),
            faults: Faults::default(),
            calls: BTreeMap::new(),
        }
    }

    /// Sets the clock before anything exists, for clients that compare it with their own.
    #[must_use]
    pub fn starting_at(mut self, seconds: u64) -> Self {
        self.now = seconds;
        self
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How often an operation was called, failures included.
    pub fn calls(&self, operation: &str) -> u64 {
        self.calls.get(operation).copied().unwrap_or_default()
    }

    pub fn all_calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// Lets time pass, a second at a time.
    pub fn advance(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1;
            self.tick();
        }
        let now = self.now;
        self.tasks.retain(|task| task.stopped_at.is_none_or(|stopped| stopped + STOPPED_TASKS_STAY > now));
    }

    /// One call of the API. An answer that is lost has the code [`crate::LOST`].
    pub fn call(&mut self, api: Api, operation: &str, input: &Value) -> Answer {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        if let Some(refusal) = self.refusal(operation) {
            return Err(refusal);
        }
        let Value::Object(input) = input else {
            return Err(AwsError::client("SerializationException", "the body is no JSON object"));
        };
        let answer = match self.stale(api, operation) {
            Some(seen) => seen.answer(api, operation, input),
            None => self.answer(api, operation, input),
        };
        match self.lost_answer(operation) {
            Some(lost) => Err(lost),
            None => answer,
        }
    }

    fn answer(&mut self, api: Api, operation: &str, input: &Map<String, Value>) -> Answer {
        match api {
            Api::Ecs => self.ecs(operation, input),
            Api::Ecr => self.ecr(operation, input),
            Api::Sts => self.sts(operation),
        }
    }

    fn sts(&self, operation: &str) -> Answer {
        match operation {
            "GetCallerIdentity" => Ok(json!({
                "Account": self.account,
                "Arn": format!("arn:aws:iam::{}:user/simulator", self.account),
                "UserId": "AIDASIMULATOR",
            })),
            _ => Err(unknown(operation)),
        }
    }

    /// The next of a row of numbers that never repeats.
    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}

pub(crate) fn unknown(operation: &str) -> AwsError {
    AwsError {
        code: "UnknownOperationException".to_owned(),
        message: format!("{operation} is not simulated"),
        status: 404,
    }
}

/// A required text member.
fn text<'a>(input: &'a Map<String, Value>, key: &str) -> Result<&'a str, AwsError> {
    let found = input.get(key).and_then(Value::as_str);
    found.ok_or_else(|| AwsError::client("InvalidParameterException", format!("{key} is missing or no text")))
}

fn texts<'a>(input: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a str> {
    input.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// One page of items and the token of the next. Tokens are opaque: here an offset.
fn page<T>(
    items: Vec<T>,
    input: &Map<String, Value>,
    default: usize,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let asked = input.get("maxResults").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
    let size = asked.unwrap_or(default).clamp(1, 1000);
    let start = match input.get("nextToken").and_then(Value::as_str) {
        Some(token) => {
            token.parse().map_err(|_| AwsError::client("InvalidParameterException", "invalid nextToken"))?
        }
        None => 0,
    };
    let count = items.len();
    let next = start + size;
    let token = (next < count).then(|| next.to_string());
    Ok((items.into_iter().skip(start).take(size).collect(), token))
}
