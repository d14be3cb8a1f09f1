//! What the load balancer says of the targets that are not healthy, grouped.

use crate::model::{Answers, Cause, CauseKind, Reading, TargetHealth, TargetState};

/// What mends it, by the reason that the load balancer gives (Elastic Load Balancing API reference, `TargetHealth`).
const HINTS: [(&str, &str); 4] = [
    (
        "Target.ResponseCodeMismatch",
        "see that the container answers the path of the health check with a code that counts",
    ),
    (
        "Target.Timeout",
        "see that the container listens at its port, that its security group lets the load balancer in, and whether it needs a longer healthCheckGracePeriodSeconds",
    ),
    (
        "Target.FailedHealthChecks",
        "see that the container listens at its port, and that its security group lets the load balancer in",
    ),
    ("Target.NotInUse", "see that a rule or listener forwards to the target group"),
];

/// By what is wrong with the targets. Those that are on their way in or out say nothing; a group that could not be asked does.
pub(super) fn of(answers: &Answers, groups: &[String]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    for (group, targets) in groups.iter().filter_map(|group| Some((group, answers.targets.get(group)?))) {
        if let Reading::Unavailable(why) = targets {
            let text = format!("the targets of {} cannot be asked: {why}", name(group));
            causes.push(Cause::new(CauseKind::TargetHealth, text));
        }
        let told =
            |target: &&TargetHealth| matches!(target.state, TargetState::Unhealthy | TargetState::Unused);
        for cause in targets.known().into_iter().flatten().filter(told).map(|target| of_target(group, target))
        {
            match causes.iter_mut().find(|known| known.is_same(&cause)) {
                Some(known) => known.count += 1,
                None => causes.push(cause),
            }
        }
    }
    causes
}

fn of_target(group: &str, target: &TargetHealth) -> Cause {
    let reason = target.reason.as_deref().unwrap_or_default();
    let said: Vec<&str> =
        [target.reason.as_deref(), target.description.as_deref()].into_iter().flatten().collect();
    let more = if said.is_empty() { String::new() } else { format!(": {}", said.join(", ")) };
    let text = format!("target of {} is {}{more}", name(group), target.state.word());
    let hint = HINTS.iter().find(|(known, _)| *known == reason).map(|(_, hint)| (*hint).to_owned());
    Cause { hint, ..Cause::new(CauseKind::TargetHealth, text) }
}

/// The name in the ARN of a target group: `...:targetgroup/<name>/<id>`.
fn name(group: &str) -> &str {
    group.split('/').nth(1).unwrap_or(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(state: TargetState, reason: Option<&str>) -> TargetHealth {
        let reason = reason.map(str::to_owned);
        TargetHealth { description: reason.as_ref().map(|_| "in words".to_owned()), state, reason }
    }

    #[test]
    fn targets_are_grouped_by_their_group_state_and_reason() {
        let group = |name: &str| format!("arn:aws:elasticloadbalancing:eu-west-2:1:targetgroup/{name}/1");
        let timeout = || target(TargetState::Unhealthy, Some("Target.Timeout"));
        let healthy = target(TargetState::Healthy, None);
        let unused = target(TargetState::Unused, Some("Target.NotInUse"));
        let nameless = target(TargetState::Unhealthy, None);
        let mut answers = Answers::default();
        let blue = Reading::Known(vec![timeout(), healthy, timeout(), unused, nameless]);
        answers.targets.insert(group("blue"), blue);
        answers.targets.insert(group("green"), Reading::Known(vec![timeout()]));
        answers.targets.insert(group("denied"), Reading::Unavailable("denied".to_owned()));
        answers.targets.insert(group("another"), Reading::Known(vec![timeout()]));
        let asked = ["blue", "green", "denied", "never-answered"].map(group);
        let told: Vec<(String, bool)> =
            of(&answers, &asked).iter().map(|one| (one.to_string(), one.hint.is_some())).collect();
        let expected = [
            ("2 x target of blue is unhealthy: Target.Timeout, in words", true),
            ("target of blue is unused: Target.NotInUse, in words", true),
            ("target of blue is unhealthy", false),
            ("target of green is unhealthy: Target.Timeout, in words", true),
            ("the targets of denied cannot be asked: denied", false),
        ];
        assert_eq!(told, expected.map(|(text, hint)| (text.to_owned(), hint)));
    }
}
