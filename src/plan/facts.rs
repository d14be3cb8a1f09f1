//! What every rule asks: the reading, and what it says before anything is decided.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::carriers::{self, Carrier};
use super::declaration;
use super::input::Input;
use super::phase::{self, Current, Judgement};
use crate::documents::memory;
use crate::model::{
    Applied, Completeness, ContentHash, DeclarationHash, Desired, Memory, ObservedImage, Reading, Revision,
    Service, ServiceDeployment, Shift, TaskDefinitionArn, TaskDefinitionSource, Unreached, Waiting,
};

/// What cannot be read of the registry.
pub(super) const REPOSITORY: &str = "the ECR repository";
pub(super) const IMAGE: &str = "the image";
/// What cannot be read where nobody can tell whether the applied infra commit came first.
pub(super) const HISTORY: &str = "the history of the infrastructure repository";

/// A reading together with what follows from it at once.
pub(super) struct Facts<'a> {
    pub input: &'a Input<'a>,
    /// `None` also where the credentials belong to another account: what has the name there is another service.
    pub service: Option<&'a Service>,
    pub current: Option<Current>,
    /// What trueup says of the newest deployment beyond what AWS says; `current` has it in it.
    pub judgement: Option<Judgement>,
    pub carrier: Box<dyn Carrier>,
    /// Our revisions, by ARN.
    pub ours: BTreeMap<&'a TaskDefinitionArn, Memory>,
    /// What git declares, as a hash; `None` where the base that belongs to it cannot be told.
    pub declared: Option<DeclarationHash>,
    /// The desired images, as ECR tells them.
    pub images: &'a [ObservedImage],
    /// The task definition that should run, or why it cannot be told.
    pub rendered: Result<Value, Waiting>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        let observed = input.observed;
        let service = observed.service.known().filter(|_| wrong_account(input).is_none());
        let ours = ours(input, service);
        let carrier = service.map_or_else(carriers::of_none, |service| carriers::of(input.desired, service));
        let mut facts = Self {
            input,
            service,
            current: service.and_then(|service| carrier.current(service, observed)),
            judgement: None,
            carrier,
            ours,
            declared: None,
            images: &observed.images,
            rendered: Err(Waiting::LookDeeper),
        };
        facts.mark_superseded();
        facts.judge();
        facts.rendered = facts.render();
        if input.desired.scheduled_task().is_some() {
            facts.current = facts.scheduled();
        }
        facts.declared = facts.declaration();
        facts
    }

    fn declaration(&self) -> Option<DeclarationHash> {
        let desired = self.input.desired;
        let base = match &desired.task_definition {
            TaskDefinitionSource::Family(_) => Some(self.base().ok()?),
            TaskDefinitionSource::Service | TaskDefinitionSource::File { .. } => None,
        };
        Some(declaration::hash(desired, base.as_ref()))
    }

    pub(super) fn account_is_right(&self) -> Result<(), Waiting> {
        match &self.input.observed.account {
            Ok(_) => wrong_account(self.input).map_or(Ok(()), Err),
            Err(Unreached::Unread(why)) => Err(unreadable("the account", why)),
            Err(why) => {
                let account = self.input.desired.account.as_ref().map(ToString::to_string);
                Err(Waiting::Unreached { account, why: why.clone() })
            }
        }
    }

    /// Newest first.
    pub(super) fn history(&self) -> std::slice::Iter<'_, ServiceDeployment> {
        self.input.observed.service_deployments.known().map(Vec::as_slice).unwrap_or_default().iter()
    }

    /// The newest revisions of the family; `None` where it has none.
    pub(super) fn newest(&self) -> Result<Option<&'a Vec<TaskDefinitionArn>>, Waiting> {
        match &self.input.observed.newest {
            Some(Reading::Known(newest)) => Ok(Some(newest)),
            Some(Reading::Absent) => Ok(None),
            Some(Reading::Unavailable(why)) => Err(unreadable("the family", why)),
            None => Err(Waiting::LookDeeper),
        }
    }

    pub(super) fn revision(&self, arn: &TaskDefinitionArn) -> Option<&'a Revision> {
        self.input.observed.revisions.get(arn).and_then(Reading::known)
    }

    /// Our ACTIVE revision with this content and this declaration; where a race made several, the lowest: two
    /// controllers meet there. The same content declared otherwise is another revision, since its outcome is another.
    pub(super) fn revision_with(&self, content: &ContentHash) -> Option<&'a TaskDefinitionArn> {
        let active = |arn| self.revision(arn).is_some_and(|revision| revision.active);
        let declared = |memory: &Memory| memory.declared.is_none() || memory.declared == self.declared;
        let same = self.ours.iter();
        let same = same.filter(|(arn, memory)| memory.content == *content && declared(memory) && active(arn));
        same.map(|(arn, _)| *arn).min_by_key(|arn| arn.revision())
    }

    /// All that is remembered has been read: only then it can be said that something is not among it.
    pub(super) fn memory_is_complete(&self) -> Result<(), Waiting> {
        match &self.input.observed.memory {
            Some(Completeness::Complete) => Ok(()),
            Some(Completeness::Incomplete(why)) => Err(Waiting::MemoryIncomplete { why: why.clone() }),
            None => Err(Waiting::LookDeeper),
        }
    }

    /// The stamp with the highest generation among all revisions that were read.
    pub(super) fn highest(&self) -> Option<Applied> {
        self.highest_stamp().map(|(_, applied)| applied.clone())
    }

    /// The same, with the revision that carries it.
    pub(super) fn highest_stamp(&self) -> Option<(&'a TaskDefinitionArn, &Applied)> {
        let stamps = self.ours.iter().filter_map(|(arn, memory)| Some((*arn, memory.applied.as_ref()?)));
        stamps.max_by_key(|(_, applied)| applied.generation)
    }

    /// Where the newest deployment stands, if traffic is shifted by it.
    pub(super) fn shift(&self, current: &Current) -> Option<&Shift> {
        let newest = self.history().next().filter(|newest| phase::id(newest) == current.id)?;
        newest.shift.as_ref().filter(|shift| shift.goes_on())
    }

    /// At least one task of the service runs: a deployment to a count of zero proves nothing.
    pub(super) fn is_proven(&self) -> bool {
        self.service.is_some_and(|service| service.running_count > 0)
    }

    /// Whether the outcome of the newest deployment is on record: then it has been told.
    pub(super) fn is_recorded(&self) -> bool {
        let Some(current) = &self.current else { return true };
        if let Some(rollback) = self.rollback() {
            let outcome = self.ours.get(&rollback.target).and_then(|memory| memory.outcome.as_ref());
            return outcome.is_some_and(|outcome| outcome.deployment == rollback.id);
        }
        let outcome = self.ours.get(&current.target).and_then(|memory| memory.outcome.as_ref());
        outcome.is_some_and(|outcome| outcome.deployment == current.id)
    }
}

/// The revisions that are ours. One that does not say which service it was registered for counts only in a family that
/// the service is declared with, runs or ran: two services may have the same names in two repositories.
fn ours<'a>(input: &Input<'a>, service: Option<&'a Service>) -> BTreeMap<&'a TaskDefinitionArn, Memory> {
    let (desired, observed) = (input.desired, input.observed);
    let live = service.into_iter().flat_map(|service| &service.deployments).map(|one| &one.task_definition);
    let history = observed.service_deployments.known().into_iter().flatten();
    let historical = history.flat_map(|one| one.target.iter().chain(&one.sources));
    let families: BTreeSet<&str> = live.chain(historical).map(TaskDefinitionArn::family).collect();
    let is_known = |family: &str| families.contains(family) || declared_family(desired) == Some(family);
    let revisions = observed.revisions.iter();
    let remembered =
        revisions.filter_map(|(arn, reading)| Some((arn, memory::of(reading.known()?, desired)?)));
    remembered.filter(|(arn, memory)| memory.names_service || is_known(arn.family())).collect()
}

/// The family that the declared task definition belongs to; `None` where it is that of the service.
pub fn declared_family(desired: &Desired) -> Option<&str> {
    match &desired.task_definition {
        TaskDefinitionSource::File { input, .. } => input.get("family")?.as_str(),
        TaskDefinitionSource::Family(family) => Some(family),
        TaskDefinitionSource::Service => None,
    }
}

/// Whether the credentials belong to another account than the declared one.
fn wrong_account(input: &Input<'_>) -> Option<Waiting> {
    let (actual, expected) = (input.observed.account.as_ref().ok()?, input.desired.account.as_ref()?);
    (actual != expected)
        .then(|| Waiting::WrongAccount { expected: expected.to_string(), actual: actual.to_string() })
}

pub(super) fn unreadable(what: &'static str, why: &str) -> Waiting {
    Waiting::Unreadable { what, why: why.to_owned() }
}
