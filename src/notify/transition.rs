//! What is news between two looks at a target. Pure.
//!
//! Each piece of news is told once. A process that has just started knows nothing of what its predecessor told, and
//! goes by what is on record: outcomes, holds and approvals are told again until it is on record that their receivers have taken them.
//! Where no such record is kept, a recorded outcome is old. Drift and stalls have no record: they are told again after a restart,
//! with the same key.

use std::collections::BTreeMap;

use crate::model::alert::{Alert, Event, Receipt, Severity};
use crate::model::{
    About, Commit, ConditionKind, Health, InfraCommit, LastDeployment, Matter, Millis, OnTimeout, Owed,
    Phase, ReceiptRecord, Shift, Stage, StartedBy, Status, Sync, Waiting,
};
use crate::plan::shift::describe as describe_shift;
use crate::plan::waiting::{Class, class, describe, hint, is_of_account, reason};

/// An image that has not been built for so long, in milliseconds, is told.
pub const TOO_LONG: Millis = 30 * 60 * 1000;
/// How long a task may run that says nothing about how long it may.
const RUNS_TOO_LONG: Millis = 60 * 60 * 1000;
/// So long before a pause ends by itself that is told, at the latest.
const LEAST_NOTICE: Millis = 15 * 60 * 1000;

/// What was told about a target, as far as it matters for what comes next.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertHistory {
    /// Whether the target has been read: what is found then for the first time is not new.
    was_read: bool,
    deployment: Option<(String, Phase)>,
    /// The milestone of a traffic shift that was told last, with the deployment.
    milestone: Option<(String, Event)>,
    /// The pauses of which it was told that they are about to end.
    expiring: Option<String>,
    held: Option<Commit>,
    degraded: Option<Degraded>,
    drifting: bool,
    /// The wait that goes on, since when, and whether it has been told.
    waiting: Option<(String, Millis, bool)>,
    /// What only a person can end, by its reason; gone when a look no longer finds it.
    stalls: BTreeMap<&'static str, String>,
}

/// A service whose tasks fail without a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Degraded {
    since: Millis,
    /// One look is not enough: between two counts of AWS a healthy service may seem to lack a task.
    is_told: bool,
}

/// The news of one look, and what has been told after it.
pub fn of_target(before: Option<&AlertHistory>, now: &Status, at: Millis) -> (Vec<Alert>, AlertHistory) {
    let mut news = News { now, at, alerts: Vec::new() };
    let read_before = before.filter(|before| before.was_read);
    let told = AlertHistory {
        was_read: read_before.is_some() || was_read(now),
        deployment: news.deployment(read_before),
        milestone: news.milestone(read_before),
        expiring: news.expiry(read_before),
        held: news.hold(read_before),
        degraded: news.degraded(before),
        drifting: news.drift(before),
        waiting: news.wait(before),
        stalls: news.stalls(before),
    };
    if read_before.is_none() {
        news.late();
    }
    (news.alerts, told)
}

/// What is to be told again, as by a process that has just started, unless somebody knows that it was taken.
pub fn owed(now: &Status, at: Millis) -> Vec<Alert> {
    let (mut alerts, _) = of_target(None, now, at);
    alerts.retain(|alert| alert.receipt.is_some());
    alerts
}

/// Whether what is told of it says anything about what is there.
fn was_read(status: &Status) -> bool {
    let is_unread = |waiting: &Waiting| class(waiting) == Class::Unreadable || is_of_account(waiting);
    status.is_observed && !status.waiting.as_ref().is_some_and(is_unread)
}

/// The infrastructure repository has become unreadable, or readable again.
pub fn of_source(before: Option<&str>, now: Option<&str>, at: Millis) -> Option<Alert> {
    let (event, summary) = match (before, now) {
        (None, Some(error)) => {
            (Event::SourceBroken, format!("the infrastructure repository cannot be read: {error}"))
        }
        (Some(_), None) => (Event::SourceGood, "the infrastructure repository can be read again".to_owned()),
        _ => return None,
    };
    Some(Alert {
        event,
        at,
        key: format!("{}/{at}", event.name()),
        target: None,
        commit: None,
        infra: None,
        deployment: None,
        summary,
        causes: Vec::new(),
        differences: Vec::new(),
        state: None,
        links: Vec::new(),
        receipt: None,
    })
}

/// Whether it is a deployment, or something that waits in it.
fn is_about(about: &str, deployment: &str) -> bool {
    about.strip_prefix(deployment).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

struct News<'a> {
    now: &'a Status,
    at: Millis,
    alerts: Vec<Alert>,
}

impl News<'_> {
    fn tell(&mut self, event: Event, about: &str, commit: Option<&Commit>, what: &str) {
        let target = &self.now.target;
        let last = self.now.last_deployment.as_ref();
        // Several may fail at a time: what is told of one is not what another one died of.
        let causes = match event {
            Event::DeploymentFailed | Event::DeploymentRolledBack => last.map(|last| &last.causes),
            Event::ServiceDegraded => Some(&self.now.failing_causes),
            _ if event.severity() == Severity::Information => None,
            _ => Some(&self.now.causes),
        };
        self.alerts.push(Alert {
            event,
            at: self.at,
            key: format!("{}/{target}/{about}", event.name()),
            target: Some(target.clone()),
            commit: commit.cloned(),
            infra: self.infra(about),
            deployment: last.and_then(|last| last.id.clone()),
            summary: format!("{target}: {what}"),
            causes: causes.cloned().unwrap_or_default(),
            differences: if event == Event::DriftFound { self.now.drift.clone() } else { Vec::new() },
            state: None,
            links: Vec::new(),
            receipt: event.matter().and_then(|matter| self.receipt(matter, about)),
        });
    }

    /// `about`: a deployment, and what waits in it. `None` where there is no record, or everybody is in it.
    fn receipt(&self, matter: Matter, about: &str) -> Option<Receipt> {
        let kept = self.kept(about)?;
        let about = About::of(about);
        let owed = kept.receipts.owed(matter, &about);
        (owed != Owed::Nobody).then(|| Receipt { revision: kept.revision.clone(), matter, about, owed })
    }

    fn kept(&self, about: &str) -> Option<&ReceiptRecord> {
        self.now.kept.iter().find(|kept| is_about(about, &kept.deployment))
    }

    fn infra(&self, about: &str) -> Option<InfraCommit> {
        let last = self.now.last_deployment.as_ref();
        let last = last.filter(|last| last.id.as_ref().is_some_and(|id| is_about(about, id)));
        last.and_then(|last| last.infra.clone()).or_else(|| self.kept(about)?.infra.clone())
    }

    /// Deployments that ended before the newest one began, of which somebody has not been told.
    fn late(&mut self) {
        for kept in &self.now.kept {
            let Some((event, what)) = kept.ended.and_then(end) else { continue };
            let what = format!("{} {what}", kept.commit.short());
            self.tell(event, &kept.deployment, Some(&kept.commit), &what);
            // What is known of the newest one is not known of this.
            if let Some(alert) = self.alerts.last_mut() {
                alert.deployment = Some(kept.deployment.clone());
                alert.causes = Vec::new();
            }
        }
    }

    fn deployment(&mut self, before: Option<&AlertHistory>) -> Option<(String, Phase)> {
        let last = self.now.last_deployment.as_ref();
        let Some((last, id)) = last.and_then(|last| Some((last, last.id.as_ref()?))) else {
            return before.and_then(|before| before.deployment.clone());
        };
        let known = before.and_then(|before| before.deployment.as_ref()).filter(|(known, _)| known == id);
        let is_new = before.is_some() && known.is_none();
        if is_new {
            let by = if last.started_by == StartedBy::Other { " outside trueup" } else { "" };
            self.tell(
                Event::DeploymentStarted,
                id,
                last.commit.as_ref(),
                &format!("deployment of {} started{by}", name(last)),
            );
        }
        let was_over = known.is_some_and(|(_, phase)| phase.is_over());
        let unheard = match (before, self.kept(id)) {
            (Some(_), _) => true,
            (None, Some(_)) => {
                let matter = end(last.phase).and_then(|(event, _)| event.matter());
                matter.is_some_and(|matter| self.receipt(matter, id).is_some())
            }
            // On first sight only what nobody has recorded is news, and only of our own deployments.
            (None, None) => !self.now.is_recorded && last.started_by == StartedBy::Trueup,
        };
        if last.phase.is_over() && !was_over && unheard {
            self.ended(last, id);
        }
        Some((id.clone(), last.phase))
    }

    /// Traffic waits for somebody's word, or all of it has come: said when it is so, and long before the end.
    fn milestone(&mut self, before: Option<&AlertHistory>) -> Option<(String, Event)> {
        let last = self.now.last_deployment.as_ref()?;
        let (shift, id) = (last.shift.as_ref()?, last.id.clone()?);
        let (event, what) = match shift.stage {
            _ if !shift.pauses.is_empty() => {
                let stage = describe_shift(shift).unwrap_or_default();
                let what = format!("{} waits for `trueup approve {}`: {stage}", name(last), self.now.target);
                (Event::ApprovalNeeded, what)
            }
            Stage::Checking | Stage::Standby | Stage::CleaningUp => {
                (Event::TrafficShifted, format!("all traffic is on {}", name(last)))
            }
            // What was told of it before is still so.
            Stage::Unknown => {
                return before?.milestone.clone().filter(|(about, _)| about.starts_with(&id));
            }
            _ => return None,
        };
        // The next step of a shift waits anew.
        let about = about_pauses(&id, shift);
        let told = Some((about.clone(), event));
        let is_news = match before {
            Some(before) => before.milestone != told,
            None => event.matter().is_some_and(|matter| self.receipt(matter, &about).is_some()),
        };
        if is_news {
            self.tell(event, &about, last.commit.as_ref(), &what);
        }
        told
    }

    /// Nobody has answered, and what happens without a word is near.
    fn expiry(&mut self, before: Option<&AlertHistory>) -> Option<String> {
        let last = self.now.last_deployment.as_ref()?;
        let (shift, id) = (last.shift.as_ref()?, last.id.as_ref()?);
        let first = shift.pauses.iter().min_by_key(|pause| pause.until.unwrap_or(Millis::MAX))?;
        let until = first.until?;
        let whole = until.saturating_sub(shift.since.unwrap_or(last.started_at));
        let lead = (whole / 10).max(LEAST_NOTICE);
        // A pause that is as short as that has just been told.
        if whole <= lead || self.at < until.saturating_sub(lead) {
            return None;
        }
        let about = about_pauses(id, shift);
        let told = Some(about.clone());
        if before.is_some_and(|before| before.expiring != told) {
            let then = match first.then {
                OnTimeout::Rollback => "is rolled back and held",
                OnTimeout::Continue => "goes on without anybody's word",
            };
            let minutes = until.saturating_sub(self.at).max(0) / 60_000;
            let what = format!(
                "nobody has answered for {}: in {minutes} minutes it {then}; `trueup approve {target}` or `trueup reject {target}`",
                name(last),
                target = self.now.target,
            );
            self.tell(Event::ApprovalExpires, &about, last.commit.as_ref(), &what);
        }
        told
    }

    fn ended(&mut self, last: &LastDeployment, id: &str) {
        let Some((event, what)) = end(last.phase) else { return };
        self.tell(event, id, last.commit.as_ref(), &format!("{} {what}", name(last)));
    }

    fn hold(&mut self, before: Option<&AlertHistory>) -> Option<Commit> {
        let Some(Waiting::Held { commit, deployment, .. }) = &self.now.waiting else { return None };
        let about = deployment.clone().unwrap_or_default();
        let is_known = match before {
            Some(before) => before.held.as_ref().is_some_and(|held| held.matches(commit)),
            None => self.receipt(Matter::Held, &about).is_none(),
        };
        if !is_known {
            let what = format!(
                "{} is on hold: it failed here, and is tried again only after `trueup retry {}`",
                commit.short(),
                self.now.target
            );
            self.tell(Event::CommitHeld, &about, Some(commit), &what);
        }
        Some(commit.clone())
    }

    fn degraded(&mut self, before: Option<&AlertHistory>) -> Option<Degraded> {
        let known = before.and_then(|before| before.degraded);
        let declared = self.now.declared.clone();
        match (known, self.now.failing_since) {
            (None, Some(since)) => Some(Degraded { since, is_told: false }),
            (Some(Degraded { since, is_told: false }), Some(_)) => {
                let why = self.now.failing_causes.first().map(ToString::to_string);
                let what =
                    format!("its tasks fail: {}", why.as_deref().unwrap_or("fewer run than are wanted"));
                self.tell(Event::ServiceDegraded, &since.to_string(), declared.as_ref(), &what);
                Some(Degraded { since, is_told: true })
            }
            (Some(known), Some(_)) => Some(known),
            (Some(Degraded { since, is_told: true }), None) if self.is_well() => {
                let what = match self.now.health {
                    Health::Suspended => "none of its tasks is wanted any more",
                    _ => "its tasks run steadily again",
                };
                self.tell(Event::ServiceRecovered, &since.to_string(), declared.as_ref(), what);
                None
            }
            // A deployment that has begun may mend it or fail as well, and what is not read is neither.
            (known, None) => known.filter(|_| !self.is_well()),
        }
    }

    /// Nothing fails, of a deployment or without one.
    fn is_well(&self) -> bool {
        match self.now.health {
            Health::Suspended => self.now.desired_count == 0,
            health => health == Health::Healthy,
        }
    }

    fn drift(&mut self, before: Option<&AlertHistory>) -> bool {
        let was = before.is_some_and(|before| before.drifting);
        let live = self.now.deployed.as_ref().map_or("-", |deployed| deployed.short()).to_owned();
        let declared = self.now.declared.clone();
        match (was, !self.now.drift.is_empty()) {
            (false, true) => {
                let fields: Vec<&str> =
                    self.now.drift.iter().map(|difference| difference.field.as_str()).take(3).collect();
                let what = format!("changed outside trueup: {} ({live})", fields.join(", "));
                self.tell(Event::DriftFound, &live, declared.as_ref(), &what);
                true
            }
            // Not before it is Synced: a healing deployment is no healing yet.
            (true, false) if self.now.sync == Sync::Synced => {
                self.tell(Event::DriftGone, &live, declared.as_ref(), "what is declared runs again");
                false
            }
            _ => was,
        }
    }

    /// What was not read neither begins nor ends a stall.
    fn stalls(&mut self, before: Option<&AlertHistory>) -> BTreeMap<&'static str, String> {
        let none = BTreeMap::new();
        let before = before.map_or(&none, |before| &before.stalls);
        if self.now.waiting.as_ref().map(class) == Some(Class::Unreadable) {
            return before.clone();
        }
        let now = stalls(self.now);
        let commit = self.now.declared.clone();
        let about =
            |reason: &str| format!("{reason}/{}", commit.as_ref().map_or("-", |commit| commit.as_str()));
        for (reason, message) in now.iter().filter(|(reason, _)| !before.contains_key(*reason)) {
            let advice =
                self.now.waiting.as_ref().filter(|waiting| crate::plan::waiting::reason(waiting) == *reason);
            let advice = advice.and_then(|waiting| hint(waiting, &self.now.target));
            let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
            self.tell(
                Event::ReconcileStalled,
                &about(reason),
                commit.as_ref(),
                &format!("{message}{advice}"),
            );
        }
        for (reason, message) in before.iter().filter(|(reason, _)| !now.contains_key(*reason)) {
            let what = format!("{reason} is over (it was: {message})");
            self.tell(Event::ReconcileResumed, &about(reason), commit.as_ref(), &what);
        }
        now
    }

    fn wait(&mut self, before: Option<&AlertHistory>) -> Option<(String, Millis, bool)> {
        let (waiting, begun, longest) = match self.now.waiting.as_ref()? {
            waiting @ Waiting::ImageNotBuilt { .. } => (waiting, self.at, TOO_LONG),
            // One that has a time of its own is stopped at its end.
            waiting @ Waiting::Running { since: Some(since), timeout: None, .. } => {
                (waiting, *since, RUNS_TOO_LONG)
            }
            _ => return None,
        };
        let about = describe(waiting);
        let known = before.and_then(|before| before.waiting.clone()).filter(|(what, ..)| *what == about);
        let (_, since, told) = known.unwrap_or((about.clone(), begun, false));
        let too_long = self.at.saturating_sub(since) >= longest;
        if too_long && !told {
            let what = format!("{about} for {} minutes", self.at.saturating_sub(since) / 60_000);
            let declared = self.now.declared.clone();
            let key = format!("{}/{}", reason(waiting), declared.as_ref().map_or("-", Commit::as_str));
            self.tell(Event::WaitingTooLong, &key, declared.as_ref(), &what);
        }
        Some((about, since, told || too_long))
    }
}

/// What only a person can end, by its reason, with what is said of it: a stall, and what is wrong beside what is done.
/// A held commit has an alert of its own, unless AWS could not go back to what was good.
pub fn stalls(status: &Status) -> BTreeMap<&'static str, String> {
    let is_held = matches!(status.waiting, Some(Waiting::Held { stranded: None, .. }));
    let stalled = status.conditions.iter().filter(|condition| condition.kind == ConditionKind::Stalled);
    let stalled = stalled.filter(|condition| !(is_held && condition.is_true));
    stalled.map(|condition| (condition.reason, condition.message.clone())).collect()
}

/// How a deployment ended, in the words of an alert.
fn end(phase: Phase) -> Option<(Event, &'static str)> {
    match phase {
        Phase::Succeeded => Some((Event::DeploymentSucceeded, "succeeded")),
        Phase::RolledBack => Some((Event::DeploymentRolledBack, "failed and was rolled back")),
        Phase::Failed => Some((Event::DeploymentFailed, "failed")),
        _ => None,
    }
}

/// A deployment, and what waits for somebody's word in it.
fn about_pauses(deployment: &str, shift: &Shift) -> String {
    shift.pauses.iter().fold(deployment.to_owned(), |about, pause| about + "/" + &pause.id)
}

fn name(last: &LastDeployment) -> &str {
    last.commit.as_ref().map_or("a task definition whose commit is not known", Commit::short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ApplicationName, Cause, CauseKind, Difference, EnvironmentName, Mark, Pause, Proof, Receipts, Target,
        TaskDefinitionArn,
    };

    fn status() -> Status {
        Status {
            target: Target {
                environment: EnvironmentName::new("test"),
                application: ApplicationName::new("api"),
            },
            checked_at: 0,
            facts_checked_at: 0,
            declared: Some(Commit::new("bbbbbbb")),
            stands_for: Vec::new(),
            tagged: None,
            deployed: None,
            running: Vec::new(),
            desired_count: 1,
            sync: Sync::Synced,
            health: Health::Healthy,
            conditions: Vec::new(),
            waiting: Some(Waiting::Settled),
            last_deployment: None,
            drift: Vec::new(),
            is_recorded: true,
            proof: Proof::Proven,
            last_run: None,
            failing_since: None,
            failing_causes: vec![cause("3 x exited with 1")],
            good: std::collections::BTreeMap::new(),
            is_observed: true,
            since: None,
            hold: None,
            unread: std::collections::BTreeSet::new(),
            kept: Vec::new(),
            causes: vec![cause("2 x exited with 137")],
        }
    }

    fn cause(text: &str) -> Cause {
        Cause::new(CauseKind::Exit(1), text)
    }

    fn deployment(id: &str, phase: Phase) -> Status {
        let last = LastDeployment {
            id: Some(id.to_owned()),
            commit: Some(Commit::new("bbbbbbb")),
            phase,
            started_by: StartedBy::Trueup,
            infra: Some(InfraCommit::new("8c1f0aa")),
            started_at: 0,
            ended_at: None,
            replaces: None,
            shift: None,
            causes: vec![cause("4 x exited with 3")],
        };
        Status { last_deployment: Some(last), is_recorded: false, ..status() }
    }

    fn held() -> Status {
        let (commit, failed) = (Commit::new("bbbbbbb"), Some("d2".to_owned()));
        let waiting = Waiting::Held { commit, deployment: failed, stranded: None };
        Status { waiting: Some(waiting), is_recorded: true, ..deployment("d2", Phase::RolledBack) }
    }

    fn drifted() -> Status {
        let field =
            Difference { field: "cpu".to_owned(), live: Some("1".to_owned()), desired: Some("2".to_owned()) };
        Status { drift: vec![field], sync: Sync::OutOfSync, ..status() }
    }

    /// A deployment that began at 0 and waits for somebody's word until then.
    fn paused(minutes: Millis) -> Status {
        let mut status = deployment("d2", Phase::InProgress);
        let pause = Pause { id: "p".to_owned(), until: Some(minutes * 60_000), then: OnTimeout::Rollback };
        let shift = Shift { pauses: vec![pause], ..Shift::at(Stage::Shifting) };
        status.last_deployment.as_mut().unwrap().shift = Some(shift);
        status
    }

    #[test]
    fn that_a_pause_is_about_to_end_is_told_once_after_nine_tenths_of_it_and_a_quarter_of_an_hour_before() {
        for (minutes, at, expected) in [
            (600, 539, vec![]),
            (600, 540, vec!["approval.expires"]),
            (60, 44, vec![]),
            (60, 45, vec!["approval.expires"]),
            // It has just been told that it waits.
            (15, 14, vec![]),
        ] {
            let (_, told) = of_target(None, &status(), 0);
            let (alerts, told) = of_target(Some(&told), &paused(minutes), 0);
            assert!(alerts.iter().any(|alert| alert.event == Event::ApprovalNeeded));
            let (alerts, told) = of_target(Some(&told), &paused(minutes), at * 60_000);
            let events: Vec<&str> = alerts.iter().map(|alert| alert.event.name()).collect();
            assert_eq!(events, expected, "{minutes} minutes, after {at}");
            assert_eq!(of_target(Some(&told), &paused(minutes), at * 60_000).0.len(), 0, "once");
        }
    }

    /// As the plan says it of what only a person can end.
    fn stalled(waiting: Waiting) -> Status {
        let condition = |reason, message| crate::model::Condition {
            kind: ConditionKind::Stalled,
            is_true: true,
            reason,
            message,
        };
        let conditions = vec![condition(reason(&waiting), describe(&waiting))];
        Status { conditions, waiting: Some(waiting), sync: Sync::Unknown, ..status() }
    }

    fn no_service() -> Status {
        stalled(Waiting::ServiceMissing { service: "mco-api".to_owned(), cluster: "mco".to_owned() })
    }

    fn not_built() -> Status {
        let waiting = Waiting::ImageNotBuilt {
            repository: "mco/api".to_owned(),
            tag: "build-bbbbbbb".to_owned(),
            tag_match: crate::model::TagMatch::Exact,
        };
        Status { waiting: Some(waiting), ..status() }
    }

    /// The events of a row of looks, ten minutes apart; the process has just started.
    #[track_caller]
    fn check(looks: &[Status], expected: &[&str]) {
        let mut told: Option<AlertHistory> = None;
        let mut events = Vec::new();
        for (index, look) in looks.iter().enumerate() {
            let at = i64::try_from(index).unwrap() * 600_000;
            let (alerts, next) = of_target(told.as_ref(), look, at);
            events.extend(alerts.iter().map(|alert| alert.event.name()));
            told = Some(next);
        }
        assert_eq!(events, expected);
    }

    #[test]
    fn a_deployment_is_told_at_its_start_and_at_its_end() {
        let going = deployment("d2", Phase::InProgress);
        check(
            &[status(), going.clone(), deployment("d2", Phase::Succeeded)],
            &["deployment.started", "deployment.succeeded"],
        );
        check(
            &[status(), deployment("d2", Phase::Succeeded)],
            &["deployment.started", "deployment.succeeded"],
        );
        check(
            &[status(), going.clone(), deployment("d2", Phase::Failed)],
            &["deployment.started", "deployment.failed"],
        );
        check(&[status(), going.clone(), deployment("d2", Phase::Superseded)], &["deployment.started"]);
        check(
            &[status(), going, held(), held()],
            &["deployment.started", "deployment.rolled_back", "commit.held"],
        );
    }

    #[test]
    fn a_stage_that_could_not_be_read_once_brings_nothing_to_be_told_again() {
        let at = |stage| {
            let mut going = deployment("d2", Phase::InProgress);
            going.last_deployment.as_mut().unwrap().shift = Some(Shift::at(stage));
            going
        };
        check(
            &[at(Stage::Installing), at(Stage::Checking), at(Stage::Unknown), at(Stage::Standby)],
            &["traffic.shifted"],
        );
    }

    #[test]
    fn a_deployment_that_has_no_name_yet_is_told_when_it_has_one() {
        let mut unlisted = deployment("d2", Phase::InProgress);
        unlisted.last_deployment.as_mut().unwrap().id = None;
        let (first, going) = (deployment("d1", Phase::Succeeded), deployment("d2", Phase::InProgress));
        let first = Status { is_recorded: true, ..first };
        check(&[first, unlisted, going], &["deployment.started"]);
    }

    #[test]
    fn a_thousand_looks_at_the_same_are_told_once() {
        check(&vec![drifted(); 1000], &["drift.found"]);
        let mut looks = vec![status()];
        looks.extend(vec![held(); 1000]);
        check(&looks, &["deployment.started", "deployment.rolled_back", "commit.held"]);
    }

    #[test]
    fn a_new_process_tells_what_nobody_has_recorded_and_nothing_else_twice() {
        check(&[held()], &[]);
        check(&[deployment("d2", Phase::RolledBack)], &["deployment.rolled_back"]);
        check(&[deployment("d2", Phase::Succeeded)], &["deployment.succeeded"]);
        check(&[Status { is_recorded: true, ..deployment("d2", Phase::Succeeded) }], &[]);
        check(
            &[deployment("d2", Phase::InProgress), deployment("d2", Phase::Succeeded)],
            &["deployment.succeeded"],
        );
        let mut other = deployment("d2", Phase::Succeeded);
        other.last_deployment.as_mut().unwrap().started_by = StartedBy::Other;
        check(&[other], &[]);
    }

    /// With this on record on the revision of `d2`.
    fn kept(status: Status, receipts: Receipts) -> Status {
        let kept = ReceiptRecord {
            revision: TaskDefinitionArn::new("api:2"),
            commit: Commit::new("bbbbbbb"),
            infra: Some(InfraCommit::new("8c1f0aa")),
            deployment: "d2".to_owned(),
            ended: None,
            receipts,
        };
        Status { kept: vec![kept], ..status }
    }

    fn taken(matters: &[(Matter, &str, &[&str])]) -> Receipts {
        let mark = |about: &str, owed: &[&str]| Mark::Taken {
            about: About::of(about),
            owed: owed.iter().map(ToString::to_string).collect(),
        };
        Receipts(matters.iter().map(|(matter, about, owed)| (*matter, mark(about, owed))).collect())
    }

    #[test]
    fn a_new_process_tells_what_it_is_not_on_record_that_everybody_has_taken() {
        let succeeded = || Status { is_recorded: true, ..deployment("d2", Phase::Succeeded) };
        let none = Receipts::default;
        for (look, receipts, expected) in [
            (succeeded(), none(), vec!["deployment.succeeded"]),
            (succeeded(), taken(&[(Matter::Succeeded, "d1", &[])]), vec!["deployment.succeeded"]),
            (succeeded(), taken(&[(Matter::Succeeded, "d2", &["chat"])]), vec!["deployment.succeeded"]),
            (succeeded(), taken(&[(Matter::Succeeded, "d2", &[])]), vec![]),
            (succeeded(), Receipts::new(&[Matter::Failed].into()), vec![]),
            // Told before the outcome was on record.
            (deployment("d2", Phase::Succeeded), taken(&[(Matter::Succeeded, "d2", &[])]), vec![]),
            (held(), none(), vec!["deployment.rolled_back", "commit.held"]),
            (held(), taken(&[(Matter::Failed, "d2", &[])]), vec!["commit.held"]),
            (held(), taken(&[(Matter::Failed, "d2", &[]), (Matter::Held, "d2", &[])]), vec![]),
            (paused(60), none(), vec!["approval.needed"]),
            (paused(60), taken(&[(Matter::Approval, "d2/o", &[])]), vec!["approval.needed"]),
            (paused(60), taken(&[(Matter::Approval, "d2/p", &[])]), vec![]),
            (deployment("d2", Phase::InProgress), none(), vec![]),
            (deployment("d2", Phase::Superseded), none(), vec![]),
        ] {
            let unread = Status {
                waiting: Some(Waiting::Unreadable { what: "the service", why: "throttled".to_owned() }),
                ..status()
            };
            let look = kept(look, receipts.clone());
            check(std::slice::from_ref(&look), &expected);
            check(&[unread, look.clone()], &expected);
            let owed: Vec<&str> = owed(&look, 0).iter().map(|alert| alert.event.name()).collect();
            assert_eq!(owed, expected, "{receipts:?}");
        }
        let owed = owed(&kept(succeeded(), taken(&[(Matter::Succeeded, "d2", &["chat"])])), 0);
        let receipt = owed[0].receipt.clone().unwrap();
        assert_eq!(receipt.owed, Owed::Only(["chat".to_owned()].into()));
        assert_eq!((receipt.revision.as_str(), receipt.about), ("api:2", About::of("d2")));
    }

    #[test]
    fn a_first_look_that_could_not_read_makes_nothing_new_of_what_is_old() {
        let unread = Status {
            waiting: Some(Waiting::Unreadable { what: "the service", why: "throttled".to_owned() }),
            ..status()
        };
        check(&[unread.clone(), Status { is_recorded: true, ..deployment("d2", Phase::Succeeded) }], &[]);
        check(&[unread.clone(), held()], &[]);
        check(
            &[unread, no_service(), deployment("d2", Phase::InProgress)],
            &["reconcile.stalled", "deployment.started", "reconcile.resumed"],
        );
    }

    #[test]
    fn a_deployment_that_ended_before_the_newest_began_is_told_late() {
        let mut look = deployment("d3", Phase::InProgress);
        for (id, ended) in [("d1", Phase::RolledBack), ("d2", Phase::Succeeded)] {
            let mut status = kept(status(), Receipts::default());
            status.kept[0].deployment = id.to_owned();
            status.kept[0].ended = Some(ended);
            look.kept.extend(status.kept);
        }
        let (alerts, told) = of_target(None, &look, 0);
        let found: Vec<_> = alerts
            .iter()
            .map(|alert| (alert.key.as_str(), alert.summary.as_str(), alert.causes.len()))
            .collect();
        let expected = [
            ("deployment.rolled_back/test/api/d1", "test/api: bbbbbbb failed and was rolled back", 0),
            ("deployment.succeeded/test/api/d2", "test/api: bbbbbbb succeeded", 0),
        ];
        assert_eq!(found, expected);
        assert_eq!(of_target(Some(&told), &look, 0).0, [], "once");
    }

    #[test]
    fn drift_is_told_with_its_fields_and_gone_only_when_what_is_declared_runs() {
        let healing = Status { sync: Sync::OutOfSync, ..status() };
        check(&[status(), drifted(), healing, status()], &["drift.found", "drift.gone"]);
        let (alerts, _) = of_target(None, &drifted(), 0);
        assert_eq!(alerts[0].differences, drifted().drift);
        assert!(alerts[0].summary.contains("cpu"), "{}", alerts[0].summary);
    }

    #[test]
    fn a_service_that_fails_and_recovers_is_told_once_each() {
        let failing = || Status { failing_since: Some(7), health: Health::Degraded, ..status() };
        let mut looks = vec![status()];
        looks.extend(vec![failing(); 100]);
        looks.extend(vec![status(); 3]);
        check(&looks, &["service.degraded", "service.recovered"]);
        check(&[status(), failing(), status()], &[]);
        let deploying = Status { health: Health::Progressing, ..status() };
        let unread = Status { health: Health::Unknown, ..status() };
        check(
            &[failing(), failing(), deploying, unread, failing(), status(), failing(), failing()],
            &["service.degraded", "service.recovered", "service.degraded"],
        );
        let (_, told) = of_target(None, &failing(), 0);
        let (alerts, _) = of_target(Some(&told), &failing(), 0);
        assert_eq!(alerts[0].summary, "test/api: its tasks fail: 3 x exited with 1");
    }

    #[test]
    fn a_service_recovers_only_where_nothing_fails_any_more() {
        let failing = || Status { failing_since: Some(7), health: Health::Degraded, ..status() };
        for (what, health, is_over) in [
            ("well", Health::Healthy, true),
            ("scaled to zero", Health::Suspended, true),
            ("a deployment waits for somebody's word", Health::Suspended, false),
            ("the deployment that was to mend it failed", Health::Degraded, false),
            ("a deployment has begun", Health::Progressing, false),
            ("not read", Health::Unknown, false),
            ("deleted", Health::Missing, false),
        ] {
            let recovered = if is_over { vec!["service.recovered"] } else { Vec::new() };
            let desired_count = if health == Health::Suspended && is_over { 0 } else { 2 };
            let next = Status { desired_count, health, ..status() };
            let (_, told) = of_target(None, &failing(), 0);
            let (_, told) = of_target(Some(&told), &failing(), 0);
            let (alerts, told) = of_target(Some(&told), &next, 0);
            let names: Vec<&str> = alerts.iter().map(|alert| alert.event.name()).collect();
            assert_eq!(names, recovered, "{what}");
            let (alerts, _) = of_target(Some(&told), &status(), 0);
            assert_eq!(alerts.len(), usize::from(!is_over), "{what}, and well in the end");
        }
    }

    #[test]
    fn each_alert_has_the_causes_of_what_it_is_about() {
        let failing = || Status { failing_since: Some(7), health: Health::Degraded, ..status() };
        for (before, now, expected) in [
            (failing(), failing(), vec![("service.degraded", "3 x exited with 1")]),
            (
                deployment("d2", Phase::InProgress),
                held(),
                vec![("deployment.rolled_back", "4 x exited with 3"), ("commit.held", "2 x exited with 137")],
            ),
            (
                deployment("d2", Phase::InProgress),
                deployment("d2", Phase::Failed),
                vec![("deployment.failed", "4 x exited with 3")],
            ),
        ] {
            let (_, told) = of_target(None, &before, 0);
            let (alerts, _) = of_target(Some(&told), &now, 0);
            let told = alerts.iter().map(|alert| (alert.event.name(), alert.causes[0].text.as_str()));
            assert_eq!(told.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn an_image_that_is_not_built_for_half_an_hour_is_told_with_its_exact_tag() {
        check(&[not_built(), not_built(), not_built()], &[]);
        check(&vec![not_built(); 10], &["waiting.too_long"]);
        let told = of_target(None, &not_built(), 0).1;
        let (alerts, _) = of_target(Some(&told), &not_built(), TOO_LONG);
        assert_eq!(alerts[0].summary, "test/api: waiting for image mco/api:build-bbbbbbb for 30 minutes");
    }

    #[test]
    fn a_task_without_a_timeout_that_runs_for_an_hour_is_told_once() {
        let running = |timeout| {
            let (task, commit) = ("t1".to_owned(), Commit::new("bbbbbbb"));
            let waiting = Waiting::Running { task, commit, since: Some(0), timeout };
            Status { waiting: Some(waiting), ..status() }
        };
        let day = Some(std::time::Duration::from_hours(24));
        for (timeout, minutes, expected) in [(None, 59, 0), (None, 60, 1), (day, 60, 0)] {
            let told = of_target(None, &running(timeout), 0).1;
            let (alerts, told) = of_target(Some(&told), &running(timeout), minutes * 60_000);
            let too_long = alerts.iter().filter(|alert| alert.event == Event::WaitingTooLong).count();
            assert_eq!(too_long, expected, "{timeout:?} after {minutes}");
            assert!(of_target(Some(&told), &running(timeout), minutes * 60_000).0.is_empty(), "once");
        }
    }

    #[test]
    fn a_stall_is_told_once_at_its_start_and_once_at_its_end() {
        let unread = Status {
            waiting: Some(Waiting::Unreadable { what: "the service", why: "throttled".to_owned() }),
            ..status()
        };
        check(
            &[status(), no_service(), unread.clone(), no_service(), unread, status(), status()],
            &["reconcile.stalled", "reconcile.resumed"],
        );
        check(
            &[no_service(), stalled(Waiting::Frozen), status()],
            &["reconcile.stalled", "reconcile.stalled", "reconcile.resumed", "reconcile.resumed"],
        );
    }

    #[test]
    fn a_stall_names_what_to_do_and_has_the_same_key_in_a_new_process() {
        let (alerts, _) = of_target(None, &no_service(), 0);
        assert_eq!(alerts[0].summary.split(';').next(), Some("test/api: no service mco-api in cluster mco"));
        assert!(alerts[0].summary.contains("create the service first"), "{}", alerts[0].summary);
        assert_eq!(alerts[0].key, "reconcile.stalled/test/api/ServiceMissing/bbbbbbb");
        assert_eq!(of_target(None, &no_service(), 1_000_000).0[0].key, alerts[0].key);
    }

    #[test]
    fn a_held_commit_is_no_stall_unless_aws_could_not_go_back() {
        let hold = |stranded| Waiting::Held {
            commit: Commit::new("bbbbbbb"),
            deployment: Some("d2".to_owned()),
            stranded,
        };
        check(&[status(), stalled(hold(None))], &["commit.held"]);
        check(
            &[status(), stalled(hold(Some("no candidate".to_owned())))],
            &["commit.held", "reconcile.stalled"],
        );
    }

    #[test]
    fn a_source_is_broken_once_and_good_once() {
        let events = |before, now| of_source(before, now, 0).map(|alert| alert.event.name());
        assert_eq!(events(None, None), None);
        assert_eq!(events(None, Some("x")), Some("source.broken"));
        assert_eq!(events(Some("x"), Some("y")), None);
        assert_eq!(events(Some("x"), None), Some("source.good"));
    }

    #[test]
    fn the_key_is_the_same_from_any_process() {
        let key = |at| of_target(None, &drifted(), at).0[0].key.clone();
        assert_eq!(key(0), key(1_000_000));
    }

    #[test]
    fn the_documentation_lists_every_event() {
        let documented = include_str!("../../docs/alerts.md");
        for event in Event::ALL {
            assert!(documented.contains(&format!("| `{}` |", event.name())), "{}", event.name());
        }
    }
}
