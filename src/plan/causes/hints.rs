//! What may mend a failure, by its kind.

use crate::model::{Cause, CauseKind};

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
    let hint = cause.hint.clone().or_else(|| of(cause.kind).map(str::to_owned));
    Cause { hint, ..cause }
}
