//! The least-privilege policy for exactly what a repository declares. Pure.
//!
//! Which action takes which resource and condition: AWS service authorization reference, tables of Amazon ECS, Amazon
//! ECR, AWS CodeDeploy and AWS IAM. `sts:GetCallerIdentity` needs no permission.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::{
    CodeDeploy, Declaration, Desired, MoveTag, NewGroup, Region, Strategy, TaskDefinitionSource,
};
use crate::plan::blue_green;

/// What the policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `plan`, `status`, `wait`, `run --observe`.
    Read,
    /// Everything.
    Write,
}

/// One statement: its name, the actions, and what may be added to them.
struct Statement {
    name: &'static str,
    actions: &'static [&'static str],
    resources: BTreeSet<String>,
    condition: Option<Value>,
}

/// The policy document for all readable applications.
pub fn policy(declaration: &Declaration, access: Access) -> Value {
    let desired: Vec<&Desired> = declaration.readable().collect();
    let mut statements = reads(&desired);
    if access == Access::Write {
        statements.extend(writes(&desired));
    }
    let described = statements.into_iter().filter(|statement| !statement.resources.is_empty());
    let described = described.map(|statement| {
        let mut one = json!({
            "Sid": statement.name,
            "Effect": "Allow",
            "Action": statement.actions,
            "Resource": statement.resources,
        });
        if let Some(condition) = statement.condition {
            one["Condition"] = condition;
        }
        one
    });
    json!({"Version": "2012-10-17", "Statement": described.collect::<Vec<_>>()})
}

fn reads(desired: &[&Desired]) -> Vec<Statement> {
    let clusters: BTreeSet<String> =
        desired.iter().map(|one| arn(one, "ecs", &format!("cluster/{}", one.cluster))).collect();
    vec![
        Statement {
            name: "ReadServices",
            actions: &[
                "ecs:DescribeServices",
                "ecs:ListServiceDeployments",
                "ecs:DescribeServiceDeployments",
                "ecs:DescribeServiceRevisions",
            ],
            resources: desired.iter().flat_map(|one| of_service(one)).collect(),
            condition: None,
        },
        Statement {
            name: "ReadTasks",
            actions: &["ecs:ListTasks", "ecs:DescribeTasks"],
            resources: any(desired),
            condition: Some(json!({"ArnEquals": {"ecs:cluster": clusters}})),
        },
        Statement {
            name: "ReadTaskDefinitions",
            actions: &["ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition"],
            resources: any(desired),
            condition: None,
        },
        Statement {
            name: "ReadImages",
            // The manifest of an image for several platforms says which.
            actions: &["ecr:DescribeRepositories", "ecr:DescribeImages", "ecr:BatchGetImage"],
            resources: desired.iter().flat_map(|one| repositories(one)).collect(),
            condition: None,
        },
        Statement {
            name: "ReadDeployments",
            actions: &[
                "codedeploy:GetDeploymentGroup",
                "codedeploy:ListDeployments",
                "codedeploy:BatchGetDeployments",
            ],
            resources: groups(desired, |_| true),
            condition: None,
        },
        Statement {
            name: "ReadAppSpecs",
            actions: &["codedeploy:GetApplicationRevision"],
            resources: applications(desired, |_| true),
            condition: None,
        },
        Statement {
            name: "ReadTraffic",
            actions: &["codedeploy:GetDeploymentTarget"],
            resources: if groups(desired, |_| true).is_empty() { BTreeSet::new() } else { any(desired) },
            condition: None,
        },
    ]
}

fn writes(desired: &[&Desired]) -> Vec<Statement> {
    let moves = |one: &&&Desired| one.policy.move_tag == MoveTag::AfterSuccess;
    let by_code_deploy = groups(desired, |_| true);
    let new: Vec<(&Desired, &NewGroup)> =
        settings(desired).filter_map(|(one, settings)| Some((one, settings?.create.as_ref()?))).collect();
    vec![
        Statement {
            name: "RegisterTaskDefinitions",
            actions: &["ecs:RegisterTaskDefinition", "ecs:TagResource"],
            resources: desired.iter().map(|one| task_definitions(one)).collect(),
            condition: None,
        },
        Statement {
            name: "UpdateServices",
            actions: &["ecs:UpdateService"],
            resources: desired
                .iter()
                .filter(|one| updates(one))
                .map(|one| arn(one, "ecs", &format!("service/{}/{}", one.cluster, one.service)))
                .collect(),
            condition: None,
        },
        Statement {
            name: "MoveTags",
            actions: &["ecr:PutImage"],
            resources: desired.iter().filter(moves).flat_map(|one| repositories(one)).collect(),
            condition: None,
        },
        Statement {
            name: "PassRolesToTasks",
            actions: &["iam:PassRole"],
            resources: desired.iter().flat_map(|one| roles(one)).collect(),
            condition: Some(json!({"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}})),
        },
        Statement {
            name: "Deploy",
            actions: &["codedeploy:CreateDeployment"],
            resources: by_code_deploy.clone(),
            condition: None,
        },
        Statement {
            name: "DeployAppSpecs",
            actions: &["codedeploy:RegisterApplicationRevision"],
            resources: applications(desired, |_| true),
            condition: None,
        },
        Statement {
            name: "DeployConfigurations",
            actions: &["codedeploy:GetDeploymentConfig"],
            resources: settings(desired)
                .map(|(one, _)| arn(one, "codedeploy", "deploymentconfig:*"))
                .collect(),
            condition: None,
        },
        Statement {
            name: "StopAndContinue",
            actions: &["codedeploy:StopDeployment", "codedeploy:ContinueDeployment"],
            resources: if by_code_deploy.is_empty() { BTreeSet::new() } else { any(desired) },
            condition: None,
        },
        Statement {
            name: "CreateApplications",
            actions: &["codedeploy:CreateApplication"],
            resources: applications(desired, |settings| settings.create.is_some()),
            condition: None,
        },
        Statement {
            name: "CreateGroups",
            actions: &["codedeploy:CreateDeploymentGroup"],
            resources: groups(desired, |settings| settings.create.is_some()),
            condition: None,
        },
        Statement {
            name: "PassRolesToCodeDeploy",
            actions: &["iam:PassRole"],
            resources: new.iter().map(|(_, group)| group.service_role.clone()).collect(),
            condition: Some(json!({"StringEquals": {"iam:PassedToService": "codedeploy.amazonaws.com"}})),
        },
    ]
}

/// Whether `UpdateService` is called of this service: for a rolling deployment, or for its own settings.
fn updates(desired: &Desired) -> bool {
    !matches!(desired.strategy, Strategy::CodeDeploy(_)) || desired.service_settings.is_some()
}

/// Where CodeDeploy may deploy: where it is declared, and with the default names where no strategy is.
fn settings<'a>(desired: &[&'a Desired]) -> impl Iterator<Item = (&'a Desired, Option<&'a CodeDeploy>)> {
    desired.iter().filter_map(|one| match &one.strategy {
        Strategy::CodeDeploy(settings) => Some((*one, Some(settings.as_ref()))),
        Strategy::Unspecified => Some((*one, None)),
        Strategy::Rolling => None,
    })
}

fn groups(desired: &[&Desired], wanted: fn(&CodeDeploy) -> bool) -> BTreeSet<String> {
    named(desired, wanted, |(application, group)| format!("deploymentgroup:{application}/{group}"))
}

fn applications(desired: &[&Desired], wanted: fn(&CodeDeploy) -> bool) -> BTreeSet<String> {
    named(desired, wanted, |(application, _)| format!("application:{application}"))
}

fn named(
    desired: &[&Desired],
    wanted: fn(&CodeDeploy) -> bool,
    resource: fn((String, String)) -> String,
) -> BTreeSet<String> {
    let default = CodeDeploy::default();
    let chosen = settings(desired).map(|(one, settings)| (one, settings.unwrap_or(&default)));
    let chosen = chosen.filter(|(_, settings)| wanted(settings));
    chosen
        .map(|(one, settings)| arn(one, "codedeploy", &resource(blue_green::names(settings, one))))
        .collect()
}

fn any(desired: &[&Desired]) -> BTreeSet<String> {
    desired.iter().map(|_| "*".to_owned()).collect()
}

fn of_service(desired: &Desired) -> [String; 3] {
    let path = format!("{}/{}", desired.cluster, desired.service);
    ["service", "service-deployment", "service-revision"].map(|kind| {
        let rest = if kind == "service" { "" } else { "/*" };
        arn(desired, "ecs", &format!("{kind}/{path}{rest}"))
    })
}

/// All revisions of the family, where it is known before AWS was asked.
fn task_definitions(desired: &Desired) -> String {
    let family = match &desired.task_definition {
        TaskDefinitionSource::File { input, .. } => input.get("family").and_then(Value::as_str),
        TaskDefinitionSource::Family(family) => Some(family.as_str()),
        TaskDefinitionSource::Service => None,
    };
    arn(desired, "ecs", &format!("task-definition/{}:*", family.unwrap_or("*")))
}

/// The roles that the task definition names; all of the account where another hand's revision is the base.
fn roles(desired: &Desired) -> Vec<String> {
    let TaskDefinitionSource::File { input, .. } = &desired.task_definition else {
        let account = desired.account.as_ref().map_or("*", |account| account.as_str());
        return vec![format!("arn:{}:iam::{account}:role/*", partition(desired))];
    };
    let named = ["taskRoleArn", "executionRoleArn"].iter().filter_map(|key| input.get(*key)?.as_str());
    named.map(str::to_owned).collect()
}

fn repositories(desired: &Desired) -> Vec<String> {
    let account = desired.registry.account.as_ref().or(desired.account.as_ref());
    let region = desired.registry.region.as_ref().or(desired.region.as_ref());
    let account = account.map_or("*", |account| account.as_str());
    let region = region.map_or("*", |region| region.as_str());
    let arn = |name: &str| format!("arn:{}:ecr:{region}:{account}:repository/{name}", partition(desired));
    desired.images.iter().map(|image| arn(image.repository.as_str())).collect()
}

fn arn(desired: &Desired, service: &str, resource: &str) -> String {
    let account = desired.account.as_ref().map_or("*", |account| account.as_str());
    let region = desired.region.as_ref().map_or("*", |region| region.as_str());
    format!("arn:{}:{service}:{region}:{account}:{resource}", partition(desired))
}

/// The first part of ARNs, by the region; any where no region is declared.
fn partition(desired: &Desired) -> &'static str {
    match desired.region.as_ref().map(Region::as_str) {
        None => "*",
        Some(region) if region.starts_with("cn-") => "aws-cn",
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        Some(_) => "aws",
    }
}
