//! Why a deployment failed or a service is degraded, in words for people: how the tasks of the revision that is to blame
//! ended, and what AWS and trueup say of it. Nothing is decided by these words.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::phase::Judgement;
use super::steady::{Ending, ending};
use super::{phase, steady};
use crate::model::{
    Health, Phase, ServiceDeployment, ServiceDeploymentStatus, Task, TaskContainer, TaskDefinitionArn,
    Waiting,
};

/// What is told at most: enough for every container of a task and a word of AWS.
const MOST: usize = 5;
/// What the scheduler says all the time (Amazon ECS developer guide, "Amazon ECS service event messages").
const ROUTINE: [&str; 8] = [
    "has started ",
    "has stopped ",
    "registered ",
    "has begun draining",
    "has reached a steady state",
    "deployment completed",
    "rolling back to",
    "deployment failed",
];

/// What is to blame.
struct Subject<'a> {
    revision: &'a TaskDefinitionArn,
    /// As AWS lists its deployment, where it does.
    listed: Option<&'a ServiceDeployment>,
    failed: bool,
}

/// What is shown of the target as a whole: what is held, then a failure that is not on record yet, then what
/// runs.
pub(super) fn of(facts: &Facts<'_>, health: Health, waiting: Option<&Waiting>) -> Vec<String> {
    // A rollback that has just ended leaves a healthy service, and an alert that must say why it was needed.
    let news = facts.newest_subject().filter(|newest| newest.failed && !facts.is_recorded());
    let settles = matches!(facts.judgement, Some(Judgement::Settling { .. }));
    if health != Health::Degraded && news.is_none() && !settles {
        return Vec::new();
    }
    let held = match waiting {
        Some(Waiting::Held { deployment: Some(id), .. }) => facts.subject_of(id),
        _ => None,
    };
    let failing = facts.failing_since().and_then(|_| facts.live_subject());
    // What somebody else has deployed is never recorded, and would be news for ever.
    let news = news.filter(|news| facts.ours.contains_key(news.revision));
    let subject = held.or(news).or(failing).or_else(|| facts.newest_subject());
    subject.map_or_else(Vec::new, |subject| facts.causes_of(&subject))
}

/// Why the newest deployment failed, or is rolled back, whatever else fails beside it.
pub(super) fn of_deployment(facts: &Facts<'_>) -> Vec<String> {
    let failed = facts.newest_subject().filter(|newest| newest.failed);
    failed.map_or_else(Vec::new, |newest| facts.causes_of(&newest))
}

/// Why tasks of what is live fail without any deployment being to blame.
pub(super) fn of_live(facts: &Facts<'_>) -> Vec<String> {
    let live = facts.failing_since().and_then(|_| facts.live_subject());
    live.map_or_else(Vec::new, |live| facts.causes_of(&live))
}

impl Facts<'_> {
    /// The newest deployment, or the one that it undoes.
    fn newest_subject(&self) -> Option<Subject<'_>> {
        let current = self.current.as_ref()?;
        if let Some(rollback) = self.rollback() {
            let revision = self.ours.keys().copied().find(|arn| **arn == rollback.target)?;
            return Some(Subject { revision, listed: rollback.listed, failed: true });
        }
        let listed = self.history().find(|one| phase::id(one) == current.id);
        let failed = matches!(current.phase, Phase::Failed | Phase::RollingBack | Phase::RolledBack);
        Some(Subject { revision: &current.target, listed, failed })
    }

    fn live_subject(&self) -> Option<Subject<'_>> {
        let revision = &self.current.as_ref()?.live_revision;
        Some(Subject { revision, listed: None, failed: false })
    }

    /// The revision that is held for the deployment of this id.
    fn subject_of(&self, id: &str) -> Option<Subject<'_>> {
        let listed = self.history().find(|one| phase::id(one) == id);
        let recorded = self
            .ours
            .iter()
            .find(|(_, memory)| memory.outcome.as_ref().is_some_and(|outcome| outcome.deployment == id));
        let revision = listed.and_then(|one| one.target.as_ref()).or(recorded.map(|(arn, _)| *arn))?;
        Some(Subject { revision, listed, failed: true })
    }

    fn causes_of(&self, subject: &Subject<'_>) -> Vec<String> {
        let by_code_deploy =
            subject.listed.and_then(|listed| Some(listed.shift.as_ref()?.failure.as_ref()?.said.clone()));
        let ends = self.ends_of_tasks(subject.revision);
        let events =
            if ends.is_empty() && self.says_what_fails(subject) { self.events() } else { Vec::new() };
        let verdict = self.verdict(subject);
        by_code_deploy.into_iter().chain(ends).chain(events).chain(verdict).take(MOST).collect()
    }

    /// The last messages of the scheduler are about what is live, or was until a moment ago.
    fn says_what_fails(&self, subject: &Subject<'_>) -> bool {
        let now = self.input.observed.facts_checked_at;
        let recent = |listed: &ServiceDeployment| {
            now.saturating_sub(listed.finished_at.unwrap_or(listed.created_at)) < steady::VISIBLE
        };
        self.current.as_ref().is_some_and(|current| current.live_revision == *subject.revision)
            || subject.listed.is_some_and(recent)
    }

    fn events(&self) -> Vec<String> {
        let events = self.service.map(|service| service.events.as_slice()).unwrap_or_default();
        let telling = events.iter().filter(|event| !ROUTINE.iter().any(|words| event.contains(words)));
        let mut telling: Vec<String> = telling.cloned().collect();
        telling.dedup();
        telling.truncate(2);
        telling
    }

    /// Grouped reasons why tasks of the revision stopped, the most frequent first.
    fn ends_of_tasks(&self, revision: &TaskDefinitionArn) -> Vec<String> {
        let tasks = self.input.observed.tasks.known().into_iter().flatten();
        let failed = tasks
            .filter(|task| task.task_definition == *revision && ending(task).is_some_and(Ending::is_failure));
        let mut grouped: BTreeMap<String, usize> = BTreeMap::new();
        for text in failed.map(end_of_task).filter(|text| !text.is_empty()) {
            *grouped.entry(text).or_default() += 1;
        }
        let mut grouped: Vec<(String, usize)> = grouped.into_iter().collect();
        grouped.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        grouped.into_iter().map(|(text, count)| format!("{count} x {text}")).collect()
    }

    /// Who ended it, and by which rule.
    fn verdict(&self, subject: &Subject<'_>) -> Option<String> {
        if !subject.failed {
            return None;
        }
        let policy = &self.input.desired.policy;
        let deadline = policy.progress_deadline.as_secs();
        let listed = subject.listed?;
        match listed.status {
            ServiceDeploymentStatus::Successful => {
                let steady = policy.steady.as_secs();
                Some(format!(
                    "its tasks did not run for {steady} s without a failure within {deadline} s of its success"
                ))
            }
            ServiceDeploymentStatus::InProgress | ServiceDeploymentStatus::Pending => {
                Some(format!("no progress for {deadline} s"))
            }
            // To AWS it was only replaced by the way back.
            ServiceDeploymentStatus::Stopped if !listed.monitor_triggered => {
                Some(format!("no progress for {deadline} s"))
            }
            // What CodeDeploy says of it is told before all else.
            _ if listed.shift.is_some() => None,
            _ => listed.reason.clone(),
        }
    }
}

fn end_of_task(task: &Task) -> String {
    let exits: Vec<String> = task.containers.iter().filter_map(end_of_container).collect();
    // What the scheduler stops exits with the code of the signal.
    if exits.is_empty() || ending(task) == Some(Ending::Unhealthy) {
        return task.stopped_reason.clone().unwrap_or_default();
    }
    exits.join("; ")
}

/// What a container says of its end: one that never started has a reason alone.
fn end_of_container(container: &TaskContainer) -> Option<String> {
    let name = &container.name;
    match (container.exit_code, &container.reason) {
        (Some(code), Some(reason)) => Some(format!("container {name} exited with {code}, {reason}")),
        (Some(code), None) => Some(format!("container {name} exited with {code}")),
        (None, Some(reason)) => Some(format!("container {name}: {reason}")),
        (None, None) => None,
    }
}
