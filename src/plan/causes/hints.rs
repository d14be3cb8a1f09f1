//! What may mend a failure, by its kind.

use serde_json::Value;

use crate::documents::{logs, reasons};
use crate::model::{Cause, CauseKind};

/// Log groups that a hint names at most.
const MOST_GROUPS: usize = 3;

/// Why no place was found, and what may mend it, by what AWS says of it (Amazon ECS developer guide, "Amazon ECS service event
/// messages" and "Amazon ECS API failure reasons"; of subnets, "`TaskFailedToStart` errors").
const PLACEMENT: [(&str, &str); 14] = [
    ("insufficient memory", MEMORY),
    ("RESOURCE:MEMORY", MEMORY),
    ("insufficient CPU", CPU),
    ("RESOURCE:CPU", CPU),
    ("already using a port", PORTS),
    ("RESOURCE:PORTS", PORTS),
    (
        "RESOURCE:ENI",
        "no instance has a network interface left for it: add instances, or turn on the account setting awsvpcTrunking",
    ),
    ("missing an attribute", ATTRIBUTE),
    ("ATTRIBUTE", ATTRIBUTE),
    ("AGENT", "see that the agents of the instances run and are connected to the cluster"),
    (
        "No Container Instances were found",
        "the cluster has no instance: add some, or give it another capacity provider",
    ),
    (
        "Capacity is unavailable",
        "AWS has no capacity left there: wait, or give it subnets in more availability zones",
    ),
    (
        "RESOURCE:FARGATE",
        "Fargate has no capacity left there: wait, or give it subnets in more availability zones",
    ),
    (
        "InsufficientFreeAddressesInSubnet",
        "its subnet has no address left: free some, or give it another or a larger subnet",
    ),
];

const MEMORY: &str =
    "no instance has as much memory left as the task reserves: add instances, or have it reserve less";
const CPU: &str =
    "no instance has as many CPU units left as the task reserves: add instances, or have it reserve less";
const PORTS: &str =
    "on every instance something else has its host port: add instances, or have the host port chosen for it";
const ATTRIBUTE: &str = "no instance is what the task asks for: see its network mode, log drivers, platform and placement constraints";

/// What there is to say without knowing more than the kind.
pub(in crate::plan) fn of(kind: CauseKind) -> Option<&'static str> {
    Some(match kind {
        CauseKind::Alarm => "see why the alarm is on before it is tried again",
        CauseKind::Network => "see the rules, both target groups, and the role by which AWS changes them",
        CauseKind::Pull => {
            "see that the image is there, that the execution role may pull it, and that the task reaches the registry"
        }
        CauseKind::Secret => {
            "see that the secret is there, that the execution role may read it, and that the task reaches it"
        }
        CauseKind::LogGroup => "see that its log group is there, and that the task reaches CloudWatch Logs",
        CauseKind::Memory => "raise the memory limit, or have it use less",
        CauseKind::Exit(0) => "what a service runs is not to end: see command and entryPoint",
        CauseKind::Exit(126) => {
            "the command cannot be run: see command and entryPoint, and what the image is built for"
        }
        CauseKind::Exit(127) => "the command is not in the image: see command and entryPoint",
        CauseKind::Exit(139) => "the program broke off with a segmentation fault",
        CauseKind::Placement => "see the capacity of the cluster, and what the task asks for",
        CauseKind::Quota => "have the quota of the account raised, or run fewer tasks",
        CauseKind::Interruption => "Spot capacity may be taken back at any time",
        CauseKind::RolledBackWithoutCandidate => "nothing has run well here before: what runs may be broken",
        CauseKind::Hook
        | CauseKind::Pause
        | CauseKind::Exit(_)
        | CauseKind::Start
        | CauseKind::HealthCheck
        | CauseKind::TargetHealth
        | CauseKind::Breaker
        | CauseKind::Unsteady
        | CauseKind::Deadline
        | CauseKind::StoppedByHand
        | CauseKind::Other => return None,
    })
}

/// The same for a cause that has none of its own.
pub(in crate::plan) fn hinting(cause: Cause) -> Cause {
    let hint = cause.hint.clone().or_else(|| of_words(&cause));
    let hint = hint.or_else(|| of(cause.kind).map(str::to_owned));
    Cause { hint, ..cause }
}

/// What there is to say by AWS's words.
fn of_words(cause: &Cause) -> Option<String> {
    match cause.kind {
        CauseKind::Placement => {
            let found = PLACEMENT.iter().find(|(words, _)| cause.text.contains(words));
            found.map(|(_, hint)| (*hint).to_owned())
        }
        CauseKind::Hook => reasons::function(&cause.text)
            .map(|function| format!("see what function {function} logged, in /aws/lambda/{function}")),
        _ => None,
    }
}

/// With the log groups of the task definition that AWS does not make.
pub(super) fn of_log_groups(input: &Value) -> Option<String> {
    let mut names: Vec<&str> =
        logs::named(input).filter(|group| !group.is_made).map(|group| group.name).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MOST_GROUPS);
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!(
            "see that log group {names} is there, or have AWS make it by the option awslogs-create-group; and that the task reaches CloudWatch Logs"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_no_place_was_found_the_hint_is_about_what_was_missing() {
        let closest = "because no container instance met all of its requirements. The closest matching container-instance 1";
        let hint = |said: &str| hinting(Cause::new(CauseKind::Placement, said)).hint.unwrap();
        for (said, part) in [
            (format!("{closest} has insufficient memory available."), "as much memory left"),
            (format!("{closest} has insufficient CPU units available."), "as many CPU units left"),
            (format!("{closest} is already using a port required by your task."), "host port"),
            (format!("{closest} encountered error \"RESOURCE:ENI\"."), "network interface"),
            (format!("{closest} is missing an attribute required by your task."), "what the task asks for"),
            (format!("{closest} encountered error \"AGENT\"."), "agents"),
            ("Reason: No Container Instances were found in your cluster.".to_owned(), "has no instance"),
            ("Capacity is unavailable at this time. Please try again later".to_owned(), "availability zones"),
            ("subnet 'subnet-1': InsufficientFreeAddressesInSubnet".to_owned(), "no address left"),
            ("RunTask: RESOURCE:MEMORY".to_owned(), "as much memory left"),
            ("something new".to_owned(), "see the capacity of the cluster"),
        ] {
            assert!(hint(&said).contains(part), "{said}: {}", hint(&said));
        }
    }

    #[test]
    fn where_a_log_group_is_gone_the_hint_names_those_that_aws_does_not_make() {
        let container = |group: &str, more: &str| {
            let mut options = json!({"awslogs-group": group});
            options[more] = json!("true");
            json!({"name": group, "logConfiguration": {"logDriver": "awslogs", "options": options}})
        };
        let input = json!({"containerDefinitions": [container("/b", "x"), container("/made", "awslogs-create-group"),
            container("/a", "x"), container("/b", "x")]});
        assert!(of_log_groups(&input).unwrap().starts_with("see that log group /a, /b is there"));
        assert_eq!(of_log_groups(&json!({"containerDefinitions": []})), None);
    }
}
