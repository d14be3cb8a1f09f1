//! The decision about one target: what the rules answer, what keeps that from being done, and what is told of it.

use serde_json::Value;

use super::carriers::{self, Migration, Newer};
use super::facts::{Facts, HISTORY, unreadable};
use super::input::Input;
use super::outlook::Outlook;
use super::phase::Current;
use super::rules::{self, Answer};
use super::step::{Approval, Step, Unsettled};
use super::{causes, hidden, outlook, status};
use crate::documents::{differences, memory, shown::Origin};
use crate::model::{
    Ancestry, Applied, ContentHash, Desired, Difference, Finding, Lookback, Millis, Mode, Reading, Report,
    Service, ServiceStatus, Status, Target, TaskDefinitionArn, Waiting,
};

/// The decision about one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is to be written, in order. Only the first is executed; then the world is read again.
    pub steps: Vec<Step>,
    /// Why nothing is written; set exactly when `steps` is empty.
    pub waiting: Option<Waiting>,
    /// The place of the rule that answered, among [`RULES`](super::RULES); none was asked where the files are
    /// broken.
    pub rule: Option<usize>,
    pub differences: Vec<Difference>,
    /// What the first step leads to; set where that is a deployment.
    pub outlook: Option<Outlook>,
    /// The failed deployment for which what is declared is not tried again, on record already or not.
    pub failure: Option<String>,
    /// The write that lets what is declared be tried once more; only where it is held or contested.
    pub retry: Option<Step>,
    /// The write by which a person accepts that the branch was rewritten; only where that keeps it from being acted on.
    pub accept_history: Option<Step>,
    /// What a person may say of the run of a task, where nobody else can.
    pub unsettled: Option<Unsettled>,
    /// The write by which a person has a task run once more that has ended, however that was; of one that a schedule starts, the
    /// call that runs it now.
    pub run_again: Option<Step>,
    /// What a person may say to the deployment that goes on: where it waits for that, or can be undone.
    pub approval: Option<Approval>,
    /// How the service is moved from CodeDeploy to ECS itself, which a person does.
    pub migration: Option<Migration>,
    /// What fails, and what AWS can still be asked about it.
    pub reports: Vec<Report>,
    /// What people should know of the service beside what is declared: it keeps nothing from being done.
    pub findings: Vec<Finding>,
    pub status: Status,
}

/// Decides about a service.
pub(super) fn plan(facts: &Facts<'_>) -> Plan {
    let input = facts.input;
    if input.desired.mode == Mode::Frozen {
        let status = status::of(facts, &[], None, Some(&Waiting::Frozen));
        let reports = causes::reports(facts, Some(&Waiting::Frozen));
        return Plan { reports, ..Plan::frozen(status) };
    }
    let (rule, answer) = rules::ask(facts);
    let mut differences = differences::listed(facts.differences());
    let (steps, waiting) = match answer {
        Answer::Write(steps) => (steps, None),
        Answer::Wait(waiting) => (Vec::new(), Some(waiting)),
        Answer::Done | Answer::Pass => (Vec::new(), Some(Waiting::Settled)),
    };
    let (steps, waiting) = respect_mode(facts, steps, waiting);
    let (steps, waiting) = back_off(input, steps, waiting);
    let (steps, waiting) = look_back(input, steps, waiting);
    let waiting = waiting.map(|waiting| hidden::in_reason(facts, waiting));
    let status = status::of(facts, &differences, steps.first(), waiting.as_ref());
    let reports = causes::reports(facts, waiting.as_ref());
    let retry = facts.retry(waiting.as_ref());
    let accept_history = facts.accept_history(waiting.as_ref());
    let approval = facts.approval();
    differences.extend(facts.tag_differences(steps.first()));
    let outlook = outlook::of(facts, steps.first(), status.tagged.as_ref());
    let failure = facts.failure();
    let mut findings = facts.count_findings();
    findings.extend(facts.value_findings());
    findings.extend(facts.strategy_finding());
    Plan {
        steps,
        waiting,
        rule: Some(rule),
        differences,
        outlook,
        failure,
        retry,
        accept_history,
        unsettled: None,
        run_again: None,
        approval,
        migration: facts
            .service
            .and_then(|service| carriers::migration(input.desired, service, input.observed)),
        reports,
        findings,
        status,
    }
}

/// What follows from the decision about something that is no service.
pub(super) fn next(facts: &Facts<'_>, answer: Result<Answer, Waiting>) -> (Vec<Step>, Option<Waiting>) {
    let (steps, waiting) = match answer {
        Ok(Answer::Write(steps)) => (steps, None),
        Ok(Answer::Wait(waiting)) | Err(waiting) => (Vec::new(), Some(waiting)),
        Ok(Answer::Done | Answer::Pass) => (Vec::new(), Some(Waiting::Settled)),
    };
    let (steps, waiting) = respect_mode(facts, steps, waiting);
    let (steps, waiting) = back_off(facts.input, steps, waiting);
    (steps, waiting.map(|waiting| hidden::in_reason(facts, waiting)))
}

/// `mode: observe` and `suspend` keep the decision and drop the writes. They last for as long as somebody wishes: a commit
/// tag that was pushed over, which would only stop what comes after the write, is told before them.
fn respect_mode(
    facts: &Facts<'_>,
    steps: Vec<Step>,
    waiting: Option<Waiting>,
) -> (Vec<Step>, Option<Waiting>) {
    match facts.withheld() {
        Some(withheld) if !steps.is_empty() => {
            (Vec::new(), Some(facts.moved_commit_tags().next().unwrap_or(withheld)))
        }
        _ => (steps, waiting),
    }
}

/// What came before the newest deployment has a say in everything but that all is as it should be, or will be if nothing fails and
/// the tag need not wait for others.
fn look_back(input: &Input<'_>, steps: Vec<Step>, waiting: Option<Waiting>) -> (Vec<Step>, Option<Waiting>) {
    let is_as_it_should_be =
        matches!(waiting, Some(Waiting::Settled | Waiting::Settling { .. } | Waiting::TagShared { .. }));
    match input.observed.lookback {
        Lookback::Newest if !is_as_it_should_be => (Vec::new(), Some(Waiting::LookDeeper)),
        Lookback::Newest | Lookback::Listed => (steps, waiting),
    }
}

/// What AWS has just refused is not sent again at once.
fn back_off(input: &Input<'_>, steps: Vec<Step>, waiting: Option<Waiting>) -> (Vec<Step>, Option<Waiting>) {
    match (steps.first(), input.refusal) {
        (Some(step), Some(refusal)) if refusal.keeps_from(step, input.now) => {
            (Vec::new(), Some(refusal.waiting()))
        }
        _ => (steps, waiting),
    }
}

/// Why nothing may be written now, whatever is to be done.
pub(super) fn withheld(desired: &Desired, now: Millis) -> Option<Waiting> {
    let suspended = || desired.suspension(now).cloned().map(Waiting::Suspended);
    match desired.mode {
        Mode::Frozen => Some(Waiting::Frozen),
        // A suspension ends, and `mode` says what holds after it.
        Mode::Observe => suspended().or(Some(Waiting::Observing)),
        Mode::Apply => suspended(),
    }
}

impl Plan {
    /// Of a target whose files do not even tell where it runs: nothing was read.
    pub fn unobserved(target: &Target, now: Millis) -> Self {
        Self::frozen(status::unobserved(target, now))
    }

    /// Nothing is compared, decided or offered: what should run is not known.
    fn frozen(status: Status) -> Self {
        Self {
            steps: Vec::new(),
            waiting: Some(Waiting::Frozen),
            rule: None,
            differences: Vec::new(),
            outlook: None,
            failure: None,
            retry: None,
            accept_history: None,
            unsettled: None,
            run_again: None,
            approval: None,
            migration: None,
            reports: Vec::new(),
            findings: Vec::new(),
            status,
        }
    }
}

impl<'a> Facts<'a> {
    /// Why nothing may be written now, whatever is to be done.
    pub(super) fn withheld(&self) -> Option<Waiting> {
        withheld(self.input.desired, self.input.now)
    }

    /// Whether what runs can be told: nothing is concluded from what could not be read.
    pub(super) fn reading_is_whole(&self) -> Result<(), Waiting> {
        self.account_is_right()?;
        let observed = self.input.observed;
        if let Reading::Unavailable(why) = &observed.service_deployments {
            return Err(unreadable("the service deployments", why));
        }
        if let Some((_, Reading::Unavailable(why))) =
            observed.revisions.iter().find(|(_, reading)| reading.is_unavailable())
        {
            return Err(unreadable("a task definition", why));
        }
        Ok(())
    }

    pub(super) fn readable_service(&self) -> Result<&'a Service, Waiting> {
        let desired = self.input.desired;
        self.account_is_right()?;
        let service = match &self.input.observed.service {
            Reading::Known(service) => service,
            Reading::Absent => {
                return Err(Waiting::ServiceMissing {
                    service: desired.service().map(ToString::to_string).unwrap_or_default(),
                    cluster: desired.cluster.to_string(),
                });
            }
            Reading::Unavailable(why) => return Err(unreadable("the service", why)),
        };
        match service.status {
            ServiceStatus::Active => self.carrier.supported().map(|()| service),
            ServiceStatus::Draining | ServiceStatus::Inactive => Err(Waiting::ServiceNotActive),
        }
    }

    /// A commit whose tag was pushed over is not deployed again with the new image, nor does that end a deployment.
    pub(super) fn commit_tags_stand(&self, current: &Current) -> Result<(), Waiting> {
        match self.moved_commit_tags().next() {
            Some(_) if !current.phase.is_over() => Err(self.still_deploying(current)),
            Some(moved) => Err(moved),
            None => Ok(()),
        }
    }

    /// A revision of ours that AWS describes otherwise than it was sent would be registered again and again.
    pub(super) fn is_described_as_sent(
        &self,
        rendered: &Value,
        content: &ContentHash,
    ) -> Result<(), Waiting> {
        let known = self.input.observed.revisions.values().filter_map(Reading::known);
        let otherwise = known
            .filter(|revision| revision.active)
            .find(|revision| memory::is_described_otherwise(revision, self.input.desired, content));
        let Some(revision) = otherwise else { return Ok(()) };
        let fields = differences::task_definitions(&revision.input, rendered, Origin::Aws);
        let fields = fields.into_iter().take(3).map(|difference| difference.field).collect();
        Err(Waiting::DescribedOtherwise { revision: revision.arn.short().to_owned(), fields })
    }

    /// Our own deployment of something else may be replaced; anybody else's is followed until it ends.
    pub(super) fn may_interrupt(&self, current: &Current, newer: Newer) -> Result<(), Waiting> {
        if current.phase.is_over() {
            return Ok(());
        }
        self.way_to_replace(current, newer).map(drop)
    }

    pub(super) fn still_deploying(&self, current: &Current) -> Waiting {
        if let Some(rolling_back) = self.rollback_in_progress() {
            return rolling_back;
        }
        Waiting::Deploying {
            phase: current.phase,
            commit: self.commit_of(&current.target),
            by: self.initiator(current).started_by(),
            shift: self.shift(current).cloned().map(Box::new),
        }
    }

    /// Where only the tasks tell which image a tag stood for, what was not read would look like another image.
    pub(super) fn running_is_known(&self) -> Result<(), Waiting> {
        match &self.input.observed.tasks {
            Reading::Unavailable(why) => Err(unreadable("the tasks", why)),
            Reading::Known(_) | Reading::Absent => Ok(()),
        }
    }

    pub(super) fn source_is_current(&self, highest: Option<&Applied>) -> Result<(), Waiting> {
        let (Some(applied), Some(head)) =
            (highest.and_then(|stamp| stamp.infra_commit.as_ref()), self.input.infra_commit)
        else {
            return Ok(());
        };
        match self.input.observed.ancestry.get(applied) {
            _ if applied == head => Ok(()),
            Some(Ancestry::Ancestor) => Ok(()),
            Some(Ancestry::NotAncestor) => {
                let revision = self.highest_stamp().map(|(revision, _)| revision.clone());
                let revision = revision.unwrap_or_else(|| TaskDefinitionArn::new("unknown"));
                Err(Waiting::SourceBehind { applied: applied.to_string(), revision })
            }
            Some(Ancestry::Unknown) | None => Err(unreadable(HISTORY, applied.as_str())),
        }
    }
}
