//! Deployment configurations: how the traffic moves (`CodeDeploy` user guide, "Deployment configurations on an Amazon
//! ECS compute platform").

use serde_json::{Value, json};

use super::{Configuration, exception, name, page};
use crate::world::input::{Input, optional, with_token};
use crate::world::times::moment;
use crate::world::{Answer, AwsError, World};

/// Seconds of a minute.
const MINUTE: u64 = 60;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Routing {
    #[default]
    AllAtOnce,
    /// Percent first, the rest after so many minutes.
    Canary(u64, u64),
    /// Percent at a time, every so many minutes.
    Linear(u64, u64),
}

/// Those that AWS brings.
const PREDEFINED: [(&str, Routing); 5] = [
    ("CodeDeployDefault.ECSAllAtOnce", Routing::AllAtOnce),
    ("CodeDeployDefault.ECSLinear10PercentEvery1Minutes", Routing::Linear(10, 1)),
    ("CodeDeployDefault.ECSLinear10PercentEvery3Minutes", Routing::Linear(10, 3)),
    ("CodeDeployDefault.ECSCanary10Percent5Minutes", Routing::Canary(10, 5)),
    ("CodeDeployDefault.ECSCanary10Percent15Minutes", Routing::Canary(10, 15)),
];
pub(super) const DEFAULT: &str = "CodeDeployDefault.ECSAllAtOnce";

impl Routing {
    /// Percent of the traffic on green so many seconds after the shift began.
    pub fn weight(self, seconds: u64) -> u64 {
        match self {
            Self::AllAtOnce => 100,
            Self::Canary(_, minutes) if seconds >= minutes * MINUTE => 100,
            Self::Canary(percent, _) => percent,
            Self::Linear(percent, minutes) => {
                let steps = 1 + seconds / (minutes.max(1) * MINUTE);
                percent.saturating_mul(steps).min(100)
            }
        }
    }

    fn described(self) -> Value {
        match self {
            Self::AllAtOnce => json!({"type": "AllAtOnce"}),
            Self::Canary(percent, minutes) => json!({"type": "TimeBasedCanary",
                "timeBasedCanary": {"canaryPercentage": percent, "canaryInterval": minutes}}),
            Self::Linear(percent, minutes) => json!({"type": "TimeBasedLinear",
                "timeBasedLinear": {"linearPercentage": percent, "linearInterval": minutes}}),
        }
    }

    fn read(sent: &Value) -> Option<Self> {
        let part = |kind: &str, key: &str| sent.get(kind)?.get(key)?.as_u64().filter(|number| *number > 0);
        let percent = |percent: &u64| *percent < 100;
        Some(match sent.get("type")?.as_str()? {
            "AllAtOnce" => Self::AllAtOnce,
            "TimeBasedCanary" => Self::Canary(
                part("timeBasedCanary", "canaryPercentage").filter(percent)?,
                part("timeBasedCanary", "canaryInterval")?,
            ),
            "TimeBasedLinear" => Self::Linear(
                part("timeBasedLinear", "linearPercentage").filter(percent)?,
                part("timeBasedLinear", "linearInterval")?,
            ),
            _ => return None,
        })
    }
}

impl World {
    pub(super) fn routing(&self, name: &str) -> Result<Routing, AwsError> {
        let predefined = PREDEFINED.iter().find(|(known, _)| *known == name).map(|(_, routing)| *routing);
        let custom = || self.code_deploy.configurations.get(name).map(|found| found.routing);
        let missing = || {
            exception(
                "DeploymentConfigDoesNotExist",
                format!("No deployment configuration found for name: {name}"),
            )
        };
        predefined.or_else(custom).ok_or_else(missing)
    }

    pub(super) fn create_deployment_config(&mut self, input: &Input) -> Answer {
        let name = name(input, "deploymentConfigName", "DeploymentConfig")?.to_owned();
        if optional(input, "computePlatform")? != Some("ECS") {
            return Err(exception("InvalidComputePlatform", "only the ECS platform is simulated"));
        }
        if self.routing(&name).is_ok() {
            return Err(exception(
                "DeploymentConfigAlreadyExists",
                format!("The deployment configuration {name} already exists"),
            ));
        }
        let sent = input.get("trafficRoutingConfig").unwrap_or(&Value::Null);
        let routing = Routing::read(sent).ok_or_else(|| {
            exception("InvalidTrafficRoutingConfiguration", "trafficRoutingConfig is not valid")
        })?;
        let id = self.uuid();
        let configuration = Configuration { id: id.clone(), routing, created_at: self.now };
        self.code_deploy.configurations.insert(name, configuration);
        Ok(json!({"deploymentConfigId": id}))
    }

    pub(super) fn get_deployment_config(&mut self, input: &Input) -> Answer {
        let name = name(input, "deploymentConfigName", "DeploymentConfig")?;
        let routing = self.routing(name)?;
        let mut described = json!({
            "deploymentConfigName": name,
            "computePlatform": "ECS",
            "trafficRoutingConfig": routing.described(),
        });
        if let Some(custom) = self.code_deploy.configurations.get(name) {
            described["deploymentConfigId"] = json!(custom.id);
            described["createTime"] = moment(custom.created_at);
        }
        Ok(json!({"deploymentConfigInfo": described}))
    }

    pub(super) fn list_deployment_configs(&mut self, input: &Input) -> Answer {
        let predefined = PREDEFINED.iter().map(|(name, _)| (*name).to_owned());
        let names = predefined.chain(self.code_deploy.configurations.keys().cloned()).collect();
        let (names, token) = page(names, input)?;
        Ok(with_token(json!({"deploymentConfigsList": names}), token))
    }

    pub(super) fn delete_deployment_config(&mut self, input: &Input) -> Answer {
        let name = name(input, "deploymentConfigName", "DeploymentConfig")?;
        if PREDEFINED.iter().any(|(known, _)| *known == name) {
            return Err(exception("InvalidOperation", format!("{name} is a predefined configuration")));
        }
        let used = |sent: &Input| sent.get("deploymentConfigName").and_then(Value::as_str) == Some(name);
        let mut groups = self.code_deploy.applications.values().flat_map(|one| one.groups.values());
        if groups.any(|group| used(&group.sent)) {
            return Err(exception(
                "DeploymentConfigInUse",
                format!("The deployment configuration {name} is in use"),
            ));
        }
        self.code_deploy.configurations.remove(name);
        Ok(json!({}))
    }
}
