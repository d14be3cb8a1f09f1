//! What a task definition and its service need of their surroundings: roles, what those may do, secrets, parameters, log groups.

use serde_json::Value;

use super::need::{Asked, Need};
use super::{Found, Subject, What, schedule};
use crate::documents::{containers, logs, roles};
use crate::model::surroundings::{Permission, Placed, Who};
use crate::model::{Desired, Mode, Region, ScheduleName, Strategy};

/// Services that are given roles.
const TASKS: &str = "ecs-tasks.amazonaws.com";
const ECS: &str = "ecs.amazonaws.com";
const CODE_DEPLOY: &str = "codedeploy.amazonaws.com";
const EVENTS: &str = "events.amazonaws.com";
const SCHEDULER: &str = "scheduler.amazonaws.com";

/// Everything, each thing once.
pub(super) fn of(subject: &Subject<'_>) -> Vec<Need> {
    let mut needs = Vec::new();
    for (role, service) in roles_given(subject) {
        needs.extend(of_role(role, service, subject.desired));
    }
    if let Ok(input) = &subject.task_definition {
        needs.extend(of_task_definition(input, subject));
    }
    needs
}

/// Roles that tasks, services, and what starts tasks are given, each with the service that assumes it.
fn roles_given<'s>(subject: &'s Subject<'_>) -> Vec<(&'s str, &'static str)> {
    let mut given: Vec<(&str, &'static str)> = Vec::new();
    let of_tasks = subject.task_definition.iter().flat_map(roles::of_task_definition);
    given.extend(of_tasks.map(|role| (role, TASKS)));
    let live = subject.observed.service.known().map(|service| &service.settings);
    let settings = live.into_iter().chain(&subject.desired.service_settings);
    given.extend(settings.flat_map(roles::of_settings).map(|role| (role, ECS)));
    match &subject.desired.strategy {
        Strategy::Native(native) => given.extend(roles::of_native(native).map(|role| (role, ECS))),
        Strategy::CodeDeploy(settings) => {
            let made = settings.create.iter();
            given.extend(made.map(|group| (group.service_role.as_str(), CODE_DEPLOY)));
        }
        Strategy::Rolling | Strategy::Unspecified => {}
    }
    let started =
        subject.desired.scheduled_task().into_iter().flat_map(|task| schedule::targets(task, subject));
    given.extend(started.filter_map(|(name, target)| {
        let service = match name {
            ScheduleName::Rule(_) => EVENTS,
            ScheduleName::Schedule { .. } => SCHEDULER,
        };
        Some((target.role.as_deref()?, service))
    }));
    given.sort_unstable();
    given.dedup();
    given
}

fn of_role(role: &str, service: &'static str, desired: &Desired) -> Vec<Need> {
    let name = role.rsplit('/').next().unwrap_or(role);
    if !role.starts_with("arn:") {
        // ECS takes the bare name of a role for one of its own account.
        let found = Found::Unseen(format!("{name}: only a role that is named by its ARN is looked at"));
        return vec![Need { what: What::Role, about: String::new(), asked: Asked::Nothing(found) }];
    }
    let mut needs = vec![Need {
        what: What::Role,
        about: name.to_owned(),
        asked: Asked::Role { arn: role.to_owned(), service },
    }];
    if desired.mode != Mode::Observe {
        needs.push(Need {
            what: What::PassRole,
            about: format!("{name} to {service}"),
            asked: Asked::Permission(Permission {
                who: Who::Caller,
                actions: vec!["iam:PassRole"],
                resource: role.to_owned(),
                passed_to: Some(service),
            }),
        });
    }
    needs
}

fn of_task_definition(input: &Value, subject: &Subject<'_>) -> Vec<Need> {
    let mut needs = Vec::new();
    let execution_role =
        input.get("executionRoleArn").and_then(Value::as_str).filter(|role| role.starts_with("arn:"));
    let home = Home::of(subject);
    let permission = |actions: &[&'static str], resource: String| {
        let who = Who::Role(execution_role?.to_owned());
        Some(Permission { who, actions: actions.to_vec(), resource, passed_to: None })
    };
    let needs_permission = |needs: &mut Vec<Need>, permission: Option<Permission>| {
        let Some(permission) = permission else { return };
        let role = execution_role.unwrap_or_default();
        let role = role.rsplit('/').next().unwrap_or_default();
        let about = format!("{role}: {} on {}", permission.actions.join(", "), permission.resource);
        needs.push(Need { what: What::Permission, about, asked: Asked::Permission(permission) });
    };
    for (user, value) in containers::references(input) {
        let (needed, permitted) = match Reference::parse(value, home.as_ref()) {
            Reference::Secret(placed) => {
                let permitted = placed.name.starts_with("arn:").then(|| placed.name.clone());
                let need = Need {
                    what: What::Secret,
                    about: format!("{} for {user}", placed.name),
                    asked: Asked::Secret(placed),
                };
                (need, permitted.and_then(|arn| permission(&["secretsmanager:GetSecretValue"], arn)))
            }
            Reference::Parameter(placed, arn) => {
                let need = Need {
                    what: What::Parameter,
                    about: format!("{} for {user}", placed.name),
                    asked: Asked::Parameter(placed),
                };
                (need, arn.and_then(|arn| permission(&["ssm:GetParameters"], arn)))
            }
        };
        if !needs.iter().any(|known: &Need| known.about == needed.about) {
            needs.push(needed);
            needs_permission(&mut needs, permitted);
        }
    }
    for group in logs::named(input) {
        let about = group.name.to_owned();
        if needs.iter().any(|known| known.what == What::LogGroup && known.about == about) {
            continue;
        }
        let region = group.region.map(Region::new);
        let arn = home.as_ref().map(|home| {
            let region = group.region.unwrap_or(home.region);
            format!("arn:{}:logs:{region}:{}:log-group:{}:*", home.partition, home.account, group.name)
        });
        let asked = if group.is_made {
            Asked::Nothing(Found::Good(format!("{about}: the first task makes it")))
        } else {
            Asked::LogGroup(Placed { region, name: about.clone() })
        };
        needs.push(Need { what: What::LogGroup, about, asked });
        let actions: &[&'static str] = if group.is_made {
            &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        } else {
            &["logs:CreateLogStream", "logs:PutLogEvents"]
        };
        needs_permission(&mut needs, arn.and_then(|arn| permission(actions, arn)));
    }
    needs
}

/// Where the target is, for the ARNs of what stands around it.
struct Home<'s> {
    partition: &'static str,
    region: &'s str,
    account: &'s str,
}

impl<'s> Home<'s> {
    /// `None`: the account or the region is not known.
    fn of(subject: &'s Subject<'_>) -> Option<Self> {
        let account = subject.observed.account.as_ref().ok()?.as_str();
        let of_service = subject.observed.service.known().and_then(|service| service.arn.split(':').nth(3));
        let region = subject.desired.region.as_ref().map(Region::as_str).or(of_service)?;
        Some(Self { partition: Region::new(region).partition(), region, account })
    }
}

/// What `valueFrom` names (Amazon ECS API reference, `Secret`).
#[derive(Debug, PartialEq, Eq)]
enum Reference {
    Secret(Placed),
    /// With its ARN, where that is known.
    Parameter(Placed, Option<String>),
}

impl Reference {
    /// A secret is named by its ARN, behind which a key, a stage and a version may stand; what is no ARN is a parameter of the
    /// same region.
    fn parse(text: &str, home: Option<&Home<'_>>) -> Self {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["arn", _, "secretsmanager", region, _, "secret", _, ..] => {
                let name = parts.get(..7).unwrap_or_default().join(":");
                Self::Secret(Placed { region: Some(Region::new(*region)), name })
            }
            ["arn", _, "ssm", region, _, parameter] => {
                let name = parameter.strip_prefix("parameter/").unwrap_or(parameter);
                let name = if name.contains('/') { format!("/{name}") } else { name.to_owned() };
                Self::Parameter(Placed { region: Some(Region::new(*region)), name }, Some(text.to_owned()))
            }
            _ => {
                let arn = home.map(|Home { partition, region, account }| {
                    format!(
                        "arn:{partition}:ssm:{region}:{account}:parameter/{}",
                        text.trim_start_matches('/')
                    )
                });
                Self::Parameter(Placed { region: None, name: text.to_owned() }, arn)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_value_from_names_is_a_secret_or_a_parameter() {
        let home = Home { partition: "aws", region: "eu-west-2", account: "1" };
        let secret = |region: &str, name: &str| {
            Reference::Secret(Placed { region: Some(Region::new(region)), name: name.to_owned() })
        };
        let parameter = |region: Option<&str>, name: &str, arn: &str| {
            let placed = Placed { region: region.map(Region::new), name: name.to_owned() };
            Reference::Parameter(placed, Some(arn.to_owned()))
        };
        let db = "arn:aws:secretsmanager:eu-west-1:1:secret:mco/db-AbCdEf";
        let far = "arn:aws:ssm:eu-west-1:1:parameter";
        let near = "arn:aws:ssm:eu-west-2:1:parameter";
        for (text, expected) in [
            (db.to_owned(), secret("eu-west-1", db)),
            (format!("{db}:password::"), secret("eu-west-1", db)),
            (format!("{db}:password:AWSPREVIOUS:1"), secret("eu-west-1", db)),
            (format!("{far}/mco/db"), parameter(Some("eu-west-1"), "/mco/db", &format!("{far}/mco/db"))),
            (format!("{far}/db"), parameter(Some("eu-west-1"), "db", &format!("{far}/db"))),
            ("/mco/db".to_owned(), parameter(None, "/mco/db", &format!("{near}/mco/db"))),
            ("db".to_owned(), parameter(None, "db", &format!("{near}/db"))),
        ] {
            assert_eq!(Reference::parse(&text, Some(&home)), expected, "{text}");
        }
    }
}
