//! AWS CodeDeploy.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_smithy_types::DateTime;
use serde_json::{Value, json};

use super::answer::{count, flag, list, member, next_page, owned, text, texts, time};
use super::caller::Client;
use super::ecs::MOST_PAGES;
use crate::documents::code_deploy;
use crate::model::{
    ClusterName, CodeDeployError, CodeDeployStatus, CodeDeployment, DeploymentGroup, Group, Millis,
    NewDeployment, Progress, ServiceName, Wait,
};
use crate::ports::{CloudError, CodeDeploy};

/// `BatchGetDeployments` takes 25 ids (AWS CodeDeploy API reference).
const BATCH: usize = 25;

pub(super) struct CodeDeployClient(pub Client);

impl CodeDeployClient {
    async fn describe(&self, ids: &[String]) -> Result<Vec<CodeDeployment>, CloudError> {
        let mut found = Vec::new();
        for batch in ids.chunks(BATCH) {
            let answer = self.0.read("BatchGetDeployments", json!({"deploymentIds": batch})).await?;
            found.extend(list(&answer, "deploymentsInfo").filter_map(deployment));
        }
        Ok(found)
    }
}

#[async_trait]
impl CodeDeploy for CodeDeployClient {
    async fn group(&self, application: &str, group: &str) -> Result<Group, CloudError> {
        let input = json!({"applicationName": application, "deploymentGroupName": group});
        match self.0.read("GetDeploymentGroup", input).await {
            Ok(answer) => {
                let info = answer.get("deploymentGroupInfo");
                let info =
                    info.ok_or_else(|| CloudError::Unavailable("the answer held no group".to_owned()))?;
                Ok(Group::Found(deployment_group(info)))
            }
            Err(CloudError::NotFound(why)) if why.starts_with("Application") => Ok(Group::NoApplication),
            Err(CloudError::NotFound(_)) => Ok(Group::NoGroup),
            Err(other) => Err(other),
        }
    }

    async fn deployments(
        &self,
        application: &str,
        group: &str,
        since: Option<Millis>,
        most: usize,
    ) -> Result<Vec<CodeDeployment>, CloudError> {
        let mut input = json!({"applicationName": application, "deploymentGroupName": group});
        if let Some(since) = since {
            input["createTimeRange"] = json!({"start": DateTime::from_millis(since).as_secs_f64()});
        }
        let mut ids = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.0.read("ListDeployments", input.clone()).await?;
            ids.extend(texts(&page, "deployments").map(str::to_owned));
            match next_page(&page, "nextToken") {
                Some(token) if ids.len() < most => input["nextToken"] = Value::from(token),
                _ => break,
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
        let input = json!({"deploymentId": deployment, "targetId": format!("{cluster}:{service}")});
        let answer = self.0.read("GetDeploymentTarget", input).await?;
        let target = member(&answer, "deploymentTarget").get("ecsTarget");
        target.map(progress).ok_or_else(|| CloudError::Unavailable("the answer held no target".to_owned()))
    }

    async fn app_spec(&self, application: &str, sha256: &str) -> Result<String, CloudError> {
        let revision = json!({"revisionType": "AppSpecContent", "appSpecContent": {"sha256": sha256}});
        let input = json!({"applicationName": application, "revision": revision});
        let answer = self.0.read("GetApplicationRevision", input).await?;
        let content = owned(member(member(&answer, "revision"), "appSpecContent"), "content");
        content.ok_or_else(|| CloudError::NotFound(format!("the AppSpec {sha256}")))
    }

    async fn create_deployment(&self, new: &NewDeployment) -> Result<(), CloudError> {
        self.0.write("CreateDeployment", code_deploy::deployment_input(new)).await.map(drop)
    }

    async fn stop(&self, deployment: &str) -> Result<(), CloudError> {
        let input = json!({"deploymentId": deployment, "autoRollbackEnabled": true});
        is_over(self.0.write("StopDeployment", input).await)
    }

    async fn end_wait(&self, deployment: &str, wait: Wait) -> Result<(), CloudError> {
        let wait = match wait {
            Wait::Ready => "READY_WAIT",
            Wait::Termination => "TERMINATION_WAIT",
        };
        let input = json!({"deploymentId": deployment, "deploymentWaitType": wait});
        is_over(self.0.write("ContinueDeployment", input).await)
    }

    async fn create_application(&self, name: &str) -> Result<(), CloudError> {
        let input = json!({"applicationName": name, "computePlatform": "ECS"});
        self.0.write("CreateApplication", input).await.map(drop)
    }

    async fn create_group(&self, input: &Value) -> Result<(), CloudError> {
        self.0.write("CreateDeploymentGroup", input.clone()).await.map(drop)
    }
}

/// A deployment that ended by itself meanwhile needs no stop and has no wait.
fn is_over(result: Result<Value, CloudError>) -> Result<(), CloudError> {
    match result {
        Err(CloudError::Rejected(why)) if why.starts_with("DeploymentAlreadyCompleted") => Ok(()),
        other => other.map(drop),
    }
}

pub(super) fn deployment_group(info: &Value) -> DeploymentGroup {
    let services = list(info, "ecsServices").map(|service| {
        let name = |key| {
            let text = text(service, key).unwrap_or_default();
            text.rsplit('/').next().unwrap_or(text).to_owned()
        };
        (ClusterName::new(name("clusterName")), ServiceName::new(name("serviceName")))
    });
    let pair = list(member(info, "loadBalancerInfo"), "targetGroupPairInfoList").next();
    let pair = pair.unwrap_or(&Value::Null);
    let watched = member(info, "alarmConfiguration");
    let alarms = list(watched, "alarms").filter(|_| flag(watched, "enabled"));
    let leads = |route: &str| list(member(pair, route), "listenerArns").next().is_some();
    DeploymentGroup {
        is_for_ecs: text(info, "computePlatform") == Some("ECS"),
        services: services.collect(),
        target_groups: list(pair, "targetGroups").filter_map(|group| owned(group, "name")).collect(),
        has_production_listener: leads("prodTrafficRoute"),
        has_test_listener: leads("testTrafficRoute"),
        alarms: alarms.filter_map(|alarm| owned(alarm, "name")).collect(),
        service_role: owned(info, "serviceRoleArn"),
        last_success: time(member(info, "lastSuccessfulDeployment"), "createTime"),
    }
}

fn deployment(info: &Value) -> Option<CodeDeployment> {
    let ready = member(info, "blueGreenDeploymentConfiguration").get("deploymentReadyOption");
    let rollback = member(info, "rollbackInfo");
    Some(CodeDeployment {
        id: owned(info, "deploymentId")?,
        status: match text(info, "status") {
            Some("Created") => CodeDeployStatus::Created,
            Some("Queued") => CodeDeployStatus::Queued,
            Some("InProgress") => CodeDeployStatus::InProgress,
            Some("Baking") => CodeDeployStatus::Baking,
            Some("Ready") => CodeDeployStatus::Ready,
            Some("Succeeded") => CodeDeployStatus::Succeeded,
            Some("Failed") => CodeDeployStatus::Failed,
            Some("Stopped") => CodeDeployStatus::Stopped,
            _ => CodeDeployStatus::Unknown,
        },
        is_rollback: text(info, "creator") == Some("codeDeployRollback"),
        undoes: owned(rollback, "rollbackTriggeringDeploymentId"),
        description: owned(info, "description"),
        sha256: owned(member(member(info, "revision"), "appSpecContent"), "sha256"),
        error: info.get("errorInformation").map(|error| CodeDeployError {
            code: owned(error, "code").unwrap_or_default(),
            message: owned(error, "message").unwrap_or_default(),
            event: None,
        }),
        rolled_back_by: owned(rollback, "rollbackDeploymentId"),
        has_previous: info.get("previousRevision").is_some(),
        termination_started: flag(info, "instanceTerminationWaitTimeStarted"),
        ready_wait: ready.map(|ready| count(ready, "waitTimeInMinutes")),
        created_at: time(info, "createTime").unwrap_or_default(),
        completed_at: time(info, "completeTime"),
    })
}

fn progress(target: &Value) -> Progress {
    let goes_on = |event: &&Value| matches!(text(event, "status"), None | Some("Pending" | "InProgress"));
    let goes_on = list(target, "lifecycleEvents").find(goes_on);
    let failed = list(target, "lifecycleEvents").find(|event| text(event, "status") == Some("Failed"));
    let green = list(target, "taskSetsInfo").find(|set| text(set, "taskSetLabel") == Some("Green"));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
    let percent = |weight: f64| weight.clamp(0.0, 100.0) as u8;
    Progress {
        event: goes_on.and_then(|event| owned(event, "lifecycleEventName")),
        failed: failed.and_then(|event| owned(event, "lifecycleEventName")),
        traffic: green.map(|set| percent(member(set, "trafficWeight").as_f64().unwrap_or_default())),
        since: list(target, "lifecycleEvents").filter_map(|event| time(event, "endTime")).max(),
    }
}
