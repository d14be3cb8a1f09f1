//! The deployments of a service, from where that lists them which carries them out.

use std::collections::BTreeMap;

use super::Observer;
use crate::documents::app_spec;
use crate::model::{
    CodeDeployment, DeploymentGroup, Desired, Group, Lookback, Millis, Reading, Service, ServiceDeployment,
    TaskDefinitionArn,
};
use crate::plan::carriers::{self, Listing, code_deploy};
use crate::ports::CloudError;

/// Service deployments that are read: enough for three replacements in a row and the last good one.
const DEPLOYMENTS: usize = 20;
/// Deployments of CodeDeploy that are read: those since the last one that succeeded, and of a day before it.
const CODE_DEPLOYMENTS: usize = 100;
const BEFORE_SUCCESS: Millis = 24 * 3_600_000;
/// Of those whose hook has failed, the newest are asked at which event: what is told of (chosen).
const FAILED_HOOKS: usize = 2;

/// How the deployments of a service are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::controller) enum Past {
    /// By their list, which costs a call for each service.
    #[default]
    Listed,
    /// The one that the service names, for who has read nothing yet; twenty services share a call.
    Newest,
    /// As they were read before, with what may have become of them since; where the service names another one, by their list.
    Known(Vec<ServiceDeployment>, Lookback),
}

/// What was read of them.
pub(in crate::controller) struct Deployments {
    /// Of CodeDeploy.
    pub group: Option<Reading<Group>>,
    /// The newest first.
    pub all: Reading<Vec<ServiceDeployment>>,
    pub lookback: Lookback,
}

impl Deployments {
    fn listed(all: Reading<Vec<ServiceDeployment>>) -> Self {
        Self { group: None, all, lookback: Lookback::Listed }
    }
}

impl Observer<'_> {
    pub(in crate::controller) async fn deployments(
        &self,
        desired: &Desired,
        service: &Reading<Service>,
        past: Past,
    ) -> Deployments {
        let (service, name) = match (service, desired.service()) {
            (Reading::Known(service), Some(name)) => (service, name),
            (Reading::Absent, _) | (_, None) => return Deployments::listed(Reading::Absent),
            (Reading::Unavailable(why), _) => {
                return Deployments::listed(Reading::Unavailable(why.clone()));
            }
        };
        let listing = carriers::of(desired, service).listing();
        let (application, group) = match listing {
            Listing::ServiceDeployments => {
                if let Some(named) = self.named_deployments(service, past).await {
                    return named;
                }
                let found = self.ecs.service_deployments(&desired.cluster, name, DEPLOYMENTS).await;
                return Deployments::listed(Reading::from(found));
            }
            Listing::CodeDeploy { application, group } => (application, group),
        };
        let found = Reading::from(self.code_deploy.group(&application, &group).await);
        let history = match &found {
            Reading::Known(Group::Found(known)) => {
                Reading::from(self.code_deploy_history(desired, service, (&application, &group), known).await)
            }
            Reading::Known(_) | Reading::Absent => Reading::Known(Vec::new()),
            Reading::Unavailable(why) => Reading::Unavailable(why.clone()),
        };
        Deployments { group: Some(found), ..Deployments::listed(history) }
    }

    /// What can be told by the name that the service gives to its newest deployment. What AWS does not describe under it is looked
    /// for in the list.
    async fn named_deployments(&self, service: &Service, past: Past) -> Option<Deployments> {
        let newest = service.newest_deployment.as_ref()?;
        let (known, lookback) = match past {
            Past::Listed => return None,
            Past::Newest => (Vec::new(), Lookback::Newest),
            Past::Known(known, lookback) if known.first().map(|one| &one.arn) == Some(newest) => {
                (known, lookback)
            }
            Past::Known(..) => return None,
        };
        let again = known.iter().filter(|one| !one.says_no_more()).map(|one| one.arn.clone());
        let again: Vec<String> = if known.is_empty() { vec![newest.clone()] } else { again.collect() };
        let asked = again.len();
        let mut found = match self.ecs.deployments_of(again).await {
            Ok(found) if found.len() == asked => found,
            Ok(_) => return None,
            Err(error) => return Some(Deployments::listed(Reading::from(Err(error)))),
        };
        let mut now = |one: ServiceDeployment| match found.iter().position(|now| now.arn == one.arn) {
            Some(place) => found.swap_remove(place),
            None => one,
        };
        let known: Vec<_> = known.into_iter().map(&mut now).collect();
        let all = if known.is_empty() { found } else { known };
        Some(Deployments { lookback, ..Deployments::listed(Reading::Known(all)) })
    }

    async fn code_deploy_history(
        &self,
        desired: &Desired,
        service: &Service,
        (application, group): (&str, &str),
        found: &DeploymentGroup,
    ) -> Result<Vec<ServiceDeployment>, CloudError> {
        // What came before the newest success is asked for as well: that one may turn out to be none.
        let since = found.last_success.map(|at| at.saturating_sub(BEFORE_SUCCESS));
        let mut deployments =
            self.code_deploy.deployments(application, group, since, CODE_DEPLOYMENTS).await?;
        self.name_failed_hooks(desired, &mut deployments).await;
        let mut targets = BTreeMap::new();
        for sha256 in deployments.iter().filter_map(|deployment| deployment.sha256.as_ref()) {
            if let Some(target) = self.target_of(application, sha256).await? {
                targets.insert(sha256.clone(), target);
            }
        }
        let in_flight = deployments.iter().find(|one| !one.is_rollback && !one.status.is_over());
        // Without it the deployment is still told of; that its stage is unknown keeps it from being stopped.
        let progress = match in_flight.zip(desired.service()) {
            Some((one, name)) => self.code_deploy.progress(&one.id, &desired.cluster, name).await.ok(),
            None => None,
        };
        Ok(code_deploy::history(&deployments, &targets, progress.as_ref(), service))
    }

    /// At which event a function has failed. Without it the failure is still told of, by its code.
    async fn name_failed_hooks(&self, desired: &Desired, deployments: &mut [CodeDeployment]) {
        let Some(service) = desired.service() else { return };
        let mut failed: Vec<&mut CodeDeployment> =
            deployments.iter_mut().filter(|one| code_deploy::has_failed_hook(one)).collect();
        failed.sort_by_key(|one| std::cmp::Reverse(one.created_at));
        for (place, one) in failed.into_iter().enumerate() {
            let mut event = self.cache.failed_event(&one.id);
            if event.is_none() && place < FAILED_HOOKS {
                let read = self.code_deploy.progress(&one.id, &desired.cluster, service).await.ok();
                event = read.and_then(|read| read.failed);
                if let Some(event) = &event {
                    self.cache.keep_failed_event(&one.id, event.clone());
                }
            }
            if let Some(error) = &mut one.error {
                error.event = event;
            }
        }
    }

    /// What an `AppSpec` deploys never changes and is read once.
    async fn target_of(
        &self,
        application: &str,
        sha256: &str,
    ) -> Result<Option<TaskDefinitionArn>, CloudError> {
        let key = (application.to_owned(), sha256.to_owned());
        if let Some(kept) = self.cache.target(&key) {
            return Ok(Some(kept));
        }
        let content = match self.code_deploy.app_spec(application, sha256).await {
            Ok(content) => content,
            Err(CloudError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let target = app_spec::deployed(&content).map(TaskDefinitionArn::new);
        if let Some(target) = &target {
            self.cache.keep_target(key, target.clone());
        }
        Ok(target)
    }
}
