//! How a task has ended, by the exit codes of the containers that count.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::documents::containers;
use crate::model::{Cause, CauseKind, Task, TaskContainer, TaskDefinitionArn};
use crate::plan::causes::{self, End, OBEDIENT};
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
    let essential: BTreeSet<String> = containers::essential(&revision.input).map(str::to_owned).collect();
    let images = facts.input.desired.images.iter();
    let ours: BTreeSet<String> =
        images.filter_map(|image| containers::of_image(image, &revision.input).ok()).flatten().collect();
    let both: BTreeSet<String> = essential.intersection(&ours).cloned().collect();
    if both.is_empty() { essential } else { both }
}

/// Why a task that has stopped has failed. A code that is not there is none: it never began, or nobody saw it end. `input` is the
/// task definition that it ran, where that is known.
pub(in crate::plan) fn of(
    task: &Task,
    success: &BTreeSet<String>,
    input: Option<&Value>,
) -> Result<(), Vec<End>> {
    let find = |name: &String| task.containers.iter().find(|container| container.name == *name);
    let failed = success.iter().map(|name| (name, find(name)));
    let failed: Vec<_> =
        failed.filter(|(_, found)| found.is_none_or(|found| found.exit_code != Some(0))).collect();
    let stopped = of_task(task, input);
    let has_own = |found: &TaskContainer| {
        found.reason.is_some() || found.exit_code.is_some_and(|code| !OBEDIENT.contains(&code))
    };
    // What was stopped exits with the code of the signal, or never came to exit: that says nothing more.
    let told = failed.iter().filter(|(_, found)| stopped.is_none() || found.is_some_and(has_own));
    let mut ends: Vec<End> = told
        .map(|(name, found)| match found {
            Some(container) => End::of_container(task, container, input),
            None => End::of_task(Cause::new(CauseKind::Start, format!("container {name} has no exit code"))),
        })
        .collect();
    let ran = failed.iter().find_map(|(_, found)| found.filter(|found| found.exit_code.is_some()));
    ends.extend(stopped.map(|cause| match ran {
        Some(container) => End::with_container(cause, task, container, input),
        None => End::of_task(cause),
    }));
    if success.is_empty() && ends.is_empty() {
        let text = "no container is known whose exit code counts";
        ends.push(End::of_task(Cause::new(CauseKind::Other, text)));
    }
    if ends.is_empty() { Ok(()) } else { Err(ends) }
}

/// What ended it, where that was not its own end.
fn of_task(task: &Task, input: Option<&Value>) -> Option<Cause> {
    let said = task.stopped_reason.as_deref().unwrap_or_default();
    let told = causes::of_stop(said, input);
    let (kind, text) = match task.stop_code.as_deref()? {
        "EssentialContainerExited" => return None,
        "UserInitiated" if said.starts_with(TIMED_OUT) => (CauseKind::Deadline, said.to_owned()),
        "UserInitiated" => (CauseKind::StoppedByHand, format!("it was stopped by hand: {said}")),
        "SpotInterruption" | "TerminationNotice" => {
            (CauseKind::Interruption, format!("it was interrupted half way: {said}"))
        }
        "TaskFailedToStart" => return Some(Cause { text: format!("it failed to start: {said}"), ..told }),
        other => return Some(Cause { text: format!("{other}: {said}"), ..told }),
    };
    Some(causes::hinting(Cause::new(kind, text)))
}

pub(super) fn timed_out(timeout: Duration) -> String {
    format!("{TIMED_OUT} {} s", timeout.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskHealth;

    /// A task that stopped so, with these containers and exit codes.
    fn stopped(code: &str, reason: &str, containers: &[(&str, Option<i32>)]) -> Task {
        let container = |(name, exit_code): &(&str, Option<i32>)| TaskContainer {
            name: (*name).to_owned(),
            image: String::new(),
            digest: None,
            exit_code: *exit_code,
            reason: None,
            runtime_id: None,
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
        let ends = of(task, &success, None).err().unwrap_or_default();
        let told: Vec<String> = ends.iter().map(|end| end.cause.to_string()).collect();
        assert_eq!(told, causes);
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
        let nothing_counts = of(&stopped(EXITED, "", &[("api", Some(0))]), &BTreeSet::new(), None);
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
