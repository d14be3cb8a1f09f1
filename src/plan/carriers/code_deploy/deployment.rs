//! One deployment of CodeDeploy: what is sent to start it, and what it says of itself.

use serde_json::{Value, json};

use crate::documents::app_spec;
use crate::model::{
    CodeDeploy, Commit, DeclarationHash, Desired, NewDeployment, Service, TaskDefinitionArn, Waiting,
};
use crate::plan::carriers::Start;

/// Characters of a description (AWS `CodeDeploy` user guide, quotas).
const DESCRIPTION: usize = 512;

/// What a deployment of ours says of itself: `trueup <environment>/<application> <commit> <task definition> <declaration>`.
pub fn description(
    desired: &Desired,
    (commit, declared): (Option<&Commit>, Option<&DeclarationHash>),
    revision: &TaskDefinitionArn,
) -> String {
    let commit = commit.map_or("-", Commit::as_str);
    let declared = declared.map_or("-", DeclarationHash::as_str);
    let text = format!("trueup {} {commit} {revision} {declared}", desired.target);
    text.chars().take(DESCRIPTION).collect()
}

pub(super) fn described_target(description: &str) -> Option<TaskDefinitionArn> {
    let mut words = description.split(' ');
    (words.next() == Some("trueup")).then_some(())?;
    words.nth(2).filter(|arn| arn.starts_with("arn:")).map(TaskDefinitionArn::new)
}

/// The deployment that brings `revision`.
pub(super) fn new_deployment(
    settings: &CodeDeploy,
    (application, group): (&str, &str),
    desired: &Desired,
    service: &Service,
    start: &Start<'_>,
) -> Result<NewDeployment, Waiting> {
    let (revision, declared) = (start.revision, (start.commit.as_ref(), start.declared));
    Ok(NewDeployment {
        app_spec: app_spec(settings, service, revision, group)?.to_string(),
        description: description(desired, declared, revision),
        configuration: settings.configuration.clone(),
        revision: revision.clone(),
        application: application.to_owned(),
        group: group.to_owned(),
    })
}

/// The declared file with the task definition filled in, or one made from what the primary task set has.
fn app_spec(
    settings: &CodeDeploy,
    service: &Service,
    revision: &TaskDefinitionArn,
    group: &str,
) -> Result<Value, Waiting> {
    if let Some(declared) = &settings.app_spec {
        return Ok(app_spec::filled_in(&declared.content, revision.as_str()));
    }
    let balancer = service.primary().and_then(|primary| primary.load_balancer.as_ref());
    let unfit = || Waiting::GroupUnfit {
        group: group.to_owned(),
        why: "the primary task set has no load balancer, so that no AppSpec can be made from it".to_owned(),
    };
    let balancer = balancer.ok_or_else(unfit)?;
    Ok(json!({
        "version": 0.0,
        "Resources": [{"TargetService": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "TaskDefinition": revision.as_str(),
                "LoadBalancerInfo": {"ContainerName": balancer.container, "ContainerPort": balancer.port},
            },
        }}],
    }))
}
