//! Lists of what there is: clusters and services of ECS, and the groups and pipelines by which they are deployed.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::answer::{list, member, next_page, owned, text, texts};
use super::caller::Client;
use super::code_deploy::deployment_group;
use super::ecs::MOST_PAGES;
use crate::model::{
    ClusterName, DeploymentGroup, DeploymentGroupName, Pipeline, PipelineAction, PipelineStage, Region,
    ServiceName,
};
use crate::ports::{CloudError, Directory, Extent, Listing};

/// `ListClusters` and `ListServices` have pages of a hundred (Amazon ECS API reference).
const PAGE: usize = 100;
/// `BatchGetApplications` and `BatchGetDeploymentGroups` take a hundred names (AWS CodeDeploy API reference).
const BATCH: usize = 100;

pub(super) struct DirectoryClient {
    pub ecs: Client,
    pub code_deploy: Client,
    pub pipelines: Client,
}

#[async_trait]
impl Directory for DirectoryClient {
    async fn clusters(&self) -> Result<Listing<ClusterName>, CloudError> {
        let input = json!({"maxResults": PAGE});
        let arns = pages(&self.ecs, "ListClusters", input, "clusterArns").await?;
        Ok(arns.map(|arn| ClusterName::new(last_part(&arn))))
    }

    async fn services(&self, cluster: &ClusterName) -> Result<Listing<ServiceName>, CloudError> {
        let input = json!({"cluster": cluster.as_str(), "maxResults": PAGE});
        let arns = pages(&self.ecs, "ListServices", input, "serviceArns").await?;
        Ok(arns.map(|arn| ServiceName::new(last_part(&arn))))
    }

    async fn deployment_groups(&self) -> Result<Listing<(DeploymentGroupName, DeploymentGroup)>, CloudError> {
        let applications = pages(&self.code_deploy, "ListApplications", json!({}), "applications").await?;
        let mut found = Listing { items: Vec::new(), extent: applications.extent };
        for names in applications.items.chunks(BATCH) {
            let input = json!({"applicationNames": names});
            let described = self.code_deploy.read("BatchGetApplications", input).await?;
            let for_ecs = list(&described, "applicationsInfo")
                .filter(|application| text(application, "computePlatform") == Some("ECS"));
            for application in for_ecs.filter_map(|application| owned(application, "applicationName")) {
                found.append(self.groups_of(&application).await?);
            }
        }
        Ok(found)
    }

    async fn pipeline(&self, name: &str) -> Result<Pipeline, CloudError> {
        let answer = self.pipelines.read("GetPipeline", json!({"name": name})).await?;
        let pipeline = member(&answer, "pipeline");
        let stages = list(pipeline, "stages").take(MOST_STAGES).map(|stage| PipelineStage {
            name: owned(stage, "name").unwrap_or_default(),
            actions: list(stage, "actions").take(MOST_ACTIONS).map(action).collect(),
        });
        Ok(Pipeline { name: name.to_owned(), stages: stages.collect() })
    }
}

/// Stages of a pipeline, and actions of a stage, that are read: ten times what AWS lets one have (AWS CodePipeline quotas).
const MOST_STAGES: usize = 500;
const MOST_ACTIONS: usize = 500;

/// The settings of actions that say what is deployed, from what and where. Others may hold secrets, such as the token of a source.
const SETTINGS: [&str; 21] = [
    "AppSpecTemplatePath",
    "ApplicationName",
    "Branch",
    "BranchName",
    "ClusterName",
    "CustomData",
    "DeploymentGroupName",
    "FileName",
    "FullRepositoryId",
    "Image1ContainerName",
    "Image2ContainerName",
    "Image3ContainerName",
    "Image4ContainerName",
    "ImageTag",
    "Owner",
    "ProjectName",
    "Repo",
    "RepositoryName",
    "ServiceName",
    "TaskDefinitionTemplateArtifact",
    "TaskDefinitionTemplatePath",
];

fn action(described: &Value) -> PipelineAction {
    let kind = member(described, "actionTypeId");
    let configuration = member(described, "configuration");
    let setting = |key: &'static str| Some((key, owned(configuration, key).filter(|text| !text.is_empty())?));
    PipelineAction {
        name: owned(described, "name").unwrap_or_default(),
        category: owned(kind, "category").unwrap_or_default(),
        provider: owned(kind, "provider").unwrap_or_default(),
        region: owned(described, "region").map(Region::new),
        role: owned(described, "roleArn"),
        configuration: SETTINGS.into_iter().filter_map(setting).collect(),
    }
}

impl DirectoryClient {
    async fn groups_of(
        &self,
        application: &str,
    ) -> Result<Listing<(DeploymentGroupName, DeploymentGroup)>, CloudError> {
        let input = json!({"applicationName": application});
        let names = pages(&self.code_deploy, "ListDeploymentGroups", input, "deploymentGroups").await?;
        let mut found = Listing { items: Vec::new(), extent: names.extent };
        for names in names.items.chunks(BATCH) {
            let input = json!({"applicationName": application, "deploymentGroupNames": names});
            let described = self.code_deploy.read("BatchGetDeploymentGroups", input).await?;
            let named = |info: &Value| {
                let group = owned(info, "deploymentGroupName")?;
                let name = DeploymentGroupName { application: application.to_owned(), group };
                Some((name, deployment_group(info)))
            };
            found.items.extend(list(&described, "deploymentGroupsInfo").filter_map(named));
        }
        Ok(found)
    }
}

/// The texts that all pages of a list have under this key, in their order.
async fn pages(
    client: &Client,
    operation: &'static str,
    mut input: Value,
    key: &str,
) -> Result<Listing<String>, CloudError> {
    let mut found = Listing { items: Vec::new(), extent: Extent::Cut };
    for _ in 0..MOST_PAGES {
        let page = client.read(operation, input.clone()).await?;
        found.items.extend(texts(&page, key).map(str::to_owned));
        match next_page(&page, "nextToken") {
            Some(token) => input["nextToken"] = Value::from(token),
            None => {
                found.extent = Extent::Whole;
                break;
            }
        }
    }
    Ok(found)
}

/// The name at the end of an ARN, of the old and the new form: `service/NAME` and `service/CLUSTER/NAME`.
fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
