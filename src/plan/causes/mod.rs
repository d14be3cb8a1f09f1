//! Why a deployment failed or a service is degraded: what AWS and trueup say of it, how the tasks of the revision that is to
//! blame ended, what the load balancer says of them, and what they logged. Nothing is decided by it.
//!
//! Much of it is there for a while only. What was told of a failure once is told for as long as it lasts.

mod ends;
mod hints;
mod targets;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::Facts;
use super::phase::Judgement;
use super::steady::{Ending, ending};
use super::{hidden, phase, steady};
use crate::documents::reasons;
use crate::model::{
    Cause, CauseKind, Health, Inquiry, LogStream, Millis, Phase, Report, Service, ServiceDeployment,
    ServiceDeploymentStatus, Task, TaskDefinitionArn, Waiting,
};
pub(super) use ends::{End, OBEDIENT, grouped, of_stop};
pub(super) use hints::hinting;

/// What is told at most: enough for every container of a task and a word of AWS.
const MOST: usize = 5;
/// Logs that are read for one failure: what fails first and what it takes with it (chosen).
const MOST_LOGS: usize = 2;
/// Target groups that are asked: a deployment that shifts traffic has two.
const MOST_GROUPS: usize = 2;
/// Questions about targets for one failure. The tasks that fail come and go, and so does what the load balancer says of them: it is
/// asked again, while another look finds nothing else to blame. With the logs that is six calls for one failure.
const MOST_QUESTIONS: usize = 4;
/// How long it is before targets are asked again, in milliseconds: about as long as a check of them takes (chosen).
const REST_OF_QUESTIONS: Millis = 15_000;
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
    /// What the failure is known by: the id of the deployment, or a name of ours where none is to blame.
    id: String,
    revision: &'a TaskDefinitionArn,
    /// As AWS lists its deployment, where it does.
    listed: Option<&'a ServiceDeployment>,
    failed: bool,
}

/// What is shown of the target as a whole: what is held, then a failure that is not on record yet, then what
/// runs.
pub(super) fn of(facts: &Facts<'_>, health: Health, waiting: Option<&Waiting>) -> Vec<Cause> {
    // A rollback that has just ended leaves a healthy service, and an alert that must say why it was needed.
    let news = facts.newest_subject().filter(|newest| newest.failed && !facts.is_recorded());
    let settles = matches!(facts.judgement, Some(Judgement::Settling { .. }));
    let is_held = matches!(waiting, Some(Waiting::Held { .. }));
    if health != Health::Degraded && news.is_none() && !settles && !is_held {
        return Vec::new();
    }
    // What somebody else has deployed is never recorded, and would be news for ever.
    let news = news.filter(|news| facts.ours.contains_key(news.revision));
    let subject = facts.held_subject(waiting).or(news).or(facts.failing_subject());
    let subject = subject.or_else(|| facts.newest_subject());
    subject.map_or_else(Vec::new, |subject| facts.causes_of(&subject))
}

/// Why the newest deployment failed, or is rolled back, whatever else fails beside it.
pub(super) fn of_deployment(facts: &Facts<'_>) -> Vec<Cause> {
    let failed = facts.newest_subject().filter(|newest| newest.failed);
    failed.map_or_else(Vec::new, |newest| facts.causes_of(&newest))
}

/// Why tasks of what is live fail without any deployment being to blame.
pub(super) fn of_live(facts: &Facts<'_>) -> Vec<Cause> {
    facts.failing_subject().map_or_else(Vec::new, |live| facts.causes_of(&live))
}

/// Every failure of which anything is told or may have to be told, with what AWS can still be asked about it. A deployment that
/// has not failed yet is among them once tasks of it have: by its end AWS may have forgotten why.
pub(super) fn reports(facts: &Facts<'_>, waiting: Option<&Waiting>) -> Vec<Report> {
    let newest = facts.newest_subject().filter(|newest| newest.failed || facts.has_failures(newest));
    let subjects = [facts.held_subject(waiting), newest, facts.failing_subject()];
    let mut reports: Vec<Report> = Vec::new();
    for subject in subjects.into_iter().flatten() {
        if reports.iter().all(|known| known.inquiry.failure != subject.id) {
            let causes = facts.causes_of(&subject);
            reports.push(Report { inquiry: facts.inquiry(&subject, &causes), causes });
        }
    }
    reports
}

/// Why a task has failed that no service runs, with what was told of it before; `ends` are empty where AWS tells of it no more.
pub(super) fn of_ends(facts: &Facts<'_>, task: &str, ends: Vec<End>) -> Vec<Cause> {
    let answers = &facts.input.observed.answers;
    let seen = ends.into_iter().map(|end| end.with_log(answers)).collect();
    let told = facts.input.particulars.get(task).map(|known| known.causes.as_slice());
    merge(hidden::in_causes(facts, seen), told.unwrap_or_default())
}

/// The same, with the logs that may say more of it.
pub(super) fn report(facts: &Facts<'_>, task: &str, ends: Vec<End>) -> Report {
    let known = facts.input.particulars.get(task).cloned().unwrap_or_default();
    let logs = logs_to_read(&ends, known.logs_read);
    let inquiry = Inquiry { failure: task.to_owned(), groups: Vec::new(), logs };
    Report { inquiry, causes: of_ends(facts, task, ends) }
}

/// What was told before, and what is seen now: each once, with the greater count and the later evidence. Both are as they are
/// shown.
fn merge(seen: Vec<Cause>, told: &[Cause]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = seen
        .into_iter()
        .map(|cause| match told.iter().find(|known| known.is_same(&cause)) {
            Some(known) => Cause {
                count: known.count.max(cause.count),
                evidence: if cause.evidence.is_empty() { known.evidence.clone() } else { cause.evidence },
                ..cause
            },
            None => cause,
        })
        .collect();
    let gone = told.iter().filter(|known| !causes.iter().any(|cause| cause.is_same(known))).cloned();
    let gone: Vec<Cause> = gone.collect();
    causes.extend(gone);
    causes.sort_by_key(|cause| (cause.kind, Reverse(cause.count)));
    causes.truncate(MOST);
    causes
}

impl Facts<'_> {
    /// The newest deployment, or the one that it undoes.
    fn newest_subject(&self) -> Option<Subject<'_>> {
        let current = self.current.as_ref()?;
        if let Some(rollback) = self.rollback() {
            let revision = self.ours.keys().copied().find(|arn| **arn == rollback.target)?;
            return Some(Subject { id: rollback.id, revision, listed: rollback.listed, failed: true });
        }
        let listed = self.history().find(|one| phase::id(one) == current.id);
        let failed = matches!(current.phase, Phase::Failed | Phase::RollingBack | Phase::RolledBack);
        Some(Subject { id: current.id.clone(), revision: &current.target, listed, failed })
    }

    fn held_subject(&self, waiting: Option<&Waiting>) -> Option<Subject<'_>> {
        match waiting {
            Some(Waiting::Held { deployment: Some(id), .. }) => self.subject_of(id),
            _ => None,
        }
    }

    /// What is live and fails.
    fn failing_subject(&self) -> Option<Subject<'_>> {
        self.failing_since()?;
        let revision = &self.current.as_ref()?.live_revision;
        Some(Subject { id: format!("live/{}", revision.short()), revision, listed: None, failed: false })
    }

    /// The revision that is held for the deployment of this id.
    fn subject_of(&self, id: &str) -> Option<Subject<'_>> {
        let listed = self.history().find(|one| phase::id(one) == id);
        let recorded = self
            .ours
            .iter()
            .find(|(_, memory)| memory.outcome.as_ref().is_some_and(|outcome| outcome.deployment == id));
        let revision = listed.and_then(|one| one.target.as_ref()).or(recorded.map(|(arn, _)| *arn))?;
        Some(Subject { id: id.to_owned(), revision, listed, failed: true })
    }

    /// Whether tasks of a deployment fail that is not over, or that AWS has just called successful.
    fn has_failures(&self, newest: &Subject<'_>) -> bool {
        let goes_on = self.current.as_ref().is_some_and(|current| !current.phase.is_over());
        let settles = matches!(self.judgement, Some(Judgement::Settling { .. }));
        (goes_on || settles) && self.failed_tasks(newest.revision).next().is_some()
    }

    fn causes_of(&self, subject: &Subject<'_>) -> Vec<Cause> {
        let told = self.input.particulars.get(&subject.id).map(|known| known.causes.as_slice());
        merge(hidden::in_causes(self, self.seen_of(subject)), told.unwrap_or_default())
    }

    /// What is to be seen of it now.
    fn seen_of(&self, subject: &Subject<'_>) -> Vec<Cause> {
        let answers = &self.input.observed.answers;
        let mut causes: Vec<Cause> = self.verdict(subject).into_iter().map(hinting).collect();
        let ends: Vec<Cause> =
            self.ends(subject.revision).into_iter().map(|end| end.with_log(answers)).collect();
        let targets = self.service.map(|service| targets::of(answers, &target_groups(service)));
        let shown = [ends, targets.unwrap_or_default()].concat();
        if shown.is_empty() && self.says_what_fails(subject) {
            causes.extend(self.events().into_iter().map(hinting));
        }
        causes.extend(shown);
        causes
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

    fn events(&self) -> Vec<Cause> {
        let events = self.service.map(|service| service.events.as_slice()).unwrap_or_default();
        let mut telling: Vec<&String> =
            events.iter().filter(|event| !ROUTINE.iter().any(|words| event.contains(words))).collect();
        telling.dedup();
        telling.truncate(2);
        telling.into_iter().map(|event| Cause::new(reasons::of_event(event), event)).collect()
    }

    fn failed_tasks(&self, revision: &TaskDefinitionArn) -> impl Iterator<Item = &Task> {
        let tasks = self.input.observed.tasks.known().into_iter().flatten();
        tasks.filter(move |task| {
            task.task_definition == *revision && ending(task).is_some_and(Ending::is_failure)
        })
    }

    /// How tasks of the revision have failed.
    fn ends(&self, revision: &TaskDefinitionArn) -> Vec<End> {
        let input = self.revision(revision).map(|revision| &revision.input);
        let served: Vec<&str> = self.service.into_iter().flat_map(served).collect();
        grouped(self.failed_tasks(revision), input, &served)
    }

    /// Who ended it, and by which rule: AWS in its own words, or trueup.
    fn verdict(&self, subject: &Subject<'_>) -> Vec<Cause> {
        let Some(listed) = subject.listed else { return Vec::new() };
        let ours = if subject.failed { self.verdict_of_ours(listed) } else { None };
        // To AWS it was only replaced by the way back; where traffic is shifted it says more.
        let theirs = listed.failure.clone().filter(|_| listed.shift.is_some() || ours.is_none());
        // To AWS trueup is a user like any other.
        let theirs = theirs
            .filter(|cause| cause.kind != CauseKind::StoppedByHand || !self.gave_up(subject, ours.as_ref()));
        let behind = match &theirs {
            Some(cause) if cause.kind == CauseKind::RolledBackWithoutCandidate => self.told_of_end(subject),
            _ => None,
        };
        theirs.into_iter().chain(behind).chain(ours).collect()
    }

    /// Whether it took too long for trueup: it says so now, or has said it of a deployment that has ended since.
    fn gave_up(&self, subject: &Subject<'_>, ours: Option<&Cause>) -> bool {
        let told = self.input.particulars.get(&subject.id).into_iter().flat_map(|known| &known.causes);
        ours.into_iter().chain(told).any(|cause| cause.kind == CauseKind::Deadline)
    }

    /// Where AWS says of a deployment only that there was nothing to go back to, why it failed is in the events.
    fn told_of_end(&self, subject: &Subject<'_>) -> Option<Cause> {
        let mut events = self.service.filter(|_| self.says_what_fails(subject))?.events.iter();
        let why = events.find_map(|event| reasons::end_of_deployment(event))?;
        Some(Cause::new(reasons::of_deployment(why), why))
    }

    fn verdict_of_ours(&self, listed: &ServiceDeployment) -> Option<Cause> {
        let policy = &self.input.desired.policy;
        let deadline = policy.progress_deadline.as_secs();
        let too_long = || {
            Cause::new(CauseKind::Deadline, format!("no progress for {deadline} s"))
                .hinting("raise policy.progressDeadline if it takes longer than that")
        };
        match listed.status {
            ServiceDeploymentStatus::Successful => {
                let steady = policy.steady.as_secs();
                Some(Cause::new(
                    CauseKind::Unsteady,
                    format!(
                        "its tasks did not run for {steady} s without a failure within {deadline} s of its success"
                    ),
                ))
            }
            ServiceDeploymentStatus::InProgress | ServiceDeploymentStatus::Pending => Some(too_long()),
            ServiceDeploymentStatus::Stopped if !listed.monitor_triggered => Some(too_long()),
            _ => None,
        }
    }

    /// Targets are registered while tasks run.
    fn may_have_targets(&self, subject: &Subject<'_>) -> bool {
        self.tasks_of(subject.revision).iter().any(|task| task.is_running())
    }

    /// Logs of containers that have ended by themselves, and targets where nothing else explains it: those are only there while
    /// tasks of the revision are. What somebody or a function said needs neither.
    fn inquiry(&self, subject: &Subject<'_>, causes: &[Cause]) -> Inquiry {
        let mut inquiry = Inquiry { failure: subject.id.clone(), groups: Vec::new(), logs: Vec::new() };
        if causes.iter().any(|cause| is_whole_story(cause.kind)) {
            return inquiry;
        }
        let known = self.input.particulars.get(&subject.id).cloned().unwrap_or_default();
        let ends = self.ends(subject.revision);
        let explained = ends.iter().any(|end| end.cause.kind != CauseKind::HealthCheck);
        if !explained && self.may_have_targets(subject) && !causes.iter().any(is_told_by_balancer) {
            let groups = self.service.map(target_groups).unwrap_or_default();
            let waited = self.input.observed.facts_checked_at.saturating_sub(known.groups_asked_at);
            let is_due = known.groups_asked == 0 || waited >= REST_OF_QUESTIONS;
            if is_due && known.groups_asked + groups.len() <= MOST_QUESTIONS {
                inquiry.groups = groups;
            }
        }
        inquiry.logs = logs_to_read(&ends, known.logs_read);
        inquiry
    }
}

/// The logs of those containers of which none was read yet, as many as are read for one failure.
fn logs_to_read(ends: &[End], mut read: BTreeSet<String>) -> Vec<(String, LogStream)> {
    let mut logs = Vec::new();
    for end in ends {
        let (Some(container), Some(stream)) = (&end.container, end.stream()) else { continue };
        if read.len() < MOST_LOGS && read.insert(container.clone()) {
            logs.push((container.clone(), stream.clone()));
        }
    }
    logs
}

fn is_told_by_balancer(cause: &Cause) -> bool {
    cause.kind == CauseKind::TargetHealth
}

/// Whether neither tasks nor logs can say more than that.
fn is_whole_story(kind: CauseKind) -> bool {
    matches!(kind, CauseKind::Hook | CauseKind::Pause | CauseKind::Network | CauseKind::StoppedByHand)
}

/// ARNs of the target groups that tasks of a service are registered with.
fn target_groups(service: &Service) -> Vec<String> {
    let balancers = || balancers(service);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let named = balancers().filter_map(|one| text(one.get("targetGroupArn")?));
    let alternate =
        balancers().filter_map(|one| text(one.get("advancedConfiguration")?.get("alternateTargetGroupArn")?));
    let of_sets =
        service.deployments.iter().filter_map(|set| Some(set.load_balancer.as_ref()?.target_group.clone()));
    let mut groups: Vec<String> = Vec::new();
    for group in named.chain(alternate).chain(of_sets) {
        if groups.len() < MOST_GROUPS && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// Names of the containers that a load balancer leads to.
fn served(service: &Service) -> impl Iterator<Item = &str> {
    let of_sets =
        service.deployments.iter().filter_map(|set| Some(set.load_balancer.as_ref()?.container.as_str()));
    balancers(service).filter_map(|one| one.get("containerName")?.as_str()).chain(of_sets)
}

fn balancers(service: &Service) -> impl Iterator<Item = &Value> {
    service.settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Evidence;

    fn cause(kind: CauseKind, text: &str, count: usize, lines: &[&str]) -> Cause {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let evidence = (!lines.is_empty()).then(|| Evidence { from: "log".to_owned(), lines });
        Cause { count, evidence: evidence.into_iter().collect(), ..Cause::new(kind, text) }
    }

    #[track_caller]
    fn check(seen: &[Cause], told: &[Cause], expected: &[(usize, &str, &[&str])]) {
        let merged = merge(seen.to_vec(), told);
        let found: Vec<(usize, &str, Vec<&str>)> = merged
            .iter()
            .map(|one| {
                let lines = one.evidence.iter().flat_map(|evidence| &evidence.lines).map(String::as_str);
                (one.count, one.text.as_str(), lines.collect())
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(count, text, lines)| (*count, *text, lines.to_vec())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_was_told_stays_with_the_greater_count_and_the_later_evidence() {
        let exit = |count, lines: &[&str]| cause(CauseKind::Exit(1), "api exited", count, lines);
        check(&[exit(2, &["new"])], &[exit(4, &["old"])], &[(4, "api exited", &["new"])]);
        check(&[exit(5, &[])], &[exit(4, &["old"])], &[(5, "api exited", &["old"])]);
        // AWS has forgotten the tasks.
        check(&[], &[exit(4, &["old"])], &[(4, "api exited", &["old"])]);
        check(&[exit(1, &[])], &[], &[(1, "api exited", &[])]);
    }

    #[test]
    fn another_kind_or_text_is_another_cause() {
        let one = cause(CauseKind::Exit(1), "api exited", 1, &[]);
        let other_text = cause(CauseKind::Exit(1), "web exited", 1, &[]);
        let other_kind = cause(CauseKind::Other, "api exited", 1, &[]);
        check(
            &[one],
            &[other_text, other_kind],
            &[(1, "api exited", &[]), (1, "web exited", &[]), (1, "api exited", &[])],
        );
    }

    #[test]
    fn what_can_be_mended_comes_first_then_what_is_seen_most_and_no_more_than_anybody_reads() {
        let breaker = cause(CauseKind::Breaker, "breaker", 1, &[]);
        let seldom = cause(CauseKind::Exit(1), "seldom", 1, &[]);
        let often = cause(CauseKind::Exit(1), "often", 3, &[]);
        let pull = cause(CauseKind::Pull, "pull", 1, &[]);
        let all = [breaker, seldom, often, pull];
        check(&all, &[], &[(1, "pull", &[]), (3, "often", &[]), (1, "seldom", &[]), (1, "breaker", &[])]);
        let many: Vec<Cause> = (0..9).map(|number| cause(CauseKind::Exit(number), "exit", 1, &[])).collect();
        assert_eq!(merge(many[..5].to_vec(), &many[5..]).len(), MOST);
    }
}
