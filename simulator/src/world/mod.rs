//! The world: everything that exists in one account and region, and the time in it.

mod ecr;
mod ecs;
mod rollout;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

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
        Self { code: code.to_owned(), message: message.into(), status: 400 }
    }
}

pub(crate) type Answer = Result<Value, AwsError>;

/// Something that goes wrong on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next `times` calls of the operation are throttled.
    Throttle { operation: String, times: u32 },
    /// The next call of the operation has its effect, and its answer is lost.
    LoseAnswer { operation: String },
    /// Containers of this image exit with the code before the task is running.
    Crash { digest: String, exit_code: i64 },
    /// The image cannot be pulled.
    CannotPull { digest: String },
}

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
    faults: Vec<Fault>,
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
            faults: Vec::new(),
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

    pub fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
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

    /// One call of the API. An answer that is lost has the code `SimulatedLostAnswer`: no client ever sees it.
    pub fn call(&mut self, api: Api, operation: &str, input: &Value) -> Answer {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        if self.is_throttled(operation) {
            return Err(AwsError::client("ThrottlingException", "Rate exceeded"));
        }
        let Value::Object(input) = input else {
            return Err(AwsError::client("SerializationException", "the body is no JSON object"));
        };
        let answer = match api {
            Api::Ecs => self.ecs(operation, input),
            Api::Ecr => self.ecr(operation, input),
            Api::Sts => self.sts(operation),
        };
        if self.loses_answer(operation) {
            return Err(AwsError::client("SimulatedLostAnswer", "the connection is closed"));
        }
        answer
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

    fn is_throttled(&mut self, called: &str) -> bool {
        let hit = self.faults.iter_mut().find_map(|fault| match fault {
            Fault::Throttle { operation, times } if operation == called && *times > 0 => Some(times),
            _ => None,
        });
        hit.is_some_and(|times| {
            *times -= 1;
            true
        })
    }

    fn loses_answer(&mut self, called: &str) -> bool {
        let lost = |fault: &Fault| matches!(fault, Fault::LoseAnswer { operation } if operation == called);
        let found = self.faults.iter().position(lost);
        found.map(|index| self.faults.remove(index)).is_some()
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
