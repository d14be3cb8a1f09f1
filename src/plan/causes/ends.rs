//! How tasks have ended: what their containers died of, grouped, with the limit or the check that explains it and the lines that
//! were written last.

use serde_json::Value;

use super::hints;
use crate::documents::logs::{self, Log};
use crate::documents::{containers, reasons};
use crate::model::{Answers, Cause, CauseKind, Evidence, LogStream, Reading, Task, TaskContainer};
use crate::plan::steady::{Ending, ending};

/// Exit codes of a container that did what it was told: it came to its end, or was ended by SIGTERM or SIGKILL.
pub(in crate::plan) const OBEDIENT: [i32; 3] = [0, 143, 137];
/// That of a container that was ended by SIGKILL: by the kernel, where nobody else did it.
const KILLED: i32 = 137;

/// What several tasks have died of.
pub(in crate::plan) struct End {
    pub cause: Cause,
    /// Whose log may say more: only what has run has written anything.
    pub container: Option<String>,
    /// Its log in each of the tasks, the newest first.
    logs: Vec<Log>,
}

/// How these tasks have ended, all of one revision; `input` is its task definition, `served` are the containers that a load balancer
/// leads to.
pub(in crate::plan) fn grouped<'t>(
    tasks: impl IntoIterator<Item = &'t Task>,
    input: Option<&Value>,
    served: &[&str],
) -> Vec<End> {
    let mut ends: Vec<End> = Vec::new();
    let mut newest_first: Vec<&Task> = tasks.into_iter().collect();
    newest_first.sort_by_key(|task| std::cmp::Reverse(task.stopped_at));
    for end in newest_first.into_iter().flat_map(|task| ends_of(task, input, served)) {
        match ends.iter_mut().find(|known| known.cause.is_same(&end.cause)) {
            Some(known) => {
                known.cause.count += 1;
                known.logs.extend(end.logs);
            }
            None => ends.push(end),
        }
    }
    ends
}

impl End {
    /// What is said of the task, and of no container.
    pub fn of_task(cause: Cause) -> Self {
        Self { cause, container: None, logs: Vec::new() }
    }

    /// What one container died of.
    pub fn of_container(task: &Task, container: &TaskContainer, input: Option<&Value>) -> Self {
        let cause = of_container(task, container, input);
        match container.exit_code {
            Some(_) => Self::with_container(cause, task, container, input),
            None => Self::of_task(cause),
        }
    }

    /// What is said of the task, with the container whose log may say more.
    pub fn with_container(
        cause: Cause,
        task: &Task,
        container: &TaskContainer,
        input: Option<&Value>,
    ) -> Self {
        let runtime_id = container.runtime_id.as_deref();
        let log = input.and_then(|input| logs::of(input, &container.name, task.id(), runtime_id));
        Self { cause, container: Some(container.name.clone()), logs: log.into_iter().collect() }
    }

    /// The newest log of it that is in `CloudWatch` Logs.
    pub fn stream(&self) -> Option<&LogStream> {
        self.logs.iter().find_map(|log| match log {
            Log::Kept(stream) => Some(stream),
            Log::Elsewhere(_) => None,
        })
    }

    /// The cause with what was logged, or with where that is.
    pub fn with_log(self, answers: &Answers) -> Cause {
        let answered = self.logs.iter().find_map(|log| match log {
            Log::Kept(stream) => Some(evidence(stream, answers.logs.get(stream)?)),
            Log::Elsewhere(_) => None,
        });
        let elsewhere = || match (self.logs.first()?, &self.container) {
            (Log::Elsewhere(what), Some(container)) => {
                let from = format!("the log of container {container} is not read: {what}");
                Some(Evidence { from, lines: Vec::new() })
            }
            _ => None,
        };
        let evidence = answered.or_else(elsewhere).into_iter().collect();
        Cause { evidence, ..self.cause }
    }
}

fn evidence(stream: &LogStream, read: &Reading<Vec<String>>) -> Evidence {
    let LogStream { group, stream, .. } = stream;
    let (from, lines) = match read {
        Reading::Known(lines) if lines.is_empty() => {
            (format!("nothing is logged in {group}, {stream}"), None)
        }
        Reading::Known(lines) => (format!("{group}, {stream}"), Some(lines.clone())),
        Reading::Absent => (format!("there is no log {group}, {stream}"), None),
        Reading::Unavailable(why) => (format!("the log {group} cannot be read: {why}"), None),
    };
    Evidence { from, lines: lines.unwrap_or_default() }
}

/// What one task died of.
fn ends_of(task: &Task, input: Option<&Value>, served: &[&str]) -> Vec<End> {
    let said = task.stopped_reason.as_deref().unwrap_or_default();
    // What the scheduler stops exits with the code of the signal.
    if ending(task) == Some(Ending::Unhealthy) {
        let cause = Cause::new(CauseKind::HealthCheck, said);
        let Some(container) = checked(task, input, served) else { return vec![End::of_task(cause)] };
        let hint = input.and_then(|input| check_hint(input, &container.name));
        return vec![End::with_container(Cause { hint, ..cause }, task, container, input)];
    }
    let blamed = to_blame(task);
    if !blamed.is_empty() {
        return blamed.into_iter().map(|container| End::of_container(task, container, input)).collect();
    }
    if said.is_empty() { Vec::new() } else { vec![End::of_task(of_stop(said, input))] }
}

/// The containers that say something of their end. With an essential one AWS ends the others: they have nothing to tell, unless
/// nobody else has.
fn to_blame(task: &Task) -> Vec<&TaskContainer> {
    let telling = |container: &&TaskContainer| container.exit_code.is_some() || container.reason.is_some();
    let own = |container: &&TaskContainer| {
        container.reason.is_some() || container.exit_code.is_some_and(|code| !OBEDIENT.contains(&code))
    };
    let failed = |container: &&TaskContainer| container.exit_code.is_some_and(|code| code != 0);
    let chosen = |filter: &dyn Fn(&&TaskContainer) -> bool| -> Vec<&TaskContainer> {
        task.containers.iter().filter(telling).filter(|one| filter(one)).collect()
    };
    let mut blamed = chosen(&own);
    if blamed.is_empty() {
        blamed = chosen(&failed);
    }
    if blamed.is_empty() { chosen(&|_| true) } else { blamed }
}

/// The container whose checks have failed, or that the load balancer has not reached.
fn checked<'t>(task: &'t Task, input: Option<&Value>, served: &[&str]) -> Option<&'t TaskContainer> {
    let has_check = |container: &&TaskContainer| {
        input.is_some_and(|input| containers::health_check(input, &container.name).is_some())
    };
    let is_served = |container: &&TaskContainer| served.contains(&container.name.as_str());
    let by_balancer = task.containers.iter().find(is_served);
    task.containers.iter().find(has_check).or(by_balancer).or(task.containers.first())
}

/// What a container says of its end: one that never started has a reason alone.
fn of_container(task: &Task, container: &TaskContainer, input: Option<&Value>) -> Cause {
    let name = &container.name;
    let reason = container.reason.as_deref();
    let by_reason = reason.map_or(CauseKind::Other, reasons::of_stop);
    // Whoever stops a task kills what does not listen.
    let ended_by_itself = matches!(task.stop_code.as_deref(), None | Some("EssentialContainerExited"));
    let kind = match container.exit_code {
        _ if by_reason == CauseKind::Memory => CauseKind::Memory,
        Some(KILLED) if ended_by_itself => CauseKind::Memory,
        Some(code) => CauseKind::Exit(code),
        None if by_reason == CauseKind::Other => CauseKind::Start,
        None => by_reason,
    };
    let text = match (container.exit_code, reason) {
        (Some(code), Some(reason)) => format!("container {name} exited with {code}, {reason}"),
        (Some(code), None) => format!("container {name} exited with {code}"),
        (None, Some(reason)) => format!("container {name}: {reason}"),
        (None, None) => format!("container {name} has no exit code"),
    };
    let limit = input.filter(|_| kind == CauseKind::Memory).and_then(|it| containers::memory_limit(it, name));
    let text = match limit {
        Some(limit) => format!("{text} (its memory limit is {limit})"),
        None => text,
    };
    hinting(Cause::new(kind, text), input)
}

/// What AWS says of a task of which no container says anything.
pub(in crate::plan) fn of_stop(said: &str, input: Option<&Value>) -> Cause {
    hinting(Cause::new(reasons::of_stop(said), said), input)
}

fn hinting(cause: Cause, input: Option<&Value>) -> Cause {
    let is_of_log_group = cause.kind == CauseKind::LogGroup;
    let hint = input.filter(|_| is_of_log_group).and_then(hints::of_log_groups);
    hints::hinting(Cause { hint, ..cause })
}

fn check_hint(input: &Value, container: &str) -> Option<String> {
    let check = containers::health_check(input, container)?;
    // Amazon ECS API reference, `HealthCheck`: what holds where nothing is said.
    let number = |key: &str, default| check.get(key).and_then(Value::as_u64).unwrap_or(default);
    let (interval, retries, start) = (number("interval", 30), number("retries", 3), number("startPeriod", 0));
    Some(format!(
        "container {container} is checked every {interval} s, from {start} s on, and {retries} failures in a row are too many: see its healthCheck"
    ))
}
