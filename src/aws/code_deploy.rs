//! AWS CodeDeploy.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::types as sdk;
use aws_smithy_types::DateTime;
use serde_json::Value;

use super::ecs::MOST_PAGES;
use super::error::{classify_read, classify_write};
use super::raw::RawJson;
use crate::model::{
    ClusterName, CodeDeployError, CodeDeployStatus, CodeDeployment, DeploymentGroup, Group, Millis,
    NewDeployment, Progress, ServiceName, Wait,
};
use crate::plan::blue_green;
use crate::ports::{CloudError, CodeDeploy};

/// `BatchGetDeployments` takes 25 ids (AWS CodeDeploy API reference).
const BATCH: usize = 25;

pub struct CodeDeployClient(pub Client);

impl CodeDeployClient {
    async fn describe(&self, ids: &[String]) -> Result<Vec<CodeDeployment>, CloudError> {
        let mut found = Vec::new();
        for batch in ids.chunks(BATCH) {
            let call = self.0.batch_get_deployments().set_deployment_ids(Some(batch.to_vec()));
            let answer = call.send().await.map_err(|error| classify_read(&error))?;
            found.extend(answer.deployments_info().iter().filter_map(convert_deployment));
        }
        Ok(found)
    }
}

#[async_trait]
impl CodeDeploy for CodeDeployClient {
    async fn group(&self, application: &str, group: &str) -> Result<Group, CloudError> {
        let call = self.0.get_deployment_group().application_name(application).deployment_group_name(group);
        match call.send().await {
            Ok(answer) => {
                let info = answer.deployment_group_info();
                let info =
                    info.ok_or_else(|| CloudError::Unavailable("the answer held no group".to_owned()))?;
                Ok(Group::Found(convert_group(info)))
            }
            Err(error) => match classify_read(&error) {
                CloudError::NotFound(why) if why.starts_with("Application") => Ok(Group::NoApplication),
                CloudError::NotFound(_) => Ok(Group::NoGroup),
                other => Err(other),
            },
        }
    }

    async fn deployments(
        &self,
        application: &str,
        group: &str,
        since: Option<Millis>,
        most: usize,
    ) -> Result<Vec<CodeDeployment>, CloudError> {
        let range = since.map(|since| sdk::TimeRange::builder().start(DateTime::from_millis(since)).build());
        let (mut ids, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self
                .0
                .list_deployments()
                .application_name(application)
                .deployment_group_name(group)
                .set_create_time_range(range.clone())
                .set_next_token(token);
            let page = call.send().await.map_err(|error| classify_read(&error))?;
            ids.extend_from_slice(page.deployments());
            token = page.next_token().map(str::to_owned);
            if token.is_none() || ids.len() >= most {
                break;
            }
        }
        ids.truncate(most);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.describe(&ids).await?;
        // A rollback may have begun after the list was made, and what it undoes lies before its success.
        let known: BTreeSet<&String> = found.iter().map(|one| &one.id).collect();
        let others = found.iter().flat_map(|one| one.rolled_back_by.iter().chain(&one.undoes)).cloned();
        let missing: Vec<String> = others.filter(|id| !known.contains(id)).collect();
        if !missing.is_empty() {
            found.extend(self.describe(&missing).await?);
        }
        Ok(found)
    }

    async fn progress(
        &self,
        deployment: &str,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Result<Progress, CloudError> {
        let id = format!("{cluster}:{service}");
        let call = self.0.get_deployment_target().deployment_id(deployment).target_id(id);
        let answer = call.send().await.map_err(|error| classify_read(&error))?;
        let target = answer.deployment_target().and_then(sdk::DeploymentTarget::ecs_target);
        target
            .map(convert_progress)
            .ok_or_else(|| CloudError::Unavailable("the answer held no target".to_owned()))
    }

    async fn app_spec(&self, application: &str, sha256: &str) -> Result<String, CloudError> {
        let content = sdk::AppSpecContent::builder().sha256(sha256).build();
        let location = sdk::RevisionLocation::builder()
            .revision_type(sdk::RevisionLocationType::AppSpecContent)
            .app_spec_content(content)
            .build();
        let call = self.0.get_application_revision().application_name(application).revision(location);
        let answer = call.send().await.map_err(|error| classify_read(&error))?;
        let content = answer.revision().and_then(|revision| revision.app_spec_content()?.content());
        content.map(str::to_owned).ok_or_else(|| CloudError::NotFound(format!("the AppSpec {sha256}")))
    }

    async fn create_deployment(&self, new: &NewDeployment) -> Result<(), CloudError> {
        let input = blue_green::deployment_input(new);
        let call = self.0.create_deployment().application_name(&new.application);
        let sent = call.customize().interceptor(RawJson::send(&input)).send().await;
        sent.map(|_| ()).map_err(|error| classify_write(&error))
    }

    async fn stop(&self, deployment: &str) -> Result<(), CloudError> {
        let call = self.0.stop_deployment().deployment_id(deployment).auto_rollback_enabled(true);
        is_over(call.send().await.map(|_| ()).map_err(|error| classify_write(&error)))
    }

    async fn end_wait(&self, deployment: &str, wait: Wait) -> Result<(), CloudError> {
        let wait = match wait {
            Wait::Ready => sdk::DeploymentWaitType::ReadyWait,
            Wait::Termination => sdk::DeploymentWaitType::TerminationWait,
        };
        let call = self.0.continue_deployment().deployment_id(deployment).deployment_wait_type(wait);
        is_over(call.send().await.map(|_| ()).map_err(|error| classify_write(&error)))
    }

    async fn create_application(&self, name: &str) -> Result<(), CloudError> {
        let call =
            self.0.create_application().application_name(name).compute_platform(sdk::ComputePlatform::Ecs);
        call.send().await.map(|_| ()).map_err(|error| classify_write(&error))
    }

    async fn create_group(&self, input: &Value) -> Result<(), CloudError> {
        // The typed members only satisfy the builder; the body is replaced by the raw input.
        let call = self
            .0
            .create_deployment_group()
            .application_name("-")
            .deployment_group_name("-")
            .service_role_arn("-");
        let sent = call.customize().interceptor(RawJson::send(input)).send().await;
        sent.map(|_| ()).map_err(|error| classify_write(&error))
    }
}

/// A deployment that ended by itself meanwhile needs no stop and has no wait.
fn is_over(result: Result<(), CloudError>) -> Result<(), CloudError> {
    match result {
        Err(CloudError::Rejected(why)) if why.starts_with("DeploymentAlreadyCompleted") => Ok(()),
        other => other,
    }
}

fn millis(time: Option<&DateTime>) -> Option<Millis> {
    time.and_then(|time| time.to_millis().ok())
}

fn convert_group(info: &sdk::DeploymentGroupInfo) -> DeploymentGroup {
    let services = info.ecs_services().iter().map(|service| {
        let name = |text: Option<&str>| {
            let text = text.unwrap_or_default();
            text.rsplit('/').next().unwrap_or(text).to_owned()
        };
        (ClusterName::new(name(service.cluster_name())), ServiceName::new(name(service.service_name())))
    });
    let pairs = info.load_balancer_info().map(sdk::LoadBalancerInfo::target_group_pair_info_list);
    let pair = pairs.and_then(<[sdk::TargetGroupPairInfo]>::first);
    let groups = pair.map(sdk::TargetGroupPairInfo::target_groups).unwrap_or_default();
    let leads =
        |route: Option<&sdk::TrafficRoute>| route.is_some_and(|route| !route.listener_arns().is_empty());
    let success = info.last_successful_deployment();
    DeploymentGroup {
        is_for_ecs: info.compute_platform() == Some(&sdk::ComputePlatform::Ecs),
        services: services.collect(),
        target_groups: groups.iter().filter_map(|group| group.name().map(str::to_owned)).collect(),
        has_production_listener: leads(pair.and_then(sdk::TargetGroupPairInfo::prod_traffic_route)),
        has_test_listener: leads(pair.and_then(sdk::TargetGroupPairInfo::test_traffic_route)),
        last_success: millis(success.and_then(sdk::LastDeploymentInfo::create_time)),
    }
}

fn convert_deployment(info: &sdk::DeploymentInfo) -> Option<CodeDeployment> {
    let error = info.error_information().map(|error| CodeDeployError {
        code: error.code().map(|code| code.as_str().to_owned()).unwrap_or_default(),
        message: error.message().unwrap_or_default().to_owned(),
    });
    let blue_green = info.blue_green_deployment_configuration();
    let ready = blue_green.and_then(sdk::BlueGreenDeploymentConfiguration::deployment_ready_option);
    let content = info.revision().and_then(sdk::RevisionLocation::app_spec_content);
    Some(CodeDeployment {
        id: info.deployment_id()?.to_owned(),
        status: match info.status() {
            Some(sdk::DeploymentStatus::Created) => CodeDeployStatus::Created,
            Some(sdk::DeploymentStatus::Queued) => CodeDeployStatus::Queued,
            Some(sdk::DeploymentStatus::InProgress) => CodeDeployStatus::InProgress,
            Some(sdk::DeploymentStatus::Baking) => CodeDeployStatus::Baking,
            Some(sdk::DeploymentStatus::Ready) => CodeDeployStatus::Ready,
            Some(sdk::DeploymentStatus::Succeeded) => CodeDeployStatus::Succeeded,
            Some(sdk::DeploymentStatus::Failed) => CodeDeployStatus::Failed,
            Some(sdk::DeploymentStatus::Stopped) => CodeDeployStatus::Stopped,
            _ => CodeDeployStatus::Unknown,
        },
        is_rollback: info.creator() == Some(&sdk::DeploymentCreator::CodeDeployRollback),
        undoes: info
            .rollback_info()
            .and_then(|rollback| rollback.rollback_triggering_deployment_id())
            .map(str::to_owned),
        description: info.description().map(str::to_owned),
        sha256: content.and_then(|content| content.sha256()).map(str::to_owned),
        error,
        rolled_back_by: info
            .rollback_info()
            .and_then(|rollback| rollback.rollback_deployment_id())
            .map(str::to_owned),
        has_previous: info.previous_revision().is_some(),
        termination_started: info.instance_termination_wait_time_started(),
        ready_wait: ready.map(sdk::DeploymentReadyOption::wait_time_in_minutes),
        created_at: millis(info.create_time()).unwrap_or_default(),
        completed_at: millis(info.complete_time()),
    })
}

fn convert_progress(target: &sdk::EcsTarget) -> Progress {
    let events = target.lifecycle_events();
    let goes_on = events.iter().find(|event| {
        matches!(
            event.status(),
            None | Some(sdk::LifecycleEventStatus::Pending | sdk::LifecycleEventStatus::InProgress)
        )
    });
    let green =
        target.task_sets_info().iter().find(|set| set.task_set_label() == Some(&sdk::TargetLabel::Green));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
    let traffic = green.map(|set| set.traffic_weight().clamp(0.0, 100.0) as u8);
    Progress {
        event: goes_on.and_then(|event| event.lifecycle_event_name()).map(str::to_owned),
        traffic,
        since: events.iter().filter_map(|event| millis(event.end_time())).max(),
    }
}
