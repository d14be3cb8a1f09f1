//! What kind of failure AWS's words tell of. AWS promises none of these texts: by them people are told, and nothing is decided.

use crate::model::CauseKind;

/// What a text says, wherever it says so.
type Words = (&'static str, CauseKind);

/// Of deployments: `statusReason`, and what follows "deployment failed: " in the events of a service (Amazon ECS developer guide,
/// "Troubleshoot Amazon ECS blue/green deployments"). A pause is a hook too, and is told before it.
const OF_DEPLOYMENTS: [Words; 9] = [
    ("pause hook", CauseKind::Pause),
    ("lifecycle hook", CauseKind::Hook),
    ("networking configuration", CauseKind::Network),
    ("Infrastructure Role", CauseKind::Network),
    ("No rollback candidate", CauseKind::RolledBackWithoutCandidate),
    ("circuit breaker", CauseKind::Breaker),
    ("alarm", CauseKind::Alarm),
    ("took longer than", CauseKind::Deadline),
    ("stopped by a user", CauseKind::StoppedByHand),
];

/// Of stopped tasks and containers (Amazon ECS developer guide, "Resolve Amazon ECS stopped task errors"): most begin with a
/// code. What a secret and the network have in common comes with the same code, and is told by what follows.
const OF_STOPS: [Words; 22] = [
    ("CannotPull", CauseKind::Pull),
    ("OutOfMemory", CauseKind::Memory),
    ("log group does not exist", CauseKind::LogGroup),
    ("cannot find the Amazon CloudWatch log group", CauseKind::LogGroup),
    ("logging driver", CauseKind::Start),
    ("logger args", CauseKind::Start),
    ("unable to pull secrets", CauseKind::Secret),
    ("ResourceInitializationError", CauseKind::Secret),
    ("CannotStartContainerError", CauseKind::Start),
    ("CannotCreateContainerError", CauseKind::Start),
    ("CannotCreateVolumeError", CauseKind::Start),
    ("CannotInspectContainerError", CauseKind::Start),
    ("ContainerRuntime", CauseKind::Start),
    ("DockerTimeoutError", CauseKind::Start),
    ("failed container health checks", CauseKind::HealthCheck),
    ("failed ELB health checks", CauseKind::HealthCheck),
    ("Capacity is unavailable", CauseKind::Placement),
    ("InsufficientCapacity", CauseKind::Placement),
    ("InsufficientFreeAddressesInSubnet", CauseKind::Placement),
    ("limit on the number of", CauseKind::Quota),
    ("Spot Task was interrupted", CauseKind::Interruption),
    ("Host EC2", CauseKind::Interruption),
];

/// Of the scheduler (Amazon ECS developer guide, "Amazon ECS service event messages"). Why no place was found is told first.
const OF_EVENTS: [Words; 3] = [
    ("unable to place a task", CauseKind::Placement),
    ("is unhealthy in", CauseKind::HealthCheck),
    ("unable to consistently start tasks", CauseKind::Start),
];

pub fn of_deployment(said: &str) -> CauseKind {
    first(&OF_DEPLOYMENTS, said).unwrap_or(CauseKind::Other)
}

/// Of a task or a container that stopped without a code of its own.
pub fn of_stop(said: &str) -> CauseKind {
    first(&OF_STOPS, said).unwrap_or(CauseKind::Other)
}

pub fn of_event(said: &str) -> CauseKind {
    first(&OF_STOPS, said).or_else(|| first(&OF_EVENTS, said)).unwrap_or(CauseKind::Other)
}

/// What an event says of the end of a deployment.
pub fn end_of_deployment(event: &str) -> Option<&str> {
    event.split_once("deployment failed: ").map(|(_, why)| why.trim())
}

/// The name of the function of a hook that has failed: AWS names it by its ARN.
pub fn function(said: &str) -> Option<&str> {
    let (_, after) = said.split_once(":function:")?;
    let end = after.find(|character: char| !(character.is_ascii_alphanumeric() || "-_".contains(character)));
    after.get(..end.unwrap_or(after.len())).filter(|name| !name.is_empty())
}

fn first(words: &[Words], said: &str) -> Option<CauseKind> {
    words.iter().find(|(word, _)| said.contains(word)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_has_failed_for_what_aws_says_of_it() {
        let rolled_back = "Service deployment rolled back because ";
        for (said, kind) in [
            ("POST_TEST_TRAFFIC_SHIFT pause hook timed out.", CauseKind::Pause),
            (
                "PRE_SCALE_UP lifecycle hook(s) failed. Lifecycle hook target x returned FAILED status.",
                CauseKind::Hook,
            ),
            ("of invalid networking configuration. One or more rules not found", CauseKind::Network),
            ("missing permissions on ECS Infrastructure Role 'x'.", CauseKind::Network),
            ("the circuit breaker threshold was exceeded.", CauseKind::Breaker),
            ("alarm errors triggered.", CauseKind::Alarm),
            ("BAKE_TIME took longer than 24 hours.", CauseKind::Deadline),
            ("something new", CauseKind::Other),
        ] {
            assert_eq!(of_deployment(&format!("{rolled_back}{said}")), kind, "{said}");
        }
        assert_eq!(of_deployment("Service deployment stopped by a user."), CauseKind::StoppedByHand);
        let nothing_to_go_back_to = "No rollback candidate was found to run the rollback.";
        assert_eq!(of_deployment(nothing_to_go_back_to), CauseKind::RolledBackWithoutCandidate);
    }

    #[test]
    fn a_task_has_stopped_for_what_aws_says_of_it() {
        for (said, kind) in [
            ("CannotPullContainerError: pull image manifest has been retried 7 time(s)", CauseKind::Pull),
            ("OutOfMemoryError: Container killed due to memory usage", CauseKind::Memory),
            ("ResourceInitializationError: unable to pull secrets or registry auth: x", CauseKind::Secret),
            ("ResourceInitializationError: failed to validate logger args: x", CauseKind::Start),
            (
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1",
                CauseKind::LogGroup,
            ),
            (
                "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon CloudWatch log group defined in the task definition.",
                CauseKind::LogGroup,
            ),
            (
                "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.",
                CauseKind::LogGroup,
            ),
            (
                "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'subnet-1': InsufficientFreeAddressesInSubnet",
                CauseKind::Placement,
            ),
            ("CannotStartContainerError: exec: no such file", CauseKind::Start),
            ("Task failed ELB health checks in (target-group x)", CauseKind::HealthCheck),
            ("Task failed container health checks", CauseKind::HealthCheck),
            ("Capacity is unavailable at this time. Please try again later", CauseKind::Placement),
            ("You've reached the limit on the number of vCPUs you can run concurrently", CauseKind::Quota),
            ("Your Spot Task was interrupted.", CauseKind::Interruption),
            ("Host EC2 (instance i-0) terminated.", CauseKind::Interruption),
            ("Essential container in task exited", CauseKind::Other),
        ] {
            assert_eq!(of_stop(said), kind, "{said}");
        }
    }

    #[test]
    fn a_hook_that_failed_names_its_function() {
        let said =
            |what: &str| format!("POST_SCALE_UP lifecycle hook(s) failed. Lifecycle hook target {what}");
        let arn = "arn:aws:lambda:eu-west-2:1:function:smoke_test-2";
        for target in
            [format!("{arn} returned FAILED status."), format!("{arn}:live timed out."), arn.to_owned()]
        {
            assert_eq!(function(&said(&target)), Some("smoke_test-2"), "{target}");
        }
        assert_eq!((function(&said("smoke")), function(":function:")), (None, None));
    }

    #[test]
    fn an_event_tells_of_what_it_gives_as_its_reason() {
        let unplaced = "(service x) was unable to place a task";
        for (said, kind) in [
            (
                format!("{unplaced} because no container instance met all of its requirements."),
                CauseKind::Placement,
            ),
            (format!("{unplaced}. Reason: CannotPullContainerError: x."), CauseKind::Pull),
            (
                format!("{unplaced}. Reason: You've reached the limit on the number of tasks."),
                CauseKind::Quota,
            ),
            ("(service x) (port 80) is unhealthy in (target-group y)".to_owned(), CauseKind::HealthCheck),
            ("(service x) has begun something".to_owned(), CauseKind::Other),
        ] {
            assert_eq!(of_event(&said), kind, "{said}");
        }
        let event = "(service x) (deployment ecs-svc/1) deployment failed: tasks failed to start.";
        assert_eq!(end_of_deployment(event), Some("tasks failed to start."));
        assert_eq!(end_of_deployment("(service x) has reached a steady state."), None);
    }
}
