//! What may stop a deployment: alarms that are on already, and functions that hooks call.

use std::collections::BTreeSet;

use super::need::{Asked, Need};
use super::{Subject, What};
use crate::documents::{app_spec, native};
use crate::model::surroundings::{Permission, Who};
use crate::model::{Group, Reading, Service, Strategy};
use crate::plan::carriers;

pub(super) fn needs(subject: &Subject<'_>) -> Vec<Need> {
    let Reading::Known(service) = &subject.observed.service else { return Vec::new() };
    let mut needs = alarms(subject, service);
    needs.extend(hooks(subject, service).into_iter().flat_map(Called::needs));
    needs
}

fn alarms(subject: &Subject<'_>, service: &Service) -> Vec<Need> {
    let carrier = carriers::of(subject.desired, service);
    let names = carrier.alarms(subject.desired, service, subject.observed.group.as_ref());
    let need = |name: String| Need {
        what: What::Alarm,
        about: name.clone(),
        asked: Asked::Alarm(name, carrier.under_alarm()),
    };
    names.into_iter().map(need).collect()
}

/// A function that is called in a deployment, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Called {
    /// Its ARN, with a version or an alias where it is called by one.
    function: String,
    /// The ARN of the role, where it is known.
    role: Option<String>,
}

/// Each once.
fn hooks(subject: &Subject<'_>, service: &Service) -> BTreeSet<Called> {
    let Some(home) = native::Home::of(&service.arn) else { return BTreeSet::new() };
    let function_arn = |named: &str| arn(named, |name| home.function(name));
    let role_arn = |named: &str| arn(named, |name| home.role(name));
    // Of others no group is asked for.
    if subject.observed.group.is_some() {
        let settings = match &subject.desired.strategy {
            Strategy::CodeDeploy(settings) => settings.app_spec.as_ref(),
            Strategy::Native(_) | Strategy::Rolling | Strategy::Unspecified => None,
        };
        let called = settings.into_iter().flat_map(|spec| app_spec::hooks(&spec.content));
        let called = called.filter_map(|(_, function)| function.as_str());
        let role = role_of_group(subject).map(role_arn);
        let called = called.map(|named| Called { function: function_arn(named), role: role.clone() });
        return called.collect();
    }
    let declared = match &subject.desired.strategy {
        Strategy::Native(native) => Some(native.as_ref()),
        Strategy::CodeDeploy(_) | Strategy::Rolling | Strategy::Unspecified => None,
    };
    let hooks = native::hooks(declared, &service.settings, home);
    let called = hooks.iter().filter_map(|hook| {
        let text = |key: &str| hook.get(key)?.as_str();
        let function = function_arn(text("hookTargetArn")?);
        Some(Called { function, role: text("roleArn").map(role_arn) })
    });
    called.collect()
}

fn arn(named: &str, of_name: impl Fn(&str) -> String) -> String {
    if named.starts_with("arn:") { named.to_owned() } else { of_name(named) }
}

/// The role by which CodeDeploy acts.
fn role_of_group<'s>(subject: &'s Subject<'_>) -> Option<&'s str> {
    if let Some(Reading::Known(Group::Found(group))) = &subject.observed.group {
        return group.service_role.as_deref();
    }
    match &subject.desired.strategy {
        Strategy::CodeDeploy(settings) => settings.create.as_ref().map(|group| group.service_role.as_str()),
        Strategy::Native(_) | Strategy::Rolling | Strategy::Unspecified => None,
    }
}

impl Called {
    fn needs(self) -> Vec<Need> {
        let Self { function, role } = self;
        let parts: Vec<&str> = function.splitn(8, ':').collect();
        let name = parts.get(6).map_or_else(|| function.clone(), ToString::to_string);
        let bare = parts.get(..7).map_or_else(|| function.clone(), |parts| parts.join(":"));
        let permission = role.map(|role| Need {
            what: What::Permission,
            about: format!(
                "{}: lambda:InvokeFunction on {name}",
                role.rsplit('/').next().unwrap_or(role.as_str())
            ),
            asked: Asked::Permission(Permission {
                who: Who::Role(role),
                actions: vec!["lambda:InvokeFunction"],
                resource: function,
                passed_to: None,
            }),
        });
        let need = Need { what: What::Hook, about: name, asked: Asked::Function(bare) };
        std::iter::once(need).chain(permission).collect()
    }
}
