//! How a service is moved from CodeDeploy to a shift of traffic by ECS itself. A person does that in one call: no write of trueup
//! changes a controller.

use serde_json::{Value, json};

use crate::documents::app_spec;
use crate::model::{CodeDeploy, Desired, Group, HookStage, Observed, Reading, Service, TrafficPattern};

/// The events of an `AppSpec`, and the stages of ECS that stand for them (Amazon ECS developer guide, "Migrate CodeDeploy blue/green
/// deployments to Amazon ECS blue/green deployments").
const EVENTS: [(&str, HookStage); 5] = [
    ("BeforeInstall", HookStage::PreScaleUp),
    ("AfterInstall", HookStage::PostScaleUp),
    ("AfterAllowTestTraffic", HookStage::PostTestTrafficShift),
    ("BeforeAllowTraffic", HookStage::PreProductionTrafficShift),
    ("AfterAllowTraffic", HookStage::PostProductionTrafficShift),
];

#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    /// The deployment that has to end first.
    pub open: Option<String>,
    /// The call, but for the strategy. What stands in `<…>` a person fills in.
    update: Value,
    /// Names of the target group that serves, and of the other one, where they are known.
    pub groups: [String; 2],
    /// Events of the declared `AppSpec` with a hook, and the stage that stands for each.
    pub hooks: Vec<(&'static str, HookStage)>,
    /// Shares and times of the declared deployment configuration, where it shifts traffic in steps.
    steps: Option<TrafficSteps>,
}

/// As the names of CodeDeploy's own configurations say it: `CodeDeployDefault.ECSCanary10Percent5Minutes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TrafficSteps {
    percent: u16,
    minutes: u16,
}

/// `None` where nothing has been deployed yet.
pub(in crate::plan) fn of(
    settings: &CodeDeploy,
    desired: &Desired,
    service: &Service,
    observed: &Observed,
) -> Option<Migration> {
    let live = service.primary()?.load_balancer.as_ref()?;
    let current = super::current(service, observed)?;
    let serves = live.target_group_name().to_owned();
    let other = match &observed.group {
        Some(Reading::Known(Group::Found(group))) => group.target_groups.iter().find(|name| **name != serves),
        _ => None,
    };
    let other = other.cloned().unwrap_or_else(|| "<the other target group>".to_owned());
    let mut deployment = json!({});
    if let Some(new) = &settings.create {
        deployment["bakeTimeInMinutes"] = new.termination_wait.into();
    }
    let update = json!({
        "cluster": desired.cluster.as_str(),
        "service": desired.service()?.as_str(),
        "deploymentController": {"type": "ECS"},
        "deploymentConfiguration": deployment,
        "loadBalancers": [{
            "containerName": live.container,
            "containerPort": live.port,
            "targetGroupArn": live.target_group,
            "advancedConfiguration": {
                "alternateTargetGroupArn": format!("<ARN of {other}>"),
                "productionListenerRule": "<ARN of the production rule>",
                "roleArn": "<ARN of the role by which ECS writes the rules>",
            },
        }],
    });
    let content = settings.app_spec.as_ref().map(|spec| &spec.content);
    let has_hook = |event: &str| content.is_some_and(|content| app_spec::has_hook(content, event));
    Some(Migration {
        open: (!current.phase.is_over()).then_some(current.id),
        update,
        groups: [serves, other],
        hooks: EVENTS.into_iter().filter(|(event, _)| has_hook(event)).collect(),
        steps: settings.configuration.as_deref().and_then(steps),
    })
}

impl Migration {
    /// The input of `UpdateService` that makes ECS carry the deployments out like this.
    pub fn update_service(&self, pattern: TrafficPattern) -> Value {
        let mut update = self.update.clone();
        let configuration = &mut update["deploymentConfiguration"];
        configuration["strategy"] = pattern.strategy().word().into();
        let steps = self.steps.map(|TrafficSteps { percent, minutes }| (f64::from(percent), minutes));
        match (pattern, steps) {
            (TrafficPattern::Canary { .. }, Some((percent, minutes))) => {
                configuration["canaryConfiguration"] =
                    json!({"canaryPercent": percent, "canaryBakeTimeInMinutes": minutes});
            }
            (TrafficPattern::Linear { .. }, Some((percent, minutes))) => {
                configuration["linearConfiguration"] =
                    json!({"stepPercent": percent, "stepBakeTimeInMinutes": minutes});
            }
            _ => {}
        }
        update
    }
}

fn steps(configuration: &str) -> Option<TrafficSteps> {
    let name = configuration.strip_prefix("CodeDeployDefault.ECS")?;
    let numbers = name.strip_prefix("Canary").or_else(|| name.strip_prefix("Linear"))?;
    let (percent, rest) = numbers.split_once("Percent")?;
    let minutes = rest.trim_start_matches("Every").trim_end_matches('s').strip_suffix("Minute")?;
    Some(TrafficSteps { percent: percent.parse().ok()?, minutes: minutes.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_in_the_name_of_a_configuration() {
        let of = |percent, minutes| Some(TrafficSteps { percent, minutes });
        for (name, expected) in [
            ("CodeDeployDefault.ECSCanary10Percent5Minutes", of(10, 5)),
            ("CodeDeployDefault.ECSLinear10PercentEvery1Minutes", of(10, 1)),
            ("CodeDeployDefault.ECSAllAtOnce", None),
            ("our-own", None),
        ] {
            assert_eq!(steps(name), expected, "{name}");
        }
    }
}
