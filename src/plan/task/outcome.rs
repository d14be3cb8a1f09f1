//! How a task has ended, by the exit codes of the containers that count.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::documents::containers;
use crate::model::{Task, TaskDefinitionArn};
use crate::plan::facts::Facts;

/// What stands before the reason of a task that trueup has stopped.
const TIMED_OUT: &str = "trueup: it ran for longer than";

/// The containers that must end with 0: those that are declared; else the essential ones, or of several those that have
/// an image of the application. A proxy beside it is stopped by AWS when the task ends, and has failed by its code.
pub(in crate::plan) fn success(
    declared: Option<&[String]>,
    facts: &Facts<'_>,
    revision: &TaskDefinitionArn,
) -> BTreeSet<String> {
    if let Some(declared) = declared {
        return declared.iter().cloned().collect();
    }
    let Some(revision) = facts.revision(revision) else { return BTreeSet::new() };
    let definitions = revision.input.get("containerDefinitions").and_then(Value::as_array);
    let is_essential = |one: &&Value| one.get("essential") != Some(&Value::Bool(false));
    let name = |one: &Value| one.get("name").and_then(Value::as_str).map(str::to_owned);
    let essential: BTreeSet<String> =
        definitions.into_iter().flatten().filter(is_essential).filter_map(name).collect();
    let images = facts.input.desired.images.iter();
    let ours: BTreeSet<String> =
        images.filter_map(|image| containers::of_image(image, &revision.input).ok()).flatten().collect();
    let both: BTreeSet<String> = essential.intersection(&ours).cloned().collect();
    if both.is_empty() { essential } else { both }
}

/// Why a task that has stopped has failed. A code that is not there is none: it never began, or nobody saw it end.
pub(in crate::plan) fn of(task: &Task, success: &BTreeSet<String>) -> Result<(), Vec<String>> {
    let said = task.stopped_reason.as_deref().unwrap_or_default();
    let why = match task.stop_code.as_deref() {
        Some("EssentialContainerExited") | None => None,
        Some("UserInitiated") if said.starts_with(TIMED_OUT) => Some(said.to_owned()),
        Some("UserInitiated") => Some(format!("it was stopped by hand: {said}")),
        Some("SpotInterruption" | "TerminationNotice") => {
            Some(format!("it was interrupted half way: {said}"))
        }
        Some("TaskFailedToStart") => Some(format!("it failed to start: {said}")),
        Some(other) => Some(format!("{other}: {said}")),
    };
    let mut causes: Vec<String> = why.into_iter().collect();
    for name in success {
        let container = task.containers.iter().find(|container| container.name == *name);
        let code = container.and_then(|container| container.exit_code);
        if code == Some(0) {
            continue;
        }
        let reason = container.and_then(|container| container.reason.as_deref());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        causes.push(match code {
            Some(code) => format!("container {name} exited with {code}{reason}"),
            None => format!("container {name} has no exit code{reason}"),
        });
    }
    if success.is_empty() && causes.is_empty() {
        causes.push("no container is known whose exit code counts".to_owned());
    }
    if causes.is_empty() { Ok(()) } else { Err(causes) }
}

pub(super) fn timed_out(timeout: Duration) -> String {
    format!("{TIMED_OUT} {} s", timeout.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TaskContainer, TaskHealth};

    /// A task that stopped so, with these containers and exit codes.
    fn stopped(code: &str, reason: &str, containers: &[(&str, Option<i32>)]) -> Task {
        let container = |(name, exit_code): &(&str, Option<i32>)| TaskContainer {
            name: (*name).to_owned(),
            image: String::new(),
            digest: None,
            exit_code: *exit_code,
            reason: None,
        };
        Task {
            arn: "arn:aws:ecs:eu-west-2:123456789012:task/mco/1".to_owned(),
            task_definition: TaskDefinitionArn::new("f:1"),
            started_by: None,
            last_status: "STOPPED".to_owned(),
            desired_status: "STOPPED".to_owned(),
            health: TaskHealth::Unknown,
            containers: containers.iter().map(container).collect(),
            stop_code: Some(code.to_owned()),
            stopped_reason: Some(reason.to_owned()),
            started_at: None,
            stopped_at: None,
        }
    }

    #[track_caller]
    fn check(task: &Task, causes: &[&str]) {
        let success = BTreeSet::from(["api".to_owned()]);
        assert_eq!(of(task, &success).err().unwrap_or_default(), causes);
    }

    const EXITED: &str = "EssentialContainerExited";

    #[test]
    fn only_the_containers_that_count_decide() {
        check(&stopped(EXITED, "", &[("api", Some(0))]), &[]);
        // A proxy is stopped by AWS when the task ends, and one that never began has no code.
        check(&stopped(EXITED, "", &[("api", Some(0)), ("proxy", Some(143)), ("setup", None)]), &[]);
        check(
            &stopped(EXITED, "", &[("api", Some(143)), ("proxy", Some(1))]),
            &["container api exited with 143"],
        );
    }

    #[test]
    fn a_code_that_is_not_there_is_no_success() {
        check(&stopped(EXITED, "", &[("api", None)]), &["container api has no exit code"]);
        check(&stopped(EXITED, "", &[("proxy", Some(0))]), &["container api has no exit code"]);
        let nothing_counts = of(&stopped(EXITED, "", &[("api", Some(0))]), &BTreeSet::new());
        assert!(nothing_counts.is_err());
    }

    #[test]
    fn whatever_else_ended_it_has_failed_it_although_its_code_is_0() {
        for (code, reason, cause) in [
            ("UserInitiated", "enough", "it was stopped by hand: enough"),
            ("UserInitiated", &timed_out(Duration::from_mins(2)), "trueup: it ran for longer than 120 s"),
            ("SpotInterruption", "spot", "it was interrupted half way: spot"),
            ("TerminationNotice", "spot", "it was interrupted half way: spot"),
            ("TaskFailedToStart", "no secret", "it failed to start: no secret"),
            ("SomethingNew", "why", "SomethingNew: why"),
        ] {
            check(&stopped(code, reason, &[("api", Some(0))]), &[cause]);
        }
    }
}
