//! The deployments of a target in the past, as AWS lists them and as our own stamps remember them. For people: nothing is decided
//! by it.

use std::collections::BTreeMap;

use super::carriers::Listing;
use super::commits::commits_of_digest;
use super::facts::Facts;
use super::hidden;
use super::input::Input;
use super::phase;
use crate::documents::memory;
use crate::model::{
    Commit, OutcomeKind, Past, PastDeployment, PastSource, Phase, Reading, ServiceDeployment, StartedBy,
    TaskDefinitionArn,
};

/// The tags of a revision, by the index of tags.
pub type Stamped = (TaskDefinitionArn, BTreeMap<String, String>);

/// The newest first. `stamped`: every revision that the index of tags names as ours, or why it could not be asked.
pub fn past(input: &Input<'_>, stamped: Result<Vec<Stamped>, String>) -> Past {
    let facts = Facts::new(input);
    let mut past = Past::default();
    if let Reading::Unavailable(why) = &input.observed.service_deployments {
        past.unread.push(hidden::in_text(&facts, &format!("the deployments that AWS lists: {why}")));
    }
    let stamped = stamped.unwrap_or_else(|why| {
        past.unread.push(hidden::in_text(&facts, &format!("the tags of trueup's revisions: {why}")));
        Vec::new()
    });
    past.deployments.extend(facts.history().enumerate().map(|(place, one)| facts.entry_of(place, one)));
    let is_listed = |id: &str| past.deployments.iter().any(|one| one.deployment.as_deref() == Some(id));
    let remembered = stamped.iter().filter_map(|(arn, tags)| facts.entry_of_record(arn, tags));
    let remembered = remembered.filter(|one| one.deployment.as_deref().is_some_and(|id| !is_listed(id)));
    let remembered: Vec<PastDeployment> = remembered.collect();
    past.deployments.extend(remembered);
    past.deployments.sort_by_key(|one| std::cmp::Reverse(one.at));
    past
}

impl Facts<'_> {
    /// One that AWS lists.
    fn entry_of(&self, place: usize, one: &ServiceDeployment) -> PastDeployment {
        let id = phase::id(one);
        let memory = one.target.as_ref().and_then(|target| self.ours.get(target));
        // A revision has room for the newest stamp alone.
        let is_newest = self.history().take(place).all(|newer| newer.target != one.target);
        let memory = memory.filter(|_| is_newest);
        let (commit, is_commit_of_image) = match self.commit_brought(one) {
            Some(commit) => (Some(commit), true),
            None => (
                one.target.as_ref().and_then(|target| self.ours.get(target)).map(|ours| ours.commit.clone()),
                false,
            ),
        };
        let phase = self.phase_of(one);
        let causes = match (place, &one.failure) {
            // What is known of the newest is more than AWS's word for it.
            (0, _) if !super::causes::of_deployment(self).is_empty() => super::causes::of_deployment(self),
            (_, Some(failure)) => hidden::in_causes(self, vec![failure.clone()]),
            (_, None) => Vec::new(),
        };
        let started_by = self.starter(one, &id, place);
        let is_by_code_deploy = matches!(self.carrier.listing(), Listing::CodeDeploy { .. });
        PastDeployment {
            source: if is_by_code_deploy { PastSource::CodeDeploy } else { PastSource::Ecs },
            at: one.created_at,
            ended_at: one.finished_at,
            deployment: Some(id),
            revision: one.target.clone(),
            commit,
            is_commit_of_image,
            infra_commit: memory
                .filter(|_| started_by == Some(StartedBy::Trueup))
                .and_then(|memory| memory.applied.as_ref()?.infra_commit.clone()),
            declared_in: None,
            // AWS tells it of each deployment; only of the newest it is read.
            strategy: (place == 0 || is_by_code_deploy).then(|| self.carrier.name()),
            phase: Some(phase),
            started_by,
            causes,
        }
    }

    /// Who started it, as far as that is on record: a stamp is written over by the next one.
    fn starter(&self, one: &ServiceDeployment, id: &str, place: usize) -> Option<StartedBy> {
        let current = self.current.as_ref().filter(|current| place == 0 && current.id == id);
        if let Some(current) = current {
            return Some(self.initiator(current).started_by());
        }
        let memory = one.target.as_ref().and_then(|target| self.ours.get(target))?;
        let is_recorded = memory.outcome.as_ref().is_some_and(|outcome| outcome.deployment == id);
        if is_recorded || memory.has_brought(id) {
            return Some(StartedBy::Trueup);
        }
        self.starter_by_stamp(one, memory)
    }

    /// The commit of the image that a deployment brought, by ECR.
    fn commit_brought(&self, one: &ServiceDeployment) -> Option<Commit> {
        let (wanted, observed) = (self.input.desired.images.first()?, self.images.first()?);
        let named = |digest| commits_of_digest(wanted, observed, digest).into_iter().next();
        one.target
            .as_ref()
            .and_then(|target| self.commit_of(target))
            .or_else(|| one.digests.values().find_map(named))
    }

    /// One that only the tags of its revision tell of.
    fn entry_of_record(
        &self,
        arn: &TaskDefinitionArn,
        tags: &BTreeMap<String, String>,
    ) -> Option<PastDeployment> {
        let record = memory::record(tags, self.input.desired)?;
        let outcome = record.outcome?;
        Some(PastDeployment {
            source: PastSource::Stamp,
            at: record.applied.as_ref().and_then(|applied| applied.at).unwrap_or_default(),
            ended_at: None,
            deployment: Some(outcome.deployment),
            revision: Some(arn.clone()),
            commit: Some(record.commit).filter(|commit| !commit.as_str().is_empty()),
            is_commit_of_image: false,
            infra_commit: record.applied.and_then(|applied| applied.infra_commit),
            declared_in: None,
            strategy: None,
            phase: Some(match outcome.result {
                OutcomeKind::Succeeded => Phase::Succeeded,
                OutcomeKind::Failed => Phase::Failed,
                OutcomeKind::Superseded => Phase::Superseded,
            }),
            started_by: Some(StartedBy::Trueup),
            causes: Vec::new(),
        })
    }
}
